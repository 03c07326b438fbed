//! What this process knows of the session that a grant key's tokens are of: without a store all there is,
//! with one what it last saw there.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

use crate::clock::Moment;
use crate::endpoint::TokenEndpoint;
use crate::error::Error;
use crate::id_token::subject_claim;
use crate::secret::Secret;
use crate::session::doubt::{Doubt, Meaning};
use crate::session::hook::{Hook, HookFn};
use crate::session::lease::HeldLease;
use crate::session::record::{Origin, Record};
use crate::session::reload::ReloadFn;
use crate::session::state::{Event, RefreshTokenState};
use crate::session::store::Found;
use crate::session::succession::Succession;
use crate::session::unsaved::Unsaved;
use crate::store::Version;
use crate::subject_token::SubjectToken;

/// The right to be the one flight of this process that uses the refresh token of a session.
pub(crate) type Turn = OwnedMutexGuard<()>;

/// One grant key's owner: the application, or a user.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) succession: Succession,
    known: Mutex<Known>,
    pub(crate) hook: Option<Arc<Hook>>,
    pub(crate) reload: Option<ReloadFn>,
    /// What its tokens are exchanged for, where there is no session but a caller with a token.
    pub(crate) subject_token: Option<SubjectToken>,
}

#[derive(Debug, Default)]
struct Known {
    /// One flight at a time uses the refresh token of a session (A6); the next session has a queue of its
    /// own.
    queue: Arc<tokio::sync::Mutex<()>>,
    /// The lease under which a flight of this process is at the record.
    lease: Weak<HeldLease>,
    /// Where its tokens come from, as the last flight was told.
    endpoint: Option<TokenEndpoint>,
    /// The tokens themselves, where there is no store. With one they are in this process no longer than a
    /// flight lasts.
    tokens: Option<Box<Record>>,
    /// What the store had when it was last asked or told.
    version: Option<Version>,
    /// What the tokens go back to that this process has; `None` if it knows of no record.
    origin: Option<Origin>,
    state: RefreshTokenState,
    /// Why the refresh token is dead, in the server's words, as long as the record is the same.
    death: Option<Error>,
    /// What refusals that do not say why have come to.
    doubt: Option<Box<Doubt>>,
    mark: Option<Box<OwnMark>>,
    /// Whom the id token is about, as a hash.
    about: Option<NonZeroU64>,
    /// Newer than what the store has, and not known to be there.
    unsaved: Option<Arc<Unsaved>>,
}

/// The mark under which a flight of this process sends the refresh token.
#[derive(Debug)]
struct OwnMark {
    by: Version,
    /// Whether a request is out, or may be. If not, the mark stands for nothing: the store has not said
    /// that it took it, or the flight ended before it sent anything, or the server said that it did not
    /// take the refresh token and the store could not be told.
    is_out: bool,
    /// An answer to a request under this mark is lost: no other attempt under it takes that back.
    is_lost: bool,
}

impl Owner {
    /// One of whom this process knows nothing yet.
    pub(crate) fn unknown() -> Arc<Self> {
        Self::with(None, None, None, None)
    }

    /// One whose tokens are exchanged for this one.
    pub(crate) fn of_caller(token: SubjectToken) -> Arc<Self> {
        Self::with(None, None, None, Some(token))
    }

    /// One without a store, with what it starts from, the hook that takes its new refresh tokens, and the
    /// one that knows those of others.
    pub(crate) fn without_store(
        tokens: Record,
        hook: Option<HookFn>,
        reload: Option<ReloadFn>,
    ) -> Arc<Self> {
        let hook = hook.map(|hook| Arc::new(Hook::new(hook)));
        Self::with(Some(Box::new(tokens)), hook, reload, None)
    }

    fn with(
        tokens: Option<Box<Record>>,
        hook: Option<Arc<Hook>>,
        reload: Option<ReloadFn>,
        subject_token: Option<SubjectToken>,
    ) -> Arc<Self> {
        Arc::new(Self {
            succession: Succession::default(),
            known: Mutex::new(Known {
                tokens,
                ..Known::default()
            }),
            hook,
            reload,
            subject_token,
        })
    }

    /// Waits until no other flight of this process is at the same grant key.
    pub(crate) async fn turn(&self) -> Turn {
        let queue = self.known().queue.clone();
        queue.lock_owned().await
    }

    /// The turn, if no other flight of this process is at the same grant key.
    pub(crate) fn turn_if_free(&self) -> Option<Turn> {
        let queue = self.known().queue.clone();
        queue.try_lock_owned().ok()
    }

    /// A flight of this process has taken the lease.
    pub(crate) fn leased(&self, lease: &Arc<HeldLease>) {
        self.known().lease = Arc::downgrade(lease);
    }

    /// The lease of a flight that is under way: when the session has ended, it protects nothing.
    pub(crate) fn lease(&self) -> Option<Arc<HeldLease>> {
        self.known().lease.upgrade()
    }

