//! A serde deserializer for JSON values that remembers where it stood when something did not fit.

use std::cell::RefCell;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Error, Map, Number, Value};

/// A step from a value into it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'d> {
    Member(&'d str),
    Element(usize),
}

/// Reads `document`, or says what does not fit and the steps to where it stands.
pub(super) fn read<'d, T: Deserialize<'d>>(
    document: &'d Value,
) -> Result<T, (Error, Vec<Step<'d>>)> {
    let steps = RefCell::default();
    let outcome = T::deserialize(Tracked { value: document, steps: &steps });
    outcome.map_err(|error| (error, steps.into_inner()))
}

/// A value to read. `steps` lead to it: they are taken back where all went well, and so stay where
/// they led when something did not.
#[derive(Clone, Copy)]
struct Tracked<'t, 'd> {
    value: &'d Value,
    steps: &'t RefCell<Vec<Step<'d>>>,
}

impl<'d> Tracked<'_, 'd> {
    fn within<T>(
        self,
        step: Step<'d>,
        read: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.steps.borrow_mut().push(step);
        let outcome = read();
        if outcome.is_ok() {
            self.steps.borrow_mut().pop();
        }
        outcome
    }

    fn elements<V: Visitor<'d>>(self, all: &'d [Value], visitor: V) -> Result<V::Value, Error> {
        let mut elements = Elements { around: self, rest: all.iter().enumerate() };
        let value = visitor.visit_seq(&mut elements)?;
        match elements.rest.len() {
            0 => Ok(value),
            _ => Err(Error::invalid_length(all.len(), &"fewer elements")),
        }
    }

    fn members<V: Visitor<'d>>(
        self,
        all: &'d Map<String, Value>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut members = Members { around: self, rest: all.iter(), next: None };
        let value = visitor.visit_map(&mut members)?;
        match members.rest.len() {
            0 => Ok(value),
            _ => Err(Error::invalid_length(all.len(), &"fewer members")),
        }
    }
}

impl<'d> Deserializer<'d> for Tracked<'_, 'd> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => number.deserialize_any(visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(elements) => self.elements(elements, visitor),
            Value::Object(members) => self.members(members, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            // Who has left the value out, or made a comment of it, meant to say something.
            Value::Null => {
                Err(Error::custom("it is empty; help: write a value, or leave the name out too"))
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'d>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'d>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.value {
            // serde would read it as the fields in their order.
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'d>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let unfit = |found| {
            let expected = format!("one of `{}`", known.join("`, `"));
            Err(Error::invalid_type(found, &&*expected))
        };
        let (name, content) = match self.value {
            Value::String(name) => (name, None),
            Value::Object(members) => {
                let mut members = members.iter();
                let (Some((name, content)), None) = (members.next(), members.next()) else {
                    return Err(Error::invalid_value(Unexpected::Map, &"map with a single key"));
                };
                (name, Some(content))
            }
            Value::Null => return unfit(Unexpected::Unit),
            Value::Bool(value) => return unfit(Unexpected::Bool(*value)),
            Value::Number(number) => return unfit(unexpected(number)),
            Value::Array(_) => return unfit(Unexpected::Seq),
        };
        visitor.visit_enum(Variant { around: self, name, content })
    }

    fn deserialize_ignored_any<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <W: Visitor<'d>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier
    }
}

fn unexpected(number: &Number) -> Unexpected<'static> {
    let unsigned = number.as_u64().map(Unexpected::Unsigned);
    let signed = number.as_i64().map(Unexpected::Signed);
    let float = number.as_f64().map(Unexpected::Float);
    unsigned.or(signed).or(float).unwrap_or(Unexpected::Other("number"))
}

struct Elements<'t, 'd> {
    around: Tracked<'t, 'd>,
    rest: std::iter::Enumerate<std::slice::Iter<'d, Value>>,
}

