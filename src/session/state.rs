//! What is known of a refresh token, wherever it is kept: the whole of its life in one table.
//!
//! ```text
//!               AboutToSend               Answered
//!      Ready ----------------> Sent ------------------> Ready   (or its successor is)
//!        ^                    |  |  \
//!        +---- NotTaken ------+  |   +---- Refused ---> Dead
//!           (if no answer        |
//!            is lost already)    | Lost, NoAnswerComes, or NotTaken after a loss
//!                                v
//!                            AnswerLost -- AboutToSend --> Sent, after a loss
//! ```
//!
//! A record in a store has this state in it, and so has the memory of a process without a store. A
//! refresh token that has a successor is none any more: what an answer brings is `Ready`, and a sign-in
//! begins with `Ready`, whatever was before.

use std::time::Duration;

use crate::store::Version;

/// A process that has an answer which the store did not take has saved it this long after the store is
/// back, although it has lost its lease: it asks every 3 s, and each question may take 2 s (F2).
pub(crate) const WATCHED_FOR: Duration = Duration::from_secs(6);

/// Times count from 1970, by the wall clock: machines share no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum RefreshTokenState {
    /// It may be sent.
    #[default]
    Ready,
    /// A flight is about to send it, or has sent it, and has written nothing of what came of it.
    Sent {
        /// When it was first sent without an answer being known.
        since: Duration,
        /// The flight's mark: by it a flight knows its own.
        by: Version,
        /// Whether an answer to an earlier sending is lost. Then only a success shows that the refresh
        /// token was not spent.
        after_loss: bool,
    },
    /// It was sent at that time, and no answer comes any more: the server may have put another in its
    /// place.
    AnswerLost {
        /// When it was first sent.
        since: Duration,
    },
    /// The authorization server has said that it is dead (F5).
    Dead,
}

/// What happens to a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A flight with this mark is about to send it.
    AboutToSend(Version),
    /// The server has answered with tokens.
    Answered,
    /// The request did not reach the server, or the server says that it did not take the refresh token.
    NotTaken,
    /// The request may have reached the server, and no answer that can be used came.
    Lost,
    /// A flight has watched the record for as long as the one that sent it may take to write: that one is
    /// gone.
    NoAnswerComes,
    /// The server says that it is dead.
    Refused,
}

/// What a flight that is to send a refresh token may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Leave {
    /// Send it.
    Send,
    /// Look again: another flight may have an answer that it could not write yet.
    Watch,
    /// Let it be: a second use might end access tokens that are still good (E3).
    LetBe,
    /// Nothing: it is dead.
    Nothing,
}

/// What decides besides the state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// The wall clock's reading.
    pub(crate) now: Duration,
    /// For how long this flight has been watching the record.
    pub(crate) watched: Duration,
    /// Within this time the server takes a refresh token a second time (`reuse_grace`).
    pub(crate) grace: Option<Duration>,
    /// Whether there is an access token that another use might end.
    pub(crate) protects: bool,
}

impl RefreshTokenState {
    /// What it is after `event`. Every event in every state has its answer.
    #[must_use]
    pub(crate) fn next(self, event: Event, now: Duration) -> Self {
        match (self, event) {
            (_, Event::Answered) => Self::Ready,
            (Self::Dead, _) | (_, Event::Refused) => Self::Dead,
            (Self::Ready, Event::AboutToSend(by)) => Self::Sent {
                since: now,
                by,
                after_loss: false,
            },
            // The mark of a flight that is gone: its answer is lost.
            (
                Self::Sent {
                    since,
                    by: before,
                    after_loss,
                },
                Event::AboutToSend(by),
            ) => Self::Sent {
                since,
                by,
                after_loss: after_loss || before != by,
            },
            (Self::AnswerLost { since }, Event::AboutToSend(by)) => Self::Sent {
                since,
                by,
                after_loss: true,
            },
            (Self::Ready, Event::Lost) => Self::AnswerLost { since: now },
            (Self::Sent { since, .. }, Event::Lost | Event::NoAnswerComes) => {
                Self::AnswerLost { since }
            }
            (
                Self::Sent {
                    since,
                    after_loss: true,
                    ..
                },
                Event::NotTaken,
            ) => Self::AnswerLost { since },
            (Self::Sent { .. }, Event::NotTaken) => Self::Ready,
            (Self::Ready, Event::NotTaken | Event::NoAnswerComes) => Self::Ready,
            (Self::AnswerLost { .. }, Event::Lost | Event::NotTaken | Event::NoAnswerComes) => self,
        }
    }

    /// Whether a flight may send it.
    #[must_use]
    pub(crate) fn leave(self, circumstances: &Circumstances) -> Leave {
        let Circumstances {
            now,
            watched,
            grace,
            protects,
        } = *circumstances;
        let (since, is_over) = match self {
            Self::Ready => return Leave::Send,
            Self::Dead => return Leave::Nothing,
            Self::Sent { since, .. } => (since, false),
            Self::AnswerLost { since } => (since, true),
        };
        if is_forgiven(since, now, grace) {
            Leave::Send
        } else if !is_over && watched < WATCHED_FOR {
            Leave::Watch
        } else if protects {
            Leave::LetBe
        } else {
            Leave::Send
        }
    }
}

/// Whether the server takes a refresh token at `now` that was first sent at `since`. Of what was sent in
/// the future, by the clock of another machine, this one cannot tell how long ago that was.
pub(crate) fn is_forgiven(since: Duration, now: Duration, grace: Option<Duration>) -> bool {
    let ago = now.checked_sub(since);
    ago.zip(grace).is_some_and(|(ago, grace)| ago < grace)
}

