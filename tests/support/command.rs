//! Runs the client side of the program and looks at how it ends.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::process::SEQLINE;

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Each line of standard output as JSON.
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        self.stdout.lines().map(parse).collect()
    }

    /// Expects that it did what it should.
    #[track_caller]
    pub fn ok(self) -> Ran {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }
}

/// Runs the program to its end.
pub fn seqline<S: AsRef<OsStr>>(args: &[S]) -> Ran {
    seqline_with_input(args, "")
}

/// Runs the program to its end with `input` on its standard input.
pub fn seqline_with_input<S: AsRef<OsStr>>(args: &[S], input: &str) -> Ran {
    let mut command = Command::new(SEQLINE);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary under test starts");
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads no input may have ended before this is written.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
