//! Levels 2 and 3: rows, indexes and vectors of a segment, and what spans segments.

use roaring::RoaringTreemap;

use crate::{
    format::{
        fts::tokenize,
        manifest::{proto::FtsIndexParams, row_count},
    },
    inspect::{Findings, SegmentRef, documents::segment_doc_ids, segments_of},
};

use super::{
    context::{Context, Level},
    rows::{self, Shared, Token, Tokenizer},
    vectors::{self, ColumnRows},
};

/// What the deep checks of all segments share; nothing at level 1.
pub(super) struct Deep(Option<Shared>);

/// Which rows of a segment are deleted or replaced, where that is known.
struct DeletedRows {
    known: RoaringTreemap,
    deleted: RoaringTreemap,
}

impl Deep {
    /// Opens what is shared, if there is anything to do.
    pub(super) fn new(context: &Context<'_>) -> Self {
        let wanted = context.wants(Level::Structures) && context.view.used().is_some();
        Self(wanted.then(|| Shared::open(context).with_tokenizers(Box::new(tokenizers))))
    }

    /// Checks one segment.
    pub(super) fn segment(&self, context: &Context<'_>, segment: SegmentRef<'_>) {
        let Some(shared) = &self.0 else { return };
        rows::check_segment(context, segment, shared);
        let rows = DeletedRows::of(context, segment, shared);
        let fields = context.manifest.schema.iter().flat_map(|schema| &schema.fields);
        for field in fields.filter(|field| shared.is_vector(&field.name)) {
            if context.stopped() {
                return;
            }
            let deleted = |row: u64| rows.known.contains(row).then(|| rows.deleted.contains(row));
            vectors::check_column(context, segment, &field.name, &ColumnRows { field, deleted: &deleted });
        }
    }

    /// Checks what spans segments. All of them must have been checked.
    pub(super) fn collection(self, context: &Context<'_>) {
        if let Some(shared) = self.0 {
            rows::check_collection(context, shared);
        }
    }

    /// The same without them: their ids and keys are read for this alone.
    pub(super) fn collection_alone(&self, context: &Context<'_>) {
        if self.0.is_none() {
            return;
        }
        let quiet = context.quiet(Level::Structures);
        let shared = Shared::open(&quiet);
        for segment in segments_of(context.manifest) {
            rows::read_ids(context, &quiet, segment, &shared);
        }
        rows::check_collection(context, shared);
    }
}

impl DeletedRows {
    fn of(context: &Context<'_>, segment: SegmentRef<'_>, shared: &Shared) -> Self {
        let (mut known, mut deleted) = (RoaringTreemap::new(), RoaringTreemap::new());
        // What is wrong with the ids is told by the checks of rows.
        let quiet = Findings::default();
        segment_doc_ids(context.view, segment, 0, row_count(segment.meta), &quiet, &mut |row, id| {
            if let Some(dead) = shared.is_deleted(id) {
                known.insert(row);
                if dead {
                    deleted.insert(row);
                }
            }
        });
        Self { known, deleted }
    }
}

/// The tokenizers that releases had for a full-text column, the newest first; none for one that is not reproduced here.
fn tokenizers(params: &FtsIndexParams) -> Vec<Box<Tokenizer>> {
    let (name, filters, extra) = (&params.tokenizer_name, &params.filters, &params.extra_params);
    let Ok(newest) = tokenize::Tokenizer::new(name, filters, extra) else { return Vec::new() };
    let all = [newest].into_iter().chain(tokenize::Tokenizer::of_0_5(name, filters, extra));
    all.map(|tokenizer| -> Box<Tokenizer> {
        Box::new(move |text: &[u8]| {
            let tokens = tokenizer.tokenize(text).into_iter();
            tokens.map(|token| Token { term: token.text, position: token.position }).collect()
        })
    })
    .collect()
}
