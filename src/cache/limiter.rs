//! How often a refused token may be refreshed (C4), so that an API that always says 401 cannot
//! turn its clients into a flood on the authorization server.

use std::collections::VecDeque;
use std::time::Duration;

use crate::refuser::Refuser;
use crate::schedule::refusal_pause;

/// Refreshes by refusal within [`WINDOW`], for one key.
const MOST: usize = 5;
const WINDOW: Duration = Duration::from_secs(30);
/// Origins that are remembered at once; a middleware bound to any origin meets any number.
const MOST_ORIGINS: usize = 64;

/// The refusals of one key. Most keys never meet one, and each user has a key: no room is kept for
/// them before (G3).
#[derive(Debug, Default)]
pub(crate) struct Limiter(Option<Box<Refusals>>);

/// Times are of the monotonic clock.
#[derive(Debug, Default)]
struct Refusals {
    penalties: Vec<(Refuser, Penalty)>,
    counted: VecDeque<Duration>,
}

/// What one origin has earned by refusing tokens that were brand-new.
#[derive(Debug)]
struct Penalty {
    refusals: u32,
    not_before: Duration,
    /// Two hundred resends of one token that are refused together count once.
    generation: u64,
}

impl Limiter {
    /// Whether a refresh may begin now; if not, when.
    ///
    /// `exempt` is the first refusal of a token that an API had accepted and that was not
    /// brand-new: a server that revokes every few seconds is served, a flood is not.
    pub(crate) fn permits(
        &self,
        now: Duration,
        refuser: &Refuser,
        exempt: bool,
    ) -> Result<(), Duration> {
        let Some(Refusals { counted, .. }) = self.0.as_deref() else {
            return Ok(());
        };
        if let Some(penalty) = self.penalty(refuser)
            && now < penalty.not_before
        {
            return Err(penalty.not_before);
        }
        let recent = counted.iter().filter(|at| now < **at + WINDOW);
        if exempt || recent.count() < MOST {
            return Ok(());
        }
        Err(counted.front().map_or(now, |oldest| *oldest + WINDOW))
    }

    /// A refresh begins.
    pub(crate) fn begin(&mut self, now: Duration, refuser: &Refuser, exempt: bool) {
        if let Some(penalty) = self.penalty_mut(refuser) {
            // The turn is taken: an API that shares its token with one that accepts would get
            // another one from each of its own calls.
            penalty.not_before = now + refusal_pause(penalty.refusals.saturating_sub(1));
        }
        if !exempt {
            let counted = &mut self.0.get_or_insert_default().counted;
            counted.push_back(now);
            while counted.len() > MOST {
                counted.pop_front();
            }
        }
    }

    /// A token of this generation was refused although it was sent because another one had been.
    pub(crate) fn resend_refused(&mut self, now: Duration, refuser: &Refuser, generation: u64) {
        if self.penalty(refuser).is_none() {
            let penalties = &mut self.0.get_or_insert_default().penalties;
            if penalties.len() >= MOST_ORIGINS {
                penalties.remove(0);
            }
            let penalty = Penalty {
                refusals: 0,
                not_before: now,
                generation: 0,
            };
            penalties.push((refuser.clone(), penalty));
        }
        if let Some(penalty) = self.penalty_mut(refuser)
            && penalty.generation < generation
        {
            penalty.not_before = now + refusal_pause(penalty.refusals);
            penalty.refusals = penalty.refusals.saturating_add(1);
            penalty.generation = generation;
        }
    }

    /// A resend was accepted: this origin starts anew.
    pub(crate) fn resend_accepted(&mut self, refuser: &Refuser) {
        if let Some(refusals) = &mut self.0 {
            refusals.penalties.retain(|(origin, _)| origin != refuser);
        }
    }

    fn penalty(&self, refuser: &Refuser) -> Option<&Penalty> {
        let mut known = self.0.as_ref()?.penalties.iter();
        known.find_map(|(origin, penalty)| (origin == refuser).then_some(penalty))
    }

    fn penalty_mut(&mut self, refuser: &Refuser) -> Option<&mut Penalty> {
        let mut known = self.0.as_mut()?.penalties.iter_mut();
        known.find_map(|(origin, penalty)| (origin == refuser).then_some(penalty))
    }
}

#[cfg(test)]
mod tests {
    use super::Limiter;
    use crate::refuser::Refuser;
    use reqwest::Url;
    use std::time::Duration;

    fn api(host: &str) -> Refuser {
        Refuser::at(&Url::parse(&format!("https://{host}")).unwrap())
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_pause_of_an_origin_doubles_with_each_refused_resend_and_ends_with_an_accepted_one() {
        // C4
        let mut limiter = Limiter::default();
        let (wrong, right) = (api("wrong"), api("right"));
        let mut now = secs(100);
        for (generation, pause) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30)] {
            assert_eq!(limiter.permits(now, &wrong, true), Ok(()));
            limiter.begin(now, &wrong, true);
            limiter.resend_refused(now, &wrong, generation);
            // All the others that were sent again with the same token.
            limiter.resend_refused(now, &wrong, generation);
            assert_eq!(limiter.permits(now, &wrong, true), Err(now + secs(pause)));
            assert_eq!(limiter.permits(now, &right, true), Ok(()));
            now += secs(pause);
        }
        limiter.resend_refused(now, &wrong, 8);
        limiter.resend_accepted(&wrong);
        assert_eq!(limiter.permits(now, &wrong, true), Ok(()));
    }

    #[test]
    fn a_refresh_that_begins_takes_the_turn_of_its_origin() {
        // C4
        let mut limiter = Limiter::default();
        let wrong = api("wrong");
        limiter.resend_refused(secs(0), &wrong, 1);
        limiter.resend_refused(secs(0), &wrong, 2);
        limiter.begin(secs(10), &wrong, true);
        assert_eq!(limiter.permits(secs(11), &wrong, true), Err(secs(12)));
    }

    #[test]
    fn five_refreshes_in_thirty_seconds_and_one_more_when_the_first_is_that_old() {
        // C4
        let mut limiter = Limiter::default();
        let api = api("api");
        for second in 0..5 {
            assert_eq!(limiter.permits(secs(second), &api, false), Ok(()));
            limiter.begin(secs(second), &api, false);
        }
        assert_eq!(limiter.permits(secs(29), &api, false), Err(secs(30)));
        assert_eq!(limiter.permits(secs(29), &api, true), Ok(()), "exempt");
        assert_eq!(limiter.permits(secs(30), &api, false), Ok(()));
    }

    #[test]
    fn refusing_origins_do_not_pile_up() {
        let mut limiter = Limiter::default();
        for number in 0..1000 {
            limiter.resend_refused(secs(1), &api(&format!("api-{number}")), 1);
        }
        let known = limiter.0.map(|refusals| refusals.penalties.len());
        assert_eq!(known, Some(super::MOST_ORIGINS));
    }
}
