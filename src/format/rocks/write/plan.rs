//! What to write into a MANIFEST: pure functions from the state of a database to version edits.
//!
//! A flush or merge of several column families is one atomic group (tag 300): after a crash RocksDB and this reader take all of
//! its edits or none. Tables are numbered from the MANIFEST's next file number on; sequence numbers of new entries begin behind its last
//! one.

use std::collections::BTreeSet;

use super::log_writer::LogWriter;
use crate::format::rocks::db::Family;
use crate::format::rocks::edit::{NewFile, VersionEdit};
use crate::format::rocks::version::{ColumnFamily, Manifest};
use crate::format::{FormatError, Result, Sink};

const COMPARATOR: &[u8] = b"leveldb.BytewiseComparator";
/// Levels of zvec's databases.
const LEVELS: u32 = 7;
/// An older table joins a merge if it is at most this many times as large as the newer ones together.
const SIZE_RATIO: u64 = 2;

/// Name of the table with this number.
pub fn table_name(number: u64) -> String {
    format!("{number:06}.sst")
}

/// Name of the MANIFEST with this number.
pub fn manifest_name(number: u64) -> String {
    format!("MANIFEST-{number:06}")
}

/// Contents of CURRENT that put the MANIFEST with this number in force. It is renamed into place, last.
pub fn current(manifest_number: u64) -> Vec<u8> {
    format!("{}\n", manifest_name(manifest_number)).into_bytes()
}

/// An empty database: the column family `default` and those named, with ids from 1 in this order. Its MANIFEST has `manifest_number`,
/// 1 for instance.
pub fn new_database<'a>(families: impl IntoIterator<Item = &'a [u8]>, manifest_number: u64) -> Manifest {
    let mut manifest = Manifest {
        next_file_number: Some(manifest_number.saturating_add(1)),
        last_sequence: Some(0),
        edits: 1,
        ..Manifest::default()
    };
    for (name, id) in std::iter::once(&b"default"[..]).chain(families).zip(0..) {
        let family =
            ColumnFamily { id, name: name.to_vec(), comparator: Some(COMPARATOR.to_vec()), ..ColumnFamily::default() };
        manifest.column_families.insert(id, family);
        manifest.max_column_family = Some(id);
    }
    manifest
}

/// All of `manifest` as edits for a MANIFEST of its own, as RocksDB begins one: a new database, or one whose MANIFEST has grown. Its
/// number must have been taken from the file numbers already. Refused if the state is not certain or has blob files.
pub fn snapshot(manifest: &Manifest) -> Result<Vec<VersionEdit>> {
    if !manifest.is_complete() || !manifest.blob_files.is_empty() {
        let detail = "a MANIFEST with faults or blob files is not written anew";
        return Err(FormatError::unsupported("rocks-manifest.write", 0, detail));
    }
    let last_sequence = Some(manifest.last_sequence.unwrap_or_default());
    let mut edits = Vec::new();
    if manifest.db_id.is_some() {
        edits.push(VersionEdit { db_id: manifest.db_id.clone(), ..VersionEdit::default() });
    }
    for (id, family) in &manifest.column_families {
        edits.push(VersionEdit {
            column_family: *id,
            column_family_add: (*id != 0).then(|| family.name.clone()),
            comparator: Some(family.comparator.clone().unwrap_or_else(|| COMPARATOR.to_vec())),
            ..VersionEdit::default()
        });
        edits.push(VersionEdit {
            column_family: *id,
            log_number: Some(family.log_number),
            new_files: family.files.values().cloned().map(NewFile::known).collect(),
            min_log_number_to_keep: Some(manifest.min_log_number_to_keep).filter(|number| *id == 0 && *number != 0),
            last_sequence,
            ..VersionEdit::default()
        });
    }
    edits.push(VersionEdit {
        prev_log_number: Some(0),
        next_file_number: Some(manifest.next_file_number.unwrap_or(2)),
        max_column_family: manifest.max_column_family.or(manifest.column_families.keys().next_back().copied()),
        last_sequence,
        ..VersionEdit::default()
    });
    Ok(edits)
}

/// Writes the records of `edits`.
pub fn append_edits<K: Sink>(sink: K, edits: &[VersionEdit]) -> Result<()> {
    let mut log = LogWriter::new(sink);
    edits.iter().try_for_each(|edit| log.append(&edit.encode()?))
}

