//! What is applied and what is durable after each operation; the rules are in the module above.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    ops::Range,
    sync::Arc,
};

use super::{MemoryFs, Operation, log::Indexes};
use crate::vfs::{
    Place,
    pages::Pages,
    tree::{Dir, Node, Tree},
};

/// Bytes that are written together or not at all, where their offset in the file is a multiple of it.
pub const SECTOR: u64 = 512;

/// What a crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Everything: the process was killed.
    Applied,
    /// What was made durable and nothing else: the power was cut.
    Synced,
}

/// What may be on disk or not, of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unit {
    /// Index of the operation in the log.
    pub operation: usize,
    /// How much of it.
    pub part: Part,
}

/// How much of an operation is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// All of it.
    Whole,
    /// Of a write, the bytes at these offsets of the file.
    Bytes(Range<u64>),
    /// Of a write, the size that it gave the file, with zeros for what it wrote behind the old end.
    Size,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Child {
    inode: u64,
    is_dir: bool,
}

type Entries = BTreeMap<OsString, Child>;

/// Contents and names, by inode number.
#[derive(Clone)]
pub(super) struct Disk {
    root: u64,
    contents: BTreeMap<u64, Pages>,
    dirs: BTreeMap<u64, Arc<Entries>>,
}

impl Disk {
    pub(super) fn of(fs: &MemoryFs) -> Self {
        fn add(dir: &Dir, disk: &mut Disk) {
            let mut entries = Entries::new();
            for (name, node) in dir.nodes() {
                let child = match node {
                    Node::File(cell) => {
                        disk.contents.insert(cell.inode, cell.pages());
                        Child { inode: cell.inode, is_dir: false }
                    }
                    Node::Dir(dir) => {
                        add(dir, disk);
                        Child { inode: dir.inode(), is_dir: true }
                    }
                };
                entries.insert(name.clone(), child);
            }
            disk.dirs.insert(dir.inode(), Arc::new(entries));
        }
        fs.tree().look(|root| {
            let mut disk = Self { root: root.inode(), contents: BTreeMap::new(), dirs: BTreeMap::new() };
            add(root, &mut disk);
            disk
        })
    }

    /// What can be reached from the root, as a file system.
    pub(super) fn image(&self, next_inode: u64) -> MemoryFs {
        /// Each directory has one place; taken out when it is found, none can be found twice.
        fn build(inode: u64, disk: &Disk, left: &mut BTreeMap<u64, &Entries>) -> Option<Dir> {
            let entries = left.remove(&inode)?;
            let mut dir = Dir::new(inode);
            for (name, child) in entries {
                if child.is_dir {
                    if let Some(below) = build(child.inode, disk, left) {
                        dir.insert(name.clone(), Node::Dir(below));
                    }
                } else {
                    let pages = disk.contents.get(&child.inode).cloned().unwrap_or_default();
                    dir.insert(name.clone(), Node::File(Tree::cell(child.inode, pages)));
                }
            }
            Some(dir)
        }
        // A directory of which no name is durable is there all the same once its own is.
        let none = Entries::new();
        let known = self.dirs.values().flat_map(|entries| entries.values());
        let mut left: BTreeMap<_, _> = known.filter(|child| child.is_dir).map(|child| (child.inode, &none)).collect();
        left.extend(self.dirs.iter().map(|(inode, entries)| (*inode, entries.as_ref())));
        let root = build(self.root, self, &mut left).unwrap_or_else(|| Dir::new(self.root));
        MemoryFs::of(Tree::with_root(root, next_inode))
    }

    fn entries(&mut self, dir: u64) -> &mut Entries {
        Arc::make_mut(self.dirs.entry(dir).or_default())
    }

    fn insert(&mut self, place: &Place, child: Child) {
        self.entries(place.dir).insert(place.name.clone(), child);
    }

    /// Another one that stands there meanwhile stays.
    fn remove(&mut self, place: &Place, inode: u64) {
        let entries = self.entries(place.dir);
        if entries.get(&place.name).is_some_and(|child| child.inode == inode) {
            entries.remove(&place.name);
        }
    }

    fn apply(&mut self, operation: &Operation) {
        self.apply_part(operation, &Part::Whole);
    }

