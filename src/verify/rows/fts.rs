//! The full-text index of a segment: in itself, and against the texts.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{ControlFlow, Range},
    path::Path,
};

use roaring::RoaringBitmap;

use crate::{
    format::{
        fts::{
            Family as Name, Posting, RowKey, StatKey, decode, decode_count, decode_positions, decode_row, decode_stat,
            merge_max,
        },
        manifest::proto::BlockType,
        rocks::{Entry, Family, Lookup},
    },
    inspect::{findings::from_format, idmap::fault_finding},
    report::{Finding, Firsts, Loss},
};

use super::{
    super::Context,
    forward::{EXAMPLES, Found, narrow, of_schema},
    fts_compare::{Texts, params},
    layout::{Layout, Slot},
    scalar_index::{Index, beyond_end, bucket, family, open, operands, row_sums, rows_of_bucket, show},
    shared::Shared,
    sums::{Sums, hash, with},
};

/// Segments with more rows wait for each other, because every row takes four bytes.
const LARGE: u64 = 1 << 18;

/// Checks the full-text index of a segment.
pub fn check(ctx: &Context<'_>, layout: &Layout<'_>, found: &Found, shared: &Shared) {
    let fields = shared.fields.scalars.iter().zip(0..);
    let columns: Vec<(usize, &str)> = fields
        .filter(|(field, _)| of_schema(ctx, &field.name).is_some_and(|field| params(field).is_some()))
        .map(|(field, at)| (at, field.name.as_str()))
        .collect();
    if columns.is_empty() || !layout.exists {
        return;
    }
    let Some(indexes) = open(ctx, layout.segment, BlockType::FtsIndex) else { return };
    for (at, name) in columns {
        if ctx.stopped() {
            return;
        }
        let needed = [Name::Postings(name), Name::Positions(name), Name::Statistics];
        let missing: Vec<String> =
            needed.iter().map(Name::to_string).filter(|name| family(&indexes, name).is_none()).collect();
        let Some((path, postings)) = family(&indexes, name).filter(|_| missing.is_empty()) else {
            let detail = format!("the full-text index lacks the column families {}", missing.join(", "));
            let finding = Finding::error("fts.missing-family", detail).segment(layout.segment.id());
            let place = indexes.first().map(|index| index.path.as_path());
            ctx.findings.add(place.map_or(finding.clone(), |path| finding.at(path)));
            continue;
        };
        let texts = found.texts.get(at).and_then(Option::as_ref);
        let unreadable = found.unreadable.get(at);
        let large = (layout.rows > LARGE).then(|| shared.large());
        Column { ctx, layout, shared, name, at, path, postings, indexes: &indexes, texts, unreadable }.run();
        drop(large);
    }
}

struct Column<'c, 'a> {
    ctx: &'c Context<'a>,
    layout: &'c Layout<'c>,
    shared: &'c Shared,
    name: &'c str,
    at: usize,
    path: &'c Path,
    postings: &'c Family,
    indexes: &'c [Index],
    texts: Option<&'c Texts>,
    unreadable: Option<&'c RoaringBitmap>,
}

/// What the families say, as sums, and whether all could be read.
struct Sides {
    /// (term, row) of the postings and of the positions.
    postings: Sums,
    positions: Sums,
    /// (term, row, occurrences) as counted from the positions, and as stored.
    counted: Sums,
    stored: Sums,
    /// (term, row, position).
    places: Sums,
    /// Tokens of each row.
    tokens: Vec<u32>,
    complete: bool,
    /// Whether the postings are packed. Of an index without postings the families tell: those of an open one are gone.
    sealed: bool,
    /// Whether the index has rows of documents that are still in the log.
    ahead: bool,
}

impl Column<'_, '_> {
    fn add(&self, code: &str, detail: String) {
        let detail = format!("field {}: {detail}", self.name);
        self.ctx.findings.add(Finding::error(code, detail).at(self.path).segment(self.layout.segment.id()));
    }

    fn add_row(&self, code: &str, detail: String) {
        let detail = format!("field {}: {detail}", self.name);
        self.ctx.findings.add_row(Finding::error(code, detail).at(self.path).segment(self.layout.segment.id()));
    }

