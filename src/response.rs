//! The way back: what of the MCP server's answer a client may see.
//!
//! A list shows what the caller could use or step up to, and nothing else
//! ([`Policy::shows`](crate::policy::Policy::shows)), and a task is named as its caller knows it
//! ([`task`](crate::task)), and where a rule redacts, values are withheld ([`Redaction`]). [`head`]
//! finds out which answers could hold one of these, and gives the [`BodyFilter`] that such an answer
//! must pass, chunk by chunk. An answer that could hold one and cannot be read fails.

mod element;
mod error;
mod events;
mod held;
mod lists;
mod redaction;
mod tasks;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::answer::cors;
use crate::config::Endpoint;
use crate::mcp::{Id, check_content_encoding, check_content_type, check_media_type};
use crate::request::Headers;
use crate::session::{self, Binding, Purpose, SessionError, SessionKeys};
use crate::task::Tasks;
use crate::token::Caller;
use crate::upstream::Edits;
pub use error::ResponseError;
pub use events::EventFilter;
pub use held::{Held, Share};
pub use lists::{ListFilter, RedactMessage, View};
pub use redaction::{Redacted, Redaction, WholeFilter, mark_cancelled, mark_ids};

/// Who gets an answer, and to what.
#[derive(Debug)]
pub struct Reader {
    /// Who asked.
    pub caller: Rc<Caller>,
    /// The request's id, if it has one.
    pub id: Option<Id>,
    /// Where.
    pub endpoint: Rc<Endpoint>,
    /// Whether the answer is due to hold a list, or to name a task. Another may name one all the
    /// same, by a server that should not: the client can do nothing with the server's own id.
    pub is_filtered: bool,
    /// What of the answer it may not see.
    pub redaction: Option<Rc<Redaction>>,
    /// The tasks that it may name.
    pub tasks: Tasks,
    /// Whether a stream was to be opened. Some clients read events from whatever answers that.
    pub opens_stream: bool,
    /// Whether the request is of a revision without sessions.
    pub is_stateless: bool,
    /// The allowed origin of the page that asks, if any.
    pub origin: Option<String>,
}

/// What to do with the head of an MCP server's answer.
#[derive(Debug)]
pub enum Head {
    /// Pass it on with these changes, and the body as it is.
    Pass(Edits),
    /// Pass it on with these changes, and of the body what the filter leaves.
    Filter(Edits, BodyFilter),
    /// The body could hold what must be filtered, and is of a kind that cannot be.
    Unfilterable(ResponseError),
    /// The server does not accept the delegation token. Its 401 would send the client to sign in
    /// again, which cannot help.
    DelegationRejected,
    /// The status would lead the client, with its token, elsewhere: to another URL, to another
    /// protocol or to an earlier answer. Or the body is a part of one, which no filter can read. Or
    /// there is no status, so the headers could not be read.
    UnexpectedStatus,
    /// The server names a session that cannot be bound to the caller.
    SessionNotBound(SessionError),
}

/// Headers by which a server would speak to the client past this filter, or lead it past this
/// gateway.
const STRIPPED: [&str; 14] = [
    // Its own id of a session: the client's is set in its place.
    session::HEADER,
    "www-authenticate",
    "set-cookie",
    "clear-site-data",
    "proxy-authenticate",
    "location",
    "refresh",
    "alt-svc",
    // By these, a proxy before this gateway gives something else in place of the answer.
    "x-accel-redirect",
    "x-sendfile",
    "x-sendfile2",
    "x-lighttpd-send-file",
    "x-litespeed-location",
    "x-reproxy-url",
];

/// Headers that describe the very bytes of a body.
const OF_THE_BODY: [&str; 8] = [
    "content-length",
    "content-encoding",
    "etag",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "accept-ranges",
];

/// Judges the head of an answer of any status. `has_body` tells whether more of it follows.
#[must_use]
pub fn head(headers: Headers, reader: &Reader, sessions: &SessionKeys, has_body: bool) -> Head {
    let status = match status(headers) {
        Some(401) => return Head::DelegationRejected,
        None | Some(..=199 | 206 | 300..=399) => return Head::UnexpectedStatus,
        Some(status) => status,
    };
    let session = if reader.is_stateless {
        None
    } else {
        let binding = Binding::new(Purpose::Session, &reader.caller, &reader.endpoint.path);
        match sessions.of_response(binding, headers) {
            Ok(session) => session,
            Err(error) => return Head::SessionNotBound(error),
        }
    };
    let opens_stream = reader.opens_stream && status < 300;
    let due = match (&reader.redaction, reader.is_filtered || opens_stream) {
        (Some(_), _) => Due::Redacted,
        (None, true) => Due::Filtered,
        (None, false) => Due::AsItIs,
    };
    let filter = if has_body { body_filter(headers, due) } else { Ok(None) };
    let is_error = status >= 400;
    let filter = match filter {
        // The status tells the client enough: that there is no stream to open, say.
        Err(_) | Ok(Some(BodyFilter::Empty)) if is_error && due != Due::AsItIs => {
            Ok(Some(BodyFilter::Withheld))
        }
        filter => filter,
    };
    let edits = |names: &[&str]| {
        let present = |name: &&&str| headers.all(name).next().is_some();
        let session = session.map(|sealed| (session::HEADER, sealed));
        let cors = reader.origin.as_deref().into_iter().flat_map(cors);
        Edits {
            remove: names.iter().filter(present).map(|&name| name.to_owned()).collect(),
            set: session.into_iter().chain(cors).collect(),
            body: None,
        }
    };
    match filter {
        Ok(None) => Head::Pass(edits(&STRIPPED)),
        Ok(Some(filter)) => Head::Filter(edits(&[&STRIPPED[..], &OF_THE_BODY].concat()), filter),
        Err(error) => Head::Unfilterable(error),
    }
}

