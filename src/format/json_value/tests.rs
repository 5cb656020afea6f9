use proptest::prelude::*;

use super::*;
use crate::format::document::tests::any_value;

fn json(value: &Value, data_type: DataType) -> String {
    let mut out = Vec::new();
    write_value(&mut out, value, data_type);
    String::from_utf8(out).unwrap()
}

fn parse(text: &str, data_type: DataType) -> Value {
    parse_value(text.as_bytes(), data_type).unwrap()
}

fn code(text: &str, data_type: DataType) -> (&'static str, u64) {
    let error = parse_value(text.as_bytes(), data_type).unwrap_err();
    (error.code, error.offset)
}

/// A type whose values are of the kind of `value`; BINARY for bytes.
fn type_of(value: &Value) -> DataType {
    match value {
        Value::Null | Value::Bool(_) => DataType::Bool,
        Value::I32(_) => DataType::Int32,
        Value::U32(_) => DataType::Uint32,
        Value::I64(_) => DataType::Int64,
        Value::U64(_) => DataType::Uint64,
        Value::F32(_) => DataType::Float,
        Value::F64(_) => DataType::Double,
        Value::Bytes(_) => DataType::Binary,
        Value::Bools(_) => DataType::ArrayBool,
        Value::I8s(_) => DataType::VectorInt8,
        Value::I16s(_) => DataType::VectorInt16,
        Value::I32s(_) => DataType::ArrayInt32,
        Value::I64s(_) => DataType::ArrayInt64,
        Value::U32s(_) => DataType::VectorBinary32,
        Value::U64s(_) => DataType::VectorBinary64,
        Value::F16s(_) => DataType::VectorFp16,
        Value::F32s(_) => DataType::VectorFp32,
        Value::F64s(_) => DataType::VectorFp64,
        Value::ByteStrings(_) => DataType::ArrayBinary,
        Value::SparseF32(_) => DataType::SparseVectorFp32,
        Value::SparseF16(_) => DataType::SparseVectorFp16,
    }
}

