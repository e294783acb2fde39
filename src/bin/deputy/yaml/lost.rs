//! What would become `null` in JSON, and is not written so.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml_ng::Value;

/// What may be `null`: with nothing behind it, it is a value that somebody forgot.
const COMPARED: [&str; 2] = ["equals", "includes"];

/// Checks the YAML text, which was read as `read`.
///
/// # Errors
/// ` PATH: what`.
pub fn check(text: &str, read: &Value) -> Result<(), String> {
    if let Some(path) = infinite(read, String::new()) {
        return Err(format!(" {path}: JSON has no such number"));
    }
    compared(text, read).map_or(Ok(()), |path| {
        Err(format!(" {path}: it is empty; write `null` if that is what you mean"))
    })
}

/// The path of the first number that is infinite or none at all.
fn infinite(yaml: &Value, path: String) -> Option<String> {
    match yaml {
        Value::Number(number) => (!number.is_finite()).then_some(path),
        Value::Sequence(elements) => {
            let mut elements = elements.iter().enumerate();
            elements.find_map(|(index, element)| infinite(element, format!("{path}[{index}]")))
        }
        Value::Mapping(members) => members.iter().find_map(|(name, member)| {
            let dot = if path.is_empty() { "" } else { "." };
            infinite(member, format!("{path}{dot}{}", name.as_str().unwrap_or_default()))
        }),
        Value::Tagged(tagged) => infinite(&tagged.value, path),
        _ => None,
    }
}

/// The path of the first comparison with nothing in the YAML text, which was read as `read`.
fn compared(text: &str, read: &Value) -> Option<String> {
    let written = Written { read, is_compared: false };
    let path = written.deserialize(serde_yaml_ng::Deserializer::from_str(text)).ok()??;
    Some(path.trim_start_matches('.').to_owned())
}

/// A value as it is written, which was read as `read`. Both nothing and `null` are read as that.
struct Written<'a> {
    read: &'a Value,
    is_compared: bool,
}

impl<'de> DeserializeSeed<'de> for Written<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        match self.read {
            Value::Null => input.deserialize_str(self),
            Value::Sequence(_) => input.deserialize_seq(self),
            Value::Mapping(_) => input.deserialize_map(self),
            _ => input.deserialize_ignored_any(IgnoredAny).map(|_| None),
        }
    }
}

impl<'de> Visitor<'de> for Written<'_> {
    type Value = Option<String>;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("what was read before")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok((self.is_compared && text.is_empty()).then(String::new))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        for (index, read) in self.read.as_sequence().into_iter().flatten().enumerate() {
            let inner = input.next_element_seed(Written { read, is_compared: false })?.flatten();
            found = found.or(inner.map(|path| format!("[{index}]{path}")));
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        for (name, read) in self.read.as_mapping().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            input.next_key::<IgnoredAny>()?;
            let is_compared = COMPARED.contains(&name);
            let inner = input.next_value_seed(Written { read, is_compared })?;
            found = found.or(inner.map(|path| format!(".{name}{path}")));
        }
        Ok(found)
    }
}
