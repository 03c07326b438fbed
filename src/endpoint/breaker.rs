//! When a server or a client of it is left alone: after failures that several owners met in a row (A8).
//!
//! Pure: events and moments in, answers out. [`Queue`](crate::endpoint::queue::Queue) keeps one
//! breaker for each token endpoint and asks it before a token request is sent.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Moment;
use crate::error::ErrorKind;
use crate::schedule::breaker_pause;

/// Failures in a row of so many different owners open a breaker: those of one owner may be its own.
const OWNERS: usize = 3;
/// For so long a probe that is due is kept for a flight that risks less.
const KEPT_FOR_A_BETTER_ONE: Duration = Duration::from_millis(250);

/// Whether token requests are let through. Two scopes, because a server that gives no answer at all
/// has nothing to say about its clients, and one that answers 503 to one client may serve others.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    server: Scope,
    /// By clients, as hashes: those that have failed since they last were answered.
    clients: HashMap<u64, Scope>,
}

#[derive(Debug, Default)]
struct Scope {
    /// The owners whose attempts have failed since the last success, each once.
    failed: Vec<u64>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// What its first failure was.
    kind: ErrorKind,
    probes: u32,
    /// From when on the next probe is let through.
    next: Moment,
    last_prober: Option<u64>,
}

/// What a flight would spend as a probe; the less, the sooner it is taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Risk {
    /// No refresh token.
    Nothing,
    /// A refresh token whose answer has been lost already.
    LostAlready,
    /// A refresh token whose answer would be lost with the server.
    RefreshToken,
}

/// What an attempt has shown of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A token, or a verdict.
    Answered,
    /// A complete answer that is neither, and says nothing of the client's standing.
    SomeAnswer,
    /// An answer that turns the client away: a 5xx, a 429, a 403 with `Retry-After`.
    TurnedAway { retry_after: Duration },
    /// No complete answer.
    Nothing { kind: ErrorKind },
}

/// Why a request is not sent: what was met, and when the next one may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) kind: ErrorKind,
    pub(crate) until: Moment,
}

impl Breaker {
    /// Whether a request of `owner` may be sent now. While a scope is open, one probe is let through
    /// for each pause, whether or not the one before has ended: a server that hangs would otherwise
    /// be found again only after an attempt's whole time.
    pub(crate) fn admit(
        &mut self,
        client: u64,
        owner: u64,
        risk: Risk,
        now: Moment,
    ) -> Result<(), Closed> {
        self.server.may_probe(owner, risk, now)?;
        let client = self.clients.get_mut(&client);
        if let Some(client) = &client {
            client.may_probe(owner, risk, now)?;
        }
        self.server.probe(owner, now);
        if let Some(client) = client {
            client.probe(owner, now);
        }
        Ok(())
    }

    /// Whether this client's requests are let through without being probes.
    pub(crate) fn is_closed(&self, client: u64) -> bool {
        self.open_to(client).next().is_none()
    }

    /// Whether the server is left alone by all clients.
    pub(crate) fn is_open_to_all(&self) -> bool {
        self.server.open.is_some()
    }

    /// Whether the server is left alone by this client, whatever the others do.
    pub(crate) fn is_open_to_one(&self, client: u64) -> bool {
        let client = self.clients.get(&client);
        client.is_some_and(|client| client.open.is_some())
    }

    /// Until when no request of `owner` is let through, and why; `None` if all are.
    pub(crate) fn closed_to(&self, client: u64, owner: u64, risk: Risk) -> Option<Closed> {
        self.open_to(client)
            .map(|open| open.closed_to(owner, risk))
            .max_by_key(|closed| closed.until.monotonic)
    }

    /// Takes note of what an attempt of `owner` has met.
    pub(crate) fn note(&mut self, client: u64, owner: u64, outcome: Outcome, now: Moment) {
        match outcome {
            Outcome::Answered => {
                self.server = Scope::default();
                self.clients.remove(&client);
            }
            Outcome::SomeAnswer => self.server = Scope::default(),
            Outcome::TurnedAway { retry_after } => {
                self.server = Scope::default();
                let client = self.clients.entry(client).or_default();
                client.fail(owner, ErrorKind::Unavailable, retry_after, now);
            }
            // Its `Retry-After`, if there ever was one, is another answer's.
            Outcome::Nothing { kind } => self.server.fail(owner, kind, Duration::ZERO, now),
        }
    }

    fn open_to(&self, client: u64) -> impl Iterator<Item = &Open> {
        let client = self.clients.get(&client);
        let client = client.and_then(|client| client.open.as_ref());
        self.server.open.iter().chain(client)
    }
}

