use serde_json::json;

use super::*;
use crate::format::{
    Kind,
    manifest::proto::{self, CollectionSchema, FieldSchema, IndexParams, index_params::Params},
    manifest::tests::real_manifests,
};

fn read(json: serde_json::Value) -> SchemaFile {
    serde_json::from_value(json).unwrap()
}

#[test]
fn the_documented_example() {
    let text = r#"{"name": "example", "max_doc_count_per_segment": 10000000,
 "fields": [{"name": "title", "data_type": "STRING", "nullable": true, "index": {"type": "INVERT", "enable_range_optimization": false, "enable_extended_wildcard": false}}],
 "vectors": [{"name": "dense", "data_type": "VECTOR_FP32", "dimension": 128, "index": {"type": "HNSW", "metric": "COSINE", "quantize": "INT8", "m": 50, "ef_construction": 500}}]}"#;
    let schema: SchemaFile = serde_json::from_str(text).unwrap();
    let compact: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&schema).unwrap(), compact);
    assert_eq!(schema.faults(), [""; 0]);
    let manifest = schema.to_manifest();
    assert_eq!(SchemaFile::from_manifest(&manifest).unwrap(), schema);
    let Some(Params::Hnsw(hnsw)) = manifest.fields[1].index_params.as_ref().and_then(|params| params.params.as_ref())
    else {
        panic!("an HNSW index");
    };
    let base = hnsw.base.unwrap();
    assert_eq!(
        (hnsw.m, base.metric_type(), base.quantize_type()),
        (50, proto::MetricType::Cosine, proto::QuantizeType::Int8)
    );
    assert!(base.quantizer_param.is_some(), "written although empty");
}

#[test]
fn real_schemas_survive() {
    for (name, manifest) in real_manifests() {
        let schema = manifest.schema.unwrap();
        let file = SchemaFile::from_manifest(&schema).unwrap();
        assert_eq!(file.faults(), [""; 0], "{name}");
        let text = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<SchemaFile>(&text).unwrap(), file, "{name}");
        let again = file.to_manifest();
        if name.starts_with("0.8.0") {
            assert_eq!(again, schema, "{name}");
        } else {
            // Before 0.6.0 the quantiser's parameters were not written.
            assert_ne!(again, schema, "{name}");
            assert_eq!(SchemaFile::from_manifest(&again).unwrap(), file, "{name}");
        }
    }
}

#[test]
fn what_is_left_out_has_the_defaults_of_zvec_0_8() {
    // As the to_dict() of its Python classes prints them.
    for (index, full) in [
        (json!({"type": "FLAT"}), json!({"type": "FLAT", "metric": "IP"})),
        (json!({"type": "HNSW"}), json!({"type": "HNSW", "metric": "IP", "m": 50, "ef_construction": 500})),
        (json!({"type": "IVF"}), json!({"type": "IVF", "metric": "IP", "n_list": 10, "n_iters": 10})),
        (
            json!({"type": "HNSW_RABITQ"}),
            json!({"type": "HNSW_RABITQ", "metric": "IP", "m": 50, "ef_construction": 500, "total_bits": 7,
                "num_clusters": 16, "sample_count": 0}),
        ),
        (
            json!({"type": "IVF_RABITQ"}),
            json!({"type": "IVF_RABITQ", "metric": "IP", "nlist": 1024, "total_bits": 7, "sample_count": 0}),
        ),
        (
            json!({"type": "VAMANA"}),
            json!({"type": "VAMANA", "metric": "IP", "max_degree": 64, "search_list_size": 100, "alpha": 1.2,
                "two_pass_build": true}),
        ),
        (
            json!({"type": "DISKANN"}),
            json!({"type": "DISKANN", "metric": "IP", "max_degree": 100, "list_size": 50, "pq_chunk_num": 0}),
        ),
    ] {
        let short: VectorIndex = serde_json::from_value(index).unwrap();
        assert_eq!(serde_json::to_value(&short).unwrap(), full);
        assert_eq!(serde_json::from_value::<VectorIndex>(full).unwrap(), short);
    }
    let fts: ScalarIndex = serde_json::from_value(json!({"type": "FTS"})).unwrap();
    let full = json!({"type": "FTS", "tokenizer_name": "standard", "filters": ["lowercase"]});
    assert_eq!(serde_json::to_value(fts).unwrap(), full);
    let schema = read(json!({"name": "n", "vectors": [{"name": "s", "data_type": "SPARSE_VECTOR_FP16"}]}));
    assert_eq!((schema.max_doc_count_per_segment, &schema.vectors[0].index), (10_000_000, &VectorIndex::default()));
}

