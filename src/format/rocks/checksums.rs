//! The checksums of a whole table, without decoding a single entry: at the speed of reading.

use super::block::{BlockHandle, check_trailer};
use super::table::{Table, TableFault};
use crate::format::{FormatError, Kind, Source};

/// How much is read at a time: as much as stays in a processor's cache until it is summed.
const CHUNK: u64 = 256 << 10;

/// A block whose checksum is to be compared: where it is, and its number if it is a data block.
#[derive(Debug, Clone, Copy)]
pub struct Checked {
    handle: BlockHandle,
    number: Option<usize>,
}

impl<S: Source> Table<S> {
    /// Every block that has a trailer, filters and other meta blocks included, in the order of the file. Parts of the list can be checked at the same
    /// time. Those that opening has read are left out: they are known to be whole, or their fault is in [`faults`](Self::faults).
    pub fn blocks_to_check(&self) -> Vec<Checked> {
        let data = self.index().iter().enumerate();
        let data = data.map(|(number, entry)| Checked { handle: entry.handle, number: Some(number) });
        let opened: [&[u8]; 5] = [
            b"rocksdb.properties",
            b"rocksdb.range_del",
            b"rocksdb.compression_dict",
            b"rocksdb.index",
            b"rocksdb.stats",
        ];
        let meta = self.meta_blocks().iter().filter(|(name, _)| !opened.contains(&name.as_slice()));
        let meta = meta.map(|(_, handle)| Checked { handle: *handle, number: None });
        let mut blocks: Vec<Checked> = data.chain(meta).collect();
        blocks.sort_by_key(|block| block.handle.offset);
        blocks
    }

    /// Compares the checksums of blocks, which follow each other in the file, with their trailers. `read` is told the bytes of each chunk that was
    /// read, and says whether to go on.
    pub fn check_checksums(&self, blocks: &[Checked], mut read: impl FnMut(u64) -> bool) -> Vec<TableFault> {
        let mut faults = Vec::new();
        let last = blocks.last().and_then(|block| block.handle.end()).unwrap_or(u64::MAX);
        let mut window = Window { start: 0, bytes: Vec::new(), last };
        let formats = self.formats();
        for Checked { handle, number } in blocks.iter().copied() {
            let bytes = match window.block(self.source(), handle, &mut read) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break,
                Err(error) => {
                    faults.push(TableFault { error, keys: number.map(|number| self.block_keys(number)) });
                    continue;
                }
            };
            let format = if number.is_some() { formats.0 } else { formats.1 };
            if let Err(error) = check_trailer(bytes, handle, format) {
                faults.push(TableFault { error, keys: number.map(|number| self.block_keys(number)) });
            }
        }
        faults
    }
}

/// The part of a file that is in memory.
struct Window {
    start: u64,
    bytes: Vec<u8>,
    /// End of the last block that will be asked for: nothing beyond it is read.
    last: u64,
}

impl Window {
    /// The bytes of a block with its trailer; `None` if `read` says that it is enough.
    fn block<S: Source + ?Sized>(
        &mut self,
        source: &S,
        handle: BlockHandle,
        read: &mut impl FnMut(u64) -> bool,
    ) -> Result<Option<&[u8]>, FormatError> {
        let size = source.size();
        let end = handle.end().filter(|end| *end <= size).ok_or_else(|| {
            let detail = format!("block of {} bytes, the file ends at {size}", handle.size);
            FormatError::truncated("sst.block-truncated", handle.offset, detail)
        })?;
        if handle.offset < self.start || end > self.start.saturating_add(self.bytes.len() as u64) {
            let left = size.min(self.last).saturating_sub(handle.offset);
            let length = left.min(CHUNK).max(end.saturating_sub(handle.offset));
            if !read(length) {
                return Ok(None);
            }
            let length = usize::try_from(length).map_err(|_| {
                let detail = format!("{length} bytes do not fit in memory");
                FormatError::unsupported("sst.block-truncated", handle.offset, detail)
            })?;
            self.start = handle.offset;
            // All of it is overwritten; only what is new is zeroed.
            self.bytes.resize(length, 0);
            if let Err(error) = source.read_exact_at(self.start, &mut self.bytes) {
                // What is in the buffer is not the file's.
                self.bytes.clear();
                return Err(FormatError { code: "io.read", kind: Kind::Io, offset: handle.offset, detail: error.0 });
            }
        }
        let from = usize::try_from(handle.offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let to = usize::try_from(end.saturating_sub(self.start)).unwrap_or(usize::MAX);
        Ok(Some(self.bytes.get(from..to).unwrap_or_default()))
    }
}
