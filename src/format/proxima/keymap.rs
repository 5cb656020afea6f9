//! Key to position, for the kinds that store rows in another order.
//!
//! Read from the stored keys themselves, not from the sorted mapping beside them, so that rows are found even when the mapping is
//! damaged; the mapping is only compared. Memory: four bytes per row.

use super::container::Segment;
use super::fault::{Faults, at};
use super::window::Window;
use crate::format::{FormatError, Result, Source};

const NONE: u32 = u32::MAX;

/// The position of every key.
#[derive(Debug, Clone, Default)]
pub struct KeyMap {
    /// Position by key, for keys below the number of rows.
    dense: Vec<u32>,
    /// The others, by key.
    other: Vec<(u64, u32)>,
    /// Duplicate keys and contradictions between keys and mapping.
    pub faults: Vec<FormatError>,
}

impl KeyMap {
    /// Reads `rows` keys from `keys` and compares `mapping`: positions ordered by key.
    pub(super) fn read<S: Source + ?Sized>(
        source: &S,
        rows: u64,
        keys: &Segment,
        mapping: Option<&Segment>,
        code: &'static str,
    ) -> Result<Self> {
        let mut faults = Faults::default();
        let there = keys.size.min(source.size().saturating_sub(keys.offset)) / 8;
        if there < rows {
            let detail = format!("{there} of {rows} keys are there");
            faults.push(FormatError::truncated(code, keys.offset, detail));
        }
        // Bounded by the bytes that are there; positions are 32 bits wide in the format.
        let count = rows.min(there).min(NONE.into());
        let mut dense = vec![NONE; at(count)];
        let mut other = Vec::new();
        let mut window = Window::default();
        for position in 0..u32::try_from(count).unwrap_or(NONE) {
            let offset = keys.offset + 8 * u64::from(position);
            let key = u64::from_le_bytes(window.array(source, offset, keys.end(), code)?);
            match dense.get_mut(at(key)) {
                Some(slot) if *slot == NONE => *slot = position,
                Some(first) => {
                    let detail = format!("key {key} at positions {first} and {position}");
                    faults.push(FormatError::malformed("keys.duplicate", offset, detail));
                }
                None => other.push((key, position)),
            }
        }
        other.sort_unstable();
        let mut map = Self { dense, other, faults: Vec::new() };
        if let Some(mapping) = mapping {
            map.compare(source, mapping, code, &mut faults)?;
        }
        map.faults = faults.into_vec();
        Ok(map)
    }

    fn compare<S: Source + ?Sized>(
        &self,
        source: &S,
        mapping: &Segment,
        code: &'static str,
        faults: &mut Faults,
    ) -> Result<()> {
        let ordered = self.dense.iter().copied().filter(|&position| position != NONE);
        let ordered = ordered.chain(self.other.iter().map(|&(_, position)| position));
        let mut window = Window::default();
        for (number, expected) in ordered.enumerate() {
            let offset = mapping.offset + 4 * number as u64;
            if offset + 4 > mapping.end() {
                let detail = format!("{} of {} mapping entries are there", mapping.size / 4, self.dense.len());
                faults.push(FormatError::truncated(code, offset, detail));
                break;
            }
            let found = u32::from_le_bytes(window.array(source, offset, mapping.end(), code)?);
            if found != expected {
                let detail = format!("mapping entry {number} is {found}, by the keys it is {expected}");
                faults.push(FormatError::malformed("keys.bad-mapping", offset, detail));
                if faults.is_full() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Position of `key`.
    pub fn position(&self, key: u64) -> Option<u64> {
        match self.dense.get(at(key)) {
            Some(&position) => (position != NONE).then_some(position.into()),
            None => {
                let found = self.other.partition_point(|&(other, _)| other < key);
                self.other.get(found).filter(|&&(other, _)| other == key).map(|&(_, position)| position.into())
            }
        }
    }
}
