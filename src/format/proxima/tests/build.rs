//! A writer of small vector files, for tests.

use serde_json::{Value as Json, json};

use crate::format::checksum::{raw_crc32c, raw_crc32c_self};

/// A segment: name, data, room.
pub(super) type Part = (String, Vec<u8>, usize);

pub(super) const TABLE: usize = 4096 - 64 - 128;

pub(super) fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(super) fn longs(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(super) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(super) fn padded(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    assert!(bytes.len() <= size);
    bytes.resize(size, 0);
    bytes
}

pub(super) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes[offset..offset + value.len()].copy_from_slice(value);
}

pub(super) fn part(name: &str, data: Vec<u8>) -> Part {
    let room = data.len().next_multiple_of(4096).max(4096);
    (name.to_owned(), data, room)
}

fn header(footer_at: u32, content_at: u64) -> Vec<u8> {
    let mut out = words(&[0, 2 << 16, 0, 0x1234_5678, 64 | 128 << 16, footer_at]);
    out.extend(longs(&[content_at, 1_700_000_000]));
    let mut out = padded(out, 64);
    let crc = raw_crc32c_self(&out);
    put(&mut out, 0, &crc.to_le_bytes());
    out
}

fn footer(table: &[u8], content: &[u8], count: usize, padding: u64, next: u64, total: u64, packed: bool) -> Vec<u8> {
    let content_crc = if packed { raw_crc32c(content) } else { 0 };
    let mut out = words(&[0, raw_crc32c(table), content_crc, count as u32, table.len() as u32, 0]);
    out.extend(longs(&[content.len() as u64, padding, 0, 1_700_000_100]));
    let mut out = padded(out, 112);
    out.extend(longs(&[next, total]));
    let crc = raw_crc32c_self(&out);
    put(&mut out, 0, &crc.to_le_bytes());
    out
}

fn entries(parts: &[Part], ids_from: usize, with_crc: bool) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut table, mut ids, mut content) = (Vec::new(), Vec::new(), Vec::new());
    for (name, data, room) in parts {
        let crc = if with_crc { raw_crc32c(data) } else { 0 };
        table.extend(words(&[(ids_from + ids.len()) as u32, crc]));
        table.extend(longs(&[content.len() as u64, data.len() as u64, (room - data.len()) as u64]));
        ids.extend(name.bytes());
        ids.push(0);
        content.extend(padded(data.clone(), *room));
    }
    (table, ids, content)
}

/// A streamer file of one section per slice of parts.
pub(super) fn streamer(sections: &[&[Part]]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, parts) in sections.iter().enumerate() {
        let (table, ids, content) = entries(parts, 32 * parts.len(), false);
        let table = padded([table, ids].concat(), TABLE);
        let end = (out.len() + 4096 + content.len()) as u64;
        let next = if number + 1 < sections.len() { end } else { 0 };
        out.extend(header(4096 - 128, 4096));
        out.extend(&table);
        out.extend(footer(&table, &content, parts.len(), 0, next, 4096 + content.len() as u64, false));
        out.extend(content);
    }
    out
}

/// A packed file.
pub(super) fn packed(parts: &[Part]) -> Vec<u8> {
    let (table, ids, content) = entries(parts, 32 * parts.len(), true);
    let table = [table, ids].concat();
    let table = padded(table.clone(), table.len().next_multiple_of(32));
    let padding = content.len().next_multiple_of(32) - content.len();
    let total = 64 + content.len() + padding + table.len() + 128;
    let mut out = header(128u32.wrapping_neg(), 64);
    out.extend(&content);
    out.extend(vec![0; padding]);
    out.extend(&table);
    out.extend(footer(&table, &content, parts.len(), padding as u64, 0, total as u64, true));
    out
}

/// Recomputes the CRCs of a streamer file of one section, after a change.
pub(super) fn seal(file: &mut [u8]) {
    let crc = raw_crc32c_self(&file[..64]);
    put(file, 0, &crc.to_le_bytes());
    let crc = raw_crc32c(&file[64..64 + TABLE]);
    put(file, 4096 - 124, &crc.to_le_bytes());
    let crc = raw_crc32c_self(&file[4096 - 128..4096]);
    put(file, 4096 - 128, &crc.to_le_bytes());
}

