//! The headers that mirror the body (MCP 2026-07-28, transports): whoever reads the body must
//! refuse those that say something else.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Object, Operation};
use crate::request::Headers;

/// The revision that made the mirrored headers binding.
const STATELESS: &str = "2026-07-28";
const VERSIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", STATELESS];

/// What a request's headers say of its body.
#[derive(Debug, Default)]
pub struct MirroredHeaders {
    version: Option<Box<str>>,
    method: Option<Box<str>>,
    name: Option<Box<str>>,
}

/// Why the headers and the body do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// A mirrored header is missing, repeated, malformed or different from the body.
    Mismatch,
    /// No known revision of the protocol.
    UnsupportedVersion,
}

impl HeaderError {
    /// The JSON-RPC code (MCP 2026-07-28).
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Mismatch => -32020,
            Self::UnsupportedVersion => -32022,
        }
    }

    /// One word for the audit record.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Mismatch => "header_mismatch",
            Self::UnsupportedVersion => "unsupported_version",
        }
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Mismatch => "The MCP headers do not match the body.",
            Self::UnsupportedVersion => "Unsupported protocol version.",
        })
    }
}

impl MirroredHeaders {
    /// Reads them.
    ///
    /// # Errors
    /// A repeated or unreadable one, or an unknown version.
    pub fn read(headers: Headers) -> Result<Self, HeaderError> {
        let one = |name: &str| -> Result<Option<Box<str>>, HeaderError> {
            let mut values = headers.all(name);
            match (values.next(), values.next()) {
                (None, _) => Ok(None),
                (Some(value), None) => match std::str::from_utf8(value) {
                    Ok(text) => Ok(Some(text.into())),
                    Err(_) => Err(HeaderError::Mismatch),
                },
                _ => Err(HeaderError::Mismatch),
            }
        };
        let version = one("mcp-protocol-version")?;
        if version.as_ref().is_some_and(|version| !VERSIONS.contains(&&**version)) {
            return Err(HeaderError::UnsupportedVersion);
        }
        Ok(Self { version, method: one("mcp-method")?, name: one("mcp-name")? })
    }

    /// The names of those that this revision does not know: a server must not see them either.
    #[must_use]
    pub fn meaningless(&self) -> Vec<String> {
        if self.is_stateless() {
            return Vec::new();
        }
        let named = [("mcp-method", &self.method), ("mcp-name", &self.name)];
        named.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| (*name).into()).collect()
    }

    /// Holds them against the body.
    ///
    /// # Errors
    /// A mismatch, in the revision that has these headers.
    pub fn check(&self, operation: &Operation) -> Result<(), HeaderError> {
        let body_version = operation.protocol_version.as_deref();
        let agree = match (self.version.as_deref(), body_version) {
            (Some(header), Some(body)) => header == body,
            (None, Some(body)) => body != STATELESS,
            _ => true,
        };
        if !agree {
            return Err(HeaderError::Mismatch);
        }
        if !self.is_stateless() {
            return Ok(());
        }
        if self.method.as_deref() != Some(operation.method.as_str()) {
            return Err(HeaderError::Mismatch);
        }
        let name = self.name.as_deref().map(decode).transpose()?;
        let required = match &operation.object {
            Some(Object::Tool(name) | Object::Prompt(name) | Object::Resource(name)) => {
                Some(&**name)
            }
            _ => None,
        };
        match (required, name.as_deref()) {
            (Some(required), Some(name)) if required == name => Ok(()),
            (None, _) => Ok(()),
            _ => Err(HeaderError::Mismatch),
        }
    }

    /// Whether the request is of the revision that has no sessions.
    #[must_use]
    pub fn is_stateless(&self) -> bool {
        self.version.as_deref() == Some(STATELESS)
    }
}

/// Undoes `=?base64?...?=`, in canonical base64 only.
fn decode(value: &str) -> Result<Box<str>, HeaderError> {
    let Some(rest) = value.strip_prefix("=?") else { return Ok(value.into()) };
    let encoded = rest.strip_prefix("base64?").and_then(|rest| rest.strip_suffix("?="));
    let decoded = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Into::into).ok_or(HeaderError::Mismatch)
}
