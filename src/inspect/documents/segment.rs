//! The documents of one segment.

use std::{collections::BTreeSet, ops::ControlFlow};

use roaring::RoaringTreemap;

use crate::{
    format::{
        forward::{DOC_ID_COLUMN, UID_COLUMN},
        manifest::proto::{BlockMeta, BlockType},
    },
    report::{Finding, Loss},
};

use super::{
    super::{Findings, SegmentRef, View, evidence::twins::Overwritten, findings::losing},
    Cell, Document, Fields, Origin,
    columns::{self, Place},
    forward::{self, BlockReader},
    vectors::VectorColumn,
};

/// Tells for a document id whether its row is wanted: `None` if not, otherwise whether it is deleted.
pub type Wanted<'w> = dyn Fn(u64) -> Option<bool> + 'w;

/// Reads a segment from its first row to its last.
pub struct SegmentReader<'a> {
    view: &'a View,
    segment: SegmentRef<'a>,
    fields: &'a Fields,
    findings: Findings,
    vectors: Vec<VectorColumn<'a>>,
    only: Option<BTreeSet<u64>>,
    keyless: bool,
    overwritten: &'a [Overwritten],
    unreadable_rows: u64,
}

/// Where one scalar field of a row block is read from.
enum Column {
    InRowBlock(usize),
    InExtra { file: usize, column: usize },
    Unreadable,
}

impl<'a> SegmentReader<'a> {
    /// A reader at the first row; `snapshot` are the ids of the delete snapshot. Nothing is opened yet.
    pub fn open(
        view: &'a View,
        segment: SegmentRef<'a>,
        fields: &'a Fields,
        snapshot: &'a RoaringTreemap,
        findings: &Findings,
    ) -> Self {
        let column = |field| {
            VectorColumn::new(BlockType::VectorIndex, view, segment, field, snapshot, findings).beside(&fields.vectors)
        };
        let vectors = fields.vectors.iter().map(column).collect();
        Self {
            view,
            segment,
            fields,
            findings: findings.clone(),
            vectors,
            only: None,
            keyless: false,
            overwritten: &[],
            unreadable_rows: 0,
        }
    }

    /// The same reader, for a few rows of the segment: batches without any of them are not read.
    pub fn only(self, rows: BTreeSet<u64>) -> Self {
        Self { only: Some(rows), ..self }
    }

    /// The same reader, for rows whose primary key cannot be read too: it is empty then.
    pub fn keyless(self) -> Self {
        Self { keyless: true, ..self }
    }

    /// The same reader, passing over blocks whose rows are those of another one.
    pub fn without(self, overwritten: &'a [Overwritten]) -> Self {
        Self { overwritten, ..self }
    }

    /// Whether none of `count` rows from `first` on is asked for.
    fn skips(&self, first: u64, count: u64) -> bool {
        let range = first..first.saturating_add(count);
        self.only.as_ref().is_some_and(|only| only.range(range).next().is_none())
    }

    /// Rows that could not be read at all.
    pub fn unreadable_rows(&self) -> u64 {
        self.unreadable_rows
    }

    /// Calls `each` with every wanted document, in row order.
    pub fn each(&mut self, wanted: &Wanted<'_>, each: &mut dyn FnMut(Document) -> ControlFlow<()>) -> ControlFlow<()> {
        let places = columns::places(self.segment, &self.fields.scalars, &self.findings);
        let mut first_row = 0u64;
        for (block, places) in self.segment.row_blocks().zip(places) {
            if !self.skips(first_row, u64::from(block.doc_count)) {
                let mut seen = 0;
                let flow = self.block(block, &places, first_row, &mut seen, wanted, each);
                if flow.is_continue() {
                    self.unreadable_rows += u64::from(block.doc_count).saturating_sub(seen);
                }
                flow?;
            }
            first_row = first_row.saturating_add(u64::from(block.doc_count));
        }
        ControlFlow::Continue(())
    }

