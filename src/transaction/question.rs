//! From the first byte to the judgement: who asks, for what, and may they.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::slice;
use std::time::Duration;

use super::keys::{self, NoCaller, ShownBody};
use super::{Engine, State, Step, Transaction};
use crate::answer::{About, Refusal, metadata, preflight};
use crate::clock::Now;
use crate::config::{Config, Endpoint};
use crate::mcp::{
    self, Body, BodyError, HeaderError, Id, List, MirroredHeaders, Object, Operation, Response,
    Revision, Task,
};
use crate::policy::{Denial, Permit, Remedy};
use crate::request::{self, Headers, Intake, RequestError, Verb};
use crate::response::Reader;
use crate::session::{self, Binding, Purpose, SessionError};
use crate::task::{Owner, Tasks, splice};
use crate::token::Caller;
use crate::upstream::Edits;

/// Fifty years after the Unix epoch: a clock that says less was never set.
const CLOCK_IS_SET: Duration = Duration::from_hours(50 * 365 * 24);

/// A request to an endpoint by a known caller: what its headers told.
#[derive(Debug)]
pub(super) struct Question {
    endpoint: Rc<Endpoint>,
    caller: Rc<Caller>,
    verb: Verb,
    /// An error in them waits for the body, which has the id that the answer repeats.
    mirrored: Result<MirroredHeaders, HeaderError>,
    /// Header changes so far, among them the unsealed session id.
    edits: Edits,
    /// The unsealed session id, if the request names a session and its revision has them.
    session: Option<String>,
    /// The allowed origin of the page that asks, if any.
    origin: Option<String>,
}

/// What came of a request that is whole.
struct Judged {
    /// The id that the answer repeats, as far as it is known.
    id: Option<Id>,
    result: Result<Ready, Refusal>,
}

/// What a permitted request goes up with, beyond what its headers told, and what its answer is due.
struct Ready {
    permit: Permit,
    /// The changes that its body calls for.
    edits: Edits,
    /// Whether the answer is due to hold a list, or to name a task.
    is_filtered: bool,
    /// The tasks that the answer may name.
    tasks: Tasks,
}

impl Ready {
    /// It goes up as it came, and so does its answer come back, but for what the permit says.
    fn as_it_is(permit: Permit) -> Self {
        Self { permit, edits: Edits::default(), is_filtered: false, tasks: Tasks::default() }
    }
}

impl Transaction {
    pub(super) fn on_headers(
        &mut self,
        headers: Headers,
        end_of_stream: bool,
        engine: &mut Engine,
        now: Now,
    ) -> Step {
        let shown = if end_of_stream { ShownBody::Whole(0) } else { ShownBody::Nothing };
        match self.identify(headers, shown, true, engine, now) {
            ControlFlow::Break(step) => step,
            ControlFlow::Continue(question) => self.on_shown(question, shown, b"", engine, now),
        }
    }

    /// Finds out from the headers who asks, and at which endpoint. Breaks off with what to do where that
    /// is all: nobody is known to ask, or nothing is asked of an endpoint.
    ///
    /// If it `may_wait`, it can wait for its issuer's keys; `shown` is what is there of its body then.
    pub(super) fn identify(
        &mut self,
        headers: Headers,
        shown: ShownBody,
        may_wait: bool,
        engine: &mut Engine,
        now: Now,
    ) -> ControlFlow<Step, Box<Question>> {
        let Engine { config, callers, fetches, .. } = engine;
        let config = &*config;
        self.record.request(
            headers.first("x-request-id"),
            headers.first(":method").unwrap_or_default(),
            headers.first(":path").unwrap_or_default(),
        );
        let origin = request::allowed_origin(config, headers).map(str::to_owned);
        let endpoint = self.find_endpoint(headers, origin.as_deref(), config)?;
        let caller = if now.unix < CLOCK_IS_SET {
            // No token can be judged, so none is called bad.
            Err(NoCaller::Refused(Refusal::Undecided("the clock is not set")))
        } else {
            let token = request::bearer(headers);
            let token = token.map_err(|error| NoCaller::Refused(Refusal::Request(error)));
            token.and_then(|token| {
                keys::verify(token, config, callers, fetches, may_wait, now)
                    .and_then(|caller| keys::check_endpoint(caller, &endpoint))
                    .inspect_err(|_| self.record.rejected(token))
            })
        };
        let question = match caller {
            Err(NoCaller::AwaitsKeys(place)) => {
                return ControlFlow::Break(self.await_keys(place, shown, origin));
            }
            Err(NoCaller::Refused(refusal)) => Err(refusal),
            Ok(caller) => {
                self.record.caller(&caller);
                Question::read(headers, Rc::clone(&endpoint), caller, origin.clone(), config)
            }
        };
        match question {
            Ok(question) => ControlFlow::Continue(Box::new(question)),
            Err(refusal) => {
                let about = About { id: None, endpoint: Some(&endpoint) };
                ControlFlow::Break(self.refuse(config, &refusal, about, origin.as_deref()))
            }
        }
    }

