//! Calls with a known token and a cached delegation, N times, natively: their instructions can be
//! counted, which is repeatable on a busy machine. See `docs/performance.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::needless_pass_by_value,
    dead_code,
    missing_docs,
    reason = "a benchmark fails by panicking, and needs a part of the stage alone"
)]

#[path = "../../tests/flow/stage.rs"]
mod stage;

use mcp_deputy::request::{Headers, header_map};
use mcp_deputy::transaction::{Event, Step, Transaction};
use serde_json::json;
use stage::{Expect, Stage, call, delegation, issued, token};

/// Those of a request as Envoy shows them to the filter.
fn request_headers(token: &str) -> Vec<u8> {
    let bearer = format!("Bearer {token}");
    let headers = [
        (":authority", "gateway.example"),
        (":path", "/mcp"),
        (":method", "POST"),
        (":scheme", "http"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("accept-encoding", "gzip, deflate"),
        ("mcp-protocol-version", "2025-11-25"),
        ("user-agent", "a client of some kind"),
        ("authorization", &bearer),
        ("content-length", "300"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-envoy-external-address", "127.0.0.1"),
        ("x-request-id", "e6b1b2a0-6f4c-4d54-8b8f-6c4a5a1b2c3d"),
    ];
    serialized(&headers)
}

fn response_headers() -> Vec<u8> {
    let headers = [
        (":status", "200"),
        ("content-type", "application/json"),
        ("content-length", "120"),
        ("date", "Fri, 15 Jan 2027 08:00:00 GMT"),
        ("server", "envoy"),
    ];
    serialized(&headers)
}

/// See `header_map::read`.
fn serialized(pairs: &[(&str, &str)]) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
    let lengths = pairs.iter().flat_map(|(name, value)| [name.len(), value.len()]);
    let numbers = std::iter::once(pairs.len()).chain(lengths).flat_map(number);
    let texts =
        pairs.iter().flat_map(|(name, value)| [name.as_bytes(), b"\0", value.as_bytes(), b"\0"]);
    numbers.chain(texts.flatten().copied()).collect()
}

fn main() {
    let count: u32 = std::env::args().nth(1).map_or(1, |count| count.parse().unwrap());
    let bytes: usize = std::env::args().nth(2).map_or(300, |bytes| bytes.parse().unwrap());
    let mut stage = Stage::new();
    let token = token(json!({}));
    let (_, step) =
        stage.exchange(&token, "listAccounts", issued(&delegation("ledger:ListAccounts")));
    assert!(!step.edits().set.is_empty());
    let (sent, answered) = (request_headers(&token), response_headers());
    let text = "x".repeat(bytes.saturating_sub(call("listAccounts").len()));
    let body = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "listAccounts", "arguments": {"text": text}},
    });
    let body = body.to_string();
    for stream in 100..100 + count {
        let now = stage.now;
        let shared = &mut stage.shared;
        let mut transaction = Transaction::new(stream, now);
        let headers = header_map::read(&sent).unwrap();
        let headers = Event::RequestHeaders { headers: Headers(&headers), end_of_stream: false };
        assert!(transaction.handle(headers, shared, now).is_pause());
        let part = Event::RequestBody { length: body.len(), whole: None };
        assert!(transaction.handle(part, shared, now).is_pause());
        let whole = Event::RequestBody { length: body.len(), whole: Some(body.as_bytes()) };
        let step = transaction.handle(whole, shared, now);
        assert!(matches!(step, Step::Continue(_)), "{step:?}");
        let headers = header_map::read(&answered).unwrap();
        let headers = Event::ResponseHeaders {
            headers: Headers(&headers),
            from_server: true,
            end_of_stream: false,
        };
        let step = transaction.handle(headers, shared, now);
        assert!(matches!(step, Step::Continue(_)), "{step:?}");
        std::hint::black_box(transaction.close(200, shared, now));
    }
}
