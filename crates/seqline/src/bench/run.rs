//! The measurement itself: one thread that waits for all connections at once.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use super::latency::Latencies;
use super::link::Link;
use super::load::{Mode, Settings};
use super::process::Process;
use super::wire::{Answer, Template};
use crate::client::Failure;
use crate::commands::terminal::Problem;
use crate::machine::processor_time;

/// What is left out at the start, while connections are made and caches fill.
const WARM_UP: Duration = Duration::from_secs(1);
/// After a failure, so that a server that refuses is not asked ever faster.
const PAUSE: Duration = Duration::from_millis(5);
/// Events taken at a time.
const EVENTS: usize = 1_024;

/// What came of it.
#[derive(Debug, Default)]
pub struct Seen {
    /// Of requests that succeeded while it counted.
    pub latencies: Latencies,
    /// Entries that pages held.
    pub entries: u64,
    /// Requests that failed while it counted.
    pub errors: u64,
    /// Requests that succeeded, before and after included.
    pub succeeded_ever: u64,
    /// Requests that failed, before and after included.
    pub failed_ever: u64,
    /// Why, the first one.
    pub first_error: Option<String>,
    /// Processor time of this program while it counted.
    pub client_time: Duration,
    /// Processor time of the server, if it is on this machine.
    pub server_time: Option<Duration>,
    /// Memory of the server at the end and at most, if it is on this machine.
    pub server_memory_bytes: Option<(u64, u64)>,
}

/// Runs the load as `settings` say, against the server of their endpoint.
///
/// # Errors
/// If there is no server, or no request succeeds.
pub fn run(settings: &Settings, templates: &[Template]) -> Result<Seen, Problem> {
    let address = resolve(settings)?;
    let mut load = Load::new(settings, templates, address)?;
    load.run()?;
    let seen = load.seen;
    if seen.latencies.count() == 0 {
        let why = seen.first_error.unwrap_or_else(|| "no answer came in time".to_owned());
        return Err(Problem::Failed(format!("no request succeeded: {why}")));
    }
    Ok(seen)
}

fn resolve(settings: &Settings) -> Result<SocketAddr, Problem> {
    let endpoint = &settings.endpoint;
    let found = endpoint.authority.to_socket_addrs().and_then(|mut found| {
        found.next().ok_or_else(|| std::io::Error::other("the name has no address"))
    });
    found.map_err(|error| Failure::unreachable(endpoint, &error).into())
}

struct Load<'a> {
    settings: &'a Settings,
    templates: &'a [Template],
    poll: Poll,
    links: Vec<Link>,
    /// When a request may take the place of one that failed, and on which link.
    pauses: std::collections::VecDeque<(Instant, usize)>,
    serial: u64,
    /// When counting starts and ends.
    start: Instant,
    end: Instant,
    server: Option<Process>,
    /// Processor times of this program and of the server when counting started.
    before: Option<(Duration, Option<Duration>)>,
    seen: Seen,
    answers: Vec<Answer>,
}

