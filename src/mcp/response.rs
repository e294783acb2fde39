//! What a client POSTs when a server has asked it something.

use serde::Deserialize;

use super::draft::{Draft, Member};

/// A request that a server may send to a client, in the revisions that have sessions (MCP 2024-11-05
/// to 2025-11-25, schema, `ServerRequest`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
pub enum ServerRequest {
    /// Is the client there?
    #[serde(rename = "ping")]
    Ping,
    /// What would the client's model say?
    #[serde(rename = "sampling/createMessage")]
    Sampling,
    /// What does the user say?
    #[serde(rename = "elicitation/create")]
    Elicitation,
    /// Which directories may the server use?
    #[serde(rename = "roots/list")]
    Roots,
}

impl ServerRequest {
    /// The method.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Sampling => "sampling/createMessage",
            Self::Elicitation => "elicitation/create",
            Self::Roots => "roots/list",
        }
    }
}

/// A response that a client POSTs. Which request it answers, it says only by an id that the server
/// has chosen; what it can answer, it says by its shape, as each result has members of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// The result of this request.
    Result(ServerRequest),
    /// An error, which may answer any.
    Error,
    /// The result of no request that a server may send, or of more than one.
    Unknown,
}

impl Response {
    /// Reads it from the members of a message that is a response.
    pub(super) fn of(draft: &Draft) -> Self {
        if draft.id.is_wrong() || draft.result.is_wrong() || draft.error.is_wrong() {
            return Self::Unknown;
        }
        if draft.error == Member::Present(()) {
            return Self::Error;
        }
        let result = &draft.result_members;
        let sampling = result.role && result.model;
        match (result.roots, result.action, result.role || result.model) {
            (false, false, false) if !result.others => Self::Result(ServerRequest::Ping),
            (true, false, false) => Self::Result(ServerRequest::Roots),
            (false, true, false) => Self::Result(ServerRequest::Elicitation),
            (false, false, true) if sampling => Self::Result(ServerRequest::Sampling),
            _ => Self::Unknown,
        }
    }

    /// What it answers, for the audit record.
    #[must_use]
    pub const fn answers(self) -> &'static str {
        match self {
            Self::Result(request) => request.as_str(),
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}
