//! One connection to Redis that is made when it is needed, and made again when it has failed.
//!
//! The redis crate's `ConnectionManager` would do most of this. But it asks for a runtime when it
//! is built; it keeps a connection on which answers stay out, so that a server which vanished
//! without a word is noticed after a quarter of an hour; and a refusal while it connects (too many
//! clients, still loading) it keeps for good.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::ConnectionLike;
use redis::{AsyncConnectionConfig, Client, Cmd, Value};

use crate::error::Error;
use crate::store::redis::failure::Failure;
use crate::store::redis::report::{Foreign, report, report_unconnected};
#[cfg(feature = "rustls")]
use crate::store::redis::roots::trusting_the_system;
use crate::store::redis::sender::{Sender, sender};

/// A connection that is being made.
type Connecting = BoxFuture<'static, Result<Sender, Error>>;

/// Being made or ready; all who wait for it share it.
type Attempt = Shared<Connecting>;

/// How a connection is made, and the present one, if there is one.
pub(super) struct Kept {
    connect: Box<dyn Fn() -> Connecting + Send + Sync>,
    current: Mutex<Option<Attempt>>,
}

impl Kept {
    /// To the server of this client. Asks nobody.
    pub(super) fn of_client(client: Client) -> Self {
        Self::new(move || {
            let client = client.clone();
            async move {
                // `send` bounds every wait.
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(None)
                    .set_response_timeout(None);
                #[cfg(feature = "rustls")]
                let client = trusting_the_system(&client).map_err(|error| report(&error))?;
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                connection.await.map_err(|error| report(&error)).map(sender)
            }
        })
    }

    /// Of a function that makes them. Calls nobody.
    pub(super) fn of_function<F, Fut, C, E>(connect: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, E>> + Send + 'static,
        C: ConnectionLike + Clone + Send + Sync + 'static,
        E: Into<Foreign>,
    {
        Self::new(move || {
            let connection = connect();
            async move {
                let connection = connection.await;
                connection.map_err(report_unconnected).map(sender)
            }
        })
    }

    fn new<F, Fut>(connect: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Sender, Error>> + Send + 'static,
    {
        Self {
            connect: Box::new(move || connect().boxed()),
            current: Mutex::default(),
        }
    }

    /// Sends a command on the connection, or on a new one if there is none.
    pub(super) async fn send(
        &self,
        command: &Arc<Cmd>,
        limit: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Value, Failure> {
        let attempt = self.attempt();
        let work = async {
            let send = attempt.clone().await.map_err(Failure::Unconnected)?;
            let answer = send(command.clone()).await;
            answer.map_err(Failure::of_answer)
        };
        let answer = tokio::select! {
            answer = work => answer,
            () = limit => Err(Failure::TooLate),
        };
        match &answer {
            Ok(_) | Err(Failure::Refused(_)) => {}
            // A connection on which nothing comes is no better than one that broke: it may lead to
            // a server that is not there any more.
            Err(_) => self.forget(&attempt),
        }
        answer
    }

    /// The connection, or the attempt to make it that is under way, or a new one.
    fn attempt(&self) -> Attempt {
        let mut current = self.current();
        let attempt = current.get_or_insert_with(|| {
            // rustls panics where two of its cryptographic providers are linked and none was
            // chosen, and a shared future that has panicked would never do anything else.
            let connection = AssertUnwindSafe((self.connect)()).catch_unwind();
            let connection = connection.map(|caught| caught.unwrap_or_else(|_| Err(panicked())));
            connection.boxed().shared()
        });
        attempt.clone()
    }

    /// Makes the next call begin anew, unless another call has begun that already.
    fn forget(&self, attempt: &Attempt) {
        let mut current = self.current();
        if current.as_ref().is_some_and(|other| other.ptr_eq(attempt)) {
            current.take();
        }
    }

    /// What panics in there, a function of the program's, leaves it as it was.
    fn current(&self) -> MutexGuard<'_, Option<Attempt>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn panicked() -> Error {
    Error::store("making a connection to Redis panicked")
}

/// Without the way there: the address comes with a password.
impl fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kept").finish_non_exhaustive()
    }
}
