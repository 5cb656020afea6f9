//! Document ids and keys of the rows of a block, from what the block says, what the id map says, and the rows around it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Range,
};

use roaring::RoaringTreemap;

/// Fewer live documents say nothing about whose block it is.
const FEW: usize = 4;

/// What is known of the ids that the rows of a block can have.
#[derive(Debug, Default)]
pub struct Known {
    /// Ids above those of the rows before the block and below those of the rows behind it.
    pub range: Range<u64>,
    /// Entries of the id map in that range.
    pub map: BTreeMap<u64, Vec<u8>>,
    /// Whether the id map is undamaged, so that it has every live document.
    pub map_sound: bool,
    /// Deleted ids.
    pub deleted: RoaringTreemap,
    /// Whether the delete snapshot is undamaged, so that it has every deleted id.
    pub deleted_sound: bool,
}

/// A row whose document cannot be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Its key, if anything tells it.
    pub key: Option<Vec<u8>>,
    /// Its document id, if anything tells it.
    pub doc_id: Option<u64>,
    /// Why.
    pub reason: &'static str,
}

/// Ids and keys for all rows of a block.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Ids, ascending.
    pub ids: Vec<u64>,
    /// Keys.
    pub keys: Vec<Vec<u8>>,
    /// Rows that are given up.
    pub given_up: Vec<usize>,
    /// The documents that are lost with them.
    pub lost: Vec<Lost>,
    /// Ids that the block has otherwise, or not at all.
    pub new_ids: u64,
    /// Keys that the block has otherwise, or not at all.
    pub new_keys: u64,
    /// Rows whose key only a damaged id map tells.
    pub doubtful: Vec<usize>,
    /// Whether the block holds other rows than those it should: nothing of it is used.
    pub foreign: bool,
}

impl Known {
    fn live(&self, range: &Range<u64>) -> Vec<u64> {
        self.map.range(range.clone()).map(|(id, _)| *id).filter(|id| !self.deleted.contains(*id)).collect()
    }

    /// Every id that a row can have, live or deleted.
    fn all(&self, range: &Range<u64>) -> Vec<u64> {
        let mut ids: RoaringTreemap = self.map.range(range.clone()).map(|(id, _)| *id).collect();
        ids.extend(self.deleted.iter().skip_while(|id| *id < range.start).take_while(|id| *id < range.end));
        ids.iter().collect()
    }
}

/// Settles ids and keys; `None` where the block does not say.
///
/// # Errors
/// There are more rows than ids that they can have.
pub fn settle(stored: &[(Option<u64>, Option<Vec<u8>>)], known: &Known) -> Result<Settled, String> {
    let by_key: HashMap<&[u8], u64> = match known.map_sound {
        true => known.map.iter().map(|(id, key)| (key.as_slice(), *id)).collect(),
        false => HashMap::new(),
    };
    let mut ids: Vec<Option<u64>> =
        stored.iter().map(|(id, key)| (*id).filter(|id| anchored(*id, key, known))).collect();
    keep_ascending(&mut ids);
    let anchors = ids.iter().flatten().count();
    let live = known.live(&known.range).len();
    // A row that is damaged still has its id or its key.
    let belongs = |(id, key): &(Option<u64>, Option<Vec<u8>>)| {
        id.is_some_and(|id| known.range.contains(&id))
            || key.as_ref().is_some_and(|key| by_key.contains_key(key.as_slice()))
    };
    let few = live >= FEW && anchors * 2 < live.min(stored.len());
    let none = live > 0 && !stored.iter().any(belongs);
    let foreign = known.map_sound && (few || none) && stored.iter().any(|(id, _)| id.is_some());
    let nothing = vec![(None, None); if foreign { stored.len() } else { 0 }];
    let stored = if foreign { nothing.as_slice() } else { stored };
    if foreign {
        ids = vec![None; stored.len()];
    }
    for (run, range) in runs(&ids, &known.range) {
        let mut found: Vec<Option<u64>> = stored
            .iter()
            .skip(run.start)
            .take(run.len())
            .map(|(id, key)| choose(id.filter(|id| range.contains(id)), key, &by_key, &range, known))
            .collect();
        keep_ascending(&mut found);
        ids.splice(run, found);
    }
    let mut settled = Settled { foreign, ..Settled::default() };
    for (run, range) in runs(&ids, &known.range) {
        fill(&mut ids, run, &range, stored, known, &mut settled)?;
    }
    settled.ids = ids.into_iter().flatten().collect();
    keys(stored, known, &mut settled);
    Ok(settled)
}

