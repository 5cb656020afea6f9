use proptest::{collection::vec, prelude::*};

use super::*;
use crate::format::{
    SourceError,
    document::{self, Op, WalDoc, tests::any_doc},
    value::Value,
};

const MIXED: &[u8] = include_bytes!("../testdata/wal/mixed.wal");
const SCALARS: &[u8] = include_bytes!("../testdata/wal/scalars.wal");
const VECTORS: &[u8] = include_bytes!("../testdata/wal/vectors.wal");

fn payload(name: &str) -> Vec<u8> {
    let fields = vec![("f".to_owned(), Value::Bytes(name.repeat(3).into_bytes()))];
    document::encode(&WalDoc { pk: name.into(), score: 0.0, doc_id: 0, op: Op::Insert, fields }).unwrap()
}

fn log(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = encode_header().to_vec();
    for payload in payloads {
        encode_record(payload, &mut bytes).unwrap();
    }
    bytes
}

fn read(bytes: &[u8]) -> (Vec<Record<'static>>, Scan) {
    let mut records = Vec::new();
    let scan = scan(bytes, |record| records.push(record.into_owned())).unwrap();
    (records, scan)
}

fn ranges(records: &[Record]) -> Vec<Range<u64>> {
    records.iter().map(|r| r.offset..r.payload_offset() + r.payload.len() as u64).collect()
}

#[test]
fn real_logs_come_back_byte_for_byte() {
    let expected = [(MIXED, 12), (SCALARS, 4), (VECTORS, 13)];
    for (bytes, count) in expected {
        let (records, scan) = read(bytes);
        assert_eq!((scan.records, scan.oversize, &scan.end, &scan.damage), (count, 0, &End::Clean, &vec![]));
        assert_eq!(scan.zvec, ZvecView::Replayed { records: count, stops_at: None });
        assert_eq!(scan.header, Header { version: 0, fault: None });
        let mut again = bytes[..64].to_vec();
        for record in &records {
            let doc = document::decode(&record.payload, record.payload_offset()).unwrap();
            encode_record(&document::encode(&doc).unwrap(), &mut again).unwrap();
        }
        assert_eq!(again, bytes);
    }
}

#[test]
fn a_real_log_holds_all_four_operations() {
    let docs: Vec<_> = read(MIXED).0.iter().map(|record| document::decode(&record.payload, 0).unwrap()).collect();
    let seen: Vec<_> =
        docs[3..9].iter().map(|doc| (std::str::from_utf8(&doc.pk).unwrap(), doc.op, doc.doc_id)).collect();
    let expected = [
        ("doc_00003", Op::Insert, 0),
        ("", Op::Delete, 40), // by filter: without its key
        ("doc_00086", Op::Delete, 103),
        ("doc_00010", Op::Update, 10),
        ("doc_00085", Op::Update, 102),
        ("doc_00082", Op::Upsert, 0),
    ];
    assert_eq!(seen, expected);
    assert!(docs[0].fields.contains(&("tags".to_owned(), Value::Null)));
}

#[test]
fn known_bytes() {
    let mut bytes = Vec::new();
    encode_record(b"123456789", &mut bytes).unwrap();
    assert_eq!(bytes, b"\x09\0\0\0\x20\xfa\xe3\x58123456789");
    assert_eq!(encode_record(b"", &mut bytes).unwrap_err().code, "wal.record-length");
    assert_eq!(encode_header(), [0; 64]);
}

#[test]
fn headers() {
    let fault = |bytes: &[u8]| {
        let error = Reader::new(bytes).unwrap_err();
        (error.code, error.kind)
    };
    assert_eq!(fault(b""), ("wal.empty", Kind::Truncated));
    assert_eq!(fault(&[0; 63]), ("wal.header-truncated", Kind::Truncated));
    let mut bytes = MIXED.to_vec();
    bytes[7] = 0x80;
    let (records, scan) = read(&bytes);
    assert_eq!(scan.header.fault.unwrap().code, "wal.version");
    assert_eq!((records.len(), scan.end, scan.zvec), (12, End::Clean, ZvecView::Refused));
    assert_eq!(read(&[0; 64]).1.end, End::Clean);
}

#[test]
fn a_small_version_is_newer_only_if_the_records_are_not_ours() {
    let mut bytes = MIXED.to_vec();
    bytes[0] = 1;
    assert_eq!(Reader::new(bytes.as_slice()).unwrap().header().fault.as_ref().unwrap().code, "wal.version");
    assert_eq!(read(&bytes).0.len(), 12, "a flipped bit of the version costs no record");
    bytes[68] ^= 1;
    let error = Reader::new(bytes.as_slice()).unwrap_err();
    assert_eq!((error.code, error.kind), ("wal.newer", Kind::Newer));
}

