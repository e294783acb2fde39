//! The pushed configuration as it is written: the raw side of [`Config`](super::Config).
//!
//! `schema/config.schema.json` is generated from these types; their doc comments are its
//! descriptions.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::duration::Duration;
use crate::cache::Bounds;
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
    /// The authorization servers whose tokens are accepted, each with its keys, or where they are
    /// fetched.
    pub issuers: Vec<Issuer>,
    /// Scopes that imply others: whoever is granted one has those too, and what they imply in turn.
    #[serde(default)]
    pub implied_scopes: BTreeMap<String, Vec<String>>,
    /// The kill switch: whose tokens are refused before they expire, from the next request on.
    #[serde(default)]
    pub revoked: Revoked,
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
    /// The resource identifier: the public URL at or below which clients reach the MCP endpoints. A
    /// token for this audience is for all of them.
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
    /// Which server it is: what its access tokens look like where nothing else is written here.
    pub profile: Option<Profile>,
    /// Its public keys, a JWK Set (RFC 7517). Beside `remote_jwks`, what serves until the first fetch.
    pub jwks: Option<Value>,
    /// Where its public keys are fetched, again and again.
    pub remote_jwks: Option<RemoteJwks>,
    /// Signature algorithms that are accepted.
    #[serde(default = "all_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// The values of `aud` that are accepted; by default the protected resource, and at each endpoint
    /// its own URL.
    pub audiences: Option<Vec<String>>,
    /// The values of `typ` that are accepted, `at+jwt` by default. An empty string stands for a token
    /// without `typ`.
    pub token_types: Option<Vec<String>>,
    /// The claims that may carry the scopes, as a string or a list, `scope` by default; the first one
    /// present is read.
    pub scope_claims: Option<Vec<String>>,
    /// The claims that may carry the client, `client_id` and `azp` by default; the first one present is
    /// read.
    pub client_claims: Option<Vec<String>>,
    /// Whether one of them must be there; by default only with a profile.
    pub client_required: Option<bool>,
    /// The longest time between `iat` and `exp` that is accepted, by default `1h`.
    pub max_lifetime: Option<Duration>,
    /// How far this server's clock and ours may differ.
    #[serde(default = "five_seconds")]
    pub leeway: Duration,
}

/// The authorization servers whose access tokens are known; `docs/tokens.md` has a section on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Any that follows RFC 9068 to the letter.
    Rfc9068,
    /// Keycloak.
    Keycloak,
    /// A custom authorization server of Okta.
    Okta,
    /// Microsoft Entra ID, tokens of version 2.0.
    Entra,
    /// Auth0, with either of its token profiles.
    Auth0,
}

/// Whose tokens are refused before they expire.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Revoked {
    /// Single tokens, by `jti`.
    pub tokens: Vec<RevokedToken>,
    /// Users, by `sub`; and who acts for others, by `act.sub`.
    pub subjects: Vec<RevokedParty>,
    /// Clients, by the claim that names them; and who acts for others, by `act.client_id`.
    pub clients: Vec<RevokedParty>,
    /// Sessions at the authorization server, by `sid`.
    pub sessions: Vec<RevokedParty>,
}

/// A token that is refused.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RevokedToken {
    /// The exact value of `iss`, one of `issuers`.
    pub issuer: String,
    /// The exact value of `jti`.
    pub id: String,
}

/// A user, a client or a session whose tokens are refused.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RevokedParty {
    /// The exact value of `iss`, one of `issuers`.
    pub issuer: String,
    /// The exact value of the claim.
    pub id: String,
    /// What is issued at or after this moment (RFC 3339) is accepted again; by default nothing is.
    pub issued_before: Option<String>,
}

/// Where an issuer publishes its keys (`jwks_uri`, RFC 8414), and how often they are fetched. Each
/// worker of Envoy fetches for itself.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoteJwks {
    /// The Envoy cluster that leads there; TLS is its business.
    pub cluster: String,
    /// The host of `jwks_uri`, and the port if it has one.
    pub authority: String,
    /// The path of `jwks_uri`, with the query if it has one.
    pub path: String,
    /// How long to wait for an answer.
    #[serde(default = "five_seconds")]
    pub timeout: Duration,
    /// How long after a good answer to fetch again.
    #[serde(default = "five_minutes")]
    pub interval: Duration,
    /// How long after any fetch a token by a key that is not known leads to another one.
    #[serde(default = "thirty_seconds")]
    pub cooldown: Duration,
    /// How long the keys serve while they cannot be fetched again; after that nothing is verified.
    /// Without it they serve to the end of an outage.
    pub max_stale: Option<Duration>,
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
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest request body, in bytes; larger ones get 413.
    pub body_bytes: usize,
    /// How long a request may stay undecided before it is answered with 503.
    pub decision_time: Duration,
    /// How many verified tokens each worker remembers. No caller has more than a hundredth of them,
    /// or 32.
    pub cached_tokens: usize,
    /// How many bytes of them. No caller has more than a hundredth, or 256 KiB.
    pub cached_token_bytes: usize,
    /// How many delegation tokens each worker remembers, with the same share for each caller.
    pub cached_delegations: usize,
    /// How many bytes of them.
    pub cached_delegation_bytes: usize,
    /// How many bytes each worker holds of responses that are filtered or redacted, all together: of
    /// values, events and redacted messages that have not ended. One that would need more fails.
    pub held_response_bytes: usize,
}

impl Limits {
    /// How many verified tokens are remembered.
    #[must_use]
    pub const fn tokens(&self) -> Bounds {
        Bounds { entries: self.cached_tokens, bytes: self.cached_token_bytes }
    }

    /// How many delegation tokens are remembered.
    #[must_use]
    pub const fn delegations(&self) -> Bounds {
        Bounds { entries: self.cached_delegations, bytes: self.cached_delegation_bytes }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1_048_576,
            decision_time: Duration::seconds(10),
            cached_tokens: 10_000,
            cached_token_bytes: 48 * 1_048_576,
            cached_delegations: 10_000,
            cached_delegation_bytes: 48 * 1_048_576,
            held_response_bytes: 256 * 1_048_576,
        }
    }
}

fn all_algorithms() -> Vec<Algorithm> {
    Algorithm::ALL.to_vec()
}

const fn five_seconds() -> Duration {
    Duration::seconds(5)
}

const fn thirty_seconds() -> Duration {
    Duration::seconds(30)
}

const fn five_minutes() -> Duration {
    Duration::seconds(300)
}
