//! Rotation as a transaction: a refresh token is marked before it is spent, and its successor is
//! in the store before anybody sees the access token that came along (F2).

use std::sync::Arc;

use crate::clock::Moment;
use crate::error::Error;
use crate::keeper::Keeper;
use crate::keeper::findings::Errand;
use crate::keeper::slot::Slot;
use crate::keeper::tenancy::Tenancy;
use crate::keeper::unsaved::Unsaved;
use crate::keeper::vault::{Found, Saved, Vault};
use crate::kept::{Kept, KeptToken};
use crate::secret::Secret;
use crate::store::{StoreKey, Version};
use crate::token::{Lifetime, TokenResponse};

/// One flight's work on one record, under its lease. Each write expects the version that was read
/// or written before; whoever comes late finds another one, and changes nothing.
pub(crate) struct Transaction<'flight> {
    pub(crate) keeper: &'flight Arc<Keeper>,
    pub(crate) vault: &'flight Arc<Vault>,
    pub(crate) slot: &'flight Arc<Slot>,
    pub(crate) key: StoreKey,
    pub(crate) tenancy: Arc<Tenancy>,
    /// The epoch of the account at the start of the flight.
    epoch: u32,
    kept: Kept,
    version: Option<Version>,
    /// The version under which this flight says in the record that it sends the refresh token.
    mark: Option<Version>,
}

impl<'flight> Transaction<'flight> {
    pub(crate) fn new(
        keeper: &'flight Arc<Keeper>,
        vault: &'flight Arc<Vault>,
        errand: Errand<'flight>,
        tenancy: Arc<Tenancy>,
        found: Found,
    ) -> Self {
        let Errand {
            slot, key, epoch, ..
        } = errand;
        slot.account.record.resume(&found);
        Self {
            keeper,
            vault,
            slot,
            key,
            tenancy,
            epoch,
            kept: found.kept.unwrap_or_default(),
            version: found.version,
            mark: None,
        }
    }

    /// The refresh token of the session that the flight began with.
    ///
    /// # Errors
    /// If the user has signed in again or out since: what is in memory now, if anything is, is
    /// another session's.
    pub(crate) fn refresh_token(&self) -> Result<Option<Secret>, Error> {
        let account = &self.slot.account;
        let refresh_token = account.record.refresh_token();
        // Asked afterwards: the epoch ends before the tokens are exchanged.
        if account.epoch() != self.epoch {
            return Err(Error::outdated());
        }
        refresh_token
    }

    /// Marks a refresh token that is about to be spent: if this process ends before it has written
    /// what came of it, the others know that it may be spent already (E3, F6).
    pub(crate) async fn before_sending(&mut self, spends: bool) -> Result<(), Error> {
        let record = &self.slot.account.record;
        if spends {
            // For each attempt: in between the lease may have run out, and somebody else have spent
            // the refresh token, although the store gives the lease back by now.
            self.kept.away_since.get_or_insert(self.vault.now());
            self.kept.answer_lost = false;
            // The same one each time: if the store does not say whether it took a mark, one is there
            // all the same, and is known by it.
            let mark = match self.mark {
                Some(mark) => mark,
                None => *self.mark.insert(Version::random()?),
            };
            // A mark that takes the place of one which says that an answer was lost says so too.
            if !record.is_answer_lost() {
                record.about_to_send(mark);
            }
            if !self.write_as(mark).await? {
                return Err(Error::outdated());
            }
        }
        // The last look before the request goes out: this process may have been stopped.
        if !self.tenancy.is_ours() {
            return Err(Error::outdated());
        }
        record.sending();
        Ok(())
    }

    /// Writes what a flight that failed has learned. A lost answer leaves the mark, and the word
    /// that nobody has anything to write.
    pub(crate) async fn failed(&mut self, error: Error) -> Error {
        if error.how_far().is_loss() {
            self.kept.answer_lost = true;
            // If it is not written, others wait for what does not come.
            let _ = self.write().await;
            return error;
        }
        let record = &self.slot.account.record;
        self.kept.dead = record.death().is_some();
        // Whatever a repetition meets, only a success finds a refresh token whose answer was lost.
        self.kept.answer_lost = record.is_answer_lost();
        if !self.kept.answer_lost {
            self.kept.away_since = None;
        }
        match self.write().await {
            // Somebody was faster, or signed in again: theirs is read, and used (F5).
            Ok(false) if self.kept.dead => Error::outdated(),
            // The mark stays, and others wait longer than they would have to.
            Ok(_) | Err(_) => error,
        }
    }

