//! A database that is open for writing.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    FamilyOptions, OptionsOf, RocksSnapshot, Row, clock,
    directory::StoreDir,
    failed, flush,
    manifest_file::ManifestFile,
    memtable::{Memtable, Seen, needed},
    view::FamilyView,
};
use crate::{
    engine::EngineError,
    format::{
        FormatError,
        rocks::{
            Comparator, Db, Entry, Family, Fault, OF_A_CRASH,
            version::Manifest,
            write::plan::{add_column_family, new_database, snapshot},
        },
    },
    vfs::VfsMut,
};

/// A RocksDB directory, open for writing. Whoever has it keeps other writers away: the collection's lock does.
pub struct RocksStore {
    pub(super) fs: Arc<dyn VfsMut>,
    pub(super) dir: PathBuf,
    pub(super) options: Box<OptionsOf>,
    pub(super) clock: fn() -> u64,
    pub(super) manifest: Manifest,
    pub(super) manifest_file: ManifestFile,
    /// What is in tables, the families in the order of their ids.
    pub(super) flushed: RocksSnapshot,
    /// What is not, in the same order.
    pub(super) memtables: Vec<Memtable>,
    /// Last sequence number that is taken.
    pub(super) last_sequence: u64,
    /// The newest log that was taken over; its writes are in memory.
    pub(super) replayed_log: Option<u64>,
    /// Files that nothing names have been removed.
    pub(super) swept: bool,
    /// What a crash leaves was found at the end of the MANIFEST or of a log.
    torn: bool,
}

impl std::fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksStore")
            .field("dir", &self.dir)
            .field("memory", &self.memory_size())
            .finish_non_exhaustive()
    }
}

impl RocksStore {
    /// Makes the directory `dir`, which must not exist, with an empty database of the family `default` and `families`; all of it is
    /// durable but the entry in the parent directory. `options` tells how a family is written.
    ///
    /// # Errors
    /// [`EngineError::Io`], for an existing directory too; the directory may then be there without CURRENT, and is no database.
    pub fn create(
        fs: Arc<dyn VfsMut>,
        dir: &Path,
        families: &[&[u8]],
        options: impl Fn(&[u8]) -> FamilyOptions + Send + Sync + 'static,
    ) -> Result<Self, EngineError> {
        fs.create_dir(dir).map_err(|error| EngineError::io(dir, error))?;
        let named = families.iter().copied().filter(|name| *name != b"default");
        let mut manifest = new_database(named, 0);
        let mut manifest_file = ManifestFile::none();
        manifest_file.prepare(&StoreDir { fs: fs.as_ref(), path: dir }, &mut manifest)?;
        let db = Db::open(&StoreDir { fs: fs.as_ref(), path: dir }).map_err(|error| failed(dir, error))?;
        Self::load(fs, dir, options, manifest_file, &db)
    }

    /// Opens the database in `dir`. Writes that are only in a log are taken over into memory. Nothing is changed before the first
    /// flush.
    ///
    /// # Errors
    /// [`EngineError::Format`] with the file for any damage, however small: nothing is written on top of that. What a crash leaves,
    /// half a record or group at the end of the MANIFEST or a log, tables that nothing names, is none.
    pub fn open(
        fs: Arc<dyn VfsMut>,
        dir: &Path,
        options: impl Fn(&[u8]) -> FamilyOptions + Send + Sync + 'static,
    ) -> Result<Self, EngineError> {
        let store_dir = StoreDir { fs: fs.as_ref(), path: dir };
        let db = Db::open(&store_dir).map_err(|error| failed(dir, error))?;
        let fault = |fault: &Fault| failed(&dir.join(&fault.file), fault.error.clone());
        if let Some(damage) = db.faults().iter().find(|fault| !OF_A_CRASH.contains(&fault.error.code)) {
            return Err(fault(damage));
        }
        let name = db.manifest_name().unwrap_or_default();
        let manifest_file = ManifestFile::found(&store_dir, name)?;
        Self::load(fs, dir, options, manifest_file, &db)
    }

