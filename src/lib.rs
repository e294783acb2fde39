//! Deputy: a proxy-wasm filter that makes any MCP server an OAuth 2.0 resource server.
//!
//! Every request to an MCP endpoint goes one way, and the modules stand in its order:
//!
//! ```text
//! config push ─► config ─► policy::compile ───────────────────┐            (once per push)
//!                                                             ▼
//! headers ─► request ─► token ─► session ─► mcp ─► task ─► policy ─►
//!            which      who      whose      what   whose   may
//!            endpoint   asks     session    for    task    they?
//!
//!         ─► exchange ─► upstream ─► response ─► audit
//!            act for     client's    what of     one
//!            them        token out   it passes   record
//! ```
//!
//! [`session`] sees to it that a session which the request names is the caller's own, and on the way
//! back it binds the one that the MCP server opens; [`task`] does so with tasks.
//!
//! A request that is refused, at whichever stage, leaves the way: [`answer`] has what its client is
//! told, in one table for all stages, and [`challenge`] how to get in, the metadata documents among it.
//!
//! The last five modules serve all stages. [`cache`] is a store with bounds, and [`clock`] the time, which
//! is passed in. [`fingerprint`] is a short name for what must not be shown. [`host`] is what the host does
//! when the core asks it to, and [`json`] reads what no two parsers could read differently.
//!
//! No stage does I/O. [`transaction`] runs them: an [`Event`](transaction::Event) goes in, a
//! [`Step`](transaction::Step) comes out. `filter`, which exists in the wasm build alone, turns
//! Envoy's callbacks into events and steps into host calls. What the host must do:
//!
//! - give every event of a stream to its [`Transaction`](transaction::Transaction), and carry out
//!   every step, before the next event;
//! - hold the stream on [`Step::Pause`](transaction::Step::Pause) and
//!   [`Step::Call`](transaction::Step::Call), headers, body and trailers alike;
//! - after [`Step::Reread`](transaction::Step::Reread), give the request that is held once more;
//! - fetch the keys that [`Engine::fetches_due`](transaction::Engine::fetches_due) names at a tick, and
//!   give another tick when they have come, or will not;
//! - after [`Step::Filter`](transaction::Step::Filter), give every chunk of the response's body, and
//!   pass on what comes out in its place;
//! - give ticks, so that nothing waits for ever;
//! - close the transaction once, and keep the record that comes out.

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod filter;

pub mod transaction;

pub mod config;

pub mod request;
pub mod token;
pub mod session;
pub mod mcp;
pub mod task;
pub mod policy;
pub mod exchange;
pub mod upstream;
pub mod response;
pub mod audit;

pub mod answer;
pub mod challenge;

pub mod cache;
pub mod clock;
pub mod fingerprint;
pub mod host;
pub mod json;
