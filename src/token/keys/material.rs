//! The numbers of a public key, and what they verify.

use std::borrow::Cow;

use jwt_compact::{
    AlgorithmSignature,
    alg::{Ed25519, Es256, Rsa, RsaPublicKey, StrongAlg, StrongKey},
    jwk::JsonWebKey,
};
use p256::pkcs8::{
    AlgorithmIdentifierRef, EncodePublicKey, ObjectIdentifier, SubjectPublicKeyInfoRef,
    der::{Encode, asn1::BitStringRef},
    spki,
};
use serde_json::{Map, Value};

use super::es384::{Es384, Es384Signature};
use super::{KeyReason, bytes, text};
use crate::token::Algorithm;

/// RFC 8410 section 3.
const ED25519: AlgorithmIdentifierRef<'_> =
    AlgorithmIdentifierRef { oid: ObjectIdentifier::new_unwrap("1.3.101.112"), parameters: None };

#[derive(Clone, Debug)]
pub(super) enum Material {
    Rsa { key: Box<StrongKey<RsaPublicKey>>, modulus: Box<[u8]> },
    P256(Box<p256::ecdsa::VerifyingKey>),
    P384(Box<p384::ecdsa::VerifyingKey>),
    Ed25519(<Ed25519 as jwt_compact::Algorithm>::VerifyingKey),
}

impl Material {
    /// RFC 7518 section 6.3.1: 2048, 3072 or 4096 bits, and an odd exponent from 65537.
    pub(super) fn rsa(members: &Map<String, Value>) -> Result<Self, KeyReason> {
        let modulus = bytes(members, "n")?;
        let exponent = bytes(members, "e")?;
        let exponent_value = exponent
            .iter()
            .try_fold(0_u64, |value, byte| value.checked_mul(256)?.checked_add(u64::from(*byte)));
        if exponent_value.is_none_or(|value| value < 65_537 || value % 2 == 0) {
            return Err(KeyReason::WeakExponent);
        }
        let significant = modulus.iter().copied().skip_while(|byte| *byte == 0).collect();
        let jwk = JsonWebKey::Rsa {
            modulus: modulus.into(),
            public_exponent: exponent.into(),
            private_parts: None,
        };
        let key = RsaPublicKey::try_from(&jwk).map_err(|_| KeyReason::Invalid)?;
        let key = StrongKey::try_from(key).map_err(|_| KeyReason::WrongModulusLength)?;
        Ok(Self::Rsa { key: Box::new(key), modulus: significant })
    }

    /// RFC 7518 section 6.2.1: a point on P-256 or P-384.
    pub(super) fn elliptic_curve(members: &Map<String, Value>) -> Result<Self, KeyReason> {
        let curve = text(members, "crv")?;
        if !matches!(curve, Some("P-256" | "P-384")) {
            return Err(KeyReason::UnsupportedCurve);
        }
        let [x, y] = [bytes(members, "x")?, bytes(members, "y")?];
        if curve == Some("P-384") {
            return p384_point(&x, &y).map(|key| Self::P384(Box::new(key)));
        }
        let (x, y) = (x.into(), y.into());
        let jwk = JsonWebKey::EllipticCurve { curve: "P-256".into(), x, y, secret: None };
        (&jwk).try_into().map(|key| Self::P256(Box::new(key))).map_err(|_| KeyReason::Invalid)
    }

    /// RFC 8037 section 2: an Ed25519 public key.
    pub(super) fn ed25519(members: &Map<String, Value>) -> Result<Self, KeyReason> {
        if text(members, "crv")? != Some("Ed25519") {
            return Err(KeyReason::UnsupportedCurve);
        }
        let x = bytes(members, "x")?.into();
        let jwk = JsonWebKey::KeyPair { curve: "Ed25519".into(), x, secret: None };
        let key: <Ed25519 as jwt_compact::Algorithm>::VerifyingKey =
            (&jwk).try_into().map_err(|_| KeyReason::Invalid)?;
        // Not a point, or one of small order, under which anybody can sign.
        key.validate().map_err(|_| KeyReason::Invalid)?;
        Ok(Self::Ed25519(key))
    }

