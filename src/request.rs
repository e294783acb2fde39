//! Intake: what a request is to this filter, read from its headers alone.

pub mod header_map;

use std::rc::Rc;

use percent_encoding::percent_decode_str;

use crate::config::{Config, Endpoint, Problems, is_authority, pushed};
use crate::mcp::Revision;

/// Request headers as the host hands them over: every value, in order, as bytes.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a>(pub &'a [(&'a str, &'a [u8])]);

impl<'a> Headers<'a> {
    /// All values of a header; `name` is lower case, as Envoy has them.
    pub fn all(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// The one value of a header, if it has any.
    ///
    /// # Errors
    /// It has several, or one that is not UTF-8.
    pub fn one(self, name: &str) -> Result<Option<&'a str>, NotOne> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => std::str::from_utf8(value).map(Some).map_err(|_| NotOne),
            _ => Err(NotOne),
        }
    }

    /// The first value of a header, if it is UTF-8.
    #[must_use]
    pub fn first(self, name: &str) -> Option<&'a str> {
        self.all(name).next().and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// A header has several values, or one that is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOne;

/// What a request is to this filter.
#[derive(Debug)]
pub enum Intake<'c> {
    /// None of its business.
    Ignored,
    /// This metadata document is asked for.
    Metadata(&'c str),
    /// A browser asks before it sends (Fetch standard, CORS preflight).
    Preflight,
    /// A request to an MCP endpoint; who asks is not known yet.
    Endpoint(&'c Rc<Endpoint>),
}

/// Why a request is refused for its headers alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestError {
    /// No endpoint has this path.
    UnknownPath,
    /// The HTTP method has no meaning here.
    MethodNotAllowed {
        /// Those that have (RFC 9110 section 10.2.1).
        allow: &'static str,
    },
    /// A browser page of a foreign origin asks (MCP transport, DNS rebinding).
    OriginNotAllowed,
    /// The token stands in the query (RFC 6750 section 2.3, forbidden by MCP).
    TokenInQuery,
    /// More than one value of a header that decides must be one.
    RepeatedHeader,
    /// No bearer token.
    NoToken,
    /// A GET or DELETE that carries a body.
    UnexpectedBody,
}

impl RequestError {
    /// One word for the audit record.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::UnknownPath => "unknown_path",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::TokenInQuery => "token_in_query",
            Self::RepeatedHeader => "repeated_header",
            Self::NoToken => "no_token",
            Self::UnexpectedBody => "unexpected_body",
        }
    }
}

/// What a request to an MCP endpoint wants, by its HTTP method (MCP Streamable HTTP transport).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// POST: one JSON-RPC message.
    Message,
    /// GET: open a stream of server messages.
    OpenStream,
    /// DELETE: end a session.
    EndSession,
}

/// Finds out what a request is, byte for byte by its path.
///
/// # Errors
/// A path that is no endpoint's, however near it comes; a foreign origin; a wrong HTTP method on
/// a metadata document.
pub fn classify<'c>(config: &'c Config, headers: Headers) -> Result<Intake<'c>, RequestError> {
    let target = headers.first(":path").ok_or(RequestError::UnknownPath)?;
    let path = target.split('?').next().unwrap_or_default();
    let method = headers.first(":method").unwrap_or_default();
    if let Some(document) = config.challenges.document_at(path) {
        return match method {
            "GET" | "HEAD" => Ok(Intake::Metadata(document)),
            "OPTIONS" => Ok(Intake::Preflight),
            _ => Err(RequestError::MethodNotAllowed { allow: "GET, HEAD, OPTIONS" }),
        };
    }
    if let Some(endpoint) = config.endpoints.iter().find(|endpoint| *endpoint.path == *path) {
        check_origin(config, headers)?;
        let preflight = method == "OPTIONS";
        return Ok(if preflight { Intake::Preflight } else { Intake::Endpoint(endpoint) });
    }
    let folded = fold_path(path);
    let is_near = config.endpoints.iter().any(|endpoint| *endpoint.folded == *folded);
    let host = headers.first(":authority");
    let is_ignored = !is_near && config.ignore.iter().any(|ignore| ignore.covers(host, path));
    if is_ignored { Ok(Intake::Ignored) } else { Err(RequestError::UnknownPath) }
}

