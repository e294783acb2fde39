//! The headers that mirror the body (MCP 2026-07-28, transports): whoever reads the body must
//! refuse those that say something else.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Method, Object, Operation, Revision, Task, UnsupportedRevision};
use crate::request::{Headers, NotOne};
use crate::session;

/// How the names of headers begin that mirror an argument, in lower case; the rest is the tool's to say.
pub const ARGUMENT_HEADER: &str = "mcp-param-";

/// What a request's headers say of its body.
#[derive(Debug, Default)]
pub struct MirroredHeaders {
    revision: Revision,
    /// They name no revision, and the one that is meant then is not served.
    is_unserved: bool,
    method: Option<Box<str>>,
    name: Option<Box<str>>,
}

/// Why the headers and the body do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderError {
    /// A mirrored header is missing, repeated, malformed or different from the body.
    Mismatch,
    /// No revision of the protocol that is served.
    UnsupportedRevision(UnsupportedRevision),
}

impl HeaderError {
    /// The JSON-RPC code (MCP 2026-07-28).
    #[must_use]
    pub const fn code(&self) -> i64 {
        match self {
            Self::Mismatch => -32020,
            Self::UnsupportedRevision(_) => UnsupportedRevision::CODE,
        }
    }

    /// One word for the audit record.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Mismatch => "header_mismatch",
            Self::UnsupportedRevision(_) => "unsupported_version",
        }
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch => out.write_str("The MCP headers do not match the body."),
            Self::UnsupportedRevision(cause) => cause.fmt(out),
        }
    }
}

impl MirroredHeaders {
    /// Reads them, at an endpoint where these revisions are `served`.
    ///
    /// # Errors
    /// A repeated or unreadable one, or a revision that is not served.
    pub fn read(headers: Headers, served: &[Revision]) -> Result<Self, HeaderError> {
        let one = |name: &str| headers.one(name).map_err(|NotOne| HeaderError::Mismatch);
        let name = one("mcp-protocol-version")?;
        let named = name.map(|name| Revision::from_name(name, served)).transpose();
        let named = named.map_err(HeaderError::UnsupportedRevision)?;
        let revision = named.unwrap_or_default();
        let is_unserved = !served.contains(&revision);
        let [method, name] = [one("mcp-method")?, one("mcp-name")?].map(|one| one.map(Into::into));
        Ok(Self { revision, is_unserved, method, name })
    }

    /// Whether the revision is served to a message, `operation` if it is one. `initialize` comes before a
    /// revision is agreed on, and so without the header.
    ///
    /// # Errors
    /// It is not: the header is missing, or no revision is served that has `initialize`.
    pub fn check_revision(
        &self,
        operation: Option<&Operation>,
        served: &[Revision],
    ) -> Result<(), HeaderError> {
        if !self.is_unserved {
            return Ok(());
        }
        let initialize = operation.filter(|one| one.method == Method::Initialize);
        let initialize = initialize.ok_or(HeaderError::Mismatch)?;
        if served.iter().any(|revision| !revision.is_stateless()) {
            return Ok(());
        }
        let offered = initialize.offers.as_ref().map_or("", |offer| &*offer.name);
        Err(HeaderError::UnsupportedRevision(UnsupportedRevision::new(offered, served)))
    }

    /// The revision by whose rules the request is judged.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The names of those that this revision does not know: a server must not see them either.
    #[must_use]
    pub fn meaningless(&self, headers: Headers) -> Vec<String> {
        let is_meaningless = |name: &&str| {
            if self.revision.is_stateless() {
                [session::HEADER, "last-event-id"].contains(name)
            } else {
                ["mcp-method", "mcp-name"].contains(name) || name.starts_with(ARGUMENT_HEADER)
            }
        };
        headers.0.iter().map(|(name, _)| *name).filter(is_meaningless).map(str::to_owned).collect()
    }

    /// Holds them against the body. The revision is [`read`](super::read)'s to compare.
    ///
    /// A request must have them. What a notification has must match; which it must have, the
    /// specification leaves open.
    ///
    /// # Errors
    /// A mismatch, in the revision that has these headers.
    pub fn check(&self, operation: &Operation) -> Result<(), HeaderError> {
        if !self.revision.is_stateless() {
            return Ok(());
        }
        let method = self.method.as_deref();
        let name = self.name.as_deref().map(decode).transpose()?;
        let names_method = method == Some(operation.method.as_str())
            || method.is_none() && operation.method.is_notification();
        let mirrored = mirrored_name(operation);
        if names_method && (mirrored.is_none() || mirrored == name.as_deref()) {
            Ok(())
        } else {
            Err(HeaderError::Mismatch)
        }
    }
}

/// What `Mcp-Name` must say.
fn mirrored_name(operation: &Operation) -> Option<&str> {
    match (operation.method, &operation.object) {
        (
            Method::ToolsCall
            | Method::PromptsGet
            | Method::ResourcesRead
            | Method::TasksGet
            | Method::TasksUpdate
            | Method::TasksCancel,
            Some(
                Object::Tool(name)
                | Object::Prompt(name)
                | Object::Resource(name)
                | Object::Task(Task { id: name, .. }),
            ),
        ) => Some(name),
        _ => None,
    }
}

/// What `Mcp-Name` says of a name of visible ASCII: itself, unless it looks like an encoded one.
#[must_use]
pub fn encode(name: &str) -> String {
    if name.starts_with("=?") {
        format!("=?base64?{}?=", STANDARD.encode(name))
    } else {
        name.to_owned()
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
