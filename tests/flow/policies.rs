//! What rules can ask for beyond scopes, and what the client is told.

use std::time::Duration;

use mcp_deputy::transaction::Step;
use serde_json::{Value, json};

use super::stage::*;

/// The shipped configuration of these tests, with this as the rules of the tool `act`.
fn stage(rules: Value) -> Stage {
    let mut configuration = configuration();
    configuration["policies"]["ledger"]["tools"]["act"] = rules;
    Stage::with(configuration)
}

fn act(arguments: Value) -> String {
    let params = json!({"name": "act", "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).to_string()
}

/// The call goes up under the delegation of `act`, which is asked for now.
fn go_up_as_act(stage: &mut Stage, stream: &mut Stream, step: Step) {
    let Step::Call(callout) = &step else { panic!("{step:?}") };
    assert_eq!(field(callout, "scope").as_deref(), Some("ledger:Act"));
    let _ = stream.go_up(stage, step);
}

/// The scope of the delegation that is asked for, or the message of the denial.
fn outcome(step: Step) -> String {
    match step {
        Step::Call(callout) => field(&callout, "scope").unwrap(),
        step => {
            let body: Value = serde_json::from_slice(&step.reply().body).unwrap();
            body["error"]["message"].as_str().unwrap().to_owned()
        }
    }
}

#[test]
fn n05_arguments_are_judged_by_their_exact_type_and_value() {
    let mut stage = stage(json!({
        "require": {
            "arguments": {"path": {"matches": "/data/[a-z]+"}, "size": {"presence": "optional", "max": 10}},
            "other_arguments": "deny",
        },
        "delegation": {"scope": "ledger:Act"},
    }));
    let path = "Access denied: the argument `path` of act must match \"/data/[a-z]+\".";
    let size = "Access denied: the argument `size` of act must be absent, or be at most 10.";
    let others = "Access denied: act takes no arguments but path, size.";
    for (arguments, expected) in [
        (json!({"path": "/data/a"}), "ledger:Act"),
        (json!({"path": "/data/a", "size": 10}), "ledger:Act"),
        (json!({"path": "/data/a", "size": 11}), size),
        (json!({"path": "/data/a", "size": "1"}), size),
        (json!({"path": "/data/a", "size": null}), size),
        (json!({"path": "/data/a", "path2": "/etc"}), others),
        (json!({"path": ["/data/a"]}), path),
        (json!({"path": {"path": "/data/a"}}), path),
        (json!({"path": "/data/a/../b"}), path),
        (json!({"path": " /data/a"}), path),
        (json!({"path": "/data/a\n"}), path),
        (json!({"path": null}), path),
        (json!({}), path),
        (Value::Null, path),
    ] {
        let step = stage.send(&token(json!({})), &act(arguments.clone())).1;
        assert_eq!(outcome(step), expected, "{arguments}");
    }
    let escaped = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"act","arguments":{"p\u0061th":"\/d\u0061ta\/a"}}}"#;
    assert_eq!(outcome(stage.send(&token(json!({})), escaped).1), "ledger:Act");
    let without = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"act"}}"#;
    assert_eq!(outcome(stage.send(&token(json!({})), without).1), path);
}

