//! What a refused client is answered, and what the audit record says.

use mcp_deputy::request::Headers;
use mcp_deputy::transaction::{Event, Step};
use serde_json::{Value, json};

use super::stage::*;

const METADATA: &str =
    "resource_metadata=\"https://gateway.example/.well-known/oauth-protected-resource/mcp\"";

#[test]
fn l05_every_bad_token_gets_the_same_answer() {
    let mut stage = Stage::new();
    let good = token(json!({}));
    let (cut, _) = good.rsplit_once('.').unwrap();
    let mut seen = Vec::new();
    for (reason, bad) in [
        ("expired", token(json!({"iat": NOW - 700, "exp": NOW - 100}))),
        ("wrong_audience", token(json!({"aud": "https://other.example"}))),
        ("wrong_issuer", token(json!({"iss": "https://evil.example"}))),
        ("not_yet_valid", token(json!({"nbf": NOW + 100}))),
        ("issued_in_future", token(json!({"iat": NOW + 100}))),
        ("lifetime_too_long", token(json!({"exp": NOW + 4_000}))),
        ("sender_constrained", token(json!({"cnf": {"jkt": "x"}}))),
        ("bad_signature", format!("{cut}.{}", "A".repeat(86))),
        ("not_compact", "garbage".to_owned()),
        ("not_compact", "\u{fffd}".to_owned()),
        ("too_long", "a".repeat(9_000)),
    ] {
        let (stream, step) = stage.post(&bad, &[]);
        let reply = step.reply();
        assert_eq!(reply.status, 401, "{reason}");
        let record = stream.close(&mut stage, 401).unwrap();
        assert_eq!((&record["reason"], &record["decision"]), (&reason.into(), &"refuse".into()));
        assert!(!record.to_string().contains(&bad), "{reason}: the record holds the token");
        assert_eq!(record["token_id"].as_str().unwrap().len(), 16, "{reason}: its fingerprint");
        seen.push(reply);
    }
    let challenge = header(&seen[0], "www-authenticate").unwrap();
    assert_eq!(
        challenge,
        format!("Bearer error=\"invalid_token\", scope=\"mcp:connect\", {METADATA}")
    );
    assert!(seen.iter().all(|reply| *reply == seen[0]));
}

#[test]
fn f03_where_no_token_can_be_judged_none_is_called_bad() {
    let mut stage = Stage::new();
    stage.now.unix = std::time::Duration::from_hours(24);
    let (stream, step) = stage.post(&token(json!({})), &[]);
    let reply = step.reply();
    assert_eq!((reply.status, header(&reply, "retry-after")), (503, Some("1")));
    assert_eq!(header(&reply, "www-authenticate"), None);
    assert_eq!(stream.close(&mut stage, 503).unwrap()["detail"], "the clock is not set");
}

#[test]
fn a_missing_scope_is_challenged_with_the_union_and_the_rules_sentence() {
    let mut stage = Stage::new();
    let held = token(json!({"scope": "mcp:connect audit:read offline_access"}));
    let mut answers = Vec::new();
    for _ in 0..3 {
        let (stream, step) = stage.send(&held, &call("getCustomerPII"));
        let reply = step.reply();
        assert_eq!(reply.status, 403);
        assert_eq!(
            header(&reply, "www-authenticate").unwrap(),
            format!(
                "Bearer error=\"insufficient_scope\", \
                 scope=\"audit:read mcp:connect pii:read\", {METADATA}"
            )
        );
        let error =
            json!({"code": 403, "message": "Access denied: PII access requires pii:read scope."});
        assert_eq!(body(&reply), json!({"jsonrpc": "2.0", "id": 7, "error": error}));
        let record = stream.close(&mut stage, 403).unwrap();
        assert_eq!(record["decision"], "deny");
        assert_eq!(record["reason"], "insufficient_scope");
        assert_eq!(record["rule"], "ledger.tools.getCustomerPII");
        assert_eq!(record["tool"], "getCustomerPII");
        assert_eq!(record.get("delegation"), None);
        answers.push(reply);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "same input, same answer");
}

