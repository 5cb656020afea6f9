//! One vector file under check: where its findings go, and what they cost.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::{
    format::{FormatError, Source},
    inspect::findings::from_format,
    report::{Finding, Loss, Severity},
};

use super::super::Context;

/// Bytes that a scan reads at once.
const CHUNK: u64 = 1 << 20;
/// Bytes that are compared with zeros at once.
const BLOCK: usize = 1024;
/// The year 2242.
const LAST_TIME: u64 = 1 << 33;
/// Rows that a finding names one by one.
const NAMED: usize = 5;

/// What a fault costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    /// Vectors: for certain those of the rows named, if this is their only copy.
    Vectors,
    /// Perhaps vectors.
    Perhaps,
    /// Searches find less or the wrong ones, or zvec refuses the file; every vector is there.
    Search,
}

/// A vector file under check.
pub(super) struct Subject<'a> {
    pub(super) ctx: &'a Context<'a>,
    /// Relative to the collection.
    pub(super) path: &'a Path,
    pub(super) segment: u32,
    /// Whether other files have the same vectors, so that this one can be made again.
    pub(super) copy: bool,
    /// Rows that the manifest gives it.
    pub(super) rows: u64,
    row_faults: Mutex<BTreeMap<&'static str, RowFaults>>,
}

struct RowFaults {
    first: Finding,
    count: u64,
    named: Vec<u64>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(ctx: &'a Context<'a>, path: &'a Path, segment: u32, copy: bool, rows: u64) -> Self {
        Self { ctx, path, segment, copy, rows, row_faults: Mutex::default() }
    }

    fn cost(&self, finding: Finding, harm: Harm, documents: Option<u64>) -> Finding {
        let loss = match harm {
            _ if self.copy || finding.severity != Severity::Error => Loss::None,
            Harm::Vectors => Loss::Certain,
            Harm::Perhaps => Loss::Possible,
            Harm::Search => Loss::None,
        };
        finding.at(self.path).segment(self.segment).loses(loss, documents)
    }

    /// A fault that `format` found, of all rows.
    pub(super) fn format(&self, error: &FormatError, harm: Harm) {
        self.ctx.findings.add(self.cost(from_format(self.path, error), harm, Some(self.rows)));
    }

    /// An error that concerns the whole file.
    pub(super) fn error(&self, code: &'static str, offset: u64, harm: Harm, detail: impl Into<String>) {
        self.ctx.findings.add(self.cost(Finding::error(code, detail).offset(offset), harm, Some(self.rows)));
    }

    /// Something to look at that changes no answer.
    pub(super) fn warning(&self, code: &'static str, offset: u64, detail: impl Into<String>) {
        self.ctx.findings.add(self.cost(Finding::warning(code, detail).offset(offset), Harm::Search, Some(0)));
    }

    /// Times of an index, in unix seconds; the first stands at `offset`.
    pub(super) fn times(&self, created: u64, updated: u64, offset: u64) {
        if created > updated || updated >= LAST_TIME {
            self.warning("proxima.times", offset, format!("created at {created}, updated at {updated}"));
        }
    }

    /// A remark.
    pub(super) fn info(&self, code: &'static str, offset: Option<u64>, detail: impl Into<String>) {
        let mut finding = Finding::info(code, detail);
        finding.offset = offset;
        self.ctx.findings.add(self.cost(finding, Harm::Search, Some(0)));
    }

    /// A fault of one row. Rows with the same code make one finding.
    pub(super) fn row(&self, row: u64, finding: Finding, code: &'static str, harm: Harm) {
        let mut faults = self.row_faults.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = faults.entry(code).or_insert_with(|| RowFaults {
            first: self.cost(finding, harm, Some(1)),
            count: 0,
            named: Vec::new(),
        });
        entry.count += 1;
        if entry.named.len() < NAMED {
            entry.named.push(row);
        }
    }

    /// An error of one row.
    pub(super) fn row_error(&self, row: u64, code: &'static str, offset: u64, harm: Harm, detail: impl Into<String>) {
        self.row(row, Finding::error(code, detail).offset(offset), code, harm);
    }

    /// A fault that `format` found in one row.
    pub(super) fn row_format(&self, row: u64, error: &FormatError, harm: Harm) {
        self.row(row, from_format(self.path, error), error.code, harm);
    }

    /// Hands on what was collected of rows.
    pub(super) fn finish(&self) {
        let mut faults = self.row_faults.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, RowFaults { mut first, count, named }) in std::mem::take(&mut *faults) {
            if count > 1 {
                let named: Vec<_> = named.iter().map(u64::to_string).collect();
                let more = if count > named.len() as u64 { ", …" } else { "" };
                first.detail.push_str(&format!("; {count} rows in all: {}{more}", named.join(", ")));
            }
            if first.documents_at_risk.is_some() && first.severity == Severity::Error {
                first.documents_at_risk = Some(count);
            }
            self.ctx.findings.add(first);
        }
    }
}

/// The first byte that is not zero in `start..end` of a file, if one is. Errors of reading count as none: others report them.
pub(super) fn first_non_zero<S: Source + ?Sized>(source: &S, start: u64, end: u64) -> Option<u64> {
    let end = end.min(source.size());
    let mut buffer = Vec::new();
    let mut at = start;
    while at < end {
        let step = CHUNK.min(end - at);
        buffer.resize(usize::try_from(step).unwrap_or(0), 0);
        source.read_exact_at(at, &mut buffer).ok()?;
        if let Some(position) = non_zero(&buffer) {
            return Some(at + position as u64);
        }
        at += step;
    }
    None
}

/// Position of the first byte that is not zero.
pub(super) fn non_zero(bytes: &[u8]) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let clean = blocks.iter().take_while(|block| **block == [0; BLOCK]).count() * BLOCK;
    bytes.get(clean..)?.iter().position(|byte| *byte != 0).map(|position| clean + position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_is_not_zero_is_found_wherever_it_is() {
        for at in [0usize, 1, 1023, 1024, 5000, (1 << 20) - 1, 1 << 20, (1 << 20) + 7] {
            let mut bytes = vec![0u8; (1 << 20) + 100];
            bytes[at] = 1;
            assert_eq!(first_non_zero(&bytes, 0, u64::MAX), Some(at as u64));
            assert_eq!(first_non_zero(&bytes, 0, at as u64), None, "the end is excluded");
            assert_eq!(first_non_zero(&bytes, at as u64 + 1, u64::MAX), None);
        }
        assert_eq!(non_zero(&[]), None);
    }
}
