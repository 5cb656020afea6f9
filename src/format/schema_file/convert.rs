//! Between the manifest's schema and a schema file.

use super::{Metric, Quantize, QuantizerParam, ScalarField, ScalarIndex, ScalarType, SchemaFile, VectorField};
use super::{VectorIndex, VectorType, is_zero};
use crate::format::{
    FormatError, Result,
    manifest::proto::{self, CollectionSchema, DataType, FieldSchema, IndexParams, index_params::Params},
};

macro_rules! pairs {
    ($ours:ident, $theirs:ident: $($a:ident = $b:ident),* $(,)?) => {
        impl $ours {
            /// The same in the manifest.
            pub fn to_proto(self) -> proto::$theirs {
                match self { $(Self::$a => proto::$theirs::$b),* }
            }

            /// From the manifest; `None` if it is not one of these.
            pub fn from_proto(value: proto::$theirs) -> Option<Self> {
                Some(match value {
                    $(proto::$theirs::$b => Self::$a,)*
                    #[allow(unreachable_patterns)]
                    _ => return None,
                })
            }
        }
    };
}

pairs!(ScalarType, DataType: Binary = Binary, String = String, Bool = Bool, Int32 = Int32, Int64 = Int64, Uint32 = Uint32,
    Uint64 = Uint64, Float = Float, Double = Double, ArrayBinary = ArrayBinary, ArrayString = ArrayString, ArrayBool = ArrayBool,
    ArrayInt32 = ArrayInt32, ArrayInt64 = ArrayInt64, ArrayUint32 = ArrayUint32, ArrayUint64 = ArrayUint64,
    ArrayFloat = ArrayFloat, ArrayDouble = ArrayDouble);
pairs!(VectorType, DataType: VectorBinary32 = VectorBinary32, VectorBinary64 = VectorBinary64, VectorFp16 = VectorFp16,
    VectorFp32 = VectorFp32, VectorFp64 = VectorFp64, VectorInt4 = VectorInt4, VectorInt8 = VectorInt8,
    VectorInt16 = VectorInt16, VectorUint8 = VectorUint8, SparseVectorFp16 = SparseVectorFp16,
    SparseVectorFp32 = SparseVectorFp32);
pairs!(Metric, MetricType: Undefined = MetricUndefined, L2 = L2, Ip = Ip, Cosine = Cosine);
pairs!(Quantize, QuantizeType: Undefined = QuantizeUndefined, Fp16 = Fp16, Int8 = Int8, Int4 = Int4, Rabitq = Rabitq,
    UniformUint7 = UniformUint7, UniformUint8 = UniformUint8, UniformUint4 = UniformUint4);

impl SchemaFile {
    /// The schema of a manifest as a schema file.
    ///
    /// Codes: `schema.newer` for a type this build does not know, `schema.field-type` and `schema.index` for a field that makes
    /// no sense. Offsets are 0: the schema has been decoded already.
    pub fn from_manifest(schema: &CollectionSchema) -> Result<Self> {
        let (mut fields, mut vectors) = (Vec::new(), Vec::new());
        for field in &schema.fields {
            let data_type = known(field, "data type", field.data_type, DataType::try_from(field.data_type))?;
            if let Some(data_type) = ScalarType::from_proto(data_type) {
                fields.push(ScalarField {
                    name: field.name.clone(),
                    data_type,
                    nullable: field.nullable,
                    index: scalar_index(field)?,
                });
            } else if let Some(data_type) = VectorType::from_proto(data_type) {
                vectors.push(VectorField {
                    name: field.name.clone(),
                    data_type,
                    dimension: field.dimension,
                    nullable: field.nullable,
                    index: vector_index(field)?,
                });
            } else {
                let detail = format!("field {:?} has no data type", field.name);
                return Err(FormatError::malformed("schema.field-type", 0, detail));
            }
        }
        Ok(Self {
            name: schema.name.clone(),
            max_doc_count_per_segment: schema.max_doc_count_per_segment,
            fields,
            vectors,
        })
    }

