//! The claims: what a good token says, and which ones are refused.

use super::*;

fn malformed(name: &'static str) -> Result<Claims, TokenError> {
    Err(TokenError::MalformedClaim(name.into()))
}

fn verify_as(claims: &Value, expectations: &Expectations) -> Result<Claims, TokenError> {
    let token = sign(Algorithm::EdDSA, &header(Algorithm::EdDSA), claims);
    Unverified::parse(&token)?.verify(&issuer(), expectations, &PureRust, NOW)
}

#[test]
fn a_good_token_says_who_asks_through_whom_and_for_what() {
    let mut all = claims();
    for (name, value) in [
        ("acr", json!("urn:example:gold")),
        ("auth_time", json!(NOW - 60)),
        ("sid", json!("s-1")),
        ("act", json!({ "sub": "agent", "client_id": "agent-1", "act": { "sub": "portal" } })),
        ("may_act", json!({ "sub": "gateway", "iss": ISSUER })),
    ] {
        all = with(all, name, value);
    }
    let claims = verify_claims(&all).unwrap();
    let may_act =
        MayAct { subject: Some("gateway".into()), client: None, issuer: Some(ISSUER.into()) };
    let expected = Claims {
        issuer: ISSUER.into(),
        subject: "alice".into(),
        audiences: vec![AUDIENCE.into()],
        expires_at: NOW + 300,
        issued_at: NOW,
        id: Some("t-1".into()),
        client: Some("assistant".into()),
        scopes: vec!["pii:read".into(), "ledger:read".into()],
        actors: vec!["agent".into(), "portal".into()],
        actor_client: Some("agent-1".into()),
        may_act: Some(may_act),
        session: Some("s-1".into()),
        acr: Some("urn:example:gold".into()),
        auth_time: Some(NOW - 60),
        members: serde_json::Map::new(),
    };
    assert_eq!(claims, expected);
}

#[test]
fn claims_without_which_a_token_cannot_be_judged_are_required() {
    for name in ["iss", "sub", "aud", "exp", "iat"] {
        for value in [None, Some(json!(null))] {
            let result = verify_claims(&with(claims(), name, value));
            assert_eq!(result, Err(TokenError::MissingClaim(name)));
        }
    }
}

#[test]
fn k18_an_extreme_time_is_refused_and_does_not_panic() {
    for name in ["nbf", "exp", "iat", "auth_time"] {
        for text in [
            "-8334601228800",
            "-1",
            "-0.5",
            "-9223372036854775808",
            "9223372036854775807",
            "18446744073709551615",
            "18446744073709551616",
            "253402300800",
            "1e300",
            "-1e300",
            "\"1800000000\"",
            "true",
            "[1800000000]",
            "{}",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            let result = verify_claims(&with(claims(), name, value));
            assert_eq!(result, malformed(name), "{name} {text}");
        }
    }
    let last = verify_claims(&with(claims(), "nbf", json!(253_402_300_799_u64)));
    assert_eq!(last, Err(TokenError::NotYetValid));
}

#[test]
fn a_fraction_of_a_second_is_dropped() {
    let claims = with(claims(), "exp", json!(1_800_000_300.9));
    let claims = with(claims, "iat", json!(1_800_000_000.2));
    let claims = verify_claims(&claims).unwrap();
    assert_eq!((claims.issued_at, claims.expires_at), (NOW, NOW + 300));
}

#[test]
fn a_token_lives_until_exp_and_the_leeway() {
    let exp = |exp: u64| verify_claims(&with(with(claims(), "exp", json!(exp)), "iat", json!(1)));
    let lives = |result| result == Err(TokenError::LifetimeTooLong);
    assert!(lives(exp(NOW)) && lives(exp(NOW - 4)));
    assert_eq!(exp(NOW - 5), Err(TokenError::Expired));
    assert_eq!(exp(1), Err(TokenError::Expired));
}

