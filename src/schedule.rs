//! When a token is refreshed: its four ages, and the pauses between attempts, as pure functions.

use std::time::Duration;

use crate::clock::Moment;
use crate::error::{Error, ErrorKind};
use crate::expiry_margin::ExpiryMargin;
use crate::token::{LONGEST_LIFETIME, Lifetime};

/// How a token stands to its expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Age {
    /// Used as it is.
    Fresh,
    /// Used as it is, while one flight in the background gets the next one.
    Soft,
    /// Used after a short wait for the next one.
    Hard,
    /// Not used.
    Expired,
}

/// What a user can set about the ages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Margins {
    pub(crate) soft: ExpiryMargin,
    pub(crate) hard: ExpiryMargin,
    pub(crate) default_lifetime: Option<Duration>,
}

impl Default for Margins {
    /// B1: a fixed margin would make short-lived tokens always expired, so both are shares, with
    /// a cap for tokens that live long.
    fn default() -> Self {
        Self {
            soft: ExpiryMargin::of_lifetime(0.20).at_most(Duration::from_secs(300)),
            hard: ExpiryMargin::of_lifetime(0.05).at_most(Duration::from_secs(30)),
            default_lifetime: None,
        }
    }
}

impl Margins {
    /// # Errors
    /// A margin of half a token's life or more (its jitter would leave too little of it), or a
    /// hard one that begins before the soft one.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (name, margin) in [
            ("refresh_before_expiry", self.soft),
            ("wait_before_expiry", self.hard),
        ] {
            if !(0.0..0.5).contains(&margin.share) {
                return Err(Error::settings(format!(
                    "{name}: the share of the lifetime is {}; it must be at least 0 and below 0.5",
                    margin.share
                ))
                .of_setting(name));
            }
        }
        if self.hard.share > self.soft.share || self.hard.longest > self.soft.longest {
            return Err(Error::settings(
                "wait_before_expiry begins before refresh_before_expiry; make it the smaller of the two",
            )
            .of_setting("wait_before_expiry"));
        }
        if self
            .default_lifetime
            .is_some_and(|lifetime| lifetime.is_zero())
        {
            return Err(Error::settings(
                "default_lifetime is zero; leave it out if tokens are to be used until refused",
            )
            .of_setting("default_lifetime"));
        }
        Ok(())
    }
}

/// The points at which a token changes its age, counted from when it was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) asked: Moment,
    soft: Duration,
    hard: Duration,
    expiry: Duration,
    soft_lead: Duration,
}

impl Plan {
    /// The plan of a token that was asked for at `asked` and arrived at `landed`.
    ///
    /// `draw` is this token's jitter (B2): drawn once, so that all calls see one soft moment.
    pub(crate) fn new(
        lifetime: Lifetime,
        refresh_in: Option<Duration>,
        asked: Moment,
        landed: Moment,
        margins: &Margins,
        draw: f64,
    ) -> Self {
        let lifetime = match lifetime {
            Lifetime::Stated(lifetime) => Some(lifetime.min(LONGEST_LIFETIME)),
            Lifetime::Unstated => margins.default_lifetime,
            // For those who wait for it, and for calls within one second (B11): without windows,
            // or every one of those calls would start a flight.
            Lifetime::Spent => {
                let expiry = landed.since(asked) + Duration::from_secs(1);
                return Self {
                    asked,
                    soft: expiry,
                    hard: expiry,
                    expiry,
                    soft_lead: Duration::ZERO,
                };
            }
        };
        // A hint of nothing, or beyond the expiry, says nothing.
        let hint = refresh_in
            .filter(|after| !after.is_zero() && lifetime.is_none_or(|lifetime| *after < lifetime));
        let (expiry, hard) = match lifetime {
            Some(lifetime) => (lifetime, lifetime - margins.hard.of(lifetime)),
            None => (Duration::MAX, Duration::MAX),
        };
        let soft_lead = match (hint, lifetime) {
            (Some(hint), Some(lifetime)) => lifetime - hint,
            // Without an expiry the lead is as long as if the hint were four fifths of the lifetime.
            (Some(hint), None) => (hint / 4).min(margins.soft.longest),
            (None, Some(lifetime)) => margins.soft.of(lifetime),
            (None, None) => Duration::ZERO,
        };
        // A fifth of a long lead may be more than all of an early hint: the token would land in its
        // soft window, and so would the next one.
        let jittered = hint.map_or(soft_lead, |hint| soft_lead.min(hint / 4));
        let soft = hint
            .unwrap_or(expiry.saturating_sub(soft_lead))
            .saturating_sub(jittered.mul_f64(0.20 * draw));
        Self {
            asked,
            soft: if expiry == Duration::MAX && hint.is_none() {
                Duration::MAX
            } else {
                soft
            },
            hard,
            expiry,
            soft_lead,
        }
    }

