//! A host that checks signatures, from nothing but what it is given.

use jwt_compact::{
    Algorithm as _, AlgorithmSignature,
    alg::{Rsa, RsaPublicKey},
};
use p256::pkcs8::DecodePublicKey;
use p384::ecdsa::signature::Verifier;

use crate::token::{Algorithm, SignatureCheck, SignatureVerifier};

/// Does what Envoy does, and panics over what nobody may ask a host.
#[derive(Debug)]
pub(in crate::token) struct Host;

impl SignatureVerifier for Host {
    fn verify(&self, check: &SignatureCheck<'_>) -> Option<bool> {
        let SignatureCheck { algorithm, public_key, message, signature } = *check;
        Some(match algorithm {
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => {
                let key = RsaPublicKey::from_public_key_der(public_key).unwrap();
                let signature = AlgorithmSignature::try_from_slice(signature).unwrap();
                Rsa::with_name(algorithm.as_str()).verify_signature(&signature, &key, message)
            }
            Algorithm::ES256 => {
                let key = p256::ecdsa::VerifyingKey::from_public_key_der(public_key).unwrap();
                let signature = p256::ecdsa::Signature::from_der(signature).unwrap();
                key.verify(message, &signature).is_ok()
            }
            Algorithm::ES384 => {
                let key = p384::ecdsa::VerifyingKey::from_public_key_der(public_key).unwrap();
                let signature = p384::ecdsa::Signature::from_der(signature).unwrap();
                key.verify(message, &signature).is_ok()
            }
            Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 | Algorithm::EdDSA => {
                return None;
            }
        })
    }
}
