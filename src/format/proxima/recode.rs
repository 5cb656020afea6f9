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
/// The quantiser takes the components of a row for at least so far apart.
const LEAST_SPAN: f64 = f32::EPSILON as f64;
/// Squares of what is smaller lose their bits below the smallest f32, so that a norm depends on the order of operations.
const LEAST_NORM: f64 = 1e-18;

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// Whether the bytes are exactly those that 0.8.0 makes; `None` where this build cannot make them.
    pub exact: Option<bool>,
    /// Whether codes and norm are, words behind the codes aside.
    pub codes_exact: Option<bool>,
    /// Of elements whose codes are exact: by how much scale and offset move a component, relative to the largest one. Each
    /// is a difference of components, so that rounding is relative to those, however near to each other they are.
    pub scale: f64,
    /// Likewise: which of the sums behind them differ, from those of the codes and (but for the last) from those before rounding, which
    /// older releases have.
    pub sums: [bool; 3],
    /// Largest deviation of a component, in half steps of the quantiser: at most 1, but for rounding, when quantised once. A number
    /// that is no number counts as infinite.
    pub deviation: f64,
    /// Component with that deviation; 0 where vectors are compared as a whole (rotation).
    pub component: usize,
    /// Difference of the norms relative to that of the full vector (COSINE).
    pub norm: f64,
    /// The same against the nearest of the norms that an element made again may have.
    pub norm_again: f64,
}

