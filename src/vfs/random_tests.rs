//! Random operations on several file systems at once, which must answer alike.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use proptest::prelude::*;

use super::{FileMut, MemoryFs, Model, OverlayFs, ReadOnlyFs, RealFs, RecordingFs, VfsMut};

#[derive(Debug, Clone)]
enum Step {
    Create(PathBuf),
    OpenWrite(PathBuf),
    CreateDir(PathBuf),
    Rename(PathBuf, PathBuf),
    RemoveFile(PathBuf),
    RemoveDir(PathBuf),
    SyncDir(PathBuf),
    Look(PathBuf),
    Write(usize, u64, u8, usize),
    Truncate(usize, u64),
    Sync(usize),
}

fn path() -> impl Strategy<Value = PathBuf> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..=3).prop_map(|names| names.iter().collect())
}

fn step() -> impl Strategy<Value = Step> {
    let handle = 0..4_usize;
    let offset = prop_oneof![0..20_000_u64, Just(4096), Just(1 << 20), (1_040_000..1_060_000_u64)];
    prop_oneof![
        3 => path().prop_map(Step::Create),
        1 => path().prop_map(Step::OpenWrite),
        3 => path().prop_map(Step::CreateDir),
        4 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => path().prop_map(Step::RemoveFile),
        1 => path().prop_map(Step::RemoveDir),
        2 => prop_oneof![Just(PathBuf::from(".")), path()].prop_map(Step::SyncDir),
        1 => path().prop_map(Step::Look),
        4 => (handle.clone(), offset.clone(), 0..3_u8, 0..9000_usize).prop_map(|(h, o, b, n)| Step::Write(h, o, b, n)),
        1 => (handle.clone(), offset).prop_map(|(handle, len)| Step::Truncate(handle, len)),
        2 => handle.prop_map(Step::Sync),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..60)
}

/// One of the file systems, with the files that are open in it.
struct Side<'a> {
    fs: &'a dyn VfsMut,
    root: PathBuf,
    handles: Vec<Box<dyn FileMut>>,
}

impl<'a> Side<'a> {
    fn new(fs: &'a dyn VfsMut, root: &Path) -> Self {
        Self { fs, root: root.to_owned(), handles: Vec::new() }
    }

    /// What there is to see of the answer.
    fn run(&mut self, step: &Step) -> Result<String, ErrorKind> {
        let at = |path: &Path| self.root.join(path);
        let handle = |number: usize| self.handles.iter().rev().nth(number);
        let done = match step {
            Step::Create(path) => self.fs.create_new(&at(path)).map(|file| self.handles.push(file)),
            Step::OpenWrite(path) => self.fs.open_write(&at(path)).map(|file| self.handles.push(file)),
            Step::CreateDir(path) => self.fs.create_dir(&at(path)),
            Step::Rename(from, to) => self.fs.rename(&at(from), &at(to)),
            Step::RemoveFile(path) => self.fs.remove_file(&at(path)),
            Step::RemoveDir(path) => self.fs.remove_dir(&at(path)),
            Step::SyncDir(path) => match self.fs.metadata(&at(path)) {
                // The real one syncs a file, too, which nobody needs.
                Ok(found) if found.file_type == super::FileType::File => Ok(()),
                _ => self.fs.sync_dir(&at(path)),
            },
            Step::Look(path) => return self.look(path),
            Step::Write(number, offset, byte, len) => {
                handle(*number).map_or(Ok(()), |file| file.write_all_at(*offset, &vec![*byte; *len]))
            }
            Step::Truncate(number, len) => handle(*number).map_or(Ok(()), |file| file.truncate(*len)),
            Step::Sync(number) => handle(*number).map_or(Ok(()), |file| file.sync()),
        };
        done.map(|()| String::new()).map_err(|error| error.kind())
    }

    fn look(&self, path: &Path) -> Result<String, ErrorKind> {
        let path = self.root.join(path);
        let kind = |error: std::io::Error| error.kind();
        let found = self.fs.metadata(&path).map_err(kind)?;
        let opened = self.fs.open(&path).map(|file| file.len().unwrap()).map_err(kind);
        let below = |path: &Path| path.strip_prefix(&self.root).unwrap().to_owned();
        let entries = self.fs.list(&path).map_err(kind).map(|entries| {
            let entry = |e: super::DirEntry| (e.name, below(&e.path), e.metadata.map(|m| (m.file_type, m.len)));
            entries.into_iter().map(entry).collect::<Vec<_>>()
        });
        let real_root = self.fs.canonical(&self.root).map_err(kind)?;
        let canonical = self.fs.canonical(&path).map_err(kind)?;
        let canonical = canonical.strip_prefix(real_root).unwrap();
        Ok(format!("{:?} {} {opened:?} {entries:?} {canonical:?}", found.file_type, found.len))
    }

