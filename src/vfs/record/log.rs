//! The log of changes, and images at its positions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    MemoryFs,
    crash::{Disk, Model, Part, SECTOR, State, Unit},
};
use crate::vfs::Place;

/// Operations between two states that are kept.
const CHECKPOINT: usize = 512;

/// A file or directory: the number that stays when it is renamed, and a path to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileId {
    /// Number that no other file or directory of the log has.
    pub inode: u64,
    /// Path that it was created, opened or named with in the call.
    pub path: Arc<Path>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A new, empty file.
    CreateFile {
        /// The file.
        file: FileId,
        /// Its name.
        place: Place,
    },
    /// A new, empty directory.
    CreateDir {
        /// The directory.
        dir: FileId,
        /// Its name.
        place: Place,
    },
    /// Bytes written, never none.
    Write {
        /// The file.
        file: FileId,
        /// Where, in bytes.
        offset: u64,
        /// What.
        data: Arc<[u8]>,
    },
    /// The size set.
    Truncate {
        /// The file.
        file: FileId,
        /// New size in bytes.
        len: u64,
    },
    /// Content and size of a file made durable.
    Sync {
        /// The file.
        file: FileId,
    },
    /// Names of a directory made durable.
    SyncDir {
        /// The directory.
        dir: FileId,
    },
    /// A file or directory renamed, perhaps over another one.
    Rename {
        /// What was renamed, with the old path.
        what: FileId,
        /// Whether it is a directory.
        is_dir: bool,
        /// Old name.
        from: Place,
        /// New name.
        to: Place,
        /// New path.
        to_path: Arc<Path>,
        /// Inode number of the file or empty directory that stood there.
        replaced: Option<u64>,
    },
    /// The name of a file removed.
    RemoveFile {
        /// The file, which handles may still write.
        file: FileId,
        /// Its name.
        place: Place,
    },
    /// An empty directory removed.
    RemoveDir {
        /// The directory.
        dir: FileId,
        /// Its name.
        place: Place,
    },
    /// A promise of the workload, by its own count.
    Mark(u64),
}

impl Operation {
    /// Whether it is a sync of a file or directory.
    pub fn is_sync(&self) -> bool {
        matches!(self, Self::Sync { .. } | Self::SyncDir { .. })
    }

    /// Names that it changes: none, one, or two.
    pub(super) fn places(&self) -> Vec<&Place> {
        match self {
            Self::CreateFile { place, .. }
            | Self::CreateDir { place, .. }
            | Self::RemoveFile { place, .. }
            | Self::RemoveDir { place, .. } => vec![place],
            Self::Rename { from, to, .. } => vec![from, to],
            _ => Vec::new(),
        }
    }

    /// Whether it cannot be there without `earlier`.
    pub(super) fn needs(&self, earlier: &Self) -> bool {
        let moves = |operation: &Self| matches!(operation, Self::Rename { is_dir: true, .. });
        let places = earlier.places();
        (moves(self) && moves(earlier))
            || self.places().iter().any(|place| places.contains(place))
            || self.ends().is_some_and(|ended| places.iter().any(|place| place.dir == ended))
    }

    /// Inode number of what it takes the name from; of a directory, the names in it end as well.
    fn ends(&self) -> Option<u64> {
        match self {
            Self::RemoveDir { dir, .. } => Some(dir.inode),
            Self::Rename { replaced, .. } => *replaced,
            _ => None,
        }
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (#{})", self.path.display(), self.inode)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateFile { file, .. } => write!(f, "create {file}"),
            Self::CreateDir { dir, .. } => write!(f, "create directory {dir}"),
            Self::Write { file, offset, data } => write!(f, "write {file}: {} bytes at {offset}", data.len()),
            Self::Truncate { file, len } => write!(f, "truncate {file}: {len} bytes"),
            Self::Sync { file } => write!(f, "sync {file}"),
            Self::SyncDir { dir } => write!(f, "sync directory {dir}"),
            Self::Rename { what, to_path, .. } => write!(f, "rename {what} to {}", to_path.display()),
            Self::RemoveFile { file, .. } => write!(f, "remove {file}"),
            Self::RemoveDir { dir, .. } => write!(f, "remove directory {dir}"),
            Self::Mark(number) => write!(f, "mark {number}"),
        }
    }
}

/// What a [`RecordingFs`](super::RecordingFs) logged, and what it began with. Positions go from 0, nothing done, to [`len`](Self::len), all done.
///
/// Images share the pages that they have in common. Asked for in rising order of positions, each costs what the operations between
/// wrote, and the number of files; in any other order, up to 512 operations more. So each thread that asks for a range of positions should have a
/// clone of its own: clones share operations and pages, and keep their own place.
pub struct Log {
    operations: Arc<[Operation]>,
    base: Disk,
    next_inode: u64,
    cache: Mutex<Cache>,
}

impl Clone for Log {
    fn clone(&self) -> Self {
        self.with_operations(self.operations.clone())
    }
}

#[derive(Default)]
struct Cache {
    checkpoints: BTreeMap<usize, State>,
    latest: Option<(usize, State)>,
}

