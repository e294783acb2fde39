//! A strict JSON reader: what two parsers could read differently is refused.
//!
//! `serde_json` does the lexing (RFC 8259 grammar, paired surrogates, numbers in range, nothing
//! after the value). This module walks the value once, borrowing from the text, and adds what
//! RFC 8259 section 4 and RFC 7493 (I-JSON) leave to the receiver: member names are unique, also
//! to a parser that ignores case, and depth and counts are bounded.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Bounds on one JSON text. The number of bytes is the caller's to bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How deep objects and arrays may nest; the outermost counts as one.
    pub depth: usize,
    /// How many members all objects may have together.
    pub members: usize,
    /// How many values there may be, the outermost and all nested ones together.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64, members: 10_000, values: 100_000 }
    }
}

/// Why a text is not JSON that every parser reads alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// The text is not UTF-8 (RFC 8259 section 8.1).
    NotUtf8,
    /// The text begins with a byte order mark (RFC 8259 section 8.1).
    ByteOrderMark,
    /// The text does not follow the grammar, or a number is out of range.
    Syntax,
    /// Objects and arrays nest deeper than [`Limits::depth`].
    TooDeep,
    /// There are more members than [`Limits::members`].
    TooManyMembers,
    /// There are more values than [`Limits::values`].
    TooManyValues,
    /// An object has a member twice, for a parser that ignores case.
    DuplicateMember,
    /// A member of a protocol object has a name that could pass for a significant one.
    NameVariant,
    /// A member name contains a control character.
    ControlCharacter,
    /// A member has a name that JavaScript would take for the object's prototype.
    PrototypeMember,
}

impl JsonError {
    /// The constant word for the audit record.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::ByteOrderMark => "byte_order_mark",
            Self::Syntax => "json_syntax",
            Self::TooDeep => "json_too_deep",
            Self::TooManyMembers => "json_too_many_members",
            Self::TooManyValues => "json_too_many_values",
            Self::DuplicateMember => "json_duplicate_member",
            Self::NameVariant => "json_name_variant",
            Self::ControlCharacter => "json_control_character",
            Self::PrototypeMember => "json_prototype_member",
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "the text is not UTF-8",
            Self::ByteOrderMark => "the text begins with a byte order mark",
            Self::Syntax => "the text is not valid JSON",
            Self::TooDeep => "the JSON nests too deep",
            Self::TooManyMembers => "the JSON has too many members",
            Self::TooManyValues => "the JSON has too many values",
            Self::DuplicateMember => "an object has a member twice, case aside",
            Self::NameVariant => "a member name could pass for one of the protocol's",
            Self::ControlCharacter => "a member name contains a control character",
            Self::PrototypeMember => "`__proto__` and `constructor` cannot be member names here",
        })
    }
}

impl std::error::Error for JsonError {}

/// Checks that every parser reads `text` alike.
///
/// # Errors
/// The first [`JsonError`] found; where there are several, which one is not specified.
pub fn check(text: &[u8], limits: &Limits) -> Result<(), JsonError> {
    walk(text, limits, Nobody, ()).map(|_| ())
}

/// Shown a value, it does nothing.
struct Nobody;

impl Observer for Nobody {
    type Place = ();
    fn member(&mut self, (): (), _: &str) -> Result<(), JsonError> {
        Ok(())
    }
    fn element(&mut self, (): ()) {}
    fn value(&mut self, (): (), _: Token<'_>) {}
}

/// Checks that `text` is JSON, whatever parsers make of it.
///
/// # Errors
/// [`JsonError::NotUtf8`] or [`JsonError::Syntax`].
pub fn check_syntax(text: &[u8]) -> Result<(), JsonError> {
    let text = std::str::from_utf8(text).map_err(|_| JsonError::NotUtf8)?;
    serde_json::from_str::<de::IgnoredAny>(text).map_err(|_| JsonError::Syntax).map(drop)
}

/// Reads `text` as one JSON object that every parser reads alike.
///
/// # Errors
/// As [`check`]; and [`JsonError::Syntax`] for what is not an object.
pub fn object(text: &[u8], limits: &Limits) -> Result<Map<String, Value>, JsonError> {
    object_folding(text, limits, limits.depth)
}

/// Reads `text` as the claims of a JWT. Their names have a case (RFC 7519 section 10.1.1), and below
/// them stand names that users may choose, such as those of clients: there, names that differ by case
/// alone are two.
///
/// # Errors
/// As [`object`]; of claims, also that two names differ by case alone.
pub fn claims(text: &[u8], limits: &Limits) -> Result<Map<String, Value>, JsonError> {
    object_folding(text, limits, 1)
}

#[inline(never)]
fn object_folding(
    text: &[u8],
    limits: &Limits,
    folded: usize,
) -> Result<Map<String, Value>, JsonError> {
    walk_folding(text, limits, folded, Nobody, ())?;
    serde_json::from_slice(text).map_err(|_| JsonError::Syntax)
}

/// Is shown a JSON value, part by part and in order, and says which place each part has.
///
/// Nothing it was shown may be relied on before the whole walk has succeeded.
pub(super) trait Observer {
    /// Where in the value the walk stands.
    type Place: Copy;

