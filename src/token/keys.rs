//! Verification keys (RFC 7517), each bound to what it may verify.

mod problem;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jwt_compact::{
    AlgorithmSignature,
    alg::{Ed25519, Es256, Rsa, RsaPublicKey, StrongAlg, StrongKey},
    jwk::JsonWebKey,
};
use serde_json::{Map, Value};

pub use self::problem::{KeyProblem, KeyReason, KeySetError};
use super::Algorithm;
use crate::json::{self, Limits};

/// The longest `kid`.
pub(super) const MAX_KEY_ID_BYTES: usize = 256;
/// The most keys in a set.
const MAX_KEYS: usize = 100;
/// The longest JSON text of a set.
const MAX_SET_BYTES: usize = 256 * 1024;
/// Members that only private and symmetric keys have (RFC 7518 sections 6.2.2, 6.3.2, 6.4).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The keys with which one issuer's tokens are verified.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Reads the JSON text of a JWK Set, as fetched from an issuer.
    ///
    /// # Errors
    ///
    /// As [`KeySet::parse`], and when the text is longer than 256 KiB, is not JSON, or has a
    /// member name twice.
    pub fn from_slice(json: &[u8]) -> Result<(Self, Vec<KeyProblem>), KeySetError> {
        if json.len() > MAX_SET_BYTES {
            return Err(KeySetError::TooLong);
        }
        let members =
            json::object(json, &Limits::default()).map_err(|_| KeySetError::NotAKeySet)?;
        Self::read(&members)
    }

    /// Reads a JWK Set (RFC 7517 section 5). Returns its usable keys, and why the others are
    /// left out; one bad key does not spoil the rest.
    ///
    /// # Errors
    ///
    /// When it is not an object with an array `keys`, or has more than 100 of them.
    pub fn parse(jwks: &Value) -> Result<(Self, Vec<KeyProblem>), KeySetError> {
        Self::read(jwks.as_object().ok_or(KeySetError::NotAKeySet)?)
    }

    fn read(members: &Map<String, Value>) -> Result<(Self, Vec<KeyProblem>), KeySetError> {
        let Some(Value::Array(values)) = members.get("keys") else {
            return Err(KeySetError::NotAKeySet);
        };
        if values.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let parsed: Vec<_> = values.iter().map(Key::parse).collect();
        let alone = parsed.iter().filter(|key| key.is_ok()).count() == 1;
        let mut set = Self::default();
        let mut problems = Vec::new();
        for (index, (value, key)) in values.iter().zip(parsed).enumerate() {
            let id = value.get("kid");
            // Of two keys with one name, nobody can say which was meant, even if one is unusable.
            let same_id = || values.iter().filter(|other| other.get("kid") == id).count();
            let checked = match key {
                Ok(key) if key.id.is_none() && !alone => Err(KeyReason::NoKeyId),
                Ok(key) if key.id.is_some() && same_id() > 1 => Err(KeyReason::AmbiguousKeyId),
                checked => checked,
            };
            match checked {
                Ok(key) => set.keys.push(key),
                Err(reason) => {
                    let short = |id: &&str| id.len() <= MAX_KEY_ID_BYTES;
                    let kid = id.and_then(Value::as_str).filter(short).map(str::to_owned);
                    problems.push(KeyProblem { index, kid, reason });
                }
            }
        }
        Ok((set, problems))
    }

    /// Whether the set has no usable key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The one key that a header with this `kid` and `alg` means, if there is one.
    ///
    /// Without a `kid` that is the only key of a set of one. Keys are never tried in turn.
    #[must_use]
    pub fn matching(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let key = match (kid, self.keys.as_slice()) {
            (Some(kid), keys) => keys.iter().find(|key| key.id.as_deref() == Some(kid)),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        key.filter(|key| key.allows(algorithm))
    }
}

/// A public key, with the algorithms that it may be used for.
#[derive(Clone, Debug)]
pub struct Key {
    id: Option<Box<str>>,
    /// The JWK's own `alg`. Without one, the key type alone decides.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa { key: Box<StrongKey<RsaPublicKey>>, modulus: Box<[u8]> },
    P256(Box<<Es256 as jwt_compact::Algorithm>::VerifyingKey>),
    Ed25519(<Ed25519 as jwt_compact::Algorithm>::VerifyingKey),
}

