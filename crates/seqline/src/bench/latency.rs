//! Latencies, counted in buckets whose width is at most 1/64 of their value.

use std::time::Duration;

/// Buckets for each power of two, as a power of two.
const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) << SUB_BITS;

/// A histogram of nanoseconds.
#[derive(Clone, Debug)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies { buckets: vec![0; BUCKETS], count: 0, max: 0 }
    }
}

impl Latencies {
    /// One more.
    pub fn add(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The time within which this share (0 to 1) of all were, rounded up to its bucket's end.
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper(index).min(self.max));
            }
        }
        self.max()
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < SUB {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - SUB_BITS;
    (((u64::from(shift) + 1) << SUB_BITS) + (nanos >> shift) - SUB) as usize
}

/// The largest number of nanoseconds that falls into a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB {
        return bucket;
    }
    let shift = (bucket >> SUB_BITS) - 1;
    let start = u128::from(SUB + bucket % SUB) << shift;
    u64::try_from(start + (1 << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_lies_in_its_bucket_and_no_bucket_is_wider_than_a_64th() {
        for shift in 0..64 {
            for nanos in [1 << shift, (1 << shift) + (1 << shift) / 3, u64::MAX >> (63 - shift)] {
                let index = bucket(nanos);
                assert!(upper(index) >= nanos && upper(index) - nanos <= nanos / 64, "{nanos}");
                assert!(index == 0 || upper(index - 1) < nanos, "{nanos}");
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_the_numbers_put_in() {
        let mut all = Latencies::default();
        for micros in 1..=1_000 {
            all.add(Duration::from_micros(micros));
        }
        let near = |share: f64, micros: f64| {
            let found = all.quantile(share).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.02, "{share}: {found}");
        };
        near(0.5, 500.0);
        near(0.99, 990.0);
        assert_eq!((all.count(), all.max()), (1_000, Duration::from_millis(1)));
        assert_eq!(all.quantile(1.0), all.max());
        assert_eq!(Latencies::default().quantile(0.5), Duration::ZERO);
    }
}
