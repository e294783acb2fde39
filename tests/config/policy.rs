//! What policies cannot mean.

use std::fs;

use mcp_deputy::config::Config;
use serde_json::{Value, json};

use super::support::{deputy, scratch, stderr};
use super::{changed, errors, pushed, yaml};

#[test]
fn a_bad_policy_is_refused_with_every_error() {
    let mut pushed = pushed();
    pushed["policies"]["enterprise-ledger"] = yaml("policies/bad/enterprise-ledger.yaml");
    assert_eq!(
        errors(pushed),
        "\
policies.enterprise-ledger.audience: `https://enterprise-ledger.orchestrator.lab/ and others` is not an audience
policies.enterprise-ledger.lifetime: `1500ms` is not a token lifetime; help: tokens count whole seconds, so write at least `1s`
policies.enterprise-ledger.baseline.delegation.scope: `ledger:Connect ledger:Ping` is not a scope; help: a delegation has exactly one scope, without spaces (RFC 6749 section 3.3)
policies.enterprise-ledger.tools.getAccount.delegation.lifetime: `0s` is not a token lifetime; help: tokens count whole seconds, so write at least `1s`
policies.enterprise-ledger.tools.getAuditLog.require.scopes[1]: unknown scope `compliance`; help: known are `audit:read`, `mcp:connect`, `pii:read`
policies.enterprise-ledger.tools.getCustomerPII.require.scopes[0]: unknown scope `pii:reed`; help: did you mean `pii:read`?
policies.enterprise-ledger.tools.getTransactions.message: the message is empty, too long or has control characters; help: write one plain sentence of at most 1000 bytes
policies.enterprise-ledger.tools.getTransactions.delegation.audience: `` is not an audience
policies.enterprise-ledger.tools.list accounts: `list accounts` is not a tool name; help: a name has 1 to 128 letters, digits, `_`, `-` and `.`; what ends with `*` stands for all that begin so"
    );
}

#[test]
fn only_a_call_of_a_tool_can_be_bound_to() {
    let mut pushed = pushed();
    let policy = &mut pushed["policies"]["enterprise-ledger"];
    let delegation = json!({"scope": "a", "authorization_details": {"type": "t"}});
    policy["baseline"] = json!({"delegation": delegation});
    policy["prompts"] = json!({"brief": {"delegation": delegation}});
    let problem = "delegation.authorization_details: not possible here; help: only a call of a tool can be bound to";
    assert_eq!(
        errors(pushed),
        format!(
            "policies.enterprise-ledger.baseline.{problem}\npolicies.enterprise-ledger.prompts.brief.{problem}"
        )
    );
}

/// A configuration that has another policy, with these members besides.
fn with_policy(members: &Value) -> Value {
    let mut policy = json!({"audience": "https://notes.example/", "baseline": "without_token"});
    let members = members.as_object().unwrap().clone();
    policy.as_object_mut().unwrap().extend(members);
    changed("/policies/notes", policy)
}

fn errors_of_policy(members: &Value) -> String {
    errors(with_policy(members))
}

