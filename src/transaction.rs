//! One HTTP request and its response, from headers to log: the state machine that runs the stages.
//!
//! It does no I/O. The host turns what happens into an [`Event`], [`Transaction::handle`] says in a
//! [`Step`] what to do next, and the host does it. An event that does not fit the state ends in
//! [`State::Failed`] and a 500, never in [`Step::Continue`].

use std::rc::Rc;
use std::time::Duration;

use crate::answer::{About, LocalReply, Refusal, cors, metadata, preflight, refuse};
use crate::audit::{Record, Source};
use crate::clock::Now;
use crate::config::{Config, Endpoint};
use crate::exchange::reply::ExchangeError;
use crate::exchange::{Answer, Callout, Delegated, Exchanges, Key};
use crate::json::Limits;
use crate::mcp::{self, Body, BodyError, HeaderError, Id, List, MirroredHeaders};
use crate::policy::{Denial, Permit};
use crate::request::{self, Headers, Intake, RequestError, Verb};
use crate::response::{self, BodyFilter, Head, Reader};
use crate::session::{self, Binding, SessionError};
use crate::token::{Caller, Callers, ScopeSet};
use crate::upstream::{self, Credential, Edits};

/// What the transactions of one configuration share, in one worker.
#[derive(Debug)]
pub struct Engine {
    /// What was pushed.
    pub config: Config,
    /// Who was verified before.
    pub callers: Callers,
    /// What was exchanged before, and what is being exchanged.
    pub exchanges: Exchanges,
}

