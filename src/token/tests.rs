//! Tokens signed with the test keys of `tests/keys`, and what becomes of them.

mod claims;
mod header;
pub(super) mod host;
mod signature;

use jwt_compact::{
    AlgorithmSignature,
    alg::{Ed25519, Es256, Rsa},
    jwk::JsonWebKey,
};
use serde_json::{Value, json};

use super::*;

const RSA: &str = include_str!("../../tests/keys/rsa.jwk");
const P256: &str = include_str!("../../tests/keys/p256.jwk");
const P384: &str = include_str!("../../tests/keys/p384.jwk");
const ED25519: &str = include_str!("../../tests/keys/ed25519.jwk");

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://as.example";
const AUDIENCE: &str = "https://mcp.example/mcp";

fn jwk(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::ES256 => P256,
        Algorithm::ES384 => P384,
        Algorithm::EdDSA => ED25519,
        _ => RSA,
    }
}

/// The public half of a test key, named by its `kty`, or `P-384`.
pub(super) fn public(algorithm: Algorithm) -> Value {
    let mut key: Value = serde_json::from_str(jwk(algorithm)).unwrap();
    let members = key.as_object_mut().unwrap();
    members.retain(|name, _| !["d", "p", "q"].contains(&name.as_str()));
    let kid = if algorithm == Algorithm::ES384 { "crv" } else { "kty" };
    members.insert("kid".into(), members[kid].clone());
    key
}

fn issuer() -> Issuer {
    let algorithms = Algorithm::ALL.to_vec();
    let keys = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    let keys = keys.map(public);
    let (keys, problems) = KeySet::parse(&json!({ "keys": keys })).unwrap();
    assert_eq!(problems, []);
    Issuer { issuer: ISSUER.into(), keys, algorithms }
}

pub(super) fn expectations() -> Expectations {
    Expectations {
        audiences: vec![AUDIENCE.into()],
        endpoints: Vec::new(),
        exact_audience: false,
        token_types: vec!["at+jwt".into()],
        scope_claims: vec!["scope".into()],
        client_claims: vec!["client_id".into(), "azp".into()],
        client_required: false,
        kept_claims: Vec::new(),
        max_lifetime: 3600,
        leeway: 5,
        revoked: Revoked::default(),
    }
}

fn header(algorithm: Algorithm) -> Value {
    json!({ "alg": algorithm, "typ": "at+jwt", "kid": public(algorithm)["kid"] })
}

fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "sub": "alice",
        "aud": AUDIENCE,
        "exp": NOW + 300,
        "iat": NOW,
        "jti": "t-1",
        "client_id": "assistant",
        "scope": "pii:read ledger:read",
    })
}

/// `object` with the member `name` set, or without it.
fn with(mut object: Value, name: &str, value: impl Into<Option<Value>>) -> Value {
    let members = object.as_object_mut().unwrap();
    match value.into() {
        Some(value) => members.insert(name.into(), value),
        None => members.remove(name),
    };
    object
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A signature by the test key for `algorithm`.
fn signature(algorithm: Algorithm, message: &str) -> Vec<u8> {
    fn by<A: jwt_compact::Algorithm>(algorithm: &A, jwk: &str, message: &str) -> Vec<u8>
    where
        A::SigningKey: for<'a> TryFrom<&'a JsonWebKey<'a>, Error: std::fmt::Debug>,
    {
        let jwk: JsonWebKey<'_> = serde_json::from_str(jwk).unwrap();
        let key = A::SigningKey::try_from(&jwk).unwrap();
        algorithm.sign(&key, message.as_bytes()).as_bytes().into_owned()
    }
    match algorithm {
        Algorithm::ES256 => by(&Es256, P256, message),
        Algorithm::ES384 => {
            use p384::ecdsa::{Signature, SigningKey, signature::Signer};
            let jwk: Value = serde_json::from_str(P384).unwrap();
            let key = SigningKey::from_slice(&decode(jwk["d"].as_str().unwrap())).unwrap();
            let signature: Signature = key.sign(message.as_bytes());
            signature.to_vec()
        }
        Algorithm::EdDSA => by(&Ed25519, ED25519, message),
        rsa => by(&Rsa::with_name(rsa.as_str()), RSA, message),
    }
}

/// A token with this text as its header and payload, rightly signed.
fn sign_text(algorithm: Algorithm, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    format!("{input}.{}", encode(signature(algorithm, &input)))
}

fn sign(algorithm: Algorithm, header: &Value, claims: &Value) -> String {
    sign_text(algorithm, &header.to_string(), &claims.to_string())
}

fn verify(token: &str) -> Result<Claims, TokenError> {
    Unverified::parse(token)?.verify(&issuer(), &expectations(), &PureRust, NOW)
}

/// What becomes of an otherwise good token with these claims.
fn verify_claims(claims: &Value) -> Result<Claims, TokenError> {
    verify(&sign(Algorithm::EdDSA, &header(Algorithm::EdDSA), claims))
}

/// What becomes of an otherwise good token with this header.
fn verify_header(header: &Value) -> Result<Claims, TokenError> {
    verify(&sign(Algorithm::EdDSA, header, &claims()))
}

fn strings(values: &[Box<str>]) -> Vec<&str> {
    values.iter().map(AsRef::as_ref).collect()
}
