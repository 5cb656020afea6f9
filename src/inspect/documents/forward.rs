//! Rows of one forward block, a batch at a time.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use arrow_array::{Array, ArrayRef, RecordBatch, UInt64Array};
use roaring::RoaringTreemap;

use crate::{
    format::{
        FormatError,
        forward::{DOC_ID_COLUMN, Encoding, ForwardFile, UID_COLUMN, value_at},
        manifest::{Manifest, proto::BlockMeta},
        value::Value,
    },
    report::{Finding, Loss},
};

use super::{
    super::{Findings, SegmentRef, View, findings::losing, view::segments_of},
    Cell,
};

/// A forward block, open at one batch.
pub struct BlockReader {
    path: PathBuf,
    file: ForwardFile,
    findings: Findings,
    current: Option<Loaded>,
}

struct Loaded {
    index: usize,
    first_row: u64,
    rows: u64,
    /// The columns in file order; `None` for one that cannot be read.
    columns: Vec<Option<ArrayRef>>,
}

impl BlockReader {
    /// Opens a block; `documents` is how many rows are at stake if that fails.
    pub fn open(view: &View, path: &Path, documents: u64, findings: &Findings) -> Option<Self> {
        let opened = view.source(path).and_then(|source| {
            ForwardFile::open(source, encoding_of(path))
                .map_err(|error| super::super::findings::from_format(path, &error))
        });
        match opened {
            Ok(file) => {
                for fault in file.faults() {
                    // The batches are there all the same; what of them cannot be read tells itself.
                    findings.add(losing(path, fault, Loss::None, None));
                }
                Some(Self { path: path.to_owned(), file, findings: findings.clone(), current: None })
            }
            Err(finding) => {
                findings.add(finding.loses(Loss::Certain, Some(documents)));
                None
            }
        }
    }

    /// The manifest's count decides which vector belongs to a row: a file that disagrees is damage, or of another version.
    pub fn compare_rows(&self, block: &BlockMeta, segment: u32) {
        let Some(found) = self.file.rows().filter(|found| *found != u64::from(block.doc_count)) else { return };
        let detail = format!("the manifest says {} rows, the file has {found}", block.doc_count);
        let finding = Finding::error("segment.row-count", detail).at(&self.path).segment(segment);
        let missing = u64::from(block.doc_count).saturating_sub(found);
        self.findings.add(finding.loses(Loss::Possible, (missing > 0).then_some(missing)));
    }

    /// The file.
    pub fn file(&self) -> &ForwardFile {
        &self.file
    }

    /// Its path, relative to the collection.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Rows that each batch claims, with the position of its first row where that is known.
    pub fn batches(&self) -> Vec<(Option<u64>, Option<u64>)> {
        self.file.batch_infos().iter().map(|info| (info.first_row, info.rows)).collect()
    }

    /// Loads a batch: its columns in file order, `None` for one that cannot be read. What cannot be read is a finding then. `None` if there is no
    /// such batch, or none of it can be read.
    pub fn load(&mut self, index: usize) -> Option<&[Option<ArrayRef>]> {
        if self.current.as_ref().is_none_or(|loaded| loaded.index != index) {
            let info = self.file.batch_infos().get(index)?;
            let (first_row, rows) = (info.first_row.unwrap_or(0), info.rows);
            let columns = match self.file.read_batch(index, None) {
                Ok(records) => records.columns().iter().cloned().map(Some).collect(),
                Err(error) => self.column_by_column(index, rows, &error),
            };
            let found = columns.iter().flatten().map(|array| array.len() as u64).max().unwrap_or(0);
            self.current = Some(Loaded { index, first_row, rows: found, columns });
        }
        let columns = self.current.as_ref().map(|loaded| loaded.columns.as_slice())?;
        columns.iter().any(Option::is_some).then_some(columns)
    }

