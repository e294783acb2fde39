//! `deputy render`: the configuration as Envoy takes it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::envoy::{BOOTSTRAP, bootstrap, filter};
use crate::file;
use crate::report::{Diagnostic, EXIT_CODES, Failure, Format, print_json, say};
use crate::source::SourceArguments;

/// Write `envoy.yaml`, a whole Envoy bootstrap, and `filter.yaml`, the filter that Envoy watches
///
/// The filter's file is called as `envoy.filter` calls it.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Render {
    #[command(flatten)]
    source: SourceArguments,
    /// Where to write the two files
    #[arg(long, default_value = ".", value_name = "DIR")]
    out: PathBuf,
    /// Write nothing; fail with 3 if a file is not what would be written
    #[arg(long, conflicts_with = "json")]
    check: bool,
    /// Write no files; print the filter's configuration as JSON, for Istio and others
    #[arg(long)]
    json: bool,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "json")]
    format: Format,
}

impl Render {
    /// Runs the command.
    ///
    /// # Errors
    /// The configuration has errors, a file cannot be read or written, or is stale.
    pub fn run(self) -> Result<(), Failure> {
        let format = self.format;
        let source = self.source.read().map_err(|failure| format.tell(failure))?;
        if format == Format::Text {
            source.warnings.iter().for_each(Diagnostic::print_warning);
        }
        if self.json {
            return print_json(&source.pushed);
        }
        let envoy = source.rendered_envoy()?;
        // The filter last: Envoy watches it, and takes it up as soon as it is there.
        let files = [
            (Path::new(BOOTSTRAP), bootstrap::render(envoy, &source.typed)),
            (envoy.filter_file(), filter::render(envoy, &source.pushed, &source.typed).text),
        ]
        .map(|(name, text)| (self.out.join(name), text));
        // What is as it should be is left alone, so that Envoy does not look at it again.
        let is_stale = |(path, text): &(PathBuf, String)| {
            fs::read_to_string(path).map_or(true, |found| found != *text)
        };
        let stale: Vec<(PathBuf, String)> = files.into_iter().filter(is_stale).collect();
        let warnings = Diagnostic::all(&source.warnings);
        let names: Vec<&Path> = stale.iter().map(|(path, _)| path.as_path()).collect();
        if self.check {
            if format == Format::Json {
                print_json(&json!({"stale": names, "errors": [], "warnings": warnings}))?;
            }
            return if stale.is_empty() {
                Ok(())
            } else {
                Err(Failure::Stale(stale.into_iter().map(|(path, _)| path).collect()))
            };
        }
        fs::create_dir_all(&self.out).map_err(|error| Failure::file(&self.out, &error))?;
        for (path, text) in &stale {
            file::replace(path, text.as_bytes()).map_err(|error| Failure::file(path, &error))?;
            if format == Format::Text {
                say(format!("{}: written", path.display()));
            }
        }
        if format == Format::Json {
            print_json(&json!({"written": names, "errors": [], "warnings": warnings}))?;
        }
        Ok(())
    }
}
