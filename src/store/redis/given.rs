//! Connections to Redis that the program looks after: a client of its own, or a pool.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use redis::aio::ConnectionLike;
use redis::{Cmd, Value};

use crate::store::redis::failure::Failure;
use crate::store::redis::report::{Foreign, report_unconnected};
use crate::store::redis::sender::sender;

/// An answer under way.
type Sent = BoxFuture<'static, Result<Value, Failure>>;

/// What sends a command. It gets a connection for each, and gives it back with the answer.
pub(super) struct Given {
    send: Box<dyn Fn(Arc<Cmd>) -> Sent + Send + Sync>,
}

impl Given {
    /// One connection, whose clones share it.
    pub(super) fn shared(connection: impl ConnectionLike + Clone + Send + Sync + 'static) -> Self {
        let send = sender(connection);
        Self {
            send: Box::new(move |command| {
                let answer = send(command);
                async move { answer.await.map_err(Failure::of_answer) }.boxed()
            }),
        }
    }

    /// One connection for each command, of a function that gets it.
    pub(super) fn of_function<F, Fut, C, E>(get: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, E>> + Send + 'static,
        C: ConnectionLike + Send + 'static,
        E: Into<Foreign>,
    {
        Self {
            send: Box::new(move |command| {
                let connection = get();
                async move {
                    let connection = connection.await;
                    let mut connection = connection
                        .map_err(|error| Failure::Unconnected(report_unconnected(error)))?;
                    let answer = command.query_async(&mut connection).await;
                    answer.map_err(Failure::of_answer)
                }
                .boxed()
            }),
        }
    }

    /// Sends a command. Its client bounds the time, or the caller does.
    pub(super) async fn send(&self, command: Arc<Cmd>) -> Result<Value, Failure> {
        (self.send)(command).await
    }
}

/// Without the connections, which know an address.
impl fmt::Debug for Given {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Given").finish_non_exhaustive()
    }
}
