//! One HTTP request and its response, from headers to log: the state machine that runs the stages.
//!
//! It does no I/O. The host turns what happens into an [`Event`], [`Transaction::handle`] says in a
//! [`Step`] what to do next, and the host does it. An event that does not fit the state ends in
//! `State::Failed` and a 500, never in [`Step::Continue`].

// From the first headers to the permit: `AwaitHeaders` and `AwaitBody`.
mod question;
// `AwaitKeys`, before there is a caller.
mod keys;
// No state: the marks of requests, between `AwaitBody` and the way up.
mod marked;
// From the permit to the way up: `AwaitExchange`.
mod delegation;
// `Forwarded` and `Filtering`.
mod response;

use std::rc::Rc;

use crate::answer::{About, LocalReply, Refusal, cors, refuse};
use crate::audit::{CutOff, Record};
use crate::clock::Now;
use crate::config::Config;
use crate::exchange::reply::ExchangeError;
use crate::exchange::{Callout, Delegated, Exchanges};
use crate::host::Host;
use crate::request::Headers;
use crate::response::{Held, Reader};
use crate::token::{Callers, KeyFetches};
use crate::upstream::Edits;
use delegation::Waiting;
use keys::Unidentified;
use marked::MarkedRequests;
use question::Question;
use response::Filtering;

/// What the transactions of one configuration share, in one worker.
#[derive(Debug)]
pub struct Engine {
    /// What was pushed.
    pub config: Config,
    /// Who was verified before.
    pub callers: Callers,
    /// What was exchanged before, and what is being exchanged.
    pub exchanges: Exchanges,
    fetches: KeyFetches,
    marked: MarkedRequests,
    held: Held,
}

impl Engine {
    /// Starts afresh with a configuration.
    #[must_use]
    pub fn new(config: Config, host: Host) -> Self {
        let Host { verifier, signer, shared_data, held } = host;
        let bounds = config.limits.delegations();
        let exchanges = Exchanges::new(bounds, Rc::clone(&verifier), signer);
        Self {
            callers: Callers::new(config.limits.tokens(), verifier),
            marked: MarkedRequests::new(Rc::clone(&shared_data)),
            exchanges: exchanges.shared(shared_data, config.digest, bounds.entries),
            fetches: KeyFetches::default(),
            held,
            config,
        }
    }
}

/// What happens to a transaction.
#[derive(Debug)]
pub enum Event<'a> {
    /// The request's headers are there.
    RequestHeaders {
        /// All of them.
        headers: Headers<'a>,
        /// Whether nothing follows.
        end_of_stream: bool,
    },
    /// More of the request's body is there, or the end of it.
    RequestBody {
        /// How much is held, in bytes.
        length: usize,
        /// All of it, once it is complete.
        whole: Option<&'a [u8]>,
    },
    /// The request as the host holds it, after [`Step::Reread`].
    RequestAgain {
        /// All headers.
        headers: Headers<'a>,
        /// What is there of the body.
        body: &'a [u8],
    },
    /// The exchange that it waits for is settled.
    Exchanged(Result<&'a Rc<Delegated>, &'a ExchangeError>),
    /// Time has passed.
    Tick,
    /// The response's headers are there: the MCP server's, or those of an answer made here.
    ResponseHeaders {
        /// All of them.
        headers: Headers<'a>,
        /// Whether the MCP server answered, and not the host in its place.
        from_server: bool,
        /// Whether nothing follows.
        end_of_stream: bool,
    },
    /// More of the response's body is there, after [`Step::Filter`].
    ResponseBody {
        /// What came since the last event.
        chunk: &'a [u8],
        /// Whether nothing follows.
        end_of_stream: bool,
    },
}

/// What the host must do next.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Make these changes and let the stream go on.
    Continue(Edits),
    /// Hold the stream.
    Pause,
    /// Make this request, and hold the stream.
    Call(Callout),
    /// Give the request that is held once more, as [`Event::RequestAgain`].
    Reread,
    /// Answer the client.
    Reply(LocalReply),
    /// Make these changes to the response's headers, and give every chunk of its body. Without this
    /// step, no [`Event::ResponseBody`] is due.
    Filter {
        /// The changes.
        edits: Edits,
        /// Whether to hold the headers until the first chunk, so that there can be another answer
        /// if it fails.
        hold: bool,
    },
    /// Put this in place of the chunk.
    Replace(Vec<u8>),
    /// End the response that has begun, so that the client sees it fail.
    Reset,
}

