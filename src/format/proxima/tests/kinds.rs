use super::build::*;
use super::*;

fn keys(rows: u64) -> Vec<u64> {
    (0..rows).collect()
}

#[test]
fn flat_rows_over_several_segments() {
    for legacy in [false, true] {
        let mut keys = keys(175);
        keys[33] = u64::MAX;
        // Five blocks of 800 bytes fill a page, so that the sixth begins the second segment.
        let file = open(flat(&keys, legacy, 5));
        assert_eq!(file.faults, [], "legacy {legacy}");
        assert_eq!((file.kind, file.rows(), file.facts().legacy), (IndexKind::Flat, 175, legacy));
        let mut reader = file.reader();
        for key in (0..175).chain([3, 160, 0, 174]) {
            let expected = (key != 33).then(|| Value::F32s(vector(key)));
            assert_eq!(value(&file, key, &mut reader), expected);
        }
        assert_eq!(value(&file, 175, &mut reader), None, "trailing rows without vector are not stored");
        assert_eq!(value(&file, u64::MAX, &mut reader), None);
        let Layout::Flat(flat) = &file.layout else { panic!() };
        assert_eq!(flat.chain(file.source()).unwrap(), (6, vec![]));
    }
}

#[test]
fn flat_row_with_another_key_is_read_and_told() {
    let mut keys = keys(5);
    keys[2] = 9;
    let file = open(flat(&keys, false, 5));
    let row = file.read_row(2, &mut file.reader()).unwrap().unwrap();
    assert_eq!(row.fault.unwrap().code, "proxima.bad-key");
    assert!(matches!(row.value, RowValue::Vector(Vector { value: Value::F32s(values), .. }) if values == vector(2)));
}

/// As a process leaves it that dies before its first flush: rows in the blocks, counters zero.
#[test]
fn flat_rows_before_the_first_flush_are_counted_from_the_blocks() {
    let mut bytes = flat(&keys(40), false, 5);
    let meta = offset(&bytes, "flat.linear_meta");
    for field in [24, 64 + 4, 64 + 28] {
        put(&mut bytes, meta + field, &[0; 4]);
    }
    put(&mut bytes, meta + 72, &[0; 8]);
    let file = open(bytes);
    assert_eq!(codes(&file.faults), ["flat.stale-counters"]);
    assert_eq!((file.rows(), file.facts().stored_rows), (40, 0));
    assert_eq!(value(&file, 39, &mut file.reader()), Some(Value::F32s(vector(39))));
}

#[test]
fn flat_damage_is_told_and_the_rows_stay_readable() {
    let good = flat(&keys(100), false, 5);
    let (meta, features) = (offset(&good, "flat.linear_meta"), offset(&good, "flat.features1"));
    let change = |at: usize, value: &[u8]| {
        let mut bytes = good.clone();
        put(&mut bytes, at, value);
        let file = open(bytes);
        assert_eq!(value_of_99(&file), Some(Value::F32s(vector(99))));
        codes(&file.faults)
    };
    let last_count = features + 4 * 800 - 4;
    assert_eq!(change(meta + 68, &[101]), ["flat.bad-row-count"]);
    assert_eq!(change(meta + 92, &[5]), ["flat.bad-block-count"]);
    assert_eq!(change(meta + 88, &[0; 4]), ["flat.bad-meta"], "block size");
    assert_eq!(change(meta + 24, &[9]), ["flat.bad-meta"], "segments");
    assert_eq!(change(last_count, &[33]), ["flat.bad-block"]);
    assert_eq!(change(last_count, &[3]).len(), 1, "fewer rows than announced");
    assert_eq!(change(meta + 128, &[0]), ["flat.meta-differs", "index-meta.bad-header"], "the other copy serves");
}

fn value_of_99(file: &VectorFile<Vec<u8>>) -> Option<Value> {
    // A damaged count hides rows behind it; row 99 is asked for by position then.
    match file.rows() {
        100.. => value(file, 99, &mut file.reader()),
        rows => value(file, rows - 1, &mut file.reader()).map(|_| Value::F32s(vector(99))),
    }
}

