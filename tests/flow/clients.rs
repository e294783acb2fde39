//! This gateway as a client of an authorization server: how it authenticates, the token by which it
//! acts, and what is different for one audience.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{Algorithm, AlgorithmSignature, alg::Ed25519, alg::Es256};
use mcp_deputy::exchange::client::{NoSigner, Signer};
use mcp_deputy::exchange::reply::ExchangeError;
use mcp_deputy::exchange::{Callout, Purpose};
use mcp_deputy::transaction::{Event, Step};
use serde_json::{Value, json};

use super::stage::*;

const SCOPE: &str = "ledger:ListAccounts";

fn authorization(callout: &Callout) -> Option<&str> {
    callout.headers.iter().find(|(name, _)| *name == "authorization").map(|(_, value)| &**value)
}

/// The request for a delegation token, where this gateway authenticates so.
fn authenticated(authentication: Value) -> Callout {
    let mut stage =
        Stage::exchanging(json!({"client_authentication": authentication, "client_id": "id: 1%"}));
    stage.send(&token(json!({})), &call("listAccounts")).1.callout()
}

/// The form's parameters that say who asks.
fn credentials(callout: &Callout) -> Vec<(String, String)> {
    form(callout).into_iter().filter(|(name, _)| name.starts_with("client_")).collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn credentials_are_sent_in_one_way_alone() {
    let injected = authenticated(json!("injected"));
    assert_eq!((credentials(&injected), authorization(&injected)), (vec![], None));

    for named in ["mtls", "none"] {
        let named = authenticated(json!(named));
        let expected = vec![pair("client_id", "id: 1%")];
        assert_eq!((credentials(&named), authorization(&named)), (expected, None));
    }

    let post = authenticated(json!({"client_secret_post": {"from_environment": "SECRET"}}));
    let expected = vec![pair("client_id", "id: 1%"), pair("client_secret", "two words: 100% ü")];
    assert_eq!((credentials(&post), authorization(&post)), (expected, None));

    let basic = authenticated(json!({"client_secret_basic": {"from_environment": "SECRET"}}));
    assert_eq!(credentials(&basic), []);
    let encoded = authorization(&basic).unwrap().strip_prefix("Basic ").unwrap();
    // RFC 6749 section 2.3.1: so that the first colon parts them.
    let expected = "id%3A+1%25:two+words%3A+100%25+%C3%BC";
    assert_eq!(STANDARD.decode(encoded).unwrap(), expected.as_bytes());
}

/// The header and the claims of the assertion in a token request, whose signature is right.
fn assertion(callout: &Callout) -> (Value, Value) {
    assert_eq!(
        field(callout, "client_assertion_type").as_deref(),
        Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
    let assertion = field(callout, "client_assertion").unwrap();
    let (input, signature) = assertion.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let decode = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (header, claims) = input.split_once('.').unwrap();
    let header = decode(header);
    let public = |key: &Value| merge(key.clone(), json!({"d": null})).to_string();
    let verifies = match header["alg"].as_str().unwrap() {
        "EdDSA" | "Ed25519" => verifies(&Ed25519, &public(&KEY_SET[0]), input, &signature),
        "ES256" => verifies(&Es256, &public(&KEY_SET[1]), input, &signature),
        "RS256" => FakeSigner.sign_rs256(PEM, input.as_bytes()) == Some(signature),
        other => panic!("{other}"),
    };
    assert!(verifies);
    (header, decode(claims))
}

fn verifies<A: Algorithm>(algorithm: &A, jwk: &str, input: &str, signature: &[u8]) -> bool
where
    A::VerifyingKey: for<'a> TryFrom<&'a JsonWebKey<'a>>,
{
    let jwk: JsonWebKey<'_> = serde_json::from_str(jwk).unwrap();
    let Ok(key) = A::VerifyingKey::try_from(&jwk) else { panic!("no key") };
    let signature = A::Signature::try_from_slice(signature).unwrap();
    algorithm.verify_signature(&signature, &key, input.as_bytes())
}

#[test]
fn an_assertion_is_signed_for_each_request() {
    for (variable, key_id, header) in [
        ("ED25519", None, json!({"alg": "EdDSA", "typ": "JWT", "kid": "ed"})),
        ("ED25519", Some("mine"), json!({"alg": "EdDSA", "typ": "JWT", "kid": "mine"})),
        ("ED25519_ALG", None, json!({"alg": "Ed25519", "typ": "JWT"})),
        ("P256", None, json!({"alg": "ES256", "typ": "JWT"})),
        ("RSA", Some("mine"), json!({"alg": "RS256", "typ": "JWT", "kid": "mine"})),
    ] {
        let key = json!({"from_environment": variable, "audience": ISSUER});
        let key = merge(key, json!({ "key_id": key_id }));
        let callout = authenticated(json!({"private_key_jwt": key}));
        let (sent, claims) = assertion(&callout);
        assert_eq!((sent, authorization(&callout)), (header, None));
        let expected = json!({
            "iss": "id: 1%", "sub": "id: 1%", "aud": ISSUER, "iat": NOW, "exp": NOW + 60,
            "jti": claims["jti"],
        });
        assert_eq!(claims, expected);
    }
}

#[test]
fn a_key_by_which_the_host_cannot_sign_is_known_before_it_is_used() {
    let can_sign = |variable: &str, signer: &dyn Signer| {
        let key = json!({"from_environment": variable, "audience": ISSUER});
        let authentication = json!({"client_authentication": {"private_key_jwt": key}});
        Stage::exchanging(authentication).shared.config.exchange.can_sign(signer)
    };
    assert!(can_sign("RSA", &FakeSigner) && can_sign("P256", &NoSigner));
    assert!(!can_sign("RSA", &NoSigner));
    assert!(!can_sign("RSA", &ShortSigner), "by a short key, or one of another type");
}

#[derive(Debug)]
struct ShortSigner;

impl Signer for ShortSigner {
    fn sign_rs256(&self, _: &str, _: &[u8]) -> Option<Vec<u8>> {
        Some(vec![0; 255])
    }
}

/// Many may go out at one moment: at a tick, all who waited for the gateway's own token.
#[test]
fn no_two_assertions_have_the_same_id() {
    let mut stage = Stage::exchanging(json!({
        "client_authentication": {
            "private_key_jwt": {"from_environment": "P256", "audience": ISSUER},
        },
        "actor_token": {"client_credentials": {}},
    }));
    let held = token(json!({}));
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize"}).to_string();
    for message in [call("listAccounts"), initialize] {
        assert!(stage.send(&held, &message).1.is_pause());
    }
    let mut sent = stage.due();
    assert!(stage.settle(&sent[0], Ok(reply(200, own_token("mine", 60)))).is_none());
    sent.extend(stage.due());
    assert_eq!(sent.len(), 3, "the gateway's own, and two for those who wait");
    let ids: BTreeSet<String> =
        sent.iter().map(|callout| assertion(callout).1["jti"].to_string()).collect();
    assert_eq!(ids.len(), sent.len());
}

#[test]
fn what_a_server_wants_besides_is_sent() {
    let inbound = token(json!({}));
    let sent = |changes: Value| {
        let callout = Stage::exchanging(changes).send(&inbound, &call("listAccounts")).1.callout();
        form(&callout)
    };
    let values = |form: &[(String, String)], name: &str| -> Vec<String> {
        let named = form.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.clone()).collect()
    };
    for (target, audience, resource) in
        [("audience", 1, 0), ("resource", 0, 1), ("both", 1, 1), ("none", 0, 0)]
    {
        let form = sent(json!({"target": target}));
        for (name, count) in [("audience", audience), ("resource", resource)] {
            assert_eq!(values(&form, name), vec![AUDIENCE; count], "{target}");
        }
    }
    let form = sent(json!({
        "scope": "{audience}{scope} {client_id}", "client_id": "id",
        "parameters": {"connector_id": "a&b"}, "actor_token": "subject_token",
        "subject_token_type": "id_token", "requested_token_type": "omitted",
    }));
    for (name, expected) in [
        ("scope", "https://ledger.example/ledger:ListAccounts id"),
        ("connector_id", "a&b"),
        ("actor_token", &inbound),
        ("actor_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
    ] {
        assert_eq!(values(&form, name), [expected], "{name}");
    }
    assert!(values(&form, "requested_token_type").is_empty());
}

/// RFC 8693 section 2.1: it says what `actor_token` is, whatever `subject_token` is.
#[test]
fn the_type_of_the_actors_token_is_its_own() {
    let given = json!({"from_environment": "ACTOR_TOKEN"});
    for (actor, subject, written, expected) in [
        (json!("subject_token"), "access_token", None, "access_token"),
        (json!("subject_token"), "jwt", None, "jwt"),
        (json!("subject_token"), "jwt", Some("access_token"), "access_token"),
        (json!({"client_credentials": {}}), "jwt", None, "access_token"),
        (given.clone(), "id_token", None, "access_token"),
        (given.clone(), "access_token", Some("jwt"), "jwt"),
        (given, "access_token", Some("id_token"), "id_token"),
    ] {
        let mut stage = Stage::exchanging(json!({
            "actor_token": actor, "subject_token_type": subject, "actor_token_type": written,
        }));
        let (_, step) = stage.send(&token(json!({})), &call("listAccounts"));
        let callout = exchange_callout(&mut stage, step);
        let urn = |name: &str| Some(format!("urn:ietf:params:oauth:token-type:{name}"));
        let types = ["actor_token_type", "subject_token_type"].map(|name| field(&callout, name));
        assert_eq!(types, [urn(expected), urn(subject)], "{actor}");
    }
    let mut stage = Stage::exchanging(json!({"actor_token_type": "jwt"}));
    let (_, step) = stage.send(&token(json!({})), &call("listAccounts"));
    assert_eq!(field(&step.callout(), "actor_token_type"), None, "there is no actor's token");
}

#[test]
fn what_is_not_verified_is_said_to_be_dangerous_and_all_else_is_still_checked() {
    let unsigned = |changes: Value| {
        let token = sign(&merge(delegation(SCOPE), changes));
        format!("{}.{}", token.rsplit_once('.').unwrap().0, URL_SAFE_NO_PAD.encode([0; 64]))
    };
    let outcome = |verify: &str, token: String, changes: Value| {
        let issued = json!({
            "access_token": token, "token_type": "Bearer", "expires_in": 5, "scope": SCOPE,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        });
        let mut stage = Stage::exchanging(json!({"verify": verify}));
        let reply = reply(200, merge(issued, changes));
        stage.exchange(&self::token(json!({})), "listAccounts", reply).1
    };
    let opaque = || "opaque".to_owned();
    for (verify, token, changes, is_accepted) in [
        ("signature", unsigned(json!({})), json!({}), false),
        ("danger_claims_alone", unsigned(json!({})), json!({}), true),
        ("danger_claims_alone", unsigned(json!({"sub": "john"})), json!({}), false),
        ("danger_claims_alone", unsigned(json!({"iss": "https://evil.example"})), json!({}), false),
        ("danger_claims_alone", unsigned(json!({"exp": NOW + 6})), json!({}), false),
        ("danger_claims_alone", opaque(), json!({}), false),
        ("danger_opaque", opaque(), json!({}), true),
        ("danger_opaque", opaque(), json!({"scope": null}), true),
        ("danger_opaque", opaque(), json!({"scope": "ledger:ListAccounts more"}), false),
        ("danger_opaque", opaque(), json!({"expires_in": null}), false),
        ("danger_opaque", opaque(), json!({"expires_in": 6}), false),
        ("danger_opaque", opaque(), json!({"token_type": "DPoP"}), false),
    ] {
        let step = outcome(verify, token, changes.clone());
        assert_eq!(matches!(step, Step::Continue(_)), is_accepted, "{verify} {changes}: {step:?}");
    }
}

/// A stage where this gateway acts by a token of its own.
fn acting() -> Stage {
    let credentials = json!({"scope": "act", "audience": "exchange"});
    Stage::exchanging(json!({"actor_token": {"client_credentials": credentials}}))
}

fn own_token(text: &str, expires_in: u64) -> Value {
    json!({"access_token": text, "token_type": "bearer", "expires_in": expires_in})
}

/// The tick's one callout, for the gateway's own token.
fn own_callout(stage: &mut Stage) -> Callout {
    let mut due = stage.due();
    assert_eq!(due.len(), 1);
    let callout = due.remove(0);
    assert!(matches!(callout.purpose, Purpose::OwnToken(_)));
    callout
}

/// The token of a caller who has not called yet.
fn another(number: u32) -> String {
    token(json!({"jti": number.to_string()}))
}

/// A stage where it has its first token, for a hundred seconds, and a caller's is exchanged.
fn acting_by_the_first() -> Stage {
    let mut stage = acting();
    assert!(stage.send(&another(1), &call("listAccounts")).1.is_pause());
    let own = own_callout(&mut stage);
    assert!(stage.settle(&own, Ok(reply(200, own_token("first", 100)))).is_none());
    assert_eq!(stage.due().len(), 1);
    stage
}

#[test]
fn the_gateways_own_token_is_fetched_once_for_all_who_wait() {
    let mut stage = acting();
    assert!(stage.due().is_empty(), "nobody needs it yet");
    let held = token(json!({}));
    let (mut first, step) = stage.send(&held, &call("listAccounts"));
    assert!(step.is_pause());
    let (mut second, step) = stage.send(&held, &call("listAccounts"));
    assert!(step.is_pause());

    let own = own_callout(&mut stage);
    let expected = [
        pair("grant_type", "client_credentials"),
        pair("scope", "act"),
        pair("audience", "exchange"),
    ];
    assert_eq!(form(&own), expected);
    assert!(stage.due().is_empty(), "one request at a time");
    assert!(stage.settle(&own, Ok(reply(200, own_token("mine", 100)))).is_none());

    let mut due = stage.due();
    assert_eq!(due.len(), 1, "one exchange for both");
    let exchange = due.remove(0);
    assert_eq!(field(&exchange, "actor_token").as_deref(), Some("mine"));
    let settled = stage.settle(&exchange, Ok(issued(&delegation(SCOPE)))).unwrap();
    assert_eq!(settled.waiting, [first.id, second.id]);
    for stream in [&mut first, &mut second] {
        let step = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref()));
        assert!(matches!(step, Step::Continue(_)));
    }
    let step = stage.send(&token(json!({"jti": "2"})), &call("listAccounts")).1;
    assert_eq!(field(&step.callout(), "actor_token").as_deref(), Some("mine"), "at once");
}

