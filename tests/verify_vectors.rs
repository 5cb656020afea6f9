//! The checks of vector files: silent on everything that zvec left intact, and loud about every wound and flipped bit that any check can find.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use support::{Fixture, fixture};
use zvecctl::{
    format::{
        manifest::{proto::BlockType, row_count},
        proxima::{Codec, DataType, VectorFile},
    },
    inspect::{
        Findings, View,
        deleted::Deleted,
        documents::{Fields, segment_doc_ids},
    },
    report::{Finding, Loss, Severity},
    verify::{
        Context, Level,
        vectors::{ColumnRows, check_column},
    },
    vfs::ReadOnlyFs,
};

fn check(collection: &Path, level: Level) -> Vec<Finding> {
    check_columns(collection, level, &|_| true)
}

fn check_columns(collection: &Path, level: Level, wanted: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let view = View::open(Arc::new(ReadOnlyFs), collection).unwrap();
    let Ok((_, manifest)) = view.manifest() else { return Vec::new() };
    let ctx = Context::new(&view, manifest, level);
    let snapshot = Deleted::load(&view, manifest).ids();
    let (fields, _) = Fields::of(manifest);
    for segment in view.segments().unwrap() {
        let mut ids = BTreeMap::new();
        let rows = row_count(segment.meta);
        let quiet = Findings::default();
        segment_doc_ids(&view, segment, 0, rows, &quiet, &mut |row, id| {
            ids.insert(row, id);
        });
        let deleted = |row: u64| ids.get(&row).map(|id| snapshot.contains(*id));
        for field in fields.vectors.iter().filter(|field| wanted(&field.name)) {
            let schema = manifest.schema.as_ref().unwrap();
            let declared = schema.fields.iter().find(|declared| declared.name == field.name).unwrap();
            check_column(&ctx, segment, &field.name, &ColumnRows { field: declared, deleted: &deleted });
        }
    }
    ctx.findings.list()
}

fn errors(findings: &[Finding]) -> BTreeSet<&str> {
    findings.iter().filter(|found| found.severity == Severity::Error).map(|found| found.code.as_str()).collect()
}

#[test]
fn nothing_is_wrong_with_what_zvec_left_intact() {
    for folder in ["good", "samples"] {
        for name in fixture::names(folder) {
            let found = check(&fixture::shared(folder, &name).join("collection"), Level::Contents);
            // Optimized with deleted rows before 0.8.0: the quantised graph lacks them, and its searches name other documents.
            let wounded = folder == "samples" && name.ends_with("_opt");
            let expected = if wounded { BTreeSet::from(["segment.shifted-vectors"]) } else { BTreeSet::new() };
            assert_eq!(errors(&found), expected, "{folder}/{name}: {found:#?}");
            let warnings: Vec<_> = found.iter().filter(|found| found.severity == Severity::Warning).collect();
            assert!(warnings.is_empty(), "{folder}/{name}: {warnings:#?}");
        }
    }
}

#[test]
fn every_wound_of_a_vector_file_is_named() {
    for (name, code, loss) in [
        ("flat_chain_cycle", "flat.bad-chain", Loss::None),
        ("flat_row_count", "flat.bad-row-count", Loss::None),
        ("hnsw_entry_point", "hnsw.bad-entry-point", Loss::None),
        ("hnsw_neighbour", "hnsw.bad-neighbour", Loss::None),
        ("hnsw_vector_size_flip", "hnsw.bad-vector-size", Loss::Certain),
        ("ivf_content_flip", "proxima.content-crc", Loss::Possible),
        ("proxima_cut", "proxima.truncated", Loss::Possible),
        ("proxima_cut_capacity", "proxima.truncated", Loss::Possible),
        ("proxima_header_flip", "proxima.header-crc", Loss::None),
        ("proxima_table_flip", "proxima.table-crc", Loss::Possible),
        ("proxima_missing", "file.missing", Loss::Certain),
        ("real_0.1.0_shifted_vectors", "segment.shifted-vectors", Loss::None),
        ("real_0.7.0_shifted_vectors", "segment.shifted-vectors", Loss::None),
        ("real_0.8.0_hnsw_qint8_rotate_optimized", "vectors.foreign-rotation", Loss::None),
        ("real_0.8.0_quantised_index_dropped", "segment.stale-block", Loss::None),
    ] {
        let found = check(&fixture::shared("damaged", name).join("collection"), Level::Contents);
        let named = found.iter().find(|found| found.code == code && found.severity == Severity::Error);
        let named = named.unwrap_or_else(|| panic!("{name}: {code} is not among {found:#?}"));
        assert_eq!(named.loss, loss, "{name}: {named:#?}");
    }
}

#[test]
fn level_one_reads_no_structure_and_level_two_no_element() {
    let chain = fixture::shared("damaged", "flat_chain_cycle").join("collection");
    assert!(errors(&check(&chain, Level::Files)).is_empty());
    assert!(errors(&check(&chain, Level::Structures)).contains("flat.bad-chain"));
    let fixture = Fixture::good("0.8.0_flat_qint8_flushed");
    let codes = fixture.join("0/l2.qindex.2.proxima");
    flip(&codes, first_element(&codes), 7);
    assert!(errors(&check(&fixture.path(), Level::Structures)).is_empty());
    assert!(errors(&check(&fixture.path(), Level::Contents)).contains("vectors.differ"));
}

