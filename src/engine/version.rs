//! Versions of a collection: what one manifest says, immutable, and how the next one takes its place.
//!
//! A reader takes the current [`Version`] and keeps it: a flush publishes another one beside it and never changes it. On disk the same
//! holds for the manifest. It is written under a temporary name, made durable, renamed, and the directory made durable;
//! only then does the new version stand, and only after that is the old manifest removed.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use roaring::RoaringTreemap;

use crate::{
    format::manifest::{self, Manifest, ManifestName, Style},
    inspect::View,
};

use super::{EngineError, files::Files, rocks::RocksSnapshot};

/// One state of a collection.
#[derive(Clone)]
pub struct Version {
    /// Number and style of its manifest.
    pub name: ManifestName,
    /// What it says.
    pub manifest: Arc<Manifest>,
    /// Documents deleted or replaced up to then.
    pub deleted: Arc<RoaringTreemap>,
    /// The id map as of then.
    pub id_map: RocksSnapshot,
}

impl Version {
    /// The collection as this version has it, whatever is on disk by now.
    pub fn view(&self, files: &Files, root: &Path) -> View {
        View::of_manifest(files.fs().clone(), root, self.name, Manifest::clone(&self.manifest))
    }
}

/// Holds the current version and publishes the next one.
pub struct VersionManager {
    files: Files,
    root: PathBuf,
    style: Style,
    /// Highest manifest number that is taken, valid or not.
    highest: AtomicU64,
    current: RwLock<Arc<Version>>,
}

impl VersionManager {
    /// Begins with a loaded version; `highest` is the highest number of a manifest on disk.
    pub fn new(files: Files, root: PathBuf, version: Version, highest: u64) -> Self {
        let style = version.name.style;
        Self { files, root, style, highest: AtomicU64::new(highest), current: RwLock::new(Arc::new(version)) }
    }

    /// The version in force. The lock inside is held for the copy of a pointer.
    pub fn current(&self) -> Arc<Version> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes `version` durable under the next number and puts it in force. Everything that it names must be durable already. On
    /// failure the old version stays in force.
    pub fn publish(
        &self,
        manifest: Manifest,
        deleted: Arc<RoaringTreemap>,
        id_map: RocksSnapshot,
    ) -> Result<Arc<Version>, EngineError> {
        let number = self.highest.load(Ordering::Relaxed) + 1;
        let name = ManifestName::new(self.style, number);
        write_manifest(&self.files, &self.root, &name, &manifest)?;
        self.highest.store(number, Ordering::Relaxed);
        let version = Arc::new(Version { name, manifest: Arc::new(manifest), deleted, id_map });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = version.clone();
        Ok(version)
    }
}

/// Writes a manifest: temporary name, sync, rename, sync of the directory.
pub fn write_manifest(files: &Files, root: &Path, name: &ManifestName, manifest: &Manifest) -> Result<(), EngineError> {
    let target = root.join(name.to_string());
    let temporary = root.join(ManifestName { temporary: true, ..*name }.to_string());
    let written = files
        .write(&temporary, &manifest::encode(manifest))
        .and_then(|()| files.fs().rename(&temporary, &target).map_err(|error| EngineError::io(&target, error)));
    if written.is_err() {
        // It names nothing that is in force; zvec ignores it.
        let _ = files.remove(&temporary);
    }
    written?;
    files.sync_dir(root)
}
