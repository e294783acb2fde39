//! The ids of a session's requests, marked by what their answers lose.
//!
//! Servers on the official SDKs know the requests of a session by their ids alone: a second request
//! under an id of one under way gets the first one's answer. So the id goes up with the mark of the
//! redaction, or of a list, and no two requests have the same whose answers lose different things.

use std::borrow::Cow;

use super::{Redaction, Scan, Writer, unescape};
use crate::fingerprint::fingerprint;
use crate::json::JsonError;
use crate::mcp::MARKED;

impl Redaction {
    /// By which its requests are told from those of others.
    #[must_use]
    pub fn mark(&self) -> Box<str> {
        let names: Vec<&str> = self.0.iter().map(AsRef::as_ref).collect();
        fingerprint(names.join("\n").as_bytes())
    }
}

/// The request, or the batch, with `mark` in each of its ids.
///
/// # Errors
/// It is not JSON.
pub fn mark_ids(message: &[u8], mark: &str) -> Result<Vec<u8>, JsonError> {
    rewrite(message, &["id"], mark)
}

/// A `notifications/cancelled` that names the request by the id that it went up with.
///
/// # Errors
/// It is not JSON.
pub fn mark_cancelled(message: &[u8], mark: &str) -> Result<Vec<u8>, JsonError> {
    rewrite(message, &["params", "requestId"], mark)
}

/// The id that a client gave, of one with a mark; both as JSON has them.
pub(in crate::response) fn unmarked(id: &[u8]) -> Option<String> {
    let text = unescape(std::str::from_utf8(id).ok()?).ok()?;
    let (_, given) = text.strip_prefix(MARKED)?.split_once(':')?;
    match given.strip_prefix('"') {
        Some(text) => serde_json::to_string(text).ok(),
        None => given.parse::<i64>().ok().map(|number| number.to_string()),
    }
}

/// The other way. A string's closing quote says nothing and is left out.
fn marked(id: &str, mark: &str) -> Result<String, JsonError> {
    let given = if id.starts_with('"') {
        Cow::Owned(["\"", &unescape(id)?].concat())
    } else {
        Cow::Borrowed(id)
    };
    serde_json::to_string(&format!("{MARKED}{mark}:{given}")).map_err(|_| JsonError::Syntax)
}

fn rewrite(message: &[u8], path: &[&str], mark: &str) -> Result<Vec<u8>, JsonError> {
    let message = std::str::from_utf8(message).map_err(|_| JsonError::NotUtf8)?;
    let nothing = Redaction::of([]);
    let mut writer = Writer::new(&nothing, message, 0);
    writer.blanks();
    writer.mark(path, mark)?;
    writer.blanks();
    Ok(writer.out.into_bytes())
}

impl Writer<'_> {
    /// Passes an id without its mark. False if it has none; then nothing has passed.
    pub(super) fn unmark(&mut self) -> bool {
        let id = Scan::default().take(self.rest.as_bytes()).0;
        let id = self.rest.as_bytes().get(..id);
        let Some(given) = id.and_then(unmarked) else { return false };
        self.take();
        self.out.push_str(&given);
        true
    }

    /// Copies a value, and marks the id at `path` in it.
    fn mark(&mut self, path: &[&str], mark: &str) -> Result<(), JsonError> {
        match (self.peek(), path.split_first()) {
            (Some(b'{'), Some((wanted, inner))) => self.members(|writer, name| {
                if name != *wanted {
                    writer.copy();
                    return Ok(());
                }
                writer.mark(inner, mark)
            }),
            (Some(b'['), Some(_)) => self.elements(|writer| writer.mark(path, mark)),
            (_, None) => {
                let id = marked(self.take(), mark)?;
                self.out.push_str(&id);
                Ok(())
            }
            _ => {
                self.copy();
                Ok(())
            }
        }
    }

    fn copy(&mut self) {
        let value = self.take();
        self.out.push_str(value);
    }
}
