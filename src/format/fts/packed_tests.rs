use proptest::prelude::*;

use super::*;

const SHORT: &[u8] = include_bytes!("../testdata/fts/short.posting");
const LONG: &[u8] = include_bytes!("../testdata/fts/long.posting");

/// Values as one little-endian bit stream.
fn stream(values: &[u32], width: usize) -> Vec<u8> {
    let mut out = vec![0u8; (values.len() * width).div_ceil(8)];
    for (i, value) in values.iter().enumerate() {
        for bit in 0..width {
            if value >> bit & 1 == 1 {
                let at = i * width + bit;
                out[at / 8] |= 1 << (at % 8);
            }
        }
    }
    out
}

fn pack(values: &[u32], width: usize) -> Vec<u8> {
    if values.len() < FULL {
        return stream(values, width);
    }
    let lanes: Vec<Vec<u8>> =
        (0..4).map(|lane| stream(&values.iter().copied().skip(lane).step_by(4).collect::<Vec<_>>(), width)).collect();
    (0..width).flat_map(|word| lanes.iter().flat_map(move |lane| lane[4 * word..4 * word + 4].to_vec())).collect()
}

/// A posting of rows with frequency `row % 7 + 1` and length `row % 1000 + 1`.
fn write(rows: &[u32]) -> Vec<u8> {
    let chunks: Vec<&[u32]> = rows.chunks(FULL).collect();
    let mut out = Vec::new();
    for value in [MAGIC, 1, rows.len() as u32, chunks.len() as u32] {
        out.extend(value.to_le_bytes());
    }
    out.resize((16 + 12 * chunks.len()).next_multiple_of(16), 0);
    let mut previous = 0;
    for (i, chunk) in chunks.iter().enumerate() {
        let distances: Vec<u32> = chunk.iter().map(|row| row - std::mem::replace(&mut previous, *row)).collect();
        let frequencies: Vec<u32> = chunk.iter().map(|row| row % 7 + 1).collect();
        let lengths: Vec<u32> = chunk.iter().map(|row| row % 1000 + 1).collect();
        let score = 1.5f32 + i as f32;
        let entry = 16 + 12 * i;
        out[entry..entry + 4].copy_from_slice(&chunk.last().unwrap().to_le_bytes());
        let offset = out.len() as u32;
        out[entry + 4..entry + 8].copy_from_slice(&offset.to_le_bytes());
        out[entry + 8..entry + 12].copy_from_slice(&score.to_le_bytes());
        let lists = [distances, frequencies, lengths];
        let widths = lists.each_ref().map(|list| 32 - list.iter().max().unwrap().leading_zeros() as usize);
        out.extend(chunk[0].to_le_bytes());
        out.extend(widths.map(|width| width as u8));
        out.push(chunk.len() as u8);
        out.extend(score.to_le_bytes());
        out.extend([0; 4]);
        for (list, width) in lists.iter().zip(widths) {
            out.extend(pack(list, width));
        }
        out.resize(out.len().next_multiple_of(16), 0);
    }
    out
}

fn codes(posting: &PackedPosting) -> Vec<&'static str> {
    posting.faults.iter().map(|fault| fault.code).collect()
}

#[test]
fn short_posting_of_zvec() {
    let posting = PackedPosting::decode(SHORT, 0).unwrap();
    assert!(posting.faults.is_empty(), "{:?}", posting.faults);
    assert_eq!(posting.rows, [3, 36, 63, 82, 93, 95]);
    assert_eq!(posting.term_frequencies, [1; 6]);
    assert_eq!(posting.document_lengths, [6; 6]);
    assert_eq!((posting.blocks.len(), posting.blocks[0].last_row), (1, 95));
}

#[test]
fn long_posting_of_zvec() {
    let posting = PackedPosting::decode(LONG, 0).unwrap();
    assert!(posting.faults.is_empty(), "{:?}", posting.faults);
    assert_eq!((posting.rows.len(), posting.stored_rows), (266, 266));
    assert_eq!(posting.rows.iter().sum::<u32>(), 39_801);
    assert_eq!(posting.rows[..4], [1, 2, 3, 4]);
    assert_eq!(posting.document_lengths[..4], [32, 14, 25, 25]);
    assert_eq!(posting.document_lengths.iter().sum::<u32>(), 6430);
    assert_eq!(posting.blocks.iter().map(|block| block.entries).collect::<Vec<_>>(), [128, 128, 10]);
    assert_eq!(posting.blocks.iter().map(|block| block.last_row).collect::<Vec<_>>(), [143, 287, 299]);
}

