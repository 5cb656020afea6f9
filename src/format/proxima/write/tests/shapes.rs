//! Numbers of rows, rows without vector, several segments and chunks, where the sink begins and how it fails.

use half::f16;

use super::*;

fn list_is_whole(file: &VectorFile<Vec<u8>>) {
    let crate::format::proxima::Layout::Flat(flat) = &file.layout else { return };
    assert_eq!(flat.chain(file.source()).unwrap(), (flat.blocks(), Vec::new()));
}

#[test]
fn any_number_of_rows() {
    let plan = index_of(&fp32(3, Metric::L2));
    for count in [0, 1, 31, 32, 33, 64, 100] {
        let rows: Vec<_> = (0..count).map(|row| vector(row, 3)).collect();
        for options in [options(), compact()] {
            let file = read(written(&plan, &options, &rows));
            assert_eq!(values(&file), rows);
            list_is_whole(&file);
        }
    }
}

#[test]
fn every_column_type_comes_back() {
    let half = |row: usize| f16::from_f32(row as f32 - 3.25);
    let columns = [
        (flat(VectorType::VectorFp16, 2, Metric::Ip, Quantize::Undefined), Value::F16s(vec![half(1), half(2)])),
        (flat(VectorType::VectorInt8, 3, Metric::L2, Quantize::Undefined), Value::I8s(vec![-128, 0, 127])),
        (
            flat(VectorType::SparseVectorFp32, 0, Metric::Ip, Quantize::Undefined),
            Value::SparseF32(vec![(0, 0.5), (65_535, 1.0), (65_536, -2.0), (u32::MAX, 3.0)]),
        ),
        (
            flat(VectorType::SparseVectorFp16, 0, Metric::Ip, Quantize::Undefined),
            Value::SparseF16(vec![(7, half(4)), (70_000, half(5))]),
        ),
    ];
    for (field, value) in columns {
        let rows = [None, Some(value.clone()), None, None, Some(value)];
        let file = read(written(&index_of(&field), &compact(), &rows));
        assert_eq!(values(&file), rows);
    }
}

#[test]
fn null_rows_are_holes_and_trailing_ones_are_not_stored() {
    let dense = fp32(3, Metric::Cosine);
    let rows: Vec<_> = (0..80).map(|row| if row % 3 == 1 || row > 71 { None } else { vector(row, 3) }).collect();
    let file = read(written(&index_of(&dense), &options(), &rows));
    assert_eq!(file.rows(), 72);
    let found: Vec<bool> = values(&file).iter().map(Option::is_some).collect();
    let expected: Vec<bool> = rows.iter().take(72).map(Option::is_some).collect();
    assert_eq!(found, expected);
    let mut reader = file.reader();
    assert!(file.record(1, &mut reader).unwrap().bytes.iter().all(|&byte| byte == 0));
    let none = read(written(&index_of(&dense), &options(), &[None, Some(Value::Null)]));
    assert_eq!(none.rows(), 0, "Value::Null is no vector either");
    let sparse = flat(VectorType::SparseVectorFp32, 0, Metric::Ip, Quantize::Fp16);
    for plan in [index_of(&sparse), ColumnPlan::new(&sparse).unwrap().qindex.unwrap()] {
        assert_eq!(read(written(&plan, &compact(), &[None, None])).rows(), 0);
    }
}

#[test]
fn the_zero_vector_under_cosine_stays_zero() {
    let field = flat(VectorType::VectorFp32, 4, Metric::Cosine, Quantize::Int8);
    let plan = ColumnPlan::new(&field).unwrap();
    let rows = [Some(Value::F32s(vec![0.0; 4]))];
    let file = read(written(&plan.index, &compact(), &rows));
    assert_eq!(values(&file), rows);
    assert_eq!(file.record(0, &mut file.reader()).unwrap().bytes, [0; 20]);
    assert_eq!(values(&read(written(&plan.qindex.unwrap(), &compact(), &rows))), rows);
}

/// 9 blocks of 496 KiB fit a feature segment of 4 MiB less a block.
#[test]
fn several_feature_segments() {
    let dimension = 4000;
    let plan = index_of(&fp32(dimension as u32, Metric::L2));
    let rows: Vec<_> = (0..600).map(|row| vector(row, dimension)).collect();
    for options in [options(), compact()] {
        let file = read(written(&plan, &options, &rows));
        assert_eq!(file.container.numbered("flat.features", 1).len(), 3);
        list_is_whole(&file);
        let mut reader = file.reader();
        for row in [0, 31, 255, 256, 511, 512, 599] {
            assert_eq!(value(&file, row as u64, &mut reader), rows[row]);
        }
    }
}

