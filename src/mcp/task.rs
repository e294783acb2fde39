//! The tasks that a message names.

use std::ops::Range;

use super::draft::bounded;
use crate::json::{Token, span};

/// The member of `_meta` by which a message says to which task it belongs (MCP 2025-11-25, tasks).
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

/// A task, as a request names it. Ids are not empty, at most 2 KiB and without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// Its id.
    pub id: Box<str>,
    /// Where in the body the id stands, if it is written without escapes.
    pub place: Option<Range<usize>>,
    /// What made it, once it is known to be the caller's. A task of unknown origin has no rule.
    pub origin: Option<Origin>,
}

/// The call that made a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The tool.
    pub tool: Box<str>,
    /// The fingerprint of what the rule that allowed it asks of arguments, if it does.
    pub fulfilled: Option<Box<str>>,
}

impl Task {
    pub(super) fn from_token(token: Token<'_>, body: &[u8]) -> Option<Self> {
        let id = bounded(token).filter(|id| !id.is_empty())?;
        Some(Self { id: id.into(), place: span(body, id), origin: None })
    }
}
