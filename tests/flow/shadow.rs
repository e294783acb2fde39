//! A rule in shadow denies nobody; what it would have done stands in the record.

use mcp_deputy::transaction::{Event, Step};
use serde_json::{Value, json};

use super::stage::*;

const PII: &str = "Access denied: PII access requires pii:read scope.";

/// The fixture's policy, with `getCustomerPII` changed like this.
fn changed(change: impl FnOnce(&mut Value)) -> Stage {
    let mut configuration = configuration();
    change(&mut configuration["policies"]["ledger"]["tools"]["getCustomerPII"]);
    Stage::with(configuration)
}

fn in_shadow() -> Stage {
    changed(|rule| rule["enforcement"] = json!("shadow"))
}

/// The scope that the call is delegated as, if it is, and the record of what is not.
fn delegated_as(stage: &mut Stage, body: &str, scope: &str) -> Result<String, Value> {
    let (stream, step) = stage.send(&token(json!({"scope": scope})), body);
    match step {
        Step::Call(callout) => Ok(field(&callout, "scope").unwrap()),
        step => {
            let status = step.reply().status;
            Err(stream.close(stage, status).unwrap())
        }
    }
}

#[test]
fn what_it_would_deny_goes_up_under_its_delegation_and_is_recorded() {
    let mut stage = in_shadow();
    let reply = issued(&delegation("ledger:ReadPII"));
    let (stream, step) = stage.exchange(&token(json!({})), "getCustomerPII", reply);
    assert!(matches!(step, Step::Continue(_)), "{step:?}");
    assert!(stream.transaction.is_shadow_denial());
    let record = stream.close(&mut stage, 200).unwrap();
    assert_eq!(record["decision"], "allow");
    assert_eq!(record["rule"], "ledger.tools.getCustomerPII");
    assert_eq!(record["delegation"]["scope"], "ledger:ReadPII");
    assert_eq!(
        record["would_deny"],
        json!({
            "rule": "ledger.tools.getCustomerPII", "reason": "insufficient_scope", "message": PII,
        })
    );
}

#[test]
fn what_does_not_go_up_is_not_counted() {
    let mut stage = in_shadow();
    let held = token(json!({}));
    let (mut waiting, step) = stage.send(&held, &call("getCustomerPII"));
    let callout = step.callout();
    assert!(!waiting.transaction.is_shadow_denial(), "it waits");
    let refused = Ok(reply(400, json!({"error": "access_denied"})));
    let settled = stage.settle(&callout, refused).unwrap();
    let _ = waiting.event(&mut stage, Event::Exchanged(settled.result.as_ref())).reply();
    assert!(!waiting.transaction.is_shadow_denial(), "it is not delegated");
    assert!(waiting.close(&mut stage, 200).unwrap()["would_deny"].is_object());
}

#[test]
fn who_satisfies_it_is_not_recorded_as_denied() {
    let mut stage = in_shadow();
    let held = token(json!({"scope": "mcp:connect pii:read"}));
    let reply = issued(&delegation("ledger:ReadPII"));
    let (stream, _) = stage.exchange(&held, "getCustomerPII", reply);
    assert!(!stream.transaction.is_shadow_denial());
    assert_eq!(stream.close(&mut stage, 200).unwrap().get("would_deny"), None);
}

#[test]
fn what_no_rule_names_and_what_the_endpoint_withholds_stay_refused() {
    let mut all = configuration();
    all["enforcement"] = json!("shadow");
    for mut stage in [in_shadow(), Stage::with(all)] {
        for (body, scope, reason) in [
            (call("dropAllAccounts"), "mcp:connect", "no_rule"),
            (call("getCustomerPII"), "pii:read", "insufficient_scope"),
            (call("getCustomerPII"), "", "insufficient_scope"),
            (call("listAccounts"), "pii:read", "insufficient_scope"),
        ] {
            let record = delegated_as(&mut stage, &body, scope).unwrap_err();
            assert_eq!(record["reason"], reason, "{body} {scope}");
            assert_eq!(record.get("would_deny"), None, "{body} {scope}");
        }
    }
}

#[test]
fn the_nearest_word_on_enforcement_counts() {
    for (all, policy, rule, denied) in [
        ("enforce", None, None, true),
        ("shadow", None, None, false),
        ("shadow", Some("enforce"), None, true),
        ("enforce", Some("shadow"), None, false),
        ("shadow", Some("shadow"), Some("enforce"), true),
        ("enforce", Some("enforce"), Some("shadow"), false),
    ] {
        let mut configuration = configuration();
        configuration["enforcement"] = json!(all);
        let ledger = &mut configuration["policies"]["ledger"];
        if let Some(policy) = policy {
            ledger["enforcement"] = json!(policy);
        }
        if let Some(rule) = rule {
            ledger["tools"]["getCustomerPII"]["enforcement"] = json!(rule);
        }
        let mut stage = Stage::with(configuration);
        let outcome = delegated_as(&mut stage, &call("getCustomerPII"), "mcp:connect");
        assert_eq!(outcome.is_err(), denied, "{all} {policy:?} {rule:?}");
    }
}

#[test]
fn of_several_rules_one_that_holds_comes_before_one_in_shadow() {
    let mut stage = changed(|rules| {
        let on_trial = json!({
            "require": {"scopes": ["audit:read"]}, "enforcement": "shadow",
            "delegation": {"scope": "ledger:OnTrial"},
        });
        *rules = json!([on_trial, rules]);
    });
    for (scope, expected) in [
        ("mcp:connect pii:read", "ledger:ReadPII"),
        ("mcp:connect audit:read pii:read", "ledger:OnTrial"),
        ("mcp:connect", "ledger:OnTrial"),
    ] {
        let outcome = delegated_as(&mut stage, &call("getCustomerPII"), scope);
        assert_eq!(outcome.as_deref(), Ok(expected), "{scope}");
    }
}

#[test]
fn a_hidden_tool_in_shadow_can_be_called() {
    let mut configuration = configuration();
    configuration["policies"]["ledger"]["tools"]["secretTool"]["enforcement"] = json!("shadow");
    let mut stage = Stage::with(configuration);
    let outcome = delegated_as(&mut stage, &call("secretTool"), "mcp:connect");
    assert_eq!(outcome.as_deref(), Ok("ledger:ReadPII"));
}

#[test]
fn a_message_of_a_batch_that_an_enforced_rule_denies_denies_the_batch() {
    let mut stage = in_shadow();
    let message = |id: u32, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}});
    let both = json!([message(1, "getCustomerPII"), message(2, "wipe")]).to_string();
    assert_eq!(delegated_as(&mut stage, &both, "mcp:connect").unwrap_err()["decision"], "deny");

    let alike = json!([message(1, "getCustomerPII"), message(2, "getCustomerPII")]).to_string();
    let delegated = delegated_as(&mut stage, &alike, "mcp:connect");
    assert_eq!(delegated.as_deref(), Ok("ledger:ReadPII"));
}
