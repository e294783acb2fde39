//! Sessions bound to their user, without state: what the client holds is the MCP server's session id
//! sealed for one caller at one endpoint.
//!
//! A sealed id is `base64url(id) "." base64url(HMAC-SHA256(key, purpose, issuer, subject, client,
//! endpoint, id))`. MCP (2025-11-25, security best practices, session hijacking) asks servers to bind
//! session ids to the user, and never to authenticate by them: here each request is authenticated
//! first, and then its session must be the caller's own.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::config::{Environment, Problems, is_variable, pushed, secret};
use crate::request::{Headers, NotOne};
use crate::token::Caller;

/// The header that carries a session id, both ways (MCP 2025-11-25, Streamable HTTP, session
/// management).
pub const HEADER: &str = "mcp-session-id";

/// The longest id of an MCP server's that is sealed, in bytes.
const ID_BYTES: usize = 512;

/// The length of an HMAC-SHA256.
const SEAL_BYTES: usize = 32;

/// The longest sealed id: the longest id and the seal in base64url, and the dot.
const SEALED_BYTES: usize = 684 + 43 + 1;

/// The shortest text of a key, in bytes: no less than the hash (RFC 2104 section 3).
const KEY_BYTES: usize = 32;

/// What kind of id is sealed. One kind never passes for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A session's.
    Session,
    /// A task's.
    Task,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Task => "task",
        }
    }
}

/// For whom and where an id is good.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// What kind of id.
    pub purpose: Purpose,
    /// The caller's `iss`.
    pub issuer: &'a str,
    /// The caller's `sub`.
    pub subject: &'a str,
    /// The caller's client; empty if the token names none.
    pub client: &'a str,
    /// The endpoint's path.
    pub endpoint: &'a str,
}

impl<'a> Binding<'a> {
    /// For a caller, at the endpoint with this path.
    #[must_use]
    pub fn new(purpose: Purpose, caller: &'a Caller, endpoint: &'a str) -> Self {
        let claims = &caller.claims;
        Self {
            purpose,
            issuer: &claims.issuer,
            subject: &claims.subject,
            client: claims.client.as_deref().unwrap_or_default(),
            endpoint,
        }
    }
}

/// Why a session id is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionError {
    /// There is no key to seal with.
    NotConfigured,
    /// From a client: not exactly one sealed id. From the MCP server: an id that cannot be sealed.
    Malformed,
    /// Not sealed for this caller at this endpoint by a key that is known.
    Foreign,
    /// Events of a stream are asked for again (`Last-Event-ID`) without saying of which session.
    Missing,
}

impl SessionError {
    /// One word for the audit record.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotConfigured => "sessions_not_configured",
            Self::Malformed => "malformed_session",
            Self::Foreign => "foreign_session",
            Self::Missing => "missing_session",
        }
    }
}

impl From<NotOne> for SessionError {
    fn from(NotOne: NotOne) -> Self {
        Self::Malformed
    }
}

/// The keys that seal ids. The first one seals; all of them unseal, so that keys can rotate.
///
/// Without a key nothing can be sealed and nothing is accepted.
#[derive(Default)]
pub struct SessionKeys(Vec<Hmac<Sha256>>);

impl fmt::Debug for SessionKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SessionKeys({})", self.0.len())
    }
}

impl SessionKeys {
    /// Takes the keys from the environment; without one, checks their names alone.
    pub fn compile(
        raw: Option<&pushed::Sessions>,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Self {
        let Some(raw) = raw else { return Self::default() };
        let names = &raw.keys_from_environment;
        if names.is_empty() {
            problems.add("sessions.keys_from_environment", "at least one is needed");
        }
        let mut seen = BTreeSet::new();
        let mut keys = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let path = format!("sessions.keys_from_environment[{index}]");
            if is_variable(name) && !seen.insert(name) {
                problems.add(path, format!("`{name}` is listed twice"));
                continue;
            }
            let text = secret(name, "DEPUTY_SESSION_KEY", &path, environment, problems);
            match text.map(|text| key(&text)) {
                None => {}
                Some(Ok(key)) => keys.push(key),
                Some(Err(message)) => {
                    let help = "make one with `openssl rand -base64 32`";
                    problems.add_with_help(path, format!("`{name}` {message}"), help);
                }
            }
        }
        Self(keys)
    }

