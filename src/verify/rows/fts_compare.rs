//! What a full-text index must hold, from the texts.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use crate::format::{
    manifest::proto::{FieldSchema, FtsIndexParams, index_params},
    value::Value,
};

use super::{
    scalar_index::{bucket, row_sums},
    shared::{Token, Tokenizer, Tokenizers},
    sums::{Sums, hash, with},
};

/// The texts of a column.
pub struct Texts {
    tokenizer: Option<Box<Tokenizer>>,
    rows: u64,
    /// Rows that have a text, an empty one included.
    pub present: RoaringBitmap,
    /// What the index must hold; `None` if the tokenizer is not known.
    pub tokens: Option<TokenSums>,
}

/// Sums over the tokens of texts.
pub struct TokenSums {
    /// (term, row).
    pub postings: Sums,
    /// (term, row, position).
    pub positions: Sums,
}

impl TokenSums {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { postings: row_sums(), positions: row_sums() }
    }
}

/// Full-text parameters of a field, if it has such an index.
pub fn params(field: &FieldSchema) -> Option<&FtsIndexParams> {
    match field.index_params.as_ref()?.params.as_ref()? {
        index_params::Params::Fts(params) => Some(params),
        _ => None,
    }
}

/// Positions of each term of a text, ascending.
pub fn by_term(tokens: Vec<Token>) -> BTreeMap<Vec<u8>, Vec<u32>> {
    let mut terms: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
    for Token { term, position } in tokens {
        terms.entry(term).or_default().push(position);
    }
    terms
}

impl Texts {
    /// Nothing yet, of a field that has a full-text index.
    pub fn of(field: &FieldSchema, rows: u64, tokenizers: Option<&Tokenizers>) -> Option<Self> {
        let params = params(field)?;
        let tokenizer = tokenizers.and_then(|make| make(params));
        let tokens = tokenizer.is_some().then(TokenSums::new);
        Some(Self { tokenizer, rows, present: RoaringBitmap::new(), tokens })
    }

    /// Adds a row.
    pub fn add(&mut self, row: u64, value: &Value) {
        let Value::Bytes(text) = value else { return };
        self.present.extend(u32::try_from(row).ok());
        let (Some(tokenizer), Some(sums)) = (&self.tokenizer, &mut self.tokens) else { return };
        let at = bucket(row, self.rows);
        for (term, positions) in by_term(tokenizer(text)) {
            let pair = with(hash(&term), row);
            sums.postings.add(at, pair);
            for position in positions {
                sums.positions.add(at, with(pair, position.into()));
            }
        }
    }

    /// The terms of one text with their positions; none without a tokenizer.
    pub fn terms(&self, value: &Value) -> BTreeMap<Vec<u8>, Vec<u32>> {
        match (value, &self.tokenizer) {
            (Value::Bytes(text), Some(tokenizer)) => by_term(tokenizer(text)),
            _ => BTreeMap::new(),
        }
    }
}
