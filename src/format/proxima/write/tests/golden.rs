//! Every form of element and both bodies: the same rows give the same file as zvec 0.8.0, to the last byte.

use half::f16;
use serde_json::Value as Json;

use super::*;
use crate::format::proxima::rotation::Rotation;
use crate::format::proxima::{DataType, IndexMeta};

const WRITTEN: &str = include_str!("../../../testdata/proxima/written.json");

fn unhex(text: &str) -> Vec<u8> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(digits).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

fn halves(bytes: &[u8]) -> Vec<f16> {
    bytes.as_chunks().0.iter().map(|chunk| f16::from_le_bytes(*chunk)).collect()
}

fn sparse<T>(row: &Json, value: impl Fn(&[u8]) -> Vec<T>) -> Vec<(u32, T)> {
    let pairs = row.as_array().unwrap().iter();
    pairs
        .map(|pair| {
            let index = pair[0].as_u64().unwrap() as u32;
            (index, value(&unhex(pair[1].as_str().unwrap())).pop().unwrap())
        })
        .collect()
}

fn row(data_type: VectorType, row: &Json) -> Option<Value> {
    if row.is_null() {
        return None;
    }
    let bytes = || unhex(row.as_str().unwrap());
    Some(match data_type {
        VectorType::VectorFp32 => Value::F32s(floats(&bytes())),
        VectorType::VectorFp16 => Value::F16s(halves(&bytes())),
        VectorType::VectorInt8 => Value::I8s(bytes().iter().map(|&byte| byte as i8).collect()),
        VectorType::SparseVectorFp32 => Value::SparseF32(sparse(row, floats)),
        _ => Value::SparseF16(sparse(row, halves)),
    })
}

fn rows(json: &Json, data_type: VectorType) -> Vec<Option<Value>> {
    let name = serde_json::to_value(data_type).unwrap();
    json["rows"][name.as_str().unwrap()].as_array().unwrap().iter().map(|item| row(data_type, item)).collect()
}

#[test]
fn files_are_those_of_zvec() {
    let json: Json = serde_json::from_str(WRITTEN).unwrap();
    let files = json["files"].as_array().unwrap();
    assert!(files.len() > 40);
    for file in files {
        let field: VectorField = serde_json::from_value(file["field"].clone()).unwrap();
        let number = |key: &str| file[key].as_u64().unwrap();
        let plan = ColumnPlan::new(&field).unwrap();
        let quantised = file["quantised"].as_bool().unwrap();
        let plan = if quantised { plan.qindex.unwrap() } else { plan.index };
        let options = FileOptions {
            magic: number("magic") as u32,
            created: number("created"),
            room: Room::AsZvec,
            version: json["version"].as_str().unwrap(),
        };
        let mut writer = FlatWriter::new(&plan, Vec::new(), &options).unwrap();
        rows(&json, field.data_type).iter().for_each(|row| writer.push(row.as_ref()).unwrap());
        let bytes = writer.finish(number("updated")).unwrap().sink;
        let found = (bytes.len() as u64, u64::from(crc32c::crc32c(&bytes)));
        assert_eq!(found, (number("size"), number("crc32c")), "{} quantised: {quantised}", file["field"]);
    }
}

/// The copy of a file's elements is the file.
#[test]
fn copies_are_the_same() {
    let json: Json = serde_json::from_str(WRITTEN).unwrap();
    for file in json["files"].as_array().unwrap() {
        let field: VectorField = serde_json::from_value(file["field"].clone()).unwrap();
        let plan = ColumnPlan::new(&field).unwrap();
        let rows = rows(&json, field.data_type);
        for plan in [Some(plan.index), plan.qindex].into_iter().flatten() {
            let original = read(written(&plan, &compact(), &rows));
            assert_eq!(original.meta, plan.meta);
            let copying = FilePlan::copying(original.meta.clone(), None);
            let mut writer = FlatWriter::new(&copying, Vec::new(), &compact()).unwrap();
            let mut reader = original.reader();
            for position in 0..original.rows() {
                let record = original.record(position, &mut reader).unwrap();
                writer.push_element((!record.is_null()).then_some(record.bytes)).unwrap();
            }
            assert!(writer.push_element(Some(&[1; 5])).is_err(), "an element of another size");
            assert!(writer.push(rows.iter().flatten().next()).is_err(), "a value");
            let copy = writer.finish(1_700_000_100).unwrap().sink;
            assert_eq!(copy, *original.source(), "{}", file["field"]);
        }
    }
}

/// Rotated elements are nothing without the rotation they were rotated by.
#[test]
fn copies_keep_the_rotation() {
    let json: Json = serde_json::from_str(include_str!("../../../testdata/proxima/rotated.json")).unwrap();
    for case in json.as_array().unwrap() {
        let number = |key: &str| case["meta"][key].as_u64().unwrap() as u32;
        let meta = IndexMeta {
            header_size: 4128,
            sparse: false,
            major_order: 1,
            data_type: DataType::new(number("data_type")),
            dimension: number("dimension"),
            unit_size: number("unit"),
            extra: number("extra"),
            attachment: case["meta"]["attachment"].as_object().unwrap().clone(),
            size: 0,
        };
        let part = |key: &str| unhex(case[key].as_str().unwrap());
        let plan = FilePlan::copying(meta, Some(part("rotation")));
        let mut writer = FlatWriter::new(&plan, Vec::new(), &compact()).unwrap();
        writer.push_element(Some(&part("element"))).unwrap();
        let file = read(writer.finish(1).unwrap().sink);
        let Some(Some(Value::F32s(found))) = values(&file).pop() else { panic!("no vector") };
        for (found, expected) in found.iter().zip(case["vector"].as_array().unwrap()) {
            assert!((f64::from(*found) - expected.as_f64().unwrap()).abs() < 0.2, "{}", case["name"]);
        }
    }
}

/// Elements and `IndexMeta` of rotated columns are those of zvec 0.8.0 under the same rotation, of one, two and odd parts.
#[test]
fn rotated_elements_are_those_of_zvec() {
    let json: Json = serde_json::from_str(include_str!("../../../testdata/proxima/rotated_written.json")).unwrap();
    for case in json.as_array().unwrap() {
        let field: VectorField = serde_json::from_value(case["field"].clone()).unwrap();
        let plan = ColumnPlan::new(&field).unwrap().qindex.unwrap();
        let part = |json: &Json| unhex(json.as_str().unwrap());
        if !case["index_meta"].is_null() {
            let mut meta = plan.meta.to_bytes().unwrap();
            meta.truncate(meta.iter().rposition(|byte| *byte != 0).unwrap() + 1);
            assert_eq!(meta, part(&case["index_meta"]), "{}", case["field"]);
        }
        let bytes = part(&case["rotation"]);
        let rotation = Rotation::parse(&bytes, 0).unwrap();
        assert_eq!(rotation.to_bytes(), bytes);
        let encoder = plan.encoder.clone().rotated(rotation);
        for row in case["rows"].as_array().unwrap() {
            let mut element = vec![0; plan.meta.element_size() as usize];
            encoder.whole(&mut floats(&part(&row["vector"])), &mut element);
            assert_eq!(element, part(&row["element"]), "{}", case["field"]);
        }
    }
}
