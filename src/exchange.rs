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

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use crate::cache::Cache;
use crate::clock::Now;
use crate::token::{BearerToken, Caller, TokenError};
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
    /// What the token is good for beyond that: the JSON text of `authorization_details` (RFC 9396).
    pub authorization_details: Option<Box<str>>,
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
    issuers_of_unknown_keys: BTreeSet<Box<str>>,
}

/// An exchange under way.
#[derive(Debug)]
struct Flight {
    caller: Rc<Caller>,
    /// The place of the profile of the authorization server that is asked.
    place: usize,
    /// When that server was first asked, and how often since.
    started: Duration,
    attempts: u32,
    /// When it was asked last, or on the monotonic clock is to be asked again at the earliest.
    sent: Now,
    due: Duration,
    /// The stream that owns the callout: with it the host drops the callout. None once it is gone,
    /// before another attempt, and while there is no token of this gateway's own yet.
    leader: Option<u32>,
    waiting: Vec<u32>,
}

impl Flight {
    fn new(caller: &Rc<Caller>, place: usize, stream: u32, now: Now) -> Self {
        Self {
            caller: Rc::clone(caller),
            place,
            started: now.monotonic,
            attempts: 0,
            sent: now,
            due: now.monotonic,
            leader: None,
            waiting: vec![stream],
        }
    }

    /// The server is asked now, in a callout that `leader` owns.
    fn ask(&mut self, leader: u32, now: Now) {
        self.leader = Some(leader);
        self.sent = now;
        self.attempts = self.attempts.saturating_add(1);
    }

    /// How much of the time that the server has is left: always some, for none is no limit to Envoy.
    fn remaining(&self, profile: &Profile, now: Now) -> Duration {
        let spent = now.monotonic.saturating_sub(self.started);
        profile.timeout.as_std().saturating_sub(spent).max(SHORTEST)
    }

    /// Whether the same server is worth another attempt after `error`; if it is, when is set.
    fn tries_again(&mut self, profile: &Profile, error: &ExchangeError, now: Now) -> bool {
        let pause = match error {
            ExchangeError::NoAnswer => pause(now),
            ExchangeError::BadToken(TokenError::UnknownKey) if profile.fetches_keys => KEYS_COME_IN,
            _ => return false,
        };
        let tries = self.attempts <= profile.retries && self.remaining(profile, now) > pause;
        if tries {
            (self.leader, self.due) = (None, now.monotonic.saturating_add(pause));
        }
        tries
    }

    /// Whether another server is to be asked after `error`; if one is, it is set.
    fn fails_over(&mut self, settings: &Settings, error: &ExchangeError, now: Now) -> bool {
        let is_outage = matches!(
            error,
            ExchangeError::NoAnswer | ExchangeError::Unavailable | ExchangeError::Unreachable
        );
        let place = settings.at(self.place).and_then(|profile| profile.failover);
        let other = place.and_then(|place| Some((place, settings.at(place)?)));
        let Some((place, other)) = other.filter(|_| is_outage) else { return false };
        if !other.may_act_for(&self.caller) {
            return false;
        }
        (self.place, self.attempts, self.leader) = (place, 0, None);
        (self.started, self.due) = (now.monotonic, now.monotonic);
        true
    }
}

/// The shortest time that can be told to Envoy.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long to wait before another attempt: not all for the same time.
fn pause(now: Now) -> Duration {
    let jitter = u64::from(now.monotonic.subsec_nanos()).checked_rem(80).unwrap_or_default();
    Duration::from_millis(jitter.saturating_add(20))
}

