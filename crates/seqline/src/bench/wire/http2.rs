//! One gRPC connection: many unary calls of one method over HTTP/2.

mod call;
mod head;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Instant;

use call::Call;
use head::RequestHead;

use super::frame::{self, HEAD_BYTES, Head, flag, kind, setting};
use super::hpack::{self, Name};
use super::judge::Wanted;
use super::template::Template;
use super::{Answer, Speaker};

/// No stream has a number beyond this one; before it the connection is replaced.
const STREAM_LAST: u32 = (1 << 31) - 1_001;
/// Bytes after which the server is told that they were taken. The window is twice as large.
const TAKEN_BYTES: u32 = 1 << 30;
/// Most bytes of a server's headers in all its frames.
const BLOCK_BYTES_MAX: usize = 256 * 1024;

/// One connection.
#[derive(Debug)]
pub struct Http2 {
    wanted: Wanted,
    head: RequestHead,
    decoder: hpack::Decoder,
    /// Calls in the order of their streams, `None` once answered; the first one's is `first`.
    calls: VecDeque<Option<Call>>,
    first: u32,
    in_flight: usize,
    /// Bodies that wait for a window, oldest first.
    waiting: VecDeque<u32>,
    /// The server's settings; `None` until they came.
    server: Option<Server>,
    window: i64,
    /// A header block in several frames: its stream, whether the stream ends with it, its bytes.
    block: Option<(u32, bool, Vec<u8>)>,
    taken: u32,
    is_retiring: bool,
}

#[derive(Clone, Copy, Debug)]
struct Server {
    streams_max: usize,
    window: i64,
    frame_bytes_max: usize,
}

impl Http2 {
    /// A connection for calls of `method`.
    pub fn new(method: &str, authority: &str, wanted: Wanted) -> Http2 {
        Http2 {
            wanted,
            head: RequestHead::new(method, authority),
            decoder: hpack::Decoder::default(),
            calls: VecDeque::new(),
            first: 1,
            in_flight: 0,
            waiting: VecDeque::new(),
            server: None,
            window: i64::from(frame::WINDOW_DEFAULT),
            block: None,
            taken: 0,
            is_retiring: false,
        }
    }

    fn call(&mut self, stream: u32) -> Option<&mut Call> {
        let place = stream.checked_sub(self.first)? as usize / 2;
        self.calls.get_mut(place)?.as_mut()
    }

    fn finish(&mut self, stream: u32, outcome: Option<String>, answers: &mut Vec<Answer>) {
        let Some(place) = stream.checked_sub(self.first).map(|n| n as usize / 2) else { return };
        let Some(call) = self.calls.get_mut(place).and_then(Option::take) else { return };
        self.in_flight -= 1;
        while let Some(None) = self.calls.front() {
            self.calls.pop_front();
            self.first += 2;
        }
        let begun = call.begun;
        let outcome = outcome.map_or_else(|| call.outcome(self.wanted), Err);
        answers.push(Answer { begun, outcome });
    }

    /// Sends what of the waiting bodies the windows allow.
    fn push(&mut self, out: &mut Vec<u8>) {
        let frame_max = self.server.map_or(frame::FRAME_DEFAULT, |server| server.frame_bytes_max);
        for _ in 0..self.waiting.len() {
            let Some(stream) = self.waiting.pop_front() else { break };
            let mut window = self.window;
            let Some(call) = self.call(stream) else { continue };
            while !call.unsent.is_empty() {
                let allowed = usize::try_from(window.min(call.window)).unwrap_or(0);
                let length = call.unsent.len().min(frame_max).min(allowed);
                if length == 0 {
                    break;
                }
                let flags = if length == call.unsent.len() { flag::END_STREAM } else { 0 };
                frame::put_head(out, length, kind::DATA, flags, stream);
                out.extend(call.unsent.drain(..length));
                window -= length as i64;
                call.window -= length as i64;
            }
            let is_waiting = !call.unsent.is_empty();
            self.window = window;
            if is_waiting {
                self.waiting.push_back(stream);
            }
        }
    }

