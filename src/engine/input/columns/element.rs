//! Single values out of Arrow arrays: which types become which, and when a value does not fit.

use std::ops::Range;

use arrow_array::{
    Array, ArrowPrimitiveType,
    cast::AsArray,
    types::{
        ByteArrayType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
        UInt16Type, UInt32Type, UInt64Type,
    },
};
use arrow_schema::DataType as ArrowType;
use half::f16;

use crate::format::proxima::encoding::half_away;

/// Why a value does not fit its field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) why: String,
}

impl Fault {
    pub(super) fn new(code: &'static str, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

fn out_of_range(value: impl std::fmt::Display, kind: &str) -> Fault {
    Fault::new("value.out-of-range", format!("{value} is out of the range of {kind}, or would lose digits"))
}

/// A type that values and elements of lists have.
pub(super) trait Element: Sized + Clone {
    /// Gives the elements in `range` to `put`, whatever stands where they are null; `None` if the array is of a type that does not fit.
    fn each(array: &dyn Array, range: Range<usize>, put: impl FnMut(Result<Self, Fault>)) -> Option<()>;

    /// The array's elements where they are of this very type.
    fn slice(_array: &dyn Array) -> Option<&[Self]> {
        None
    }
}

/// The elements of a primitive array, each through `convert`.
fn numbers<S: ArrowPrimitiveType, T>(
    array: &dyn Array,
    range: Range<usize>,
    mut put: impl FnMut(Result<T, Fault>),
    convert: impl Fn(S::Native) -> Result<T, Fault>,
) -> Option<()> {
    let values = array.as_primitive_opt::<S>()?.values();
    values.get(range)?.iter().for_each(|value| put(convert(*value)));
    Some(())
}

/// Calls `numbers` with the source type of an integer array, else goes on with `other`.
macro_rules! integers {
    ($array:ident, $range:ident, $put:ident, $convert:expr, $other:expr) => {
        match $array.data_type() {
            ArrowType::Int8 => numbers::<Int8Type, Self>($array, $range, $put, $convert),
            ArrowType::Int16 => numbers::<Int16Type, Self>($array, $range, $put, $convert),
            ArrowType::Int32 => numbers::<Int32Type, Self>($array, $range, $put, $convert),
            ArrowType::Int64 => numbers::<Int64Type, Self>($array, $range, $put, $convert),
            ArrowType::UInt8 => numbers::<UInt8Type, Self>($array, $range, $put, $convert),
            ArrowType::UInt16 => numbers::<UInt16Type, Self>($array, $range, $put, $convert),
            ArrowType::UInt32 => numbers::<UInt32Type, Self>($array, $range, $put, $convert),
            ArrowType::UInt64 => numbers::<UInt64Type, Self>($array, $range, $put, $convert),
            _ => $other,
        }
    };
}

macro_rules! integer_elements {
    ($($native:ty = $arrow:ty),*) => {$(
        impl Element for $native {
            fn each(array: &dyn Array, range: Range<usize>, put: impl FnMut(Result<Self, Fault>)) -> Option<()> {
                integers!(
                    array, range, put,
                    |value| Self::try_from(value).map_err(|_| out_of_range(value, stringify!($native))),
                    None
                )
            }

            fn slice(array: &dyn Array) -> Option<&[Self]> {
                Some(array.as_primitive_opt::<$arrow>()?.values())
            }
        }
    )*};
}

integer_elements!(i8 = Int8Type, i16 = Int16Type, i32 = Int32Type, i64 = Int64Type, u32 = UInt32Type, u64 = UInt64Type);

/// An f64 as an f32: rounded to the nearest, but never to infinity.
fn narrow(value: f64) -> Result<f32, Fault> {
    let narrow = value as f32;
    if narrow.is_infinite() && value.is_finite() { Err(out_of_range(value, "f32")) } else { Ok(narrow) }
}

fn halve(value: f32) -> Result<f16, Fault> {
    let half = half_away(value);
    if half.is_infinite() && value.is_finite() { Err(out_of_range(value, "f16")) } else { Ok(half) }
}

impl Element for f32 {
    fn each(array: &dyn Array, range: Range<usize>, put: impl FnMut(Result<Self, Fault>)) -> Option<()> {
        integers!(
            array,
            range,
            put,
            |value| {
                let float = value as f32;
                if float as i128 == i128::from(value) { Ok(float) } else { Err(out_of_range(value, "f32")) }
            },
            match array.data_type() {
                ArrowType::Float16 => numbers::<Float16Type, _>(array, range, put, |value| Ok(value.to_f32())),
                ArrowType::Float32 => numbers::<Float32Type, _>(array, range, put, Ok),
                ArrowType::Float64 => numbers::<Float64Type, _>(array, range, put, narrow),
                _ => None,
            }
        )
    }

    fn slice(array: &dyn Array) -> Option<&[Self]> {
        Some(array.as_primitive_opt::<Float32Type>()?.values())
    }
}

impl Element for f64 {
    fn each(array: &dyn Array, range: Range<usize>, put: impl FnMut(Result<Self, Fault>)) -> Option<()> {
        integers!(
            array,
            range,
            put,
            |value| {
                let float = value as f64;
                if float as i128 == i128::from(value) { Ok(float) } else { Err(out_of_range(value, "f64")) }
            },
            match array.data_type() {
                ArrowType::Float16 => numbers::<Float16Type, _>(array, range, put, |value| Ok(value.to_f64())),
                ArrowType::Float32 => numbers::<Float32Type, _>(array, range, put, |value| Ok(f64::from(value))),
                ArrowType::Float64 => numbers::<Float64Type, _>(array, range, put, Ok),
                _ => None,
            }
        )
    }

    fn slice(array: &dyn Array) -> Option<&[Self]> {
        Some(array.as_primitive_opt::<Float64Type>()?.values())
    }
}

impl Element for f16 {
    fn each(array: &dyn Array, range: Range<usize>, put: impl FnMut(Result<Self, Fault>)) -> Option<()> {
        integers!(
            array,
            range,
            put,
            |value| {
                let half = halve(value as f32)?;
                if half.to_f32() as i128 == i128::from(value) { Ok(half) } else { Err(out_of_range(value, "f16")) }
            },
            match array.data_type() {
                ArrowType::Float16 => numbers::<Float16Type, _>(array, range, put, Ok),
                ArrowType::Float32 => numbers::<Float32Type, _>(array, range, put, halve),
                ArrowType::Float64 => numbers::<Float64Type, _>(array, range, put, |value| halve(narrow(value)?)),
                _ => None,
            }
        )
    }

    fn slice(array: &dyn Array) -> Option<&[Self]> {
        Some(array.as_primitive_opt::<Float16Type>()?.values())
    }
}

impl Element for bool {
    fn each(array: &dyn Array, range: Range<usize>, mut put: impl FnMut(Result<Self, Fault>)) -> Option<()> {
        let array = array.as_boolean_opt()?;
        range.for_each(|at| put(Ok(array.value(at))));
        Some(())
    }
}

impl Element for Vec<u8> {
    fn each(array: &dyn Array, range: Range<usize>, mut put: impl FnMut(Result<Self, Fault>)) -> Option<()> {
        fn offsets<T: ByteArrayType>(
            array: &dyn Array,
            range: Range<usize>,
            mut put: impl FnMut(Result<Vec<u8>, Fault>),
        ) -> Option<()> {
            let array = array.as_bytes_opt::<T>()?;
            range.for_each(|at| put(Ok(AsRef::<[u8]>::as_ref(array.value(at)).to_vec())));
            Some(())
        }
        use arrow_array::types::{BinaryType, LargeBinaryType, LargeUtf8Type, Utf8Type};
        match array.data_type() {
            ArrowType::Utf8 => offsets::<Utf8Type>(array, range, put),
            ArrowType::LargeUtf8 => offsets::<LargeUtf8Type>(array, range, put),
            ArrowType::Binary => offsets::<BinaryType>(array, range, put),
            ArrowType::LargeBinary => offsets::<LargeBinaryType>(array, range, put),
            ArrowType::Utf8View => {
                let array = array.as_string_view_opt()?;
                range.for_each(|at| put(Ok(array.value(at).as_bytes().to_vec())));
                Some(())
            }
            ArrowType::BinaryView => {
                let array = array.as_binary_view_opt()?;
                range.for_each(|at| put(Ok(array.value(at).to_vec())));
                Some(())
            }
            ArrowType::FixedSizeBinary(_) => {
                let array = array.as_fixed_size_binary_opt()?;
                range.for_each(|at| put(Ok(array.value(at).to_vec())));
                Some(())
            }
            _ => None,
        }
    }
}
