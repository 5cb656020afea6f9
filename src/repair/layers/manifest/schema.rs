//! The schema, from the files of all segments and from what copies of a manifest or a schema file say besides.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Schema;
use crate::format::{
    forward::{Column, ColumnType, ScalarType as Stored},
    manifest::proto::{
        CollectionSchema, FieldSchema, FtsIndexParams, IndexParams, InvertIndexParams, index_params::Params,
    },
    proxima::IndexKind,
    schema_file::{ScalarType, SchemaFile, VectorField},
};
use crate::inspect::{
    View,
    evidence::{
        Forward, Found, Inverted, Vectors, has_null_rows, records, texts,
        vector::{self, Told},
    },
};

use super::{
    cover,
    rows::{self, Around},
};

/// Documents after which a segment is sealed, if nothing tells.
const MOST_DOCUMENTS: u64 = 10_000_000;

/// A schema that was written down somewhere.
#[derive(Debug, Clone)]
pub struct Hint {
    /// What it says.
    pub schema: CollectionSchema,
    /// Where it is from, in words.
    pub from: String,
    /// Whether it is whole: then a column that it lacks was dropped.
    pub whole: bool,
}

/// A schema that was put together.
pub struct Merged {
    /// The schema.
    pub schema: CollectionSchema,
    /// What no file tells and nothing else did.
    pub assumed: Vec<String>,
}

/// What the files say of the columns.
pub struct Evidence {
    scalars: Vec<(String, ColumnType, bool)>,
    inverted: BTreeMap<String, Inverted>,
    texts: BTreeSet<String>,
    /// Whether there is any index directory at all, so that a column without families has no index.
    indexes: bool,
    vectors: Vec<Told>,
    /// Columns that only a part of the rows has.
    partial: Vec<String>,
    rows: bool,
    /// How texts were cut, where their index tells, and by how many texts.
    settings: BTreeMap<String, (FtsIndexParams, usize)>,
    /// Columns that only records of a log tell of.
    recorded: BTreeSet<String>,
    /// Columns of which only a file of an added or altered column tells, which calls every column nullable.
    altered: BTreeSet<String>,
    /// Names that fields have in a log.
    logged: Vec<String>,
}

impl Evidence {
    /// Of these segments, with all that takes reading of contents: what logs say where no forward file does, how texts were cut, whether vectors are
    /// lacking.
    pub fn read(view: &View, segments: &[Found], around: &[Around]) -> Self {
        let mut evidence = Self::of(segments);
        for column in evidence.texts.clone() {
            evidence.settings.extend(texts::settings(view, segments, &column).map(|told| (column, told)));
        }
        if !evidence.rows {
            for (name, column_type) in segments.iter().flat_map(|found| records::columns(view, found)) {
                if evidence.recorded.insert(name.clone()) {
                    evidence.scalars.push((name, column_type, true));
                }
            }
        }
        let rows: Vec<_> =
            segments.iter().zip(around).map(|(found, around)| rows::settle(found, &|_| false, Some(around))).collect();
        for told in &mut evidence.vectors {
            let name = &told.field.name;
            told.field.nullable = segments.iter().zip(&rows).any(|(found, rows)| {
                let log = rows::log(found);
                let is_full =
                    |file: &&Vectors| file.column == *name && !file.quantised && log.is_none_or(|log| file.block < log);
                let files: Vec<&Vectors> = found.vectors.iter().filter(is_full).collect();
                cover::is_short(&files, &rows.list) || has_null_rows(view, found, name)
            });
        }
        evidence
    }