    /// The same for a token of which no refresh brings one that lasts longer: it is fresh to its end.
    pub(crate) fn without_windows(self) -> Self {
        Self {
            soft: self.expiry,
            hard: self.expiry,
            soft_lead: Duration::ZERO,
            ..self
        }
    }

    pub(crate) fn age(&self, now: Moment) -> Age {
        let elapsed = now.since(self.asked);
        if elapsed < self.soft && elapsed < self.expiry {
            Age::Fresh
        } else if elapsed >= self.expiry {
            Age::Expired
        } else if elapsed >= self.hard {
            Age::Hard
        } else {
            Age::Soft
        }
    }

    /// When it is no longer [`Age::Fresh`]; `None` if it always is.
    pub(crate) fn fresh_until(&self) -> Option<Moment> {
        let fresh = self.soft.min(self.expiry);
        Some(Moment {
            monotonic: self.asked.monotonic.checked_add(fresh)?,
            wall: self.asked.wall.checked_add(fresh)?,
        })
    }

    /// How long until its age changes; `None` if it does not, as far as anybody knows.
    pub(crate) fn until_next_age(&self, now: Moment) -> Option<Duration> {
        let elapsed = now.since(self.asked);
        let ends = [self.soft.min(self.expiry), self.hard, self.expiry];
        let ahead = ends
            .into_iter()
            .filter(|end| *end > elapsed && *end != Duration::MAX);
        ahead.map(|end| end - elapsed).min()
    }

    /// How long it still lives; `None` if nobody knows.
    pub(crate) fn remaining(&self, now: Moment) -> Option<Duration> {
        (self.expiry != Duration::MAX).then(|| self.expiry.saturating_sub(now.since(self.asked)))
    }

    /// How long it lives in all; `None` if nobody knows.
    pub(crate) fn lifetime(&self) -> Option<Duration> {
        (self.expiry != Duration::MAX).then_some(self.expiry)
    }

    /// How long until the hard window begins.
    pub(crate) fn until_hard(&self, now: Moment) -> Duration {
        self.hard.saturating_sub(now.since(self.asked))
    }

    /// The wall clock's reading at the expiry, since 1970.
    pub(crate) fn expires_at(&self) -> Option<Duration> {
        (self.expiry != Duration::MAX).then(|| self.asked.wall.saturating_add(self.expiry))
    }

    /// Whether this plan leads further than `other`, as seen at `now`.
    pub(crate) fn outlives(&self, other: &Self, now: Moment) -> bool {
        match (self.remaining(now), other.remaining(now)) {
            (Some(own), Some(other)) => own > other,
            (None, Some(_)) => true,
            // Without an end on either side, the later soft moment is the longer life: that is
            // how a file that is read again and again stays the same token.
            (None, None) => self.until_soft(now) > other.until_soft(now),
            (Some(_), None) => false,
        }
    }

    /// A quarter of the soft lead: the longest pause after a failed refresh ahead of time (B5).
    pub(crate) fn longest_soft_pause(&self) -> Duration {
        self.soft_lead / 4
    }

    fn until_soft(&self, now: Moment) -> Duration {
        self.soft.saturating_sub(now.since(self.asked))
    }
}

