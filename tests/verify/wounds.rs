//! Known wounds of zvec, inflicted by the manifest.

use std::fs;

use zvecctl::format::{
    manifest::{
        self, Manifest,
        proto::{IndexParams, InvertIndexParams, index_params::Params},
    },
    proxima::{Layout, VectorFile},
    wal,
};

use super::{found, verified};
use crate::support::{Fixture, program::json_on};

/// Publishes a changed manifest as the next one.
fn publish(fixture: &Fixture, number: u64, change: impl FnOnce(&mut Manifest)) {
    let old = fixture.join(&format!("manifest.{number}"));
    let mut manifest = manifest::decode(&fs::read(&old).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(fixture.join(&format!("manifest.{}", number + 1)), manifest::encode(&manifest)).unwrap();
    fs::remove_file(old).unwrap();
}

fn newest(fixture: &Fixture) -> u64 {
    let names = fs::read_dir(fixture.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_prefix("manifest.")?.parse().ok()).max().unwrap()
}

/// A manifest that was lost, or never published: its segment's documents are nowhere else, and zvec deletes them at the next open.
#[test]
fn an_orphan_directory_with_documents_of_its_own_is_an_error() {
    let fixture = Fixture::good("0.8.0_small_segments");
    let number = newest(&fixture);
    let mut rows = 0;
    publish(&fixture, number, |manifest| {
        let lost = manifest.persisted_segment_metas.remove(0);
        assert_eq!(lost.segment_id, 0);
        rows = manifest::row_count(&lost);
    });
    let (run, collection) = verified(&fixture.path(), &[]);
    assert_eq!(run.code, 4);
    let findings = collection["findings"].as_array().unwrap();
    let orphan =
        findings.iter().find(|finding| finding["code"] == "segment.orphan-documents").expect("the orphan is told");
    assert_eq!(orphan["path"], "0");
    let at_risk = orphan["documents_at_risk"].as_u64().unwrap();
    assert!(at_risk > 0 && at_risk <= rows, "{at_risk} of {rows}; deleted ones do not count");
    assert_eq!(collection["outlook"]["removes"], serde_json::json!(["0"]));
}

/// What zvec 0.5.1 leaves where `drop_column` fails behind a replay: the next block is the one that is written, and the log of this one is forgotten.
#[test]
fn a_forgotten_log_with_documents_is_told_and_repair_names_them() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let number = newest(&fixture);
    let mut log = String::new();
    publish(&fixture, number, |manifest| {
        let writing = manifest.writing_segment_meta.as_mut().unwrap();
        let block = writing.writing_forward_block.as_mut().unwrap();
        log = format!("{}/{}.wal", writing.segment_id, block.block_id);
        block.block_id += 50;
    });
    let (run, collection) = verified(&fixture.path(), &["--level", "1"]);
    assert_eq!(run.code, 1);
    let findings = collection["findings"].as_array().unwrap();
    let told = findings.iter().find(|finding| finding["code"] == "wal.unpublished").expect("the log is told");
    assert_eq!((told["path"].as_str(), told["repair"].is_null()), (Some(log.as_str()), true));
    let at_risk = told["documents_at_risk"].as_u64().unwrap();
    assert!(at_risk > 0 && !findings.iter().any(|finding| finding["code"] == "file.leftover"), "{findings:#?}");
    let report = json_on("repair", &fixture.path(), &["--yes"]).envelope();
    let done = report["data"]["done"].as_array().unwrap();
    let step = done.iter().find(|step| step["path"] == log.as_str()).expect("the log is set aside");
    assert!(
        step["doubtful"][0].as_str().unwrap().starts_with(&format!("{at_risk} document(s) of the log: ")),
        "{step:#}"
    );
    let list = std::fs::read_to_string(report["data"]["named"]["path"].as_str().unwrap()).unwrap();
    let of_log = list.lines().filter(|line| line.contains(&format!("\"path\":\"{log}\"")));
    assert_eq!(of_log.count() as u64, at_risk, "{list}");
    let planned = report["data"]["plan"]["actions"].as_array().unwrap();
    let planned = planned.iter().find(|step| step["path"] == log.as_str()).expect("the plan says so");
    assert_eq!(planned["loss"], "possible");
}

