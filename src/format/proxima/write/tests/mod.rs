//! Files against those zvec wrote, and what the reader makes of them.

mod golden;
mod refusals;
mod shapes;

use super::*;
use crate::format::proxima::{RowReader, RowValue, VectorFile};
use crate::format::schema_file::{Metric, Quantize, QuantizerParam, VectorField, VectorIndex, VectorType};
use crate::format::{Sink, SinkError};

fn options() -> FileOptions<'static> {
    FileOptions::new(0x5eed, 1_700_000_000)
}

fn compact() -> FileOptions<'static> {
    FileOptions { room: Room::Compact, ..options() }
}

fn flat(data_type: VectorType, dimension: u32, metric: Metric, quantize: Quantize) -> VectorField {
    let index = VectorIndex::Flat {
        metric,
        quantize,
        quantizer_param: QuantizerParam::default(),
        use_contiguous_memory: false,
    };
    VectorField { name: "v".into(), data_type, dimension, nullable: true, index }
}

fn fp32(dimension: u32, metric: Metric) -> VectorField {
    flat(VectorType::VectorFp32, dimension, metric, Quantize::Undefined)
}

fn index_of(field: &VectorField) -> FilePlan {
    ColumnPlan::new(field).unwrap().index
}

fn written(plan: &FilePlan, options: &FileOptions, rows: &[Option<Value>]) -> Vec<u8> {
    let mut writer = FlatWriter::new(plan, Vec::new(), options).unwrap();
    rows.iter().for_each(|row| writer.push(row.as_ref()).unwrap());
    assert_eq!(writer.rows(), rows.len() as u64);
    let finished = writer.finish(1_700_000_100).unwrap();
    assert_eq!(finished.size, finished.sink.len() as u64);
    finished.sink
}

fn read(bytes: Vec<u8>) -> VectorFile<Vec<u8>> {
    let file = VectorFile::open(bytes).unwrap();
    assert_eq!(file.faults, [], "the reader finds nothing wrong");
    file
}

fn value(file: &VectorFile<Vec<u8>>, key: u64, reader: &mut RowReader) -> Option<Value> {
    let row = file.read_row(key, reader).unwrap()?;
    assert_eq!(row.fault, None);
    match row.value {
        RowValue::Vector(vector) => Some(vector.value),
        RowValue::Codes(_) => None,
    }
}

fn values(file: &VectorFile<Vec<u8>>) -> Vec<Option<Value>> {
    let mut reader = file.reader();
    (0..file.rows()).map(|key| value(file, key, &mut reader)).collect()
}

/// A vector of row `row`, exact in every type.
fn vector(row: usize, dimension: usize) -> Option<Value> {
    Some(Value::F32s((0..dimension).map(|i| (row * 7 + i) as f32 - 40.5).collect()))
}
