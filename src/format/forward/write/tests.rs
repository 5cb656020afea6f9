use proptest::prelude::*;

use super::*;
use crate::format::Kind;
use crate::format::forward::{ForwardFile, value_at};
use crate::format::sink::SinkError;

const IPC: &[u8] = include_bytes!("../../testdata/forward/rows.ipc");
const PARQUET: &[u8] = include_bytes!("../../testdata/forward/rows.parquet");

const ALL: [ScalarType; 9] = [
    ScalarType::Bool,
    ScalarType::I32,
    ScalarType::U32,
    ScalarType::I64,
    ScalarType::U64,
    ScalarType::F32,
    ScalarType::F64,
    ScalarType::String,
    ScalarType::Binary,
];

fn column(name: &str, scalar: ScalarType, array: bool, nullable: bool) -> Column {
    Column { name: name.into(), column_type: ColumnType { scalar, array }, nullable }
}

/// A row block with a nullable column of every type.
fn every_type() -> Vec<Column> {
    let all = ALL.iter().flat_map(|scalar| [(scalar, false), (scalar, true)]);
    row_block_columns(all.map(|(scalar, array)| column(&format!("{scalar}_{array}"), *scalar, array, true)))
}

fn values(scalar: ScalarType, seed: u64) -> [Value; 2] {
    let n = seed as usize % 4;
    match scalar {
        ScalarType::Bool => [Value::Bool(seed % 3 == 1), Value::Bools(vec![seed.is_multiple_of(2); n])],
        ScalarType::I32 => [Value::I32(-(seed as i32)), Value::I32s(vec![seed as i32; n])],
        ScalarType::U32 => [Value::U32(seed as u32), Value::U32s(vec![seed as u32; n])],
        ScalarType::I64 => [Value::I64(-(seed as i64)), Value::I64s(vec![i64::MIN; n])],
        ScalarType::U64 => [Value::U64(u64::MAX - seed), Value::U64s(vec![seed; n])],
        ScalarType::F32 => [Value::F32(seed as f32), Value::F32s(vec![f32::INFINITY; n])],
        ScalarType::F64 => [Value::F64(-0.0), Value::F64s(vec![seed as f64 / 3.0; n])],
        ScalarType::String => {
            [Value::Bytes(format!("ö{seed}").into_bytes()), Value::ByteStrings(vec![b"x".repeat(seed as usize % 5); n])]
        }
        ScalarType::Binary => [Value::Bytes(vec![0xff; n]), Value::ByteStrings(vec![vec![0xfe; 3]; n])],
    }
}

fn row(seed: u64) -> Vec<Value> {
    let all = ALL.iter().enumerate().flat_map(|(at, scalar)| {
        values(*scalar, seed).map(|value| if (seed + at as u64).is_multiple_of(5) { Value::Null } else { value })
    });
    all.collect()
}

fn builder(columns: Vec<Column>, rows: u64) -> RowBuilder {
    let mut builder = RowBuilder::new(columns);
    for seed in 0..rows {
        builder.append_document(seed + 7, format!("pk{seed}").as_bytes(), row(seed)).unwrap();
    }
    builder.close_batch().unwrap();
    builder
}

fn write(batches: &[RecordBatch], columns: Vec<Column>, encoding: Encoding) -> Vec<u8> {
    let mut writer = BlockWriter::new(Vec::new(), columns, encoding).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap()
}

fn open(bytes: &[u8], encoding: Encoding) -> ForwardFile {
    let file = ForwardFile::open(Arc::new(bytes.to_vec()), encoding).unwrap();
    assert_eq!((file.encoding(), file.faults()), (encoding, &[][..]));
    file
}

fn rows(file: &ForwardFile) -> Vec<Vec<Value>> {
    let batches = file.batches(None).map(|batch| batch.records.unwrap());
    let of_batch = |batch: RecordBatch| {
        let row = |at| batch.columns().iter().map(|column| value_at(column.as_ref(), at).unwrap()).collect();
        (0..batch.num_rows()).map(row).collect::<Vec<_>>()
    };
    batches.flat_map(of_batch).collect()
}

/// A sink that holds `left` more bytes.
struct Full {
    written: u64,
    left: usize,
}

impl Sink for Full {
    fn append(&mut self, bytes: &[u8]) -> std::result::Result<(), SinkError> {
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| SinkError("no space left".into()))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn position(&self) -> u64 {
        self.written
    }
}

#[test]
fn a_block_of_zvec_is_written_again_byte_by_byte() {
    let file = open(IPC, Encoding::Ipc);
    let mut builder = RowBuilder::new(file.columns().to_vec());
    for row in rows(&file) {
        builder.append(&row).unwrap();
    }
    builder.close_batch().unwrap();
    assert!(write(builder.batches(), file.columns().to_vec(), Encoding::Ipc) == IPC);
}

