//! Wounds: what disks, crashes and people do to files, and what no checksum catches.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use zvecctl::format::{
    read_vec,
    rocks::block::{BlockHandle, TRAILER_SIZE},
};

use crate::{Original, memory_fs::Files, mend, random::Random};

/// One wound, for the message of a failing case.
pub struct Mutation {
    path: PathBuf,
    what: String,
    mended: bool,
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mended = if self.mended { ", checksums mended" } else { "" };
        write!(f, "{}: {}{mended}", self.path.display(), self.what)
    }
}

/// Kinds of files, so that each is hit as often as any other, however many files it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Manifest,
    Wal,
    DeleteSet,
    Ipc,
    Parquet,
    Vectors,
    Table,
    RocksManifest,
    RocksLog,
    Current,
    Other,
}

fn kind(path: &Path) -> Kind {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let in_database = path.iter().count() > 1
        && !name.ends_with(".proxima")
        && path.parent().is_some_and(|dir| {
            let dir = dir.to_string_lossy();
            dir.starts_with("idmap.") || dir.ends_with(".rocksdb")
        });
    match &*name {
        "CURRENT" => Kind::Current,
        _ if name.starts_with("manifest.") => Kind::Manifest,
        _ if name.starts_with("del.") => Kind::DeleteSet,
        _ if name.ends_with(".wal") => Kind::Wal,
        _ if name.ends_with(".ipc") => Kind::Ipc,
        _ if name.ends_with(".parquet") => Kind::Parquet,
        _ if name.ends_with(".proxima") => Kind::Vectors,
        _ if name.ends_with(".sst") => Kind::Table,
        _ if in_database && name.starts_with("MANIFEST-") => Kind::RocksManifest,
        _ if in_database && name.ends_with(".log") => Kind::RocksLog,
        _ => Kind::Other,
    }
}

fn by_kind(files: &Files) -> BTreeMap<Kind, Vec<PathBuf>> {
    let mut kinds: BTreeMap<Kind, Vec<PathBuf>> = BTreeMap::new();
    for path in files.iter().filter(|(_, content)| !content.is_empty()).map(|(path, _)| path) {
        kinds.entry(kind(path)).or_default().push(path.clone());
    }
    // Options, identities and locks are not read; one in their place is as good as all.
    if let Some(others) = kinds.get_mut(&Kind::Other) {
        others.truncate(1);
    }
    kinds
}

/// Wounds one to `most` places of a collection.
pub fn wound(random: &mut Random, files: &mut Files, originals: &[Original], most: usize) -> Vec<Mutation> {
    let mut mutations = Vec::new();
    for _ in 0..=random.below(most) {
        let kinds = by_kind(files);
        let Some(of_kind) = kinds.values().nth(random.below(kinds.len())) else { break };
        let path = random.pick(of_kind).clone();
        let mended = !random.one_in(3);
        let what = match random.below(22) {
            0 => {
                files.remove(&path);
                mutations.push(Mutation { path, what: "removed".to_owned(), mended: false });
                continue;
            }
            3 => {
                let (other, keeps) = (new_name(random, files, &path), random.one_in(2));
                let what = if keeps { "copied" } else { "renamed" };
                if let Some(content) = if keeps { files.get(&path).cloned() } else { files.remove(&path) } {
                    files.insert(other.clone(), content);
                }
                mutations.push(Mutation { path, what: format!("{what} to {}", other.display()), mended: false });
                continue;
            }
            4 => {
                let dir = path.parent().map(Path::to_owned).unwrap_or_default();
                if dir.as_os_str().is_empty() {
                    files.remove(&path);
                } else {
                    files.retain(|file, _| !file.starts_with(&dir));
                }
                mutations.push(Mutation { path, what: "removed with its directory".to_owned(), mended: false });
                continue;
            }
            1 => {
                let other = another(random, files, originals, kind(&path));
                files.insert(path.clone(), other);
                "replaced by another file of its kind".to_owned()
            }
            2 => {
                let paths: Vec<_> = files.keys().cloned().collect();
                let other = random.pick(&paths).clone();
                let (a, b) = (files[&path].clone(), files[&other].clone());
                files.insert(path.clone(), b);
                files.insert(other.clone(), a);
                format!("swapped with {}", other.display())
            }
            _ => {
                let donor = another(random, files, originals, kind(&path));
                let content = Arc::make_mut(files.get_mut(&path).unwrap());
                let tables = if kind(&path) == Kind::Table && mended { mend::blocks(content) } else { Vec::new() };
                if tables.is_empty() {
                    let what = bytes(random, content, &donor);
                    if mended {
                        mend(kind(&path), content);
                    }
                    what
                } else {
                    in_block(random, content, &tables)
                }
            }
        };
        mutations.push(Mutation { path, what, mended });
    }
    mutations
}

/// A name that the file could have by mistake: another number in it, another directory, another ending.
fn new_name(random: &mut Random, files: &Files, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match random.below(3) {
        0 => {
            let Some(at) = name.find(|letter: char| letter.is_ascii_digit()) else { return path.with_extension("tmp") };
            let digits = name[at..].bytes().take_while(u8::is_ascii_digit).count();
            let number = *random.pick(&["0", "1", "2", "3", "7", "10", "4294967295", "18446744073709551616"]);
            path.with_file_name(format!("{}{number}{}", &name[..at], &name[at + digits..]))
        }
        1 => {
            let dirs: Vec<_> = files.keys().filter_map(|file| file.parent()).collect();
            random.pick(&dirs).join(name)
        }
        _ => path.with_file_name(format!("{name}{}", random.pick(&[".tmp", ".old", "~"]))),
    }
}

