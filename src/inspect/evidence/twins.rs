//! Row blocks that hold the rows of others.
//!
//! ```text
//! copied     the same document ids and keys stand in two files, and one of these is not theirs
//! exchanged  document ids do not ascend from block to block, and some blocks have, each, the ids that the manifest gives another one of them
//! ```
//!
//! What a manifest says of ids alone is no evidence: after a recovery it is often wrong.

use std::path::PathBuf;

use crate::{
    format::{
        forward::{DOC_ID_COLUMN, UID_COLUMN, value_at},
        manifest::{Manifest, proto::BlockMeta},
        value::Value,
    },
    inspect::{Findings, View, documents::BlockReader, first_id, segments_of},
    report::{Finding, Loss, show_path},
};

/// A row block whose rows are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overwritten {
    /// Its file, relative to the collection.
    pub path: PathBuf,
    /// Its segment.
    pub segment: u32,
    /// Its block id.
    pub block: u32,
    /// The file whose rows it has.
    pub of: PathBuf,
    /// Its own rows, by the manifest.
    pub rows: u32,
    /// Whether its own rows are in the place of another one.
    pub exchanged: bool,
}

impl Overwritten {
    /// What is said of it.
    pub fn finding(&self) -> Finding {
        let (rows, of) = (u64::from(self.rows), show_path(&self.of));
        let detail = match self.exchanged {
            true => format!(
                "it holds the rows of {of}, by their document ids, and its own {rows} row(s) stand in another's place"
            ),
            false => format!(
                "it holds the rows of {of}, document by document: a copy of that file stands in its place, and its own {rows} row(s) are gone"
            ),
        };
        let loss = if self.exchanged { Loss::Possible } else { Loss::Certain };
        let finding = Finding::error("forward.overwritten-block", detail).at(&self.path).segment(self.segment);
        finding.loses(loss, Some(rows))
    }
}

/// A row block of a manifest, as far as it is looked at.
struct Listed<'a> {
    path: PathBuf,
    segment: u32,
    meta: &'a BlockMeta,
    /// First and last id of its file.
    ends: Option<(u64, u64)>,
}

/// The row blocks of a manifest that hold the rows of another one. Of two of them neither counts if nothing tells which one is right.
pub fn overwritten(view: &View, manifest: &Manifest) -> Vec<Overwritten> {
    let mut listed = Vec::new();
    for segment in segments_of(manifest) {
        for meta in segment.row_blocks().filter(|meta| meta.doc_count > 0) {
            let Some(path) = segment.block_path(meta) else { continue };
            listed.push(Listed { ends: ends(view, &path), path, segment: segment.id(), meta });
        }
    }
    let end = first_id(manifest);
    let mut found: Vec<Overwritten> = Vec::new();
    for (at, block) in listed.iter().enumerate() {
        let Some((first, last)) = block.ends else { continue };
        let twins: Vec<usize> =
            (0..listed.len()).filter(|other| listed.get(*other).is_some_and(|of| of.ends == block.ends)).collect();
        // Each group once, at its first member.
        if twins.len() < 2 || twins.first() != Some(&at) {
            continue;
        }
        let members: Vec<&Listed<'_>> = twins.iter().filter_map(|twin| listed.get(*twin)).collect();
        let names = names(view, block);
        if names.is_empty() || members.iter().skip(1).any(|other| self::names(view, other) != names) {
            continue;
        }
        let Some(owner) = owner(&listed, &twins, (first, last), end) else { continue };
        let of = listed.get(owner).map(|of| of.path.clone()).unwrap_or_default();
        for other in twins.iter().filter(|twin| **twin != owner).filter_map(|twin| listed.get(*twin)) {
            found.push(Overwritten {
                path: other.path.clone(),
                segment: other.segment,
                block: other.meta.block_id,
                of: of.clone(),
                rows: other.meta.doc_count,
                exchanged: false,
            });
        }
    }
    found.extend(exchanged(&listed));
    found
}

