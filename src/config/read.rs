//! JSON text in, a serde type out; every structural error at once, each with its path.
//!
//! serde stops at the first error. So something that fits is put in the offending value's place and
//! the whole is read again, until nothing new comes up. Each place has a few things to try and then
//! gives way to the one around it, so the loop ends.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::{ConfigError, ConfigErrors, Problems};
use super::tracked;
use crate::json as strict;

/// Limits for configuration, which comes from an operator and not from the network: deep enough for
/// any policy, large enough for 100 000 rules.
const LIMITS: strict::Limits =
    strict::Limits { depth: 64, members: 10_000_000, values: 10_000_000 };

/// Reads JSON text into a value, by the same strict rules as a request body.
///
/// # Errors
/// One error without a path if the text is not strict JSON (RFC 8259, no duplicate names).
pub fn value(text: &[u8]) -> Result<Value, ConfigErrors> {
    check(text)?;
    let mut problems = Problems::default();
    match serde_json::from_slice(text) {
        Ok(value) => Ok(value),
        Err(error) => {
            problems.add("", format!("the configuration is not JSON: {error}"));
            problems.into_result(None)
        }
    }
}

/// Checks that JSON text is strict.
///
/// # Errors
/// One error without a path if it is not.
pub(super) fn check(text: &[u8]) -> Result<(), ConfigErrors> {
    let mut problems = Problems::default();
    if let Err(error) = strict::check(text, &LIMITS) {
        problems.add("", format!("the configuration is not strict JSON: {error}"));
    }
    problems.into_result(Some(()))
}

/// Adds to `problems` the members of one object whose names differ by their case alone: the filter
/// refuses such a text, as some parsers take one for the other.
pub(super) fn check_names(value: &Value, path: &str, problems: &mut Problems) {
    match value {
        Value::Object(members) => {
            let mut seen = BTreeMap::new();
            for (name, value) in members {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{name}");
                if let Some(other) = seen.insert(strict::folded(name.as_str().into()), name) {
                    problems.add(&path, format!("differs from `{other}` by its case alone"));
                }
                check_names(value, &path, problems);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                check_names(value, &format!("{path}[{index}]"), problems);
            }
        }
        _ => {}
    }
}

/// Reads a JSON value into a raw type.
///
/// # Errors
/// Every unknown field, missing field and wrong type, each with its path.
pub fn typed<T: DeserializeOwned>(document: Value) -> Result<T, ConfigErrors> {
    let Reading { typed, problems, .. } = reading(document);
    problems.into_result(typed)
}

/// A JSON value, read as far as that is possible.
pub struct Reading<T> {
    /// The value, with stand-ins where it is wrong.
    pub typed: Option<T>,
    /// What is wrong with it.
    pub problems: Problems,
    stand_ins: StandIns,
    /// Where a field that is not known was left out.
    left_out: Vec<Place>,
}

