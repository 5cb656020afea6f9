//! Checksums that fit wounded content, so that what they guard is reached.

#![allow(dead_code, reason = "each test binary uses its own part")]

use zvecctl::format::{
    checksum::{masked_crc32c, raw_crc32c},
    delete_set,
    rocks::{
        Table, TableHints,
        block::{BlockHandle, TRAILER_SIZE},
        footer::{Footer, context_modifier},
    },
    wal,
};

/// The records of a write-ahead log, as their lengths say.
pub fn wal(content: &mut [u8]) {
    let mut at = wal::HEADER_LEN as usize;
    while let Some(length) = u32_at(content, at) {
        let start = at + wal::FRAME_LEN as usize;
        let Some(payload) = content.get(start..start.saturating_add(length as usize)) else { break };
        let crc = raw_crc32c(payload);
        content[at + 4..start].copy_from_slice(&crc.to_le_bytes());
        at = start + length as usize;
    }
}

/// A delete snapshot.
pub fn delete_set(content: &mut [u8]) {
    if let Some(body) = content.get(delete_set::HEADER_LENGTH as usize..) {
        let crc = raw_crc32c(body);
        content[12..16].copy_from_slice(&crc.to_le_bytes());
    }
}

/// The records of a log of RocksDB, MANIFESTs included.
pub fn rocks_log(content: &mut [u8]) {
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

/// Every block of a table that can be found; whether there was one.
pub fn table(content: &mut [u8]) -> bool {
    let Some(footer) = footer(content) else { return false };
    // The index, whose checksum may be wrong too, is where the meta index says.
    block(content, footer.metaindex, &footer);
    if let Some(index) = footer.index {
        block(content, index, &footer);
    }
    let blocks = blocks(content);
    blocks.iter().for_each(|handle| block(content, *handle, &footer));
    !blocks.is_empty()
}

/// The blocks of a table: those that its index and its meta index name.
pub fn blocks(content: &[u8]) -> Vec<BlockHandle> {
    let Ok(table) = Table::open(content.to_vec(), &TableHints::default()) else { return Vec::new() };
    let footer = table.footer().map(|footer| footer.metaindex).into_iter();
    let data = table.index().iter().map(|entry| entry.handle);
    footer.chain(data).chain(table.meta_blocks().iter().map(|(_, handle)| *handle)).collect()
}

/// The footer of a table.
pub fn footer(content: &[u8]) -> Option<Footer> {
    Footer::read(content).ok()
}

/// One block, if it lies in the table.
pub fn block(content: &mut [u8], handle: BlockHandle, footer: &Footer) {
    let trailer = handle.offset.checked_add(handle.size).and_then(|end| Some((end, end.checked_add(TRAILER_SIZE)?)));
    let Some((end, trailer)) = trailer.filter(|(_, trailer)| *trailer <= content.len() as u64) else { return };
    let (start, end, trailer) = (handle.offset as usize, end as usize, trailer as usize);
    let sum = footer.checksum.of_block(&content[start..end], content[end]);
    let sum = sum.wrapping_add(context_modifier(footer.base_context, handle.offset));
    content[end + 1..trailer].copy_from_slice(&sum.to_le_bytes());
}

fn u32_at(content: &[u8], at: usize) -> Option<u32> {
    content.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
