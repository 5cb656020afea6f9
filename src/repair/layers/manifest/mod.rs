//! The manifest that a repair begins with: the newest that can be used, put right where it breaks its rules; a copy that names just the files that are
//! there; or one that is made from the files.
//!
//! | what there is | what is taken |
//! |---|---|
//! | the newest manifest is sound | it, with what the files contradict put right |
//! | one of an earlier state, behind the files | a manifest from the files and from what it says |
//! | only an older one is, and its files are there | it |
//! | an unpublished or quarantined copy that names just the files that are there | it |
//! | else | a manifest from the files; what these do not tell comes from `--schema`, from copies, from what a damaged one still says, or is assumed |

mod copied;
mod cover;
mod hints;
mod rebuild;
mod rows;
mod rules;
mod schema;
mod segment;
mod texts;

use crate::{
    engine::{EngineError, Refusal, Schema, parts::WritingSegment},
    format::{
        manifest::{Manifest, ManifestName, check},
        schema_file::SchemaFile,
    },
    inspect::{Tree, View, evidence, first_id, manifests::ManifestState},
    report::{
        Finding, many,
        repair::{Action, DoneAction},
    },
};

use super::{
    super::{bench::Bench, undo::unpublished},
    done,
};

pub use rebuild::open_block;
pub use rows::Around;
pub use segment::{Built, build, writing_block};

/// What a repair begins with.
#[derive(Debug)]
pub struct Base {
    /// The name of the manifest, if it is one that stands there.
    pub name: Option<ManifestName>,
    /// What it says.
    pub manifest: Manifest,
    /// How it was come by, in words.
    pub how: String,
    /// What had to be assumed.
    pub assumed: Vec<String>,
    /// Whether it differs from what stands there.
    pub changed: bool,
    /// The writing segment, if it is not on disk and has to be made.
    pub makes: Option<u32>,
    /// What is wrong with the manifest that stands there, where another is made though it is whole.
    pub behind: Vec<Finding>,
}

/// The manifest that a repair begins with. Nothing is written.
///
/// # Errors
/// There is none, and the files do not tell of a single field; or it was written by a newer release, of which too little is known to write another.
pub fn base(view: &View, tree: &Tree, schema: Option<&SchemaFile>) -> Result<Base, EngineError> {
    // What a repair made that was killed before it published tells nothing, but for what is named all the same.
    let unfinished = unpublished(view.vfs().as_ref(), view.root());
    let mut known = tree.clone();
    known.entries.retain(|entry| !entry.path.ancestors().any(|part| unfinished.contains(part)));
    let tree = &known;
    if let Some(file) = view.used()
        && let Some(manifest) = &file.manifest
    {
        if let ManifestState::Newer(error) = &file.state {
            return Err(EngineError::format(&view.root().join(&file.path), error.clone()));
        }
        let newest = view.manifests().first().is_some_and(|first| first.name == file.name);
        let behind = evidence::behind::findings(view, tree, manifest);
        if !behind.is_empty()
            && let Ok(base) = from_files(view, tree, schema)
            && check(&base.manifest).is_empty()
        {
            let how = format!("{}, which {} is behind", base.how, file.name);
            return Ok(Base { how, behind, ..base });
        }
        if newest || hints::is_of_files(view, tree, manifest) {
            let mended = in_force(view, tree, file.name, manifest);
            if check(&mended.manifest).is_empty() {
                return Ok(mended);
            }
            // Its rules are still broken: what a part of it says tells of the rest, as with a damaged one. Without gain it stays as it is.
            let rebuilt = from_files(view, tree, schema).ok();
            return Ok(rebuilt
                .filter(|base| check(&base.manifest).is_empty())
                .unwrap_or(as_it_is(file.name, manifest)));
        }
    }
    // What a newer release wrote is not to be judged by this one.
    for file in view.manifests() {
        if let ManifestState::Newer(error) = &file.state {
            return Err(EngineError::format(&view.root().join(&file.path), error.clone()));
        }
    }
    from_files(view, tree, schema)
}

