//! How texts are cut, where a bit of the manifest has changed and no tokenizer or filter is called so any more.

use crate::{
    format::{
        fts::tokenize::Tokenizer,
        manifest::proto::{CollectionSchema, FtsIndexParams, IndexParams, index_params::Params},
    },
    inspect::{
        View,
        evidence::{Found, texts},
    },
};

/// Names that zvec knows.
const TOKENIZERS: [&str; 4] = ["standard", "whitespace", "ngram", "jieba"];
const FILTERS: [&str; 3] = ["lowercase", "ascii_folding", "stemmer"];

/// In so many bits a damaged name may differ from the one that it was.
const FEW: u32 = 3;

/// Puts the settings of full-text columns right that no zvec knows: by the one name that differs from the damaged one in few bits; else by what the
/// index holds of the texts, which goes to `assumed`.
pub fn mend(
    view: &View,
    segments: &[Found],
    schema: &mut CollectionSchema,
    notes: &mut Vec<String>,
    assumed: &mut Vec<String>,
) {
    for field in &mut schema.fields {
        let Some(IndexParams { params: Some(Params::Fts(params)) }) = &mut field.index_params else { continue };
        if is_known(params) {
            continue;
        }
        let near = near(params);
        if is_known(&near) {
            notes.push(format!("field {}: {} where it said {}", field.name, words(&near), words(params)));
            *params = near;
        } else if let Some((told, texts)) = texts::settings(view, segments, &field.name) {
            notes.push(format!("field {}: {}, by the terms of its index", field.name, words(&told)));
            assumed.push(format!(
                "field {}: {}, by which {texts} texts give the terms of its index; the manifest said {}",
                field.name,
                words(&told),
                words(params)
            ));
            *params = told;
        }
    }
}

/// Whether zvec knows the settings, whether or not they can be reproduced here.
fn is_known(params: &FtsIndexParams) -> bool {
    match Tokenizer::new(&params.tokenizer_name, &params.filters, &params.extra_params) {
        Ok(_) => true,
        Err(error) => error.code == "fts.unsupported-tokenizer",
    }
}

fn near(params: &FtsIndexParams) -> FtsIndexParams {
    FtsIndexParams {
        tokenizer_name: nearest(&params.tokenizer_name, &TOKENIZERS),
        filters: params.filters.iter().map(|name| nearest(name, &FILTERS)).collect(),
        extra_params: params.extra_params.clone(),
    }
}

/// The one known name of the same length that differs in few bits; the name itself if there is none.
fn nearest(name: &str, known: &[&str]) -> String {
    let bits = |other: &str| name.bytes().zip(other.bytes()).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
    let mut near = known.iter().filter(|other| other.len() == name.len() && bits(other) <= FEW);
    match (near.next(), near.next()) {
        (Some(one), None) => (*one).to_owned(),
        _ => name.to_owned(),
    }
}

fn words(params: &FtsIndexParams) -> String {
    format!("the tokenizer {:?} with filters [{}]", params.tokenizer_name, params.filters.join(", "))
}
