//! How conditions relate, for those who compare policies, and how they read.

use std::fmt::Display;

use super::{Condition, Test};
use crate::policy::source::Presence;

impl Condition {
    /// The conditions of which one holds exactly where this one does; none if it has no such parts.
    #[must_use]
    pub fn alternatives(&self) -> Vec<Self> {
        if self.presence == Presence::Optional {
            let absent = Self { presence: Presence::Absent, tests: Vec::new() };
            let present = Self { presence: Presence::Required, ..self.clone() };
            return vec![absent, present];
        }
        let listed = self.tests.iter().enumerate().find_map(|(at, test)| match test {
            Test::OneOf(values) if values.len() > 1 => Some((at, values)),
            _ => None,
        });
        let Some((at, values)) = listed else { return Vec::new() };
        let only = |value: &serde_json::Value| {
            let tests = self.tests.iter().enumerate().map(|(index, test)| {
                if index == at { Test::OneOf(vec![value.clone()]) } else { test.clone() }
            });
            Self { presence: self.presence, tests: tests.collect() }
        };
        values.iter().map(only).collect()
    }

    /// Whether both never hold for one value, if that shows.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        match (self.presence, other.presence) {
            (Presence::Absent, Presence::Required) | (Presence::Required, Presence::Absent) => true,
            (Presence::Required, _) | (_, Presence::Required) => {
                let tests = [self.tests.as_slice(), &other.tests].concat();
                Self { presence: Presence::Required, tests }.contradiction().is_some()
            }
            _ => false,
        }
    }

    /// Whether it holds only where there is a value.
    #[must_use]
    pub fn needs_value(&self) -> bool {
        self.presence == Presence::Required
    }

    /// The condition as a statement: `is at most 5`.
    #[must_use]
    pub fn statement(&self) -> impl Display {
        let tests: Vec<String> = self.tests.iter().map(Test::statement).collect();
        match self.presence {
            Presence::Absent => "is absent".to_owned(),
            Presence::Required if tests.is_empty() => "is present".to_owned(),
            Presence::Required => tests.join(" and "),
            Presence::Optional => format!("is absent or {}", tests.join(" and ")),
        }
    }
}

impl Test {
    fn statement(&self) -> String {
        let text = self.to_string();
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let verb = match verb {
            "be" => "is",
            "have" => "has",
            "include" => "includes",
            "match" => "matches",
            other => other,
        };
        format!("{verb} {rest}")
    }
}
