//! One vector column of a segment, row by row.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use roaring::{RoaringBitmap, RoaringTreemap};

use crate::{
    format::{
        Source,
        manifest::{
            proto::{BlockMeta, BlockType},
            row_count,
        },
        proxima::{IndexKind, RowReader, RowValue, VectorFile},
        value::Value,
    },
    report::{Finding, Loss},
};

use super::{
    super::{
        FileSource, Findings, SegmentRef, View,
        evidence::column::{differences, exchanged, holds_codes, kept_otherwise},
        findings::losing,
    },
    Cell, Field,
    forward::segment_doc_ids,
};

/// The blocks of one column, of full precision or quantised, which follow each other in row order; one of them open.
pub struct VectorColumn<'a> {
    kind: BlockType,
    view: &'a View,
    segment: SegmentRef<'a>,
    snapshot: &'a RoaringTreemap,
    field: &'a Field,
    findings: Findings,
    others: &'a [Field],
    blocks: Vec<Block>,
    open: Option<(usize, Option<OpenFile>)>,
}

struct Block {
    /// First row of the segment that it covers.
    first_row: u64,
    rows: u64,
    path: Option<PathBuf>,
}

type File = VectorFile<Arc<FileSource>>;

struct OpenFile {
    /// That of the block, unless it stands in another's place.
    path: PathBuf,
    file: File,
    reader: RowReader,
    shift: Shift,
}

/// Which row of the file belongs to a row of the block.
pub enum Shift {
    /// The one with the same number.
    None,
    /// These rows of the block are not in the file; later ones have moved up.
    LeftOut(RoaringBitmap),
    /// Some rows are not in the file and nobody knows which; only those before this one are where they should be.
    Unknown {
        /// The first row of the block that may have moved.
        certain_before: u64,
    },
}

impl Shift {
    /// The key of a row of the block; `None` if it has none, or none that is known.
    pub fn key(&self, row: u64) -> Option<u64> {
        match self {
            Self::None => Some(row),
            Self::LeftOut(rows) => {
                let row = u32::try_from(row).ok()?;
                if rows.contains(row) { None } else { u64::from(row).checked_sub(rows.rank(row)) }
            }
            Self::Unknown { certain_before } => (row < *certain_before).then_some(row),
        }
    }
}

impl<'a> VectorColumn<'a> {
    /// The column `field` of a segment, as its blocks of one kind hold it: [`BlockType::VectorIndex`] in full, [`BlockType::VectorIndexQuantize`]
    /// approximately, for where the full vectors are lost. `snapshot` are the ids of the delete snapshot. Nothing is opened yet.
    pub fn new(
        kind: BlockType,
        view: &'a View,
        segment: SegmentRef<'a>,
        field: &'a Field,
        snapshot: &'a RoaringTreemap,
        findings: &Findings,
    ) -> Self {
        let blocks = blocks(kind, view, segment, &field.name, findings);
        Self { kind, view, segment, snapshot, field, findings: findings.clone(), others: &[], blocks, open: None }
    }

    /// The same, knowing all vector fields: two files that stand in each other's place are read as if each stood in its own.
    pub fn beside(self, others: &'a [Field]) -> Self {
        Self { others, ..self }
    }

    /// The vector of a row of the segment.
    pub fn value(&mut self, row: u64) -> Cell {
        let next = self.blocks.partition_point(|block| block.first_row <= row);
        let found = next.checked_sub(1).and_then(|at| Some((at, self.blocks.get(at)?)));
        let Some((at, block)) = found.filter(|(_, block)| row - block.first_row < block.rows) else {
            let detail = format!("no block of field {} covers row {row} of the segment", self.field.name);
            self.findings.add_row(Finding::error("segment.vectors-missing", detail).loses(Loss::Certain, Some(1)));
            return Cell::Unreadable;
        };
        let row = row - block.first_row;
        if self.open.as_ref().is_none_or(|(open, _)| *open != at) {
            self.open = Some((at, self.open_block(block)));
        }
        let Some((_, Some(OpenFile { path, file, reader, shift }))) = &mut self.open else { return Cell::Unreadable };
        let path = path.as_path();
        let Some(key) = shift.key(row) else { return Cell::Unreadable };
        match file.read_row(key, reader) {
            Ok(None) if self.field.nullable => Cell::Value(Value::Null),
            Ok(None) => {
                let detail = format!("row {row} has no vector, and field {} is never null", self.field.name);
                self.findings
                    .add_row(Finding::error("segment.vector-missing", detail).at(path).loses(Loss::Certain, Some(1)));
                Cell::Unreadable
            }
            Ok(Some(row)) => {
                if let Some(fault) = &row.fault {
                    self.findings.add_row(losing(path, fault, Loss::Possible, Some(1)));
                }
                match row.value {
                    RowValue::Vector(vector) if !vector.rotated => Cell::Value(vector.value),
                    RowValue::Vector(_) | RowValue::Codes(_) => {
                        let detail = format!("field {}: the block holds codes in place of vectors", self.field.name);
                        let finding = Finding::error("segment.codes-only", detail).at(path);
                        self.findings.add(finding.loses(Loss::Certain, Some(block.rows)));
                        Cell::Unreadable
                    }
                }
            }
            Err(error) => {
                self.findings.add_row(losing(path, &error, Loss::Certain, Some(1)));
                Cell::Unreadable
            }
        }
    }

