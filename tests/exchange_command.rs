//! `deputy exchange`: what it shows of a token request, what it never shows, and what it says of a
//! reply.

// The helpers of tests may panic as tests may.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Ed25519, Rsa, RsaPublicKey},
    jwk::JsonWebKey,
};
use mcp_deputy::fingerprint::fingerprint;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use support::{scratch, stderr, stdout, text};

const KEY: &str = include_str!("keys/ed25519.jwk");
const ISSUER: &str = "https://login.example";
const AUDIENCE: &str = "https://ledger.example/";
const SARAH: &str = "sarah@example.com";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn sign(claims: &Value) -> String {
    let jwk: JsonWebKey<'_> = serde_json::from_str(KEY).unwrap();
    let key: <Ed25519 as Algorithm>::SigningKey = (&jwk).try_into().unwrap();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let header = json!({"alg": "EdDSA", "typ": "at+jwt"}).to_string();
    let input = format!("{}.{}", encode(header.as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = Ed25519.sign(&key, input.as_bytes());
    format!("{input}.{}", encode(&signature.as_bytes()))
}

fn merged(mut base: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

fn inbound(changes: &Value) -> String {
    let claims = json!({
        "iss": ISSUER, "sub": SARAH, "aud": "https://gateway.example/mcp", "client_id": "cli",
        "iat": now(), "exp": now() + 600, "scope": "mcp:connect",
    });
    sign(&merged(claims, changes))
}

fn delegation(changes: &Value) -> String {
    let claims = json!({
        "iss": ISSUER, "sub": SARAH, "aud": AUDIENCE, "client_id": "gateway", "jti": "minted",
        "iat": now(), "exp": now() + 5, "scope": "ledger:List", "act": {"sub": "gateway"},
    });
    sign(&merged(claims, changes))
}

fn granted(token: &str) -> String {
    json!({
        "access_token": token, "token_type": "Bearer", "expires_in": 5,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "refresh_token": "refresh-me",
    })
    .to_string()
}

/// A place with a configuration, and what runs the tool there.
struct Place {
    directory: PathBuf,
    token: String,
}

impl Place {
    fn new(name: &str, exchange: &Value) -> Self {
        let directory = scratch(&format!("exchange-{name}"));
        let mut key: Value = serde_json::from_str(KEY).unwrap();
        key.as_object_mut().unwrap().remove("d");
        let configuration = json!({
            "protected_resource": {
                "resource": "https://gateway.example/mcp", "authorization_servers": [ISSUER],
                "scopes_supported": ["mcp:connect", "pii:read"],
            },
            "issuers": [{"issuer": ISSUER, "jwks": {"keys": [key]}}],
            "endpoints": [{"path": "/mcp", "policy": "ledger", "required_scopes": ["mcp:connect"]}],
            "policies": {"ledger": {
                "audience": AUDIENCE,
                "baseline": "without_token",
                "tools": {
                    "list": {"delegation": {"scope": "ledger:List"}},
                    "pii": {"require": {"scopes": ["pii:read"]}, "delegation": {"scope": "ledger:Pii"}},
                    "pay": {
                        "require": {"arguments": {"amount": {"max": 100}}},
                        "delegation": {
                            "scope": "ledger:Pay",
                            "authorization_details": {"type": "payment", "arguments": ["amount"]},
                        },
                    },
                },
            }},
            "exchange": merged(json!({
                "cluster": "authorization_server", "authority": "login.example",
                "issuer": ISSUER, "actor": "gateway",
            }), exchange),
        });
        fs::write(directory.join("deputy.yaml"), configuration.to_string()).unwrap();
        Self { directory, token: inbound(&json!({})) }
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_deputy"))
            .args(["exchange", "--token", "-"])
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Who does not read its input may be gone.
        let _ = writeln!(child.stdin.take().unwrap(), "{}", self.token);
        child.wait_with_output().unwrap()
    }

    /// What is printed for programs, and the exit code.
    fn report(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (Value, i32) {
        let output = self.run(&[arguments, &["--format", "json"]].concat(), environment);
        let report = serde_json::from_str(&stdout(&output));
        (report.unwrap_or_else(|_| panic!("{}", stderr(&output))), output.status.code().unwrap())
    }
}

/// Answers a request and gives what was asked.
fn answer(mut stream: impl Read + Write, (status, body): (u16, String)) -> String {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap();
            let length = length.lines().next().unwrap().parse::<usize>().unwrap();
            if body.len() >= length {
                break;
            }
        }
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the request ended early: {text}");
        request.extend_from_slice(&chunk[..read]);
    }
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Answer\r\ncontent-length: {length}\r\nlocation: /x\r\n");
    stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).unwrap();
    String::from_utf8(request).unwrap()
}

/// Answers each connection with the next of these, and gives what was asked.
fn serve(replies: Vec<(u16, String)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let next = move |reply| answer(listener.accept().unwrap().0, reply);
    (url, thread::spawn(move || replies.into_iter().map(next).collect()))
}

/// A server in TLS under a certificate that no store of this machine believes: its port. It ends with the
/// connection that gets an answer.
fn serve_in_tls(reply: (u16, String)) -> (u16, JoinHandle<String>) {
    let pem = |name: &str| text(&format!("tests/keys/tls/{name}")).into_bytes();
    let chain = vec![CertificateDer::from_pem_slice(&pem("localhost.crt")).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&pem("localhost.key")).unwrap();
    let builder = ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        loop {
            let mut stream = listener.accept().unwrap().0;
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let believed = connection.complete_io(&mut stream).is_ok();
            if believed && !connection.is_handshaking() {
                return answer(StreamOwned::new(connection, stream), reply);
            }
        }
    };
    (port, thread::spawn(serve))
}

