//! Columns that cannot be written are refused when their files are planned, and never written wrong.

use super::*;

fn with(field: &VectorField, index: VectorIndex) -> VectorField {
    VectorField { index, ..field.clone() }
}

fn refused(field: &VectorField) {
    let error = ColumnPlan::new(field).unwrap_err();
    assert_eq!(error.code, "proxima.unsupported-column", "{field:?}");
    assert!(error.detail.contains("\"v\""), "{}", error.detail);
}

#[test]
fn rotation_is_written_where_it_shows() {
    let rotated = |metric, quantize| VectorField {
        index: VectorIndex::Flat {
            metric,
            quantize,
            quantizer_param: QuantizerParam { enable_rotate: true },
            use_contiguous_memory: false,
        },
        ..fp32(64, metric)
    };
    for metric in [Metric::L2, Metric::Ip, Metric::Cosine] {
        refused(&rotated(metric, Quantize::Fp16));
        for quantize in [Quantize::Int8, Quantize::Int4] {
            let plan = ColumnPlan::new(&rotated(metric, quantize)).unwrap().qindex.unwrap();
            let row = [Some(Value::F32s((0..64).map(|i| (i as f32).sin()).collect()))];
            let options = |magic| FileOptions { magic, ..compact() };
            let [one, again, other] = [7, 7, 8].map(|magic| {
                let mut writer = FlatWriter::new(&plan, Vec::new(), &options(magic)).unwrap();
                writer.push(row[0].as_ref()).unwrap();
                read(writer.finish(1).unwrap().sink)
            });
            assert_eq!(one.source(), again.source());
            let rotation = |file: &VectorFile<Vec<u8>>| {
                let segment = file.container.segment(crate::format::proxima::rotation::SEGMENT).unwrap();
                file.container.read(file.source(), segment, 1 << 20, "").unwrap()
            };
            assert_ne!(rotation(&one), rotation(&other), "each file has one of its own");
            let Some(Some(Value::F32s(found))) = values(&one).pop() else { panic!("no vector") };
            let Some(Value::F32s(pushed)) = &row[0] else { panic!() };
            let bound = if quantize == Quantize::Int8 { 0.03 } else { 0.4 };
            assert!(found.iter().zip(pushed).all(|(a, b)| (a - b).abs() < bound), "{found:?} {pushed:?}");
        }
        assert!(ColumnPlan::new(&rotated(metric, Quantize::Undefined)).is_ok());
    }
    refused(&rotated(Metric::Cosine, Quantize::Rabitq));
    assert!(ColumnPlan::new(&rotated(Metric::L2, Quantize::Rabitq)).is_ok());
}

#[test]
fn what_zvec_refuses_is_refused() {
    for data_type in [
        VectorType::VectorFp64,
        VectorType::VectorInt4,
        VectorType::VectorInt16,
        VectorType::VectorUint8,
        VectorType::VectorBinary32,
        VectorType::VectorBinary64,
    ] {
        refused(&flat(data_type, 32, Metric::L2, Quantize::Undefined));
    }
    for quantize in [Quantize::Fp16, Quantize::Int8, Quantize::Int4, Quantize::Rabitq, Quantize::UniformUint8] {
        refused(&flat(VectorType::VectorFp16, 8, Metric::L2, quantize));
        refused(&flat(VectorType::VectorInt8, 8, Metric::L2, quantize));
        refused(&flat(VectorType::SparseVectorFp16, 0, Metric::Ip, quantize));
    }
    refused(&flat(VectorType::SparseVectorFp32, 0, Metric::Ip, Quantize::Int8));
    refused(&flat(VectorType::SparseVectorFp32, 0, Metric::L2, Quantize::Undefined));
    refused(&flat(VectorType::VectorInt8, 8, Metric::Cosine, Quantize::Undefined));
    refused(&flat(VectorType::VectorFp32, 7, Metric::L2, Quantize::Int4));
    refused(&flat(VectorType::VectorFp32, 8, Metric::Cosine, Quantize::UniformUint7));
    refused(&fp32(8, Metric::Undefined));
    refused(&fp32(0, Metric::L2));
    let ivf: VectorIndex = serde_json::from_str(r#"{"type":"IVF","metric":"IP"}"#).unwrap();
    refused(&with(&flat(VectorType::SparseVectorFp32, 0, Metric::Ip, Quantize::Undefined), ivf));
    let hnsw = |metric: &str, storage: &str| -> VectorIndex {
        let text = format!(r#"{{"type":"HNSW","metric":"{metric}","flat_data_type":"{storage}"}}"#);
        serde_json::from_str(&text).unwrap()
    };
    refused(&with(&fp32(8, Metric::L2), hnsw("IP", "VECTOR_UINT8")));
    refused(&with(&fp32(8, Metric::L2), hnsw("L2", "VECTOR_INT8")));
}

#[test]
fn quantised_columns_have_a_second_file() {
    let quantised = |quantize| ColumnPlan::new(&flat(VectorType::VectorFp32, 8, Metric::L2, quantize)).unwrap().qindex;
    for quantize in [Quantize::Fp16, Quantize::Int8, Quantize::Int4, Quantize::Rabitq] {
        assert!(quantised(quantize).is_some());
    }
    for quantize in [Quantize::Undefined, Quantize::UniformUint4, Quantize::UniformUint7, Quantize::UniformUint8] {
        assert!(quantised(quantize).is_none(), "uniform quantisers have none before optimize");
    }
    for kind in ["HNSW_RABITQ", "IVF_RABITQ"] {
        let index = serde_json::from_str(&format!(r#"{{"type":"{kind}","metric":"COSINE"}}"#)).unwrap();
        let plan = ColumnPlan::new(&with(&fp32(8, Metric::L2), index)).unwrap();
        assert_eq!(plan.qindex.unwrap().meta.name("reformer"), "CosineFp32Reformer");
    }
}

/// No memory is claimed for what cannot be: a block of such vectors would have gigabytes.
#[test]
fn absurd_dimensions_are_refused() {
    for dimension in [50_000_000, u32::MAX] {
        let plan = index_of(&fp32(dimension, Metric::L2));
        let error = FlatWriter::new(&plan, Vec::new(), &compact()).unwrap_err();
        assert_eq!(error.code, "flat.bad-element-size");
    }
    let quantised = flat(VectorType::VectorFp32, u32::MAX - 1, Metric::Ip, Quantize::Int4);
    refused(&quantised);
}

/// The table of a compact file is small; running out of it is an error like any other.
#[test]
fn a_full_segment_table_is_an_error() {
    let mut container = super::container::ContainerWriter::new(Vec::new(), &compact()).unwrap();
    let error = (0..5000).find_map(|number| container.reserve(&format!("segment{number}"), 0).err()).unwrap();
    assert_eq!(error.code, "proxima.too-large");
    let sink = container.finish(1).unwrap().0;
    let container = crate::format::proxima::Container::open(&sink).unwrap();
    assert_eq!(container.faults, []);
    assert!(container.segments.len() > 1300);
}
