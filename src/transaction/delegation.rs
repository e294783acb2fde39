//! From the permit to the way up: the delegation token, and the wait for it.

use std::rc::Rc;

use super::answer::about;
use super::{Engine, Question, State, Step, Transaction, Waiting};
use crate::answer::{About, Refusal};
use crate::clock::Now;
use crate::config::Config;
use crate::exchange::reply::ExchangeError;
use crate::exchange::{Answer, Delegated, Source};
use crate::mcp::Id;
use crate::policy::Permit;
use crate::request::Verb;
use crate::response::Reader;
use crate::upstream::{self, Credential, Edits};

impl Transaction {
    pub(super) fn exchange(
        &mut self,
        permit: Permit,
        question: Question,
        id: Option<Id>,
        engine: &mut Engine,
        now: Now,
    ) -> Step {
        let opens_stream = question.verb == Verb::OpenStream;
        let is_stateless = question.is_stateless();
        let Question { caller, endpoint, edits, origin, is_filtered, tasks, .. } = question;
        let redaction = permit.redaction().map(Rc::clone);
        let reader = Reader {
            caller,
            id,
            endpoint,
            is_filtered,
            redaction,
            tasks,
            opens_stream,
            is_stateless,
            origin,
        };
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
                return self.not_delegated(error, &reader, config);
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
            Err(error) => self.not_delegated(error.clone(), &reader, config),
        }
    }

    fn not_delegated(&mut self, error: ExchangeError, reader: &Reader, config: &Config) -> Step {
        let endpoint = config.endpoints.get(reader.endpoint);
        let required_scopes = endpoint.map(|known| &known.required_scopes);
        let about = About { required_scopes, ..about(reader) };
        self.refuse(config, &Refusal::Exchange(error), about, reader.origin.as_deref())
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
        let reader = &waiting.reader;
        self.refuse(&engine.config, &refusal, about(reader), reader.origin.as_deref())
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
