use super::build::*;
use super::*;
use crate::format::Kind;

fn two() -> Vec<Part> {
    vec![part("a", vec![1; 10]), part("b", vec![2; 5000])]
}

#[test]
fn sections_segments_and_sizes_of_a_streamer_file() {
    let bytes = streamer(&[&two(), &[part("c", vec![3; 20])]]);
    let container = Container::open(&bytes).unwrap();
    assert_eq!(container.faults, []);
    assert_eq!(container.flavour, Flavour::Streamer);
    assert_eq!(container.sections.len(), 2);
    assert!(container.sections.iter().all(|section| section.table_crc.is_valid() && section.header_crc.is_valid()));
    let segments: Vec<_> =
        container.segments.iter().map(|s| (s.name.as_str(), s.offset, s.size, s.capacity(), s.section)).collect();
    assert_eq!(segments, [("a", 4096, 10, 4096, 0), ("b", 8192, 5000, 8192, 0), ("c", 20480, 20, 4096, 1)]);
    let c = container.segment("c").unwrap();
    assert_eq!(container.read(&bytes, c, 20, "x").unwrap(), [3; 20]);
    assert_eq!(container.check_segment(&bytes, c).unwrap(), None, "no CRC is stored");
    assert_eq!(container.check_content(&bytes).unwrap(), None);
}

#[test]
fn content_of_a_packed_file_is_checked_on_demand() {
    let mut bytes = packed(&[part("a", vec![1; 10]), part("b", vec![2; 50])]);
    let at = offset(&bytes, "b") + 3;
    bytes[at] ^= 1;
    let container = Container::open(&bytes).unwrap();
    assert_eq!((container.flavour, container.faults.len()), (Flavour::Packed, 0), "opening does not read the content");
    let check = |name| container.check_segment(&bytes, container.segment(name).unwrap()).unwrap().unwrap().is_valid();
    assert!(check("a"));
    assert!(!check("b"));
    assert!(!container.check_content(&bytes).unwrap().unwrap().is_valid());
}

/// zvec writes data sizes in place and refreshes the CRC on flush only: after a crash this is what a file looks like.
#[test]
fn stale_table_crc_is_a_fault_and_the_segments_are_read() {
    let mut bytes = streamer(&[&two()]);
    put(&mut bytes, 64 + 16, &11u64.to_le_bytes());
    put(&mut bytes, 64 + 24, &4085u64.to_le_bytes());
    let container = Container::open(&bytes).unwrap();
    assert_eq!(codes(&container.faults), ["proxima.table-crc"]);
    assert_eq!((container.faults[0].kind, container.faults[0].offset), (Kind::Checksum, 64));
    assert_eq!(container.segment("a").unwrap().size, 11);
}

#[test]
fn every_header_and_footer_bit_is_covered() {
    let good = streamer(&[&two()]);
    for at in (0..64).chain(4096 - 128..4096) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        assert!(Container::open(&bytes).map_or(true, |container| !container.faults.is_empty()), "byte {at}");
    }
}

#[test]
fn what_is_no_container_is_refused() {
    let code = |bytes: &[u8]| Container::open(bytes).unwrap_err().code;
    assert_eq!(code(&[]), "proxima.truncated");
    assert_eq!(code(&[0; 63]), "proxima.truncated");
    assert_eq!(code(&[0; 5000]), "proxima.bad-header");
    let good = streamer(&[&two()]);
    assert_eq!(code(&good[..2000]), "proxima.truncated");
    let mut table = good.clone();
    put(&mut table, 4096 - 128 + 16, &5000u32.to_le_bytes());
    assert_eq!(code(&table), "proxima.bad-table-size");
    let mut newer = good;
    newer[6] = 3;
    seal(&mut newer);
    let error = Container::open(&newer).unwrap_err();
    assert_eq!((error.code, error.kind), ("proxima.newer-version", Kind::Newer));
}

#[test]
fn cut_file_names_the_segments_that_are_cut() {
    let good = streamer(&[&two()]);
    let container = Container::open(&good[..9000]).unwrap();
    assert_eq!(codes(&container.faults), ["proxima.truncated", "proxima.segment-cut"]);
    assert_eq!(container.segments.len(), 2);
    let b = container.segment("b").unwrap();
    assert_eq!(container.read(&good[..9000], b, 5000, "x.cut").unwrap_err().code, "x.cut");
}

#[test]
fn contradictions_in_the_table_are_told() {
    let change = |offset: usize, value: u64| {
        let mut bytes = streamer(&[&two()]);
        put(&mut bytes, offset, &value.to_le_bytes());
        seal(&mut bytes);
        codes(&Container::open(&bytes).unwrap().faults)
    };
    assert!(change(64 + 32 + 8, 8192).contains(&"proxima.segment-gap"));
    assert!(change(64 + 32 + 16, 1 << 40).contains(&"proxima.segment-range"));
    assert!(change(64 + 32 + 16, u64::MAX).contains(&"proxima.segment-range"));
    assert!(change(64 + 32 + 8, u64::MAX).contains(&"proxima.segment-range"));
    assert!(change(64 + 24, 1).contains(&"proxima.segment-unaligned"));
    assert!(change(64, 1 << 20).contains(&"proxima.bad-segment-id"));
    assert!(change(64 + 32, 64).contains(&"proxima.duplicate-segment"));
    let count = u64::from(u32::MAX) | (TABLE as u64) << 32;
    assert!(change(4096 - 128 + 12, count).contains(&"proxima.bad-segment-count"));
    assert!(change(4096 - 128 + 24, 4096).contains(&"proxima.bad-content-size"));
    assert!(change(4096 - 8, 1).contains(&"proxima.bad-total-size"));
}

#[test]
fn section_chain_cannot_go_back() {
    for next in [0u64, 64, 4095, u64::MAX] {
        let mut bytes = streamer(&[&two()]);
        put(&mut bytes, 4096 - 16, &next.to_le_bytes());
        seal(&mut bytes);
        let container = Container::open(&bytes).unwrap();
        assert_eq!(container.sections.len(), 1);
        let expected: &[&str] = match next {
            0 => &[],
            u64::MAX => &["proxima.truncated"],
            _ => &["proxima.bad-next"],
        };
        assert_eq!(codes(&container.faults), expected, "{next}");
    }
}