#[cfg(test)]
mod tests {
    use super::{Circumstances, Event, Leave, RefreshTokenState, WATCHED_FOR};
    use crate::store::Version;
    use proptest::prelude::*;
    use std::time::Duration;

    fn mark(number: u8) -> Version {
        Version::of_bytes(&[number])
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn sent(after_loss: bool) -> RefreshTokenState {
        RefreshTokenState::Sent {
            since: secs(1),
            by: mark(1),
            after_loss,
        }
    }

    const LOST: RefreshTokenState = RefreshTokenState::AnswerLost {
        since: Duration::from_secs(1),
    };

    #[test]
    fn every_event_in_every_state_has_its_answer() {
        // E3, F5, F6
        use Event::{AboutToSend, Answered, Lost, NoAnswerComes, NotTaken, Refused};
        use RefreshTokenState::{Dead, Ready};
        let same_flight = AboutToSend(mark(1));
        let other_flight = AboutToSend(mark(2));
        let marked = |by, since, after_loss| RefreshTokenState::Sent {
            since,
            by,
            after_loss,
        };
        let table = [
            (Ready, same_flight, marked(mark(1), secs(5), false)),
            (Ready, Answered, Ready),
            (Ready, NotTaken, Ready),
            (
                Ready,
                Lost,
                RefreshTokenState::AnswerLost { since: secs(5) },
            ),
            (Ready, NoAnswerComes, Ready),
            (Ready, Refused, Dead),
            (sent(false), same_flight, marked(mark(1), secs(1), false)),
            (sent(false), other_flight, marked(mark(2), secs(1), true)),
            (sent(false), Answered, Ready),
            (sent(false), NotTaken, Ready),
            (sent(false), Lost, LOST),
            (sent(false), NoAnswerComes, LOST),
            (sent(false), Refused, Dead),
            (sent(true), same_flight, marked(mark(1), secs(1), true)),
            (sent(true), Answered, Ready),
            (sent(true), NotTaken, LOST),
            (sent(true), Lost, LOST),
            (sent(true), NoAnswerComes, LOST),
            (sent(true), Refused, Dead),
            (LOST, other_flight, marked(mark(2), secs(1), true)),
            (LOST, Answered, Ready),
            (LOST, NotTaken, LOST),
            (LOST, Lost, LOST),
            (LOST, NoAnswerComes, LOST),
            (LOST, Refused, Dead),
            (Dead, same_flight, Dead),
            (Dead, Answered, Ready),
            (Dead, NotTaken, Dead),
            (Dead, Lost, Dead),
            (Dead, NoAnswerComes, Dead),
            (Dead, Refused, Dead),
        ];
        for (state, event, expected) in table {
            assert_eq!(state.next(event, secs(5)), expected, "{state:?} {event:?}");
        }
    }

    #[test]
    fn a_flight_sends_watches_or_lets_be_at_the_edges() {
        // E3, F6
        let at = |now, watched, grace: Option<u64>, protects| Circumstances {
            now: secs(now),
            watched,
            grace: grace.map(secs),
            protects,
        };
        let almost = WATCHED_FOR - Duration::from_nanos(1);
        for (state, circumstances, leave) in [
            (
                RefreshTokenState::Ready,
                at(9, secs(0), None, true),
                Leave::Send,
            ),
            (
                RefreshTokenState::Dead,
                at(9, secs(9), Some(99), false),
                Leave::Nothing,
            ),
            (sent(false), at(9, almost, None, false), Leave::Watch),
            (sent(false), at(9, WATCHED_FOR, None, false), Leave::Send),
            (sent(false), at(9, WATCHED_FOR, None, true), Leave::LetBe),
            (sent(false), at(9, secs(0), Some(9), true), Leave::Send),
            (sent(false), at(10, secs(0), Some(9), true), Leave::Watch),
            (LOST, at(9, secs(0), None, true), Leave::LetBe),
            (LOST, at(9, secs(0), None, false), Leave::Send),
            (LOST, at(9, secs(0), Some(9), true), Leave::Send),
            (LOST, at(10, secs(0), Some(9), true), Leave::LetBe),
            // A `since` in the future: nobody knows how long ago that was.
            (LOST, at(0, secs(0), Some(9), true), Leave::LetBe),
        ] {
            assert_eq!(
                state.leave(&circumstances),
                leave,
                "{state:?} {circumstances:?}"
            );
        }
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0..3_u8).prop_map(|number| Event::AboutToSend(mark(number))),
            Just(Event::Answered),
            Just(Event::NotTaken),
            Just(Event::Lost),
            Just(Event::NoAnswerComes),
            Just(Event::Refused),
        ]
    }

    proptest! {
        #[test]
        fn only_a_success_finds_a_refresh_token_whose_answer_was_lost(
            events in proptest::collection::vec((any_event(), 0..100_u64), 0..30)
        ) {
            // E3: whatever a clock that goes back or forth says.
            let mut state = RefreshTokenState::Ready;
            let mut may_be_spent = false;
            for (event, now) in events {
                match event {
                    Event::Lost if state != RefreshTokenState::Dead => may_be_spent = true,
                    Event::NoAnswerComes if matches!(state, RefreshTokenState::Sent { .. }) => {
                        may_be_spent = true;
                    }
                    Event::Answered => may_be_spent = false,
                    _ => {}
                }
                state = state.next(event, secs(now));
                if may_be_spent {
                    prop_assert_ne!(state, RefreshTokenState::Ready);
                }
            }
        }
    }
}