    fn on_frame(
        &mut self,
        head: Head,
        payload: &[u8],
        out: &mut Vec<u8>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), String> {
        let cut = || "a frame of HTTP/2 that is cut".to_owned();
        if self.block.is_some() && head.kind != kind::CONTINUATION {
            return Err("headers of HTTP/2 that are interrupted".to_owned());
        }
        match head.kind {
            kind::DATA => {
                self.take_data(head, frame::contents(head, payload).ok_or_else(cut)?, out);
                if head.has(flag::END_STREAM) {
                    self.finish(head.stream, None, answers);
                }
            }
            kind::HEADERS => {
                let block = frame::contents(head, payload).ok_or_else(cut)?;
                let ends = head.has(flag::END_STREAM);
                if head.has(flag::END_HEADERS) {
                    self.take_headers(head.stream, ends, block, answers)?;
                } else {
                    self.block = Some((head.stream, ends, block.to_vec()));
                }
            }
            kind::CONTINUATION => self.go_on(head, payload, answers)?,
            kind::RST_STREAM => {
                let code = number(payload).ok_or_else(cut)?;
                let reason = format!("the server reset the stream (HTTP/2 error {code})");
                self.finish(head.stream, Some(reason), answers);
            }
            kind::SETTINGS if !head.has(flag::ACK) => {
                self.take_settings(payload).ok_or_else(cut)?;
                frame::put_head(out, 0, kind::SETTINGS, flag::ACK, 0);
                self.push(out);
            }
            kind::PING if !head.has(flag::ACK) => {
                frame::put_head(out, payload.len(), kind::PING, flag::ACK, 0);
                out.extend_from_slice(payload);
            }
            kind::GOAWAY => self.go_away(payload, answers).ok_or_else(cut)?,
            kind::WINDOW_UPDATE => {
                let more = i64::from(number(payload).ok_or_else(cut)?);
                match head.stream {
                    0 => self.window += more,
                    stream => drop(self.call(stream).map(|call| call.window += more)),
                }
                self.push(out);
            }
            kind::PUSH_PROMISE => return Err("the server pushes, which is off".to_owned()),
            // Priorities, acknowledgements, and kinds that are not known, which must be skipped.
            _ => {}
        }
        Ok(())
    }

    fn take_data(&mut self, head: Head, message: &[u8], out: &mut Vec<u8>) {
        // Padding counts too. A window of a stream never runs out.
        self.taken += head.length as u32;
        if self.taken >= TAKEN_BYTES {
            frame::put_window_update(out, 0, self.taken);
            self.taken = 0;
        }
        let wanted = self.wanted;
        let Some(call) = self.call(head.stream) else { return };
        if call.reply.is_empty() && call.judged.is_none() && is_whole(message) {
            call.judged = Some(wanted.judge_grpc(message));
        } else if !message.is_empty() {
            if call.judged.take().is_some() {
                call.reply.push(u8::MAX);
            }
            call.reply.extend_from_slice(message);
        }
    }

    fn take_headers(
        &mut self,
        stream: u32,
        ends: bool,
        block: &[u8],
        answers: &mut Vec<Answer>,
    ) -> Result<(), String> {
        // Every block must be read, also of a call that is over: the table goes on.
        let mut decoder = std::mem::take(&mut self.decoder);
        let mut call = self.call(stream);
        let read = decoder.decode(block, |name, value| {
            let Some(call) = call.as_mut() else { return };
            let text = || String::from_utf8_lossy(value).into_owned();
            match name {
                Name::HttpStatus => call.http_status = (value != b"200").then(text),
                Name::GrpcStatus => call.grpc_status = Some(text()),
                Name::GrpcMessage => call.grpc_message = text(),
                Name::Other => {}
            }
        });
        self.decoder = decoder;
        read.map_err(|error| error.to_string())?;
        if ends {
            self.finish(stream, None, answers);
        }
        Ok(())
    }

    fn go_on(
        &mut self,
        head: Head,
        payload: &[u8],
        answers: &mut Vec<Answer>,
    ) -> Result<(), String> {
        let Some((stream, ends, mut block)) = self.block.take() else {
            return Err("headers of HTTP/2 that go on without a start".to_owned());
        };
        block.extend_from_slice(payload);
        if stream != head.stream || block.len() > BLOCK_BYTES_MAX {
            return Err("headers of HTTP/2 that never end".to_owned());
        }
        if head.has(flag::END_HEADERS) {
            return self.take_headers(stream, ends, &block, answers);
        }
        self.block = Some((stream, ends, block));
        Ok(())
    }

