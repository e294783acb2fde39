//! The adapter: Envoy's callbacks in, [`Event`]s to the [`Transaction`]s, their [`Step`]s out as
//! host calls. It and its parts alone name `proxy_wasm`, and they decide nothing.
//!
//! A step is carried out in one of two ways. In a callback of its own stream, it is what the callback
//! returns that lets the stream go on or holds it ([`Stream::carry_out`]). A stream that waits has no
//! callback: when a callout's answer or the time brings it a step, in a callback of another context,
//! Envoy is told first which stream is meant, and then to resume it ([`resume`]).

mod clock;
mod host_calls;
mod shared_data;
mod signer;
pub mod verifier;
mod worker;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel, MapType, MetricType};

use crate::answer::LocalReply;
use crate::config::Config;
use crate::exchange::reply::CalloutReply;
use crate::host::Host;
use crate::request::{Headers, header_map};
use crate::response::Held;
use crate::token::FetchReply;
use crate::transaction::{Engine, Event, Step, Transaction};
use crate::upstream::Edits;
use shared_data::HostData;
use signer::EnvoySigner;
use worker::{Awaited, Worker};

// The macro exports `_initialize`, which the proxy-wasm ABI calls once in each VM.
#[allow(unsafe_code, missing_docs)]
mod start {
    proxy_wasm::main! {{
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
        proxy_wasm::set_root_context(|id| Box::new(super::Root { id, worker: None }));
    }}
}

/// More than any buffer holds: all of it.
const ALL: usize = i32::MAX as usize;

thread_local! {
    /// What this virtual machine holds of responses, under whichever configuration they began.
    static HELD: Held = Held::default();
    /// The host's number for the counter of what rules in shadow would have denied. It gives another
    /// one whenever it is asked.
    static SHADOW_DENIALS: Option<u32> =
        hostcalls::define_metric(MetricType::Counter, "mcp_deputy.shadow_denials").ok();
}

type Shared = Rc<RefCell<Worker>>;

/// One configuration push.
struct Root {
    id: u32,
    worker: Option<Shared>,
}

impl Context for Root {
    fn on_done(&mut self) -> bool {
        // Else Envoy's timer outlives the push, and there is one more after each.
        let _ = hostcalls::set_tick_period(Duration::ZERO);
        true
    }

    fn on_http_call_response(&mut self, token: u32, _: usize, _: usize, _: usize) {
        if let Some(worker) = &self.worker {
            on_callout_reply(worker, token);
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, ALL);
        let text = text.ok().flatten().unwrap_or_default();
        let config = match Config::parse(&text, &|name| std::env::var(name).ok()) {
            Ok(config) => config,
            Err(errors) => {
                for error in &errors.0 {
                    log::error!("configuration refused: {error}");
                }
                return false;
            }
        };
        for warning in &config.warnings {
            log::warn!("configuration: {warning}");
        }
        let Some(shadow_denials) = SHADOW_DENIALS.with(Option::clone) else { return false };
        let Some(verifier) = verifier::verifier() else { return false };
        let host = Host {
            verifier,
            signer: Rc::new(EnvoySigner),
            shared_data: Rc::new(HostData),
            held: HELD.with(Held::clone),
        };
        if !config.exchange.can_sign(&*host.signer) {
            log::error!(
                "configuration refused: exchange.client_authentication.private_key_jwt: Envoy \
                 cannot sign by this key; help: it takes an RSA key of at least 2048 bits in PEM, \
                 from Envoy 1.37 on"
            );
            return false;
        }
        let worker = Worker::new(Engine::new(config, host), self.id, shadow_denials);
        let policy_hash = &worker.engine.config.policy_hash;
        // In pages of 64 KiB; it never shrinks.
        let memory = core::arch::wasm32::memory_size::<0>().saturating_mul(64);
        log::info!("configuration accepted, policy hash {policy_hash}, {memory} KiB of memory");
        self.worker = Some(Rc::new(RefCell::new(worker)));
        true
    }

    fn on_tick(&mut self) {
        let Some(shared) = &self.worker else { return };
        let steps = shared.borrow_mut().on_tick();
        resume(shared, steps);
    }

