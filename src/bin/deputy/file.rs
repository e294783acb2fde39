//! Files that others read while they are written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Puts a whole file in the place of another, or of none: nobody ever reads half of it, and once
/// this is done, no loss of power undoes it. Envoy sees a move, which is what it watches for.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = write(&temporary, path, content).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    sync_directory(directory.unwrap_or(Path::new(".")))
}

/// Writes a new file that whoever may read `old` may read.
fn write(path: &Path, old: &Path, content: &[u8]) -> io::Result<()> {
    // What a process that was killed has left; nothing of it is kept, be it a link.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    match fs::metadata(old) {
        Ok(old) => file.set_permissions(old.permissions())?,
        Err(_) => make_readable(&file)?,
    }
    file.sync_all()
}

/// Envoy often is another user, and no secret is in what is written.
#[cfg(unix)]
fn make_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Elsewhere a directory is no file.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
