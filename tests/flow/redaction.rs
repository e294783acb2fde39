//! Redaction by rule: whose answers lose what, on which way, and how what cannot be read fails.

use mcp_deputy::transaction::Step;
use serde_json::{Value, json};

use super::stage::*;

const RELATED: &str = "io.modelcontextprotocol/related-task";

/// The usual configuration, and rules that redact: for the tool `profile`, without `pii:read`; for
/// the tool `card`, the prompt `letter`, and the resources below `people://`.
fn stage() -> Stage {
    let mut configuration = configuration();
    configuration["sessions"] = json!({"keys_from_environment": ["KEY"]});
    let policy = &mut configuration["policies"]["ledger"];
    let delegation = json!({"scope": "ledger:People"});
    let redacting = |name: &str| json!({"redact": [name], "delegation": delegation});
    policy["tools"]["profile"] = json!([
        {"require": {"scopes": ["pii:read"]}, "delegation": delegation},
        redacting("ssn"),
    ]);
    policy["tools"]["card"] = redacting("card");
    policy["tools"]["plain"] = json!({ "delegation": delegation });
    policy["prompts"]["letter"] = redacting("ssn");
    policy["resources"]["people://staff/*"] = redacting("ssn");
    Stage::with(configuration)
}

const JSON: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/json")];
const EVENTS: [(&str, &str); 2] = [(":status", "200"), ("content-type", "text/event-stream")];

/// A request of 2025-11-25 that went up.
fn asked(stage: &mut Stage, scopes: &str, method: &str, params: Value) -> Stream {
    let token = token(json!({"scope": format!("mcp:connect {scopes}")}));
    let (mut stream, step) = stage.post(&token, &[("mcp-protocol-version", "2025-11-25")]);
    assert!(step.is_pause());
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let step = stream.body(stage, message.to_string().as_bytes());
    let _ = stream.go_up(stage, step);
    stream
}

fn called(stage: &mut Stage, scopes: &str, tool: &str) -> Stream {
    asked(stage, scopes, "tools/call", json!({"name": tool}))
}

/// What of a body comes out that comes in one chunk.
fn passed(stage: &mut Stage, stream: &mut Stream, headers: &[(&str, &str)], body: &str) -> String {
    match stream.response(stage, headers) {
        Step::Continue(_) => return body.to_owned(),
        Step::Filter { .. } => {}
        other => panic!("{other:?}"),
    }
    let Step::Replace(out) = stream.chunk(stage, body.as_bytes(), true) else { panic!("{body}") };
    String::from_utf8(out).unwrap()
}

fn profile(ssn: &str) -> String {
    let data = json!({"name": "Sarah", "ssn": ssn});
    let content = json!([{"type": "text", "text": data.to_string()}]);
    let result = json!({"structuredContent": data, "content": content});
    json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string()
}

#[test]
fn p17_what_a_caller_sees_is_by_the_rule_that_allows() {
    let mut stage = stage();
    for (scopes, tool, ssn, count) in [
        ("", "profile", "[redacted]", json!(2)),
        ("pii:read", "profile", "078", Value::Null),
        ("", "plain", "078", Value::Null),
    ] {
        let mut stream = called(&mut stage, scopes, tool);
        let body = passed(&mut stage, &mut stream, &JSON, &profile("078"));
        assert_eq!(body, profile(ssn), "{scopes} {tool}");
        let record = stream.close(&mut stage, 200).unwrap();
        assert_eq!(record["redacted"], count);
    }
}

#[test]
fn p17_a_rule_redacts_on_every_method_that_reaches_its_object() {
    let mut stage = stage();
    let reference = json!({"type": "ref/prompt", "name": "letter"});
    for (method, params) in [
        ("prompts/get", json!({"name": "letter"})),
        ("resources/read", json!({"uri": "people://staff/1"})),
        ("completion/complete", json!({"ref": reference, "argument": {"name": "a", "value": ""}})),
    ] {
        let mut stream = asked(&mut stage, "", method, params);
        let body = passed(&mut stage, &mut stream, &JSON, &profile("078"));
        assert_eq!(body, profile("[redacted]"), "{method}");
    }
}

