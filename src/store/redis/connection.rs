//! One connection to Redis that is made when it is needed, and made again when it has failed.
//!
//! The redis crate's `ConnectionManager` would do most of this. But it asks for a runtime when it
//! is built; it keeps a connection on which answers stay out, so that a server which vanished
//! without a word is noticed after a quarter of an hour; and a refusal while it connects (too many
//! clients, still loading) it keeps for good.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind,
    Value,
};

use crate::clock::Clock;
use crate::error::Error;
use crate::store::redis::report::report;
#[cfg(feature = "rustls")]
use crate::store::redis::roots::trusting_the_system;

/// For a call as a whole: connecting, sending, and both once more. The crate gives a store 2 s
/// (F11), and this has to be noticed before that, or a dead connection would be kept.
const LIMIT: Duration = Duration::from_millis(1_500);

/// Being made or ready; all who wait for it share it.
type Attempt = Shared<BoxFuture<'static, Result<MultiplexedConnection, RedisError>>>;

/// Where Redis is, and the connection there, if there is one.
pub(super) struct Connection {
    client: Client,
    clock: Clock,
    current: Mutex<Option<Attempt>>,
}

/// What Redis answered.
pub(super) struct Answer<T> {
    pub(super) value: T,
    /// Whether the command was sent twice, because the connection broke under the first one: it may
    /// have been carried out twice.
    pub(super) repeated: bool,
}

impl Connection {
    /// Asks nobody.
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            clock: Clock::system(),
            current: Mutex::default(),
        }
    }

    /// Sends a command and reads its answer. If the connection breaks meanwhile, which an idle one
    /// may have done long ago, the command is sent once more on a new one.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<Answer<T>, Error> {
        let mut limit = pin!(self.clock.sleep(LIMIT));
        let mut sent = self.send(command, limit.as_mut()).await;
        let repeated = matches!(sent, Err(Failure::Broken(_)));
        if repeated {
            sent = self.send(command, limit).await;
        }
        let value = sent.map_err(Failure::into_error)?;
        let value = T::from_redis_value(value)
            .map_err(|_| Error::store("Redis answered with something else than was asked for"))?;
        Ok(Answer { value, repeated })
    }

    async fn send(
        &self,
        command: &Cmd,
        limit: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Value, Failure> {
        let attempt = self.attempt();
        let work = async {
            let mut connection = attempt.clone().await.map_err(Failure::Unconnected)?;
            let answer = command.query_async(&mut connection).await;
            answer.map_err(|error| match is_broken(&error) {
                true => Failure::Broken(error),
                false => Failure::Refused(error),
            })
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
            let client = self.client.clone();
            // `ask` bounds every wait.
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(None)
                .set_response_timeout(None);
            let connect = async move {
                let connection = async {
                    #[cfg(feature = "rustls")]
                    let client = trusting_the_system(&client)?;
                    let connection = client.get_multiplexed_async_connection_with_config(&config);
                    connection.await
                };
                // rustls panics where two of its cryptographic providers are linked and none was
                // chosen, and a shared future that has panicked would never do anything else.
                let caught = AssertUnwindSafe(connection).catch_unwind().await;
                caught.unwrap_or_else(|_| Err((ErrorKind::Client, "panicked").into()))
            };
            connect.boxed().shared()
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

    /// Nothing in there panics while it is locked.
    fn current(&self) -> MutexGuard<'_, Option<Attempt>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where it leads is left out: the address comes with a password.
impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// Why a command brought nothing.
enum Failure {
    /// There is no connection.
    Unconnected(RedisError),
    /// There is none any more, and the command may have been carried out.
    Broken(RedisError),
    /// Redis said no.
    Refused(RedisError),
    /// Redis said nothing.
    TooLate,
}

impl Failure {
    fn into_error(self) -> Error {
        match self {
            Self::Unconnected(error) | Self::Broken(error) | Self::Refused(error) => report(&error),
            Self::TooLate => Error::store("Redis did not answer in time"),
        }
    }
}

/// What Redis itself says leaves the connection whole, but for `READONLY`: the server has become a
/// replica, and the name in the URL may lead to the new master already.
fn is_broken(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ReadOnly) => true,
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType => false,
        _ => true,
    }
}
