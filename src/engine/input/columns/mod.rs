//! Documents from columns: batches of rows of Parquet and Arrow IPC.
//!
//! A column belongs to the field of its name; every column must have one. Null is null, a field without a column is not given.
//!
//! ```text
//! key                     column named by the caller, else _zvec_uid_, else id (unless the schema has a field id); text
//! STRING, BINARY          Utf8, Binary of any layout; dictionaries of them
//! BOOL                    Boolean
//! INT32 … UINT64          any integer; out of range: that document is refused
//! FLOAT, DOUBLE           any float; DOUBLE into FLOAT is rounded to the nearest, as zvec's Python does, and refused where that is infinite; integers
//!                         that it holds exactly
//! ARRAY_*, dense vectors  List, LargeList, FixedSizeList of these; no null inside. Into half precision zvec's own rounding
//! sparse vectors          Struct { indices: list of integers, values: list of floats }, which `export` writes, or Map of integer to float
//! ```

mod element;
mod lists;

use std::{ops::Range, sync::Arc};

use arrow_array::{Array, RecordBatch, cast::AsArray};
use arrow_schema::{DataType as ArrowType, Schema as ArrowSchema};
use half::f16;

use super::{InputError, InputOptions, Item, Named, Place};
use crate::{
    engine::{Doc, Field, Refusal, Schema},
    format::{FormatError, manifest::proto::DataType, value::Value},
};

use self::element::{Element, Fault};

/// Which column becomes what.
pub(super) struct Plan {
    schema: Arc<Schema>,
    id: usize,
    /// Column and position of its field.
    columns: Vec<(usize, usize)>,
}

impl Plan {
    /// Codes: `input.no-id-column`, `input.unknown-column`, `input.duplicate-column`, `input.column-type`.
    pub(super) fn new(
        arrow: &ArrowSchema,
        schema: &Arc<Schema>,
        options: &InputOptions,
        named: &Named,
    ) -> Result<Self, InputError> {
        let wanted = options.id_column.as_deref();
        let id = id_column(arrow, schema, wanted).map_err(|why| named.error("input.no-id-column", why))?;
        let mut columns: Vec<(usize, usize)> = Vec::new();
        for (column, described) in arrow.fields().iter().enumerate() {
            let name = described.name();
            if column == id && !text_type(described.data_type()) {
                let why = format!("the column {name:?} of type {} holds no keys: they are text", described.data_type());
                return Err(named.error("input.column-type", why));
            }
            let field = schema.position(name).and_then(|position| Some((position, schema.fields().get(position)?)));
            let Some((position, field)) = field else {
                if column == id {
                    continue;
                }
                let why = format!("the schema has no field for the column {name:?}");
                return Err(named.error("input.unknown-column", why));
            };
            if columns.iter().any(|(_, taken)| *taken == position) {
                return Err(named.error("input.duplicate-column", format!("there are two columns {name:?}")));
            }
            if !fits(field, described.data_type()) {
                let (wide, narrow) = (described.data_type(), field.data_type.as_str_name());
                let why = format!("the column {name:?} of type {wide} does not fit the field of type {narrow}");
                return Err(named.error("input.column-type", why));
            }
            columns.push((column, position));
        }
        Ok(Self { schema: schema.clone(), id, columns })
    }

    /// Appends the documents of some rows; the first row of the batch is the input's row `first`, counted from 0.
    pub(super) fn documents(
        &self,
        batch: &RecordBatch,
        rows: Range<usize>,
        first: u64,
        into: &mut Vec<Item>,
    ) -> Result<(), FormatError> {
        let batch = batch.slice(rows.start, rows.len());
        let width = self.schema.fields().len();
        let mut found = Rows {
            values: (0..rows.len()).map(|_| vec![None; width]).collect(),
            faults: vec![None; rows.len()],
            position: 0,
        };
        let mut keys = vec![Vec::new(); rows.len()];
        self.keys(&batch, &mut keys, &mut found)?;
        for (column, position) in &self.columns {
            let (Some(array), Some(field)) = (batch.columns().get(*column), self.schema.fields().get(*position)) else {
                return Err(changed());
            };
            found.position = *position;
            convert(field, array.as_ref(), &mut |row, value| found.put(field, row, value)).ok_or_else(changed)?;
        }
        let Rows { values, faults, .. } = found;
        for (row, ((pk, values), fault)) in keys.into_iter().zip(values).zip(faults).enumerate() {
            let place = Place::Row(first + (rows.start + row) as u64 + 1);
            let doc = fault.map_or_else(|| Ok(Doc { pk, values }), |refusal| Err(*refusal));
            into.push(Item { place, doc });
        }
        Ok(())
    }

    fn keys(&self, batch: &RecordBatch, keys: &mut [Vec<u8>], found: &mut Rows) -> Result<(), FormatError> {
        let array = batch.columns().get(self.id).ok_or_else(changed)?;
        let mut put = |row: usize, value: Result<Value, Fault>| match (keys.get_mut(row), value) {
            (Some(key), Ok(Value::Bytes(bytes))) => *key = bytes,
            (_, Ok(_)) => found.refuse(row, || Refusal::new("document.id", "the id is null")),
            (_, Err(fault)) => found.refuse(row, || Refusal::new(fault.code, fault.why)),
        };
        scalars::<Vec<u8>>(array.as_ref(), Value::Bytes, &mut put).ok_or_else(changed)
    }
}

/// The schema of a batch is that of its file: the decoders hold that.
fn changed() -> FormatError {
    FormatError::malformed("input.unreadable", 0, "a batch has other columns than the file's schema")
}

