//! The segment `rabitq.converter` of the RaBitQ kinds: the centroids that codes are relative to, and the rotation of both.
//!
//! ```text
//!  0 u32 clusters | 4 u32 dimension | 8 u32 padded dimension, a multiple of 64 | 12 u32 size of the rotation, in bytes
//! 16 u8 bits per component beyond the first | 17 u8 kind of rotation: 0 matrix, 1 FHT | 18 14 bytes zero
//! 32 f32 × clusters × padded dimension: the centroids, rotated
//!    f32 × clusters × dimension: the centroids
//!    rotation
//! ```
//!
//! The rotation is that of `rotation`, over the padded dimension, with transforms of the largest power of two within the
//! dimension. So each centroid is there twice, and the rotation is known to be right where one turns into the other.
//! A growable file has no checksum of it, a packed one has.

use super::container::Segment;
use super::fault::at;
use super::rotation::Rotation;
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result, Source, read_vec};

/// Name of the segment.
pub const SEGMENT: &str = "rabitq.converter";

const HEADER: u64 = 32;
const CUT: &str = "rabitq.truncated";
const MAX_DIMENSION: u32 = 1 << 16;
const MATRIX: u8 = 0;
const HADAMARD: u8 = 1;

/// What the header says, and where the rest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Converter {
    /// Absolute offset of the segment.
    pub offset: u64,
    /// Number of centroids.
    pub clusters: u32,
    /// Their dimension.
    pub dimension: u32,
    /// Dimension of rotated ones.
    pub padded_dimension: u32,
    /// Bits of a code's component beyond the first.
    pub extra_bits: u8,
    /// Offset of an unused byte of the header that is not zero.
    pub unused: Option<u64>,
    rotation_size: u32,
    rotation_kind: u8,
}

