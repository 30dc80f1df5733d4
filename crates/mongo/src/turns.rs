//! Turns: within an instance, one insert at a time into each inbox.
//!
//! Two sends that add to an inbox at the same time would take each other's position: one is
//! refused, looks, and tries again, for two round trips more. Waiting for the other costs less.
//! Between instances nothing is assumed; whether an insert counts is decided by the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use seqline_core::id::Text;
use tokio::sync::Notify;

/// Inboxes that are being added to, with those who wait for each.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Text, Vec<Arc<Notify>>>>);

/// Inboxes that nobody else on this instance adds to until this is dropped.
pub(crate) struct Taken<'a> {
    turns: &'a Turns,
    members: Vec<Text>,
    /// Which of those that were asked for, in ascending order.
    pub places: Vec<usize>,
}

impl Turns {
    /// Takes those of `members` that nobody has, and waits while somebody has all of them. They
    /// must be distinct, and at least one.
    pub async fn take(&self, members: &[&Text]) -> Taken<'_> {
        let freed = Arc::new(Notify::new());
        loop {
            if let Some(taken) = self.try_take(members, &freed) {
                return taken;
            }
            // A permit is kept if it is given before this waits.
            freed.notified().await;
        }
    }

    fn try_take(&self, members: &[&Text], freed: &Arc<Notify>) -> Option<Taken<'_>> {
        let mut waiting = self.lock();
        let is_free = |place: &usize| !waiting.contains_key(members[*place]);
        let places: Vec<usize> = (0..members.len()).filter(is_free).collect();
        if places.is_empty() {
            // One is enough to go on with.
            let first = members.first().and_then(|member| waiting.get_mut(*member));
            first?.push(Arc::clone(freed));
            return None;
        }
        let taken: Vec<Text> = places.iter().map(|place| members[*place].clone()).collect();
        waiting.extend(taken.iter().map(|member| (member.clone(), Vec::new())));
        Some(Taken { turns: self, members: taken, places })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Text, Vec<Arc<Notify>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut waiting = self.turns.lock();
        for member in &self.members {
            // All of them: whoever is first may have gone away.
            waiting.remove(member).into_iter().flatten().for_each(|freed| freed.notify_one());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_taken_is_waited_for_and_the_rest_is_not() {
        let turns = Turns::default();
        let [a, b, c] = ["a", "b", "c"].map(Text::from);
        let (both, others, one) = ([&a, &b], [&b, &c], [&b]);
        let first = turns.take(&both).await;
        assert_eq!(first.places, [0, 1]);
        let second = turns.take(&others).await;
        assert_eq!(second.places, [1], "c is free, b is not");
        let mut third = Box::pin(turns.take(&others));
        assert!(third.as_mut().now_or_never().is_none());
        let mut fourth = Box::pin(turns.take(&one));
        assert!(fourth.as_mut().now_or_never().is_none());
        drop(first);
        let third = third.await;
        assert_eq!(third.places, [0], "b came free");
        assert!(fourth.as_mut().now_or_never().is_none());
        drop(third);
        assert_eq!(fourth.await.places, [0], "and again");
        drop(second);
        assert!(turns.lock().is_empty());
    }
}
