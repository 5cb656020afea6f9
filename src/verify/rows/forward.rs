//! The rows themselves: document ids, keys, types and nulls.

use std::ops::ControlFlow;

use arrow_array::{Array, ArrayRef, StringArray, UInt64Array, cast::AsArray, types::UInt64Type};
use roaring::{RoaringBitmap, RoaringTreemap};

use crate::{
    format::{forward::column_type as arrow_type, manifest::proto::FieldSchema},
    inspect::documents::Field,
    report::{Finding, Loss},
};

use super::{
    super::{Context, Level},
    fts_compare::Texts,
    layout::{ForwardFile, Layout, Piece, Slot, column_type},
    scalar_index::Expected,
    shared::{KEY_BUCKETS, Shared, bucket},
    sums::{Sums, hash, with},
};

/// How many examples a finding names.
pub const EXAMPLES: usize = 5;

/// What is known of a segment's rows.
pub struct SegmentIds {
    /// The segment.
    pub segment: u32,
    /// Document ids of the rows that can be read.
    pub rows: RoaringTreemap,
    /// Sums over (key, id) of the live ones.
    pub live: Sums,
    /// Rows that could not be read.
    pub unreadable: u64,
}

/// What reading the rows has given.
pub struct Found {
    /// Ids and keys.
    pub ids: SegmentIds,
    /// Rows, by field, whose values cannot be read.
    pub unreadable: Vec<RoaringBitmap>,
    /// What the scalar index must hold, by field; only for indexed fields and at level 3.
    pub indexed: Vec<Option<Expected>>,
    /// What the full-text index must hold, by field; only for full-text fields and at level 3.
    pub texts: Vec<Option<Texts>>,
}

/// Reads all rows: ids and keys, at level 3 all values.
pub fn check(ctx: &Context<'_>, layout: &Layout<'_>, shared: &Shared) -> Found {
    let fields = &shared.fields.scalars;
    let contents = ctx.wants(Level::Contents);
    let schema = |field: &Field| of_schema(ctx, &field.name);
    let mut found = Found {
        ids: SegmentIds {
            segment: layout.segment.id(),
            rows: RoaringTreemap::new(),
            live: Sums::new(KEY_BUCKETS),
            unreadable: 0,
        },
        unreadable: vec![RoaringBitmap::new(); fields.len()],
        indexed: fields
            .iter()
            .map(|field| contents.then(|| Expected::of(schema(field)?, layout.rows)).flatten())
            .collect(),
        texts: fields
            .iter()
            .map(|field| {
                contents.then(|| Texts::of(schema(field)?, layout.rows, shared.tokenizers.as_deref())).flatten()
            })
            .collect(),
    };
    let mut ids = IdCheck { ctx, shared, layout, last: None, pending: None };
    layout.read(ctx, &|slot| contents || !matches!(slot, Slot::Field(_)), &|_| true, &mut |piece| {
        match piece.slot {
            Slot::DocId => ids.ids(&piece, &mut found.ids),
            Slot::Key => ids.keys(&piece, &mut found.ids),
            Slot::Field(at) => {
                let lost = found.unreadable.get_mut(at);
                let ok = fields.get(at).is_some_and(|field| fits(ctx, layout, field, &piece));
                match lost {
                    Some(lost) if piece.values.is_none() || !ok => drop(lost.insert_range(narrow(&piece.rows))),
                    _ => values(ctx, layout, shared, at, &piece, &mut found),
                }
            }
        }
        ControlFlow::Continue(())
    });
    for file in layout.files.iter().filter(|_| layout.exists) {
        match &file.overwritten {
            Some(overwritten) => ctx.findings.add(overwritten.finding()),
            None => row_count(ctx, layout, file),
        }
    }
    found
}

/// The schema's entry of a field.
pub fn of_schema<'m>(ctx: &Context<'m>, name: &str) -> Option<&'m FieldSchema> {
    ctx.manifest.schema.as_ref()?.fields.iter().find(|field| field.name == name)
}

/// Rows as postings number them.
pub fn narrow(rows: &std::ops::Range<u64>) -> std::ops::Range<u32> {
    let narrow = |row: u64| u32::try_from(row).unwrap_or(u32::MAX);
    narrow(rows.start)..narrow(rows.end)
}

/// Whether the column has the schema's type. One that has not is told once a file.
fn fits(ctx: &Context<'_>, layout: &Layout<'_>, field: &Field, piece: &Piece<'_>) -> bool {
    let (Some(array), Some(expected)) = (piece.values, column_type(field.data_type)) else { return true };
    let found = arrow_type(array.data_type());
    if found == Some(expected) {
        return true;
    }
    let found = found.map_or_else(|| array.data_type().to_string(), |found| found.to_string());
    let detail = format!("column {} has the type {found}, the schema says {expected}", field.name);
    let rows = piece.file.rows.end - piece.file.rows.start;
    let finding = Finding::error("forward.column-type", detail).at(&piece.file.path).segment(layout.segment.id());
    ctx.findings.add(finding.loses(Loss::Possible, Some(rows)));
    false
}

