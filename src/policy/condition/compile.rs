//! From a condition as written to its tests.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Condition, Pattern, Place, Source, Test, is_exact, is_scalar};
use crate::config::Problems;
use crate::policy::source::Presence;

/// A condition on its way.
pub(super) struct Compiler<'a> {
    /// The places of claims that it compares with; none where that is not possible.
    pub(super) claims: Option<&'a mut Vec<Place>>,
    pub(super) problems: &'a mut Problems,
}

impl Compiler<'_> {
    /// Reads what is written at `path`.
    pub(super) fn condition(&mut self, source: &Source, path: &str) -> Condition {
        let before = self.problems.count();
        let mut tests = Vec::new();
        self.values(source, path, &mut tests);
        self.bounds(source, path, &mut tests);
        self.parts(source, path, &mut tests);
        self.compare(source, path, &mut tests);
        let condition = Condition { presence: source.presence, tests };
        if self.problems.count() == before {
            self.check(&condition, path);
        }
        condition
    }

    fn add(&mut self, path: &str, name: &str, message: impl Into<String>, help: &str) {
        self.problems.add_with_help(format!("{path}.{name}"), message, help);
    }

    fn values(&mut self, source: &Source, path: &str, tests: &mut Vec<Test>) {
        let one = |value: &'_ Option<Value>| value.clone().map(|value| vec![value]);
        for (name, values) in [
            ("equals", one(&source.equals)),
            ("in", source.one_of.clone()),
            ("includes", one(&source.includes)),
        ] {
            let Some(values) = values else { continue };
            if values.is_empty() {
                self.add(path, name, "can never hold", "name at least one value");
            }
            for value in values.iter().filter(|value| !is_exact(value) || !is_scalar(value)) {
                let help = "write a string, a number within ±2^53, a boolean or null";
                self.add(path, name, format!("`{value}` is no such value"), help);
            }
            match name {
                "includes" => tests.extend(values.into_iter().map(Test::Includes)),
                _ => tests.push(Test::OneOf(values)),
            }
        }
    }

    fn bounds(&mut self, source: &Source, path: &str, tests: &mut Vec<Test>) {
        for (name, bound) in [("min", &source.min), ("max", &source.max)] {
            let Some(bound) = bound else { continue };
            if !is_exact(&Value::Number(bound.clone())) {
                let help = "write a number within ±2^53";
                self.add(path, name, format!("`{bound}` is not exact"), help);
            }
            let test = if name == "min" { Test::AtLeast } else { Test::AtMost };
            tests.push(test(bound.clone()));
        }
        if source.min_length.is_some() || source.max_length.is_some() {
            let size = |length: u64| usize::try_from(length).unwrap_or(usize::MAX);
            let least = source.min_length.map_or(0, size);
            let most = source.max_length.map_or(usize::MAX, size);
            tests.push(Test::Length { least, most });
        }
        let Some(text) = &source.matches else { return };
        match Pattern::parse(text) {
            Ok(pattern) => tests.push(Test::Matches(pattern)),
            Err(reason) => {
                let message = format!("`{text}` is not a pattern: {reason}");
                let help = "patterns are regular expressions without look-around and \
                            back-references, and match whole values";
                self.add(path, "matches", message, help);
            }
        }
    }

    fn parts(&mut self, source: &Source, path: &str, tests: &mut Vec<Test>) {
        if let Some(each) = &source.each {
            if each.presence != Presence::Required {
                self.add(path, "each.presence", "elements are always there", "leave it out");
            }
            tests.push(Test::Each(self.condition(each, &format!("{path}.each"))));
        }
        if let Some(members) = &source.members {
            let members: BTreeMap<Box<str>, Condition> = members
                .iter()
                .map(|(name, member)| {
                    let path = format!("{path}.members.{name}");
                    (name.as_str().into(), self.condition(member, &path))
                })
                .collect();
            tests.push(Test::Members(members));
        }
    }

    fn compare(&mut self, source: &Source, path: &str, tests: &mut Vec<Test>) {
        for (name, claim, test) in [
            ("equals_claim", &source.equals_claim, Test::EqualsClaim as fn(Place) -> Test),
            ("in_claim", &source.in_claim, Test::InClaim),
        ] {
            let Some(text) = claim else { continue };
            match (self.claims.as_deref_mut(), Place::parse(text)) {
                (Some(claims), Some(place)) => {
                    claims.push(place.clone());
                    tests.push(test(place));
                }
                (None, _) => {
                    self.add(path, name, "not possible here", "arguments are compared with claims");
                }
                (_, None) => {
                    let help = "write a claim's name, or a JSON Pointer like `/realm_access/roles`";
                    self.add(path, name, format!("`{text}` names no claim"), help);
                }
            }
        }
    }

    /// What is sound in its parts and makes no sense as a whole.
    fn check(&mut self, condition: &Condition, path: &str) {
        let (message, help) = match (condition.presence, condition.tests.is_empty()) {
            (Presence::Optional, true) => {
                let help = "write what it must be if it is there, or leave it out";
                ("says nothing", Some(help.to_owned()))
            }
            (Presence::Absent, false) => (
                "can never hold",
                Some("what is absent has no value: leave out the rest".to_owned()),
            ),
            _ => ("can never hold", condition.contradiction()),
        };
        if let Some(help) = help {
            self.problems.add_with_help(path, message, help);
        }
    }
}