#[test]
fn a_parquet_block_of_zvec_keeps_schema_and_rows() {
    let file = open(PARQUET, Encoding::Parquet);
    let batches: Vec<_> = file.batches(None).map(|batch| batch.records.unwrap()).collect();
    let again = write(&batches, file.columns().to_vec(), Encoding::Parquet);
    assert!(!again.windows(12).any(|window| window == b"ARROW:schema"));
    let again = open(&again, Encoding::Parquet);
    assert_eq!((again.schema(), again.columns()), (file.schema(), file.columns()));
    assert_eq!(rows(&again), rows(&file));
}

#[test]
fn every_type_survives_both_encodings() {
    let columns = every_type();
    let builder = builder(columns.clone(), 40);
    for encoding in [Encoding::Ipc, Encoding::Parquet] {
        let bytes = write(builder.batches(), columns.clone(), encoding);
        let file = open(&bytes, encoding);
        assert_eq!(file.columns(), columns, "{encoding}");
        let expected: Vec<Vec<Value>> = (0..40)
            .map(|seed| {
                let head = [Value::U64(seed + 7), Value::Bytes(format!("pk{seed}").into_bytes())];
                head.into_iter().chain(row(seed)).collect()
            })
            .collect();
        assert_eq!(rows(&file), expected, "{encoding}");
    }
}

#[test]
fn parquet_has_one_row_group_however_many_batches() {
    let columns = every_type();
    let batches: Vec<_> = (0..5).flat_map(|_| builder(columns.clone(), 30).take_batches()).collect();
    let file = open(&write(&batches, columns.clone(), Encoding::Parquet), Encoding::Parquet);
    assert_eq!(file.rows(), Some(150));
    assert_eq!(file.column_chunks().len(), columns.len());
}

#[test]
fn no_rows_make_an_empty_block() {
    for encoding in [Encoding::Ipc, Encoding::Parquet] {
        let file = open(&write(&[], every_type(), encoding), encoding);
        assert_eq!((file.rows(), file.columns().len()), (Some(0), every_type().len()));
    }
    let none = BlockWriter::new(Vec::new(), Vec::new(), Encoding::Ipc).err().unwrap();
    assert_eq!(none.code, "forward.wrong-value");
}