    /// Whether another use of the refresh token might make the server revoke the access token that is
    /// still good (E3): an answer to it is lost, or another process has sent it and not said what came of
    /// it.
    pub(crate) fn is_held_back(&self) -> bool {
        let known = self.known();
        match known.state {
            RefreshTokenState::AnswerLost { .. } => true,
            RefreshTokenState::Sent { by, .. } => !known.is_under_way(by),
            RefreshTokenState::Ready | RefreshTokenState::Dead => false,
        }
    }

    /// A flight has been told where the tokens come from.
    pub(crate) fn asks_at(&self, endpoint: Option<&TokenEndpoint>) {
        self.known().endpoint = endpoint.cloned();
    }

    /// Where its tokens come from, as the last flight was told.
    pub(crate) fn endpoint(&self) -> Option<TokenEndpoint> {
        self.known().endpoint.clone()
    }

    /// Takes note of what the store has. A death that was remembered counts as long as the record is
    /// the same (F5).
    pub(crate) fn note(&self, found: &Found) {
        let mut known = self.known();
        if known.version != found.version {
            known.death = None;
        }
        known.version = found.version;
        let record = found.record.as_ref();
        known.origin = record.map(|record| record.origin);
        known.about = record.and_then(|record| about(record.id_token.as_ref()));
        known.state = record.map_or(RefreshTokenState::Ready, |record| {
            known.lifted(record.state)
        });
    }

    /// The store has taken this version of `record` from this process.
    pub(crate) fn wrote(&self, version: Version, record: &Record) {
        let mut known = self.known();
        known.version = Some(version);
        known.origin = Some(record.origin);
        known.state = record.state;
        known.about = about(record.id_token.as_ref());
    }

    /// What `state` is to this process, which knows whether anything was sent under its own marks.
    pub(crate) fn lifted(&self, state: RefreshTokenState) -> RefreshTokenState {
        self.known().lifted(state)
    }

    /// What the tokens go back to that this process has; `None` if it knows of no record.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.known().origin
    }

    /// Whether `id_token` is about the user of the record that this process knows; `None` if that
    /// cannot be told.
    pub(crate) fn is_about_same_user(&self, id_token: Option<&Secret>) -> Option<bool> {
        let before = self.known().about?;
        about(id_token).map(|now| now == before)
    }

    /// All is forgotten but what is not saved.
    pub(crate) fn forget(&self) {
        let mut known = self.known();
        *known = Known {
            unsaved: known.unsaved.take(),
            ..Known::default()
        };
    }

    /// The refresh token is dead.
    pub(crate) fn note_death(&self, why: Error) {
        self.known().death = Some(why);
    }

    /// Why the refresh token is dead. A record may say that it is, and not why.
    pub(crate) fn death(&self) -> Error {
        self.known().death.clone().unwrap_or_else(|| {
            Error::sign_in_required(
                "the authorization server has ended the session; the user has to sign in again",
            )
        })
    }

    /// Why `refresh_token` is not sent at `now`, if it is unclear whether it is dead.
    pub(crate) fn doubt(&self, refresh_token: Option<&Secret>, now: Moment) -> Option<Error> {
        self.known().doubt.as_ref()?.standing(refresh_token?, now)
    }

    /// The server has refused `refresh_token` once more without saying why (F5).
    pub(crate) fn refused_without_a_reason(
        &self,
        refresh_token: &Secret,
        now: Moment,
        others_succeed: impl FnOnce(Moment) -> bool,
    ) -> Meaning {
        let mut known = self.known();
        Doubt::refused(&mut known.doubt, refresh_token, now, others_succeed)
    }

    /// The server has shown that it judges the refresh token by itself.
    pub(crate) fn end_doubt(&self) {
        self.known().doubt = None;
    }

    /// The tokens, where there is no store.
    pub(crate) fn tokens(&self) -> Option<Record> {
        self.known().tokens.as_deref().cloned()
    }

    /// Keeps the tokens, where there is no store.
    pub(crate) fn keep(&self, tokens: &Record) {
        let mut known = self.known();
        known.state = tokens.state;
        // Of most callers there is neither, and each has an owner (G3).
        let has_any = tokens.refresh_token.is_some() || tokens.id_token.is_some();
        known.tokens = has_any.then(|| Box::new(tokens.clone()));
    }

    /// A flight is about to mark the refresh token in the record.
    pub(crate) fn about_to_mark(&self, by: Version) {
        let mut known = self.known();
        let before = known.mark.take().filter(|mark| mark.by == by);
        known.mark = Some(Box::new(OwnMark {
            by,
            is_out: false,
            is_lost: before.is_some_and(|mark| mark.is_lost),
        }));
    }

    /// The flight with this mark sends the refresh token now. If what is returned is dropped, the answer
    /// is lost: the runtime is shut down, or the grant panics (E3).
    pub(crate) fn sends(&self, by: Version) -> Out<'_> {
        if let Some(mark) = self.known().mark.as_mut().filter(|mark| mark.by == by) {
            mark.is_out = true;
        }
        Out {
            owner: self,
            by: Some(by),
        }
    }

    /// What the store has not taken yet. It stays here until the store has answered: the task that offers
    /// it may be dropped at any await.
    pub(crate) fn unsaved(&self) -> Option<Arc<Unsaved>> {
        self.known().unsaved.clone()
    }

    /// Takes it out: it is in the store, or of no use any more. The task that gets it out has the care
    /// of it.
    pub(crate) fn take_unsaved(&self) -> Option<Arc<Unsaved>> {
        self.known().unsaved.take()
    }

    pub(crate) fn put_unsaved(&self, unsaved: Unsaved) {
        let before = self.known().unsaved.replace(Arc::new(unsaved));
        // Without the lock: what it was counted by may look at this owner.
        drop(before);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn lifted(&self, state: RefreshTokenState) -> RefreshTokenState {
        match state {
            RefreshTokenState::Sent { by, since, .. } => {
                let mark = self.mark.as_ref().filter(|mark| mark.by == by);
                match mark {
                    Some(mark) if mark.is_lost => state.next(Event::Lost, since),
                    Some(mark) if !mark.is_out => state.next(Event::NotTaken, since),
                    _ => state,
                }
            }
            _ => state,
        }
    }

    /// Whether a flight of this process is at work under this mark, and no answer to it is lost.
    fn is_under_way(&self, by: Version) -> bool {
        let mark = self.mark.as_ref().filter(|mark| mark.by == by);
        mark.is_some_and(|mark| !mark.is_lost)
    }
}

