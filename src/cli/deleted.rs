//! `deleted ls`.

use clap::Subcommand;
use roaring::RoaringTreemap;

use crate::{
    inspect::{deleted::Deleted, from_unix},
    report::{
        Exit,
        idmap::{DeletedReport, DocIdRange},
        show_path,
    },
};

use super::{Session, args::CollectionArg, error::Failure};

#[derive(Debug, Subcommand)]
pub enum DeletedCommand {
    /// List the document ids that the delete snapshot marks: deleted and replaced documents, those of the WAL not included
    Ls(CollectionArg),
}

pub fn run(session: &mut Session, command: &DeletedCommand) -> Result<Exit, Failure> {
    let DeletedCommand::Ls(args) = command;
    let held = session.open(&args.path)?;
    let view = &held.view;
    let (_, manifest) = view.manifest()?;
    let deleted = Deleted::load(view, manifest);
    let ids = deleted.ids();
    let mut findings = view.findings().to_vec();
    findings.extend(deleted.findings.iter().cloned());
    let data = DeletedReport {
        path: show_path(&deleted.path),
        written: deleted.set.as_ref().and_then(|set| from_unix(set.timestamp)),
        count: ids.len(),
        ranges: ranges(&ids),
        findings,
    };
    let exit = Exit::of_findings(&data.findings);
    session.out.report("deleted ls", Some(show_path(&args.path)), exit, &data)?;
    Ok(exit)
}

fn ranges(ids: &RoaringTreemap) -> Vec<DocIdRange> {
    let mut ranges: Vec<DocIdRange> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some(range) if range.last.checked_add(1) == Some(id) => range.last = id,
            _ => ranges.push(DocIdRange { first: id, last: id }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_make_a_range() {
        let ids: RoaringTreemap = [1, 2, 3, 7, u64::MAX - 1, u64::MAX].into_iter().collect();
        let found: Vec<_> = ranges(&ids).iter().map(|range| (range.first, range.last)).collect();
        assert_eq!(found, [(1, 3), (7, 7), (u64::MAX - 1, u64::MAX)]);
        assert_eq!(ranges(&RoaringTreemap::new()), []);
    }
}