    /// Whether `algorithm` is one for keys of this type and curve.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => rsa_algorithm(algorithm).is_some(),
            Self::P256(_) => algorithm == Algorithm::ES256,
            Self::P384(_) => algorithm == Algorithm::ES384,
            Self::Ed25519(_) => algorithm == Algorithm::EdDSA,
        }
    }

    /// The key as a DER `SubjectPublicKeyInfo`.
    pub(super) fn public_key_info(&self) -> spki::Result<Box<[u8]>> {
        Ok(match self {
            Self::Rsa { key, .. } => key.as_ref().as_ref().to_public_key_der()?.into_vec(),
            Self::P256(key) => p256::PublicKey::from(**key).to_public_key_der()?.into_vec(),
            Self::P384(key) => p384::PublicKey::from(**key).to_public_key_der()?.into_vec(),
            Self::Ed25519(key) => {
                let subject_public_key = BitStringRef::from_bytes(key.as_ref())?;
                SubjectPublicKeyInfoRef { algorithm: ED25519, subject_public_key }.to_der()?
            }
        }
        .into())
    }

    /// The signature of a JWS in the form of X.509. None if it is no signature, whatever it is of:
    /// not as long as one, or with a number out of range.
    pub(super) fn signature_value<'a>(&self, signature: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        match self {
            // RFC 8017 section 5.2.2: as long as the modulus and less than it. The backend does
            // not check the latter for PSS.
            Self::Rsa { modulus, .. } => (signature.len() == modulus.len()
                && signature < modulus.as_ref())
            .then_some(Cow::Borrowed(signature)),
            Self::P256(_) => {
                parse::<Es256>(signature).map(|parsed| parsed.to_der().as_bytes().to_vec().into())
            }
            Self::P384(_) => parse::<Es384>(signature)
                .map(|Es384Signature(parsed)| parsed.to_der().as_bytes().to_vec().into()),
            Self::Ed25519(_) => parse::<Ed25519>(signature).map(|_| Cow::Borrowed(signature)),
        }
    }

    /// Whether this is the key's signature over `message`, by an algorithm that
    /// [fits](Self::fits).
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { key, .. } => rsa_algorithm(algorithm)
                .is_some_and(|rsa| check(&StrongAlg(rsa), key, message, signature)),
            Self::P256(key) => check(&Es256, key, message, signature),
            Self::P384(key) => check(&Es384, key, message, signature),
            Self::Ed25519(key) => check(&Ed25519, key, message, signature),
        }
    }
}

fn rsa_algorithm(algorithm: Algorithm) -> Option<Rsa> {
    match algorithm {
        Algorithm::RS256 => Some(Rsa::rs256()),
        Algorithm::RS384 => Some(Rsa::rs384()),
        Algorithm::RS512 => Some(Rsa::rs512()),
        Algorithm::PS256 => Some(Rsa::ps256()),
        Algorithm::PS384 => Some(Rsa::ps384()),
        Algorithm::PS512 => Some(Rsa::ps512()),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => None,
    }
}

fn p384_point(x: &[u8], y: &[u8]) -> Result<p384::ecdsa::VerifyingKey, KeyReason> {
    if x.len() != 48 || y.len() != 48 {
        return Err(KeyReason::Invalid);
    }
    // SEC 1 section 2.3.3: not compressed.
    let point = [&[4], x, y].concat();
    p384::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(|_| KeyReason::Invalid)
}

fn check<A: jwt_compact::Algorithm>(
    algorithm: &A,
    key: &A::VerifyingKey,
    message: &[u8],
    signature: &[u8],
) -> bool {
    parse::<A>(signature)
        .is_some_and(|signature| algorithm.verify_signature(&signature, key, message))
}

fn parse<A: jwt_compact::Algorithm>(signature: &[u8]) -> Option<A::Signature> {
    // `try_from_slice` may panic on a length that is not `LENGTH`.
    if A::Signature::LENGTH.is_some_and(|length| length.get() != signature.len()) {
        return None;
    }
    A::Signature::try_from_slice(signature).ok()
}
