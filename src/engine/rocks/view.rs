//! What is in the tables of a database, at one moment.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{FamilyOptions, Row, cache::BlockCache, failed, memtable::needed};
use crate::{
    engine::{EngineError, Refusal},
    format::{
        Result as FormatResult,
        rocks::{Entry, Family, Fault, LiveTable, ValueType, Version, version::ColumnFamily},
    },
};

/// What was in tables when it was taken. It stays readable whatever is flushed, merged and removed later, as its files stay open; a clone
/// costs nothing.
#[derive(Clone)]
pub struct RocksSnapshot {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    families: Vec<FamilyView>,
    cache: Arc<BlockCache>,
}

/// A column family of a snapshot.
#[derive(Clone)]
pub(super) struct FamilyView {
    pub family: Arc<Family>,
    pub options: FamilyOptions,
    /// Its tables, those with the newest writes first.
    by_age: Arc<[Arc<LiveTable>]>,
}

impl FamilyView {
    pub(super) fn new(family: Family, options: FamilyOptions) -> Self {
        let mut tables = family.tables().to_vec();
        tables.sort_by_key(|live| std::cmp::Reverse(live.largest_sequence()));
        Self { family: Arc::new(family), options, by_age: tables.into() }
    }

    pub(super) fn empty(info: ColumnFamily, options: FamilyOptions) -> Self {
        Self::new(Family::empty(info), options)
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.family.info().name
    }

    /// What the tables hold of `key`. A table without it costs one look into its filter.
    fn entry(&self, key: &[u8], cache: &BlockCache) -> Result<Option<Entry>, Fault> {
        let mut versions: Vec<Version> = Vec::new();
        let mut floor = self.family.deleted_at(key);
        for live in self.by_age.iter() {
            if floor.is_some_and(|floor| live.largest_sequence() < floor) {
                break;
            }
            if !live.may_hold(self.family.comparator(), key) || !live.table.may_contain(key) {
                continue;
            }
            for number in live.table.blocks_of(key) {
                let block = cache.block(live, number).map_err(|fault| {
                    let id = self.family.info().id;
                    Fault { file: live.name.clone(), error: fault.error, column_family: Some(id), keys: fault.keys }
                })?;
                versions.extend(block.iter().filter(|version| version.key == key).cloned());
            }
            // Operands go on to what is below them; anything else hides it.
            let hides = versions.iter().filter(|version| version.kind != ValueType::Merge);
            floor = floor.max(hides.map(|version| version.sequence).max());
        }
        self.family.settle(key, versions)
    }

    /// The value of what tables hold of a key, with `more` operands on top.
    pub(super) fn value(&self, key: &[u8], entry: Option<Entry>, more: &[Vec<u8>]) -> FormatResult<Option<Vec<u8>>> {
        let (base, mut operands) = match entry {
            None => (None, Vec::new()),
            Some(Entry::Value(value)) => (Some(value), Vec::new()),
            Some(Entry::Merge { base, operands }) => (base, operands),
        };
        operands.extend_from_slice(more);
        if operands.is_empty() {
            return Ok(base);
        }
        needed(self.options.merge.as_ref())?.full(key, base.as_deref(), &operands).map(Some)
    }
}

impl RocksSnapshot {
    pub(super) fn new(dir: &Path, families: Vec<FamilyView>, cache: Arc<BlockCache>) -> Self {
        Self { inner: Arc::new(Inner { dir: dir.to_owned(), families, cache }) }
    }

    /// The same database with other families.
    pub(super) fn with(&self, families: Vec<FamilyView>) -> Self {
        Self::new(&self.inner.dir, families, Arc::clone(&self.inner.cache))
    }

    pub(super) fn views(&self) -> &[FamilyView] {
        &self.inner.families
    }

    /// Place of the family `name`.
    pub(super) fn place(&self, name: &[u8]) -> Result<usize, EngineError> {
        self.inner.families.iter().position(|view| view.name() == name).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            let message = format!("{}: there is no column family {name:?}", self.inner.dir.display());
            Refusal::new("rocks.no-family", message).into()
        })
    }

    pub(super) fn fault(&self, fault: Fault) -> EngineError {
        failed(&self.inner.dir.join(&fault.file), fault.error)
    }

    /// Value of `key` in the family at `place`, with operands on top.
    pub(super) fn look_up(&self, place: usize, key: &[u8], more: &[Vec<u8>]) -> Result<Option<Vec<u8>>, EngineError> {
        let Some(view) = self.inner.families.get(place) else { return Ok(None) };
        let entry = view.entry(key, &self.inner.cache).map_err(|fault| self.fault(fault))?;
        view.value(key, entry, more).map_err(|error| failed(&self.inner.dir, error))
    }

    /// The keys of the family at `place`, with what the tables hold.
    pub(super) fn rows(&self, place: usize) -> impl Iterator<Item = Result<(Vec<u8>, Entry), EngineError>> {
        let scan = self.inner.families.get(place).into_iter().flat_map(|view| view.family.scan());
        scan.map(|row| row.map(|row| (row.key, row.entry)).map_err(|fault| self.fault(fault)))
    }

    /// Names of the column families, by id; the first is `default`.
    pub fn families(&self) -> impl Iterator<Item = &[u8]> {
        self.inner.families.iter().map(FamilyView::name)
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`EngineError::Format`] or [`EngineError::Io`] with the file where a table that may hold it cannot be read,
    /// [`EngineError::Refused`] where there is no such family.
    pub fn get(&self, family: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.look_up(self.place(family)?, key, &[])
    }

    /// The keys of `family` in order, with their values; one block of each table is in memory. Errors are those of [`get`](Self::get);
    /// what comes behind one may be out of date.
    pub fn scan(&self, family: &[u8]) -> Result<impl Iterator<Item = Result<Row, EngineError>>, EngineError> {
        let place = self.place(family)?;
        Ok(self.rows(place).filter_map(move |row| self.finished(place, row)))
    }

    /// A row of tables with its operands resolved.
    pub(super) fn finished(
        &self,
        place: usize,
        row: Result<(Vec<u8>, Entry), EngineError>,
    ) -> Option<Result<Row, EngineError>> {
        match row {
            Err(error) => Some(Err(error)),
            Ok((key, Entry::Value(value))) => Some(Ok((key, value))),
            Ok((key, entry)) => match self.inner.families.get(place)?.value(&key, Some(entry), &[]) {
                Ok(value) => value.map(|value| Ok((key, value))),
                Err(error) => Some(Err(failed(&self.inner.dir, error))),
            },
        }
    }
}