impl<'a> Load<'a> {
    fn new(
        settings: &'a Settings,
        templates: &'a [Template],
        address: SocketAddr,
    ) -> Result<Load<'a>, Problem> {
        let poll = Poll::new()?;
        let (workers, connections) = (settings.workers, settings.connections);
        let mut links = Vec::new();
        for number in 0..connections {
            let places = workers / connections + usize::from(number < workers % connections);
            let mut link = Link::new(settings, address, number, places);
            link.connect(poll.registry())
                .map_err(|e| Failure::unreachable(&settings.endpoint, &e))?;
            links.push(link);
        }
        let start = Instant::now() + WARM_UP;
        Ok(Load {
            settings,
            templates,
            poll,
            links,
            pauses: std::collections::VecDeque::new(),
            serial: 0,
            start,
            end: start + settings.time,
            server: Process::listening(address),
            before: None,
            seen: Seen::default(),
            answers: Vec::new(),
        })
    }

    fn run(&mut self) -> Result<(), Problem> {
        let mut events = Events::with_capacity(EVENTS);
        let mut is_counted = false;
        loop {
            let now = Instant::now();
            if now >= self.start && self.before.is_none() {
                let server = self.server.and_then(Process::processor_time);
                self.before = Some((processor_time(), server));
            }
            if now >= self.end {
                if !is_counted {
                    is_counted = true;
                    self.count_processor_time();
                }
                let in_flight: usize = self.links.iter().map(Link::in_flight).sum();
                if in_flight == 0 {
                    return Ok(());
                }
                if now >= self.end + self.settings.endpoint.timeout {
                    self.give_up();
                    return Ok(());
                }
            }
            self.resume(now);
            self.poll.poll(&mut events, Some(self.patience(now)))?;
            let now = Instant::now();
            for event in &events {
                self.links[event.token().0].receive(now, &mut self.answers);
                self.proceed(event.token().0, now);
            }
        }
    }

    /// How long to wait at most: for the next thing that is due.
    fn patience(&self, now: Instant) -> Duration {
        let mut due = if self.before.is_none() { self.start } else { self.end };
        if now >= self.end {
            due = self.end + self.settings.endpoint.timeout;
        }
        let pause = self.pauses.front().map(|(due, _)| *due);
        let connection = self.links.iter().filter_map(Link::due).min();
        let due = [pause, connection].into_iter().flatten().fold(due, Instant::min);
        due.saturating_duration_since(now)
    }

    /// Goes on where a pause is over or a connection must be made.
    fn resume(&mut self, now: Instant) {
        while let Some((due, link)) = self.pauses.front().copied()
            && due <= now
        {
            self.pauses.pop_front();
            self.links[link].places += 1;
            self.proceed(link, now);
        }
        for number in 0..self.links.len() {
            if self.links[number].due().is_some_and(|due| due <= now) && now < self.end {
                self.links[number].connect_again(self.poll.registry(), now);
                self.proceed(number, now);
            }
        }
    }

    /// Counts the answers that came on a link and sends what may follow them.
    fn proceed(&mut self, number: usize, now: Instant) {
        loop {
            for answer in std::mem::take(&mut self.answers) {
                if self.count(answer, now) {
                    self.links[number].places -= 1;
                    self.pauses.push_back((now + PAUSE, number));
                }
            }
            let link = &mut self.links[number];
            while now < self.end && link.has_room() {
                let template = &self.templates[self.serial as usize % self.templates.len()];
                link.start(template, self.serial, now);
                self.serial += 1;
            }
            link.flush(now, &mut self.answers);
            if self.answers.is_empty() {
                return;
            }
        }
    }

    /// Returns whether it had failed.
    fn count(&mut self, answer: Answer, now: Instant) -> bool {
        let counts = now >= self.start && now < self.end;
        match answer.outcome {
            Ok(entries) => {
                self.seen.succeeded_ever += 1;
                if counts {
                    self.seen.latencies.add(now - answer.begun);
                    self.seen.entries += entries;
                }
                false
            }
            Err(reason) => {
                self.seen.failed_ever += 1;
                self.seen.errors += u64::from(counts);
                self.seen.first_error.get_or_insert(reason);
                true
            }
        }
    }

    fn count_processor_time(&mut self) {
        let Some((client, server)) = self.before else { return };
        self.seen.client_time = processor_time().saturating_sub(client);
        let now = self.server.and_then(Process::processor_time);
        self.seen.server_time = now.zip(server).map(|(now, then)| now.saturating_sub(then));
        self.seen.server_memory_bytes = self.server.and_then(Process::memory_bytes);
    }

    /// What was not answered long after the end has failed.
    fn give_up(&mut self) {
        let reason = format!("no answer within {:?}", self.settings.endpoint.timeout);
        for link in &mut self.links {
            link.abandon(&reason, &mut self.answers);
        }
        for answer in std::mem::take(&mut self.answers) {
            self.count(answer, self.end);
            // It was under way while it counted.
            self.seen.errors += 1;
        }
    }
}

impl Seen {
    /// Inbox entries that were made or read while it counted.
    pub fn entries_of(&self, settings: &Settings) -> u64 {
        let requests = self.latencies.count();
        match settings.mode {
            Mode::Direct => requests * 2,
            Mode::Group => requests * settings.group_size as u64,
            Mode::Sync => self.entries,
        }
    }
}
