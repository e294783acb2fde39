//! From permit to delegation token: what is asked, what is believed, what is shared and for how
//! long.

use std::time::Duration;

use mcp_deputy::exchange::reply::{CalloutReply, ExchangeError};
use mcp_deputy::transaction::{Event, Step};
use serde_json::{Value, json};

use super::stage::*;

const SCOPE: &str = "ledger:ListAccounts";

fn access_token(reply: &CalloutReply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn a_call_goes_up_under_the_delegation_token_alone() {
    let mut stage = Stage::new();
    let inbound = token(json!({}));
    let (mut stream, _) = stage.post(
        &inbound,
        &[
            ("cookie", "session=1"),
            ("x-forwarded-client-cert", "Subject=admin"),
            ("x-mcp-user", "admin"),
            ("x-tenant", "evil"),
            ("x-internal-role", "root"),
            ("x-http-method-override", "DELETE"),
            ("x-original-url", "/admin"),
            ("forwarded", "for=10.0.0.1"),
            ("accept", "application/json"),
            // As a back end by CGI's convention reads them.
            ("x_forwarded_user", "root"),
            ("x-internal_role", "root"),
            ("x_tenant", "evil"),
            ("mcp_session_id", "of-another"),
            ("content_type", "text/html"),
            ("x_other", "kept"),
        ],
    );
    let callout = stream.body(&mut stage, call("listAccounts").as_bytes()).callout();
    let form: Vec<(String, String)> = form_urlencoded::parse(&callout.body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, v)| v.as_str());
    assert_eq!(&*callout.cluster, "authorization_server");
    assert_eq!(field("grant_type"), Some("urn:ietf:params:oauth:grant-type:token-exchange"));
    assert_eq!(field("subject_token"), Some(&*inbound));
    assert_eq!((field("audience"), field("scope")), (Some(AUDIENCE), Some(SCOPE)));
    assert!(!callout.headers.iter().any(|(name, _)| *name == "authorization"));

    let reply = issued(&delegation(SCOPE));
    let minted = access_token(&reply);
    let settled = stage.settle(&callout, Ok(reply)).unwrap();
    let edits = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())).edits();
    assert_eq!(edits.set, [("authorization", format!("Bearer {minted}"))]);
    let mut removed = edits.remove;
    removed.sort();
    let expected = [
        "content_type",
        "cookie",
        "forwarded",
        "mcp_session_id",
        "x-forwarded-client-cert",
        "x-http-method-override",
        "x-internal-role",
        "x-internal_role",
        "x-mcp-user",
        "x-original-url",
        "x-tenant",
        "x_forwarded_user",
        "x_tenant",
    ];
    assert_eq!(removed, expected);

    let record = stream.close(&mut stage, 200).unwrap();
    let expected = json!({
        "token_id": "minted", "scope": SCOPE, "audience": AUDIENCE, "lifetime_s": 5,
        "actors": ["gateway"], "source": "exchanged",
    });
    assert_eq!(record["delegation"], expected);
    for (name, value) in [
        ("subject", SARAH),
        ("client", "cli"),
        ("token_id", "inbound"),
        ("issuer", ISSUER),
        ("method", "tools/call"),
        ("tool", "listAccounts"),
        ("decision", "allow"),
        ("rule", "ledger.tools.listAccounts"),
        ("time", "2027-01-15T08:00:00.000Z"),
    ] {
        assert_eq!(record[name], value, "{name}");
    }
    let text = record.to_string();
    assert!(!text.contains(&inbound) && !text.contains(&minted));
}

#[test]
fn a_request_without_an_object_takes_the_baseline_or_no_token_where_the_policy_says_so() {
    let mut stage = Stage::new();
    for method in ["initialize", "tools/list", "ping", "prompts/list"] {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method}).to_string();
        let held = token(json!({"jti": method}));
        let callout = stage.send(&held, &message).1.callout();
        assert!(
            String::from_utf8(callout.body).unwrap().ends_with("scope=ledger%3AConnect"),
            "{method}"
        );
    }
    let (mut stream, _) = stage.post(&token(json!({})), &[(":path", "/mcp/open")]);
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let edits = stream.body(&mut stage, message.as_bytes()).edits();
    assert_eq!((edits.set, edits.remove), (vec![], vec!["authorization".to_owned()]));
    let record = stream.close(&mut stage, 200).unwrap();
    assert_eq!((&record["rule"], record.get("delegation")), (&"open.baseline".into(), None));
}

fn outcome(stage: &mut Stage, reply: CalloutReply) -> (u16, Value) {
    let (stream, step) = stage.exchange(&token(json!({})), "listAccounts", reply);
    let answer = match step {
        Step::Continue(_) => 0,
        step => step.reply().status,
    };
    (answer, stream.close(stage, answer).unwrap())
}

