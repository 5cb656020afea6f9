//! Writes of one column family that are not in a table yet.
//!
//! Per key there is only what is left of its writes: a value, a deletion, or operands. They are newer than everything in tables, and get
//! their sequence numbers when they are flushed.

use foldhash::HashMap;

use super::Operator;
use crate::format::{
    FormatError, Result,
    rocks::{ValueType, Version},
};

/// Values up to this length stand in the table itself: document ids and counts take no allocation.
const SHORT: usize = 22;
/// What an entry takes beside the bytes of its key: its place at the usual load, and an allocation's own.
const ENTRY: usize = 80;
/// Bytes of operands that are kept apart at least.
const APART: usize = 1 << 10;
/// What an operand takes beside its bytes.
const OPERAND: usize = 40;

/// What is left of the writes of a key.
#[derive(Debug)]
pub(super) enum Op {
    Delete,
    /// Length and bytes of a value.
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
    Merge(Box<Merge>),
}

/// Operands that came after a base.
#[derive(Debug)]
pub(super) struct Merge {
    base: Base,
    /// Oldest first.
    operands: Vec<Vec<u8>>,
    /// Bytes of all operands but the first.
    apart: usize,
    /// Bytes apart at which they are put together.
    limit: usize,
}

/// What is below operands.
#[derive(Debug)]
enum Base {
    /// What the tables hold.
    Tables,
    Deleted,
    Value(Vec<u8>),
}

/// What a reader sees of a key.
pub(super) enum Seen<'a> {
    Value(Vec<u8>),
    Deleted,
    /// Operands, oldest first, on top of what the tables hold.
    OnTop(&'a [Vec<u8>]),
}

impl Op {
    fn value(bytes: &[u8]) -> Self {
        let mut short = [0; SHORT];
        match short.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Self::Short(bytes.len() as u8, short)
            }
            None => Self::Long(bytes.into()),
        }
    }

    fn short(length: u8, bytes: &[u8; SHORT]) -> &[u8] {
        &bytes[..usize::from(length).min(SHORT)]
    }

    /// Bytes outside the table.
    fn size(&self) -> usize {
        match self {
            Self::Delete | Self::Short(..) => 0,
            Self::Long(bytes) => bytes.len(),
            Self::Merge(merge) => {
                let base = if let Base::Value(value) = &merge.base { value.len() } else { 0 };
                size_of::<Merge>() + base + merge.operands.first().map_or(0, Vec::len) + OPERAND + merge.apart
            }
        }
    }

    /// What a reader sees of it.
    pub(super) fn seen(&self, key: &[u8], operator: Option<&Operator>) -> Result<Seen<'_>> {
        Ok(match self {
            Self::Delete => Seen::Deleted,
            Self::Short(length, bytes) => Seen::Value(Self::short(*length, bytes).to_vec()),
            Self::Long(bytes) => Seen::Value(bytes.to_vec()),
            Self::Merge(merge) => match &merge.base {
                Base::Tables => Seen::OnTop(&merge.operands),
                Base::Deleted => Seen::Value(needed(operator)?.full(key, None, &merge.operands)?),
                Base::Value(base) => Seen::Value(needed(operator)?.full(key, Some(base), &merge.operands)?),
            },
        })
    }

    /// The entries of a table that say the same; `sequence` is the last one that is taken, and goes up with each. Newest first.
    pub(super) fn entries(
        &self,
        key: &[u8],
        operator: Option<&Operator>,
        sequence: &mut u64,
        mut add: impl FnMut(u64, ValueType, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut one = |kind: ValueType, value: &[u8]| {
            *sequence += 1;
            add(*sequence, kind, value)
        };
        match self {
            Self::Delete => one(ValueType::Deletion, &[]),
            Self::Short(length, bytes) => one(ValueType::Value, Self::short(*length, bytes)),
            Self::Long(bytes) => one(ValueType::Value, bytes),
            Self::Merge(_) => match self.seen(key, operator)? {
                Seen::Value(value) => one(ValueType::Value, &value),
                Seen::Deleted => one(ValueType::Deletion, &[]),
                Seen::OnTop([operand]) => one(ValueType::Merge, operand),
                Seen::OnTop(operands) => {
                    if let Some(operand) = needed(operator)?.partial(key, operands)? {
                        return one(ValueType::Merge, &operand);
                    }
                    let oldest = *sequence;
                    *sequence += operands.len() as u64;
                    let mut newest_first = operands.iter().rev().zip((oldest + 1..=*sequence).rev());
                    newest_first.try_for_each(|(operand, at)| add(at, ValueType::Merge, operand))
                }
            },
        }
    }
}

