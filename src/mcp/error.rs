//! Why a body is not an operation, and what to answer.

use std::fmt;

use super::header::HeaderError;
use super::message::Id;
use super::response::Response;
use super::task::Task;
use crate::json::JsonError;

/// Why a body is not an operation.
///
/// The errors that carry an id are those of a well-formed request: the answer repeats it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The body is not JSON that every parser reads alike.
    Json(JsonError),
    /// The body is empty, or JSON but neither an object nor an array.
    NotAnObject,
    /// The body is a JSON-RPC batch that is not allowed, and why.
    Batch(&'static str),
    /// The body is a response and asks for nothing. A client sends one in a session, to answer a
    /// server's request; MCP 2026-07-28 has neither.
    Response {
        /// What it answers.
        response: Response,
        /// The task that it says it belongs to.
        related_task: Option<Task>,
    },
    /// The body is not exactly one of request and notification (JSON-RPC 2.0 section 4).
    InvalidRequest {
        /// The request's id, where it has a valid one.
        id: Option<Id>,
        /// The member that is missing, not valid or too many.
        member: &'static str,
    },
    /// `_meta` names another revision than the `MCP-Protocol-Version` header.
    OtherRevision {
        /// The request's id; none for a notification.
        id: Option<Id>,
    },
    /// The revision does not have this method, or not from client to server.
    UnknownMethod {
        /// The request's id; none for a notification.
        id: Option<Id>,
    },
    /// The parameters are not what the method needs.
    InvalidParams {
        /// The request's id; none for a notification.
        id: Option<Id>,
        /// The member that is missing or not valid.
        member: &'static str,
    },
    /// The tool's or prompt's name has other characters than rules can name, so that no rule allows it:
    /// [`Refusal::of_body`](crate::answer::Refusal::of_body) makes a denial of it.
    InvalidName {
        /// The request's id.
        id: Option<Id>,
    },
}

impl BodyError {
    /// The status of the answer.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::UnknownMethod { .. } => 404,
            _ => 400,
        }
    }

    /// The JSON-RPC error code (JSON-RPC 2.0 section 5.1).
    #[must_use]
    pub fn code(&self) -> i64 {
        match self {
            Self::Json(_) => -32700,
            Self::NotAnObject
            | Self::Batch(_)
            | Self::Response { .. }
            | Self::InvalidRequest { .. } => -32600,
            Self::OtherRevision { .. } => HeaderError::Mismatch.code(),
            Self::UnknownMethod { .. } => -32601,
            Self::InvalidParams { .. } | Self::InvalidName { .. } => -32602,
        }
    }

    /// The id to repeat in the answer, where there is one.
    #[must_use]
    pub fn id(&self) -> Option<&Id> {
        match self {
            Self::Json(_) | Self::NotAnObject | Self::Batch(_) | Self::Response { .. } => None,
            Self::InvalidRequest { id, .. }
            | Self::OtherRevision { id }
            | Self::UnknownMethod { id }
            | Self::InvalidParams { id, .. }
            | Self::InvalidName { id } => id.as_ref(),
        }
    }

    /// The same of a message in a batch: the answer has no id, and no response is taken for the
    /// whole body.
    pub(super) fn in_batch(mut self) -> Self {
        match &mut self {
            Self::Response { .. } => return Self::Batch("a batch cannot contain responses"),
            Self::UnknownMethod { .. } => return Self::Batch("a batch names an unknown method"),
            Self::InvalidRequest { id, .. }
            | Self::OtherRevision { id }
            | Self::InvalidParams { id, .. }
            | Self::InvalidName { id } => *id = None,
            Self::Json(_) | Self::NotAnObject | Self::Batch(_) => {}
        }
        self
    }

    /// The constant word for the audit record.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Json(error) => error.reason(),
            Self::NotAnObject => "not_an_object",
            Self::Batch(_) => "batch",
            Self::Response { .. } => "response_not_allowed",
            Self::InvalidRequest { .. } => "invalid_request",
            Self::OtherRevision { .. } => HeaderError::Mismatch.reason(),
            Self::UnknownMethod { .. } => "unknown_method",
            Self::InvalidParams { .. } | Self::InvalidName { .. } => "invalid_params",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => error.fmt(f),
            Self::NotAnObject => f.write_str("the body is not a JSON object"),
            Self::Batch(why) => f.write_str(why),
            Self::Response { .. } => f.write_str("responses are not allowed"),
            Self::InvalidRequest { member, .. } => {
                write!(f, "not a JSON-RPC 2.0 request or notification: see `{member}`")
            }
            Self::OtherRevision { .. } => HeaderError::Mismatch.fmt(f),
            Self::UnknownMethod { .. } => f.write_str("unknown method"),
            Self::InvalidParams { member, .. } => write!(f, "`{member}` is missing or not valid"),
            Self::InvalidName { .. } => {
                f.write_str("`name` must be 1 to 128 of the characters `A-Z a-z 0-9 _ . -`")
            }
        }
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            _ => None,
        }
    }
}

impl From<JsonError> for BodyError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}
