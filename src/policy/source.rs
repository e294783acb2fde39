//! A policy as it is written: the raw side of [`Policy`](super::Policy).
//!
//! One file in `policies/` is one of these, and so is one entry of `policies` in the pushed
//! configuration.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::Duration;
use crate::mcp::ServerRequest;

/// What callers may do at one MCP server. Rules only allow: a tool that no rule names is refused.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "Policy"))]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The downstream service that the delegation tokens are for: their `aud`.
    pub audience: String,
    /// The longest lifetime of a delegation token that is accepted, unless a rule says otherwise.
    #[serde(default = "five_seconds")]
    pub lifetime: Duration,
    /// What goes upstream with a request that has no object: initialize, ping, lists,
    /// notifications, streams.
    pub baseline: Baseline,
    /// The rules by tool name.
    #[serde(default)]
    pub tools: BTreeMap<String, Rule>,
    /// The rules by prompt name. They hold for completing a prompt's arguments too.
    #[serde(default)]
    pub prompts: BTreeMap<String, Rule>,
    /// The rules by resource: an absolute URI, or all below one that ends with `/*`. They hold for
    /// reading, subscribing and completing alike.
    #[serde(default)]
    pub resources: BTreeMap<String, Rule>,
    /// The requests of the server to the client that the client may answer, in a session. An answer
    /// goes up as the baseline says.
    #[serde(default = "ping")]
    pub server_requests: Vec<ServerRequest>,
}

/// How a request that has no object goes upstream.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// Under a delegation token of its own.
    Delegation(Delegation),
    /// Under no token at all.
    WithoutToken,
}

/// One way in which a tool, prompt or resource may be used.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What the caller must have.
    #[serde(default)]
    pub require: Require,
    /// What a caller without it is told: one plain sentence that a model can relay.
    pub message: Option<String>,
    /// In which form a caller without it is told.
    #[serde(default)]
    pub denial: DenialShape,
    /// The token under which the call goes upstream.
    pub delegation: Delegation,
}

/// In which form a caller who lacks a scope is denied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DenialShape {
    /// HTTP 403 with a challenge that names the scopes, so that the client can ask for them. Lists
    /// show the object to everyone; in the other forms, to those alone who have the scopes.
    #[default]
    StepUp,
    /// HTTP 200 with a JSON-RPC error: the model reads the message, the client does not step up.
    Error,
    /// HTTP 403 without a challenge.
    Forbidden,
    /// As if it did not exist.
    Hidden,
}

/// What a rule requires of the caller.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Require {
    /// Scopes that the caller's token must all carry.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// What to ask the authorization server for, and what its answer must match.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// The one scope of the delegation token.
    pub scope: String,
    /// Its audience; by default the policy's.
    pub audience: Option<String>,
    /// The longest lifetime that is accepted; by default the policy's.
    pub lifetime: Option<Duration>,
}

fn ping() -> Vec<ServerRequest> {
    vec![ServerRequest::Ping]
}

const fn five_seconds() -> Duration {
    Duration::seconds(5)
}
