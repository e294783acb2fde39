//! `deputy completions`: what a shell knows of this tool.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::report::{EXIT_CODES, Failure, print};

/// Print the completions for a shell
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Runs the command.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn run(self, mut tool: Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut tool, "deputy", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}
