//! Header and footer of one section of a container; `container` has the byte map.

use super::container::Flavour;
use super::fault::Faults;
use crate::format::checksum::{raw_crc32c, raw_crc32c_self};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Kind, Result, Source, read_vec};

const HEADER: u64 = 64;
const FOOTER: u64 = 128;
const VERSION: u16 = 2;
/// zvec uses 1 MiB; this only keeps a hostile size from costing much memory.
const MAX_TABLE: u64 = 64 << 20;

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

/// The header of a file, by which it is told from every other one: a random number is in it, and the time. `None` if there is none, or it is damaged.
pub fn header<S: Source + ?Sized>(source: &S) -> Option<Vec<u8>> {
    let bytes = read_vec(source, 0, HEADER, "proxima.truncated").ok()?;
    let mut cursor = Cursor::new(&bytes, 0, "proxima.truncated");
    let stored = cursor.u32().ok()?;
    cursor.skip(12).ok()?;
    let sized = u64::from(cursor.u16().ok()?) == HEADER;
    (sized && stored == raw_crc32c_self(&bytes)).then_some(bytes)
}

/// A section, its flavour, and its segment table.
pub(super) type Parsed = ((Section, Flavour), Vec<u8>);

/// Reads header, footer and table of the section whose header is at `start`.
pub(super) fn read_section<S: Source + ?Sized>(source: &S, start: u64, faults: &mut Faults) -> Result<Parsed> {
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
