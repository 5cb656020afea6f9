//! Nothing that a file can contain makes a decoder panic, loop or take memory the file does not account for.

use proptest::prelude::*;

use super::build::*;
use super::*;

fn samples() -> Vec<Vec<u8>> {
    let keys: Vec<u64> = (0..70).collect();
    vec![
        flat(&keys, false, 5),
        flat(&keys, true, 5),
        flat_sparse(),
        hnsw(12, false),
        hnsw(12, true),
        ivf(),
        diskann(false),
        diskann(true),
        ivf_rabitq(),
    ]
}

/// Uses everything that reads.
fn exercise(bytes: &[u8]) {
    if let Ok(container) = Container::open(bytes) {
        assert!(container.faults.len() <= 256);
        for segment in &container.segments {
            let _ = container.check_segment(bytes, segment);
        }
        let _ = container.check_content(bytes);
    }
    let Ok(mut file) = VectorFile::open(bytes) else { return };
    let _ = file.facts();
    let source = file.source();
    match &file.layout {
        Layout::Flat(flat) => {
            let _ = flat.chain(source);
            let _ = flat.block_trailer(source, flat.blocks());
        }
        Layout::Graph(graph) => {
            let mut reader = Default::default();
            for node in 0..graph.rows.min(100) {
                let _ = graph.node(source, node, &mut reader);
                let _ = graph.distances(source, node, &mut reader);
            }
            for table in 0..graph.hash_tables.len() {
                for entry in graph.hash_entries(source, table).unwrap_or_default().iter().take(100) {
                    let _ = graph.upper_neighbours(source, entry, 1);
                    let _ = graph.upper_neighbours(source, entry, u32::MAX);
                }
            }
        }
        Layout::DiskAnn(diskann) => {
            for node in 0..diskann.rows.min(100) {
                let _ = diskann.edges(source, node);
            }
        }
        Layout::IvfRabitq(ivf) => drop(ivf.cluster_table(source)),
        Layout::FlatSparse(_) | Layout::Ivf(_) => {}
    }
    for rotation_trusted in [false, true] {
        if rotation_trusted {
            if file.rotation.is_none() {
                break;
            }
            file.trust_rotation();
        }
        let mut reader = file.reader();
        for key in (0..file.rows().min(100)).chain([file.rows(), u64::MAX]) {
            let _ = file.read_row(key, &mut reader);
            if let (Ok(record), Ok(encoding)) = (file.record(key, &mut reader), &file.encoding) {
                let _ = encoding.redundancy(record.bytes, record.offset);
            }
        }
    }
}

#[test]
fn samples_are_whole() {
    for bytes in samples() {
        assert_eq!(open(bytes).faults, []);
    }
}

/// Every byte of every header, one at a time, set to values that numbers like least.
#[test]
fn extreme_numbers_anywhere() {
    for mut bytes in samples() {
        let container = Container::open(&bytes).unwrap();
        let small = container.segments.iter().filter(|segment| segment.size < 300 || segment.name == "IndexMeta");
        let ranges = small.map(|segment| segment.offset as usize..(segment.end().min(segment.offset + 64)) as usize);
        let headers = container.segments.iter().map(|segment| {
            let from = segment.offset as usize;
            from..(from + 128).min(bytes.len())
        });
        let places: Vec<usize> = ranges.chain(headers).flatten().step_by(4).collect();
        for at in places {
            let end = (at + 4).min(bytes.len());
            let kept = bytes[at..end].to_vec();
            for value in [u32::MAX, 0, 0x8000_0000] {
                bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
                exercise(&bytes);
            }
            bytes[at..end].copy_from_slice(&kept);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn mutated_files(which in 0usize..9, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12), cut in any::<prop::sample::Index>(), sealed in any::<bool>()) {
        let mut bytes = samples().swap_remove(which);
        for (at, value) in changes {
            // Half of the changes go to the first pages, where the structure is.
            let at = at.index(bytes.len() * 2);
            let at = if at < bytes.len() { at } else { at % 12_288.min(bytes.len()) };
            bytes[at] = value;
        }
        if sealed {
            seal(&mut bytes);
        }
        exercise(&bytes);
        let end = cut.index(bytes.len());
        exercise(&bytes[..end]);
    }

    #[test]
    fn random_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        exercise(&bytes);
        if bytes.len() > 64 {
            put(&mut bytes, 16, &[64, 0, 128, 0]);
            exercise(&bytes);
        }
        let _ = IndexMeta::parse(&bytes, 0);
        let _ = Rotation::parse(&bytes, 0);
        let _ = sparse::Record::parse(&bytes, 0, 4);
    }
}
