//! What a claim or an argument must be.

mod compile;
#[cfg(not(target_arch = "wasm32"))]
mod relation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use regex_lite::Regex;
use serde_json::{Map, Number, Value};

use super::source::{Condition as Source, Presence};
use crate::config::Problems;
use crate::json::passes_for;
use compile::Compiler;

/// Where a value stands: a member of the claims or arguments, and the way from there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The claim or the top-level argument.
    pub name: Box<str>,
    /// The rest of a JSON Pointer (RFC 6901), its reference tokens without escapes.
    rest: Box<[Box<str>]>,
}

/// Some server could find a value in a place where there is none to the letter: what is on the way is
/// neither object nor list but could be read as one, or a name is there in another case or spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclear;

impl Place {
    /// Reads a name, or a JSON Pointer if `text` begins with `/`.
    ///
    /// None if it names nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Some(path) = text.strip_prefix('/') else {
            return (!text.is_empty()).then(|| Self { name: text.into(), rest: [].into() });
        };
        let valid =
            |token: &str| token.split('~').skip(1).all(|escape| escape.starts_with(['0', '1']));
        let mut tokens = path.split('/').map(|token| token.replace("~1", "/").replace("~0", "~"));
        let name = tokens.next().filter(|name| !name.is_empty() && valid(path))?;
        Some(Self { name: name.into(), rest: tokens.map(Into::into).collect() })
    }

    /// The value there, if there is one.
    ///
    /// # Errors
    /// Some server could find one all the same.
    pub fn find<'a>(&self, members: &'a Map<String, Value>) -> Result<Option<&'a Value>, Unclear> {
        self.find_by(members, member)
    }

    /// The claim there. One that is `null` says nothing, as if it were absent.
    #[must_use]
    pub fn of_claims<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        // Who reads claims is this filter, by their very names.
        let found = self.find_by(claims, |members, name| Ok(members.get(name)));
        found.ok().flatten().filter(|claim| !claim.is_null())
    }

    fn find_by<'a>(
        &self,
        members: &'a Map<String, Value>,
        member: MemberOf<'a>,
    ) -> Result<Option<&'a Value>, Unclear> {
        let mut found = member(members, &self.name)?;
        for token in &self.rest {
            found = match found {
                None | Some(Value::Null) => return Ok(None),
                Some(Value::Object(members)) => member(members, token)?,
                Some(Value::Array(list)) => list.get(index(token).ok_or(Unclear)?),
                Some(_) => return Err(Unclear),
            };
        }
        Ok(found)
    }
}

/// Gives the member of a name.
type MemberOf<'a> = fn(&'a Map<String, Value>, &str) -> Result<Option<&'a Value>, Unclear>;

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a Value>, Unclear> {
    let is_clear = !members.keys().any(|other| passes_for(other, name));
    is_clear.then(|| members.get(name)).ok_or(Unclear)
}