#[test]
fn a_reply_that_is_not_what_was_asked_for_is_never_forwarded() {
    let claims = || delegation(SCOPE);
    let body = |changes: Value| {
        let body: Value = serde_json::from_slice(&issued(&claims()).body).unwrap();
        reply(200, merge(body, changes))
    };
    let cases: Vec<(&str, CalloutReply)> = vec![
        ("another subject", issued(&merge(claims(), json!({"sub": "john"})))),
        ("no actor", issued(&merge(claims(), json!({"act": null})))),
        (
            "another actor",
            issued(&merge(claims(), json!({"act": {"sub": "x", "act": {"sub": "gateway"}}}))),
        ),
        ("another audience", issued(&merge(claims(), json!({"aud": "https://other.example/"})))),
        ("more audiences", issued(&merge(claims(), json!({"aud": [AUDIENCE, "x"]})))),
        ("another scope", issued(&merge(claims(), json!({"scope": "ledger:ReadPII"})))),
        (
            "more scopes",
            issued(&merge(claims(), json!({"scope": "ledger:ListAccounts ledger:ReadPII"}))),
        ),
        ("no scope in the token", issued(&merge(claims(), json!({"scope": null})))),
        ("a longer life", issued(&merge(claims(), json!({"exp": NOW + 60})))),
        ("an expired token", issued(&merge(claims(), json!({"iat": NOW - 60, "exp": NOW - 55})))),
        ("another issuer", issued(&merge(claims(), json!({"iss": "https://evil.example"})))),
        ("a key to prove", issued(&merge(claims(), json!({"cnf": {"jkt": "x"}})))),
        ("a bad signature", body(json!({"access_token": format!("{}A", sign(&claims()))}))),
        ("not a token", body(json!({"access_token": "opaque"}))),
        ("no token", body(json!({"access_token": null}))),
        ("an empty token", body(json!({"access_token": ""}))),
        ("the caller's own", body(json!({"access_token": token(json!({}))}))),
        ("a DPoP token", body(json!({"token_type": "DPoP"}))),
        ("no bearer", body(json!({"token_type": "N_A"}))),
        (
            "another type",
            body(json!({"issued_token_type": "urn:ietf:params:oauth:token-type:id_token"})),
        ),
        ("a longer expires_in", body(json!({"expires_in": 3600}))),
        ("no life", body(json!({"expires_in": 0}))),
        ("another granted scope", body(json!({"scope": "ledger:ReadPII"}))),
        ("not JSON", reply(200, "<html>")),
        ("a member twice", reply(200, r#"{"access_token":"a","access_token":"b"}"#)),
        ("an array", reply(200, "[]")),
        ("too much", reply(200, " ".repeat(70_000))),
        ("a redirect", reply(302, "")),
        ("an error without a code", reply(400, "{}")),
        ("an unknown error", reply(400, json!({"error": "teapot"}))),
        ("a client that is refused", reply(401, json!({"error": "invalid_client"}))),
        ("a client that may not", reply(400, json!({"error": "unauthorized_client"}))),
    ];
    for (what, reply) in cases {
        let (status, record) = outcome(&mut Stage::new(), reply);
        assert_eq!(status, 502, "{what}: {record}");
        assert_eq!(
            (&record["decision"], record.get("delegation")),
            (&"refuse".into(), None),
            "{what}"
        );
    }
}

#[test]
fn a_token_that_outlives_the_callers_is_refused_or_used_no_longer_than_it() {
    let inbound = token(json!({"exp": NOW + 3}));
    let mut stage = Stage::new();
    let (_, step) = stage.exchange(&inbound, "listAccounts", issued(&delegation(SCOPE)));
    assert_eq!(step.reply().status, 401, "a new one will do");

    let mut stage = Stage::new();
    let inbound = token(json!({"exp": NOW + 3}));
    let minutes = merge(delegation(SCOPE), json!({"exp": NOW + 600}));
    let (_, step) = stage.exchange(&inbound, "listAccounts", issued(&minutes));
    assert_eq!(step.reply().status, 502);

    let mut configuration = configuration();
    configuration["exchange"]["longer_lifetime"] = json!("danger_accept");
    let mut stage = Stage::with(configuration);
    let (_, step) = stage.exchange(&inbound, "listAccounts", issued(&delegation(SCOPE)));
    assert!(matches!(step, Step::Continue(_)), "{step:?}");
    stage.pass(Duration::from_secs(2));
    assert!(matches!(stage.send(&inbound, &call("listAccounts")).1, Step::Continue(_)));
    stage.pass(Duration::from_secs(1));
    let step = stage.send(&inbound, &call("listAccounts")).1;
    assert!(!matches!(step, Step::Continue(_)), "{step:?}");
}

#[test]
fn a_list_is_not_read_as_the_members_in_their_order() {
    let members: Value = serde_json::from_slice(&issued(&delegation(SCOPE)).body).unwrap();
    let list = ["access_token", "issued_token_type", "token_type", "expires_in", "scope"]
        .map(|name| members[name].clone());
    for (status, list) in [(200, json!(list)), (400, json!(["access_denied"]))] {
        let (answer, record) = outcome(&mut Stage::new(), reply(status, list));
        assert_eq!(answer, 502);
        assert_eq!(record["detail"], "not an object");
    }
}

#[test]
fn an_authorization_server_that_says_no_or_nothing_is_told_apart() {
    let error = |status, code: &str| reply(status, json!({"error": code}));
    let synthetic = |status| CalloutReply { from_server: false, ..reply(status, "") };
    for (what, reply, status, reason) in [
        ("grant", error(400, "invalid_grant"), 401, "exchange_subject_rejected"),
        ("request", error(400, "invalid_request"), 401, "exchange_subject_rejected"),
        ("scope", error(400, "invalid_scope"), 200, "exchange_denied"),
        ("target", error(400, "invalid_target"), 200, "exchange_denied"),
        ("access", error(403, "access_denied"), 200, "exchange_denied"),
        ("busy", error(429, "slow_down"), 503, "exchange_unavailable"),
        ("broken", reply(500, "oops"), 503, "exchange_unavailable"),
        ("refused", synthetic(503), 503, "exchange_no_answer"),
        ("timeout", synthetic(504), 503, "exchange_no_answer"),
        ("cut off", CalloutReply { status: None, ..synthetic(200) }, 503, "exchange_no_answer"),
    ] {
        let (answer, record) = outcome(&mut Stage::new(), reply);
        assert_eq!((answer, &record["reason"]), (status, &reason.into()), "{what}");
    }
    let mut stage = Stage::new();
    let (mut stream, step) = stage.send(&token(json!({})), &call("listAccounts"));
    let settled = stage.settle(&step.callout(), Err(ExchangeError::Unreachable)).unwrap();
    let reply = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())).reply();
    assert_eq!((reply.status, header(&reply, "retry-after")), (503, Some("1")));
    assert_eq!(body(&reply)["error"]["code"], -32603);
}

