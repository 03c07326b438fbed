//! The refresh token of one grant key: kept, and spent by one flight at a time (A6, E3).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::MutexGuard as Turn;

use crate::clock::{Clock, Moment};
use crate::error::{Delivery, Error, ErrorKind};
use crate::id_token::subject_claim;
use crate::keeper::doubt::{Doubt, Meaning};
use crate::keeper::saver::{RotationHook, Saver};
use crate::keeper::unsaved::Unsaved;
use crate::keeper::vault::Found;
use crate::kept::Origin;
use crate::secret::Secret;
use crate::store::Version;
use crate::telemetry::Telemetry;
use crate::token::TokenResponse;

/// What a grant key owns. With a store it is a copy of what the store has, which a flight takes
/// along; without one it is all there is.
#[derive(Debug, Default)]
pub(crate) struct Record {
    queue: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    saver: Option<Arc<Saver>>,
}

/// What tells a dead refresh token from a server in trouble, where the server says neither (F5).
pub(crate) struct Circumstances<'flight> {
    pub(crate) now: Moment,
    /// Whether the request asked for nothing besides what the settings ask for.
    pub(crate) is_plain: bool,
    /// Whether a rule of the user's says that this answer refuses the refresh token.
    pub(crate) is_refused_by_rule: bool,
    /// Whether the server has renewed another owner's tokens since a moment.
    pub(crate) others_succeed: &'flight dyn Fn(Moment) -> bool,
}

#[derive(Debug, Default)]
struct State {
    refresh_token: Option<Secret>,
    id_token: Option<Secret>,
    dead: Option<Error>,
    /// What refusals that do not say why have come to.
    doubt: Option<Box<Doubt>>,
    answer_lost: bool,
    /// What the store had when it was last asked or told.
    version: Option<Version>,
    /// What the store has, or may have, if its mark is ours and what was sent after it, if anything
    /// was, is known not to have spent the refresh token.
    unspent: Option<Box<Version>>,
    /// What the tokens go back to that this process has; `None` if it knows of no record.
    origin: Option<Origin>,
    /// Whom its id token is about, as a hash.
    about: Option<NonZeroU64>,
    /// Newer than what the store has, and not known to be there.
    unsaved: Option<Arc<Unsaved>>,
}

impl Record {
    pub(crate) fn new(
        refresh_token: Option<Secret>,
        id_token: Option<Secret>,
        hook: Option<RotationHook>,
    ) -> Self {
        Self {
            queue: tokio::sync::Mutex::new(()),
            state: Mutex::new(State {
                refresh_token,
                id_token,
                ..State::default()
            }),
            saver: hook.map(|hook| Arc::new(Saver::new(hook))),
        }
    }

