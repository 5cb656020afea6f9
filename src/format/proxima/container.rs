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
//! segment table: 32-byte entries from the front, NUL-terminated ids anywhere behind them, free space zero
//!  0 u32 id offset in the table area | 4 u32 data CRC, 0 = none | 8 u64 data offset in the content
//! 16 u64 data size | 24 u64 padding size            data + padding = capacity
//! ```
//!
//! Table and footer CRCs of a streamer file are refreshed when a segment is added and on flush; in between, data sizes
//! change in place. After a crash the table CRC of the block that was being written is therefore legally wrong.

use std::collections::BTreeMap;

use super::fault::{Faults, at};
use crate::format::checksum::{raw_crc32c, raw_crc32c_append, raw_crc32c_self};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Kind, Result, Source, read_vec};

const HEADER: u64 = 64;
const FOOTER: u64 = 128;
const ENTRY: u64 = 32;
const PAGE: u64 = 4096;
const VERSION: u16 = 2;
/// zvec uses 1 MiB; this only keeps a hostile size from costing much memory.
const MAX_TABLE: u64 = 64 << 20;
const MAX_ID: usize = 255;
const CRC_CHUNK: u64 = 1 << 20;
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

/// A stored checksum beside the one computed from the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum {
    /// What the file says.
    pub stored: u32,
    /// What the bytes give.
    pub computed: u32,
}

impl Checksum {
    /// Whether both agree.
    pub fn is_valid(self) -> bool {
        self.stored == self.computed
    }
}

/// One header with its table, footer and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Absolute offset of the header.
    pub offset: u64,
    /// Format version.
    pub version: u16,
    /// The file's random number.
    pub magic: u32,
    /// Creation time, unix seconds.
    pub created: u64,
    /// Update time, unix seconds.
    pub updated: u64,
    /// Check point; 0 in every file seen.
    pub check_point: u64,
    /// Absolute offset of the segment table area.
    pub table_offset: u64,
    /// Size of the segment table area.
    pub table_size: u64,
    /// Absolute offset of the footer.
    pub footer_offset: u64,
    /// Absolute offset of the content.
    pub content_offset: u64,
    /// Size of the content: data and padding of all segments.
    pub content_size: u64,
    /// Padding behind the content (packed).
    pub content_padding: u64,
    /// Stored content CRC; meaningful in packed files only.
    pub content_crc: u32,
    /// Segments the footer announces.
    pub segment_count: u32,
    /// Absolute offset of the next header, 0 = none.
    pub next: u64,
    /// Total size as the footer states it.
    pub total_size: u64,
    /// CRC of the header.
    pub header_crc: Checksum,
    /// CRC of the footer.
    pub footer_crc: Checksum,
    /// CRC of the segment table area.
    pub table_crc: Checksum,
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
    let mut state = 0;
    let mut done = 0;
    while done < len {
        let step = CRC_CHUNK.min(len - done);
        state = raw_crc32c_append(state, &read_vec(source, offset.saturating_add(done), step, code)?);
        done += step;
    }
    Ok(state)
}

type Parsed = ((Section, Flavour), Vec<u8>);

