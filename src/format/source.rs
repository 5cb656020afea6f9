//! Positioned reads over something that may be larger than memory.

use super::{FormatError, Kind, Result};

/// Why a positioned read failed below `format`; carries the system's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// Random-access bytes: a file behind the VFS, or a slice in a test.
pub trait Source: Send + Sync {
    /// Size in bytes.
    fn size(&self) -> u64;

    /// Fills `buf` with the bytes at `offset`. The caller has checked the range against [`Source::size`]; a source that
    /// has shrunk since answers with an error.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), SourceError>;
}

impl Source for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), SourceError> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(buf.len())?))
            .ok_or_else(|| SourceError(format!("read of {} bytes at {offset} ends beyond the data", buf.len())))?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

impl Source for Vec<u8> {
    fn size(&self) -> u64 {
        self.as_slice().size()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), SourceError> {
        self.as_slice().read_exact_at(offset, buf)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), SourceError> {
        (**self).read_exact_at(offset, buf)
    }
}

impl<S: Source + ?Sized> Source for std::sync::Arc<S> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), SourceError> {
        (**self).read_exact_at(offset, buf)
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), SourceError> {
        (**self).read_exact_at(offset, buf)
    }
}

/// Reads `len` bytes at `offset` into memory, after checking that the source holds them: what a file *claims* is
/// never allocated, only what is there. `code` names the structure that is cut if it is not.
pub fn read_vec<S: Source + ?Sized>(source: &S, offset: u64, len: u64, code: &'static str) -> Result<Vec<u8>> {
    read_into(source, offset, len, code, Vec::new())
}

/// The same into the memory of `buf`, if that is long enough; its content is given up.
pub fn read_into<S: Source + ?Sized>(
    source: &S,
    offset: u64,
    len: u64,
    code: &'static str,
    mut buf: Vec<u8>,
) -> Result<Vec<u8>> {
    let size = source.size();
    if offset.checked_add(len).is_none_or(|end| end > size) {
        let detail = format!("{len} bytes expected, the file ends at {size}");
        return Err(FormatError::truncated(code, offset, detail));
    }
    let len = usize::try_from(len)
        .map_err(|_| FormatError::unsupported(code, offset, format!("{len} bytes do not fit in memory")))?;
    match buf.len() >= len {
        true => buf.truncate(len),
        // Memory that the system has zeroed is cheaper than zeroing it.
        false => buf = vec![0; len],
    }
    source.read_exact_at(offset, &mut buf).map_err(|error| FormatError {
        code: "io.read",
        kind: Kind::Io,
        offset,
        detail: error.0,
    })?;
    Ok(buf)
}