impl Log {
    pub(super) fn new(base: &MemoryFs, operations: Vec<Operation>, next_inode: u64) -> Self {
        Self { operations: operations.into(), base: Disk::of(base), next_inode, cache: Mutex::default() }
    }

    /// All operations, in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The last position.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The last mark before a position: what was promised when the crash came.
    pub fn last_mark(&self, position: usize) -> Option<u64> {
        self.operations.iter().take(position).rev().find_map(|operation| match operation {
            Operation::Mark(number) => Some(*number),
            _ => None,
        })
    }

    /// What a crash at a position leaves. A position beyond the end is the end.
    pub fn image(&self, position: usize, model: Model) -> MemoryFs {
        self.at(position, |state| match model {
            Model::Applied => state.applied.image(self.next_inode),
            Model::Synced => state.durable.image(self.next_inode),
        })
    }

    /// Units that were done before a position and are not durable there, in the order of their operations, each whole.
    pub fn pending(&self, position: usize) -> Vec<Unit> {
        self.at(position, State::pending).into_iter().map(|operation| Unit { operation, part: Part::Whole }).collect()
    }

    /// What a crash at a position leaves if, besides all that is durable, `units` are there, and the pending ones that
    /// these cannot be without. Units that are not pending there are passed over.
    pub fn image_with(&self, position: usize, units: &[Unit]) -> MemoryFs {
        self.at(position, |state| {
            let pending = state.pending();
            let mut chosen: BTreeMap<usize, Vec<&Part>> = BTreeMap::new();
            for unit in units.iter().filter(|unit| pending.binary_search(&unit.operation).is_ok()) {
                chosen.entry(unit.operation).or_default().push(&unit.part);
            }
            let wanted = chosen.keys().copied().collect();
            for operation in state.with_needed(&self.operations, wanted) {
                chosen.entry(operation).or_insert_with(|| vec![&Part::Whole]);
            }
            let mut disk = state.durable.clone();
            for (operation, parts) in chosen {
                if let Some(operation) = self.operations.get(operation) {
                    parts.into_iter().for_each(|part| disk.apply_part(operation, part));
                }
            }
            disk.image(self.next_inode)
        })
    }

    /// The pieces that a write may be torn into, at multiples of [`SECTOR`] in the file; anything else is one piece.
    pub fn split(&self, unit: &Unit) -> Vec<Unit> {
        let (Some(Operation::Write { offset, data, .. }), Part::Whole) =
            (self.operations.get(unit.operation), &unit.part)
        else {
            return vec![unit.clone()];
        };
        let end = offset + data.len() as u64;
        let cuts = (offset / SECTOR + 1..end.div_ceil(SECTOR)).map(|sector| sector * SECTOR);
        let mut start = *offset;
        let pieces = cuts.chain([end]).map(|cut| std::mem::replace(&mut start, cut)..cut);
        pieces.map(|bytes| Unit { operation: unit.operation, part: Part::Bytes(bytes) }).collect()
    }

    /// The log without one operation, to see whether a test notices a missing sync.
    pub fn without(&self, index: usize) -> Self {
        let mut operations = self.operations.to_vec();
        if index < operations.len() {
            operations.remove(index);
        }
        self.with_operations(operations.into())
    }

    /// The log with the rename at `index` done before the last sync of the renamed file, as if written in the wrong order. `None` if there is no
    /// rename at `index`, or no sync before it.
    pub fn rename_before_sync(&self, index: usize) -> Option<Self> {
        let Some(Operation::Rename { what, .. }) = self.operations.get(index) else { return None };
        let is_its_sync =
            |operation: &Operation| matches!(operation, Operation::Sync { file } if file.inode == what.inode);
        let sync = self.operations.iter().take(index).rposition(is_its_sync)?;
        let mut operations = self.operations.to_vec();
        let rename = operations.remove(index);
        operations.insert(sync, rename);
        Some(self.with_operations(operations.into()))
    }

    fn with_operations(&self, operations: Arc<[Operation]>) -> Self {
        Self { operations, base: self.base.clone(), next_inode: self.next_inode, cache: Mutex::default() }
    }

    /// Goes to a position from the nearest state before it.
    fn at<T>(&self, position: usize, then: impl FnOnce(&State) -> T) -> T {
        let position = position.min(self.operations.len());
        let mut cache = self.cache();
        let Cache { checkpoints, latest } = &mut *cache;
        let checkpoint = checkpoints.range(..=position).next_back();
        let (mut reached, mut state) = match (latest.take(), checkpoint) {
            (Some((reached, state)), _) if reached <= position && checkpoint.is_none_or(|(at, _)| *at <= reached) => {
                (reached, state)
            }
            (_, Some((at, state))) => (*at, state.clone()),
            (_, None) => (0, State::new(&self.base)),
        };
        for operation in self.operations.get(reached..position).unwrap_or_default() {
            if reached % CHECKPOINT == 0 {
                checkpoints.entry(reached).or_insert_with(|| state.clone());
            }
            state.apply(reached, operation, &self.operations);
            reached += 1;
        }
        let result = then(&state);
        *latest = Some((reached, state));
        result
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Operations that are there, by index.
pub(super) type Indexes = BTreeSet<usize>;
