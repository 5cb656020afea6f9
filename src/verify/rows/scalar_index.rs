//! The inverted index of a segment: families against the schema, postings against the rows.

use std::path::{Path, PathBuf};

use roaring::RoaringBitmap;

use crate::{
    format::{
        forward::ColumnType,
        inverted::{
            Family as Name, Histogram, IndexedColumn, RangeKey, SEALED, Special, SpecialKey, decode_max_id, term, union,
        },
        manifest::proto::{BlockType, DataType, FieldSchema, index_params},
        roaring as set,
        rocks::{Db, Entry, Family, Lookup},
        value::Value,
    },
    inspect::{
        SegmentRef,
        findings::from_format,
        idmap::{DatabaseDir, fault_finding},
    },
    report::{Finding, Loss, many},
};

use super::{
    super::{Context, Level},
    differences::{self, Kind, Question},
    forward::{Found, of_schema},
    histogram::{HistogramCheck, RangeCheck},
    layout::{Layout, column_type},
    shared::Shared,
    sums::{Sums, hash, with},
};

/// Buckets of the sums over terms and rows.
pub const ROW_BUCKETS: u64 = 1024;

/// The bucket of a row of a segment with so many.
pub fn bucket(row: u64, rows: u64) -> usize {
    let at = u128::from(row) * u128::from(ROW_BUCKETS) / u128::from(rows.max(1));
    at.min(u128::from(ROW_BUCKETS - 1)) as usize
}

/// The rows of a bucket.
pub fn rows_of_bucket(bucket: usize, rows: u64) -> std::ops::Range<u64> {
    let edge = |at: u64| (u128::from(at) * u128::from(rows)).div_ceil(u128::from(ROW_BUCKETS)) as u64;
    edge(bucket as u64)..edge(bucket as u64 + 1)
}

/// Sums over the rows of a segment.
pub fn row_sums() -> Sums {
    Sums::new(ROW_BUCKETS as usize)
}

/// What the index must hold of a column.
pub struct Expected {
    rows: u64,
    terms: Sums,
    lengths: Sums,
    nulls: RoaringBitmap,
}

impl Expected {
    /// Nothing yet, of a field that has an inverted index.
    pub fn of(field: &FieldSchema, rows: u64) -> Option<Self> {
        indexed(field).map(|_| Self { rows, terms: row_sums(), lengths: row_sums(), nulls: RoaringBitmap::new() })
    }

    /// Adds a row.
    pub fn add(&mut self, row: u64, value: &Value) {
        let at = bucket(row, self.rows);
        if let Some((terms, length)) = term::encode_elements(value) {
            for term in terms {
                self.terms.add(at, with(hash(&term), row));
            }
            self.lengths.add(at, with(hash(&term::encode_length(length)), row));
        } else if let Some(term) = term::encode(value) {
            self.terms.add(at, with(hash(&term), row));
        } else if let Ok(row) = u32::try_from(row) {
            self.nulls.insert(row);
        }
    }
}

/// A field as an index has it, if it has one.
fn indexed(field: &FieldSchema) -> Option<IndexedColumn> {
    let Some(index_params::Params::Invert(params)) = field.index_params.as_ref()?.params.as_ref() else { return None };
    Some(IndexedColumn {
        name: field.name.clone(),
        column_type: column_type(DataType::try_from(field.data_type).ok()?)?,
        range_optimization: params.enable_range_optimization,
        extended_wildcard: params.enable_extended_wildcard,
    })
}

/// An open index directory of a segment.
pub struct Index {
    /// Relative to the collection.
    pub path: PathBuf,
    /// The database.
    pub db: Db,
}

/// Opens the index directories of one kind that the manifest lists. `None` if one of them cannot be opened, which is told.
pub fn open(ctx: &Context<'_>, segment: SegmentRef<'_>, kind: BlockType) -> Option<Vec<Index>> {
    let blocks = segment.meta.persisted_blocks.iter().filter(|block| block.block_type == kind as i32);
    let mut indexes = Vec::new();
    for path in blocks.filter_map(|block| segment.block_path(block)) {
        match Db::open(&DatabaseDir { view: ctx.view, path: &path }) {
            Ok(db) => {
                for fault in db.faults() {
                    let finding = fault_finding(&path, fault).segment(segment.id());
                    ctx.findings.add(finding);
                }
                indexes.push(Index { path, db });
            }
            Err(error) => {
                // Level 1 says the same of it.
                ctx.findings.add(from_format(&path, &error).segment(segment.id()));
                return None;
            }
        }
    }
    Some(indexes)
}

