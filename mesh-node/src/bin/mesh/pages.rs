//! Completion scripts and man pages, made from the command line itself.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use mesh_node::Error;

use crate::args::Arguments;
use crate::say::failed;

/// `mesh completions`.
pub(crate) fn completions(shell: Shell) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "mesh", &mut script);
    io::stdout().write_all(&script).map_err(failed)
}

/// `mesh man`.
pub(crate) fn man(dir: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), dir))
        .map_err(|error| {
            failed(format_args!("cannot write man pages to {}: {error}", dir.display()))
        })
}