impl<'d> SeqAccess<'d> for Elements<'_, 'd> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'d>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some((index, value)) = self.rest.next() else { return Ok(None) };
        let element = Tracked { value, ..self.around };
        self.around.within(Step::Element(index), || seed.deserialize(element)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Members<'t, 'd> {
    around: Tracked<'t, 'd>,
    rest: serde_json::map::Iter<'d>,
    next: Option<(&'d str, &'d Value)>,
}

impl<'d> MapAccess<'d> for Members<'_, 'd> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'d>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        self.next = Some((name, value));
        let key = BorrowedStrDeserializer::new(name);
        self.around.within(Step::Member(name), || seed.deserialize(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'d>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let next = self.next.take().ok_or_else(|| Error::custom("a value without its name"))?;
        let member = Tracked { value: next.1, ..self.around };
        self.around.within(Step::Member(next.0), || seed.deserialize(member))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Variant<'t, 'd> {
    around: Tracked<'t, 'd>,
    name: &'d str,
    content: Option<&'d Value>,
}

impl<'d> Variant<'_, 'd> {
    fn content<T>(
        self,
        read: impl FnOnce(Tracked<'_, 'd>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let value = self.content.unwrap_or(&Value::Null);
        let content = Tracked { value, ..self.around };
        self.around.within(Step::Member(self.name), || read(content))
    }
}

impl<'t, 'd> EnumAccess<'d> for Variant<'t, 'd> {
    type Error = Error;
    type Variant = Variant<'t, 'd>;

    fn variant_seed<S: DeserializeSeed<'d>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), Error> {
        Ok((seed.deserialize(BorrowedStrDeserializer::new(self.name))?, self))
    }
}

impl<'d> VariantAccess<'d> for Variant<'_, 'd> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            None => Ok(()),
            Some(_) => self.content(|content| <()>::deserialize(content)),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'d>>(self, seed: S) -> Result<S::Value, Error> {
        match self.content {
            None => Err(Error::invalid_type(Unexpected::UnitVariant, &"newtype variant")),
            Some(_) => self.content(|content| seed.deserialize(content)),
        }
    }

    fn tuple_variant<V: Visitor<'d>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.content(|content| content.deserialize_any(visitor))
    }

    fn struct_variant<V: Visitor<'d>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.content(|content| content.deserialize_struct("", fields, visitor))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        kinds: BTreeMap<String, Vec<Kind>>,
        pair: Option<(u8, bool)>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    enum Kind {
        Plain,
        Named(String),
        Sized { size: u64 },
    }

    #[test]
    fn it_reads_and_refuses_as_serde_json_does_and_says_where() {
        for (document, place) in [
            (json!({"kinds": {"a": ["plain", {"named": "x"}, {"sized": {"size": 1}}]}}), None),
            (json!({"kinds": {}, "pair": [1, true]}), None),
            (json!({"kinds": {"a": ["round"]}}), Some("kinds a 0")),
            (json!({"kinds": {"a": [{"round": 1}]}}), Some("kinds a 0")),
            (json!({"kinds": {"a": [{}]}}), Some("kinds a 0")),
            (json!({"kinds": {"a": ["named"]}}), Some("kinds a 0")),
            (json!({"kinds": {"a": [{"named": 7}]}}), Some("kinds a 0 named")),
            (json!({"kinds": {"a": [{"plain": 7}]}}), Some("kinds a 0 plain")),
            (json!({"kinds": {"a": [{"sized": {"size": -1}}]}}), Some("kinds a 0 sized size")),
            (json!({"kinds": {"a": [{"sized": {"sise": 1}}]}}), Some("kinds a 0 sized sise")),
            (json!({"kinds": {"a": [{"sized": {}}]}}), Some("kinds a 0 sized")),
            (json!({"kinds": {}, "pair": [1]}), Some("pair")),
            (json!({"kinds": {}, "pair": [1, 2]}), Some("pair 1")),
            (json!({"kinds": {}, "pair": [256, true]}), Some("pair 0")),
            (json!({"kinds": {}, "other": 1}), Some("other")),
            (json!({}), Some("")),
            (json!(1.5), Some("")),
        ] {
            let plain = Outer::deserialize(&document).map_err(|error| error.to_string());
            let tracked = read::<Outer>(&document);
            let steps = |steps: &[Step]| {
                let texts = steps.iter().map(|step| match step {
                    Step::Member(name) => (*name).to_owned(),
                    Step::Element(index) => index.to_string(),
                });
                texts.collect::<Vec<_>>().join(" ")
            };
            let found = tracked.as_ref().err().map(|(_, found)| steps(found));
            assert_eq!(found.as_deref(), place, "{document}");
            assert_eq!(tracked.map_err(|(error, _)| error.to_string()), plain, "{document}");
        }
    }

    /// serde would read one by the order of its fields.
    #[test]
    fn a_list_is_no_object() {
        for (document, place) in [(json!([{}]), 0), (json!({"kinds": {"a": [{"sized": [1]}]}}), 4)]
        {
            let (error, steps) = read::<Outer>(&document).unwrap_err();
            assert!(error.to_string().starts_with("invalid type: sequence, expected "), "{error}");
            assert_eq!(steps.len(), place, "{document}");
        }
    }

    #[test]
    fn what_may_be_left_out_is_not_left_empty() {
        let document = json!({"kinds": {}, "pair": null});
        let (error, steps) = read::<Outer>(&document).unwrap_err();
        let expected = "it is empty; help: write a value, or leave the name out too";
        assert_eq!((error.to_string().as_str(), steps.len()), (expected, 1));
    }

    #[test]
    fn what_an_enum_may_be_is_told() {
        let document = json!({"kinds": {"a": ["plain", 7]}});
        let (error, steps) = read::<Outer>(&document).unwrap_err();
        let expected = "invalid type: integer `7`, expected one of `plain`, `named`, `sized`";
        assert_eq!((error.to_string().as_str(), steps.len()), (expected, 3));
    }
}
