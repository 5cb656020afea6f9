//! Where the values of each scalar column of a segment stand: in the row blocks themselves, or in blocks of their own that
//! were made when a column was added or altered.

use crate::{
    format::manifest::{
        is_row_block,
        proto::{BlockMeta, BlockType},
    },
    report::{Finding, Loss},
};

use super::{
    super::{Findings, SegmentRef},
    Field,
};

/// The block that holds a column's values for the rows of one row block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place<'a> {
    /// The row block itself.
    RowBlock,
    /// A block of its own, with the same rows.
    Extra(&'a BlockMeta),
    /// None: the manifest names no block for it.
    Nowhere,
}

/// For each row block in manifest order, the place of each field.
pub fn places<'a>(segment: SegmentRef<'a>, fields: &[Field], findings: &Findings) -> Vec<Vec<Place<'a>>> {
    let row_blocks: Vec<&BlockMeta> = segment.row_blocks().collect();
    let mut places = vec![Vec::with_capacity(fields.len()); row_blocks.len()];
    for field in fields {
        let mut extras: Vec<&BlockMeta> = extra_blocks(segment, &field.name).collect();
        for (block, places) in row_blocks.iter().zip(&mut places) {
            if block.columns.contains(&field.name) {
                places.push(Place::RowBlock);
                continue;
            }
            // One extra block was made for each row block, with the same range and count. Where a count disagrees, order decides.
            let same = |extra: &&&BlockMeta| rows_of(extra) == rows_of(block);
            let found = extras.iter().position(|extra| same(&extra)).or(if extras.is_empty() { None } else { Some(0) });
            match found {
                Some(at) => places.push(Place::Extra(extras.remove(at))),
                None => {
                    let detail = format!("no block holds field {} of the rows of block {}", field.name, block.block_id);
                    let finding = Finding::error("segment.column-missing", detail).segment(segment.id());
                    findings.add(finding.loses(Loss::Certain, Some(u64::from(block.doc_count))));
                    places.push(Place::Nowhere);
                }
            }
        }
    }
    places
}

fn extra_blocks<'a>(segment: SegmentRef<'a>, column: &str) -> impl Iterator<Item = &'a BlockMeta> {
    segment.meta.persisted_blocks.iter().filter(move |block| {
        block.block_type == BlockType::Scalar as i32
            && !is_row_block(block)
            && block.columns.iter().any(|name| name == column)
    })
}

fn rows_of(block: &BlockMeta) -> (u64, u64, u32) {
    (block.min_doc_id, block.max_doc_id, block.doc_count)
}
