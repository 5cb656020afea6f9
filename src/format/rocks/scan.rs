//! Scans: all keys of a column family in order, one block per table in memory.
//!
//! The tables are merged by internal key. A block that cannot be read is passed over and its fault yielded before any key that it
//! may have held, so that those keys can be marked.

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use super::db::{Damage, Family, Fault, LiveTable};
use super::key::{Comparator, MAX_SEQUENCE, Version};
use super::read::{Entry, resolve};
use super::table::TableFault;

/// A version and where it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVersion {
    /// The version.
    pub version: Version,
    /// File name of its table; `None` if it is only in a log.
    pub table: Option<String>,
    /// Level of the table.
    pub level: Option<u32>,
    /// Offset of its block in the table.
    pub block_offset: Option<u64>,
}

/// A key and its newest visible state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// User key.
    pub key: Vec<u8>,
    /// What it holds.
    pub entry: Entry,
    /// `false` if damage may have cost a newer state, or a deletion, of the key.
    pub certain: bool,
}

impl LiveTable {
    /// No version in it is newer.
    pub fn largest_sequence(&self) -> u64 {
        self.file.largest_sequence.unwrap_or(MAX_SEQUENCE)
    }
}

impl Family {
    /// Every version of every key, in key order and newest first; a damaged block is an `Err` and is passed over. Range
    /// deletions are in [`tombstones`](Self::tombstones).
    pub fn versions(&self) -> Versions<'_> {
        Versions::new(self, self.unflushed.clone(), self.tables.iter().map(AsRef::as_ref))
    }

    /// The same for some of its tables, by number, and for nothing that is only in a log.
    pub fn versions_in<'a>(&'a self, tables: &BTreeSet<u64>) -> Versions<'a> {
        Versions::new(
            self,
            Vec::new(),
            self.tables.iter().map(AsRef::as_ref).filter(|live| tables.contains(&live.file.number)),
        )
    }

    /// Every visible key, in order; a damaged block is an `Err` and is passed over.
    pub fn scan(&self) -> Scan<'_> {
        Scan { versions: self.versions(), ahead: None, ready: VecDeque::new(), damage: self.damage.clone() }
    }
}

/// One input of the merge.
struct Input<'a> {
    live: Option<&'a LiveTable>,
    /// Next block to read.
    block: usize,
    block_offset: Option<u64>,
    versions: std::vec::IntoIter<Version>,
}

/// Where the merge stands in one input.
struct Head {
    version: Version,
    input: usize,
    block_offset: Option<u64>,
    comparator: Comparator,
}

impl Head {
    fn order(&self, other: &Self) -> Ordering {
        let packed = |version: &Version| (version.sequence, version.kind.byte());
        self.comparator
            .compare(&self.version.key, &other.version.key)
            .then_with(|| packed(&other.version).cmp(&packed(&self.version)))
            .then_with(|| self.input.cmp(&other.input))
    }
}

/// Reversed, because the heap gives its greatest first.
impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        other.order(self)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.order(other).is_eq()
    }
}

impl Eq for Head {}

/// Iterator over all versions of a column family.
pub struct Versions<'a> {
    family: &'a Family,
    inputs: Vec<Input<'a>>,
    heap: BinaryHeap<Head>,
    faults: VecDeque<Damage>,
}

impl<'a> Versions<'a> {
    fn new(family: &'a Family, unflushed: Vec<Version>, tables: impl Iterator<Item = &'a LiveTable>) -> Self {
        let log = Input { live: None, block: 0, block_offset: None, versions: unflushed.into_iter() };
        let tables = tables.map(|live| Input {
            live: Some(live),
            block: 0,
            block_offset: None,
            versions: Vec::new().into_iter(),
        });
        let inputs: Vec<_> = std::iter::once(log).chain(tables).collect();
        let count = inputs.len();
        let mut versions = Self { family, inputs, heap: BinaryHeap::new(), faults: VecDeque::new() };
        (0..count).for_each(|input| versions.advance(input));
        versions
    }

