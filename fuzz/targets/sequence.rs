//! Whatever comes in whatever order, on several streams at once: nothing goes up without a permit or under the client's token,
//! each client is answered once at most, and each transaction leaves one record.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use mcp_deputy::exchange::Callout;
use mcp_deputy::exchange::reply::{CalloutReply, ExchangeError};
use mcp_deputy::token::danger_unverified_claims;
use mcp_deputy::transaction::{Event, Step};
use mcp_deputy::upstream::Edits;
use mcp_deputy_fuzz::on_stage;
use mcp_deputy_fuzz::stage::{
    NOW, SARAH, Stage, Stream, call, delegation, field, issued, merge, reply, token,
};
use serde_json::{Value, json};

const JOHN: &str = "john.mcclane@orchestrator.lab";

#[derive(Arbitrary, Debug)]
enum Move {
    Begin,
    Headers { stream: u8, method: u8, path: u8, token: u8, end: bool },
    Body { stream: u8, message: u8, whole: bool },
    Settle { callout: u8, outcome: Outcome },
    Due,
    Pass { milliseconds: u16 },
    Tick { stream: u8 },
    Response { stream: u8, status: u8, media: u8 },
    Chunk { stream: u8, text: u8, end: bool },
    Close { stream: u8 },
}

#[derive(Arbitrary, Debug)]
enum Outcome {
    Issued,
    ForAnother,
    TheCallersOwn,
    Error(u8),
    Nothing,
}

/// Whose, and whether it is good for anything.
static TOKENS: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    vec![
        (SARAH, token(json!({}))),
        (SARAH, token(json!({"scope": "mcp:connect pii:read", "jti": "second"}))),
        (JOHN, token(json!({"sub": JOHN, "jti": "third"}))),
        ("", token(json!({"exp": NOW - 10, "iat": NOW - 20}))),
        ("", token(json!({"aud": "https://elsewhere.example/"}))),
        (SARAH, token(json!({"exp": NOW + 3, "jti": "short"}))),
        ("", "garbage".to_owned()),
    ]
});

/// What is asked, and the one scope under which it may go up.
static MESSAGES: LazyLock<Vec<(String, &str)>> = LazyLock::new(|| {
    let message = |method: &str| json!({"jsonrpc": "2.0", "id": 1, "method": method}).to_string();
    vec![
        (call("listAccounts"), "ledger:ListAccounts"),
        (call("getCustomerPII"), "ledger:ReadPII"),
        (call("secretTool"), "ledger:ReadPII"),
        (call("unknown"), ""),
        (message("tools/list"), "ledger:Connect"),
        (message("ping"), "ledger:Connect"),
        ("{".to_owned(), ""),
        (String::new(), "ledger:Connect"),
    ]
});

const METHODS: [&str; 5] = ["POST", "GET", "DELETE", "OPTIONS", "PUT"];
const PATHS: [&str; 6] =
    ["/mcp", "/mcp/open", "/health", "/MCP", "/.well-known/oauth-protected-resource/mcp", "/"];
const STATUSES: [&str; 6] = ["200", "202", "401", "404", "302", "500"];
const MEDIA: [&str; 3] = ["application/json", "text/event-stream", "text/html"];
const CHUNKS: [&str; 4] = [
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":\"secretTool\"},{\"name\":\"listAccounts\"}]}}",
    "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":\"secretTool\"}]}}\n\n",
    "da",
    "",
];

fn pick<T>(list: &[T], at: u8) -> &T {
    &list[usize::from(at) % list.len()]
}

/// One stream, and what its host has seen of it.
struct Live {
    stream: Stream,
    subject: &'static str,
    path: &'static str,
    has_headers: bool,
    /// The scope of what it asks for, once its body is whole.
    scope: Option<&'static str>,
    /// Whether the host has kept the order that it is to keep.
    is_orderly: bool,
    went_up: bool,
    has_response: bool,
    replies: usize,
    /// What of filtered answers has passed to the client.
    passed: Vec<u8>,
}

struct World<'a> {
    stage: &'a mut Stage,
    live: Vec<Live>,
    callouts: Vec<Callout>,
}

fuzz_target!(|moves: Vec<Move>| {
    on_stage(|stage| {
        let mut world = World { stage, live: Vec::new(), callouts: Vec::new() };
        for next in moves.into_iter().take(60) {
            world.make(&next);
        }
        while !world.live.is_empty() {
            world.close(0);
        }
    });
});

