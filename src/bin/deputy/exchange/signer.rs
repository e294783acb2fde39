//! Signing by RSA, which Envoy does for the filter.

use mcp_deputy::exchange::client::Signer;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

/// This program itself.
#[derive(Debug)]
pub struct NativeSigner;

impl Signer for NativeSigner {
    fn sign_rs256(&self, private_key: &str, message: &[u8]) -> Option<Vec<u8>> {
        let key = match PrivateKeyDer::from_pem_slice(private_key.as_bytes()).ok()? {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return None,
        };
        let key = key.ok()?;
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
        Some(signature)
    }
}