    /// Of these segments, by headers and names alone.
    pub fn of(segments: &[Found]) -> Self {
        let mut evidence = Self {
            scalars: Vec::new(),
            inverted: BTreeMap::new(),
            texts: BTreeSet::new(),
            indexes: false,
            vectors: Vec::new(),
            partial: Vec::new(),
            rows: false,
            settings: BTreeMap::new(),
            recorded: BTreeSet::new(),
            altered: BTreeSet::new(),
            logged: Vec::new(),
        };
        let mut with_rows: Vec<&Found> = segments.iter().filter(|found| !found.forwards.is_empty()).collect();
        // The newest rows tell the columns of today.
        with_rows.sort_by_key(|found| std::cmp::Reverse(found.ids().max()));
        evidence.rows = !with_rows.is_empty();
        let mut seen = BTreeSet::new();
        for (column, altered) in with_rows.iter().flat_map(|found| newest_first(found)) {
            if !seen.insert(column.name.clone()) {
                continue;
            }
            if altered && column.nullable {
                evidence.altered.insert(column.name.clone());
            }
            let everywhere = with_rows.iter().all(|found| {
                let opened = found.forwards.iter().any(Forward::is_row_block);
                !opened || found.forwards.iter().any(|file| file.has(&column.name))
            });
            if everywhere {
                evidence.scalars.push((column.name.clone(), column.column_type, column.nullable));
            } else {
                evidence.partial.push(column.name.clone());
            }
        }
        for found in segments {
            evidence.indexes |= !found.scalar_indexes.is_empty() || !found.fts_indexes.is_empty();
            for (column, of_column) in &found.inverted {
                let known = evidence.inverted.entry(column.clone()).or_default();
                known.ranges |= of_column.ranges;
                known.reversed |= of_column.reversed;
            }
            evidence.texts.extend(found.texts.iter().cloned());
        }
        let mut columns: BTreeMap<&str, (usize, Vec<&Vectors>)> = BTreeMap::new();
        for (place, file) in segments.iter().flat_map(|found| &found.vectors).enumerate() {
            // Block ids are given out in the order of the schema.
            columns.entry(&file.column).or_insert_with(|| (place, Vec::new())).1.push(file);
        }
        let mut columns: Vec<_> = columns.into_iter().collect();
        columns.sort_by_key(|(_, (place, _))| *place);
        evidence.vectors = columns.into_iter().filter_map(|(name, (_, files))| vector::tell(name, &files)).collect();
        evidence
    }

    /// The same with the names that fields have in logs, if a field of the schema is in no other file.
    pub fn with_logged(mut self, view: &View, segments: &[Found], schema: &CollectionSchema) -> Self {
        let known = |field: &FieldSchema| self.scalar(&field.name).is_some() || self.vector(&field.name).is_some();
        if !schema.fields.iter().all(known) {
            let columns = segments.iter().flat_map(|found| records::columns(view, found));
            self.logged = columns.map(|(name, _)| name).collect();
        }
        self
    }

    fn vector(&self, name: &str) -> Option<&Told> {
        self.vectors.iter().find(|told| told.field.name == name)
    }

    fn scalar(&self, name: &str) -> Option<&(String, ColumnType, bool)> {
        self.scalars.iter().find(|(known, ..)| known == name)
    }

    /// The name that a field has in the files: its own, or one that differs from it by a single bit and belongs to no other field.
    fn name_of<'a>(&'a self, name: &'a str, taken: &BTreeSet<&str>) -> Option<&'a str> {
        let names = || {
            let scalars = self.scalars.iter().map(|(name, ..)| name.as_str());
            let vectors = self.vectors.iter().map(|told| told.field.name.as_str());
            scalars.chain(vectors).chain(self.logged.iter().map(String::as_str))
        };
        names()
            .find(|known| *known == name)
            .or_else(|| names().find(|known| !taken.contains(known) && one_bit(known, name)))
    }

    /// What is wrong with a field of a manifest that is in force, put right. `None` if the files do not contradict it.
    fn corrected(&self, field: &FieldSchema) -> Option<FieldSchema> {
        let mut new = field.clone();
        if let Some((_, column_type, nullable)) = self.scalar(&field.name) {
            let stored = ScalarType::from(*column_type).to_proto() as i32;
            new.nullable |= nullable;
            if field.data_type != stored && (field.data_type ^ stored).count_ones() == 1 {
                new.data_type = stored;
            }
            if stored == new.data_type {
                new.dimension = 0;
                if !matches!(
                    new.index_params.as_ref().map(|index| &index.params),
                    None | Some(Some(Params::Invert(_) | Params::Fts(_)))
                ) {
                    new.index_params = self.scalar_index(&field.name, None, &mut Vec::new());
                }
            }
        } else if let Some(told) = self.vector(&field.name) {
            if self.allows(told, field) {
                return None;
            }
            new = self.merge_vector(told, Some(field));
        }
        (new != *field).then_some(new)
    }

