//! The way to Redis: how a command gets there and its answer back, in a bounded time.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Value};

use crate::clock::Clock;
use crate::error::Error;
use crate::store::redis::failure::Failure;
use crate::store::redis::given::Given;
use crate::store::redis::kept::Kept;

/// For a call as a whole: connecting, sending, and both once more. The crate gives a store 2 s
/// (F11), and this has to be noticed before that, or a dead connection would be kept.
const LIMIT: Duration = Duration::from_millis(1_500);

/// Where Redis is, and how it is reached.
#[derive(Debug)]
pub(super) struct Connection {
    way: Way,
    clock: Clock,
}

/// Who looks after the connections.
#[derive(Debug)]
pub(super) enum Way {
    /// The store: it has one, which it replaces when that fails.
    Kept(Kept),
    /// The program: each command gets one.
    Given(Given),
}

/// What Redis answered.
pub(super) struct Answer<T> {
    pub(super) value: T,
    /// Whether the command may have been sent twice, and carried out twice: the connection broke under
    /// the first one, or the program's client repeats commands without a word, as cluster clients do.
    pub(super) may_be_repeated: bool,
}

impl Connection {
    /// Asks nobody.
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            clock: Clock::system(),
        }
    }

    /// Whether a command may have keys of one record only one by one. The program's client may be one of a
    /// cluster: while the slot of two keys moves to another node, a command with both of them is refused
    /// (`TRYAGAIN`) for as long as the move lasts, and one with a single key is led to where that is.
    pub(super) fn wants_one_key(&self) -> bool {
        matches!(self.way, Way::Given(_))
    }

    /// Ends when a call that begins now has failed.
    pub(super) async fn limit(&self) {
        self.clock.sleep(LIMIT).await;
    }

    /// Sends a command and reads its answer.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: Cmd) -> Result<Answer<T>, Error> {
        self.ask_within(command, pin!(self.limit())).await
    }

    /// The same, as a part of a call that has a limit.
    pub(super) async fn ask_within<T: FromRedisValue>(
        &self,
        command: Cmd,
        limit: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Answer<T>, Error> {
        let answer = self.try_within(command, limit).await;
        answer.map_err(Failure::into_error)?.read()
    }

    /// As [`ask`](Self::ask); `None` if the command's keys are not in one slot of a cluster.
    pub(super) async fn ask_unless_cross_slot<T: FromRedisValue>(
        &self,
        command: Cmd,
    ) -> Result<Option<Answer<T>>, Error> {
        match self.try_within(command, pin!(self.limit())).await {
            Ok(answer) => answer.read().map(Some),
            Err(failure) if failure.is_cross_slot() => Ok(None),
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Sends a command. If the connection breaks meanwhile, which an idle one may have done long ago, the
    /// command is sent once more on a new one.
    async fn try_within(
        &self,
        command: Cmd,
        mut limit: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Answer<Value>, Failure> {
        let command = Arc::new(command);
        let mut sent = self.send(&command, limit.as_mut()).await;
        let is_broken = matches!(sent, Err(Failure::Broken(_)));
        if is_broken {
            sent = self.send(&command, limit).await;
        }
        Ok(Answer {
            value: sent?,
            may_be_repeated: is_broken || matches!(self.way, Way::Given(_)),
        })
    }

    async fn send(
        &self,
        command: &Arc<Cmd>,
        limit: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Value, Failure> {
        match &self.way {
            Way::Kept(kept) => kept.send(command, limit).await,
            Way::Given(given) => tokio::select! {
                answer = given.send(command.clone()) => answer,
                () = limit => Err(Failure::TooLate),
            },
        }
    }
}

impl Answer<Value> {
    fn read<T: FromRedisValue>(self) -> Result<Answer<T>, Error> {
        let value = T::from_redis_value(self.value)
            .map_err(|_| Error::store("Redis answered with something else than was asked for"))?;
        Ok(Answer {
            value,
            may_be_repeated: self.may_be_repeated,
        })
    }
}
