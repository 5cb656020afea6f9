//! What the records of a directory's log say: columns of documents that are in a log alone, and whether another log has the same records.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hasher},
};

use crate::format::{
    document::{self, Op},
    forward::{ColumnType, ScalarType},
    value::Value,
    wal,
};

use super::{
    super::{View, names::wal_path},
    found::Found,
};

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

/// Whether every record of a directory's log stands in that of another one, as in a copy of the directory. No log stands in any.
pub fn are_in(view: &View, found: &Found, other: &Found) -> bool {
    if found.log().is_none() {
        return true;
    }
    let (own, others) = (payloads(view, found), payloads(view, other));
    !own.is_empty() && own.is_subset(&others)
}

/// Hash and length of each record.
fn payloads(view: &View, found: &Found) -> HashSet<(u64, usize)> {
    let mut payloads = HashSet::new();
    let Some(block) = found.log() else { return payloads };
    let Ok(source) = view.source(&wal_path(found.id, block)) else { return payloads };
    let _ = wal::scan(&source, |record| {
        let mut hasher = DefaultHasher::new();
        hasher.write(&record.payload);
        payloads.insert((hasher.finish(), record.payload.len()));
    });
    payloads
}

/// The type that a value asks of its column: BINARY where it is no text.
pub fn column_type(value: &Value) -> Option<ColumnType> {
    let found = ColumnType::of(value)?;
    let scalar = if found.check(value).is_ok() { found.scalar } else { ScalarType::Binary };
    Some(ColumnType { scalar, ..found })
}
