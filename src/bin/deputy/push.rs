//! `deputy push`: the configuration to a running Envoy.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use mcp_deputy::config::Duration;
use mcp_deputy::config::pushed::Pushed;

use crate::admin::{Admin, Outcome, Pushes};
use crate::envoy::bootstrap::{self, BUFFER};
use crate::envoy::{BOOTSTRAP, Envoy, filter};
use crate::file;
use crate::report::{Diagnostic, EXIT_CODES, Failure, say};
use crate::source::SourceArguments;

/// Put the filter's configuration where a running Envoy watches for it, in one move
///
/// Nothing is written if the configuration has errors, or is what is there already.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Push {
    /// The directory that Envoy watches: the one of `envoy.filter`, as it is called here
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    source: SourceArguments,
    /// Write nothing; say what would be written
    #[arg(long)]
    dry_run: bool,
    /// Envoy's admin interface, to ask there whether Envoy has taken it: `http://127.0.0.1:9901`.
    /// What Envoy refuses is taken back
    #[arg(long, value_name = "URL", conflicts_with = "dry_run")]
    admin: Option<String>,
    /// How long to wait for that
    #[arg(long, default_value = "10s", value_name = "DURATION")]
    wait: Duration,
}

impl Push {
    /// Runs the command.
    ///
    /// # Errors
    /// The configuration has errors or needs a larger buffer, a file cannot be read or written, or Envoy
    /// did not take it.
    pub fn run(self) -> Result<(), Failure> {
        let source = self.source.read()?;
        source.warnings.iter().for_each(Diagnostic::print_warning);
        let envoy = source.rendered_envoy()?;
        let filter = filter::render(envoy, &source.pushed, &source.typed);
        let path = self.directory.join(envoy.filter_file());
        let found = read(&path)?;
        check_bootstrap(&self.directory, envoy, &source.typed)?;

        let wait = self.wait.as_std();
        let admin = self.admin.map(|url| Admin::new(&url, wait));
        // Before anything is written: a mistake in the URL changes nothing.
        let before = admin.as_ref().map(Admin::pushes).transpose().map_err(Failure::Usage)?;
        let is_new = found.as_deref() != Some(filter.text.as_bytes());
        if is_new && !self.dry_run {
            file::replace(&path, filter.text.as_bytes())
                .map_err(|error| Failure::file(&path, &error))?;
        }
        let done = match (is_new, self.dry_run) {
            (false, _) => "unchanged",
            (true, false) => "written",
            (true, true) => "would be written",
        };
        let hash = &source.config.policy_hash;
        say(format!("{}: {done}, policy {hash}, version {}", path.display(), filter.version));
        let (Some(admin), Some(before)) = (admin, before) else { return Ok(()) };
        confirm(&admin, &before, &filter.version, &self.directory, self.wait, || {
            if is_new {
                take_back(&path, filter.text.as_bytes(), found.as_deref())
            } else {
                Ok(true)
            }
        })
    }
}

/// Looks at what Envoy was started with, if it is in this directory too.
///
/// # Errors
/// It cannot be read, or it leaves Envoy less room for bodies than the filter is to read.
fn check_bootstrap(directory: &Path, envoy: &Envoy, pushed: &Pushed) -> Result<(), Failure> {
    let path = directory.join(BOOTSTRAP);
    let Some(found) = read(&path)? else { return Ok(()) };
    if found == bootstrap::render(envoy, pushed).as_bytes() {
        return Ok(());
    }
    let largest = pushed.limits.body_bytes;
    // A body that does not fit is not refused: it can end Envoy.
    if let Some(size) = bootstrap::buffer_of(&found).filter(|size| *size <= largest) {
        // `render` would write the filter's file too, which Envoy takes before it is started again.
        let help = "render elsewhere, move that `envoy.yaml` here, restart Envoy, and push again; or \
                    move away what no Envoy is started with";
        return Err(Failure::SmallBuffer(format!(
            "`{}`: `{BUFFER}` is {size}, not above `limits.body_bytes`, {largest}; help: {help}",
            path.display()
        )));
    }
    let stale = path.display();
    say(format!("{stale}: stale; what Envoy does not watch takes `deputy render` and a restart"));
    Ok(())
}

/// Waits for what Envoy makes of it.
fn confirm(
    admin: &Admin,
    before: &Pushes,
    version: &str,
    directory: &Path,
    wait: Duration,
    take_back: impl FnOnce() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    match admin.outcome(before, version, wait.as_std()) {
        Outcome::Taken => {
            say(format!("Envoy has taken version {version}"));
            Ok(())
        }
        Outcome::Refused => {
            let file = if take_back()? {
                "the file is what it was"
            } else {
                "the file holds another push by now, which is left there"
            };
            Err(Failure::NotTaken(format!(
                "Envoy refused version {version} and serves on as before; {file}. \
                 Envoy's log says why: `configuration refused`"
            )))
        }
        Outcome::Unknown(state) => Err(Failure::NotTaken(format!(
            "Envoy has not taken version {version} within {wait}: {state}; the file stays, and Envoy may \
             take it yet; help: is `{}` the directory of `envoy.filter`, as Envoy sees it?",
            directory.display()
        ))),
    }
}

/// What Envoy refused must not be there when it starts again. False if by now another is there, which is
/// left alone.
fn take_back(path: &Path, written: &[u8], before: Option<&[u8]>) -> Result<bool, Failure> {
    if read(path)?.as_deref() != Some(written) {
        return Ok(false);
    }
    let done = match before {
        Some(before) => file::replace(path, before),
        None => fs::remove_file(path),
    };
    done.map(|()| true).map_err(|error| Failure::file(path, &error))
}

/// What a file holds, if there is such a file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_taken_back_and_nothing_else() {
        let directory =
            std::env::temp_dir().join(format!("deputy-take-back-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("filter.yaml");
        for (found, before, taken, left) in [
            (Some("mine"), Some("before"), true, Some("before")),
            (Some("mine"), None, true, None),
            (Some("another's"), Some("before"), false, Some("another's")),
            (None, Some("before"), false, None),
        ] {
            let _ = fs::remove_file(&path);
            if let Some(found) = found {
                fs::write(&path, found).unwrap();
            }
            let done = take_back(&path, b"mine", before.map(str::as_bytes));
            assert_eq!(done.ok(), Some(taken));
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), left);
        }
    }
}
