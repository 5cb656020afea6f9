//! The segment `enable_rotate`: a random rotation applied before integer quantisation, and its inverse.
//!
//! ```text
//! 0.7.0, 0.8.0                             in the source, met in no release
//!  0 "ROTR"                                 0 u8 kind: 0 FHT, 1 matrix; 3 bytes zero
//!  4 u16 version, 1                         4 u32 dimension
//!  6 u16 kind: 0 matrix, 1 FHT              8 u32 dimension again (or padded)
//!  8 u32 dimension in | 12 u32 out         12 payload
//! 16 u32 payload size | 20 u32 0
//! 24 payload
//!
//! payload, FHT:    4 × ⌈dim / 8⌉ bytes of signs, low bit first: one bit per component and round
//! payload, matrix: f32 × dim × dim, row-major; rotated = vector · matrix (met in no release)
//! ```
//!
//! FHT, let t = the largest power of two ≤ dim. A round flips the signs its bits name, applies the unnormalised fast
//! Hadamard transform to t components and scales these by 1/√t: to the first t in rounds 1 and 3, to the last t in rounds 2
//! and 4. When t < dim, each round ends with a Kac step on both halves of the vector, (x, y) → (x+y, x−y), and the
//! result is scaled by 1/4. When dim is odd, the Kac step multiplies the middle component by √2.
//!
//! 0.8.0 stores a fresh rotation when it builds an HNSW or Vamana index, even when the codes are copied from a flat index and
//! are rotated by the one of that file, which is then deleted. Nothing in the graph file tells the two cases apart.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::fault::at;
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result};

/// Name of the segment.
pub const SEGMENT: &str = "enable_rotate";

const MAGIC: [u8; 4] = *b"ROTR";
const ROUNDS: u64 = 4;
const MAX_DIMENSION: u32 = 1 << 16;

/// How vectors of one index were rotated.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    dimension: usize,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Hadamard {
        signs: Vec<u8>,
        /// Components that one transform takes.
        power: usize,
    },
    Matrix(Vec<f32>),
}

