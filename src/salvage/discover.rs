//! Segments out of directories: what a manifest would say of them, if one did.
//!
//! ```text
//! scalar.<b>.ipc, .parquet    with the system columns: a row block; without: the blocks of an added or altered column
//! <column>.index.<b>.proxima  covers all rows of the segment (an index built by optimize), or those of one row block: its id then stands
//!                             between that of the row block and that of the next one
//! ```
//!
//! Rows of a block come from its file. Where that cannot be opened, a vector file over the whole segment tells them, if no other is missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    format::{
        Source,
        forward::{DOC_ID_COLUMN, ForwardFile, UID_COLUMN},
        manifest::proto::{BlockMeta, BlockType, SegmentMeta},
        proxima::VectorFile,
    },
    inspect::{
        SegmentRef, Tree, View,
        documents::encoding_of,
        names::{self, NameKind},
    },
    vfs::FileType,
};

use super::logs;

/// Files of one segment directory, by kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    /// Forward blocks as Arrow IPC, by block id.
    pub ipc: BTreeMap<u32, PathBuf>,
    /// Forward blocks as Parquet.
    pub parquet: BTreeMap<u32, PathBuf>,
    /// Vector files by column and block id.
    pub vectors: BTreeMap<String, BTreeMap<u32, PathBuf>>,
    /// Quantised ones.
    pub quantized: BTreeMap<String, BTreeMap<u32, PathBuf>>,
    /// Write-ahead logs by block id.
    pub logs: BTreeMap<u32, PathBuf>,
}

impl Files {
    /// The files of every segment directory.
    pub fn of_segments(tree: &Tree) -> BTreeMap<u32, Self> {
        let mut segments: BTreeMap<u32, Self> = BTreeMap::new();
        for entry in &tree.entries {
            let (kind, Some(segment)) = names::classify(&entry.path) else { continue };
            let files = segments.entry(segment).or_default();
            let Some(name) = entry.path.file_name().and_then(|name| name.to_str()) else { continue };
            if entry.file_type == FileType::File {
                files.add(&kind, name, &entry.path);
            }
        }
        segments
    }

    fn add(&mut self, kind: &NameKind, name: &str, path: &Path) {
        let path = path.to_owned();
        match kind {
            NameKind::Wal => {
                let id = name.strip_suffix(".wal").and_then(|id| id.parse().ok());
                self.logs.extend(id.map(|id| (id, path)));
            }
            NameKind::Forward => {
                let (stem, end) = name.rsplit_once('.').unwrap_or_default();
                let id = stem.strip_prefix("scalar.").and_then(|id| id.parse().ok());
                let files = if end == "ipc" { &mut self.ipc } else { &mut self.parquet };
                files.extend(id.map(|id| (id, path)));
            }
            NameKind::Vector | NameKind::QuantizedVector => {
                let (files, middle) = match kind {
                    NameKind::Vector => (&mut self.vectors, ".index"),
                    _ => (&mut self.quantized, ".qindex"),
                };
                let parts = name.strip_suffix(".proxima").and_then(|stem| stem.rsplit_once('.'));
                let parsed = parts.and_then(|(stem, id)| Some((stem.strip_suffix(middle)?, id.parse().ok()?)));
                if let Some((column, id)) = parsed {
                    files.entry(column.to_owned()).or_default().insert(id, path);
                }
            }
            _ => {}
        }
    }

    /// Takes out what a manifest's segment names.
    pub fn without(&mut self, segment: SegmentRef<'_>) {
        for block in &segment.meta.persisted_blocks {
            let Some(path) = segment.block_path(block) else { continue };
            self.ipc.retain(|_, other| *other != path);
            self.parquet.retain(|_, other| *other != path);
            for files in self.vectors.values_mut().chain(self.quantized.values_mut()) {
                files.retain(|_, other| *other != path);
            }
        }
    }

    /// The segment that these files make, in each of the two formats in which there are forward blocks; the second part tells
    /// whether that is Arrow IPC.
    pub fn segments(&self, view: &View, segment: u32) -> Vec<(SegmentMeta, bool)> {
        let formats = [(&self.ipc, true), (&self.parquet, false)];
        let made = formats.into_iter().filter(|(forward, _)| !forward.is_empty());
        made.map(|(forward, mmap)| (self.segment(view, segment, forward), mmap)).collect()
    }

    /// Whether the log of a block is there, and every record of it intact.
    fn has_whole_log(&self, view: &View, block: u32) -> bool {
        self.logs.get(&block).is_some_and(|path| {
            let read = logs::measure(view, path, &mut |_| {});
            read.records > 0 && read.why.is_empty() && read.gaps == 0 && read.lost == 0
        })
    }

