//! The names of the signature algorithms.

use std::{error::Error, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The signature algorithms that are supported (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(transform = with_ed25519))]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes.
    PS256,
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes.
    PS384,
    /// RSASSA-PSS with SHA-512, MGF1 with SHA-512 and a salt of 64 bytes.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519. Other curves of `EdDSA` are not supported.
    #[serde(alias = "Ed25519")]
    EdDSA,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// The name of [`EdDSA`](Self::EdDSA) with this curve, which is to take its place (RFC 9864 section
    /// 2.2).
    pub(crate) const ED25519: &str = "Ed25519";

    /// The `alg` value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }
}

/// The schema with the alias, which `schemars` leaves out.
#[cfg(not(target_arch = "wasm32"))]
fn with_ed25519(schema: &mut schemars::Schema) {
    if let Some(names) = schema.get_mut("oneOf").and_then(serde_json::Value::as_array_mut) {
        names.push(serde_json::json!({
            "const": Algorithm::ED25519,
            "description": "The same by its own name (RFC 9864 section 2.2).",
            "type": "string",
        }));
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnsupportedAlgorithm;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == Self::ED25519 {
            return Ok(Self::EdDSA);
        }
        let mut all = Self::ALL.into_iter();
        all.find(|algorithm| algorithm.as_str() == name).ok_or(UnsupportedAlgorithm)
    }
}

/// An `alg` value that is none of [`Algorithm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsupportedAlgorithm;

impl fmt::Display for UnsupportedAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Algorithm::ALL.map(|algorithm| format!("`{algorithm}`")).join(", ");
        write!(formatter, "not one of {names}")
    }
}

impl Error for UnsupportedAlgorithm {}
