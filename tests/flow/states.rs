//! Every state meets every event. What does not fit fails with a 500; nothing undecided is ever let
//! through.

use std::time::Duration;

use mcp_deputy::exchange::reply::ExchangeError;
use mcp_deputy::request::Headers;
use mcp_deputy::transaction::{Event, Step};
use serde_json::json;

use super::keys::fetching;
use super::stage::*;

const STATES: [&str; 9] = [
    "await_headers",
    "await_keys",
    "await_body",
    "await_exchange",
    "forwarded",
    "filtering",
    "ignored",
    "replied",
    "failed",
];

const EVENTS: [&str; 10] = [
    "headers",
    "again",
    "more_body",
    "whole_body",
    "exchanged",
    "refused",
    "tick",
    "late_tick",
    "response",
    "chunk",
];

fn reach(stage: &mut Stage, state: &str) -> Stream {
    match state {
        "await_headers" => stage.begin(),
        "await_keys" => {
            stage
                .post(
                    &sign_under(
                        json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "new"}),
                        &inbound(json!({})),
                    ),
                    &[],
                )
                .0
        }
        "await_body" => stage.post(&token(json!({})), &[]).0,
        "await_exchange" => stage.send(&token(json!({})), &call("listAccounts")).0,
        "forwarded" => {
            let issued = issued(&delegation("ledger:ListAccounts"));
            stage.exchange(&token(json!({})), "listAccounts", issued).0
        }
        "filtering" => {
            let mut stream = reach(stage, "forwarded");
            let _ = stream.response(stage, &[("content-type", "text/event-stream")]);
            stream
        }
        "ignored" => {
            let mut stream = stage.begin();
            let _ = stream.headers(stage, &[(":method", "GET"), (":path", "/health")], true);
            stream
        }
        "replied" => stage.post("not-a-token", &[]).0,
        _ => {
            let mut stream = stage.begin();
            let _ = stream.event(stage, Event::Exchanged(Err(&ExchangeError::NoAnswer)));
            stream
        }
    }
}

fn meet(stage: &mut Stage, stream: &mut Stream, event: &str) -> Step {
    let headers = [(":path", &b"/mcp"[..]), (":status", b"200")];
    let headers = Headers(&headers);
    match event {
        "headers" => stream.event(stage, Event::RequestHeaders { headers, end_of_stream: false }),
        "again" => stream.event(stage, Event::RequestAgain { headers, body: b"{}" }),
        "more_body" => stream.event(stage, Event::RequestBody { length: 9, whole: None }),
        "whole_body" => stream.body(stage, b"{}"),
        "exchanged" => {
            let (_, step) = stage.send(&token(json!({"jti": "other"})), &call("listAccounts"));
            let settled =
                stage.settle(&step.callout(), Ok(issued(&delegation("ledger:ListAccounts"))));
            let delegated = settled.unwrap().result.unwrap();
            stream.event(stage, Event::Exchanged(Ok(&delegated)))
        }
        "refused" => stream.event(stage, Event::Exchanged(Err(&ExchangeError::NoAnswer))),
        "tick" => stream.event(stage, Event::Tick),
        "late_tick" => {
            // Long after the time for a decision, and after the token's.
            stage.pass(Duration::from_secs(605));
            stream.event(stage, Event::Tick)
        }
        "chunk" => stream.chunk(stage, b"data: 1\n\n", false),
        _ => stream.event(
            stage,
            Event::ResponseHeaders { headers, from_server: true, end_of_stream: false },
        ),
    }
}

fn shape(step: &Step) -> String {
    match step {
        Step::Continue(edits) if edits.set.is_empty() && edits.remove.is_empty() => "pass".into(),
        Step::Continue(_) => "forward".into(),
        Step::Pause => "pause".into(),
        Step::Call(_) => "call".into(),
        Step::Reply(reply) => reply.status.to_string(),
        Step::Filter { .. } => "filter".into(),
        Step::Replace(chunk) if chunk.is_empty() => "nothing".into(),
        Step::Replace(_) => "replace".into(),
        Step::Reset => "reset".into(),
        Step::Reread => "reread".into(),
    }
}