/// The operator that operands need.
pub(super) fn needed(operator: Option<&Operator>) -> Result<&Operator> {
    operator.ok_or_else(|| {
        let detail = "a column family without a merge operator has merge operands";
        FormatError::unsupported("rocks.merge-operator", 0, detail)
    })
}

/// The writes of a column family.
#[derive(Debug, Default)]
pub(super) struct Memtable {
    entries: HashMap<Box<[u8]>, Op>,
    size: usize,
}

impl Memtable {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that it takes, about.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.keys().map(AsRef::as_ref)
    }

    pub(super) fn reserve(&mut self, keys: usize) {
        self.entries.reserve(keys);
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Op> {
        self.entries.get(key)
    }

    /// All keys in order.
    pub(super) fn sorted(&self) -> Vec<(&[u8], &Op)> {
        let mut sorted: Vec<(&[u8], &Op)> = self.entries.iter().map(|(key, op)| (key.as_ref(), op)).collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        sorted
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.set(key, Op::value(value));
    }

    pub(super) fn delete(&mut self, key: &[u8]) {
        self.set(key, Op::Delete);
    }

    fn set(&mut self, key: &[u8], op: Op) {
        self.size += op.size();
        match self.entries.get_mut(key) {
            Some(known) => self.size -= std::mem::replace(known, op).size(),
            None => {
                self.size += ENTRY + key.len();
                self.entries.insert(key.into(), op);
            }
        }
    }

    /// Puts an operand on top. Operands are put together now and then, so that a key with many takes no more than their sum.
    pub(super) fn merge(&mut self, key: &[u8], operand: &[u8], operator: &Operator) -> Result<()> {
        let Some(op) = self.entries.get_mut(key) else {
            let limit = APART.max(operand.len());
            let first = Merge { base: Base::Tables, operands: vec![operand.to_vec()], apart: 0, limit };
            self.set(key, Op::Merge(Box::new(first)));
            return Ok(());
        };
        let before = op.size();
        if let Op::Merge(merge) = op {
            merge.operands.push(operand.to_vec());
            merge.apart += operand.len() + OPERAND;
        } else {
            let base = match op {
                Op::Short(length, bytes) => Base::Value(Op::short(*length, bytes).to_vec()),
                Op::Long(bytes) => Base::Value(std::mem::take(bytes).into_vec()),
                _ => Base::Deleted,
            };
            let limit = APART.max(operand.len());
            *op = Op::Merge(Box::new(Merge { base, operands: vec![operand.to_vec()], apart: 0, limit }));
        }
        let together = match op {
            Op::Merge(merge) if merge.apart > merge.limit => merge.collapse(key, operator),
            _ => Ok(()),
        };
        let after = op.size();
        self.size = self.size + after - before;
        together
    }

    /// Takes over a write out of a log; they come oldest first. `None` for a type that is not written.
    pub(super) fn replay(&mut self, version: &Version, operator: Option<&Operator>) -> Result<Option<()>> {
        match version.kind {
            ValueType::Value => self.put(&version.key, &version.value),
            ValueType::Merge => self.merge(&version.key, &version.value, needed(operator)?)?,
            kind if kind.is_deletion() => self.delete(&version.key),
            _ => return Ok(None),
        }
        Ok(Some(()))
    }
}

impl Merge {
    fn collapse(&mut self, key: &[u8], operator: &Operator) -> Result<()> {
        match operator.partial(key, &self.operands)? {
            Some(operand) => {
                // Twice as much before the next time: each byte is taken up a few times, not once per operand.
                self.limit = APART.max(operand.len());
                self.operands = vec![operand];
                self.apart = 0;
            }
            None => self.limit = self.apart.saturating_mul(2),
        }
        Ok(())
    }
}
