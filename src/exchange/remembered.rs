//! What came of exchanges, kept for later calls.

use std::rc::Rc;
use std::time::Duration;

use super::reply::ExchangeError;
use super::{Delegated, Key};
use crate::cache::{Bounds, Cache, Entry};

/// How long a refusal is remembered, and a delegation is used that the MCP server rejects, so that who
/// insists costs the authorization server no more than one request a second.
pub(super) const REFUSED_FOR: Duration = Duration::from_secs(1);

/// What the exchanges of one configuration gave, in one worker. All moments are on the monotonic clock.
#[derive(Debug)]
pub(super) struct Remembered {
    delegated: Cache<Key, Rc<Delegated>>,
    refused: Cache<Key, ExchangeError>,
}

impl Remembered {
    /// Nothing yet; of delegations and of refusals as much as `bounds` says, each.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { delegated: Cache::new(bounds), refused: Cache::new(bounds) }
    }

    /// What came of the exchange under `key`, if that is still good.
    pub(super) fn find(
        &self,
        key: &Key,
        now: Duration,
    ) -> Option<Result<Rc<Delegated>, ExchangeError>> {
        if let Some(delegated) = self.delegated.get(key, now) {
            return Some(Ok(Rc::clone(delegated)));
        }
        self.refused.get(key, now).map(|error| Err(error.clone()))
    }

    /// Keeps what came of an exchange, if it may serve later calls. A refusal serves them `until` then.
    pub(super) fn keep(
        &mut self,
        key: &Key,
        result: &Result<Rc<Delegated>, ExchangeError>,
        owner: &Rc<str>,
        now: Duration,
        until: Duration,
    ) {
        match result {
            Ok(delegated) if key.target.cache => {
                self.keep_delegated(key, delegated, owner, now, delegated.usable_until);
            }
            Err(error) if key.target.cache && error.is_refusal() => {
                let (value, owner, bytes) = (error.clone(), Rc::clone(owner), key.bytes());
                self.refused.insert(key.clone(), Entry { value, owner, bytes, until }, now);
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// Lets what is delegated under `key` serve no longer than [`REFUSED_FOR`] from when it was asked for.
    /// Gives that moment; none if it is another one by now than was `rejected`.
    pub(super) fn doubt(
        &mut self,
        key: &Key,
        rejected: &Delegated,
        owner: &Rc<str>,
        now: Duration,
    ) -> Option<Duration> {
        let known = self.delegated.get(key, now).filter(|known| known.asked == rejected.asked)?;
        let known = Rc::clone(known);
        let until = known.usable_until.min(known.asked.saturating_add(REFUSED_FOR));
        self.keep_delegated(key, &known, owner, now, until);
        Some(until)
    }

    fn keep_delegated(
        &mut self,
        key: &Key,
        delegated: &Rc<Delegated>,
        owner: &Rc<str>,
        now: Duration,
        until: Duration,
    ) {
        let bytes = key.bytes().saturating_add(delegated.bytes());
        let (value, owner) = (Rc::clone(delegated), Rc::clone(owner));
        self.delegated.insert(key.clone(), Entry { value, owner, bytes, until }, now);
    }
}
