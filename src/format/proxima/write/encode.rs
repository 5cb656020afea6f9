//! Vectors to element bytes, operation by operation as zvec 0.8.0 computes them, so that the bytes are the same.
//!
//! ```text
//! norm of f32 (COSINE)    four sums, v[i]² into sum i mod 4; then (s0 + s2) + (s1 + s3); then the root. All in f32, products rounded
//! norm of an FP16 column  one sum in order, in f32
//! unit vector             v / norm, a division per component; a vector whose norm is 0 or no number stays as it is
//! f32 to f16              whole groups of 8: ties to even (a processor with F16C does those); what is left of the vector: ties away
//!                         from zero. FP16 column: always away. Storage as FP16 (`flat_data_type`): before and after normalisation
//! rotation (INT8, INT4)   before normalisation: a transform is sums and differences of pairs, near ones first, then a factor
//! INT8, INT4              scale = 254 or 15 / max(max − min, ε), bias = −min·scale − 127 or 8, r = round(v·scale + bias), half away
//!                         from zero; the code is the low byte or nibble of r as i32 (r leaves the range when v is far larger than max − min);
//!                         1/scale, −bias/scale, Σr, Σr² in order in f32; INT8: Σcode as i32; INT4 of IP and COSINE: 0 for Σr²
//! u8                      cut towards zero, 0 to 255
//! ```

use half::f16;

use crate::format::proxima::encoding::half_away;
use crate::format::proxima::fault::at;
use crate::format::proxima::rotation::Rotation;
use crate::format::proxima::sparse::Record;
use crate::format::value::Value;
use crate::format::{FormatError, Result};

/// Components that are converted to half precision together.
const GROUP: usize = 8;
const NO_VALUE: &str = "proxima.bad-vector";

/// What becomes of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::format::proxima) enum Form {
    /// FP32 as it is.
    Fp32,
    /// An FP16 column as it is.
    Fp16Column,
    /// INT8 as it is.
    Int8Column,
    /// FP32 to half precision, after normalisation.
    Half,
    /// FP32 to half precision, before normalisation and again after it.
    HalfStorage,
    /// FP32 to unsigned bytes.
    Byte,
    /// FP32 to bytes with a scale.
    Int8,
    /// FP32 to nibbles with a scale; with Σr² or without.
    Int4 {
        /// Whether Σr² is stored.
        squares: bool,
    },
    /// Sparse FP32 as it is.
    SparseFp32,
    /// A sparse FP16 column as it is.
    SparseFp16Column,
    /// Sparse FP32 to half precision.
    SparseHalf,
    /// Elements that are encoded already.
    Copy,
    /// Sparse records that are encoded already, with values of this many bytes.
    SparseCopy(usize),
}