#[test]
fn p17_the_result_of_a_task_is_redacted_by_its_tools_rule_for_who_asks() {
    let mut stage = stage();
    let params = json!({"name": "profile", "task": {}});
    let mut stream = asked(&mut stage, "pii:read", "tools/call", params);
    let created = json!({"id": 7, "result": {"task": {"taskId": "t-1", "status": "working"}}});
    let created = passed(&mut stage, &mut stream, &JSON, &created.to_string());
    let created: Value = serde_json::from_str(&created).unwrap();
    let sealed = created["result"]["task"]["taskId"].as_str().unwrap();
    for (scopes, ssn) in [("pii:read", "078"), ("", "[redacted]")] {
        let mut stream = asked(&mut stage, scopes, "tasks/result", json!({"taskId": sealed}));
        let message = |id: &str, ssn: &str| {
            let meta = json!({RELATED: {"taskId": id}});
            let result = json!({"_meta": meta, "structuredContent": {"ssn": ssn}});
            json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string()
        };
        let body = passed(&mut stage, &mut stream, &JSON, &message("t-1", "078"));
        assert_eq!(body, message(sealed, ssn), "both are done: redaction and the id");
    }
}

#[test]
fn p17_what_is_redacted_is_told_in_no_other_tasks_stream() {
    let mut stage = stage();
    let mut stream = asked(&mut stage, "", "tools/call", json!({"name": "plain", "task": {}}));
    let created = json!({"id": 7, "result": {"task": {"taskId": "t-1", "status": "working"}}});
    let created = passed(&mut stage, &mut stream, &JSON, &created.to_string());
    let created: Value = serde_json::from_str(&created).unwrap();
    let sealed = &created["result"]["task"]["taskId"];
    let meta = json!({RELATED: {"taskId": sealed}});
    for (tool, scopes, goes_up) in [
        ("card", "", false),
        ("profile", "", false),
        ("profile", "pii:read", true),
        ("plain", "", true),
    ] {
        let token = token(json!({"scope": format!("mcp:connect {scopes}")}));
        let (mut stream, step) = stage.post(&token, &[("mcp-protocol-version", "2025-11-25")]);
        assert!(step.is_pause());
        let params = json!({"name": tool, "_meta": meta});
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
        let step = stream.body(&mut stage, message.to_string().as_bytes());
        assert_eq!(!matches!(step, Step::Reply(_)), goes_up, "{tool} {scopes}");
        if !goes_up {
            assert_eq!(step.reply().status, 200);
            let record = stream.close(&mut stage, 200).unwrap();
            let rule = format!("ledger.tools.{tool}{}", if tool == "profile" { "[1]" } else { "" });
            assert_eq!(
                (&record["decision"], &record["reason"], &record["rule"]),
                (&"deny".into(), &"redacted_in_task".into(), &rule.into())
            );
        }
    }
}

#[test]
fn p17_a_batch_loses_what_any_of_its_rules_redacts() {
    let mut stage = stage();
    let call = |tool: &str, id: u32| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}});
    let batch = json!([call("plain", 1), call("profile", 2), call("card", 3)]).to_string();
    let (mut stream, step) = stage.send(&token(json!({})), &batch);
    let _ = stream.go_up(&mut stage, step);
    let answers = |ssn: &str, card: &str| {
        json!([{"id": 1, "result": {"card": card}}, {"id": 2, "result": {"ssn": ssn}}]).to_string()
    };
    let body = passed(&mut stage, &mut stream, &JSON, &answers("078", "4111"));
    assert_eq!(body, answers("[redacted]", "[redacted]"));
}

#[test]
fn p17_every_message_of_an_event_stream_is_redacted() {
    let mut stage = stage();
    let event = |message: &str| format!("id: 1\ndata: {message}\n\n");
    let log = |data: &str| {
        let params = json!({"level": "info", "data": data});
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params}).to_string()
    };
    let body = |log: &str, profile: &str| {
        format!(":\n\nid: 0\ndata: \n\n{}{}", event(log), event(profile))
    };
    let server = body(&log("SSN 078"), &profile("078"));
    let mut stream = called(&mut stage, "", "profile");
    let out = passed(&mut stage, &mut stream, &EVENTS, &server);
    assert_eq!(out, body(&log("[redacted]"), &profile("[redacted]")));
    assert_eq!(stream.close(&mut stage, 200).unwrap()["redacted"], 3);
    let mut stream = called(&mut stage, "pii:read", "profile");
    assert_eq!(passed(&mut stage, &mut stream, &EVENTS, &server), server);
}

