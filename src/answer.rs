//! What a refused client is answered: one table for all stages.
//!
//! Error texts are constant, so that no answer tells an attacker which check failed.

use serde_json::{Value, json};

use crate::challenge::Challenge;
use crate::config::{Config, Endpoint};
use crate::exchange::reply::ExchangeError;
use crate::mcp::{ARGUMENT_HEADER, BodyError, HeaderError, Id, MediaError, UnsupportedRevision};
use crate::policy::{Denial, Remedy};
use crate::request::{RequestError, is_token};
use crate::response::ResponseError;
use crate::session::SessionError;
use crate::task::TaskError;
use crate::token::{ScopeSet, TokenError};

/// An answer that does not come from upstream.
#[derive(Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

/// Why a transaction is refused: the error of the stage that refused it.
#[derive(Debug)]
pub enum Refusal {
    /// By its headers.
    Request(RequestError),
    /// By its token.
    Token(TokenError),
    /// Its token cannot be judged: nobody can say which keys its issuer has.
    KeysUnavailable,
    /// By its session.
    Session(SessionError),
    /// By a task that it names.
    Task(TaskError),
    /// By the kind of its body.
    Media(MediaError),
    /// The body is over the limit.
    TooLarge,
    /// By its body.
    Body(BodyError),
    /// Its revision lacks the method. In a session this is not a 404, which would mean that the session
    /// is gone.
    UnknownMethod(BodyError),
    /// The headers that mirror the body say something else.
    Header(HeaderError),
    /// It tells of a request in no session: a server that keeps no other account of its requests could
    /// take it for another user's.
    OfNoSession,
    /// By policy.
    Denied(Denial),
    /// By policy, an answer to what the server asks.
    ResponseDenied(Denial),
    /// There is no delegation token.
    Exchange(ExchangeError),
    /// The MCP server does not accept the delegation token.
    DelegationRejected,
    /// The MCP server's answer has a status that would lead the client elsewhere.
    UnexpectedStatus,
    /// The MCP server opens a session that cannot be bound to the caller.
    SessionNotBound(SessionError),
    /// The MCP server's answer could hold a list or a task, and cannot be filtered.
    Unfilterable(ResponseError),
    /// No decision in time; the text says what it waited for.
    Undecided(&'static str),
    /// An event that the state does not expect, or a host that fails.
    Failed,
}

/// JSON-RPC 2.0 section 5.1: the code for a failure that is not the request's.
const INTERNAL_ERROR: i64 = -32603;

/// JSON-RPC 2.0 section 5.1.
const INVALID_PARAMS: i64 = -32602;

impl Refusal {
    /// By a body that is not fit to be judged, or that names what no rule can name.
    #[must_use]
    pub fn of_body(error: BodyError) -> Self {
        match error {
            BodyError::InvalidName { .. } => Self::Denied(Denial::nothing(
                "no_rule",
                "Access denied: no rule allows an object of this name.",
            )),
            error => Self::Body(error),
        }
    }

    /// One word for the audit record.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Request(error) => error.reason(),
            Self::Token(error) => error.reason(),
            Self::KeysUnavailable => "keys_unavailable",
            Self::Session(error) | Self::SessionNotBound(error) => error.reason(),
            Self::Task(error) => error.reason(),
            Self::Media(error) => error.reason(),
            Self::TooLarge => "body_too_large",
            Self::Body(error) | Self::UnknownMethod(error) => error.reason(),
            Self::Header(error) => error.reason(),
            Self::OfNoSession => "no_session",
            Self::Denied(denial) | Self::ResponseDenied(denial) => denial.reason,
            Self::Exchange(error) => error.reason(),
            Self::DelegationRejected => "delegation_rejected",
            Self::UnexpectedStatus => "unexpected_status",
            Self::Unfilterable(_) => "unfilterable_response",
            Self::Undecided(_) => "undecided",
            Self::Failed => "failed",
        }
    }

    /// More words for the audit record.
    #[must_use]
    pub fn detail(&self) -> Option<&'static str> {
        match self {
            Self::Exchange(error) => error.detail(),
            Self::Unfilterable(error) => Some(error.detail()),
            Self::Undecided(waited_for) => Some(waited_for),
            _ => None,
        }
    }

    /// Whether policy or the authorization server said no, and not the request or the system.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        let not_delegated = [ExchangeError::Denied, ExchangeError::MayNotAct];
        match self {
            Self::Denied(_) | Self::ResponseDenied(_) | Self::OfNoSession => true,
            Self::Exchange(error) => not_delegated.contains(error),
            _ => false,
        }
    }
}

