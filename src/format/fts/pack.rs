//! Writes packed postings; [`packed`](super::packed) has the byte map.

use super::Bm25;
use super::packed::{FULL, HEADER, MAGIC, TABLE_ENTRY, VERSION, aligned};

/// A row of a posting that is to be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedRow {
    /// The row.
    pub row: u32,
    /// Occurrences of the term in it.
    pub count: u32,
    /// Tokens of it; 0, of a row whose length is not known, counts as 1.
    pub length: u32,
}

/// The packed posting of one term; rows ascend.
pub fn pack(rows: &[PackedRow], scorer: &Bm25) -> Vec<u8> {
    // As many as rows of a segment, which have 32 bits.
    let total = rows.len() as u32;
    let blocks: Vec<&[PackedRow]> = rows.chunks(FULL).collect();
    let mut table = Vec::new();
    let mut body = Vec::new();
    let begin = aligned(HEADER as usize + blocks.len() * TABLE_ENTRY as usize);
    let mut previous = 0;
    for block in &blocks {
        let distances: Vec<u32> =
            block.iter().map(|entry| entry.row.wrapping_sub(std::mem::replace(&mut previous, entry.row))).collect();
        let counts: Vec<u32> = block.iter().map(|entry| entry.count).collect();
        let lengths: Vec<u32> = block.iter().map(|entry| entry.length.max(1)).collect();
        let scores = counts.iter().zip(&lengths).map(|(count, length)| scorer.score(total, *count, *length));
        let score = scores.fold(0f32, f32::max).to_le_bytes();
        let lists = [distances, counts, lengths];
        let widths = lists.each_ref().map(|list| width(list));
        table.extend(previous.to_le_bytes());
        table.extend(((begin + body.len()) as u32).to_le_bytes());
        table.extend(score);
        body.extend(block.first().map_or(0, |entry| entry.row).to_le_bytes());
        body.extend(widths);
        // At most 128.
        body.push(block.len() as u8);
        body.extend(score);
        body.extend([0; 4]);
        for (list, width) in lists.iter().zip(widths) {
            put(&mut body, list, width);
        }
        body.resize(aligned(body.len()), 0);
    }
    let mut out = Vec::with_capacity(begin + body.len());
    for value in [MAGIC, VERSION, total, blocks.len() as u32] {
        out.extend(value.to_le_bytes());
    }
    out.extend(table);
    out.resize(begin, 0);
    out.extend(body);
    out
}

/// Bits of the largest value.
fn width(values: &[u32]) -> u8 {
    let largest = values.iter().copied().max().unwrap_or(0);
    (u32::BITS - largest.leading_zeros()) as u8
}

fn put(out: &mut Vec<u8>, values: &[u32], width: u8) {
    if values.len() < FULL {
        out.extend(stream(values.iter().copied(), width));
        return;
    }
    let lane = |lane| stream(values.iter().copied().skip(lane).step_by(4), width);
    let lanes = [lane(0), lane(1), lane(2), lane(3)];
    for word in 0..usize::from(width) {
        for lane in &lanes {
            out.extend(lane.chunks_exact(4).nth(word).unwrap_or_default());
        }
    }
}

/// Values as one little-endian bit stream, filled up to a byte.
fn stream(values: impl Iterator<Item = u32>, width: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut pending, mut held) = (0u64, 0u8);
    for value in values {
        pending |= u64::from(value) << held;
        held += width;
        while held >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        out.push(pending as u8);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::fts::{PackedPosting, Totals};

    #[test]
    fn postings_of_zvec_are_packed_again_but_for_scores() {
        for bytes in
            [&include_bytes!("../testdata/fts/long.posting")[..], include_bytes!("../testdata/fts/short.posting")]
        {
            let posting = PackedPosting::decode(bytes, 0).unwrap();
            let lists = posting.rows.iter().zip(&posting.term_frequencies).zip(&posting.document_lengths);
            let rows: Vec<_> =
                lists.map(|((row, count), length)| PackedRow { row: *row, count: *count, length: *length }).collect();
            let again = PackedPosting::decode(&pack(&rows, &Bm25::new(Totals { docs: 200, tokens: 1000 })), 0).unwrap();
            assert!(again.faults.is_empty());
            assert_eq!((again.rows, again.term_frequencies), (posting.rows, posting.term_frequencies));
            assert_eq!(again.document_lengths, posting.document_lengths);
            let places =
                |blocks: &[crate::format::fts::Block]| blocks.iter().map(|block| block.offset).collect::<Vec<_>>();
            assert_eq!(places(&again.blocks), places(&posting.blocks));
        }
    }

    #[test]
    fn scores_without_meaning_are_zero() {
        let score = |docs, tokens, rows| Bm25::new(Totals { docs, tokens }).score(rows, 1, 1);
        assert_eq!([score(0, 0, 1), score(1, 1, 2), score(3, 3, 9)], [0.0; 3]);
        assert!(score(10, 50, 2) > score(10, 50, 9));
    }

    proptest! {
        #[test]
        fn what_is_packed_can_be_read(
            rows in prop::collection::btree_map(any::<u32>(), (any::<u32>(), any::<u32>()), 0..400),
        ) {
            let rows: Vec<_> = rows.into_iter().map(|(row, (count, length))| PackedRow { row, count, length }).collect();
            let posting = PackedPosting::decode(&pack(&rows, &Bm25::new(Totals { docs: 500, tokens: 9000 })), 0).unwrap();
            prop_assert_eq!(posting.faults, []);
            prop_assert_eq!(posting.rows, rows.iter().map(|entry| entry.row).collect::<Vec<_>>());
            prop_assert_eq!(posting.term_frequencies, rows.iter().map(|entry| entry.count).collect::<Vec<_>>());
            prop_assert_eq!(posting.document_lengths, rows.iter().map(|entry| entry.length.max(1)).collect::<Vec<_>>());
        }
    }
}
