//! How the registration stands: for `/readyz`, the metrics and the log, a line for each change.

use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Gauge, gauge};

use crate::metrics::REGISTERED;

/// How the registration of a server stands now; cheap to clone.
#[derive(Clone)]
pub struct Standing {
    state: Arc<Mutex<State>>,
    registered: Gauge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing came of it yet.
    Begun,
    Registered,
    /// Tried again and again; why it fails, without an address or a name.
    Failing(&'static str),
    /// The server stops.
    Ended,
}

impl Standing {
    /// That of a server that is not registered yet.
    pub fn new() -> Standing {
        let registered = gauge!(REGISTERED);
        registered.set(0.0);
        Standing { state: Arc::new(Mutex::new(State::Begun)), registered }
    }

    /// One line for people and machines that ask; it says nothing that is secret.
    pub fn text(&self) -> String {
        match self.state() {
            State::Begun => "not registered in etcd yet".to_owned(),
            State::Registered => "registered in etcd".to_owned(),
            State::Failing(why) => format!("not registered in etcd: {why}; trying again"),
            State::Ended => "no longer registered in etcd".to_owned(),
        }
    }

    /// Whether the record is known to be in etcd.
    pub fn is_registered(&self) -> bool {
        self.state() == State::Registered
    }

    /// The record is known to be in etcd. Whether that is news.
    pub(super) fn registered(&self) -> bool {
        self.change(State::Registered) != State::Registered
    }

    /// It is not known to be there, as `why` says. Whether that is news; another reason is none,
    /// as members that fail in different ways take turns.
    pub(super) fn failing(&self, why: &'static str) -> bool {
        !matches!(self.change(State::Failing(why)), State::Failing(_))
    }

    /// The server wants no more traffic.
    pub(super) fn ended(&self) {
        self.change(State::Ended);
    }

    /// The state it was in before.
    fn change(&self, new: State) -> State {
        self.registered.set(if new == State::Registered { 1.0 } else { 0.0 });
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *state, new)
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Standing {
    fn default() -> Standing {
        Standing::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_coming_and_going_is_news() {
        let standing = Standing::new();
        assert!(standing.failing("etcd cannot be reached"));
        assert!(!standing.failing("etcd refuses it"));
        assert_eq!(standing.text(), "not registered in etcd: etcd refuses it; trying again");
        assert!(standing.registered());
        assert!(!standing.registered());
        assert!(standing.failing("etcd refuses it"));
        standing.ended();
        assert_eq!(standing.text(), "no longer registered in etcd");
    }
}
