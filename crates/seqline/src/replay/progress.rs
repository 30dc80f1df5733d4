//! A progress bar on standard error; nothing where that is not a terminal.

use indicatif::{ProgressBar, ProgressStyle};

const TEMPLATE: &str = "{msg:<10} {bar:30} {human_pos}/{human_len} {per_sec} {eta} left";

/// A bar for `length` steps of what `name` says.
pub fn bar(name: &'static str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(name);
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar
}
