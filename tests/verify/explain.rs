//! `explain`.

use crate::support::program::{json_on, run};

#[test]
fn codes_are_explained_with_what_to_do() {
    let text = run(["explain", "wal.damaged"]).exits(0).silently().stdout;
    assert!(text.contains("what to do") && text.contains("Write-ahead log"), "{text}");
    let json = json_on("explain", std::path::Path::new("seal.mismatch"), &[]).exits(0).envelope();
    assert_eq!(json["data"]["code"], "seal.mismatch");
    assert!(json["data"]["remedy"].as_str().unwrap().contains("backup"));
    assert!(json["collection"].is_null());
}

#[test]
fn an_unknown_code_names_those_that_come_near() {
    let refused = run(["explain", "wal.damage"]).exits(2);
    assert!(refused.stderr.contains("did you mean wal.damaged"), "{}", refused.stderr);
    run(["explain", "nothing like it"]).exits(2);
}
