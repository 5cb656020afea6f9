//! Fields in one line, as `create --field` and `create --vector` take them.
//!
//! ```text
//! field   NAME:TYPE[?][:INDEX]                 year:INT32:INVERT(enable_range_optimization=true)    title:STRING?
//! vector  NAME:TYPE[?][:DIMENSION][:INDEX]     dense:VECTOR_FP32:128:HNSW(metric=COSINE,m=50)       words:SPARSE_VECTOR_FP32
//! INDEX   KIND, or KIND(PARAMETER=VALUE,…)
//! ```
//!
//! `?` is nullable. Kinds, parameters and what they are when left out are those of a schema file; `enable_rotate` stands for the object that holds it. Parts of
//! `filters` are joined by `+`, and `extra_params` is a JSON object. Types and kinds may be written small.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};

use crate::format::schema_file::{ScalarField, ScalarIndex, ScalarType, VectorField, VectorIndex, VectorType};

use super::super::Refusal;

/// A scalar or array field. Code: `schema.shorthand`.
pub fn scalar(text: &str) -> Result<ScalarField, Refusal> {
    let refused = |why: String| refuse("--field", text, &why);
    let (name, data_type, nullable, rest) = head(text).map_err(refused)?;
    let data_type: ScalarType = named(&data_type).ok_or_else(|| match named::<VectorType>(&data_type) {
        Some(_) => refused(format!("{data_type} is a vector, which --vector makes")),
        None => refused(format!("there is no type {data_type:?}; STRING, INT32, ARRAY_FLOAT, … are known")),
    })?;
    let index = rest.map(|index| parse_index::<ScalarIndex>(index, "INVERT and FTS")).transpose().map_err(refused)?;
    Ok(ScalarField { name, data_type, nullable, index })
}

/// A vector field. Code: `schema.shorthand`.
pub fn vector(text: &str) -> Result<VectorField, Refusal> {
    let refused = |why: String| refuse("--vector", text, &why);
    let (name, data_type, nullable, mut rest) = head(text).map_err(refused)?;
    let data_type: VectorType = named(&data_type).ok_or_else(|| match named::<ScalarType>(&data_type) {
        Some(_) => refused(format!("{data_type} is no vector; --field makes it")),
        None => refused(format!("there is no type {data_type:?}; VECTOR_FP32, SPARSE_VECTOR_FP32, … are known")),
    })?;
    let mut dimension = 0;
    if !data_type.is_sparse() {
        let (number, behind) = split(rest.unwrap_or_default());
        dimension =
            number.parse().map_err(|_| refused(format!("a dimension is expected behind the type, not {number:?}")))?;
        rest = behind;
    }
    let kinds = "FLAT, HNSW, IVF, VAMANA, DISKANN, HNSW_RABITQ and IVF_RABITQ";
    let index = rest.map(|index| parse_index::<VectorIndex>(index, kinds)).transpose().map_err(refused)?;
    Ok(VectorField { name, data_type, dimension, nullable, index: index.unwrap_or_default() })
}

fn refuse(option: &str, text: &str, why: &str) -> Refusal {
    Refusal::new("schema.shorthand", format!("{option} {text:?}: {why}"))
}

/// What stands before the first colon, and behind it.
fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once(':').map_or((text, None), |(front, behind)| (front, Some(behind)))
}

/// Name, type, whether nullable, and the rest.
fn head(text: &str) -> Result<(String, String, bool, Option<&str>), String> {
    let (name, rest) = split(text);
    let rest = rest.ok_or("NAME:TYPE is expected")?;
    let (data_type, rest) = split(rest);
    let (plain, nullable) = data_type.strip_suffix('?').map_or((data_type, false), |plain| (plain, true));
    Ok((name.trim().to_owned(), plain.trim().to_ascii_uppercase(), nullable, rest))
}

fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(Json::from(name)).ok()
}

fn parse_index<T: DeserializeOwned>(text: &str, kinds: &str) -> Result<T, String> {
    let text = text.trim();
    let (kind, inside) = match text.split_once('(') {
        None => (text, ""),
        Some((kind, inside)) => {
            (kind, inside.strip_suffix(')').ok_or_else(|| format!("the parenthesis behind {kind} is not closed"))?)
        }
    };
    let kind = kind.trim().to_ascii_uppercase();
    let of = |parameters: Map<String, Json>| {
        let mut index = parameters;
        index.insert("type".into(), Json::from(kind.as_str()));
        serde_json::from_value::<T>(Json::Object(index)).map_err(|error| error.to_string())
    };
    of(Map::new()).map_err(|_| format!("there is no index {kind:?} for it; {kinds} are known"))?;
    let mut parameters = Map::new();
    for part in parts(inside) {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("PARAMETER=VALUE is expected, not {part:?}"))?;
        let (name, value) = parameter(name.trim(), value.trim());
        // Each for itself, so that a message can name it.
        of(Map::from_iter([(name.to_owned(), value.clone())])).map_err(|why| format!("{name}: {why}"))?;
        if parameters.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name} is given twice"));
        }
    }
    of(parameters)
}

