//! A schema out of files: forward blocks name columns and types, column families tell indexes, vector files types, dimensions and metrics, and
//! the log what no block has yet. What no file tells is assumed, and said.

use std::{collections::BTreeMap, path::Path};

use crate::{
    format::{
        document,
        forward::{ColumnType, ScalarType as ColumnScalar},
        fts, inverted,
        manifest::{DOC_ID_COLUMN, PK_COLUMN},
        proxima::{Codec, DataType, IndexKind, VectorFile},
        rocks::Db,
        schema_file::{
            Metric, Quantize, QuantizerParam, ScalarField, ScalarIndex, ScalarType, SchemaFile, VectorField,
            VectorIndex, VectorType,
        },
        value::Value,
        wal,
    },
    inspect::{FileSource, View, idmap::DatabaseDir},
};

use super::discover::{self, Files};

/// zvec's default for documents in a segment.
const MAX_DOC_COUNT: u64 = 10_000_000;

/// What the files of all segments tell, and what had to be assumed.
pub(super) fn rebuild(view: &View, segments: &BTreeMap<u32, Files>) -> (SchemaFile, Vec<String>) {
    let mut rebuilding = Rebuilding { view, assumed: Vec::new(), scalars: Vec::new(), vectors: Vec::new() };
    for files in segments.values() {
        rebuilding.columns(files);
    }
    for files in segments.values() {
        rebuilding.indexes(files);
    }
    rebuilding.vectors(segments);
    for files in segments.values() {
        for path in files.logs.values() {
            rebuilding.log(path);
        }
    }
    let name = name_of(view.root());
    let Rebuilding { mut assumed, scalars: fields, vectors, .. } = rebuilding;
    assumed.push(format!("the collection's name is {name:?}, that of its directory"));
    assumed.push(format!("max_doc_count_per_segment is zvec's default, {MAX_DOC_COUNT}"));
    if !vectors.is_empty() {
        assumed.push("parameters of vector indexes are zvec's defaults".to_owned());
    }
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
    fn columns(&mut self, files: &Files) {
        for path in files.ipc.values().chain(files.parquet.values()) {
            let Some(file) = discover::open_forward(self.view, path) else { continue };
            for column in file.columns() {
                if [DOC_ID_COLUMN, PK_COLUMN].contains(&column.name.as_str()) {
                    continue;
                }
                let (data_type, nullable) = (scalar_type(column.column_type), column.nullable);
                match self.scalars.iter_mut().find(|field| field.name == column.name) {
                    // Blocks come in order of age, and a column may have been altered.
                    Some(field) => (field.data_type, field.nullable) = (data_type, field.nullable | nullable),
                    None => {
                        let name = column.name.clone();
                        self.scalars.push(ScalarField { name, data_type, nullable, index: None });
                    }
                }
            }
        }
    }

    fn indexes(&mut self, files: &Files) {
        for path in &files.indexes {
            let Ok(db) = Db::open(&DatabaseDir { view: self.view, path }) else { continue };
            let full_text = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("fts."));
            for family in db.column_families() {
                let name = family.name();
                if full_text {
                    self.full_text(&name);
                } else {
                    self.inverted(&name);
                }
            }
        }
    }

    fn full_text(&mut self, family: &str) {
        let fts::Family::Positions(column) = fts::Family::parse(family) else { return };
        let Some(field) = self.scalars.iter_mut().find(|field| field.name == column) else { return };
        if field.index.is_none() && field.data_type == ScalarType::String {
            let (tokenizer_name, filters) = ("standard".to_owned(), vec!["lowercase".to_owned()]);
            field.index = Some(ScalarIndex::Fts { tokenizer_name, filters, extra_params: String::new() });
            self.assumed.push(format!("field {column}: its full-text index has the standard tokenizer and lowercase"));
        }
    }

    fn inverted(&mut self, family: &str) {
        use inverted::Family as F;
        let parsed = F::parse(family);
        let Some(column) = parsed.column() else { return };
        let Some(field) = self.scalars.iter_mut().find(|field| field.name == column) else { return };
        let index = field
            .index
            .get_or_insert(ScalarIndex::Invert { enable_range_optimization: false, enable_extended_wildcard: false });
        let ScalarIndex::Invert { enable_range_optimization, enable_extended_wildcard } = index else { return };
        match parsed {
            F::Ranges(_) => *enable_range_optimization = true,
            F::ReversedTerms(_) => *enable_extended_wildcard = true,
            _ => {}
        }
    }

    fn vectors(&mut self, segments: &BTreeMap<u32, Files>) {
        let mut found: BTreeMap<&String, Column> = BTreeMap::new();
        for files in segments.values() {
            for (column, paths) in &files.vectors {
                found.entry(column).or_default().full.extend(paths.values());
            }
            for (column, paths) in &files.quantized {
                found.entry(column).or_default().quantized.extend(paths.values());
            }
        }
        for (name, Column { full, quantized }) in found {
            // The newest that can be read.
            let open = |paths: &[&std::path::PathBuf]| paths.iter().rev().find_map(|path| self.open(path));
            let (vectors, codes) = (open(&full), open(&quantized));
            let Some(main) = vectors.as_ref().or(codes.as_ref()) else {
                self.assumed.push(format!("vector field {name} is left out: none of its files can be read"));
                continue;
            };
            let Some(data_type) = vector_type(main, vectors.is_some()) else {
                self.assumed.push(format!("vector field {name} is left out: its type cannot be told"));
                continue;
            };
            if vectors.is_none() {
                self.assumed.push(format!("vector field {name} is of type FP32: only its quantised file can be read"));
            }
            let dimension = main.encoding.as_ref().map_or(0, |encoding| encoding.dimension);
            let dimension = u32::try_from(dimension).unwrap_or(0);
            let nullable = full.iter().any(|path| self.open(path).is_some_and(|file| has_nulls(&file)));
            let index = vector_index(main, codes.as_ref());
            self.vectors.push(VectorField { name: name.clone(), data_type, dimension, nullable, index });
        }
    }

    fn open(&self, path: &Path) -> Option<VectorFile<std::sync::Arc<FileSource>>> {
        VectorFile::open(self.view.source(path).ok()?).ok()
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
                self.of_log(name, value, seen.text, nullable);
            }
        }
    }

    fn of_log(&mut self, name: String, value: &Value, text: bool, nullable: bool) {
        let mut vector = |data_type, dimension: usize| {
            let dimension = u32::try_from(dimension).unwrap_or(0);
            let index = VectorIndex::default();
            self.vectors.push(VectorField { name: name.clone(), data_type, dimension, nullable, index });
        };
        let data_type = match value {
            Value::Bytes(_) if text => ScalarType::String,
            Value::Bytes(_) => ScalarType::Binary,
            Value::Bool(_) => ScalarType::Bool,
            Value::I32(_) => ScalarType::Int32,
            Value::U32(_) => ScalarType::Uint32,
            Value::I64(_) => ScalarType::Int64,
            Value::U64(_) => ScalarType::Uint64,
            Value::F32(_) => ScalarType::Float,
            Value::F64(_) => ScalarType::Double,
            Value::ByteStrings(_) if text => ScalarType::ArrayString,
            Value::ByteStrings(_) => ScalarType::ArrayBinary,
            Value::Bools(_) => ScalarType::ArrayBool,
            Value::I32s(_) => ScalarType::ArrayInt32,
            Value::U32s(_) => ScalarType::ArrayUint32,
            Value::I64s(_) => ScalarType::ArrayInt64,
            Value::U64s(_) => ScalarType::ArrayUint64,
            Value::F32s(_) => ScalarType::ArrayFloat,
            Value::F64s(_) => ScalarType::ArrayDouble,
            Value::F16s(list) => return vector(VectorType::VectorFp16, list.len()),
            Value::I8s(list) => return vector(VectorType::VectorInt8, list.len()),
            Value::I16s(list) => return vector(VectorType::VectorInt16, list.len()),
            Value::SparseF32(_) => return vector(VectorType::SparseVectorFp32, 0),
            Value::SparseF16(_) => return vector(VectorType::SparseVectorFp16, 0),
            Value::Null => return,
        };
        let what = data_type.to_proto().as_str_name();
        self.assumed.push(format!("field {name} is of type {what}, as its values in the log are, and has no index"));
        self.scalars.push(ScalarField { name, data_type, nullable, index: None });
    }
}

