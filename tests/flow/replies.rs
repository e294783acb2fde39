//! Each check of the authorization server's reply, where no other would refuse it.

use std::time::Duration;

use mcp_deputy::exchange::reply::{CalloutReply, ExchangeError};
use mcp_deputy::token::TokenError;
use mcp_deputy::transaction::Step;
use serde_json::{Value, json};

use super::stage::*;

const SCOPE: &str = "ledger:ListAccounts";

/// A good reply but for the claims of the token and the members around it that differ so.
fn issued_but(claims: Value, members: Value) -> CalloutReply {
    let token = sign(&merge(delegation(SCOPE), claims));
    let good: Value = serde_json::from_slice(&issued(&delegation(SCOPE)).body).unwrap();
    reply(200, merge(merge(good, json!({"access_token": token})), members))
}

/// What the record says of a call of the caller with these claims, which got this reply: why there
/// is no delegation, or null.
fn told(stage: &mut Stage, caller: Value, reply: CalloutReply) -> Value {
    let (stream, step) = stage.exchange(&token(caller), "listAccounts", reply);
    let status = match step {
        Step::Continue(_) => 200,
        step => step.reply().status,
    };
    let record = stream.close(stage, status).unwrap();
    assert_eq!(record.get("delegation").is_some(), status == 200, "{record}");
    let reason = if record["detail"].is_null() { &record["reason"] } else { &record["detail"] };
    reason.clone()
}

#[test]
fn the_reply_and_its_token_are_checked_each_for_itself() {
    for (claims, members, expected) in [
        (json!({}), json!({}), Value::Null),
        (json!({}), json!({"scope": null, "expires_in": null}), Value::Null),
        (json!({}), json!({"token_type": "bearer"}), Value::Null),
        (json!({"exp": NOW + 3}), json!({}), Value::Null),
        (
            json!({"scope": format!("{SCOPE} ledger:ReadPII")}),
            json!({}),
            "it has scopes that were not asked for".into(),
        ),
        (
            json!({"scope": "ledger:ReadPII"}),
            json!({"scope": null}),
            "it has scopes that were not asked for".into(),
        ),
        (json!({"scope": ""}), json!({}), "it lacks the scope".into()),
        (json!({"scope": format!("{SCOPE}  ")}), json!({}), Value::Null),
        (
            json!({"authorization_details": [{"type": "payment", "actions": ["*"]}]}),
            json!({}),
            "other details were authorized".into(),
        ),
        (
            json!({}),
            json!({"authorization_details": [{"type": "payment"}]}),
            "other details were authorized".into(),
        ),
        (json!({"authorization_details": []}), json!({"authorization_details": []}), Value::Null),
        (
            json!({}),
            json!({"scope": format!("{SCOPE} ledger:ReadPII")}),
            "it has scopes that were not asked for".into(),
        ),
        (json!({}), json!({"scope": ""}), "it has scopes that were not asked for".into()),
        (json!({}), json!({"expires_in": 6}), "it lives longer than the rule allows".into()),
        (json!({"exp": NOW + 6}), json!({}), "lifetime_too_long".into()),
        (json!({}), json!({"issued_token_type": null}), "another type of token was issued".into()),
        (json!({}), json!({"access_token": "two words"}), "the token is none".into()),
        (json!({}), json!({"access_token": "a\r\nx-admin: 1"}), "the token is none".into()),
        (json!({}), json!({"access_token": "\u{e9}"}), "the token is none".into()),
        (json!({"sub": "john"}), json!({}), "the token is for another subject".into()),
    ] {
        let reply = issued_but(claims.clone(), members.clone());
        let told = told(&mut Stage::new(), json!({}), reply);
        assert_eq!(told, expected, "{claims} {members}");
    }
}

/// A server behind may part scopes otherwise than RFC 6749 does.
#[test]
fn what_is_no_scope_is_none_that_was_asked_for() {
    for more in
        [" x\tledger:ReadPII", " \nledger:ReadPII", " a\u{a0}ledger:Admin", " \"ledger:Admin\""]
    {
        for scope in [json!([SCOPE, more.trim_start_matches(' ')]), json!([SCOPE, more].concat())] {
            let reply = issued_but(json!({"scope": scope}), json!({"scope": null}));
            let told = told(&mut Stage::new(), json!({}), reply);
            assert_eq!(told, "it has scopes that were not asked for", "{scope}");
        }
    }
    for scope in
        [json!([SCOPE, "ledger:ReadPII ledger:Admin"]), json!([SCOPE, 7]), json!([[SCOPE]])]
    {
        let reply = issued_but(json!({"scope": scope}), json!({"scope": null}));
        assert_ne!(told(&mut Stage::new(), json!({}), reply), Value::Null, "{scope}");
    }
}

