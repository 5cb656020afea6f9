//! Columns of documents that are in a log alone.

use crate::{
    format::{
        document::{self, Op},
        forward::{ColumnType, ScalarType},
        value::Value,
        wal,
    },
    inspect::{View, names::wal_path},
};

use super::found::Found;

/// The scalar columns of a directory's log, by the values in its records. Columns that are null in every record do not show. BINARY is taken for STRING
/// if all values are text.
pub fn columns(view: &View, found: &Found) -> Vec<(String, ColumnType)> {
    let mut columns: Vec<(String, ColumnType)> = Vec::new();
    let Some(block) = found.log() else { return columns };
    let Ok(source) = view.source(&wal_path(found.id, block)) else { return columns };
    let _ = wal::scan(&source, |record| {
        let Ok(doc) = document::decode(&record.payload, record.payload_offset()) else { return };
        if matches!(doc.op, Op::Delete | Op::Unknown(_)) {
            return;
        }
        for (name, value) in &doc.fields {
            let vector = found.vectors.iter().any(|file| file.column == *name);
            let Some(told) = column_type(value).filter(|_| !vector) else { continue };
            match columns.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) if told.scalar == ScalarType::Binary => *known = told,
                Some(_) => {}
                None => columns.push((name.clone(), told)),
            }
        }
    });
    columns.sort_by(|a, b| a.0.cmp(&b.0));
    columns
}

fn column_type(value: &Value) -> Option<ColumnType> {
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(_) => ScalarType::String,
        Err(_) => ScalarType::Binary,
    };
    let (scalar, array) = match value {
        Value::Bool(_) => (ScalarType::Bool, false),
        Value::I32(_) => (ScalarType::I32, false),
        Value::U32(_) => (ScalarType::U32, false),
        Value::I64(_) => (ScalarType::I64, false),
        Value::U64(_) => (ScalarType::U64, false),
        Value::F32(_) => (ScalarType::F32, false),
        Value::F64(_) => (ScalarType::F64, false),
        Value::Bytes(bytes) => (text(bytes), false),
        Value::Bools(_) => (ScalarType::Bool, true),
        Value::I32s(_) => (ScalarType::I32, true),
        Value::U32s(_) => (ScalarType::U32, true),
        Value::I64s(_) => (ScalarType::I64, true),
        Value::U64s(_) => (ScalarType::U64, true),
        Value::F32s(_) => (ScalarType::F32, true),
        Value::F64s(_) => (ScalarType::F64, true),
        Value::ByteStrings(list) => {
            let binary = list.iter().any(|bytes| text(bytes) == ScalarType::Binary);
            (if binary { ScalarType::Binary } else { ScalarType::String }, true)
        }
        Value::Null | Value::I8s(_) | Value::I16s(_) | Value::F16s(_) | Value::SparseF32(_) | Value::SparseF16(_) => {
            return None;
        }
    };
    Some(ColumnType { scalar, array })
}
