//! Tests over whole files built here; `elements` holds rows cut out of real ones.

mod build;
mod container;
mod elements;
mod hostile;
mod kinds;

use super::*;
use crate::format::value::Value;

fn open(bytes: Vec<u8>) -> VectorFile<Vec<u8>> {
    VectorFile::open(bytes).unwrap()
}

fn codes(faults: &[FormatError]) -> Vec<&'static str> {
    faults.iter().map(|fault| fault.code).collect()
}

/// The values of row `key`, without a fault.
fn value<S: Source>(file: &VectorFile<S>, key: u64, reader: &mut RowReader) -> Option<Value> {
    let row = file.read_row(key, reader).unwrap()?;
    assert_eq!(row.fault, None);
    match row.value {
        RowValue::Vector(vector) => Some(vector.value),
        RowValue::Codes(codes) => Some(Value::Bytes(codes)),
    }
}

/// Offset of segment `name`.
fn offset(bytes: &[u8], name: &str) -> usize {
    Container::open(bytes).unwrap().segment(name).unwrap().offset as usize
}
