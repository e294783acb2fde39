//! `deputy exchange`: what would be asked of the authorization server for a call, and what comes of
//! it.

mod attempt;
mod reply;
mod request;
mod server;
mod signer;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Args;
use mcp_deputy::answer::Refusal;
use mcp_deputy::config::{Duration, Endpoint, Problems};
use mcp_deputy::exchange::source::{ClientAuthentication, Exchange as Section, Secret};
use mcp_deputy::exchange::{Settings, Target};
use mcp_deputy::token::{
    BearerToken, Caller, Callers, PureRust, TokenError, TrustedIssuer, is_scope_token,
};
use serde_json::{Map, Value, json};
use ureq::http::Uri;

use crate::call::{Arguments, Call, What};
use crate::caller::{self, read_token};
use crate::judge::Judge;
use crate::moment::Moment;
use crate::place::Place;
use crate::report::{EXIT_CODES, Failure, Format, HELP, print, print_json, say, warn};
use crate::source::{Source, SourceArguments};
use crate::yaml;
use attempt::{Attempt, clock};
use server::Server;
use signer::NativeSigner;

/// Show what would be asked of the authorization server for a token and a tool, or ask it
///
/// The request is the filter's own, and so are the checks of the reply. Tokens and secrets are shown
/// by their length and the head of their SHA-256.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Exchange {
    #[command(flatten)]
    source: SourceArguments,
    /// A file with the caller's access token, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    token: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    what: Wanted,
    /// The arguments of the tool
    #[arg(long, value_name = "JSON", requires = "tool", conflicts_with_all = ["audience", "scope"])]
    arguments: Option<Arguments>,
    /// The longest lifetime that is accepted
    #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = lifetime)]
    #[arg(conflicts_with = "tool")]
    lifetime: Duration,
    #[command(flatten)]
    credentials: Credentials,
    /// The token endpoint as it is reached from here; by default at the address of its cluster in
    /// `envoy.clusters`
    #[arg(long, value_name = "URL", value_parser = url)]
    url: Option<String>,
    /// Send nothing: this is the default
    #[arg(long)]
    dry_run: bool,
    /// Send it, and check the reply
    #[arg(long, conflicts_with = "dry_run")]
    send: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What the token is exchanged for.
#[derive(Args)]
#[group(required = true, multiple = true)]
struct Wanted {
    /// What the rule for this tool delegates
    #[arg(long, value_name = "NAME", conflicts_with_all = ["audience", "scope"])]
    tool: Option<String>,
    /// This audience
    #[arg(long, value_name = "AUDIENCE", requires = "scope", value_parser = audience)]
    #[arg(conflicts_with_all = ["policy", "endpoint"])]
    audience: Option<String>,
    /// This scope
    #[arg(long, value_name = "SCOPE", requires = "audience", value_parser = scope)]
    scope: Option<String>,
}

/// What stands for the credentials that Envoy adds, which the filter never sees.
#[derive(Args)]
#[group(multiple = false)]
struct Credentials {
    /// The variable with the client secret that Envoy adds, for HTTP Basic
    #[arg(long, value_name = "VARIABLE")]
    client_secret_from_environment: Option<String>,
    /// The file from which Envoy takes the credentials that it adds
    #[arg(long, value_name = "FILE")]
    sds_file: Option<PathBuf>,
}

impl Exchange {
    /// Runs the command.
    ///
    /// # Errors
    /// No delegation token comes of it; the policy does not allow the call; or the configuration has
    /// errors, or cannot be read.
    pub fn run(self) -> Result<(), Failure> {
        let format = self.format;
        self.exchange().map_err(|failure| format.tell(failure))
    }

