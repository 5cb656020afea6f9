//! Writes record logs; [`log`](crate::format::rocks::log) has the byte map.
//!
//! A record fills its block before it goes on in the next one; where less than a header is left, zeros are. Record types are those
//! without a log number, as RocksDB writes MANIFESTs.

use crate::format::checksum::masked_crc32c;
use crate::format::rocks::edit::VersionEdit;
use crate::format::rocks::log::{LogReader, LogRecord};
use crate::format::{FormatError, Kind, Result, Sink, Source};

const BLOCK: u64 = 32 << 10;
const HEADER: u64 = 7;

/// Appends records to a log.
#[derive(Debug)]
pub struct LogWriter<K> {
    sink: K,
}

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// Offset behind the last whole record, where the next one goes.
    pub offset: u64,
    /// Bytes that follow: what a crash left of a record, or zeros. They have to be cut off before anything is appended.
    pub trailing: u64,
}

impl LogEnd {
    /// Finds the end of a log. Damage before it is an error: records behind damage may not be read again.
    pub fn find<S: Source>(source: S) -> Result<Self> {
        Self::find_complete(source, |_| Ok(true))
    }

    /// Finds the end of a MANIFEST: an atomic group that is not whole does not count.
    pub fn find_manifest<S: Source>(source: S) -> Result<Self> {
        let mut open = false;
        Self::find_complete(source, |record| {
            let remaining = VersionEdit::decode(&record.data, record.offset)?.atomic_group_remaining;
            if open && remaining.is_none() {
                let detail = "an atomic group is followed by an edit outside it";
                return Err(FormatError::malformed("rocks-manifest.broken-group", record.offset, detail));
            }
            open = remaining.is_some_and(|remaining| remaining > 0);
            Ok(!open)
        })
    }

    /// The end of the last record behind which, `complete` says, nothing is missing.
    fn find_complete<S: Source>(source: S, mut complete: impl FnMut(&LogRecord) -> Result<bool>) -> Result<Self> {
        let size = source.size();
        let mut offset = 0;
        for record in LogReader::new(source, None) {
            match record {
                Ok(record) if complete(&record)? => offset = end_of(record.offset, record.data.len() as u64),
                Ok(_) => {}
                Err(error) if error.kind == Kind::Truncated => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { offset, trailing: size.saturating_sub(offset) })
    }
}

/// Offset behind a record of `length` bytes that begins at `offset`.
fn end_of(mut offset: u64, mut length: u64) -> u64 {
    loop {
        let room = room(offset);
        if room < HEADER {
            offset = offset.saturating_add(room);
            continue;
        }
        let now = length.min(room - HEADER);
        offset = offset.saturating_add(HEADER).saturating_add(now);
        length -= now;
        if length == 0 {
            return offset;
        }
    }
}

/// Bytes left of the block at `offset`.
fn room(offset: u64) -> u64 {
    BLOCK - offset % BLOCK
}

impl<K: Sink> LogWriter<K> {
    /// Appends to `sink`, whose position is the offset in the log: 0, or that of [`LogEnd`].
    pub fn new(sink: K) -> Self {
        Self { sink }
    }

    /// Offset of the next record.
    pub fn position(&self) -> u64 {
        self.sink.position()
    }

    /// Appends one record, in one write per block.
    pub fn append(&mut self, record: &[u8]) -> Result<()> {
        let mut rest = record;
        let mut first = true;
        loop {
            let offset = self.sink.position();
            let room = room(offset);
            if room < HEADER {
                self.write(offset, &vec![0; room as usize])?;
                continue;
            }
            let (now, later) = rest.split_at_checked((room - HEADER) as usize).unwrap_or((rest, &[]));
            let kind = match (first, later.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            let length = u16::try_from(now.len())
                .map_err(|_| FormatError::malformed("rocks-log.write", offset, "a fragment beyond its block"))?;
            let mut bytes = Vec::with_capacity(now.len().saturating_add(7));
            bytes.extend_from_slice(&masked_crc32c(&[&[kind], now]).to_le_bytes());
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.push(kind);
            bytes.extend_from_slice(now);
            self.write(offset, &bytes)?;
            if later.is_empty() {
                return Ok(());
            }
            (rest, first) = (later, false);
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.sink.append(bytes).map_err(|error| error.at(offset))
    }
}
