//! `gen-config` prints the settings.

use std::io::Write as _;

use clap::{Args, ValueEnum};

use super::{Ended, Failed};

/// Print every setting with its default, as a YAML file or as a page to read.
///
/// Keep the lines you change: `seqline gen-config > my.yaml`, then
/// `seqline serve --config my.yaml`.
#[derive(Debug, Args)]
pub struct GenConfig {
    /// A file to start with, or a page to read.
    #[arg(long, value_enum, default_value = "yaml")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Yaml,
    Markdown,
}

impl GenConfig {
    pub fn run(&self) -> Ended {
        let text = match self.format {
            Format::Yaml => seqline_server::config::example(),
            Format::Markdown => seqline_server::config::reference(),
        };
        let written = std::io::stdout().write_all(text.as_bytes());
        written.map_err(|error| Failed::outcome(format!("cannot write the file: {error}")))
    }
}
