//! The `zvecctl` binary: parse, dispatch, exit code.

use std::{panic, process::ExitCode};

use zvecctl::cli;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let of_hook = arguments.clone();
    panic::set_hook(Box::new(move |info| {
        // Decoders of other crates may panic on hostile bytes; where that is contained, it is a finding, not a bug.
        if zvecctl::format::forward::panic_is_contained() {
            return;
        }
        let message = info.payload_as_str().unwrap_or("no message");
        let location = info.location().map_or_else(|| "unknown place".to_owned(), ToString::to_string);
        cli::report_bug(&of_hook, message, &location);
    }));
    panic::catch_unwind(|| cli::run(arguments)).unwrap_or(ExitCode::from(101))
}
