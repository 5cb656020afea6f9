//! zvec opens what is left of an ingestion that was killed.

use std::{collections::BTreeMap, path::Path};

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
    for seed in SEEDS {
        let killed = kill(Path::new(PROGRAM), seed);
        let recovered = truth::zvecctl(["recover"], &killed.collection);
        assert!(recovered.status.success(), "{recovered:?}");
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
}
