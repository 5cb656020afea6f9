//! How the texts of a column were cut into terms: no file says it, but its index holds the terms.

use crate::format::{
    forward::value_at,
    fts::{Family, RowKey, tokenize::Tokenizer},
    manifest::proto::{BlockMeta, BlockType, FtsIndexParams},
    rocks::{Db, Lookup},
    value::Value,
};

use super::{
    super::{Findings, View, documents::BlockReader, idmap::DatabaseDir, names::block_path},
    found::Found,
};

/// Texts that are compared.
const TEXTS: usize = 300;

/// Settings that are tried, the usual ones first: tokenizer, filters, further parameters.
const SETTINGS: [(&str, &[&str], &str); 12] = [
    ("standard", &["lowercase"], ""),
    ("standard", &[], ""),
    ("whitespace", &["lowercase"], ""),
    ("whitespace", &[], ""),
    ("standard", &["lowercase", "ascii_folding"], ""),
    ("standard", &["lowercase", "stemmer"], ""),
    ("standard", &["lowercase", "ascii_folding", "stemmer"], ""),
    ("whitespace", &["lowercase", "ascii_folding"], ""),
    ("whitespace", &["lowercase", "stemmer"], ""),
    ("ngram", &["lowercase"], ""),
    ("ngram", &[], ""),
    ("ngram", &["lowercase"], r#"{"ngram_min":3,"ngram_max":3}"#),
];

/// The first settings by which every term of the first texts is in the index, and how many texts those were. `None` if there is no text or none of
/// them fits.
pub fn settings(view: &View, segments: &[Found], column: &str) -> Option<(FtsIndexParams, usize)> {
    segments.iter().find_map(|found| of_segment(view, found, column))
}

fn of_segment(view: &View, found: &Found, column: &str) -> Option<(FtsIndexParams, usize)> {
    let block_id = *found.fts_indexes.last()?;
    let block = BlockMeta { block_id, block_type: BlockType::FtsIndex as i32, ..BlockMeta::default() };
    let path = block_path(found.id, &block, true)?;
    let db = Db::open(&DatabaseDir { view, path: &path }).ok()?;
    let positions = db.column_family(Family::Positions(column).to_string().as_bytes())?;
    let texts = first_texts(view, found, column);
    let fits = |tokenizer: &Tokenizer| {
        texts.iter().all(|(row, text)| {
            tokenizer.tokenize(text).iter().all(|token| {
                let key = RowKey { term: &token.text, row: *row }.encode();
                !matches!(positions.get(&key), Lookup::Absent)
            })
        })
    };
    let terms = |tokenizer: &Tokenizer| texts.iter().any(|(_, text)| !tokenizer.tokenize(text).is_empty());
    SETTINGS.iter().find_map(|(name, filters, extra)| {
        let tokenizer = Tokenizer::new(name, filters, extra).ok()?;
        (terms(&tokenizer) && fits(&tokenizer)).then(|| {
            let params = FtsIndexParams {
                tokenizer_name: (*name).to_owned(),
                filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
                extra_params: (*extra).to_owned(),
            };
            (params, texts.len())
        })
    })
}

/// The first texts of a segment with their rows.
fn first_texts(view: &View, found: &Found, column: &str) -> Vec<(u32, Vec<u8>)> {
    let rows = found.forwards.iter().filter(|file| file.is_row_block() && file.has(column));
    let Some(file) = rows.min_by_key(|file| file.ids.min()) else { return Vec::new() };
    let Some(reader) = BlockReader::open(view, &file.path, 0, &Findings::default()) else { return Vec::new() };
    let Some(column) = reader.file().column_index(column) else { return Vec::new() };
    let mut texts = Vec::new();
    for batch in reader.file().batches(Some(&[column])).take(1) {
        let Ok(records) = batch.records else { continue };
        let Some(array) = records.columns().first() else { continue };
        for (row, number) in (0..array.len()).zip(0u32..) {
            if texts.len() < TEXTS
                && let Ok(Value::Bytes(text)) = value_at(array.as_ref(), row)
            {
                texts.push((number, text));
            }
        }
    }
    texts
}
