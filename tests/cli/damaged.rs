//! Every archive in `fixtures/damaged`: what the inspecting commands say of it, and which documents come out of it.
//!
//! What they say is kept in `tests/snapshots/damaged.txt` (`UPDATE_CONTRACT=1` writes it anew); which documents come out is the table below.

use std::{collections::BTreeMap, env, fs};

use serde_json::Value;

use crate::support::{
    Fixture, Snapshot, Truth, fixture,
    program::{findings, json_on, run},
    repository,
};

/// One archive: how its export differs from the documents before the damage, and what a later salvage from redundancy could add where the
/// files hold more than that ("documents at best" in `fixtures/damaged/README.md`).
struct Case(&'static str, &'static [&'static str], Option<&'static str>);

/// No usable manifest, no documents: until manifests are rebuilt from the segments.
const NO_MANIFEST: Option<&str> = Some("the manifest rebuilt from the segments");

const CASES: &[Case] = &[
    Case("del_bit_flip", &["extra doc_00040"], Some("the deleted set rebuilt from the id map")),
    Case(
        "del_cut",
        &["extra doc_00005", "extra doc_00040", "twice doc_00007"],
        Some("the deleted set rebuilt from the id map"),
    ),
    Case(
        "del_missing",
        &["extra doc_00005", "extra doc_00040", "twice doc_00007"],
        Some("the deleted set rebuilt from the id map"),
    ),
    Case("flat_chain_cycle", &[], None),
    Case("flat_row_count", &[], None),
    Case("hnsw_entry_point", &[], None),
    Case("hnsw_neighbour", &[], None),
    Case(
        "hnsw_vector_size_flip",
        &["unreadable hnsw of 60 from doc_00000 to doc_00059"],
        Some("the vector size taken from the schema"),
    ),
    Case("idmap_current_missing", &[], None),
    Case("idmap_manifest_flip", &[], None),
    Case("idmap_missing", &[], None),
    Case("idmap_sst_flip", &[], None),
    Case("idmap_sst_missing", &[], None),
    Case(
        "ipc_cut",
        &["lost 67 from doc_00000 to doc_00069"],
        Some("ids from the id map, years from the inverted index, vectors"),
    ),
    Case("ipc_docid_flip", &[], None),
    Case("ipc_footer_flip", &[], None),
    Case(
        "ipc_missing",
        &["lost 67 from doc_00000 to doc_00069"],
        Some("ids from the id map, years from the inverted index, vectors"),
    ),
    Case("ipc_title_flip", &["changed title of doc_00033"], None),
    Case("ipc_uid_flip", &["lost doc_00033", "extra doc_0003s"], Some("the id from the id map")),
    Case("ipc_year_flip", &["changed year of doc_00033"], Some("the year from the inverted index")),
    Case("ivf_content_flip", &["changed ivf of doc_00003"], None),
    Case("leftover_tmp", &[], None),
    Case("lock_missing", &[], None),
    Case("manifest_cut_boundary", &["refused"], NO_MANIFEST),
    Case("manifest_cut_middle", &["refused"], NO_MANIFEST),
    Case("manifest_empty", &["refused"], NO_MANIFEST),
    Case("manifest_empty_newer", &[], None),
    Case("manifest_empty_newer_del0", &[], None),
    Case("manifest_empty_newer_wal", &[], None),
    Case("manifest_garbage", &["refused"], NO_MANIFEST),
    Case("manifest_garbage_newer", &[], None),
    Case("manifest_leftover", &[], None),
    Case("manifest_missing", &["refused"], NO_MANIFEST),
    Case("manifest_unknown_field", &[], None),
    Case("orphan_segment", &[], None),
    Case("proxima_cut", &["unreadable dense of 67 from doc_00000 to doc_00069"], None),
    Case("proxima_cut_capacity", &[], None),
    Case("proxima_header_flip", &[], None),
    Case("proxima_missing", &["unreadable dense of 67 from doc_00000 to doc_00069"], None),
    Case("proxima_table_flip", &[], None),
    Case("proxima_vector_flip", &["changed dense of doc_00033"], None),
    Case("real_0.1.0_shifted_vectors", &[], None),
    Case("real_0.7.0_shifted_vectors", &[], None),
    Case("real_0.8.0_hnsw_qint8_rotate_optimized", &[], None),
    Case("real_0.8.0_optimize_killed_compacting", &[], None),
    Case("real_0.8.0_optimize_killed_removing", &[], None),
    Case("real_0.8.0_optimize_killed_rolling", &[], None),
    Case("real_0.8.0_optimize_killed_sealing_texts", &[], None),
    Case("real_0.8.0_quantised_index_dropped", &[], None),
    Case("scalar_index_missing", &[], None),
    Case("scalar_index_sst_flip", &[], None),
    Case("segment_missing", &["lost 39 from doc_00001 to doc_00039"], None),
    Case("stray_files", &[], None),
    Case("wal_bad_length", &["lost doc_00090"], None),
    Case("wal_bit_flip", &["lost doc_00090"], None),
    // doc_00002 was deleted in the WAL.
    Case("wal_empty", &["lost 29 from doc_00080 to doc_00109", "extra doc_00002"], None),
    Case("wal_torn_length", &["lost doc_00109"], None),
    Case("wal_torn_tail", &["lost doc_00109"], None),
    Case("wal_version", &[], None),
    Case("wal_zero_length", &["lost doc_00090"], None),
    Case("wal_zero_tail", &[], None),
];

#[test]
fn every_damaged_archive_has_a_case() {
    let mut listed: Vec<_> = CASES.iter().map(|case| case.0).collect();
    listed.sort_unstable();
    assert_eq!(listed, fixture::names("damaged"));
}

/// "Documents at best" of the README's first table, by archive.
fn at_best() -> BTreeMap<String, String> {
    let text = fs::read_to_string(repository("fixtures/damaged/README.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        (cells.len() >= 5 && cells[0].starts_with('`'))
            .then(|| (cells[0].trim_matches('`').to_owned(), cells[3].to_owned()))
    });
    rows.collect()
}

/// Where the files hold everything, either everything comes out, or the table says what a later salvage adds.
#[test]
fn no_case_falls_short_of_the_best_without_saying_so() {
    let best = at_best();
    assert!(best.len() > 40, "the README's table was not found");
    for Case(archive, differences, later) in CASES {
        let Some(best) = best.get(*archive) else {
            assert!(archive.starts_with("real_") && differences.is_empty(), "{archive}");
            continue;
        };
        if best.starts_with("everything") && !best.starts_with("everything but") {
            assert_eq!(differences.is_empty(), later.is_none(), "{archive}: at best {best}");
        } else {
            assert!(!differences.is_empty(), "{archive}: at best {best}");
        }
    }
}

#[test]
fn export_gives_the_documents_that_the_damage_leaves() {
    for Case(archive, expected, _) in CASES {
        let fixture = Fixture::damaged(archive);
        let before = Snapshot::of(&fixture.path());
        let exported = json_on("export", &fixture.path(), &[]);
        before.assert_unchanged(&fixture.path(), &exported.command);
        let found = if exported.code == 5 {
            exported.envelope();
            vec!["refused".to_owned()]
        } else {
            let data = exported.summary()["data"].clone();
            let lines = exported.lines("document");
            assert_eq!(data["documents"], lines.len(), "{archive}");
            let incomplete = lines.iter().filter(|line| line.get("unreadable").is_some()).count();
            assert_eq!(data["incomplete"], incomplete, "{archive}");
            differences(&fixture.truth(), &lines)
        };
        assert_eq!(found, *expected, "{archive}");
        let harmless =
            expected.iter().all(|difference| difference.starts_with("changed") || difference.contains("0003"));
        assert!(exported.code >= 1 || harmless, "{archive}: documents are lost and the exit code is 0");
    }
}

/// What differs between the documents that should be there and those that came out.
fn differences(truth: &Truth, lines: &[Value]) -> Vec<String> {
    let mut found: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut twice = Vec::new();
    let mut by_field: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in lines {
        let id = line["id"].as_str().unwrap();
        if found.insert(id, line).is_some() {
            twice.push(format!("twice {id}"));
        }
    }
    for (id, document) in truth.iter().filter(|(id, _)| found.contains_key(id.as_str())) {
        let line = found[id.as_str()];
        let unreadable: Vec<&str> =
            line["unreadable"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for name in &unreadable {
            by_field.entry(format!("unreadable {name}")).or_default().push(id);
        }
        for part in ["fields", "vectors"] {
            let names = document[part].as_object().unwrap().keys().chain(line[part].as_object().unwrap().keys());
            let names: std::collections::BTreeSet<_> =
                names.filter(|name| !unreadable.contains(&name.as_str())).collect();
            for name in names {
                if !same(&document[part][name], &line[part][name]) && !twice.iter().any(|twice| twice.ends_with(id)) {
                    by_field.entry(format!("changed {name}")).or_default().push(id);
                }
            }
        }
    }
    let lost: Vec<&str> = truth.keys().map(String::as_str).filter(|id| !found.contains_key(id)).collect();
    let mut all: Vec<_> = shortened(&lost).into_iter().map(|ids| format!("lost {ids}")).collect();
    all.extend(found.keys().filter(|id| !truth.contains_key(**id)).map(|id| format!("extra {id}")));
    all.extend(twice);
    for (what, ids) in by_field {
        all.extend(shortened(&ids).into_iter().map(|ids| format!("{what} of {ids}")));
    }
    all
}

fn shortened(ids: &[&str]) -> Vec<String> {
    match ids {
        [first, .., last] if ids.len() > 6 => vec![format!("{} from {first} to {last}", ids.len())],
        few => few.iter().map(|id| (*id).to_owned()).collect(),
    }
}

/// Numbers within the last bits of FP32: under COSINE the WAL holds other bits than zvec returns (`fixtures/README.md`). That nothing but
/// these bits differs is the business of the tests of good archives.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-6 * a.abs().max(1.0)
        }
        (a, b) => a == b,
    }
}

