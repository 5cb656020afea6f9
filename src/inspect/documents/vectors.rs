//! One vector column of a segment, row by row.

use std::{path::PathBuf, sync::Arc};

use crate::{
    format::{
        manifest::proto::{BlockMeta, BlockType},
        proxima::{RowReader, RowValue, VectorFile},
        value::Value,
    },
    report::{Finding, Loss},
};

use super::{
    super::{FileSource, Findings, SegmentRef, View, findings::losing},
    Cell, Field,
};

/// The full-precision blocks of one column, which follow each other in row order; one of them open.
pub struct VectorColumn<'a> {
    view: &'a View,
    field: String,
    findings: Findings,
    blocks: Vec<Block>,
    open: Option<(usize, Option<OpenFile>)>,
}

struct Block {
    /// First row of the segment that it covers.
    first_row: u64,
    rows: u64,
    path: Option<PathBuf>,
}

struct OpenFile {
    file: VectorFile<Arc<FileSource>>,
    reader: RowReader,
}

impl<'a> VectorColumn<'a> {
    /// The column `field` of a segment. Nothing is opened yet.
    pub fn new(view: &'a View, segment: SegmentRef<'_>, field: &Field, findings: &Findings) -> Self {
        let mut first_row = 0u64;
        let full = |block: &&BlockMeta| {
            block.block_type == BlockType::VectorIndex as i32 && block.columns.first() == Some(&field.name)
        };
        let blocks = segment
            .meta
            .persisted_blocks
            .iter()
            .filter(full)
            .map(|block| {
                let rows = u64::from(block.doc_count);
                let described = Block { first_row, rows, path: segment.block_path(block) };
                first_row = first_row.saturating_add(rows);
                described
            })
            .collect();
        Self { view, field: field.name.clone(), findings: findings.clone(), blocks, open: None }
    }

    /// The vector of a row of the segment.
    pub fn value(&mut self, row: u64) -> Cell {
        let next = self.blocks.partition_point(|block| block.first_row <= row);
        let found = next.checked_sub(1).and_then(|at| Some((at, self.blocks.get(at)?)));
        let Some((at, block)) = found.filter(|(_, block)| row - block.first_row < block.rows) else {
            let detail = format!("no block of field {} covers row {row} of the segment", self.field);
            self.findings.add(Finding::error("segment.vectors-missing", detail).loses(Loss::Certain, Some(1)));
            return Cell::Unreadable;
        };
        let key = row - block.first_row;
        if self.open.as_ref().is_none_or(|(open, _)| *open != at) {
            self.open = Some((at, self.open_block(block)));
        }
        let Some((_, Some(OpenFile { file, reader }))) = &mut self.open else { return Cell::Unreadable };
        let path = block.path.as_deref().unwrap_or(std::path::Path::new(""));
        match file.read_row(key, reader) {
            Ok(None) => Cell::Value(Value::Null),
            Ok(Some(row)) => {
                if let Some(fault) = &row.fault {
                    self.findings.add(losing(path, fault, Loss::Possible, Some(1)));
                }
                match row.value {
                    RowValue::Vector(vector) => Cell::Value(vector.value),
                    RowValue::Codes(_) => {
                        let detail = format!("field {}: the block holds codes in place of vectors", self.field);
                        let finding = Finding::error("segment.codes-only", detail).at(path);
                        self.findings.add(finding.loses(Loss::Certain, Some(block.rows)));
                        Cell::Unreadable
                    }
                }
            }
            Err(error) => {
                self.findings.add(losing(path, &error, Loss::Certain, Some(1)));
                Cell::Unreadable
            }
        }
    }

    fn open_block(&self, block: &Block) -> Option<OpenFile> {
        let Some(path) = &block.path else {
            let detail = format!("field {}: its name cannot be that of a file", self.field);
            self.findings.add(Finding::error("manifest.columns", detail).loses(Loss::Certain, Some(block.rows)));
            return None;
        };
        let opened = self
            .view
            .source(path)
            .and_then(|source| VectorFile::open(source).map_err(|error| losing(path, &error, Loss::Certain, None)));
        match opened {
            Ok(file) => {
                for fault in &file.faults {
                    self.findings.add(losing(path, fault, Loss::Possible, None));
                }
                if let Err(error) = &file.encoding {
                    self.findings.add(losing(path, error, Loss::Certain, Some(block.rows)));
                }
                let reader = file.reader();
                Some(OpenFile { file, reader })
            }
            Err(finding) => {
                self.findings.add(finding.loses(Loss::Certain, Some(block.rows)));
                None
            }
        }
    }
}
