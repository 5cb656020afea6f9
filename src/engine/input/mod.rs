//! Documents from files and streams: JSON lines, Parquet, Arrow IPC.
//!
//! A reader gives documents in the order of the input, a batch at a time, each with its place. A document that cannot be understood is a
//! [`Refusal`] in its place and the rest goes on; an [`InputError`] ends the input. No reader holds more than a line, or a batch of rows.
//!
//! The file format is told by the name's ending, else by the first bytes:
//!
//! ```text
//! .parquet, .pq                     "PAR1"                  Parquet; pages uncompressed, Snappy, gzip or LZ4
//! .arrow, .ipc, .feather, .arrows   "ARROW1", ff ff ff ff   Arrow IPC file or stream; buffers uncompressed or LZ4
//! .jsonl, .ndjson, .json            else                    JSON lines
//! ```
//!
//! What a document looks like is described in `json_lines.rs` and `columns/mod.rs`.

mod arrow;
mod arrow_check;
mod columns;
mod json_lines;
mod parquet_file;
mod source;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{format::FormatError, vfs::Vfs};

use self::source::{Counter, FileReader, Prefixed};
use super::{Doc, Refusal, Schema};

pub use json_lines::parse_document;

/// A document of the input, or why there is none, with its place.
#[derive(Debug)]
pub struct Item {
    /// Where it stands.
    pub place: Place,
    /// The document, not yet held against the schema's rules ([`Schema::admit`]).
    pub doc: Result<Doc, Refusal>,
}

/// Where a document stands in its input, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Line of a text.
    Line(u64),
    /// Row of a table.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Row(number) => write!(f, "row {number}"),
        }
    }
}

/// A stream of documents.
pub trait DocReader: Send {
    /// Appends at most `most` further documents; `false` when there are no more. After an error there are none either.
    fn next_batch(&mut self, most: usize, into: &mut Vec<Item>) -> Result<bool, InputError>;

    /// Bytes of the whole input, where that is known.
    fn bytes_total(&self) -> Option<u64>;

    /// Bytes read so far: never above [`bytes_total`](Self::bytes_total).
    fn bytes_read(&self) -> u64;
}

/// Why an input cannot be read any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", input.display())]
pub struct InputError {
    /// Stable code: `input.*`, or `io.*` where the system refused.
    pub code: &'static str,
    /// File, or `-`.
    pub input: PathBuf,
    /// What is wrong.
    pub message: String,
}

/// How an input is to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputOptions {
    /// Format, if it is not to be guessed.
    pub kind: Option<Kind>,
    /// Column of the primary key in a table; else `_zvec_uid_` if there is one, else `id`.
    pub id_column: Option<String>,
}

/// Format of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One JSON object a line.
    JsonLines,
    /// Parquet file.
    Parquet,
    /// Arrow IPC, file or stream.
    Arrow,
}

impl Kind {
    /// What a file's ending says.
    fn of_name(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match ending.as_str() {
            "jsonl" | "ndjson" | "json" => Self::JsonLines,
            "parquet" | "pq" => Self::Parquet,
            "arrow" | "arrows" | "ipc" | "feather" => Self::Arrow,
            _ => return None,
        })
    }

    /// What the first bytes say.
    fn of_magic(front: &[u8]) -> Self {
        if front.starts_with(b"PAR1") {
            Self::Parquet
        } else if front.starts_with(b"ARROW1") || front.starts_with(&[0xff; 4]) {
            Self::Arrow
        } else {
            Self::JsonLines
        }
    }
}

/// The input's name with every error.
#[derive(Debug, Clone)]
struct Named(PathBuf);

impl Named {
    fn error(&self, code: &'static str, message: impl fmt::Display) -> InputError {
        InputError { code, input: self.0.clone(), message: message.to_string() }
    }

    fn io(&self, error: &io::Error) -> InputError {
        let code = match error.kind() {
            io::ErrorKind::NotFound => "input.not-found",
            io::ErrorKind::PermissionDenied => "io.permission-denied",
            _ => "io.read",
        };
        self.error(code, error)
    }

    /// What a decoder said of a table.
    fn damaged(&self, error: &FormatError) -> InputError {
        let code = if error.code.starts_with("io.") { "io.read" } else { "input.unreadable" };
        self.error(code, &error.detail)
    }
}

/// Opens a file.
///
/// Codes: `input.not-found`, `input.unreadable`, `input.no-id-column`, `input.unknown-column`, `input.column-type`,
/// `input.duplicate-column`, `io.permission-denied`, `io.read`.
pub fn open(
    vfs: &dyn Vfs,
    path: &Path,
    schema: &Arc<Schema>,
    options: &InputOptions,
) -> Result<Box<dyn DocReader>, InputError> {
    let named = Named(path.to_owned());
    let file = vfs.open(path).map_err(|error| named.io(&error))?;
    let counter = Counter::default();
    let mut reader = FileReader::new(Arc::from(file), counter.clone()).map_err(|error| named.io(&error))?;
    let mut front = [0; 6];
    let found = reader.front(&mut front).map_err(|error| named.io(&error))?;
    let front = front.get(..found).unwrap_or_default();
    let total = reader.len();
    let kind = options.kind.or_else(|| Kind::of_name(path)).unwrap_or_else(|| Kind::of_magic(front));
    Ok(match kind {
        Kind::JsonLines => Box::new(json_lines::JsonLines::new(reader, named, schema.clone(), Some(total), counter)),
        Kind::Parquet => Box::new(parquet_file::open(reader, named, schema, options)?),
        Kind::Arrow if front.starts_with(b"ARROW1") => Box::new(arrow::open_file(reader, named, schema, options)?),
        Kind::Arrow => Box::new(arrow::open_stream(reader, named, schema, options, Some(total), counter)?),
    })
}

/// Reads a stream that cannot be positioned, standard input for one: JSON lines or an Arrow IPC stream. `name` is for messages.
pub fn open_stream(
    name: &str,
    stream: Box<dyn Read + Send>,
    schema: &Arc<Schema>,
    options: &InputOptions,
) -> Result<Box<dyn DocReader>, InputError> {
    let named = Named(name.into());
    let counter = Counter::default();
    let stream = Prefixed::new(stream, counter.clone()).map_err(|error| named.io(&error))?;
    let kind = options.kind.unwrap_or_else(|| Kind::of_magic(stream.front()));
    Ok(match kind {
        Kind::JsonLines => Box::new(json_lines::JsonLines::new(stream, named, schema.clone(), None, counter)),
        Kind::Arrow if !stream.front().starts_with(b"ARROW1") => {
            Box::new(arrow::open_stream(stream, named, schema, options, None, counter)?)
        }
        Kind::Arrow | Kind::Parquet => {
            return Err(named.error("input.unreadable", "a Parquet or Arrow file is read by its name, not as a stream"));
        }
    })
}