/// Parts between commas; those in braces, brackets and quotes do not count.
fn parts(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0_u32, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                found.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(text.get(start..).unwrap_or_default());
    found.retain(|part| !part.trim().is_empty());
    found
}

/// A parameter as a schema file has it.
fn parameter<'a>(name: &'a str, value: &str) -> (&'a str, Json) {
    match name {
        "enable_rotate" => ("quantizer_param", json!({"enable_rotate": literal(value)})),
        "filters" => (name, value.split('+').filter(|filter| !filter.is_empty()).collect()),
        "extra_params" | "tokenizer_name" => (name, Json::from(value)),
        "metric" | "quantize" | "flat_data_type" => (name, Json::from(value.to_ascii_uppercase())),
        _ => (name, literal(value)),
    }
}

/// `true`, `false` and numbers as such, else a string.
fn literal(value: &str) -> Json {
    match serde_json::from_str(value) {
        Ok(literal @ (Json::Bool(_) | Json::Number(_))) => literal,
        _ => Json::from(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar_json(text: &str) -> Json {
        serde_json::to_value(scalar(text).unwrap()).unwrap()
    }

    fn vector_json(text: &str) -> Json {
        serde_json::to_value(vector(text).unwrap()).unwrap()
    }

    #[test]
    fn a_line_makes_the_same_field_as_a_schema_file() {
        assert_eq!(scalar_json("title:STRING?"), json!({"name": "title", "data_type": "STRING", "nullable": true}));
        assert_eq!(
            scalar_json("year:int32:INVERT(enable_range_optimization=true)"),
            json!({"name": "year", "data_type": "INT32", "nullable": false,
                "index": {"type": "INVERT", "enable_range_optimization": true, "enable_extended_wildcard": false}})
        );
        assert_eq!(
            scalar_json(
                r#"t:STRING:FTS(tokenizer_name=ngram, filters=lowercase+stemmer, extra_params={"ngram_min": 1, "ngram_max": 2})"#
            )["index"],
            json!({"type": "FTS", "tokenizer_name": "ngram", "filters": ["lowercase", "stemmer"],
                "extra_params": r#"{"ngram_min": 1, "ngram_max": 2}"#})
        );
        assert_eq!(scalar_json("t:STRING:FTS(filters=)")["index"]["filters"], json!([]));
        assert_eq!(
            vector_json("dense:VECTOR_FP32:128:HNSW(metric=COSINE,quantize=INT8,m=50)"),
            json!({"name": "dense", "data_type": "VECTOR_FP32", "dimension": 128,
                "index": {"type": "HNSW", "metric": "COSINE", "quantize": "INT8", "m": 50, "ef_construction": 500}})
        );
        assert_eq!(
            vector_json("v:vector_fp16?:8"),
            json!({"name": "v", "data_type": "VECTOR_FP16", "dimension": 8, "nullable": true, "index": {"type": "FLAT", "metric": "IP"}})
        );
        assert_eq!(vector_json("s:SPARSE_VECTOR_FP32:hnsw(m=16)")["index"]["m"], 16);
        let index =
            &vector_json("v:VECTOR_FP32:8:VAMANA(metric=l2,alpha=1.5,quantize=INT8,enable_rotate=true)")["index"];
        assert_eq!((&index["alpha"], &index["quantizer_param"]), (&json!(1.5), &json!({"enable_rotate": true})));
    }

    #[test]
    fn a_wrong_line_is_refused_with_what_is_wrong_in_it() {
        let refused = |result: Result<Json, Refusal>, part: &str| {
            let refusal = result.unwrap_err();
            assert_eq!(refusal.code, "schema.shorthand");
            assert!(refusal.message.contains(part), "{:?} lacks {part:?}", refusal.message);
        };
        let field = |text: &str| scalar(text).map(|_| Json::Null);
        refused(field("title"), "NAME:TYPE");
        refused(field("title:TEXT"), "no type \"TEXT\"");
        refused(field("v:VECTOR_FP32"), "--vector");
        refused(field("n:INT32:HNSW"), "INVERT and FTS");
        refused(field("n:INT32:INVERT(enable_range=true)"), "enable_range: unknown field");
        refused(field("n:INT32:INVERT(enable_range_optimization=1)"), "enable_range_optimization: invalid type");
        refused(field("n:INT32:INVERT(enable_range_optimization)"), "PARAMETER=VALUE");
        refused(field("n:INT32:INVERT(enable_range_optimization=true"), "not closed");
        let vector = |text: &str| vector(text).map(|_| Json::Null);
        refused(vector("n:INT32:5"), "--field");
        refused(vector("v:VECTOR_FP32"), "a dimension is expected");
        refused(vector("v:VECTOR_FP32:HNSW"), "a dimension is expected");
        refused(vector("v:VECTOR_FP32:8:BTREE"), "HNSW");
        refused(vector("v:VECTOR_FP32:8:HNSW(metric=MANHATTAN)"), "metric: unknown variant");
        refused(vector("v:VECTOR_FP32:8:HNSW(m=5,m=6)"), "m is given twice");
    }
}