/// A copy that names just the files that are there, or a manifest that is made.
fn from_files(view: &View, tree: &Tree, schema: Option<&SchemaFile>) -> Result<Base, EngineError> {
    let copies = hints::copies(view);
    let exact = copies
        .iter()
        .find(|copy| copy.whole && check(&copy.manifest).is_empty() && hints::is_exact(view, tree, &copy.manifest));
    if let Some(copy) = exact.filter(|_| schema.is_none()) {
        return Ok(Base {
            name: None,
            manifest: copy.manifest.clone(),
            how: format!("{}, which names just the files that are there", copy.from),
            assumed: Vec::new(),
            changed: true,
            makes: None,
            behind: Vec::new(),
        });
    }
    let hints = hints::hints(schema, &copies);
    let manifests: Vec<Manifest> = copies.into_iter().filter(|copy| copy.whole).map(|copy| copy.manifest).collect();
    let Some(rebuilt) = rebuild::rebuild(view, tree, &hints, &manifests) else {
        let detail = "there is no manifest that can be used, and no file tells of a single field: give the schema with --schema FILE";
        return Err(Refusal::new("repair.schema-needed", detail).into());
    };
    let rows: u64 = crate::inspect::segments_of(&rebuilt.manifest)
        .iter()
        .map(|segment| crate::format::manifest::row_count(segment.meta))
        .sum();
    let segments = crate::inspect::segments_of(&rebuilt.manifest).len();
    Ok(Base {
        name: None,
        how: format!("made from the files: {} with {}", many(segments as u64, "segment"), many(rows, "row")),
        manifest: rebuilt.manifest,
        assumed: rebuilt.assumed,
        changed: true,
        makes: rebuilt.makes,
        behind: Vec::new(),
    })
}

fn in_force(view: &View, tree: &Tree, name: ManifestName, manifest: &Manifest) -> Base {
    match rules::mend(view, tree, manifest) {
        Some(mended) => Base {
            name: Some(name),
            manifest: mended.manifest,
            how: format!("{name}, put right: {}", mended.notes.join("; ")),
            assumed: mended.assumed,
            changed: true,
            makes: None,
            behind: Vec::new(),
        },
        None => as_it_is(name, manifest),
    }
}

/// Whether a repair puts the schema of the manifest in force right, where it breaks zvec's rules.
pub fn mends_schema(view: &View) -> bool {
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    let rule = |base: &Base| base.manifest.schema.as_ref().and_then(Schema::broken_rule);
    base(view, &tree, None).is_ok_and(|base| rule(&base).is_none())
}

/// A manifest in force, nothing about it changed.
pub fn as_it_is(name: ManifestName, manifest: &Manifest) -> Base {
    Base {
        name: Some(name),
        manifest: manifest.clone(),
        how: format!("{name} is the newest manifest that can be used"),
        assumed: Vec::new(),
        changed: false,
        makes: None,
        behind: Vec::new(),
    }
}

/// Has the draft published, with the writing segment made if there was none.
pub fn publish(
    bench: &mut Bench,
    action: &Action,
    assumed: &[String],
    makes: Option<u32>,
) -> Result<DoneAction, EngineError> {
    bench.change();
    if let Some(id) = makes {
        make_writing_segment(bench, id, first_id(&bench.manifest.clone()))?;
    }
    let mut report = done(action, action.does.clone());
    report.doubtful = assumed.to_vec();
    Ok(report)
}

/// Makes an empty writing segment whose first document gets the id `next`.
pub fn make_writing_segment(bench: &mut Bench, id: u32, next: u64) -> Result<(), EngineError> {
    let schema: Schema = bench.schema()?;
    let segment = WritingSegment::create(bench.files(), bench.root(), &schema, id)?;
    bench.manifest.writing_segment_meta = Some(segment.writing_meta(&schema, next));
    bench.manifest.next_segment_id = bench.manifest.next_segment_id.max(id.saturating_add(1));
    bench.change();
    Ok(())
}
