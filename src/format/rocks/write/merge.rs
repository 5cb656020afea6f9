//! Several tables merged into one.
//!
//! Of each key only what a reader would see is kept, as there are no snapshots: the newest value or deletion hides all older ones,
//! and operands of the merge operator are applied to it. Where older tables are left out of the merge, deletions stay, and so
//! do operands without a value below them. One block per input and the versions of one key are in memory.

use super::plan::MergePlan;
use super::table_builder::{BuiltTable, TableBuilder};
use crate::format::rocks::db::Family;
use crate::format::rocks::key::{ValueType, Version};
use crate::format::{FormatError, Result, Sink};

/// What the operands of a column family mean.
pub trait MergeOperator {
    /// The value of `key` after `operands`, oldest first, on top of `base`.
    fn full(&self, key: &[u8], base: Option<&[u8]>, operands: &[Vec<u8>]) -> Result<Vec<u8>>;

    /// One operand that does what `operands`, oldest first, do together; `None` if there is none such.
    fn partial(&self, _key: &[u8], _operands: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
}

/// Merges the inputs of `plan` into `builder`. `None`, and nothing but what the builder wrote so far, if nothing is left. A damaged
/// input is an error, not a smaller table. `operator` may be absent where there are no operands.
pub fn merge_tables<K: Sink>(
    family: &Family,
    plan: &MergePlan,
    operator: Option<&dyn MergeOperator>,
    mut builder: TableBuilder<K>,
) -> Result<Option<BuiltTable>> {
    if !plan.is_readable(family) {
        let detail = "a table that is to be merged could not be opened";
        return Err(FormatError::malformed("rocks.merge-damaged", 0, detail));
    }
    let inputs = plan.numbers();
    let ranges = family
        .tables()
        .iter()
        .any(|live| inputs.contains(&live.file.number) && !live.table.range_deletions().is_empty());
    if ranges && !plan.bottom {
        let detail = "range deletions are applied in a merge of all tables only";
        return Err(FormatError::unsupported("rocks.merge-range-deletion", 0, detail));
    }
    // Faults of opening cost keys without showing in the scan.
    let faults = family.tables().iter().filter(|live| inputs.contains(&live.file.number));
    if let Some(fault) = faults.flat_map(|live| live.table.faults()).find(|fault| fault.keys.is_some()) {
        return Err(fault.error.clone());
    }
    let mut group: Vec<Version> = Vec::new();
    for item in family.versions_in(&inputs) {
        let version = item.map_err(|fault| fault.error)?.version;
        if group.first().is_some_and(|first| first.key != version.key) {
            emit(family, plan, operator, &group, &mut builder)?;
            group.clear();
        }
        group.push(version);
    }
    emit(family, plan, operator, &group, &mut builder)?;
    if builder.entries() == 0 { Ok(None) } else { builder.finish().map(Some) }
}

/// Writes what is left of the versions of one key, newest first.
fn emit<K: Sink>(
    family: &Family,
    plan: &MergePlan,
    operator: Option<&dyn MergeOperator>,
    versions: &[Version],
    builder: &mut TableBuilder<K>,
) -> Result<()> {
    let Some(newest) = versions.first() else { return Ok(()) };
    let key = &newest.key;
    let deleted_at = if plan.bottom { family.deleted_at(key) } else { None };
    let mut visible = versions.iter().filter(|version| deleted_at.is_none_or(|at| version.sequence >= at)).peekable();
    let mut operands: Vec<&Version> = Vec::new();
    while let Some(operand) = visible.next_if(|version| version.kind == ValueType::Merge) {
        operands.push(operand);
    }
    let below = visible.next();
    let base = match below {
        None => None,
        Some(version) if version.kind == ValueType::Value => Some(version.value.as_slice()),
        Some(version) if version.kind.is_deletion() => None,
        Some(version) => return Err(family.undecoded(key, version.kind).error),
    };
    let Some(top) = operands.first() else {
        return match below {
            Some(version) if version.kind == ValueType::Value || !plan.bottom => {
                builder.add(key, version.sequence, version.kind, &version.value)
            }
            _ => Ok(()),
        };
    };
    let operator = operator.ok_or_else(|| {
        let detail = format!("column family {} has merge operands, but no merge operator was given", family.name());
        FormatError::unsupported("rocks.merge-operator", 0, detail)
    })?;
    let values: Vec<Vec<u8>> = operands.iter().rev().map(|version| version.value.clone()).collect();
    if below.is_some() || plan.bottom {
        return builder.add(key, top.sequence, ValueType::Value, &operator.full(key, base, &values)?);
    }
    match operator.partial(key, &values)? {
        Some(value) => builder.add(key, top.sequence, ValueType::Merge, &value),
        None => operands.iter().try_for_each(|v| builder.add(key, v.sequence, v.kind, &v.value)),
    }
}
