//! Reading a timeline page by page and printing it; shared by `sync` and `history`.

use std::io::{self, Write as _};

use serde_json::json;

use super::terminal::{Problem, note, printable};
use crate::client::{Client, Failure, Page, Timeline};

/// A cursor in one timeline that prints what it passes.
pub struct Reader {
    client: Client,
    timeline: Timeline,
    page_entries: i32,
    json: bool,
    cursor: i64,
    printed: u64,
}

/// Where a reader stands after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// How many entries the page had.
    pub entries: usize,
    /// The newest entry of the inbox, if the page said so.
    pub latest: Option<i64>,
}

impl Reader {
    /// Reads `timeline` from after `after`, `page_entries` at a time; 0 leaves that to the
    /// server.
    pub fn new(
        client: Client,
        timeline: Timeline,
        after: i64,
        page_entries: i32,
        json: bool,
    ) -> Reader {
        Reader { client, timeline, page_entries, json, cursor: after.max(0), printed: 0 }
    }

    /// The last position that was passed.
    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// Reads the next page, prints it and moves on.
    ///
    /// # Errors
    /// The call's failure, with which nothing was printed and the cursor stays; or a problem
    /// that makes going on wrong.
    pub async fn next(&mut self) -> Result<Result<Position, Failure>, Problem> {
        let protocol = self.client.protocol();
        let request = protocol.read(&self.timeline, self.cursor, self.page_entries);
        let reply = match self.client.call(&request).await {
            Ok(reply) => reply,
            Err(failure) => return Ok(Err(failure)),
        };
        let page = match self.timeline {
            Timeline::Inbox(_) => reply.inbox_page(),
            Timeline::Direct(..) | Timeline::Group(_) => reply.conversation_page(),
        };
        match page {
            Ok(page) => self.pass(&page).map(Ok),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Reads and prints page after page to the end of what is there.
    ///
    /// # Errors
    /// As [`Reader::next`], and any failure of a call.
    pub async fn all(&mut self) -> Result<Position, Problem> {
        loop {
            let position = self.next().await??;
            let at_end = position.latest.is_some_and(|latest| self.cursor >= latest);
            if position.entries == 0 || at_end {
                return Ok(position);
            }
        }
    }

    fn pass(&mut self, page: &Page<'_>) -> Result<Position, Problem> {
        let position = Position { entries: page.entries.len(), latest: page.latest };
        let mut out = io::BufWriter::new(io::stdout().lock());
        for entry in &page.entries {
            let expected = self.cursor + 1;
            if entry.seq != expected {
                self.jump(expected, entry.seq)?;
            }
            if self.json {
                writeln!(out, "{}", json!({"seq": entry.seq, "message": entry.message}))?;
            } else {
                if self.printed == 0 {
                    writeln!(out, "{:>8}  message", "seq")?;
                }
                writeln!(out, "{:>8}  {}", entry.seq, printable(&entry.message))?;
            }
            self.cursor = entry.seq;
            self.printed += 1;
        }
        out.flush()?;
        Ok(position)
    }

    /// Entries that retention removed before anything was read are only worth a note; a hole or
    /// a step back later means that something would be lost or repeated.
    fn jump(&self, expected: i64, found: i64) -> Result<(), Problem> {
        if self.printed == 0 && found > expected {
            note(&format!("entries {expected} to {} are no longer kept", found - 1));
            return Ok(());
        }
        Err(Problem::Failed(format!(
            "entry {expected} should come next, but the server returned {found}"
        )))
    }
}
