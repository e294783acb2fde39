//! Terms and targets in words, for who reads a change and not the policy.

use super::term::Term;
use super::ways::Treatment;
use super::{Kind, Needs, Region};
use crate::exchange::Target;
use crate::policy::rule::{Binding, Rule, Test};
use crate::policy::source::DenialShape;
use crate::response::Redaction;
use crate::token::{ScopeSet, ScopeTable};

/// Whom a change concerns that concerns all.
pub(super) const EVERY_CALLER: &str = "every caller";

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
        let mut caller = self.caller(within);
        let mut rest = String::new();
        if let Some(lacking) = self.lacking(except) {
            let but = if caller.is_empty() { "" } else { "but " };
            caller.push(format!("{but}without {lacking}"));
        } else if !except.is_empty() {
            let all: Vec<String> = except.iter().map(|term| self.term(term)).collect();
            rest = format!("; {kept} {}", all.join(", or "));
        }
        let who = if caller.is_empty() {
            EVERY_CALLER.to_owned()
        } else {
            format!("callers {}", caller.join(" "))
        };
        let circumstances = self.circumstances(within);
        let space = if circumstances.is_empty() { "" } else { " " };
        format!("{who}{space}{circumstances}{rest}")
    }

    /// The scopes that a caller lacks to whom none of the exceptions applies, if they are about scopes
    /// alone and can be told in one go.
    fn lacking(self, except: &[Term]) -> Option<String> {
        if except.iter().any(|term| !term.tests.is_empty()) {
            return None;
        }
        let names = except.iter().map(|term| self.scopes.names(&term.scopes));
        let names: Vec<Vec<&str>> = names.collect();
        match names.as_slice() {
            [] => None,
            [one] if one.len() > 1 => Some(format!("all of the scopes {}", list(one, "and"))),
            several if several.iter().any(|one| one.len() > 1) => None,
            [one] => Some(format!("the scope {}", one.concat())),
            several => Some(format!("any of the scopes {}", list(&several.concat(), "or"))),
        }
    }

    /// A term that does not stand alone: `for callers with the scope a if the argument …`.
    fn term(self, term: &Term) -> String {
        let mut parts = self.caller(term);
        if !parts.is_empty() {
            parts.insert(0, "for callers".to_owned());
        }
        let circumstances = self.circumstances(term);
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
        parts.extend(self.phrases(term, &[Slot::Caller]));
        let claims = self.phrases(term, &[Slot::Claim]);
        if !claims.is_empty() {
            parts.push(claims.join(" and "));
        }
        parts
    }

    /// When, and with which arguments.
    fn circumstances(self, term: &Term) -> String {
        let mut parts = self.phrases(term, &[Slot::Time]);
        let arguments = self.phrases(term, &[Slot::Arguments]);
        if !arguments.is_empty() {
            parts.push(format!("if {}", arguments.join(" and ")));
        }
        parts.join(" ")
    }

    /// A term for programs.
    pub(super) fn needs(self, term: &Term) -> Needs {
        let slots = [Slot::Caller, Slot::Claim, Slot::Time, Slot::Arguments];
        let names = self.scopes.names(&term.scopes);
        Needs {
            scopes: names.into_iter().map(str::to_owned).collect(),
            conditions: self.phrases(term, &slots),
        }
    }

    /// The tests that belong there.
    fn phrases(self, term: &Term, slots: &[Slot]) -> Vec<String> {
        let phrases = term.tests.iter().map(|test| self.phrase(test));
        phrases.filter(|(slot, _)| slots.contains(slot)).map(|(_, text)| text).collect()
    }

    fn phrase(self, test: &Test) -> (Slot, String) {
        match test {
            Test::AnyScope { any, .. } => {
                let names = self.scopes.names(any);
                (Slot::Caller, format!("with one of the scopes {}", list(&names, "or")))
            }
            Test::Clients(clients) => {
                let names: Vec<&str> = clients.iter().map(AsRef::as_ref).collect();
                (Slot::Caller, format!("of the client {}", list(&names, "or")))
            }
            Test::Authentication(needed) => (Slot::Caller, format!("with {needed}")),
            Test::Claim(place, condition) => {
                (Slot::Claim, format!("whose claim `{place}` {}", condition.statement()))
            }
            Test::Time(window) => (Slot::Time, window.to_string()),
            Test::Argument(place, condition) => {
                (Slot::Arguments, format!("the argument `{place}` {}", condition.statement()))
            }
            Test::OnlyArguments(known) if known.is_empty() => {
                (Slot::Arguments, "there are no arguments".to_owned())
            }
            Test::OnlyArguments(known) => {
                let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                (Slot::Arguments, format!("there are no arguments but {}", list(&names, "and")))
            }
            Test::ClearArguments(places) => {
                let names: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
                let s = if names.len() > 1 { "s" } else { "" };
                let names = list(&names, "and");
                (Slot::Arguments, format!("all servers read the argument{s} {names} alike"))
            }
        }
    }
}

/// Where in a sentence a test is told.
#[derive(PartialEq)]
enum Slot {
    Caller,
    Claim,
    Time,
    Arguments,
}

/// The denials of rules, in their order.
pub(super) fn denials(rules: &[Rule]) -> String {
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

/// How a call is treated otherwise.
pub(super) fn treatment(old: Treatment, new: Treatment) -> Vec<(Kind, String)> {
    let mut texts = Vec::new();
    if old.target != new.target {
        texts.push((Kind::Delegation, delegation(old.target, new.target)));
    }
    if old.binding != new.binding {
        let text = match new.binding {
            None => "delegated by a token that is not bound to the call".to_owned(),
            Some(Binding { kind, arguments, .. }) => {
                let mut parts = vec![format!("the type {kind}")];
                parts.extend(arguments.iter().map(|place| format!("the argument {place}")));
                format!("delegated by a token that is bound to the call by {}", list(&parts, "and"))
            }
        };
        texts.push((Kind::Delegation, text));
    }
    texts.extend(redaction(old.redaction, new.redaction));
    texts
}

/// What is revealed, and what redacted.
pub(super) fn redaction(
    old: Option<&Redaction>,
    new: Option<&Redaction>,
) -> impl Iterator<Item = (Kind, String)> {
    let beyond = |one: Option<&Redaction>, other| {
        one.map(|one| one.beyond(other).map(str::to_owned).collect::<Vec<_>>()).unwrap_or_default()
    };
    let texts = [
        (Kind::Reveals, "reveals", beyond(old, new)),
        (Kind::Redacts, "redacts", beyond(new, old)),
    ];
    let texts = texts.into_iter().filter(|(_, _, names)| !names.is_empty());
    texts.map(|(kind, verb, names)| (kind, format!("{verb} {}", list(&names, "and"))))
}

/// How `new` differs from `old`.
fn delegation(old: Option<&Target>, new: Option<&Target>) -> String {
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
        let [again, each] = ["a token that may serve again", "a token for each call"];
        let (now, before) = if new.cache { (again, each) } else { (each, again) };
        parts.push(format!("by {now} instead of {before}"));
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
