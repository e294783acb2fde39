//! The authorization server's reply, checked before anything of it is used (RFC 8693 section 2.2).

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::check::Check;
use super::details::are_details;
use super::settings::Profile;
use super::source::{
    ActorClaim, ErrorMeaning, IssuedTokenType, LongerLifetime, ScopeClaim, Verify,
};
use super::{Delegated, Target};
use crate::clock::Now;
use crate::json;
use crate::token::{BearerToken, Caller, Claims, SignatureVerifier, TokenError, Unverified};

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
    /// The user must do more at the server: a second factor, say. With it what the client is to ask
    /// for: a JSON object (OpenID Connect Core section 5.5) in base64, as Entra's clients read it.
    ClaimsRequired(Box<str>),
    /// The caller's token ends before the delegation token that it was exchanged for would.
    SubjectExpires,
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
            Self::ClaimsRequired(_) => "exchange_claims_required",
            Self::SubjectExpires => "token_expires_soon",
            Self::Denied => "exchange_denied",
            Self::MayNotAct => "may_not_act",
            Self::ClientRejected => "exchange_client_rejected",
            Self::BadReply(_) => "exchange_bad_reply",
            Self::BadToken(_) => "exchange_bad_token",
        }
    }

    /// What another worker was told, by its [`reason`](Self::reason), and `claims` if those are
    /// required: other details are in that worker's log.
    pub(super) fn from_reason(reason: &str, claims: &str) -> Self {
        let known = [
            Self::Unreachable,
            Self::NoAnswer,
            Self::Unavailable,
            Self::SubjectRejected,
            Self::ClaimsRequired(claims.into()),
            Self::SubjectExpires,
            Self::Denied,
            Self::ClientRejected,
        ];
        let found = known.into_iter().find(|error| error.reason() == reason);
        found.unwrap_or(Self::BadReply("another worker was given a bad one"))
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
        matches!(
            self,
            Self::SubjectRejected | Self::ClaimsRequired(_) | Self::SubjectExpires | Self::Denied
        )
    }
}

/// RFC 8693 section 2.2.1. A `refresh_token` is not read: nothing here may use one.
#[derive(Deserialize)]
struct Success {
    access_token: String,
    issued_token_type: Option<String>,
    token_type: String,
    expires_in: Option<u64>,
    scope: Option<String>,
    authorization_details: Option<Value>,
}

/// RFC 6749 section 5.2.
#[derive(Deserialize)]
struct Failure {
    error: String,
    /// Entra's: what the client must ask for.
    claims: Option<Value>,
}

/// A token reply is small; more is not one.
const REPLY_BYTES: usize = 64 * 1024;

/// What a reply to an exchange is checked against.
pub struct Checking<'a> {
    /// Of the server that was asked.
    pub profile: &'a Profile,
    /// Whose token was exchanged.
    pub caller: &'a Caller,
    /// What for.
    pub target: &'a Target,
    /// Of signatures.
    pub verifier: &'a dyn SignatureVerifier,
    /// When the reply was asked for.
    pub sent: Now,
    /// When it came.
    pub now: Now,
    /// Is told of each check before it is made: the last one that it is told of is the one that fails.
    pub begin: &'a mut dyn FnMut(Check),
}