/// Another directory with the rows of a listed segment holds nothing of its own.
#[test]
fn a_copy_of_a_segment_is_only_a_warning() {
    let fixture = Fixture::damaged("orphan_segment");
    let (run, collection) = verified(&fixture.path(), &[]);
    assert_eq!((run.code, found(&collection)), (1, vec!["warning segment.orphan 77".to_owned()]));
}

#[test]
fn column_families_are_compared_with_the_schema() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let number = newest(&fixture);
    publish(&fixture, number, |manifest| {
        let title = manifest.schema.as_mut().unwrap().fields.iter_mut().find(|field| field.name == "title").unwrap();
        let invert = InvertIndexParams::default();
        title.index_params = Some(IndexParams { params: Some(Params::Invert(invert)) });
    });
    let (run, collection) = verified(&fixture.path(), &[]);
    assert_eq!(run.code, 3);
    assert_eq!(found(&collection), ["error index.family-missing 0/scalar.index.1.rocksdb"]);
    assert_eq!(collection["outlook"]["open"], "refuses");

    publish(&fixture, number + 1, |manifest| {
        for field in manifest.schema.as_mut().unwrap().fields.iter_mut().filter(|field| field.dimension == 0) {
            field.index_params = None;
        }
    });
    let (run, collection) = verified(&fixture.path(), &[]);
    assert_eq!(run.code, 1);
    assert!(found(&collection).iter().all(|finding| finding.starts_with("warning index.family-stray 0/")));
    assert_eq!(collection["outlook"]["open"], "opens");
}

#[test]
fn a_name_that_is_almost_right_is_told() {
    let fixture = Fixture::good("0.8.0_empty");
    fs::write(fixture.join("Manifest.9"), "").unwrap();
    let (run, collection) = verified(&fixture.path(), &[]);
    assert_eq!(run.code, 1);
    assert!(found(&collection).contains(&"warning file.misnamed Manifest.9".to_owned()), "{:?}", found(&collection));
}

/// The log of a killed writer is made before the files of its block, and each record before its vectors.
#[test]
fn a_log_that_is_gone_or_behind_the_vectors_is_told() {
    for (name, log) in [("0.8.0_small_killed", "0/5.wal"), ("0.1.0_small_killed", "0/5.wal")] {
        let fixture = Fixture::good(name);
        let path = fixture.join(log);
        let sound = fs::read(&path).unwrap();
        assert!(!found(&verified(&fixture.path(), &["--level", "2"]).1).iter().any(|line| line.contains("error")));
        // A whole record less at a time: what is left is sound in itself.
        let mut ends = Vec::new();
        wal::scan(sound.as_slice(), |record| ends.push(record.offset)).unwrap();
        fs::write(&path, &sound[..usize::try_from(ends[ends.len() / 2]).unwrap()]).unwrap();
        let told = found(&verified(&fixture.path(), &["--level", "2"]).1);
        assert!(told.contains(&format!("error wal.behind {log}")), "{name}: {told:?}");
        fs::remove_file(&path).unwrap();
        let told = found(&verified(&fixture.path(), &[]).1);
        assert!(told.contains(&format!("error wal.missing {log}")), "{name}: {told:?}");
    }
}

