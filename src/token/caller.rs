//! Who asks: a verified token, and the store of those that were verified before.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

#[cfg(not(target_arch = "wasm32"))]
use serde_json::{Map, Value};

#[cfg(not(target_arch = "wasm32"))]
use super::claims::RawClaims;
use super::{
    Claims, Expectations, Issuer, RemoteJwks, ScopeSet, ScopeTable, SignatureVerifier, TokenError,
    Unverified, memory,
};
use crate::cache::{Bounds, Cache, Entry};
use crate::clock::Now;
use crate::fingerprint::fingerprint;

/// A bearer token. Prints as its fingerprint, so that no log can hold it by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(Rc<str>);

impl BearerToken {
    /// Keeps a token's text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, for a header or a form that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What stands for it in a log.
    #[must_use]
    pub fn fingerprint(&self) -> Box<str> {
        fingerprint(self.0.as_bytes())
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "sha256:{}", self.fingerprint())
    }
}

/// The end of a token is its signature, which no two share: enough to find it by. Equality is still
/// that of the whole.
impl Hash for BearerToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let bytes = self.0.as_bytes();
        let tail = bytes.len().saturating_sub(32);
        state.write(bytes.get(tail..).unwrap_or_default());
    }
}

/// A verified inbound token.
#[derive(Debug)]
pub struct Caller {
    /// What it says.
    pub claims: Claims,
    /// Those of its scopes that the configuration knows.
    pub granted: ScopeSet,
    /// And those that they imply: what decides.
    pub scopes: ScopeSet,
    /// The token itself, to be exchanged.
    pub token: BearerToken,
    /// Whose share of the caches it counts against: issuer, subject and client.
    pub owner: Rc<str>,
    /// The places of the endpoints that it is for; none if it is for all of them.
    pub(super) endpoints: Option<Box<[usize]>>,
    leeway: u64,
}

impl Caller {
    fn new(
        claims: Claims,
        token: BearerToken,
        expected: &Expectations,
        scopes: &ScopeTable,
    ) -> Self {
        let client = claims.client.as_deref().unwrap_or_default();
        let granted = scopes.set(claims.scopes.iter().map(|scope| &**scope));
        Self {
            scopes: scopes.with_implied(&granted),
            granted,
            owner: format!("{}\n{}\n{client}", claims.issuer, claims.subject).into(),
            token,
            endpoints: endpoints(&claims.audiences, expected),
            leeway: expected.leeway,
            claims,
        }
    }

    /// A caller that nobody verified, of the claims that a token of this issuer might have: for
    /// tools that ask what would be. The filter does not have this.
    ///
    /// # Errors
    /// No token with these claims is accepted.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn danger_unverified(
        claims: Map<String, Value>,
        expected: &Expectations,
        scopes: &ScopeTable,
    ) -> Result<Self, TokenError> {
        let kept_claims = claims.keys().map(|name| name.as_str().into()).collect();
        let expected = Expectations { kept_claims, ..expected.clone() };
        let claims = RawClaims::read(claims)?.complete(&expected)?;
        Ok(Self::new(claims, BearerToken::new(""), &expected, scopes))
    }

    /// Whether the token is for the endpoint at this place.
    #[must_use]
    pub fn is_for(&self, endpoint: usize) -> bool {
        self.endpoints.as_ref().is_none_or(|places| places.contains(&endpoint))
    }

    /// How long the token is still good for.
    #[must_use]
    pub fn remaining(&self, now: Now) -> Duration {
        Duration::from_secs(self.claims.expires_at).saturating_sub(now.unix)
    }

    /// What to ask for, to have `needed` and to keep what was granted: some clients ask for the
    /// challenged scopes alone and lose the rest. What is implied need not be asked for.
    #[must_use]
    pub fn to_ask_for(&self, needed: &ScopeSet) -> ScopeSet {
        needed.difference(&self.scopes).union(&self.granted)
    }

    /// Whether the token lets the client that `issuer` knows act for its subject (RFC 8693 section
    /// 4.4): it names nobody, or nobody else. `subject` is the client's own `sub`, where it is known.
    #[must_use]
    pub fn may_be_acted_for_by(&self, subject: Option<&str>, client: &str, issuer: &str) -> bool {
        let is = |name: &Option<Box<str>>, expected: &str| {
            name.as_deref().is_none_or(|name| name == expected)
        };
        self.claims.may_act.as_ref().is_none_or(|may_act| {
            let names_subject = subject.is_some() && may_act.subject.is_some();
            (names_subject || may_act.client.is_some())
                && subject.is_none_or(|subject| is(&may_act.subject, subject))
                && is(&may_act.client, client)
                && is(&may_act.issuer, issuer)
        })
    }

    /// Whether the token has not expired, with the leeway of its issuer.
    #[must_use]
    pub fn is_current(&self, now: Now) -> bool {
        now.unix_seconds() < self.claims.expires_at.saturating_add(self.leeway)
    }
}

