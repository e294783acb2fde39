//! What went wrong, for people and for programs.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::eprintln;
use anstyle::{AnsiColor, Style};
use mcp_deputy::config::ConfigError;
use serde_json::{Value, json};

/// What every command says of its end.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done, and nothing is wrong
  1  wrong usage, or a file that cannot be read or written
  2  the configuration has errors
  3  `render --check`: a rendered file is not what the configuration says
  10 `diff`: something opens
  11 `diff`: something changes, and nothing opens";

/// Why a command did not do what it was asked.
pub enum Failure {
    /// Wrong usage, or a file that cannot be read or written.
    Usage(String),
    /// The configuration has errors.
    Configuration(Vec<Diagnostic>),
    /// The same, where they have been told already.
    Told,
    /// These files are not what the configuration says.
    Stale(Vec<PathBuf>),
    /// Two configurations do not mean the same, which has been told already.
    Differs {
        /// Whether the second allows what the first does not.
        opens: bool,
    },
}

impl Failure {
    /// A file that cannot be used, and why.
    pub fn file(path: &Path, error: &io::Error) -> Self {
        Self::Usage(format!("`{}`: {}", path.display(), reason(error)))
    }

    /// Tells what is wrong.
    pub fn report(self) -> ExitCode {
        let error = AnsiColor::Red.on_default().bold();
        match self {
            Self::Usage(message) => {
                eprintln!("{error}error{error:#}: {message}");
                ExitCode::from(1)
            }
            Self::Configuration(diagnostics) => {
                diagnostics.iter().for_each(Diagnostic::print_error);
                ExitCode::from(2)
            }
            Self::Told => ExitCode::from(2),
            Self::Differs { opens } => ExitCode::from(if opens { 10 } else { 11 }),
            Self::Stale(files) => {
                for file in files {
                    eprintln!("{error}error{error:#}: `{}` is stale", file.display());
                }
                eprintln!("  {HELP}help{HELP:#}: run `deputy render`");
                ExitCode::from(3)
            }
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

const HELP: Style = AnsiColor::Cyan.on_default();

/// A problem and the file where it is mended.
pub struct Diagnostic {
    /// The file.
    pub file: PathBuf,
    /// The problem.
    pub problem: ConfigError,
}

impl Diagnostic {
    /// Prints it as an error.
    pub fn print_error(&self) {
        self.print("error", AnsiColor::Red.on_default().bold());
    }

    /// Prints it as a warning.
    pub fn print_warning(&self) {
        self.print("warning", AnsiColor::Yellow.on_default().bold());
    }

    fn print(&self, severity: &str, style: Style) {
        let ConfigError { path, message, help } = &self.problem;
        let colon = if path.is_empty() { "" } else { ": " };
        eprintln!("{style}{severity}{style:#}: {path}{colon}{message}");
        eprintln!("  {HELP}-->{HELP:#} {}", self.file.display());
        if let Some(help) = help {
            eprintln!("  {HELP}help{HELP:#}: {help}");
        }
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let ConfigError { path, message, help } = &self.problem;
        json!({"file": self.file, "path": path, "message": message, "help": help})
    }
}
