//! JSON text to a value of a given type.

use std::str::FromStr;

use base64::{Engine, engine::general_purpose::STANDARD};
use half::f16;

use super::{DataType, JsonReader, Value};
use crate::format::{FormatError, Result};

/// Parses JSON text as a value of `data_type`. `null` is [`Value::Null`], for any type.
///
/// Codes: `json.syntax`, `value.wrong-type`, `value.out-of-range`, `value.sparse-index`, `value.base64`,
/// `value.unsupported-type`; offsets are those in the text.
pub fn parse_value(text: &[u8], data_type: DataType) -> Result<Value> {
    let mut reader = JsonReader::new(text);
    let value = read_value(&mut reader, data_type)?;
    reader.finish()?;
    Ok(value)
}

/// Reads the value that comes next, like [`parse_value`].
pub fn read_value(reader: &mut JsonReader<'_>, data_type: DataType) -> Result<Value> {
    if reader.take_word("null") {
        return Ok(Value::Null);
    }
    Ok(match data_type {
        DataType::Bool => Value::Bool(boolean(reader)?),
        DataType::Int32 => Value::I32(integer(reader)?),
        DataType::Int64 => Value::I64(integer(reader)?),
        DataType::Uint32 => Value::U32(integer(reader)?),
        DataType::Uint64 => Value::U64(integer(reader)?),
        DataType::Float => Value::F32(float(reader)?),
        DataType::Double => Value::F64(float(reader)?),
        DataType::String => Value::Bytes(text(reader)?),
        DataType::Binary => Value::Bytes(binary(reader)?),
        DataType::ArrayBool => Value::Bools(array(reader, boolean)?),
        DataType::ArrayInt32 => Value::I32s(array(reader, integer)?),
        DataType::ArrayInt64 => Value::I64s(array(reader, integer)?),
        DataType::ArrayUint32 | DataType::VectorBinary32 => Value::U32s(array(reader, integer)?),
        DataType::ArrayUint64 | DataType::VectorBinary64 => Value::U64s(array(reader, integer)?),
        DataType::ArrayFloat | DataType::VectorFp32 => Value::F32s(array(reader, float)?),
        DataType::ArrayDouble | DataType::VectorFp64 => Value::F64s(array(reader, float)?),
        DataType::ArrayString => Value::ByteStrings(array(reader, text)?),
        DataType::ArrayBinary => Value::ByteStrings(array(reader, binary)?),
        DataType::VectorFp16 => Value::F16s(array(reader, half_float)?),
        DataType::VectorInt4 => Value::I8s(array(reader, nibble)?),
        DataType::VectorInt8 => Value::I8s(array(reader, integer)?),
        DataType::VectorInt16 => Value::I16s(array(reader, integer)?),
        DataType::SparseVectorFp32 => Value::SparseF32(sparse(reader, float)?),
        DataType::SparseVectorFp16 => Value::SparseF16(sparse(reader, half_float)?),
        DataType::Undefined | DataType::VectorUint8 => {
            let detail = format!("no field can be of type {}", data_type.as_str_name());
            return Err(FormatError::unsupported("value.unsupported-type", reader.offset(), detail));
        }
    })
}

fn wrong_type(reader: &mut JsonReader<'_>, expected: &str) -> FormatError {
    let error = reader.expected(expected);
    FormatError { code: "value.wrong-type", ..error }
}

fn out_of_range(offset: u64, number: &str, kind: &str) -> FormatError {
    FormatError::malformed("value.out-of-range", offset, format!("{number} is out of the range of {kind}"))
}

fn boolean(reader: &mut JsonReader<'_>) -> Result<bool> {
    if reader.take_word("true") {
        Ok(true)
    } else if reader.take_word("false") {
        Ok(false)
    } else {
        Err(wrong_type(reader, "true or false"))
    }
}

/// The text of the number that comes next, and its offset.
fn number<'a>(reader: &mut JsonReader<'a>) -> Result<(u64, &'a str)> {
    match reader.peek() {
        Some(b'-' | b'0'..=b'9') => Ok((reader.offset(), reader.number()?)),
        _ => Err(wrong_type(reader, "a number")),
    }
}

fn integer<T: FromStr>(reader: &mut JsonReader<'_>) -> Result<T> {
    let (offset, text) = number(reader)?;
    if text.contains(['.', 'e', 'E']) {
        let detail = format!("an integer expected, {text} found");
        return Err(FormatError::malformed("value.wrong-type", offset, detail));
    }
    let kind = std::any::type_name::<T>();
    // "-0" is an integer in JSON; unsigned types do not parse it.
    let text = if text == "-0" { "0" } else { text };
    text.parse().map_err(|_| out_of_range(offset, text, kind))
}

