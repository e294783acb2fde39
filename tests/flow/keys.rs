//! Keys that are fetched: when, what replaces them, and how requests wait for them.

use std::time::Duration;

use mcp_deputy::exchange::reply::CalloutReply;
use mcp_deputy::request::Headers;
use mcp_deputy::token::{Fetch, FetchError, FetchReply};
use mcp_deputy::transaction::{Event, Step};
use serde_json::{Value, json};

use super::stage::*;

/// A gateway that was pushed the key `old`, and fetches keys with these changes to how it does.
pub fn fetching(changes: Value) -> Stage {
    Stage::with(pushed(changes))
}

fn pushed(changes: Value) -> Value {
    let mut configuration = configuration();
    let remote = json!({"cluster": "keys", "authority": "login.example", "path": "/jwks"});
    configuration["issuers"][0]["remote_jwks"] = merge(remote, changes);
    configuration["issuers"][0]["jwks"] = keys(&["old"]);
    configuration
}

/// One that was pushed no key.
fn without_keys() -> Stage {
    let mut configuration = configuration();
    let remote = json!({"cluster": "keys", "authority": "login.example", "path": "/jwks"});
    configuration["issuers"][0] = json!({"issuer": ISSUER, "remote_jwks": remote});
    Stage::with(configuration)
}

/// A key set with keys of these names.
fn keys(ids: &[&str]) -> Value {
    let key = merge(KEY_SET[0].clone(), json!({"d": null}));
    json!({"keys": ids.iter().map(|id| merge(key.clone(), json!({"kid": id}))).collect::<Vec<_>>()})
}

/// A token of Sarah's that is signed with the key of this name.
fn signed(kid: &str) -> String {
    sign_under(json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid}), &inbound(json!({})))
}

/// What is fetched now.
fn due(stage: &mut Stage) -> Option<Fetch> {
    let mut fetches = stage.shared.fetches_due(stage.now);
    assert!(fetches.len() <= 1, "{fetches:?}");
    fetches.pop()
}

fn answer(
    stage: &mut Stage,
    status: &str,
    content_type: &str,
    body: &str,
) -> Result<(), FetchError> {
    let headers = [(":status", status.as_bytes()), ("content-type", content_type.as_bytes())];
    let reply = FetchReply { headers: Headers(&headers), body: body.as_bytes() };
    stage.shared.fetched(0, Ok(reply), stage.now).map(|_| ())
}

/// The key server's answer is good.
fn publish(stage: &mut Stage, ids: &[&str]) {
    answer(stage, "200", "application/jwk-set+json", &keys(ids).to_string()).unwrap();
}

/// The first fetch is done: the issuer has the key `old`, as was pushed.
fn settle_first(stage: &mut Stage) {
    assert!(due(stage).is_some());
    publish(stage, &["old"]);
}

/// What a request with this token is answered, if it is.
fn status(stage: &mut Stage, token: &str) -> Option<u16> {
    match stage.post(token, &[]) {
        (_, Step::Reply(reply)) => Some(reply.status),
        (mut stream, Step::Pause) => {
            // A caller who is known is asked what for.
            let step = stream.body(stage, b"{}");
            let known = matches!(step, Step::Reply(reply) if reply.status == 400);
            known.then_some(200)
        }
        (_, step) => panic!("{step:?}"),
    }
}

/// A POST that waits for keys.
fn waiting(stage: &mut Stage, token: &str) -> Stream {
    let (stream, step) = stage.post(token, &[]);
    assert!(step.is_pause() && stream.transaction.is_undecided(), "{step:?}");
    stream
}

/// The host gives a request again, as it is asked to.
fn again(stage: &mut Stage, stream: &mut Stream, token: &str, body: &str) -> Step {
    let step = stream.event(stage, Event::Tick);
    assert!(matches!(step, Step::Reread), "{step:?}");
    let bearer = format!("Bearer {token}");
    let headers = bytes(&[
        (":method", "POST"),
        (":path", "/mcp"),
        ("content-type", "application/json"),
        ("authorization", &bearer),
    ]);
    let body = body.as_bytes();
    stream.event(stage, Event::RequestAgain { headers: Headers(&headers), body })
}

