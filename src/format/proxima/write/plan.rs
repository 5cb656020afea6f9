//! Which files a vector column has while its block is written, and what their elements are.
//!
//! Whatever index a column declares, its files are flat until `optimize`. Found by letting zvec 0.8.0 create every combination of
//! index type, data type, metric, quantiser and storage option:
//!
//! ```text
//! index    FP32 column            f32            quantizer Fp32Quantizer, COSINE: norm in `extra`
//!            flat_data_type FP16  f16            quantizer Fp16Quantizer with storage_data_type 1, likewise
//!            flat_data_type UINT8 u8             RawUint8Reformer (L2 only)
//!          FP16 column            f16            COSINE: CosineHalfFloatReformer, norm counted as two components
//!          INT8 column            i8             no COSINE
//!          sparse FP32 or FP16    f32 or f16     IP only
//! qindex   FP16                   f16            Fp16Quantizer; of sparse FP32: HalfFloatSparseReformer
//!          INT8                   24 or 20 more  Int8Quantizer, words in `extra`; IP: Int8StreamingReformer, words counted as components
//!          INT4                   20 or 16 more  Int4Quantizer and Int4StreamingReformer likewise; even dimensions only
//!          RABITQ, HNSW_RABITQ,   f32            no quantiser; COSINE: CosineFp32Reformer, norm counted as a component
//!            IVF_RABITQ
//!          UNIFORM_*              no such file before `optimize`
//! ```
//!
//! `use_flat_contiguous_memory` (HNSW, Vamana) is the only index parameter that shows, in `index`. INT8 and INT4 with `enable_rotate` rotate by a
//! random rotation in the file, before normalisation: Int8StreamingReformer or, under COSINE, CosineInt8Reformer, all words counted as components.

use serde_json::{Map, Value as Json, json};

use super::encode::{Encoder, Form};
use crate::format::proxima::fault::at;
use crate::format::proxima::{DataType, IndexMeta};
use crate::format::schema_file::{Metric, Quantize, VectorField, VectorIndex, VectorType};
use crate::format::{FormatError, Result};

/// How the elements of one file are stored.
#[derive(Debug, Clone)]
pub struct FilePlan {
    /// Its `IndexMeta`.
    pub meta: IndexMeta,
    pub(super) encoder: Encoder,
    pub(super) rotation: Turned,
}

/// What stands in the segment [`SEGMENT`](crate::format::proxima::rotation::SEGMENT).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turned {
    /// There is none.
    No,
    /// The data of another file, whose elements are rotated already.
    Copied(Vec<u8>),
    /// A rotation of vectors of this dimension, another one for each file.
    Fresh(u32),
}

impl FilePlan {
    /// A file whose elements are copied from another one, with that one's `IndexMeta` and, if it has one, the data of its segment
    /// [`SEGMENT`](crate::format::proxima::rotation::SEGMENT): rows come by [`push_element`](super::FlatWriter::push_element).
    pub fn copying(meta: IndexMeta, rotation: Option<Vec<u8>>) -> Self {
        let form = if meta.sparse { Form::SparseCopy(at(meta.unit_size.into())) } else { Form::Copy };
        let rotation = rotation.map_or(Turned::No, Turned::Copied);
        Self { meta, encoder: Encoder::new(form, false, 0), rotation }
    }
}

/// The files of a column.
#[derive(Debug, Clone)]
pub struct ColumnPlan {
    /// `<column>.index.<block>.proxima`, which holds the vectors as they are (but for `flat_data_type`).
    pub index: FilePlan,
    /// `<column>.qindex.<block>.proxima`, if the column is quantised.
    pub qindex: Option<FilePlan>,
}

/// What matters of a column's index.
struct Params {
    metric: Metric,
    quantize: Quantize,
    rotate: bool,
    contiguous: bool,
    flat_data_type: VectorType,
    sparse: bool,
}

