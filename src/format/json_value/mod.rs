//! Values as JSON, in and out: what `export` prints and `ingest` reads.
//!
//! ```text
//! BOOL                        true, false
//! integers                    JSON integers, all 64 bits of them
//! FLOAT, DOUBLE               the shortest decimal that reads back to the same bits; "NaN", "Infinity", "-Infinity" as strings
//! VECTOR_FP16                 its components as FLOAT: the shortest f32 decimal of the same value
//! STRING                      string; {"base64": "…"} if the bytes are not UTF-8
//! BINARY                      string of base64 (standard alphabet, padded)
//! ARRAY_*, dense vectors      arrays of these
//! sparse vectors              {"17": 0.5}, in ascending order of the indices
//! no value                    null
//! ```
//!
//! Every value but the payload bits of a NaN comes back from [`parse_value`] as it went into [`write_value`]. Numbers are
//! parsed from their text by the type that takes them: by way of an f64, some decimals of an f32 come back as its neighbour.

mod parse;
mod reader;

use base64::{Engine, engine::general_purpose::STANDARD};
use half::f16;
use serde::Serialize;

use super::{manifest::proto::DataType, value::Value};

pub use parse::{parse_value, read_value};
pub use reader::JsonReader;

/// Appends `value` to `out`. `data_type` decides between text and base64 for bytes; [`DataType::Undefined`] (no schema at
/// hand) prints text.
pub fn write_value(out: &mut Vec<u8>, value: &Value, data_type: DataType) {
    match value {
        Value::Null => out.extend(b"null"),
        Value::Bool(v) => write_bool(out, *v),
        Value::I32(v) => write_plain(out, v),
        Value::U32(v) => write_plain(out, v),
        Value::I64(v) => write_plain(out, v),
        Value::U64(v) => write_plain(out, v),
        Value::F32(v) => write_f32(out, *v),
        Value::F64(v) => write_f64(out, *v),
        Value::Bytes(v) => write_bytes(out, v, data_type),
        Value::Bools(v) => write_array(out, v, |out, v| write_bool(out, *v)),
        Value::I8s(v) => write_array(out, v, write_plain),
        Value::I16s(v) => write_array(out, v, write_plain),
        Value::I32s(v) => write_array(out, v, write_plain),
        Value::I64s(v) => write_array(out, v, write_plain),
        Value::U32s(v) => write_array(out, v, write_plain),
        Value::U64s(v) => write_array(out, v, write_plain),
        Value::F16s(v) => write_array(out, v, |out, v| write_f32(out, v.to_f32())),
        Value::F32s(v) => write_array(out, v, |out, v| write_f32(out, *v)),
        Value::F64s(v) => write_array(out, v, |out, v| write_f64(out, *v)),
        Value::ByteStrings(v) => write_array(out, v, |out, v| write_bytes(out, v, data_type)),
        Value::SparseF32(v) => write_sparse(out, v, write_f32),
        Value::SparseF16(v) => write_sparse(out, v, |out, v: f16| write_f32(out, v.to_f32())),
    }
}

/// Appends a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    write_plain(out, text);
}

/// Appends bytes that should be text: a string, or `{"base64": "…"}` if they are not UTF-8.
pub fn write_text(out: &mut Vec<u8>, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => write_string(out, text),
        Err(_) => {
            out.extend(br#"{"base64":"#);
            write_string(out, &STANDARD.encode(bytes));
            out.push(b'}');
        }
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8], data_type: DataType) {
    match data_type {
        DataType::Binary | DataType::ArrayBinary => write_string(out, &STANDARD.encode(bytes)),
        _ => write_text(out, bytes),
    }
}

fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend(if value { b"true".as_slice() } else { b"false" });
}

fn write_f32(out: &mut Vec<u8>, value: f32) {
    if value.is_finite() { write_plain(out, &value) } else { write_not_finite(out, f64::from(value)) }
}

fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() { write_plain(out, &value) } else { write_not_finite(out, value) }
}

fn write_not_finite(out: &mut Vec<u8>, value: f64) {
    let name = if value.is_nan() {
        r#""NaN""#
    } else if value > 0.0 {
        r#""Infinity""#
    } else {
        r#""-Infinity""#
    };
    out.extend(name.as_bytes());
}

/// Integers, finite floats and strings, as serde_json writes them: floats in their shortest decimal.
fn write_plain<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing a number or a string to a vector cannot fail.
    let _ = serde_json::to_writer(out, value);
}

fn write_array<T>(out: &mut Vec<u8>, values: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write(out, value);
    }
    out.push(b']');
}

fn write_sparse<T: Copy>(out: &mut Vec<u8>, pairs: &[(u32, T)], write: impl Fn(&mut Vec<u8>, T)) {
    let mut sorted = std::borrow::Cow::Borrowed(pairs);
    if !pairs.is_sorted_by_key(|(index, _)| *index) {
        sorted.to_mut().sort_by_key(|(index, _)| *index);
    }
    out.push(b'{');
    for (position, (index, value)) in sorted.iter().enumerate() {
        out.extend(if position > 0 { b",\"".as_slice() } else { b"\"" });
        write_plain(out, index);
        out.extend(b"\":");
        write(out, *value);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests;
