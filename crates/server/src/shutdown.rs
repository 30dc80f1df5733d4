//! How a stop spreads: first ask everybody to finish, then stop waiting for who does not.

use tokio_util::sync::CancellationToken;

/// The two steps of a stop, shared by everything that must notice them.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Take nothing new, finish what was begun.
    pub begin: CancellationToken,
    /// Drop what is not finished.
    pub force: CancellationToken,
}
