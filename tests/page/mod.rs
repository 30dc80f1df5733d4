//! The web page, driven in a real browser against a real server.

mod browser;
mod chatting;
mod developer;
mod looks;
mod webdriver;
