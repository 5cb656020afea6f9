//! The replay of the log as zvec does it, beside the one that follows keys.
//!
//! Both give the documents of the log the same ids, in order. They differ in where they stop (zvec: at the first bad or oversize record), in
//! which document an update or delete means (zvec: the one whose id is stored in the record), and in what an id map that is ahead of the
//! manifest does to upserts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use roaring::RoaringTreemap;

use crate::{
    format::{
        document::{self, Op},
        manifest::Manifest,
        wal::{self, ZvecView},
    },
    inspect::{
        Findings, View,
        idmap::{IdMap, Mapped},
        wal::Overlay,
    },
    report::outlook::{DocumentsOutlook, Ids},
};

/// What a replay comes to.
pub struct Replayed {
    /// Records that zvec replays.
    pub records: u64,
    /// Intact records that it drops.
    pub dropped: u64,
    /// A record that it replays does not decode: it dies of that.
    pub undecodable: bool,
    /// How its documents differ from those that the records mean.
    pub documents: DocumentsOutlook,
}

/// One record, as far as it matters here.
struct Step {
    index: u64,
    op: Op,
    pk: Vec<u8>,
    doc_id: u64,
}

/// Replays the log as zvec would. `None` without a log, or where zvec refuses it.
pub fn replay(
    view: &View,
    manifest: &Manifest,
    id_map: &IdMap,
    overlay: &Overlay,
    snapshot: &RoaringTreemap,
) -> Option<Replayed> {
    let path = overlay.path.as_ref()?;
    let source = view.source(path).ok()?;
    let mut steps = Vec::new();
    let mut broken: Option<u64> = None;
    let scan = wal::scan(&source, |record| match document::decode(&record.payload, record.payload_offset()) {
        Ok(doc) => steps.push(Step { index: record.index, op: doc.op, pk: doc.pk, doc_id: doc.doc_id }),
        Err(_) => {
            broken.get_or_insert(record.index);
        }
    })
    .ok()?;
    let ZvecView::Replayed { records, .. } = scan.zvec else { return None };
    let undecodable = broken.is_some_and(|index| index < records);
    let mut replayed = Replayed {
        records,
        dropped: scan.records.saturating_sub(records),
        undecodable,
        documents: DocumentsOutlook::default(),
    };
    if !undecodable {
        let zvec = Zvec::run(manifest, id_map, &steps, records);
        replayed.documents = differences(&zvec, &steps, overlay, id_map, snapshot);
    }
    Some(replayed)
}

/// What zvec holds after its replay.
struct Zvec {
    /// Id of every record that added a document.
    added: HashMap<u64, u64>,
    deleted: RoaringTreemap,
    first_id: u64,
    /// Keys whose id leads to a row that is marked.
    dead: BTreeSet<Vec<u8>>,
}

impl Zvec {
    fn run(manifest: &Manifest, id_map: &IdMap, steps: &[Step], records: u64) -> Self {
        let first_id = manifest
            .writing_segment_meta
            .as_ref()
            .and_then(|segment| segment.writing_forward_block.as_ref())
            .map_or(0, |block| block.min_doc_id);
        let (added, deleted, dead) = (HashMap::new(), RoaringTreemap::new(), BTreeSet::new());
        let mut zvec = Self { added, deleted, first_id, dead };
        let mut next = first_id;
        let mut latest: HashMap<&[u8], Option<u64>> = HashMap::new();
        let ignored = Findings::default();
        for step in steps.iter().take_while(|step| step.index < records) {
            let mut add = |latest: &mut HashMap<_, _>| {
                zvec.added.insert(step.index, next);
                latest.insert(step.pk.as_slice(), Some(next));
                next = next.saturating_add(1);
            };
            match step.op {
                Op::Insert => add(&mut latest),
                Op::Upsert => {
                    let current = latest.get(step.pk.as_slice()).copied().unwrap_or_else(|| {
                        match id_map.get(&step.pk, &ignored) {
                            // A map that is ahead of the manifest knows the id that this record is about to get: then zvec marks
                            // the new document, and leaves the old one.
                            Mapped::To(id) => Some(id),
                            Mapped::Absent | Mapped::Unknown(_) => None,
                        }
                    });
                    zvec.deleted.extend(current);
                    add(&mut latest);
                }
                Op::Update => {
                    zvec.deleted.insert(step.doc_id);
                    add(&mut latest);
                }
                Op::Delete => {
                    zvec.deleted.insert(step.doc_id);
                    latest.insert(step.pk.as_slice(), None);
                }
                Op::Unknown(_) => {}
            }
        }
        let dead = latest.into_iter().filter(|(_, id)| id.is_some_and(|id| zvec.deleted.contains(id)));
        zvec.dead = dead.map(|(key, _)| key.to_vec()).collect();
        zvec
    }
}

/// A document version is missing, or there and should not be: told by key.
fn differences(
    zvec: &Zvec,
    steps: &[Step],
    overlay: &Overlay,
    id_map: &IdMap,
    snapshot: &RoaringTreemap,
) -> DocumentsOutlook {
    // Versions by key: those that live, and those that zvec takes for living.
    let mut lost: BTreeMap<Vec<u8>, ()> = BTreeMap::new();
    let mut kept: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut old: BTreeSet<Vec<u8>> = BTreeSet::new();
    for step in steps {
        let Some(id) = overlay.added(step.index) else { continue };
        let lives = !overlay.deleted.contains(id);
        let with_zvec = zvec.added.get(&step.index).is_some_and(|id| !zvec.deleted.contains(*id));
        match (lives, with_zvec) {
            (true, false) => drop(lost.insert(step.pk.clone(), ())),
            (true, true) => drop(kept.insert(step.pk.clone())),
            (false, true) => drop(old.insert(step.pk.clone())),
            (false, false) => {}
        }
    }
    // Flushed rows that only one of the two marks. Their keys are in the records that mark them, or in the id map.
    let flushed = |ids: &RoaringTreemap| {
        ids.iter().filter(|id| *id < zvec.first_id && !snapshot.contains(*id)).collect::<RoaringTreemap>()
    };
    let (meant, done) = (flushed(&overlay.deleted), flushed(&zvec.deleted));
    let (mut spared, mut struck) = (&meant - &done, &done - &meant);
    if !spared.is_empty() || !struck.is_empty() {
        let ignored = Findings::default();
        for (key, id, _) in id_map.entries(&ignored) {
            if struck.remove(id) {
                lost.insert(key, ());
            } else if spared.remove(id) {
                old.insert(key);
            }
        }
        // A map that is ahead of the manifest has newer ids for these keys: the records that mean them tell.
        for step in steps.iter().filter(|step| spared.remove(step.doc_id)) {
            old.insert(step.pk.clone());
        }
    }
    let (mut missing, mut outdated) = (Vec::new(), Vec::new());
    for key in lost.keys().filter(|key| !kept.contains(*key)) {
        if old.contains(key) && !zvec.dead.contains(key) { &mut outdated } else { &mut missing }.push(key.as_slice());
    }
    let resurrected = old.iter().filter(|key| !lost.contains_key(*key)).map(Vec::as_slice);
    DocumentsOutlook {
        missing: Ids::of(missing.into_iter()),
        outdated: Ids::of(outdated.into_iter()),
        resurrected: Ids::of(resurrected),
        unreachable: Ids::default(),
    }
}
