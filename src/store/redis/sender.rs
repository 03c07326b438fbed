//! A connection of any type, as what sends a command on it.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use redis::aio::ConnectionLike;
use redis::{Cmd, RedisResult, Value};

/// Sends a command and brings its answer.
pub(super) type Sender =
    Arc<dyn Fn(Arc<Cmd>) -> BoxFuture<'static, RedisResult<Value>> + Send + Sync>;

/// The sender of a connection whose clones share it.
pub(super) fn sender(connection: impl ConnectionLike + Clone + Send + Sync + 'static) -> Sender {
    Arc::new(move |command| {
        let mut connection = connection.clone();
        async move { command.query_async(&mut connection).await }.boxed()
    })
}