    /// The endpoint of which something is asked. Breaks off where it is none.
    fn find_endpoint(
        &mut self,
        headers: Headers,
        origin: Option<&str>,
        config: &Config,
    ) -> ControlFlow<Step, Rc<Endpoint>> {
        let step = match request::classify(config, headers) {
            Ok(Intake::Endpoint(endpoint)) => return ControlFlow::Continue(Rc::clone(endpoint)),
            Ok(Intake::Ignored) => {
                self.state = State::Ignored;
                Step::Continue(Edits::default())
            }
            Ok(Intake::Metadata(document)) => self.serve(metadata(document)),
            Ok(Intake::Preflight) => self.serve(preflight(origin, request::asked_headers(headers))),
            Err(error) => self.refuse(config, &Refusal::Request(error), About::default(), None),
        };
        ControlFlow::Break(step)
    }

    /// Goes on with what is there of the body: `shown` is how much that is, by what the host has told.
    pub(super) fn on_shown(
        &mut self,
        question: Box<Question>,
        shown: ShownBody,
        body: &[u8],
        engine: &mut Engine,
        now: Now,
    ) -> Step {
        match shown {
            ShownBody::Nothing => {
                self.state = State::AwaitBody { question, is_body_seen: false };
                Step::Pause
            }
            ShownBody::Part(length) => self.on_body(question, length, None, engine, now),
            ShownBody::Whole(length) if length == body.len() => {
                self.on_body(question, length, Some(body), engine, now)
            }
            // What is judged must be what goes up.
            ShownBody::Whole(_) => self.fail(&engine.config),
        }
    }

    pub(super) fn on_body(
        &mut self,
        question: Box<Question>,
        length: usize,
        whole: Option<&[u8]>,
        engine: &mut Engine,
        now: Now,
    ) -> Step {
        let limit = match question.verb {
            Verb::Message => engine.config.limits.body_bytes,
            Verb::OpenStream | Verb::EndSession => 0,
        };
        if length > limit {
            let refusal = match question.verb {
                Verb::Message => Refusal::TooLarge,
                _ => Refusal::Request(RequestError::UnexpectedBody),
            };
            return self.refuse_question(&question, &refusal, None, &engine.config);
        }
        let Some(body) = whole else {
            self.state = State::AwaitBody { question, is_body_seen: true };
            return Step::Pause;
        };
        let Judged { id, result } = self.judge(&question, body, engine, now);
        match result {
            Ok(Ready { permit, edits, is_filtered, tasks }) => {
                self.record.allowed(&permit);
                let is_stateless = question.is_stateless();
                let Question { endpoint, caller, verb, origin, edits: first, .. } = *question;
                let redaction = permit.redaction().map(Rc::clone);
                let opens_stream = verb == Verb::OpenStream;
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
                self.exchange(permit, first.followed_by(edits), reader, engine, now)
            }
            Err(refusal) => self.refuse_question(&question, &refusal, id.as_ref(), &engine.config),
        }
    }

    /// Judges a request that is whole: a message by what its body holds, another by its verb.
    fn judge(&mut self, question: &Question, body: &[u8], engine: &Engine, now: Now) -> Judged {
        let Question { endpoint, caller, .. } = question;
        let decision = match question.verb {
            Verb::Message => return self.judge_message(question, body, engine, now),
            Verb::OpenStream => endpoint.policy.decide_stream(caller, now),
            Verb::EndSession => endpoint.policy.decide_baseline(caller, now),
        };
        Judged { id: None, result: decision.map(Ready::as_it_is).map_err(Refusal::Denied) }
    }