fn read_section<S: Source + ?Sized>(source: &S, start: u64, faults: &mut Faults) -> Result<Parsed> {
    let size = source.size();
    let header = read_vec(source, start, HEADER, "proxima.truncated")?;
    let mut cursor = Cursor::new(&header, start, "proxima.truncated");
    let stored = cursor.u32()?;
    let header_crc = Checksum { stored, computed: raw_crc32c_self(&header) };
    cursor.skip(2)?;
    let version = cursor.u16()?;
    cursor.skip(4)?;
    let magic = cursor.u32()?;
    let (header_size, footer_size) = (cursor.u16()?, cursor.u16()?);
    let (footer_at, content_at, created) = (cursor.u32()?, cursor.u64()?, cursor.u64()?);
    if u64::from(header_size) != HEADER || u64::from(footer_size) != FOOTER {
        let detail = format!("header of {header_size} and footer of {footer_size} bytes; 64 and 128 expected");
        return Err(FormatError::malformed("proxima.bad-header", start + 16, detail));
    }
    if !header_crc.is_valid() {
        faults.push(mismatch("proxima.header-crc", start, "header", header_crc));
    }
    if version != VERSION {
        let detail = format!("container version {version}, this build knows {VERSION}");
        if version > VERSION && header_crc.is_valid() {
            return Err(FormatError::newer("proxima.newer-version", start + 6, detail));
        }
        faults.push(FormatError::malformed("proxima.bad-version", start + 6, detail));
    }
    let flavour = if footer_at >= 1 << 31 { Flavour::Packed } else { Flavour::Streamer };
    let footer_offset = match flavour {
        Flavour::Streamer => start.checked_add(footer_at.into()),
        Flavour::Packed => size.checked_sub((1 << 32) - u64::from(footer_at)),
    };
    let footer_offset = footer_offset
        .ok_or_else(|| FormatError::truncated("proxima.truncated", start, "the footer lies outside the file"))?;
    let footer = read_vec(source, footer_offset, FOOTER, "proxima.truncated")?;
    let mut cursor = Cursor::new(&footer, footer_offset, "proxima.truncated");
    let stored = cursor.u32()?;
    let footer_crc = Checksum { stored, computed: raw_crc32c_self(&footer) };
    let (table_stored, content_crc, segment_count) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    let table_size = u64::from(cursor.u32()?);
    cursor.skip(4)?;
    let (content_size, content_padding) = (cursor.u64()?, cursor.u64()?);
    let (check_point, updated) = (cursor.u64()?, cursor.u64()?);
    cursor.skip(56)?;
    let (next, total_size) = (cursor.u64()?, cursor.u64()?);
    if !footer_crc.is_valid() {
        faults.push(mismatch("proxima.footer-crc", footer_offset, "footer", footer_crc));
    }
    let table_offset = footer_offset
        .checked_sub(table_size)
        .filter(|&offset| offset >= start.saturating_add(HEADER))
        .ok_or_else(|| {
        let detail = format!("a segment table of {table_size} bytes does not fit before the footer");
        FormatError::malformed("proxima.bad-table-size", footer_offset + 16, detail)
    })?;
    if table_size > MAX_TABLE {
        let detail = format!("a segment table of {table_size} bytes");
        return Err(FormatError::unsupported("proxima.bad-table-size", footer_offset + 16, detail));
    }
    let table = read_vec(source, table_offset, table_size, "proxima.truncated")?;
    let table_crc = Checksum { stored: table_stored, computed: raw_crc32c(&table) };
    if !table_crc.is_valid() {
        faults.push(mismatch("proxima.table-crc", table_offset, "segment table", table_crc));
    }
    let content_offset = start
        .checked_add(content_at)
        .ok_or_else(|| FormatError::malformed("proxima.bad-header", start + 24, "the content offset overflows"))?;
    let section = Section {
        offset: start,
        version,
        magic,
        created,
        updated,
        check_point,
        table_offset,
        table_size,
        footer_offset,
        content_offset,
        content_size,
        content_padding,
        content_crc,
        segment_count,
        next,
        total_size,
        header_crc,
        footer_crc,
        table_crc,
    };
    check_sizes(&section, flavour, size, faults);
    Ok(((section, flavour), table))
}

fn check_sizes(section: &Section, flavour: Flavour, size: u64, faults: &mut Faults) {
    let offset = section.footer_offset;
    let mut fault = |kind, code, at: u64, detail: String| faults.push(FormatError { code, kind, offset: at, detail });
    let content_end = section.content_offset.saturating_add(section.content_size);
    let total = section.total_size;
    match flavour {
        Flavour::Packed => {
            if total != size {
                let detail = format!("total size {total}, the file has {size} bytes");
                fault(Kind::Malformed, "proxima.bad-total-size", offset + 120, detail);
            }
            if content_end.saturating_add(section.content_padding) != section.table_offset {
                let detail =
                    format!("content and padding end at {content_end}, the table starts at {}", section.table_offset);
                fault(Kind::Malformed, "proxima.bad-content-size", offset + 24, detail);
            }
        }
        Flavour::Streamer => {
            if offset.saturating_add(FOOTER) != section.content_offset {
                let detail =
                    format!("the footer ends at {}, the content starts at {}", offset + FOOTER, section.content_offset);
                fault(Kind::Malformed, "proxima.bad-header", section.offset + 24, detail);
            }
            if section.offset.saturating_add(total) != content_end {
                let detail = format!("total size {total} from {}, the content ends at {content_end}", section.offset);
                fault(Kind::Malformed, "proxima.bad-total-size", offset + 120, detail);
            }
            if content_end > size {
                let detail =
                    format!("the content ends at {content_end}, the file at {size}; zvec refuses a file this short");
                fault(Kind::Truncated, "proxima.truncated", size, detail);
            }
        }
    }
}

fn mismatch(code: &'static str, offset: u64, what: &str, crc: Checksum) -> FormatError {
    let detail = format!("CRC of the {what}: {:#010x} stored, {:#010x} computed", crc.stored, crc.computed);
    FormatError::checksum(code, offset, detail)
}
