//! The open forward block: rows in memory, vectors on their way into files, and where each row's record stands in the log.

use std::path::{Path, PathBuf};

use crate::{
    format::{
        forward::{
            Column, Encoding,
            write::{BlockWriter, RowBuilder, row_block_columns},
        },
        manifest::proto::{BlockMeta, BlockType},
        proxima::write::{ColumnPlan, FileOptions, FlatWriter},
        value::Value,
    },
    inspect::names::block_path,
};

use super::{EngineError, FieldKind, FileSink, Schema, files::Files, options::Options};

/// What an open block needs to know.
pub struct BlockContext<'a> {
    /// Files.
    pub files: &'a Files,
    /// The collection's directory.
    pub root: &'a Path,
    /// The schema.
    pub schema: &'a Schema,
    /// Id of its segment.
    pub segment: u32,
    /// Whether forward blocks are Arrow IPC files.
    pub enable_mmap: bool,
    /// Limits and time.
    pub options: &'a Options,
}

/// A block that is being filled.
pub struct OpenBlock {
    /// Id of the forward block, which names the log, too.
    pub id: u32,
    rows: RowBuilder,
    columns: Vec<String>,
    ids: Option<(u64, u64)>,
    vectors: Vec<VectorFile>,
    /// Offset of each row's record in the log.
    offsets: Vec<u64>,
}

struct VectorFile {
    /// Position of its field in the schema.
    position: usize,
    column: String,
    block: u32,
    quantised: bool,
    path: PathBuf,
    writer: FlatWriter<FileSink>,
}

/// Names of the columns of a row block, as a manifest lists them.
pub fn row_columns(schema: &Schema) -> Vec<String> {
    forward_columns(schema).into_iter().map(|column| column.name).collect()
}

fn forward_columns(schema: &Schema) -> Vec<Column> {
    row_block_columns(schema.fields().iter().filter_map(|field| match &field.kind {
        FieldKind::Scalar { column_type, .. } => {
            Some(Column { name: field.name.clone(), column_type: *column_type, nullable: field.nullable })
        }
        FieldKind::Vector(_) => None,
    }))
}

/// The entry of a writing forward block in a manifest.
pub fn writing_block_meta(schema: &Schema, id: u32, next_doc_id: u64) -> BlockMeta {
    BlockMeta {
        block_id: id,
        block_type: BlockType::Scalar as i32,
        min_doc_id: next_doc_id,
        max_doc_id: 0,
        doc_count: 0,
        columns: row_columns(schema),
    }
}