    /// Gives the place of the member `name` of the object at `place`, or refuses that name.
    fn member(&mut self, place: Self::Place, name: &str) -> Result<Self::Place, JsonError>;

    /// Gives the place of the next element of the array at `place`.
    fn element(&mut self, place: Self::Place) -> Self::Place;

    /// Takes the value at `place`. What an object or array holds is shown after it.
    fn value(&mut self, place: Self::Place, token: Token<'_>);
}

/// A scalar, or the beginning of an object or array.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'a> {
    Null,
    Bool,
    /// Written without fraction or exponent, and in range of `i64`.
    Integer(i64),
    /// Any other number.
    Number,
    /// Unescaped.
    String(&'a str),
    Array,
    Object,
}

/// Checks `text`, shows its value at `place` to `observer`, and gives the observer back.
pub(super) fn walk<O: Observer>(
    text: &[u8],
    limits: &Limits,
    observer: O,
    place: O::Place,
) -> Result<O, JsonError> {
    walk_folding(text, limits, limits.depth, observer, place)
}

/// The same, where names may differ by case alone that stand deeper than `folded`.
fn walk_folding<O: Observer>(
    text: &[u8],
    limits: &Limits,
    folded: usize,
    observer: O,
    place: O::Place,
) -> Result<O, JsonError> {
    let text = std::str::from_utf8(text).map_err(|_| JsonError::NotUtf8)?;
    if text.starts_with('\u{feff}') {
        return Err(JsonError::ByteOrderMark);
    }
    let folded_to = limits.depth.saturating_sub(folded);
    let mut walk = Walk { observer, left: *limits, folded_to, names: Vec::new(), refusal: None };
    let mut source = serde_json::Deserializer::from_str(text);
    let outcome = Seed { walk: &mut walk, place }.deserialize(&mut source);
    match (outcome.and_then(|()| source.end()), walk.refusal) {
        (Ok(()), None) => Ok(walk.observer),
        (_, Some(refusal)) => Err(refusal),
        (Err(_), None) => Err(JsonError::Syntax),
    }
}

/// Where in `text` the string of a token stands, without its quotes. None if it is written with
/// escapes: then the token's is a copy.
pub(super) fn span(text: &[u8], string: &str) -> Option<Range<usize>> {
    let start = string.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let span = start..start.checked_add(string.len())?;
    text.get(span.clone()).is_some_and(|part| part == string.as_bytes()).then_some(span)
}

/// The character as a parser that ignores case reads it in a name: by Unicode's simple case folding,
/// and both Turkish letters `i` as Java does.
pub(super) fn fold(character: char) -> char {
    if character.is_ascii() { character.to_ascii_lowercase() } else { fold_rare(character) }
}

/// The same of what is not ASCII, once in the filter and not wherever names are compared.
#[inline(never)]
fn fold_rare(character: char) -> char {
    if let Some((_, small)) = ALIKE_IN_CAPITALS.iter().find(|(other, _)| *other == character) {
        return *small;
    }
    let mut small = character.to_lowercase();
    match (small.next(), small.next()) {
        (Some(small), None) => small,
        _ => character,
    }
}

/// Characters that are no capitals, and the small letter that is the same as each when both are made
/// capitals. The table of all capitals would add 12 kB to the filter.
const ALIKE_IN_CAPITALS: [(char, char); 24] = [
    ('\u{130}', 'i'),
    ('\u{131}', 'i'),
    ('\u{17f}', 's'),
    ('\u{b5}', 'μ'),
    ('\u{345}', 'ι'),
    ('\u{3c2}', 'σ'),
    ('\u{3d0}', 'β'),
    ('\u{3d1}', 'θ'),
    ('\u{3d5}', 'φ'),
    ('\u{3d6}', 'π'),
    ('\u{3f0}', 'κ'),
    ('\u{3f1}', 'ρ'),
    ('\u{3f5}', 'ε'),
    ('\u{1c80}', 'в'),
    ('\u{1c81}', 'д'),
    ('\u{1c82}', 'о'),
    ('\u{1c83}', 'с'),
    ('\u{1c84}', 'т'),
    ('\u{1c85}', 'т'),
    ('\u{1c86}', 'ъ'),
    ('\u{1c87}', 'ѣ'),
    ('\u{1c88}', 'ꙋ'),
    ('\u{1e9b}', 'ṡ'),
    ('\u{1fbe}', 'ι'),
];

/// Whether some parser that ignores case takes `name` for `known`, which it is not.
pub(super) fn is_variant(name: &str, known: &str) -> bool {
    name != known && name.chars().map(fold).eq(known.chars().map(fold))
}

/// Whether some server reads the member `name` as `known`, which it is not: one that ignores case, or
/// one that also takes its own field names, such as `task_id` and `meta` in Python.
pub(super) fn passes_for(name: &str, known: &str) -> bool {
    fn plain(name: &str) -> impl Iterator<Item = char> {
        name.chars().filter(|character| !matches!(character, '_' | '-')).map(fold)
    }
    name != known && plain(name).eq(plain(known))
}

/// `name` with every character folded; not copied where that changes nothing.
pub(super) fn folded(name: Cow<'_, str>) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        Cow::Owned(name.chars().map(fold).collect())
    } else {
        name
    }
}

struct Walk<'de, O> {
    observer: O,
    /// What is left of each limit.
    left: Limits,
    /// What is left of the depth where names are folded for the last time.
    folded_to: usize,
    /// The folded member names of the objects being read, the innermost object's last.
    names: Vec<Cow<'de, str>>,
    /// Why the walk stopped, if it was not for the grammar: `serde_json` errors carry only text.
    refusal: Option<JsonError>,
}

