//! The revisions of MCP, and what sets them apart on the wire.

use std::fmt;

use serde::Deserialize;
use serde_json::{Value, json};

/// A revision of MCP with the Streamable HTTP transport, in the order of their dates.
///
/// 2024-11-05, the one before, has another transport (HTTP+SSE) and no authorization: it is not
/// served. Sources: <https://modelcontextprotocol.io/specification>, one folder for each revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
pub enum Revision {
    /// 2025-03-26, the last with batches. It does not have the `MCP-Protocol-Version` header, so a
    /// request without one is judged by it (2025-06-18, transports, protocol version header).
    #[default]
    #[serde(rename = "2025-03-26")]
    March2025,
    /// 2025-06-18.
    #[serde(rename = "2025-06-18")]
    June2025,
    /// 2025-11-25, the last with sessions, and with requests from server to client.
    #[serde(rename = "2025-11-25")]
    November2025,
    /// 2026-07-28: every request stands alone and says in `_meta` who asks and in which revision.
    #[serde(rename = "2026-07-28")]
    July2026,
}

impl Revision {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::March2025, Self::June2025, Self::November2025, Self::July2026];

    /// The name, as the protocol writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::March2025 => "2025-03-26",
            Self::June2025 => "2025-06-18",
            Self::November2025 => "2025-11-25",
            Self::July2026 => "2026-07-28",
        }
    }

    /// The revision of this name, of those that are served.
    ///
    /// # Errors
    /// It is none of them.
    pub fn from_name(name: &str, served: &[Self]) -> Result<Self, UnsupportedRevision> {
        let named = served.iter().find(|revision| revision.as_str() == name);
        named.copied().ok_or_else(|| UnsupportedRevision {
            requested: name.chars().take(LONGEST_NAME).collect(),
            supported: served.into(),
        })
    }

    /// Whether a body may be an array of messages (JSON-RPC 2.0 section 6).
    #[must_use]
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::March2025)
    }

    /// Whether every request stands alone: no `initialize`, no sessions, no GET and DELETE, the
    /// client and its revision in each request's `_meta`, and headers that mirror the body.
    #[must_use]
    pub const fn is_stateless(self) -> bool {
        matches!(self, Self::July2026)
    }
}

/// How much of an unknown revision's name an answer repeats, in characters.
const LONGEST_NAME: usize = 32;

/// A revision that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedRevision {
    requested: Box<str>,
    supported: Box<[Revision]>,
}

impl UnsupportedRevision {
    /// The JSON-RPC code (MCP 2026-07-28, `UnsupportedProtocolVersionError`).
    pub const CODE: i64 = -32022;

    /// What the error's `data` says, so that the client can choose another.
    #[must_use]
    pub fn data(&self) -> Value {
        json!({"supported": self.names(), "requested": self.requested})
    }

    fn names(&self) -> Vec<&'static str> {
        self.supported.iter().map(|revision| revision.as_str()).collect()
    }
}

impl fmt::Display for UnsupportedRevision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served = self.names().join(", ");
        write!(
            out,
            "Unsupported protocol version: this server speaks MCP {served}, over Streamable HTTP."
        )
    }
}