/// Some servers read a string that holds JSON as what it holds, and some names whatever their case.
#[test]
fn n05_what_a_server_could_find_where_the_rule_finds_nothing_is_refused() {
    let mut stage = stage(json!({
        "require": {"arguments": {
            "/options/limit": {"presence": "optional", "max": 100},
            "/items/0/id": {"presence": "optional", "equals": 1},
            "force": {"presence": "absent"},
            "filter": {"presence": "optional", "members": {"all": {"presence": "absent"}}},
        }},
        "delegation": {"scope": "ledger:Act"},
    }));
    for (arguments, is_allowed) in [
        (json!({}), true),
        (json!({"options": {}}), true),
        (json!({"options": null}), true),
        (json!({"options": {"limit": 100, "other": 1}}), true),
        (json!({"options": {"limit": 101}}), false),
        (json!({"options": {"limit": null}}), false),
        (json!({"options": "{\"limit\": 1000}"}), false),
        (json!({"options": "text"}), false),
        (json!({"options": 7}), false),
        (json!({"options": true}), false),
        (json!({"options": [{"limit": 1000}]}), false),
        (json!({"options": {"Limit": 1000}}), false),
        (json!({"options": {"lim\u{131}t": 1000}}), false),
        (json!({"options": {"_limit": 1000}}), false),
        (json!({"Options": {"limit": 1000}}), false),
        (json!({"items": []}), true),
        (json!({"items": [{}]}), true),
        (json!({"items": [null]}), true),
        (json!({"items": [{"id": 1}]}), true),
        (json!({"items": [{"ID": 2}]}), false),
        (json!({"items": ["{\"id\": 2}"]}), false),
        (json!({"items": "[{\"id\": 2}]"}), false),
        (json!({"FORCE": true}), false),
        (json!({"option\u{17f}": {"limit": 1000}}), false),
        (json!({"filter": {}}), true),
        (json!({"filter": {"All": true}}), false),
    ] {
        let said = outcome(stage.send(&token(json!({})), &act(arguments.clone())).1);
        assert_eq!(said == "ledger:Act", is_allowed, "{arguments}: {said}");
    }
}

#[test]
fn the_arguments_of_each_message_of_a_batch_are_judged() {
    let mut stage = stage(json!({
        "require": {"arguments": {"n": {"max": 1}}}, "delegation": {"scope": "ledger:Act"},
    }));
    let batch = |numbers: &[u64]| {
        let message = |n: &u64| serde_json::from_str::<Value>(&act(json!({"n": n}))).unwrap();
        let mut messages: Vec<Value> = numbers.iter().map(message).collect();
        for (index, message) in messages.iter_mut().enumerate() {
            message["id"] = json!(index);
        }
        Value::Array(messages).to_string()
    };
    for (numbers, expected) in [
        (&[1, 0][..], "ledger:Act"),
        (&[1], "ledger:Act"),
        (&[1, 2], "Access denied: the argument `n` of act must be at most 1."),
        (&[2, 1], "Access denied: the argument `n` of act must be at most 1."),
        (&[2], "Access denied: the argument `n` of act must be at most 1."),
    ] {
        let (_, step) = stage.send(&token(json!({})), &batch(numbers));
        assert_eq!(outcome(step), expected, "{numbers:?}");
    }
}

#[test]
fn a_prompt_is_judged_by_its_arguments_and_completed_without() {
    let mut configuration = configuration();
    configuration["policies"]["ledger"]["prompts"]["brief"] = json!({
        "require": {"arguments": {"style": {"equals": "short"}}}, "delegation": {"scope": "ledger:Act"},
    });
    let mut stage = Stage::with(configuration);
    let mut ask = |method: &str, params: Value| {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        outcome(stage.send(&token(json!({})), &message.to_string()).1)
    };
    let denied = "Access denied: the argument `style` of brief must be \"short\".";
    let prompt = |style: &str| json!({"name": "brief", "arguments": {"style": style}});
    assert_eq!(ask("prompts/get", prompt("short")), "ledger:Act");
    assert_eq!(ask("prompts/get", prompt("long")), denied);
    let completion = json!({
        "ref": {"type": "ref/prompt", "name": "brief"}, "argument": {"name": "style", "value": "s"},
        "arguments": {"style": "short"},
    });
    assert_eq!(ask("completion/complete", completion), denied);
}

#[test]
fn s07_a_claim_binds_an_argument() {
    let mut stage = stage(json!({
        "require": {"arguments": {"basket": {"in_claim": "baskets"}}},
        "delegation": {"scope": "ledger:Act"},
    }));
    let denied =
        "Access denied: the argument `basket` of act must be in the caller's claim `baskets`.";
    for (claims, basket, expected) in [
        (json!({"baskets": ["b1", "b2"]}), "b2", "ledger:Act"),
        (json!({"baskets": ["b1", "b2"]}), "b3", denied),
        (json!({"baskets": "b1"}), "b1", denied),
        (json!({}), "b1", denied),
    ] {
        let step = stage.send(&token(claims.clone()), &act(json!({"basket": basket}))).1;
        assert_eq!(outcome(step), expected, "{claims} {basket}");
    }
}