    /// Whether what files tell of a column is no contradiction to a field. A file with an index of another kind may be that of another column.
    fn allows(&self, told: &Told, field: &FieldSchema) -> bool {
        let of_kind = || self.merge_vector(&Told { built: false, ..told.clone() }, Some(field)) == *field;
        self.merge_vector(told, Some(field)) == *field || (of_kind() && loads(field))
    }

    /// Whether the files are wrong and not the field that they contradict: at least as many bear it out, they stand in each other's place, or are copies of
    /// another column's. What a single file says, a damaged field has to be one bit away from.
    fn blames_files(
        &self,
        segments: &[Found],
        fields: &[FieldSchema],
        field: &FieldSchema,
        corrected: &FieldSchema,
    ) -> bool {
        let fits = |file: &Vectors, of: &FieldSchema| {
            vector::tell(&of.name, &[file]).is_some_and(|told| self.allows(&told, of))
        };
        let (mut for_it, mut against) = (0usize, 0usize);
        for found in segments {
            let of = |name: &str| -> Vec<&Vectors> {
                let is_full = |file: &&Vectors| file.column == name && !file.quantised && file.facts.is_some();
                found.vectors.iter().filter(is_full).collect()
            };
            for own in of(&field.name) {
                if fits(own, field) {
                    for_it += 1;
                    continue;
                }
                against += 1;
                let others = fields.iter().filter(|other| other.name != field.name && fits(own, other));
                let swapped = others
                    .into_iter()
                    .any(|other| of(&other.name).iter().any(|file| fits(file, field) && !fits(file, other)));
                if swapped || is_exchanged(found, own) {
                    return true;
                }
                let mut others = segments.iter().flat_map(|found| &found.vectors).filter(|other| is_copy(own, other));
                if others.any(|other| fields.iter().any(|field| field.name == other.column && fits(other, field))) {
                    return true;
                }
                let codes = found.vectors.iter().filter(|file| file.column == field.name && file.quantised);
                for_it += codes.filter(|file| file.facts.is_some() && fits(file, field)).count();
            }
        }
        let alone = against == 1 && loads(field) && !is_near(field, corrected);
        alone || (for_it > 0 && for_it >= against)
    }

    fn scalar_index(&self, name: &str, hint: Option<&FieldSchema>, assumed: &mut Vec<String>) -> Option<IndexParams> {
        let written = hint.and_then(|field| field.index_params.clone());
        if let (Some(IndexParams { params: Some(Params::Fts(_)) }), true) = (&written, self.texts.contains(name)) {
            return written;
        }
        if let Some((params, texts)) = self.settings.get(name) {
            let filters = params.filters.join(", ");
            assumed.push(format!(
                "field {name}: tokenizer {} with filters [{filters}], by which {texts} texts give the terms of its index",
                params.tokenizer_name
            ));
            return Some(IndexParams { params: Some(Params::Fts(params.clone())) });
        }
        if self.texts.contains(name) {
            assumed.push(format!("field {name}: the tokenizer standard with lowercase, which no file tells"));
            let params = FtsIndexParams {
                tokenizer_name: "standard".to_owned(),
                filters: vec!["lowercase".to_owned()],
                extra_params: String::new(),
            };
            return Some(IndexParams { params: Some(Params::Fts(params)) });
        }
        let Some(found) = self.inverted.get(name) else { return written.filter(|_| !self.indexes) };
        let mut params =
            InvertIndexParams { enable_range_optimization: found.ranges, enable_extended_wildcard: found.reversed };
        if let Some(IndexParams { params: Some(Params::Invert(written)) }) = &written {
            params.enable_range_optimization |= written.enable_range_optimization;
            params.enable_extended_wildcard |= written.enable_extended_wildcard;
        }
        Some(IndexParams { params: Some(Params::Invert(params)) })
    }

