//! Whose tokens are accepted: each profile with tokens as its server writes them, in `tokens/`, and
//! what is nearly right; what a scope implies; what is revoked; and that `docs/tokens.md` says so.

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use mcp_deputy::config::Config;
use mcp_deputy::token::{Callers, PureRust, TokenError};
use serde_json::{Map, Value, json};

use super::stage::*;

const PAGE: &str = include_str!("../../docs/tokens.md");

fn recorded() -> Vec<(String, Value)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/flow/tokens");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let profile = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (profile, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
    };
    files.map(read).collect()
}

/// Rightly signed, for the resource and for five minutes if it does not say otherwise.
fn written(token: &Value) -> String {
    let mut claims = merge(
        json!({"iss": ISSUER, "aud": RESOURCE, "iat": 0, "exp": 300}),
        token["claims"].clone(),
    );
    for name in ["iat", "nbf", "exp", "auth_time"] {
        if let Some(time) = claims.get(name).and_then(Value::as_u64) {
            claims[name] = json!(NOW + time);
        }
    }
    sign_as(token["typ"].as_str().unwrap(), &claims)
}

fn stage_of(issuer: Value) -> Stage {
    let mut configuration = configuration();
    configuration["issuers"][0] = merge(configuration["issuers"][0].clone(), issuer);
    Stage::with(configuration)
}

#[test]
fn each_profile_accepts_what_its_server_issues_and_nothing_like_it() {
    let recorded = recorded();
    assert_eq!(recorded.len(), 5);
    for (profile, recorded) in recorded {
        let own = recorded.get("issuer").cloned().unwrap_or(json!({}));
        let stage = stage_of(merge(own, json!({"profile": profile})));
        let Config { issuers, scopes, limits, .. } = &stage.shared.config;
        let verify = |token: &Value| {
            Callers::new(limits.tokens(), Rc::new(PureRust)).verify(
                &written(token),
                issuers,
                scopes,
                stage.now,
            )
        };
        for (what, token) in recorded["accepted"].as_object().unwrap() {
            let caller = verify(token).unwrap_or_else(|error| panic!("{profile}: {what}: {error}"));
            let claims = &caller.claims;
            let mut says = json!({
                "subject": claims.subject, "client": claims.client, "scopes": claims.scopes,
            });
            if let Some(session) = &claims.session {
                says["session"] = json!(session);
            }
            assert_eq!(says, token["says"], "{profile}: {what}");
        }
        for (what, token) in recorded["refused"].as_object().unwrap() {
            let error = verify(token).expect_err(what);
            assert_eq!(error.reason(), token["reason"].as_str().unwrap(), "{profile}: {what}");
        }
    }
}

#[test]
fn what_is_written_wins_over_the_profile() {
    let okta = json!({"cid": "c", "scp": ["mcp:connect"], "sub": "s"});
    let token = |claims: Value| written(&json!({"typ": "JWT", "claims": claims}));
    let refused = |changes: Value, claims: &Value| {
        let mut stage = stage_of(merge(json!({"profile": "okta"}), changes));
        let (stream, step) = stage.send(&token(claims.clone()), &call("listAccounts"));
        match step {
            mcp_deputy::transaction::Step::Reply(reply) => {
                let record = stream.close(&mut stage, reply.status).unwrap();
                record["reason"].as_str().unwrap().to_owned()
            }
            _ => "none".to_owned(),
        }
    };
    assert_eq!(refused(json!({}), &okta), "none");
    assert_eq!(refused(json!({"token_types": ["at+jwt"]}), &okta), "wrong_type");
    assert_eq!(refused(json!({"scope_claims": ["scope"]}), &okta), "insufficient_scope");
    assert_eq!(refused(json!({"client_claims": ["azp"]}), &okta), "missing_claim");
    let without_client = json!({"scp": ["mcp:connect"], "sub": "s"});
    assert_eq!(refused(json!({"client_required": false}), &without_client), "none");
    let long = merge(okta, json!({"exp": 3601}));
    assert_eq!(refused(json!({"max_lifetime": "1h"}), &long), "lifetime_too_long");
}