/// The bearer token of a request (RFC 6750 section 2.1).
///
/// # Errors
/// No token, or one that is not alone or stands in the query.
pub fn bearer(headers: Headers<'_>) -> Result<&str, RequestError> {
    const SCHEME: &[u8] = b"Bearer";
    let target = headers.first(":path").unwrap_or_default();
    if target.split_once('?').is_some_and(|(_, query)| has_access_token(query)) {
        return Err(RequestError::TokenInQuery);
    }
    let mut values = headers.all("authorization");
    let Some(value) = values.next() else { return Err(RequestError::NoToken) };
    // Envoy joins repeated values with a comma, which no bearer token has. Other schemes have it in
    // their parameters (RFC 9110 section 11.4).
    if values.next().is_some() || memchr::memchr(b',', value).is_some() {
        let mut parts = headers.all("authorization").flat_map(|value| value.split(|&b| b == b','));
        let has_bearer = parts.any(|part| {
            let start = part.trim_ascii_start().get(..SCHEME.len());
            start.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
        });
        let repeated =
            if has_bearer { RequestError::RepeatedHeader } else { RequestError::NoToken };
        return Err(repeated);
    }
    let Some((scheme, rest)) = value.split_at_checked(b"Bearer ".len()) else {
        return Err(RequestError::NoToken);
    };
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return Err(RequestError::NoToken);
    }
    match std::str::from_utf8(rest).map(|token| token.trim_matches(' ')) {
        Ok("") => Err(RequestError::NoToken),
        Ok(token) => Ok(token),
        // Not text, so not a token that could ever verify.
        Err(_) => Ok("\u{fffd}"),
    }
}

/// What the HTTP method of a request to an MCP endpoint means, where these revisions are `served`.
/// `revision` is the one that its headers name; none if they name none of these.
///
/// # Errors
/// A method that the transport does not have.
pub fn verb(
    headers: Headers,
    revision: Option<Revision>,
    served: &[Revision],
) -> Result<Verb, RequestError> {
    let is_stateless = revision.is_some_and(Revision::is_stateless)
        || served.iter().all(|served| served.is_stateless());
    match headers.first(":method") {
        Some("POST") => Ok(Verb::Message),
        _ if is_stateless => Err(RequestError::MethodNotAllowed { allow: "POST, OPTIONS" }),
        Some("GET") => Ok(Verb::OpenStream),
        Some("DELETE") => Ok(Verb::EndSession),
        _ => Err(RequestError::MethodNotAllowed { allow: "GET, POST, DELETE, OPTIONS" }),
    }
}

/// Whether a request asks to resume a stream after an event (`Last-Event-ID`, MCP 2025-11-25,
/// resumability).
#[must_use]
pub fn resumes(headers: Headers) -> bool {
    headers.all("last-event-id").next().is_some()
}

/// The origin of a browser page, if the request has one and it may call.
#[must_use]
pub fn allowed_origin<'a>(config: &Config, headers: Headers<'a>) -> Option<&'a str> {
    let origin = headers.first("origin")?;
    let known = config.allowed_origins.iter().any(|allowed| origin.eq_ignore_ascii_case(allowed));
    known.then_some(origin)
}

fn check_origin(config: &Config, headers: Headers) -> Result<(), RequestError> {
    match headers.all("origin").count() {
        0 => Ok(()),
        1 if allowed_origin(config, headers).is_some() => Ok(()),
        _ => Err(RequestError::OriginNotAllowed),
    }
}

fn has_access_token(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes())
        .any(|(name, _)| name.trim().eq_ignore_ascii_case("access_token"))
}

