//! Where a flight has its refresh token from, and where it brings what comes for it.

use tokio::sync::MutexGuard as Turn;

use crate::clock::Moment;
use crate::error::{Error, ErrorKind};
use crate::keeper::Keeper;
use crate::keeper::record::Circumstances;
use crate::keeper::slot::Slot;
use crate::keeper::transaction::Transaction;
use crate::secret::Secret;
use crate::token::TokenResponse;

/// One flight's hold on the refresh token of its grant key.
pub(crate) enum Custody<'flight> {
    /// In the memory of this process. The turn is held until the flight ends.
    Own { turn: Option<Turn<'flight, ()>> },
    /// The same while the store is down, in a flight that has had the turn from its beginning.
    Unstored,
    /// In a store, under its lease.
    Stored(Box<Transaction<'flight>>),
}

impl<'flight> Custody<'flight> {
    /// The refresh token to spend, if there is one, when nobody else spends it.
    pub(crate) async fn refresh_token(
        &mut self,
        slot: &'flight Slot,
    ) -> Result<Option<Secret>, Error> {
        match self {
            Self::Own { turn } => slot.account.record.to_spend(turn).await,
            Self::Unstored => slot.account.record.refresh_token(),
            Self::Stored(transaction) => transaction.refresh_token(),
        }
    }

    /// # Errors
    /// If nothing may be sent any more.
    pub(crate) async fn before_sending(&mut self, spends: bool) -> Result<(), Error> {
        match self {
            Self::Own { .. } | Self::Unstored => Ok(()),
            Self::Stored(transaction) => transaction.before_sending(spends).await,
        }
    }

    /// The flight gives up: what it has learned of the refresh token is kept.
    pub(crate) async fn failed(
        &mut self,
        keeper: &Keeper,
        slot: &Slot,
        refresh_token: Option<&Secret>,
        error: Error,
    ) -> Error {
        let Some(refresh_token) = refresh_token else {
            return error;
        };
        // Those are no answers of the authorization server.
        if error.is_outdated() || error.kind() == ErrorKind::Store {
            return error;
        }
        let error = {
            let circumstances = Circumstances {
                now: keeper.clock.now(),
                is_plain: slot.key.parameters.is_empty(),
                is_refused_by_rule: keeper.is_refused_refresh(&error),
                others_succeed: &|since| keeper.others_are_renewed(slot, since),
            };
            let record = &slot.account.record;
            record.failed(refresh_token, error, &circumstances)
        };
        match self {
            Self::Own { .. } | Self::Unstored => error,
            Self::Stored(transaction) => transaction.failed(error).await,
        }
    }

    /// Brings what arrived to where it is safe, before anybody sees it (F2). With the last answer of a
    /// flight the lease is given back.
    ///
    /// # Errors
    /// If it must not be used: it is somebody else's, or the tokens have been taken away meanwhile.
    pub(crate) async fn keep(
        &mut self,
        keeper: &Keeper,
        slot: &Slot,
        response: &mut TokenResponse,
        asked: Moment,
        is_last: bool,
    ) -> Result<(), Error> {
        let record = &slot.account.record;
        if let Err(error) = record.take_over(response) {
            return Err(match self {
                Self::Own { .. } | Self::Unstored => error,
                // Nobody has to wait for what came: it is not written.
                Self::Stored(transaction) => transaction.failed(error).await,
            });
        }
        match self {
            Self::Own { .. } | Self::Unstored => {
                record.save(&keeper.clock, &keeper.telemetry).await;
                Ok(())
            }
            Self::Stored(transaction) => transaction.keep(response, asked, is_last).await,
        }
    }
}
