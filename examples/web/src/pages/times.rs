//! Points in time, as people say them.

use std::time::{Duration, SystemTime};

/// Such as "in 42 s" or "3 min ago".
pub(crate) fn when(at: SystemTime, now: SystemTime) -> String {
    match at.duration_since(now) {
        Ok(ahead) => format!("in {}", in_words(ahead)),
        Err(past) => format!("{} ago", in_words(past.duration())),
    }
}

fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::when;

    #[test]
    fn the_unit_grows_with_the_time() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (seconds, words) in [
            (0, "in 0 s"),
            (119, "in 119 s"),
            (120, "in 2 min"),
            (7_199, "in 119 min"),
            (7_200, "in 2 h"),
            (172_799, "in 47 h"),
            (172_800, "in 2 days"),
        ] {
            assert_eq!(when(now + Duration::from_secs(seconds), now), words);
        }
        assert_eq!(when(now - Duration::from_secs(3), now), "3 s ago");
    }
}
