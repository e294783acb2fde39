use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use super::*;
use crate::token::tests::public;

fn set(keys: &[Value]) -> (KeySet, Vec<KeyReason>) {
    let (set, problems) = KeySet::parse(&json!({ "keys": keys })).unwrap();
    (set, problems.into_iter().map(|problem| problem.reason).collect())
}

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

/// Why `key` is left out of a set that it shares with a good one.
fn refused(key: Value) -> KeyReason {
    let good = with(public(Algorithm::ES256), "kid", json!("good"));
    let (set, reasons) = set(&[key, good]);
    assert!(set.matching(Some("good"), Algorithm::ES256).is_some(), "the good key stays");
    assert_eq!(reasons.len(), 1);
    reasons[0]
}

fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Value {
    let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    json!({ "kty": "RSA", "kid": "r", "n": encode(modulus), "e": encode(exponent) })
}

/// An odd number of `bits` bits.
fn modulus(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0xff; bits.div_ceil(8)];
    bytes[0] >>= bits.wrapping_neg() % 8;
    bytes
}

#[test]
fn k15_rsa_keys_have_one_of_three_lengths() {
    for bits in [2048, 3072, 4096] {
        assert_eq!(set(&[rsa_key(&modulus(bits), &[1, 0, 1])]).1, [], "{bits}");
    }
    for bits in [512, 1024, 1536, 2047, 2049, 3071, 4095] {
        let reason = refused(rsa_key(&modulus(bits), &[1, 0, 1]));
        assert_eq!(reason, KeyReason::WrongModulusLength, "{bits}");
    }
    for bits in [4104, 8192, 16_384] {
        let reason = refused(rsa_key(&modulus(bits), &[1, 0, 1]));
        assert!(matches!(reason, KeyReason::Invalid | KeyReason::WrongModulusLength), "{bits}");
    }
    let mut even = modulus(2048);
    even[255] = 0xfe;
    assert_eq!(refused(rsa_key(&even, &[1, 0, 1])), KeyReason::Invalid);
}

#[test]
fn k15_rsa_exponents_are_odd_and_at_least_65537() {
    for exponent in [&[][..], &[0], &[1], &[2], &[3], &[17], &[0xff, 0xff], &[1, 0, 0], &[1; 9]] {
        let reason = refused(rsa_key(&modulus(2048), exponent));
        assert_eq!(reason, KeyReason::WeakExponent, "{exponent:?}");
    }
    assert_eq!(set(&[rsa_key(&modulus(2048), &[0, 1, 0, 1])]).1, [], "leading zeros are no matter");
}

#[test]
fn k16_keys_for_other_purposes_are_left_out() {
    let key = || public(Algorithm::ES256);
    let rsa = || public(Algorithm::RS256);
    for (key, reason) in [
        (with(key(), "use", json!("enc")), KeyReason::NotForSignatures),
        (with(key(), "key_ops", json!(["sign"])), KeyReason::NotForSignatures),
        (with(key(), "key_ops", json!([])), KeyReason::NotForSignatures),
        (with(key(), "key_ops", json!("verify")), KeyReason::NotForSignatures),
        (with(key(), "use", json!(1)), KeyReason::Malformed("use")),
        (json!({ "kty": "oct", "kid": "o", "k": "AAAA" }), KeyReason::Symmetric),
        (with(key(), "d", json!("AAAA")), KeyReason::Private),
        (with(rsa(), "p", json!("AAAA")), KeyReason::Private),
        (with(key(), "k", json!("AAAA")), KeyReason::Private),
        (with(key(), "alg", json!("RS256")), KeyReason::AlgorithmContradictsType),
        (with(rsa(), "alg", json!("ES256")), KeyReason::AlgorithmContradictsType),
        (with(key(), "alg", json!("ES384")), KeyReason::AlgorithmContradictsType),
        (
            with(public(Algorithm::ES384), "alg", json!("ES256")),
            KeyReason::AlgorithmContradictsType,
        ),
        (
            with(public(Algorithm::EdDSA), "alg", json!("ES256")),
            KeyReason::AlgorithmContradictsType,
        ),
        (with(rsa(), "alg", json!("RSA-OAEP")), KeyReason::UnsupportedAlgorithm),
        (with(rsa(), "alg", json!("HS256")), KeyReason::UnsupportedAlgorithm),
        (with(rsa(), "alg", json!(null)), KeyReason::Malformed("alg")),
        (with(key(), "kty", json!("AKP")), KeyReason::UnsupportedType),
        (with(key(), "kty", json!("ec")), KeyReason::UnsupportedType),
        (with(key(), "kty", json!(1)), KeyReason::Malformed("kty")),
        (with(key(), "kid", json!(1)), KeyReason::Malformed("kid")),
        (with(key(), "kid", json!("")), KeyReason::Malformed("kid")),
        (with(key(), "kid", json!("k".repeat(257))), KeyReason::Malformed("kid")),
        (json!("key"), KeyReason::NotAnObject),
    ] {
        assert_eq!(refused(key.clone()), reason, "{key}");
    }
    let good = with(with(key(), "use", json!("sig")), "key_ops", json!(["verify", "x"]));
    let good = with(good, "kid", json!("k".repeat(256)));
    assert_eq!(set(&[with(good, "alg", json!("ES256"))]).1, []);
}

