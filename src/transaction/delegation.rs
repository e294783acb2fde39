//! From the permit to the way up: the delegation token, and the wait for it.

use std::rc::Rc;

use super::{Engine, State, Step, Transaction};
use crate::answer::Refusal;
use crate::clock::Now;
use crate::config::Config;
use crate::exchange::reply::ExchangeError;
use crate::exchange::{Answer, Delegated, Key, Source};
use crate::policy::Permit;
use crate::response::Reader;
use crate::upstream::{self, Credential, Edits};

/// A permitted request that waits for its delegation token.
#[derive(Debug)]
pub(super) struct Waiting {
    permit: Permit,
    pub(super) key: Key,
    edits: Edits,
    reader: Reader,
}

impl Transaction {
    pub(super) fn exchange(
        &mut self,
        permit: Permit,
        edits: Edits,
        reader: Reader,
        engine: &mut Engine,
        now: Now,
    ) -> Step {
        let Some(target) = permit.target().map(Rc::clone) else {
            return self.forward(permit, &Credential::WithoutToken, edits, reader);
        };
        let Engine { config, exchanges, .. } = engine;
        let caller = &reader.caller;
        let (key, step) = match exchanges.ask(&config.exchange, caller, &target, self.stream, now) {
            Answer::Ready(delegated, source) => {
                self.record.delegated(&target, &delegated, source);
                return self.forward(permit, &Credential::Delegation(&delegated), edits, reader);
            }
            Answer::Refused(error) => {
                return self.refuse_reader(&reader, &Refusal::Exchange(error), config);
            }
            Answer::Wait(key) => (key, Step::Pause),
            Answer::Call(key, callout) => (key, Step::Call(callout)),
        };
        let waiting = Waiting { permit, key, edits, reader };
        self.state = State::AwaitExchange(Box::new(waiting));
        step
    }

    pub(super) fn on_exchanged(
        &mut self,
        waiting: Waiting,
        result: Result<&Rc<Delegated>, &ExchangeError>,
        config: &Config,
    ) -> Step {
        let Waiting { permit, edits, reader, .. } = waiting;
        match result {
            Ok(delegated) => {
                if let Some(target) = permit.target() {
                    self.record.delegated(target, delegated, Source::Exchanged);
                }
                self.forward(permit, &Credential::Delegation(delegated), edits, reader)
            }
            Err(error) => self.refuse_reader(&reader, &Refusal::Exchange(error.clone()), config),
        }
    }

    pub(super) fn on_tick_for_exchange(
        &mut self,
        waiting: Box<Waiting>,
        engine: &mut Engine,
        now: Now,
    ) -> Step {
        if self.is_in_time(engine, now) {
            self.state = State::AwaitExchange(waiting);
            return Step::Pause;
        }
        engine.exchanges.abandon(&waiting.key, self.stream);
        let refusal = Refusal::Undecided("the token exchange did not end in time");
        self.refuse_reader(&waiting.reader, &refusal, &engine.config)
    }

    fn forward(
        &mut self,
        permit: Permit,
        credential: &Credential,
        edits: Edits,
        reader: Reader,
    ) -> Step {
        self.record.forwarded();
        self.state = State::Forwarded(Box::new(reader));
        Step::Continue(upstream::forward(permit, credential, edits))
    }
}