#[test]
fn the_first_rule_that_holds_delegates() {
    let mut stage = stage(json!([
        {
            "require": {"scopes": ["pii:read"], "arguments": {"amount": {"max": 1000}}},
            "delegation": {"scope": "ledger:Small"},
        },
        {"require": {"scopes": ["audit:read"]}, "delegation": {"scope": "ledger:Large"}},
    ]));
    for (scope, amount, expected) in [
        ("mcp:connect pii:read", 1000, "ledger:Small"),
        ("mcp:connect pii:read audit:read", 1000, "ledger:Small"),
        ("mcp:connect pii:read audit:read", 1001, "ledger:Large"),
        ("mcp:connect", 1, "Access denied: act requires the scope mcp:connect pii:read."),
        (
            "mcp:connect pii:read",
            1001,
            "Access denied: act requires the scope audit:read mcp:connect.",
        ),
    ] {
        let step = stage.send(&token(json!({"scope": scope})), &act(json!({"amount": amount}))).1;
        assert_eq!(outcome(step), expected, "{scope} {amount}");
    }
}

#[test]
fn a_sign_in_that_is_too_weak_or_too_old_is_asked_for_anew() {
    let rule = json!({
        "require": {"scopes": ["pii:read"], "acr_values": ["urn:x:mfa", "urn:x:key"], "max_age": "10m"},
        "delegation": {"scope": "ledger:Act"},
    });
    let mut stage = stage(rule.clone());
    let good = json!({"scope": "mcp:connect pii:read", "acr": "urn:x:key", "auth_time": NOW - 600});
    let metadata =
        "resource_metadata=\"https://gateway.example/.well-known/oauth-protected-resource/mcp\"";
    let needed = "Bearer error=\"insufficient_user_authentication\", acr_values=\"urn:x:mfa urn:x:key\", max_age=\"600\"";
    for (changes, scopes) in [
        (json!({"acr": "urn:x:password"}), ""),
        (json!({"acr": "URN:X:KEY"}), ""),
        (json!({"acr": null}), ""),
        (json!({"auth_time": NOW - 601}), ""),
        (json!({"auth_time": null}), ""),
        (json!({"acr": null, "scope": "mcp:connect"}), "scope=\"mcp:connect pii:read\", "),
    ] {
        let token = token(merge(good.clone(), changes.clone()));
        let reply = stage.send(&token, &act(json!({}))).1.reply();
        assert_eq!(reply.status, 401, "{changes}");
        let challenge = reply.headers.iter().find(|(name, _)| *name == "www-authenticate").unwrap();
        assert_eq!(challenge.1, format!("{needed}, {scopes}{metadata}"), "{changes}");
    }
    assert_eq!(outcome(stage.send(&token(good.clone()), &act(json!({}))).1), "ledger:Act");

    let old = merge(good, json!({"auth_time": NOW - 601}));
    let mut stage = self::stage(merge(rule, json!({"denial": "error"})));
    let reply = stage.send(&token(old), &act(json!({}))).1.reply();
    assert_eq!(
        (reply.status, reply.headers.iter().any(|(name, _)| *name == "www-authenticate")),
        (200, false)
    );
}

#[test]
fn clients_claims_and_times_are_judged() {
    let mut stage = stage(json!({
        "require": {
            "clients": ["cli"],
            "claims": {"/realm_access/roles": {"includes": "teller"}, "suspended": {"presence": "absent"}},
            "time": {"from": "08:00", "until": "09:00"},
        },
        "delegation": {"scope": "ledger:Act"},
    }));
    // The moment of these tests is 08:00 UTC.
    let good = json!({"realm_access": {"roles": ["user", "teller"]}});
    let claim = "Access denied: act is not open to a caller with this";
    for (changes, expected) in [
        (json!({}), "ledger:Act".to_owned()),
        (json!({"client_id": "web"}), "Access denied: act is not open to this client.".to_owned()),
        (
            json!({"realm_access": {"roles": ["tellers"]}}),
            format!("{claim} `/realm_access/roles`."),
        ),
        (json!({"realm_access": null}), format!("{claim} `/realm_access/roles`.")),
        (json!({"suspended": false}), format!("{claim} `suspended`.")),
    ] {
        let step = stage.send(&token(merge(good.clone(), changes.clone())), &act(json!({}))).1;
        assert_eq!(outcome(step), expected, "{changes}");
    }
    let nobody = json!({"client_id": null, "realm_access": good["realm_access"]});
    let step = stage.send(&token(nobody), &act(json!({}))).1;
    assert_eq!(outcome(step), "Access denied: act is not open to this client.");
    stage.pass(Duration::from_hours(1));
    let later = token(merge(good, json!({"exp": NOW + 7200, "iat": NOW + 3600})));
    let step = stage.send(&later, &act(json!({}))).1;
    assert_eq!(outcome(step), "Access denied: act is not open at this time.");
}

