//! The checksums of a whole table, without decoding a single entry: at the speed of reading.

use super::block::{BlockHandle, check_trailer};
use super::table::{Table, TableFault};
use crate::format::{FormatError, Kind, Source};

/// How much is read at a time.
const CHUNK: u64 = 1 << 20;

impl<S: Source> Table<S> {
    /// Compares the checksum of every block with its trailer, those of filters and other meta blocks included, in the order of the file.
    /// Damage that opening found is left out: it is in [`faults`](Self::faults). `read` is told the bytes of each chunk that was read, and
    /// says whether to go on.
    pub fn check_checksums(&self, mut read: impl FnMut(u64) -> bool) -> Vec<TableFault> {
        let mut faults = Vec::new();
        let mut window = Window { start: 0, bytes: Vec::new() };
        let data = self.index().iter().enumerate().map(|(number, entry)| (entry.handle, Some(number)));
        // Those that opening has read are known to be whole, or their fault is known.
        let opened: [&[u8]; 5] = [
            b"rocksdb.properties",
            b"rocksdb.range_del",
            b"rocksdb.compression_dict",
            b"rocksdb.index",
            b"rocksdb.stats",
        ];
        let meta = self.meta_blocks().iter().filter(|(name, _)| !opened.contains(&name.as_slice()));
        let mut blocks: Vec<(BlockHandle, Option<usize>)> =
            data.chain(meta.map(|(_, handle)| (*handle, None))).collect();
        blocks.sort_by_key(|(handle, _)| handle.offset);
        let formats = self.formats();
        for (handle, number) in blocks {
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
            let length = size.saturating_sub(handle.offset).min(CHUNK).max(end.saturating_sub(handle.offset));
            if !read(length) {
                return Ok(None);
            }
            self.start = handle.offset;
            self.bytes.clear();
            let length = usize::try_from(length).map_err(|_| {
                let detail = format!("{length} bytes do not fit in memory");
                FormatError::unsupported("sst.block-truncated", handle.offset, detail)
            })?;
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
