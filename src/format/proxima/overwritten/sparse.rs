//! The same of flat files of sparse vectors.
//!
//! ```text
//! places    … | offset, chunk, length, 0, row | …          one begins where the one before ends
//! records   … | counts, groups, indices, values, zeros to 32 | …
//! ```
//!
//! A record's first eight bytes tell how long it is, and so does its place. Where they do not fit, and not because of a single byte, the record's beginning
//! was overwritten, and with it perhaps the values at the end of the record before, unless the zeros behind those are still there.

use std::{collections::BTreeSet, ops::Range};

use super::super::{
    Codec, DataType, VectorFile,
    flat_sparse::{FlatSparse, SparsePlace},
    sparse::Record,
};
use crate::format::{Result, Source};

const NO_KEY: u64 = u64::MAX;
const UNIT: u64 = 32;
/// Of counts and groups.
const HEAD: usize = 8;

/// What is known of a row when the next one is looked at.
struct Seen {
    row: u64,
    place: SparsePlace,
    /// Whether its place begins where that of the row before ends.
    follows: bool,
    record: State,
}

/// What a record says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Right; whether zeros stand behind it.
    Whole { padded: bool },
    /// It can be read, and more than one of the bytes behind it, where zeros should be, are none.
    Trodden,
    /// It begins in another way than its length says; whether with zeros.
    Beheaded { zeros: bool },
    /// Wrong, but it begins rightly, or with one wrong byte.
    Wrong,
}

pub(super) fn beside_damage<S: Source>(file: &VectorFile<S>, flat: &FlatSparse) -> Result<Vec<Range<u64>>> {
    let unit = match &file.encoding {
        Ok(encoding) if encoding.codec == Codec::Plain(DataType::Fp32) => 4,
        _ => 2,
    };
    let (mut places, mut records) = (file.reader(), file.reader());
    let mut rows = BTreeSet::new();
    let mut before: Option<Seen> = None;
    for row in 0..flat.rows.min(file.container.file_size / 24) {
        let Some((key, place, _)) = file.sparse_place(row, &mut places)? else { break };
        if key == NO_KEY {
            // Its place means nothing, but zvec writes none that does not exist.
            if place.locate(&flat.data_chunks, 0).is_err() {
                rows.insert(row);
            }
            continue;
        }
        let record = match file.record(row, &mut records) {
            Ok(record) => state(record.bytes, record.offset, place.length, unit),
            Err(_) => State::Wrong,
        };
        let starts = place.offset == 0 && before.as_ref().is_none_or(|before| before.place.chunk != place.chunk);
        let follows = starts || before.as_ref().is_some_and(|before| end(before.place) == start(place));
        if let Some(before) = &before {
            // Neither neighbour says that its place is right. A new chunk says nothing of the last place in the one before.
            let confirmed = before.follows || end(before.place) == start(place) || starts;
            if !confirmed {
                rows.insert(before.row);
            }
            if let (State::Beheaded { zeros }, true) = (record, end(before.place) == start(place)) {
                let ended = before.record == State::Whole { padded: true } && !zeros;
                if !ended {
                    rows.insert(before.row);
                }
            }
        }
        // An overwritten record that can be read all the same: zeros are an empty vector.
        if matches!(record, State::Trodden | State::Beheaded { .. }) {
            rows.insert(row);
        }
        before = Some(Seen { row, place, follows, record });
    }
    if let Some(last) = before.filter(|last| !last.follows) {
        rows.insert(last.row);
    }
    let mut found = Vec::new();
    rows.into_iter().for_each(|row| super::push(&mut found, row..row.saturating_add(1)));
    Ok(found)
}

fn start(place: SparsePlace) -> (u32, u64) {
    (place.chunk, place.offset.into())
}

fn end(place: SparsePlace) -> (u32, u64) {
    (place.chunk, u64::from(place.offset).saturating_add(place.length.into()))
}

fn state(bytes: &[u8], offset: u64, length: u32, unit: usize) -> State {
    let head = bytes.first_chunk::<HEAD>().copied().unwrap_or_default();
    if !begins_rightly(head, length, unit) {
        let zeros = head == [0; HEAD];
        return if one_byte_off(head, length, unit) && !zeros { State::Wrong } else { State::Beheaded { zeros } };
    }
    let Ok(record) = Record::parse(bytes, offset, unit) else { return State::Wrong };
    let behind = usize::try_from(record.used).ok().and_then(|used| bytes.get(used..)).unwrap_or_default();
    match behind.iter().filter(|byte| **byte != 0).count() {
        0 => State::Whole { padded: behind.len() >= 2 },
        1 => State::Whole { padded: false },
        _ => State::Trodden,
    }
}

/// Whether counts and groups make a record of this length.
fn begins_rightly(head: [u8; HEAD], length: u32, unit: usize) -> bool {
    let (count, groups) = head.split_at(4);
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    let (count, groups) = (number(count), number(groups));
    let used = groups.saturating_mul(8).saturating_add(count.saturating_mul(2 + unit as u64)).saturating_add(8);
    groups <= count && used.checked_next_multiple_of(UNIT) == Some(length.into())
}

fn one_byte_off(head: [u8; HEAD], length: u32, unit: usize) -> bool {
    (0..HEAD).any(|at| {
        (0..=u8::MAX).any(|byte| {
            let mut other = head;
            if let Some(slot) = other.get_mut(at) {
                *slot = byte;
            }
            begins_rightly(other, length, unit)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(values: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(values.to_le_bytes());
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(values.to_le_bytes());
        bytes.extend((0..values as u16).flat_map(u16::to_le_bytes));
        bytes.extend((0..values).flat_map(|value| (value as f32 + 0.5).to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes
    }

    fn of(bytes: &[u8]) -> State {
        state(bytes, 0, bytes.len() as u32, 4)
    }

    #[test]
    fn a_record_whose_beginning_was_overwritten_is_told_from_one_with_a_wrong_byte() {
        let sound = record(5);
        assert_eq!(of(&sound), State::Whole { padded: true });
        assert_eq!(of(&record(8)), State::Whole { padded: false }, "16 + 48 bytes need no zeros");
        for at in 0..8 {
            let mut flipped = sound.clone();
            flipped[at] ^= 0x10;
            assert!(matches!(of(&flipped), State::Wrong | State::Whole { .. }), "{at}");
        }
        let mut noise = sound.clone();
        (0..20).for_each(|at| noise[at] = (at * 151 + 77) as u8 | 1);
        assert_eq!(of(&noise), State::Beheaded { zeros: false });
        let mut zeroed = sound.clone();
        zeroed[..20].fill(0);
        assert_eq!(of(&zeroed), State::Beheaded { zeros: true });
        let mut trodden = sound.clone();
        let end = trodden.len();
        trodden[end - 20..].fill(7);
        assert_eq!(of(&trodden), State::Trodden);
    }
}
