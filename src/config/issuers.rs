//! Whose tokens are believed, and by which keys.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

use super::profile::Audiences;
use super::pushed::Pushed;
use super::{ConfigError, Duration, HttpUrl, Problems, http_url, profile, remote_jwks, revoked};
use crate::policy::compile::check_audience;
use crate::token::{self, KeySet, TrustedIssuer};

/// What clocks may differ at the most: "usually no more than a few minutes" (RFC 7519 section 4.1.4).
const LONGEST_LEEWAY: Duration = Duration::seconds(5 * 60);

/// Compiles what is written for this protected resource; what is wrong goes to `problems`, keys that are
/// left out to `warnings`.
pub fn compile(
    pushed: &Pushed,
    resource: Option<&HttpUrl>,
    problems: &mut Problems,
    warnings: &mut Vec<ConfigError>,
) -> Vec<TrustedIssuer> {
    if pushed.issuers.is_empty() {
        problems.add("issuers", "at least one is needed");
    }
    let mut revoked = revoked::compile(&pushed.revoked, &pushed.issuers, problems);
    let audiences = Audiences::new(resource, &pushed.endpoints);
    let mut seen = BTreeSet::new();
    let mut trusted = Vec::new();
    for (index, raw) in pushed.issuers.iter().enumerate() {
        let path = format!("issuers[{index}]");
        http_url(&raw.issuer, format!("{path}.issuer"), problems);
        if !seen.insert(&raw.issuer) {
            problems
                .add(format!("{path}.issuer"), format!("issuer `{}` is listed twice", raw.issuer));
        }
        let none = |list: &Option<Vec<String>>| list.as_ref().is_some_and(Vec::is_empty);
        for (name, list_is_empty) in [
            ("algorithms", raw.algorithms.is_empty()),
            ("token_types", none(&raw.token_types)),
            ("audiences", none(&raw.audiences)),
            ("client_claims", none(&raw.client_claims) && profile::requires_client(raw)),
        ] {
            if list_is_empty {
                problems.add(format!("{path}.{name}"), "an empty list accepts no token");
            }
        }
        for (index, audience) in raw.audiences.iter().flatten().enumerate() {
            check_audience(audience, &format!("{path}.audiences[{index}]"), problems);
        }
        for (name, length) in [("leeway", Some(raw.leeway)), ("max_lifetime", raw.max_lifetime)] {
            if let Some(length) = length.filter(|length| !length.is_whole_seconds()) {
                let message = format!("`{length}` is not a number of whole seconds");
                problems.add_with_help(format!("{path}.{name}"), message, "tokens count in them");
            }
        }
        if raw.max_lifetime.is_some_and(|lifetime| lifetime == Duration::seconds(0)) {
            let help = "write `1h`, say";
            problems.add_with_help(format!("{path}.max_lifetime"), "accepts no token", help);
        }
        if raw.leeway > LONGEST_LEEWAY {
            let message = format!("`{}` is more than `{LONGEST_LEEWAY}`", raw.leeway);
            let help = "so long would a token serve after its end: set the clocks";
            problems.add_with_help(format!("{path}.leeway"), message, help);
        }
        let keys = match (&raw.jwks, &raw.remote_jwks) {
            (Some(jwks), _) => keys(jwks, &format!("{path}.jwks"), problems, warnings),
            (None, Some(_)) => None,
            (None, None) => {
                let help = "push its public keys, or say in `remote_jwks` where they are fetched";
                problems.add_with_help(&path, "missing field `jwks`", help);
                None
            }
        };
        let remote_jwks = raw.remote_jwks.as_ref();
        trusted.push(TrustedIssuer {
            issuer: Rc::new(token::Issuer {
                issuer: raw.issuer.as_str().into(),
                keys: keys.unwrap_or_default(),
                algorithms: raw.algorithms.clone(),
            }),
            expectations: profile::expectations(
                raw,
                &audiences,
                revoked.remove(&raw.issuer).unwrap_or_default(),
            ),
            remote_jwks: remote_jwks.map(|remote| {
                remote_jwks::compile(remote, &format!("{path}.remote_jwks"), problems)
            }),
        });
    }
    trusted
}

fn keys(
    jwks: &Value,
    path: &str,
    problems: &mut Problems,
    warnings: &mut Vec<ConfigError>,
) -> Option<KeySet> {
    match KeySet::parse(jwks) {
        Err(error) => {
            problems.add(path, error.to_string());
            None
        }
        Ok((keys, skipped)) => {
            if keys.is_empty() {
                let reasons: Vec<String> = skipped.iter().map(ToString::to_string).collect();
                let message = match reasons.as_slice() {
                    [] => "this set has no keys".to_owned(),
                    some => format!("no key of this set can verify a token: {}", some.join("; ")),
                };
                let help =
                    "push the authorization server's public keys, as its `jwks_uri` serves them";
                problems.add_with_help(path, message, help);
            }
            warnings.extend(skipped.iter().map(|key| ConfigError {
                path: format!("{path}.keys[{}]", key.index),
                message: format!("key skipped: {key}"),
                help: None,
            }));
            Some(keys)
        }
    }
}
