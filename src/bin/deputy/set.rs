//! `--set path=value`: overrides, as Helm has them.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::yaml;

/// One override: `issuers[0].issuer=https://login.example.com`. A `\` before a dot keeps it in the
/// name; the value is read as YAML.
#[derive(Clone, Debug)]
pub struct Set {
    path: String,
    steps: Vec<Step>,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

/// What looks like a list or an object may have been meant as a text.
const HELP: &str = "; help: write a text that begins with `[`, `{` or the like between double quotes, \
                    as in `envoy.listen=\"[::1]:10000\"`";

impl FromStr for Set {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) =
            text.split_once('=').ok_or("write it like `limits.body_bytes=65536`")?;
        let steps = steps(path).ok_or_else(|| format!("`{path}` is not a path"))?;
        let value =
            yaml::value(value).map_err(|error| format!("the value is not YAML: {error}{HELP}"))?;
        Ok(Self { path: path.to_owned(), steps, value })
    }
}

fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    // No name has a control character, so one can stand for the dots that are kept.
    for part in path.replace("\\.", "\0").split('.') {
        let (name, indices) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.is_empty() || name.contains(']') {
            return None;
        }
        steps.push(Step::Member(name.replace('\0', ".")));
        for index in indices.split_terminator(']') {
            steps.push(Step::Element(index.strip_prefix('[')?.parse().ok()?));
        }
        if !indices.is_empty() && !indices.ends_with(']') {
            return None;
        }
    }
    Some(steps)
}

impl Set {
    /// Overrides what is at the path; objects on the way, and one element more of a list, are made.
    ///
    /// # Errors
    /// When the path leads through something that is there and cannot be followed.
    pub fn apply(self, document: &mut Value) -> Result<(), String> {
        let mut place = document;
        for step in self.steps {
            place = match step {
                Step::Member(name) => {
                    if place.is_null() {
                        *place = Value::Object(Map::new());
                    }
                    place.as_object_mut().map(|object| object.entry(name).or_insert(Value::Null))
                }
                Step::Element(index) => {
                    if place.is_null() {
                        *place = Value::Array(Vec::new());
                    }
                    place.as_array_mut().and_then(|list| {
                        if index == list.len() {
                            list.push(Value::Null);
                        }
                        list.get_mut(index)
                    })
                }
            }
            .ok_or_else(|| format!("`--set {}`: the document has no such place", self.path))?;
        }
        *place = self.value;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(text: &str, mut document: Value) -> Result<Value, String> {
        text.parse::<Set>()?.apply(&mut document)?;
        Ok(document)
    }

    #[test]
    fn a_value_is_replaced_or_added() {
        for (text, before, after) in [
            ("a.b=1", json!({"a": {"b": 2, "c": 3}}), json!({"a": {"b": 1, "c": 3}})),
            ("a[1].b=x", json!({"a": [{}, {"b": 1}]}), json!({"a": [{}, {"b": "x"}]})),
            ("a[0]=x", json!({}), json!({"a": ["x"]})),
            ("a.b.c=127.0.0.1:80", json!({}), json!({"a": {"b": {"c": "127.0.0.1:80"}}})),
            (r"a\.b=[x, y]", json!({}), json!({"a.b": ["x", "y"]})),
            ("a=b=c", json!({}), json!({"a": "b=c"})),
        ] {
            assert_eq!(set(text, before), Ok(after), "{text}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        for text in ["a", "=1", "a..b=1", "a[x]=1", "a[0=1", "a[]=1", "[0]=1", "a]=1"] {
            assert!(text.parse::<Set>().is_err(), "{text}");
        }
        assert!(set("a[2]=1", json!({"a": []})).is_err());
        assert!(set("a.b=1", json!({"a": "text"})).is_err());
    }
}
