//! Copies of a manifest that tell what the files do not: damaged ones, ones that were never published, and those that earlier repairs keep.

use std::path::{Path, PathBuf};

use crate::{
    format::{
        manifest::{Manifest, ManifestName, is_row_block},
        schema_file::SchemaFile,
    },
    inspect::{
        Tree, View,
        evidence::{self, Found},
        files::named_by,
        manifests::{self, ManifestState},
        segments_of,
    },
    vfs::FileType,
};

use super::{super::super::undo::runs, schema::Hint};

/// A copy of a manifest.
pub struct Copy {
    /// Where it is, in words.
    pub from: String,
    /// What it says, as far as it decodes.
    pub manifest: Manifest,
    /// Whether it is whole.
    pub whole: bool,
    /// Whether it was about to be published above all others.
    pub latest: bool,
}

/// All copies, the most trustworthy first: whole ones in the collection, then in the quarantine, the newest first; then what decodes of damaged ones.
pub fn copies(view: &View) -> Vec<Copy> {
    let mut copies: Vec<Copy> = Vec::new();
    for file in view.manifests() {
        let whole = matches!(file.state, ManifestState::Valid);
        if let Some(manifest) = file.manifest.clone() {
            copies.push(Copy { from: file.name.to_string(), manifest, whole, latest: false });
        }
    }
    let mut places: Vec<PathBuf> = vec![view.root().to_owned()];
    places.extend(runs(view.vfs().as_ref(), view.root()));
    for place in places {
        let mut found = Vec::new();
        for entry in view.vfs().list(&place).unwrap_or_default() {
            let Some(name) = entry.name.to_str().and_then(ManifestName::parse) else { continue };
            let published = place == view.root() && !name.temporary;
            let is_file = entry.metadata.is_ok_and(|found| found.file_type == FileType::File);
            if published || !is_file {
                continue;
            }
            found.push((name.number, entry.name.clone()));
        }
        found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        for (number, name) in found {
            let relative = Path::new(&name);
            let Ok(loaded) = manifests::load(view.vfs().as_ref(), &place, relative) else { continue };
            let (state, _) = manifests::judge(relative, &loaded);
            let shown = if place == view.root() { relative.to_owned() } else { place.join(relative) };
            copies.push(Copy {
                from: shown.display().to_string(),
                manifest: loaded.dump.manifest(),
                whole: state == ManifestState::Valid,
                latest: place == view.root() && view.manifests().iter().all(|file| file.name.number < number),
            });
        }
    }
    copies.sort_by_key(|copy| !copy.whole);
    copies
}

/// Hints of a schema file and of copies. A copy may be older than the files: it does not tell that a column was dropped.
pub fn hints(schema: Option<&SchemaFile>, copies: &[Copy]) -> Vec<Hint> {
    let given = schema.map(|file| Hint { schema: file.to_manifest(), from: "the schema file".to_owned(), whole: true });
    let copies = copies.iter().filter_map(|copy| {
        let schema = copy.manifest.schema.clone()?;
        Some(Hint { schema, from: copy.from.clone(), whole: copy.whole && copy.latest })
    });
    given.into_iter().chain(copies).collect()
}

/// Whether a manifest is that of the files that are there: all that it names stands, and no rows are in its segments that it does not name.
pub fn is_of_files(view: &View, tree: &Tree, manifest: &Manifest) -> bool {
    let stands = named_by(manifest).iter().all(|named| tree.get(&named.path).is_some());
    stands && !has_more(view, tree, manifest)
}

/// The same, and nothing at all is there that is newer than it.
pub fn is_exact(view: &View, tree: &Tree, manifest: &Manifest) -> bool {
    let newer = tree.entries.iter().filter_map(|entry| entry.path.to_str()?.strip_prefix("del.")?.parse::<u32>().ok());
    let newest = newer.max().is_none_or(|suffix| suffix <= manifest.delete_snapshot_path_suffix);
    let listed: Vec<u32> = segments_of(manifest).iter().map(|segment| segment.id()).collect();
    let ids = evidence::segment_ids(tree);
    let alone = ids.iter().filter(|id| !listed.contains(id)).all(|id| evidence::look(view, tree, *id).is_empty());
    newest && alone && is_of_files(view, tree, manifest)
}

/// Whether a segment directory, listed or not, holds rows that a manifest does not name and that come back from no log.
pub fn has_more(view: &View, tree: &Tree, manifest: &Manifest) -> bool {
    let segments = segments_of(manifest);
    evidence::segment_ids(tree).into_iter().any(|id| {
        let found: Found = evidence::look(view, tree, id);
        let Some(listed) = segments.iter().find(|segment| segment.id() == id) else { return false };
        let named = |block: u32| {
            listed.meta.persisted_blocks.iter().any(|known| known.block_id == block && is_row_block(known))
        };
        let known: roaring::RoaringTreemap = found
            .forwards
            .iter()
            .filter(|file| named(file.block))
            .fold(roaring::RoaringTreemap::new(), |ids, file| ids | &file.ids);
        let log = found.log();
        found
            .forwards
            .iter()
            .filter(|file| !named(file.block) && log != Some(file.block))
            .any(|file| !file.ids.is_subset(&known))
    })
}
