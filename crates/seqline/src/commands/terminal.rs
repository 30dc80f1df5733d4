//! What the commands share: how they fail, how they print, what they run on.

use std::borrow::Cow;
use std::io::{self, Write};

use super::{Ended, Failed};
use crate::client::Failure;

/// How the commands of the client side end, for their help.
pub const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, or not as it must be; \
2 wrong usage; 3 the server cannot be reached.";

/// Why a command ends without having done what it should.
#[derive(Debug)]
pub enum Problem {
    /// The arguments make no sense together. The user must change them.
    Usage(String),
    /// There is no server at the address.
    Unreachable(String),
    /// It did not work.
    Failed(String),
    /// Whoever read the output has seen enough.
    OutputClosed,
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        match failure {
            Failure::Unreachable { .. } => Problem::Unreachable(failure.to_string()),
            _ => Problem::Failed(failure.to_string()),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Problem {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Problem::OutputClosed,
            _ => Problem::Failed(error.to_string()),
        }
    }
}

/// The end of a command, as the program reports it.
pub fn finish(result: Result<(), Problem>) -> Ended {
    match result {
        Ok(()) | Err(Problem::OutputClosed) => Ok(()),
        Err(Problem::Usage(text)) => Err(Failed::usage(text)),
        Err(Problem::Unreachable(text)) => Err(Failed::unreachable(text)),
        Err(Problem::Failed(text)) => Err(Failed::outcome(text)),
    }
}

/// A line for people, on standard error so that it never mixes with results.
pub fn note(text: &str) {
    // Nobody is left to be told that this failed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Runs `future` to its end on this thread.
///
/// # Errors
/// What the future returns, or that the system has no resources for a runtime.
pub fn run<T>(future: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// `text` on one line of a terminal: whatever could move the cursor or change colours is shown
/// as an escape, since messages come from anybody.
pub fn printable(text: &str) -> Cow<'_, str> {
    let risky =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(risky) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if risky(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_drive_the_terminal() {
        assert_eq!(printable("吃了吗？ é"), "吃了吗？ é");
        assert_eq!(printable("a\n\u{1b}[31m\u{9b}\u{202e}b"), "a\\n\\u{1b}[31m\\u{9b}\\u{202e}b");
    }
}