#[derive(Default)]
struct Column<'a> {
    full: Vec<&'a std::path::PathBuf>,
    quantized: Vec<&'a std::path::PathBuf>,
}

/// Values of one field in a log.
struct Seen {
    values: u64,
    example: Option<Value>,
    text: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self { values: 0, example: None, text: true }
    }
}

impl Seen {
    fn add(&mut self, value: Value) {
        if value == Value::Null {
            return;
        }
        self.values += 1;
        self.text &= match &value {
            Value::Bytes(bytes) => std::str::from_utf8(bytes).is_ok(),
            Value::ByteStrings(list) => list.iter().all(|bytes| std::str::from_utf8(bytes).is_ok()),
            _ => true,
        };
        self.example.get_or_insert(value);
    }
}

fn scalar_type(column: ColumnType) -> ScalarType {
    use ColumnScalar as C;
    use ScalarType as S;
    match (column.scalar, column.array) {
        (C::Binary, false) => S::Binary,
        (C::String, false) => S::String,
        (C::Bool, false) => S::Bool,
        (C::I32, false) => S::Int32,
        (C::I64, false) => S::Int64,
        (C::U32, false) => S::Uint32,
        (C::U64, false) => S::Uint64,
        (C::F32, false) => S::Float,
        (C::F64, false) => S::Double,
        (C::Binary, true) => S::ArrayBinary,
        (C::String, true) => S::ArrayString,
        (C::Bool, true) => S::ArrayBool,
        (C::I32, true) => S::ArrayInt32,
        (C::I64, true) => S::ArrayInt64,
        (C::U32, true) => S::ArrayUint32,
        (C::U64, true) => S::ArrayUint64,
        (C::F32, true) => S::ArrayFloat,
        (C::F64, true) => S::ArrayDouble,
    }
}

