//! Documents as a Parquet file.
//!
//! One column for each field, of the Arrow type that is closest: dense vectors are fixed-size lists, sparse vectors a struct of two lists
//! (`indices`, `values`). The primary key is the column `id`, or `_zvec_uid_` where the schema has a field of that name.

use std::{io::Write, sync::Arc};

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{
        ArrayBuilder, BinaryBuilder, BooleanBuilder, FixedSizeListBuilder, ListBuilder, PrimitiveBuilder,
        StringBuilder, StructBuilder,
    },
    types::{
        ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        UInt32Type, UInt64Type,
    },
};
use arrow_schema::{ArrowError, DataType as ArrowType, Field as ArrowField, Fields as ArrowFields, Schema, SchemaRef};
use parquet::{
    arrow::ArrowWriter,
    basic::Compression,
    errors::ParquetError as WriterError,
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use crate::format::{manifest::proto::DataType, value::Value};

use super::{Cell, Document, Field, Fields};

/// Rows that are collected before they go to the writer.
const BATCH_ROWS: usize = 1024;
/// Bytes that the writer may hold before a row group is closed.
const GROUP_BYTES: usize = 32 << 20;

/// Why documents could not be written as Parquet.
#[derive(Debug, thiserror::Error)]
pub enum ParquetError {
    /// A column cannot hold a document's value.
    #[error("document {id}: field {field} cannot be written as {column}")]
    Value {
        /// Primary key.
        id: String,
        /// Field.
        field: String,
        /// Type of its column.
        column: String,
    },
    /// A field has a type that this build does not know.
    #[error("field {0} has a type that cannot be written as Parquet")]
    Type(String),
    /// The columns do not fit together.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// The file could not be written.
    #[error(transparent)]
    Writer(#[from] WriterError),
}

/// A Parquet file that documents are added to.
pub struct ParquetExport<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: SchemaRef,
    keys: StringBuilder,
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    field: Field,
    builder: Builder,
}

impl<W: Write + Send> ParquetExport<W> {
    /// Begins a file with the columns of `fields`.
    pub fn new(out: W, fields: &Fields) -> Result<Self, ParquetError> {
        let all: Vec<&Field> = fields.scalars.iter().chain(&fields.vectors).collect();
        let key = if all.iter().any(|field| field.name == "id") { "_zvec_uid_" } else { "id" };
        let mut described = vec![ArrowField::new(key, ArrowType::Utf8, false)];
        let mut columns = Vec::new();
        for field in all {
            // Even a field that is never null may be unreadable.
            described.push(ArrowField::new(&field.name, arrow_type(field)?, true));
            columns.push(Column { field: field.clone(), builder: Builder::of(field)? });
        }
        let schema = Arc::new(Schema::new(described));
        let properties = properties(columns.iter().map(|column| &column.field));
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))?;
        Ok(Self { writer, schema, keys: StringBuilder::new(), columns, rows: 0 })
    }

    /// Adds a document. Fields that cannot be read are null: the caller tells which documents that concerns.
    pub fn add(&mut self, document: Document) -> Result<(), ParquetError> {
        let id = String::from_utf8_lossy(&document.pk).into_owned();
        let cells = document.fields.into_iter().chain(document.vectors);
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            let value = match cell {
                Cell::Value(value) => value,
                Cell::Unreadable => Value::Null,
            };
            if !column.builder.append(value) {
                return Err(ParquetError::Value {
                    id,
                    field: column.field.name.clone(),
                    column: column.field.data_type.as_str_name().to_owned(),
                });
            }
        }
        self.keys.append_value(&id);
        self.rows += 1;
        if self.rows >= BATCH_ROWS {
            self.write_batch()?;
        }
        Ok(())
    }

    /// Writes what is left and the footer; gives the target back.
    pub fn finish(mut self) -> Result<W, ParquetError> {
        self.write_batch()?;
        Ok(self.writer.into_inner()?)
    }

    fn write_batch(&mut self) -> Result<(), ParquetError> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(self.keys.finish())];
        arrays.extend(self.columns.iter_mut().map(|column| column.builder.finish()));
        self.writer.write(&RecordBatch::try_new(self.schema.clone(), arrays)?)?;
        if self.writer.in_progress_size() > GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }
}

