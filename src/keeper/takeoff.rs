//! How a flight starts: as a task of its own, whatever becomes of the caller.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::runtime::Handle;

use crate::ambient::Ambient;
use crate::error::{Error, ErrorKind};
use crate::flight::{self, Landing, Waiter};
use crate::keeper::Keeper;
use crate::keeper::slot::{Ledger, Outcome, Slot};
use crate::telemetry::RefreshReason;

impl Keeper {
    /// A flight is a task of its own: the refresh token that a server has just rotated must not be
    /// lost because a caller went away (A2).
    pub(crate) fn start(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        ledger: &mut Ledger,
        reason: RefreshReason,
    ) -> Result<Waiter<Outcome>, Error> {
        // Counted before it looks, so that of a shutdown and this flight one sees the other.
        let airborne = Airborne::start(self.clone());
        if self.is_closing() {
            return Err(Error::new(
                ErrorKind::ShutDown,
                "the token source has been shut down",
            ));
        }
        let runtime = runtime()?;
        let (landing, flight, waiter) = flight::begin();
        ledger.flight = Some(flight);
        ledger.is_check = false;
        let epoch = slot.account.epoch();
        let work = airborne.fly(slot.clone(), reason, epoch, landing);
        runtime.spawn(self.marks(slot).scope(work));
        Ok(waiter)
    }

    /// A flight that only looks whether the store still has what this process has. A shutdown does not
    /// wait for it: calls begin such looks all the time, and nothing is lost with one.
    pub(crate) fn start_check(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        ledger: &mut Ledger,
    ) -> Result<Waiter<Outcome>, Error> {
        let runtime = runtime()?;
        let (landing, flight, waiter) = flight::begin();
        ledger.flight = Some(flight);
        ledger.is_check = true;
        let epoch = slot.account.epoch();
        runtime.spawn(self.clone().look(slot.clone(), epoch, landing));
        Ok(waiter)
    }

    async fn look(self: Arc<Self>, slot: Arc<Slot>, epoch: u32, landing: Landing<Outcome>) {
        let newer = match &self.vault {
            Some(vault) => self.check(vault, &slot, epoch).await,
            None => Ok(None),
        };
        let newer = newer.map_err(|error| error.of_token_source(&self.telemetry.source));
        landing.land(self.land_check(&slot, epoch, newer));
    }

    /// Does `work` in a task of its own, whatever becomes of the caller: what it has begun in the
    /// store is ended here. A shutdown waits for it.
    pub(crate) async fn see_through<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let airborne = Airborne::start(self.clone());
        let task = runtime()?.spawn(async move {
            let outcome = work.await;
            drop(airborne);
            outcome
        });
        task.await.unwrap_or_else(|ended| {
            Err(if ended.is_panic() {
                Error::new(ErrorKind::Panicked, "a hook or a grant panicked")
            } else {
                Error::new(
                    ErrorKind::Unavailable,
                    "the runtime of this call is being shut down",
                )
            })
        })
    }

    /// Whether all who had the token source have dropped it, and only its own tasks are left: each piece
    /// of work in the air holds the keeper once.
    pub(crate) fn is_abandoned(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) <= *self.flights.borrow()
    }

    /// What the task of a flight carries: nothing of the caller who happened to start it but the
    /// flights that are waiting for this one.
    fn marks(&self, slot: &Slot) -> Ambient {
        Ambient::current()
            .refreshing(self.id)
            .of_subject(slot.key.subject.clone())
    }
}

/// The runtime of the caller: a flight needs its tasks, and whoever waits for one its timers.
pub(crate) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|error| {
        Error::settings("a token can only be asked for inside a tokio runtime").with_source(error)
    })
}

/// Work in the air, counted for [`Keeper::shut_down`] until it is dropped.
pub(crate) struct Airborne(Arc<Keeper>);

impl Airborne {
    pub(crate) fn start(keeper: Arc<Keeper>) -> Self {
        keeper.flights.send_modify(|count| *count += 1);
        Self(keeper)
    }

    pub(crate) fn keeper(&self) -> &Arc<Keeper> {
        &self.0
    }

    async fn fly(
        self,
        slot: Arc<Slot>,
        reason: RefreshReason,
        epoch: u32,
        landing: Landing<Outcome>,
    ) {
        let keeper = &self.0;
        let work = keeper.refresh(&slot, reason, epoch, &landing);
        // Made here and not at the take-off, where a lock is held that a subscriber might ask for.
        #[cfg(feature = "tracing")]
        let work = tracing::Instrument::instrument(work, keeper.telemetry.flight_span(reason));
        let work = AssertUnwindSafe(work).catch_unwind();
        let arrival = work.await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Panicked,
                "the grant panicked while it got a token",
            ))
        });
        // Whoever joins in this very instant starts another one.
        if matches!(&arrival, Err(error) if error.is_unwanted()) {
            return;
        }
        // Here, so that all who waited share the one that has the name.
        let arrival = arrival.map_err(|error| error.of_token_source(&keeper.telemetry.source));
        landing.land(keeper.land(&slot, reason, epoch, arrival));
    }
}

impl Drop for Airborne {
    fn drop(&mut self) {
        self.0.flights.send_modify(|count| *count -= 1);
    }
}