    fn segment(&self, view: &View, segment: u32, forward: &BTreeMap<u32, PathBuf>) -> SegmentMeta {
        let (mut rows, mut unmeasured) = (Vec::new(), Vec::new());
        let mut extras: BTreeMap<String, Vec<BlockMeta>> = BTreeMap::new();
        for (id, path) in forward {
            let mut opened = open_forward(view, path);
            // A kill in a flush leaves a part of it. A whole log has all of it.
            if opened.as_ref().is_some_and(|file| !file.faults().is_empty()) && self.has_whole_log(view, *id) {
                opened = None;
            }
            if opened.is_none() && (self.logs.contains_key(id) || is_empty(view, path)) {
                // The file of the open block: zvec makes it empty and fills it at a flush, until which the log has everything.
                continue;
            }
            let columns: Vec<String> =
                opened.iter().flat_map(ForwardFile::columns).map(|column| column.name.clone()).collect();
            let count = opened.as_ref().and_then(measured);
            let batches = opened.iter().flat_map(|file| file.batch_infos()).filter_map(|batch| batch.rows);
            let known = u32::try_from(batches.sum::<u64>()).ok().filter(|_| opened.is_some() && count.is_none());
            let is_rows = opened.is_none() || columns.iter().any(|name| name == DOC_ID_COLUMN);
            if is_rows {
                rows.push(Rows { id: *id, count, partly: false, columns });
                unmeasured.extend(known.map(|known| (*id, known)));
            } else {
                for column in columns {
                    let block = scalar(*id, count.unwrap_or(0), vec![column.clone()]);
                    extras.entry(column).or_default().push(block);
                }
            }
        }
        let vectors = |files: &BTreeMap<u32, PathBuf>| -> Vec<(u32, Option<u32>)> {
            files.iter().map(|(id, path)| (*id, vector_rows(view, path))).collect()
        };
        let full: BTreeMap<_, _> = self.vectors.iter().map(|(name, files)| (name, vectors(files))).collect();
        let quantized: BTreeMap<_, _> = self.quantized.iter().map(|(name, files)| (name, vectors(files))).collect();
        let begun: BTreeSet<u32> = forward.keys().chain(self.logs.keys()).copied().collect();
        complete(&mut rows, full.values().chain(quantized.values()));
        for (id, known) in unmeasured {
            for block in rows.iter_mut().filter(|block| block.id == id && block.count.is_none()) {
                (block.count, block.partly) = (Some(known), true);
            }
        }
        // An altered column keeps its old values in the row block, which count no more.
        for block in &mut rows {
            block.columns.retain(|name| !extras.contains_key(name));
        }
        let mut blocks: Vec<BlockMeta> =
            rows.iter().map(|block| scalar(block.id, block.count.unwrap_or(0), block.columns.clone())).collect();
        for mut of_column in extras.into_values() {
            // One for each row block; of a column that was altered twice the newest ones.
            let old = of_column.len().saturating_sub(rows.len());
            blocks.extend(of_column.drain(old..));
        }
        for (files, block_type) in [(&full, BlockType::VectorIndex), (&quantized, BlockType::VectorIndexQuantize)] {
            for (column, files) in files {
                blocks.extend(cover(&rows, &begun, files).into_iter().map(|(block_id, doc_count)| BlockMeta {
                    block_id,
                    block_type: block_type as i32,
                    doc_count,
                    columns: vec![(*column).clone()],
                    ..BlockMeta::default()
                }));
            }
        }
        SegmentMeta { segment_id: segment, persisted_blocks: blocks, ..SegmentMeta::default() }
    }
}

/// A row block.
#[derive(Debug)]
struct Rows {
    id: u32,
    count: Option<u32>,
    /// The count is that of the batches that can be measured: there are more rows.
    partly: bool,
    columns: Vec<String>,
}

fn is_empty(view: &View, path: &Path) -> bool {
    view.source(path).is_ok_and(|source| source.size() == 0)
}

/// A forward block, if it can be opened.
pub(super) fn open_forward(view: &View, path: &Path) -> Option<ForwardFile> {
    ForwardFile::open(view.source(path).ok()?, encoding_of(path)).ok()
}

fn measured(file: &ForwardFile) -> Option<u32> {
    u32::try_from(file.rows()?).ok()
}

fn vector_rows(view: &View, path: &Path) -> Option<u32> {
    u32::try_from(VectorFile::open(view.source(path).ok()?).ok()?.rows()).ok()
}

fn scalar(block_id: u32, doc_count: u32, mut columns: Vec<String>) -> BlockMeta {
    if columns.is_empty() {
        // Unopened: taken for a row block, which tells what is wrong when it is read.
        columns = vec![DOC_ID_COLUMN.to_owned(), UID_COLUMN.to_owned()];
    }
    BlockMeta { block_id, block_type: BlockType::Scalar as i32, doc_count, columns, ..BlockMeta::default() }
}

