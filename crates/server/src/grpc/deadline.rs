//! How long a call may take: the smaller of what its client and what the server allows.

use std::time::Duration;

use http::HeaderMap;
use tonic::Code;

use crate::convert::Status;

/// The limit of a call with these headers; zero is no limit. `server` is the server's own, where
/// zero is none as well.
///
/// # Errors
/// If the client's has passed already, or cannot be read.
pub(super) fn of(headers: &HeaderMap, server: Duration) -> Result<Duration, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(server) };
    let client = parse(value.as_bytes())
        .ok_or_else(|| Status::plain(Code::Internal, "malformed grpc-timeout"))?;
    match (client, server) {
        (Duration::ZERO, _) => Err(Status::deadline()),
        (client, Duration::ZERO) => Ok(client),
        (client, server) => Ok(client.min(server)),
    }
}

/// At most eight digits and a unit.
fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3_600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(client: Option<&'static str>, server: u64, wanted: Result<u64, Code>) {
        let mut headers = HeaderMap::new();
        if let Some(client) = client {
            headers.insert("grpc-timeout", client.parse().unwrap());
        }
        let wanted = wanted.map(Duration::from_millis);
        assert_eq!(of(&headers, Duration::from_millis(server)).map_err(|s| s.grpc), wanted);
    }

    #[test]
    fn the_smaller_limit_counts() {
        check(None, 10_000, Ok(10_000));
        check(Some("2S"), 10_000, Ok(2_000));
        check(Some("99999999H"), 10_000, Ok(10_000));
        check(Some("500m"), 0, Ok(500));
        check(None, 0, Ok(0));
        check(Some("0n"), 10_000, Err(Code::DeadlineExceeded));
        for bad in ["", "S", "1", "1x", "-1S", "123456789S", "1 S"] {
            check(Some(bad), 10_000, Err(Code::Internal));
        }
    }
}