#[test]
fn several_data_and_offset_chunks() {
    let plan = index_of(&flat(VectorType::SparseVectorFp32, 0, Metric::Ip, Quantize::Undefined));
    let large: Vec<(u32, f32)> = (0..200_000).map(|i| (i, i as f32)).collect();
    let mut writer = FlatWriter::new(&plan, Vec::new(), &compact()).unwrap();
    let small = |row: u32| Value::SparseF32(vec![(row, 1.0)]);
    for row in 0..44_000 {
        let value = if row % 5000 == 0 { Value::SparseF32(large.clone()) } else { small(row) };
        writer.push(Some(&value)).unwrap();
    }
    let file = read(writer.finish(1).unwrap().sink);
    assert_eq!(file.container.numbered("bruteforce_sparse_streamer_data_", 0).len(), 2);
    assert_eq!(file.container.numbered("bruteforce_sparse_streamer_offset_", 0).len(), 2);
    let mut reader = file.reader();
    for row in [1, 4_999, 5_001, 43_689, 43_690, 43_999] {
        assert_eq!(value(&file, row.into(), &mut reader), Some(small(row)));
    }
    assert_eq!(value(&file, 40_000, &mut reader), Some(Value::SparseF32(large)));
}

#[test]
fn a_refused_value_changes_nothing() {
    let plan = index_of(&fp32(3, Metric::L2));
    let mut writer = FlatWriter::new(&plan, Vec::new(), &compact()).unwrap();
    writer.push(vector(0, 3).as_ref()).unwrap();
    writer.push(None).unwrap();
    for bad in [Value::F32s(vec![1.0; 4]), Value::I8s(vec![1; 3]), Value::SparseF32(vec![])] {
        assert_eq!(writer.push(Some(&bad)).unwrap_err().code, "proxima.bad-vector");
    }
    writer.push(vector(2, 3).as_ref()).unwrap();
    let file = read(writer.finish(1).unwrap().sink);
    assert_eq!(values(&file), [vector(0, 3), None, vector(2, 3)]);
    let sparse = index_of(&flat(VectorType::SparseVectorFp32, 0, Metric::Ip, Quantize::Undefined));
    let mut writer = FlatWriter::new(&sparse, Vec::new(), &compact()).unwrap();
    let unsorted = Value::SparseF32(vec![(2, 1.0), (2, 1.0)]);
    assert_eq!(writer.push(Some(&unsorted)).unwrap_err().code, "proxima.bad-vector");
}

#[test]
fn a_file_can_stand_behind_other_bytes() {
    let plan = index_of(&fp32(3, Metric::L2));
    for options in [options(), compact()] {
        let mut writer = FlatWriter::new(&plan, vec![7; 100], &options).unwrap();
        let rows: Vec<_> = (0..40).map(|row| vector(row, 3)).collect();
        rows.iter().for_each(|row| writer.push(row.as_ref()).unwrap());
        let finished = writer.finish(1).unwrap();
        assert_eq!(finished.sink[..100], [7; 100]);
        assert_eq!(finished.sink.len() as u64, finished.size + 100);
        assert_eq!(values(&read(finished.sink[100..].to_vec())), rows);
    }
}

type Handed = std::result::Result<(), SinkError>;

/// Counts what it is handed; fails when there is no room left.
struct Narrow {
    bytes: Vec<u8>,
    room: usize,
    largest: usize,
    zeros: u64,
}

impl Sink for Narrow {
    fn append(&mut self, bytes: &[u8]) -> Handed {
        self.largest = self.largest.max(bytes.len());
        if self.bytes.len() + bytes.len() > self.room {
            return Err(SinkError("no space left on device".into()));
        }
        Sink::append(&mut self.bytes, bytes)
    }

    fn position(&self) -> u64 {
        self.bytes.position()
    }
}

impl PatchSink for Narrow {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Handed {
        self.largest = self.largest.max(bytes.len());
        self.bytes.write_at(offset, bytes)
    }

    fn append_zeros(&mut self, len: u64) -> Handed {
        self.zeros += len;
        self.bytes.append_zeros(len)?;
        if self.bytes.len() > self.room { self.append(&[0]) } else { Ok(()) }
    }
}

fn narrow(room: usize) -> Narrow {
    Narrow { bytes: Vec::new(), room, largest: 0, zeros: 0 }
}

#[test]
fn memory_is_bounded_and_zeros_are_told() {
    let plan = index_of(&fp32(64, Metric::L2));
    let mut writer = FlatWriter::new(&plan, narrow(usize::MAX), &options()).unwrap();
    for row in 0..40_000 {
        writer.push(vector(row, 64).as_ref()).unwrap();
    }
    let sink = writer.finish(1).unwrap().sink;
    assert!(sink.largest < 300 << 10, "{}", sink.largest);
    assert_eq!(sink.zeros, sink.bytes.len() as u64, "the file grows by zeros only");
}

#[test]
fn a_full_disk_is_an_error_and_leaves_no_header() {
    let plan = index_of(&fp32(3, Metric::L2));
    for room in [0, 1000, 1 << 20, 2 << 20] {
        let mut sink = narrow(room);
        let failed = |sink: &mut Narrow| -> Result<()> {
            let mut writer = FlatWriter::new(&plan, sink, &options())?;
            (0..100).try_for_each(|row| writer.push(vector(row, 3).as_ref()))?;
            writer.finish(1).map(drop)
        };
        let error = failed(&mut sink).unwrap_err();
        assert_eq!((error.code, error.kind), ("io.write", crate::format::Kind::Io));
        assert!(VectorFile::open(sink.bytes).is_err());
    }
}
