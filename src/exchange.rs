//! Token exchange (RFC 8693): a caller's token in, a delegation token for one scope at one audience
//! out, asked for once and shared for as long as it lives.

pub mod check;
mod client;
mod own_token;
mod preset;
pub mod reply;
mod request;
pub mod settings;
pub mod source;
mod template;

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::cache::Cache;
use crate::clock::Now;
use crate::token::{BearerToken, Caller};
use own_token::OwnTokens;
use reply::{CalloutReply, ExchangeError};
pub use settings::Settings;
use settings::{Actor, Profile};

/// What a caller's token is exchanged for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The one scope.
    pub scope: Box<str>,
    /// The one audience: the downstream service.
    pub audience: Box<str>,
    /// The longest lifetime that is accepted, in seconds.
    pub max_lifetime: u64,
    /// Whether the token may serve for later calls.
    pub cache: bool,
}

/// A delegation token that was checked.
#[derive(Debug)]
pub struct Delegated {
    /// The token.
    pub token: BearerToken,
    /// Its `jti`, or where it has none a prefix of its SHA-256.
    pub id: Box<str>,
    /// Its lifetime in seconds, `exp - iat`.
    pub lifetime: u64,
    /// The `sub` of each actor, outermost first.
    pub actors: Vec<Box<str>>,
    /// On the monotonic clock, the end of its use here.
    pub usable_until: Duration,
}

/// A request to make of the authorization server.
#[derive(Debug)]
#[must_use]
pub struct Callout {
    /// The Envoy cluster.
    pub cluster: Box<str>,
    /// The headers, pseudo-headers first.
    pub headers: Vec<(&'static str, Box<str>)>,
    /// The form.
    pub body: Vec<u8>,
    /// How long to wait.
    pub timeout: Duration,
    /// What the answer is for.
    pub purpose: Purpose,
}

/// What a callout is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A delegation token.
    Delegation(Key),
    /// This gateway's own token, for the profile at this place.
    OwnToken(usize),
}

/// All that decides what an exchange gives: the whole inbound token and the target. Everything else
/// is the configuration's, and these stores live no longer than it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    subject_token: BearerToken,
    target: Rc<Target>,
    /// The stream whose alone it is, if the target is not cached.
    stream: Option<u32>,
}

/// What a stream that asks for a delegation token gets at once.
#[derive(Debug)]
#[must_use]
pub enum Answer {
    /// One that was asked for earlier.
    Delegated(Rc<Delegated>),
    /// A refusal that was heard less than a second ago.
    Refused(ExchangeError),
    /// Nothing yet: another stream has asked for the same. Wait under this key.
    Wait(Key),
    /// Nothing yet: make this request, and wait under this key.
    Call(Key, Callout),
    /// The caller's own token is what the exchange would give.
    Forward(Rc<Delegated>),
}

/// What came of an exchange, and the streams that waited for it.
#[derive(Debug)]
#[must_use]
pub struct Settled {
    /// The streams, the one that asked first.
    pub waiting: Vec<u32>,
    /// What each of them gets.
    pub result: Result<Rc<Delegated>, ExchangeError>,
}

/// The exchanges of one configuration in one worker: what is known, and what is under way.
#[derive(Debug)]
pub struct Exchanges {
    delegated: Cache<Key, Rc<Delegated>>,
    refused: Cache<Key, (ExchangeError, Duration)>,
    flights: HashMap<Key, Flight>,
    own_tokens: OwnTokens,
}

/// An exchange under way.
#[derive(Debug)]
struct Flight {
    caller: Rc<Caller>,
    sent: Now,
    /// The stream that owns the callout: with it the host drops the callout. None once it is gone, and
    /// while there is no token of this gateway's own yet.
    leader: Option<u32>,
    waiting: Vec<u32>,
}

/// How long a refusal is remembered, so that a client that insists costs the authorization server
/// no more than one request a second.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// The context that owns a callout which no stream owns any more.
const ROOT: u32 = 0;

