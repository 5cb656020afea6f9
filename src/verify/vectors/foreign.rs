//! Whether codes are of the vectors beside which they stand, and were turned by the rotation that stands beside them.
//!
//! A row that differs is damaged; where all differ, one of the files is not in its place, and nothing in it is wrong.
//!
//! zvec 0.8.0 copies the codes of flat files where it builds HNSW and Vamana of a column with `enable_rotate`, and where it compacts a FLAT one, and puts
//! a new rotation beside them. Queries are turned by that one, so that they are compared with codes that were turned by another: what a search returns is
//! arbitrary. Nothing in the file tells, but the full vectors do. Until they have, codes turned back are no evidence of anything.

use crate::format::{proxima::encoding::Encoding, value::Value};

use super::{
    Block, ColumnRows, Context, Opened,
    pairs::{Files, Walk, position},
};

/// Cosine of the angle between a vector and its codes turned back: of a quantised one above 0.9, of one that was turned otherwise around 0.
const OWN: f64 = 0.9;
const FOREIGN: f64 = 0.5;
/// Rows that are enough to tell an other file from damaged rows.
const ENOUGH: u64 = 4;

/// How many rows have codes that are not those of their vectors.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mismatch {
    rows: u64,
    of: u64,
}

impl Mismatch {
    /// Counts a row.
    pub fn add(&mut self, differs: bool) {
        self.rows += u64::from(differs);
        self.of += 1;
    }

    /// The rows, and all that were compared, if they are nearly all: then the files are of different vectors.
    pub fn of_other_vectors(self) -> Option<(u64, u64)> {
        (self.of >= ENOUGH && self.rows * 10 >= self.of * 9).then_some((self.rows, self.of))
    }
}

/// What the rows of a file tell of its rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one.
    Own,
    /// It is not, for so many rows of so many.
    Foreign(u64, u64),
    /// There are no vectors to compare with, or they tell neither.
    Unknown,
}

/// Counts rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    own: u64,
    foreign: u64,
    neither: u64,
}

impl Tally {
    /// Holds a full vector against its codes, turned back by the rotation in the file. A vector without direction tells nothing.
    pub fn add(&mut self, full: &Value, turned_back: &Value) {
        match cosine(full, turned_back) {
            None => {}
            Some(cosine) if cosine >= OWN => self.own += 1,
            Some(cosine) if cosine < FOREIGN => self.foreign += 1,
            Some(_) => self.neither += 1,
        }
    }

    /// What they tell together of the rotation.
    pub fn verdict(self) -> Verdict {
        let all = self.own + self.foreign + self.neither;
        if self.foreign > 0 && self.foreign * 2 >= all {
            Verdict::Foreign(self.foreign, all)
        } else if self.own > self.neither {
            Verdict::Own
        } else {
            Verdict::Unknown
        }
    }
}

fn cosine(one: &Value, other: &Value) -> Option<f64> {
    let (Value::F32s(one), Value::F32s(other)) = (one, other) else { return None };
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let cosine = dot(one, other) / (dot(one, one) * dot(other, other)).sqrt();
    cosine.is_finite().then_some(cosine)
}

/// Compares the codes of a block's file, turned back as `encoding` says, with the full vectors.
pub(super) fn verdict(
    ctx: &Context<'_>,
    (block, file): (&Block, &Opened),
    encoding: &Encoding,
    full: Files<'_>,
    rows: &ColumnRows<'_>,
) -> Verdict {
    let mut tally = Tally::default();
    let mut walk = Walk::new(block, file, rows);
    let end = block.first_row.saturating_add(block.rows);
    for (full_block, full_file) in full.0.iter().zip(full.1) {
        let (Some(full_file), first) = (full_file, full_block.first_row.max(block.first_row)) else { continue };
        let Ok(full_encoding) = &full_file.encoding else { continue };
        let mut full_walk = Walk::new(full_block, full_file, rows);
        for row in first..full_block.first_row.saturating_add(full_block.rows).min(end) {
            if ctx.stopped() {
                return Verdict::Unknown;
            }
            let (Some(key), Some(full_key)) = (walk.key(row, rows), full_walk.key(row, rows)) else { continue };
            let (Some(at), Some(full_at)) = (position(file, key), position(full_file, full_key)) else { continue };
            let Ok(original) = full_file.record(full_at, &mut full_walk.reader) else { continue };
            let Ok(copy) = file.record(at, &mut walk.reader) else { continue };
            if original.is_null() || copy.is_null() {
                continue;
            }
            let values = (full_encoding.decode(original.bytes, 0), encoding.decode(copy.bytes, 0));
            if let (Ok(original), Ok(copy)) = values {
                tally.add(&original.value, &copy.value);
            }
        }
    }
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(values: &[f32]) -> Value {
        Value::F32s(values.to_vec())
    }

    fn of(own: u64, foreign: u64, neither: u64) -> Verdict {
        Tally { own, foreign, neither }.verdict()
    }

    #[test]
    fn single_rows_do_not_decide() {
        assert_eq!(of(0, 0, 0), Verdict::Unknown);
        assert_eq!(of(100, 40, 0), Verdict::Own);
        assert_eq!(of(50, 50, 0), Verdict::Foreign(50, 100));
        assert_eq!(of(0, 1, 0), Verdict::Foreign(1, 1));
        assert_eq!(of(1, 0, 3), Verdict::Unknown);
    }

    #[test]
    fn nearly_all_rows_make_another_file() {
        let told = |rows, of| Mismatch { rows, of }.of_other_vectors();
        assert_eq!(told(90, 100), Some((90, 100)));
        assert_eq!(told(89, 100), None);
        assert_eq!((told(3, 3), told(4, 4)), (None, Some((4, 4))));
    }

    #[test]
    fn a_vector_without_direction_tells_nothing() {
        let mut tally = Tally::default();
        tally.add(&vector(&[0.0, 0.0]), &vector(&[0.0, 2.0]));
        tally.add(&vector(&[f32::NAN, 0.0]), &vector(&[0.0, 2.0]));
        assert_eq!(tally.verdict(), Verdict::Unknown);
        tally.add(&vector(&[1.0, 0.0]), &vector(&[0.0, 2.0]));
        assert_eq!(tally.verdict(), Verdict::Foreign(1, 1));
    }
}
