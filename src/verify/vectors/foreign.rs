//! Whether the rotation in a graph file is the one of its codes.
//!
//! zvec 0.8.0 builds HNSW and Vamana of a column with `enable_rotate` from flat files whose codes it copies, and puts a new rotation beside them. Queries
//! are turned by that one, so that they are compared with codes that were turned by another: what a search returns is arbitrary. Nothing in the file tells,
//! but the full vectors do.

use crate::format::{proxima::encoding::Encoding, value::Value};

use super::{
    Block, ColumnRows, Opened,
    pairs::{Files, Walk, position},
};

/// Rows that are looked at.
const SAMPLE: usize = 64;
/// Cosine of the angle between a vector and its codes turned back: of a quantised one above 0.9, of one that was turned otherwise around 0.
const OWN: f64 = 0.9;
const FOREIGN: f64 = 0.5;

/// What the first rows tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    /// It is the one.
    Own,
    /// It is not: this is the median of the cosines, over so many rows.
    Foreign(f64, usize),
    /// There are too few vectors, or they tell neither.
    Unknown,
}

/// Compares the codes of some rows, turned back by the file's rotation, with the full vectors.
pub(super) fn verdict(
    block: &Block,
    file: &Opened,
    encoding: &Encoding,
    full: Files<'_>,
    rows: &ColumnRows<'_>,
) -> Verdict {
    let mut cosines = Vec::new();
    let mut walk = Walk::new(block, file, rows);
    let end = block.first_row.saturating_add(block.rows);
    for (full_block, full_file) in full.0.iter().zip(full.1) {
        let (Some(full_file), first) = (full_file, full_block.first_row.max(block.first_row)) else { continue };
        let Ok(full_encoding) = &full_file.encoding else { continue };
        let mut full_walk = Walk::new(full_block, full_file, rows);
        for row in first..full_block.first_row.saturating_add(full_block.rows).min(end) {
            if cosines.len() == SAMPLE {
                break;
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
                cosines.extend(cosine(&original.value, &copy.value));
            }
        }
    }
    judge(cosines)
}

fn judge(mut cosines: Vec<f64>) -> Verdict {
    cosines.sort_by(f64::total_cmp);
    match cosines.get(cosines.len() / 2) {
        Some(median) if *median >= OWN => Verdict::Own,
        Some(median) if *median < FOREIGN => Verdict::Foreign(*median, cosines.len()),
        _ => Verdict::Unknown,
    }
}

/// `None` where one of them has no direction.
fn cosine(one: &Value, other: &Value) -> Option<f64> {
    let (Value::F32s(one), Value::F32s(other)) = (one, other) else { return None };
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let cosine = dot(one, other) / (dot(one, one) * dot(other, other)).sqrt();
    cosine.is_finite().then_some(cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_decides() {
        assert_eq!(judge(Vec::new()), Verdict::Unknown);
        assert_eq!(judge(vec![0.99, 0.98, -1.0]), Verdict::Own);
        assert_eq!(judge(vec![0.1, -0.1, 1.0]), Verdict::Foreign(0.1, 3));
        assert_eq!(judge(vec![0.7]), Verdict::Unknown);
    }

    #[test]
    fn a_vector_without_direction_tells_nothing() {
        let vector = |values: &[f32]| Value::F32s(values.to_vec());
        assert_eq!(cosine(&vector(&[1.0, 0.0]), &vector(&[0.0, 2.0])), Some(0.0));
        assert_eq!(cosine(&vector(&[0.0, 0.0]), &vector(&[0.0, 2.0])), None);
        assert_eq!(cosine(&vector(&[f32::NAN, 0.0]), &vector(&[0.0, 2.0])), None);
    }
}