/// Whether block and id map agree on a row.
fn anchored(id: u64, key: &Option<Vec<u8>>, known: &Known) -> bool {
    known.range.contains(&id) && known.map_sound && key.is_some() && known.map.get(&id) == key.as_ref()
}

/// The id of a row that is not anchored: the stored one unless the id map contradicts it.
fn choose(
    stored: Option<u64>,
    key: &Option<Vec<u8>>,
    by_key: &HashMap<&[u8], u64>,
    range: &Range<u64>,
    known: &Known,
) -> Option<u64> {
    let mapped = key.as_ref().and_then(|key| by_key.get(key.as_slice()).copied()).filter(|id| range.contains(id));
    let Some(stored) = stored else { return mapped };
    let contradicted = match known.map.get(&stored) {
        Some(other) => known.map_sound && Some(other) != key.as_ref(),
        // A live document would be in the map.
        None => known.map_sound && known.deleted_sound && !known.deleted.contains(stored),
    };
    mapped.filter(|_| contradicted).or(Some(stored))
}

/// Gives ids to rows that have none.
fn fill(
    ids: &mut [Option<u64>],
    run: Range<usize>,
    range: &Range<u64>,
    stored: &[(Option<u64>, Option<Vec<u8>>)],
    known: &Known,
    settled: &mut Settled,
) -> Result<(), String> {
    let rows = run.len();
    let room = range.end.saturating_sub(range.start);
    if room < rows as u64 {
        return Err(format!("{rows} rows and {room} document ids for them"));
    }
    let (all, live) = (known.all(range), known.live(range));
    let certain = if room == rows as u64 {
        Some(range.clone().collect())
    } else if !known.map_sound || !known.deleted_sound {
        None
    } else if all.len() == rows {
        Some(all.clone())
    } else if live.len() == rows {
        // Rows of deleted documents that a compaction left out.
        Some(live.clone())
    } else {
        None
    };
    let chosen: Vec<u64> = certain.clone().unwrap_or_else(|| {
        let mut ids: BTreeSet<u64> = live.iter().copied().take(rows).collect();
        let others = all.iter().copied().chain(range.clone());
        for id in others {
            if ids.len() == rows {
                break;
            }
            ids.insert(id);
        }
        ids.into_iter().collect()
    });
    if certain.is_none() {
        settled.given_up.extend(run.clone());
        let reason = "which row of a damaged block it was cannot be told";
        let mut keys: HashSet<&[u8]> = HashSet::new();
        for id in &live {
            let key = known.map.get(id).cloned();
            keys.extend(known.map.get(id).map(Vec::as_slice));
            settled.lost.push(Lost { key, doc_id: Some(*id), reason });
        }
        let others = stored.iter().skip(run.start).take(rows).filter_map(|(_, key)| key.clone());
        for key in others.filter(|key| !keys.contains(key.as_slice()) && !known.map_sound) {
            settled.lost.push(Lost { key: Some(key), doc_id: None, reason });
        }
        if !known.map_sound && settled.lost.is_empty() {
            settled.lost.extend((0..rows).map(|_| Lost { key: None, doc_id: None, reason }));
        }
    }
    for (slot, id) in ids.iter_mut().skip(run.start).take(rows).zip(chosen) {
        *slot = Some(id);
    }
    Ok(())
}