/// Documents under construction.
struct Rows {
    values: Vec<Vec<Option<Value>>>,
    faults: Vec<Option<Box<Refusal>>>,
    /// The field that is filled.
    position: usize,
}

impl Rows {
    fn put(&mut self, field: &Field, row: usize, value: Result<Value, Fault>) {
        match value {
            Ok(value) => {
                if let Some(slot) = self.values.get_mut(row).and_then(|values| values.get_mut(self.position)) {
                    *slot = Some(value);
                }
            }
            Err(fault) => {
                self.refuse(row, || Refusal::new(fault.code, format!("field {:?}: {}", field.name, fault.why)));
            }
        }
    }

    fn refuse(&mut self, row: usize, refusal: impl FnOnce() -> Refusal) {
        if let Some(fault) = self.faults.get_mut(row) {
            fault.get_or_insert_with(|| Box::new(refusal()));
        }
    }
}

fn id_column(arrow: &ArrowSchema, schema: &Schema, wanted: Option<&str>) -> Result<usize, String> {
    let position = |name: &str| arrow.fields().iter().position(|field| field.name() == name);
    match wanted {
        Some(name) => position(name).ok_or_else(|| format!("there is no column {name:?}")),
        None => match (position("_zvec_uid_"), position("id")) {
            (Some(column), _) => Ok(column),
            (None, Some(_)) if schema.position("id").is_some() => {
                Err("the column \"id\" is a field; say which column holds the keys".into())
            }
            (None, Some(column)) => Ok(column),
            (None, None) => Err("there is no column \"id\" or \"_zvec_uid_\" that holds the keys".into()),
        },
    }
}

fn text_type(data_type: &ArrowType) -> bool {
    match data_type {
        ArrowType::Dictionary(_, values) => text_type(values),
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => true,
        // Parquet has no text but bytes that are marked as such.
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView => true,
        _ => false,
    }
}

/// Whether a column of this type can feed the field.
fn fits(field: &Field, data_type: &ArrowType) -> bool {
    let empty = arrow_array::new_empty_array(data_type);
    convert(field, empty.as_ref(), &mut |_, _| {}).is_some()
}

/// Gives the value of every row of a column to `put`; `None` if the column's type is not one that fits the field.
fn convert(field: &Field, array: &dyn Array, put: &mut dyn FnMut(usize, Result<Value, Fault>)) -> Option<()> {
    use DataType as T;
    if array.data_type() == &ArrowType::Null {
        (0..array.len()).for_each(|row| put(row, Ok(Value::Null)));
        return Some(());
    }
    match field.data_type {
        T::Binary | T::String => scalars::<Vec<u8>>(array, Value::Bytes, put),
        T::Bool => scalars::<bool>(array, Value::Bool, put),
        T::Int32 => scalars::<i32>(array, Value::I32, put),
        T::Int64 => scalars::<i64>(array, Value::I64, put),
        T::Uint32 => scalars::<u32>(array, Value::U32, put),
        T::Uint64 => scalars::<u64>(array, Value::U64, put),
        T::Float => scalars::<f32>(array, Value::F32, put),
        T::Double => scalars::<f64>(array, Value::F64, put),
        T::ArrayBinary | T::ArrayString => lists::arrays::<Vec<u8>>(array, Value::ByteStrings, put),
        T::ArrayBool => lists::arrays::<bool>(array, Value::Bools, put),
        T::ArrayInt32 => lists::arrays::<i32>(array, Value::I32s, put),
        T::ArrayInt64 => lists::arrays::<i64>(array, Value::I64s, put),
        T::ArrayUint32 | T::VectorBinary32 => lists::arrays::<u32>(array, Value::U32s, put),
        T::ArrayUint64 | T::VectorBinary64 => lists::arrays::<u64>(array, Value::U64s, put),
        T::ArrayFloat | T::VectorFp32 => lists::arrays::<f32>(array, Value::F32s, put),
        T::ArrayDouble | T::VectorFp64 => lists::arrays::<f64>(array, Value::F64s, put),
        T::VectorFp16 => lists::arrays::<f16>(array, Value::F16s, put),
        T::VectorInt8 | T::VectorInt4 => lists::arrays::<i8>(array, Value::I8s, put),
        T::VectorInt16 => lists::arrays::<i16>(array, Value::I16s, put),
        T::SparseVectorFp32 => lists::sparse::<f32>(array, Value::SparseF32, put),
        T::SparseVectorFp16 => lists::sparse::<f16>(array, Value::SparseF16, put),
        T::Undefined | T::VectorUint8 => None,
    }
}

/// A column of single values.
fn scalars<T: Element>(
    array: &dyn Array,
    value: fn(T) -> Value,
    put: &mut dyn FnMut(usize, Result<Value, Fault>),
) -> Option<()> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let values = dictionary.values();
        T::each(values.as_ref(), 0..0, |_| {})?;
        // An empty dictionary has no row that is not null.
        let keys = if values.is_empty() { Vec::new() } else { dictionary.normalized_keys() };
        for row in 0..array.len() {
            match keys.get(row).filter(|key| !array.is_null(row) && !values.is_null(**key)) {
                Some(key) => T::each(values.as_ref(), *key..*key + 1, |found| put(row, found.map(value)))?,
                None => put(row, Ok(Value::Null)),
            }
        }
        return Some(());
    }
    let mut row = 0;
    T::each(array, 0..array.len(), |found| {
        put(row, if array.is_null(row) { Ok(Value::Null) } else { found.map(value) });
        row += 1;
    })
}