#[test]
fn p17_a_stream_of_no_request_loses_what_any_rule_redacts() {
    let mut stage = stage();
    let bearer = format!("Bearer {}", token(json!({"scope": "mcp:connect pii:read"})));
    let mut stream = stage.begin();
    let headers = [
        (":method", "GET"),
        (":path", "/mcp"),
        (":authority", "gateway.example"),
        ("accept", "text/event-stream"),
        ("authorization", &*bearer),
    ];
    let step = stream.headers(&mut stage, &headers, true);
    let _ = stream.go_up(&mut stage, step);
    let event = |ssn: &str, card: &str| {
        let result = json!({"structuredContent": {"ssn": ssn, "card": card}});
        format!("data: {}\n\n", json!({"jsonrpc": "2.0", "id": 7, "result": result}))
    };
    let out = passed(&mut stage, &mut stream, &EVENTS, &event("078", "4111"));
    assert_eq!(out, event("[redacted]", "[redacted]"));

    let listen = json!({"notifications": {}});
    let (mut stream, step) =
        stage.ask_stateless(&token(json!({})), "subscriptions/listen", listen, &[]);
    let _ = stream.go_up(&mut stage, step);
    let out = passed(&mut stage, &mut stream, &EVENTS, &event("078", "4111"));
    assert_eq!(out, event("[redacted]", "[redacted]"));
}

#[test]
fn p17_an_answer_of_another_kind_is_a_502() {
    let mut stage = stage();
    for (headers, detail) in [
        ([("content-type", "text/plain"), ("x", "")], "media_type"),
        ([("content-type", "application/json"), ("content-encoding", "br")], "content_encoding"),
        ([("content-type", "text/event-stream"), ("content-encoding", "br")], "content_encoding"),
    ] {
        let mut stream = called(&mut stage, "", "profile");
        assert_eq!(stream.response(&mut stage, &headers).reply().status, 502);
        assert_eq!(stream.close(&mut stage, 502).unwrap()["detail"], detail);
    }
}

#[test]
fn p17_of_an_error_that_cannot_be_read_the_status_passes_alone() {
    let mut stage = stage();
    for headers in [
        &[(":status", "404"), ("content-type", "text/html"), ("content-length", "7")][..],
        &[(":status", "405"), ("content-encoding", "gzip"), ("content-length", "7")],
        &[(":status", "500"), ("content-length", "7")],
    ] {
        let mut stream = called(&mut stage, "", "profile");
        let Step::Filter { edits, .. } = stream.response(&mut stage, headers) else { panic!() };
        let described = ["content-length", "content-encoding"];
        let described = described.iter().filter(|name| headers.iter().any(|(of, _)| of == *name));
        assert_eq!(edits.remove, described.copied().collect::<Vec<_>>());
        for (chunk, end) in [(&b"SSN "[..], false), (b"078", true)] {
            let step = stream.chunk(&mut stage, chunk, end);
            assert!(matches!(step, Step::Replace(out) if out.is_empty()), "{headers:?}");
        }
    }
}

#[test]
fn p18_ambiguous_json_is_a_502_in_one_piece_and_a_reset_in_several() {
    let mut stage = stage();
    let bad = br#"{"id":7,"result":{"a":{"ssn":"078","SSN":"078"}}}"#;
    let mut stream = called(&mut stage, "", "profile");
    let _ = stream.response(&mut stage, &JSON);
    assert_eq!(stream.chunk(&mut stage, bad, false).reply().status, 502);

    let mut stream = called(&mut stage, "", "profile");
    let _ = stream.response(&mut stage, &JSON);
    let (first, second) = bad.split_at(40);
    let Step::Replace(out) = stream.chunk(&mut stage, first, false) else { panic!() };
    assert!(out.is_empty(), "nothing passes before the whole is known");
    assert!(matches!(stream.chunk(&mut stage, second, true), Step::Reset));
    let record = stream.close(&mut stage, 200).unwrap();
    assert_eq!(record["detail"], "json_duplicate_member");

    let mut stream = called(&mut stage, "", "profile");
    let _ = stream.response(&mut stage, &EVENTS);
    let event = [b"data: ", &bad[..], b"\n\n"].concat();
    assert!(matches!(stream.chunk(&mut stage, &event, false), Step::Reset));
}

#[test]
fn what_describes_the_bytes_of_a_redacted_body_goes() {
    let mut stage = stage();
    let headers = [&JSON[..], &[("content-length", "9"), ("etag", "1"), ("digest", "a")]].concat();
    let mut stream = called(&mut stage, "", "profile");
    let edits = stream.response(&mut stage, &headers).edits();
    assert_eq!(edits.remove, ["content-length", "etag", "digest"]);
    let mut stream = called(&mut stage, "pii:read", "profile");
    assert!(stream.response(&mut stage, &headers).edits().remove.is_empty(), "at no cost");
}
