//! Taking a repair back, bit for bit: the journal of a run, backwards.
//!
//! Each line is undone on its own and then noted in `undo.jsonl` of the same folder, so an undo that was killed goes on where it stopped. What the
//! repair made is not thrown away: it goes to `undone/` in the folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    engine::{EngineError, Refusal, parts::quarantine_of},
    format::manifest::ManifestName,
    inspect::{View, files::named_by},
    report::{Firsts, repair::UndoReport, show_path},
    vfs::{FileType, Vfs, VfsMut, copy_tree, create_dirs, free_name, parent},
};

use super::{
    fingerprint::fingerprint,
    journal::{Entry, JOURNAL, copy_durably, relocate},
};

/// Name of the list of what has been undone.
const UNDO: &str = "undo.jsonl";
/// Files that a refusal names.
const SHOWN: usize = 5;
/// A journal has a line for each change of a repair.
const MOST: u64 = 1 << 30;

/// The runs of a collection that can be undone, the latest first.
pub fn runs(fs: &dyn Vfs, root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs.list(&quarantine_of(root)) else { return Vec::new() };
    let mut folders: Vec<_> = entries
        .into_iter()
        .map(|entry| entry.path)
        .filter(|folder| fs.metadata(&folder.join(JOURNAL)).is_ok() && !is_undone(fs, folder))
        .collect();
    // Names are seconds, with a sign more for each further run in one second.
    let key = |folder: &PathBuf| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name.trim_end_matches('+').parse::<u64>().unwrap_or(0), name.len())
    };
    folders.sort_by_key(|folder| std::cmp::Reverse(key(folder)));
    folders
}

/// Paths, relative to the collection, that repairs made and never published: they were ended before that. Nobody knows whether they are whole.
pub fn unpublished(fs: &dyn Vfs, root: &Path) -> BTreeSet<PathBuf> {
    let mut paths = BTreeSet::new();
    let here = fs.list(root).unwrap_or_default();
    let manifests = here.iter().filter_map(|entry| ManifestName::parse(entry.name.to_str()?));
    let newest = manifests.filter(|name| !name.temporary).map(|name| name.number).max();
    for folder in runs(fs, root) {
        let entries = read(fs, &folder.join(JOURNAL)).map(|bytes| entries(&bytes)).unwrap_or_default();
        let made = || {
            entries.iter().filter_map(|entry| match entry {
                Entry::Create { path } => Some(path),
                _ => None,
            })
        };
        // Noted is not made: a kill may have come between the two.
        let stands = |path: &String| {
            let noted = ManifestName::parse(path).filter(|name| !name.temporary);
            noted.is_some_and(|noted| newest.is_some_and(|newest| newest >= noted.number))
        };
        let published = made().any(stands) || ends(&entries);
        if !published {
            paths.extend(made().map(PathBuf::from));
        }
    }
    paths
}

fn ends(entries: &[Entry]) -> bool {
    matches!(entries.last(), Some(Entry::End { .. }))
}

fn is_undone(fs: &dyn Vfs, folder: &Path) -> bool {
    read(fs, &folder.join(UNDO)).is_ok_and(|bytes| bytes.ends_with(b"\"finished\"\n"))
}

/// Takes back the run whose journal is in `folder`. The caller holds the collection's lock.
pub fn undo(fs: &Arc<dyn VfsMut>, root: &Path, folder: &Path) -> Result<UndoReport, EngineError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| EngineError::io(&path, error)
    };
    if is_undone(fs.as_ref(), folder) {
        return Ok(UndoReport { folder: show_path(folder), already: true, ..UndoReport::default() });
    }
    let journal = folder.join(JOURNAL);
    let entries = entries(&read(fs.as_ref(), &journal).map_err(failed(&journal))?);
    let list = folder.join(UNDO);
    let done = match read(fs.as_ref(), &list) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(&list)(error)),
    };
    let whole = done.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let steps = done.get(..whole).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
    if steps == 0 {
        unchanged(fs, root, &entries)?;
    }
    let left = entries.get(..entries.len().saturating_sub(steps)).unwrap_or_default();
    let missing = missing(fs.as_ref(), root, folder, left);
    if missing.count > 0 {
        let message = format!(
            "{} file(s) that the repair kept are not in {} any more: {missing}; nothing was changed",
            missing.count,
            folder.display()
        );
        return Err(Refusal::new("repair.kept-missing", message).into());
    }
    let file = match fs.create_new(&list) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => fs.open_write(&list),
        made => made,
    }
    .map_err(failed(&list))?;
    fs.sync_dir(folder).map_err(failed(folder))?;
    let mut end = whole as u64;
    let mut note = |line: &str| -> io::Result<()> {
        file.write_all_at(end, line.as_bytes())?;
        file.sync()?;
        end += line.len() as u64;
        Ok(())
    };
    let mut report = UndoReport { folder: show_path(folder), ..UndoReport::default() };
    let mut dirs = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate().rev().skip(steps) {
        step(fs.as_ref(), root, folder, entry, &mut report, &mut dirs).map_err(failed(root))?;
        note(&format!("{index}\n")).map_err(failed(&list))?;
    }
    for dir in dirs {
        // A directory may be gone again by now.
        match fs.sync_dir(&dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&dir)(error)),
            _ => {}
        }
    }
    note("\"finished\"\n").map_err(failed(&list))?;
    Ok(report)
}

