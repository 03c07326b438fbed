//! What one call gets: the present token, an error, or a place on a flight. Pure: a view of the entry and
//! what the call wants in, what to do out.

use std::time::Duration;

use crate::schedule::Age;
use crate::telemetry::RefreshReason;

/// How long a call waits in the hard window before it takes the present token (B4) ...
const HARD_PATIENCE: Duration = Duration::from_millis(200);
/// ... and how long before the expiry it has to leave with it.
const LAST_EXIT: Duration = Duration::from_millis(20);

/// What one call wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// A token that is asked for now.
    pub(crate) new: bool,
    /// How long the token has to live.
    pub(crate) minimum: Option<Duration>,
    /// Its body cannot be sent twice, so it is worth a wait for the newer token (B9).
    pub(crate) only_try: bool,
    /// How long the caller waits.
    pub(crate) within: Duration,
}

/// An entry, as a call finds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) token: Option<Present>,
    pub(crate) flight: Option<UnderWay>,
    pub(crate) pauses: Pauses,
    /// For how much longer an API's refusals may not be answered by a refresh (C4).
    pub(crate) limited_for: Option<Duration>,
    /// Sending the refresh token again might end the present token (E3).
    pub(crate) is_held_back: bool,
    /// Other processes may change the session.
    pub(crate) is_shared: bool,
}

/// The present token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    pub(crate) age: Age,
    pub(crate) is_refused: bool,
    /// `None` if its end is unknown.
    pub(crate) remaining: Option<Duration>,
    pub(crate) until_hard: Duration,
    /// Whether the server may have a token that lives as long as the call wants.
    pub(crate) can_last: bool,
    pub(crate) recheck: Recheck,
}

/// Whether the store is to be asked if the session still is what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recheck {
    NotYet,
    /// Behind the calls.
    Due,
    /// The calls wait for the answer.
    Overdue,
}

/// What the flight that is under way does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnderWay {
    /// It asks the store and nobody else.
    Check,
    Refresh,
}

/// Which pauses last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pauses {
    /// After a refresh of a good token (B5).
    pub(crate) ahead: bool,
    /// The one more attempt of the hard window is over.
    pub(crate) tried_in_hard_window: bool,
    /// After a refresh that left no usable token (B6).
    pub(crate) dry: bool,
    /// After one for a caller who did not want the usable token.
    pub(crate) urgent: bool,
    /// As long as the server asked for.
    pub(crate) told: bool,
    /// After a look that the store did not answer.
    pub(crate) store: bool,
    /// The known failure is the store's own.
    pub(crate) is_of_store: bool,
}

/// What the call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Takes the present token; for a reason if it is not what the call wanted.
    Use {
        for_want_of: Option<Why>,
    },
    /// Takes it, and starts a flight behind the call's back.
    UseAndStart(Start),
    Fail(Why),
    Wait {
        /// The flight to start; `None`: the one that is under way.
        start: Option<Start>,
        /// Whether the present token serves if the flight fails or takes longer than `patience`.
        falls_back: bool,
        patience: Duration,
        /// The flight only looks into the store, and the call wants more than that.
        asks_again: bool,
    },
}

/// Which flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Check,
    Refresh(RefreshReason),
}

/// Why a call does not get what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// A refresh has failed that left no token.
    KnownFailure,
    /// A refresh has failed that was to replace the present token.
    Waits,
    /// The answer to the refresh token is lost.
    AnswerLost,
    /// The API refuses new tokens too.
    Limited(Duration),
}

impl Demand {
    /// Nothing but a token.
    pub(crate) fn within(within: Duration) -> Self {
        Self {
            new: false,
            minimum: None,
            only_try: false,
            within,
        }
    }

    /// Whether any token will do.
    pub(crate) fn is_plain(&self) -> bool {
        !self.new && self.minimum.is_none()
    }
}

/// What a call with this demand does.
pub(crate) fn decide(view: &View, demand: &Demand) -> Action {
    let call = Call { view, demand };
    let Some(token) = view.token.filter(|token| token.age != Age::Expired) else {
        return call.without_token();
    };
    if demand.new {
        return call.asks_for_another();
    }
    if token.is_refused
        && let Some(action) = call.finds_it_refused(token)
    {
        return action;
    }
    if let Some(minimum) = demand.minimum
        && let Some(action) = call.finds_it_too_short(token, minimum)
    {
        return action;
    }
    // First the store, then the refresh: a user who has not been here for long may have signed out.
    let is_unseen = token.recheck == Recheck::Overdue && view.flight != Some(UnderWay::Refresh);
    match token.age {
        Age::Fresh | Age::Expired => call.checks(token),
        _ if is_unseen => call.checks(token),
        Age::Soft => call.is_early(token),
        Age::Hard => call.is_late(token),
    }
}

