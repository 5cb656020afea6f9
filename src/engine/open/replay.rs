//! The replay of the log: every record done again, in order.
//!
//! Documents get ids by counting, as zvec does it. Which document an upsert, update or deletion means is told by its key; the id in the
//! record is used where the key tells nothing, because zvec's own ids are off by one behind its block switch.

use std::path::Path;

use foldhash::HashMap;

use crate::{
    format::{
        FormatError,
        document::{Op, WalDoc},
        manifest::Manifest,
        value::Value,
    },
    inspect::{self, FileSource, View, losing, old_ids},
    report::{Finding, Loss, show_path},
};

use super::{
    super::{Collection, Doc, EngineError, wal::WalWriter},
    ACCEPT, Opener,
    ahead::{self, Ahead, Content, Operation},
    damaged,
};

/// What ends a replay.
enum Stop {
    Engine(EngineError),
    Log(FormatError),
}

impl From<FormatError> for Stop {
    fn from(error: FormatError) -> Self {
        Self::Log(error)
    }
}

/// What the records so far make of the keys that they touch.
#[derive(Default)]
pub(super) struct Replayed {
    /// The document that the last record of a key made; `None` if that deleted it.
    pub latest: HashMap<Vec<u8>, Option<u64>>,
    /// Rows of published blocks that the keys mean.
    old: HashMap<Vec<u8>, u64>,
    pub first_id: u64,
    shifted: bool,
    /// The log as it was is in the quarantine.
    set_aside: bool,
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
        let log = self.examine_log(&relative, first_id)?;
        let path = self.root.join(&relative);
        // Also of a segment that another one takes the place of: the manifest in force names this log.
        collection.wal = WalWriter::new(self.files.clone(), path.clone());
        let Some(log) = log else {
            let state = if self.recovery.replay.torn_bytes > 0 { "changed" } else { "ok" };
            self.step(state, format!("{}: no records", relative.display()));
            return Ok(false);
        };
        self.recovery.replay.path = Some(show_path(&relative));
        let source =
            FileSource::open(self.files.fs().as_ref(), &path).map_err(|error| EngineError::io(&path, error))?;
        let broken = |error| EngineError::format(&path, error);
        let snapshot = collection.deletes.published().clone();
        let mut known_ahead = Vec::new();
        let mut replayed = Replayed { first_id, set_aside: log.lossy, ..Replayed::default() };
        if log.lossy || !collection.id_map.is_empty()? {
            if log.lossy {
                known_ahead = self.mend_id_map(view, manifest, collection, first_id)?;
                self.mend_indexes(manifest, collection)?;
            }
            let id_map = inspect::idmap::IdMap::load(view, manifest);
            let old = old_ids(view, manifest, &id_map, &snapshot, &source, &self.findings).map_err(broken)?;
            replayed.old = old.into_iter().collect();
        }
        let schema = collection.schema.clone();
        let replay = |record| self.replay_record(&relative, collection, &mut replayed, record).map_err(Stop::Engine);
        ahead::each(&source, &schema, replay).map_err(|stop| match stop {
            Stop::Engine(error) => error,
            Stop::Log(error) => broken(error),
        })?;
        self.name_given_up(&relative, collection, known_ahead, &log.damaged_records, &replayed)?;
        collection.wal = WalWriter::resume(self.files.clone(), path, log.end)?;
        let replay = &self.recovery.replay;
        let mut detail = format!(
            "{}: {} records replayed: {} documents, {} deleted or replaced",
            relative.display(),
            replay.records,
            replay.documents,
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

    fn replay_record(
        &mut self,
        relative: &Path,
        collection: &mut Collection,
        replayed: &mut Replayed,
        record: Ahead,
    ) -> Result<(), EngineError> {
        let Ahead { offset, operation } = record;
        let operation = match operation {
            Ok(operation) => operation,
            Err(error) => return Err(damaged(losing(relative, &error, Loss::Certain, Some(1)), ACCEPT)),
        };
        if let Op::Unknown(number) = operation.op {
            let detail = format!("operation {number}, which no known release writes; zvec skips it, and so does this");
            self.findings.add(Finding::warning("wal.operation", detail).at(relative).offset(offset));
            return Ok(());
        }
        let replaces = self.replaced(relative, replayed, offset, &operation);
        let Operation { op, content, .. } = operation;
        let pk = content.pk().to_vec();
        let deletes = op == Op::Delete;
        let doc = match content {
            Content::Whole(doc) => doc,
            Content::Odd(stored) => self.conform(relative, collection, offset, stored, &mut replayed.set_aside)?,
        };
        let added = collection.next_doc_id;
        collection.apply(op, doc, replaces, offset)?;
        let replay = &mut self.recovery.replay;
        replay.records += 1;
        replay.documents += u64::from(!deletes);
        replay.deleted += u64::from(replaces.is_some());
        if !pk.is_empty() {
            replayed.latest.insert(pk, (!deletes).then_some(added));
        }
        Ok(())
    }

    /// The document that a record deletes or replaces.
    fn replaced(
        &mut self,
        relative: &Path,
        replayed: &mut Replayed,
        offset: u64,
        operation: &Operation,
    ) -> Option<u64> {
        if operation.op == Op::Insert {
            return None;
        }
        let (pk, doc_id) = (operation.content.pk(), operation.doc_id);
        if pk.is_empty() {
            return Some(doc_id);
        }
        let current = match replayed.latest.get(pk) {
            Some(latest) => *latest,
            None => replayed.old.get(pk).copied(),
        };
        if operation.op == Op::Upsert {
            return current;
        }
        // An id of this log whose record is not in it may be another document's by now.
        let id = current.or((doc_id < replayed.first_id).then_some(doc_id))?;
        if id != doc_id && !std::mem::replace(&mut replayed.shifted, true) {
            let detail = format!(
                "the record names document {doc_id}, its key belongs to {id}: a record before it is missing (zvec loses one when it is killed behind \
                 a block switch); keys were followed"
            );
            let finding = Finding::warning("wal.shifted-ids", detail).at(relative).offset(offset);
            self.findings.add(finding.loses(Loss::Possible, Some(1)));
        }
        Some(id)
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
