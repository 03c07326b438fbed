//! A session in a store, which other processes may share: each write expects the version that was read or
//! written before; a flight that comes late finds another one, and changes nothing (F2, F3).

use std::sync::{Arc, OnceLock};

use crate::clock::Moment;
use crate::error::Error;
use crate::refresh::check::touch;
use crate::refresh::ending::{Answer, Committed, Saving};
use crate::refresh::flight::Flight;
use crate::refresh::identity::Identity;
use crate::refresh::issue::newer_token;
use crate::refresh::protocol::Seen;
use crate::refresh::revocation;
use crate::refresh::write_back;
use crate::session::lease::HeldLease;
use crate::session::record::{Record, RecordToken};
use crate::session::state::RefreshTokenState;
use crate::session::store::{Found, RecordStore, Saved};
use crate::session::unsaved::Unsaved;
use crate::store::{StoreKey, Version};

/// One flight's hold on it.
pub(crate) struct Shared<'flight> {
    flight: &'flight Flight<'flight>,
    store: &'flight Arc<RecordStore>,
    key: StoreKey,
    /// The caller of the flight began to wait here.
    began: Moment,
    pub(crate) lease: Option<Arc<HeldLease>>,
    pub(crate) record: Record,
    version: Option<Version>,
    /// A token that another process has got and that does what the flight is for.
    pub(crate) newer: Option<RecordToken>,
}

impl<'flight> Shared<'flight> {
    pub(crate) fn new(
        flight: &'flight Flight<'flight>,
        store: &'flight Arc<RecordStore>,
        began: Moment,
    ) -> Self {
        Self {
            flight,
            store,
            key: flight
                .engine
                .setup
                .store_key(flight.endpoint, &flight.entry.key),
            began,
            lease: None,
            record: Record::default(),
            version: None,
            newer: None,
        }
    }

    pub(crate) async fn look(&mut self) -> Result<Seen, Error> {
        let look = self.flight.entry.owner.succession.look();
        let found = self.store.load(&self.key).await?;
        Ok(self.understood(found, look))
    }

    pub(crate) async fn take_lease(&mut self) -> Result<Option<Seen>, Error> {
        let look = self.flight.entry.owner.succession.look();
        let Some((lease, found)) = HeldLease::take(self.store, self.key).await? else {
            return Ok(None);
        };
        self.flight.entry.owner.leased(&lease);
        self.lease = Some(lease);
        Ok(Some(self.understood(found, look)))
    }

    pub(crate) async fn mark(
        &mut self,
        state: RefreshTokenState,
        by: Version,
    ) -> Result<bool, Error> {
        // Before it is written: if the store does not say whether it took the mark, it is known by this.
        self.flight.entry.owner.about_to_mark(by);
        self.write(state).await
    }

    /// Writes the record anew if that was not done for long, where its token serves and nothing is asked for
    /// (F9): a process that ends soon takes no look behind its calls that would do it.
    pub(crate) async fn touch(&mut self) {
        let found = Found {
            record: Some(std::mem::take(&mut self.record)),
            version: self.version,
        };
        touch(self.store, self.flight.entry, &self.key, found).await;
    }

    pub(crate) async fn write(&mut self, state: RefreshTokenState) -> Result<bool, Error> {
        let owner = &self.flight.entry.owner;
        let look = owner.succession.look();
        self.record.state = state;
        let version = Version::random()?;
        let saved = self
            .store
            .save(&self.key, &mut self.record, self.version, version);
        let is_written = matches!(saved.await?, Saved::Yes);
        if is_written {
            owner.succession.confirm(look);
            self.wrote(version);
        }
        Ok(is_written)
    }

