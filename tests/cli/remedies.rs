//! What the program tells to type: it works, or it is not told.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use zvecctl::vfs::{RealFs, VfsMut};

use crate::support::{
    Fixture, Snapshot,
    program::{PROGRAM, Run, json_on, on, run},
};

fn findings(path: &Path, more: &[&str]) -> Vec<Value> {
    let envelope = json_on("verify", path, more).envelope();
    envelope["data"]["collections"][0]["findings"].as_array().unwrap().clone()
}

fn flip(path: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn fix(path: &Path, fix: &str) -> Run {
    run(["repair".as_ref(), path.as_os_str(), "--yes".as_ref(), "--fix".as_ref(), fix.as_ref()])
}

#[test]
fn no_repair_is_told_for_what_a_seal_alone_knows() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    on("seal", &fixture.path()).exits(0);
    let text = b"title";
    let forward = fixture.join("0/scalar.0.ipc");
    let bytes = fs::read(&forward).unwrap();
    let title = bytes.windows(text.len()).rposition(|window| window == text);
    flip(&forward, |_| title.unwrap() + 4);
    let options = fs::read_dir(fixture.join("idmap.0")).unwrap().map(|entry| entry.unwrap().path());
    options.filter(|path| path.to_string_lossy().contains("OPTIONS")).for_each(|path| flip(&path, |len| len / 2));
    let found = findings(&fixture.path(), &[]);
    let sealed: Vec<_> = found.iter().filter(|finding| finding["code"] == "seal.mismatch").collect();
    assert!(sealed.len() >= 2, "{found:#?}");
    assert!(sealed.iter().all(|finding| finding["repair"].is_null()), "{sealed:#?}");
    let shown = on("verify", &fixture.path());
    assert!(shown.stdout.contains("put the file back from a backup"), "{}", shown.stdout);
}

#[test]
fn a_segment_that_is_gone_comes_before_what_was_in_it() {
    let fixture = Fixture::damaged("segment_missing");
    let found = findings(&fixture.path(), &[]);
    let commands: Vec<_> = found.iter().filter_map(|finding| finding["repair"].as_str()).collect();
    assert_eq!(commands.len(), found.len());
    assert!(commands.iter().all(|command| command.ends_with("--fix segments")), "{commands:?}");
    let before = Snapshot::of(fixture.outside());
    for other in ["vectors", "forward", "scalar-index"] {
        let run = fix(&fixture.path(), other).exits(4);
        assert!(run.stdout.contains(&format!("not taken: {other} ")), "{}", run.stdout);
        assert!(run.stdout.contains("--fix segments comes first"), "{}", run.stdout);
        before.assert_unchanged(fixture.outside(), &run.command);
    }
    fix(&fixture.path(), "segments").exits(4);
    on("verify --level 3", &fixture.path()).exits(0);
}

/// The id map has the only right copy of the id.
#[test]
fn nothing_is_made_from_rows_that_are_damaged() {
    for (damage, of) in [("ipc_docid_flip", "id-map"), ("ipc_year_flip", "scalar-index")] {
        let fixture = Fixture::damaged(damage);
        let before = Snapshot::of(fixture.outside());
        let run = fix(&fixture.path(), of).exits(4);
        before.assert_unchanged(fixture.outside(), &run.command);
        assert!(run.stdout.contains("--fix forward"), "{damage}: {}", run.stdout);
        fix(&fixture.path(), "forward").exits(0);
        on("verify --level 3", &fixture.path()).exits(0);
    }
    let fixture = Fixture::damaged("ipc_docid_flip");
    let plan = json_on("repair", &fixture.path(), &["--fix", "id-map"]).exits(4).envelope();
    let held = &plan["data"]["plan"]["held"][0];
    assert_eq!((&held["fix"], &held["first"]), (&"id-map".into(), &"forward".into()));
}