impl Engine {
    /// Starts afresh with a configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            callers: Callers::new(config.limits.cached_tokens),
            exchanges: Exchanges::new(config.limits.cached_delegations),
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
    /// The exchange that it waits for is settled.
    Exchanged(Result<&'a Rc<Delegated>, &'a ExchangeError>),
    /// Time has passed.
    Tick,
    /// The response's headers are there: the MCP server's, or those of an answer made here.
    ResponseHeaders {
        /// All of them.
        headers: Headers<'a>,
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
    /// Make these changes to the headers and let the stream go on.
    Continue(Edits),
    /// Hold the stream.
    Pause,
    /// Make this request, and hold the stream.
    Call(Callout),
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

/// Fifty years after the Unix epoch: a clock that says less was never set.
const CLOCK_IS_SET: Duration = Duration::from_hours(50 * 365 * 24);

/// Where a transaction stands. What it knows lives in the variant.
#[derive(Debug)]
enum State {
    AwaitHeaders,
    AwaitBody(Box<Question>),
    AwaitExchange(Box<Waiting>),
    Forwarded(Box<Reader>),
    Filtering(Box<Filtering>),
    Ignored,
    Replied,
    Failed,
}

/// A request to an endpoint by a known caller.
#[derive(Debug)]
struct Question {
    endpoint: usize,
    caller: Rc<Caller>,
    verb: Verb,
    /// An error in them waits for the body, which has the id that the answer repeats.
    mirrored: Result<MirroredHeaders, HeaderError>,
    stripped: Vec<String>,
    /// The MCP server's id of the session, once it is known to be the caller's.
    session: Option<String>,
    origin: Option<String>,
    /// Whether it asks for a list.
    asks_for_list: bool,
    /// Whether the host has shown any of the body.
    body_seen: bool,
}

/// A permitted request that waits for its delegation token.
#[derive(Debug)]
struct Waiting {
    permit: Permit,
    key: Key,
    id: Option<Id>,
    edits: Edits,
    reader: Reader,
    required_scopes: ScopeSet,
}

/// A response whose body is filtered.
#[derive(Debug)]
struct Filtering {
    reader: Reader,
    filter: BodyFilter,
    /// Whether the host still holds the headers.
    is_held: bool,
}

impl Filtering {
    /// Whether it may go on for long: a stream of events.
    fn is_stream(&self) -> bool {
        !self.filter.is_prompt()
    }
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
            (State::AwaitBody(question), Event::RequestBody { length, whole }) => {
                self.on_body(question, length, whole, engine, now)
            }
            (State::AwaitExchange(waiting), Event::Exchanged(result)) => {
                self.on_exchanged(*waiting, result, &engine.config)
            }
            (State::AwaitBody(question), Event::Tick) => {
                self.on_tick_for_body(question, engine, now)
            }
            (State::AwaitExchange(waiting), Event::Tick) => {
                self.on_tick_for_exchange(waiting, engine, now)
            }
            (State::Forwarded(reader), Event::ResponseHeaders { headers, end_of_stream }) => {
                self.on_response(headers, reader, !end_of_stream, &engine.config)
            }
            (State::Filtering(filtering), Event::ResponseBody { chunk, end_of_stream }) => {
                self.on_response_body(filtering, chunk, end_of_stream, &engine.config)
            }
            // An answer under way is finished, lest the client asks for it again. A stream is not.
            (State::Filtering(filtering), Event::Tick)
                if filtering.is_stream() && !filtering.reader.caller.is_current(now) =>
            {
                self.record.cut_off("token_expired");
                self.state = State::Replied;
                Step::Reset
            }
            // The rest of a response that was given up.
            (state @ (State::Replied | State::Failed), Event::ResponseBody { .. }) => {
                self.state = state;
                Step::Replace(Vec::new())
            }
            // The host repeats the end of a body, and the rest of one, while a stream waits.
            (state @ State::AwaitExchange(_), Event::RequestBody { .. }) => {
                self.state = state;
                Step::Pause
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
            // Envoy itself answers, a timeout say, while this filter holds the request.
            (State::AwaitBody(_), Event::ResponseHeaders { .. }) => {
                self.state = State::Replied;
                Step::Continue(Edits::default())
            }
            (State::AwaitExchange(waiting), Event::ResponseHeaders { .. }) => {
                engine.exchanges.abandon(&waiting.key, self.stream);
                self.state = State::Replied;
                Step::Continue(Edits::default())
            }
            (State::Failed, Event::ResponseHeaders { .. } | Event::Tick) => {
                Step::Continue(Edits::default())
            }
            _ => self.fail(&engine.config),
        }
    }

    /// The host could not do what a step said.
    pub fn fail(&mut self, config: &Config) -> Step {
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

    /// Whether the request is still held.
    #[must_use]
    pub const fn is_undecided(&self) -> bool {
        matches!(self.state, State::AwaitBody(_) | State::AwaitExchange(_))
    }

    /// The transaction is over: leaves whatever it waits for, and gives its audit record, unless it
    /// was none of this filter's business. `status` is what the client got, 0 if it was gone.
    pub fn close(self, status: u16, engine: &mut Engine, now: Now) -> Option<String> {
        match &self.state {
            State::Ignored | State::AwaitHeaders => return None,
            State::AwaitExchange(waiting) => engine.exchanges.abandon(&waiting.key, self.stream),
            _ => {}
        }
        Some(self.record.line(status, self.started, now))
    }

    fn on_headers(
        &mut self,
        headers: Headers,
        end_of_stream: bool,
        engine: &mut Engine,
        now: Now,
    ) -> Step {
        let config = &engine.config;
        let origin = request::allowed_origin(config, headers).map(str::to_owned);
        self.record.request(
            headers.first("x-request-id"),
            headers.first(":method").unwrap_or_default(),
            headers.first(":path").unwrap_or_default(),
            &config.policy_hash,
        );
        let endpoint = match request::classify(config, headers) {
            Ok(Intake::Ignored) => {
                self.state = State::Ignored;
                return Step::Continue(Edits::default());
            }
            Ok(Intake::Metadata(document)) => return self.serve(metadata(document)),
            Ok(Intake::Preflight) => return self.serve(preflight(origin.as_deref())),
            Ok(Intake::Endpoint(endpoint)) => endpoint,
            Err(error) => {
                return self.refuse(config, &Refusal::Request(error), About::default(), None);
            }
        };
        let about = About { id: None, required_scopes: Some(&endpoint.required_scopes) };
        if now.unix < CLOCK_IS_SET {
            // No token can be judged, so none is called bad.
            let refusal = Refusal::Undecided("the clock is not set");
            return self.refuse(config, &refusal, about, origin.as_deref());
        }
        let question = request::bearer(headers)
            .map_err(Refusal::Request)
            .and_then(|token| {
                let (issuers, scopes) = (&config.issuers, &config.scopes);
                engine.callers.verify(token, issuers, scopes, now).map_err(|error| {
                    self.record.rejected(token);
                    Refusal::Token(error)
                })
            })
            .and_then(|caller| {
                self.record.caller(&caller);
                question(config, endpoint, caller, headers)
            });
        match question {
            Err(refusal) => self.refuse(config, &refusal, about, origin.as_deref()),
            Ok(question) => {
                let question = Box::new(Question { origin, ..question });
                if end_of_stream {
                    return self.on_body(question, 0, Some(b""), engine, now);
                }
                self.state = State::AwaitBody(question);
                Step::Pause
            }
        }
    }

    fn on_body(
        &mut self,
        mut question: Box<Question>,
        length: usize,
        whole: Option<&[u8]>,
        engine: &mut Engine,
        now: Now,
    ) -> Step {
        let config = &engine.config;
        let limit = match question.verb {
            Verb::Message => config.limits.body_bytes,
            Verb::OpenStream | Verb::EndSession => 0,
        };
        let Some(endpoint) = config.endpoints.get(question.endpoint) else {
            return self.fail(config);
        };
        let mut about = About { id: None, required_scopes: Some(&endpoint.required_scopes) };
        if length > limit {
            let refusal = match question.verb {
                Verb::Message => Refusal::TooLarge,
                _ => Refusal::Request(RequestError::UnexpectedBody),
            };
            return self.refuse(config, &refusal, about, question.origin.as_deref());
        }
        let Some(body) = whole else {
            question.body_seen = true;
            self.state = State::AwaitBody(question);
            return Step::Pause;
        };
        let mut id = None;
        let decision = self.judge(endpoint, &mut question, body, &mut id);
        about.id = id.as_ref();
        match decision {
            Err(refusal) => self.refuse(config, &refusal, about, question.origin.as_deref()),
            Ok(permit) => {
                self.record.allowed(&permit);
                let required_scopes = endpoint.required_scopes.clone();
                self.exchange(permit, *question, id, required_scopes, engine, now)
            }
        }
    }

    /// Reads the body and asks the policy. `id` becomes the request's, as soon as it is known.
    fn judge(
        &mut self,
        endpoint: &Endpoint,
        question: &mut Question,
        body: &[u8],
        id: &mut Option<Id>,
    ) -> Result<Permit, Refusal> {
        if question.verb != Verb::Message {
            return endpoint.policy.decide_baseline(&question.caller).map_err(Refusal::Denied);
        }
        let limits = Limits::default();
        let mirrored = question.mirrored.as_ref().map_err(|error| {
            *id = mcp::read_id(body, &limits);
            Refusal::Header(error.clone())
        })?;
        let revision = mirrored.revision();
        let is_in_session = question.session.is_some() && !revision.is_stateless();
        match mcp::parse(body, revision, &limits) {
            Ok(Body::One(operation)) => {
                self.record.operation(&operation);
                id.clone_from(&operation.id);
                mirrored.check(&operation).map_err(Refusal::Header)?;
                question.asks_for_list = List::of(operation.method).is_some();
                endpoint.policy.decide(&question.caller, &operation).map_err(Refusal::Denied)
            }
            Ok(Body::Batch(operations)) => {
                self.record.batch(&operations);
                question.asks_for_list =
                    operations.iter().any(|operation| List::of(operation.method).is_some());
                endpoint.policy.decide_batch(&question.caller, &operations).map_err(Refusal::Denied)
            }
            // A server asks in a session, so it is answered in one.
            Err(BodyError::Response(response)) if is_in_session => {
                self.record.response(response);
                endpoint.policy.decide_response(&question.caller, response).map_err(Refusal::Denied)
            }
            Err(error) => {
                *id = error.id().cloned();
                Err(match error {
                    BodyError::InvalidName { .. } => Refusal::Denied(Denial::nothing(
                        "Access denied: no rule allows an object of this name.".to_owned(),
                    )),
                    error => Refusal::Body(error),
                })
            }
        }
    }

    fn exchange(
        &mut self,
        permit: Permit,
        question: Question,
        id: Option<Id>,
        required_scopes: ScopeSet,
        engine: &mut Engine,
        now: Now,
    ) -> Step {
        let Question { caller, endpoint, stripped, session, origin, asks_for_list, .. } = question;
        let set = session.map(|id| (session::HEADER, id)).into_iter().collect();
        let edits = Edits { remove: stripped, set };
        let reader = Reader { caller, endpoint, asks_for_list, origin };
        let Some(target) = permit.target().map(Rc::clone) else {
            return self.forward(permit, &Credential::WithoutToken, edits, reader);
        };
        let Engine { config, exchanges, .. } = engine;
        let caller = &reader.caller;
        let (key, step) = match exchanges.ask(&config.exchange, caller, &target, self.stream, now) {
            Answer::Delegated(delegated) => {
                self.record.delegated(&target, &delegated, Source::Cached);
                return self.forward(permit, &Credential::Delegation(&delegated), edits, reader);
            }
            Answer::Refused(error) => {
                let about = About { id: id.as_ref(), required_scopes: Some(&required_scopes) };
                let origin = reader.origin.as_deref();
                return self.refuse(config, &Refusal::Exchange(error), about, origin);
            }
            Answer::Wait(key) => (key, Step::Pause),
            Answer::Call(callout) => (callout.key.clone(), Step::Call(callout)),
        };
        let waiting = Waiting { permit, key, id, edits, reader, required_scopes };
        self.state = State::AwaitExchange(Box::new(waiting));
        step
    }

    fn on_exchanged(
        &mut self,
        waiting: Waiting,
        result: Result<&Rc<Delegated>, &ExchangeError>,
        config: &Config,
    ) -> Step {
        let Waiting { permit, id, edits, reader, required_scopes, .. } = waiting;
        match result {
            Ok(delegated) => {
                if let Some(target) = permit.target() {
                    self.record.delegated(target, delegated, Source::Exchanged);
                }
                self.forward(permit, &Credential::Delegation(delegated), edits, reader)
            }
            Err(error) => {
                let about = About { id: id.as_ref(), required_scopes: Some(&required_scopes) };
                let refusal = Refusal::Exchange(error.clone());
                self.refuse(config, &refusal, about, reader.origin.as_deref())
            }
        }
    }

    fn on_tick_for_body(&mut self, question: Box<Question>, engine: &Engine, now: Now) -> Step {
        if self.is_in_time(engine, now) {
            self.state = State::AwaitBody(question);
            return Step::Pause;
        }
        let waited_for = if question.body_seen {
            "the request body did not end in time"
        } else {
            "no request body came: is allow_on_headers_stop_iteration set?"
        };
        let refusal = Refusal::Undecided(waited_for);
        self.refuse(&engine.config, &refusal, About::default(), question.origin.as_deref())
    }

    fn on_tick_for_exchange(
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
        let about = About { id: waiting.id.as_ref(), ..About::default() };
        let refusal = Refusal::Undecided("the token exchange did not end in time");
        self.refuse(&engine.config, &refusal, about, waiting.reader.origin.as_deref())
    }

    fn is_in_time(&self, engine: &Engine, now: Now) -> bool {
        let waited = now.monotonic.saturating_sub(self.started.monotonic);
        waited < engine.config.limits.decision_time.as_std()
    }

    fn on_response(
        &mut self,
        headers: Headers,
        reader: Box<Reader>,
        has_body: bool,
        config: &Config,
    ) -> Step {
        let Some(endpoint) = config.endpoints.get(reader.endpoint) else {
            return self.fail(config);
        };
        self.record.answered(response::status(headers));
        let (path, sessions) = (&endpoint.path, &config.sessions);
        let refusal = match response::head(headers, &reader, path, sessions, has_body) {
            Head::Pass(edits) => {
                self.state = State::Forwarded(reader);
                return Step::Continue(edits);
            }
            Head::Filter(edits, filter) => {
                let is_held = filter.is_prompt();
                let filtering = Filtering { reader: *reader, filter, is_held };
                self.state = State::Filtering(Box::new(filtering));
                return Step::Filter { edits, hold: is_held };
            }
            Head::Unfilterable(error) => Refusal::Unfilterable(error),
            Head::SessionNotBound(error) => Refusal::SessionNotBound(error),
            Head::DelegationRejected => Refusal::DelegationRejected,
        };
        self.refuse(config, &refusal, About::default(), reader.origin.as_deref())
    }

    fn on_response_body(
        &mut self,
        mut filtering: Box<Filtering>,
        chunk: &[u8],
        end_of_stream: bool,
        config: &Config,
    ) -> Step {
        let Filtering { reader, filter, is_held } = &mut *filtering;
        let Some(endpoint) = config.endpoints.get(reader.endpoint) else {
            return self.fail(config);
        };
        let shows =
            |list: List, key: &str| endpoint.policy.shows(&reader.caller, &list.object(key.into()));
        match filter.chunk(chunk, end_of_stream, &shows) {
            Ok(passed) => {
                *is_held = false;
                self.state = State::Filtering(filtering);
                Step::Replace(passed)
            }
            Err(error) if *is_held => {
                let refusal = Refusal::Unfilterable(error);
                self.refuse(config, &refusal, About::default(), reader.origin.as_deref())
            }
            Err(error) => {
                self.record.refused(&Refusal::Unfilterable(error));
                self.state = State::Replied;
                Step::Reset
            }
        }
    }

    fn forward(
        &mut self,
        permit: Permit,
        credential: &Credential,
        edits: Edits,
        reader: Reader,
    ) -> Step {
        self.state = State::Forwarded(Box::new(reader));
        Step::Continue(upstream::forward(permit, credential, edits))
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
}

fn question(
    config: &Config,
    endpoint: &Endpoint,
    caller: Rc<Caller>,
    headers: Headers,
) -> Result<Question, Refusal> {
    let mirrored = MirroredHeaders::read(headers);
    let revision = mirrored.as_ref().ok().map(MirroredHeaders::revision);
    let verb = request::verb(headers, revision).map_err(Refusal::Request)?;
    if verb == Verb::Message {
        let values = |name| headers.all(name).collect::<Vec<_>>();
        mcp::check_content_type(&values("content-type")).map_err(Refusal::Media)?;
        mcp::check_content_encoding(&values("content-encoding")).map_err(Refusal::Media)?;
    }
    if let (Verb::OpenStream | Verb::EndSession, Err(error)) = (verb, &mirrored) {
        return Err(Refusal::Header(error.clone()));
    }
    let binding = Binding::session(&caller, &endpoint.path);
    let session = config.sessions.of_request(binding, headers).map_err(Refusal::Session)?;
    if verb == Verb::OpenStream && session.is_none() && request::resumes(headers) {
        return Err(Refusal::Session(SessionError::Missing));
    }
    let mut stripped = config.strip_request_headers.found(headers);
    stripped.extend(mirrored.iter().flat_map(MirroredHeaders::meaningless));
    let index = config.endpoints.iter().position(|known| std::ptr::eq(known, endpoint));
    Ok(Question {
        endpoint: index.ok_or(Refusal::Failed)?,
        caller,
        verb,
        mirrored,
        stripped,
        session,
        origin: None,
        asks_for_list: false,
        body_seen: false,
    })
}
