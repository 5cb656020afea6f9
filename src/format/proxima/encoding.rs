//! Element bytes to a vector.
//!
//! ```text
//! element: codes | words | norm
//!
//! codes and column             words behind them                                        v =
//! f32, FP32 column                                                                      code
//! f16, FP16 column, or an FP32 column quantised to FP16                                 code
//! i8, INT8 column; i4, INT4 column (low nibble first, two's complement)                 code
//! u8, FP32 column kept as bytes (flat_data_type UINT8)                                  code
//! i8, INT8 quantised           f32 w0 | f32 w1 | f32 Σcode | f32 Σcode² | i32 Σcode     code·w0 + w1
//!    of 0.1.0 to 0.2.0         f32 w0 | f32 w1 | f32 Σcode | f32 Σcode² or i32 Σcode    code·w0 + w1
//! i4, INT4 quantised           f32 w0 | f32 w1 | f32 Σcode | f32 Σcode² or i32 Σcode    code·w0 + w1
//! i8, UNIFORM_UINT8            u32 Σ(code+128)²                                         (code + 128 − bias) / scale
//! u8, UNIFORM_UINT7                                                                     (code − bias) / scale
//! u4, UNIFORM_UINT4            zeros to 64 bytes                                        minimum + code·range/15
//! ```
//!
//! The fourth word is Σcode² (L2) or an integer Σcode (other metrics) where both are named.
//!
//! COSINE appends the f32 norm of the original to the unit vector; the original is unit · norm in f32 (for an FP16 column
//! rounded to f16, ties away from zero), bit for bit what zvec's fetch returns. Since 0.8.0 words and norm are the element's `extra` bytes; the older
//! `reformer` encodings, still in use, count them in the dimension instead.

use half::f16;

use super::fault::at;
use super::meta::{DataType, IndexMeta};
use super::rotation::Rotation;
use super::sparse;
use crate::format::value::Value;
use crate::format::{FormatError, Result};

/// How components are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Codec {
    /// As the column's own type.
    Plain(DataType),
    /// An FP32 column kept in half precision.
    Half,
    /// An FP32 column kept as unsigned bytes.
    Byte,
    /// Bytes with a scale and an offset per row.
    Int8,
    /// The same with one word less, before 0.2.1.
    Int8Short,
    /// Nibbles with a scale and an offset per row.
    Int4,
    /// Bytes with one scale for the index.
    UniformUint8 {
        /// Codes per unit.
        scale: f32,
        /// Code of 0.
        bias: f32,
    },
    /// Seven-bit codes with one scale for the index.
    UniformUint7 {
        /// Codes per unit.
        scale: f32,
        /// Code of 0.
        bias: f32,
    },
    /// Nibbles with one range for the index.
    UniformUint4 {
        /// Value of code 0.
        minimum: f32,
        /// Value of code 15 less that of code 0.
        range: f32,
    },
}

/// A decoded vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    /// As zvec's fetch gives it when it reads this file: COSINE vectors multiplied by their norm, rotation undone.
    pub value: Value,
    /// Stored norm of the original (COSINE).
    pub norm: Option<f32>,
    /// Whether the encoding keeps the column's full precision; otherwise the value is an approximation.
    pub exact: bool,
    /// Whether the value is still rotated: see [`Encoding::rotated`].
    pub rotated: bool,
}

/// What one element stores twice: for checking, since no checksum covers it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Redundancy {
    /// Stored norm (COSINE).
    pub norm: Option<f32>,
    /// Length of the stored floating-point vector; 1, or 0 with norm 0, under COSINE.
    pub length: Option<f64>,
    /// w0: value of one code step.
    pub scale: Option<f32>,
    /// w1: value of code 0.
    pub offset: Option<f32>,
    /// Stored Σcode, not exactly that of the codes before 0.8.0 (INT8: before 0.3.1).
    pub sum: Option<f32>,
    /// Stored Σcode², likewise.
    pub square_sum: Option<f32>,
    /// Stored integer Σcode, or Σ(code+128)² (UNIFORM_UINT8). Where the format has Σcode² or an integer Σcode in one word, both are
    /// filled from it and one is meaningless.
    pub integer: Option<i64>,
    /// Σcode of the codes.
    pub computed_sum: i64,
    /// Σcode² of the codes (of code+128 for UNIFORM_UINT8).
    pub computed_square_sum: i64,
}

