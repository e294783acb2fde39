//! Sessions are their user's, as are the streams and the answers in them.

use std::time::Duration;

use mcp_deputy::transaction::{Event, Step};
use mcp_deputy::upstream::Edits;
use serde_json::{Value, json};

use super::stage::*;

const ID: &str = "1868a90c-70b0-4f30-9a0b-2e2a8c2f1f4e";

fn sessions() -> Value {
    let sessions = json!({"keys_from_environment": ["KEY", "KEY_BEFORE"]});
    let mut configuration = merge(configuration(), json!({ "sessions": sessions }));
    // No exchange, so that every step comes at once.
    configuration["policies"]["ledger"]["baseline"] = json!("without_token");
    configuration
}

fn initialize() -> String {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize"}).to_string()
}

/// The id that a client holds for the server's `ID`.
fn open(stage: &mut Stage, token: &str) -> String {
    let (mut stream, step) = stage.send(token, &initialize());
    let _ = step.edits();
    let edits = stream.response(stage, &[(":status", "200"), ("mcp-session-id", ID)]).edits();
    set(&edits, "mcp-session-id").expect("a sealed id").to_owned()
}

fn set<'a>(edits: &'a Edits, name: &str) -> Option<&'a str> {
    edits.set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

/// A request of each HTTP method, up to the step that decides.
fn request(stage: &mut Stage, token: &str, method: &str, more: &[(&str, &str)]) -> (Stream, Step) {
    let headers = [&[(":method", method)], more].concat();
    let (mut stream, step) = stage.post(token, &headers);
    if !step.is_pause() {
        return (stream, step);
    }
    let body = if method == "POST" { initialize() } else { String::new() };
    let step = stream.body(stage, body.as_bytes());
    (stream, step)
}

#[track_caller]
fn refused(stage: &mut Stage, (stream, step): (Stream, Step), status: u16, reason: &str) {
    let reply = step.reply();
    assert_eq!(reply.status, status);
    assert_eq!(stream.close(stage, status).unwrap()["reason"], reason);
}

#[test]
fn a_session_goes_up_under_the_servers_id_and_comes_back_sealed() {
    let mut stage = Stage::with(sessions());
    let sarah = token(json!({}));
    let sealed = open(&mut stage, &sarah);
    assert!(!sealed.contains(ID));
    for method in ["POST", "GET", "DELETE"] {
        let (mut stream, step) =
            request(&mut stage, &sarah, method, &[("mcp-session-id", &sealed)]);
        assert_eq!(set(&step.edits(), "mcp-session-id"), Some(ID), "{method}");
        let edits = stream.response(&mut stage, &[(":status", "200"), ("mcp-session-id", ID)]);
        assert_eq!(set(&edits.edits(), "mcp-session-id"), Some(&*sealed), "{method}");
    }
    // A new token of the same user and client does as well.
    let renewed = token(json!({"jti": "renewed", "scope": "mcp:connect pii:read"}));
    let (_, step) = request(&mut stage, &renewed, "POST", &[("mcp-session-id", &sealed)]);
    assert_eq!(set(&step.edits(), "mcp-session-id"), Some(ID));
}

#[test]
fn s01_s02_t18_nobody_uses_the_session_of_another() {
    let mut stage = Stage::with(sessions());
    let sealed = open(&mut stage, &token(json!({})));
    let others = [
        token(json!({"sub": "john.mcclane@orchestrator.lab"})),
        token(json!({"client_id": "web"})),
        token(json!({"client_id": null})),
    ];
    for (other, method) in
        others.iter().flat_map(|other| ["POST", "GET", "DELETE"].map(|method| (other, method)))
    {
        let headers = [("mcp-session-id", &*sealed), ("last-event-id", "1")];
        let outcome = request(&mut stage, other, method, &headers);
        refused(&mut stage, outcome, 404, "foreign_session");
    }
}

#[test]
fn s01_a_session_is_good_at_its_own_endpoint_alone() {
    let mut stage = Stage::with(sessions());
    let sarah = token(json!({}));
    let sealed = open(&mut stage, &sarah);
    let headers = [(":path", "/mcp/open"), ("mcp-session-id", &*sealed)];
    let outcome = request(&mut stage, &sarah, "POST", &headers);
    refused(&mut stage, outcome, 404, "foreign_session");
}

