//! What a report says in words: true, in a line, and without what does not happen.

use super::verified;
use crate::support::{Fixture, program::on};

fn reasons(fixture: &Fixture) -> Vec<String> {
    let (_, collection) = verified(&fixture.path(), &["--level", "3"]);
    assert_eq!(collection["outlook"]["open"], "opens");
    let reasons = collection["outlook"]["reasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason.as_str().unwrap().to_owned()).collect()
}

/// zvec 0.8.0 opens them without a word.
#[test]
fn wrong_answers_are_told() {
    for (damage, what) in [
        ("real_0.7.0_shifted_vectors", "0/dense.index.3.proxima: would return other documents' vectors"),
        ("real_0.8.0_hnsw_qint8_rotate_optimized", "searches would return arbitrary documents"),
    ] {
        let reasons = reasons(&Fixture::damaged(damage));
        assert!(reasons.iter().any(|reason| reason.contains(what)), "{damage}: {reasons:?}");
    }
    assert_eq!(reasons(&Fixture::good("0.8.0_small_flushed")), Vec::<String>::new());
}

#[test]
fn what_does_not_open_replays_nothing() {
    let fixture = Fixture::damaged("wal_empty");
    let (_, collection) = verified(&fixture.path(), &[]);
    assert_eq!(collection["outlook"]["open"], "refuses");
    assert!(collection["outlook"]["wal"].is_null(), "{collection:#}");
    let text = on("verify", &fixture.path()).stdout;
    assert!(!text.contains("replays"), "{text}");
}

#[test]
fn nothing_at_risk_is_not_told() {
    let text = on("verify --level 3", &Fixture::damaged("hnsw_neighbour").path()).stdout;
    assert!(text.contains("hnsw.recall") && !text.contains("(0 documents"), "{text}");
}