/// An exchange has the server's time from when it is made, whether or not others may share it.
#[test]
fn the_wait_for_the_gateways_own_token_takes_nothing_from_the_exchange() {
    for cache in [true, false] {
        let mut configuration = configuration();
        configuration["exchange"]["actor_token"] = json!({"client_credentials": {}});
        configuration["exchange"]["timeout"] = json!("2s");
        configuration["policies"]["ledger"]["tools"]["listAccounts"]["delegation"]["cache"] =
            json!(cache);
        let mut stage = Stage::with(configuration);
        assert!(stage.send(&another(1), &call("listAccounts")).1.is_pause());
        let own = own_callout(&mut stage);
        stage.pass(Duration::from_millis(1_500));
        assert!(stage.settle(&own, Ok(reply(200, own_token("mine", 100)))).is_none());
        let [exchange] = stage.due().try_into().unwrap();
        assert_eq!(exchange.timeout, Duration::from_secs(2), "cache: {cache}");
    }
}

/// The server says `invalid_request` of a caller's token and of the gateway's own alike.
#[test]
fn the_gateways_own_token_is_renewed_when_it_may_be_what_was_rejected() {
    let mut stage = acting_by_the_first();
    let rejected = |stage: &mut Stage, number| {
        let callout = stage.send(&another(number), &call("listAccounts")).1.callout();
        let error = reply(400, json!({"error": "invalid_request"}));
        assert!(stage.settle(&callout, Ok(error)).unwrap().result.is_err());
    };
    rejected(&mut stage, 2);
    assert!(stage.due().is_empty(), "it is new");
    stage.pass(Duration::from_secs(1));
    rejected(&mut stage, 3);
    let renewal = own_callout(&mut stage);
    assert!(stage.settle(&renewal, Ok(reply(200, own_token("second", 100)))).is_none());
    let step = stage.send(&another(4), &call("listAccounts")).1;
    assert_eq!(field(&step.callout(), "actor_token").as_deref(), Some("second"));
}

