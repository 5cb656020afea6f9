//! The container: named segments behind a checksummed table. All integers are little-endian, every CRC is CRC-32C *raw*.
//!
//! ```text
//! streamer:  header | segment table | footer | content           … and again, where footer.next points
//! packed:    header | content | content padding | segment table | footer (the last 128 bytes of the file)
//!
//! header, 64 bytes                                   footer, 128 bytes
//!  0 u32 CRC of the header, this field zero           0 u32 CRC of the footer, this field zero
//!  4 u16 0                                            4 u32 CRC of the whole segment table area
//!  6 u16 format version, 2                            8 u32 CRC of the content (packed; 0 in streamer files)
//!  8 u32 revision, 0                                 12 u32 segments
//! 12 u32 a random number                             16 u32 size of the segment table area
//! 16 u16 64, size of the header                      20 u32 0
//! 18 u16 128, size of the footer                     24 u64 content size
//! 20 u32 footer offset from the header;              32 u64 content padding (packed)
//!        >= 2^31: from the end of the file (packed)  40 u64 check point
//! 24 u64 content offset from the header              48 u64 update time, unix seconds
//! 32 u64 creation time, unix seconds                 56 56 bytes zero
//! 40 24 bytes zero                                  112 u64 next header, absolute; 0 = none (streamer)
//!                                                   120 u64 streamer: content offset + content size; packed: file size
//!
//! segment table: 32-byte entries from the front, NUL-terminated ids anywhere behind them (zvec: streamer from the back,
//! packed right behind the entries), free space zero
//!  0 u32 id offset in the table area | 4 u32 data CRC, 0 = none | 8 u64 data offset in the content
//! 16 u64 data size | 24 u64 padding size            data + padding = capacity
//! ```
//!
//! Table and footer CRCs of a streamer file are refreshed when a segment is added and on flush; in between, data sizes
//! change in place. After a crash the table CRC of the block that was being written is therefore legally wrong.

use std::collections::BTreeMap;

use super::fault::{Faults, at};
use super::section::read_section;
pub use super::section::{Checksum, Section};
use crate::format::checksum::raw_crc32c_append;
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result, Source, read_into, read_vec};

const ENTRY: u64 = 32;
const PAGE: u64 = 4096;
const MAX_ID: usize = 255;
/// As much as stays in a processor's cache between being read and being summed.
const CRC_CHUNK: u64 = 256 << 10;
/// No segment reaches further; keeps offsets within one from overflowing.
const MAX_END: u64 = 1 << 62;

/// How a container is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Growable: table in front of the content, sections can be chained.
    Streamer,
    /// Immutable dump: table and footer at the end.
    Packed,
}

impl Flavour {
    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Streamer => "streamer",
            Self::Packed => "packed",
        }
    }
}

/// A named range of the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its id.
    pub name: String,
    /// Absolute offset of the data.
    pub offset: u64,
    /// Bytes in use.
    pub size: u64,
    /// Unused bytes behind the data; size + padding is the capacity.
    pub padding: u64,
    /// Stored CRC of the data, 0 = none.
    pub crc: u32,
    /// Index of the section it belongs to.
    pub section: usize,
    /// Absolute offset of its entry in the table.
    pub entry_offset: u64,
}

impl Segment {
    /// Fixed room of the segment.
    pub fn capacity(&self) -> u64 {
        self.size.saturating_add(self.padding)
    }

    /// Absolute offset just behind the data.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }
}

/// The sections and segments of a file (or of a nested container).
#[derive(Debug, Clone)]
pub struct Container {
    /// Layout.
    pub flavour: Flavour,
    /// Size of the source it was read from.
    pub file_size: u64,
    /// Sections in chain order, at least one.
    pub sections: Vec<Section>,
    /// Segments in table order.
    pub segments: Vec<Segment>,
    /// What is wrong but did not stop the reading.
    pub faults: Vec<FormatError>,
    by_name: BTreeMap<String, usize>,
}