/// A refresh token on its way.
#[derive(Debug)]
pub(crate) struct Out<'owner> {
    owner: &'owner Owner,
    by: Option<Version>,
}

impl Out<'_> {
    /// The server has not taken it.
    pub(crate) fn not_taken(mut self) {
        let by = self.by.take();
        if let Some(mark) = &mut self.owner.known().mark
            && Some(mark.by) == by
        {
            mark.is_out = false;
        }
    }

    /// The server has answered.
    pub(crate) fn answered(mut self) {
        self.by = None;
        self.owner.known().mark = None;
    }
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        let Some(by) = self.by else {
            return;
        };
        let mut known = self.owner.known();
        // Not if the user has signed out or in again meanwhile: then it is another session's state.
        let Some(mark) = known.mark.as_mut().filter(|mark| mark.by == by) else {
            return;
        };
        mark.is_out = false;
        mark.is_lost = true;
        let state = match known.state {
            RefreshTokenState::Sent { since, .. } => known.state.next(Event::Lost, since),
            state => state,
        };
        known.state = state;
        if let Some(tokens) = &mut known.tokens {
            tokens.state = state;
        }
    }
}

/// Whom an id token is about, as a hash.
fn about(id_token: Option<&Secret>) -> Option<NonZeroU64> {
    let subject = subject_claim(id_token?)?;
    let mut hasher = DefaultHasher::new();
    subject.hash(&mut hasher);
    NonZeroU64::new(hasher.finish())
}

/// Whether two id tokens are about two users.
pub(crate) fn are_of_two_users(before: Option<&Secret>, now: Option<&Secret>) -> bool {
    matches!((about(before), about(now)), (Some(before), Some(now)) if before != now)
}

#[cfg(test)]
mod tests {
    use super::Owner;
    use crate::session::state::RefreshTokenState;
    use crate::store::Version;
    use std::time::Duration;

    const SINCE: Duration = Duration::from_secs(1);

    fn sent(by: Version) -> RefreshTokenState {
        RefreshTokenState::Sent {
            since: SINCE,
            by,
            after_loss: false,
        }
    }

    #[test]
    fn a_mark_of_this_process_under_which_nothing_is_out_stands_for_nothing() {
        // E3, F6
        let owner = Owner::unknown();
        let (own, other) = (Version::of_bytes(b"own"), Version::of_bytes(b"other"));
        owner.about_to_mark(own);
        assert_eq!(owner.lifted(sent(own)), RefreshTokenState::Ready);
        assert_eq!(owner.lifted(sent(other)), sent(other));
        let out = owner.sends(own);
        assert_eq!(owner.lifted(sent(own)), sent(own), "it may have arrived");
        out.not_taken();
        assert_eq!(owner.lifted(sent(own)), RefreshTokenState::Ready);
    }

    #[test]
    fn an_answer_that_is_lost_under_a_mark_is_not_taken_back_by_the_next_attempt_under_it() {
        // E3: or the refresh token would be sent again at any later time.
        let owner = Owner::unknown();
        let mark = Version::of_bytes(b"own");
        owner.about_to_mark(mark);
        drop(owner.sends(mark));
        owner.about_to_mark(mark);
        let lost = RefreshTokenState::AnswerLost { since: SINCE };
        assert_eq!(owner.lifted(sent(mark)), lost);
        owner.sends(mark).not_taken();
        assert_eq!(owner.lifted(sent(mark)), lost);
        owner.sends(mark).answered();
        owner.about_to_mark(mark);
        assert_eq!(owner.lifted(sent(mark)), RefreshTokenState::Ready);
    }
}
