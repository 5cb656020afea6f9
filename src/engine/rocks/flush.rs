//! From memory into tables, and tables into one.
//!
//! Order of a step: tables written and synced; the directory synced; the edits appended to the MANIFEST and synced, which is the
//! commit; what the edits replace removed.

use std::{collections::BTreeSet, path::PathBuf};

use super::{
    RocksStore,
    directory::{StoreDir, discard, make_room},
    failed,
    memtable::Memtable,
    view::FamilyView,
};
use crate::{
    engine::{EngineError, FileSink},
    format::{
        FormatError,
        cursor::Cursor,
        rocks::{
            Directory,
            directory::{numbered, table_number},
            edit::{NewFile, VersionEdit},
            write::{
                MergePlan, TableBuilder, TableOptions, merge_tables,
                plan::{flush_edits, merge_edits, table_name},
            },
        },
    },
};

/// Tables on level 0 at which they are merged, as RocksDB's own default is.
const TRIGGER: usize = 4;
/// Custom field of a file: time since which its data may be there.
const OLDEST: u32 = 5;

/// What a flush did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flushed {
    /// Tables written from memory.
    pub tables: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Tables that were merged into others and removed.
    pub merged: usize,
}

/// The edit that drops a column family.
pub(super) fn drop_edit(id: u32) -> VersionEdit {
    VersionEdit { column_family: id, column_family_drop: true, ..VersionEdit::default() }
}

/// The highest number of a log in the directory.
pub(super) fn newest_log(dir: &StoreDir<'_>) -> Result<Option<u64>, EngineError> {
    let names = dir.names().map_err(|error| failed(dir.path, error))?;
    Ok(names.iter().filter_map(|name| numbered(name, "", ".log")).max())
}

impl RocksStore {
    /// Writes what is in memory into one table for each family and makes that durable, all of it or nothing. Then tables are
    /// merged where four or more of about a size lie on level 0. Without unflushed writes only the latter is done.
    ///
    /// # Errors
    /// After an error the store can be used as before, and the flush tried again: what did not become durable is still in memory.
    /// If it was the last step that failed, that of the MANIFEST, a crash may leave either state. Once
    /// [`is_dirty`](Self::is_dirty) is `false` all is durable and the error is one of merging.
    pub fn flush(&mut self) -> Result<Flushed, EngineError> {
        let mut done = Flushed::default();
        if self.is_dirty() {
            self.prepare()?;
            let mut written = Vec::new();
            let flushed = self.write_tables(&mut written).and_then(|last_sequence| {
                let tables = written.iter().map(|(id, file)| (*id, file.clone()));
                let edits = flush_edits(&self.manifest, tables, last_sequence);
                edits.map_err(|error| failed(&self.dir, error)).map(|edits| (edits, last_sequence))
            });
            let (edits, last_sequence) = self.or_discard(flushed, &written)?;
            let edits = self.with_logs(edits);
            let committed = self.commit(edits);
            self.or_discard(committed, &written)?;
            self.last_sequence = last_sequence;
            self.memtables.iter_mut().for_each(|memtable| *memtable = Memtable::default());
            self.replayed_log = None;
            done.tables = written.len();
            done.bytes = written.iter().map(|(_, file)| file.size).sum();
            self.sweep();
        }
        done.merged = self.merge_piles()?;
        Ok(done)
    }

    /// Removes tables that no MANIFEST can name, if this is an error before the commit.
    fn or_discard<T>(&self, result: Result<T, EngineError>, written: &[(u32, NewFile)]) -> Result<T, EngineError> {
        let next = self.manifest.next_file_number.unwrap_or_default();
        // After a commit that failed their numbers are taken: they may be in force after a crash.
        if result.is_err() {
            self.discard_tables(written.iter().map(|(_, file)| file.number).filter(|number| *number >= next));
        }
        result
    }

    /// Removes tables that nothing names any more.
    pub(super) fn discard_tables(&self, numbers: impl IntoIterator<Item = u64>) {
        discard(self.fs.as_ref(), numbers.into_iter().map(|number| self.dir.join(table_name(number))));
    }

    /// Number of the next table, of which `written` are not in the MANIFEST yet.
    fn next_number(&self, written: usize) -> u64 {
        self.manifest.next_file_number.unwrap_or(2).saturating_add(written as u64)
    }

