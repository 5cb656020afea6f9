//! A database directory: its live column families, tables and unflushed writes, however much of it can be read.
//!
//! ```text
//! CURRENT           name of the MANIFEST in force, newline
//! MANIFEST-NNNNNN   log of version edits
//! NNNNNN.sst        tables
//! NNNNNN.log        write-ahead logs; those from a column family's log number on hold what its tables do not
//! OPTIONS-NNNNNN, IDENTITY, LOCK, LOG   not needed to read
//! ```
//! When CURRENT is unusable the highest MANIFEST is taken, and without a MANIFEST every table, assigned to the column family that
//! its properties name. Then deleted or superseded entries of obsolete tables may come back, which is why everything read in
//! that state is marked uncertain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::MOST_FAULTS;
use super::batch::WriteBatch;
use super::directory::{Directory, find_manifest, numbered, table_number};
use super::edit::NewFile;
use super::key::{Comparator, KeyRange, MAX_SEQUENCE, ValueType, Version, split_internal_key};
use super::log::LogReader;
use super::table::{Table, TableFault, TableHints};
use super::version::{ColumnFamily, Manifest};
use crate::format::{FormatError, Kind, Result, Source};

/// Damage in one file of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Name of the file in the directory.
    pub file: String,
    /// What is wrong with it.
    pub error: FormatError,
    /// Column family whose keys it touches; `None` if none or all.
    pub column_family: Option<u32>,
    /// Keys that may be lost or stale because of it; `None` if no key is touched.
    pub keys: Option<KeyRange>,
}

impl Fault {
    pub(super) fn of_file(file: &str, error: FormatError) -> Self {
        Self { file: file.to_owned(), error, column_family: None, keys: None }
    }
}

/// A live table.
pub struct LiveTable {
    /// Its file name.
    pub name: String,
    /// What the MANIFEST says of it; without MANIFEST, level 0 and nothing else.
    pub file: NewFile,
    /// Whether a MANIFEST says so.
    pub listed: bool,
    /// The table itself.
    pub table: Table<Box<dyn Source>>,
}

/// Keys that may have newer versions than those that can be read.
#[derive(Debug, Clone)]
pub(super) struct Damage {
    pub keys: KeyRange,
    /// No lost version is newer.
    pub largest_sequence: u64,
    pub fault: Fault,
}

/// A column family, opened. A clone shares the tables.
#[derive(Clone)]
pub struct Family {
    pub(super) info: ColumnFamily,
    pub(super) comparator: Comparator,
    pub(super) tables: Vec<Arc<LiveTable>>,
    /// Writes that are only in a log, in key order, newest first.
    pub(super) unflushed: Vec<Version>,
    pub(super) tombstones: Vec<Tombstone>,
    pub(super) damage: Vec<Damage>,
    /// How often everything was lost.
    losses: usize,
}

/// A range deletion, cut to the bounds of its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// First key deleted.
    pub begin: Vec<u8>,
    /// First key not deleted.
    pub end: Vec<u8>,
    /// Its sequence number: only older versions are deleted.
    pub sequence: u64,
    within: KeyRange,
    /// The upper bound itself is outside.
    open: bool,
}

impl Tombstone {
    /// Whether it deletes versions of `key` that are older than it.
    pub fn covers(&self, comparator: Comparator, key: &[u8]) -> bool {
        comparator.compare(&self.begin, key).is_le()
            && comparator.compare(key, &self.end).is_lt()
            && self.within.contains(comparator, key)
            && !(self.open && self.within.upper.as_deref() == Some(key))
    }
}

/// An opened database.
pub struct Db {
    pub(super) families: Vec<Family>,
    manifest_name: Option<String>,
    manifest: Manifest,
    unreferenced: Vec<String>,
    faults: Vec<Fault>,
}

impl Db {
    /// Opens what can be opened. Fails only if the directory cannot be listed or holds no database.
    pub fn open(directory: &dyn Directory) -> Result<Self> {
        let mut names = directory.names()?;
        names.sort();
        let mut faults = Vec::new();
        let found = find_manifest(directory, &names, &mut faults);
        if found.is_none() && !names.iter().any(|name| table_number(name).is_some()) {
            return Err(faults.into_iter().next().map(|fault| fault.error).unwrap_or_else(|| {
                let detail = "neither CURRENT, MANIFEST nor tables: not a RocksDB directory";
                FormatError::malformed("rocks.not-a-database", 0, detail)
            }));
        }
        let listed = found.is_some();
        let (manifest_name, manifest) = found.map(|(name, manifest)| (Some(name), manifest)).unwrap_or_default();
        let mut db = Self { families: Vec::new(), manifest_name, manifest, unreferenced: Vec::new(), faults };
        if listed {
            db.open_listed(directory, &names);
        } else {
            db.open_unlisted(directory, &names);
        }
        db.replay_logs(directory, &names, listed);
        if !listed || !db.manifest.is_complete() {
            db.mark_all_uncertain();
        }
        db.families.sort_by_key(|family| family.info.id);
        Ok(db)
    }

