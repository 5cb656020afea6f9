//! Streamer containers: segments get their place one by one, table and checksums follow when all is written.
//!
//! ```text
//! header | segment table area | footer | content: the segments, each a whole number of pages, in the order of their reservation
//! ```
//!
//! `super::super::container` has the byte map. What nothing fills stays a run of zeros that the sink is told of.

use super::patch::PatchSink;
use super::{FileOptions, Room};
use crate::format::checksum::{raw_crc32c, raw_crc32c_append, raw_crc32c_self};
use crate::format::proxima::fault::align;
use crate::format::{FormatError, Result};

/// Segments are whole pages.
pub(super) const PAGE: u64 = 4096;
const HEADER: u64 = 64;
const FOOTER: u64 = 128;
const ENTRY: u64 = 32;
const VERSION: u16 = 2;
/// Bytes gathered before they are handed to the sink.
const BUFFER: usize = 256 << 10;
const ZEROS: [u8; 4096] = [0; 4096];

/// A reserved segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentId(usize);

#[derive(Debug)]
struct Entry {
    name: String,
    index: u64,
    size: u64,
    capacity: u64,
    crc: u32,
}

/// A container under construction.
#[derive(Debug)]
pub(super) struct ContainerWriter<S> {
    sink: S,
    base: u64,
    room: Room,
    magic: u32,
    created: u64,
    entries: Vec<Entry>,
    ids_size: u64,
    content_size: u64,
}

impl<S: PatchSink> ContainerWriter<S> {
    /// Starts at the end of `sink` with the segment `IndexVersion`.
    pub(super) fn new(sink: S, options: &FileOptions) -> Result<Self> {
        let mut container = Self {
            base: sink.position(),
            sink,
            room: options.room,
            magic: options.magic,
            created: options.created,
            entries: Vec::new(),
            ids_size: 0,
            content_size: 0,
        };
        container.add("IndexVersion", options.version.as_bytes(), 0, true)?;
        Ok(container)
    }

    /// Offset of the content from the header: header, table and footer.
    fn content_offset(&self) -> u64 {
        align(self.room.table() + HEADER + FOOTER, PAGE)
    }

    fn table_size(&self) -> u64 {
        self.content_offset() - HEADER - FOOTER
    }

    /// Reserves a segment of `capacity` bytes, rounded up to whole pages.
    pub(super) fn reserve(&mut self, name: &str, capacity: u64) -> Result<SegmentId> {
        let full = |what: &str| FormatError::unsupported("proxima.too-large", 0, format!("segment {name}: {what}"));
        let ids_size = self.ids_size + name.len() as u64 + 1;
        if (self.entries.len() as u64 + 1) * ENTRY + ids_size > self.table_size() {
            return Err(full("the segment table is full"));
        }
        let capacity = align(capacity, PAGE);
        let end = self.content_size.checked_add(capacity).filter(|&end| end <= 1 << 62);
        let end = end.ok_or_else(|| full("the file ends beyond what the format can address"))?;
        let entry = Entry { name: name.to_owned(), index: self.content_size, size: 0, capacity, crc: 0 };
        self.entries.push(entry);
        self.ids_size = ids_size;
        self.content_size = end;
        Ok(SegmentId(self.entries.len() - 1))
    }

    /// Reserves a segment of at least `capacity` bytes and fills it with `data`.
    pub(super) fn add(&mut self, name: &str, data: &[u8], capacity: u64, with_crc: bool) -> Result<SegmentId> {
        let segment = self.reserve(name, capacity.max(data.len() as u64))?;
        self.write(segment, 0, data)?;
        if with_crc && let Some(entry) = self.entries.get_mut(segment.0) {
            entry.crc = raw_crc32c(data);
        }
        Ok(segment)
    }

    /// Writes `data` at `offset` of a segment, which holds at least that much from then on.
    pub(super) fn write(&mut self, segment: SegmentId, offset: u64, data: &[u8]) -> Result<()> {
        let content = self.base + self.content_offset();
        let missing = || FormatError::malformed("proxima.bad-segment", 0, "no such segment");
        let entry = self.entries.get_mut(segment.0).ok_or_else(missing)?;
        let end = offset.saturating_add(data.len() as u64);
        if end > entry.capacity {
            let detail = format!("segment {} has {} bytes, {end} are needed", entry.name, entry.capacity);
            return Err(FormatError::malformed("proxima.bad-segment", content + entry.index, detail));
        }
        entry.size = entry.size.max(end);
        let start = content + entry.index + offset;
        let grown = match self.room {
            Room::AsZvec => content + entry.index + entry.capacity,
            Room::Compact => align(start + data.len() as u64 - self.base, PAGE) + self.base,
        };
        self.grow(grown)?;
        self.sink.write_at(start, data).map_err(|error| error.at(start))
    }

    /// Gives back the unused pages of the segment reserved last, if the file is to be compact.
    pub(super) fn trim_last(&mut self) {
        if self.room == Room::Compact
            && let Some(entry) = self.entries.last_mut()
        {
            entry.capacity = align(entry.size, PAGE);
            self.content_size = entry.index + entry.capacity;
        }
    }