/// What an answer refers to.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// The request's id, where it is known.
    pub id: Option<&'a Id>,
    /// The endpoint, for a challenge.
    pub endpoint: Option<&'a Endpoint>,
}

impl<'a> About<'a> {
    /// What every request there needs.
    fn required_scopes(&self) -> Option<&'a ScopeSet> {
        self.endpoint.map(|endpoint| &endpoint.required_scopes)
    }
}

/// The answer to a refused request.
#[must_use]
pub fn refuse(config: &Config, refusal: &Refusal, about: About) -> LocalReply {
    let error = |status: u16, code: i64, message: &str| error(status, code, message, about.id);
    let plain = |status: u16, message: &str| error(status, i64::from(status), message);
    let challenge = |reply: LocalReply, challenge: Challenge, scopes: Option<&ScopeSet>| {
        let scopes = scopes.cloned().unwrap_or_default();
        let value = config.challenges.header(&challenge, about.endpoint, &scopes, &config.scopes);
        with_header(reply, "www-authenticate", value)
    };
    let unauthorized =
        |kind, message| challenge(plain(401, message), kind, about.required_scopes());
    let forbidden = |message: &str| match about.id {
        // A status other than 200 tears some clients' sessions down; a JSON-RPC error reaches the
        // model.
        Some(_) => error(200, 403, message),
        None => bare(403),
    };
    let bad_gateway = |message| error(502, INTERNAL_ERROR, message);
    let unavailable =
        |message| with_header(error(503, INTERNAL_ERROR, message), "retry-after", "1".to_owned());
    match refusal {
        Refusal::Request(RequestError::NoToken) => {
            unauthorized(Challenge::Missing, "Authentication required.")
        }
        Refusal::Exchange(ExchangeError::ClaimsRequired(claims)) if !claims.is_empty() => {
            let kind = Challenge::InsufficientClaims(claims);
            unauthorized(kind, "The authorization server asks the user for more.")
        }
        Refusal::Token(_)
        | Refusal::Exchange(
            ExchangeError::SubjectRejected
            | ExchangeError::ClaimsRequired(_)
            | ExchangeError::SubjectExpires,
        ) => unauthorized(Challenge::InvalidToken, "The access token is not accepted."),
        Refusal::Request(RequestError::RepeatedHeader | RequestError::TokenInQuery) => {
            let message = "Send one access token, in one Authorization header.";
            challenge(plain(400, message), Challenge::InvalidRequest, about.required_scopes())
        }
        Refusal::Request(RequestError::UnknownPath) => plain(404, "Not found."),
        Refusal::Request(RequestError::MethodNotAllowed { allow }) => {
            with_header(plain(405, "HTTP method not allowed."), "allow", (*allow).to_owned())
        }
        Refusal::Request(RequestError::OriginNotAllowed) => plain(403, "Origin not allowed."),
        Refusal::Request(RequestError::UnexpectedBody) => {
            plain(400, "A request of this HTTP method has no body.")
        }
        Refusal::Session(SessionError::Missing) => {
            plain(403, "Last-Event-ID goes with the session that it belongs to.")
        }
        // The client starts a new one (MCP 2025-11-25, session management).
        Refusal::Session(_) => plain(404, "Session not found."),
        // The answer of a server that does not know it (MCP 2026-07-28, tasks, error handling).
        Refusal::Task(_) if about.id.is_some() => {
            error(200, INVALID_PARAMS, "Failed to retrieve task: Task not found")
        }
        Refusal::Media(_) => {
            plain(415, "Send application/json, in UTF-8 and without content encoding.")
        }
        Refusal::TooLarge => plain(413, "The request body is too large."),
        Refusal::Header(HeaderError::UnsupportedRevision(cause)) => unsupported(cause, about.id),
        Refusal::Body(cause) => error(cause.http_status(), cause.code(), &cause.to_string()),
        Refusal::Header(cause) => error(400, cause.code(), &cause.to_string()),
        Refusal::UnknownMethod(cause) if about.id.is_some() => {
            error(200, cause.code(), &cause.to_string())
        }
        // It is done with: the client has nothing to mend, and some end the session on an error.
        Refusal::OfNoSession
        | Refusal::ResponseDenied(_)
        | Refusal::UnknownMethod(_)
        | Refusal::Task(_) => bare(202),
        Refusal::Denied(Denial { remedy, message, .. }) => match remedy {
            Remedy::StepUp(scopes) => {
                challenge(plain(403, message), Challenge::InsufficientScope, Some(scopes))
            }
            Remedy::Authenticate(needed, scopes) => {
                let kind = Challenge::InsufficientAuthentication(needed);
                challenge(plain(401, message), kind, Some(scopes))
            }
            Remedy::Nothing => forbidden(message),
            Remedy::NothingByStatus => plain(403, message),
        },
        Refusal::Exchange(ExchangeError::Denied | ExchangeError::MayNotAct) => {
            forbidden("Access denied: the authorization server does not delegate this operation.")
        }
        Refusal::Exchange(
            ExchangeError::Unreachable | ExchangeError::NoAnswer | ExchangeError::Unavailable,
        ) => unavailable("The authorization server does not answer; retry later."),
        Refusal::Exchange(_) => {
            bad_gateway("The authorization server gave no usable delegation token.")
        }
        Refusal::DelegationRejected => {
            bad_gateway("The MCP server does not accept the delegation token.")
        }
        Refusal::UnexpectedStatus => {
            bad_gateway("The MCP server's answer has a status that is not passed on.")
        }
        Refusal::SessionNotBound(_) => {
            bad_gateway("The MCP server opens a session that cannot be bound.")
        }
        Refusal::Unfilterable(_) => bad_gateway("The MCP server's answer cannot be filtered."),
        Refusal::KeysUnavailable => {
            unavailable("The access token cannot be verified now; retry later.")
        }
        Refusal::Undecided(_) => unavailable("No decision in time; retry later."),
        Refusal::Failed => error(500, INTERNAL_ERROR, "Internal error."),
    }
}

