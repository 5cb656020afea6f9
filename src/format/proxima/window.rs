//! Positioned reads that turn a sequential walk into few large ones.

use crate::format::{FormatError, Kind, Result, Source};

const CHUNK: u64 = 256 << 10;

/// The bytes that were read last. A read that continues or overlaps them fetches ahead, any other fetches just its range,
/// so that a random lookup stays cheap.
#[derive(Debug, Default)]
pub(super) struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// `len` bytes at `offset`. Bytes up to `limit` may be fetched ahead. `code` names what is cut when they are not there.
    pub(super) fn read<S: Source + ?Sized>(
        &mut self,
        source: &S,
        offset: u64,
        len: u64,
        limit: u64,
        code: &'static str,
    ) -> Result<&[u8]> {
        let end = self.start.saturating_add(self.bytes.len() as u64);
        let wanted = offset.saturating_add(len);
        if offset < self.start || wanted > end || self.bytes.is_empty() {
            let continues = !self.bytes.is_empty() && self.start <= offset && offset <= end;
            let size = source.size();
            let ahead = if continues { CHUNK } else { 0 };
            let stop = offset.saturating_add(ahead).min(limit).max(wanted).min(size);
            if stop < wanted || offset > size {
                let detail = format!("{len} bytes expected, the file ends at {size}");
                return Err(FormatError::truncated(code, offset, detail));
            }
            let count = usize::try_from(stop - offset)
                .map_err(|_| FormatError::unsupported(code, offset, format!("{len} bytes do not fit in memory")))?;
            self.start = offset;
            self.bytes.resize(count, 0);
            source.read_exact_at(offset, &mut self.bytes).map_err(|error| {
                self.bytes.clear();
                FormatError { code: "io.read", kind: Kind::Io, offset, detail: error.0 }
            })?;
        }
        usize::try_from(offset - self.start)
            .ok()
            .and_then(|from| self.bytes.get(from..from.checked_add(usize::try_from(len).ok()?)?))
            .ok_or_else(|| FormatError::truncated(code, offset, format!("{len} bytes expected")))
    }

    /// Like [`Window::read`], for a fixed number of bytes.
    pub(super) fn array<const N: usize, S: Source + ?Sized>(
        &mut self,
        source: &S,
        offset: u64,
        limit: u64,
        code: &'static str,
    ) -> Result<[u8; N]> {
        let bytes = self.read(source, offset, N as u64, limit, code)?;
        bytes.first_chunk().copied().ok_or_else(|| FormatError::truncated(code, offset, format!("{N} bytes expected")))
    }
}

/// Fixed-size records spread over several segments, each filled before the next begins.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    stride: u64,
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    first: u64,
    offset: u64,
    count: u64,
}

impl Runs {
    /// Records of `stride` bytes in the ranges (offset, size); a `stride` of 0 holds nothing.
    pub(super) fn new(stride: u64, ranges: impl Iterator<Item = (u64, u64)>) -> Self {
        let mut runs = Vec::new();
        let mut first = 0u64;
        for (offset, size) in ranges {
            let count = size.checked_div(stride).unwrap_or(0);
            runs.push(Run { first, offset, count });
            first = first.saturating_add(count);
        }
        Self { stride, runs }
    }

    /// Number of whole records.
    pub(super) fn len(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.first.saturating_add(run.count))
    }

    /// Absolute offset of record `index` and the end of the records it lies among.
    pub(super) fn locate(&self, index: u64) -> Option<(u64, u64)> {
        let run = self.run_of(index)?;
        let inside = index.checked_sub(run.first).filter(|&inside| inside < run.count)?;
        let offset = run.offset.checked_add(inside.checked_mul(self.stride)?)?;
        let end = run.offset.checked_add(run.count.checked_mul(self.stride)?)?;
        Some((offset, end))
    }

    /// Number, over all ranges, of record `index` of range `range`.
    pub(super) fn number(&self, range: u64, index: u64) -> Option<u64> {
        let run = self.runs.get(usize::try_from(range).ok()?).filter(|run| index < run.count)?;
        run.first.checked_add(index)
    }

    fn run_of(&self, index: u64) -> Option<&Run> {
        self.runs.get(self.runs.partition_point(|run| run.first.saturating_add(run.count) <= index))
    }
}
