//! The replay of the log: every record done again, in order.
//!
//! Documents get ids by counting, as zvec does it. Which document an upsert, update or deletion means is told by its key; the id in the
//! record is used where the key tells nothing, because zvec's own ids are off by one behind its block switch.

use std::{panic::resume_unwind, path::Path, thread};

use foldhash::{HashMap, HashSet};

use crate::{
    format::{
        Source,
        document::{self, Head, Op, WalDoc},
        manifest::Manifest,
        value::Value,
        wal::{Entry, FRAME_LEN, Reader, Record},
    },
    inspect::{self, FileSource, View, losing, old_ids},
    report::{Finding, Loss, many, show_path},
};

use super::{
    super::{Collection, Doc, EngineError, wal::WalWriter},
    ACCEPT, Opener, damaged,
    log::{self, Log},
};

/// Keys for which room is made at once.
const ROOM: u64 = 1 << 20;

/// What the records so far make of the keys that they touch.
#[derive(Default)]
pub(super) struct Replayed {
    /// Keys that were among the id map's unflushed writes before the replay, and that no record has touched yet. What that map has
    /// unflushed of any other key is what the replay made of it.
    untouched: HashSet<Box<[u8]>>,
    /// Rows of published blocks that the keys mean.
    old: HashMap<Vec<u8>, u64>,
    first_id: u64,
    shifted: bool,
    /// The log as it was is in the quarantine.
    set_aside: bool,
}

impl Replayed {
    /// The document that the last record of a key made, or `None` inside if that deleted it; `None` if no record has the key.
    pub(super) fn latest(&self, collection: &Collection, pk: &[u8]) -> Result<Option<Option<u64>>, EngineError> {
        if !self.untouched.is_empty() && self.untouched.contains(pk) {
            return Ok(None);
        }
        collection.id_map.unflushed(pk)
    }
}

impl Opener {
    /// Replays the log; whether records of it were given up.
    pub(super) fn replay(
        &mut self,
        view: &View,
        manifest: &Manifest,
        collection: &mut Collection,
    ) -> Result<bool, EngineError> {
        let relative = inspect::wal::path_of(manifest);
        let Some(relative) = relative else {
            self.step("ok", "no log");
            return Ok(false);
        };
        let first_id = collection.next_doc_id;
        let source = self.open_log(&relative)?;
        let path = self.root.join(&relative);
        // Also of a segment that another one takes the place of: the manifest in force names this log.
        collection.wal = WalWriter::new(self.files.clone(), path.clone());
        let Some(source) = source else {
            let state = if self.recovery.replay.torn_bytes > 0 { "changed" } else { "ok" };
            self.step(state, format!("{}: no records", relative.display()));
            return Ok(false);
        };
        self.recovery.replay.path = Some(show_path(&relative));
        let broken = |error| EngineError::format(&path, error);
        let log = if self.options.accept_loss {
            // What is given up has to be known, and put aside, before anything else is done.
            let looked = log::look(&source).map_err(broken)?;
            let log = self.settle(&relative, &source, looked, first_id)?;
            let source = self.reopen(&relative)?;
            self.replay_records(view, manifest, collection, (&relative, &source), Some(&log))?;
            log
        } else {
            // A damaged log ends the opening, whatever its records would have made: they are put into memory while another thread looks.
            let (looked, replayed) = thread::scope(|scope| {
                let look = scope.spawn(|| log::look(&source));
                let replayed = self.replay_records(view, manifest, collection, (&relative, &source), None);
                (look.join().unwrap_or_else(|panic| resume_unwind(panic)), replayed)
            });
            let settled = looked.map_err(broken).and_then(|looked| self.settle(&relative, &source, looked, first_id));
            match settled.and_then(|log| replayed.map(|()| log)) {
                Ok(log) => log,
                Err(error) => {
                    collection.discard_open_block();
                    return Err(error);
                }
            }
        };
        collection.wal = WalWriter::resume(self.files.clone(), path, log.end)?;
        let replay = &self.recovery.replay;
        let mut detail = format!(
            "{}: {} replayed: {}, {} deleted or replaced",
            relative.display(),
            many(replay.records, "record"),
            many(replay.documents, "document"),
            replay.deleted
        );
        if replay.torn_bytes > 0 {
            detail.push_str(&format!("; torn tail of {} bytes cut off at byte {}", replay.torn_bytes, log.end));
        }
        if log.lossy {
            detail.push_str(&format!("; {} damaged bytes passed over", replay.damaged_bytes));
        }
        let changed = replay.torn_bytes > 0 || log.lossy;
        self.step(if changed { "changed" } else { "ok" }, detail);
        Ok(log.lossy)
    }

    /// Does every record of the log again. `log` says what was given up of it.
    fn replay_records(
        &mut self,
        view: &View,
        manifest: &Manifest,
        collection: &mut Collection,
        (relative, source): (&Path, &FileSource),
        log: Option<&Log>,
    ) -> Result<(), EngineError> {
        let path = self.root.join(relative);
        let broken = |error| EngineError::format(&path, error);
        let (first_id, lossy) = (collection.next_doc_id, log.is_some_and(|log| log.lossy));
        let snapshot = collection.deletes.published().clone();
        let mut known_ahead = Vec::new();
        let mut replayed = Replayed { first_id, set_aside: lossy, ..Replayed::default() };
        if lossy || !collection.id_map.is_empty()? {
            if lossy {
                known_ahead = self.mend_id_map(view, manifest, collection, first_id)?;
                self.mend_indexes(manifest, collection)?;
            }
            let id_map = inspect::idmap::IdMap::load(view, manifest);
            let old = old_ids(view, manifest, &id_map, &snapshot, source, &self.findings).map_err(broken)?;
            replayed.old = old.into_iter().collect();
        }
        replayed.untouched = collection.id_map.unflushed_keys()?.map(Box::from).collect();
        let mut reader = Reader::new(source).map_err(broken)?;
        while let Some(entry) = reader.next_in_place().map_err(broken)? {
            let Entry::Record(record) = entry else { continue };
            if record.index == 0 {
                // If the others are about as long.
                let records = source.size() / (FRAME_LEN + record.payload.len() as u64);
                collection.id_map.reserve(records.min(ROOM) as usize)?;
            }
            self.replay_record(relative, collection, &mut replayed, &record)?;
        }
        let damaged_records = log.map_or(&[][..], |log| &log.damaged_records);
        self.name_given_up(relative, collection, known_ahead, damaged_records, &replayed)
    }