#[test]
fn k19_tokens_from_the_future_or_for_too_long_are_refused() {
    let set = |name, value: u64| verify_claims(&with(claims(), name, json!(value)));
    assert!(set("nbf", NOW + 5).is_ok());
    assert_eq!(set("nbf", NOW + 6), Err(TokenError::NotYetValid));
    assert!(set("iat", NOW + 5).is_ok());
    assert_eq!(set("iat", NOW + 6), Err(TokenError::IssuedInFuture));
    assert!(set("exp", NOW + 3600).is_ok());
    assert_eq!(set("exp", NOW + 3601), Err(TokenError::LifetimeTooLong));

    let backwards = with(with(claims(), "exp", json!(NOW - 1)), "iat", json!(NOW));
    assert_eq!(verify_claims(&backwards), Err(TokenError::IssuedAfterExpiry));
}

#[test]
fn k19_no_clock_and_no_leeway_overflows() {
    let token = sign(Algorithm::EdDSA, &header(Algorithm::EdDSA), &claims());
    let mut expectations = expectations();
    expectations.leeway = u64::MAX;
    for now in [0, NOW, u64::MAX - 1] {
        let result =
            Unverified::parse(&token).unwrap().verify(&issuer(), &expectations, &PureRust, now);
        assert!(result.is_ok(), "{now}");
    }
    expectations.leeway = 0;
    let result =
        Unverified::parse(&token).unwrap().verify(&issuer(), &expectations, &PureRust, u64::MAX);
    assert_eq!(result, Err(TokenError::Expired));
    let result = Unverified::parse(&token).unwrap().verify(&issuer(), &expectations, &PureRust, 0);
    assert_eq!(result, Err(TokenError::IssuedInFuture));
}

#[test]
fn k21_the_issuer_matches_byte_for_byte() {
    for iss in [
        "https://as.example/",
        "https://AS.example",
        "https://as.example:443",
        "https://as.exampl",
        "https://as.example.evil",
        "http://as.example",
        " https://as.example",
    ] {
        let result = verify_claims(&with(claims(), "iss", json!(iss)));
        assert_eq!(result, Err(TokenError::WrongIssuer), "{iss}");
    }
    for iss in [json!([ISSUER]), json!({}), json!(1), json!("")] {
        assert_eq!(verify_claims(&with(claims(), "iss", iss)), malformed("iss"));
    }
}

#[test]
fn k22_one_member_of_aud_matches_byte_for_byte() {
    let aud = |aud: Value| verify_claims(&with(claims(), "aud", aud));
    assert!(aud(json!([AUDIENCE])).is_ok());
    assert!(aud(json!(["https://other.example", AUDIENCE])).is_ok());
    for other in [
        "https://mcp.example/mcp/",
        "https://mcp.example",
        "https://mcp.example/mc",
        "https://MCP.example/mcp",
        "https://mcp.example/mcp https://other.example",
        "mcp",
    ] {
        assert_eq!(aud(json!(other)), Err(TokenError::WrongAudience), "{other}");
        assert_eq!(aud(json!([other, "x"])), Err(TokenError::WrongAudience), "{other}");
    }
    let mut many: Vec<String> = (0..63).map(|number| number.to_string()).collect();
    many.push(AUDIENCE.to_owned());
    assert!(aud(json!(many)).is_ok());
    many.push("one more".to_owned());
    for other in [json!([]), json!(1), json!({}), json!([AUDIENCE, 1]), json!([null]), json!(many)]
    {
        assert_eq!(aud(other), malformed("aud"));
    }
}

#[test]
fn k22_an_exact_audience_stands_alone() {
    let mut expectations = expectations();
    expectations.exact_audience = true;
    let aud = |aud: Value| verify_as(&with(claims(), "aud", aud), &expectations);
    assert!(aud(json!(AUDIENCE)).is_ok());
    assert!(aud(json!([AUDIENCE])).is_ok());
    for other in [json!([AUDIENCE, "x"]), json!([AUDIENCE, AUDIENCE]), json!("x")] {
        assert_eq!(aud(other), Err(TokenError::WrongAudience));
    }
}

