//! Key sets that are fetched from where their issuers publish them (`jwks_uri`, RFC 8414 section 2):
//! when, and what of an answer is believed.
//!
//! A good answer replaces the keys whole, so that a key which an issuer withdraws verifies nothing any
//! more. Any other answer leaves them as they are.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::{KeyProblem, KeySet, KeySetError, TrustedIssuer};
use crate::clock::Now;
use crate::mcp;
use crate::request::Headers;

/// Where an issuer's keys are fetched, and how often.
#[derive(Debug)]
pub struct RemoteJwks {
    /// The Envoy cluster.
    pub cluster: Box<str>,
    /// The value of `Host`.
    pub authority: Box<str>,
    /// The path, and the query if there is one.
    pub path: Box<str>,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// How long after a good answer to ask again.
    pub interval: Duration,
    /// How long after any fetch a key that is not known leads to another one.
    pub cooldown: Duration,
    /// How long keys serve that could not be fetched again. Without it, to the end of an outage.
    pub max_stale: Option<Duration>,
}

/// A request for an issuer's keys.
#[derive(Debug)]
#[must_use]
pub struct Fetch {
    /// The place of the issuer.
    pub place: usize,
    /// The Envoy cluster.
    pub cluster: Box<str>,
    /// The headers, pseudo-headers first.
    pub headers: [(&'static str, Box<str>); 4],
    /// How long to wait.
    pub timeout: Duration,
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub struct FetchReply<'a> {
    /// The headers; none at all if the reply was not complete, or too large for the host.
    pub headers: Headers<'a>,
    /// The body.
    pub body: &'a [u8],
}

impl FetchReply<'_> {
    /// The keys in it that can verify tokens, at least one, and why the others cannot.
    ///
    /// # Errors
    /// Why nothing of it is believed.
    pub fn keys(self) -> Result<(KeySet, Vec<KeyProblem>), FetchError> {
        match self.headers.first(":status").and_then(|status| status.parse().ok()) {
            Some(200) => {}
            // What Envoy answers when nobody else does.
            None | Some(504) => return Err(FetchError::NoAnswer),
            Some(status) => return Err(FetchError::Status(status)),
        }
        let types: Vec<_> = self.headers.all("content-type").collect();
        let is = |essence| mcp::check_media_type(&types, essence).is_ok();
        if !is("application/json") && !is("application/jwk-set+json") {
            return Err(FetchError::ContentType);
        }
        let (keys, problems) = KeySet::from_slice(self.body).map_err(FetchError::NotAKeySet)?;
        if keys.is_empty() {
            return Err(FetchError::NoUsableKey(problems));
        }
        Ok((keys, problems))
    }
}

/// What a fetch changed.
#[derive(Debug)]
pub enum Fetched {
    /// Nothing: the answer is that of the last time.
    Same,
    /// These are the keys now; some of the answer's were left out.
    New(KeySet, Vec<KeyProblem>),
}

/// Why the keys stay what they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// The request could not be sent: no such cluster, or no endpoint in it.
    Unreachable,
    /// No whole answer in time.
    NoAnswer,
    /// The status is not 200. No redirection is followed.
    Status(u16),
    /// The answer says that it is something else.
    ContentType,
    /// It is no key set, or one over the limits.
    NotAKeySet(KeySetError),
    /// No key of it can verify a token.
    NoUsableKey(Vec<KeyProblem>),
}

impl fmt::Display for FetchError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unreachable => "no such cluster, or no endpoint in it",
            Self::NoAnswer => "no whole answer in time",
            Self::Status(status) => return write!(out, "answered with status {status}"),
            Self::ContentType => "the answer is not application/json or application/jwk-set+json",
            Self::NotAKeySet(error) => return error.fmt(out),
            Self::NoUsableKey(problems) => {
                out.write_str("no key of the set can verify a token")?;
                return problems.iter().try_for_each(|problem| write!(out, "; {problem}"));
            }
        })
    }
}

impl Error for FetchError {}

/// The fetches of one configuration in one worker, by the places of the issuers.
#[derive(Debug, Default)]
pub struct KeyFetches(HashMap<usize, Slot>);

#[derive(Debug)]
struct Slot {
    phase: Phase,
    /// When the last fetch was sent.
    sent: Option<Duration>,
    /// How many have failed since one went well.
    failures: u32,
    /// When the keys were last known to be the issuer's.
    confirmed: Duration,
    /// The last good answer.
    answer: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Idle { due: Duration },
    Asked,
    UnderWay { lost: Duration },
}

/// The host gives up after the time it was told. What then is not settled never will be.
const GRACE: Duration = Duration::from_secs(1);