    fn open_listed(&mut self, directory: &dyn Directory, names: &[String]) {
        let manifest_name = self.manifest_name.clone().unwrap_or_default();
        let faults = self.manifest.faults.iter();
        self.faults.extend(faults.map(|error| Fault::of_file(&manifest_name, error.clone())));
        let mut live = BTreeSet::new();
        for info in self.manifest.column_families.values() {
            let known = info.comparator.as_deref().map(|name| (name, Comparator::from_name(name)));
            let comparator = known.and_then(|(_, comparator)| comparator).unwrap_or_default();
            let mut family = Family::new(info.clone(), comparator);
            if let Some((name, None)) = known {
                let name = String::from_utf8_lossy(name);
                let detail = format!("comparator {name:?} of column family {} is not known", info.id);
                let error = FormatError::unsupported("rocks.unknown-comparator", 0, detail);
                let fault = Fault::of_file(&manifest_name, error);
                self.faults.push(fault.clone());
                family.lose_everything(fault);
            }
            for file in info.files.values() {
                let base = format!("{:06}", file.number);
                let name = [format!("{base}.sst"), format!("{base}.ldb")]
                    .into_iter()
                    .find(|name| names.binary_search(name).is_ok())
                    .unwrap_or_else(|| format!("{base}.sst"));
                live.insert(name.clone());
                family.open_table(directory, name, file.clone(), true, &mut self.faults);
            }
            self.families.push(family);
        }
        let stray = names.iter().filter(|name| table_number(name).is_some() && !live.contains(*name));
        self.unreferenced = stray.cloned().collect();
    }

    fn open_unlisted(&mut self, directory: &dyn Directory, names: &[String]) {
        let mut families: BTreeMap<(u32, Vec<u8>), Family> = BTreeMap::new();
        for name in names {
            let Some(number) = table_number(name) else { continue };
            // Opened into a family of its own first: only its properties tell where it belongs.
            let mut alone = Family::new(ColumnFamily::default(), Comparator::default());
            alone.open_table(
                directory,
                name.clone(),
                NewFile { number, ..NewFile::default() },
                false,
                &mut self.faults,
            );
            let Some(table) = alone.tables.pop() else { continue };
            let properties = table.table.properties();
            let id = properties.column_family_id().unwrap_or(u32::MAX);
            let name = properties.column_family().unwrap_or_default().to_vec();
            let family = families.entry((id, name.clone())).or_insert_with(|| {
                let info = ColumnFamily { id, name, ..ColumnFamily::default() };
                Family::new(info, table.table.comparator())
            });
            family.tables.push(table);
            family.tombstones.append(&mut alone.tombstones);
            family.damage.append(&mut alone.damage);
        }
        self.families.extend(families.into_values());
    }

    fn replay_logs(&mut self, directory: &dyn Directory, names: &[String], listed: bool) {
        let oldest = self.families.iter().map(|family| family.info.log_number).min().unwrap_or_default();
        let mut logs: Vec<_> = names.iter().filter_map(|name| Some((numbered(name, "", ".log")?, name))).collect();
        logs.sort();
        for (number, name) in logs {
            if listed && number < oldest.max(self.manifest.min_log_number_to_keep) {
                continue;
            }
            let source = match directory.open(name) {
                Ok(source) => source,
                Err(error) => {
                    self.lose_everything(Fault::of_file(name, error));
                    continue;
                }
            };
            for record in LogReader::new(source, Some(number)) {
                match record.and_then(|record| WriteBatch::decode(&record.data, record.offset)) {
                    Ok(batch) => {
                        if let Some(error) = batch.fault {
                            self.lose_everything(Fault::of_file(name, error));
                        }
                        for (family, version) in batch.operations {
                            self.add_unflushed(family, number, version, listed);
                        }
                    }
                    // What a crash leaves; the write was never acknowledged as durable.
                    Err(error) if error.code == "rocks-log.torn-tail" => self.faults.push(Fault::of_file(name, error)),
                    Err(error) => self.lose_everything(Fault::of_file(name, error)),
                }
            }
        }
        for family in &mut self.families {
            let comparator = family.comparator;
            family
                .unflushed
                .sort_by(|a, b| comparator.compare(&a.key, &b.key).then_with(|| b.sequence.cmp(&a.sequence)));
        }
    }