    /// These keys, for tests.
    #[cfg(test)]
    pub(crate) fn of(texts: &[&str]) -> Self {
        Self(texts.iter().map(|text| key(text).unwrap()).collect())
    }

    /// The id that a client may hold for an MCP server's `id`.
    ///
    /// # Errors
    /// There is no key, or `id` is none that MCP allows: 1 to 512 visible ASCII characters.
    pub fn seal(&self, binding: Binding, id: &str) -> Result<String, SessionError> {
        let key = self.0.first().ok_or(SessionError::NotConfigured)?;
        if !is_id(id) {
            return Err(SessionError::Malformed);
        }
        let seal = authenticate(key, binding, id).finalize().into_bytes();
        Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(id), URL_SAFE_NO_PAD.encode(seal)))
    }

    /// The MCP server's id in a sealed one.
    ///
    /// # Errors
    /// It is not of this form, or not sealed for this binding.
    pub fn unseal(&self, binding: Binding, sealed: &str) -> Result<String, SessionError> {
        if self.0.is_empty() {
            return Err(SessionError::NotConfigured);
        }
        let (id, seal) = parse(sealed).ok_or(SessionError::Malformed)?;
        let verifies = |key| authenticate(key, binding, &id).verify_slice(&seal).is_ok();
        if self.0.iter().any(verifies) { Ok(id) } else { Err(SessionError::Foreign) }
    }

    /// The MCP server's session id in a request's headers, if it names a session.
    ///
    /// # Errors
    /// The header is repeated, or it holds no session of this caller's at this endpoint.
    pub fn of_request(
        &self,
        binding: Binding,
        headers: Headers,
    ) -> Result<Option<String>, SessionError> {
        headers.one(HEADER)?.map(|sealed| self.unseal(binding, sealed)).transpose()
    }

    /// The session id for the client in place of the one in an answer's headers, if there is one.
    ///
    /// # Errors
    /// The header is repeated, or it cannot be sealed.
    pub fn of_response(
        &self,
        binding: Binding,
        headers: Headers,
    ) -> Result<Option<String>, SessionError> {
        headers.one(HEADER)?.map(|id| self.seal(binding, id)).transpose()
    }
}

fn key(text: &str) -> Result<Hmac<Sha256>, String> {
    if text.len() < KEY_BYTES {
        return Err(format!("is shorter than {KEY_BYTES} bytes"));
    }
    // HMAC takes a key of any length.
    Hmac::new_from_slice(text.as_bytes()).map_err(|error| error.to_string())
}