impl World<'_> {
    fn make(&mut self, next: &Move) {
        if let Move::Begin = next {
            let stream = self.stage.begin();
            let live = Live {
                stream,
                subject: "",
                path: "",
                has_headers: false,
                scope: None,
                is_orderly: true,
                went_up: false,
                has_response: false,
                replies: 0,
                passed: Vec::new(),
            };
            return if self.live.len() < 4 {
                self.live.push(live)
            };
        }
        match *next {
            Move::Begin => {}
            Move::Due => {
                let due = self.stage.due();
                self.callouts.extend(due);
            }
            Move::Pass { milliseconds } => {
                self.stage.pass(Duration::from_millis(milliseconds.into()))
            }
            Move::Settle { callout, ref outcome } => self.settle(callout, outcome),
            Move::Headers { stream, .. }
            | Move::Body { stream, .. }
            | Move::Tick { stream }
            | Move::Response { stream, .. }
            | Move::Chunk { stream, .. }
            | Move::Close { stream } => {
                if self.live.is_empty() {
                    return;
                }
                let at = usize::from(stream) % self.live.len();
                if let Move::Close { .. } = next { self.close(at) } else { self.happen(at, next) }
            }
        }
    }

    fn happen(&mut self, at: usize, next: &Move) {
        let Self { stage, live, .. } = self;
        let one = &mut live[at];
        let is_request = matches!(next, Move::Headers { .. } | Move::Body { .. });
        let step = match *next {
            Move::Headers { method, path, token, end, .. } => {
                one.is_orderly &= !one.has_headers;
                let (method, path, (subject, token)) =
                    (*pick(&METHODS, method), *pick(&PATHS, path), pick(&TOKENS, token));
                if !one.has_headers {
                    (one.subject, one.path, one.scope) =
                        (subject, path, (method != "POST").then_some("ledger:Connect"));
                }
                one.has_headers = true;
                let bearer = format!("Bearer {token}");
                let headers = [
                    (":method", method),
                    (":path", path),
                    (":authority", "gateway.example"),
                    ("content-type", "application/json"),
                    ("authorization", &bearer),
                ];
                one.stream.headers(stage, &headers, end)
            }
            Move::Body { message, whole, .. } => {
                one.is_orderly &= one.has_headers;
                let (text, scope) = pick(&MESSAGES, message);
                let text = text.as_bytes();
                if whole && one.stream.transaction.is_undecided() {
                    one.scope = one.scope.or(Some(scope));
                }
                one.stream.event(
                    stage,
                    Event::RequestBody { length: text.len(), whole: whole.then_some(text) },
                )
            }
            Move::Tick { .. } => one.stream.event(stage, Event::Tick),
            Move::Response { status, media, .. } => {
                one.is_orderly &= one.went_up && one.replies == 0 && !one.has_response;
                one.has_response = true;
                if one.has_headers && !one.went_up {
                    // The host itself answers.
                    one.replies += 1;
                }
                one.stream.response(
                    stage,
                    &[
                        (":status", *pick(&STATUSES, status)),
                        ("content-type", *pick(&MEDIA, media)),
                    ],
                )
            }
            Move::Chunk { text, end, .. } => {
                // Only a filtered answer is shown.
                one.is_orderly = false;
                one.stream.chunk(stage, pick(&CHUNKS, text).as_bytes(), end)
            }
            _ => return,
        };
        self.take(at, step, is_request);
    }

    fn settle(&mut self, callout: u8, outcome: &Outcome) {
        if self.callouts.is_empty() {
            return;
        }
        let callout = self.callouts.swap_remove(usize::from(callout) % self.callouts.len());
        let subject_token = field(&callout, "subject_token").expect("a subject token");
        let subject = danger_unverified_claims(&subject_token).expect("a token")["sub"].clone();
        let minted = |subject: Value| {
            issued(&merge(
                delegation(&field(&callout, "scope").expect("a scope")),
                json!({"sub": subject, "iat": self.stage.now.unix_seconds(), "exp": self.stage.now.unix_seconds() + 5}),
            ))
        };
        let result: Result<CalloutReply, ExchangeError> = match outcome {
            Outcome::Issued => Ok(minted(subject)),
            Outcome::ForAnother => Ok(minted(json!("somebody.else"))),
            Outcome::TheCallersOwn => Ok(reply(
                200,
                json!({"access_token": subject_token, "token_type": "Bearer", "expires_in": 5, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}),
            )),
            Outcome::Error(at) => Ok(reply(
                400,
                json!({"error": pick(&["invalid_grant", "access_denied", "invalid_client", "x"], *at)}),
            )),
            Outcome::Nothing => Err(ExchangeError::NoAnswer),
        };
        let Some(settled) = self.stage.settle(&callout, result) else { return };
        for id in settled.waiting {
            let at =
                self.live.iter().position(|one| one.stream.id == id).expect("who waits is there");
            let one = &mut self.live[at];
            assert!(one.stream.transaction.is_undecided(), "who waits is undecided");
            let step = one.stream.event(self.stage, Event::Exchanged(settled.result.as_ref()));
            assert!(!matches!(step, Step::Pause | Step::Call(_)), "who waited is answered");
            self.take(at, step, true);
        }
    }

    /// What the host is told, of the request or of what comes later.
    fn take(&mut self, at: usize, step: Step, is_request: bool) {
        let one = &mut self.live[at];
        match step {
            Step::Call(callout) => {
                assert!(is_request && !one.went_up && one.replies == 0);
                self.callouts.push(callout);
            }
            Step::Reply(reply) => {
                one.replies += 1;
                assert!(one.replies == 1 || !one.is_orderly, "answered twice");
                let text = format!("{:?} {}", reply.headers, String::from_utf8_lossy(&reply.body));
                assert_secret(&text);
            }
            Step::Continue(edits)
                if is_request && one.has_headers && !one.went_up && one.replies == 0 =>
            {
                if one.stream.transaction.is_ignored() {
                    assert_eq!((one.path, edits), ("/health", Edits::default()));
                } else {
                    assert_goes_up(one, &edits);
                    one.went_up = true;
                }
            }
            Step::Continue(edits) if is_request => {
                assert_eq!(edits, Edits::default(), "nothing more is changed");
            }
            Step::Continue(edits) | Step::Filter { edits, .. } => {
                assert_secret(&format!("{edits:?}"))
            }
            Step::Replace(text) => {
                one.passed.extend(text);
                assert!(!shows_secret_tool(&one.passed) || one.subject != JOHN);
            }
            Step::Reread => panic!("no keys are fetched here"),
            Step::Pause | Step::Reset => {}
        }
    }

    fn close(&mut self, at: usize) {
        let Live { stream, has_headers, went_up, path, .. } = self.live.swap_remove(at);
        let is_ignored = stream.transaction.is_ignored();
        let record = stream.close(self.stage, 200);
        if has_headers {
            assert_eq!(record.is_some(), !is_ignored, "one record of {path}");
        }
        let Some(record) = record else { return };
        assert_secret(&record.to_string());
        let decision = &record["decision"];
        assert!(
            !went_up || record["rule"].is_string(),
            "what went up was allowed by a rule: {record}"
        );
        assert!(went_up || decision != "allow" || record["delegation"].is_null(), "{record}");
    }
}

