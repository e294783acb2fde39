//! Token exchange (RFC 8693): a caller's token in, a delegation token for one scope at one audience
//! out, asked for once and shared for as long as it lives.

pub mod check;
pub mod client;
mod details;
mod flight;
mod own_token;
mod preset;
mod remembered;
pub mod reply;
mod request;
pub mod settings;
pub mod shared;
pub mod source;
mod template;

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use crate::cache::Bounds;
use crate::clock::Now;
use crate::token::{BearerToken, Caller, SignatureVerifier, TokenError};
use client::Signer;
use flight::Flight;
use own_token::OwnTokens;
use remembered::{REFUSED_FOR, Remembered};
use reply::{CalloutReply, Checking, ExchangeError};
use settings::Actor;
pub use settings::Settings;
use shared::{Claim, SharedData, SharedExchanges};

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
    /// On the monotonic clock, when it was asked for.
    pub asked: Duration,
    /// On the monotonic clock, the end of its use here.
    pub usable_until: Duration,
}

impl Delegated {
    /// How much memory it takes.
    fn bytes(&self) -> usize {
        let texts = self.actors.iter().chain([&self.id]).map(|text| text.len().saturating_add(32));
        let all = texts.chain([size_of::<Self>(), self.token.reveal().len()]);
        all.fold(0, usize::saturating_add)
    }
}

/// How a delegation token was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Asked for and made for this request, or for one that asked the same at the same time.
    Exchanged,
    /// Made for an earlier request.
    Cached,
    /// The caller's own token, which is what the exchange would give.
    Inbound,
}

impl Source {
    /// One word for the audit record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exchanged => "exchanged",
            Self::Cached => "cached",
            Self::Inbound => "inbound",
        }
    }
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
    /// A delegation token; and the attempt's number, so that a late reply to an abandoned attempt is
    /// ignored.
    Delegation(Key, u64),
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

impl Key {
    /// How much it may take, if nothing else holds the token.
    fn bytes(&self) -> usize {
        size_of::<Self>().saturating_mul(2).saturating_add(self.subject_token.reveal().len())
    }
}

/// What a stream that asks for a delegation token gets at once.
#[derive(Debug)]
#[must_use]
pub enum Answer {
    /// One that is there already.
    Ready(Rc<Delegated>, Source),
    /// A refusal that was heard less than a second ago.
    Refused(ExchangeError),
    /// Nothing yet: another stream has asked for the same. Wait under this key.
    Wait(Key),
    /// Nothing yet: make this request, and wait under this key.
    Call(Key, Callout),
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

/// What the root context is to do.
#[derive(Debug, Default)]
#[must_use]
pub struct Due {
    /// Requests to make.
    pub calls: Vec<Callout>,
    /// What other workers were told, and who waits for it here.
    pub settled: Vec<Settled>,
}

/// The exchanges of one configuration in one worker: what is known, and what is under way.
#[derive(Debug)]
pub struct Exchanges {
    remembered: Remembered,
    flights: HashMap<Key, Flight>,
    /// How often a delegation token was asked for.
    attempts: u64,
    own_tokens: OwnTokens,
    issuers_of_unknown_keys: BTreeSet<Box<str>>,
    verifier: Rc<dyn SignatureVerifier>,
    signer: Rc<dyn Signer>,
    /// What the other workers know. None where there are none.
    shared: Option<SharedExchanges>,
    /// Whether somebody waits for what another worker has asked for.
    waits_for_others: bool,
}

/// What can be done for those who wait for an exchange.
enum Departure {
    /// Make this request.
    Call(Callout),
    /// Nothing yet.
    Wait,
    /// Another worker was told this, or there is no token of this gateway's own to ask by.
    Settled(Result<Rc<Delegated>, ExchangeError>),
}

/// The context that owns a callout which no stream owns any more.
const ROOT: u32 = 0;

impl Exchanges {
    /// Nothing known, nothing under way; what is known is kept within `bounds`.
    #[must_use]
    pub fn new(
        bounds: Bounds,
        verifier: Rc<dyn SignatureVerifier>,
        signer: Rc<dyn Signer>,
    ) -> Self {
        Self {
            remembered: Remembered::new(bounds),
            flights: HashMap::new(),
            attempts: 0,
            own_tokens: OwnTokens::default(),
            issuers_of_unknown_keys: BTreeSet::new(),
            verifier,
            signer,
            shared: None,
            waits_for_others: false,
        }
    }

