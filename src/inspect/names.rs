//! Names of files and directories in a collection.

use std::path::{Path, PathBuf};

use crate::format::manifest::proto::{BlockMeta, BlockType};

/// Path of a block's file or directory, relative to the collection; `None` for a block type that this build does not know, or
/// a column whose name cannot be that of a file (a manifest is only bytes, and must not lead out of the collection).
pub fn block_path(segment: u32, block: &BlockMeta, enable_mmap: bool) -> Option<PathBuf> {
    let id = block.block_id;
    let name = match BlockType::try_from(block.block_type).ok()? {
        BlockType::Scalar => format!("scalar.{id}.{}", if enable_mmap { "ipc" } else { "parquet" }),
        BlockType::ScalarIndex => format!("scalar.index.{id}.rocksdb"),
        BlockType::FtsIndex => format!("fts.{id}.rocksdb"),
        BlockType::VectorIndex => format!("{}.index.{id}.proxima", column(block)?),
        BlockType::VectorIndexQuantize => format!("{}.qindex.{id}.proxima", column(block)?),
        BlockType::BlockUndefined => return None,
    };
    Some(segment_dir(segment).join(name))
}

/// Directory of a segment.
pub fn segment_dir(segment: u32) -> PathBuf {
    PathBuf::from(segment.to_string())
}

/// Write-ahead log of a writing forward block.
pub fn wal_path(segment: u32, block: u32) -> PathBuf {
    segment_dir(segment).join(format!("{block}.wal"))
}

/// Directory of the id map.
pub fn id_map_path(suffix: u32) -> PathBuf {
    PathBuf::from(format!("idmap.{suffix}"))
}

/// Delete snapshot.
pub fn delete_snapshot_path(suffix: u32) -> PathBuf {
    PathBuf::from(format!("del.{suffix}"))
}

fn column(block: &BlockMeta) -> Option<&str> {
    let name = block.columns.first()?;
    (!name.is_empty() && !name.contains(['/', '\\', '\0'])).then_some(name)
}

/// What a file's name says that it is, whatever the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameKind {
    /// `manifest.<N>` or `MANIFEST_<N>`.
    Manifest,
    /// The same with `.tmp`: written, never published.
    ManifestTmp,
    /// `LOCK` of the collection.
    Lock,
    /// `del.<D>`.
    DeleteSnapshot,
    /// In `idmap.<S>/`.
    IdMap,
    /// `<seg>/<blk>.wal`.
    Wal,
    /// `<seg>/scalar.<blk>.ipc` or `.parquet`.
    Forward,
    /// In `<seg>/scalar.index.<blk>.rocksdb/`.
    ScalarIndex,
    /// In `<seg>/fts.<blk>.rocksdb/`.
    FtsIndex,
    /// `<seg>/<col>.index.<blk>.proxima`.
    Vector,
    /// `<seg>/<col>.qindex.<blk>.proxima`.
    QuantizedVector,
    /// Ends in `.tmp`, or lies below something that does: under construction when its writer died.
    Unfinished,
    /// A segment directory or a RocksDB directory itself.
    Directory,
    /// Nothing that zvec writes.
    Other,
}

impl NameKind {
    /// The kind in words.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::ManifestTmp => "unpublished manifest",
            Self::Lock => "lock",
            Self::DeleteSnapshot => "delete snapshot",
            Self::IdMap => "id map",
            Self::Wal => "write-ahead log",
            Self::Forward => "forward block",
            Self::ScalarIndex => "scalar index",
            Self::FtsIndex => "full-text index",
            Self::Vector => "vectors",
            Self::QuantizedVector => "quantised vectors",
            Self::Unfinished => "unfinished file",
            Self::Directory => "directory",
            Self::Other => "unknown",
        }
    }
}

/// Takes a path relative to the collection apart: what it is, and the segment that it belongs to.
pub fn classify(path: &Path) -> (NameKind, Option<u32>) {
    let mut parts = path.iter().map(|part| part.to_str());
    let Some(Some(first)) = parts.next() else { return (NameKind::Other, None) };
    let second = parts.next();
    let deeper = parts.next().is_some();
    if let Some(segment) = segment_id(first) {
        let kind = match second {
            None => NameKind::Directory,
            Some(None) => NameKind::Other,
            Some(Some(name)) => in_segment(name, deeper),
        };
        return (kind, Some(segment));
    }
    let kind = match (first, second) {
        _ if first.strip_suffix(".tmp").is_some_and(is_decimal) => NameKind::Unfinished,
        _ if numbered(first, "idmap.") => match second {
            None => NameKind::Directory,
            Some(_) => NameKind::IdMap,
        },
        (_, Some(_)) => NameKind::Other,
        ("LOCK", None) => NameKind::Lock,
        _ if numbered(first, "del.") => NameKind::DeleteSnapshot,
        _ => match crate::format::manifest::ManifestName::parse(first) {
            Some(name) if name.temporary => NameKind::ManifestTmp,
            Some(_) => NameKind::Manifest,
            None => NameKind::Other,
        },
    };
    (kind, None)
}

