//! The sets of cases, through the keys as a JWK Set brings them.
//!
//! Their messages are arbitrary bytes and so no JWS, hence the check below the token's own.
//!
//! What is expected is Wycheproof's own word, but for this:
//!
//! - What it calls acceptable leaves out the NULL of the hash's identifier, which RFC 8017 appendix
//!   A.2.4 asks for: it is refused.
//! - Keys with a modulus of 8192 or another unusual number of bits, or an exponent below 65537, are
//!   left out of a key set, and their cases with them.
//! - A PSS signature counts as valid if its parameters are those of its `alg` (RFC 7518 section
//!   3.5), such as the length of the salt, and not if they are those that its set asks for.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_deputy::token::{Algorithm, KeyReason, KeySet, SignatureVerifier};
use serde_json::{Value, json};
use wycheproof::{HashFunction, TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

/// The suites, and what comes out.
pub const EXPECTED: [(&str, &str); 9] = [
    ("RS256", "21 accepted, 752 refused, 261 without key, 0 wrong"),
    ("RS384", "21 accepted, 755 refused, 259 without key, 0 wrong"),
    ("RS512", "21 accepted, 755 refused, 261 without key, 0 wrong"),
    ("PS256", "319 accepted, 595 refused, 0 without key, 0 wrong"),
    ("PS384", "192 accepted, 150 refused, 0 without key, 0 wrong"),
    ("PS512", "266 accepted, 684 refused, 0 without key, 0 wrong"),
    ("ES256", "173 accepted, 89 refused, 0 without key, 0 wrong"),
    ("ES384", "193 accepted, 87 refused, 0 without key, 0 wrong"),
    ("EdDSA", "88 accepted, 63 refused, 0 without key, 0 wrong"),
];

/// How many cases ran and were accepted or refused as they should be, and how many had a key that
/// is left out; and those with another result, by number.
#[derive(Debug, Default)]
pub struct Count {
    accepted: usize,
    refused: usize,
    without_key: usize,
    pub wrong: Vec<String>,
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, refused, without_key, wrong } = self;
        let wrong = wrong.len();
        write!(
            formatter,
            "{accepted} accepted, {refused} refused, {without_key} without key, {wrong} wrong"
        )
    }
}

struct Case<'a> {
    number: usize,
    message: &'a [u8],
    signature: &'a [u8],
    is_valid: bool,
}

/// The cases of a test group, whatever its type.
macro_rules! cases {
    ($group:expr, $is_valid:expr) => {
        $group.tests.iter().map(|test| Case {
            number: test.tc_id,
            message: &test.msg,
            signature: &test.sig,
            is_valid: $is_valid(test.result, &test.comment),
        })
    };
}

fn plainly(result: TestResult, _: &str) -> bool {
    result == TestResult::Valid
}

struct Suite<'a> {
    algorithm: Algorithm,
    verifier: &'a dyn SignatureVerifier,
    count: Count,
}

/// Runs the suite of an algorithm.
pub fn run(name: &str, verifier: &dyn SignatureVerifier) -> Count {
    let algorithm = name.parse().unwrap();
    let mut suite = Suite { algorithm, verifier, count: Count::default() };
    match algorithm {
        Algorithm::RS256 => suite.rsa(HashFunction::Sha2_256),
        Algorithm::RS384 => suite.rsa(HashFunction::Sha2_384),
        Algorithm::RS512 => suite.rsa(HashFunction::Sha2_512),
        Algorithm::PS256 => suite.rsa_pss(HashFunction::Sha2_256, 32),
        Algorithm::PS384 => suite.rsa_pss(HashFunction::Sha2_384, 48),
        Algorithm::PS512 => suite.rsa_pss(HashFunction::Sha2_512, 64),
        Algorithm::ES256 => suite.ecdsa(ecdsa::TestName::EcdsaSecp256r1Sha256P1363, "P-256"),
        Algorithm::ES384 => suite.ecdsa(ecdsa::TestName::EcdsaSecp384r1Sha384P1363, "P-384"),
        Algorithm::EdDSA => {
            use eddsa::{TestName, TestSet};
            for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
                let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&group.key.pk) });
                suite.run(&jwk, cases!(group, plainly));
            }
        }
    }
    suite.count
}

impl Suite<'_> {
    fn rsa(&mut self, hash: HashFunction) {
        use rsa_pkcs1_verify::{TestName, TestSet};
        for name in TestName::all() {
            let set = TestSet::load(name).unwrap();
            for group in set.test_groups.iter().filter(|group| group.hash == hash) {
                self.run(&rsa_key(&group.key.n, &group.key.e), cases!(group, plainly));
            }
        }
    }

    /// All signatures by PSS with this hash, whatever the other parameters.
    fn rsa_pss(&mut self, hash: HashFunction, salt: usize) {
        use rsa_pss_verify::{TestName, TestSet};
        for name in TestName::all() {
            let set = TestSet::load(name).unwrap();
            for group in set.test_groups.iter().filter(|group| group.hash == hash) {
                let is_our_salt = format!("s_len changed to {salt}");
                let is_valid = |result, comment: &str| {
                    group.mgf_hash == Some(hash)
                        && (group.salt_size == salt && result == TestResult::Valid
                            || group.salt_size != salt && *comment == is_our_salt)
                };
                self.run(&rsa_key(&group.key.n, &group.key.e), cases!(group, is_valid));
            }
        }
    }

    fn ecdsa(&mut self, name: ecdsa::TestName, curve: &str) {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            // An uncompressed point: 0x04, x, y.
            let point = &group.key.key[1..];
            let (x, y) = point.split_at(point.len() / 2);
            let jwk = json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) });
            self.run(&jwk, cases!(group, plainly));
        }
    }

    /// Runs the cases of one key.
    fn run<'a>(&mut self, jwk: &Value, cases: impl Iterator<Item = Case<'a>>) {
        let (keys, problems) = KeySet::parse(&json!({ "keys": [jwk] })).unwrap();
        let Some(key) = keys.matching(None, self.algorithm) else {
            let reason = problems[0].reason;
            let is_expected = matches!(
                reason,
                KeyReason::WeakExponent | KeyReason::WrongModulusLength | KeyReason::Invalid
            );
            assert!(is_expected, "{reason}");
            self.count.without_key += cases.count();
            return;
        };
        for Case { number, message, signature, is_valid } in cases {
            match (key.verify(self.algorithm, message, signature, self.verifier), is_valid) {
                (true, true) => self.count.accepted += 1,
                (false, false) => self.count.refused += 1,
                (accepted, _) => self.count.wrong.push(format!("{number}: {accepted}")),
            }
        }
    }
}

fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Value {
    json!({ "kty": "RSA", "n": encode(modulus), "e": encode(exponent) })
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
