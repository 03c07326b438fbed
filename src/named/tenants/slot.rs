//! The place of one tenant: its client, or why there is none yet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cooldown::Cooldown;
use crate::engine::runtime;
use crate::error::{Error, ErrorKind};
use crate::flight::{self, Flight, Waiter};
use crate::named::NamedClient;
use crate::named::tenants::recipe::Recipe;

/// How often a call looks anew, as one for a token does: a runtime that is being shut down drops what is
/// started on it.
const MOST_ROUNDS: u32 = 3;

type Outcome = Result<NamedClient, Error>;

/// One tenant.
#[derive(Debug, Default)]
pub(super) struct Slot {
    known: Mutex<Known>,
    /// In the time of the directory.
    last_used: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    client: Option<Ready>,
    /// The question for its settings that is under way.
    flight: Option<Flight<Outcome>>,
    failed: Cooldown,
    /// What is still under way is for nobody.
    gone: Option<Error>,
}

#[derive(Debug)]
struct Ready {
    client: NamedClient,
    /// How often the engine is held by the client alone.
    alone: usize,
}

impl Slot {
    /// The client of the tenant, whose settings are asked for if need be.
    ///
    /// # Errors
    /// If they cannot be had.
    pub(super) async fn client(self: &Arc<Self>, recipe: &Arc<Recipe>, tenant: &str) -> Outcome {
        for _ in 0..MOST_ROUNDS {
            let waiter = match self.look(recipe, tenant) {
                Ok(waiter) => waiter,
                Err(known) => return known,
            };
            if let Some(outcome) = waiter.outcome().await {
                return outcome;
            }
        }
        Err(Error::unavailable(
            "the runtime that should ask for the settings of the tenant is being shut down",
        ))
    }

    /// Joins the question under way, or begins one.
    ///
    /// # Errors
    /// What is known already, client or error.
    fn look(
        self: &Arc<Self>,
        recipe: &Arc<Recipe>,
        tenant: &str,
    ) -> Result<Waiter<Outcome>, Outcome> {
        let mut known = self.known();
        if let Some(gone) = &known.gone {
            return Err(Err(gone.clone()));
        }
        if let Some(ready) = &known.client {
            return Err(Ok(ready.client.clone()));
        }
        if let Some(waiter) = known.flight.as_ref().and_then(Flight::join) {
            return Ok(waiter);
        }
        if let Some(error) = known.failed.standing(recipe.clock.now()) {
            return Err(Err(error.clone()));
        }
        let runtime = runtime().map_err(Err)?;
        let (landing, flight, waiter) = flight::begin();
        known.flight = Some(flight);
        let (slot, recipe, tenant) = (self.clone(), recipe.clone(), tenant.to_owned());
        runtime.spawn(async move {
            let made = recipe.client(&tenant).await;
            landing.land(slot.land(&recipe, made));
        });
        Ok(waiter)
    }

    fn land(&self, recipe: &Recipe, made: Outcome) -> Outcome {
        let mut known = self.known();
        known.flight = None;
        if let Some(gone) = &known.gone {
            return Err(gone.clone());
        }
        match made {
            Ok(client) => {
                known.failed = Cooldown::default();
                known.client = Some(Ready {
                    alone: holders(&client),
                    client: client.clone(),
                });
                Ok(client)
            }
            Err(error) => Err(known.failed.fail(recipe.clock.now(), error)),
        }
    }

    /// Ends the tenant in this process, and takes its records out of the store.
    ///
    /// # Errors
    /// If the store cannot be told.
    pub(super) async fn remove(&self) -> Result<(), Error> {
        let client = self.end(removed());
        let Some(client) = client else {
            return Ok(());
        };
        client.0.tokens().engine().end().await
    }

    /// Takes no more questions; gives the client, if there is one.
    pub(super) fn close(&self) -> Option<NamedClient> {
        self.end(shut_down())
    }

    fn end(&self, why: Error) -> Option<NamedClient> {
        let mut known = self.known();
        known.gone = Some(why);
        known.client.take().map(|ready| ready.client)
    }

    /// Whether it may leave to make room: nobody asks for its settings, and the program holds no client of
    /// it. Of two engines of one tenant, a removal would end one.
    pub(super) fn is_idle(&self) -> bool {
        let known = self.known();
        let is_in_flight = known.flight.as_ref().is_some_and(Flight::is_under_way);
        let is_held = known
            .client
            .as_ref()
            .is_some_and(|ready| holders(&ready.client) > ready.alone);
        !is_in_flight && !is_held
    }

    /// What leaves first is the smallest: one that has no client, then the least recently used.
    pub(super) fn worth(&self) -> (bool, u64) {
        let has_client = self.known().client.is_some();
        (has_client, self.last_used.load(Ordering::Relaxed))
    }

    pub(super) fn touch(&self, now: u64) {
        self.last_used.store(now, Ordering::Relaxed);
    }

    /// Held for a few instructions, never across an await.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many hold the tokens of this client: itself, its clones, sources made from it, work under way.
fn holders(client: &NamedClient) -> usize {
    Arc::strong_count(client.0.tokens().engine())
}

pub(super) fn unknown(message: &str) -> Error {
    Error::new(ErrorKind::UnknownName, message)
}

pub(super) fn shut_down() -> Error {
    Error::new(
        ErrorKind::ShutDown,
        "the client of the tenants has been shut down",
    )
}

fn removed() -> Error {
    Error::new(
        ErrorKind::ShutDown,
        "the tenant was removed while its settings were asked for",
    )
}