impl Container {
    /// Reads headers, footers and tables. Fails when the first section cannot be made out; whatever is wrong beyond that is a
    /// fault in [`Container::faults`].
    pub fn open<S: Source + ?Sized>(source: &S) -> Result<Self> {
        let mut container = Self {
            flavour: Flavour::Streamer,
            file_size: source.size(),
            sections: Vec::new(),
            segments: Vec::new(),
            faults: Vec::new(),
            by_name: BTreeMap::new(),
        };
        let mut faults = Faults::default();
        let (mut section, table) = read_section(source, 0, &mut faults)?;
        container.flavour = section.1;
        let mut table = table;
        loop {
            container.add_segments(section.0.clone(), &table, &mut faults);
            let next = section.0.next;
            let end = section.0.content_offset;
            container.sections.push(section.0);
            if container.flavour == Flavour::Packed || next == 0 {
                break;
            }
            // A later section is appended behind the content of the one before; anything else could be a cycle.
            if next < end {
                let detail = format!("next section at {next} lies before the content at {end}");
                faults.push(FormatError::malformed("proxima.bad-next", end.saturating_sub(16), detail));
                break;
            }
            match read_section(source, next, &mut faults) {
                Ok((later, later_table)) => {
                    if later.1 == Flavour::Packed {
                        let detail = "a chained section has the header of a packed file";
                        faults.push(FormatError::malformed("proxima.bad-next", next, detail));
                        break;
                    }
                    section = later;
                    table = later_table;
                }
                Err(error) => {
                    faults.push(error);
                    break;
                }
            }
        }
        container.faults = faults.into_vec();
        Ok(container)
    }

    /// The segment called `name`.
    pub fn segment(&self, name: &str) -> Option<&Segment> {
        self.by_name.get(name).and_then(|&index| self.segments.get(index))
    }

    /// The segment called `name`, or an error with `code`.
    pub fn require(&self, name: &str, code: &'static str) -> Result<&Segment> {
        self.segment(name).ok_or_else(|| {
            let offset = self.sections.first().map_or(0, |section| section.table_offset);
            FormatError::malformed(code, offset, format!("segment {name} is missing"))
        })
    }

    /// Segments `<prefix><first>`, `<prefix><first+1>`, … up to the first number that does not exist.
    pub fn numbered(&self, prefix: &str, first: usize) -> Vec<&Segment> {
        (first..).map_while(|number| self.segment(&format!("{prefix}{number}"))).collect()
    }

    /// The data of `segment`, which must not be larger than `limit`.
    pub fn read<S: Source + ?Sized>(
        &self,
        source: &S,
        segment: &Segment,
        limit: u64,
        code: &'static str,
    ) -> Result<Vec<u8>> {
        if segment.size > limit {
            let detail = format!("segment {} of {} bytes, at most {limit} expected", segment.name, segment.size);
            return Err(FormatError::malformed(code, segment.offset, detail));
        }
        read_vec(source, segment.offset, segment.size, code)
    }

    /// Reads all data of `segment` and compares its CRC; `None` if the file stores none. Padding is not covered.
    pub fn check_segment<S: Source + ?Sized>(&self, source: &S, segment: &Segment) -> Result<Option<Checksum>> {
        if segment.crc == 0 {
            return Ok(None);
        }
        let computed = crc_of(source, segment.offset, segment.size, "proxima.segment-cut")?;
        Ok(Some(Checksum { stored: segment.crc, computed }))
    }

    /// Reads the whole content of a packed file and compares its CRC; `None` for streamer files, which store none.
    pub fn check_content<S: Source + ?Sized>(&self, source: &S) -> Result<Option<Checksum>> {
        let (Flavour::Packed, Some(section)) = (self.flavour, self.sections.first()) else { return Ok(None) };
        let computed = crc_of(source, section.content_offset, section.content_size, "proxima.content-cut")?;
        Ok(Some(Checksum { stored: section.content_crc, computed }))
    }

