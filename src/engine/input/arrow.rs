//! Documents of Arrow IPC files and streams.

use std::{
    io::{self, BufReader, Read},
    sync::Arc,
};

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader as IpcFile, StreamReader as IpcStream};
use arrow_schema::{ArrowError, SchemaRef};

use super::{
    Counter, DocReader, InputError, InputOptions, Item, Named,
    arrow_check::{CheckedStream, check_file},
    columns::Plan,
    parquet_file::Table,
    source::FileReader,
};
use crate::{
    engine::Schema,
    format::{FormatError, forward::contain},
};

/// Bytes that are read ahead.
const READ_AHEAD: usize = 1 << 20;

/// The decoders of both layouts are iterators of batches.
pub(super) struct Arrow<I> {
    batches: Option<I>,
    total: Option<u64>,
    counter: Counter,
    rows: Table,
}

fn unreadable(error: ArrowError) -> FormatError {
    let of_system = matches!(&error, ArrowError::IoError(_, error) if error.kind() != io::ErrorKind::InvalidData);
    let code = if of_system { "io.read" } else { "input.unreadable" };
    FormatError { code, ..FormatError::malformed("input.unreadable", 0, error.to_string()) }
}

pub(super) fn open_file(
    source: FileReader,
    named: Named,
    schema: &Arc<Schema>,
    options: &InputOptions,
) -> Result<Arrow<IpcFile<BufReader<FileReader>>>, InputError> {
    let (total, counter) = (Some(source.len()), source.counter().clone());
    contain(0, || check_file(&source)).map_err(|error| named.damaged(&error))?;
    let buffered = BufReader::with_capacity(READ_AHEAD, source);
    let reader = contain(0, || IpcFile::try_new(buffered, None).map_err(unreadable));
    Arrow::new(reader, IpcFile::schema, (total, counter), named, schema, options)
}

pub(super) fn open_stream<R: Read + Send>(
    source: R,
    named: Named,
    schema: &Arc<Schema>,
    options: &InputOptions,
    total: Option<u64>,
    counter: Counter,
) -> Result<Arrow<IpcStream<CheckedStream<BufReader<R>>>>, InputError> {
    let buffered = CheckedStream::new(BufReader::with_capacity(READ_AHEAD, source));
    let reader = contain(0, || IpcStream::try_new(buffered, None).map_err(unreadable));
    Arrow::new(reader, IpcStream::schema, (total, counter), named, schema, options)
}

impl<I> Arrow<I> {
    fn new(
        reader: Result<I, FormatError>,
        described: impl FnOnce(&I) -> SchemaRef,
        (total, counter): (Option<u64>, Counter),
        named: Named,
        schema: &Arc<Schema>,
        options: &InputOptions,
    ) -> Result<Self, InputError> {
        let reader = reader.map_err(|error| named.damaged(&error))?;
        let plan = Plan::new(&described(&reader), schema, options, &named)?;
        Ok(Self { batches: Some(reader), total, counter, rows: Table::new(named, plan) })
    }
}

impl<I: Iterator<Item = Result<RecordBatch, ArrowError>> + Send> DocReader for Arrow<I> {
    fn next_batch(&mut self, most: usize, into: &mut Vec<Item>) -> Result<bool, InputError> {
        let Some(mut batches) = self.batches.take() else { return Ok(false) };
        let more = self.rows.next(most, into, || batches.next().transpose().map_err(unreadable))?;
        self.batches = Some(batches);
        Ok(more)
    }

    fn bytes_total(&self) -> Option<u64> {
        self.total
    }

    fn bytes_read(&self) -> u64 {
        let read = self.counter.get();
        self.total.map_or(read, |total| total.min(read))
    }
}
