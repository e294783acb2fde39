//! Conditions, by what holds for which values.

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
            vec![json!("ac"), json!("bcd"), json!("xa"), json!("a\n"), json!("\na"), json!(["a"])],
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
    let holds =
        |source, value: Option<Value>| condition(source).unwrap().holds(value.as_ref(), &claims());
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
        (json!({"min": 1}), json!({"min": 2}), true),
        (json!({"min": 2}), json!({"min": 1}), false),
        (json!({"max_length": 9}), json!({"max_length": 8}), true),
        (json!({"max_length": 8}), json!({"max_length": 9}), false),
        (
            json!({"min_length": 2, "max_length": 8}),
            json!({"min_length": 1, "max_length": 7}),
            false,
        ),
        (
            json!({"min_length": 2, "max_length": 8}),
            json!({"min_length": 2, "max_length": 8}),
            true,
        ),
        (json!({"matches": "a+"}), json!({"matches": "a+"}), true),
        (json!({"matches": "a+"}), json!({"matches": "a*"}), false),
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
fn what_no_value_satisfies_is_a_contradiction_and_nothing_else_is() {
    for source in [
        json!({"min": 1, "max": 1}),
        json!({"min_length": 2, "max_length": 2}),
        json!({"in": ["a", "b"], "equals_claim": "sub"}),
        json!({"in": [1, "a"], "max": 3}),
    ] {
        assert!(condition(source.clone()).is_ok(), "{source}");
    }
    for source in [
        json!({"min": 2, "max": 1}),
        json!({"min_length": 2, "max_length": 1}),
        json!({"in": ["a", 5], "max": 3}),
        json!({"max": 1, "matches": "a"}),
        json!({"min_length": 1, "includes": "a", "matches": "a"}),
        json!({"each": {"max": 1}, "members": {"a": {}}}),
    ] {
        assert!(condition(source.clone()).is_err(), "{source}");
    }
}

#[test]
fn a_place_is_a_name_or_a_pointer() {
    let members = json!({"a": {"b/c": [1, {"d~": 2}]}, "/x": 3, "a.b": 4});
    for (text, expected) in [
        ("a.b", Some(json!(4))),
        ("/a/b~1c/1/d~0", Some(json!(2))),
        ("/~1x", Some(json!(3))),
        ("/a/b~1c/2", None),
        ("/a/missing/deep", None),
        ("b", None),
    ] {
        let place = Place::parse(text).unwrap();
        assert_eq!(place.find(members.as_object().unwrap()), Ok(expected.as_ref()), "{text}");
        assert_eq!(
            place.to_string().trim_start_matches('/'),
            text.trim_start_matches('/').replace("~1x", "/x").trim_start_matches('/')
        );
    }
    for text in ["/a/b~1c/01", "/a/b~1c/-", "/a/b~1c/+1", "/a.b/0", "A.b", "/a/B~1c/1"] {
        let place = Place::parse(text).unwrap();
        assert_eq!(place.find(members.as_object().unwrap()), Err(Unclear), "{text}");
    }
    for text in ["", "/", "//a", "/a~2", "/a/~"] {
        assert!(Place::parse(text).is_none(), "{text}");
    }
}

/// Some servers take a member under their own name for it too: `item_count` for `itemCount`.
#[test]
fn n05_a_name_of_the_servers_own_is_unclear() {
    let place = Place::parse("/order/itemCount").unwrap();
    for order in [
        json!({"item_count": 5000}),
        json!({"item-count": 5000}),
        json!({"Item_Count": 5000}),
        json!({"itemCount": 5, "item_count": 5000}),
    ] {
        let arguments = json!({"order": order});
        assert_eq!(place.find(arguments.as_object().unwrap()), Err(Unclear), "{arguments}");
        let members = condition(json!({"members": {"itemCount": {"presence": "absent"}}})).unwrap();
        assert!(!members.holds(Some(&order), &claims()), "{order}");
    }
    // Claims are read here, and by their names alone.
    let claims = json!({"client_id": "a", "clientId": "b", "org": {"unit": 1, "_unit": 2}});
    for (text, expected) in [("client_id", json!("a")), ("/org/unit", json!(1))] {
        let place = Place::parse(text).unwrap();
        assert_eq!(place.of_claims(claims.as_object().unwrap()), Some(&expected), "{text}");
    }
}

