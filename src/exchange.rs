//! Token exchange (RFC 8693): a caller's token in, a delegation token for one scope at one audience
//! out, asked for once and shared for as long as it lives.

pub mod reply;

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::cache::Cache;
use crate::clock::Now;
use crate::config::{Problems, boxed, pushed};
use crate::token::{BearerToken, Caller, Expectations, Issuer, TrustedIssuer};
use reply::{CalloutReply, ExchangeError};

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

/// Where and how to exchange.
#[derive(Debug)]
pub struct Settings {
    cluster: Box<str>,
    authority: Box<str>,
    path: Box<str>,
    timeout: Duration,
    issuer: Rc<Issuer>,
    leeway: u64,
    actor: Box<str>,
    token_types: Vec<Box<str>>,
}

impl Settings {
    /// Compiles the settings; what is wrong goes to `problems`.
    pub fn compile(
        raw: &pushed::Exchange,
        issuers: &[TrustedIssuer],
        problems: &mut Problems,
    ) -> Option<Self> {
        let visible = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        for (name, text) in
            [("cluster", &raw.cluster), ("authority", &raw.authority), ("actor", &raw.actor)]
        {
            if !visible(text) {
                problems
                    .add(format!("exchange.{name}"), format!("`{text}` is empty or has spaces"));
            }
        }
        if !raw.path.starts_with('/') || !visible(&raw.path) {
            problems.add("exchange.path", format!("`{}` is not a path", raw.path));
        }
        if raw.timeout.as_std().is_zero() {
            problems.add("exchange.timeout", "no exchange is answered in no time");
        }
        let names = || issuers.iter().map(|trusted| &*trusted.issuer.issuer);
        let issuer = issuers.iter().find(|trusted| *trusted.issuer.issuer == *raw.issuer);
        if issuer.is_none() {
            let message = format!("unknown issuer `{}`", raw.issuer);
            problems.add_unknown("exchange.issuer", message, &raw.issuer, names());
        }
        let issuer = issuer?;
        Some(Self {
            cluster: raw.cluster.as_str().into(),
            authority: raw.authority.as_str().into(),
            path: raw.path.as_str().into(),
            timeout: raw.timeout.as_std(),
            leeway: issuer.expectations.leeway,
            issuer: Rc::clone(&issuer.issuer),
            actor: raw.actor.as_str().into(),
            token_types: boxed(&raw.token_types),
        })
    }

    fn callout(&self, key: &Key) -> Callout {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .append_pair("subject_token", key.subject_token.reveal())
            .append_pair("subject_token_type", ACCESS_TOKEN)
            .append_pair("requested_token_type", ACCESS_TOKEN)
            .append_pair("audience", &key.target.audience)
            .append_pair("scope", &key.target.scope)
            .finish();
        Callout {
            cluster: self.cluster.clone(),
            headers: vec![
                (":method", "POST".into()),
                (":path", self.path.clone()),
                (":authority", self.authority.clone()),
                ("content-type", "application/x-www-form-urlencoded".into()),
                ("accept", "application/json".into()),
            ],
            body: body.into_bytes(),
            timeout: self.timeout,
            key: key.clone(),
        }
    }

    fn expectations(&self, target: &Target) -> Expectations {
        Expectations {
            audiences: vec![target.audience.clone()],
            exact_audience: true,
            token_types: self.token_types.clone(),
            scope_claims: vec!["scope".into()],
            client_claims: vec!["client_id".into()],
            kept_claims: Vec::new(),
            max_lifetime: target.max_lifetime,
            leeway: self.leeway,
        }
    }
}

/// RFC 8693 section 3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

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
    pub key: Key,
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
    /// Nothing yet: make this request, and wait.
    Call(Callout),
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
}

/// An exchange under way.
#[derive(Debug)]
struct Flight {
    caller: Rc<Caller>,
    sent: Now,
    /// The stream that owns the callout: with it the host drops the callout. None once it is gone.
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
        // RFC 8693 section 4.4: who may act is the subject token's to say.
        if !caller.may_be_acted_for_by(&settings.actor, &settings.issuer.issuer) {
            return Answer::Refused(ExchangeError::MayNotAct);
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
            if flight.leader.is_some() {
                return Answer::Wait(key);
            }
            flight.leader = Some(stream);
            flight.sent = now;
            return Answer::Call(settings.callout(&key));
        }
        let callout = settings.callout(&key);
        let (caller, waiting) = (Rc::clone(caller), vec![stream]);
        self.flights.insert(key, Flight { caller, sent: now, leader: Some(stream), waiting });
        Answer::Call(callout)
    }

    /// Takes the authorization server's reply, or word that it could not be asked.
    ///
    /// None if nobody waits for it any more.
    pub fn settle(
        &mut self,
        settings: &Settings,
        key: &Key,
        reply: Result<CalloutReply, ExchangeError>,
        now: Now,
    ) -> Option<Settled> {
        let flight = self.flights.remove(key)?;
        let result = reply
            .and_then(|reply| reply::check(&reply, settings, &flight.caller, key, flight.sent, now))
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

    /// The callouts that went with the stream that owned them while others still wait: the root
    /// context makes them again.
    pub fn orphans(&mut self, settings: &Settings, now: Now) -> Vec<Callout> {
        let orphaned = self.flights.iter_mut().filter(|(_, flight)| flight.leader.is_none());
        orphaned
            .map(|(key, flight)| {
                flight.leader = Some(ROOT);
                flight.sent = now;
                settings.callout(key)
            })
            .collect()
    }
}
