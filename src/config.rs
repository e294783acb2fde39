//! The pushed configuration: JSON in, a [`Config`] without invalid states out, or every error at
//! once.

mod authorization_server;
mod callout;
mod duration;
mod environment;
mod error;
mod hierarchy;
mod issuers;
mod moment;
mod profile;
pub mod pushed;
mod read;
mod remote_jwks;
mod revoked;
mod tracked;
mod url;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::rc::Rc;

use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) use callout::{check_target, is_authority, is_name};
pub use duration::Duration;
pub use environment::Environment;
pub(crate) use environment::{is_variable, plain_secret, secret};
pub use error::{ConfigError, ConfigErrors, Problems, did_you_mean};
pub(crate) use moment::moment;
pub use read::{typed, value};
pub use url::HttpUrl;
pub(crate) use url::split_scheme;

use crate::challenge::Challenges;
use crate::exchange;
use crate::fingerprint::fingerprint;
use crate::mcp::Revision;
use crate::policy::Policy;
use crate::policy::compile::{Surroundings, known_scopes};
use crate::request::{Ignore, fold_path};
use crate::response::LONGEST;
use crate::session::SessionKeys;
use crate::token::{ScopeSet, ScopeTable, TrustedIssuer, is_scope_token};
use crate::upstream::StrippedHeaders;
use pushed::Pushed;

/// Everything that one push says, compiled.
#[derive(Debug)]
pub struct Config {
    /// The endpoints by path; few, so they are walked.
    pub endpoints: Vec<Rc<Endpoint>>,
    /// Whose tokens are believed.
    pub issuers: Vec<TrustedIssuer>,
    /// The scopes that callers can obtain.
    pub scopes: ScopeTable,
    /// The metadata documents and the challenges.
    pub challenges: Challenges,
    /// Origins that may call, in lower case.
    pub allowed_origins: Vec<Box<str>>,
    /// What is left alone.
    pub ignore: Vec<Ignore>,
    /// What is removed from every request.
    pub strip_request_headers: StrippedHeaders,
    /// The token exchange.
    pub exchange: exchange::Settings,
    /// What binds sessions to their callers.
    pub sessions: SessionKeys,
    /// Bounds on what one request may cost.
    pub limits: pushed::Limits,
    /// The first 16 hexadecimal digits of the SHA-256 of `policies`, and of nothing else that decides.
    pub policy_hash: Box<str>,
    /// The SHA-256 of all that was pushed.
    pub digest: [u8; 32],
    /// What is odd but does not stop the push: keys that were skipped, policies that nothing uses.
    pub warnings: Vec<ConfigError>,
}

/// An MCP endpoint and the rules for it.
#[derive(Debug)]
pub struct Endpoint {
    /// Its place among them, by which callers are known to be for it.
    pub place: usize,
    /// The exact path.
    pub path: Box<str>,
    /// The path folded, to recognise what nearly names it.
    pub folded: Box<str>,
    /// The rules.
    pub policy: Policy,
    /// The scopes that the 401 challenge names.
    pub required_scopes: ScopeSet,
    /// The revisions of MCP that are served.
    pub revisions: Box<[Revision]>,
}

/// The largest `limits.body_bytes`: Envoy holds this much for each request that is undecided.
const LARGEST_BODY: usize = 16 * 1_048_576;

/// From one mebibyte to an eighth of what a virtual machine has.
const CACHE_BYTES: RangeInclusive<usize> = 1_048_576..=134_217_728;

/// The largest `limits.held_response_bytes`: a virtual machine has twice as much.
const MOST_HELD: usize = 512 * 1_048_576;

impl Config {
    /// Reads and compiles a pushed configuration, with the secrets that it names.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its path; nothing of it is used then.
    pub fn parse(text: &[u8], environment: Environment) -> Result<Self, ConfigErrors> {
        Self::compile(read::value(text)?, Sha256::digest(text).into(), Some(environment))
    }

