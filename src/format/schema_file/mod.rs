//! Schema files: a collection's schema as JSON, which `create` reads and `schema show` prints.
//!
//! Names of types, metrics and parameters are zvec's own. What a reader may leave out has zvec 0.8.0's default; a parameter
//! that only says "off" is not printed.
//!
//! ```json
//! {"name": "example", "max_doc_count_per_segment": 10000000,
//!  "fields": [{"name": "title", "data_type": "STRING", "nullable": true, "index": {"type": "INVERT"}}],
//!  "vectors": [{"name": "dense", "data_type": "VECTOR_FP32", "dimension": 128, "index": {"type": "HNSW", "metric": "COSINE"}}]}
//! ```

mod columns;
mod convert;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

pub(in crate::format) use convert::describe_index;

/// A collection's schema. A manifest keeps scalars and vectors in one list, scalars first at creation; `add_column` of any release
/// appends a scalar behind the vectors. That order is not kept here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SchemaFile {
    /// Name of the collection.
    pub name: String,
    /// Documents after which the writing segment is sealed and the next one begins.
    #[serde(default = "default_max_doc_count")]
    pub max_doc_count_per_segment: u64,
    /// Scalar fields, in the order of their columns.
    #[serde(default)]
    pub fields: Vec<ScalarField>,
    /// Vector fields.
    #[serde(default)]
    pub vectors: Vec<VectorField>,
}

/// A scalar or array field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalarField {
    /// Name, unique in the schema.
    pub name: String,
    /// Type of its values.
    pub data_type: ScalarType,
    /// Whether a document may lack it.
    #[serde(default)]
    pub nullable: bool,
    /// Its index, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<ScalarIndex>,
}

/// A dense or sparse vector field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorField {
    /// Name, unique in the schema.
    pub name: String,
    /// Type of its components.
    pub data_type: VectorType,
    /// Number of components; left out for sparse vectors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dimension: u32,
    /// Whether a document may lack it. zvec's own `VectorSchema` has no way to say so, but its manifests have.
    #[serde(default, skip_serializing_if = "is_off")]
    pub nullable: bool,
    /// Its index; FLAT with inner product if left out.
    #[serde(default)]
    pub index: VectorIndex,
}

/// Type of a scalar field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are zvec's and say it all")]
pub enum ScalarType {
    Binary,
    String,
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Float,
    Double,
    ArrayBinary,
    ArrayString,
    ArrayBool,
    ArrayInt32,
    ArrayInt64,
    ArrayUint32,
    ArrayUint64,
    ArrayFloat,
    ArrayDouble,
}

/// Type of a vector field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are zvec's and say it all")]
pub enum VectorType {
    VectorBinary32,
    VectorBinary64,
    VectorFp16,
    VectorFp32,
    VectorFp64,
    VectorInt4,
    VectorInt8,
    VectorInt16,
    VectorUint8,
    SparseVectorFp16,
    SparseVectorFp32,
}

impl VectorType {
    /// Whether it holds index-value pairs and has no dimension.
    pub fn is_sparse(self) -> bool {
        matches!(self, Self::SparseVectorFp16 | Self::SparseVectorFp32)
    }
}

/// Index of a scalar field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum ScalarIndex {
    /// Inverted index: filters.
    Invert {
        /// Also keep what answers range filters faster.
        #[serde(default)]
        enable_range_optimization: bool,
        /// Also keep reversed terms, for suffix and infix patterns.
        #[serde(default)]
        enable_extended_wildcard: bool,
    },
    /// Full-text index of a STRING.
    Fts {
        /// Tokenizer: `standard`, `ngram`, `jieba` or `whitespace`.
        #[serde(default = "default_tokenizer")]
        tokenizer_name: String,
        /// Token filters in order: `lowercase`, `ascii_folding`, `stemmer`.
        #[serde(default = "default_filters")]
        filters: Vec<String>,
        /// Further parameters, as a JSON object in a string.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        extra_params: String,
    },
}

/// Distance of two vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Metric {
    /// Not set; no release writes it for a vector.
    #[serde(rename = "UNDEFINED")]
    Undefined,
    /// Squared Euclidean distance.
    L2,
    /// Inner product.
    #[default]
    #[serde(rename = "IP")]
    Ip,
    /// Cosine distance; vectors are stored normalised.
    #[serde(rename = "COSINE")]
    Cosine,
}

/// Quantisation of the vectors of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are zvec's and say it all")]
pub enum Quantize {
    #[default]
    Undefined,
    Fp16,
    Int8,
    Int4,
    Rabitq,
    UniformUint7,
    UniformUint8,
    UniformUint4,
}

/// Parameters of the quantiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuantizerParam {
    /// Rotate at random before INT8 or INT4 quantisation.
    #[serde(default)]
    pub enable_rotate: bool,
}

