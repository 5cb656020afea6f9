//! Settings of a schema that zvec lets nobody create: a bit of the manifest has changed, for no checksum covers it.

use crate::{
    engine::{Refusal, Schema},
    format::manifest::proto::{CollectionSchema, FieldSchema, IndexParams, index_params::Params},
    inspect::{
        Tree, View,
        evidence::{self, texts},
    },
    report::{Finding, Loss},
};

use super::schema::Decided;

/// zvec's default for documents in a segment.
const MAX_DOC_COUNT: u64 = 10_000_000;

/// The rule that a field breaks by itself.
pub(super) fn broken(field: &FieldSchema) -> Option<Refusal> {
    let (name, fields) = ("collection".to_owned(), vec![field.clone()]);
    Schema::broken_rule(&CollectionSchema { name, fields, max_doc_count_per_segment: MAX_DOC_COUNT })
}

/// Tells of such settings, and puts right what files tell: how texts were cut.
pub(super) fn check(view: &View, tree: &Tree, decided: &mut Decided) -> Option<Finding> {
    let used = view.used()?;
    let rule = Schema::broken_rule(&decided.schema)?;
    let look = || evidence::segment_ids(tree).into_iter().map(|id| evidence::look(view, tree, id)).collect::<Vec<_>>();
    let mut found = None;
    for field in &mut decided.schema.fields {
        let is_text = matches!(field.index_params.as_ref().map(|index| &index.params), Some(Some(Params::Fts(_))));
        if !is_text || broken(field).is_none() {
            continue;
        }
        let segments = found.get_or_insert_with(look);
        if let Some((told, texts)) = texts::settings(view, segments, &field.name) {
            decided.origin.assumed.push(format!(
                "field {}: tokenizer {} with filters [{}], by which {texts} texts give the terms of its index",
                field.name,
                told.tokenizer_name,
                told.filters.join(", ")
            ));
            field.index_params = Some(IndexParams { params: Some(Params::Fts(told)) });
        }
    }
    let detail = format!("zvec lets no such schema be created, so that it is damaged: {}", rule.message);
    Some(Finding::error("manifest.schema", detail).at(&used.path).loses(Loss::None, None))
}

/// Puts right what of a collection itself zvec refuses; each change in words.
pub(super) fn of_collection(schema: &mut CollectionSchema, changed: &mut Vec<String>) {
    if schema.max_doc_count_per_segment == 0 {
        schema.max_doc_count_per_segment = MAX_DOC_COUNT;
        changed.push(format!("max_doc_count_per_segment: zvec's default, {MAX_DOC_COUNT}, in place of 0"));
    }
    if Schema::broken_rule(schema).is_some_and(|rule| rule.code == "schema.collection-name") {
        changed.push(format!("the collection's name: \"salvaged\" in place of {:?}", schema.name));
        schema.name = "salvaged".to_owned();
    }
}