impl OpenBlock {
    /// An empty block.
    pub fn new(id: u32, schema: &Schema) -> Self {
        let columns = forward_columns(schema);
        Self {
            id,
            columns: columns.iter().map(|column| column.name.clone()).collect(),
            rows: RowBuilder::new(columns),
            ids: None,
            vectors: Vec::new(),
            offsets: Vec::new(),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.offsets.len() as u64
    }

    /// Bytes that the block takes in memory.
    pub fn memory_size(&self) -> usize {
        self.rows.memory_size() + self.offsets.len() * size_of::<u64>()
    }

    /// Bytes of the largest vector file, about.
    pub fn vector_bytes(&self) -> u64 {
        self.vectors.iter().map(|file| file.writer.position()).max().unwrap_or(0)
    }

    /// The vector files that are being written.
    pub fn vector_paths(&self) -> impl Iterator<Item = &Path> {
        self.vectors.iter().map(|file| file.path.as_path())
    }

    /// Offset in the log of the record of a document of this block.
    pub fn record_of(&self, doc_id: u64) -> Option<u64> {
        let (first, _) = self.ids?;
        let row = usize::try_from(doc_id.checked_sub(first)?).ok()?;
        self.offsets.get(row).copied()
    }

    /// Appends a document. The first one makes the vector files, whose block ids come from `next_block`. Document ids follow each other
    /// without a gap.
    pub fn add(
        &mut self,
        context: &BlockContext<'_>,
        next_block: &mut u32,
        doc_id: u64,
        pk: &[u8],
        values: Vec<Value>,
        offset: u64,
    ) -> Result<(), EngineError> {
        if self.rows() == 0 {
            self.vectors = create_vectors(context, next_block)?;
        }
        for file in &mut self.vectors {
            let value = values.get(file.position);
            file.writer.push(value).map_err(|error| EngineError::format(&file.path, error))?;
        }
        let scalars = values.into_iter().zip(context.schema.fields());
        let scalars = scalars.filter(|(_, field)| matches!(field.kind, FieldKind::Scalar { .. }));
        let scalars = scalars.map(|(value, _)| value).collect();
        let appended = self.rows.append_document(doc_id, pk, scalars);
        appended.map_err(|error| EngineError::format(&self.forward_path(context), error))?;
        self.ids = Some((self.ids.map_or(doc_id, |(first, _)| first), doc_id));
        self.offsets.push(offset);
        Ok(())
    }

    fn forward_path(&self, context: &BlockContext<'_>) -> PathBuf {
        let meta = BlockMeta { block_id: self.id, block_type: BlockType::Scalar as i32, ..BlockMeta::default() };
        let relative = block_path(context.segment, &meta, context.enable_mmap).unwrap_or_default();
        context.root.join(relative)
    }

    fn meta(&self, id: u32, kind: BlockType, columns: Vec<String>) -> BlockMeta {
        let (min_doc_id, max_doc_id) = self.ids.unwrap_or_default();
        let doc_count = u32::try_from(self.rows()).unwrap_or(u32::MAX);
        BlockMeta { block_id: id, block_type: kind as i32, min_doc_id, max_doc_id, doc_count, columns }
    }

    /// Writes the rows; content durable when this returns, the name not yet.
    pub fn write_rows(&mut self, context: &BlockContext<'_>) -> Result<BlockMeta, EngineError> {
        let path = self.forward_path(context);
        let failed = |error| EngineError::format(&path, error);
        self.rows.close_batch().map_err(failed)?;
        let encoding = if context.enable_mmap { Encoding::Ipc } else { Encoding::Parquet };
        let sink = FileSink::new(context.files.create(&path)?, 0);
        let mut writer = BlockWriter::new(sink, self.rows.columns().to_vec(), encoding).map_err(failed)?;
        for batch in self.rows.batches() {
            writer.write(batch).map_err(failed)?;
        }
        let mut sink = writer.finish().map_err(failed)?;
        sink.flush().map_err(|error| EngineError::io(&path, error))?;
        context.files.sync(&path, sink.file())?;
        Ok(self.meta(self.id, BlockType::Scalar, self.columns.clone()))
    }

    /// Completes the vector files; content durable when this returns, the names not yet.
    pub fn write_vectors(&mut self, context: &BlockContext<'_>) -> Result<Vec<BlockMeta>, EngineError> {
        let now = context.options.now();
        let files = std::mem::take(&mut self.vectors);
        let mut metas = Vec::with_capacity(files.len());
        for file in files {
            let VectorFile { column, block, quantised, path, writer, .. } = file;
            let mut sink = writer.finish(now).map_err(|error| EngineError::format(&path, error))?.sink;
            sink.flush().map_err(|error| EngineError::io(&path, error))?;
            context.files.sync(&path, sink.file())?;
            let kind = if quantised { BlockType::VectorIndexQuantize } else { BlockType::VectorIndex };
            metas.push(self.meta(block, kind, vec![column]));
        }
        metas.sort_by_key(|meta| (meta.block_type, meta.block_id));
        Ok(metas)
    }
}

/// The vector files of a block: for each vector field in schema order `index`, then `qindex` if it is quantised.
fn create_vectors(context: &BlockContext<'_>, next_block: &mut u32) -> Result<Vec<VectorFile>, EngineError> {
    let mut files = Vec::new();
    for (position, field) in context.schema.fields().iter().enumerate() {
        let FieldKind::Vector(vector) = &field.kind else { continue };
        let failed = |error| EngineError::format(Path::new(&field.name), error);
        let plan = ColumnPlan::new(vector).map_err(failed)?;
        for (quantised, plan) in [(false, Some(plan.index)), (true, plan.qindex)] {
            let Some(plan) = plan else { continue };
            let block = *next_block;
            *next_block += 1;
            let kind = if quantised { BlockType::VectorIndexQuantize } else { BlockType::VectorIndex };
            let meta = BlockMeta {
                block_id: block,
                block_type: kind as i32,
                columns: vec![field.name.clone()],
                ..BlockMeta::default()
            };
            let relative = block_path(context.segment, &meta, context.enable_mmap).ok_or_else(|| {
                super::Refusal::new("schema.name", format!("field {:?} makes no file name", field.name))
            })?;
            let path = context.root.join(relative);
            let now = context.options.now();
            let options = FileOptions::of_block(context.segment, block, now);
            let sink = FileSink::new(context.files.create(&path)?, 0);
            let writer = FlatWriter::new(&plan, sink, &options).map_err(|error| EngineError::format(&path, error))?;
            files.push(VectorFile { position, column: field.name.clone(), block, quantised, path, writer });
        }
    }
    Ok(files)
}
