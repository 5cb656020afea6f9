//! Sequential writes into something that may be larger than memory.

use super::{FormatError, Kind};

/// Why a write failed below `format`; carries the system's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

impl SinkError {
    /// The failure as a [`FormatError`] (`io.write`) of the bytes from `offset` on.
    pub fn at(self, offset: u64) -> FormatError {
        FormatError { code: "io.write", kind: Kind::Io, offset, detail: self.0 }
    }
}

/// Where a writer's bytes go: a file behind the VFS, or a `Vec` in a test.
pub trait Sink {
    /// Adds `bytes` at the end; all of them, or an error.
    fn append(&mut self, bytes: &[u8]) -> std::result::Result<(), SinkError>;

    /// Number of bytes so far.
    fn position(&self) -> u64;
}

impl Sink for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) -> std::result::Result<(), SinkError> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn position(&self) -> u64 {
        self.len() as u64
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn append(&mut self, bytes: &[u8]) -> std::result::Result<(), SinkError> {
        (**self).append(bytes)
    }

    fn position(&self) -> u64 {
        (**self).position()
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn append(&mut self, bytes: &[u8]) -> std::result::Result<(), SinkError> {
        (**self).append(bytes)
    }

    fn position(&self) -> u64 {
        (**self).position()
    }
}
