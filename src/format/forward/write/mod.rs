//! Writes forward blocks: rows into batches, batches into a file of either encoding.
//!
//! From the same batches an Arrow file comes out byte for byte as zvec writes it. Where a batch ends is the writer's
//! choice; zvec itself ends it at 4096 rows or earlier, by the memory that its rows take, and reads batches of any
//! length.

mod column_builder;
mod ipc_file;
mod ipc_metadata;
mod parquet_file;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ListArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use self::column_builder::ColumnBuilder;
use self::ipc_file::IpcFile;
use self::parquet_file::ParquetFile;
use super::{Column, ColumnType, DOC_ID_COLUMN, Encoding, MAX_BATCH_ROWS, ScalarType, UID_COLUMN, column_type};
use crate::format::sink::Sink;
use crate::format::value::Value;
use crate::format::{FormatError, Result};

/// A batch ends at this many bytes even if it has few rows, far from the 2 GiB that offsets reach.
pub const MAX_BATCH_BYTES: usize = 16 << 20;
/// Largest value or row that [`RowBuilder`] takes; a WAL record has at most 4 MiB.
pub const MAX_ROW_BYTES: usize = 1 << 30;

/// The columns of a row block: document id and primary key, then `columns`.
pub fn row_block_columns(columns: impl IntoIterator<Item = Column>) -> Vec<Column> {
    let system = |name: &str, scalar| Column {
        name: name.to_owned(),
        column_type: ColumnType { scalar, array: false },
        nullable: false,
    };
    let head = [system(DOC_ID_COLUMN, ScalarType::U64), system(UID_COLUMN, ScalarType::String)];
    head.into_iter().chain(columns).collect()
}

