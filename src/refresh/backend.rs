//! Where a flight has its refresh token from, and where it brings what comes for it: the memory of this
//! process, or a store.

use std::sync::Arc;

use crate::error::Error;
use crate::refresh::ending::{Answer, Committed, Saving};
use crate::refresh::local::Local;
use crate::refresh::protocol::Seen;
use crate::refresh::shared::Shared;
use crate::secret::Secret;
use crate::session::lease::HeldLease;
use crate::session::record::Record;
use crate::session::state::RefreshTokenState;
use crate::store::Version;

/// One flight's hold on the record of its session.
pub(crate) enum Backend<'flight> {
    Local(Local<'flight>),
    Shared(Box<Shared<'flight>>),
}

impl Backend<'_> {
    /// Reads the record.
    pub(crate) async fn look(&mut self) -> Result<Seen, Error> {
        match self {
            Self::Local(local) => Ok(local.look().await),
            Self::Shared(shared) => shared.look().await,
        }
    }

    /// Takes the lease, and reads the record under it; `None` if another process has the lease.
    pub(crate) async fn lease(&mut self) -> Result<Option<Seen>, Error> {
        match self {
            Self::Local(local) => Ok(Some(local.look().await)),
            Self::Shared(shared) => shared.take_lease().await,
        }
    }

    /// Writes that a flight with this mark is about to send the refresh token; `false` if another version
    /// of the record was there.
    pub(crate) async fn mark(
        &mut self,
        state: RefreshTokenState,
        by: Version,
    ) -> Result<bool, Error> {
        match self {
            Self::Local(local) => local.mark(state, by),
            Self::Shared(shared) => return shared.mark(state, by).await,
        }
        Ok(true)
    }

    /// Writes what has become of the refresh token; `false` if another version of the record was there.
    pub(crate) async fn write(&mut self, state: RefreshTokenState) -> Result<bool, Error> {
        match self {
            Self::Local(local) => local.write(state),
            Self::Shared(shared) => return shared.write(state).await,
        }
        Ok(true)
    }

    /// Brings what arrived to where it is safe, before any call sees it (F2).
    pub(crate) async fn commit(&mut self, answer: &mut Answer, saving: Saving) -> Committed {
        match self {
            Self::Local(local) => {
                local.commit(answer).await;
                Committed::Safe
            }
            Self::Shared(shared) => shared.commit(answer, saving).await,
        }
    }

    /// Takes a newer refresh token than the one that is dead; `false` if nobody has one (K13).
    pub(crate) async fn reload(&mut self) -> Result<bool, Error> {
        match self {
            Self::Local(local) => local.reload().await,
            // What others have brought is in the store.
            Self::Shared(_) => Ok(false),
        }
    }

    /// Keeps the record, which has served, from leaving although it is used.
    pub(crate) async fn touch(&mut self) {
        if let Self::Shared(shared) = self {
            shared.touch().await;
        }
    }

    pub(crate) async fn release(&mut self) {
        if let Self::Shared(shared) = self
            && let Some(lease) = shared.lease.take()
        {
            lease.give_back().await;
        }
    }

    /// The lease, if the flight has it.
    pub(crate) fn held(&self) -> Option<Arc<HeldLease>> {
        match self {
            Self::Local(_) => None,
            Self::Shared(shared) => shared.lease.clone(),
        }
    }

    /// Whether the lease, if the record has one, still is this flight's: this process may have been
    /// stopped.
    pub(crate) fn is_ours(&self) -> bool {
        match self {
            Self::Local(_) => true,
            Self::Shared(shared) => shared.lease.as_ref().is_none_or(|lease| lease.is_ours()),
        }
    }

    pub(crate) fn refresh_token(&self) -> Option<&Secret> {
        self.record().refresh_token.as_ref()
    }

    /// The record as the flight last saw or wrote it.
    pub(crate) fn record(&self) -> &Record {
        match self {
            Self::Local(local) => &local.record,
            Self::Shared(shared) => &shared.record,
        }
    }
}