impl Key {
    fn parse(jwk: &Value) -> Result<Self, KeyReason> {
        let members = jwk.as_object().ok_or(KeyReason::NotAnObject)?;
        let id = match text(members, "kid")? {
            Some(id) if id.is_empty() || id.len() > MAX_KEY_ID_BYTES => {
                return Err(KeyReason::Malformed("kid"));
            }
            id => id.map(Into::into),
        };
        let key_type = text(members, "kty")?.ok_or(KeyReason::Malformed("kty"))?;
        if key_type == "oct" {
            return Err(KeyReason::Symmetric);
        }
        if PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name)) {
            return Err(KeyReason::Private);
        }
        if text(members, "use")?.is_some_and(|purpose| purpose != "sig") {
            return Err(KeyReason::NotForSignatures);
        }
        let verifies = |operations: &Value| {
            operations.as_array().is_some_and(|names| names.iter().any(|name| name == "verify"))
        };
        if members.get("key_ops").is_some_and(|operations| !verifies(operations)) {
            return Err(KeyReason::NotForSignatures);
        }
        let algorithm = match text(members, "alg")? {
            Some(name) => Some(name.parse().map_err(|_| KeyReason::UnsupportedAlgorithm)?),
            None => None,
        };
        let material = match key_type {
            "RSA" => rsa(members)?,
            "EC" => p256(members)?,
            "OKP" => ed25519(members)?,
            _ => return Err(KeyReason::UnsupportedType),
        };
        let key = Self { id, algorithm, material };
        match algorithm {
            Some(algorithm) if !key.allows(algorithm) => Err(KeyReason::AlgorithmContradictsType),
            _ => Ok(key),
        }
    }

    fn allows(&self, algorithm: Algorithm) -> bool {
        let fits = match self.material {
            Material::Rsa { .. } => matches!(algorithm, Algorithm::RS256 | Algorithm::PS256),
            Material::P256(_) => algorithm == Algorithm::ES256,
            Material::Ed25519(_) => algorithm == Algorithm::EdDSA,
        };
        fits && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether `signature` is this key's over `message`, by `algorithm`. False also when the
    /// key is not for that algorithm. Public for the known-answer tests alone: tokens go
    /// through [`super::Unverified::verify`].
    #[doc(hidden)]
    #[must_use]
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.allows(algorithm) {
            return false;
        }
        match &self.material {
            // RFC 8017 section 5.2.2: as long as the modulus and less than it. The backend does
            // not check the latter for PSS.
            Material::Rsa { modulus, .. }
                if signature.len() != modulus.len() || signature >= modulus.as_ref() =>
            {
                false
            }
            Material::Rsa { key, .. } => {
                let rsa = if algorithm == Algorithm::PS256 { Rsa::ps256() } else { Rsa::rs256() };
                check(&StrongAlg(rsa), key, message, signature)
            }
            Material::P256(key) => check(&Es256, key, message, signature),
            Material::Ed25519(key) => check(&Ed25519, key, message, signature),
        }
    }
}

fn check<A: jwt_compact::Algorithm>(
    algorithm: &A,
    key: &A::VerifyingKey,
    message: &[u8],
    signature: &[u8],
) -> bool {
    // `try_from_slice` may panic on a length that is not `LENGTH`.
    if A::Signature::LENGTH.is_some_and(|length| length.get() != signature.len()) {
        return false;
    }
    let signature = A::Signature::try_from_slice(signature);
    signature.is_ok_and(|signature| algorithm.verify_signature(&signature, key, message))
}

/// RFC 7518 section 6.3.1: 2048, 3072 or 4096 bits, and an odd exponent from 65537.
fn rsa(members: &Map<String, Value>) -> Result<Material, KeyReason> {
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
    Ok(Material::Rsa { key: Box::new(key), modulus: significant })
}

/// RFC 7518 section 6.2.1: a point on P-256.
fn p256(members: &Map<String, Value>) -> Result<Material, KeyReason> {
    if text(members, "crv")? != Some("P-256") {
        return Err(KeyReason::UnsupportedCurve);
    }
    let (x, y) = (bytes(members, "x")?.into(), bytes(members, "y")?.into());
    let jwk = JsonWebKey::EllipticCurve { curve: "P-256".into(), x, y, secret: None };
    (&jwk).try_into().map(|key| Material::P256(Box::new(key))).map_err(|_| KeyReason::Invalid)
}

/// RFC 8037 section 2: an Ed25519 public key.
fn ed25519(members: &Map<String, Value>) -> Result<Material, KeyReason> {
    if text(members, "crv")? != Some("Ed25519") {
        return Err(KeyReason::UnsupportedCurve);
    }
    let x = bytes(members, "x")?.into();
    let jwk = JsonWebKey::KeyPair { curve: "Ed25519".into(), x, secret: None };
    let key: <Ed25519 as jwt_compact::Algorithm>::VerifyingKey =
        (&jwk).try_into().map_err(|_| KeyReason::Invalid)?;
    // Not a point, or one of small order, under which anybody can sign.
    key.validate().map_err(|_| KeyReason::Invalid)?;
    Ok(Material::Ed25519(key))
}

fn text<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, KeyReason> {
    match members.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(KeyReason::Malformed(name)),
    }
}

fn bytes(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, KeyReason> {
    let encoded = text(members, name)?.ok_or(KeyReason::Malformed(name))?;
    URL_SAFE_NO_PAD.decode(encoded).map_err(|_| KeyReason::Malformed(name))
}

#[cfg(test)]
mod tests;
