//! An exchange under way: who waits for it, which server is asked, how often, and for how long.

use std::rc::Rc;
use std::time::Duration;

use super::reply::ExchangeError;
use super::settings::{Profile, Settings};
use super::shared::{Address, Claim, SharedExchanges};
use crate::clock::Now;
use crate::token::{Caller, TokenError};

/// An exchange under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) caller: Rc<Caller>,
    /// The place of the profile of the authorization server that is asked.
    pub(super) place: usize,
    /// When this server was first asked (before that, when the flight was queued), and how many times.
    started: Duration,
    tries: u32,
    /// The number of the last attempt, of all exchanges, and when it was made.
    pub(super) attempt_number: u64,
    pub(super) sent: Now,
    /// On the monotonic clock, when it is to be asked again at the earliest.
    pub(super) due: Duration,
    /// The stream that owns the callout: with it the host drops the callout. None once it is gone,
    /// before another attempt, and while there is no token of this gateway's own yet.
    pub(super) leader: Option<u32>,
    pub(super) waiting: Vec<u32>,
    /// Where the other workers look for it.
    address: Option<Address>,
    /// On the monotonic clock, until when they leave it to this one.
    claimed_until: Option<Duration>,
    /// Whether one of them has asked.
    pub(super) is_left_to_others: bool,
}

impl Flight {
    pub(super) fn new(
        caller: &Rc<Caller>,
        place: usize,
        address: Option<Address>,
        stream: u32,
        now: Now,
    ) -> Self {
        Self {
            caller: Rc::clone(caller),
            address,
            claimed_until: None,
            is_left_to_others: false,
            place,
            started: now.monotonic,
            tries: 0,
            attempt_number: 0,
            sent: now,
            due: now.monotonic,
            leader: None,
            waiting: vec![stream],
        }
    }

    /// The server is asked now, in a callout that `leader` owns.
    pub(super) fn ask(&mut self, leader: u32, attempt_number: u64, now: Now) {
        self.leader = Some(leader);
        self.attempt_number = attempt_number;
        self.sent = now;
        if self.tries == 0 {
            self.started = now.monotonic;
        }
        self.tries = self.tries.saturating_add(1);
    }

    /// Looks for what the other workers know of it. If that is nothing and this one `can_ask`, asks them
    /// to leave it to this one, for as long as the server has.
    pub(super) fn claim(
        &mut self,
        shared: &SharedExchanges,
        profile: &Profile,
        can_ask: bool,
        now: Now,
    ) -> Claim {
        let Some(address) = &self.address else { return Claim::Open };
        let until = now.monotonic.saturating_add(profile.timeout.as_std()).saturating_add(SLACK);
        let until = can_ask.then_some(until);
        let claim = shared.claim(address, self.claimed_until, self.started, now.monotonic, until);
        self.is_left_to_others = matches!(claim, Claim::Elsewhere);
        match claim {
            Claim::Granted => self.claimed_until = until,
            Claim::Open => {}
            Claim::Elsewhere => {
                // The longer it takes, the less often it is looked for.
                let waited = now.monotonic.saturating_sub(self.started);
                let pause = waited.mul_f64(0.25).clamp(SOONEST, LATEST);
                (self.claimed_until, self.due) = (None, now.monotonic.saturating_add(pause));
            }
            // What another one has told is not this one's to take back.
            Claim::Settled(..) => self.claimed_until = None,
        }
        claim
    }

    /// Whether it waits for a token of this gateway's own, for the profile at `place`.
    pub(super) fn needs_own_token(&self, place: usize) -> bool {
        self.leader.is_none() && self.place == place && !self.is_left_to_others
    }

    /// Where to tell the other workers of it, if they leave it to this one.
    pub(super) fn shared<'a>(
        &'a self,
        shared: Option<&'a SharedExchanges>,
    ) -> Option<(&'a SharedExchanges, &'a Address)> {
        shared.zip(self.address.as_ref()).filter(|_| self.claimed_until.is_some())
    }

    /// Nobody waits for it here any more.
    pub(super) fn release(&self, shared: Option<&SharedExchanges>) {
        if let Some((shared, address)) = self.shared(shared) {
            shared.release(address);
        }
    }

    /// How much of the time that the server has is left: always some, for none is no limit to Envoy.
    pub(super) fn remaining(&self, profile: &Profile, now: Now) -> Duration {
        let spent = now.monotonic.saturating_sub(self.started);
        profile.timeout.as_std().saturating_sub(spent).max(SHORTEST)
    }

    /// Sets when to ask the same server again after `error`; false if it is not worth another attempt.
    pub(super) fn schedule_retry(
        &mut self,
        profile: &Profile,
        error: &ExchangeError,
        now: Now,
    ) -> bool {
        let pause = match error {
            ExchangeError::NoAnswer => pause(now),
            ExchangeError::BadToken(TokenError::UnknownKey) if profile.fetches_keys => KEYS_COME_IN,
            _ => return false,
        };
        let is_worth_it = self.tries <= profile.retries && self.remaining(profile, now) > pause;
        if is_worth_it {
            (self.leader, self.due) = (None, now.monotonic.saturating_add(pause));
        }
        is_worth_it
    }

    /// Sets which other server to ask after `error`; false if there is none to ask.
    pub(super) fn switch_to_failover(
        &mut self,
        settings: &Settings,
        error: &ExchangeError,
        now: Now,
    ) -> bool {
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
        (self.place, self.tries, self.leader) = (place, 0, None);
        (self.started, self.due) = (now.monotonic, now.monotonic);
        true
    }
}

/// The shortest time that can be told to Envoy.
const SHORTEST: Duration = Duration::from_millis(1);

/// How soon, and at the latest how late, to look again for what another worker has asked for.
const SOONEST: Duration = Duration::from_millis(5);
const LATEST: Duration = Duration::from_millis(100);

/// How much longer than the server has the other workers wait for this one.
const SLACK: Duration = Duration::from_millis(250);

/// How long to wait before another attempt: not all for the same time.
fn pause(now: Now) -> Duration {
    let jitter = u64::from(now.monotonic.subsec_nanos()).checked_rem(80).unwrap_or_default();
    Duration::from_millis(jitter.saturating_add(20))
}

/// How long a delegation token by a key that is not known yet waits for another attempt: for a fetch.
const KEYS_COME_IN: Duration = Duration::from_millis(500);
