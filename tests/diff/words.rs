//! How changes read.

use mcp_deputy::config::Problems;
use mcp_deputy::policy::compile::Surroundings;
use mcp_deputy::policy::diff::compare;
use mcp_deputy::policy::{Enforcement, Policy};
use mcp_deputy::token::{ScopeSet, ScopeTable};
use serde_json::{Value, json};

fn compile(tools: &Value, scopes: &ScopeTable) -> Policy {
    compile_policy(&json!({ "tools": tools }), scopes)
}

/// A policy that has these members besides.
fn compile_policy(members: &Value, scopes: &ScopeTable) -> Policy {
    let mut source = json!({"audience": "https://a.example/", "baseline": "without_token"});
    source.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let mut problems = Problems::default();
    let around = Surroundings {
        name: "p",
        scopes,
        required: &ScopeSet::default(),
        enforcement: Enforcement::Enforce,
    };
    let policy = Policy::compile(&serde_json::from_value(source).unwrap(), &around, &mut problems);
    assert!(problems.is_empty(), "{:?}", problems.into_errors());
    policy
}

/// What changes from the rules `old` of a tool to the rules `new`; null for no rule.
fn changes(old: &Value, new: &Value) -> Vec<String> {
    let scopes = scopes();
    changes_under([&scopes, &scopes], old, new)
}

fn scopes() -> ScopeTable {
    let mut scopes = ScopeTable::default();
    for scope in ["a", "b", "c"] {
        scopes.intern(scope);
    }
    scopes
}

/// The same where scopes imply others.
fn changes_under(tables: [&ScopeTable; 2], old: &Value, new: &Value) -> Vec<String> {
    let scopes = tables[0];
    let [old, new] = [old, new].map(|rules| {
        let mut rules = rules.clone();
        if rules.is_null() {
            return compile(&json!({}), scopes);
        }
        let all = if rules.is_array() {
            rules.as_array_mut().unwrap().iter_mut().collect()
        } else {
            vec![&mut rules]
        };
        for rule in all {
            rule.as_object_mut().unwrap().entry("delegation").or_insert(json!({"scope": "d"}));
        }
        compile(&json!({"tool": rules}), scopes)
    });
    compare(Some(&old), Some(&new), tables).into_iter().map(|change| change.text).collect()
}

/// The same for one rule each, given by what it requires.
fn required(old: &Value, new: &Value) -> Vec<String> {
    let rule = |require: &Value| {
        if require.is_null() { Value::Null } else { json!({ "require": require }) }
    };
    changes(&rule(old), &rule(new))
}

fn amount(condition: Value) -> Value {
    json!({"arguments": {"amount": condition}})
}

#[test]
fn scopes_that_are_needed_or_no_longer() {
    let none = json!({});
    let a = json!({"scopes": ["a"]});
    let ab = json!({"scopes": ["a", "b"]});
    let any = json!({"any_scope": ["a", "b"]});
    for (old, new, expected) in [
        (&none, &a, "closes for callers without the scope a"),
        (&a, &none, "opens for callers without the scope a"),
        (&Value::Null, &none, "opens for every caller"),
        (&Value::Null, &ab, "opens for callers with the scopes a and b"),
        (&Value::Null, &any, "opens for callers with one of the scopes a or b"),
        (&a, &Value::Null, "closes for callers with the scope a"),
        (&a, &ab, "closes for callers with the scope a but without the scope b"),
        (&none, &ab, "closes for callers without all of the scopes a and b"),
        (&any, &a, "closes for callers with the scope b but without the scope a"),
        (&a, &any, "opens for callers with the scope b but without the scope a"),
    ] {
        assert_eq!(required(old, new), [expected], "{old} {new}");
    }
    let b = json!({"scopes": ["b"]});
    assert_eq!(
        required(&a, &b),
        [
            "opens for callers with the scope b but without the scope a",
            "closes for callers with the scope a but without the scope b",
        ]
    );
}

