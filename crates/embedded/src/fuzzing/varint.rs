//! Numbers and lengths: what is taken comes back, and no bytes are taken that are not there.

use super::Input;
use crate::varint::{BYTES_MAX, put, put_bytes, take, take_bytes};

/// Takes `data` for numbers, for lengths with bytes, and for numbers to write.
pub fn varint(data: &[u8]) {
    let mut left = data;
    loop {
        let before = left;
        let Some(number) = take(&mut left) else {
            assert_eq!(left, before, "what is no number is left alone");
            break;
        };
        let used = before.len() - left.len();
        assert!((1..=BYTES_MAX).contains(&used) && before[used..] == *left);
        let mut again = Vec::new();
        put(&mut again, number);
        // More bytes than needed are taken too; they are never written.
        assert!(again.len() <= used);
        assert_eq!(take(&mut again.as_slice()), Some(number));
    }
    lengths(data);
    let mut input = Input::new(data);
    while !input.is_empty() {
        let number = input.number();
        let mut bytes = Vec::new();
        put(&mut bytes, number);
        let mut rest = bytes.as_slice();
        assert_eq!(take(&mut rest), Some(number));
        assert!(rest.is_empty());
        assert_eq!(take(&mut &bytes[..bytes.len() - 1]), None);
    }
}

fn lengths(data: &[u8]) {
    let mut left = data;
    loop {
        let before = left;
        let Some(bytes) = take_bytes(&mut left) else {
            assert_eq!(left, before, "what is not there as a whole is left alone");
            break;
        };
        assert!(bytes.len() + left.len() < before.len());
        let mut again = Vec::new();
        put_bytes(&mut again, bytes);
        let mut rest = again.as_slice();
        assert_eq!(take_bytes(&mut rest), Some(bytes));
        assert!(rest.is_empty());
    }
}
