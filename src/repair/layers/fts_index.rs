//! The full-text index of a segment, from its rows.

use crate::{
    engine::{
        EngineError,
        parts::{FtsIndex, fts_index_needed},
        remove_tree,
    },
    format::manifest::proto::{BlockMeta, BlockType},
    report::repair::{Action, DoneAction},
};

use super::{
    super::bench::{Bench, MOST_UNWRITTEN, block},
    done,
};

/// Builds the index of a segment anew in a directory of its own: an open one for the writing segment, a sealed one for others, which zvec's `optimize`
/// wants.
pub fn rebuild(bench: &mut Bench, action: &Action) -> Result<DoneAction, EngineError> {
    let Some(segment) = action.segment else { return Ok(done(action, "belongs to no segment")) };
    let schema = bench.schema()?;
    let is_index = |block: &BlockMeta| block.block_type == BlockType::FtsIndex as i32;
    if !fts_index_needed(&schema) {
        bench.replace_blocks(segment, is_index, Vec::new());
        return Ok(done(action, "no column has a full-text index: left out"));
    }
    let mut new = block(BlockType::FtsIndex, bench.block_id(segment)?, Vec::new());
    let mut path = bench.root().join(bench.block_path(segment, &new));
    let mut index = FtsIndex::create(bench.files(), path.clone(), &schema)?;
    let rows = bench.each_row(segment, &schema, &mut |row, _, values| {
        index.add(row, &values)?;
        if index.memory_size() >= MOST_UNWRITTEN { index.flush() } else { Ok(()) }
    })?;
    index.flush()?;
    if !bench.is_writing(segment) {
        let open = path;
        new = block(BlockType::FtsIndex, bench.block_id(segment)?, Vec::new());
        path = bench.root().join(bench.block_path(segment, &new));
        index.seal(bench.files(), &path)?;
        drop(index);
        remove_tree(bench.fs().as_ref(), &open)?;
    }
    let name = bench.block_path(segment, &new);
    bench.replace_blocks(segment, is_index, vec![new]);
    let mut report = done(action, format!("built anew from {rows} rows as {}", name.display()));
    if action.findings.iter().any(|code| code == "fts.other-text") {
        let what = "the index held other words than the texts: either may be the damaged one; the new index follows the texts, the old one is in the quarantine";
        report.doubtful.push(what.to_owned());
    }
    report.documents = Some(rows);
    Ok(report)
}