    fn merge_vector(&self, told: &Told, hint: Option<&FieldSchema>) -> FieldSchema {
        let mut field = told.field.clone();
        let Some(hint) = hint else { return proto_of(&field) };
        let single = CollectionSchema { fields: vec![hint.clone()], ..CollectionSchema::default() };
        let written: Option<VectorField> =
            SchemaFile::from_manifest(&single).ok().and_then(|mut file| file.vectors.pop());
        field.nullable |= hint.nullable;
        let Some(written) = written else { return proto_of(&field) };
        let (metric, quantize) = vector::base(&written.index);
        let (found_metric, found_quantize) = vector::base(&field.index);
        let kind = vector::kind_of(&written.index, field.data_type.is_sparse());
        let found_kind = vector::kind_of(&field.index, field.data_type.is_sparse());
        let rabitq = matches!(kind, Some(IndexKind::HnswRabitq | IndexKind::IvfRabitq));
        let fits = metric == found_metric
            && (!told.built || kind == found_kind)
            && (quantize == found_quantize || (!told.built && rabitq) || !told.quantised);
        // A cut manifest may end before them.
        let same = fits
            && hint.index_params.is_some()
            && written.data_type == field.data_type
            && (written.dimension == field.dimension || (field.dimension == 0 && !field.data_type.is_sparse()));
        if same {
            // As it was written, with what a release left out or spelled out.
            return FieldSchema { name: field.name, nullable: field.nullable, ..hint.clone() };
        }
        if fits {
            field.index = written.index;
        }
        proto_of(&field)
    }
}

/// Columns of a segment's forward files, those of the newest files first; and whether a block of an added or altered column is the newest one.
fn newest_first(found: &Found) -> impl Iterator<Item = (&Column, bool)> {
    let rows = found.forwards.iter().rev().filter(|file| file.is_row_block());
    let extras = found.forwards.iter().rev().filter(|file| !file.is_row_block());
    // In the order of the row block, with added columns behind.
    let altered: Vec<_> = extras.flat_map(|file| file.fields().map(|column| (file.block, column))).collect();
    let columns: Vec<_> = rows.flat_map(|file| file.fields().map(|column| (file.block, column))).collect();
    let newest = columns.into_iter().map({
        let altered = altered.clone();
        move |(block, column)| {
            let newer = altered.iter().find(|(extra, other)| other.name == column.name && *extra > block);
            newer.map_or((column, false), |(_, newer)| (*newer, true))
        }
    });
    newest.chain(altered.into_iter().rev().map(|(_, column)| (column, true)))
}

/// Puts the schema together: types from the files, the rest from the hints, the first that knows a field.
pub fn merge(evidence: &Evidence, hints: &[Hint], fallback_name: &str) -> Merged {
    let mut assumed = Vec::new();
    let whole = hints.iter().find(|hint| hint.whole);
    let mut fields: Vec<FieldSchema> = Vec::new();
    let listed: BTreeSet<&str> =
        hints.iter().flat_map(|hint| &hint.schema.fields).map(|field| field.name.as_str()).collect();
    let mut done: BTreeSet<String> = BTreeSet::new();
    for hint in hints {
        for written in &hint.schema.fields {
            let Some(name) = evidence.name_of(&written.name, &listed) else {
                if !evidence.rows && (hint.whole || loads(written)) && done.insert(written.name.clone()) {
                    fields.push(written.clone());
                    if !hint.whole {
                        assumed.push(format!("field {}: as {} has it, and no file", written.name, hint.from));
                    }
                } else if !done.contains(&written.name) {
                    assumed.push(format!("field {} of {} is in no file: left out", written.name, hint.from));
                }
                continue;
            };
            if !done.insert(name.to_owned()) {
                continue;
            }
            if name != written.name {
                assumed.push(format!("field {name} is called {} in {}", written.name, hint.from));
            }
            fields.push(field_of(evidence, name, Some(written), hint, &mut assumed));
        }
    }
    let none = Hint { schema: CollectionSchema::default(), from: String::new(), whole: false };
    let found = evidence.scalars.iter().map(|(name, ..)| name);
    let found: Vec<String> = found.chain(evidence.vectors.iter().map(|told| &told.field.name)).cloned().collect();
    for name in found {
        if done.contains(&name) {
            continue;
        }
        if let Some(whole) = whole {
            assumed.push(format!("column {name}, which {} does not have, was dropped", whole.from));
            continue;
        }
        if let Some(hint) = hints.first() {
            assumed.push(format!("column {name}, which {} does not have, was added since", hint.from));
        }
        fields.push(field_of(evidence, &name, None, &none, &mut assumed));
        if let Some(told) = evidence.vector(&name) {
            assumed.extend(told.assumed.iter().cloned());
        }
    }
    assumed.extend(
        evidence
            .partial
            .iter()
            .filter(|name| !done.contains(*name))
            .map(|name| format!("column {name} is not in the files of every segment: taken for one that was dropped")),
    );
    let recorded: Vec<&str> =
        evidence.recorded.iter().filter(|name| !listed.contains(name.as_str())).map(String::as_str).collect();
    if !recorded.is_empty() {
        assumed.push(format!(
            "columns {}, nullable and in this order: only the log has documents, and a column that is null in all of them does not show",
            recorded.join(", ")
        ));
    }
    let unknown = evidence.inverted.keys().chain(&evidence.texts).filter(|name| !evidence.partial.contains(name));
    for name in unknown.filter(|name| !fields.iter().any(|field| field.name == **name)) {
        if whole.is_none() {
            assumed.push(format!("column {name} has an index, but no file tells its type: left out"));
        }
    }
    assumed.extend(unknown_of(evidence, &fields, &listed));
    if hints.is_empty() && evidence.vectors.iter().filter(|told| told.built).count() > 0 && evidence.vectors.len() > 1 {
        assumed.push("the order of the vector fields".to_owned());
    }
    let name = hints.iter().map(|hint| hint.schema.name.as_str()).find(|name| is_name(name));
    let name = name.map_or_else(
        || {
            assumed.push(format!("the collection's name, {fallback_name:?}"));
            fallback_name.to_owned()
        },
        str::to_owned,
    );
    let most = hints.iter().map(|hint| hint.schema.max_doc_count_per_segment).find(|most| *most > 0);
    let max_doc_count_per_segment = most.unwrap_or_else(|| {
        assumed.push(format!("at most {MOST_DOCUMENTS} documents in a segment"));
        MOST_DOCUMENTS
    });
    Merged { schema: CollectionSchema { name, fields, max_doc_count_per_segment }, assumed }
}

