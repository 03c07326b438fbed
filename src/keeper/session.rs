//! A user's session from its beginning to its end: signed in, looked at, signed out (F10).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::keeper::Keeper;
use crate::keeper::revocation::SignOut;
use crate::keeper::slot::Slot;
use crate::keeper::vault::{Found, Saved, Vault};
use crate::kept::{Kept, KeptToken, Origin};
use crate::key::{TokenKey, Wanted};
use crate::parameters::TokenParameters;
use crate::store::{StoreKey, Version};
use crate::subject::Subject;
use crate::token::bearer_header;
use crate::token_set::TokenSet;

/// How often a sign-in is written anew because somebody else was just writing.
const MOST_CONFLICTS: u32 = 5;

impl Keeper {
    /// What the record of a token is called in the store: the one place that makes such names. A
    /// user's tokens have one record together, and each token of an application has its own (A5).
    pub(crate) fn store_key(&self, key: &TokenKey) -> Option<StoreKey> {
        self.vault.as_ref()?;
        let server_and_client = self.grant.endpoint().map(|endpoint| endpoint.identity());
        let whose = match &key.subject {
            Some(subject) => ["user", subject.as_str()],
            None => ["application", ""],
        };
        let who = [
            server_and_client.as_deref().unwrap_or_default(),
            self.grant.name(),
        ];
        let parameters = match &key.subject {
            Some(_) => TokenParameters::new(),
            None => self.shared_parameters(key),
        };
        let fields: Vec<_> = parameters.form_fields().collect();
        let fields = fields
            .iter()
            .flat_map(|(name, value)| [*name, value.as_str()]);
        Some(StoreKey::of(who.into_iter().chain(whose).chain(fields)))
    }

    /// Writes what a sign-in brought in place of whatever was there.
    pub(crate) async fn sign_in(&self, subject: &Subject, set: &TokenSet) -> Result<(), Error> {
        let (vault, key) = self.user_record(subject)?;
        if let Some(access_token) = set.access_token() {
            bearer_header(access_token)?;
        } else if set.refresh_token().is_none() {
            return Err(Error::settings(
                "the token set of a sign-in has neither an access token nor a refresh token",
            ));
        }
        let mut kept = self.kept_of(set, vault.now());
        let version = Version::random()?;
        kept.origin = Origin::SignIn(version);
        for _ in 0..MOST_CONFLICTS {
            let found = vault.load(&key).await?;
            let expected = found.version;
            let saved = vault.save_or_look(&key, &mut kept, expected, version);
            if matches!(saved.await?, Saved::Yes) {
                // Looked up now: while the store was at it, the place may have left the cache.
                let primary = self.primary_slot(subject);
                let account = &primary.account;
                let id_token = kept.id_token.as_ref();
                if account.record.is_about_same_user(id_token) != Some(true) {
                    account.hand_over();
                }
                self.withdraw(&primary);
                account.record.resume(&Found {
                    kept: Some(kept),
                    version: Some(version),
                    look: account.look(),
                });
                account.record.rest();
                self.adopt(&primary, set)?;
                // Somebody who signs in or out at the same time may have been at the store after
                // us, and here before us.
                if let Ok(found) = vault.load(&key).await
                    && found.version != Some(version)
                {
                    self.withdraw(&primary);
                }
                return Ok(());
            }
        }
        Err(Error::store(
            "other processes keep changing the record of this user",
        ))
    }

    /// Forgets the tokens of a user, and has them revoked behind the caller's back.
    pub(crate) async fn sign_out(self: &Arc<Self>, subject: &Subject) -> Result<SignOut, Error> {
        let (vault, key) = self.user_record(subject)?;
        let removed = vault.remove(&key).await;
        let primary = self.primary_slot(subject);
        primary.account.hand_over();
        self.withdraw(&primary);
        let stored = removed?.kept;
        // What the store has not taken yet is the newer one.
        let unsaved = primary.account.record.take_unsaved();
        if let Some(unsaved) = &unsaved {
            unsaved.tenancy.give_back().await;
        }
        let newest = unsaved.map(|unsaved| unsaved.kept.clone());
        Ok(match newest.or(stored) {
            Some(kept) => self.revoke_behind(kept),
            None => SignOut::without_tokens(),
        })
    }

    /// The record of a user, if there is one.
    pub(crate) async fn record_of(&self, subject: &Subject) -> Result<Option<Kept>, Error> {
        let (vault, key) = self.user_record(subject)?;
        Ok(vault.load(&key).await?.kept)
    }

    /// Takes the tokens of a grant key away from this process.
    pub(crate) fn withdraw(&self, slot: &Slot) {
        // First, so that a flight which lands between the two finds out.
        slot.account.begin_epoch();
        self.take_away(slot);
    }

    /// The same, unless the user has signed in again or out since `epoch`: then these are other
    /// tokens.
    pub(crate) fn withdraw_since(&self, epoch: u32, slot: &Slot) {
        if slot.account.end_epoch(epoch) {
            self.take_away(slot);
        }
    }

    fn take_away(&self, slot: &Slot) {
        let account = &slot.account;
        account.record.forget();
        let primary = self.primary_of(slot.key.as_wanted());
        for slot in account.slots(primary) {
            slot.clear();
        }
        // It may have left the cache, and be in somebody's hands all the same.
        slot.clear();
    }

    fn user_record(&self, subject: &Subject) -> Result<(&Arc<Vault>, StoreKey), Error> {
        let key = self.store_key(&TokenKey {
            subject: Some(subject.clone()),
            parameters: self.primary.key.parameters.clone(),
        });
        match (&self.vault, key) {
            (Some(vault), Some(key)) if self.for_users => Ok((vault, key)),
            _ => Err(Error::settings(
                "this token source is for the application itself; users sign in at one whose grant \
                 is for users, such as `RefreshTokenGrant::for_users`",
            )),
        }
    }

    fn primary_slot(&self, subject: &Subject) -> Arc<Slot> {
        self.slot(Wanted {
            subject: Some(subject),
            parameters: &TokenParameters::new(),
        })
    }

    fn kept_of(&self, set: &TokenSet, now: Duration) -> Kept {
        let issued_at = set.issued_at().map_or(now, since_epoch);
        let token = set.access_token().map(|access_token| KeptToken {
            parameters: self.grant.parameters(),
            access_token: access_token.clone(),
            issued_at,
            expires_at: set.expires_at().map(since_epoch),
            refresh_at: None,
            scope: set.scope().map(ToOwned::to_owned),
            members: set.members.clone(),
            id_token: None,
        });
        Kept {
            refresh_token: set.refresh_token().cloned(),
            id_token: set.id_token().cloned(),
            tokens: token.into_iter().collect(),
            ends_at: set.refresh_token_expires_at().map(since_epoch),
            ..Kept::default()
        }
    }
}

/// Time since 1970; whatever was before counts as then.
pub(crate) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
