//! Everything readable of a collection that cannot be repaired in place, written to a new place.
//!
//! The source is only looked at. Documents are read twice: first ids and keys alone, which tells the version of each key that counts, then
//! the documents, one at a time. What cannot be written, and everything that is known of it, goes to a file of its own.
//!
//! | module | job |
//! |---|---|
//! | [`sources`], [`discover`] | segments, named by a manifest or made out from directories; delete snapshots; logs |
//! | [`put_right`] | a manifest that the files contradict |
//! | [`schema`], [`settings`], [`rebuild`] | the schema: from a manifest, a file, or from what lies in the segments |
//! | [`residue`] | what files beside the log tell of records that it has lost |
//! | [`keys`], [`logs`], [`resolve`] | which version of each primary key counts, and which are lost |
//! | [`read`] | documents, with what stands in for values that are lost |
//! | [`target`], [`tally`] | where they go; the report |

mod discover;
mod keys;
mod logs;
mod put_right;
mod read;
mod rebuild;
mod residue;
mod resolve;
mod schema;
mod settings;
mod sources;
mod tally;
mod target;

use std::{io, path::Path};

use crate::{
    engine::EngineError,
    format::schema_file::SchemaFile,
    inspect::{
        InspectError, Tree, View,
        files::named_by,
        names::{self, NameKind},
    },
    report::{Finding, salvage::SalvageReport, show_path},
};

use put_right::put_right;

pub use target::{Form, Target};

/// What to salvage.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The schema, if no manifest is to tell it.
    pub schema: Option<SchemaFile>,
    /// Also write the newest deleted version of ids that have no live one.
    pub include_deleted: bool,
}

/// Why nothing was made. The target is not there then.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    /// The source cannot be looked at, or the new collection cannot be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The file cannot be written.
    #[error("{}: {error}", path.display())]
    Target {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl SalvageError {
    fn target(path: &Path, error: io::Error) -> Self {
        Self::Target { path: path.to_owned(), error }
    }
}

impl From<InspectError> for SalvageError {
    fn from(error: InspectError) -> Self {
        Self::Engine(error.into())
    }
}

/// Whether a directory that has nothing else of a collection holds forward blocks, vector files or logs where segments have them.
pub fn holds_segments(view: &View) -> bool {
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    let of_segment =
        |path: &Path| matches!(names::classify(path).0, NameKind::Forward | NameKind::Vector | NameKind::Wal);
    tree.entries.iter().any(|entry| of_segment(&entry.path))
}

/// Writes every readable document of `view` to `target`. `each` is told how many rows and records are done, of how many; work ends with
/// [`SalvageError::Interrupted`] when it says `false`.
///
/// # Errors
/// The target is there already (`salvage.exists`) or cannot be written; no schema can be found (`salvage.nothing`) or written.
pub fn salvage(
    view: &View,
    options: &Options,
    target: &Target,
    each: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<SalvageReport, SalvageError> {
    target.check()?;
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    let right = put_right(view, &tree);
    let mut found = resolve::find(right.as_ref().map_or(view, |right| &right.view), &tree, options, target.form)?;
    if let Some(right) = right {
        found.findings.extend(view.findings().iter().cloned());
        let told = right.tell(&mut found.decided);
        found.findings.add(told);
    }
    let manifest = found.view.used().filter(|_| view.used().is_some()).and_then(|file| file.manifest.clone());
    let mut report = SalvageReport {
        out: show_path(&target.path),
        to: target.form.word().to_owned(),
        schema: found.decided.origin.clone(),
        deletions: found.snapshots.report.clone(),
        ..SalvageReport::default()
    };
    read::write(found, options, target, each, &mut report)?;
    // Where a row block has no vectors a name stands in that no file ever had: nobody misses that.
    let named: Vec<String> =
        manifest.as_ref().map(named_by).into_iter().flatten().map(|named| show_path(&named.path)).collect();
    let made_up = |finding: &Finding| {
        let vectors = |path: &String| path.ends_with(".proxima") && !named.contains(path);
        finding.code == "file.missing" && finding.path.as_ref().is_some_and(vectors)
    };
    report.findings.retain(|finding| !made_up(finding));
    Ok(report)
}
