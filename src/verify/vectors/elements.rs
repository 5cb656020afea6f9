//! Level 3: every element decoded, and what it says twice compared.

use std::collections::BTreeMap;

use crate::{
    format::{
        Source,
        proxima::{Codec, DataType, Encoding, Redundancy, VectorFile},
        value::Value,
    },
    report::Finding,
};

use super::{
    rows_of,
    subject::{Harm, Subject, non_zero},
};

/// Half a unit in the last place of f32, relative.
const F32: f64 = 1.0 / (1u64 << 24) as f64;
/// Of f16, and of its subnormal numbers.
const F16: f64 = 1.0 / (1u64 << 11) as f64;
const F16_SUBNORMAL: f64 = 1.0 / (1u64 << 25) as f64;
/// Rows that make a column's order of magnitude known, and how many powers of two above it are far.
const MANY: u64 = 20;
const FAR: i32 = 12;
/// Steps between 0 and the components from which on rounding moves a code by one or more.
const WRAPPING: f64 = (1u64 << 20) as f64;

pub(super) fn check<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>) {
    let Ok(encoding) = &file.encoding else { return };
    if file.has_codes_only() {
        return;
    }
    let mut reader = file.reader();
    let mut sizes = Sizes::default();
    for position in 0..rows_of(file) {
        if subject.ctx.stopped() {
            return;
        }
        let record = match file.record(position, &mut reader) {
            Ok(record) => record,
            // Level 2 has told it of sparse rows; of the others this is the first to read them all.
            Err(_) if encoding.sparse => continue,
            Err(error) => {
                subject.row_format(position, &error, Harm::Vectors);
                continue;
            }
        };
        if record.is_null() {
            continue;
        }
        let (row, offset) = (record.key, record.offset);
        match encoding.decode(record.bytes, offset) {
            Ok(vector) => {
                sizes.add(row, offset, &vector.value);
                let behind = || {
                    let found = encoding.redundancy(record.bytes, offset).ok()?;
                    is_of_no_numbers(&found).then_some("sums of a vector with NaN or infinity")
                };
                if let Some(what) = oddity(&vector.value).or_else(behind) {
                    let finding = Finding::info("vectors.not-finite", format!("row {row} holds {what}")).offset(offset);
                    subject.row(row, finding, "vectors.not-finite", Harm::Search);
                }
            }
            Err(_) if encoding.sparse => {}
            Err(error) => subject.row_format(row, &error, Harm::Vectors),
        }
        if encoding.sparse {
            continue;
        }
        match encoding.redundancy(record.bytes, offset) {
            Ok(found) => redundancy(subject, encoding, row, offset, &found),
            Err(error) => subject.row_format(row, &error, Harm::Vectors),
        }
        unused(subject, encoding, row, offset, record.bytes);
    }
    sizes.judge(subject);
}

/// Rows by the exponent of their largest component.
#[derive(Default)]
struct Sizes(BTreeMap<i32, (u64, u64, u64)>);

impl Sizes {
    fn add(&mut self, row: u64, offset: u64, value: &Value) {
        let largest = match value {
            Value::F32s(values) => values.iter().fold(0f32, |largest, x| largest.max(x.abs())),
            Value::F16s(values) => values.iter().fold(0f32, |largest, x| largest.max(x.to_f32().abs())),
            Value::SparseF32(values) => values.iter().fold(0f32, |largest, (_, x)| largest.max(x.abs())),
            _ => return,
        };
        if largest > 0.0 && largest.is_finite() {
            self.0.entry(largest.log2() as i32).or_insert((0, row, offset)).0 += 1;
        }
    }

    /// Where nearly all vectors are of one order of magnitude, one that is far above is worth a look: a flipped exponent makes such.
    fn judge(&self, subject: &Subject<'_>) {
        let all: u64 = self.0.values().map(|(count, ..)| count).sum();
        let mut below = 0;
        for (exponent, (count, row, offset)) in &self.0 {
            let usual = self.0.range(..exponent).next_back().map_or(*exponent, |(usual, _)| *usual);
            if all >= MANY && below * 100 >= all * 95 && exponent - usual >= FAR {
                let detail = format!(
                    "row {row} has a component near 2^{exponent}, {below} of {all} rows have none above 2^{}; {count} rows are like it",
                    usual + 1
                );
                subject.info("vectors.outlier", Some(*offset), detail);
                return;
            }
            below += count;
        }
    }
}