/// Finds a family in the directories.
pub fn family<'i>(indexes: &'i [Index], name: &str) -> Option<(&'i Path, &'i Family)> {
    indexes.iter().find_map(|index| Some((index.path.as_path(), index.db.column_family(name.as_bytes())?)))
}

/// Checks the index of a segment.
pub fn check(ctx: &Context<'_>, layout: &Layout<'_>, found: &Found, shared: &Shared) {
    let Some(indexes) = layout.exists.then(|| open(ctx, layout.segment, BlockType::ScalarIndex)).flatten() else {
        return;
    };
    let fields = shared.fields.scalars.iter().zip(0..);
    let columns: Vec<(usize, IndexedColumn)> =
        fields.filter_map(|(field, at)| Some((at, indexed(of_schema(ctx, &field.name)?)?))).collect();
    let Some(place) = indexes.first().map(|index| index.path.as_path()) else {
        if !columns.is_empty() {
            let names: Vec<&str> = columns.iter().map(|(_, column)| column.name.as_str()).collect();
            let detail = format!("the segment has no index block, and {} are indexed", names.join(", "));
            ctx.findings.add(Finding::error("inverted.missing-family", detail).segment(layout.segment.id()));
        }
        return;
    };
    strangers(ctx, layout, &indexes, &columns);
    for (at, column) in &columns {
        if ctx.stopped() {
            return;
        }
        let missing: Vec<String> = Name::Default
            .and(column.families().chain([Name::Histograms]))
            .filter(|name| family(&indexes, &name.to_string()).is_none())
            .map(|name| name.to_string())
            .collect();
        if !missing.is_empty() {
            let detail = format!(
                "the index lacks the column families {}, which field {} needs; zvec 0.8.0 cannot open the collection",
                missing.join(", "),
                column.name
            );
            let finding = Finding::error("inverted.missing-family", detail).at(place).segment(layout.segment.id());
            ctx.findings.add(finding);
        }
        let check = ColumnCheck {
            ctx,
            layout,
            shared,
            column,
            at: *at,
            expected: found.indexed.get(*at).and_then(Option::as_ref),
            unreadable: found.unreadable.get(*at),
            indexes: &indexes,
        };
        check.run();
    }
}

/// A chain that begins with one family.
trait And: Sized {
    fn and(self, rest: impl Iterator<Item = Self>) -> impl Iterator<Item = Self>;
}

impl And for Name<'_> {
    fn and(self, rest: impl Iterator<Item = Self>) -> impl Iterator<Item = Self> {
        std::iter::once(self).chain(rest)
    }
}

/// Families of columns that are not indexed, and such that no index has.
fn strangers(ctx: &Context<'_>, layout: &Layout<'_>, indexes: &[Index], columns: &[(usize, IndexedColumn)]) {
    for index in indexes {
        let names: Vec<String> = index.db.column_families().iter().map(Family::name).collect();
        let strange = |name: &&String| match Name::parse(name) {
            Name::Unknown(_) => true,
            name => name.column().is_some_and(|of| columns.iter().all(|(_, column)| column.name != of)),
        };
        let strange: Vec<&str> = names.iter().filter(strange).map(String::as_str).collect();
        if !strange.is_empty() {
            let detail = format!("column families of no indexed field: {}", strange.join(", "));
            let finding = Finding::info("inverted.stranger-family", detail).at(&index.path);
            ctx.findings.add(finding.segment(layout.segment.id()));
        }
    }
}

/// Everything about one column.
struct ColumnCheck<'c, 'a> {
    ctx: &'c Context<'a>,
    layout: &'c Layout<'c>,
    shared: &'c Shared,
    column: &'c IndexedColumn,
    at: usize,
    expected: Option<&'c Expected>,
    unreadable: Option<&'c RoaringBitmap>,
    indexes: &'c [Index],
}

/// What the entries of one posting family hold.
struct Scanned {
    sums: Sums,
    covered: RoaringBitmap,
    pairs: u64,
    /// Whether all of it could be read.
    complete: bool,
}

impl ColumnCheck<'_, '_> {
    fn finding(&self, path: &Path, code: &str, detail: String) -> Finding {
        Finding::error(code, detail).at(path).segment(self.layout.segment.id())
    }

    fn add(&self, path: &Path, code: &str, detail: String) {
        self.ctx.findings.add(self.finding(path, code, detail));
    }

    /// Rows up to here may be in the index: more than the segment has while a log is there that holds them.
    fn ahead(&self) -> bool {
        self.layout.segment.writing && self.shared.has_log
    }