#[test]
fn k24_duplicate_claims_are_refused_at_any_depth() {
    let claims = claims().to_string();
    let claims = claims.strip_suffix('}').unwrap();
    for extra in [
        r#""aud":"y""#,
        r#""scope":"admin""#,
        r#""\u0073ub":"root""#,
        r#""act":{"sub":"a","sub":"b"}"#,
        r#""may_act":{"sub":"a","sub":"b"}"#,
        r#""cnf":{"jkt":"a","jkt":"b"}"#,
        r#""custom":1,"custom":1"#,
        r#""custom":[{"a":{"b":1,"b":1}}]"#,
        // Read by a server that ignores case, these say something else.
        r#""Scope":"admin""#,
        r#""AUD":"y""#,
        r#""custom":1,"Custom":1"#,
    ] {
        let payload = format!("{claims},{extra}}}");
        let token = sign_text(Algorithm::EdDSA, &header(Algorithm::EdDSA).to_string(), &payload);
        assert_eq!(verify(&token), Err(TokenError::MalformedClaims), "{extra}");
    }
}

/// Below the claims stand names that people gave, such as those of Keycloak's clients.
#[test]
fn names_in_a_claim_may_differ_by_case_alone_and_each_means_itself() {
    let access = json!({"Portal": {"roles": ["admin"]}, "portal": {"roles": ["guest"]}});
    let mut expectations = expectations();
    expectations.kept_claims = vec!["resource_access".into()];
    let claims = with(claims(), "resource_access", access.clone());
    assert_eq!(verify_as(&claims, &expectations).unwrap().members["resource_access"], access);

    let act =
        json!({"sub": "agent", "Sub": "other", "SUB": "third", "client_id": "a", "Client_ID": "b"});
    let claims = with(with(claims, "act", act.clone()), "may_act", act);
    let claims = verify_as(&claims, &expectations).unwrap();
    assert_eq!(
        (strings(&claims.actors), claims.actor_client.as_deref()),
        (vec!["agent"], Some("a"))
    );
    let may_act = claims.may_act.unwrap();
    let names = (may_act.subject.as_deref(), may_act.client.as_deref());
    assert_eq!(names, (Some("agent"), Some("a")));
    let claims = with(self::claims(), "act", json!({"Sub": "agent"}));
    assert_eq!(verify_claims(&claims), Err(TokenError::MissingClaim("act.sub")));
}

#[test]
fn k25_scopes_are_read_from_strings_and_arrays_and_nothing_else() {
    for (value, expected) in [
        (json!("a b"), vec!["a", "b"]),
        (json!(["a", "b"]), vec!["a", "b"]),
        (json!(" a  b "), vec!["a", "b"]),
        (json!("a\tb c"), vec!["a\tb", "c"]),
        (json!("a\u{a0}b"), vec!["a\u{a0}b"]),
        (json!("a,b"), vec!["a,b"]),
        (json!(["a b", "c"]), vec!["a b", "c"]),
        (json!(""), vec![]),
        (json!([]), vec![]),
        (json!(["a", 1]), vec![]),
        (json!([["a"]]), vec![]),
        (json!({ "a": true }), vec![]),
        (json!(1), vec![]),
        (json!(true), vec![]),
    ] {
        let result = verify_claims(&with(claims(), "scope", value.clone())).unwrap();
        assert_eq!(strings(&result.scopes), expected, "{value}");
    }
    for name in ["scp", "scopes", "permissions", "roles"] {
        let claims = with(with(claims(), "scope", None), name, json!("admin"));
        assert_eq!(verify_claims(&claims).unwrap().scopes, [], "{name} is not configured");
    }
}

#[test]
fn k27_only_the_first_configured_scope_claim_counts() {
    let mut expectations = expectations();
    expectations.scope_claims = vec!["scp".into(), "scope".into()];
    let scopes = |claims| verify_as(&claims, &expectations).unwrap().scopes;
    let both = with(with(claims(), "scope", json!("admin")), "scp", json!(["read"]));
    assert_eq!(strings(&scopes(both.clone())), ["read"]);
    assert_eq!(scopes(with(both.clone(), "scp", json!(7))), [], "and no other is asked");
    assert_eq!(strings(&scopes(with(both, "scp", None))), ["admin"]);
}

#[test]
fn the_first_configured_client_claim_counts() {
    let client = |claims: Value| verify_claims(&claims).map(|claims| claims.client);
    let both = with(claims(), "azp", json!("other"));
    assert_eq!(client(both.clone()), Ok(Some("assistant".into())));
    assert_eq!(client(with(both.clone(), "client_id", None)), Ok(Some("other".into())));
    assert_eq!(client(with(claims(), "client_id", None)), Ok(None));
    let error = client(with(both, "client_id", json!(["assistant"]))).unwrap_err();
    assert_eq!(error, TokenError::MalformedClaim("client_id".into()));
}