impl Converter {
    /// Reads the header. Codes: `rabitq.truncated`, `rabitq.bad-header`.
    pub fn open<S: Source + ?Sized>(source: &S, segment: &Segment) -> Result<Self> {
        let offset = segment.offset;
        let bytes = read_vec(source, offset, HEADER.min(segment.size), CUT)?;
        let mut cursor = Cursor::new(&bytes, offset, CUT);
        let (clusters, dimension, padded_dimension, rotation_size) =
            (cursor.u32()?, cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let (extra_bits, rotation_kind) = (cursor.u8()?, cursor.u8()?);
        let unused = cursor.bytes(14)?.iter().position(|byte| *byte != 0).map(|at| offset + 18 + at as u64);
        let refuse = |at: u64, detail: String| Err(FormatError::malformed("rabitq.bad-header", offset + at, detail));
        if dimension == 0 || dimension > MAX_DIMENSION || padded_dimension != dimension.next_multiple_of(64) {
            return refuse(4, format!("{dimension} dimensions, padded to {padded_dimension}"));
        }
        let of_rotation = match rotation_kind {
            HADAMARD => u64::from(padded_dimension) / 8 * 4,
            MATRIX => u64::from(padded_dimension) * u64::from(padded_dimension) * 4,
            kind => return refuse(17, format!("kind of rotation {kind}, 0 or 1 expected")),
        };
        if u64::from(rotation_size) != of_rotation {
            return refuse(12, format!("a rotation of {rotation_size} bytes, {of_rotation} expected"));
        }
        let converter =
            Self { offset, clusters, dimension, padded_dimension, extra_bits, unused, rotation_size, rotation_kind };
        // Padded to 32 bytes.
        let size = converter.end() - offset;
        if segment.size < size || segment.size >= size + 32 {
            return refuse(0, format!("{clusters} clusters take {size} bytes, the segment has {}", segment.size));
        }
        Ok(converter)
    }

    /// Bytes of one rotated centroid, and of one that is not.
    fn strides(&self) -> (u64, u64) {
        (4 * u64::from(self.padded_dimension), 4 * u64::from(self.dimension))
    }

    fn centroids(&self) -> u64 {
        self.offset + HEADER + u64::from(self.clusters) * self.strides().0
    }

    fn rotation_offset(&self) -> u64 {
        self.centroids() + u64::from(self.clusters) * self.strides().1
    }

    fn end(&self) -> u64 {
        self.rotation_offset() + u64::from(self.rotation_size)
    }

    /// The rotation; `None` if it is a matrix, which no release was seen to write.
    pub fn rotation<S: Source + ?Sized>(&self, source: &S) -> Result<Option<Rotation>> {
        if self.rotation_kind != HADAMARD {
            return Ok(None);
        }
        let signs = read_vec(source, self.rotation_offset(), self.rotation_size.into(), CUT)?;
        Ok(Rotation::padded(signs, at(self.padded_dimension.into()), at(self.dimension.into())))
    }

    /// One of the centroids. `None` beyond the last.
    pub fn centroid<S: Source + ?Sized>(&self, source: &S, cluster: u32) -> Result<Option<Centroid>> {
        if cluster >= self.clusters {
            return Ok(None);
        }
        let (rotated, plain) = self.strides();
        let floats = |start: u64, size: u64| {
            let bytes = read_vec(source, start, size, CUT)?;
            Ok::<_, FormatError>(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        };
        let offset = self.offset + HEADER + u64::from(cluster) * rotated;
        let vector = floats(self.centroids() + u64::from(cluster) * plain, plain)?;
        Ok(Some(Centroid { vector, rotated: floats(offset, rotated)?, offset }))
    }
}

/// A centroid, both times that it is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Centroid {
    /// As it is.
    pub vector: Vec<f32>,
    /// Padded and rotated.
    pub rotated: Vec<f32>,
    /// Absolute offset of the rotated one.
    pub offset: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clusters of 64 dimensions; no sign is set, so that the rotation is four times the transform, and changes nothing.
    fn segment(bytes: &[u8]) -> Segment {
        let (name, size) = (SEGMENT.to_owned(), bytes.len() as u64);
        Segment { name, offset: 0, size, padding: 0, crc: 0, section: 0, entry_offset: 0 }
    }

    fn bytes() -> Vec<u8> {
        let mut out: Vec<u8> = [2u32, 64, 64, 32].iter().flat_map(|word| word.to_le_bytes()).collect();
        out.extend([6, HADAMARD]);
        out.resize(32, 0);
        for _ in 0..2 {
            out.extend((0..2 * 64u16).flat_map(|i| f32::from(i).to_le_bytes()));
        }
        out.extend([0; 32]);
        out
    }

    #[test]
    fn centroids_and_their_rotation_are_read() {
        let bytes = bytes();
        let converter = Converter::open(&bytes[..], &segment(&bytes)).unwrap();
        assert_eq!((converter.clusters, converter.dimension, converter.extra_bits), (2, 64, 6));
        let Centroid { vector, mut rotated, offset } = converter.centroid(&bytes[..], 1).unwrap().unwrap();
        assert_eq!((vector[0], rotated[1], offset), (64.0, 65.0, 32 + 256));
        converter.rotation(&bytes[..]).unwrap().unwrap().invert(&mut rotated);
        assert!(vector.iter().zip(&rotated).all(|(a, b)| (a - b).abs() < 1e-3), "{rotated:?}");
        assert_eq!(converter.centroid(&bytes[..], 2).unwrap(), None);
    }

    #[test]
    fn each_contradiction_is_refused() {
        let good = bytes();
        let code = |bytes: &[u8]| Converter::open(bytes, &segment(bytes)).unwrap_err().code;
        for (at, byte) in [(0, 3), (4, 0), (7, 1), (8, 63), (12, 33), (17, 2), (17, 0)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(code(&bad), "rabitq.bad-header", "byte {at}");
        }
        let mut odd = good.clone();
        odd[31] = 1;
        assert_eq!(Converter::open(&odd[..], &segment(&odd)).unwrap().unused, Some(31));
        assert_eq!(code(&good[..good.len() - 1]), "rabitq.bad-header");
        assert_eq!(code(&[&good[..], &[0; 32]].concat()), "rabitq.bad-header");
        assert_eq!(code(&good[..20]), "rabitq.truncated");
        assert_eq!(code(&[0; 4096]), "rabitq.bad-header");
    }
}
