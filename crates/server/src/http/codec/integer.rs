//! Integers as Go's `strconv.ParseInt` and proto-JSON read them.

use std::fmt::Write as _;

/// A decimal integer: an optional sign, then digits.
///
/// # Errors
/// The texts of Go's `strconv.ParseInt`, which clients see.
pub fn parse(text: &str, min: i64, max: i64) -> Result<i64, String> {
    let failed = |why| format!("strconv.ParseInt: parsing {}: {why}", quote(text));
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(failed("invalid syntax"));
    }
    match text.parse::<i64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(failed("value out of range")),
    }
}

/// The JSON number in a text, if it is an integer; `1.0` and `1e2` are.
pub fn from_json_text(text: &str) -> Option<i64> {
    // `from_str` would allow whitespace around the number.
    if !text.ends_with(|c: char| c.is_ascii_digit()) || text.starts_with(char::is_whitespace) {
        return None;
    }
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    number.as_i64().or_else(|| number.as_f64().and_then(from_float))
}

/// A floating-point number, if it is an integer that it holds exactly.
pub fn from_float(number: f64) -> Option<i64> {
    const EXACT_MAX: f64 = (1_i64 << 53) as f64;
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

/// Go's `strconv.Quote`.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            '\x07' => write!(quoted, "\\a"),
            '\x08' => write!(quoted, "\\b"),
            '\x0b' => write!(quoted, "\\v"),
            '\x0c' => write!(quoted, "\\f"),
            '\n' | '\r' | '\t' => write!(quoted, "{}", c.escape_default()),
            '\0'..='\x1f' | '\x7f' => write!(quoted, "\\x{:02x}", c as u32),
            '\u{80}'..='\u{9f}' => write!(quoted, "\\u{:04x}", c as u32),
            _ => write!(quoted, "{c}"),
        };
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int64(text: &str) -> Result<i64, String> {
        parse(text, i64::MIN, i64::MAX)
    }

    #[test]
    fn an_integer_is_an_optional_sign_and_digits() {
        for (text, number) in
            [("2", 2), ("+2", 2), ("02", 2), ("-0", 0), ("000000000000000000001", 1)]
        {
            assert_eq!(int64(text), Ok(number), "{text}");
        }
        assert_eq!(int64("-9223372036854775808"), Ok(i64::MIN));
        for text in ["", "-", "+", "--1", " 2", "2 ", "1.0", "1e2", "0x2", "1_000", "２", "true"] {
            assert!(int64(text).unwrap_err().ends_with("invalid syntax"), "{text}");
        }
    }

    #[test]
    fn errors_have_the_texts_of_go() {
        let syntax = "strconv.ParseInt: parsing \"\\x00\\n\\\"ü\": invalid syntax";
        assert_eq!(int64("\0\n\"ü").unwrap_err(), syntax);
        let range = "strconv.ParseInt: parsing \"2147483648\": value out of range";
        assert_eq!(parse("2147483648", i32::MIN.into(), i32::MAX.into()).unwrap_err(), range);
        assert!(int64("9223372036854775808").unwrap_err().ends_with("value out of range"));
    }

    #[test]
    fn a_json_number_may_have_fraction_and_exponent_if_it_is_whole() {
        for (text, number) in [("0", 0), ("-0", 0), ("1.0", 1), ("1e2", 100), ("100e-2", 1)] {
            assert_eq!(from_json_text(text), Some(number), "{text}");
        }
        assert_eq!(from_json_text("-9223372036854775808"), Some(i64::MIN));
        for text in
            ["", "-", "+1", "01", "1.", ".5", "1.5", "1e", "1e-1", " 1", "1 ", "0x1", "1e19"]
        {
            assert_eq!(from_json_text(text), None, "{text}");
        }
        assert_eq!(from_json_text("9223372036854775808"), None);
    }
}
