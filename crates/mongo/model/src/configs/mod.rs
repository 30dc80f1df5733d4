//! All configurations: `h-` must hold, `x-` is without a rule and must break.

mod keys;
mod order;
mod retention;

use crate::config::Config;

/// Every configuration, by what it is about.
pub fn all() -> Vec<Config> {
    [order::all(), keys::all(), retention::all()].into_iter().flatten().collect()
}
