use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int64Array, StringArray, UInt64Array};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use super::*;
use crate::format::value::Value;

const IPC: &[u8] = include_bytes!("../testdata/forward/rows.ipc");
const PARQUET: &[u8] = include_bytes!("../testdata/forward/rows.parquet");
const UNFINISHED: &[u8] = include_bytes!("../testdata/forward/unfinished.ipc");

fn open(bytes: &[u8]) -> Result<ForwardFile> {
    ForwardFile::open(Arc::new(bytes.to_vec()), Encoding::Ipc)
}

fn value(file: &ForwardFile, row: usize, column: &str) -> Value {
    let batch = file.read_batch(row / MAX_BATCH_ROWS, None).unwrap();
    value_at(batch.column(file.column_index(column).unwrap()).as_ref(), row % MAX_BATCH_ROWS).unwrap()
}

/// Rows with ids from `first` on.
fn rows(first: u64, count: u64) -> RecordBatch {
    let ids = first..first + count;
    let mut tags = ListBuilder::new(StringBuilder::new());
    for id in ids.clone() {
        for tag in 0..id % 3 {
            tags.values().append_value(format!("tag{tag}"));
        }
        tags.append(id % 5 != 0);
    }
    let columns: [(&str, ArrayRef); 4] = [
        (DOC_ID_COLUMN, Arc::new(UInt64Array::from_iter_values(ids.clone()))),
        (UID_COLUMN, Arc::new(StringArray::from_iter_values(ids.clone().map(|id| format!("doc_{id:05}"))))),
        ("size", Arc::new(Int64Array::from_iter(ids.map(|id| (id % 7 > 0).then_some(id as i64 * 1000))))),
        ("tags", Arc::new(tags.finish())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn write_ipc(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn write_parquet(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn position(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[test]
fn arrow_block_of_zvec() {
    let file = open(IPC).unwrap();
    assert_eq!((file.encoding(), file.rows(), file.faults().len()), (Encoding::Ipc, Some(33), 0));
    let columns: Vec<_> = file
        .columns()
        .iter()
        .map(|column| (column.name.as_str(), column.column_type.to_string(), column.nullable))
        .collect();
    let expected = [
        (DOC_ID_COLUMN, "UINT64".to_owned(), false),
        (UID_COLUMN, "STRING".into(), false),
        ("title", "STRING".into(), true),
        ("year", "INT32".into(), false),
        ("tags", "ARRAY_STRING".into(), true),
    ];
    assert_eq!(columns, expected);
    let info = &file.batch_infos()[0];
    assert_eq!((info.offset, info.length, info.first_row, info.rows), (408, 2224, Some(0), Some(33)));
    assert_eq!(value(&file, 0, DOC_ID_COLUMN), Value::U64(69));
    assert_eq!(value(&file, 0, UID_COLUMN), Value::Bytes(b"doc_00069".to_vec()));
    assert_eq!(value(&file, 0, "title"), Value::Bytes("title 69 ä".into()));
    assert_eq!(value(&file, 3, "title"), Value::Null);
    assert_eq!(value(&file, 1, "year"), Value::I32(1950));
    assert_eq!(value(&file, 0, "tags"), Value::ByteStrings(vec![b"t1".to_vec(), b"all".to_vec()]));
    assert_eq!(value(&file, 1, "tags"), Value::Null);
    assert!(file.column_chunks().is_empty());
}

#[test]
fn parquet_block_of_zvec() {
    let file = open(PARQUET).unwrap();
    assert_eq!((file.encoding(), file.rows(), file.faults().len()), (Encoding::Parquet, Some(80), 0));
    assert_eq!(file.columns()[4].column_type, ColumnType { scalar: ScalarType::String, array: true });
    assert_eq!(value(&file, 0, "title"), Value::Null);
    assert_eq!(value(&file, 1, "title"), Value::Bytes("title 1 ä".into()));
    assert_eq!(value(&file, 1, "tags"), Value::ByteStrings(vec![b"t1".to_vec(), b"all".to_vec()]));
    assert_eq!(value(&file, 4, "year"), Value::I32(1954));
    let info = &file.batch_infos()[0];
    assert_eq!((info.offset, info.length, info.rows), (4, 3566, Some(80)));
    let chunks = file.column_chunks();
    assert_eq!(chunks.len(), 5);
    assert!(chunks.iter().all(|chunk| chunk.fault.is_none() && chunk.pages[0].dictionary));
    let end = |chunk: &ColumnChunk| chunk.pages.last().map(|page| page.offset + page.header + page.length);
    assert!(chunks.iter().all(|chunk| end(chunk) == Some(chunk.offset + chunk.length)));
}

#[test]
fn an_arrow_block_without_footer_is_read_from_the_front() {
    // Left by a zvec that was killed while it compacted: one batch, no footer.
    let file = open(UNFINISHED).unwrap();
    assert_eq!(file.faults().iter().map(|fault| fault.code).collect::<Vec<_>>(), ["forward.no-footer"]);
    assert_eq!((file.rows(), file.columns().len()), (Some(40), 3));
    assert_eq!(value(&file, 39, UID_COLUMN), Value::Bytes(b"doc_00039".to_vec()));

    // The same of a whole file whose footer is cut off, and of one whose last batch is cut too.
    let bytes = write_ipc(&[rows(0, 50), rows(50, 50)]);
    let whole = open(&bytes).unwrap();
    let second = &whole.batch_infos()[1];
    let cut = open(&bytes[..(second.offset + second.length) as usize]).unwrap();
    assert_eq!(cut.batch_infos(), whole.batch_infos());
    let cut = open(&bytes[..(second.offset + second.length - 1) as usize]).unwrap();
    assert_eq!((cut.rows(), cut.batch_infos().len()), (Some(50), 1));
    let codes: Vec<_> = cut.faults().iter().map(|fault| (fault.code, fault.offset)).collect();
    assert_eq!(codes[1], ("forward.truncated", second.offset));
}

#[test]
fn a_damaged_arrow_batch_costs_only_itself() {
    let mut bytes = write_ipc(&[rows(0, 50), rows(50, 60), rows(110, 70)]);
    let infos = open(&bytes).unwrap().batch_infos().to_vec();
    // Not UTF-8 any more.
    let at = position(&bytes, b"doc_00077");
    bytes[at] = 0xff;
    let file = open(&bytes).unwrap();
    let read: Vec<Batch> = file.batches(None).collect();
    assert_eq!(read.iter().map(|batch| batch.first_row).collect::<Vec<_>>(), [Some(0), Some(50), Some(110)]);
    assert_eq!(*read[0].records.as_ref().unwrap(), rows(0, 50));
    assert_eq!(*read[2].records.as_ref().unwrap(), rows(110, 70));
    let error = read[1].records.as_ref().unwrap_err();
    assert_eq!((error.code, error.offset), ("forward.undecodable", infos[1].offset));
    assert!(error.detail.starts_with("batch 1, column _zvec_uid_: "), "{}", error.detail);
    assert_eq!(file.read_batch(1, Some(&[3, 0])).unwrap(), rows(50, 60).project(&[3, 0]).unwrap());

    // Without its header the batch has no known length, and the next no known first row.
    let header = infos[1].offset as usize + 8;
    bytes[header..header + 4].copy_from_slice(&[0xff; 4]);
    let file = open(&bytes).unwrap();
    let infos = file.batch_infos();
    assert_eq!((infos[1].rows, infos[2].first_row, infos[2].rows), (None, None, Some(70)));
    assert_eq!(infos[1].fault.as_ref().unwrap().code, "forward.bad-message");
    assert_eq!(file.rows(), None);
    assert_eq!(file.batches(None).filter(|batch| batch.records.is_ok()).count(), 2);
}

#[test]
fn a_damaged_footer_entry_costs_only_its_batch() {
    let good = write_ipc(&[rows(0, 50), rows(50, 60), rows(110, 70)]);
    let infos = open(&good).unwrap().batch_infos().to_vec();
    let place = good.windows(8).rposition(|window| window == infos[1].offset.to_le_bytes()).unwrap();
    // Far beyond the file, and onto the last batch's body: neither may hide the last batch.
    for offset in [1u64 << 40, infos[2].offset + 64] {
        let mut bytes = good.clone();
        bytes[place..place + 8].copy_from_slice(&offset.to_le_bytes());
        let file = open(&bytes).unwrap();
        assert!(file.batch_infos()[1].fault.is_some());
        assert_eq!(file.read_batch(0, None).unwrap(), rows(0, 50));
        assert_eq!(file.read_batch(2, None).unwrap(), rows(110, 70));
    }
}

#[test]
fn hostile_arrow_numbers_end_as_errors() {
    let good = write_ipc(&[rows(0, 50)]);
    let info = open(&good).unwrap().batch_infos()[0].clone();
    let mut footer = good.clone();
    let at = footer.len() - 10;
    footer[at..at + 4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    let file = open(&footer).unwrap();
    assert_eq!((file.faults()[0].code, file.rows()), ("forward.bad-footer", Some(50)));

    // The footer's place for the batch: body of 2^62 bytes.
    let block = [&info.offset.to_le_bytes()[..], &[0; 0]].concat();
    let footer_at = good.len() - 10 - u32::from_le_bytes(good[at..at + 4].try_into().unwrap()) as usize;
    let place = footer_at + position(&good[footer_at..], &block);
    let mut body = good.clone();
    body[place + 16..place + 24].copy_from_slice(&(1u64 << 62).to_le_bytes());
    let file = open(&body).unwrap();
    let fault = file.batch_infos()[0].fault.clone().unwrap();
    assert_eq!((fault.code, fault.offset), ("forward.bad-block", info.offset));
    assert!(file.read_batch(0, None).is_err());

    // The number of rows in the message.
    let header = &good[info.offset as usize..][..info.length as usize];
    let mut length = good.clone();
    let place = info.offset as usize + position(header, &50u64.to_le_bytes());
    length[place..place + 8].copy_from_slice(&(1u64 << 60).to_le_bytes());
    assert_eq!(open(&length).unwrap().batch_infos()[0].fault.as_ref().unwrap().code, "forward.bad-message");
    assert_eq!(open(&length).unwrap().read_batch(0, None).unwrap_err().code, "forward.bad-message");

    assert_eq!(open(&good).unwrap().read_batch(1, None).unwrap_err().code, "forward.no-such-batch");
    assert_eq!(open(&good).unwrap().read_batch(0, Some(&[4])).unwrap_err().code, "forward.no-such-column");
}

#[test]
fn a_large_parquet_block_streams_in_batches() {
    let all = rows(0, 10_000);
    let file = open(&write_parquet(&all, WriterProperties::default())).unwrap();
    let read: Vec<Batch> = file.batches(None).collect();
    assert_eq!(read.iter().map(|batch| batch.first_row).collect::<Vec<_>>(), [Some(0), Some(4096), Some(8192)]);
    for batch in &read {
        let records = batch.records.as_ref().unwrap();
        let first = batch.first_row.unwrap();
        for (found, expected) in records.columns().iter().zip(rows(first, records.num_rows() as u64).columns()) {
            for row in 0..records.num_rows() {
                assert_eq!(value_at(found.as_ref(), row).unwrap(), value_at(expected.as_ref(), row).unwrap());
            }
        }
    }
    assert_eq!(file.rows(), Some(10_000));
    let last = file.read_batch(2, Some(&[2, 0])).unwrap();
    assert_eq!((last.num_rows(), last.schema().field(0).name().as_str()), (1808, "size"));
    assert_eq!(value_at(last.column(1).as_ref(), 0).unwrap(), Value::U64(8192));
    assert_eq!(file.read_batch(3, None).unwrap_err().code, "forward.no-such-batch");
}

#[test]
fn a_damaged_parquet_column_leaves_the_others() {
    let good = write_parquet(&rows(0, 5000), WriterProperties::builder().set_dictionary_enabled(false).build());
    let file = open(&good).unwrap();
    let uid = file.column_chunks()[1].clone();

    let mut text = good.clone();
    let at = position(&text, b"doc_04500");
    text[at] = 0xff;
    let file = open(&text).unwrap();
    let read: Vec<Batch> = file.batches(None).collect();
    let error = [&read[0], &read[1]].into_iter().find_map(|batch| batch.records.as_ref().err()).unwrap();
    assert_eq!((error.code, error.offset), ("forward.undecodable", file.column_chunks()[0].offset));
    assert!(error.detail.contains("column _zvec_uid_:"), "{}", error.detail);
    assert!(file.batches(Some(&[0, 2, 3])).all(|batch| batch.records.is_ok()));

    let mut header = good.clone();
    header[uid.offset as usize] = 0xff;
    let file = open(&header).unwrap();
    assert!(file.column_chunks()[1].fault.is_some());
    let error = file.read_batch(0, None).unwrap_err();
    assert!(error.detail.contains("batch 0, column _zvec_uid_:"), "{}", error.detail);
    assert_eq!(file.read_batch(0, Some(&[0])).unwrap().num_rows(), 4096);
}

#[test]
fn unusual_parquet_is_refused_before_it_costs_memory() {
    let snappy = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let file = open(&write_parquet(&rows(0, 50), snappy)).unwrap();
    let error = file.read_batch(0, None).unwrap_err();
    assert_eq!((error.code, error.kind), ("forward.compressed", Kind::Unsupported));

    let delta = parquet::basic::Encoding::DELTA_BINARY_PACKED;
    let encoded = WriterProperties::builder().set_dictionary_enabled(false).set_encoding(delta).build();
    let ids = rows(0, 50).project(&[0]).unwrap();
    assert_eq!(
        open(&write_parquet(&ids, encoded)).unwrap().read_batch(0, None).unwrap_err().code,
        "forward.unknown-encoding"
    );

    // 5000 times one string of 200 KB in a file of little more than 200 KB.
    let long = "x".repeat(200_000);
    let column: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(long.as_str(), 5000)));
    let bomb = RecordBatch::try_from_iter([("text", column)]).unwrap();
    let bytes = write_parquet(&bomb, WriterProperties::default());
    assert!(bytes.len() < 1 << 20, "{}", bytes.len());
    assert_eq!(open(&bytes).unwrap().read_batch(0, None).unwrap_err().code, "forward.too-large");

    // The same string once among many short ones is as legal as can be.
    let mixed = std::iter::once(long.as_str()).chain(std::iter::repeat_n("short", 4999));
    let column: ArrayRef = Arc::new(StringArray::from_iter_values(mixed));
    let batch = RecordBatch::try_from_iter([("text", column)]).unwrap();
    let file = open(&write_parquet(&batch, WriterProperties::default())).unwrap();
    assert_eq!(file.batches(None).map(|batch| batch.records.unwrap().num_rows()).sum::<usize>(), 5000);
}

#[test]
fn a_parquet_schema_of_another_shape_is_refused() {
    let tail = |footer: &[u8]| {
        let mut bytes = b"PAR1".to_vec();
        bytes.extend(footer);
        bytes.extend((footer.len() as u32).to_le_bytes());
        bytes.extend(b"PAR1");
        open(&bytes).err().unwrap()
    };
    // version 1; schema: a root with 2^31 - 1 children; no rows, no row groups.
    let root = [0x48, 1, b'r', 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0];
    let footer = [&[0x15, 2, 0x19, 0x1c][..], &root, &[0x16, 0, 0x19, 0x0c, 0]].concat();
    assert_eq!(tail(&footer).code, "forward.bad-schema");
    // A chain of groups, each the only child of the one before.
    let chain: Vec<u8> = std::iter::repeat_n([0x35, 0, 0x18, 1, b'g', 0x15, 2, 0], 2000).flatten().collect();
    let footer = [&[0x15, 2, 0x19, 0xfc, 0xd0, 0x0f][..], &chain, &[0x16, 0, 0x19, 0x0c, 0]].concat();
    assert_eq!(tail(&footer).code, "forward.bad-schema");
    assert_eq!(tail(&[0xff; 40]).code, "forward.bad-thrift");
}

#[test]
fn types_that_zvec_never_writes_are_refused() {
    let dictionary: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    let batch = RecordBatch::try_from_iter([("c", Arc::new(dictionary) as ArrayRef)]).unwrap();
    let error = open(&write_ipc(std::slice::from_ref(&batch))).err().unwrap();
    assert_eq!((error.code, error.kind), ("forward.unknown-type", Kind::Unsupported));
    let column: ArrayRef = Arc::new(arrow_array::Date32Array::from(vec![1, 2]));
    let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
    assert_eq!(open(&write_parquet(&batch, WriterProperties::default())).err().unwrap().code, "forward.unknown-type");
}

#[test]
fn the_magic_tells_the_format() {
    let empty = open(&[]).err().unwrap();
    assert_eq!((empty.code, empty.kind), ("forward.truncated", Kind::Truncated));
    assert_eq!(open(b"PAR1").err().unwrap().code, "forward.truncated");
    let stranger = ForwardFile::open(Arc::new(b"hello, world".to_vec()), Encoding::Parquet).err().unwrap();
    assert_eq!(stranger.code, "forward.bad-magic");
    assert!(stranger.detail.contains("Parquet"), "{}", stranger.detail);
    for good in [IPC, PARQUET] {
        let mut bytes = good.to_vec();
        bytes[0] = b'?';
        let file = open(&bytes).unwrap();
        assert_eq!((file.faults()[0].code, file.faults()[0].offset), ("forward.bad-magic", 0));
        assert!(file.batches(None).all(|batch| batch.records.is_ok()));
    }
    assert_eq!(open(&PARQUET[..PARQUET.len() - 1]).err().unwrap().code, "forward.no-footer");
}

/// Counts the bytes asked for, and remembers the largest read.
struct Counting(Vec<u8>, AtomicU64, AtomicU64);

impl Source for Counting {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), crate::format::SourceError> {
        self.1.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.2.fetch_max(buf.len() as u64, Ordering::Relaxed);
        self.0.read_exact_at(offset, buf)
    }
}

#[test]
fn reading_takes_one_batch_at_a_time() {
    let batches: Vec<RecordBatch> = (0..40).map(|i| rows(i * 500, 500)).collect();
    let source = Arc::new(Counting(write_ipc(&batches), AtomicU64::new(0), AtomicU64::new(0)));
    let file = ForwardFile::open(source.clone(), Encoding::Ipc).unwrap();
    let opened = source.1.load(Ordering::Relaxed);
    assert!(opened * 4 < source.size(), "opening read {opened} of {}", source.size());
    file.read_batch(20, None).unwrap();
    let length = file.batch_infos()[20].length;
    assert!(source.1.load(Ordering::Relaxed) - opened <= 2 * length);
    assert!(source.2.load(Ordering::Relaxed) <= length.max(file.batch_infos()[0].offset * 8));

    let plain = WriterProperties::builder().set_dictionary_enabled(false).set_data_page_size_limit(4096).build();
    let source = Arc::new(Counting(write_parquet(&rows(0, 20_000), plain), AtomicU64::new(0), AtomicU64::new(0)));
    let file = ForwardFile::open(source.clone(), Encoding::Parquet).unwrap();
    assert!(file.batches(None).all(|batch| batch.records.is_ok()));
    let largest = source.2.load(Ordering::Relaxed);
    assert!(largest * 4 < source.size(), "a read of {largest} of {}", source.size());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn mutated_blocks_never_panic(
        parquet: bool,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        keep in 1000usize..5000,
    ) {
        let mut bytes = if parquet { PARQUET.to_vec() } else { IPC.to_vec() };
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if keep % 4 == 0 { bytes.truncate(keep); }
        if let Ok(file) = open(&bytes) {
            for batch in file.batches(None) {
                let Ok(records) = batch.records else { continue };
                for column in records.columns() {
                    for row in 0..column.len() {
                        let _ = value_at(column.as_ref(), row);
                    }
                }
            }
        }
    }
}