#[test]
fn k03_keys_of_other_curves_and_points_off_the_curve_are_left_out() {
    let p256 = || public(Algorithm::ES256);
    let p384 = || public(Algorithm::ES384);
    let ed25519 = || public(Algorithm::EdDSA);
    let zero = json!(URL_SAFE_NO_PAD.encode([0; 32]));
    let short = json!(URL_SAFE_NO_PAD.encode([1; 31]));
    for (key, reason) in [
        (with(p256(), "crv", json!("P-384")), KeyReason::Invalid),
        (with(p384(), "crv", json!("P-256")), KeyReason::Invalid),
        (with(p256(), "crv", json!("P-521")), KeyReason::UnsupportedCurve),
        (with(p384(), "y", p384()["x"].clone()), KeyReason::Invalid),
        (with(p384(), "x", short.clone()), KeyReason::Invalid),
        (with(p256(), "crv", json!("secp256k1")), KeyReason::UnsupportedCurve),
        (with(ed25519(), "crv", json!("X25519")), KeyReason::UnsupportedCurve),
        (with(ed25519(), "crv", json!("Ed448")), KeyReason::UnsupportedCurve),
        (with(p256(), "y", p256()["x"].clone()), KeyReason::Invalid),
        (with(p256(), "x", short.clone()), KeyReason::Invalid),
        (with(p256(), "x", json!("AA==")), KeyReason::Malformed("x")),
        (with(p256(), "x", json!(1)), KeyReason::Malformed("x")),
        (with(ed25519(), "x", short), KeyReason::Invalid),
        // A point of small order, for which anybody can make signatures.
        (with(ed25519(), "x", zero), KeyReason::Invalid),
    ] {
        assert_eq!(refused(key.clone()), reason, "{key}");
    }
}

#[test]
fn k16_a_kid_that_occurs_twice_makes_both_keys_unusable() {
    let twin = with(public(Algorithm::RS256), "kid", json!("EC"));
    let (keys, reasons) = set(&[public(Algorithm::ES256), twin, public(Algorithm::EdDSA)]);
    assert_eq!(reasons, [KeyReason::AmbiguousKeyId, KeyReason::AmbiguousKeyId]);
    assert!(keys.matching(Some("EC"), Algorithm::ES256).is_none());
    assert!(keys.matching(Some("EC"), Algorithm::RS256).is_none());
    assert!(keys.matching(Some("OKP"), Algorithm::EdDSA).is_some());

    let symmetric = json!({ "kty": "oct", "kid": "EC", "k": "AAAA" });
    let (keys, reasons) = set(&[public(Algorithm::ES256), symmetric]);
    assert_eq!(reasons, [KeyReason::AmbiguousKeyId, KeyReason::Symmetric]);
    assert!(keys.is_empty());
}

#[test]
fn a_key_without_a_kid_must_be_the_only_one() {
    let nameless = || {
        let mut key = public(Algorithm::ES256);
        key.as_object_mut().unwrap().remove("kid");
        key
    };
    let (keys, reasons) = set(&[nameless()]);
    assert_eq!(reasons, []);
    assert!(keys.matching(None, Algorithm::ES256).is_some());
    assert!(keys.matching(None, Algorithm::EdDSA).is_none());
    assert!(keys.matching(Some("EC"), Algorithm::ES256).is_none());

    let (keys, reasons) = set(&[nameless(), nameless()]);
    assert_eq!(reasons, [KeyReason::NoKeyId, KeyReason::NoKeyId]);
    assert!(keys.is_empty());
    let (keys, reasons) = set(&[nameless(), public(Algorithm::EdDSA)]);
    assert_eq!(reasons, [KeyReason::NoKeyId]);
    assert!(keys.matching(Some("OKP"), Algorithm::EdDSA).is_some());
}

#[test]
fn k16_a_set_over_the_caps_or_of_another_shape_is_refused_whole() {
    let many = |count: usize| json!({ "keys": vec![public(Algorithm::ES256); count] });
    assert!(KeySet::parse(&many(100)).is_ok());
    assert_eq!(KeySet::parse(&many(101)).unwrap_err(), KeySetError::TooManyKeys);
    for other in
        [json!([]), json!({}), json!({ "keys": {} }), json!(null), public(Algorithm::ES256)]
    {
        assert_eq!(KeySet::parse(&other).unwrap_err(), KeySetError::NotAKeySet, "{other}");
    }
}

#[test]
fn k16_the_text_of_a_set_is_read_strictly() {
    let text = json!({ "keys": [public(Algorithm::ES256)] }).to_string();
    assert!(!KeySet::from_slice(text.as_bytes()).unwrap().0.is_empty());
    let largest = text.clone() + &" ".repeat(256 * 1024 - text.len());
    assert!(!KeySet::from_slice(largest.as_bytes()).unwrap().0.is_empty());
    let padded = largest + " ";
    assert_eq!(KeySet::from_slice(padded.as_bytes()).unwrap_err(), KeySetError::TooLong);
    for other in [
        "<html></html>",
        "",
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"EC","kid":"a","kid":"b"}]}"#,
    ] {
        let error = KeySet::from_slice(other.as_bytes()).unwrap_err();
        assert_eq!(error, KeySetError::NotAKeySet, "{other}");
    }
}

#[test]
fn a_problem_names_its_key_without_letting_it_forge_a_line() {
    let key = with(with(public(Algorithm::ES256), "use", json!("enc")), "kid", json!("a\nb"));
    let (_, problems) = KeySet::parse(&json!({ "keys": [key] })).unwrap();
    let text = problems[0].to_string();
    assert_eq!(text, r"keys[0] (kid `a\nb`): `use` or `key_ops` is not for verifying signatures");
}
