//! The revisions of MCP, and what sets them apart on the wire.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde_json::{Value, json};

/// A revision of MCP with the Streamable HTTP transport, in the order of their dates.
///
/// 2024-11-05, the one before, has another transport (HTTP+SSE) and no authorization. Over Streamable
/// HTTP, where some servers agree on it, its rules are those of 2025-03-26. Sources:
/// <https://modelcontextprotocol.io/specification>, one folder for each revision.
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

    /// The revision by whose rules one of this name is judged, of those that are served.
    ///
    /// # Errors
    /// It is none of them.
    pub fn from_name(name: &str, served: &[Self]) -> Result<Self, UnsupportedRevision> {
        let meant = if name == HTTP_WITH_SSE { Self::March2025.as_str() } else { name };
        let named = served.iter().find(|revision| revision.as_str() == meant);
        named.copied().ok_or_else(|| UnsupportedRevision::new(name, served))
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

/// The revision before [`Revision::March2025`].
const HTTP_WITH_SSE: &str = "2024-11-05";

/// The revision that `initialize` offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub name: Box<str>,
    /// Where in the body it stands, if it is written without escapes.
    pub place: Option<Range<usize>>,
}

impl Offer {
    /// The body with another offer, the latest of the revisions that are served and have `initialize`,
    /// unless this is one of them. What cannot be a revision's name is the server's to answer.
    ///
    /// A server agrees on what it is offered if it can, and else on another (MCP 2025-11-25, lifecycle,
    /// version negotiation): not on one whose every request would be refused.
    #[must_use]
    pub fn replaced(&self, body: &[u8], served: &[Revision]) -> Option<Vec<u8>> {
        let served: Vec<_> = served.iter().copied().filter(|one| !one.is_stateless()).collect();
        if Revision::from_name(&self.name, &served).is_ok() {
            return None;
        }
        let latest = served.iter().max()?.as_str().as_bytes();
        let mut replaced = body.to_vec();
        let place = replaced.get_mut(self.place.clone()?)?;
        if place.len() != latest.len() {
            return None;
        }
        place.copy_from_slice(latest);
        Some(replaced)
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

    /// One of this name, where these are served.
    pub(super) fn new(name: &str, served: &[Revision]) -> Self {
        let requested = name.chars().take(LONGEST_NAME).collect();
        Self { requested, supported: served.into() }
    }

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
