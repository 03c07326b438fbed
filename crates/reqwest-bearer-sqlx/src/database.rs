//! Asks the database of a pool, for no longer than a store may take, and again where that may help.

use std::sync::Arc;
use std::time::Duration;

use reqwest_bearer::Error;
#[cfg(feature = "postgres")]
use sqlx::PgPool;
#[cfg(feature = "sqlite")]
use sqlx::SqlitePool;

use crate::report::report;

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

/// For a call as a whole: a connection of the pool's, the statement, and both again. The crate gives a store
/// 2 s (F11), and this has to be noticed before that, or a dead connection would be kept.
const LIMIT: Duration = Duration::from_millis(1_500);

/// How often the creation of the table is tried again while other processes create it.
const COLLISIONS: usize = 20;

/// A database by the pool that leads to it.
#[derive(Clone)]
pub(crate) enum Database {
    #[cfg(feature = "postgres")]
    Postgres(PgPool, Exchange),
    #[cfg(feature = "sqlite")]
    Sqlite(SqlitePool),
}

/// How a statement reaches Postgres.
#[cfg(feature = "postgres")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// In a transaction of its own, which keeps a pooler from giving the halves of the exchange to two sessions.
    InTransaction,
    /// Prepared once for each connection.
    Prepared,
}

/// A parameter.
pub(crate) enum Value<'call> {
    Bytes(&'call [u8]),
    Text(Option<String>),
    Number(i64),
}

/// A row that a statement answers with.
pub(crate) struct Row {
    pub(crate) version: Option<String>,
    pub(crate) data: Option<Vec<u8>>,
}

/// What the database answered.
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    /// Whether the statement was sent twice, because the connection broke under the first one: it may have been
    /// carried out twice.
    pub(crate) repeated: bool,
}

impl Database {
    /// Carries a statement out.
    pub(crate) async fn ask(
        &self,
        statement: &Arc<str>,
        values: &[Value<'_>],
    ) -> Result<Answer, Error> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a database keeps real time: the injected clock cannot make it answer sooner"
        )]
        let asked = tokio::time::timeout(LIMIT, self.ask_for_long(statement, values)).await;
        asked.unwrap_or_else(|_| Err(Error::store("the database did not answer in time")))
    }

    async fn ask_for_long(
        &self,
        statement: &Arc<str>,
        values: &[Value<'_>],
    ) -> Result<Answer, Error> {
        // Each idle connection may have broken long ago, by a restart of the database; the one that is made
        // after them all has not.
        let mut may_be_broken = self.idle() + 1;
        let mut repeated = false;
        loop {
            let rows = match self.once(statement, values).await {
                Ok(rows) => rows,
                Err(Failure::Broken(_)) if may_be_broken > 0 => {
                    may_be_broken -= 1;
                    repeated = true;
                    continue;
                }
                // The database has undone it, for another one that came in between.
                Err(Failure::Collided(_)) => continue,
                Err(Failure::Refused(error)) if is_of_changed_row(&error) => Vec::new(),
                Err(failure) => return Err(report(&failure.into_error())),
            };
            return Ok(Answer { rows, repeated });
        }
    }

    async fn once(&self, statement: &Arc<str>, values: &[Value<'_>]) -> Result<Vec<Row>, Failure> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool, exchange) => {
                postgres::ask(pool, *exchange, statement, values).await
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => sqlite::ask(pool, statement, values).await,
        }
    }

    /// How many connections wait in the pool.
    fn idle(&self) -> usize {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool, _) => pool.num_idle(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => pool.num_idle(),
        }
    }

    /// Creates what is not there. Several processes may do so at once: what the database finds half done by
    /// another one is tried again.
    pub(crate) async fn create(&self, schema: &[String]) -> Result<(), Error> {
        for statement in schema {
            let mut collisions = 0;
            loop {
                let created = match self {
                    #[cfg(feature = "postgres")]
                    Self::Postgres(pool, _) => postgres::create(pool, statement).await,
                    #[cfg(feature = "sqlite")]
                    Self::Sqlite(pool) => sqlite::create(pool, statement).await,
                };
                match created {
                    Ok(()) => break,
                    Err(Failure::Collided(_)) if collisions < COLLISIONS => collisions += 1,
                    Err(failure) => return Err(report(&failure.into_error())),
                }
            }
        }
        Ok(())
    }
}

/// Why a statement brought nothing.
#[derive(Debug)]
enum Failure {
    /// The pool had no connection.
    Unconnected(sqlx::Error),
    /// The connection broke, and the statement may have been carried out.
    Broken(sqlx::Error),
    /// The database undid the statement because of another one, and would carry it out now.
    Collided(sqlx::Error),
    /// The database said no.
    Refused(sqlx::Error),
}

impl Failure {
    fn into_error(self) -> sqlx::Error {
        match self {
            Self::Unconnected(error)
            | Self::Broken(error)
            | Self::Collided(error)
            | Self::Refused(error) => error,
        }
    }
}

/// How a rename says that one of its rows has changed.
fn is_of_changed_row(error: &sqlx::Error) -> bool {
    let refusal = error.as_database_error();
    refusal
        .is_some_and(|refusal| matches!(refusal.kind(), sqlx::error::ErrorKind::NotNullViolation))
}