/// The Arrow schema of a block; the name of a list's elements depends on the encoding.
pub fn schema(columns: &[Column], encoding: Encoding) -> SchemaRef {
    let field = |column: &Column| Field::new(&column.name, data_type(column.column_type, encoding), column.nullable);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn data_type(column_type: ColumnType, encoding: Encoding) -> DataType {
    if column_type.array {
        return DataType::List(Arc::new(list_item(column_type.scalar, encoding)));
    }
    scalar_type(column_type.scalar)
}

fn list_item(scalar: ScalarType, encoding: Encoding) -> Field {
    let name = match encoding {
        Encoding::Ipc => ipc_metadata::ITEM,
        Encoding::Parquet => "element",
    };
    Field::new(name, scalar_type(scalar), true)
}

fn scalar_type(scalar: ScalarType) -> DataType {
    match scalar {
        ScalarType::Bool => DataType::Boolean,
        ScalarType::I32 => DataType::Int32,
        ScalarType::U32 => DataType::UInt32,
        ScalarType::I64 => DataType::Int64,
        ScalarType::U64 => DataType::UInt64,
        ScalarType::F32 => DataType::Float32,
        ScalarType::F64 => DataType::Float64,
        ScalarType::String => DataType::Utf8,
        ScalarType::Binary => DataType::Binary,
    }
}

/// Collects rows into batches: the forward block that is still in memory.
pub struct RowBuilder {
    columns: Vec<Column>,
    builders: Vec<ColumnBuilder>,
    open_rows: usize,
    batches: Vec<RecordBatch>,
    closed_rows: usize,
    closed_bytes: usize,
}

impl RowBuilder {
    /// A builder without rows. The columns of a row block come from [`row_block_columns`].
    pub fn new(columns: Vec<Column>) -> Self {
        let builders = columns.iter().cloned().map(ColumnBuilder::new).collect();
        Self { columns, builders, open_rows: 0, batches: Vec::new(), closed_rows: 0, closed_bytes: 0 }
    }

    /// The columns, in file order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.closed_rows.saturating_add(self.open_rows)
    }

    /// Bytes that the rows take in memory, which is what they will take in an Arrow file, headers aside.
    pub fn memory_size(&self) -> usize {
        self.builders.iter().fold(self.closed_bytes, |sum, builder| sum.saturating_add(builder.memory_size()))
    }

    /// Appends one row, a value per column; all of them or, if one does not fit its column, none.
    ///
    /// # Errors
    /// `forward.wrong-value`: another number of values than columns, a value of another type than its column, a null
    /// in a column without, a STRING that is not UTF-8. `forward.too-large`: a row beyond [`MAX_ROW_BYTES`].
    pub fn append(&mut self, values: &[Value]) -> Result<()> {
        if values.len() != self.builders.len() {
            let detail = format!("{} values for {} columns", values.len(), self.builders.len());
            return Err(FormatError::malformed("forward.wrong-value", 0, detail));
        }
        for (builder, value) in self.builders.iter().zip(values) {
            builder.check(value)?;
        }
        let size = values.iter().fold(0usize, |sum, value| sum.saturating_add(size_of_value(value)));
        if size > MAX_ROW_BYTES {
            return Err(FormatError::unsupported("forward.too-large", 0, format!("a row of {size} bytes")));
        }
        let open: usize = self.builders.iter().map(ColumnBuilder::memory_size).sum();
        if self.open_rows >= MAX_BATCH_ROWS || (self.open_rows > 0 && open.saturating_add(size) > MAX_BATCH_BYTES) {
            self.close_batch()?;
        }
        for (builder, value) in self.builders.iter_mut().zip(values) {
            builder.push(value);
        }
        self.open_rows = self.open_rows.saturating_add(1);
        Ok(())
    }

    /// Appends one row of a row block.
    ///
    /// # Errors
    /// As [`RowBuilder::append`].
    pub fn append_document(&mut self, doc_id: u64, pk: &[u8], values: Vec<Value>) -> Result<()> {
        let mut row = Vec::with_capacity(values.len().saturating_add(2));
        row.extend([Value::U64(doc_id), Value::Bytes(pk.to_vec())]);
        row.extend(values);
        self.append(&row)
    }

    /// The complete batches, in row order; with [`RowBuilder::close_batch`] before, all rows.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// Takes the complete batches out, so that a stream of rows is never whole in memory.
    pub fn take_batches(&mut self) -> Vec<RecordBatch> {
        self.closed_rows = 0;
        self.closed_bytes = 0;
        std::mem::take(&mut self.batches)
    }

    /// Ends the batch that is being filled, if it has rows.
    ///
    /// # Errors
    /// `forward.unwritable` if the batch cannot be built.
    pub fn close_batch(&mut self) -> Result<()> {
        if self.open_rows == 0 {
            return Ok(());
        }
        let bad =
            |error: arrow_schema::ArrowError| FormatError::unsupported("forward.unwritable", 0, error.to_string());
        let bytes: usize = self.builders.iter().map(ColumnBuilder::memory_size).sum();
        let mut arrays = Vec::with_capacity(self.builders.len());
        for builder in &mut self.builders {
            arrays.push(builder.finish().map_err(bad)?);
        }
        let batch = RecordBatch::try_new(schema(&self.columns, Encoding::Ipc), arrays).map_err(bad)?;
        self.closed_rows = self.closed_rows.saturating_add(self.open_rows);
        self.closed_bytes = self.closed_bytes.saturating_add(bytes);
        self.open_rows = 0;
        self.batches.push(batch);
        Ok(())
    }
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => bytes.len(),
        Value::ByteStrings(array) => {
            array.iter().fold(0, |sum, bytes| sum.saturating_add(bytes.len()).saturating_add(4))
        }
        Value::Bools(array) => array.len(),
        Value::I32s(array) => array.len().saturating_mul(4),
        Value::U32s(array) => array.len().saturating_mul(4),
        Value::F32s(array) => array.len().saturating_mul(4),
        Value::I64s(array) => array.len().saturating_mul(8),
        Value::U64s(array) => array.len().saturating_mul(8),
        Value::F64s(array) => array.len().saturating_mul(8),
        _ => 8,
    }
}

