//! The two configurations, compiled alike.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mcp_deputy::config::pushed::{Endpoint, Pushed};
use mcp_deputy::config::{Problems, typed};
use mcp_deputy::policy::Policy;
use mcp_deputy::policy::compile::Surroundings;
use mcp_deputy::policy::source::{Enforcement, Policy as PolicySource};
use mcp_deputy::token::{ScopeSet, ScopeTable};
use serde_json::Value;

use crate::report::{Diagnostic, Failure};
use crate::source::{Source, read_yaml};

/// Both configurations, with scopes that have the same bits on both sides.
pub struct Sides {
    /// The scopes of both, with what they imply before and after.
    pub scopes: [ScopeTable; 2],
    /// What to compare.
    pub judges: Vec<Judge>,
    /// All that is pushed, and how Envoy is set up, before and after; nothing of single policies.
    pub settings: [Value; 2],
}

/// The policy of an endpoint, before and after.
pub struct Judge {
    /// The endpoint's path; empty for a single policy.
    pub endpoint: String,
    /// The policy's name.
    pub name: String,
    /// The policy before; none if there was no such endpoint.
    pub old: Option<Policy>,
    /// The policy after.
    pub new: Option<Policy>,
}

/// One configuration.
enum Side {
    Whole(Box<Source>),
    Policy(Box<PolicySource>),
}

impl Sides {
    /// Reads both.
    ///
    /// # Errors
    /// One cannot be read or has errors, or they are not of one kind.
    pub fn read(old: &Path, new: &Path) -> Result<Self, Failure> {
        match (Side::read(old)?, Side::read(new)?) {
            (Side::Whole(before), Side::Whole(after)) => Ok(Self::of_sources(*before, *after)),
            (Side::Policy(before), Side::Policy(after)) => {
                let (files, sources) = ([old, new], [*before, *after]);
                Self::of_policies(files, &sources)
            }
            _ => Err(Failure::Usage(format!(
                "`{}` and `{}` are not of one kind: one is a policy, the other a configuration",
                old.display(),
                new.display()
            ))),
        }
    }

    fn of_sources(old: Source, new: Source) -> Self {
        let mut scopes = ScopeTable::default();
        let sides = [&old.typed, &new.typed];
        for side in sides {
            for scope in &side.protected_resource.scopes_supported {
                scopes.intern(scope);
            }
        }
        // What a scope implies is known on its own side.
        let with_implied = |source: &Source| {
            let mut all = scopes.clone();
            let own = &source.config.scopes;
            for scope in own.iter() {
                let implied = own.with_implied(&own.set([scope]));
                all.imply(scope, scopes.set(own.names(&implied)));
            }
            all
        };
        let scopes = [with_implied(&old), with_implied(&new)];
        let paths: BTreeSet<&str> =
            sides.iter().flat_map(|side| &side.endpoints).map(|one| one.path.as_str()).collect();
        let judge = |path: &&str| {
            let found = sides.map(|side| side.endpoints.iter().find(|one| one.path == **path));
            let [before, after] = found;
            let name = after.or(before).map(|one| one.policy.clone()).unwrap_or_default();
            let [old, new] = [(sides[0], before, &scopes[0]), (sides[1], after, &scopes[1])]
                .map(|(side, endpoint, scopes)| compile(side, endpoint?, scopes));
            Judge { endpoint: (*path).to_owned(), name, old, new }
        };
        let judges = paths.iter().map(judge).collect();
        Self { judges, settings: [old, new].map(settings), scopes }
    }

    fn of_policies(files: [&Path; 2], sources: &[PolicySource; 2]) -> Result<Self, Failure> {
        let mut scopes = ScopeTable::default();
        for scope in sources.iter().flat_map(written) {
            scopes.intern(scope);
        }
        let [old, new] = [(files[0], &sources[0]), (files[1], &sources[1])]
            .map(|(file, source)| compile_alone(file, source, &scopes));
        let judge = Judge {
            endpoint: String::new(),
            name: stem(files[1]).to_owned(),
            old: Some(old?),
            new: Some(new?),
        };
        let scopes = [scopes.clone(), scopes];
        Ok(Self { judges: vec![judge], settings: [Value::Null, Value::Null], scopes })
    }
}

/// All that is pushed, and how Envoy is set up.
fn settings(source: Source) -> Value {
    let mut settings = source.pushed;
    if let (Some(members), Some(envoy)) = (settings.as_object_mut(), source.written_envoy) {
        members.insert("envoy".to_owned(), envoy);
    }
    settings
}

/// It was judged before, against its own scopes, so nothing new is wrong with it.
fn compile(side: &Pushed, endpoint: &Endpoint, scopes: &ScopeTable) -> Option<Policy> {
    let required = scopes.set(endpoint.required_scopes.iter().map(String::as_str));
    let around = Surroundings {
        name: &endpoint.policy,
        scopes,
        required: &required,
        enforcement: side.enforcement,
    };
    let source = side.policies.get(&endpoint.policy)?;
    Some(Policy::compile(source, &around, &mut Problems::default()))
}

fn compile_alone(
    file: &Path,
    source: &PolicySource,
    scopes: &ScopeTable,
) -> Result<Policy, Failure> {
    let around = Surroundings {
        name: stem(file),
        scopes,
        required: &ScopeSet::default(),
        enforcement: Enforcement::default(),
    };
    let mut problems = Problems::default();
    let policy = Policy::compile(source, &around, &mut problems);
    if problems.is_empty() { Ok(policy) } else { Err(failure(file, problems)) }
}

/// The scopes that a policy names.
fn written(source: &PolicySource) -> impl Iterator<Item = &str> {
    let tables = [&source.tools, &source.prompts, &source.resources, &source.methods];
    let rules = tables.into_iter().flat_map(|table| table.values()).flat_map(|rules| &rules.0);
    rules
        .flat_map(|rule| [&rule.require.scopes, &rule.require.any_scope])
        .flatten()
        .flatten()
        .map(String::as_str)
}

fn stem(file: &Path) -> &str {
    file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("policy")
}

fn failure(file: &Path, problems: Problems) -> Failure {
    Failure::Configuration(Diagnostic::all_in(file, problems.into_errors()))
}

impl Side {
    fn read(path: &Path) -> Result<Self, Failure> {
        let file = if path.is_dir() { path.join("deputy.yaml") } else { PathBuf::from(path) };
        // Only a policy has a baseline, and it must.
        let is_policy = read_yaml(&file).is_ok_and(|value| value.get("baseline").is_some());
        if !is_policy {
            return Source::read(&file, Vec::new()).map(|source| Self::Whole(Box::new(source)));
        }
        let mut problems = Problems::default();
        let source = read_yaml(&file).map_err(|message| problems.add("", message)).ok();
        let source = source.and_then(|value| problems.take(typed::<PolicySource>(value)));
        source.map(|source| Self::Policy(Box::new(source))).ok_or_else(|| failure(&file, problems))
    }
}
