//! Terms and targets in words, for who reads a change and not the policy.

use super::Region;
use super::term::Term;
use crate::exchange::Target;
use crate::policy::rule::{Rule, Test};
use crate::policy::source::DenialShape;
use crate::token::{ScopeSet, ScopeTable};

/// What is needed to tell of scopes.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub(super) scopes: &'a ScopeTable,
    /// The scopes that go without saying: every request needs them, before and after.
    pub(super) common: &'a ScopeSet,
}

impl Words<'_> {
    /// For whom: `callers with the scope a`, and what of the exceptions: `; KEPT of the client b`.
    pub(super) fn region(self, region: &Region, kept: &str) -> String {
        let Region { within, except } = region;
        let only_scopes = except.iter().all(|term| term.tests.is_empty());
        let names: Vec<Vec<&str>> =
            except.iter().map(|term| self.scopes.names(&term.scopes)).collect();
        let mut caller = self.caller(within);
        let mut rest = String::new();
        match names.as_slice() {
            [] => {}
            [one] if only_scopes && one.len() == 1 => {
                let and = if caller.is_empty() { "" } else { "but " };
                caller.push(format!("{and}without the scope {}", one.concat()));
            }
            [one] if only_scopes => {
                let and = if caller.is_empty() { "" } else { "but " };
                caller.push(format!("{and}without all of the scopes {}", list(one, "and")));
            }
            several if only_scopes && several.iter().all(|one| one.len() == 1) => {
                let and = if caller.is_empty() { "" } else { "but " };
                let names: Vec<String> = several.iter().map(|one| one.concat()).collect();
                caller.push(format!("{and}without any of the scopes {}", list(&names, "and")));
            }
            _ => {
                let all: Vec<String> = except.iter().map(|term| self.term(term)).collect();
                rest = format!("; {kept} {}", all.join(", or "));
            }
        }
        let who = if caller.is_empty() {
            "every caller".to_owned()
        } else {
            format!("callers {}", caller.join(" "))
        };
        let circumstances = circumstances(within);
        let space = if circumstances.is_empty() { "" } else { " " };
        format!("{who}{space}{circumstances}{rest}")
    }

    /// A term that does not stand alone: `with the scope a if the argument …`.
    fn term(self, term: &Term) -> String {
        let mut parts = self.caller(term);
        let circumstances = circumstances(term);
        if !circumstances.is_empty() {
            parts.push(circumstances);
        }
        parts.join(" ")
    }

    /// What a caller must be.
    fn caller(self, term: &Term) -> Vec<String> {
        let mut parts = Vec::new();
        let scopes = term.scopes.difference(self.common);
        match self.scopes.names(&scopes).as_slice() {
            [] => {}
            [name] => parts.push(format!("with the scope {name}")),
            names => parts.push(format!("with the scopes {}", list(names, "and"))),
        }
        let mut claims = Vec::new();
        for test in &term.tests {
            match test {
                Test::AnyScope { any, .. } => {
                    let names = self.scopes.names(any);
                    parts.push(format!("with one of the scopes {}", list(&names, "or")));
                }
                Test::Clients(clients) => {
                    let names: Vec<&str> = clients.iter().map(AsRef::as_ref).collect();
                    parts.push(format!("of the client {}", list(&names, "or")));
                }
                Test::Authentication(needed) => parts.push(format!("with {needed}")),
                Test::Claim(place, condition) => {
                    claims.push(format!("whose claim `{place}` {}", condition.statement()));
                }
                Test::Time(_) | Test::Argument(..) | Test::OnlyArguments(_) => {}
            }
        }
        if !claims.is_empty() {
            parts.push(claims.join(" and "));
        }
        parts
    }

    /// The denials of rules, in their order.
    pub(super) fn denials(self, rules: &[Rule]) -> String {
        let told = |rule: &Rule| {
            let shape = match rule.shape {
                DenialShape::StepUp => "step_up",
                DenialShape::Error => "error",
                DenialShape::Forbidden => "forbidden",
                DenialShape::Hidden => "hidden",
            };
            match &rule.message {
                Some(message) => format!("{shape} \"{message}\""),
                None => shape.to_owned(),
            }
        };
        let mut all: Vec<String> = rules.iter().map(told).collect();
        all.dedup();
        all.join(", ")
    }
}

/// When, and with which arguments.
fn circumstances(term: &Term) -> String {
    let mut times = Vec::new();
    let mut arguments = Vec::new();
    for test in &term.tests {
        match test {
            Test::Time(window) => times.push(window.to_string()),
            Test::Argument(place, condition) => {
                arguments.push(format!("the argument `{place}` {}", condition.statement()));
            }
            Test::OnlyArguments(known) if known.is_empty() => {
                arguments.push("there are no arguments".to_owned());
            }
            Test::OnlyArguments(known) => {
                let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                arguments.push(format!("there are no arguments but {}", list(&names, "and")));
            }
            _ => {}
        }
    }
    if !arguments.is_empty() {
        times.push(format!("if {}", arguments.join(" and ")));
    }
    times.join(" ")
}

/// How `new` differs from `old`.
pub(super) fn delegation(old: Option<&Target>, new: Option<&Target>) -> String {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (None, Some(new)) => {
            return format!(
                "delegated as {} to {} instead of passed on without a token",
                new.scope, new.audience
            );
        }
        (Some(old), None) => {
            return format!(
                "passed on without a token instead of delegated as {} to {}",
                old.scope, old.audience
            );
        }
        (None, None) => return String::new(),
    };
    let mut parts = Vec::new();
    if old.scope != new.scope {
        parts.push(format!("as {} instead of {}", new.scope, old.scope));
    }
    if old.audience != new.audience {
        parts.push(format!("to {} instead of {}", new.audience, old.audience));
    }
    if old.max_lifetime != new.max_lifetime {
        parts.push(format!("for at most {} s instead of {} s", new.max_lifetime, old.max_lifetime));
    }
    if old.cache != new.cache {
        parts.push(match new.cache {
            true => "by a token that may serve again instead of one for each call".to_owned(),
            false => "by a token for each call instead of one that may serve again".to_owned(),
        });
    }
    format!("delegated {}", parts.join(", "))
}

/// `a`, `a and b`, `a, b and c`.
fn list<T: AsRef<str>>(names: &[T], and: &str) -> String {
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => last.as_ref().to_owned(),
        Some((last, first)) => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} {and} {}", first.join(", "), last.as_ref())
        }
    }
}
