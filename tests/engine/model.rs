//! What a collection must hold: a map from primary key to document, changed beside the collection.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path, sync::Arc};

use zvecctl::{
    engine::{Collection, CreateOptions, Doc, Mode, OpenOptions, Operation, Options, Schema},
    format::{manifest::Style, schema_file::SchemaFile, value::Value},
    inspect::{
        View,
        documents::{Cell, Documents, Selection},
    },
    report::Severity,
    vfs::{RealFs, VfsMut},
};

/// Documents by primary key; values in schema order.
pub type Docs = BTreeMap<Vec<u8>, Vec<Value>>;

/// A schema with every kind of layer: plain and indexed scalars, arrays, full text, dense, quantised and sparse vectors.
pub fn rich_schema(max_docs: u64) -> Schema {
    let file: SchemaFile = serde_json::from_value(serde_json::json!({
        "name": "rich", "max_doc_count_per_segment": max_docs,
        "fields": [
            {"name": "title", "data_type": "STRING", "nullable": true},
            {"name": "year", "data_type": "INT32", "index": {"type": "INVERT", "enable_range_optimization": true}},
            {"name": "tags", "data_type": "ARRAY_STRING", "nullable": true, "index": {"type": "INVERT"}},
            {"name": "body", "data_type": "STRING", "nullable": true, "index": {"type": "FTS", "tokenizer_name": "whitespace"}},
        ],
        "vectors": [
            {"name": "dense", "data_type": "VECTOR_FP32", "dimension": 4, "index": {"type": "FLAT", "metric": "L2"}},
            {"name": "small", "data_type": "VECTOR_FP32", "dimension": 4, "nullable": true,
             "index": {"type": "HNSW", "metric": "IP", "quantize": "INT8"}},
            {"name": "sparse", "data_type": "SPARSE_VECTOR_FP32", "index": {"type": "FLAT"}},
        ],
    }))
    .unwrap();
    Schema::create(&file).unwrap()
}

/// Document number `number` in its `version`: values follow from both.
pub fn doc(schema: &Schema, number: u64, version: u64) -> Doc {
    let seed = number * 31 + version * 7;
    let text = |text: String| Some(Value::Bytes(text.into_bytes()));
    let part = |k: u64| (seed * k % 17) as f32 / 8.0 - 1.0;
    let dense = || Some(Value::F32s(vec![part(3), part(5), part(7), number as f32]));
    let values = vec![
        if seed.is_multiple_of(3) { Some(Value::Null) } else { text(format!("title {seed}")) },
        Some(Value::I32((seed % 40) as i32 - 20)),
        match seed % 4 {
            0 => Some(Value::Null),
            1 => Some(Value::ByteStrings(Vec::new())),
            _ => Some(Value::ByteStrings((0..seed % 4).map(|k| format!("t{}", seed % 5 + k).into_bytes()).collect())),
        },
        if seed.is_multiple_of(5) { None } else { text(format!("w{} w{} w{}", seed % 7, seed % 3, seed % 7)) },
        dense(),
        if seed.is_multiple_of(6) { Some(Value::Null) } else { dense() },
        Some(Value::SparseF32((0..seed % 4).map(|k| ((k * 3 + seed % 5) as u32, part(k + 2))).collect())),
    ];
    assert_eq!(values.len(), schema.fields().len());
    Doc { pk: pk(number), values }
}

pub fn pk(number: u64) -> Vec<u8> {
    format!("doc_{number:05}").into_bytes()
}

/// The values of a document that is new: what is not given is null.
pub fn whole(doc: &Doc) -> Vec<Value> {
    doc.values.iter().map(|value| value.clone().unwrap_or(Value::Null)).collect()
}

/// What the operations make of the documents, by the rules of the API.
pub fn apply(docs: &mut Docs, operation: &Operation) {
    match operation {
        Operation::Delete(pk) => drop(docs.remove(pk)),
        Operation::Put(Mode::Insert, doc) => drop(docs.entry(doc.pk.clone()).or_insert_with(|| whole(doc))),
        Operation::Put(Mode::Upsert, doc) => drop(docs.insert(doc.pk.clone(), whole(doc))),
        Operation::Put(Mode::Update, doc) => {
            if let Some(old) = docs.get_mut(&doc.pk) {
                for (old, new) in old.iter_mut().zip(&doc.values) {
                    if let Some(new) = new {
                        *old = new.clone();
                    }
                }
            }
        }
    }
}

/// Creates a collection with a fixed clock.
pub fn create(fs: Arc<dyn VfsMut>, root: &Path, schema: &Schema, options: Options) -> Collection {
    let create = CreateOptions { enable_mmap: true, style: Style::Release };
    Collection::create(fs, root, schema, create, OpenOptions { options, ..OpenOptions::default() }).unwrap()
}

/// Options with a fixed clock.
pub fn options() -> Options {
    Options { clock: Arc::new(|| 1_700_000_000), ..Options::default() }
}

/// What the files say, log included, by the code that inspects: no error may come up.
pub fn on_disk(fs: Arc<dyn VfsMut>, root: &Path) -> Docs {
    let view = View::open(fs, root).unwrap();
    let mut documents = Documents::open(&view, Selection::default()).unwrap();
    let mut docs = Docs::new();
    let scalars: Vec<String> = documents.fields().scalars.iter().map(|field| field.name.clone()).collect();
    let _ = documents.each(&mut |document| {
        let cells = document.fields.into_iter().chain(document.vectors);
        let values = cells.map(|cell| match cell {
            Cell::Value(value) => value,
            Cell::Unreadable => panic!("{} is unreadable", String::from_utf8_lossy(&document.pk)),
        });
        let twice = docs.insert(document.pk.clone(), values.collect());
        assert!(twice.is_none(), "{} lives twice", String::from_utf8_lossy(&document.pk));
        ControlFlow::Continue(())
    });
    assert!(!scalars.is_empty());
    let errors: Vec<_> =
        documents.findings().into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    docs
}

/// The real file system.
pub fn real() -> Arc<dyn VfsMut> {
    Arc::new(RealFs)
}

/// Options whose blocks are flushed when they take so many bytes.
pub fn options_with_blocks_of(bytes: usize) -> Options {
    Options { block_memory: bytes, ..options() }
}
