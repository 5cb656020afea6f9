//! The key table: for each primary key the version that counts, and what else there is of it.
//!
//! Memory: the keys, and some 40 bytes for each; no document.

use std::collections::HashMap;

use roaring::RoaringTreemap;

/// What becomes of the best version of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is a live document.
    Live,
    /// It is deleted or replaced.
    Dead,
    /// It is replaced by a version that is lost: told in the rejects.
    Older,
    /// A snapshot that is damaged says that it is deleted, and the id map does not: told in the rejects.
    Perhaps,
    /// It has been dealt with.
    Done,
}

/// What is known of one primary key from the rows.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Document id of the best version.
    pub doc_id: u64,
    /// Unit in which it was seen first.
    pub unit: u32,
    /// Further units that hold the same version.
    pub copies: u8,
    /// Whether the rows of it that were seen first are live.
    pub fate: Fate,
    /// The id map's answer, if it has one.
    pub mapped: Option<u64>,
}

/// A version that lost against another one, and was live by all that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rival {
    /// Primary key.
    pub pk: Vec<u8>,
    /// Document id.
    pub doc_id: u64,
    /// Unit.
    pub unit: u32,
}

/// A row whose document id breaks the order of its block: its bits may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Odd {
    /// Primary key.
    pub pk: Vec<u8>,
    /// The stored id.
    pub stored: u64,
    /// The ids around it, exclusive.
    pub between: (Option<u64>, Option<u64>),
}

/// Rivals that are kept by name, and odd rows.
const NAMED: usize = 1000;

/// All primary keys of the rows.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    entries: HashMap<Box<[u8]>, Entry>,
    /// Every document id that a row has.
    pub seen: RoaringTreemap,
    /// Versions that lost, the first ones.
    pub rivals: Vec<Rival>,
    /// How many there are.
    pub rival_count: u64,
    /// Rows out of order, the first ones.
    pub odd: Vec<Odd>,
}

impl KeyTable {
    /// Adds a row of a unit; units come in order of preference.
    pub fn add(&mut self, pk: &[u8], doc_id: u64, unit: u32, live: bool) {
        self.seen.insert(doc_id);
        let fate = if live { Fate::Live } else { Fate::Dead };
        let Some(entry) = self.entries.get_mut(pk) else {
            self.entries.insert(pk.into(), Entry { doc_id, unit, copies: 0, fate, mapped: None });
            return;
        };
        if entry.doc_id == doc_id {
            if entry.unit != unit {
                entry.copies = entry.copies.saturating_add(1);
            }
            // The copy of a published row is deleted if that is.
            return;
        }
        let better = (live, doc_id) > (entry.fate == Fate::Live, entry.doc_id);
        let both = live && entry.fate == Fate::Live;
        let loser = if better { (entry.doc_id, entry.unit) } else { (doc_id, unit) };
        if better {
            *entry = Entry { doc_id, unit, copies: 0, fate, mapped: entry.mapped };
        }
        if both {
            self.rival_count += 1;
            if self.rivals.len() < NAMED {
                self.rivals.push(Rival { pk: pk.to_vec(), doc_id: loser.0, unit: loser.1 });
            }
        }
    }

    /// Notes a row out of order.
    pub fn note_odd(&mut self, odd: Odd) {
        if self.odd.len() < NAMED {
            self.odd.push(odd);
        }
    }

    /// What is known of a key.
    pub fn get(&self, pk: &[u8]) -> Option<&Entry> {
        self.entries.get(pk)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, pk: &[u8]) -> Option<&mut Entry> {
        self.entries.get_mut(pk)
    }

    /// Takes a key out.
    pub fn remove(&mut self, pk: &[u8]) -> Option<Entry> {
        self.entries.remove(pk)
    }

    /// Puts a key in, or in another one's place.
    pub fn insert(&mut self, pk: &[u8], entry: Entry) {
        self.entries.insert(pk.into(), entry);
    }

    /// Every key.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.entries.iter().map(|(pk, entry)| (&**pk, entry))
    }

    /// Every key, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&[u8], &mut Entry)> {
        self.entries.iter_mut().map(|(pk, entry)| (&**pk, entry))
    }
}

/// Finds rows out of order while the ids of a block go by.
#[derive(Debug, Default)]
pub(super) struct Order {
    before: Option<u64>,
    last: Option<(u64, Vec<u8>)>,
}

impl Order {
    /// Takes the next row; `None` at the end of the block.
    pub fn next(&mut self, row: Option<(u64, &[u8])>, table: &mut KeyTable) {
        if let Some((id, pk)) = &self.last {
            let after = row.map(|(id, _)| id);
            let ascending = self.before.is_none_or(|before| before < *id) && after.is_none_or(|after| *id < after);
            if !ascending {
                let between = (self.before, after);
                let fits = between.0.zip(between.1).is_none_or(|(low, high)| low < high);
                if fits {
                    table.note_odd(Odd { pk: pk.clone(), stored: *id, between });
                }
            }
        }
        self.before = self.last.as_ref().map(|(id, _)| *id);
        self.last = row.map(|(id, pk)| (id, pk.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(ids: &[u64]) -> Vec<u64> {
        let (mut order, mut table) = (Order::default(), KeyTable::default());
        for id in ids {
            order.next(Some((*id, id.to_string().as_bytes())), &mut table);
        }
        order.next(None, &mut table);
        table.odd.iter().map(|odd| odd.stored).collect()
    }

    #[test]
    fn rows_out_of_order_are_found_and_the_others_are_not() {
        assert_eq!(odd(&[1, 2, 5, 9]), [0; 0]);
        assert_eq!(odd(&[1, 2, 67, 4, 5]), [67]);
        assert_eq!(odd(&[1, 2, 3, 0, 5]), [0]);
        assert_eq!(odd(&[1, 2, 2, 4]), [2, 2]);
        assert_eq!(odd(&[90, 2, 3]), [90]);
        assert_eq!(odd(&[1, 2, 0]), [0]);
    }

    #[test]
    fn the_live_version_with_the_highest_id_counts() {
        let mut table = KeyTable::default();
        table.add(b"a", 3, 0, true);
        table.add(b"a", 5, 0, false);
        assert_eq!((table.get(b"a").unwrap().doc_id, table.rival_count), (3, 0), "a dead one is no rival");
        table.add(b"a", 7, 1, true);
        assert_eq!(table.get(b"a").unwrap().doc_id, 7);
        assert_eq!(table.rivals, [Rival { pk: b"a".to_vec(), doc_id: 3, unit: 0 }]);
        table.add(b"a", 7, 2, true);
        assert_eq!(table.get(b"a").unwrap().copies, 1);
    }
}