#[test]
fn a_server_with_error_codes_of_its_own_is_understood_where_the_configuration_says_how() {
    let codes = json!({"error_codes": {
        "revoked": "subject_rejected", "escalation": "denied", "suspended": "client_rejected", "asleep": "unavailable",
    }});
    let explained = || {
        Stage::with(merge(
            configuration(),
            json!({"exchange": merge(configuration()["exchange"].clone(), codes.clone())}),
        ))
    };
    let error = |code: &str| reply(403, json!({"error": code}));
    for (code, status, reason) in [
        ("revoked", 401, "exchange_subject_rejected"),
        ("escalation", 200, "exchange_denied"),
        ("suspended", 502, "exchange_client_rejected"),
        ("asleep", 503, "exchange_unavailable"),
        ("invalid_grant", 401, "exchange_subject_rejected"),
        ("else", 502, "exchange_bad_reply"),
    ] {
        let (answer, record) = outcome(&mut explained(), error(code));
        assert_eq!((answer, &record["reason"]), (status, &reason.into()), "{code}");
    }
    let (answer, record) = outcome(&mut Stage::new(), error("revoked"));
    assert_eq!((answer, &record["reason"]), (502, &"exchange_bad_reply".into()));
}

#[test]
fn a_token_that_names_another_actor_is_not_even_asked_for() {
    let mut stage = Stage::new();
    for may_act in [
        json!({}),
        json!({"sub": "someone else"}),
        json!({"sub": "gateway", "client_id": "x"}),
        json!({"sub": "gateway", "iss": "https://evil.example"}),
    ] {
        let held = token(json!({"may_act": may_act}));
        let (stream, step) = stage.send(&held, &call("listAccounts"));
        assert_eq!(step.reply().status, 200);
        let record = stream.close(&mut stage, 200).unwrap();
        assert_eq!(
            (&record["decision"], &record["reason"]),
            (&"deny".into(), &"may_not_act".into())
        );
    }
    for may_act in [json!(null), json!({"sub": "gateway", "iss": ISSUER})] {
        let held = token(json!({"may_act": may_act}));
        assert!(matches!(stage.send(&held, &call("listAccounts")).1, Step::Call(_)));
    }
}