/// Some servers read a string that holds a list, an object or `null` as what it holds.
#[test]
fn n05_json_in_a_string_is_no_text() {
    let length = condition(json!({"min_length": 2})).unwrap();
    let words = condition(json!({"matches": ".*"})).unwrap();
    let deep = "[".repeat(200) + &"]".repeat(200);
    for text in [
        "[]",
        " [ ] ",
        "{}",
        "[1, 2]",
        "{\"a\": 1}",
        "null",
        " null\n",
        "\r\n\t[1e999]\n",
        "[NaN,\"x\"]",
        "[\"\\ud800\"]",
        &deep,
        "[true]",
        "[ -Infinity, 1]",
        "{'a': 1}",
    ] {
        assert!(!length.holds(Some(&json!(text)), &claims()), "{text}");
        assert!(!words.holds(Some(&json!(text)), &claims()), "{text}");
    }
    for text in [
        "[a] b",
        "a [b]",
        "{a",
        "nullify",
        "[",
        "12",
        "true",
        "\"quoted\"",
        "[WIP] pay [late]",
        "{{name}} of {{team}}",
    ] {
        assert!(length.holds(Some(&json!(text)), &claims()) || text.len() < 2, "{text}");
        assert!(words.holds(Some(&json!(text)), &claims()), "{text}");
    }
}

#[test]
fn a_class_of_characters_is_no_group() {
    for (pattern, good) in
        [("[a-z(?)]+", "(?)"), ("[](?]+", "](?"), ("[^](?]+", "a"), ("[(](?:a)", "(a")]
    {
        let matches = condition(json!({"matches": pattern})).unwrap();
        assert!(matches.holds(Some(&json!(good)), &claims()), "{pattern}");
    }
    for pattern in
        ["(?i)a", "[a](?i)b", "[^^](?m)a", "[](](?i)b", "[[](?i)b", "[\\](?i)", "(?P<a>b)"]
    {
        assert!(condition(json!({"matches": pattern})).is_err(), "{pattern}");
    }
}

#[test]
fn what_can_hold_in_several_ways_is_told_apart() {
    for (source, expected) in [
        (json!({"presence": "optional", "max": 3}), vec!["is absent", "is at most 3"]),
        (
            json!({"in": ["a", "b"], "matches": "."}),
            vec!["is \"a\" and matches \".\"", "is \"b\" and matches \".\""],
        ),
        (json!({"equals": "a"}), vec![]),
        (json!({"max": 3}), vec![]),
    ] {
        let parts = condition(source.clone()).unwrap().alternatives();
        let parts: Vec<String> = parts.iter().map(|part| part.statement().to_string()).collect();
        assert_eq!(parts, expected, "{source}");
    }
}

#[test]
fn what_never_holds_together_excludes_each_other() {
    for (one, other, expected) in [
        (json!({"presence": "absent"}), json!({}), true),
        (json!({"presence": "absent"}), json!({"presence": "absent"}), false),
        (json!({"presence": "absent"}), json!({"presence": "optional", "max": 3}), false),
        (json!({"max": 3}), json!({"min": 4}), true),
        (json!({"max": 3}), json!({"presence": "optional", "min": 4}), true),
        (json!({"max": 3}), json!({"min": 3}), false),
        (
            json!({"presence": "optional", "max": 3}),
            json!({"presence": "optional", "min": 4}),
            false,
        ),
    ] {
        let (a, b) = (condition(one.clone()).unwrap(), condition(other.clone()).unwrap());
        assert_eq!((a.excludes(&b), b.excludes(&a)), (expected, expected), "{one} {other}");
        assert_eq!(a.needs_value(), !one.to_string().contains("presence"), "{one}");
    }
}

#[test]
fn no_words_stand_for_two_conditions() {
    let one = condition(json!({"matches": "a", "equals_claim": "b"})).unwrap();
    let other = condition(json!({"matches": "a and be the caller's claim `b`"})).unwrap();
    let quoted = condition(json!({"matches": "a\" and be the caller's claim `b`"})).unwrap();
    assert_ne!(one.to_string(), other.to_string());
    assert_ne!(one.to_string(), quoted.to_string());
    assert_eq!(other.to_string(), "match \"a and be the caller's claim `b`\"");
}

/// What a caller is told, and what a task's rule is known by.
#[test]
fn what_is_said_in_several_parts_stands_in_parentheses_in_another() {
    for (source, expected) in [
        (json!({"each": {"min": 1}}), "be a list of which each element must be at least 1"),
        (
            json!({"each": {"min": 1, "max": 9}}),
            "be a list of which each element must (be at least 1 and be at most 9)",
        ),
        (
            json!({"each": {"each": {"min": 1}}}),
            "be a list of which each element must (be a list of which each element must be at least 1)",
        ),
        (
            json!({"each": {"members": {"a": {"min": 1}}}}),
            "be a list of which each element must (be an object of which `a` must be at least 1)",
        ),
        (
            json!({"members": {"a": {"presence": "optional", "min": 1}}}),
            "be an object of which `a` must (be absent, or be at least 1)",
        ),
    ] {
        assert_eq!(condition(source).unwrap().to_string(), expected);
    }
}