/// Fills in the one count that is not known, from the vector file of that block, or from one over the whole segment.
fn complete<'a>(rows: &mut [Rows], columns: impl Iterator<Item = &'a Vec<(u32, Option<u32>)>>) {
    let known: u32 = rows.iter().filter_map(|block| block.count).fold(0, u32::saturating_add);
    let ids: Vec<u32> = rows.iter().map(|block| block.id).collect();
    let mut unknown: Vec<&mut Rows> = rows.iter_mut().filter(|block| block.count.is_none()).collect();
    let [block] = unknown.as_mut_slice() else { return };
    let next = |of: u32| ids.iter().copied().find(|id| *id > of).unwrap_or(u32::MAX);
    let told = columns.filter_map(|files| {
        let of_block = |of: u32| files.iter().find(|(id, _)| (of..next(of)).contains(id));
        // Where every block has a file, the first one was made with it; what an optimize made for all comes behind.
        if ids.iter().all(|id| of_block(*id).is_some()) {
            of_block(block.id)?.1
        } else {
            files.last()?.1?.checked_sub(known)
        }
    });
    block.count = told.max().filter(|rows| *rows > 0);
}

/// The files that cover the rows of the blocks, in row order, with the rows that each covers. Where some blocks have none, the block's own id stands
/// in, which no vector file has: later rows must not move up.
///
/// `begun` are the ids of all blocks that were begun, the open one too: its vectors are not those of the block before.
fn cover(rows: &[Rows], begun: &BTreeSet<u32>, files: &[(u32, Option<u32>)]) -> Vec<(u32, u32)> {
    let total = rows.iter().filter_map(|block| block.count).fold(0, u32::saturating_add);
    let certain = rows.iter().all(|block| block.count.is_some() && !block.partly);
    let whole = files.iter().rev().find(|(_, held)| rows.len() > 1 && certain && *held == Some(total));
    if let Some((id, _)) = whole {
        return vec![(*id, total)];
    }
    let alone = begun.len() <= 1 && rows.len() == 1;
    let found: Vec<(u32, Option<u32>, u32)> = rows
        .iter()
        .map(|block| {
            let next = begun.range(block.id.saturating_add(1)..).next().copied().unwrap_or(u32::MAX);
            let count = block.count.unwrap_or(0);
            let near: Vec<_> = files.iter().filter(|(id, _)| (block.id..next).contains(id)).collect();
            // Exactly as many rows is the best sign; trailing rows without a vector are not stored; a damaged file tells nothing.
            let exact = near.iter().copied().rev().find(|(_, held)| *held == Some(count));
            let other = near.iter().copied().find(|(_, held)| block.partly || held.is_none_or(|held| held < count));
            let only = files.iter().rev().find(|(_, held)| alone || (rows.len() == 1 && *held == Some(count)));
            (block.id, exact.or(other).or(only).map(|(id, _)| *id), count)
        })
        .collect();
    if found.iter().all(|(_, file, _)| file.is_none()) {
        return Vec::new();
    }
    found.into_iter().map(|(id, file, count)| (file.unwrap_or(id), count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(counts: &[(u32, Option<u32>)]) -> Vec<Rows> {
        counts.iter().map(|(id, count)| Rows { id: *id, count: *count, partly: false, columns: Vec::new() }).collect()
    }

    #[test]
    fn vector_files_are_laid_over_the_row_blocks() {
        let blocks = rows(&[(0, Some(10)), (5, Some(7))]);
        let begun = BTreeSet::from([0, 5]);
        let one = rows(&[(0, Some(10))]);
        for (blocks, begun, files, expected) in [
            (&blocks, &begun, vec![(3, Some(10)), (6, Some(7))], vec![(3, 10), (6, 7)]),
            // One for all.
            (&blocks, &begun, vec![(3, Some(10)), (6, Some(7)), (9, Some(17))], vec![(9, 17)]),
            // Damaged, and trailing nulls.
            (&blocks, &begun, vec![(3, None), (6, Some(5))], vec![(3, 10), (6, 7)]),
            // Rows of the second one stay where they are.
            (&blocks, &begun, vec![(6, Some(7))], vec![(0, 10), (6, 7)]),
            (&blocks, &begun, vec![], vec![]),
            // An unfinished one.
            (&one, &BTreeSet::from([0]), vec![(3, Some(10)), (8, Some(4))], vec![(3, 10)]),
            // Vectors of the open block.
            (&one, &begun, vec![(6, Some(4))], vec![]),
        ] {
            assert_eq!(cover(blocks, begun, &files), expected, "{files:?}");
        }
    }

    #[test]
    fn one_unknown_count_follows_from_the_vectors() {
        for (counts, files, expected) in [
            ([Some(10), None], vec![(9, Some(17))], [Some(10), Some(7)]),
            ([None, Some(7)], vec![(9, Some(17))], [Some(10), Some(7)]),
            ([Some(10), None], vec![(3, Some(10)), (6, Some(7)), (9, Some(17))], [Some(10), Some(7)]),
            ([None, None], vec![(9, Some(17))], [None, None]),
            ([Some(10), None], vec![(9, None)], [Some(10), None]),
        ] {
            let mut blocks = rows(&[(0, counts[0]), (5, counts[1])]);
            complete(&mut blocks, [&files].into_iter());
            assert_eq!([blocks[0].count, blocks[1].count], expected, "{counts:?} {files:?}");
        }
    }
}
