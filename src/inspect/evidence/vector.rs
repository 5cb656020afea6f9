//! A vector field of the schema, from what its files say of themselves.

use serde_json::Value as Json;

use crate::format::{
    proxima::{Codec, DataType, IndexKind},
    schema_file::{Metric, Quantize, QuantizerParam, VectorField, VectorIndex, VectorType},
};

use super::found::{VectorFacts, Vectors};

/// A field, and what had to be assumed of it.
#[derive(Clone)]
pub struct Told {
    /// The field.
    pub field: VectorField,
    /// Whether any file has the declared index: flat files of a column may stand for every index that is not built yet.
    pub built: bool,
    /// Whether there is a quantised file that tells its quantiser.
    pub quantised: bool,
    /// What no file tells.
    pub assumed: Vec<String>,
}

/// The field of a column, from all its files, oldest first. `None` if none of them can be opened.
pub fn tell(name: &str, files: &[&Vectors]) -> Option<Told> {
    let facts = |quantised: bool| {
        files.iter().rev().filter(move |file| file.quantised == quantised).filter_map(|file| file.facts.as_ref())
    };
    let full = facts(false).next();
    let codes = facts(true).next();
    let any = full.or(codes)?;
    let mut assumed = Vec::new();
    let data_type = data_type(full).unwrap_or_else(|| {
        assumed.push(format!("field {name}: VECTOR_FP32, as no file of full vectors can be opened"));
        VectorType::VectorFp32
    });
    let dimension = facts(false).chain(facts(true)).map(|facts| facts.dimension).find(|dimension| *dimension > 0);
    let built =
        facts(false).chain(facts(true)).find(|facts| !matches!(facts.kind, IndexKind::Flat | IndexKind::FlatSparse));
    let rotated = facts(true).any(|facts| facts.rotated);
    let quantize = codes.map_or(Quantize::Undefined, quantise);
    let parts = Parts {
        metric: metric(any).unwrap_or_else(|| {
            assumed.push(format!("field {name}: metric IP"));
            Metric::Ip
        }),
        quantize,
        quantizer_param: QuantizerParam { enable_rotate: rotated },
        flat_data_type: match full.and_then(|facts| facts.codec) {
            Some(Codec::Byte) => VectorType::VectorUint8,
            Some(Codec::Half) => VectorType::VectorFp16,
            _ => VectorType::VectorFp32,
        },
    };
    let index = match built {
        Some(facts) => index(name, facts, &parts, &mut assumed),
        None => {
            assumed.push(format!(
                "field {name}: a FLAT index; all its files are flat, as they also are before an index of another kind is built"
            ));
            parts.flat()
        }
    };
    let sparse = data_type.is_sparse();
    let field = VectorField {
        name: name.to_owned(),
        data_type,
        dimension: if sparse { 0 } else { dimension.unwrap_or(0) },
        nullable: false,
        index,
    };
    let quantised = codes.is_some_and(|facts| facts.codec.is_some());
    Some(Told { field, built: built.is_some(), quantised, assumed })
}

fn data_type(full: Option<&VectorFacts>) -> Option<VectorType> {
    let facts = full?;
    Some(match (facts.meta.sparse, facts.codec?) {
        (true, Codec::Plain(DataType::Fp16)) => VectorType::SparseVectorFp16,
        (true, _) => VectorType::SparseVectorFp32,
        (false, Codec::Plain(DataType::Fp16)) => VectorType::VectorFp16,
        (false, Codec::Plain(DataType::Fp64)) => VectorType::VectorFp64,
        (false, Codec::Plain(DataType::Int8)) => VectorType::VectorInt8,
        (false, Codec::Plain(DataType::Int16)) => VectorType::VectorInt16,
        (false, Codec::Plain(DataType::Int4)) => VectorType::VectorInt4,
        (false, Codec::Plain(DataType::Binary32)) => VectorType::VectorBinary32,
        (false, Codec::Plain(DataType::Binary64)) => VectorType::VectorBinary64,
        (false, _) => VectorType::VectorFp32,
    })
}

/// The metric by which the vectors are compared.
pub fn metric(facts: &VectorFacts) -> Option<Metric> {
    Some(match facts.meta.metric() {
        "SquaredEuclidean" => Metric::L2,
        "InnerProduct" | "InnerProductSparse" => Metric::Ip,
        "Cosine" => Metric::Cosine,
        name if name.starts_with("UniformUint") => Metric::L2,
        _ => return None,
    })
}

