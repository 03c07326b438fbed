//! By how much the clocks of servers are ahead of this machine's, as far as their answers have shown: what is
//! signed for a server is dated by its clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{AGE, DATE};
use reqwest::Url;

use crate::by_origin::ByOrigin;
use crate::clock::Moment;
use crate::origin::is_secure;

/// What differs by less is no reason to refuse a date: a header has whole seconds, and servers allow for some.
const LEAST: u64 = 5;

/// What differs by more is not believed: a server must not have anything signed for tomorrow.
const MOST: u64 = 15 * 60;

/// The clocks of servers, by origin. Clones share them.
///
/// Learnt only from an answer that refuses what was signed: where all goes well, a `Date` that some proxy writes
/// changes nothing. And never taken for the lifetime of a token, which is counted by this machine's clocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClockSkews(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By how many seconds each is ahead. A server whose clock is forgotten refuses once more.
    ahead: ByOrigin<i64>,
    /// What was learnt last, as long as nobody has been told.
    news: Mutex<Option<ClockSkew>>,
}

/// What was learnt of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClockSkew {
    /// Its origin.
    pub(crate) server: Arc<str>,
    pub(crate) seconds_ahead: i64,
    /// Whether what is signed for that server is dated by its clock from now on.
    pub(crate) is_followed: bool,
}

impl ClockSkews {
    /// The time by which what is signed for this URL is dated.
    pub(crate) fn date_for(&self, url: &Url, now: Moment) -> Moment {
        let ahead = self.ahead(url);
        let by = Duration::from_secs(ahead.unsigned_abs());
        let wall = if ahead < 0 {
            now.wall.saturating_sub(by)
        } else {
            now.wall.saturating_add(by)
        };
        Moment { wall, ..now }
    }

    /// Takes note of the `Date` in an answer of this URL that refuses what was signed, to a request that was
    /// sent and answered at these moments. Says whether the same request is dated otherwise from now on.
    pub(crate) fn learn(
        &self,
        url: &Url,
        headers: &HeaderMap,
        sent: Moment,
        answered: Moment,
    ) -> bool {
        if !is_secure(url) {
            return false;
        }
        let Some(date) = date_of(headers) else {
            return false;
        };
        let applied = self.ahead(url);
        // The server has written it some time between the two, and has left out the fraction of a second.
        let least = date - seconds(answered.wall);
        let most = date + 1 - seconds(sent.wall);
        let is_explained = least - LEAST as i64 <= applied && applied <= most + LEAST as i64;
        // The least: what is dated too early by the time that an answer takes is taken, what is dated in the
        // future is not.
        if is_explained {
            return false;
        }
        let is_followed = least.unsigned_abs() <= MOST;
        *self.news() = Some(ClockSkew {
            server: url.origin().ascii_serialization().into(),
            seconds_ahead: least,
            is_followed,
        });
        if is_followed {
            self.0.ahead.insert(url, least);
        }
        is_followed
    }

    /// What was learnt, once.
    pub(crate) fn untold(&self) -> Option<ClockSkew> {
        self.news().take()
    }

    fn ahead(&self, url: &Url) -> i64 {
        let ahead = self.0.ahead.look(url, |ahead| *ahead);
        ahead.unwrap_or_default()
    }

    fn news(&self) -> MutexGuard<'_, Option<ClockSkew>> {
        self.0.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time that an answer was made at, in seconds since 1970. None of one that a cache has kept.
fn date_of(headers: &HeaderMap) -> Option<i64> {
    if headers.contains_key(AGE) {
        return None;
    }
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let since_epoch = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(seconds(since_epoch))
}

fn seconds(since_epoch: Duration) -> i64 {
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderName, HeaderValue};
    use reqwest::Url;

    use super::{ClockSkew, ClockSkews};
    use crate::clock::{Moment, system_time};

    const NOW: u64 = 1_767_225_600;

