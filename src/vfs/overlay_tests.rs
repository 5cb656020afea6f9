//! Tests of the overlay.

use std::{fs, io, path::Path, sync::Arc};

use super::{LockMode, MemoryFs, OverlayFs, ReadOnlyFs, RealFs, Vfs, VfsMut};

fn read(fs: &dyn Vfs, path: &Path) -> Vec<u8> {
    let file = fs.open(path).unwrap();
    let mut data = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(0, &mut data).unwrap();
    data
}

fn names(fs: &dyn Vfs, path: &Path) -> Vec<String> {
    fs.list(path).unwrap().into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.err().expect("it should have failed").kind()
}

#[test]
fn changes_are_seen_above_and_never_below() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    fs::create_dir(root.join("0")).unwrap();
    fs::write(root.join("0/wal"), vec![1; 300_000]).unwrap();
    fs::write(root.join("manifest.0"), "old").unwrap();
    let before = MemoryFs::from_dir(&root, "/".as_ref()).unwrap().fingerprint();

    let overlay = OverlayFs::new(Arc::new(ReadOnlyFs));
    let wal = overlay.open_write(&root.join("0/wal")).unwrap();
    wal.write_all_at(150_000, b"patch").unwrap();
    wal.write_all_at(300_000, b"tail").unwrap();
    overlay.create_new(&root.join("manifest.1.tmp")).unwrap().write_all_at(0, b"new").unwrap();
    overlay.rename(&root.join("manifest.1.tmp"), &root.join("manifest.1")).unwrap();
    overlay.remove_file(&root.join("manifest.0")).unwrap();
    overlay.rename(&root.join("0"), &root.join("1")).unwrap();
    overlay.sync_dir(&root).unwrap();

    assert_eq!(names(&overlay, &root), ["1", "manifest.1"]);
    let seen = read(&overlay, &root.join("1/wal"));
    assert_eq!((seen.len(), &seen[149_999..150_006], &seen[300_000..]), (300_004, &b"\x01patch\x01"[..], &b"tail"[..]));
    assert_eq!(kind(overlay.open(&root.join("0/wal"))), io::ErrorKind::NotFound);
    assert_eq!(kind(overlay.metadata(&root.join("manifest.0"))), io::ErrorKind::NotFound);
    assert_eq!(kind(overlay.remove_dir(&root.join("1"))), io::ErrorKind::DirectoryNotEmpty);
    assert_eq!(MemoryFs::from_dir(&root, "/".as_ref()).unwrap().fingerprint(), before);
}

#[test]
fn a_directory_made_anew_does_not_show_what_was_below() {
    let base = MemoryFs::new();
    base.create_dirs("/d".as_ref()).unwrap();
    base.create_new("/d/f".as_ref()).unwrap();
    let overlay = OverlayFs::new(Arc::new(base));
    let (d, f) = (Path::new("/d"), Path::new("/d/f"));
    assert_eq!(kind(overlay.remove_dir(d)), io::ErrorKind::DirectoryNotEmpty);
    overlay.remove_file(f).unwrap();
    overlay.remove_dir(d).unwrap();
    overlay.create_dir(d).unwrap();
    assert_eq!(names(&overlay, d), Vec::<String>::new());
    overlay.create_new(f).unwrap();
    assert_eq!(overlay.metadata(f).unwrap().len, 0);
}

#[test]
fn what_is_not_covered_is_looked_up_below_each_time() {
    let base = MemoryFs::new();
    base.create_dirs("/d".as_ref()).unwrap();
    let overlay = OverlayFs::new(Arc::new(base.clone()));
    overlay.create_new("/d/own".as_ref()).unwrap();
    base.create_new("/d/late".as_ref()).unwrap();
    assert_eq!(names(&overlay, "/d".as_ref()), ["late", "own"]);
    base.open_write("/d/late".as_ref()).unwrap().write_all_at(0, b"1").unwrap();
    assert_eq!(read(&overlay, "/d/late".as_ref()), b"1");
}

#[test]
fn a_writer_of_the_overlay_is_a_reader_below() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("LOCK");
    fs::write(&lock, "").unwrap();
    let overlay = OverlayFs::new(Arc::new(RealFs));
    let guard = overlay.lock_exclusive(&lock).unwrap();
    assert_eq!(guard.mode(), LockMode::Shared, "that is how it is held on disk");
    assert_eq!(kind(overlay.lock_exclusive(&lock)), io::ErrorKind::WouldBlock);
    assert_eq!(kind(RealFs.lock_exclusive(&lock)), io::ErrorKind::WouldBlock);
    drop(RealFs.lock_shared(&lock).unwrap());
    drop(guard);
    let writer = RealFs.lock_exclusive(&lock).unwrap();
    assert_eq!(kind(overlay.lock_exclusive(&lock)), io::ErrorKind::WouldBlock);
    drop(writer);
    drop(overlay.lock_exclusive(&lock).unwrap());

    let own = dir.path().join("OWN");
    overlay.create_new(&own).unwrap();
    assert_eq!(overlay.lock_exclusive(&own).unwrap().mode(), LockMode::Exclusive);
}

#[cfg(unix)]
#[test]
fn a_path_through_a_link_and_one_around_it_are_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let overlay = OverlayFs::new(Arc::new(ReadOnlyFs));
    overlay.create_new(&link.join("f")).unwrap();
    assert_eq!(names(&overlay, &real), ["f"]);
    assert_eq!(names(&overlay, &link), ["f"]);
    overlay.open_write(&real.join("f")).unwrap().write_all_at(0, b"1").unwrap();
    assert_eq!(read(&overlay, &link.join("f")), b"1");
    overlay.create_dir(&real.join("new")).unwrap();
    overlay.create_new(&link.join("new/g")).unwrap();
    assert_eq!(names(&overlay, &real.join("new")), ["g"]);
}