/// From what an element was made: of the unit vector as it came, of that multiplied by its norm again (a file built from another one), of an
/// element quantised before (IVF, Vamana, and HNSW of IP or of an older release's files, in 0.8.0).
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
    /// The vector that it was made of.
    vector: Vec<f32>,
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
        Some(Self { full, target, encoders, made: vec![0; at(target.element_size)], vector: Vec::new() })
    }

    /// Holds the element `target` against the element `full`. Errors say that one of them is too short.
    pub fn compare(&mut self, full: &[u8], target: &[u8]) -> Result<Likeness> {
        let full_parts = self.full.split(full, 0)?;
        let target_parts = self.target.split(target, 0)?;
        let mut values = self.full.stored(&full_parts);
        let (mut exact, mut codes_exact, mut words): (_, _, (f64, [bool; 3])) = (None, None, (0.0, [false; 3]));
        let mut norm_again = norm_difference(full_parts.norm, target_parts.norm);
        let norm = norm_again;
        for again in [Again::No, Again::Scaled, Again::Quantised] {
            if exact == Some(true) {
                break;
            }
            if !self.make(&values, full_parts.norm, again)? {
                continue;
            }
            exact = Some(self.made == target);
            let made = self.target.split(&self.made, 0)?;
            norm_again = norm_again.min(norm_difference(made.norm, target_parts.norm));
            if made.codes == target_parts.codes && bits(made.norm) == bits(target_parts.norm) {
                let range = if self.target.codec == Codec::Int4 { 15.0 } else { 254.0 };
                let mut found = differences(made.words, target_parts.words, range);
                if (found.1[0] || found.1[1]) && are_before_rounding(&self.vector, made.words, target_parts.words) {
                    (found.1[0], found.1[1]) = (false, false);
                }
                if codes_exact != Some(true) || found.0 < words.0 {
                    words = found;
                }
                codes_exact = Some(true);
            } else {
                codes_exact = codes_exact.or(Some(false));
            }
        }
        let mut found = self.target.stored(&target_parts);
        // Only one of them is a unit vector.
        if self.full.has_norm != self.target.has_norm {
            for (values, norm) in [(&mut values, full_parts.norm), (&mut found, target_parts.norm)] {
                norm.into_iter().for_each(|norm| values.iter_mut().for_each(|value| *value *= norm));
            }
        }
        let scale = target_parts.words.first_chunk().map_or(0.0, |word| f32::from_le_bytes(*word));
        let finite_codes = found.iter().all(|value| value.is_finite());
        let tiny = full_parts.norm.is_some() && are_tiny(full_parts.norm, target_parts.norm);
        let (deviation, component) = match (&self.target.rotation, self.target.rotated) {
            // Of such the one may be a unit vector and the other not.
            _ if tiny => (0.0, 0),
            (Some(rotation), _) => {
                rotation.invert(&mut found);
                let distance = values.iter().zip(&found).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
                (self.of_whole(distance, &values, finite_codes, scale), 0)
            }
            (None, true) => {
                let distance = (length(&values) - length(&found)).powi(2);
                (self.of_whole(distance, &values, finite_codes, scale), 0)
            }
            (None, false) => self.of_components(&values, &found),
        };
        let (scale, sums) = words;
        Ok(Likeness { exact, codes_exact, scale, sums, deviation, component, norm, norm_again })
    }

    /// Makes the element in one of the ways that releases do; false if this build or the metric has no such way.
    fn make(&mut self, values: &[f32], norm: Option<f32>, again: Again) -> Result<bool> {
        let Some([unit, whole]) = &self.encoders else { return Ok(false) };
        let vector = &mut self.vector;
        vector.clear();
        vector.extend_from_slice(values);
        match (again, norm) {
            (Again::No, norm) => {
                self.made.fill(0);
                unit.finished(vector, norm, &mut self.made);
                return Ok(true);
            }
            (Again::Scaled, None) => return Ok(false),
            (Again::Scaled, Some(_)) => {}
            (Again::Quantised, norm) => {
                unit.finished(values, norm, &mut self.made);
                *vector = self.target.stored(&self.target.split(&self.made, 0)?);
            }
        }
        vector.iter_mut().for_each(|value| *value *= norm.unwrap_or(1.0));
        self.made.fill(0);
        whole.whole(vector, &mut self.made);
        Ok(true)
    }

    /// Rotations keep lengths: an error of half a step in each component is one of half a step · √dimension altogether.
    fn of_whole(&self, square_distance: f64, values: &[f32], finite_codes: bool, scale: f32) -> f64 {
        let root = (values.len() as f64).sqrt();
        let length = length(values);
        // What is no number makes none of all codes, and so does what becomes infinite on the way.
        match (length.is_finite(), square_distance.is_finite()) {
            (false, _) => return if finite_codes { f64::INFINITY } else { 0.0 },
            (true, false) if length * root >= f32::MAX.into() => return 0.0,
            _ => {}
        }
        // A step cannot be larger than what the longest possible component needs.
        let span = (2.0 * length).max(LEAST_SPAN);
        let step = match self.target.codec {
            Codec::UniformUint8 { scale, .. } | Codec::UniformUint7 { scale, .. } => 1.0 / f64::from(scale),
            Codec::UniformUint4 { range, .. } => f64::from(range) / 15.0,
            Codec::Int4 => f64::from(scale).min(span / 15.0),
            _ => f64::from(scale).min(span / 254.0),
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
        let span = (max - min).max(LEAST_SPAN);
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

/// By how much scale and offset move a component, relative to the largest one, and which of the sums behind them differ.
fn differences(made: &[u8], found: &[u8], range: f64) -> (f64, [bool; 3]) {
    let word = |words: &[u8], at: usize| words.as_chunks::<4>().0.get(at).copied();
    let float = |words: &[u8], at: usize| word(words, at).map_or(0.0, |word| f64::from(f32::from_le_bytes(word)));
    let (step, offset) = (float(made, 0), float(made, 1));
    let same = |at: usize| word(made, at) == word(found, at);
    let largest = offset.abs().max(0.5 * range * step.abs()).max(f64::MIN_POSITIVE);
    let of_step = if same(0) { 0.0 } else { finite((step - float(found, 0)).abs() * range / largest) };
    let of_offset = if same(1) { 0.0 } else { finite((offset - float(found, 1)).abs() / largest) };
    (of_step.max(of_offset), [2, 3, 4].map(|at| !same(at)))
}

/// Whether the sums behind codes are those of the codes before they were rounded.
fn are_before_rounding(vector: &[f32], made: &[u8], found: &[u8]) -> bool {
    let word = |words: &[u8], at: usize| words.as_chunks().0.get(at).map(|word| f64::from(f32::from_le_bytes(*word)));
    let (Some(step), Some(offset)) = (word(made, 0), word(made, 1)) else { return false };
    let (Some(sum), Some(squares)) = (word(found, 2), word(found, 3)) else { return false };
    let codes = || vector.iter().map(|value| (f64::from(*value) - offset) / step);
    let largest = vector.iter().fold(offset.abs(), |largest, value| largest.max(f64::from(value.abs()))) / step;
    // Rounding of each, and of the sums of all in order.
    let each = ARITHMETIC * (largest + 1.0);
    let count = vector.len() as f64;
    let (sizes, squared) = (codes().map(f64::abs).sum::<f64>(), codes().map(|code| code * code).sum::<f64>());
    let near = |a: f64, b: f64, slack: f64| (a - b).abs() <= slack;
    near(sum, codes().sum(), count * each + count * ARITHMETIC * sizes)
        && near(squares, squared, (2.0 * sizes + count * each) * each + count * ARITHMETIC * squared)
}

/// How far norms are apart, relative to the first.
fn norm_difference(one: Option<f32>, other: Option<f32>) -> f64 {
    match (one, other) {
        (Some(a), Some(b)) if a.to_bits() == b.to_bits() => 0.0,
        // Rotation makes NaN of infinity.
        (Some(a), Some(b)) if !a.is_finite() && !b.is_finite() => 0.0,
        (Some(_), Some(_)) if are_tiny(one, other) => 0.0,
        (Some(a), Some(b)) => finite(((f64::from(a) - f64::from(b)) / f64::from(a)).abs()),
        _ => 0.0,
    }
}

fn are_tiny(one: Option<f32>, other: Option<f32>) -> bool {
    [one, other].into_iter().flatten().all(|norm| f64::from(norm.abs()) < LEAST_NORM)
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
        of_dimension(4, data_type, unit, extra, quantizer, metric)
    }

    fn of_dimension(
        dimension: u32,
        data_type: DataType,
        unit: u32,
        extra: u32,
        quantizer: &str,
        metric: &str,
    ) -> Encoding {
        let attachment = json!({"metric": {"name": metric}, "quantizer": {"name": quantizer}});
        let meta = IndexMeta {
            header_size: 4128,
            sparse: false,
            major_order: 1,
            data_type,
            dimension,
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

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Row 22 of a collection of two components, IVF and L2, which 0.8.0 quantised, decoded and quantised again. The components are near each
    /// other, so that what rounding leaves of their difference is 4e-6 of it.
    #[test]
    fn what_was_quantised_and_quantised_again_is_made_again() {
        let full = of_dimension(2, DataType::Fp32, 4, 0, "Fp32Quantizer", "SquaredEuclidean");
        let int8 = of_dimension(2, DataType::Int8, 1, 20, "Int8Quantizer", "SquaredEuclidean");
        let mut recoder = Recoder::new(&full, &int8, true).unwrap();
        let vector = words(&[0x3ee2_cccf, 0x3ed8_42a8]);
        let behind = |scale, offset| [vec![127, 129], words(&[scale, offset, 0, 0x46fc_0400, 0])].concat();
        let found = recoder.compare(&vector, &behind(0x38a9_f66c, 0x3edd_87bb)).unwrap();
        assert_eq!(found.exact, Some(true), "{found:?}");
        // Another release may round another way: one unit in the last place of the components is 3e-6 of the step.
        let found = recoder.compare(&vector, &behind(0x38a9_f680, 0x3edd_87ba)).unwrap();
        assert!(found.exact == Some(false) && found.scale < 6e-7, "{found:?}");
        for (scale, offset) in [(0x38a9_f76c, 0x3edd_87bb), (0x38a9_f66c, 0x3edd_87cb), (0x38ad_f66c, 0x3edd_87bb)] {
            let found = recoder.compare(&vector, &behind(scale, offset)).unwrap();
            assert!(found.codes_exact == Some(true) && found.scale > 6e-7, "{found:?}");
        }
    }

    /// Row 105 of a collection of whole numbers, which 0.7.0 wrote: the sum of the codes before rounding is by chance that of the codes.
    #[test]
    fn sums_before_rounding_are_no_fault_and_a_bit_of_them_is() {
        let full = of_dimension(8, DataType::Fp32, 4, 0, "Fp32Quantizer", "SquaredEuclidean");
        let int4 = of_dimension(8, DataType::Int4, 1, 16, "Int4Quantizer", "SquaredEuclidean");
        let mut recoder = Recoder::new(&full, &int4, true).unwrap();
        let vector = bytes(&[2.0, 3.0, 1.0, 5.0, 5.0, 1.0, 1.0, 2.0]);
        let sums = |sum: u32, squares: u32| {
            [vec![252, 120, 135, 200], words(&[0x3e88_8889, 0x4048_8889, sum, squares])].concat()
        };
        let found = recoder.compare(&vector, &sums(0xc198_0000, 0x43a3_3000)).unwrap();
        assert_eq!((found.codes_exact, found.sums), (Some(true), [false; 3]), "{found:?}");
        for bit in 10..32 {
            for element in [sums(0xc198_0000 ^ (1 << bit), 0x43a3_3000), sums(0xc198_0000, 0x43a3_3000 ^ (1 << bit))] {
                let found = recoder.compare(&vector, &element).unwrap();
                assert!(found.sums.contains(&true), "bit {bit}: {found:?}");
            }
        }
    }

    fn rotated(metric: &str) -> (Encoding, Encoding, Encoder) {
        let (extra, norm) = if metric == "Cosine" { (24, 4) } else { (20, 0) };
        let full = of_dimension(8, DataType::Fp32, 4, norm, "Fp32Quantizer", metric);
        let mut int8 = of_dimension(8, DataType::Int8, 1, extra, "Int8Quantizer", metric);
        let rotation = crate::format::proxima::rotation::Rotation::fresh(8, 7);
        int8.rotation = Some(rotation.clone());
        (full, int8, Encoder::new(Form::Int8, norm > 0, 8).rotated(rotation))
    }

    fn made(encoder: &Encoder, vector: &[f32], size: u64) -> Vec<u8> {
        let mut element = vec![0; usize::try_from(size).unwrap()];
        encoder.whole(&mut vector.to_vec(), &mut element);
        element
    }

    /// Components less than 1.2e-7 apart are quantised as if they were that far apart.
    #[test]
    fn small_rotated_vectors_are_as_far_off_as_the_quantiser_takes_them_and_no_further() {
        let (full, int8, encoder) = rotated("SquaredEuclidean");
        let mut recoder = Recoder::new(&full, &int8, true).unwrap();
        for scale in [1.0f32, 1e-6, 1e-10, 1e-25, 1e-40, 0.0] {
            let vector = [-0.23, -1.23, -2.82, 1.99, 0.33, 0.83, -1.85, 2.9].map(|x| x * scale);
            let mut element = made(&encoder, &vector, int8.element_size);
            let found = recoder.compare(&bytes(&vector), &element).unwrap();
            assert!(found.deviation <= 1.0, "{scale}: {found:?}");
            element[3] ^= 0x40;
            let found = recoder.compare(&bytes(&vector), &element).unwrap();
            assert!(found.deviation > 1.7, "{scale}: {found:?}");
        }
    }

    #[test]
    fn no_numbers_on_both_sides_fit_and_on_one_side_do_not() {
        for metric in ["SquaredEuclidean", "Cosine"] {
            let (full, int8, encoder) = rotated(metric);
            let mut recoder = Recoder::new(&full, &int8, metric != "Cosine").unwrap();
            let plain = Encoder::new(Form::Fp32, full.has_norm, 8);
            let of = |odd: f32| {
                let vector = [1.0, 2.0, 3.0, odd, 4.0, 5.0, 6.0, 7.0];
                (made(&plain, &vector, full.element_size), made(&encoder, &vector, int8.element_size))
            };
            let sound = of(0.5);
            for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38] {
                let (vector, element) = of(odd);
                let found = recoder.compare(&vector, &element).unwrap();
                assert!(found.deviation <= 1.0 && found.norm == 0.0, "{metric} {odd}: {found:?}");
                let found = recoder.compare(&vector, &sound.1).unwrap();
                assert!(found.deviation > 1.7 || found.norm > 1e-6, "{metric} {odd}: {found:?}");
            }
        }
    }

    /// Their norms depend on the order in which squares are added, and whether they are unit vectors on the norms.
    #[test]
    fn rotated_vectors_without_a_sure_norm_are_not_compared_and_those_that_became_zero_are() {
        let (full, int8, encoder) = rotated("Cosine");
        let mut recoder = Recoder::new(&full, &int8, false).unwrap();
        let plain = Encoder::new(Form::Fp32, true, 8);
        for scale in [1e-18f32, 1e-20, 1e-22, 1e-30, 1e-42] {
            let vector = [-0.23, -1.23, -2.82, 1.99, 0.33, 0.83, -1.85, 2.9].map(|x| x * scale);
            let element = made(&encoder, &vector, int8.element_size);
            let found = recoder.compare(&made(&plain, &vector, full.element_size), &element).unwrap();
            assert!(found.deviation <= 1.0 && found.norm <= 1e-6, "{scale}: {found:?}");
        }
        let element = made(&encoder, &[1.0; 8], int8.element_size);
        let found = recoder.compare(&[0; 36], &element).unwrap();
        assert!(found.norm > 1e-6, "{found:?}");
    }
}