#[test]
fn scopes_are_read_from_any_claim_as_a_string_or_a_list_and_from_one_alone() {
    let claims = json!(["permissions", "https://example.com/scopes", "scope"]);
    let stage = stage_of(json!({"scope_claims": claims}));
    let Config { issuers, scopes, limits, .. } = &stage.shared.config;
    for (claims, expected) in [
        (json!({"permissions": ["pii:read"]}), "pii:read"),
        (json!({"permissions": "pii:read audit:read"}), "audit:read pii:read"),
        (json!({"https://example.com/scopes": ["audit:read"]}), "audit:read"),
        (json!({"permissions": [], "https://example.com/scopes": ["audit:read"]}), ""),
        (json!({"permissions": ["pii:read", 7]}), ""),
        (json!({"permissions": {"pii:read": true}}), ""),
        (json!({"permissions": null}), "mcp:connect"),
    ] {
        let mut callers = Callers::new(limits.tokens(), Rc::new(PureRust));
        let caller = callers.verify(&token(claims.clone()), issuers, scopes, stage.now).unwrap();
        assert_eq!(scopes.names(&caller.scopes).join(" "), expected, "{claims}");
    }
}

/// `root` implies all but `audit:read`, by one step or two.
fn implying() -> Stage {
    let mut configuration = configuration();
    configuration["protected_resource"]["scopes_supported"] =
        json!(["mcp:connect", "pii:read", "pii:admin", "audit:read", "root"]);
    configuration["implied_scopes"] =
        json!({"root": ["pii:admin", "mcp:connect"], "pii:admin": ["pii:read"]});
    let needed = json!(["pii:read", "audit:read"]);
    configuration["policies"]["ledger"]["tools"]["auditPII"] =
        json!({"require": {"scopes": needed}, "delegation": {"scope": "ledger:Audit"}});
    Stage::with(configuration)
}

#[test]
fn whoever_has_a_scope_has_what_it_implies_at_any_remove() {
    for (scope, goes_up) in [
        ("mcp:connect", false),
        ("mcp:connect pii:read", true),
        ("mcp:connect pii:admin", true),
        ("root", true),
        ("pii:admin", false),
        ("xroot", false),
    ] {
        let mut stage = implying();
        let inbound = token(json!({"scope": scope}));
        let (mut stream, step) = stage.send(&inbound, &call("getCustomerPII"));
        if goes_up {
            // What is delegated is the rule's one scope, whatever the caller has.
            let callout = step.callout();
            let form = String::from_utf8(callout.body.clone()).unwrap();
            assert!(form.contains("scope=ledger%3AReadPII"), "{form}");
            let settled = stage.settle(&callout, Ok(issued(&delegation("ledger:ReadPII"))));
            let result = settled.unwrap().result;
            let event = mcp_deputy::transaction::Event::Exchanged(result.as_ref());
            let _ = stream.event(&mut stage, event);
            assert_eq!(stream.close(&mut stage, 200).unwrap()["decision"], "allow", "{scope}");
        } else {
            assert_eq!(step.reply().status, 403, "{scope}");
        }
    }
}

#[test]
fn a_challenge_names_what_is_lacking_and_what_was_granted_and_nothing_implied() {
    for (granted, asked) in [
        ("mcp:connect", "audit:read mcp:connect pii:read"),
        ("mcp:connect pii:admin", "audit:read mcp:connect pii:admin"),
        ("root", "audit:read root"),
        ("root pii:read", "audit:read pii:read root"),
    ] {
        let mut stage = implying();
        let (_, step) = stage.send(&token(json!({"scope": granted})), &call("auditPII"));
        let answer = step.reply();
        let challenge = header(&answer, "www-authenticate").unwrap();
        assert!(challenge.contains(&format!("scope=\"{asked}\"")), "{granted}: {challenge}");
    }
}

#[test]
fn a_rule_that_only_those_reach_whom_an_earlier_one_allows_is_never_reached() {
    let mut configuration = configuration();
    configuration["implied_scopes"] = json!({"audit:read": ["pii:read"]});
    let rule = |scope: &str| json!({"require": {"scopes": [scope]}, "delegation": {"scope": "d"}});
    let mut errors = |rules: Value| {
        configuration["policies"]["ledger"]["tools"]["both"] = rules;
        Config::from_value(configuration.clone()).err().map(|errors| errors.to_string())
    };
    assert_eq!(errors(json!([rule("audit:read"), rule("pii:read")])), None);
    let told = errors(json!([rule("pii:read"), rule("audit:read")])).unwrap();
    assert!(told.contains("policies.ledger.tools.both[1]: can never be reached"), "{told}");
}

