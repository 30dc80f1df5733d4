//! `check --repair`: makes a damaged data directory sound, and says what is lost.

use std::path::Path;
use std::sync::Arc;

use seqline_core::clock::Entropy;
use seqline_core::id::Epoch;
use seqline_embedded::{Options, RepairEvent, RepairSummary, Repaired};
use seqline_server::system::{SystemClock, SystemEntropy};
use serde_json::{Value, json};

use super::check::{print, progress_bar, refuse_empty, verify};
use super::terminal::printable;
use super::{Ended, Failed};

/// Most events kept for `--json`; how many there were in all is always told.
const EVENTS_MAX: usize = 10_000;

/// Repairs the directory and verifies what came out.
pub(super) fn run(dir: &Path, json: bool) -> Ended {
    refuse_empty(dir)?;
    let options = Options { dir: dir.to_owned(), ..Options::default() };
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let bar = progress_bar()?;
    let mut events = Vec::new();
    let repaired =
        seqline_embedded::repair(&options, &SystemClock, &entropy, &mut |event| match event {
            RepairEvent::Progress { done, total } => {
                bar.set_length(total);
                bar.set_position(done);
            }
            event if json => {
                if events.len() < EVENTS_MAX {
                    events.push(object(&event));
                }
            }
            event => bar.suspend(|| print(&line(&event))),
        });
    bar.finish_and_clear();
    let summary = repaired.map_err(|error| {
        let next = "what was there is still there; run this again once the cause is gone";
        Failed::unreachable(format!("{} cannot be repaired: {error}; {next}", dir.display()))
    })?;
    // A repair that had nothing to do has compared everything already, and touched nothing.
    let checked = match summary.repaired {
        Repaired::Nothing => None,
        _ => {
            let verified = verify(dir, json)?;
            Some((verified.epoch, verified.summary.problems))
        }
    };
    if json {
        print(&result(&summary, checked, &events).to_string());
    } else {
        tell(&summary, checked.map(|(epoch, _)| epoch));
    }
    end(dir, &summary, checked.map_or(0, |(_, problems)| problems))
}

fn end(dir: &Path, summary: &RepairSummary, problems: u64) -> Ended {
    let dir = dir.display();
    if problems > 0 {
        let next = "keep the copy, and restore a backup";
        return Err(Failed::outcome(format!("{dir} still has {problems} problems; {next}")));
    }
    if summary.lost() {
        let RepairSummary { messages_lost, deliveries_lost, unknown_bytes, .. } = summary;
        return Err(Failed::outcome(format!(
            "{dir} is sound again, but not all could be saved: {messages_lost} messages and \
             {deliveries_lost} deliveries are lost, and of {unknown_bytes} bytes nobody knows all \
             that they held"
        )));
    }
    Ok(())
}

/// One thing that happened, for people.
fn line(event: &RepairEvent) -> String {
    match event {
        RepairEvent::Damage { place, detail } => format!("{}: {detail}", printable(place)),
        RepairEvent::MessageLost { timeline, seq, inbox_entries } => {
            let inboxes = match inbox_entries {
                Some(count) => format!("from {count} inboxes"),
                None => "nothing tells from how many inboxes".to_owned(),
            };
            format!("lost: message {seq} of {}, {inboxes}", printable(timeline))
        }
        RepairEvent::DeliveriesLost { conversation, seq, count } => format!(
            "lost: {count} deliveries of message {seq} (its number now) of {}",
            printable(conversation)
        ),
        RepairEvent::Unknown { segment, from, bytes } => format!(
            "lost: {bytes} bytes from byte {from} of log segment {segment:016x}; nobody knows all \
             that they held"
        ),
        RepairEvent::Progress { .. } => String::new(),
    }
}

fn object(event: &RepairEvent) -> Value {
    match event {
        RepairEvent::Damage { place, detail } => {
            json!({ "event": "damage", "place": place, "detail": detail })
        }
        RepairEvent::MessageLost { timeline, seq, inbox_entries } => json!({
            "event": "messageLost",
            "timeline": timeline,
            "seq": seq,
            "inboxEntries": inbox_entries,
        }),
        RepairEvent::DeliveriesLost { conversation, seq, count } => json!({
            "event": "deliveriesLost",
            "conversation": conversation,
            "newSeq": seq,
            "count": count,
        }),
        RepairEvent::Unknown { segment, from, bytes } => {
            json!({ "event": "unknown", "segment": segment, "from": from, "bytes": bytes })
        }
        RepairEvent::Progress { done, total } => {
            json!({ "event": "progress", "done": done, "total": total })
        }
    }
}

fn name(repaired: Repaired) -> &'static str {
    match repaired {
        Repaired::Nothing => "nothing",
        Repaired::Interrupted => "interrupted",
        Repaired::Index => "index",
        Repaired::Log => "log",
    }
}

fn result(summary: &RepairSummary, checked: Option<(Epoch, u64)>, events: &[Value]) -> Value {
    json!({
        "repaired": name(summary.repaired),
        "keptIn": summary.kept_in,
        "epoch": checked.map(|(epoch, _)| epoch.to_string()),
        "epochIsNew": summary.new_epoch.is_some(),
        "messages": summary.messages,
        "messagesLost": summary.messages_lost,
        "deliveriesLost": summary.deliveries_lost,
        "unknownBytes": summary.unknown_bytes,
        "problems": checked.map_or(0, |(_, problems)| problems),
        "first": events,
    })
}

fn tell(summary: &RepairSummary, epoch: Option<Epoch>) {
    let RepairSummary { messages, messages_lost, deliveries_lost, .. } = summary;
    match summary.repaired {
        Repaired::Nothing => print(&format!("{messages} messages; nothing to repair")),
        Repaired::Interrupted => {
            print("the repair that was interrupted is finished; everything holds");
        }
        Repaired::Index => {
            print(&format!("the index was made again from {messages} messages; nothing is lost"));
        }
        Repaired::Log => print(&format!(
            "a new log has {messages} messages; {messages_lost} messages and {deliveries_lost} \
             deliveries are lost"
        )),
    }
    if let (Some(_), Some(epoch)) = (summary.new_epoch, epoch) {
        print(&format!("new epoch {epoch}: clients drop their cursors and start over"));
    }
    if let Some(kept) = &summary.kept_in {
        let kept = kept.display();
        print(&format!("what was there is in {kept}; remove it once you miss nothing"));
        print("next: find out why the disk lost data, then start the server");
    }
}