#[test]
fn a_rule_in_shadow_lets_through_and_says_what_it_would_have_denied() {
    let rule = |enforcement: &str| {
        json!({
            "enforcement": enforcement, "require": {"scopes": ["audit:read"]},
            "message": "No.", "delegation": {"scope": "ledger:Act"},
        })
    };
    let mut stage = self::stage(rule("shadow"));
    let (mut stream, step) = stage.send(&token(json!({})), &act(json!({})));
    go_up_as_act(&mut stage, &mut stream, step);
    let record = stream.close(&mut stage, 200).unwrap();
    assert_eq!(record["decision"], "allow");
    let expected =
        json!({"rule": "ledger.tools.act", "reason": "insufficient_scope", "message": "No."});
    assert_eq!(record["would_deny"], expected);

    let (mut stream, step) =
        stage.send(&token(json!({"scope": "mcp:connect audit:read"})), &act(json!({})));
    go_up_as_act(&mut stage, &mut stream, step);
    assert_eq!(stream.close(&mut stage, 200).unwrap().get("would_deny"), None);

    // What the endpoint requires of every request is not on trial, nor what no rule names.
    let step = stage.send(&token(json!({"scope": "pii:read"})), &act(json!({}))).1;
    assert_eq!(step.reply().status, 403);
    assert_eq!(stage.send(&token(json!({})), &call("unknown")).1.reply().status, 200);

    for (path, value) in [("/policies/ledger", json!("shadow")), ("", json!("shadow"))] {
        let mut configuration = configuration();
        configuration["policies"]["ledger"]["tools"]["act"] = rule("enforce");
        configuration.pointer_mut(path).unwrap()["enforcement"] = value;
        let mut stage = Stage::with(configuration);
        assert_eq!(
            outcome(stage.send(&token(json!({})), &call("getCustomerPII")).1),
            "ledger:ReadPII"
        );
        assert_eq!(stage.send(&token(json!({})), &act(json!({}))).1.reply().status, 403, "{path}");
    }
}

#[test]
fn a_delegation_that_is_not_cached_is_asked_for_by_each_call() {
    let mut stage = stage(json!({"delegation": {"scope": "ledger:Act", "cache": false}}));
    let token = token(json!({}));
    let (mut first, first_step) = stage.send(&token, &act(json!({})));
    let (mut second, second_step) = stage.send(&token, &act(json!({})));
    for (stream, step) in [(&mut first, first_step), (&mut second, second_step)] {
        go_up_as_act(&mut stage, stream, step);
    }
    for stream in [first, second] {
        let record = stream.close(&mut stage, 200).unwrap();
        assert_eq!(record["delegation"]["source"], "exchanged");
    }
    let (_, step) = stage.send(&token, &act(json!({})));
    assert_eq!(outcome(step), "ledger:Act");
}

#[test]
fn a_method_without_an_object_can_have_a_rule() {
    let mut configuration = configuration();
    configuration["policies"]["ledger"]["methods"] = json!({"logging/setLevel": {
        "require": {"scopes": ["audit:read"]}, "delegation": {"scope": "ledger:Log"},
    }});
    let mut stage = Stage::with(configuration);
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel", "params": {"level": "debug"}});
    let mut ask = |scope: &str| stage.send(&token(json!({"scope": scope})), &message.to_string()).1;
    assert_eq!(outcome(ask("mcp:connect audit:read")), "ledger:Log");
    assert_eq!(ask("mcp:connect").reply().status, 403);
}