#[test]
fn keys_are_fetched_at_once_and_then_at_intervals() {
    let mut stage = fetching(json!({"interval": "5m", "timeout": "3s"}));
    let fetch = due(&mut stage).unwrap();
    let header = |name| fetch.headers.iter().find(|(known, _)| *known == name).map(|(_, v)| &**v);
    assert_eq!(
        (&*fetch.cluster, header(":method"), header(":path"), header(":authority")),
        ("keys", Some("GET"), Some("/jwks"), Some("login.example"))
    );
    assert_eq!(fetch.timeout, Duration::from_secs(3));
    assert!(due(&mut stage).is_none(), "one at a time");
    publish(&mut stage, &["old"]);
    stage.pass(Duration::from_millis(299_999));
    assert!(due(&mut stage).is_none());
    stage.pass(Duration::from_millis(1));
    assert!(due(&mut stage).is_some());
}

#[test]
fn a_key_that_is_withdrawn_verifies_nothing_more_and_a_new_one_does() {
    let mut stage = fetching(json!({}));
    let (old, new) = (signed("old"), signed("new"));
    assert_eq!(status(&mut stage, &old), Some(200), "by the pushed key, and remembered");
    assert!(due(&mut stage).is_some());
    publish(&mut stage, &["old", "new"]);
    assert_eq!((status(&mut stage, &old), status(&mut stage, &new)), (Some(200), Some(200)));
    stage.pass(Duration::from_mins(5));
    assert!(due(&mut stage).is_some());
    publish(&mut stage, &["new"]);
    assert_eq!((status(&mut stage, &old), status(&mut stage, &new)), (Some(401), Some(200)));
}

#[test]
fn delegation_tokens_are_verified_by_the_fetched_keys() {
    let mut stage = fetching(json!({}));
    assert!(due(&mut stage).is_some());
    publish(&mut stage, &["new"]);
    let (mut stream, step) = stage.send(&signed("new"), &call("listAccounts"));
    let reply = delegated_by("new");
    let settled = stage.settle(&step.callout(), Ok(reply)).unwrap();
    let _ = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())).edits();
}

/// The exchange's reply, with a token that is signed with the key of this name.
fn delegated_by(kid: &str) -> CalloutReply {
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid});
    let token = sign_under(header, &delegation("ledger:ListAccounts"));
    let members = json!({
        "access_token": token, "token_type": "Bearer", "expires_in": 5,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    });
    reply(200, members)
}

#[test]
fn a_delegation_token_by_an_unknown_key_has_the_keys_fetched() {
    let mut stage = fetching(json!({}));
    settle_first(&mut stage);
    stage.now.monotonic += Duration::from_secs(30);
    let (mut stream, step) = stage.send(&signed("old"), &call("listAccounts"));
    let settled = stage.settle(&step.callout(), Ok(delegated_by("new"))).unwrap();
    let answer = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())).reply();
    assert_eq!(answer.status, 502);
    assert!(due(&mut stage).is_some());
}

#[test]
fn a_delegation_token_by_an_unknown_key_is_asked_for_again_when_the_keys_are_there() {
    let mut configuration = pushed(json!({}));
    configuration["exchange"]["retries"] = json!(1);
    let mut stage = Stage::with(configuration);
    settle_first(&mut stage);
    stage.now.monotonic += Duration::from_secs(30);
    let (mut stream, step) = stage.send(&signed("old"), &call("listAccounts"));
    assert!(stage.settle(&step.callout(), Ok(delegated_by("new"))).is_none(), "not the end of it");
    assert!(due(&mut stage).is_some());
    publish(&mut stage, &["old", "new"]);
    assert!(stage.due().is_empty());
    stage.now.monotonic += Duration::from_millis(500);
    let callout = stage.due().pop().unwrap();
    let settled = stage.settle(&callout, Ok(delegated_by("new"))).unwrap();
    let _ = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())).edits();
}

#[test]
fn who_names_an_unknown_key_waits_for_one_fetch_with_all_others() {
    let mut stage = fetching(json!({}));
    settle_first(&mut stage);
    stage.now.monotonic += Duration::from_secs(30);
    let token = signed("new");
    let mut streams = [(); 3].map(|()| waiting(&mut stage, &token));
    assert_eq!(status(&mut stage, &signed("old")), Some(200), "others do not wait");
    assert!(due(&mut stage).is_some());
    assert!(due(&mut stage).is_none(), "one for all");
    let [unseen, growing, whole] = &mut streams;
    let half = Event::RequestBody { length: 9, whole: None };
    assert!(growing.event(&mut stage, half).is_pause());
    let body = call("listAccounts");
    assert!(whole.body(&mut stage, body.as_bytes()).is_pause());
    for stream in [&mut *unseen, growing, whole] {
        assert!(stream.event(&mut stage, Event::Tick).is_pause(), "the keys are not there yet");
    }
    publish(&mut stage, &["old", "new"]);

    assert!(again(&mut stage, unseen, &token, "").is_pause());
    assert!(again(&mut stage, growing, &token, &body[..9]).is_pause());
    let callout = again(&mut stage, whole, &token, &body).callout();
    assert_eq!(field(&callout, "scope").as_deref(), Some("ledger:ListAccounts"));
    // The rest of the bodies is judged as if nothing had been waited for.
    for stream in [unseen, growing] {
        assert!(stream.body(&mut stage, body.as_bytes()).is_pause(), "the same exchange");
    }
    let settled = stage.settle(&callout, Ok(delegated_by("old"))).unwrap();
    assert_eq!(settled.waiting.len(), 3);
    for mut stream in streams {
        let step = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref()));
        let edits = step.edits();
        assert!(edits.set.iter().any(|(name, _)| *name == "authorization"));
        let record = stream.close(&mut stage, 200).unwrap();
        assert_eq!((&record["decision"], &record["subject"]), (&json!("allow"), &json!(SARAH)));
    }
}