#[test]
fn what_scopes_imply_before_and_after() {
    let plain = scopes();
    let mut implying = scopes();
    implying.imply("a", implying.set(["b"]));
    let rule = |require: Value| json!({ "require": require });
    let b = rule(json!({"scopes": ["b"]}));
    for (tables, old, new, expected) in [
        ([&plain, &implying], &b, &b, "opens for callers with the scope a but without the scope b"),
        (
            [&implying, &plain],
            &b,
            &b,
            "closes for callers with the scope a but without the scope b",
        ),
        (
            [&implying, &implying],
            &Value::Null,
            &b,
            "opens for callers with one of the scopes a or b",
        ),
    ] {
        assert_eq!(changes_under(tables, old, new), [expected]);
    }
    // Whoever has the one was let through by the other.
    let either = json!([rule(json!({"scopes": ["a"]})), rule(json!({"scopes": ["b"]}))]);
    assert_eq!(
        changes_under([&implying, &implying], &b, &either),
        ["denied with other words or other scopes to ask for"]
    );
}

#[test]
fn what_means_the_same_is_no_change() {
    let rule = |require: Value| json!({ "require": require });
    for (old, new) in [
        (
            rule(json!({"any_scope": ["a", "b"]})),
            json!([rule(json!({"scopes": ["a"]})), rule(json!({"scopes": ["b"]})),]),
        ),
        (
            rule(json!({"clients": ["x", "y"]})),
            json!([rule(json!({"clients": ["y"]})), rule(json!({"clients": ["x"]})),]),
        ),
        (
            rule(amount(json!({"in": [1, 2]}))),
            json!([rule(amount(json!({"equals": 2}))), rule(amount(json!({"equals": 1}))),]),
        ),
        (
            rule(amount(json!({"presence": "optional", "max": 5}))),
            json!([rule(amount(json!({"presence": "absent"}))), rule(amount(json!({"max": 5}))),]),
        ),
        (json!({"enforcement": "shadow"}), json!({"enforcement": "enforce"})),
    ] {
        let accesses = |old, new| {
            let mut texts = changes(old, new);
            texts.retain(|text| !text.starts_with("denied with other words"));
            texts
        };
        assert_eq!(accesses(&old, &new), [""; 0], "{old} {new}");
        assert_eq!(accesses(&new, &old), [""; 0], "{new} {old}");
    }
}

#[test]
fn ranges_lists_and_patterns_of_arguments_and_claims() {
    let claim = |condition: Value| json!({"claims": {"/org/unit": condition}});
    for (old, new, expected) in [
        (
            amount(json!({"max": 1000})),
            amount(json!({"max": 2000})),
            "opens for every caller if the argument `amount` is at most 2000; was open already if the argument `amount` is at most 1000",
        ),
        (
            amount(json!({"max": 2000})),
            amount(json!({"max": 1000})),
            "closes for every caller if the argument `amount` is at most 2000; stays open if the argument `amount` is at most 1000",
        ),
        (
            amount(json!({"in": ["EUR", "USD"]})),
            amount(json!({"in": ["USD", "EUR", "GBP"]})),
            "opens for every caller if the argument `amount` is \"GBP\"",
        ),
        (
            amount(json!({"max": 5})),
            amount(json!({"max": 5, "presence": "optional"})),
            "opens for every caller if the argument `amount` is absent",
        ),
        (
            amount(json!({"min": 1, "max": 5})),
            amount(json!({"max": 5})),
            "opens for every caller if the argument `amount` is at most 5; was open already if the argument `amount` is at least 1 and is at most 5",
        ),
        (
            claim(json!({"matches": "hr-.*"})),
            claim(json!({"equals": "hr-1"})),
            "closes for callers whose claim `/org/unit` matches \"hr-.*\"; stays open for callers whose claim `/org/unit` is \"hr-1\"",
        ),
        (
            json!({"clients": ["x"]}),
            json!({"clients": ["x", "y"], "other_arguments": "deny"}),
            "opens for callers of the client y if there are no arguments",
        ),
    ] {
        let all = required(&old, &new);
        assert_eq!(all[0], expected, "{old} {new}: {all:?}");
    }
    assert_eq!(required(&amount(json!({"in": [1, 5]})), &amount(json!({"max": 5}))).len(), 1);
    assert_eq!(required(&amount(json!({"in": [1, 5]})), &amount(json!({"max": 4}))).len(), 2);
}

