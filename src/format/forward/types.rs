//! Types of scalar columns, as the stores see them.

use std::fmt;

use crate::format::value::Value;

/// Type of a scalar value or of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScalarType {
    /// BOOL.
    Bool,
    /// INT32.
    I32,
    /// UINT32.
    U32,
    /// INT64.
    I64,
    /// UINT64.
    U64,
    /// FLOAT.
    F32,
    /// DOUBLE.
    F64,
    /// STRING.
    String,
    /// BINARY.
    Binary,
}

impl fmt::Display for ScalarType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "BOOL",
            Self::I32 => "INT32",
            Self::U32 => "UINT32",
            Self::I64 => "INT64",
            Self::U64 => "UINT64",
            Self::F32 => "FLOAT",
            Self::F64 => "DOUBLE",
            Self::String => "STRING",
            Self::Binary => "BINARY",
        })
    }
}

/// Type of a column: scalars, or arrays of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ColumnType {
    /// Type of the value, or of the elements.
    pub scalar: ScalarType,
    /// Whether a value is an array.
    pub array: bool,
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.array { "ARRAY_" } else { "" }, self.scalar)
    }
}

impl ColumnType {
    /// The type of a value, STRING for BINARY, which it cannot be told from; none for null and what only vectors are.
    pub fn of(value: &Value) -> Option<Self> {
        let (scalar, array) = match value {
            Value::Bool(_) => (ScalarType::Bool, false),
            Value::I32(_) => (ScalarType::I32, false),
            Value::U32(_) => (ScalarType::U32, false),
            Value::I64(_) => (ScalarType::I64, false),
            Value::U64(_) => (ScalarType::U64, false),
            Value::F32(_) => (ScalarType::F32, false),
            Value::F64(_) => (ScalarType::F64, false),
            Value::Bytes(_) => (ScalarType::String, false),
            Value::Bools(_) => (ScalarType::Bool, true),
            Value::I32s(_) => (ScalarType::I32, true),
            Value::U32s(_) => (ScalarType::U32, true),
            Value::I64s(_) => (ScalarType::I64, true),
            Value::U64s(_) => (ScalarType::U64, true),
            Value::F32s(_) => (ScalarType::F32, true),
            Value::F64s(_) => (ScalarType::F64, true),
            Value::ByteStrings(_) => (ScalarType::String, true),
            Value::Null
            | Value::I8s(_)
            | Value::I16s(_)
            | Value::F16s(_)
            | Value::SparseF32(_)
            | Value::SparseF16(_) => {
                return None;
            }
        };
        Some(ColumnType { scalar, array })
    }

    /// Whether a column of this type can hold `value`; null is no question of the type. STRINGs must be UTF-8.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(self, value: &Value) -> Result<(), String> {
        let Some(found) = Self::of(value) else {
            return match value {
                Value::Null => Ok(()),
                _ => Err(format!("a vector for a column of type {self}")),
            };
        };
        let stored = if self.scalar == ScalarType::Binary { ScalarType::String } else { self.scalar };
        if found != (Self { scalar: stored, array: self.array }) {
            return Err(format!("a value of type {found} for a column of type {self}"));
        }
        let text = |bytes: &Vec<u8>| std::str::from_utf8(bytes).is_ok();
        let is_text = match value {
            Value::Bytes(bytes) => text(bytes),
            Value::ByteStrings(array) => array.iter().all(text),
            _ => true,
        };
        if self.scalar == ScalarType::String && !is_text {
            return Err("a string that is not UTF-8".into());
        }
        Ok(())
    }
}