    /// Compiles a configuration without the secrets that it names, to check it or to use it where
    /// there are none: it binds no session, so it accepts none.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn from_value(value: Value) -> Result<Self, ConfigErrors> {
        let mut problems = Problems::default();
        read::check_names(&value, "", &mut problems);
        problems.into_result(Some(()))?;
        let text = value.to_string();
        read::check(text.as_bytes())?;
        Self::compile(value, Sha256::digest(&text).into(), None)
    }

    fn compile(
        value: Value,
        digest: [u8; 32],
        environment: Option<Environment>,
    ) -> Result<Self, ConfigErrors> {
        let policy_hash = hash(value.get("policies"));
        let reading = read::reading::<Pushed>(value);
        let Some(pushed) = &reading.typed else { return reading.problems.into_result(None) };
        let mut problems = Problems::default();
        let mut warnings = Vec::new();
        let mut scopes = scopes(&pushed.protected_resource.scopes_supported, &mut problems);
        hierarchy::compile(&pushed.implied_scopes, &mut scopes, &mut problems);
        let resource = resource(&pushed.protected_resource, &mut problems);
        let mut issuers = issuers::compile(pushed, resource.as_ref(), &mut problems, &mut warnings);
        warnings.extend(strange_servers(pushed));
        let endpoints = endpoints(pushed, resource.as_ref(), &scopes, &mut problems);
        for (name, source) in &pushed.policies {
            if !pushed.endpoints.iter().any(|endpoint| endpoint.policy == *name) {
                // Nobody will ask it, but whoever wrote it wants to know.
                let around = Surroundings {
                    name,
                    scopes: &scopes,
                    required: &ScopeSet::default(),
                    enforcement: pushed.enforcement,
                };
                Policy::compile(source, &around, &mut problems);
                warnings.push(ConfigError {
                    path: format!("policies.{name}"),
                    message: "no endpoint uses this policy".to_owned(),
                    help: None,
                });
            }
        }
        let exchange =
            exchange::Settings::compile(&pushed.exchange, &issuers, environment, &mut problems);
        keep_claims(&mut issuers, &endpoints, exchange.as_ref());
        if let Some(exchange) = &exchange {
            // A policy that two endpoints share is reported once.
            let mut checked = BTreeSet::new();
            for policy in endpoints.iter().map(|endpoint| &endpoint.policy) {
                if checked.insert(&policy.baseline().name) {
                    exchange.check(policy, &mut problems);
                }
            }
        }
        let servers = &pushed.protected_resource.authorization_servers;
        if let Some(metadata) = &pushed.authorization_server_metadata {
            authorization_server::check(metadata, servers, &mut problems);
        }
        let sessions = SessionKeys::compile(pushed.sessions.as_ref(), environment, &mut problems);
        limits(pushed, &mut problems);
        let allowed_origins = origins(pushed, resource.as_ref(), &mut problems);
        let ignore = Ignore::compile(&pushed.ignore, &endpoints, &mut problems);
        let strip_request_headers =
            StrippedHeaders::compile(&pushed.strip_request_headers, &mut problems);
        let config = resource.zip(exchange).map(|(resource, exchange)| Self {
            challenges: Challenges::new(
                &pushed.protected_resource,
                &resource,
                &endpoints,
                pushed.authorization_server_metadata.as_ref(),
            ),
            endpoints: endpoints.into_iter().map(Rc::new).collect(),
            issuers,
            scopes,
            allowed_origins,
            ignore,
            strip_request_headers,
            exchange,
            sessions,
            limits: pushed.limits,
            policy_hash,
            digest,
            warnings,
        });
        if reading.problems.is_empty() {
            return problems.into_result(config);
        }
        let found = reading.of_its_own(problems.into_errors()).unwrap_or_default();
        let mut problems = reading.problems.into_errors();
        problems.extend(found);
        Err(ConfigErrors(problems))
    }
}

fn hash(policies: Option<&Value>) -> Box<str> {
    let text = policies.map(Value::to_string).unwrap_or_default();
    fingerprint(text.as_bytes())
}

fn scopes(supported: &[String], problems: &mut Problems) -> ScopeTable {
    let mut table = ScopeTable::default();
    for (index, scope) in supported.iter().enumerate() {
        let path = format!("protected_resource.scopes_supported[{index}]");
        if !is_scope_token(scope) {
            let help = "a scope has printable ASCII characters except space, `\"` and `\\`";
            problems.add_with_help(path, format!("`{scope}` is not a scope"), help);
        } else if table.contains(scope) {
            problems.add(path, format!("scope `{scope}` is listed twice"));
        } else {
            table.intern(scope);
        }
    }
    table
}

