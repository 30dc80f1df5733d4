//! Logging: one line an event, on standard error. No event carries a message body.

use std::io::{self, IsTerminal as _, Write};
use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat, LogLevel};

/// Logs what this process does as `settings` say, panics included. Only the first call of a
/// process counts.
pub fn start(settings: &Log) {
    let events = tracing_subscriber::fmt::layer().with_writer(OneLine);
    let events = match settings.format {
        LogFormat::Text => events.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => events.json().flatten_event(true).boxed(),
    };
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    // Libraries tell every step of every connection from `info` on.
    let others = level.min(LevelFilter::WARN);
    let targets = Targets::new().with_default(others).with_target("seqline", level);
    if tracing_subscriber::registry().with(events.with_filter(targets)).try_init().is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a value that is no text");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(
        target: "seqline_server::panic",
        place,
        thread = thread.name().unwrap_or("unnamed"),
        "panicked: {text}"
    );
}

/// Standard error, where the lines inside one event are joined.
#[derive(Clone, Copy, Debug)]
struct OneLine;

impl<'a> MakeWriter<'a> for OneLine {
    type Writer = OneLine;

    fn make_writer(&'a self) -> OneLine {
        OneLine
    }
}

impl Write for OneLine {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(&joined(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One event, which ends with a newline, without any other.
fn joined(event: &[u8]) -> Vec<u8> {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    let mut line = Vec::with_capacity(event.len() + 1);
    for &byte in text {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            byte => line.push(byte),
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_several_lines_becomes_one() {
        assert_eq!(joined(b"a\nb\r\n"), b"a\\nb\\r\n");
        assert_eq!(joined(b"a\n"), b"a\n");
    }
}