impl<'de, O: Observer> Walk<'de, O> {
    fn refuse<E: de::Error>(&mut self, refusal: JsonError) -> E {
        self.refusal = Some(refusal);
        E::custom(refusal)
    }

    fn value<E: de::Error>(&mut self, place: O::Place, token: Token<'_>) -> Result<(), E> {
        let values = self.left.values.checked_sub(1);
        self.left.values = values.ok_or_else(|| self.refuse(JsonError::TooManyValues))?;
        self.observer.value(place, token);
        Ok(())
    }

    fn enter<E: de::Error>(&mut self, place: O::Place, token: Token<'_>) -> Result<(), E> {
        let depth = self.left.depth.checked_sub(1);
        self.left.depth = depth.ok_or_else(|| self.refuse(JsonError::TooDeep))?;
        self.value(place, token)
    }

    fn leave(&mut self) {
        self.left.depth = self.left.depth.saturating_add(1);
    }

    fn member<E: de::Error>(
        &mut self,
        place: O::Place,
        name: Cow<'de, str>,
    ) -> Result<O::Place, E> {
        let members = self.left.members.checked_sub(1);
        self.left.members = members.ok_or_else(|| self.refuse(JsonError::TooManyMembers))?;
        if name.chars().any(char::is_control) {
            return Err(self.refuse(JsonError::ControlCharacter));
        }
        let member = self.observer.member(place, &name).map_err(|refusal| self.refuse(refusal))?;
        let is_folded = self.left.depth >= self.folded_to;
        self.names.push(if is_folded { folded(name) } else { name });
        Ok(member)
    }

    /// Forgets the names from `first` on, those of the object that ends here, if all differ.
    fn end_object<E: de::Error>(&mut self, first: usize) -> Result<(), E> {
        let names = self.names.get_mut(first..).unwrap_or_default();
        names.sort_unstable();
        let duplicate = names.windows(2).any(|pair| matches!(pair, [left, right] if left == right));
        self.names.truncate(first);
        if duplicate { Err(self.refuse(JsonError::DuplicateMember)) } else { Ok(()) }
    }
}

/// Reads one value, the one at `place`.
struct Seed<'w, 'de, O: Observer> {
    walk: &'w mut Walk<'de, O>,
    place: O::Place,
}

impl<'de, O: Observer> DeserializeSeed<'de> for Seed<'_, 'de, O> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de, O: Observer> Visitor<'de> for Seed<'_, 'de, O> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.walk.value(self.place, Token::Null)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.walk.value(self.place, Token::Bool)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.walk.value(self.place, Token::Integer(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        let token = i64::try_from(number).map_or(Token::Number, Token::Integer);
        self.walk.value(self.place, token)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.walk.value(self.place, Token::Number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.walk.value(self.place, Token::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { walk, place } = self;
        walk.enter(place, Token::Array)?;
        loop {
            let place = walk.observer.element(place);
            if elements.next_element_seed(Seed { walk: &mut *walk, place })?.is_none() {
                break;
            }
        }
        walk.leave();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { walk, place } = self;
        walk.enter(place, Token::Object)?;
        let first = walk.names.len();
        while let Some(name) = members.next_key_seed(Name)? {
            let place = walk.member(place, name)?;
            members.next_value_seed(Seed { walk: &mut *walk, place })?;
        }
        walk.end_object(first)?;
        walk.leave();
        Ok(())
    }
}

/// Reads a member name, borrowed unless it is written with escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_characters_that_are_one_but_for_their_case_fold_alike() {
        let one = |mut all: Box<dyn Iterator<Item = char>>, character: char| match all.next() {
            Some(first) if all.next().is_none() => first,
            _ => character,
        };
        for character in '\0'..=char::MAX {
            let upper = one(Box::new(character.to_uppercase()), character);
            let lower = one(Box::new(upper.to_lowercase()), upper);
            for other in [upper, lower] {
                assert_eq!(fold(other), fold(character), "{other} and {character}");
            }
        }
        for (name, other) in [("höhe", "HÖHE"), ("id", "\u{131}d"), ("id", "\u{130}D")] {
            assert!(is_variant(name, other), "{name} and {other}");
        }
        assert!(!is_variant("hohe", "höhe"));
    }
}
