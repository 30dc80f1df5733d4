//! What a row found: names with values, for people and for programs.

use std::fmt;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::driver::Outcome;
use crate::machine::grouped;

/// One row.
#[derive(Debug, Default)]
pub struct Found {
    /// Its name, as `--rows` has it.
    pub row: String,
    values: Vec<(&'static str, Value)>,
}

#[derive(Clone, Debug)]
enum Value {
    Count(u64),
    Number(f64),
    Text(String),
}

impl Found {
    /// A row without values.
    pub fn new(row: impl Into<String>) -> Found {
        Found { row: row.into(), values: Vec::new() }
    }

    /// With a count.
    #[must_use]
    pub fn count(mut self, name: &'static str, count: u64) -> Found {
        self.values.push((name, Value::Count(count)));
        self
    }

    /// With a number that has a fraction.
    #[must_use]
    pub fn number(mut self, name: &'static str, number: f64) -> Found {
        self.values.push((name, Value::Number(number)));
        self
    }

    /// With a text.
    #[must_use]
    pub fn text(mut self, name: &'static str, text: impl Into<String>) -> Found {
        self.values.push((name, Value::Text(text.into())));
        self
    }

    /// With half, 99 of 100 and the slowest of what was measured, and what failed.
    #[must_use]
    pub fn latencies(self, outcome: &Outcome) -> Found {
        let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6;
        let found = self
            .number("p50_us", micros(outcome.latencies.quantile(0.5)))
            .number("p99_us", micros(outcome.latencies.quantile(0.99)))
            .number("max_us", micros(outcome.latencies.max()))
            .count("errors", outcome.errors);
        match &outcome.first_error {
            Some(error) => found.text("first_error", error),
            None => found,
        }
    }
}

impl Serialize for Found {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len() + 1))?;
        map.serialize_entry("row", &self.row)?;
        for (name, value) in &self.values {
            match value {
                Value::Count(count) => map.serialize_entry(name, count)?,
                Value::Number(number) => map.serialize_entry(name, number)?,
                Value::Text(text) => map.serialize_entry(name, text)?,
            }
        }
        map.end()
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.row)?;
        for (name, value) in &self.values {
            let shown = match value {
                Value::Count(count) => grouped(*count),
                Value::Number(number) if *number >= 10_000.0 => grouped(*number as u64),
                Value::Number(number) => format!("{number:.3}"),
                Value::Text(text) => text.clone(),
            };
            writeln!(f, "  {:<32}{shown:>16}", name.replace('_', " "))?;
        }
        Ok(())
    }
}