#[test]
fn what_can_never_be_is_not_told() {
    let rules = |scope: &str| {
        json!([
            {"require": {"clients": ["x"]}, "delegation": {"scope": scope}},
            {"require": {"clients": ["y"]}, "delegation": {"scope": "y"}},
        ])
    };
    assert_eq!(
        changes(&rules("x"), &rules("z")),
        ["delegated as z instead of x for callers of the client x"]
    );
    let rules = |scope: &str| {
        json!([
            {"require": amount(json!({"max": 5})), "delegation": {"scope": scope}},
            {"require": amount(json!({"min": 6})), "delegation": {"scope": "y"}},
            {"require": {"other_arguments": "deny"}, "delegation": {"scope": "y"}},
        ])
    };
    assert_eq!(
        changes(&rules("x"), &rules("z")),
        ["delegated as z instead of x for every caller if the argument `amount` is at most 5"]
    );
}

#[test]
fn a_claim_that_need_only_be_there() {
    let old = json!({"claims": {"team": {"presence": "required"}}});
    let new = json!({"claims": {"team": {"equals": "a"}}});
    assert_eq!(
        required(&old, &new),
        [
            "closes for callers whose claim `team` is present; stays open for callers whose claim `team` \
          is \"a\""
        ]
    );
}

#[test]
fn sign_in_and_time() {
    let old = json!({"acr_values": ["gold"], "max_age": "5m"});
    let new = json!({"acr_values": ["gold"], "max_age": "10m"});
    assert_eq!(
        required(&old, &new),
        [
            "opens for callers with a sign-in of the class gold within the last 600 seconds; was open \
          already for callers with a sign-in of the class gold within the last 300 seconds"
        ]
    );
    let day = |until: &str| json!({"time": {"days": ["monday"], "from": "08:00", "until": until}});
    assert_eq!(
        required(&day("18:00"), &day("17:00")),
        [
            "closes for every caller on Monday from 08:00 until 18:00 (UTC+00:00); stays open on Monday \
          from 08:00 until 17:00 (UTC+00:00)"
        ]
    );
}

#[test]
fn delegations() {
    let delegated = |delegation: Value| json!({ "delegation": delegation });
    let old = delegated(json!({"scope": "x"}));
    for (new, expected) in [
        (json!({"scope": "y"}), "delegated as y instead of x"),
        (
            json!({"scope": "x", "audience": "https://b.example/"}),
            "delegated to https://b.example/ instead of https://a.example/",
        ),
        (
            json!({"scope": "x", "lifetime": "60s", "cache": false}),
            "delegated for at most 60 s instead of 5 s, by a token for each call instead of a token \
             that may serve again",
        ),
    ] {
        assert_eq!(changes(&old, &delegated(new)), [expected]);
    }
    let first = json!({"require": {"scopes": ["a"]}, "delegation": {"scope": "y"}});
    let last = json!({"require": {}, "delegation": {"scope": "x"}});
    assert_eq!(
        changes(&last, &json!([first, last])),
        ["delegated as y instead of x for callers with the scope a"]
    );
    // An order that matters.
    let b = json!({"require": {"scopes": ["b"]}, "delegation": {"scope": "x"}});
    assert_eq!(
        changes(&json!([first, b]), &json!([b, first])),
        [
            "delegated as x instead of y for callers with the scopes a and b",
            "denied with other words or other scopes to ask for"
        ]
    );
}

#[test]
fn enforcement_and_denials() {
    let rule = |enforcement: &str, scope: &str| json!({"require": {"scopes": [scope]}, "enforcement": enforcement});
    assert_eq!(
        changes(&rule("shadow", "a"), &rule("enforce", "a")),
        ["closes, now enforced, for callers without the scope a"]
    );
    assert_eq!(
        changes(&rule("enforce", "a"), &rule("shadow", "a")),
        ["opens, now in shadow, for callers without the scope a"]
    );
    assert_eq!(
        changes(&rule("shadow", "a"), &rule("shadow", "b"))[..2],
        [
            "would close, if enforced, for callers with the scope a but without the scope b",
            "would open, if enforced, for callers with the scope b but without the scope a",
        ]
    );
    let denied = |denial: &str, message: &str| json!({"require": {"scopes": ["a"]}, "denial": denial, "message": message});
    assert_eq!(
        changes(&denied("step_up", "No."), &denied("hidden", "Never.")),
        ["denied with hidden \"Never.\" instead of step_up \"No.\""]
    );
}

