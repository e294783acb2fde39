//! Callers as people describe them, and the filter's callers made of them.

use mcp_deputy::config::{Config, Duration, Problems};
use mcp_deputy::token::{self, TrustedIssuer};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::moment::Moment;
use crate::report::visible;

/// A caller: what its token says.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// The issuer; by default the first that is configured.
    pub issuer: Option<String>,
    /// The subject; by default the caller's name.
    pub subject: Option<String>,
    /// The client.
    pub client: Option<String>,
    /// The scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The authentication context class.
    pub acr: Option<String>,
    /// How long before the call the user signed in; or `auth_time`.
    pub auth_age: Option<Duration>,
    /// When the user signed in.
    pub auth_time: Option<Moment>,
    /// Other claims.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

/// How long a token lives that somebody describes, in seconds.
const LIFETIME: u64 = 300;

impl Caller {
    /// Checks it against the configuration; what is wrong goes to `problems`.
    pub fn check(&self, path: &str, config: &Config, problems: &mut Problems) {
        let before = problems.count();
        for (index, scope) in self.scopes.iter().enumerate() {
            if !config.scopes.contains(scope) {
                let (path, message) =
                    (format!("{path}.scopes[{index}]"), format!("unknown scope `{scope}`"));
                problems.add_unknown(path, message, scope, config.scopes.iter());
            }
        }
        if self.auth_age.is_some() && self.auth_time.is_some() {
            let help = "write one of the two";
            problems.add_with_help(path, "both `auth_age` and `auth_time`", help);
        }
        if let Some(issuer) = self.issuer.as_ref().filter(|name| trusted(config, name).is_none()) {
            let message = format!("unknown issuer `{issuer}`");
            problems.add_unknown(format!("{path}.issuer"), message, issuer, issuers(config));
        }
        if problems.count() == before
            && let Err(reason) = self.verified("caller", config, Moment::current())
        {
            problems.add(path, reason);
        }
    }

    /// The caller as the filter sees it at a moment.
    ///
    /// # Errors
    /// Why no token says this.
    pub fn verified(
        &self,
        name: &str,
        config: &Config,
        at: Moment,
    ) -> Result<token::Caller, String> {
        let issuer = self.issuer.as_deref().or(issuers(config).next()).unwrap_or_default();
        let trusted = trusted(config, issuer).ok_or("the issuer is not known")?;
        let mut claims = self.claims.clone();
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set("iss", issuer.into());
        set("sub", self.subject.as_deref().unwrap_or(name).into());
        set("aud", json!(trusted.expectations.audiences));
        set("iat", at.0.into());
        set("exp", at.0.saturating_add(LIFETIME).into());
        let signed_in = match (self.auth_age, self.auth_time) {
            (Some(age), _) => Some(at.0.saturating_sub(age.as_seconds())),
            (None, time) => time.map(|time| time.0),
        };
        let expected = &trusted.expectations;
        let scopes = (!self.scopes.is_empty()).then(|| self.scopes.join(" ").into());
        for (name, value) in [
            (
                expected.client_claims.first().map(AsRef::as_ref),
                self.client.clone().map(Value::from),
            ),
            (expected.scope_claims.first().map(AsRef::as_ref), scopes),
            (Some("acr"), self.acr.clone().map(Value::from)),
            (Some("auth_time"), signed_in.map(Value::from)),
        ] {
            if let Some((name, value)) = name.zip(value) {
                set(name, value);
            }
        }
        of_claims(claims, trusted, config)
    }
}

/// The caller of a token that nobody verified.
///
/// # Errors
/// Why the text is no token of an issuer that is known.
pub fn of_token(text: &str, config: &Config) -> Result<token::Caller, String> {
    let claims = token::danger_unverified_claims(text).map_err(|error| error.to_string())?;
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let trusted = trusted(config, issuer).ok_or_else(|| {
        let known: Vec<&str> = issuers(config).collect();
        format!("unknown issuer `{}`; known are `{}`", visible(issuer), known.join("`, `"))
    })?;
    of_claims(claims, trusted, config)
}

fn of_claims(
    claims: Map<String, Value>,
    trusted: &TrustedIssuer,
    config: &Config,
) -> Result<token::Caller, String> {
    token::Caller::danger_unverified(claims, &trusted.expectations, &config.scopes)
        .map_err(|error| format!("no such token is accepted: {error}"))
}

fn trusted<'a>(config: &'a Config, name: &str) -> Option<&'a TrustedIssuer> {
    config.issuers.iter().find(|trusted| *trusted.issuer.issuer == *name)
}

fn issuers(config: &Config) -> impl Iterator<Item = &str> {
    config.issuers.iter().map(|trusted| &*trusted.issuer.issuer)
}