/// Where a transaction stands, in the order of its life. What it knows lives in the variant.
#[derive(Debug)]
enum State {
    AwaitHeaders,
    AwaitKeys(Box<Unidentified>),
    AwaitBody {
        question: Box<Question>,
        /// Whether the host has shown any of the body.
        is_body_seen: bool,
    },
    AwaitExchange(Box<Waiting>),
    Forwarded(Box<Reader>),
    Filtering(Box<Filtering>),
    Ignored,
    Replied,
    Failed,
}

/// One HTTP request and its response.
#[derive(Debug)]
pub struct Transaction {
    stream: u32,
    started: Now,
    state: State,
    record: Record,
}

impl Transaction {
    /// A transaction that begins now; `stream` is the host's number for it.
    #[must_use]
    pub fn new(stream: u32, now: Now) -> Self {
        Self { stream, started: now, state: State::AwaitHeaders, record: Record::default() }
    }

    /// Takes an event and says what to do.
    pub fn handle(&mut self, event: Event, engine: &mut Engine, now: Now) -> Step {
        match (std::mem::replace(&mut self.state, State::Failed), event) {
            (State::AwaitHeaders, Event::RequestHeaders { headers, end_of_stream }) => {
                self.on_headers(headers, end_of_stream, engine, now)
            }

            (State::AwaitKeys(unidentified), Event::RequestBody { length, whole }) => {
                self.on_body_before_keys(unidentified, length, whole.is_some(), &engine.config)
            }
            (State::AwaitKeys(unidentified), Event::RequestAgain { headers, body }) => {
                self.on_request_again(&unidentified, headers, body, engine, now)
            }
            (State::AwaitKeys(unidentified), Event::Tick) => {
                self.on_tick_for_keys(unidentified, engine, now)
            }

            (State::AwaitBody { question, .. }, Event::RequestBody { length, whole }) => {
                self.on_body(question, length, whole, engine, now)
            }
            (State::AwaitBody { question, is_body_seen }, Event::Tick) => {
                self.on_tick_for_body(question, is_body_seen, engine, now)
            }

            (State::AwaitExchange(waiting), Event::Exchanged(result)) => {
                self.on_exchanged(*waiting, result, &engine.config)
            }
            (State::AwaitExchange(waiting), Event::Tick) => {
                self.on_tick_for_exchange(waiting, engine, now)
            }
            // The host repeats the end of a body, and the rest of one, while a stream waits.
            (state @ State::AwaitExchange(_), Event::RequestBody { .. }) => {
                self.state = state;
                Step::Pause
            }

            // Envoy itself answers, a timeout say, while this filter holds the request.
            (
                state @ (State::AwaitKeys(_) | State::AwaitBody { .. } | State::AwaitExchange(_)),
                Event::ResponseHeaders { .. },
            ) => {
                self.state = state;
                self.leave("Envoy answered before there was a decision", engine);
                Step::Continue(Edits::default())
            }
            (State::AwaitExchange(waiting), _) => {
                engine.exchanges.abandon(&waiting.key, self.stream);
                self.fail(&engine.config)
            }

            (
                State::Forwarded(reader),
                Event::ResponseHeaders { headers, from_server, end_of_stream },
            ) => self.on_response(headers, from_server, reader, !end_of_stream, engine, now),

            (State::Filtering(filtering), Event::ResponseBody { chunk, end_of_stream }) => {
                self.on_response_body(filtering, chunk, end_of_stream, &engine.config, now)
            }
            // An answer under way is finished, lest the client asks for it again. A stream is not.
            (State::Filtering(filtering), Event::Tick)
                if filtering.is_stream() && !filtering.reader.caller.is_current(now) =>
            {
                self.record.cut_off(CutOff::TokenExpired);
                self.state = State::Replied;
                Step::Reset
            }

            // What was decided stays decided. An answer made here passes this way too.
            (
                state @ (State::Forwarded(_)
                | State::Filtering(_)
                | State::Ignored
                | State::Replied),
                Event::RequestBody { .. } | Event::Tick,
            )
            | (state @ (State::Ignored | State::Replied), Event::ResponseHeaders { .. })
            | (state @ State::AwaitHeaders, Event::Tick | Event::ResponseHeaders { .. }) => {
                self.state = state;
                Step::Continue(Edits::default())
            }
            // What follows the end of a response, or is the rest of one that was given up.
            (state @ (State::Replied | State::Failed), Event::ResponseBody { .. }) => {
                self.state = state;
                Step::Replace(Vec::new())
            }
            (State::Failed, Event::ResponseHeaders { .. } | Event::Tick) => {
                Step::Continue(Edits::default())
            }

            _ => self.fail(&engine.config),
        }
    }