fn keys(stored: &[(Option<u64>, Option<Vec<u8>>)], known: &Known, settled: &mut Settled) {
    let mut gone = settled.given_up.clone();
    gone.sort_unstable();
    for (row, (id, (stored_id, stored_key))) in settled.ids.clone().into_iter().zip(stored).enumerate() {
        settled.new_ids += u64::from(*stored_id != Some(id));
        let mapped = known.map.get(&id);
        let own = stored_key.as_ref().filter(|key| !key.is_empty());
        let lost = gone.binary_search(&row).is_ok();
        let key = match (mapped, own) {
            (Some(mapped), _) if known.map_sound && !lost => Some(mapped),
            (_, Some(own)) => Some(own),
            (Some(mapped), None) => {
                settled.doubtful.extend((!lost && !known.map_sound).then_some(row));
                Some(mapped)
            }
            (None, None) => None,
        };
        settled.new_keys += u64::from(key != stored_key.as_ref());
        if key.is_none() && !lost {
            settled.given_up.push(row);
            if !known.deleted.contains(id) {
                let reason = "neither the block nor the id map tells its key";
                settled.lost.push(Lost { key: None, doc_id: Some(id), reason });
            }
        }
        settled.keys.push(key.cloned().unwrap_or_else(|| format!("zvecctl.lost.{id}").into_bytes()));
    }
}

/// Runs of rows without id, each with the ids that it can have.
fn runs(ids: &[Option<u64>], range: &Range<u64>) -> Vec<(Range<usize>, Range<u64>)> {
    let (mut found, mut start, mut low) = (Vec::new(), 0, range.start);
    for (row, id) in ids.iter().enumerate() {
        let Some(id) = id else { continue };
        if row > start {
            found.push((start..row, low..*id));
        }
        (start, low) = (row + 1, id.saturating_add(1));
    }
    if start < ids.len() {
        found.push((start..ids.len(), low..range.end.max(low)));
    }
    found
}

