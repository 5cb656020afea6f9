//! The one place that turns errors into exit codes, messages and hints.

use std::{io, path::Path};

use crate::{
    engine::{EngineError, Refusal, input::InputError},
    format::{FormatError, Kind},
    inspect::{InspectError, io_code, io_hint},
    report::{ErrorReport, Exit, show_path},
};

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// The collection could not be looked at.
    Inspect(InspectError),
    /// The collection could not be written.
    Engine(EngineError),
    /// A document input could not be read.
    Input(InputError),
    /// The result could not be written.
    Output(io::Error),
    /// A file that the command was told to write could not be written.
    Target {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The command line asks for something that does not go together.
    Usage(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-C in a repair.
    InterruptedRepair {
        /// Whether something that was begun could not be taken back.
        begun: bool,
    },
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        Self::Inspect(error)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            // Whoever writes cannot do without the lock.
            EngineError::Open(error) if !matches!(error, InspectError::Locked { .. }) => Self::Inspect(error),
            other => Self::Engine(other),
        }
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Engine(EngineError::Refused(refusal))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Inspect(error) => inspect_exit(error),
            Self::Engine(error) => engine_exit(error),
            Self::Input(error) if error.code.starts_with("io.") => Exit::Io,
            Self::Input(_) => Exit::Refused,
            Self::Output(_) | Self::Target { .. } => Exit::Io,
            Self::Usage(_) => Exit::Usage,
            Self::Interrupted | Self::InterruptedRepair { .. } => Exit::Interrupted,
        }
    }

    /// Code, message, hint and place.
    pub fn report(&self) -> ErrorReport {
        match self {
            Self::Inspect(error) => inspect(error),
            Self::Engine(error) => engine(error),
            Self::Input(error) => {
                let hint = (error.code == "input.not-found").then_some("check the path of the input");
                at(report(error.code, error.to_string(), hint), &error.input)
            }
            Self::Output(error) => report("io.output", format!("the result cannot be written: {error}"), None),
            Self::Target { path, error } => {
                let message = format!("{} cannot be written: {error}", path.display());
                at(report("io.output", message, Some("choose another file, or make room")), path)
            }
            Self::Usage(message) => report("usage", message.clone(), Some("zvecctl --help lists commands and options")),
            Self::Interrupted => {
                report("interrupted", "interrupted; what was written so far is incomplete".into(), None)
            }
            Self::InterruptedRepair { begun: false } => {
                report("interrupted", "interrupted; the collection is as it was before".into(), None)
            }
            Self::InterruptedRepair { begun: true } => {
                let message = "interrupted; what was begun could not be taken back";
                report("interrupted", message.into(), Some("`zvecctl repair PATH --undo` takes it back"))
            }
        }
    }
}

fn inspect_exit(error: &InspectError) -> Exit {
    match error {
        InspectError::NotFound { .. }
        | InspectError::NotADirectory { .. }
        | InspectError::EmptyDirectory { .. }
        | InspectError::NotACollection { .. }
        | InspectError::NoManifest { .. }
        | InspectError::NoSuchManifest { .. }
        | InspectError::NoSuchSegment { .. } => Exit::NotACollection,
        InspectError::NoUsableManifest { newer: true, .. } => Exit::Newer,
        InspectError::NoUsableManifest { code, .. } if code.starts_with("io.") => Exit::Io,
        InspectError::NoUsableManifest { .. } => Exit::NotACollection,
        InspectError::Locked { .. } => Exit::Locked,
        InspectError::Format { error, .. } => match error.kind {
            Kind::Newer => Exit::Newer,
            Kind::Io => Exit::Io,
            _ => Exit::NotACollection,
        },
        InspectError::Io { .. } => Exit::Io,
    }
}

fn engine_exit(error: &EngineError) -> Exit {
    match error {
        EngineError::Open(error) => inspect_exit(error),
        EngineError::Format { error, .. } => match error.kind {
            Kind::Newer => Exit::Newer,
            Kind::Io => Exit::Io,
            _ => Exit::Corrupt,
        },
        EngineError::Damaged { finding, .. } => Exit::of_findings(std::slice::from_ref(finding)),
        EngineError::Io { .. } => Exit::Io,
        EngineError::Refused(refusal) if refusal.code.ends_with(".newer") => Exit::Newer,
        EngineError::Refused(refusal) if refusal.code == "salvage.nothing" => Exit::NotACollection,
        EngineError::Refused(_) => Exit::Refused,
    }
}

