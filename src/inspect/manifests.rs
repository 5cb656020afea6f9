//! Finding the manifests of a collection and choosing the one in force.

use std::path::{Path, PathBuf};

use crate::{
    format::{
        FormatError, Source,
        manifest::{self, Dump, Manifest, ManifestName, Style},
        read_vec,
    },
    report::{Finding, Loss},
    vfs::{DirEntry, FileType, Vfs},
};

use super::{
    InspectError,
    findings::from_format,
    names,
    source::{self, FileSource},
};

/// A manifest larger than this is none: one of a million blocks takes less.
const MAX_SIZE: u64 = 64 << 20;

/// A manifest file and what it is worth.
#[derive(Debug)]
pub struct ManifestFile {
    /// Path relative to the collection.
    pub path: PathBuf,
    /// Its name, taken apart.
    pub name: ManifestName,
    /// Size in bytes.
    pub size: u64,
    /// Whether it can be used.
    pub state: ManifestState,
    /// What it says, as far as it decodes; counts that zvec got wrong by its own fault are [put right](manifest::recount).
    pub manifest: Option<Manifest>,
    /// What is wrong or odd in it, without [`Self::state`].
    pub findings: Vec<Finding>,
}

/// Whether a manifest can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestState {
    /// It decodes completely and names what a collection needs.
    Valid,
    /// It decodes completely, and holds something that only a newer release writes.
    Newer(FormatError),
    /// It cannot be obeyed.
    Damaged(FormatError),
    /// The system does not let it be read.
    Unreadable(Finding),
}

impl ManifestFile {
    /// Whether the collection can be read by it.
    pub fn usable(&self) -> bool {
        matches!(self.state, ManifestState::Valid | ManifestState::Newer(_))
    }

    /// The state in one word: `valid`, `newer` or the code of the fault.
    pub fn state_code(&self) -> &str {
        match &self.state {
            ManifestState::Valid => "valid",
            ManifestState::Newer(_) => "newer",
            ManifestState::Damaged(error) => error.code,
            ManifestState::Unreadable(finding) => &finding.code,
        }
    }
}

/// Bytes of a manifest file with their decoding, for `manifest dump`.
pub struct LoadedManifest {
    /// Size in bytes.
    pub size: u64,
    /// The fields, as far as they decode.
    pub dump: Dump,
}

/// Reads one manifest file, damaged or not.
pub fn load(vfs: &dyn Vfs, root: &Path, relative: &Path) -> Result<LoadedManifest, InspectError> {
    let path = root.join(relative);
    let file = FileSource::open(vfs, &path).map_err(|error| InspectError::io(&path, error))?;
    let size = file.size();
    let dump = read_vec(&file, 0, size.min(MAX_SIZE), "manifest.truncated")
        .and_then(|bytes| Dump::read(&bytes))
        .map_err(|error| InspectError::Format { path, error })?;
    Ok(LoadedManifest { size, dump })
}

/// Every published manifest among the entries of a collection's directory, highest number first; of two with the same number
/// the release's comes first.
pub fn find(vfs: &dyn Vfs, root: &Path, entries: &[DirEntry]) -> Vec<ManifestFile> {
    let mut found: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            let name = entry.name.to_str().and_then(ManifestName::parse)?;
            (!name.temporary).then(|| examine(vfs, root, entry, name))
        })
        .collect();
    found.sort_by_key(|file| (std::cmp::Reverse(file.name.number), file.name.style != Style::Release));
    found
}

fn examine(vfs: &dyn Vfs, root: &Path, entry: &DirEntry, name: ManifestName) -> ManifestFile {
    let path = PathBuf::from(&entry.name);
    let mut file = ManifestFile {
        path: path.clone(),
        name,
        size: entry.metadata.as_ref().map_or(0, |found| found.len),
        state: ManifestState::Valid,
        manifest: None,
        findings: Vec::new(),
    };
    if let Ok(found) = &entry.metadata
        && found.file_type == FileType::Dir
    {
        let finding = Finding::error("file.is-a-directory", "a directory stands where a manifest should be").at(&path);
        file.state = ManifestState::Unreadable(finding.loses(Loss::None, None));
        return file;
    }
    let loaded = match load(vfs, root, &path) {
        Ok(loaded) => loaded,
        Err(InspectError::Format { error, .. }) => {
            file.state = ManifestState::Damaged(error);
            return file;
        }
        Err(InspectError::Io { source: error, .. }) => {
            file.state = ManifestState::Unreadable(source::io_finding(&path, &error));
            return file;
        }
        Err(error) => {
            // Listed, and not to be found: a link that leads nowhere.
            let finding = Finding::error("file.missing", error.to_string()).at(&path);
            file.state = ManifestState::Unreadable(finding);
            return file;
        }
    };
    let (state, findings) = judge(&path, &loaded);
    file.state = state;
    file.findings = findings;
    let mut manifest = loaded.dump.manifest();
    manifest::recount(&mut manifest);
    file.manifest = Some(manifest);
    file
}