#[test]
fn the_wrong_one_of_two_copies_is_told() {
    let fixture = Fixture::good("0.8.0_flat_qint8_flushed");
    // An exponent of the first component of the full vector: the sums of the codes say that those are right.
    let full = fixture.join("0/l2.index.1.proxima");
    flip(&full, first_element(&full) + 3, 5);
    let found = check(&fixture.path(), Level::Contents);
    let differs = found.iter().find(|found| found.code == "vectors.differ").unwrap();
    assert_eq!(differs.path.as_deref(), Some("0/l2.index.1.proxima"), "{found:#?}");
    assert_eq!((differs.loss, differs.documents_at_risk), (Loss::Certain, Some(1)));
}

/// Where the first element of a file is.
fn first_element(path: &Path) -> u64 {
    let file = VectorFile::open(fs::read(path).unwrap()).unwrap();
    let mut reader = file.reader();
    file.record(0, &mut reader).unwrap().offset
}

/// Flips one bit of a file.
fn flip(path: &Path, offset: u64, bit: u8) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << bit], offset).unwrap();
}

/// Bits where only a second copy could tell: times, random numbers, revisions, unused slots.
fn is_silent(segment: &str, inside: u64) -> bool {
    match segment {
        // Times and revision.
        "flat.linear_meta" => inside < 24,
        "bruteforce_sparse_meta" => inside < 16,
        "HnswT2S0" => (80..104).contains(&inside),
        // ef_construction, and of Vamana the search list and alpha, fit anything.
        // A centroid is its own copy but for the last digits.
        "rabitq.converter" => inside >= 32 && inside % 4 < 2,
        "HnswT1S0" => matches!(inside, 28..32 | 36..44 | 48..52),
        _ => false,
    }
}

#[test]
fn flipped_bits_of_structures_are_found() {
    let kinds = [
        "0.8.0_flat_qint8_flushed",
        "0.8.0_hnsw_fp32_optimized",
        "0.8.0_sparse_flat_flushed",
        "0.8.0_sparse_hnsw_optimized",
        "0.8.0_ivf_fp32_optimized",
        "0.3.1_hnsw_rabitq_optimized",
        "0.8.0_ivf_rabitq_optimized",
        "0.8.0_diskann_fp32_optimized",
    ];
    let mut silent = Vec::new();
    let mut count = 0;
    for name in kinds {
        let fixture = Fixture::good(name);
        let view = View::open(Arc::new(ReadOnlyFs), &fixture.path()).unwrap();
        let segments = view.segments().unwrap();
        let wanted = [BlockType::VectorIndex as i32, BlockType::VectorIndexQuantize as i32];
        let blocks = segments[0].meta.persisted_blocks.iter().filter(|block| wanted.contains(&block.block_type));
        // One file of each kind is enough.
        let mut seen = BTreeSet::new();
        for block in blocks {
            let path = segments[0].block_path(block).unwrap();
            let file = VectorFile::open(view.source(&path).unwrap()).unwrap();
            if !seen.insert(file.kind) {
                continue;
            }
            let section = &file.container.sections[0];
            let mut places = vec![("header", section.offset, 64), ("footer", section.footer_offset, 128)];
            places.push(("table", section.table_offset, u64::from(section.segment_count) * 32));
            for segment in file.container.segments.iter().filter(|segment| segment.size > 0) {
                // Rows have their own test: what of them can be found depends on what else is there.
                let rows = ["flat.features", "HnswT3", "HnswT4", "HnswT6", "bruteforce_sparse_streamer_data"];
                if !rows.iter().any(|prefix| segment.name.starts_with(prefix)) {
                    places.push((&segment.name, segment.offset, segment.size.min(4192)));
                }
            }
            for (place, start, size) in places {
                for step in 0..2u64 {
                    // Spread over the place, the same in every run.
                    let inside = (step * 7919 + 13 * size / 29) % size;
                    let bit = (step * 3 % 8) as u8;
                    if is_silent(place, inside) {
                        continue;
                    }
                    let target = fixture.join(path.to_str().unwrap());
                    flip(&target, start + inside, bit);
                    let found = check_columns(&fixture.path(), Level::Contents, &|name| name == block.columns[0]);
                    flip(&target, start + inside, bit);
                    count += 1;
                    if found.iter().all(|found| found.severity == Severity::Info) {
                        silent.push(format!("{name} {} {place} + {inside} bit {bit}", path.display()));
                    }
                }
            }
        }
    }
    assert!(count > 80, "only {count} bits were flipped");
    assert!(silent.is_empty(), "{} of {count} flipped bits were not found: {silent:#?}", silent.len());
}

#[test]
fn flipped_bits_of_codes_are_found_and_the_lowest_of_full_vectors_are_not() {
    let fixture = Fixture::good("0.8.0_flat_qint8_flushed");
    let (full, codes) = (fixture.join("0/l2.index.1.proxima"), fixture.join("0/l2.qindex.2.proxima"));
    let encoding = VectorFile::open(fs::read(&full).unwrap()).unwrap().encoding.unwrap();
    assert_eq!(encoding.codec, Codec::Plain(DataType::Fp32));
    let start = first_element(&codes);
    for offset in (start..start + 16).step_by(5) {
        flip(&codes, offset, 0);
        let found = check(&fixture.path(), Level::Contents);
        flip(&codes, offset, 0);
        assert!(!errors(&found).is_empty(), "the lowest bit of the code at {offset:#x}");
    }
    // The second component is, as it happens, neither the largest nor the smallest: no code depends on its last bit.
    flip(&full, first_element(&full) + 4, 0);
    assert!(errors(&check(&fixture.path(), Level::Contents)).is_empty());
}