    /// Reads the body by the rules of its revision, and judges what it is: a request or notification, a
    /// batch of them, or a response.
    fn judge_message(
        &mut self,
        question: &Question,
        body: &[u8],
        engine: &Engine,
        now: Now,
    ) -> Judged {
        let misled = |error| {
            let result = Err(Refusal::Header(error));
            Judged { id: mcp::read_id(body), result }
        };
        let mirrored = match &question.mirrored {
            Ok(mirrored) => mirrored,
            Err(error) => return misled(error.clone()),
        };
        let policy = &question.endpoint.policy;
        let wanted = |operation: &Operation| policy.reads_arguments(operation);
        let read = mcp::read(body, mirrored.revision(), wanted);
        let one = read.as_ref().ok().and_then(Body::one);
        if let Err(error) = mirrored.check_revision(one, &question.endpoint.revisions) {
            return misled(error);
        }
        match read {
            Ok(Body::One(mut operation)) => {
                let result = question.judge_one(mirrored, &mut operation, body, engine, now);
                // By now a task of the caller's has told of its tool.
                self.record.operation(&operation);
                Judged { id: operation.id, result }
            }
            Ok(Body::Batch(operations)) => {
                self.record.batch(&operations);
                Judged { id: None, result: question.judge_batch(&operations, body, engine, now) }
            }
            // A server asks in a session, so it is answered in one.
            Err(BodyError::Response { response, related_task }) if question.session.is_some() => {
                self.record.response(response);
                let result = question.judge_response(response, related_task, body, engine, now);
                Judged { id: None, result }
            }
            Err(error) => {
                let id = error.id().cloned();
                let refusal = match error {
                    BodyError::UnknownMethod { .. } if question.session.is_some() => {
                        Refusal::UnknownMethod(error)
                    }
                    error => Refusal::of_body(error),
                };
                Judged { id, result: Err(refusal) }
            }
        }
    }

    pub(super) fn on_tick_for_body(
        &mut self,
        question: Box<Question>,
        is_body_seen: bool,
        engine: &Engine,
        now: Now,
    ) -> Step {
        if self.is_in_time(engine, now) {
            self.state = State::AwaitBody { question, is_body_seen };
            return Step::Pause;
        }
        let waited_for = if is_body_seen {
            "the request body did not end in time"
        } else {
            "no request body came: is allow_on_headers_stop_iteration set?"
        };
        self.refuse_question(&question, &Refusal::Undecided(waited_for), None, &engine.config)
    }

    fn refuse_question(
        &mut self,
        question: &Question,
        refusal: &Refusal,
        id: Option<&Id>,
        config: &Config,
    ) -> Step {
        let about = About { id, endpoint: Some(&question.endpoint) };
        self.refuse(config, refusal, about, question.origin.as_deref())
    }
}

impl Question {
    /// Reads what the headers tell beyond who asks, and of which endpoint.
    fn read(
        headers: Headers,
        endpoint: Rc<Endpoint>,
        caller: Rc<Caller>,
        origin: Option<String>,
        config: &Config,
    ) -> Result<Self, Refusal> {
        let mirrored = MirroredHeaders::read(headers, &endpoint.revisions);
        let revision = mirrored.as_ref().ok().map(MirroredHeaders::revision);
        let served = &endpoint.revisions;
        let verb = request::verb(headers, revision, served).map_err(Refusal::Request)?;
        if verb == Verb::Message {
            let values = |name| headers.all(name).collect::<Vec<_>>();
            mcp::check_content_type(&values("content-type")).map_err(Refusal::Media)?;
            mcp::check_content_encoding(&values("content-encoding")).map_err(Refusal::Media)?;
        } else {
            let mirrored = mirrored.as_ref().map_err(Clone::clone);
            mirrored.and_then(|one| one.check_revision(None, served)).map_err(Refusal::Header)?;
        }
        let session = if revision.is_some_and(Revision::is_stateless) {
            None
        } else {
            let binding = Binding::new(Purpose::Session, &caller, &endpoint.path);
            config.sessions.of_request(binding, headers).map_err(Refusal::Session)?
        };
        if verb == Verb::OpenStream && session.is_none() && request::resumes(headers) {
            return Err(Refusal::Session(SessionError::Missing));
        }
        let mut remove = config.strip_request_headers.found(headers);
        remove.extend(mirrored.iter().flat_map(|mirrored| mirrored.meaningless(headers)));
        let set = session.clone().map(|id| (session::HEADER, id)).into_iter().collect();
        let edits = Edits { remove, set, body: None };
        Ok(Self { endpoint, caller, verb, mirrored, edits, session, origin })
    }

    /// Whether it is of a revision without sessions.
    fn is_stateless(&self) -> bool {
        self.mirrored.as_ref().is_ok_and(|mirrored| mirrored.revision().is_stateless())
    }