/// The schema of a manifest in force, with what the files contradict put right, and what that was.
pub fn correct(evidence: &Evidence, segments: &[Found], schema: &CollectionSchema) -> (CollectionSchema, Vec<String>) {
    let mut new = schema.clone();
    let mut notes = Vec::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let listed: BTreeSet<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
    for field in &mut new.fields {
        let again = !taken.insert(field.name.clone());
        let known = !again && (evidence.scalar(&field.name).is_some() || evidence.vector(&field.name).is_some());
        if !known && let Some(name) = evidence.name_of(&field.name, &listed).filter(|name| *name != field.name) {
            let name = name.to_owned();
            notes.push(format!("the field {:?} is called {name:?} in every file", field.name));
            taken.insert(name.clone());
            field.name = name;
        }
        if let Some(corrected) = evidence.corrected(field)
            && !evidence.blames_files(segments, &schema.fields, field, &corrected)
        {
            notes.push(format!("type, dimension or index of field {} as its files have it", field.name));
            *field = corrected;
        }
    }
    (new, notes)
}

/// What no file tells of the fields, where no copy of a manifest lists them.
fn unknown_of(evidence: &Evidence, fields: &[FieldSchema], listed: &BTreeSet<&str>) -> Vec<String> {
    let mut unknown = Vec::new();
    let mut tell = |names: Vec<&str>, what: &str| {
        if !names.is_empty() {
            unknown.push(format!("{} {}: {what}", if names.len() == 1 { "field" } else { "fields" }, names.join(", ")));
        }
    };
    let new = || fields.iter().filter(|field| !listed.contains(field.name.as_str()));
    let named =
        |is: &dyn Fn(&FieldSchema) -> bool| new().filter(|field| is(field)).map(|field| field.name.as_str()).collect();
    tell(
        named(&|field| evidence.altered.contains(&field.name)),
        "nullable, as the file of a column that was added or altered says of every column",
    );
    tell(
        named(&|field| evidence.vector(&field.name).is_some() && !field.nullable),
        "not nullable: no row lacks its vector, and no file tells more",
    );
    let has_no_ranges = |field: &FieldSchema| {
        let inverted = field.index_params.as_ref().and_then(|index| index.params.as_ref());
        let column = evidence.scalar(&field.name).map(|(_, column, _)| column);
        matches!(inverted, Some(Params::Invert(params)) if !params.enable_range_optimization)
            && column.is_some_and(|column| column.array || column.scalar == Stored::Bool)
    };
    tell(named(&has_no_ranges), "an index without range optimization, which shows in no index of arrays or of BOOL");
    if listed.is_empty() {
        let rows =
            if evidence.rows { "" } else { ", and no forward block can be read that would tell the scalar fields" };
        unknown.push(format!(
            "fields and indexes are those of the files: one that was dropped or renamed since the newest rows were written is still among them, one whose files are \
             all gone is not{rows}"
        ));
    }
    unknown
}