    pub(crate) async fn commit(&mut self, answer: &mut Answer, saving: Saving) -> Committed {
        let Flight { engine, entry, .. } = *self.flight;
        self.take_in(answer);
        // Access tokens alone can be had again. A refresh token has to outlive this task, which may
        // be dropped while the store is at it.
        let is_precious = self.record.refresh_token.is_some();
        let Ok(version) = Version::random() else {
            return Committed::Safe;
        };
        if is_precious {
            entry.owner.put_unsaved(Unsaved {
                key: self.key,
                record: self.record.clone(),
                expected: self.version,
                version,
                lease: self.lease.clone(),
                counted: OnceLock::new(),
            });
        }
        let (record, expected) = (&mut self.record, self.version);
        let saved = match (saving, &self.lease) {
            (Saving::Later, _) => None,
            (Saving::AndRelease, Some(lease)) => {
                let saved = lease.save_and_release(record, expected, version);
                saved.await.ok()
            }
            (Saving::AndRelease, None) | (Saving::Only, _) => {
                let saved = self.store.save(&self.key, record, expected, version);
                saved.await.ok()
            }
        };
        match saved {
            Some(Saved::Yes) => {
                entry.owner.take_unsaved();
                self.wrote(version);
                Committed::Safe
            }
            Some(Saved::Conflict(found)) => {
                let is_ours = entry.owner.take_unsaved().is_some() || !is_precious;
                self.came_late(&found, is_ours);
                Committed::Overtaken
            }
            // The token is served from memory, and the refresh token brought to safety by others.
            None if is_precious => {
                write_back::start(engine, entry, self.lease.take());
                Committed::Unsaved
            }
            None => Committed::Safe,
        }
    }

    /// Another version was found: it is read, and never overwritten. What came for a user who has
    /// signed out meanwhile is revoked (F10), unless the sign-out has taken it along to do so.
    fn came_late(&self, found: &Found, is_ours: bool) {
        let Flight { engine, entry, .. } = *self.flight;
        let of_a_user = entry.key.subject.is_some();
        if is_ours && of_a_user && found.is_another_session_than(&self.record) {
            revocation::start(engine, self.flight.entry.key.owner(), self.record.clone());
        }
    }

    /// What a record that was found means for this flight. What this process knows follows it.
    fn understood(&mut self, found: Found, look: u32) -> Seen {
        let Flight {
            engine,
            entry,
            reason,
            beginning,
            ..
        } = *self.flight;
        let identity = Identity::of(engine, entry, beginning, &found, look);
        let now = engine.setup.clock.now();
        let is_same =
            entry.key.subject.is_none() || !(identity.is_superseded || identity.is_another());
        self.newer = None;
        if is_same {
            self.newer = newer_token(engine, entry, &found, reason, self.began);
            entry.owner.note(&found);
        }
        self.record = found.record.unwrap_or_default();
        self.version = found.version;
        self.record.state = entry.owner.lifted(self.record.state);
        let refresh_token = self.record.refresh_token.as_ref();
        Seen {
            known: identity.known,
            origin: identity.origin,
            is_superseded: identity.is_superseded,
            serves: self.newer.is_some(),
            has_refresh_token: refresh_token.is_some(),
            state: self.record.state,
            rests: entry.owner.doubt(refresh_token, now).is_some(),
            protects: self.protects(now),
        }
    }

    /// Whether there is an access token that is alive, and not known to be refused.
    fn protects(&self, now: Moment) -> bool {
        let Flight { engine, entry, .. } = *self.flight;
        let entries = engine.entries.entries_of(&entry.key);
        let is_refused = |token: &RecordToken| {
            entries.iter().any(|entry| {
                let present = entry.peek();
                present.as_ref().is_some_and(|present| {
                    present.standing.is_refused() && present.is_text(&token.access_token)
                })
            })
        };
        let mut tokens = self.record.tokens.iter();
        tokens.any(|token| token.is_alive(now.wall) && !is_refused(token))
    }

    fn take_in(&mut self, answer: &mut Answer) {
        let Flight { engine, entry, .. } = *self.flight;
        let asked = answer.asked.wall;
        self.record.take_in(&mut answer.response, asked);
        entry.owner.end_doubt();
        let parameters = engine.setup.shared_parameters(&entry.key);
        let token = RecordToken::issued(&answer.response, parameters, asked);
        self.record.put(token, self.store.now());
    }

    fn wrote(&mut self, version: Version) {
        self.version = Some(version);
        self.flight.entry.owner.wrote(version, &self.record);
    }
}