/// The encoding of all elements of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// Storage of the components.
    pub codec: Codec,
    /// Whether elements are sparse records.
    pub sparse: bool,
    /// Logical dimension; 0 for sparse.
    pub dimension: usize,
    /// Whether a norm ends each element.
    pub has_norm: bool,
    /// Bytes per element; 0 for sparse.
    pub element_size: u64,
    /// Rotation that decoding undoes.
    pub rotation: Option<Rotation>,
    /// The vectors were rotated, but not surely by the rotation the file holds, so decoding leaves them rotated.
    pub rotated: bool,
    /// Written by a reformer whose releases before 0.2.1 used [`Codec::Int8Short`].
    maybe_short: bool,
}

impl Encoding {
    /// Derives the encoding of elements that `stored` describes. In an IVF file `outer` is the top-level structure: before
    /// 0.8.0, and still for the older encodings, only that one names the reformer of the elements.
    pub fn new(stored: &IndexMeta, outer: Option<&IndexMeta>, offset: u64) -> Result<Self> {
        let named = |meta: &IndexMeta| !meta.name("quantizer").is_empty() || !meta.name("reformer").is_empty();
        let same = |outer: &&IndexMeta| outer.data_type == stored.data_type && outer.dimension == stored.dimension;
        let names = if named(stored) { stored } else { outer.filter(same).unwrap_or(stored) };
        if stored.sparse {
            return Self::sparse(stored, names, offset);
        }
        let reformer = names.name("reformer");
        let cosine = stored.metric() == "Cosine";
        let float = |key: &str| -> Result<f32> {
            names.number("reformer", key).map(|value| value as f32).filter(|value| value.is_finite()).ok_or_else(|| {
                FormatError::malformed("index-meta.bad-parameter", offset, format!("{reformer} has no usable {key}"))
            })
        };
        use DataType::{Fp16, Fp32, Int4, Int8, Uint8};
        let mut maybe_short = false;
        // Codec, components that are not part of the vector, bytes behind the codes, norm.
        let (mut codec, mut more, mut words, has_norm) = match (reformer, stored.data_type) {
            ("", data_type) => {
                let (codec, words) = match (names.name("quantizer"), data_type) {
                    ("Fp16Quantizer", Fp16) => (Codec::Half, 0),
                    ("Int8Quantizer", Int8) => (Codec::Int8, 20),
                    ("Int4Quantizer", Int4) => (Codec::Int4, 16),
                    (_, plain) => (Codec::Plain(plain), 0),
                };
                let has_norm = cosine && stored.extra == words + 4;
                if stored.extra != words && !has_norm {
                    let detail = format!("{} extra bytes per element, {words} expected", stored.extra);
                    return Err(FormatError::malformed("index-meta.bad-extra", offset, detail));
                }
                (codec, 0, words, has_norm)
            }
            ("CosineFp32Reformer" | "CosineNormalizeReformer", Fp32) => (Codec::Plain(Fp32), 1, 0, true),
            ("CosineHalfFloatReformer", Fp16) => (Codec::Plain(Fp16), 2, 0, true),
            ("CosineFp16Reformer", Fp16) => (Codec::Half, 2, 0, true),
            ("HalfFloatReformer", Fp16) => (Codec::Half, 0, 0, false),
            ("RawUint8Reformer", Uint8) => (Codec::Byte, 0, 0, false),
            ("CosineInt8Reformer", Int8) => (Codec::Int8, 24, 20, true),
            ("Int8StreamingReformer", Int8) => (Codec::Int8, 20, 20, false),
            ("CosineInt4Reformer", Int4) => (Codec::Int4, 40, 16, true),
            ("Int4StreamingReformer", Int4) => (Codec::Int4, 32, 16, false),
            ("UniformUint8Reformer", Int8) => {
                let (scale, bias) = (float("uniform_uint8.reformer.scale")?, float("uniform_uint8.reformer.bias")?);
                (Codec::UniformUint8 { scale, bias }, 4, 4, false)
            }
            ("UniformUint7Reformer", Int8) => {
                let (scale, bias) = (float("uniform_uint7.reformer.scale")?, float("uniform_uint7.reformer.bias")?);
                (Codec::UniformUint7 { scale, bias }, 0, 0, false)
            }
            ("UniformUint4Reformer", Int8) => return Self::uniform_uint4(stored, names, &float, offset),
            (other, data_type) => {
                let detail = format!("elements of type {} with {other}", data_type.name());
                return Err(FormatError::unsupported("index-meta.unknown-encoding", offset, detail));
            }
        };
        if codec == Codec::Int8 && more > 0 {
            maybe_short = true;
            if stored.dimension <= more {
                (codec, more, words) = (Codec::Int8Short, more - 4, words - 4);
            }
        }
        let dimension = stored.dimension.checked_sub(more).ok_or_else(|| {
            let detail = format!("dimension {}, at least {more} expected", stored.dimension);
            FormatError::malformed("index-meta.bad-dimension", offset, detail)
        })?;
        let encoding = Self {
            codec,
            sparse: false,
            dimension: at(dimension.into()),
            has_norm,
            element_size: stored.element_size(),
            rotation: None,
            rotated: false,
            maybe_short,
        };
        let expected = encoding.code_bytes() as u64 + u64::from(words) + if has_norm { 4 } else { 0 };
        if encoding.element_size != expected || encoding.code_bytes() == usize::MAX {
            let detail = format!("elements of {} bytes, {expected} expected", encoding.element_size);
            return Err(FormatError::malformed("index-meta.bad-element-size", offset, detail));
        }
        Ok(encoding)
    }

