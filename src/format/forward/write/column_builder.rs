//! Columns that grow value by value.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, ListArray, PrimitiveArray, StringArray,
    types::{Float32Type, Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type},
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use super::list_item;
use crate::format::forward::{Column, Encoding, ScalarType};
use crate::format::value::Value;
use crate::format::{FormatError, Result};

/// Elements of one type, without nulls.
#[derive(Debug)]
enum Elements {
    Bool(BooleanBufferBuilder),
    I32(Vec<i32>),
    U32(Vec<u32>),
    I64(Vec<i64>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes { offsets: Vec<i32>, bytes: Vec<u8>, text: bool },
}

/// One column of a batch that is being filled.
#[derive(Debug)]
pub(super) struct ColumnBuilder {
    column: Column,
    /// One bit per row; only there from the first null on.
    validity: Option<BooleanBufferBuilder>,
    /// First element behind each row of an array column, led by 0.
    offsets: Vec<i32>,
    elements: Elements,
    rows: usize,
}

impl Elements {
    fn new(scalar: ScalarType) -> Self {
        match scalar {
            ScalarType::Bool => Self::Bool(BooleanBufferBuilder::new(0)),
            ScalarType::I32 => Self::I32(Vec::new()),
            ScalarType::U32 => Self::U32(Vec::new()),
            ScalarType::I64 => Self::I64(Vec::new()),
            ScalarType::U64 => Self::U64(Vec::new()),
            ScalarType::F32 => Self::F32(Vec::new()),
            ScalarType::F64 => Self::F64(Vec::new()),
            ScalarType::String => Self::Bytes { offsets: vec![0], bytes: Vec::new(), text: true },
            ScalarType::Binary => Self::Bytes { offsets: vec![0], bytes: Vec::new(), text: false },
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bool(bits) => bits.len(),
            Self::I32(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::Bytes { offsets, .. } => offsets.len().saturating_sub(1),
        }
    }

    fn memory_size(&self) -> usize {
        match self {
            Self::Bool(bits) => bits.len().div_ceil(8),
            Self::I32(values) => values.len().saturating_mul(4),
            Self::U32(values) => values.len().saturating_mul(4),
            Self::I64(values) => values.len().saturating_mul(8),
            Self::U64(values) => values.len().saturating_mul(8),
            Self::F32(values) => values.len().saturating_mul(4),
            Self::F64(values) => values.len().saturating_mul(8),
            Self::Bytes { offsets, bytes, .. } => offsets.len().saturating_mul(4).saturating_add(bytes.len()),
        }
    }

    /// Appends one scalar, or nothing if it is of another type.
    fn push(&mut self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool(bits), Value::Bool(value)) => bits.append(*value),
            (Self::I32(values), Value::I32(value)) => values.push(*value),
            (Self::U32(values), Value::U32(value)) => values.push(*value),
            (Self::I64(values), Value::I64(value)) => values.push(*value),
            (Self::U64(values), Value::U64(value)) => values.push(*value),
            (Self::F32(values), Value::F32(value)) => values.push(*value),
            (Self::F64(values), Value::F64(value)) => values.push(*value),
            (Self::Bytes { offsets, bytes, .. }, Value::Bytes(value)) => push_bytes(offsets, bytes, value),
            _ => return false,
        }
        true
    }

