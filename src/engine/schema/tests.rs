use prost::Message;
use serde::Deserialize;

use super::*;
use crate::format::fts::tokenize::Tokenizer;

/// A line of the answers that zvec 0.8.0 gave; see `fixtures/rules.py`.
#[derive(Deserialize)]
struct Case {
    case: String,
    schema: SchemaFile,
    #[serde(default)]
    scalars: usize,
    manifest: Option<String>,
    refused: Option<String>,
}

fn cases() -> Vec<Case> {
    let lines = include_str!("../testdata/schema_rules.jsonl").split('\n').filter(|line| !line.is_empty());
    let cases: Vec<Case> = lines
        .map(|line| {
            let mut case: Case = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let added = (0..case.scalars).map(|number| format!("s{number}"));
            case.schema.fields.extend(added.map(|name| ScalarField {
                name,
                data_type: ScalarType::Int32,
                nullable: false,
                index: None,
            }));
            case
        })
        .collect();
    assert!(cases.len() > 1500);
    cases
}

pub(in crate::engine) fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().as_chunks::<2>().0.iter();
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Our code for a message of zvec.
fn code_of(message: &str) -> &'static str {
    let codes = [
        ("collection name", "schema.collection-name"),
        ("duplicate field name", "schema.duplicate-name"),
        ("field name must not be empty", "schema.field-name"),
        ("has no fields", "schema.no-field"),
        ("field size must <=", "schema.too-many-fields"),
        ("invalid FTS index params", "schema.fts"),
        ("FTS index only supports STRING", "schema.index-type"),
        ("only support FLAT|HNSW", "schema.index-type"),
        ("dimension", "schema.dimension"),
        ("data type only support FP32", "schema.data-type"),
        ("only support FP32 data types", "schema.data-type"),
        ("does not support vector index params", "schema.data-type"),
        ("only support IP metric", "schema.metric"),
        ("only support L2/IP/COSINE metric", "schema.metric"),
        ("according to the IP metric", "schema.metric"),
        ("cosine metric only supports", "schema.metric"),
        ("flat_data_type", "schema.flat-data-type"),
        ("Flat reference storage", "schema.flat-data-type"),
        ("quantiz", "schema.quantize"),
        ("nlist", "schema.parameter"),
        ("sample_count", "schema.parameter"),
        ("Invalid schema: field[", "schema.field-name"),
    ];
    codes.iter().find(|(part, _)| message.contains(part)).unwrap_or_else(|| panic!("{message}")).1
}

/// Where the engine is stricter than zvec, and what it says then.
fn stricter(case: &Case) -> Option<&'static str> {
    let mut vectors = case.schema.vectors.iter();
    vectors.any(|vector| vector.data_type.is_sparse() && vector.dimension != 0).then_some("schema.dimension")
}

#[test]
fn zvec_and_the_engine_create_the_same_schemas() {
    let (mut created, mut refused) = (0, 0);
    for case in cases() {
        let ours = Schema::create(&case.schema).map_err(|refusal| refusal.code);
        match (&case.manifest, &case.refused) {
            (Some(_), None) => {
                let expected = stricter(&case).map_or(Ok(()), Err);
                assert_eq!(ours.map(drop), expected, "{}", case.case);
                created += 1;
            }
            // A dictionary that is a file: whether it is there is not asked at creation.
            (None, Some(message)) if message.contains("cannot read file") => assert!(ours.is_ok(), "{}", case.case),
            (None, Some(message)) => {
                assert_eq!(ours.map(drop), Err(code_of(message)), "{}: {message}", case.case);
                refused += 1;
            }
            _ => panic!("{}", case.case),
        }
    }
    assert!(created > 700 && refused > 700, "{created} created, {refused} refused");
}

#[test]
fn a_created_schema_has_the_bytes_that_zvec_writes() {
    let mut compared = 0;
    for case in cases() {
        let (Some(hex), None) = (&case.manifest, stricter(&case)) else { continue };
        let schema = Schema::create(&case.schema).unwrap();
        let bytes = unhex(hex);
        assert_eq!(schema.to_proto().encode_to_vec(), bytes, "{}", case.case);
        assert_eq!(
            Schema::load(&CollectionSchema::decode(bytes.as_slice()).unwrap()).unwrap(),
            schema,
            "{}",
            case.case
        );
        assert_eq!(schema.to_file(), case.schema, "{}", case.case);
        compared += 1;
    }
    assert!(compared > 700, "{compared}");
}

