//! The way back: what of the MCP server's answer a client may see.

use std::rc::Rc;

use crate::answer::cors;
use crate::request::Headers;
use crate::session::{self, Binding, SessionError, SessionKeys};
use crate::token::Caller;
use crate::upstream::Edits;

/// Who gets an answer, and to what.
#[derive(Debug)]
pub struct Reader {
    /// Who asked.
    pub caller: Rc<Caller>,
    /// The endpoint's place in the configuration.
    pub endpoint: usize,
    /// The allowed origin of the page that asks, if any.
    pub origin: Option<String>,
    /// Whether the answer is a stream of events, which ends when the caller's token expires.
    pub streams: bool,
}

/// What to do with the head of an MCP server's answer.
#[derive(Debug)]
pub enum Head {
    /// Pass it on with these changes.
    Pass(Edits),
    /// The server does not accept the delegation token. Its 401 would send the client to sign in
    /// again, which cannot help.
    DelegationRejected,
    /// The server names a session that cannot be bound to the caller.
    SessionNotBound(SessionError),
}

/// Headers by which a server would speak to the client past this filter.
const STRIPPED: [&str; 3] = ["www-authenticate", "set-cookie", "proxy-authenticate"];

/// Judges the head of an answer from the endpoint with the path `endpoint`.
#[must_use]
pub fn head(headers: Headers, reader: &Reader, endpoint: &str, sessions: &SessionKeys) -> Head {
    if status(headers) == Some(401) {
        return Head::DelegationRejected;
    }
    let binding = Binding::session(&reader.caller, endpoint);
    let session = match sessions.of_response(binding, headers) {
        Ok(session) => session,
        Err(error) => return Head::SessionNotBound(error),
    };
    let present = |name: &&str| headers.all(name).next().is_some();
    let mut edits = Edits {
        remove: STRIPPED.iter().filter(|name| present(name)).map(|&name| name.to_owned()).collect(),
        set: Vec::new(),
    };
    edits.set.extend(session.map(|sealed| (session::HEADER, sealed)));
    edits.set.extend(reader.origin.as_deref().into_iter().flat_map(cors));
    Head::Pass(edits)
}

/// Whether an answer is a stream of events, or some client would take it for one.
#[must_use]
pub fn is_event_stream(headers: Headers) -> bool {
    let is_named = |value: &[u8]| {
        String::from_utf8_lossy(value).to_ascii_lowercase().contains("text/event-stream")
    };
    headers.all("content-type").any(is_named)
}

/// The HTTP status of an answer.
#[must_use]
pub fn status(headers: Headers) -> Option<u16> {
    headers.first(":status").and_then(|status| status.parse().ok())
}
