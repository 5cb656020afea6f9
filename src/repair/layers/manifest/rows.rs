//! The row blocks of a segment: those whose files can be read, and those whose files cannot.
//!
//! A row block that is gone leaves traces: vector files that have no row block below them, numbers of document ids that nothing has though the id map
//! names them. Where both agree it keeps its place, so that the rows behind it keep theirs, and is made anew as one that a manifest names.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use roaring::RoaringTreemap;

use crate::{
    format::manifest::Manifest,
    inspect::{
        Findings, View,
        deleted::Deleted,
        evidence::{Forward, Found, Vectors},
        idmap::IdMap,
    },
};

use super::cover;

/// A row block.
#[derive(Debug)]
pub struct Row<'a> {
    /// Its file; `None` if that is gone or cannot be read.
    pub file: Option<&'a Forward>,
    /// Its block id.
    pub block: u32,
    /// Its rows.
    pub count: u32,
    /// Its first document id.
    pub first: u64,
    /// Its last document id.
    pub last: u64,
}

impl Row<'_> {
    /// Its rows.
    pub fn rows(&self) -> u64 {
        self.count.into()
    }
}

/// What is known of document ids beside the rows of a segment.
#[derive(Debug, Default)]
pub struct Around {
    /// Ids of rows in other segments.
    pub taken: RoaringTreemap,
    /// Ids that the id map knows.
    pub mapped: RoaringTreemap,
    /// Ids that the delete snapshot marks.
    pub deleted: RoaringTreemap,
}

impl Around {
    /// What id map and delete snapshot of a manifest say.
    pub fn of(view: &View, manifest: &Manifest) -> Self {
        let findings = Findings::default();
        let map = IdMap::load(view, manifest);
        let mapped = map.entries(&findings).filter(|(.., certain)| *certain).map(|(_, id, _)| id).collect();
        Self { taken: RoaringTreemap::new(), mapped, deleted: Deleted::load(view, manifest).ids() }
    }

    /// The same beside other rows.
    pub fn beside(&self, taken: RoaringTreemap) -> Self {
        Self { taken, mapped: self.mapped.clone(), deleted: self.deleted.clone() }
    }

    fn known(&self, gap: &Range<u64>) -> RoaringTreemap {
        let mut ids = &self.mapped | &self.deleted;
        ids.remove_range(..gap.start);
        ids.remove_range(gap.end..);
        ids
    }

    fn end(&self) -> u64 {
        self.mapped.max().max(self.deleted.max()).map_or(0, |id| id.saturating_add(1))
    }
}

/// The row blocks of a segment.
#[derive(Debug, Default)]
pub struct Rows<'a> {
    /// In the order of their documents.
    pub list: Vec<Row<'a>>,
    /// Ids of all rows.
    pub ids: RoaringTreemap,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// What was taken for a row block that is gone.
    pub gone: Vec<String>,
    used: BTreeSet<u32>,
}

impl Rows<'_> {
    /// A block id above `above` that nothing in the segment has.
    pub fn free_block(&mut self, above: Option<u32>) -> u32 {
        let first = above.map_or(0, |above| above.saturating_add(1));
        let id = (first..u32::MAX).find(|id| !self.used.contains(id)).unwrap_or(u32::MAX);
        self.used.insert(id);
        id
    }
}

/// The log that is to be replayed: its block id. The rows of its block, and what was made of them already, come back from it.
pub fn log(found: &Found) -> Option<u32> {
    let stands = |block: u32| found.forwards.iter().any(|file| file.block == block);
    found.log().or_else(|| found.logs.iter().map(|(block, _)| *block).filter(|block| !stands(*block)).max())
}

