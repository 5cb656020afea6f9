//! The writing segment: its published blocks, its indexes, and the block that is being filled.

use std::path::{Path, PathBuf};

use crate::{
    format::{
        manifest::{
            proto::{BlockMeta, BlockType, SegmentMeta},
            row_count,
        },
        schema_file::VectorIndex,
        value::Value,
    },
    inspect::names::{block_path, segment_dir, wal_path},
};

use super::{
    EngineError, FieldKind, Schema,
    block::{BlockContext, OpenBlock, writing_block_meta},
    files::Files,
    fts_index::{self, FtsIndex},
    scalar_index::{self, ScalarIndex},
};

/// The segment that takes new documents.
pub struct WritingSegment {
    /// Its entry in the manifest without the writing forward block.
    pub meta: SegmentMeta,
    /// The next block id to give out.
    pub next_block: u32,
    /// Rows of its published blocks.
    pub published_rows: u64,
    /// Index of the INVERT columns, if there are any.
    pub scalar_index: Option<ScalarIndex>,
    /// Index of the FTS columns, if there are any.
    pub fts_index: Option<FtsIndex>,
    /// The block that is being filled.
    pub block: OpenBlock,
}

impl WritingSegment {
    /// Makes the directory and the empty indexes of a new segment; all durable but for the name of its directory.
    pub fn create(files: &Files, root: &Path, schema: &Schema, id: u32) -> Result<Self, EngineError> {
        let dir = root.join(segment_dir(id));
        files.create_dir(&dir)?;
        let mut meta = SegmentMeta { segment_id: id, ..SegmentMeta::default() };
        // Block 0 is the forward block.
        let mut next_block = 1;
        let mut index = |kind: BlockType, columns: Vec<String>| {
            let block = BlockMeta { block_id: next_block, block_type: kind as i32, columns, ..BlockMeta::default() };
            next_block += 1;
            let path = root.join(block_path(id, &block, true).unwrap_or_default());
            meta.persisted_blocks.push(block);
            path
        };
        let scalar_index = match scalar_index::is_needed(schema) {
            true => {
                let path = index(BlockType::ScalarIndex, scalar_index::column_names(schema));
                Some(ScalarIndex::create(files, path, schema)?)
            }
            false => None,
        };
        let fts_index = match fts_index::is_needed(schema) {
            true => {
                let path = index(BlockType::FtsIndex, Vec::new());
                Some(FtsIndex::create(files, path, schema)?)
            }
            false => None,
        };
        files.sync_dir(&dir)?;
        meta.indexed_vector_fields = flat_fields(schema);
        let block = OpenBlock::new(0, schema);
        Ok(Self { meta, next_block, published_rows: 0, scalar_index, fts_index, block })
    }

    /// Opens the writing segment that a manifest names.
    pub fn open(files: &Files, root: &Path, schema: &Schema, meta: &SegmentMeta) -> Result<Self, EngineError> {
        let id = meta.segment_id;
        let path = |kind: BlockType| {
            let block = meta.persisted_blocks.iter().find(|block| block.block_type == kind as i32)?;
            Some(root.join(block_path(id, block, true)?))
        };
        let missing = |what: &str| {
            let detail = format!("the schema has {what} columns, and the writing segment has no index of them");
            let error = crate::format::FormatError::malformed("segment.index-missing", 0, detail);
            EngineError::format(&root.join(segment_dir(id)), error)
        };
        let scalar_index = match scalar_index::is_needed(schema) {
            true => {
                let path = path(BlockType::ScalarIndex).ok_or_else(|| missing("INVERT"))?;
                Some(ScalarIndex::open(files, path, schema)?)
            }
            false => None,
        };
        let published_rows = row_count(meta);
        let fts_index = match fts_index::is_needed(schema) {
            true => {
                let path = path(BlockType::FtsIndex).ok_or_else(|| missing("FTS"))?;
                Some(FtsIndex::open(files, path, schema, published_rows)?)
            }
            false => None,
        };
        let forward = meta.writing_forward_block.as_ref().map_or(0, |block| block.block_id);
        let listed = meta.persisted_blocks.iter().map(|block| block.block_id).chain([forward]);
        let on_disk = block_ids_on_disk(files, &root.join(segment_dir(id)))?;
        let next_block = next_block_id(listed, on_disk)?;
        let mut meta = meta.clone();
        meta.writing_forward_block = None;
        let block = OpenBlock::new(forward, schema);
        Ok(Self { meta, next_block, published_rows, scalar_index, fts_index, block })
    }

    /// Segment id.
    pub fn id(&self) -> u32 {
        self.meta.segment_id
    }

    /// Its directory, relative to the collection.
    pub fn dir(&self) -> PathBuf {
        segment_dir(self.id())
    }

    /// Log of its open block, relative to the collection.
    pub fn wal_path(&self) -> PathBuf {
        wal_path(self.id(), self.block.id)
    }

    /// Rows, published or not.
    pub fn rows(&self) -> u64 {
        self.published_rows + self.block.rows()
    }

    /// Bytes that the open block takes in memory, indexes included.
    pub fn memory_size(&self) -> usize {
        let scalar = self.scalar_index.as_ref().map_or(0, ScalarIndex::memory_size);
        let fts = self.fts_index.as_ref().map_or(0, FtsIndex::memory_size);
        self.block.memory_size() + scalar + fts
    }