    /// A batch that cannot be read as a whole: damage in one column leaves the others.
    fn column_by_column(&self, index: usize, rows: Option<u64>, error: &FormatError) -> Vec<Option<ArrayRef>> {
        let count = self.file.schema().fields().len();
        let read = (0..count).map(|column| self.file.read_batch(index, Some(&[column])));
        let read: Vec<_> = read.map(|records| records.map(|records| records.columns().first().cloned())).collect();
        if read.iter().all(|column| !matches!(column, Ok(Some(_)))) {
            self.findings.add(losing(&self.path, error, Loss::Certain, rows));
            return vec![None; count];
        }
        let columns = read.into_iter().zip(self.file.schema().fields()).map(|(column, field)| {
            column.unwrap_or_else(|mut error| {
                error.detail = format!("column {}: {}", field.name(), error.detail);
                self.findings.add(losing(&self.path, &error, Loss::Certain, rows));
                None
            })
        });
        columns.collect()
    }

    /// The value of a column in a row of the block, which need not be in the batch at hand.
    pub fn value(&mut self, column: usize, row: u64) -> Cell {
        let loaded = self
            .current
            .as_ref()
            .is_some_and(|loaded| (loaded.first_row..loaded.first_row.saturating_add(loaded.rows)).contains(&row));
        if !loaded {
            let holds = |(first, rows): &(Option<u64>, Option<u64>)| {
                first.zip(*rows).is_some_and(|(first, rows)| (first..first.saturating_add(rows)).contains(&row))
            };
            let Some(index) = self.batches().iter().position(holds) else {
                let detail = format!("row {row} is beyond the end of the block");
                let finding = Finding::error("forward.row-missing", detail).at(&self.path);
                self.findings.add_row(finding.loses(Loss::Certain, None));
                return Cell::Unreadable;
            };
            self.load(index);
        }
        let Some(Loaded { first_row, columns, .. }) = &self.current else { return Cell::Unreadable };
        let row = usize::try_from(row.saturating_sub(*first_row)).unwrap_or(usize::MAX);
        let value = columns.get(column).and_then(Option::as_ref).map(|array| value_at(array.as_ref(), row));
        match value {
            Some(Ok(value)) => Cell::Value(value),
            Some(Err(error)) => {
                self.findings.add_row(losing(&self.path, &error, Loss::Certain, Some(1)));
                Cell::Unreadable
            }
            None => Cell::Unreadable,
        }
    }

    /// The row that holds a document, by bisection: of at most a few batches the ids are read. `None` if it is not there, if ids do not
    /// ascend or if one of these batches cannot be read.
    pub fn row_of(&self, doc_id: u64) -> Option<u64> {
        let column = self.file.column_index(DOC_ID_COLUMN)?;
        let batches = self.file.batch_infos();
        let (mut low, mut high) = (0, batches.len());
        while low < high {
            let middle = low.midpoint(high);
            let records = self.file.read_batch(middle, Some(&[column])).ok()?;
            let ids = self.doc_ids(&records, 0).ok()?;
            match ids.values().binary_search(&doc_id) {
                Ok(at) => return batches.get(middle)?.first_row?.checked_add(at as u64),
                Err(0) => high = middle,
                Err(at) if at == ids.len() => low = middle + 1,
                Err(_) => return None,
            }
        }
        None
    }

    /// The document ids of a batch.
    pub fn doc_ids(&self, records: &RecordBatch, column: usize) -> Result<UInt64Array, FormatError> {
        Self::ids_of(records.columns().get(column))
    }

    /// A column of document ids.
    pub fn ids_of(column: Option<&ArrayRef>) -> Result<UInt64Array, FormatError> {
        let array = column.and_then(|array| array.as_any().downcast_ref::<UInt64Array>().cloned());
        array.ok_or_else(|| FormatError::malformed("forward.doc-id-type", 0, "the document id column is not uint64"))
    }
}