/// One call at one entry.
struct Call<'call> {
    view: &'call View,
    demand: &'call Demand,
}

impl Call<'_> {
    /// B6: a failure is remembered, so that a thousand calls do not ask a dead server in a row. The
    /// store is asked all the same: the user may come back from a sign-in through another process. If it
    /// was the store that failed, it is left alone.
    fn without_token(&self) -> Action {
        let Pauses {
            dry,
            told,
            store,
            is_of_store,
            ..
        } = self.view.pauses;
        if self.view.flight.is_none() && (dry || told) {
            if !self.view.is_shared || is_of_store || store {
                return Action::Fail(Why::KnownFailure);
            }
            return Action::Wait {
                start: Some(Start::Check),
                falls_back: false,
                patience: self.demand.within,
                asks_again: self.demand.new,
            };
        }
        let reason = match self.view.token {
            _ if self.demand.new => RefreshReason::Caller,
            Some(_) => RefreshReason::Expired,
            None => RefreshReason::NoToken,
        };
        self.join(reason, false, self.demand.within)
    }

    /// The caller asked for a new one. It does not take another: the error is what it wants then.
    fn asks_for_another(&self) -> Action {
        match self.may_spend() {
            Err(why) if self.view.flight.is_none() => Action::Fail(why),
            _ => self.join(RefreshReason::Caller, false, self.demand.within),
        }
    }

    /// An API has refused it. `None`: it is sent all the same, because nothing may be done yet.
    fn finds_it_refused(&self, token: Present) -> Option<Action> {
        // Also when the answer to the refresh token was lost: what E3 protects is lost too.
        let permit = match self.view.limited_for {
            _ if self.view.flight.is_some() => Ok(()),
            _ if self.waits() => Err(Why::Waits),
            Some(pause) => Err(Why::Limited(pause)),
            None => Ok(()),
        };
        match permit {
            Ok(()) => Some(self.join(RefreshReason::Refusal, true, self.demand.within)),
            Err(why) if token.age == Age::Fresh => Some(match self.checks(token) {
                Action::Use { .. } => Action::Use {
                    for_want_of: Some(why),
                },
                action => action,
            }),
            // By age it may be due, which is not what the limit is for.
            Err(_) => None,
        }
    }

    /// It may not live long enough for this call. `None`: it will have to do.
    fn finds_it_too_short(&self, token: Present, minimum: Duration) -> Option<Action> {
        if token.remaining? >= minimum || !token.can_last {
            return None;
        }
        if self.view.flight.is_none() {
            self.may_spend().ok()?;
        }
        let patience = self.demand.within.min(until_exit(token));
        Some(self.join(RefreshReason::Caller, true, patience))
    }

    /// B3: one flight behind the callers' backs. A call with one try waits for it (B9), but not into
    /// the hard window: a server that hangs would keep it until there is no good token left.
    fn is_early(&self, token: Present) -> Action {
        let is_due = !self.view.pauses.ahead && self.may_go_ahead();
        if self.view.flight.is_none() && !is_due {
            return self.checks(token);
        }
        let patience = self.demand.within.min(token.until_hard);
        match self.join(RefreshReason::Soft, true, patience) {
            action if self.demand.only_try => action,
            Action::Wait {
                start: Some(start), ..
            } => Action::UseAndStart(start),
            _ => Action::Use { for_want_of: None },
        }
    }

    /// B4: a short wait, and never until the token is dead.
    fn is_late(&self, token: Present) -> Action {
        let pauses = self.view.pauses;
        let is_due = (!pauses.ahead || !pauses.tried_in_hard_window) && self.may_go_ahead();
        if self.view.flight.is_none() && !is_due {
            return self.checks(token);
        }
        let patience = if self.demand.only_try {
            self.demand.within
        } else {
            HARD_PATIENCE.min(self.demand.within)
        };
        self.join(RefreshReason::Hard, true, patience.min(until_exit(token)))
    }

    /// A token that is good by its age, if no other process has ended the session meanwhile: within the
    /// time that was promised, the store has been asked.
    fn checks(&self, token: Present) -> Action {
        let start = self.view.flight.is_none().then_some(Start::Check);
        match (token.recheck, start) {
            (Recheck::NotYet, _) | (Recheck::Due, None) => Action::Use { for_want_of: None },
            (Recheck::Due, Some(start)) => Action::UseAndStart(start),
            (Recheck::Overdue, start) => Action::Wait {
                start,
                falls_back: true,
                patience: self.demand.within.min(until_exit(token)),
                // If the session lives on, its token may be due to be refreshed.
                asks_again: token.age != Age::Fresh,
            },
        }
    }

    /// Whether a token may be refreshed ahead of its expiry: not while the server asks us to wait,
    /// and not if that would risk the present token (E3).
    fn may_go_ahead(&self) -> bool {
        !self.view.pauses.told && !self.view.is_held_back
    }

    /// Whether a token request may be made although the present token would still do: not while a
    /// failed one is being waited out, and not if that would risk the present token (E3).
    fn may_spend(&self) -> Result<(), Why> {
        if self.waits() {
            Err(Why::Waits)
        } else if self.view.is_held_back {
            Err(Why::AnswerLost)
        } else {
            Ok(())
        }
    }

    fn waits(&self) -> bool {
        self.view.pauses.urgent || self.view.pauses.told
    }

    /// Joins the flight under way, or starts one.
    fn join(&self, reason: RefreshReason, falls_back: bool, patience: Duration) -> Action {
        let start = match self.view.flight {
            Some(_) => None,
            None => Some(Start::Refresh(reason)),
        };
        Action::Wait {
            start,
            falls_back,
            patience,
            asks_again: self.view.flight == Some(UnderWay::Check),
        }
    }
}

