//! JSON text in, a serde type out; every structural error at once, each with its path.
//!
//! serde stops at the first error. So the offending value is cut out and the rest is read again,
//! until nothing new comes up: each round removes a value, so the loop ends.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::error::{ConfigErrors, Problems};
use crate::json;

/// Limits for configuration, which comes from an operator and not from the network: deep enough for
/// any policy, large enough for 100 000 rules.
const LIMITS: json::Limits = json::Limits { depth: 64, members: 10_000_000, values: 10_000_000 };

/// Reads JSON text into a value, by the same strict rules as a request body.
///
/// # Errors
/// One error without a path if the text is not strict JSON (RFC 8259, no duplicate names).
pub fn value(text: &[u8]) -> Result<Value, ConfigErrors> {
    let mut problems = Problems::default();
    if let Err(error) = json::check(text, &LIMITS) {
        problems.add("", format!("the configuration is not strict JSON: {error}"));
        return problems.into_result(None);
    }
    match serde_json::from_slice(text) {
        Ok(value) => Ok(value),
        Err(error) => {
            problems.add("", format!("the configuration is not JSON: {error}"));
            problems.into_result(None)
        }
    }
}

/// Reads a JSON value into `T`.
///
/// # Errors
/// Every unknown field, missing field and wrong type, each with its path.
pub fn typed<T: DeserializeOwned>(mut value: Value) -> Result<T, ConfigErrors> {
    let mut problems = Problems::default();
    let mut cuts = Cuts::default();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(typed) => return problems.into_result(Some(typed)),
            Err(error) => error,
        };
        let place = cuts.original(error.path());
        let message = error.inner().to_string();
        // A field that an earlier round cut out is missing now; that is our doing.
        let missing = quoted(&message, "missing field ").map(|field| member(&place, field));
        if !missing.is_some_and(|field| cuts.places.contains(&field)) {
            note(&mut problems, &place, &message);
        }
        if !cuts.cut(&mut value, error.path()) {
            return problems.into_result(None);
        }
    }
}

fn note(problems: &mut Problems, place: &str, message: &str) {
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
        found => found,
    };
    let expected = match expected {
        "u64" | "u32" | "u16" | "usize" => "a whole number",
        "a sequence" => "a list",
        "a map" => "an object",
        "a boolean" => "`true` or `false`",
        other if other.starts_with("struct ") => "an object",
        other if other.contains("enum ") => "one of its forms",
        other => other,
    };
    format!("{found}, expected {expected}")
}

fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.split('`').nth(1)
}

fn member(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// What has been cut out so far, so that later paths can still name the original places.
#[derive(Default)]
struct Cuts {
    places: BTreeSet<String>,
    /// By list, the original indices of the elements that are gone, ascending.
    elements: BTreeMap<String, BTreeSet<usize>>,
}

impl Cuts {
    /// The path in the document as it was pushed.
    fn original(&self, path: &Path) -> String {
        path.iter().fold(String::new(), |place, step| match step {
            Segment::Map { key } | Segment::Enum { variant: key } => member(&place, key),
            Segment::Seq { index } => format!("{place}[{}]", self.original_index(&place, *index)),
            Segment::Unknown => place,
        })
    }

    fn original_index(&self, list: &str, index: usize) -> usize {
        let gone = self.elements.get(list).into_iter().flatten();
        gone.fold(index, |index, gone| if *gone <= index { index.saturating_add(1) } else { index })
    }

    /// Cuts the value at `path` out; false when that would be the document itself.
    fn cut(&mut self, document: &mut Value, path: &Path) -> bool {
        let place = self.original(path);
        let mut steps: Vec<&Segment> = path.iter().collect();
        let Some(last) = steps.pop() else { return false };
        let inner = steps.into_iter().try_fold(document, |value, step| match step {
            Segment::Map { key } | Segment::Enum { variant: key } => value.get_mut(key),
            Segment::Seq { index } => value.get_mut(index),
            Segment::Unknown => None,
        });
        let gone = match (last, inner) {
            (
                Segment::Map { key } | Segment::Enum { variant: key },
                Some(Value::Object(members)),
            ) => members.remove(key).is_some(),
            (Segment::Seq { index }, Some(Value::Array(elements))) if *index < elements.len() => {
                elements.remove(*index);
                let path = place.rsplit_once('[').map_or("", |(list, _)| list).to_owned();
                let original = self.original_index(&path, *index);
                self.elements.entry(path).or_default().insert(original);
                true
            }
            _ => false,
        };
        self.places.insert(place);
        gone
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
    }

    fn errors(text: &str) -> String {
        value(text.as_bytes()).and_then(typed::<Outer>).unwrap_err().to_string()
    }

    #[test]
    fn every_structural_error_is_reported_at_its_original_place() {
        let text = r#"{"nam":"x","items":[{"sise":1},{"size":"1"},7,{"size":1,"label":2}]}"#;
        assert_eq!(
            errors(text),
            "items[0].sise: unknown field `sise`; help: did you mean `size`?\n\
             items[0]: missing field `size`\n\
             items[1].size: invalid type: string \"1\", expected a whole number\n\
             items[2]: invalid type: integer `7`, expected an object\n\
             items[3].label: invalid type: integer `2`, expected a string\n\
             nam: unknown field `nam`; help: did you mean `name`?\n\
             missing field `name`"
        );
    }

    #[test]
    fn text_that_two_parsers_could_read_differently_is_refused() {
        assert!(errors(r#"{"name":"a","name":"b","items":[]}"#).contains("not strict JSON"));
        assert!(errors("{} x").contains("not strict JSON"));
    }
}
