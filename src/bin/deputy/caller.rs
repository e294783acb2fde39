//! Callers as people describe them, and the filter's callers made of them.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use mcp_deputy::config::{Config, Duration, Problems};
use mcp_deputy::token::{self, Expectations, TokenError, TrustedIssuer, Unverified};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::moment::Moment;
use crate::report::{Failure, Format, print_json, say_error, visible};

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

/// Why somebody is no caller.
#[derive(Debug)]
pub enum NoCaller {
    /// Their token is not one of an issuer that is known.
    Unknown(String),
    /// No token that says this is accepted: why, and what helps.
    Refused(TokenError, Option<String>),
}

impl NoCaller {
    fn refused(error: TokenError, trusted: &TrustedIssuer) -> Self {
        let help = (error == TokenError::MissingClaim("client_id")).then(|| {
            format!("the issuer's `client_claims` are {}", client_claims(&trusted.expectations))
        });
        Self::Refused(error, help)
    }

    fn why(&self) -> String {
        match self {
            Self::Unknown(why) => why.clone(),
            Self::Refused(error, Some(help)) => format!("{}; help: {help}", message(error)),
            Self::Refused(error, None) => message(error),
        }
    }

    /// Tells of it: wrong usage, where `file` says whose, or a call that is refused. For programs,
    /// `told` makes an object of the reason, the message and what helps.
    pub fn tell(
        self,
        file: Option<&Path>,
        format: Format,
        told: impl FnOnce(&str, &str, Option<&str>) -> Value,
    ) -> Failure {
        let Self::Refused(error, help) = &self else {
            let place = file.map(|file| format!("{}: ", named(file))).unwrap_or_default();
            return Failure::Usage(format!("{place}{self}"));
        };
        if format == Format::Text {
            say_error(&self.to_string());
            return Failure::NotAllowed;
        }
        let told = told(error.reason(), &message(error), help.as_deref());
        print_json(&told).err().unwrap_or(Failure::NotAllowed)
    }
}

impl fmt::Display for NoCaller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(_) => out.write_str(&self.why()),
            Self::Refused(..) => write!(out, "no such token is accepted: {}", self.why()),
        }
    }
}

/// Which claim names the client is the issuer's matter.
fn message(error: &TokenError) -> String {
    match error {
        TokenError::MissingClaim("client_id") => "the token names no client".to_owned(),
        error => error.to_string(),
    }
}

fn client_claims(expected: &Expectations) -> String {
    let names: Vec<String> =
        expected.client_claims.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

impl Caller {
    /// Checks it against the configuration; what is wrong goes to `problems`.
    pub fn check(&self, path: &str, config: &Config, problems: &mut Problems) {
        if self.check_words(path, config, problems)
            && let Err(reason) = self.verified("caller", config, Moment::current())
        {
            problems.add(path, reason.to_string());
        }
    }

    /// Checks how it is described, and says whether nothing is wrong with that; whether such a token is
    /// accepted, is another question.
    pub fn check_words(&self, path: &str, config: &Config, problems: &mut Problems) -> bool {
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
        self.check_claims(path, config, problems);
        problems.count() == before
    }

    /// No claim is overwritten in silence, and none is left out without which no token is accepted.
    fn check_claims(&self, path: &str, config: &Config, problems: &mut Problems) {
        let made = "leave it out: it is made as the issuer's tokens have it";
        for (name, help) in [
            ("iss", "write it as `issuer`, on the command line as `--issuer`"),
            ("sub", "write it as `subject`, on the command line as `--subject`"),
            ("aud", made),
            ("iat", made),
            ("exp", made),
        ] {
            if self.claims.contains_key(name) {
                let message = format!("`{name}` is not for `claims` to say");
                problems.add_with_help(format!("{path}.claims.{name}"), message, help);
            }
        }
        let Some(trusted) = self.trusted(config) else { return };
        let expected = &trusted.expectations;
        let said = [
            ("client", self.client.is_some(), expected.client_claims.first()),
            ("scopes", !self.scopes.is_empty(), expected.scope_claims.first()),
        ];
        let said = said.map(|(member, is_said, claim)| (member, is_said, claim.map(AsRef::as_ref)));
        let others = [
            ("acr", self.acr.is_some(), Some("acr")),
            ("auth_age", self.auth_age.is_some(), Some("auth_time")),
            ("auth_time", self.auth_time.is_some(), Some("auth_time")),
        ];
        for (member, is_said, claim) in said.into_iter().chain(others) {
            if let Some(claim) = claim.filter(|claim| is_said && self.claims.contains_key(*claim)) {
                let message = format!("it is said twice, by `{member}` too");
                let help = "leave out one of the two";
                problems.add_with_help(format!("{path}.claims.{claim}"), message, help);
            }
        }
        let is_there = |name: &str| self.claims.get(name).is_some_and(|value| !value.is_null());
        let mut names = expected.client_claims.iter();
        let names_client = self.client.is_some() || names.any(|name| is_there(name));
        if expected.client_required && !names_client {
            let claims = client_claims(expected);
            let message = format!(
                "a token without a client is not accepted: none of the claims {claims} is there"
            );
            let help = "name the client, on the command line with `--client`";
            problems.add_with_help(format!("{path}.client"), message, help);
        }
    }

    /// The issuer that is meant; by default the first.
    fn trusted<'a>(&self, config: &'a Config) -> Option<&'a TrustedIssuer> {
        trusted(config, self.issuer.as_deref().or(issuers(config).next())?)
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
    ) -> Result<token::Caller, NoCaller> {
        let trusted = self
            .trusted(config)
            .ok_or_else(|| NoCaller::Unknown("the issuer is not known".to_owned()))?;
        let mut claims = self.claims.clone();
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set("iss", json!(trusted.issuer.issuer));
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
        if claims.contains_key("cnf") {
            return Err(NoCaller::refused(TokenError::SenderConstrained, trusted));
        }
        of_claims(claims, trusted, config)
    }
}

