//! What a rule requires besides scopes: from the words to the tests, the cheapest first.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Compiler, known_scopes};
use crate::config::{Duration, Problems};
use crate::policy::condition::{Condition, Place};
use crate::policy::rule::{Authentication, Requirement, Test};
use crate::policy::source::{OtherArguments, Presence, Require};
use crate::policy::time::Window;
use crate::token::is_scope_token;

impl Compiler<'_> {
    /// What must hold besides the scopes, the cheapest first.
    pub(super) fn requirements(
        &mut self,
        source: &Require,
        object: &str,
        path: &str,
        takes_arguments: bool,
    ) -> Vec<Requirement> {
        let path = format!("{path}.require");
        let mut requirements = Vec::new();
        let mut require = |test, message: String| {
            requirements.push(Requirement { test, message: message.into() });
        };
        let denied = |why: String| format!("Access denied: {why}.");
        for (name, is_empty) in [
            ("scopes", source.scopes.as_ref().is_some_and(Vec::is_empty)),
            ("claims", source.claims.as_ref().is_some_and(BTreeMap::is_empty)),
            ("arguments", source.arguments.as_ref().is_some_and(BTreeMap::is_empty)),
        ] {
            if is_empty {
                let help = "write what must hold, or leave it out";
                self.problems.add_with_help(format!("{path}.{name}"), "says nothing", help);
            }
        }
        if let Some(any) = &source.any_scope {
            let path = format!("{path}.any_scope");
            if any.is_empty() {
                self.problems.add_with_help(&path, "can never hold", "name at least one scope");
            }
            let table = self.around.scopes;
            let set = known_scopes(any, table, &path, self.problems);
            let first = table.set(any.first().map(String::as_str));
            let message = denied(format!("{object} requires one of the scopes {}", any.join(", ")));
            require(Test::AnyScope { any: set, first }, message);
        }
        if let Some(clients) = &source.clients {
            if clients.is_empty() {
                let path = format!("{path}.clients");
                self.problems.add_with_help(path, "can never hold", "name at least one client");
            }
            for (index, _) in clients.iter().enumerate().filter(|(_, client)| client.is_empty()) {
                self.problems
                    .add(format!("{path}.clients[{index}]"), "no client has an empty name");
            }
            let clients = clients.iter().map(|client| client.as_str().into()).collect();
            require(Test::Clients(clients), denied(format!("{object} is not open to this client")));
        }
        if source.acr_values.is_some() || source.max_age.is_some() {
            let authentication = self.authentication(source, &path);
            let message = denied(format!("{object} requires {authentication}"));
            require(Test::Authentication(authentication), message);
        }
        let mut seen = BTreeSet::new();
        for (text, condition) in source.claims.iter().flatten() {
            let path = format!("{path}.claims.{text}");
            if condition.equals == Some(Value::Null) {
                let help = "a claim that is `null` is absent: write `presence: absent`";
                self.problems.add_with_help(format!("{path}.equals"), "can never hold", help);
            }
            let place = place(text, &path, &mut seen, self.problems);
            let condition = Condition::compile(condition, &path, None, self.problems);
            if let Some(place) = place {
                self.claims.insert(place.name.clone());
                // Not what it must be: that is the policy's own affair.
                let message =
                    denied(format!("{object} is not open to a caller with this `{place}`"));
                require(Test::Claim(place, condition), message);
            }
        }
        if let Some(time) = &source.time {
            let window = Window::compile(time, &format!("{path}.time"), self.problems);
            require(Test::Time(window), denied(format!("{object} is not open at this time")));
        }
        if !takes_arguments
            && (source.arguments.is_some() || source.other_arguments == OtherArguments::Deny)
        {
            let help = "only tools and prompts have arguments";
            self.problems.add_with_help(format!("{path}.arguments"), "can never hold", help);
        }
        let mut compared = Vec::new();
        let mut named = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for (text, condition) in source.arguments.iter().flatten() {
            let path = format!("{path}.arguments.{text}");
            let place = place(text, &path, &mut seen, self.problems);
            let presence = condition.presence;
            let condition =
                Condition::compile(condition, &path, Some(&mut compared), self.problems);
            if let Some(place) = place {
                if presence != Presence::Absent {
                    named.insert(place.name.clone());
                }
                let message =
                    denied(format!("the argument `{place}` of {object} must {condition}"));
                require(Test::Argument(place, condition), message);
            }
        }
        self.claims.extend(compared.into_iter().map(|place| place.name));
        if source.other_arguments == OtherArguments::Deny {
            let known: Vec<&str> = named.iter().map(AsRef::as_ref).collect();
            let message = if known.is_empty() {
                denied(format!("{object} takes no arguments"))
            } else {
                denied(format!("{object} takes no arguments but {}", known.join(", ")))
            };
            require(Test::OnlyArguments(named), message);
        }
        requirements
    }

    fn authentication(&mut self, source: &Require, path: &str) -> Authentication {
        let acr_values = source.acr_values.as_deref().unwrap_or_default();
        if source.acr_values.as_ref().is_some_and(Vec::is_empty) {
            let path = format!("{path}.acr_values");
            self.problems.add_with_help(path, "can never hold", "name at least one class");
        }
        for (index, value) in acr_values.iter().enumerate() {
            // They go into a challenge, between quotes and apart by spaces.
            if !is_scope_token(value) {
                let help = "a class has printable ASCII characters except space, `\"` and `\\`";
                let message = format!("`{value}` is not an authentication context class");
                self.problems.add_with_help(format!("{path}.acr_values[{index}]"), message, help);
            }
        }
        let max_age = source.max_age.map(Duration::as_seconds);
        if max_age == Some(0) {
            let help = "a sign-in is counted in whole seconds: write at least `1s`";
            self.problems.add_with_help(format!("{path}.max_age"), "can never hold", help);
        }
        let acr_values = acr_values.iter().map(|value| value.as_str().into()).collect();
        Authentication { acr_values, max_age }
    }
}

/// Reads the name or place of a claim or an argument, that was not seen yet.
pub(super) fn place(
    text: &str,
    path: &str,
    seen: &mut BTreeSet<Place>,
    problems: &mut Problems,
) -> Option<Place> {
    let place = Place::parse(text);
    match &place {
        None => {
            let help = "write a name, or a JSON Pointer like `/customer/country`";
            problems.add_with_help(path, format!("`{text}` names nothing"), help);
        }
        Some(place) if !seen.insert(place.clone()) => {
            problems.add(path, format!("`{place}` is named twice"));
        }
        Some(_) => {}
    }
    place
}
