//! The merge operators of zvec's column families, and how zvec writes the families of its three kinds of databases.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{FamilyOptions, Operator};
use crate::format::{Result, fts, inverted, roaring as set, rocks::write::MergeOperator};

/// Bytes of the capped prefix extractor that zvec gives every family of a full-text index.
const TEXT_PREFIX: usize = 8;

/// Union of postings: the families of a scalar index.
#[derive(Debug, Clone, Copy)]
pub struct PostingUnion;

/// Union of bare roaring sets: postings of a full-text index that is not sealed.
#[derive(Debug, Clone, Copy)]
pub struct SetUnion;

/// The largest of u32 counts: `$MAX_TF` of a full-text index.
#[derive(Debug, Clone, Copy)]
pub struct LargestCount;

/// The base and the operands on it.
fn all<'a>(base: Option<&'a [u8]>, operands: &'a [Vec<u8>]) -> impl Iterator<Item = &'a [u8]> {
    base.into_iter().chain(operands.iter().map(Vec::as_slice))
}

impl MergeOperator for PostingUnion {
    fn full(&self, _: &[u8], base: Option<&[u8]>, operands: &[Vec<u8>]) -> Result<Vec<u8>> {
        inverted::merge(all(base, operands))
    }

    fn partial(&self, key: &[u8], operands: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
        self.full(key, None, operands).map(Some)
    }
}

impl MergeOperator for SetUnion {
    fn full(&self, _: &[u8], base: Option<&[u8]>, operands: &[Vec<u8>]) -> Result<Vec<u8>> {
        let mut rows = RoaringBitmap::new();
        for bytes in all(base, operands) {
            rows |= set::decode_exact(bytes, 0)?;
        }
        Ok(set::encode(&rows))
    }

    fn partial(&self, key: &[u8], operands: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
        self.full(key, None, operands).map(Some)
    }
}

impl MergeOperator for LargestCount {
    fn full(&self, _: &[u8], base: Option<&[u8]>, operands: &[Vec<u8>]) -> Result<Vec<u8>> {
        fts::merge_max(all(base, operands)).map(|largest| largest.to_vec())
    }

    fn partial(&self, key: &[u8], operands: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
        self.full(key, None, operands).map(Some)
    }
}

fn merged(operator: Operator, name: &str) -> FamilyOptions {
    FamilyOptions { merge: Some(operator), merge_operator_name: Some(name.to_owned()), capped_prefix: None }
}

/// The family of an id map.
pub fn id_map(_family: &[u8]) -> FamilyOptions {
    FamilyOptions::default()
}

/// A family of a scalar index: zvec gives all of them the same operator.
pub fn scalar_index(_family: &[u8]) -> FamilyOptions {
    merged(Arc::new(PostingUnion), "InvertedRocksdbValueMerger")
}

/// A family of a full-text index.
pub fn full_text_index(family: &[u8]) -> FamilyOptions {
    // A name that is not UTF-8 is none of zvec's.
    let options = match fts::Family::parse(std::str::from_utf8(family).unwrap_or("default")) {
        fts::Family::Postings(_) => merged(Arc::new(SetUnion), "FtsPostingsMerge"),
        fts::Family::MaxTermFrequency(_) => merged(Arc::new(LargestCount), "FtsMaxTfMerge"),
        _ => FamilyOptions::default(),
    };
    FamilyOptions { capped_prefix: Some(TEXT_PREFIX), ..options }
}