fn nibble(reader: &mut JsonReader<'_>) -> Result<i8> {
    reader.peek();
    let offset = reader.offset();
    let value = integer(reader)?;
    if (-8..8).contains(&value) { Ok(value) } else { Err(out_of_range(offset, &value.to_string(), "int4")) }
}

/// What floats of both sizes have in common here.
trait Float: FromStr + Copy {
    fn special(name: &str) -> Option<Self>;
    fn finite(self) -> bool;
}

macro_rules! floats {
    ($($ty:ident)*) => {$(
        impl Float for $ty {
            fn special(name: &str) -> Option<Self> {
                match name {
                    "NaN" => Some($ty::NAN),
                    "Infinity" => Some($ty::INFINITY),
                    "-Infinity" => Some($ty::NEG_INFINITY),
                    _ => None,
                }
            }

            fn finite(self) -> bool {
                self.is_finite()
            }
        }
    )*};
}

floats!(f32 f64);

fn float<T: Float>(reader: &mut JsonReader<'_>) -> Result<T> {
    if reader.peek() == Some(b'"') {
        let mut ahead = reader.clone();
        let name = ahead.string()?;
        let value = T::special(&name).ok_or_else(|| wrong_type(reader, "a number, \"NaN\" or \"Infinity\""))?;
        *reader = ahead;
        return Ok(value);
    }
    let (offset, text) = number(reader)?;
    let kind = std::any::type_name::<T>();
    text.parse().ok().filter(|value: &T| value.finite()).ok_or_else(|| out_of_range(offset, text, kind))
}

/// As zvec's Python binding converts: to an f64, then to an f16. Exact for every decimal that [`super::write_value`] prints.
fn half_float(reader: &mut JsonReader<'_>) -> Result<f16> {
    reader.peek();
    let offset = reader.offset();
    let wide: f64 = float(reader)?;
    let value = f16::from_f64(wide);
    if wide.is_finite() && !value.is_finite() {
        return Err(out_of_range(offset, &wide.to_string(), "f16"));
    }
    Ok(value)
}

fn text(reader: &mut JsonReader<'_>) -> Result<Vec<u8>> {
    match reader.peek() {
        Some(b'"') => Ok(reader.string()?.into_owned().into_bytes()),
        Some(b'{') => {
            let mut bytes = None;
            reader.object(|reader, key| {
                if key != "base64" || bytes.is_some() {
                    return Err(wrong_type(reader, "a string or {\"base64\": …}"));
                }
                bytes = Some(binary(reader)?);
                Ok(())
            })?;
            bytes.ok_or_else(|| wrong_type(reader, "a string or {\"base64\": …} before this"))
        }
        _ => Err(wrong_type(reader, "a string")),
    }
}

fn binary(reader: &mut JsonReader<'_>) -> Result<Vec<u8>> {
    if reader.peek() != Some(b'"') {
        return Err(wrong_type(reader, "a string of base64"));
    }
    let offset = reader.offset();
    let text = reader.string()?;
    STANDARD
        .decode(text.as_bytes())
        .map_err(|error| FormatError::malformed("value.base64", offset, format!("not base64: {error}")))
}

fn array<T>(reader: &mut JsonReader<'_>, element: impl Fn(&mut JsonReader<'_>) -> Result<T>) -> Result<Vec<T>> {
    if reader.peek() != Some(b'[') {
        return Err(wrong_type(reader, "an array"));
    }
    let mut values = Vec::new();
    reader.array(|reader| {
        values.push(element(reader)?);
        Ok(())
    })?;
    Ok(values)
}

fn sparse<T>(reader: &mut JsonReader<'_>, value: impl Fn(&mut JsonReader<'_>) -> Result<T>) -> Result<Vec<(u32, T)>> {
    if reader.peek() != Some(b'{') {
        return Err(wrong_type(reader, "an object of index and value"));
    }
    let offset = reader.offset();
    let mut pairs: Vec<(u32, T)> = Vec::new();
    reader.object(|reader, key| {
        let digits = key.bytes().all(|byte| byte.is_ascii_digit()) && (key == "0" || !key.starts_with('0'));
        let index = key.parse().ok().filter(|_| digits).ok_or_else(|| {
            let detail = format!("{key:?} is no index: a decimal below 2^32 expected");
            FormatError::malformed("value.sparse-index", reader.offset(), detail)
        })?;
        pairs.push((index, value(reader)?));
        Ok(())
    })?;
    pairs.sort_by_key(|(index, _)| *index);
    let twice = pairs.iter().zip(pairs.iter().skip(1)).find(|((a, _), (b, _))| a == b);
    match twice {
        Some(((index, _), _)) => {
            Err(FormatError::malformed("value.sparse-index", offset, format!("index {index} occurs twice")))
        }
        None => Ok(pairs),
    }
}