/// What becomes of a token of Sarah's with these claims, where this is revoked.
fn reason(revoked: &Value, claims: Value) -> Option<String> {
    let mut configuration = configuration();
    configuration["revoked"] = revoked.clone();
    let mut stage = Stage::with(configuration);
    let (stream, step) = stage.send(&token(claims), &call("listAccounts"));
    let mcp_deputy::transaction::Step::Reply(reply) = step else { return None };
    let mut accepted = Stage::new();
    let other = token(json!({"aud": "https://other.example/"}));
    let (_, step) = accepted.send(&other, &call("listAccounts"));
    assert_eq!(reply, step.reply(), "revoked tokens are answered like all bad ones");
    assert_eq!(reply.status, 401);
    let record = stream.close(&mut stage, 401).unwrap();
    Some(record["reason"].as_str().unwrap().to_owned())
}

#[test]
fn what_is_revoked_is_refused_and_nothing_else() {
    let one = |kind: &str, id: &str| json!({kind: [{"issuer": ISSUER, "id": id}]});
    let acting = json!({"act": {"sub": "agent", "client_id": "agent-1", "act": {"sub": "portal"}}});
    for (revoked, claims, is_refused) in [
        (one("tokens", "inbound"), json!({}), true),
        (one("tokens", "inbound"), json!({"jti": "another"}), false),
        (one("tokens", "inbound"), json!({"jti": null}), false),
        (one("tokens", SARAH), json!({}), false),
        (one("subjects", SARAH), json!({}), true),
        (one("subjects", SARAH), json!({"sub": "john"}), false),
        (one("subjects", &SARAH.to_uppercase()), json!({}), false),
        (one("clients", "cli"), json!({}), true),
        (one("clients", "cli"), json!({"client_id": "cli2"}), false),
        (one("clients", "cli"), json!({"client_id": null, "azp": "cli"}), true),
        (one("clients", "cli"), json!({"client_id": null}), false),
        (one("sessions", "s-1"), json!({"sid": "s-1"}), true),
        (one("sessions", "s-1"), json!({"sid": "s-2"}), false),
        (one("sessions", "s-1"), json!({}), false),
        // Who acts is refused; who acted before is history.
        (one("subjects", "agent"), acting.clone(), true),
        (one("clients", "agent-1"), acting.clone(), true),
        (one("subjects", "portal"), acting, false),
    ] {
        let expected = is_refused.then(|| "revoked".to_owned());
        assert_eq!(reason(&revoked, claims.clone()), expected, "{revoked} {claims}");
    }
}

#[test]
fn signing_in_again_helps_where_the_revocation_says_so() {
    let revoke = |kind: &str, id: &str, before: &str| json!({kind: [{"issuer": ISSUER, "id": id, "issued_before": before}]});
    // The token is issued at 2027-01-15T08:00:00Z.
    for (before, is_refused) in [
        ("2027-01-15T08:00:00Z", false),
        ("2027-01-15T08:00:00.001Z", true),
        ("2027-01-15T08:00:01Z", true),
        ("2027-01-15T09:00:00+01:00", false),
        ("2027-01-15T07:59:59-00:30", true),
    ] {
        let expected = is_refused.then(|| "revoked".to_owned());
        for (kind, id) in [("subjects", SARAH), ("clients", "cli"), ("sessions", "s-1")] {
            let found = reason(&revoke(kind, id, before), json!({"sid": "s-1"}));
            assert_eq!(found, expected, "{kind} {before}");
        }
    }
    // Of two entries, the one that refuses more counts.
    let mut twice = revoke("subjects", SARAH, "2027-01-15T08:00:01Z");
    let earlier = revoke("subjects", SARAH, "2027-01-15T08:00:00Z")["subjects"][0].clone();
    twice["subjects"].as_array_mut().unwrap().push(earlier);
    assert_eq!(reason(&twice, json!({})), Some("revoked".to_owned()));
}

#[test]
fn a_revocation_is_of_one_issuer() {
    let mut configuration = configuration();
    let other = "https://other.example";
    let second = merge(configuration["issuers"][0].clone(), json!({"issuer": other}));
    configuration["issuers"].as_array_mut().unwrap().push(second);
    configuration["revoked"] = json!({"subjects": [{"issuer": other, "id": SARAH}]});
    for (issuer, is_refused) in [(ISSUER, false), (other, true)] {
        let mut stage = Stage::with(configuration.clone());
        let (stream, step) = stage.send(&token(json!({"iss": issuer})), &call("listAccounts"));
        let is_reply = matches!(step, mcp_deputy::transaction::Step::Reply(_));
        assert_eq!(is_reply, is_refused, "{issuer}");
        drop(stream);
    }
}

