//! Forward blocks, and tables that are ingested.

use std::{
    path::Path,
    sync::{Arc, Once},
};

use zvecctl::{
    engine::input::{self, InputOptions, Kind},
    format::{
        forward::{Encoding, ForwardFile, MAX_BATCH_ROWS, panic_is_contained, value_at, write::BlockWriter},
        value::Value,
    },
    vfs::{MemoryFs, VfsMut},
};

use super::text::SCHEMA;

/// Panics of the decoders that the library contains are none: a fuzzer would end at their hook.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !panic_is_contained() {
                hook(info);
            }
        }));
    });
}

/// `scalar.<blk>.ipc`.
pub fn ipc(data: &[u8]) {
    read(data, Encoding::Ipc);
}

/// `scalar.<blk>.parquet`.
pub fn parquet(data: &[u8]) {
    read(data, Encoding::Parquet);
}

fn read(data: &[u8], encoding: Encoding) {
    hush();
    let Ok(file) = ForwardFile::open(Arc::new(data.to_vec()), encoding) else { return };
    let _ = (file.rows(), file.faults(), file.column_chunks());
    let first = file.columns().first().map(|_| vec![0]);
    for index in 0..file.batch_infos().len().min(8) {
        let _ = file.read_batch(index, first.as_deref());
    }
    let mut batches = Vec::new();
    for batch in file.batches(None).take(64) {
        let Ok(content) = batch.records else { continue };
        for array in content.columns() {
            for row in 0..content.num_rows().min(MAX_BATCH_ROWS) {
                let _ = value_at(array, row);
            }
        }
        batches.push(content);
    }
    if file.encoding() == encoding {
        written(&file, &batches, encoding);
    }
}

/// What was read is written and read again.
fn written(file: &ForwardFile, batches: &[arrow_array::RecordBatch], encoding: Encoding) {
    let Ok(mut writer) = BlockWriter::new(Vec::new(), file.columns().to_vec(), encoding) else { return };
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    if rows > 4 * MAX_BATCH_ROWS || batches.iter().any(|batch| writer.write(batch).is_err()) {
        return;
    }
    let Ok(bytes) = writer.finish() else { return };
    let again = ForwardFile::open(Arc::new(bytes), encoding).expect("what is written can be opened");
    assert!(again.faults().is_empty(), "{:?}", again.faults());
    assert_eq!(again.columns(), file.columns());
    let found: Vec<_> = again.batches(None).map(|batch| batch.records.expect("what is written can be read")).collect();
    assert_eq!(values(&found), values(batches));
}

/// All values as text, in which NaN equals NaN.
fn values(batches: &[arrow_array::RecordBatch]) -> Vec<String> {
    let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    rows.map(|(batch, row)| {
        let values: Vec<_> = batch.columns().iter().map(|array| value_at(array, row).unwrap_or(Value::Null)).collect();
        format!("{values:?}")
    })
    .collect()
}

/// An Arrow IPC file or stream with documents.
pub fn input_arrow(data: &[u8]) {
    input(data, Kind::Arrow);
}

/// A Parquet file with documents.
pub fn input_parquet(data: &[u8]) {
    input(data, Kind::Parquet);
}

fn input(data: &[u8], kind: Kind) {
    hush();
    let path = Path::new("/input");
    let fs = MemoryFs::new();
    fs.create_new(path).unwrap().write_all_at(0, data).unwrap();
    let options = InputOptions { kind: Some(kind), id_column: None };
    let Ok(mut reader) = input::open(&fs, path, &SCHEMA, &options) else { return };
    // A table may claim more rows than it has bytes, nulls for one.
    for _ in 0..16 {
        let mut items = Vec::new();
        let more = reader.next_batch(1000, &mut items);
        assert!(items.len() <= 1000, "no more than were asked for");
        assert!(reader.bytes_total().is_none_or(|total| reader.bytes_read() <= total));
        if !more.unwrap_or(false) {
            break;
        }
    }
}