/// Components of vectors hardly ever repeat, and nobody asks for their range: dictionary and statistics, which other columns profit
/// from, would double the time.
fn properties<'f>(fields: impl Iterator<Item = &'f Field>) -> WriterProperties {
    use DataType as T;
    let mut builder = WriterProperties::builder().set_compression(Compression::SNAPPY);
    for field in fields {
        let inside: &[&str] = match field.data_type {
            T::VectorFp16 | T::VectorFp32 | T::VectorFp64 => &["list", "item"],
            T::SparseVectorFp16 | T::SparseVectorFp32 => &["values", "list", "item"],
            _ => continue,
        };
        let parts = std::iter::once(field.name.as_str()).chain(inside.iter().copied());
        let path = ColumnPath::new(parts.map(str::to_owned).collect());
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    builder.build()
}

fn arrow_type(field: &Field) -> Result<ArrowType, ParquetError> {
    use DataType as T;
    let list = |item| ArrowType::List(Arc::new(ArrowField::new("item", item, true)));
    let dense = |item| {
        let length = i32::try_from(field.dimension).unwrap_or(i32::MAX);
        ArrowType::FixedSizeList(Arc::new(ArrowField::new("item", item, true)), length)
    };
    let sparse = |value| ArrowType::Struct(sparse_fields(value));
    Ok(match field.data_type {
        T::Binary => ArrowType::Binary,
        T::String => ArrowType::Utf8,
        T::Bool => ArrowType::Boolean,
        T::Int32 => ArrowType::Int32,
        T::Int64 => ArrowType::Int64,
        T::Uint32 => ArrowType::UInt32,
        T::Uint64 => ArrowType::UInt64,
        T::Float => ArrowType::Float32,
        T::Double => ArrowType::Float64,
        T::ArrayBinary => list(ArrowType::Binary),
        T::ArrayString => list(ArrowType::Utf8),
        T::ArrayBool => list(ArrowType::Boolean),
        T::ArrayInt32 => list(ArrowType::Int32),
        T::ArrayInt64 => list(ArrowType::Int64),
        T::ArrayUint32 | T::VectorBinary32 => list(ArrowType::UInt32),
        T::ArrayUint64 | T::VectorBinary64 => list(ArrowType::UInt64),
        T::ArrayFloat => list(ArrowType::Float32),
        T::ArrayDouble => list(ArrowType::Float64),
        T::VectorFp16 => dense(ArrowType::Float16),
        T::VectorFp32 => dense(ArrowType::Float32),
        T::VectorFp64 => dense(ArrowType::Float64),
        T::VectorInt4 | T::VectorInt8 | T::VectorUint8 => dense(ArrowType::Int8),
        T::VectorInt16 => dense(ArrowType::Int16),
        T::SparseVectorFp16 => sparse(ArrowType::Float16),
        T::SparseVectorFp32 => sparse(ArrowType::Float32),
        T::Undefined => return Err(ParquetError::Type(field.name.clone())),
    })
}

fn sparse_fields(value: ArrowType) -> ArrowFields {
    let list = |item| ArrowType::List(Arc::new(ArrowField::new("item", item, true)));
    ArrowFields::from(vec![
        ArrowField::new("indices", list(ArrowType::UInt32), true),
        ArrowField::new("values", list(value), true),
    ])
}

/// The values of one column on their way into an array.
enum Builder {
    Binary(BinaryBuilder),
    String(StringBuilder),
    Bool(BooleanBuilder),
    I32(PrimitiveBuilder<Int32Type>),
    I64(PrimitiveBuilder<Int64Type>),
    U32(PrimitiveBuilder<UInt32Type>),
    U64(PrimitiveBuilder<UInt64Type>),
    F32(PrimitiveBuilder<Float32Type>),
    F64(PrimitiveBuilder<Float64Type>),
    Binaries(ListBuilder<BinaryBuilder>),
    Strings(ListBuilder<StringBuilder>),
    Bools(ListBuilder<BooleanBuilder>),
    I32s(ListBuilder<PrimitiveBuilder<Int32Type>>),
    I64s(ListBuilder<PrimitiveBuilder<Int64Type>>),
    U32s(ListBuilder<PrimitiveBuilder<UInt32Type>>),
    U64s(ListBuilder<PrimitiveBuilder<UInt64Type>>),
    F32s(ListBuilder<PrimitiveBuilder<Float32Type>>),
    F64s(ListBuilder<PrimitiveBuilder<Float64Type>>),
    DenseF16(FixedSizeListBuilder<PrimitiveBuilder<Float16Type>>),
    DenseF32(FixedSizeListBuilder<PrimitiveBuilder<Float32Type>>),
    DenseF64(FixedSizeListBuilder<PrimitiveBuilder<Float64Type>>),
    DenseI8(FixedSizeListBuilder<PrimitiveBuilder<Int8Type>>),
    DenseI16(FixedSizeListBuilder<PrimitiveBuilder<Int16Type>>),
    SparseF16(StructBuilder),
    SparseF32(StructBuilder),
}

impl Builder {
    fn of(field: &Field) -> Result<Self, ParquetError> {
        use DataType as T;
        let length = i32::try_from(field.dimension).unwrap_or(i32::MAX);
        Ok(match field.data_type {
            T::Binary => Self::Binary(BinaryBuilder::new()),
            T::String => Self::String(StringBuilder::new()),
            T::Bool => Self::Bool(BooleanBuilder::new()),
            T::Int32 => Self::I32(PrimitiveBuilder::new()),
            T::Int64 => Self::I64(PrimitiveBuilder::new()),
            T::Uint32 => Self::U32(PrimitiveBuilder::new()),
            T::Uint64 => Self::U64(PrimitiveBuilder::new()),
            T::Float => Self::F32(PrimitiveBuilder::new()),
            T::Double => Self::F64(PrimitiveBuilder::new()),
            T::ArrayBinary => Self::Binaries(ListBuilder::new(BinaryBuilder::new())),
            T::ArrayString => Self::Strings(ListBuilder::new(StringBuilder::new())),
            T::ArrayBool => Self::Bools(ListBuilder::new(BooleanBuilder::new())),
            T::ArrayInt32 => Self::I32s(ListBuilder::new(PrimitiveBuilder::new())),
            T::ArrayInt64 => Self::I64s(ListBuilder::new(PrimitiveBuilder::new())),
            T::ArrayUint32 | T::VectorBinary32 => Self::U32s(ListBuilder::new(PrimitiveBuilder::new())),
            T::ArrayUint64 | T::VectorBinary64 => Self::U64s(ListBuilder::new(PrimitiveBuilder::new())),
            T::ArrayFloat => Self::F32s(ListBuilder::new(PrimitiveBuilder::new())),
            T::ArrayDouble => Self::F64s(ListBuilder::new(PrimitiveBuilder::new())),
            T::VectorFp16 => Self::DenseF16(FixedSizeListBuilder::new(PrimitiveBuilder::new(), length)),
            T::VectorFp32 => Self::DenseF32(FixedSizeListBuilder::new(PrimitiveBuilder::new(), length)),
            T::VectorFp64 => Self::DenseF64(FixedSizeListBuilder::new(PrimitiveBuilder::new(), length)),
            T::VectorInt4 | T::VectorInt8 | T::VectorUint8 => {
                Self::DenseI8(FixedSizeListBuilder::new(PrimitiveBuilder::new(), length))
            }
            T::VectorInt16 => Self::DenseI16(FixedSizeListBuilder::new(PrimitiveBuilder::new(), length)),
            T::SparseVectorFp16 => Self::SparseF16(sparse_builder::<Float16Type>(ArrowType::Float16)),
            T::SparseVectorFp32 => Self::SparseF32(sparse_builder::<Float32Type>(ArrowType::Float32)),
            T::Undefined => return Err(ParquetError::Type(field.name.clone())),
        })
    }

    /// Appends a value; `false` if the column cannot hold it.
    fn append(&mut self, value: Value) -> bool {
        match (self, value) {
            (Self::Binary(b), Value::Bytes(v)) => b.append_value(v),
            (Self::String(b), Value::Bytes(v)) => match String::from_utf8(v) {
                Ok(text) => b.append_value(text),
                Err(_) => return false,
            },
            (Self::Bool(b), Value::Bool(v)) => b.append_value(v),
            (Self::I32(b), Value::I32(v)) => b.append_value(v),
            (Self::I64(b), Value::I64(v)) => b.append_value(v),
            (Self::U32(b), Value::U32(v)) => b.append_value(v),
            (Self::U64(b), Value::U64(v)) => b.append_value(v),
            (Self::F32(b), Value::F32(v)) => b.append_value(v),
            (Self::F64(b), Value::F64(v)) => b.append_value(v),
            (Self::Binaries(b), Value::ByteStrings(v)) => b.append_value(v.into_iter().map(Some)),
            (Self::Strings(b), Value::ByteStrings(v)) => {
                let Ok(texts) = v.into_iter().map(String::from_utf8).collect::<Result<Vec<_>, _>>() else {
                    return false;
                };
                b.append_value(texts.into_iter().map(Some));
            }
            (Self::Bools(b), Value::Bools(v)) => b.append_value(v.into_iter().map(Some)),
            (Self::I32s(b), Value::I32s(v)) => append_list(b, &v),
            (Self::I64s(b), Value::I64s(v)) => append_list(b, &v),
            (Self::U32s(b), Value::U32s(v)) => append_list(b, &v),
            (Self::U64s(b), Value::U64s(v)) => append_list(b, &v),
            (Self::F32s(b), Value::F32s(v)) => append_list(b, &v),
            (Self::F64s(b), Value::F64s(v)) => append_list(b, &v),
            (Self::DenseF16(b), value) => {
                return append_dense(b, value, |value| match value {
                    Value::F16s(v) => Some(v),
                    _ => None,
                });
            }
            (Self::DenseF32(b), value) => {
                return append_dense(b, value, |value| match value {
                    Value::F32s(v) => Some(v),
                    _ => None,
                });
            }
            (Self::DenseF64(b), value) => {
                return append_dense(b, value, |value| match value {
                    Value::F64s(v) => Some(v),
                    _ => None,
                });
            }
            (Self::DenseI8(b), value) => {
                return append_dense(b, value, |value| match value {
                    Value::I8s(v) => Some(v),
                    _ => None,
                });
            }
            (Self::DenseI16(b), value) => {
                return append_dense(b, value, |value| match value {
                    Value::I16s(v) => Some(v),
                    _ => None,
                });
            }
            (Self::SparseF16(b), Value::SparseF16(v)) => return append_sparse::<Float16Type>(b, &v),
            (Self::SparseF32(b), Value::SparseF32(v)) => return append_sparse::<Float32Type>(b, &v),
            (Self::SparseF16(b), Value::Null) => return append_no_sparse::<Float16Type>(b),
            (Self::SparseF32(b), Value::Null) => return append_no_sparse::<Float32Type>(b),
            (builder, Value::Null) => builder.append_null(),
            _ => return false,
        }
        true
    }

    fn append_null(&mut self) {
        match self {
            Self::Binary(b) => b.append_null(),
            Self::String(b) => b.append_null(),
            Self::Bool(b) => b.append_null(),
            Self::I32(b) => b.append_null(),
            Self::I64(b) => b.append_null(),
            Self::U32(b) => b.append_null(),
            Self::U64(b) => b.append_null(),
            Self::F32(b) => b.append_null(),
            Self::F64(b) => b.append_null(),
            Self::Binaries(b) => b.append_null(),
            Self::Strings(b) => b.append_null(),
            Self::Bools(b) => b.append_null(),
            Self::I32s(b) => b.append_null(),
            Self::I64s(b) => b.append_null(),
            Self::U32s(b) => b.append_null(),
            Self::U64s(b) => b.append_null(),
            Self::F32s(b) => b.append_null(),
            Self::F64s(b) => b.append_null(),
            // Vectors of all kinds are appended with their nulls.
            Self::DenseF16(_)
            | Self::DenseF32(_)
            | Self::DenseF64(_)
            | Self::DenseI8(_)
            | Self::DenseI16(_)
            | Self::SparseF16(_)
            | Self::SparseF32(_) => {}
        }
    }

    fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match self {
            Self::Binary(b) => b,
            Self::String(b) => b,
            Self::Bool(b) => b,
            Self::I32(b) => b,
            Self::I64(b) => b,
            Self::U32(b) => b,
            Self::U64(b) => b,
            Self::F32(b) => b,
            Self::F64(b) => b,
            Self::Binaries(b) => b,
            Self::Strings(b) => b,
            Self::Bools(b) => b,
            Self::I32s(b) => b,
            Self::I64s(b) => b,
            Self::U32s(b) => b,
            Self::U64s(b) => b,
            Self::F32s(b) => b,
            Self::F64s(b) => b,
            Self::DenseF16(b) => b,
            Self::DenseF32(b) => b,
            Self::DenseF64(b) => b,
            Self::DenseI8(b) => b,
            Self::DenseI16(b) => b,
            Self::SparseF16(b) | Self::SparseF32(b) => b,
        };
        builder.finish()
    }
}

