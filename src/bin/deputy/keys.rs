//! `deputy keys`: the public keys of issuers.

mod discovery;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use mcp_deputy::config::Duration;
use mcp_deputy::token::KeyProblem;
use serde_json::{Value, json};

use crate::file;
use crate::report::{EXIT_CODES, Failure, Format, count, print, print_json, say, warn};
use discovery::{Discovery, Found};

/// Look after the public keys of issuers
#[derive(Subcommand)]
#[command(after_help = EXIT_CODES)]
pub enum Keys {
    Fetch(Fetch),
}

impl Keys {
    /// Runs the command.
    ///
    /// # Errors
    /// Those of the command.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Fetch(command) => command.run(),
        }
    }
}

/// Fetch an issuer's public keys, for `jwks_file`
///
/// The issuer's metadata (RFC 8414, OpenID Connect Discovery) says where they are, and must name the
/// issuer as it is named here. Keys that the filter would not use are left out, each with the reason.
/// Nothing is written if none is left, or if the file holds the same already.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Fetch {
    /// The issuer, as its tokens have it in `iss`: `https://login.example.com`
    issuer: String,
    /// The file to write, in one move; without it, the keys are printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How long to wait for each answer
    #[arg(long, default_value = "10s", value_name = "DURATION")]
    timeout: Duration,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Fetch {
    fn run(self) -> Result<(), Failure> {
        let discovery = Discovery::new(&self.issuer, self.timeout.as_std())?;
        let found = match discovery.fetch() {
            Ok(found) => found,
            Err(reason) => {
                if self.format == Format::Json {
                    let told =
                        json!({"outcome": "refused", "issuer": self.issuer, "reason": reason});
                    print_json(&told)?;
                }
                let message = format!("no usable keys of `{}`: {reason}", self.issuer);
                return Err(Failure::NoKeys(message));
            }
        };
        let outcome = match &self.out {
            Some(path) => write(path, &found.keys)?,
            None => "fetched",
        };
        match self.format {
            Format::Text => self.tell(&found, outcome),
            Format::Json => print_json(&self.json(&found, outcome)),
        }
    }

    fn tell(&self, found: &Found, outcome: &str) -> Result<(), Failure> {
        for problem in &found.skipped {
            warn(&format!("key skipped: {problem}"));
        }
        let number = count(found.number(), "key");
        match &self.out {
            Some(path) => {
                say(format!("{}: {outcome}, {number} of {}", path.display(), self.issuer));
            }
            None => print(&text(&found.keys))?,
        }
        Ok(())
    }

    fn json(&self, found: &Found, outcome: &str) -> Value {
        let skipped = |problem: &KeyProblem| {
            let KeyProblem { index, kid, reason } = problem;
            json!({"index": index, "kid": kid, "reason": reason.to_string()})
        };
        json!({
            "outcome": outcome,
            "issuer": self.issuer,
            "metadata": found.metadata,
            "jwks_uri": found.jwks_uri,
            "file": self.out,
            "skipped": found.skipped.iter().map(skipped).collect::<Vec<_>>(),
            "jwks": found.keys,
        })
    }
}

fn text(keys: &Value) -> String {
    format!("{keys:#}\n")
}

/// Puts the keys where they are not yet, and says what was done.
fn write(path: &Path, keys: &Value) -> Result<&'static str, Failure> {
    let before = fs::read(path).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    if before.as_ref() == Some(keys) {
        return Ok("unchanged");
    }
    file::replace(path, text(keys).as_bytes()).map_err(|error| Failure::file(path, &error))?;
    Ok("written")
}