/// RFC 6901 section 4.
fn index(token: &str) -> Option<usize> {
    let is_index = token == "0" || !token.starts_with(['0', '+']);
    is_index.then(|| token.parse().ok()).flatten()
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rest.is_empty() {
            return out.write_str(&self.name);
        }
        [&self.name]
            .into_iter()
            .chain(&self.rest)
            .try_for_each(|token| write!(out, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

/// What a value must be: all of the tests. There is at least one of them, or the presence says
/// something.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    presence: Presence,
    tests: Vec<Test>,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    OneOf(Vec<Value>),
    Includes(Value),
    AtLeast(Number),
    AtMost(Number),
    Length { least: usize, most: usize },
    Matches(Pattern),
    Each(Condition),
    Members(BTreeMap<Box<str>, Condition>),
    EqualsClaim(Place),
    InClaim(Place),
}

/// A regular expression that a text must match as a whole, in time linear in its length.
#[derive(Debug, Clone)]
struct Pattern {
    text: Box<str>,
    whole: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// The longest text that a pattern is tried on, in bytes. A longer one does not match.
const MATCHED_BYTES: usize = 4096;

/// The greatest number up to which integers are exact in every parser (RFC 7493 section 2.2).
const SAFE: f64 = 9_007_199_254_740_991.0;

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.chars();
        let mut in_class = false;
        while let Some(c) = rest.next() {
            match c {
                '\\' => _ = rest.next(),
                ']' if in_class => in_class = false,
                '[' if !in_class => {
                    in_class = true;
                    // At its beginning, a `]` is one of the class.
                    let class = rest.as_str();
                    let class = class.strip_prefix('^').unwrap_or(class);
                    rest = class.strip_prefix(']').unwrap_or(class).chars();
                }
                // Flags could change how the anchors below are read.
                '(' if !in_class
                    && rest.as_str().starts_with('?')
                    && !rest.as_str().starts_with("?:") =>
                {
                    return Err("groups with flags or names are not supported: write `(…)`".into());
                }
                _ => {}
            }
        }
        // The whole might be well-formed where the part is not.
        let compile =
            |text: &str| Regex::new(text).map_err(|error| error.to_string().replace('\n', " "));
        compile(text)?;
        let whole = compile(&format!("^(?:{text})$"))?;
        Ok(Self { text: text.into(), whole })
    }

    fn matches(&self, text: &str) -> bool {
        text.len() <= MATCHED_BYTES && self.whole.is_match(text)
    }
}

impl Condition {
    /// Reads what is written at `path`; what is wrong with it goes to `problems`. `claims` collects
    /// the places of the claims that it compares with; none where that is not possible.
    #[must_use]
    pub fn compile(
        source: &Source,
        path: &str,
        claims: Option<&mut Vec<Place>>,
        problems: &mut Problems,
    ) -> Self {
        Compiler { claims, problems }.condition(source, path)
    }

    /// Whether it holds for the value of a claim or argument, if that is there, for a caller with
    /// these claims.
    #[must_use]
    pub fn holds(&self, value: Option<&Value>, claims: &Map<String, Value>) -> bool {
        match (self.presence, value) {
            (Presence::Absent, value) => value.is_none(),
            (Presence::Optional, None) => true,
            (Presence::Required, None) => false,
            (_, Some(value)) => self.tests.iter().all(|test| test.holds(value, claims)),
        }
    }

    /// Whether some argument of a caller with these claims could satisfy it: a claim that it
    /// compares with must be there.
    #[must_use]
    pub fn could_hold(&self, claims: &Map<String, Value>) -> bool {
        self.presence != Presence::Required || self.tests.iter().all(|test| test.could_hold(claims))
    }

    /// Whether it holds wherever `other` does, as far as can be told from what is written.
    #[must_use]
    pub fn is_implied_by(&self, other: &Self) -> bool {
        let presence = self.presence == other.presence || self.presence == Presence::Optional;
        let implied = |test: &Test| other.tests.iter().any(|other| test.is_implied_by(other));
        presence && (other.presence == Presence::Absent || self.tests.iter().all(implied))
    }

    /// Its words within those of another: what is said in several parts, in parentheses.
    fn within(&self) -> String {
        let has_parts = self.tests.len() > 1
            || self.presence == Presence::Optional
            || self.tests.iter().any(|test| matches!(test, Test::Each(_) | Test::Members(_)));
        if has_parts { format!("({self})") } else { self.to_string() }
    }

    /// Why no value can ever satisfy it, if that shows.
    fn contradiction(&self) -> Option<String> {
        if self.presence == Presence::Optional {
            return None;
        }
        let listed = |value: &Value| {
            let none = Map::new();
            self.tests.iter().all(|test| test.needs_claims() || test.holds(value, &none))
        };
        let mut bounds = (f64::NEG_INFINITY, f64::INFINITY);
        let mut kinds: Option<u8> = None;
        for test in &self.tests {
            if let Test::OneOf(values) = test
                && !values.iter().any(listed)
            {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                return Some(format!("the rest excludes `{}`", values.join("`, `")));
            }
            match test {
                Test::AtLeast(bound) => bounds.0 = bound.as_f64().unwrap_or(bounds.0).max(bounds.0),
                Test::AtMost(bound) => bounds.1 = bound.as_f64().unwrap_or(bounds.1).min(bounds.1),
                Test::Length { least, most } if least > most => {
                    return Some(format!("`{least}` is more than `{most}`"));
                }
                _ => {}
            }
            if let Some(kind) = test.kinds() {
                let common = kinds.unwrap_or(u8::MAX) & kind;
                if common == 0 {
                    return Some("its parts want values of different types".to_owned());
                }
                kinds = Some(common);
            }
        }
        (bounds.0 > bounds.1).then(|| format!("`{}` is more than `{}`", bounds.0, bounds.1))
    }
}

const NUMBER: u8 = 1;
const STRING: u8 = 2;
const LIST: u8 = 4;
const OBJECT: u8 = 8;

impl Test {
    fn holds(&self, value: &Value, claims: &Map<String, Value>) -> bool {
        let number = |value: &Value| is_exact(value).then(|| value.as_f64()).flatten();
        match self {
            Self::OneOf(values) => values.iter().any(|known| is_same(known, value)),
            Self::Includes(element) => {
                value.as_array().is_some_and(|list| list.iter().any(|one| is_same(one, element)))
            }
            Self::AtLeast(bound) => number(value).zip(bound.as_f64()).is_some_and(|(n, b)| n >= b),
            Self::AtMost(bound) => number(value).zip(bound.as_f64()).is_some_and(|(n, b)| n <= b),
            Self::Length { least, most } => {
                let length = match value {
                    Value::String(text) if is_json(text) => return false,
                    Value::String(text) => text.chars().count(),
                    Value::Array(list) => list.len(),
                    _ => return false,
                };
                (*least..=*most).contains(&length)
            }
            Self::Matches(pattern) => {
                value.as_str().is_some_and(|text| !is_json(text) && pattern.matches(text))
            }
            Self::Each(condition) => value
                .as_array()
                .is_some_and(|list| list.iter().all(|one| condition.holds(Some(one), claims))),
            Self::Members(members) => value.as_object().is_some_and(|object| {
                members.iter().all(|(name, condition)| {
                    member(object, name).is_ok_and(|value| condition.holds(value, claims))
                })
            }),
            Self::EqualsClaim(place) => {
                let claim = place.of_claims(claims);
                claim.is_some_and(|claim| is_scalar(claim) && is_same(claim, value))
            }
            Self::InClaim(place) => place
                .of_claims(claims)
                .and_then(Value::as_array)
                .is_some_and(|list| list.iter().any(|one| is_scalar(one) && is_same(one, value))),
        }
    }

    fn could_hold(&self, claims: &Map<String, Value>) -> bool {
        match self {
            Self::EqualsClaim(place) => place.of_claims(claims).is_some_and(is_scalar),
            Self::InClaim(place) => {
                let list = place.of_claims(claims).and_then(Value::as_array);
                list.is_some_and(|list| list.iter().any(is_scalar))
            }
            Self::Members(members) => members.values().all(|member| member.could_hold(claims)),
            // An empty list has no element for which it would have to hold.
            _ => true,
        }
    }

    fn needs_claims(&self) -> bool {
        matches!(self, Self::EqualsClaim(_) | Self::InClaim(_))
    }

    /// The types of which a value must be; none where that is open.
    fn kinds(&self) -> Option<u8> {
        match self {
            Self::AtLeast(_) | Self::AtMost(_) => Some(NUMBER),
            Self::Matches(_) => Some(STRING),
            Self::Length { .. } => Some(STRING | LIST),
            Self::Includes(_) | Self::Each(_) => Some(LIST),
            Self::Members(_) => Some(OBJECT),
            Self::OneOf(_) | Self::EqualsClaim(_) | Self::InClaim(_) => None,
        }
    }

    fn is_implied_by(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let none = Map::new();
        match (self, other) {
            // Each of the values that are left passes here.
            (_, Self::OneOf(values)) => {
                !self.needs_claims() && values.iter().all(|value| self.holds(value, &none))
            }
            (Self::AtLeast(ours), Self::AtLeast(theirs)) => ours.as_f64() <= theirs.as_f64(),
            (Self::AtMost(ours), Self::AtMost(theirs)) => ours.as_f64() >= theirs.as_f64(),
            (Self::Length { least, most }, Self::Length { least: others, most: other_most }) => {
                least <= others && most >= other_most
            }
            (Self::Each(ours), Self::Each(theirs)) => ours.is_implied_by(theirs),
            (Self::Members(ours), Self::Members(theirs)) => ours.iter().all(|(name, condition)| {
                theirs.get(name).is_some_and(|other| condition.is_implied_by(other))
            }),
            _ => false,
        }
    }
}

/// Whether a text is a list, an object or `null` to a server that reads JSON in strings. By its ends, and
/// by how what is inside begins, for parsers differ in what they take: `[NaN]`, `[1e999]`.
fn is_json(text: &str) -> bool {
    const WORDS: [&str; 7] = ["null", "true", "false", "NaN", "Inf", "None", "undefined"];
    let text = text.trim();
    let inside = |open, close| {
        let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inner.map(str::trim_start)
    };
    let begins_with =
        |inner: &str, marks: &str| inner.chars().next().is_none_or(|first| marks.contains(first));
    let is_list = |inner: &str| {
        begins_with(inner, "[{\"'/+-.0123456789")
            || WORDS.iter().any(|word| inner.starts_with(word))
    };
    text == "null"
        || inside('[', ']').is_some_and(is_list)
        || inside('{', '}').is_some_and(|inner| begins_with(inner, "\"'/"))
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// Whether two values are the same to every parser: of one type, and numbers by their value.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(_), Value::Number(_)) => {
            is_exact(one) && is_exact(other) && one.as_f64() == other.as_f64()
        }
        _ => one == other,
    }
}

