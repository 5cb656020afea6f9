//! Level 2 of HNSW graphs: upper levels and the hash tables that say where they are. Takes a byte per node, and a bit per upper entry.

use crate::format::{
    Source,
    proxima::hnsw::{Graph, HashEntry, NO_ENTRY},
    read_vec,
};

use super::{
    graph::{Place, neighbours},
    subject::{Harm, Subject},
};

const CUT: &str = "hnsw.truncated";
/// Levels of a hash entry are four bits wide.
const LEVELS: u32 = 15;

pub(super) fn check<S: Source>(subject: &Subject<'_>, source: &S, graph: &Graph) {
    let Some(derived) = graph.derived else { return };
    let nodes = usize::try_from(graph.rows.min(source.size())).unwrap_or(0);
    let mut levels = vec![0u8; nodes];
    let entries = graph.upper_chunks.iter().map(|chunk| chunk.size.min(source.size()) / derived.upper_entry);
    let mut claimed: Vec<Vec<bool>> = entries.map(|count| vec![false; usize::try_from(count).unwrap_or(0)]).collect();
    for table in 0..graph.hash_tables.len() {
        if subject.ctx.stopped() {
            return;
        }
        hash_table(subject, source, graph, table, &mut levels, &mut claimed);
    }
    for (chunk, claimed) in graph.upper_chunks.iter().zip(&claimed) {
        if let Some(entry) = claimed.iter().position(|claimed| !claimed) {
            let count = claimed.iter().filter(|claimed| !**claimed).count();
            let detail = format!(
                "{count} lists of upper neighbours in {} that no hash entry leads to, the first is {entry}",
                chunk.name
            );
            subject.error("hnsw.bad-hash", chunk.offset + entry as u64 * derived.upper_entry, Harm::Search, detail);
        }
    }
    entry_point(subject, graph, &levels);
    upper_lists(subject, source, graph, &levels);
}

fn entry_point(subject: &Subject<'_>, graph: &Graph, levels: &[u8]) {
    let header = &graph.header;
    if header.entry_point == NO_ENTRY {
        return;
    }
    let at = header.offset + u64::from(header.size);
    let highest = levels.iter().max().copied().map_or(0, u32::from);
    if highest != header.max_level {
        let detail = format!("highest level {}, the nodes reach {highest}", header.max_level);
        subject.error("hnsw.bad-level", at + 20, Harm::Search, detail);
    }
    let own = usize::try_from(header.entry_point).ok().and_then(|node| levels.get(node));
    if let Some(own) = own.filter(|own| u32::from(**own) != highest) {
        let detail = format!(
            "entry point {} is on level {own}, the highest is {highest}; zvec aborts in a search",
            header.entry_point
        );
        subject.error("hnsw.bad-entry-point", at + 24, Harm::Search, detail);
    }
}