fn example() -> SchemaFile {
    serde_json::from_str(
        r#"{"name": "example",
            "fields": [{"name": "title", "data_type": "STRING", "nullable": true, "index": {"type": "INVERT"}}],
            "vectors": [{"name": "dense", "data_type": "VECTOR_FP32", "dimension": 4, "index": {"type": "HNSW", "metric": "COSINE"}}]}"#,
    )
    .unwrap()
}

#[test]
fn a_segment_may_be_smaller_than_zvec_lets_one_be_but_not_empty() {
    let mut file = example();
    file.max_doc_count_per_segment = 310;
    let schema = Schema::create(&file).unwrap();
    assert_eq!(schema.max_doc_count_per_segment(), 310);
    assert!(schema.max_doc_count_per_segment() < MIN_DOC_COUNT_OF_ZVEC);
    file.max_doc_count_per_segment = 0;
    assert_eq!(Schema::create(&file).unwrap_err().code, "schema.segment-size");
}

#[test]
fn a_manifest_keeps_the_order_of_its_fields() {
    let schema = Schema::create(&example()).unwrap();
    let mut proto = schema.to_proto();
    let added =
        FieldSchema { name: "added".into(), data_type: DataType::Int64 as i32, nullable: true, ..Default::default() };
    proto.fields.push(added);
    let loaded = Schema::load(&proto).unwrap();
    let names: Vec<_> = loaded.fields().iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["title", "dense", "added"]);
    assert_eq!(loaded.scalars().map(|(position, _)| position).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(loaded.vectors().map(|(position, ..)| position).collect::<Vec<_>>(), [1]);
    assert_eq!((loaded.position("added"), loaded.position("other")), (Some(2), None));
    assert_eq!(loaded.to_proto(), proto);
}

#[test]
fn a_manifest_that_makes_no_sense_is_refused() {
    let good = Schema::create(&example()).unwrap().to_proto();
    let refused = |change: &dyn Fn(&mut CollectionSchema)| {
        let mut proto = good.clone();
        change(&mut proto);
        Schema::load(&proto).unwrap_err().code
    };
    assert_eq!(refused(&|proto| proto.fields[0].data_type = 99), "schema.newer");
    assert_eq!(refused(&|proto| proto.fields[0].data_type = 0), "schema.field-type");
    assert_eq!(refused(&|proto| proto.fields[0].index_params = proto.fields[1].index_params.clone()), "schema.index");
    assert_eq!(refused(&|proto| proto.fields[1].name = "title".into()), "schema.duplicate-name");
}

#[test]
fn what_cannot_be_written_is_told() {
    let with = |index: &str| {
        let mut file = example();
        file.vectors[0].index = serde_json::from_str(index).unwrap();
        Schema::create(&file).unwrap().writable().map_err(|refusal| refusal.code)
    };
    assert_eq!(with(r#"{"type": "HNSW", "metric": "L2", "quantize": "INT8"}"#), Ok(()));
    let rotated = r#"{"type": "HNSW", "metric": "L2", "quantize": "INT8", "quantizer_param": {"enable_rotate": true}}"#;
    assert_eq!(with(rotated), Ok(()));
    assert_eq!(with(r#"{"type": "FLAT", "metric": "UNDEFINED"}"#), Err("schema.unwritable"));

    let full_text = |tokenizer: &str, filters: &str| {
        let mut file = example();
        let index = format!(r#"{{"type": "FTS", "tokenizer_name": "{tokenizer}", "filters": {filters}}}"#);
        file.fields[0].index = Some(serde_json::from_str(&index).unwrap());
        Schema::create(&file).unwrap().writable().map_err(|refusal| refusal.code)
    };
    assert_eq!(full_text("standard", r#"["lowercase"]"#), Ok(()));
    assert_eq!(full_text("jieba", "[]"), Err("schema.unwritable"));
}

#[test]
fn the_tokenizers_refuse_no_settings_that_zvec_takes_and_take_none_that_it_refuses() {
    let (mut taken, mut refused) = (0, 0);
    for case in cases() {
        let Some(ScalarIndex::Fts { tokenizer_name, filters, extra_params }) =
            case.schema.fields.first().and_then(|field| field.index.as_ref())
        else {
            continue;
        };
        let made = Tokenizer::new(tokenizer_name, filters, extra_params).map(drop).map_err(|error| error.code);
        match &case.refused {
            None => {
                assert!(matches!(made, Ok(()) | Err("fts.unsupported-tokenizer")), "{}: {made:?}", case.case);
                taken += u32::from(made.is_ok());
            }
            Some(message) if message.contains("invalid FTS index params") => {
                assert!(made.is_err(), "{}", case.case);
                refused += 1;
            }
            Some(_) => {}
        }
    }
    assert!(taken > 70 && refused > 70, "{taken} {refused}");
}