    fn uniform_uint4(
        stored: &IndexMeta,
        names: &IndexMeta,
        float: &dyn Fn(&str) -> Result<f32>,
        offset: u64,
    ) -> Result<Self> {
        let codec = Codec::UniformUint4 {
            minimum: float("uniform_uint4.reformer.minimum")?,
            range: float("uniform_uint4.reformer.range")?,
        };
        let origin = names.number("reformer", "uniform_uint4.reformer.original_dimension").unwrap_or(0.0);
        let element_size = stored.element_size();
        if origin.fract() != 0.0 || origin < 1.0 || origin > element_size.saturating_mul(2) as f64 {
            let detail = format!("original dimension {origin} in {element_size} bytes");
            return Err(FormatError::malformed("index-meta.bad-dimension", offset, detail));
        }
        // In range of u64 by the check above.
        let dimension = at(origin as u64);
        Ok(Self { codec, dimension, element_size, ..Self::bare() })
    }

    fn sparse(stored: &IndexMeta, names: &IndexMeta, offset: u64) -> Result<Self> {
        let codec = match (names.name("reformer"), stored.data_type) {
            ("", DataType::Fp32) if stored.unit_size == 4 => Codec::Plain(DataType::Fp32),
            ("", DataType::Fp16) if stored.unit_size == 2 => Codec::Plain(DataType::Fp16),
            ("HalfFloatSparseReformer", DataType::Fp16) if stored.unit_size == 2 => Codec::Half,
            (other, data_type) => {
                let detail = format!("sparse {} of {} bytes with {other:?}", data_type.name(), stored.unit_size);
                return Err(FormatError::unsupported("index-meta.unknown-encoding", offset, detail));
            }
        };
        Ok(Self { codec, sparse: true, ..Self::bare() })
    }

