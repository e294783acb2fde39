//! The compact serialization, the header, and the choice of the key.

use super::*;

fn eddsa() -> Value {
    header(Algorithm::EdDSA)
}

/// RFC 9864 section 2.2: the registered name; `EdDSA` is deprecated.
#[test]
fn ed25519_has_two_names_in_tokens_and_in_keys() {
    let names = ["EdDSA", "Ed25519"];
    for (of_token, of_key) in names.iter().flat_map(|one| names.map(|other| (*one, other))) {
        let key = with(public(Algorithm::EdDSA), "alg", json!(of_key));
        let (keys, problems) = KeySet::parse(&json!({"keys": [key]})).unwrap();
        assert_eq!(problems, []);
        let token = sign(Algorithm::EdDSA, &with(eddsa(), "alg", json!(of_token)), &claims());
        let issuer = Issuer { keys, ..issuer() };
        let unverified = Unverified::parse(&token).unwrap();
        let result = unverified.verify(&issuer, &expectations(), &PureRust, NOW);
        assert!(result.is_ok(), "{of_token} by a key for {of_key}: {result:?}");
    }
    for other in ["ed25519", "ED25519", "Ed448", "EDDSA"] {
        let refused = verify_header(&with(eddsa(), "alg", json!(other)));
        assert_eq!(refused, Err(TokenError::UnsupportedAlgorithm), "{other}");
    }
}

#[test]
fn k02_hmac_and_none_are_no_algorithms_here() {
    for name in ["HS256", "HS384", "HS512", "none", "None", "NONE", "rs256", "ES256K", "ES512", ""]
    {
        let result = verify_header(&with(eddsa(), "alg", json!(name)));
        assert_eq!(result, Err(TokenError::UnsupportedAlgorithm), "{name}");
    }
    for alg in [None, Some(json!(null)), Some(json!(["EdDSA"])), Some(json!(1))] {
        let result = verify_header(&with(eddsa(), "alg", alg));
        assert_eq!(result, Err(TokenError::UnsupportedAlgorithm));
    }
}

#[test]
fn k02_an_unsigned_token_is_refused_even_without_a_signature() {
    let header = encode(r#"{"alg":"none"}"#);
    let token = format!("{header}.{}.", encode(claims().to_string()));
    assert_eq!(verify(&token), Err(TokenError::UnsupportedAlgorithm));
}

#[test]
fn k03_a_key_verifies_no_algorithm_but_its_own() {
    // The `kid` of one key beside the `alg` of another, signed by the one that `alg` means.
    for (algorithm, kid) in [
        (Algorithm::RS256, "EC"),
        (Algorithm::PS256, "OKP"),
        (Algorithm::ES256, "RSA"),
        (Algorithm::ES256, "P-384"),
        (Algorithm::ES384, "EC"),
        (Algorithm::RS512, "P-384"),
        (Algorithm::EdDSA, "EC"),
    ] {
        let header = with(header(algorithm), "kid", json!(kid));
        let result = verify(&sign(algorithm, &header, &claims()));
        assert_eq!(result, Err(TokenError::UnknownKey), "{algorithm} {kid}");
    }
}

#[test]
fn k03_a_key_published_for_rs256_verifies_no_other_algorithm() {
    let mut issuer = issuer();
    let key = with(public(Algorithm::RS256), "alg", json!("RS256"));
    issuer.keys = KeySet::parse(&json!({ "keys": [key] })).unwrap().0;
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| jwk(*algorithm) == RSA) {
        let is_its_own = algorithm == Algorithm::RS256;
        let expected = if is_its_own { Ok("alice") } else { Err(TokenError::UnknownKey) };
        let token = sign(algorithm, &header(algorithm), &claims());
        let result =
            Unverified::parse(&token).unwrap().verify(&issuer, &expectations(), &PureRust, NOW);
        assert_eq!(result.as_ref().map(|claims| &*claims.subject), expected.as_ref().copied());
    }
}

