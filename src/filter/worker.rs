//! One configuration at work in one worker thread: its transactions, and the callouts that they wait
//! for.

use std::collections::HashMap;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::Status;

use super::clock::{epoch, monotonic};
use crate::clock::Now;
use crate::exchange::reply::{CalloutReply, ExchangeError};
use crate::exchange::{Callout, Purpose, Settled};
use crate::token::{FetchError, FetchReply};
use crate::transaction::{Engine, Event, Step, Transaction};

/// How often waiting transactions are looked at.
const TICK: Duration = Duration::from_millis(100);

/// How often, while one of them waits for another worker, which cannot wake it.
const SHORT_TICK: Duration = Duration::from_millis(5);

/// One configuration at work in one worker thread.
pub struct Worker {
    /// The wall-clock time at the monotonic clock's zero, as of the last tick.
    epoch: Duration,
    pub engine: Engine,
    pub transactions: HashMap<u32, Transaction>,
    /// The root context's number.
    root: u32,
    /// By the host's number for it: the stream that made a callout, and what it is for.
    pub callouts: HashMap<u32, (u32, Awaited)>,
    /// How often the host ticks, and when those who wait were last told of it.
    tick: Duration,
    told: Duration,
    /// The host's number for the counter of what rules in shadow would have denied.
    pub shadow_denials: u32,
}

/// What the answer to a callout is for.
pub enum Awaited {
    Exchange(Purpose),
    /// The keys of the issuer at this place.
    Keys(usize),
}

impl Worker {
    pub fn new(engine: Engine, root: u32, shadow_denials: u32) -> Self {
        let _ = hostcalls::set_tick_period(TICK);
        Self {
            epoch: epoch(),
            engine,
            transactions: HashMap::new(),
            root,
            callouts: HashMap::new(),
            tick: TICK,
            told: Duration::ZERO,
            shadow_denials,
        }
    }

    pub fn now(&self) -> Now {
        let monotonic = monotonic();
        Now { unix: self.epoch.saturating_add(monotonic), monotonic }
    }

    pub fn deliver(&mut self, stream: u32, event: Event) -> Step {
        let now = self.now();
        let step = match self.transactions.get_mut(&stream) {
            Some(transaction) => transaction.handle(event, &mut self.engine, now),
            None => Step::Pause,
        };
        self.keep_pace();
        step
    }

    fn keep_pace(&mut self) {
        let hurries = self.engine.exchanges.waits_for_others();
        let tick = if hurries { SHORT_TICK } else { TICK };
        if tick != self.tick {
            let _ = hostcalls::set_tick_period(tick);
            self.tick = tick;
        }
    }

    /// Sends a callout on behalf of a stream. When that fails at once, gives the steps of those who
    /// wait for it.
    ///
    /// To the host it is the root context's, so that a client that goes away does not cut it off:
    /// the SDK would remember a callout that is never answered for ever. The SDK itself hands the
    /// reply to the stream in whose callback this runs, or drops it if that is gone.
    pub fn call(&mut self, stream: u32, callout: &Callout) -> Vec<(u32, Step)> {
        let (cluster, headers) = (&callout.cluster, &callout.headers);
        let sent = self.dispatch(stream, cluster, headers, Some(&callout.body), callout.timeout);
        match sent {
            Ok(token) => {
                let awaited = Awaited::Exchange(callout.purpose.clone());
                self.callouts.insert(token, (stream, awaited));
                Vec::new()
            }
            Err(status) => {
                log::error!("token exchange: cluster `{cluster}`: {status:?}");
                self.settle(&callout.purpose, Err(ExchangeError::Unreachable))
            }
        }
    }

    fn dispatch(
        &self,
        stream: u32,
        cluster: &str,
        headers: &[(&'static str, Box<str>)],
        body: Option<&[u8]>,
        timeout: Duration,
    ) -> Result<u32, Status> {
        let _ = hostcalls::set_effective_context(self.root);
        let headers = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        let sent = hostcalls::dispatch_http_call(cluster, headers, body, vec![], timeout);
        let _ = hostcalls::set_effective_context(stream);
        sent
    }

    /// Asks for the keys that are due, on behalf of no stream.
    fn fetch_keys(&mut self, now: Now) {
        for fetch in self.engine.fetches_due(now) {
            let (cluster, headers) = (&fetch.cluster, &fetch.headers);
            match self.dispatch(self.root, cluster, headers, None, fetch.timeout) {
                Ok(token) => {
                    self.callouts.insert(token, (self.root, Awaited::Keys(fetch.place)));
                }
                Err(_) => self.fetched(fetch.place, Err(FetchError::Unreachable)),
            }
        }
    }

    pub fn fetched(&mut self, place: usize, reply: Result<FetchReply, FetchError>) {
        let now = self.now();
        let result = self.engine.fetched(place, reply, now);
        let issuers = &self.engine.config.issuers;
        let issuer = issuers.get(place).map(|trusted| &*trusted.issuer.issuer).unwrap_or_default();
        match result {
            Ok(None) => {}
            Ok(Some(skipped)) => {
                log::info!("keys of `{issuer}`: fetched");
                for key in skipped {
                    log::warn!("keys of `{issuer}`: key skipped: {key}");
                }
            }
            Err(error) => log::error!("keys of `{issuer}`: not fetched: {error}"),
        }
    }

    /// Does what is due, and gives the steps of those whom it concerns.
    pub fn on_tick(&mut self) -> Vec<(u32, Step)> {
        self.epoch = epoch();
        let now = self.now();
        let Engine { config, exchanges, .. } = &mut self.engine;
        let due = exchanges.due(&config.exchange, now);
        let mut steps = Vec::new();
        for callout in &due.calls {
            steps.extend(self.call(self.root, callout));
        }
        for settled in due.settled {
            steps.extend(self.tell(settled));
        }
        self.keep_pace();
        self.fetch_keys(now);
        // Nobody wants to know it more often than at the usual pace.
        if now.monotonic.saturating_sub(self.told) > TICK.mul_f64(0.5) {
            self.told = now.monotonic;
            steps.extend(self.tell_the_time());
        }
        steps
    }

    /// Tells whoever waits that time has passed.
    pub fn tell_the_time(&mut self) -> Vec<(u32, Step)> {
        let waiting = self.transactions.iter().filter(|(_, one)| one.wants_ticks());
        let waiting: Vec<u32> = waiting.map(|(stream, _)| *stream).collect();
        let ticked = waiting.into_iter().map(|id| (id, self.deliver(id, Event::Tick)));
        // A stream that flows is not one to resume.
        ticked.filter(|(_, step)| !matches!(step, Step::Continue(_))).collect()
    }

    pub fn settle(
        &mut self,
        purpose: &Purpose,
        reply: Result<CalloutReply, ExchangeError>,
    ) -> Vec<(u32, Step)> {
        let now = self.now();
        let Engine { config, exchanges, .. } = &mut self.engine;
        let Some(settled) = exchanges.settle(&config.exchange, purpose, reply, now) else {
            return Vec::new();
        };
        if let Err(error) = &settled.result
            && error.needs_operator()
        {
            let detail = error.detail().unwrap_or_default();
            log::error!("token exchange: {} {detail}", error.reason());
        }
        self.tell(settled)
    }

    fn tell(&mut self, settled: Settled) -> Vec<(u32, Step)> {
        let waiting = settled.waiting.into_iter();
        let result = &settled.result;
        waiting.map(|id| (id, self.deliver(id, Event::Exchanged(result.as_ref())))).collect()
    }
}
