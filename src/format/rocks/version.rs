//! The live files of a database: the edits of a MANIFEST, replayed.
//!
//! Edits apply in order, removals of an edit before its additions; those of an atomic group only when its last one is there.

use std::collections::BTreeMap;

use super::edit::{NewFile, VersionEdit};
use super::log::LogReader;
use crate::format::{FormatError, Source};

/// A column family and its live tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnFamily {
    /// Id; 0 is `default`.
    pub id: u32,
    /// Name.
    pub name: Vec<u8>,
    /// Comparator name, if the MANIFEST tells.
    pub comparator: Option<Vec<u8>>,
    /// Logs before this one hold nothing that it still needs.
    pub log_number: u64,
    /// Live tables, by number.
    pub files: BTreeMap<u64, NewFile>,
}

/// What a MANIFEST says.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// Live column families, by id.
    pub column_families: BTreeMap<u32, ColumnFamily>,
    /// Next file number to be given out.
    pub next_file_number: Option<u64>,
    /// Last sequence number given out.
    pub last_sequence: Option<u64>,
    /// Highest column family id given out.
    pub max_column_family: Option<u32>,
    /// Logs before this one are obsolete altogether.
    pub min_log_number_to_keep: u64,
    /// Identity of the database.
    pub db_id: Option<Vec<u8>>,
    /// Edits read.
    pub edits: u64,
    /// Blob files that were added; their values are not read.
    pub blob_files: Vec<u64>,
    /// What is wrong with it; see [`is_complete`](Self::is_complete).
    pub faults: Vec<FormatError>,
    /// Bytes of the log that were passed over.
    pub skipped: u64,
}

/// Takes note of a fault. Of a file that is garbage the first ones say it all; the last place is that of one that is not what a crash leaves.
fn note(faults: &mut Vec<FormatError>, error: FormatError) {
    if faults.len() < super::MOST_FAULTS {
        faults.push(error);
    } else if !super::OF_A_CRASH.contains(&error.code)
        && let Some(last) = faults.last_mut()
    {
        *last = error;
    }
}

impl Manifest {
    /// Reads and replays a MANIFEST.
    pub fn read<S: Source>(source: S) -> Self {
        let mut manifest = Self::default();
        let default = ColumnFamily { name: b"default".to_vec(), ..ColumnFamily::default() };
        manifest.column_families.insert(0, default);
        let mut reader = LogReader::new(source, None);
        let mut group: Vec<(VersionEdit, u64)> = Vec::new();
        for record in reader.by_ref() {
            let decoded =
                record.and_then(|record| Ok((VersionEdit::decode(&record.data, record.offset)?, record.offset)));
            match decoded {
                Ok((edit, offset)) => {
                    manifest.edits = manifest.edits.saturating_add(1);
                    let remaining = edit.atomic_group_remaining;
                    if remaining.is_some() {
                        group.push((edit, offset));
                        if remaining == Some(0) {
                            group.drain(..).for_each(|(edit, offset)| manifest.apply(edit, offset));
                        }
                    } else {
                        if let Some((_, start)) = group.first() {
                            let detail =
                                format!("{} edits of an atomic group are followed by one outside it", group.len());
                            let error = FormatError::malformed("rocks-manifest.broken-group", *start, detail);
                            note(&mut manifest.faults, error);
                            group.clear();
                        }
                        manifest.apply(edit, offset);
                    }
                }
                Err(error) => note(&mut manifest.faults, error),
            }
        }
        manifest.drop_group(&mut group);
        manifest.skipped = reader.skipped();
        manifest
    }

    /// Whether the set of live files can be relied on. What a crash leaves at the end, part of a record or of an atomic group,
    /// was never in force.
    pub fn is_complete(&self) -> bool {
        self.edits > 0 && self.faults.iter().all(|fault| super::OF_A_CRASH.contains(&fault.code))
    }

    fn drop_group(&mut self, group: &mut Vec<(VersionEdit, u64)>) {
        if let Some((edit, offset)) = group.last() {
            let remaining = edit.atomic_group_remaining.unwrap_or_default();
            let detail = format!("{} edits of an atomic group, {remaining} more are missing", group.len());
            note(&mut self.faults, FormatError::truncated("rocks-manifest.incomplete-group", *offset, detail));
            group.clear();
        }
    }

    /// Takes over an edit, read at this offset or just appended there. The edits of an atomic group come one by one when all
    /// of them are there.
    pub fn apply(&mut self, edit: VersionEdit, offset: u64) {
        self.next_file_number = edit.next_file_number.or(self.next_file_number);
        self.last_sequence = edit.last_sequence.or(self.last_sequence);
        self.max_column_family = edit.max_column_family.or(self.max_column_family);
        self.blob_files.extend(&edit.blob_files);
        if let Some(number) = edit.min_log_number_to_keep {
            self.min_log_number_to_keep = self.min_log_number_to_keep.max(number);
        }
        if edit.db_id.is_some() {
            self.db_id = edit.db_id;
        }
        let id = edit.column_family;
        if let Some(name) = edit.column_family_add {
            let family = ColumnFamily { id, name, ..ColumnFamily::default() };
            self.column_families.insert(id, family);
        }
        if edit.column_family_drop {
            if self.column_families.remove(&id).is_none() {
                let detail = format!("column family {id} is dropped but does not exist");
                note(&mut self.faults, FormatError::malformed("rocks-manifest.unknown-column-family", offset, detail));
            }
            return;
        }
        let Some(family) = self.column_families.get_mut(&id) else {
            let detail = format!("an edit of column family {id}, which does not exist");
            note(&mut self.faults, FormatError::malformed("rocks-manifest.unknown-column-family", offset, detail));
            return;
        };
        if edit.comparator.is_some() {
            family.comparator = edit.comparator;
        }
        if let Some(number) = edit.log_number {
            family.log_number = family.log_number.max(number);
        }
        for (level, number) in edit.deleted_files {
            if family.files.get(&number).is_none_or(|file| file.level != level) {
                let detail = format!("table {number} is removed from level {level}, where it is not");
                note(&mut self.faults, FormatError::malformed("rocks-manifest.unknown-file", offset, detail));
            }
            family.files.remove(&number);
        }
        for file in edit.new_files {
            if let Some(Ok(number)) = file.custom(3).map(<[u8; 8]>::try_from) {
                self.min_log_number_to_keep = self.min_log_number_to_keep.max(u64::from_le_bytes(number));
            }
            let (number, level) = (file.number, file.level);
            if let Some(old) = family.files.insert(number, file) {
                let detail = format!("table {number} is added to level {level}, but is on level {} already", old.level);
                note(&mut self.faults, FormatError::malformed("rocks-manifest.duplicate-file", offset, detail));
            }
        }
    }
}