#[test]
fn k03_an_algorithm_that_the_issuer_may_not_use_is_refused() {
    let mut issuer = issuer();
    issuer.algorithms = vec![Algorithm::ES256];
    let token = sign(Algorithm::EdDSA, &eddsa(), &claims());
    let result =
        Unverified::parse(&token).unwrap().verify(&issuer, &expectations(), &PureRust, NOW);
    assert_eq!(result, Err(TokenError::AlgorithmNotAllowed));
}

#[test]
fn k05_an_unknown_kid_matches_no_key() {
    for kid in ["../../etc/passwd", "' OR 1=1", "okp", "OKP ", "\u{0}", &"k".repeat(256)] {
        let result = verify_header(&with(eddsa(), "kid", json!(kid)));
        assert_eq!(result, Err(TokenError::UnknownKey), "{kid}");
    }
}

#[test]
fn k05_a_kid_that_is_long_or_no_string_is_refused() {
    for kid in [json!("k".repeat(257)), json!(""), json!(7), json!(null), json!(["OKP"])] {
        let result = verify_header(&with(eddsa(), "kid", kid));
        assert_eq!(result, Err(TokenError::MalformedHeaderMember("kid")));
    }
}

#[test]
fn k05_without_a_kid_there_must_be_one_key_and_no_other_is_tried() {
    let token = sign(Algorithm::EdDSA, &with(eddsa(), "kid", None), &claims());
    assert_eq!(verify(&token), Err(TokenError::UnknownKey));

    let mut issuer = issuer();
    let key = with(public(Algorithm::EdDSA), "kid", None);
    issuer.keys = KeySet::parse(&json!({ "keys": [key] })).unwrap().0;
    let result =
        Unverified::parse(&token).unwrap().verify(&issuer, &expectations(), &PureRust, NOW);
    assert_eq!(&*result.unwrap().subject, "alice");
}

#[test]
fn k06_a_crit_header_is_refused() {
    for crit in [json!(["bork"]), json!(["b64"]), json!([]), json!(["exp"]), json!("exp")] {
        let result = verify_header(&with(eddsa(), "crit", crit));
        assert_eq!(result, Err(TokenError::ForbiddenHeaderMember("crit")));
    }
}

#[test]
fn k07_k08_k11_headers_that_change_the_reading_or_bring_a_key_are_refused() {
    for (name, value) in [
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("cty", json!("CBOR")),
        ("cty", json!("JWT")),
        ("jwk", public(Algorithm::EdDSA)),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/x5u")),
        ("x5c", json!(["MII"])),
        ("crit", json!(null)),
    ] {
        let result = verify_header(&with(eddsa(), name, value));
        assert_eq!(result, Err(TokenError::ForbiddenHeaderMember(name)));
    }
}

#[test]
fn other_header_members_are_ignored() {
    // A thumbprint brings no key; WSO2, AD FS and Entra for tokens of version 1 write one.
    for thumbprint in ["x5t", "x5t#S256"] {
        assert!(verify_header(&with(eddsa(), thumbprint, json!("x"))).is_ok());
    }
    assert!(verify_header(&with(eddsa(), "org.example.hint", json!({ "a": [1] }))).is_ok());
}

#[test]
fn k14_only_canonical_unpadded_base64url_is_read() {
    let token = sign(Algorithm::ES256, &header(Algorithm::ES256), &claims());
    assert!(verify(&token).is_ok());
    // 64 bytes leave four unused bits in the last character; setting one must not be ignored.
    let last = token.chars().next_back().unwrap();
    let noncanonical = char::from_u32(u32::from(last) + 1).unwrap();
    let standard = token.replace('-', "+").replace('_', "/");
    for other in [
        format!("{token}="),
        format!("{token}=="),
        format!(" {token}"),
        format!("{token}\n"),
        token.replacen('.', "=.", 1),
        token.replacen('.', ".\n", 1),
        format!("{}{noncanonical}", &token[..token.len() - 1]),
    ] {
        assert_eq!(verify(&other), Err(TokenError::NotCompact), "{other}");
    }
    assert!(standard == token || verify(&standard) == Err(TokenError::NotCompact));
}