/// The file format that a block's name promises.
pub fn encoding_of(path: &Path) -> Encoding {
    match path.extension().and_then(|end| end.to_str()) {
        Some("parquet") => Encoding::Parquet,
        _ => Encoding::Ipc,
    }
}

/// Calls `each` with the position and document id of the rows `first_row..first_row + rows` of a segment, positions counted from
/// `first_row`. `false` if not all of them can be read.
pub fn segment_doc_ids(
    view: &View,
    segment: SegmentRef<'_>,
    first_row: u64,
    rows: u64,
    findings: &Findings,
    each: &mut dyn FnMut(u64, u64),
) -> bool {
    let (mut block_row, mut seen) = (0u64, 0u64);
    for block in segment.row_blocks() {
        let documents = u64::from(block.doc_count);
        let range = block_row..block_row.saturating_add(documents);
        block_row = range.end;
        if range.end <= first_row || range.start >= first_row.saturating_add(rows) {
            continue;
        }
        let opened = segment.block_path(block).and_then(|path| BlockReader::open(view, &path, documents, findings));
        let Some(reader) = opened else { continue };
        let Some(column) = reader.file().column_index(DOC_ID_COLUMN) else { continue };
        for batch in reader.file().batches(Some(&[column])) {
            let read = batch.records.and_then(|records| reader.doc_ids(&records, 0));
            let (Ok(ids), Some(batch_row)) = (read, batch.first_row) else { continue };
            for (at, id) in ids.values().iter().enumerate() {
                let row = range.start.saturating_add(batch_row).saturating_add(at as u64);
                if let Some(position) = row.checked_sub(first_row).filter(|position| *position < rows) {
                    seen += 1;
                    each(position, *id);
                }
            }
        }
    }
    seen == rows
}

/// The document ids that live rows of the forward blocks have under the given keys, the highest where there are several. `deleted` are
/// the ids that do not live.
pub fn find_keys(
    view: &View,
    manifest: &Manifest,
    keys: &HashSet<Vec<u8>>,
    deleted: &RoaringTreemap,
    findings: &Findings,
) -> HashMap<Vec<u8>, u64> {
    let mut found = HashMap::new();
    each_live_key(view, manifest, deleted, findings, &mut |key, id| {
        if keys.contains(&key) {
            let highest = found.entry(key).or_insert(id);
            *highest = id.max(*highest);
        }
    });
    found
}

/// Gives the primary key and the document id of every live row of the forward blocks to `each`, in the manifest's order. `deleted` are the
/// ids that do not live.
pub fn each_live_key(
    view: &View,
    manifest: &Manifest,
    deleted: &RoaringTreemap,
    findings: &Findings,
    each: &mut dyn FnMut(Vec<u8>, u64),
) {
    for segment in segments_of(manifest) {
        for block in segment.row_blocks() {
            let opened = segment
                .block_path(block)
                .and_then(|path| BlockReader::open(view, &path, u64::from(block.doc_count), findings));
            let Some(reader) = opened else { continue };
            let file = reader.file();
            let columns = file.column_index(DOC_ID_COLUMN).zip(file.column_index(UID_COLUMN));
            let Some((id_column, key_column)) = columns else { continue };
            for batch in file.batches(Some(&[id_column, key_column])) {
                // A damaged batch tells itself when the documents are read.
                let Ok(records) = batch.records else { continue };
                let (Ok(ids), Some(key_array)) = (reader.doc_ids(&records, 0), records.columns().get(1)) else {
                    continue;
                };
                for (row, id) in ids.values().iter().copied().enumerate().filter(|(_, id)| !deleted.contains(*id)) {
                    if let Ok(Value::Bytes(key)) = value_at(key_array.as_ref(), row) {
                        each(key, id);
                    }
                }
            }
        }
    }
}

/// Bytes of a value that should be text; anything else is empty.
pub fn bytes(cell: Cell) -> Option<Vec<u8>> {
    match cell {
        Cell::Value(Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}
