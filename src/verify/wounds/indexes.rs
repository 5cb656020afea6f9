//! Scalar and full-text indexes against the schema: whether each indexed column has its column families, and whether the index of the writing
//! segment is still open for writing.

use std::{collections::BTreeSet, path::Path};

use crate::{
    format::{
        fts,
        inverted::{Family, Special, SpecialKey},
        manifest::proto::{BlockType, DataType, FieldSchema, index_params::Params},
        rocks::Db,
    },
    inspect::{SegmentRef, Tree, idmap::DatabaseDir},
    report::Finding,
};

use super::super::context::Context;

pub(super) fn check(context: &Context<'_>, tree: &Tree, segment: SegmentRef<'_>) {
    for block in &segment.meta.persisted_blocks {
        let kind = BlockType::try_from(block.block_type);
        let Some(path) = segment.block_path(block).filter(|path| tree.get(path).is_some()) else { continue };
        if !matches!(kind, Ok(BlockType::ScalarIndex | BlockType::FtsIndex)) {
            continue;
        }
        // What cannot be opened is told by the check of the directory, and a damaged MANIFEST explains every missing family.
        let Ok(db) = Db::open(&DatabaseDir { view: context.view, path: &path }) else { continue };
        if db.manifest_name().is_none() || !db.manifest().is_complete() {
            continue;
        }
        let found: BTreeSet<String> = db.column_families().iter().map(|family| family.name()).collect();
        let scalar = kind == Ok(BlockType::ScalarIndex);
        let expected = expected(context, scalar, &found);
        let mut stray = found.clone();
        stray.remove("default");
        for (name, needed) in &expected {
            stray.remove(name);
            if *needed && !found.contains(name) {
                let then = match (scalar, segment.writing) {
                    (true, _) => "zvec 0.8.0 cannot open the collection",
                    (false, true) => {
                        "zvec 0.8.0 opens the collection, and loses documents with text of the write-ahead log"
                    }
                    (false, false) => "zvec 0.8.0 finds less in the text, or cannot open the collection",
                };
                let detail = format!(
                    "column family {name} is missing, which the schema calls for: zvec was killed while it changed a column or an \
                     index. {then}"
                );
                add(context, segment, &path, Finding::error("index.family-missing", detail));
            }
        }
        for name in stray {
            let detail = format!(
                "column family {name} belongs to no index of the schema: zvec was killed while it changed a column or an index. \
                 Nothing needs it"
            );
            add(context, segment, &path, Finding::warning("index.family-stray", detail));
        }
        if segment.writing && is_sealed(&db, scalar, &found, context) {
            let detail = "the writing segment is sealed already: zvec was killed between sealing it and publishing the next one. \
                          It opens, finds every document, and refuses every insert";
            add(context, segment, &path, Finding::error("segment.sealed-writing", detail));
        }
    }
}

fn add(context: &Context<'_>, segment: SegmentRef<'_>, path: &Path, finding: Finding) {
    context.findings.add(finding.at(path).segment(segment.id()));
}

fn is_sealed(db: &Db, scalar: bool, found: &BTreeSet<String>, context: &Context<'_>) -> bool {
    if !scalar {
        // Sealing drops what is needed to add to a posting.
        return fields(context).any(|(field, params)| {
            matches!(params, Params::Fts(_))
                && found.contains(&field.name)
                && !found.contains(&fts::Family::DocumentLength(&field.name).to_string())
        });
    }
    let Some(family) = db.column_family(b"default") else { return false };
    family.scan().flatten().any(|row| SpecialKey::parse(&row.key).is_some_and(|key| key.special == Special::Sealed))
}

fn fields<'a>(context: &Context<'a>) -> impl Iterator<Item = (&'a FieldSchema, &'a Params)> {
    let fields = context.manifest.schema.iter().flat_map(|schema| &schema.fields);
    fields.filter_map(|field| Some((field, field.index_params.as_ref()?.params.as_ref()?)))
}

/// Names of column families that an index can have by the schema, and whether each must be there.
fn expected(context: &Context<'_>, scalar: bool, found: &BTreeSet<String>) -> Vec<(String, bool)> {
    let mut names = Vec::new();
    for (field, params) in fields(context) {
        let column = field.name.as_str();
        match params {
            Params::Invert(invert) if scalar => {
                let kind = DataType::try_from(field.data_type).unwrap_or(DataType::Undefined);
                let array = field.data_type >= DataType::ArrayBinary as i32;
                let ranges = invert.enable_range_optimization && kind != DataType::Bool && !array;
                let reversed = invert.enable_extended_wildcard && kind == DataType::String;
                names.push((Family::Terms(column).to_string(), true));
                names.push((Family::Ranges(column).to_string(), ranges));
                names.push((Family::ReversedTerms(column).to_string(), reversed));
                names.push((Family::ArrayLength(column).to_string(), array));
            }
            Params::Fts(_) if !scalar => {
                names.push((fts::Family::Postings(column).to_string(), true));
                names.push((fts::Family::Positions(column).to_string(), true));
                // Sealing drops these three, and never one of them.
                let lengths = fts::Family::DocumentLength(column).to_string();
                let open = found.contains(&lengths);
                names.push((fts::Family::TermFrequency(column).to_string(), open));
                names.push((fts::Family::MaxTermFrequency(column).to_string(), open));
                names.push((lengths, false));
            }
            _ => {}
        }
    }
    let shared = if scalar { Family::Histograms.to_string() } else { fts::Family::Statistics.to_string() };
    let any = !names.is_empty();
    names.push((shared, any));
    names
}