/// An edit that adds a column family behind the others.
pub fn add_column_family(manifest: &Manifest, name: &[u8]) -> Result<VersionEdit> {
    let highest = manifest.max_column_family.into_iter().chain(manifest.column_families.keys().copied()).max();
    let id = highest.unwrap_or_default().checked_add(1).ok_or_else(|| {
        FormatError::malformed("rocks-manifest.write", 0, "there is no column family id left to give out")
    })?;
    if manifest.column_families.values().any(|family| family.name == name) {
        let detail = format!("column family {:?} is there already", String::from_utf8_lossy(name));
        return Err(FormatError::malformed("rocks-manifest.write", 0, detail));
    }
    Ok(VersionEdit {
        column_family: id,
        column_family_add: Some(name.to_vec()),
        comparator: Some(COMPARATOR.to_vec()),
        log_number: Some(manifest.min_log_number_to_keep),
        max_column_family: Some(id),
        ..VersionEdit::default()
    })
}

/// The edits that add tables written from memory to level 0, at most one per column family, and say that sequence numbers up
/// to `last_sequence` are taken.
pub fn flush_edits(
    manifest: &Manifest,
    tables: impl IntoIterator<Item = (u32, NewFile)>,
    last_sequence: u64,
) -> Result<Vec<VersionEdit>> {
    let mut edits: Vec<VersionEdit> = Vec::new();
    for (id, file) in tables {
        let family = family_of(manifest, id)?;
        if edits.iter().any(|edit| edit.column_family == id) {
            let detail = format!("a flush adds two tables to column family {id}");
            return Err(FormatError::malformed("rocks-manifest.write", 0, detail));
        }
        let newest = family.files.values().filter_map(|file| file.largest_sequence).max();
        if family.files.contains_key(&file.number) || newest.is_some_and(|newest| file.smallest_sequence <= newest) {
            let detail = format!("table {} of column family {id} is not newer than all others", file.number);
            return Err(FormatError::malformed("rocks-manifest.write", 0, detail));
        }
        // Where a table lacks its epoch RocksDB makes all of them up from the sequence numbers.
        let epochs: Option<Vec<u64>> = family.files.values().map(NewFile::epoch).collect();
        let epoch = epochs.map(|epochs| epochs.into_iter().max().unwrap_or_default().saturating_add(1));
        let file = NewFile { level: 0, ..file.with_epoch(epoch) };
        edits.push(VersionEdit { column_family: id, new_files: vec![file], ..VersionEdit::default() });
    }
    seal(manifest, edits, last_sequence)
}

/// Sets what all edits of a step have in common and makes them a group.
fn seal(manifest: &Manifest, mut edits: Vec<VersionEdit>, last_sequence: u64) -> Result<Vec<VersionEdit>> {
    let before = manifest.last_sequence.unwrap_or_default();
    let written = edits.iter().flat_map(|edit| &edit.new_files);
    let highest = written.clone().filter_map(|file| file.largest_sequence).max();
    if last_sequence < before.max(highest.unwrap_or_default()) {
        let detail = format!("last sequence number {last_sequence} is below {before} or below that of a new table");
        return Err(FormatError::malformed("rocks-manifest.write", 0, detail));
    }
    let next = written.map(|file| file.number.saturating_add(1)).max();
    let next = next.max(manifest.next_file_number).unwrap_or(2);
    let last = edits.len().saturating_sub(1);
    for (number, edit) in edits.iter_mut().enumerate() {
        edit.next_file_number = Some(next);
        edit.last_sequence = Some(last_sequence);
        // As many as column families, whose ids have 32 bits.
        edit.atomic_group_remaining = (last > 0).then(|| last.saturating_sub(number) as u32);
    }
    Ok(edits)
}

fn family_of(manifest: &Manifest, id: u32) -> Result<&ColumnFamily> {
    manifest.column_families.get(&id).ok_or_else(|| {
        let detail = format!("there is no column family {id}");
        FormatError::malformed("rocks-manifest.write", 0, detail)
    })
}

/// Tables to merge into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergePlan {
    /// Column family.
    pub column_family: u32,
    /// Level and number of the inputs, newest first.
    pub inputs: Vec<(u32, u64)>,
    /// Level of the output.
    pub level: u32,
    /// Nothing older is in any other table: deletions go, operands become values.
    pub bottom: bool,
    /// Epoch of the output: that of its oldest input, whose place it takes.
    pub epoch: Option<u64>,
}