#[test]
fn a_token_that_was_made_before_is_used_until_it_ends() {
    let mut stage = Stage::new();
    let inbound = token(json!({}));
    let old = || issued_but(json!({"iat": NOW - 3, "exp": NOW + 2}), json!({"expires_in": null}));
    let (_, step) = stage.exchange(&inbound, "listAccounts", old());
    let _ = step.edits();
    stage.pass(Duration::from_millis(1900));
    let _ = stage.send(&inbound, &call("listAccounts")).1.edits();
    stage.pass(Duration::from_millis(200));
    let _ = stage.send(&inbound, &call("listAccounts")).1.callout();
}

#[test]
fn what_the_user_can_mend_sends_them_to_sign_in() {
    for error in
        ["interaction_required", "login_required", "consent_required", "account_selection_required"]
    {
        let told = told(&mut Stage::new(), json!({}), reply(400, json!({ "error": error })));
        assert_eq!(told, "exchange_subject_rejected", "{error}");
    }
}

#[test]
fn a_reply_of_another_status_or_size_is_none() {
    let good = || issued_but(json!({}), json!({}));
    let padded = |length: usize| {
        let mut reply = good();
        reply.body.resize(length, b' ');
        reply
    };
    let with_status = |status| CalloutReply { status: Some(status), ..good() };
    for (reply, expected) in [
        (padded(64 * 1024), Value::Null),
        (padded(64 * 1024 + 1), "too large".into()),
        (with_status(201), "an error without a code".into()),
        (with_status(400), "an error without a code".into()),
        (with_status(429), "exchange_unavailable".into()),
        (with_status(500), "exchange_unavailable".into()),
        (CalloutReply { from_server: false, ..with_status(500) }, "exchange_no_answer".into()),
        (CalloutReply { from_server: false, ..with_status(429) }, "exchange_unavailable".into()),
    ] {
        let status = reply.status;
        assert_eq!(told(&mut Stage::new(), json!({}), reply), expected, "{status:?}");
    }
}

#[test]
fn a_token_of_a_clock_that_is_ahead_does_not_outlive_the_callers_either() {
    let ahead = issued_but(json!({"iat": NOW + 2, "exp": NOW + 7}), json!({}));
    let mut stage = Stage::new();
    let told = told(&mut stage, json!({"exp": NOW + 5}), ahead);
    assert_eq!(told, "the token outlives the caller's");
}

#[test]
fn the_claim_that_names_the_actor_is_the_one_that_is_configured() {
    for (claim, named, other) in [
        ("azp", json!({"azp": "gateway"}), json!({"azp": "other", "client_id": "gateway"})),
        ("cid", json!({"cid": "gateway"}), json!({"cid": "other", "azp": "gateway"})),
        ("appid", json!({"appid": "gateway"}), json!({"azp": "gateway"})),
        ("client_id", json!({"client_id": "gateway"}), json!({"client_id": "other"})),
        (
            "act.client_id",
            json!({"act": {"sub": "x", "client_id": "gateway"}}),
            json!({"act": {"sub": "gateway", "client_id": "other"}}),
        ),
    ] {
        let outcome = |claims: Value| {
            let mut stage = Stage::exchanging(json!({"actor_claim": claim}));
            told(&mut stage, json!({"may_act": null}), issued_but(claims, json!({})))
        };
        let bare = json!({"act": null, "client_id": null});
        assert_eq!(outcome(merge(bare.clone(), named)), Value::Null, "{claim}");
        let expected = "the token does not name this gateway as the actor";
        assert_eq!(outcome(other), expected, "{claim}");
        assert_eq!(outcome(bare), expected, "{claim}");
    }
}

#[test]
fn what_the_reply_says_it_authorized_is_what_was_asked_for() {
    let details = json!([{
        "type": "listing", "locations": [AUDIENCE], "identifier": "listAccounts", "arguments": {},
    }]);
    let wider = json!([details[0], {"type": "listing"}]);
    for (verify, token_says, reply_says, expected) in [
        ("signature", &details, &details, Value::Null),
        ("signature", &details, &Value::Null, Value::Null),
        ("signature", &details, &wider, "other details were authorized".into()),
        ("signature", &wider, &details, "it is not bound to this call".into()),
        ("danger_opaque", &details, &details, Value::Null),
        ("danger_opaque", &details, &wider, "other details were authorized".into()),
        // Nobody can look into it.
        ("danger_opaque", &details, &Value::Null, "it is not bound to this call".into()),
    ] {
        let mut configuration = configuration();
        configuration["exchange"]["verify"] = json!(verify);
        configuration["policies"]["ledger"]["tools"]["listAccounts"]["delegation"]["authorization_details"] =
            json!({"type": "listing"});
        let reply = issued_but(
            json!({"authorization_details": token_says}),
            json!({"authorization_details": reply_says}),
        );
        let told = told(&mut Stage::with(configuration), json!({}), reply);
        assert_eq!(told, expected, "{verify} {token_says} {reply_says}");
    }
}