#[test]
fn a_token_bound_to_a_key_is_refused() {
    for cnf in [json!({ "jkt": "x" }), json!({ "x5t#S256": "x" }), json!({}), json!(null)] {
        let result = verify_claims(&with(claims(), "cnf", cnf));
        assert_eq!(result, Err(TokenError::SenderConstrained));
    }
}

#[test]
fn identifiers_are_short_strings_without_control_characters() {
    let long = "a".repeat(1025);
    for name in ["iss", "sub", "aud", "jti", "client_id", "acr"] {
        for text in ["", "a\nb", "a\rb", "a\u{0}", "\u{1b}[31m", "\u{7f}", "\u{85}", &long] {
            let result = verify_claims(&with(claims(), name, json!(text)));
            assert_eq!(result, malformed(name), "{name} {text:?}");
        }
    }
    for name in ["act", "may_act"] {
        let result = verify_claims(&with(claims(), name, json!({ "sub": "a\nb" })));
        assert_eq!(result, malformed("sub"), "{name}");
    }
    for good in ["auth0|j\u{f6}rg <x@y.example>", &long[1..]] {
        assert!(verify_claims(&with(claims(), "sub", json!(good))).is_ok(), "{good}");
    }
}

#[test]
fn the_chain_of_actors_is_outermost_first_and_bounded() {
    let chain = |depth: usize| {
        let chain = (0..depth).rev().fold(
            json!(null),
            |inner, number| json!({ "sub": format!("actor {number}"), "act": inner }),
        );
        verify_claims(&with(claims(), "act", chain)).map(|claims| claims.actors)
    };
    assert_eq!(chain(0), Ok(vec![]));
    let actors = chain(8).unwrap();
    assert_eq!((actors.len(), &*actors[0], &*actors[7]), (8, "actor 0", "actor 7"));
    assert_eq!(chain(9), Err(TokenError::MalformedClaim("act".into())));
    // Deeper than any JSON may nest here.
    assert_eq!(chain(100), Err(TokenError::MalformedClaims));
}

#[test]
fn an_actor_is_an_object_with_a_subject() {
    for act in [json!("agent"), json!(["agent"]), json!(1), json!({ "sub": "a", "act": "b" })] {
        assert_eq!(verify_claims(&with(claims(), "act", act)), malformed("act"));
    }
    for act in [json!({}), json!({ "client_id": "a" }), json!({ "sub": "a", "act": {} })] {
        let result = verify_claims(&with(claims(), "act", act));
        assert_eq!(result, Err(TokenError::MissingClaim("act.sub")));
    }
    assert_eq!(verify_claims(&with(claims(), "may_act", json!("x"))), malformed("may_act"));
}

#[test]
fn claims_that_are_no_object_are_refused() {
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    let header = header(Algorithm::EdDSA).to_string();
    for payload in ["[]", "null", "", "{}{}", "\u{feff}{}", &deep] {
        let token = sign_text(Algorithm::EdDSA, &header, payload);
        assert_eq!(verify(&token), Err(TokenError::MalformedClaims), "{payload}");
    }
}

#[test]
fn errors_and_debug_output_say_nothing_of_the_token() {
    let secret = with(with(claims(), "sub", json!("s3cret\n")), "iss", json!("s3cret"));
    let token = sign(Algorithm::EdDSA, &header(Algorithm::EdDSA), &secret);
    let error = verify(&token).unwrap_err();
    assert_eq!(error.to_string(), "claim `sub` is malformed");
    assert_eq!(error.reason(), "malformed_claims");

    let token = sign(Algorithm::EdDSA, &header(Algorithm::EdDSA), &claims());
    let shown = format!("{:?}", Unverified::parse(&token).unwrap());
    assert!(!shown.contains("alice") && !shown.contains(&token));
}

#[test]
fn a_tool_reads_the_claims_of_a_token_that_nobody_verified() {
    let token = sign(Algorithm::EdDSA, &header(Algorithm::EdDSA), &claims());
    assert_eq!(Value::Object(danger_unverified_claims(&token).unwrap()), claims());
    assert!(danger_unverified_claims("no.token").is_err());
}