fn field_of(
    evidence: &Evidence,
    name: &str,
    hint: Option<&FieldSchema>,
    from: &Hint,
    assumed: &mut Vec<String>,
) -> FieldSchema {
    if let Some(told) = evidence.vector(name) {
        return evidence.merge_vector(told, hint);
    }
    let (column_type, nullable) = evidence
        .scalar(name)
        .map_or((ColumnType { scalar: Stored::String, array: false }, true), |(_, kind, null)| (*kind, *null));
    let data_type = ScalarType::from(column_type).to_proto() as i32;
    let hint = hint.filter(|field| {
        let same = field.data_type == data_type;
        if !same {
            assumed.push(format!("field {name}: {} says another type than its files", from.from));
        }
        same
    });
    match hint {
        Some(field) if from.whole => FieldSchema { name: name.to_owned(), ..field.clone() },
        _ => FieldSchema {
            name: name.to_owned(),
            data_type,
            dimension: 0,
            nullable: hint.map_or(nullable, |field| field.nullable || nullable),
            index_params: evidence.scalar_index(name, hint, assumed),
        },
    }
}

fn proto_of(field: &VectorField) -> FieldSchema {
    let file = SchemaFile {
        name: String::new(),
        max_doc_count_per_segment: 0,
        fields: Vec::new(),
        vectors: vec![field.clone()],
    };
    file.to_manifest().fields.into_iter().next().unwrap_or_default()
}

/// Whether a file of full vectors stands in the place of the codes of its column, and these in its own.
fn is_exchanged(found: &Found, full: &Vectors) -> bool {
    let said = |file: &Vectors| file.facts.as_ref().map(|facts| (facts.codec, facts.kind));
    let codes = found.vectors.iter().filter(|file| file.column == full.column && file.quantised);
    said(full).is_some_and(|full| codes.filter_map(said).any(|codes| vector::exchanged(full, codes)))
}

/// Whether two files of different columns are one, made once.
fn is_copy(one: &Vectors, other: &Vectors) -> bool {
    let header = |file: &Vectors| file.facts.as_ref().and_then(|facts| facts.header.clone());
    one.column != other.column && header(one).is_some_and(|own| header(other) == Some(own))
}

/// Whether a vector field could be another with one bit flipped: in its type, its dimension, its metric or its quantiser.
fn is_near(one: &FieldSchema, other: &FieldSchema) -> bool {
    let settings = |field: &FieldSchema| {
        let single = CollectionSchema { fields: vec![field.clone()], ..CollectionSchema::default() };
        let vector = SchemaFile::from_manifest(&single).ok().and_then(|mut file| file.vectors.pop())?;
        let (metric, quantize) = vector::base(&vector.index);
        Some((metric as u32, quantize as u32))
    };
    let (Some(own), Some(theirs)) = (settings(one), settings(other)) else { return false };
    let bits = [
        (one.data_type ^ other.data_type).count_ones(),
        (one.dimension ^ other.dimension).count_ones(),
        (own.0 ^ theirs.0).count_ones(),
        (own.1 ^ theirs.1).count_ones(),
    ];
    bits.iter().sum::<u32>() <= 1
}

/// Whether a field makes sense by itself.
fn loads(field: &FieldSchema) -> bool {
    let alone = CollectionSchema { fields: vec![field.clone()], ..CollectionSchema::default() };
    Schema::load(&alone).is_ok()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && !name.chars().any(char::is_control)
}

/// Whether two names differ by a single bit.
fn one_bit(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() == 1
}
