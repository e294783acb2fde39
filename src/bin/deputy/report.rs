//! What went wrong, for people and for programs.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use mcp_deputy::audit::is_hidden;
use mcp_deputy::config::{ConfigError, ConfigErrors, Problems};
use serde_json::{Value, json};

/// What every command says of its end.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done, and nothing is wrong
  1  wrong usage, or a file that cannot be read or written
  2  the configuration, or a file of decision cases, has errors
  3  `render --check`: a rendered file is not what the configuration says
     `push`: the buffer in the rendered `envoy.yaml` is too small for the configuration
  4  `explain`, `exchange`: the call is not allowed
  5  `test`: a case fails, or a rule is not covered
  8  `push --admin`: Envoy refused the configuration, or did not take it in time
  9  `shadow report --fail-on-any`: rules in shadow would have denied something
  10 `diff`: something opens, or may, or is revealed
  11 `diff`: something changes, and nothing opens
  12 `exchange`: it is refused, or a check of the reply fails
  13 `keys fetch`: no usable keys came";

/// How a command prints its result.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs, one JSON object on standard output
    Json,
}

impl Format {
    /// Tells programs of errors in the configuration; other failures are left for the end.
    pub fn tell(self, failure: Failure) -> Failure {
        match (self, failure) {
            (Self::Json, Failure::Configuration(errors)) => {
                let told = json!({"errors": Diagnostic::all(&errors), "warnings": []});
                print_json(&told).err().unwrap_or(Failure::Told)
            }
            (_, failure) => failure,
        }
    }
}

/// What goes well.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();

/// What does not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// What is odd.
pub const ODD: Style = AnsiColor::Yellow.on_default().bold();

/// What helps to find one's way.
pub const HELP: Style = AnsiColor::Cyan.on_default();

/// A number of things.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Why a command did not do what it was asked.
pub enum Failure {
    /// Wrong usage, or a file that cannot be read or written.
    Usage(String),
    /// The configuration has errors.
    Configuration(Vec<Diagnostic>),
    /// The same, where they have been told already.
    Told,
    /// The call that was asked about is not allowed.
    NotAllowed,
    /// A decision case fails, or a rule has none.
    Cases,
    /// These files are not what the configuration says.
    Stale(Vec<PathBuf>),
    /// Envoy was started with too little room for what the configuration lets in.
    SmallBuffer(String),
    /// Envoy does not serve what was pushed.
    NotTaken(String),
    /// Rules in shadow would have denied something.
    WouldDeny,
    /// The exchange gives no delegation token, which has been told already.
    NotDelegated,
    /// No usable keys of an issuer came, and why.
    NoKeys(String),
    /// Two configurations do not mean the same, which has been told already.
    Differs {
        /// Whether the second allows what the first does not.
        opens: bool,
    },
}

/// Prints a result whole. Who reads it may stop before its end.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Usage(format!("standard output: {}", reason(&error))))
        }
        _ => Ok(()),
    }
}

/// Prints a result for programs.
pub fn print_json(value: &Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

/// Tells people something on standard error. Where that cannot be written, nobody can be told.
pub fn say(line: impl Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Tells people of something odd, which may end with its help.
pub fn warn(message: &str) {
    say_with_help("warning", ODD, message);
}

fn say_with_help(severity: &str, style: Style, message: &str) {
    let (what, help) = message.split_once("; help: ").unwrap_or((message, ""));
    say(format!("{style}{severity}{style:#}: {what}"));
    if !help.is_empty() {
        say(format!("  {HELP}help{HELP:#}: {help}"));
    }
}

/// Tells people of an error, which may end with its help.
pub fn say_error(message: &str) {
    say_with_help("error", BAD, message);
}

impl Failure {
    /// A file that cannot be used, and why.
    pub fn file(path: &Path, error: &io::Error) -> Self {
        Self::Usage(format!("`{}`: {}", path.display(), reason(error)))
    }

    /// Wrong usage, in the words of the configuration's errors.
    pub fn usage(problems: Problems) -> Self {
        Self::Usage(ConfigErrors(problems.into_errors()).to_string())
    }

    /// Tells what is wrong.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Usage(message) => {
                message.lines().for_each(say_error);
                ExitCode::from(1)
            }
            Self::Configuration(diagnostics) => {
                diagnostics.iter().for_each(Diagnostic::print_error);
                ExitCode::from(2)
            }
            Self::Told => ExitCode::from(2),
            Self::NotAllowed => ExitCode::from(4),
            Self::Cases => ExitCode::from(5),
            Self::Differs { opens } => ExitCode::from(if opens { 10 } else { 11 }),
            Self::Stale(files) => {
                for file in files {
                    say_error(&format!("`{}` is stale", file.display()));
                }
                say(format!("  {HELP}help{HELP:#}: run `deputy render`"));
                ExitCode::from(3)
            }
            Self::SmallBuffer(message) => {
                say_error(&message);
                ExitCode::from(3)
            }
            Self::NotTaken(message) => {
                say_error(&message);
                ExitCode::from(8)
            }
            Self::NotDelegated => ExitCode::from(12),
            Self::NoKeys(message) => {
                say_error(&message);
                ExitCode::from(13)
            }
            Self::WouldDeny => ExitCode::from(9),
        }
    }
}

/// Why a file cannot be used, in the words of the other messages.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// A text of somebody else's, with what a terminal or a page would obey, or not show, written out.
pub fn visible(text: &str) -> String {
    let written =
        |c: char| if is_hidden(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(written).collect()
}

/// A value as people write it, a string without its quotes.
pub fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A problem and the file where it is mended.
pub struct Diagnostic {
    /// The file.
    pub file: PathBuf,
    /// The problem.
    pub problem: ConfigError,
}

impl Diagnostic {
    /// All that is wrong in one file.
    pub fn all_in(file: &Path, problems: impl IntoIterator<Item = ConfigError>) -> Vec<Self> {
        let located = |problem| Self { file: file.to_owned(), problem };
        problems.into_iter().map(located).collect()
    }

    /// Prints it as an error.
    pub fn print_error(&self) {
        self.print("error", BAD);
    }

    /// Prints it as a warning.
    pub fn print_warning(&self) {
        self.print("warning", ODD);
    }

    fn print(&self, severity: &str, style: Style) {
        let ConfigError { path, message, help } = &self.problem;
        let colon = if path.is_empty() { "" } else { ": " };
        say(format!("{style}{severity}{style:#}: {path}{colon}{message}"));
        say(format!("  {HELP}-->{HELP:#} {}", self.file.display()));
        if let Some(help) = help {
            say(format!("  {HELP}help{HELP:#}: {help}"));
        }
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let ConfigError { path, message, help } = &self.problem;
        json!({"file": self.file, "path": path, "message": message, "help": help})
    }

    /// Several for programs.
    pub fn all(several: &[Self]) -> Value {
        several.iter().map(Self::json).collect()
    }
}