impl Exchanges {
    /// Nothing known, nothing under way.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            delegated: Cache::new(capacity),
            refused: Cache::new(capacity),
            flights: HashMap::new(),
            own_tokens: OwnTokens::default(),
        }
    }

    /// Asks, for a stream, to exchange a caller's token.
    pub fn ask(
        &mut self,
        settings: &Settings,
        caller: &Rc<Caller>,
        target: &Rc<Target>,
        stream: u32,
        now: Now,
    ) -> Answer {
        let Some((place, profile)) = settings.profile(target) else {
            return Answer::Refused(ExchangeError::Unreachable);
        };
        // RFC 8693 section 4.4: who may act is the subject token's to say.
        if !caller.may_be_acted_for_by(&profile.actor, &profile.issuer.issuer) {
            return Answer::Refused(ExchangeError::MayNotAct);
        }
        if profile.forwards_inbound_token
            && let Some(delegated) = reply::already_delegated(caller, profile, target, now)
        {
            return Answer::Forward(Rc::new(delegated));
        }
        let key = Key {
            subject_token: caller.token.clone(),
            target: Rc::clone(target),
            stream: (!target.cache).then_some(stream),
        };
        if let Some(delegated) = self.delegated.get(&key)
            && now.monotonic < delegated.usable_until
        {
            return Answer::Delegated(Rc::clone(delegated));
        }
        if let Some((error, until)) = self.refused.get(&key)
            && now.monotonic < *until
        {
            return Answer::Refused(error.clone());
        }
        if let Some(error) = self.own_tokens.refusal(place, now) {
            return Answer::Refused(error);
        }
        // None while the first token of this gateway's own is on its way: the root context asks for it,
        // and then for those who wait.
        let callout = self.callout(profile, place, &key, now);
        let leader = callout.is_some().then_some(stream);
        if let Some(flight) = self.flights.get_mut(&key) {
            flight.waiting.push(stream);
            return match callout {
                Some(callout) if flight.leader.is_none() => {
                    flight.leader = leader;
                    flight.sent = now;
                    Answer::Call(key, callout)
                }
                _ => Answer::Wait(key),
            };
        }
        let (caller, waiting) = (Rc::clone(caller), vec![stream]);
        self.flights.insert(key.clone(), Flight { caller, sent: now, leader, waiting });
        match callout {
            Some(callout) => Answer::Call(key, callout),
            None => Answer::Wait(key),
        }
    }

    /// The request for a delegation token; none as long as a token that it needs is not there.
    fn callout(&self, profile: &Profile, place: usize, key: &Key, now: Now) -> Option<Callout> {
        let actor = match &profile.actor_token {
            Actor::None => None,
            Actor::SubjectToken => Some(&key.subject_token),
            Actor::Given(token) => Some(token.as_ref()?),
            Actor::Own(_) => Some(self.own_tokens.token(place, now)?),
        };
        Some(request::exchange(profile, key, actor, now))
    }

    /// Takes the authorization server's reply, or word that it could not be asked.
    ///
    /// None if nobody waits for it any more.
    pub fn settle(
        &mut self,
        settings: &Settings,
        purpose: &Purpose,
        reply: Result<CalloutReply, ExchangeError>,
        now: Now,
    ) -> Option<Settled> {
        match purpose {
            Purpose::Delegation(key) => self.settle_delegation(settings, key, reply, now),
            Purpose::OwnToken(place) => self.settle_own_token(settings, *place, reply, now),
        }
    }

    fn settle_delegation(
        &mut self,
        settings: &Settings,
        key: &Key,
        reply: Result<CalloutReply, ExchangeError>,
        now: Now,
    ) -> Option<Settled> {
        let flight = self.flights.remove(key)?;
        let (_, profile) = settings.profile(&key.target)?;
        let result = reply
            .and_then(|reply| reply::check(&reply, profile, &flight.caller, key, flight.sent, now))
            .map(Rc::new);
        let owner = &flight.caller.owner;
        match &result {
            Ok(delegated) if key.target.cache => {
                self.delegated.insert(key.clone(), Rc::clone(delegated), owner);
            }
            Err(error) if key.target.cache && error.is_refusal() => {
                let until = now.monotonic.saturating_add(REFUSED_FOR);
                self.refused.insert(key.clone(), (error.clone(), until), owner);
            }
            Ok(_) | Err(_) => {}
        }
        Some(Settled { waiting: flight.waiting, result })
    }

    /// With the token, those who wait for it are asked for at the next tick; without it, they hear
    /// why.
    fn settle_own_token(
        &mut self,
        settings: &Settings,
        place: usize,
        reply: Result<CalloutReply, ExchangeError>,
        now: Now,
    ) -> Option<Settled> {
        let error = self.own_tokens.settle(place, reply, now).err()?;
        let waits = |key: &Key, flight: &Flight| {
            flight.leader.is_none()
                && settings.profile(&key.target).is_some_and(|(other, _)| other == place)
        };
        let mut waiting = Vec::new();
        self.flights.retain(|key, flight| {
            let waits = waits(key, flight);
            if waits {
                waiting.append(&mut flight.waiting);
            }
            !waits
        });
        Some(Settled { waiting, result: Err(error) })
    }

    /// A stream that waits under `key` is gone.
    pub fn abandon(&mut self, key: &Key, stream: u32) {
        let Some(flight) = self.flights.get_mut(key) else { return };
        flight.waiting.retain(|waiting| *waiting != stream);
        if flight.leader == Some(stream) {
            flight.leader = None;
        }
        if flight.waiting.is_empty() {
            self.flights.remove(key);
        }
    }

    /// What the root context is to ask for: tokens of this gateway's own, in time; and what went with
    /// the stream that asked for it, or had to wait for such a token.
    pub fn due(&mut self, settings: &Settings, now: Now) -> Vec<Callout> {
        let mut callouts = Vec::new();
        for place in settings.with_own_token() {
            let is_awaited = self.flights.iter().any(|(key, flight)| {
                flight.leader.is_none()
                    && settings.profile(&key.target).is_some_and(|(other, _)| other == place)
            });
            if self.own_tokens.is_due(place, is_awaited, now)
                && let Some(profile) = settings.at(place)
            {
                callouts.extend(request::own_token(profile, place, now));
            }
        }
        let waiting = self.flights.iter().filter(|(_, flight)| flight.leader.is_none());
        let orphaned: Vec<Key> = waiting.map(|(key, _)| key.clone()).collect();
        for key in orphaned {
            let Some((place, profile)) = settings.profile(&key.target) else { continue };
            let Some(callout) = self.callout(profile, place, &key, now) else { continue };
            if let Some(flight) = self.flights.get_mut(&key) {
                flight.leader = Some(ROOT);
                flight.sent = now;
                callouts.push(callout);
            }
        }
        callouts
    }
}