#[test]
fn the_documented_shapes() {
    let half = f16::from_f32(0.1);
    for (value, data_type, text) in [
        (Value::Null, DataType::String, "null"),
        (Value::Bool(true), DataType::Bool, "true"),
        (Value::I64(i64::MIN), DataType::Int64, "-9223372036854775808"),
        (Value::U64(u64::MAX), DataType::Uint64, "18446744073709551615"),
        (Value::F32(0.1), DataType::Float, "0.1"),
        (Value::F32(-0.0), DataType::Float, "-0.0"),
        (Value::F32(f32::INFINITY), DataType::Float, "\"Infinity\""),
        (Value::F64(f64::NEG_INFINITY), DataType::Double, "\"-Infinity\""),
        (Value::F64(0.1), DataType::Double, "0.1"),
        (Value::F16s(vec![half]), DataType::VectorFp16, "[0.099975586]"),
        (Value::F32s(vec![1.0, f32::MAX, f32::from_bits(1)]), DataType::VectorFp32, "[1.0,3.4028235e+38,1e-45]"),
        (Value::Bytes("é\"\n".into()), DataType::String, r#""é\"\n""#),
        (Value::Bytes(vec![0xff, 0]), DataType::String, r#"{"base64":"/wA="}"#),
        (Value::Bytes(b"hi".to_vec()), DataType::Binary, r#""aGk=""#),
        (Value::ByteStrings(vec![b"a".to_vec(), vec![0xff]]), DataType::ArrayString, r#"["a",{"base64":"/w=="}]"#),
        (Value::ByteStrings(vec![b"a".to_vec()]), DataType::ArrayBinary, r#"["YQ=="]"#),
        (Value::U32s(vec![1, u32::MAX]), DataType::VectorBinary32, "[1,4294967295]"),
        (Value::I8s(vec![-8, 7]), DataType::VectorInt4, "[-8,7]"),
        (Value::SparseF32(vec![]), DataType::SparseVectorFp32, "{}"),
        (Value::SparseF32(vec![(2, 0.5), (17, 1.5)]), DataType::SparseVectorFp32, r#"{"2":0.5,"17":1.5}"#),
    ] {
        assert_eq!(json(&value, data_type), text);
        assert_eq!(parse(text, data_type), value);
    }
    assert_eq!(json(&Value::F32(f32::NAN), DataType::Float), "\"NaN\"");
    assert!(matches!(parse("\"NaN\"", DataType::Float), Value::F32(v) if v.is_nan()));
    assert_eq!(json(&Value::Bytes(b"x".to_vec()), DataType::Undefined), "\"x\"", "without a schema: text");
}

#[test]
fn a_float_is_not_rounded_twice() {
    // The shortest decimal of this f32 reads back as its neighbour by way of an f64.
    let value = f32::from_bits(0x15ae_43fd);
    let text = json(&Value::F32(value), DataType::Float);
    assert_eq!(text, "7.038531e-26");
    assert_ne!((text.parse::<f64>().unwrap() as f32).to_bits(), value.to_bits());
    assert_eq!(parse(&text, DataType::Float), Value::F32(value));
}

#[test]
fn sparse_indices_come_out_sorted_and_go_in_in_any_order() {
    let unsorted = Value::SparseF32(vec![(9, 1.0), (10, 2.0), (2, 3.0)]);
    assert_eq!(json(&unsorted, DataType::SparseVectorFp32), r#"{"2":3.0,"9":1.0,"10":2.0}"#);
    let sorted = Value::SparseF32(vec![(2, 3.0), (9, 1.0)]);
    assert_eq!(parse(r#" { "9" : 1 , "2" : 3e0 } "#, DataType::SparseVectorFp32), sorted);
}

#[test]
fn what_is_refused() {
    use DataType::*;
    assert_eq!(code("1.0", Int32), ("value.wrong-type", 0));
    assert_eq!(code(" 1e3", Int64), ("value.wrong-type", 1));
    assert_eq!(code("2147483648", Int32), ("value.out-of-range", 0));
    assert_eq!(code("-1", Uint64), ("value.out-of-range", 0));
    assert_eq!(parse("-0", Uint64), Value::U64(0));
    assert_eq!(code("[1, 8]", VectorInt4), ("value.out-of-range", 4));
    assert_eq!(code("[-129]", VectorInt8), ("value.out-of-range", 1));
    assert_eq!(code("3.5e38", Float), ("value.out-of-range", 0));
    assert_eq!(code("1e309", Double), ("value.out-of-range", 0));
    assert_eq!(code("[65520]", VectorFp16), ("value.out-of-range", 1));
    assert_eq!(code("\"nan\"", Float), ("value.wrong-type", 0));
    assert_eq!(code("true", Int32), ("value.wrong-type", 0));
    assert_eq!(code("0", Bool), ("value.wrong-type", 0));
    assert_eq!(code("truer", Bool), ("json.syntax", 4));
    assert_eq!(code("5", String), ("value.wrong-type", 0));
    assert_eq!(code("{}", String), ("value.wrong-type", 2));
    assert_eq!(code(r#"{"hex":"00"}"#, String), ("value.wrong-type", 7));
    assert_eq!(code("\"a\u{1}\"", String), ("json.syntax", 0));
    assert_eq!(code(r#""\ud800""#, String), ("json.syntax", 0));
    assert_eq!(code("\"open", String), ("json.syntax", 0));
    assert_eq!(code("\"%\"", Binary), ("value.base64", 0));
    assert_eq!(code("[1,]", ArrayInt32), ("value.wrong-type", 3));
    assert_eq!(code("[1 2]", ArrayInt32), ("json.syntax", 3));
    assert_eq!(code("[1", ArrayInt32), ("json.syntax", 2));
    assert_eq!(code("[null]", ArrayInt32), ("value.wrong-type", 1));
    assert_eq!(code("{\"1\":1}", ArrayInt32), ("value.wrong-type", 0));
    assert_eq!(code(r#"{"1":1,"1":2}"#, SparseVectorFp32), ("value.sparse-index", 0));
    assert_eq!(code(r#"{"01":1}"#, SparseVectorFp32), ("value.sparse-index", 6));
    assert_eq!(code(r#"{"+1":1}"#, SparseVectorFp32), ("value.sparse-index", 6));
    assert_eq!(code(r#"{"4294967296":1}"#, SparseVectorFp32), ("value.sparse-index", 14));
    assert_eq!(code("1 2", Int32), ("json.syntax", 2));
    for text in ["01", "-", "1.", ".5", "1e", "1e+", "+1", "0x10", ""] {
        assert!(parse_value(text.as_bytes(), Double).is_err(), "{text}");
    }
    assert_eq!(code("1", VectorUint8), ("value.unsupported-type", 0));
}

#[test]
fn the_reader_walks_a_document() {
    let text = br#"{"id": "d\u00e9", "rest": [1, {"a": [true, false, null, "]\"}"]}, -1.5e+3], "n": 7}"#;
    let mut reader = JsonReader::new(text);
    let mut seen = Vec::new();
    reader
        .object(|reader, key| {
            let value = match &*key {
                "id" => reader.string()?.into_owned(),
                _ => String::from_utf8(reader.skip_value()?.to_vec()).unwrap(),
            };
            seen.push((key.into_owned(), value));
            Ok(())
        })
        .unwrap();
    reader.finish().unwrap();
    let rest = r#"[1, {"a": [true, false, null, "]\"}"]}, -1.5e+3]"#;
    assert_eq!(seen, [("id".into(), "dé".into()), ("rest".into(), rest.into()), ("n".into(), "7".to_owned())]);
    assert_eq!(JsonReader::new(&[b'['; 1000]).skip_value().unwrap_err().code, "json.syntax");
}

proptest! {
    #[test]
    fn round_trip(value in any_value()) {
        let data_type = type_of(&value);
        let text = json(&value, data_type);
        // As text, for NaN's sake; its payload is not kept.
        let back = parse(&text, data_type);
        prop_assert_eq!(format!("{back:?}").replace("-NaN", "NaN"), format!("{value:?}").replace("-NaN", "NaN"));
        prop_assert_eq!(json(&back, data_type), text.clone());
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }

    #[test]
    fn text_round_trip(bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..9), ".*".prop_map(std::string::String::into_bytes)]) {
        let value = Value::Bytes(bytes);
        prop_assert_eq!(parse(&json(&value, DataType::String), DataType::String), value);
    }

    #[test]
    fn every_finite_f32_comes_back(bits: u32) {
        let value = f32::from_bits(bits);
        prop_assume!(value.is_finite());
        let back = parse(&json(&Value::F32(value), DataType::Float), DataType::Float);
        prop_assert!(matches!(back, Value::F32(v) if v.to_bits() == bits));
    }

    #[test]
    fn a_skipped_value_is_valid_json(text in r#"[\[\]{}:,"\\0-9eE+.truefalsn -]{0,20}"#) {
        let mut reader = JsonReader::new(text.as_bytes());
        let ours = reader.skip_value().is_ok() && reader.finish().is_ok();
        // serde_json also refuses numbers that overflow an f64.
        if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
            prop_assert!(ours, "{}", text);
        } else if ours {
            prop_assert!(text.contains(['e', 'E']), "{}", text);
        }
    }

    #[test]
    fn random_text_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), kind in 0..50) {
        let data_type = DataType::try_from(kind).unwrap_or_default();
        if let Ok(value) = parse_value(&bytes, data_type) {
            let text = json(&value, data_type);
            prop_assert_eq!(format!("{:?}", parse(&text, data_type)), format!("{value:?}"));
        }
    }
}