    /// Writes that the answer to the refresh token is lost, if that is what this flight has found out by
    /// watching the record: nobody has to watch it again.
    pub(crate) async fn conclude_lost(&mut self) {
        if self.kept.away_since.is_some() && !self.kept.answer_lost {
            self.kept.answer_lost = true;
            // If it is not written, another flight watches as long as this one has.
            let _ = self.write().await;
        }
    }

    pub(crate) async fn keep(
        &mut self,
        response: &TokenResponse,
        asked: Moment,
        is_last: bool,
    ) -> Result<(), Error> {
        self.take_in(response, asked);
        let version = Version::random()?;
        let record = &self.slot.account.record;
        // Access tokens alone can be had again. A refresh token has to outlive this task, which may
        // be dropped while the store is at it.
        let precious = self.kept.refresh_token.is_some();
        if precious {
            record.put_unsaved(Unsaved {
                kept: self.kept.clone(),
                expected: self.version,
                version,
                tenancy: self.tenancy.clone(),
            });
        }
        let (kept, expected) = (&mut self.kept, self.version);
        let saved = if is_last {
            let saving = self.tenancy.save_and_release(kept, expected, version);
            saving.await
        } else {
            self.vault.save(&self.key, kept, expected, version).await
        };
        match saved {
            Ok(Saved::Yes) => {
                record.take_unsaved();
                self.wrote(version);
                Ok(())
            }
            Ok(Saved::Conflict(found)) => {
                let is_ours = record.take_unsaved().is_some() || !precious;
                Err(self.came_late(&found, is_ours))
            }
            // The token is served from memory, and the refresh token brought to safety by others.
            Err(_) => {
                if precious {
                    self.tenancy.pass_on();
                    self.keeper.save_behind(self.slot, self.tenancy.clone());
                }
                Ok(())
            }
        }
    }

    /// Another version was found: it is read, and never overwritten. What came for a user who has
    /// signed out meanwhile is revoked (F10), unless the sign-out has taken it along to do so.
    fn came_late(&self, found: &Found, is_ours: bool) -> Error {
        let of_a_user = self.slot.key.subject.is_some();
        if is_ours && of_a_user && found.is_another_session_than(&self.kept) {
            self.keeper.revoke_behind(self.kept.clone());
        }
        Error::outdated()
    }

    async fn write(&mut self) -> Result<bool, Error> {
        self.write_as(Version::random()?).await
    }

    async fn write_as(&mut self, version: Version) -> Result<bool, Error> {
        let look = self.slot.account.look();
        let saved = self
            .vault
            .save(&self.key, &mut self.kept, self.version, version);
        let written = matches!(saved.await?, Saved::Yes);
        if written {
            self.slot.account.confirm(look);
            self.wrote(version);
        }
        Ok(written)
    }

    fn wrote(&mut self, version: Version) {
        self.version = Some(version);
        self.slot.account.record.wrote(version, self.kept.origin);
    }

    fn take_in(&mut self, response: &TokenResponse, asked: Moment) {
        let now = self.vault.now();
        let kept = &mut self.kept;
        if let Some(refresh_token) = &response.refresh_token {
            kept.refresh_token = Some(refresh_token.clone());
            kept.ends_at = None;
        }
        if let Some(left) = response.refresh_token_lifetime {
            kept.ends_at = asked.wall.checked_add(left);
        }
        kept.id_token = response.id_token.clone();
        kept.away_since = None;
        self.mark = None;
        kept.answer_lost = false;
        kept.dead = false;
        let expires_at = match response.lifetime {
            Lifetime::Stated(lifetime) => asked.wall.checked_add(lifetime),
            Lifetime::Unstated => None,
            Lifetime::Spent => Some(asked.wall),
        };
        let token = KeptToken {
            parameters: self.keeper.shared_parameters(&self.slot.key),
            access_token: response.access_token.clone(),
            issued_at: asked.wall,
            expires_at,
            refresh_at: response
                .refresh_in
                .and_then(|after| asked.wall.checked_add(after)),
            scope: response.scope.clone(),
            members: response.members.clone(),
            id_token: None,
        };
        kept.put(token, now);
    }
}
