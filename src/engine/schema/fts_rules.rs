//! What zvec 0.8.0 takes for a full-text index.
//!
//! ```text
//! tokenizer     standard (also spelt ""), whitespace, ngram, jieba
//! filters       lowercase, ascii_folding, stemmer, in any order and number
//! extra_params  "" or a JSON object; unknown keys mean nothing, null is as if left out
//!   standard    max_token_length: integer, 1 to 1,048,576
//!   ngram       ngram_min, ngram_max: integers, 1 to 2^32 - 1, default 2, max - min 0 or 1;
//!               token_chars: array of letter, digit, whitespace, punctuation, symbol
//!   jieba       cut_mode: search, mix, full, hmm; jieba_dict_dir, user_dict_path: files that zvec reads, not looked at here
//!   stemmer     stemmer_lang: a Snowball algorithm or a code of its language
//! ```
//! A value of another type is ignored where nothing else is said. zvec's JSON reader passes a comma before a closing brace and zeros before a
//! number; these are refused here.

use serde_json::{Map, Value as Json};

use crate::format::fts::tokenize::Tokenizer;

/// Snowball's algorithms and their codes, as zvec 0.8.0 knows them.
const STEMMERS: &str = "arabic ar ara armenian hy hye arm basque eu eus baq catalan ca cat czech cs ces cze danish da dan dutch nl dut nld \
    dutch_porter english en eng esperanto eo epo estonian et est finnish fi fin french fr fre fra german de ger deu greek el gre ell hindi hi \
    hin hungarian hu hun indonesian id ind irish ga gle italian it ita kraaij_pohlmann lithuanian lt lit nepali ne nep norwegian no nor \
    persian fa fas polish pl pol porter portuguese pt por romanian ro rum ron russian ru rus serbian sr srp sesotho st sot spanish es esl \
    spa swedish sv swe tamil ta tam turkish tr tur yiddish yi yid";

/// What zvec refuses, in words.
pub(super) fn check(tokenizer: &str, filters: &[String], extra_params: &str) -> Result<(), String> {
    let extra = match extra_params {
        "" => Map::new(),
        text => serde_json::from_str(text).map_err(|error| format!("extra_params is no JSON object: {error}"))?,
    };
    match tokenizer {
        "" | "standard" => check_standard(&extra)?,
        "ngram" => check_ngram(&extra)?,
        "jieba" => check_jieba(&extra)?,
        "whitespace" => {}
        other => {
            return Err(format!("there is no tokenizer {other:?}: standard, whitespace, ngram and jieba are known"));
        }
    }
    for filter in filters {
        match filter.as_str() {
            "lowercase" | "ascii_folding" => {}
            "stemmer" => check_stemmer(&extra)?,
            other => {
                return Err(format!("there is no filter {other:?}: lowercase, ascii_folding and stemmer are known"));
            }
        }
    }
    Ok(())
}

/// Why this engine cannot make the terms that zvec makes.
pub(super) fn reproducible(tokenizer: &str, filters: &[String], extra_params: &str) -> Result<(), String> {
    Tokenizer::new(tokenizer, filters, extra_params).map(drop).map_err(|error| error.detail)
}

/// An integer parameter, if it is given.
fn integer(extra: &Map<String, Json>, name: &str, most: u64) -> Result<Option<u64>, String> {
    match extra.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Number(number)) if !number.is_f64() => {
            match number.as_u64().filter(|value| (1..=most).contains(value)) {
                Some(value) => Ok(Some(value)),
                None => Err(format!("{name} is {number}, 1 to {most} are allowed")),
            }
        }
        Some(other) => Err(format!("{name} is {other}, it must be an integer")),
    }
}

fn check_standard(extra: &Map<String, Json>) -> Result<(), String> {
    integer(extra, "max_token_length", 1 << 20).map(drop)
}

fn check_ngram(extra: &Map<String, Json>) -> Result<(), String> {
    let min = integer(extra, "ngram_min", u32::MAX.into())?.unwrap_or(2);
    let max = integer(extra, "ngram_max", u32::MAX.into())?.unwrap_or(2);
    if min > max || max - min > 1 {
        return Err(format!("ngram_min is {min} and ngram_max {max}: they are equal, or ngram_max is one more"));
    }
    match extra.get("token_chars") {
        None | Some(Json::Null) => Ok(()),
        Some(Json::Array(classes)) => {
            let known = ["letter", "digit", "whitespace", "punctuation", "symbol"];
            let unknown = classes.iter().find(|class| !class.as_str().is_some_and(|class| known.contains(&class)));
            unknown.map_or(Ok(()), |class| Err(format!("token_chars has {class}; {} are known", known.join(", "))))
        }
        Some(_) => Err("token_chars must be an array".into()),
    }
}

fn check_jieba(extra: &Map<String, Json>) -> Result<(), String> {
    match extra.get("cut_mode").and_then(Json::as_str) {
        None | Some("" | "search" | "mix" | "full" | "hmm") => Ok(()),
        Some(other) => Err(format!("there is no cut_mode {other:?}: search, mix, full and hmm are known")),
    }
}

fn check_stemmer(extra: &Map<String, Json>) -> Result<(), String> {
    match extra.get("stemmer_lang").and_then(Json::as_str) {
        None | Some("") => Ok(()),
        Some(language) if STEMMERS.split_whitespace().any(|known| known == language) => Ok(()),
        Some(other) => Err(format!("there is no stemmer for {other:?}")),
    }
}
