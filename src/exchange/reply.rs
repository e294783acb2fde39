//! The authorization server's reply, checked before anything of it is used (RFC 8693 section 2.2).

use std::time::Duration;

use serde::Deserialize;

use super::{ACCESS_TOKEN, Delegated, Key, Settings};
use crate::clock::Now;
use crate::json;
use crate::token::{BearerToken, Caller, TokenError, Unverified};

/// What the host heard.
#[derive(Debug, Clone)]
pub struct CalloutReply {
    /// The HTTP status; none if the reply was not complete in time, was cut off, or too large for
    /// the host, which does not say which.
    pub status: Option<u16>,
    /// Whether the server itself answered, and not Envoy in its place.
    pub from_server: bool,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no delegation token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExchangeError {
    /// The request could not be sent: no such cluster, or no endpoint in it.
    Unreachable,
    /// No whole answer in time, or the connection was refused.
    NoAnswer,
    /// The server is overloaded or broken.
    Unavailable,
    /// The server does not accept the caller's token (`invalid_grant`, `invalid_request`).
    SubjectRejected,
    /// The server does not delegate this to this caller (`invalid_scope`, `invalid_target`,
    /// `access_denied`).
    Denied,
    /// The caller's token names who may act, and it is not this gateway (RFC 8693 section 4.4).
    MayNotAct,
    /// The server does not accept this gateway as a client: an operator must look.
    ClientRejected,
    /// The reply is not what was asked for; the text says in which way, and holds no input.
    BadReply(&'static str),
    /// The delegation token does not verify.
    BadToken(TokenError),
}

impl ExchangeError {
    /// One word for the audit record.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable => "exchange_unreachable",
            Self::NoAnswer => "exchange_no_answer",
            Self::Unavailable => "exchange_unavailable",
            Self::SubjectRejected => "exchange_subject_rejected",
            Self::Denied => "exchange_denied",
            Self::MayNotAct => "may_not_act",
            Self::ClientRejected => "exchange_client_rejected",
            Self::BadReply(_) => "exchange_bad_reply",
            Self::BadToken(_) => "exchange_bad_token",
        }
    }

    /// More words for the audit record and the operator; never any of the token.
    #[must_use]
    pub fn detail(&self) -> Option<&'static str> {
        match self {
            Self::BadReply(text) => Some(text),
            Self::BadToken(error) => Some(error.reason()),
            _ => None,
        }
    }

    /// Whether only an operator can mend it.
    #[must_use]
    pub fn needs_operator(&self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::ClientRejected | Self::BadReply(_) | Self::BadToken(_)
        )
    }

    /// Whether it is the server's considered word on this token and target, worth remembering.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::SubjectRejected | Self::Denied)
    }
}

/// RFC 8693 section 2.2.1. A `refresh_token` is not read: nothing here may use one.
#[derive(Deserialize)]
struct Success {
    access_token: String,
    issued_token_type: String,
    token_type: String,
    expires_in: Option<u64>,
    scope: Option<String>,
}

/// RFC 6749 section 5.2.
#[derive(Deserialize)]
struct Failure {
    error: String,
}

/// A token reply is small; more is not one.
const REPLY_BYTES: usize = 64 * 1024;

/// Checks a reply and the token in it.
///
/// # Errors
/// See [`ExchangeError`]. The inbound token is never a substitute.
pub(super) fn check(
    reply: &CalloutReply,
    settings: &Settings,
    caller: &Caller,
    key: &Key,
    sent: Now,
    now: Now,
) -> Result<Delegated, ExchangeError> {
    let status = reply.status.ok_or(ExchangeError::NoAnswer)?;
    if !reply.from_server && status >= 500 {
        return Err(ExchangeError::NoAnswer);
    }
    if status == 429 || status >= 500 {
        return Err(ExchangeError::Unavailable);
    }
    if reply.body.len() > REPLY_BYTES {
        return Err(ExchangeError::BadReply("too large"));
    }
    if json::check(&reply.body, &json::Limits::default()).is_err() {
        return Err(ExchangeError::BadReply("not JSON"));
    }
    if status != 200 {
        return Err(failure(&reply.body));
    }
    let success: Success = serde_json::from_slice(&reply.body)
        .map_err(|_| ExchangeError::BadReply("members are missing"))?;
    let (lifetime, claims) = delegation(&success, settings, caller, key, now)?;
    // From when it was sent: the server made the token no earlier.
    let lives = Duration::from_secs(lifetime);
    let margin = lives.mul_f64(0.2).min(Duration::from_secs(1));
    let usable_until = sent.monotonic.saturating_add(lives.saturating_sub(margin));
    let subject_lives = caller.remaining(now);
    let token = BearerToken::new(&success.access_token);
    Ok(Delegated {
        id: claims.id.unwrap_or_else(|| token.fingerprint()),
        token,
        lifetime: claims.expires_at.saturating_sub(claims.issued_at),
        actors: claims.actors,
        usable_until: usable_until.min(now.monotonic.saturating_add(subject_lives)),
    })
}

fn delegation(
    success: &Success,
    settings: &Settings,
    caller: &Caller,
    key: &Key,
    now: Now,
) -> Result<(u64, crate::token::Claims), ExchangeError> {
    let bad = |what| Err(ExchangeError::BadReply(what));
    let target = &key.target;
    if !success.token_type.eq_ignore_ascii_case("Bearer") {
        return bad("the token is not a bearer token");
    }
    if success.issued_token_type != ACCESS_TOKEN {
        return bad("another type of token was issued");
    }
    if success.access_token == caller.token.reveal() {
        return bad("the caller's own token came back");
    }
    if success.scope.as_ref().is_some_and(|scope| **scope != *target.scope) {
        return bad("another scope was granted");
    }
    if success.expires_in.is_some_and(|lifetime| lifetime == 0 || lifetime > target.max_lifetime) {
        return bad("it lives longer than the rule allows");
    }
    let claims = Unverified::parse(&success.access_token)
        .and_then(|token| {
            token.verify(&settings.issuer, &settings.expectations(target), now.unix_seconds())
        })
        .map_err(ExchangeError::BadToken)?;
    if claims.subject != caller.claims.subject {
        return bad("the token is for another subject");
    }
    if claims.actors.first().map(|actor| &**actor) != Some(&*settings.actor) {
        return bad("the token does not name this gateway as the actor");
    }
    if !matches!(claims.scopes.as_slice(), [only] if **only == *target.scope) {
        return bad("the token carries other scopes");
    }
    if claims.expires_at > caller.claims.expires_at {
        return bad("the token outlives the caller's");
    }
    let lifetime = claims.expires_at.saturating_sub(claims.issued_at);
    Ok((success.expires_in.map_or(lifetime, |said| said.min(lifetime)), claims))
}

fn failure(body: &[u8]) -> ExchangeError {
    let Ok(failure) = serde_json::from_slice::<Failure>(body) else {
        return ExchangeError::BadReply("an error without a code");
    };
    match failure.error.as_str() {
        "invalid_grant" | "invalid_request" => ExchangeError::SubjectRejected,
        "invalid_scope" | "invalid_target" | "access_denied" => ExchangeError::Denied,
        "invalid_client" | "unauthorized_client" => ExchangeError::ClientRejected,
        "temporarily_unavailable" | "server_error" | "slow_down" => ExchangeError::Unavailable,
        _ => ExchangeError::BadReply("an error code that means nothing here"),
    }
}