    /// Appends all elements of an array, or nothing if it is of another type.
    fn extend(&mut self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool(bits), Value::Bools(array)) => bits.append_slice(array),
            (Self::I32(values), Value::I32s(array)) => values.extend_from_slice(array),
            (Self::U32(values), Value::U32s(array)) => values.extend_from_slice(array),
            (Self::I64(values), Value::I64s(array)) => values.extend_from_slice(array),
            (Self::U64(values), Value::U64s(array)) => values.extend_from_slice(array),
            (Self::F32(values), Value::F32s(array)) => values.extend_from_slice(array),
            (Self::F64(values), Value::F64s(array)) => values.extend_from_slice(array),
            (Self::Bytes { offsets, bytes, .. }, Value::ByteStrings(array)) => {
                array.iter().for_each(|value| push_bytes(offsets, bytes, value));
            }
            _ => return false,
        }
        true
    }

    /// Appends what stands in the place of a null.
    fn push_default(&mut self) {
        match self {
            Self::Bool(bits) => bits.append(false),
            Self::I32(values) => values.push(0),
            Self::U32(values) => values.push(0),
            Self::I64(values) => values.push(0),
            Self::U64(values) => values.push(0),
            Self::F32(values) => values.push(0.0),
            Self::F64(values) => values.push(0.0),
            Self::Bytes { offsets, bytes, .. } => push_bytes(offsets, bytes, &[]),
        }
    }

    fn finish(self, nulls: Option<NullBuffer>) -> std::result::Result<ArrayRef, ArrowError> {
        fn numbers<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> BuiltArray
        where
            ScalarBuffer<T::Native>: From<Vec<T::Native>>,
        {
            Ok(Arc::new(PrimitiveArray::<T>::try_new(values.into(), nulls)?))
        }
        match self {
            Self::Bool(mut bits) => Ok(Arc::new(BooleanArray::new(bits.finish(), nulls))),
            Self::I32(values) => numbers::<Int32Type>(values, nulls),
            Self::U32(values) => numbers::<UInt32Type>(values, nulls),
            Self::I64(values) => numbers::<Int64Type>(values, nulls),
            Self::U64(values) => numbers::<UInt64Type>(values, nulls),
            Self::F32(values) => numbers::<Float32Type>(values, nulls),
            Self::F64(values) => numbers::<Float64Type>(values, nulls),
            Self::Bytes { offsets, bytes, text } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                let bytes = Buffer::from_vec(bytes);
                if text {
                    Ok(Arc::new(StringArray::try_new(offsets, bytes, nulls)?))
                } else {
                    Ok(Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?))
                }
            }
        }
    }
}

type BuiltArray = std::result::Result<ArrayRef, ArrowError>;

/// The caller keeps a batch far below the 2 GiB that offsets reach.
fn push_bytes(offsets: &mut Vec<i32>, bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(value);
    offsets.push(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
}

impl ColumnBuilder {
    pub(super) fn new(column: Column) -> Self {
        let elements = Elements::new(column.column_type.scalar);
        Self { column, validity: None, offsets: vec![0], elements, rows: 0 }
    }

    /// Whether [`Self::push`] takes `value`, so that a row goes in whole or not at all.
    pub(super) fn check(&self, value: &Value) -> Result<()> {
        let Column { name, column_type, nullable } = &self.column;
        let bad = |detail: String| Err(FormatError::malformed("forward.wrong-value", 0, detail));
        if matches!(value, Value::Null) {
            return if *nullable { Ok(()) } else { bad(format!("column {name} takes no null")) };
        }
        column_type.check(value).or_else(|detail| bad(format!("column {name}: {detail}")))
    }

    /// Appends a checked value.
    pub(super) fn push(&mut self, value: &Value) {
        let taken = match (value, self.column.column_type.array) {
            (Value::Null, _) => false,
            (_, true) => self.elements.extend(value),
            (_, false) => self.elements.push(value),
        };
        if !taken && !self.column.column_type.array {
            self.elements.push_default();
        }
        if self.column.column_type.array {
            self.offsets.push(i32::try_from(self.elements.len()).unwrap_or(i32::MAX));
        }
        if !taken && self.validity.is_none() {
            let mut bits = BooleanBufferBuilder::new(self.rows.saturating_add(1));
            bits.append_n(self.rows, true);
            self.validity = Some(bits);
        }
        if let Some(bits) = &mut self.validity {
            bits.append(taken);
        }
        self.rows = self.rows.saturating_add(1);
    }

    /// Bytes that the values take in memory and in an Arrow file.
    pub(super) fn memory_size(&self) -> usize {
        let validity = self.validity.as_ref().map_or(0, |bits| bits.len().div_ceil(8));
        let offsets = if self.column.column_type.array { self.offsets.len().saturating_mul(4) } else { 0 };
        self.elements.memory_size().saturating_add(validity).saturating_add(offsets)
    }

    /// The column as an array; the builder is as new.
    pub(super) fn finish(&mut self) -> BuiltArray {
        let fresh = Self::new(self.column.clone());
        let Self { column, validity, offsets, elements, .. } = std::mem::replace(self, fresh);
        let nulls = validity.map(|mut bits| NullBuffer::new(bits.finish()));
        if !column.column_type.array {
            return elements.finish(nulls);
        }
        let item = Arc::new(list_item(column.column_type.scalar, Encoding::Ipc));
        let values = elements.finish(None)?;
        Ok(Arc::new(ListArray::try_new(item, OffsetBuffer::new(ScalarBuffer::from(offsets)), values, nulls)?))
    }
}
