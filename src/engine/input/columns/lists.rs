//! Lists out of Arrow arrays: array fields, dense and sparse vectors.

use std::ops::Range;

use arrow_array::{Array, ArrayRef, cast::AsArray};
use arrow_schema::DataType as ArrowType;

use super::element::{Element, Fault};
use crate::format::value::Value;

/// Lists of any layout: all elements in one array, and where those of a row are.
enum Lists<'a> {
    Small(&'a [i32], &'a ArrayRef),
    Large(&'a [i64], &'a ArrayRef),
    Fixed(usize, &'a ArrayRef),
}

impl<'a> Lists<'a> {
    fn of(array: &'a dyn Array) -> Option<Self> {
        Some(match array.data_type() {
            ArrowType::List(_) => {
                let lists = array.as_list_opt::<i32>()?;
                Self::Small(lists.value_offsets(), lists.values())
            }
            ArrowType::LargeList(_) => {
                let lists = array.as_list_opt::<i64>()?;
                Self::Large(lists.value_offsets(), lists.values())
            }
            ArrowType::FixedSizeList(_, length) => {
                // Those of a slice are sliced, too.
                Self::Fixed(usize::try_from(*length).ok()?, array.as_fixed_size_list_opt()?.values())
            }
            _ => return None,
        })
    }

    fn elements(&self) -> &'a dyn Array {
        match *self {
            Self::Small(_, elements) | Self::Large(_, elements) | Self::Fixed(_, elements) => elements.as_ref(),
        }
    }

    /// Where the elements of a row are. Offsets ascend and end within the elements: the arrays hold that.
    fn range(&self, row: usize) -> Range<usize> {
        fn between<T: TryInto<usize> + Copy>(offsets: &[T], row: usize) -> Range<usize> {
            let at = |row: usize| offsets.get(row).and_then(|offset| (*offset).try_into().ok()).unwrap_or(0);
            at(row)..at(row + 1)
        }
        match self {
            Self::Small(offsets, _) => between(offsets, row),
            Self::Large(offsets, _) => between(offsets, row),
            Self::Fixed(length, _) => row * length..(row + 1) * length,
        }
    }

    /// The elements of a row; `None` if their type does not fit.
    fn read<T: Element>(&self, row: usize) -> Option<Result<Vec<T>, Fault>> {
        let (range, elements) = (self.range(row), self.elements());
        if let Some(nulls) = elements.nulls().filter(|nulls| nulls.null_count() > 0)
            && let Some(at) = range.clone().find(|at| nulls.is_null(*at))
        {
            let why = format!("element {} is null", at - range.start + 1);
            return Some(Err(Fault::new("value.null-element", why)));
        }
        if let Some(all) = T::slice(elements) {
            return Some(Ok(all.get(range)?.to_vec()));
        }
        let (mut values, mut fault) = (Vec::with_capacity(range.len()), None);
        T::each(elements, range, |value| match value {
            Ok(value) => values.push(value),
            Err(found) => fault = fault.take().or(Some(found)),
        })?;
        Some(fault.map_or(Ok(values), Err))
    }

    /// Whether elements of this type can be read at all.
    fn hold<T: Element>(&self) -> Option<()> {
        T::each(self.elements(), 0..0, |_| {})
    }
}

/// A column of lists.
pub(super) fn arrays<T: Element>(
    array: &dyn Array,
    value: fn(Vec<T>) -> Value,
    put: &mut dyn FnMut(usize, Result<Value, Fault>),
) -> Option<()> {
    let lists = Lists::of(array)?;
    lists.hold::<T>()?;
    for row in 0..array.len() {
        let found = if array.is_null(row) { Ok(Value::Null) } else { lists.read::<T>(row)?.map(value) };
        put(row, found);
    }
    Some(())
}

/// A column of index-value pairs.
pub(super) fn sparse<T: Element>(
    array: &dyn Array,
    value: fn(Vec<(u32, T)>) -> Value,
    put: &mut dyn FnMut(usize, Result<Value, Fault>),
) -> Option<()> {
    if let Some(map) = array.as_map_opt() {
        let (indices, values) = (map.keys(), map.values());
        let indices = Lists::Small(map.value_offsets(), indices);
        let values = Lists::Small(map.value_offsets(), values);
        return pairs(array, |_| false, (indices, values), value, put);
    }
    let parts = array.as_struct_opt()?;
    if parts.num_columns() != 2 {
        return None;
    }
    let (indices, values) = (parts.column_by_name("indices")?, parts.column_by_name("values")?);
    let missing = |row: usize| indices.is_null(row) || values.is_null(row);
    pairs(array, missing, (Lists::of(indices)?, Lists::of(values)?), value, put)
}

fn pairs<T: Element>(
    array: &dyn Array,
    missing: impl Fn(usize) -> bool,
    (indices, values): (Lists<'_>, Lists<'_>),
    value: fn(Vec<(u32, T)>) -> Value,
    put: &mut dyn FnMut(usize, Result<Value, Fault>),
) -> Option<()> {
    indices.hold::<u32>()?;
    values.hold::<T>()?;
    for row in 0..array.len() {
        if array.is_null(row) {
            put(row, Ok(Value::Null));
            continue;
        }
        if missing(row) {
            put(row, Err(Fault::new("value.null-element", "its indices or its values are null")));
            continue;
        }
        let found = match (indices.read::<u32>(row)?, values.read::<T>(row)?) {
            (Err(fault), _) | (_, Err(fault)) => Err(fault),
            (Ok(indices), Ok(values)) if indices.len() != values.len() => {
                let why = format!("{} indices and {} values", indices.len(), values.len());
                Err(Fault::new("value.sparse-index", why))
            }
            (Ok(indices), Ok(values)) => Ok(value(indices.into_iter().zip(values).collect())),
        };
        put(row, found);
    }
    Some(())
}
