//! Tests of the log and of the models of a crash.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::*;

/// Every path of a tree, with the content of files.
fn show(fs: &MemoryFs) -> Vec<String> {
    fn walk(fs: &MemoryFs, dir: &Path, shown: &mut Vec<String>) {
        for entry in fs.list(dir).unwrap() {
            if entry.metadata.unwrap().file_type == crate::vfs::FileType::Dir {
                shown.push(format!("{}/", entry.path.display()));
                walk(fs, &entry.path, shown);
            } else {
                let file = fs.open(&entry.path).unwrap();
                let mut data = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
                file.read_exact_at(0, &mut data).unwrap();
                shown.push(format!("{}={}", entry.path.display(), String::from_utf8_lossy(&data)));
            }
        }
    }
    let mut shown = Vec::new();
    walk(fs, "/".as_ref(), &mut shown);
    shown
}

/// What a power cut now leaves.
fn synced(fs: &RecordingFs) -> Vec<String> {
    show(&fs.log().image(usize::MAX, Model::Synced))
}

fn create(fs: &dyn VfsMut, path: &str, data: &str) -> Box<dyn FileMut> {
    let file = fs.create_new(path.as_ref()).unwrap();
    file.write_all_at(0, data.as_bytes()).unwrap();
    file
}

fn sync_dir(fs: &dyn VfsMut, path: &str) {
    fs.sync_dir(path.as_ref()).unwrap();
}

