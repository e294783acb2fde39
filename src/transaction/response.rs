//! The MCP server's answer, and what of it passes.

use std::cell::Cell;

use super::{Engine, State, Step, Transaction};
use crate::answer::Refusal;
use crate::clock::Now;
use crate::config::Config;
use crate::mcp::List;
use crate::request::Headers;
use crate::response::{self, BodyFilter, Head, Reader, RedactMessage, Redacted, Share, View};
use crate::task::Owner;

/// A response whose body is filtered.
#[derive(Debug)]
pub(super) struct Filtering {
    pub(super) reader: Reader,
    filter: BodyFilter,
    share: Share,
    /// Whether the host still holds the headers.
    is_held: bool,
}

impl Filtering {
    /// Whether it may go on for long: a stream of events.
    pub(super) fn is_stream(&self) -> bool {
        !self.filter.is_prompt()
    }
}

impl Transaction {
    pub(super) fn on_response(
        &mut self,
        headers: Headers,
        from_server: bool,
        reader: Box<Reader>,
        has_body: bool,
        engine: &mut Engine,
        now: Now,
    ) -> Step {
        let Engine { config, exchanges, held, .. } = engine;
        if from_server {
            self.record.answered(response::status(headers));
        }
        let refusal = match response::head(headers, &reader, &config.sessions, has_body) {
            Head::Pass(edits) => {
                self.state = State::Forwarded(reader);
                return Step::Continue(edits);
            }
            Head::Filter(edits, filter) => {
                let is_held = filter.is_prompt();
                let share = held.begin();
                let filtering = Filtering { reader: *reader, filter, share, is_held };
                self.state = State::Filtering(Box::new(filtering));
                return Step::Filter { edits, hold: is_held };
            }
            Head::Unfilterable(error) => Refusal::Unfilterable(error),
            Head::SessionNotBound(error) => Refusal::SessionNotBound(error),
            Head::DelegationRejected => {
                if let Some((target, delegated)) = self.record.delegation() {
                    exchanges.doubt(&reader.caller, target, delegated, now);
                }
                Refusal::DelegationRejected
            }
            Head::UnexpectedStatus => Refusal::UnexpectedStatus,
        };
        self.refuse_reader(&reader, &refusal, config)
    }

    pub(super) fn on_response_body(
        &mut self,
        mut filtering: Box<Filtering>,
        chunk: &[u8],
        end_of_stream: bool,
        config: &Config,
        now: Now,
    ) -> Step {
        let Filtering { reader, filter, share, is_held } = &mut *filtering;
        let endpoint = &reader.endpoint;
        let shows = |list: List, key: &str| {
            endpoint.policy.shows(&reader.caller, &list.object(key.into()), now)
        };
        let owner = Owner::new(&config.sessions, &reader.caller, &endpoint.path);
        let seal = |id: &str, is_result: bool| reader.tasks.seal(owner, id, is_result);
        let count = Cell::new(0_u64);
        let redact = reader.redaction.as_ref().map(|redaction| {
            |message: &[u8]| {
                let Redacted { text, count: more } = redaction.apply(message)?;
                count.set(count.get().saturating_add(more));
                Ok(text)
            }
        });
        let view = View {
            shows: &shows,
            seal: &seal,
            redact: redact.as_ref().map(|redact| redact as &RedactMessage),
        };
        let passed = filter.chunk(chunk, end_of_stream, view);
        let held = share.hold(filter.held(), config.limits.held_response_bytes);
        self.record.redacted(count.get());
        match passed.and_then(|passed| held.map(|()| passed)) {
            Ok(passed) => {
                *is_held = false;
                self.state =
                    if end_of_stream { State::Replied } else { State::Filtering(filtering) };
                Step::Replace(passed)
            }
            Err(error) if *is_held => {
                self.refuse_reader(reader, &Refusal::Unfilterable(error), config)
            }
            Err(error) => {
                self.record.refused(&Refusal::Unfilterable(error));
                self.state = State::Replied;
                Step::Reset
            }
        }
    }
}
