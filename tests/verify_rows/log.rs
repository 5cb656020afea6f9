//! Records of a log that contradict ids, keys or schema: written wrong, under checksums that fit.

use std::fs;

use zvecctl::{
    format::{
        document::{self, Op, WalDoc},
        value::Value,
        wal,
    },
    report::Severity,
    verify::Level,
};

use crate::{check, support::Fixture};

/// Flushed documents `doc_00000` to `doc_00076`, and a log.
const NAME: &str = "0.8.0_small_killed";

/// Codes of what is wrong with a log of these records, each once.
fn told(records: impl FnOnce(WalDoc) -> Vec<WalDoc>) -> Vec<(Severity, String)> {
    let fixture = Fixture::good(NAME);
    let log = super::only_file(&fixture, "0", ".wal");
    let mut first = None;
    wal::scan(fs::read(&log).unwrap(), |record| {
        let doc = document::decode(&record.payload, 0).unwrap();
        if doc.op == Op::Insert {
            first.get_or_insert(doc);
        }
    })
    .unwrap();
    let mut bytes = wal::encode_header().to_vec();
    for doc in records(first.unwrap()) {
        wal::encode_record(&document::encode(&doc).unwrap(), &mut bytes).unwrap();
    }
    fs::write(&log, bytes).unwrap();
    let findings = check(&fixture.path(), Level::Structures);
    let mut codes: Vec<_> = findings.into_iter().map(|finding| (finding.severity, finding.code)).collect();
    codes.sort();
    codes.dedup();
    codes
}

fn error(code: &str) -> Vec<(Severity, String)> {
    vec![(Severity::Error, code.to_owned())]
}

fn warning(code: &str) -> Vec<(Severity, String)> {
    vec![(Severity::Warning, code.to_owned())]
}

/// A record on a key.
fn on(key: &str, op: Op, doc_id: u64, like: &WalDoc) -> WalDoc {
    WalDoc { pk: key.into(), op, doc_id, ..like.clone() }
}

/// The document with one field changed.
fn with(mut doc: WalDoc, change: impl FnOnce(&mut Vec<(String, Value)>)) -> Vec<WalDoc> {
    change(&mut doc.fields);
    vec![doc]
}

fn field<'f>(fields: &'f mut [(String, Value)], name: &str) -> &'f mut Value {
    fields.iter_mut().find(|(field, _)| field == name).map(|(_, value)| value).unwrap()
}

#[test]
fn a_right_log_has_nothing_to_tell() {
    let records = |doc: WalDoc| {
        vec![
            on("new", Op::Insert, 0, &doc),
            on("doc_00001", Op::Upsert, 0, &doc),
            on("doc_00002", Op::Update, 2, &doc),
            on("doc_00003", Op::Delete, 3, &doc),
            on("doc_00003", Op::Insert, 0, &doc),
            on("", Op::Delete, 4, &doc),
        ]
    };
    assert_eq!(told(records), []);
}

#[test]
fn keys_and_ids_are_held_against_the_rows() {
    assert_eq!(told(|doc| vec![on("doc_00001", Op::Insert, 0, &doc)]), error("wal.duplicate-insert"));
    assert_eq!(
        told(|doc| vec![on("new", Op::Insert, 0, &doc), on("new", Op::Insert, 0, &doc)]),
        error("wal.duplicate-insert")
    );
    assert_eq!(told(|doc| vec![on("nobody", Op::Delete, 7777, &doc)]), error("wal.dangling-id"));
    assert_eq!(told(|doc| vec![on("", Op::Delete, 7777, &doc)]), error("wal.dangling-id"));
    let twice = |doc: WalDoc| vec![on("doc_00003", Op::Delete, 3, &doc), on("doc_00003", Op::Delete, 3, &doc)];
    assert_eq!(told(twice), error("wal.dangling-id"));
    assert_eq!(told(|doc| vec![on("", Op::Insert, 0, &doc)]), error("wal.key"));
    assert_eq!(told(|doc| vec![WalDoc { pk: vec![0xff], ..doc }]), error("wal.key"));
    assert_eq!(told(|doc| vec![on("new", Op::Unknown(9), 0, &doc)]), warning("wal.unknown-operation"));
}

#[test]
fn fields_are_held_against_the_schema() {
    let floats = |value: &mut Value| match value {
        Value::F32s(floats) => drop(floats.pop()),
        other => panic!("{other:?}"),
    };
    assert_eq!(told(|doc| with(doc, |fields| floats(field(fields, "dense")))), error("wal.dimension"));
    assert_eq!(
        told(|doc| with(doc, |fields| *field(fields, "title") = Value::Bytes(vec![0xff]))),
        error("wal.field-value")
    );
    assert_eq!(told(|doc| with(doc, |fields| *field(fields, "year") = Value::I64(1))), warning("wal.field-type"));
    assert_eq!(
        told(|doc| with(doc, |fields| fields.push(("more".into(), Value::Bool(true))))),
        warning("wal.unknown-field")
    );
    assert_eq!(told(|doc| with(doc, |fields| fields.push(fields[0].clone()))), warning("wal.duplicate-field"));
    assert_eq!(told(|doc| with(doc, Vec::clear)), error("wal.null-value"));
}
