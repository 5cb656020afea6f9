//! Names the rows in which an index and the stored values differ, once their sums have told that some do.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::{ControlFlow, Range},
    path::{Path, PathBuf},
};

use roaring::RoaringBitmap;

use crate::{
    format::{
        forward::ScalarType,
        inverted::{IndexedColumn, term},
        value::Value,
    },
    report::{Finding, Firsts, Loss, show_path},
};

use super::{
    super::Context,
    forward::{EXAMPLES, text},
    layout::{Layout, Slot},
    scalar_index::{rows_of_bucket, show},
};

/// Rows that are looked at more closely, about: what they hold is in memory on both sides.
const CLOSE_ROWS: u64 = 1 << 16;

/// Which family is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Terms.
    Terms,
    /// Terms, bytes reversed.
    Reversed,
    /// Array lengths.
    Lengths,
}

impl Kind {
    /// The key as it is compared.
    pub fn term(self, key: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Reversed => term::reversed(key).into(),
            Self::Terms | Self::Lengths => key.into(),
        }
    }

    /// The terms that the index must hold for a value.
    fn of_value(self, value: &Value) -> Vec<Vec<u8>> {
        match (self, term::encode_elements(value)) {
            (Self::Lengths, Some((_, length))) => vec![term::encode_length(length).to_vec()],
            (_, Some((terms, _))) => terms.into_iter().collect(),
            (_, None) => term::encode(value).into_iter().collect(),
        }
    }

    fn show(self, term: &[u8], scalar: ScalarType) -> String {
        match self {
            Self::Lengths => term::decode_length(term).map_or_else(|_| show(term), |length| format!("length {length}")),
            Self::Terms | Self::Reversed => show_value(term, scalar),
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Terms => "terms",
            Self::Reversed => "reversed terms",
            Self::Lengths => "array lengths",
        }
    }
}

/// What is to be compared.
pub struct Question<'q, 'a> {
    /// The run.
    pub ctx: &'q Context<'a>,
    /// The segment.
    pub layout: &'q Layout<'q>,
    /// The column.
    pub column: &'q IndexedColumn,
    /// Its field, by position among the scalars.
    pub at: usize,
    /// Directory of the index.
    pub path: &'q Path,
    /// Which family.
    pub kind: Kind,
    /// Whether all of the family can be read.
    pub complete: bool,
    /// Rows whose values cannot be read.
    pub unreadable: Option<&'q RoaringBitmap>,
}

/// Gives every key of the family with its rows.
pub type Scan<'s> = dyn FnMut(&mut dyn FnMut(&[u8], &RoaringBitmap)) + 's;

/// Names what differs in the rows of these buckets, or in the first of them.
pub fn name(question: &Question<'_, '_>, differing: &[usize], scan: &mut Scan<'_>) {
    let Question { ctx, layout, kind, .. } = *question;
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut rows = 0;
    for bucket in differing {
        let range = rows_of_bucket(*bucket, layout.rows);
        rows += range.end - range.start;
        if rows > CLOSE_ROWS && !ranges.is_empty() {
            break;
        }
        ranges.push(range);
    }
    let close = |row: u64| ranges.iter().any(|range| range.contains(&row));
    let mut stored: BTreeMap<u64, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let touches = |rows: Range<u64>| ranges.iter().any(|range| range.start < rows.end && rows.start < range.end);
    layout.read(ctx, &|slot| slot == Slot::Field(question.at), &touches, &mut |piece| {
        piece.each(ctx, |row, value| {
            if close(row) {
                stored.entry(row).or_default().extend(kind.of_value(value));
            }
        });
        ControlFlow::Continue(())
    });
    let mut held: BTreeMap<u64, BTreeSet<Vec<u8>>> = BTreeMap::new();
    scan(&mut |key, rows| {
        for range in &ranges {
            for row in rows.range(super::forward::narrow(range)) {
                held.entry(row.into()).or_default().insert(kind.term(key).into_owned());
            }
        }
    });
    let looked = if ranges.len() < differing.len() {
        format!(
            ", and more in {} of {} parts of the segment that were not looked at row by row",
            differing.len() - ranges.len(),
            super::scalar_index::ROW_BUCKETS
        )
    } else {
        String::new()
    };
    tell(question, &stored, &held, &looked);
}

type Terms = BTreeMap<u64, BTreeSet<Vec<u8>>>;

/// The rows of one kind of difference.
type Group = Firsts<EXAMPLES>;

