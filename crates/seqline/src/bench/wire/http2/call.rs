//! One call on its way, and what its answer comes to.

use std::time::Instant;

use super::super::judge::Wanted;

/// A call without an answer.
#[derive(Debug)]
pub struct Call {
    pub begun: Instant,
    pub window: i64,
    /// What of the request is not sent yet.
    pub unsent: Vec<u8>,
    pub http_status: Option<String>,
    pub grpc_status: Option<String>,
    pub grpc_message: String,
    /// The reply's message as far as it came.
    pub reply: Vec<u8>,
    /// What it says, once it came whole in one frame.
    pub judged: Option<Result<u64, String>>,
}

impl Call {
    /// A call that left now; `window` is what of its body the server takes.
    pub fn new(begun: Instant, window: i64) -> Call {
        Call {
            begun,
            window,
            unsent: Vec::new(),
            http_status: None,
            grpc_status: None,
            grpc_message: String::new(),
            reply: Vec::new(),
            judged: None,
        }
    }

    /// What it came to, now that its stream has ended.
    ///
    /// # Errors
    /// Why it is no success.
    pub fn outcome(self, wanted: Wanted) -> Result<u64, String> {
        if let Some(status) = self.http_status {
            return Err(format!("HTTP status {status} instead of a gRPC reply"));
        }
        match self.grpc_status.as_deref() {
            Some("0") => self.judged.unwrap_or_else(|| wanted.judge_grpc(&self.reply)),
            Some(code) => Err(format!("the server refused: {} (gRPC {code})", self.grpc_message)),
            None => Err("a reply without a grpc-status".to_owned()),
        }
    }
}
