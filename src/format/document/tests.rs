use proptest::{collection::vec, prelude::*};

use super::*;
use crate::format::Kind;

/// Any value of any kind, NaNs included.
pub(in crate::format) fn any_value() -> BoxedStrategy<Value> {
    let f16s = || any::<u16>().prop_map(f16::from_bits);
    let f32s = || any::<u32>().prop_map(f32::from_bits);
    let f64s = || any::<u64>().prop_map(f64::from_bits);
    let bytes = || vec(any::<u8>(), 0..12);
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::I32),
        any::<u32>().prop_map(Value::U32),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        f32s().prop_map(Value::F32),
        f64s().prop_map(Value::F64),
        prop_oneof![bytes(), ".{0,9}".prop_map(String::into_bytes)].prop_map(Value::Bytes),
        vec(any::<bool>(), 0..5).prop_map(Value::Bools),
        vec(any::<i8>(), 0..5).prop_map(Value::I8s),
        vec(any::<i16>(), 0..5).prop_map(Value::I16s),
        vec(any::<i32>(), 0..5).prop_map(Value::I32s),
        vec(any::<i64>(), 0..5).prop_map(Value::I64s),
        vec(any::<u32>(), 0..5).prop_map(Value::U32s),
        vec(any::<u64>(), 0..5).prop_map(Value::U64s),
        vec(f16s(), 0..5).prop_map(Value::F16s),
        vec(f32s(), 0..5).prop_map(Value::F32s),
        vec(f64s(), 0..5).prop_map(Value::F64s),
        vec(bytes(), 0..4).prop_map(Value::ByteStrings),
        proptest::collection::btree_map(any::<u32>(), f32s(), 0..5)
            .prop_map(|pairs| Value::SparseF32(pairs.into_iter().collect())),
        proptest::collection::btree_map(any::<u32>(), f16s(), 0..5)
            .prop_map(|pairs| Value::SparseF16(pairs.into_iter().collect())),
    ]
    .boxed()
}

/// Any document.
pub(in crate::format) fn any_doc() -> impl Strategy<Value = WalDoc> {
    let fields = vec(("[a-zé]{0,6}", any_value()), 0..5);
    (vec(any::<u8>(), 0..9), any::<u32>(), any::<u64>(), any::<u32>(), fields).prop_map(
        |(pk, score, doc_id, op, fields)| WalDoc {
            pk,
            score: f32::from_bits(score),
            doc_id,
            op: Op::from_number(op % 6),
            fields,
        },
    )
}

/// pk "d", score 0, document id 7, UPDATE, then the given fields.
fn payload(count: u32, fields: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x01\0\0\0d\0\0\0\0\x07\0\0\0\0\0\0\0\x02\0\0\0".to_vec();
    bytes.extend(count.to_le_bytes());
    bytes.extend_from_slice(fields);
    bytes
}

fn one_field(value: &[u8]) -> Vec<u8> {
    payload(1, &[b"\x01\0\0\0f".as_slice(), value].concat())
}

fn code(bytes: &[u8]) -> (&'static str, u64) {
    let error = decode(bytes, 1000).unwrap_err();
    (error.code, error.offset)
}

#[test]
fn known_bytes_of_every_tag() {
    let known: [(&[u8], Value); 22] = [
        (b"\0", Value::Null),
        (b"\x01\x01", Value::Bool(true)),
        (b"\x02\xff\xff\xff\xff", Value::I32(-1)),
        (b"\x03\xff\xff\xff\xff", Value::U32(u32::MAX)),
        (b"\x04\xfe\xff\xff\xff\xff\xff\xff\xff", Value::I64(-2)),
        (b"\x05\xfe\xff\xff\xff\xff\xff\xff\xff", Value::U64(u64::MAX - 1)),
        (b"\x06\0\0\xc0\x3f", Value::F32(1.5)),
        (b"\x07\0\0\0\0\0\0\xf8\xbf", Value::F64(-1.5)),
        (b"\x08\x02\0\0\0hi", Value::Bytes(b"hi".to_vec())),
        (b"\x09\x02\0\0\0\x01\0", Value::Bools(vec![true, false])),
        (b"\x0a\x02\0\0\0\xff\x01", Value::I8s(vec![-1, 1])),
        (b"\x0b\x01\0\0\0\0\x80", Value::I16s(vec![i16::MIN])),
        (b"\x0c\x01\0\0\0\x01\0\0\0", Value::I32s(vec![1])),
        (b"\x0d\x01\0\0\0\x01\0\0\0\0\0\0\0", Value::I64s(vec![1])),
        (b"\x0e\x01\0\0\0\x01\0\0\x80", Value::U32s(vec![0x8000_0001])),
        (b"\x0f\x01\0\0\0\x01\0\0\0\0\0\0\x80", Value::U64s(vec![(1 << 63) + 1])),
        (b"\x10\x01\0\0\0\0\x3c", Value::F16s(vec![f16::ONE])),
        (b"\x11\x01\0\0\0\0\0\x80\x3f", Value::F32s(vec![1.0])),
        (b"\x12\x01\0\0\0\0\0\0\0\0\0\xf0\x3f", Value::F64s(vec![1.0])),
        (b"\x13\x02\0\0\0\x01\0\0\0a\0\0\0\0", Value::ByteStrings(vec![b"a".to_vec(), vec![]])),
        (b"\x14\x01\0\0\0\x09\0\0\0\x01\0\0\0\0\0\0\x3f", Value::SparseF32(vec![(9, 0.5)])),
        (b"\x15\x01\0\0\0\x09\0\0\0\x01\0\0\0\0\x38", Value::SparseF16(vec![(9, f16::from_f32(0.5))])),
    ];
    for (tag, (value, expected)) in known.into_iter().enumerate() {
        assert_eq!(usize::from(value[0]), tag);
        let bytes = one_field(value);
        let doc = decode(&bytes, 0).unwrap();
        assert_eq!((doc.pk.as_slice(), doc.doc_id, doc.op, doc.score), (b"d".as_slice(), 7, Op::Update, 0.0));
        assert_eq!(doc.fields, [("f".to_owned(), expected)]);
        assert_eq!(encode(&doc).unwrap(), bytes);
    }
}