    fn exchange(self) -> Result<(), Failure> {
        let source = self.source.read()?;
        let judge = self.place.judge(&source).ok();
        let endpoint = judge.as_ref().and_then(Judge::endpoint);
        let (caller, mut warnings) = read_caller(&self.token, &source, endpoint, self.format)?;
        let arguments = self.arguments.map(|Arguments(members)| members).unwrap_or_default();
        let asked = Asked { arguments, lifetime: self.lifetime, format: self.format };
        let target = self.what.target(&self.place, asked, &source, &caller)?;
        let section = section(&source.typed.exchange, &target);
        let authorization = self.credentials.authorization(&section)?;
        let with_secret = self.credentials.applied(&source.typed.exchange);
        let mut problems = Problems::default();
        let read = |name: &str| env::var(name).ok();
        let settings =
            Settings::compile(&with_secret, &source.config.issuers, Some(&read), &mut problems);
        // The rest of it was checked with the whole: these are secrets that are not there.
        let (Some(settings), true) = (settings, problems.is_empty() || !self.send) else {
            return Err(Failure::usage(problems));
        };
        if self.send && !settings.can_sign(&NativeSigner) {
            let message =
                "`exchange.client_authentication.private_key_jwt`: cannot sign by this key";
            return Err(Failure::Usage(message.to_owned()));
        }
        warnings.extend(problems.into_errors().into_iter().map(|problem| problem.to_string()));
        let server = Server::new(self.url, &source, authorization);
        let is_injected = self.credentials.client_secret_from_environment.is_none()
            && section.authentication() == ClientAuthentication::Injected;
        if is_injected && self.send && !server.has_credentials() {
            warnings.push(
                "Envoy adds the credentials, and there is none here; help: name its file with \
                 `--sds-file`, or the secret with `--client-secret-from-environment`"
                    .to_owned(),
            );
        }
        if self.send {
            warnings.extend(server.warning().cloned());
            warnings.extend(lacks_keys(&settings, &target, &source));
        }
        let attempt = Attempt { settings: &settings, caller, target, server, is_injected };
        let report = attempt.make(self.send)?;
        match self.format {
            Format::Text => {
                warnings.iter().map(String::as_str).for_each(warn);
                print(&report.text())?;
            }
            Format::Json => print_json(&report.json(&warnings))?,
        }
        if report.is_good() { Ok(()) } else { Err(Failure::NotDelegated) }
    }
}

/// A scope, as a rule may write it.
fn scope(text: &str) -> Result<String, String> {
    let help = "a delegation has exactly one scope, without spaces (RFC 6749 section 3.3)";
    let is_scope = is_scope_token(text);
    is_scope.then(|| text.to_owned()).ok_or_else(|| format!("it is not a scope; help: {help}"))
}

/// An audience, as a policy may write it.
fn audience(text: &str) -> Result<String, String> {
    let is_audience =
        !text.is_empty() && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    is_audience.then(|| text.to_owned()).ok_or_else(|| "it is not an audience".to_owned())
}

/// A lifetime, as a policy may write it.
fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime: Duration = text.parse()?;
    let seconds = lifetime.as_seconds();
    let is_whole = seconds > 0 && lifetime.as_std().subsec_nanos() == 0;
    let help = "tokens count whole seconds, so write at least `1s`";
    is_whole.then_some(lifetime).ok_or_else(|| format!("it is not a token lifetime; help: {help}"))
}

/// The URL of a token endpoint, which has no fragment (RFC 6749 section 3.2).
fn url(text: &str) -> Result<String, String> {
    let is_url = text.parse().is_ok_and(|url: Uri| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
    });
    let help = "write it like `https://login.example.com/token`";
    let is_url = is_url && !text.contains('#');
    is_url
        .then(|| text.to_owned())
        .ok_or_else(|| format!("it is not an http or https URL; help: {help}"))
}

/// For programs, where nothing is asked since the call is not allowed.
fn denied(reason: &str, message: &str, help: Option<&str>) -> Value {
    json!({"outcome": "denied", "reason": reason, "detail": message, "help": help})
}

/// What is told where the keys by which the reply is verified are known to the filter alone.
fn lacks_keys(settings: &Settings, target: &Target, source: &Source) -> Option<String> {
    let name = &settings.profile(target)?.1.issuer.issuer;
    let mut issuers = source.typed.issuers.iter();
    let place = issuers.position(|issuer| *issuer.issuer == **name && issuer.jwks.is_none())?;
    Some(format!(
        "the filter fetches the keys of `{name}`, and there are none here; help: write them with \
         `deputy keys fetch`, and add `--set issuers[{place}].jwks_file=FILE`"
    ))
}

/// The caller, and what the filter would not accept, at this endpoint if it is known.
fn read_caller(
    file: &Path,
    source: &Source,
    endpoint: Option<&Endpoint>,
    format: Format,
) -> Result<(Rc<Caller>, Vec<String>), Failure> {
    let text = read_token(file)?;
    let text = text.trim();
    let config = &source.config;
    let verified = Callers::new(config.limits.tokens(), Rc::new(PureRust)).verify(
        text,
        &config.issuers,
        &config.scopes,
        clock(),
    );
    let is_here = |caller: &Rc<Caller>| endpoint.is_none_or(|one| caller.is_for(one.place));
    let verified = verified.and_then(|caller| {
        if is_here(&caller) { Ok(caller) } else { Err(TokenError::WrongAudience) }
    });
    verified.map(|caller| (caller, Vec::new())).or_else(|error| {
        let mut caller =
            caller::of_token(text, config).map_err(|why| why.tell(Some(file), format, denied))?;
        caller.token = BearerToken::new(text);
        let issuer = TrustedIssuer::place_of(&config.issuers, text);
        let issuer = issuer.and_then(|place| config.issuers.get(place));
        let fetches = issuer.is_some_and(|issuer| issuer.remote_jwks.is_some());
        let warning = if fetches && error == TokenError::UnknownKey {
            "the caller's token is not verified: the filter fetches the issuer's keys".to_owned()
        } else {
            let why = caller::refusal(error, text, config);
            format!("the filter does not accept the caller's token: {why}")
        };
        Ok((Rc::new(caller), vec![warning]))
    })
}

