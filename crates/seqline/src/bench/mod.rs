//! `bench`: how much a running server does, and how long each answer takes.
//!
//! A closed loop: as many requests are in flight as there are workers, and the next one leaves
//! when one is answered. The client shares its cores with the server, so it must cost little: one
//! thread ([`run`]) waits for all connections ([`link`]), requests are encoded beforehand
//! ([`load`]), the protocols are spoken by hand ([`wire`]). What it still takes is in the
//! [`report`], beside what the server takes ([`process`]) and what is left when its store costs
//! nothing ([`null`]). The first second is not counted.
//!
//! [`engine`] measures the store alone, without a server.

pub mod engine;
mod latency;
mod link;
mod load;
mod null;
mod process;
mod report;
mod run;
mod wire;

pub use load::{Mode, Settings};
pub use null::serve_nothing;

use crate::client::{Endpoint, Protocol};
use crate::commands::terminal::Problem;
use report::{Found, Report};

/// Measures as `settings` say; with `limit`, first a server that keeps nothing.
///
/// # Errors
/// If there is no server, or no request succeeds.
pub fn bench(settings: &Settings, limit: bool) -> Result<Report, Problem> {
    let templates = settings.templates()?;
    let limit = if limit { Some(limit_of(settings, &templates)?) } else { None };
    let seen = run::run(settings, &templates)?;
    Ok(Report::new(settings, Found::new(settings, &seen), limit))
}

fn limit_of(settings: &Settings, templates: &[wire::Template]) -> Result<Found, Problem> {
    let server = null::NullServer::start()?;
    let address = match settings.endpoint.protocol {
        Protocol::Grpc => server.grpc,
        Protocol::Http => server.http,
    };
    let endpoint = Endpoint { authority: address.to_string(), ..settings.endpoint.clone() };
    let settings = Settings { endpoint, ..settings.clone() };
    let seen = run::run(&settings, templates)?;
    Ok(Found::new(&settings, &seen))
}
