//! Why a key set is refused, or a key of it left out.

use std::{error::Error, fmt};

/// Why a JWK Set is refused whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// The text is longer than 256 KiB.
    TooLong,
    /// It is not a JSON object with an array `keys`, or has a member name twice.
    NotAKeySet,
    /// It has more than 100 keys.
    TooManyKeys,
}

impl fmt::Display for KeySetError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooLong => "the key set is longer than 256 KiB",
            Self::NotAKeySet => "not a JSON object with an array `keys`, or not a strict one",
            Self::TooManyKeys => "the key set has more than 100 keys",
        })
    }
}

impl Error for KeySetError {}

/// A key of a JWK Set that is left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyProblem {
    /// Its place in `keys`, from 0.
    pub index: usize,
    /// Its `kid`, where it has one of acceptable length.
    pub kid: Option<String>,
    /// Why it is left out.
    pub reason: KeyReason,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "keys[{}]", self.index)?;
        if let Some(kid) = &self.kid {
            write!(formatter, " (kid `{}`)", kid.escape_debug())?;
        }
        write!(formatter, ": {}", self.reason)
    }
}

/// Why a key is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyReason {
    /// The entry is not a JSON object.
    NotAnObject,
    /// This member is missing, or has a value it may not have.
    Malformed(&'static str),
    /// `kty` is `oct`: whoever can verify with it can also sign.
    Symmetric,
    /// It has members of a private key, so its owner has published it.
    Private,
    /// `use` or `key_ops` is for something else.
    NotForSignatures,
    /// `kty` is not supported.
    UnsupportedType,
    /// `crv` is not supported.
    UnsupportedCurve,
    /// `alg` is not supported.
    UnsupportedAlgorithm,
    /// `alg` is not for keys of this `kty` and `crv`.
    AlgorithmContradictsType,
    /// An RSA modulus that does not have 2048, 3072 or 4096 bits.
    WrongModulusLength,
    /// An RSA exponent that is even, below 65537 or beyond 64 bits.
    WeakExponent,
    /// The numbers are not a public key of this type.
    Invalid,
    /// Another key has the same `kid`.
    AmbiguousKeyId,
    /// It has no `kid` and is not the only key.
    NoKeyId,
}

impl fmt::Display for KeyReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed(name) => {
                return write!(formatter, "`{name}` is missing or malformed");
            }
            Self::NotAnObject => "not an object",
            Self::Symmetric => "symmetric keys are not supported",
            Self::Private => "the key has private members: replace it, it is compromised",
            Self::NotForSignatures => "`use` or `key_ops` is not for verifying signatures",
            Self::UnsupportedType => "`kty` is not supported",
            Self::UnsupportedCurve => "`crv` is not supported",
            Self::UnsupportedAlgorithm => "`alg` is not supported",
            Self::AlgorithmContradictsType => "`alg` contradicts `kty` or `crv`",
            Self::WrongModulusLength => "the modulus does not have 2048, 3072 or 4096 bits",
            Self::WeakExponent => "the public exponent is even, below 65537 or too large",
            Self::Invalid => "not a valid public key",
            Self::AmbiguousKeyId => "another key has the same `kid`",
            Self::NoKeyId => "without a `kid` it would have to be the only key",
        })
    }
}
