//! What is odd about a configuration that is sound, and what the filter does not look for.

use std::collections::BTreeSet;

use mcp_deputy::config::pushed::Pushed;
use mcp_deputy::config::{Config, ConfigError, HttpUrl, Problems};
use serde_json::Value;

/// All of it.
pub fn warnings(pushed: &Pushed, config: &Config) -> Vec<ConfigError> {
    let mut odd = Problems::default();
    in_clear(pushed, &mut odd);
    offline_access(pushed, &mut odd);
    issuers(pushed, config, &mut odd);
    unknown_issuers(pushed, &mut odd);
    targets(pushed, config, &mut odd);
    odd.into_errors()
}

/// OAuth is for https; on this machine alone nobody can listen.
fn in_clear(pushed: &Pushed, odd: &mut Problems) {
    let resource = &pushed.protected_resource;
    let servers = resource.authorization_servers.iter().enumerate();
    let servers =
        servers.map(|(at, url)| (format!("protected_resource.authorization_servers[{at}]"), url));
    let issuers = pushed.issuers.iter().enumerate();
    let issuers = issuers.map(|(at, issuer)| (format!("issuers[{at}].issuer"), &issuer.issuer));
    let resource = ("protected_resource.resource".to_owned(), &resource.resource);
    for (path, text) in [resource].into_iter().chain(servers).chain(issuers) {
        let is_in_clear = |url: &HttpUrl| url.as_str().starts_with("http://") && !url.is_loopback();
        if HttpUrl::parse(text).as_ref().is_some_and(is_in_clear) {
            let help = "write `https://`: who is on the way reads tokens, or writes them";
            odd.add_with_help(path, format!("`{text}` is in clear"), help);
        }
    }
}

/// Refresh tokens are between the client and the authorization server (MCP 2026-07-28, authorization,
/// refresh tokens).
fn offline_access(pushed: &Pushed, odd: &mut Problems) {
    let scopes = &pushed.protected_resource.scopes_supported;
    if let Some(index) = scopes.iter().position(|scope| scope == "offline_access") {
        let path = format!("protected_resource.scopes_supported[{index}]");
        let help = "leave it out: clients ask the authorization server for it by themselves";
        odd.add_with_help(path, "`offline_access` is no scope of a protected resource", help);
    }
}

/// An issuer none of whose tokens is of use. Keys that are fetched may be others.
fn issuers(pushed: &Pushed, config: &Config, odd: &mut Problems) {
    for (at, (written, trusted)) in pushed.issuers.iter().zip(&config.issuers).enumerate() {
        let issuer = &trusted.issuer;
        if written.remote_jwks.is_none() && !issuer.keys.has_key_for(&issuer.algorithms) {
            let path = format!("issuers[{at}].algorithms");
            let help = "name that of the keys, or take the list out";
            odd.add_with_help(path, "no key of `jwks` is for any of these", help);
        }
        if written.scope_claims.as_ref().is_some_and(Vec::is_empty) {
            let path = format!("issuers[{at}].scope_claims");
            odd.add(path, "whom this issuer knows has no scope");
        }
    }
}

/// A rule for the tokens of an issuer whose tokens are not believed never holds.
fn unknown_issuers(pushed: &Pushed, odd: &mut Problems) {
    let known = || pushed.issuers.iter().map(|issuer| issuer.issuer.as_str());
    for (policy, source) in &pushed.policies {
        let objects = [
            ("tools", &source.tools),
            ("prompts", &source.prompts),
            ("resources", &source.resources),
            ("methods", &source.methods),
        ];
        let objects = objects.into_iter().flat_map(|(kind, objects)| {
            objects.iter().map(move |(name, rules)| (kind, name, &rules.0))
        });
        for (kind, name, rules) in objects {
            for (index, rule) in rules.iter().enumerate() {
                let Some(condition) = rule.require.claims.as_ref().and_then(|all| all.get("iss"))
                else {
                    continue;
                };
                let place = if rules.len() > 1 { format!("[{index}]") } else { String::new() };
                let path = format!("policies.{policy}.{kind}.{name}{place}.require.claims.iss");
                let meant = condition.one_of.iter().flatten().chain(&condition.equals);
                let meant = meant.filter_map(Value::as_str);
                for issuer in meant.filter(|issuer| known().all(|other| other != *issuer)) {
                    odd.add_unknown(&path, format!("unknown issuer `{issuer}`"), issuer, known());
                }
            }
        }
    }
}

/// What is written for an audience that no rule delegates to is not what was meant.
fn targets(pushed: &Pushed, config: &Config, odd: &mut Problems) {
    let rules = config.endpoints.iter().flat_map(|endpoint| endpoint.policy.all_rules());
    let audiences: BTreeSet<&str> =
        rules.filter_map(|rule| rule.target.as_deref()).map(|target| &*target.audience).collect();
    for audience in pushed.exchange.targets.keys().filter(|name| !audiences.contains(&***name)) {
        let path = format!("exchange.targets.{audience}");
        let known = audiences.iter().copied();
        odd.add_unknown(path, "no rule delegates to this audience", audience, known);
    }
}