    fn add_unflushed(&mut self, id: u32, log: u64, version: Version, listed: bool) {
        let known = self.families.iter().position(|family| family.info.id == id);
        let family = match known {
            Some(at) => self.families.get_mut(at),
            // A write to a family that the MANIFEST has dropped is obsolete; without MANIFEST it cannot be told.
            None if listed => None,
            None => {
                self.families.push(Family::new(ColumnFamily { id, ..ColumnFamily::default() }, Comparator::default()));
                self.families.last_mut()
            }
        };
        let Some(family) = family.filter(|family| log >= family.info.log_number) else { return };
        if version.kind == ValueType::RangeDeletion {
            family.tombstones.push(Tombstone {
                begin: version.key,
                end: version.value,
                sequence: version.sequence,
                within: KeyRange::default(),
                open: false,
            });
        } else {
            family.unflushed.push(version);
        }
    }

    fn lose_everything(&mut self, fault: Fault) {
        self.families.iter_mut().for_each(|family| family.lose_everything(fault.clone()));
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Fault { keys: Some(KeyRange::default()), ..fault });
        }
    }

    fn mark_all_uncertain(&mut self) {
        let first = self.faults.first().cloned();
        let Some(fault) = self.faults.iter().find(|f| f.file.starts_with("MANIFEST")).cloned().or(first) else {
            return;
        };
        self.families.iter_mut().for_each(|family| family.lose_everything(fault.clone()));
    }

    /// The column families, by id.
    pub fn column_families(&self) -> &[Family] {
        &self.families
    }

    /// The column family `name`.
    pub fn column_family(&self, name: &[u8]) -> Option<&Family> {
        self.families.iter().find(|family| family.info.name == name)
    }

    /// The MANIFEST that was read, if any.
    pub fn manifest_name(&self) -> Option<&str> {
        self.manifest_name.as_deref()
    }

    /// What it says; empty without one.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Table files that are not live: left by a crash, or lost from a damaged MANIFEST.
    pub fn unreferenced_tables(&self) -> &[String] {
        &self.unreferenced
    }

    /// What was wrong when the database was opened. Damage in data blocks shows when they are read.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl Family {
    fn new(info: ColumnFamily, comparator: Comparator) -> Self {
        Self {
            info,
            comparator,
            tables: Vec::new(),
            unflushed: Vec::new(),
            tombstones: Vec::new(),
            damage: Vec::new(),
            losses: 0,
        }
    }

    /// Nothing read from the family is certain.
    fn lose_everything(&mut self, fault: Fault) {
        // Everything is lost already, and a file of garbage has a fault every seven bytes.
        self.losses = self.losses.saturating_add(1);
        if self.losses > MOST_FAULTS {
            return;
        }
        let keys = KeyRange::default();
        let fault = Fault { column_family: Some(self.info.id), keys: Some(keys.clone()), ..fault };
        self.damage.push(Damage { keys, largest_sequence: MAX_SEQUENCE, fault });
    }

    fn open_table(
        &mut self,
        directory: &dyn Directory,
        name: String,
        file: NewFile,
        listed: bool,
        faults: &mut Vec<Fault>,
    ) {
        let hints = TableHints {
            comparator: listed.then_some(self.comparator),
            sequences: file.largest_sequence.map(|largest| (file.smallest_sequence, largest)),
        };
        let bounds = bounds(&file, listed);
        let largest_sequence = file.largest_sequence.unwrap_or(MAX_SEQUENCE);
        let id = listed.then_some(self.info.id);
        let table = match directory.open(&name).and_then(|source| Table::open(source, &hints)) {
            Ok(table) => table,
            Err(mut error) => {
                if error.kind == Kind::Io && listed {
                    error.detail = format!("a live table of level {} cannot be opened: {}", file.level, error.detail);
                }
                let fault = Fault { file: name, error, column_family: id, keys: Some(bounds.clone()) };
                self.damage.push(Damage { keys: bounds, largest_sequence, fault: fault.clone() });
                faults.push(fault);
                return;
            }
        };
        let size = table.source().size();
        if listed && size != file.size {
            let detail = format!("the table has {size} bytes, the MANIFEST says {}", file.size);
            let error = FormatError::malformed("rocks.table-size", size.min(file.size), detail);
            faults.push(Fault { file: name.clone(), error, column_family: id, keys: None });
        }
        for TableFault { error, keys } in table.faults() {
            let keys = keys.as_ref().map(|keys| narrow(keys, &bounds));
            let fault = Fault { file: name.clone(), error: error.clone(), column_family: id, keys: keys.clone() };
            if let Some(keys) = keys {
                self.damage.push(Damage { keys, largest_sequence, fault: fault.clone() });
            }
            faults.push(fault);
        }
        let live = LiveTable { name, file, listed, table };
        self.tombstones.extend(live.tombstones());
        self.tables.push(Arc::new(live));
    }

    /// A family without tables.
    pub fn empty(info: ColumnFamily) -> Self {
        Self::new(info, Comparator::default())
    }

    /// The family after a step of a writer: `info` is what the MANIFEST says now. Tables that are open and still live are shared,
    /// the others are opened. Writes that are only in a log are left out: the writer has them.
    ///
    /// # Errors
    /// The first fault of a table that is opened, with its name.
    pub fn advance(&self, info: ColumnFamily, directory: &dyn Directory) -> std::result::Result<Self, Fault> {
        let mut next = Self::new(info, self.comparator);
        next.damage.clone_from(&self.damage);
        let mut faults = Vec::new();
        for (number, file) in next.info.files.clone() {
            match self.tables.iter().find(|live| live.file.number == number) {
                Some(live) => next.share(live),
                None => next.open_table(directory, format!("{number:06}.sst"), file, true, &mut faults),
            }
        }
        match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(next),
        }
    }

    fn share(&mut self, live: &Arc<LiveTable>) {
        self.tombstones.extend(live.tombstones());
        self.tables.push(Arc::clone(live));
    }

    /// Id, name and what else the MANIFEST says.
    pub fn info(&self) -> &ColumnFamily {
        &self.info
    }

    /// Name of the column family, as text.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.info.name).into_owned()
    }

    /// Order of its keys.
    pub fn comparator(&self) -> Comparator {
        self.comparator
    }

    /// Its live tables that could be opened, by number.
    pub fn tables(&self) -> &[Arc<LiveTable>] {
        &self.tables
    }

    /// Writes that are only in a log, in key order and newest first; range deletions are in [`tombstones`](Self::tombstones).
    pub fn unflushed(&self) -> &[Version] {
        &self.unflushed
    }

    /// All range deletions.
    pub fn tombstones(&self) -> &[Tombstone] {
        &self.tombstones
    }

    /// Whether damage found when the database was opened makes some of its keys uncertain.
    pub fn is_damaged(&self) -> bool {
        !self.damage.is_empty()
    }
}

