//! `manifest`, `segments`, `files`, `schema`: what a collection consists of.

use std::fs;

use crate::support::{
    Fixture,
    program::{findings, json_on, on, run, steady},
    schemas,
};

#[test]
fn manifest_dump_shows_schema_and_blocks() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let shown = on("manifest dump", &fixture.path()).exits(0).silently();
    insta::assert_snapshot!(steady(&shown.stdout), @r"
    manifest manifest.2 (286 bytes)
    collection fixture
    enable_mmap true
    id map idmap.0
    delete snapshot del.2
    next segment 1
    documents per segment at most 10000000

    FIELD TYPE DIM NULL INDEX PARAMETERS
    title STRING - yes -
    year INT32 - no INVERT enable_range_optimization=true
    dense VECTOR_FP32 4 no FLAT metric=COSINE

    SEGMENT STATE BLOCK TYPE MIN ID MAX ID DOCS COLUMNS
    0 writing 1 SCALAR_INDEX 0 0 0 year
    0 writing 0 SCALAR 0 69 70 _zvec_g_doc_id_,_zvec_uid_,title,year
    0 writing 2 VECTOR_INDEX 0 69 70 dense
    0 writing 3 SCALAR 70 80 11 _zvec_g_doc_id_,_zvec_uid_,title,year
    0 writing 4 VECTOR_INDEX 70 80 11 dense
    0 writing 5 WRITING 81 0 0 _zvec_g_doc_id_,_zvec_uid_,title,year
    ");
    let json = json_on("manifest dump", &fixture.path(), &[]).exits(0).silently().envelope();
    assert_eq!(json["collection"], fixture.path().to_str().unwrap());
    let data = &json["data"];
    assert_eq!(
        (data["file"].as_str(), data["number"].as_u64(), data["valid"].as_bool()),
        (Some("manifest.2"), Some(2), Some(true))
    );
    assert_eq!(data["manifest"]["schema"]["name"], "fixture");
    assert_eq!(data["manifest"]["writing_segment_meta"]["persisted_blocks"].as_array().unwrap().len(), 5);
}

#[test]
fn manifest_dump_reads_a_bare_file_the_same() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let of_collection = json_on("manifest dump", &fixture.path(), &[]).exits(0).envelope();
    let bare = fixture.outside().join("saved");
    fs::copy(fixture.join("manifest.2"), &bare).unwrap();
    let of_file = json_on("manifest dump", &bare, &[]).exits(0).envelope();
    assert_eq!(of_file["data"]["manifest"], of_collection["data"]["manifest"]);
    assert_eq!((&of_file["data"]["number"], &of_file["data"]["valid"]), (&serde_json::Value::Null, &true.into()));
}

/// `--version` of the program was propagated to every command, clashed with `manifest dump --version N` and made that command panic.
#[test]
fn manifest_dump_shows_the_version_asked_for() {
    let fixture = Fixture::damaged("manifest_leftover");
    for (number, file) in [(1, "manifest.1"), (2, "manifest.2")] {
        let json = json_on("manifest dump", &fixture.path(), &["--version", &number.to_string()]).exits(0).envelope();
        assert_eq!((json["data"]["file"].as_str(), json["data"]["number"].as_u64()), (Some(file), Some(number)));
    }
    let json = json_on("manifest dump", &fixture.path(), &["--version", "7"]).exits(5).envelope();
    assert_eq!(json["error"]["code"], "manifest.not-found");
    assert!(json["error"]["hint"].as_str().unwrap().contains("manifest ls"));
    let file = fixture.join("manifest.2");
    let json = json_on("manifest dump", &file, &["--version", "2"]).exits(2).envelope();
    assert_eq!(json["error"]["code"], "usage");
}

#[test]
fn manifest_dump_keeps_fields_that_it_does_not_know() {
    let fixture = Fixture::damaged("manifest_unknown_field");
    let json = json_on("manifest dump", &fixture.path(), &[]).exits(6).envelope();
    let unknown = json["data"]["unknown_fields"].as_array().unwrap();
    assert_eq!(unknown.len(), 1);
    assert_eq!((unknown[0]["number"].as_u64(), unknown[0]["path"].as_str()), (Some(15), Some("")));
    assert_eq!(findings(&json), ["manifest.newer@manifest.2"]);
    let shown = on("manifest dump", &fixture.path()).exits(6).silently().stdout;
    assert!(shown.contains("manifest.newer"), "{shown}");
}