fn tell(question: &Question<'_, '_>, stored: &Terms, held: &Terms, looked: &str) {
    let Question { ctx, layout, column, kind, path, complete, .. } = *question;
    let scalar = column.column_type.scalar;
    let list = |terms: &[&Vec<u8>]| {
        let shown: Vec<String> = terms.iter().take(3).map(|term| kind.show(term, scalar)).collect();
        format!("{}{}", shown.join(", "), if terms.len() > 3 { ", …" } else { "" })
    };
    let none = BTreeSet::new();
    let mut others: BTreeMap<PathBuf, Group> = BTreeMap::new();
    let (mut missing_rows, mut extra_rows) = (Group::default(), Group::default());
    let rows: BTreeSet<u64> = stored.keys().chain(held.keys()).copied().collect();
    for row in rows {
        let lost = u32::try_from(row).is_ok_and(|row| question.unreadable.is_some_and(|lost| lost.contains(row)));
        let (stored, held) = (stored.get(&row).unwrap_or(&none), held.get(&row).unwrap_or(&none));
        let missing: Vec<&Vec<u8>> = stored.difference(held).collect();
        let extra: Vec<&Vec<u8>> = held.difference(stored).collect();
        if lost || row >= layout.rows {
            continue;
        }
        let key = || key_of(question, row).map(|key| format!(" ({key})")).unwrap_or_default();
        match (missing.is_empty(), extra.is_empty()) {
            (true, true) => {}
            (false, false) => {
                let file = layout.file_of(row, Slot::Field(question.at));
                let group = others.entry(file.map_or_else(|| path.to_owned(), |file| file.path.clone())).or_default();
                group.add(|| format!("row {row}{} holds {}, the index {}", key(), list(&missing), list(&extra)));
            }
            // What a damaged block of the index held has been told.
            (false, true) if !complete => {}
            (false, true) => missing_rows.add(|| format!("row {row}{} holds {}", key(), list(&missing))),
            (true, false) => extra_rows.add(|| format!("row {row}{} does not hold {}", key(), list(&extra))),
        }
    }
    let (name, noun, segment) = (&column.name, kind.noun(), layout.segment.id());
    let index = show_path(path);
    for (file, group) in others {
        let trust = if complete {
            "the index stands under checksums that fit and the forward block under none: the value is probably damaged, the index still has it"
        } else {
            "the index is damaged as well"
        };
        let detail = format!(
            "field {name}: {} row(s) hold another value than {index} ({noun}): {}{looked}; {trust}",
            group.count, group
        );
        let finding = Finding::error("inverted.other-value", detail).at(&file).segment(segment);
        ctx.findings.add(finding.loses(Loss::Possible, Some(group.count)));
    }
    let both = [
        (missing_rows, "inverted.missing-entry", "are not in the index under what they hold, queries miss them"),
        (
            extra_rows,
            "inverted.extra-entry",
            "are in the index under what they do not hold, queries return them wrongly",
        ),
    ];
    for (group, code, what) in both {
        if group.count > 0 {
            let detail = format!("field {name}: {} row(s) {what} ({noun}): {}{looked}", group.count, group);
            ctx.findings
                .add(Finding::error(code, detail).at(path).segment(segment).loses(Loss::None, Some(group.count)));
        }
    }
}

/// The primary key of a row of the segment.
fn key_of(question: &Question<'_, '_>, wanted: u64) -> Option<String> {
    let mut found = None;
    let holds = |rows: Range<u64>| rows.contains(&wanted);
    question.layout.read(question.ctx, &|slot| slot == Slot::Key, &holds, &mut |piece| {
        if let (Some(keys), Some(at)) = (piece.values.and_then(text), wanted.checked_sub(piece.rows.start)) {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            found = (at < arrow_array::Array::len(keys)).then(|| show(keys.value(at).as_bytes()));
        }
        ControlFlow::Break(())
    });
    found
}

fn show_value(bytes: &[u8], scalar: ScalarType) -> String {
    match term::decode(bytes, scalar) {
        Ok(Value::Bool(value)) => value.to_string(),
        Ok(Value::I32(value)) => value.to_string(),
        Ok(Value::U32(value)) => value.to_string(),
        Ok(Value::I64(value)) => value.to_string(),
        Ok(Value::U64(value)) => value.to_string(),
        Ok(Value::F32(value)) => value.to_string(),
        Ok(Value::F64(value)) => value.to_string(),
        _ => show(bytes),
    }
}