#[test]
fn the_gateways_own_token_is_renewed_before_it_ends_and_kept_when_that_fails() {
    let mut stage = acting_by_the_first();

    stage.pass(Duration::from_secs(79));
    assert!(stage.due().is_empty());
    stage.pass(Duration::from_secs(1));
    let renewal = own_callout(&mut stage);
    assert!(stage.settle(&renewal, Ok(reply(503, ""))).is_none(), "nobody hears of it");
    let actor = |stage: &mut Stage, number| {
        let step = stage.send(&another(number), &call("listAccounts")).1;
        field(&step.callout(), "actor_token").unwrap()
    };
    assert_eq!(actor(&mut stage, 2), "first");
    assert!(stage.due().is_empty(), "not again within a second");
    stage.pass(Duration::from_secs(1));
    let renewal = own_callout(&mut stage);
    assert!(stage.settle(&renewal, Ok(reply(200, own_token("second", 100)))).is_none());
    assert_eq!(actor(&mut stage, 3), "second");

    stage.pass(Duration::from_secs(96));
    assert!(stage.send(&another(4), &call("listAccounts")).1.is_pause(), "it is over");
}

#[test]
fn those_who_wait_for_the_gateways_own_token_hear_why_there_is_none() {
    let text = |body: Value| Ok(reply(200, body));
    for (reply, status, reason) in [
        (Ok(reply(503, "")), 503, "exchange_unavailable"),
        (Ok(reply(401, json!({"error": "invalid_client"}))), 502, "exchange_client_rejected"),
        // It is not the caller's token that was refused.
        (Ok(reply(400, json!({"error": "invalid_grant"}))), 502, "exchange_client_rejected"),
        (Ok(reply(400, json!({"error": "invalid_scope"}))), 502, "exchange_client_rejected"),
        (text(merge(own_token("x", 9), json!({"token_type": "DPoP"}))), 502, "exchange_bad_reply"),
        (text(merge(own_token("x", 9), json!({"expires_in": null}))), 502, "exchange_bad_reply"),
        (text(own_token("x", 0)), 502, "exchange_bad_reply"),
        (text(own_token("two words", 9)), 502, "exchange_bad_reply"),
    ] {
        let mut stage = acting();
        let (mut stream, step) = stage.send(&token(json!({})), &call("listAccounts"));
        assert!(step.is_pause());
        let own = own_callout(&mut stage);
        let settled = stage.settle(&own, reply).unwrap();
        assert_eq!(settled.waiting, [stream.id]);
        let step = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref()));
        assert_eq!(step.reply().status, status, "{reason}");
        let record = stream.close(&mut stage, status).unwrap();
        assert_eq!(record["reason"], reason);

        let step = stage.send(&token(json!({"jti": "2"})), &call("listAccounts")).1;
        assert_eq!(step.reply().status, status, "for a second, all hear the same");
        assert!(stage.due().is_empty(), "and nobody asks");
        stage.pass(Duration::from_secs(1));
        assert!(stage.send(&token(json!({"jti": "3"})), &call("listAccounts")).1.is_pause());
        let _ = own_callout(&mut stage);
    }
}

