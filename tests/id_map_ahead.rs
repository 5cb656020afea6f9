//! A crash between the flush of the id map and the publishing of the manifest: the id map has seen records of the WAL, all of them
//! or (RocksDB makes room in memory on its own) the first few. The same documents live, whatever it has seen.

mod support;

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use support::Fixture;
use zvecctl::{
    format::{
        document::{self, Op, WalDoc},
        idmap,
        rocks::{
            ValueType,
            write::{TableBuilder, TableOptions, plan},
        },
        wal,
    },
    inspect::{
        Findings, View,
        deleted::Deleted,
        documents::{Documents, Selection},
        first_id,
        idmap::IdMap,
        old_ids, segments_of,
    },
    report::Severity,
    verify::{Context, Level, rows},
    vfs::RealFs,
};

/// Document ids by primary key.
type Ids = BTreeMap<Vec<u8>, u64>;

fn view(path: &Path) -> View {
    View::open(Arc::new(RealFs), path).unwrap()
}

/// Live documents, each key once.
fn live(path: &Path) -> Ids {
    let view = view(path);
    let mut documents = Documents::open(&view, Selection::default()).unwrap();
    let mut found = Ids::new();
    let flow = documents.each(&mut |document| {
        let key = String::from_utf8_lossy(&document.pk).into_owned();
        let before = found.insert(document.pk, document.doc_id);
        assert_eq!(before, None, "{key} shows up twice");
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    assert!(documents.findings().is_empty(), "{:#?}", documents.findings());
    found
}

/// Writes an id map with these entries in place of the one at `path`.
fn write_id_map(path: &Path, ids: &Ids) {
    fs::remove_dir_all(path).unwrap();
    fs::create_dir(path).unwrap();
    let mut table = Vec::new();
    let mut builder = TableBuilder::new(&mut table, TableOptions::new(2, 0, "default", 0));
    for (key, id) in ids {
        builder.add(key, 1, ValueType::Value, &idmap::encode_value(*id)).unwrap();
    }
    let built = builder.finish().unwrap();
    let database = plan::new_database([], 1);
    let mut edits = plan::snapshot(&database).unwrap();
    edits.extend(plan::flush_edits(&database, [(0, built.file)], 1).unwrap());
    let mut manifest = Vec::new();
    plan::append_edits(&mut manifest, &edits).unwrap();
    fs::write(path.join(plan::table_name(2)), table).unwrap();
    fs::write(path.join(plan::manifest_name(1)), manifest).unwrap();
    fs::write(path.join("CURRENT"), plan::current(1)).unwrap();
}

/// A collection with flushed documents, and a WAL over them.
struct Story {
    fixture: Fixture,
    log: PathBuf,
    first_id: u64,
    ids: Ids,
    /// What the id map holds after each number of records.
    maps: Vec<Ids>,
}

impl Story {
    /// Writes the log; each record is what it does to a key, or to an id where the key is `None` (a delete by filter).
    fn tell(records: &[(Op, Option<&str>)]) -> Self {
        let fixture = Fixture::good("0.8.0_small_flushed");
        let mut ids = live(&fixture.path());
        let (log, first_id) = {
            let view = view(&fixture.path());
            let (_, manifest) = view.manifest().unwrap();
            let log = segments_of(manifest).iter().find_map(|segment| segment.wal_path()).unwrap();
            (fixture.path().join(log), first_id(manifest))
        };
        let mut bytes = wal::encode_header().to_vec();
        let mut map = ids.clone();
        let mut maps = vec![map.clone()];
        let mut next_id = first_id;
        for (op, key) in records {
            let named = key.map(|key| key.as_bytes().to_vec());
            // A delete by filter names the document that was added last.
            let pk = named.clone().unwrap_or_else(|| ids.iter().max_by_key(|(_, id)| **id).unwrap().0.clone());
            let old = ids.get(&pk).copied();
            let doc_id = if matches!(op, Op::Update | Op::Delete) { old.unwrap() } else { 0 };
            let stored =
                WalDoc { pk: named.clone().unwrap_or_default(), score: 0.0, doc_id, op: *op, fields: Vec::new() };
            wal::encode_record(&document::encode(&stored).unwrap(), &mut bytes).unwrap();
            if *op == Op::Delete {
                ids.remove(&pk);
                map.remove(&named.unwrap_or_default());
            } else {
                ids.insert(pk.clone(), next_id);
                map.insert(pk, next_id);
                next_id += 1;
            }
            maps.push(map.clone());
        }
        fs::write(&log, bytes).unwrap();
        Self { fixture, log, first_id, ids, maps }
    }

    /// Puts the id map in the state after `seen` records.
    fn ahead(&self, seen: usize) {
        write_id_map(&self.fixture.join("idmap.0"), &self.maps[seen]);
    }

    fn old_ids(&self) -> HashMap<Vec<u8>, u64> {
        let view = view(&self.fixture.path());
        let (_, manifest) = view.manifest().unwrap();
        let (id_map, snapshot) = (IdMap::load(&view, manifest), Deleted::load(&view, manifest).ids());
        let log = fs::read(&self.log).unwrap();
        old_ids(&view, manifest, &id_map, &snapshot, log, &Findings::default()).unwrap()
    }
}

const STORY: &[(Op, Option<&str>)] = &[
    (Op::Upsert, Some("doc_00012")),
    (Op::Delete, Some("doc_00012")),
    (Op::Upsert, Some("doc_00010")),
    (Op::Upsert, Some("new_1")),
    (Op::Upsert, Some("doc_00011")),
    (Op::Update, Some("doc_00013")),
    (Op::Delete, Some("doc_00014")),
    (Op::Upsert, Some("new_2")),
    (Op::Delete, Some("new_2")),
    (Op::Upsert, Some("doc_00015")),
    (Op::Delete, None),
    (Op::Upsert, Some("doc_00011")),
    (Op::Delete, Some("doc_00011")),
    (Op::Insert, Some("doc_00014")),
    (Op::Delete, Some("doc_00013")),
    (Op::Upsert, Some("doc_00015")),
    (Op::Update, Some("doc_00010")),
];

#[test]
fn the_same_documents_live_whatever_the_id_map_has_seen_of_the_log() {
    let story = Story::tell(STORY);
    for seen in 0..story.maps.len() {
        story.ahead(seen);
        assert_eq!(live(&story.fixture.path()), story.ids, "with an id map that has seen {seen} records");
    }
}

#[test]
fn a_log_that_deletes_every_key_again_resurrects_nothing() {
    let all = [
        (Op::Upsert, Some("doc_00010")),
        (Op::Upsert, Some("new")),
        (Op::Delete, Some("doc_00010")),
        (Op::Delete, Some("new")),
    ];
    let story = Story::tell(&all);
    for seen in 0..story.maps.len() {
        story.ahead(seen);
        assert_eq!(live(&story.fixture.path()), story.ids, "with an id map that has seen {seen} records");
    }
}

#[test]
fn old_ids_are_those_of_the_rows_that_were_published() {
    let story = Story::tell(STORY);
    let published = &story.maps[0];
    for seen in 0..story.maps.len() {
        story.ahead(seen);
        let old = story.old_ids();
        for key in ["doc_00010", "doc_00011", "doc_00012", "doc_00015"] {
            assert_eq!(old.get(key.as_bytes()), published.get(key.as_bytes()), "{key} after {seen} records");
        }
        assert!(old.iter().all(|(key, id)| published.get(key) == Some(id)), "after {seen} records: {old:?}");
        assert!(old.values().all(|id| *id < story.first_id));
    }
}

/// An update that names a document of the log itself, whose record is lost: its id is another document's by now.
#[test]
fn an_update_of_a_lost_record_deletes_no_other_document() {
    let story = Story::tell(&[
        (Op::Insert, Some("lost")),
        (Op::Insert, Some("kept_1")),
        (Op::Update, Some("lost")),
        (Op::Insert, Some("kept_2")),
    ]);
    let bytes = fs::read(&story.log).unwrap();
    let length = u32::from_le_bytes(bytes[64..68].try_into().unwrap()) as usize;
    fs::write(&story.log, [&bytes[..64], &bytes[72 + length..]].concat()).unwrap();
    let keys = |ids: &Ids| ids.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&live(&story.fixture.path())), keys(&story.ids));
}

