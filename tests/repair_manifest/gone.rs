//! No manifest at all.

use std::fs;

use zvecctl::{
    format::{manifest::proto::FieldSchema, schema_file::SchemaFile},
    repair::Request,
};

use crate::{documents, manifest_of, manifest_path, mend, mend_and_undo, mend_with, support::Fixture};

/// Collections of every kind of file: flushed, with a log, with a log alone, sealed, compacted, with added columns, of old releases.
const KINDS: [&str; 17] = [
    "0.8.0_small_flushed",
    "0.8.0_small_killed",
    "0.8.0_wal_mixed_killed",
    "0.8.0_scalars_killed",
    "0.8.0_scalars_parquet",
    "0.8.0_small_segments_killed",
    "0.8.0_compacted",
    "0.8.0_column_added",
    "0.8.0_column_renamed",
    "0.8.0_fts_sealed",
    "0.8.0_nullable_flat_flushed",
    "0.8.0_hnsw_refine_uint8_optimized",
    "0.8.0_hnsw_uniform_uint8_optimized",
    "0.8.0_ivf_qint8_optimized",
    "0.8.0_diskann_fp32_optimized",
    "0.4.0_vamana_fp32_optimized",
    "0.3.1_hnsw_rabitq_optimized",
];

#[test]
fn every_document_comes_back_without_a_manifest() {
    for name in KINDS {
        let fixture = Fixture::good(name);
        let path = fixture.path();
        let docs = documents(&path);
        fs::remove_file(manifest_path(&path)).unwrap();
        let (report, after) = mend_and_undo(name, &path);
        assert!(after == docs, "{name}: {} documents of {}", after.len(), docs.len());
        assert!(!report.done[0].doubtful.is_empty(), "{name}: what was assumed is said");
        assert!(report.done.iter().all(|done| done.lost.is_empty()), "{name}");
    }
}

#[test]
fn types_indexes_and_parameters_are_those_that_the_files_tell() {
    for name in [
        "0.8.0_hnsw_refine_uint8_optimized",
        "0.8.0_hnsw_uniform_uint8_optimized",
        "0.8.0_ivf_qint8_optimized",
        "0.8.0_ivf_rabitq_optimized",
        "0.8.0_diskann_fp32_optimized",
        "0.8.0_scalars_flushed",
        "0.8.0_fts_sealed",
        "0.8.0_nullable_flat_flushed",
        "0.8.0_column_added",
    ] {
        let fixture = Fixture::good(name);
        let path = fixture.path();
        let before = manifest_of(&path);
        fs::remove_file(manifest_path(&path)).unwrap();
        mend(&path);
        let after = manifest_of(&path);
        // An added column stands behind the vectors, which no file tells.
        let fields = |mut fields: Vec<FieldSchema>| {
            fields.sort_by(|a, b| a.name.cmp(&b.name));
            fields
        };
        let (old, new) = (before.schema.unwrap(), after.schema.unwrap());
        assert_eq!(fields(new.fields), fields(old.fields), "{name}");
        assert_eq!(after.enable_mmap, before.enable_mmap, "{name}");
        assert_eq!(after.persisted_segment_metas.len(), before.persisted_segment_metas.len(), "{name}");
        let next = |manifest: Option<zvecctl::format::manifest::proto::SegmentMeta>| {
            manifest.and_then(|meta| meta.writing_forward_block).map(|block| block.min_doc_id)
        };
        assert_eq!(next(after.writing_segment_meta), next(before.writing_segment_meta), "{name}");
    }
}

#[test]
fn a_collection_without_documents_needs_a_schema_file() {
    let fixture = Fixture::good("0.8.0_empty");
    let path = fixture.path();
    let schema = manifest_of(&path).schema.unwrap();
    fs::remove_file(manifest_path(&path)).unwrap();
    let refused = mend_with(&path, Request::default()).unwrap_err();
    assert!(refused.contains("--schema"), "{refused}");
    let file = SchemaFile::from_manifest(&schema).unwrap();
    let report = mend_with(&path, Request { schema: Some(file), ..Request::default() }).unwrap();
    assert!(report.clean, "{:#?}", report.after);
    assert_eq!(manifest_of(&path).schema.unwrap(), schema);
}

#[test]
fn a_cut_manifest_still_tells_the_name_and_the_indexes() {
    let fixture = Fixture::good("0.8.0_many_flushes");
    let path = fixture.path();
    let (schema, docs) = (manifest_of(&path).schema.unwrap(), documents(&path));
    let file = manifest_path(&path);
    let content = fs::read(&file).unwrap();
    fs::write(&file, &content[..content.len() - 20]).unwrap();
    let (_, after) = mend_and_undo("cut", &path);
    assert!(after == docs);
    mend(&path);
    assert_eq!(
        manifest_of(&path).schema.unwrap(),
        schema,
        "an HNSW index that was not built yet is known from it alone"
    );
}