    /// Every visible entry; what cannot be read is told.
    fn entries(&self, family: &Family, complete: &mut bool, mut each: impl FnMut(&[u8], &Entry)) {
        for row in family.scan() {
            if self.ctx.stopped() {
                *complete = false;
                return;
            }
            match row {
                Ok(row) => {
                    *complete &= row.certain;
                    each(&row.key, &row.entry);
                }
                Err(fault) => {
                    *complete = false;
                    let finding = fault_finding(self.path, &fault).segment(self.layout.segment.id());
                    self.ctx.findings.add(finding);
                }
            }
        }
    }

    fn sums(&self) -> Sides {
        let rows = usize::try_from(self.layout.rows).unwrap_or(0);
        Sides {
            postings: row_sums(),
            positions: row_sums(),
            counted: row_sums(),
            stored: row_sums(),
            places: row_sums(),
            tokens: vec![0; rows],
            complete: true,
            sealed: self.is_closed(),
            ahead: false,
        }
    }

    /// Whether the families that only an open index has are gone.
    fn is_closed(&self) -> bool {
        let open = [Name::TermFrequency(self.name), Name::MaxTermFrequency(self.name), Name::DocumentLength(self.name)];
        open.iter().all(|name| family(self.indexes, &name.to_string()).is_none())
    }

    fn run(&self) {
        let mut sides = self.sums();
        self.read_positions(&mut sides);
        self.read_postings(&mut sides);
        let frequencies = family(self.indexes, &Name::TermFrequency(self.name).to_string());
        if let Some((_, frequencies)) = frequencies.filter(|_| !sides.sealed) {
            self.read_frequencies(frequencies, &mut sides);
        }
        let lengths = family(self.indexes, &Name::DocumentLength(self.name).to_string());
        let present = lengths.filter(|_| !sides.sealed).map(|(_, lengths)| self.read_lengths(lengths, &mut sides));
        if !sides.complete {
            return;
        }
        if sides.sealed && self.layout.segment.writing {
            let detail = "the index of the writing segment is sealed: zvec 0.8.0 cannot add to it";
            self.add("fts.sealed-writing", detail.to_owned());
        }
        if !sides.sealed && !self.layout.segment.writing && sides.tokens.iter().any(|tokens| *tokens > 0) {
            let detail = "the index of a segment that is not written any more is open: zvec 0.8.0 searches it, and its optimize fails";
            self.add("fts.open-persisted", detail.to_owned());
        }
        self.compare_inside(&sides);
        self.totals(&sides, present.as_ref());
        self.compare_texts(&sides, present.as_ref());
    }

    fn in_range(&self, row: u32, sides: &mut Sides) -> bool {
        if u64::from(row) < self.layout.rows {
            return true;
        }
        let may = self.layout.segment.writing && self.shared.has_log;
        sides.ahead |= may;
        if may || sides.complete {
            beyond_end(self.ctx, self.layout, self.path, self.name, may, 1, row);
        }
        sides.complete &= may;
        false
    }

    fn read_positions(&self, sides: &mut Sides) {
        let Some((_, positions)) = family(self.indexes, &Name::Positions(self.name).to_string()) else { return };
        let mut complete = true;
        self.entries(positions, &mut complete, |key, entry| {
            let value: Vec<u8> = operands(entry).last().unwrap_or_default().to_vec();
            let read = RowKey::decode(key).and_then(|key| Ok((key, decode_positions(&value, 0)?)));
            match read {
                Ok((RowKey { term, row }, list)) => {
                    if !self.in_range(row, sides) {
                        return;
                    }
                    if list.is_empty() || !list.is_sorted_by(|a, b| a < b) {
                        let detail = format!("positions of term {} in row {row} do not ascend: {list:?}", show(term));
                        self.add_row("fts.positions", detail);
                    }
                    let at = bucket(row.into(), self.layout.rows);
                    let pair = with(hash(term), row.into());
                    sides.positions.add(at, pair);
                    sides.counted.add(at, with(pair, list.len() as u64));
                    for position in &list {
                        sides.places.add(at, with(pair, u64::from(*position)));
                    }
                    if let Some(tokens) = sides.tokens.get_mut(row as usize) {
                        *tokens = tokens.saturating_add(u32::try_from(list.len()).unwrap_or(u32::MAX));
                    }
                }
                Err(error) => self.add_row(error.code, error.detail),
            }
        });
        sides.complete &= complete;
    }