    fn grow(&mut self, end: u64) -> Result<()> {
        let position = self.sink.position();
        match end.checked_sub(position) {
            Some(missing) if missing > 0 => self.sink.append_zeros(missing).map_err(|error| error.at(position)),
            _ => Ok(()),
        }
    }

    /// Bytes up to the end of the last segment.
    pub(super) fn position(&self) -> u64 {
        self.content_offset() + self.content_size
    }

    /// Room of all segments whose name begins with `prefix`.
    pub(super) fn capacity_of(&self, prefix: &str) -> u64 {
        self.entries.iter().filter(|entry| entry.name.starts_with(prefix)).map(|entry| entry.capacity).sum()
    }

    /// Writes table, footer and header, in this order, and returns the sink and the size of the container.
    pub(super) fn finish(mut self, updated: u64) -> Result<(S, u64)> {
        let content_offset = self.content_offset();
        let total = content_offset + self.content_size;
        self.grow(self.base + total)?;
        let (front, back) = self.table();
        let back_offset = self.table_size() - back.len() as u64;
        let table_crc = raw_crc32c_append(zeros_crc(raw_crc32c(&front), back_offset - front.len() as u64), &back);
        let table = self.base + HEADER;
        self.put(table, &front)?;
        self.put(table + back_offset, &back)?;
        let footer = self.footer(table_crc, updated, total);
        self.put(self.base + content_offset - FOOTER, &footer)?;
        let header = self.header();
        self.put(self.base, &header)?;
        Ok((self.sink, total))
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.sink.write_at(offset, bytes).map_err(|error| error.at(offset))
    }

    /// Front and back of the table area; zeros lie between.
    fn table(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut front, mut back) = (Vec::new(), Vec::new());
        let mut id_offset = self.table_size();
        for entry in &self.entries {
            id_offset -= entry.name.len() as u64 + 1;
            // Below the size of the table, which is far below 4 GiB.
            front.extend((id_offset as u32).to_le_bytes());
            front.extend(entry.crc.to_le_bytes());
            for value in [entry.index, entry.size, entry.capacity - entry.size] {
                front.extend(value.to_le_bytes());
            }
        }
        for entry in self.entries.iter().rev() {
            back.extend(entry.name.as_bytes());
            back.push(0);
        }
        (front, back)
    }

    fn header(&self) -> Vec<u8> {
        let content_offset = self.content_offset();
        let mut out = vec![0; 4];
        out.extend(0u16.to_le_bytes());
        out.extend(VERSION.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        out.extend(self.magic.to_le_bytes());
        out.extend((HEADER as u16).to_le_bytes());
        out.extend((FOOTER as u16).to_le_bytes());
        // The content starts within a few MiB.
        out.extend(((content_offset - FOOTER) as u32).to_le_bytes());
        out.extend(content_offset.to_le_bytes());
        out.extend(self.created.to_le_bytes());
        out.resize(HEADER as usize, 0);
        seal(out)
    }

    fn footer(&self, table_crc: u32, updated: u64, total: u64) -> Vec<u8> {
        let mut out = vec![0; 4];
        let segments = self.entries.len() as u32;
        for value in [table_crc, 0, segments, self.table_size() as u32, 0] {
            out.extend(value.to_le_bytes());
        }
        for value in [self.content_size, 0, 0, updated] {
            out.extend(value.to_le_bytes());
        }
        out.resize(112, 0);
        out.extend(0u64.to_le_bytes());
        out.extend(total.to_le_bytes());
        seal(out)
    }
}

/// Puts the CRC of the whole into the first four bytes, which are zero.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = raw_crc32c_self(&bytes).to_le_bytes();
    if let Some(place) = bytes.first_chunk_mut() {
        *place = crc;
    }
    bytes
}

fn zeros_crc(mut state: u32, mut len: u64) -> u32 {
    while len > 0 {
        let step = len.min(ZEROS.len() as u64);
        state = raw_crc32c_append(state, ZEROS.get(..step as usize).unwrap_or(&ZEROS));
        len -= step;
    }
    state
}

/// Bytes on their way into a segment that is filled from its start.
#[derive(Debug)]
pub(super) struct Filling {
    segment: SegmentId,
    handed_over: u64,
    buffer: Vec<u8>,
}

impl Filling {
    /// Fills `segment`, which is empty.
    pub(super) fn new(segment: SegmentId) -> Self {
        Self { segment, handed_over: 0, buffer: Vec::new() }
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.handed_over + self.buffer.len() as u64
    }

    /// Adds `bytes`.
    pub(super) fn push<S: PatchSink>(&mut self, container: &mut ContainerWriter<S>, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER { self.flush(container) } else { Ok(()) }
    }

    /// Hands everything to the sink.
    pub(super) fn flush<S: PatchSink>(&mut self, container: &mut ContainerWriter<S>) -> Result<()> {
        if !self.buffer.is_empty() {
            container.write(self.segment, self.handed_over, &self.buffer)?;
            self.handed_over = self.len();
            self.buffer.clear();
        }
        Ok(())
    }
}
