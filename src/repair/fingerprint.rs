//! Whether a collection is still what it was: a BLAKE3 hash over the names of all that is in it, and the sizes and contents of its files. Times do not
//! count: a power cut may leave older ones.

use std::{
    io,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    time::Duration,
};

use rayon::prelude::*;

use crate::{
    inspect::{
        Tree, TreeEntry,
        names::{NameKind, classify},
    },
    vfs::{FileType, Vfs},
};

/// How much is read at a time.
const CHUNK: usize = 1 << 20;
/// How often the caller is asked whether to go on.
const TICK: Duration = Duration::from_millis(50);

/// The hash, in hexadecimal digits. LOCK does not count: whoever opens the collection may make it. `goes_on` is asked now and then.
///
/// # Errors
/// `ErrorKind::Interrupted` if it is not to go on. A file that the system refuses to read is no error: that it does is part of the state.
pub fn fingerprint(fs: &dyn Vfs, root: &Path, goes_on: &mut dyn FnMut() -> bool) -> io::Result<String> {
    let tree = Tree::walk(fs, root);
    let entries: Vec<&TreeEntry> =
        tree.entries.iter().filter(|entry| classify(&entry.path).0 != NameKind::Lock).collect();
    let stopped = AtomicBool::new(false);
    let contents = std::thread::scope(|scope| {
        let (done, waiting) = channel::<()>();
        let (entries, stopped) = (&entries, &stopped);
        let work = scope.spawn(move || {
            let contents: Vec<_> = entries.par_iter().map(|entry| content(fs, root, entry, stopped)).collect();
            drop(done);
            contents
        });
        while waiting.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            if !goes_on() {
                stopped.store(true, Ordering::Relaxed);
            }
        }
        work.join()
    });
    let Ok(contents) = contents else { return Err(io::Error::other("a thread has failed")) };
    if stopped.into_inner() {
        return Err(io::ErrorKind::Interrupted.into());
    }
    let mut hash = blake3::Hasher::new();
    for (entry, content) in entries.iter().zip(contents) {
        hash.update(entry.path.as_os_str().as_encoded_bytes());
        let kind = match entry.file_type {
            FileType::File => 0,
            FileType::Dir => 1,
            FileType::Symlink | FileType::Other => 2,
        };
        hash.update(&[0, kind]);
        hash.update(&entry.len.to_le_bytes());
        hash.update(&content);
    }
    Ok(hash.finalize().to_hex().to_string())
}

/// The hash of what is in a file; zeros if there is nothing to read, or no reading it.
fn content(fs: &dyn Vfs, root: &Path, entry: &TreeEntry, stopped: &AtomicBool) -> [u8; 32] {
    let none = [0; 32];
    if entry.file_type != FileType::File {
        return none;
    }
    let Ok(file) = fs.open(&root.join(&entry.path)) else { return none };
    let mut hash = blake3::Hasher::new();
    let mut buffer = vec![0; usize::try_from(entry.len).unwrap_or(CHUNK).clamp(1, CHUNK)];
    let mut at = 0u64;
    while !stopped.load(Ordering::Relaxed) {
        match file.read_at(at, &mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(buffer.get(..read).unwrap_or_default());
                at = at.saturating_add(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return none,
        }
    }
    hash.finalize().into()
}