    /// Whether zvec has sealed one of its indexes: then it must not take documents any more.
    pub fn is_sealed(&self) -> Result<bool, EngineError> {
        let scalar = self.scalar_index.as_ref().map_or(Ok(false), ScalarIndex::is_sealed)?;
        let fts = self.fts_index.as_ref().map_or(Ok(false), FtsIndex::is_sealed)?;
        Ok(scalar || fts)
    }

    /// Adds a document with a value per field in schema order.
    pub fn add(
        &mut self,
        context: &BlockContext<'_>,
        doc_id: u64,
        pk: &[u8],
        values: Vec<Value>,
        offset: u64,
    ) -> Result<(), EngineError> {
        let row = u32::try_from(self.rows()).map_err(|_| {
            super::Refusal::new(
                "segment.full",
                "a segment takes no more than 2^32 rows: the indexes count with 32 bits",
            )
        })?;
        if let Some(index) = &mut self.scalar_index {
            index.add(row, &values)?;
        }
        if let Some(index) = &mut self.fts_index {
            index.add(row, &values)?;
        }
        self.block.add(context, &mut self.next_block, doc_id, pk, values, offset)
    }

    /// Writes the open block, if it has rows: forward store, scalar index, full-text index, vectors. Content is durable when this returns.
    pub fn write_block(&mut self, context: &BlockContext<'_>) -> Result<(), EngineError> {
        if self.block.rows() == 0 {
            return Ok(());
        }
        self.meta.persisted_blocks.push(self.block.write_rows(context)?);
        if let Some(index) = &mut self.scalar_index {
            index.flush()?;
        }
        if let Some(index) = &mut self.fts_index {
            index.flush()?;
        }
        let vectors = self.block.write_vectors(context)?;
        self.meta.persisted_blocks.extend(vectors);
        self.published_rows += self.block.rows();
        Ok(())
    }

    /// Its entry once it is persisted. A full-text index is sealed for that, in a directory of its own, durable but for its name; the old one's
    /// path is returned: superfluous once the entry is in force.
    pub fn persisted_meta(
        &mut self,
        files: &Files,
        root: &Path,
    ) -> Result<(SegmentMeta, Option<PathBuf>), EngineError> {
        let mut meta = self.meta.clone();
        let Some(index) = &self.fts_index else { return Ok((meta, None)) };
        // Of one that zvec was killed in sealing, some columns may be open.
        if index.is_wholly_sealed() {
            return Ok((meta, None));
        }
        let id = self.id();
        let listed = meta.persisted_blocks.iter_mut();
        let Some(entry) = listed.into_iter().find(|block| block.block_type == BlockType::FtsIndex as i32) else {
            return Ok((meta, None));
        };
        let old = block_path(id, entry, true).map(|path| root.join(path));
        entry.block_id = self.next_block;
        self.next_block += 1;
        index.seal(files, &root.join(block_path(id, entry, true).unwrap_or_default()))?;
        files.sync_dir(&root.join(segment_dir(id)))?;
        Ok((meta, old))
    }

    /// Begins the next block. It gets an id of its own even if the last one had no rows: a log that a crash leaves behind must not be
    /// taken for the new one.
    pub fn begin_block(&mut self, schema: &Schema) {
        self.block = OpenBlock::new(self.next_block, schema);
        self.next_block += 1;
    }

    /// The entry of the manifest while the segment is written.
    pub fn writing_meta(&self, schema: &Schema, next_doc_id: u64) -> SegmentMeta {
        let mut meta = self.meta.clone();
        meta.writing_forward_block = Some(writing_block_meta(schema, self.block.id, next_doc_id));
        meta
    }
}

/// Vector fields with a FLAT index, sorted: theirs is what a flush writes, all others wait for `optimize`.
fn flat_fields(schema: &Schema) -> Vec<String> {
    let mut names: Vec<String> = schema
        .fields()
        .iter()
        .filter(|field| matches!(&field.kind, FieldKind::Vector(vector) if matches!(vector.index, VectorIndex::Flat { .. })))
        .map(|field| field.name.clone())
        .collect();
    names.sort_unstable();
    names
}

/// Highest block id that may be in use when another one is given out: a file whose name has a higher one is a stranger's, and what one opening gives out
/// does not come near it.
const LAST_BLOCK: u32 = u32::MAX - (1 << 24);

/// The next block id behind those that are listed and those of files on disk. Refuses, with `segment.full`, if there is none left.
pub fn next_block_id(
    listed: impl Iterator<Item = u32>,
    on_disk: impl IntoIterator<Item = u32>,
) -> Result<u32, EngineError> {
    let used = listed.chain(on_disk.into_iter().filter(|id| *id < LAST_BLOCK)).max();
    let next = used.map_or(Some(0), |last| last.checked_add(1)).filter(|next| *next <= LAST_BLOCK);
    next.ok_or_else(|| super::Refusal::new("segment.full", "there is no block id left to give out").into())
}

/// Ids of blocks whose files stand in a segment's directory, listed or not: none of them is given out again, so that nothing is
/// written over.
pub fn block_ids_on_disk(files: &Files, dir: &Path) -> Result<Vec<u32>, EngineError> {
    let entries = files.fs().list(dir).map_err(|error| EngineError::io(dir, error))?;
    let ids = entries.iter().filter_map(|entry| {
        let name = entry.name.to_str()?;
        let stem =
            [".proxima", ".ipc", ".parquet", ".wal", ".rocksdb"].iter().find_map(|end| name.strip_suffix(end))?;
        stem.rsplit('.').next()?.parse().ok()
    });
    Ok(ids.collect())
}