    /// Calls `each` with the wanted documents of one row block, whose first row is `first_row` of the segment; counts in `seen` the rows
    /// that could be read, wanted or not.
    fn block(
        &mut self,
        block: &BlockMeta,
        places: &[Place<'_>],
        first_row: u64,
        seen: &mut u64,
        wanted: &Wanted<'_>,
        each: &mut dyn FnMut(Document) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let documents = u64::from(block.doc_count);
        let Some(path) = self.segment.block_path(block) else { return ControlFlow::Continue(()) };
        if let Some(overwritten) = self.overwritten.iter().find(|block| block.path == path) {
            self.findings.add(overwritten.finding());
            return ControlFlow::Continue(());
        }
        let Some(mut rows) = BlockReader::open(self.view, &path, documents, &self.findings) else {
            return ControlFlow::Continue(());
        };
        rows.compare_rows(block, self.segment.id());
        let Some((id_column, pk_column)) = self.system_columns(&rows, documents) else {
            return ControlFlow::Continue(());
        };
        let (mut extras, columns) = self.open_columns(block, places, &rows);
        let keyless = self.keyless;

        for (index, (batch_row, batch_rows)) in rows.batches().into_iter().enumerate() {
            if let Some((row, count)) = batch_row.zip(batch_rows)
                && self.skips(first_row.saturating_add(row), count)
            {
                continue;
            }
            let Some(loaded) = rows.load(index) else { continue };
            let Some(Some(ids)) = loaded.get(id_column) else { continue };
            if !keyless && loaded.get(pk_column).is_none_or(Option::is_none) {
                continue;
            }
            let ids = match BlockReader::ids_of(Some(ids)) {
                Ok(ids) => ids,
                Err(error) => {
                    self.findings.add(losing(&path, &error, Loss::Certain, batch_rows));
                    continue;
                }
            };
            let Some(batch_row) = batch_row else {
                // Behind a batch of unknown length nobody knows which vectors belong to these rows.
                let detail = "the position of this batch is unknown: a batch before it cannot be measured";
                let finding = Finding::error("forward.position-unknown", detail).at(&path);
                self.findings.add(finding.loses(Loss::Certain, batch_rows));
                continue;
            };
            *seen += ids.len() as u64;
            for (at, doc_id) in ids.values().iter().copied().enumerate() {
                let Some(deleted) = wanted(doc_id) else { continue };
                let row = batch_row.saturating_add(at as u64);
                let pk = forward::bytes(rows.value(pk_column, row)).unwrap_or_default();
                let fields = columns
                    .iter()
                    .map(|column| match column {
                        Column::InRowBlock(column) => rows.value(*column, row),
                        Column::InExtra { file, column } => {
                            extras.get_mut(*file).map_or(Cell::Unreadable, |extra| extra.value(*column, row))
                        }
                        Column::Unreadable => Cell::Unreadable,
                    })
                    .collect();
                let segment_row = first_row.saturating_add(row);
                let vectors = self.vectors.iter_mut().map(|column| column.value(segment_row)).collect();
                let origin = Origin::Block { path: path.clone(), row };
                each(Document { pk, doc_id, deleted, origin, fields, vectors })?;
            }
        }
        ControlFlow::Continue(())
    }

    fn system_columns(&self, rows: &BlockReader, documents: u64) -> Option<(usize, usize)> {
        let columns = rows.file().column_index(DOC_ID_COLUMN).zip(rows.file().column_index(UID_COLUMN));
        if columns.is_none() {
            let detail = format!("the block lacks {DOC_ID_COLUMN} or {UID_COLUMN}");
            let finding = Finding::error("forward.system-columns", detail).at(rows.path());
            self.findings.add(finding.loses(Loss::Certain, Some(documents)));
        }
        columns
    }

    /// Opens the blocks of added and altered columns and finds every scalar field.
    fn open_columns(
        &self,
        block: &BlockMeta,
        places: &[Place<'_>],
        rows: &BlockReader,
    ) -> (Vec<BlockReader>, Vec<Column>) {
        let mut extras = Vec::new();
        let columns = self
            .fields
            .scalars
            .iter()
            .zip(places)
            .map(|(field, place)| {
                let found = match place {
                    Place::RowBlock => {
                        rows.file().column_index(&field.name).map(Column::InRowBlock).ok_or(rows.path().to_owned())
                    }
                    Place::Nowhere => return Column::Unreadable,
                    Place::Extra(extra) => {
                        let Some(path) = self.segment.block_path(extra) else { return Column::Unreadable };
                        let documents = u64::from(block.doc_count);
                        let Some(reader) = BlockReader::open(self.view, &path, documents, &self.findings) else {
                            return Column::Unreadable;
                        };
                        let column = reader.file().column_index(&field.name);
                        extras.push(reader);
                        let file = extras.len().saturating_sub(1);
                        column.map(|column| Column::InExtra { file, column }).ok_or(path)
                    }
                };
                found.unwrap_or_else(|path| {
                    let detail = format!("the file has no column {}, which the manifest lists", field.name);
                    let finding = Finding::error("segment.column-missing", detail).at(&path);
                    self.findings.add(finding.loses(Loss::Certain, Some(u64::from(block.doc_count))));
                    Column::Unreadable
                })
            })
            .collect();
        (extras, columns)
    }
}
