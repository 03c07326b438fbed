//! What time it is, and timers: both injected, so that a test sets them.

use std::time::{Duration, SystemTime};

#[cfg(any(test, feature = "test-util"))]
use std::collections::BTreeMap;
#[cfg(any(test, feature = "test-util"))]
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(any(test, feature = "test-util"))]
use tokio::sync::watch;
// Not the standard library's: the timers are tokio's, and a test may have paused its time. Otherwise the two are
// one.
use tokio::time::Instant;

/// What the monotonic clock says at its beginning, so that a token which was issued before the
/// process started has a moment too: twenty years.
const HEAD_START: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);

/// One reading of both clocks of the machine.
///
/// Two, because each misses something: the monotonic clock stands still while a laptop is
/// suspended, and the wall clock can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Moment {
    /// Since some fixed moment before the clock was made. Never goes back.
    pub(crate) monotonic: Duration,
    /// Since 1970-01-01 UTC.
    pub(crate) wall: Duration,
}

impl Moment {
    /// The longer of the two clocks' readings since `earlier` (B8): what was suspended counts, and
    /// a wall clock that was set back does not.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let monotonic = self.monotonic.saturating_sub(earlier.monotonic);
        let wall = self.wall.saturating_sub(earlier.wall);
        monotonic.max(wall)
    }

    /// What a timer that was started at `earlier` has counted: a wall clock that is set does not
    /// make a wait longer or shorter.
    pub(crate) fn waited_since(self, earlier: Self) -> Duration {
        self.monotonic.saturating_sub(earlier.monotonic)
    }

    /// This moment and `by` more, on both clocks.
    pub(crate) fn later(self, by: Duration) -> Self {
        Self {
            monotonic: self.monotonic.saturating_add(by),
            wall: self.wall.saturating_add(by),
        }
    }

    /// This moment and `by` less, on both clocks.
    pub(crate) fn earlier(self, by: Duration) -> Self {
        Self {
            monotonic: self.monotonic.saturating_sub(by),
            wall: self.wall.saturating_sub(by),
        }
    }

    /// Whether it has come at `now`: if either clock says so, as with the ages of a token (B8).
    pub(crate) fn has_come(self, now: Self) -> bool {
        now.monotonic >= self.monotonic || now.wall >= self.wall
    }

    /// How long until it comes, by the clock on which it comes first.
    pub(crate) fn soonest_after(self, now: Self) -> Duration {
        let monotonic = self.monotonic.saturating_sub(now.monotonic);
        monotonic.min(self.wall.saturating_sub(now.wall))
    }

    /// On each clock the earlier of the two.
    pub(crate) fn earlier_of(self, other: Self) -> Self {
        Self {
            monotonic: self.monotonic.min(other.monotonic),
            wall: self.wall.min(other.wall),
        }
    }

    /// The wall clock's reading as the standard library has it.
    pub(crate) fn system_time(self) -> SystemTime {
        system_time(self.wall)
    }
}

/// A time since 1970 as the standard library has it; one that is out of range is the epoch.
pub(crate) fn system_time(since_epoch: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(since_epoch)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A moment to come, as the clocks themselves tell the time: whether it has come is two
/// comparisons and no arithmetic, since every call asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    Never,
    System {
        monotonic: Instant,
        wall: SystemTime,
    },
    #[cfg(any(test, feature = "test-util"))]
    Test(Moment),
}

