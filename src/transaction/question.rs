//! From the first byte to the judgement: who asks, for what, and may they.

use std::rc::Rc;
use std::time::Duration;

use super::keys::{self, NoCaller};
use super::marked::mark;
use super::{Engine, Question, State, Step, Transaction};
use crate::answer::{About, Refusal, metadata, preflight};
use crate::clock::Now;
use crate::config::{Config, Endpoint};
use crate::json::Limits;
use crate::mcp::{self, Body, BodyError, Id, List, MirroredHeaders, Object, Operation, Revision};
use crate::policy::{Denial, Permit, Remedy};
use crate::request::{self, Headers, Intake, RequestError, Verb};
use crate::session::{self, Binding, Purpose, SessionError};
use crate::task::{Claim, Owner, Tasks, splice};
use crate::token::Caller;
use crate::upstream::Edits;

/// Fifty years after the Unix epoch: a clock that says less was never set.
const CLOCK_IS_SET: Duration = Duration::from_hours(50 * 365 * 24);

impl Transaction {
    pub(super) fn on_headers(
        &mut self,
        headers: Headers,
        end_of_stream: bool,
        engine: &mut Engine,
        now: Now,
    ) -> Step {
        let body = if end_of_stream { keys::Body::Whole(0) } else { keys::Body::Unseen };
        match self.identify(headers, Some(body), engine, now) {
            Err(step) => step,
            Ok(question) if end_of_stream => self.on_body(question, 0, Some(b""), engine, now),
            Ok(question) => {
                self.state = State::AwaitBody(question);
                Step::Pause
            }
        }
    }

    /// Finds out from the headers who asks, and at which endpoint. Else says what to do.
    ///
    /// With `body`, the request may still wait for its issuer's keys; it is what comes after the
    /// headers then.
    pub(super) fn identify(
        &mut self,
        headers: Headers,
        body: Option<keys::Body>,
        engine: &mut Engine,
        now: Now,
    ) -> Result<Box<Question>, Step> {
        let Engine { config, callers, fetches, .. } = engine;
        let config = &*config;
        let origin = request::allowed_origin(config, headers).map(str::to_owned);
        self.record.request(
            headers.first("x-request-id"),
            headers.first(":method").unwrap_or_default(),
            headers.first(":path").unwrap_or_default(),
        );
        let endpoint = match request::classify(config, headers) {
            Ok(Intake::Ignored) => {
                self.state = State::Ignored;
                return Err(Step::Continue(Edits::default()));
            }
            Ok(Intake::Metadata(document)) => return Err(self.serve(metadata(document))),
            Ok(Intake::Preflight) => {
                let asked = request::asked_headers(headers);
                return Err(self.serve(preflight(origin.as_deref(), asked)));
            }
            Ok(Intake::Endpoint(endpoint)) => endpoint,
            Err(error) => {
                return Err(self.refuse(config, &Refusal::Request(error), About::default(), None));
            }
        };
        let about = About { id: None, required_scopes: Some(&endpoint.required_scopes) };
        if now.unix < CLOCK_IS_SET {
            // No token can be judged, so none is called bad.
            let refusal = Refusal::Undecided("the clock is not set");
            return Err(self.refuse(config, &refusal, about, origin.as_deref()));
        }
        let caller = request::bearer(headers)
            .map_err(|error| NoCaller::Refused(Refusal::Request(error)))
            .and_then(|token| {
                keys::verify(token, config, callers, fetches, body.is_some(), now)
                    .inspect_err(|_| self.record.rejected(token))
            });
        let question = match (caller, body) {
            (Err(NoCaller::AwaitsKeys(place)), Some(body)) => {
                return Err(self.await_keys(place, body, origin));
            }
            (Err(NoCaller::AwaitsKeys(_)), None) => Err(Refusal::KeysUnavailable),
            (Err(NoCaller::Refused(refusal)), _) => Err(refusal),
            (Ok(caller), _) => {
                self.record.caller(&caller);
                question(config, endpoint, caller, headers)
            }
        };
        match question {
            Ok(question) => Ok(Box::new(Question { origin, ..question })),
            Err(refusal) => Err(self.refuse(config, &refusal, about, origin.as_deref())),
        }
    }