/// Looks at every value of a column: nulls, and what the indexes must hold.
fn values(ctx: &Context<'_>, layout: &Layout<'_>, shared: &Shared, at: usize, piece: &Piece<'_>, found: &mut Found) {
    let (Some(field), Some(array)) = (shared.fields.scalars.get(at), piece.values) else { return };
    if !field.nullable && array.null_count() > 0 {
        let first =
            (0..array.len()).zip(piece.rows.clone()).find(|(at, _)| array.is_null(*at)).map_or(0, |(_, row)| row);
        let detail = format!("row {first} of the segment has no value of field {}, which is never null", field.name);
        let finding = Finding::error("forward.null-value", detail).at(&piece.file.path).segment(layout.segment.id());
        for _ in 0..array.null_count() {
            ctx.findings.add_row(finding.clone().loses(Loss::Possible, Some(1)));
        }
    }
    let indexed = found.indexed.get_mut(at).and_then(Option::as_mut);
    let texts = found.texts.get_mut(at).and_then(Option::as_mut);
    let mut sinks = (indexed, texts);
    piece.each(ctx, |row, value| {
        if let Some(indexed) = &mut sinks.0 {
            indexed.add(row, value);
        }
        if let Some(texts) = &mut sinks.1 {
            texts.add(row, value);
        }
    });
}

/// That a file has as many rows as the manifest says.
fn row_count(ctx: &Context<'_>, layout: &Layout<'_>, file: &ForwardFile) {
    let listed = file.rows.end - file.rows.start;
    let opened = crate::inspect::documents::BlockReader::open(ctx.view, &file.path, listed, &ctx.findings);
    let Some(held) = opened.and_then(|reader| reader.file().rows()).filter(|held| *held != listed) else { return };
    let detail = format!("the manifest says {listed} rows, the file has {held}");
    let finding = Finding::error("segment.row-count", detail).at(&file.path).segment(layout.segment.id());
    let missing = listed.saturating_sub(held);
    ctx.findings.add(finding.loses(Loss::Possible, (missing > 0).then_some(missing)));
}

struct IdCheck<'c, 'a> {
    ctx: &'c Context<'a>,
    shared: &'c Shared,
    layout: &'c Layout<'c>,
    last: Option<u64>,
    /// Ids of the batch at hand, whose keys come next.
    pending: Option<UInt64Array>,
}

impl IdCheck<'_, '_> {
    fn finding(&self, code: &str, piece: &Piece<'_>, detail: String) -> Finding {
        Finding::error(code, detail).at(&piece.file.path).segment(self.layout.segment.id())
    }

    fn ids(&mut self, piece: &Piece<'_>, found: &mut SegmentIds) {
        self.pending = None;
        let rows = piece.rows.end - piece.rows.start;
        let Some(array) = piece.values else {
            found.unreadable = found.unreadable.saturating_add(rows);
            return;
        };
        let Some(ids) = array.as_primitive_opt::<UInt64Type>().filter(|ids| ids.null_count() == 0) else {
            let detail = "the document id column is not uint64, or has nulls".to_owned();
            self.ctx.findings.add(self.finding("forward.doc-id-type", piece, detail).loses(Loss::Certain, Some(rows)));
            found.unreadable = found.unreadable.saturating_add(rows);
            return;
        };
        for (id, row) in ids.values().iter().copied().zip(piece.rows.clone()) {
            if let Some(last) = self.last.filter(|last| id <= *last) {
                let code = if found.rows.contains(id) { "forward.duplicate-id" } else { "forward.id-order" };
                let detail =
                    format!("row {row} of the segment has document id {id}, the row before it {last}: ids ascend");
                self.ctx.findings.add_row(self.finding(code, piece, detail).loses(Loss::Possible, Some(1)));
            }
            if id >= self.shared.first_id {
                let detail = format!(
                    "row {row} of the segment has document id {id}, the next one to be given out is {}",
                    self.shared.first_id
                );
                self.ctx
                    .findings
                    .add_row(self.finding("forward.id-beyond-end", piece, detail).loses(Loss::Possible, Some(1)));
            }
            self.last = Some(id);
            found.rows.insert(id);
        }
        self.pending = Some(ids.clone());
    }

    fn keys(&mut self, piece: &Piece<'_>, found: &mut SegmentIds) {
        let Some(ids) = self.pending.take() else { return };
        let rows = piece.rows.end - piece.rows.start;
        let Some(keys) = piece.values.and_then(text) else {
            if piece.values.is_some() {
                let detail = "the primary key column is not text, or has nulls".to_owned();
                self.ctx.findings.add(self.finding("forward.key-type", piece, detail).loses(Loss::Certain, Some(rows)));
            }
            found.unreadable = found.unreadable.saturating_add(rows);
            return;
        };
        for ((key, id), row) in keys.iter().zip(ids.values().iter().copied()).zip(piece.rows.clone()) {
            let key = key.unwrap_or_default();
            if key.is_empty() {
                let detail = format!("row {row} of the segment, document {id}, has an empty primary key");
                self.ctx
                    .findings
                    .add_row(self.finding("forward.empty-key", piece, detail).loses(Loss::Possible, Some(1)));
            }
            if !self.shared.deleted.contains(id) {
                let hash = hash(key.as_bytes());
                found.live.add(bucket(hash), with(hash, id));
            }
        }
    }
}

/// The keys, if that is what the column holds.
pub fn text(array: &ArrayRef) -> Option<&StringArray> {
    array.as_string_opt::<i32>().filter(|keys| keys.null_count() == 0)
}
