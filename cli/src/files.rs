//! Reading what the user names and writing what the user asked for.
//!
//! A file is written whole or not at all: into a temporary file beside it, synced, renamed over it.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::exit::{Failure, Result};
use crate::output;

/// The name that stands for standard input or output.
pub(crate) const DASH: &str = "-";

/// More than any policy, key set or token needs, in bytes.
const MAX_INPUT: u64 = 64 << 20;

/// Who may read a file that is new. The process's umask is applied to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody: mode 0666.
    Public,
    /// The owner: mode 0600.
    Private,
}

/// Reads a file, or standard input when it is `-`.
///
/// # Errors
/// [`crate::exit::Blame::Input`] when it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let result = if is_dash(path) {
        io::stdin().lock().take(MAX_INPUT).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_INPUT).read_to_end(&mut bytes))
    };
    match result {
        Ok(length) if length as u64 == MAX_INPUT => Err(Failure::input(format!(
            "{} has {} MiB or more",
            describe_input(path),
            MAX_INPUT >> 20
        ))),
        Ok(_) => Ok(bytes),
        Err(error) => Err(
            Failure::input(format!("cannot read {}", describe_input(path)))
                .evidence(error.to_string()),
        ),
    }
}

/// As [`read`], for text.
///
/// # Errors
/// As [`read`], and when the text is not UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|error| {
        Failure::input(format!("{} is not UTF-8", describe_input(path))).evidence(format!(
            "byte {} is the first that does not fit",
            error.utf8_error().valid_up_to()
        ))
    })
}

/// Whether the path stands for standard input or output.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == DASH
}

/// How messages name an input.
pub(crate) fn describe_input(path: &Path) -> String {
    if is_dash(path) {
        "standard input".to_owned()
    } else {
        format!("`{}`", path.display())
    }
}

/// Refuses when the file exists, so that a key is not lost.
///
/// # Errors
/// [`crate::exit::Blame::Usage`] when it exists and is a plain file.
pub(crate) fn refuse_existing(path: &Path) -> Result<()> {
    if !is_dash(path) && path.is_file() {
        return Err(
            Failure::usage(format!("`{}` exists already", path.display()))
                .hint("name another file, or overwrite it with `--force`"),
        );
    }
    Ok(())
}

/// Writes a file whole, or to standard output when it is `-`.
///
/// A file that exists is replaced and keeps its permissions, except that what is private stays
/// private. A symbolic link is followed; what is no plain file (a pipe, a device) is written to.
///
/// # Errors
/// [`crate::exit::Blame::Harness`] when it cannot be written; the old file is then as it was.
pub(crate) fn write(path: &Path, bytes: &[u8], access: Access) -> Result<()> {
    if is_dash(path) {
        return output::data(bytes);
    }
    write_file(path, bytes, access).map_err(|error| {
        // A wrapped error names the temporary file, which means nothing to anybody.
        let evidence = match error.get_ref() {
            Some(_) => error.kind().to_string(),
            None => error.to_string(),
        };
        Failure::harness(format!("cannot write `{}`", path.display())).evidence(evidence)
    })
}

fn write_file(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    let (target, existing) = match fs::canonicalize(path) {
        Ok(target) => {
            let metadata = fs::metadata(&target)?;
            (target, Some(metadata))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
        Err(error) => return Err(error),
    };
    if existing
        .as_ref()
        .is_some_and(|metadata| !metadata.is_file())
    {
        return File::options().write(true).open(&target)?.write_all(bytes);
    }
    let folder = folder_of(&target);
    let mode = match access {
        Access::Public => 0o666,
        Access::Private => 0o600,
    };
    let mut file = tempfile::Builder::new()
        .prefix(".nexusctl-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(&folder)?;
    file.write_all(bytes)?;
    if let (Some(metadata), Access::Public) = (existing, access) {
        file.as_file().set_permissions(metadata.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|error| error.error)?;
    // The rename is durable once the folder is.
    File::open(&folder)?.sync_all()
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