impl<T> Reading<T> {
    /// What is wrong with what the value says, of all that `found` says so: what a stand-in brought
    /// about is left out. None if stand-ins could have brought about anything.
    pub fn of_its_own(&self, found: Vec<ConfigError>) -> Option<Vec<ConfigError>> {
        // Nothing else depends on what stands in the rules for one object of a policy.
        let objects: Option<Vec<String>> = self.stand_ins.0.keys().map(Place::object).collect();
        let mut objects = objects?;
        // It was to say something there; elsewhere, the rest means what it says.
        objects.extend(self.left_out.iter().filter_map(Place::object));
        let is_doubtful = |error: &ConfigError| {
            let after = objects.iter().filter_map(|object| error.path.strip_prefix(&**object));
            after.into_iter().any(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        Some(found.into_iter().filter(|error| !is_doubtful(error)).collect())
    }
}

/// Reads a JSON value into `T`, as far as possible.
pub fn reading<T: DeserializeOwned>(mut document: Value) -> Reading<T> {
    let mut problems = Problems::default();
    let mut stand_ins = StandIns::default();
    let mut left_out = Vec::new();
    loop {
        let (error, steps) = match tracked::read::<T>(&document) {
            Ok(typed) => return Reading { typed: Some(typed), problems, stand_ins, left_out },
            Err(error) => error,
        };
        let message = error.to_string();
        let owner = Place::of(&steps);
        let mut place = owner.clone();
        let missing = quoted(&message, "missing field ");
        if let Some(field) = missing {
            place.0.push(Step::Member(field.to_owned()));
        }
        if !stand_ins.cover(&place) {
            note(&mut problems, if missing.is_some() { &owner } else { &place }, &message);
        }
        let mended = if quoted(&message, "unknown field ").is_some() {
            let removed = place.remove(&mut document);
            left_out.push(place);
            removed
        } else {
            stand_ins.put(&mut document, place, &message)
        };
        if !mended {
            return Reading { typed: None, problems, stand_ins, left_out };
        }
    }
}

fn note(problems: &mut Problems, place: &Place, message: &str) {
    let expectation = message.rsplit_once(", expected ").filter(|_| place.may_hold_a_secret());
    if let Some((found, expected)) = expectation {
        // What stands here, name or value, may be the secret itself.
        let mut around = place.clone();
        if quoted(found, "unknown field ").is_some() {
            around.0.pop();
        }
        let found = found.split(['`', '"']).next().unwrap_or_default().trim_end();
        let message = format!("{}, expected {expected}", found.replace("variant", "value"));
        let help = "name a variable of Envoy's environment; the secret itself does not belong in \
                    the configuration";
        return problems.add_with_help(around, plain(&message), help);
    }
    for (before, what) in [("unknown field ", "field"), ("unknown variant ", "value")] {
        if let Some(name) = quoted(message, before) {
            let known = message.split('`').skip(3).step_by(2);
            return problems.add_unknown(place, format!("unknown {what} `{name}`"), name, known);
        }
    }
    match message.split_once("; help: ") {
        Some((message, help)) => problems.add_with_help(place, plain(message), help),
        None => problems.add(place, plain(message)),
    }
}

/// serde's words for what it found and wanted, without the names of Rust types.
fn plain(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let found = match found {
        "invalid type: sequence" => "invalid type: list",
        "invalid type: map" => "invalid type: object",
        "invalid value: map" => "invalid value: object",
        "invalid type: unit variant" | "invalid type: unit value" => "invalid type: name alone",
        found => found,
    };
    let expected = match expected {
        "u64" | "u32" | "u16" | "usize" => "a whole number",
        "a sequence" => "a list",
        "a map" => "an object",
        "a boolean" => "`true` or `false`",
        // One of several forms: its name, and what it is set to where it is set.
        "unit" => "the name alone",
        "newtype variant" => "the name and a value",
        "map with a single key" => "an object with one name",
        other if other.starts_with("struct ") => "an object",
        other if other.contains("enum ") => "one of its forms",
        other => other,
    };
    format!("{found}, expected {expected}")
}

fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.split('`').nth(1)
}

/// Where a value stands in the document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Member(String),
    Element(usize),
}

impl Place {
    fn of(steps: &[tracked::Step]) -> Self {
        let owned = |step: &tracked::Step| match *step {
            tracked::Step::Member(name) => Step::Member(name.to_owned()),
            tracked::Step::Element(index) => Step::Element(index),
        };
        Self(steps.iter().map(owned).collect())
    }

    /// The path of the object of a policy whose rules it stands in, `policies.NAME.tools.NAME`.
    fn object(&self) -> Option<String> {
        let is_policies = matches!(self.0.first(), Some(Step::Member(name)) if name == "policies");
        let object = self.0.get(..4).filter(|_| is_policies && self.0.len() > 4)?;
        Some(Self(object.to_vec()).to_string())
    }

    /// Whether it says where a secret is, and so may hold one by mistake.
    fn may_hold_a_secret(&self) -> bool {
        let is = |step: &Step, known: &str| matches!(step, Step::Member(name) if name == known);
        let Some((section, steps)) = self.0.split_first() else { return false };
        let credentials = ["client_authentication", "actor_token"];
        is(section, "sessions")
            || is(section, "exchange")
                && steps.iter().any(|step| credentials.iter().any(|known| is(step, known)))
    }