#[test]
fn s02_no_stream_is_resumed_without_its_session() {
    let mut stage = Stage::with(sessions());
    let outcome = request(&mut stage, &token(json!({})), "GET", &[("last-event-id", "1")]);
    refused(&mut stage, outcome, 403, "missing_session");
    let (_, step) = request(&mut stage, &token(json!({})), "GET", &[]);
    let _ = step.edits();
}

#[test]
fn a_session_id_that_was_never_given_out_is_refused() {
    let mut stage = Stage::with(sessions());
    let sarah = token(json!({}));
    let sealed = open(&mut stage, &sarah);
    for malformed in [ID, "*", ".", &sealed[1..], &format!("{sealed},{sealed}"), &"a".repeat(9_999)]
    {
        let outcome = request(&mut stage, &sarah, "POST", &[("mcp-session-id", malformed)]);
        refused(&mut stage, outcome, 404, "malformed_session");
    }
    let twice = [("mcp-session-id", &*sealed), ("mcp-session-id", &*sealed)];
    let outcome = request(&mut stage, &sarah, "POST", &twice);
    refused(&mut stage, outcome, 404, "malformed_session");
    let last = if sealed.ends_with('A') { "E" } else { "A" };
    let forged = format!("{}{last}", &sealed[..sealed.len() - 1]);
    let outcome = request(&mut stage, &sarah, "POST", &[("mcp-session-id", &forged)]);
    refused(&mut stage, outcome, 404, "foreign_session");
}

#[test]
fn s04_a_session_is_no_proof_of_who_asks() {
    let mut stage = Stage::with(sessions());
    let sarah = token(json!({}));
    let sealed = open(&mut stage, &sarah);
    stage.pass(Duration::from_secs(605));
    let outcome = request(&mut stage, &sarah, "POST", &[("mcp-session-id", &sealed)]);
    refused(&mut stage, outcome, 401, "expired");
    let headers = [("authorization", ""), ("mcp-session-id", &*sealed)];
    let outcome = request(&mut stage, &sarah, "POST", &headers);
    refused(&mut stage, outcome, 401, "no_token");
}

#[test]
fn keys_rotate_without_ending_a_session() {
    let with = |keys: Value| {
        let mut configuration = sessions();
        configuration["sessions"]["keys_from_environment"] = keys;
        Stage::with(configuration)
    };
    let sarah = token(json!({}));
    let old = open(&mut with(json!(["KEY_BEFORE"])), &sarah);
    let mut during = with(json!(["KEY", "KEY_BEFORE"]));
    let (_, step) = request(&mut during, &sarah, "POST", &[("mcp-session-id", &old)]);
    assert_eq!(set(&step.edits(), "mcp-session-id"), Some(ID));
    let new = open(&mut during, &sarah);
    assert_ne!(old, new);
    let mut after = with(json!(["KEY"]));
    let (_, step) = request(&mut after, &sarah, "POST", &[("mcp-session-id", &new)]);
    assert_eq!(set(&step.edits(), "mcp-session-id"), Some(ID));
    let outcome = request(&mut after, &sarah, "POST", &[("mcp-session-id", &old)]);
    refused(&mut after, outcome, 404, "foreign_session");
}

#[test]
fn without_a_key_no_session_passes_in_either_direction() {
    let mut configuration = sessions();
    configuration.as_object_mut().unwrap().remove("sessions");
    let mut stage = Stage::with(configuration);
    let sarah = token(json!({}));
    let outcome = request(&mut stage, &sarah, "POST", &[("mcp-session-id", ID)]);
    refused(&mut stage, outcome, 404, "sessions_not_configured");
    let (mut stream, step) = request(&mut stage, &sarah, "POST", &[]);
    let _ = step.edits();
    let step = stream.response(&mut stage, &[(":status", "200"), ("mcp-session-id", ID)]);
    refused(&mut stage, (stream, step), 502, "sessions_not_configured");
}