#[test]
fn a_session_that_is_no_string_is_refused() {
    let mut stage = Stage::new();
    let (stream, step) = stage.send(&token(json!({"sid": 7})), &call("listAccounts"));
    assert_eq!(step.reply().status, 401);
    assert_eq!(stream.close(&mut stage, 401).unwrap()["reason"], "malformed_claims");
}

/// All errors there are.
pub fn errors() -> Vec<TokenError> {
    use TokenError::*;
    vec![
        TooLong,
        NotCompact,
        MalformedHeader,
        MalformedHeaderMember("kid"),
        ForbiddenHeaderMember("crit"),
        UnsupportedAlgorithm,
        MalformedClaims,
        MalformedClaim("sid".into()),
        MissingClaim("sub"),
        WrongIssuer,
        AlgorithmNotAllowed,
        WrongType,
        WrongAudience,
        Expired,
        NotYetValid,
        IssuedInFuture,
        IssuedAfterExpiry,
        LifetimeTooLong,
        SenderConstrained,
        UnknownKey,
        BadSignature,
        Revoked,
    ]
}

/// A new one does not compile until it has a place here.
fn place(error: &TokenError) -> usize {
    use TokenError::*;
    match error {
        TooLong => 0,
        NotCompact => 1,
        MalformedHeader => 2,
        MalformedHeaderMember(_) => 3,
        ForbiddenHeaderMember(_) => 4,
        UnsupportedAlgorithm => 5,
        MalformedClaims => 6,
        MalformedClaim(_) => 7,
        MissingClaim(_) => 8,
        WrongIssuer => 9,
        AlgorithmNotAllowed => 10,
        WrongType => 11,
        WrongAudience => 12,
        Expired => 13,
        NotYetValid => 14,
        IssuedInFuture => 15,
        IssuedAfterExpiry => 16,
        LifetimeTooLong => 17,
        SenderConstrained => 18,
        UnknownKey => 19,
        BadSignature => 20,
        Revoked => 21,
    }
}

#[test]
fn the_page_has_every_reason() {
    assert!(errors().iter().map(place).eq(0..22), "an error is missing here");
    for error in errors() {
        let row = format!("| `{}` |", error.reason());
        assert!(PAGE.contains(&row), "no row begins with {row}");
    }
}

/// The blocks of YAML in the page.
fn blocks() -> impl Iterator<Item = Value> {
    let blocks = PAGE.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|text| serde_yaml_ng::from_str(text).unwrap())
}

#[test]
fn the_examples_of_the_page_compile() {
    let mut profiles = Vec::new();
    for block in blocks() {
        let mut configuration = configuration();
        let members: Map<String, Value> = serde_json::from_value(block).unwrap();
        for (name, value) in members {
            configuration[name] = value;
        }
        // The page leaves out what is no matter of its own.
        let jwks = super::stage::configuration()["issuers"][0]["jwks"].clone();
        for issuer in configuration["issuers"].as_array_mut().unwrap() {
            issuer["jwks"] = jwks.clone();
            profiles.extend(issuer["profile"].as_str().map(str::to_owned));
        }
        configuration["exchange"]["issuer"] = configuration["issuers"][0]["issuer"].clone();
        let scopes = configuration["implied_scopes"].as_object().into_iter().flatten();
        let scopes = scopes.flat_map(|(scope, implied)| {
            let implied = implied.as_array().into_iter().flatten().map(|one| one.as_str().unwrap());
            implied.chain([scope.as_str()]).map(str::to_owned).collect::<Vec<_>>()
        });
        let mut supported: Vec<String> = scopes.collect();
        supported.extend(["mcp:connect", "pii:read", "audit:read"].map(str::to_owned));
        supported.sort();
        supported.dedup();
        configuration["protected_resource"]["scopes_supported"] = json!(supported);
        let config = Config::from_value(configuration.clone());
        assert!(config.is_ok(), "{configuration:#}: {}", config.unwrap_err());
    }
    let known = recorded().into_iter().map(|(profile, _)| profile);
    for profile in known {
        assert!(profiles.contains(&profile), "no example has the profile {profile}");
    }
}
