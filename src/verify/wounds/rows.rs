//! The document ids of rows, of listed blocks and of files that no manifest names.

use std::path::Path;

use roaring::RoaringTreemap;

use crate::{
    format::{
        forward::{DOC_ID_COLUMN, UID_COLUMN, value_at},
        value::Value,
    },
    inspect::{Findings, View, documents::BlockReader, segments_of},
};

use super::super::context::Context;

/// The ids of all rows that the manifest in force names, deleted ones included.
pub fn listed(context: &Context<'_>) -> RoaringTreemap {
    let mut ids = RoaringTreemap::new();
    for segment in segments_of(context.manifest) {
        for path in segment.row_blocks().filter_map(|block| segment.block_path(block)) {
            in_file(context.view, &path, &mut |id, _| {
                ids.insert(id);
            });
        }
    }
    ids
}

/// Calls `each` with the id and key of every row of a forward block that can be read. Faults are the business of others.
pub fn in_file(view: &View, path: &Path, each: &mut dyn FnMut(u64, Option<Vec<u8>>)) {
    let ignored = Findings::default();
    let Some(reader) = BlockReader::open(view, path, 0, &ignored) else { return };
    let file = reader.file();
    let Some(id_column) = file.column_index(DOC_ID_COLUMN) else { return };
    let columns: Vec<usize> = [Some(id_column), file.column_index(UID_COLUMN)].into_iter().flatten().collect();
    for batch in file.batches(Some(&columns)) {
        let Ok(records) = batch.records else { continue };
        let Ok(ids) = reader.doc_ids(&records, 0) else { continue };
        for (row, id) in ids.values().iter().enumerate() {
            let key = records.columns().get(1).and_then(|keys| value_at(keys.as_ref(), row).ok());
            let key = match key {
                Some(Value::Bytes(key)) => Some(key),
                _ => None,
            };
            each(*id, key);
        }
    }
}
