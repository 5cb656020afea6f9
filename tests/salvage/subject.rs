//! A collection in memory, salvaged in memory.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value as Json;
use zvecctl::{
    inspect::{
        Tree, View,
        documents::{Document, Documents, Selection, write_document},
    },
    report::{Severity, salvage::SalvageReport},
    salvage::{Form, Options, SalvageError, Target, salvage},
    verify::{self, Flow, Level},
    vfs::{MemoryFs, Vfs},
};

use super::support::fixture::{self, Truth};

pub const ROOT: &str = "/source/books";
const OUT: &str = "/made/saved";

/// A collection and the documents that it had.
pub struct Subject {
    pub fs: MemoryFs,
    pub truth: Truth,
}

/// What was made of it.
pub struct Made {
    pub fs: MemoryFs,
    pub report: SalvageReport,
    pub documents: BTreeMap<String, Json>,
}

impl Subject {
    pub fn archive(folder: &str, name: &str) -> Self {
        let unpacked = fixture::shared(folder, name);
        let fs = MemoryFs::from_dir(&unpacked.join("collection"), Path::new(ROOT)).unwrap();
        Self { fs, truth: fixture::truth(&unpacked) }
    }

    /// Salvages into a new collection, and holds that the source did not change.
    pub fn salvage(&self) -> Result<Made, SalvageError> {
        self.salvage_with(&Options::default())
    }

    pub fn salvage_with(&self, options: &Options) -> Result<Made, SalvageError> {
        let before = self.fs.fingerprint();
        let source: Arc<dyn Vfs> = Arc::new(self.fs.clone());
        let view = View::open(source.clone(), Path::new(ROOT))
            .or_else(|_| View::of_directory(source, Path::new(ROOT)))
            .map_err(SalvageError::from)?;
        let target = MemoryFs::new();
        target.create_dirs(Path::new("/made")).unwrap();
        let to = Target { fs: Arc::new(target.clone()), path: OUT.into(), form: Form::Collection };
        let done = salvage(&view, options, &to, &mut |_, _| true);
        assert_eq!(self.fs.fingerprint(), before, "the source is only read");
        let report = done.inspect_err(|_| {
            assert!(target.list(Path::new("/made")).unwrap().is_empty(), "nothing is left of what was not finished");
        })?;
        let documents = documents(&target, Path::new(OUT), Selection::default());
        assert_eq!(documents.len() as u64, report.documents, "the report counts what is there");
        Ok(Made { fs: target, report, documents })
    }

    /// Every version of every document that the files hold.
    pub fn versions(&self) -> BTreeMap<String, Vec<Json>> {
        let mut versions: BTreeMap<String, Vec<Json>> = BTreeMap::new();
        let all = Selection { include_deleted: true, without_wal: false };
        each(&self.fs, Path::new(ROOT), all, &mut |id, document| versions.entry(id).or_default().push(document));
        versions
    }

    pub fn files(&self) -> Vec<PathBuf> {
        let tree = Tree::walk(&self.fs, Path::new(ROOT));
        let files = tree.entries.into_iter().filter(|entry| entry.file_type == zvecctl::vfs::FileType::File);
        files.map(|entry| entry.path).collect()
    }
}

impl Made {
    /// Ids of the truth that are not there.
    pub fn missing<'t>(&self, truth: &'t Truth) -> Vec<&'t str> {
        truth.keys().filter(|id| !self.documents.contains_key(*id)).map(String::as_str).collect()
    }

    /// Ids that the truth does not have.
    pub fn foreign(&self, truth: &Truth) -> Vec<&str> {
        self.documents.keys().filter(|id| !truth.contains_key(*id)).map(String::as_str).collect()
    }

    /// Holds that every check finds nothing.
    pub fn is_sound(&self, what: &str) {
        let view = View::open(Arc::new(self.fs.clone()), Path::new(OUT)).unwrap();
        let tree = Tree::walk(&self.fs, Path::new(OUT));
        let options =
            verify::Options { level: Level::Contents, threads: 1, segment: None, fail_fast: false, seal: None };
        let verified = verify::verify(&view, &tree, &options, |_| {}, &mut |_, _| Flow::Continue).unwrap();
        let wrong: Vec<_> =
            verified.findings.into_iter().filter(|finding| finding.severity != Severity::Info).collect();
        assert!(wrong.is_empty(), "{what}: {wrong:#?}");
    }
}

fn documents(fs: &MemoryFs, root: &Path, selection: Selection) -> BTreeMap<String, Json> {
    let mut documents = BTreeMap::new();
    each(fs, root, selection, &mut |id, document| {
        assert!(documents.insert(id, document).is_none(), "an id comes once");
    });
    documents
}

/// Documents as JSON, nulls left out and vectors to five digits: under COSINE they are stored normalised, and once more by a copy.
fn each(fs: &MemoryFs, root: &Path, selection: Selection, each: &mut dyn FnMut(String, Json)) {
    let view = View::open(Arc::new(fs.clone()), root).unwrap();
    let mut documents = Documents::open(&view, selection).unwrap();
    let fields = documents.fields().clone();
    let flow = documents.each(&mut |document: Document| {
        let mut line = Vec::new();
        write_document(&mut line, &Document { deleted: false, ..document }, &fields);
        let mut json: Json = serde_json::from_slice(&line).unwrap();
        let id = json["id"].as_str().unwrap().to_owned();
        rounded(&mut json);
        each(id, json);
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
}

fn rounded(json: &mut Json) {
    match json {
        Json::Array(list) => list.iter_mut().for_each(rounded),
        Json::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(rounded);
        }
        Json::Number(number) if number.is_f64() => {
            let value = number.as_f64().unwrap();
            *json = Json::String(format!("{value:.4e}"));
        }
        _ => {}
    }
}
