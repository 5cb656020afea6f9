//! The score that sealed postings carry bounds of, in zvec's arithmetic: single precision throughout.

use super::Totals;

const K1: f32 = 1.2;
const B: f32 = 0.75;

/// BM25 over the texts of one column of a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bm25 {
    docs: f32,
    average_length: f32,
}

impl Bm25 {
    /// A scorer by the totals of the column.
    pub fn new(totals: Totals) -> Self {
        let docs = totals.docs as f32;
        let average_length = if totals.docs == 0 { 0.0 } else { totals.tokens as f32 / docs };
        Self { docs, average_length }
    }

    /// Score of a term that occurs in `rows` rows, and in this one `count` times among `length` tokens.
    pub fn score(&self, rows: u32, count: u32, length: u32) -> f32 {
        if self.docs == 0.0 {
            return 0.0;
        }
        let rows = rows as f32;
        let rarity = ((self.docs - rows + 0.5) / (rows + 0.5) + 1.0).ln();
        // Not positive, or no number, where totals are too small.
        if rarity.is_nan() || rarity <= 0.0 {
            return 0.0;
        }
        let count = count as f32;
        rarity * (count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length as f32 / self.average_length)))
    }
}