/// The row blocks of a segment. Where files compete, those for which `named` holds are taken, then the sound ones, then the newer ones. Those that are
/// gone are only looked for with `around`.
pub fn settle<'a>(found: &'a Found, named: &dyn Fn(u32) -> bool, around: Option<&Around>) -> Rows<'a> {
    let log = log(found);
    let flushed = |block: u32| log.is_none_or(|log| block < log);
    let mut rows = Rows { used: used(found), ..Rows::default() };
    let mut candidates: Vec<&Forward> =
        found.forwards.iter().filter(|file| flushed(file.block) && file.is_row_block()).collect();
    candidates.sort_by_key(|file| (!named(file.block), !file.sound, std::cmp::Reverse(file.block)));
    let mut anchors: BTreeMap<u32, Anchor> = BTreeMap::new();
    for file in found.forwards.iter().filter(|file| flushed(file.block) && file.columns.is_empty()) {
        anchors.insert(file.block, Anchor::Unreadable);
    }
    for file in candidates {
        let count = file.rows.and_then(|rows| u32::try_from(rows).ok());
        let (Some(count), Some(first), Some(last)) = (count, file.ids.min(), file.ids.max()) else {
            anchors.insert(file.block, Anchor::Unreadable);
            continue;
        };
        if rows.ids.is_disjoint(&file.ids) {
            rows.ids |= &file.ids;
            anchors.insert(file.block, Anchor::Rows(first, last, u64::from(count)));
            rows.list.push(Row { file: Some(file), block: file.block, count, first, last });
            continue;
        }
        anchors.insert(file.block, Anchor::Other);
        if !file.ids.is_subset(&rows.ids) {
            rows.notes.push(format!(
                "{} is left out: some of its documents are in another block, {} are not",
                file.path.display(),
                (&file.ids - &rows.ids).len()
            ));
        }
    }
    rows.list.sort_by_key(|row| row.first);
    if let Some(around) = around {
        let columns = columns(found, flushed);
        let unexplained: Vec<&Vec<&Vectors>> = columns.values().filter(|files| !explained(files, &rows.list)).collect();
        for gone in search(&anchors, &unexplained, around) {
            make(found, gone, around, &mut rows);
        }
        let more = merged(&unexplained, &rows, around);
        more.into_iter().for_each(|gone| make(found, gone, around, &mut rows));
        rows.list.sort_by_key(|row| row.first);
    }
    for (block, _) in anchors.iter().filter(|(_, anchor)| **anchor == Anchor::Unreadable) {
        if !rows.list.iter().any(|row| row.block == *block)
            && let Some(file) = found.forwards.iter().find(|file| file.block == *block)
        {
            let why = if file.columns.is_empty() { "it cannot be opened" } else { "its rows cannot be counted" };
            rows.notes.push(format!("{} is left out: {why}", file.path.display()));
        }
    }
    rows
}

/// A forward file, and what its number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    /// Rows: first id, last id, how many.
    Rows(u64, u64, u64),
    /// Nobody knows what.
    Unreadable,
    /// Rows that another file has.
    Other,
}

/// A row block that is gone.
#[derive(Debug)]
struct Gone {
    /// Its number, if a file has it.
    block: Option<u32>,
    /// Its number is above this one.
    above: Option<u32>,
    /// Rows of its vector files; 0 if there are none.
    rows: u64,
    /// The ids that it can have.
    gap: Range<u64>,
    /// Whether rows follow, so that the gap has an end.
    closed: bool,
    /// Whether it is the only one in the gap.
    alone: bool,
}

fn used(found: &Found) -> BTreeSet<u32> {
    let forwards = found.forwards.iter().map(|file| file.block);
    let vectors = found.vectors.iter().map(|file| file.block);
    let indexes = found.scalar_indexes.iter().chain(&found.fts_indexes).copied();
    forwards.chain(vectors).chain(indexes).chain(found.logs.iter().map(|(block, _)| *block)).collect()
}

/// Vector files by column and kind, oldest first.
fn columns(found: &Found, flushed: impl Fn(u32) -> bool) -> BTreeMap<(&str, bool), Vec<&Vectors>> {
    let mut columns: BTreeMap<(&str, bool), Vec<&Vectors>> = BTreeMap::new();
    for file in found.vectors.iter().filter(|file| flushed(file.block)) {
        columns.entry((file.column.as_str(), file.quantised)).or_default().push(file);
    }
    columns
}

