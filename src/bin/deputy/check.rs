//! `deputy check`: is the configuration sound?

use clap::Args;
use serde_json::json;

use crate::report::{Diagnostic, EXIT_CODES, Failure, Format, count, print_json, say};
use crate::source::SourceArguments;

/// Check the configuration and print every error with its path
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Check {
    #[command(flatten)]
    source: SourceArguments,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Check {
    /// Runs the command.
    ///
    /// # Errors
    /// The configuration has errors, or cannot be read.
    pub fn run(self) -> Result<(), Failure> {
        let (errors, warnings, summary) = match self.source.read() {
            Ok(source) => {
                let endpoints = source.config.endpoints.len();
                let summary = format!("fine, {}", count(endpoints, "endpoint"));
                (Vec::new(), source.warnings, summary)
            }
            Err(Failure::Configuration(errors)) => {
                let summary = count(errors.len(), "error");
                (errors, Vec::new(), summary)
            }
            Err(failure) => return Err(failure),
        };
        match self.format {
            Format::Text => {
                errors.iter().for_each(Diagnostic::print_error);
                warnings.iter().for_each(Diagnostic::print_warning);
                let odd = if warnings.is_empty() {
                    String::new()
                } else {
                    format!(", {}", count(warnings.len(), "warning"))
                };
                say(format!("{}: {summary}{odd}", self.source.file().display()));
            }
            Format::Json => {
                let [errors, warnings] = [&errors, &warnings].map(|list| Diagnostic::all(list));
                print_json(&json!({"errors": errors, "warnings": warnings}))?;
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Failure::Told) }
    }
}