    fn run(&self) {
        let name = self.column.name.as_str();
        let ColumnType { scalar, array } = self.column.column_type;
        let Some((path, terms)) = family(self.indexes, &Name::Terms(name).to_string()) else { return };
        let histogram = self.histogram(path);
        let mut histogram = histogram.map(HistogramCheck::new);
        let mut ranges = RangeCheck::default();
        if let Some((_, family)) = family(self.indexes, &Name::Ranges(name).to_string()) {
            self.postings(path, family, |key, rows| match RangeKey::decode(key) {
                Ok(range) => ranges.add(range.begin, range.end, rows.clone()),
                Err(error) => self.ctx.findings.add(from_format(path, &error).segment(self.layout.segment.id())),
            });
        }
        ranges.sort();
        let contents = self.ctx.wants(Level::Contents);
        let scanned = self.scan(path, terms, Kind::Terms, |key, rows| {
            if let Err(error) = term::decode(key, scalar) {
                let detail = format!("field {name}: {}", error.detail);
                self.ctx.findings.add_row(self.finding(path, error.code, detail).loses(Loss::None, Some(1)));
            }
            if let Some(histogram) = &mut histogram {
                histogram.term(key, rows.len());
            }
            ranges.term(key, rows);
        });
        let nulls = self.specials(path);
        if let Some(histogram) = histogram
            && scanned.complete
        {
            for detail in histogram.finish() {
                self.add(
                    path,
                    "inverted.histogram",
                    format!("histogram of field {name}: {detail}; it only guides zvec's planner"),
                );
            }
        }
        if scanned.complete {
            for detail in ranges.finish() {
                self.add(path, "inverted.range", format!("field {name}: {detail}"));
            }
        }
        let lengths =
            family(self.indexes, &Name::ArrayLength(name).to_string()).filter(|_| array).map(|(_, lengths)| {
                let scanned = self.scan(path, lengths, Kind::Lengths, |key, _| {
                    if let Err(error) = term::decode_length(key) {
                        self.ctx.findings.add(from_format(path, &error).segment(self.layout.segment.id()));
                    }
                });
                (lengths, scanned)
            });
        let reversed = family(self.indexes, &Name::ReversedTerms(name).to_string())
            .map(|(_, family)| (family, self.scan(path, family, Kind::Reversed, |_, _| {})));
        match self.expected.filter(|_| contents) {
            Some(expected) => {
                self.compare(path, terms, &scanned, &expected.terms, Kind::Terms);
                if let Some((family, scanned)) = &lengths {
                    self.compare(path, family, scanned, &expected.lengths, Kind::Lengths);
                }
                // Up to 0.6.0 the option is in no manifest: the next open forgets it, zvec gives the family no more rows, and no release
                // asks it.
                if let Some((family, scanned)) = reversed.as_ref().filter(|_| self.column.extended_wildcard) {
                    self.compare(path, family, scanned, &expected.terms, Kind::Reversed);
                }
                if let Some(nulls) = nulls {
                    self.compare_nulls(path, &nulls, &expected.nulls);
                }
            }
            None => self.covers(path, lengths.as_ref().map_or(&scanned, |(_, scanned)| scanned), nulls.as_ref()),
        }
    }

    /// Every row is in the index exactly once: under its value (arrays: under its length) or as null.
    fn covers(&self, path: &Path, scanned: &Scanned, nulls: Option<&RoaringBitmap>) {
        let (Some(nulls), true) = (nulls, scanned.complete) else { return };
        let name = &self.column.name;
        if scanned.pairs != scanned.covered.len() || !scanned.covered.is_disjoint(nulls) {
            let detail = format!("field {name}: rows stand in the index under more than one value");
            self.add(path, "inverted.extra-entry", detail);
        }
        let all = self.layout.rows;
        let held = (&scanned.covered | nulls).len();
        if held != all {
            let detail = format!("field {name}: {held} of {all} rows are in the index; queries miss the others");
            self.add(path, "inverted.missing-entry", detail);
        }
    }

    /// Every key of a posting family with its rows; whether all of it could be read.
    fn postings(&self, path: &Path, family: &Family, mut each: impl FnMut(&[u8], &RoaringBitmap)) -> bool {
        postings(self.ctx, self.layout, path, family, &union_of, &mut each)
    }