    fn read_postings(&self, sides: &mut Sides) {
        let mut complete = true;
        self.entries(self.postings, &mut complete, |term, entry| {
            let fingerprint = hash(term);
            let mut rows = RoaringBitmap::new();
            for operand in operands(entry) {
                let posting = match decode(operand, 0) {
                    Ok(posting) => posting,
                    Err(error) => {
                        self.add_row(error.code, format!("posting of term {}: {}", show(term), error.detail));
                        continue;
                    }
                };
                if let Some(fault) = posting.faults().first() {
                    self.add_row(fault.code, format!("posting of term {}: {}", show(term), fault.detail));
                }
                if let Posting::Sealed(packed) = &posting {
                    sides.sealed = true;
                    let each = packed.rows.iter().zip(&packed.term_frequencies).zip(&packed.document_lengths);
                    for ((row, occurrences), length) in each {
                        let Some(tokens) = sides.tokens.get(*row as usize).copied() else { continue };
                        let pair = with(fingerprint, (*row).into());
                        sides.stored.add(bucket((*row).into(), self.layout.rows), with(pair, (*occurrences).into()));
                        if *length != tokens {
                            self.length_differs(*row, *length, tokens);
                        }
                    }
                }
                rows |= posting.rows();
            }
            for row in rows {
                if self.in_range(row, sides) {
                    sides.postings.add(bucket(row.into(), self.layout.rows), with(fingerprint, row.into()));
                }
            }
        });
        sides.complete &= complete;
    }

    fn length_differs(&self, row: u32, stored: u32, counted: u32) {
        let detail = format!(
            "the length of row {row} is said to be {stored} tokens, it has {counted} positions: scores are wrong"
        );
        self.add_row("fts.document-length", detail);
    }

    /// `$TF` against the positions, and `$MAX_TF` against `$TF`.
    fn read_frequencies(&self, family_of: &Family, sides: &mut Sides) {
        let mut complete = true;
        let mut largest = Sums::new(1);
        // Keys of a term and of others that continue it with a zero byte mingle: a term is complete behind its last possible key.
        let mut open: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        let mut close = |term: &[u8], count: u32| largest.add(0, with(hash(term), count.into()));
        self.entries(family_of, &mut complete, |key, entry| {
            let value: Vec<u8> = operands(entry).last().unwrap_or_default().to_vec();
            match RowKey::decode(key).and_then(|key| Ok((key, decode_count(&value, 0)?))) {
                Ok((RowKey { term, row }, count)) => {
                    if let Some(most) = open.get_mut(term) {
                        *most = count.max(*most);
                    } else {
                        open.retain(|term, count| {
                            let stays = RowKey { term, row: u32::MAX }.encode().as_slice() >= key;
                            if !stays {
                                close(term, *count);
                            }
                            stays
                        });
                        open.insert(term.to_vec(), count);
                    }
                    if self.in_range(row, sides) {
                        let pair = with(hash(term), row.into());
                        sides.stored.add(bucket(row.into(), self.layout.rows), with(pair, count.into()));
                    }
                }
                Err(error) => self.add_row(error.code, error.detail),
            }
        });
        for (term, count) in &open {
            close(term, *count);
        }
        if let Some((_, of_terms)) = family(self.indexes, &Name::MaxTermFrequency(self.name).to_string()) {
            let mut held = Sums::new(1);
            self.entries(of_terms, &mut complete, |term, entry| match merge_max(operands(entry)) {
                Ok(count) => held.add(0, with(hash(term), u32::from_le_bytes(count).into())),
                Err(error) => self.add_row(error.code, error.detail),
            });
            if complete && held != largest {
                let detail =
                    "the largest numbers of occurrences are not those of the terms: scores are bounded wrongly";
                self.add("fts.frequencies", detail.to_owned());
            }
        }
        sides.complete &= complete;
    }

