//! A collection's schema as the engine works with it: typed, in the order of the manifest's field list.
//!
//! [`Schema::create`] holds a new schema against the rules of zvec 0.8.0; [`Schema::load`] takes what any release wrote
//! into a manifest. [`Schema::writable`] tells whether this engine can write what the schema asks for.

mod fts_rules;
mod rules;
pub mod shorthand;
#[cfg(test)]
pub(super) mod tests;
mod vector_rules;

use foldhash::HashMap;

use crate::format::{
    FormatError,
    forward::ColumnType,
    manifest::proto::{CollectionSchema, DataType, FieldSchema},
    proxima::write::ColumnPlan,
    schema_file::{ScalarField, ScalarIndex, ScalarType, SchemaFile, VectorField},
};

use super::Refusal;

pub use rules::MIN_DOC_COUNT_OF_ZVEC;

/// A collection's schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    name: String,
    max_doc_count_per_segment: u64,
    fields: Vec<Field>,
    positions: HashMap<String, usize>,
}

/// A field: a column of the forward store, or a vector column.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Name, unique in the schema.
    pub name: String,
    /// Type of its values.
    pub data_type: DataType,
    /// Whether a document may lack it.
    pub nullable: bool,
    /// What it is besides.
    pub kind: FieldKind,
}

/// The two kinds of fields.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldKind {
    /// A scalar or array, in the forward store.
    Scalar {
        /// Its column there.
        column_type: ColumnType,
        /// Its index, if any.
        index: Option<ScalarIndex>,
    },
    /// A dense or sparse vector, in files of its own.
    Vector(VectorField),
}

impl Field {
    /// Whether it is a vector.
    pub fn is_vector(&self) -> bool {
        matches!(self.kind, FieldKind::Vector(_))
    }

    /// The vector column, if it is one.
    pub fn vector(&self) -> Option<&VectorField> {
        match &self.kind {
            FieldKind::Vector(vector) => Some(vector),
            FieldKind::Scalar { .. } => None,
        }
    }

    fn of_scalar(field: ScalarField) -> Self {
        Self {
            name: field.name,
            data_type: field.data_type.to_proto(),
            nullable: field.nullable,
            kind: FieldKind::Scalar { column_type: field.data_type.into(), index: field.index },
        }
    }

    fn of_vector(field: VectorField) -> Self {
        Self {
            name: field.name.clone(),
            data_type: field.data_type.to_proto(),
            nullable: field.nullable,
            kind: FieldKind::Vector(field),
        }
    }
}

impl Schema {
    /// A new schema: scalars first, then vectors. Refused where zvec 0.8.0 refuses to create the collection, with the code of the rule
    /// (`schema.*`); beyond that only names that no manifest can hold and a `max_doc_count_per_segment` of 0.
    pub fn create(file: &SchemaFile) -> Result<Self, Refusal> {
        rules::check(file)?;
        let scalars = file.fields.iter().cloned().map(Field::of_scalar);
        let vectors = file.vectors.iter().cloned().map(Field::of_vector);
        Ok(Self::new(file.name.clone(), file.max_doc_count_per_segment, scalars.chain(vectors).collect()))
    }

    /// The rule of zvec 0.8.0 (`schema.*`) that the schema of a manifest breaks. `None` for one of a newer release.
    ///
    /// zvec's JSON reader takes more than JSON: the rules of settings that are none are not applied.
    pub fn broken_rule(proto: &CollectionSchema) -> Option<Refusal> {
        let mut file = match Self::load(proto) {
            Ok(schema) => schema.to_file(),
            Err(refusal) => return Some(refusal).filter(|refusal| refusal.code != "schema.newer"),
        };
        for field in &mut file.fields {
            if let Some(ScalarIndex::Fts { extra_params, .. }) = &field.index
                && serde_json::from_str::<serde_json::Value>(extra_params).is_err()
                && !extra_params.is_empty()
            {
                field.index = None;
            }
        }
        rules::check(&file).err()
    }

    /// The schema of a manifest, whatever release wrote it.
    ///
    /// Codes: `schema.newer` for what this build does not know, `schema.field-type`, `schema.index` and `schema.duplicate-name` for what
    /// makes no sense.
    pub fn load(proto: &CollectionSchema) -> Result<Self, Refusal> {
        let mut fields = Vec::with_capacity(proto.fields.len());
        for field in &proto.fields {
            fields.push(load_field(field)?);
        }
        let schema = Self::new(proto.name.clone(), proto.max_doc_count_per_segment, fields);
        if schema.positions.len() < schema.fields.len() {
            let twice = schema.fields.iter().enumerate().find(|(at, field)| schema.position(&field.name) != Some(*at));
            let name = twice.map_or("", |(_, field)| field.name.as_str());
            return Err(Refusal::new("schema.duplicate-name", format!("the manifest has two fields named {name:?}")));
        }
        Ok(schema)
    }

