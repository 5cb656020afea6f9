//! Why a collection could not be looked at.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{format::FormatError, vfs::Holder};

/// Why a look at a collection ended early. Damage inside a collection is a finding, not an error: the look goes on past it.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// Nothing stands at the path.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// A collection is a directory.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The directory holds nothing.
    #[error("{} is an empty directory", path.display())]
    EmptyDirectory {
        /// The path.
        path: PathBuf,
    },
    /// The directory holds nothing that zvec writes.
    #[error("{} is not a zvec collection: it holds no manifest, id map, delete snapshot or segment", path.display())]
    NotACollection {
        /// The path.
        path: PathBuf,
    },
    /// There is no manifest at all.
    #[error("{} holds no manifest", path.display())]
    NoManifest {
        /// The collection.
        path: PathBuf,
    },
    /// There are manifests, and none can be used.
    #[error("no usable manifest: {}: {detail}", path.display())]
    NoUsableManifest {
        /// The newest manifest.
        path: PathBuf,
        /// Code of what is wrong with it.
        code: String,
        /// Where in it.
        offset: Option<u64>,
        /// What is wrong with it.
        detail: String,
        /// Whether it comes from a newer release.
        newer: bool,
    },
    /// The manifest that was asked for does not exist.
    #[error("there is no manifest with number {number} in {}", path.display())]
    NoSuchManifest {
        /// The collection.
        path: PathBuf,
        /// The number.
        number: u64,
    },
    /// The segment that was asked for does not exist.
    #[error("there is no segment {id} in {}", path.display())]
    NoSuchSegment {
        /// The collection.
        path: PathBuf,
        /// The id.
        id: u32,
    },
    /// A writer holds the lock.
    #[error("{} is locked by {}", path.display(), describe_holders(holders))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, as far as the system shows.
        holders: Vec<Holder>,
    },
    /// The file is not what its format says.
    #[error("{}: {error}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: FormatError,
    },
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl InspectError {
    /// The system's refusal, with what stands behind the common ones told apart.
    pub fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::NotADirectory => Self::NotADirectory { path },
            _ => Self::Io { path, source },
        }
    }
}

fn describe_holders(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "another process".to_owned();
    }
    let names: Vec<_> = holders
        .iter()
        .map(|holder| match &holder.program {
            Some(program) => format!("process {} ({program})", holder.pid),
            None => format!("process {}", holder.pid),
        })
        .collect();
    names.join(", ")
}

/// Stable code of a refusal of the system.
pub fn io_code(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "file.missing",
        io::ErrorKind::PermissionDenied => "io.permission-denied",
        io::ErrorKind::IsADirectory => "file.is-a-directory",
        io::ErrorKind::NotADirectory => "file.not-a-directory",
        io::ErrorKind::InvalidInput => "file.not-a-regular-file",
        _ if is_symlink_loop(error) => "io.symlink-loop",
        _ => "io.read",
    }
}

/// What to do about a refusal of the system, by its stable code.
pub fn io_hint(code: &str) -> &'static str {
    match code {
        "io.permission-denied" => "run as the user that owns the collection",
        "io.symlink-loop" => "a symbolic link leads to itself; mend the link",
        "file.missing" => "put it back from a copy, if there is one",
        "file.is-a-directory" | "file.not-a-directory" | "file.not-a-regular-file" => {
            "zvec never writes this; something else has been put in its place"
        }
        _ => "check the device and the file system",
    }
}

/// A refusal of the system in words, with what to do about it.
pub fn io_detail(error: &io::Error) -> String {
    match io_code(error) {
        code @ ("io.permission-denied" | "io.symlink-loop") => format!("{error}; {}", io_hint(code)),
        _ => error.to_string(),
    }
}

#[cfg(unix)]
fn is_symlink_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_symlink_loop(_error: &io::Error) -> bool {
    false
}
