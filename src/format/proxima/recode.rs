//! Two encodings of one vector held against each other: is this quantised element the one that this full element makes?
//!
//! Codes are of the stored vector: of the unit vector under COSINE, whose bytes the full file has. So they can be made again to the last
//! bit, as long as the release that wrote them computed as 0.8.0 does; if not, they still lie within half a step of the vector.

use super::encoding::{Codec, Encoding};
use super::fault::at;
use super::meta::DataType;
use super::write::encode::{Encoder, Form};
use crate::format::Result;

/// Rounding of f32 arithmetic on a component, relative to the largest one.
const ARITHMETIC: f64 = 8.0 / (1u64 << 24) as f64;
/// Half a unit in the last place of a half-precision number, relative, and of a subnormal one.
const HALF: f64 = 1.0 / 2048.0;
const MAX_HALF: f64 = 65504.0;
/// Steps between 0 and the components from which on rounding moves a code by one or more.
const WRAPPING: f64 = (1u64 << 12) as f64;
const HALF_SUBNORMAL: f64 = 1.0 / (1u64 << 25) as f64;

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// Whether the bytes are exactly those that 0.8.0 makes; `None` where this build cannot make them.
    pub exact: Option<bool>,
    /// Whether codes and norm are, words behind the codes aside.
    pub codes_exact: Option<bool>,
    /// Of elements whose codes are exact: relative difference of scale and offset.
    pub scale: f64,
    /// Likewise: which of the sums behind them differ.
    pub sums: [bool; 3],
    /// Largest deviation of a component, in half steps of the quantiser: at most 1, but for rounding, when quantised once. A number
    /// that is no number counts as infinite.
    pub deviation: f64,
    /// Component with that deviation; 0 where vectors are compared as a whole (rotation).
    pub component: usize,
    /// Difference of the norms relative to that of the full vector (COSINE).
    pub norm: f64,
}

/// From what an element was made: of the unit vector as it came, of that multiplied by its norm again (a file built from another one), of an
/// element quantised before (IVF and Vamana of 0.8.0).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Again {
    No,
    Scaled,
    Quantised,
}

/// Compares elements of a full file with those of a quantised one.
#[derive(Debug)]
pub struct Recoder<'e> {
    full: &'e Encoding,
    target: &'e Encoding,
    /// One that takes vectors as they are, and one that normalises them if the file says so.
    encoders: Option<[Encoder; 2]>,
    made: Vec<u8>,
}

impl<'e> Recoder<'e> {
    /// For two dense encodings of the same dimension, `None` otherwise. `squares`: the metric is L2, so that INT4 elements have Σcode².
    pub fn new(full: &'e Encoding, target: &'e Encoding, squares: bool) -> Option<Self> {
        if full.sparse || target.sparse || full.dimension != target.dimension {
            return None;
        }
        let plain = full.codec == Codec::Plain(DataType::Fp32) && full.rotation.is_none() && !full.rotated;
        let form = match target.codec {
            Codec::Plain(DataType::Fp32) => Some(Form::Fp32),
            Codec::Half => Some(Form::Half),
            Codec::Int8 => Some(Form::Int8),
            Codec::Int4 => Some(Form::Int4 { squares }),
            _ => None,
        };
        let same = full.has_norm == target.has_norm && target.rotation.is_none() && !target.rotated;
        let dimension = u32::try_from(full.dimension).ok()?;
        let encoders = form
            .filter(|_| plain && same)
            .map(|form| [false, target.has_norm].map(|cosine| Encoder::new(form, cosine, dimension)));
        Some(Self { full, target, encoders, made: vec![0; at(target.element_size)] })
    }

    /// Holds the element `target` against the element `full`. Errors say that one of them is too short.
    pub fn compare(&mut self, full: &[u8], target: &[u8]) -> Result<Likeness> {
        let full_parts = self.full.split(full, 0)?;
        let target_parts = self.target.split(target, 0)?;
        let mut values = self.full.stored(&full_parts);
        let (mut exact, mut codes_exact, mut words): (_, _, (f64, [bool; 3])) = (None, None, (0.0, [false; 3]));
        for again in [Again::No, Again::Scaled, Again::Quantised] {
            if exact == Some(true) || !self.make(&values, full_parts.norm, again)? {
                break;
            }
            exact = Some(self.made == target);
            let made = self.target.split(&self.made, 0)?;
            if made.codes == target_parts.codes && bits(made.norm) == bits(target_parts.norm) {
                let found = differences(made.words, target_parts.words);
                if codes_exact != Some(true) || found.0 < words.0 {
                    words = found;
                }
                codes_exact = Some(true);
            } else {
                codes_exact = codes_exact.or(Some(false));
            }
        }
        let norm = match (full_parts.norm, target_parts.norm) {
            (Some(a), Some(b)) if a.to_bits() != b.to_bits() => {
                let (a, b) = (f64::from(a), f64::from(b));
                finite(((a - b) / a).abs())
            }
            _ => 0.0,
        };
        let mut found = self.target.stored(&target_parts);
        // Only one of them is a unit vector.
        if self.full.has_norm != self.target.has_norm {
            for (values, norm) in [(&mut values, full_parts.norm), (&mut found, target_parts.norm)] {
                norm.into_iter().for_each(|norm| values.iter_mut().for_each(|value| *value *= norm));
            }
        }
        let scale = target_parts.words.first_chunk().map_or(0.0, |word| f32::from_le_bytes(*word));
        let (deviation, component) = match (&self.target.rotation, self.target.rotated) {
            (Some(rotation), _) => {
                rotation.invert(&mut found);
                let distance = values.iter().zip(&found).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
                (self.of_whole(distance, &values, scale), 0)
            }
            (None, true) => {
                let distance = (length(&values) - length(&found)).powi(2);
                (self.of_whole(distance, &values, scale), 0)
            }
            (None, false) => self.of_components(&values, &found),
        };
        let (scale, sums) = words;
        Ok(Likeness { exact, codes_exact, scale, sums, deviation, component, norm })
    }