#[test]
fn an_error_that_another_fix_mends_is_no_hopeless_one() {
    let fixture = Fixture::damaged("ipc_uid_flip");
    let text = on("repair --fix id-map", &fixture.path()).exits(4).stdout;
    assert!(!text.contains("nothing here can mend") && text.contains("--fix forward"), "{text}");
    // What a step is taken for is not among what is left.
    let fixture = Fixture::damaged("manifest_empty");
    let plan = json_on("repair", &fixture.path(), &["--fix", "id-map"]).exits(12).envelope();
    assert_eq!(plan["data"]["plan"]["actions"][0]["findings"][0], "manifest.empty");
    assert_eq!(plan["data"]["plan"]["unmended"], Value::Array(Vec::new()));
    // The same commands as `verify` has.
    assert!(plan["data"]["findings"][0]["repair"].as_str().unwrap().ends_with("--fix manifest"), "{plan:#}");
}

#[test]
fn codes_with_damaged_settings_are_made_from_the_full_vectors() {
    let fixture = Fixture::good("0.8.0_many_flushes");
    flip(&fixture.join("0/dense.qindex.15.proxima"), |_| 1_056_912);
    let found = findings(&fixture.path(), &["--level", "3"]);
    assert!(found.iter().any(|finding| finding["code"] == "index-meta.schema-differs"), "{found:#?}");
    on("repair --yes", &fixture.path()).exits(0);
    on("verify --level 3", &fixture.path()).exits(0);
}

#[test]
fn the_path_of_a_remedy_can_be_typed() {
    let fixture = Fixture::damaged("ipc_uid_flip");
    for name in ["-books", "a\nb 'c", "Bücher"] {
        let path = fixture.outside().join(name);
        fs::rename(fixture.outside().join("collection"), &path).unwrap();
        let relative = if name.starts_with('-') { format!("./{name}") } else { name.to_owned() };
        let verify = Command::new(PROGRAM)
            .args(["--format", "json", "verify", "--level", "3", &relative])
            .current_dir(fixture.outside())
            .output()
            .unwrap();
        let envelope: Value = serde_json::from_slice(&verify.stdout).unwrap();
        let remedy = envelope["data"]["collections"][0]["findings"][0]["repair"].as_str().unwrap().to_owned();
        let typed = remedy.replacen("zvecctl", PROGRAM, 1);
        let output = Command::new("bash").args(["-c", &typed]).current_dir(fixture.outside()).output().unwrap();
        assert_eq!(output.status.code(), Some(12), "{remedy}: {}", String::from_utf8_lossy(&output.stderr));
        fs::rename(&path, fixture.outside().join("collection")).unwrap();
    }
}

#[test]
fn what_schema_show_prints_is_a_schema_file() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let shown =
        run(["--format".as_ref(), "json".as_ref(), "schema".as_ref(), "show".as_ref(), fixture.path().as_os_str()]);
    let file = fixture.outside().join("ss.json");
    fs::write(&file, &shown.stdout).unwrap();
    let file = file.to_str().unwrap();
    let made = fixture.outside().join("made");
    json_on("create", &made, &["--schema", file]).exits(0);
    let kept = json_on("schema show", &made, &[]).envelope();
    assert_eq!(kept["data"], serde_json::from_str::<Value>(&shown.stdout).unwrap()["data"]);
    json_on("repair", &fixture.path(), &["--schema", file]).exits(0);
    let out = fixture.outside().join("out");
    json_on("salvage", &fixture.path(), &["--schema", file, "--out", out.to_str().unwrap()]).exits(0);
    for command in ["repair", "salvage --out nowhere"] {
        json_on(command, &fixture.path(), &["--schema", "/nonexistent"]).exits(2);
    }
}

#[test]
fn a_target_without_a_directory_is_no_missing_collection() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    for to in ["collection", "jsonl"] {
        let out = fixture.outside().join("no/such/dir");
        let run = json_on("salvage", &fixture.path(), &["--to", to, "--out", out.to_str().unwrap()]).exits(11);
        assert_eq!(run.envelope()["error"]["code"], "io.output");
        assert!(run.stderr.contains("there is no directory"), "{}", run.stderr);
    }
    let run = json_on("repair --undo --quarantine /nonexistent", &fixture.path(), &[]).exits(7);
    assert_eq!(run.envelope()["error"]["code"], "repair.nothing-to-undo");
}