/// The machine's clocks, or a test's.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    System {
        epoch: Instant,
    },
    #[cfg(any(test, feature = "test-util"))]
    Test(TestClock),
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is where time comes from"
    )]
    pub(crate) fn system() -> Self {
        Self::System {
            epoch: Instant::now(),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this file is where time comes from"
    )]
    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::System { epoch } => Moment {
                monotonic: HEAD_START + epoch.elapsed(),
                wall: SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default(),
            },
            #[cfg(any(test, feature = "test-util"))]
            Self::Test(clock) => clock.now(),
        }
    }

    /// `moment` as these clocks tell it. One that they cannot tell (some begin when the machine
    /// does) has come: whoever hears that looks closer, and a dead token never passes for a fresh
    /// one.
    pub(crate) fn due(&self, moment: Moment) -> Due {
        match self {
            Self::System { epoch } => Due::System {
                monotonic: epoch
                    .checked_add(moment.monotonic)
                    .and_then(|monotonic| monotonic.checked_sub(HEAD_START))
                    .unwrap_or(*epoch),
                wall: SystemTime::UNIX_EPOCH
                    .checked_add(moment.wall)
                    .unwrap_or(SystemTime::UNIX_EPOCH),
            },
            #[cfg(any(test, feature = "test-util"))]
            Self::Test(_) => Due::Test(moment),
        }
    }

    /// Whether either clock says that the moment has come (B8).
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is where time comes from"
    )]
    pub(crate) fn has_come(&self, due: Due) -> bool {
        match due {
            Due::Never => false,
            Due::System { monotonic, wall } => {
                Instant::now() >= monotonic || SystemTime::now() >= wall
            }
            #[cfg(any(test, feature = "test-util"))]
            Due::Test(moment) => {
                let now = self.now();
                now.monotonic >= moment.monotonic || now.wall >= moment.wall
            }
        }
    }

    /// Returns when `moment` has come, by the monotonic clock.
    pub(crate) async fn sleep_until(&self, moment: Moment) {
        match self {
            Self::System { .. } => {
                let pause = moment.monotonic.saturating_sub(self.now().monotonic);
                self.sleep(pause).await;
            }
            // Not by a pause: a test may move the clock between two readings.
            #[cfg(any(test, feature = "test-util"))]
            Self::Test(clock) => clock.reaches(moment.monotonic).await,
        }
    }

    /// Returns after `pause`, by the monotonic clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is where timers come from"
    )]
    pub(crate) async fn sleep(&self, pause: Duration) {
        match self {
            Self::System { .. } => tokio::time::sleep(pause).await,
            #[cfg(any(test, feature = "test-util"))]
            Self::Test(clock) => clock.sleep(pause).await,
        }
    }
}

/// What an error says where that is why something did not come in time.
pub(crate) const PAUSED: &str = "nothing came in time, but tokio's time is paused, and runs ahead of what a socket is \
     waited for: see the page on testing";

/// Tells whether tokio's time, which a test has paused, has left the real one behind: it runs on to the next
/// timer whenever the runtime has nothing to do, and a socket that is waited for is nothing to do.
#[derive(Debug)]
pub(crate) struct Lead {
    tokio: Instant,
    real: std::time::Instant,
}

impl Lead {
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is where time comes from"
    )]
    pub(crate) fn watch() -> Self {
        Self {
            tokio: Instant::now(),
            real: std::time::Instant::now(),
        }
    }

    /// Where no time is paused, both are one clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is where time comes from"
    )]
    pub(crate) fn is_seen(&self) -> bool {
        self.tokio.elapsed() > self.real.elapsed() + Duration::from_millis(100)
    }
}

/// A clock that stands still until a test moves it.
///
/// Give a clone to the builder of a token source. Every duration of the source (the four ages of
/// a token, back-off, time-outs of token requests) then follows this clock, and none of them
/// takes real time. Sockets do not follow it.
#[cfg(any(test, feature = "test-util"))]
#[derive(Clone, Debug)]
pub struct TestClock {
    hands: Arc<watch::Sender<Moment>>,
    timers: Arc<Timers>,
}

/// The moments of the monotonic clock that something waits for, with how many wait for each.
#[cfg(any(test, feature = "test-util"))]
#[derive(Debug, Default)]
struct Timers(Mutex<BTreeMap<Duration, usize>>);

/// One that waits, until it is dropped.
#[cfg(any(test, feature = "test-util"))]
struct Timer<'clock> {
    timers: &'clock Timers,
    until: Duration,
}

#[cfg(any(test, feature = "test-util"))]
impl TestClock {
    /// A clock that says 2026-01-01 00:00 UTC.
    #[must_use]
    pub fn new() -> Self {
        let start = Moment {
            monotonic: HEAD_START,
            wall: Duration::from_secs(1_767_225_600),
        };
        Self {
            hands: Arc::new(watch::Sender::new(start)),
            timers: Arc::default(),
        }
    }

    /// Time passes.
    pub fn advance(&self, by: Duration) {
        self.hands.send_modify(|now| {
            now.monotonic = now.monotonic.saturating_add(by);
            now.wall = now.wall.saturating_add(by);
        });
    }

    /// The machine is suspended: only the wall clock goes on.
    pub fn suspend(&self, by: Duration) {
        self.hands
            .send_modify(|now| now.wall = now.wall.saturating_add(by));
    }

