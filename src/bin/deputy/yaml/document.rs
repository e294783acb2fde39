//! YAML documents, and where they are wrong.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_yaml_ng::Value;

use crate::report::visible;

/// Reads a document.
///
/// # Errors
/// The first that is wrong, also a key that stands twice or is empty.
pub fn read(text: &str) -> Result<Value, serde_yaml_ng::Error> {
    let read = serde_yaml_ng::from_str(text);
    // Nothing at all is no value to look into.
    if !matches!(read, Ok(Value::Null)) {
        serde_yaml_ng::from_str::<Keys>(text)?;
    }
    read
}

/// The line in which a second document begins. No other line can begin like this.
pub fn second(text: &str) -> Option<usize> {
    let is = |line: &str, marker: &str| {
        let rest = line.strip_prefix(marker);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
    };
    let (mut has_begun, mut has_ended) = (false, false);
    for (number, line) in (1..).zip(text.lines()) {
        let begins = is(line, "---");
        let says_something = !(line.trim().is_empty() || line.starts_with(['#', '%']));
        if is(line, "...") {
            has_ended = has_begun;
        } else if begins && has_begun || says_something && has_ended {
            return Some(number);
        } else {
            has_begun |= begins || says_something;
        }
    }
    None
}

/// Looks for a character that YAML forbids.
///
/// # Errors
/// `LINE:COLUMN: what`, of the first. The parser knows only how many bytes stand before it.
pub fn check_characters(text: &str) -> Result<(), String> {
    let forbidden = |c: char| {
        c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')
            || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    let Some((place, c)) = text.char_indices().find(|(_, c)| forbidden(*c)) else { return Ok(()) };
    let before = text.get(..place).unwrap_or_default();
    Err(format!("{}: YAML forbids the character `{}`", end(before), c.escape_unicode()))
}

/// `LINE:COLUMN` of what follows this text.
fn end(before: &str) -> String {
    let line = before.matches('\n').count().saturating_add(1);
    let last = before.rsplit('\n').next().unwrap_or_default();
    format!("{line}:{}", last.chars().count().saturating_add(1))
}

/// The text of a file.
///
/// # Errors
/// `LINE:COLUMN: what`, where it is not UTF-8.
pub fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..sound).unwrap_or_default());
        format!("{}: not UTF-8", end(&before))
    })
}

/// A value of whose keys, and of whose values' keys, none stands twice and none is empty. The parser
/// knows only where the mapping around them begins.
struct Keys;

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
