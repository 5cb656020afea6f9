//! Documents from the Parquet file that `export` writes.

use std::{collections::BTreeMap, fs::File, path::Path};

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{
        ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int32Type, Int64Type, UInt32Type,
        UInt64Type,
    },
};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Bits, Doc, Docs, Item};

/// All documents of a file.
pub fn read(path: &Path) -> Result<Docs, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(ParquetRecordBatchReaderBuilder::build);
    let mut docs = Docs::new();
    for batch in reader.map_err(|error| error.to_string())? {
        add(&batch.map_err(|error| error.to_string())?, &mut docs)?;
    }
    Ok(docs)
}

fn add(batch: &RecordBatch, docs: &mut Docs) -> Result<(), String> {
    let schema = batch.schema();
    // The first column is the primary key, whatever it is called.
    let keys = batch.column(0).as_string_opt::<i32>().ok_or("the first column is not text")?;
    for row in 0..batch.num_rows() {
        let mut doc = Doc::new();
        for (field, column) in schema.fields().iter().zip(batch.columns()).skip(1) {
            if column.is_valid(row) {
                doc.insert(field.name().clone(), item(column.as_ref(), row)?);
            }
        }
        let id = keys.value(row).to_owned();
        if docs.insert(id.clone(), doc).is_some() {
            return Err(format!("{id}: there twice"));
        }
    }
    Ok(())
}

fn item(array: &dyn Array, row: usize) -> Result<Item, String> {
    Ok(match array.data_type() {
        DataType::Boolean => Item::Bool(array.as_boolean().value(row)),
        DataType::Int8 => integer::<Int8Type>(array, row),
        DataType::Int32 => integer::<Int32Type>(array, row),
        DataType::Int64 => integer::<Int64Type>(array, row),
        DataType::UInt32 => integer::<UInt32Type>(array, row),
        DataType::UInt64 => integer::<UInt64Type>(array, row),
        DataType::Float16 => Item::Float(Bits(array.as_primitive::<Float16Type>().value(row).to_f32())),
        DataType::Float32 => Item::Float(Bits(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => Item::Double(Bits(array.as_primitive::<Float64Type>().value(row))),
        DataType::Utf8 => Item::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::List(_) => Item::List(items(array.as_list::<i32>().value(row).as_ref())?),
        DataType::FixedSizeList(..) => Item::List(items(array.as_fixed_size_list().value(row).as_ref())?),
        DataType::Struct(_) => {
            let both = array.as_struct();
            let lists = both.column_by_name("indices").zip(both.column_by_name("values"));
            let (indices, values) = lists.ok_or("a struct of other columns than indices and values")?;
            let indices = indices.as_list::<i32>().value(row);
            let indices = indices.as_primitive::<UInt32Type>().values().to_vec();
            let values = items(values.as_list::<i32>().value(row).as_ref())?;
            if indices.len() != values.len() {
                return Err(format!("{} indices, {} values", indices.len(), values.len()));
            }
            let count = indices.len();
            let pairs: BTreeMap<_, _> = indices.into_iter().zip(values).collect();
            if pairs.len() != count {
                return Err("an index is there twice".into());
            }
            Item::Sparse(pairs)
        }
        other => return Err(format!("a column of {other}")),
    })
}

fn items(array: &dyn Array) -> Result<Vec<Item>, String> {
    if array.null_count() > 0 {
        return Err("a null in a list".into());
    }
    (0..array.len()).map(|at| item(array, at)).collect()
}

fn integer<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Item
where
    i128: From<T::Native>,
{
    Item::Integer(array.as_primitive::<T>().value(row).into())
}
