//! The messages of Envoy's foreign functions `verify_signature` and `sign`. Calling them is the
//! adapter's business.
//!
//! They are those of `verify_signature.proto` and `sign.proto` in Envoy's
//! `source/extensions/common/wasm/ext`, in the encoding of Protocol Buffers: each field of a request
//! is a tag (its number, shifted by 3, and 2 for bytes), a length, and that many bytes.

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
    Some(encode(&[
        (HASH_FUNCTION, hash.as_bytes()),
        (PUBLIC_KEY, check.public_key),
        (SIGNATURE, check.signature),
        (TEXT, check.message),
    ]))
}

/// `SignArguments` for RS256: `hash_function = 1`, `text = 3` and `private_key_pem = 4`.
#[must_use]
pub fn sign_request(private_key: &str, text: &[u8]) -> Vec<u8> {
    encode(&[(1, b"sha256"), (3, text), (4, private_key.as_bytes())])
}

/// The signature in a `SignResult`: `bool result = 1` is true, then comes `bytes signature = 2`, and
/// there is no error.
#[must_use]
pub fn signature(reply: &[u8]) -> Option<&[u8]> {
    let [0x08, 0x01, 0x12, rest @ ..] = reply else { return None };
    let (length, signature) = match rest {
        [low, signature @ ..] if *low < 0x80 => (usize::from(*low), signature),
        [low, high, signature @ ..] if *high < 0x80 => {
            (usize::from(*high) << 7 | usize::from(low & 0x7f), signature)
        }
        _ => return None,
    };
    (signature.len() == length).then_some(signature)
}

fn encode(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, bytes) in fields {
        message.push(number << 3 | 2);
        push_varint(&mut message, bytes.len());
        message.extend_from_slice(bytes);
    }
    message
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
    fn a_request_to_sign_has_the_bytes_that_protobuf_asks_for() {
        assert_eq!(sign_request("pem", b"text"), b"\x0a\x06sha256\x1a\x04text\x22\x03pem");
    }

    #[test]
    fn a_signature_is_all_of_a_plain_success() {
        assert_eq!(signature(b"\x08\x01\x12\x03sig"), Some(&b"sig"[..]));
        let long = [&b"\x08\x01\x12\x80\x02"[..], &[b's'; 256]].concat();
        assert_eq!(signature(&long), Some(&[b's'; 256][..]));
        for other in [
            &b""[..],
            b"\x08\x01",
            b"\x08\x00\x12\x03sig",
            b"\x12\x03sig",
            b"\x08\x01\x12\x04sig",
            b"\x08\x01\x12\x02sig",
            b"\x08\x01\x12\x03sig\x1a\x01e",
            b"\x08\x01\x12\x83\x80\x00sig",
            b"\x1a\x01e",
        ] {
            assert_eq!(signature(other), None, "{other:02x?}");
        }
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