/// Components that are no numbers.
fn oddity(value: &Value) -> Option<&'static str> {
    let of = |nan: bool, infinite: bool| match (nan, infinite) {
        (true, _) => Some("NaN"),
        (false, true) => Some("an infinite component"),
        (false, false) => None,
    };
    match value {
        Value::F32s(values) => of(values.iter().any(|x| x.is_nan()), values.iter().any(|x| x.is_infinite())),
        Value::F64s(values) => of(values.iter().any(|x| x.is_nan()), values.iter().any(|x| x.is_infinite())),
        Value::F16s(values) => of(values.iter().any(|x| x.is_nan()), values.iter().any(|x| x.is_infinite())),
        Value::SparseF32(values) => {
            of(values.iter().any(|(_, x)| x.is_nan()), values.iter().any(|(_, x)| x.is_infinite()))
        }
        Value::SparseF16(values) => {
            of(values.iter().any(|(_, x)| x.is_nan()), values.iter().any(|(_, x)| x.is_infinite()))
        }
        _ => None,
    }
}

/// How far the length of a stored unit vector may be from 1, whatever the order of the sums that made its norm.
fn length_tolerance(encoding: &Encoding) -> f64 {
    let dimension = encoding.dimension as f64;
    let sums = (dimension / 2.0 + 4.0) * F32;
    match encoding.codec {
        Codec::Plain(DataType::Fp16) | Codec::Half => 2.0 * F16 + dimension.sqrt() * F16_SUBNORMAL + sums,
        _ => sums,
    }
}

/// Whether an element that has a norm is a unit vector with one; `None` if it has none, or says nothing.
pub fn is_unit(encoding: &Encoding, element: &[u8]) -> Option<bool> {
    let found = encoding.redundancy(element, 0).ok()?;
    let norm = found.norm?;
    if is_bad_norm(&found, norm) {
        return Some(false);
    }
    let length = found.length.filter(|_| norm.is_finite() && norm > 1e-18)?;
    Some(!beyond((length - 1.0).abs(), length_tolerance(encoding)))
}

/// No length is negative, and none is no number but that of a vector with a component that is none.
fn is_bad_norm(found: &Redundancy, norm: f32) -> bool {
    if norm.is_nan() {
        !found.length.is_some_and(f64::is_nan) && !is_of_no_numbers(found)
    } else {
        norm.is_sign_negative()
    }
}

/// Whether the words behind codes are those of a vector with NaN, with infinity, or with components further apart than the largest f32. One
/// flipped bit does not make them: they agree in it.
fn is_of_no_numbers(found: &Redundancy) -> bool {
    let (Some(scale), Some(offset), Some(sum)) = (found.scale, found.offset, found.sum) else { return false };
    // INT4 has zero for the squares but under L2.
    let squares = found.square_sum.is_none_or(|squares| squares.is_nan() || squares.to_bits() == 0);
    let infinite = scale == f32::INFINITY && !offset.is_finite();
    let beyond = offset.is_infinite() && scale > 0.0;
    infinite || (sum.is_nan() && (squares || beyond))
}

fn redundancy(subject: &Subject<'_>, encoding: &Encoding, row: u64, offset: u64, found: &Redundancy) {
    if let Some(norm) = found.norm {
        if is_bad_norm(found, norm) {
            let detail = format!("row {row}: a norm of {norm}");
            subject.row_error(row, "vectors.bad-norm", offset, Harm::Vectors, detail);
        } else if let Some(length) = found.length.filter(|_| norm.is_finite() && norm > 1e-18) {
            let tolerance = length_tolerance(encoding);
            if beyond((length - 1.0).abs(), tolerance) {
                let detail =
                    format!("row {row}: a unit vector of length {length:.9}, within {tolerance:.1e} of 1 expected");
                subject.row_error(row, "vectors.bad-length", offset, Harm::Vectors, detail);
            }
        }
    }
    let no_numbers = is_of_no_numbers(found);
    let mut wrong = Vec::new();
    let (sum, squares) = (found.computed_sum as f64, found.computed_square_sum as f64);
    let dimension = encoding.dimension as f64;
    // Where all components are nearly the same, a step is so small that codes leave their range, and their low bits are kept: sums are
    // those of the whole codes.
    let wrapped = match (found.scale, found.offset) {
        (Some(scale), Some(bias)) => f64::from(bias).abs() >= f64::from(scale).abs() * WRAPPING,
        _ => false,
    };
    let wrapped = wrapped || no_numbers;
    if let Some(stored) = found.sum.filter(|_| !wrapped) {
        // Before 0.8.0 sums are those of the codes before rounding.
        if beyond((f64::from(stored) - sum).abs(), 0.5 * dimension + 1.0) {
            wrong.push(format!("sum of codes {stored}, {sum} computed"));
        }
    }
    let integer = found.integer.unwrap_or(0);
    let largest = if matches!(encoding.codec, Codec::Int4) { 8.0 } else { 128.0 };
    let near =
        |stored: f32| wrapped || (f64::from(stored) - squares).abs() <= dimension * (largest + 0.25) + squares * 1e-5;
    match encoding.codec {
        Codec::Int8 => {
            if integer != found.computed_sum {
                wrong.push(format!("integer sum {integer}, {sum} computed"));
            }
            if found.square_sum.is_some_and(|stored| !near(stored)) {
                wrong.push(format!("sum of squares {:?}, {squares} computed", found.square_sum));
            }
        }
        // One word is either.
        Codec::Int8Short | Codec::Int4 => {
            let zero = integer == 0;
            if integer != found.computed_sum && !zero && found.square_sum.is_some_and(|stored| !near(stored)) {
                wrong.push(format!("sum of squares {:?}, {squares} computed", found.square_sum));
            }
        }
        Codec::UniformUint8 { .. } if integer != found.computed_square_sum => {
            wrong.push(format!("sum of squares {integer}, {squares} computed"));
        }
        _ => {}
    }
    if let (Some(scale), Some(bias)) = (found.scale, found.offset)
        && !(no_numbers || scale > 0.0 && scale.is_finite() && bias.is_finite())
    {
        wrong.push(format!("scale {scale} and offset {bias}"));
    }
    if !wrong.is_empty() {
        let detail = format!("row {row}: {}", wrong.join(", "));
        subject.row_error(row, "vectors.bad-sum", offset, Harm::Vectors, detail);
    }
}