fn rename(fs: &dyn VfsMut, from: &str, to: &str) {
    fs.rename(from.as_ref(), to.as_ref()).unwrap();
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_file_needs_its_own_sync_and_that_of_its_directory() {
    let fs = RecordingFs::new(&MemoryFs::new());
    let file = create(&fs, "/a", "1");
    file.sync().unwrap();
    assert_eq!(synced(&fs), none(), "its name is not durable");
    sync_dir(&fs, "/");
    assert_eq!(synced(&fs), ["/a=1"]);
    file.write_all_at(1, b"2").unwrap();
    assert_eq!(synced(&fs), ["/a=1"]);
    file.truncate(0).unwrap();
    file.sync().unwrap();
    assert_eq!(synced(&fs), ["/a="]);

    drop(create(&fs, "/b", "unsynced"));
    sync_dir(&fs, "/");
    assert_eq!(synced(&fs), ["/a=", "/b="], "without a sync it is empty");
}

#[test]
fn a_new_directory_needs_the_sync_of_the_one_above() {
    let fs = RecordingFs::new(&MemoryFs::new());
    fs.create_dir("/d".as_ref()).unwrap();
    create(&fs, "/d/f", "1").sync().unwrap();
    sync_dir(&fs, "/d");
    assert_eq!(synced(&fs), none());
    sync_dir(&fs, "/");
    assert_eq!(synced(&fs), ["/d/", "/d/f=1"]);

    fs.create_dir("/e".as_ref()).unwrap();
    create(&fs, "/e/f", "1").sync().unwrap();
    sync_dir(&fs, "/");
    assert_eq!(synced(&fs), ["/d/", "/d/f=1", "/e/"]);
}

#[test]
fn a_removal_that_is_not_synced_did_not_happen() {
    let base = MemoryFs::new();
    drop(create(&base, "/f", "1"));
    base.create_dir("/d".as_ref()).unwrap();
    let fs = RecordingFs::new(&base);
    fs.remove_file("/f".as_ref()).unwrap();
    fs.remove_dir("/d".as_ref()).unwrap();
    assert_eq!(synced(&fs), ["/d/", "/f=1"]);
    sync_dir(&fs, "/");
    assert_eq!(synced(&fs), none());
    assert_eq!(show(&base), ["/d/", "/f=1"], "the base is not changed");
}

#[test]
fn a_rename_that_is_not_synced_shows_the_old_names() {
    let base = MemoryFs::new();
    drop(create(&base, "/manifest", "old"));
    let fs = RecordingFs::new(&base);
    create(&fs, "/manifest.tmp", "new").sync().unwrap();
    sync_dir(&fs, "/");
    rename(&fs, "/manifest.tmp", "/manifest");
    assert_eq!(synced(&fs), ["/manifest=old", "/manifest.tmp=new"]);
    sync_dir(&fs, "/");
    assert_eq!(synced(&fs), ["/manifest=new"]);
    let file = fs.open_write("/manifest".as_ref()).unwrap();
    file.write_all_at(0, b"N").unwrap();
    rename(&fs, "/manifest", "/other");
    file.sync().unwrap();
    assert_eq!(synced(&fs), ["/manifest=New"], "a sync is the file's, whatever its name");
}

#[test]
fn a_rename_between_directories_needs_both() {
    let base = MemoryFs::new();
    base.create_dirs("/a".as_ref()).unwrap();
    base.create_dirs("/b".as_ref()).unwrap();
    drop(create(&base, "/a/f", "1"));
    for order in [["/a", "/b"], ["/b", "/a"]] {
        let fs = RecordingFs::new(&base);
        rename(&fs, "/a/f", "/b/g");
        sync_dir(&fs, order[0]);
        assert_eq!(synced(&fs), ["/a/", "/a/f=1", "/b/"], "neither lost nor there twice");
        sync_dir(&fs, order[1]);
        assert_eq!(synced(&fs), ["/a/", "/b/", "/b/g=1"]);
    }
}

#[test]
fn a_name_used_again_brings_what_was_there_before_it() {
    let base = MemoryFs::new();
    base.create_dirs("/a".as_ref()).unwrap();
    base.create_dirs("/b".as_ref()).unwrap();
    create(&base, "/a/f", "old").sync().unwrap();
    let fs = RecordingFs::new(&base);
    rename(&fs, "/a/f", "/b/f");
    create(&fs, "/a/f", "new").sync().unwrap();
    sync_dir(&fs, "/a");
    // The rename is durable without a sync of /b, because the new /a/f is, and the old one is nowhere else.
    assert_eq!(synced(&fs), ["/a/", "/a/f=new", "/b/", "/b/f=old"]);
    assert!(fs.log().pending(usize::MAX).is_empty());
}

/// Of a removed directory nothing can be synced any more; what was moved out of it must not wait for that.
#[test]
fn a_removed_directory_takes_along_what_was_done_in_it() {
    for replace in [false, true] {
        let fs = RecordingFs::new(&MemoryFs::new());
        fs.create_dir("/d".as_ref()).unwrap();
        create(&fs, "/d/f", "1").sync().unwrap();
        rename(&fs, "/d/f", "/f");
        sync_dir(&fs, "/");
        assert_eq!(synced(&fs), ["/d/"]);
        if replace {
            fs.create_dir("/e".as_ref()).unwrap();
            rename(&fs, "/e", "/d");
        } else {
            fs.remove_dir("/d".as_ref()).unwrap();
        }
        sync_dir(&fs, "/");
        assert_eq!(synced(&fs), if replace { vec!["/d/", "/f=1"] } else { vec!["/f=1"] });
        assert!(fs.log().pending(usize::MAX).is_empty());
    }
}

#[test]
fn directories_moved_into_one_another_never_make_a_circle() {
    let base = MemoryFs::new();
    base.create_dirs("/x".as_ref()).unwrap();
    base.create_dirs("/y".as_ref()).unwrap();
    let fs = RecordingFs::new(&base);
    rename(&fs, "/x", "/y/x");
    rename(&fs, "/y/x", "/x");
    rename(&fs, "/y", "/x/y");
    let log = fs.log();
    let pending = log.pending(usize::MAX);
    assert_eq!(pending.len(), 3);
    for chosen in 0..8 {
        let units: Vec<_> = (0..3).filter(|bit| chosen >> bit & 1 == 1).map(|bit| pending[bit].clone()).collect();
        assert_eq!(show(&log.image_with(usize::MAX, &units)).len(), 2, "both directories are there: {units:?}");
    }
}

#[test]
fn any_subset_of_what_is_pending_can_be_there() {
    let base = MemoryFs::new();
    drop(create(&base, "/f", ""));
    let fs = RecordingFs::new(&base);
    let file = fs.open_write("/f".as_ref()).unwrap();
    file.write_all_at(0, b"ab").unwrap();
    file.write_all_at(2, b"cd").unwrap();
    create(&fs, "/g.tmp", "").sync().unwrap();
    rename(&fs, "/g.tmp", "/g");
    let log = fs.log();
    let pending = log.pending(usize::MAX);
    assert_eq!(pending.iter().map(|unit| unit.operation).collect::<Vec<_>>(), [0, 1, 2, 4]);
    let with = |units: &[usize]| {
        let units: Vec<_> = units.iter().map(|unit| pending[*unit].clone()).collect();
        show(&log.image_with(usize::MAX, &units))
    };
    assert_eq!(with(&[]), ["/f="]);
    assert_eq!(with(&[1]), ["/f=\0\0cd"], "a later write without the earlier one");
    assert_eq!(with(&[0]), ["/f=ab"]);
    assert_eq!(with(&[2]), ["/f=", "/g.tmp="]);
    assert_eq!(with(&[3]), ["/f=", "/g="], "a rename brings the creation that it needs");
    assert_eq!(with(&[3, 0, 1]), ["/f=abcd", "/g="], "in any order");

    let size = Unit { operation: 1, part: Part::Size };
    assert_eq!(show(&log.image_with(usize::MAX, &[size])), ["/f=\0\0\0\0"]);
    let all: BTreeSet<_> =
        (0..16).map(|chosen| with(&(0..4).filter(|bit| chosen >> bit & 1 == 1).collect::<Vec<_>>())).collect();
    assert_eq!(all.len(), 4 * 3, "four contents, and none, the first, or the last of the names");
}

#[test]
fn a_write_is_torn_at_sectors_of_the_file() {
    let base = MemoryFs::new();
    drop(create(&base, "/f", ""));
    let fs = RecordingFs::new(&base);
    let file = fs.open_write("/f".as_ref()).unwrap();
    file.write_all_at(500, &[b'x'; 600]).unwrap();
    file.truncate(1100).unwrap();
    let log = fs.log();
    let pending = log.pending(2);
    let pieces = log.split(&pending[0]);
    let parts: Vec<_> = pieces.iter().map(|unit| unit.part.clone()).collect();
    assert_eq!(parts, [Part::Bytes(500..512), Part::Bytes(512..1024), Part::Bytes(1024..1100)]);
    assert_eq!(log.split(&pending[1]), [pending[1].clone()], "a size is not torn");
    assert_eq!(log.split(&pieces[1]), [pieces[1].clone()]);

    let image = log.image_with(2, &[pieces[1].clone()]);
    let file = image.open("/f".as_ref()).unwrap();
    assert_eq!(file.len().unwrap(), 1024);
    let mut data = [0; 1024];
    file.read_exact_at(0, &mut data).unwrap();
    assert!(data[..512].iter().all(|byte| *byte == 0) && data[512..].iter().all(|byte| *byte == b'x'));
    let whole = log.image(1, Model::Applied).fingerprint();
    assert_eq!(log.image_with(1, &pieces).fingerprint(), whole);
    let aligned = Operation::Write {
        file: FileId { inode: 9, path: Arc::from(Path::new("/f")) },
        offset: 512,
        data: Arc::from([0; 1024]),
    };
    let log = Log::new(&base, vec![aligned], 10);
    let parts: Vec<_> = log.split(&log.pending(1)[0]).into_iter().map(|unit| unit.part).collect();
    assert_eq!(parts, [Part::Bytes(512..1024), Part::Bytes(1024..1536)]);
}

/// A publisher of manifests as it should be: content, sync, rename, sync of the directory, then the promise.
fn publish(fs: &RecordingFs) {
    for version in 1..=3_u64 {
        create(fs, "/manifest.tmp", &version.to_string()).sync().unwrap();
        rename(fs, "/manifest.tmp", "/manifest");
        sync_dir(fs, "/");
        fs.mark(version);
    }
}

/// Whether at every position both images hold the last version that was promised, or the one that was being published.
fn keeps_promises(log: &Log) -> bool {
    (0..=log.len()).all(|position| {
        let promised = log.last_mark(position).unwrap_or(0);
        [Model::Applied, Model::Synced].into_iter().all(|model| {
            let shown = show(&log.image(position, model));
            let manifest = shown.iter().find_map(|line| line.strip_prefix("/manifest="));
            match manifest {
                Some(version) => [promised, promised + 1].iter().any(|good| good.to_string() == *version),
                None => promised == 0,
            }
        })
    })
}

#[test]
fn a_harness_notices_every_sync_left_out_and_every_rename_too_early() {
    let fs = RecordingFs::new(&MemoryFs::new());
    publish(&fs);
    let log = fs.log();
    assert!(keeps_promises(&log));
    let indexes = |wanted: fn(&Operation) -> bool| {
        log.operations()
            .iter()
            .enumerate()
            .filter(move |(_, op)| wanted(op))
            .map(|(index, _)| index)
            .collect::<Vec<_>>()
    };
    let syncs = indexes(Operation::is_sync);
    assert_eq!(syncs.len(), 6);
    for index in syncs {
        assert!(!keeps_promises(&log.without(index)), "without {}", log.operations()[index]);
    }
    let renames = indexes(|operation| matches!(operation, Operation::Rename { .. }));
    assert_eq!(renames.len(), 3);
    for index in renames {
        let early = log.rename_before_sync(index).unwrap();
        assert_eq!(early.len(), log.len());
        let early_directory_sync = early.operations()[index].is_sync();
        assert!(early_directory_sync, "the rename and the sync changed places");
    }
    assert!(log.rename_before_sync(0).is_none());

    for left_out in 0..6 {
        let fs = RecordingFs::ignoring_sync(&MemoryFs::new(), move |call| call.number == left_out);
        publish(&fs);
        assert_eq!(fs.position(), log.len() - 1);
        assert!(!keeps_promises(&fs.log()), "without sync {left_out}");
    }
    let fs = RecordingFs::ignoring_sync(&MemoryFs::new(), |call| call.is_dir && call.path == Path::new("/"));
    publish(&fs);
    assert_eq!(synced(&fs), none());
}

/// Rename first: the empty manifest is seen where the disk writes the name by itself.
#[test]
fn a_rename_before_the_sync_shows_in_a_subset_of_what_is_pending() {
    let fs = RecordingFs::new(&MemoryFs::new());
    publish(&fs);
    let log = fs.log();
    let shows_empty = |log: &Log| {
        (0..=log.len()).any(|position| {
            let names = log
                .pending(position)
                .into_iter()
                .filter(|unit| !matches!(log.operations()[unit.operation], Operation::Write { .. }));
            show(&log.image_with(position, &names.collect::<Vec<_>>())).contains(&"/manifest=".to_owned())
        })
    };
    assert!(!shows_empty(&log));
    let rename = log.operations().iter().position(|op| matches!(op, Operation::Rename { .. })).unwrap();
    assert!(shows_empty(&log.rename_before_sync(rename).unwrap()));
}

#[test]
fn the_log_reads_as_what_was_done() {
    let fs = RecordingFs::new(&MemoryFs::new());
    fs.create_dir("/d".as_ref()).unwrap();
    let file = create(&fs, "/d/f", "abc");
    file.write_all_at(9, b"").unwrap();
    file.truncate(2).unwrap();
    file.sync().unwrap();
    rename(&fs, "/d/f", "/g");
    rename(&fs, "/g", "/g");
    sync_dir(&fs, "/");
    fs.mark(7);
    fs.remove_file("/g".as_ref()).unwrap();
    fs.remove_dir("/d".as_ref()).unwrap();
    assert!(fs.create_dir("/none/d".as_ref()).is_err());
    let log = fs.log();
    let shown: Vec<_> = log.operations().iter().map(Operation::to_string).collect();
    assert_eq!(
        shown,
        [
            "create directory /d (#1)",
            "create /d/f (#2)",
            "write /d/f (#2): 3 bytes at 0",
            "truncate /d/f (#2): 2 bytes",
            "sync /d/f (#2)",
            "rename /d/f (#2) to /g",
            "sync directory / (#0)",
            "mark 7",
            "remove /g (#2)",
            "remove directory /d (#1)",
        ]
    );
    assert_eq!((log.last_mark(7), log.last_mark(8)), (None, Some(7)));
}

#[test]
fn images_share_what_they_have_in_common() {
    let fs = RecordingFs::new(&MemoryFs::new());
    let file = create(&fs, "/f", "");
    file.write_all_at(0, &vec![7; 4 << 20]).unwrap();
    let appended = Arc::new(AtomicU64::new(4 << 20));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (file, appended) = (&file, appended.clone());
            scope.spawn(move || {
                for _ in 0..1000 {
                    file.write_all_at(appended.fetch_add(10, Ordering::Relaxed), b"0123456789").unwrap();
                }
            });
        }
    });
    let log = fs.log();
    assert_eq!(log.len(), 2002, "the order of two threads is logged");
    // 2,003 images of 4 MiB would be 8 GB.
    let images: Vec<_> = (0..=log.len()).map(|position| log.image(position, Model::Applied)).collect();
    let different: BTreeSet<_> = images.iter().map(MemoryFs::fingerprint).collect();
    assert_eq!(different.len(), 2003);
    assert_eq!(images.last().unwrap().fingerprint(), fs.live().fingerprint());
    let clone = log.clone();
    assert_eq!(clone.image(1000, Model::Applied).fingerprint(), images[1000].fingerprint());
}
