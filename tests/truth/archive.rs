//! The archives under `fixtures/`.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use flate2::read::GzDecoder;
use tempfile::TempDir;

/// The archives of a folder under `fixtures/`, by name.
pub fn archives(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    found.retain(|path| path.to_string_lossy().ends_with(".tar.gz"));
    found.sort();
    found
}

/// An archive's name, without folder and ending.
pub fn name_of(archive: &Path) -> String {
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    name.trim_end_matches(".tar.gz").to_owned()
}

/// Unpacks an archive into a fresh folder. Runs of zeros stay unwritten: vector files have many megabytes of them.
pub fn unpack(archive: &Path) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = File::open(archive).unwrap_or_else(|error| panic!("{}: {error}", archive.display()));
    let mut tar = tar::Archive::new(GzDecoder::new(file));
    for entry in tar.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let path = folder.path().join(entry.path().expect("a path"));
        if entry.header().entry_type().is_dir() {
            fs::create_dir_all(&path).expect("a folder");
        } else {
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            copy_sparse(&mut entry, &mut File::create(&path).expect("a file"));
        }
    }
    folder
}

fn copy_sparse(from: &mut impl Read, to: &mut File) {
    let mut piece = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut piece).expect("readable");
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        if bytes.iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Current(i64::try_from(count).expect("small"))).expect("seekable");
        } else {
            to.write_all(bytes).expect("writable");
        }
    }
    let end = to.stream_position().expect("seekable");
    to.set_len(end).expect("writable");
}

/// Calls `check` for every item, on two threads, and panics with everything that it found wrong.
pub fn check_all<T: Sync>(items: &[T], name: impl Fn(&T) -> String + Sync, check: impl Fn(&T) -> Vec<String> + Sync) {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = check(item);
                    if !found.is_empty() {
                        wrong.lock().expect("no panic").push(describe(&name(item), &found));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{} of {} collections:\n{}", wrong.len(), items.len(), wrong.join("\n"));
}

fn describe(name: &str, found: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<_> = found.iter().take(SHOWN).map(|line| format!("\n  {line:.1000}")).collect();
    let more = if found.len() > SHOWN { format!("\n  … {} in all", found.len()) } else { String::new() };
    format!("{name}:{}{more}", shown.concat())
}