impl Checking<'_> {
    /// Checks a reply and the token in it.
    ///
    /// # Errors
    /// See [`ExchangeError`]. The inbound token is never a substitute.
    pub fn check(mut self, reply: &CalloutReply) -> Result<Delegated, ExchangeError> {
        let success = success(reply, &self.profile.error_codes, self.begin)?;
        let (lifetime, said) = self.delegation(&success)?;
        let Self { caller, target, sent, now, .. } = self;
        // From when it was sent: the server made the token no earlier.
        let lives = Duration::from_secs(lifetime.min(target.max_lifetime));
        let margin = lives.mul_f64(0.2).min(Duration::from_secs(1));
        let usable_until = sent.monotonic.saturating_add(lives.saturating_sub(margin));
        let token = BearerToken::new(&success.access_token);
        let ends =
            |claims: &Claims| Duration::from_secs(claims.expires_at).saturating_sub(now.unix);
        // A server may give one that it made before.
        let token_lives = said.as_ref().map_or(Duration::MAX, ends).min(caller.remaining(now));
        let (id, actors) = said.map_or((None, Vec::new()), |claims| (claims.id, claims.actors));
        Ok(Delegated {
            id: id.unwrap_or_else(|| token.fingerprint()),
            token,
            lifetime,
            actors,
            asked: sent.monotonic,
            usable_until: usable_until.min(now.monotonic.saturating_add(token_lives)),
        })
    }

    /// How long the token lives, in seconds, and what it says of itself, if it can be read.
    fn delegation(&mut self, success: &Success) -> Result<(u64, Option<Claims>), ExchangeError> {
        let Self { profile, target, verifier, now, .. } = *self;
        let expected = profile.expectations(target);
        self.check_reply(success, expected.max_lifetime)?;
        if profile.verify == Verify::DangerOpaque {
            return opaque(success, target).map(|lifetime| (lifetime, None));
        }
        (self.begin)(Check::Token);
        let claims = Unverified::parse(&success.access_token)
            .and_then(|token| match profile.verify {
                Verify::DangerClaimsAlone => {
                    token.danger_claims_alone(&profile.issuer, &expected, now.unix_seconds())
                }
                _ => token.verify(&profile.issuer, &expected, verifier, now.unix_seconds()),
            })
            .map_err(ExchangeError::BadToken)?;
        self.check_claims(&claims)?;
        let lifetime = claims.expires_at.saturating_sub(claims.issued_at);
        let lifetime = success.expires_in.map_or(lifetime, |said| said.min(lifetime));
        Ok((lifetime, Some(claims)))
    }

    /// Holds what the reply says beside the token against what was asked for. `longest` is the longest
    /// lifetime that is accepted, in seconds.
    fn check_reply(&mut self, success: &Success, longest: u64) -> Result<(), ExchangeError> {
        let Self { profile, caller, target, .. } = *self;
        let bad = |what| Err(ExchangeError::BadReply(what));
        (self.begin)(Check::Bearer);
        if !success.token_type.eq_ignore_ascii_case("Bearer") {
            return bad("the token is not a bearer token");
        }
        (self.begin)(Check::IssuedTokenType);
        match (&success.issued_token_type, profile.requested_token_type.urn()) {
            (None, _) if profile.issued_token_type == IssuedTokenType::Optional => {}
            (Some(issued), Some(requested)) if issued == requested => {}
            (Some(issued), None) if issued == super::source::TokenType::AccessToken.urn() => {}
            _ => return bad("another type of token was issued"),
        }
        (self.begin)(Check::NotReturned);
        if success.access_token == caller.token.reveal() {
            return bad("the caller's own token came back");
        }
        if let Some(granted) = &success.scope {
            (self.begin)(Check::ReplyScope);
            are_granted(granted.split(' '), profile, target)?;
        }
        (self.begin)(Check::ReplyLifetime);
        match success.expires_in {
            Some(0) => return bad("its life is over"),
            Some(lifetime) if lifetime > longest => {
                return bad("it lives longer than the rule allows");
            }
            _ => {}
        }
        if target.authorization_details.is_some() {
            (self.begin)(Check::ReplyDetails);
        }
        check_details(success.authorization_details.as_ref(), target)
    }

    /// Holds the claims of the token against the caller and what was asked for.
    fn check_claims(&mut self, claims: &Claims) -> Result<(), ExchangeError> {
        let Self { profile, caller, target, now, .. } = *self;
        let bad = |what| Err(ExchangeError::BadReply(what));
        (self.begin)(Check::Subject);
        let subject = named(claims, &profile.subject_claim);
        if subject.is_none() || subject != named(&caller.claims, &profile.inbound_subject_claim) {
            return bad("the token is for another subject");
        }
        (self.begin)(Check::Actor);
        if !names_actor(claims, profile) {
            return bad("the token does not name this gateway as the actor");
        }
        if profile.scope_claim != ScopeClaim::Reply {
            (self.begin)(Check::TokenScope);
            are_granted(claims.scopes.iter().map(AsRef::as_ref), profile, target)?;
        }
        let bound = claims.members.get("authorization_details");
        if target.authorization_details.is_some() {
            (self.begin)(Check::Details);
            if !bound.is_some_and(|details| are_details(details, target)) {
                return bad("it is not bound to this call");
            }
        } else {
            check_details(bound, target)?;
        }
        (self.begin)(Check::Expiry);
        if profile.longer_lifetime == LongerLifetime::Refuse
            && claims.expires_at > caller.claims.expires_at
        {
            // A server that gives every token the same life cannot help it.
            let ends_soon =
                caller.claims.expires_at < now.unix_seconds().saturating_add(target.max_lifetime);
            if ends_soon {
                return Err(ExchangeError::SubjectExpires);
            }
            return bad("the token outlives the caller's");
        }
        Ok(())
    }
}

