//! The ids of a session's requests, marked by what their answers lose.
//!
//! Servers on the official SDKs know the requests of a session by their ids alone: a second request
//! under an id of one under way gets the first one's answer. So the id goes up with the mark of the
//! redaction, or of a list, and no two requests have the same whose answers lose different things.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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

/// Whether the id that a client gave is a number or a string, which goes up in base64: some servers take
/// ids of letters, digits, `-` and `_` alone.
const NUMBER: &str = "n";
const STRING: &str = "s";

/// The id that a client gave, of one with a mark; both as JSON has them.
pub(in crate::response) fn unmarked(id: &[u8]) -> Option<String> {
    let text = unescape(std::str::from_utf8(id).ok()?).ok()?;
    let (_, given) = text.strip_prefix(MARKED)?.split_once('-')?;
    if let Some(number) = given.strip_prefix(NUMBER) {
        return number.parse::<i64>().ok().map(|number| number.to_string());
    }
    let text = URL_SAFE_NO_PAD.decode(given.strip_prefix(STRING)?).ok()?;
    serde_json::to_string(std::str::from_utf8(&text).ok()?).ok()
}

/// The other way. No mark has a `-`.
fn marked(id: &str, mark: &str) -> Result<String, JsonError> {
    let given = if id.starts_with('"') {
        format!("{STRING}{}", URL_SAFE_NO_PAD.encode(&*unescape(id)?))
    } else {
        format!("{NUMBER}{id}")
    };
    Ok(format!("\"{MARKED}{mark}-{given}\""))
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
