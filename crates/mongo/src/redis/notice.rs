//! The bytes of a notice: which timelines have grown, and which instance says so. Pure.
//!
//! `S`, the version 1, the instance in 8 bytes; then for each timeline the length of its key in
//! two bytes, big-endian, and the key. No timeline at all means that any may have grown.

use bytes::{Buf as _, Bytes};
use seqline_core::id::TimelineId;

use super::listener::Grown;

/// Longest notice: far below what Redis allows a slow listener to fall behind by.
const BYTES_MAX: usize = 64 * 1024;

const HEAD: [u8; 2] = [b'S', 1];

/// Names an instance while it runs, so that it does not hear itself.
pub(super) type Instance = u64;

/// Notices that say together that the timelines with these keys have grown.
pub(super) fn encode<'a>(
    instance: Instance,
    keys: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Vec<u8>> {
    let mut notices = Vec::new();
    let mut notice = encode_all(instance);
    let empty = notice.len();
    for key in keys {
        let Ok(length) = u16::try_from(key.len()) else { continue };
        if notice.len() + 2 + key.len() > BYTES_MAX && notice.len() > empty {
            notices.push(std::mem::replace(&mut notice, encode_all(instance)));
        }
        notice.extend_from_slice(&length.to_be_bytes());
        notice.extend_from_slice(key);
    }
    if notice.len() > empty {
        notices.push(notice);
    }
    notices
}

/// The notice that any timeline may have grown.
pub(super) fn encode_all(instance: Instance) -> Vec<u8> {
    [&HEAD[..], &instance.to_be_bytes()].concat()
}

/// What a notice says; `None` if it is this instance's own. Of a notice that nobody here can
/// read, perhaps one of a later version, the worst is assumed: that any timeline has grown.
pub(super) fn decode(own: Instance, notice: &[u8]) -> Option<Grown> {
    let mut rest = Bytes::copy_from_slice(notice);
    if !rest.starts_with(&HEAD) || rest.len() < HEAD.len() + 8 {
        return Some(Grown::All);
    }
    rest.advance(HEAD.len());
    if rest.get_u64() == own {
        return None;
    }
    let mut timelines = Vec::new();
    while rest.has_remaining() {
        let Some(timeline) = next(&mut rest) else { return Some(Grown::All) };
        timelines.push(timeline);
    }
    Some(if timelines.is_empty() { Grown::All } else { Grown::Timelines(timelines) })
}

fn next(rest: &mut Bytes) -> Option<TimelineId> {
    if rest.remaining() < 2 {
        return None;
    }
    let length = usize::from(rest.get_u16());
    (length <= rest.remaining())
        .then(|| rest.split_to(length))
        .and_then(|key| TimelineId::from_shared_key(&key))
}

#[cfg(test)]
mod tests {
    use seqline_core::id::MemberId;

    use super::*;

    fn inbox(member: &str) -> TimelineId {
        TimelineId::Inbox(MemberId::new("member", member).unwrap())
    }

    fn encoded(timelines: &[TimelineId]) -> Vec<Vec<u8>> {
        let keys: Vec<_> = timelines.iter().map(TimelineId::key).collect();
        encode(1, keys.iter().map(Vec::as_slice))
    }

    #[test]
    fn others_hear_which_timelines_have_grown_and_nobody_hears_itself() {
        let timelines = vec![inbox("ann"), inbox("\u{1F600}:\n")];
        let notices = encoded(&timelines);
        assert_eq!(notices.len(), 1);
        assert_eq!(decode(2, &notices[0]), Some(Grown::Timelines(timelines)));
        assert_eq!(decode(1, &notices[0]), None);
        assert_eq!(decode(2, &encode_all(1)), Some(Grown::All));
        assert_eq!(encoded(&[]), [[0; 0]; 0]);
    }

    #[test]
    fn many_timelines_become_several_notices_none_too_long() {
        let timelines: Vec<_> = (0..10_000).map(|n| inbox(&format!("member-{n:040}"))).collect();
        let notices = encoded(&timelines);
        assert!(notices.len() > 1 && notices.iter().all(|n| n.len() <= BYTES_MAX));
        let heard = notices.iter().flat_map(|notice| match decode(2, notice) {
            Some(Grown::Timelines(timelines)) => timelines,
            other => panic!("{other:?}"),
        });
        assert!(heard.eq(timelines));
    }

    #[test]
    fn a_notice_that_cannot_be_read_may_mean_any_timeline() {
        let good = &encoded(&[inbox("ann"), inbox("bob")])[0];
        let whole = HEAD.len() + 8;
        for end in 0..good.len() {
            let heard = decode(2, &good[..end]);
            let first_only = end == whole + 2 + inbox("ann").key().len();
            let expected =
                if first_only { Grown::Timelines(vec![inbox("ann")]) } else { Grown::All };
            assert_eq!(heard, Some(expected), "{end} bytes");
        }
        let mut later = good.clone();
        later[1] = 2;
        assert_eq!(decode(1, &later), Some(Grown::All), "another version, even of this instance");
        let mut unknown = good.clone();
        unknown[whole + 2] = b'?';
        assert_eq!(decode(2, &unknown), Some(Grown::All));
    }
}