fn quantise(facts: &VectorFacts) -> Quantize {
    if matches!(facts.kind, IndexKind::HnswRabitq | IndexKind::IvfRabitq) {
        return Quantize::Rabitq;
    }
    match facts.codec {
        Some(Codec::Int8 | Codec::Int8Short) => Quantize::Int8,
        Some(Codec::Int4) => Quantize::Int4,
        Some(Codec::UniformUint8 { .. }) => Quantize::UniformUint8,
        Some(Codec::UniformUint7 { .. }) => Quantize::UniformUint7,
        Some(Codec::Half) => Quantize::Fp16,
        Some(Codec::Plain(DataType::Fp16)) => Quantize::Fp16,
        Some(Codec::Plain(_) | Codec::Byte) | None => Quantize::Undefined,
        Some(_) => Quantize::UniformUint4,
    }
}

/// Whether the file of full vectors and the quantised one of a column stand in each other's place, by codec and kind: full vectors are no codes.
pub fn exchanged(full: (Option<Codec>, IndexKind), quantised: (Option<Codec>, IndexKind)) -> bool {
    let rabitq = |kind| matches!(kind, IndexKind::HnswRabitq | IndexKind::IvfRabitq);
    let whole = matches!(quantised.0, Some(Codec::Plain(DataType::Fp32) | Codec::Byte));
    let codes = match full.0 {
        Some(Codec::Plain(data_type)) => data_type == DataType::Fp16,
        Some(Codec::Byte) | None => false,
        Some(_) => true,
    };
    whole && !rabitq(quantised.1) && (codes || rabitq(full.1))
}

struct Parts {
    metric: Metric,
    quantize: Quantize,
    quantizer_param: QuantizerParam,
    flat_data_type: VectorType,
}

impl Parts {
    fn flat(&self) -> VectorIndex {
        let Self { metric, quantize, quantizer_param, flat_data_type } = *self;
        if flat_data_type == VectorType::VectorFp32 {
            return VectorIndex::Flat { metric, quantize, quantizer_param, use_contiguous_memory: false };
        }
        // Only HNSW and VAMANA may keep the vectors of a flat file as halves or bytes: one of them is still to be built.
        VectorIndex::Hnsw {
            metric,
            quantize,
            quantizer_param,
            m: 50,
            ef_construction: 500,
            use_contiguous_memory: false,
            use_flat_contiguous_memory: false,
            flat_data_type,
        }
    }
}