    fn bare() -> Self {
        Self {
            codec: Codec::Byte,
            sparse: false,
            dimension: 0,
            has_norm: false,
            element_size: 0,
            rotation: None,
            rotated: false,
            maybe_short: false,
        }
    }

    /// Whether the encoding keeps the column's full precision.
    pub fn is_exact(&self) -> bool {
        matches!(self.codec, Codec::Plain(_))
    }

    fn code_bytes(&self) -> usize {
        let unit = match self.codec {
            Codec::Plain(DataType::Fp32) => 4,
            Codec::Plain(DataType::Fp64) => 8,
            Codec::Plain(DataType::Fp16 | DataType::Int16) | Codec::Half => 2,
            Codec::Plain(DataType::Int4) | Codec::Int4 | Codec::UniformUint4 { .. } => {
                return self.dimension.div_ceil(2);
            }
            Codec::Plain(DataType::Binary32 | DataType::Binary64 | DataType::Unknown(_)) => {
                return at(self.element_size);
            }
            _ => 1,
        };
        self.dimension.saturating_mul(unit)
    }

    /// Whether `element` has the short INT8 form: its sums tell. `None` if they do not, as in an element of zeros.
    pub(super) fn is_short(&self, element: &[u8]) -> Option<bool> {
        if self.codec != Codec::Int8 || !self.maybe_short {
            return Some(false);
        }
        let form = |dimension: usize| {
            let (codes, words) = element.split_at_checked(dimension)?;
            let sum = codes.iter().map(|&code| i64::from(code as i8)).sum::<i64>();
            Some((sum, words.as_chunks::<4>().0))
        };
        let (sum, words) = form(self.dimension.checked_add(4)?)?;
        let stored = f32::from_le_bytes(*words.get(2)?);
        // Sums of that time are those of the codes before rounding. The long form has Σcode² in this place, which is far off.
        let tolerance = 0.5 * self.dimension as f32 + 4.0;
        if f32::from_le_bytes(*words.first()?) > 0.0 && (stored - sum as f32).abs() <= tolerance {
            return Some(true);
        }
        let (sum, words) = form(self.dimension)?;
        let long = sum == i64::from(i32::from_le_bytes(*words.get(4)?)) && element.iter().any(|&byte| byte != 0);
        long.then_some(false)
    }

    /// The same encoding, taken for the short form.
    pub(super) fn shorten(&mut self) {
        if self.codec == Codec::Int8 && self.maybe_short {
            self.codec = Codec::Int8Short;
            self.dimension = self.dimension.saturating_add(4);
        }
    }

    /// Decodes one element, which begins at file offset `offset`.
    pub fn decode(&self, element: &[u8], offset: u64) -> Result<Vector> {
        let exact = self.is_exact();
        if self.sparse {
            let record =
                sparse::Record::parse(element, offset, if self.codec == Codec::Plain(DataType::Fp32) { 4 } else { 2 })?;
            let value = match self.codec {
                Codec::Plain(DataType::Fp32) => Value::SparseF32(record.f32s()),
                Codec::Half => Value::SparseF32(record.f16s().map(|(index, value)| (index, value.to_f32())).collect()),
                _ => Value::SparseF16(record.f16s().collect()),
            };
            return Ok(Vector { value, norm: None, exact, rotated: false });
        }
        let parts = self.split(element, offset)?;
        let norm = parts.norm;
        let plain = match self.codec {
            Codec::Plain(data_type) => Some(data_type),
            _ => None,
        };
        let value = match plain {
            Some(DataType::Fp32) | None => Value::F32s(self.floats(&parts)),
            Some(DataType::Fp16) => Value::F16s(match norm {
                Some(norm) => halves(parts.codes).map(|value| half_away(value.to_f32() * norm)).collect(),
                None => halves(parts.codes).collect(),
            }),
            Some(DataType::Fp64) => Value::F64s(words(parts.codes).map(f64::from_le_bytes).collect()),
            Some(DataType::Int16) => Value::I16s(words(parts.codes).map(i16::from_le_bytes).collect()),
            Some(DataType::Int8) => Value::I8s(parts.codes.iter().map(|&code| code as i8).collect()),
            Some(DataType::Int4) => Value::I8s(nibbles(parts.codes).map(signed).take(self.dimension).collect()),
            Some(other) => {
                let detail = format!("elements of type {}", other.name());
                return Err(FormatError::unsupported("index-meta.unknown-encoding", offset, detail));
            }
        };
        Ok(Vector { value, norm, exact, rotated: self.rotated })
    }

