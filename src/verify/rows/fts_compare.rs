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
    tokenizers: Vec<Box<Tokenizer>>,
    rows: u64,
    /// Rows that have a text, an empty one included.
    pub present: RoaringBitmap,
    /// What the index must hold, by one of the tokenizers; empty if none is known.
    pub tokens: Vec<TokenSums>,
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
        let tokenizers = tokenizers.map(|make| make(params)).unwrap_or_default();
        let tokens = tokenizers.iter().map(|_| TokenSums::new()).collect();
        Some(Self { tokenizers, rows, present: RoaringBitmap::new(), tokens })
    }

    /// Adds a row.
    pub fn add(&mut self, row: u64, value: &Value) {
        let Value::Bytes(text) = value else { return };
        self.present.extend(u32::try_from(row).ok());
        let at = bucket(row, self.rows);
        for (tokenizer, sums) in self.tokenizers.iter().zip(&mut self.tokens) {
            for (term, positions) in by_term(tokenizer(text)) {
                let pair = with(hash(&term), row);
                sums.postings.add(at, pair);
                for position in positions {
                    sums.positions.add(at, with(pair, position.into()));
                }
            }
        }
    }

    /// The terms of one text with their positions, by each tokenizer; one that has none without a tokenizer.
    pub fn terms(&self, value: &Value) -> Vec<BTreeMap<Vec<u8>, Vec<u32>>> {
        match value {
            Value::Bytes(text) if !self.tokenizers.is_empty() => {
                self.tokenizers.iter().map(|tokenizer| by_term(tokenizer(text))).collect()
            }
            _ => vec![BTreeMap::new()],
        }
    }
}