    /// `$DOC_LEN` against the positions; the rows that it has.
    fn read_lengths(&self, lengths: &Family, sides: &mut Sides) -> RoaringBitmap {
        let mut present = RoaringBitmap::new();
        let mut complete = true;
        self.entries(lengths, &mut complete, |key, entry| {
            let value: Vec<u8> = operands(entry).last().unwrap_or_default().to_vec();
            match decode_row(key).and_then(|row| Ok((row, decode_count(&value, 0)?))) {
                Ok((row, length)) => {
                    if self.in_range(row, sides) {
                        present.insert(row);
                        let counted = sides.tokens.get(row as usize).copied().unwrap_or_default();
                        if counted != length {
                            self.length_differs(row, length, counted);
                        }
                    }
                }
                Err(error) => self.add_row(error.code, error.detail),
            }
        });
        let lacking = (0u32..).zip(&sides.tokens).filter(|(row, tokens)| **tokens > 0 && !present.contains(*row));
        for (row, tokens) in lacking {
            self.length_differs(row, 0, *tokens);
        }
        sides.complete &= complete;
        present
    }

    /// The families against each other.
    fn compare_inside(&self, sides: &Sides) {
        if sides.postings != sides.positions {
            let (postings, positions) = (sides.postings.entries(), sides.positions.entries());
            let parts = sides.postings.differing(&sides.positions);
            let rows = parts.first().map(|part| rows_of_bucket(*part, self.layout.rows)).unwrap_or_default();
            let detail = format!(
                "the postings have {postings} pairs of term and row, the positions {positions}, and they are not the same; the first \
                 difference is in rows {} to {}: phrases and terms do not find the same documents",
                rows.start,
                rows.end.saturating_sub(1)
            );
            self.add("fts.postings", detail);
        } else if sides.stored != sides.counted {
            let detail =
                "the stored numbers of occurrences are not those of the positions: scores are wrong".to_owned();
            self.add("fts.frequencies", detail);
        }
    }