/// Index of a vector field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
#[allow(missing_docs, reason = "parameters bear zvec's names and are documented there")]
pub enum VectorIndex {
    /// Exhaustive search.
    Flat {
        #[serde(default)]
        metric: Metric,
        #[serde(default, skip_serializing_if = "is_off")]
        quantize: Quantize,
        #[serde(default, skip_serializing_if = "is_off")]
        quantizer_param: QuantizerParam,
        #[serde(default, skip_serializing_if = "is_off")]
        use_contiguous_memory: bool,
    },
    /// Hierarchical navigable small world graph.
    Hnsw {
        #[serde(default)]
        metric: Metric,
        #[serde(default, skip_serializing_if = "is_off")]
        quantize: Quantize,
        #[serde(default, skip_serializing_if = "is_off")]
        quantizer_param: QuantizerParam,
        #[serde(default = "number::<50>")]
        m: i32,
        #[serde(default = "number::<500>")]
        ef_construction: i32,
        #[serde(default, skip_serializing_if = "is_off")]
        use_contiguous_memory: bool,
        #[serde(default, skip_serializing_if = "is_off")]
        use_flat_contiguous_memory: bool,
        #[serde(default = "default_flat_type", skip_serializing_if = "is_default_flat_type")]
        flat_data_type: VectorType,
    },
    /// Inverted lists around k-means centroids.
    Ivf {
        #[serde(default)]
        metric: Metric,
        #[serde(default, skip_serializing_if = "is_off")]
        quantize: Quantize,
        #[serde(default, skip_serializing_if = "is_off")]
        quantizer_param: QuantizerParam,
        #[serde(default = "number::<10>")]
        n_list: i32,
        #[serde(default = "number::<10>")]
        n_iters: i32,
        #[serde(default, skip_serializing_if = "is_off")]
        use_soar: bool,
    },
    /// HNSW graph over RaBitQ codes.
    HnswRabitq {
        #[serde(default)]
        metric: Metric,
        #[serde(default = "number::<50>")]
        m: i32,
        #[serde(default = "number::<500>")]
        ef_construction: i32,
        #[serde(default = "number::<7>")]
        total_bits: i32,
        #[serde(default = "number::<16>")]
        num_clusters: i32,
        #[serde(default)]
        sample_count: i32,
    },
    /// Vamana graph.
    Vamana {
        #[serde(default)]
        metric: Metric,
        #[serde(default, skip_serializing_if = "is_off")]
        quantize: Quantize,
        #[serde(default, skip_serializing_if = "is_off")]
        quantizer_param: QuantizerParam,
        #[serde(default = "number::<64>")]
        max_degree: i32,
        #[serde(default = "number::<100>")]
        search_list_size: i32,
        #[serde(default = "default_alpha", serialize_with = "shortest")]
        alpha: f32,
        #[serde(default, skip_serializing_if = "is_off")]
        saturate_graph: bool,
        #[serde(default, skip_serializing_if = "is_off")]
        use_contiguous_memory: bool,
        #[serde(default, skip_serializing_if = "is_off")]
        use_id_map: bool,
        #[serde(default = "on")]
        two_pass_build: bool,
        #[serde(default, skip_serializing_if = "is_off")]
        use_flat_contiguous_memory: bool,
        #[serde(default = "default_flat_type", skip_serializing_if = "is_default_flat_type")]
        flat_data_type: VectorType,
    },
    /// Vamana graph on disk, product-quantised codes in memory.
    Diskann {
        #[serde(default)]
        metric: Metric,
        #[serde(default, skip_serializing_if = "is_off")]
        quantize: Quantize,
        #[serde(default, skip_serializing_if = "is_off")]
        quantizer_param: QuantizerParam,
        #[serde(default = "number::<100>")]
        max_degree: i32,
        #[serde(default = "number::<50>")]
        list_size: i32,
        #[serde(default)]
        pq_chunk_num: i32,
    },
    /// Inverted lists of RaBitQ codes.
    IvfRabitq {
        #[serde(default)]
        metric: Metric,
        #[serde(default = "number::<1024>")]
        nlist: i32,
        #[serde(default = "number::<7>")]
        total_bits: i32,
        #[serde(default)]
        sample_count: i32,
    },
}

impl Default for VectorIndex {
    fn default() -> Self {
        Self::Flat {
            metric: Metric::Ip,
            quantize: Quantize::Undefined,
            quantizer_param: QuantizerParam::default(),
            use_contiguous_memory: false,
        }
    }
}

fn default_max_doc_count() -> u64 {
    10_000_000
}

fn default_tokenizer() -> String {
    "standard".into()
}

fn default_filters() -> Vec<String> {
    vec!["lowercase".into()]
}

fn default_flat_type() -> VectorType {
    VectorType::VectorFp32
}

fn default_alpha() -> f32 {
    1.2
}

fn number<const N: i32>() -> i32 {
    N
}

fn on() -> bool {
    true
}

fn is_off<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn is_default_flat_type(value: &VectorType) -> bool {
    *value == default_flat_type()
}

/// An f32 by way of its shortest decimal: 1.2, not 1.2000000476837158, also where serde_json keeps numbers as f64.
fn shortest<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.to_string().parse().unwrap_or(f64::from(*value)))
}

#[cfg(test)]
mod tests;
