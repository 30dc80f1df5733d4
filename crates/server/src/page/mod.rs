//! The web page at `/`: a chat client and a developer view, served from the binary itself.
//!
//! `static/` holds the page as the browser gets it: no build step, no framework, nothing from
//! another origin. The page is a client like any other; it knows only the public HTTP API.

mod assets;

pub use assets::router;