#[test]
fn a_log_cut_anywhere_has_a_torn_tail_and_no_damage() {
    let whole = ranges(&read(MIXED).0);
    for len in 64..MIXED.len() {
        let (records, scan) = read(&MIXED[..len]);
        let intact = whole.iter().filter(|range| range.end <= len as u64).count();
        assert_eq!((ranges(&records).as_slice(), scan.damage.len()), (&whole[..intact], 0));
        let torn_at = whole[..intact].last().map_or(64, |range| range.end);
        match scan.end {
            End::Clean => assert_eq!(torn_at, len as u64),
            End::TornTail(gap) => {
                assert_eq!(gap.range, torn_at..len as u64);
                assert_eq!((gap.end, gap.is_one_record()), (GapEnd::EndOfFile, false));
                assert_eq!(matches!(gap.fault, RecordFault::ShortFrame { .. }), len as u64 - torn_at < 8);
                assert_eq!(scan.zvec, ZvecView::Replayed { records: intact as u64, stops_at: Some(torn_at) });
            }
            End::GivenUp(gap) => panic!("{gap:?}"),
        }
    }
}

#[test]
fn a_flipped_bit_costs_one_record() {
    for bytes in [MIXED, VECTORS] {
        let whole = ranges(&read(bytes).0);
        for at in 64..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << (at % 8);
            let hit = whole.iter().position(|range| range.contains(&(at as u64))).unwrap();
            let (records, scan) = read(&damaged);
            let mut left = whole.clone();
            let lost = left.remove(hit);
            assert_eq!(ranges(&records), left, "bit {} of byte {at}", at % 8);
            assert_eq!(scan.zvec, ZvecView::Replayed { records: hit as u64, stops_at: Some(lost.start) });
            if hit + 1 < whole.len() {
                assert_eq!(scan.end, End::Clean);
                let [(gap, after)] = scan.damage.as_slice() else { panic!("one gap: {:?}", scan.damage) };
                assert_eq!((&gap.range, gap.end, *after), (&lost, GapEnd::Record, (whole.len() - hit - 1) as u64));
            } else {
                // Nothing follows: torn or damaged cannot be told apart, but a payload of the right length is suspicious.
                let End::TornTail(gap) = scan.end else { panic!("a torn tail: {:?}", scan.end) };
                assert_eq!(gap.range, lost);
                assert_eq!(gap.is_one_record(), at as u64 - lost.start >= 4);
            }
        }
    }
}

#[test]
fn zero_pages_are_no_records() {
    let mut bytes = MIXED.to_vec();
    bytes.extend([0; 4096]);
    let (records, scan) = read(&bytes);
    assert_eq!((records.len(), scan.damage.len()), (12, 0));
    let end = MIXED.len() as u64;
    let fault = RecordFault::ZeroLength { to_end: true };
    assert_eq!(scan.end, End::TornTail(Gap { range: end..end + 4096, fault, end: GapEnd::EndOfFile }));

    // A page lost in the middle.
    let resumed = bytes.len() as u64;
    encode_record(&payload("after"), &mut bytes).unwrap();
    let (records, scan) = read(&bytes);
    assert_eq!((records.len(), scan.end), (13, End::Clean));
    let fault = RecordFault::ZeroLength { to_end: false };
    assert_eq!(scan.damage, [(Gap { range: end..resumed, fault, end: GapEnd::Record }, 1)]);
}

#[test]
fn records_appended_behind_a_torn_tail_are_found() {
    // zvec 0.8.0 stops at a torn tail, then appends behind it: acknowledged documents that it never sees again.
    let mut bytes = log(&[payload("a"), payload("b")]);
    bytes.truncate(bytes.len() - 5);
    let torn = log(&[payload("a")]).len() as u64;
    let appended = bytes.len() as u64;
    bytes.extend_from_slice(&log(&[payload("c"), payload("d")])[64..]);
    bytes.extend(b"xyz");
    let (records, scan) = read(&bytes);
    assert_eq!(records.iter().map(|record| record.offset).take(2).collect::<Vec<_>>(), [64, appended]);
    assert_eq!((scan.records, scan.damage.len(), scan.damage[0].1), (3, 1, 2));
    assert_eq!(scan.damage[0].0.range, torn..appended);
    assert!(matches!(scan.end, End::TornTail(Gap { fault: RecordFault::ShortFrame { found: 3 }, .. })));
    assert_eq!(scan.zvec, ZvecView::Replayed { records: 1, stops_at: Some(torn) });
}

