//! Lists, by caller: what is filtered, what passes at no cost, and how what cannot be read fails.

use mcp_deputy::transaction::{Event, Step};
use serde_json::{Value, json};

use super::stage::*;

/// A request that went up, and waits for its answer.
fn forwarded(stage: &mut Stage, scopes: &str, method: &str) -> Stream {
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": match method {
        "tools/call" => json!({"name": "listAccounts"}),
        _ => json!({}),
    }});
    let (mut stream, step) = stage.send(&token(json!({"scope": scopes})), &message.to_string());
    assert!(matches!(step, Step::Call(_)));
    let _ = stream.go_up(stage, step);
    stream
}

fn filtered(stage: &mut Stage, scopes: &str, method: &str, result: &Value) -> Value {
    let mut stream = forwarded(stage, scopes, method);
    let headers = [(":status", "200"), ("content-type", "application/json")];
    let Step::Filter { hold: true, .. } = stream.response(stage, &headers) else { panic!() };
    let body = json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string();
    let Step::Replace(out) = stream.chunk(stage, body.as_bytes(), true) else { panic!() };
    let message: Value = serde_json::from_slice(&out).unwrap();
    message["result"].clone()
}

fn named(key: &str, names: &[&str]) -> Value {
    names.iter().map(|name| json!({ key: name })).collect()
}

#[test]
fn each_list_shows_what_the_caller_could_use_or_step_up_to() {
    let all = ["listAccounts", "getCustomerPII", "readNotes", "wipe", "secretTool", "other"];
    let uris = ["ledger://accounts/1", "ledger://accounts/closed/1", "ledger://users/1"];
    let templates = ["ledger://accounts/{id}", "ledger://{kind}/1"];
    for (method, list, key, server, held, expected) in [
        ("tools/list", "tools", "name", &all[..], "", &all[..2]),
        ("tools/list", "tools", "name", &all, "pii:read", &all[..5]),
        ("prompts/list", "prompts", "name", &["summary", "other"], "", &["summary"]),
        ("resources/list", "resources", "uri", &uris, "", &uris[..2]),
        (
            "resources/templates/list",
            "resourceTemplates",
            "uriTemplate",
            &templates,
            "",
            &templates[..1],
        ),
    ] {
        let server = json!({list: named(key, server), "nextCursor": "2", "cacheScope": "public"});
        let scopes = format!("mcp:connect {held}");
        let result = filtered(&mut Stage::new(), &scopes, method, &server);
        let expected =
            json!({list: named(key, expected), "nextCursor": "2", "cacheScope": "private"});
        assert_eq!(result, expected, "{method} {held}");
    }
}

#[test]
fn what_is_no_list_costs_nothing() {
    let mut stage = Stage::new();
    for headers in [&[("content-type", "application/json"), ("etag", "1")][..], &[]] {
        let mut stream = forwarded(&mut stage, "mcp:connect", "tools/call");
        let edits = stream.response(&mut stage, headers).edits();
        assert!(edits.remove.is_empty() && edits.set.is_empty());
    }
    let mut stream = forwarded(&mut stage, "mcp:connect", "tools/list");
    let headers = [(":status", &b"202"[..])];
    let headers = mcp_deputy::request::Headers(&headers);
    let event = Event::ResponseHeaders { headers, from_server: true, end_of_stream: true };
    let _ = stream.event(&mut stage, event).edits();
}

#[test]
fn every_event_stream_is_filtered_and_its_headers_do_not_wait() {
    let mut stage = Stage::new();
    for method in ["tools/call", "tools/list"] {
        let mut stream = forwarded(&mut stage, "mcp:connect", method);
        let headers = [("content-type", "text/event-stream"), ("content-length", "9")];
        let Step::Filter { edits, hold: false } = stream.response(&mut stage, &headers) else {
            panic!()
        };
        assert_eq!(edits.remove, ["content-length"]);
        let event = b"data: {\"result\":{\"tools\":[{\"name\":\"secretTool\"}]}}\n\n";
        let Step::Replace(out) = stream.chunk(&mut stage, event, false) else { panic!() };
        assert_eq!(out, b"data: {\"result\":{\"tools\":[]}}\n\n");
        let Step::Replace(out) = stream.chunk(&mut stage, b"data: x", true) else { panic!() };
        assert!(out.is_empty());
    }
}

