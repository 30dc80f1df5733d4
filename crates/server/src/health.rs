//! How the server is, by part: for `/readyz`, as text and as JSON.

use serde::Serialize;

/// The answer to "should this instance get traffic?".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether it should.
    pub ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its parts, those first without which it cannot work.
    pub parts: Vec<Part>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `embedded`, `mongodb`, `redis` or `etcd`.
    pub name: &'static str,
    /// Whether it works.
    pub up: bool,
    /// Whether the server is ready only while it works.
    pub needed: bool,
    /// In words, without addresses or secrets.
    pub text: String,
}

impl Health {
    /// One line for the whole, then one for each part that is not the machine's own.
    pub fn text(&self) -> String {
        let mut lines = self.reason.clone().unwrap_or_else(|| "ready".to_owned());
        for part in self.parts.iter().filter(|part| part.name != "embedded") {
            lines = format!("{lines}\n{}", part.text);
        }
        lines
    }
}
