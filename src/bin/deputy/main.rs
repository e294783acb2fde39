//! `deputy`: checks the configuration of the filter and brings it to Envoy.

mod admin;
mod call;
mod caller;
mod cases;
mod check;
mod completions;
mod diff;
mod envoy;
mod exchange;
mod explain;
mod file;
mod http;
mod judge;
mod keys;
mod moment;
mod odd;
mod place;
mod push;
mod render;
mod report;
mod schema;
mod set;
mod shadow;
mod source;
mod test;
mod yaml;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use report::{EXIT_CODES, Failure};

/// The command line.
#[derive(Parser)]
#[command(version, about = "Checks the configuration of Deputy and brings it to Envoy")]
#[command(after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Check),
    Diff(diff::Diff),
    Exchange(Box<exchange::Exchange>),
    Explain(Box<explain::Explain>),
    #[command(subcommand)]
    Keys(keys::Keys),
    Render(render::Render),
    Push(push::Push),
    Shadow(shadow::Shadow),
    Schema(schema::Schema),
    Completions(completions::Completions),
    Test(test::Test),
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
        Command::Exchange(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Keys(command) => command.run(),
        Command::Render(command) => command.run(),
        Command::Push(command) => command.run(),
        Command::Shadow(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Completions(command) => command.run(Arguments::command()),
        Command::Test(command) => command.run(),
    };
    result.map_or_else(Failure::report, |()| ExitCode::SUCCESS)
}