impl Scope {
    fn may_probe(&self, owner: u64, risk: Risk, now: Moment) -> Result<(), Closed> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let closed = open.closed_to(owner, risk);
        if closed.until.has_come(now) {
            Ok(())
        } else {
            Err(closed)
        }
    }

    fn probe(&mut self, owner: u64, now: Moment) {
        if let Some(open) = &mut self.open {
            open.probes = open.probes.saturating_add(1);
            open.next = now.later(breaker_pause(open.probes));
            open.last_prober = Some(owner);
        }
    }

    fn fail(&mut self, owner: u64, kind: ErrorKind, retry_after: Duration, now: Moment) {
        if let Some(open) = &mut self.open {
            let asked = now.later(retry_after);
            if !retry_after.is_zero() && open.next.has_come(asked) {
                open.next = asked;
            }
            return;
        }
        if !self.failed.contains(&owner) {
            self.failed.push(owner);
        }
        if self.failed.len() >= OWNERS {
            self.failed = Vec::new();
            self.open = Some(Open {
                kind,
                probes: 0,
                next: now.later(breaker_pause(0).max(retry_after)),
                last_prober: None,
            });
        }
    }
}

impl Open {
    /// When a probe of `owner` would be let through: a flight that risks more leaves the first moments
    /// to those that risk less, and so does the owner of the last probe to all others.
    fn closed_to(&self, owner: u64, risk: Risk) -> Closed {
        let was_last = self.last_prober == Some(owner);
        let wait = match risk {
            _ if was_last => KEPT_FOR_A_BETTER_ONE,
            Risk::Nothing => Duration::ZERO,
            Risk::LostAlready => KEPT_FOR_A_BETTER_ONE / 2,
            Risk::RefreshToken => KEPT_FOR_A_BETTER_ONE,
        };
        Closed {
            kind: self.kind,
            until: self.next.later(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Breaker, Closed, KEPT_FOR_A_BETTER_ONE, Outcome, Risk};
    use crate::clock::Moment;
    use crate::error::ErrorKind;
    use std::time::Duration;

    fn at(millis: u64) -> Moment {
        Moment {
            monotonic: Duration::from_millis(millis),
            wall: Duration::from_millis(millis),
        }
    }

    const CLIENT: u64 = 1;

    const NOTHING: Outcome = Outcome::Nothing {
        kind: ErrorKind::Timeout,
    };

    fn turned_away(seconds: u64) -> Outcome {
        Outcome::TurnedAway {
            retry_after: Duration::from_secs(seconds),
        }
    }

    fn open(outcome: Outcome) -> Breaker {
        let mut breaker = Breaker::default();
        for owner in 1..=3 {
            breaker.note(CLIENT, owner, outcome, at(0));
        }
        assert!(!breaker.is_closed(CLIENT));
        breaker
    }

    #[test]
    fn three_owners_in_a_row_open_it_and_one_alone_or_with_a_success_between_does_not() {
        // A8
        let mut breaker = Breaker::default();
        for owner in [1, 1, 1, 1, 2, 2, 1] {
            breaker.note(CLIENT, owner, NOTHING, at(0));
            assert!(breaker.is_closed(CLIENT));
        }
        breaker.note(CLIENT, 3, Outcome::Answered, at(0));
        for owner in [4, 5] {
            breaker.note(CLIENT, owner, NOTHING, at(0));
            assert!(breaker.is_closed(CLIENT));
        }
        breaker.note(CLIENT, 6, NOTHING, at(0));
        assert!(!breaker.is_closed(CLIENT));
    }

    #[test]
    fn any_answer_closes_the_server_s_scope_and_a_token_or_a_verdict_the_client_s() {
        // A8
        for (met, answer, closes) in [
            (NOTHING, Outcome::SomeAnswer, true),
            (NOTHING, Outcome::Answered, true),
            (NOTHING, turned_away(0), true),
            (turned_away(0), Outcome::SomeAnswer, false),
            (turned_away(0), NOTHING, false),
            (turned_away(0), Outcome::Answered, true),
        ] {
            let mut breaker = open(met);
            breaker.note(CLIENT, 9, answer, at(1));
            assert_eq!(breaker.is_closed(CLIENT), closes, "{met:?} {answer:?}");
        }
    }

    #[test]
    fn the_scopes_count_apart() {
        // A8
        let mut breaker = Breaker::default();
        breaker.note(CLIENT, 1, NOTHING, at(0));
        breaker.note(CLIENT, 2, NOTHING, at(0));
        breaker.note(CLIENT, 3, turned_away(0), at(0));
        breaker.note(CLIENT, 4, NOTHING, at(0));
        assert!(breaker.is_closed(CLIENT));
        breaker.note(CLIENT, 5, turned_away(0), at(0));
        breaker.note(CLIENT, 6, turned_away(0), at(0));
        assert!(!breaker.is_closed(CLIENT));
    }

    #[test]
    fn one_probe_is_let_through_for_each_pause_also_while_the_one_before_hangs() {
        // A8, B6
        let mut breaker = open(NOTHING);
        let mut admitted = Vec::new();
        for millis in (0..30_000).step_by(10) {
            if breaker
                .admit(CLIENT, millis, Risk::Nothing, at(millis))
                .is_ok()
            {
                admitted.push(millis);
            }
        }
        assert_eq!(
            admitted,
            [1_000, 3_000, 7_000, 12_000, 17_000, 22_000, 27_000]
        );
        let closed = breaker.admit(CLIENT, 1, Risk::Nothing, at(30_000));
        assert_eq!(
            closed,
            Err(Closed {
                kind: ErrorKind::Timeout,
                until: at(32_000)
            })
        );
    }

    #[test]
    fn a_probe_that_fails_late_does_not_put_the_next_one_off() {
        // A8
        let mut breaker = open(NOTHING);
        assert!(breaker.admit(CLIENT, 7, Risk::Nothing, at(1_000)).is_ok());
        breaker.note(CLIENT, 7, NOTHING, at(11_000));
        assert!(breaker.admit(CLIENT, 8, Risk::Nothing, at(11_000)).is_ok());
    }

    #[test]
    fn a_retry_after_lengthens_the_client_s_pause_and_never_the_server_s() {
        // A8
        let mut breaker = open(turned_away(60));
        assert!(breaker.admit(CLIENT, 9, Risk::Nothing, at(59_999)).is_err());
        assert!(breaker.admit(CLIENT, 9, Risk::Nothing, at(60_000)).is_ok());
        breaker.note(CLIENT, 9, turned_away(30), at(60_500));
        assert!(breaker.admit(CLIENT, 8, Risk::Nothing, at(90_499)).is_err());
        assert!(breaker.admit(CLIENT, 8, Risk::Nothing, at(90_500)).is_ok());
        // A shorter one than the pause changes nothing.
        let mut breaker = open(turned_away(0));
        breaker.note(CLIENT, 9, turned_away(0), at(10));
        assert!(breaker.admit(CLIENT, 8, Risk::Nothing, at(999)).is_err());
        assert!(breaker.admit(CLIENT, 8, Risk::Nothing, at(1_000)).is_ok());
    }

    #[test]
    fn a_probe_is_kept_for_a_moment_for_whoever_risks_less_and_for_another_owner() {
        // A8
        let grace = u64::try_from(KEPT_FOR_A_BETTER_ONE.as_millis()).unwrap();
        for (risk, first) in [
            (Risk::Nothing, 1_000),
            (Risk::LostAlready, 1_000 + grace / 2),
            (Risk::RefreshToken, 1_000 + grace),
        ] {
            let mut breaker = open(NOTHING);
            assert!(
                breaker.admit(CLIENT, 9, risk, at(first - 1)).is_err(),
                "{risk:?}"
            );
            assert!(
                breaker.admit(CLIENT, 9, risk, at(first)).is_ok(),
                "{risk:?}"
            );
        }
        let mut breaker = open(NOTHING);
        assert!(breaker.admit(CLIENT, 9, Risk::Nothing, at(1_000)).is_ok());
        assert!(breaker.admit(CLIENT, 9, Risk::Nothing, at(3_000)).is_err());
        assert!(breaker.admit(CLIENT, 8, Risk::Nothing, at(3_000)).is_ok());
        // Nobody else waits.
        assert!(
            breaker
                .admit(CLIENT, 8, Risk::Nothing, at(7_000 + grace))
                .is_ok()
        );
    }

    #[test]
    fn a_client_that_is_turned_away_closes_no_other_one_and_a_server_without_answers_closes_all() {
        // A8
        let turned_away = open(turned_away(0));
        assert!(!turned_away.is_closed(CLIENT) && turned_away.is_closed(2));
        let hangs = open(NOTHING);
        assert!(!hangs.is_closed(CLIENT) && !hangs.is_closed(2));
        let mut mended = turned_away;
        mended.note(2, 9, Outcome::Answered, at(0));
        assert!(
            !mended.is_closed(CLIENT),
            "another client's answer says nothing of this one"
        );
    }
}