#[test]
fn what_recover_has_done_with_is_a_warning() {
    for damage in ["manifest_empty_newer", "manifest_garbage_newer"] {
        let fixture = Fixture::damaged(damage);
        let dry = json_on("recover --dry-run", &fixture.path(), &[]).exits(3).envelope();
        assert_eq!(dry["data"]["recovery"]["findings"][0]["severity"], "error");
        let run = on("recover", &fixture.path()).exits(1);
        assert!(run.stdout.contains("warning: manifest.") && !run.stdout.contains("error: "), "{}", run.stdout);
    }
}

#[test]
fn a_rehearsal_reads_without_the_lock_and_a_repair_cannot() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let _writer = RealFs.lock_exclusive(&fixture.join("LOCK")).unwrap();
    let refused = on("recover --dry-run", &fixture.path()).exits(10);
    assert!(refused.stderr.contains("--no-lock"), "{}", refused.stderr);
    let dry = json_on("recover --dry-run --no-lock", &fixture.path(), &[]).exits(0).envelope();
    assert!(dry["data"]["recovery"]["documents"].as_u64().unwrap() > 0, "{dry:#}");
    for command in ["repair --yes --no-lock", "flush", "recover"] {
        let refused = on(command, &fixture.path()).exits(10);
        assert!(!refused.stderr.contains("with --no-lock"), "{}", refused.stderr);
    }
}

#[test]
fn threads_are_asked_for_before_and_after_the_command() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    for command in ["verify --level 3", "seal", "digest", "repair", "recover --dry-run"] {
        on(&format!("--threads 1 {command}"), &fixture.path()).exits(0);
        on(&format!("{command} --threads 2"), &fixture.path()).exits(0);
    }
    on("--threads 0 verify", &fixture.path()).exits(2);
}

#[test]
fn a_seal_through_a_link_lies_beside_the_collection() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let links = fixture.outside().join("links");
    fs::create_dir(&links).unwrap();
    let link = links.join("books");
    std::os::unix::fs::symlink(fixture.path(), &link).unwrap();
    on("seal", &link).exits(0);
    assert!(fixture.outside().join("collection.seal.json").is_file());
    assert_eq!(fs::read_dir(&links).unwrap().count(), 1);
    let envelope = json_on("verify", &fixture.path(), &[]).exits(0).envelope();
    assert_eq!(envelope["data"]["collections"][0]["seal"]["state"], "current");
    let envelope = json_on("verify", &link, &[]).exits(0).envelope();
    assert_eq!(envelope["data"]["collections"][0]["seal"]["state"], "current");
}

#[test]
fn a_refusal_names_the_path_that_was_refused() {
    let fixture = Fixture::damaged("idmap_missing");
    let quarantine = fixture.outside().join("collection.quarantine");
    fs::write(&quarantine, "no directory").unwrap();
    let run = json_on("repair --yes", &fixture.path(), &[]).exits(11);
    let error = &run.envelope()["error"];
    let named = error["path"].as_str().unwrap();
    assert!(named.contains("collection.quarantine"), "{error:#}");
    assert!(error["message"].as_str().unwrap().starts_with(named), "{error:#}");
}

#[test]
fn a_command_line_that_does_not_parse_is_told_whole() {
    let envelope: Value = serde_json::from_str(&run(["--format", "json", "explain"]).exits(2).stdout).unwrap();
    assert_eq!((&envelope["command"], &envelope["schema"]), (&"explain".into(), &"zvecctl/explain/v1".into()));
    assert!(envelope["error"]["message"].as_str().unwrap().contains("<CODE>"), "{envelope:#}");
    let envelope: Value = serde_json::from_str(&run(["wal", "dump", "--format", "json"]).exits(2).stdout).unwrap();
    assert_eq!((&envelope["command"], &envelope["schema"]), (&"wal dump".into(), &"zvecctl/wal-dump/v1".into()));
}

#[test]
fn a_report_has_the_types_of_columns_as_files_have_them() {
    let envelope = json_on("report", &Fixture::good("0.8.0_small_flushed").path(), &[]).exits(0).envelope();
    let shown = envelope.to_string();
    assert!(!shown.contains("ColumnType") && shown.contains(r#"["year","INT32"]"#), "{shown}");
}

#[test]
fn an_explanation_has_an_example() {
    let text = run(["explain", "wal.damaged"]).exits(0).stdout;
    assert!(text.contains("example") && text.contains("CRC"), "{text}");
}
