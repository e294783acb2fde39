//! The compact serialization of a JWS (RFC 7515 section 7.1) and its header (section 4).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{Algorithm, TokenError, keys::MAX_KEY_ID_BYTES};
use crate::json::{self, Limits};

/// The longest token that is read.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Header members that change what the signature means, or bring their own key. The thumbprint of one,
/// `x5t`, does not: the key is found by the issuer and `kid` all the same. None of these is supported,
/// and a token that depends on one must be refused (RFC 7515 section 4.1.11, RFC 7797 section 6, RFC
/// 8725 section 3.10).
const FORBIDDEN: [&str; 8] = ["crit", "b64", "zip", "cty", "jwk", "jku", "x5u", "x5c"];

/// A compact JWS in its parts. Nothing in it is verified.
pub(super) struct Compact<'a> {
    pub(super) header: Header,
    pub(super) payload: Map<String, Value>,
    /// What the signature is over: the first two parts as they were sent.
    pub(super) signing_input: &'a str,
    pub(super) signature: Vec<u8>,
}

/// What a JOSE header says that matters here.
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) token_type: Option<Box<str>>,
    pub(super) key_id: Option<Box<str>>,
}

impl<'a> Compact<'a> {
    /// Splits and decodes `token`.
    ///
    /// # Errors
    /// When it is too long, is not three parts of canonical unpadded base64url, when the first
    /// two are not JSON objects, or when the header asks for what is not supported.
    pub(super) fn parse(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(TokenError::NotCompact)?;
        let (header, payload) = signing_input.split_once('.').ok_or(TokenError::NotCompact)?;
        // A dot left in `payload`, as in the five parts of a JWE, is not in the alphabet.
        let [header, payload, signature] = [decode(header)?, decode(payload)?, decode(signature)?];
        Ok(Self {
            header: Header::parse(&header)?,
            payload: json::claims(&payload, &Limits::default())
                .map_err(|_| TokenError::MalformedClaims)?,
            signing_input,
            signature,
        })
    }
}

impl Header {
    fn parse(json: &[u8]) -> Result<Self, TokenError> {
        let members =
            json::object(json, &Limits::default()).map_err(|_| TokenError::MalformedHeader)?;
        if let Some(name) = FORBIDDEN.into_iter().find(|name| members.contains_key(*name)) {
            return Err(TokenError::ForbiddenHeaderMember(name));
        }
        let algorithm = members.get("alg").and_then(Value::as_str);
        let algorithm = algorithm.and_then(|name| name.parse().ok());
        Ok(Self {
            algorithm: algorithm.ok_or(TokenError::UnsupportedAlgorithm)?,
            token_type: text(&members, "typ")?,
            key_id: text(&members, "kid")?,
        })
    }
}

/// The header member `name`: absent, or a string that is neither empty nor long.
fn text(members: &Map<String, Value>, name: &'static str) -> Result<Option<Box<str>>, TokenError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if (1..=MAX_KEY_ID_BYTES).contains(&text.len()) => {
            Ok(Some(text.as_str().into()))
        }
        Some(_) => Err(TokenError::MalformedHeaderMember(name)),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::NotCompact)
}