    fn scan(&self, path: &Path, family: &Family, kind: Kind, mut each: impl FnMut(&[u8], &RoaringBitmap)) -> Scanned {
        let mut scanned = Scanned { sums: row_sums(), covered: RoaringBitmap::new(), pairs: 0, complete: false };
        let (all, ahead) = (self.layout.rows, self.ahead());
        let (mut beyond, mut first_beyond) = (0u64, None);
        let hashed = self.expected.is_some();
        scanned.complete = self.postings(path, family, |key, rows| {
            let mut kept = rows.clone();
            if rows.max().is_some_and(|max| u64::from(max) >= all) {
                let end = u32::try_from(all).unwrap_or(u32::MAX);
                let above = rows.range_cardinality(end..);
                first_beyond = first_beyond.or_else(|| rows.range(end..).next());
                beyond = beyond.saturating_add(above);
                kept.remove_range(end..);
            }
            each(key, rows);
            if hashed {
                let hash = hash(&kind.term(key));
                for row in kept.iter().filter(|row| self.unreadable.is_none_or(|lost| !lost.contains(*row))) {
                    scanned.sums.add(bucket(u64::from(row), all), with(hash, u64::from(row)));
                }
            }
            scanned.pairs = scanned.pairs.saturating_add(kept.len());
            scanned.covered |= kept;
        });
        if let Some(first) = first_beyond {
            beyond_end(self.ctx, self.layout, path, &self.column.name, ahead, beyond, first);
        }
        scanned
    }

    fn histogram(&self, path: &Path) -> Option<Histogram> {
        let (_, family) = family(self.indexes, "$CDF")?;
        let Lookup::Found(Entry::Value(value)) = family.get(self.column.name.as_bytes()) else { return None };
        match Histogram::decode(&value, 0) {
            Ok(histogram) => Some(histogram),
            Err(error) => {
                let detail = format!("histogram of field {}: {}", self.column.name, error.detail);
                self.add(path, error.code, detail);
                None
            }
        }
    }

    /// Largest row, null rows, seal. The null rows, if they can be read.
    fn specials(&self, path: &Path) -> Option<RoaringBitmap> {
        let name = self.column.name.as_str();
        let (_, family) = family(self.indexes, "default")?;
        let get = |special| family.get(&SpecialKey { column: name.as_bytes(), special }.encode());
        let all = self.layout.rows;
        match get(Special::MaxId) {
            Lookup::Found(Entry::Value(value)) => match decode_max_id(&value) {
                Ok(max) if u64::from(max) + 1 == all || (self.ahead() && u64::from(max) >= all) => {}
                // Of an index without rows zvec writes 0 when it closes the collection.
                Ok(0) if all == 0 => {}
                Ok(max) => {
                    let detail =
                        format!("field {name}: the largest row is said to be {max}, the segment has {all} rows");
                    self.add(path, "inverted.max-row", detail);
                }
                Err(error) => self.add(path, error.code, format!("field {name}: {}", error.detail)),
            },
            Lookup::Absent if all > 0 => {
                let detail = format!("field {name}: the index does not say which row is the largest of {all}");
                self.add(path, "inverted.max-row", detail);
            }
            _ => {}
        }
        match get(Special::Sealed) {
            Lookup::Found(Entry::Value(value)) if value != SEALED => {
                let detail = format!("field {name}: the seal reads {:?}", String::from_utf8_lossy(&value));
                self.add(path, "inverted.seal", detail);
            }
            Lookup::Found(_) if self.layout.segment.writing => {
                let detail = format!(
                    "field {name}: the index of the writing segment is sealed, as a crash at a rollover leaves it; zvec 0.8.0 opens \
                     the collection and refuses to insert"
                );
                self.add(path, "inverted.sealed-writing", detail);
            }
            _ => {}
        }
        let value = match get(Special::Null) {
            Lookup::Found(Entry::Value(value)) => value,
            Lookup::Absent => return Some(RoaringBitmap::new()),
            Lookup::Found(Entry::Merge { .. }) | Lookup::Unknown { .. } => return None,
        };
        match set::decode(&value, 0) {
            Ok(decoded) => {
                for fault in decoded.faults.iter().chain(set::trailing(&value, decoded.length, 0).iter()) {
                    self.add(path, fault.code, format!("null rows of field {name}: {}", fault.detail));
                }
                let mut nulls = decoded.bitmap;
                let end = u32::try_from(all).unwrap_or(u32::MAX);
                if let Some(first) = nulls.range(end..).next() {
                    let beyond = nulls.range_cardinality(end..);
                    beyond_end(self.ctx, self.layout, path, name, self.ahead(), beyond, first);
                    nulls.remove_range(end..);
                }
                Some(nulls)
            }
            Err(error) => {
                self.add(path, error.code, format!("null rows of field {name}: {}", error.detail));
                None
            }
        }
    }