/// MCP 2026-07-28, transports, earlier revisions: "ignore it, and do not mint or echo session IDs".
#[test]
fn a_stateless_revision_has_no_session_in_either_direction() {
    let mut without_keys = sessions();
    without_keys.as_object_mut().unwrap().remove("sessions");
    for configuration in [sessions(), without_keys] {
        let mut stage = Stage::with(configuration);
        let sarah = token(json!({}));
        let twice = [("mcp-session-id", ID), ("mcp-session-id", "a b")];
        for more in [&[][..], &[("mcp-session-id", ID)], &twice, &[("last-event-id", "1")]] {
            let (mut stream, step) = stage.ask_stateless(&sarah, "tools/list", json!({}), more);
            let edits = step.edits();
            assert_eq!(set(&edits, "mcp-session-id"), None, "{more:?}");
            for (name, _) in more {
                assert!(edits.remove.iter().any(|removed| removed == name), "{more:?}");
            }
            let headers = [("content-type", "application/json"), ("mcp-session-id", ID)];
            let edits = stream.response(&mut stage, &headers).edits();
            assert_eq!(set(&edits, "mcp-session-id"), None);
            assert!(edits.remove.contains(&"mcp-session-id".to_owned()));
        }
    }
}

#[test]
fn a_session_that_cannot_be_bound_does_not_pass() {
    let mut stage = Stage::with(sessions());
    for headers in [
        &[("mcp-session-id", "a b")][..],
        &[("mcp-session-id", "")],
        &[("mcp-session-id", "é")],
        &[("mcp-session-id", "a"), ("mcp-session-id", "b")],
    ] {
        let (mut stream, step) = request(&mut stage, &token(json!({})), "POST", &[]);
        let _ = step.edits();
        let step = stream.response(&mut stage, &[&[(":status", "200")], headers].concat());
        refused(&mut stage, (stream, step), 502, "malformed_session");
    }
}

const PING: &str = r#"{"jsonrpc":"2.0","id":3,"result":{}}"#;
const PING_WITH_META: &str = r#"{"jsonrpc":"2.0","id":"a","result":{"_meta":{"x":1}}}"#;
const ERROR: &str = r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"no"}}"#;
const ROOTS: &str = r#"{"jsonrpc":"2.0","id":3,"result":{"roots":[{"uri":"file:///x"}]}}"#;
const ELICITATION: &str =
    r#"{"jsonrpc":"2.0","id":3,"result":{"action":"accept","content":{"name":"x"}}}"#;
const SAMPLING: &str = r#"{"jsonrpc":"2.0","id":3,"result":{"role":"assistant","model":"m",
    "content":{"type":"text","text":"x"},"stopReason":"endTurn"}}"#;

/// What is said to a response in a session of Sarah's, under a policy with these server requests.
fn answer(server_requests: &Value, body: &str, more: &[(&str, &str)]) -> (Stage, Stream, Step) {
    let mut configuration = sessions();
    if !server_requests.is_null() {
        configuration["policies"]["ledger"]["server_requests"] = server_requests.clone();
    }
    let mut stage = Stage::with(configuration);
    let sarah = token(json!({}));
    let sealed = open(&mut stage, &sarah);
    let headers = [&[("mcp-session-id", &*sealed)], more].concat();
    let (mut stream, step) = stage.post(&sarah, &headers);
    assert!(step.is_pause());
    let step = stream.body(&mut stage, body.as_bytes());
    (stage, stream, step)
}

#[test]
fn a_clients_response_is_allowed_by_rule() {
    for (server_requests, body, answers) in [
        (Value::Null, PING, "ping"),
        (Value::Null, PING_WITH_META, "ping"),
        (Value::Null, ERROR, "error"),
        (json!(["roots/list"]), ROOTS, "roots/list"),
        (json!(["elicitation/create"]), ELICITATION, "elicitation/create"),
        (json!(["ping", "sampling/createMessage"]), SAMPLING, "sampling/createMessage"),
    ] {
        let (mut stage, stream, step) = answer(&server_requests, body, &[]);
        assert_eq!(set(&step.edits(), "mcp-session-id"), Some(ID), "{body}");
        let record = stream.close(&mut stage, 202).unwrap();
        assert_eq!(
            (&record["decision"], &record["answers"], &record["rule"]),
            (&"allow".into(), &answers.into(), &"ledger.baseline".into())
        );
    }
}

