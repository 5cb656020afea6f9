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
const HALF_SUBNORMAL: f64 = 1.0 / (1u64 << 25) as f64;

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// Whether the bytes are exactly those that 0.8.0 makes; `None` where this build cannot make them.
    pub exact: Option<bool>,
    /// Whether codes and norm are, words behind the codes aside.
    pub codes_exact: Option<bool>,
    /// Largest deviation of a component, in half steps of the quantiser: at most 1, but for rounding, when quantised once. A number
    /// that is no number counts as infinite.
    pub deviation: f64,
    /// Component with that deviation; 0 where vectors are compared as a whole (rotation).
    pub component: usize,
    /// Difference of the norms relative to that of the full vector (COSINE).
    pub norm: f64,
}

/// Compares elements of a full file with those of a quantised one.
#[derive(Debug)]
pub struct Recoder<'e> {
    full: &'e Encoding,
    target: &'e Encoding,
    encoder: Option<Encoder>,
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
        let encoder = form.filter(|_| plain && same).map(|form| Encoder::new(form, false, dimension));
        Some(Self { full, target, encoder, made: vec![0; at(target.element_size)] })
    }

    /// Holds the element `target` against the element `full`. Errors say that one of them is too short.
    pub fn compare(&mut self, full: &[u8], target: &[u8]) -> Result<Likeness> {
        let full_parts = self.full.split(full, 0)?;
        let target_parts = self.target.split(target, 0)?;
        let mut values = self.full.stored(&full_parts);
        let (mut exact, mut codes_exact) = (None, None);
        if let Some(encoder) = &self.encoder {
            self.made.fill(0);
            encoder.finished(&values, full_parts.norm, &mut self.made);
            exact = Some(self.made == target);
            let made = self.target.split(&self.made, 0)?;
            codes_exact = Some(made.codes == target_parts.codes && bits(made.norm) == bits(target_parts.norm));
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
        Ok(Likeness { exact, codes_exact, deviation, component, norm })
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
            if value.to_bits() == found.to_bits() || unsure.is_infinite() {
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

fn bits(norm: Option<f32>) -> Option<u32> {
    norm.map(f32::to_bits)
}

fn length(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

fn finite(value: f64) -> f64 {
    if value.is_nan() { f64::INFINITY } else { value }
}