/// How an answer is due to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    AsItIs,
    Filtered,
    Redacted,
}

/// The filter for a body of the media type that the headers name, if it is to be filtered: any event
/// stream, since a stream can replay another request's response, and the answer that is due to be.
fn body_filter(headers: Headers, due: Due) -> Result<Option<BodyFilter>, ResponseError> {
    let values = |name| headers.all(name).collect::<Vec<_>>();
    let types = values("content-type");
    // Some clients look for this text anywhere in the header.
    let names_event_stream = types.iter().any(|value| {
        let event_stream = EVENT_STREAM.as_bytes();
        value.to_ascii_lowercase().windows(event_stream.len()).any(|part| part == event_stream)
    });
    if due == Due::AsItIs && !names_event_stream {
        return Ok(None);
    }
    check_content_encoding(&values("content-encoding"))
        .map_err(|_| ResponseError::ContentEncoding)?;
    if types.is_empty() {
        Ok(Some(BodyFilter::Empty))
    } else if names_event_stream {
        // Some clients decode what they read by the charset that is named.
        check_media_type(&types, EVENT_STREAM).map_err(|_| ResponseError::MediaType)?;
        Ok(Some(BodyFilter::Events(EventFilter::new(LONGEST))))
    } else {
        check_content_type(&types).map_err(|_| ResponseError::MediaType)?;
        Ok(Some(match due {
            Due::Redacted => BodyFilter::Whole(WholeFilter::new(LONGEST)),
            _ => BodyFilter::Message(ListFilter::new(LONGEST)),
        }))
    }
}

const EVENT_STREAM: &str = "text/event-stream";

/// The most that one response holds, in bytes: a value of a message, such as an element of a list or the content
/// of a tool's result, an event, or a message that is redacted.
pub(crate) const LONGEST: usize = 8 << 20;

/// What a body must pass that could hold a list, a task, or what is redacted.
#[derive(Debug)]
pub enum BodyFilter {
    /// No body, though its length was not told: it has no media type.
    Empty,
    /// No more of an error than its status: the body cannot be redacted.
    Withheld,
    /// One message or batch, `application/json`.
    Message(ListFilter),
    /// The same, to be redacted.
    Whole(WholeFilter),
    /// Messages in a stream of events, `text/event-stream`.
    Events(EventFilter),
}

impl BodyFilter {
    /// Takes the next chunk and gives what of the body may pass now. Nothing is left to pass when
    /// the body ends.
    ///
    /// # Errors
    /// Why the body cannot be filtered. What passed before was good, and nothing more may pass.
    pub fn chunk(
        &mut self,
        chunk: &[u8],
        end_of_stream: bool,
        view: View,
    ) -> Result<Vec<u8>, ResponseError> {
        let mut out = Vec::with_capacity(chunk.len());
        match self {
            Self::Empty if chunk.is_empty() => {}
            Self::Withheld => {}
            Self::Empty => return Err(ResponseError::MediaType),
            Self::Message(filter) => filter.chunk(chunk, view, &mut out)?,
            Self::Whole(filter) => filter.chunk(chunk, view, &mut out)?,
            Self::Events(filter) => filter.chunk(chunk, view, &mut out)?,
        }
        match self {
            Self::Message(filter) if end_of_stream => filter.finish()?,
            Self::Whole(filter) if end_of_stream => filter.finish()?,
            _ => {}
        }
        Ok(out)
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn held(&self) -> usize {
        match self {
            Self::Empty | Self::Withheld => 0,
            Self::Message(filter) => filter.held(),
            Self::Whole(filter) => filter.held(),
            Self::Events(filter) => filter.held(),
        }
    }

    /// Whether its first chunk comes at once, so that the head can wait for it. An event stream may
    /// be silent for long.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        !matches!(self, Self::Events(_))
    }
}

/// The HTTP status of an answer.
#[must_use]
pub fn status(headers: Headers) -> Option<u16> {
    headers.first(":status").and_then(|status| status.parse().ok())
}