    pub(super) fn on_body(
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
        let decision = self.judge(engine, endpoint, &mut question, body, &mut id, now);
        about.id = id.as_ref();
        match decision {
            Err(refusal) => self.refuse(config, &refusal, about, question.origin.as_deref()),
            Ok(permit) => {
                self.record.allowed(&permit);
                self.exchange(permit, *question, id, engine, now)
            }
        }
    }

    /// Reads the body and asks the policy. `id` becomes the request's, as soon as it is known.
    fn judge(
        &mut self,
        engine: &Engine,
        endpoint: &Endpoint,
        question: &mut Question,
        body: &[u8],
        id: &mut Option<Id>,
        now: Now,
    ) -> Result<Permit, Refusal> {
        let Engine { config, marked, .. } = engine;
        let (policy, caller) = (&endpoint.policy, &question.caller);
        match question.verb {
            Verb::Message => {}
            Verb::OpenStream => {
                return policy.decide_stream(caller, now).map_err(Refusal::Denied);
            }
            Verb::EndSession => {
                return policy.decide_baseline(caller, now).map_err(Refusal::Denied);
            }
        }
        let limits = Limits::default();
        let mut misled = |error| {
            *id = mcp::read_id(body, &limits);
            Refusal::Header(error)
        };
        let mirrored = question.mirrored.as_ref().map_err(|error| misled(error.clone()))?;
        let revision = mirrored.revision();
        let is_in_session = question.session.is_some();
        let longest = config.limits.body_bytes;
        let mut parsed = mcp::parse(body, revision, &limits);
        let one = parsed.as_ref().ok().and_then(Body::one);
        mirrored.check_revision(one, &endpoint.revisions).map_err(misled)?;
        if let Ok(parsed) = &mut parsed {
            let wanted = |operation: &Operation| policy.reads_arguments(operation);
            mcp::read_arguments(body, parsed, wanted).map_err(|_| Refusal::Failed)?;
        }
        let owner = Owner::new(&config.sessions, caller, &endpoint.path);
        match parsed {
            Ok(Body::One(mut operation)) => {
                self.record.operation(&operation);
                id.clone_from(&operation.id);
                mirrored.check(&operation).map_err(Refusal::Header)?;
                if !is_in_session && operation.method.tells_of_a_request() {
                    return Err(Refusal::OfNoSession);
                }
                if let Some(offer) = &operation.offers {
                    question.edits.body = offer.replaced(body, &endpoint.revisions);
                }
                let claims = owner.claim(&mut operation).map_err(Refusal::Task)?;
                if !claims.is_empty() {
                    self.record.operation(&operation);
                    let is_mirrored = revision.is_stateless();
                    name_tasks(&mut question.edits, body, &operation, &claims, is_mirrored);
                }
                question.is_filtered = List::of(operation.method).is_some()
                    || operation.takes_task
                    || !claims.is_empty();
                let permit = policy.decide(caller, &operation, now).map_err(Refusal::Denied)?;
                if permit.redaction().is_some() && operation.related_task.is_some() {
                    // Some servers send what they tell of it in that task's stream, by whose rule it is
                    // redacted.
                    let message = "Access denied: what is redacted cannot belong to another task.";
                    let denial = Denial::nothing("redacted_in_task", message);
                    let rule = Some(Rc::clone(permit.rule()));
                    return Err(Refusal::Denied(Denial { rule, ..denial }));
                }
                question.tasks = Tasks::of(&operation, claims, &permit);
                if is_in_session {
                    mark(marked, question, &[operation], &permit, body, longest)?;
                }
                Ok(permit)
            }
            Ok(Body::Batch(operations)) => {
                self.record.batch(&operations);
                let tells = |operation: &Operation| operation.method.tells_of_a_request();
                if !is_in_session && operations.iter().any(tells) {
                    let message = "Access denied: this batch tells of requests in no session.";
                    let denial = Denial::nothing("no_session", message);
                    let remedy = Remedy::NothingByStatus;
                    return Err(Refusal::Denied(Denial { remedy, ..denial }));
                }
                question.is_filtered =
                    operations.iter().any(|operation| List::of(operation.method).is_some());
                let permit =
                    policy.decide_batch(caller, &operations, now).map_err(Refusal::Denied)?;
                if is_in_session {
                    mark(marked, question, &operations, &permit, body, longest)?;
                }
                Ok(permit)
            }
            // A server asks in a session, so it is answered in one.
            Err(BodyError::Response { response, related_task }) if is_in_session => {
                self.record.response(response);
                if let Some(mut task) = related_task {
                    let claim = owner.claim_one(&mut task).map_err(Refusal::Task)?;
                    question.edits.body = Some(splice(body, &[claim]));
                }
                policy.decide_response(caller, response, now).map_err(|denial| {
                    match denial.remedy {
                        Remedy::Nothing => Refusal::ResponseDenied(denial),
                        _ => Refusal::Denied(denial),
                    }
                })
            }
            Err(error) => {
                *id = error.id().cloned();
                Err(match error {
                    BodyError::UnknownMethod { .. } if is_in_session => {
                        Refusal::UnknownMethod(error)
                    }
                    error => Refusal::of_body(error),
                })
            }
        }
    }