    /// The components of a dense element as searches compare them: under COSINE those of the unit vector, rotated ones after a rotation.
    pub fn components(&self, element: &[u8]) -> Option<Vec<f32>> {
        let parts = self.split(element, 0).ok().filter(|_| !self.sparse)?;
        let integer = |values: Vec<i8>| values.into_iter().map(f32::from).collect();
        Some(match self.codec {
            Codec::Plain(DataType::Fp32) => words(parts.codes).map(f32::from_le_bytes).collect(),
            Codec::Plain(DataType::Fp16) => halves(parts.codes).map(f16::to_f32).collect(),
            Codec::Plain(DataType::Int8) => integer(parts.codes.iter().map(|&code| code as i8).collect()),
            Codec::Plain(DataType::Int4) => integer(nibbles(parts.codes).map(signed).take(self.dimension).collect()),
            Codec::Plain(_) => return None,
            _ => self.stored(&parts),
        })
    }

    /// What `element` stores twice. An element of zeros (a null vector) has nothing to check and gives the default.
    pub fn redundancy(&self, element: &[u8], offset: u64) -> Result<Redundancy> {
        if self.sparse || element.iter().all(|&byte| byte == 0) {
            return Ok(Redundancy::default());
        }
        let Parts { codes, words, norm } = self.split(element, offset)?;
        let mut found = Redundancy { norm, ..Redundancy::default() };
        let word = |index: usize| words.as_chunks::<4>().0.get(index).copied();
        let float = |index| word(index).map(f32::from_le_bytes);
        let integer = |index| word(index).map(|word| i64::from(i32::from_le_bytes(word)));
        let sums = |codes: &mut dyn Iterator<Item = i64>| {
            codes.fold((0, 0), |(sum, squares), code| (sum + code, squares + code * code))
        };
        let length =
            |values: &mut dyn Iterator<Item = f64>| Some(values.map(|value| value * value).sum::<f64>().sqrt());
        match self.codec {
            Codec::Plain(DataType::Fp32) => {
                found.length = length(&mut self::words(codes).map(|word| f32::from_le_bytes(word).into()));
            }
            Codec::Plain(DataType::Fp16) | Codec::Half => {
                found.length = length(&mut halves(codes).map(|value| value.to_f64()));
            }
            Codec::Int8 | Codec::Int8Short => {
                (found.scale, found.offset, found.sum) = (float(0), float(1), float(2));
                (found.computed_sum, found.computed_square_sum) =
                    sums(&mut codes.iter().map(|&code| i64::from(code as i8)));
                found.square_sum = float(3);
                found.integer = integer(if self.codec == Codec::Int8 { 4 } else { 3 });
            }
            Codec::Int4 => {
                (found.scale, found.offset, found.sum) = (float(0), float(1), float(2));
                (found.computed_sum, found.computed_square_sum) =
                    sums(&mut nibbles(codes).take(self.dimension).map(|code| i64::from(signed(code))));
                found.square_sum = float(3);
                found.integer = integer(3);
            }
            Codec::UniformUint8 { .. } => {
                found.integer = integer(0);
                (found.computed_sum, found.computed_square_sum) =
                    sums(&mut codes.iter().map(|&code| i64::from(code as i8) + 128));
            }
            _ => {}
        }
        Ok(found)
    }