#[test]
fn every_state_meets_every_event() {
    let mut table = String::new();
    for state in STATES {
        let mut row = format!("{state:15}");
        for event in EVENTS {
            let mut stage = fetching(json!({}));
            let mut stream = reach(&mut stage, state);
            let step = meet(&mut stage, &mut stream, event);
            row.push_str(&format!(" {:9}", shape(&step)));
        }
        table.push_str(row.trim_end());
        table.push('\n');
    }
    //              headers   again     more_body whole_body exchanged refused  tick      late_tick response  chunk
    let expected = "\
await_headers   401       500       500       500       500       500       pass      pass      pass      500
await_keys      500       401       pause     pause     500       500       pause     503       pass      500
await_body      500       500       pause     400       500       500       pause     503       pass      500
await_exchange  500       500       pause     pause     forward   503       pause     503       pass      500
forwarded       500       500       pass      pass      500       500       pass      pass      pass      500
filtering       500       500       pass      pass      500       500       pass      reset     500       replace
ignored         500       500       pass      pass      500       500       pass      pass      pass      500
replied         500       500       pass      pass      500       500       pass      pass      pass      nothing
failed          500       500       500       500       500       500       pass      pass      pass      nothing
";
    assert_eq!(table, expected, "\n{table}");
}

#[test]
fn what_failed_stays_failed() {
    let mut stage = Stage::new();
    let mut stream = reach(&mut stage, "failed");
    for event in ["headers", "whole_body", "exchanged"] {
        assert_eq!(meet(&mut stage, &mut stream, event).reply().status, 500, "{event}");
    }
    let record = stream.close(&mut stage, 500).unwrap();
    assert_eq!((&record["decision"], &record["reason"]), (&"refuse".into(), &"failed".into()));
}

#[test]
fn who_failed_waits_no_more() {
    let mut stage = Stage::new();
    let (mut stream, step) = stage.send(&token(json!({})), &call("listAccounts"));
    let callout = step.callout();
    assert_eq!(meet(&mut stage, &mut stream, "headers").reply().status, 500);
    let reply = issued(&delegation("ledger:ListAccounts"));
    assert!(stage.settle(&callout, Ok(reply)).is_none(), "there is nobody to be told");
}

#[test]
fn nothing_waits_for_ever() {
    for (state, detail) in [
        ("await_body", "no request body came: is allow_on_headers_stop_iteration set?"),
        ("await_exchange", "the token exchange did not end in time"),
        ("await_keys", "the issuer's keys did not come in time"),
    ] {
        let mut stage = fetching(json!({}));
        let mut stream = reach(&mut stage, state);
        stage.pass(Duration::from_millis(9_999));
        assert!(stream.event(&mut stage, Event::Tick).is_pause(), "{state}");
        assert!(stream.transaction.is_undecided());
        stage.pass(Duration::from_millis(1));
        let reply = stream.event(&mut stage, Event::Tick).reply();
        assert_eq!((reply.status, header(&reply, "retry-after")), (503, Some("1")), "{state}");
        assert!(!stream.transaction.is_undecided());
        let record = stream.close(&mut stage, 503).unwrap();
        assert_eq!((&record["reason"], &record["detail"]), (&"undecided".into(), &detail.into()));
    }
}

#[test]
fn a_body_that_began_and_never_ended_is_told_apart() {
    let mut stage = Stage::new();
    let mut stream = reach(&mut stage, "await_body");
    assert!(meet(&mut stage, &mut stream, "more_body").is_pause());
    stage.pass(Duration::from_secs(10));
    assert_eq!(stream.event(&mut stage, Event::Tick).reply().status, 503);
    let record = stream.close(&mut stage, 503).unwrap();
    assert_eq!(record["detail"], "the request body did not end in time");
}