/// The column's type, by its full-precision file or by its quantised one.
fn vector_type<S: crate::format::Source>(file: &VectorFile<S>, full: bool) -> Option<VectorType> {
    let codec = file.encoding.as_ref().ok()?.codec;
    Some(match (file.meta.sparse, codec) {
        (true, Codec::Plain(DataType::Fp16)) if full => VectorType::SparseVectorFp16,
        (true, _) => VectorType::SparseVectorFp32,
        (false, Codec::Plain(DataType::Fp16)) if full => VectorType::VectorFp16,
        (false, Codec::Plain(DataType::Fp64)) => VectorType::VectorFp64,
        (false, Codec::Plain(DataType::Int8)) => VectorType::VectorInt8,
        (false, Codec::Plain(DataType::Int4)) => VectorType::VectorInt4,
        (false, Codec::Plain(DataType::Int16)) => VectorType::VectorInt16,
        (false, Codec::Plain(DataType::Binary32)) => VectorType::VectorBinary32,
        (false, Codec::Plain(DataType::Binary64)) => VectorType::VectorBinary64,
        (false, Codec::Plain(DataType::Unknown(_))) => return None,
        // Halves and bytes are how an FP32 column may be kept.
        (false, _) => VectorType::VectorFp32,
    })
}

fn has_nulls<S: crate::format::Source>(file: &VectorFile<S>) -> bool {
    let mut reader = file.reader();
    (0..file.rows()).any(|position| file.record(position, &mut reader).is_ok_and(|record| record.is_null()))
}

