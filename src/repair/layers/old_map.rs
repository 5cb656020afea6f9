//! What the id map that is replaced has to say against the rows from which the new one is made.
//!
//! The map stands under checksums and rows under none. A sound map that lacks a live row's key, or gives its id to another key, contradicts
//! the row: one of the two is wrong, or the delete snapshot is an older one. Nobody can tell which, so that the row stays and is named.

use roaring::RoaringTreemap;

use crate::{
    inspect::{
        Findings, View,
        documents::each_live_key,
        first_id,
        idmap::{IdMap, Mapped},
        wal::Overlay,
    },
    report::{Firsts, Severity},
};

use super::NAMED;

/// A row that the map contradicts.
pub enum Contradiction {
    /// The map, sound and up to date, has no such key.
    Absent,
    /// The map has the row's id under another key.
    OtherKey,
    /// The map, sound and up to date, leads the key to a later row.
    Replaced,
}

/// The old map and what it covers.
pub struct OldMap {
    map: IdMap,
    /// Ids that its entries lead to.
    ids: RoaringTreemap,
    /// Whether nothing is wrong with it: then what it does not have was not there.
    sound: bool,
    /// The first id that the log gives out.
    end: u64,
    /// Rows that the log deletes or replaces: a map that has seen the log lacks their keys.
    by_log: RoaringTreemap,
}

impl OldMap {
    /// Reads the map that the manifest in force names.
    pub fn load(view: &View, deleted: &RoaringTreemap) -> Option<Self> {
        let (_, manifest) = view.manifest().ok()?;
        let map = IdMap::load(view, manifest);
        let findings = Findings::default();
        let ids: RoaringTreemap = map.entries(&findings).map(|(_, id, _)| id).collect();
        let damaged = findings.list().iter().any(|finding| finding.severity == Severity::Error);
        let sound = map.findings.is_empty() && !damaged && !ids.is_empty();
        let by_log = Overlay::load(view, manifest, &map, deleted, &Findings::default()).deleted;
        Some(Self { map, ids, sound, end: first_id(manifest), by_log })
    }

    /// Whether nothing is wrong with it.
    pub fn is_sound(&self) -> bool {
        self.sound
    }

    /// Whether it goes as far as `id`: an older version of it lacks what was added since, and that says nothing.
    fn covers(&self, id: u64) -> bool {
        self.ids.max().is_some_and(|last| id < last)
    }

    /// What it has against a live row.
    pub fn against(&self, key: &[u8], id: u64, findings: &Findings) -> Option<Contradiction> {
        if self.by_log.contains(id) {
            return None;
        }
        match self.map.get(key, findings) {
            Mapped::To(known) | Mapped::Unknown(Some(known)) if known == id || known >= self.end => None,
            _ if self.ids.contains(id) => Some(Contradiction::OtherKey),
            Mapped::Absent if self.sound && self.covers(id) => Some(Contradiction::Absent),
            Mapped::To(known) if self.sound && known > id => Some(Contradiction::Replaced),
            Mapped::To(_) | Mapped::Absent | Mapped::Unknown(_) => None,
        }
    }
}

/// Rows that the old map contradicts, counted, the first of each kind named.
#[derive(Default)]
pub struct Contradictions {
    absent: Firsts<NAMED>,
    replaced: Firsts<NAMED>,
    other_key: Firsts<NAMED>,
    /// Document ids of the named ones with another key.
    other_ids: Vec<u64>,
}

impl Contradictions {
    /// Counts a row; what is in doubt of it.
    pub fn add(&mut self, found: Option<Contradiction>, key: &[u8], id: u64) -> Option<&'static str> {
        let name = || String::from_utf8_lossy(key).into_owned();
        match found {
            Some(Contradiction::Absent) => self.absent.add(name),
            Some(Contradiction::Replaced) => self.replaced.add(name),
            Some(Contradiction::OtherKey) => {
                if self.other_ids.len() < NAMED {
                    self.other_ids.push(id);
                }
                self.other_key.add(name);
            }
            None => {}
        }
        Some(match found? {
            Contradiction::Absent => {
                "the id map does not have its key: if the delete snapshot is an older one, it was deleted"
            }
            Contradiction::Replaced => "the old id map leads its key to a later row, which is not there",
            Contradiction::OtherKey => "the old id map has the row under another key, and one of the two is damaged",
        })
    }

    /// What is in doubt for them, in sentences.
    pub fn doubts(mut self, old: &OldMap) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.absent.count > 0 {
            doubts.push(format!(
                "{} document(s) are kept whose keys the id map does not have: if the delete snapshot is an older one, they were deleted: {}",
                self.absent.count, self.absent
            ));
        }
        if self.replaced.count > 0 {
            doubts.push(format!(
                "{} document(s) are older versions: the old id map leads to later ones, which no row has: {}",
                self.replaced.count, self.replaced
            ));
        }
        if self.other_key.count > 0 {
            for (key, id, _) in old.map.entries(&Findings::default()).filter(|(_, id, _)| self.other_ids.contains(id)) {
                let at = self.other_ids.iter().position(|other| *other == id);
                if let Some(name) = at.and_then(|at| self.other_key.list.get_mut(at)) {
                    *name = format!("{name} ({} in the map)", String::from_utf8_lossy(&key));
                }
            }
            doubts.push(format!(
                "{} document(s) have another key in their rows than in the old id map, and one of the two is damaged: {}",
                self.other_key.count, self.other_key
            ));
        }
        doubts
    }
}

/// Live rows that a sound map that goes that far knows nothing of, without those that the log is about to delete; `None` if the map is not sound.
pub fn unmapped(view: &View, deleted: &RoaringTreemap) -> Option<RoaringTreemap> {
    let (_, manifest) = view.manifest().ok()?;
    let old = OldMap::load(view, deleted).filter(OldMap::is_sound)?;
    let findings = Findings::default();
    let mut gone = RoaringTreemap::new();
    let mut live = 0u64;
    each_live_key(view, manifest, deleted, &findings, &mut |key, id| match old.against(&key, id, &findings) {
        Some(Contradiction::Absent | Contradiction::Replaced) => drop(gone.insert(id)),
        Some(Contradiction::OtherKey) | None => live += 1,
    });
    let damaged = findings.list().iter().any(|finding| finding.severity == Severity::Error);
    (!damaged && live > 0).then_some(gone)
}