    /// Somebody sets the wall clock back.
    pub fn set_back(&self, by: Duration) {
        self.hands
            .send_modify(|now| now.wall = now.wall.saturating_sub(by));
    }

    /// What the wall clock says.
    #[must_use]
    pub fn system_time(&self) -> SystemTime {
        self.now().system_time()
    }

    /// How long it is until the next moment that something waits for by this clock, a pause or a time-out:
    /// zero if that has come and whatever waits has not had its turn yet, `None` if nothing waits.
    ///
    /// The clock stands still until a test moves it, so a call that pauses (a refresh between two attempts
    /// at a server that is down) goes on only when the test has moved it so far.
    #[must_use]
    pub fn until_next_timer(&self) -> Option<Duration> {
        let next = self.timers.next()?;
        Some(next.saturating_sub(self.now().monotonic))
    }

    fn now(&self) -> Moment {
        *self.hands.borrow()
    }

    async fn sleep(&self, pause: Duration) {
        self.reaches(self.now().monotonic.saturating_add(pause))
            .await;
    }

    async fn reaches(&self, until: Duration) {
        let mut hands = self.hands.subscribe();
        let _timer = self.timers.set(until);
        // The sender is ours, so the channel cannot be closed.
        let _ = hands.wait_for(|now| now.monotonic >= until).await;
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Timers {
    fn set(&self, until: Duration) -> Timer<'_> {
        *self.all().entry(until).or_default() += 1;
        Timer {
            timers: self,
            until,
        }
    }

    fn next(&self) -> Option<Duration> {
        self.all().keys().next().copied()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Duration, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Drop for Timer<'_> {
    fn drop(&mut self) {
        let mut all = self.timers.all();
        if let Some(waiting) = all.get_mut(&self.until) {
            *waiting -= 1;
            if *waiting == 0 {
                all.remove(&self.until);
            }
        }
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, Moment, TestClock};
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_moment_has_come_when_either_clock_says_so() {
        // B8
        let hands = TestClock::new();
        for clock in [Clock::system(), Clock::Test(hands)] {
            let now = clock.now();
            let (past, future) = (now.back(HOUR), now.on(HOUR));
            let of = |monotonic: Moment, wall: Moment| {
                clock.has_come(clock.due(Moment {
                    monotonic: monotonic.monotonic,
                    wall: wall.wall,
                }))
            };
            assert!(of(now, now), "{clock:?}");
            assert!(of(past, future), "{clock:?}");
            assert!(of(future, past), "{clock:?}");
            assert!(!of(future, future), "{clock:?}");
        }
    }

    #[tokio::test]
    async fn the_next_timer_is_the_soonest_that_still_waits() {
        // J2
        let clock = TestClock::new();
        assert_eq!(clock.until_next_timer(), None);
        let mut long = Box::pin(clock.sleep(HOUR * 2));
        let mut short = Box::pin(clock.sleep(HOUR));
        let mut as_short = Box::pin(clock.sleep(HOUR));
        for timer in [&mut long, &mut short, &mut as_short] {
            assert!(futures_util::poll!(timer).is_pending());
        }
        assert_eq!(clock.until_next_timer(), Some(HOUR));
        clock.advance(HOUR / 2);
        assert_eq!(clock.until_next_timer(), Some(HOUR / 2));
        clock.advance(HOUR);
        // It has come, and whoever waits has not had a turn.
        assert_eq!(clock.until_next_timer(), Some(Duration::ZERO));
        short.await;
        assert_eq!(clock.until_next_timer(), Some(Duration::ZERO));
        drop(as_short);
        assert_eq!(clock.until_next_timer(), Some(HOUR / 2));
        drop(long);
        assert_eq!(clock.until_next_timer(), None);
    }

    #[test]
    fn a_moment_that_the_clock_cannot_tell_has_come() {
        // B8
        let clock = Clock::system();
        for span in [Duration::ZERO, Duration::MAX] {
            let moment = Moment {
                monotonic: span,
                wall: span,
            };
            assert!(clock.has_come(clock.due(moment)), "{span:?}");
        }
    }

    impl Moment {
        fn back(self, by: Duration) -> Self {
            Self {
                monotonic: self.monotonic - by,
                wall: self.wall - by,
            }
        }

        fn on(self, by: Duration) -> Self {
            Self {
                monotonic: self.monotonic + by,
                wall: self.wall + by,
            }
        }
    }
}