/// zvec hangs on such a list.
#[test]
fn flat_list_with_a_cycle_ends() {
    let good = flat(&keys(100), false, 5);
    let (head, features) = (offset(&good, "flat.linear_list_head"), offset(&good, "flat.features1"));
    let chain = |at: usize, location: [u32; 2]| {
        let mut bytes = good.clone();
        put(&mut bytes, at, &words(&location));
        let file = open(bytes);
        assert_eq!(file.rows(), 100);
        let Layout::Flat(flat) = &file.layout else { panic!() };
        let (visited, faults) = flat.chain(file.source()).unwrap();
        (visited, codes(&faults))
    };
    assert_eq!(chain(features + 800 - 12, [1, 3]), (4, vec!["flat.bad-chain"]), "the oldest points to the newest");
    assert_eq!(chain(features + 1600 - 12, [1, 1]), (3, vec!["flat.bad-chain"]), "a block points to itself");
    assert_eq!(chain(head, [0, 0]), (0, vec!["flat.short-chain"]));
    assert_eq!(chain(head, [2, 0]), (0, vec!["flat.bad-chain"]));
    assert_eq!(chain(head, [u32::MAX, u32::MAX]), (0, vec!["flat.bad-chain"]));
}

#[test]
fn flat_sparse_rows() {
    let mut bytes = flat_sparse();
    let file = open(bytes.clone());
    assert_eq!((file.kind, file.faults.len(), file.rows()), (IndexKind::FlatSparse, 0, 3));
    let mut reader = file.reader();
    assert_eq!(value(&file, 0, &mut reader), Some(Value::SparseF32(vec![(1, 0.5), (7, -2.0)])));
    assert_eq!(value(&file, 1, &mut reader), None, "its place points into nowhere");
    assert_eq!(value(&file, 2, &mut reader), Some(Value::SparseF32(vec![])));
    let place = offset(&bytes, "bruteforce_sparse_streamer_offset_0");
    put(&mut bytes, place + 8, &u32::MAX.to_le_bytes());
    let file = open(bytes);
    assert_eq!(file.read_row(0, &mut file.reader()).unwrap_err().code, "sparse.bad-place");
    assert!(file.read_row(2, &mut file.reader()).unwrap().is_some());
}

#[test]
fn hnsw_rows_and_graph() {
    let file = open(hnsw(50, false));
    assert_eq!(file.faults, []);
    assert_eq!((file.kind, file.rows()), (IndexKind::Hnsw, 50));
    let mut reader = file.reader();
    for key in 0..50 {
        assert_eq!(value(&file, key, &mut reader), Some(Value::F32s(vector(key))));
    }
    let Layout::Graph(graph) = &file.layout else { panic!() };
    let source = file.source();
    let node = graph.node(source, 49, &mut Default::default()).unwrap();
    assert_eq!((node.key, node.degree, node.neighbours), (49, 1, vec![0]), "the stale slot is left out");
    let entries = graph.hash_entries(source, 0).unwrap();
    assert_eq!(entries.iter().map(|e| (e.node, e.level, e.index, e.slot)).collect::<Vec<_>>(), [(1, 1, 0, 1)]);
    let upper = graph.upper_neighbours(source, &entries[0], 1).unwrap();
    assert_eq!((upper.degree, upper.neighbours), (0, vec![]));
    assert_eq!(graph.upper_neighbours(source, &entries[0], 2).unwrap_err().code, "hnsw.bad-upper");
    let facts = file.facts();
    assert_eq!((facts.max_degree, facts.max_upper_degree, facts.entry_point), (Some(10), Some(5), Some(1)));
}

#[test]
fn hnsw_sparse_rows() {
    let file = open(hnsw(20, true));
    assert_eq!(file.faults, []);
    assert_eq!(file.kind, IndexKind::HnswSparse);
    let mut reader = file.reader();
    for key in 0..20 {
        assert_eq!(value(&file, key, &mut reader), Some(Value::SparseF32(vec![(1, key as f32), (7, 1.0)])));
    }
}