    pub(super) fn on_tick_for_body(
        &mut self,
        question: Box<Question>,
        engine: &Engine,
        now: Now,
    ) -> Step {
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
}

/// Names tasks by the MCP server's ids in place of the client's.
fn name_tasks(
    edits: &mut Edits,
    body: &[u8],
    operation: &Operation,
    claims: &[Claim],
    is_mirrored: bool,
) {
    let body = edits.body.as_deref().unwrap_or(body);
    edits.body = Some(splice(body, claims));
    if let (true, Some(Object::Task(_)), [task, ..]) = (is_mirrored, &operation.object, claims) {
        edits.set.push(("mcp-name", mcp::encode_name(&task.id)));
    }
}

fn question(
    config: &Config,
    endpoint: &Endpoint,
    caller: Rc<Caller>,
    headers: Headers,
) -> Result<Question, Refusal> {
    let mirrored = MirroredHeaders::read(headers, &endpoint.revisions);
    let revision = mirrored.as_ref().ok().map(MirroredHeaders::revision);
    let verb = request::verb(headers, revision, &endpoint.revisions).map_err(Refusal::Request)?;
    if verb == Verb::Message {
        let values = |name| headers.all(name).collect::<Vec<_>>();
        mcp::check_content_type(&values("content-type")).map_err(Refusal::Media)?;
        mcp::check_content_encoding(&values("content-encoding")).map_err(Refusal::Media)?;
    }
    if verb != Verb::Message {
        let mirrored = mirrored.as_ref().map_err(Clone::clone);
        let served = &endpoint.revisions;
        mirrored.and_then(|one| one.check_revision(None, served)).map_err(Refusal::Header)?;
    }
    let binding = Binding::new(Purpose::Session, &caller, &endpoint.path);
    let session = match config.sessions.of_request(binding, headers) {
        _ if revision.is_some_and(Revision::is_stateless) => None,
        session => session.map_err(Refusal::Session)?,
    };
    if verb == Verb::OpenStream && session.is_none() && request::resumes(headers) {
        return Err(Refusal::Session(SessionError::Missing));
    }
    let mut stripped = config.strip_request_headers.found(headers);
    stripped.extend(mirrored.iter().flat_map(|mirrored| mirrored.meaningless(headers)));
    let index = config.endpoints.iter().position(|known| std::ptr::eq(known, endpoint));
    let set = session.clone().map(|id| (session::HEADER, id)).into_iter().collect();
    Ok(Question {
        endpoint: index.ok_or(Refusal::Failed)?,
        caller,
        verb,
        mirrored,
        edits: Edits { remove: stripped, set, body: None },
        session,
        origin: None,
        is_filtered: false,
        tasks: Tasks::default(),
        body_seen: false,
    })
}