/// How long a delegation token by a key that is not known yet waits for another attempt: for a fetch.
const KEYS_COME_IN: Duration = Duration::from_millis(500);

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
            issuers_of_unknown_keys: BTreeSet::new(),
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
        if !profile.may_act_for(caller) {
            return Answer::Refused(ExchangeError::MayNotAct);
        }
        if profile.forwards_inbound_token
            && target.authorization_details.is_none()
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
        if let Some(flight) = self.flights.get_mut(&key) {
            flight.waiting.push(stream);
        } else {
            let mut flight = Flight::new(caller, place, stream, now);
            if let Some(error) = self.own_tokens.refusal(place, now)
                && !flight.fails_over(settings, &error, now)
            {
                return Answer::Refused(error);
            }
            self.flights.insert(key.clone(), flight);
        }
        match self.depart(settings, &key, stream, now) {
            Some(callout) => Answer::Call(key, callout),
            None => Answer::Wait(key),
        }
    }

    /// Asks for what waits under `key`, in a callout that `leader` is to own.
    ///
    /// None if somebody has asked, if it is too early to ask again, and while the first token of this
    /// gateway's own is on its way: the root context asks for that, and then for those who wait.
    fn depart(&mut self, settings: &Settings, key: &Key, leader: u32, now: Now) -> Option<Callout> {
        let flight = self.flights.get_mut(key)?;
        if flight.leader.is_some() || now.monotonic < flight.due {
            return None;
        }
        let profile = settings.at(flight.place)?;
        let actor = match &profile.actor_token {
            Actor::None => None,
            Actor::SubjectToken => Some(&key.subject_token),
            Actor::Given(token) => Some(token),
            Actor::Own(_) => Some(self.own_tokens.token(flight.place, now)?),
            Actor::Unknown => return None,
        };
        let time = flight.remaining(profile, now);
        flight.ask(leader, now);
        Some(request::exchange(profile, key, actor, time, now))
    }

    /// Takes the authorization server's reply, or word that it could not be asked.
    ///
    /// None if nobody waits for it any more, or if another attempt is due.
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
        let mut flight = self.flights.remove(key)?;
        let profile = settings.at(flight.place)?;
        let result = reply
            .and_then(|reply| reply::check(&reply, profile, &flight.caller, key, flight.sent, now))
            .map(Rc::new);
        if let Err(ExchangeError::BadToken(TokenError::UnknownKey)) = &result
            && profile.fetches_keys
        {
            self.issuers_of_unknown_keys.insert(profile.issuer.issuer.clone());
        }
        if let Err(error) = &result
            && (flight.tries_again(profile, error, now) || flight.fails_over(settings, error, now))
        {
            self.flights.insert(key.clone(), flight);
            return None;
        }
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
        let mut waiting = Vec::new();
        self.flights.retain(|_, flight| {
            let waits = flight.leader.is_none() && flight.place == place;
            if !waits || flight.fails_over(settings, &error, now) {
                return true;
            }
            waiting.append(&mut flight.waiting);
            false
        });
        Some(Settled { waiting, result: Err(error) })
    }

    /// The issuers of delegation tokens, since the last time, by keys that are not known.
    pub(crate) fn take_issuers_of_unknown_keys(&mut self) -> BTreeSet<Box<str>> {
        std::mem::take(&mut self.issuers_of_unknown_keys)
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

    /// What the root context is to ask for: tokens of this gateway's own, in time; and what is to be
    /// tried again, went with the stream that asked for it, or had to wait for such a token.
    pub fn due(&mut self, settings: &Settings, now: Now) -> Vec<Callout> {
        let mut callouts = Vec::new();
        for place in settings.with_own_token() {
            let waits = |flight: &Flight| flight.leader.is_none() && flight.place == place;
            let is_awaited = self.flights.values().any(waits);
            if self.own_tokens.is_due(place, is_awaited, now)
                && let Some(profile) = settings.at(place)
            {
                callouts.extend(request::own_token(profile, place, now));
            }
        }
        let waiting = self.flights.iter().filter(|(_, flight)| flight.leader.is_none());
        let waiting: Vec<Key> = waiting.map(|(key, _)| key.clone()).collect();
        for key in waiting {
            callouts.extend(self.depart(settings, &key, ROOT, now));
        }
        callouts
    }
}
