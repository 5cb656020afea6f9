//! Data blocks without an index: found by their checksums.
//!
//! Data blocks stand one behind the other from offset 0. Where one begins, its end is where the five bytes of a trailer
//! follow that check out over all bytes since the beginning; checksums are extended byte by byte, so one block costs one pass
//! over its bytes. Where no end is found (the block is damaged) later offsets are candidates for the next beginning: those
//! that look like the first entry of an uncompressed block or, if blocks are compressed, all of them. Failures are paid from a
//! budget.
//!
//! What checks out is kept if it decodes as ascending internal keys of known types, which filter, index and property blocks do
//! not.

use super::block::{Block, BlockFormat, BlockHandle, ChecksumType, Compression, TRAILER_SIZE};
use super::entries::IndexEntry;
use super::footer::context_modifier;
use super::key::{Comparator, split_internal_key};
use crate::format::checksum::mask_crc32c;
use crate::format::cursor::Cursor;
use crate::format::{Source, read_vec};

/// Longest block whose end is searched for.
const LONGEST: u64 = 4 << 20;
/// Longest block whose end is searched for at an offset that is only a guess: twice the usual size.
const LONGEST_GUESS: u64 = 8 << 10;
/// What searches that fail may cost per table: bytes hashed, plus [`DIGEST_COST`] for each possible end.
const BUDGET: u64 = 1 << 30;
const DIGEST_COST: u64 = 32;
/// Longest key that a guessed first entry may have.
const LONGEST_KEY: u64 = 64 << 10;
/// Bytes that are read at once where every offset is looked at.
const WINDOW: u64 = 4 * LONGEST_KEY;

/// Blocks that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Salvaged {
    /// As index entries; the key is the last user key of the block.
    pub blocks: Vec<IndexEntry>,
    /// Bytes between them that are no block.
    pub unrecognised: u64,
}

/// Data blocks of a table without footer, and the checksum type that fits them; `None` if there is none.
pub(super) fn without_footer<S: Source + ?Sized>(source: &S) -> Option<(BlockFormat, Salvaged)> {
    let kinds = [ChecksumType::Xxh3, ChecksumType::Crc32c, ChecksumType::XxHash64, ChecksumType::XxHash];
    kinds.into_iter().find_map(|checksum| {
        // Without context checksums all format versions from 2 on look alike in a data block.
        let format = BlockFormat { format_version: 5, checksum, base_context: 0, dictionary: None };
        let mut budget = BUDGET;
        find_end(source, 0, source.size(), Sought::First, &format, &mut budget)?;
        let found = data_blocks(source, &format, source.size(), Comparator::Bytewise);
        (!found.blocks.is_empty()).then_some((format, found))
    })
}

/// Data blocks before `end`.
pub(super) fn data_blocks<S: Source + ?Sized>(
    source: &S,
    format: &BlockFormat,
    end: u64,
    comparator: Comparator,
) -> Salvaged {
    if format.checksum == ChecksumType::None {
        return Salvaged::default();
    }
    let search = |compressed| {
        let window = Window { source, start: 0, bytes: Vec::new() };
        Search { source, window, format, end, comparator, budget: BUDGET, compressed }.run()
    };
    let found = search(false);
    if found.blocks.is_empty() { search(true) } else { found }
}

/// A part of a file, for those who go through it in small steps.
struct Window<'a, S: ?Sized> {
    source: &'a S,
    start: u64,
    bytes: Vec<u8>,
}

impl<S: Source + ?Sized> Window<'_, S> {
    /// Up to `length` bytes from `position`, fewer where the file ends.
    fn get(&mut self, position: u64, length: u64) -> Option<&[u8]> {
        let size = self.source.size();
        let end = position.saturating_add(length).min(size);
        if position < self.start || end > self.start.saturating_add(self.bytes.len() as u64) {
            let length = size.checked_sub(position)?.min(WINDOW.max(length));
            self.bytes = read_vec(self.source, position, length, "sst.block-truncated").ok()?;
            self.start = position;
        }
        let at = |offset: u64| usize::try_from(offset.checked_sub(self.start)?).ok();
        self.bytes.get(at(position)?..at(end)?)
    }
}

