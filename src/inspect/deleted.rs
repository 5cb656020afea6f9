//! The delete snapshot.

use std::path::PathBuf;

use roaring::RoaringTreemap;

use crate::{
    format::{Source, delete_set, delete_set::DeleteSet, manifest::Manifest, read_vec},
    report::{Finding, Loss},
};

use super::{
    View,
    findings::{from_format, losing},
    names,
};

/// The delete snapshot of the manifest in force, as far as it could be read.
pub struct Deleted {
    /// Its file, relative to the collection.
    pub path: PathBuf,
    /// What it holds; `None` if nothing of it could be read: then nobody knows which documents are deleted.
    pub set: Option<DeleteSet>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl Deleted {
    /// Reads the snapshot that `manifest` names.
    pub fn load(view: &View, manifest: &Manifest) -> Self {
        let path = names::delete_snapshot_path(manifest.delete_snapshot_path_suffix);
        let source = match view.source(&path) {
            Ok(source) => source,
            Err(mut finding) => {
                finding.detail.push_str("; without it deleted documents look live");
                return Self { path, set: None, findings: vec![finding] };
            }
        };
        match read_vec(&source, 0, source.size(), "delete-set.truncated").and_then(|bytes| delete_set::read(&bytes)) {
            Ok(set) => {
                // Ids that a fault hides make deleted documents look live: nothing is lost, but too much may be shown.
                let findings = set.faults.iter().map(|fault| losing(&path, fault, Loss::Possible, None)).collect();
                Self { path, set: Some(set), findings }
            }
            Err(error) => {
                let mut finding = from_format(&path, &error).loses(Loss::Possible, None);
                finding.detail.push_str("; without it deleted documents look live");
                Self { path, set: None, findings: vec![finding] }
            }
        }
    }

    /// Ids in it that were never given out, as a finding; `end` is the next one to be given out. Only a snapshot of another collection or version has any.
    pub fn beyond_end(&self, end: u64) -> Option<Finding> {
        let ids = &self.set.as_ref()?.ids;
        let beyond = ids.len().saturating_sub(ids.range_cardinality(..end));
        let last = ids.max().filter(|_| beyond > 0)?;
        let detail = format!(
            "{beyond} deleted document id(s) were never given out, the highest is {last}, the next one to be given out is {end}: documents \
             that get these ids are born deleted"
        );
        Some(Finding::error("delete-set.beyond-end", detail).at(&self.path).loses(Loss::Possible, None))
    }

    /// The ids; empty where the snapshot cannot be read.
    pub fn ids(&self) -> RoaringTreemap {
        self.set.as_ref().map(|set| set.ids.clone()).unwrap_or_default()
    }
}
