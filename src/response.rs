//! The way back: what of the MCP server's answer a client may see.

use crate::answer::cors;
use crate::request::Headers;
use crate::upstream::Edits;

/// What to do with the head of an MCP server's answer.
#[derive(Debug)]
pub enum Head {
    /// Pass it on with these changes.
    Pass(Edits),
    /// The server does not accept the delegation token. Its 401 would send the client to sign in
    /// again, which cannot help.
    DelegationRejected,
}

/// Headers by which a server would speak to the client past this filter.
const STRIPPED: [&str; 3] = ["www-authenticate", "set-cookie", "proxy-authenticate"];

/// Judges the head of an answer. `origin` is the allowed origin of the page that asks, if any.
#[must_use]
pub fn head(headers: Headers, origin: Option<&str>) -> Head {
    if status(headers) == Some(401) {
        return Head::DelegationRejected;
    }
    let present = |name: &&str| headers.all(name).next().is_some();
    let mut edits = Edits {
        remove: STRIPPED.iter().filter(|name| present(name)).map(|&name| name.to_owned()).collect(),
        set: Vec::new(),
    };
    edits.set.extend(origin.into_iter().flat_map(cors));
    Head::Pass(edits)
}

/// The HTTP status of an answer.
#[must_use]
pub fn status(headers: Headers) -> Option<u16> {
    headers.first(":status").and_then(|status| status.parse().ok())
}
