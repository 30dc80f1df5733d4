//! The message to send, from the command line.

use std::io::Read as _;

use clap::Args;
use seqline_core::message::Body;

use super::terminal::Problem;

/// Where a command takes its message from.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct MessageArgs {
    /// The message: a JSON object, stored exactly as written; - reads it from standard input
    /// (one line end at its end is left out).
    message: Option<String>,
    /// Sends {"text": TEXT} instead, so that plain words need no JSON.
    #[arg(long)]
    text: Option<String>,
}

impl MessageArgs {
    /// The message's exact text.
    ///
    /// # Errors
    /// If it is no JSON object, or standard input cannot be read.
    pub fn read(&self) -> Result<String, Problem> {
        if let Some(text) = &self.text {
            return Ok(serde_json::json!({ "text": text }).to_string());
        }
        let mut message = self.message.clone().unwrap_or_default();
        if message == "-" {
            message.clear();
            std::io::stdin().read_to_string(&mut message)?;
            if message.ends_with('\n') {
                message.pop();
            }
        }
        // The server has the limit on the size, and says so.
        match Body::new(message.as_str(), usize::MAX) {
            Ok(_) => Ok(message),
            Err(error) => Err(Problem::Usage(format!(
                "{error}\na message is a JSON object such as {{\"text\":\"hi\"}}; \
                 for plain words use --text \"hi\""
            ))),
        }
    }
}