impl Rotation {
    /// Decodes the data of the segment, which begin at file offset `base`.
    pub fn parse(bytes: &[u8], base: u64) -> Result<Self> {
        let mut cursor = Cursor::new(bytes, base, "rotation.truncated");
        let (matrix, dimension, payload) = if bytes.starts_with(&MAGIC) {
            cursor.skip(4)?;
            let (version, kind) = (cursor.u16()?, cursor.u16()?);
            if version > 1 {
                let detail = format!("rotation version {version}, this build knows 1");
                return Err(FormatError::newer("rotation.newer-version", base + 4, detail));
            }
            let (dimension, out, size) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
            cursor.skip(4)?;
            if out != dimension || u64::from(size) > cursor.remaining() as u64 || kind > 1 {
                let detail =
                    format!("kind {kind}, {dimension} to {out} dimensions, {size} of {} bytes", cursor.remaining());
                return Err(FormatError::malformed("rotation.bad-header", base + 6, detail));
            }
            (kind == 0, dimension, cursor.bytes(at(size.into()))?)
        } else {
            let kind = cursor.u8()?;
            cursor.skip(3)?;
            let dimension = cursor.u32()?;
            cursor.skip(4)?;
            if kind > 1 {
                let detail = format!("rotation kind {kind}");
                return Err(FormatError::malformed("rotation.bad-header", base, detail));
            }
            (kind == 1, dimension, cursor.rest())
        };
        let expected = match matrix {
            true => u64::from(dimension).saturating_mul(dimension.into()).saturating_mul(4),
            false => u64::from(dimension.div_ceil(8)) * ROUNDS,
        };
        if dimension == 0 || dimension > MAX_DIMENSION || payload.len() as u64 != expected {
            let detail = format!("{} payload bytes for {dimension} dimensions, {expected} expected", payload.len());
            return Err(FormatError::malformed("rotation.bad-payload", base, detail));
        }
        let kind = match matrix {
            true => Kind::Matrix(payload.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
            false => Kind::Hadamard { signs: payload.to_vec(), power: power_within(at(dimension.into())) },
        };
        Ok(Self { dimension: at(dimension.into()), kind })
    }

    /// The rotation of vectors that are `padded` with zeros from `dimension` on: its transforms take the largest power of two
    /// within `dimension`. `None` if the signs are not those of such a rotation.
    pub fn padded(signs: Vec<u8>, padded: usize, dimension: usize) -> Option<Self> {
        let fits = (1..=padded).contains(&dimension) && signs.len() as u64 == padded.div_ceil(8) as u64 * ROUNDS;
        let kind = Kind::Hadamard { signs, power: power_within(dimension) };
        fits.then_some(Self { dimension: padded, kind })
    }

    /// A rotation of the usual kind whose signs follow from `seed`, which should be a random number.
    pub fn fresh(dimension: u32, seed: u32) -> Self {
        let words = u64::from(dimension.div_ceil(8)) * ROUNDS;
        let signs = (0..words).map(|word| (xxh3_64_with_seed(&word.to_le_bytes(), seed.into()) >> 56) as u8).collect();
        let dimension = at(dimension.into());
        Self { dimension, kind: Kind::Hadamard { signs, power: power_within(dimension) } }
    }

    /// The data of the segment, as 0.7.0 and 0.8.0 write them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, payload): (u16, Vec<u8>) = match &self.kind {
            Kind::Hadamard { signs, .. } => (1, signs.clone()),
            Kind::Matrix(matrix) => (0, matrix.iter().flat_map(|value| value.to_le_bytes()).collect()),
        };
        let mut out = MAGIC.to_vec();
        out.extend([1, kind].iter().flat_map(|number| number.to_le_bytes()));
        // Below 2^32 all of them.
        let numbers = [self.dimension as u32, self.dimension as u32, payload.len() as u32, 0];
        out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        out.extend(payload);
        out
    }

    /// Rotates a vector; one of another dimension is left alone.
    pub fn apply(&self, vector: &mut [f32]) {
        if vector.len() != self.dimension {
            return;
        }
        match &self.kind {
            Kind::Hadamard { signs, power } => apply_hadamard(signs, *power, vector),
            Kind::Matrix(matrix) => {
                let plain = vector.to_vec();
                for (column, out) in vector.iter_mut().enumerate() {
                    let rows = matrix.chunks_exact(self.dimension).zip(&plain);
                    *out = rows.filter_map(|(row, value)| Some(row.get(column)? * value)).sum();
                }
            }
        }
    }

    /// Dimension of the vectors it applies to.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Turns a rotated vector back; one of another dimension is left alone.
    pub fn invert(&self, vector: &mut [f32]) {
        if vector.len() != self.dimension {
            return;
        }
        match &self.kind {
            Kind::Hadamard { signs, power } => invert_hadamard(signs, *power, vector),
            Kind::Matrix(matrix) => {
                let rotated = vector.to_vec();
                for (out, row) in vector.iter_mut().zip(matrix.chunks_exact(self.dimension)) {
                    *out = row.iter().zip(&rotated).map(|(a, b)| a * b).sum();
                }
            }
        }
    }
}

/// The largest power of two that is not larger.
fn power_within(dimension: usize) -> usize {
    dimension.checked_ilog2().map_or(0, |log| 1 << log)
}

fn flip_signs(vector: &mut [f32], signs: &[u8]) {
    for (components, &bits) in vector.chunks_mut(8).zip(signs) {
        for (bit, x) in components.iter_mut().enumerate() {
            if bits & (1 << bit) != 0 {
                *x = -*x;
            }
        }
    }
}

/// The components that the transform of a round takes.
fn part_of_round(round: usize, power: usize, vector: &mut [f32]) -> Option<&mut [f32]> {
    let start = if round.is_multiple_of(2) { 0 } else { vector.len().checked_sub(power)? };
    vector.get_mut(start..start + power)
}