    /// The schema as zvec 0.8.0 writes it into a manifest: scalars first, then vectors.
    pub fn to_manifest(&self) -> CollectionSchema {
        let scalars = self.fields.iter().map(|field| FieldSchema {
            name: field.name.clone(),
            data_type: field.data_type.to_proto() as i32,
            dimension: 0,
            nullable: field.nullable,
            index_params: field.index.as_ref().map(|index| IndexParams { params: Some(index.to_proto()) }),
        });
        let vectors = self.vectors.iter().map(|field| FieldSchema {
            name: field.name.clone(),
            data_type: field.data_type.to_proto() as i32,
            dimension: field.dimension,
            nullable: field.nullable,
            index_params: Some(IndexParams { params: Some(field.index.to_proto()) }),
        });
        CollectionSchema {
            name: self.name.clone(),
            fields: scalars.chain(vectors).collect(),
            max_doc_count_per_segment: self.max_doc_count_per_segment,
        }
    }

    /// What makes this schema impossible, in words: names taken twice, a dimension missing or out of place. Whether zvec
    /// would refuse it on further grounds (length of names, ranges of parameters) is not decided here.
    pub fn faults(&self) -> Vec<String> {
        use crate::format::manifest::{DOC_ID_COLUMN, PK_COLUMN};
        let mut faults = Vec::new();
        let mut names = std::collections::HashSet::from([DOC_ID_COLUMN, PK_COLUMN]);
        let fields = self.fields.iter().map(|field| field.name.as_str());
        for name in fields.chain(self.vectors.iter().map(|vector| vector.name.as_str())) {
            if !names.insert(name) {
                faults.push(format!("the name {name:?} is taken"));
            }
        }
        for vector in &self.vectors {
            match (vector.data_type.is_sparse(), is_zero(&vector.dimension)) {
                (false, true) => faults.push(format!("the dense vector {:?} has no dimension", vector.name)),
                (true, false) => faults.push(format!("the sparse vector {:?} has a dimension", vector.name)),
                _ => {}
            }
        }
        for field in &self.fields {
            if matches!(field.index, Some(ScalarIndex::Fts { .. })) && field.data_type != ScalarType::String {
                faults.push(format!("{:?} has a full-text index but is no STRING", field.name));
            }
        }
        if self.fields.is_empty() && self.vectors.is_empty() {
            faults.push("the schema has no field".into());
        }
        faults
    }
}

