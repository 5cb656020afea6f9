//! `completions`.

use clap::Args;
use clap_complete::Shell;

use crate::report::Exit;

use super::{Session, command, error::Failure};

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(session: &mut Session, args: &CompletionsArgs) -> Result<Exit, Failure> {
    // clap_complete panics where it cannot write: it gets memory, we get the error.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "zvecctl", &mut script);
    session.out.stdout().write_all(&script)?;
    session.out.flush()?;
    Ok(Exit::Ok)
}