    /// The same, shared with all workers that have the configuration of this SHA-256: of about `capacity`
    /// exchanges.
    #[must_use]
    pub fn shared(
        self,
        data: Rc<dyn SharedData>,
        configuration: [u8; 32],
        capacity: usize,
    ) -> Self {
        let shared = SharedExchanges::new(data, configuration, capacity);
        Self { shared: Some(shared), ..self }
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
            return Answer::Ready(Rc::new(delegated), Source::Inbound);
        }
        let key = Key {
            subject_token: caller.token.clone(),
            target: Rc::clone(target),
            stream: (!target.cache).then_some(stream),
        };
        let ready = |delegated| Answer::Ready(delegated, Source::Cached);
        if let Some(result) = self.remembered.find(&key, now.monotonic) {
            return result.map_or_else(Answer::Refused, ready);
        }
        if let Some(flight) = self.flights.get_mut(&key) {
            flight.waiting.push(stream);
        } else {
            let address = self.shared.as_ref().and_then(|shared| shared.address(&key));
            self.flights.insert(key.clone(), Flight::new(caller, place, address, stream, now));
        }
        match self.depart(settings, &key, stream, now) {
            Departure::Call(callout) => Answer::Call(key, callout),
            Departure::Wait => Answer::Wait(key),
            Departure::Settled(result) => {
                // Who else waits for it here hears it at the next tick.
                self.abandon(&key, stream);
                result.map_or_else(Answer::Refused, ready)
            }
        }
    }

