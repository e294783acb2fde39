//! What a claim or an argument must be.

mod compile;
#[cfg(not(target_arch = "wasm32"))]
mod relation;

use std::collections::BTreeMap;
use std::fmt;

use regex_lite::Regex;
use serde_json::{Map, Number, Value};

use super::source::{Condition as Source, Presence};
use crate::config::Problems;
use compile::Compiler;

/// Where a value stands: a member of the claims or arguments, and the way from there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The claim or the top-level argument.
    pub name: Box<str>,
    /// The rest of a JSON Pointer (RFC 6901): empty, or beginning with `/`.
    pointer: Box<str>,
}

impl Place {
    /// Reads a name, or a JSON Pointer if `text` begins with `/`.
    ///
    /// None if it names nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Some(path) = text.strip_prefix('/') else {
            return (!text.is_empty()).then(|| Self { name: text.into(), pointer: "".into() });
        };
        let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
        let valid =
            |token: &str| token.split('~').skip(1).all(|escape| escape.starts_with(['0', '1']));
        (!first.is_empty() && valid(path)).then(|| Self {
            name: first.replace("~1", "/").replace("~0", "~").into(),
            pointer: rest.into(),
        })
    }

    /// The value there.
    #[must_use]
    pub fn of<'a>(&self, members: &'a Map<String, Value>) -> Option<&'a Value> {
        members.get(&*self.name)?.pointer(&self.pointer)
    }

    /// The claim there. One that is `null` says nothing, as if it were absent.
    #[must_use]
    pub fn of_claims<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        self.of(claims).filter(|claim| !claim.is_null())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            return out.write_str(&self.name);
        }
        let name = self.name.replace('~', "~0").replace('/', "~1");
        write!(out, "/{name}{}", self.pointer)
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
        while let Some(c) = rest.next() {
            match c {
                '\\' => _ = rest.next(),
                // Flags could change how the anchors below are read.
                '(' if rest.as_str().starts_with('?') && !rest.as_str().starts_with("?:") => {
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
                    Value::String(text) => text.chars().count(),
                    Value::Array(list) => list.len(),
                    _ => return false,
                };
                (*least..=*most).contains(&length)
            }
            Self::Matches(pattern) => value.as_str().is_some_and(|text| pattern.matches(text)),
            Self::Each(condition) => value
                .as_array()
                .is_some_and(|list| list.iter().all(|one| condition.holds(Some(one), claims))),
            Self::Members(members) => value.as_object().is_some_and(|object| {
                members.iter().all(|(name, condition)| condition.holds(object.get(&**name), claims))
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

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.presence {
            Presence::Absent => return out.write_str("be absent"),
            Presence::Required if self.tests.is_empty() => return out.write_str("be present"),
            Presence::Optional => out.write_str("if present, ")?,
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
            Self::Matches(pattern) => write!(out, "match {}", pattern.text),
            Self::Each(condition) => {
                write!(out, "be a list of which each element must {condition}")
            }
            Self::Members(members) => {
                out.write_str("be an object of which")?;
                for (index, (name, condition)) in members.iter().enumerate() {
                    let before = if index == 0 { "" } else { " and" };
                    write!(out, "{before} `{name}` must {condition}")?;
                }
                Ok(())
            }
            Self::EqualsClaim(place) => write!(out, "be the caller's claim `{place}`"),
            Self::InClaim(place) => write!(out, "be in the caller's claim `{place}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn condition(source: Value) -> Result<Condition, String> {
        let source: Source = serde_json::from_value(source).unwrap();
        let mut problems = Problems::default();
        let condition = Condition::compile(&source, "it", Some(&mut Vec::new()), &mut problems);
        problems.into_result(Some(condition)).map_err(|errors| errors.to_string())
    }

    fn claims() -> Map<String, Value> {
        let claims =
            json!({"sub": "sarah", "level": 3, "regions": ["eu", "us"], "empty": [], "map": {}});
        claims.as_object().unwrap().clone()
    }

    #[test]
    fn n05_a_value_of_another_type_or_shape_never_satisfies() {
        for (source, good, bad) in [
            (
                json!({"equals": "1"}),
                vec![json!("1"), json!("\u{31}")],
                vec![
                    json!(1),
                    json!(["1"]),
                    json!({"0": "1"}),
                    json!(" 1"),
                    json!("1 "),
                    json!(null),
                    json!("１"),
                ],
            ),
            (
                json!({"equals": 1}),
                vec![json!(1), json!(1.0)],
                vec![json!("1"), json!(true), json!([1]), json!(1.5)],
            ),
            (
                json!({"equals": null}),
                vec![json!(null)],
                vec![json!(""), json!(0), json!(false), json!([])],
            ),
            (
                json!({"in": ["a", 2]}),
                vec![json!("a"), json!(2)],
                vec![json!("A"), json!("2"), json!(["a"])],
            ),
            (
                json!({"includes": "a"}),
                vec![json!(["b", "a"])],
                vec![json!("a"), json!({"a": "a"}), json!([["a"]])],
            ),
            (
                json!({"min": 0, "max": 1000}),
                vec![json!(0), json!(1000), json!(0.5), json!(1e3)],
                vec![json!(1_000.5), json!(-1), json!("500"), json!([500]), json!(null)],
            ),
            (
                json!({"min": 0}),
                vec![json!(9_007_199_254_740_991_i64)],
                vec![json!(9_007_199_254_740_992_i64), json!(1e300), json!(u64::MAX)],
            ),
            (
                json!({"max_length": 2, "min_length": 1}),
                vec![json!("é€"), json!([1, 2])],
                vec![json!(""), json!("abc"), json!([]), json!(12), json!({"a": 1})],
            ),
            (
                json!({"matches": "a|bc"}),
                vec![json!("a"), json!("bc")],
                vec![
                    json!("ac"),
                    json!("bcd"),
                    json!("xa"),
                    json!("a\n"),
                    json!("\na"),
                    json!(["a"]),
                ],
            ),
            (
                json!({"each": {"in": [1, 2]}}),
                vec![json!([]), json!([2, 1])],
                vec![json!([1, 3]), json!(1), json!([[1]])],
            ),
            (
                json!({"members": {"a": {"equals": 1}, "b": {"presence": "absent"}}}),
                vec![json!({"a": 1}), json!({"a": 1, "c": 2})],
                vec![json!({"a": 1, "b": 2}), json!({}), json!([1]), json!({"A": 1})],
            ),
            (
                json!({"equals_claim": "sub"}),
                vec![json!("sarah")],
                vec![json!("Sarah"), json!(["sarah"]), json!(null)],
            ),
            (json!({"equals_claim": "missing"}), vec![], vec![json!(null), json!("")]),
            (json!({"equals_claim": "map"}), vec![], vec![json!({})]),
            (json!({"equals_claim": "/regions/1"}), vec![json!("us")], vec![json!("eu")]),
            (json!({"in_claim": "regions"}), vec![json!("eu")], vec![json!("asia"), json!(["eu"])]),
        ] {
            let compiled = condition(source.clone()).unwrap();
            for value in good {
                assert!(compiled.holds(Some(&value), &claims()), "{source}: {value}");
            }
            for value in bad {
                assert!(!compiled.holds(Some(&value), &claims()), "{source}: {value}");
            }
            assert!(!compiled.holds(None, &claims()), "{source}");
        }
    }

    #[test]
    fn presence_is_told_from_null() {
        let holds = |source, value: Option<Value>| {
            condition(source).unwrap().holds(value.as_ref(), &claims())
        };
        assert!(holds(json!({}), Some(json!(null))) && !holds(json!({}), None));
        let absent = || json!({"presence": "absent"});
        assert!(holds(absent(), None) && !holds(absent(), Some(json!(null))));
        let optional = || json!({"presence": "optional", "equals": "a"});
        assert!(holds(optional(), None) && holds(optional(), Some(json!("a"))));
        assert!(!holds(optional(), Some(json!(null))));
    }

    #[test]
    fn a_pattern_takes_the_whole_value_and_no_flags() {
        for pattern in
            ["(?i)a", "a(?x) #", "(?P<x>a)", "a)|(b", "(?=a)", r"\\(?m)a", "[", "a{2000}{2000}"]
        {
            assert!(condition(json!({"matches": pattern})).is_err(), "{pattern}");
        }
        let pattern = condition(json!({"matches": r"\(?[a-z]+(?:,b)?\)?"})).unwrap();
        assert!(pattern.holds(Some(&json!("(a,b)")), &claims()));
        let long = condition(json!({"matches": "a*"})).unwrap();
        assert!(long.holds(Some(&json!("a".repeat(4096))), &claims()));
        assert!(!long.holds(Some(&json!("a".repeat(4097))), &claims()));
    }

    #[test]
    fn what_a_claim_must_be_there_for_shows_before_the_call() {
        for (source, expected) in [
            (json!({"equals_claim": "sub"}), true),
            (json!({"equals_claim": "missing"}), false),
            (json!({"equals_claim": "map"}), false),
            (json!({"presence": "optional", "equals_claim": "missing"}), true),
            (json!({"in_claim": "regions"}), true),
            (json!({"in_claim": "empty"}), false),
            (json!({"members": {"a": {"in_claim": "empty"}}}), false),
            (json!({"each": {"in_claim": "empty"}}), true),
            (json!({"equals": 1}), true),
        ] {
            let condition = condition(source.clone()).unwrap();
            assert_eq!(condition.could_hold(&claims()), expected, "{source}");
        }
    }

    #[test]
    fn implication_is_told_from_the_text() {
        for (source, other, expected) in [
            (json!({"max": 10}), json!({"max": 5}), true),
            (json!({"max": 5}), json!({"max": 10}), false),
            (json!({"min": 1, "max": 9}), json!({"min": 2, "max": 8}), true),
            (json!({"in": [1, 2, 3]}), json!({"equals": 2}), true),
            (json!({"max": 3}), json!({"in": [1, 2, 3]}), true),
            (json!({"max": 2}), json!({"in": [1, 2, 3]}), false),
            (json!({"equals": 2}), json!({"in": [1, 2]}), false),
            (json!({"matches": "[ab]"}), json!({"in": ["a", "b"]}), true),
            (json!({}), json!({"equals": 1}), true),
            (json!({"presence": "optional", "max": 3}), json!({"max": 3}), true),
            (json!({"max": 3}), json!({"presence": "optional", "max": 3}), false),
            (json!({"presence": "optional", "max": 3}), json!({"presence": "absent"}), true),
            (json!({"presence": "absent"}), json!({"max": 3}), false),
            (json!({}), json!({"presence": "absent"}), false),
            (json!({"each": {"max": 3}}), json!({"each": {"max": 2}}), true),
            (
                json!({"members": {"a": {"max": 3}}}),
                json!({"members": {"a": {"max": 2}, "b": {}}}),
                true,
            ),
        ] {
            let implied = condition(source.clone()).unwrap();
            let by = condition(other.clone()).unwrap();
            assert_eq!(implied.is_implied_by(&by), expected, "{source} by {other}");
        }
    }

    #[test]
    fn a_place_is_a_name_or_a_pointer() {
        let members = json!({"a": {"b/c": [1, {"d~": 2}]}, "/x": 3, "a.b": 4});
        for (text, expected) in [
            ("a.b", Some(json!(4))),
            ("/a/b~1c/1/d~0", Some(json!(2))),
            ("/~1x", Some(json!(3))),
            ("/a/b~1c/01", None),
            ("/a/b~1c/-", None),
            ("/a/missing/deep", None),
            ("b", None),
        ] {
            let place = Place::parse(text).unwrap();
            assert_eq!(place.of(members.as_object().unwrap()).cloned(), expected, "{text}");
            assert_eq!(
                place.to_string().trim_start_matches('/'),
                text.trim_start_matches('/').replace("~1x", "/x").trim_start_matches('/')
            );
        }
        for text in ["", "/", "//a", "/a~2", "/a/~"] {
            assert!(Place::parse(text).is_none(), "{text}");
        }
    }
}