/// What is no number is beyond every limit.
fn beyond(value: f64, limit: f64) -> bool {
    value.is_nan() || value > limit
}

/// Bits of an element that mean nothing.
fn unused(subject: &Subject<'_>, encoding: &Encoding, row: u64, offset: u64, bytes: &[u8]) {
    let half = encoding.dimension.div_ceil(2);
    let at = match encoding.codec {
        Codec::Int4 | Codec::UniformUint4 { .. } if !encoding.dimension.is_multiple_of(2) => {
            bytes.get(half - 1).filter(|byte| **byte >> 4 != 0).map(|_| half - 1)
        }
        _ => None,
    };
    let at = at.or_else(|| match encoding.codec {
        Codec::UniformUint4 { .. } => non_zero(bytes.get(half..)?).map(|at| half + at),
        Codec::UniformUint7 { .. } => bytes.iter().position(|code| *code > 127),
        _ => None,
    });
    if let Some(at) = at {
        let detail = format!("row {row}: an unused bit of the element is set");
        subject.row_error(row, "vectors.bad-code", offset + at as u64, Harm::Search, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(length: f64, norm: f32) -> Redundancy {
        Redundancy { norm: Some(norm), length: Some(length), ..Redundancy::default() }
    }

    fn codes(scale: f32, offset: f32, sum: f32, squares: f32) -> Redundancy {
        let words = (Some(scale), Some(offset), Some(sum), Some(squares));
        Redundancy { scale: words.0, offset: words.1, sum: words.2, square_sum: words.3, ..Redundancy::default() }
    }

    #[test]
    fn a_norm_that_is_no_number_is_that_of_such_a_vector_or_wrong() {
        assert!(!is_bad_norm(&floats(f64::NAN, f32::NAN), f32::NAN));
        assert!(!is_bad_norm(&floats(f64::NAN, -f32::NAN), -f32::NAN), "zvec has both");
        assert!(!is_bad_norm(&floats(1.0, 3.0), 3.0));
        assert!(!is_bad_norm(&codes(0.1, 0.0, f32::NAN, f32::NAN), f32::NAN));
        assert!(is_bad_norm(&floats(1.0, f32::NAN), f32::NAN));
        assert!(is_bad_norm(&codes(0.1, 0.0, 5.0, 25.0), f32::NAN));
        assert!(is_bad_norm(&floats(1.0, -3.0), -3.0));
    }

    /// As 0.8.0 wrote them.
    #[test]
    fn words_of_no_numbers_agree_in_being_none() {
        let step = f32::EPSILON / 254.0;
        for (what, found) in [
            ("NaN", codes(0.1, 0.5, f32::NAN, f32::NAN)),
            ("NaN under IP, INT4", codes(0.1, 0.5, f32::NAN, 0.0)),
            ("infinity", codes(f32::INFINITY, f32::INFINITY, f32::NAN, f32::NAN)),
            ("both infinities", codes(f32::INFINITY, f32::NAN, f32::NAN, f32::NAN)),
            ("further apart than f32", codes(f32::INFINITY, f32::INFINITY, -508.0, 64516.0)),
            ("nothing but NaN", codes(step, f32::INFINITY, f32::NAN, f32::NAN)),
        ] {
            assert!(is_of_no_numbers(&found), "{what}");
        }
        for found in [
            codes(0.1, 0.5, 3.0, 9.0),
            codes(0.1, 0.5, f32::NAN, 9.0),
            codes(0.1, 0.5, 3.0, f32::NAN),
            codes(0.1, f32::INFINITY, 3.0, 9.0),
            codes(f32::INFINITY, 0.5, 3.0, 9.0),
            codes(f32::NAN, 0.5, 3.0, 9.0),
            codes(-f32::INFINITY, f32::INFINITY, 3.0, 9.0),
        ] {
            assert!(!is_of_no_numbers(&found), "{found:?}");
        }
    }
}
