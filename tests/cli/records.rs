//! `wal`, `idmap`, `deleted`: what stands beside the documents.

use std::fs;

use crate::support::{
    Fixture,
    program::{findings, json_on, on, run, steady},
};

#[test]
fn wal_ls_counts_records_by_operation() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let shown = on("wal ls", &fixture.path()).exits(0).silently();
    insta::assert_snapshot!(steady(&shown.stdout), @r"
    WAL USE SIZE RECORDS INSERT UPSERT UPDATE DELETE STATE FAULT AT LOST BY ZVEC
    0/5.wal active 3441 33 30 0 1 2 clean - 0
    ");
    let json = json_on("wal ls", &fixture.path(), &[]).exits(0).silently().envelope();
    let wal = &json["data"]["wals"][0];
    assert_eq!((wal["records"].as_u64(), wal["replayed_by_zvec"].as_u64()), (Some(33), Some(33)));
}

#[test]
fn wal_ls_of_a_flushed_collection_has_nothing_to_show() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    assert_eq!(on("wal ls", &fixture.path()).exits(0).silently().stdout, "no write-ahead log\n");
    let json = json_on("wal ls", &fixture.path(), &[]).exits(0).envelope();
    assert_eq!(json["data"]["wals"], serde_json::json!([]));
}

#[test]
fn wal_ls_says_what_zvec_would_drop_behind_damage() {
    let fixture = Fixture::damaged("wal_bit_flip");
    let json = json_on("wal ls", &fixture.path(), &[]).exits(4).envelope();
    let wal = &json["data"]["wals"][0];
    assert_eq!(wal["state"], "damaged");
    assert_eq!((wal["records"].as_u64(), wal["replayed_by_zvec"].as_u64()), (Some(32), Some(10)));
    assert_eq!((wal["intact_after_fault"].as_u64(), wal["dropped_by_zvec"].as_u64()), (Some(22), Some(22)));
    assert_eq!(wal["fault_offset"], 64 + 10 * 106);
    let shown = on("wal ls", &fixture.path()).exits(4).silently().stdout;
    assert!(shown.contains("error: wal.damaged 0/5.wal byte 1124"), "{shown}");
}

#[test]
fn a_torn_tail_is_a_warning_and_no_loss() {
    for name in ["wal_torn_tail", "wal_torn_length", "wal_zero_tail"] {
        let fixture = Fixture::damaged(name);
        let json = json_on("wal ls", &fixture.path(), &[]).exits(1).envelope();
        assert_eq!(json["data"]["wals"][0]["state"], "torn", "{name}");
        assert_eq!(json["data"]["findings"][0]["loss"], "none", "{name}");
        let lines = json_on("wal dump", &fixture.path(), &[]).exits(1).lines("wal-dump-line");
        assert_eq!(lines.last().unwrap()["state"], "torn", "{name}");
        assert!(lines.last().unwrap()["index"].is_null());
    }
}

#[test]
fn wal_dump_writes_one_line_a_record() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let shown = on("wal dump", &fixture.path()).exits(0).silently();
    let lines: Vec<_> = steady(&shown.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 34);
    insta::assert_snapshot!([&lines[..3], &lines[21..25]].concat().join("\n"), @r"
    OFFSET LENGTH STATE OP DOC ID WAL ID
    64 106 ok INSERT 0 0/5.wal doc_00080
    170 106 ok INSERT 0 0/5.wal doc_00081
    2184 105 ok UPDATE 82 0/5.wal doc_00081
    2289 41 ok DELETE 2 0/5.wal doc_00002
    2330 41 ok DELETE 83 0/5.wal doc_00082
    2371 107 ok INSERT 0 0/5.wal doc_00100
    ");
    let lines = json_on("wal dump", &fixture.path(), &[]).exits(0).silently().lines("wal-dump-line");
    assert_eq!(lines.len(), 33);
    let mut offset = 64;
    for (index, line) in lines.iter().enumerate() {
        assert_eq!((line["index"].as_u64(), line["offset"].as_u64()), (Some(index as u64), Some(offset)));
        assert_eq!((line["state"].as_str(), line["replayed_by_zvec"].as_bool()), (Some("ok"), Some(true)));
        assert_eq!(line["crc_stored"], line["crc_computed"]);
        assert!(line["document"].is_null(), "only with --documents");
        offset += line["length"].as_u64().unwrap();
    }
    assert_eq!(offset, fs::metadata(fixture.join("0/5.wal")).unwrap().len());
}

#[test]
fn wal_dump_shows_fields_with_documents() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let lines = json_on("wal dump --documents", &fixture.path(), &[]).exits(0).lines("wal-dump-line");
    assert_eq!(lines[32]["document"]["title"], "title 109");
    assert_eq!(lines[32]["document"]["dense"].as_array().unwrap().len(), 4);
    let shown = on("wal dump --documents", &fixture.path()).exits(0).silently().stdout;
    assert!(shown.lines().last().unwrap().contains(r#""title":"title 109""#), "{shown}");
}

#[test]
fn wal_dump_reads_a_bare_log() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let bare = fixture.outside().join("saved.log");
    fs::copy(fixture.join("0/5.wal"), &bare).unwrap();
    let lines = json_on("wal dump --documents", &bare, &[]).exits(0).silently().lines("wal-dump-line");
    assert_eq!(lines.len(), 33);
    assert_eq!(lines[0]["path"], bare.to_str().unwrap());
}