struct Search<'a, S: ?Sized> {
    source: &'a S,
    window: Window<'a, S>,
    format: &'a BlockFormat,
    end: u64,
    comparator: Comparator,
    budget: u64,
    /// Blocks are compressed, so a guessed beginning cannot be told by its looks.
    compressed: bool,
}

impl<S: Source + ?Sized> Search<'_, S> {
    fn run(mut self) -> Salvaged {
        let mut salvaged = Salvaged::default();
        let mut position = 0u64;
        let mut lost_since = None;
        while position < self.end && self.budget > 0 {
            let Some(handle) = self.block_at(position, lost_since.is_some()) else {
                lost_since.get_or_insert(position);
                position = position.saturating_add(1);
                continue;
            };
            let entry = as_data_block(self.source, handle, self.format, self.comparator, &salvaged.blocks);
            if let Some((entry, compression)) = entry {
                let gap = position.saturating_sub(lost_since.take().unwrap_or(position));
                salvaged.unrecognised = salvaged.unrecognised.saturating_add(gap);
                salvaged.blocks.push(entry);
                self.compressed |= compression != Compression::None;
            }
            position = handle.end().unwrap_or(self.end);
        }
        salvaged
    }

    /// The block that begins at `position`, which is a guess or right behind another block.
    fn block_at(&mut self, position: u64, guess: bool) -> Option<BlockHandle> {
        if guess && !self.compressed && !self.looks_like_a_beginning(position) {
            return None;
        }
        let sought = if guess { Sought::Guessed } else { Sought::Next };
        let mut left = self.budget;
        let found = find_end(self.source, position, self.end, sought, self.format, &mut left);
        if found.is_none() {
            self.budget = left;
        }
        found
    }

    /// Whether an entry that shares nothing and has an internal key of a known type stands at `position`.
    fn looks_like_a_beginning(&mut self, position: u64) -> bool {
        self.first_key_is_internal(position).unwrap_or(false)
    }

    fn first_key_is_internal(&mut self, position: u64) -> Option<bool> {
        let length = self.end.saturating_sub(position).min(LONGEST_KEY);
        let head = self.window.get(position, length.min(16))?;
        // Nothing is shared, and what is not has eight bytes at least. Most offsets are told by that, and there are many.
        if !matches!(head, [0, unshared, ..] if *unshared >= 8) {
            return Some(false);
        }
        let mut cursor = Cursor::new(head, 0, "sst.entry-truncated");
        let shared = cursor.varint32().ok()?;
        let unshared = u64::from(cursor.varint32().ok()?);
        cursor.varint32().ok()?;
        let trailer = cursor.offset().checked_add(unshared)?.checked_sub(8)?;
        if shared != 0 || unshared < 8 || trailer.checked_add(8)? > length {
            return Some(false);
        }
        let bytes = self.window.get(position.checked_add(trailer)?, 8)?;
        Some(split_internal_key(bytes).is_some_and(|(_, _, kind)| kind.is_known()))
    }
}

fn as_data_block<S: Source + ?Sized>(
    source: &S,
    handle: BlockHandle,
    format: &BlockFormat,
    comparator: Comparator,
    before: &[IndexEntry],
) -> Option<(IndexEntry, Compression)> {
    let block = Block::read(source, handle, format).ok()?;
    let versions = block.versions().ok()?;
    let previous = before.last().map(|entry| entry.key.as_slice());
    let keys = previous.into_iter().chain(versions.iter().map(|version| version.key.as_slice()));
    let ascending = keys.is_sorted_by(|a, b| comparator.compare(a, b).is_le());
    // An index of internal keys looks like a data block, but begins again at the first key and points at what was found.
    let points_at = |value: &[u8]| {
        let mut cursor = Cursor::new(value, 0, "sst.bad-index-value");
        BlockHandle::decode(&mut cursor)
            .is_ok_and(|target| cursor.is_empty() && before.iter().any(|entry| entry.handle == target))
    };
    let index = versions.iter().all(|version| points_at(&version.value));
    let last = versions.into_iter().last().filter(|_| ascending && !index)?;
    Some((IndexEntry { key: last.key, handle, first_key: None }, block.compression))
}

/// The block whose end is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sought {
    /// The first of a table, which holds entries.
    First,
    /// The one behind a block, of whatever kind.
    Next,
    /// One of entries that may begin here.
    Guessed,
}

