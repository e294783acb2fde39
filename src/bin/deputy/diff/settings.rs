//! What is no matter of policy: it is compared as it is written, value by value.

use std::collections::{BTreeMap, BTreeSet};

use mcp_deputy::mcp::Revision;
use serde_json::{Map, Value};

use super::{Line, Severity};
use crate::report::written;

/// What is compared by its meaning: policies, and the endpoints that they judge.
const JUDGED: [&str; 3] = ["policies", "endpoints", "enforcement"];

/// Where a change can let through who was kept out: whose tokens are believed, what is left alone,
/// who may call from a browser, what is revoked no longer, which headers a client may set; or can lead
/// users, tokens and calls elsewhere: where clients sign in, who is asked for delegation tokens and how
/// these are checked, how Envoy listens and where it sends.
const DOORS: [&str; 10] = [
    "issuers",
    "protected_resource.resource",
    "protected_resource.authorization_servers",
    "authorization_server_metadata",
    "ignore",
    "allowed_origins",
    REVOKED,
    STRIPPED,
    EXCHANGE,
    ENVOY,
];

const EXCHANGE: &str = "exchange";
const ENVOY: &str = "envoy";

/// What of the exchange says only how long and how often is asked.
const PATIENCE: [&str; 2] = ["timeout", "retries"];

/// Of these, what goes is closed.
const WAYS: [&str; 3] = ["envoy.admin", "envoy.clusters", "envoy.routes"];

/// Of its lists, what stands where says nothing; and what goes opens.
const REVOKED: &str = "revoked";

/// Of this list too, what goes opens: servers may believe such a header.
const STRIPPED: &str = "strip_request_headers";

/// The changes, in no particular order.
pub fn lines([old, new]: &[Value; 2]) -> Vec<Line> {
    let mut lines = Vec::new();
    compare("", Some(old), Some(new), &mut lines);
    revisions([old, new], &mut lines);
    lines
}

/// The revisions of MCP that each endpoint serves, before and after.
fn revisions(sides: [&Value; 2], lines: &mut Vec<Line>) {
    let served = |side: &Value| -> BTreeMap<String, BTreeSet<String>> {
        let all = || Revision::ALL.map(|one| one.as_str().to_owned()).into();
        let endpoints = side["endpoints"].as_array().into_iter().flatten();
        let one = |endpoint: &Value| {
            let named = endpoint["revisions"].as_array();
            let named = named.map(|named| named.iter().map(written).collect());
            (written(&endpoint["path"]), named.unwrap_or_else(all))
        };
        endpoints.map(one).collect()
    };
    let [before, after] = sides.map(served);
    for (path, new) in after {
        let Some(old) = before.get(&path) else { continue };
        for (can_open, names, what) in [
            (true, new.difference(old), "served too"),
            (false, old.difference(&new), "served no more"),
        ] {
            let names: Vec<&str> = names.map(String::as_str).collect();
            if !names.is_empty() {
                let severity = if can_open { Severity::MayOpen } else { Severity::Setting };
                let subject = format!("endpoints.{path}.revisions");
                let text = format!("{} {what}", names.join(", "));
                lines.push(Line {
                    severity,
                    subject,
                    text,
                    endpoints: Vec::new(),
                    calls: Value::Null,
                });
            }
        }
    }
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, lines: &mut Vec<Line>) {
    if old == new || JUDGED.contains(&path) {
        return;
    }
    // Without its list an issuer has the default one, which may hold more.
    let is_default_now = path.starts_with("issuers[") && new.is_none();
    let (no_object, no_list) = (Value::Object(Map::new()), Value::Array(Vec::new()));
    // What comes or goes whole is told part by part.
    let (old, new) = match (old, new) {
        (None, Some(Value::Object(_))) => (Some(&no_object), new),
        (Some(Value::Object(_)), None) => (old, Some(&no_object)),
        (None, Some(Value::Array(_))) => (Some(&no_list), new),
        (Some(Value::Array(_)), None) => (old, Some(&no_list)),
        both => both,
    };
    match (old, new) {
        // A key set says nothing to a reader.
        _ if path.starts_with("issuers[") && path.rsplit('.').next() == Some("jwks") => {
            lines.push(line(path, true, "other keys are believed".to_owned()));
        }
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
                let dot = if path.is_empty() { "" } else { "." };
                compare(&format!("{path}{dot}{name}"), before.get(name), after.get(name), lines);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after)))
            if path.starts_with(REVOKED) || before.iter().chain(after).all(Value::is_string) =>
        {
            let names = |list: &[Value], other: &[Value]| {
                let only = list.iter().filter(|value| !other.contains(value));
                only.map(written).collect::<Vec<_>>().join(", ")
            };
            let [added, removed] = [names(after, before), names(before, after)];
            let mut texts = Vec::new();
            if !added.is_empty() {
                texts.push(format!("{added} added"));
            }
            if !removed.is_empty() {
                texts.push(format!("{removed} removed"));
            }
            if texts.is_empty() {
                texts.push("in another order".to_owned());
            }
            let goes_open = [REVOKED, STRIPPED].iter().any(|list| path.starts_with(list));
            let opening = if goes_open { &removed } else { &added };
            lines.push(line(path, is_default_now || !opening.is_empty(), texts.join(", ")));
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                compare(&format!("{path}[{index}]"), before.get(index), after.get(index), lines);
            }
        }
        (None, Some(value)) => {
            let can_open = !path.starts_with(EXCHANGE) || *value != false;
            lines.push(line(path, can_open, format!("{} added", written(value))));
        }
        (Some(value), None) => {
            let was_shut = is_danger(path, value) || path.starts_with(EXCHANGE) && *value == false;
            let can_open = !was_shut && !WAYS.iter().any(|way| path.starts_with(way));
            lines.push(line(path, can_open, format!("{} removed", written(value))));
        }
        (Some(before), Some(after)) => {
            let text = format!("{} instead of {}", written(after), written(before));
            let is_safer = is_danger(path, before) && !is_danger(path, after);
            lines.push(line(path, !is_safer, text));
        }
        (None, None) => {}
    }
}

/// Whether a setting does what only one whose name or value begins with `danger` does.
fn is_danger(path: &str, value: &Value) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default();
    match value {
        Value::Bool(value) => *value && name.starts_with("danger_"),
        value => value.as_str().is_some_and(|text| text.starts_with("danger_")),
    }
}

fn line(path: &str, can_open: bool, text: String) -> Line {
    let name = path.rsplit('.').next().unwrap_or_default();
    let is_patience = path.starts_with(EXCHANGE) && PATIENCE.contains(&name);
    let is_at = |door: &&str| {
        let rest = path.strip_prefix(*door);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let is_door = !is_patience && DOORS.iter().any(is_at);
    let severity = if is_door && can_open { Severity::MayOpen } else { Severity::Setting };
    Line { severity, subject: path.to_owned(), text, endpoints: Vec::new(), calls: Value::Null }
}
