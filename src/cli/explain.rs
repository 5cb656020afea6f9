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
    let mut all = Vec::new();
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
    let titles: Vec<&str> =
        [&chapter.title, &section.title].into_iter().map(String::as_str).filter(|t| !t.is_empty()).collect();
    Explanation {
        code: code.to_owned(),
        section: titles.join(": "),
        severity: cell("severity"),
        exit: cell("exit"),
        meaning: cell("what it means").unwrap_or_default(),
        zvec: cell("zvec"),
        zvecctl: cell("zvecctl"),
        remedy: cell("what to do").or(above),
        background,
    }
}

/// Text without its marks of emphasis.
fn plain(text: &str) -> String {
    text.replace("**", "")
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
                    | `a.b` | error, loss possible | it is **bad** | – |\n\n### Deep\n\nMore.\n\n| code | what to do |\n|---|---|\n| `c.d` | nothing |\n";
        let all = parse(text);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].code.as_str(), all[0].section.as_str()), ("a.b", "Logs"));
        assert_eq!((all[0].meaning.as_str(), all[0].zvec.as_deref()), ("it is bad", None));
        assert_eq!(all[0].remedy.as_deref(), Some("export."));
        assert_eq!(all[0].background, ["One two. What to do: export."]);
        assert_eq!((all[1].section.as_str(), all[1].remedy.as_deref()), ("Logs: Deep", Some("nothing")));
        assert_eq!(all[1].background.len(), 2);
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
