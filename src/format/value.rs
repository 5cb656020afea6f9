//! A field's value, as the WAL tags it and as the stores hold it.

use half::f16;

/// One value. Strings are bytes here: zvec writes BINARY and STRING alike, only the schema tells them apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// BOOL.
    Bool(bool),
    /// INT32.
    I32(i32),
    /// UINT32.
    U32(u32),
    /// INT64.
    I64(i64),
    /// UINT64.
    U64(u64),
    /// FLOAT.
    F32(f32),
    /// DOUBLE.
    F64(f64),
    /// STRING or BINARY.
    Bytes(Vec<u8>),
    /// ARRAY_BOOL.
    Bools(Vec<bool>),
    /// VECTOR_INT8 (VECTOR_INT4 unpacked).
    I8s(Vec<i8>),
    /// VECTOR_INT16.
    I16s(Vec<i16>),
    /// ARRAY_INT32.
    I32s(Vec<i32>),
    /// ARRAY_INT64.
    I64s(Vec<i64>),
    /// ARRAY_UINT32 or VECTOR_BINARY32.
    U32s(Vec<u32>),
    /// ARRAY_UINT64 or VECTOR_BINARY64.
    U64s(Vec<u64>),
    /// VECTOR_FP16.
    F16s(Vec<f16>),
    /// ARRAY_FLOAT or VECTOR_FP32.
    F32s(Vec<f32>),
    /// ARRAY_DOUBLE or VECTOR_FP64.
    F64s(Vec<f64>),
    /// ARRAY_STRING or ARRAY_BINARY.
    ByteStrings(Vec<Vec<u8>>),
    /// SPARSE_VECTOR_FP32: ascending indices and their values.
    SparseF32(Vec<(u32, f32)>),
    /// SPARSE_VECTOR_FP16: ascending indices and their values.
    SparseF16(Vec<(u32, f16)>),
}