/// The pause after the `failures`-th failed refresh of a token that is still good (B5), counted
/// from 0: `min(30 s * 2^n, longest)`, +-20 %. (A token of 60 min: 30 s, 60 s, 75 s, 75 s, ...)
pub(crate) fn soft_pause(failures: u32, longest: Duration, draw: f64) -> Duration {
    spread(doubled(Duration::from_secs(30), failures, longest), draw)
}

/// The pause after the `failures`-th failed refresh without a usable token (B6), counted from 0:
/// 1 s, doubling to 5 s where waiting helps, and to 30 s where somebody has to mend something.
pub(crate) fn dry_pause(failures: u32, error: &Error) -> Duration {
    let longest = match error.kind() {
        ErrorKind::Rejected | ErrorKind::SignInRequired | ErrorKind::InvalidSubjectToken => {
            Duration::from_secs(30)
        }
        _ => Duration::from_secs(5),
    };
    doubled(Duration::from_secs(1), failures, longest)
}

/// The pause of an open breaker before its next probe (A8), counted from 0: as long as one owner's
/// after as many failures.
pub(crate) fn breaker_pause(probes: u32) -> Duration {
    doubled(Duration::from_secs(1), probes, Duration::from_secs(5))
}

/// The pause after a refused resend (C4), counted from 0: 1 s, doubling to 30 s.
pub(crate) fn refusal_pause(refusals: u32) -> Duration {
    doubled(Duration::from_secs(1), refusals, Duration::from_secs(30))
}

/// The pause before the next attempt of one flight (E3), counted from 0: 200 ms, 400 ms, +-20 %.
pub(crate) fn attempt_pause(attempts: u32, draw: f64) -> Duration {
    let longest = Duration::from_secs(10);
    spread(doubled(Duration::from_millis(200), attempts, longest), draw)
}

/// The pause before the next look at a record whose lease another process has (F3): 50 to 250 ms.
pub(crate) fn lease_poll_pause(draw: f64) -> Duration {
    Duration::from_millis(50) + Duration::from_millis(200).mul_f64(draw)
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    let factor = 2_u32.saturating_pow(times);
    first.saturating_mul(factor).min(longest)
}

fn spread(pause: Duration, draw: f64) -> Duration {
    pause.mul_f64(0.8 + 0.4 * draw)
}

#[cfg(test)]
mod tests {
    use super::{Age, Margins, Plan};
    use super::{attempt_pause, dry_pause, refusal_pause, soft_pause};
    use crate::clock::Moment;
    use crate::error::Error;
    use crate::expiry_margin::ExpiryMargin;
    use crate::token::{LONGEST_LIFETIME, Lifetime};
    use proptest::prelude::*;
    use std::time::Duration;

    const START: Moment = Moment {
        monotonic: Duration::from_secs(1000),
        wall: Duration::from_secs(1_767_225_600),
    };

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn after(elapsed: Duration) -> Moment {
        Moment {
            monotonic: START.monotonic + elapsed,
            wall: START.wall + elapsed,
        }
    }

    fn plan(lifetime: f64, draw: f64) -> Plan {
        let lifetime = Lifetime::Stated(secs(lifetime));
        Plan::new(lifetime, None, START, START, &Margins::default(), draw)
    }

    fn age(plan: &Plan, elapsed: Duration) -> Age {
        plan.age(after(elapsed))
    }

    const TICK: Duration = Duration::from_nanos(1);

    #[test]
    fn the_ages_begin_at_their_moments_and_not_a_tick_before() {
        // B1: the worked numbers.
        for (lifetime, soft_lead, hard_lead) in
            [(3600.0, 300.0, 30.0), (60.0, 12.0, 3.0), (2.0, 0.4, 0.1)]
        {
            let plan = plan(lifetime, 0.0);
            let (soft, hard) = (secs(lifetime - soft_lead), secs(lifetime - hard_lead));
            assert_eq!(age(&plan, Duration::ZERO), Age::Fresh);
            assert_eq!(age(&plan, soft - TICK), Age::Fresh);
            assert_eq!(age(&plan, soft), Age::Soft);
            assert_eq!(age(&plan, hard - TICK), Age::Soft);
            assert_eq!(age(&plan, hard), Age::Hard);
            assert_eq!(age(&plan, secs(lifetime) - TICK), Age::Hard);
            assert_eq!(age(&plan, secs(lifetime)), Age::Expired);
            assert_eq!(plan.fresh_until(), Some(after(soft)));
        }
    }

