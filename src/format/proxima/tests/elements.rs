//! Elements cut out of files that zvec releases wrote, with the vectors that were inserted (or that zvec fetched, which for exact
//! encodings is the same claim to the bit).

use serde_json::Value as Json;

use super::build::index_meta;
use super::*;

const EXACT: &str = include_str!("../../testdata/proxima/exact.json");
const QUANTISED: &str = include_str!("../../testdata/proxima/quantised.json");
const SHORT: &str = include_str!("../../testdata/proxima/short_int8.json");
const UNIFORM: &str = include_str!("../../testdata/proxima/uniform.json");
const ROTATED: &str = include_str!("../../testdata/proxima/rotated.json");

struct Case {
    name: String,
    encoding: Encoding,
    element: Vec<u8>,
    vector: Vec<f32>,
    exact: bool,
    metric: String,
}

fn meta(json: &Json) -> IndexMeta {
    let number = |key: &str| json[key].as_u64().unwrap() as u32;
    let shape = [number("dimension"), number("unit"), number("extra")];
    let bytes = index_meta(json["sparse"].as_bool().unwrap(), 0, number("data_type"), shape, &json["attachment"]);
    IndexMeta::parse(&bytes, 0).unwrap()
}

fn unhex(json: &Json) -> Option<Vec<u8>> {
    let text = json.as_str()?.as_bytes();
    Some(text.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect())
}