/// The places of the endpoints that a token with these audiences is for; none for all of them.
fn endpoints(audiences: &[Box<str>], expected: &Expectations) -> Option<Box<[usize]>> {
    if audiences.iter().any(|audience| expected.audiences.contains(audience)) {
        return None;
    }
    let all = expected.endpoints.iter().enumerate();
    Some(all.filter(|(_, one)| audiences.contains(one)).map(|(place, _)| place).collect())
}

/// An issuer and what its inbound tokens must be.
#[derive(Debug)]
pub struct TrustedIssuer {
    /// The issuer and its keys.
    pub issuer: Rc<Issuer>,
    /// What its tokens must be.
    pub expectations: Expectations,
    /// Where its keys are fetched, if they are.
    pub remote_jwks: Option<RemoteJwks>,
}

impl TrustedIssuer {
    /// The place of the issuer that a token names, which is not verified.
    #[must_use]
    pub fn place_of(issuers: &[Self], token: &str) -> Option<usize> {
        let token = Unverified::parse(token).ok()?;
        issuers.iter().position(|trusted| *trusted.issuer.issuer == *token.issuer())
    }
}

/// The callers that were verified before, by their whole tokens.
#[derive(Debug)]
pub struct Callers {
    known: Cache<BearerToken, Rc<Caller>>,
    verifier: Rc<dyn SignatureVerifier>,
}

impl Callers {
    /// Nobody yet.
    #[must_use]
    pub fn new(bounds: Bounds, verifier: Rc<dyn SignatureVerifier>) -> Self {
        Self { known: Cache::new(bounds), verifier }
    }

    /// Nobody any more: who comes is verified anew.
    pub fn forget_all(&mut self) {
        self.known.clear();
    }

    /// The caller that a bearer token names.
    ///
    /// # Errors
    /// Why the token is not accepted. Only tokens that verify are remembered.
    pub fn verify(
        &mut self,
        text: &str,
        issuers: &[TrustedIssuer],
        scopes: &ScopeTable,
        now: Now,
    ) -> Result<Rc<Caller>, TokenError> {
        let token = BearerToken::new(text);
        if let Some(caller) = self.known.get(&token, now.unix) {
            return Ok(Rc::clone(caller));
        }
        let unverified = Unverified::parse(text)?;
        let trusted = issuers
            .iter()
            .find(|trusted| *trusted.issuer.issuer == *unverified.issuer())
            .ok_or(TokenError::WrongIssuer)?;
        let expected = &trusted.expectations;
        let claims =
            unverified.verify(&trusted.issuer, expected, &*self.verifier, now.unix_seconds())?;
        let caller = Rc::new(Caller::new(claims, token.clone(), expected, scopes));
        let entry = Entry {
            value: Rc::clone(&caller),
            owner: Rc::clone(&caller.owner),
            bytes: memory::of(&caller),
            until: Duration::from_secs(caller.claims.expires_at.saturating_add(caller.leeway)),
        };
        self.known.insert(token, entry, now.unix);
        Ok(caller)
    }
}