#[test]
fn who_may_act_is_told_by_subject_or_by_client_as_the_server_names_actors() {
    for (actor_claim, may_act, is_allowed) in [
        ("act.sub", json!({"sub": "gateway"}), true),
        ("act.sub", json!({"client_id": "gateway"}), true),
        ("act.sub", json!({"client_id": "other"}), false),
        ("act.sub", json!({"iss": ISSUER}), false),
        ("act.client_id", json!({"client_id": "gateway"}), true),
        ("act.client_id", json!({"sub": "a name of the server's", "client_id": "gateway"}), true),
        ("act.client_id", json!({"client_id": "other"}), false),
        ("act.client_id", json!({"sub": "gateway"}), false),
        ("act.client_id", json!({"sub": "gateway", "client_id": "other"}), false),
    ] {
        let mut stage = Stage::exchanging(json!({"actor_claim": actor_claim}));
        let held = token(json!({"may_act": may_act}));
        let (_, step) = stage.send(&held, &call("listAccounts"));
        assert_eq!(matches!(step, Step::Call(_)), is_allowed, "{actor_claim} {may_act}");
    }
    // A client by another name than the actor's.
    let mut stage = Stage::exchanging(json!({"client_id": "cli-7"}));
    for (may_act, is_allowed) in [
        (json!({"sub": "gateway", "client_id": "cli-7"}), true),
        (json!({"client_id": "cli-7"}), true),
        (json!({"sub": "gateway", "client_id": "gateway"}), false),
        (json!({"sub": "cli-7"}), false),
    ] {
        let held = token(json!({"may_act": may_act}));
        let (_, step) = stage.send(&held, &call("listAccounts"));
        assert_eq!(matches!(step, Step::Call(_)), is_allowed, "{may_act}");
    }
}

#[test]
fn one_exchange_serves_all_who_ask_the_same_at_once() {
    let mut stage = Stage::new();
    let held = token(json!({}));
    let (mut leader, step) = stage.send(&held, &call("listAccounts"));
    let callout = step.callout();
    let mut others: Vec<Stream> = (0..199)
        .map(|_| {
            let (stream, step) = stage.send(&held, &call("listAccounts"));
            assert!(step.is_pause());
            stream
        })
        .collect();
    let reply = issued(&delegation(SCOPE));
    let expected = format!("Bearer {}", access_token(&reply));
    let settled = stage.settle(&callout, Ok(reply)).unwrap();
    assert_eq!(settled.waiting.len(), 200);
    for stream in std::iter::once(&mut leader).chain(&mut others) {
        let edits = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())).edits();
        assert_eq!(edits.set[0].1, expected);
    }
}

#[test]
fn c03_another_token_tool_or_target_is_another_exchange() {
    let mut stage = Stage::new();
    let issued = issued(&delegation(SCOPE));
    let held = token(json!({}));
    let _ = stage.exchange(&held, "listAccounts", issued);
    assert!(matches!(stage.send(&held, &call("listAccounts")).1, Step::Continue(_)));
    let other = token(json!({"jti": "other"}));
    assert!(matches!(stage.send(&other, &call("listAccounts")).1, Step::Call(_)));
    let held = token(json!({"scope": "mcp:connect pii:read"}));
    assert!(matches!(stage.send(&held, &call("getCustomerPII")).1, Step::Call(_)));
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    assert!(matches!(stage.send(&token(json!({})), &list).1, Step::Call(_)));
}

#[test]
fn a_delegation_is_used_until_shortly_before_it_dies() {
    let mut stage = Stage::new();
    let held = token(json!({}));
    let _ = stage.exchange(&held, "listAccounts", issued(&delegation(SCOPE)));
    stage.pass(Duration::from_millis(3_999));
    let (stream, step) = stage.send(&held, &call("listAccounts"));
    assert!(matches!(step, Step::Continue(_)));
    assert_eq!(stream.close(&mut stage, 200).unwrap()["delegation"]["source"], "cached");
    stage.pass(Duration::from_millis(1));
    assert!(matches!(stage.send(&held, &call("listAccounts")).1, Step::Call(_)));
}

#[test]
fn time_spent_in_the_exchange_counts() {
    let mut stage = Stage::new();
    let held = token(json!({}));
    let callout = stage.send(&held, &call("listAccounts")).1.callout();
    stage.pass(Duration::from_secs(1));
    assert!(stage.settle(&callout, Ok(issued(&delegation(SCOPE)))).unwrap().result.is_ok());
    stage.pass(Duration::from_millis(2_999));
    assert!(matches!(stage.send(&held, &call("listAccounts")).1, Step::Continue(_)));
    stage.pass(Duration::from_millis(1));
    assert!(matches!(stage.send(&held, &call("listAccounts")).1, Step::Call(_)));
}

