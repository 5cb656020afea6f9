//! Why the engine could not do something.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{format::FormatError, inspect::InspectError, report::Finding};

/// Why a request could not be fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The collection cannot be opened: not there, locked, no usable manifest.
    #[error(transparent)]
    Open(#[from] InspectError),
    /// A file is not what its format says, or what should be written does not fit the format.
    #[error("{}: {error}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: FormatError,
    },
    /// The system refused to read or write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The collection is damaged in a way that must be mended, or accepted, before anything is written.
    #[error("{}", describe(finding))]
    Damaged {
        /// The first thing that is wrong.
        finding: Box<Finding>,
        /// What can be done about it.
        hint: &'static str,
    },
    /// The request was refused; nothing was written of it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A request that was refused: bad input, a schema that zvec does not allow, a document that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable code, `<what>.<why>`: `schema.name`, `document.dimension`, …
    pub code: &'static str,
    /// What is wrong, with the field's name.
    pub message: String,
}

impl Refusal {
    /// A refusal with a stable code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl EngineError {
    /// The system's refusal about a path.
    pub fn io(path: &Path, source: io::Error) -> Self {
        let elsewhere = source.get_ref().and_then(|error| error.downcast_ref::<Elsewhere>());
        let path = elsewhere.map_or(path, |elsewhere| &elsewhere.path).to_owned();
        Self::Io { path, source }
    }

    /// A format's fault in a file.
    pub fn format(path: &Path, error: FormatError) -> Self {
        Self::Format { path: path.to_owned(), error }
    }
}

fn describe(finding: &Finding) -> String {
    match &finding.path {
        Some(path) => format!("{path}: {}", finding.detail),
        None => finding.detail.clone(),
    }
}

/// A refusal that met another file than the one that was to be written: what has to be done before cannot be done.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Elsewhere {
    path: PathBuf,
    error: io::Error,
}

impl Elsewhere {
    /// The same error, which knows the path that it is about.
    pub fn at(path: &Path, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), Self { path: path.to_owned(), error })
    }
}