#[test]
fn k26_a_scope_that_only_looks_alike_does_not_do() {
    let mut stage = Stage::new();
    for scope in ["xpii:read", "pii:readwrite", "pii:read:own", "PII:READ", "pii:read\tx"] {
        let held = token(json!({"scope": format!("mcp:connect {scope}")}));
        assert_eq!(stage.send(&held, &call("getCustomerPII")).1.reply().status, 403, "{scope}");
    }
    let held = token(json!({"scope": "mcp:connect pii:read"}));
    assert!(matches!(stage.send(&held, &call("getCustomerPII")).1, Step::Call(_)));
}

#[test]
fn k28_a_request_without_the_endpoints_scope_is_challenged_whatever_it_asks() {
    let mut stage = Stage::new();
    let held = token(json!({"scope": "pii:read"}));
    for message in [
        call("listAccounts"),
        call("getCustomerPII"),
        json!({"jsonrpc": "2.0", "id": 7, "method": "initialize"}).to_string(),
    ] {
        let reply = stage.send(&held, &message).1.reply();
        assert_eq!(reply.status, 403, "{message}");
        assert!(
            header(&reply, "www-authenticate").unwrap().contains("scope=\"mcp:connect pii:read\"")
        );
    }
    let (mut stream, _) = stage.post(&held, &[(":method", "GET")]);
    assert_eq!(stream.body(&mut stage, b"").reply().status, 403);
}

#[test]
fn what_no_rule_names_is_refused_in_a_way_that_the_model_reads() {
    let mut stage = Stage::new();
    let held = token(json!({"scope": "mcp:connect pii:read audit:read"}));
    let object = |method: &str, params: Value| {
        json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
    };
    for (message, said) in [
        (call("dropTables"), "Access denied: no rule allows the tool dropTables."),
        (call("ListAccounts"), "Access denied: no rule allows the tool ListAccounts."),
        (call("listAccounts2"), "Access denied: no rule allows the tool listAccounts2."),
        (call("list\u{410}ccounts"), "Access denied: no rule allows an object of this name."),
        (
            object("resources/read", json!({"uri": "file:///x"})),
            "Access denied: no rule allows the resource file:///x.",
        ),
        (
            object("prompts/get", json!({"name": "x"})),
            "Access denied: no rule allows the prompt x.",
        ),
        (
            object(
                "completion/complete",
                json!({"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": ""}}),
            ),
            "Access denied: no rule allows the prompt x.",
        ),
    ] {
        let (stream, step) = stage.send(&held, &message);
        let reply = step.reply();
        assert_eq!(reply.status, 200, "{message}");
        let error = json!({"code": 403, "message": said});
        assert_eq!(body(&reply), json!({"jsonrpc": "2.0", "id": 7, "error": error}));
        assert_eq!(header(&reply, "www-authenticate"), None);
        let record = stream.close(&mut stage, 200).unwrap();
        assert_eq!((&record["decision"], &record["reason"]), (&"deny".into(), &"no_rule".into()));
    }
}