/// Another file of the same kind: of this collection or of another one.
fn another(random: &mut Random, files: &Files, originals: &[Original], wanted: Kind) -> Arc<Vec<u8>> {
    let from = if random.one_in(2) { files } else { &random.pick(originals).files };
    let of_kind: Vec<_> = from.iter().filter(|(path, _)| kind(path) == wanted).map(|(_, content)| content).collect();
    if of_kind.is_empty() { Arc::default() } else { (*random.pick(&of_kind)).clone() }
}

/// A place, mostly where something is: vector files are pages of zeros with a few full ones between.
fn place(random: &mut Random, content: &[u8]) -> usize {
    for _ in 0..30 {
        let at = random.below(content.len());
        let page = &content[at & !63..content.len().min((at & !63) + 64)];
        if page.iter().any(|byte| *byte != 0) {
            return at;
        }
    }
    // Almost all zeros: the beginning and the end are not.
    let near = random.below(content.len().min(8192));
    if random.one_in(2) { near } else { content.len() - 1 - near.min(content.len() - 1) }
}

/// Numbers at which decoders stumble.
fn telling(random: &mut Random, size: usize) -> u64 {
    let size = size as u64;
    let all = [
        0,
        1,
        2,
        7,
        0x7f,
        0x80,
        0xff,
        0x100,
        0x7fff,
        0x8000,
        0xffff,
        0x1_0000,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fff0,
        0xffff_ffff,
        0x1_0000_0000,
        i64::MAX as u64,
        1 << 63,
        u64::MAX - 7,
        u64::MAX,
        size,
        size - size.min(1),
        size + 1,
        size / 2,
        size * 2,
    ];
    if random.one_in(8) { random.next() } else { *random.pick(&all) }
}

fn bytes(random: &mut Random, content: &mut Vec<u8>, donor: &[u8]) -> String {
    if content.is_empty() {
        content.extend(donor);
        return "filled".to_owned();
    }
    let size = content.len();
    let at = place(random, content);
    match random.below(10) {
        0..3 => {
            let flips = 1 + random.below(4);
            for _ in 0..flips {
                let at = place(random, content);
                content[at] ^= 1 << random.below(8);
            }
            format!("{flips} bits flipped")
        }
        3..6 => {
            let width = *random.pick(&[1, 2, 4, 8]);
            let at = if random.one_in(2) { at & !(width - 1) } else { at };
            let value = telling(random, size);
            for (byte, new) in content[at..].iter_mut().zip(&value.to_le_bytes()[..width]) {
                *byte = *new;
            }
            format!("{width} bytes at {at} set to {value:#x}")
        }
        6 => {
            let length = if random.one_in(2) { at } else { random.below(size) };
            content.truncate(length);
            format!("cut from {size} to {length}")
        }
        7 => {
            let more = 1 + random.below(5000);
            if random.one_in(2) {
                content.resize(size + more, 0);
            } else {
                content.extend((0..more).map(|_| random.next() as u8));
            }
            format!("{more} bytes added to {size}")
        }
        8 => {
            let length = *random.pick(&[16, 64, 512, 4096]);
            // A page that a disk lost is a whole one.
            let at = if length == 4096 { at & !4095 } else { at };
            let end = size.min(at + length);
            let fill = if random.one_in(3) { 0xff } else { 0 };
            content[at..end].fill(fill);
            format!("{at}..{end} filled with {fill:#x}")
        }
        _ => {
            let from = if donor.is_empty() || random.one_in(2) { content.clone() } else { donor.to_vec() };
            let start = place(random, &from);
            let piece = &from[start..from.len().min(start + 1 + random.below(300))];
            match random.below(3) {
                0 => {
                    content.splice(at..at, piece.iter().copied());
                    format!("{} bytes from {start} put in at {at}", piece.len())
                }
                1 => {
                    let end = size.min(at + piece.len());
                    content.drain(at..end);
                    format!("{at}..{end} taken out")
                }
                _ => {
                    for (byte, new) in content[at..].iter_mut().zip(piece) {
                        *byte = *new;
                    }
                    format!("{} bytes from {start} written over {at}", piece.len())
                }
            }
        }
    }
}

/// Makes the checksums fit again, so that what they guard is reached.
fn mend(kind: Kind, content: &mut [u8]) {
    match kind {
        Kind::Wal => mend::wal(content),
        Kind::DeleteSet => mend::delete_set(content),
        Kind::RocksManifest | Kind::RocksLog => mend::rocks_log(content),
        _ => {}
    }
}

/// Wounds a block and makes its checksum fit.
fn in_block(random: &mut Random, content: &mut [u8], blocks: &[BlockHandle]) -> String {
    let handle = *random.pick(blocks);
    let (start, end) = (handle.offset as usize, (handle.offset + handle.size) as usize);
    let footer = mend::footer(content);
    let trailer = end + TRAILER_SIZE as usize;
    let Some(footer) = footer.filter(|_| start < end && trailer <= content.len()) else { return "nothing".to_owned() };
    let wounds = 1 + random.below(3);
    for _ in 0..wounds {
        let at = start + random.below(end - start);
        if random.one_in(2) {
            content[at] ^= 1 << random.below(8);
        } else {
            let width = *random.pick(&[1, 2, 4]);
            let value = telling(random, end - start);
            for (byte, new) in content[at..end].iter_mut().zip(&value.to_le_bytes()[..width]) {
                *byte = *new;
            }
        }
    }
    if random.one_in(10) {
        content[end] = random.next() as u8;
    }
    mend::block(content, handle, &footer);
    debug_assert!(read_vec(&*content, handle.offset, handle.size, "test").is_ok());
    format!("{wounds} places of the block at {start}..{end}")
}