/// How long a call may wait before it has to leave with this token.
fn until_exit(token: Present) -> Duration {
    let remaining = token.remaining.unwrap_or(Duration::MAX);
    remaining.saturating_sub(LAST_EXIT)
}

#[cfg(test)]
mod tests {
    use super::{Action, Demand, Pauses, Present, Recheck, Start, UnderWay, View, Why, decide};
    use crate::schedule::Age;
    use crate::telemetry::RefreshReason;
    use proptest::prelude::*;
    use std::time::Duration;

    const WITHIN: Duration = Duration::from_secs(30);
    const MINUTE: Duration = Duration::from_secs(60);

    fn token(age: Age) -> Present {
        Present {
            age,
            is_refused: false,
            remaining: Some(MINUTE),
            until_hard: MINUTE / 2,
            can_last: true,
            recheck: Recheck::NotYet,
        }
    }

    fn with(token: Option<Present>) -> View {
        View {
            token,
            flight: None,
            pauses: Pauses::default(),
            limited_for: None,
            is_held_back: false,
            is_shared: false,
        }
    }

    fn plain() -> Demand {
        Demand::within(WITHIN)
    }

    fn wait(start: Option<Start>, falls_back: bool, patience: Duration) -> Action {
        Action::Wait {
            start,
            falls_back,
            patience,
            asks_again: false,
        }
    }

    const USE: Action = Action::Use { for_want_of: None };

    fn refresh(reason: RefreshReason) -> Option<Start> {
        Some(Start::Refresh(reason))
    }

    #[test]
    fn a_call_does_by_the_age_of_its_token() {
        // B3, B4, B6
        let millis = Duration::from_millis;
        for (token, expected) in [
            (None, wait(refresh(RefreshReason::NoToken), false, WITHIN)),
            (Some(token(Age::Fresh)), USE),
            (
                Some(token(Age::Soft)),
                Action::UseAndStart(Start::Refresh(RefreshReason::Soft)),
            ),
            (
                Some(token(Age::Hard)),
                wait(refresh(RefreshReason::Hard), true, millis(200)),
            ),
            (
                Some(Present {
                    remaining: Some(millis(100)),
                    ..token(Age::Hard)
                }),
                wait(refresh(RefreshReason::Hard), true, millis(80)),
            ),
            (
                Some(token(Age::Expired)),
                wait(refresh(RefreshReason::Expired), false, WITHIN),
            ),
        ] {
            assert_eq!(decide(&with(token), &plain()), expected, "{token:?}");
        }
    }

