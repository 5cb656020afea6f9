//! The id map: primary key to document id.

use std::path::{Path, PathBuf};

use crate::{
    format::{
        FormatError, Kind, Result as FormatResult, Source, idmap,
        manifest::Manifest,
        rocks::{Db, Directory, Entry, Fault, Lookup, OF_A_CRASH},
    },
    report::{Finding, Loss, Severity},
};

use super::{
    View,
    findings::{from_format, in_directory},
    names,
};

/// A directory of the collection, as RocksDB's formats want it.
pub struct DatabaseDir<'a> {
    /// The collection.
    pub view: &'a View,
    /// The directory, relative to the collection.
    pub path: &'a Path,
}

impl Directory for DatabaseDir<'_> {
    fn names(&self) -> FormatResult<Vec<String>> {
        let entries = self.view.vfs().list(&self.view.root().join(self.path)).map_err(|error| read_error(&error))?;
        // What stands in the place of a file tells itself when it is opened.
        Ok(entries.into_iter().filter_map(|entry| entry.name.into_string().ok()).collect())
    }

    fn open(&self, name: &str) -> FormatResult<Box<dyn Source>> {
        let path = self.view.root().join(self.path).join(name);
        let opened = super::FileSource::open(self.view.vfs().as_ref(), &path);
        opened.map(|source| Box::new(source) as Box<dyn Source>).map_err(|error| read_error(&error))
    }
}

fn read_error(error: &std::io::Error) -> FormatError {
    FormatError { code: super::io_code(error), kind: Kind::Io, offset: 0, detail: super::error::io_detail(error) }
}

/// A fault in a RocksDB directory as a finding about its file. Nothing is lost by it: what id map and indexes hold is made again from the rows.
pub fn fault_finding(dir: &Path, fault: &Fault) -> Finding {
    let mut finding = from_format(&in_directory(dir, &fault.file), &fault.error);
    if OF_A_CRASH.contains(&fault.error.code) {
        finding.severity = Severity::Warning;
    }
    finding
}

/// What the id map says of a primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapped {
    /// It has this document id.
    To(u64),
    /// It has none.
    Absent,
    /// Damage hides it. The older state that can still be read, if there is one.
    Unknown(Option<u64>),
}

/// The id map of the manifest in force, as far as it could be opened.
pub struct IdMap {
    /// Its directory, relative to the collection.
    pub path: PathBuf,
    db: Option<Db>,
    /// What was wrong with it when it was opened.
    pub findings: Vec<Finding>,
}

impl IdMap {
    /// Opens the id map that `manifest` names.
    pub fn load(view: &View, manifest: &Manifest) -> Self {
        let path = names::id_map_path(manifest.id_map_path_suffix);
        match Db::open(&DatabaseDir { view, path: &path }) {
            Ok(db) => {
                let findings = db.faults().iter().map(|fault| fault_finding(&path, fault)).collect();
                Self { path, db: Some(db), findings }
            }
            Err(error) => {
                let mut finding = from_format(&path, &error);
                finding.detail.push_str("; zvec cannot open the collection; the forward blocks hold the same ids");
                Self { path, db: None, findings: vec![finding] }
            }
        }
    }

    /// An id map that was not opened and tells nothing.
    pub fn absent(manifest: &Manifest) -> Self {
        Self { path: names::id_map_path(manifest.id_map_path_suffix), db: None, findings: Vec::new() }
    }

    /// Looks one primary key up. Damage on the way is added to `findings`.
    pub fn get(&self, pk: &[u8], findings: &super::Findings) -> Mapped {
        let Some(family) = self.db.as_ref().and_then(|db| db.column_family(b"default")) else {
            return Mapped::Unknown(None);
        };
        // What ends torn, by a crash or by damage that looks like it, may lack its newest tables.
        let torn = self.findings.iter().any(|finding| OF_A_CRASH.contains(&finding.code.as_str()));
        match family.get(pk) {
            Lookup::Found(entry) => match self.decode(&entry) {
                Ok(id) if torn => Mapped::Unknown(Some(id)),
                Ok(id) => Mapped::To(id),
                Err(finding) => {
                    findings.add(finding);
                    Mapped::Unknown(None)
                }
            },
            Lookup::Absent if torn => Mapped::Unknown(None),
            Lookup::Absent => Mapped::Absent,
            Lookup::Unknown { best, faults } => {
                findings.extend(faults.iter().map(|fault| fault_finding(&self.path, fault)));
                Mapped::Unknown(best.and_then(|entry| self.decode(&entry).ok()))
            }
        }
    }

    /// Every primary key in key order, with its document id and whether that is certain. Damaged blocks are passed over
    /// and added to `findings`.
    pub fn entries<'a>(&'a self, findings: &'a super::Findings) -> impl Iterator<Item = (Vec<u8>, u64, bool)> + 'a {
        let family = self.db.as_ref().and_then(|db| db.column_family(b"default"));
        family.into_iter().flat_map(|family| family.scan()).filter_map(move |row| {
            let decoded = match row {
                Ok(row) => self.decode(&row.entry).map(|id| (row.key, id, row.certain)),
                Err(fault) => Err(fault_finding(&self.path, &fault)),
            };
            decoded.map_err(|finding| findings.add(finding)).ok()
        })
    }

    fn decode(&self, entry: &Entry) -> Result<u64, Finding> {
        let value = match entry {
            Entry::Value(value) => value.as_slice(),
            Entry::Merge { .. } => {
                let detail = "a merge record, which the id map never holds";
                return Err(Finding::error("idmap.merge-record", detail).at(&self.path).loses(Loss::None, Some(1)));
            }
        };
        idmap::decode_value(value, 0).map_err(|error| {
            let mut finding = from_format(&self.path, &error).loses(Loss::None, Some(1));
            finding.offset = None;
            finding
        })
    }
}
