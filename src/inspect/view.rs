//! The collection as the manifest in force describes it.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    format::manifest::{
        Manifest, ManifestName,
        proto::{BlockMeta, SegmentMeta},
    },
    report::Finding,
    vfs::{DirEntry, FileType, Vfs},
};

use super::{
    InspectError,
    manifests::{self, ManifestFile, ManifestState},
    names::{self, NameKind},
    source::{self, FileSource},
};

/// A collection's directory with its manifests read and one of them chosen.
pub struct View {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
    manifests: Vec<ManifestFile>,
    used: Option<usize>,
    findings: Vec<Finding>,
}

/// A segment that the manifest lists.
#[derive(Debug, Clone, Copy)]
pub struct SegmentRef<'a> {
    /// What the manifest says of it.
    pub meta: &'a SegmentMeta,
    /// Whether it is the one that is being written.
    pub writing: bool,
    /// Whether forward blocks are Arrow IPC files.
    pub enable_mmap: bool,
}

impl View {
    /// Reads the directory and its manifests. Succeeds without a usable manifest: much can be looked at all the same.
    pub fn open(vfs: Arc<dyn Vfs>, root: &Path) -> Result<Self, InspectError> {
        let found = vfs.metadata(root).map_err(|error| InspectError::io(root, error))?;
        if found.file_type != FileType::Dir {
            return Err(InspectError::NotADirectory { path: root.to_owned() });
        }
        let entries = vfs.list(root).map_err(|error| InspectError::io(root, error))?;
        if entries.is_empty() {
            return Err(InspectError::EmptyDirectory { path: root.to_owned() });
        }
        if !entries.iter().any(is_of_zvec) {
            return Err(InspectError::NotACollection { path: root.to_owned() });
        }
        let manifests = manifests::find(vfs.as_ref(), root, &entries);
        let (used, findings) = manifests::choose(vfs.as_ref(), root, &manifests);
        Ok(Self { vfs, root: root.to_owned(), manifests, used, findings })
    }

    /// A directory that need not look like a collection any more: segments alone, say. No manifest is in force, those on disk are there to be
    /// looked at all the same.
    pub fn of_directory(vfs: Arc<dyn Vfs>, root: &Path) -> Result<Self, InspectError> {
        let entries = vfs.list(root).map_err(|error| InspectError::io(root, error))?;
        let manifests = manifests::find(vfs.as_ref(), root, &entries);
        let (_, findings) = manifests::choose(vfs.as_ref(), root, &manifests);
        Ok(Self { vfs, root: root.to_owned(), manifests, used: None, findings })
    }

    /// The collection as `manifest` describes it, whatever manifests are on disk: one version, for a reader that keeps it.
    pub fn of_manifest(vfs: Arc<dyn Vfs>, root: &Path, name: ManifestName, manifest: Manifest) -> Self {
        let file = ManifestFile {
            path: PathBuf::from(name.to_string()),
            name,
            size: 0,
            state: ManifestState::Valid,
            manifest: Some(manifest),
            findings: Vec::new(),
        };
        Self { vfs, root: root.to_owned(), manifests: vec![file], used: Some(0), findings: Vec::new() }
    }

    /// The file system.
    pub fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.vfs
    }

    /// The collection's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Every manifest on disk, highest number first.
    pub fn manifests(&self) -> &[ManifestFile] {
        &self.manifests
    }

    /// What is wrong or odd with the manifests.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The manifest in force, if any can be used.
    pub fn used(&self) -> Option<&ManifestFile> {
        self.manifests.get(self.used?)
    }

    /// The manifest in force.
    ///
    /// # Errors
    /// There is none, or none can be used: the error tells of the newest.
    pub fn manifest(&self) -> Result<(&ManifestFile, &Manifest), InspectError> {
        if let Some(file) = self.used()
            && let Some(manifest) = &file.manifest
        {
            return Ok((file, manifest));
        }
        let Some(newest) = self.manifests.first() else {
            return Err(InspectError::NoManifest { path: self.root.clone() });
        };
        let path = self.root.join(&newest.path);
        let (code, offset, detail, newer) = match &newest.state {
            ManifestState::Damaged(error) => (error.code.to_owned(), Some(error.offset), error.detail.clone(), false),
            ManifestState::Newer(error) => (error.code.to_owned(), Some(error.offset), error.detail.clone(), true),
            ManifestState::Unreadable(finding) => (finding.code.clone(), finding.offset, finding.detail.clone(), false),
            ManifestState::Valid => ("manifest.malformed".to_owned(), None, "it does not decode".to_owned(), false),
        };
        Err(InspectError::NoUsableManifest { path, code, offset, detail, newer })
    }

    /// The segments of the manifest in force: persisted ones in its order, then the writing one.
    pub fn segments(&self) -> Result<Vec<SegmentRef<'_>>, InspectError> {
        let (_, manifest) = self.manifest()?;
        Ok(segments_of(manifest))
    }

    /// Opens a file of the collection; what goes wrong is a finding about it.
    pub fn source(&self, relative: &Path) -> Result<Arc<FileSource>, Finding> {
        source::open(self.vfs.as_ref(), &self.root, relative)
    }

    /// Whether something stands at a path of the collection. What the system does not let be seen (permissions, links in a circle)
    /// counts as there: opening it tells what is wrong.
    pub fn exists(&self, relative: &Path) -> bool {
        let kind = self.vfs.metadata(&self.root.join(relative)).map_err(|error| error.kind());
        !matches!(kind, Err(ErrorKind::NotFound | ErrorKind::NotADirectory))
    }
}

/// The segments that a manifest lists: persisted ones in its order, then the writing one.
pub fn segments_of(manifest: &Manifest) -> Vec<SegmentRef<'_>> {
    let enable_mmap = manifest.enable_mmap;
    let persisted =
        manifest.persisted_segment_metas.iter().map(|meta| SegmentRef { meta, writing: false, enable_mmap });
    let writing = manifest.writing_segment_meta.iter().map(|meta| SegmentRef { meta, writing: true, enable_mmap });
    persisted.chain(writing).collect()
}

impl<'a> SegmentRef<'a> {
    /// Segment id.
    pub fn id(&self) -> u32 {
        self.meta.segment_id
    }

    /// Path of a block of this segment, relative to the collection; see [`names::block_path`].
    pub fn block_path(&self, block: &BlockMeta) -> Option<PathBuf> {
        names::block_path(self.id(), block, self.enable_mmap)
    }

    /// Path of the write-ahead log, of the writing segment only.
    pub fn wal_path(&self) -> Option<PathBuf> {
        let block = self.meta.writing_forward_block.as_ref().filter(|_| self.writing)?;
        Some(names::wal_path(self.id(), block.block_id))
    }

    /// Row blocks: forward blocks that hold the document id column, in manifest order.
    pub fn row_blocks(&self) -> impl Iterator<Item = &'a BlockMeta> + use<'a> {
        self.meta.persisted_blocks.iter().filter(|block| crate::format::manifest::is_row_block(block))
    }
}

fn is_of_zvec(entry: &DirEntry) -> bool {
    let (kind, segment) = names::classify(Path::new(&entry.name));
    // A directory named by a number alone is not enough: many programs make those.
    segment.is_none() && !matches!(kind, NameKind::Other | NameKind::Unfinished)
}
