//! Level 2 of the packed kinds: IVF, IVF-RaBitQ, DiskANN. Their bytes are covered by a checksum; this says what is wrong in words, and finds
//! what was written wrong.

use crate::format::{
    Source,
    proxima::{Container, VectorFile, diskann::DiskAnn, ivf::Ivf, ivf_rabitq::IvfRabitq},
    read_vec,
};

use super::{
    rabitq,
    subject::{Harm, Subject},
};

/// An embedded container that is read whole.
const MAX_NESTED: u64 = 256 << 20;
const BLOCK_ROWS: u64 = 32;

/// Keys are the numbers of the rows, each once.
pub(super) fn keys<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>) {
    let map = match file.key_map() {
        Ok(map) => map,
        Err(error) => return subject.format(&error, Harm::Search),
    };
    map.faults.iter().for_each(|fault| subject.format(fault, Harm::Search));
    let missing: Vec<_> = (0..file.rows()).filter(|key| map.position(*key).is_none()).take(4).collect();
    if let Some(first) = missing.first() {
        let detail = format!("no row has key {first}, and others of {} are missing perhaps", file.rows());
        subject.error("keys.missing", 0, Harm::Perhaps, detail);
    }
}

pub(super) fn ivf<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, ivf: &Ivf) {
    keys(subject, file);
    let table = file.container.segment("ivf.inverted_meta").map_or(0, |segment| segment.offset);
    let element = file.element_meta.as_ref().map_or(0, |meta| meta.element_size());
    let expect = |offset: u64, what: String, found: u64, expected: u64| {
        if found != expected {
            subject.error("ivf.bad-list", offset, Harm::Search, format!("{what}: {found}, {expected} expected"));
        }
    };
    let (mut offset, mut rows, mut blocks) = (0u64, 0u64, 0u64);
    for (number, list) in ivf.inverted_lists.iter().enumerate() {
        let at = table + 40 * number as u64;
        let held = u64::from(list.rows);
        // A list without rows says nothing of where it begins.
        if held > 0 {
            expect(at, format!("offset of list {number}"), list.offset, offset);
            expect(at + 16, format!("first row of list {number}"), list.first_row.into(), rows);
        }
        expect(at + 8, format!("blocks of list {number}"), list.blocks.into(), held.div_ceil(BLOCK_ROWS));
        let last = held % BLOCK_ROWS;
        let full = (held / BLOCK_ROWS).saturating_mul(ivf.block_size.into());
        let rest = last.saturating_mul(element).next_multiple_of(32);
        offset = offset.saturating_add(full).saturating_add(rest);
        (rows, blocks) = (rows + held, blocks + u64::from(list.blocks));
    }
    expect(table, "rows of all lists".into(), rows, ivf.rows);
    expect(table, "blocks of all lists".into(), blocks, ivf.blocks.into());
    expect(ivf.body.offset, "size of all lists".into(), offset, ivf.body.size);
    places(subject, file, ivf, element);
    centroids(subject, file, ivf);
}

/// Each row lies in its list where arithmetic says.
fn places<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, ivf: &Ivf, element: u64) {
    let Some(offsets) = file.container.segment("ivf.offsets") else { return };
    for (number, list) in ivf.inverted_lists.iter().enumerate() {
        if subject.ctx.stopped() {
            return;
        }
        let first = u64::from(list.first_row);
        let count = u64::from(list.rows).min(ivf.rows.saturating_sub(first));
        let Ok(bytes) = read_vec(file.source(), offsets.offset + 8 * first, 8 * count, "ivf.truncated") else { return };
        for (inside, place) in bytes.as_chunks::<8>().0.iter().enumerate() {
            let inside = inside as u64;
            let place = u64::from_le_bytes(*place);
            let (at, columns) = (place & ((1 << 48) - 1), place >> 48);
            let block = list.offset.saturating_add((inside / BLOCK_ROWS).saturating_mul(ivf.block_size.into()));
            let row = block.saturating_add((inside % BLOCK_ROWS).saturating_mul(element));
            // Column-major: the first unit of the element, of 2, 4 or 8 bytes.
            let good = match columns {
                0 => at == row,
                1 => [2, 4, 8].iter().any(|unit| at == block.saturating_add(inside % BLOCK_ROWS * unit)),
                _ => false,
            };
            if !good {
                let detail =
                    format!("row {} of list {number} is at {at}, flags {columns:#x}; {row} expected", first + inside);
                let offset = offsets.offset + 8 * (first + inside);
                subject.row_error(first + inside, "ivf.bad-offset", offset, Harm::Vectors, detail);
            }
        }
    }
}

/// The centroids are a packed container of their own.
fn centroids<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, ivf: &Ivf) {
    let Some(segment) = file.container.segment("ivf.centroid").filter(|segment| segment.size <= MAX_NESTED) else {
        return;
    };
    let Ok(bytes) = read_vec(file.source(), segment.offset, segment.size, "ivf.truncated") else { return };
    let nested = match Container::open(&bytes) {
        Ok(nested) => nested,
        Err(mut error) => {
            error.offset = error.offset.saturating_add(segment.offset);
            return subject.format(&error, Harm::Search);
        }
    };
    for fault in &nested.faults {
        let mut fault = fault.clone();
        fault.offset = fault.offset.saturating_add(segment.offset);
        subject.format(&fault, Harm::Search);
    }
    if let Ok(Some(crc)) = nested.check_content(&bytes)
        && !crc.is_valid()
    {
        let detail = "the CRC of the centroids, a container in the file, is wrong";
        subject.error("proxima.content-crc", segment.offset, Harm::Search, detail);
    }
    let keys = nested.segment("flat.keys").or_else(|| nested.segment("linear.keys"));
    let held = keys.map_or(0, |keys| keys.size / 8);
    if held != u64::from(ivf.lists) {
        let detail = format!("{} lists, {held} centroids", ivf.lists);
        subject.error("ivf.bad-centroids", segment.offset, Harm::Search, detail);
    }
}