fn apply_hadamard(signs: &[u8], power: usize, vector: &mut [f32]) {
    let dimension = vector.len();
    let whole = power == dimension;
    let factor = 1.0 / (power as f32).sqrt();
    for (round, signs) in signs.chunks_exact(dimension.div_ceil(8)).enumerate() {
        flip_signs(vector, signs);
        if let Some(part) = part_of_round(round, power, vector) {
            hadamard(part);
            part.iter_mut().for_each(|x| *x *= factor);
        }
        if !whole {
            let (low, rest) = vector.split_at_mut(dimension / 2);
            let (middle, high) = rest.split_at_mut(dimension % 2);
            for (x, y) in low.iter_mut().zip(high) {
                (*x, *y) = (*x + *y, *x - *y);
            }
            middle.iter_mut().for_each(|x| *x *= std::f32::consts::SQRT_2);
        }
    }
    if !whole {
        vector.iter_mut().for_each(|x| *x *= 0.25);
    }
}

fn invert_hadamard(signs: &[u8], power: usize, vector: &mut [f32]) {
    let dimension = vector.len();
    let whole = power == dimension;
    let factor = 1.0 / (power as f32).sqrt();
    if !whole {
        vector.iter_mut().for_each(|x| *x *= 4.0);
    }
    for (round, signs) in signs.chunks_exact(dimension.div_ceil(8)).enumerate().rev() {
        if !whole {
            let (low, rest) = vector.split_at_mut(dimension / 2);
            let (middle, high) = rest.split_at_mut(dimension % 2);
            for (x, y) in low.iter_mut().zip(high) {
                (*x, *y) = ((*x + *y) * 0.5, (*x - *y) * 0.5);
            }
            middle.iter_mut().for_each(|x| *x *= std::f32::consts::FRAC_1_SQRT_2);
        }
        if let Some(part) = part_of_round(round, power, vector) {
            hadamard(part);
            part.iter_mut().for_each(|x| *x *= factor);
        }
        flip_signs(vector, signs);
    }
}