/// A field's index in one line: `HNSW(metric=IP, m=50, ef_construction=500)`, `none`.
pub(in crate::format) fn describe_index(field: &FieldSchema) -> String {
    if field.index_params.is_none() {
        return "none".into();
    }
    let json = match scalar_index(field) {
        Ok(index) => serde_json::to_value(index),
        Err(_) => match vector_index(field) {
            Ok(index) => serde_json::to_value(index),
            Err(error) => return error.detail,
        },
    };
    let Ok(serde_json::Value::Object(object)) = json else { return "unknown".into() };
    let kind = object.get("type").and_then(|kind| kind.as_str()).unwrap_or_default();
    let parameters: Vec<String> = object
        .iter()
        .filter(|(name, _)| *name != "type")
        .map(|(name, value)| format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    format!("{kind}({})", parameters.join(", "))
}

fn known<T, E>(field: &FieldSchema, what: &str, number: i32, value: std::result::Result<T, E>) -> Result<T> {
    value.map_err(|_| {
        let detail = format!("{what} {number} of field {:?} is newer than this build", field.name);
        FormatError::newer("schema.newer", 0, detail)
    })
}

fn params(field: &FieldSchema) -> Result<Option<&Params>> {
    match &field.index_params {
        None => Ok(None),
        Some(IndexParams { params: Some(params) }) => Ok(Some(params)),
        Some(IndexParams { params: None }) => {
            let detail = format!("the index type of field {:?} is newer than this build", field.name);
            Err(FormatError::newer("schema.newer", 0, detail))
        }
    }
}

fn wrong_index(field: &FieldSchema, kind: &str) -> FormatError {
    FormatError::malformed("schema.index", 0, format!("{kind} {:?} has an index of the other kind", field.name))
}

fn scalar_index(field: &FieldSchema) -> Result<Option<ScalarIndex>> {
    Ok(match params(field)? {
        None => None,
        Some(Params::Invert(p)) => Some(ScalarIndex::Invert {
            enable_range_optimization: p.enable_range_optimization,
            enable_extended_wildcard: p.enable_extended_wildcard,
        }),
        Some(Params::Fts(p)) => Some(ScalarIndex::Fts {
            tokenizer_name: p.tokenizer_name.clone(),
            filters: p.filters.clone(),
            extra_params: p.extra_params.clone(),
        }),
        Some(_) => return Err(wrong_index(field, "scalar")),
    })
}

struct Base {
    metric: Metric,
    quantize: Quantize,
    quantizer_param: QuantizerParam,
}

fn base(field: &FieldSchema, base: Option<&proto::BaseIndexParams>) -> Result<Base> {
    let base = base.copied().unwrap_or_default();
    let metric = known(field, "metric", base.metric_type, proto::MetricType::try_from(base.metric_type))?;
    let quantize = known(field, "quantiser", base.quantize_type, proto::QuantizeType::try_from(base.quantize_type))?;
    let enable_rotate = base.quantizer_param.unwrap_or_default().enable_rotate;
    Ok(Base {
        metric: Metric::from_proto(metric).unwrap_or(Metric::Undefined),
        quantize: Quantize::from_proto(quantize).unwrap_or_default(),
        quantizer_param: QuantizerParam { enable_rotate },
    })
}

/// Zero is how zvec leaves out VECTOR_FP32.
fn flat_type(field: &FieldSchema, number: i32) -> Result<VectorType> {
    let data_type = known(field, "flat_data_type", number, DataType::try_from(number))?;
    if data_type == DataType::Undefined {
        return Ok(VectorType::VectorFp32);
    }
    VectorType::from_proto(data_type).ok_or_else(|| {
        let detail = format!("flat_data_type of {:?} is {}, which is no vector", field.name, data_type.as_str_name());
        FormatError::malformed("schema.index", 0, detail)
    })
}

fn vector_index(field: &FieldSchema) -> Result<VectorIndex> {
    Ok(match params(field)? {
        None => VectorIndex::default(),
        Some(Params::Invert(_) | Params::Fts(_)) => return Err(wrong_index(field, "vector")),
        Some(Params::Flat(p)) => {
            let Base { metric, quantize, quantizer_param } = base(field, p.base.as_ref())?;
            VectorIndex::Flat { metric, quantize, quantizer_param, use_contiguous_memory: p.use_contiguous_memory }
        }
        Some(Params::Hnsw(p)) => {
            let Base { metric, quantize, quantizer_param } = base(field, p.base.as_ref())?;
            VectorIndex::Hnsw {
                metric,
                quantize,
                quantizer_param,
                m: p.m,
                ef_construction: p.ef_construction,
                use_contiguous_memory: p.use_contiguous_memory,
                use_flat_contiguous_memory: p.use_flat_contiguous_memory,
                flat_data_type: flat_type(field, p.flat_data_type)?,
            }
        }
        Some(Params::Ivf(p)) => {
            let Base { metric, quantize, quantizer_param } = base(field, p.base.as_ref())?;
            let (n_list, n_iters, use_soar) = (p.n_list, p.n_iters, p.use_soar);
            VectorIndex::Ivf { metric, quantize, quantizer_param, n_list, n_iters, use_soar }
        }
        Some(Params::HnswRabitq(p)) => VectorIndex::HnswRabitq {
            metric: base(field, p.base.as_ref())?.metric,
            m: p.m,
            ef_construction: p.ef_construction,
            total_bits: p.total_bits,
            num_clusters: p.num_clusters,
            sample_count: p.sample_count,
        },
        Some(Params::Vamana(p)) => {
            let Base { metric, quantize, quantizer_param } = base(field, p.base.as_ref())?;
            VectorIndex::Vamana {
                metric,
                quantize,
                quantizer_param,
                max_degree: p.max_degree,
                search_list_size: p.search_list_size,
                alpha: p.alpha,
                saturate_graph: p.saturate_graph,
                use_contiguous_memory: p.use_contiguous_memory,
                use_id_map: p.use_id_map,
                two_pass_build: p.two_pass_build,
                use_flat_contiguous_memory: p.use_flat_contiguous_memory,
                flat_data_type: flat_type(field, p.flat_data_type)?,
            }
        }
        Some(Params::Diskann(p)) => {
            let Base { metric, quantize, quantizer_param } = base(field, p.base.as_ref())?;
            let (max_degree, list_size, pq_chunk_num) = (p.max_degree, p.list_size, p.pq_chunk_num);
            VectorIndex::Diskann { metric, quantize, quantizer_param, max_degree, list_size, pq_chunk_num }
        }
        Some(Params::IvfRabitq(p)) => VectorIndex::IvfRabitq {
            metric: base(field, p.base.as_ref())?.metric,
            nlist: p.nlist,
            total_bits: p.total_bits,
            sample_count: p.sample_count,
        },
    })
}

impl ScalarIndex {
    fn to_proto(&self) -> Params {
        match self {
            Self::Invert { enable_range_optimization, enable_extended_wildcard } => {
                Params::Invert(proto::InvertIndexParams {
                    enable_range_optimization: *enable_range_optimization,
                    enable_extended_wildcard: *enable_extended_wildcard,
                })
            }
            Self::Fts { tokenizer_name, filters, extra_params } => Params::Fts(proto::FtsIndexParams {
                tokenizer_name: tokenizer_name.clone(),
                filters: filters.clone(),
                extra_params: extra_params.clone(),
            }),
        }
    }
}

/// Since 0.6.0 zvec writes the quantiser's parameters even when empty.
fn base_proto(metric: Metric, quantize: Quantize, quantizer_param: QuantizerParam) -> Option<proto::BaseIndexParams> {
    Some(proto::BaseIndexParams {
        metric_type: metric.to_proto() as i32,
        quantize_type: quantize.to_proto() as i32,
        quantizer_param: Some(proto::QuantizerParam { enable_rotate: quantizer_param.enable_rotate }),
    })
}

/// … except for the two RaBitQ indexes.
fn rabitq_proto(metric: Metric) -> Option<proto::BaseIndexParams> {
    Some(proto::BaseIndexParams {
        metric_type: metric.to_proto() as i32,
        quantize_type: Quantize::Rabitq.to_proto() as i32,
        quantizer_param: None,
    })
}

fn flat_type_proto(data_type: VectorType) -> i32 {
    if data_type == VectorType::VectorFp32 { 0 } else { data_type.to_proto() as i32 }
}

impl VectorIndex {
    fn to_proto(&self) -> Params {
        match *self {
            Self::Flat { metric, quantize, quantizer_param, use_contiguous_memory } => {
                let base = base_proto(metric, quantize, quantizer_param);
                Params::Flat(proto::FlatIndexParams { base, use_contiguous_memory })
            }
            Self::Hnsw {
                metric,
                quantize,
                quantizer_param,
                m,
                ef_construction,
                use_contiguous_memory,
                use_flat_contiguous_memory,
                flat_data_type,
            } => Params::Hnsw(proto::HnswIndexParams {
                base: base_proto(metric, quantize, quantizer_param),
                m,
                ef_construction,
                use_contiguous_memory,
                use_flat_contiguous_memory,
                flat_data_type: flat_type_proto(flat_data_type),
            }),
            Self::Ivf { metric, quantize, quantizer_param, n_list, n_iters, use_soar } => {
                let base = base_proto(metric, quantize, quantizer_param);
                Params::Ivf(proto::IvfIndexParams { base, n_list, n_iters, use_soar })
            }
            Self::HnswRabitq { metric, m, ef_construction, total_bits, num_clusters, sample_count } => {
                Params::HnswRabitq(proto::HnswRabitqIndexParams {
                    base: rabitq_proto(metric),
                    m,
                    ef_construction,
                    total_bits,
                    num_clusters,
                    sample_count,
                })
            }
            Self::Vamana {
                metric,
                quantize,
                quantizer_param,
                max_degree,
                search_list_size,
                alpha,
                saturate_graph,
                use_contiguous_memory,
                use_id_map,
                two_pass_build,
                use_flat_contiguous_memory,
                flat_data_type,
            } => Params::Vamana(proto::VamanaIndexParams {
                base: base_proto(metric, quantize, quantizer_param),
                max_degree,
                search_list_size,
                alpha,
                saturate_graph,
                use_contiguous_memory,
                use_id_map,
                two_pass_build,
                use_flat_contiguous_memory,
                flat_data_type: flat_type_proto(flat_data_type),
            }),
            Self::Diskann { metric, quantize, quantizer_param, max_degree, list_size, pq_chunk_num } => {
                let base = base_proto(metric, quantize, quantizer_param);
                Params::Diskann(proto::DiskAnnIndexParams { base, max_degree, list_size, pq_chunk_num })
            }
            Self::IvfRabitq { metric, nlist, total_bits, sample_count } => {
                Params::IvfRabitq(proto::IvfRabitqIndexParams {
                    base: rabitq_proto(metric),
                    nlist,
                    total_bits,
                    sample_count,
                })
            }
        }
    }
}
