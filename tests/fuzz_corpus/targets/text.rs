//! What people type and other programs write: schema files, JSON values and documents, settings and texts of full-text columns.

use std::sync::{Arc, LazyLock};

use zvecctl::{
    engine::{Mode, Schema, input::parse_document, schema::shorthand},
    format::{fts::tokenize::Tokenizer, json_value, manifest::proto::DataType, schema_file::SchemaFile},
};

/// A schema file; as text also shorthands.
pub fn schema_file(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = shorthand::scalar(text);
        let _ = shorthand::vector(text);
    }
    let Ok(file) = serde_json::from_slice::<SchemaFile>(data) else { return };
    file.faults();
    let proto = file.to_manifest();
    if let Ok(again) = SchemaFile::from_manifest(&proto) {
        assert_eq!(again.to_manifest(), proto, "a schema survives the way to the manifest and back");
    }
    if let Ok(schema) = Schema::create(&file) {
        let loaded = Schema::load(&schema.to_proto()).expect("what is made can be opened");
        assert_eq!(loaded.to_proto(), schema.to_proto());
        let _ = schema.writable();
    }
}

/// A value, of the type that the first byte says.
pub fn json_value(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let Ok(data_type) = DataType::try_from(i32::from(*first % 64)) else { return };
    let Ok(value) = json_value::parse_value(text, data_type) else { return };
    let mut written = Vec::new();
    json_value::write_value(&mut written, &value, data_type);
    let again = json_value::parse_value(&written, data_type).expect("what is written can be read");
    let mut twice = Vec::new();
    json_value::write_value(&mut twice, &again, data_type);
    assert_eq!(String::from_utf8_lossy(&twice), String::from_utf8_lossy(&written));
    serde_json::from_slice::<serde::de::IgnoredAny>(&written).expect("what is written is JSON");
}

/// A schema with a field of every kind.
pub static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let scalars =
        ["BOOL", "INT32", "INT64", "UINT32", "UINT64", "FLOAT", "DOUBLE", "STRING", "ARRAY_INT32", "ARRAY_STRING"];
    let fields = scalars.iter().map(|name| shorthand::scalar(&format!("{}:{name}?", name.to_lowercase())).unwrap());
    let vectors = ["fp32:VECTOR_FP32:4", "fp16:VECTOR_FP16:4", "int8:VECTOR_INT8:4", "sparse:SPARSE_VECTOR_FP32:0"];
    let vectors = vectors.iter().filter_map(|text| shorthand::vector(text).ok());
    let file = SchemaFile {
        name: "fuzz".to_owned(),
        fields: fields.collect(),
        vectors: vectors.collect(),
        max_doc_count_per_segment: 1000,
    };
    Arc::new(Schema::create(&file).unwrap())
});

/// A document as a line of JSON.
pub fn json_document(data: &[u8]) {
    if let Ok(doc) = parse_document(data, &SCHEMA) {
        for mode in [Mode::Insert, Mode::Upsert, Mode::Update] {
            let _ = SCHEMA.admit(&mut doc.clone(), mode);
        }
    }
}

/// Tokenizer, filters, settings and text, separated by zero bytes.
pub fn tokenizer(data: &[u8]) {
    let parts: Vec<_> = data.splitn(4, |byte| *byte == 0).collect();
    let [name, filters, settings, text] = parts.as_slice() else { return };
    let (Ok(name), Ok(filters), Ok(settings)) =
        (std::str::from_utf8(name), std::str::from_utf8(filters), std::str::from_utf8(settings))
    else {
        return;
    };
    let filters: Vec<_> = filters.split(',').filter(|filter| !filter.is_empty()).collect();
    if let Ok(tokenizer) = Tokenizer::new(name, &filters, settings) {
        let tokens = tokenizer.tokenize(text);
        assert_eq!(tokens, tokenizer.tokenize(text));
    }
}
