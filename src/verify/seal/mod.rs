//! Seals: a hash of every file of a collection, kept beside it. zvec stores no checksum of manifests, forward blocks and most bytes of vectors;
//! with a seal every flipped bit shows.
//!
//! Engines change a collection rightly, so a difference is judged:
//!
//! | file | may differ when |
//! |---|---|
//! | manifest | never under its number; it may be gone once a higher one is in force |
//! | delete snapshot, forward block, vectors | never while it is named; it may be gone or unnamed once the manifest has moved on |
//! | write-ahead log | it may grow; it may be another once the manifest has moved on |
//! | RocksDB: CURRENT, MANIFEST, tables, the rest | a MANIFEST may grow; tables and older MANIFESTs may go once it has grown or a higher one is current |
//! | RocksDB directory as a whole | another IDENTITY, written since: made anew, once the manifest has moved on |

mod compare;
mod mask;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::{
    format::{Source, SourceError},
    inspect::{FileSource, Tree, View, rfc3339},
    report::{
        Finding,
        seal::{SealFile, SealedFile},
        show_path,
    },
    vfs::FileType,
};

pub use compare::Comparison;

use super::{
    context::{Context, Level},
    jobs,
};

/// How much is read at a time.
const CHUNK: u64 = 1 << 20;

/// Where the seal of a collection is: beside it, so that the collection stays as it is.
pub fn path_of(collection: &Path) -> Option<PathBuf> {
    beside(collection, ".seal.json")
}

/// A file beside a collection, named after it.
pub(super) fn beside(collection: &Path, ending: &str) -> Option<PathBuf> {
    let mut name = collection.file_name()?.to_owned();
    name.push(ending);
    Some(collection.with_file_name(name))
}

/// Hashes every file that a look at `view` reads. `each` is called with bytes read so far and says whether to go on; `None` if it did not.
///
/// # Errors
/// There is no manifest in force, or a file cannot be read.
pub fn make(
    view: &View,
    tree: &Tree,
    sealed: String,
    each: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Option<SealFile>, Box<Finding>> {
    let Some((file, manifest)) = view.used().and_then(|file| Some((file, file.manifest.as_ref()?))) else {
        return Err(Box::new(Finding::error(
            "manifest.none",
            "there is no usable manifest to say what belongs to the collection",
        )));
    };
    let context = Context::new(view, manifest, Level::Files);
    let mut paths: Vec<&Path> =
        jobs::plan(&context, tree, None, false).iter().flat_map(|job| files(tree, &job.path)).collect();
    paths.sort_unstable();
    paths.dedup();
    let hashed = paths.par_iter().map(|path| {
        let source = view.source(path).map_err(Box::new)?;
        let masks = mask::of(&source, path);
        let hash = hash(&source, source.size(), &masks, each)
            .map_err(|error| Box::new(Finding::error("io.read", error.0).at(path)))?;
        let Some(hash) = hash else { return Ok(None) };
        let modified = tree.get(path).and_then(|entry| entry.modified).map(rfc3339);
        let (path, size, blake3) = (show_path(path), source.size(), hash.to_hex().to_string());
        Ok(Some(SealedFile { path, size, modified, zeroed: masks, blake3 }))
    });
    let files: Option<Vec<SealedFile>> = hashed.collect::<Result<Vec<_>, Box<Finding>>>()?.into_iter().collect();
    Ok(files.map(|files| SealFile {
        schema: SealFile::SCHEMA.to_owned(),
        sealed,
        manifest: show_path(&file.path),
        manifest_number: file.name.number,
        files,
    }))
}

/// The regular files at or below a path that a seal covers. What RocksDB logs in words and what locks is left out.
pub(super) fn files<'a>(tree: &'a Tree, path: &Path) -> Vec<&'a Path> {
    let covered = tree.entries.iter().filter(|entry| entry.file_type == FileType::File && entry.path.starts_with(path));
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    covered
        .map(|entry| entry.path.as_path())
        .filter(|path| !["LOCK", "LOG"].contains(&name(path).as_str()) && !name(path).starts_with("LOG.old"))
        .collect()
}

/// The hash of the first `len` bytes of a file, those of `masks` taken as zero; `None` if `each`, told the bytes of each piece, says that it is enough.
fn hash(
    source: &FileSource,
    len: u64,
    masks: &[(u64, u64)],
    each: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Option<blake3::Hash>, SourceError> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; usize::try_from(len.min(CHUNK)).unwrap_or(0)];
    let mut at = 0;
    while at < len {
        let step = (len - at).min(CHUNK);
        let piece = buffer.get_mut(..usize::try_from(step).unwrap_or(0)).unwrap_or_default();
        source.read_exact_at(at, piece)?;
        mask::zero(piece, at, masks);
        hasher.update(piece);
        at += step;
        if !each(step) {
            return Ok(None);
        }
    }
    Ok(Some(hasher.finalize()))
}
