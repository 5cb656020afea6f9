//! Whether the rotation in a quantised file is the one of its codes.
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
/// Of so many rows one that is turned otherwise is damage of its own, more are not.
const PART: u64 = 20;

/// What the rows of a file tell.
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

    /// What they tell together.
    pub fn verdict(self) -> Verdict {
        let all = self.own + self.foreign + self.neither;
        if self.foreign > 0 && self.foreign * PART >= all {
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
        assert_eq!(of(100, 4, 0), Verdict::Own);
        assert_eq!(of(95, 5, 0), Verdict::Foreign(5, 100));
        assert_eq!(of(0, 1, 0), Verdict::Foreign(1, 1));
        assert_eq!(of(1, 0, 3), Verdict::Unknown);
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
