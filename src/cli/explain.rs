//! `explain`, and what `docs/findings.md` says of a code.
//!
//! The document is built into the program. Its tables have a row for each code; what a column leaves out stands in the text above the table.

use std::sync::LazyLock;

use clap::Args;

use crate::report::{Exit, explain::Explanation};

use super::{Session, error::Failure};

/// The document.
const TEXT: &str = include_str!("../../docs/findings.md");

/// How many near matches are named.
const NEAR: usize = 5;

/// The command as typed.
const NAME: &str = "explain";

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A code as findings and errors have it: wal.damaged
    #[arg(value_name = "CODE")]
    code: String,
}

pub fn run(session: &mut Session, args: &ExplainArgs) -> Result<Exit, Failure> {
    let Some(found) = find(&args.code) else {
        let near = near(&args.code);
        let mut message = format!("there is no code {}", args.code);
        if !near.is_empty() {
            message.push_str(&format!("; did you mean {}?", near.join(", ")));
        }
        return Err(Failure::Usage(message));
    };
    session.out.report(NAME, None, Exit::Ok, found)?;
    Ok(Exit::Ok)
}

/// What to do about a code, in a few words.
pub fn remedy(code: &str) -> Option<&'static str> {
    find(code)?.remedy.as_deref()
}

/// What the document says of a code.
pub fn find(code: &str) -> Option<&'static Explanation> {
    all().iter().find(|explanation| explanation.code == code)
}

/// Everything that the document explains, in its order.
pub fn all() -> &'static [Explanation] {
    static ALL: LazyLock<Vec<Explanation>> = LazyLock::new(|| parse(TEXT));
    &ALL
}

/// The codes that come nearest to a word, the nearest first.
fn near(word: &str) -> Vec<&'static str> {
    let mut scored: Vec<_> =
        all().iter().map(|known| (strsim::jaro_winkler(word, &known.code), known.code.as_str())).collect();
    scored.retain(|(score, _)| *score > 0.75);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(NEAR).map(|(_, code)| code).collect()
}

fn parse(text: &str) -> Vec<Explanation> {
    let mut all: Vec<Explanation> = Vec::new();
    let (mut chapter, mut section) = (Part::default(), Part::default());
    let mut header: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            (chapter, section) = (Part::of(title), Part::default());
        } else if let Some(title) = line.strip_prefix("### ") {
            section = Part::of(title);
        } else if let Some(row) = line.strip_prefix("| ") {
            let cells: Vec<String> =
                row.trim_end_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
            let code = cells.first().and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`'));
            match code {
                None => header = cells,
                Some(code) if header.get(1).is_some_and(|column| column == "example") => {
                    let example = cells.get(1).map(|cell| cell.trim_matches('`').trim().to_owned());
                    all.iter_mut()
                        .filter(|known| known.code == code)
                        .for_each(|known| known.example.clone_from(&example));
                }
                Some(code) => all.push(explanation(code, &header, &cells, &chapter, &section)),
            }
        } else if !line.starts_with('|') {
            if section.title.is_empty() { &mut chapter } else { &mut section }.add(line);
        }
    }
    all
}

fn explanation(code: &str, header: &[String], cells: &[String], chapter: &Part, section: &Part) -> Explanation {
    let cell = |name: &str| {
        let at = header.iter().position(|column| column == name)?;
        cells.get(at).filter(|cell| !cell.is_empty() && *cell != "–").map(|cell| plain(cell))
    };
    let background: Vec<String> =
        chapter.paragraphs.iter().chain(&section.paragraphs).map(|text| plain(text)).collect();
    let above =
        background.iter().rev().find_map(|text| text.split_once("What to do: ")).map(|(_, rest)| rest.to_owned());
    // A remark calls for nothing, unless its own row says so.
    let remark = cell("severity").is_some_and(|severity| severity.starts_with("info"));
    let meaning = cell("what it means").unwrap_or_default();
    let (meaning, own) = match meaning.split_once(". What to do: ") {
        Some((meaning, remedy)) => (meaning.to_owned(), Some(remedy.to_owned())),
        None => (meaning, None),
    };
    let titles: Vec<&str> =
        [&chapter.title, &section.title].into_iter().map(String::as_str).filter(|t| !t.is_empty()).collect();
    Explanation {
        code: code.to_owned(),
        section: titles.join(": "),
        severity: cell("severity"),
        exit: cell("exit"),
        meaning,
        zvec: cell("zvec"),
        zvecctl: cell("zvecctl"),
        remedy: cell("what to do").or(own).or(above.filter(|_| !remark)),
        example: None,
        background,
    }
}

/// Text without its marks of emphasis.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut chars, mut code) = (text.chars(), false);
    while let Some(char) = chars.next() {
        code ^= char == '`';
        match char {
            '*' if !code => {}
            '\\' if !code => plain.extend(chars.next()),
            _ => plain.push(char),
        }
    }
    plain
}