fn append_list<T: ArrowPrimitiveType>(builder: &mut ListBuilder<PrimitiveBuilder<T>>, values: &[T::Native]) {
    builder.values().append_slice(values);
    builder.append(true);
}

/// Appends a dense vector or null; `false` if it has another type or length.
fn append_dense<T: ArrowPrimitiveType>(
    builder: &mut FixedSizeListBuilder<PrimitiveBuilder<T>>,
    value: Value,
    take: impl FnOnce(Value) -> Option<Vec<T::Native>>,
) -> bool {
    let length = usize::try_from(builder.value_length()).unwrap_or(0);
    if value == Value::Null {
        // A null of a fixed-size list still takes its place.
        builder.values().append_nulls(length);
        builder.append(false);
        return true;
    }
    let Some(values) = take(value).filter(|values| values.len() == length) else { return false };
    builder.values().append_slice(&values);
    builder.append(true);
    true
}

type Lists<T> = ListBuilder<PrimitiveBuilder<T>>;

fn sparse_builder<T: ArrowPrimitiveType>(value: ArrowType) -> StructBuilder {
    let builders: Vec<Box<dyn ArrayBuilder>> =
        vec![Box::new(Lists::<UInt32Type>::default()), Box::new(Lists::<T>::default())];
    StructBuilder::new(sparse_fields(value), builders)
}

fn append_sparse<T: ArrowPrimitiveType>(builder: &mut StructBuilder, pairs: &[(u32, T::Native)]) -> bool {
    let Some(indices) = builder.field_builder::<Lists<UInt32Type>>(0) else { return false };
    indices.append_value(pairs.iter().map(|(index, _)| Some(*index)));
    let Some(values) = builder.field_builder::<Lists<T>>(1) else { return false };
    values.append_value(pairs.iter().map(|(_, value)| Some(*value)));
    builder.append(true);
    true
}

fn append_no_sparse<T: ArrowPrimitiveType>(builder: &mut StructBuilder) -> bool {
    let Some(indices) = builder.field_builder::<Lists<UInt32Type>>(0) else { return false };
    indices.append_null();
    let Some(values) = builder.field_builder::<Lists<T>>(1) else { return false };
    values.append_null();
    builder.append(false);
    true
}
