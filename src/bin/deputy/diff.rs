//! `deputy diff`: what changes in meaning from one configuration to another.

mod print;
mod settings;
mod sides;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use mcp_deputy::policy::diff::{Change, Kind, Needs, Region, compare};
use mcp_deputy::token::ScopeTable;
use serde_json::{Value, json};

use crate::report::{EXIT_CODES, Failure};
use print::Format;
use sides::{Judge, Sides};

/// Say what a change of the configuration opens, closes and delegates otherwise, and for whom
///
/// Each of the two is a source file, a directory with a `deputy.yaml`, or a single policy; a single
/// policy is compared with another one, by itself. With git: `git worktree add ../base main`, and
/// `deputy diff ../base .`
///
/// The answer is exact for scopes. Where it cannot be told from the text how two conditions relate
/// (two regular expressions, say), it may tell of a change that concerns no call; it leaves none out.
/// `tools.NAME*` stands for the names that begin so, have no line of their own and no longer
/// beginning. What is no policy (issuers, limits, ...) is compared as it is written.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Diff {
    /// What was
    old: PathBuf,
    /// What is to be
    new: PathBuf,
    /// How to print the changes
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Exit with 0 whatever changes
    #[arg(long)]
    exit_zero: bool,
}

/// One line of the answer.
struct Line {
    severity: Severity,
    /// What it concerns: `POLICY.tools.NAME`, `endpoint /mcp`, a setting's path.
    subject: String,
    /// The change in words.
    text: String,
    /// The endpoints where it holds, if that is a matter of endpoints and not of all that have the
    /// policy.
    endpoints: Vec<String>,
    /// Which calls it concerns, for programs.
    calls: Value,
}

/// How a line is ranked, the most dangerous first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Severity {
    Opens,
    MayOpen,
    Reveals,
    Closes,
    Redacts,
    Delegation,
    Setting,
    Shadow,
    Denial,
}

impl Severity {
    const ALL: [Self; 9] = [
        Self::Opens,
        Self::MayOpen,
        Self::Reveals,
        Self::Closes,
        Self::Redacts,
        Self::Delegation,
        Self::Setting,
        Self::Shadow,
        Self::Denial,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Opens => "opens",
            Self::MayOpen => "may open",
            Self::Reveals => "reveals",
            Self::Closes => "closes",
            Self::Redacts => "redacts",
            Self::Delegation => "delegation",
            Self::Setting => "setting",
            Self::Shadow => "shadow",
            Self::Denial => "denial",
        }
    }

    fn opens(self) -> bool {
        self <= Self::Reveals
    }
}

impl From<Kind> for Severity {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Opens => Self::Opens,
            Kind::Reveals => Self::Reveals,
            Kind::Closes => Self::Closes,
            Kind::Redacts => Self::Redacts,
            Kind::Delegation => Self::Delegation,
            Kind::Shadow => Self::Shadow,
            Kind::Denial => Self::Denial,
        }
    }
}

impl Diff {
    /// Runs the command.
    ///
    /// # Errors
    /// There are changes, or one of the two configurations has errors or cannot be read.
    pub fn run(self) -> Result<(), Failure> {
        let sides =
            Sides::read(&self.old, &self.new).map_err(|failure| self.format.tell(failure))?;
        let lines = lines(&sides);
        self.format.print(&lines)?;
        if lines.is_empty() || self.exit_zero {
            return Ok(());
        }
        Err(Failure::Differs { opens: lines.iter().any(|line| line.severity.opens()) })
    }
}

/// All changes, the most dangerous first, each once.
fn lines(sides: &Sides) -> Vec<Line> {
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut places: BTreeMap<(Severity, String, String), Place> = BTreeMap::new();
    for judge in &sides.judges {
        let (name, endpoint) = (judge.name.as_str(), judge.endpoint.as_str());
        users.entry(name).or_default().insert(endpoint);
        let [before, after] = &sides.scopes;
        for change in compare(judge.old.as_ref(), judge.new.as_ref(), [before, after]) {
            let (severity, subject) = (change.kind.into(), subject(judge, &change));
            let place = places.entry((severity, subject, change.text)).or_insert_with(|| {
                let calls = change.region.map_or(Value::Null, |region| calls(&region, after));
                Place { policy: name, endpoints: BTreeSet::new(), calls }
            });
            place.endpoints.insert(endpoint);
        }
    }
    let line = |((severity, subject, text), place): ((Severity, String, String), Place)| {
        let Place { policy, endpoints, calls } = place;
        let everywhere = users.get(policy) == Some(&endpoints) || subject.starts_with(ENDPOINT);
        let endpoints = if everywhere { BTreeSet::new() } else { endpoints };
        let endpoints = endpoints.into_iter().map(str::to_owned).collect();
        Line { severity, subject, text, endpoints, calls }
    };
    let mut lines: Vec<Line> = places.into_iter().map(line).collect();
    lines.extend(settings::lines(&sides.settings));
    lines.sort_by_cached_key(|line| (line.severity, line.subject.clone()));
    lines
}

/// Where a change holds, and for whom.
struct Place<'a> {
    policy: &'a str,
    endpoints: BTreeSet<&'a str>,
    calls: Value,
}

fn calls(region: &Region, scopes: &ScopeTable) -> Value {
    let json = |needs: Needs| json!({"scopes": needs.scopes, "conditions": needs.conditions});
    let (within, except) = region.needs(scopes);
    json!({"with": json(within), "without": except.into_iter().map(json).collect::<Value>()})
}

const ENDPOINT: &str = "endpoint ";

/// What the endpoint requires of every request is the endpoint's, not the policy's.
fn subject(judge: &Judge, change: &Change) -> String {
    if change.object == "baseline" && matches!(change.kind, Kind::Opens | Kind::Closes) {
        return format!("{ENDPOINT}{}", judge.endpoint);
    }
    format!("{}.{}", judge.name, change.object)
}