    /// Asks for what waits under `key`, in a callout that `leader` is to own.
    ///
    /// Waits if somebody has asked, here or in another worker, if it is too early to ask again, and
    /// while the first token of this gateway's own is on its way: the root context asks for that, and
    /// then for those who wait. If none comes, and there is no other server, that is the answer.
    fn depart(&mut self, settings: &Settings, key: &Key, leader: u32, now: Now) -> Departure {
        let Some(flight) = self.flights.get_mut(key) else { return Departure::Wait };
        if flight.leader.is_some() {
            return Departure::Wait;
        }
        if now.monotonic < flight.due {
            self.waits_for_others |= flight.is_left_to_others;
            return Departure::Wait;
        }
        let Some(profile) = settings.at(flight.place) else { return Departure::Wait };
        let actor = match &profile.actor_token {
            Actor::None => Some(None),
            Actor::SubjectToken => Some(Some(&key.subject_token)),
            Actor::Given(token) => Some(Some(token)),
            Actor::Own(_) => self.own_tokens.token(flight.place, now).map(Some),
            Actor::Unknown => return Departure::Wait,
        };
        // Who cannot ask yet may still take what another worker was told.
        if let Some(shared) = &self.shared {
            match flight.claim(shared, profile, actor.is_some(), now) {
                Claim::Granted | Claim::Open => {}
                Claim::Elsewhere => {
                    self.waits_for_others = true;
                    return Departure::Wait;
                }
                Claim::Settled(result, until) => {
                    let (owner, result) = (Rc::clone(&flight.caller.owner), result.map(Rc::new));
                    self.remembered.keep(key, &result, &owner, now.monotonic, until);
                    return Departure::Settled(result);
                }
            }
        }
        let Some(actor) = actor else {
            return match self.own_tokens.refusal(flight.place, now) {
                Some(error) if flight.switch_to_failover(settings, &error, now) => {
                    self.depart(settings, key, leader, now)
                }
                Some(error) => Departure::Settled(Err(error)),
                None => Departure::Wait,
            };
        };
        self.attempts = self.attempts.saturating_add(1);
        flight.ask(leader, self.attempts, now);
        let time = flight.remaining(profile, now);
        let asked = (key, self.attempts);
        Departure::Call(request::exchange(profile, asked, actor, time, &*self.signer, now))
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
            Purpose::Delegation(key, number) => {
                let is_awaited = |flight: &Flight| flight.attempt_number == *number;
                if !self.flights.get(key).is_some_and(is_awaited) {
                    return None;
                }
                self.settle_delegation(settings, key, reply, now)
            }
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
            .and_then(|reply| {
                let checking = Checking {
                    profile,
                    caller: &flight.caller,
                    target: &key.target,
                    verifier: &*self.verifier,
                    sent: flight.sent,
                    now,
                    begin: &mut |_| {},
                };
                checking.check(&reply)
            })
            .map(Rc::new);
        if let Err(ExchangeError::BadToken(TokenError::UnknownKey)) = &result
            && profile.fetches_keys
        {
            self.issuers_of_unknown_keys.insert(profile.issuer.issuer.clone());
        }
        if let (Err(ExchangeError::SubjectRejected), Actor::Own(_)) =
            (&result, &profile.actor_token)
        {
            self.own_tokens.doubt(flight.place, now);
        }
        if let Err(error) = &result
            && (flight.schedule_retry(profile, error, now)
                || flight.switch_to_failover(settings, error, now))
        {
            self.flights.insert(key.clone(), flight);
            return None;
        }
        if let Some((shared, address)) = flight.shared(self.shared.as_ref()) {
            shared.settle(address, result.as_deref(), now.monotonic);
        }
        let until = now.monotonic.saturating_add(REFUSED_FOR);
        self.remembered.keep(key, &result, &flight.caller.owner, now.monotonic, until);
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
            if !flight.needs_own_token(place) || flight.switch_to_failover(settings, &error, now) {
                return true;
            }
            waiting.append(&mut flight.waiting);
            flight.release(self.shared.as_ref());
            false
        });
        Some(Settled { waiting, result: Err(error) })
    }

    /// The MCP server does not accept what `caller` was delegated for `target`, and nobody knows for how
    /// long: another is asked for, unless this one is new.
    pub fn doubt(&mut self, caller: &Caller, target: &Rc<Target>, rejected: &Delegated, now: Now) {
        let (subject_token, target) = (caller.token.clone(), Rc::clone(target));
        let key = Key { subject_token, target, stream: None };
        let now = now.monotonic;
        let Some(until) = self.remembered.doubt(&key, rejected, &caller.owner, now) else { return };
        if let Some(shared) = &self.shared
            && let Some(address) = shared.address(&key)
        {
            shared.shorten(&address, rejected.asked, until, now);
        }
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
            flight.release(self.shared.as_ref());
            self.flights.remove(key);
        }
    }

    /// What the root context is to ask for: tokens of this gateway's own, in time; and what is to be
    /// tried again, went with the stream that asked for it, or had to wait for such a token. And what
    /// other workers were told meanwhile.
    pub fn due(&mut self, settings: &Settings, now: Now) -> Due {
        let mut due = Due::default();
        self.waits_for_others = false;
        for place in settings.with_own_token() {
            let is_awaited = self.flights.values().any(|flight| flight.needs_own_token(place));
            if self.own_tokens.take_due(place, is_awaited, now)
                && let Some(profile) = settings.at(place)
            {
                due.calls.extend(request::own_token(profile, place, &*self.signer, now));
            }
        }
        let waiting = self.flights.iter().filter(|(_, flight)| flight.leader.is_none());
        let waiting: Vec<Key> = waiting.map(|(key, _)| key.clone()).collect();
        for key in waiting {
            match self.depart(settings, &key, ROOT, now) {
                Departure::Call(callout) => due.calls.push(callout),
                Departure::Wait => {}
                Departure::Settled(result) => {
                    let Some(flight) = self.flights.remove(&key) else { continue };
                    flight.release(self.shared.as_ref());
                    due.settled.push(Settled { waiting: flight.waiting, result });
                }
            }
        }
        due
    }

    /// Whether somebody waits for what another worker has asked for: then ticks should come soon.
    #[must_use]
    pub const fn waits_for_others(&self) -> bool {
        self.waits_for_others
    }
}