impl ColumnPlan {
    /// The files of `field`. Fails with `proxima.unsupported-column` where zvec 0.8.0 refuses the column or writes what this build cannot.
    pub fn new(field: &VectorField) -> Result<Self> {
        let params = Params::of(&field.index);
        let planner = Planner { field, params };
        let index = planner.index()?;
        let qindex = planner.qindex()?;
        Ok(Self { index, qindex })
    }
}

impl Params {
    fn of(index: &VectorIndex) -> Self {
        use VectorIndex::{Diskann, Flat, Hnsw, HnswRabitq, Ivf, IvfRabitq, Vamana};
        let sparse = matches!(index, Flat { .. } | Hnsw { .. });
        let (contiguous, flat_data_type) = match index {
            Hnsw { use_flat_contiguous_memory, flat_data_type, .. }
            | Vamana { use_flat_contiguous_memory, flat_data_type, .. } => {
                (*use_flat_contiguous_memory, *flat_data_type)
            }
            _ => (false, VectorType::VectorFp32),
        };
        let (metric, quantize, rotate) = match index {
            Flat { metric, quantize, quantizer_param, .. }
            | Hnsw { metric, quantize, quantizer_param, .. }
            | Ivf { metric, quantize, quantizer_param, .. }
            | Vamana { metric, quantize, quantizer_param, .. }
            | Diskann { metric, quantize, quantizer_param, .. } => (*metric, *quantize, quantizer_param.enable_rotate),
            HnswRabitq { metric, .. } | IvfRabitq { metric, .. } => (*metric, Quantize::Rabitq, false),
        };
        Self { metric, quantize, rotate, contiguous, flat_data_type, sparse }
    }
}

struct Planner<'a> {
    field: &'a VectorField,
    params: Params,
}

