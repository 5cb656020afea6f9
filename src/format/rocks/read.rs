//! Lookups: the newest visible state of one key.

use super::db::{Damage, Family, Fault};
use super::key::{KeyRange, ValueType, Version};
use super::table::TableFault;
use crate::format::FormatError;

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A plain value.
    Value(Vec<u8>),
    /// Merge operands that the merge operator has still to be applied to.
    Merge {
        /// Value below them, if there is one.
        base: Option<Vec<u8>>,
        /// Operands, oldest first.
        operands: Vec<Vec<u8>>,
    },
}

/// Answer of a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The key holds this.
    Found(Entry),
    /// The key is not there, or deleted.
    Absent,
    /// Damage may have cost a newer state of the key.
    Unknown {
        /// The newest state that can be read.
        best: Option<Entry>,
        /// The damage.
        faults: Vec<Fault>,
    },
}

/// The versions of one key, put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    pub entry: Option<Entry>,
    /// Sequence number that everything older is hidden by; `None` if nothing is hidden.
    pub floor: Option<u64>,
    /// A version of a type that is not decoded.
    pub undecoded: Option<ValueType>,
}

/// Puts the versions of one key together; `deleted_at` is the newest range deletion that covers it.
pub(super) fn resolve(mut versions: Vec<Version>, deleted_at: Option<u64>) -> Resolved {
    versions.sort_by_key(|version| std::cmp::Reverse(version.sequence));
    // An obsolete table next to its successor, or a log next to the table it was flushed to, repeats versions.
    versions.dedup_by(|a, b| a.sequence == b.sequence && a.kind == b.kind && a.value == b.value);
    let mut operands = Vec::new();
    let mut base = None;
    let mut resolved = Resolved { entry: None, floor: deleted_at, undecoded: None };
    for version in versions {
        if deleted_at.is_some_and(|sequence| version.sequence < sequence) {
            break;
        }
        match version.kind {
            ValueType::Merge => operands.push(version.value),
            ValueType::Value => {
                base = Some(version.value);
                resolved.floor = Some(version.sequence);
                break;
            }
            kind if kind.is_deletion() => {
                resolved.floor = Some(version.sequence);
                break;
            }
            kind => {
                resolved.undecoded = Some(kind);
                resolved.floor = Some(version.sequence);
                break;
            }
        }
    }
    operands.reverse();
    resolved.entry = match (base, operands.is_empty()) {
        (Some(value), true) => Some(Entry::Value(value)),
        (None, true) => None,
        (base, false) => Some(Entry::Merge { base, operands }),
    };
    resolved
}

impl Family {
    /// Sequence number of the newest range deletion over `key`.
    pub fn deleted_at(&self, key: &[u8]) -> Option<u64> {
        self.tombstones.iter().filter(|t| t.covers(self.comparator, key)).map(|t| t.sequence).max()
    }

    /// What is left of `key` by all of its versions, in any order; a fault if its newest one is of a type that is not decoded.
    pub fn settle(&self, key: &[u8], versions: Vec<Version>) -> std::result::Result<Option<Entry>, Fault> {
        let resolved = resolve(versions, self.deleted_at(key));
        match resolved.undecoded {
            Some(kind) => Err(self.undecoded(key, kind)),
            None => Ok(resolved.entry),
        }
    }

    /// The fault for a version of a type that is not decoded.
    pub(super) fn undecoded(&self, key: &[u8], kind: ValueType) -> Fault {
        let detail = format!("the value of a key is of type {} ({kind:?}), which is not decoded", kind.byte());
        Fault {
            file: String::new(),
            error: FormatError::unsupported("rocks.unsupported-value", 0, detail),
            column_family: Some(self.info.id),
            keys: Some(KeyRange { lower: Some(key.to_vec()), upper: Some(key.to_vec()) }),
        }
    }
}

impl Damage {
    /// Whether it may have cost a version that would change `resolved`, the state of `key`.
    pub(super) fn may_change(&self, family: &Family, key: &[u8], resolved: &Resolved) -> bool {
        self.keys.contains(family.comparator, key) && resolved.floor.is_none_or(|floor| self.largest_sequence > floor)
    }
}