#[test]
fn a_misspelt_key_is_refused() {
    for text in [
        r#"{"name": "n", "field": []}"#,
        r#"{"name": "n", "fields": [{"name": "f", "data_type": "INT32", "nulable": true}]}"#,
        r#"{"name": "n", "fields": [{"name": "f", "data_type": "INT32", "index": {"type": "INVERT", "range": true}}]}"#,
        r#"{"name": "n", "fields": [{"name": "f", "data_type": "INT32", "index": {"type": "HNSW"}}]}"#,
        r#"{"name": "n", "fields": [{"name": "f", "data_type": "VECTOR_FP32"}]}"#,
        r#"{"name": "n", "vectors": [{"name": "f", "data_type": "VECTOR_FP32", "dimension": -1}]}"#,
        r#"{"name": "n", "vectors": [{"name": "f", "data_type": "VECTOR_FP32", "index": {"type": "HNSW", "ef": 1}}]}"#,
        r#"{"name": "n", "vectors": [{"name": "f", "data_type": "VECTOR_FP32", "index": {"metric": "IP"}}]}"#,
        r#"{"fields": []}"#,
    ] {
        assert!(serde_json::from_str::<SchemaFile>(text).is_err(), "{text}");
    }
}

#[test]
fn impossible_schemas_are_named() {
    let schema = read(json!({
        "name": "n",
        "fields": [{"name": "a", "data_type": "INT32", "index": {"type": "FTS"}}, {"name": "a", "data_type": "BOOL"},
            {"name": "_zvec_uid_", "data_type": "STRING"}],
        "vectors": [{"name": "a", "data_type": "VECTOR_FP32"}, {"name": "s", "data_type": "SPARSE_VECTOR_FP32", "dimension": 3}]
    }));
    assert_eq!(
        schema.faults(),
        [
            "the name \"a\" is taken",
            "the name \"_zvec_uid_\" is taken",
            "the name \"a\" is taken",
            "the dense vector \"a\" has no dimension",
            "the sparse vector \"s\" has a dimension",
            "\"a\" has a full-text index but is no STRING",
        ]
    );
    assert_eq!(read(json!({"name": "n"})).faults(), ["the schema has no field"]);
}

#[test]
fn a_schema_of_a_newer_or_damaged_manifest_is_refused() {
    let code = |field: FieldSchema| {
        let schema = CollectionSchema { fields: vec![field], ..Default::default() };
        let error = SchemaFile::from_manifest(&schema).unwrap_err();
        (error.code, error.kind)
    };
    let newer = ("schema.newer", Kind::Newer);
    let int32 = proto::DataType::Int32 as i32;
    let fp32 = proto::DataType::VectorFp32 as i32;
    let invert = Some(IndexParams { params: Some(Params::Invert(Default::default())) });
    let flat = |metric_type| {
        let base = Some(proto::BaseIndexParams { metric_type, ..Default::default() });
        Some(IndexParams { params: Some(Params::Flat(proto::FlatIndexParams { base, ..Default::default() })) })
    };
    assert_eq!(code(FieldSchema { data_type: 99, ..Default::default() }), newer);
    assert_eq!(
        code(FieldSchema { data_type: int32, index_params: Some(IndexParams::default()), ..Default::default() }),
        newer
    );
    assert_eq!(code(FieldSchema { data_type: fp32, index_params: flat(9), ..Default::default() }), newer);
    assert_eq!(code(FieldSchema::default()), ("schema.field-type", Kind::Malformed));
    let index = ("schema.index", Kind::Malformed);
    assert_eq!(code(FieldSchema { data_type: fp32, index_params: invert.clone(), ..Default::default() }), index);
    assert_eq!(code(FieldSchema { data_type: int32, index_params: flat(1), ..Default::default() }), index);
    let none = FieldSchema { data_type: fp32, ..Default::default() };
    assert_eq!(describe_index(&none), "none");
    let described = FieldSchema { index_params: flat(3), ..none };
    assert_eq!(describe_index(&described), "FLAT(metric=COSINE)");
    assert_eq!(
        describe_index(&FieldSchema { index_params: flat(9), ..described }),
        "metric 9 of field \"\" is newer than this build"
    );
    let described = FieldSchema { data_type: int32, index_params: invert, ..Default::default() };
    let text = "INVERT(enable_range_optimization=false, enable_extended_wildcard=false)";
    assert_eq!(describe_index(&described), text);
}

#[test]
fn the_json_schema_accepts_what_is_printed() {
    let validator = jsonschema::validator_for(schemars::schema_for!(SchemaFile).as_value()).unwrap();
    for (name, manifest) in real_manifests() {
        let file = SchemaFile::from_manifest(&manifest.schema.unwrap()).unwrap();
        let json = serde_json::to_value(&file).unwrap();
        assert!(validator.is_valid(&json), "{name}: {json}");
    }
    assert!(!validator.is_valid(&json!({"name": "n", "colour": "red"})));
}
