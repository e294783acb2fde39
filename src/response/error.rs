//! Why an answer cannot be filtered, so that nothing of it passes.

use crate::json::JsonError;
use crate::task::TaskError;

/// Why an answer that may hold a list or a task cannot be filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// It is neither `application/json` nor `text/event-stream`.
    MediaType,
    /// It is encoded, for example compressed.
    ContentEncoding,
    /// It is not JSON that every parser reads alike.
    Json(JsonError),
    /// It is JSON, and no JSON-RPC message.
    NotAMessage,
    /// Something is no list that should be one.
    NotAList,
    /// An element of a list does not say which object it stands for.
    Nameless,
    /// A task's id cannot be exchanged for the client's.
    Task(TaskError),
    /// A single value or event is over the limit.
    TooLarge,
    /// With what other responses hold, it would hold more than `limits.held_response_bytes`.
    TooMuchHeld,
    /// It ends too early.
    Truncated,
}

impl ResponseError {
    /// The constant word for the audit record.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::MediaType => "media_type",
            Self::ContentEncoding => "content_encoding",
            Self::Json(error) => error.reason(),
            Self::NotAMessage => "not_a_message",
            Self::NotAList => "not_a_list",
            Self::Nameless => "nameless_element",
            Self::Task(error) => error.reason(),
            Self::TooLarge => "value_too_large",
            Self::TooMuchHeld => "too_much_held",
            Self::Truncated => "truncated",
        }
    }
}

/// Whether there is room for `piece` behind what is `held`, at most `longest` bytes in all.
pub(super) fn room(held: &[u8], piece: &[u8], longest: usize) -> Result<(), ResponseError> {
    if piece.len() > longest.saturating_sub(held.len()) {
        return Err(ResponseError::TooLarge);
    }
    Ok(())
}

impl From<JsonError> for ResponseError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl From<TaskError> for ResponseError {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}