/// Whether all files of a column are those of rows that are there, or the newest one is that of many row blocks.
fn explained(files: &[&Vectors], rows: &[Row<'_>]) -> bool {
    cover::exact(files, rows).is_some_and(|pieces| pieces.len() == files.len() || (pieces.len() == 1 && rows.len() > 1))
}

/// Row blocks that are gone, between each two that are there.
fn search(anchors: &BTreeMap<u32, Anchor>, columns: &[&Vec<&Vectors>], around: &Around) -> Vec<Gone> {
    let mut gone = Vec::new();
    let mut before: Option<(u32, (u64, u64, u64))> = None;
    let mut between: Vec<(u32, Anchor)> = Vec::new();
    let ends = anchors.iter().map(|(block, anchor)| (Some(*block), Some(*anchor))).chain([(None, None)]);
    for (block, anchor) in ends {
        let next = match anchor {
            Some(Anchor::Rows(first, ..)) => Some(first),
            None => None,
            Some(other) => {
                between.extend(block.map(|block| (block, other)));
                continue;
            }
        };
        let limits = (before.map(|(block, _)| block), block);
        if let Some((gap, closed)) = gap(before.map(|(_, (_, last, _))| last), next, around) {
            let own = before.map(|(_, (.., count))| count);
            gone.extend(in_gap(limits, own, &between, columns, gap, closed, around));
        }
        between.clear();
        before = match (block, anchor) {
            (Some(block), Some(Anchor::Rows(first, last, count))) => Some((block, (first, last, count))),
            _ => before,
        };
    }
    gone
}

/// The ids between two rows, and whether the gap has an end.
fn gap(last: Option<u64>, next: Option<u64>, around: &Around) -> Option<(Range<u64>, bool)> {
    if last.is_none() && next.is_none() {
        return whole_gap(around).map(|gap| (gap, true));
    }
    let below = |id: u64| around.taken.rank(id.saturating_sub(1)).checked_sub(1).and_then(|at| around.taken.select(at));
    let start = match (last, next) {
        (Some(last), _) => last.saturating_add(1),
        (None, Some(0)) => return None,
        (None, next) => below(next?).map_or(0, |id| id.saturating_add(1)),
    };
    let end = next.or_else(|| around.taken.select(around.taken.rank(start.saturating_sub(1))));
    let end = end.filter(|end| *end >= start || next.is_some());
    let closed = end.is_some();
    let end = end.unwrap_or_else(|| around.end().max(start));
    let free = around.taken.range_cardinality(start..end) == 0;
    (start <= end && free && (start < end || !closed)).then_some((start..end, closed))
}

/// The one gap between rows of other segments that the id map names documents of.
fn whole_gap(around: &Around) -> Option<Range<u64>> {
    let mut missing = &around.mapped - &around.taken;
    missing -= &around.deleted;
    let (first, last) = (missing.min()?, missing.max()?);
    if around.taken.range_cardinality(first..last) > 0 {
        return None;
    }
    let rank = around.taken.rank(first);
    let start = rank.checked_sub(1).and_then(|at| around.taken.select(at)).map_or(0, |id| id.saturating_add(1));
    let end = around.taken.select(rank).unwrap_or_else(|| around.end());
    (start < end).then_some(start..end)
}

#[allow(clippy::too_many_arguments, reason = "what stands on both sides of a gap, and in it")]
fn in_gap(
    limits: (Option<u32>, Option<u32>),
    own: Option<u64>,
    between: &[(u32, Anchor)],
    columns: &[&Vec<&Vectors>],
    gap: Range<u64>,
    closed: bool,
    around: &Around,
) -> Vec<Gone> {
    let room = gap.end.saturating_sub(gap.start);
    let known = around.known(&gap).len();
    let mut starts: Vec<(Option<u32>, Option<Anchor>)> = vec![(limits.0, own.map(|_| Anchor::Other))];
    starts.extend(between.iter().map(|(block, anchor)| (Some(*block), Some(*anchor))));
    let mut gone = Vec::new();
    for (at, (start, anchor)) in starts.iter().enumerate() {
        let end = starts.get(at + 1).map_or(limits.1, |(block, _)| *block);
        let inside =
            |file: &&&Vectors| start.is_none_or(|start| start < file.block) && end.is_none_or(|end| file.block < end);
        let files: Vec<Vec<&Vectors>> =
            columns.iter().map(|files| files.iter().filter(inside).copied().collect()).collect();
        let rows = |file: &&Vectors| file.facts.as_ref().map_or(0, |facts| facts.rows);
        let nth = |nth: usize| files.iter().filter_map(move |files| files.get(nth));
        let most = files.iter().map(Vec::len).max().unwrap_or(0);
        let is_before = at == 0 && own.is_some();
        // The vectors of the rows before the gap may be gone, too: what is there then has the rows of the gap.
        let of_gap = is_before
            && most > 0
            && nth(0).all(|file| own != Some(rows(file)) && ((closed && room == rows(file)) || known == rows(file)));
        let (named, skip) = match anchor {
            Some(Anchor::Unreadable) => (*start, 1),
            Some(Anchor::Other) if at > 0 => continue,
            _ => (None, usize::from(is_before && !of_gap)),
        };
        let new = |block: Option<u32>, above: Option<u32>, rows: u64| Gone {
            block,
            above,
            rows,
            gap: gap.clone(),
            closed,
            alone: false,
        };
        if named.is_some() {
            gone.push(new(named, *start, nth(0).map(rows).max().unwrap_or(0)));
        }
        for place in skip..most {
            let above = place.checked_sub(1).and_then(|before| nth(before).map(|file| file.block).max()).or(*start);
            gone.push(new(None, above, nth(place).map(rows).max().unwrap_or(0)));
        }
    }
    // What has no vector file is a row block if nothing else can be.
    if gone.len() > 1 {
        gone.retain(|gone| gone.rows > 0);
    }
    let alone = gone.len() == 1;
    let mut start = gap.start;
    for gone in &mut gone {
        gone.alone = alone;
        gone.gap.start = start;
        start = start.saturating_add(gone.rows);
    }
    gone
}

/// A row block that only a file of the vectors of many tells of: it has more rows than are there.
fn merged(columns: &[&Vec<&Vectors>], rows: &Rows<'_>, around: &Around) -> Option<Gone> {
    let listed: u64 = rows.list.iter().map(Row::rows).sum();
    let most = columns.iter().filter_map(|files| files.last()?.facts.as_ref()).map(|facts| facts.rows).max()?;
    let missing = most.checked_sub(listed).filter(|missing| *missing > 0 && listed > 0)?;
    let mut gaps = Vec::new();
    let mut last = None;
    for next in rows.list.iter().map(|row| Some(row.first)).chain([None]) {
        gaps.extend(gap(last, next, around).filter(|(gap, closed)| {
            let room = gap.end.saturating_sub(gap.start);
            !live(&around.known(gap), around).is_empty() || (*closed && room == missing)
        }));
        last = rows.list.iter().find(|row| Some(row.first) == next).map(|row| row.last);
    }
    let [(gap, closed)] = gaps.as_slice() else { return None };
    Some(Gone { block: None, above: None, rows: missing, gap: gap.clone(), closed: *closed, alone: true })
}

fn live(known: &RoaringTreemap, around: &Around) -> RoaringTreemap {
    &(known & &around.mapped) - &around.deleted
}

/// Gives a row block that is gone its place, if the ids allow of it.
fn make(found: &Found, gone: Gone, around: &Around, rows: &mut Rows<'_>) {
    let Gone { block, above, rows: held, gap, closed, alone } = gone;
    let known = around.known(&gap);
    let room = gap.end.saturating_sub(gap.start);
    let missed = live(&known, around);
    let blind = closed && around.mapped.is_empty();
    let count = match held {
        // The ids behind the last rows may be those of the log.
        0 if !closed && log(found).is_some() => return,
        0 => known.len(),
        held if closed && room < held => return,
        held if (closed && room == held) || !alone || known.len() <= held => held,
        // Rows without vector may be left out at the end of a file; beyond the last rows the id map may be ahead.
        held if closed => known.len().max(held),
        held => held,
    };
    let told = !missed.is_empty() || known.len() >= count || (closed && room == count) || blind;
    let Some(count) = u32::try_from(count).ok().filter(|count| *count > 0 && told) else { return };
    let wanted = u64::from(count);
    let ids: RoaringTreemap = match known.len() == wanted && alone {
        true => known,
        false => {
            let mut ids = RoaringTreemap::new();
            ids.insert_range(gap.start..gap.start.saturating_add(wanted));
            ids
        }
    };
    let (Some(first), Some(last)) = (ids.min(), ids.max()) else { return };
    if !rows.ids.is_disjoint(&ids) {
        return;
    }
    let block = block.unwrap_or_else(|| rows.free_block(above));
    let what = match found.forwards.iter().any(|file| file.block == block) {
        true => "cannot be read",
        false => "is gone",
    };
    rows.gone.push(format!(
        "block {block} of segment {}, which {what}: {count} rows with the ids {first} to {last}, as vector files, id map and the rows around it tell",
        found.id
    ));
    rows.ids |= ids;
    rows.list.push(Row { file: None, block, count, first, last });
}