    #[test]
    fn jitter_moves_the_soft_moment_earlier_by_at_most_a_fifth_of_the_lead() {
        // B2
        assert_eq!(age(&plan(60.0, 0.5), secs(46.8) - TICK), Age::Fresh);
        assert_eq!(age(&plan(60.0, 0.5), secs(46.8)), Age::Soft);
        assert_eq!(age(&plan(60.0, 0.999_999_9), secs(45.6) - TICK), Age::Fresh);
        assert_eq!(age(&plan(60.0, 0.999_999_9), secs(45.601)), Age::Soft);
    }

    #[test]
    fn either_clock_can_end_a_token() {
        // B8
        let plan = plan(60.0, 0.0);
        let suspended = Moment {
            monotonic: START.monotonic,
            wall: START.wall + secs(60.0),
        };
        let set_back = Moment {
            monotonic: START.monotonic + secs(60.0),
            wall: START.wall - secs(1e6),
        };
        assert_eq!(plan.age(suspended), Age::Expired);
        assert_eq!(plan.age(set_back), Age::Expired);
    }

    #[test]
    fn a_hint_of_the_server_sets_the_soft_moment() {
        // B10
        let hinted = |hint: f64, lifetime: Lifetime| {
            let margins = Margins::default();
            Plan::new(lifetime, Some(secs(hint)), START, START, &margins, 0.0)
        };
        let stated = Lifetime::Stated(secs(3600.0));
        assert_eq!(
            age(&hinted(1800.0, stated), secs(1800.0) - TICK),
            Age::Fresh
        );
        assert_eq!(age(&hinted(1800.0, stated), secs(1800.0)), Age::Soft);
        // One that says nothing leaves the rule in force.
        for senseless in [0.0, 3600.0, 1e7] {
            assert_eq!(age(&hinted(senseless, stated), secs(3299.0)), Age::Fresh);
            assert_eq!(age(&hinted(senseless, stated), secs(3300.0)), Age::Soft);
        }
        let endless = hinted(60.0, Lifetime::Unstated);
        assert_eq!(age(&endless, secs(59.0)), Age::Fresh);
        assert_eq!(age(&endless, secs(1e9)), Age::Soft);
        // Without jitter it would be 60 s for every process.
        let drawn = Plan::new(
            Lifetime::Unstated,
            Some(secs(60.0)),
            START,
            START,
            &Margins::default(),
            0.5,
        );
        assert_eq!(age(&drawn, secs(58.6)), Age::Soft);
    }

    #[test]
    fn a_hint_that_comes_early_in_a_long_life_is_not_lost_to_jitter() {
        // B10: or the next flight would start as soon as this one has landed.
        let stated = Lifetime::Stated(secs(3600.0));
        for hint in [1.0, 60.0, 300.0] {
            let margins = Margins::default();
            let plan = Plan::new(stated, Some(secs(hint)), START, START, &margins, 0.999);
            assert_eq!(age(&plan, secs(0.95 * hint)), Age::Fresh, "{hint}");
            assert_eq!(age(&plan, secs(hint)), Age::Soft, "{hint}");
        }
    }

    #[test]
    fn a_token_without_a_lifetime_serves_until_it_is_refused_or_has_the_default_one() {
        // B11
        let unstated =
            |margins: &Margins| Plan::new(Lifetime::Unstated, None, START, START, margins, 0.9);
        assert_eq!(age(&unstated(&Margins::default()), secs(1e9)), Age::Fresh);
        let margins = Margins {
            default_lifetime: Some(secs(60.0)),
            ..Margins::default()
        };
        assert_eq!(age(&unstated(&margins), secs(60.0)), Age::Expired);
    }