#[test]
fn a_manifest_that_ends_within_a_field_leaves_the_rest_of_it_to_the_files() {
    // Behind the name and the type of a vector column, before the parameters of its index.
    for length in (93..=109).step_by(2) {
        let fixture = Fixture::good("0.8.0_compacted");
        let path = fixture.path();
        let docs = documents(&path);
        let file = manifest_path(&path);
        let content = fs::read(&file).unwrap();
        fs::write(&file, &content[..length]).unwrap();
        let report = mend(&path);
        assert!(report.clean, "{length}: {:#?}", report.after);
        assert!(documents(&path) == docs, "{length}");
        assert!(
            manifest_of(&path)
                .schema
                .unwrap()
                .fields
                .iter()
                .all(|field| field.dimension == 0 || field.index_params.is_some())
        );
    }
}

#[test]
fn an_unpublished_copy_that_names_just_the_files_is_taken_as_it_is() {
    let fixture = Fixture::good("0.8.0_small_segments");
    let path = fixture.path();
    let before = manifest_of(&path);
    let file = manifest_path(&path);
    fs::rename(&file, file.with_file_name("manifest.9.tmp")).unwrap();
    let report = mend(&path);
    assert!(report.clean && report.done[0].doubtful.is_empty(), "{:#?}", report.done);
    assert_eq!(manifest_of(&path), before);
}

/// What every other segment or block has was there in this one, too.
#[test]
fn an_index_or_a_block_of_an_added_column_that_is_gone_as_well_is_made_anew() {
    for (name, gone, field) in [
        ("0.8.0_small_segments", "0/scalar.index.1.rocksdb", ""),
        ("0.8.0_column_added", "1/scalar.index.1.rocksdb", ""),
        ("0.8.0_columns_added_quantised", "0/scalar.10.ipc", "twice"),
        ("0.8.0_columns_added_quantised", "0/scalar.11.ipc", "nothing"),
    ] {
        let fixture = Fixture::good(name);
        let path = fixture.path();
        let sound = documents(&path);
        fs::remove_file(manifest_path(&path)).unwrap();
        let gone = path.join(gone);
        if gone.is_dir() {
            fs::remove_dir_all(&gone).unwrap()
        } else {
            fs::remove_file(&gone).unwrap()
        }
        let (report, after) = mend_and_undo(name, &path);
        assert_eq!(after.keys().collect::<Vec<_>>(), sound.keys().collect::<Vec<_>>(), "{name}");
        let mut changed = 0u64;
        for (key, values) in &after {
            let differs = |name: &&String| values.get(*name) != sound[key].get(*name);
            let fields: Vec<&String> = sound[key].keys().filter(differs).collect();
            assert!(fields.iter().all(|name| *name == field), "{name}: {key} {fields:?}");
            changed += fields.len() as u64;
        }
        let told = report.done.iter().flat_map(|done| &done.doubtful).any(|line| line.contains("is null now"));
        assert!(told || changed == 0, "{name}: {:#?}", report.done);
    }
}

/// What no file tells of a field is assumed, and among what the report says so of.
#[test]
fn what_shows_in_no_file_is_said() {
    for (name, gone, says) in [
        (
            "0.8.0_column_renamed",
            Some("1/scalar.0.ipc"),
            "fields number, million: nullable, as the file of a column that was added",
        ),
        ("0.8.0_small_flushed", None, "field dense: not nullable"),
        ("0.8.0_small_flushed", None, "fields and indexes are those of the files"),
        (
            "0.8.0_scalars_flushed",
            Some("0/scalar.0.ipc"),
            "no forward block can be read that would tell the scalar fields",
        ),
        ("0.8.0_invert_flushed", None, "an index without range optimization"),
    ] {
        let fixture = Fixture::good(name);
        let path = fixture.path();
        fs::remove_file(manifest_path(&path)).unwrap();
        gone.into_iter().for_each(|gone| fs::remove_file(path.join(gone)).unwrap());
        let (report, _) = mend_and_undo(name, &path);
        assert!(report.done[0].doubtful.iter().any(|line| line.contains(says)), "{name}: {:#?}", report.done[0]);
    }
}

/// Without a manifest the id map tells on which side documents are missing, and so which of two equal files is the copy.
#[test]
fn a_copy_over_another_block_is_told_apart_without_a_manifest() {
    for (name, from, to) in [
        ("0.8.0_small_segments", "1/scalar.0.ipc", "0/scalar.0.ipc"),
        ("0.8.0_small_segments", "0/scalar.0.ipc", "1/scalar.0.ipc"),
        ("0.8.0_many_flushes", "0/scalar.5.ipc", "0/scalar.0.ipc"),
        ("0.8.0_many_flushes", "0/scalar.9.ipc", "0/scalar.13.ipc"),
    ] {
        let fixture = Fixture::good(name);
        let path = fixture.path();
        let sound = documents(&path);
        fs::copy(path.join(from), path.join(to)).unwrap();
        fs::remove_file(manifest_path(&path)).unwrap();
        let (report, after) = mend_and_undo(name, &path);
        assert!(report.done[0].doubtful.iter().any(|line| line.starts_with(to)), "{:#?}", report.done[0]);
        assert_eq!(after.keys().collect::<Vec<_>>(), sound.keys().collect::<Vec<_>>(), "{to}");
        // Titles are in no index, and tags lose their order.
        for (key, values) in &after {
            let was = &sound[key];
            let kept = values.iter().all(|(name, value)| name == "tags" || was.get(name) == Some(value));
            assert!(kept, "{to}: {values:?} {was:?}");
        }
    }
}