#[test]
fn manifest_dump_shows_what_still_decodes_of_a_cut_one() {
    let fixture = Fixture::damaged("manifest_cut_middle");
    let json = json_on("manifest dump", &fixture.path(), &[]).exits(3).envelope();
    assert_eq!(json["data"]["valid"], false);
    assert_eq!(json["data"]["manifest"]["schema"]["name"], "fixture", "the part before the cut");
    assert!(findings(&json).contains(&"manifest.truncated@manifest.2".to_owned()), "{:?}", findings(&json));
}

#[test]
fn manifest_ls_tells_which_manifest_is_used_and_which_zvec_would_use() {
    let fixture = Fixture::damaged("manifest_empty_newer");
    let shown = on("manifest ls", &fixture.path()).exits(3).silently();
    insta::assert_snapshot!(steady(&shown.stdout), @r"
    MANIFEST SIZE MODIFIED STATE USED SEGMENTS DOCS NAMES MISSING
    manifest.3 0 <time> manifest.empty by zvec 0 0 2 del.0
    manifest.2 286 <time> valid by zvecctl 1 81 7 none

    error: manifest.empty manifest.3 byte 0: the file is empty: it names no schema and no segment; set aside, manifest.2 is used instead; zvec 0.8.0 refuses to open the collection: it looks for another delete snapshot
    ");
    let json = json_on("manifest ls", &fixture.path(), &[]).exits(3).silently().envelope();
    let used: Vec<_> =
        json["data"]["manifests"].as_array().unwrap().iter().map(|entry| entry["used"].as_bool()).collect();
    assert_eq!(used, [Some(false), Some(true)]);
}

#[test]
fn manifest_ls_reads_both_naming_styles() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    fs::rename(fixture.join("manifest.2"), fixture.join("MANIFEST_2")).unwrap();
    let json = json_on("manifest ls", &fixture.path(), &[]).exits(0).envelope();
    let entry = &json["data"]["manifests"][0];
    assert_eq!((entry["style"].as_str(), entry["used"].as_bool()), (Some("article"), Some(true)));
    assert_eq!(entry["used_by_zvec"], false, "the releases read manifest.<N> only");
    assert_eq!(on("export", &fixture.path()).exits(0).stdout.lines().count(), fixture.truth().len());
}

#[test]
fn a_collection_without_a_manifest_is_not_called_sound() {
    let fixture = Fixture::damaged("manifest_missing");
    for command in ["manifest ls", "files ls", "wal ls"] {
        let json = json_on(command, &fixture.path(), &[]).exits(3).envelope();
        assert!(findings(&json).contains(&"manifest.none".to_owned()), "{command}: {:?}", findings(&json));
    }
}

#[test]
fn manifest_diff_names_what_differs() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let other = Fixture::good("0.8.0_small_segments");
    let (old, new) = (other.join("manifest.5"), fixture.join("manifest.2"));
    let json = json_on("manifest diff", &old, &[new.to_str().unwrap()]).exits(0).silently().envelope();
    assert_eq!(json["data"]["equal"], false);
    let changes = json["data"]["changes"].as_array().unwrap();
    let changed: Vec<_> = changes.iter().map(|change| change["path"].as_str().unwrap()).collect();
    assert!(changed.contains(&"next_segment_id"), "{changed:?}");
    let shown = run(["manifest", "diff", old.to_str().unwrap(), new.to_str().unwrap()]).exits(0).silently().stdout;
    assert!(changed.iter().all(|path| shown.contains(path)), "{shown}");

    let same = run(["manifest", "diff", new.to_str().unwrap(), fixture.path().to_str().unwrap()]).exits(0).stdout;
    assert!(same.contains("no difference"), "{same}");
    let json = json_on("manifest diff", &new, &[new.to_str().unwrap()]).exits(0).envelope();
    assert_eq!((&json["data"]["equal"], &json["data"]["changes"]), (&true.into(), &serde_json::json!([])));
}

#[test]
fn manifest_diff_refuses_a_damaged_one_and_names_it() {
    let fixture = Fixture::damaged("manifest_garbage_newer");
    let (good, garbage) = (fixture.join("manifest.2"), fixture.join("manifest.3"));
    for pair in [[&good, &garbage], [&garbage, &good]] {
        let json = json_on("manifest diff", pair[0], &[pair[1].to_str().unwrap()]).exits(5).envelope();
        assert_eq!(json["error"]["code"], "manifest.malformed");
        assert_eq!(json["error"]["path"], garbage.to_str().unwrap());
    }
}