    fn load(
        fs: Arc<dyn VfsMut>,
        dir: &Path,
        options: impl Fn(&[u8]) -> FamilyOptions + Send + Sync + 'static,
        manifest_file: ManifestFile,
        db: &Db,
    ) -> Result<Self, EngineError> {
        let store_dir = StoreDir { fs: fs.as_ref(), path: dir };
        let mut manifest = db.manifest().clone();
        // Of no further use: what a crash left is cut off before anything is appended.
        manifest.faults.clear();
        let in_manifest = |error| failed(&dir.join(manifest_file.name().unwrap_or_default()), error);
        // Refuses what cannot be written again.
        snapshot(&manifest).map_err(in_manifest)?;
        let mut last_sequence = manifest.last_sequence.unwrap_or_default();
        let mut views = Vec::new();
        let mut memtables = Vec::new();
        let mut replayed = false;
        for family in db.column_families() {
            let options = options(&family.info().name);
            let memtable = Self::take_over(family, &options).map_err(|error| failed(dir, error))?;
            let fault = |fault: Fault| failed(&dir.join(&fault.file), fault.error);
            let view = FamilyView::new(family.advance(family.info().clone(), &store_dir).map_err(fault)?, options);
            if view.family.tombstones().len() != family.tombstones().len() {
                let detail = "a range deletion in a log is not taken over";
                return Err(failed(dir, FormatError::unsupported("rocks.unsupported-value", 0, detail)));
            }
            let in_tables = family.tables().iter().filter_map(|live| live.file.largest_sequence);
            let in_logs = family.unflushed().iter().map(|version| version.sequence);
            last_sequence = last_sequence.max(in_tables.chain(in_logs).max().unwrap_or_default());
            replayed |= !memtable.is_empty();
            memtables.push(memtable);
            views.push(view);
        }
        let replayed_log = if replayed { flush::newest_log(&store_dir)? } else { None };
        let flushed = RocksSnapshot::new(dir, views, Arc::default());
        Ok(Self {
            dir: dir.to_owned(),
            fs,
            options: Box::new(options),
            clock: clock::unix_seconds,
            manifest,
            manifest_file,
            flushed,
            memtables,
            last_sequence,
            replayed_log,
            swept: false,
            torn: !db.faults().is_empty(),
        })
    }

    /// The writes of a family that are only in a log.
    fn take_over(family: &Family, options: &FamilyOptions) -> Result<Memtable, FormatError> {
        let unsupported = |detail| Err(FormatError::unsupported("rocks.unsupported-value", 0, detail));
        if family.comparator() != Comparator::Bytewise {
            return unsupported(format!("column family {} is not in the order of bytes", family.name()));
        }
        let mut memtable = Memtable::default();
        // Of one key the oldest comes last.
        for version in family.unflushed().iter().rev() {
            if memtable.replay(version, options.merge.as_ref())?.is_none() {
                return unsupported(format!("a write of type {} in a log is not taken over", version.kind.byte()));
            }
        }
        Ok(memtable)
    }

    /// Whether the end of the MANIFEST or of a log was torn when it was opened. A crash does that to what was never acknowledged; damage may do it
    /// to what was.
    pub fn was_torn(&self) -> bool {
        self.torn
    }

    /// Takes the time of tables, Unix seconds, from `clock`.
    pub fn set_clock(&mut self, clock: fn() -> u64) {
        self.clock = clock;
    }

    /// Names of the column families, by id; the first is `default`.
    pub fn families(&self) -> impl Iterator<Item = &[u8]> {
        self.flushed.families()
    }

    /// Adds an empty column family; it is durable when this returns.
    ///
    /// # Errors
    /// [`EngineError::Format`] if it is there already; else as [`flush`](Self::flush).
    pub fn add_family(&mut self, name: &[u8]) -> Result<(), EngineError> {
        self.prepare()?;
        let edit = add_column_family(&self.manifest, name).map_err(|error| failed(&self.dir, error))?;
        self.commit(vec![edit])
    }