impl Planner<'_> {
    fn refuse<T>(&self, why: impl std::fmt::Display) -> Result<T> {
        let detail = format!("vector field {:?}: {why}", self.field.name);
        Err(FormatError::unsupported("proxima.unsupported-column", 0, detail))
    }

    fn cosine(&self) -> bool {
        self.params.metric == Metric::Cosine
    }

    fn metric(&self) -> Result<&'static str> {
        match (self.field.data_type.is_sparse(), self.params.metric) {
            (true, Metric::Ip) => Ok("InnerProductSparse"),
            (true, _) => self.refuse("sparse vectors have the metric IP only"),
            (false, Metric::L2) => Ok("SquaredEuclidean"),
            (false, Metric::Ip) => Ok("InnerProduct"),
            (false, Metric::Cosine) => Ok("Cosine"),
            (false, Metric::Undefined) => self.refuse("no metric"),
        }
    }

    fn index(&self) -> Result<FilePlan> {
        if self.field.data_type.is_sparse() && !self.params.sparse {
            return self.refuse("sparse vectors have FLAT and HNSW indexes only");
        }
        if !self.field.data_type.is_sparse() && self.field.dimension == 0 {
            return self.refuse("no dimension");
        }
        let contiguous = self.params.contiguous;
        let extra = if self.cosine() { 4 } else { 0 };
        match self.field.data_type {
            VectorType::VectorFp32 => match self.params.flat_data_type {
                VectorType::VectorFp32 => {
                    let parts = [("quantizer", part("Fp32Quantizer"))];
                    self.plan(Form::Fp32, (DataType::Fp32, 4), 0, extra, contiguous, parts)
                }
                VectorType::VectorFp16 => {
                    let params = json!({"quantizer.storage_data_type": DataType::Fp16.number()});
                    let parts = [("quantizer", with_params("Fp16Quantizer", params))];
                    self.plan(Form::HalfStorage, (DataType::Fp16, 2), 0, extra, contiguous, parts)
                }
                VectorType::VectorUint8 if self.params.metric == Metric::L2 => {
                    let parts = [("reformer", part("RawUint8Reformer")), ("converter", part("RawUint8Converter"))];
                    self.plan(Form::Byte, (DataType::Uint8, 1), 0, 0, contiguous, parts)
                }
                _ => self.refuse("flat_data_type is FP32 or FP16, or UINT8 with the metric L2"),
            },
            VectorType::VectorFp16 if self.cosine() => {
                let (reformer, converter) = ("CosineHalfFloatReformer", "CosineHalfFloatConverter");
                let parts = [("reformer", part(reformer)), ("converter", part(converter))];
                self.plan(Form::Fp16Column, (DataType::Fp16, 2), 2, 0, contiguous, parts)
            }
            VectorType::VectorFp16 => self.plan(Form::Fp16Column, (DataType::Fp16, 2), 0, 0, contiguous, []),
            VectorType::VectorInt8 if self.cosine() => self.refuse("INT8 vectors have no metric COSINE"),
            VectorType::VectorInt8 => self.plan(Form::Int8Column, (DataType::Int8, 1), 0, 0, contiguous, []),
            VectorType::SparseVectorFp32 => self.plan(Form::SparseFp32, (DataType::Fp32, 4), 0, 0, contiguous, []),
            VectorType::SparseVectorFp16 => {
                self.plan(Form::SparseFp16Column, (DataType::Fp16, 2), 0, 0, contiguous, [])
            }
            _ => self.refuse("zvec 0.8.0 keeps no vectors of this data type"),
        }
    }

    fn qindex(&self) -> Result<Option<FilePlan>> {
        use Quantize::{Fp16, Int4, Int8, Rabitq, Undefined, UniformUint4, UniformUint7, UniformUint8};
        let quantize = self.params.quantize;
        if quantize == Undefined {
            return Ok(None);
        }
        match self.field.data_type {
            VectorType::VectorFp32 => {}
            VectorType::SparseVectorFp32 if quantize == Fp16 => {}
            _ => return self.refuse("only FP32 vectors are quantised, sparse ones to FP16 only"),
        }
        let cosine = self.cosine();
        if self.params.rotate {
            match quantize {
                Fp16 => return self.refuse("FP16 is not rotated"),
                Rabitq if cosine => return self.refuse("RABITQ with the metric COSINE is not rotated"),
                _ => {}
            }
        }
        let extra = if cosine { 4 } else { 0 };
        let plan = match quantize {
            Fp16 if self.field.data_type.is_sparse() => {
                let (reformer, converter) = ("HalfFloatSparseReformer", "HalfFloatSparseConverter");
                let parts = [("reformer", part(reformer)), ("converter", part(converter))];
                self.plan(Form::SparseHalf, (DataType::Fp16, 2), 0, 0, false, parts)
            }
            Fp16 => {
                let parts = [("quantizer", part("Fp16Quantizer"))];
                self.plan(Form::Half, (DataType::Fp16, 2), 0, extra, false, parts)
            }
            Int8 => self.integer(Form::Int8, DataType::Int8, "Int8", (20, 20)),
            Int4 if !self.field.dimension.is_multiple_of(2) => self.refuse("INT4 needs an even dimension"),
            Int4 => {
                let form = Form::Int4 { squares: self.params.metric == Metric::L2 };
                self.integer(form, DataType::Int4, "Int4", (16, 32))
            }
            Rabitq if cosine => {
                let parts = [("reformer", part("CosineFp32Reformer")), ("converter", part("CosineFp32Converter"))];
                self.plan(Form::Fp32, (DataType::Fp32, 4), 1, 0, false, parts)
            }
            Rabitq => self.plan(Form::Fp32, (DataType::Fp32, 4), 0, 0, false, []),
            UniformUint4 | UniformUint7 | UniformUint8 if self.params.metric == Metric::L2 => return Ok(None),
            _ => self.refuse("uniform quantisers have the metric L2 only"),
        };
        plan.map(Some)
    }

    /// INT8 or INT4: words of the element in bytes, and the components they count as where they count as such.
    fn integer(&self, form: Form, data_type: DataType, name: &str, (words, more): (u32, u32)) -> Result<FilePlan> {
        if self.params.rotate {
            return self.rotated(form, data_type, name, more);
        }
        if self.params.metric == Metric::Ip {
            let (reformer, converter) = (format!("{name}StreamingReformer"), format!("{name}StreamingConverter"));
            let parts = [("reformer", part(&reformer)), ("converter", part(&converter))];
            return self.plan(form, (data_type, 1), more, 0, false, parts);
        }
        let extra = words + if self.cosine() { 4 } else { 0 };
        self.plan(form, (data_type, 1), 0, extra, false, [("quantizer", part(&format!("{name}Quantizer")))])
    }

    /// Rotated elements are those of older releases: words, and the norm, count as components under every metric.
    fn rotated(&self, form: Form, data_type: DataType, name: &str, words: u32) -> Result<FilePlan> {
        let (family, reformer, converter, norm) = match self.params.metric {
            Metric::Cosine => {
                let norm = if data_type == DataType::Int4 { 8 } else { 4 };
                (format!("Cosine{name}"), json!({}), json!({"cosine.converter.enable_rotate": true}), norm)
            }
            metric => {
                let reformer = match metric {
                    Metric::L2 => json!({"integer_streaming.reformer.is_euclidean": true}),
                    _ => json!({}),
                };
                (format!("{name}Streaming"), reformer, json!({"integer_streaming.converter.enable_rotate": true}), 0)
            }
        };
        let parts = [
            ("reformer", with_params(&format!("{family}Reformer"), reformer)),
            ("converter", with_params(&format!("{family}Converter"), converter)),
        ];
        let plan = self.plan(form, (data_type, 1), words + norm, 0, false, parts)?;
        Ok(FilePlan { rotation: Turned::Fresh(self.field.dimension), ..plan })
    }

    /// Elements of `more` components beyond the vector's and `extra` bytes behind them.
    fn plan<const N: usize>(
        &self,
        form: Form,
        (data_type, unit_size): (DataType, u32),
        more: u32,
        extra: u32,
        contiguous: bool,
        parts: [(&str, Json); N],
    ) -> Result<FilePlan> {
        let sparse = self.field.data_type.is_sparse();
        let dimension = if sparse { 0 } else { self.field.dimension };
        let Some(stored) = dimension.checked_add(more) else { return self.refuse("the dimension is too large") };
        let streamer = if sparse { "FlatSparseStreamer" } else { "FlatStreamer" };
        let streamer_params = json!({
            "proxima.flat.use_id_map": false,
            "proxima.flat.column_major_order": false,
            "proxima.flat.use_contiguous_memory": contiguous,
        });
        let mut attachment = Map::new();
        let quantised_integer = more > 0 && matches!(data_type, DataType::Int8 | DataType::Int4);
        attachment.insert("metric".into(), metric(self.metric()?, quantised_integer));
        // The order in which zvec 0.8.0 puts them; nothing depends on it.
        let mut parts = parts.map(|(key, value)| (key, Some(value)));
        let mut insert = |wanted: &str, attachment: &mut Map<String, Json>| {
            for (key, value) in parts.iter_mut().filter(|(key, _)| *key == wanted) {
                attachment.insert((*key).to_owned(), value.take().unwrap_or_default());
            }
        };
        insert("reformer", &mut attachment);
        attachment.insert("streamer".into(), with_params(streamer, streamer_params));
        insert("converter", &mut attachment);
        insert("quantizer", &mut attachment);
        let mut meta = IndexMeta {
            header_size: crate::format::proxima::meta::HEADER_SIZE as u32,
            sparse,
            major_order: if sparse { 0 } else { 1 },
            data_type,
            dimension: stored,
            unit_size,
            extra,
            attachment,
            size: 0,
        };
        meta.size = meta.to_bytes()?.len() as u64;
        Ok(FilePlan { meta, encoder: Encoder::new(form, self.cosine(), dimension), rotation: Turned::No })
    }
}

fn metric(name: &str, quantised_integer: bool) -> Json {
    if !quantised_integer {
        return part(name);
    }
    let params = json!({
        "proxima.quantized_integer.metric.origin_metric_name": name,
        "proxima.quantized_integer.metric.origin_metric_params": {},
    });
    with_params("QuantizedInteger", params)
}

fn part(name: &str) -> Json {
    with_params(name, json!({}))
}

fn with_params(name: &str, params: Json) -> Json {
    json!({"name": name, "params": params, "revision": 0})
}
