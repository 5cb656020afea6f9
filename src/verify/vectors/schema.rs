//! What the schema says of a column against what its files say of themselves. A file of another column, swapped in, shows here.

use crate::format::{
    Source,
    manifest::proto::{DataType as Declared, FieldSchema, IndexParams, MetricType, index_params::Params},
    proxima::{Codec, DataType, IndexKind, Layout, VectorFile},
};

use super::subject::{Harm, Subject};

pub(super) fn check<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, field: &FieldSchema) {
    let offset = file.container.segment("IndexMeta").map_or(0, |segment| segment.offset);
    for difference in differences(file, field) {
        subject.error("index-meta.schema-differs", offset, Harm::Perhaps, difference + "; zvec refuses to open it");
    }
}

/// In what a file differs from the column that it is to be of, in words.
pub fn differences<S: Source>(file: &VectorFile<S>, field: &FieldSchema) -> Vec<String> {
    let differs =
        |what: &str, found: String, declared: String| format!("{what}: the file says {found}, the schema {declared}");
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

/// The name of the declared metric in vector files.
fn metric(params: Option<&IndexParams>, sparse: bool) -> Option<&'static str> {
    let base = match params?.params.as_ref()? {
        Params::Flat(params) => params.base.as_ref(),
        Params::Hnsw(params) => params.base.as_ref(),
        Params::Ivf(params) => params.base.as_ref(),
        Params::HnswRabitq(params) => params.base.as_ref(),
        Params::Vamana(params) => params.base.as_ref(),
        Params::Diskann(params) => params.base.as_ref(),
        Params::IvfRabitq(params) => params.base.as_ref(),
        Params::Invert(_) | Params::Fts(_) => None,
    }?;
    match (MetricType::try_from(base.metric_type).ok()?, sparse) {
        (MetricType::Ip, true) => Some("InnerProductSparse"),
        (MetricType::Ip, false) => Some("InnerProduct"),
        (MetricType::L2, _) => Some("SquaredEuclidean"),
        (MetricType::Cosine, _) => Some("Cosine"),
        _ => None,
    }
}