#[test]
fn hnsw_header_that_contradicts_the_nodes() {
    let good = hnsw(50, false);
    let header = offset(&good, "HnswT1S0");
    let open = |field: usize, value: u32| {
        let mut bytes = good.clone();
        put(&mut bytes, header + field, &value.to_le_bytes());
        VectorFile::open(bytes).map(|file| codes(&file.faults)).map_err(|error| error.code)
    };
    assert_eq!(open(12, 51), Ok(vec!["hnsw.bad-node-count"]));
    assert_eq!(open(4128 + 24, 50), Ok(vec!["hnsw.bad-entry-point"]));
    for size in [0, 1, 32, u32::MAX] {
        assert_eq!(open(20, size), Err("hnsw.bad-node-size"), "node size {size}");
        assert!(open(24, size).is_err(), "degree {size}");
    }
    assert_eq!(open(16, 20), Err("hnsw.bad-vector-size"), "zvec crashes on this");
    assert_eq!(open(0, 64), Err("hnsw.bad-header"));
    assert_eq!(open(4128 + 8, 7), Ok(vec!["hnsw.bad-chunk-size"]), "the sizes follow from the upper degree");
    assert!(open(4128 + 16, 500).unwrap().contains(&"hnsw.bad-hash-size"), "and from the scaling factor");
}

#[test]
fn derived_sizes_are_those_of_a_real_file() {
    // 0.8.0, dimension 48, m = 8, INT8: nodes of 160 bytes; its upper chunk and hash table start at 3710976 and 4153344 of the file.
    let bytes = words(&[4128, 0, 0, 150, 68, 160, 16, 0, 8, 40, 0, 0]);
    let mut bytes = padded(bytes, 4128);
    bytes.extend(padded(words(&[64, 0, 8, 0, 8, 2, 27, 0]), 64));
    let header = crate::format::proxima::graph_header::graph_header(&bytes, 0, hnsw::GraphKind::Hnsw).unwrap();
    let derived = crate::format::proxima::graph_header::derive(&header, 2 << 20).unwrap();
    assert_eq!((derived.nodes_per_chunk, derived.node_capacity), (16384, 3_710_976 - 1_089_536));
    assert_eq!((derived.upper_capacity, derived.hash_items * 8), (4_153_344 - 3_710_976, 524_288));
    assert_eq!((derived.upper_bits, derived.hash_bits), (14, 18));
}

#[test]
fn ivf_rows_by_key_from_both_block_layouts() {
    let file = open(ivf());
    assert_eq!(file.faults, []);
    let map = file.key_map().unwrap();
    assert_eq!((map.faults.len(), map.position(0), map.position(34), map.position(35)), (0, Some(34), Some(0), None));
    let mut reader = file.reader();
    for key in 0..35 {
        assert_eq!(value(&file, key, &mut reader), Some(Value::F32s(vector(key))), "{key}");
    }
    assert_eq!(value(&file, 35, &mut reader), None);
    let Layout::Ivf(ivf) = &file.layout else { panic!() };
    assert_eq!(ivf.inverted_lists.iter().map(|list| list.rows).collect::<Vec<_>>(), [32, 3]);
}

#[test]
fn ivf_rows_are_found_without_lists_and_mapping() {
    let mut bytes = ivf();
    let (lists, mapping) = (offset(&bytes, "ivf.inverted_meta"), offset(&bytes, "ivf.mapping"));
    put(&mut bytes, lists, &[0xff; 80]);
    put(&mut bytes, mapping, &[0xff; 8]);
    let file = open(bytes);
    assert_eq!(codes(&file.key_map().unwrap().faults), ["keys.bad-mapping"; 2]);
    let mut reader = file.reader();
    for key in 0..35 {
        assert_eq!(value(&file, key, &mut reader), Some(Value::F32s(vector(key))), "{key}");
    }
}