/// What a decoded manifest is worth, and what is odd in it.
pub fn judge(path: &Path, loaded: &LoadedManifest) -> (ManifestState, Vec<Finding>) {
    let mut findings = Vec::new();
    if loaded.size > MAX_SIZE {
        let detail = format!("{} bytes are more than any manifest takes", loaded.size);
        return (ManifestState::Damaged(FormatError::malformed("manifest.too-large", 0, detail)), findings);
    }
    if loaded.size == 0 {
        let detail = "the file is empty: it names no schema and no segment";
        return (ManifestState::Damaged(FormatError::truncated("manifest.empty", 0, detail)), findings);
    }
    if let Some(fault) = loaded.dump.faults.first() {
        return (ManifestState::Damaged(fault.clone()), findings);
    }
    let mut state = match loaded.dump.assessment().newer() {
        Some(error) => ManifestState::Newer(error),
        None => ManifestState::Valid,
    };
    let mut recounted = loaded.dump.manifest();
    for found in manifest::recount(&mut recounted) {
        let detail = format!(
            "block {} of {:?} is said to have {} rows, the segment has {}: zvec counts the rows again for each column that was added, and \
             reads {}",
            found.block, found.column, found.stored, found.rows, found.rows
        );
        findings.push(Finding::info("manifest.rows-recounted", detail).at(path).segment(found.segment));
    }
    for violation in manifest::check(&recounted) {
        if matches!(violation.code, "manifest.empty" | "manifest.incomplete") {
            let error = FormatError::truncated(violation.code, loaded.size, violation.detail);
            if !matches!(state, ManifestState::Damaged(_)) {
                state = ManifestState::Damaged(error);
            }
            continue;
        }
        let mut finding = Finding::error(violation.code, violation.detail).at(path);
        finding.segment = violation.segment;
        findings.push(finding);
    }
    (state, findings)
}

/// The manifest in force: the highest that can be used. What stands above it is set aside, and said.
pub fn choose(vfs: &dyn Vfs, root: &Path, manifests: &[ManifestFile]) -> (Option<usize>, Vec<Finding>) {
    let used = manifests.iter().position(ManifestFile::usable);
    let mut findings = Vec::new();
    if manifests.is_empty() {
        findings.push(Finding::error(
            "manifest.none",
            "there is no manifest, which alone tells what belongs to the collection",
        ));
    }
    for (position, file) in manifests.iter().enumerate() {
        let newest = position == 0;
        let aside = match used {
            Some(used) if position > used => continue,
            Some(used) if position < used => {
                format!(
                    "; set aside, {} is used instead",
                    manifests.get(used).map_or_else(String::new, |f| f.name.to_string())
                )
            }
            Some(_) => String::new(),
            None => "; there is no other".to_owned(),
        };
        let finding = match &file.state {
            ManifestState::Valid => continue,
            ManifestState::Newer(error) => from_format(&file.path, error),
            ManifestState::Damaged(error) => {
                let mut finding = from_format(&file.path, error);
                finding.detail.push_str(&aside);
                if newest {
                    finding.detail.push_str(zvec_would(vfs, root, file, error));
                }
                finding
            }
            ManifestState::Unreadable(finding) => {
                let mut finding = finding.clone();
                finding.detail.push_str(&aside);
                finding
            }
        };
        findings.push(finding);
    }
    if let Some(used) = used.and_then(|used| manifests.get(used)) {
        findings.extend(used.findings.iter().cloned());
    }
    (used, findings)
}

/// What zvec 0.8.0, which obeys the highest number, does with such a manifest.
fn zvec_would(vfs: &dyn Vfs, root: &Path, file: &ManifestFile, error: &FormatError) -> &'static str {
    if file.name.style != Style::Release {
        return "";
    }
    if !matches!(error.code, "manifest.empty" | "manifest.incomplete") {
        return "; zvec 0.8.0 refuses to open the collection";
    }
    // It opens id map and delete snapshot first, by the suffixes that it reads (0 where there are none), and fails without them.
    let suffixes = file.manifest.as_ref().map(|m| (m.id_map_path_suffix, m.delete_snapshot_path_suffix));
    let (id_map, snapshot) = suffixes.unwrap_or_default();
    let exists = |path: PathBuf| vfs.metadata(&root.join(path)).is_ok();
    if exists(names::id_map_path(id_map)) && exists(names::delete_snapshot_path(snapshot)) {
        "; DO NOT open this collection with zvec 0.8.0: it obeys this manifest and deletes every segment"
    } else {
        "; zvec 0.8.0 refuses to open the collection: it looks for another delete snapshot"
    }
}
