//! Which file holds which column of which rows of a segment.

use std::{
    ops::{ControlFlow, Range},
    path::PathBuf,
};

use arrow_array::{Array, ArrayRef};

use crate::{
    format::{
        forward::{ColumnType, DOC_ID_COLUMN, ScalarType, UID_COLUMN, value_at},
        manifest::{
            proto::{BlockMeta, DataType},
            row_count,
        },
        value::Value,
    },
    inspect::{
        SegmentRef,
        documents::{BlockReader, Fields, Place, places},
        evidence::twins::Overwritten,
        findings::losing,
        segments::missing_directory,
    },
    report::{Finding, Loss},
};

use super::super::Context;

/// What a column of a forward file is to the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The document ids.
    DocId,
    /// The primary keys.
    Key,
    /// A scalar field, by its position in [`Fields::scalars`].
    Field(usize),
}

/// A forward file and the rows of the segment that it holds.
#[derive(Debug)]
pub struct ForwardFile {
    /// Path, relative to the collection.
    pub path: PathBuf,
    /// Rows of the segment, by the manifest.
    pub rows: Range<u64>,
    /// Its columns that are in force, by name.
    pub columns: Vec<(String, Slot)>,
    /// Whether it holds the rows of another one in place of its own: nothing of it counts.
    pub overwritten: Option<Overwritten>,
}

/// The forward files of a segment, row blocks first.
pub struct Layout<'a> {
    /// The segment.
    pub segment: SegmentRef<'a>,
    /// Rows, by the manifest.
    pub rows: u64,
    /// The files.
    pub files: Vec<ForwardFile>,
    /// Whether the directory is there.
    pub exists: bool,
}

/// Some values of one column.
pub struct Piece<'p> {
    /// Where it stands.
    pub file: &'p ForwardFile,
    /// Which column.
    pub slot: Slot,
    /// The rows of the segment.
    pub rows: Range<u64>,
    /// The values; `None` if they cannot be read, which has been told.
    pub values: Option<&'p ArrayRef>,
}

impl Piece<'_> {
    /// Each row with its value. What cannot be decoded is told as a fault of its row.
    pub fn each(&self, ctx: &Context<'_>, mut each: impl FnMut(u64, &Value)) {
        let Some(array) = self.values else { return };
        for (at, row) in (0..array.len()).zip(self.rows.clone()) {
            match value_at(array.as_ref(), at) {
                Ok(value) => each(row, &value),
                Err(error) => ctx.findings.add_row(losing(&self.file.path, &error, Loss::Certain, Some(1))),
            }
        }
    }
}

impl<'a> Layout<'a> {
    /// The files that the manifest lists for a segment.
    pub fn of(ctx: &Context<'_>, segment: SegmentRef<'a>, fields: &Fields, overwritten: &[Overwritten]) -> Self {
        let places = places(segment, &fields.scalars, &ctx.findings);
        let (mut files, mut extras): (Vec<ForwardFile>, Vec<ForwardFile>) = Default::default();
        let mut first_row = 0u64;
        for (block, places) in segment.row_blocks().zip(places) {
            let rows = first_row..first_row.saturating_add(u64::from(block.doc_count));
            first_row = rows.end;
            let Some(path) = segment.block_path(block) else { continue };
            let mut columns = vec![(DOC_ID_COLUMN.to_owned(), Slot::DocId), (UID_COLUMN.to_owned(), Slot::Key)];
            for ((field, place), at) in fields.scalars.iter().zip(places).zip(0..) {
                let column = (field.name.clone(), Slot::Field(at));
                match place {
                    Place::RowBlock => columns.push(column),
                    Place::Extra(extra) => {
                        extras.extend(extra_file(segment, extra, rows.clone(), column));
                    }
                    Place::Nowhere => {}
                }
            }
            let overwritten = overwritten.iter().find(|block| block.path == path).cloned();
            files.push(ForwardFile { path, rows, columns, overwritten });
        }
        files.append(&mut extras);
        let exists = missing_directory(ctx.view, segment).is_none();
        Self { segment, rows: row_count(segment.meta), files, exists }
    }

    /// The row block that holds a row of the segment.
    pub fn file_of(&self, row: u64, slot: Slot) -> Option<&ForwardFile> {
        let holds = |file: &&ForwardFile| file.rows.contains(&row) && file.columns.iter().any(|(_, of)| *of == slot);
        self.files.iter().find(holds)
    }

    /// Reads the columns that are `wanted`, of the batches that hold rows that are, and gives them to `each`: batch by batch, the
    /// columns of a file in the order in which the layout lists them. Rows beyond the manifest's count are left out. Ends early if the run is stopped
    /// or `each` breaks.
    pub fn read(
        &self,
        ctx: &Context<'_>,
        wanted: &dyn Fn(Slot) -> bool,
        rows: &dyn Fn(Range<u64>) -> bool,
        each: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) {
        for file in &self.files {
            let columns: Vec<&(String, Slot)> = file.columns.iter().filter(|(_, slot)| wanted(*slot)).collect();
            if columns.is_empty() || !rows(file.rows.clone()) {
                continue;
            }
            if self.read_file(ctx, file, &columns, rows, each).is_break() || ctx.stopped() {
                return;
            }
        }
    }