/// What cannot be put back: it is not where the repair kept it. What is not there because the repair died between its note and the move still stands in its
/// old place; that is found out by going through the lines backwards, as they will be undone.
fn missing(fs: &dyn Vfs, root: &Path, folder: &Path, entries: &[Entry]) -> Firsts<SHOWN> {
    let mut stands: BTreeMap<PathBuf, bool> = BTreeMap::new();
    let is_there = |stands: &BTreeMap<PathBuf, bool>, path: &Path| {
        stands.get(path).copied().unwrap_or_else(|| fs.metadata(path).is_ok())
    };
    let mut missing = Firsts::default();
    for entry in entries.iter().rev() {
        let (path, kept) = match entry {
            Entry::Begin { .. } | Entry::End { .. } => continue,
            Entry::Create { path } => {
                stands.insert(root.join(path), false);
                continue;
            }
            Entry::RemoveDir { path } => {
                stands.insert(root.join(path), true);
                continue;
            }
            Entry::Remove { path, saved } => (path, folder.join(saved)),
            Entry::Move { path, to } => (path, root.join(to)),
            // The copy was durable before the note.
            Entry::Change { path, saved } => {
                if !is_there(&stands, &folder.join(saved)) {
                    missing.add(|| path.clone());
                }
                continue;
            }
        };
        let old = root.join(path);
        if is_there(&stands, &kept) {
            stands.insert(kept, false);
        } else if !is_there(&stands, &old) {
            missing.add(|| path.clone());
        }
        stands.insert(old, true);
    }
    missing
}

/// Undoes one line. Taken twice it does no harm.
fn step(
    fs: &dyn VfsMut,
    root: &Path,
    folder: &Path,
    entry: &Entry,
    report: &mut UndoReport,
    dirs: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    match entry {
        Entry::Begin { .. } | Entry::End { .. } => {}
        Entry::Create { path } => {
            let here = root.join(path);
            match fs.metadata(&here).map(|found| found.file_type) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok(FileType::Dir) if fs.list(&here)?.is_empty() => fs.remove_dir(&here)?,
                Ok(_) => {
                    let target = free_name(fs, &folder.join("undone").join(path));
                    create_dirs(fs, parent(&target))?;
                    put(fs, &here, &target)?;
                    report.taken_out += 1;
                }
            }
            dirs.insert(parent(&here).to_owned());
        }
        Entry::Remove { path, saved } => {
            if put_back(fs, &folder.join(saved), &root.join(path))? {
                report.restored += 1;
            }
        }
        Entry::Move { path, to } => {
            let to = root.join(to);
            if put_back(fs, &to, &root.join(path))? {
                report.restored += 1;
            }
        }
        Entry::RemoveDir { path } => match fs.create_dir(&root.join(path)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => {
                made?;
                dirs.insert(parent(&root.join(path)).to_owned());
            }
        },
        Entry::Change { path, saved } => {
            let (here, saved) = (root.join(path), folder.join(saved));
            let mut name = here.file_name().unwrap_or_default().to_owned();
            name.push(".undo.tmp");
            let temporary = here.with_file_name(name);
            match fs.remove_file(&temporary) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            copy_durably(fs, &saved, &temporary)?;
            fs.rename(&temporary, &here)?;
            fs.sync_dir(parent(&here))?;
            report.restored += 1;
        }
    }
    Ok(())
}

/// Moves back what was moved away, if it still is away.
fn put_back(fs: &dyn VfsMut, from: &Path, to: &Path) -> io::Result<bool> {
    match fs.metadata(from) {
        // Either it is back already, or the repair died before it moved it.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(_) => put(fs, from, to).map(|()| true),
    }
}

/// Moves a file or a directory.
fn put(fs: &dyn VfsMut, from: &Path, to: &Path) -> io::Result<()> {
    match relocate(fs, from, to) {
        Err(error) if error.kind() == ErrorKind::IsADirectory => {
            copy_tree(fs, from, fs, to)?;
            crate::engine::remove_tree(fs, from).map_err(|error| io::Error::other(error.to_string()))
        }
        done => done,
    }
}

/// Refuses if somebody has written since.
fn unchanged(fs: &Arc<dyn VfsMut>, root: &Path, entries: &[Entry]) -> Result<(), EngineError> {
    let refuse = |why: &str| {
        let message = format!("{why}: taking the repair back would take that back, too");
        Err(Refusal::new("repair.changed-since", message).into())
    };
    if let Some(Entry::End { fingerprint: then }) = entries.last() {
        let now = fingerprint(fs.as_ref(), root, &mut || true).map_err(|error| EngineError::io(root, error))?;
        return if now == *then { Ok(()) } else { refuse("the collection has been changed since the repair") };
    }
    // The repair was killed. Whoever published a manifest since may use what it left.
    let created: BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Create { path } => Some(path.as_str()),
            _ => None,
        })
        .collect();
    let Ok(view) = View::open(fs.clone(), root) else { return Ok(()) };
    let Ok((file, manifest)) = view.manifest() else { return Ok(()) };
    if created.contains(show_path(&file.path).as_str()) {
        return Ok(());
    }
    let uses = named_by(manifest).into_iter().any(|named| created.contains(show_path(&named.path).as_str()));
    if uses { refuse("a manifest that the repair did not write names files that it wrote") } else { Ok(()) }
}

/// The lines of a journal; the last may be torn, and then its change was not made.
fn entries(bytes: &[u8]) -> Vec<Entry> {
    bytes.split(|byte| *byte == b'\n').map_while(|line| serde_json::from_slice(line).ok()).collect()
}

fn read(fs: &dyn Vfs, path: &Path) -> io::Result<Vec<u8>> {
    let file = fs.open(path)?;
    let len = file.len()?;
    if len > MOST {
        return Err(io::Error::new(ErrorKind::InvalidData, "too large for a journal"));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
    file.read_exact_at(0, &mut bytes)?;
    Ok(bytes)
}