/// A chapter or section: its title, and the paragraphs before its table.
#[derive(Default)]
struct Part {
    title: String,
    paragraphs: Vec<String>,
    open: bool,
}

impl Part {
    fn of(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    fn add(&mut self, line: &str) {
        if line.trim().is_empty() {
            self.open = false;
            return;
        }
        match self.paragraphs.last_mut().filter(|_| self.open) {
            Some(paragraph) => {
                paragraph.push(' ');
                paragraph.push_str(line.trim());
            }
            None => self.paragraphs.push(line.trim().to_owned()),
        }
        self.open = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_completed_by_the_text_above_its_table() {
        let text = "# T\n\n## Logs\n\nOne\ntwo. What to do: **export**.\n\n| code | severity | what it means | zvec |\n|---|---|---|---|\n\
                    | `a.b` | error, loss possible | it is **bad**, *not used*, X\\_\\*, `y.*` | – |\n\n### Deep\n\nMore.\n\n| code | what to do |\n|---|---|\n| `c.d` | nothing |\n";
        let all = parse(text);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].code.as_str(), all[0].section.as_str()), ("a.b", "Logs"));
        assert_eq!((all[0].meaning.as_str(), all[0].zvec.as_deref()), ("it is bad, not used, X_*, `y.*`", None));
        assert_eq!(all[0].remedy.as_deref(), Some("export."));
        assert_eq!(all[0].background, ["One two. What to do: export."]);
        assert_eq!((all[1].section.as_str(), all[1].remedy.as_deref()), ("Logs: Deep", Some("nothing")));
        assert_eq!(all[1].background.len(), 2);
    }

    #[test]
    fn examples_stand_apart_and_a_remark_calls_for_nothing() {
        let text = "## Logs\n\nWhat to do: export.\n\n| code | severity | what it means |\n|---|---|---|\n| `a.b` | info | odd |\n| `a.c` | error | bad |\n\n\
                    ## Examples\n\nMore.\n\n| code | example |\n|---|---|\n| `a.b` | `0/x: it is 2` |\n";
        let all = parse(text);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].remedy.as_deref(), all[0].example.as_deref()), (None, Some("0/x: it is 2")));
        assert_eq!((all[1].remedy.as_deref(), all[1].example.as_deref()), (Some("export."), None));
    }

    #[test]
    fn every_code_stands_in_one_row_and_has_an_example() {
        let mut codes: Vec<_> = all().iter().map(|known| known.code.as_str()).collect();
        codes.sort_unstable();
        let twice: Vec<_> = codes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        assert_eq!(twice, Vec::<&str>::new());
        let without: Vec<_> = all().iter().filter(|known| known.example.is_none()).map(|known| &known.code).collect();
        assert!(without.is_empty(), "{}: {without:?}", without.len());
    }

    /// What `repair` mends, `explain` says so: as `verify` does.
    #[test]
    fn remedies_know_repair() {
        let chapters = [
            "Delete snapshot",
            "Id map",
            "RocksDB",
            "Forward blocks",
            "Vector files",
            "Contents of indexes",
            "Indexes and the schema",
        ];
        let mended = all().iter().filter(|known| {
            let error = known.severity.as_deref().is_some_and(|severity| severity.starts_with("error"));
            let read = !["only while", "internal", "either of", "the same", "one of these"]
                .iter()
                .any(|words| known.meaning.starts_with(words));
            // A newer format is none of its business, and of these two nothing tells which side is wrong.
            let able =
                !known.severity.as_deref().unwrap_or_default().contains("exit 6") && known.code != "vectors.other-file";
            error && read && able && chapters.iter().any(|chapter| known.section.starts_with(chapter))
        });
        let mended: Vec<_> = mended.collect();
        assert!(mended.len() > 150, "{}", mended.len());
        for known in mended {
            assert!(
                known.remedy.as_deref().unwrap_or_default().contains("`repair"),
                "{}: {:?}",
                known.code,
                known.remedy
            );
        }
        for code in ["segment.sealed-writing", "segment.shifted-vectors", "idmap.missing-key"] {
            let remedy = find(code).and_then(|known| known.remedy.clone()).unwrap_or_default();
            assert!(remedy.contains("repair"), "{code}: {remedy}");
        }
        for code in ["vectors.legacy-layout", "vectors.legacy-quantiser"] {
            assert_eq!(find(code).unwrap().remedy.as_deref(), Some("`repair --fix upgrade`"), "{code}");
        }
        for code in ["hnsw.recall", "vectors.outlier", "rocks.stray-table"] {
            assert_eq!(find(code).unwrap().remedy, None, "{code}");
        }
    }

    #[test]
    fn near_codes_are_found() {
        assert_eq!(near("wal.damage")[0], "wal.damaged");
        assert!(near("manifest.emtpy").contains(&"manifest.empty"));
        assert!(near("zzzz").is_empty());
    }

    #[test]
    fn every_explanation_has_a_meaning() {
        assert!(all().len() > 200);
        for known in all() {
            assert!(!known.meaning.is_empty(), "{}", known.code);
        }
    }
}
