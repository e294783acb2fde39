//! Envoy's own signing.

use super::host_calls;
use crate::exchange::client::Signer;
use crate::token::envoy;

/// Envoy, from 1.37 on.
#[derive(Debug)]
pub struct EnvoySigner;

impl Signer for EnvoySigner {
    fn sign_rs256(&self, private_key: &str, message: &[u8]) -> Option<Vec<u8>> {
        let reply =
            host_calls::call_foreign_function("sign", &envoy::sign_request(private_key, message))?;
        envoy::signature(&reply).map(<[u8]>::to_vec)
    }
}
