//! What a rule wants and what a call has, in words.

use mcp_deputy::policy::condition::{Place, Unclear};
use mcp_deputy::policy::rule::{Asked, Authentication, Rule, Test};
use mcp_deputy::token::{Caller, ScopeSet, ScopeTable};
use serde_json::{Value, json};

use crate::moment::Moment;
use crate::yaml;

/// One thing that a rule wants.
pub struct Requirement {
    /// What.
    pub wants: String,
    /// What the call has of it.
    pub has: String,
    /// Whether that is enough.
    pub holds: bool,
    /// Whether this caller could have it, by another token or another call.
    pub is_obtainable: bool,
}

impl Requirement {
    /// All that a rule wants, in the order in which it is tried.
    pub fn all(rule: &Rule, asked: Asked, at: Moment, table: &ScopeTable) -> Vec<Self> {
        let caller = asked.caller;
        let scopes = (!rule.scopes.is_empty()).then(|| Self {
            wants: format!("the scopes {}", names(&rule.scopes, table)),
            has: held(caller, table),
            holds: caller.scopes.contains_all(&rule.scopes),
            is_obtainable: true,
        });
        let others = rule.requirements.iter().map(|requirement| {
            let test = &requirement.test;
            let (wants, has) = words(test, asked, at, table);
            let is_obtainable = !matches!(test, Test::Clients(_) | Test::Claim(..));
            Self { wants, has, holds: test.holds(asked), is_obtainable }
        });
        scopes.into_iter().chain(others).collect()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({"wants": self.wants, "has": self.has, "holds": self.holds})
    }
}

/// What a test wants, and what there is.
fn words(test: &Test, asked: Asked, at: Moment, table: &ScopeTable) -> (String, String) {
    let Asked { caller, arguments, .. } = asked;
    let value = |value: Result<Option<&Value>, Unclear>| match value {
        Ok(Some(value)) => yaml::escaped(&value.to_string()),
        Ok(None) => "nothing".to_owned(),
        Err(Unclear) => "what some servers read as it".to_owned(),
    };
    let argument =
        |place: &Place| value(arguments.map_or(Ok(None), |arguments| place.find(arguments)));
    match test {
        Test::AnyScope { any, .. } => {
            let wants = format!("one of the scopes {}", names(any, table));
            (wants, held(caller, table))
        }
        Test::Clients(clients) => {
            let clients: Vec<&str> = clients.iter().map(AsRef::as_ref).collect();
            let has = caller.claims.client.as_deref().unwrap_or("nothing");
            (format!("one of the clients {}", clients.join(", ")), has.to_owned())
        }
        Test::Authentication(needed) => (needed.to_string(), signed_in(needed, caller, at)),
        Test::Claim(place, condition) => {
            let has = value(Ok(place.of_claims(&caller.claims.members)));
            (format!("the claim `{place}` must {condition}"), has)
        }
        Test::Time(window) => (format!("a time {window}"), at.to_string()),
        Test::Argument(place, condition) => {
            (format!("the argument `{place}` must {condition}"), argument(place))
        }
        Test::OnlyArguments(known) => {
            let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
            let but = if known.is_empty() { "" } else { " but " };
            let has: Vec<&str> = arguments
                .into_iter()
                .flat_map(|arguments| arguments.keys())
                .map(String::as_str)
                .collect();
            let has = if has.is_empty() { "nothing".to_owned() } else { has.join(", ") };
            (format!("no arguments{but}{}", known.join(", ")), has)
        }
        Test::ClearArguments(places) => {
            let names: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
            let has: Vec<String> = places.iter().map(argument).collect();
            let wants = format!("the arguments {} as all servers read them", names.join(" and "));
            (wants, has.join(", "))
        }
    }
}

fn signed_in(needed: &Authentication, caller: &Caller, at: Moment) -> String {
    let class = caller.claims.acr.as_deref().map(|acr| format!("the class {acr}"));
    let age = caller.claims.auth_time.map(|time| at.0.saturating_sub(time));
    let age = age.map(|age| format!("{age} seconds ago"));
    let class = class.filter(|_| !needed.acr_values.is_empty());
    let age = age.filter(|_| needed.max_age.is_some());
    let has: Vec<String> = class.into_iter().chain(age).collect();
    if has.is_empty() { "nothing".to_owned() } else { has.join(", ") }
}

/// The names in a set, for people.
pub fn names(scopes: &ScopeSet, table: &ScopeTable) -> String {
    let names = table.names(scopes);
    if names.is_empty() { "nothing".to_owned() } else { names.join(" ") }
}

/// What a caller was granted, and what that implies.
fn held(caller: &Caller, table: &ScopeTable) -> String {
    let implied = caller.scopes.difference(&caller.granted);
    let granted = names(&caller.granted, table);
    if implied.is_empty() {
        return granted;
    }
    format!("{granted}, which implies {}", names(&implied, table))
}
