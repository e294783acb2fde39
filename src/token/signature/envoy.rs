//! The messages of Envoy's foreign function `verify_signature`. Calling it is the adapter's business.
//!
//! They are those of Envoy's `source/extensions/common/wasm/ext/verify_signature.proto`, in the
//! encoding of Protocol Buffers: each field of the request is a tag (its number, shifted by 3, and 2
//! for bytes), a length, and that many bytes.

use super::SignatureCheck;
use crate::token::Algorithm;

/// `string hash_function = 1`.
const HASH_FUNCTION: u8 = 1;
/// `bytes public_key = 2`, a DER `SubjectPublicKeyInfo`.
const PUBLIC_KEY: u8 = 2;
/// `bytes signature = 3`, of ECDSA in DER.
const SIGNATURE: u8 = 3;
/// `bytes text = 4`.
const TEXT: u8 = 4;

/// `VerifySignatureArguments`. None if Envoy does not do the algorithm: it knows neither PSS nor
/// Ed25519.
#[must_use]
pub fn request(check: &SignatureCheck<'_>) -> Option<Vec<u8>> {
    let hash = match check.algorithm {
        Algorithm::RS256 | Algorithm::ES256 => "sha256",
        Algorithm::RS384 | Algorithm::ES384 => "sha384",
        Algorithm::RS512 => "sha512",
        Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 | Algorithm::EdDSA => return None,
    };
    let mut message = Vec::new();
    for (number, bytes) in [
        (HASH_FUNCTION, hash.as_bytes()),
        (PUBLIC_KEY, check.public_key),
        (SIGNATURE, check.signature),
        (TEXT, check.message),
    ] {
        message.push(number << 3 | 2);
        push_varint(&mut message, bytes.len());
        message.extend_from_slice(bytes);
    }
    Some(message)
}

/// Whether a `VerifySignatureResult` says yes: `bool result = 1` is true, and there is no error.
#[must_use]
pub fn is_yes(reply: &[u8]) -> bool {
    reply == [0x08, 0x01]
}

/// Seven bits a byte, the lowest first, with the eighth set where more follow.
fn push_varint(message: &mut Vec<u8>, value: usize) {
    let mut rest = value;
    while rest > 0x7f {
        message.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    message.push(rest.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_bytes_that_protobuf_asks_for() {
        let check = SignatureCheck {
            algorithm: Algorithm::ES384,
            public_key: &[0x30, 0x00],
            message: &[b'm'; 300],
            signature: b"sig",
        };
        let expected = [
            b"\x0a\x06sha384".as_slice(),
            b"\x12\x02\x30\x00",
            b"\x1a\x03sig",
            b"\x22\xac\x02",
            &[b'm'; 300],
        ];
        assert_eq!(request(&check), Some(expected.concat()));
    }

    #[test]
    fn lengths_are_varints() {
        let of = |value| {
            let mut message = Vec::new();
            push_varint(&mut message, value);
            message
        };
        assert_eq!(of(0), [0]);
        assert_eq!(of(127), [0x7f]);
        assert_eq!(of(128), [0x80, 0x01]);
        assert_eq!(of(300), [0xac, 0x02]);
        assert_eq!(of(16_384), [0x80, 0x80, 0x01]);
    }

    #[test]
    fn nothing_but_a_plain_yes_is_one() {
        assert!(is_yes(&[0x08, 0x01]));
        for other in [
            &[][..],
            &[0x08],
            &[0x08, 0x00],
            &[0x08, 0x02],
            &[0x08, 0x01, 0x12, 0x01, b'e'],
            &[0x12, 0x01, b'e'],
            &[0x08, 0x01, 0x08, 0x00],
        ] {
            assert!(!is_yes(other), "{other:02x?}");
        }
    }
}