    fn create_http_context(&self, stream: u32) -> Option<Box<dyn HttpContext>> {
        if let Some(worker) = &self.worker {
            let worker = &mut *worker.borrow_mut();
            let transaction = Transaction::new(stream, worker.now());
            worker.transactions.insert(stream, transaction);
        }
        Some(Box::new(Stream { id: stream, worker: self.worker.clone(), filters: false }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One HTTP stream.
struct Stream {
    id: u32,
    worker: Option<Shared>,
    /// Whether the response's body is to be filtered.
    filters: bool,
}

impl Stream {
    fn deliver(&self, event: Event) -> Step {
        match &self.worker {
            Some(worker) => worker.borrow_mut().deliver(self.id, event),
            // No configuration was ever accepted: nothing is decided, so nothing passes.
            None => Step::Reply(LocalReply { status: 503, headers: vec![], body: vec![] }),
        }
    }

    /// Carries out a step inside a callback of its own stream.
    fn carry_out(&self, step: Step, map: MapType) -> Action {
        match step {
            Step::Continue(edits) => {
                edit(map, &edits);
                Action::Continue
            }
            // Nobody is told to give a request again while it comes.
            Step::Pause | Step::Reread => Action::Pause,
            Step::Reply(reply) => {
                send(&reply);
                Action::Pause
            }
            Step::Reset => {
                reset();
                Action::Pause
            }
            Step::Call(callout) => {
                let steps =
                    self.worker.as_ref().map(|worker| worker.borrow_mut().call(self.id, &callout));
                let mut action = Action::Pause;
                for (stream, step) in steps.into_iter().flatten() {
                    if stream == self.id {
                        action = self.carry_out(step, map);
                    } else if let Some(worker) = &self.worker {
                        resume(worker, vec![(stream, step)]);
                        let _ = hostcalls::set_effective_context(self.id);
                    }
                }
                action
            }
            Step::Filter { edits, hold } => {
                edit(map, &edits);
                if hold { Action::Pause } else { Action::Continue }
            }
            Step::Replace(chunk) => {
                // Never paused here: Envoy fails when it must grow a body that it holds.
                let _ = hostcalls::set_buffer(BufferType::HttpResponseBody, 0, ALL, &chunk);
                Action::Continue
            }
        }
    }

    /// No trailer has a meaning in MCP.
    fn drop_trailers(&self, map: MapType) {
        let ignored = self.worker.as_ref().is_some_and(|worker| {
            worker.borrow().transactions.get(&self.id).is_some_and(Transaction::is_ignored)
        });
        if !ignored {
            let _ = hostcalls::set_map_bytes(map, vec![]);
        }
    }

    fn on_body(&self, length: usize, end: bool) -> Action {
        let whole = if end { buffer(BufferType::HttpRequestBody) } else { Vec::new() };
        let length = length.max(whole.len());
        let step = self.deliver(Event::RequestBody { length, whole: end.then_some(&whole) });
        self.carry_out(step, MapType::HttpRequestHeaders)
    }
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        // For HTTP/3, Envoy calls no filter to log.
        self.close();
        true
    }

    fn on_http_call_response(&mut self, token: u32, _: usize, _: usize, _: usize) {
        if let Some(worker) = &self.worker {
            on_callout_reply(worker, token);
        }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let step = with_headers(MapType::HttpRequestHeaders, |headers| {
            self.deliver(Event::RequestHeaders { headers, end_of_stream })
        });
        self.carry_out(step, MapType::HttpRequestHeaders)
    }

    fn on_http_request_body(&mut self, length: usize, end_of_stream: bool) -> Action {
        self.on_body(length, end_of_stream)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        // One could be taken for identity upstream.
        self.drop_trailers(MapType::HttpRequestTrailers);
        self.on_body(0, true)
    }

    fn on_http_response_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let step = with_headers(MapType::HttpResponseHeaders, |headers| {
            let from_server = is_from_server(headers);
            self.deliver(Event::ResponseHeaders { headers, from_server, end_of_stream })
        });
        self.filters = matches!(step, Step::Filter { .. });
        self.carry_out(step, MapType::HttpResponseHeaders)
    }

    fn on_http_response_body(&mut self, length: usize, end_of_stream: bool) -> Action {
        if !self.filters {
            return Action::Continue;
        }
        let chunk = buffer(BufferType::HttpResponseBody);
        if chunk.len() != length {
            // What cannot be read must not pass.
            return self.carry_out(Step::Reset, MapType::HttpResponseHeaders);
        }
        let step = self.deliver(Event::ResponseBody { chunk: &chunk, end_of_stream });
        match step {
            Step::Replace(passed) if passed == chunk => Action::Continue,
            step => self.carry_out(step, MapType::HttpResponseHeaders),
        }
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        // In one, a server could speak to the client past this filter.
        self.drop_trailers(MapType::HttpResponseTrailers);
        if !self.filters {
            return Action::Continue;
        }
        // The end of a body before trailers is not told otherwise. Nothing is left to pass then.
        match self.deliver(Event::ResponseBody { chunk: b"", end_of_stream: true }) {
            Step::Replace(_) => Action::Continue,
            step => self.carry_out(step, MapType::HttpResponseHeaders),
        }
    }

    fn on_log(&mut self) {
        self.close();
    }
}

impl Stream {
    /// Writes the record, unless it is written.
    fn close(&self) {
        let Some(worker) = &self.worker else { return };
        let worker = &mut *worker.borrow_mut();
        let Some(transaction) = worker.transactions.remove(&self.id) else { return };
        let now = worker.now();
        // The SDK gives no reply to a stream that is gone.
        worker.callouts.retain(|_, (stream, _)| *stream != self.id);
        if transaction.is_shadow_denial() {
            let _ = hostcalls::increment_metric(worker.shadow_denials, 1);
        }
        if let Some(mut line) = transaction.close(response_code(), &mut worker.engine, now) {
            // For access logs: %FILTER_STATE(wasm.deputy.audit:PLAIN)%.
            let _ = hostcalls::set_property(vec!["deputy.audit"], Some(line.as_bytes()));
            line.insert_str(0, "deputy.audit ");
            let _ = hostcalls::log(LogLevel::Info, &line);
        }
    }
}

fn on_callout_reply(shared: &Shared, token: u32) {
    let steps = {
        let worker = &mut *shared.borrow_mut();
        match worker.callouts.remove(&token) {
            None => return,
            Some((_, Awaited::Exchange(purpose))) => worker.settle(&purpose, Ok(callout_reply())),
            Some((_, Awaited::Keys(place))) => {
                let body = buffer(BufferType::HttpCallResponseBody);
                with_headers(MapType::HttpCallResponseHeaders, |headers| {
                    worker.fetched(place, Ok(FetchReply { headers, body: &body }));
                });
                worker.tell_the_time()
            }
        }
    };
    resume(shared, steps);
}

fn callout_reply() -> CalloutReply {
    with_headers(MapType::HttpCallResponseHeaders, |headers| CalloutReply {
        status: crate::response::status(headers),
        // Envoy adds this to what a server answered, and to nothing that it answers itself.
        from_server: headers.first("x-envoy-upstream-service-time").is_some(),
        body: buffer(BufferType::HttpCallResponseBody),
    })
}

/// Carries out steps for streams that wait, from outside their callbacks, and what follows from them.
fn resume(shared: &Shared, steps: Vec<(u32, Step)>) {
    let mut steps = VecDeque::from(steps);
    while let Some((stream, step)) = steps.pop_front() {
        // A stream that has gone meanwhile is no context any more.
        if hostcalls::set_effective_context(stream).is_err() {
            continue;
        }
        match step {
            Step::Continue(edits) => {
                edit(MapType::HttpRequestHeaders, &edits);
                let _ = hostcalls::resume_http_request();
            }
            Step::Reply(reply) => send(&reply),
            Step::Reset => reset(),
            Step::Call(callout) => steps.extend(shared.borrow_mut().call(stream, &callout)),
            Step::Reread => {
                let body = buffer(BufferType::HttpRequestBody);
                let step = with_headers(MapType::HttpRequestHeaders, |headers| {
                    let again = Event::RequestAgain { headers, body: &body };
                    shared.borrow_mut().deliver(stream, again)
                });
                steps.push_back((stream, step));
            }
            // Nobody who waits has a response.
            Step::Pause | Step::Filter { .. } | Step::Replace(_) => {}
        }
    }
}

/// What Envoy does not do, the SDK panics at: then the VM fails, and the request with it.
fn edit(map: MapType, edits: &Edits) {
    if let Some(body) = &edits.body {
        let _ = hostcalls::set_buffer(BufferType::HttpRequestBody, 0, ALL, body);
    }
    for name in &edits.remove {
        let _ = hostcalls::remove_map_value(map, name);
    }
    for (name, value) in &edits.set {
        let _ = hostcalls::set_map_value_bytes(map, name, Some(value.as_bytes()));
    }
}

fn send(reply: &LocalReply) {
    let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let _ = hostcalls::send_http_response(u32::from(reply.status), headers, Some(&reply.body));
}

/// After the headers, Envoy turns an answer into a reset of the stream.
fn reset() {
    send(&LocalReply { status: 502, headers: vec![], body: vec![] });
}

/// What cannot be read counts as no headers, which no request and no answer has.
fn with_headers<T>(map: MapType, read: impl FnOnce(Headers) -> T) -> T {
    let serialized = host_calls::header_map(map).unwrap_or_default();
    read(Headers(&header_map::read(&serialized).unwrap_or_default()))
}

fn buffer(kind: BufferType) -> Vec<u8> {
    hostcalls::get_buffer(kind, 0, ALL).ok().flatten().unwrap_or_default()
}

/// Whether the MCP server answered, and not Envoy in its place, which it does by errors alone.
fn is_from_server(headers: Headers) -> bool {
    crate::response::status(headers).is_some_and(|status| status < 400)
        || hostcalls::get_property(vec!["response", "code_details"])
            .is_ok_and(|details| details.as_deref() == Some(b"via_upstream"))
}

fn response_code() -> u16 {
    let code = hostcalls::get_property(vec!["response", "code"]).ok().flatten();
    let code = code.and_then(|bytes| bytes.try_into().ok()).map(i64::from_le_bytes);
    // An interim answer, such as `100 Continue`, is none.
    code.and_then(|code| u16::try_from(code).ok()).filter(|code| *code >= 200).unwrap_or_default()
}