    fn compare(&self, path: &Path, family: &Family, scanned: &Scanned, expected: &Sums, kind: Kind) {
        let differing = expected.differing(&scanned.sums);
        if differing.is_empty() {
            return;
        }
        let question = Question {
            ctx: self.ctx,
            layout: self.layout,
            column: self.column,
            at: self.at,
            path,
            kind,
            complete: scanned.complete,
            unreadable: self.unreadable,
        };
        differences::name(&question, &differing, &mut |each| {
            postings(self.ctx, self.layout, path, family, &union_of, each);
        });
    }

    fn compare_nulls(&self, path: &Path, held: &RoaringBitmap, expected: &RoaringBitmap) {
        let mut held = held.clone();
        if let Some(lost) = self.unreadable {
            held -= lost;
        }
        let name = &self.column.name;
        for (rows, what) in [
            (&held - expected, "has a value, the index says null"),
            (expected - &held, "is null, the index does not say so"),
        ] {
            if let Some(first) = rows.min() {
                let detail = format!(
                    "field {name}: row {first} of the segment {what}; {} row(s) in all: the index or the stored value is damaged",
                    rows.len()
                );
                self.ctx
                    .findings
                    .add(self.finding(path, "inverted.nulls", detail).loses(Loss::Possible, Some(rows.len())));
            }
        }
    }
}

/// The rows of a key of the inverted index.
pub fn union_of(operands: &mut dyn Iterator<Item = &[u8]>) -> (RoaringBitmap, Vec<crate::format::FormatError>) {
    union(operands)
}

/// Merges operands into rows, with what is wrong with them.
pub type Merge<'m> = dyn Fn(&mut dyn Iterator<Item = &[u8]>) -> (RoaringBitmap, Vec<crate::format::FormatError>) + 'm;

/// Every key of a posting family with its rows; whether all of it could be read. What cannot is told.
pub fn postings(
    ctx: &Context<'_>,
    layout: &Layout<'_>,
    path: &Path,
    family: &Family,
    merge: &Merge<'_>,
    each: &mut dyn FnMut(&[u8], &RoaringBitmap),
) -> bool {
    let mut complete = true;
    for row in family.scan() {
        if ctx.stopped() {
            return false;
        }
        match row {
            Ok(row) => {
                complete &= row.certain;
                let (rows, faults) = merge(&mut operands(&row.entry));
                for fault in faults {
                    complete = false;
                    let detail = format!("family {}, key {}: {}", family.name(), show(&row.key), fault.detail);
                    ctx.findings.add(Finding::error(fault.code, detail).at(path).segment(layout.segment.id()));
                }
                each(&row.key, &rows);
            }
            Err(fault) => {
                complete = false;
                let finding = fault_finding(path, &fault).segment(layout.segment.id());
                ctx.findings.add(finding);
            }
        }
    }
    complete
}

/// The operands of an entry, oldest first.
pub fn operands(entry: &Entry) -> impl Iterator<Item = &[u8]> {
    let (base, operands) = match entry {
        Entry::Value(value) => (Some(value), [].as_slice()),
        Entry::Merge { base, operands } => (base.as_ref(), operands.as_slice()),
    };
    base.into_iter().chain(operands).map(Vec::as_slice)
}

/// Rows in an index that the segment does not have.
pub fn beyond_end(
    ctx: &Context<'_>,
    layout: &Layout<'_>,
    path: &Path,
    field: &str,
    ahead: bool,
    count: u64,
    first: u32,
) {
    let all = layout.rows;
    let segment = layout.segment.id();
    if ahead {
        let detail = "the index has rows of documents that are still in the WAL: written before a crash, and again by the replay";
        ctx.findings.add(Finding::info("segment.index-ahead", detail).at(path).segment(segment));
        return;
    }
    let detail = format!(
        "field {field}: {count} {} for row {first} and above, the segment has {}; a query of zvec that meets such a row fails (\"fetch table failed\"), others \
         may return wrong documents",
        if count == 1 { "entry" } else { "entries" },
        many(all, "row")
    );
    ctx.findings.add(Finding::error("segment.index-beyond-end", detail).at(path).segment(segment));
}

/// Bytes for people: text as it is, with what cannot be shown escaped, cut at 40.
pub fn show(bytes: &[u8]) -> String {
    let cut = bytes.get(..40).unwrap_or(bytes);
    let more = if cut.len() < bytes.len() { "…" } else { "" };
    match std::str::from_utf8(cut) {
        Ok(text) => format!("{text:?}{more}"),
        Err(_) => format!("\"{}\"{more}", cut.escape_ascii()),
    }
}