/// The caller's own token as a delegation token for `target`, if it is what the exchange would give.
pub(super) fn already_delegated(
    caller: &Caller,
    profile: &Profile,
    target: &Target,
    now: Now,
) -> Option<Delegated> {
    let claims = &caller.claims;
    let expected = profile.expectations(target);
    let lifetime = claims.expires_at.saturating_sub(claims.issued_at);
    let is_it = claims.issuer == profile.issuer.issuer
        && claims.audiences == expected.audiences
        && lifetime <= target.max_lifetime
        && claims.expires_at > now.unix_seconds()
        && claims.actors.first().is_some_and(|actor| *actor == profile.actor)
        && matches!(claims.scopes.as_slice(), [only] if **only == *target.scope);
    is_it.then(|| Delegated {
        id: claims.id.clone().unwrap_or_else(|| caller.token.fingerprint()),
        token: caller.token.clone(),
        lifetime,
        actors: claims.actors.clone(),
        asked: now.monotonic,
        usable_until: now.monotonic,
    })
}

/// The token of this gateway's own in a reply, and how long it lives.
///
/// # Errors
/// See [`ExchangeError`].
pub(super) fn own_token(reply: &CalloutReply) -> Result<(BearerToken, Duration), ExchangeError> {
    let success = success(reply, &BTreeMap::new(), &mut |_| {}).map_err(|error| match error {
        // It is no caller's fault that this gateway gets no token.
        error if error.is_refusal() => ExchangeError::ClientRejected,
        error => error,
    })?;
    if !success.token_type.eq_ignore_ascii_case("Bearer") {
        return Err(ExchangeError::BadReply("the gateway's own token is not a bearer token"));
    }
    match success.expires_in {
        Some(seconds @ 1..) => {
            Ok((BearerToken::new(&success.access_token), Duration::from_secs(seconds)))
        }
        _ => Err(ExchangeError::BadReply("the lifetime of the gateway's own token is not known")),
    }
}

/// The members of a reply that holds a token; `error_codes` says what errors of the server's own mean.
fn success(
    reply: &CalloutReply,
    error_codes: &BTreeMap<String, ErrorMeaning>,
    begin: &mut dyn FnMut(Check),
) -> Result<Success, ExchangeError> {
    begin(Check::Answered);
    let status = reply.status.ok_or(ExchangeError::NoAnswer)?;
    if !reply.from_server && status >= 500 {
        return Err(ExchangeError::NoAnswer);
    }
    begin(Check::Available);
    if status == 429 || status >= 500 {
        return Err(ExchangeError::Unavailable);
    }
    begin(Check::Json);
    if reply.body.len() > REPLY_BYTES {
        return Err(ExchangeError::BadReply("too large"));
    }
    if json::check(&reply.body, &json::Limits::default()).is_err() {
        return Err(ExchangeError::BadReply("not JSON"));
    }
    // A list would be read as the members in their order.
    if !reply.body.trim_ascii_start().starts_with(b"{") {
        return Err(ExchangeError::BadReply("not an object"));
    }
    begin(Check::Granted);
    if status != 200 {
        return Err(failure(&reply.body, error_codes));
    }
    begin(Check::Members);
    let success: Success = serde_json::from_slice(&reply.body)
        .map_err(|_| ExchangeError::BadReply("members are missing"))?;
    // It goes into a header.
    let is_token =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token(&success.access_token) {
        return Err(ExchangeError::BadReply("the token is none"));
    }
    Ok(success)
}

