//! Commands for runs that several machines share, in a build that does not have them.

use std::path::{Path, PathBuf};

use crate::cli::exit::Exit;
use crate::cli::flags::Display;
use crate::cli::flags::shared::WorkRequest;
use crate::cli::output::print_message;
use crate::model::cost::CostLimit;
use crate::model::price::Price;
use crate::run::options::Options;

fn refuse() -> Exit {
    print_message(
        "error: this build has no shared runs: install it with `cargo install --locked --path . --features postgres`",
    );
    Exit::Usage
}

/// Refuses to copy a run folder to a server.
pub(crate) fn share(_: &Path, _: &str, _: (Option<Price>, Option<CostLimit>), _: Display) -> Exit {
    refuse()
}

/// Refuses to work on a shared run.
pub(crate) fn work(_: WorkRequest<'_>) -> Exit {
    refuse()
}

/// Refuses to share a manifest.
pub(crate) fn run(_: &Options, _: WorkRequest<'_>) -> Exit {
    refuse()
}

/// Refuses to show a shared run.
pub(crate) fn status(_: &str, _: bool, _: bool) -> Exit {
    refuse()
}

/// Refuses to bring a shared run back.
pub(crate) fn merge(_: &str, _: Option<&PathBuf>, _: Display) -> Exit {
    refuse()
}