    /// The value around this one, and the step from there.
    fn split<'a, 'd>(&'a self, document: &'d mut Value) -> Option<(&'d mut Value, &'a Step)> {
        let (last, steps) = self.0.split_last()?;
        let around = steps.iter().try_fold(document, |value, step| match step {
            Step::Member(name) => value.get_mut(name),
            Step::Element(index) => value.get_mut(index),
        });
        Some((around?, last))
    }

    fn remove(&self, document: &mut Value) -> bool {
        match self.split(document) {
            Some((Value::Object(members), Step::Member(name))) => members.remove(name).is_some(),
            _ => false,
        }
    }

    fn set(&self, document: &mut Value, value: Value) -> bool {
        match self.split(document) {
            Some((Value::Object(members), Step::Member(name))) => {
                members.insert(name.clone(), value);
                true
            }
            Some((Value::Array(elements), Step::Element(index))) => {
                elements.get_mut(*index).map(|element| *element = value).is_some()
            }
            _ => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Member(name) if number == 0 => out.write_str(name)?,
                Step::Member(name) => write!(out, ".{name}")?,
                Step::Element(index) => write!(out, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Values put in the place of wrong and missing ones, and how many were tried in each.
#[derive(Default)]
struct StandIns(BTreeMap<Place, usize>);

impl StandIns {
    /// Whether what stands at `place` is our doing.
    fn cover(&self, place: &Place) -> bool {
        self.0.keys().any(|known| place.0.starts_with(&known.0))
    }

    /// Puts the next value that might fit into `place`, or where all were tried, around it. False
    /// when that would be the document itself.
    fn put(&mut self, document: &mut Value, mut place: Place, message: &str) -> bool {
        loop {
            if place.0.is_empty() {
                return false;
            }
            let tried = self.0.entry(place.clone()).or_default();
            let next = Self::value(*tried, message);
            *tried = tried.saturating_add(1);
            match next {
                Some(value) => return place.set(document, value),
                None => place.0.pop(),
            };
        }
    }

    /// One of each kind that a field may want; for one of several names, the last of them.
    fn value(tried: usize, message: &str) -> Option<Value> {
        match tried {
            0 => Some(json!([])),
            1 => Some(json!({})),
            2 => Some(json!(0)),
            3 => Some(json!("1s")),
            4 => message.rsplit('`').nth(1).map(Value::from),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Item {
        size: u64,
        label: Option<String>,
        how: How,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum How {
        Slowly,
        Quickly,
    }

    fn errors(text: &str) -> String {
        value(text.as_bytes()).and_then(typed::<Outer>).unwrap_err().to_string()
    }

    #[test]
    fn every_structural_error_is_reported_at_its_place() {
        let text = r#"{"nam":"x","items":[
            {"sise":1},{"size":"1"},7,{"size":1,"label":2},{},{"how":"fast","size":-1}]}"#;
        assert_eq!(
            errors(text),
            "items[0].sise: unknown field `sise`; help: did you mean `size`?\n\
             items[0]: missing field `size`\n\
             items[0]: missing field `how`\n\
             items[1].size: invalid type: string \"1\", expected a whole number\n\
             items[1]: missing field `how`\n\
             items[2]: invalid type: integer `7`, expected an object\n\
             items[3].label: invalid type: integer `2`, expected a string\n\
             items[3]: missing field `how`\n\
             items[4]: missing field `size`\n\
             items[4]: missing field `how`\n\
             items[5].how: unknown value `fast`; help: known are `slowly`, `quickly`\n\
             items[5].size: invalid value: integer `-1`, expected a whole number\n\
             nam: unknown field `nam`; help: did you mean `name`?\n\
             missing field `name`"
        );
    }

    #[test]
    fn what_is_no_object_at_all_is_one_error() {
        assert_eq!(errors("7"), "invalid type: integer `7`, expected an object");
    }

    #[test]
    fn text_that_two_parsers_could_read_differently_is_refused() {
        assert!(errors(r#"{"name":"a","name":"b","items":[]}"#).contains("not strict JSON"));
        assert!(errors("{} x").contains("not strict JSON"));
    }
}