fn vector_index<S: crate::format::Source>(main: &VectorFile<S>, codes: Option<&VectorFile<S>>) -> VectorIndex {
    let metric = match main.meta.metric() {
        "InnerProduct" | "InnerProductSparse" => Metric::Ip,
        "Cosine" => Metric::Cosine,
        // The uniform quantisers' own metrics are L2.
        _ => Metric::L2,
    };
    let quantize = codes.and_then(|file| file.encoding.as_ref().ok()).map_or(Quantize::Undefined, |encoding| {
        match encoding.codec {
            Codec::Half => Quantize::Fp16,
            Codec::Int8 | Codec::Int8Short => Quantize::Int8,
            Codec::Int4 => Quantize::Int4,
            Codec::UniformUint8 { .. } => Quantize::UniformUint8,
            Codec::UniformUint7 { .. } => Quantize::UniformUint7,
            Codec::UniformUint4 { .. } => Quantize::UniformUint4,
            Codec::Plain(DataType::Fp16) => Quantize::Fp16,
            Codec::Plain(_) | Codec::Byte => Quantize::Rabitq,
        }
    });
    let flat_data_type = match main.encoding.as_ref().map(|encoding| encoding.codec) {
        Ok(Codec::Half) if codes.is_none() => VectorType::VectorFp16,
        Ok(Codec::Byte) => VectorType::VectorUint8,
        _ => VectorType::VectorFp32,
    };
    let enable_rotate = codes.is_some_and(|file| file.rotation.is_some());
    let quantizer_param = QuantizerParam { enable_rotate };
    let kind = codes.map_or(main.kind, |file| file.kind);
    let (m, ef_construction) = (50, 500);
    match kind {
        IndexKind::HnswRabitq => {
            VectorIndex::HnswRabitq { metric, m, ef_construction, total_bits: 7, num_clusters: 16, sample_count: 0 }
        }
        IndexKind::IvfRabitq => VectorIndex::IvfRabitq { metric, nlist: 1024, total_bits: 7, sample_count: 0 },
        IndexKind::Hnsw | IndexKind::HnswSparse => VectorIndex::Hnsw {
            metric,
            quantize,
            quantizer_param,
            m,
            ef_construction,
            use_contiguous_memory: false,
            use_flat_contiguous_memory: false,
            flat_data_type,
        },
        IndexKind::Ivf => {
            VectorIndex::Ivf { metric, quantize, quantizer_param, n_list: 10, n_iters: 10, use_soar: false }
        }
        IndexKind::DiskAnn => {
            VectorIndex::Diskann { metric, quantize, quantizer_param, max_degree: 100, list_size: 50, pq_chunk_num: 0 }
        }
        IndexKind::Vamana => VectorIndex::Vamana {
            metric,
            quantize,
            quantizer_param,
            max_degree: 64,
            search_list_size: 100,
            alpha: 1.2,
            saturate_graph: false,
            use_contiguous_memory: false,
            use_id_map: false,
            two_pass_build: true,
            use_flat_contiguous_memory: false,
            flat_data_type,
        },
        // An unfinished HNSW column with vectors kept as halves or bytes is flat like any other; only HNSW and Vamana may be declared so.
        IndexKind::Flat | IndexKind::FlatSparse if flat_data_type != VectorType::VectorFp32 => VectorIndex::Hnsw {
            metric,
            quantize,
            quantizer_param,
            m,
            ef_construction,
            use_contiguous_memory: false,
            use_flat_contiguous_memory: false,
            flat_data_type,
        },
        IndexKind::Flat | IndexKind::FlatSparse => {
            // A quantiser that FLAT does not have belongs to an index that is not built yet.
            if quantize == Quantize::Rabitq {
                return VectorIndex::HnswRabitq {
                    metric,
                    m,
                    ef_construction,
                    total_bits: 7,
                    num_clusters: 16,
                    sample_count: 0,
                };
            }
            VectorIndex::Flat { metric, quantize, quantizer_param, use_contiguous_memory: false }
        }
    }
}