    /// `$FTS_STAT`.
    fn totals(&self, sides: &Sides, present: Option<&RoaringBitmap>) {
        let Some((_, statistics)) = family(self.indexes, "$FTS_STAT").filter(|_| !sides.ahead) else { return };
        let get = |key: StatKey<'_>| match statistics.get(&key.encode()) {
            Lookup::Found(Entry::Value(value)) => match decode_stat(&value, 0) {
                Ok(total) => Some(total),
                Err(error) => {
                    self.ctx.findings.add(from_format(self.path, &error).segment(self.layout.segment.id()));
                    None
                }
            },
            Lookup::Absent => Some(0),
            _ => None,
        };
        let texts = present.or_else(|| {
            let lost = self.unreadable.is_some_and(|lost| !lost.is_empty());
            self.texts.filter(|_| !lost).map(|texts| &texts.present)
        });
        // A compaction counts rows without a text, too (0.8.0).
        let compacted = |total: u64| sides.sealed && total == self.layout.rows;
        if let (Some(total), Some(texts)) = (get(StatKey::TotalDocs(self.name.as_bytes())), texts)
            && total != texts.len()
            && !compacted(total)
        {
            self.add(
                "fts.totals",
                format!("{total} texts are said to be there, there are {}: scores are wrong", texts.len()),
            );
        }
        let counted: u64 = sides.tokens.iter().map(|count| u64::from(*count)).sum();
        if let Some(total) = get(StatKey::TotalTokens(self.name.as_bytes())).filter(|total| *total != counted) {
            self.add(
                "fts.totals",
                format!("{total} tokens are said to be there, there are {counted}: scores are wrong"),
            );
        }
    }

    /// The index against the texts.
    fn compare_texts(&self, sides: &Sides, present: Option<&RoaringBitmap>) {
        let Some(texts) = self.texts else { return };
        let no_rows = RoaringBitmap::new();
        let lost = self.unreadable.unwrap_or(&no_rows);
        let indexed: RoaringBitmap = match present {
            Some(present) => present.clone(),
            None => (0u32..).zip(&sides.tokens).filter(|(_, tokens)| **tokens > 0).map(|(row, _)| row).collect(),
        };
        let extra = &(&indexed - &texts.present) - lost;
        if let Some(first) = extra.min() {
            let detail =
                format!("row {first} of the segment has no text and is in the index; {} row(s) in all", extra.len());
            self.add("fts.other-text", detail);
        }
        let missing = &(&texts.present - &indexed) - lost;
        if let Some(first) = missing.min().filter(|_| present.is_some()) {
            let detail = format!(
                "row {first} of the segment has a text and is not in the index; {} row(s) in all",
                missing.len()
            );
            self.add("fts.other-text", detail);
        }
        // Sums over rows that cannot be read do not compare.
        if !lost.is_empty() {
            return;
        }
        // By tokenizer, the newest first. A part may have rows of each.
        let by_tokenizer = texts.tokens.iter().map(|tokens| -> BTreeSet<usize> {
            let (postings, places) =
                (tokens.postings.differing(&sides.postings), tokens.positions.differing(&sides.places));
            postings.into_iter().chain(places).collect()
        });
        let by_tokenizer: Vec<_> = by_tokenizer.collect();
        let Some(newest) = by_tokenizer.first() else { return };
        let unlike_all: Vec<usize> =
            newest.iter().copied().filter(|part| by_tokenizer.iter().all(|parts| parts.contains(part))).collect();
        // Where the positions are those of the texts, so are the terms: the postings alone are wrong, which has been told.
        let other_terms = texts.tokens.first().is_some_and(|tokens| tokens.positions != sides.places);
        if !unlike_all.iter().any(|part| self.name_texts(texts, *part, unlike_all.len())) && other_terms {
            let detail = format!(
                "field {}: texts in {} part(s) of the segment were made terms of by zvec 0.5, which knew ASCII alone: later releases search \
                 for others",
                self.name,
                newest.len()
            );
            let finding = Finding::info("fts.old-terms", detail).at(self.path).segment(self.layout.segment.id());
            self.ctx.findings.add(finding);
        }
    }

    /// Names the rows of a part that differ from all that a release would have made of them; whether there is one.
    fn name_texts(&self, texts: &Texts, part: usize, parts: usize) -> bool {
        let range = rows_of_bucket(part, self.layout.rows);
        let mut held: BTreeMap<u64, BTreeMap<Vec<u8>, Vec<u32>>> = BTreeMap::new();
        let mut complete = true;
        if let Some((_, positions)) = family(self.indexes, &Name::Positions(self.name).to_string()) {
            self.entries(positions, &mut complete, |key, entry| {
                let value = operands(entry).last().unwrap_or_default();
                if let (Ok(RowKey { term, row }), Ok(list)) = (RowKey::decode(key), decode_positions(value, 0))
                    && range.contains(&u64::from(row))
                {
                    held.entry(row.into()).or_default().insert(term.to_vec(), list);
                }
            });
        }
        let touches = |rows: Range<u64>| range.start < rows.end && rows.start < range.end;
        let (mut examples, mut file) = (Firsts::<EXAMPLES>::default(), None);
        self.layout.read(self.ctx, &|slot| slot == Slot::Field(self.at), &touches, &mut |piece| {
            piece.each(self.ctx, |row, value| {
                if !range.contains(&row) {
                    return;
                }
                let held = held.remove(&row).unwrap_or_default();
                let stored = texts.terms(value);
                if stored.contains(&held) {
                    return;
                }
                let stored = stored.into_iter().next().unwrap_or_default();
                file.get_or_insert_with(|| piece.file.path.clone());
                examples.add(|| {
                    let only = |a: &BTreeMap<Vec<u8>, Vec<u32>>, b: &BTreeMap<Vec<u8>, Vec<u32>>| {
                        let terms = a.iter().filter(|(term, list)| b.get(*term) != Some(list));
                        terms
                            .take(3)
                            .map(|(term, list)| format!("{} at {list:?}", show(term)))
                            .collect::<Vec<_>>()
                            .join(", ")
                    };
                    let (text, index) = (only(&stored, &held), only(&held, &stored));
                    format!("row {row}: only the text has [{text}], only the index [{index}]")
                });
            });
            ControlFlow::Continue(())
        });
        if examples.count == 0 && texts.tokens.len() > 1 {
            return false;
        }
        let rows = narrow(&range);
        let detail = format!(
            "field {}: {} text(s) of rows {} to {} are not what the index holds ({parts} parts of the segment differ): {}; the index stands \
             under checksums and the forward block under none, so that the text is probably damaged",
            self.name,
            examples.count,
            rows.start,
            rows.end.saturating_sub(1),
            examples
        );
        let place = file.as_deref().unwrap_or(self.path);
        let finding = Finding::error("fts.other-text", detail).at(place).segment(self.layout.segment.id());
        self.ctx.findings.add(finding.loses(Loss::Possible, Some(examples.count)));
        true
    }
}
