//! Followers: read on one instance, all the time, what others write, and judge each page at once.
//!
//! Numbers go on without a hole, `latest` never steps back, and whatever an inbox shows is in its
//! conversation by then and in its order. Afterwards, what was read once must still be so.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use seqline_api::timeline::v1::SyncMessageRequest;
use tokio::task::JoinSet;

use crate::crash::ledger::{Attempt, Cast, Ledger};
use crate::crash::load::{self, Client};

/// Between two rounds of one follower.
const PAUSE: Duration = Duration::from_millis(5);

/// Followers that run.
pub struct Followers {
    stop: Arc<AtomicBool>,
    running: JoinSet<Follower>,
}

impl Followers {
    /// One per address, of all conversations and all inboxes.
    pub fn start(addresses: &[SocketAddr], cast: &Cast) -> Followers {
        let everybody: Vec<usize> = (0..cast.members()).collect();
        Followers::of_some(addresses, cast, &everybody)
    }

    /// One per address, of all conversations and of these members' inboxes.
    pub fn of_some(addresses: &[SocketAddr], cast: &Cast, members: &[usize]) -> Followers {
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = JoinSet::new();
        for address in addresses {
            let follower = Follower::new(cast, members);
            running.spawn(follower.run(*address, Arc::clone(&stop)));
        }
        Followers { stop, running }
    }

    /// Lets them read to the end of what there is, and holds it against what the ledger has read
    /// since. How many entries they saw.
    pub async fn end(self, ledger: &Ledger) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let mut entries = 0;
        for follower in self.running.join_all().await {
            entries += follower.compare(ledger);
        }
        entries
    }
}

/// What one follower has seen.
struct Follower {
    cast: Cast,
    conversations: Vec<Vec<usize>>,
    /// Of each message, its conversation and its position there.
    places: HashMap<usize, (usize, usize)>,
    inboxes: Vec<Inbox>,
}

struct Inbox {
    member: usize,
    ids: Vec<usize>,
    latest: i64,
    /// The last position of each conversation.
    last: Vec<usize>,
}

impl Follower {
    fn new(cast: &Cast, members: &[usize]) -> Follower {
        let last = vec![0; cast.conversations()];
        let inbox =
            |member: &usize| Inbox { member: *member, ids: vec![], latest: 0, last: last.clone() };
        Follower {
            conversations: vec![vec![]; cast.conversations()],
            places: HashMap::new(),
            inboxes: members.iter().map(inbox).collect(),
            cast: cast.clone(),
        }
    }

    async fn run(mut self, address: SocketAddr, stop: Arc<AtomicBool>) -> Follower {
        let mut client = load::connect(address).await.unwrap();
        loop {
            let stopped = stop.load(Ordering::Relaxed);
            let mut new = Vec::new();
            for at in 0..self.inboxes.len() {
                new.push(self.inboxes[at].sync(&mut client).await);
            }
            // After the inboxes, so that nothing in them is missing here.
            for conversation in 0..self.conversations.len() {
                self.history(&mut client, conversation).await;
            }
            let read: usize = new.iter().map(Vec::len).sum();
            for (inbox, new) in self.inboxes.iter_mut().zip(new) {
                inbox.judge(&new, &self.places);
            }
            if stopped && read == 0 {
                return self;
            }
            // Leaves something of the machine to those it follows.
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn history(&mut self, client: &mut Client, conversation: usize) {
        loop {
            let ids = &mut self.conversations[conversation];
            let last_read = ids.len() as i64;
            let entries = load::history(client, &self.cast, conversation, last_read).await;
            load::in_sequence(last_read, &entries);
            if entries.is_empty() {
                return;
            }
            for entry in &entries {
                ids.push(Attempt::id_of(&entry.message));
                let again = self.places.insert(ids[ids.len() - 1], (conversation, ids.len()));
                assert_eq!(again, None, "conversation {conversation} has it twice");
            }
        }
    }

    /// What was read while it was written is the beginning of what was read afterwards.
    fn compare(&self, ledger: &Ledger) -> usize {
        let mut entries = 0;
        for (conversation, ids) in self.conversations.iter().enumerate() {
            let now = ledger.conversation_ids(conversation);
            assert!(now.starts_with(ids), "conversation {conversation}: {ids:?}, then {now:?}");
            entries += ids.len();
        }
        for Inbox { member, ids, .. } in &self.inboxes {
            let now = ledger.inbox_ids(*member);
            assert!(now.starts_with(ids), "inbox {member}: {ids:?}, then {now:?}");
            entries += ids.len();
        }
        entries
    }
}

impl Inbox {
    /// Takes the next page: the messages in it.
    async fn sync(&mut self, client: &mut Client) -> Vec<usize> {
        let last_read = self.ids.len() as i64;
        let member = load::member(self.member);
        let request = SyncMessageRequest { member, last_read, count: 0 };
        let page = client.get_sync_message(request).await.unwrap().into_inner();
        load::in_sequence(last_read, &page.entry_set);
        let new: Vec<usize> = page.entry_set.iter().map(|e| Attempt::id_of(&e.message)).collect();
        self.ids.extend(&new);
        let (latest, before) = (page.latest_seq, self.latest);
        assert!(latest >= before, "inbox {}: {latest} after {before}", self.member);
        self.latest = latest;
        let read = self.ids.len() as i64;
        assert!(read == latest || read < latest && !new.is_empty(), "inbox {}", self.member);
        new
    }

    /// Each is in its conversation, behind the one before.
    fn judge(&mut self, new: &[usize], places: &HashMap<usize, (usize, usize)>) {
        for id in new {
            let place = places.get(id);
            let (conversation, place) =
                place.unwrap_or_else(|| panic!("inbox {} has {id} too early", self.member));
            let before = std::mem::replace(&mut self.last[*conversation], *place);
            assert!(before < *place, "inbox {}: {place} after {before}", self.member);
        }
    }
}