#[test]
fn a_body_that_cannot_be_judged_is_refused_with_its_json_rpc_code() {
    let mut stage = Stage::new();
    let held = token(json!({}));
    for (message, status, code) in [
        ("{", 400, -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}"#, 400, -32700),
        ("", 400, -32600),
        ("[]", 400, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/Call"}"#, 404, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#, 400, -32602),
    ] {
        let (stream, step) = stage.send(&held, message);
        let reply = step.reply();
        assert_eq!(
            (reply.status, &body(&reply)["error"]["code"]),
            (status, &code.into()),
            "{message}"
        );
        assert_eq!(stream.close(&mut stage, status).unwrap()["decision"], "refuse");
    }
}

#[test]
fn a_notification_that_is_denied_gets_a_bare_403() {
    let mut stage = Stage::with({
        let mut configuration = configuration();
        configuration["policies"]["ledger"]["baseline"] =
            json!({"delegation": {"scope": "ledger:Connect"}});
        configuration
    });
    let refused = reply(400, json!({"error": "access_denied"}));
    let message = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let (mut stream, step) = stage.send(&token(json!({})), &message);
    let settled = stage.settle(&step.callout(), Ok(refused)).unwrap();
    let exchanged = mcp_deputy::transaction::Event::Exchanged(settled.result.as_ref());
    let reply = stream.event(&mut stage, exchanged).reply();
    assert_eq!((reply.status, reply.body), (403, vec![]));
}

#[test]
fn p22_a_server_cannot_speak_to_the_client_past_the_filter() {
    let mut stage = Stage::new();
    let go = |stage: &mut Stage| {
        let issued = issued(&delegation("ledger:ListAccounts"));
        stage
            .exchange(
                &token(json!({"jti": stage.now.monotonic.as_secs().to_string()})),
                "listAccounts",
                issued,
            )
            .0
    };
    let mut stream = go(&mut stage);
    let edits = stream
        .response(
            &mut stage,
            &[
                (":status", "200"),
                ("set-cookie", "a=b"),
                ("www-authenticate", "Bearer x"),
                ("x-accel-redirect", "/internal/secrets"),
            ],
        )
        .edits();
    assert_eq!(edits.remove, ["www-authenticate", "set-cookie", "x-accel-redirect"]);
    assert_eq!(stream.close(&mut stage, 200).unwrap()["upstream_status"], 200);

    stage.pass(std::time::Duration::from_secs(1));
    let mut stream = go(&mut stage);
    let reply = stream
        .response(&mut stage, &[(":status", "401"), ("www-authenticate", "Bearer x")])
        .reply();
    assert_eq!((reply.status, header(&reply, "www-authenticate")), (502, None));
    assert_eq!(body(&reply)["id"], 7, "the request that it answers");
    let record = stream.close(&mut stage, 502).unwrap();
    assert_eq!(
        (&record["upstream_status"], &record["reason"]),
        (&401.into(), &"delegation_rejected".into())
    );

    stage.pass(std::time::Duration::from_secs(1));
    let mut stream = go(&mut stage);
    let unreadable =
        Event::ResponseHeaders { headers: Headers(&[]), from_server: true, end_of_stream: false };
    assert_eq!(stream.event(&mut stage, unreadable).reply().status, 502);
    assert_eq!(stream.close(&mut stage, 502).unwrap()["reason"], "unexpected_status");
}

/// Envoy answers itself where no server does: that one is not the server's.
#[test]
fn the_status_of_the_server_is_recorded_and_of_nobody_else() {
    let mut stage = Stage::new();
    for (from_server, recorded) in [(true, json!(503)), (false, Value::Null)] {
        let (mut stream, step) = stage.send(&token(json!({})), &call("listAccounts"));
        let _ = stream.go_up(&mut stage, step);
        let headers = Headers(&[(":status", b"503")]);
        let event = Event::ResponseHeaders { headers, from_server, end_of_stream: true };
        let _ = stream.event(&mut stage, event).edits();
        assert_eq!(stream.close(&mut stage, 503).unwrap()["upstream_status"], recorded);
    }
}

#[test]
fn what_ends_before_its_decision_is_recorded_as_refused() {
    let ends = |stage: &mut Stage, mut stream: Stream, answers: bool| {
        if answers {
            let headers = Headers(&[(":status", b"504")]);
            let event = Event::ResponseHeaders { headers, from_server: false, end_of_stream: true };
            let _ = stream.event(stage, event).edits();
        }
        let record = stream.close(stage, if answers { 504 } else { 0 }).unwrap();
        assert_eq!(
            (&record["decision"], &record["reason"]),
            (&json!("refuse"), &json!("undecided"))
        );
        let detail = record["detail"].as_str().unwrap().to_owned();
        assert_eq!(detail.starts_with("Envoy answered"), answers, "{detail}");
        record
    };
    for answers in [false, true] {
        let mut stage = Stage::new();
        let (stream, step) = stage.post(&token(json!({})), &[]);
        assert!(step.is_pause());
        ends(&mut stage, stream, answers);
        let (stream, step) = stage.send(&token(json!({})), &call("listAccounts"));
        let _ = step.callout();
        let record = ends(&mut stage, stream, answers);
        assert!(record["rule"].is_string() && record["delegation"].is_null(), "{record}");
    }
}
