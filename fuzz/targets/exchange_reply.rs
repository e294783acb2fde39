//! Whatever the authorization server replies: what goes up is the token it signed for this user, service and scope, or nothing.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mcp_deputy::exchange::reply::CalloutReply;
use mcp_deputy::token::danger_unverified_claims;
use mcp_deputy::transaction::{Event, Step};
use mcp_deputy_fuzz::stage::{
    self, AUDIENCE, Expect, ISSUER, SARAH, Stage, call, delegation, merge, sign,
};
use mcp_deputy_fuzz::{on_stage, parts};
use serde_json::{Value, json};

static INBOUND: LazyLock<String> = LazyLock::new(|| stage::token(json!({})));

fuzz_target!(|input: &[u8]| on_stage(|host| check(host, input)));

fn check(host: &mut Stage, input: &[u8]) {
    // Lines: the status, what is other in the token or nothing, and the reply, or what is other in it.
    let Some([status, claims, members]) = parts(input) else { return };
    let status = status.parse().ok();
    let inbound = &*INBOUND;
    let object = |text: &str| serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
    let body = match object(claims) {
        None => members.as_bytes().to_vec(),
        Some(claims) => {
            let token = sign(&merge(delegation("ledger:ListAccounts"), claims));
            let reply = json!({
                "access_token": token, "token_type": "Bearer", "expires_in": 5,
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            });
            merge(reply, object(members).unwrap_or_else(|| json!({}))).to_string().into_bytes()
        }
    };
    let (mut stream, step) = host.send(inbound, &call("listAccounts"));
    let callout = step.callout();
    let reply = CalloutReply { status, from_server: status != Some(503), body: body.clone() };
    let settled = host.settle(&callout, Ok(reply)).expect("no retries");
    let delegated = settled.result.as_ref();
    let step = stream.event(host, Event::Exchanged(delegated));
    match (delegated, step) {
        (Ok(delegated), Step::Continue(edits)) => {
            assert_eq!(status, Some(200));
            let text: Value = serde_json::from_slice(&body).expect("JSON");
            let token = delegated.token.reveal();
            assert_eq!(text["access_token"], token);
            assert_ne!(token, inbound);
            let authorization = edits.set.iter().filter(|(name, _)| *name == "authorization");
            let sent: Vec<_> = authorization.map(|(_, value)| value.as_str()).collect();
            assert_eq!(sent, [format!("Bearer {token}")]);
            let claims = danger_unverified_claims(token).expect("a token");
            assert_eq!((&claims["iss"], &claims["sub"]), (&ISSUER.into(), &SARAH.into()));
            assert_eq!(
                (&claims["act"]["sub"], &claims["scope"]),
                (&"gateway".into(), &"ledger:ListAccounts".into())
            );
            assert!(claims["aud"] == AUDIENCE || claims["aud"] == json!([AUDIENCE]));
        }
        (Err(_), Step::Reply(reply)) => {
            let text = String::from_utf8_lossy(&reply.body);
            assert!(!text.contains(inbound));
        }
        (delegated, step) => panic!("{delegated:?} {step:?}"),
    }
    let line = stream.close(host, 200).expect("one record").to_string();
    assert!(!line.contains(inbound), "no token in the record");
}