#[test]
fn c04_a_delegation_never_outlives_the_callers_token() {
    let held = token(json!({"exp": NOW + 3}));
    let mut stage = Stage::new();
    let (_, step) = stage.exchange(&held, "listAccounts", issued(&delegation(SCOPE)));
    assert_eq!(step.reply().status, 401, "a token that outlives the caller's is not believed");
    let mut stage = Stage::new();
    let claims = merge(delegation(SCOPE), json!({"exp": NOW + 3}));
    let mut body: Value = serde_json::from_slice(&issued(&claims).body).unwrap();
    body["expires_in"] = 3.into();
    let (_, step) = stage.exchange(&held, "listAccounts", reply(200, body));
    assert!(matches!(step, Step::Continue(_)));
    stage.pass(Duration::from_secs(3));
    assert!(!matches!(stage.send(&held, &call("listAccounts")).1, Step::Continue(_)));
}

#[test]
fn a_refusal_is_remembered_for_a_second_and_an_outage_not_at_all() {
    let mut stage = Stage::new();
    let held = token(json!({}));
    let refused = reply(400, json!({"error": "invalid_scope"}));
    let _ = stage.exchange(&held, "listAccounts", refused);
    stage.pass(Duration::from_millis(999));
    assert!(matches!(stage.send(&held, &call("listAccounts")).1, Step::Reply(_)));
    stage.pass(Duration::from_millis(1));
    let callout = stage.send(&held, &call("listAccounts")).1.callout();
    assert!(stage.settle(&callout, Ok(reply(503, ""))).unwrap().result.is_err());
    assert!(matches!(stage.send(&held, &call("listAccounts")).1, Step::Call(_)));
}

/// Where delegations live for minutes.
fn minutes() -> Stage {
    let mut configuration = configuration();
    configuration["policies"]["ledger"]["lifetime"] = json!("5m");
    Stage::with(configuration)
}

/// A delegation for minutes, issued at this moment of `stage`.
fn issued_for_minutes(stage: &Stage) -> CalloutReply {
    let now = stage.now.unix.as_secs();
    let claims = merge(delegation(SCOPE), json!({"iat": now, "exp": now + 300}));
    let body: Value = serde_json::from_slice(&issued(&claims).body).unwrap();
    reply(200, merge(body, json!({"expires_in": 300})))
}

/// A call up to its answer, which is a 401. Whether it was exchanged for.
fn is_exchanged_and_rejected(stage: &mut Stage, held: &str) -> bool {
    let (mut stream, step) = stage.send(held, &call("listAccounts"));
    let is_exchanged = matches!(step, Step::Call(_));
    if let Step::Call(callout) = step {
        let settled = stage.settle(&callout, Ok(issued_for_minutes(stage))).unwrap();
        let _ = stream.event(stage, Event::Exchanged(settled.result.as_ref())).edits();
    }
    assert_eq!(stream.response(stage, &[(":status", "401")]).reply().status, 502);
    is_exchanged
}

/// It was revoked at the authorization server, say, or the MCP server has other keys now.
#[test]
fn a_delegation_that_the_mcp_server_rejects_is_asked_for_anew() {
    let mut stage = minutes();
    let held = token(json!({}));
    let is_cached =
        |stage: &mut Stage| matches!(stage.send(&held, &call("listAccounts")).1, Step::Continue(_));
    assert!(is_exchanged_and_rejected(&mut stage, &held));
    stage.pass(Duration::from_millis(999));
    assert!(is_cached(&mut stage), "a server that rejects all costs one exchange a second");
    stage.pass(Duration::from_millis(1));
    let (mut stream, step) = stage.send(&held, &call("listAccounts"));
    let reply = issued_for_minutes(&stage);
    let settled = stage.settle(&step.callout(), Ok(reply)).unwrap();
    let _ = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())).edits();
    let _ = stream.response(&mut stage, &[(":status", "200")]).edits();

    stage.pass(Duration::from_secs(100));
    let (mut late, step) = stage.send(&held, &call("listAccounts"));
    let _ = step.edits();
    assert!(!is_exchanged_and_rejected(&mut stage, &held), "it was cached");
    let (mut stream, step) = stage.send(&held, &call("listAccounts"));
    let reply = issued_for_minutes(&stage);
    let settled = stage.settle(&step.callout(), Ok(reply)).unwrap();
    let _ = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())).edits();
    // What a server says late of the one before is not said of this one.
    stage.pass(Duration::from_secs(2));
    assert_eq!(late.response(&mut stage, &[(":status", "401")]).reply().status, 502);
    assert!(is_cached(&mut stage));
}

