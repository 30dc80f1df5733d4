//! The fuzzer's functions over seeded inputs: random ones, and what the store writes, changed.

use seqline_core::seq::Seq;

use crate::storage::faulty::Random;
use crate::{record, rows};

/// Shows the input that a failing test was given, so that it can be given again.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was {:02x?}", self.0);
        }
    }
}

fn run(target: fn(&[u8]), seeds: &[Vec<u8>], inputs: u64) {
    for number in 0..inputs {
        let random = &mut Random::new(number);
        let input = match random.below(seeds.len() as u64 + 1) as usize {
            0 => anything(random),
            seed => changed(random, &seeds[seed - 1], seeds),
        };
        let shown = Shown(&input);
        target(shown.0);
    }
    seeds.iter().for_each(|seed| target(seed));
}

/// Half of the bytes are small, as lengths, counts and kinds are.
fn anything(random: &mut Random) -> Vec<u8> {
    let len = 1 << random.below(12);
    let mut byte = || match random.one_in(2) {
        true => random.below(16) as u8,
        false => random.next() as u8,
    };
    (0..len).map(|_| byte()).collect()
}

fn changed(random: &mut Random, seed: &[u8], seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.next() as u8),
            2 => {
                let other = &seeds[random.below(seeds.len() as u64) as usize];
                let from = random.below(other.len() as u64 + 1) as usize;
                bytes.splice(at.., other[from..].iter().copied());
            }
            kind => {
                let bit = if kind == 3 { 1 << random.below(8) } else { random.next() as u8 };
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bit;
                }
            }
        }
    }
    bytes
}

#[test]
fn no_bytes_in_a_log_break_a_promise() {
    run(super::frames, &crate::log::fuzzing::seeds(), 4_000);
}

#[test]
fn no_bytes_in_a_frame_break_a_promise() {
    let key = &rows::Answer::decode(&[7; 51]).unwrap().digest;
    let mut rest = Vec::new();
    record::put_rest(&mut rest, Some((b"key", key)), 2);
    record::put_named(&mut rest, 300, b"ann", Seq::new(1));
    record::put_numbered(&mut rest, 70_000, Seq::MAX);
    let mut trim = Vec::new();
    record::put_trim(&mut trim, b"iann", Seq::new(900));
    let head =
        |kind: u8, parts: &[&[u8]]| [&[9; 24], &[kind, 200, 1][..], &parts.concat()].concat();
    let heads = [
        head(1, &[&[7], b"d\0\x02lowup", b"{}"]),
        head(2, &[&[8], b"d\0\x03lowup", b"{\"a\":1}"]),
        head(3, &[&[2, b'g', b'g', 3], "吃".as_bytes(), b"{}"]),
        head(0, &[&[4], b"gxyz", b"{}"]),
    ];
    run(super::records, &[heads.to_vec(), vec![rest, trim]].concat(), 20_000);
}

#[test]
fn no_bytes_in_a_row_break_a_promise() {
    let refs: Vec<u64> = (1..=64).map(|n| n * n * 4096).collect();
    let head = rows::Head { first: 3, latest: 68, at: 1 << 40, refs: refs[..4].into() };
    let key = rows::key_key(b"gteam", b"key");
    let seeds = [
        head.encode(),
        rows::encode_chunk(&refs),
        vec![5; 32 + 16 + 3],
        rows::head_key(b"iann"),
        rows::chunk_key(b"iann", 1 << 33),
        rows::expiry_key(1 << 40, &key),
        key,
    ];
    run(super::rows, &seeds, 20_000);
}

#[test]
fn no_bytes_in_a_number_break_a_promise() {
    let seeds = [vec![0xff; 9], vec![3, b'a', b'b', b'c', 0x80, 1], vec![0x80; 11]];
    run(super::varint, &seeds, 20_000);
}
