//! `check --mongo`: what stands in a MongoDB database, and what to do about what does not hold.

use std::io::Write as _;

use indicatif::ProgressBar;
use seqline_mongo::Options;
use seqline_mongo::check::{Event, Finding, Kind, Totals};
use seqline_mongo::source::Source;
use serde_json::{Value, json};

use super::check::{print, progress_bar};
use super::terminal::printable;
use super::{Ended, Failed, mongo};

/// Most findings of a kind that are shown to people; how many there were in all is always told.
const SHOWN_MAX: u64 = 20;

/// Verifies the database and tells what was found.
pub(super) fn run(options: &Options, json: bool) -> Ended {
    mongo::run(async {
        let source = mongo::connect(options).await?;
        let totals = verify(&source, json).await?;
        if json {
            print(&summary(&totals).to_string());
        } else {
            tell(&totals);
        }
        match totals.problems() {
            0 => Ok(()),
            problems => Err(Failed::outcome(format!(
                "{} has {problems} problems; nothing was changed",
                options.database
            ))),
        }
    })
}

/// Reads everything, and prints findings as they come.
pub(super) async fn verify(source: &Source, json: bool) -> Result<Totals, Failed> {
    let bar = progress_bar()?;
    let mut shown = [0; Kind::ALL.len()];
    let totals = source
        .check(&mut |event| match event {
            Event::Progress { done, total } => {
                bar.set_length(total);
                bar.set_position(done);
            }
            Event::Timeline { .. } => {}
            Event::Finding(finding) if json => print(&object(&finding).to_string()),
            Event::Finding(finding) => {
                let count = &mut shown[finding.kind as usize];
                *count += 1;
                if *count <= SHOWN_MAX {
                    show(&bar, &finding);
                }
            }
        })
        .await;
    bar.finish_and_clear();
    totals.map_err(|error| {
        Failed::unreachable(format!("the database cannot be read to its end: {error}"))
    })
}

/// Verifies the database and prints what raises go-timeline's counters in Redis to what is there,
/// in Redis' own protocol, since names may have any characters.
pub(super) fn counters(options: &Options) -> Ended {
    let mut output = std::io::stdout().lock();
    let mut wrote = Ok(());
    let mut take = |event| {
        if let Event::Timeline { id, latest } = event
            && wrote.is_ok()
        {
            wrote = output.write_all(&raise(&id, latest));
        }
    };
    let totals = mongo::run(async {
        let source = mongo::connect(options).await?;
        source.check(&mut take).await.map_err(Failed::unreachable)
    })?;
    wrote.and_then(|()| output.flush()).map_err(Failed::outcome)?;
    match totals.of(Kind::Duplicate) {
        0 => Ok(()),
        count => Err(Failed::outcome(format!("{count} duplicates: mend them first"))),
    }
}

/// Never lowers one: a counter may be ahead, and a member may be called like a conversation.
const RAISE: &str = "local n = redis.call('GET', KEYS[1]); if not n or tonumber(n) < \
tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end";

fn raise(id: &str, latest: u64) -> Vec<u8> {
    let latest = latest.to_string();
    let mut command = b"*5\r\n".to_vec();
    for part in ["EVAL", RAISE, "1", id, &latest] {
        command.extend_from_slice(format!("${}\r\n{part}\r\n", part.len()).as_bytes());
    }
    command
}

fn show(bar: &ProgressBar, finding: &Finding) {
    bar.suspend(|| {
        print(&printable(&finding.to_string()));
        if let Some(mend) = &finding.mend {
            print(&format!("  {}", printable(mend)));
        }
    });
}

fn object(finding: &Finding) -> Value {
    json!({
        "kind": finding.kind.name(),
        "problem": finding.kind.is_problem(),
        "collection": finding.collection,
        "timeline": finding.timeline,
        "seq": finding.seq,
        "last": finding.last,
        "detail": finding.detail,
        "mend": finding.mend,
    })
}

/// What was read and found, for programs.
fn summary(totals: &Totals) -> Value {
    let found: serde_json::Map<String, Value> =
        Kind::ALL.iter().map(|kind| (kind.name().to_owned(), totals.of(*kind).into())).collect();
    json!({
        "timelines": totals.timelines,
        "inboxEntries": totals.inbox_entries,
        "messages": totals.messages,
        "problems": totals.problems(),
        "found": found,
    })
}

/// The same for people, with what to do.
fn tell(totals: &Totals) {
    for kind in Kind::ALL {
        let count = totals.of(kind);
        if count > SHOWN_MAX {
            let name = kind.name();
            print(&format!("{name}: {} more; --json shows all", count - SHOWN_MAX));
        }
    }
    let Totals { timelines, inbox_entries, messages, .. } = totals;
    print(&format!(
        "{timelines} timelines, {inbox_entries} inbox entries, {messages} messages, {} problems",
        totals.problems()
    ));
    for kind in Kind::ALL.into_iter().filter(|kind| totals.of(*kind) > 0) {
        print(&format!("{} {}: {}", totals.of(kind), kind.name(), kind.advice()));
    }
}
