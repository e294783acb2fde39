//! A rule holds on every method that reaches its object, and says in which form it denies.

use mcp_deputy::transaction::Step;
use serde_json::{Value, json};

use super::stage::*;

/// What is said to this request in the newest revision that has its method.
fn ask(scopes: &str, method: &str, params: Value) -> Step {
    let (mut stage, token) = (Stage::new(), token(json!({"scope": scopes})));
    match method {
        "resources/subscribe" | "resources/unsubscribe" => {
            let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
            stage.send(&token, &message.to_string()).1
        }
        _ => stage.ask_stateless(&token, method, params, &[]).1,
    }
}

/// The scope of the delegation that the step asks for, or the status of the answer.
fn outcome(step: Step) -> String {
    match step {
        Step::Call(callout) => field(&callout, "scope").unwrap(),
        step => step.reply().status.to_string(),
    }
}

#[test]
fn r13_a_rule_holds_on_every_way_to_its_object() {
    let complete =
        |reference: Value| json!({"ref": reference, "argument": {"name": "a", "value": ""}});
    let listen = |uris: &[&str]| json!({"notifications": {"resourceSubscriptions": uris}});
    let (open, closed) = ("ledger://accounts/1", "ledger://accounts/closed/1");
    for (method, params, held, expected) in [
        ("prompts/get", json!({"name": "summary"}), "", "ledger:Prompts"),
        ("prompts/get", json!({"name": "other"}), "", "200"),
        (
            "completion/complete",
            complete(json!({"type": "ref/prompt", "name": "summary"})),
            "",
            "ledger:Prompts",
        ),
        (
            "completion/complete",
            complete(json!({"type": "ref/prompt", "name": "other"})),
            "",
            "200",
        ),
        (
            "completion/complete",
            complete(json!({"type": "ref/resource", "uri": "ledger://accounts/{id}"})),
            "",
            "ledger:Resources",
        ),
        (
            "completion/complete",
            complete(json!({"type": "ref/resource", "uri": "ledger://accounts/closed/{id}"})),
            "",
            "403",
        ),
        (
            "completion/complete",
            complete(json!({"type": "ref/resource", "uri": "ledger://{kind}/1"})),
            "",
            "200",
        ),
        ("resources/read", json!({"uri": open}), "", "ledger:Resources"),
        ("resources/read", json!({"uri": closed}), "", "403"),
        ("resources/read", json!({"uri": closed}), "pii:read", "ledger:Closed"),
        ("resources/read", json!({"uri": "ledger://accounts/../users/1"}), "pii:read", "200"),
        ("resources/read", json!({"uri": "ledger://users/1"}), "", "200"),
        ("resources/subscribe", json!({"uri": open}), "", "ledger:Resources"),
        ("resources/subscribe", json!({"uri": closed}), "", "403"),
        ("resources/unsubscribe", json!({"uri": closed}), "", "403"),
        ("subscriptions/listen", listen(&[]), "", "ledger:Connect"),
        ("subscriptions/listen", listen(&[open]), "", "ledger:Resources"),
        ("subscriptions/listen", listen(&[open, "ledger://accounts/2"]), "", "ledger:Resources"),
        ("subscriptions/listen", listen(&[open, closed]), "", "403"),
        ("subscriptions/listen", listen(&[open, closed]), "pii:read", "200"),
        ("subscriptions/listen", listen(&["ledger://users/1"]), "", "200"),
        ("tasks/get", json!({"taskId": "1"}), "pii:read", "200"),
    ] {
        let step = ask(&format!("mcp:connect {held}"), method, params.clone());
        assert_eq!(outcome(step), expected, "{method} {params} {held}");
    }
}

/// A stage with these prompts, and the claims of a caller.
fn with_prompts(prompts: Value, claims: Value) -> (Stage, String) {
    let mut configuration = configuration();
    configuration["policies"]["ledger"]["prompts"] = prompts;
    (Stage::with(configuration), token(claims))
}

/// The server reads no `arguments` there, so they can satisfy no rule.
#[test]
fn arguments_that_a_completion_pretends_to_have_do_not_count() {
    let rule = |arguments: Value| {
        json!({"summary": {
            "require": {"arguments": arguments},
            "delegation": {"scope": "ledger:Prompts"},
        }})
    };
    let params = json!({
        "ref": {"type": "ref/prompt", "name": "summary"},
        "argument": {"name": "style", "value": ""},
        "arguments": {"style": "short"},
    });
    for (condition, expected) in [
        (json!({"style": {"equals": "short"}}), "200"),
        (json!({"style": {"presence": "absent"}}), "ledger:Prompts"),
    ] {
        let (mut stage, token) = with_prompts(rule(condition.clone()), json!({}));
        let (_, step) = stage.ask_stateless(&token, "completion/complete", params.clone(), &[]);
        assert_eq!(outcome(step), expected, "{condition}");
    }
}