fn hash_table<S: Source>(
    subject: &Subject<'_>,
    source: &S,
    graph: &Graph,
    table: usize,
    levels: &mut [u8],
    claimed: &mut [Vec<bool>],
) {
    let (Some(derived), Some(segment)) = (graph.derived, graph.hash_tables.get(table)) else { return };
    let bytes = match read_vec(source, segment.offset, segment.size, CUT) {
        Ok(bytes) => bytes,
        Err(error) => return subject.format(&error, Harm::Search),
    };
    let slots = bytes.as_chunks::<8>().0;
    let used = |slot: &[u8; 8]| u64::from_le_bytes(*slot) >> 32 != 0;
    for (slot, bytes) in slots.iter().enumerate() {
        if !used(bytes) && u64::from_le_bytes(*bytes) != 0 {
            let detail = format!("hash table {table}: slot {slot} is empty and names a node");
            subject.error("hnsw.bad-hash", segment.offset + 8 * slot as u64, Harm::Search, detail);
        }
    }
    // Used slots in a row that end at each slot, around the end of the table.
    let mut run = 0u64;
    let mut runs = vec![0u64; slots.len()];
    for round in 0..2 {
        for (slot, bytes) in slots.iter().enumerate() {
            run = if used(bytes) { run + 1 } else { 0 };
            if round == 1 {
                runs[slot] = run;
            }
        }
    }
    let entries = graph.hash_entries(source, table).unwrap_or_default();
    for entry in &entries {
        let HashEntry { offset, slot, node, level, .. } = *entry;
        let fault = |code, detail: String| subject.row_error(node.into(), code, offset, Harm::Search, detail);
        let home = u64::from(node) & (derived.hash_items - 1);
        let distance = slot.wrapping_sub(home) & (derived.hash_items - 1);
        let run = usize::try_from(slot).ok().and_then(|slot| runs.get(slot)).copied().unwrap_or(0);
        if u64::from(node).checked_shr(derived.hash_bits).unwrap_or(0) != table as u64 || distance >= run {
            fault(
                "hnsw.bad-hash",
                format!("hash table {table}: node {node} is not found from its slot on; zvec aborts"),
            );
        }
        let Some(known) = usize::try_from(node).ok().and_then(|node| levels.get_mut(node)) else {
            fault("hnsw.bad-hash", format!("hash table {table} names node {node} of {}", graph.rows));
            continue;
        };
        if *known != 0 {
            fault("hnsw.bad-hash", format!("node {node} is in the hash tables twice"));
            continue;
        }
        *known = level.min(LEVELS) as u8;
        if level == 0 || level > graph.header.max_level {
            let detail = format!("node {node} is on level {level}, the highest is {}", graph.header.max_level);
            fault("hnsw.bad-level", detail);
        }
        let Some((chunk, first)) = graph.upper_place(entry) else { continue };
        let chunk_of = usize::try_from(chunk).ok().and_then(|chunk| claimed.get_mut(chunk));
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let own = chunk_of.and_then(|claimed| claimed.get_mut(first..first.checked_add(level as usize)?));
        match own {
            None => {
                let detail = format!("node {node}: {level} upper lists from {first} of chunk {chunk} on do not exist");
                fault("hnsw.bad-hash", detail);
            }
            Some(own) => {
                if own.iter().any(|claimed| *claimed) {
                    let detail =
                        format!("node {node}: its upper lists, from {first} of chunk {chunk} on, are another's");
                    fault("hnsw.bad-hash", detail);
                }
                own.fill(true);
            }
        }
    }
}

fn upper_lists<S: Source>(subject: &Subject<'_>, source: &S, graph: &Graph, levels: &[u8]) {
    let Some(derived) = graph.derived else { return };
    let mut list = Vec::new();
    for table in 0..graph.hash_tables.len() {
        for entry in graph.hash_entries(source, table).unwrap_or_default() {
            let Some((chunk, first)) = graph.upper_place(&entry) else { continue };
            let Some(segment) = usize::try_from(chunk).ok().and_then(|chunk| graph.upper_chunks.get(chunk)) else {
                continue;
            };
            for level in 1..=entry.level {
                let at = segment.offset + (first + u64::from(level) - 1).saturating_mul(derived.upper_entry);
                if at.saturating_add(derived.upper_entry) > segment.end() {
                    break;
                }
                let Ok(bytes) = read_vec(source, at, derived.upper_entry, CUT) else { break };
                let Some((degree, slots)) = bytes.split_first_chunk() else { break };
                let slots = slots.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id));
                let node = u64::from(entry.node);
                let place = Place { node, level, offset: at, code: ["hnsw.bad-degree", "hnsw.bad-neighbour"] };
                neighbours(subject, &place, u32::from_le_bytes(*degree), slots, graph.rows, &mut list);
                let below = list.iter().find(|id| {
                    usize::try_from(**id).ok().and_then(|id| levels.get(id)).is_some_and(|own| u32::from(*own) < level)
                });
                if let Some(id) = below {
                    let detail = format!("node {node}: its neighbour {id} on level {level} is not on that level");
                    subject.row_error(node, "hnsw.bad-neighbour", at, Harm::Search, detail);
                }
            }
        }
    }
}
