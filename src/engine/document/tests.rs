use std::collections::HashMap;

use serde::Deserialize;

use super::*;
use crate::{
    engine::{input::parse_document, schema::tests::unhex},
    format::schema_file::SchemaFile,
};

/// A line of the answers that zvec 0.8.0 gave; see `fixtures/rules_documents.py`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Schemas { schemas: HashMap<String, SchemaFile> },
    Case(Case),
    Halves { halves: Vec<f64>, stored: String },
}

#[derive(Deserialize)]
struct Case {
    case: String,
    schema: String,
    verb: String,
    given: Option<String>,
    pairs: Option<u32>,
    stored: Option<String>,
    refused: Option<String>,
}

fn lines() -> Vec<Line> {
    let lines = include_str!("../testdata/document_rules.jsonl").split('\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// The case's document; `None` where no `Doc` can say what it says.
fn given(case: &Case, schema: &Schema) -> Option<Doc> {
    if let Some(count) = case.pairs {
        let mut doc = Doc::new(format!("{count} pairs"), schema);
        doc.values[schema.position("sparse").unwrap()] = Some(Value::SparseF32((0..count).map(|n| (n, 1.0)).collect()));
        return Some(doc);
    }
    let stored = document::decode(&unhex(case.given.as_ref().unwrap()), 0).ok()?;
    let mut doc = Doc::new(stored.pk, schema);
    for (name, value) in stored.fields {
        doc.values[schema.position(&name)?] = Some(value);
    }
    Some(doc)
}

/// The parts of a payload in an order of their own: zvec writes fields in that of a hash. Compared as bytes, since NaN is unequal to itself.
fn sorted(payload: &[u8]) -> Vec<u8> {
    let mut doc = document::decode(payload, 0).unwrap();
    doc.fields.sort_by(|a, b| a.0.cmp(&b.0));
    document::encode(&doc).unwrap()
}

fn code_of(message: &str) -> &'static str {
    let codes = [
        ("Invalid doc: id", "document.id"),
        ("not provided", "document.missing"),
        ("value is null", "document.null"),
        ("type mismatch", "document.type"),
        ("dimension mismatch", "document.dimension"),
        ("duplicate indices", "document.sparse-index"),
        ("number of sparse indices", "document.sparse-index"),
    ];
    codes.iter().find(|(part, _)| message.contains(part)).unwrap_or_else(|| panic!("{message}")).1
}

#[test]
fn zvec_and_the_engine_take_the_same_documents_and_log_the_same_bytes() {
    let mut schemas = HashMap::new();
    let mut live: HashMap<Vec<u8>, (u64, Doc)> = HashMap::new();
    let (mut taken, mut refused) = (0, 0);
    for line in lines() {
        let case = match line {
            Line::Schemas { schemas: files } => {
                schemas = files.into_iter().map(|(name, file)| (name, Schema::create(&file).unwrap())).collect();
                continue;
            }
            Line::Halves { .. } => continue,
            Line::Case(case) => case,
        };
        let schema = &schemas[&case.schema];
        let Some(mut doc) = given(&case, schema) else {
            assert!(case.refused.is_some(), "{}", case.case);
            continue;
        };
        let (mode, op) = match case.verb.as_str() {
            "insert" => (Mode::Insert, Op::Insert),
            "upsert" => (Mode::Upsert, Op::Upsert),
            _ => (Mode::Update, Op::Update),
        };
        let ours = schema.admit(&mut doc, mode).map_err(|refusal| refusal.code);
        let Some(stored) = case.stored else {
            assert_eq!(ours, Err(code_of(&case.refused.unwrap())), "{}", case.case);
            refused += 1;
            continue;
        };
        if case.case.starts_with("not UTF-8 in") && !case.case.ends_with("BINARY") {
            // zvec takes it, and its own Python cannot read it back.
            assert_eq!(ours, Err("document.utf8"), "{}", case.case);
            continue;
        }
        assert_eq!(ours, Ok(()), "{}", case.case);
        taken += 1;
        if stored.is_empty() {
            continue;
        }
        let stored = unhex(&stored);
        let in_log = document::decode(&stored, 0).unwrap();
        if mode == Mode::Update {
            let (_, old) = live.remove(&doc.pk).unwrap();
            doc = old.merged(doc);
        }
        let mut payload = Vec::new();
        schema.encode_payload(&doc, op, in_log.doc_id, &mut payload).unwrap();
        assert_eq!(payload.len() as u64, schema.payload_len(&doc), "{}", case.case);
        assert_eq!(sorted(&payload), sorted(&stored), "{}", case.case);
        live.insert(doc.pk.clone(), (in_log.doc_id, doc));
    }
    assert!(taken > 150 && refused > 450, "{taken} taken, {refused} refused");
}

#[test]
fn half_precision_is_read_from_json_as_zvecs_python_makes_it() {
    let schema = schema(r#"{"name": "n", "vectors": [{"name": "fp16", "data_type": "VECTOR_FP16", "dimension": 4}]}"#);
    let (mut same, mut infinite) = (0, 0);
    for line in lines() {
        let Line::Halves { halves, stored } = line else { continue };
        let theirs = document::decode(&unhex(&stored), 0).unwrap();
        let [(_, Value::F16s(expected))] = theirs.fields.as_slice() else { panic!("{theirs:?}") };
        let text = serde_json::json!({"id": "h", "vectors": {"fp16": halves}}).to_string();
        let ours = parse_document(text.as_bytes(), &schema);
        if expected.iter().any(|half| half.is_infinite()) {
            // zvec makes infinity of what is too large, without a word.
            assert_eq!(ours.unwrap_err().code, "value.out-of-range");
            infinite += 1;
        } else {
            assert_eq!(ours.unwrap().value(0), &Value::F16s(expected.clone()), "{text}");
            same += 1;
        }
    }
    assert!(same >= 6 && infinite >= 2, "{same} {infinite}");
}

fn schema(json: &str) -> Schema {
    Schema::create(&serde_json::from_str(json).unwrap()).unwrap()
}

#[test]
fn a_record_of_4_mib_is_taken_and_one_byte_more_is_not() {
    let schema = schema(r#"{"name": "n", "fields": [{"name": "t", "data_type": "STRING"}]}"#);
    let mut doc = Doc::new("id", &schema);
    let room = ZVEC_MAX_PAYLOAD as usize - (24 + 2 + 4 + 1 + 1 + 4);
    doc.values[0] = Some(Value::Bytes(vec![b'x'; room]));
    assert_eq!(schema.admit(&mut doc, Mode::Insert), Ok(()));
    let mut payload = Vec::new();
    schema.encode_payload(&doc, Op::Insert, 0, &mut payload).unwrap();
    assert_eq!(payload.len(), ZVEC_MAX_PAYLOAD as usize);
    doc.values[0] = Some(Value::Bytes(vec![b'x'; room + 1]));
    assert_eq!(schema.admit(&mut doc, Mode::Upsert).unwrap_err().code, "document.too-large");
}

#[test]
fn a_stored_document_comes_back_without_what_the_schema_does_not_know() {
    let schema = schema(
        r#"{"name": "n", "fields": [{"name": "i", "data_type": "INT32", "nullable": true}, {"name": "t", "data_type": "STRING"}],
            "vectors": [{"name": "v", "data_type": "VECTOR_FP32", "dimension": 2}]}"#,
    );
    let fields = [
        ("v", Value::F32s(vec![1.0, 2.0])),
        ("gone", Value::I32(1)),
        ("i", Value::I64(1)),
        ("t", Value::Bytes(b"text".to_vec())),
    ];
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let doc = schema.decode(WalDoc { pk: b"k".to_vec(), score: 0.0, doc_id: 0, op: Op::Insert, fields });
    let expected = vec![Some(Value::Null), Some(Value::Bytes(b"text".to_vec())), Some(Value::F32s(vec![1.0, 2.0]))];
    assert_eq!(doc, Doc { pk: b"k".to_vec(), values: expected });
}

#[test]
fn a_document_of_another_schema_is_refused() {
    let schema = schema(r#"{"name": "n", "fields": [{"name": "t", "data_type": "STRING", "nullable": true}]}"#);
    let doc = Doc { pk: b"k".to_vec(), values: vec![None, None] };
    assert_eq!(schema.check(&doc, Mode::Insert).unwrap_err().code, "document.fields");
}

#[test]
fn pairs_that_are_not_sorted_are_refused_without_normalising() {
    let schema = schema(r#"{"name": "n", "vectors": [{"name": "s", "data_type": "SPARSE_VECTOR_FP32"}]}"#);
    let mut doc = Doc::new("k", &schema);
    doc.values[0] = Some(Value::SparseF32(vec![(2, 2.0), (1, 1.0)]));
    assert_eq!(schema.check(&doc, Mode::Insert).unwrap_err().code, "document.sparse-index");
    assert_eq!(schema.admit(&mut doc, Mode::Insert), Ok(()));
    assert_eq!(doc.values[0], Some(Value::SparseF32(vec![(1, 1.0), (2, 2.0)])));
}
