//! Durations as people write them: `30 s`, `5 min`, `1h 30m`, or a number of seconds.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// The duration that a text says; a number alone is one of seconds, as the environment has it.
pub(super) fn of_text(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return of_seconds(seconds);
    }
    let span: Span = text.parse().ok()?;
    // Months and years have no length of their own, and are refused.
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(length).ok()
}

/// So many seconds, if there can be.
pub(super) fn of_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::of_text;

    #[test]
    fn a_duration_is_a_number_of_seconds_or_has_a_unit() {
        // J3
        for (text, milliseconds) in [
            ("30", 30_000),
            ("0.25", 250),
            (" 2 ", 2_000),
            ("0", 0),
            ("30 s", 30_000),
            ("30s", 30_000),
            ("200ms", 200),
            ("5 min", 300_000),
            ("5m", 300_000),
            ("1h 30m", 5_400_000),
            ("2 hours", 7_200_000),
            ("30 days", 2_592_000_000),
            ("2 weeks", 1_209_600_000),
        ] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(of_text(text), Some(duration), "{text}");
        }
        for text in [
            "", "s", "-1", "-5 s", "5 s ago", "1 month", "2 years", "soon", "1e300", "inf", "NaN",
            "5 5",
        ] {
            assert_eq!(of_text(text), None, "{text}");
        }
    }
}
