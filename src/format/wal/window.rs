//! Buffered positioned reads over a source that may be larger than memory.

use super::FRAME_LEN;
use crate::format::{FormatError, Kind, Result, Source, checksum::raw_crc32c_append, read_into, read_vec};

/// Bytes read at a time.
const STEP: u64 = 256 << 10;
const CUT: &str = "wal.truncated";

/// A source and the part of it that was read last.
#[derive(Debug)]
pub(super) struct Window<S> {
    source: S,
    size: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<S: Source> Window<S> {
    pub fn new(source: S) -> Self {
        let size = source.size();
        Self { source, size, start: 0, bytes: Vec::new() }
    }

    /// Size of the source when reading began.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// `len` bytes at `offset`; fails if the source does not hold them.
    pub fn bytes(&mut self, offset: u64, len: u64) -> Result<&[u8]> {
        if self.held(offset, len).is_none() {
            let step = len.max(STEP).min(self.size.saturating_sub(offset));
            let bytes = std::mem::take(&mut self.bytes);
            self.bytes = read_into(&self.source, offset, step.max(len), CUT, bytes)?;
            self.start = offset;
        }
        self.held(offset, len).ok_or_else(|| FormatError {
            code: "io.read",
            kind: Kind::Io,
            offset,
            detail: format!("a read of {len} bytes gave fewer"),
        })
    }

    /// The `len` bytes of the payload behind the frame at `offset`. The frame stays in the window: if the record turns out
    /// bad, the search begins there.
    pub fn payload(&mut self, offset: u64, len: u64) -> Result<&[u8]> {
        let record = self.bytes(offset, len.saturating_add(FRAME_LEN))?;
        Ok(record.get(FRAME_LEN as usize..).unwrap_or_default())
    }

    /// `len` bytes at `offset` as a vector of their own.
    pub fn apart(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        read_vec(&self.source, offset, len, CUT)
    }

    /// `N` bytes at `offset`.
    pub fn array<const N: usize>(&mut self, offset: u64) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(offset, N as u64)?);
        Ok(out)
    }

    /// At least `min` bytes at `offset`, and as many more as are in memory.
    pub fn at_least(&mut self, offset: u64, min: u64) -> Result<&[u8]> {
        self.bytes(offset, min)?;
        let from = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        Ok(self.bytes.get(from..).unwrap_or_default())
    }

    /// `len` bytes at `offset` without disturbing the window, if they are not in it already.
    pub fn aside(&self, offset: u64, len: u64) -> Result<std::borrow::Cow<'_, [u8]>> {
        match self.held(offset, len) {
            Some(bytes) => Ok(bytes.into()),
            None => Ok(self.apart(offset, len)?.into()),
        }
    }

    /// `N` bytes at `offset`, likewise.
    pub fn aside_array<const N: usize>(&self, offset: u64) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(&self.aside(offset, N as u64)?);
        Ok(out)
    }

    /// Raw CRC of `len` bytes at `offset`, without holding them all.
    pub fn crc(&self, offset: u64, len: u64) -> Result<u32> {
        let (mut crc, mut done) = (0, 0u64);
        while done < len {
            let step = len.saturating_sub(done).min(STEP);
            crc = raw_crc32c_append(crc, &self.apart(offset.saturating_add(done), step)?);
            done = done.saturating_add(step);
        }
        Ok(crc)
    }

    /// Whether everything from `offset` on is zero. Looks in growing steps, so that a short run of zeros costs little.
    pub fn zero_from(&self, offset: u64) -> Result<bool> {
        let (mut at, mut step) = (offset, 64);
        while at < self.size {
            let len = self.size.saturating_sub(at).min(step);
            if self.aside(at, len)?.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at = at.saturating_add(len);
            step = step.saturating_mul(2).min(STEP);
        }
        Ok(true)
    }

    fn held(&self, offset: u64, len: u64) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(usize::try_from(len).ok()?)?)
    }
}