    /// Makes the element in one of the ways that releases do; false if this build or the metric has no such way.
    fn make(&mut self, values: &[f32], norm: Option<f32>, again: Again) -> Result<bool> {
        let Some([unit, whole]) = &self.encoders else { return Ok(false) };
        let mut vector = values.to_vec();
        match (again, norm) {
            (Again::No, norm) => {
                self.made.fill(0);
                unit.finished(&vector, norm, &mut self.made);
                return Ok(true);
            }
            (_, None) => return Ok(false),
            (Again::Scaled, Some(_)) => {}
            (Again::Quantised, Some(norm)) => {
                unit.finished(values, Some(norm), &mut self.made);
                vector = self.target.stored(&self.target.split(&self.made, 0)?);
            }
        }
        vector.iter_mut().for_each(|value| *value *= norm.unwrap_or(1.0));
        self.made.fill(0);
        whole.whole(&mut vector, &mut self.made);
        Ok(true)
    }

    /// Rotations keep lengths: an error of half a step in each component is one of half a step · √dimension altogether.
    fn of_whole(&self, square_distance: f64, values: &[f32], scale: f32) -> f64 {
        let root = (values.len() as f64).sqrt();
        let length = length(values);
        // A step cannot be larger than what the longest possible component needs.
        let step = match self.target.codec {
            Codec::UniformUint8 { scale, .. } | Codec::UniformUint7 { scale, .. } => 1.0 / f64::from(scale),
            Codec::UniformUint4 { range, .. } => f64::from(range) / 15.0,
            Codec::Int4 => f64::from(scale).min(2.0 * length / 15.0),
            _ => f64::from(scale).min(2.0 * length / 254.0),
        };
        let (difference, slack) = (square_distance.sqrt(), 64.0 * ARITHMETIC * length * root);
        // Rotated vectors may leave the range of a uniform quantiser, which depends on more than this one.
        finite((difference - slack).max(0.0) / (0.5 * step * root).max(f64::MIN_POSITIVE))
    }

    fn of_components(&self, values: &[f32], found: &[f32]) -> (f64, usize) {
        let (mut max, mut min, mut largest) = (f64::NEG_INFINITY, f64::INFINITY, 0f64);
        for value in values.iter().copied().map(f64::from) {
            (max, min, largest) = (max.max(value), min.min(value), largest.max(value.abs()));
        }
        let span = (max - min).max(f32::EPSILON.into());
        // What is no number has no code, and codes of components that are nearly the same leave their range.
        let (integer, whole) =
            (matches!(self.target.codec, Codec::Int8 | Codec::Int8Short | Codec::Int4), largest / span);
        if integer && !(whole < WRAPPING && span.is_finite()) {
            return (0.0, 0);
        }
        let (mut worst, mut component) = (0f64, 0);
        for (at, (value, found)) in values.iter().zip(found).enumerate() {
            let (value, found) = (f64::from(*value), f64::from(*found));
            let mut clipped = None;
            let half = match self.target.codec {
                Codec::Half => (value.abs() * HALF).max(HALF_SUBNORMAL),
                Codec::Int8 | Codec::Int8Short => 0.5 * span / 254.0,
                Codec::Int4 => 0.5 * span / 15.0,
                Codec::UniformUint8 { scale, bias } => {
                    clipped = Some((0.0 - f64::from(bias), 255.0 - f64::from(bias), f64::from(scale)));
                    0.5 / f64::from(scale)
                }
                Codec::UniformUint7 { scale, bias } => {
                    clipped = Some((0.0 - f64::from(bias), 127.0 - f64::from(bias), f64::from(scale)));
                    0.5 / f64::from(scale)
                }
                Codec::UniformUint4 { minimum, range } => {
                    clipped = Some((f64::from(minimum), f64::from(minimum) + f64::from(range), 1.0));
                    0.5 * f64::from(range) / 15.0
                }
                _ => 0.0,
            };
            let value = clipped.map_or(value, |(low, high, scale)| {
                let (low, high) = (low / scale, high / scale);
                if low < high { value.clamp(low, high) } else { value }
            });
            // What the full file itself does not say exactly.
            let unsure = match self.full.codec {
                Codec::Half => (value.abs() * HALF).max(HALF_SUBNORMAL),
                Codec::Byte if value <= 0.0 || value >= 255.0 => f64::INFINITY,
                Codec::Byte => 1.0,
                _ => 0.0,
            };
            let overflows = self.target.codec == Codec::Half && value.abs() >= MAX_HALF && found.abs() >= MAX_HALF;
            if value.to_bits() == found.to_bits()
                || unsure.is_infinite()
                || overflows
                || (value.is_nan() && found.is_nan())
            {
                continue;
            }
            let slack = ARITHMETIC * largest + unsure;
            let difference = ((value - found).abs() - slack).max(0.0);
            let deviation = finite(difference / half.max(ARITHMETIC * largest).max(f64::MIN_POSITIVE));
            if deviation > worst {
                (worst, component) = (deviation, at);
            }
        }
        (worst, component)
    }
}