/// A stream goes up under a delegation token of its user for the one scope, or without any where the policy says so.
fn assert_goes_up(one: &Live, edits: &Edits) {
    assert!(!one.subject.is_empty(), "nobody asks");
    let sent: Vec<&String> = edits
        .set
        .iter()
        .filter(|(name, _)| *name == "authorization")
        .map(|(_, value)| value)
        .collect();
    if one.path == "/mcp/open" {
        assert!(sent.is_empty() && edits.remove.iter().any(|name| name == "authorization"));
        return;
    }
    assert_eq!((one.path, sent.len()), ("/mcp", 1));
    assert_secret(&format!("{:?}", edits.set));
    let token = sent[0].strip_prefix("Bearer ").expect("a bearer token");
    let claims = danger_unverified_claims(token).expect("a token");
    assert_eq!((claims["sub"].as_str(), claims["scope"].as_str()), (Some(one.subject), one.scope));
    assert_eq!(claims["act"], json!({"sub": "gateway"}));
}

/// Whether a reader of events or of JSON sees it. A cut in a line can make another field of it, such as `dada`, which every
/// reader of events ignores.
fn shows_secret_tool(passed: &[u8]) -> bool {
    let text = String::from_utf8_lossy(passed);
    let names = |text: &str| text.contains("secretTool");
    text.lines().any(|line| line.starts_with("data:") && names(line))
        || names(&text) && serde_json::from_str::<Value>(&text).is_ok()
}

/// Holds no token of a client's.
fn assert_secret(text: &str) {
    assert!(TOKENS.iter().all(|(_, token)| token == "garbage" || !text.contains(token)), "{text}");
}