pub(super) fn ivf_rabitq<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, ivf: &IvfRabitq) {
    keys(subject, file);
    let expected = rabitq::Expected {
        clusters: Some(ivf.clusters),
        padded_dimension: ivf.padded_dimension,
        extra_bits: Some(ivf.extra_bits),
    };
    rabitq::check(subject, file, &expected);
    let table = match ivf.cluster_table(file.source()) {
        Ok(table) => table,
        Err(error) => return subject.format(&error, Harm::Search),
    };
    let base = ivf.cluster_meta.as_ref().map_or(0, |segment| segment.offset);
    let size = |name: &str| file.container.segment(name).map_or(0, |segment| segment.size);
    let (batch_size, extra_size) = (size("ivf_rabitq.batch_data"), size("ivf_rabitq.ex_data"));
    let extra = extra_size.checked_div(ivf.rows).unwrap_or(0);
    let batches: u64 = table.iter().map(|cluster| u64::from(cluster.batches)).sum();
    let batch = batch_size.checked_div(batches).unwrap_or(0);
    let expect = |offset: u64, what: String, found: u64, expected: u64| {
        if found != expected {
            subject.error(
                "ivf-rabitq.bad-cluster",
                offset,
                Harm::Search,
                format!("{what}: {found}, {expected} expected"),
            );
        }
    };
    let (mut rows, mut seen) = (0u64, 0u64);
    for (number, cluster) in table.iter().enumerate() {
        let at = base + 32 * number as u64;
        let held = u64::from(cluster.rows);
        if held > 0 {
            expect(at, format!("batch data of cluster {number}"), cluster.batch_offset, seen.saturating_mul(batch));
            expect(at + 8, format!("extra data of cluster {number}"), cluster.extra_offset, rows.saturating_mul(extra));
            expect(at + 24, format!("first row of cluster {number}"), cluster.first_row.into(), rows);
        }
        expect(at + 20, format!("batches of cluster {number}"), cluster.batches.into(), held.div_ceil(BLOCK_ROWS));
        (rows, seen) = (rows + held, seen + u64::from(cluster.batches));
    }
    expect(base, "rows of all clusters".into(), rows, ivf.rows);
}

pub(super) fn diskann<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, diskann: &DiskAnn) {
    keys(subject, file);
    if let Some(segment) = file.container.segment("diskann.meta") {
        let stated = read_vec(file.source(), segment.offset + 72, 8, "diskann.truncated").unwrap_or_default();
        let stated = stated.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if stated != diskann.vector.size {
            let detail = format!("diskann.vector of {} bytes, {stated} announced", diskann.vector.size);
            subject.error("diskann.bad-meta", segment.offset + 72, Harm::Search, detail);
        }
    }
    for node in 0..diskann.rows {
        if subject.ctx.stopped() {
            return;
        }
        let edges = match diskann.edges(file.source(), node) {
            Ok(edges) => edges,
            Err(error) => return subject.row_format(node, &error, Harm::Vectors),
        };
        if u64::from(edges.degree) > diskann.max_degree {
            let detail = format!("node {node}: {} neighbours in room for {}", edges.degree, diskann.max_degree);
            subject.row_error(node, "diskann.bad-neighbour", edges.offset, Harm::Search, detail);
        }
        let mut sorted = edges.neighbours.clone();
        sorted.sort_unstable();
        let twice = sorted.windows(2).any(|pair| pair.first() == pair.last());
        let wrong = sorted.iter().find(|id| u64::from(**id) >= diskann.rows || u64::from(**id) == node);
        if twice || wrong.is_some() {
            let detail = match wrong {
                Some(id) => format!("node {node}: neighbour {id} of {} nodes", diskann.rows),
                None => format!("node {node}: a neighbour twice"),
            };
            subject.row_error(node, "diskann.bad-neighbour", edges.offset + 4, Harm::Search, detail);
        }
    }
    entry_points(subject, file, diskann);
}

fn entry_points<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, diskann: &DiskAnn) {
    let Some(segment) = file.container.segment("diskann.entrypoint") else { return };
    let Ok(bytes) = read_vec(file.source(), segment.offset, segment.size.min(MAX_NESTED), "diskann.truncated") else {
        return;
    };
    let words: Vec<_> = bytes.as_chunks().0.iter().map(|word| u64::from(u32::from_le_bytes(*word))).collect();
    let count = words.first().copied().unwrap_or(0);
    let there = words.get(1..).unwrap_or_default();
    if count > there.len() as u64 || there.iter().take(count as usize).any(|node| *node >= diskann.rows) {
        let detail = format!("{count} entry points in room for {}, or one that does not exist", there.len());
        subject.error("diskann.bad-entry-point", segment.offset, Harm::Search, detail);
    }
}