impl LiveTable {
    /// User keys that the table may hold, by the MANIFEST.
    pub fn bounds(&self) -> KeyRange {
        bounds(&self.file, self.listed)
    }

    /// Whether the MANIFEST allows `key` in it.
    pub fn may_hold(&self, comparator: Comparator, key: &[u8]) -> bool {
        let (smallest, largest) = (split_internal_key(&self.file.smallest), split_internal_key(&self.file.largest));
        !self.listed
            || (smallest.is_none_or(|(smallest, ..)| comparator.compare(smallest, key).is_le())
                && largest.is_none_or(|(largest, ..)| comparator.compare(key, largest).is_le()))
    }

    /// Its range deletions.
    fn tombstones(&self) -> impl Iterator<Item = Tombstone> {
        // RocksDB marks an upper bound that is only the end of a range deletion with the highest sequence number.
        let open = split_internal_key(&self.file.largest)
            .is_some_and(|(_, sequence, kind)| sequence == MAX_SEQUENCE && kind == ValueType::RangeDeletion);
        self.table.range_deletions().iter().map(move |version| Tombstone {
            begin: version.key.clone(),
            end: version.value.clone(),
            sequence: version.sequence,
            within: self.bounds(),
            open,
        })
    }
}

fn bounds(file: &NewFile, listed: bool) -> KeyRange {
    if !listed {
        return KeyRange::default();
    }
    let user = |key: &[u8]| split_internal_key(key).map(|(user, ..)| user.to_vec());
    KeyRange { lower: user(&file.smallest), upper: user(&file.largest) }
}

/// `keys`, with open bounds closed by those of the table. An index key above the table's largest key stays: it does no harm.
fn narrow(keys: &KeyRange, table: &KeyRange) -> KeyRange {
    KeyRange {
        lower: keys.lower.clone().or_else(|| table.lower.clone()),
        upper: keys.upper.clone().or_else(|| table.upper.clone()),
    }
}
