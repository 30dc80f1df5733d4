//! A connection of the load: one read and one write for each wake-up, made again when it broke.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::load::Mode;
use super::load::Settings;
use super::wire::{Answer, Http1, Http2, Speaker, Template};
use crate::client::Protocol;

/// Room for what comes at a time; a larger answer makes it grow.
const BUFFER_BYTES: usize = 256 * 1024;
/// Before a broken connection is made again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// How long to wait for a connection while everything else waits too.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// One connection.
pub struct Link {
    /// Requests that may be in flight.
    pub places: usize,
    number: usize,
    address: SocketAddr,
    mode: Mode,
    protocol: Protocol,
    authority: String,
    timeout: Duration,
    stream: Option<TcpStream>,
    /// When to connect again, if it is broken.
    due: Option<Instant>,
    speaker: Box<dyn Speaker>,
    received: Vec<u8>,
    /// How many of `received` are filled.
    filled: usize,
    out: Vec<u8>,
    /// How many of `out` are written.
    written: usize,
}

impl Link {
    /// A connection that is not made yet.
    pub fn new(settings: &Settings, address: SocketAddr, number: usize, places: usize) -> Link {
        let endpoint = &settings.endpoint;
        let mut link = Link {
            places,
            number,
            address,
            mode: settings.mode,
            protocol: endpoint.protocol,
            authority: endpoint.authority.clone(),
            timeout: endpoint.timeout,
            stream: None,
            due: None,
            speaker: Box::new(Http1::new(settings.mode.wanted())),
            received: vec![0; BUFFER_BYTES],
            filled: 0,
            out: Vec::new(),
            written: 0,
        };
        link.begin();
        link
    }

    /// A speaker that knows nothing of earlier connections.
    fn begin(&mut self) {
        let wanted = self.mode.wanted();
        self.speaker = match self.protocol {
            Protocol::Grpc => Box::new(Http2::new(self.mode.method(), &self.authority, wanted)),
            Protocol::Http => Box::new(Http1::new(wanted)),
        };
        (self.filled, self.written) = (0, 0);
        self.out.clear();
        self.speaker.greet(&mut self.out);
    }

    /// Connects.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(&mut self, registry: &Registry) -> io::Result<()> {
        self.connect_within(self.timeout, registry)
    }

    fn connect_within(&mut self, timeout: Duration, registry: &Registry) -> io::Result<()> {
        let stream = std::net::TcpStream::connect_timeout(&self.address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, Token(self.number), both)?;
        self.stream = Some(stream);
        self.due = None;
        Ok(())
    }

    /// Makes a broken connection again, or notes when to try next.
    pub fn connect_again(&mut self, registry: &Registry, now: Instant) {
        self.begin();
        if self.connect_within(RECONNECT_TIMEOUT.min(self.timeout), registry).is_err() {
            self.due = Some(now + RECONNECT_PAUSE);
        }
    }

    /// When it wants to be made again; `None` while it is well.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Requests without an answer.
    pub fn in_flight(&self) -> usize {
        self.speaker.in_flight()
    }

    /// Whether another request can leave.
    pub fn has_room(&self) -> bool {
        self.stream.is_some() && self.speaker.in_flight() < self.places && self.speaker.has_room()
    }

    /// Encodes one request; [`Link::flush`] sends it.
    pub fn start(&mut self, template: &Template, serial: u64, now: Instant) {
        self.speaker.start(template, serial, now, &mut self.out);
    }

    /// Takes what came.
    pub fn receive(&mut self, now: Instant, answers: &mut Vec<Answer>) {
        loop {
            let Some(stream) = &mut self.stream else { return };
            let room = self.received.len() - self.filled;
            let count = match stream.read(&mut self.received[self.filled..]) {
                Ok(0) => return self.fail("the server closed the connection", now, answers),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.fail(&error.to_string(), now, answers),
            };
            self.filled += count;
            let bytes = &self.received[..self.filled];
            match self.speaker.receive(bytes, &mut self.out, answers) {
                Ok(used) => {
                    self.received.copy_within(used..self.filled, 0);
                    self.filled -= used;
                }
                Err(reason) => return self.fail(&reason, now, answers),
            }
            if self.filled == self.received.len() {
                self.received.resize(self.filled * 2, 0);
            }
            // Fewer bytes than there was room for: nothing more is there, and the next event
            // tells of more.
            if count < room {
                return;
            }
        }
    }

    /// Sends what waits, as far as the system takes it. Replaces a connection that is worn out.
    pub fn flush(&mut self, now: Instant, answers: &mut Vec<Answer>) {
        while self.written < self.out.len() {
            let Some(stream) = &mut self.stream else { return };
            match stream.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.fail(&error.to_string(), now, answers),
            }
        }
        self.out.clear();
        self.written = 0;
        if self.speaker.is_retiring() && self.speaker.in_flight() == 0 && self.due.is_none() {
            self.stream = None;
            self.due = Some(now);
        }
    }

    /// Every request in flight has failed for `reason`.
    pub fn abandon(&mut self, reason: &str, answers: &mut Vec<Answer>) {
        self.speaker.abandon(reason, answers);
    }

    fn fail(&mut self, reason: &str, now: Instant, answers: &mut Vec<Answer>) {
        self.stream = None;
        self.due = Some(now + RECONNECT_PAUSE);
        self.abandon(&format!("the connection broke: {reason}"), answers);
    }
}