fn resource(raw: &pushed::ProtectedResource, problems: &mut Problems) -> Option<HttpUrl> {
    let servers = &raw.authorization_servers;
    if servers.is_empty() {
        problems.add("protected_resource.authorization_servers", "at least one is needed");
    }
    for (index, server) in servers.iter().enumerate() {
        let path = format!("protected_resource.authorization_servers[{index}]");
        http_url(server, path, problems);
    }
    let path = "protected_resource.resource";
    let url = http_url(&raw.resource, path, problems);
    if let Some(named) = url.as_ref().and_then(HttpUrl::without_default_port) {
        let message = format!("`{}` names the default port, which clients leave out", raw.resource);
        problems.add_with_help(path, message, format!("write `{named}`"));
    }
    url
}

/// Authorization servers to which clients are sent, and whose tokens are not believed.
fn strange_servers(pushed: &Pushed) -> impl Iterator<Item = ConfigError> {
    let servers = pushed.protected_resource.authorization_servers.iter().enumerate();
    let strange =
        servers.filter(|(_, server)| pushed.issuers.iter().all(|issuer| issuer.issuer != **server));
    strange.map(|(index, server)| ConfigError {
        path: format!("protected_resource.authorization_servers[{index}]"),
        message: format!("`{server}` is none of `issuers`: its tokens are refused"),
        help: None,
    })
}

fn http_url(text: &str, path: impl std::fmt::Display, problems: &mut Problems) -> Option<HttpUrl> {
    let url = HttpUrl::parse(text);
    if url.is_none() {
        problems.add_with_help(
            path,
            format!("`{text}` is not an http or https URL without query and fragment"),
            "write it like `https://gateway.example.com/mcp`, scheme and host in lower case",
        );
    }
    url
}

/// What the rules of any endpoint read, and what names the user, is kept of every token.
fn keep_claims(
    issuers: &mut [TrustedIssuer],
    endpoints: &[Endpoint],
    exchange: Option<&exchange::Settings>,
) {
    let mut read: BTreeSet<&str> =
        endpoints.iter().flat_map(|endpoint| endpoint.policy.claims()).collect();
    read.extend(exchange.into_iter().flat_map(exchange::Settings::inbound_claims));
    for trusted in issuers {
        trusted.expectations.kept_claims = read.iter().map(|name| (*name).into()).collect();
    }
}

pub(crate) fn boxed(texts: &[String]) -> Vec<Box<str>> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

fn endpoints(
    pushed: &Pushed,
    resource: Option<&HttpUrl>,
    scopes: &ScopeTable,
    problems: &mut Problems,
) -> Vec<Endpoint> {
    if pushed.endpoints.is_empty() {
        problems.add("endpoints", "at least one is needed");
    }
    let mut seen = BTreeSet::new();
    let mut wrong: BTreeMap<&str, Vec<ConfigError>> = BTreeMap::new();
    let mut endpoints = Vec::new();
    for (index, raw) in pushed.endpoints.iter().enumerate() {
        let path = format!("endpoints[{index}]");
        endpoint_path(&raw.path, &format!("{path}.path"), resource, problems);
        if !seen.insert(fold_path(&raw.path)) {
            problems.add(
                format!("{path}.path"),
                format!("`{}` is too like the path of another endpoint", raw.path),
            );
        }
        let required_path = format!("{path}.required_scopes");
        let required_scopes = known_scopes(&raw.required_scopes, scopes, &required_path, problems);
        let Some(source) = pushed.policies.get(&raw.policy) else {
            problems.add_unknown(
                format!("{path}.policy"),
                format!("unknown policy `{}`", raw.policy),
                &raw.policy,
                pushed.policies.keys().map(String::as_str),
            );
            continue;
        };
        let around = Surroundings {
            name: &raw.policy,
            scopes,
            required: &required_scopes,
            enforcement: pushed.enforcement,
        };
        let mut of_policy = Problems::default();
        let policy = Policy::compile(source, &around, &mut of_policy);
        let of_policy = of_policy.into_errors();
        // What is wrong at one endpoint alone, such as a rule that is never reached there, is not wrong.
        match wrong.entry(&raw.policy) {
            Entry::Vacant(place) => _ = place.insert(of_policy),
            Entry::Occupied(mut place) => place.get_mut().retain(|one| of_policy.contains(one)),
        }
        endpoints.push(Endpoint {
            place: index,
            path: raw.path.as_str().into(),
            folded: fold_path(&raw.path).into(),
            policy,
            required_scopes,
            revisions: revisions(raw, &path, problems),
        });
    }
    problems.extend(wrong.into_values().flatten());
    endpoints
}

