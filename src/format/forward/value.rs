//! Values out of Arrow arrays.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrowPrimitiveType};
use arrow_schema::DataType;

use super::types::{ColumnType, ScalarType};
use crate::format::value::Value;
use crate::format::{FormatError, Result};

/// The column type behind an Arrow type; `None` for types that zvec never writes.
pub fn column_type(data_type: &DataType) -> Option<ColumnType> {
    let (scalar, array) = match data_type {
        DataType::List(item) => (item.data_type(), true),
        other => (other, false),
    };
    let scalar = match scalar {
        DataType::Boolean => ScalarType::Bool,
        DataType::Int32 => ScalarType::I32,
        DataType::UInt32 => ScalarType::U32,
        DataType::Int64 => ScalarType::I64,
        DataType::UInt64 => ScalarType::U64,
        DataType::Float32 => ScalarType::F32,
        DataType::Float64 => ScalarType::F64,
        DataType::Utf8 => ScalarType::String,
        DataType::Binary => ScalarType::Binary,
        _ => return None,
    };
    Some(ColumnType { scalar, array })
}

/// The value in `row` of a validated array.
///
/// # Errors
/// `forward.no-such-row` beyond the end, `forward.unknown-type` for a type that zvec never writes, and
/// `forward.null-element` for a null inside a list, which no value of zvec has.
pub fn value_at(array: &dyn Array, row: usize) -> Result<Value> {
    if row >= array.len() {
        let detail = format!("row {row} of {}", array.len());
        return Err(FormatError::malformed("forward.no-such-row", 0, detail));
    }
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    let unknown = || {
        let detail = format!("a value of the Arrow type {}, which zvec never writes", array.data_type());
        FormatError::unsupported("forward.unknown-type", 0, detail)
    };
    match array.data_type() {
        DataType::Boolean => array.as_boolean_opt().map(|values| Value::Bool(values.value(row))),
        DataType::Int32 => number::<Int32Type>(array, row).map(Value::I32),
        DataType::UInt32 => number::<UInt32Type>(array, row).map(Value::U32),
        DataType::Int64 => number::<Int64Type>(array, row).map(Value::I64),
        DataType::UInt64 => number::<UInt64Type>(array, row).map(Value::U64),
        DataType::Float32 => number::<Float32Type>(array, row).map(Value::F32),
        DataType::Float64 => number::<Float64Type>(array, row).map(Value::F64),
        DataType::Utf8 => array.as_string_opt::<i32>().map(|values| Value::Bytes(values.value(row).into())),
        DataType::Binary => array.as_binary_opt::<i32>().map(|values| Value::Bytes(values.value(row).into())),
        DataType::List(_) => {
            let items = array.as_list_opt::<i32>().ok_or_else(unknown)?.value(row);
            if items.logical_null_count() > 0 {
                let detail = format!("the array in row {row} has {} null elements", items.logical_null_count());
                return Err(FormatError::malformed("forward.null-element", 0, detail));
            }
            elements(items.as_ref())
        }
        _ => None,
    }
    .ok_or_else(unknown)
}

fn number<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Option<T::Native> {
    array.as_primitive_opt::<T>().map(|values| values.value(row))
}

fn numbers<T: ArrowPrimitiveType>(array: &dyn Array) -> Option<Vec<T::Native>> {
    array.as_primitive_opt::<T>().map(|values| values.values().to_vec())
}

fn elements(items: &dyn Array) -> Option<Value> {
    match items.data_type() {
        DataType::Boolean => items.as_boolean_opt().map(|values| Value::Bools(values.values().iter().collect())),
        DataType::Int32 => numbers::<Int32Type>(items).map(Value::I32s),
        DataType::UInt32 => numbers::<UInt32Type>(items).map(Value::U32s),
        DataType::Int64 => numbers::<Int64Type>(items).map(Value::I64s),
        DataType::UInt64 => numbers::<UInt64Type>(items).map(Value::U64s),
        DataType::Float32 => numbers::<Float32Type>(items).map(Value::F32s),
        DataType::Float64 => numbers::<Float64Type>(items).map(Value::F64s),
        DataType::Utf8 => items
            .as_string_opt::<i32>()
            .map(|values| Value::ByteStrings(values.iter().flatten().map(|value| value.as_bytes().to_vec()).collect())),
        DataType::Binary => items
            .as_binary_opt::<i32>()
            .map(|values| Value::ByteStrings(values.iter().flatten().map(<[u8]>::to_vec).collect())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{Int32Builder, ListBuilder};
    use arrow_array::{BinaryArray, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray};
    use arrow_array::{Int8Array, ListArray, UInt32Array, UInt64Array};

    use super::*;

    #[test]
    fn scalars() {
        assert_eq!(value_at(&BooleanArray::from(vec![false, true]), 1).unwrap(), Value::Bool(true));
        assert_eq!(value_at(&Int32Array::from(vec![Some(-7), None]), 0).unwrap(), Value::I32(-7));
        assert_eq!(value_at(&Int32Array::from(vec![Some(-7), None]), 1).unwrap(), Value::Null);
        assert_eq!(value_at(&UInt32Array::from(vec![7]), 0).unwrap(), Value::U32(7));
        assert_eq!(value_at(&Int64Array::from(vec![7]), 0).unwrap(), Value::I64(7));
        assert_eq!(value_at(&UInt64Array::from(vec![u64::MAX]), 0).unwrap(), Value::U64(u64::MAX));
        assert_eq!(value_at(&Float32Array::from(vec![0.5]), 0).unwrap(), Value::F32(0.5));
        assert_eq!(value_at(&Float64Array::from(vec![0.5]), 0).unwrap(), Value::F64(0.5));
        assert_eq!(value_at(&StringArray::from(vec!["é"]), 0).unwrap(), Value::Bytes("é".into()));
        assert_eq!(value_at(&BinaryArray::from(vec![&b"\xff"[..]]), 0).unwrap(), Value::Bytes(vec![0xff]));
    }

    #[test]
    fn arrays() {
        let list =
            ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(2)]), None, Some(vec![])]);
        assert_eq!(value_at(&list, 0).unwrap(), Value::I32s(vec![1, 2]));
        assert_eq!(value_at(&list, 1).unwrap(), Value::Null);
        assert_eq!(value_at(&list, 2).unwrap(), Value::I32s(vec![]));
        let mut nulls = ListBuilder::new(Int32Builder::new());
        nulls.append_value([Some(1), None]);
        assert_eq!(value_at(&nulls.finish(), 0).unwrap_err().code, "forward.null-element");
        let strings = ListArray::from_iter_primitive::<UInt64Type, _, _>([Some(vec![Some(9)])]);
        assert_eq!(value_at(&strings, 0).unwrap(), Value::U64s(vec![9]));
        let array = ColumnType { scalar: ScalarType::U64, array: true };
        assert_eq!(column_type(strings.data_type()), Some(array));
    }

    #[test]
    fn strangers_are_errors() {
        assert_eq!(value_at(&Int32Array::from(vec![1]), 1).unwrap_err().code, "forward.no-such-row");
        assert_eq!(value_at(&Int8Array::from(vec![1]), 0).unwrap_err().code, "forward.unknown-type");
        assert_eq!(column_type(&DataType::Int8), None);
    }
}