    fn builder(&self, number: u64, view: &FamilyView) -> Result<(PathBuf, FileSink, TableOptions), EngineError> {
        let info = view.family.info();
        let path = self.dir.join(table_name(number));
        let refused = |error| EngineError::io(&path, error);
        make_room(self.fs.as_ref(), &path).map_err(refused)?;
        let sink = FileSink::new(self.fs.create_new(&path).map_err(refused)?, 0);
        let options = TableOptions {
            merge_operator: view.options.merge_operator_name.clone(),
            capped_prefix: view.options.capped_prefix,
            ..TableOptions::new(number, info.id, info.name.clone(), (self.clock)())
        };
        Ok((path, sink, options))
    }

    /// Writes the memtables, adds each table to `written`, and returns the last sequence number that they took.
    fn write_tables(&self, written: &mut Vec<(u32, NewFile)>) -> Result<u64, EngineError> {
        let mut sequence = self.last_sequence;
        for (view, memtable) in self.flushed.views().iter().zip(&self.memtables) {
            if memtable.is_empty() {
                continue;
            }
            let number = self.next_number(written.len());
            let id = view.family.info().id;
            let at = written.len();
            // There from now on, if only to be removed.
            written.push((id, NewFile { number, ..NewFile::default() }));
            let (path, mut sink, options) = self.builder(number, view)?;
            let mut builder = TableBuilder::new(&mut sink, options);
            let operator = view.options.merge.as_ref();
            let mut write = || {
                for (key, op) in memtable.sorted() {
                    op.entries(key, operator, &mut sequence, |at, kind, value| builder.add(key, at, kind, value))?;
                }
                Ok(())
            };
            let finished = write().and_then(|()| builder.finish());
            let built = finished.map_err(|error: FormatError| failed(&path, error))?;
            sink.sync().map_err(|error| EngineError::io(&path, error))?;
            written[at] = (id, built.file);
        }
        self.fs.sync_dir(&self.dir).map_err(|error| EngineError::io(&self.dir, error))?;
        Ok(sequence)
    }

    /// The edits of a flush, and that the logs which were taken over hold nothing any more.
    fn with_logs(&self, mut edits: Vec<VersionEdit>) -> Vec<VersionEdit> {
        let Some(log) = self.replayed_log.map(|number| number.saturating_add(1)) else { return edits };
        for id in self.manifest.column_families.keys() {
            if !edits.iter().any(|edit| edit.column_family == *id) {
                edits.push(VersionEdit { column_family: *id, ..VersionEdit::default() });
            }
        }
        let next = edits.iter().filter_map(|edit| edit.next_file_number).max().max(Some(log.saturating_add(1)));
        let last_sequence = edits.iter().filter_map(|edit| edit.last_sequence).max();
        let last = edits.len() - 1;
        for (number, edit) in edits.iter_mut().enumerate() {
            edit.log_number = Some(log);
            edit.min_log_number_to_keep = (edit.column_family == 0).then_some(log);
            edit.next_file_number = next;
            edit.last_sequence = last_sequence;
            edit.atomic_group_remaining = (last > 0).then(|| u32::try_from(last - number).unwrap_or_default());
        }
        edits
    }

    /// Opens the tables that `edits` add, appends the edits, and only then takes the new state over.
    pub(super) fn commit(&mut self, edits: Vec<VersionEdit>) -> Result<(), EngineError> {
        let dir = StoreDir { fs: self.fs.as_ref(), path: &self.dir };
        let mut manifest = self.manifest.clone();
        edits.iter().for_each(|edit| manifest.apply(edit.clone(), 0));
        if let Some(error) = manifest.faults.first() {
            return Err(failed(&self.dir, error.clone()));
        }
        let changed: BTreeSet<u32> = edits.iter().map(|edit| edit.column_family).collect();
        let mut views = Vec::new();
        let mut new_families = 0;
        for (id, info) in &manifest.column_families {
            let known = self.flushed.views().iter().find(|view| view.family.info().id == *id);
            views.push(match known {
                Some(view) if !changed.contains(id) => view.clone(),
                Some(view) => {
                    let family = view.family.advance(info.clone(), &dir).map_err(|fault| self.flushed.fault(fault))?;
                    FamilyView::new(family, view.options.clone())
                }
                None => {
                    new_families += 1;
                    let options = (self.options)(&info.name);
                    FamilyView::empty(info.clone(), options)
                }
            });
        }
        self.manifest_file.append(&dir, &mut self.manifest, &edits)?;
        let kept: Vec<bool> = self
            .flushed
            .views()
            .iter()
            .map(|view| manifest.column_families.contains_key(&view.family.info().id))
            .collect();
        let mut kept = kept.into_iter();
        self.memtables.retain(|_| kept.next().unwrap_or(false));
        // Ids go up: new families come last.
        self.memtables.extend((0..new_families).map(|_| Memtable::default()));
        self.manifest = manifest;
        self.flushed = self.flushed.with(views);
        Ok(())
    }