    fn new(name: String, max_doc_count_per_segment: u64, fields: Vec<Field>) -> Self {
        let positions = fields.iter().enumerate().map(|(position, field)| (field.name.clone(), position)).collect();
        Self { name, max_doc_count_per_segment, fields, positions }
    }

    /// Refuses, with the code `schema.unwritable`, what this engine reads and cannot write: a tokenizer, say.
    pub fn writable(&self) -> Result<(), Refusal> {
        let unwritable = |field: &Field, why: &str| {
            Refusal::new("schema.unwritable", format!("field {:?} cannot be written: {why}", field.name))
        };
        for field in &self.fields {
            match &field.kind {
                FieldKind::Vector(vector) => {
                    ColumnPlan::new(vector).map_err(|error| unwritable(field, &error.detail))?;
                }
                FieldKind::Scalar {
                    index: Some(ScalarIndex::Fts { tokenizer_name, filters, extra_params }), ..
                } => {
                    fts_rules::reproducible(tokenizer_name, filters, extra_params)
                        .map_err(|why| unwritable(field, &why))?;
                }
                FieldKind::Scalar { .. } => {}
            }
        }
        Ok(())
    }

    /// Name of the collection.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Documents after which the writing segment is sealed. zvec cannot set it and refuses to change a schema in which it is below
    /// [`MIN_DOC_COUNT_OF_ZVEC`], but writes to such a collection and rolls over as told.
    pub fn max_doc_count_per_segment(&self) -> u64 {
        self.max_doc_count_per_segment
    }

    /// All fields, in the manifest's order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The scalar fields with their positions: the columns of the forward store, in order.
    pub fn scalars(&self) -> impl Iterator<Item = (usize, &Field)> {
        self.fields.iter().enumerate().filter(|(_, field)| !field.is_vector())
    }

    /// The vector fields with their positions.
    pub fn vectors(&self) -> impl Iterator<Item = (usize, &Field, &VectorField)> {
        let with_vector = |(position, field): (usize, _)| Some((position, field, Field::vector(field)?));
        self.fields.iter().enumerate().filter_map(with_vector)
    }

    /// Position of the field `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    /// The schema as zvec 0.8.0 writes it into a manifest, in the order of the fields.
    pub fn to_proto(&self) -> CollectionSchema {
        CollectionSchema {
            name: self.name.clone(),
            fields: self.fields.iter().flat_map(|field| single(field).to_manifest().fields).collect(),
            max_doc_count_per_segment: self.max_doc_count_per_segment,
        }
    }

    /// The schema as a schema file, which does not tell where a scalar stands behind a vector.
    pub fn to_file(&self) -> SchemaFile {
        let (mut fields, mut vectors) = (Vec::new(), Vec::new());
        for file in self.fields.iter().map(single) {
            fields.extend(file.fields);
            vectors.extend(file.vectors);
        }
        let max_doc_count_per_segment = self.max_doc_count_per_segment;
        SchemaFile { name: self.name.clone(), max_doc_count_per_segment, fields, vectors }
    }
}

/// A schema file of this field alone.
fn single(field: &Field) -> SchemaFile {
    let mut file =
        SchemaFile { name: String::new(), max_doc_count_per_segment: 0, fields: Vec::new(), vectors: Vec::new() };
    match &field.kind {
        FieldKind::Vector(vector) => file.vectors.push(vector.clone()),
        FieldKind::Scalar { index, .. } => {
            // A field that is no vector has a scalar type: it was made from one.
            if let Some(data_type) = ScalarType::from_proto(field.data_type) {
                let (name, nullable, index) = (field.name.clone(), field.nullable, index.clone());
                file.fields.push(ScalarField { name, data_type, nullable, index });
            }
        }
    }
    file
}

fn load_field(field: &FieldSchema) -> Result<Field, Refusal> {
    let alone = CollectionSchema { fields: vec![field.clone()], ..CollectionSchema::default() };
    let refused = |FormatError { code, detail, .. }| Refusal::new(code, detail);
    let SchemaFile { mut fields, mut vectors, .. } = SchemaFile::from_manifest(&alone).map_err(refused)?;
    let scalar = fields.pop().map(Field::of_scalar);
    scalar.or_else(|| vectors.pop().map(Field::of_vector)).ok_or_else(|| {
        Refusal::new("schema.field-type", format!("field {:?} is neither a scalar nor a vector", field.name))
    })
}
