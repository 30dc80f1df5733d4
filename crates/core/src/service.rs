//! The service: the calls a back end makes, checked against the limits and handed to the store.
//!
//! Handlers of every protocol call these and nothing below them.

use std::sync::Arc;

use crate::clock::{Clock, Entropy};
use crate::error::{Error, Result};
use crate::fanout::{Members, Outgoing};
use crate::id::{ConversationId, GroupId, IdempotencyKey, MemberId, MessageId, Text, TimelineId};
use crate::limits::Limits;
use crate::message::Body;
use crate::page::{Direction, Page, Read};
use crate::seq::Seq;
use crate::store::{Receipt, Status, Store};

/// Sends, syncs and scrolls through timelines of one store.
#[derive(Clone)]
pub struct Timelines {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    limits: Limits,
}

impl Timelines {
    /// A service over `store`.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        limits: Limits,
    ) -> Timelines {
        Timelines { store, clock, entropy, limits }
    }

    /// The limits every call is checked against.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Sends `body` from one member to another (or to itself): into their conversation and into
    /// both inboxes. The receipt's `receiver_seq` is the position in the inbox of `to`.
    ///
    /// # Errors
    /// `Invalid` and `TooLarge` before anything is stored, else as [`Store::append`].
    pub async fn send(
        &self,
        from: MemberId,
        to: MemberId,
        body: Text,
        key: Option<IdempotencyKey>,
    ) -> Result<Receipt> {
        let body = Body::new(body, self.limits.message_bytes_max)?;
        self.store.append(Outgoing::direct(self.message_id(), from, to, body, key)).await
    }

    /// Sends `body` into a group's conversation and into the inbox of every listed member; a
    /// member that is not listed receives nothing.
    ///
    /// # Errors
    /// `Invalid` and `TooLarge` before anything is stored, else as [`Store::append`].
    pub async fn send_group(
        &self,
        group: GroupId,
        members: Members,
        body: Text,
        key: Option<IdempotencyKey>,
    ) -> Result<Receipt> {
        let body = Body::new(body, self.limits.message_bytes_max)?;
        self.store.append(Outgoing::group(self.message_id(), group, members, body, key)).await
    }

    /// One page of a member's inbox: the entries after `after`, oldest first. `count` 0 means as
    /// many as a page may hold.
    ///
    /// # Errors
    /// `Invalid` for a negative count, else as [`Store::read`].
    pub async fn sync(&self, member: MemberId, after: Seq, count: i32) -> Result<Page> {
        self.page(TimelineId::Inbox(member), after, count).await
    }

    /// One page of a conversation: the entries after `after`, oldest first. `count` 0 means as
    /// many as a page may hold.
    ///
    /// # Errors
    /// `Invalid` for a negative count, else as [`Store::read`].
    pub async fn history(
        &self,
        conversation: ConversationId,
        after: Seq,
        count: i32,
    ) -> Result<Page> {
        self.page(conversation.into(), after, count).await
    }

    /// How the store is doing.
    pub fn status(&self) -> Status {
        self.store.status()
    }

    /// Finishes what was begun, makes it durable and refuses everything after.
    ///
    /// # Errors
    /// Whatever kept the store from making everything durable.
    pub async fn close(&self) -> Result<()> {
        self.store.close().await
    }

    async fn page(&self, timeline: TimelineId, after: Seq, count: i32) -> Result<Page> {
        let count = usize::try_from(count)
            .map_err(|_| Error::invalid("count", format!("it is {count}, less than 0")))?;
        let entries_max = match count {
            0 => self.limits.page_entries_max,
            count => count.min(self.limits.page_entries_max),
        };
        let read = Read {
            timeline,
            after,
            until: Seq::MAX,
            direction: Direction::Forward,
            entries_max,
            bytes_max: self.limits.page_bytes_max,
        };
        self.store.read(read).await
    }

    /// 48 bits of time, 80 random ones: unique without asking anybody, and in order of time.
    fn message_id(&self) -> MessageId {
        let time = u128::from(self.clock.now().0) << 80;
        let high = u128::from(self.entropy.random() & 0xffff) << 64;
        MessageId(time | high | u128::from(self.entropy.random()))
    }
}