#[test]
fn the_keys_are_fetched_of_the_issuer_that_the_token_names() {
    let mut configuration = pushed(json!({}));
    let mut other = configuration["issuers"][0].clone();
    other["issuer"] = json!("https://other.example");
    other["remote_jwks"]["authority"] = json!("other.example");
    configuration["issuers"].as_array_mut().unwrap().push(other);
    let mut stage = Stage::with(configuration);
    assert_eq!(stage.shared.fetches_due(stage.now).len(), 2, "at first, both");
    for place in 0..2 {
        let headers = [(":status", &b"200"[..]), ("content-type", b"application/json")];
        let body = keys(&["old"]).to_string();
        let reply = FetchReply { headers: Headers(&headers), body: body.as_bytes() };
        assert!(stage.shared.fetched(place, Ok(reply), stage.now).is_ok());
    }
    stage.now.monotonic += Duration::from_secs(30);
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "new"});
    let token = sign_under(header, &inbound(json!({"iss": "https://other.example"})));
    let _waits = waiting(&mut stage, &token);
    let fetch = due(&mut stage).unwrap();
    let authority = fetch.headers.iter().find(|(name, _)| *name == ":authority").unwrap();
    assert_eq!((fetch.place, &*authority.1), (1, "other.example"));
}

#[test]
fn a_key_that_the_issuer_does_not_have_is_401_after_one_fetch() {
    let mut stage = fetching(json!({"cooldown": "30s"}));
    settle_first(&mut stage);
    let token = signed("new");
    for _ in 0..3 {
        // The last fetch said it, and the next one is not allowed yet.
        stage.pass(Duration::from_millis(9_999));
        assert_eq!(status(&mut stage, &token), Some(401));
        assert!(due(&mut stage).is_none());
    }
    stage.pass(Duration::from_millis(3));
    let mut stream = waiting(&mut stage, &token);
    assert!(due(&mut stage).is_some());
    publish(&mut stage, &["old"]);
    let reply = again(&mut stage, &mut stream, &token, "").reply();
    assert_eq!(reply.status, 401);
    assert!(header(&reply, "www-authenticate").unwrap().contains("invalid_token"));
    let record = stream.close(&mut stage, 401).unwrap();
    assert_eq!((&record["reason"], &record["subject"]), (&json!("unknown_key"), &Value::Null));
    assert_eq!(status(&mut stage, &token), Some(401));
}

#[test]
fn nothing_is_fetched_for_a_token_that_no_key_could_save() {
    let mut stage = fetching(json!({}));
    settle_first(&mut stage);
    stage.pass(Duration::from_mins(1));
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "new"});
    for (header, claims) in [
        (header.clone(), json!({"iss": "https://other.example"})),
        (header.clone(), json!({"aud": "https://other.example/"})),
        (header.clone(), json!({"exp": NOW - 60})),
        (header.clone(), json!({"iat": NOW + 600, "exp": NOW + 900})),
        (header.clone(), json!({"sub": null})),
        (merge(header.clone(), json!({"typ": "JWT"})), json!({})),
        (merge(header.clone(), json!({"alg": "none"})), json!({})),
        (merge(header.clone(), json!({"kid": "x".repeat(257)})), json!({})),
        (merge(header, json!({"kid": 1})), json!({})),
    ] {
        let token = sign_under(header.clone(), &inbound(claims.clone()));
        assert_eq!(status(&mut stage, &token), Some(401), "{header} {claims}");
    }
    let forged = signed("old");
    let forged = format!("{}AAAA", &forged[..forged.len() - 4]);
    assert_eq!(status(&mut stage, &forged), Some(401), "a known key, another signature");
    assert!(due(&mut stage).is_none());
}

