//! The way up: the client's token out, the delegation token in, nothing else that a server could
//! take for identity.

use std::borrow::Cow;

use crate::config::Problems;
use crate::exchange::Delegated;
use crate::mcp::ARGUMENT_HEADER;
use crate::policy::Permit;
use crate::request::Headers;

/// Changes to a request or a response, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Names to remove, every value of them.
    pub remove: Vec<String>,
    /// Names and values to set in place of what was there.
    pub set: Vec<(&'static str, String)>,
    /// The request's body in place of the one that is held.
    pub body: Option<Vec<u8>>,
}

impl Edits {
    /// These changes, and after them `more`.
    #[must_use]
    pub fn followed_by(mut self, more: Self) -> Self {
        self.remove.extend(more.remove);
        self.set.extend(more.set);
        Self { body: more.body.or(self.body), ..self }
    }
}

/// The credential under which a request goes up.
#[derive(Debug)]
pub enum Credential<'a> {
    /// A delegation token.
    Delegation(&'a Delegated),
    /// None: the rule says so by name.
    WithoutToken,
}

/// What is removed from every request; at the place of each byte, what begins with it.
#[derive(Debug)]
pub struct StrippedHeaders(Vec<Vec<Stripped>>);

#[derive(Debug)]
enum Stripped {
    Name(Box<str>),
    Prefix(Box<str>),
}

impl Stripped {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(stripped) => **stripped == *name,
            Self::Prefix(prefix) => name.starts_with(&**prefix),
        }
    }
}

/// A name as many back ends read it: by CGI's convention (RFC 3875 section 4.1.18) `x_user` is `x-user`.
fn folded(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte == b'_') { name.replace('_', "-").into() } else { name.into() }
}

/// Headers by which servers have been told who asks, or that change how a request is read, or that
/// ask for an answer which cannot be read.
const NAMES: [&str; 22] = [
    "accept-encoding",
    "range",
    "if-range",
    "cookie",
    "proxy-authorization",
    "x-forwarded-client-cert",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-preferred-username",
    "x-forwarded-groups",
    "x-forwarded-access-token",
    "x-remote-user",
    "x-user-sub",
    "forwarded",
    "x-forwarded-host",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "router-key",
];
const PREFIXES: [&str; 5] = ["x-mcp-", "x-jwt-", "x-auth-request-", "x-envoy-", "mcp-init-"];

/// Without these no request is one, or the server takes it for another than was judged; and
/// `authorization` has its own rule.
const KEPT: [&str; 10] = [
    "authorization",
    "accept",
    "content-type",
    "content-length",
    "host",
    "mcp-protocol-version",
    "mcp-session-id",
    "mcp-method",
    "mcp-name",
    "last-event-id",
];

impl StrippedHeaders {
    /// The built-in names and those of the configuration.
    pub fn compile(raw: &[String], problems: &mut Problems) -> Self {
        let names = NAMES.iter().map(|name| Stripped::Name((*name).into()));
        let prefixes = PREFIXES.iter().map(|prefix| Stripped::Prefix((*prefix).into()));
        let mut all: Vec<Stripped> = names.chain(prefixes).collect();
        for (index, entry) in raw.iter().enumerate() {
            let name = folded(entry);
            let prefix = name.strip_suffix('*');
            let name = prefix.unwrap_or(&name);
            let in_name =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
            let is_kept = |kept: &&str| match prefix {
                Some(prefix) => kept.starts_with(prefix),
                None => **kept == *name,
            };
            if name.is_empty() || !name.chars().all(in_name) || KEPT.iter().any(is_kept) {
                problems.add_with_help(
                    format!("strip_request_headers[{index}]"),
                    format!("`{entry}` cannot be stripped"),
                    "write a header name in lower case, or a prefix of names with `*` at its end; \
                     `authorization`, `content-type`, `host` and what MCP needs stay",
                );
            }
            all.push(match prefix {
                Some(prefix) => Stripped::Prefix(prefix.into()),
                None => Stripped::Name(name.into()),
            });
        }
        let mut by_first_byte: Vec<Vec<Stripped>> = Vec::new();
        by_first_byte.resize_with(1 << u8::BITS, Vec::new);
        for stripped in all {
            let (Stripped::Name(text) | Stripped::Prefix(text)) = &stripped;
            let first = text.bytes().next().map(usize::from);
            if let Some(known) = first.and_then(|first| by_first_byte.get_mut(first)) {
                known.push(stripped);
            }
        }
        Self(by_first_byte)
    }

    /// The names of a request's headers that must not go up.
    #[must_use]
    pub fn found(&self, headers: Headers) -> Vec<String> {
        let is_known = |name: &str| {
            let known = name.bytes().next().and_then(|first| self.0.get(usize::from(first)));
            known.is_some_and(|known| known.iter().any(|one| one.matches(name)))
        };
        let stripped = |name: &str| match folded(name) {
            Cow::Borrowed(name) => is_known(name),
            // One that stays is read here, so another must not pass for it. What an argument is called
            // (`Mcp-Param-Region_Code`) is the tool's.
            Cow::Owned(folded) => {
                let is_argument = name.starts_with(ARGUMENT_HEADER);
                let is_alias = KEPT.contains(&&*folded) || folded.starts_with("mcp-");
                (is_alias && !is_argument) || is_known(&folded)
            }
        };
        let names = headers.0.iter().map(|(name, _)| *name);
        names.filter(|name| stripped(name)).map(str::to_owned).collect()
    }
}

/// The header changes with which a permitted request goes up. Takes the permit: it is good for one
/// request.
///
/// `edits` is what was found due when the request came in: [`StrippedHeaders::found`], the MCP server's
/// ids of session, tasks and requests in place of the client's, and what `initialize` may offer.
#[must_use]
pub fn forward(permit: Permit, credential: &Credential, mut edits: Edits) -> Edits {
    // Spent: nothing else goes up by it.
    drop(permit);
    if let Some(body) = &edits.body {
        edits.set.push(("content-length", body.len().to_string()));
    }
    match credential {
        Credential::Delegation(delegated) => {
            edits.set.push(("authorization", ["Bearer ", delegated.token.reveal()].concat()));
        }
        Credential::WithoutToken => edits.remove.push("authorization".to_owned()),
    }
    edits
}