/// MCP 2025-11-25, session management: visible ASCII (0x21 to 0x7E).
fn is_id(text: &str) -> bool {
    (1..=ID_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn parse(sealed: &str) -> Option<(String, Vec<u8>)> {
    let (id, seal) = sealed.split_once('.').filter(|_| sealed.len() <= SEALED_BYTES)?;
    let id = String::from_utf8(URL_SAFE_NO_PAD.decode(id).ok()?).ok().filter(|id| is_id(id))?;
    let seal = URL_SAFE_NO_PAD.decode(seal).ok().filter(|seal| seal.len() == SEAL_BYTES)?;
    Some((id, seal))
}

/// The MAC over every part with its length before it, so that no two bindings read alike.
fn authenticate(key: &Hmac<Sha256>, binding: Binding, id: &str) -> Hmac<Sha256> {
    let Binding { purpose, issuer, subject, client, endpoint } = binding;
    let mut mac = key.clone();
    for part in [purpose.label(), issuer, subject, client, endpoint, id] {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const SARAH: Binding = Binding {
        purpose: Purpose::Session,
        issuer: "https://login.example",
        subject: "sarah",
        client: "cli",
        endpoint: "/mcp",
    };

    const ID: &str = "1868a90c-70b0-4f30-9a0b-2e2a8c2f1f4e";

    fn keys(texts: &[&str]) -> SessionKeys {
        SessionKeys::of(texts)
    }

    const NEW: &str = "a key that is new and long enough";
    const OLD: &str = "a key that is old and long enough";

    #[test]
    fn what_is_sealed_can_be_unsealed_and_is_visible_ascii() {
        let keys = keys(&[NEW]);
        for id in [ID, "!", "~", &"x".repeat(512), "a.b", "\"quoted\",;="] {
            let sealed = keys.seal(SARAH, id).unwrap();
            assert_eq!(keys.unseal(SARAH, &sealed).as_deref(), Ok(id));
            assert_eq!(keys.seal(SARAH, id).unwrap(), sealed, "same input, same answer");
            assert!(sealed.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','), "{sealed}");
            assert!(sealed.len() <= SEALED_BYTES);
        }
    }

    #[test]
    fn the_seal_is_hmac_sha_256() {
        // Computed with Python's `hmac`, over each part after its length as eight bytes.
        let sealed = keys(&[NEW]).seal(SARAH, "abc").unwrap();
        assert_eq!(sealed, "YWJj.JmlHvOedTo2sVMdqWIgw5JrnMP6cRNitlGv6QOKOfvs");
    }

    #[test]
    fn ids_that_mcp_does_not_allow_are_not_sealed() {
        let keys = keys(&[NEW]);
        for id in ["", " ", "a b", "a\n", "a\u{7f}", "é", &"x".repeat(513)] {
            assert_eq!(keys.seal(SARAH, id), Err(SessionError::Malformed), "{id:?}");
        }
    }

    #[test]
    fn s01_nobody_else_and_nowhere_else() {
        let keys = keys(&[NEW]);
        let sealed = keys.seal(SARAH, ID).unwrap();
        for binding in [
            Binding { purpose: Purpose::Task, ..SARAH },
            Binding { issuer: "https://login.example2", ..SARAH },
            Binding { subject: "john", ..SARAH },
            Binding { subject: "Sarah", ..SARAH },
            Binding { client: "web", ..SARAH },
            Binding { client: "", ..SARAH },
            Binding { endpoint: "/mcp2", ..SARAH },
            // The same characters, otherwise divided.
            Binding { issuer: "https://login.examples", subject: "arah", ..SARAH },
            Binding { subject: "sarahc", client: "li", ..SARAH },
        ] {
            assert_eq!(keys.unseal(binding, &sealed), Err(SessionError::Foreign), "{binding:?}");
        }
    }

    #[test]
    fn every_changed_bit_is_refused() {
        let keys = keys(&[NEW]);
        let sealed = keys.seal(SARAH, ID).unwrap();
        for index in 0..sealed.len() {
            for bit in 0..8 {
                let mut bytes = sealed.clone().into_bytes();
                bytes[index] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert!(keys.unseal(SARAH, &changed).is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_malformed() {
        let keys = keys(&[NEW]);
        let sealed = keys.seal(SARAH, ID).unwrap();
        let (id, seal) = sealed.split_once('.').unwrap();
        for text in [
            "",
            ".",
            ID,
            id,
            &format!("{id}.{seal}="),
            &format!("{id}.{seal}.{seal}"),
            &format!("{id}..{seal}"),
            &format!("{id}."),
            &format!("{id}.{}", &seal[..16]),
            &format!(".{seal}"),
            &format!(" {sealed}"),
            &format!("{sealed},{sealed}"),
            &"A".repeat(100_000),
            &format!("{}.{seal}", "A".repeat(1_000)),
        ] {
            assert_eq!(keys.unseal(SARAH, text), Err(SessionError::Malformed), "{text:.80}");
        }
    }

    #[test]
    fn keys_rotate() {
        let (before, during, after) = (keys(&[OLD]), keys(&[NEW, OLD]), keys(&[NEW]));
        let old = before.seal(SARAH, ID).unwrap();
        let new = during.seal(SARAH, ID).unwrap();
        assert_eq!(during.unseal(SARAH, &old).as_deref(), Ok(ID));
        assert_eq!(during.unseal(SARAH, &new).as_deref(), Ok(ID));
        assert_eq!(after.unseal(SARAH, &new).as_deref(), Ok(ID));
        assert_eq!(after.unseal(SARAH, &old), Err(SessionError::Foreign));
        assert_eq!(before.unseal(SARAH, &new), Err(SessionError::Foreign));
    }

    #[test]
    fn without_a_key_nothing_is_sealed_and_nothing_accepted() {
        let (none, some) = (SessionKeys::default(), keys(&[NEW]));
        assert_eq!(none.seal(SARAH, ID), Err(SessionError::NotConfigured));
        let sealed = some.seal(SARAH, ID).unwrap();
        assert_eq!(none.unseal(SARAH, &sealed), Err(SessionError::NotConfigured));
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(format!("{:?}", keys(&[NEW, OLD])), "SessionKeys(2)");
    }
}
