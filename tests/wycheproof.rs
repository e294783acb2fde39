//! Project Wycheproof's known answers, through the keys as a JWK Set brings them.
//!
//! Its messages are arbitrary bytes and so no JWS, hence the check below the token's own.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_deputy::token::{Algorithm, KeyReason, KeySet};
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// How many cases ran and were accepted, and how many had a key that is not.
#[derive(Debug, Default, PartialEq)]
struct Count {
    accepted: usize,
    refused: usize,
    weak_key: usize,
}

impl Count {
    /// Runs the cases of one key: `(number, message, signature, expected)`.
    fn run<'a>(
        &mut self,
        jwk: &Value,
        algorithm: Algorithm,
        cases: impl Iterator<Item = (usize, &'a [u8], &'a [u8], TestResult)>,
    ) {
        let (keys, problems) = KeySet::parse(&json!({ "keys": [jwk] })).unwrap();
        for (number, message, signature, expected) in cases {
            let Some(key) = keys.matching(None, algorithm) else {
                assert_eq!(problems[0].reason, KeyReason::WeakExponent, "case {number}");
                self.weak_key += 1;
                continue;
            };
            let accepted = key.verify(algorithm, message, signature);
            // The only acceptable ones leave out the NULL of the hash's identifier, which
            // RFC 8017 appendix A.2.4 asks for: they are refused.
            let expected = expected == TestResult::Valid;
            assert_eq!(accepted, expected, "case {number}");
            if accepted { self.accepted += 1 } else { self.refused += 1 }
        }
    }
}

/// The cases of a test group, whatever its type.
macro_rules! cases {
    ($group:expr) => {
        $group.tests.iter().map(|test| (test.tc_id, &test.msg[..], &test.sig[..], test.result))
    };
}

#[test]
fn rs256() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    let mut count = Count::default();
    for name in [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256] {
        for group in TestSet::load(name).unwrap().test_groups {
            let jwk = json!({ "kty": "RSA", "n": encode(&group.key.n), "e": encode(&group.key.e) });
            count.run(&jwk, Algorithm::RS256, cases!(group));
        }
    }
    assert_eq!(count, Count { accepted: 21, refused: 752, weak_key: 3 });
}

#[test]
fn ps256() {
    use rsa_pss_verify::{TestName, TestSet};
    let mut count = Count::default();
    for name in [
        TestName::RsaPss2048Sha256Mgf1SaltLen32,
        TestName::RsaPss3072Sha256Mgf1SaltLen32,
        TestName::RsaPss4096Sha256Mgf1SaltLen32,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let jwk = json!({ "kty": "RSA", "n": encode(&group.key.n), "e": encode(&group.key.e) });
            count.run(&jwk, Algorithm::PS256, cases!(group));
        }
    }
    assert_eq!(count, Count { accepted: 189, refused: 135, weak_key: 0 });
}

#[test]
fn es256() {
    use ecdsa::{TestName, TestSet};
    let mut count = Count::default();
    for group in TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
        // An uncompressed point: 0x04, x, y.
        let (x, y) = group.key.key[1..].split_at(32);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) });
        count.run(&jwk, Algorithm::ES256, cases!(group));
    }
    assert_eq!(count, Count { accepted: 173, refused: 89, weak_key: 0 });
}

#[test]
fn ed25519() {
    use eddsa::{TestName, TestSet};
    let mut count = Count::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&group.key.pk) });
        count.run(&jwk, Algorithm::EdDSA, cases!(group));
    }
    assert_eq!(count, Count { accepted: 88, refused: 63, weak_key: 0 });
}
