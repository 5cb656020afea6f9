//! Wounds: what disks, crashes and people do to files, and what no checksum catches.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use zvecctl::format::{
    checksum::{masked_crc32c, raw_crc32c},
    delete_set, read_vec,
    rocks::{
        Table, TableHints,
        block::{BlockHandle, TRAILER_SIZE},
        footer::context_modifier,
    },
    wal,
};

use crate::{Original, memory_fs::Files, random::Random};

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

/// Wounds one to three places of a collection.
pub fn wound(random: &mut Random, files: &mut Files, originals: &[Original]) -> Vec<Mutation> {
    let mut mutations = Vec::new();
    for _ in 0..=random.below(3) {
        let kinds = by_kind(files);
        let Some(of_kind) = kinds.values().nth(random.below(kinds.len())) else { break };
        let path = random.pick(of_kind).clone();
        let mended = !random.one_in(3);
        let what = match random.below(20) {
            0 => {
                files.remove(&path);
                mutations.push(Mutation { path, what: "removed".to_owned(), mended: false });
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
                let tables = if kind(&path) == Kind::Table && mended { blocks(content) } else { Vec::new() };
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
            let end = size.min(at + *random.pick(&[16, 64, 512, 4096]));
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
        Kind::Wal => {
            let mut at = wal::HEADER_LEN as usize;
            while let Some(length) = u32_at(content, at) {
                let start = at + wal::FRAME_LEN as usize;
                let Some(payload) = content.get(start..start.saturating_add(length as usize)) else { break };
                let crc = raw_crc32c(payload);
                content[at + 4..start].copy_from_slice(&crc.to_le_bytes());
                at = start + length as usize;
            }
        }
        Kind::DeleteSet => {
            let header = delete_set::HEADER_LENGTH as usize;
            if let Some(body) = content.get(header..) {
                let crc = raw_crc32c(body);
                content[12..16].copy_from_slice(&crc.to_le_bytes());
            }
        }
        Kind::RocksManifest | Kind::RocksLog => {
            for block in content.chunks_mut(32 << 10) {
                let mut at = 0;
                while let Some(&[low, high]) = block.get(at + 4..at + 6) {
                    let end = at + 7 + usize::from(u16::from_le_bytes([low, high]));
                    let Some(checked) = block.get(at + 6..end) else { break };
                    let crc = masked_crc32c(&[checked]);
                    block[at..at + 4].copy_from_slice(&crc.to_le_bytes());
                    at = end;
                }
            }
        }
        _ => {}
    }
}

fn u32_at(content: &[u8], at: usize) -> Option<u32> {
    content.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// The blocks of a table: those that its index and its meta index name.
fn blocks(content: &[u8]) -> Vec<BlockHandle> {
    let Ok(table) = Table::open(content.to_vec(), &TableHints::default()) else { return Vec::new() };
    let footer = table.footer().map(|footer| footer.metaindex).into_iter();
    let data = table.index().iter().map(|entry| entry.handle);
    footer.chain(data).chain(table.meta_blocks().iter().map(|(_, handle)| *handle)).collect()
}

/// Wounds a block and makes its checksum fit.
fn in_block(random: &mut Random, content: &mut [u8], blocks: &[BlockHandle]) -> String {
    let handle = *random.pick(blocks);
    let (start, end) = (handle.offset as usize, (handle.offset + handle.size) as usize);
    let footer = Table::open(content.to_vec(), &TableHints::default()).ok().and_then(|table| table.footer().cloned());
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
    let sum = footer.checksum.of_block(&content[start..end], content[end]);
    let sum = sum.wrapping_add(context_modifier(footer.base_context, handle.offset));
    content[end + 1..trailer].copy_from_slice(&sum.to_le_bytes());
    debug_assert!(read_vec(&*content, handle.offset, handle.size, "test").is_ok());
    format!("{wounds} places of the block at {start}..{end}")
}