/// Codes of the errors that a check of rows, ids and log finds, but for those about the records' missing fields.
fn errors(path: &Path) -> Vec<(String, Option<u64>)> {
    let view = view(path);
    let (_, manifest) = view.manifest().unwrap();
    let ctx = Context::new(&view, manifest, Level::Contents);
    let shared = rows::Shared::open(&ctx);
    segments_of(manifest).into_iter().for_each(|segment| rows::check_segment(&ctx, segment, &shared));
    rows::check_collection(&ctx, shared);
    let found = ctx.findings.list().into_iter().filter(|finding| finding.severity == Severity::Error);
    found
        .map(|finding| (finding.code, finding.documents_at_risk))
        .filter(|(code, _)| code != "wal.null-value")
        .collect()
}

/// Keys that the log upserts first, and that the id map has seen: zvec 0.8.0 would delete these documents.
#[test]
fn upserts_that_zvec_would_lose_are_told_and_nothing_else_is() {
    let story = Story::tell(STORY);
    // After so many records that many more keys: 12, 10, new_1, 11, new_2, 15. Of new_2 nothing is left but its deletion.
    for (seen, at_risk) in [(0, 0), (1, 1), (2, 1), (3, 2), (4, 3), (7, 4), (8, 5), (9, 4), (10, 5), (17, 5)] {
        story.ahead(seen);
        let expected: Vec<_> =
            (at_risk > 0).then(|| ("wal.upserts-at-risk".to_owned(), Some(at_risk))).into_iter().collect();
        assert_eq!(errors(&story.fixture.path()), expected, "with an id map that has seen {seen} records");
    }
}