#[test]
fn p02_p03_p04_a_list_of_another_kind_is_a_502() {
    let mut stage = Stage::new();
    for (headers, detail) in [
        ([("content-type", "text/plain"), ("x", "")], "media_type"),
        ([("content-type", "application/json"), ("content-encoding", "br")], "content_encoding"),
    ] {
        for status in ["200", "201", "299"] {
            let mut stream = forwarded(&mut stage, "mcp:connect", "tools/list");
            let headers = [&[(":status", status)], &headers[..]].concat();
            let reply = stream.response(&mut stage, &headers).reply();
            assert_eq!(reply.status, 502);
            let rest = stream.chunk(&mut stage, b"the rest", true);
            assert!(matches!(rest, Step::Replace(rest) if rest.is_empty()));
            let record = stream.close(&mut stage, 502).unwrap();
            assert_eq!(record["reason"], "unfilterable_response");
            assert_eq!(record["detail"], detail);
            assert_eq!(record["decision"], "refuse");
        }
    }
}

/// A part of an answer could begin anywhere, in the middle of a list or of a redacted value.
#[test]
fn p02_no_part_of_an_answer_passes() {
    let mut stage = Stage::new();
    for method in ["tools/list", "tools/call"] {
        for media in ["application/json", "text/event-stream", "multipart/byteranges"] {
            let mut stream = forwarded(&mut stage, "mcp:connect", method);
            let headers = [(":status", "206"), ("content-type", media)];
            assert_eq!(stream.response(&mut stage, &headers).reply().status, 502, "{media}");
            let record = stream.close(&mut stage, 502).unwrap();
            assert_eq!(record["reason"], "unexpected_status");
        }
    }
}

/// That a session is gone, say, which servers tell in prose; or that the server is busy.
#[test]
fn p02_of_an_error_of_another_kind_the_status_passes_without_the_body() {
    let mut stage = Stage::new();
    for headers in [
        &[("content-type", "text/plain"), ("content-length", "8")][..],
        &[("content-type", "application/json"), ("content-encoding", "br")],
        &[],
    ] {
        for status in ["400", "404", "429", "500", "503"] {
            let mut stream = forwarded(&mut stage, "mcp:connect", "tools/list");
            let headers = [&[(":status", status), ("retry-after", "7")], headers].concat();
            let Step::Filter { edits, .. } = stream.response(&mut stage, &headers) else {
                panic!("{headers:?}")
            };
            let described = headers.iter().map(|(name, _)| *name);
            let described =
                described.filter(|name| ["content-length", "content-encoding"].contains(name));
            assert_eq!(edits.remove, described.collect::<Vec<_>>());
            let rest = stream.chunk(&mut stage, b"{\"result\":{\"tools\":[]}}", true);
            assert!(matches!(rest, Step::Replace(rest) if rest.is_empty()));
            let record = stream.close(&mut stage, status.parse().unwrap()).unwrap();
            assert_eq!((&record["decision"], &record["reason"]), (&json!("allow"), &Value::Null));
        }
    }
}

/// A GET that went up, and what is said to the head of its answer.
fn opened(stage: &mut Stage, headers: &[(&str, &str)]) -> Step {
    let (mut stream, _) = stage.post(&token(json!({})), &[(":method", "GET")]);
    let callout = stream.body(stage, b"").callout();
    let settled = stage.settle(&callout, Ok(issued(&delegation("ledger:Connect")))).unwrap();
    let _ = stream.event(stage, Event::Exchanged(settled.result.as_ref())).edits();
    stream.response(stage, headers)
}

#[test]
fn p03_what_opens_no_stream_of_events_is_a_502_unless_it_says_so() {
    let mut stage = Stage::new();
    for (status, media, expected) in [
        ("200", "text/event-stream", "filter"),
        ("200", "application/json", "filter"),
        ("200", "text/plain", "refuse"),
        ("206", "application/octet-stream", "refuse"),
        ("404", "text/plain", "pass"),
        ("405", "text/plain", "pass"),
    ] {
        let headers = [(":status", status), ("content-type", media)];
        let seen = match opened(&mut stage, &headers) {
            Step::Continue(_) => "pass",
            Step::Filter { .. } => "filter",
            Step::Reply(reply) if reply.status == 502 => "refuse",
            other => panic!("{other:?}"),
        };
        assert_eq!(seen, expected, "{status} {media}");
    }
}

#[test]
fn p21_no_status_that_leads_elsewhere_passes() {
    let mut stage = Stage::new();
    for method in ["tools/call", "tools/list"] {
        for status in ["101", "300", "301", "302", "303", "304", "307", "308", "399"] {
            let mut stream = forwarded(&mut stage, "mcp:connect", method);
            let headers = [(":status", status), ("location", "https://evil.example/")];
            let reply = stream.response(&mut stage, &headers).reply();
            assert_eq!((reply.status, header(&reply, "location")), (502, None));
            let record = stream.close(&mut stage, 502).unwrap();
            assert_eq!(record["reason"], "unexpected_status");
            assert_eq!(record["upstream_status"].to_string(), status);
        }
        let mut stream = forwarded(&mut stage, "mcp:connect", method);
        let headers = [
            (":status", "201"),
            ("content-type", "application/json"),
            ("location", "https://evil.example/"),
            ("refresh", "0; url=https://evil.example/"),
            ("alt-svc", "h2=\"evil.example:443\""),
        ];
        let edits = stream.response(&mut stage, &headers).edits();
        assert_eq!(edits.remove, ["location", "refresh", "alt-svc"]);
    }
}

