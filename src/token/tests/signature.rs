//! The signature, and what comes before it.

use super::*;
use host::Host;

/// Whether the test key for `algorithm` verifies the compact JWS `token`.
fn verifies(algorithm: Algorithm, token: &str) -> bool {
    let (input, signature) = token.rsplit_once('.').unwrap();
    verifies_bytes(algorithm, input.as_bytes(), &decode(signature))
}

/// The host and pure Rust must say the same.
fn verifies_bytes(algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
    let keys = KeySet::parse(&json!({ "keys": [public(algorithm)] })).unwrap().0;
    let key = keys.matching(None, algorithm).unwrap();
    let [by_host, in_rust] = [&Host as &dyn SignatureVerifier, &PureRust]
        .map(|verifier| key.verify(algorithm, message, signature, verifier));
    assert_eq!(by_host, in_rust, "{algorithm} {signature:02x?}");
    in_rust
}

#[test]
fn the_example_of_rfc_7515_appendix_a_2_verifies() {
    let token = concat!(
        "eyJhbGciOiJSUzI1NiJ9",
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    );
    assert!(verifies(Algorithm::RS256, token));
    assert!(!verifies(Algorithm::PS256, token));
}

#[test]
fn the_example_of_rfc_7515_appendix_a_3_verifies() {
    let token = concat!(
        "eyJhbGciOiJFUzI1NiJ9",
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    assert!(verifies(Algorithm::ES256, token));
}

#[test]
fn the_example_of_rfc_6979_appendix_a_2_6_verifies() {
    let signature = decode(
        "lO27kqXsuKrUc25WxpGRaz-IFAZmzp-nPWTE6pWtEzyBpkgVLkSs-W423R6A-r5Gme9K6xXxeM6h_kDbJgMTjxMOdAoZYkUmIDtjUdCjqU-jKcFFeG5nnnuCxxo4YorI",
    );
    assert!(verifies_bytes(Algorithm::ES384, b"sample", &signature));
    assert!(!verifies_bytes(Algorithm::ES384, b"simple", &signature));
}

#[test]
fn the_example_of_rfc_8037_appendix_a_4_verifies() {
    let token = concat!(
        "eyJhbGciOiJFZERTQSJ9",
        ".RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    assert!(verifies(Algorithm::EdDSA, token));
}

#[test]
fn every_supported_algorithm_verifies() {
    for algorithm in Algorithm::ALL {
        let token = sign(algorithm, &header(algorithm), &claims());
        assert_eq!(verify(&token).map(|claims| claims.subject), Ok("alice".into()), "{algorithm}");
    }
}

#[test]
fn a_changed_claim_breaks_the_signature() {
    for algorithm in Algorithm::ALL {
        let token = sign(algorithm, &header(algorithm), &claims());
        let (input, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = input.split_once('.').unwrap();
        let forged = with(claims(), "scope", json!("admin"));
        let forged = format!("{header}.{}.{signature}", encode(forged.to_string()));
        assert_eq!(verify(&forged), Err(TokenError::BadSignature), "{algorithm}");
    }
}

#[test]
fn k12_a_signature_of_another_length_or_of_trivial_numbers_is_refused() {
    // The orders of P-256 and P-384, and the modulus of the RSA key.
    let orders = [
        decode("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE"),
        decode("________________________________x2NNgfQ3Ld9YGg2ySLCneuzsGWrMxSlz"),
    ];
    let modulus = decode(public(Algorithm::RS256)["n"].as_str().unwrap());
    let one = |length: usize| [vec![0; length - 1], vec![1]].concat();
    for algorithm in Algorithm::ALL {
        let message = "header.payload";
        let good = signature(algorithm, message);
        assert!(verifies_bytes(algorithm, message.as_bytes(), &good));
        let length = good.len();
        let mut bad = vec![
            vec![],
            good[..length - 1].to_vec(),
            good[1..].to_vec(),
            [good.as_slice(), &[0]].concat(),
            [&[0], good.as_slice()].concat(),
            [good.as_slice(), &good].concat(),
            vec![0; length],
            vec![0xff; length],
            one(length),
        ];
        for order in &orders {
            let size = order.len();
            let halves = [vec![0; size], one(size), subtract(order, &one(size)), order.clone()];
            bad.extend(halves.iter().flat_map(|r| halves.iter().map(|s| [&r[..], s].concat())));
        }
        bad.extend([modulus.clone(), subtract(&modulus, &one(256))]);
        for signature in bad {
            assert!(
                !verifies_bytes(algorithm, message.as_bytes(), &signature),
                "{algorithm} {signature:02x?}"
            );
        }
    }
}

#[test]
fn k12_an_rsa_signature_beyond_the_modulus_is_refused() {
    let modulus = decode(public(Algorithm::PS256)["n"].as_str().unwrap());
    let rsa = Algorithm::ALL.into_iter().filter(|algorithm| jwk(*algorithm) == RSA);
    for algorithm in rsa {
        // Not every sum fits into the length: take a message whose signature is small enough.
        let (message, beyond) = (0..64)
            .find_map(|number| {
                let message = number.to_string();
                let sum = add(&signature(algorithm, &message), &modulus)?;
                Some((message, sum))
            })
            .unwrap();
        assert!(!verifies_bytes(algorithm, message.as_bytes(), &beyond), "{algorithm}");
    }
}

#[test]
fn k13_the_other_ecdsa_signature_of_the_same_token_is_accepted() {
    // Harmless, but the reason why nothing may be remembered by its signature.
    let order = decode("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE");
    let token = sign(Algorithm::ES256, &header(Algorithm::ES256), &claims());
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = decode(signature);
    let other = [&signature[..32], &subtract(&order, &signature[32..])].concat();
    let other = format!("{input}.{}", encode(other));
    assert_ne!(other, token);
    assert_eq!(verify(&other), verify(&token));
    assert!(verify(&token).is_ok());
}

#[test]
fn k23_a_key_of_another_issuer_with_the_same_kid_verifies_nothing() {
    let other_key = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "OKP",
        // RFC 8032 section 7.1, test 2.
        "x": "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw",
    });
    let other = Issuer {
        issuer: "https://other.example".into(),
        keys: KeySet::parse(&json!({ "keys": [other_key] })).unwrap().0,
        algorithms: vec![Algorithm::EdDSA],
    };
    let ours = sign(Algorithm::EdDSA, &header(Algorithm::EdDSA), &claims());
    let result = Unverified::parse(&ours).unwrap().verify(&other, &expectations(), &PureRust, NOW);
    assert_eq!(result, Err(TokenError::WrongIssuer));

    let claims = with(claims(), "iss", json!("https://other.example"));
    let mixed = sign(Algorithm::EdDSA, &header(Algorithm::EdDSA), &claims);
    let unverified = Unverified::parse(&mixed).unwrap();
    assert_eq!(unverified.issuer(), "https://other.example");
    let result = unverified.verify(&other, &expectations(), &PureRust, NOW);
    assert_eq!(result, Err(TokenError::BadSignature));
}

#[test]
fn k31_a_token_for_somebody_else_is_refused_before_its_signature_is_looked_at() {
    let unsigned = |claims: &Value| {
        let header = header(Algorithm::RS256).to_string();
        verify(&format!("{}.{}.AAAA", encode(header), encode(claims.to_string())))
    };
    assert_eq!(unsigned(&claims()), Err(TokenError::BadSignature));
    for (name, value, error) in [
        ("iss", json!("x"), TokenError::WrongIssuer),
        ("aud", json!("x"), TokenError::WrongAudience),
        ("exp", json!(1), TokenError::Expired),
        ("cnf", json!({}), TokenError::SenderConstrained),
    ] {
        assert_eq!(unsigned(&with(claims(), name, value)), Err(error));
    }
}

/// `left - right`, both big-endian and equally long, with `left` the larger.
fn subtract(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut borrow = false;
    let mut difference: Vec<u8> = std::iter::zip(left, right)
        .rev()
        .map(|(left, right)| {
            let (byte, first) = left.overflowing_sub(*right);
            let (byte, second) = byte.overflowing_sub(u8::from(borrow));
            borrow = first || second;
            byte
        })
        .collect();
    difference.reverse();
    difference
}

/// `left + right`, both big-endian and equally long, unless it is longer than they are.
fn add(left: &[u8], right: &[u8]) -> Option<Vec<u8>> {
    let mut carry = false;
    let mut sum: Vec<u8> = std::iter::zip(left, right)
        .rev()
        .map(|(left, right)| {
            let (byte, first) = left.overflowing_add(*right);
            let (byte, second) = byte.overflowing_add(u8::from(carry));
            carry = first || second;
            byte
        })
        .collect();
    sum.reverse();
    (!carry).then_some(sum)
}