/// To the last bit, as the server reads it.
#[test]
fn numbers_are_read_exactly() {
    for (condition, number, expected) in [
        (json!({"equals": 9_007_199_254_740_991_u64}), "9007199254740991.0", "ledger:Prompts"),
        (json!({"equals": 9_007_199_254_740_990_u64}), "9007199254740991.0", "200"),
        (json!({"max": 9_007_199_254_740_991_u64}), "9007199254740992.0", "200"),
        (json!({"equals": 1}), "1.0e0", "ledger:Prompts"),
    ] {
        let prompts = json!({"summary": {
            "require": {"arguments": {"size": condition}},
            "delegation": {"scope": "ledger:Prompts"},
        }});
        let (mut stage, token) = with_prompts(prompts, json!({}));
        let body = format!(
            r#"{{"jsonrpc": "2.0", "id": 7, "method": "prompts/get",
                "params": {{"name": "summary", "arguments": {{"size": {number}}}}}}}"#
        );
        let (_, step) = stage.send(&token, &body);
        assert_eq!(outcome(step), expected, "{condition} {number}");
    }
}

/// What an authorization server leaves open must not be met by who leaves it open too.
#[test]
fn a_claim_that_is_null_is_absent_also_behind_a_pointer() {
    let claims = json!({"tier": null, "org": {"unit": null, "ids": [null]}});
    for (require, expected) in [
        (json!({"claims": {"/org/unit": {"presence": "absent"}}}), "ledger:Prompts"),
        (json!({"claims": {"/org/unit": {"presence": "required"}}}), "200"),
        (json!({"claims": {"/org/ids/0": {"presence": "required"}}}), "200"),
        (json!({"arguments": {"unit": {"equals_claim": "tier"}}}), "200"),
        (json!({"arguments": {"unit": {"equals_claim": "/org/unit"}}}), "200"),
    ] {
        let prompts = json!({"summary": {
            "require": require, "delegation": {"scope": "ledger:Prompts"},
        }});
        let (mut stage, token) = with_prompts(prompts, claims.clone());
        let params = json!({"name": "summary", "arguments": {"unit": null}});
        let (_, step) = stage.ask_stateless(&token, "prompts/get", params, &[]);
        assert_eq!(outcome(step), expected, "{require}");
    }
}

#[test]
fn a_rule_says_in_which_form_it_denies() {
    let call = |name: &str| ask("mcp:connect", "tools/call", json!({"name": name})).reply();
    let sentence = |what| format!("Access denied: {what} requires the scope mcp:connect pii:read.");
    for (tool, status, message) in [
        ("readNotes", 200, sentence("readNotes")),
        ("wipe", 403, sentence("wipe")),
        ("secretTool", 200, "Access denied: no rule allows the tool secretTool.".to_owned()),
    ] {
        let reply = call(tool);
        assert_eq!(reply.status, status, "{tool}");
        assert_eq!(header(&reply, "www-authenticate"), None, "{tool} has no step-up");
        let error = json!({"code": 403, "message": message});
        assert_eq!(body(&reply), json!({"jsonrpc": "2.0", "id": 7, "error": error}));
    }
    let hidden = String::from_utf8(call("secretTool").body).unwrap();
    let absent = String::from_utf8(call("absentTool").body).unwrap();
    assert_eq!(hidden.replace("secretTool", "absentTool"), absent, "a hidden tool is like none");
}

#[test]
fn the_record_says_what_the_client_is_not_told() {
    let mut stage = Stage::new();
    let (stream, _) = stage.send(&token(json!({})), &call("secretTool"));
    let record = stream.close(&mut stage, 200).unwrap();
    assert_eq!(record["reason"], "insufficient_scope");
    assert_eq!(record["rule"], "ledger.tools.secretTool");
    let read = json!({"jsonrpc": "2.0", "id": 7, "method": "resources/read",
        "params": {"uri": "ledger://accounts/closed/1"}});
    let (stream, _) = stage.send(&token(json!({})), &read.to_string());
    let record = stream.close(&mut stage, 403).unwrap();
    assert_eq!(record["resource"], "ledger://accounts/closed/1");
    assert_eq!(record["rule"], "ledger.resources.ledger://accounts/closed/*");
}