    fn take_settings(&mut self, payload: &[u8]) -> Option<()> {
        let before = self.server;
        let mut server = before.unwrap_or(Server {
            streams_max: usize::MAX,
            window: i64::from(frame::WINDOW_DEFAULT),
            frame_bytes_max: frame::FRAME_DEFAULT,
        });
        let mut table_bytes = before.is_none().then_some(4_096);
        for (name, value) in frame::settings(payload)? {
            match name {
                setting::HEADER_TABLE_SIZE => table_bytes = Some(value as usize),
                setting::MAX_CONCURRENT_STREAMS => server.streams_max = value as usize,
                setting::INITIAL_WINDOW_SIZE => {
                    let change = i64::from(value) - server.window;
                    self.calls.iter_mut().flatten().for_each(|call| call.window += change);
                    server.window = i64::from(value);
                }
                setting::MAX_FRAME_SIZE => server.frame_bytes_max = value as usize,
                _ => {}
            }
        }
        if let Some(table_bytes) = table_bytes {
            self.head.prepare(table_bytes);
        }
        self.server = Some(server);
        Some(())
    }

    /// The server takes no new calls; those after the last one it names were not begun.
    fn go_away(&mut self, payload: &[u8], answers: &mut Vec<Answer>) -> Option<()> {
        let last = number(payload.get(..4)?)? & frame::WINDOW_MAX;
        let code = number(payload.get(4..8)?)?;
        self.is_retiring = true;
        let end = self.first + 2 * self.calls.len() as u32;
        for stream in (self.first..end).step_by(2).filter(|stream| *stream > last) {
            let reason = format!("the server closed the connection (HTTP/2 error {code})");
            self.finish(stream, Some(reason), answers);
        }
        Some(())
    }
}

/// Whether these are a gRPC message with its frame's head, and nothing else.
fn is_whole(framed: &[u8]) -> bool {
    let length = framed.get(1..5).and_then(number);
    length.is_some_and(|length| length as usize + 5 == framed.len())
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

impl Speaker for Http2 {
    fn greet(&mut self, out: &mut Vec<u8>) {
        frame::put_greeting(out);
    }

    fn has_room(&self) -> bool {
        self.waiting.is_empty()
            && !self.is_retiring
            && self.server.is_some_and(|server| self.in_flight < server.streams_max)
    }

    fn start(&mut self, template: &Template, serial: u64, now: Instant, out: &mut Vec<u8>) {
        let Some(server) = self.server else { return };
        let stream = self.first + 2 * self.calls.len() as u32;
        self.is_retiring |= stream >= STREAM_LAST;
        let head = &self.head.next;
        frame::put_head(out, head.len(), kind::HEADERS, flag::END_HEADERS, stream);
        out.extend_from_slice(head);
        self.head.next.clone_from(&self.head.later);
        let mut call = Call::new(now, server.window);
        let length = template.bytes.len();
        if length <= server.frame_bytes_max && length as i64 <= self.window.min(server.window) {
            frame::put_head(out, length, kind::DATA, flag::END_STREAM, stream);
            template.put(serial, out);
            self.window -= length as i64;
        } else {
            template.put(serial, &mut call.unsent);
            self.waiting.push_back(stream);
        }
        self.calls.push_back(Some(call));
        self.in_flight += 1;
        if !self.waiting.is_empty() {
            self.push(out);
        }
    }

    fn receive(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        answers: &mut Vec<Answer>,
    ) -> Result<usize, String> {
        let mut rest = bytes;
        while let Some((head, after)) = rest.split_first_chunk::<HEAD_BYTES>() {
            let head = Head::read(head);
            if head.length > frame::FRAME_OURS || (self.server.is_none() && !head.is_first()) {
                return Err("no HTTP/2; is this address a Seqline server?".to_owned());
            }
            let Some((payload, after)) = after.split_at_checked(head.length) else { break };
            self.on_frame(head, payload, out, answers)?;
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn is_retiring(&self) -> bool {
        self.is_retiring
    }

    fn abandon(&mut self, reason: &str, answers: &mut Vec<Answer>) {
        let end = self.first + 2 * self.calls.len() as u32;
        for stream in (self.first..end).step_by(2) {
            self.finish(stream, Some(reason.to_owned()), answers);
        }
    }
}