/// A path as a lenient server might read it: unescaped, in lower case, without parameters, dot
/// segments, doubled and trailing slashes. Two paths that fold alike are too near to tell apart.
#[must_use]
pub fn fold_path(path: &str) -> String {
    let mut text = path.to_owned();
    // Twice, for what is escaped twice.
    for _ in 0..2 {
        text = percent_decode_str(&text).decode_utf8_lossy().into_owned();
    }
    let text = text.to_lowercase().replace('\\', "/");
    let text = text.split(['?', '#', '\0']).next().unwrap_or_default();
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment.split(';').next().unwrap_or_default().trim() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}

/// A host, a path prefix or both, that the filter leaves alone.
#[derive(Debug)]
pub struct Ignore {
    host: Option<Box<str>>,
    path_prefix: Option<Box<str>>,
}

impl Ignore {
    /// Compiles the list; an entry that would cover an endpoint is a problem.
    pub fn compile(
        raw: &[pushed::Ignore],
        endpoints: &[Endpoint],
        problems: &mut Problems,
    ) -> Vec<Self> {
        let mut compiled = Vec::new();
        for (index, entry) in raw.iter().enumerate() {
            let path = format!("ignore[{index}]");
            let ignore = Self {
                host: entry.host.as_deref().map(Into::into),
                path_prefix: entry.path_prefix.as_deref().map(|p| p.trim_end_matches('/').into()),
            };
            if ignore.host.is_none() && ignore.path_prefix.is_none() {
                problems.add(&path, "names neither a host nor a path prefix");
            }
            if let Some(host) = &entry.host {
                is_authority(host, format!("{path}.host"), problems);
            }
            if entry.path_prefix.as_ref().is_some_and(|prefix| !prefix.starts_with('/')) {
                problems.add(format!("{path}.path_prefix"), "does not begin with `/`");
            }
            let covered = endpoints.iter().find(|endpoint| ignore.has_prefix_of(&endpoint.path));
            if let (None, Some(endpoint)) = (&ignore.host, covered) {
                let message = format!("covers the endpoint `{}`", endpoint.path);
                problems.add_with_help(&path, message, "name the host, or a longer prefix");
            }
            compiled.push(ignore);
        }
        compiled
    }

    /// Whether it covers a path that is not near any endpoint's. The host is the client's to write,
    /// so it never decides on an endpoint.
    fn covers(&self, host: Option<&str>, path: &str) -> bool {
        let is_host = |name: &str| host.is_some_and(|host| host.eq_ignore_ascii_case(name));
        self.host.as_deref().is_none_or(is_host)
            && (self.path_prefix.is_none() || self.has_prefix_of(path))
    }

    fn has_prefix_of(&self, path: &str) -> bool {
        let Some(prefix) = &self.path_prefix else { return false };
        // A path that a server could read as leading elsewhere is not below any prefix.
        let plain = fold_path(path) == path.trim_end_matches('/').to_lowercase() || path == "/";
        plain && path.strip_prefix(&**prefix).is_some_and(|r| r.is_empty() || r.starts_with('/'))
    }
}

/// The names of headers that a page would send, by its CORS preflight.
pub fn asked_headers(headers: Headers<'_>) -> impl Iterator<Item = &str> {
    let lists = headers.all("access-control-request-headers");
    let lists = lists.filter_map(|list| std::str::from_utf8(list).ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

/// Whether a text can be a header's name (RFC 9110 section 5.6.2).
#[must_use]
pub fn is_token(name: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_some_server_would_serve_alike_fold_alike() {
        for path in [
            "/mcp",
            "/MCP",
            "/mcp/",
            "//mcp",
            "/./mcp",
            "/x/../mcp",
            "/mcp/.",
            "/mcp;a=b",
            "/%6dcp",
            "/%256Dcp",
            "/mcp%2f",
            "/mcp%00",
            "\\mcp",
            "/mcp#f",
            "/../mcp",
            "/mcp%20",
            "/mcp%3Fx",
        ] {
            assert_eq!(fold_path(path), "/mcp", "{path}");
        }
        for path in ["/mcpx", "/mcp/x", "/m/cp", "/", "", "/mcp.json"] {
            assert_ne!(fold_path(path), "/mcp", "{path}");
        }
    }
}
