//! What one token key waits out.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::clock::Moment;
use crate::cooldown::Cooldown;
use crate::error::Error;
use crate::schedule::soft_pause;

/// What is waited out. Most keys wait for nothing, and each user has a key: no room is kept for it before
/// (G3).
#[derive(Debug, Default)]
pub(crate) struct Cooldowns(Option<Box<Kinds>>);

/// One pause of each kind.
#[derive(Debug)]
pub(crate) struct Kinds {
    /// Failed refreshes of a token that is still good (B5).
    pub(crate) ahead: Cooldown,
    /// One more attempt is due when the hard window begins, whatever the pause.
    pub(crate) tried_in_hard_window: bool,
    /// Failed refreshes that left no usable token (B6).
    pub(crate) dry: Cooldown,
    /// Failed refreshes while there was a usable token, for callers who do not want that one: an API
    /// has refused it, or they asked for another.
    pub(crate) urgent: Cooldown,
    /// The server asked not to be asked before (`Retry-After`).
    pub(crate) told: Cooldown,
    /// The store could not be asked a moment ago whether a failure still stands.
    pub(crate) store: Cooldown,
}

impl Deref for Cooldowns {
    type Target = Kinds;

    fn deref(&self) -> &Kinds {
        static NONE: Kinds = Kinds::NONE;
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Cooldowns {
    fn deref_mut(&mut self) -> &mut Kinds {
        self.0.get_or_insert_with(|| Box::new(Kinds::NONE))
    }
}

impl Kinds {
    const NONE: Self = Self {
        ahead: Cooldown::NONE,
        tried_in_hard_window: false,
        dry: Cooldown::NONE,
        urgent: Cooldown::NONE,
        told: Cooldown::NONE,
        store: Cooldown::NONE,
    };

    /// Why no token is asked for at present, where there is none.
    pub(crate) fn known_failure(&self, now: Moment) -> Option<&Error> {
        self.dry.standing(now).or_else(|| self.told.standing(now))
    }

    /// Why no token is asked for at present in place of one that would still do.
    pub(crate) fn reason_to_wait(&self, now: Moment) -> Option<&Error> {
        self.urgent
            .standing(now)
            .or_else(|| self.told.standing(now))
    }

    /// How long until the first of the pauses that last at `now` is over.
    pub(crate) fn until_next_end(&self, now: Moment) -> Option<Duration> {
        let all = [
            &self.ahead,
            &self.dry,
            &self.urgent,
            &self.told,
            &self.store,
        ];
        all.into_iter().filter_map(|pause| pause.left(now)).min()
    }

    /// A refresh ahead of the expiry has failed; the token that is still good is in its hard window or
    /// not.
    pub(crate) fn failed_ahead(
        &mut self,
        now: Moment,
        longest: Duration,
        is_in_hard_window: bool,
        draw: f64,
    ) {
        let pause = soft_pause(self.ahead.failures(), longest, draw);
        self.ahead.pause(now, pause);
        self.tried_in_hard_window |= is_in_hard_window;
    }
}
