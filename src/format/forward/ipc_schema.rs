//! From Arrow's flatbuffers to a schema, and the check of a batch's layout against it.

use std::sync::Arc;

use arrow_ipc::{Buffer, Endianness, FieldNode, Precision, RecordBatch, Type};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::format::{FormatError, Result};

/// More columns than any collection has; a flatbuffer may name one field a million times.
const MAX_COLUMNS: usize = 4096;

/// Converts the schema in a flatbuffer of `length` bytes at `at`; only types that zvec writes.
pub(super) fn convert(schema: &arrow_ipc::Schema, at: u64, length: u64) -> Result<SchemaRef> {
    let bad = |detail: String| FormatError::malformed("forward.bad-schema", at, detail);
    if schema.endianness() != Endianness::Little {
        return Err(FormatError::unsupported("forward.big-endian", at, "the data is big-endian"));
    }
    let fields = schema.fields().ok_or_else(|| bad("the schema has no columns".into()))?;
    if fields.is_empty() || fields.len() > MAX_COLUMNS {
        return Err(bad(format!("{} columns, expected 1 to {MAX_COLUMNS}", fields.len())));
    }
    let mut names = 0u64;
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        let name = field.name().unwrap_or_default();
        names = names.saturating_add(name.len() as u64);
        if names > length {
            return Err(bad(format!("column names of {names} bytes in a schema of {length}")));
        }
        columns.push(Field::new(name, data_type(&field, at)?, field.nullable()));
    }
    Ok(Arc::new(Schema::new(columns)))
}

fn data_type(field: &arrow_ipc::Field, at: u64) -> Result<DataType> {
    if field.type_type() != Type::List {
        return scalar_type(field, at);
    }
    let item = field.children().filter(|children| children.len() == 1).map(|children| children.get(0));
    let item = item.ok_or_else(|| {
        let detail = format!("the list column {} has no element type", field.name().unwrap_or_default());
        FormatError::malformed("forward.bad-schema", at, detail)
    })?;
    let name = item.name().filter(|name| name.len() < 64).unwrap_or("item");
    Ok(DataType::List(Arc::new(Field::new(name, scalar_type(&item, at)?, item.nullable()))))
}

fn scalar_type(field: &arrow_ipc::Field, at: u64) -> Result<DataType> {
    let found = match field.type_type() {
        Type::Bool => Some(DataType::Boolean),
        Type::Utf8 => Some(DataType::Utf8),
        Type::Binary => Some(DataType::Binary),
        Type::Int => field.type_as_int().and_then(|int| match (int.bitWidth(), int.is_signed()) {
            (32, true) => Some(DataType::Int32),
            (32, false) => Some(DataType::UInt32),
            (64, true) => Some(DataType::Int64),
            (64, false) => Some(DataType::UInt64),
            _ => None,
        }),
        Type::FloatingPoint => field.type_as_floating_point().and_then(|float| match float.precision() {
            Precision::SINGLE => Some(DataType::Float32),
            Precision::DOUBLE => Some(DataType::Float64),
            _ => None,
        }),
        _ => None,
    };
    found.filter(|_| field.dictionary().is_none()).ok_or_else(|| {
        let name = field.name().unwrap_or_default();
        let detail = format!("column {name} is of the Arrow type {:?}, which zvec never writes", field.type_type());
        FormatError::unsupported("forward.unknown-type", at, detail)
    })
}

/// Compares nodes and buffers of a batch with its schema and the length of its body; the number of rows.
pub(super) fn check_layout(batch: &RecordBatch, schema: &Schema, body: u64) -> std::result::Result<u64, String> {
    let rows = u64::try_from(batch.length()).map_err(|_| format!("{} rows", batch.length()))?;
    let nodes = batch.nodes().ok_or("the batch has no nodes")?;
    let buffers = batch.buffers().ok_or("the batch has no buffers")?;
    let mut layout = Layout { nodes: nodes.iter(), buffers: buffers.iter(), body, used: 0, column: "" };
    for field in schema.fields() {
        layout.column = field.name();
        let length = layout.column(field.data_type())?;
        if length != rows {
            return Err(format!("column {} has {length} rows, the batch {rows}", field.name()));
        }
    }
    if layout.nodes.next().is_some() || layout.buffers.next().is_some() {
        return Err("the batch has more nodes or buffers than the schema".into());
    }
    Ok(rows)
}

struct Layout<'a, N, B> {
    nodes: N,
    buffers: B,
    body: u64,
    /// End of the last buffer: none may overlap, or a small body would decode to a large batch.
    used: u64,
    column: &'a str,
}

impl<'n, 'b, N: Iterator<Item = &'n FieldNode>, B: Iterator<Item = &'b Buffer>> Layout<'_, N, B> {
    /// Checks one column's part; its number of rows.
    fn column(&mut self, data_type: &DataType) -> std::result::Result<u64, String> {
        let length = self.node()?;
        let offsets = if length == 0 { 0 } else { length.saturating_add(1).saturating_mul(4) };
        match data_type {
            DataType::Boolean => self.buffer("values", length.div_ceil(8))?,
            DataType::Int32 | DataType::UInt32 | DataType::Float32 => {
                self.buffer("values", length.saturating_mul(4))?;
            }
            DataType::Utf8 | DataType::Binary => {
                self.buffer("offsets", offsets)?;
                self.buffer("values", 0)?;
            }
            DataType::List(item) => {
                self.buffer("offsets", offsets)?;
                self.column(item.data_type())?;
            }
            _ => self.buffer("values", length.saturating_mul(8))?,
        }
        Ok(length)
    }

    /// Checks a node and its validity buffer; its length.
    fn node(&mut self) -> std::result::Result<u64, String> {
        let node = self.nodes.next().ok_or_else(|| format!("column {} has no node", self.column))?;
        let (length, nulls) = (node.length(), node.null_count());
        let checked = u64::try_from(length).ok().filter(|_| (0..=length).contains(&nulls));
        let checked = checked.ok_or_else(|| format!("column {}: {length} values, {nulls} nulls", self.column))?;
        self.buffer("validity", if nulls > 0 { checked.div_ceil(8) } else { 0 })?;
        Ok(checked)
    }

    fn buffer(&mut self, what: &str, least: u64) -> std::result::Result<(), String> {
        let column = self.column;
        let buffer = self.buffers.next().ok_or_else(|| format!("column {column} has no {what} buffer"))?;
        let (offset, length) = (buffer.offset(), buffer.length());
        let range = u64::try_from(offset).ok().zip(u64::try_from(length).ok());
        let inside = range.filter(|(offset, length)| offset.checked_add(*length).is_some_and(|end| end <= self.body));
        let Some((start, held)) = inside.filter(|(start, length)| *length == 0 || *start >= self.used) else {
            let free = format!("{} to {} of the body are left", self.used, self.body);
            return Err(format!("column {column}: {what} of {length} bytes at {offset}, {free}"));
        };
        if held > 0 {
            self.used = start.saturating_add(held);
        }
        if held < least {
            return Err(format!("column {column}: {what} of {held} bytes, {least} are needed"));
        }
        Ok(())
    }
}
