//! Tests of the file system in memory.

use std::{io, path::Path};

use super::{FileType, LockMode, MemoryFs, Vfs, VfsMut};

fn write(fs: &dyn VfsMut, path: &str, data: &[u8]) {
    fs.create_new(path.as_ref()).unwrap().write_all_at(0, data).unwrap();
}

fn read(fs: &dyn Vfs, path: &str) -> Vec<u8> {
    let file = fs.open(path.as_ref()).unwrap();
    let mut data = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(0, &mut data).unwrap();
    data
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.err().expect("it should have failed").kind()
}

#[test]
fn open_files_outlive_their_names() {
    let fs = MemoryFs::new();
    write(&fs, "/a", b"old");
    write(&fs, "/b", b"new");
    let (old, new) = (fs.open("/a".as_ref()).unwrap(), fs.open_write("/b".as_ref()).unwrap());
    fs.rename("/b".as_ref(), "/a".as_ref()).unwrap();
    new.write_all_at(3, b"er").unwrap();
    assert_eq!(read(&fs, "/a"), b"newer");
    let mut buf = [0; 3];
    old.read_exact_at(0, &mut buf).unwrap();
    assert_eq!(&buf, b"old");
    fs.remove_file("/a".as_ref()).unwrap();
    new.write_all_at(0, b"N").unwrap();
    assert_eq!(new.len().unwrap(), 5);
    assert_eq!(kind(fs.open("/a".as_ref())), io::ErrorKind::NotFound);
}

#[test]
fn a_directory_is_renamed_with_all_below_over_an_empty_one_only() {
    let fs = MemoryFs::new();
    fs.create_dirs("/a/b".as_ref()).unwrap();
    fs.create_dirs("/empty".as_ref()).unwrap();
    fs.create_dirs("/full".as_ref()).unwrap();
    write(&fs, "/a/b/f", b"1");
    write(&fs, "/full/f", b"2");
    assert_eq!(kind(fs.rename("/a".as_ref(), "/full".as_ref())), io::ErrorKind::DirectoryNotEmpty);
    assert_eq!(kind(fs.rename("/a".as_ref(), "/full/f".as_ref())), io::ErrorKind::NotADirectory);
    assert_eq!(kind(fs.rename("/full/f".as_ref(), "/a".as_ref())), io::ErrorKind::IsADirectory);
    assert_eq!(kind(fs.rename("/a".as_ref(), "/a/b/c".as_ref())), io::ErrorKind::InvalidInput);
    fs.rename("/a".as_ref(), "/empty".as_ref()).unwrap();
    assert_eq!(read(&fs, "/empty/b/f"), b"1");
    assert_eq!(kind(fs.metadata("/a".as_ref())), io::ErrorKind::NotFound);
}

#[test]
fn paths_are_taken_by_name() {
    let fs = MemoryFs::new();
    fs.create_dirs("d".as_ref()).unwrap();
    write(&fs, "d/../d/./f", b"1");
    assert_eq!(fs.canonical("d/f".as_ref()).unwrap(), Path::new("/d/f"));
    assert_eq!(kind(fs.canonical("/e".as_ref())), io::ErrorKind::NotFound);
    assert_eq!(kind(fs.open("".as_ref())), io::ErrorKind::NotFound);
    let entries = fs.list(".".as_ref()).unwrap();
    let shown: Vec<_> = entries.iter().map(|e| (e.path.as_path(), e.metadata.as_ref().unwrap().file_type)).collect();
    assert_eq!(shown, [(Path::new("./d"), FileType::Dir)]);
}

#[test]
fn a_writer_excludes_readers_and_readers_exclude_a_writer() {
    let fs = MemoryFs::new();
    write(&fs, "/LOCK", b"");
    let lock = Path::new("/LOCK");
    let writer = fs.lock_exclusive(lock).unwrap();
    assert_eq!(writer.mode(), LockMode::Exclusive);
    assert_eq!(kind(fs.lock_shared(lock)), io::ErrorKind::WouldBlock);
    assert_eq!(kind(fs.lock_exclusive(lock)), io::ErrorKind::WouldBlock);
    assert!(fs.fork().lock_exclusive(lock).is_ok(), "a fork is another file");
    drop(writer);
    let readers = [fs.lock_shared(lock).unwrap(), fs.lock_shared(lock).unwrap()];
    assert_eq!(kind(fs.lock_exclusive(lock)), io::ErrorKind::WouldBlock);
    drop(readers);
    drop(fs.lock_exclusive(lock).unwrap());
    assert_eq!(kind(fs.lock_exclusive("/none".as_ref())), io::ErrorKind::NotFound);
}

#[test]
fn a_tree_goes_in_and_out_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let fs = MemoryFs::new();
    fs.create_dirs("/c/0/empty".as_ref()).unwrap();
    write(&fs, "/c/0/f", &[7; 100_000]);
    let sparse = fs.create_new("/c/sparse".as_ref()).unwrap();
    sparse.write_all_at(3 << 20, b"x").unwrap();
    sparse.truncate(6 << 20).unwrap();
    fs.to_dir("/c".as_ref(), &dir.path().join("out")).unwrap();

    let back = MemoryFs::from_dir(&dir.path().join("out"), "/c".as_ref()).unwrap();
    assert_eq!(back.fingerprint(), fs.fingerprint());
    let found = back.metadata("/c/sparse".as_ref()).unwrap();
    assert_eq!((found.len, found.allocated), (6 << 20, Some(4096)));
    assert_eq!(kind(fs.to_dir("/c".as_ref(), &dir.path().join("out"))), io::ErrorKind::AlreadyExists);
}

#[test]
fn fingerprint_tells_names_kinds_and_contents_apart() {
    let build = |paths: &[&str], data: &[u8]| {
        let fs = MemoryFs::new();
        for path in paths {
            match path.strip_suffix('/') {
                Some(dir) => fs.create_dirs(dir.as_ref()).unwrap(),
                None => write(&fs, path, data),
            }
        }
        fs.fingerprint()
    };
    let all = [
        build(&[], b""),
        build(&["/a"], b""),
        build(&["/a/"], b""),
        build(&["/b"], b""),
        build(&["/a"], b"1"),
        build(&["/a", "/b"], b""),
        build(&["/a/", "/a/b"], b""),
        build(&["/a/", "/b"], b""),
    ];
    assert_eq!(std::collections::BTreeSet::from(all).len(), all.len());
    assert_eq!(build(&["/a", "/b"], b"1"), build(&["/b", "/a"], b"1"));
}

#[test]
fn a_fork_goes_its_own_way() {
    let fs = MemoryFs::new();
    write(&fs, "/a", b"one");
    let fork = fs.fork();
    fs.open_write("/a".as_ref()).unwrap().write_all_at(0, b"two").unwrap();
    fork.create_dir("/d".as_ref()).unwrap();
    assert_eq!((read(&fs, "/a"), read(&fork, "/a")), (b"two".to_vec(), b"one".to_vec()));
    assert_eq!(fs.list("/".as_ref()).unwrap().len(), 1);
}