    fn at(wall: u64) -> Moment {
        Moment {
            monotonic: Duration::from_secs(1),
            wall: Duration::from_secs(wall),
        }
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn dated(seconds: u64) -> HeaderMap {
        let date = httpdate::fmt_http_date(system_time(Duration::from_secs(seconds)));
        [(http::header::DATE, HeaderValue::from_str(&date).unwrap())]
            .into_iter()
            .collect()
    }

    /// By how much proofs for `text` are dated ahead, after an answer whose `Date` is ahead by `ahead` to a request
    /// that took `took` seconds.
    fn learnt(skews: &ClockSkews, text: &str, ahead: i64, took: u64) -> i64 {
        let date = (NOW + took).checked_add_signed(ahead).unwrap();
        skews.learn(&url(text), &dated(date), at(NOW), at(NOW + took));
        applied(skews, text)
    }

    fn applied(skews: &ClockSkews, text: &str) -> i64 {
        let date = skews.date_for(&url(text), at(NOW));
        assert_eq!(date.monotonic, at(NOW).monotonic);
        i64::try_from(date.wall.as_secs()).unwrap() - i64::try_from(NOW).unwrap()
    }

    #[test]
    fn a_clock_is_believed_within_bounds_only() {
        // H1, H5
        for (ahead, believed) in [
            (0, 0),
            (5, 0),
            (6, 6),
            (600, 600),
            (900, 900),
            (901, 0),
            (86_400, 0),
            (-6, 0),
            (-7, -7),
            (-900, -900),
            (-901, 0),
        ] {
            let skews = ClockSkews::default();
            assert_eq!(
                learnt(&skews, "https://a.test/", ahead, 0),
                believed,
                "{ahead}"
            );
            let told = skews
                .untold()
                .map(|skew| (skew.seconds_ahead, skew.is_followed));
            let is_news = !(-6..=5).contains(&ahead);
            assert_eq!(told, is_news.then_some((ahead, believed != 0)), "{ahead}");
        }
    }

    #[test]
    fn the_time_that_an_answer_takes_is_no_difference_of_clocks() {
        // H1, H5
        let skews = ClockSkews::default();
        // Written at once, and slow on its way.
        assert_eq!(learnt(&skews, "https://a.test/", -60, 60), 0);
        assert_eq!(learnt(&skews, "https://a.test/", -67, 60), -67);
    }

    #[test]
    fn what_is_known_changes_with_what_is_seen_later() {
        // H1, H5
        let skews = ClockSkews::default();
        assert_eq!(learnt(&skews, "https://a.test/1", 600, 0), 600);
        let learnt_once = ClockSkew {
            server: "https://a.test".into(),
            seconds_ahead: 600,
            is_followed: true,
        };
        assert_eq!(skews.untold(), Some(learnt_once));
        assert_eq!(skews.untold(), None);
        // The date of the same clock is no news, and one that cannot be believed changes nothing.
        for (ahead, is_news) in [(600, false), (597, false), (604, false), (5_000, true)] {
            assert_eq!(
                learnt(&skews, "https://a.test/2?x", ahead, 0),
                600,
                "{ahead}"
            );
            assert_eq!(skews.untold().is_some(), is_news, "{ahead}");
        }
        // Somebody has set this machine's.
        assert_eq!(learnt(&skews.clone(), "https://a.test/", 1, 0), 1);
        assert_eq!(applied(&skews, "https://a.test:8443/"), 0);
        assert_eq!(applied(&skews, "https://b.test/"), 0);
    }

    #[test]
    fn a_date_that_others_could_have_written_is_not_believed() {
        // H1, H5
        for (text, believed) in [
            ("https://a.test/", 600),
            ("http://127.0.0.1:8080/", 600),
            ("http://localhost/", 600),
            ("http://a.test/", 0),
        ] {
            assert_eq!(
                learnt(&ClockSkews::default(), text, 600, 0),
                believed,
                "{text}"
            );
        }
        let aged: [(HeaderName, &str); 2] =
            [(http::header::AGE, "0"), (http::header::DATE, "today")];
        for (name, value) in aged {
            let mut headers = dated(NOW + 600);
            headers.insert(name, HeaderValue::from_static(value));
            let skews = ClockSkews::default();
            assert!(!skews.learn(&url("https://a.test/"), &headers, at(NOW), at(NOW)));
        }
        let skews = ClockSkews::default();
        assert!(!skews.learn(&url("https://a.test/"), &HeaderMap::new(), at(NOW), at(NOW)));
    }
}