/// Row blocks that stand in each other's place.
fn exchanged(listed: &[Listed<'_>]) -> Vec<Overwritten> {
    let read: Vec<&Listed<'_>> = listed.iter().filter(|block| block.ends.is_some()).collect();
    let ascend = read.windows(2).all(|pair| match pair {
        [before, behind] => before.ends.zip(behind.ends).is_some_and(|((_, last), (first, _))| last < first),
        _ => true,
    });
    if ascend {
        return Vec::new();
    }
    let within = |block: &Listed<'_>, place: &Listed<'_>| {
        block.ends.is_some_and(|(first, last)| place.meta.min_doc_id <= first && last <= place.meta.max_doc_id)
    };
    let strangers: Vec<&Listed<'_>> = read.into_iter().filter(|block| !within(block, block)).collect();
    let place = |block: &Listed<'_>| {
        let mut places = strangers.iter().filter(|place| within(block, place));
        places.next().filter(|_| places.next().is_none())
    };
    // Whose place is taken by one whose own place is known, and so on round to the first.
    let goes_round = |block: &Listed<'_>| {
        let mut at = place(block);
        for _ in 0..strangers.len() {
            match at {
                Some(next) if next.path == block.path => return true,
                Some(next) => at = place(next),
                None => return false,
            }
        }
        false
    };
    let found = strangers.iter().filter(|block| goes_round(block)).filter_map(|block| {
        let of = place(block)?.path.clone();
        let (path, rows) = (block.path.clone(), block.meta.doc_count);
        Some(Overwritten { path, segment: block.segment, block: block.meta.block_id, of, rows, exchanged: true })
    });
    found.collect()
}

/// Which block the rows belong to: the only one that leaves room for the ids of the others; else the only one that the manifest gives these ids, or
/// as many rows.
fn owner(listed: &[Listed<'_>], twins: &[usize], ids: (u64, u64), end: u64) -> Option<usize> {
    let last = listed.iter().take(*twins.first()?).rev().find_map(|block| block.ends).map(|(_, last)| last);
    let behind = listed.iter().skip(*twins.last()? + 1).find_map(|block| block.ends).map_or(end, |(first, _)| first);
    let between = |from: usize, to: usize| listed.get(from + 1..to).unwrap_or_default();
    let leaves_room = |owner: &usize| {
        twins.iter().filter(|twin| *twin != owner).all(|twin| {
            // The rows of blocks between the two must lie on the same side, too.
            let (low, high, inner) = match twin < owner {
                true => (last.map_or(0, |id| id.saturating_add(1)), ids.0, between(*twin, *owner)),
                false => (ids.1.saturating_add(1), behind, between(*owner, *twin)),
            };
            let inside = |block: &Listed<'_>| block.ends.is_none_or(|(first, last)| low <= first && last < high);
            let own = listed.get(*twin).map_or(0, |block| u64::from(block.meta.doc_count));
            let taken = inner.iter().filter(|block| block.ends.is_none_or(|ends| ends != ids));
            let need = taken.fold(own, |sum, block| sum.saturating_add(block.meta.doc_count.into()));
            inner.iter().filter(|block| block.ends != Some(ids)).all(inside) && high.saturating_sub(low) >= need
        })
    };
    let meta = |twin: &usize| listed.get(*twin).map(|block| block.meta);
    let has_range = |twin: &usize| meta(twin).is_some_and(|meta| (meta.min_doc_id, meta.max_doc_id) == ids);
    let rooms: Vec<usize> = twins.iter().copied().filter(leaves_room).collect();
    let ranges: Vec<usize> = rooms.iter().copied().filter(has_range).collect();
    [rooms, ranges].into_iter().find_map(|of| match of.as_slice() {
        [one] => Some(*one),
        _ => None,
    })
}

/// First and last document id of a file, from its first and last batch.
fn ends(view: &View, path: &std::path::Path) -> Option<(u64, u64)> {
    let reader = BlockReader::open(view, path, 0, &Findings::default())?;
    let column = reader.file().column_index(DOC_ID_COLUMN)?;
    let last = reader.file().batch_infos().len().checked_sub(1)?;
    let ids = |batch: usize| {
        let records = reader.file().read_batch(batch, Some(&[column])).ok()?;
        reader.doc_ids(&records, 0).ok()
    };
    Some((*ids(0)?.values().first()?, *ids(last)?.values().last()?))
}

/// Id and key of every row; empty if one of them cannot be read.
fn names(view: &View, block: &Listed<'_>) -> Vec<(u64, Vec<u8>)> {
    let read = || {
        let reader = BlockReader::open(view, &block.path, 0, &Findings::default())?;
        let columns = [DOC_ID_COLUMN, UID_COLUMN].map(|name| reader.file().column_index(name));
        let [Some(id), Some(key)] = columns else { return None };
        let mut names = Vec::new();
        for batch in 0..reader.file().batch_infos().len() {
            let column = |at: usize| reader.file().read_batch(batch, Some(&[at])).ok();
            let ids = reader.doc_ids(&column(id)?, 0).ok()?;
            let keys = column(key)?;
            let keys = keys.columns().first()?;
            for (row, id) in ids.values().iter().enumerate() {
                match value_at(keys.as_ref(), row) {
                    Ok(Value::Bytes(key)) => names.push((*id, key)),
                    _ => return None,
                }
            }
        }
        Some(names)
    };
    read().unwrap_or_default()
}
