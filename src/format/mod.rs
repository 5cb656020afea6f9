//! Bytes to values: every on-disk format of a zvec collection.
//!
//! Nothing here touches a file, a clock or the environment. Small structures are decoded from `&[u8]`;
//! structures that can be larger than memory are read through [`Source`], a positioned read. Every
//! length, count and offset that comes out of a file is hostile: it is checked against what the file can hold
//! before it is used or allocated, and a chain is never followed without a bound. Bad input is a
//! [`FormatError`] with a stable code and the byte offset at which the fault shows.

pub mod checksum;
pub mod cursor;
pub mod delete_set;
pub mod document;
mod error;
pub mod forward;
pub mod fts;
pub mod idmap;
pub mod inverted;
pub mod json_value;
pub mod manifest;
pub mod proxima;
pub mod roaring;
pub mod rocks;
pub mod schema_file;
pub mod sink;
mod source;
pub mod value;
pub mod wal;

pub use error::{FormatError, Kind, Result};
pub use sink::{Sink, SinkError};
pub use source::{Source, SourceError, read_into, read_vec};