    /// Puts the next version of an input on the heap.
    fn advance(&mut self, number: usize) {
        let Some(input) = self.inputs.get_mut(number) else { return };
        loop {
            if let Some(version) = input.versions.next() {
                let comparator = self.family.comparator;
                self.heap.push(Head { version, input: number, block_offset: input.block_offset, comparator });
                return;
            }
            let Some((live, entry)) = input.live.and_then(|live| Some((live, live.table.index().get(input.block)?)))
            else {
                return;
            };
            let read = live.table.block(input.block);
            input.block_offset = Some(entry.handle.offset);
            input.block = input.block.saturating_add(1);
            match read {
                Ok(block) => input.versions = block.into_iter(),
                Err(TableFault { error, keys }) => {
                    let bounds = live.bounds();
                    let mut keys = keys.unwrap_or_default();
                    keys.lower = keys.lower.or(bounds.lower);
                    keys.upper = keys.upper.or(bounds.upper);
                    let file = live.name.clone();
                    let column_family = Some(self.family.info.id);
                    let fault = Fault { file, error, column_family, keys: Some(keys.clone()) };
                    self.faults.push_back(Damage { keys, largest_sequence: live.largest_sequence(), fault });
                }
            }
        }
    }

    fn next_version(&mut self) -> Option<std::result::Result<StoredVersion, Damage>> {
        if let Some(damage) = self.faults.pop_front() {
            return Some(Err(damage));
        }
        let Head { version, input, block_offset, .. } = self.heap.pop()?;
        self.advance(input);
        let live = self.inputs.get(input).and_then(|input| input.live);
        Some(Ok(StoredVersion {
            version,
            table: live.map(|live| live.name.clone()),
            level: live.map(|live| live.file.level),
            block_offset,
        }))
    }
}

impl Iterator for Versions<'_> {
    type Item = std::result::Result<StoredVersion, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_version()?.map_err(|damage| damage.fault))
    }
}

/// Iterator over the visible keys of a column family.
pub struct Scan<'a> {
    versions: Versions<'a>,
    /// First version of the next key.
    ahead: Option<Version>,
    ready: VecDeque<std::result::Result<Row, Fault>>,
    damage: Vec<Damage>,
}

impl Scan<'_> {
    /// Takes all versions of the next key, with the damage found on the way. `false` at the end.
    fn take_key(&mut self) -> bool {
        let mut group: Vec<Version> = self.ahead.take().into_iter().collect();
        while let Some(item) = self.versions.next_version() {
            match item {
                Ok(StoredVersion { version, .. }) => {
                    if group.first().is_some_and(|first| first.key != version.key) {
                        self.ahead = Some(version);
                        break;
                    }
                    group.push(version);
                }
                Err(damage) => {
                    self.ready.push_back(Err(damage.fault.clone()));
                    self.note(damage);
                }
            }
        }
        let Some(key) = group.first().map(|version| version.key.clone()) else {
            return false;
        };
        let family = self.versions.family;
        let comparator = family.comparator;
        self.damage.retain(|d| d.keys.upper.as_deref().is_none_or(|upper| comparator.compare(&key, upper).is_le()));
        let resolved = resolve(group, family.deleted_at(&key));
        if let Some(kind) = resolved.undecoded {
            self.ready.push_back(Err(family.undecoded(&key, kind)));
        } else if let Some(entry) = resolved.entry.clone() {
            let certain = !self.damage.iter().any(|damage| damage.may_change(family, &key, &resolved));
            self.ready.push_back(Ok(Row { key, entry, certain }));
        }
        true
    }

    /// Neighbouring damaged blocks of one table are kept as one, so that marking keys stays cheap.
    fn note(&mut self, damage: Damage) {
        let touching = self.damage.iter_mut().rev().find(|known| known.fault.file == damage.fault.file);
        match touching {
            Some(known) if known.keys.upper.is_some() && known.keys.upper == damage.keys.lower => {
                known.keys.upper = damage.keys.upper;
            }
            _ => self.damage.push(damage),
        }
    }
}

impl Iterator for Scan<'_> {
    type Item = std::result::Result<Row, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && self.take_key() {}
        self.ready.pop_front()
    }
}
