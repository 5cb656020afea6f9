//! The schema's fields as documents need them.

use std::path::Path;

use crate::{
    format::{
        manifest::{
            Manifest,
            proto::{DataType, FieldSchema},
        },
        value::Value,
    },
    report::Finding,
};

use super::{
    super::{Findings, wal::WalDocument},
    Cell, Document, Origin,
};

/// A field of the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Type; [`DataType::Undefined`] for one that this build does not know.
    pub data_type: DataType,
    /// Components of a dense vector.
    pub dimension: u32,
    /// Whether a document may lack it.
    pub nullable: bool,
    /// All that the schema says of it.
    pub declared: FieldSchema,
}

/// The fields of the schema, scalars and vectors apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields {
    /// Scalar and array fields, in schema order.
    pub scalars: Vec<Field>,
    /// Vector fields, in schema order.
    pub vectors: Vec<Field>,
}

impl Fields {
    /// The fields that a manifest declares; a field of unknown type is a finding, and taken for a scalar.
    pub fn of(manifest: &Manifest) -> (Self, Vec<Finding>) {
        let mut fields = Self::default();
        let mut findings = Vec::new();
        for field in manifest.schema.iter().flat_map(|schema| &schema.fields) {
            let data_type = DataType::try_from(field.data_type).unwrap_or(DataType::Undefined);
            if data_type == DataType::Undefined {
                let detail =
                    format!("field {} has type {}, which this build does not know", field.name, field.data_type);
                findings.push(Finding::error("schema.newer", detail));
            }
            let (name, dimension, nullable) = (field.name.clone(), field.dimension, field.nullable);
            let described = Field { name, data_type, dimension, nullable, declared: field.clone() };
            if is_vector(data_type) { fields.vectors.push(described) } else { fields.scalars.push(described) }
        }
        (fields, findings)
    }

    /// A WAL document in the schema's order. What the schema does not know is ignored and what has the wrong type is null, as a
    /// replay by zvec makes of it; the latter is told.
    pub fn conform(&self, stored: WalDocument, origin: Origin, path: &Path, findings: &Findings) -> Document {
        let WalDocument { doc_id, offset, deleted, doc } = stored;
        let mut values = doc.fields;
        let mut take = |field: &Field| {
            let found = values.iter().position(|(name, _)| *name == field.name).map(|at| values.swap_remove(at).1);
            match found {
                None => Cell::Value(Value::Null),
                Some(value) if fits(field, &value) => Cell::Value(value),
                Some(_) => {
                    let detail = format!("field {} does not have the schema's type; zvec reads it as null", field.name);
                    findings.add_row(Finding::warning("wal.field-type", detail).at(path).offset(offset));
                    Cell::Value(Value::Null)
                }
            }
        };
        let fields = self.scalars.iter().map(&mut take).collect();
        let vectors = self.vectors.iter().map(&mut take).collect();
        Document { pk: doc.pk, doc_id, deleted, origin, fields, vectors }
    }
}

/// Whether a type is that of a vector.
pub fn is_vector(data_type: DataType) -> bool {
    use DataType as T;
    matches!(
        data_type,
        T::VectorBinary32
            | T::VectorBinary64
            | T::VectorFp16
            | T::VectorFp32
            | T::VectorFp64
            | T::VectorInt4
            | T::VectorInt8
            | T::VectorInt16
            | T::VectorUint8
            | T::SparseVectorFp16
            | T::SparseVectorFp32
    )
}

/// Whether a stored value has the type of a field.
fn fits(field: &Field, value: &Value) -> bool {
    use DataType as T;
    let dense = |count: usize| count as u64 == u64::from(field.dimension);
    match (field.data_type, value) {
        (_, Value::Null) | (T::Undefined, _) => true,
        (T::Binary | T::String, Value::Bytes(_)) => true,
        (T::Bool, Value::Bool(_)) => true,
        (T::Int32, Value::I32(_)) => true,
        (T::Int64, Value::I64(_)) => true,
        (T::Uint32, Value::U32(_)) => true,
        (T::Uint64, Value::U64(_)) => true,
        (T::Float, Value::F32(_)) => true,
        (T::Double, Value::F64(_)) => true,
        (T::ArrayBinary | T::ArrayString, Value::ByteStrings(_)) => true,
        (T::ArrayBool, Value::Bools(_)) => true,
        (T::ArrayInt32, Value::I32s(_)) => true,
        (T::ArrayInt64, Value::I64s(_)) => true,
        (T::ArrayUint32, Value::U32s(_)) => true,
        (T::ArrayUint64, Value::U64s(_)) => true,
        (T::ArrayFloat, Value::F32s(_)) => true,
        (T::ArrayDouble, Value::F64s(_)) => true,
        (T::VectorFp32, Value::F32s(list)) => dense(list.len()),
        (T::VectorFp16, Value::F16s(list)) => dense(list.len()),
        (T::VectorFp64, Value::F64s(list)) => dense(list.len()),
        (T::VectorInt8 | T::VectorInt4 | T::VectorUint8, Value::I8s(list)) => dense(list.len()),
        (T::VectorInt16, Value::I16s(list)) => dense(list.len()),
        (T::VectorBinary32, Value::U32s(_)) | (T::VectorBinary64, Value::U64s(_)) => true,
        (T::SparseVectorFp32, Value::SparseF32(_)) | (T::SparseVectorFp16, Value::SparseF16(_)) => true,
        _ => false,
    }
}
