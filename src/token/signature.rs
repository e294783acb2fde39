//! Who checks signatures: the host, where it can, or else this crate.

pub mod envoy;

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Algorithm, KeySet};

/// Checks signatures outside of this crate, where that is faster. Like the clock, it is passed in.
pub trait SignatureVerifier: fmt::Debug {
    /// Whether the signature is right. None if it cannot say: then pure Rust does.
    ///
    /// It decides alone where it answers, so it must be right. [`proven`] tells for which
    /// algorithms it is.
    fn verify(&self, check: &SignatureCheck<'_>) -> Option<bool>;
}

/// One check of a signature, in the formats of X.509, whose common form a host knows. The signature
/// is well-formed by its `alg` (RFC 7518 sections 3.3 and 3.4), so that nobody has to look again.
#[derive(Clone, Copy, Debug)]
pub struct SignatureCheck<'a> {
    /// The algorithm, which is one of the key's.
    pub algorithm: Algorithm,
    /// A DER `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7).
    pub public_key: &'a [u8],
    /// What was signed.
    pub message: &'a [u8],
    /// Of ECDSA, a DER `Ecdsa-Sig-Value` (RFC 3279 section 2.2.3).
    pub signature: &'a [u8],
}

/// No host: every signature is checked by this crate.
#[derive(Clone, Copy, Debug)]
pub struct PureRust;

impl SignatureVerifier for PureRust {
    fn verify(&self, _: &SignatureCheck<'_>) -> Option<bool> {
        None
    }
}

/// Keys, a message and good signatures. Nobody has the private keys any more.
const KNOWN_ANSWERS: &str = include_str!("signature/known_answers.json");

#[derive(Deserialize)]
struct KnownAnswers {
    keys: Value,
    message: String,
    signatures: Vec<KnownSignature>,
}

#[derive(Deserialize)]
struct KnownSignature {
    alg: Algorithm,
    kid: String,
    signature: String,
}

/// The algorithms that `verifier` does, by known answers: it must accept a good signature, and
/// neither for another message nor with a bit changed.
#[must_use]
pub fn proven(verifier: &dyn SignatureVerifier) -> Vec<Algorithm> {
    let Ok(known) = serde_json::from_str::<KnownAnswers>(KNOWN_ANSWERS) else { return Vec::new() };
    let Ok((keys, _)) = KeySet::parse(&json!({ "keys": known.keys })) else { return Vec::new() };
    let message = known.message.as_bytes();
    let is_proven = |known: &KnownSignature| {
        let good = URL_SAFE_NO_PAD.decode(&known.signature).ok()?;
        let mut bad = good.clone();
        *bad.last_mut()? ^= 1;
        let key = keys.matching(Some(&known.kid), known.alg)?;
        let says = |message, signature| key.ask(verifier, known.alg, message, signature);
        let is_right =
            says(message, &good)? && !says(b"another message", &good)? && !says(message, &bad)?;
        is_right.then_some(known.alg)
    };
    known.signatures.iter().filter_map(is_proven).collect()
}

#[cfg(test)]
mod tests;