fn index(name: &str, facts: &VectorFacts, parts: &Parts, assumed: &mut Vec<String>) -> VectorIndex {
    let &Parts { metric, quantize, quantizer_param, flat_data_type } = parts;
    let parameter = |suffix: &str| parameter(facts, suffix);
    let integer = |suffix: &str, default: i32, assumed: &mut Vec<String>| {
        let found = parameter(suffix).and_then(|value| i32::try_from(value.as_i64()?).ok());
        found.unwrap_or_else(|| {
            assumed.push(format!("field {name}: {suffix} of its index is {default}"));
            default
        })
    };
    let flag = |suffix: &str| parameter(suffix).and_then(Json::as_bool).unwrap_or(false);
    match facts.kind {
        IndexKind::Flat | IndexKind::FlatSparse => parts.flat(),
        IndexKind::Hnsw | IndexKind::HnswSparse => VectorIndex::Hnsw {
            metric,
            quantize,
            quantizer_param,
            m: integer("max_neighbor_count", 50, assumed),
            ef_construction: integer("efconstruction", 500, assumed),
            use_contiguous_memory: flag("use_contiguous_memory"),
            use_flat_contiguous_memory: false,
            flat_data_type,
        },
        IndexKind::HnswRabitq => {
            assumed.push(format!("field {name}: 16 clusters and all rows as sample of its HNSW_RABITQ index"));
            VectorIndex::HnswRabitq {
                metric,
                m: integer("max_neighbor_count", 50, assumed),
                ef_construction: integer("efconstruction", 500, assumed),
                total_bits: integer("total_bits", 7, assumed),
                num_clusters: 16,
                sample_count: 0,
            }
        }
        IndexKind::Vamana => VectorIndex::Vamana {
            metric,
            quantize,
            quantizer_param,
            max_degree: integer("max_degree", 64, assumed),
            search_list_size: integer("search_list_size", 100, assumed),
            alpha: parameter("alpha").and_then(Json::as_f64).map_or(1.2, |alpha| alpha as f32),
            saturate_graph: flag("saturate_graph"),
            use_contiguous_memory: flag("use_contiguous_memory"),
            use_id_map: flag("use_id_map"),
            two_pass_build: parameter("two_pass_build_enable").and_then(Json::as_bool).unwrap_or(false),
            use_flat_contiguous_memory: false,
            flat_data_type,
        },
        IndexKind::Ivf => {
            assumed.push(format!("field {name}: an IVF index without SOAR"));
            VectorIndex::Ivf {
                metric,
                quantize,
                quantizer_param,
                n_list: parameter("centroid_count")
                    .and_then(|value| i32::try_from(value.as_i64()?).ok())
                    .or(facts.lists.and_then(|lists| i32::try_from(lists).ok()))
                    .unwrap_or(10),
                n_iters: integer("max_iterations", 10, assumed),
                use_soar: false,
            }
        }
        IndexKind::IvfRabitq => {
            assumed.push(format!("field {name}: all rows as sample of its IVF_RABITQ index"));
            VectorIndex::IvfRabitq {
                metric,
                nlist: facts.lists.and_then(|lists| i32::try_from(lists).ok()).unwrap_or(1024),
                total_bits: facts.bits.and_then(|bits| i32::try_from(bits).ok()).unwrap_or(7),
                sample_count: 0,
            }
        }
        IndexKind::DiskAnn => VectorIndex::Diskann {
            metric,
            quantize,
            quantizer_param,
            max_degree: integer("max_degree", 100, assumed),
            list_size: integer("list_size", 50, assumed),
            pq_chunk_num: integer("max_pq_chunk_num", 0, assumed),
        },
    }
}

/// A parameter by the last part of its name, wherever it stands. Files hold a few dozen; nothing here recurses deeper than they do.
fn parameter<'a>(facts: &'a VectorFacts, suffix: &str) -> Option<&'a Json> {
    let parts = ["streamer", "builder"].iter().filter_map(|part| facts.meta.attachment.get(*part)?.get("params"));
    parts.into_iter().find_map(|params| {
        let params = params.as_object()?;
        let ends = |name: &str| name.rsplit('.').next() == Some(suffix);
        let direct = params.iter().find(|(name, _)| ends(name)).map(|(_, value)| value);
        direct.or_else(|| {
            let nested = params.values().filter_map(Json::as_object);
            nested.into_iter().find_map(|inner| inner.iter().find(|(name, _)| ends(name)).map(|(_, value)| value))
        })
    })
}

/// The kind of file that holds an index once it is built: `None` for FLAT.
pub fn kind_of(index: &VectorIndex, sparse: bool) -> Option<IndexKind> {
    Some(match index {
        VectorIndex::Flat { .. } => return None,
        VectorIndex::Hnsw { .. } if sparse => IndexKind::HnswSparse,
        VectorIndex::Hnsw { .. } => IndexKind::Hnsw,
        VectorIndex::Ivf { .. } => IndexKind::Ivf,
        VectorIndex::HnswRabitq { .. } => IndexKind::HnswRabitq,
        VectorIndex::Vamana { .. } => IndexKind::Vamana,
        VectorIndex::Diskann { .. } => IndexKind::DiskAnn,
        VectorIndex::IvfRabitq { .. } => IndexKind::IvfRabitq,
    })
}

/// Metric and quantiser of a declared index.
pub fn base(index: &VectorIndex) -> (Metric, Quantize) {
    match index {
        VectorIndex::Flat { metric, quantize, .. }
        | VectorIndex::Hnsw { metric, quantize, .. }
        | VectorIndex::Ivf { metric, quantize, .. }
        | VectorIndex::Vamana { metric, quantize, .. }
        | VectorIndex::Diskann { metric, quantize, .. } => (*metric, *quantize),
        VectorIndex::HnswRabitq { metric, .. } | VectorIndex::IvfRabitq { metric, .. } => (*metric, Quantize::Rabitq),
    }
}