/// What zvec makes again from the log proves nothing against it once it is damaged: zeros over the count of its rows, noise over their keys, a flipped bit.
#[test]
fn damaged_files_of_the_block_in_writing_are_no_evidence_against_the_log() {
    for name in ["0.8.0_small_killed", "0.1.0_small_killed"] {
        let sound = fs::read(Fixture::good(name).join("0/dense.index.6.proxima")).unwrap();
        let (start, end) = {
            let file = VectorFile::open(sound.as_slice()).unwrap();
            let Layout::Flat(flat) = &file.layout else { panic!("not flat") };
            let start = usize::try_from(flat.block_offset(0).unwrap()).unwrap();
            (start, start + usize::try_from(flat.block_size()).unwrap())
        };
        let noise = |at: usize| (at * 151 + 77) as u8;
        for (what, range, fill) in [
            ("zeros", end - 64..end, &(|_| 0u8) as &dyn Fn(usize) -> u8),
            ("noise", end - 300..end, &noise),
            ("all zeros", start..end, &|_| 0),
            ("a flipped bit", end - 4..end - 3, &|at| sound[at] ^ 2),
        ] {
            let fixture = Fixture::good(name);
            let mut bytes = sound.clone();
            range.for_each(|at| bytes[at] = fill(at));
            fs::write(fixture.join("0/dense.index.6.proxima"), bytes).unwrap();
            let told = found(&verified(&fixture.path(), &["--level", "2"]).1);
            assert!(!told.iter().any(|line| line.contains("wal.behind")), "{name}, {what}: {told:?}");
            // What 0.1.0 has left is a warning, before and after.
            assert!(json_on("repair", &fixture.path(), &["--yes"]).code <= 1, "{name}, {what}");
        }
    }
}

/// The file of another block has more rows than the log, and is no proof either.
#[test]
fn the_file_of_another_block_is_no_evidence_against_the_log() {
    let fixture = Fixture::good("0.8.0_small_killed");
    fs::copy(fixture.join("0/dense.index.2.proxima"), fixture.join("0/dense.index.6.proxima")).unwrap();
    let told = found(&verified(&fixture.path(), &["--level", "2"]).1);
    assert!(!told.iter().any(|line| line.contains("error")), "{told:?}");
}

/// A page of zeros in vectors beside which there are only RaBitQ codes: the same vector would have the same codes.
#[test]
fn zeroed_vectors_beside_codes_are_told() {
    for name in ["0.8.0_ivf_rabitq_optimized", "0.3.1_hnsw_rabitq_optimized"] {
        let fixture = Fixture::good(name);
        let files = fs::read_dir(fixture.join("0")).unwrap().map(|entry| entry.unwrap().file_name());
        let files = files.map(|file| file.into_string().unwrap());
        let file = files.into_iter().find(|file| file.starts_with("l2.index.")).unwrap();
        let path = fixture.join("0").join(&file);
        let mut bytes = fs::read(&path).unwrap();
        let spans = {
            let vectors = VectorFile::open(bytes.as_slice()).unwrap();
            let mut reader = vectors.reader();
            [3, 4].map(|row| {
                let record = vectors.record(row, &mut reader).unwrap();
                let start = usize::try_from(record.offset).unwrap();
                start..start + record.bytes.len()
            })
        };
        spans.into_iter().for_each(|span| bytes[span].fill(0));
        fs::write(&path, bytes).unwrap();
        let told = found(&verified(&fixture.path(), &["--level", "3"]).1);
        assert!(told.contains(&format!("error vectors.differ 0/{file}")), "{name}: {told:?}");
    }
}

/// Two columns of one metric and dimension, their files taken for each other: nothing but the kind of the index tells. zvec refuses to open the
/// collection, and a repair must not take the vectors for those of the column.
#[test]
fn the_index_of_another_column_is_told_by_its_kind_and_not_taken_for_vectors() {
    let fixture = Fixture::good("0.8.0_flat_fp32_flushed");
    let other = Fixture::good("0.8.0_ivf_fp32_optimized");
    fs::copy(other.join("0/l2.index.5.proxima"), fixture.join("0/l2.index.1.proxima")).unwrap();
    let (run, collection) = verified(&fixture.path(), &["--level", "2"]);
    assert_eq!(run.code, 4);
    let told = "error index-meta.schema-differs 0/l2.index.1.proxima".to_owned();
    assert!(found(&collection).contains(&told), "{:?}", found(&collection));
    let path = fixture.path();
    let repaired = json_on("repair --yes", &path, &[]).envelope();
    assert_eq!(repaired["exit_code"], 4);
    assert_eq!(repaired["data"]["clean"], false);
    assert!(fixture.join("0/l2.index.1.proxima").exists(), "nothing was made of it");
}
