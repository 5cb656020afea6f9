//! Whether a vector file can be of a column, by what the schema says of the column and the file of itself. A file of another column, put in its place, shows
//! here, and so does a schema that was damaged.

use crate::format::{
    Source,
    manifest::proto::{
        BaseIndexParams, DataType as Declared, FieldSchema, IndexParams, MetricType, QuantizeType, index_params::Params,
    },
    proxima::{Codec, DataType, IndexKind, Layout, VectorFile, encoding::Encoding},
};

use super::vector;

/// Something that a file says otherwise than the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Whether it is the metric alone: its vectors can still be those of the column.
    pub of_metric: bool,
    /// In words.
    pub text: String,
}

/// In what a file differs from the column that it is to be of, in words.
pub fn differences<S: Source>(file: &VectorFile<S>, field: &FieldSchema) -> Vec<Difference> {
    let differs = |what: &str, found: String, declared: String| Difference {
        of_metric: what == "metric",
        text: format!("{what}: the file says {found}, the schema {declared}"),
    };
    let declared = Declared::try_from(field.data_type).unwrap_or(Declared::Undefined);
    let sparse = matches!(declared, Declared::SparseVectorFp16 | Declared::SparseVectorFp32);
    if sparse != file.meta.sparse {
        let (found, declared) = (sparse_or_dense(file.meta.sparse), sparse_or_dense(sparse));
        return vec![differs("kind of vectors", found.into(), declared.into())];
    }
    // Of any other index the files are flat until it is built.
    let flat = matches!(file.kind, IndexKind::Flat | IndexKind::FlatSparse);
    if matches!(field.index_params.as_ref().and_then(|index| index.params.as_ref()), Some(Params::Flat(_))) && !flat {
        return vec![differs("index", format!("{:?}", file.kind), "FLAT".into())];
    }
    let mut list = Vec::new();
    if let Some(expected) = metric(field.index_params.as_ref(), sparse) {
        let found = file.meta.metric();
        // Uniform quantisers have metrics of their own, which are L2.
        let own = expected == "SquaredEuclidean"
            && (found.starts_with("Uniform") || found.bytes().all(|b| b.is_ascii_digit()));
        if !found.is_empty() && found != expected && !own {
            list.push(differs("metric", found.into(), expected.into()));
        }
    }
    let Ok(encoding) = &file.encoding else { return list };
    if !sparse && !file.has_codes_only() && encoding.dimension as u64 != u64::from(field.dimension) {
        list.push(differs("dimension", encoding.dimension.to_string(), field.dimension.to_string()));
    }
    if let Layout::IvfRabitq(ivf) = &file.layout
        && ivf.dimension != field.dimension
    {
        list.push(differs("dimension", ivf.dimension.to_string(), field.dimension.to_string()));
    }
    let fits = match (declared, encoding.codec) {
        (Declared::VectorFp16 | Declared::SparseVectorFp16, codec) => codec == Codec::Plain(DataType::Fp16),
        (Declared::VectorInt8, codec) => codec == Codec::Plain(DataType::Int8),
        (Declared::VectorFp32 | Declared::SparseVectorFp32, Codec::Plain(data_type)) => data_type == DataType::Fp32,
        _ => true,
    };
    if !fits {
        list.push(differs("type", format!("{:?}", encoding.codec), declared.as_str_name().into()));
    }
    list
}

fn sparse_or_dense(sparse: bool) -> &'static str {
    if sparse { "sparse" } else { "dense" }
}

/// Whether a file in the place of the full vectors of a column holds what a quantiser made of vectors.
pub fn holds_codes<S: Source>(file: &VectorFile<S>, field: &FieldSchema) -> bool {
    if file.has_codes_only() {
        return true;
    }
    let Ok(encoding) = &file.encoding else { return false };
    match encoding.codec {
        Codec::Plain(_) | Codec::Byte => false,
        // Halves are what FP16 quantises to, and what a column may be kept as.
        Codec::Half => {
            let declared = base(field.index_params.as_ref()).map(|base| base.quantize_type);
            declared == Some(QuantizeType::Fp16 as i32) && kept_as(field) != Some(Declared::VectorFp16 as i32)
        }
        _ => true,
    }
}

/// That the vectors of a file in the place of the full ones are kept otherwise than as the schema says.
pub fn kept_otherwise<S: Source>(file: &VectorFile<S>, field: &FieldSchema) -> Option<Difference> {
    field.index_params.as_ref()?;
    let codec = file.encoding.as_ref().ok()?.codec;
    let own = match codec {
        Codec::Half => Declared::VectorFp16,
        Codec::Byte => Declared::VectorUint8,
        _ => return None,
    };
    let declared = kept_as(field).and_then(|kept| Declared::try_from(kept).ok()).unwrap_or(Declared::VectorFp32);
    let text = format!("kept as: the file says {codec:?}, the schema {}", declared.as_str_name());
    (declared != own).then_some(Difference { of_metric: false, text })
}

/// Whether the two files of a column stand in each other's place: full vectors are no codes.
pub fn exchanged<F: Source, Q: Source>(full: &VectorFile<F>, quantised: &VectorFile<Q>) -> bool {
    let of = |encoding: Option<&Encoding>, kind| (encoding.map(|encoding| encoding.codec), kind);
    let full = of(full.encoding.as_ref().ok(), full.kind);
    vector::exchanged(full, of(quantised.encoding.as_ref().ok(), quantised.kind))
}

/// As what the flat file of a column keeps its vectors, if not as they are.
fn kept_as(field: &FieldSchema) -> Option<i32> {
    match field.index_params.as_ref()?.params.as_ref()? {
        Params::Hnsw(params) => Some(params.flat_data_type),
        Params::Vamana(params) => Some(params.flat_data_type),
        _ => None,
    }
}

fn base(params: Option<&IndexParams>) -> Option<&BaseIndexParams> {
    match params?.params.as_ref()? {
        Params::Flat(params) => params.base.as_ref(),
        Params::Hnsw(params) => params.base.as_ref(),
        Params::Ivf(params) => params.base.as_ref(),
        Params::HnswRabitq(params) => params.base.as_ref(),
        Params::Vamana(params) => params.base.as_ref(),
        Params::Diskann(params) => params.base.as_ref(),
        Params::IvfRabitq(params) => params.base.as_ref(),
        Params::Invert(_) | Params::Fts(_) => None,
    }
}

/// The name of the declared metric in vector files.
fn metric(params: Option<&IndexParams>, sparse: bool) -> Option<&'static str> {
    match (MetricType::try_from(base(params)?.metric_type).ok()?, sparse) {
        (MetricType::Ip, true) => Some("InnerProductSparse"),
        (MetricType::Ip, false) => Some("InnerProduct"),
        (MetricType::L2, _) => Some("SquaredEuclidean"),
        (MetricType::Cosine, _) => Some("Cosine"),
        _ => None,
    }
}