    fn fail(&mut self, config: &Config) -> Step {
        self.record.refused(&Refusal::Failed);
        self.state = State::Failed;
        Step::Reply(refuse(config, &Refusal::Failed, About::default()))
    }

    /// Whether a tick could mean anything to it.
    #[must_use]
    pub fn wants_ticks(&self) -> bool {
        let streams = matches!(&self.state, State::Filtering(filtering) if filtering.is_stream());
        streams || self.is_undecided()
    }

    /// Whether it is none of this filter's business.
    #[must_use]
    pub const fn is_ignored(&self) -> bool {
        matches!(self.state, State::Ignored)
    }

    /// Whether the request is still held.
    #[must_use]
    pub const fn is_undecided(&self) -> bool {
        matches!(
            self.state,
            State::AwaitKeys(_) | State::AwaitBody { .. } | State::AwaitExchange(_)
        )
    }

    /// Whether it went up, though a rule in shadow would have denied it.
    #[must_use]
    pub fn is_shadow_denial(&self) -> bool {
        self.record.is_shadow_denial()
    }

    /// The transaction is over: leaves whatever it waits for, and gives its audit record, unless it
    /// was none of this filter's business. `status` is what the client got, 0 if it was gone.
    pub fn close(mut self, status: u16, engine: &mut Engine, now: Now) -> Option<String> {
        if matches!(self.state, State::Ignored | State::AwaitHeaders) {
            return None;
        }
        self.leave("it ended before there was a decision", engine);
        Some(self.record.line(&engine.config.policy_hash, status, self.started, now))
    }

    /// Leaves whatever it waits for, if it does. `cause` is for the record.
    fn leave(&mut self, cause: &'static str, engine: &mut Engine) {
        if !self.is_undecided() {
            return;
        }
        self.record.refused(&Refusal::Undecided(cause));
        if let State::AwaitExchange(waiting) = std::mem::replace(&mut self.state, State::Replied) {
            engine.exchanges.abandon(&waiting.key, self.stream);
        }
    }

    fn is_in_time(&self, engine: &Engine, now: Now) -> bool {
        let waited = now.monotonic.saturating_sub(self.started.monotonic);
        waited < engine.config.limits.decision_time.as_std()
    }

    fn serve(&mut self, reply: LocalReply) -> Step {
        self.record.served();
        self.state = State::Replied;
        Step::Reply(reply)
    }

    fn refuse(
        &mut self,
        config: &Config,
        refusal: &Refusal,
        about: About,
        origin: Option<&str>,
    ) -> Step {
        self.record.refused(refusal);
        self.state = State::Replied;
        let mut reply = refuse(config, refusal, about);
        reply.headers.extend(origin.into_iter().flat_map(cors));
        Step::Reply(reply)
    }

    /// Refuses a request that was permitted: its answer's reader is told.
    fn refuse_reader(&mut self, reader: &Reader, refusal: &Refusal, config: &Config) -> Step {
        let about = About { id: reader.id.as_ref(), endpoint: Some(&reader.endpoint) };
        self.refuse(config, refusal, about, reader.origin.as_deref())
    }
}