fn cases(text: &str) -> Vec<Case> {
    let json: Json = serde_json::from_str(text).unwrap();
    let cases = json.as_array().unwrap().iter().map(|case| {
        let stored = meta(&case["meta"]);
        let outer = case.get("outer").map(meta);
        let mut encoding = Encoding::new(&stored, outer.as_ref(), 0).unwrap();
        let element = unhex(&case["element"]).unwrap();
        if encoding.is_short(&element) == Some(true) {
            encoding.shorten();
        }
        encoding.rotation = unhex(&case["rotation"]).map(|bytes| Rotation::parse(&bytes, 0).unwrap());
        Case {
            name: case["name"].as_str().unwrap().to_owned(),
            encoding,
            element,
            vector: case["vector"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect(),
            exact: case["exact"].as_bool().unwrap(),
            metric: stored.metric().to_owned(),
        }
    });
    cases.collect()
}

fn decoded(case: &Case) -> Vec<f32> {
    let vector = case.encoding.decode(&case.element, 0).unwrap();
    assert_eq!(vector.exact, case.exact || case.encoding.is_exact(), "{}", case.name);
    match vector.value {
        Value::F32s(values) => values,
        Value::F16s(values) => values.into_iter().map(half::f16::to_f32).collect(),
        Value::I8s(values) => values.into_iter().map(f32::from).collect(),
        other => panic!("{}: {other:?}", case.name),
    }
}

/// Each value within `share` of the range of the vector.
fn close(case: &Case, share: f32) {
    let found = decoded(case);
    assert_eq!(found.len(), case.vector.len(), "{}", case.name);
    let (low, high) = case.vector.iter().fold((0f32, 0f32), |(low, high), &x| (low.min(x), high.max(x)));
    for (found, expected) in found.iter().zip(&case.vector) {
        assert!((found - expected).abs() <= share * (high - low), "{}: {found} for {expected}", case.name);
    }
}

#[test]
fn exact_encodings_give_what_zvec_fetches_to_the_bit() {
    let cases = cases(EXACT);
    assert_eq!(cases.len(), 8);
    for case in cases {
        assert_eq!(decoded(&case), case.vector, "{}", case.name);
    }
}

#[test]
fn quantised_rows_are_within_a_step() {
    for case in cases(QUANTISED) {
        let share = match case.encoding.codec {
            Codec::Half => 5e-4,
            Codec::Int8 => 2.5e-3,
            Codec::Int4 => 0.034,
            other => panic!("{other:?}"),
        };
        close(&case, share);
    }
}

#[test]
fn int8_rows_before_0_2_1_are_four_bytes_shorter() {
    let cases = cases(SHORT);
    let dimensions: Vec<_> = cases.iter().map(|case| case.encoding.dimension).collect();
    assert_eq!(dimensions, [16, 16, 16, 1, 3]);
    for case in cases {
        assert_eq!(case.encoding.codec, Codec::Int8Short, "{}", case.name);
        close(&case, 2.5e-3);
    }
}

#[test]
fn uniform_rows_use_the_scale_of_the_index() {
    for case in cases(UNIFORM) {
        close(&case, 0.04);
    }
}

#[test]
fn rotation_is_undone() {
    for case in cases(ROTATED) {
        close(&case, 6e-3);
        let mut rotated = case.encoding.clone();
        rotated.rotation = None;
        let rotated = Case { encoding: rotated, ..case };
        let far = decoded(&rotated).iter().zip(&rotated.vector).any(|(a, b)| (a - b).abs() > 0.3);
        assert!(far, "{} is not rotated at all", rotated.name);
    }
}

#[test]
fn redundancy_agrees_with_the_codes_of_real_rows() {
    for case in cases(QUANTISED).into_iter().chain(cases(SHORT)).chain(cases(UNIFORM)).chain(cases(EXACT)) {
        let found = case.encoding.redundancy(&case.element, 0).unwrap();
        let sum = found.computed_sum as f32;
        let slack = 0.5 * case.encoding.dimension as f32;
        match case.encoding.codec {
            Codec::Int8 => {
                assert_eq!(found.integer, Some(found.computed_sum), "{}", case.name);
                assert!((found.sum.unwrap() - sum).abs() <= slack, "{}", case.name);
            }
            Codec::Int4 | Codec::Int8Short => {
                assert!((found.sum.unwrap() - sum).abs() <= slack, "{}", case.name);
                if case.metric == "SquaredEuclidean" {
                    let square = found.computed_square_sum as f32;
                    assert!((found.square_sum.unwrap() - square).abs() <= square * 0.05 + 10.0, "{}", case.name);
                }
            }
            Codec::UniformUint8 { .. } => assert_eq!(found.integer, Some(found.computed_square_sum), "{}", case.name),
            Codec::Plain(_) | Codec::Half if found.norm.is_some() => {
                assert!((found.length.unwrap() - 1.0).abs() < 1e-2, "{}", case.name);
            }
            _ => {}
        }
        if let (Some(norm), Some(DataType::Fp32)) = (found.norm, plain(&case.encoding)) {
            let length = case.vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            assert!((norm - length).abs() < 1e-5, "{}", case.name);
        }
    }
}

fn plain(encoding: &Encoding) -> Option<DataType> {
    match encoding.codec {
        Codec::Plain(data_type) => Some(data_type),
        _ => None,
    }
}

#[test]
fn one_flipped_code_shows_in_the_redundancy() {
    let cases = cases(QUANTISED);
    let case = cases.iter().find(|case| case.encoding.codec == Codec::Int8).unwrap();
    let mut element = case.element.clone();
    element[2] ^= 4;
    let found = case.encoding.redundancy(&element, 0).unwrap();
    assert_ne!(found.integer, Some(found.computed_sum));
}

#[test]
fn short_or_unknown_elements_are_errors() {
    let case = cases(EXACT).swap_remove(1);
    let cut = &case.element[..case.element.len() - 5];
    assert_eq!(case.encoding.decode(cut, 7).unwrap_err().code, "index-meta.element-cut");
    let attachment = serde_json::json!({"metric": {"name": "Cosine"}, "reformer": {"name": "FutureReformer"}});
    let unknown = IndexMeta::parse(&index_meta(false, 0, 2, [4, 4, 0], &attachment), 0).unwrap();
    assert_eq!(Encoding::new(&unknown, None, 0).unwrap_err().code, "index-meta.unknown-encoding");
    let wrong = IndexMeta::parse(&index_meta(false, 0, 2, [4, 4, 8], &serde_json::json!({})), 0).unwrap();
    assert_eq!(Encoding::new(&wrong, None, 0).unwrap_err().code, "index-meta.bad-extra");
    let unit = IndexMeta::parse(&index_meta(false, 0, 2, [4, 2, 0], &serde_json::json!({})), 0).unwrap();
    assert_eq!(Encoding::new(&unit, None, 0).unwrap_err().code, "index-meta.bad-element-size");
}

#[test]
fn index_meta_errors() {
    let good = index_meta(false, 0, 2, [4, 4, 0], &serde_json::json!({"metric": {"name": "Cosine"}}));
    let parsed = IndexMeta::parse(&good, 0).unwrap();
    assert_eq!((parsed.metric(), parsed.size), ("Cosine", good.len() as u64));
    let change = |offset: usize, value: u32| {
        let mut bytes = good.clone();
        bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        IndexMeta::parse(&bytes, 100).unwrap_err().code
    };
    assert_eq!(change(0, 4129), "index-meta.bad-header");
    assert_eq!(change(4, 3), "index-meta.bad-type");
    assert_eq!(change(28, 4127), "index-meta.bad-attachment");
    assert_eq!(change(32, u32::MAX), "index-meta.truncated");
    assert_eq!(change(4128, 0), "index-meta.bad-attachment");
    assert_eq!(IndexMeta::parse(&good[..100], 0).unwrap_err().code, "index-meta.truncated");
    assert_eq!(IndexMeta::parse(&good[..20], 0).unwrap_err().code, "index-meta.truncated");
}