    /// Drops a column family with all that it holds, in memory too; that is durable when this returns. `default` stays.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn drop_family(&mut self, name: &[u8]) -> Result<(), EngineError> {
        let place = self.flushed.place(name)?;
        let Some(view) = self.flushed.views().get(place).filter(|view| view.family.info().id != 0) else {
            let detail = "the column family `default` cannot be dropped";
            return Err(failed(&self.dir, FormatError::malformed("rocks-manifest.write", 0, detail)));
        };
        let info = view.family.info().clone();
        self.prepare()?;
        self.commit(vec![flush::drop_edit(info.id)])?;
        self.discard_tables(info.files.keys().copied());
        Ok(())
    }

    fn memtable(&mut self, family: &[u8]) -> Result<(&mut Memtable, usize), EngineError> {
        let place = self.flushed.place(family)?;
        Ok((&mut self.memtables[place], place))
    }

    /// What unflushed writes make of `key`, which has no operands: a value, or `None` inside if they delete it. Errors as of [`put`](Self::put).
    pub fn unflushed(&self, family: &[u8], key: &[u8]) -> Result<Option<Option<Vec<u8>>>, EngineError> {
        let place = self.flushed.place(family)?;
        Ok(match self.seen(place, key)? {
            Some(Seen::Value(value)) => Some(Some(value)),
            Some(Seen::Deleted) => Some(None),
            Some(Seen::OnTop(_)) | None => None,
        })
    }

    /// The keys that unflushed writes touch, in no order. Errors as of [`put`](Self::put).
    pub fn unflushed_keys(&self, family: &[u8]) -> Result<impl Iterator<Item = &[u8]>, EngineError> {
        let place = self.flushed.place(family)?;
        Ok(self.memtables[place].keys())
    }

    /// Makes room for so many more keys. Errors as of [`put`](Self::put).
    pub fn reserve(&mut self, family: &[u8], keys: usize) -> Result<(), EngineError> {
        self.memtable(family)?.0.reserve(keys);
        Ok(())
    }

    /// Gives `key` a value.
    ///
    /// # Errors
    /// [`EngineError::Refused`] where there is no such family.
    pub fn put(&mut self, family: &[u8], key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.memtable(family)?.0.put(key, value);
        Ok(())
    }

    /// Deletes `key`, there or not. Errors as of [`put`](Self::put).
    pub fn delete(&mut self, family: &[u8], key: &[u8]) -> Result<(), EngineError> {
        self.memtable(family)?.0.delete(key);
        Ok(())
    }

    /// Puts an operand of the family's merge operator on top of what `key` holds.
    ///
    /// # Errors
    /// As of [`put`](Self::put); [`EngineError::Format`] if the family has no operator or that cannot read its operands.
    pub fn merge(&mut self, family: &[u8], key: &[u8], operand: &[u8]) -> Result<(), EngineError> {
        let place = self.flushed.place(family)?;
        let Some(view) = self.flushed.views().get(place) else { return Ok(()) };
        let operator = needed(view.options.merge.as_ref()).cloned();
        let merged = operator.and_then(|operator| self.memtables[place].merge(key, operand, &operator));
        merged.map_err(|error| failed(&self.dir, error))
    }

    /// The value of `key`, unflushed writes included.
    ///
    /// # Errors
    /// [`EngineError::Format`] or [`EngineError::Io`] with the file where a table that may hold it cannot be read,
    /// [`EngineError::Refused`] where there is no such family.
    pub fn get(&self, family: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let place = self.flushed.place(family)?;
        match self.seen(place, key)? {
            None => self.flushed.look_up(place, key, &[]),
            Some(Seen::Value(value)) => Ok(Some(value)),
            Some(Seen::Deleted) => Ok(None),
            Some(Seen::OnTop(operands)) => self.flushed.look_up(place, key, operands),
        }
    }

    fn seen(&self, place: usize, key: &[u8]) -> Result<Option<Seen<'_>>, EngineError> {
        let operator = self.flushed.views().get(place).and_then(|view| view.options.merge.as_ref());
        let op = self.memtables.get(place).and_then(|memtable| memtable.get(key));
        op.map(|op| op.seen(key, operator)).transpose().map_err(|error| failed(&self.dir, error))
    }

    /// The keys of `family` in order with their values, unflushed writes included. One block of each table is in memory, and a
    /// reference to each unflushed key. Errors are those of [`get`](Self::get); what comes behind one may be out of date.
    pub fn scan(&self, family: &[u8]) -> Result<impl Iterator<Item = Result<Row, EngineError>>, EngineError> {
        let place = self.flushed.place(family)?;
        let mut rows = self.flushed.rows(place).peekable();
        let mut unflushed = self.memtables[place].sorted().into_iter().map(|(key, _)| key).peekable();
        let next = move || -> Option<Result<Option<Row>, EngineError>> {
            let order = match (rows.peek(), unflushed.peek()) {
                (None, None) => return None,
                (Some(Err(_)), _) | (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(Ok((stored, _))), Some(key)) => stored.as_slice().cmp(key),
            };
            if order.is_lt() {
                return rows.next().and_then(|row| self.flushed.finished(place, row)).map(|row| row.map(Some));
            }
            let key = unflushed.next()?;
            let below = if order.is_eq() { rows.next().and_then(Result::ok).map(|(_, entry)| entry) } else { None };
            Some(self.on_top(place, key, below))
        };
        Ok(std::iter::from_fn(next).filter_map(Result::transpose))
    }

    /// An unflushed key with what the tables hold of it.
    fn on_top(&self, place: usize, key: &[u8], below: Option<Entry>) -> Result<Option<Row>, EngineError> {
        let value = match self.seen(place, key)? {
            Some(Seen::Value(value)) => Some(value),
            Some(Seen::OnTop(operands)) => match self.flushed.views().get(place) {
                Some(view) => view.value(key, below, operands).map_err(|error| failed(&self.dir, error))?,
                None => None,
            },
            _ => None,
        };
        Ok(value.map(|value| (key.to_vec(), value)))
    }

    /// Bytes that unflushed writes take, about.
    pub fn memory_size(&self) -> usize {
        self.memtables.iter().map(Memtable::size).sum()
    }

    /// Whether there are unflushed writes.
    pub fn is_dirty(&self) -> bool {
        self.memtables.iter().any(|memtable| !memtable.is_empty())
    }

    /// What has been flushed so far.
    pub fn snapshot(&self) -> RocksSnapshot {
        self.flushed.clone()
    }

    /// Makes the MANIFEST ready for [`commit`](Self::commit).
    pub(super) fn prepare(&mut self) -> Result<(), EngineError> {
        self.manifest_file.prepare(&StoreDir { fs: self.fs.as_ref(), path: &self.dir }, &mut self.manifest)
    }
}