/// The id of a segment directory: a decimal number as zvec writes it, without leading zeros.
pub fn segment_id(name: &str) -> Option<u32> {
    let id: u32 = name.parse().ok()?;
    (id.to_string() == name).then_some(id)
}

fn in_segment(name: &str, deeper: bool) -> NameKind {
    if name.ends_with(".tmp") {
        return NameKind::Unfinished;
    }
    if let Some(stem) = name.strip_suffix(".rocksdb") {
        let kind = if numbered(stem, "scalar.index.") {
            NameKind::ScalarIndex
        } else if numbered(stem, "fts.") {
            NameKind::FtsIndex
        } else {
            NameKind::Other
        };
        return if deeper { kind } else { NameKind::Directory };
    }
    if deeper {
        return NameKind::Other;
    }
    if name.strip_suffix(".wal").is_some_and(is_decimal) {
        return NameKind::Wal;
    }
    if [".ipc", ".parquet"].iter().any(|end| name.strip_suffix(end).is_some_and(|stem| numbered(stem, "scalar."))) {
        return NameKind::Forward;
    }
    if let Some((stem, id)) = name.strip_suffix(".proxima").and_then(|stem| stem.rsplit_once('.'))
        && is_decimal(id)
    {
        if stem.ends_with(".index") {
            return NameKind::Vector;
        }
        if stem.ends_with(".qindex") {
            return NameKind::QuantizedVector;
        }
    }
    NameKind::Other
}

fn numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(is_decimal)
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_files_are() {
        for (path, kind, segment) in [
            ("manifest.3", NameKind::Manifest, None),
            ("MANIFEST_3", NameKind::Manifest, None),
            ("manifest.3.tmp", NameKind::ManifestTmp, None),
            ("LOCK", NameKind::Lock, None),
            ("del.0", NameKind::DeleteSnapshot, None),
            ("idmap.0/MANIFEST-000005", NameKind::IdMap, None),
            ("idmap.0", NameKind::Directory, None),
            ("0", NameKind::Directory, Some(0)),
            ("0/4.wal", NameKind::Wal, Some(0)),
            ("12/scalar.0.ipc", NameKind::Forward, Some(12)),
            ("12/scalar.0.parquet", NameKind::Forward, Some(12)),
            ("1/scalar.index.1.rocksdb/CURRENT", NameKind::ScalarIndex, Some(1)),
            ("1/fts.2.rocksdb/000004.log", NameKind::FtsIndex, Some(1)),
            ("1/a.b.index.3.proxima", NameKind::Vector, Some(1)),
            ("1/v.qindex.3.proxima", NameKind::QuantizedVector, Some(1)),
            ("32699.tmp/scalar.0.ipc", NameKind::Unfinished, None),
            ("1/scalar.index.1.rocksdb.tmp/CURRENT", NameKind::Unfinished, Some(1)),
            ("007/scalar.0.ipc", NameKind::Other, None),
            ("notes.txt", NameKind::Other, None),
            ("1/notes.txt", NameKind::Other, Some(1)),
            ("1/v.index.x.proxima", NameKind::Other, Some(1)),
            ("4294967296", NameKind::Other, None),
        ] {
            assert_eq!(classify(Path::new(path)), (kind, segment), "{path}");
        }
    }

    #[test]
    fn a_hostile_column_name_does_not_lead_out() {
        let mut block = BlockMeta { block_type: BlockType::VectorIndex as i32, ..BlockMeta::default() };
        assert_eq!(block_path(1, &block, true), None, "no column");
        for name in ["../../etc/passwd", "a/b", "", "a\\b", "a\0b"] {
            block.columns = vec![name.to_owned()];
            assert_eq!(block_path(1, &block, true), None, "{name}");
        }
        block.columns = vec!["..".to_owned()];
        assert_eq!(block_path(1, &block, true), Some(PathBuf::from("1/...index.0.proxima")));
    }
}