    fn open_block(&self, block: &Block) -> Option<OpenFile> {
        let Some(path) = &block.path else {
            let detail = format!("field {}: its name cannot be that of a file", self.field.name);
            self.findings.add(Finding::error("manifest.columns", detail).loses(Loss::Certain, Some(block.rows)));
            return None;
        };
        let (path, file) = match self.open_file(path) {
            Ok(file) => self.own_file(path, file, block)?,
            Err(finding) => {
                self.findings.add(finding.loses(Loss::Certain, Some(block.rows)));
                return None;
            }
        };
        for fault in &file.faults {
            self.findings.add(losing(&path, fault, Loss::Possible, None));
        }
        if let Err(error) = &file.encoding {
            self.findings.add(losing(&path, error, Loss::Certain, Some(block.rows)));
        }
        if file.rows() > block.rows {
            let detail = format!("the manifest gives the block {} rows, the file has {}", block.rows, file.rows());
            let finding = Finding::error("segment.vector-count", detail).at(&path).segment(self.segment.id());
            self.findings.add(finding.loses(Loss::Possible, Some(block.rows)));
        }
        let rows = block.first_row..block.first_row.saturating_add(block.rows);
        let shift = self.shift(rows, &path, &file);
        let reader = file.reader();
        Some(OpenFile { path, file, reader, shift })
    }

    fn open_file(&self, path: &Path) -> Result<File, Finding> {
        let source = self.view.source(path)?;
        VectorFile::open(source).map_err(|error| losing(path, &error, Loss::Certain, None))
    }

    /// The file of a block: the one that stands there, if it can be of the column. One that cannot holds other vectors, however well they can be read; if
    /// its own place is taken by the one that belongs here, that one is taken. Another metric by itself is told, and the vectors are read.
    fn own_file(&self, path: &Path, file: File, block: &Block) -> Option<(PathBuf, File)> {
        let name = &self.field.name;
        let full = self.kind == BlockType::VectorIndex;
        if full && holds_codes(&file, &self.field.declared) {
            let quantised = self.in_rows_of(block, BlockType::VectorIndexQuantize, name);
            let moved = quantised.filter(|(_, codes)| exchanged(&file, codes) && self.fits(codes, self.field));
            let (detail, loss) = match &moved {
                Some((other, _)) => {
                    let other = other.display();
                    (
                        format!(
                            "it holds codes, not full vectors: it and {other} stand in each other's place, by the types of their elements"
                        ),
                        Loss::None,
                    )
                }
                None => (format!("field {name}: the block holds codes in place of vectors"), Loss::Certain),
            };
            let code = if moved.is_some() { "vectors.other-file" } else { "segment.codes-only" };
            self.findings.add(Finding::error(code, detail).at(path).loses(loss, Some(block.rows)));
            return moved;
        }
        let mut found = differences(&file, &self.field.declared);
        if full && found.is_empty() {
            found.extend(kept_otherwise(&file, &self.field.declared));
        }
        let is_own = found.iter().all(|difference| difference.of_metric);
        let moved = if is_own || !full { None } else { self.moved(&file, block) };
        let offset = file.container.segment("IndexMeta").map_or(0, |segment| segment.offset);
        for difference in found {
            let loss = if is_own || moved.is_some() { Loss::Possible } else { Loss::Certain };
            let mut detail = difference.text + "; zvec refuses to open it";
            if let Some((other, _)) = &moved {
                let other = other.display();
                detail
                    .push_str(&format!("; it and {other} fit when exchanged, and are read so: that is all that tells"));
            }
            let finding = Finding::error("index-meta.schema-differs", detail).at(path).offset(offset);
            self.findings.add(finding.segment(self.segment.id()).loses(loss, Some(block.rows)));
        }
        if is_own { Some((path.to_owned(), file)) } else { moved }
    }

    fn fits(&self, file: &File, field: &Field) -> bool {
        differences(file, &field.declared).is_empty() && !holds_codes(file, &field.declared)
    }

