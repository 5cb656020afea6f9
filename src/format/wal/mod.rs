//! `<block>.wal`: the write-ahead log of the writing segment's forward block.
//!
//! ```text
//!  0   8  version = 0
//!  8  56  uninitialised memory; zeros will do
//! 64      records, one after the other:
//!      4  length of the payload, at least 1
//!      4  raw CRC-32C of the payload (state starts at 0, nothing inverted)
//!         payload: one document (`document`)
//! ```
//!
//! Nothing covers the length, the order or the number of records. The raw CRC of zeros is 0, so a zero page would look like
//! records if a length of 0 were allowed. zvec's reader takes lengths up to 4 MiB and stops silently at the first record that is
//! not right; its writer has no limit.
//!
//! A log that ends in an incomplete record was torn by a crash: that record was never acknowledged as durable. A record
//! that is wrong while intact ones follow is damage: [`Reader`] finds where the log goes on, and says what lies between.

mod resync;
mod window;

use std::{borrow::Cow, fmt, ops::Range};

use super::{FormatError, Kind, Result, Source, checksum::raw_crc32c};
use window::Window;

/// Bytes before the first record.
pub const HEADER_LEN: u64 = 64;
/// Bytes before a record's payload.
pub const FRAME_LEN: u64 = 8;
/// Longest payload that zvec 0.8.0 reads back.
pub const ZVEC_MAX_PAYLOAD: u32 = 4 << 20;
/// Versions up to here that are not 0 are taken for a newer format rather than for damage.
const PLAUSIBLE_VERSION: u64 = 255;

/// What the first 64 bytes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The version, 0.
    pub version: u64,
    /// `wal.version` if that version cannot be right. zvec then refuses to open the collection, but the records may be intact.
    pub fault: Option<FormatError>,
}

/// An intact record. Its payload lies where it was read to, or is a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Position among the intact records, from 0.
    pub index: u64,
    /// Offset of its frame.
    pub offset: u64,
    /// The stored CRC, which is that of the payload.
    pub crc: u32,
    /// The document's bytes.
    pub payload: Cow<'a, [u8]>,
}

impl Record<'_> {
    /// Offset of the payload.
    pub fn payload_offset(&self) -> u64 {
        self.offset.saturating_add(FRAME_LEN)
    }

    /// Whether zvec 0.8.0 refuses it for its length, and everything after it.
    pub fn oversize(&self) -> bool {
        self.payload.len() as u64 > u64::from(ZVEC_MAX_PAYLOAD)
    }

    /// The same with a payload of its own.
    pub fn into_owned(self) -> Record<'static> {
        Record { payload: Cow::Owned(self.payload.into_owned()), ..self }
    }
}

/// Bytes that are no intact record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The bytes: from the bad record's frame to the next intact record, or to the end of the file.
    pub range: Range<u64>,
    /// What is wrong with the record at its start.
    pub fault: RecordFault,
    /// What follows.
    pub end: GapEnd,
}

impl Gap {
    /// Whether the gap is exactly one record with a wrong CRC. As the last thing in a log it is then more likely damaged
    /// than torn, unless the system lost pages of it.
    pub fn is_one_record(&self) -> bool {
        let len = self.range.end.saturating_sub(self.range.start);
        matches!(self.fault, RecordFault::Crc { length, .. } if len == FRAME_LEN.saturating_add(u64::from(length)))
    }
}

/// What follows a [`Gap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapEnd {
    /// An intact record: the gap is damage.
    Record,
    /// Nothing intact: the gap is a torn tail, as far as can be told.
    EndOfFile,
    /// Unknown: the search was given up at its bound on work. More intact records may follow.
    GivenUp,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFault {
    /// The file ends within the 8 bytes of the frame.
    ShortFrame {
        /// Bytes that are there.
        found: u64,
    },
    /// The file ends within the payload, if the length is right.
    ShortPayload {
        /// The stored length.
        length: u32,
        /// Bytes that are there.
        found: u64,
    },
    /// The length is 0.
    ZeroLength {
        /// Everything from here to the end of the file is zero: a page that was allocated and never written.
        to_end: bool,
    },
    /// The payload's CRC is not the stored one.
    Crc {
        /// The stored length.
        length: u32,
        /// The stored CRC.
        stored: u32,
        /// The CRC of the payload.
        computed: u32,
    },
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortFrame { found } => write!(f, "{found} bytes of a frame of {FRAME_LEN}"),
            Self::ShortPayload { length, found } => write!(f, "payload of {length} bytes, {found} are there"),
            Self::ZeroLength { to_end: true } => f.write_str("zeros to the end of the file"),
            Self::ZeroLength { to_end: false } => f.write_str("length 0"),
            Self::Crc { length, stored, computed } => {
                write!(f, "CRC {stored:#010x} stored, {computed:#010x} computed over {length} bytes")
            }
        }
    }
}