/// Where callers may hold what the exchange would give.
fn forwarding(forward: bool) -> Stage {
    let mut configuration = configuration();
    configuration["policies"]["ledger"]["audience"] = json!(RESOURCE);
    configuration["endpoints"][0]["required_scopes"] = json!([]);
    configuration["exchange"]["danger_forward_inbound_token"] = json!(forward);
    Stage::with(configuration)
}

#[test]
fn a_callers_token_is_forwarded_if_it_is_what_the_exchange_would_give_and_that_is_allowed() {
    let held = |changes: Value| {
        let claims = json!({
            "scope": SCOPE, "act": {"sub": "gateway"}, "exp": NOW + 5, "may_act": null,
        });
        token(merge(claims, changes))
    };
    let mut stage = forwarding(true);
    let inbound = held(json!({}));
    let (stream, step) = stage.send(&inbound, &call("listAccounts"));
    assert_eq!(step.edits().set, [("authorization", format!("Bearer {inbound}"))]);
    let record = stream.close(&mut stage, 200).unwrap();
    assert_eq!(record["delegation"]["source"], "inbound", "{record}");
    let step = stage.send(&inbound, &call("getCustomerPII")).1;
    assert!(!matches!(step, Step::Continue(_)), "another tool is another scope");

    for near in [
        json!({"act": null}),
        json!({"act": {"sub": "other", "act": {"sub": "gateway"}}}),
        json!({"scope": "ledger:ListAccounts ledger:Connect"}),
        json!({"scope": "ledger:Connect"}),
        json!({"scope": null}),
        json!({"aud": [RESOURCE, AUDIENCE]}),
        json!({"exp": NOW + 6}),
        // Within the leeway for callers, but over.
        json!({"iat": NOW - 6, "exp": NOW - 1}),
    ] {
        let step = forwarding(true).send(&held(near.clone()), &call("listAccounts")).1;
        assert!(matches!(step, Step::Call(_)), "{near}: {step:?}");
    }
    let step = forwarding(false).send(&inbound, &call("listAccounts")).1;
    assert!(matches!(step, Step::Call(_)), "not unless it is allowed");
}