/// What a row holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input<'a> {
    /// A vector.
    Value(&'a Value),
    /// An element, or a sparse record with or without its padding.
    Element(&'a [u8]),
}

/// Encodes the vectors of one file.
#[derive(Debug, Clone)]
pub(in crate::format::proxima) struct Encoder {
    form: Form,
    cosine: bool,
    dimension: usize,
    /// Applied to what is quantised.
    rotation: Option<Rotation>,
    scratch: Vec<f32>,
}

impl Encoder {
    pub(in crate::format::proxima) fn new(form: Form, cosine: bool, dimension: u32) -> Self {
        Self { form, cosine, dimension: at(dimension.into()), rotation: None, scratch: Vec::new() }
    }

    /// The same for rotated elements.
    pub(in crate::format::proxima) fn rotated(self, rotation: Rotation) -> Self {
        Self { rotation: Some(rotation), ..self }
    }

    /// Whether `input` is what an element of `size` bytes can be made of.
    pub(super) fn check(&self, input: Input, size: u64) -> Result<()> {
        let bytes = match input {
            Input::Value(value) => return self.check_value(value),
            Input::Element(bytes) => bytes,
        };
        if let Some(unit) = self.sparse_unit() {
            return Record::parse(bytes, 0, unit).map(drop);
        }
        if bytes.len() as u64 == size {
            return Ok(());
        }
        let detail = format!("an element of {} bytes, {size} expected", bytes.len());
        Err(FormatError::malformed(NO_VALUE, 0, detail))
    }

    fn sparse_unit(&self) -> Option<usize> {
        match self.form {
            Form::SparseFp32 => Some(4),
            Form::SparseFp16Column | Form::SparseHalf => Some(2),
            Form::SparseCopy(unit) => Some(unit),
            _ => None,
        }
    }

    fn check_value(&self, value: &Value) -> Result<()> {
        let (kind, found) = match (self.form, value) {
            (Form::Fp16Column, Value::F16s(values)) => ("FP16", Some(values.len())),
            (Form::Fp16Column, _) => ("FP16", None),
            (Form::Int8Column, Value::I8s(values)) => ("INT8", Some(values.len())),
            (Form::Int8Column, _) => ("INT8", None),
            (Form::SparseFp32 | Form::SparseHalf, Value::SparseF32(values)) => return ascending(values),
            (Form::SparseFp16Column, Value::SparseF16(values)) => return ascending(values),
            (Form::SparseFp32 | Form::SparseHalf, _) => ("sparse FP32", None),
            (Form::SparseFp16Column, _) => ("sparse FP16", None),
            (Form::Copy | Form::SparseCopy(_), _) => ("encoded", None),
            (_, Value::F32s(values)) => ("FP32", Some(values.len())),
            _ => ("FP32", None),
        };
        let detail = match found {
            Some(found) if found == self.dimension => return Ok(()),
            Some(found) => format!("a vector of {found} components, {} expected", self.dimension),
            None => format!("a value that is no {kind} vector"),
        };
        Err(FormatError::malformed(NO_VALUE, 0, detail))
    }

    /// Encodes a dense vector that has passed the check into `out`, the bytes of one element.
    pub(super) fn dense(&mut self, input: Input, out: &mut [u8]) {
        let mut out = Out(out);
        let value = match input {
            Input::Value(value) => value,
            Input::Element(bytes) => return out.put(bytes),
        };
        match (self.form, value) {
            (Form::Int8Column, Value::I8s(values)) => values.iter().for_each(|value| out.put(&value.to_le_bytes())),
            (Form::Fp16Column, Value::F16s(values)) => fp16_column(values, self.cosine, &mut out),
            (_, Value::F32s(values)) => {
                let mut vector = std::mem::take(&mut self.scratch);
                vector.clear();
                vector.extend_from_slice(values);
                self.floats(&mut vector, &mut out);
                self.scratch = vector;
            }
            // Ruled out by the check.
            _ => {}
        }
    }

    fn floats(&self, vector: &mut [f32], out: &mut Out) {
        if self.form == Form::HalfStorage {
            let halves: Vec<f16> = to_halves(vector).collect();
            vector.iter_mut().zip(halves).for_each(|(value, half)| *value = half.to_f32());
        }
        if let Some(rotation) = &self.rotation {
            rotation.apply(vector);
        }
        let norm = self.cosine.then(|| {
            let norm = square_sum(vector).sqrt();
            normalise(vector, norm);
            norm
        });
        self.put(vector, norm, out);
    }

    /// Encodes a vector, normalising it first under COSINE.
    pub(in crate::format::proxima) fn whole(&self, vector: &mut [f32], out: &mut [u8]) {
        self.floats(vector, &mut Out(out));
    }

    /// Encodes a vector that needs no normalisation any more, with this norm behind it.
    pub(in crate::format::proxima) fn finished(&self, vector: &[f32], norm: Option<f32>, out: &mut [u8]) {
        self.put(vector, norm, &mut Out(out));
    }

    fn put(&self, vector: &[f32], norm: Option<f32>, out: &mut Out) {
        match self.form {
            Form::Half | Form::HalfStorage => to_halves(vector).for_each(|half| out.put(&half.to_le_bytes())),
            // `as` cuts towards zero, keeps within 0 and 255, and makes 0 of what is no number.
            Form::Byte => vector.iter().for_each(|&value| out.put(&[value as u8])),
            Form::Int8 => {
                let quantised = Quantised::new(vector, 254.0, 127.0);
                let sum = quantised.codes(vector).fold(0i32, |sum, code| {
                    let code = code as i8;
                    out.put(&code.to_le_bytes());
                    sum.wrapping_add(code.into())
                });
                quantised.put_words(vector, true, out);
                out.put(&sum.to_le_bytes());
            }
            Form::Int4 { squares } => {
                let quantised = Quantised::new(vector, 15.0, 8.0);
                let mut codes = quantised.codes(vector).map(|code| code as u8 & 15);
                while let Some(low) = codes.next() {
                    out.put(&[low | codes.next().unwrap_or(0) << 4]);
                }
                quantised.put_words(vector, squares, out);
            }
            _ => vector.iter().for_each(|value| out.put(&value.to_le_bytes())),
        }
        if let Some(norm) = norm {
            out.put(&norm.to_le_bytes());
        }
    }

    /// Appends the record of a sparse vector that has passed the check to `out`, and returns its number of non-zeros.
    pub(super) fn sparse(&self, input: Input, out: &mut Vec<u8>) -> Result<u32> {
        match input {
            Input::Value(Value::SparseF32(values)) => {
                let count = sparse_head(|| values.iter().map(|(index, _)| *index), out)?;
                let values: Vec<f32> = values.iter().map(|(_, value)| *value).collect();
                if self.form == Form::SparseHalf {
                    out.extend(to_halves(&values).flat_map(f16::to_le_bytes));
                } else {
                    out.extend(values.into_iter().flat_map(f32::to_le_bytes));
                }
                Ok(count)
            }
            Input::Value(Value::SparseF16(values)) => {
                let count = sparse_head(|| values.iter().map(|(index, _)| *index), out)?;
                out.extend(values.iter().flat_map(|(_, value)| value.to_le_bytes()));
                Ok(count)
            }
            Input::Element(bytes) => {
                let record = Record::parse(bytes, 0, self.sparse_unit().unwrap_or(4))?;
                out.extend(bytes.iter().take(at(record.used)));
                number(record.indices().len())
            }
            // Ruled out by the check.
            Input::Value(_) => Ok(0),
        }
    }
}

/// The rest of an element.
struct Out<'a>(&'a mut [u8]);

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let rest = std::mem::take(&mut self.0);
        if let Some((place, rest)) = rest.split_at_mut_checked(bytes.len()) {
            place.copy_from_slice(bytes);
            self.0 = rest;
        }
    }
}