/// However many combinations there are.
#[test]
fn scopes_stay_exact_beside_long_lists() {
    let clients: Vec<String> = (0..5_000).map(|number| format!("client-{number}")).collect();
    let rule = |any: &[&str]| json!({"any_scope": any, "clients": clients});
    let all = required(&rule(&["a", "c"]), &rule(&["a", "b", "c"]));
    assert_eq!(all.len(), 1);
    assert!(all[0].starts_with("opens for callers with the scope b of the client client-0, "));
    assert!(all[0].ends_with("; was open already for callers with one of the scopes a or c"));
}

#[test]
fn what_answers_hold_is_told() {
    let rule = |names: Value| json!({"redact": names});
    // In the answer itself, and in streams, which lose what any rule redacts.
    let told = changes(&rule(json!(["ssn", "IBAN"])), &rule(json!(["ssn"])));
    assert_eq!(told, ["reveals iban", "reveals iban"]);
    assert_eq!(changes(&rule(json!(["ssn"])), &rule(json!(["SSN"]))), [] as [&str; 0]);
    assert_eq!(
        changes(&json!({}), &json!([{"require": {"scopes": ["a"]}}, {"redact": ["ssn"]}])),
        ["redacts ssn for callers without the scope a", "redacts ssn"]
    );
}

#[test]
fn what_a_token_is_bound_to_is_told() {
    let rule = |details: Value| json!({"delegation": {"scope": "d", "cache": false, "authorization_details": details}});
    let bound = rule(json!({"type": "pay", "arguments": ["amount"]}));
    // A call that cannot be bound to is denied.
    let clear = "if all servers read the argument `amount` alike";
    let by = "bound to the call by the type pay and the argument amount";
    assert_eq!(
        changes(&rule(Value::Null), &bound),
        [
            format!("closes for every caller; stays open {clear}"),
            format!("delegated by a token that is {by} for every caller {clear}"),
        ]
    );
    assert_eq!(
        changes(&bound, &rule(Value::Null)),
        [
            format!("opens for every caller; was open already {clear}"),
            format!("delegated by a token that is not bound to the call for every caller {clear}"),
        ]
    );
}

#[test]
fn an_entry_of_its_own_with_the_same_rule_is_no_change() {
    let scopes = scopes();
    for rule in [
        json!({"delegation": {"scope": "d", "cache": false, "authorization_details": {"type": "t", "arguments": ["amount"]}}}),
        json!({"require": {"clients": ["x"], "arguments": {"a": {"max": 5}}}, "delegation": {"scope": "d"}}),
        json!({"require": {"scopes": ["a"]}, "delegation": {"scope": "d"}}),
    ] {
        let old = compile(&json!({"pay*": rule}), &scopes);
        let new = compile(&json!({"pay*": rule, "pay_b": rule}), &scopes);
        assert_eq!(compare(Some(&old), Some(&new), [&scopes, &scopes]), [], "{rule}");
    }
}

#[test]
fn what_an_entry_keeps_from_a_wider_one_is_told() {
    let scopes = scopes();
    let policy = |more: Value| {
        let mut resources = json!({"docs://h/*": {"delegation": {"scope": "d"}}});
        resources.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        compile_policy(&json!({"resources": resources}), &scopes)
    };
    let rule = json!({"delegation": {"scope": "d"}});
    let alone = policy(json!({}));
    let changes = |old: &Policy, new: &Policy| -> Vec<String> {
        let changes = compare(Some(old), Some(new), [&scopes, &scopes]);
        changes.into_iter().map(|change| format!("{}: {}", change.object, change.text)).collect()
    };
    for (entry, beside) in [
        ("docs://h/public", &["docs://h/public/", "docs://h/public?…"][..]),
        ("docs://h/board/*", &["docs://h/board", "docs://h/board?…"]),
    ] {
        let with = policy(json!({entry: rule}));
        let told = |verb: &str| -> Vec<String> {
            beside.iter().map(|uri| format!("resources.{uri}: {verb} for every caller")).collect()
        };
        assert_eq!(changes(&with, &alone), told("opens"));
        assert_eq!(changes(&alone, &with), told("closes"));
    }
    // So it does where the entry has a query itself.
    let with = policy(json!({"docs://h/a?x": rule}));
    let told = changes(&with, &alone);
    assert!(
        told.contains(&"resources.docs://h/a?…: opens for every caller".to_owned()),
        "{told:?}"
    );
}
