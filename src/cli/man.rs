//! `man`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};

use crate::{
    report::Exit,
    vfs::{RealFs, ReplacedFile, Vfs, VfsMut},
};

use super::{Session, command, error::Failure};

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Directory for the pages; made if it does not exist
    #[arg(value_hint = ValueHint::DirPath, value_name = "DIR")]
    dir: PathBuf,
}

pub fn run(session: &mut Session, args: &ManArgs) -> Result<Exit, Failure> {
    if RealFs.metadata(&args.dir).is_err() {
        RealFs.create_dir(&args.dir).map_err(|error| Failure::Target { path: args.dir.clone(), error })?;
    }
    for (name, page) in pages()? {
        let path = args.dir.join(name);
        write(&path, &page).map_err(|error| Failure::Target { path, error })?;
    }
    session.out.flush()?;
    Ok(Exit::Ok)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = ReplacedFile::create(&RealFs, path)?;
    file.write_all(content)?;
    file.commit()
}

/// File name and content of every man page: one for the program, one for each command.
pub fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    collect(&command(), Path::new("zvecctl"), &mut pages)?;
    Ok(pages)
}

fn collect(command: &clap::Command, name: &Path, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let title = name.to_string_lossy().replace('/', "-");
    let shown = command.clone().display_name(title.clone()).bin_name(title.replace('-', " "));
    let mut page = Vec::new();
    // The date is left out: the pages are kept under version control and compared.
    clap_mangen::Man::new(shown).title(title.to_uppercase()).date("").render(&mut page)?;
    pages.push((format!("{title}.1"), page));
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
        collect(sub, &name.join(sub.get_name()), pages)?;
    }
    Ok(())
}
