//! How `repair` looks to people.

use crate::report::{
    Finding, Loss, Severity,
    repair::{Action, DoneAction, HeldAction, Plan, RepairReport},
};

use super::page::{Page, Render, finding_line, many, or_dash};

/// Lost documents that are listed in a table.
const SHOWN: usize = 20;

impl Render for RepairReport {
    fn render(&self, page: &mut Page) {
        if let Some(undone) = &self.undone {
            if undone.already {
                page.line(format!("the repair of {} was taken back already: nothing was done", undone.folder));
                return;
            }
            page.line(format!(
                "taken back: {} in place again, {} of the repair taken out",
                many(undone.restored, "file"),
                many(undone.taken_out, "file")
            ));
            page.line(format!("what was taken out is kept in {}", undone.folder));
            return;
        }
        if self.plan.actions.is_empty() {
            nothing(self, page);
            return;
        }
        if self.applied || !self.done.is_empty() { applied(self, page) } else { planned(self, page) }
    }
}

fn nothing(report: &RepairReport, page: &mut Page) {
    let Plan { unmended, held, .. } = &report.plan;
    if unmended.is_empty() && held.is_empty() {
        page.line("nothing to repair");
        return;
    }
    waiting(held, page);
    let (others, none): (Vec<&Finding>, Vec<_>) = unmended.iter().partition(|finding| finding.repair.is_some());
    let count = |findings: &[&Finding]| many(findings.len() as u64, "error");
    if !others.is_empty() {
        page.line(format!("{} that this does not mend, and another fix does:", count(&others)));
        list(&others, page);
    }
    if !none.is_empty() {
        page.line(format!(
            "{}, and nothing here can mend {}:",
            count(&none),
            if none.len() == 1 { "it" } else { "them" }
        ));
        list(&none, page);
        page.line("`zvecctl salvage` writes every readable document to a new place");
    }
}

/// Findings with the commands that mend them.
fn list(findings: &[&Finding], page: &mut Page) {
    for (at, finding) in findings.iter().enumerate() {
        page.line(format!("  {}", finding_line(finding)));
        let next = findings.get(at + 1).map(|next| &next.repair);
        if let Some(command) = finding.repair.as_ref().filter(|_| next != Some(&finding.repair)) {
            page.line(format!("    remedy: {command}"));
        }
    }
}

fn waiting(held: &[HeldAction], page: &mut Page) {
    for step in held {
        let what = format!("{} {}", step.fix.name(), step.path);
        let first = step.first.name();
        page.line(format!("not taken: {}: {}: --fix {first} comes first", what.trim_end(), step.because));
    }
}

fn planned(report: &RepairReport, page: &mut Page) {
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    page.line(format!("{} found. The plan, of which nothing has been done yet:", many(errors as u64, "error")));
    page.gap();
    let rows: Vec<Vec<String>> = report.plan.actions.iter().enumerate().map(|(at, action)| row(at, action)).collect();
    page.table(&["step", "fix", "what", "does", "lost", "because of"], &rows);
    if !report.plan.held.is_empty() {
        page.gap();
        waiting(&report.plan.held, page);
    }
    if !report.plan.unmended.is_empty() {
        page.gap();
        page.line("not mended by it:");
        list(&report.plan.unmended.iter().collect::<Vec<_>>(), page);
    }
    page.gap();
    page.line(
        "Carry it out with --yes. What is replaced is kept beside the collection, and --undo takes everything back.",
    );
}

fn row(at: usize, action: &Action) -> Vec<String> {
    let loss = match action.loss {
        Loss::None => "nothing",
        Loss::Possible => "perhaps",
        Loss::Certain => "yes, unless another copy tells",
    };
    let codes = if action.findings.is_empty() { "steps before".to_owned() } else { action.findings.join(", ") };
    let path = if action.path.is_empty() { "-".to_owned() } else { action.path.clone() };
    vec![(at + 1).to_string(), action.fix.name().to_owned(), path, action.does.clone(), loss.to_owned(), codes]
}

fn applied(report: &RepairReport, page: &mut Page) {
    for done in &report.done {
        let mark = if done.ok { "done" } else { "FAILED" };
        let what = format!("{} {}", done.fix.name(), done.path);
        page.line(format!("{mark}: {}: {}", what.trim_end(), done.detail));
        lost(done, page);
    }
    page.gap();
    let before = or_dash(report.documents_before);
    let after = or_dash(report.documents_after);
    page.pairs(&[
        ("manifest", report.published.clone().unwrap_or_else(|| "as before".to_owned())),
        ("documents before", before),
        ("documents after", after),
        ("kept in", report.quarantine.clone().unwrap_or_default()),
    ]);
    if let Some(named) = &report.named {
        let counts = [(named.lost, "lost"), (named.doubtful, "doubtful")].into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
        page.gap();
        page.line(format!("every document that is not as it was is named in {}: {}", named.path, counts.join(", ")));
    }
    page.gap();
    if report.clean {
        page.line("repaired: a check of level 3 finds no error");
    } else {
        page.line("not all is repaired: a check of level 3 still finds");
        let after = report.after.iter().flatten().filter(|finding| finding.severity == Severity::Error);
        after.for_each(|finding| page.line(format!("  {}", finding_line(finding))));
        page.line("`zvecctl salvage` writes every readable document to a new place");
    }
}

fn lost(done: &DoneAction, page: &mut Page) {
    for document in done.lost.iter().take(SHOWN) {
        let id = document.id.clone().unwrap_or_else(|| "unknown key".to_owned());
        let number = document.doc_id.map_or_else(String::new, |id| format!(" (document id {id})"));
        page.line(format!("  lost: {id}{number}: {}", document.reason));
    }
    let more = done.lost.len().saturating_sub(SHOWN) as u64 + done.lost_unlisted;
    if more > 0 {
        page.line(format!("  and {} lost", many(more, "more document")));
    }
    done.doubtful.iter().for_each(|line| page.line(format!("  doubtful: {line}")));
}