#[test]
fn no_bad_answer_replaces_good_keys() {
    let good = keys(&["new"]).to_string();
    let many = keys(&["k"; 101]).to_string();
    let twice = keys(&["new", "new"]).to_string();
    let oct = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "new"}]}).to_string();
    let private = json!({"keys": [merge(KEY_SET[0].clone(), json!({"kid": "new"}))]}).to_string();
    let encrypts = good.replace("\"kid\"", "\"use\":\"enc\",\"kid\"");
    let member_twice = good.replace("\"keys\"", "\"keys\":[],\"keys\"");
    let large = format!("{good}{}", " ".repeat(256 * 1024));
    let json = "application/json";
    for (status_line, content_type, body) in [
        ("500", json, &*good),
        ("503", json, &good),
        ("504", "text/plain", "upstream request timeout"),
        ("404", json, &good),
        ("302", json, &good),
        ("304", json, ""),
        ("204", json, ""),
        ("", json, ""),
        ("200", "text/html", &good),
        ("200", "text/html", "<html>maintenance</html>"),
        ("200", "", &good),
        ("200", json, ""),
        ("200", json, "<html>"),
        ("200", json, "[]"),
        ("200", json, "{\"keys\":[]}"),
        ("200", json, "{\"keys\":{}}"),
        ("200", json, &good[..good.len() - 1]),
        ("200", json, &many),
        ("200", json, &twice),
        ("200", json, &oct),
        ("200", json, &private),
        ("200", json, &encrypts),
        ("200", json, &member_twice),
        ("200", json, &large),
    ] {
        let mut stage = fetching(json!({}));
        assert!(due(&mut stage).is_some());
        let result = answer(&mut stage, status_line, content_type, body);
        let error = result.expect_err(body).to_string();
        assert!(!error.contains(body) || body.is_empty(), "{error}");
        assert_eq!(status(&mut stage, &signed("old")), Some(200), "{status_line} {body}");
        // It could be the issuer's: nobody can say.
        assert_eq!(status(&mut stage, &signed("new")), Some(503), "{status_line} {body}");
    }
}

#[test]
fn one_bad_key_does_not_spoil_the_others() {
    let mut stage = fetching(json!({}));
    assert!(due(&mut stage).is_some());
    let mut set = keys(&["new", "twice", "twice"]);
    set["keys"].as_array_mut().unwrap().push(json!({"kty": "oct", "k": "c2VjcmV0", "kid": "x"}));
    answer(&mut stage, "200", "application/json; charset=utf-8", &set.to_string()).unwrap();
    assert_eq!(status(&mut stage, &signed("new")), Some(200));
    assert_eq!(status(&mut stage, &signed("twice")), Some(401));
}

#[test]
fn an_outage_is_survived_and_asked_about_ever_less() {
    let mut stage = fetching(json!({"interval": "1h"}));
    assert!(due(&mut stage).is_some());
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        stage.shared.fetched(0, Err(FetchError::Unreachable), stage.now).unwrap_err();
        stage.pass(Duration::from_millis(pause * 1_000 - 1));
        assert!(due(&mut stage).is_none(), "{pause}");
        stage.pass(Duration::from_millis(1));
        assert!(due(&mut stage).is_some(), "{pause}");
    }
    assert_eq!(status(&mut stage, &signed("old")), Some(200));
    publish(&mut stage, &["new"]);
    assert_eq!(status(&mut stage, &signed("new")), Some(200));
    assert_eq!(status(&mut stage, &signed("old")), Some(401), "the issuer could be asked");
}

#[test]
fn in_an_outage_known_keys_serve_and_unknown_ones_are_503() {
    let mut stage = fetching(json!({}));
    settle_first(&mut stage);
    stage.pass(Duration::from_mins(5));
    assert!(due(&mut stage).is_some());
    let mut stream = waiting(&mut stage, &signed("new"));
    stage.shared.fetched(0, Err(FetchError::NoAnswer), stage.now).unwrap_err();
    let reply = again(&mut stage, &mut stream, &signed("new"), "").reply();
    assert_eq!((reply.status, header(&reply, "retry-after")), (503, Some("1")));
    assert_eq!(header(&reply, "www-authenticate"), None);
    let record = stream.close(&mut stage, 503).unwrap();
    assert_eq!(
        (&record["decision"], &record["reason"]),
        (&json!("refuse"), &json!("keys_unavailable"))
    );
    let page = include_str!("../../docs/failures.md");
    assert!(page.contains("| `keys_unavailable` | 503 |"));
    assert_eq!(status(&mut stage, &signed("new")), Some(503), "at once");
    assert_eq!(status(&mut stage, &signed("old")), Some(200));
}

