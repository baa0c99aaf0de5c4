//! Sizes, times and strangers' texts as a person reads them.

use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mesh_wire::label::deceptive;

/// `812 B`, `64.0 kB`, `1.2 MB`: powers of ten, as in shops.
pub fn bytes(count: u64) -> String {
    let mut amount = count as f64;
    for unit in ["B", "kB", "MB", "GB", "TB", "PB"] {
        if amount < 999.95 {
            let decimals = usize::from(unit != "B");
            return format!("{amount:.decimals$} {unit}");
        }
        amount /= 1000.0;
    }
    format!("{amount:.1} EB")
}

/// Bytes by a time: `1.2 MB/s`.
pub fn rate(count: u64, time: Duration) -> String {
    format!("{}/s", bytes((count as f64 / time.as_secs_f64().max(1e-3)) as u64))
}

/// `0.06 s`, `14 s`, `3 min`, `5 h`, `12 days`.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.2} s", time.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A point in time where the user is: `2026-11-21 10:02`.
pub fn date(unix_ms: u64) -> String {
    let stamp = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    stamp.map_or_else(
        || "at no known time".into(),
        |stamp| stamp.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
    )
}

/// One and many: `1 item`, `2 items`.
pub fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// The first digits of an id, enough to tell neighbours apart.
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// A stranger's text on one line, unable to move the cursor or to read as something else.
pub fn line(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' {
            plain.push('↵');
        } else if deceptive(character) {
            // A String takes all that is written.
            let _ = write!(plain, "{}", character.escape_unicode());
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal_and_never_four_digits() {
        for (count, words) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (12_345_678, "12.3 MB"),
        ] {
            assert_eq!(bytes(count), words);
        }
        assert_eq!(bytes(u64::MAX), "18.4 EB");
    }

    #[test]
    fn times_are_as_exact_as_matters() {
        for (ms, words) in [
            (61, "0.06 s"),
            (14_900, "14 s"),
            (180_000, "3 min"),
            (18_000_000, "5 h"),
            (u64::MAX, "213503982334 days"),
        ] {
            assert_eq!(time(Duration::from_millis(ms)), words);
        }
    }

    #[test]
    fn w_07_a_name_never_moves_the_cursor_or_turns_the_line_around() {
        assert_eq!(line("a\u{1b}[2Jb\r\nc"), "a\\u{1b}[2Jb\\u{d}↵c");
        assert_eq!(line("exe.\u{202e}gpj"), "exe.\\u{202e}gpj");
        assert_eq!(line("Grüße 🦦"), "Grüße 🦦");
    }

    #[test]
    fn a_time_beyond_the_calendar_is_said_to_be_unknown() {
        assert_eq!(date(u64::MAX), "at no known time");
        assert_eq!(date(1_700_000_000_000).len(), "2023-11-14 22:13".len());
    }
}