fn result_of<'a>(report: &'a Value, check: &str) -> &'a str {
    let checks = report["reply"]["checks"].as_array().unwrap();
    let check = checks.iter().find(|one| one["check"] == check);
    check.unwrap()["result"].as_str().unwrap()
}

#[test]
fn a_request_is_shown_without_its_secrets_and_not_sent() {
    let place = Place::new("shown", &json!({}));
    let output = place.run(&["--tool", "list"], &[]);
    let (length, sha256) = (place.token.len(), fingerprint(place.token.as_bytes()));
    let expected = format!(
        "\
sarah@example.com: ledger:List at https://ledger.example/, for 5 s at most

POST /token at the cluster authorization_server
  host           login.example
  content-type   application/x-www-form-urlencoded
  accept         application/json
  authorization  (added by Envoy)

  grant_type            urn:ietf:params:oauth:grant-type:token-exchange
  subject_token         ({length} bytes, sha256 {sha256}…)
  subject_token_type    urn:ietf:params:oauth:token-type:access_token
  requested_token_type  urn:ietf:params:oauth:token-type:access_token
  audience              https://ledger.example/
  scope                 ledger:List

not sent: `--send` does it
"
    );
    assert_eq!((stdout(&output), stderr(&output)), (expected, String::new()));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn no_way_to_authenticate_shows_a_secret() {
    let secret = "s3cr3t-that-nobody-may-see";
    let environment = [("SECRET", secret), ("KEY", KEY), ("ACTOR", "actor-token-s3cr3t")];
    let from = |name: &str| json!({"from_environment": name});
    let key = json!({"private_key_jwt": {"from_environment": "KEY", "audience": ISSUER}});
    let d = serde_json::from_str::<Value>(KEY).unwrap()["d"].as_str().unwrap().to_owned();
    for (index, (changes, shown, options)) in [
        (
            json!({"client_authentication": {"client_secret_post": from("SECRET")}}),
            "client_secret",
            &[][..],
        ),
        (
            json!({"client_authentication": {"client_secret_basic": from("SECRET")}}),
            "authorization",
            &[],
        ),
        (json!({"client_authentication": key}), "client_assertion", &[]),
        (json!({"actor_token": from("ACTOR")}), "actor_token", &[]),
        (json!({"grant": "jwt_bearer_on_behalf_of"}), "assertion", &[]),
        (json!({}), "authorization", &["--client-secret-from-environment", "SECRET"]),
        (json!({}), "authorization", &["--sds-file", "secret.yaml"]),
    ]
    .into_iter()
    .enumerate()
    {
        let place = Place::new(&format!("secret-{index}"), &changes);
        let sds = json!({"resources": [{"generic_secret": {"secret": {"inline_string": secret}}}]});
        fs::write(place.directory.join("secret.yaml"), sds.to_string()).unwrap();
        for format in ["text", "json"] {
            let target = ["--audience", AUDIENCE, "--scope", "ledger:List", "--format", format];
            let arguments = [&target, options].concat();
            let output = place.run(&arguments, &environment);
            assert_eq!(output.status.code(), Some(0), "{changes}: {}", stderr(&output));
            let text = stdout(&output) + &stderr(&output);
            assert!(text.contains(shown), "{text}");
            for hidden in [secret, "actor-token-s3cr3t", &place.token, &d, "Basic "] {
                assert!(!text.contains(hidden), "{changes} shows {hidden}: {text}");
            }
        }
    }
}

#[test]
fn a_secret_that_is_not_set_is_named() {
    for (name, section) in [
        (
            "client_secret_post",
            json!({"client_authentication": {"client_secret_post": {"from_environment": "UNSET"}}}),
        ),
        ("actor_token", json!({"actor_token": {"from_environment": "UNSET"}})),
    ] {
        let place = Place::new(&format!("unset-{name}"), &section);
        let output = place.run(&["--tool", "list"], &[]);
        let told = "`UNSET` is not set in the environment";
        assert!(stderr(&output).contains(told), "{name}: {}", stderr(&output));
        let sent = place.run(&["--tool", "list", "--send", "--url", "http://127.0.0.1:1/"], &[]);
        assert_eq!(sent.status.code(), Some(1));
        assert!(stderr(&sent).contains(told), "{name}: {}", stderr(&sent));
    }
}

#[test]
fn the_gateways_own_token_is_asked_for_first() {
    let credentials = json!({"actor_token": {"client_credentials": {"scope": "act"}}});
    let place = Place::new("own-token", &credentials);
    let (report, code) = place.report(&["--tool", "list"], &[]);
    assert_eq!((code, report["requests"].as_array().unwrap().len()), (0, 2));
    assert_eq!(report["requests"][0]["form"]["grant_type"], "client_credentials");
    assert_eq!(report["requests"][1]["form"]["actor_token"], json!({"from": "the first request"}));

    let own = json!({"access_token": "own", "token_type": "Bearer", "expires_in": 60}).to_string();
    let (url, server) = serve(vec![(200, own), (200, granted(&delegation(&json!({}))))]);
    let (report, code) = place.report(&["--tool", "list", "--send", "--url", &url], &[]);
    assert_eq!((code, &report["outcome"]), (0, &json!("delegated")), "{report:#}");
    assert!(server.join().unwrap()[1].contains("&actor_token=own&"));

    let (url, server) = serve(vec![(401, json!({"error": "invalid_client"}).to_string())]);
    let (report, code) = place.report(&["--tool", "list", "--send", "--url", &url], &[]);
    assert_eq!((code, &report["reason"]), (12, &json!("exchange_client_rejected")));
    server.join().unwrap();
}

#[test]
fn what_is_sent_is_the_filters_request_under_the_credentials_at_hand() {
    let place = Place::new("sent", &json!({}));
    let (url, server) = serve(vec![(200, granted(&delegation(&json!({}))))]);
    let arguments = ["--tool", "list", "--send", "--url", &url];
    let secret = ["--client-secret-from-environment", "SECRET"];
    let output = place.run(&[&arguments[..], &secret].concat(), &[("SECRET", "x")]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    let text = stdout(&output);
    assert_eq!(text.matches("pass").count(), 14, "{text}");
    assert!(text.ends_with("delegated: token minted\n"), "{text}");
    assert!(!text.contains("refresh-me"));
    let request = server.join().unwrap().remove(0);
    assert!(request.contains("authorization: Basic Z2F0ZXdheTp4\r\n"), "{request}");
    assert!(request.contains("host: login.example\r\n"), "{request}");
    assert!(request.contains(&format!("subject_token={}&", place.token)), "{request}");
    assert!(request.ends_with("&audience=https%3A%2F%2Fledger.example%2F&scope=ledger%3AList"));
}

#[test]
fn a_reply_that_fails_says_at_which_check_and_holds_what_it_holds() {
    let place = Place::new("fails", &json!({}));
    let token = |changes: &Value| granted(&delegation(changes));
    let error = |code: &str| json!({"error": code, "error_description": "because"}).to_string();
    let mut widened: Value = serde_json::from_str(&token(&json!({}))).unwrap();
    widened["scope"] = "ledger:List ledger:All".into();
    for ((status, body), check, reason) in [
        ((503, "busy".to_owned()), "it is neither overloaded nor broken", "exchange_unavailable"),
        ((200, "<html>".to_owned()), "the reply is JSON, and small", "exchange_bad_reply"),
        ((200, "x".repeat(70_000)), "the reply is JSON, and small", "exchange_bad_reply"),
        ((302, "{}".to_owned()), "it grants a token", "exchange_bad_reply"),
        ((400, error("invalid_target")), "it grants a token", "exchange_denied"),
        ((200, "{}".to_owned()), "it has the members that it must have", "exchange_bad_reply"),
        ((200, granted(&place.token)), "the token is not the caller's own", "exchange_bad_reply"),
        (
            (200, widened.to_string()),
            "the reply's scope is the one that was asked for",
            "exchange_bad_reply",
        ),
        ((200, token(&json!({"aud": "other"}))), "the token verifies", "exchange_bad_token"),
        (
            (200, token(&json!({"sub": "john"}))),
            "the token is for the caller's subject",
            "exchange_bad_reply",
        ),
        (
            (200, token(&json!({"act": {"sub": "other"}}))),
            "the token names this gateway as the actor",
            "exchange_bad_reply",
        ),
        (
            (200, token(&json!({"scope": "ledger:All"}))),
            "the token's scope is the one that was asked for",
            "exchange_bad_reply",
        ),
    ] {
        let (url, server) = serve(vec![(status, body)]);
        let (report, code) = place.report(&["--tool", "list", "--send", "--url", &url], &[]);
        server.join().unwrap();
        assert_eq!((code, &report["reason"]), (12, &json!(reason)), "{check}: {report:#}");
        assert_eq!(result_of(&report, check), "fail", "{report:#}");
        let checks = report["reply"]["checks"].as_array().unwrap();
        let failed = checks.iter().position(|one| one["result"] == "fail").unwrap();
        assert!(checks[failed + 1..].iter().all(|one| one["result"] == "not_made"), "{report:#}");
    }

    let quoted =
        json!({"error": "invalid_grant", "error_description": format!("bad {}", place.token)});
    let (url, server) = serve(vec![(400, quoted.to_string())]);
    let output = place.run(&["--tool", "list", "--send", "--url", &url], &[]);
    server.join().unwrap();
    let text = stdout(&output);
    assert!(text.contains("  error_description: bad (the token of the caller)\n"), "{text}");
    assert!(!text.contains(&place.token));

    let (url, server) = serve(vec![(200, token(&json!({"sub": "john", "act": {"sub": "other"}})))]);
    let output = place.run(&["--tool", "list", "--send", "--url", &url], &[]);
    server.join().unwrap();
    let text = stdout(&output);
    let line = |words: &[&str]| {
        text.lines().any(|line| line.split_whitespace().collect::<Vec<_>>() == words)
    };
    assert!(line(&["token", "sub", SARAH, "john"]), "{text}");
    assert!(line(&["token", "act.sub", "gateway", "other"]), "{text}");
    assert!(line(&["token", "aud", AUDIENCE, AUDIENCE]), "{text}");
    assert!(text.contains("FAIL  the token is for the caller's subject"), "{text}");
}

#[test]
fn a_server_that_is_not_there_fails_the_first_check() {
    let place = Place::new("nobody", &json!({}));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}/token");
    let (report, code) = place.report(&["--tool", "list", "--send", "--url", &url], &[]);
    assert_eq!((code, &report["reason"]), (12, &json!("exchange_no_answer")));
    assert_eq!(result_of(&report, "the server answers in time"), "fail");
    let unknown = place.run(&["--tool", "list", "--send"], &[]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("--url"), "{}", stderr(&unknown));
}

/// Envoy believes the authorities of `envoy.trusted_ca`, and so does who asks in its place.
#[test]
fn the_address_of_a_cluster_is_believed_as_envoy_does() {
    let place = Place::new("tls", &json!({}));
    let (port, server) = serve_in_tls((200, granted(&delegation(&json!({})))));
    let asked = |authorities: &str| {
        let envoy = json!({
            "listen": "127.0.0.1:1", "wasm": "w", "filter": "f", "secret": "s",
            "trusted_ca": authorities, "routes": {"/mcp": "ledger"},
            "clusters": {
                "authorization_server": format!("https://localhost:{port}"),
                "ledger": "127.0.0.1:2",
            },
        });
        place.report(&["--tool", "list", "--send", "--set", &format!("envoy={envoy}")], &[])
    };
    let (report, code) = asked("/nowhere/ca.pem");
    assert_eq!((code, &report["reason"]), (12, &json!("exchange_no_answer")));
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("`/nowhere/ca.pem`: no such file or directory"), "{warnings}");

    let authority = format!("{}/tests/keys/tls/authority.crt", env!("CARGO_MANIFEST_DIR"));
    let (report, code) = asked(&authority);
    assert_eq!((code, &report["outcome"]), (0, &json!("delegated")), "{report:#}");
    assert!(!report["warnings"].to_string().contains("authority.crt"), "{report:#}");
    server.join().unwrap();

    fs::write(place.directory.join("empty.pem"), "nothing\n").unwrap();
    let warnings = asked("empty.pem").0["warnings"].to_string();
    assert!(warnings.contains("`empty.pem`: it holds no certificate"), "{warnings}");
}