/// What stands for standard input in place of a file's name.
fn is_standard_input(file: &Path) -> bool {
    file == Path::new("-")
}

fn named(file: &Path) -> String {
    match file {
        file if is_standard_input(file) => "standard input".to_owned(),
        file => format!("`{}`", file.display()),
    }
}

/// The text of a token in a file, or with `-` of standard input.
///
/// # Errors
/// It cannot be read.
pub fn read_token(file: &Path) -> Result<String, Failure> {
    if !is_standard_input(file) {
        return fs::read_to_string(file).map_err(|error| Failure::file(file, &error));
    }
    let mut text = String::new();
    let read = io::stdin().lock().read_to_string(&mut text);
    read.map_err(|error| Failure::Usage(format!("standard input: {error}")))?;
    Ok(text)
}

/// The caller of a token that nobody verified.
///
/// # Errors
/// The text is no token of an issuer that is known, or one that says what none may say.
pub fn of_token(text: &str, config: &Config) -> Result<token::Caller, NoCaller> {
    let claims = token::danger_unverified_claims(text);
    let claims = claims.map_err(|error| NoCaller::Unknown(error.to_string()))?;
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let trusted = trusted(config, issuer).ok_or_else(|| {
        let known: Vec<&str> = issuers(config).collect();
        let known = known.join("`, `");
        NoCaller::Unknown(format!("unknown issuer `{}`; known are `{known}`", visible(issuer)))
    })?;
    of_claims(claims, trusted, config)
}

/// The same, of a token that is accepted if its audience, its times and its signature are right, which
/// are not judged.
///
/// # Errors
/// As [`of_token`], and what is refused of it besides.
pub fn of_fit_token(text: &str, config: &Config) -> Result<token::Caller, NoCaller> {
    let caller = of_token(text, config)?;
    let Some(trusted) = trusted(config, &caller.claims.issuer) else { return Ok(caller) };
    let anywhere_and_ever = Expectations {
        audiences: caller.claims.audiences.clone(),
        exact_audience: false,
        max_lifetime: u64::MAX,
        leeway: u64::MAX,
        ..trusted.expectations.clone()
    };
    let (issuer, at) = (&trusted.issuer, caller.claims.issued_at);
    Unverified::parse(text)
        .and_then(|token| token.danger_claims_alone(issuer, &anywhere_and_ever, at))
        .map_err(|error| NoCaller::refused(error, trusted))?;
    Ok(caller)
}

/// Why the filter does not accept a token, in words.
pub fn refusal(error: TokenError, text: &str, config: &Config) -> String {
    let issuer = TrustedIssuer::place_of(&config.issuers, text);
    match issuer.and_then(|place| config.issuers.get(place)) {
        Some(trusted) => NoCaller::refused(error, trusted).why(),
        None => message(&error),
    }
}

fn of_claims(
    claims: Map<String, Value>,
    trusted: &TrustedIssuer,
    config: &Config,
) -> Result<token::Caller, NoCaller> {
    token::Caller::danger_unverified(claims, &trusted.expectations, &config.scopes)
        .map_err(|error| NoCaller::refused(error, trusted))
}

fn trusted<'a>(config: &'a Config, name: &str) -> Option<&'a TrustedIssuer> {
    config.issuers.iter().find(|trusted| *trusted.issuer.issuer == *name)
}

fn issuers(config: &Config) -> impl Iterator<Item = &str> {
    config.issuers.iter().map(|trusted| &*trusted.issuer.issuer)
}
