//! Which rows of the forward blocks the records of a WAL replace or delete.
//!
//! UPDATE and DELETE records carry the id of the document they mean, UPSERT records do not: the id map has to tell it. But a flush writes
//! the id map before it publishes the manifest. After a crash in between, the id map is *ahead*: it has already seen all of the log,
//! or (when RocksDB made room in memory on its own) a part of it. A key then leads to the id that the log's own document will get, or to
//! nothing, if the log deletes it in the end; the row that it had before is known to the forward blocks alone.

use std::collections::{HashMap, HashSet};

use roaring::RoaringTreemap;

use crate::format::{
    Result as FormatResult, Source,
    document::{self, Op},
    manifest::Manifest,
    wal,
};

use super::{
    Findings, View, documents,
    idmap::{IdMap, Mapped},
};

/// The id that the first document of the active WAL gets.
pub fn first_id(manifest: &Manifest) -> u64 {
    let writing = manifest.writing_segment_meta.as_ref().and_then(|segment| segment.writing_forward_block.as_ref());
    writing.map_or(0, |block| block.min_doc_id)
}

/// Maps the primary keys that records of the active WAL `log` update, upsert or delete to the ids that they have in the forward blocks. A
/// key that is not in the answer has no live row there, or the record itself names it rightly; of the log's own documents nothing is said.
///
/// The forward blocks are only read when the id map cannot tell, because it is damaged or ahead. `snapshot` are the ids that the delete
/// snapshot marks. Holds the log's keys.
///
/// # Errors
/// Those of [`wal::scan`].
pub fn old_ids<S: Source>(
    view: &View,
    manifest: &Manifest,
    id_map: &IdMap,
    snapshot: &RoaringTreemap,
    log: S,
    findings: &Findings,
) -> FormatResult<HashMap<Vec<u8>, u64>> {
    let keys = Keys::read(log)?;
    let first_id = first_id(manifest);
    let get = |key: &[u8]| id_map.get(key, findings);
    let Told { mut old, search } = keys.ask(first_id, &get);
    if !search.is_empty() {
        let found = documents::find_keys(view, manifest, &search, snapshot, findings);
        old.extend(found.into_iter().filter(|(_, id)| *id < first_id));
    }
    Ok(old)
}

/// What the log does to one key.
#[derive(Debug, Clone, Copy)]
struct Touch {
    first: Op,
    /// The id in the first record.
    stored: u64,
    /// Number of the first record that adds a document with this key, counted from 0 over all records.
    first_add: Option<u64>,
    /// Number of the last record that deletes it by key.
    last_delete: Option<u64>,
    /// Whether the last record is such a delete.
    gone: bool,
}

#[derive(Default)]
struct Keys(HashMap<Vec<u8>, Touch>);

struct Told {
    old: HashMap<Vec<u8>, u64>,
    search: HashSet<Vec<u8>>,
}

impl Keys {
    fn read<S: Source>(log: S) -> FormatResult<Self> {
        let mut keys = Self::default();
        wal::scan(log, |record| {
            // A record that does not decode is told of where the log is replayed.
            if let Ok(head) = document::decode_head(&record.payload, record.payload_offset()) {
                keys.touch(record.index, head);
            }
        })?;
        Ok(keys)
    }

    fn touch(&mut self, record: u64, head: document::Head<'_>) {
        if head.pk.is_empty() || matches!(head.op, Op::Unknown(_)) {
            return;
        }
        let (first, stored) = (head.op, head.doc_id);
        let new = Touch { first, stored, first_add: None, last_delete: None, gone: false };
        let touch = match self.0.get_mut(head.pk) {
            Some(touch) => touch,
            None => self.0.entry(head.pk.to_vec()).or_insert(new),
        };
        touch.gone = head.op == Op::Delete;
        if touch.gone {
            touch.last_delete = Some(record);
        } else {
            touch.first_add.get_or_insert(record);
        }
    }

    /// Asks the id map; what it cannot tell is to be searched for.
    fn ask(&self, first_id: u64, get: &dyn Fn(&[u8]) -> Mapped) -> Told {
        let mut told = Told { old: HashMap::new(), search: HashSet::new() };
        let mut vanished = Vec::new();
        for (key, touch) in self.0.iter().filter(|(_, touch)| touch.first != Op::Insert) {
            let upsert = touch.first == Op::Upsert;
            let helpless = upsert || touch.stored >= first_id;
            match get(key) {
                Mapped::To(id) if id < first_id => drop(told.old.insert(key.clone(), id)),
                Mapped::To(_) if helpless => drop(told.search.insert(key.clone())),
                Mapped::To(_) => {}
                // A key that the log adds and never deletes would be in a map that is ahead: it is new.
                Mapped::Absent if upsert => vanished.extend(touch.last_delete.map(|deleted| (key, deleted))),
                Mapped::Absent if helpless => drop(told.search.insert(key.clone())),
                Mapped::Absent => {}
                Mapped::Unknown(best) => {
                    told.search.insert(key.clone());
                    told.old.extend(best.filter(|id| *id < first_id).map(|id| (key.clone(), id)));
                }
            }
        }
        if !vanished.is_empty() {
            let before = self.not_seen_from(first_id, get);
            let searched = vanished.into_iter().filter(|(_, deleted)| before.is_none_or(|end| *deleted < end));
            told.search.extend(searched.map(|(key, _)| key.clone()));
        }
        told
    }

    /// A record that the id map has surely not seen, nor any behind it; `None` if it may have seen all. The map takes the records in order, so
    /// the first one to add a key that lasts tells.
    fn not_seen_from(&self, first_id: u64, get: &dyn Fn(&[u8]) -> Mapped) -> Option<u64> {
        let lasting = self.0.iter().filter(|(_, touch)| !touch.gone);
        let (added, key) = lasting.filter_map(|(key, touch)| Some((touch.first_add?, key))).min()?;
        match get(key) {
            Mapped::To(id) => (id < first_id).then_some(added),
            Mapped::Absent => Some(added),
            Mapped::Unknown(_) => None,
        }
    }
}
