//! How this gateway authenticates at the token endpoint.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use form_urlencoded::{Serializer, byte_serialize};
use jwt_compact::alg::{Ed25519, Es256};
use jwt_compact::{Algorithm, AlgorithmSignature};
use jwt_compact::{alg::SecretBytes, jwk::JsonWebKey};
use serde_json::json;

use super::Purpose;
use super::source::{ClientAuthentication, PrivateKey, Secret};
use crate::clock::Now;
use crate::config::{Environment, Problems, plain_secret, secret};
use crate::fingerprint::fingerprint;
use crate::token;

/// This gateway as a client of the authorization server.
#[derive(Debug)]
pub struct Client {
    /// Its `client_id`.
    pub id: Box<str>,
    authentication: Authentication,
}

#[derive(Debug)]
enum Authentication {
    /// Envoy does it.
    Injected,
    /// The form says who it is, and no more.
    Named,
    Post(Hidden),
    Basic(Hidden),
    Assertion {
        key: SigningKey,
        key_id: Option<Box<str>>,
        audience: Box<str>,
    },
    /// Its secret is not known here: nothing is ever sent.
    Unknown,
}

/// A secret, which is not printed.
struct Hidden(Box<str>);

impl fmt::Debug for Hidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("hidden")
    }
}

/// Signs outside of this crate, by keys of the type that it has no safe code for: RSA
/// (RUSTSEC-2023-0071). Like the clock, it is passed in.
pub trait Signer: fmt::Debug {
    /// The RS256 signature of a message (RFC 7518 section 3.3) by a private key in PEM (RFC 7468).
    /// None if it cannot make one.
    fn sign_rs256(&self, private_key: &str, message: &[u8]) -> Option<Vec<u8>>;
}

/// Nobody signs by RSA here.
#[derive(Clone, Copy, Debug)]
pub struct NoSigner;

impl Signer for NoSigner {
    fn sign_rs256(&self, _: &str, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

enum SigningKey {
    Es256(<Es256 as Algorithm>::SigningKey),
    /// With the name that the JWK gives the algorithm.
    EdDsa(<Ed25519 as Algorithm>::SigningKey, &'static str),
    /// RSA, in PEM.
    Rs256(Hidden),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.algorithm())
    }
}

impl SigningKey {
    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::EdDsa(_, name) => name,
            Self::Rs256(_) => "RS256",
        }
    }

    fn sign(&self, input: &[u8], signer: &dyn Signer) -> Option<Vec<u8>> {
        match self {
            Self::Es256(key) => Some(Es256.sign(key, input).as_bytes().into_owned()),
            Self::EdDsa(key, _) => Some(Ed25519.sign(key, input).as_bytes().into_owned()),
            Self::Rs256(key) => signer.sign_rs256(&key.0, input),
        }
    }
}

/// The length of a signature by an RSA key of 2048 bits.
const SHORTEST_RSA_SIGNATURE: usize = 256;

/// How long an assertion is good for, in seconds.
const ASSERTION_LIFETIME: u64 = 60;

/// RFC 7523 section 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a variable with a secret may be called.
const CLIENT_SECRET: &str = "DEPUTY_CLIENT_SECRET";