    /// Merges tables where they pile up, all families in one step, until none do. Returns how many tables that removed.
    fn merge_piles(&mut self) -> Result<usize, EngineError> {
        let mut merged = 0;
        loop {
            let views = self.flushed.views().iter().enumerate();
            let plans: Vec<(usize, MergePlan)> = views.filter_map(|(place, view)| Some((place, plan(view)?))).collect();
            if plans.is_empty() {
                return Ok(merged);
            }
            self.prepare()?;
            let mut written = Vec::new();
            let outputs = self.write_merges(&plans, &mut written);
            let outputs = self.or_discard(outputs, &written)?;
            let inputs: Vec<u64> = plans.iter().flat_map(|(_, plan)| plan.numbers()).collect();
            let edits = merge_edits(&self.manifest, plans.into_iter().map(|(_, plan)| plan).zip(outputs));
            let edits = edits.map_err(|error| failed(&self.dir, error));
            let edits = self.or_discard(edits, &written)?;
            let committed = self.commit(edits);
            self.or_discard(committed, &written)?;
            merged += inputs.len();
            self.discard_tables(inputs);
        }
    }

    /// Writes the output of each plan, if it has one.
    fn write_merges(
        &self,
        plans: &[(usize, MergePlan)],
        written: &mut Vec<(u32, NewFile)>,
    ) -> Result<Vec<Option<NewFile>>, EngineError> {
        let mut outputs = Vec::new();
        for (place, plan) in plans {
            let view = &self.flushed.views()[*place];
            let number = self.next_number(written.len());
            written.push((plan.column_family, NewFile { number, ..NewFile::default() }));
            let (path, mut sink, options) = self.builder(number, view)?;
            let files = plan.inputs.iter().filter_map(|(_, number)| view.family.info().files.get(number));
            let oldest = files.map(oldest).min().unwrap_or_default();
            let options = TableOptions { oldest, oldest_key: 0, ..options };
            let operator = view.options.merge.as_ref().map(|operator| operator.as_ref() as _);
            let built = merge_tables(&view.family, plan, operator, TableBuilder::new(&mut sink, options));
            let built = built.map_err(|error| failed(&path, error))?;
            if built.is_some() {
                sink.sync().map_err(|error| EngineError::io(&path, error))?;
            } else {
                // Nothing is left, and the number goes to the next one.
                discard(self.fs.as_ref(), [path]);
                written.pop();
            }
            outputs.push(built.map(|built| built.file));
        }
        self.fs.sync_dir(&self.dir).map_err(|error| EngineError::io(&self.dir, error))?;
        Ok(outputs)
    }

    /// Removes, once, what crashes have left: nothing but the MANIFEST in force, just synced, says what is needed.
    fn sweep(&mut self) {
        if std::mem::replace(&mut self.swept, true) {
            return;
        }
        let dir = StoreDir { fs: self.fs.as_ref(), path: &self.dir };
        let Ok(names) = dir.names() else { return };
        let families = self.manifest.column_families.values();
        let live: BTreeSet<u64> = families.clone().flat_map(|family| family.files.keys().copied()).collect();
        let oldest_log = families.map(|family| family.log_number).min().unwrap_or_default();
        let oldest_log = oldest_log.max(self.manifest.min_log_number_to_keep);
        let needless = names.into_iter().filter(|name| {
            let manifest =
                numbered(name, "MANIFEST-", "").is_some() && self.manifest_file.name() != Some(name.as_str());
            let table = table_number(name).is_some_and(|number| !live.contains(&number));
            let log = numbered(name, "", ".log").is_some_and(|number| number < oldest_log);
            manifest || table || log || numbered(name, "", ".dbtmp").is_some()
        });
        discard(self.fs.as_ref(), needless.map(|name| self.dir.join(name)));
    }
}

/// The merge that a family needs.
fn plan(view: &FamilyView) -> Option<MergePlan> {
    let plan = MergePlan::choose(view.family.info(), TRIGGER)?;
    // Range deletions, which zvec does not write, go in a merge of all tables only.
    if view.family.tombstones().is_empty() { Some(plan) } else { MergePlan::all(view.family.info()) }
}

/// Time since which a table's data may be there; 0 if it does not tell.
fn oldest(file: &NewFile) -> u64 {
    file.custom(OLDEST)
        .and_then(|bytes| Cursor::new(bytes, 0, "rocks-edit.truncated").varint().ok())
        .unwrap_or_default()
}