/// How scale and offset, and the sums behind them, differ.
fn differences(made: &[u8], found: &[u8]) -> (f64, [bool; 3]) {
    let word = |words: &[u8], at: usize| words.as_chunks::<4>().0.get(at).copied();
    let float = |words: &[u8], at: usize| word(words, at).map_or(0.0, |word| f64::from(f32::from_le_bytes(word)));
    let (step, offset) = (float(made, 0), float(made, 1));
    let of_step = finite((step - float(found, 0)).abs() / step.abs().max(f64::MIN_POSITIVE));
    let largest = offset.abs().max(128.0 * step.abs()).max(f64::MIN_POSITIVE);
    let of_offset = finite((offset - float(found, 1)).abs() / largest);
    (of_step.max(of_offset), [2, 3, 4].map(|at| word(made, at) != word(found, at)))
}

fn bits(norm: Option<f32>) -> Option<u32> {
    norm.map(f32::to_bits)
}

fn length(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

fn finite(value: f64) -> f64 {
    if value.is_nan() { f64::INFINITY } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::proxima::IndexMeta;
    use serde_json::json;

    fn encoding(data_type: DataType, unit: u32, extra: u32, quantizer: &str, metric: &str) -> Encoding {
        let attachment = json!({"metric": {"name": metric}, "quantizer": {"name": quantizer}});
        let meta = IndexMeta {
            header_size: 4128,
            sparse: false,
            major_order: 1,
            data_type,
            dimension: 4,
            unit_size: unit,
            extra,
            attachment: attachment.as_object().unwrap().clone(),
            size: 0,
        };
        Encoding::new(&meta, None, 0).unwrap()
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn an_element_is_the_one_that_its_vector_makes_and_each_flipped_code_is_not() {
        let full = encoding(DataType::Fp32, 4, 0, "Fp32Quantizer", "SquaredEuclidean");
        let int8 = encoding(DataType::Int8, 1, 20, "Int8Quantizer", "SquaredEuclidean");
        let mut recoder = Recoder::new(&full, &int8, true).unwrap();
        let vector = bytes(&[0.5, -1.0, 0.25, 1.0]);
        assert!(recoder.make(&[0.5, -1.0, 0.25, 1.0], None, Again::No).unwrap());
        let element = recoder.made.clone();
        let found = recoder.compare(&vector, &element).unwrap();
        assert_eq!((found.exact, found.codes_exact), (Some(true), Some(true)));
        assert!(found.deviation <= 1.0, "{found:?}");
        for code in 0..4 {
            let mut flipped = element.clone();
            flipped[code] ^= 2;
            let found = recoder.compare(&vector, &flipped).unwrap();
            assert!(found.exact == Some(false) && found.deviation > 1.02, "{found:?}");
        }
        let mut sum = element;
        sum[4 + 8] ^= 1;
        let found = recoder.compare(&vector, &sum).unwrap();
        assert_eq!((found.codes_exact, found.sums, found.scale), (Some(true), [true, false, false], 0.0));
    }

    #[test]
    fn a_copy_made_of_the_unit_vector_times_its_norm_is_exact() {
        let full = encoding(DataType::Fp32, 4, 4, "Fp32Quantizer", "Cosine");
        let half = encoding(DataType::Fp16, 2, 4, "Fp16Quantizer", "Cosine");
        let mut recoder = Recoder::new(&full, &half, false).unwrap();
        let unit = [0.182_574_19f32, 0.365_148_37, 0.547_722_6, 0.730_296_73];
        let norm = 5.477_226f32;
        for again in [Again::No, Again::Scaled, Again::Quantised] {
            assert!(recoder.make(&unit, Some(norm), again).unwrap());
            let made = recoder.made.clone();
            let found = recoder.compare(&[bytes(&unit), bytes(&[norm])].concat(), &made).unwrap();
            assert_eq!(found.exact, Some(true), "{again:?}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_not() {
        let full = encoding(DataType::Fp32, 4, 0, "Fp32Quantizer", "SquaredEuclidean");
        let mut other = full.clone();
        other.dimension = 5;
        assert!(Recoder::new(&full, &other, true).is_none());
        let mut recoder = Recoder::new(&full, &full, true).unwrap();
        assert!(recoder.compare(&[0; 3], &[0; 16]).is_err());
    }
}
