//! zvec opens what is left of an ingestion that was killed.

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use serde_json::json;

use crate::{
    killed::{DOCUMENTS, kill},
    truth::{self, Strictness, Writer},
    zvec,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_zvecctl");
/// Other moments than those that need no zvec.
const SEEDS: std::ops::Range<u64> = 100..106;

#[test]
fn zvec_opens_what_a_killed_ingestion_left_once_it_is_recovered() {
    let mut torn_logs = 0;
    for seed in SEEDS {
        let killed = kill(Path::new(PROGRAM), seed);
        // The kernel can break off the write of a killed process between two pages. That is rare, so every other log is torn here.
        let torn = seed % 2 == 0 && tear(&killed.collection);
        torn_logs += u64::from(torn);
        let recovered = truth::zvecctl(["recover"], &killed.collection);
        let told = String::from_utf8_lossy(&recovered.stdout);
        match recovered.status.code() {
            Some(0) if !torn => {}
            Some(1) if told.contains("wal.torn-tail") && told.matches("warning:").count() == 1 => {}
            _ => panic!("seed {seed}, torn {torn}: {recovered:?}"),
        }
        let columns = truth::columns(&killed.collection);
        let exported = truth::export(&killed.collection, &columns).unwrap();
        assert!(exported.docs.len() as u64 >= killed.acknowledged);
        let ids: Vec<String> = (0..DOCUMENTS).map(|number| format!("doc_{number:05}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let types: BTreeMap<_, _> = columns.iter().map(|(name, column)| (name, &column.data_type)).collect();
        let returned = zvec::fetch(&killed.collection, &ids, &json!(types)).unwrap();
        let count = returned.lines().count();
        assert_eq!(count, exported.docs.len(), "seed {seed}: zvec fetches as many");
        let returned = truth::parse_lines(&returned, &columns, Writer::Zvec).unwrap();
        let wrong = truth::differences(&exported.docs, &returned, &columns, Strictness::Stored);
        assert_eq!(wrong, [""; 0], "seed {seed}");
        // zvec has changed nothing of it, and zvecctl goes on.
        let after = truth::export(&killed.collection, &columns).unwrap();
        assert_eq!(truth::differences(&exported.docs, &after.docs, &columns, Strictness::Stored), [""; 0]);
    }
    assert!(torn_logs > 0, "no log was torn");
}

/// Puts the first half of a record behind the last of the newest log; false where there is no log.
fn tear(collection: &Path) -> bool {
    let segments = fs::read_dir(collection).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = segments.flat_map(|segment| fs::read_dir(segment).unwrap().map(|entry| entry.unwrap().path()));
    let mut logs: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "wal")).collect();
    logs.sort();
    let Some(log) = logs.last() else {
        return false;
    };
    // 96 bytes of payload are announced, with a checksum, and 40 are there.
    let mut half = vec![96, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef];
    half.extend([0x5a; 40]);
    fs::OpenOptions::new().append(true).open(log).unwrap().write_all(&half).unwrap();
    true
}