    #[test]
    fn a_spent_token_serves_calls_within_one_second_of_its_arrival() {
        // B11
        let landed = after(secs(3.0));
        let margins = Margins::default();
        let plan = Plan::new(Lifetime::Spent, None, START, landed, &margins, 0.5);
        assert_eq!(age(&plan, secs(4.0) - TICK), Age::Fresh);
        assert_eq!(age(&plan, secs(4.0)), Age::Expired);
    }

    #[test]
    fn pauses_double_up_to_their_caps() {
        // B5, B6, C4, E3
        let longest = secs(75.0);
        let soft: Vec<_> = (0..4).map(|n| soft_pause(n, longest, 0.5)).collect();
        assert_eq!(soft, [30.0, 60.0, 75.0, 75.0].map(secs));
        assert_eq!(soft_pause(0, longest, 0.0), secs(24.0));
        assert!(soft_pause(0, longest, 0.999_999) < secs(36.0));
        let down = Error::unavailable("down");
        let dry: Vec<_> = (0..5).map(|n| dry_pause(n, &down)).collect();
        assert_eq!(dry, [1.0, 2.0, 4.0, 5.0, 5.0].map(secs));
        let wrong = Error::rejected("wrong");
        let dry: Vec<_> = (0..7).map(|n| dry_pause(n, &wrong)).collect();
        assert_eq!(dry, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0].map(secs));
        assert_eq!(refusal_pause(0), secs(1.0));
        assert_eq!(refusal_pause(u32::MAX), secs(30.0));
        assert_eq!(attempt_pause(0, 0.5), secs(0.2));
        assert_eq!(attempt_pause(1, 0.5), secs(0.4));
    }

    #[test]
    fn margins_of_half_a_life_are_refused() {
        let soft = |share: f64| Margins {
            soft: ExpiryMargin {
                longest: secs(300.0),
                share,
            },
            ..Margins::default()
        };
        assert!(soft(0.49).check().is_ok());
        for wrong in [0.5, 1.0, -0.1, f64::NAN, f64::INFINITY, 0.01] {
            assert!(soft(wrong).check().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_token_of_a_second_or_more_is_fresh_for_three_quarters_of_its_life(
            lifetime in 1.0..1e9_f64,
            draw in 0.0..1.0_f64,
        ) {
            // B1
            let plan = plan(lifetime, draw);
            let lived = secs(lifetime).min(LONGEST_LIFETIME).mul_f64(0.75);
            prop_assert_eq!(age(&plan, lived), Age::Fresh);
        }

        #[test]
        fn any_lifetime_hint_and_reading_make_a_plan_whose_ages_follow_each_other(
            lifetime in proptest::option::of(any::<u64>()),
            hint in proptest::option::of(any::<u64>()),
            draw in 0.0..1.0_f64,
            flown in any::<u32>(),
            readings in proptest::collection::vec(any::<u32>(), 2..20),
        ) {
            // B11: nothing overflows.
            let lifetime = match lifetime {
                Some(0) => Lifetime::Spent,
                Some(nanos) => Lifetime::Stated(Duration::from_nanos(nanos)),
                None => Lifetime::Unstated,
            };
            let landed = after(Duration::from_secs(flown.into()));
            let hint = hint.map(Duration::from_secs);
            let plan = Plan::new(lifetime, hint, START, landed, &Margins::default(), draw);
            let mut readings: Vec<_> = readings.into_iter().map(u64::from).collect();
            readings.sort_unstable();
            let ages: Vec<_> = readings.iter().map(|s| age(&plan, Duration::from_secs(*s))).collect();
            prop_assert!(ages.is_sorted());
            prop_assert!(plan.longest_soft_pause() <= LONGEST_LIFETIME);
        }

        #[test]
        fn any_lifetime_survives_any_arithmetic(nanos in any::<u64>(), secs in any::<u64>()) {
            // B11
            let lifetime = Lifetime::Stated(Duration::new(secs, (nanos % 1_000_000_000) as u32));
            let end = Moment { monotonic: Duration::MAX, wall: Duration::MAX };
            let plan = Plan::new(lifetime, None, START, end, &Margins::default(), 0.99);
            prop_assert_eq!(plan.age(end), Age::Expired);
            prop_assert!(plan.expires_at().is_some());
        }
    }
}
