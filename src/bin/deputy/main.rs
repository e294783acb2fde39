//! `deputy`: checks the configuration of the filter and renders it for Envoy.

mod check;
mod diff;
mod envoy;
mod render;
mod report;
mod schema;
mod set;
mod source;
mod yaml;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use report::{EXIT_CODES, Failure};

/// The command line.
#[derive(Parser)]
#[command(version, about = "Checks the configuration of Deputy and renders it for Envoy")]
#[command(after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Check),
    Diff(diff::Diff),
    Render(render::Render),
    Schema(schema::Schema),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too. Where they cannot be printed, nothing can.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS };
        }
    };
    let result = match arguments.command {
        Command::Check(command) => command.run(),
        Command::Diff(command) => command.run(),
        Command::Render(command) => command.run(),
        Command::Schema(command) => command.run(),
    };
    result.map_or_else(Failure::report, |()| ExitCode::SUCCESS)
}