#[test]
fn every_way_to_be_wrong_has_its_code_and_offset() {
    let fields = 1000 + payload(0, b"").len() as u64;
    let value = fields + 5;
    assert_eq!(decode(&payload(0, b""), 0).unwrap().fields, []);
    assert_eq!(payload(0, b"").len(), MIN_LEN + 1);
    assert_eq!(code(b""), ("document.truncated", 1000));
    assert_eq!(code(b"\xff\xff\xff\xffx"), ("document.truncated", 1004));
    assert_eq!(code(&payload(1, b"")), ("document.truncated", fields));
    assert_eq!(code(&payload(u32::MAX, b"")), ("document.truncated", fields));
    assert_eq!(code(&payload(0, b"x")), ("document.trailing-bytes", fields));
    assert_eq!(code(&payload(1, b"\x01\0\0\0\xff\0")), ("document.name", fields));
    assert_eq!(code(&one_field(b"\x01\x02")), ("document.bool", value + 1));
    assert_eq!(code(&one_field(b"\x09\x02\0\0\0\x01\x03")), ("document.bool", value + 6));
    assert_eq!(code(&one_field(b"\x12\xff\xff\xff\xff")), ("document.truncated", value + 5));
    assert_eq!(code(&one_field(b"\x13\xff\xff\xff\xff")), ("document.truncated", value + 5));
    assert_eq!(code(&one_field(b"\x14\x01\0\0\0\x09\0\0\0\0\0\0\0")), ("document.sparse", value + 1));
    assert_eq!(code(&one_field(b"\x16")), ("document.newer", value));
    assert_eq!(decode(&one_field(b"\x16"), 0).unwrap_err().kind, Kind::Newer);
    assert_eq!(code(&one_field(b"\xff")), ("document.tag", value));
    assert_eq!(decode(&one_field(b"\xff"), 0).unwrap_err().kind, Kind::Malformed);
}

#[test]
fn an_unknown_operation_is_kept() {
    let mut bytes = payload(0, b"");
    bytes[17] = 9;
    let doc = decode(&bytes, 0).unwrap();
    assert_eq!((doc.op, doc.op.to_string().as_str()), (Op::Unknown(9), "operation 9"));
    assert_eq!(encode(&doc).unwrap(), bytes);
}

proptest! {
    #[test]
    fn round_trip(doc in any_doc()) {
        let bytes = encode(&doc).unwrap();
        let back = decode(&bytes, 0).unwrap();
        // By bytes and by debug text: NaN is not equal to itself.
        prop_assert_eq!(format!("{back:?}"), format!("{doc:?}"));
        prop_assert_eq!(encode(&back).unwrap(), bytes);
    }

    #[test]
    fn what_decodes_is_what_would_be_written(mut bytes in any_doc().prop_map(|doc| encode(&doc).unwrap()),
            at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        let index = at.index(bytes.len());
        bytes[index] = byte;
        if let Ok(doc) = decode(&bytes, 0) {
            prop_assert_eq!(encode(&doc).unwrap(), bytes.clone());
        }
        bytes.truncate(cut.index(bytes.len()));
        if let Ok(doc) = decode(&bytes, 0) {
            prop_assert_eq!(encode(&doc).unwrap(), bytes);
        }
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(doc) = decode(&bytes, 0) {
            prop_assert_eq!(encode(&doc).unwrap(), bytes);
        }
    }
}