    /// Judges one request or notification. A task that it names, and that is the caller's, gets its
    /// origin.
    fn judge_one(
        &self,
        mirrored: &MirroredHeaders,
        operation: &mut Operation,
        body: &[u8],
        engine: &Engine,
        now: Now,
    ) -> Result<Ready, Refusal> {
        let Self { endpoint, caller, .. } = self;
        mirrored.check(operation).map_err(Refusal::Header)?;
        if self.session.is_none() && operation.method.tells_of_a_request() {
            return Err(Refusal::OfNoSession);
        }
        let owner = Owner::new(&engine.config.sessions, caller, &endpoint.path);
        let claims = owner.claim(operation).map_err(Refusal::Task)?;
        let permit = endpoint.policy.decide(caller, operation, now).map_err(Refusal::Denied)?;
        if permit.redaction().is_some() && operation.related_task.is_some() {
            // Some servers send what they tell of it in that task's stream, by whose rule it is redacted.
            let message = "Access denied: what is redacted cannot belong to another task.";
            let denial = Denial::nothing("redacted_in_task", message);
            let rule = Some(Rc::clone(permit.rule()));
            return Err(Refusal::Denied(Denial { rule, ..denial }));
        }
        // What is served in place of what `initialize` offers, of the same length.
        let offered = operation.offers.as_ref();
        let offered = offered.and_then(|offer| offer.replaced(body, &endpoint.revisions));
        // The MCP server's ids of tasks in place of the client's.
        let named = (!claims.is_empty())
            .then(|| splice(offered.as_deref().unwrap_or(body), &claims))
            .or(offered);
        let set = match (&operation.object, &*claims) {
            (Some(Object::Task(_)), [task, ..]) if self.is_stateless() => {
                vec![("mcp-name", mcp::encode_name(&task.id))]
            }
            _ => Vec::new(),
        };
        let operations = slice::from_ref(&*operation);
        let marked = self.mark(operations, &permit, named.as_deref().unwrap_or(body), engine)?;
        Ok(Ready {
            edits: Edits { set, body: marked.or(named), ..Edits::default() },
            is_filtered: List::of(operation.method).is_some()
                || operation.takes_task
                || !claims.is_empty(),
            tasks: Tasks::of(operation, claims, &permit),
            permit,
        })
    }

    /// Judges the messages of a batch.
    fn judge_batch(
        &self,
        operations: &[Operation],
        body: &[u8],
        engine: &Engine,
        now: Now,
    ) -> Result<Ready, Refusal> {
        let tells = |operation: &Operation| operation.method.tells_of_a_request();
        if self.session.is_none() && operations.iter().any(tells) {
            let message = "Access denied: this batch tells of requests in no session.";
            let denial = Denial::nothing("no_session", message);
            return Err(Refusal::Denied(Denial { remedy: Remedy::NothingByStatus, ..denial }));
        }
        let permit = self.endpoint.policy.decide_batch(&self.caller, operations, now);
        let permit = permit.map_err(Refusal::Denied)?;
        let body = self.mark(operations, &permit, body, engine)?;
        let is_list = |operation: &Operation| List::of(operation.method).is_some();
        Ok(Ready {
            edits: Edits { body, ..Edits::default() },
            is_filtered: operations.iter().any(is_list),
            ..Ready::as_it_is(permit)
        })
    }

    /// Judges a response to a request of the server's, and names the task that it belongs to as the
    /// MCP server knows it.
    fn judge_response(
        &self,
        response: Response,
        related_task: Option<Task>,
        body: &[u8],
        engine: &Engine,
        now: Now,
    ) -> Result<Ready, Refusal> {
        let Self { endpoint, caller, .. } = self;
        let decision = endpoint.policy.decide_response(caller, response, now);
        let permit = decision.map_err(|denial| match denial.remedy {
            Remedy::Nothing => Refusal::ResponseDenied(denial),
            _ => Refusal::Denied(denial),
        })?;
        let owner = Owner::new(&engine.config.sessions, caller, &endpoint.path);
        let claim = related_task.map(|mut task| owner.claim_one(&mut task));
        let claim = claim.transpose().map_err(Refusal::Task)?;
        let body = claim.map(|claim| splice(body, &[claim]));
        Ok(Ready { edits: Edits { body, ..Edits::default() }, ..Ready::as_it_is(permit) })
    }

    /// The body with marks on the ids of requests, if the session's MCP server is to know them so.
    fn mark(
        &self,
        operations: &[Operation],
        permit: &Permit,
        body: &[u8],
        engine: &Engine,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(session) = &self.session else { return Ok(None) };
        let longest = engine.config.limits.body_bytes;
        engine.marked.mark(session, operations, permit, body, longest)
    }
}
