//! The files of a database directory, and which MANIFEST is in force.
//!
//! CURRENT holds the name of a MANIFEST and a newline, nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::db::Fault;
use super::version::Manifest;
use crate::format::{FormatError, Kind, Result, Source, read_vec};

/// The files of one directory.
pub trait Directory {
    /// Names of its files.
    fn names(&self) -> Result<Vec<String>>;

    /// Opens a file for reading.
    fn open(&self, name: &str) -> Result<Box<dyn Source>>;
}

/// A directory in memory.
impl Directory for BTreeMap<String, Arc<Vec<u8>>> {
    fn names(&self) -> Result<Vec<String>> {
        Ok(self.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> Result<Box<dyn Source>> {
        match self.get(name) {
            Some(bytes) => Ok(Box::new(Arc::clone(bytes))),
            None => Err(FormatError { code: "io.open", kind: Kind::Io, offset: 0, detail: format!("no file {name}") }),
        }
    }
}

/// The number in a file name of this prefix and suffix.
pub fn numbered(name: &str, prefix: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// The number in the name of a table.
pub fn table_number(name: &str) -> Option<u64> {
    numbered(name, "", ".sst").or_else(|| numbered(name, "", ".ldb"))
}

/// The MANIFEST in force, or the best one left.
pub(super) fn find_manifest(
    directory: &dyn Directory,
    names: &[String],
    faults: &mut Vec<Fault>,
) -> Option<(String, Manifest)> {
    let mut manifests: Vec<_> =
        names.iter().filter_map(|name| Some((numbered(name, "MANIFEST-", "")?, name.clone()))).collect();
    manifests.sort();
    let mut candidates: Vec<String> = manifests.into_iter().rev().map(|(_, name)| name).collect();
    match current(directory, names) {
        Ok(name) => {
            candidates.retain(|other| *other != name);
            candidates.insert(0, name);
        }
        Err(error) => faults.push(Fault::of_file("CURRENT", error)),
    }
    for name in candidates {
        let manifest = match directory.open(&name) {
            Ok(source) => Manifest::read(source),
            Err(error) => {
                faults.push(Fault::of_file(&name, error));
                continue;
            }
        };
        if manifest.edits > 0 {
            return Some((name, manifest));
        }
        let detail = "no version edit can be read from it";
        let error = FormatError::malformed("rocks-manifest.unusable", 0, detail);
        faults.push(manifest.faults.into_iter().next().map_or_else(
            || Fault::of_file(&name, error.clone()),
            |mut first| {
                first.detail = format!("{detail}: {}", first.detail);
                // The first edit was written and synced before CURRENT named the file: no crash leaves it torn.
                if super::OF_A_CRASH.contains(&first.code) {
                    first.code = error.code;
                    first.kind = error.kind;
                }
                Fault::of_file(&name, first)
            },
        ));
    }
    None
}

fn current(directory: &dyn Directory, names: &[String]) -> Result<String> {
    let source = directory.open("CURRENT")?;
    let bytes = read_vec(&source, 0, source.size().min(64), "rocks.bad-current")?;
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    let name = shown.strip_suffix('\n').unwrap_or_default();
    if numbered(name, "MANIFEST-", "").is_none() {
        let detail = format!("CURRENT holds {shown:?}, expected the name of a MANIFEST and a newline");
        return Err(FormatError::malformed("rocks.bad-current", 0, detail));
    }
    if !names.iter().any(|other| other == name) {
        let detail = format!("CURRENT names {name}, which is not there");
        return Err(FormatError::malformed("rocks.dangling-current", 0, detail));
    }
    Ok(name.to_owned())
}
