//! The scalar inverted index of a segment, from its rows.

use crate::{
    engine::{
        EngineError,
        parts::{ScalarIndex, scalar_columns, scalar_index_needed},
    },
    format::manifest::proto::BlockType,
    report::repair::{Action, DoneAction},
};

use super::{
    super::bench::{Bench, MOST_UNWRITTEN, block},
    done,
};

/// Builds the index of a segment anew, all columns of it, in a directory of its own. It is not sealed: zvec answers the same.
pub fn rebuild(bench: &mut Bench, action: &Action) -> Result<DoneAction, EngineError> {
    let Some(segment) = action.segment else { return Ok(done(action, "belongs to no segment")) };
    let schema = bench.schema()?;
    let is_index =
        |block: &crate::format::manifest::proto::BlockMeta| block.block_type == BlockType::ScalarIndex as i32;
    if !scalar_index_needed(&schema) {
        bench.replace_blocks(segment, is_index, Vec::new());
        return Ok(done(action, "no column has an index: left out"));
    }
    let new = block(BlockType::ScalarIndex, bench.block_id(segment)?, scalar_columns(&schema));
    let path = bench.root().join(bench.block_path(segment, &new));
    let mut index = ScalarIndex::create(bench.files(), path, &schema)?;
    let rows = bench.each_row(segment, &schema, &mut |row, _, values| {
        index.add(row, &values)?;
        if index.memory_size() >= MOST_UNWRITTEN { index.flush() } else { Ok(()) }
    })?;
    index.flush()?;
    let name = bench.block_path(segment, &new);
    bench.replace_blocks(segment, is_index, vec![new]);
    let mut report = done(action, format!("built anew from {rows} rows as {}", name.display()));
    report.documents = Some(rows);
    Ok(report)
}
