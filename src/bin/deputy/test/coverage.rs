//! Which rules the cases have seen hold, and seen fail.

use std::collections::BTreeMap;

use mcp_deputy::policy::rule::Rule;
use serde_json::{Value, json};

/// The rules by name.
#[derive(Default)]
pub struct Coverage(BTreeMap<String, Seen>);

/// What cases have seen of a rule.
#[derive(Default)]
pub struct Seen {
    /// How many calls it allowed.
    pub held: usize,
    /// How many calls it was tried on and did not hold for.
    pub failed: usize,
    /// Whether it holds for everyone.
    pub always_holds: bool,
}

impl Coverage {
    /// Takes note of a rule that is there to be covered.
    pub fn expect(&mut self, rule: &Rule) {
        let seen = self.0.entry(rule.name.to_string()).or_default();
        seen.always_holds = rule.scopes.is_empty() && rule.requirements.is_empty();
    }

    /// Takes note of a rule that was tried on a call.
    pub fn tried(&mut self, rule: &Rule, held: bool) {
        let Some(seen) = self.0.get_mut(&*rule.name) else { return };
        let times = if held { &mut seen.held } else { &mut seen.failed };
        *times = times.saturating_add(1);
    }

    /// Takes over the rules of another policy.
    pub fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The names of all rules.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The rules that are not covered.
    pub fn open(&self) -> impl Iterator<Item = (&str, &Seen)> {
        let open = self.0.iter().filter(|(_, seen)| !seen.is_covered());
        open.map(|(name, seen)| (name.as_str(), seen))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let rule = |(name, seen): (&String, &Seen)| {
            let Seen { held, failed, .. } = seen;
            json!({"rule": name, "held": held, "failed": failed, "covered": seen.is_covered()})
        };
        self.0.iter().map(rule).collect()
    }
}

impl Seen {
    fn is_covered(&self) -> bool {
        self.held > 0 && (self.failed > 0 || self.always_holds)
    }

    /// What is lacking.
    pub fn lack(&self) -> &'static str {
        match (self.held, self.failed) {
            (0, 0) => "no case tries it",
            (0, _) => "no case is allowed by it",
            _ => "no case fails it",
        }
    }
}
