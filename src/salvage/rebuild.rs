//! A schema out of files, for when no manifest tells one: what [`evidence`] says of the segment directories, and of the log what no block has
//! yet. What no file tells is assumed, and said.
//!
//! Unlike a repair, which wants the schema that was, this one wants every column that holds anything, dropped ones included.

use std::{collections::BTreeMap, path::Path};

use crate::{
    format::{
        document,
        schema_file::{ScalarField, ScalarIndex, ScalarType, SchemaFile, VectorField, VectorIndex, VectorType},
        value::Value,
        wal,
    },
    inspect::{
        Tree, View,
        evidence::{self, Found, Vectors, records::column_type, texts, vector},
        names::wal_path,
    },
};

/// zvec's default for documents in a segment.
const MAX_DOC_COUNT: u64 = 10_000_000;

/// What the files of all segments tell, and what had to be assumed.
pub(super) fn rebuild(view: &View, tree: &Tree) -> (SchemaFile, Vec<String>) {
    let segments: Vec<Found> =
        evidence::segment_ids(tree).into_iter().map(|id| evidence::look(view, tree, id)).collect();
    let mut rebuilding = Rebuilding { view, assumed: Vec::new(), scalars: Vec::new(), vectors: Vec::new() };
    segments.iter().for_each(|found| rebuilding.columns(found));
    rebuilding.indexes(&segments);
    rebuilding.vectors(&segments);
    for found in &segments {
        for (block, _) in &found.logs {
            rebuilding.log(&wal_path(found.id, *block));
        }
    }
    let name = name_of(view.root());
    let Rebuilding { mut assumed, scalars: fields, vectors, .. } = rebuilding;
    assumed.push(format!("the collection's name is {name:?}, that of its directory"));
    assumed.push(format!("max_doc_count_per_segment is zvec's default, {MAX_DOC_COUNT}"));
    assumed.push("columns that were dropped, and whose values are still in old blocks, are back".to_owned());
    (SchemaFile { name, max_doc_count_per_segment: MAX_DOC_COUNT, fields, vectors }, assumed)
}

fn name_of(root: &Path) -> String {
    let name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = !name.is_empty() && name.len() <= 256 && !name.chars().any(char::is_control);
    if fits { name } else { "salvaged".to_owned() }
}

struct Rebuilding<'a> {
    view: &'a View,
    assumed: Vec<String>,
    scalars: Vec<ScalarField>,
    vectors: Vec<VectorField>,
}

impl Rebuilding<'_> {
    fn columns(&mut self, found: &Found) {
        for column in found.forwards.iter().flat_map(|file| file.fields()) {
            let data_type = ScalarType::from(column.column_type);
            match self.scalars.iter_mut().find(|field| field.name == column.name) {
                // Blocks come in order of age, and a column may have been altered.
                Some(field) => (field.data_type, field.nullable) = (data_type, field.nullable | column.nullable),
                None => {
                    let (name, nullable) = (column.name.clone(), column.nullable);
                    self.scalars.push(ScalarField { name, data_type, nullable, index: None });
                }
            }
        }
    }

    fn indexes(&mut self, segments: &[Found]) {
        for field in &mut self.scalars {
            if segments.iter().any(|found| found.texts.contains(&field.name)) && field.data_type == ScalarType::String {
                let (tokenizer_name, filters, extra_params) = match texts::settings(self.view, segments, &field.name) {
                    Some((told, _)) => (told.tokenizer_name, told.filters, told.extra_params),
                    None => ("standard".to_owned(), vec!["lowercase".to_owned()], String::new()),
                };
                self.assumed.push(format!(
                    "field {}: its full-text index has the tokenizer {tokenizer_name} with filters [{}]",
                    field.name,
                    filters.join(", ")
                ));
                field.index = Some(ScalarIndex::Fts { tokenizer_name, filters, extra_params });
            }
            let inverted = segments.iter().filter_map(|found| found.inverted.get(&field.name));
            for told in inverted {
                let index = field.index.get_or_insert(ScalarIndex::Invert {
                    enable_range_optimization: false,
                    enable_extended_wildcard: false,
                });
                if let ScalarIndex::Invert { enable_range_optimization, enable_extended_wildcard } = index {
                    *enable_range_optimization |= told.ranges;
                    *enable_extended_wildcard |= told.reversed;
                }
            }
        }
    }

    fn vectors(&mut self, segments: &[Found]) {
        let mut columns: BTreeMap<&str, Vec<&Vectors>> = BTreeMap::new();
        for file in segments.iter().flat_map(|found| &found.vectors) {
            columns.entry(&file.column).or_default().push(file);
        }
        for (name, files) in columns {
            let Some(told) = vector::tell(name, &files) else {
                self.assumed.push(format!("vector field {name} is left out: none of its files can be read"));
                continue;
            };
            self.assumed.extend(told.assumed);
            let nullable = segments.iter().any(|found| evidence::lacks_vectors(self.view, found, name));
            self.vectors.push(VectorField { nullable, ..told.field });
        }
    }

    /// Fields that only the log knows, and nulls that only it has.
    fn log(&mut self, path: &Path) {
        let Ok(source) = self.view.source(path) else { return };
        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        let mut documents = 0u64;
        let scanned = wal::scan(&source, |record| {
            let Ok(doc) = document::decode(&record.payload, record.payload_offset()) else { return };
            documents += u64::from(doc.op != document::Op::Delete);
            for (name, value) in doc.fields {
                seen.entry(name).or_default().add(value);
            }
        });
        if scanned.is_err() {
            return;
        }
        for (name, seen) in seen {
            let nullable = seen.values < documents;
            if let Some(field) = self.scalars.iter_mut().find(|field| field.name == name) {
                field.nullable |= nullable;
            } else if let Some(field) = self.vectors.iter_mut().find(|field| field.name == name) {
                field.nullable |= nullable;
            } else if let Some(value) = &seen.example {
                self.of_log(name, value, seen.data_type, nullable);
            }
        }
    }

    fn of_log(&mut self, name: String, value: &Value, scalar: Option<ScalarType>, nullable: bool) {
        if let Some(data_type) = scalar {
            let what = data_type.to_proto().as_str_name();
            self.assumed
                .push(format!("field {name} is of type {what}, as its values in the log are, and has no index"));
            self.scalars.push(ScalarField { name, data_type, nullable, index: None });
            return;
        }
        let (data_type, dimension) = match value {
            Value::F16s(list) => (VectorType::VectorFp16, list.len()),
            Value::I8s(list) => (VectorType::VectorInt8, list.len()),
            Value::I16s(list) => (VectorType::VectorInt16, list.len()),
            Value::SparseF32(_) => (VectorType::SparseVectorFp32, 0),
            Value::SparseF16(_) => (VectorType::SparseVectorFp16, 0),
            _ => return,
        };
        let dimension = u32::try_from(dimension).unwrap_or(0);
        self.vectors.push(VectorField { name, data_type, dimension, nullable, index: VectorIndex::default() });
    }
}

/// Values of one field in a log.
#[derive(Default)]
struct Seen {
    values: u64,
    example: Option<Value>,
    /// The type that all of them fit; none for what only vectors are.
    data_type: Option<ScalarType>,
}

impl Seen {
    fn add(&mut self, value: Value) {
        if value == Value::Null {
            return;
        }
        self.values += 1;
        let told = column_type(&value).map(ScalarType::from);
        // One that is no text makes the column binary.
        if self.data_type.is_none() || matches!(told, Some(ScalarType::Binary | ScalarType::ArrayBinary)) {
            self.data_type = told;
        }
        self.example.get_or_insert(value);
    }
}
