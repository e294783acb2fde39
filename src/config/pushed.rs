//! The pushed configuration as it is written: the raw side of [`Config`](super::Config).
//!
//! `schema/config.schema.json` is generated from these types; their doc comments are its
//! descriptions.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::duration::Duration;
use crate::exchange::source::Exchange;
use crate::mcp::Revision;
use crate::policy::source::{Enforcement, Policy};
use crate::token::Algorithm;

/// The configuration of one Deputy filter: one protected resource and the MCP servers behind it.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Pushed {
    /// What the clients see: the RFC 9728 metadata of this resource server.
    pub protected_resource: ProtectedResource,
    /// The metadata of the authorization server (RFC 8414), to be served at
    /// `/.well-known/oauth-authorization-server` too. Clients of MCP 2025-03-26 look for it there and
    /// nowhere else; clients that hold the issuer against the URL that they asked refuse it, so leave
    /// it out unless such old clients call. Members that are not checked are passed on.
    pub authorization_server_metadata: Option<Map<String, Value>>,
    /// The authorization servers whose tokens are accepted, each with its pushed keys.
    pub issuers: Vec<Issuer>,
    /// The MCP endpoints: which path is judged by which policy.
    pub endpoints: Vec<Endpoint>,
    /// The policies by name, one for each MCP server.
    pub policies: BTreeMap<String, Policy>,
    /// Whether rules are enforced where neither they nor their policy say it.
    #[serde(default)]
    pub enforcement: Enforcement,
    /// Where and how a caller's token is exchanged for a delegation token (RFC 8693).
    pub exchange: Exchange,
    /// How the ids of sessions and tasks are bound to their callers. Without it none passes, in
    /// either direction.
    pub sessions: Option<Sessions>,
    /// Origins of browser clients that may call, besides the resource's own (scheme, host, port).
    #[serde(default)]
    pub allowed_origins: Vec<String>,
    /// Request headers that are removed before a request goes upstream, besides the built-in ones;
    /// a trailing `*` makes a name a prefix.
    #[serde(default)]
    pub strip_request_headers: Vec<String>,
    /// On a gateway that is shared with other services: what is none of the filter's business.
    #[serde(default)]
    pub ignore: Vec<Ignore>,
    /// Bounds on what one request may cost.
    #[serde(default)]
    pub limits: Limits,
}

/// OAuth 2.0 Protected Resource Metadata (RFC 9728), under its own names.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProtectedResource {
    /// The resource identifier: the public URL under which clients reach the MCP endpoints, and the
    /// audience that their tokens must carry.
    pub resource: String,
    /// Issuer URLs of the authorization servers where clients get their tokens.
    pub authorization_servers: Vec<String>,
    /// All scopes that a client may ask for. A policy may require no other.
    #[serde(default)]
    pub scopes_supported: Vec<String>,
    /// A name for people.
    pub resource_name: Option<String>,
    /// URL of a page for people.
    pub resource_documentation: Option<String>,
}

/// An authorization server whose tokens are believed.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The exact value of `iss`.
    pub issuer: String,
    /// Its public keys, a JWK Set (RFC 7517).
    pub jwks: serde_json::Value,
    /// Signature algorithms that are accepted.
    #[serde(default = "all_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// The values of `aud` that are accepted; by default the protected resource.
    pub audiences: Option<Vec<String>>,
    /// The values of `typ` that are accepted. An empty string stands for a token without `typ`.
    #[serde(default = "access_token_type")]
    pub token_types: Vec<String>,
    /// The claims that may carry the scopes; the first one present is read.
    #[serde(default = "scope_claims")]
    pub scope_claims: Vec<String>,
    /// The claims that may carry the client; the first one present is read.
    #[serde(default = "client_claims")]
    pub client_claims: Vec<String>,
    /// The longest time between `iat` and `exp` that is accepted.
    #[serde(default = "one_hour")]
    pub max_lifetime: Duration,
    /// How far this server's clock and ours may differ.
    #[serde(default = "five_seconds")]
    pub leeway: Duration,
}

/// An MCP endpoint.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The exact path.
    pub path: String,
    /// The name of the policy that judges it.
    pub policy: String,
    /// Scopes that every request to this endpoint must carry; the 401 challenge names them.
    #[serde(default)]
    pub required_scopes: Vec<String>,
    /// The revisions of MCP that are served; by default all that are known. Who names another is told
    /// these.
    pub revisions: Option<Vec<Revision>>,
}

/// How the ids of sessions and tasks are bound to their callers: the client holds the MCP server's id,
/// sealed by a key.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// The environment variables of Envoy that hold the keys, each a random text of at least 32
    /// bytes. The first one seals, all of them open, so that keys can rotate. The same on every
    /// gateway that serves the endpoint.
    pub keys_from_environment: Vec<String>,
}

/// A host, a path prefix, or a path prefix of a host, that the filter leaves alone. An endpoint's
/// path, and what comes near it, is never ignored: a client may call itself any host.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ignore {
    /// The exact host (`:authority`), in any case; with the port, if the request has one.
    pub host: Option<String>,
    /// Whole leading segments of the path: `/health` matches `/health` and `/health/live`.
    pub path_prefix: Option<String>,
}

/// Bounds on what one request may cost.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest request body, in bytes; larger ones get 413.
    pub body_bytes: usize,
    /// How long a request may stay undecided before it is answered with 503.
    pub decision_time: Duration,
    /// How many verified tokens each worker remembers.
    pub cached_tokens: usize,
    /// How many delegation tokens each worker remembers.
    pub cached_delegations: usize,
    /// How many bytes each worker holds of responses that are filtered or redacted, all together: of
    /// values, events and redacted messages that have not ended. One that would need more fails.
    pub held_response_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1_048_576,
            decision_time: Duration::seconds(10),
            cached_tokens: 10_000,
            cached_delegations: 10_000,
            held_response_bytes: 268_435_456,
        }
    }
}

fn all_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA]
}

fn access_token_type() -> Vec<String> {
    vec!["at+jwt".to_owned()]
}

fn scope_claims() -> Vec<String> {
    vec!["scope".to_owned()]
}

fn client_claims() -> Vec<String> {
    vec!["client_id".to_owned(), "azp".to_owned()]
}

const fn one_hour() -> Duration {
    Duration::seconds(3_600)
}

const fn five_seconds() -> Duration {
    Duration::seconds(5)
}