/// After the first failure, and twice as much after each one more, up to the latter.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

impl Slot {
    fn new(now: Now) -> Self {
        Self {
            phase: Phase::Idle { due: now.monotonic },
            sent: None,
            failures: 0,
            confirmed: now.monotonic,
            answer: Vec::new(),
        }
    }

    fn fail(&mut self, remote: &RemoteJwks, now: Now) {
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures));
        let pause = pause.min(LONGEST_PAUSE).min(remote.interval);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Idle { due: now.monotonic.saturating_add(pause) };
    }
}

impl KeyFetches {
    /// A token names a key that this issuer does not have, as far as is known here. Whether it is worth
    /// waiting for a fetch: one is under way, or is allowed again.
    pub fn ask(&mut self, place: usize, remote: &RemoteJwks, now: Now) -> bool {
        let slot = self.0.entry(place).or_insert_with(|| Slot::new(now));
        let is_allowed =
            slot.sent.is_none_or(|sent| now.monotonic >= sent.saturating_add(remote.cooldown));
        if matches!(slot.phase, Phase::Idle { .. }) && is_allowed {
            slot.phase = Phase::Asked;
        }
        self.is_awaited(place)
    }

    /// Whether a fetch is under way, or about to be.
    #[must_use]
    pub fn is_awaited(&self, place: usize) -> bool {
        self.0.get(&place).is_some_and(|slot| !matches!(slot.phase, Phase::Idle { .. }))
    }

    /// Whether the last fetch failed, so that nobody can say which keys the issuer has now.
    #[must_use]
    pub fn has_failed(&self, place: usize) -> bool {
        self.0.get(&place).is_some_and(|slot| slot.failures > 0)
    }

    /// What is to be fetched, which then counts as under way.
    pub fn due(&mut self, issuers: &[TrustedIssuer], now: Now) -> Vec<Fetch> {
        let mut fetches = Vec::new();
        for (place, trusted) in issuers.iter().enumerate() {
            let Some(remote) = &trusted.remote_jwks else { continue };
            let slot = self.0.entry(place).or_insert_with(|| Slot::new(now));
            if let Phase::UnderWay { lost } = slot.phase
                && now.monotonic >= lost
            {
                slot.fail(remote, now);
            }
            let is_due = match slot.phase {
                Phase::Idle { due } => now.monotonic >= due,
                Phase::Asked => true,
                Phase::UnderWay { .. } => false,
            };
            if is_due {
                let lost = now.monotonic.saturating_add(remote.timeout).saturating_add(GRACE);
                slot.phase = Phase::UnderWay { lost };
                slot.sent = Some(now.monotonic);
                fetches.push(fetch(place, remote));
            }
        }
        fetches
    }

    /// Takes an answer, or word that there will be none.
    ///
    /// # Errors
    /// Why the keys stay what they were.
    pub fn settle(
        &mut self,
        place: usize,
        remote: &RemoteJwks,
        reply: Result<FetchReply, FetchError>,
        now: Now,
    ) -> Result<Fetched, FetchError> {
        let slot = self.0.entry(place).or_insert_with(|| Slot::new(now));
        let read = reply.and_then(|reply| Ok((reply.keys()?, reply.body)));
        let ((keys, problems), body) = match read {
            Ok(read) => read,
            Err(error) => {
                slot.fail(remote, now);
                return Err(error);
            }
        };
        slot.phase = Phase::Idle { due: now.monotonic.saturating_add(remote.interval) };
        slot.failures = 0;
        slot.confirmed = now.monotonic;
        if slot.answer == body {
            return Ok(Fetched::Same);
        }
        slot.answer = body.to_vec();
        Ok(Fetched::New(keys, problems))
    }

    /// Whether the keys are too old to be believed: the last answer is forgotten then, so that the next
    /// one is new, whatever it is.
    pub fn expire(&mut self, place: usize, remote: &RemoteJwks, now: Now) -> bool {
        let (Some(max_stale), Some(slot)) = (remote.max_stale, self.0.get_mut(&place)) else {
            return false;
        };
        let has_expired = now.monotonic >= slot.confirmed.saturating_add(max_stale);
        if has_expired {
            slot.answer.clear();
        }
        has_expired
    }
}

fn fetch(place: usize, remote: &RemoteJwks) -> Fetch {
    Fetch {
        place,
        cluster: remote.cluster.clone(),
        headers: [
            (":method", "GET".into()),
            (":path", remote.path.clone()),
            (":authority", remote.authority.clone()),
            ("accept", "application/jwk-set+json, application/json".into()),
        ],
        timeout: remote.timeout,
    }
}