#[test]
fn a_record_longer_than_zvec_reads_is_read() {
    let fields = vec![("f".to_owned(), Value::Bytes(vec![7; 4 << 20]))];
    let long = WalDoc { pk: b"long".to_vec(), score: 0.0, doc_id: 0, op: Op::Insert, fields };
    let mut bytes = log(&[payload("a"), document::encode(&long).unwrap(), payload("b")]);
    let (records, scan) = read(&bytes);
    let oversize: Vec<_> = records.iter().map(Record::oversize).collect();
    assert_eq!((oversize.as_slice(), scan.oversize), ([false, true, false].as_slice(), 1));
    assert_eq!(
        (&scan.end, scan.zvec),
        (&End::Clean, ZvecView::Replayed { records: 1, stops_at: Some(records[1].offset) })
    );
    // Damaged, it is found out, and the next one is found.
    bytes[1 << 20] ^= 1;
    let (records, scan) = read(&bytes);
    assert_eq!((records.len(), scan.damage.len()), (2, 1));
    assert!(scan.damage[0].0.is_one_record());
}

#[test]
fn a_search_gives_up_at_its_bound() {
    // Every 32 bytes the look of a record of 64 KiB: empty pk, INSERT, one field.
    let mut bytes = vec![0; 64];
    for _ in 0..5_000 {
        bytes.extend(0x1_0000_u32.to_le_bytes());
        bytes.extend([0; 24]);
        bytes.extend(1_u32.to_le_bytes());
    }
    let mut budget = 1 << 20;
    let found = resync::search(&mut Window::new(bytes.as_slice()), 64, &mut budget).unwrap();
    assert_eq!(found, resync::Found::GivenUp);
    assert!(budget < 1 << 16);
    let mut budget = u64::MAX;
    let shorter = &bytes[..64 + (66 << 10)];
    let found = resync::search(&mut Window::new(shorter), 64, &mut budget).unwrap();
    assert_eq!(found, resync::Found::Nothing);
}

#[test]
fn a_source_that_fails_is_an_io_error() {
    struct Broken;
    impl Source for Broken {
        fn size(&self) -> u64 {
            1 << 20
        }
        fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), SourceError> {
            if offset > 0 {
                return Err(SourceError("bad sector".into()));
            }
            buf.fill(0);
            buf[64..68].copy_from_slice(&(1u32 << 19).to_le_bytes());
            Ok(())
        }
    }
    let mut reader = Reader::new(Broken).unwrap();
    let error = reader.next_entry().unwrap_err();
    assert_eq!((error.kind, error.detail.as_str()), (Kind::Io, "bad sector"));
}

proptest! {
    #[test]
    fn records_that_damage_does_not_touch_are_found(docs in vec(any_doc(), 1..8), at in any::<prop::sample::Index>(), garbage in vec(any::<u8>(), 1..100)) {
        let payloads: Vec<_> = docs.iter().map(|doc| document::encode(doc).unwrap()).collect();
        let mut bytes = log(&payloads);
        let whole = ranges(&read(&bytes).0);
        prop_assert_eq!(whole.len(), payloads.len());
        let from = 64 + at.index(bytes.len() - 64);
        let to = bytes.len().min(from + garbage.len());
        bytes[from..to].copy_from_slice(&garbage[..to - from]);
        let found = ranges(&read(&bytes).0);
        for range in whole {
            let touched = range.start < to as u64 && range.end > from as u64;
            prop_assert!(touched || found.contains(&range), "{:?} not in {:?}", range, found);
        }
    }

    #[test]
    fn random_bytes_do_not_panic_and_are_all_accounted_for(bytes in vec(prop_oneof![Just(0u8), any::<u8>()], 64..600)) {
        let mut bytes = bytes;
        bytes[..8].fill(0);
        let mut reader = Reader::new(bytes.as_slice()).unwrap();
        let mut position = HEADER_LEN;
        while let Some(entry) = reader.next_entry().unwrap() {
            let range = match entry {
                Entry::Record(record) => ranges(&[record])[0].clone(),
                Entry::Gap(gap) => gap.range,
            };
            prop_assert_eq!(range.start, position);
            prop_assert!(range.end > position);
            position = range.end;
        }
        prop_assert_eq!(position, bytes.len() as u64);
    }
}
