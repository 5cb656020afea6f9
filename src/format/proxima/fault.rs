//! A bounded list of faults: a hostile file must not be able to fill memory with complaints.

use crate::format::FormatError;

/// More faults than this in one file add nothing to its diagnosis.
const MAX_FAULTS: usize = 256;

/// Collects faults up to a fixed number.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<FormatError>);

impl Faults {
    pub(super) fn push(&mut self, fault: FormatError) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(fault);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_FAULTS
    }

    pub(super) fn into_vec(self) -> Vec<FormatError> {
        self.0
    }
}

/// `value` as an index; what does not fit is beyond the end of any slice.
pub(super) fn at(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// `value` rounded up to a multiple of `to`; saturates.
pub(super) fn align(value: u64, to: u64) -> u64 {
    value.checked_next_multiple_of(to.max(1)).unwrap_or(u64::MAX)
}
