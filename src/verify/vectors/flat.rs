//! Level 2 of flat dense files: counters, blocks, the list of blocks, keys.

use crate::format::{
    Source,
    proxima::{
        VectorFile,
        flat::{BLOCK_ROWS, Flat},
    },
    read_vec,
};

use super::subject::{Harm, Subject, first_non_zero, non_zero};

const CUT: &str = "flat.truncated";
const NO_KEY: u64 = u64::MAX;
const PAGE: u64 = 4096;
const SEGMENT: u64 = 4 << 20;

pub(super) fn check<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, flat: &Flat, nullable: bool) {
    counters(subject, file, flat);
    head(subject, file, flat);
    match flat.chain(file.source()) {
        Ok((_, faults)) => faults.iter().for_each(|fault| subject.format(fault, Harm::Search)),
        Err(error) => subject.format(&error, Harm::Search),
    }
    // More blocks than the file has bytes for were announced by a damaged table, which has been told.
    for block in 0..flat.blocks().min(file.container.file_size / flat.block_size().max(1)) {
        if subject.ctx.stopped() {
            return;
        }
        check_block(subject, file.source(), flat, block, nullable);
    }
}

fn prefix(flat: &Flat) -> &'static str {
    if flat.legacy { "linear" } else { "flat" }
}

fn counters<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, flat: &Flat) {
    let Some(segment) = file.container.segment(&format!("{}.linear_meta", prefix(flat))) else { return };
    let Ok(bytes) = read_vec(file.source(), segment.offset, segment.size.min(128), CUT) else { return };
    let meta = &flat.meta;
    for range in [32..64, 100..128] {
        let reserved = bytes.get(range.clone()).unwrap_or_default();
        if let Some(at) = non_zero(reserved) {
            let offset = segment.offset + (range.start + at) as u64;
            subject.warning("flat.padding", offset, "an unused byte of linear_meta is not zero");
        }
    }
    let expect = |at: u64, what: &str, found: u64, expected: u64| {
        if found != expected {
            let detail = format!("{what}: {found}, {expected} expected");
            subject.error("flat.bad-meta", segment.offset + at, Harm::Search, detail);
        }
    };
    let word = bytes.get(64..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word));
    expect(64, "size of the header", word.into(), 64 + u64::from(meta.meta_size));
    expect(96, "size of IndexMeta", meta.meta_size.into(), file.meta.size);
    expect(0, "size of linear_meta", segment.size, 128 + u64::from(meta.meta_size));
    let block = flat.block_size();
    let full = (SEGMENT.max(block) / block * block).checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
    expect(28, "size of a feature segment", meta.segment_size.into(), full);
    subject.times(meta.created, meta.updated, segment.offset);
    // zvec counts flushes; nobody flushes an index that often.
    if meta.revision > u64::from(u32::MAX) || (meta.revision == 0 && meta.rows > 0) {
        let detail = format!("revision {} of an index of {} rows", meta.revision, meta.rows);
        subject.warning("proxima.revision", segment.offset + 16, detail);
    }
}

fn head<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, flat: &Flat) {
    let Some(segment) = file.container.segment(&format!("{}.linear_list_head", prefix(flat))) else { return };
    let used = if flat.legacy { 4 } else { 8 };
    if let Some(offset) = first_non_zero(file.source(), segment.offset + used, segment.end()) {
        subject.warning("flat.padding", offset, "an unused byte of linear_list_head is not zero");
    }
}

fn check_block<S: Source>(subject: &Subject<'_>, source: &S, flat: &Flat, block: u64, nullable: bool) {
    let read = flat.block_offset(block).and_then(|start| Ok((start, flat.block_trailer(source, block)?)));
    let (start, trailer) = match read {
        Ok(found) => found,
        Err(error) => return subject.format(&error, Harm::Perhaps),
    };
    let first = block * BLOCK_ROWS;
    let rows = (flat.rows - first.min(flat.rows)).min(BLOCK_ROWS);
    if u64::from(trailer.rows) != rows {
        let detail = format!(
            "block {block} states {} rows and has {rows}; zvec's queries see as many as it states",
            trailer.rows
        );
        subject.error("flat.bad-block", trailer.offset, Harm::Search, detail);
    }
    if trailer.deleted != 0 || trailer.flags != 0 {
        let detail = format!(
            "block {block}: deletion bitmap {:#x} and flags {:#x}; zvec writes 0",
            trailer.deleted, trailer.flags
        );
        subject.error("flat.bad-trailer", trailer.offset, Harm::Search, detail);
    }
    let bytes = match read_vec(source, start, trailer.offset - start, CUT) {
        Ok(bytes) => bytes,
        Err(error) => return subject.format(&error, Harm::Vectors),
    };
    let element = usize::try_from(flat.element_size()).unwrap_or(usize::MAX);
    let keys_at = element.saturating_mul(BLOCK_ROWS as usize);
    let (elements, rest) = bytes.split_at_checked(keys_at).unwrap_or((&bytes, &[]));
    let (keys, gap) = rest.split_at_checked(8 * BLOCK_ROWS as usize).unwrap_or((rest, &[]));
    let used = usize::try_from(rows).unwrap_or(0);
    let offset_of = |at: usize| start + at as u64;
    for (row, key) in keys.as_chunks::<8>().0.iter().enumerate().take(used) {
        let (number, key) = (first + row as u64, u64::from_le_bytes(*key));
        let offset = offset_of(keys_at + 8 * row);
        if key == NO_KEY {
            let vector = elements.get(row * element..(row + 1) * element).unwrap_or_default();
            if let Some(at) = non_zero(vector) {
                let detail = format!("row {number} has no vector by its key, yet bytes where it would be");
                subject.row_error(number, "flat.bad-null", offset_of(row * element + at), Harm::Perhaps, detail);
            } else if !nullable {
                let detail = format!("row {number} has no vector, and the column is never null");
                subject.row_error(number, "segment.vector-missing", offset, Harm::Vectors, detail);
            }
        } else if key != number {
            let detail = format!("row {number} states key {key}");
            subject.row_error(number, "proxima.bad-key", offset, Harm::Search, detail);
        }
    }
    let unused = [
        (used * element, elements.get(used * element..).unwrap_or_default(), "behind the last vector"),
        (keys_at + 8 * used, keys.get(8 * used..).unwrap_or_default(), "behind the last key"),
        (keys_at + keys.len(), gap, "behind the keys"),
    ];
    for (at, bytes, place) in unused {
        if let Some(position) = non_zero(bytes) {
            let detail = format!("a byte {place} of block {block}, where zvec writes zeros, is none");
            subject.warning("flat.padding", offset_of(at + position), detail);
        }
    }
}