#[test]
fn commands_say_what_is_wrong_where() {
    const COMMANDS: [(&str, &[&str]); 11] = [
        ("files ls", &[]),
        ("manifest ls", &[]),
        ("manifest dump", &[]),
        ("segments ls", &[]),
        ("segments show", &["0"]),
        ("schema show", &[]),
        ("wal ls", &[]),
        ("idmap get", &["doc_00033"]),
        ("deleted ls", &[]),
        ("docs get", &["doc_00033"]),
        ("export", &[]),
    ];
    let mut said =
        "What the inspecting commands find in each damaged archive: exit code, findings, files.\n".to_owned();
    for name in fixture::names("damaged") {
        let fixture = Fixture::damaged(&name);
        let before = Snapshot::of(&fixture.path());
        said.push_str(&format!("\n{name}\n"));
        for (words, more) in COMMANDS {
            let run = json_on(words, &fixture.path(), more);
            let envelope = if run.stderr.starts_with("{\"schema\"") { run.summary() } else { run.envelope() };
            let error = envelope["error"]["code"].as_str().map(|code| format!("could not: {code}"));
            let found = error.into_iter().chain(several(findings(&envelope))).collect::<Vec<_>>().join(", ");
            said.push_str(format!("  {words:13}  {:2}  {found}", run.code).trim_end());
            said.push('\n');
        }
        for arguments in [["wal", "dump"], ["idmap", "dump"]] {
            run(arguments.iter().map(AsRef::as_ref).chain([fixture.path().as_os_str()]));
        }
        before.assert_unchanged(&fixture.path(), "every command");
    }
    let kept = repository("tests/snapshots/damaged.txt");
    if env::var_os("UPDATE_CONTRACT").is_some() {
        fs::write(&kept, &said).unwrap();
    }
    let kept = fs::read_to_string(kept).unwrap();
    let mut archive = "";
    for (kept, said) in kept.lines().zip(said.lines()) {
        archive = if kept.starts_with(' ') { archive } else { kept };
        assert_eq!(
            said, kept,
            "{archive}; UPDATE_CONTRACT=1 writes tests/snapshots/damaged.txt anew, if that is meant"
        );
    }
    assert_eq!(kept.len(), said.len());
}

/// Findings of one code about many files of one directory, as one.
fn several(findings: Vec<String>) -> Vec<String> {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for finding in findings {
        let directory =
            finding.rsplit_once('/').filter(|(start, _)| start.contains(".rocksdb")).map(|(dir, _)| format!("{dir}/…"));
        let shown = directory.unwrap_or(finding);
        match counted.iter_mut().find(|(other, _)| *other == shown) {
            Some((_, count)) => *count += 1,
            None => counted.push((shown, 1)),
        }
    }
    counted.into_iter().map(|(shown, count)| if count > 1 { format!("{shown} × {count}") } else { shown }).collect()
}
