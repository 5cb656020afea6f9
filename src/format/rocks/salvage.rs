//! Data blocks without an index: found by their checksums.
//!
//! Data blocks stand one behind the other from offset 0. Where one begins, its end is where the five bytes of a trailer
//! follow that check out over all bytes since the beginning; checksums are extended byte by byte, so one block costs one pass
//! over its bytes. Where no end is found (the block is damaged) every later offset is a candidate for the next beginning, within
//! a budget of hashed bytes. What checks out is kept if it decodes as ascending internal keys of known types, which filter,
//! index and property blocks do not.

use super::block::{Block, BlockFormat, BlockHandle, ChecksumType, Compression, TRAILER_SIZE};
use super::entries::IndexEntry;
use super::footer::context_modifier;
use super::key::Comparator;
use crate::format::checksum::mask_crc32c;
use crate::format::cursor::Cursor;
use crate::format::{Source, read_vec};

/// Longest block whose end is searched for.
const LONGEST: u64 = 8 << 20;
/// Longest block whose end is searched for at an offset that is only a guess.
const LONGEST_GUESS: u64 = 64 << 10;
/// Bytes that may be hashed in search of the beginning of a block, per search.
const GUESS_BUDGET: u64 = 512 << 20;

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
        find_end(source, 0, source.size(), LONGEST, &format)?;
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
    let mut salvaged = Salvaged::default();
    if format.checksum == ChecksumType::None {
        return salvaged;
    }
    let mut position = 0u64;
    let mut budget = GUESS_BUDGET;
    let mut lost_since = None;
    while position < end {
        let longest = if lost_since.is_none() { LONGEST } else { LONGEST_GUESS };
        if let Some(handle) = find_end(source, position, end, longest, format) {
            if let Some(entry) = as_data_block(source, handle, format, comparator, &salvaged.blocks) {
                let gap = position.saturating_sub(lost_since.take().unwrap_or(position));
                salvaged.unrecognised = salvaged.unrecognised.saturating_add(gap);
                salvaged.blocks.push(entry);
            }
            position = handle.end().unwrap_or(end);
            continue;
        }
        lost_since.get_or_insert(position);
        let cost = longest.min(end.saturating_sub(position));
        let Some(left) = budget.checked_sub(cost) else { break };
        budget = left;
        position = position.saturating_add(1);
    }
    salvaged
}

fn as_data_block<S: Source + ?Sized>(
    source: &S,
    handle: BlockHandle,
    format: &BlockFormat,
    comparator: Comparator,
    before: &[IndexEntry],
) -> Option<IndexEntry> {
    let versions = Block::read(source, handle, format).ok()?.versions().ok()?;
    let previous = before.last().map(|entry| entry.key.as_slice());
    let keys = previous.into_iter().chain(versions.iter().map(|version| version.key.as_slice()));
    let ascending = keys.is_sorted_by(|a, b| comparator.compare(a, b).is_le());
    // An index of internal keys looks like a data block, but begins again at the first key and points at what was found.
    let points_at = |value: &[u8]| {
        let mut cursor = Cursor::new(value, 0, "sst.bad-index-value");
        BlockHandle::decode(&mut cursor).is_ok_and(|target| before.iter().any(|entry| entry.handle == target))
    };
    let index = versions.iter().all(|version| points_at(&version.value));
    let last = versions.into_iter().last().filter(|_| ascending && !index)?;
    Some(IndexEntry { key: last.key, handle, first_key: None })
}

/// The block that begins at `start`, if bytes that check out end it before `end` and within `longest` bytes.
fn find_end<S: Source + ?Sized>(
    source: &S,
    start: u64,
    end: u64,
    longest: u64,
    format: &BlockFormat,
) -> Option<BlockHandle> {
    let longest = match format.checksum {
        ChecksumType::Crc32c | ChecksumType::Xxh3 => longest,
        // Hashed anew at each candidate.
        _ => longest.min(LONGEST_GUESS),
    };
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
            if at < 4 || matches!(Compression::from_byte(*kind), Compression::Other(_)) {
                continue;
            }
            hash.update(bytes.get(fed..at)?);
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