enum File<S: Sink + Send> {
    Ipc(IpcFile<S>),
    Parquet(Box<ParquetFile<S>>),
}

/// Writes a block, batch by batch. What it holds in memory is one batch (Arrow) or the encoded row group (Parquet). A
/// failure of the sink is final: everything after it fails alike.
pub struct BlockWriter<S: Sink + Send> {
    file: File<S>,
    columns: Vec<Column>,
    schema: SchemaRef,
    rows: u64,
}

impl<S: Sink + Send> BlockWriter<S> {
    /// Begins a block with `columns` in `encoding`.
    ///
    /// # Errors
    /// `forward.wrong-value` without columns, `io.write` from the sink.
    pub fn new(sink: S, columns: Vec<Column>, encoding: Encoding) -> Result<Self> {
        if columns.is_empty() {
            return Err(FormatError::malformed("forward.wrong-value", 0, "a block without columns"));
        }
        let schema = schema(&columns, encoding);
        let file = match encoding {
            Encoding::Ipc => File::Ipc(IpcFile::new(sink, columns.clone())?),
            Encoding::Parquet => File::Parquet(Box::new(ParquetFile::new(sink, schema.clone())?)),
        };
        Ok(Self { file, columns, schema, rows: 0 })
    }

    /// Number of rows written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of encoded pages that wait in memory for the end of a Parquet block.
    pub fn memory_size(&self) -> usize {
        match &self.file {
            File::Ipc(_) => 0,
            File::Parquet(file) => file.in_memory(),
        }
    }

    /// Adds a batch: its columns must be those of the block, in name, type and order.
    ///
    /// # Errors
    /// `forward.wrong-value` for another schema or a null where none may be, `io.write` from the sink.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.check(batch)?;
        match &mut self.file {
            File::Ipc(file) => file.write(batch)?,
            File::Parquet(file) => file.write(&rename_items(batch, &self.schema)?)?,
        }
        self.rows = self.rows.saturating_add(batch.num_rows() as u64);
        Ok(())
    }

    /// Ends the block and gives the sink back.
    ///
    /// # Errors
    /// `io.write` from the sink.
    pub fn finish(self) -> Result<S> {
        match self.file {
            File::Ipc(file) => file.finish(),
            File::Parquet(file) => file.finish(),
        }
    }

    fn check(&self, batch: &RecordBatch) -> Result<()> {
        let bad = |detail: String| Err(FormatError::malformed("forward.wrong-value", 0, detail));
        if batch.num_columns() != self.columns.len() {
            return bad(format!("a batch of {} columns for {}", batch.num_columns(), self.columns.len()));
        }
        for ((column, array), field) in self.columns.iter().zip(batch.columns()).zip(batch.schema_ref().fields()) {
            if *field.name() != column.name || column_type(array.data_type()) != Some(column.column_type) {
                return bad(format!("column {} ({}) is given as {field}", column.name, column.column_type));
            }
            if !column.nullable && array.null_count() > 0 {
                return bad(format!("column {} takes no null", column.name));
            }
        }
        Ok(())
    }
}

/// The batch under the block's own schema: only the name of list elements can differ.
fn rename_items(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let bad = |error: arrow_schema::ArrowError| FormatError::unsupported("forward.unwritable", 0, error.to_string());
    let mut arrays = Vec::with_capacity(batch.num_columns());
    for (array, field) in batch.columns().iter().zip(schema.fields()) {
        arrays.push(match (field.data_type(), array.as_list_opt::<i32>()) {
            (DataType::List(item), Some(lists)) => {
                let (_, offsets, values, nulls) = lists.clone().into_parts();
                Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls).map_err(bad)?)
            }
            _ => array.clone(),
        });
    }
    RecordBatch::try_new(schema.clone(), arrays).map_err(bad)
}

#[cfg(test)]
mod tests;
