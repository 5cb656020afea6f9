//! The scalar inverted index and the full-text index of a segment, from its rows.

use crate::{
    engine::{
        EngineError, Schema,
        parts::{FtsIndex, ScalarIndex, fts_index_needed, scalar_columns, scalar_index_needed},
        remove_tree,
    },
    format::{
        manifest::proto::{BlockMeta, BlockType},
        value::Value,
    },
    report::repair::{Action, DoneAction},
};

use super::{
    super::bench::{Bench, MOST_UNWRITTEN, block},
    done,
};

/// What takes rows one after the other.
trait Rows {
    fn add(&mut self, row: u32, values: &[Value]) -> Result<(), EngineError>;
    fn memory_size(&self) -> usize;
    fn flush(&mut self) -> Result<(), EngineError>;

    /// Takes every row of a segment; how many there are.
    fn fill(&mut self, bench: &Bench, segment: u32, schema: &Schema) -> Result<u64, EngineError> {
        let rows = bench.each_row(segment, schema, &mut |row, _, values| {
            self.add(row, &values)?;
            if self.memory_size() >= MOST_UNWRITTEN { self.flush() } else { Ok(()) }
        })?;
        self.flush()?;
        Ok(rows)
    }
}

impl Rows for ScalarIndex {
    fn add(&mut self, row: u32, values: &[Value]) -> Result<(), EngineError> {
        self.add(row, values)
    }

    fn memory_size(&self) -> usize {
        self.memory_size()
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        self.flush()
    }
}

impl Rows for FtsIndex {
    fn add(&mut self, row: u32, values: &[Value]) -> Result<(), EngineError> {
        self.add(row, values)
    }

    fn memory_size(&self) -> usize {
        self.memory_size()
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        self.flush()
    }
}

/// Builds the scalar index of a segment anew, all columns of it, in a directory of its own. It is not sealed: zvec answers the same.
pub fn scalar(bench: &mut Bench, action: &Action) -> Result<DoneAction, EngineError> {
    let Some(segment) = action.segment else { return Ok(done(action, "belongs to no segment")) };
    let schema = bench.schema()?;
    if !scalar_index_needed(&schema) {
        return Ok(replace(bench, action, segment, BlockType::ScalarIndex, None));
    }
    let new = block(BlockType::ScalarIndex, bench.block_id(segment)?, scalar_columns(&schema));
    let path = bench.root().join(bench.block_path(segment, &new));
    let rows = ScalarIndex::create(bench.files(), path, &schema)?.fill(bench, segment, &schema)?;
    Ok(replace(bench, action, segment, BlockType::ScalarIndex, Some((new, rows))))
}

/// Builds the full-text index of a segment anew in a directory of its own: an open one for the writing segment, a sealed one for others, which zvec's
/// `optimize` wants.
pub fn full_text(bench: &mut Bench, action: &Action) -> Result<DoneAction, EngineError> {
    let Some(segment) = action.segment else { return Ok(done(action, "belongs to no segment")) };
    let schema = bench.schema()?;
    if !fts_index_needed(&schema) {
        return Ok(replace(bench, action, segment, BlockType::FtsIndex, None));
    }
    let mut new = block(BlockType::FtsIndex, bench.block_id(segment)?, Vec::new());
    let open = bench.root().join(bench.block_path(segment, &new));
    let mut index = FtsIndex::create(bench.files(), open.clone(), &schema)?;
    let rows = index.fill(bench, segment, &schema)?;
    if !bench.is_writing(segment) {
        new = block(BlockType::FtsIndex, bench.block_id(segment)?, Vec::new());
        index.seal(bench.files(), &bench.root().join(bench.block_path(segment, &new)))?;
        drop(index);
        remove_tree(bench.fs().as_ref(), &open)?;
    }
    let mut report = replace(bench, action, segment, BlockType::FtsIndex, Some((new, rows)));
    if action.findings.iter().any(|code| code == "fts.other-text") {
        let what = "the index held other words than the texts: either may be the damaged one; the new index follows the texts, the old one is in \
                    the quarantine";
        report.doubtful.push(what.to_owned());
    }
    Ok(report)
}

/// Puts an index of so many rows in the place of the segment's old one, or none.
fn replace(
    bench: &mut Bench,
    action: &Action,
    segment: u32,
    kind: BlockType,
    new: Option<(BlockMeta, u64)>,
) -> DoneAction {
    let mut report = done(action, "no column has such an index: left out");
    if let Some((new, rows)) = &new {
        report.detail = format!("built anew from {rows} rows as {}", bench.block_path(segment, new).display());
        report.documents = Some(*rows);
    }
    let new = new.into_iter().map(|(block, _)| block).collect();
    bench.replace_blocks(segment, |block| block.block_type == kind as i32, new);
    report
}