#[test]
fn without_keys_requests_wait_for_the_first_fetch() {
    let mut stage = without_keys();
    let mut stream = waiting(&mut stage, &signed("new"));
    assert!(due(&mut stage).is_some());
    publish(&mut stage, &["new"]);
    assert!(again(&mut stage, &mut stream, &signed("new"), "").is_pause());
    assert_eq!(status(&mut stage, &signed("new")), Some(200));
}

#[test]
fn without_keys_and_without_an_answer_nobody_is_told_that_the_token_is_bad() {
    let mut stage = without_keys();
    let mut stream = waiting(&mut stage, &signed("new"));
    assert!(due(&mut stage).is_some());
    answer(&mut stage, "500", "application/json", "{}").unwrap_err();
    assert_eq!(again(&mut stage, &mut stream, &signed("new"), "").reply().status, 503);
    assert_eq!(status(&mut stage, &signed("new")), Some(503));
    stage.pass(Duration::from_secs(1));
    assert!(due(&mut stage).is_some(), "asked again soon");
    publish(&mut stage, &["new"]);
    assert_eq!(status(&mut stage, &signed("new")), Some(200));
}

#[test]
fn keys_that_could_not_be_confirmed_in_time_verify_nothing() {
    let mut stage = fetching(json!({"interval": "1m", "max_stale": "5m"}));
    settle_first(&mut stage);
    stage.pass(Duration::from_secs(299));
    assert!(due(&mut stage).is_some());
    stage.shared.fetched(0, Err(FetchError::NoAnswer), stage.now).unwrap_err();
    assert_eq!(status(&mut stage, &signed("old")), Some(200));
    stage.pass(Duration::from_secs(1));
    let _ = due(&mut stage);
    stage.shared.fetched(0, Err(FetchError::NoAnswer), stage.now).unwrap_err();
    assert_eq!(status(&mut stage, &signed("old")), Some(503), "not even who was verified before");
    stage.pass(Duration::from_mins(1));
    assert!(due(&mut stage).is_some());
    publish(&mut stage, &["old"]);
    assert_eq!(
        status(&mut stage, &signed("old")),
        Some(200),
        "the same answer as the last good one"
    );
}

#[test]
fn a_fetch_that_is_never_settled_holds_up_no_other() {
    let mut stage = fetching(json!({"timeout": "2s"}));
    assert!(due(&mut stage).is_some());
    stage.pass(Duration::from_millis(2_999));
    assert!(due(&mut stage).is_none());
    stage.pass(Duration::from_millis(1));
    assert!(due(&mut stage).is_none(), "it has failed, and there is a pause");
    stage.pass(Duration::from_secs(1));
    assert!(due(&mut stage).is_some());
}

#[test]
fn what_waits_for_keys_holds_no_more_than_a_body_may_be() {
    let mut stage = fetching(json!({}));
    let mut stream = waiting(&mut stage, &signed("new"));
    let more = Event::RequestBody { length: 1_048_577, whole: None };
    assert_eq!(stream.event(&mut stage, more).reply().status, 413);
}

#[test]
fn a_body_that_must_not_be_there_is_refused_after_the_wait_too() {
    for (method, seen, held, status) in [
        ("GET", "abc", "abc", 400),
        ("DELETE", "abc", "abc", 400),
        ("DELETE", "", "", 200),
        // What the host shows is not what it has shown.
        ("DELETE", "abc", "", 500),
        ("DELETE", "", "abc", 500),
    ] {
        let mut stage = fetching(json!({}));
        let token = signed("new");
        let (mut stream, step) = stage.post(&token, &[(":method", method), ("content-type", "")]);
        assert!(step.is_pause());
        assert!(stream.body(&mut stage, seen.as_bytes()).is_pause());
        assert!(due(&mut stage).is_some());
        publish(&mut stage, &["new"]);
        assert!(matches!(stream.event(&mut stage, Event::Tick), Step::Reread));
        let bearer = format!("Bearer {token}");
        let headers = bytes(&[(":method", method), (":path", "/mcp"), ("authorization", &bearer)]);
        let event = Event::RequestAgain { headers: Headers(&headers), body: held.as_bytes() };
        match stream.event(&mut stage, event) {
            Step::Reply(reply) => assert_eq!(reply.status, status, "{method}"),
            step => {
                let _ = step.callout();
                assert_eq!(status, 200, "{method}");
            }
        }
    }
}
