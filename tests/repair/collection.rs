//! The collection that is damaged, and what is asked of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use zvecctl::{
    engine::{Mode, Operation},
    inspect::{Tree, View},
    repair::{Hooks, Request, repair, runs, take_back},
    report::{Finding, Severity, repair::RepairReport},
    verify::{self, Flow, Level},
    vfs::{FileType, MemoryFs, Vfs, VfsMut},
};

use crate::model::{self, Docs, apply, doc, on_disk, pk, rich_schema};

/// Where the collection lies.
pub const ROOT: &str = "/data/collection";

/// Files by path, relative to the collection; directories end in a slash.
pub type Bytes = BTreeMap<String, Vec<u8>>;

/// Three segments, of which two are full, with deletions and replacements; flushed several times; records in the log.
pub fn rich() -> &'static (MemoryFs, Docs) {
    static RICH: OnceLock<(MemoryFs, Docs)> = OnceLock::new();
    RICH.get_or_init(|| {
        let fs = MemoryFs::new();
        fs.create_dirs(Path::new(ROOT).parent().unwrap()).unwrap();
        let schema = rich_schema(10);
        let mut docs = Docs::new();
        let mut collection = model::create(Arc::new(fs.clone()), Path::new(ROOT), &schema, model::options());
        let mut write = |collection: &mut zvecctl::engine::Collection, operations: Vec<Operation>| {
            operations.iter().for_each(|operation| apply(&mut docs, operation));
            let results = collection.write(operations).unwrap();
            assert!(results.iter().all(Result::is_ok), "{results:?}");
        };
        let put = |mode, number, version| Operation::Put(mode, doc(&schema, number, version));
        write(&mut collection, (0..14).map(|number| put(Mode::Insert, number, 0)).collect());
        collection.flush().unwrap();
        write(&mut collection, vec![Operation::Delete(pk(3)), put(Mode::Upsert, 4, 1), put(Mode::Update, 12, 1)]);
        collection.flush().unwrap();
        write(&mut collection, (14..22).map(|number| put(Mode::Insert, number, 0)).collect());
        collection.flush().unwrap();
        write(&mut collection, vec![put(Mode::Insert, 40, 0), Operation::Delete(pk(15)), put(Mode::Upsert, 16, 2)]);
        collection.close();
        (fs, docs)
    })
}

/// The rich collection without what the log holds.
pub fn flushed() -> (MemoryFs, Docs) {
    let (fs, docs) = rich();
    let fs = fs.fork();
    let mut collection = zvecctl::engine::Collection::open(
        Arc::new(fs.clone()),
        Path::new(ROOT),
        zvecctl::engine::OpenOptions { options: model::options(), ..zvecctl::engine::OpenOptions::default() },
    )
    .collection
    .unwrap();
    collection.flush().unwrap();
    drop(collection);
    (fs, docs.clone())
}

/// Everything below the collection.
pub fn bytes(fs: &dyn Vfs) -> Bytes {
    let root = Path::new(ROOT);
    let entries = Tree::walk(fs, root).entries;
    entries
        .into_iter()
        .map(|entry| {
            let path = entry.path.to_str().unwrap().to_owned();
            if entry.file_type == FileType::Dir {
                return (path + "/", Vec::new());
            }
            let content = read(fs, &path);
            (path, content)
        })
        .collect()
}

pub fn read(fs: &dyn Vfs, relative: &str) -> Vec<u8> {
    let file = fs.open(&Path::new(ROOT).join(relative)).unwrap();
    let mut content = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(0, &mut content).unwrap();
    content
}

/// Puts another content into a file.
pub fn write(fs: &MemoryFs, relative: &str, content: &[u8]) {
    let path = Path::new(ROOT).join(relative);
    let file = fs.open_write(&path).unwrap_or_else(|_| fs.create_new(&path).unwrap());
    file.truncate(0).unwrap();
    file.write_all_at(0, content).unwrap();
}

/// Paths of files, relative to the collection, whose names begin and end so, sorted.
pub fn files(fs: &dyn Vfs, begin: &str, end: &str) -> Vec<String> {
    let all = bytes(fs);
    all.into_keys().filter(|path| path.starts_with(begin) && path.ends_with(end) && !path.ends_with('/')).collect()
}

/// Repairs. The clock stands still.
pub fn mend(fs: &Arc<dyn VfsMut>) -> Result<RepairReport, String> {
    let request = Request { threads: 1, now: 1_700_000_000, ..Request::default() };
    let mut hooks = Hooks { watch: &mut |_| true };
    repair(fs, Path::new(ROOT), &request, None, &mut hooks).map_err(|error| error.to_string())
}

/// Takes every repair back, the latest first.
pub fn undo_all(fs: &Arc<dyn VfsMut>) -> Result<usize, String> {
    let mut undone = 0;
    while !runs(fs.as_ref(), Path::new(ROOT)).is_empty() {
        take_back(fs, Path::new(ROOT), None, std::time::Duration::ZERO).map_err(|error| error.to_string())?;
        undone += 1;
    }
    Ok(undone)
}

/// Errors of a check of level 3.
pub fn errors(fs: &Arc<dyn VfsMut>) -> Vec<Finding> {
    let view = View::open(fs.clone(), Path::new(ROOT)).unwrap();
    let tree = Tree::walk(fs.as_ref(), Path::new(ROOT));
    let options = verify::Options { level: Level::Contents, threads: 1, segment: None, fail_fast: false, seal: None };
    let verified = verify::verify(&view, &tree, &options, |_| {}, &mut |_, _| Flow::Continue).unwrap();
    verified.findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect()
}

/// The documents of a sound collection.
pub fn documents(fs: &Arc<dyn VfsMut>) -> Docs {
    on_disk(fs.clone(), Path::new(ROOT))
}

pub fn root() -> PathBuf {
    PathBuf::from(ROOT)
}