    /// Where the file of a block is that another column's stands in the place of, if these two stand in each other's.
    fn moved(&self, file: &File, block: &Block) -> Option<(PathBuf, File)> {
        let others = self.others.iter().filter(|other| other.name != self.field.name && self.fits(file, other));
        let mut found = others.filter_map(|other| {
            let (path, theirs) = self.in_rows_of(block, self.kind, &other.name)?;
            (self.fits(&theirs, self.field) && !self.fits(&theirs, other)).then_some((path, theirs))
        });
        let one = found.next()?;
        found.next().is_none().then_some(one)
    }

    /// The file that another block with the same rows has.
    fn in_rows_of(&self, block: &Block, kind: BlockType, name: &str) -> Option<(PathBuf, File)> {
        let others = blocks(kind, self.view, self.segment, name, &Findings::default());
        let other = others.into_iter().find(|other| (other.first_row, other.rows) == (block.first_row, block.rows))?;
        let path = other.path?;
        let file = self.open_file(&path).ok()?;
        Some((path, file))
    }

    /// Whether rows of the block are not in the file. Releases before 0.8.0 left rows that were deleted at the time out of an index that
    /// they built, while the forward block kept them, so that every later row got its neighbour's vector. (Rows at the end that
    /// never had a vector are not stored either; that is as it should be.) `rows` are those of the segment that the file is said to hold.
    pub fn shift<S: Source>(&self, rows: Range<u64>, path: &Path, file: &VectorFile<S>) -> Shift {
        let (first_row, listed) = (rows.start, rows.end.saturating_sub(rows.start));
        let flat = matches!(file.kind, IndexKind::Flat | IndexKind::FlatSparse);
        let by_0_8_0 = !file.meta.name("quantizer").is_empty();
        let absent = listed.saturating_sub(file.rows());
        if absent == 0 || by_0_8_0 || (self.field.nullable && flat) {
            return Shift::None;
        }
        let mut rows = RoaringBitmap::new();
        let mut collect = |row, id| {
            if self.snapshot.contains(id) {
                rows.extend(u32::try_from(row).ok());
            }
        };
        let known = segment_doc_ids(self.view, self.segment, first_row, listed, &self.findings, &mut collect);
        let held = file.rows();
        let detail = format!("the index holds {held} of {listed} rows: rows deleted at the time were left out");
        if known && rows.len() == absent {
            let detail = format!(
                "{detail}, and zvec takes each later row for its neighbour; here the delete snapshot puts them right"
            );
            self.findings.add(Finding::error("segment.shifted-vectors", detail).at(path));
            return Shift::LeftOut(rows);
        }
        if self.field.nullable || (known && rows.len() < absent) {
            return Shift::None;
        }
        let certain_before = rows.min().map_or(0, u64::from);
        let detail =
            format!("{detail}; more have been deleted since, so that only the first {certain_before} can be told");
        let uncertain = listed.saturating_sub(certain_before);
        let finding = Finding::error("segment.shifted-vectors", detail).at(path);
        self.findings.add(finding.loses(Loss::Possible, Some(uncertain)));
        Shift::Unknown { certain_before }
    }
}

/// The blocks of one kind of a column, in row order.
fn blocks(kind: BlockType, view: &View, segment: SegmentRef<'_>, name: &str, findings: &Findings) -> Vec<Block> {
    let wanted =
        |block: &&BlockMeta| block.block_type == kind as i32 && block.columns.first().is_some_and(|of| of == name);
    let mut listed: Vec<&BlockMeta> = segment.meta.persisted_blocks.iter().filter(wanted).collect();
    let rows = |blocks: &[&BlockMeta]| blocks.iter().map(|block| u64::from(block.doc_count)).sum::<u64>();
    let expected = row_count(segment.meta);
    if rows(&listed) != expected {
        // Dropping the index of a quantised column leaves its old block in the manifest, its file gone (every release).
        let exists = |block: &&BlockMeta| segment.block_path(block).is_some_and(|path| view.exists(&path));
        let existing: Vec<_> = listed.iter().copied().filter(exists).collect();
        if rows(&existing) == expected {
            let detail = format!("the manifest lists blocks of field {name} that were dropped; zvec cannot open this");
            findings.add(Finding::error("segment.stale-block", detail).segment(segment.id()));
            listed = existing;
        }
    }
    let mut first_row = 0u64;
    let described = listed.into_iter().map(|block| {
        let rows = u64::from(block.doc_count);
        let described = Block { first_row, rows, path: segment.block_path(block) };
        first_row = first_row.saturating_add(rows);
        described
    });
    described.collect()
}
