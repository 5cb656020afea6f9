//! Making an empty collection.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use roaring::RoaringTreemap;

use crate::{
    format::{
        delete_set,
        manifest::{Manifest, ManifestName, Style},
    },
    inspect::{
        InspectError,
        lock::LOCK,
        names::{delete_snapshot_path, id_map_path},
    },
    vfs::{VfsMut, parent},
};

use super::{
    Collection, EngineError, OpenOptions, Refusal, Schema,
    files::{Files, remove_tree},
    id_map::IdMap,
    options::Sync,
    segment::WritingSegment,
    unsynced::UnsyncedFs,
    version::write_manifest,
};

/// What a new collection is to be.
#[derive(Debug, Clone, Copy)]
pub struct CreateOptions {
    /// Forward blocks are Arrow IPC files, which zvec maps into memory, and not Parquet.
    pub enable_mmap: bool,
    /// Names of the manifests. zvec knows [`Style::Release`] alone.
    pub style: Style,
}

impl Collection {
    /// Makes an empty collection at `root`, where nothing may be yet, and opens it. It is made under another name beside it
    /// (`<name>.<process id>.tmp`) and renamed when it is complete and durable: there is never half a collection.
    pub fn create(
        fs: Arc<dyn VfsMut>,
        root: &Path,
        schema: &Schema,
        create: CreateOptions,
        options: OpenOptions,
    ) -> Result<Self, EngineError> {
        schema.writable()?;
        if fs.metadata(root).is_ok() {
            let message = format!("{} is there already", root.display());
            return Err(Refusal::new("collection.exists", message).into());
        }
        let parent = parent(root);
        fs.metadata(parent).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => InspectError::NotFound { path: parent.to_owned() }.into(),
            _ => EngineError::io(parent, error),
        })?;
        let written: Arc<dyn VfsMut> = match options.options.sync {
            Sync::None => Arc::new(UnsyncedFs::new(fs.clone())),
            Sync::Batch | Sync::Flush => fs.clone(),
        };
        let files = Files::new(written);
        let temporary = temporary(root)?;
        let made = fill(&files, &temporary, schema, create, options.options.now())
            .and_then(|()| files.fs().rename(&temporary, root).map_err(|error| EngineError::io(root, error)));
        if let Err(error) = made {
            // What is left of it is nobody's collection.
            let _ = remove_tree(fs.as_ref(), &temporary);
            return Err(error);
        }
        files.sync_dir(parent)?;
        Self::open(fs, root, options).collection
    }
}

fn temporary(root: &Path) -> Result<PathBuf, EngineError> {
    let mut name = root.file_name().map(OsString::from).ok_or_else(|| {
        EngineError::io(root, io::Error::new(io::ErrorKind::InvalidInput, "a collection needs a name of its own"))
    })?;
    name.push(format!(".{}.tmp", std::process::id()));
    Ok(root.with_file_name(name))
}

fn fill(files: &Files, dir: &Path, schema: &Schema, create: CreateOptions, now: u64) -> Result<(), EngineError> {
    files.create_dir(dir)?;
    files.write(&dir.join(LOCK), &[])?;
    IdMap::create(files, dir.join(id_map_path(0)))?;
    files.write(&dir.join(delete_snapshot_path(0)), &delete_set::write(&RoaringTreemap::new(), now))?;
    let segment = WritingSegment::create(files, dir, schema, 0)?;
    let manifest = Manifest {
        schema: Some(schema.to_proto()),
        enable_mmap: create.enable_mmap,
        writing_segment_meta: Some(segment.writing_meta(schema, 0)),
        next_segment_id: 1,
        ..Manifest::default()
    };
    write_manifest(files, dir, &ManifestName::new(create.style, 0), &manifest)
}
