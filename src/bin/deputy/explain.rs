//! `deputy explain`: why is a call allowed or denied, by which rule, and what would help?

mod explanation;
mod requirement;

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use mcp_deputy::config::{Duration, Problems};
use mcp_deputy::token;
use serde_json::{Map, Value, json};

use crate::call::{Arguments, Call, What};
use crate::caller::{self, Caller, read_token};
use crate::cases::Cases;
use crate::moment::Moment;
use crate::place::Place;
use crate::report::{Diagnostic, EXIT_CODES, Failure, Format, print, print_json, warn};
use crate::source::{Source, SourceArguments};
use explanation::Explanation;

/// Tell why a call is allowed or denied, by which rule, and what would help
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Explain {
    #[command(flatten)]
    source: SourceArguments,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    what: Named,
    /// The arguments of the tool or prompt
    #[arg(long, value_name = "JSON", help_heading = "The call")]
    arguments: Option<Arguments>,
    /// When, as in `2026-12-31T23:59:59Z`; by default now
    #[arg(long, value_name = "TIME", help_heading = "The call")]
    at: Option<Moment>,
    #[command(flatten)]
    who: Who,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What is asked for.
#[derive(Args)]
#[group(required = true, multiple = false)]
#[command(next_help_heading = "The call")]
struct Named {
    /// The tool that is called
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// The prompt that is got
    #[arg(long, value_name = "NAME")]
    prompt: Option<String>,
    /// The resource that is read
    #[arg(long, value_name = "URI")]
    resource: Option<String>,
    /// The method, if it has no object
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
}

/// Who asks: somebody with a name, with a token, or with what the other options say.
#[derive(Args)]
#[command(next_help_heading = "The caller")]
struct Who {
    /// A caller of `policies/NAME.test.yaml`
    #[arg(long, value_name = "NAME", conflicts_with_all = DESCRIPTION)]
    caller: Option<String>,
    /// A file with an access token, or `-` for standard input; it is read and not verified
    #[arg(long, value_name = "FILE", conflicts_with = "caller", conflicts_with_all = DESCRIPTION)]
    token: Option<PathBuf>,
    /// A scope of the token; may stand several times
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// The client that the token was issued to
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// The user
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// The issuer; by default the first that is configured
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Another claim, JSON or else a string: `groups=["a","b"]`; may stand several times
    #[arg(long, value_name = "NAME=VALUE")]
    claim: Vec<Claim>,
    /// The authentication context class
    #[arg(long, value_name = "CLASS")]
    acr: Option<String>,
    /// How long ago the user signed in: `5m`
    #[arg(long, value_name = "DURATION")]
    auth_age: Option<Duration>,
}

const DESCRIPTION: [&str; 7] = ["scope", "client", "subject", "issuer", "claim", "acr", "auth_age"];

/// A claim on the command line.
#[derive(Clone)]
struct Claim(String, Value);

impl FromStr for Claim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("write it like `department=finance`")?;
        let json = serde_json::from_str(value);
        Ok(Self(name.to_owned(), json.unwrap_or_else(|_| Value::from(value))))
    }
}

impl Explain {
    /// Runs the command.
    ///
    /// # Errors
    /// The call is not allowed; or the configuration has errors, or cannot be read.
    pub fn run(self) -> Result<(), Failure> {
        let format = self.format;
        self.explain().map_err(|failure| format.tell(failure))
    }

    fn explain(self) -> Result<(), Failure> {
        let Self { source, place, what, arguments, at, who, format } = self;
        let source = source.read()?;
        let judge = place.judge(&source)?;
        let at = at.unwrap_or_else(Moment::current);
        let call = what.call(arguments)?;
        let unverified = who.token.is_some();
        let caller = who.caller(&source, judge.name, at, format)?;
        if matches!(call.what, What::Method(method) if method.tells_of_a_request()) {
            warn("outside a session, such a message is answered with 202 and does not go upstream");
        }
        let explanation = Explanation::new(&judge, &source, &call, &caller, at);
        match format {
            Format::Text => {
                if unverified {
                    warn(
                        "the token is read, not verified: its signature, audience and times are \
                         not judged",
                    );
                }
                print(&explanation.text())?;
            }
            Format::Json => print_json(&explanation.json(unverified))?,
        }
        if explanation.is_allowed() { Ok(()) } else { Err(Failure::NotAllowed) }
    }
}

impl Named {
    fn call(self, arguments: Option<Arguments>) -> Result<Call, Failure> {
        let mut problems = Problems::default();
        let has_arguments = self.tool.is_some() || self.prompt.is_some();
        if arguments.is_some() && !has_arguments {
            problems.add("--arguments", "only tools and prompts have arguments");
        }
        let what = match self {
            Self { tool: Some(name), .. } => Some(What::Tool(name)),
            Self { prompt: Some(name), .. } => Some(What::Prompt(name)),
            Self { resource: Some(uri), .. } => Some(What::Resource(uri)),
            Self { method, .. } => What::method(&method.unwrap_or_default(), "", &mut problems),
        };
        let arguments = arguments.map(|Arguments(members)| members).unwrap_or_default();
        match what {
            Some(what) if problems.is_empty() => Ok(Call { what, arguments }),
            _ => Err(Failure::usage(problems)),
        }
    }
}

impl Who {
    fn caller(
        self,
        source: &Source,
        policy: &str,
        at: Moment,
        format: Format,
    ) -> Result<token::Caller, Failure> {
        let config = &source.config;
        if let Some(file) = &self.token {
            let caller = caller::of_fit_token(read_token(file)?.trim(), config);
            return caller.map_err(|why| why.tell(Some(file), format, refused));
        }
        let (name, caller) = match &self.caller {
            Some(name) => (name.as_str(), described(source, policy, name)?),
            None => ("somebody", self.description()?),
        };
        let mut problems = Problems::default();
        if !caller.check_words("caller", config, &mut problems) {
            return Err(Failure::usage(problems));
        }
        caller.verified(name, config, at).map_err(|why| why.tell(None, format, refused))
    }

    fn description(self) -> Result<Caller, Failure> {
        let Self { scope, client, subject, issuer, claim, acr, auth_age, .. } = self;
        let mut problems = Problems::default();
        let mut claims = Map::new();
        for Claim(name, value) in claim {
            if claims.contains_key(&name) {
                let help = "leave out one of the two";
                problems.add_with_help("--claim", format!("`{name}` is said twice"), help);
            }
            claims.insert(name, value);
        }
        if !problems.is_empty() {
            return Err(Failure::usage(problems));
        }
        let scopes = scope;
        Ok(Caller { issuer, subject, client, scopes, acr, auth_age, claims, ..Caller::default() })
    }
}

/// For programs, where there is no caller to judge.
fn refused(reason: &str, message: &str, help: Option<&str>) -> Value {
    json!({"decision": "refuse", "reason": reason, "message": message, "help": help})
}

/// A caller from the file of the policy's decision cases.
fn described(source: &Source, policy: &str, name: &str) -> Result<Caller, Failure> {
    let file = source.cases(policy);
    let Some(file) = file.filter(|file| file.exists()) else {
        return Err(Failure::Usage(format!("`{policy}` has no file with callers")));
    };
    let mut cases = Cases::read(&file)
        .map_err(|errors| Failure::Configuration(Diagnostic::all_in(&file, errors.0)))?;
    cases.callers.remove(name).ok_or_else(|| {
        let mut problems = Problems::default();
        let known = cases.callers.keys().map(String::as_str);
        problems.add_unknown("", format!("unknown caller `{name}`"), name, known);
        Failure::usage(problems)
    })
}
