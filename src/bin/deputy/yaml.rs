//! YAML text to a JSON value.

mod lost;

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_json::Value;

use crate::report::visible;

/// Reads one YAML document.
///
/// # Errors
/// `LINE:COLUMN: what`, also for a key that stands twice and for what JSON cannot say.
pub fn value(text: &str) -> Result<Value, String> {
    // Some editors begin a file with a byte order mark; the parser takes it for a document of its own.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Not to a JSON value at once: that would let the last of two equal keys win.
    if let Some(line) = second_document(text) {
        return Err(format!("{line}:1: a second document begins"));
    }
    let yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(text)
        .map_err(|error| with_place(&Keys::check(text).err().unwrap_or(error)))?;
    if !yaml.is_null() {
        Keys::check(text).map_err(|error| with_place(&error))?;
    }
    lost::check(text, &yaml)?;
    serde_json::to_value(yaml).map_err(|error| error.to_string())
}

/// The line in which a second document begins. No other line can begin like this.
fn second_document(text: &str) -> Option<usize> {
    let mut has_begun = false;
    for (number, line) in (1..).zip(text.lines()) {
        let begins = line == "---" || line.starts_with("--- ");
        if begins && has_begun {
            return Some(number);
        }
        has_begun |= begins || !(line.trim().is_empty() || line.starts_with(['#', '%']));
    }
    None
}

/// `LINE:COLUMN: what`, as far as the place is known.
fn with_place(error: &serde_yaml_ng::Error) -> String {
    let place = error.location().map(|at| format!("{}:{}: ", at.line(), at.column()));
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or_default();
    format!("{}{message}", place.unwrap_or_default())
}

/// The text of a file.
///
/// # Errors
/// `LINE:COLUMN: what`, where it is not UTF-8.
pub fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..sound).unwrap_or_default());
        let line = before.matches('\n').count().saturating_add(1);
        let last = before.rsplit('\n').next().unwrap_or_default();
        format!("{line}:{}: not UTF-8", last.chars().count().saturating_add(1))
    })
}

/// A value of whose keys, and of whose values' keys, none stands twice and none is empty. The parser
/// knows only where the mapping around them begins.
struct Keys;

impl Keys {
    fn check(text: &str) -> Result<(), serde_yaml_ng::Error> {
        serde_yaml_ng::from_str(text).map(|Self| ())
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = members.next_key_seed(Another(&seen))? {
            seen.insert(key);
            members.next_value::<Self>()?;
        }
        Ok(self)
    }

    /// A tag, which is read elsewhere.
    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Self, A::Error> {
        let (IgnoredAny, content) = data.variant()?;
        content.newtype_variant()
    }
}

/// A key that is none of these. Where it is wrong is known while it is visited, and not after.
struct Another<'a>(&'a BTreeSet<String>);

impl<'de> DeserializeSeed<'de> for Another<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<String, D::Error> {
        input.deserialize_any(self)
    }
}

impl Visitor<'_> for Another<'_> {
    type Value = String;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("a string as the key")
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Err(E::custom("a key is empty"))
    }

    fn visit_bool<E: Error>(self, key: bool) -> Result<String, E> {
        self.visit_str(if key { "true" } else { "false" })
    }

    fn visit_u64<E: Error>(self, key: u64) -> Result<String, E> {
        self.visit_str(&key.to_string())
    }

    fn visit_i64<E: Error>(self, key: i64) -> Result<String, E> {
        self.visit_str(&key.to_string())
    }

    fn visit_f64<E: Error>(self, key: f64) -> Result<String, E> {
        self.visit_str(&key.to_string())
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        if self.0.contains(key) {
            return Err(E::custom(format!("the key `{}` stands twice", visible(key))));
        }
        Ok(key.to_owned())
    }
}

/// Writes a text as a YAML scalar: plain where that is safe, else between double quotes.
pub fn scalar(text: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "/._:-".contains(c);
    let reads_back = serde_yaml_ng::from_str::<String>(text).is_ok_and(|read| read == text)
        && serde_yaml_ng::from_str::<serde_yaml_ng::Value>(text)
            .is_ok_and(|value| value.is_string());
    if reads_back && text.chars().all(is_safe) { text.to_owned() } else { quoted(text) }
}

/// A JSON string is a YAML scalar between double quotes.
fn quoted(text: &str) -> String {
    escaped(&Value::from(text).to_string())
}

/// JSON text without the characters that YAML takes for line breaks or forbids.
pub fn escaped(json: &str) -> String {
    let forbidden = |c: char| {
        matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
    };
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if forbidden(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Every line of `text` behind `depth` spaces.
pub fn indented(text: &str, depth: usize) -> String {
    let margin = " ".repeat(depth);
    text.lines().fold(String::new(), |out, line| out + &margin + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_reads_as_it_was() {
        for (text, written) in [
            ("/run/secret.yaml", "/run/secret.yaml"),
            ("127.0.0.1", "127.0.0.1"),
            ("1.5", "\"1.5\""),
            ("true", "\"true\""),
            ("", "\"\""),
            (".", "."),
            ("a: b # c", "\"a: b # c\""),
            ("a\nb\u{2028}\"", "\"a\\nb\\u2028\\\"\""),
        ] {
            let read: String = serde_yaml_ng::from_str(&scalar(text)).unwrap();
            assert_eq!((scalar(text).as_str(), read.as_str()), (written, text));
        }
    }

    #[test]
    fn a_number_that_json_has_not_is_refused() {
        for text in [".inf", "-.inf", ".nan", "{a: {b: [1, .inf]}}"] {
            let place = if text.starts_with('{') { "a.b[1]" } else { "" };
            assert_eq!(value(text), Err(format!(" {place}: JSON has no such number")), "{text}");
        }
        assert!(value("{a: 1.5, b: -1, c: 1e300}").is_ok());
    }

    #[test]
    fn nothing_is_not_null_where_either_could_be_meant() {
        for (text, path) in [
            (
                "tools:\n  pay:\n    - arguments:\n        n:\n          equals:\n",
                "tools.pay[0].arguments.n.equals",
            ),
            ("{a: [1, {includes: }]}", "a[1].includes"),
            ("a: &it {equals: }\nb: *it", "a.equals"),
            ("{\"equals\": }", "equals"),
        ] {
            let told = format!(" {path}: it is empty; write `null` if that is what you mean");
            assert_eq!(value(text), Err(told), "{text}");
        }
        for text in
            ["equals: null", "{equals: ~}", "equals: ''", "equals:\n  - 1", "equal:", "- ", ""]
        {
            assert!(value(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        assert!(value("a: {b: 1, b: 2}").is_err());
    }
}
