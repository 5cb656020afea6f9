//! Counts of vector blocks that zvec itself gets wrong.
//!
//! Where zvec builds the one vector block of a segment out of several (`optimize`, `create_index`), it adds up the rows of *all* its forward
//! blocks: those of columns that were added count once more each (0.8.0: 50 rows and two added columns make a quantised block of 150). It never
//! reads more rows than the segment has, so that every answer is right.

use std::collections::HashMap;

use super::{
    is_row_block,
    proto::{BlockMeta, BlockType, Manifest, SegmentMeta},
    row_count,
};

/// A block whose count was put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recounted {
    /// Its segment.
    pub segment: u32,
    /// Its id.
    pub block: u32,
    /// Its column.
    pub column: String,
    /// What the manifest says, in rows.
    pub stored: u32,
    /// What it holds: the rows of the segment.
    pub rows: u32,
}

/// Puts right the counts that zvec took for several times the rows of the segment, and returns them.
///
/// A multiple alone could also be a damaged count of a row block: something must speak for the row blocks. That is the block's own range of ids,
/// if it has no room for so many rows, or another column that has as many rows as they.
pub fn recount(manifest: &mut Manifest) -> Vec<Recounted> {
    let mut found = Vec::new();
    for segment in manifest.persisted_segment_metas.iter_mut().chain(&mut manifest.writing_segment_meta) {
        let Ok(rows) = u32::try_from(row_count(segment)) else { continue };
        if rows == 0 {
            continue;
        }
        let agreed = another_agrees(segment, rows);
        let id = segment.segment_id;
        for block in segment.persisted_blocks.iter_mut().filter(|block| is_vector(block)) {
            let multiple = block.doc_count > rows && block.doc_count.is_multiple_of(rows);
            if multiple && (agreed || room(block) < u64::from(block.doc_count)) {
                let column = block.columns.first().cloned().unwrap_or_default();
                found.push(Recounted { segment: id, block: block.block_id, column, stored: block.doc_count, rows });
                block.doc_count = rows;
            }
        }
    }
    found
}

fn is_vector(block: &BlockMeta) -> bool {
    [BlockType::VectorIndex as i32, BlockType::VectorIndexQuantize as i32].contains(&block.block_type)
}

/// How many ids there are between the lowest and the highest; without bound if these are the wrong way round.
fn room(block: &BlockMeta) -> u64 {
    block.max_doc_id.checked_sub(block.min_doc_id).map_or(u64::MAX, |more| more.saturating_add(1))
}

/// Whether the blocks of a column, other than the row blocks, have `rows` rows.
fn another_agrees(segment: &SegmentMeta, rows: u32) -> bool {
    let mut counts: HashMap<(i32, &str), u64> = HashMap::new();
    let is_scalar = |block: &BlockMeta| block.block_type == BlockType::Scalar as i32;
    for block in segment.persisted_blocks.iter().filter(|block| is_vector(block) || is_scalar(block)) {
        for column in block.columns.iter().filter(|_| !is_row_block(block)) {
            *counts.entry((block.block_type, column)).or_default() += u64::from(block.doc_count);
        }
    }
    counts.values().any(|count| *count == u64::from(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::manifest::DOC_ID_COLUMN;

    fn block(id: u32, kind: BlockType, rows: u32, column: &str) -> BlockMeta {
        let max_doc_id = u64::from(rows.max(50)) - 1;
        BlockMeta {
            block_id: id,
            block_type: kind as i32,
            doc_count: rows,
            max_doc_id,
            columns: vec![column.to_owned()],
            ..Default::default()
        }
    }

    /// A segment of 50 rows with the blocks in question.
    fn recounted(rows: u32, blocks: Vec<BlockMeta>) -> Vec<(u32, u32)> {
        let mut persisted_blocks = vec![block(0, BlockType::Scalar, rows, DOC_ID_COLUMN)];
        persisted_blocks.extend(blocks);
        let segment = SegmentMeta { persisted_blocks, ..Default::default() };
        let mut manifest = Manifest { persisted_segment_metas: vec![segment], ..Default::default() };
        let found = recount(&mut manifest);
        assert!(recount(&mut manifest).is_empty());
        found.iter().map(|found| (found.block, found.stored)).collect()
    }

    #[test]
    fn counts_of_added_columns_are_taken_out() {
        let quantised = BlockMeta { max_doc_id: 49, ..block(5, BlockType::VectorIndexQuantize, 150, "v") };
        let full = BlockMeta { max_doc_id: 49, ..block(4, BlockType::VectorIndex, 100, "v") };
        assert_eq!(recounted(50, vec![full, quantised.clone()]), [(4, 100), (5, 150)]);
        // With gaps between the ids the range tells nothing; the added column does, or the full vectors.
        let wide = BlockMeta { max_doc_id: 900, ..quantised };
        assert_eq!(recounted(50, vec![wide.clone()]), []);
        assert_eq!(recounted(50, vec![wide.clone(), block(1, BlockType::Scalar, 50, "added")]), [(5, 150)]);
        assert_eq!(recounted(50, vec![wide, block(1, BlockType::VectorIndex, 50, "v")]), [(5, 150)]);
    }

    #[test]
    fn a_row_block_that_is_counted_wrong_is_no_reason() {
        let vectors = |rows| [block(1, BlockType::VectorIndex, rows, "v"), block(2, BlockType::VectorIndex, rows, "w")];
        assert_eq!(recounted(25, vectors(50).to_vec()), []);
        assert_eq!(recounted(0, vectors(50).to_vec()), []);
        assert_eq!(recounted(50, vectors(75).to_vec()), []);
    }
}