#[test]
fn ivf_damage_costs_single_rows() {
    let mut bytes = ivf();
    let (keys, offsets) = (offset(&bytes, "hc.keys"), offset(&bytes, "ivf.offsets"));
    put(&mut bytes, keys, &33u64.to_le_bytes());
    put(&mut bytes, keys + 16, &(1u64 << 50).to_le_bytes());
    put(&mut bytes, offsets + 8 * 5, &(1u64 << 40).to_le_bytes());
    let file = open(bytes);
    let faults = codes(&file.key_map().unwrap().faults);
    assert!(faults.contains(&"keys.duplicate"), "{faults:?}");
    let mut reader = file.reader();
    assert_eq!(file.read_row(34, &mut reader).unwrap(), None, "its key was overwritten");
    assert!(file.read_row(1 << 50, &mut reader).unwrap().is_some(), "a key out of range still leads to its row");
    assert_eq!(file.read_row(29, &mut reader).unwrap_err().code, "ivf.bad-offset");
    assert_eq!(value(&file, 28, &mut reader), Some(Value::F32s(vector(28))));
}

#[test]
fn diskann_rows_and_edges_in_both_layouts() {
    for large in [false, true] {
        let file = open(diskann(large));
        assert_eq!(file.faults, []);
        let mut reader = file.reader();
        for key in 0..5 {
            let Some(Value::F32s(found)) = value(&file, key, &mut reader) else { panic!() };
            assert_eq!(found[..4], vector(key));
            assert_eq!(found.len(), if large { 1100 } else { 4 });
        }
        let Layout::DiskAnn(diskann) = &file.layout else { panic!() };
        let edges = diskann.edges(file.source(), 4).unwrap();
        assert_eq!((edges.degree, edges.neighbours), (2, vec![0, 1]));
        assert_eq!(diskann.edges(file.source(), 5).unwrap_err().code, "diskann.bad-node");
    }
}

#[test]
fn rabitq_rows_are_codes() {
    let file = open(ivf_rabitq());
    assert_eq!(file.faults, []);
    let mut reader = file.reader();
    assert_eq!(value(&file, 0, &mut reader), Some(Value::Bytes(vec![4, 5, 6, 7])));
    assert_eq!(value(&file, 2, &mut reader), Some(Value::Bytes(vec![8, 9, 10, 11])));
    let Layout::IvfRabitq(ivf) = &file.layout else { panic!() };
    assert_eq!(ivf.cluster_table(file.source()).unwrap()[0].rows, 3);
}

#[test]
fn reader_of_another_file_starts_over() {
    let (one, two) = (open(flat(&keys(3), false, 5)), open(diskann(false)));
    let mut reader = one.reader();
    assert_eq!(value(&one, 1, &mut reader), Some(Value::F32s(vector(1))));
    assert_eq!(value(&two, 2, &mut reader), Some(Value::F32s(vector(2))));
    assert_eq!(value(&one, 2, &mut reader), Some(Value::F32s(vector(2))));
}

#[test]
fn walk_in_order_takes_few_reads() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Counting(Vec<u8>, AtomicUsize);
    impl Source for Counting {
        fn size(&self) -> u64 {
            self.0.size()
        }
        fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::result::Result<(), crate::format::SourceError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.read_exact_at(offset, buf)
        }
    }
    for (bytes, limit) in [(flat(&keys(640), false, 20), 60), (hnsw(640, false), 10)] {
        let file = VectorFile::open(Counting(bytes, AtomicUsize::new(0))).unwrap();
        file.source().1.store(0, Ordering::Relaxed);
        let mut reader = file.reader();
        for key in 0..640 {
            assert_eq!(value(&file, key, &mut reader), Some(Value::F32s(vector(key))));
        }
        assert!(file.source().1.load(Ordering::Relaxed) < limit, "{:?}: {:?} reads", file.kind, file.source().1);
    }
}