#[test]
fn a_server_that_rejects_every_delegation_costs_one_exchange_a_second() {
    let mut stage = minutes();
    let held = token(json!({}));
    let mut exchanges = 0;
    for _ in 0..100 {
        exchanges += u32::from(is_exchanged_and_rejected(&mut stage, &held));
        stage.pass(Duration::from_millis(100));
    }
    assert_eq!(exchanges, 10);
}

#[test]
fn c09_those_who_wait_survive_the_stream_that_asked() {
    let mut stage = Stage::new();
    let held = token(json!({}));
    let (leader, step) = stage.send(&held, &call("listAccounts"));
    let first = step.callout();
    let (mut waiter, step) = stage.send(&held, &call("listAccounts"));
    assert!(step.is_pause());
    assert!(leader.close(&mut stage, 0).is_some());

    let again = stage.due();
    assert_eq!(again.len(), 1, "the callout went with its stream, so it is made again");
    assert_eq!(again[0].body, first.body);
    assert!(
        stage.settle(&first, Ok(issued(&delegation(SCOPE)))).is_none(),
        "nobody hears that one"
    );
    assert!(stage.due().is_empty(), "once");

    let settled = stage.settle(&again[0], Ok(issued(&delegation(SCOPE)))).unwrap();
    assert_eq!(settled.waiting, [waiter.id]);
    let step = waiter.event(&mut stage, Event::Exchanged(settled.result.as_ref()));
    assert!(matches!(step, Step::Continue(_)));
    let late = stage.settle(&first, Ok(issued(&delegation(SCOPE))));
    assert!(late.is_none(), "a late reply means nothing");
}

#[test]
fn who_comes_after_a_lost_exchange_asks_anew() {
    let mut stage = Stage::new();
    let held = token(json!({}));
    let (leader, _) = stage.send(&held, &call("listAccounts"));
    assert!(leader.close(&mut stage, 0).is_some());
    assert!(matches!(stage.send(&held, &call("listAccounts")).1, Step::Call(_)));
}

#[test]
fn a_server_that_does_not_answer_is_asked_again_while_there_is_time() {
    let mut stage = Stage::exchanging(json!({"retries": 2}));
    let (mut stream, step) = stage.send(&token(json!({})), &call("listAccounts"));
    let mut callout = step.callout();
    assert_eq!(callout.timeout, Duration::from_secs(2));
    for spent in [100, 200] {
        assert!(stage.settle(&callout, Err(ExchangeError::NoAnswer)).is_none());
        assert!(stage.due().is_empty(), "not at once");
        stage.pass(Duration::from_millis(100));
        callout = stage.due().pop().unwrap();
        assert_eq!(
            callout.timeout,
            Duration::from_millis(2000 - spent),
            "in the time that is left"
        );
    }
    let settled = stage.settle(&callout, Err(ExchangeError::NoAnswer)).unwrap();
    assert_eq!(settled.waiting, [stream.id]);
    let step = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref()));
    assert_eq!(step.reply().status, 503);
}

#[test]
fn a_server_that_took_all_the_time_or_has_answered_is_not_asked_again() {
    for (passed, reply) in [
        (Duration::from_secs(2), Err(ExchangeError::NoAnswer)),
        (Duration::ZERO, Err(ExchangeError::Unreachable)),
        (Duration::ZERO, Ok(reply(503, ""))),
        (Duration::ZERO, Ok(reply(429, ""))),
        (Duration::ZERO, Ok(reply(400, json!({"error": "invalid_scope"})))),
        (Duration::ZERO, Ok(reply(200, "<html>"))),
    ] {
        let mut stage = Stage::exchanging(json!({"retries": 2}));
        let callout = stage.send(&token(json!({})), &call("listAccounts")).1.callout();
        stage.pass(passed);
        assert!(stage.settle(&callout, reply.clone()).is_some(), "{reply:?}");
        stage.pass(Duration::from_secs(1));
        assert!(stage.due().is_empty(), "{reply:?}");
    }
}

#[test]
fn an_attempt_that_comes_too_late_still_has_an_end() {
    for late in [Duration::from_millis(200), Duration::from_micros(149_500)] {
        let mut stage = Stage::exchanging(json!({"retries": 1}));
        let callout = stage.send(&token(json!({})), &call("listAccounts")).1.callout();
        stage.pass(Duration::from_millis(1850));
        assert!(stage.settle(&callout, Err(ExchangeError::NoAnswer)).is_none());
        stage.pass(late);
        let callout = stage.due().pop().unwrap();
        assert!(callout.timeout.as_millis() > 0, "to Envoy, no milliseconds are no limit");
        assert!(stage.settle(&callout, Err(ExchangeError::NoAnswer)).is_some());
    }
}