    fn replay_record(
        &mut self,
        relative: &Path,
        collection: &mut Collection,
        replayed: &mut Replayed,
        record: &Record<'_>,
    ) -> Result<(), EngineError> {
        let offset = record.offset;
        let undecodable = |error| damaged(losing(relative, &error, Loss::Certain, Some(1)), ACCEPT);
        let decoded = collection.schema.decode_whole(&record.payload, record.payload_offset());
        let (head, whole) = decoded.map_err(undecodable)?;
        if let Op::Unknown(number) = head.op {
            let detail = format!("operation {number}, which no known release writes; zvec skips it, and so does this");
            self.findings.add(Finding::warning("wal.operation", detail).at(relative).offset(offset));
            return Ok(());
        }
        let replaces = self.replaced(relative, collection, replayed, offset, head)?;
        if !replayed.untouched.is_empty() {
            replayed.untouched.remove(head.pk);
        }
        let deletes = head.op == Op::Delete;
        let doc = match whole {
            Some(doc) => doc,
            None => {
                let stored = document::decode(&record.payload, record.payload_offset()).map_err(undecodable)?;
                self.conform(relative, collection, offset, stored, &mut replayed.set_aside)?
            }
        };
        collection.apply(head.op, doc, replaces, offset)?;
        let replay = &mut self.recovery.replay;
        replay.records += 1;
        replay.documents += u64::from(!deletes);
        replay.deleted += u64::from(replaces.is_some());
        Ok(())
    }

    /// The document that a record deletes or replaces.
    fn replaced(
        &mut self,
        relative: &Path,
        collection: &Collection,
        replayed: &mut Replayed,
        offset: u64,
        head: Head<'_>,
    ) -> Result<Option<u64>, EngineError> {
        let Head { pk, doc_id, op, .. } = head;
        if op == Op::Insert {
            return Ok(None);
        }
        if pk.is_empty() {
            return Ok(Some(doc_id));
        }
        let current = match replayed.latest(collection, pk)? {
            Some(latest) => latest,
            None => replayed.old.get(pk).copied(),
        };
        if op == Op::Upsert {
            return Ok(current);
        }
        // An id of this log whose record is not in it may be another document's by now.
        let Some(id) = current.or((doc_id < replayed.first_id).then_some(doc_id)) else { return Ok(None) };
        if id != doc_id && !std::mem::replace(&mut replayed.shifted, true) {
            let detail = format!(
                "the record names document {doc_id}, its key belongs to {id}: a record before it is missing (zvec loses one when it is killed behind \
                 a block switch); keys were followed"
            );
            let finding = Finding::warning("wal.shifted-ids", detail).at(relative).offset(offset);
            self.findings.add(finding.loses(Loss::Possible, Some(1)));
        }
        Ok(Some(id))
    }

    /// A record's document. A value of another type than the schema's is null, as a replay by zvec makes it. One that is of the type and
    /// cannot be kept (zvec takes it as it is) is given up only if loss is accepted, and the log is put aside first.
    fn conform(
        &mut self,
        relative: &Path,
        collection: &Collection,
        offset: u64,
        stored: WalDoc,
        set_aside: &mut bool,
    ) -> Result<Doc, EngineError> {
        let given: Vec<String> =
            stored.fields.iter().filter(|(_, value)| *value != Value::Null).map(|(name, _)| name.clone()).collect();
        let mut misfits = Vec::new();
        for (name, value) in &stored.fields {
            let Some(refusal) = collection.schema.misfit(name, value) else { continue };
            let code = if refusal.code == "document.dimension" { "wal.dimension" } else { "wal.field-value" };
            let finding = Finding::error(code, refusal.message).at(relative).offset(offset);
            let finding = finding.loses(Loss::Certain, Some(1));
            if !self.options.accept_loss {
                return Err(damaged(finding, ACCEPT));
            }
            if !std::mem::replace(set_aside, true) {
                self.quarantine.copy(relative, 0, "a log with values that cannot be kept")?;
            }
            self.findings.add_row(finding);
            misfits.push(name.clone());
        }
        let doc = collection.schema.decode(stored);
        for (position, field) in collection.schema.fields().iter().enumerate() {
            if *doc.value(position) != Value::Null {
                continue;
            }
            let odd = given.contains(&field.name);
            if !field.nullable {
                let what = if odd { "a value of another type than the schema's" } else { "no value" };
                let detail =
                    format!("field {} has {what} and may not be null: the record cannot be replayed", field.name);
                let finding = Finding::error("wal.field-type", detail).at(relative).offset(offset);
                return Err(damaged(finding.loses(Loss::Certain, Some(1)), ACCEPT));
            }
            if odd && !misfits.contains(&field.name) {
                let detail = format!("field {} does not have the schema's type; zvec reads it as null", field.name);
                self.findings.add_row(Finding::warning("wal.field-type", detail).at(relative).offset(offset));
            }
        }
        Ok(doc)
    }
}