pub(super) fn index_meta(sparse: bool, major: u32, data_type: u32, shape: [u32; 3], attachment: &Json) -> Vec<u8> {
    let text = attachment.to_string();
    let [dimension, unit, extra] = shape;
    let kind = if sparse { 2 } else { 1 };
    let fields = [4128, kind, major, data_type, dimension, unit, 0, 4128, text.len() as u32, extra];
    let mut out = padded(words(&fields), 4128);
    out.extend(text.bytes());
    out
}

pub(super) fn fp32_meta(dimension: u32, streamer: &str) -> Vec<u8> {
    let attachment = json!({"metric": {"name": "SquaredEuclidean"}, "streamer": {"name": streamer}});
    index_meta(false, 1, 2, [dimension, 4, 0], &attachment)
}

/// The vector of row `row` in every file here.
pub(super) fn vector(row: u64) -> Vec<f32> {
    vec![row as f32, -0.5 * row as f32, 1.0, 0.25]
}

/// A flat file of `rows` rows of four dimensions with the given keys; in the form of 0.1.0 if `legacy`. Small enough blocks that
/// `per_segment` of them fill a feature segment.
pub(super) fn flat(keys: &[u64], legacy: bool, per_segment: usize) -> Vec<u8> {
    let meta = fp32_meta(4, "FlatStreamer");
    let prefix = if legacy { "linear" } else { "flat" };
    let trailer = if legacy { 12 } else { 16 };
    let block_size = (trailer + 32 * 24usize).next_multiple_of(32);
    let location = |segment: usize, block: usize| match legacy {
        true => [(segment as u16).to_le_bytes(), (block as u16).to_le_bytes()].concat(),
        false => words(&[segment as u32, block as u32]),
    };
    let (mut features, mut last) = (Vec::<Vec<u8>>::new(), (0, 0));
    for (number, chunk) in keys.chunks(32).enumerate() {
        if number % per_segment == 0 {
            features.push(Vec::new());
        }
        let mut block = Vec::new();
        for (row, &key) in chunk.iter().enumerate() {
            let values = if key == u64::MAX { vec![0.0; 4] } else { vector(number as u64 * 32 + row as u64) };
            block.extend(floats(&values));
        }
        let mut block = padded(block, 512);
        block.extend(longs(chunk));
        let mut block = padded(block, block_size - trailer);
        block.extend(words(&[0]));
        block.extend(location(last.0, last.1));
        block.extend(words(&[chunk.len() as u32]));
        last = (features.len(), number % per_segment);
        features.last_mut().unwrap().extend(block);
    }
    let room = (per_segment * block_size).next_multiple_of(4096);
    assert!(room - per_segment * block_size < block_size, "a full feature segment has no room for a further block");
    let mut linear = longs(&[1, 2, 3]);
    linear.extend(words(&[features.len() as u32, room as u32]));
    let mut linear = padded(linear, 64);
    linear.extend(words(&[64 + meta.len() as u32, keys.len() as u32]));
    linear.extend(longs(&[(features.len() * room) as u64]));
    linear.extend(words(&[1, 32, block_size as u32, keys.len().div_ceil(32) as u32, meta.len() as u32]));
    let mut linear = padded(linear, 128);
    linear.extend(&meta);
    let mut parts = vec![
        part(&format!("{prefix}.linear_meta"), linear),
        part("IndexMeta", meta),
        part(&format!("{prefix}.linear_list_head"), padded(location(last.0, last.1), 4096)),
    ];
    let features = features.into_iter().enumerate();
    parts.extend(features.map(|(number, data)| (format!("{prefix}.features{}", number + 1), data, room)));
    streamer(&[&parts])
}

/// One sparse record with a single group, padded.
pub(super) fn sparse_record(indices: &[u16], values: &[f32]) -> Vec<u8> {
    let groups = u32::from(!indices.is_empty());
    let mut out = words(&[indices.len() as u32, groups]);
    if groups == 1 {
        out.extend(words(&[0, indices.len() as u32]));
    }
    out.extend(indices.iter().flat_map(|index| index.to_le_bytes()));
    out.extend(floats(values));
    let size = out.len().next_multiple_of(32);
    padded(out, size)
}

pub(super) fn sparse_meta(streamer: &str) -> Vec<u8> {
    let attachment = json!({"metric": {"name": "InnerProductSparse"}, "streamer": {"name": streamer}});
    index_meta(true, 0, 2, [0, 4, 0], &attachment)
}