/// The next thing in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// An intact record.
    Record(Record<'a>),
    /// Bytes that are none.
    Gap(Gap),
}

/// Reads a log from front to back, past damage.
#[derive(Debug)]
pub struct Reader<S> {
    window: Window<S>,
    header: Header,
    position: u64,
    records: u64,
    /// Bytes that the searches of this log may still read in vain.
    search_budget: u64,
}

impl<S: Source> Reader<S> {
    /// Reads the header.
    ///
    /// Codes: `wal.empty` (0 bytes), `wal.header-truncated`, `wal.newer`. An impossible version, and one that is followed by a record of
    /// version 0, is no error here but [`Header::fault`].
    pub fn new(source: S) -> Result<Self> {
        let size = source.size();
        if size == 0 {
            return Err(FormatError::truncated("wal.empty", 0, "the log is empty (0 bytes), its header takes 64"));
        }
        if size < HEADER_LEN {
            let detail = format!("the log has {size} bytes, its header takes {HEADER_LEN}");
            return Err(FormatError::truncated("wal.header-truncated", 0, detail));
        }
        let mut window = Window::new(source);
        let version = u64::from_le_bytes(window.array(0)?);
        let search_budget = resync::budget(size);
        let header = Header { version, fault: None };
        let mut reader = Self { window, header, position: HEADER_LEN, records: 0, search_budget };
        if version != 0 {
            // A flipped bit makes a version, too: a log of a newer release would not begin with a record of this one.
            let of_this_version = size > HEADER_LEN && reader.locate(HEADER_LEN)?.is_ok();
            if !of_this_version && version <= PLAUSIBLE_VERSION {
                let detail = format!("log version {version}, this build knows version 0");
                return Err(FormatError::newer("wal.newer", 0, detail));
            }
            let detail = format!("log version {version:#x}, expected 0");
            reader.header.fault = Some(FormatError::malformed("wal.version", 0, detail));
        }
        Ok(reader)
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Offset of what [`Self::next_entry`] reads next.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next record or gap; `None` at the end. Fails only if the source does (`io.read`).
    pub fn next_entry(&mut self) -> Result<Option<Entry<'static>>> {
        Ok(self.next_in_place()?.map(|entry| match entry {
            Entry::Record(record) => Entry::Record(record.into_owned()),
            Entry::Gap(gap) => Entry::Gap(gap),
        }))
    }