#[test]
fn who_has_no_keys_to_verify_by_is_told_where_to_put_them() {
    let place = Place::new("no-keys", &json!({}));
    let remote = "issuers[0]={issuer: https://login.example, remote_jwks: {cluster: keys, authority: a, path: /k}}";
    let (url, server) = serve(vec![(200, granted(&delegation(&json!({}))))]);
    let output = place.run(&["--tool", "list", "--send", "--url", &url, "--set", remote], &[]);
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(12));
    let told = "\
warning: the filter fetches the keys of `https://login.example`, and there are none here
  help: write them with `deputy keys fetch`, and add `--set issuers[0].jwks_file=FILE`
";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
}

/// What no rule may say is nothing to try.
#[test]
fn what_a_rule_would_refuse_is_refused() {
    let place = Place::new("refused", &json!({}));
    let target = ["--audience", "a", "--scope", "b"];
    for (arguments, message) in [
        (&["--arguments", "{}"][..], "--tool <NAME>"),
        (&["--audience", "a", "--scope", "a b"], "a delegation has exactly one scope"),
        (&["--audience", "a b", "--scope", "b"], "it is not an audience"),
        (&[&target[..], &["--lifetime", "0s"]].concat(), "it is not a token lifetime"),
        (&[&target[..], &["--lifetime", "1500ms"]].concat(), "it is not a token lifetime"),
        (&[&target[..], &["--endpoint", "/nope"]].concat(), "cannot be used with"),
        (&[&target[..], &["--policy", "ledger"]].concat(), "cannot be used with"),
        (&[&target[..], &["--send", "--url", "127.0.0.1:1"]].concat(), "http or https URL"),
        (&[&target[..], &["--send", "--url", "ftp://a/"]].concat(), "http or https URL"),
        (&[&target[..], &["--send", "--url", "http:///token"]].concat(), "http or https URL"),
    ] {
        let output = place.run(arguments, &[]);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(place.run(&target, &[]).status.code(), Some(0));
}

#[test]
fn what_is_no_token_is_told_with_its_place() {
    let place = Place { token: "x".to_owned(), ..Place::new("garbage", &json!({})) };
    let output = place.run(&["--tool", "list"], &[]);
    let told = "error: standard input: the token is not a compact JWS\n";
    assert_eq!((stderr(&output).as_str(), output.status.code()), (told, Some(1)));
}

#[test]
fn what_is_not_allowed_is_told_to_programs_too() {
    let place = Place::new("told", &json!({}));
    let (report, code) = place.report(&["--tool", "pii"], &[]);
    let expected = json!({
        "outcome": "denied", "reason": "insufficient_scope",
        "detail": "Access denied: pii requires the scope mcp:connect pii:read.",
        "help": "`deputy explain` says by which rule",
    });
    assert_eq!((report, code), (expected, 4));
    let revoked = format!("revoked.subjects=[{{issuer: {ISSUER}, id: {SARAH}}}]");
    let (report, code) = place.report(&["--tool", "list", "--set", &revoked], &[]);
    assert_eq!((&report["outcome"], &report["reason"]), (&json!("denied"), &json!("revoked")));
    assert_eq!(code, 4);
    let output = place.run(&["--tool", "list", "--set", &revoked], &[]);
    let told =
        "error: no such token is accepted: the token, or what it is issued for, is revoked\n";
    assert_eq!((stderr(&output).as_str(), output.status.code()), (told, Some(4)));
}

#[test]
fn what_the_filter_does_not_ask_is_not_asked() {
    let place = Place::new("denied", &json!({}));
    let denied = place.run(&["--tool", "pii"], &[]);
    assert_eq!((denied.status.code(), stdout(&denied).as_str()), (Some(4), ""));

    let token = inbound(&json!({"may_act": {"sub": "somebody else"}}));
    let other = Place { token, ..Place::new("may-act", &json!({})) };
    let (report, code) =
        other.report(&["--tool", "list", "--send", "--url", "http://127.0.0.1:1"], &[]);
    assert_eq!(
        (code, &report["reason"], &report["requests"]),
        (12, &json!("may_not_act"), &json!([]))
    );

    let token = inbound(&json!({"exp": now() - 60, "iat": now() - 600}));
    let expired = Place { token, ..Place::new("expired", &json!({})) };
    let output = expired.run(&["--tool", "list"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("does not accept the caller's token"), "{}", stderr(&output));

    let two = ["--set", "endpoints[1]={path: /mcp/hr, policy: ledger}", "--tool", "list"];
    let token = inbound(&json!({"aud": "https://gateway.example/mcp/hr"}));
    let of_hr = Place { token, ..Place::new("audience", &json!({})) };
    for (endpoint, told) in [
        ("/mcp/hr", ""),
        (
            "/mcp",
            "warning: the filter does not accept the caller's token: `aud` is not the expected audience\n",
        ),
    ] {
        let output = of_hr.run(&[&two[..], &["--endpoint", endpoint]].concat(), &[]);
        assert_eq!((stderr(&output).as_str(), output.status.code()), (told, Some(0)), "{endpoint}");
    }

    for arguments in [
        &["--audience", AUDIENCE][..],
        &["--tool", "list", "--scope", "x"],
        &["--tool", "list", "--send", "--dry-run"],
        &["--tool", "list", "--sds-file", "nothing.yaml"],
        &[],
    ] {
        assert_eq!(place.run(arguments, &[]).status.code(), Some(1), "{arguments:?}");
    }

    // The keys of this issuer are known to the filter alone.
    let fetched = Place::new("fetched-keys", &json!({}));
    let remote = "issuers[0]={issuer: https://login.example, remote_jwks: {cluster: keys, authority: a, path: /k}}";
    let output = fetched.run(&["--tool", "list", "--set", remote], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stderr(&output).contains("the filter fetches the issuer's keys"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_rule_that_looks_at_arguments_is_asked_with_them() {
    let place = Place::new("arguments", &json!({}));
    let pay = |arguments: &str| place.run(&["--tool", "pay", "--arguments", arguments], &[]);
    let shown = stdout(&pay(r#"{"amount": 99}"#));
    assert!(shown.contains(r#""amount":99"#), "{shown}");
    let refused = pay(r#"{"amount": 101}"#);
    assert_eq!((stdout(&refused), refused.status.code()), (String::new(), Some(4)));
    assert_eq!(pay("99").status.code(), Some(1));
    let aimless = place.run(&["--audience", "a", "--scope", "b", "--arguments", "{}"], &[]);
    assert_eq!(aimless.status.code(), Some(1));
}

#[test]
fn by_rsa_the_tool_signs_as_envoy_does() {
    const PEM: &str = include_str!("keys/rsa.pem");
    let key = json!({"private_key_jwt": {"from_environment": "RSA", "audience": ISSUER}});
    let place = Place::new("rsa", &json!({"client_authentication": key}));
    let (url, asked) = serve(vec![(200, granted(&delegation(&json!({}))))]);
    let options = ["--tool", "list", "--send", "--url", &url];
    let (_, code) = place.report(&options, &[("RSA", PEM)]);
    assert_eq!(code, 0);
    let asked = asked.join().unwrap().remove(0);
    let (_, form) = asked.split_once("\r\n\r\n").unwrap();
    let assertion = form.split('&').find_map(|pair| pair.strip_prefix("client_assertion="));
    let (input, signature) = assertion.unwrap().rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let jwk: Value = serde_json::from_str(include_str!("keys/rsa.jwk")).unwrap();
    let public = json!({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]}).to_string();
    let public: JsonWebKey<'_> = serde_json::from_str(&public).unwrap();
    let public = RsaPublicKey::try_from(&public).unwrap();
    let signature = <Rsa as Algorithm>::Signature::try_from_slice(&signature).unwrap();
    assert!(Rsa::rs256().verify_signature(&signature, &public, input.as_bytes()));

    let refused = place.run(&options, &[("RSA", "-----BEGIN PRIVATE KEY-----")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("cannot sign by this key"), "{}", stderr(&refused));
}
