//! What zvec 0.8.0 lets a vector field be.
//!
//! ```text
//! type        FP32, FP16, INT8 of 1 to 20,000 components; sparse FP32, FP16, without dimension
//! index       sparse: FLAT, HNSW; RABITQ indexes: FP32 of 64 to 4,095 components
//! metric      sparse: IP; COSINE: not INT8; IVF with IP: not INT8; RABITQ indexes: not UNDEFINED
//! quantize    FP32: FP16, INT8, INT4, RABITQ (not IVF), UNIFORM_* (HNSW and VAMANA with L2); sparse FP32: FP16; nothing else
//! flat type   FP32, FP16, or UINT8 with L2; sparse: FP32
//! parameters  IVF_RABITQ: nlist > 0, sample_count >= 0; any number everywhere else
//! ```
//!
//! Nullable is allowed, though zvec's own `VectorSchema` cannot say it. A sparse vector with a dimension zvec creates, and means nothing by it; here
//! it is refused.

use crate::format::schema_file::{Metric, Quantize, VectorField, VectorIndex, VectorType};

use super::super::Refusal;

/// Components of a dense vector.
const MAX_DIMENSION: u32 = 20_000;

/// Refuses what zvec refuses.
pub(super) fn check(field: &VectorField) -> Result<(), Refusal> {
    let rule = Rule { field, facts: Facts::of(&field.index) };
    rule.check_type()?;
    rule.check_index()?;
    rule.check_quantize()?;
    rule.check_flat_type()?;
    rule.check_metric()
}

/// What the rules ask of an index.
struct Facts {
    name: &'static str,
    metric: Metric,
    quantize: Quantize,
    /// Of the indexes that have one.
    flat_data_type: VectorType,
    /// HNSW_RABITQ or IVF_RABITQ.
    rabitq: bool,
}

impl Facts {
    fn of(index: &VectorIndex) -> Self {
        use VectorIndex as V;
        let fp32 = VectorType::VectorFp32;
        let (name, metric, quantize, flat_data_type) = match *index {
            V::Flat { metric, quantize, .. } => ("FLAT", metric, quantize, fp32),
            V::Hnsw { metric, quantize, flat_data_type, .. } => ("HNSW", metric, quantize, flat_data_type),
            V::Ivf { metric, quantize, .. } => ("IVF", metric, quantize, fp32),
            V::Vamana { metric, quantize, flat_data_type, .. } => ("VAMANA", metric, quantize, flat_data_type),
            V::Diskann { metric, quantize, .. } => ("DISKANN", metric, quantize, fp32),
            V::HnswRabitq { metric, .. } => ("HNSW_RABITQ", metric, Quantize::Rabitq, fp32),
            V::IvfRabitq { metric, .. } => ("IVF_RABITQ", metric, Quantize::Rabitq, fp32),
        };
        let rabitq = matches!(index, V::HnswRabitq { .. } | V::IvfRabitq { .. });
        Self { name, metric, quantize, flat_data_type, rabitq }
    }
}

struct Rule<'a> {
    field: &'a VectorField,
    facts: Facts,
}

