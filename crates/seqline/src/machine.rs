//! What a measurement was made on and what it took: cores, processor, kernel, time and memory
//! of this process.

use std::fs;
use std::time::Duration;

use serde::Serialize;

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Cores this process may use.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// The operating system's version.
    pub kernel: String,
}

impl Machine {
    /// This machine; empty where the system does not say.
    pub fn this() -> Machine {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: value(&cpu, "model name").unwrap_or_default().to_owned(),
            kernel: kernel.trim().to_owned(),
        }
    }
}

/// The value of the first `key : value` line.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

/// Processor time this process has used, on all its threads.
pub fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Most memory this process ever had, in bytes.
pub fn memory_peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = value(&status, "VmHWM").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    peak.unwrap_or_default() * 1024
}

/// A count with separators that a person can read: 26,100,609.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// How many of `count` in a second.
pub fn per_second(count: u64, time: Duration) -> u64 {
    (count as f64 / time.as_secs_f64().max(1e-9)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown = [0, 999, 1_000, 26_100_609].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "26,100,609"]);
    }

    #[test]
    fn this_process_has_used_time_and_memory() {
        assert!(processor_time() > Duration::ZERO);
        assert!(memory_peak_bytes() > 100_000);
        assert!(Machine::this().cores > 0);
    }
}