#[test]
fn a_clients_response_that_no_rule_names_is_denied() {
    let result = |members: &str| format!(r#"{{"jsonrpc":"2.0","id":3,"result":{members}}}"#);
    let all = json!(["ping", "sampling/createMessage", "elicitation/create", "roots/list"]);
    for (server_requests, body) in [
        (Value::Null, ROOTS.to_owned()),
        (Value::Null, ELICITATION.to_owned()),
        (Value::Null, SAMPLING.to_owned()),
        (json!([]), PING.to_owned()),
        (json!([]), ERROR.to_owned()),
        (json!(["sampling/createMessage"]), PING.to_owned()),
        // What more than one server, or none, could take for an answer.
        (all.clone(), result(r#"{"roots":[],"action":"accept"}"#)),
        (all.clone(), result(r#"{"action":"accept","role":"user","model":"m"}"#)),
        (all.clone(), result(r#"{"role":"user"}"#)),
        (all.clone(), result(r#"{"task":{"taskId":"t"}}"#)),
        (all.clone(), result("null")),
        (all.clone(), result("[]")),
        (all.clone(), r#"{"jsonrpc":"2.0","id":null,"result":{}}"#.to_owned()),
        (all, r#"{"jsonrpc":"2.0","id":1,"error":"no"}"#.to_owned()),
    ] {
        let (mut stage, stream, step) = answer(&server_requests, &body, &[]);
        let reply = step.reply();
        // An error would end the session of some clients.
        assert_eq!((reply.status, reply.body), (202, vec![]), "{body}");
        let record = stream.close(&mut stage, 202).unwrap();
        assert_eq!(
            (&record["decision"], &record["reason"]),
            (&"deny".into(), &"server_request_not_allowed".into())
        );
    }
}

/// A 404 would say that the session is gone, and end all that is under way in it.
#[test]
fn a_method_that_the_revision_does_not_have_ends_no_session() {
    for (message, status, code) in [
        (json!({"jsonrpc": "2.0", "id": 7, "method": "vendor/hello"}), 200, json!(-32601)),
        (
            json!({"jsonrpc": "2.0", "id": 7, "method": "notifications/initialized"}),
            200,
            json!(-32601),
        ),
        (json!({"jsonrpc": "2.0", "method": "notifications/vendor/hello"}), 202, Value::Null),
    ] {
        let (mut stage, stream, step) = answer(&Value::Null, &message.to_string(), &[]);
        let reply = step.reply();
        let error = serde_json::from_slice::<Value>(&reply.body).unwrap_or_default();
        assert_eq!((reply.status, &error["error"]["code"]), (status, &code), "{message}");
        assert_eq!(error["id"], if code.is_null() { Value::Null } else { json!(7) });
        assert_eq!(stream.close(&mut stage, status).unwrap()["reason"], "unknown_method");
    }
    let batch = json!([{"jsonrpc": "2.0", "id": 7, "method": "vendor/hello"}]).to_string();
    let march = [("mcp-protocol-version", "2025-03-26")];
    assert_eq!(answer(&Value::Null, &batch, &march).2.reply().status, 400);
}

#[test]
fn r05_a_response_that_servers_could_read_differently_is_refused() {
    for members in [r#""Action":"accept""#, r#""action":"a","action":"b""#, r#""_Meta":{}"#] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":3,"result":{{{members}}}}}"#);
        let (_, _, step) = answer(&json!(["elicitation/create", "ping"]), &body, &[]);
        let reply = step.reply();
        assert_eq!(
            (reply.status, &super::stage::body(&reply)["error"]["code"]),
            (400, &(-32700).into())
        );
    }
}

#[test]
fn r06_a_response_outside_a_session_is_refused() {
    let mut stage = Stage::with(sessions());
    let sarah = token(json!({}));
    let outcome = stage.send(&sarah, PING);
    let reply = outcome.1.reply();
    assert_eq!((reply.status, &body(&reply)["error"]["code"]), (400, &(-32600).into()));
    assert_eq!(outcome.0.close(&mut stage, 400).unwrap()["reason"], "response_not_allowed");
    // The stateless revision has no sessions and no requests of a server's.
    let version = [("mcp-protocol-version", "2026-07-28")];
    let (_, _, step) = answer(&Value::Null, PING, &version);
    let reply = step.reply();
    assert_eq!((reply.status, &body(&reply)["error"]["code"]), (400, &(-32600).into()));
}

#[test]
fn s04_a_stream_ends_when_the_token_expires() {
    let mut stage = Stage::with(sessions());
    let stream_of = |stage: &mut Stage, kind: &str| {
        let (mut stream, step) = request(stage, &token(json!({})), "GET", &[]);
        let _ = step.edits();
        assert!(!stream.transaction.wants_ticks());
        let _ = stream.response(stage, &[(":status", "200"), ("content-type", kind)]).edits();
        stream
    };
    let mut events = stream_of(&mut stage, "text/event-stream; charset=utf-8");
    let mut document = stream_of(&mut stage, "application/json");
    assert!(events.transaction.wants_ticks() && !events.transaction.is_undecided());
    assert!(!document.transaction.wants_ticks());
    // The leeway counts as it does for a request.
    stage.pass(Duration::from_millis(604_999));
    assert!(matches!(events.event(&mut stage, Event::Tick), Step::Continue(_)));
    stage.pass(Duration::from_millis(1));
    assert!(matches!(events.event(&mut stage, Event::Tick), Step::Reset));
    assert!(!events.transaction.wants_ticks());
    // An answer that is under way was due before.
    assert!(matches!(document.event(&mut stage, Event::Tick), Step::Continue(_)));
    let record = events.close(&mut stage, 200).unwrap();
    assert_eq!(
        (&record["decision"], &record["reason"]),
        (&"allow".into(), &"token_expired".into())
    );
}

/// A slow client may still read what has all passed this filter.
#[test]
fn s04_a_stream_that_is_complete_is_not_cut_off() {
    let mut stage = Stage::with(sessions());
    let (mut events, step) = request(&mut stage, &token(json!({})), "GET", &[]);
    let _ = step.edits();
    let _ = events.response(&mut stage, &[("content-type", "text/event-stream")]).edits();
    let event = b"data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\n";
    let step = events.chunk(&mut stage, event, true);
    assert!(matches!(step, Step::Replace(passed) if passed == event));
    assert!(!events.transaction.wants_ticks());
    stage.pass(Duration::from_secs(605));
    assert!(matches!(events.event(&mut stage, Event::Tick), Step::Continue(_)));
    let step = events.chunk(&mut stage, event, true);
    assert!(matches!(step, Step::Replace(more) if more.is_empty()), "nothing follows the end");
    let record = events.close(&mut stage, 200).unwrap();
    assert_eq!((&record["decision"], record.get("reason")), (&"allow".into(), None));
}

#[test]
fn r01_no_response_takes_a_batch_along() {
    for other in [call("dropTables"), call("listAccounts")] {
        for body in [format!("[{PING},{other}]"), format!("[{other},{PING}]"), format!("[{PING}]")]
        {
            let (mut stage, stream, step) = answer(&json!(["ping"]), &body, &[]);
            refused(&mut stage, (stream, step), 400, "batch");
        }
    }
}

#[test]
fn s09_what_tells_of_a_request_in_no_session_goes_nowhere() {
    let mut stage = Stage::new();
    for method in ["notifications/cancelled", "notifications/progress"] {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": {"requestId": 1, "progressToken": 1, "progress": 1}});
        let (stream, step) = stage.send(&token(json!({})), &message.to_string());
        let reply = step.reply();
        assert_eq!((reply.status, reply.body.len()), (202, 0), "{method}");
        let record = stream.close(&mut stage, 202).unwrap();
        assert_eq!(
            (&record["decision"], &record["reason"]),
            (&"deny".into(), &"no_session".into())
        );
        let batch = json!([message, {"jsonrpc": "2.0", "id": 1, "method": "ping"}]);
        let (stream, step) = stage.send(&token(json!({})), &batch.to_string());
        assert_eq!(step.reply().status, 403);
        assert_eq!(stream.close(&mut stage, 403).unwrap()["reason"], "no_session");
    }
}