    fn contents(&self) -> Vec<Vec<u8>> {
        let content = |file: &dyn FileMut| {
            let mut data = vec![9; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_exact_at(0, &mut data).unwrap();
            data
        };
        self.handles.iter().map(|file| content(file.as_ref())).collect()
    }
}

fn answer_alike(one: &mut Side<'_>, two: &mut Side<'_>, steps: &[Step]) {
    for (number, step) in steps.iter().enumerate() {
        assert_eq!(one.run(step), two.run(step), "step {number}: {step:?}");
    }
    assert!(one.contents() == two.contents(), "open files differ");
}

fn sync_all(fs: &dyn VfsMut, dir: &Path) {
    for entry in fs.list(dir).unwrap() {
        match entry.metadata.unwrap().file_type {
            super::FileType::Dir => sync_all(fs, &entry.path),
            _ => fs.open_write(&entry.path).unwrap().sync().unwrap(),
        }
    }
    fs.sync_dir(dir).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn memory_behaves_like_the_real_file_system(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let fs = MemoryFs::new();
        answer_alike(&mut Side::new(&RealFs, dir.path()), &mut Side::new(&fs, "/".as_ref()), &steps);
        let real = MemoryFs::from_dir(dir.path(), "/".as_ref()).unwrap();
        prop_assert_eq!(real.fingerprint(), fs.fingerprint());
    }

    #[test]
    fn an_overlay_behaves_like_a_copy_and_leaves_the_base_alone(before in steps(), after in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut real = Side::new(&RealFs, dir.path());
        before.iter().for_each(|step| drop(real.run(step)));
        let copy = MemoryFs::from_dir(dir.path(), "/".as_ref()).unwrap();
        let fingerprint = copy.fingerprint();

        let overlay = OverlayFs::new(Arc::new(ReadOnlyFs));
        answer_alike(&mut Side::new(&overlay, dir.path()), &mut Side::new(&copy, "/".as_ref()), &after);
        let seen = MemoryFs::new();
        super::copy_tree(&overlay, dir.path(), &seen, "/".as_ref()).unwrap();
        prop_assert_eq!(seen.fingerprint(), copy.fingerprint());
        prop_assert_eq!(MemoryFs::from_dir(dir.path(), "/".as_ref()).unwrap().fingerprint(), fingerprint);
    }

    #[test]
    fn images_of_a_log_are_what_was_there_at_each_position(before in steps(), after in steps()) {
        let base = MemoryFs::new();
        let mut side = Side::new(&base, "/".as_ref());
        before.iter().for_each(|step| drop(side.run(step)));
        let recording = RecordingFs::new(&base);
        let mut live = vec![recording.live().fingerprint()];
        let mut side = Side::new(&recording, "/".as_ref());
        for step in &after {
            let _ = side.run(step);
            live.resize(recording.position() + 1, recording.live().fingerprint());
        }
        let log = recording.log();
        prop_assert_eq!(log.len() + 1, live.len());
        for (position, live) in live.iter().enumerate() {
            prop_assert_eq!(log.image(position, Model::Applied).fingerprint(), *live, "applied at {}", position);
            let pending = log.pending(position);
            prop_assert_eq!(log.image_with(position, &pending).fingerprint(), *live, "all pending at {}", position);
            let torn: Vec<_> = pending.iter().flat_map(|unit| log.split(unit)).collect();
            prop_assert_eq!(log.image_with(position, &torn).fingerprint(), *live, "all pieces at {}", position);
            let synced = log.image(position, Model::Synced).fingerprint();
            prop_assert_eq!(log.image_with(position, &[]).fingerprint(), synced);
        }
        for position in (0..live.len()).rev() {
            prop_assert_eq!(log.image(position, Model::Applied).fingerprint(), live[position], "backwards");
        }
        prop_assert_eq!(log.image(0, Model::Synced).fingerprint(), base.fingerprint());

        sync_all(&recording, "/".as_ref());
        let log = recording.log();
        prop_assert_eq!(log.image(log.len(), Model::Synced).fingerprint(), recording.live().fingerprint());
    }
}