#[test]
fn an_audience_may_have_an_authorization_server_of_its_own() {
    const OTHER: &str = "https://login.other.example";
    let mut configuration = configuration();
    let mut issuer = configuration["issuers"][0].clone();
    issuer["issuer"] = json!(OTHER);
    configuration["issuers"].as_array_mut().unwrap().push(issuer);
    configuration["exchange"]["targets"] = json!({AUDIENCE: {
        "cluster": "other", "authority": "login.other.example", "issuer": OTHER,
        "preset": "okta", "actor": "0oaGateway", "client_authentication": "injected",
    }});
    let policy = &mut configuration["policies"]["ledger"];
    policy["lifetime"] = json!("5m");
    policy["tools"]["readNotes"] = json!({
        "delegation": {"audience": "https://notes.example/", "scope": "notes:Read"},
    });
    let mut stage = Stage::with(configuration);
    let held = token(json!({"may_act": null}));

    let (mut stream, step) = stage.send(&held, &call("listAccounts"));
    let callout = step.callout();
    assert_eq!(&*callout.cluster, "other");
    let header = |name| callout.headers.iter().find(|(known, _)| *known == name).unwrap();
    assert_eq!(&*header(":path").1, "/oauth2/default/v1/token");
    assert_eq!(&*header(":authority").1, "login.other.example");
    let claims = json!({
        "iss": OTHER, "sub": SARAH, "aud": AUDIENCE, "cid": "0oaGateway", "scp": [SCOPE],
        "iat": NOW, "exp": NOW + 300,
    });
    let okta = json!({
        "access_token": sign_as("", &claims), "token_type": "Bearer", "expires_in": 300,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    });
    let settled = stage.settle(&callout, Ok(reply(200, okta))).unwrap();
    let step = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref()));
    assert!(matches!(step, Step::Continue(_)), "{step:?}");

    let callout = stage.send(&held, &call("readNotes")).1.callout();
    assert_eq!(&*callout.cluster, "authorization_server", "the others have the common one");
    // What the other server issues is worth nothing there.
    let claims = merge(
        delegation("notes:Read"),
        json!({
            "iss": OTHER, "aud": "https://notes.example/",
        }),
    );
    let settled = stage.settle(&callout, Ok(issued(&claims))).unwrap();
    assert!(settled.result.is_err());
}

