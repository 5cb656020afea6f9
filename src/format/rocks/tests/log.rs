//! Record logs, whole and damaged.

use crate::format::checksum::masked_crc32c;
use crate::format::rocks::log::LogReader;
use crate::format::{FormatError, Kind};

/// Appends `data` as a record to `log`, whose length so far places them in blocks.
pub(super) fn append_record(log: &mut Vec<u8>, data: &[u8], log_number: Option<u32>) {
    let header = if log_number.is_some() { 11 } else { 7 };
    let mut rest = data;
    let mut first = true;
    loop {
        let room = 32768 - log.len() % 32768;
        if room < header {
            log.resize(log.len() + room, 0);
            continue;
        }
        let (now, later) = rest.split_at(rest.len().min(room - header));
        let kind = match (first, later.is_empty()) {
            (true, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
            (false, true) => 4,
        };
        let kind = if log_number.is_some() { kind + 4 } else { kind };
        let mut covered = vec![kind];
        covered.extend(log_number.into_iter().flat_map(u32::to_le_bytes));
        covered.extend_from_slice(now);
        log.extend_from_slice(&masked_crc32c(&[&covered]).to_le_bytes());
        log.extend_from_slice(&(now.len() as u16).to_le_bytes());
        log.extend_from_slice(&covered);
        if later.is_empty() {
            return;
        }
        (rest, first) = (later, false);
    }
}

fn read(log: Vec<u8>, number: Option<u64>) -> (Vec<Vec<u8>>, Vec<FormatError>) {
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    for item in LogReader::new(log, number) {
        match item {
            Ok(record) => records.push(record.data),
            Err(error) => faults.push(error),
        }
    }
    (records, faults)
}

fn sample(sizes: &[usize], number: Option<u32>) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut log = Vec::new();
    let records: Vec<Vec<u8>> = sizes.iter().zip(1u8..).map(|(size, fill)| vec![fill; *size]).collect();
    records.iter().for_each(|record| append_record(&mut log, record, number));
    (log, records)
}

#[test]
fn records_of_any_size_in_both_formats() {
    for number in [None, Some(77)] {
        let (log, records) = sample(&[0, 5, 32768 - 7 - 12 - 7 - 3, 100_000, 1, 32761, 7], number);
        let (read, faults) = read(log, number.map(u64::from));
        assert_eq!((read, faults), (records, vec![]));
    }
}

#[test]
fn records_of_a_former_life_end_a_recycled_log() {
    let (mut log, records) = sample(&[10, 20], Some(9));
    append_record(&mut log, b"old", Some(4));
    append_record(&mut log, b"older", Some(9));
    assert_eq!(read(log, Some(9)), (records, vec![]));
}

/// The new life of a recycled file ended in the middle of an old record.
#[test]
fn any_bytes_end_a_recycled_log_unless_more_of_it_follows() {
    let (mut log, mut records) = sample(&[10, 20], Some(9));
    let end = log.len();
    log.extend_from_slice(&[0xa5; 300]);
    assert_eq!(read(log, Some(9)), (records.clone(), vec![]));
    let (mut log, _) = sample(&[10, 20, 30], Some(9));
    log[end + 15] ^= 1;
    assert_eq!(read(log.clone(), Some(9)), (records.clone(), vec![]));
    append_record(&mut log, b"more", Some(9));
    records.push(b"more".to_vec());
    let (read, faults) = read(log, Some(9));
    assert_eq!((read, faults.len(), faults[0].code), (records, 1, "rocks-log.crc-mismatch"));
    assert_eq!(faults[0].offset as usize, end);
}

#[test]
fn a_flipped_bit_costs_one_record() {
    let (mut log, records) = sample(&[10, 20, 30], None);
    log[17 + 7 + 3] ^= 1;
    let (read, faults) = read(log, None);
    assert_eq!(read, [records[0].clone(), records[2].clone()]);
    assert_eq!((faults[0].code, faults[0].offset, faults.len()), ("rocks-log.crc-mismatch", 17, 1));
    assert!(faults[0].detail.contains("resumes at 44 (27 bytes"), "{}", faults[0].detail);
}