/// Keeps the longest part of the ids that ascends.
pub fn keep_ascending(ids: &mut [Option<u64>]) {
    // `tails[n]`: the row that ends the best part of n + 1 ids; `before`: the row before each.
    let mut tails: Vec<(u64, usize)> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; ids.len()];
    for (row, id) in ids.iter().enumerate() {
        let Some(id) = *id else { continue };
        let at = tails.partition_point(|(tail, _)| *tail < id);
        if let Some(slot) = before.get_mut(row) {
            *slot = at.checked_sub(1).and_then(|at| tails.get(at)).map(|(_, row)| *row);
        }
        match tails.get_mut(at) {
            Some(tail) => *tail = (id, row),
            None => tails.push((id, row)),
        }
    }
    let mut kept = vec![false; ids.len()];
    let mut next = tails.last().map(|(_, row)| *row);
    while let Some(row) = next {
        if let Some(slot) = kept.get_mut(row) {
            *slot = true;
        }
        next = before.get(row).copied().flatten();
    }
    for (id, kept) in ids.iter_mut().zip(kept) {
        *id = (*id).filter(|_| kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u64) -> Vec<u8> {
        format!("doc_{id:05}").into_bytes()
    }

    /// A map of the ids 10 to 19, of which 13 was deleted.
    fn known() -> Known {
        let map = (10..20).filter(|id| *id != 13).map(|id| (id, key(id))).collect();
        Known { range: 10..20, map, map_sound: true, deleted: [13].into_iter().collect(), deleted_sound: true }
    }

    fn sound() -> Vec<(Option<u64>, Option<Vec<u8>>)> {
        (10..20).map(|id| (Some(id), Some(key(id)))).collect()
    }

    #[test]
    fn what_agrees_stays() {
        let settled = settle(&sound(), &known()).unwrap();
        assert_eq!((settled.new_ids, settled.new_keys, settled.given_up.len()), (0, 0, 0));
        assert_eq!(settled.ids, (10..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_flipped_id_or_key_is_put_right_from_the_other() {
        for wrong in [3, 11, 19, 16, 400] {
            let mut stored = sound();
            stored[5].0 = Some(wrong);
            let settled = settle(&stored, &known()).unwrap();
            assert_eq!(settled.ids, (10..20).collect::<Vec<_>>(), "{wrong}");
            assert_eq!((settled.new_ids, settled.new_keys), (1, 0));
        }
        for wrong in [&b"doc_000q5"[..], b"", b"doc_00016", b"doc_00013"] {
            let mut stored = sound();
            stored[5].1 = Some(wrong.to_vec());
            let settled = settle(&stored, &known()).unwrap();
            assert_eq!((settled.ids[5], &settled.keys[5]), (15, &key(15)));
            assert_eq!((settled.new_ids, settled.new_keys, settled.lost.len()), (0, 1, 0));
        }
    }

    #[test]
    fn a_replaced_row_keeps_its_key() {
        let mut stored = sound();
        stored[3].1 = Some(key(17));
        let settled = settle(&stored, &known()).unwrap();
        assert_eq!((settled.ids[3], &settled.keys[3], settled.new_keys), (13, &key(17), 0));
    }

    #[test]
    fn a_block_that_is_gone_has_the_ids_of_map_and_delete_set() {
        let nothing = vec![(None, None); 10];
        let settled = settle(&nothing, &known()).unwrap();
        assert_eq!(settled.keys[4], key(14));
        assert_eq!(
            (settled.given_up.as_slice(), settled.lost.len()),
            (&[3][..], 0),
            "13 was deleted, nobody misses it"
        );
        // More ids than rows: those of map and delete set.
        let wide = Known { range: 5..40, ..known() };
        assert_eq!(settle(&nothing, &wide).unwrap().ids, settled.ids);
        // Without the deleted row, which a compaction left out.
        let settled = settle(&nothing[..9], &wide).unwrap();
        assert_eq!((settled.ids[3], settled.given_up.len()), (14, 0));
    }

    #[test]
    fn rows_that_nothing_tells_are_given_up_and_named() {
        let wide = Known { range: 5..40, ..known() };
        let settled = settle(&vec![(None, None); 8], &wide).unwrap();
        assert_eq!((settled.given_up.len(), settled.lost.len()), (8, 9));
        assert!(settled.lost.iter().all(|lost| lost.key.is_some()));
        let blind = Known { range: 10..20, map_sound: false, map: BTreeMap::new(), ..known() };
        let mut stored = sound();
        stored[5] = (None, None);
        let settled = settle(&stored, &blind).unwrap();
        assert_eq!((settled.ids[5], settled.given_up.as_slice(), settled.lost.len()), (15, &[5][..], 1));
        assert!(settle(&vec![(None, None); 11], &known()).is_err());
    }

    #[test]
    fn another_block_in_its_place_is_not_used() {
        let stored: Vec<_> = (30..40).map(|id| (Some(id), Some(key(id)))).collect();
        let settled = settle(&stored, &known()).unwrap();
        assert!(settled.foreign);
        assert_eq!((settled.ids[9], &settled.keys[9]), (19, &key(19)));
    }

    #[test]
    fn of_a_small_block_one_id_or_key_tells_that_it_is_in_its_place() {
        let known = Known { range: 10..12, map: (10..12).map(|id| (id, key(id))).collect(), ..known() };
        let rows = |ids: [u64; 2]| -> Vec<_> { ids.into_iter().map(|id| (Some(id), Some(key(id)))).collect() };
        assert!(settle(&rows([30, 31]), &known).unwrap().foreign);
        let mut one = rows([10, 31]);
        one[0].1 = Some(b"damaged".to_vec());
        assert!(!settle(&one, &known).unwrap().foreign);
    }

    #[test]
    fn the_longest_ascending_part_stays() {
        let mut ids = [Some(1), Some(2), Some(9), None, Some(3), Some(3), Some(4)];
        keep_ascending(&mut ids);
        assert_eq!(ids.iter().flatten().collect::<Vec<_>>(), [&1, &2, &3, &4]);
    }
}
