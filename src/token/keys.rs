//! Verification keys (RFC 7517), each bound to what it may verify.

mod es384;
mod material;
mod problem;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use self::material::Material;
pub use self::problem::{KeyProblem, KeyReason, KeySetError};
use super::{Algorithm, SignatureCheck, SignatureVerifier};
use crate::json::{self, Limits};

/// The longest `kid`.
pub(super) const MAX_KEY_ID_BYTES: usize = 256;
/// The most keys in a set.
const MAX_KEYS: usize = 100;
/// The longest JSON text of a set.
const MAX_SET_BYTES: usize = 256 * 1024;
/// Members that only private and symmetric keys have (RFC 7518 sections 6.2.2, 6.3.2, 6.4).
pub const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The keys with which one issuer's tokens are verified.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Reads the JSON text of a JWK Set, as fetched from an issuer.
    ///
    /// # Errors
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

    /// Whether some key is for one of `algorithms`.
    #[must_use]
    pub fn has_key_for(&self, algorithms: &[Algorithm]) -> bool {
        self.keys.iter().any(|key| algorithms.iter().any(|algorithm| key.allows(*algorithm)))
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
    /// The key as a DER `SubjectPublicKeyInfo`, for the host.
    public_key_info: Box<[u8]>,
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
            "RSA" => Material::rsa(members)?,
            "EC" => Material::elliptic_curve(members)?,
            "OKP" => Material::ed25519(members)?,
            _ => return Err(KeyReason::UnsupportedType),
        };
        let public_key_info = material.public_key_info().map_err(|_| KeyReason::Invalid)?;
        let key = Self { id, algorithm, material, public_key_info };
        match algorithm {
            Some(algorithm) if !key.allows(algorithm) => Err(KeyReason::AlgorithmContradictsType),
            _ => Ok(key),
        }
    }

    fn allows(&self, algorithm: Algorithm) -> bool {
        self.material.fits(algorithm) && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether `signature` is this key's over `message`, by `algorithm`. False also when the
    /// key is not for that algorithm. Public for the known-answer tests alone: tokens go
    /// through [`super::Unverified::verify`].
    #[doc(hidden)]
    #[must_use]
    pub fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
        verifier: &dyn SignatureVerifier,
    ) -> bool {
        self.allows(algorithm)
            && self
                .ask(verifier, algorithm, message, signature)
                .unwrap_or_else(|| self.material.verify(algorithm, message, signature))
    }

    /// What `verifier` says of a signature. It is not asked about what is none by its form.
    pub(super) fn ask(
        &self,
        verifier: &dyn SignatureVerifier,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let Some(signature) = self.material.signature_value(signature) else { return Some(false) };
        let (public_key, signature) = (&*self.public_key_info, &*signature);
        verifier.verify(&SignatureCheck { algorithm, public_key, message, signature })
    }
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
