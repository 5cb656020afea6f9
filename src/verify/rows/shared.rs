//! What the checks of all segments share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use roaring::RoaringTreemap;

use crate::{
    format::manifest::proto::FtsIndexParams,
    inspect::{
        self,
        deleted::Deleted,
        documents::Fields,
        evidence::twins::{self, Overwritten},
        idmap::IdMap,
        wal,
    },
    report::{Finding, Loss},
};

use super::{
    super::{Context, files},
    forward::SegmentIds,
    sums::Sums,
};

/// Buckets of the sums over keys and ids.
pub const KEY_BUCKETS: usize = 4096;

/// One token of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The term, as the index has it.
    pub term: Vec<u8>,
    /// Its position.
    pub position: u32,
}

/// Splits texts as zvec does for one full-text column.
pub type Tokenizer = dyn Fn(&[u8]) -> Vec<Token> + Send + Sync;

/// Makes the tokenizers of a column by its parameters: an index may hold the terms of any of them. Empty for one that is not known.
pub type Tokenizers = dyn Fn(&FtsIndexParams) -> Vec<Box<Tokenizer>> + Send + Sync;

/// What the checks of all segments share: read once, added to by each.
pub struct Shared {
    /// The schema's fields.
    pub(super) fields: Fields,
    /// What the delete snapshot marks.
    pub(super) deleted: RoaringTreemap,
    /// Whether the delete snapshot could be read whole.
    pub(super) deletions_known: bool,
    /// Its path.
    pub(super) snapshot: Deleted,
    pub(super) id_map: IdMap,
    /// Row blocks that hold the rows of others.
    pub(super) overwritten: Vec<Overwritten>,
    /// The id that the first document of the log gets; every row has a smaller one.
    pub(super) first_id: u64,
    /// Whether there is a log that an open replays.
    pub(super) has_log: bool,
    pub(super) tokenizers: Option<Box<Tokenizers>>,
    /// Taken by whoever needs bytes for every row.
    large: Mutex<()>,
    ids: Mutex<Ids>,
}

/// What is known of the rows of all segments.
#[derive(Debug, Clone)]
pub struct Ids {
    /// Document ids of all rows that can be read.
    pub rows: RoaringTreemap,
    /// Sums over (key, id) of the live ones, by [`bucket`].
    pub live: Sums,
    /// Rows that could not be read.
    pub unreadable: u64,
}

/// The bucket of a key, by its hash.
pub fn bucket(hash: super::sums::Hash) -> usize {
    // 4096 of them: twelve bits.
    (hash[0] >> 52) as usize
}

impl Shared {
    /// Opens delete snapshot and id map; what is wrong with them is added to the findings.
    pub fn open(ctx: &Context<'_>) -> Self {
        let (fields, _) = Fields::of(ctx.manifest);
        let snapshot = Deleted::load(ctx.view, ctx.manifest);
        let deletions_known = snapshot.set.is_some() && snapshot.findings.is_empty();
        let id_map = IdMap::load(ctx.view, ctx.manifest);
        // Both are checked at level 1, which says the same of them.
        ctx.findings.extend(files::snapshot::faults(ctx.view, &snapshot.path));
        ctx.findings.extend(id_map.findings.iter().cloned());
        Self {
            fields,
            deleted: snapshot.ids(),
            deletions_known,
            snapshot,
            id_map,
            overwritten: twins::overwritten(ctx.view, ctx.manifest),
            first_id: inspect::first_id(ctx.manifest),
            has_log: wal::active(ctx.view, ctx.manifest).is_some(),
            tokenizers: None,
            large: Mutex::default(),
            ids: Mutex::new(Ids { rows: RoaringTreemap::new(), live: Sums::new(KEY_BUCKETS), unreadable: 0 }),
        }
    }

    /// The same with tokenizers: full-text postings are then compared with the texts of the columns that they know.
    #[must_use]
    pub fn with_tokenizers(self, tokenizers: Box<Tokenizers>) -> Self {
        Self { tokenizers: Some(tokenizers), ..self }
    }

    /// Whether a field is a vector.
    pub fn is_vector(&self, name: &str) -> bool {
        self.fields.vectors.iter().any(|field| field.name == name)
    }

    /// Whether the delete snapshot marks a document; `None` if it could not be read whole.
    pub fn is_deleted(&self, id: u64) -> Option<bool> {
        self.deletions_known.then(|| self.deleted.contains(id))
    }

    /// Waits for the right to hold bytes for every row of a segment.
    pub(super) fn large(&self) -> MutexGuard<'_, ()> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what was found in a segment. An id that another segment has too is told.
    pub(super) fn merge(&self, ctx: &Context<'_>, found: SegmentIds) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let twice = &ids.rows & &found.rows;
        if let Some(first) = twice.min() {
            let detail = format!(
                "{} document id(s) occur in this segment and in another one, the first is {first}: nobody can tell which row lives",
                twice.len()
            );
            let finding = Finding::error("forward.duplicate-id", detail).segment(found.segment);
            ctx.findings.add(finding.loses(Loss::Possible, Some(twice.len())));
        }
        ids.rows |= found.rows;
        ids.live.merge(&found.live);
        ids.unreadable = ids.unreadable.saturating_add(found.unreadable);
    }

    /// What is known by now.
    pub(super) fn ids(&self) -> Ids {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
