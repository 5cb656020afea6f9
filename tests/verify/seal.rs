//! `seal`, and `verify` with it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{found, verified};
use crate::support::{Fixture, Snapshot, program::run};

fn seal(fixture: &Fixture) -> PathBuf {
    run(["seal".as_ref(), fixture.path().as_os_str()]).exits(0);
    fixture.outside().join("collection.seal.json")
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, bytes).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

#[test]
fn a_sealed_collection_is_current_and_untouched() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let before = Snapshot::of(&fixture.path());
    assert!(seal(&fixture).exists());
    let (_, collection) = verified(&fixture.path(), &[]);
    before.assert_unchanged(&fixture.path(), "seal and verify");
    assert_eq!(collection["seal"]["state"], "current", "{collection:#}");
    assert_eq!(collection["seal"]["mismatches"], 0);
    assert!(found(&collection).is_empty());
}

#[test]
fn every_flipped_bit_is_found_where_no_checksum_shows_it() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let file = seal(&fixture);
    let sealed: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for entry in sealed["files"].as_array().unwrap() {
        let (path, size) = (entry["path"].as_str().unwrap(), entry["size"].as_u64().unwrap());
        let kind = Path::new(path).extension().map(|end| end.to_owned());
        // Vectors are large; one file of them is enough.
        if size == 0 || (path.ends_with(".proxima") && !kinds.insert(kind)) {
            continue;
        }
        let target = fixture.join(path);
        let at = usize::try_from(size / 2).unwrap();
        flip(&target, at);
        let (run, collection) = verified(&fixture.path(), &[]);
        let expected = format!("error seal.mismatch {path}");
        // Without a usable manifest nobody knows what belongs to the collection; that is an error of its own.
        let told = found(&collection).contains(&expected);
        assert!(told, "{path}: {:?}", found(&collection));
        assert!(run.code == 3 || run.code == 4, "{path}: exit {}", run.code);
        flip(&target, at);
    }
    assert_eq!(verified(&fixture.path(), &[]).0.code, 0);
}

#[test]
fn a_removed_or_older_file_is_a_mismatch() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    seal(&fixture);
    let gone = fixture.join("0/scalar.3.ipc");
    let bytes = fs::read(&gone).unwrap();
    fs::remove_file(&gone).unwrap();
    let (_, collection) = verified(&fixture.path(), &[]);
    assert!(found(&collection).contains(&"error seal.mismatch 0/scalar.3.ipc".to_owned()), "{:?}", found(&collection));
    fs::write(&gone, &bytes[..bytes.len() - 8]).unwrap();
    let (_, collection) = verified(&fixture.path(), &[]);
    assert_eq!(collection["seal"]["state"], "broken");
}

/// What a flush of zvec does to the manifest: the next number, the old one gone.
#[test]
fn a_manifest_that_moved_on_makes_a_seal_stale() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    seal(&fixture);
    fs::rename(fixture.join("manifest.2"), fixture.join("manifest.3")).unwrap();
    let (run, collection) = verified(&fixture.path(), &[]);
    assert_eq!(run.code, 0);
    assert_eq!(found(&collection), ["info seal.stale -"]);
    assert_eq!(collection["seal"]["state"], "stale");
    flip(&fixture.join("0/scalar.0.ipc"), 700);
    let (_, collection) = verified(&fixture.path(), &[]);
    assert!(
        found(&collection).contains(&"error seal.mismatch 0/scalar.0.ipc".to_owned()),
        "a stale seal still tells rot"
    );
    let (_, collection) = verified(&fixture.path(), &["--no-seal"]);
    assert!(collection["seal"].is_null() && found(&collection).is_empty());
}

#[test]
fn damage_is_not_sealed_unless_forced_and_nothing_is_written_into_a_collection() {
    let fixture = Fixture::damaged("wal_bit_flip");
    let path = fixture.path();
    let file = fixture.outside().join("collection.seal.json");
    run(["seal".as_ref(), path.as_os_str()]).exits(4);
    assert!(!file.exists());
    run(["seal".as_ref(), "--force".as_ref(), path.as_os_str()]).exits(4);
    assert!(file.exists());
    let inside = path.join("seal.json");
    run(["seal".as_ref(), "--output".as_ref(), inside.as_os_str(), path.as_os_str()]).exits(2);
    assert!(!inside.exists());
    fs::write(&file, "{}").unwrap();
    let (_, collection) = verified(&path, &[]);
    assert!(found(&collection).contains(&"warning seal.unreadable -".to_owned()), "{:?}", found(&collection));
}

/// RocksDB and zvec append records to these files; bytes that are none come from nobody.
#[test]
fn a_sealed_log_that_grew_by_no_record_is_a_mismatch() {
    let fixture = Fixture::good("0.8.0_small_killed");
    seal(&fixture);
    let log = fs::read_dir(fixture.join("0")).unwrap().map(|entry| entry.unwrap().path());
    let log = log.into_iter().find(|path| path.extension().is_some_and(|end| end == "wal")).unwrap();
    let manifest = fs::read_dir(fixture.join("idmap.0")).unwrap().map(|entry| entry.unwrap().path());
    let manifest = manifest.into_iter().find(|path| path.to_str().unwrap().contains("MANIFEST-")).unwrap();
    for path in [log, manifest] {
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, [bytes.as_slice(), &[7; 30]].concat()).unwrap();
        let (_, collection) = verified(&fixture.path(), &[]);
        let expected = format!("error seal.mismatch {}", path.strip_prefix(fixture.path()).unwrap().to_str().unwrap());
        assert!(found(&collection).contains(&expected), "{:?}", found(&collection));
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(verified(&fixture.path(), &[]).0.code, 0);
}