fn engine(error: &EngineError) -> ErrorReport {
    let message = error.to_string();
    match error {
        EngineError::Open(InspectError::Locked { path, .. }) => {
            let hint = "wait with --lock-timeout SECONDS; nothing is written without the lock";
            at(report("lock.held", message, Some(hint)), path)
        }
        EngineError::Open(error) => inspect(error),
        EngineError::Format { path, error } => {
            let hint = match error.kind {
                Kind::Newer => "use a newer zvecctl; nothing was changed",
                Kind::Io => "check the device, its room and the file system; the old version stays in force",
                _ => "`zvecctl files ls` and `segments show` tell more; nothing is written on top of damage",
            };
            ErrorReport { offset: Some(error.offset), ..at(report(error.code, message, Some(hint)), path) }
        }
        EngineError::Damaged { finding, hint } => {
            let mut report = report(&finding.code, message, Some(hint));
            report.path.clone_from(&finding.path);
            report.offset = finding.offset;
            report
        }
        EngineError::Io { path, source } => {
            let hint = match source.kind() {
                io::ErrorKind::StorageFull => {
                    "make room; what was acknowledged is in the log, and the old version stays in force"
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "run as the user that owns the collection, on a file system that can be written"
                }
                _ => "check the device and the file system; the old version stays in force",
            };
            at(report("io.write", message, Some(hint)), path)
        }
        EngineError::Refused(refusal) => {
            let hint = match refusal.code {
                "collection.exists" | "salvage.exists" => Some("choose another path; nothing is ever written over"),
                "repair.kept-missing" => Some(
                    "put them back where the repair kept them, from a backup perhaps; a repair is taken back as a whole or not at all",
                ),
                "collection.reopen" => Some("run the command again: it recovers the collection first"),
                _ => None,
            };
            report(refusal.code, message, hint)
        }
    }
}

fn inspect(error: &InspectError) -> ErrorReport {
    let message = error.to_string();
    match error {
        InspectError::NotFound { path } => {
            at(report("collection.not-found", message, Some("check the path; a collection is a directory")), path)
        }
        InspectError::NotADirectory { path } => {
            let hint = "a collection is a directory; for a single manifest file use `zvecctl manifest dump FILE`";
            at(report("collection.not-a-directory", message, Some(hint)), path)
        }
        InspectError::EmptyDirectory { path } => {
            let hint = "nothing was ever written here, or everything has been removed; check the path and the mount";
            at(report("collection.empty-directory", message, Some(hint)), path)
        }
        InspectError::NotACollection { path } => {
            let hint = "give the directory that holds LOCK, manifest.<N>, idmap.<S> and the segment directories";
            at(report("collection.not-a-collection", message, Some(hint)), path)
        }
        InspectError::NoManifest { path } => {
            let hint = "`zvecctl files ls` shows what is there; a collection that died while it was created has no manifest yet";
            at(report("manifest.none", message, Some(hint)), path)
        }
        InspectError::NoUsableManifest { path, code, offset, newer, .. } => {
            let hint = if *newer {
                "use a zvecctl that knows this release of zvec"
            } else if code.starts_with("io.") || code.starts_with("file.") {
                io_hint(code)
            } else {
                "do not open this collection with zvec, which may delete segments; `zvecctl manifest dump` shows what \
                 still decodes, `zvecctl files ls` what is there"
            };
            ErrorReport { offset: *offset, ..at(report(code, message, Some(hint)), path) }
        }
        InspectError::NoSuchManifest { path, .. } => {
            at(report("manifest.not-found", message, Some("`zvecctl manifest ls` lists those that exist")), path)
        }
        InspectError::NoSuchSegment { path, .. } => {
            at(report("segment.not-found", message, Some("`zvecctl segments ls` lists those that exist")), path)
        }
        InspectError::Locked { path, .. } => {
            let hint = "wait with --lock-timeout SECONDS, or read without the lock with --no-lock";
            at(report("lock.held", message, Some(hint)), path)
        }
        InspectError::Format { path, error: FormatError { code, kind, offset, .. } } => {
            let hint = match kind {
                Kind::Newer => "use a zvecctl that knows this release of zvec",
                Kind::Io => "check the device and the file system",
                Kind::Unsupported => "this build cannot decode it; the file may be intact",
                Kind::Truncated | Kind::Checksum | Kind::Malformed => "the file is damaged; keep it as it is",
            };
            ErrorReport { offset: Some(*offset), ..at(report(code, message, Some(hint)), path) }
        }
        InspectError::Io { path, source } => {
            let code = io_code(source);
            at(report(code, message, Some(io_hint(code))), path)
        }
    }
}

fn report(code: &str, message: String, hint: Option<&str>) -> ErrorReport {
    ErrorReport { code: code.to_owned(), message, hint: hint.map(str::to_owned), path: None, offset: None }
}

fn at(report: ErrorReport, path: &Path) -> ErrorReport {
    ErrorReport { path: Some(show_path(path)), ..report }
}