    #[test]
    fn a_pause_holds_a_call_back_from_the_server_and_from_nothing_else() {
        // B5, B6, C4, E3
        let dry = Pauses {
            dry: true,
            ..Pauses::default()
        };
        let view = View {
            pauses: dry,
            ..with(None)
        };
        assert_eq!(decide(&view, &plain()), Action::Fail(Why::KnownFailure));
        let shared = View {
            is_shared: true,
            ..view
        };
        assert_eq!(
            decide(&shared, &plain()),
            wait(Some(Start::Check), false, WITHIN)
        );
        let refused = Present {
            is_refused: true,
            ..token(Age::Fresh)
        };
        let limited = View {
            limited_for: Some(MINUTE),
            ..with(Some(refused))
        };
        let for_want_of = Some(Why::Limited(MINUTE));
        assert_eq!(decide(&limited, &plain()), Action::Use { for_want_of });
        let held_back = View {
            is_held_back: true,
            ..with(Some(token(Age::Soft)))
        };
        assert_eq!(decide(&held_back, &plain()), USE);
        let new = Demand {
            new: true,
            ..plain()
        };
        assert_eq!(decide(&held_back, &new), Action::Fail(Why::AnswerLost));
    }

    fn any_present() -> impl Strategy<Value = Present> {
        (
            prop_oneof![
                Just(Age::Fresh),
                Just(Age::Soft),
                Just(Age::Hard),
                Just(Age::Expired)
            ],
            any::<(bool, bool)>(),
            proptest::option::of(0..120_u64),
            prop_oneof![
                Just(Recheck::NotYet),
                Just(Recheck::Due),
                Just(Recheck::Overdue)
            ],
        )
            .prop_map(
                |(age, (is_refused, can_last), remaining, recheck)| Present {
                    age,
                    is_refused,
                    remaining: remaining.map(Duration::from_secs),
                    until_hard: Duration::from_secs(remaining.unwrap_or(120) / 2),
                    can_last,
                    recheck,
                },
            )
    }

    prop_compose! {
        fn any_view()(
            token in proptest::option::of(any_present()),
            flight in proptest::option::of(prop_oneof![Just(UnderWay::Check), Just(UnderWay::Refresh)]),
            (ahead, tried_in_hard_window, dry, urgent) in any::<(bool, bool, bool, bool)>(),
            (told, store, is_of_store) in any::<(bool, bool, bool)>(),
            limited_for in proptest::option::of((1..60_u64).prop_map(Duration::from_secs)),
            (is_held_back, is_shared) in any::<(bool, bool)>(),
        ) -> View {
            View {
                token,
                flight,
                pauses: Pauses { ahead, tried_in_hard_window, dry, urgent, told, store, is_of_store },
                limited_for,
                is_held_back,
                is_shared,
            }
        }
    }

    prop_compose! {
        fn any_demand()(
            (new, only_try) in any::<(bool, bool)>(),
            minimum in proptest::option::of((1..120_u64).prop_map(Duration::from_secs)),
            within in 0..60_u64,
        ) -> Demand {
            Demand { new, minimum, only_try, within: Duration::from_secs(within) }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_found_the_rules_hold(view in any_view(), demand in any_demand()) {
            let action = decide(&view, &demand);
            let has_token = view.token.is_some_and(|token| token.age != Age::Expired);
            let (start, waits) = match action {
                Action::Wait { start, falls_back, patience, .. } => {
                    // B13; and nothing is promised that is not there.
                    prop_assert!(patience <= demand.within);
                    prop_assert!(has_token || !falls_back);
                    // Whoever waits, waits for a flight.
                    prop_assert!(start.is_some() || view.flight.is_some());
                    (start, true)
                }
                Action::UseAndStart(start) => (Some(start), false),
                Action::Use { .. } | Action::Fail(_) => (None, false),
            };
            // A1: never a second flight.
            prop_assert!(start.is_none() || view.flight.is_none());
            // An expired token is never used.
            if matches!(action, Action::Use { .. } | Action::UseAndStart(_)) {
                prop_assert!(has_token);
                prop_assert!(!demand.new);
            }
            if let Some(Start::Refresh(reason)) = start {
                // B5: what the server asked for holds for every refresh.
                prop_assert!(!view.pauses.told, "{:?}", reason);
                // E3: a good token is risked for one that an API has refused alone.
                if has_token && reason != RefreshReason::Refusal {
                    prop_assert!(!view.is_held_back);
                }
                // C4
                if reason == RefreshReason::Refusal {
                    prop_assert!(view.limited_for.is_none());
                }
            }
            // B3: in the soft window a plain call never waits for the server.
            if let Some(token) = view.token
                && demand.is_plain()
                && !demand.only_try
                && !token.is_refused
                && token.recheck != Recheck::Overdue
                && matches!(token.age, Age::Fresh | Age::Soft)
            {
                prop_assert!(!waits);
            }
        }
    }
}
