//! Forward files that a copy of another one was written over, where no manifest says which rows belong where: the documents that the id map names and no
//! row has stand before or behind those of the other file, and so does the file.

use roaring::RoaringTreemap;

use crate::{
    format::{Source, read_vec},
    inspect::{
        View,
        evidence::{Forward, Found},
        names,
    },
};

use super::rows::Around;

const PIECE: u64 = 1 << 20;

/// Takes what a copy was written over for a file that cannot be read, so that it keeps its place; says so.
pub fn forget(view: &View, segments: &mut [Found], around: &Around) -> Vec<String> {
    let mut notes = Vec::new();
    let all = segments.iter().fold(RoaringTreemap::new(), |ids, found| ids | found.ids());
    let missing = &(&around.mapped - &all) - &around.deleted;
    let (Some(first), Some(last)) = (missing.min(), missing.max()) else { return notes };
    // Each turn takes one file out of those that are compared.
    while let Some((at, file, of)) = find(view, segments, first, last) {
        let Some(forward) = segments.get_mut(at).and_then(|found| found.forwards.get_mut(file)) else { break };
        notes.push(format!("{} holds the rows of {of}, a copy of which stands in its place", forward.path.display()));
        forward.columns.clear();
        forward.ids.clear();
        (forward.rows, forward.sound) = (None, false);
    }
    notes
}

/// A file that a copy was written over: its segment's and its own place, and the other file in words.
fn find(view: &View, segments: &[Found], first: u64, last: u64) -> Option<(usize, usize, String)> {
    let files: Vec<(usize, usize, &Forward)> = segments
        .iter()
        .enumerate()
        .flat_map(|(at, found)| found.forwards.iter().enumerate().map(move |(file, forward)| (at, file, forward)))
        .filter(|(.., forward)| forward.is_row_block() && !forward.ids.is_empty())
        .collect();
    files.iter().enumerate().find_map(|(place, one)| {
        let other =
            files.iter().skip(place + 1).find(|other| other.2.ids == one.2.ids && other.2.rows == one.2.rows)?;
        let (low, high) = (one.2.ids.min()?, one.2.ids.max()?);
        let (lost, owner) = match (last < low, high < first) {
            (true, _) => (one, other),
            (_, true) => (other, one),
            _ => return None,
        };
        let (found, from) = (segments.get(lost.0)?, segments.get(owner.0)?);
        // A copy of a whole directory has its own vectors nowhere.
        let is_own = lost.0 == owner.0 || has_own_vectors(view, found, from);
        is_own.then(|| (lost.0, lost.1, owner.2.path.display().to_string()))
    })
}

fn has_own_vectors(view: &View, found: &Found, other: &Found) -> bool {
    found.vectors.iter().any(|file| {
        let kind = if file.quantised { "qindex" } else { "index" };
        let name = format!("{}.{kind}.{}.proxima", file.column, file.block);
        let open = |id: u32| view.source(&names::segment_dir(id).join(&name)).ok();
        let Some(one) = open(found.id) else { return false };
        open(other.id).is_none_or(|other| differ(&one, &other))
    })
}

fn differ(one: &impl Source, other: &impl Source) -> bool {
    let size = one.size();
    let piece = |source: &dyn Source, at: u64| read_vec(source, at, PIECE.min(size - at), "io.read").ok();
    size != other.size()
        || (0..size).step_by(PIECE as usize).any(|at| match (piece(one, at), piece(other, at)) {
            (Some(one), Some(other)) => one != other,
            _ => true,
        })
}
