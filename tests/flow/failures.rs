//! `docs/failures.md` says of every failure of an exchange what is answered.

use mcp_deputy::exchange::reply::ExchangeError;
use mcp_deputy::token::TokenError;
use mcp_deputy::transaction::Event;
use serde_json::json;

use super::stage::*;

const PAGE: &str = include_str!("../../docs/failures.md");

/// All errors there are.
fn errors() -> Vec<ExchangeError> {
    use ExchangeError::*;
    vec![
        Unreachable,
        NoAnswer,
        Unavailable,
        SubjectRejected,
        ClaimsRequired("e30=".into()),
        SubjectExpires,
        Denied,
        MayNotAct,
        ClientRejected,
        BadReply("not JSON"),
        BadToken(TokenError::NotCompact),
    ]
}

/// A new one does not compile until it has a place here.
fn place(error: &ExchangeError) -> usize {
    use ExchangeError::*;
    match error {
        Unreachable => 0,
        NoAnswer => 1,
        Unavailable => 2,
        SubjectRejected => 3,
        ClaimsRequired(_) => 4,
        SubjectExpires => 5,
        Denied => 6,
        MayNotAct => 7,
        ClientRejected => 8,
        BadReply(_) => 9,
        BadToken(_) => 10,
    }
}

#[test]
fn the_page_has_the_answer_to_every_failure() {
    assert!(errors().iter().map(place).eq(0..11), "an error is missing here");
    for error in errors() {
        let mut stage = Stage::new();
        let (mut stream, step) = stage.send(&token(json!({})), &call("listAccounts"));
        let settled = stage.settle(&step.callout(), Err(error)).unwrap();
        let answer = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())).reply();
        let record = stream.close(&mut stage, answer.status).unwrap();
        let row = format!("| `{}` | {} |", record["reason"].as_str().unwrap(), answer.status);
        assert!(PAGE.contains(&row), "no row begins with {row}");
        let retry = header(&answer, "retry-after");
        assert_eq!(retry, (answer.status == 503).then_some("1"), "{row}");
    }
}

/// The texts between `before` and a quotation mark.
fn texts<'a>(source: &'a str, before: &str) -> Vec<&'a str> {
    source.split(before).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn the_page_has_every_detail() {
    let reply = include_str!("../../src/exchange/reply.rs");
    let mut details = texts(reply, "BadReply(\"");
    details.extend(texts(reply, "bad(\""));
    assert!(details.len() > 20, "they are written otherwise now: {details:?}");
    // What is revoked is a matter of callers' tokens alone.
    let of_tokens =
        super::tokens::errors().into_iter().filter(|error| *error != TokenError::Revoked);
    details.extend(of_tokens.map(|error| error.reason()));
    for detail in details {
        assert!(PAGE.contains(&format!("`{detail}`")), "{detail}");
    }
}
