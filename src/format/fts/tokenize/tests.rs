use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

const NONE: [&str; 0] = [];

fn texts(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
    let tokens = tokenizer.tokenize(text.as_bytes());
    assert!(tokens.iter().map(|token| token.position).eq(0..tokens.len() as u32));
    tokens.into_iter().map(|token| String::from_utf8(token.text).unwrap()).collect()
}

/// What zvec 0.8.0 stored for texts that hurt.
#[test]
fn tokens_are_those_of_zvec() {
    let golden: Vec<Json> = serde_json::from_str(include_str!("../../testdata/fts/tokens.json")).unwrap();
    let mut cases = 0;
    for settings in &golden {
        let filters: Vec<&str> =
            settings["filters"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let (name, extra) = (settings["tokenizer"].as_str().unwrap(), settings["extra_params"].as_str().unwrap());
        let tokenizer = Tokenizer::new(name, &filters, extra).unwrap();
        for case in settings["cases"].as_array().unwrap() {
            let text = case[0].as_str().unwrap();
            let expected: Vec<&str> = case[1].as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect();
            assert_eq!(texts(&tokenizer, text), expected, "{name} {filters:?} {extra} {text:?}");
            cases += 1;
        }
    }
    assert!(golden.len() == 14 && cases > 700, "{} {cases}", golden.len());
}

/// What zvec 0.5.1 stored.
#[test]
fn the_tokenizers_of_0_5_know_ascii_alone() {
    let tokens = |name, extra: &str, text: &str| -> Vec<(u32, String)> {
        let tokenizer = Tokenizer::of_0_5(name, &["lowercase"], extra).unwrap();
        let tokens = tokenizer.tokenize(text.as_bytes()).into_iter();
        tokens.map(|token| (token.position, String::from_utf8(token.text).unwrap())).collect()
    };
    let expected = |words: &[(u32, &str)]| words.iter().map(|(at, word)| (*at, (*word).to_owned())).collect::<Vec<_>>();
    let found = tokens("standard", "", "Naïve Café! don't a_b 3.14 日本");
    let words = [(0, "na"), (1, "ve"), (2, "caf"), (3, "don"), (4, "t"), (5, "a"), (6, "b"), (7, "3"), (8, "14")];
    assert_eq!(found, expected(&words));
    assert_eq!(tokens("whitespace", "", "ÄÖÜ Ça B"), expected(&[(0, "ÄÖÜ"), (1, "Ça"), (2, "b")]));
    let found = tokens("", "{\"max_token_length\":4}", "日9_B9_本'aBaxx_-:B日9a");
    assert_eq!(
        found,
        expected(&[(0, "9"), (1, "b9"), (3, "b"), (4, "9a")]),
        "a long word is left out, its position too"
    );
    assert!(Tokenizer::of_0_5("ngram", &NONE, "").is_none());
    assert!(Tokenizer::of_0_5("standard", &["stemmer"], "").is_none());
}

#[test]
fn bytes_that_are_not_utf8_are_kept_where_nothing_needs_characters() {
    let tokens = |name, filters: &[&str], text: &[u8]| -> Vec<Vec<u8>> {
        let tokenizer = Tokenizer::new(name, filters, "").unwrap();
        tokenizer.tokenize(text).into_iter().map(|token| token.text).collect()
    };
    assert_eq!(tokens("whitespace", &["lowercase"], b"A\xffB \xc3 C"), [&b"a\xffb"[..], b"\xc3", b"c"]);
    assert_eq!(tokens("whitespace", &["ascii_folding"], b"\xc3\xa9\xff"), [b"e\xff"]);
    assert_eq!(tokens("standard", &[], b"ab\xffcd"), [b"ab", b"cd"]);
    assert_eq!(tokens("ngram", &[], b"ab\xffcd"), [b"ab", b"cd"]);
}

/// Words and what zvec 0.8.0 stored for them.
#[test]
fn stems_are_those_of_zvec() {
    let golden: Vec<(String, Vec<(String, String)>)> =
        serde_json::from_str(include_str!("../../testdata/fts/stems.json")).unwrap();
    assert_eq!(golden.len(), 29);
    for (language, words) in golden {
        let extra = format!("{{\"stemmer_lang\":\"{language}\"}}");
        let tokenizer = Tokenizer::new("whitespace", &["stemmer"], &extra).unwrap();
        assert!(words.len() >= 50 && words.iter().filter(|(word, _)| word.contains('\'')).count() >= 15);
        for (word, stem) in words {
            assert_eq!(texts(&tokenizer, &word), [stem], "{language} {word}");
        }
    }
}

#[test]
fn ngrams_of_a_text_are_bounded() {
    let tokenizer = Tokenizer::new("ngram", &NONE, r#"{"ngram_min":1,"ngram_max":1}"#).unwrap();
    assert_eq!(tokenizer.tokenize(&[b'a'; 262_145]).len(), 262_144);
    let tokenizer = Tokenizer::new("ngram", &NONE, r#"{"ngram_min":40000,"ngram_max":40001}"#).unwrap();
    let tokens = tokenizer.tokenize(&[b'a'; 41_000]);
    assert_eq!(tokens.len(), (16 << 20) / 40_000);
}

#[test]
fn settings_that_zvec_refuses_are_refused() {
    let code = |name: &str, filters: &[&str], extra: &str| {
        Tokenizer::new(name, filters, extra).map_err(|error| error.code).err()
    };
    for (name, filters, extra) in [
        ("Standard", &[][..], ""),
        ("code", &[], ""),
        ("standard", &["stopword"], ""),
        ("standard", &["Lowercase"], ""),
        ("standard", &[], "[]"),
        ("standard", &[], "null"),
        ("standard", &[], r#"{"max_token_length":0}"#),
        ("standard", &[], r#"{"max_token_length":-1}"#),
        ("standard", &[], r#"{"max_token_length":1048577}"#),
        ("standard", &[], r#"{"max_token_length":5.0}"#),
        ("standard", &[], r#"{"max_token_length":1e2}"#),
        ("standard", &[], r#"{"max_token_length":"5"}"#),
        ("standard", &[], r#"{"max_token_length":true}"#),
        ("standard", &[], r#"{"max_token_length":99999999999999999999}"#),
        ("standard", &[], r#"{"max_token_length":5,"max_token_length":7}"#),
        ("ngram", &[], r#"{"ngram_min":0}"#),
        ("ngram", &[], r#"{"ngram_min":3}"#),
        ("ngram", &[], r#"{"ngram_max":1}"#),
        ("ngram", &[], r#"{"ngram_min":2,"ngram_max":4}"#),
        ("ngram", &[], r#"{"ngram_min":4294967296,"ngram_max":4294967296}"#),
        ("ngram", &[], r#"{"token_chars":"letter"}"#),
        ("ngram", &[], r#"{"token_chars":["custom"]}"#),
        ("ngram", &[], r#"{"token_chars":[1]}"#),
    ] {
        assert_eq!(code(name, filters, extra), Some("fts.bad-settings"), "{name} {filters:?} {extra}");
    }
    for (name, filters, extra) in [
        ("", &["lowercase", "lowercase"][..], ""),
        ("standard", &[], "\t{}\n"),
        ("standard", &[], r#"{"max_token_length":1048576,"foo":[{}]}"#),
        ("standard", &[], r#"{"max_token_length":null,"ngram_min":"x"}"#),
        ("whitespace", &["ascii_folding"], r#"{"max_token_length":"x"}"#),
        ("standard", &["stemmer"], r#"{"stemmer_lang":""}"#),
        ("standard", &["stemmer"], r#"{"stemmer_lang":5}"#),
        ("standard", &[], r#"{"stemmer_lang":"klingon"}"#),
        ("ngram", &[], r#"{"ngram_max":3,"token_chars":[]}"#),
        ("ngram", &[], r#"{"ngram_min":4294967295,"ngram_max":4294967295,"token_chars":null}"#),
    ] {
        assert_eq!(code(name, filters, extra), None, "{name} {filters:?} {extra}");
    }
}

#[test]
fn settings_that_cannot_be_reproduced_are_not_guessed() {
    for (name, filters, extra) in [
        ("jieba", &[][..], ""),
        ("standard", &["stemmer"], r#"{"stemmer_lang":"finnish"}"#),
        ("standard", &["stemmer"], r#"{"stemmer_lang":"estonian"}"#),
        ("standard", &["stemmer"], r#"{"stemmer_lang":"norwegian"}"#),
        ("standard", &["stemmer"], r#"{"stemmer_lang":"English"}"#),
        ("standard", &[], r#"{"max_token_length":5,}"#),
        ("standard", &[], r#"{"max_token_length":010}"#),
        ("standard", &[], r#"{"max\u005ftoken_length":5}"#),
    ] {
        let error = Tokenizer::new(name, filters, extra).unwrap_err();
        assert_eq!(error.code, "fts.unsupported-tokenizer", "{name} {filters:?} {extra}");
    }
}

proptest! {
    #[test]
    fn any_bytes_give_tokens_that_are_not_empty(text in prop::collection::vec(any::<u8>(), 0..80), limit in 1..9) {
        let extra = format!("{{\"max_token_length\":{limit}}}");
        for name in ["standard", "whitespace", "ngram"] {
            let tokenizer = Tokenizer::new(name, &["lowercase", "ascii_folding"], &extra).unwrap();
            prop_assert!(tokenizer.tokenize(&text).iter().all(|token| !token.text.is_empty()));
        }
    }

    #[test]
    fn words_come_in_the_order_of_the_text(text in "\\PC{0,40}") {
        let tokenizer = Tokenizer::new("standard", &NONE, "").unwrap();
        let mut rest = text.as_str();
        for word in texts(&tokenizer, &text) {
            let at = rest.find(&word);
            prop_assert!(at.is_some());
            rest = &rest[at.unwrap() + word.len()..];
        }
    }
}