impl Rule<'_> {
    fn refuse(&self, code: &'static str, why: impl std::fmt::Display) -> Result<(), Refusal> {
        Err(Refusal::new(code, format!("vector field {:?}: {why}", self.field.name)))
    }

    fn sparse(&self) -> bool {
        self.field.data_type.is_sparse()
    }

    fn check_type(&self) -> Result<(), Refusal> {
        use VectorType as T;
        let dimension = self.field.dimension;
        let data_type = self.field.data_type;
        if self.sparse() {
            if dimension != 0 {
                return self.refuse("schema.dimension", "a sparse vector has no dimension");
            }
        } else if data_type != T::VectorUint8 && (dimension == 0 || dimension > MAX_DIMENSION) {
            let why = format!("the dimension is {dimension}, 1 to {MAX_DIMENSION} are allowed");
            return self.refuse("schema.dimension", why);
        } else if !matches!(data_type, T::VectorFp32 | T::VectorFp16 | T::VectorInt8) {
            let name = data_type.to_proto().as_str_name();
            return self.refuse("schema.data-type", format!("zvec stores no vectors of type {name}"));
        }
        Ok(())
    }

    fn check_index(&self) -> Result<(), Refusal> {
        let Facts { name, metric, rabitq, .. } = self.facts;
        if self.sparse() {
            if !matches!(name, "FLAT" | "HNSW") {
                return self
                    .refuse("schema.index-type", format!("a sparse vector has a FLAT or HNSW index, not {name}"));
            }
            if metric != Metric::Ip {
                return self.refuse("schema.metric", "a sparse vector has the metric IP");
            }
        }
        if rabitq {
            if self.field.data_type != VectorType::VectorFp32 {
                return self.refuse("schema.data-type", format!("{name} is for VECTOR_FP32"));
            }
            if !(64..=4095).contains(&self.field.dimension) {
                let why = format!("{name} is for 64 to 4095 components, the dimension is {}", self.field.dimension);
                return self.refuse("schema.dimension", why);
            }
            if metric == Metric::Undefined {
                return self.refuse("schema.metric", format!("{name} needs a metric"));
            }
        }
        match self.field.index {
            VectorIndex::IvfRabitq { nlist, .. } if nlist <= 0 => {
                self.refuse("schema.parameter", format!("nlist is {nlist}, it must be above 0"))
            }
            VectorIndex::IvfRabitq { sample_count, .. } if sample_count < 0 => {
                self.refuse("schema.parameter", format!("sample_count is {sample_count}, it must not be below 0"))
            }
            _ => Ok(()),
        }
    }

    fn check_quantize(&self) -> Result<(), Refusal> {
        use Quantize as Q;
        let Facts { name, metric, quantize, .. } = self.facts;
        let called = self.quantizer_name();
        if quantize == Q::Undefined || self.facts.rabitq {
            return Ok(());
        }
        if matches!(quantize, Q::UniformUint7 | Q::UniformUint8 | Q::UniformUint4) {
            if !matches!(name, "HNSW" | "VAMANA") {
                return self.refuse("schema.quantize", format!("{called} is for HNSW and VAMANA, not {name}"));
            }
            if metric != Metric::L2 {
                return self.refuse("schema.quantize", format!("{called} needs the metric L2"));
            }
        }
        if quantize == Q::Rabitq && name == "IVF" {
            return self.refuse("schema.quantize", "an IVF index with RABITQ is called IVF_RABITQ");
        }
        match self.field.data_type {
            VectorType::VectorFp32 => Ok(()),
            VectorType::SparseVectorFp32 if quantize == Q::Fp16 => Ok(()),
            VectorType::SparseVectorFp32 => {
                self.refuse("schema.quantize", format!("sparse vectors are quantised to FP16 only, not {called}"))
            }
            other => self.refuse("schema.quantize", format!("{} is not quantised", other.to_proto().as_str_name())),
        }
    }

    fn quantizer_name(&self) -> &'static str {
        self.facts.quantize.to_proto().as_str_name()
    }

    fn check_flat_type(&self) -> Result<(), Refusal> {
        use VectorType as T;
        let code = "schema.flat-data-type";
        match self.facts.flat_data_type {
            T::VectorFp32 => Ok(()),
            T::VectorFp16 | T::VectorUint8 if self.sparse() => {
                self.refuse(code, "a sparse vector has no other flat_data_type than VECTOR_FP32")
            }
            T::VectorFp16 => Ok(()),
            T::VectorUint8 if self.facts.metric == Metric::L2 => Ok(()),
            T::VectorUint8 => self.refuse(code, "the flat_data_type VECTOR_UINT8 needs the metric L2"),
            _ => self.refuse(code, "flat_data_type is VECTOR_FP32, VECTOR_FP16 or VECTOR_UINT8"),
        }
    }

    fn check_metric(&self) -> Result<(), Refusal> {
        let Facts { name, metric, .. } = self.facts;
        if self.field.data_type == VectorType::VectorInt8 {
            if metric == Metric::Cosine {
                return self.refuse("schema.metric", "the metric COSINE is not for VECTOR_INT8");
            }
            if metric == Metric::Ip && name == "IVF" {
                return self.refuse("schema.metric", "IVF with the metric IP is not for VECTOR_INT8");
            }
        }
        Ok(())
    }
}