#[test]
fn another_issuers_token_is_never_taken_for_a_delegation_token() {
    const OTHER: &str = "https://login.other.example";
    let mut configuration = configuration();
    let mut issuer = configuration["issuers"][0].clone();
    issuer["issuer"] = json!(OTHER);
    configuration["issuers"].as_array_mut().unwrap().push(issuer);
    configuration["policies"]["ledger"]["audience"] = json!(RESOURCE);
    configuration["endpoints"][0]["required_scopes"] = json!([]);
    configuration["exchange"]["danger_forward_inbound_token"] = json!(true);
    let mut stage = Stage::with(configuration);
    let mut is_forwarded = |issuer: &str, times: [u64; 2]| {
        let times = json!({"iss": issuer, "aud": RESOURCE, "iat": times[0], "exp": times[1]});
        let held = sign(&merge(delegation(SCOPE), times));
        matches!(stage.send(&held, &call("listAccounts")).1, Step::Continue(_))
    };
    assert!(is_forwarded(ISSUER, [NOW, NOW + 5]));
    assert!(is_forwarded(ISSUER, [NOW - 4, NOW + 1]));
    assert!(!is_forwarded(OTHER, [NOW, NOW + 5]));
    assert!(!is_forwarded(ISSUER, [NOW - 5, NOW]), "over, but for the leeway");
}

#[test]
fn a_long_delegation_is_used_until_a_second_before_it_ends_and_a_short_one_until_a_fifth() {
    for (lifetime, used_ms) in [(2, 1_600), (300, 299_000)] {
        let mut configuration = configuration();
        configuration["policies"]["ledger"]["lifetime"] = json!("5m");
        let mut stage = Stage::with(configuration);
        let times = json!({"exp": NOW + lifetime});
        let reply = issued_but(times, json!({"expires_in": lifetime}));
        let held = token(json!({}));
        let (_, step) = stage.exchange(&held, "listAccounts", reply);
        assert!(matches!(step, Step::Continue(_)), "{step:?}");
        stage.pass(std::time::Duration::from_millis(used_ms - 1));
        assert!(matches!(stage.send(&held, &call("listAccounts")).1, Step::Continue(_)));
        stage.pass(std::time::Duration::from_millis(1));
        let (_, step) = stage.send(&held, &call("listAccounts"));
        assert!(matches!(step, Step::Call(_)), "{lifetime}: {step:?}");
    }
}

#[test]
fn an_operator_is_called_for_what_no_caller_and_no_time_mends() {
    for (error, expected) in [
        (ExchangeError::Unreachable, true),
        (ExchangeError::ClientRejected, true),
        (ExchangeError::BadReply("not JSON"), true),
        (ExchangeError::BadToken(TokenError::BadSignature), true),
        (ExchangeError::NoAnswer, false),
        (ExchangeError::Unavailable, false),
        (ExchangeError::SubjectRejected, false),
        (ExchangeError::SubjectExpires, false),
        (ExchangeError::Denied, false),
        (ExchangeError::MayNotAct, false),
    ] {
        assert_eq!(error.needs_operator(), expected, "{error:?}");
    }
}

#[test]
fn the_type_that_was_issued_is_the_one_that_was_asked_for_or_an_access_token() {
    let urn = |name: &str| json!(format!("urn:ietf:params:oauth:token-type:{name}"));
    for (settings, issued, is_accepted) in [
        (json!({}), urn("access_token"), true),
        (json!({}), urn("jwt"), false),
        (json!({"requested_token_type": "omitted"}), urn("access_token"), true),
        (json!({"requested_token_type": "omitted"}), urn("id_token"), false),
        (json!({"requested_token_type": "omitted"}), Value::Null, false),
        (json!({"requested_token_type": "jwt"}), urn("jwt"), true),
        (json!({"requested_token_type": "jwt"}), urn("access_token"), false),
        (json!({"issued_token_type": "optional"}), Value::Null, true),
        (json!({"issued_token_type": "optional"}), urn("id_token"), false),
    ] {
        let reply = issued_but(json!({}), json!({"issued_token_type": issued}));
        let told = told(&mut Stage::exchanging(settings.clone()), json!({}), reply);
        let expected =
            if is_accepted { Value::Null } else { "another type of token was issued".into() };
        assert_eq!(told, expected, "{settings} {issued}");
    }
}