#[test]
fn a_false_length_or_type_costs_nothing() {
    let (log, records) = sample(&[10, 20, 40_000, 50], None);
    for (at, value) in [(17 + 4, 99), (17 + 5, 0xff), (17 + 6, 5), (log.len() - 57 + 5, 1), (log.len() - 57 + 6, 6)] {
        let mut damaged = log.clone();
        damaged[at] = value;
        let (read, faults) = read(damaged, None);
        assert_eq!((read, faults.len(), faults[0].code), (records.clone(), 1, "rocks-log.bad-header"), "{at}");
    }
}

#[test]
fn a_lost_fragment_costs_its_record() {
    let (mut log, records) = sample(&[10, 20, 40_000, 50], None);
    log[100] ^= 1;
    let mut reader = LogReader::new(log, None);
    let items: Vec<_> = reader.by_ref().collect();
    let codes: Vec<_> = items.iter().filter_map(|item| Some(item.as_ref().err()?.code)).collect();
    assert_eq!(codes, ["rocks-log.crc-mismatch", "rocks-log.no-beginning"]);
    let kept: Vec<_> = items.into_iter().flatten().map(|record| record.data).collect();
    assert_eq!(kept, [records[0].clone(), records[1].clone(), records[3].clone()]);
    assert_eq!(reader.skipped() as usize, 40_000 + 7, "the data, and the header in the first block");
}

#[test]
fn every_cut_is_a_torn_tail_or_clean() {
    let (log, records) = sample(&[10, 20, 40_000], None);
    for cut in (0..log.len()).filter(|cut| *cut < 60 || cut % 7919 == 0 || (32_755..32_785).contains(cut)) {
        let (read, faults) = read(log[..cut].to_vec(), None);
        assert_eq!(read, records[..read.len()]);
        let clean = [0, 17, 44].contains(&cut);
        assert_eq!(faults.len(), usize::from(!clean), "cut at {cut}: {faults:?}");
        assert!(faults.iter().all(|f| f.code == "rocks-log.torn-tail" && f.kind == Kind::Truncated));
    }
}

#[test]
fn zeros_are_an_end_but_not_a_middle() {
    let (mut log, mut records) = sample(&[10], None);
    log.resize(70_000, 0);
    assert_eq!(read(log.clone(), None), (records.clone(), vec![]));
    log.resize(98_304, 0);
    append_record(&mut log, b"more", None);
    records.push(b"more".to_vec());
    let (read, faults) = read(log, None);
    assert_eq!((read, faults.len(), faults[0].code, faults[0].offset), (records, 1, "rocks-log.zeros", 17));
}

#[test]
fn compressed_and_newer_records_are_not_damage() {
    for (kind, expected) in [(9, Kind::Unsupported), (12, Kind::Newer)] {
        let mut log = masked_crc32c(&[&[kind, 7, 0, 0, 0]]).to_le_bytes().to_vec();
        log.extend_from_slice(&[4, 0, kind, 7, 0, 0, 0]);
        let (_, faults) = read(log, None);
        assert_eq!((faults.len(), faults[0].kind), (1, expected));
    }
}

proptest::proptest! {
    #[test]
    fn never_panics_and_ends(
        sizes in proptest::collection::vec(0usize..9000, 1..12),
        flips in proptest::collection::vec((0usize..60_000, 0u8..8), 0..6),
        cut in 0usize..60_000,
    ) {
        let (mut log, _) = sample(&sizes, None);
        let length = log.len();
        for (at, bit) in flips {
            log[at % length] ^= 1 << bit;
        }
        log.truncate(cut.max(1));
        let items = LogReader::new(log.clone(), Some(3)).count();
        proptest::prop_assert!(items <= log.len() / 7 * 2 + 4);
    }
}

/// Nothing but faults: what they take is bounded, and the file is not believed.
#[test]
fn the_faults_of_a_manifest_of_garbage_are_bounded() {
    let manifest = crate::format::rocks::version::Manifest::read(vec![0x5a; 1 << 20].as_slice());
    assert!(!manifest.faults.is_empty() && manifest.faults.len() <= crate::format::rocks::MOST_FAULTS);
    assert!(!manifest.is_complete());
}
