//! Keys that are fetched while requests come: what replaces them, and the wait for them.

use std::ops::ControlFlow;
use std::rc::Rc;

use super::{Engine, State, Step, Transaction};
use crate::answer::{About, Refusal};
use crate::clock::Now;
use crate::config::{Config, Endpoint};
use crate::request::Headers;
use crate::token::{
    Caller, Callers, Fetch, FetchError, FetchReply, Fetched, Issuer, KeyFetches, KeyProblem,
    KeySet, TokenError, TrustedIssuer,
};

/// A request whose token names a key that is being fetched. The host keeps the rest of it.
#[derive(Debug)]
pub(super) struct Unidentified {
    /// The place of the issuer.
    place: usize,
    shown: ShownBody,
    origin: Option<String>,
}

/// How much of a request's body the host has shown, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShownBody {
    Nothing,
    Part(usize),
    Whole(usize),
}

impl ShownBody {
    /// The host repeats the end of a body, without a length at times.
    fn grow(self, length: usize, is_whole: bool) -> Self {
        match self {
            Self::Whole(before) => Self::Whole(before.max(length)),
            Self::Part(before) if is_whole => Self::Whole(before.max(length)),
            Self::Part(before) => Self::Part(before.max(length)),
            Self::Nothing if is_whole => Self::Whole(length),
            Self::Nothing => Self::Part(length),
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Part(length) | Self::Whole(length) => length,
        }
    }
}

/// Why there is no caller.
pub(super) enum NoCaller {
    Refused(Refusal),
    /// The keys of the issuer at this place are on their way.
    AwaitsKeys(usize),
}

/// The caller that a bearer token names. With `may_wait`, the request can wait for keys to be fetched.
pub(super) fn verify(
    token: &str,
    config: &Config,
    callers: &mut Callers,
    fetches: &mut KeyFetches,
    may_wait: bool,
    now: Now,
) -> Result<Rc<Caller>, NoCaller> {
    let error = match callers.verify(token, &config.issuers, &config.scopes, now) {
        Ok(caller) => return Ok(caller),
        Err(error) => error,
    };
    // All that can be said without the key, but for the endpoint, was said in favour of the token.
    if error == TokenError::UnknownKey
        && let Some(place) = TrustedIssuer::place_of(&config.issuers, token)
        && let Some(trusted) = config.issuers.get(place)
        && let Some(remote) = &trusted.remote_jwks
    {
        if may_wait && fetches.ask(place, remote, now) {
            return Err(NoCaller::AwaitsKeys(place));
        }
        if trusted.issuer.keys.is_empty() || fetches.has_failed(place) {
            return Err(NoCaller::Refused(Refusal::KeysUnavailable));
        }
    }
    Err(NoCaller::Refused(Refusal::Token(error)))
}

/// A token that is for another endpoint says nothing at this one.
pub(super) fn check_endpoint(
    caller: Rc<Caller>,
    endpoint: &Endpoint,
) -> Result<Rc<Caller>, NoCaller> {
    if caller.is_for(endpoint.place) {
        return Ok(caller);
    }
    Err(NoCaller::Refused(Refusal::Token(TokenError::WrongAudience)))
}

impl Engine {
    /// The keys that the root context is to fetch now.
    pub fn fetches_due(&mut self, now: Now) -> Vec<Fetch> {
        for issuer in self.exchanges.take_issuers_of_unknown_keys() {
            let is_its = |trusted: &TrustedIssuer| trusted.issuer.issuer == issuer;
            if let Some(place) = self.config.issuers.iter().position(is_its)
                && let Some(trusted) = self.config.issuers.get(place)
                && let Some(remote) = &trusted.remote_jwks
            {
                self.fetches.ask(place, remote, now);
            }
        }
        let fetches = self.fetches.due(&self.config.issuers, now);
        for place in 0..self.config.issuers.len() {
            if let Some(trusted) = self.config.issuers.get(place)
                && let Some(remote) = &trusted.remote_jwks
                && !trusted.issuer.keys.is_empty()
                && self.fetches.expire(place, remote, now)
            {
                self.replace_keys(place, KeySet::default());
            }
        }
        fetches
    }

    /// Takes the answer to a [`Fetch`], or word that there will be none. Whoever waits for it is to be
    /// told that time has passed. If the keys are others now, gives those that were left out.
    ///
    /// # Errors
    /// Why the keys stay what they were.
    pub fn fetched(
        &mut self,
        place: usize,
        reply: Result<FetchReply, FetchError>,
        now: Now,
    ) -> Result<Option<Vec<KeyProblem>>, FetchError> {
        let trusted = self.config.issuers.get(place);
        let Some(remote) = trusted.and_then(|trusted| trusted.remote_jwks.as_ref()) else {
            return Ok(None);
        };
        match self.fetches.settle(place, remote, reply, now)? {
            Fetched::Same => Ok(None),
            Fetched::New(keys, skipped) => {
                self.replace_keys(place, keys);
                Ok(Some(skipped))
            }
        }
    }

    fn replace_keys(&mut self, place: usize, keys: KeySet) {
        let Some(trusted) = self.config.issuers.get_mut(place) else { return };
        let Issuer { issuer, algorithms, .. } = &*trusted.issuer;
        let issuer = Issuer { issuer: issuer.clone(), keys, algorithms: algorithms.clone() };
        trusted.issuer = Rc::new(issuer);
        self.config.exchange.replace_issuer(&trusted.issuer);
        // Who was verified by a key that is gone must be nobody now: all are verified again.
        self.callers.forget_all();
    }
}

impl Transaction {
    pub(super) fn await_keys(
        &mut self,
        place: usize,
        shown: ShownBody,
        origin: Option<String>,
    ) -> Step {
        self.state = State::AwaitKeys(Box::new(Unidentified { place, shown, origin }));
        Step::Pause
    }

    pub(super) fn on_body_before_keys(
        &mut self,
        mut unidentified: Box<Unidentified>,
        length: usize,
        is_whole: bool,
        config: &Config,
    ) -> Step {
        unidentified.shown = unidentified.shown.grow(length, is_whole);
        if unidentified.shown.length() > config.limits.body_bytes {
            let origin = unidentified.origin.as_deref();
            return self.refuse(config, &Refusal::TooLarge, About::default(), origin);
        }
        self.state = State::AwaitKeys(unidentified);
        Step::Pause
    }

    pub(super) fn on_tick_for_keys(
        &mut self,
        unidentified: Box<Unidentified>,
        engine: &Engine,
        now: Now,
    ) -> Step {
        if !self.is_in_time(engine, now) {
            let refusal = Refusal::Undecided("the issuer's keys did not come in time");
            let origin = unidentified.origin.as_deref();
            return self.refuse(&engine.config, &refusal, About::default(), origin);
        }
        let step =
            if engine.fetches.is_awaited(unidentified.place) { Step::Pause } else { Step::Reread };
        self.state = State::AwaitKeys(unidentified);
        step
    }

    /// The keys have come, or will not: the request is judged, from its headers to what is there of its
    /// body.
    pub(super) fn on_request_again(
        &mut self,
        unidentified: &Unidentified,
        headers: Headers,
        body: &[u8],
        engine: &mut Engine,
        now: Now,
    ) -> Step {
        let shown = unidentified.shown;
        match self.identify(headers, shown, false, engine, now) {
            ControlFlow::Break(step) => step,
            ControlFlow::Continue(question) => self.on_shown(question, shown, body, engine, now),
        }
    }
}
