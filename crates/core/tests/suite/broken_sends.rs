//! Faults of broken stores that show in what they store.

use std::sync::atomic::Ordering;

use seqline_core::error::{Error, Result};
use seqline_core::fanout::{Members, Outgoing};
use seqline_core::id::{ConversationId, GroupId, IdempotencyKey, MessageId};
use seqline_core::message::Message;
use seqline_core::seq::Seq;
use seqline_core::store::{Receipt, Store as _};
use tokio::task::yield_now;

use crate::broken::{Broken, Fault, Keys};
use crate::broken_reads::real_conversation;

/// Appends as the fault has it.
pub async fn append(store: Broken, send: Outgoing) -> Result<Receipt> {
    match store.fault {
        Fault::AcksAfterClose => acks_after_close(&store, send).await,
        Fault::BurnsOnConflict => burns_on_conflict(&store, send).await,
        Fault::CutsLargeGroups => store.inner.append(some(send, 0, 4_096)).await,
        Fault::ForgetsKeysOnRestart => {
            let opened = store.notes.opened.load(Ordering::SeqCst);
            let key = send.key.as_ref().map(|key| rekeyed(key, opened));
            store.inner.append(Outgoing { key, ..send }).await
        }
        Fault::GlobalKeys | Fault::KeepsKeysForEver | Fault::IgnoresConflicts => {
            keys_of_its_own(&store, send).await
        }
        Fault::HolesUnderLoad | Fault::LatestReserved => reserves_first(&store, send).await,
        Fault::LooksAlike => looks_alike(&store, send).await,
        Fault::LosesAnInbox if call(&store).is_multiple_of(7) => {
            let first = usize::from(send.recipients.len() > 1);
            store.inner.append(some(send, first, usize::MAX)).await
        }
        Fault::RacyKeys => racy_keys(&store, send).await,
        Fault::ReceiptOfSender => {
            let receipt = store.inner.append(send).await?;
            Ok(Receipt { receiver_seq: receipt.conversation_seq, ..receipt })
        }
        Fault::Repeats if call(&store).is_multiple_of(5) => {
            let receipt = store.inner.append(send.clone()).await?;
            store.inner.append(Outgoing { key: None, ..send }).await?;
            Ok(receipt)
        }
        Fault::StoresHalves => stores_halves(&store, send).await,
        Fault::TimesStepBack => {
            let (id, now) = (send.id, store.clock.now());
            store.notes.times.lock().unwrap().insert(id, now);
            Ok(Receipt { at: now, ..store.inner.append(send).await? })
        }
        _ => store.inner.append(send).await,
    }
}

fn call(store: &Broken) -> u64 {
    store.notes.calls.fetch_add(1, Ordering::SeqCst) + 1
}

/// The send to some of its recipients only.
fn some(send: Outgoing, from: usize, to: usize) -> Outgoing {
    let few = send.recipients.iter().take(to).skip(from);
    let recipients = Members::new("members", few, usize::MAX).unwrap();
    Outgoing { recipients, ..send }
}

fn rekeyed(key: &IdempotencyKey, with: u64) -> IdempotencyKey {
    let text = String::from_utf8(key.as_bytes().to_vec()).unwrap();
    IdempotencyKey::new(format!("{with} {}", &text[..text.len().min(6)])).unwrap()
}

async fn acks_after_close(store: &Broken, send: Outgoing) -> Result<Receipt> {
    if store.notes.closed.load(Ordering::SeqCst) {
        let (id, at) = (send.id, store.clock.now());
        let seq = Seq::FIRST;
        return Ok(Receipt { id, conversation_seq: seq, receiver_seq: seq, at, repeat: false });
    }
    store.inner.append(send).await
}

async fn burns_on_conflict(store: &Broken, send: Outgoing) -> Result<Receipt> {
    let result = store.inner.append(send.clone()).await;
    if let Err(Error::Conflict) = result {
        let id = MessageId(u128::MAX - u128::from(call(store)));
        store.inner.append(Outgoing { id, key: None, ..send }).await?;
    }
    result
}

/// Keys beside the store, with the wrong scope, without an end or without comparing.
async fn keys_of_its_own(store: &Broken, send: Outgoing) -> Result<Receipt> {
    let Some(key) = &send.key else { return store.inner.append(send).await };
    let global = store.fault == Fault::GlobalKeys;
    let scope = ((!global).then(|| send.conversation.clone()), key.as_bytes().to_vec());
    if let Some((digest, first)) = store.notes.keys.lock().unwrap().get(&scope) {
        if *digest != send.digest() && store.fault == Fault::KeepsKeysForEver {
            return Err(Error::Conflict);
        }
        return Ok(Receipt { repeat: true, ..*first });
    }
    let digest = send.digest();
    let receipt = store.inner.append(send).await?;
    store.notes.keys.lock().unwrap().insert(scope, (digest, receipt));
    Ok(receipt)
}

/// Looks a key up, and only later stores the message, and only later the key.
async fn racy_keys(store: &Broken, send: Outgoing) -> Result<Receipt> {
    let Some(key) = &send.key else { return store.inner.append(send).await };
    let (digest, scope) =
        (send.digest(), (Some(send.conversation.clone()), key.as_bytes().to_vec()));
    let keys = || -> std::sync::MutexGuard<'_, Keys> { store.notes.keys.lock().unwrap() };
    let first = keys().get(&scope).copied();
    match first {
        Some((other, first)) if other == digest => Ok(Receipt { repeat: true, ..first }),
        Some(_) => Err(Error::Conflict),
        None => {
            yield_now().await;
            let receipt = store.inner.append(Outgoing { key: None, ..send }).await?;
            yield_now().await;
            keys().insert(scope, (digest, receipt));
            Ok(receipt)
        }
    }
}

/// Counts a send as under way for some time before it is stored.
async fn reserves_first(store: &Broken, send: Outgoing) -> Result<Receipt> {
    struct Under<'a>(&'a Broken);
    impl Drop for Under<'_> {
        fn drop(&mut self) {
            self.0.notes.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
    }
    store.notes.in_flight.fetch_add(1, Ordering::SeqCst);
    let under = Under(store);
    for _ in 0..3 {
        yield_now().await;
    }
    let result = store.inner.append(send).await;
    drop(under);
    result
}

/// Keeps two members' conversation as a group of a name made of both.
async fn looks_alike(store: &Broken, send: Outgoing) -> Result<Receipt> {
    store.notes.conversations.lock().unwrap().insert(send.id, send.conversation.clone());
    let conversation = real_conversation(&send.conversation);
    store.inner.append(Outgoing { conversation, ..send }).await
}

/// Delivers to one half of the recipients, and a little later to the other.
async fn stores_halves(store: &Broken, send: Outgoing) -> Result<Receipt> {
    let count = send.recipients.len();
    if count == 1 {
        return store.inner.append(send).await;
    }
    let receipt = store.inner.append(some(send.clone(), 0, count / 2)).await?;
    let message = Message {
        id: send.id,
        conversation: send.conversation.clone(),
        seq: receipt.conversation_seq,
        sender: send.sender.clone(),
        at: receipt.at,
        body: send.body.clone(),
    };
    store.notes.messages.lock().unwrap().insert(send.id, message);
    yield_now().await;
    let hidden = ConversationId::Group(GroupId::new("group", "second halves").unwrap());
    let rest = Outgoing { conversation: hidden, key: None, ..some(send, count / 2, count) };
    let second = store.inner.append(rest).await?;
    Ok(Receipt { receiver_seq: second.receiver_seq, ..receipt })
}