/// What holds for a target.
fn section(exchange: &Section, target: &Target) -> Section {
    let mut resolved = exchange.resolved().into_iter();
    let all = resolved.next().map(|(_, all)| all).unwrap_or_default();
    let own = resolved.find(|(audience, _)| *audience == Some(&*target.audience));
    own.map_or(all, |(_, own)| own)
}

/// How it is asked, and how it is told.
struct Asked {
    arguments: Map<String, Value>,
    lifetime: Duration,
    format: Format,
}

impl Wanted {
    fn target(
        self,
        place: &Place,
        asked: Asked,
        source: &Source,
        caller: &Caller,
    ) -> Result<Rc<Target>, Failure> {
        if let (Some(audience), Some(scope)) = (&self.audience, &self.scope) {
            return Ok(Rc::new(Target {
                scope: scope.as_str().into(),
                audience: audience.as_str().into(),
                max_lifetime: asked.lifetime.as_seconds(),
                cache: false,
                authorization_details: None,
            }));
        }
        let what = What::Tool(self.tool.unwrap_or_default());
        let judge = place.judge(source)?;
        let call = Call { what, arguments: asked.arguments };
        match call.judge(&judge, caller, Moment::current()).result {
            Ok(permit) => permit.target().map(Rc::clone).ok_or_else(|| {
                Failure::Usage(format!("{call} goes up without a token: nothing is exchanged"))
            }),
            Err(refusal) => {
                let why = match &refusal {
                    Refusal::Denied(denial) => denial.message.to_string(),
                    refusal => refusal.reason().to_owned(),
                };
                let help = "`deputy explain` says by which rule";
                if asked.format == Format::Json {
                    print_json(&denied(refusal.reason(), &why, Some(help)))?;
                } else {
                    say(format!("nothing is exchanged, since {call} is not allowed: {why}"));
                    say(format!("  {HELP}help{HELP:#}: {help}"));
                }
                Err(Failure::NotAllowed)
            }
        }
    }
}

impl Credentials {
    /// The configuration with the secret that is at hand in the place of the one that Envoy adds.
    fn applied(&self, exchange: &Section) -> Section {
        let Some(name) = &self.client_secret_from_environment else { return exchange.clone() };
        let apply = |section: &Section| {
            let mut section = section.clone();
            let secret = Secret { from_environment: name.clone() };
            if section.authentication() == ClientAuthentication::Injected {
                section.client_authentication =
                    Some(ClientAuthentication::ClientSecretBasic(secret));
            }
            section
        };
        let targets = exchange.targets.iter();
        let targets = targets.map(|(audience, target)| {
            let is_said = target.client_authentication.is_some();
            (audience.clone(), if is_said { apply(target) } else { target.clone() })
        });
        Section { targets: targets.collect(), ..apply(exchange) }
    }

    /// The value of the header `Authorization` that Envoy adds.
    fn authorization(&self, section: &Section) -> Result<Option<String>, Failure> {
        let is_given = self.client_secret_from_environment.is_some() || self.sds_file.is_some();
        if is_given && section.authentication() != ClientAuthentication::Injected {
            let message = "`exchange.client_authentication` says how this gateway authenticates";
            let help = "leave out `--sds-file` and `--client-secret-from-environment`";
            return Err(Failure::Usage(format!("{message}; help: {help}")));
        }
        let Some(file) = &self.sds_file else { return Ok(None) };
        let text = fs::read_to_string(file).map_err(|error| Failure::file(file, &error))?;
        // What is wrong with it may quote it, and it holds a secret.
        let document = yaml::value(&text).unwrap_or_default();
        let secret = document.pointer("/resources/0/generic_secret/secret/inline_string");
        let secret = secret.and_then(Value::as_str).map(str::to_owned);
        secret.map(Some).ok_or_else(|| {
            let message = "has no `generic_secret` with an `inline_string`";
            Failure::Usage(format!("`{}` {message}", file.display()))
        })
    }
}