/// Whether a value is no number, or one that every parser reads alike (RFC 7493 section 2.2).
fn is_exact(value: &Value) -> bool {
    !value.is_number() || value.as_f64().is_some_and(|number| number.abs() <= SAFE)
}

/// Whether every parser reads all numbers in a value alike.
pub(super) fn has_exact_numbers(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.iter().all(has_exact_numbers),
        Value::Object(members) => members.values().all(has_exact_numbers),
        value => is_exact(value),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.presence {
            Presence::Absent => return out.write_str("be absent"),
            Presence::Required if self.tests.is_empty() => return out.write_str("be present"),
            Presence::Optional => out.write_str("be absent, or ")?,
            Presence::Required => {}
        }
        for (index, test) in self.tests.iter().enumerate() {
            let before = if index == 0 { "" } else { " and " };
            write!(out, "{before}{test}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Test {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(values) => match values.as_slice() {
                [value] => write!(out, "be {value}"),
                values => {
                    let values: Vec<String> = values.iter().map(Value::to_string).collect();
                    write!(out, "be one of {}", values.join(", "))
                }
            },
            Self::Includes(element) => write!(out, "include {element}"),
            Self::AtLeast(bound) => write!(out, "be at least {bound}"),
            Self::AtMost(bound) => write!(out, "be at most {bound}"),
            Self::Length { least, most: usize::MAX } => write!(out, "have length {least} or more"),
            Self::Length { least: 0, most } => write!(out, "have length {most} or less"),
            Self::Length { least, most } => write!(out, "have length {least} to {most}"),
            // In quotes, for it may look like other words.
            Self::Matches(pattern) => write!(out, "match {}", Value::from(&*pattern.text)),
            Self::Each(condition) => {
                write!(out, "be a list of which each element must {}", condition.within())
            }
            Self::Members(members) => {
                out.write_str("be an object of which")?;
                for (index, (name, condition)) in members.iter().enumerate() {
                    let before = if index == 0 { "" } else { " and" };
                    write!(out, "{before} `{name}` must {}", condition.within())?;
                }
                Ok(())
            }
            Self::EqualsClaim(place) => write!(out, "be the caller's claim `{place}`"),
            Self::InClaim(place) => write!(out, "be in the caller's claim `{place}`"),
        }
    }
}