impl Family {
    /// Looks `key` up: in the unflushed writes and in every table that may hold it.
    pub fn get(&self, key: &[u8]) -> Lookup {
        let comparator = self.comparator;
        let from = self.unflushed.partition_point(|version| comparator.compare(&version.key, key).is_lt());
        let unflushed = self.unflushed.iter().skip(from).take_while(|version| version.key == key);
        let mut versions: Vec<Version> = unflushed.cloned().collect();
        let mut damage: Vec<Damage> =
            self.damage.iter().filter(|d| d.keys.contains(comparator, key)).cloned().collect();
        for live in &self.tables {
            if !live.may_hold(comparator, key) {
                continue;
            }
            let (found, faults) = live.table.versions_of(key);
            versions.extend(found);
            damage.extend(faults.into_iter().filter_map(|TableFault { error, keys }| {
                let file = live.name.clone();
                let fault = Fault { file, error, column_family: Some(self.info.id), keys: keys.clone() };
                Some(Damage { keys: keys?, largest_sequence: live.largest_sequence(), fault })
            }));
        }
        let resolved = resolve(versions, self.deleted_at(key));
        damage.retain(|damage| damage.may_change(self, key, &resolved));
        let mut faults: Vec<Fault> = Vec::new();
        let undecoded = resolved.undecoded.map(|kind| self.undecoded(key, kind));
        for fault in damage.into_iter().map(|damage| damage.fault).chain(undecoded) {
            // A fault of opening a table shows in the family and in the table.
            if !faults.iter().any(|known| known.file == fault.file && known.error == fault.error) {
                faults.push(fault);
            }
        }
        match (faults.is_empty(), resolved.entry) {
            (false, best) => Lookup::Unknown { best, faults },
            (true, Some(entry)) => Lookup::Found(entry),
            (true, None) => Lookup::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(versions: &[(u64, ValueType, &[u8])], deleted_at: Option<u64>) -> Resolved {
        let version = |(sequence, kind, value): &(u64, ValueType, &[u8])| Version {
            key: b"k".to_vec(),
            sequence: *sequence,
            kind: *kind,
            value: value.to_vec(),
        };
        resolve(versions.iter().map(version).collect(), deleted_at)
    }

    #[test]
    fn operands_are_collected_down_to_a_value_or_a_deletion() {
        use ValueType::{Deletion, Merge, SingleDeletion, Value};
        let merge = |base: Option<&[u8]>, operands: &[&[u8]]| {
            let operands = operands.iter().map(|operand| operand.to_vec()).collect();
            Some(Entry::Merge { base: base.map(<[u8]>::to_vec), operands })
        };
        let all: [(u64, ValueType, &[u8]); 4] =
            [(3, Merge, b"c"), (9, Merge, b"d"), (1, Value, b"a"), (2, Merge, b"b")];
        let found = resolved(&all, None);
        assert_eq!((found.entry, found.floor), (merge(Some(b"a"), &[b"b", b"c", b"d"]), Some(1)));
        let found = resolved(&all, Some(3));
        assert_eq!(
            (found.entry, found.floor),
            (merge(None, &[b"c", b"d"]), Some(3)),
            "its own sequence is not deleted"
        );
        let found = resolved(&all[..2], None);
        assert_eq!((found.entry, found.floor), (merge(None, &[b"c", b"d"]), None));
        for kind in [Deletion, SingleDeletion] {
            let found = resolved(&[(5, Merge, b"e"), (4, kind, b""), (3, Value, b"a")], None);
            assert_eq!((found.entry, found.floor), (merge(None, &[b"e"]), Some(4)));
            let found = resolved(&[(4, kind, b""), (3, Value, b"a")], None);
            assert_eq!((found.entry, found.floor), (None, Some(4)));
        }
        assert_eq!(resolved(&[(4, Value, b"x"), (4, Value, b"x")], Some(5)).entry, None);
        assert_eq!(resolved(&[(4, Merge, b"x"), (4, Merge, b"x")], None).entry, merge(None, &[b"x"]), "stored twice");
    }

    #[test]
    fn what_is_not_decoded_is_said() {
        let found = resolved(&[(4, ValueType::BlobIndex, b"x"), (3, ValueType::Value, b"a")], None);
        assert_eq!((found.entry, found.undecoded), (None, Some(ValueType::BlobIndex)));
    }
}