fn ascending<T>(values: &[(u32, T)]) -> Result<()> {
    if values.is_sorted_by(|a, b| a.0 < b.0) {
        return Ok(());
    }
    Err(FormatError::malformed(NO_VALUE, 0, "a sparse vector whose indices do not ascend"))
}

fn fp16_column(values: &[f16], cosine: bool, out: &mut Out) {
    if !cosine {
        values.iter().for_each(|value| out.put(&value.to_le_bytes()));
        return;
    }
    let norm = values.iter().fold(0f32, |sum, value| sum + value.to_f32() * value.to_f32()).sqrt();
    let mut vector: Vec<f32> = values.iter().map(|value| value.to_f32()).collect();
    normalise(&mut vector, norm);
    vector.into_iter().for_each(|value| out.put(&half_away(value).to_le_bytes()));
    out.put(&norm.to_le_bytes());
}

fn square_sum(vector: &[f32]) -> f32 {
    let mut sums = [0f32; 4];
    for group in vector.chunks(4) {
        sums.iter_mut().zip(group).for_each(|(sum, value)| *sum += value * value);
    }
    let [a, b, c, d] = sums;
    (a + c) + (b + d)
}

fn normalise(vector: &mut [f32], norm: f32) {
    if norm > 0.0 {
        vector.iter_mut().for_each(|value| *value /= norm);
    }
}

fn to_halves(vector: &[f32]) -> impl Iterator<Item = f16> {
    let (groups, rest) = vector.as_chunks::<GROUP>();
    let groups = groups.as_flattened().iter().map(|value| f16::from_f32(*value));
    groups.chain(rest.iter().map(|value| half_away(*value)))
}

/// Scale and bias of one row.
struct Quantised {
    scale: f32,
    bias: f32,
}

impl Quantised {
    fn new(vector: &[f32], range: f32, lowest: f32) -> Self {
        let (mut max, mut min) = (-f32::MAX, f32::MAX);
        for &value in vector {
            if max < value {
                max = value;
            }
            if value < min {
                min = value;
            }
        }
        let span = max - min;
        let scale = range / if span < f32::EPSILON { f32::EPSILON } else { span };
        Self { scale, bias: -min * scale - lowest }
    }

    fn rounded(&self, vector: &[f32]) -> impl Iterator<Item = f32> {
        vector.iter().map(|value| (value * self.scale + self.bias).round())
    }

    /// As i32, the way the processor converts: what does not fit is the smallest number.
    fn codes(&self, vector: &[f32]) -> impl Iterator<Item = i32> {
        let limit = 2f32.powi(31);
        self.rounded(vector).map(move |value| if value >= -limit && value < limit { value as i32 } else { i32::MIN })
    }

    fn put_words(&self, vector: &[f32], squares: bool, out: &mut Out) {
        let (mut sum, mut square_sum) = (0f32, 0f32);
        for value in self.rounded(vector) {
            sum += value;
            square_sum += value * value;
        }
        for word in [1.0 / self.scale, -self.bias / self.scale, sum, if squares { square_sum } else { 0.0 }] {
            out.put(&word.to_le_bytes());
        }
    }
}

/// Everything of a record but its values.
fn sparse_head<I: Iterator<Item = u32>>(indices: impl Fn() -> I, out: &mut Vec<u8>) -> Result<u32> {
    let mut groups: Vec<(u32, u32)> = Vec::new();
    for index in indices() {
        match groups.last_mut() {
            Some((id, count)) if *id == index >> 16 => *count += 1,
            _ => groups.push((index >> 16, 1)),
        }
    }
    let count = number(indices().count())?;
    out.extend(count.to_le_bytes());
    out.extend(number(groups.len())?.to_le_bytes());
    out.extend(groups.iter().flat_map(|(id, _)| id.to_le_bytes()));
    out.extend(groups.iter().flat_map(|(_, count)| count.to_le_bytes()));
    // The low half.
    out.extend(indices().flat_map(|index| (index as u16).to_le_bytes()));
    Ok(count)
}

fn number(count: usize) -> Result<u32> {
    u32::try_from(count).map_err(|_| FormatError::unsupported("sparse.too-large", 0, "2^32 non-zeros or more"))
}