/// A metadata document.
#[must_use]
pub fn metadata(document: &str) -> LocalReply {
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("cache-control", "max-age=300".to_owned()),
        // Public by its nature: any page may read it.
        ("access-control-allow-origin", "*".to_owned()),
        ("access-control-allow-methods", "GET, HEAD, OPTIONS".to_owned()),
    ];
    LocalReply { status: 200, headers, body: document.as_bytes().to_vec() }
}

/// The answer to a CORS preflight that asks for headers with these names. `origin` is an endpoint's
/// allowed one; the metadata document, which has none, is open to all.
#[must_use]
pub fn preflight<'a>(origin: Option<&str>, asked: impl IntoIterator<Item = &'a str>) -> LocalReply {
    let mut allowed = String::from(
        "authorization, content-type, accept, last-event-id, mcp-protocol-version, mcp-session-id, \
         mcp-method, mcp-name",
    );
    // What an argument is called is the tool's (MCP 2026-07-28, `x-mcp-header`).
    for name in asked.into_iter().filter(|name| name.starts_with(ARGUMENT_HEADER) && is_token(name))
    {
        allowed.push_str(", ");
        allowed.push_str(name);
    }
    let headers = vec![
        ("access-control-allow-origin", origin.unwrap_or("*").to_owned()),
        ("access-control-allow-methods", "GET, HEAD, POST, DELETE, OPTIONS".to_owned()),
        ("access-control-allow-headers", allowed),
        ("access-control-max-age", "600".to_owned()),
        ("vary", "origin".to_owned()),
    ];
    LocalReply { status: 204, headers, body: Vec::new() }
}

/// What lets a page of an allowed origin read an answer (Fetch standard, CORS protocol).
#[must_use]
pub fn cors(origin: &str) -> [(&'static str, String); 3] {
    [
        ("access-control-allow-origin", origin.to_owned()),
        (
            "access-control-expose-headers",
            "WWW-Authenticate, Mcp-Session-Id, Retry-After".to_owned(),
        ),
        ("vary", "origin".to_owned()),
    ]
}

fn error(status: u16, code: i64, message: &str, id: Option<&Id>) -> LocalReply {
    error_object(status, &json!({"code": code, "message": message}), id)
}

/// MCP 2026-07-28, `UnsupportedProtocolVersionError`: the client may choose another revision.
fn unsupported(cause: &UnsupportedRevision, id: Option<&Id>) -> LocalReply {
    let (code, message) = (UnsupportedRevision::CODE, cause.to_string());
    error_object(400, &json!({"code": code, "message": message, "data": cause.data()}), id)
}

fn error_object(status: u16, error: &Value, id: Option<&Id>) -> LocalReply {
    let body = json!({"jsonrpc": "2.0", "id": id, "error": error});
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("cache-control", "no-store".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
    ];
    LocalReply { status, headers, body: body.to_string().into_bytes() }
}

fn bare(status: u16) -> LocalReply {
    LocalReply { status, headers: Vec::new(), body: Vec::new() }
}

fn with_header(mut reply: LocalReply, name: &'static str, value: String) -> LocalReply {
    reply.headers.push((name, value));
    reply
}