    fn add_segments(&mut self, section: Section, table: &[u8], faults: &mut Faults) {
        let number = self.sections.len();
        let mut expected = 0u64;
        let mut lowest_id = section.table_size;
        let held = section.table_size / ENTRY;
        if u64::from(section.segment_count) > held {
            let detail = format!("{} segments announced, the table has room for {held}", section.segment_count);
            faults.push(FormatError::malformed("proxima.bad-segment-count", section.footer_offset + 12, detail));
        }
        for (entry, bytes) in table.as_chunks::<32>().0.iter().take(at(section.segment_count.into())).enumerate() {
            let entry_offset = section.table_offset.saturating_add(entry as u64 * ENTRY);
            let Ok(raw) = Entry::parse(bytes, entry_offset) else { break };
            let Some(name) = id_at(table, raw.id_offset) else {
                let detail = format!("segment {entry} has no valid id at {} of the table", raw.id_offset);
                faults.push(FormatError::malformed("proxima.bad-segment-id", entry_offset, detail));
                expected = raw.index.saturating_add(raw.size).saturating_add(raw.padding);
                continue;
            };
            lowest_id = lowest_id.min(raw.id_offset.into());
            self.add_segment(number, &section, name, &raw, expected, entry_offset, faults);
            expected = raw.index.saturating_add(raw.size).saturating_add(raw.padding);
        }
        if u64::from(section.segment_count).saturating_mul(ENTRY) > lowest_id {
            let detail = format!("{} segment entries overlap the id at {lowest_id}", section.segment_count);
            faults.push(FormatError::malformed("proxima.bad-segment-id", section.table_offset, detail));
        }
        if expected != section.content_size {
            let detail = format!("segments cover {expected} bytes, the content has {}", section.content_size);
            faults.push(FormatError::malformed("proxima.bad-content-size", section.footer_offset + 24, detail));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call site; the parts of one table entry")]
    fn add_segment(
        &mut self,
        number: usize,
        section: &Section,
        name: String,
        raw: &Entry,
        expected: u64,
        entry_offset: u64,
        faults: &mut Faults,
    ) {
        let mut fault = |code, detail: String| faults.push(FormatError::malformed(code, entry_offset, detail));
        let end = raw.index.checked_add(raw.size).and_then(|end| end.checked_add(raw.padding));
        let offset = section.content_offset.checked_add(raw.index);
        let (Some(end), Some(offset)) = (end, offset.filter(|&offset| offset.max(end.unwrap_or(u64::MAX)) <= MAX_END))
        else {
            fault("proxima.segment-range", format!("segment {name}: its range overflows"));
            return;
        };
        if end > section.content_size {
            let detail = format!("segment {name} ends at {end} of a content of {} bytes", section.content_size);
            fault("proxima.segment-range", detail);
        }
        if raw.index != expected {
            let detail = format!("segment {name} starts at {}, the one before ends at {expected}", raw.index);
            fault("proxima.segment-gap", detail);
        }
        let capacity = raw.size.saturating_add(raw.padding);
        if self.flavour == Flavour::Streamer && (!raw.index.is_multiple_of(PAGE) || !capacity.is_multiple_of(PAGE)) {
            fault("proxima.segment-unaligned", format!("segment {name} is not a whole number of pages"));
        }
        if self.by_name.contains_key(&name) {
            fault("proxima.duplicate-segment", format!("segment {name} occurs twice; the first counts"));
            return;
        }
        let segment =
            Segment { name, offset, size: raw.size, padding: raw.padding, crc: raw.crc, section: number, entry_offset };
        if segment.end() > self.file_size {
            let detail = format!("segment {} ends at {}, the file at {}", segment.name, segment.end(), self.file_size);
            faults.push(FormatError::truncated("proxima.segment-cut", segment.offset, detail));
        }
        self.by_name.insert(segment.name.clone(), self.segments.len());
        self.segments.push(segment);
    }
}

struct Entry {
    id_offset: u32,
    crc: u32,
    index: u64,
    size: u64,
    padding: u64,
}

impl Entry {
    fn parse(bytes: &[u8; 32], offset: u64) -> Result<Self> {
        let mut cursor = Cursor::new(bytes, offset, "proxima.table-cut");
        Ok(Self {
            id_offset: cursor.u32()?,
            crc: cursor.u32()?,
            index: cursor.u64()?,
            size: cursor.u64()?,
            padding: cursor.u64()?,
        })
    }
}

fn id_at(table: &[u8], offset: u32) -> Option<String> {
    let rest = table.get(at(offset.into())..)?;
    let length = rest.iter().take(MAX_ID + 1).position(|&byte| byte == 0).filter(|&length| length > 0)?;
    String::from_utf8(rest.get(..length)?.to_vec()).ok()
}

fn crc_of<S: Source + ?Sized>(source: &S, offset: u64, len: u64, code: &'static str) -> Result<u32> {
    let (mut state, mut done, mut bytes) = (0, 0, Vec::new());
    while done < len {
        let step = CRC_CHUNK.min(len - done);
        bytes = read_into(source, offset.saturating_add(done), step, code, bytes)?;
        state = raw_crc32c_append(state, &bytes);
        done += step;
    }
    Ok(state)
}