#[test]
fn segments_ls_counts_rows_and_wal_records() {
    let fixture = Fixture::good("0.8.0_small_segments_killed");
    let json = json_on("segments ls", &fixture.path(), &[]).exits(0).silently().envelope();
    let segments = json["data"]["segments"].as_array().unwrap();
    let states: Vec<_> = segments.iter().map(|segment| segment["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["persisted", "persisted", "writing"]);
    assert!(segments[0]["wal_records"].is_null() && segments[2]["wal_records"].as_u64() > Some(0));

    let shown = on("segments ls", &Fixture::good("0.8.0_small_killed").path()).exits(0).silently();
    insta::assert_snapshot!(steady(&shown.stdout), @r"
    SEGMENT STATE DOCS DELETED MIN ID MAX ID BLOCKS WAL RECORDS SIZE
    0 writing 81 3 0 80 5 33 15.86 MB
    ");
}

#[test]
fn segments_ls_shows_orphans_behind_the_listed_ones() {
    let fixture = Fixture::damaged("orphan_segment");
    let json = json_on("segments ls", &fixture.path(), &[]).exits(1).envelope();
    let segments = json["data"]["segments"].as_array().unwrap();
    assert_eq!(segments.last().unwrap()["state"], "orphan");
    assert_eq!(segments.last().unwrap()["id"], 77);
    assert_eq!(findings(&json), ["segment.orphan@77"]);
}

#[test]
fn segments_show_describes_each_block_by_its_file() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let shown = run(["segments", "show", fixture.path().to_str().unwrap(), "0"]).exits(0).silently();
    insta::assert_snapshot!(steady(&shown.stdout), @r"
    SEGMENT STATE DOCS DELETED MIN ID MAX ID BLOCKS WAL RECORDS SIZE
    0 writing 81 3 0 80 5 33 15.86 MB

    BLOCK TYPE DOCS ROWS PATH SIZE CONTENT
    1 SCALAR_INDEX 0 - 0/scalar.index.1.rocksdb 41.45 kB tables=3 default=2 year$TERMS=30 year$RANGES=0 $CDF=0
    0 SCALAR 70 70 0/scalar.0.ipc 3.60 kB format=Arrow IPC batches=1 _zvec_g_doc_id_=UINT64 _zvec_uid_=STRING title=STRING? year=INT32
    2 VECTOR_INDEX 70 70 0/dense.index.2.proxima 5.27 MB kind=flat data_type=FP32 dimension=4 element_size=20 metric=Cosine quantizer=Fp32Quantizer updated=<time>
    3 SCALAR 11 11 0/scalar.3.ipc 1.43 kB format=Arrow IPC batches=1 _zvec_g_doc_id_=UINT64 _zvec_uid_=STRING title=STRING? year=INT32
    4 VECTOR_INDEX 11 11 0/dense.index.4.proxima 5.27 MB kind=flat data_type=FP32 dimension=4 element_size=20 metric=Cosine quantizer=Fp32Quantizer updated=<time>
    5 WRITING 0 - 0/5.wal 3.44 kB next_doc_id=81
    ");
    let json = json_on("segments show", &fixture.path(), &["0"]).exits(0).silently().envelope();
    let blocks = json["data"]["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), 6);
    assert!(blocks.iter().all(|block| block["exists"] == true), "{blocks:#?}");
}

#[test]
fn segments_show_of_an_unknown_segment_says_where_to_look() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let json = json_on("segments show", &fixture.path(), &["9"]).exits(5).envelope();
    assert_eq!(json["error"]["code"], "segment.not-found");
    assert!(json["error"]["hint"].as_str().unwrap().contains("segments ls"));
    let shown = run(["segments", "show", fixture.path().to_str().unwrap(), "9"]).exits(5);
    assert_eq!(shown.stdout, "");
    assert!(shown.stderr.starts_with("error: there is no segment 9"), "{}", shown.stderr);
}

#[test]
fn segments_show_goes_on_past_a_missing_block() {
    let fixture = Fixture::damaged("proxima_missing");
    let json = json_on("segments show", &fixture.path(), &["0"]).exits(4).envelope();
    assert_eq!(findings(&json), ["file.missing@0/dense.index.2.proxima"]);
    let blocks = json["data"]["blocks"].as_array().unwrap();
    let missing: Vec<_> = blocks.iter().filter(|block| block["exists"] == false).map(|block| &block["path"]).collect();
    assert_eq!(missing, ["0/dense.index.2.proxima", "0/5.wal"], "a flushed collection has no WAL, which is no damage");
    assert_eq!(json["data"]["findings"][0]["documents_at_risk"], 70);
}

#[test]
fn files_ls_gives_every_file_a_role() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let shown = on("files ls", &fixture.path()).exits(0).silently();
    let shown = steady(&shown.stdout);
    let start: Vec<_> = shown.lines().take(12).collect();
    insta::assert_snapshot!(start.join("\n"), @r"
    manifest manifest.2
    lock free
    size 15.88 MB

    FILE ROLE KIND SIZE MODIFIED
    0/5.wal wal write-ahead log 3441 <time>
    0/dense.index.2.proxima named vectors 5271552 <time>
    0/dense.index.4.proxima named vectors 5271552 <time>
    0/dense.index.6.proxima writing vectors 5271552 <time>
    0/scalar.0.ipc named forward block 3602 <time>
    0/scalar.3.ipc named forward block 1426 <time>
    0/scalar.5.ipc writing forward block 0 <time>
    ");
    let json = json_on("files ls", &fixture.path(), &[]).exits(0).silently().envelope();
    let files = json["data"]["files"].as_array().unwrap();
    let sizes: u64 = files.iter().map(|file| file["size"].as_u64().unwrap()).sum();
    assert_eq!(json["data"]["size"], sizes);
    assert_eq!(json["data"]["lock"]["state"], "free");
}

#[test]
fn files_ls_tells_strangers_and_leftovers_apart() {
    let fixture = Fixture::damaged("stray_files");
    fs::write(fixture.join("notes.txt"), "mine").unwrap();
    let json = json_on("files ls", &fixture.path(), &[]).exits(1).envelope();
    let role = |path: &str| {
        let files = json["data"]["files"].as_array().unwrap();
        files.iter().find(|file| file["path"] == path).unwrap_or_else(|| panic!("{path}"))["role"].clone()
    };
    assert_eq!(role("notes.txt"), "stranger");
    assert_eq!(role("del.9"), "leftover");
    assert_eq!(role("0/99.wal"), "leftover");
    assert_eq!(role("del.2"), "named");
}

/// With no manifest to go by, files ls called id map and delete snapshot leftovers that nothing needs any more.
#[test]
fn files_ls_calls_nothing_superfluous_when_no_manifest_can_be_used() {
    for name in
        ["manifest_missing", "manifest_empty", "manifest_garbage", "manifest_cut_middle", "manifest_cut_boundary"]
    {
        let fixture = Fixture::damaged(name);
        let json = json_on("files ls", &fixture.path(), &[]).exits(3).envelope();
        assert!(json["data"]["manifest"].is_null());
        let found = findings(&json);
        assert!(!found.iter().any(|finding| finding.starts_with("file.leftover")), "{name}: {found:?}");
        let files = json["data"]["files"].as_array().unwrap();
        assert!(files.iter().all(|file| file["role"] != "leftover"), "{name}");
    }
}

#[test]
fn files_ls_says_that_zvec_needs_the_lock_file() {
    let fixture = Fixture::damaged("lock_missing");
    let json = json_on("files ls", &fixture.path(), &[]).exits(3).envelope();
    assert_eq!(json["data"]["lock"]["state"], "missing");
    assert_eq!(findings(&json), ["lock.missing@LOCK"]);
}

#[test]
fn schema_show_prints_a_schema_file() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let shown = on("schema show", &fixture.path()).exits(0).silently();
    insta::assert_snapshot!(steady(&shown.stdout), @r"
    collection fixture
    documents per segment at most 10000000

    FIELD TYPE DIM NULL INDEX PARAMETERS
    title STRING - yes -
    year INT32 - no INVERT enable_range_optimization=true
    dense VECTOR_FP32 4 no FLAT metric=COSINE
    ");
    let json = json_on("schema show", &fixture.path(), &[]).exits(0).silently().envelope();
    schemas::check("schema-file", &json["data"]);
    assert_eq!(json["data"]["vectors"][0]["index"]["metric"], "COSINE");
}

#[test]
fn schema_show_of_every_release_is_a_schema_file() {
    for name in [
        "0.1.0_small_flushed",
        "0.3.1_hnsw_rabitq_optimized",
        "0.4.0_vamana_fp32_optimized",
        "0.8.0_fts_sealed",
        "0.8.0_diskann_fp32_optimized",
        "0.8.0_ivf_rabitq_optimized",
    ] {
        let json = json_on("schema show", &Fixture::good(name).path(), &[]).exits(0).envelope();
        schemas::check("schema-file", &json["data"]);
    }
}