/// The block that begins at `start`, if bytes that check out end it before `end` and within the longest that is looked at.
fn find_end<S: Source + ?Sized>(
    source: &S,
    start: u64,
    end: u64,
    sought: Sought,
    format: &BlockFormat,
    budget: &mut u64,
) -> Option<BlockHandle> {
    // Without an incremental form each possible end costs a pass over all bytes before it.
    let incremental = matches!(format.checksum, ChecksumType::Crc32c | ChecksumType::Xxh3);
    let longest = if incremental && sought != Sought::Guessed { LONGEST } else { LONGEST_GUESS };
    let limit = end.min(source.size()).saturating_sub(start).min(longest.saturating_add(TRAILER_SIZE));
    let modifier = context_modifier(format.base_context, start);
    let mut hash = Running::new(format.checksum);
    let mut hashed = 0u64;
    let mut window = 4096.min(limit);
    loop {
        let bytes = read_vec(source, start, window, "sst.block-truncated").ok()?;
        // Contents end before `at`, where the compression byte stands; it is one of a few values.
        let from = usize::try_from(hashed).ok()?;
        let mut fed = from;
        for (at, trailer) in bytes.windows(5).enumerate().skip(from) {
            let (kind, stored) = trailer.split_first()?;
            let plausible = match Compression::from_byte(*kind) {
                Compression::Other(_) => false,
                // Zeros are everywhere: where only entries are wanted, or a try costs much, the end must look like that of entries.
                Compression::None if sought != Sought::Next || !incremental => ends_like_a_block(bytes.get(..at)?),
                _ => at >= 4,
            };
            if !plausible {
                continue;
            }
            hash.update(bytes.get(fed..at)?);
            let digest = if incremental { DIGEST_COST } else { at as u64 };
            *budget = budget.saturating_sub(at.saturating_sub(fed) as u64).saturating_sub(digest);
            if *budget == 0 {
                return None;
            }
            fed = at;
            let stored = stored.iter().rev().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
            if hash.of_block(*kind, bytes.get(..at)?).wrapping_add(modifier) == stored {
                return Some(BlockHandle { offset: start, size: at as u64 });
            }
        }
        if window >= limit {
            return None;
        }
        hashed = fed as u64;
        // The hash has been fed up to `fed`; positions from there on are looked at again with more bytes behind them.
        window = window.saturating_mul(2).min(limit);
    }
}

/// Whether uncompressed contents end like a block of entries: with the offsets of its restart points, the first of which is 0, and
/// their count.
fn ends_like_a_block(contents: &[u8]) -> bool {
    let Some((offsets, count)) = contents.split_last_chunk::<4>() else { return false };
    let count = u32::from_le_bytes(*count);
    // The highest bit tells of a hash index, which stands between the offsets and the count.
    if count >> 31 == 1 {
        return true;
    }
    let first = usize::try_from(count).ok().and_then(|count| offsets.len().checked_sub(count.checked_mul(4)?));
    count > 0 && first.and_then(|first| offsets.get(first..)?.first_chunk()) == Some(&[0; 4])
}

/// A checksum that is extended as the block may grow.
enum Running {
    Crc(u32),
    Xxh3(Box<xxhash_rust::xxh3::Xxh3>),
    /// No incremental form here: computed anew each time.
    Whole(ChecksumType),
}

impl Running {
    fn new(kind: ChecksumType) -> Self {
        match kind {
            ChecksumType::Crc32c => Self::Crc(0),
            ChecksumType::Xxh3 => Self::Xxh3(Box::default()),
            other => Self::Whole(other),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(crc) => *crc = crc32c::crc32c_append(*crc, bytes),
            Self::Xxh3(state) => state.update(bytes),
            Self::Whole(_) => {}
        }
    }

    fn of_block(&self, kind: u8, contents: &[u8]) -> u32 {
        match self {
            Self::Crc(crc) => mask_crc32c(crc32c::crc32c_append(*crc, &[kind])),
            Self::Xxh3(state) => ChecksumType::xxh3_with_type(state.digest() as u32, kind),
            Self::Whole(checksum) => checksum.of_block(contents, kind),
        }
    }
}