/// Three sparse rows, the second without vector.
pub(super) fn flat_sparse() -> Vec<u8> {
    let records = [sparse_record(&[1, 7], &[0.5, -2.0]), sparse_record(&[], &[])];
    let mut offsets = Vec::new();
    for (offset, key) in [(0, 0), (17, u64::MAX), (records[0].len(), 2)] {
        let length = if key == 0 { records[0].len() } else { records[1].len() };
        offsets.extend(words(&[offset as u32, 0, length as u32, 0]));
        offsets.extend(longs(&[key]));
    }
    let mut meta = longs(&[1, 2]);
    meta.extend(words(&[3, 2, 0, 0]));
    let parts = [
        part("bruteforce_sparse_meta", meta),
        part("bruteforce_sparse_streamer_meta", words(&[1, 1 << 20, 1, 8 << 20])),
        part("IndexMeta", sparse_meta("FlatSparseStreamer")),
        part("bruteforce_sparse_streamer_data_0", records.concat()),
        part("bruteforce_sparse_streamer_offset_0", offsets),
    ];
    streamer(&[&parts])
}

/// A graph of `rows` nodes, m = 5, in a ring; node 1 is on level 1 and the entry point. `sparse` nodes hold one record each.
pub(super) fn hnsw(rows: u32, sparse: bool) -> Vec<u8> {
    let (m, degree) = (5u32, 10u32);
    let vector_size = 16;
    let node_size = (vector_size + 12 + 4 * degree).next_multiple_of(32);
    let header_size = if sparse { 928 } else { 4128 };
    let vector_words = if sparse { 0 } else { vector_size };
    let mut header =
        words(&[header_size, 0, 0, rows, vector_words, node_size, degree, 0, m, 40, 0, 0, 16, 4, 2 * rows]);
    header.resize(header_size as usize, 0);
    header.extend(padded(words(&[64, 0, m, 0, m, 1, 1, 0]), 64));
    let (mut nodes, mut data) = (Vec::new(), Vec::new());
    for id in 0..rows {
        let record = sparse_record(&[1, 7], &[id as f32, 1.0]);
        let mut node = match sparse {
            true => words(&[data.len() as u32, 0, record.len() as u32, 0]),
            false => floats(&vector(id.into())),
        };
        data.extend(record);
        node.extend(longs(&[id.into()]));
        node.extend(words(&[1, (id + 1) % rows, 77]));
        nodes.extend(padded(node, node_size as usize));
    }
    let node_room =
        (((2usize << 20) / node_size as usize).next_power_of_two() * node_size as usize).next_multiple_of(4096);
    let ratio = ((node_size * m) as f32 / (4 + 4 * m) as f32).sqrt();
    let upper_room = ((node_room as f32 / ratio) as usize).next_multiple_of(4096);
    let mut table = vec![0; upper_room.div_ceil(8).next_power_of_two() * 8];
    put(&mut table, 8, &words(&[1, 1]));
    let mut parts = vec![
        part("HnswT1S0", header),
        part("IndexMeta", if sparse { sparse_meta("HnswSparseStreamer") } else { fp32_meta(4, "HnswStreamer") }),
        ("HnswT3S0".into(), nodes, node_room),
        ("HnswT4S0".into(), padded(words(&[0]), 24), upper_room),
        part("HnswT5S0", table),
    ];
    if sparse {
        parts.push(part("HnswT6S0", data));
    }
    let graph = parts.iter().filter(|part| part.0.starts_with("Hnsw"));
    let total = 4096 + graph.map(|part| part.2 as u64).sum::<u64>();
    let counts = [0, 1, 1, 1, 1, 1, u64::from(sparse), 0];
    let meta = longs(&[&counts[..], &[2 << 20, total, 1, 5, 6, 0, 0, 0]].concat());
    parts.insert(0, part("HnswT2S0", meta));
    streamer(&[&parts])
}

fn packed_part(name: &str, data: Vec<u8>) -> Part {
    let room = data.len().next_multiple_of(32);
    (name.to_owned(), data, room)
}