    /// Codes, words and norm of an element.
    pub(super) fn split<'a>(&self, element: &'a [u8], offset: u64) -> Result<Parts<'a>> {
        let cut = || {
            let detail = format!("element of {} bytes, {} expected", element.len(), self.element_size);
            FormatError::truncated("index-meta.element-cut", offset, detail)
        };
        let (codes, rest) = element.split_at_checked(self.code_bytes()).ok_or_else(cut)?;
        if !self.has_norm {
            return Ok(Parts { codes, words: rest, norm: None });
        }
        let (words, norm) = rest.split_last_chunk().ok_or_else(cut)?;
        Ok(Parts { codes, words, norm: Some(f32::from_le_bytes(*norm)) })
    }

    fn floats(&self, parts: &Parts) -> Vec<f32> {
        let mut values = self.stored(parts);
        if let Some(norm) = parts.norm {
            values.iter_mut().for_each(|value| *value *= norm);
        }
        if let Some(rotation) = &self.rotation {
            rotation.invert(&mut values);
        }
        values
    }

    /// The components as they are stored: under COSINE those of the unit vector, after a rotation rotated ones.
    pub(super) fn stored(&self, parts: &Parts) -> Vec<f32> {
        let Parts { codes, words, .. } = *parts;
        let word = |index: usize| words.as_chunks().0.get(index).map_or(0.0, |word| f32::from_le_bytes(*word));
        match self.codec {
            Codec::Plain(_) => self::words(codes).map(f32::from_le_bytes).collect(),
            Codec::Half => halves(codes).map(f16::to_f32).collect(),
            Codec::Byte => codes.iter().map(|&code| f32::from(code)).collect(),
            Codec::Int8 | Codec::Int8Short => {
                let (scale, offset) = (word(0), word(1));
                codes.iter().map(|&code| f32::from(code as i8) * scale + offset).collect()
            }
            Codec::Int4 => {
                let (scale, offset) = (word(0), word(1));
                nibbles(codes).map(|code| f32::from(signed(code)) * scale + offset).take(self.dimension).collect()
            }
            Codec::UniformUint8 { scale, bias } => {
                let inverse = 1.0 / scale;
                codes.iter().map(|&code| (f32::from(code as i8) + 128.0 - bias) * inverse).collect()
            }
            Codec::UniformUint7 { scale, bias } => {
                let inverse = 1.0 / scale;
                codes.iter().map(|&code| (f32::from(code as i8) - bias) * inverse).collect()
            }
            Codec::UniformUint4 { minimum, range } => {
                let step = range / 15.0;
                nibbles(codes).map(|code| minimum + f32::from(code) * step).take(self.dimension).collect()
            }
        }
    }
}

/// An element taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    /// The components.
    pub(super) codes: &'a [u8],
    /// The words behind them.
    pub(super) words: &'a [u8],
    /// The norm of the original.
    pub(super) norm: Option<f32>,
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks().0.iter().copied()
}

fn halves(bytes: &[u8]) -> impl Iterator<Item = f16> {
    words(bytes).map(f16::from_le_bytes)
}

/// `value` in half precision, ties away from zero, as zvec's scalar conversion rounds (every tie tried, below the normal range too).
pub fn half_away(value: f32) -> f16 {
    let even = f16::from_f32(value);
    let above = f16::from_bits(even.to_bits().wrapping_add(1));
    let (low, high) = (even.to_f32().abs(), above.to_f32().abs());
    // Both differences are exact. An `even` that was rounded away from zero already is above the value.
    let tie = high.is_finite() && low < value.abs() && value.abs() - low == high - value.abs();
    if tie { above } else { even }
}

fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().flat_map(|byte| [byte & 15, byte >> 4])
}

fn signed(nibble: u8) -> i8 {
    ((nibble << 4) as i8) >> 4
}