    pub(super) fn apply_part(&mut self, operation: &Operation, part: &Part) {
        match operation {
            Operation::CreateFile { file, place } => self.insert(place, Child { inode: file.inode, is_dir: false }),
            Operation::CreateDir { dir, place } => self.insert(place, Child { inode: dir.inode, is_dir: true }),
            Operation::Rename { what, is_dir, from, to, .. } => {
                self.remove(from, what.inode);
                self.insert(to, Child { inode: what.inode, is_dir: *is_dir });
            }
            Operation::RemoveFile { file: what, place } | Operation::RemoveDir { dir: what, place } => {
                self.remove(place, what.inode);
            }
            Operation::Write { file, offset, data } => {
                let end = offset + data.len() as u64;
                let pages = self.contents.entry(file.inode).or_default();
                let bytes = match part {
                    Part::Whole => *offset..end,
                    Part::Bytes(bytes) => bytes.start.max(*offset)..bytes.end.min(end),
                    Part::Size => end..end,
                };
                let slice = |at: u64| usize::try_from(at.saturating_sub(*offset)).unwrap_or(usize::MAX);
                let data = data.get(slice(bytes.start)..slice(bytes.end)).unwrap_or_default();
                // Only a size that no file can have fails, and that one failed before it was logged.
                let _ = pages.write(bytes.start, data);
                if *part == Part::Size && pages.len() < end {
                    let _ = pages.truncate(end);
                }
            }
            Operation::Truncate { file, len } => {
                let _ = self.contents.entry(file.inode).or_default().truncate(*len);
            }
            Operation::Sync { .. } | Operation::SyncDir { .. } | Operation::Mark(_) => {}
        }
    }
}

/// A unit of names that is not durable, and the directories that have to be synced for it.
#[derive(Clone)]
struct Waiting {
    operation: usize,
    dirs: BTreeSet<u64>,
}

/// The disk at a position.
#[derive(Clone)]
pub(super) struct State {
    pub(super) applied: Disk,
    pub(super) durable: Disk,
    names: Vec<Waiting>,
    contents: BTreeMap<u64, Vec<usize>>,
}

impl State {
    pub(super) fn new(base: &Disk) -> Self {
        Self { applied: base.clone(), durable: base.clone(), names: Vec::new(), contents: BTreeMap::new() }
    }

    /// Does the operation with this index of all.
    pub(super) fn apply(&mut self, index: usize, operation: &Operation, all: &[Operation]) {
        self.applied.apply(operation);
        match operation {
            Operation::Write { file, .. } | Operation::Truncate { file, .. } => {
                self.contents.entry(file.inode).or_default().push(index);
            }
            Operation::Sync { file } => {
                if self.contents.remove(&file.inode).is_some() {
                    let pages = self.applied.contents.get(&file.inode).cloned().unwrap_or_default();
                    self.durable.contents.insert(file.inode, pages);
                }
            }
            Operation::SyncDir { dir } => {
                let mut ready = Indexes::new();
                for waiting in &mut self.names {
                    waiting.dirs.remove(&dir.inode);
                    if waiting.dirs.is_empty() {
                        ready.insert(waiting.operation);
                    }
                }
                let ready = self.with_needed(all, ready);
                self.names.retain(|waiting| !ready.contains(&waiting.operation));
                for operation in ready.iter().filter_map(|index| all.get(*index)) {
                    self.durable.apply(operation);
                }
            }
            Operation::Mark(_) => {}
            names => {
                let dirs = names.places().into_iter().map(|place| place.dir).collect();
                self.names.push(Waiting { operation: index, dirs });
            }
        }
    }

    /// Indexes of the operations that are not durable, sorted.
    pub(super) fn pending(&self) -> Vec<usize> {
        let names = self.names.iter().map(|waiting| waiting.operation);
        let mut pending: Vec<_> = names.chain(self.contents.values().flatten().copied()).collect();
        pending.sort_unstable();
        pending
    }

    /// `wanted`, with the pending units of names that these need.
    pub(super) fn with_needed(&self, all: &[Operation], mut wanted: Indexes) -> Indexes {
        for (at, earlier) in self.names.iter().enumerate().rev() {
            let Some(operation) = all.get(earlier.operation) else { continue };
            let later = self.names.iter().skip(at + 1).filter(|later| wanted.contains(&later.operation));
            if later.filter_map(|later| all.get(later.operation)).any(|later| later.needs(operation)) {
                wanted.insert(earlier.operation);
            }
        }
        wanted
    }
}