#[test]
fn anything_but_three_parts_is_refused() {
    let token = sign(Algorithm::EdDSA, &eddsa(), &claims());
    let two = token.rsplit_once('.').unwrap().0;
    for other in
        ["", ".", "..", "...", two, &format!("{token}."), &format!("{token}.a.b"), "\u{e9}"]
    {
        assert!(Unverified::parse(other).is_err(), "{other}");
    }
    assert_eq!(verify(two), Err(TokenError::NotCompact));
    assert_eq!(verify(&format!("{token}.a.b")), Err(TokenError::NotCompact));
}

#[test]
fn no_prefix_of_a_token_is_a_token() {
    let token = sign(Algorithm::ES256, &header(Algorithm::ES256), &claims());
    for length in 0..token.len() {
        assert!(verify(&token[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_token_of_more_than_8_kib_is_refused_unread() {
    let padded = |length| with(claims(), "pad", json!("p".repeat(length)));
    assert!(verify_claims(&padded(5_000)).is_ok());
    assert_eq!(verify_claims(&padded(8_000)), Err(TokenError::TooLong));
}

#[test]
fn k24_duplicate_header_members_are_refused() {
    let payload = claims().to_string();
    for header in [
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"OKP","alg":"EdDSA"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"OKP","kid":"OKP"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"OKP","\u006bid":"OKP"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"OKP","x":1,"x":2}"#,
        r#"["EdDSA","at+jwt","OKP"]"#,
        "\u{feff}{}",
        "",
    ] {
        let token = sign_text(Algorithm::EdDSA, header, &payload);
        assert_eq!(verify(&token), Err(TokenError::MalformedHeader), "{header}");
    }
}

#[test]
fn typ_is_compared_as_a_media_type() {
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert!(verify_header(&with(eddsa(), "typ", json!(typ))).is_ok(), "{typ}");
    }
}

#[test]
fn k32_tokens_of_other_types_are_refused() {
    for typ in [
        "JWT",
        "oauth-id-jag+jwt",
        "logout+jwt",
        "dpop+jwt",
        "token-introspection+jwt",
        "client-authentication+jwt",
        "xat+jwt",
        "at+jwt2",
        "text/at+jwt",
        "application/application/at+jwt",
        "applicationXat+jwt",
        "application/",
    ] {
        let result = verify_header(&with(eddsa(), "typ", json!(typ)));
        assert_eq!(result, Err(TokenError::WrongType), "{typ}");
    }
    assert_eq!(verify_header(&with(eddsa(), "typ", None)), Err(TokenError::WrongType));
    let empty = verify_header(&with(eddsa(), "typ", json!("")));
    assert_eq!(empty, Err(TokenError::MalformedHeaderMember("typ")));
}

#[test]
fn k32_where_plain_jwts_are_accepted_id_and_logout_tokens_are_still_refused() {
    let mut expectations = expectations();
    expectations.token_types = vec!["".into(), "JWT".into()];
    let verify = |header: &Value, claims: &Value| {
        let token = sign(Algorithm::EdDSA, header, claims);
        Unverified::parse(&token).unwrap().verify(&issuer(), &expectations, &PureRust, NOW)
    };
    for typ in [None, Some(json!("JWT")), Some(json!("jwt"))] {
        let header = with(eddsa(), "typ", typ);
        assert!(verify(&header, &claims()).is_ok());
        for (name, value) in [
            ("nonce", json!("n")),
            ("at_hash", json!("h")),
            ("c_hash", json!("h")),
            ("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} })),
            ("typ", json!("ID")),
            ("typ", json!("Refresh")),
            ("token_use", json!("id")),
        ] {
            let result = verify(&header, &with(claims(), name, value));
            assert_eq!(result, Err(TokenError::WrongType), "{name}");
        }
        assert!(verify(&header, &with(claims(), "typ", json!("Bearer"))).is_ok());
    }
    for typ in ["at+jwt", "application/"] {
        let result = verify(&with(eddsa(), "typ", json!(typ)), &claims());
        assert_eq!(result, Err(TokenError::WrongType), "{typ}");
    }
}
