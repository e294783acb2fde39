//! This gateway's own tokens, by which it acts: fetched once, renewed in time.

use std::collections::HashMap;
use std::time::Duration;

use super::reply::{self, CalloutReply, ExchangeError};
use crate::clock::Now;
use crate::token::BearerToken;

/// The tokens, by the place of the profile that needs them.
#[derive(Debug, Default)]
pub(super) struct OwnTokens(HashMap<usize, Slot>);

#[derive(Debug, Default)]
struct Slot {
    held: Option<Held>,
    /// When the request that is under way was sent.
    asked: Option<Duration>,
    /// Why there is no token, and until when nobody asks again.
    failed: Option<(ExchangeError, Duration)>,
}

#[derive(Debug)]
struct Held {
    token: BearerToken,
    asked: Duration,
    renew_at: Duration,
    usable_until: Duration,
}

/// How long a failure stands before the next attempt.
const FAILED_FOR: Duration = Duration::from_secs(1);

/// After this a request is taken for lost.
const LOST_AFTER: Duration = Duration::from_secs(30);

impl OwnTokens {
    /// The token for the profile at `place`.
    pub(super) fn token(&self, place: usize, now: Now) -> Option<&BearerToken> {
        let held = self.0.get(&place)?.held.as_ref();
        held.filter(|held| now.monotonic < held.usable_until).map(|held| &held.token)
    }

    /// Why there will be none for now.
    pub(super) fn refusal(&self, place: usize, now: Now) -> Option<ExchangeError> {
        if self.token(place, now).is_some() {
            return None;
        }
        let (error, until) = self.0.get(&place)?.failed.as_ref()?;
        (now.monotonic < *until).then(|| error.clone())
    }

    /// Whether it is time to ask for one, which then counts as under way: somebody waits for it, or the
    /// one that is held grows old.
    pub(super) fn take_due(&mut self, place: usize, is_awaited: bool, now: Now) -> bool {
        let slot = self.0.entry(place).or_default();
        let is_under_way =
            slot.asked.is_some_and(|asked| now.monotonic < asked.saturating_add(LOST_AFTER));
        let is_failed = slot.failed.as_ref().is_some_and(|(_, until)| now.monotonic < *until);
        let is_old = slot.held.as_ref().map_or(is_awaited, |held| now.monotonic >= held.renew_at);
        let is_due = is_old && !is_under_way && !is_failed;
        if is_due {
            slot.asked = Some(now.monotonic);
        }
        is_due
    }

    /// The server has rejected a request with it, and does not say whether for its sake (RFC 8693 section
    /// 2.2.2): another is asked for, unless this one is new.
    pub(super) fn doubt(&mut self, place: usize, now: Now) {
        let held = self.0.get_mut(&place).and_then(|slot| slot.held.as_mut());
        if let Some(held) = held
            && now.monotonic >= held.asked.saturating_add(FAILED_FOR)
        {
            held.renew_at = now.monotonic;
        }
    }

    /// Takes the authorization server's reply.
    ///
    /// # Errors
    /// Why there is no token, if none is held that still serves.
    pub(super) fn settle(
        &mut self,
        place: usize,
        reply: Result<CalloutReply, ExchangeError>,
        now: Now,
    ) -> Result<(), ExchangeError> {
        let slot = self.0.entry(place).or_default();
        let sent = slot.asked.take().unwrap_or(now.monotonic);
        match reply.and_then(|reply| reply::own_token(&reply)) {
            Ok((token, lifetime)) => {
                let usable_until = sent.saturating_add(lifetime.mul_f64(0.95));
                let renew_at = sent.saturating_add(lifetime.mul_f64(0.8));
                slot.held = Some(Held { token, asked: sent, renew_at, usable_until });
                slot.failed = None;
                Ok(())
            }
            Err(error) => {
                slot.failed = Some((error.clone(), now.monotonic.saturating_add(FAILED_FOR)));
                let serves = |held: &Held| now.monotonic < held.usable_until;
                if slot.held.as_ref().is_some_and(serves) { Ok(()) } else { Err(error) }
            }
        }
    }
}