fn revisions(raw: &pushed::Endpoint, path: &str, problems: &mut Problems) -> Box<[Revision]> {
    let revisions = raw.revisions.as_deref().unwrap_or(&Revision::ALL);
    if revisions.is_empty() {
        problems.add(format!("{path}.revisions"), "an empty list serves nobody");
    }
    revisions.into()
}

fn endpoint_path(text: &str, path: &str, resource: Option<&HttpUrl>, problems: &mut Problems) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    if !text.starts_with('/')
        || !text.chars().all(plain)
        || text.split('/').skip(1).any(|segment| ["", ".", ".."].contains(&segment))
    {
        return problems.add_with_help(
            path,
            format!("`{text}` is not a plain path"),
            "write it like `/mcp`: letters, digits, `-`, `_`, `.`, `~`, no empty segment",
        );
    }
    if text.starts_with("/.well-known/") {
        problems.add(path, format!("`{text}` is where metadata documents live"));
    }
    let Some(resource) = resource else { return };
    let below = text.strip_prefix(resource.path().trim_end_matches('/'));
    if !below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        problems.add_with_help(
            path,
            format!("`{text}` is outside the protected resource"),
            format!("clients expect it at or below `{}`", resource.path()),
        );
    }
}

fn origins(pushed: &Pushed, resource: Option<&HttpUrl>, problems: &mut Problems) -> Vec<Box<str>> {
    let mut origins: Vec<Box<str>> = resource.iter().map(|url| url.origin().into()).collect();
    for (index, origin) in pushed.allowed_origins.iter().enumerate() {
        match HttpUrl::parse(origin) {
            Some(url) if url.origin() == origin => {
                // RFC 6454 section 6.1.
                if let Some(named) = url.without_default_port() {
                    problems.add_with_help(
                        format!("allowed_origins[{index}]"),
                        "no browser names its default port in an origin",
                        format!("write `{named}`"),
                    );
                }
                origins.push(url.origin().into());
            }
            _ => problems.add_with_help(
                format!("allowed_origins[{index}]"),
                format!("`{origin}` is not an origin"),
                "write scheme, host and port alone, like `https://app.example.com`",
            ),
        }
    }
    origins
}

fn limits(pushed: &Pushed, problems: &mut Problems) {
    let limits = &pushed.limits;
    if !(1..=LARGEST_BODY).contains(&limits.body_bytes) {
        problems.add(
            "limits.body_bytes",
            format!("`{}` is not between 1 and {LARGEST_BODY}", limits.body_bytes),
        );
    }
    if !(LONGEST..=MOST_HELD).contains(&limits.held_response_bytes) {
        problems.add(
            "limits.held_response_bytes",
            format!("`{}` is not between {LONGEST} and {MOST_HELD}", limits.held_response_bytes),
        );
    }
    let timeout = pushed.exchange.longest_timeout();
    if limits.decision_time <= timeout {
        problems.add_with_help(
            "limits.decision_time",
            format!("`{}` leaves no time for an exchange", limits.decision_time),
            format!("make it longer than `exchange.timeout`, which is `{timeout}`"),
        );
    }
    let remotes = pushed.issuers.iter().enumerate().filter_map(|(index, issuer)| {
        issuer.remote_jwks.as_ref().map(|remote| (index, remote.timeout))
    });
    for (index, timeout) in remotes.filter(|(_, timeout)| limits.decision_time <= *timeout) {
        problems.add_with_help(
            format!("issuers[{index}].remote_jwks.timeout"),
            format!("`{timeout}` leaves no time for a decision"),
            format!("make it shorter than `limits.decision_time`, {}", limits.decision_time),
        );
    }
    for (name, value, range) in [
        ("cached_tokens", limits.cached_tokens, 1..=1_000_000),
        ("cached_token_bytes", limits.cached_token_bytes, CACHE_BYTES),
        ("cached_delegations", limits.cached_delegations, 1..=1_000_000),
        ("cached_delegation_bytes", limits.cached_delegation_bytes, CACHE_BYTES),
    ] {
        if !range.contains(&value) {
            let (least, most) = (range.start(), range.end());
            let message = format!("`{value}` is not between {least} and {most}");
            problems.add(format!("limits.{name}"), message);
        }
    }
}
