//! One exchange for all workers of a process: the first of them to need a delegation token asks for
//! it, and the others find it in the host's shared data.
//!
//! Whoever else can read that data learns nothing from it, and can put nothing there: an entry is
//! sealed with a key that is derived from the caller's whole token, what it is exchanged for, and
//! the configuration. Who has all of these could have asked for the delegation token itself.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit, Nonce};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::reply::ExchangeError;
use super::{Delegated, Key, REFUSED_FOR};
use crate::token::BearerToken;

/// A store that all workers of a process share: Envoy's shared data.
pub trait SharedData {
    /// The value at `name`, and its version.
    fn read(&self, name: &str) -> Option<(Vec<u8>, u32)>;

    /// Sets the value at `name`, unless it is no longer the one of this version. False if it was
    /// not set.
    fn write(&self, name: &str, value: &[u8], version: Option<u32>) -> bool;
}

/// The exchanges that the workers tell each other of.
pub(super) struct SharedExchanges {
    data: Rc<dyn SharedData>,
    /// Exchanges of different configurations have nothing in common.
    configuration: [u8; 32],
    /// How many sets of places there are.
    sets: u64,
}

impl fmt::Debug for SharedExchanges {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SharedExchanges").field("sets", &self.sets).finish_non_exhaustive()
    }
}

/// The host keeps every name for ever, so there is a fixed number of places. An entry goes to one of
/// the places of its set.
const PLACES: u64 = 4;

/// What is longer is not shared.
const LONGEST: usize = 16 * 1024;

/// Where an exchange stands, and what opens it there.
pub(super) struct Address {
    set: u64,
    tag: [u8; 16],
    cipher: Aes256GcmSiv,
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Address").field("set", &self.set).finish_non_exhaustive()
    }
}

/// What a worker that needs an exchange is told.
#[derive(Debug)]
pub(super) enum Claim {
    /// It is this worker's to ask.
    Granted,
    /// No worker has asked, and this one has not claimed it.
    Open,
    /// Another worker has asked.
    Elsewhere,
    /// Another worker was told this; it holds until then, on the monotonic clock.
    Settled(Result<Delegated, ExchangeError>, Duration),
}

/// What an entry says.
#[derive(Serialize, Deserialize)]
enum Entry {
    /// A worker asks.
    Asked,
    /// The delegation token that came.
    Delegated {
        token: Box<str>,
        id: Box<str>,
        lifetime: u64,
        actors: Vec<Box<str>>,
        asked: Duration,
    },
    /// Why none came, with the claims that the server asks for, and on the monotonic clock when.
    Failed { reason: Box<str>, claims: Box<str>, at: Duration },
}

/// A place for an entry.
struct Place {
    name: String,
    version: Option<u32>,
    /// On the monotonic clock, until when what stands there holds.
    until: Duration,
    /// That, if it is of the exchange that was looked for.
    entry: Option<Entry>,
}

impl SharedExchanges {
    /// For about `capacity` exchanges at a time.
    pub(super) fn new(data: Rc<dyn SharedData>, configuration: [u8; 32], capacity: usize) -> Self {
        let capacity = u64::try_from(capacity).unwrap_or(u64::MAX);
        Self { data, configuration, sets: capacity.div_ceil(PLACES).max(1) }
    }

    /// Where the exchange of `key` stands. None if it is one stream's alone.
    pub(super) fn address(&self, key: &Key) -> Option<Address> {
        let Key { subject_token, target, stream: None } = key else { return None };
        // What is bound to one call is of use to no other.
        if target.authorization_details.is_some() {
            return None;
        }
        let derivation =
            Hkdf::<Sha256>::new(Some(&self.configuration), subject_token.reveal().as_bytes());
        let max_lifetime = target.max_lifetime.to_be_bytes();
        let audience_length = u64::try_from(target.audience.len()).ok()?.to_be_bytes();
        let info: [&[u8]; 4] =
            [&max_lifetime, &audience_length, target.audience.as_bytes(), target.scope.as_bytes()];
        let (mut place, mut tag, mut secret) = ([0; 8], [0; 16], [0; 32]);
        for (label, output) in
            [("place", &mut place[..]), ("tag", &mut tag[..]), ("key", &mut secret[..])]
        {
            let parts: Vec<&[u8]> = [label.as_bytes()].into_iter().chain(info).collect();
            derivation.expand_multi_info(&parts, output).ok()?;
        }
        let set = u64::from_be_bytes(place).checked_rem(self.sets)?;
        Some(Address { set, tag, cipher: Aes256GcmSiv::new(&secret.into()) })
    }

