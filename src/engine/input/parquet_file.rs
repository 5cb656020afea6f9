//! Documents of a Parquet file.

use std::sync::Arc;

use arrow_array::RecordBatch;
use parquet::{
    arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    errors::ParquetError,
};

use super::{DocReader, InputError, InputOptions, Item, Named, columns::Plan, source::FileReader};
use crate::{
    engine::Schema,
    format::{FormatError, forward::contain},
};

/// Bytes of uncompressed columns that a batch should have.
const BATCH_BYTES: usize = 8 << 20;
/// Most rows in a batch.
const BATCH_ROWS: usize = 4096;

pub(super) struct ParquetFile {
    reader: Option<ParquetRecordBatchReader>,
    source: FileReader,
    pub(super) rows: Table,
}

/// What is left of the current batch.
pub(super) struct Table {
    pub(super) named: Named,
    pub(super) plan: Plan,
    pub(super) batch: Option<RecordBatch>,
    /// Rows of the batch that were given.
    pub(super) given: usize,
    /// Rows of the batches before it.
    pub(super) before: u64,
}

impl Table {
    pub(super) fn new(named: Named, plan: Plan) -> Self {
        Self { named, plan, batch: None, given: 0, before: 0 }
    }

    /// Appends at most `most` documents; `next` reads a batch.
    pub(super) fn next(
        &mut self,
        most: usize,
        into: &mut Vec<Item>,
        mut next: impl FnMut() -> Result<Option<RecordBatch>, FormatError>,
    ) -> Result<bool, InputError> {
        let end = into.len() + most;
        while into.len() < end {
            let Some(batch) = &self.batch else {
                self.batch = contain(0, &mut next).map_err(|error| self.named.damaged(&error))?;
                self.given = 0;
                if self.batch.is_none() {
                    return Ok(false);
                }
                continue;
            };
            let rows = self.given..batch.num_rows().min(self.given + end - into.len());
            let (plan, before) = (&self.plan, self.before);
            let before_fault = into.len();
            if let Err(error) = contain(0, || plan.documents(batch, rows.clone(), before, into)) {
                into.truncate(before_fault);
                return Err(self.named.damaged(&error));
            }
            self.given = rows.end;
            if self.given >= batch.num_rows() {
                self.before += batch.num_rows() as u64;
                self.batch = None;
            }
        }
        Ok(true)
    }
}

fn unreadable(error: impl std::fmt::Display) -> FormatError {
    FormatError::malformed("input.unreadable", 0, error.to_string())
}

fn refused(error: ParquetError) -> FormatError {
    match error {
        ParquetError::External(error) if error.is::<std::io::Error>() => {
            FormatError { code: "io.read", ..unreadable(error) }
        }
        error => unreadable(error),
    }
}

pub(super) fn open(
    source: FileReader,
    named: Named,
    schema: &Arc<Schema>,
    options: &InputOptions,
) -> Result<ParquetFile, InputError> {
    let builder = contain(0, || {
        // What an Arrow writer says of its types is not needed, and would be one more thing that can be wrong.
        let plain = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        ParquetRecordBatchReaderBuilder::try_new_with_options(source.clone(), plain).map_err(refused)
    });
    let builder = builder.map_err(|error| named.damaged(&error))?;
    let plan = Plan::new(builder.schema(), schema, options, &named)?;
    let groups = builder.metadata().row_groups();
    let width = groups
        .iter()
        .filter(|group| group.num_rows() > 0)
        .map(|group| usize::try_from(group.total_byte_size() / group.num_rows()).unwrap_or(1).max(1));
    let rows = (BATCH_BYTES / width.max().unwrap_or(1)).clamp(1, BATCH_ROWS);
    let reader = contain(0, || builder.with_batch_size(rows).build().map_err(refused));
    let reader = reader.map_err(|error| named.damaged(&error))?;
    Ok(ParquetFile { reader: Some(reader), source, rows: Table::new(named, plan) })
}

impl DocReader for ParquetFile {
    fn next_batch(&mut self, most: usize, into: &mut Vec<Item>) -> Result<bool, InputError> {
        let Some(mut reader) = self.reader.take() else { return Ok(false) };
        let more = self.rows.next(most, into, || reader.next().transpose().map_err(unreadable))?;
        // Not after an error: nobody knows what state it is in.
        self.reader = Some(reader);
        Ok(more)
    }

    fn bytes_total(&self) -> Option<u64> {
        Some(self.source.len())
    }

    fn bytes_read(&self) -> u64 {
        self.source.counter().get().min(self.source.len())
    }
}