#[test]
fn what_a_policy_can_never_mean_is_told() {
    let rule = |members: Value| {
        let mut rule = json!({"delegation": {"scope": "notes:Read"}});
        rule.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!({"tools": {"read": rule}})
    };
    let names: Vec<String> = (0..101).map(|number| format!("name{number}")).collect();
    for (members, expected) in [
        (json!({"declares": {"prompts": ["a b", "a", "a"]}}), "\
policies.notes.declares.prompts[0]: `a b` is not a prompt name; help: a name has 1 to 128 letters, digits, `_`, `-` and `.`
policies.notes.declares.prompts[2]: `a` is listed twice"),
        (
            json!({"declares": {"tools": ["db_read"]}, "tools": {
                "db_read": {"delegation": {"scope": "a"}}, "db_*": {"delegation": {"scope": "b"}},
            }}),
            "\
policies.notes.tools.db_*: can never be reached; help: each declared tool that begins so has other rules",
        ),
        (
            json!({"methods": {"logging/setLevel": {"delegation": {"scope": "a"}, "redact": ["a"]}}}),
            "\
policies.notes.methods.logging/setLevel.redact: a method has nothing to redact; help: redact in the rules of tools, prompts and resources",
        ),
        (rule(json!({"redact": []})), "\
policies.notes.tools.read.redact: redacts nothing; help: name at least one member, or leave it out"),
        (rule(json!({"redact": names})), "\
policies.notes.tools.read.redact: a rule redacts at most 100 members"),
        (
            rule(json!({"delegation": {"scope": "a", "authorization_details": {"type": ""}}})),
            "\
policies.notes.tools.read.delegation.authorization_details.type: it is empty; help: name a type that the authorization server knows",
        ),
        (rule(json!({"require": {"scopes": [], "claims": {}, "arguments": {}}})), "\
policies.notes.tools.read.require.scopes: says nothing; help: write what must hold, or leave it out
policies.notes.tools.read.require.claims: says nothing; help: write what must hold, or leave it out
policies.notes.tools.read.require.arguments: says nothing; help: write what must hold, or leave it out"),
        (rule(json!({"require": {"any_scope": []}})), "\
policies.notes.tools.read.require.any_scope: can never hold; help: name at least one scope"),
        (rule(json!({"require": {"clients": null, "time": null}, "redact": null})), "\
policies.notes.tools.read.redact: it is empty; help: write a value, or leave the name out too
policies.notes.tools.read.require.clients: it is empty; help: write a value, or leave the name out too
policies.notes.tools.read.require.time: it is empty; help: write a value, or leave the name out too"),
        (
            rule(json!({"require": {"arguments": {"amount": {"max": null}, "Amount": {"max": 1}}}})),
            "\
policies.notes.tools.read.require.arguments.amount: differs from `Amount` by its case alone",
        ),
        (json!({"prompts": {"getUser": {"delegation": {"scope": "a"}}, "GetUser": {"delegation": {"scope": "a"}}}}), "\
policies.notes.prompts.getUser: differs from `GetUser` by its case alone"),
        (rule(json!({"require": {"clients": ["", "cli"]}})), "\
policies.notes.tools.read.require.clients[0]: no client has an empty name"),
        (rule(json!({"require": {"claims": {"n": {"equals": null}}}})), "\
policies.notes.tools.read.require.claims.n.equals: can never hold; help: a claim that is `null` is absent: write `presence: absent`"),
        (rule(json!({"require": {"arguments": {"a": {"min": 1}, "/a": {"max": 2}, "/a/b": {}}}})), "\
policies.notes.tools.read.require.arguments.a: `a` is named twice"),
        (rule(json!({"require": {"claims": {"a/b": {"min": 1}, "/a~1b": {"max": 2}}}})), "\
policies.notes.tools.read.require.claims.a/b: `a/b` is named twice"),
        (rule(json!({"require": {"other_arguments": false}})), "\
policies.notes.tools.read.require.other_arguments: invalid type: boolean `false`, expected one of `allow`, `deny`"),
        (rule(json!({"require": {"time": {"utc_offset": "+01:00"}}})), "\
policies.notes.tools.read.require.time: this condition says nothing"),
        (rule(json!({"require": {"arguments": {"n": {"in": []}}}})), "\
policies.notes.tools.read.require.arguments.n.in: can never hold; help: name at least one value"),
        (
            rule(json!({"require": {"arguments": {"n": {"each": {"presence": "optional", "max": 1}}}}})),
            "\
policies.notes.tools.read.require.arguments.n.each.presence: elements are always there; help: leave it out",
        ),
        (
            rule(json!({"require": {"arguments": {"n": {"equals_claim": "/a/~"}}}})),
            "\
policies.notes.tools.read.require.arguments.n.equals_claim: `/a/~` names no claim; help: write a claim's name, or a JSON Pointer like `/realm_access/roles`",
        ),
        (rule(json!({"require": {"claims": {"n": {"equals_claim": "sub"}}}})), "\
policies.notes.tools.read.require.claims.n.equals_claim: not possible here; help: arguments are compared with claims"),
        (rule(json!({"require": {"arguments": {"n": {"equals": [1]}}}})), "\
policies.notes.tools.read.require.arguments.n.equals: `[1]` is no such value; help: write a string, a number within ±2^53, a boolean or null"),
        (rule(json!({"require": {"arguments": {"n": {"in": [1, 9_007_199_254_740_993_u64]}}}})), "\
policies.notes.tools.read.require.arguments.n.in: `9007199254740993` is no such value; help: write a string, a number within ±2^53, a boolean or null"),
        (rule(json!({"require": {"claims": {"n": {"presence": "optional"}}}})), "\
policies.notes.tools.read.require.claims.n: says nothing; help: write what it must be if it is there, or leave it out"),
        (rule(json!({"require": {"claims": {"n": {"presence": "absent", "max": 1}}}})), "\
policies.notes.tools.read.require.claims.n: can never hold; help: what is absent has no value: leave out the rest"),
        (rule(json!({"require": {"arguments": {"n": {"min_length": 2, "max_length": 1}}}})), "\
policies.notes.tools.read.require.arguments.n: can never hold; help: `2` is more than `1`"),
    ] {
        assert_eq!(errors_of_policy(&members), expected, "{members}");
    }
}

#[test]
fn a_rule_is_never_reached_behind_one_that_holds_whenever_it_does() {
    let is_told = |first: &Value, second: &Value| {
        let rule = |require: &Value| json!({"require": require, "delegation": {"scope": "s"}});
        let tools = json!({"tools": {"read": [rule(first), rule(second)]}});
        let told = Config::from_value(with_policy(&tools)).err().map(|errors| errors.to_string());
        let expected = "policies.notes.tools.read[1]: can never be reached; \
                        help: `notes.tools.read[0]` holds whenever it does, and comes first";
        assert!(told.as_deref().is_none_or(|told| told == expected), "{told:?}");
        told.is_some()
    };
    let office = |until: &str| json!({"time": {"days": ["monday"], "until": until}});
    let only_n = |max: u8| json!({"arguments": {"n": {"max": max}}, "other_arguments": "deny"});
    // Each holds whenever the one after it does, and not the other way round.
    for wider_first in [
        vec![
            json!({"any_scope": ["audit:read", "pii:read"]}),
            json!({"any_scope": ["audit:read"]}),
            json!({"any_scope": ["audit:read"], "clients": ["x"]}),
        ],
        vec![json!({"any_scope": ["audit:read", "pii:read"]}), json!({"scopes": ["audit:read"]})],
        vec![json!({"clients": ["x", "y"]}), json!({"clients": ["y"]})],
        vec![
            json!({"acr_values": ["gold", "silver"]}),
            json!({"acr_values": ["gold"]}),
            json!({"acr_values": ["gold"], "max_age": "5m"}),
        ],
        vec![
            json!({"max_age": "10m"}),
            json!({"max_age": "5m"}),
            json!({"acr_values": ["gold"], "max_age": "5m"}),
        ],
        vec![json!({"claims": {"n": {"max": 5}}}), json!({"claims": {"n": {"max": 4}}})],
        vec![json!({"arguments": {"n": {"max": 5}}}), json!({"arguments": {"n": {"max": 4}}})],
        vec![office("18:00"), office("17:00")],
        vec![json!({"arguments": {"n": {"max": 5}}}), only_n(5), only_n(4)],
    ] {
        for (index, wide) in wider_first.iter().enumerate() {
            for (other, narrow) in wider_first.iter().enumerate() {
                assert_eq!(is_told(wide, narrow), index <= other, "{wide}, then {narrow}");
            }
        }
    }
    for (one, other) in [
        (
            json!({"any_scope": ["audit:read", "pii:read"]}),
            json!({"any_scope": ["pii:read", "mcp:connect"]}),
        ),
        (json!({"clients": ["x"]}), json!({"clients": ["y"]})),
        (json!({"acr_values": ["gold"]}), json!({"max_age": "5m"})),
        (
            json!({"acr_values": ["gold"], "max_age": "10m"}),
            json!({"acr_values": ["silver"], "max_age": "5m"}),
        ),
        (json!({"claims": {"n": {"max": 5}}}), json!({"claims": {"m": {"max": 4}}})),
        (json!({"arguments": {"n": {"max": 5}}}), json!({"claims": {"n": {"max": 4}}})),
    ] {
        assert!(!is_told(&one, &other) && !is_told(&other, &one), "{one}, {other}");
    }
}

#[test]
fn a_policy_that_nothing_uses_is_still_checked() {
    let mut pushed = pushed();
    pushed["policies"]["other"] = pushed["policies"]["enterprise-ledger"].clone();
    pushed["policies"]["other"]["lifetime"] = json!("0s");
    assert!(errors(pushed).starts_with("policies.other.lifetime: `0s` is not a token lifetime"));
}

#[test]
fn a_policy_whose_file_is_misnamed_is_told() {
    let policies = scratch("misnamed");
    let misnamed = ["more.yml", "more.test.yml", "a.YAML", "b.Yml", "c.json"];
    for name in misnamed.into_iter().chain(["ledger.yaml", "notes.txt"]) {
        fs::write(policies.join(name), "{}").unwrap();
    }
    let output = deputy(&["check", &format!("--set=policies={}", policies.display())]);
    for name in misnamed {
        let message = format!("`{}` is not read\n", policies.join(name).display());
        assert!(stderr(&output).contains(&message), "{}", stderr(&output));
    }
    assert!(!stderr(&output).contains("notes.txt"));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_policy_may_have_any_name() {
    let policies = scratch("any-name");
    fs::copy("policies/enterprise-ledger.yaml", policies.join("not_bad.yaml")).unwrap();
    let policies = format!("--set=policies={}", policies.display());
    let output = deputy(&["check", &policies, "--set=endpoints[0].policy=not_bad"]);
    assert_eq!(
        (stderr(&output).as_str(), output.status.code()),
        ("deputy.yaml: fine, 1 endpoint\n", Some(0))
    );
}

#[test]
fn a_rule_that_is_reached_at_one_endpoint_is_no_mistake_at_another() {
    for order in [[0, 1], [1, 0]] {
        let mut pushed = pushed();
        pushed["policies"]["enterprise-ledger"]["tools"]["read"] = json!([
            {"require": {"scopes": ["pii:read"]}, "delegation": {"scope": "a"}},
            {"redact": ["ssn"], "delegation": {"scope": "a"}},
        ]);
        let endpoints = [
            json!({"path": "/mcp", "policy": "enterprise-ledger"}),
            json!({"path": "/mcp/high", "policy": "enterprise-ledger", "required_scopes": ["pii:read"]}),
        ];
        pushed["endpoints"] = order.map(|index: usize| endpoints[index].clone()).to_vec().into();
        Config::from_value(pushed.clone()).unwrap();
        pushed["endpoints"].as_array_mut().unwrap().retain(|one| one["path"] == "/mcp/high");
        assert!(errors(pushed).contains("tools.read[1]: can never be reached"));
    }
}

/// It would be reached by the calls alone that cannot be bound to, without what binds them.
#[test]
fn a_rule_after_one_that_binds_the_same_calls_is_a_mistake() {
    let mut pushed = pushed();
    let details = json!({"type": "t", "arguments": ["amount"]});
    pushed["policies"]["enterprise-ledger"]["tools"]["pay"] = json!([
        {"delegation": {"scope": "a", "authorization_details": details}},
        {"delegation": {"scope": "a"}},
    ]);
    assert!(errors(pushed).contains("tools.pay[1]: can never be reached"));
}

/// Whoever believed it would take out the rule that is right.
#[test]
fn a_slip_in_one_rule_makes_no_other_unreachable() {
    for (require, slip) in [
        (json!({"scopes": ["pii:reed"]}), "scopes[0]: unknown scope `pii:reed`"),
        (json!({"any_scope": ["pii:reed"]}), "any_scope[0]: unknown scope `pii:reed`"),
        (json!({"clams": {"group": {"equals": "a"}}}), "clams: unknown field `clams`"),
        (json!({"claims": {"group": {"equal": "a"}}}), "claims.group.equal: unknown field `equal`"),
    ] {
        let mut pushed = pushed();
        pushed["policies"]["enterprise-ledger"]["tools"]["read"] = json!([
            {"require": require, "delegation": {"scope": "a"}},
            {"delegation": {"scope": "b"}},
        ]);
        let told = errors(pushed);
        let path = "policies.enterprise-ledger.tools.read[0].require.";
        assert!(told.starts_with(&format!("{path}{slip}")), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}
