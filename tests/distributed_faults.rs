//! Attacks on the distributed store: real servers, faults on the wire between them, kills.
//!
//! `drops` loses every command of every operation once, `traces` tells single stories, `care` is
//! about what instances do on their own, `commands` about what they ask for. `steps` kills an
//! instance at every step of a send, `kills` at random instants, `outages` the servers behind it;
//! `together` has several instances at once. `followers` read while that happens. `cluster` starts
//! servers, `in_process` is an instance without a process of its own.

mod care;
mod cluster;
mod commands;
mod drops;
mod followers;
mod in_process;
mod kills;
mod outages;
mod steps;
mod together;
mod traces;
