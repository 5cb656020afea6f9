//! Bytes beside the first and the last vectors of a file. They are zero: the rest of a segment before the vectors, and the places of a block that no row has
//! taken yet. Where they are not, up to the vectors, these may have been overwritten, too.

use super::BORDER;
use crate::format::{Result, Source, proxima::Container, read_vec};

/// Bytes that are looked at.
const NEAR: u64 = 40;
const CUT: &str = "proxima.truncated";

/// Whether zeros were overwritten up to `end`, where vectors begin.
pub(super) fn before<S: Source + ?Sized>(source: &S, container: &Container, end: u64) -> Result<bool> {
    let Some(segment) = container.segments.iter().find(|other| other.offset.saturating_add(other.capacity()) == end)
    else {
        return Ok(false);
    };
    // The head of the list is a page, of which at most eight bytes are used.
    let used = if segment.name.ends_with(".linear_list_head") { 8 } else { segment.size };
    let length = segment.capacity().saturating_sub(used).min(NEAR);
    let mut bytes = read_vec(source, end.saturating_sub(length), length, CUT)?;
    bytes.reverse();
    Ok(is_overwritten(&bytes))
}

/// Whether zeros were overwritten from `start` on, where vectors end; there are `length` of them.
pub(super) fn behind<S: Source + ?Sized>(source: &S, start: u64, length: u64) -> Result<bool> {
    Ok(is_overwritten(&read_vec(source, start, length.min(NEAR), CUT)?))
}

/// Whether all is zero from `start` on for the length of two numbers.
pub(super) fn begins_with_zeros<S: Source + ?Sized>(source: &S, start: u64) -> bool {
    read_vec(source, start, 8, CUT).is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0))
}

/// Whether more than one byte is none of zero, and the first of them is near the front. A flipped bit is confined.
fn is_overwritten(zeros: &[u8]) -> bool {
    let mut wrong = zeros.iter().enumerate().filter(|(_, byte)| **byte != 0);
    wrong.next().is_some_and(|(first, _)| first < BORDER) && wrong.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_byte_is_confined_and_so_is_damage_further_away() {
        let with = |wrong: &[usize]| -> Vec<u8> { (0..40).map(|at| u8::from(wrong.contains(&at))).collect() };
        assert!(!is_overwritten(&with(&[])) && !is_overwritten(&with(&[0])) && !is_overwritten(&with(&[20, 21])));
        assert!(is_overwritten(&with(&[0, 1])) && is_overwritten(&with(&[15, 39])));
    }
}