impl Client {
    /// Reads what is written at `path`; what is wrong goes to `problems`.
    pub fn compile(
        source: &ClientAuthentication,
        id: &str,
        path: &str,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Self {
        let mut hidden = |name: &str, secret: &Secret| {
            let path = format!("{path}.{name}.from_environment");
            let name = &secret.from_environment;
            let secret = plain_secret(name, CLIENT_SECRET, &path, environment, problems)?;
            Some(Hidden(secret.into()))
        };
        let authentication = match source {
            ClientAuthentication::Injected => Authentication::Injected,
            ClientAuthentication::Mtls | ClientAuthentication::None => Authentication::Named,
            ClientAuthentication::ClientSecretPost(secret) => hidden("client_secret_post", secret)
                .map_or(Authentication::Unknown, Authentication::Post),
            ClientAuthentication::ClientSecretBasic(secret) => {
                hidden("client_secret_basic", secret)
                    .map_or(Authentication::Unknown, Authentication::Basic)
            }
            ClientAuthentication::PrivateKeyJwt(key) => {
                let path = format!("{path}.private_key_jwt");
                assertion(key, &path, environment, problems)
            }
        };
        Self { id: id.into(), authentication }
    }

    /// Whether `signer` can sign by the key that this client has, if it needs one for that.
    #[must_use]
    pub fn can_sign(&self, signer: &dyn Signer) -> bool {
        let Authentication::Assertion { key: key @ SigningKey::Rs256(_), .. } =
            &self.authentication
        else {
            return true;
        };
        // One that is shorter is of a key that is too short, or of another type.
        let is_signature = |signature: Vec<u8>| signature.len() >= SHORTEST_RSA_SIGNATURE;
        key.sign(b"", signer).is_some_and(is_signature)
    }

    /// Adds to a token request what says who asks: to the form, or as the value of the header
    /// `Authorization`, which it gives. `purpose` makes an assertion's `jti` unlike that of any other
    /// request of the same moment.
    pub(super) fn authenticate(
        &self,
        form: &mut Serializer<'_, String>,
        purpose: &Purpose,
        signer: &dyn Signer,
        now: Now,
    ) -> Option<Box<str>> {
        match &self.authentication {
            Authentication::Injected | Authentication::Unknown => {}
            Authentication::Named => {
                form.append_pair("client_id", &self.id);
            }
            Authentication::Post(secret) => {
                form.append_pair("client_id", &self.id).append_pair("client_secret", &secret.0);
            }
            Authentication::Basic(secret) => {
                // RFC 6749 section 2.3.1: each is encoded before they are joined.
                let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let credentials = format!("{}:{}", encode(&self.id), encode(&secret.0));
                return Some(format!("Basic {}", STANDARD.encode(credentials)).into());
            }
            Authentication::Assertion { key, key_id, audience } => {
                let issued_at = now.unix_seconds();
                let (unix, monotonic) = (now.unix.as_nanos(), now.monotonic.as_nanos());
                let unique = format!("{unix}\n{monotonic}\n{purpose:?}");
                let mut header = json!({"alg": key.algorithm(), "typ": "JWT"});
                if let (Some(key_id), Some(header)) = (key_id, header.as_object_mut()) {
                    header.insert("kid".to_owned(), (**key_id).into());
                }
                let claims = json!({
                    "iss": self.id,
                    "sub": self.id,
                    "aud": audience,
                    "iat": issued_at,
                    "exp": issued_at.saturating_add(ASSERTION_LIFETIME),
                    "jti": fingerprint(unique.as_bytes()),
                });
                let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
                let input = format!("{}.{}", encode(&header), encode(&claims));
                // That a key can sign was tried at push. If it cannot after all, the server says no.
                let signature = key.sign(input.as_bytes(), signer).unwrap_or_default();
                let signature = URL_SAFE_NO_PAD.encode(signature);
                form.append_pair("client_id", &self.id)
                    .append_pair("client_assertion_type", JWT_BEARER)
                    .append_pair("client_assertion", &format!("{input}.{signature}"));
            }
        }
        None
    }
}

fn assertion(
    source: &PrivateKey,
    path: &str,
    environment: Option<Environment>,
    problems: &mut Problems,
) -> Authentication {
    if source.audience.is_empty() {
        let help = "write the authorization server's issuer, or its token endpoint";
        problems.add_with_help(format!("{path}.audience"), "it is empty", help);
    }
    let path = format!("{path}.from_environment");
    let name = &source.from_environment;
    let Some(text) = secret(name, CLIENT_SECRET, &path, environment, problems) else {
        return Authentication::Unknown;
    };
    let Some((key, key_id)) = private_key(&text) else {
        let help = "set it to a private JWK of the type EC with the curve P-256, or OKP with \
                    Ed25519, or to a private RSA key in PEM";
        problems.add_with_help(path, format!("`{name}` holds no private key"), help);
        return Authentication::Unknown;
    };
    let key_id = source.key_id.as_deref().map(Into::into).or(key_id);
    Authentication::Assertion { key, key_id, audience: source.audience.as_str().into() }
}

fn private_key(text: &str) -> Option<(SigningKey, Option<Box<str>>)> {
    if text.trim_start().starts_with("-----BEGIN ") {
        return Some((SigningKey::Rs256(Hidden(text.into())), None));
    }
    let members: serde_json::Value = serde_json::from_str(text).ok()?;
    let member = |name| members.get(name).and_then(serde_json::Value::as_str);
    let bytes = |name| member(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let (curve, x) = (member("crv")?.into(), bytes("x")?.into());
    let secret = Some(SecretBytes::owned(bytes("d")?));
    let key = match member("kty")? {
        "EC" => {
            let jwk = JsonWebKey::EllipticCurve { curve, x, y: bytes("y")?.into(), secret };
            SigningKey::Es256((&jwk).try_into().ok()?)
        }
        "OKP" => {
            let jwk = JsonWebKey::KeyPair { curve, x, secret };
            // Older servers know the older name alone.
            let name = match member("alg") {
                Some(token::Algorithm::ED25519) => token::Algorithm::ED25519,
                _ => "EdDSA",
            };
            SigningKey::EdDsa((&jwk).try_into().ok()?, name)
        }
        _ => return None,
    };
    Some((key, member("kid").map(Into::into)))
}