impl MergePlan {
    /// All tables of a column family into one; `None` if there are fewer than two.
    pub fn all(family: &ColumnFamily) -> Option<Self> {
        let mut inputs = by_age(family);
        let deepest = inputs.iter().map(|file| file.level).max()?;
        inputs.sort_by_key(|file| file.level);
        (inputs.len() > 1).then(|| Self::of(family, &inputs, deepest.clamp(1, LEVELS - 1), true))
    }

    /// Decides whether tables have piled up: `trigger` of them on level 0 of which none is much larger than all newer ones. The
    /// newest such run is merged, with everything deeper if that is not much larger either.
    pub fn choose(family: &ColumnFamily, trigger: usize) -> Option<Self> {
        let level0: Vec<&NewFile> = by_age(family).into_iter().filter(|file| file.level == 0).collect();
        if level0.len() < trigger.max(2) {
            return None;
        }
        let mut size = 0u64;
        let run = level0.iter().take_while(|file| {
            let joins = size == 0 || file.size <= size.saturating_mul(SIZE_RATIO);
            size = size.saturating_add(file.size);
            joins
        });
        let run: Vec<&NewFile> = run.copied().collect();
        let size: u64 = run.iter().fold(0, |size, file| size.saturating_add(file.size));
        let deeper = family.files.values().filter(|file| file.level > 0);
        let below = deeper.fold(0u64, |size, file| size.saturating_add(file.size));
        if run.len() == level0.len() && below <= size.saturating_mul(SIZE_RATIO) {
            return Self::all(family);
        }
        // A few large tables and a few small ones do not make a run, but cannot go on for ever either.
        let run = if level0.len() >= trigger.saturating_mul(4) { level0 } else { run };
        (run.len() >= trigger.max(2)).then(|| Self::of(family, &run, 0, false))
    }

    fn of(family: &ColumnFamily, inputs: &[&NewFile], level: u32, bottom: bool) -> Self {
        let epochs: Option<Vec<u64>> = inputs.iter().map(|file| file.epoch()).collect();
        Self {
            column_family: family.id,
            inputs: inputs.iter().map(|file| (file.level, file.number)).collect(),
            level,
            bottom,
            epoch: epochs.and_then(|epochs| epochs.into_iter().min()),
        }
    }

    /// Numbers of the inputs.
    pub fn numbers(&self) -> BTreeSet<u64> {
        self.inputs.iter().map(|(_, number)| *number).collect()
    }

    /// Whether all inputs could be opened.
    pub fn is_readable(&self, family: &Family) -> bool {
        let open: BTreeSet<u64> = family.tables().iter().map(|live| live.file.number).collect();
        self.numbers().is_subset(&open)
    }
}

/// The tables of a column family, newest first.
fn by_age(family: &ColumnFamily) -> Vec<&NewFile> {
    let mut files: Vec<&NewFile> = family.files.values().collect();
    let epochs = files.iter().all(|file| file.epoch().is_some());
    files.sort_by_key(|file| {
        let age = (file.largest_sequence, file.smallest_sequence, file.number);
        std::cmp::Reverse((epochs.then(|| file.epoch()).flatten(), age))
    });
    files
}

/// The edits that put merged tables in the place of their inputs; no table if nothing was left.
pub fn merge_edits(
    manifest: &Manifest,
    merges: impl IntoIterator<Item = (MergePlan, Option<NewFile>)>,
) -> Result<Vec<VersionEdit>> {
    let mut edits = Vec::new();
    for (plan, file) in merges {
        let family = family_of(manifest, plan.column_family)?;
        for (level, number) in &plan.inputs {
            if family.files.get(number).is_none_or(|file| file.level != *level) {
                let detail = format!("table {number}, which was merged, is not on level {level} any more");
                return Err(FormatError::malformed("rocks-manifest.write", 0, detail));
            }
        }
        let file = file.map(|file| NewFile { level: plan.level, ..file.with_epoch(plan.epoch) });
        edits.push(VersionEdit {
            column_family: plan.column_family,
            deleted_files: plan.inputs,
            new_files: file.into_iter().collect(),
            ..VersionEdit::default()
        });
    }
    seal(manifest, edits, manifest.last_sequence.unwrap_or_default())
}