    /// Asks to be the one worker that exchanges at `address` until a moment, or only looks, without one.
    /// `mine` is the claim that this worker has had, if any, and `since` is from when it has waited.
    pub(super) fn claim(
        &self,
        address: &Address,
        mine: Option<Duration>,
        since: Duration,
        now: Duration,
        until: Option<Duration>,
    ) -> Claim {
        let place = self.find(address, now);
        let holds_until = place.until;
        match place.entry {
            Some(Entry::Asked) if Some(holds_until) != mine => Claim::Elsewhere,
            Some(Entry::Delegated { token, id, lifetime, actors, asked }) => {
                let token = BearerToken::new(&token);
                let usable_until = holds_until;
                let delegated = Delegated { token, id, lifetime, actors, asked, usable_until };
                Claim::Settled(Ok(delegated), holds_until)
            }
            Some(Entry::Failed { ref reason, ref claims, at })
                if let error = ExchangeError::from_reason(reason, claims)
                    && (error.is_refusal() || at > since) =>
            {
                Claim::Settled(Err(error), holds_until)
            }
            _ => match until {
                None => Claim::Open,
                Some(until) if self.write(address, &place, &Entry::Asked, until) => Claim::Granted,
                // Another worker was quicker.
                Some(_) => Claim::Elsewhere,
            },
        }
    }

    /// Tells the other workers what came of an exchange.
    pub(super) fn settle(
        &self,
        address: &Address,
        result: Result<&Delegated, &ExchangeError>,
        now: Duration,
    ) {
        let (entry, until) = match result {
            Ok(Delegated { token, id, lifetime, actors, asked, usable_until }) => {
                let (token, id, actors) = (token.reveal().into(), id.clone(), actors.clone());
                let (lifetime, asked) = (*lifetime, *asked);
                (Entry::Delegated { token, id, lifetime, actors, asked }, *usable_until)
            }
            Err(error) => {
                let claims = match error {
                    ExchangeError::ClaimsRequired(claims) => claims.clone(),
                    _ => Box::default(),
                };
                let entry = Entry::Failed { reason: error.reason().into(), claims, at: now };
                (entry, now.saturating_add(REFUSED_FOR))
            }
        };
        self.write(address, &self.find(address, now), &entry, until);
    }

    /// The delegation that was asked for at this moment serves no other worker any more from `until` on.
    pub(super) fn shorten(
        &self,
        address: &Address,
        asked: Duration,
        until: Duration,
        now: Duration,
    ) {
        let place = self.find(address, now);
        // Another one may stand there by now.
        if let Some(entry @ Entry::Delegated { asked: known, .. }) = &place.entry
            && *known == asked
        {
            self.write(address, &place, entry, until);
        }
    }

    /// Tells the other workers that this one does not ask any more.
    pub(super) fn release(&self, address: &Address) {
        let place = self.find(address, Duration::ZERO);
        // Another one may stand there by now.
        if place.entry.is_some() {
            self.write(address, &place, &Entry::Asked, Duration::ZERO);
        }
    }

    /// The place of the entry for `address`; if there is none, a free one, or else the one that will
    /// be free first.
    fn find(&self, address: &Address, now: Duration) -> Place {
        let first = address.set.saturating_mul(PLACES);
        let places = (first..first.saturating_add(PLACES)).map(|number| {
            let name = format!("exchange.{number}");
            let Some((value, version)) = self.data.read(&name) else {
                return Place { name, version: None, until: Duration::ZERO, entry: None };
            };
            let (until, entry) = address.open(&value);
            // What has passed is as good as nothing.
            let entry = entry.filter(|_| now < until);
            let until = if now < until { until } else { Duration::ZERO };
            Place { name, version: Some(version), until, entry }
        });
        let rank = |place: &Place| (place.entry.is_none(), place.until);
        let none = Place { name: String::new(), version: None, until: Duration::ZERO, entry: None };
        places.min_by_key(rank).unwrap_or(none)
    }

    fn write(&self, address: &Address, place: &Place, entry: &Entry, until: Duration) -> bool {
        let sealed = address.seal(entry, until).filter(|sealed| sealed.len() <= LONGEST);
        sealed.is_some_and(|sealed| self.data.write(&place.name, &sealed, place.version))
    }
}

/// In the clear: which exchange it is of, and until when it holds, in nanoseconds.
const HEAD: usize = 16 + 8;

impl Address {
    fn seal(&self, entry: &Entry, until: Duration) -> Option<Vec<u8>> {
        let text = serde_json::to_vec(entry).ok()?;
        let until = u64::try_from(until.as_nanos()).ok()?.to_be_bytes();
        let head = [&self.tag[..], &until].concat();
        // RFC 8452: the same nonce tells no more than that two texts are the same.
        let payload = Payload { msg: &text, aad: &head };
        let sealed = self.cipher.encrypt(&Nonce::default(), payload).ok()?;
        Some([head, sealed].concat())
    }

    /// Until when what stands in a place holds, and what it says if it is of this exchange.
    fn open(&self, value: &[u8]) -> (Duration, Option<Entry>) {
        let Some((head, sealed)) = value.split_at_checked(HEAD) else {
            return (Duration::ZERO, None);
        };
        let Some((tag, Ok(until))) =
            head.split_at_checked(16).map(|(tag, until)| (tag, until.try_into()))
        else {
            return (Duration::ZERO, None);
        };
        let until = Duration::from_nanos(u64::from_be_bytes(until));
        if tag != self.tag {
            return (until, None);
        }
        let payload = Payload { msg: sealed, aad: head };
        let text = self.cipher.decrypt(&Nonce::default(), payload).ok();
        (until, text.and_then(|text| serde_json::from_slice(&text).ok()))
    }
}
