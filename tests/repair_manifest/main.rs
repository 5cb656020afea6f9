//! `repair` of manifests and whole segments, over collections that zvec wrote: a manifest that is gone comes back from the files, one that breaks its
//! rules is put right, segments that nothing lists are adopted, and what is lost is named.

mod broken;
mod exchanged;
mod gone;
mod segments;
#[path = "../support/mod.rs"]
mod support;
mod traces;

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use zvecctl::{
    format::manifest::{self, Manifest, ManifestName},
    inspect::{
        View,
        documents::{Cell, Documents, Selection},
    },
    repair::{Hooks, Request, repair, take_back},
    report::repair::RepairReport,
    vfs::{RealFs, VfsMut},
};

/// Documents by key: the fields that are not null, by name.
pub type Docs = BTreeMap<String, BTreeMap<String, String>>;

/// The live documents of a collection.
pub fn documents(path: &Path) -> Docs {
    let view = View::open(Arc::new(RealFs), path).unwrap();
    let mut reader = Documents::open(&view, Selection::default()).unwrap();
    let fields = reader.fields().clone();
    let mut docs = Docs::new();
    let _ = reader.each(&mut |document| {
        let named = fields.scalars.iter().zip(document.fields).chain(fields.vectors.iter().zip(document.vectors));
        let values = named.filter(|(_, cell)| *cell != Cell::Value(zvecctl::format::value::Value::Null));
        let values = values.map(|(field, cell)| (field.name.clone(), format!("{cell:?}"))).collect();
        assert!(docs.insert(String::from_utf8(document.pk).unwrap(), values).is_none(), "a key twice");
        ControlFlow::Continue(())
    });
    docs
}

/// Repairs as asked.
pub fn mend_with(path: &Path, request: Request) -> Result<RepairReport, String> {
    let fs: Arc<dyn VfsMut> = Arc::new(RealFs);
    let request = Request { threads: 1, now: 1_700_000_000, ..request };
    let mut hooks = Hooks { watch: &mut |_| true };
    repair(&fs, path, &request, None, &mut hooks).map_err(|error| error.to_string())
}

/// Repairs all there is.
pub fn mend(path: &Path) -> RepairReport {
    mend_with(path, Request::default()).unwrap()
}

/// Repairs, and holds that all is well after it; and that taking it back gives every byte back.
pub fn mend_and_undo(name: &str, path: &Path) -> (RepairReport, Docs) {
    let before = bytes(path);
    let report = mend(path);
    assert!(report.applied && report.clean, "{name}: {:#?} {:#?}", report.done, report.after);
    let docs = documents(path);
    let fs: Arc<dyn VfsMut> = Arc::new(RealFs);
    take_back(&fs, path, None, std::time::Duration::ZERO).unwrap();
    assert!(bytes(path) == before, "{name}: taken back, it differs");
    (report, docs)
}

fn bytes(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.insert(path.clone(), Vec::new());
            all.extend(bytes(&path));
        } else {
            let content = fs::read(&path).unwrap();
            all.insert(path, content);
        }
    }
    all
}

/// The newest manifest's file.
pub fn manifest_path(path: &Path) -> PathBuf {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let newest = names.filter_map(|name| Some((ManifestName::parse(&name)?.number, name))).max().unwrap();
    path.join(newest.1)
}

/// The newest manifest.
pub fn manifest_of(path: &Path) -> Manifest {
    manifest::decode(&fs::read(manifest_path(path)).unwrap()).unwrap()
}

/// Puts a change into the newest manifest.
pub fn tamper(path: &Path, change: impl FnOnce(&mut Manifest)) {
    let mut manifest = manifest_of(path);
    change(&mut manifest);
    fs::write(manifest_path(path), manifest::encode(&manifest)).unwrap();
}