/// Unnormalised fast Hadamard transform in place; the length is a power of two.
fn hadamard(data: &mut [f32]) {
    let mut half = 1;
    while half < data.len() {
        for pair in data.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (x, y) in low.iter_mut().zip(high) {
                (*x, *y) = (*x + *y, *x - *y);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(kind: u16, dimension: u32, payload: &[u8]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([1u16, kind].iter().flat_map(|x| x.to_le_bytes()));
        out.extend([dimension, dimension, payload.len() as u32, 0].iter().flat_map(|x| x.to_le_bytes()));
        out.extend(payload);
        out
    }

    /// The forward direction, straight from the description in the module comment.
    fn rotate(signs: &[u8], power: usize, vector: &mut [f32]) {
        let dimension = vector.len();
        for round in 0..4 {
            for (i, x) in vector.iter_mut().enumerate() {
                if signs[round * dimension.div_ceil(8) + i / 8] >> (i % 8) & 1 == 1 {
                    *x = -*x;
                }
            }
            let start = if round % 2 == 0 { 0 } else { dimension - power };
            let part: Vec<f32> = vector[start..start + power].to_vec();
            for i in 0..power {
                let sum: f32 = (0..power).map(|j| if (i & j).count_ones() % 2 == 0 { part[j] } else { -part[j] }).sum();
                vector[start + i] = sum / (power as f32).sqrt();
            }
            if power < dimension {
                let (half, offset) = (dimension / 2, dimension.div_ceil(2));
                for i in 0..half {
                    let (x, y) = (vector[i], vector[i + offset]);
                    (vector[i], vector[i + offset]) = (x + y, x - y);
                }
                if half != offset {
                    vector[half] *= 2f32.sqrt();
                }
            }
        }
        if power < dimension {
            vector.iter_mut().for_each(|x| *x *= 0.25);
        }
    }

    #[test]
    fn hadamard_rotation_is_undone_for_every_shape() {
        for dimension in [64usize, 192, 20, 21, 1] {
            let signs: Vec<u8> = (0..4 * dimension.div_ceil(8)).map(|i| (i * 37 + 11) as u8).collect();
            let rotation = Rotation::parse(&segment(1, dimension as u32, &signs), 0).unwrap();
            let original: Vec<f32> = (0..dimension).map(|i| (i as f32 * 0.7).sin()).collect();
            let mut vector = original.clone();
            rotate(&signs, 1 << dimension.ilog2(), &mut vector);
            assert!(dimension == 1 || vector.iter().zip(&original).any(|(a, b)| (a - b).abs() > 0.1), "it does rotate");
            rotation.invert(&mut vector);
            for (a, b) in vector.iter().zip(&original) {
                assert!((a - b).abs() < 1e-5, "{dimension}: {a} {b}");
            }
        }
    }

    #[test]
    fn rotation_of_padded_vectors_is_undone() {
        for (dimension, padded) in [(100usize, 128usize), (200, 256), (300, 320), (64, 64)] {
            let signs: Vec<u8> = (0..padded / 2).map(|i| (i * 37 + 11) as u8).collect();
            let rotation = Rotation::padded(signs.clone(), padded, dimension).unwrap();
            let original: Vec<f32> =
                (0..padded).map(|i| if i < dimension { (i as f32 * 0.7).sin() } else { 0.0 }).collect();
            let mut vector = original.clone();
            rotate(&signs, 1 << dimension.ilog2(), &mut vector);
            rotation.invert(&mut vector);
            for (a, b) in vector.iter().zip(&original) {
                assert!((a - b).abs() < 1e-5, "{dimension}: {a} {b}");
            }
        }
        assert_eq!(Rotation::padded(vec![0; 31], 64, 64), None);
        assert_eq!(Rotation::padded(vec![0; 32], 64, 65), None);
        assert_eq!(Rotation::padded(Vec::new(), 0, 0), None);
    }

    #[test]
    fn matrix_rotation_is_undone_by_the_transpose() {
        let matrix: Vec<u8> = [0.6f32, 0.8, -0.8, 0.6].iter().flat_map(|x| x.to_le_bytes()).collect();
        let rotation = Rotation::parse(&segment(0, 2, &matrix), 0).unwrap();
        let mut vector = [0.6 * 2.0 - 0.8 * 3.0, 0.8 * 2.0 + 0.6 * 3.0];
        rotation.invert(&mut vector);
        assert!((vector[0] - 2.0).abs() < 1e-6 && (vector[1] - 3.0).abs() < 1e-6, "{vector:?}");
    }

    #[test]
    fn header_without_magic_has_the_kinds_the_other_way_round() {
        let mut bytes = vec![0, 0, 0, 0];
        bytes.extend(64u32.to_le_bytes());
        bytes.extend(64u32.to_le_bytes());
        bytes.extend([0; 32]);
        let kind = Kind::Hadamard { signs: vec![0; 32], power: 64 };
        assert_eq!(Rotation::parse(&bytes, 0).unwrap().kind, kind);
    }

    #[test]
    fn wrong_sizes_are_refused() {
        assert_eq!(Rotation::parse(&segment(1, 64, &[0; 31]), 5).unwrap_err().code, "rotation.bad-payload");
        assert_eq!(Rotation::parse(&segment(0, 0, &[]), 5).unwrap_err().code, "rotation.bad-payload");
        assert_eq!(Rotation::parse(&segment(0, u32::MAX, &[0; 4]), 5).unwrap_err().code, "rotation.bad-payload");
        assert_eq!(Rotation::parse(&segment(2, 64, &[0; 32]), 5).unwrap_err().code, "rotation.bad-header");
        assert_eq!(Rotation::parse(b"ROTR", 5).unwrap_err().code, "rotation.truncated");
        let mut newer = segment(1, 64, &[0; 32]);
        newer[4] = 2;
        assert_eq!(Rotation::parse(&newer, 0).unwrap_err().code, "rotation.newer-version");
    }
}