#[test]
fn another_server_is_asked_when_the_first_gives_this_gateway_no_token() {
    let other = json!({
        "cluster": "other", "authority": "other.example", "client_authentication": "injected",
        "actor_token": "none",
    });
    for failure in [Err(ExchangeError::NoAnswer), Ok(reply(503, ""))] {
        let mut stage = Stage::exchanging(json!({
            "actor_token": {"client_credentials": {}}, "failover": other, "retries": 1,
        }));
        // Its token may be exchanged by whoever answers.
        let inbound = token(json!({"may_act": null}));
        let (first, step) = stage.send(&inbound, &call("listAccounts"));
        assert!(step.is_pause());
        let own = own_callout(&mut stage);
        let told = stage.settle(&own, failure.clone());
        assert!(told.is_none_or(|settled| settled.waiting.is_empty()), "{failure:?}");
        // Nor is who comes while the failure stands refused.
        let (second, step) =
            stage.send(&token(json!({"may_act": null, "jti": "2"})), &call("listAccounts"));
        let Step::Call(callout) = step else { panic!("{failure:?}: {step:?}") };
        assert_eq!(&*callout.cluster, "other");
        let settled =
            stage.settle(&callout, Ok(issued(&delegation("ledger:ListAccounts")))).unwrap();
        assert_eq!((settled.waiting, settled.result.is_ok()), (vec![second.id], true));
        let callout = stage.due().pop().unwrap();
        assert_eq!(&*callout.cluster, "other");
        let settled =
            stage.settle(&callout, Ok(issued(&delegation("ledger:ListAccounts")))).unwrap();
        assert_eq!((settled.waiting, settled.result.is_ok()), (vec![first.id], true));
    }
}