#[test]
fn a_batch_ends_at_its_limits() {
    let mut many = RowBuilder::new(vec![column("n", ScalarType::U64, false, false)]);
    for n in 0..MAX_BATCH_ROWS as u64 * 2 + 1 {
        many.append(&[Value::U64(n)]).unwrap();
    }
    assert_eq!((many.batches().len(), many.rows()), (2, MAX_BATCH_ROWS * 2 + 1));
    many.close_batch().unwrap();
    let sizes: Vec<_> = many.batches().iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes, [MAX_BATCH_ROWS, MAX_BATCH_ROWS, 1]);

    let mut large = RowBuilder::new(vec![column("s", ScalarType::Binary, false, false)]);
    for _ in 0..5 {
        large.append(&[Value::Bytes(vec![0; MAX_BATCH_BYTES / 2 - 100])]).unwrap();
    }
    assert_eq!(large.batches().iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn memory_is_counted_over_open_and_closed_batches() {
    let mut builder = RowBuilder::new(vec![column("n", ScalarType::U64, false, true)]);
    let empty = builder.memory_size();
    for n in 0..100 {
        builder.append(&[Value::U64(n)]).unwrap();
    }
    assert_eq!(builder.memory_size(), empty + 800);
    builder.close_batch().unwrap();
    assert_eq!((builder.memory_size(), builder.rows()), (empty + 800, 100));
    builder.append(&[Value::Null]).unwrap();
    assert_eq!(builder.memory_size(), empty + 808 + 1, "a null adds the validity bits");
    assert_eq!(builder.take_batches().len(), 1);
    assert_eq!((builder.memory_size(), builder.rows()), (empty + 9, 1));
}

#[test]
fn a_row_that_does_not_fit_is_refused_whole() {
    let columns = vec![column("a", ScalarType::I32, false, false), column("s", ScalarType::String, true, true)];
    let mut builder = RowBuilder::new(columns);
    let tags = Value::ByteStrings(vec![b"x".to_vec()]);
    for wrong in [
        vec![Value::I32(1)],
        vec![Value::Null, tags.clone()],
        vec![Value::I64(1), tags.clone()],
        vec![Value::I32(1), Value::Bytes(b"x".to_vec())],
        vec![Value::I32(1), Value::I8s(vec![1])],
        vec![Value::I32(1), Value::ByteStrings(vec![vec![0xff]])],
    ] {
        assert_eq!(builder.append(&wrong).unwrap_err().code, "forward.wrong-value", "{wrong:?}");
    }
    assert_eq!(builder.rows(), 0);
    builder.append(&[Value::I32(1), tags]).unwrap();
    builder.append(&[Value::I32(2), Value::Null]).unwrap();
    builder.close_batch().unwrap();
    assert_eq!(builder.batches()[0].num_rows(), 2);
}

#[test]
fn a_batch_of_another_block_is_refused() {
    let batch = builder(every_type(), 10).take_batches().remove(0);
    let mut columns = every_type();
    columns[3].nullable = false;
    let mut renamed = every_type();
    renamed[4].name = "other".into();
    let mut retyped = every_type();
    retyped[4].column_type.array ^= true;
    for columns in [columns, renamed, retyped, every_type()[1..].to_vec()] {
        for encoding in [Encoding::Ipc, Encoding::Parquet] {
            let mut writer = BlockWriter::new(Vec::new(), columns.clone(), encoding).unwrap();
            assert_eq!(writer.write(&batch).unwrap_err().code, "forward.wrong-value");
        }
    }
}

#[test]
fn slices_are_written_as_if_they_were_whole() {
    let columns = every_type();
    let whole = builder(columns.clone(), 50).take_batches().remove(0);
    let slice = whole.slice(13, 21);
    for encoding in [Encoding::Ipc, Encoding::Parquet] {
        let file = open(&write(std::slice::from_ref(&slice), columns.clone(), encoding), encoding);
        assert_eq!(
            rows(&file),
            rows(&open(&write(std::slice::from_ref(&whole), columns.clone(), encoding), encoding))[13..34]
        );
    }
}

#[test]
fn a_full_disk_is_told_in_its_own_words_wherever_it_strikes() {
    let columns = every_type();
    let batches = builder(columns.clone(), 60).take_batches();
    for encoding in [Encoding::Ipc, Encoding::Parquet] {
        let size = write(&batches, columns.clone(), encoding).len();
        let attempt = |left| {
            let mut writer = BlockWriter::new(Full { written: 0, left }, columns.clone(), encoding)?;
            batches.iter().try_for_each(|batch| writer.write(batch))?;
            writer.finish().map(|sink| sink.written)
        };
        for left in (0..size).step_by(61).chain([size - 1]) {
            let error = attempt(left).unwrap_err();
            assert_eq!((error.code, error.kind), ("io.write", Kind::Io), "{encoding} {left}: {error}");
            assert_eq!(error.detail, "no space left");
        }
        assert_eq!(attempt(size), Ok(size as u64));
    }
}

#[test]
fn a_block_that_lost_bytes_cannot_be_finished() {
    /// Fails once, as a disk that was full for a moment.
    struct Hiccup(Vec<u8>, u32);
    impl Sink for Hiccup {
        fn append(&mut self, bytes: &[u8]) -> std::result::Result<(), SinkError> {
            self.1 += 1;
            if self.1 == 6 { Err(SinkError("no space left".into())) } else { Sink::append(&mut self.0, bytes) }
        }

        fn position(&self) -> u64 {
            self.0.position()
        }
    }
    let columns = every_type();
    let batch = builder(columns.clone(), 60).take_batches().remove(0);
    let mut writer = BlockWriter::new(Hiccup(Vec::new(), 0), columns, Encoding::Ipc).unwrap();
    assert_eq!(writer.write(&batch).unwrap_err().code, "io.write");
    assert_eq!(writer.write(&batch).unwrap_err().code, "io.write");
    assert_eq!(writer.finish().err().unwrap().code, "io.write");
}

#[test]
fn a_block_may_begin_behind_other_bytes() {
    let columns = every_type();
    let batches = builder(columns.clone(), 9).take_batches();
    let mut writer = BlockWriter::new(b"before..".to_vec(), columns.clone(), Encoding::Ipc).unwrap();
    writer.write(&batches[0]).unwrap();
    let bytes = writer.finish().unwrap();
    assert!(bytes[8..] == write(&batches, columns, Encoding::Ipc));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_rows_survive(
        rows_in in prop::collection::vec(
            (prop::option::of("\\PC{0,9}"), prop::option::of(prop::collection::vec(any::<bool>(), 0..9)), any::<u64>()),
            0..30,
        ),
        borders in prop::collection::vec(any::<bool>(), 30),
        parquet: bool,
    ) {
        let columns = vec![
            column("s", ScalarType::String, false, true),
            column("b", ScalarType::Bool, true, true),
            column("n", ScalarType::U64, false, false),
        ];
        let encoding = if parquet { Encoding::Parquet } else { Encoding::Ipc };
        let mut builder = RowBuilder::new(columns.clone());
        let mut expected = Vec::new();
        for ((text, bits, n), border) in rows_in.into_iter().zip(borders) {
            let text = text.map_or(Value::Null, |text| Value::Bytes(text.into_bytes()));
            let row = vec![text, bits.map_or(Value::Null, Value::Bools), Value::U64(n)];
            builder.append(&row).unwrap();
            expected.push(row);
            if border { builder.close_batch().unwrap(); }
        }
        builder.close_batch().unwrap();
        let file = open(&write(builder.batches(), columns, encoding), encoding);
        prop_assert_eq!(rows(&file), expected);
    }
}