    /// The same without copying the payload.
    pub fn next_in_place(&mut self) -> Result<Option<Entry<'_>>> {
        let (offset, size) = (self.position, self.window.size());
        if offset >= size {
            return Ok(None);
        }
        match self.locate(offset)? {
            Ok(Located { length, crc }) => {
                let (at, len, index) = (offset.saturating_add(FRAME_LEN), u64::from(length), self.records);
                self.position = at.saturating_add(len);
                self.records = index.saturating_add(1);
                let payload = if length > ZVEC_MAX_PAYLOAD {
                    Cow::Owned(self.window.apart(at, len)?)
                } else {
                    Cow::Borrowed(self.window.payload(offset, len)?)
                };
                Ok(Some(Entry::Record(Record { index, offset, crc, payload })))
            }
            Err(fault) => {
                let (end, next) = self.after(offset, &fault)?;
                self.position = next;
                Ok(Some(Entry::Gap(Gap { range: offset..next, fault, end })))
            }
        }
    }

    /// Looks for an intact record at `offset`; the inner error says why there is none.
    fn locate(&mut self, offset: u64) -> Result<std::result::Result<Located, RecordFault>> {
        let left = self.window.size().saturating_sub(offset);
        if left < FRAME_LEN {
            return Ok(Err(RecordFault::ShortFrame { found: left }));
        }
        let [length, crc] = self.frame(offset)?;
        if length == 0 {
            let to_end = self.window.zero_from(offset)?;
            return Ok(Err(RecordFault::ZeroLength { to_end }));
        }
        let found = left.saturating_sub(FRAME_LEN);
        if u64::from(length) > found {
            return Ok(Err(RecordFault::ShortPayload { length, found }));
        }
        let (at, len) = (offset.saturating_add(FRAME_LEN), u64::from(length));
        // A long one is perhaps a damaged length: not worth its memory before the CRC has been seen to match.
        let long = length > ZVEC_MAX_PAYLOAD;
        let computed = if long { self.window.crc(at, len)? } else { raw_crc32c(self.window.payload(offset, len)?) };
        if computed != crc {
            self.search_budget = self.search_budget.saturating_sub(len);
            return Ok(Err(RecordFault::Crc { length, stored: crc, computed }));
        }
        Ok(Ok(Located { length, crc }))
    }

    fn frame(&mut self, offset: u64) -> Result<[u32; 2]> {
        let [a, b, c, d, e, f, g, h] = self.window.array(offset)?;
        Ok([u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])])
    }

    /// Where the log goes on after the bad record at `start`.
    fn after(&mut self, start: u64, fault: &RecordFault) -> Result<(GapEnd, u64)> {
        let size = self.window.size();
        if self.search_budget == 0 {
            return Ok((GapEnd::GivenUp, size));
        }
        match fault {
            RecordFault::ZeroLength { to_end: true } | RecordFault::ShortFrame { .. } => {
                return Ok((GapEnd::EndOfFile, size));
            }
            RecordFault::Crc { length, .. } => {
                // If the length is right, the next record stands behind the payload.
                let next = start.saturating_add(FRAME_LEN).saturating_add(u64::from(*length));
                if resync::is_record(&self.window, next, &mut self.search_budget)? == resync::Verdict::Record {
                    return Ok((GapEnd::Record, next));
                }
            }
            RecordFault::ShortPayload { .. } | RecordFault::ZeroLength { to_end: false } => {}
        }
        Ok(match resync::search(&mut self.window, start.saturating_add(1), &mut self.search_budget)? {
            resync::Found::At(next) => (GapEnd::Record, next),
            resync::Found::Nothing => (GapEnd::EndOfFile, size),
            resync::Found::GivenUp => (GapEnd::GivenUp, size),
        })
    }
}

/// The frame of an intact record.
struct Located {
    length: u32,
    crc: u32,
}

/// How a log ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// After an intact record, or after the header.
    Clean,
    /// In bytes after which nothing intact follows.
    TornTail(Gap),
    /// Like a torn tail, but the search for intact records behind it was given up.
    GivenUp(Gap),
}

/// What a whole log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The header.
    pub header: Header,
    /// Intact records.
    pub records: u64,
    /// Those among them longer than zvec reads.
    pub oversize: u64,
    /// Gaps that intact records follow: damage. Each with the number of intact records behind it.
    pub damage: Vec<(Gap, u64)>,
    /// The end.
    pub end: End,
    /// What zvec 0.8.0 would make of it.
    pub zvec: ZvecView,
}

/// What zvec 0.8.0 does with a log, going by frames and CRCs alone. (A payload that is too short for its document crashes it.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZvecView {
    /// It refuses to open the collection.
    Refused,
    /// It replays the first `records` records, then deletes the log at the next flush.
    Replayed {
        /// Number of records replayed.
        records: u64,
        /// Offset at which it stops, silently, before the end.
        stops_at: Option<u64>,
    },
}

