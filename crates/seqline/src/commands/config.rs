//! `gen-config` prints every setting, `check-config` says whether settings are right.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use seqline_server::config::{example, reference};

use super::serve::Settings;
use super::{Ended, Failed};

/// Print every setting with its text and default, as a YAML file or as a page to read
#[derive(Debug, Args)]
#[command(after_help = "\
Keep the lines you change and delete the rest:
  seqline gen-config > settings.yaml
  seqline check-config --config settings.yaml
  seqline serve --config settings.yaml")]
pub struct GenConfig {
    /// A file to start with, or a page to read
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
        print(&match self.format {
            Format::Yaml => example(),
            Format::Markdown => reference(),
        })
    }
}

/// Check settings the way `serve` reads them, and print those it would use
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is opened, made or listened on. Passwords and credentials are masked.

Exit codes: 0 the settings are right, 2 they are not; what is wrong and where goes to standard
error, everything at once.

Examples:
  seqline check-config --config settings.yaml
  SEQLINE__LOG__LEVEL=debug seqline check-config --json")]
pub struct CheckConfig {
    #[command(flatten)]
    settings: Settings,
    /// Print the settings as one JSON object
    #[arg(long)]
    json: bool,
}

impl CheckConfig {
    pub fn run(self) -> Ended {
        let config = self.settings.load()?;
        let settings = config.effective();
        if self.json {
            let object: serde_json::Map<String, serde_json::Value> =
                settings.into_iter().map(|(key, value)| (key, value.into())).collect();
            return print(&format!("{}\n", serde_json::Value::from(object)));
        }
        let mut text = String::new();
        for (key, value) in settings {
            text.push_str(&format!("{key}: {value}\n"));
        }
        for warning in config.warnings() {
            text.push_str(&format!("# {warning}\n"));
        }
        text.push_str("# These settings are right. Next: `seqline serve` with the same ones.\n");
        print(&text)
    }
}

fn print(text: &str) -> Ended {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| {
        Failed::outcome(format!("cannot write to standard output: {error}; free it and repeat"))
    })
}
