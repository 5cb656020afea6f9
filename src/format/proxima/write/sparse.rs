//! The body of a flat sparse file: records in data chunks, their places in offset chunks. `super::super::flat_sparse` has the byte map.

use super::container::{ContainerWriter, Filling, SegmentId};
use super::encode::{Encoder, Input};
use super::patch::PatchSink;
use super::plan::FilePlan;
use crate::format::proxima::fault::align;
use crate::format::proxima::rows::NO_KEY;
use crate::format::proxima::sparse::ALIGNMENT;
use crate::format::{FormatError, Result};

const DATA: &str = "bruteforce_sparse_streamer_data_";
const OFFSETS: &str = "bruteforce_sparse_streamer_offset_";
const DATA_CHUNK: u32 = 8 << 20;
const OFFSET_CHUNK: u32 = 1 << 20;
const ROW: u64 = 24;
const META_ROOM: u64 = 16 << 10;

/// A chunk that is being filled.
#[derive(Debug, Default)]
struct Chunks {
    count: u32,
    filling: Option<Filling>,
}

impl Chunks {
    /// Makes sure that `len` bytes fit into the current chunk of `size`, and returns chunk number and offset.
    fn place<S: PatchSink>(
        &mut self,
        container: &mut ContainerWriter<S>,
        prefix: &str,
        size: u32,
        len: u64,
    ) -> Result<(u32, u32)> {
        let filled = self.filling.as_ref().map(Filling::len).filter(|filled| filled + len <= size.into());
        let filled = match filled {
            Some(filled) => filled,
            None => {
                self.flush(container)?;
                let segment = container.reserve(&format!("{prefix}{}", self.count), size.into())?;
                self.count += 1;
                self.filling = Some(Filling::new(segment));
                0
            }
        };
        // Below the size of a chunk.
        Ok((self.count - 1, filled as u32))
    }

    fn push<S: PatchSink>(&mut self, container: &mut ContainerWriter<S>, bytes: &[u8]) -> Result<()> {
        self.filling.as_mut().map_or(Ok(()), |filling| filling.push(container, bytes))
    }

    fn flush<S: PatchSink>(&mut self, container: &mut ContainerWriter<S>) -> Result<()> {
        self.filling.as_mut().map_or(Ok(()), |filling| filling.flush(container))
    }
}

/// Writes records as rows come in.
#[derive(Debug)]
pub(super) struct SparseBody {
    meta: SegmentId,
    streamer: SegmentId,
    data: Chunks,
    offsets: Chunks,
    rows: u32,
    non_zeros: u32,
    record: Vec<u8>,
}

impl SparseBody {
    /// Reserves everything that stands before the chunks.
    pub(super) fn new<S: PatchSink>(container: &mut ContainerWriter<S>, plan: &FilePlan) -> Result<Self> {
        let index_meta = plan.meta.to_bytes()?;
        let meta = container.reserve("bruteforce_sparse_meta", 32)?;
        let streamer = container.reserve("bruteforce_sparse_streamer_meta", 16)?;
        container.add("IndexMeta", &index_meta, align(index_meta.len() as u64, META_ROOM), true)?;
        Ok(Self {
            meta,
            streamer,
            data: Chunks::default(),
            offsets: Chunks::default(),
            rows: 0,
            non_zeros: 0,
            record: Vec::new(),
        })
    }

    /// Adds a vector behind `nulls` rows without one; those state the place of the vector that follows.
    pub(super) fn push<S: PatchSink>(
        &mut self,
        container: &mut ContainerWriter<S>,
        encoder: &Encoder,
        nulls: u64,
        input: Input,
    ) -> Result<()> {
        self.record.clear();
        let added = encoder.sparse(input, &mut self.record)?;
        let length = align(self.record.len() as u64, ALIGNMENT);
        if length > DATA_CHUNK.into() {
            let detail = format!("a sparse vector of {length} bytes, {DATA_CHUNK} is the most");
            return Err(FormatError::unsupported("sparse.too-large", 0, detail));
        }
        let too_many =
            |what: &str| FormatError::unsupported("proxima.too-large", 0, format!("more than 2^32 - 1 {what}"));
        let row = u64::from(self.rows) + nulls;
        let rows = u32::try_from(row + 1).map_err(|_| too_many("rows"))?;
        let non_zeros = self.non_zeros.checked_add(added).ok_or_else(|| too_many("non-zeros"))?;
        self.record.resize(length as usize, 0);
        let (chunk, offset) = self.data.place(container, DATA, DATA_CHUNK, length)?;
        let keys = std::iter::repeat_n(NO_KEY, usize::try_from(nulls).unwrap_or(usize::MAX)).chain([row]);
        for key in keys {
            self.offsets.place(container, OFFSETS, OFFSET_CHUNK, ROW)?;
            let mut entry = Vec::with_capacity(ROW as usize);
            // At most the size of a chunk.
            for value in [offset, chunk, length as u32, 0] {
                entry.extend(value.to_le_bytes());
            }
            entry.extend(key.to_le_bytes());
            self.offsets.push(container, &entry)?;
        }
        self.data.push(container, &self.record)?;
        (self.rows, self.non_zeros) = (rows, non_zeros);
        Ok(())
    }

    /// Writes what is left and what counts it all.
    pub(super) fn finish<S: PatchSink>(
        mut self,
        container: &mut ContainerWriter<S>,
        created: u64,
        updated: u64,
    ) -> Result<()> {
        self.data.flush(container)?;
        self.offsets.flush(container)?;
        if self.rows > 0 {
            container.trim_last();
        }
        let mut meta: Vec<u8> = [created, updated].iter().flat_map(|value| value.to_le_bytes()).collect();
        meta.extend(self.rows.to_le_bytes());
        meta.extend(self.non_zeros.to_le_bytes());
        meta.resize(32, 0);
        container.write(self.meta, 0, &meta)?;
        let streamer = [self.offsets.count, OFFSET_CHUNK, self.data.count, DATA_CHUNK];
        let streamer: Vec<u8> = streamer.iter().flat_map(|value| value.to_le_bytes()).collect();
        container.write(self.streamer, 0, &streamer)
    }
}