/// How long a token lives that nobody here can read: the reply alone says so.
fn opaque(success: &Success, target: &Target) -> Result<u64, ExchangeError> {
    if success.authorization_details.is_none() && target.authorization_details.is_some() {
        return Err(ExchangeError::BadReply("it is not bound to this call"));
    }
    let unknown = ExchangeError::BadReply("the lifetime of an opaque token is not known");
    success.expires_in.ok_or(unknown)
}

/// Refuses details, in the reply or the token, that are not those which were asked for.
fn check_details(details: Option<&Value>, target: &Target) -> Result<(), ExchangeError> {
    if details.is_some_and(|details| !are_details(details, target)) {
        return Err(ExchangeError::BadReply("other details were authorized"));
    }
    Ok(())
}

/// Whether these are the scope that was asked for, and of others none but those that are ignored.
fn are_granted<'a>(
    granted: impl Iterator<Item = &'a str>,
    profile: &Profile,
    target: &Target,
) -> Result<(), ExchangeError> {
    let asked = profile.scope(target);
    let mut has_it = false;
    for scope in granted {
        let is_it = *scope == *target.scope || *scope == *asked;
        has_it |= is_it;
        if !is_it && !profile.ignores(scope, target) {
            return Err(ExchangeError::BadReply("it has scopes that were not asked for"));
        }
    }
    if has_it { Ok(()) } else { Err(ExchangeError::BadReply("it lacks the scope")) }
}

/// The claim `name`, if it names something.
fn named<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    match name {
        "sub" => Some(&claims.subject),
        name => claims.members.get(name)?.as_str().filter(|text| !text.is_empty()),
    }
}

fn names_actor(claims: &Claims, profile: &Profile) -> bool {
    let Some(path) = profile.actor_claim.path() else { return true };
    let named = match profile.actor_claim {
        ActorClaim::ActSub => claims.actors.first().map(AsRef::as_ref),
        ActorClaim::ActClientId => claims.actor_client.as_deref(),
        _ => named(claims, path),
    };
    named == Some(&*profile.actor)
}

fn failure(body: &[u8], error_codes: &BTreeMap<String, ErrorMeaning>) -> ExchangeError {
    let Ok(failure) = serde_json::from_slice::<Failure>(body) else {
        return ExchangeError::BadReply("an error without a code");
    };
    match error_codes.get(&failure.error) {
        Some(ErrorMeaning::SubjectRejected) => return ExchangeError::SubjectRejected,
        Some(ErrorMeaning::Denied) => return ExchangeError::Denied,
        Some(ErrorMeaning::ClientRejected) => return ExchangeError::ClientRejected,
        Some(ErrorMeaning::Unavailable) => return ExchangeError::Unavailable,
        None => {}
    }
    if let Some(claims) = failure.claims.as_ref().and_then(Value::as_str).and_then(claims_request) {
        return ExchangeError::ClaimsRequired(claims);
    }
    match failure.error.as_str() {
        // OpenID Connect's, which the user can mend (Core section 3.1.2.6), are among them.
        "invalid_grant"
        | "invalid_request"
        | "interaction_required"
        | "login_required"
        | "consent_required"
        | "account_selection_required" => ExchangeError::SubjectRejected,
        "invalid_scope" | "invalid_target" | "access_denied" => ExchangeError::Denied,
        "invalid_client" | "unauthorized_client" => ExchangeError::ClientRejected,
        "temporarily_unavailable" | "server_error" | "slow_down" => ExchangeError::Unavailable,
        _ => ExchangeError::BadReply("an error code that means nothing here"),
    }
}

/// What the client is to ask for, for a header.
fn claims_request(claims: &str) -> Option<Box<str>> {
    /// Proxies and clients have limits for headers.
    const LONGEST: usize = 2048;
    let is_object = json::object(claims.as_bytes(), &json::Limits::default()).is_ok();
    (claims.len() <= LONGEST && is_object).then(|| STANDARD.encode(claims).into())
}
