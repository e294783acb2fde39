//! JWT in, verified claims out.
//!
//! ```text
//! &str ── Unverified::parse ──► Unverified ── verify(issuer, expectations, …, now) ──► Claims
//!          parts, JSON, caps                   claims, then key, then signature
//! ```
//!
//! What can be refused without a signature check is refused before it, so that a flood of
//! tokens that were never meant for this server costs little. Nothing is believed before it:
//! in the filter, [`Claims`] come from [`Unverified::verify`] alone.
//!
//! The signatures themselves are checked by the host, where it can ([`SignatureVerifier`]), or else
//! by `jwt-compact`; both accept the same. All that RFC 8725 asks for beyond
//! them is here: the key is chosen by issuer and `kid` and bound to its algorithm,
//! header members that would change the rules are refused, and so are tokens of other types.

mod algorithm;
mod caller;
mod claims;
mod compact;
mod error;
mod keys;
mod memory;
mod remote_jwks;
mod revoked;
mod scope;
mod signature;

use std::fmt;

use serde_json::{Map, Value};

pub use self::{
    algorithm::{Algorithm, UnsupportedAlgorithm},
    caller::{BearerToken, Caller, Callers, TrustedIssuer},
    claims::is_identifier,
    error::TokenError,
    keys::{Key, KeyProblem, KeyReason, KeySet, KeySetError, PRIVATE_MEMBERS},
    remote_jwks::{Fetch, FetchError, FetchReply, Fetched, KeyFetches, RemoteJwks},
    revoked::{Revoked, Table},
    scope::{ScopeSet, ScopeTable, is_scope_token},
    signature::{PureRust, SignatureCheck, SignatureVerifier, envoy, proven},
};
use self::{claims::RawClaims, compact::Compact};

/// An authorization server, as far as its tokens are concerned.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its identifier, which `iss` must equal byte for byte (RFC 8414 section 2).
    pub issuer: Box<str>,
    /// The keys with which its tokens, and no other issuer's, are verified.
    pub keys: KeySet,
    /// The algorithms that it may use.
    pub algorithms: Vec<Algorithm>,
}

/// What a token must be, beyond its signature.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// One member of `aud` must equal one of these byte for byte, or one of `endpoints`.
    pub audiences: Vec<Box<str>>,
    /// What `aud` says of a token that is for one endpoint alone, by the endpoints' places.
    pub endpoints: Vec<Box<str>>,
    /// Whether `aud` may have no other member.
    pub exact_audience: bool,
    /// The accepted values of `typ`, such as `at+jwt`: compared without regard to case, and
    /// without `application/`. An empty string accepts a token without `typ`.
    ///
    /// `JWT` and the empty string do not tell an access token from an ID token. With them,
    /// tokens that carry claims of ID and logout tokens are refused.
    pub token_types: Vec<Box<str>>,
    /// The claims that may hold the scopes. The first one that is present counts, alone.
    pub scope_claims: Vec<Box<str>>,
    /// The claims that may hold the client's identifier. The first one that is present counts.
    pub client_claims: Vec<Box<str>>,
    /// Whether one of them must be there: ID tokens have none, where nothing else tells them apart.
    pub client_required: bool,
    /// The claims that rules read, besides those that have a place of their own in [`Claims`].
    pub kept_claims: Vec<Box<str>>,
    /// The longest time from `iat` to `exp`, in seconds.
    pub max_lifetime: u64,
    /// How far the issuer's clock may be off, in seconds.
    pub leeway: u64,
    /// Whose tokens are refused all the same.
    pub revoked: Revoked,
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Box<str>,
    /// `sub`.
    pub subject: Box<str>,
    /// `aud`, at least one.
    pub audiences: Vec<Box<str>>,
    /// `exp`, in seconds since 1970.
    pub expires_at: u64,
    /// `iat`, in seconds since 1970.
    pub issued_at: u64,
    /// `jti`.
    pub id: Option<Box<str>>,
    /// The client that the token was issued to, by [`Expectations::client_claims`].
    pub client: Option<Box<str>>,
    /// The granted scopes, by [`Expectations::scope_claims`], in the token's order.
    pub scopes: Vec<Box<str>>,
    /// The `sub` of each actor in `act`, outermost, which is the current one, first
    /// (RFC 8693 section 4.1). The others are history: no decision may rest on them.
    pub actors: Vec<Box<str>>,
    /// The `client_id` of the current actor, which some servers give beside its `sub`.
    pub actor_client: Option<Box<str>>,
    /// `may_act`.
    pub may_act: Option<MayAct>,
    /// `sid`, the session at the authorization server.
    pub session: Option<Box<str>>,
    /// `acr`, the authentication context class.
    pub acr: Option<Box<str>>,
    /// `auth_time`, in seconds since 1970.
    pub auth_time: Option<u64>,
    /// Those of all its claims that [`Expectations::kept_claims`] names, as they are.
    pub members: Map<String, Value>,
}

/// The party that may act for the subject (RFC 8693 section 4.4): whoever fits all that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MayAct {
    /// `sub`.
    pub subject: Option<Box<str>>,
    /// `client_id`.
    pub client: Option<Box<str>>,
    /// `iss`.
    pub issuer: Option<Box<str>>,
}

/// The claims of a token, for tools that ask what would be if it were verified. The filter does not
/// have this.
///
/// # Errors
/// The text is not a compact JWS of the form that the filter reads.
#[cfg(not(target_arch = "wasm32"))]
pub fn danger_unverified_claims(token: &str) -> Result<Map<String, Value>, TokenError> {
    Compact::parse(token).map(|jws| jws.payload)
}