/// An IVF file of two lists: 32 rows in a column-major block, then 3 rows. Keys run backwards.
pub(super) fn ivf() -> Vec<u8> {
    let outer = index_meta(false, 0, 2, [4, 4, 0], &json!({"metric": {"name": "SquaredEuclidean"}}));
    let inner = index_meta(false, 2, 2, [4, 4, 0], &json!({"metric": {"name": "SquaredEuclidean"}}));
    let keys: Vec<u64> = (0..35).rev().collect();
    let mut body: Vec<u8> =
        (0..4).flat_map(|column| keys[..32].iter().flat_map(move |&key| vector(key)[column].to_le_bytes())).collect();
    body.extend(keys[32..].iter().flat_map(|&key| floats(&vector(key))));
    body.resize(body.len().next_multiple_of(32), 0);
    let offsets: Vec<u64> =
        (0..35u64).map(|row| if row < 32 { (4 * row) | (1 << 48) } else { 512 + 16 * (row - 32) }).collect();
    let mut header = words(&[64 + inner.len() as u32, 35]);
    header.extend(longs(&[body.len() as u64]));
    header.extend(words(&[2, 32, 512, 2, inner.len() as u32]));
    let mut header = padded(header, 64);
    header.extend(&inner);
    let list = |offset: u64, rows: u32, first: u32| padded([longs(&[offset]), words(&[1, rows, first])].concat(), 40);
    packed(&[
        packed_part("ivf.inverted_body", body),
        packed_part("ivf.inverted_header", header),
        packed_part("ivf.inverted_meta", [list(0, 32, 0), list(512, 3, 32)].concat()),
        packed_part("hc.keys", longs(&keys)),
        packed_part("ivf.mapping", words(&(0..35).rev().collect::<Vec<_>>())),
        packed_part("ivf.offsets", longs(&offsets)),
        packed_part("IndexMeta", outer),
    ])
}

/// A DiskANN file of five nodes whose keys are rotated by two; a node takes two sectors if `large`.
pub(super) fn diskann(large: bool) -> Vec<u8> {
    let dimension = if large { 1100usize } else { 4 };
    let node_size = 4 * dimension + 4 + 4 * 2;
    let per_sector = 4096 / node_size;
    let keys: Vec<u64> = (0..5).map(|node| (node + 2) % 5).collect();
    let mut sectors = Vec::new();
    for (node, &key) in keys.iter().enumerate() {
        let mut values = vector(key);
        values.resize(dimension, 9.0);
        let mut bytes = floats(&values);
        bytes.extend(words(&[2, (node as u32 + 1) % 5, (node as u32 + 2) % 5]));
        match large {
            true => sectors.extend(padded(bytes, node_size.next_multiple_of(4096))),
            false => sectors.extend(bytes),
        }
    }
    let sectors = padded(sectors.clone(), sectors.len().next_multiple_of(4096));
    let attachment = json!({"metric": {"name": "SquaredEuclidean"}, "searcher": {"name": "DiskAnnSearcher"}});
    let meta = index_meta(false, 0, 2, [dimension as u32, 4, 0], &attachment);
    let first = 64 + meta.len().next_multiple_of(32);
    let mut mapping: Vec<u32> = (0..5).collect();
    mapping.sort_by_key(|&node| keys[node as usize]);
    packed(&[
        packed_part("IndexMeta", meta),
        packed_part("diskann.dummy", vec![0; first.next_multiple_of(4096) - first]),
        packed_part("diskann.vector", sectors),
        packed_part(
            "diskann.meta",
            padded(longs(&[5, dimension as u64, 3, node_size as u64, 2, per_sector as u64]), 4096),
        ),
        packed_part("diskann.key", longs(&keys)),
        packed_part("diskann.key_mapping", words(&mapping)),
    ])
}

/// An IVF-RaBitQ file of three rows with four bytes of extra codes each.
pub(super) fn ivf_rabitq() -> Vec<u8> {
    let mut header = words(&[0x4956_5251, 1, 3, 1, 64, 64]);
    header.extend([6, 0, 0, 0]);
    packed(&[
        packed_part("IndexMeta", fp32_meta(64, "")),
        packed_part("ivf_rabitq.header", padded(header, 64)),
        packed_part("ivf_rabitq.ex_data", (0..12).collect()),
        packed_part("ivf_rabitq.cluster_meta", [longs(&[0, 0]), words(&[3, 1, 0, 0])].concat()),
        packed_part("ivf_rabitq.keys", longs(&[1, 0, 2])),
        packed_part("ivf_rabitq.mapping", words(&[1, 0, 2])),
    ])
}