#[test]
fn those_who_come_while_another_attempt_is_due_wait_for_it() {
    let mut stage = Stage::exchanging(json!({"retries": 1}));
    let token = token(json!({}));
    let (first, step) = stage.send(&token, &call("listAccounts"));
    let callout = step.callout();
    assert!(stage.settle(&callout, Err(ExchangeError::NoAnswer)).is_none());
    let (second, step) = stage.send(&token, &call("listAccounts"));
    assert!(step.is_pause());
    stage.pass(Duration::from_millis(100));
    let callout = stage.due().pop().unwrap();
    let settled = stage.settle(&callout, Ok(issued(&delegation(SCOPE)))).unwrap();
    assert_eq!(settled.waiting, [first.id, second.id]);
    assert!(settled.result.is_ok());
}

#[test]
fn another_server_is_asked_when_the_first_is_down_and_checked_by_its_own_rules() {
    let other = json!({
        "cluster": "other", "authority": "other.example", "client_authentication": "injected",
        "actor": "gateway-2",
    });
    let settings = json!({"retries": 0, "failover": other});
    for outage in [
        Err(ExchangeError::NoAnswer),
        Err(ExchangeError::Unreachable),
        Ok(reply(503, "")),
        Ok(reply(429, "")),
    ] {
        let mut stage = Stage::exchanging(settings.clone());
        let inbound = token(json!({"may_act": null}));
        let (mut stream, step) = stage.send(&inbound, &call("listAccounts"));
        assert!(stage.settle(&step.callout(), outage.clone()).is_none(), "{outage:?}");
        let callout = stage.due().pop().unwrap();
        assert_eq!((&*callout.cluster, callout.timeout), ("other", Duration::from_secs(2)));
        let minted = merge(delegation(SCOPE), json!({"act": {"sub": "gateway-2"}}));
        let settled = stage.settle(&callout, Ok(issued(&minted))).unwrap();
        let step = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref()));
        assert!(matches!(step, Step::Continue(_)), "{outage:?}");
    }
    // A refusal is an answer; the first server's actor is not the other's; and who may act is the
    // caller's token's to say.
    let mut stage = Stage::exchanging(settings.clone());
    let callout = stage.send(&token(json!({"may_act": null})), &call("listAccounts")).1.callout();
    let refused = reply(400, json!({"error": "invalid_grant"}));
    assert!(stage.settle(&callout, Ok(refused)).unwrap().result.is_err());

    let mut stage = Stage::exchanging(settings.clone());
    let callout = stage.send(&token(json!({"may_act": null})), &call("listAccounts")).1.callout();
    assert!(stage.settle(&callout, Err(ExchangeError::NoAnswer)).is_none());
    let callout = stage.due().pop().unwrap();
    assert!(stage.settle(&callout, Ok(issued(&delegation(SCOPE)))).unwrap().result.is_err());

    let mut stage = Stage::exchanging(settings);
    let callout = stage.send(&token(json!({})), &call("listAccounts")).1.callout();
    let settled = stage.settle(&callout, Err(ExchangeError::NoAnswer)).unwrap();
    assert_eq!(settled.result.unwrap_err(), ExchangeError::NoAnswer);
}

#[test]
fn a_token_that_is_bound_to_a_call_is_for_that_call_alone() {
    let mut configuration = configuration();
    configuration["policies"]["ledger"]["tools"]["pay"] = json!({"delegation": {
        "scope": SCOPE,
        "authorization_details": {"type": "payment", "arguments": ["amount", "/to/iban", "missing"]},
    }});
    let inbound = token(json!({}));
    let pay = |amount: u64| {
        let arguments = json!({"amount": amount, "to": {"iban": "CH93"}, "note": "secret"});
        let params = json!({"name": "pay", "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).to_string()
    };
    let details = |amount: u64| {
        json!([{
            "type": "payment", "locations": [AUDIENCE], "identifier": "pay",
            "arguments": {"amount": amount, "/to/iban": "CH93"},
        }])
    };
    let mut stage = Stage::with(configuration);
    let mut ask = |amount: u64, bound: Value| {
        let (mut stream, step) = stage.send(&inbound, &pay(amount));
        let callout = step.callout();
        let asked = field(&callout, "authorization_details").unwrap();
        let asked: Value = serde_json::from_str(&asked).unwrap();
        assert_eq!(asked, details(amount));
        let minted = merge(delegation(SCOPE), json!({"authorization_details": bound}));
        let settled = stage.settle(&callout, Ok(issued(&minted))).unwrap();
        let step = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref()));
        let status = if let Step::Continue(_) = step { 200 } else { step.reply().status };
        let record = stream.close(&mut stage, status).unwrap();
        assert!(!record.to_string().contains("CH93"));
        (status, record["detail"].clone(), record["delegation"]["bound_to_call"].clone())
    };
    assert_eq!(ask(5, details(5)), (200, Value::Null, json!(true)));
    // The same call once more is asked for once more; and no token of another call passes.
    assert_eq!(ask(5, details(5)).0, 200);
    let mut more = details(5);
    more.as_array_mut().unwrap().push(json!({"type": "payment"}));
    // A server in JavaScript has one kind of numbers.
    let mut written_otherwise = details(5);
    written_otherwise[0]["arguments"]["amount"] = json!(5.0);
    assert_eq!(ask(5, written_otherwise).0, 200);
    for other in [details(6), Value::Null, json!([]), json!(details(5)[0]), more] {
        let told = ask(5, other.clone());
        assert_eq!((told.0, told.1), (502, json!("it is not bound to this call")), "{other}");
    }
}