/// Reads a whole log and gives every intact record to `each`.
pub fn scan<S: Source>(source: S, mut each: impl FnMut(Record<'_>)) -> Result<Scan> {
    let mut reader = Reader::new(source)?;
    let header = reader.header.clone();
    let (mut records, mut oversize) = (0u64, 0u64);
    let mut gaps: Vec<(Gap, u64)> = Vec::new();
    let (mut replayed, mut stops_at) = (0u64, None);
    while let Some(entry) = reader.next_in_place()? {
        match entry {
            Entry::Record(record) => {
                records = records.saturating_add(1);
                oversize = oversize.saturating_add(u64::from(record.oversize()));
                if record.oversize() {
                    stops_at.get_or_insert(record.offset);
                }
                if stops_at.is_none() {
                    replayed = replayed.saturating_add(1);
                }
                each(record);
            }
            Entry::Gap(gap) => {
                stops_at.get_or_insert(gap.range.start);
                gaps.push((gap, records));
            }
        }
    }
    let end = match gaps.last().map(|(gap, _)| gap.end) {
        Some(GapEnd::EndOfFile) => gaps.pop().map_or(End::Clean, |(gap, _)| End::TornTail(gap)),
        Some(GapEnd::GivenUp) => gaps.pop().map_or(End::Clean, |(gap, _)| End::GivenUp(gap)),
        Some(GapEnd::Record) | None => End::Clean,
    };
    for (_, before) in &mut gaps {
        *before = records.saturating_sub(*before);
    }
    let zvec =
        if header.fault.is_some() { ZvecView::Refused } else { ZvecView::Replayed { records: replayed, stops_at } };
    Ok(Scan { header, records, oversize, damage: gaps, end, zvec })
}

/// The 64 bytes that begin a log.
pub fn encode_header() -> [u8; HEADER_LEN as usize] {
    [0; HEADER_LEN as usize]
}

/// Appends a record to `out`. Fails with `wal.record-length` on an empty payload or one of 4 GiB or more. Whether zvec can read
/// it back ([`ZVEC_MAX_PAYLOAD`]) is the caller's to decide.
pub fn encode_record(payload: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let length = u32::try_from(payload.len()).ok().filter(|length| *length > 0).ok_or_else(|| FormatError {
        code: "wal.record-length",
        kind: Kind::Malformed,
        offset: out.len() as u64,
        detail: format!("a record of {} bytes, expected 1 to {}", payload.len(), u32::MAX),
    })?;
    out.extend(length.to_le_bytes());
    out.extend(raw_crc32c(payload).to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

/// Appends a record whose payload `payload` appends, and returns the payload's length. After an error `out` is as it was. Codes as
/// [`encode_record`], and those of `payload`.
pub fn encode_record_with(out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<u32> {
    let start = out.len();
    out.extend([0; FRAME_LEN as usize]);
    let encoded = payload(out).and_then(|()| {
        let body = out.get(start.saturating_add(FRAME_LEN as usize)..).unwrap_or_default();
        let length = u32::try_from(body.len()).ok().filter(|length| *length > 0).ok_or_else(|| {
            let detail = format!("a record of {} bytes, expected 1 to {}", body.len(), u32::MAX);
            FormatError::malformed("wal.record-length", start as u64, detail)
        })?;
        Ok((length, raw_crc32c(body)))
    });
    match encoded {
        Ok((length, crc)) => {
            let frame = length.to_le_bytes().into_iter().chain(crc.to_le_bytes());
            out.iter_mut().skip(start).zip(frame).for_each(|(place, byte)| *place = byte);
            Ok(length)
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// Reads the record at `offset`, which must be intact.
///
/// Codes: `wal.truncated`, `wal.record-length`, `wal.crc-mismatch`, `io.read`.
pub fn read_record<S: Source + ?Sized>(source: &S, offset: u64) -> Result<Vec<u8>> {
    let frame = super::read_vec(source, offset, FRAME_LEN, "wal.truncated")?;
    let mut frame = super::cursor::Cursor::new(&frame, offset, "wal.truncated");
    let (length, crc) = (frame.u32()?, frame.u32()?);
    let payload = super::read_vec(source, offset.saturating_add(FRAME_LEN), u64::from(length), "wal.record-length")?;
    if raw_crc32c(&payload) != crc {
        return Err(FormatError::checksum("wal.crc-mismatch", offset, "the record's CRC does not match"));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests;