#[test]
fn a_damaged_block_costs_only_itself() {
    let mut bytes = LONG.to_vec();
    let second = 0xe0;
    bytes[second + 4] = 33;
    let posting = PackedPosting::decode(&bytes, 1000).unwrap();
    assert_eq!(posting.faults[0].code, "packed.bad-width");
    assert_eq!(posting.faults[0].offset, 1000 + 0xe0 + 16);
    assert_eq!(posting.rows.len(), 128 + 10);
    assert_eq!(posting.rows.last(), Some(&299));
    assert!(codes(&posting).contains(&"packed.bad-count"));
}

#[test]
fn a_damaged_table_entry_costs_only_its_block() {
    let mut bytes = LONG.to_vec();
    bytes[16 + 12 + 7] = 0x40;
    let posting = PackedPosting::decode(&bytes, 0).unwrap();
    assert_eq!(codes(&posting), ["packed.bad-offset", "packed.truncated", "packed.bad-count"]);
    assert_eq!((posting.rows.len(), posting.rows.last()), (138, Some(&299)));
}

#[test]
fn every_stored_fact_is_checked() {
    for (at, byte, code) in [
        (8, 1, "packed.bad-count"),
        (16, 0, "packed.bad-last-row"),
        (20, 0x41, "packed.bad-offset"),
        (20, 0, "packed.bad-offset"),
        (24, 0, "packed.score-mismatch"),
        (0x40 + 7, 0, "packed.bad-entries"),
        (0x40 + 7, 129, "packed.bad-entries"),
        (0x40, 2, "packed.bad-first-row"),
        (0x40 + 12, 9, "packed.bad-reserved"),
        (0x40 + 16, 0xfe, "packed.order"),
        (4, 0, "packed.bad-version"),
    ] {
        let mut bytes = LONG.to_vec();
        bytes[at] = byte;
        let posting = PackedPosting::decode(&bytes, 0).unwrap();
        assert!(codes(&posting).contains(&code), "byte {at}: {:?}", posting.faults);
    }
    let mut long = SHORT.to_vec();
    long.push(0);
    assert_eq!(codes(&PackedPosting::decode(&long, 0).unwrap()), ["packed.bad-length"]);
    assert_eq!(PackedPosting::decode(&SHORT[..20], 0).unwrap_err().code, "packed.truncated");
    let mut newer = SHORT.to_vec();
    newer[4] = 2;
    assert_eq!(PackedPosting::decode(&newer, 0).unwrap_err().kind, crate::format::Kind::Newer);
    newer[0] = 0;
    assert_eq!(PackedPosting::decode(&newer, 0).unwrap_err().code, "packed.bad-magic");
}

#[test]
fn a_short_block_may_only_be_the_last() {
    let mut bytes = write(&(10..149).collect::<Vec<_>>());
    bytes[32 + 16 + 7] = 127;
    assert!(!PackedPosting::decode(&bytes, 0).unwrap().faults.is_empty());
}

proptest! {
    #[test]
    fn written_postings_read_back(rows in prop::collection::btree_set(any::<u32>(), 1..400)) {
        let rows: Vec<u32> = rows.into_iter().collect();
        let posting = PackedPosting::decode(&write(&rows), 0).unwrap();
        prop_assert!(posting.faults.is_empty(), "{:?}", posting.faults);
        prop_assert_eq!(&posting.term_frequencies, &rows.iter().map(|row| row % 7 + 1).collect::<Vec<_>>());
        prop_assert_eq!(&posting.document_lengths, &rows.iter().map(|row| row % 1000 + 1).collect::<Vec<_>>());
        prop_assert_eq!(posting.rows, rows);
    }

    #[test]
    fn mutated_postings_never_panic(edits in prop::collection::vec((0usize..420, any::<u8>()), 1..6), keep in 0usize..500) {
        let mut bytes = LONG.to_vec();
        for (at, byte) in edits { if let Some(slot) = bytes.get_mut(at) { *slot = byte; } }
        bytes.truncate(keep);
        if let Ok(posting) = PackedPosting::decode(&bytes, 0) {
            prop_assert!(posting.rows.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(posting.rows.len(), posting.term_frequencies.len());
            prop_assert_eq!(posting.rows.len(), posting.document_lengths.len());
        }
    }
}