#[test]
fn an_answer_that_nobody_waits_for_any_more_settles_no_other_exchange() {
    let mut stage = Stage::exchanging(json!({"retries": 1}));
    let inbound = token(json!({}));
    let (stream, step) = stage.send(&inbound, &call("listAccounts"));
    assert!(stage.settle(&step.callout(), Err(ExchangeError::NoAnswer)).is_none(), "once more");
    stage.pass(Duration::from_secs(1));
    let due = stage.due();
    let [again] = due.as_slice() else { panic!("{due:?}") };
    stream.close(&mut stage, 0);
    // Nobody waits for that one; and the same is asked for anew.
    let (mut stream, step) = stage.send(&inbound, &call("listAccounts"));
    let callout = step.callout();
    let answer = || Ok(issued(&delegation(SCOPE)));
    assert!(stage.settle(again, answer()).is_none());
    let settled = stage.settle(&callout, answer()).unwrap();
    let step = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref()));
    assert!(matches!(step, Step::Continue(_)), "{step:?}");
}

#[test]
fn n05_no_token_is_bound_to_less_than_a_server_could_find() {
    let mut configuration = configuration();
    configuration["policies"]["ledger"]["tools"]["pay"] = json!({"delegation": {
        "scope": SCOPE,
        "authorization_details": {"type": "payment", "arguments": ["amount", "/to/iban"]},
    }});
    let mut stage = Stage::with(configuration);
    for (arguments, is_asked_for) in [
        (json!({"amount": 5, "to": {"iban": "CH93"}}), true),
        (json!({"amount": 5}), true),
        (json!({"amount": 5, "to": "{\"iban\": \"CH93\"}"}), false),
        (json!({"Amount": 5, "to": {"iban": "CH93"}}), false),
        // A server may read more of it than the token would say.
        (json!({"amount": 9_007_199_254_740_991_u64}), true),
        (json!({"amount": 9_007_199_254_740_993_u64}), false),
        (json!({"amount": 36_893_488_147_419_103_232.0}), false),
        (json!({"amount": [1, {"x": 9_007_199_254_740_993_u64}]}), false),
    ] {
        let params = json!({"name": "pay", "arguments": arguments});
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
        let (stream, step) = stage.send(&token(json!({})), &message.to_string());
        assert_eq!(matches!(step, Step::Call(_)), is_asked_for, "{arguments}");
        if !is_asked_for {
            let record = stream.close(&mut stage, step.reply().status).unwrap();
            assert_eq!(record["reason"], "argument_not_allowed");
        }
    }
}

#[test]
fn what_the_user_must_do_at_the_server_is_told_to_the_client() {
    let claims = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;
    let failure = |claims: Value| {
        let error = json!({"error": "interaction_required", "claims": claims});
        let (_, step) = Stage::new().exchange(&token(json!({})), "listAccounts", reply(400, error));
        let reply = step.reply();
        assert_eq!(reply.status, 401);
        header(&reply, "www-authenticate").unwrap().to_owned()
    };
    let challenge = failure(claims.into());
    // By `base64` of coreutils.
    let encoded = "eyJhY2Nlc3NfdG9rZW4iOnsiYWNycyI6eyJlc3NlbnRpYWwiOnRydWUsInZhbHVlIjoiYzEifX19";
    let expected = format!("Bearer error=\"insufficient_claims\", claims=\"{encoded}\", ");
    assert!(challenge.starts_with(&expected), "{challenge}");

    for odd in [
        Value::Null,
        json!({"access_token": {}}),
        "".into(),
        "\", error=\"x".into(),
        "[]".into(),
        "{}{}".into(),
        r#"{"a":1,"a":2}"#.into(),
        json!(format!("{{\"a\":\"{}\"}}", "x".repeat(2048))),
    ] {
        let challenge = failure(odd.clone());
        assert!(challenge.starts_with("Bearer error=\"invalid_token\", "), "{odd}: {challenge}");
    }
}