#[test]
fn wal_dump_goes_on_behind_damage_and_tells_it() {
    for (name, state) in
        [("wal_bit_flip", "crc-mismatch"), ("wal_bad_length", "bad-length"), ("wal_zero_length", "bad-length")]
    {
        let fixture = Fixture::damaged(name);
        let dumped = json_on("wal dump", &fixture.path(), &[]).exits(4);
        assert!(dumped.stderr.contains("error: wal.damaged 0/5.wal byte 1124"), "{name}: {}", dumped.stderr);
        let lines = dumped.lines("wal-dump-line");
        let states: Vec<_> = lines.iter().map(|line| line["state"].as_str().unwrap()).collect();
        assert_eq!(lines.len(), 33, "{name}: {states:?}");
        assert_eq!(states[10], state, "{name}");
        assert!(states.iter().enumerate().all(|(at, state)| at == 10 || *state == "ok"), "{name}: {states:?}");
        assert!(lines[9]["replayed_by_zvec"] == true && lines[11]["replayed_by_zvec"] == false, "{name}");
    }
}

#[test]
fn wal_dump_of_an_unreadable_log_names_it() {
    let fixture = Fixture::damaged("wal_empty");
    let dumped = json_on("wal dump", &fixture.path(), &[]).exits(4);
    assert_eq!(dumped.stdout, "");
    assert!(dumped.stderr.contains("wal.empty 0/5.wal"), "{}", dumped.stderr);
    let dumped = json_on("wal dump", &Fixture::damaged("wal_version").path(), &[]).exits(3);
    assert_eq!(dumped.stdout.lines().count(), 33, "a flipped bit of the version costs no record");
    assert!(dumped.stderr.contains("wal.version 0/5.wal"), "{}", dumped.stderr);
}

#[test]
fn idmap_get_looks_keys_up() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let path = fixture.path();
    let shown = run(["idmap", "get", path.to_str().unwrap(), "doc_00001", "nobody"]).exits(1).silently();
    insta::assert_snapshot!(steady(&shown.stdout), @r"
    ID STATE DOC ID NOTE
    doc_00001 mapped 1
    nobody absent -

    warning: idmap.absent idmap.0: nobody is not in the id map
    ");
    let json = json_on("idmap get", &path, &["doc_00001"]).exits(0).silently().envelope();
    assert_eq!(
        json["data"]["entries"][0],
        serde_json::json!({"id": "doc_00001", "state": "mapped", "doc_id": 1, "deleted": false})
    );
}

#[test]
fn idmap_dump_lists_keys_in_order() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let json = json_on("idmap dump", &fixture.path(), &[]).exits(0).silently().envelope();
    let entries = json["data"]["entries"].as_array().unwrap();
    let live: Vec<_> =
        entries.iter().filter(|entry| entry["deleted"] == false).map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(live, fixture.truth().keys().map(String::as_str).collect::<Vec<_>>());
    assert!(live.is_sorted());
    let shown = on("idmap dump", &fixture.path()).exits(0).silently().stdout;
    assert_eq!(shown.lines().count(), entries.len() + 1);
    insta::assert_snapshot!(steady(&shown).lines().take(3).collect::<Vec<_>>().join("\n"), @r"
    DOC ID STATE DELETED ID
    0 mapped no doc_00000
    1 mapped no doc_00001
    ");
}

#[test]
fn a_damaged_id_map_block_makes_its_keys_unknown_and_not_absent() {
    let fixture = Fixture::damaged("idmap_sst_flip");
    let json = json_on("idmap get", &fixture.path(), &["doc_00001"]).exits(3).envelope();
    assert_eq!(json["data"]["entries"][0]["state"], "unknown");
    let named: Vec<_> =
        findings(&json).iter().filter_map(|f| f.split_once('@').map(|(_, path)| path.to_owned())).collect();
    assert!(named.iter().any(|path| path == "idmap.0/000010.sst"), "{named:?}");
    let json = json_on("idmap dump", &fixture.path(), &[]).exits(3).envelope();
    assert!(!json["data"]["findings"].as_array().unwrap().is_empty());
    let shown = on("idmap dump", &fixture.path()).exits(3);
    assert!(shown.stderr.contains("idmap.0/000010.sst"), "{}", shown.stderr);
}

#[test]
fn idmap_get_without_an_id_map_knows_nothing() {
    for name in ["idmap_missing", "idmap_current_missing", "idmap_sst_missing", "idmap_manifest_flip"] {
        let fixture = Fixture::damaged(name);
        let run = json_on("idmap get", &fixture.path(), &["doc_00001"]);
        let json = run.envelope();
        let entry = &json["data"]["entries"][0];
        assert_ne!(entry["state"], "absent", "{name}");
        assert_ne!(run.code, 0, "{name}");
        assert!(findings(&json).iter().any(|finding| finding.contains("@idmap.0")), "{name}: {:?}", findings(&json));
    }
}

#[test]
fn deleted_ls_shows_ranges() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let shown = on("deleted ls", &fixture.path()).exits(0).silently();
    insta::assert_snapshot!(steady(&shown.stdout), @r"
    delete snapshot del.2
    written <time>
    deleted 3

    FIRST ID LAST ID COUNT
    5 5 1
    7 7 1
    40 40 1
    ");
    let json = json_on("deleted ls", &fixture.path(), &[]).exits(0).silently().envelope();
    assert_eq!(json["data"]["count"], 3);
    assert_eq!(json["data"]["ranges"][1], serde_json::json!({"first": 7, "last": 7}));
}

#[test]
fn deleted_ls_of_a_damaged_snapshot_names_it() {
    for (name, code) in [
        ("del_bit_flip", "delete-set.crc-mismatch@del.2"),
        ("del_cut", "delete-set.crc-mismatch@del.2"),
        ("del_missing", "file.missing@del.2"),
    ] {
        let json = json_on("deleted ls", &Fixture::damaged(name).path(), &[]).exits(4).envelope();
        assert!(findings(&json).contains(&code.to_owned()), "{name}: {:?}", findings(&json));
    }
}
