//! Types of scalar columns, as the stores see them.

use std::fmt;

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