    /// The refresh token to spend, if there is one, when no other flight spends it (A6). A flight
    /// takes its turn once, and without a refresh token it does not queue.
    ///
    /// # Errors
    /// If it is known to be dead: the server need not be asked again.
    pub(crate) async fn to_spend<'record>(
        &'record self,
        turn: &mut Option<Turn<'record, ()>>,
    ) -> Result<Option<Secret>, Error> {
        let refresh_token = self.refresh_token()?;
        if refresh_token.is_none() || turn.is_some() {
            return Ok(refresh_token);
        }
        *turn = Some(self.turn().await);
        self.refresh_token()
    }

    /// Waits until no other flight of this process is at the same grant key.
    pub(crate) async fn turn(&self) -> Turn<'_, ()> {
        self.queue.lock().await
    }

    /// The turn, if no other flight of this process is at the same grant key.
    pub(crate) fn turn_if_free(&self) -> Option<Turn<'_, ()>> {
        self.queue.try_lock().ok()
    }

    /// Whether the refresh token was sent and no answer came. Sending it again might make the
    /// server revoke the access token that is still good (E3).
    pub(crate) fn is_answer_lost(&self) -> bool {
        self.state().answer_lost
    }

    /// Says that `refresh_token` is about to be sent.
    pub(crate) fn away<'record>(
        &'record self,
        refresh_token: Option<&'record Secret>,
    ) -> Away<'record> {
        Away {
            record: self,
            refresh_token,
        }
    }

    /// Says that the record is marked under this version, before the refresh token is sent.
    pub(crate) fn about_to_send(&self, version: Version) {
        self.state().unspent = Some(Box::new(version));
    }

    /// Says that the refresh token is sent now.
    pub(crate) fn sending(&self) {
        self.state().unspent = None;
    }

    /// Takes no account of a mark that this process wrote itself and that stands for nothing: the
    /// store had not said that it took it, or the flight ended before it sent anything, or the server
    /// said that it did not take the refresh token and the store could not be told.
    pub(crate) fn without_own_mark(&self, mut found: Found) -> Found {
        let is_own =
            found.version.is_some() && found.version == self.state().unspent.as_deref().copied();
        if let Some(kept) = found.kept.as_mut().filter(|_| is_own) {
            kept.away_since = None;
        }
        found
    }

    /// Takes note of what the last error of a flight says of `refresh_token`, which it spent.
    pub(crate) fn failed(
        &self,
        refresh_token: &Secret,
        error: Error,
        circumstances: &Circumstances<'_>,
    ) -> Error {
        let mut state = self.state();
        if state.refresh_token.as_ref() != Some(refresh_token) {
            return error;
        }
        // What never left says nothing of it, whatever the kind: a secret that somebody else has to
        // sign in for, say.
        if error.how_far().is_loss() || error.how_far() == Delivery::NotSent {
            return error;
        }
        if circumstances.is_refused_by_rule {
            let dead = Error::sign_in_required(
                "the authorization server refused the refresh token, as the rule of this source has it",
            )
            .because_of(&error);
            state.dead = Some(dead.clone().without_asking());
            return dead;
        }
        // `login_required` and its like want the user, but leave the refresh token alive.
        let ends = error.kind() == ErrorKind::SignInRequired
            && !error.is_about_one_api()
            && matches!(error.oauth_code(), None | Some("invalid_grant"));
        if ends {
            state.dead = Some(error.clone().without_asking());
            return error;
        }
        // A failing server has judged nothing.
        if error.how_far() != Delivery::Answered {
            return error;
        }
        if !error.is_unspecific_refusal() {
            state.doubt = None;
            return error;
        }
        // A server that says when to come back has not ended the session; and what a request asked for
        // besides may be what it refuses.
        if error.retry_after().is_some() || !circumstances.is_plain {
            return error;
        }
        let now = circumstances.now;
        let others_succeed = circumstances.others_succeed;
        let meaning = Doubt::refused(&mut state.doubt, refresh_token, now, others_succeed);
        let error = meaning.as_error(error, now);
        if meaning == Meaning::Dead {
            state.dead = Some(error.clone().without_asking());
        }
        error
    }

    /// Keeps the refresh token and the id token that an answer brought, and fills in those of a
    /// refresh that it left out, which stay in force (RFC 6749 section 6, OpenID Connect Core
    /// 12.2).
    ///
    /// # Errors
    /// If the id token is about somebody else than the one before: then nothing of it is kept.
    pub(crate) fn take_over(&self, response: &mut TokenResponse) -> Result<(), Error> {
        let mut state = self.state();
        if is_about_another_user(state.id_token.as_ref(), response.id_token.as_ref()) {
            // The refresh token is spent, and what came for it is not to be used.
            state.answer_lost = state.refresh_token.is_some();
            return Err(Error::protocol(
                "the id token of a refresh is about another user than the one who signed in",
            )
            .delivery(Delivery::Unusable));
        }
        state.answer_lost = false;
        state.doubt = None;
        if state.refresh_token.is_some() {
            response.id_token = response.id_token.take().or(state.id_token.take());
        }
        state.id_token = response.id_token.clone();
        if let Some(refresh_token) = &response.refresh_token
            && state.refresh_token.as_ref() != Some(refresh_token)
        {
            state.refresh_token = Some(refresh_token.clone());
            if let Some(saver) = &self.saver {
                saver.offer(refresh_token);
            }
        }
        Ok(())
    }

    /// Returns when the hook has taken a new refresh token, or has failed once.
    pub(crate) async fn save(&self, clock: &Clock, telemetry: &Telemetry) {
        if let Some(saver) = &self.saver {
            saver.save(clock, telemetry).await;
        }
    }

    /// Returns when the hook has taken the newest refresh token.
    pub(crate) async fn until_saved(&self, clock: &Clock, telemetry: &Telemetry) {
        if let Some(saver) = &self.saver {
            saver.until_saved(clock, telemetry).await;
        }
    }

    /// Takes along what the store has. A death that was remembered counts as long as the record is
    /// the same (F5).
    pub(crate) fn resume(&self, found: &Found) {
        let mut state = self.state();
        if state.version != found.version {
            state.dead = None;
        }
        state.version = found.version;
        let kept = found.kept.as_ref();
        state.origin = kept.map(|kept| kept.origin);
        state.about = kept.and_then(|kept| about(kept.id_token.as_ref()));
        if kept.is_some_and(|kept| kept.dead) && state.dead.is_none() {
            state.dead = Some(
                Error::sign_in_required(
                    "the authorization server has ended the session; the user has to sign in again",
                )
                .without_asking(),
            );
        }
        state.refresh_token = kept.and_then(|kept| kept.refresh_token.clone());
        state.id_token = kept.and_then(|kept| kept.id_token.clone());
        state.answer_lost = kept.is_some_and(|kept| kept.away_since.is_some());
    }

    /// Leaves the tokens to the store: they are in this process no longer than a flight lasts.
    pub(crate) fn rest(&self) {
        let mut state = self.state();
        state.refresh_token = None;
        state.id_token = None;
    }

    /// What the tokens go back to that this process has; `None` if it knows of no record.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.state().origin
    }

    /// Whether `id_token` is about the user of the record that this process knows; `None` if that
    /// cannot be told.
    pub(crate) fn is_about_same_user(&self, id_token: Option<&Secret>) -> Option<bool> {
        let before = self.state().about?;
        about(id_token).map(|now| now == before)
    }

    /// The store has taken this version from us.
    pub(crate) fn wrote(&self, version: Version, origin: Origin) {
        let mut state = self.state();
        state.version = Some(version);
        state.origin = Some(origin);
    }

    /// Nothing is known of it any more.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        *state = State {
            unsaved: state.unsaved.take(),
            ..State::default()
        };
    }

    /// Why nobody need try, if the refresh token is dead.
    pub(crate) fn death(&self) -> Option<Error> {
        self.state().dead.clone()
    }

    /// Why nobody need try at `now`, if it is unclear whether the refresh token is dead.
    pub(crate) fn doubt(&self, now: Moment) -> Option<Error> {
        let state = self.state();
        let (doubt, refresh_token) = (state.doubt.as_ref()?, state.refresh_token.as_ref()?);
        doubt.standing(refresh_token, now)
    }

    /// The refresh token that is to be spent.
    ///
    /// # Errors
    /// If it is known to be dead.
    pub(crate) fn refresh_token(&self) -> Result<Option<Secret>, Error> {
        let state = self.state();
        match &state.dead {
            Some(error) => Err(error.clone()),
            None => Ok(state.refresh_token.clone()),
        }
    }

    /// What the store has not taken yet. It stays here until the store has answered: whoever offers
    /// it may be dropped at any await.
    pub(crate) fn unsaved(&self) -> Option<Arc<Unsaved>> {
        self.state().unsaved.clone()
    }

    /// Takes it out: it is in the store, or of no use any more. Who gets it out has the care of it.
    pub(crate) fn take_unsaved(&self) -> Option<Arc<Unsaved>> {
        self.state().unsaved.take()
    }

    pub(crate) fn put_unsaved(&self, unsaved: Unsaved) {
        self.state().unsaved = Some(Arc::new(unsaved));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn about(id_token: Option<&Secret>) -> Option<NonZeroU64> {
    let subject = subject_claim(id_token?)?;
    let mut hasher = DefaultHasher::new();
    subject.hash(&mut hasher);
    NonZeroU64::new(hasher.finish())
}

fn is_about_another_user(before: Option<&Secret>, now: Option<&Secret>) -> bool {
    matches!((about(before), about(now)), (Some(before), Some(now)) if before != now)
}

/// A refresh token on its way. If the attempt ends before it is back, because no answer came, its
/// runtime is shut down or the grant panics, the answer is lost (E3); whatever a repetition meets,
/// only a success finds it.
#[derive(Debug)]
pub(crate) struct Away<'record> {
    record: &'record Record,
    refresh_token: Option<&'record Secret>,
}

impl Away<'_> {
    /// The attempt has an outcome, which says what became of the refresh token.
    pub(crate) fn returned<T>(mut self, outcome: &Result<T, Error>) {
        match outcome {
            Err(error) if error.how_far().is_loss() => {}
            Err(_) => {
                let mut state = self.record.state();
                // Under this version the refresh token was marked; of an earlier loss it stays true.
                if !state.answer_lost {
                    state.unspent = state.version.map(Box::new);
                }
                drop(state);
                self.refresh_token = None;
            }
            Ok(_) => self.refresh_token = None,
        }
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        let mut state = self.record.state();
        if self.refresh_token.is_some() && state.refresh_token.as_ref() == self.refresh_token {
            state.answer_lost = true;
        }
    }
}
