//! Whether a manifest is behind the files: one of an earlier state that was put back. The row blocks of later flushes stand there whole, with their
//! vectors, and no log has their documents any more.

use std::path::PathBuf;

use roaring::RoaringTreemap;

use crate::{
    format::manifest::{Manifest, proto::DataType},
    inspect::{
        Tree, View,
        deleted::Deleted,
        documents::is_vector,
        names::{NameKind, classify, segment_dir},
        segments_of,
    },
    report::{Finding, Loss, show_path},
    vfs::FileType,
};

use super::found::{Forward, Found, look, segment_ids};

/// A row block that a manifest does not name, and should.
pub struct Beyond {
    /// Its file, relative to the collection.
    pub path: PathBuf,
    /// Its segment.
    pub segment: u32,
    /// The ids of its documents.
    pub ids: RoaringTreemap,
}

/// The row blocks that a manifest does not name, whose documents nothing else has: neither another block nor a log. They are in its segments; or in others,
/// if files that it names are gone, as after an optimize.
pub fn beyond(view: &View, tree: &Tree, manifest: &Manifest) -> Vec<Beyond> {
    let segments = segments_of(manifest);
    let named = |id: u32, block: u32| {
        let of_segment = segments.iter().filter(|segment| segment.id() == id);
        of_segment.flat_map(|segment| &segment.meta.persisted_blocks).any(|known| known.block_id == block)
    };
    let lacks = segments.iter().any(|segment| {
        let paths = segment.meta.persisted_blocks.iter().filter_map(|block| segment.block_path(block));
        paths.into_iter().any(|path| tree.get(&path).is_none())
    });
    let listed: Vec<u32> = segments.iter().map(|segment| segment.id()).collect();
    let others = segment_ids(tree).into_iter().filter(|id| lacks && !listed.contains(id));
    let all: Vec<u32> = listed.iter().copied().chain(others).collect();
    // Names alone tell in the ordinary case that there is none.
    let suspects: Vec<u32> =
        all.iter().copied().filter(|id| has_spare(tree, *id, &|block| named(*id, block))).collect();
    if suspects.is_empty() {
        return Vec::new();
    }
    let looked: Vec<Found> = all.iter().map(|id| look(view, tree, *id)).collect();
    let of_rows = |found: &Found| {
        let listed = found.forwards.iter().filter(|file| named(found.id, file.block) && file.is_row_block());
        listed.fold(RoaringTreemap::new(), |ids, file| ids | &file.ids)
    };
    let mut known = looked.iter().fold(Deleted::load(view, manifest).ids(), |ids, found| ids | of_rows(found));
    let vectors: Vec<&str> = manifest
        .schema
        .iter()
        .flat_map(|schema| &schema.fields)
        .filter_map(|field| DataType::try_from(field.data_type).is_ok_and(is_vector).then_some(field.name.as_str()))
        .collect();
    let mut list = Vec::new();
    for found in looked.iter().filter(|found| suspects.contains(&found.id)) {
        let last = match listed.contains(&found.id) {
            true => of_rows(found).max(),
            false => looked.iter().filter_map(|found| of_rows(found).max()).max(),
        };
        let stands = |block: u32| found.forwards.iter().any(|file| file.block == block);
        let log =
            found.logs.iter().filter(|(block, records)| *records > 0 || !stands(*block)).map(|(block, _)| *block).max();
        for file in found.forwards.iter().filter(|file| !named(found.id, file.block)) {
            let continues = file.ids.min().is_some_and(|first| last.is_none_or(|last| last < first));
            let whole = file.sound && file.is_row_block() && file.rows == Some(file.ids.len());
            let logged = log.is_some_and(|log| log <= file.block);
            if continues && whole && !logged && known.is_disjoint(&file.ids) && has_vectors(found, file, &vectors) {
                known |= &file.ids;
                list.push(Beyond { path: file.path.clone(), segment: found.id, ids: file.ids.clone() });
            }
        }
    }
    list
}

/// What is wrong with the manifest then.
pub fn findings(view: &View, tree: &Tree, manifest: &Manifest) -> Vec<Finding> {
    let Some(used) = view.used() else { return Vec::new() };
    let beyond = beyond(view, tree, manifest);
    // A writer may have flushed since the directories were read.
    if beyond.is_empty() || view.vfs().metadata(&view.root().join(&used.path)).is_err() {
        return Vec::new();
    }
    let found = beyond.into_iter().map(|block| {
        let (count, ids) = (block.ids.len(), block.ids.min().zip(block.ids.max()).unwrap_or_default());
        let detail = format!(
            "it is of an earlier state: it does not name {}, which holds {count} documents (ids {} to {}) with their vectors, and no log has them. zvec 0.8.0 \
             opens the collection without them and gives their ids to others",
            show_path(&block.path),
            ids.0,
            ids.1
        );
        let finding = Finding::error("manifest.behind", detail).at(&used.path).segment(block.segment);
        finding.loses(Loss::Possible, Some(count))
    });
    found.collect()
}

fn has_spare(tree: &Tree, id: u32, named: &dyn Fn(u32) -> bool) -> bool {
    let dir = segment_dir(id);
    let files = tree.below(&dir).filter(|entry| entry.file_type == FileType::File && entry.len > 0);
    let blocks = files.filter(|entry| classify(&entry.path).0 == NameKind::Forward).filter_map(|entry| {
        let name = entry.path.file_name()?.to_str()?;
        name.strip_prefix("scalar.")?.split('.').next()?.parse::<u32>().ok()
    });
    blocks.into_iter().any(|block| !named(block))
}

/// Whether each vector column has a file between a block and the next one that can be that of its rows.
fn has_vectors(found: &Found, block: &Forward, columns: &[&str]) -> bool {
    let rows = block.rows.unwrap_or(0);
    let next = found.forwards.iter().map(|file| file.block).filter(|other| *other > block.block).min();
    columns.iter().all(|column| {
        found.vectors.iter().any(|file| {
            let inside = file.block > block.block && next.is_none_or(|next| file.block < next);
            let fits = file.facts.as_ref().is_some_and(|facts| facts.rows <= rows);
            file.column == *column && !file.quantised && inside && fits
        })
    })
}