#[test]
fn p14_what_cannot_be_read_is_a_502_before_and_a_reset_after_something_passed() {
    let mut stage = Stage::new();
    let headers = [("content-type", "application/json")];
    let bad = br#"{"result":{"tools":[],"tools":[{"name":"a"}]}}"#;

    let mut stream = forwarded(&mut stage, "mcp:connect", "tools/list");
    let _ = stream.response(&mut stage, &headers);
    let reply = stream.chunk(&mut stage, bad, true).reply();
    assert_eq!((reply.status, &body(&reply)["id"]), (502, &7.into()));

    let mut stream = forwarded(&mut stage, "mcp:connect", "tools/list");
    let _ = stream.response(&mut stage, &headers);
    let (first, second) = bad.split_at(12);
    let Step::Replace(out) = stream.chunk(&mut stage, first, false) else { panic!() };
    assert_eq!(out, br#"{"result":{"#);
    assert!(matches!(stream.chunk(&mut stage, second, true), Step::Reset));
    let rest = stream.chunk(&mut stage, bad, true);
    assert!(matches!(rest, Step::Replace(rest) if rest.is_empty()));
    let record = stream.close(&mut stage, 200).unwrap();
    assert_eq!(record["detail"], "json_duplicate_member");
}

#[test]
fn the_server_is_asked_for_plain_answers() {
    let mut stage = Stage::new();
    let (mut stream, _) =
        stage.post(&token(json!({})), &[("accept-encoding", "gzip"), ("accept", "*/*")]);
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"}).to_string();
    let callout = stream.body(&mut stage, message.as_bytes()).callout();
    let settled = stage.settle(&callout, Ok(issued(&delegation("ledger:Connect")))).unwrap();
    let edits = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())).edits();
    assert_eq!(edits.remove, ["accept-encoding"]);
}

#[test]
fn what_all_responses_hold_together_is_bounded() {
    let mut configuration = configuration();
    configuration["limits"] = json!({"held_response_bytes": 8 << 20});
    let mut stage = Stage::with(configuration);
    let value = "a".repeat(5 << 20);
    let message = [("content-type", "application/json")];
    let events = [("content-type", "text/event-stream")];
    let list = format!("{{\"result\":{{\"tools\":[{{\"name\":\"{value}");
    let event = format!("data: {value}");

    let mut first = forwarded(&mut stage, "mcp:connect", "tools/list");
    let _ = first.response(&mut stage, &message);
    assert!(matches!(first.chunk(&mut stage, list.as_bytes(), false), Step::Replace(_)));

    let mut second = forwarded(&mut stage, "mcp:connect", "tools/list");
    let _ = second.response(&mut stage, &message);
    assert_eq!(second.chunk(&mut stage, list.as_bytes(), false).reply().status, 502);
    let record = second.close(&mut stage, 502).unwrap();
    assert_eq!(
        (&record["reason"], &record["detail"]),
        (&json!("unfilterable_response"), &json!("too_much_held"))
    );

    let mut third = forwarded(&mut stage, "mcp:connect", "tools/list");
    let _ = third.response(&mut stage, &events);
    assert!(matches!(third.chunk(&mut stage, event.as_bytes(), false), Step::Reset));

    // What holds no more goes on, and what has ended holds nothing.
    assert!(matches!(first.chunk(&mut stage, b"\"}]}}", true), Step::Replace(_)));
    first.close(&mut stage, 200);
    let mut fourth = forwarded(&mut stage, "mcp:connect", "tools/list");
    let _ = fourth.response(&mut stage, &events);
    assert!(matches!(fourth.chunk(&mut stage, event.as_bytes(), false), Step::Replace(_)));
    // Nor does a stream hold what of it has passed.
    assert!(matches!(fourth.chunk(&mut stage, b"\n\n", false), Step::Replace(_)));
    let mut fifth = forwarded(&mut stage, "mcp:connect", "tools/list");
    let _ = fifth.response(&mut stage, &events);
    assert!(matches!(fifth.chunk(&mut stage, event.as_bytes(), false), Step::Replace(_)));
    // Nor what of one that has ended will never pass.
    assert!(matches!(fifth.chunk(&mut stage, b"", true), Step::Replace(_)));
    let mut sixth = forwarded(&mut stage, "mcp:connect", "tools/list");
    let _ = sixth.response(&mut stage, &events);
    assert!(matches!(sixth.chunk(&mut stage, event.as_bytes(), false), Step::Replace(_)));
}
