//! ES384 (RFC 7518 section 3.4), which `jwt-compact` does not have. It only verifies.

use std::{borrow::Cow, convert::Infallible, num::NonZeroUsize};

use jwt_compact::AlgorithmSignature;
use p384::ecdsa::{Signature, VerifyingKey, signature::Verifier};

/// ECDSA on P-384 with SHA-384.
pub(super) struct Es384;

/// r and s, both in range.
pub(super) struct Es384Signature(pub(super) Signature);

impl AlgorithmSignature for Es384Signature {
    const LENGTH: Option<NonZeroUsize> = NonZeroUsize::new(96);

    fn try_from_slice(slice: &[u8]) -> anyhow::Result<Self> {
        Signature::from_slice(slice).map(Self).map_err(anyhow::Error::msg)
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.to_bytes().to_vec())
    }
}

impl jwt_compact::Algorithm for Es384 {
    type SigningKey = Infallible;
    type VerifyingKey = VerifyingKey;
    type Signature = Es384Signature;

    fn name(&self) -> Cow<'static, str> {
        "ES384".into()
    }

    fn sign(&self, signing_key: &Infallible, _: &[u8]) -> Es384Signature {
        match *signing_key {}
    }

    fn verify_signature(
        &self,
        signature: &Es384Signature,
        verifying_key: &VerifyingKey,
        message: &[u8],
    ) -> bool {
        verifying_key.verify(message, &signature.0).is_ok()
    }
}