    fn read_file(
        &self,
        ctx: &Context<'_>,
        file: &ForwardFile,
        columns: &[&(String, Slot)],
        rows: &dyn Fn(Range<u64>) -> bool,
        each: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let count = file.rows.end.saturating_sub(file.rows.start);
        let mut unreadable = |range: Range<u64>, slot| each(Piece { file, slot, rows: range, values: None });
        // A directory that is missing has been told as a whole, a file that holds other rows, too.
        let is_own = self.exists && file.overwritten.is_none();
        let opened = is_own.then(|| BlockReader::open(ctx.view, &file.path, count, &ctx.findings)).flatten();
        let Some(reader) = opened else {
            return columns.iter().try_for_each(|(_, slot)| unreadable(file.rows.clone(), *slot));
        };
        let mut projection = Vec::new();
        let mut slots = Vec::new();
        for (name, slot) in columns {
            match reader.file().column_index(name) {
                Some(at) => {
                    projection.push(at);
                    slots.push((at, *slot));
                }
                None => {
                    let code = if matches!(slot, Slot::Field(_)) {
                        "segment.column-missing"
                    } else {
                        "forward.system-columns"
                    };
                    let detail = format!("the file has no column {name}, which the manifest lists");
                    let finding = Finding::error(code, detail).at(&file.path).segment(self.segment.id());
                    ctx.findings.add(finding.loses(Loss::Certain, Some(count)));
                    unreadable(file.rows.clone(), *slot)?;
                }
            }
        }
        // A projection gives columns in file order.
        projection.sort_unstable();
        projection.dedup();
        if projection.is_empty() {
            return ControlFlow::Continue(());
        }
        let mut seen = file.rows.start;
        for (index, info) in reader.file().batch_infos().iter().enumerate() {
            if ctx.stopped() {
                return ControlFlow::Break(());
            }
            // Behind a batch of unknown length nobody knows which rows these are.
            let Some((first, length)) = info.first_row.zip(info.rows) else {
                let error = info.fault.clone().or_else(|| reader.file().read_batch(index, Some(&projection)).err());
                if let Some(error) = error {
                    let finding = losing(&file.path, &error, Loss::Certain, Some(file.rows.end - seen));
                    ctx.findings.add(finding.segment(self.segment.id()));
                }
                break;
            };
            let start = file.rows.start.saturating_add(first).min(file.rows.end);
            let range = start..start.saturating_add(length).min(file.rows.end);
            seen = range.end;
            if range.is_empty() || !rows(range.clone()) {
                continue;
            }
            match reader.file().read_batch(index, Some(&projection)) {
                Ok(records) => {
                    for (at, slot) in &slots {
                        let found = projection.iter().position(|column| column == at);
                        let array = found.and_then(|at| records.columns().get(at));
                        let kept = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                        let cut = array.map(|array| array.slice(0, kept.min(array.len())));
                        each(Piece { file, slot: *slot, rows: range.clone(), values: cut.as_ref() })?;
                    }
                }
                Err(error) => {
                    let lost = range.end - range.start;
                    let finding = losing(&file.path, &error, Loss::Certain, Some(lost)).segment(self.segment.id());
                    ctx.findings.add(finding);
                    for (_, slot) in &slots {
                        each(Piece { file, slot: *slot, rows: range.clone(), values: None })?;
                    }
                }
            }
        }
        if seen < file.rows.end {
            let missing = seen..file.rows.end;
            if rows(missing.clone()) {
                for (_, slot) in &slots {
                    each(Piece { file, slot: *slot, rows: missing.clone(), values: None })?;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

fn extra_file(
    segment: SegmentRef<'_>,
    block: &BlockMeta,
    rows: Range<u64>,
    column: (String, Slot),
) -> Option<ForwardFile> {
    Some(ForwardFile { path: segment.block_path(block)?, rows, columns: vec![column], overwritten: None })
}

/// The type of a scalar column; `None` for vectors and for what this build does not know.
pub fn column_type(data_type: DataType) -> Option<ColumnType> {
    use DataType as T;
    let (scalar, array) = match data_type {
        T::Binary => (ScalarType::Binary, false),
        T::String => (ScalarType::String, false),
        T::Bool => (ScalarType::Bool, false),
        T::Int32 => (ScalarType::I32, false),
        T::Int64 => (ScalarType::I64, false),
        T::Uint32 => (ScalarType::U32, false),
        T::Uint64 => (ScalarType::U64, false),
        T::Float => (ScalarType::F32, false),
        T::Double => (ScalarType::F64, false),
        T::ArrayBinary => (ScalarType::Binary, true),
        T::ArrayString => (ScalarType::String, true),
        T::ArrayBool => (ScalarType::Bool, true),
        T::ArrayInt32 => (ScalarType::I32, true),
        T::ArrayInt64 => (ScalarType::I64, true),
        T::ArrayUint32 => (ScalarType::U32, true),
        T::ArrayUint64 => (ScalarType::U64, true),
        T::ArrayFloat => (ScalarType::F32, true),
        T::ArrayDouble => (ScalarType::F64, true),
        _ => return None,
    };
    Some(ColumnType { scalar, array })
}
