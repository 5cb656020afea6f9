//! What `verify` says that zvec 0.8.0 would do, beside what it did: the last column of `fixtures/damaged/README.md`.

use std::{collections::BTreeMap, fs};

use super::verified;
use crate::support::{Fixture, fixture, repository};

/// Archives whose damage no check of level 1 shows, so that nobody can know.
const UNKNOWABLE: [&str; 1] = ["ipc_docid_flip"];

fn observed() -> BTreeMap<String, String> {
    let text = fs::read_to_string(repository("fixtures/damaged/README.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| `")?.trim_end_matches('|').split('|').map(str::trim).collect();
        Some((cells.first()?.trim_end_matches('`').to_owned(), (*cells.last()?).to_owned()))
    });
    rows.collect()
}

#[test]
fn zvec_did_what_is_foretold() {
    let observed = observed();
    for name in fixture::names("damaged") {
        let fixture = Fixture::damaged(&name);
        let did = observed.get(&name).unwrap_or_else(|| panic!("{name} is not in the README"));
        let (_, collection) = verified(&fixture.path(), &[]);
        let outlook = &collection["outlook"];
        let open = outlook["open"].as_str().unwrap();
        let expected = match did.split([';', ':']).next().unwrap() {
            "opens" => "opens",
            "refuses" => "refuses",
            "dies" => "destroys",
            other => panic!("{name}: {other}"),
        };
        assert_eq!(open, expected, "{name}: {did}");
        match open {
            "opens" => {
                assert_eq!(outlook["accepts_inserts"], !did.contains("refuses an insert"), "{name}: {did}");
                if !UNKNOWABLE.contains(&name.as_str()) {
                    let gone =
                        did.split(", ").find_map(|part| part.strip_suffix(" gone")).map_or(0, |n| n.parse().unwrap());
                    let documents = &outlook["documents"];
                    let count = |what: &str| documents[what]["count"].as_u64().unwrap_or(0);
                    // A record that is damaged is gone for everybody.
                    let damaged = u64::from(name.starts_with("wal_") && gone > 0);
                    assert_eq!(count("missing") + count("unreachable") + damaged, gone, "{name}: {did}");
                }
            }
            "refuses" => {
                let message = outlook["message"].as_str().unwrap();
                let start = message.split([':', ',', '[']).next().unwrap();
                // Of forward blocks zvec passes on what Arrow says.
                assert!(did.contains(start) || message.starts_with("cannot open "), "{name}: {message} / {did}");
            }
            _ => assert!(outlook["removes"].as_array().unwrap().len() > 1, "{name}"),
        }
    }
}