/// A token whose parts are read and whose claims nobody may believe yet.
pub struct Unverified<'a> {
    jws: Compact<'a>,
    claims: RawClaims,
}

impl<'a> Unverified<'a> {
    /// Reads a compact JWS (RFC 7515 section 7.1) with the claims of an access token
    /// (RFC 9068 section 2.2).
    ///
    /// # Errors
    /// When it is longer than 8 KiB or not well-formed, uses an `alg` or another header member
    /// that is not supported, or lacks `iss`, `sub`, `aud`, `exp` or `iat`.
    pub fn parse(token: &'a str) -> Result<Self, TokenError> {
        let mut jws = Compact::parse(token)?;
        let claims = RawClaims::read(std::mem::take(&mut jws.payload))?;
        Ok(Self { jws, claims })
    }

    /// What the token calls its issuer: good for finding the [`Issuer`] and for nothing else.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.claims.issuer
    }

    /// Verifies the token at the time `now`, in seconds since 1970.
    ///
    /// # Errors
    /// The first of these that fails: `iss`, `alg`, `typ`, the client where one is required, `aud`,
    /// the times, no `cnf`, the key, the signature, the form of the claims that are optional, and last
    /// that nothing is revoked.
    pub fn verify(
        self,
        issuer: &Issuer,
        expectations: &Expectations,
        verifier: &dyn SignatureVerifier,
        now: u64,
    ) -> Result<Claims, TokenError> {
        self.check(issuer, expectations, now)?;
        let header = &self.jws.header;
        let key = issuer.keys.matching(header.key_id.as_deref(), header.algorithm);
        let key = key.ok_or(TokenError::UnknownKey)?;
        let signing_input = self.jws.signing_input.as_bytes();
        if !key.verify(header.algorithm, signing_input, &self.jws.signature, verifier) {
            return Err(TokenError::BadSignature);
        }
        self.claims.complete(expectations)
    }

    /// As [`verify`](Self::verify), but believes the token without its signature: only what comes
    /// from the issuer itself, over TLS, may be read like this.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), without those of the key and the signature.
    pub fn danger_claims_alone(
        self,
        issuer: &Issuer,
        expectations: &Expectations,
        now: u64,
    ) -> Result<Claims, TokenError> {
        self.check(issuer, expectations, now)?;
        self.claims.complete(expectations)
    }

    /// What can be checked without a key.
    fn check(
        &self,
        issuer: &Issuer,
        expectations: &Expectations,
        now: u64,
    ) -> Result<(), TokenError> {
        if self.claims.issuer != issuer.issuer {
            return Err(TokenError::WrongIssuer);
        }
        if !issuer.algorithms.contains(&self.jws.header.algorithm) {
            return Err(TokenError::AlgorithmNotAllowed);
        }
        self.check_type(expectations)?;
        if expectations.client_required && !self.claims.names_client(&expectations.client_claims) {
            return Err(TokenError::MissingClaim("client_id"));
        }
        self.check_audience(expectations)?;
        self.check_times(expectations, now)?;
        if self.claims.is_sender_constrained() {
            return Err(TokenError::SenderConstrained);
        }
        Ok(())
    }

    /// RFC 8725 section 3.11: a token of one kind must not pass for another.
    fn check_type(&self, expectations: &Expectations) -> Result<(), TokenError> {
        let given = self.jws.header.token_type.as_deref().map_or("", media_type);
        let mut accepted = expectations.token_types.iter().map(|name| media_type(name));
        let says_nothing = given.is_empty() || given.eq_ignore_ascii_case("JWT");
        if !accepted.any(|name| name.eq_ignore_ascii_case(given))
            || (says_nothing && self.claims.is_of_other_type())
        {
            return Err(TokenError::WrongType);
        }
        Ok(())
    }

    /// RFC 7519 section 4.1.3, without any normalization.
    fn check_audience(&self, expectations: &Expectations) -> Result<(), TokenError> {
        let given = &self.claims.audiences;
        let alone = given.len() == 1 || !expectations.exact_audience;
        let Expectations { audiences, endpoints, .. } = expectations;
        if alone && given.iter().any(|one| audiences.contains(one) || endpoints.contains(one)) {
            return Ok(());
        }
        Err(TokenError::WrongAudience)
    }

    fn check_times(&self, expectations: &Expectations, now: u64) -> Result<(), TokenError> {
        let RawClaims { expires_at, issued_at, not_before, .. } = self.claims;
        let latest_start = now.saturating_add(expectations.leeway);
        if expires_at.saturating_add(expectations.leeway) <= now {
            return Err(TokenError::Expired);
        }
        if not_before.is_some_and(|not_before| not_before > latest_start) {
            return Err(TokenError::NotYetValid);
        }
        if issued_at > latest_start {
            return Err(TokenError::IssuedInFuture);
        }
        match expires_at.checked_sub(issued_at) {
            None => Err(TokenError::IssuedAfterExpiry),
            Some(lifetime) if lifetime > expectations.max_lifetime => {
                Err(TokenError::LifetimeTooLong)
            }
            Some(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Unverified<'_> {
    /// Shows nothing that could be used or believed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Unverified").finish_non_exhaustive()
    }
}

/// `typ` without the prefix that RFC 7515 section 4.1.9 recommends to leave out.
fn media_type(name: &str) -> &str {
    const PREFIX: &str = "application/";
    match name.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.is_empty() => rest,
        _ => name,
    }
}

#[cfg(test)]
mod tests;
