//! `deputy shadow`: what rules in shadow would have denied.

mod line;
mod sum;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::report::{EXIT_CODES, Failure, Format, print, say};
use line::Lines;
use sum::Sum;

/// Look at what rules in shadow would have denied
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Shadow {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Report(Report),
}

/// Sum up the would-denials in logs, by rule, object and reason
///
/// Reads Envoy's log, its access log, or bare audit records, also as container runtimes wrap them. A
/// record that stands in several of them counts once. A log may be of any length: at the most 1000
/// rows are listed, 1000 subjects of each told apart, and a million would-denials remembered.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
struct Report {
    /// The logs; `-`, or none, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Fail with 9 if there are any, and with 1 if there are lines and none is an audit record
    #[arg(long)]
    fail_on_any: bool,
}

impl Shadow {
    /// Runs the command.
    ///
    /// # Errors
    /// A log cannot be read; with `--fail-on-any`, there are would-denials, or lines and no record.
    pub fn run(self) -> Result<(), Failure> {
        let Command::Report(report) = self.command;
        report.run()
    }
}

impl Report {
    fn run(self) -> Result<(), Failure> {
        let mut sum = Sum::default();
        let standard_input = [PathBuf::from("-")];
        let files = if self.files.is_empty() { &standard_input[..] } else { &self.files };
        for path in files {
            let read = if path == Path::new("-") {
                sum_up(io::stdin().lock(), &mut sum)
            } else {
                File::open(path).and_then(|file| sum_up(BufReader::new(file), &mut sum))
            };
            read.map_err(|error| Failure::file(path, &error))?;
        }
        match self.format {
            Format::Text => {
                print(&sum.table())?;
                say(sum.summary());
            }
            Format::Json => print(&sum.json())?,
        }
        match self.fail_on_any {
            true if sum.would_denials() > 0 => Err(Failure::WouldDeny),
            // A gate that looks at something else must not open.
            true if sum.holds_no_record() => {
                let help = "name Envoy's log, its access log or a file of audit records";
                Err(Failure::Usage(format!("no line holds an audit record; help: {help}")))
            }
            _ => Ok(()),
        }
    }
}

fn sum_up(log: impl BufRead, sum: &mut Sum) -> io::Result<()> {
    let mut lines = Lines::new(log);
    while let Some(line) = lines.next()? {
        sum.add(line::record(line).as_ref());
    }
    Ok(())
}
