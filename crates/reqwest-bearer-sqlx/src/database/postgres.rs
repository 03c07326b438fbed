//! One statement on one connection to Postgres.

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, Postgres, Row as _};

use crate::database::{Exchange, Failure, Row, Value};

/// sqlx sends an unnamed statement and what it is executed with one after the other. A pooler in between may
/// give the two to different sessions, where another program's unnamed statement waits, unless they are in one
/// transaction. This one ends by itself where the process that began it does not go on: nothing of it waits for
/// a process that was stopped, or whose machine is gone.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 1500; \
                     SET LOCAL idle_in_transaction_session_timeout = 1500";

pub(super) async fn ask(
    pool: &PgPool,
    exchange: Exchange,
    statement: &Arc<str>,
    values: &[Value<'_>],
) -> Result<Vec<Row>, Failure> {
    let connection = pool.acquire().await.map_err(Failure::Unconnected)?;
    let mut lent = Lent(Some(connection));
    let asked = match exchange {
        Exchange::Prepared => execute(lent.connection(), true, statement, values).await,
        Exchange::InTransaction => in_transaction(lent.connection(), statement, values).await,
    };
    let asked = asked.map_err(failure);
    if !matches!(asked, Err(Failure::Broken(_))) {
        lent.give_back();
    }
    asked
}

async fn in_transaction(
    connection: &mut PgConnection,
    statement: &Arc<str>,
    values: &[Value<'_>],
) -> sqlx::Result<Vec<Row>> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let rows = execute(&mut transaction, false, statement, values).await?;
    transaction.commit().await?;
    Ok(rows)
}

async fn execute(
    connection: &mut PgConnection,
    prepared: bool,
    statement: &Arc<str>,
    values: &[Value<'_>],
) -> sqlx::Result<Vec<Row>> {
    // Of a validated name and parameters.
    let mut query = sqlx::query(AssertSqlSafe(statement.clone())).persistent(prepared);
    for value in values {
        query = match value {
            Value::Bytes(bytes) => query.bind(*bytes),
            Value::Text(text) => query.bind(text.as_deref()),
            Value::Number(number) => query.bind(number),
        };
    }
    let rows = query.fetch_all(connection).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(Row {
            version: row.try_get(0)?,
            data: row.try_get(1)?,
        })
    };
    rows.iter().map(read).collect()
}

/// By the simple protocol, which no pooler takes apart.
pub(super) async fn create(pool: &PgPool, statement: &str) -> Result<(), Failure> {
    let created = sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await;
    created.map(drop).map_err(|error| match code(&error) {
        // What another process creates at the same time is there, half there, or in use.
        Some("23505" | "42P07" | "42710" | "XX000" | "40P01") => Failure::Collided(error),
        _ => failure(error),
    })
}

fn failure(error: sqlx::Error) -> Failure {
    match &error {
        sqlx::Error::Database(_) => match code(&error).unwrap_or_default() {
            // A serialization failure, where the pool's transactions are serializable, and a deadlock.
            "40001" | "40P01" => Failure::Collided(error),
            // The session has ended, or leads to a server that has become a replica: the next one may lead to
            // the new primary already.
            code if code.starts_with("08") || code.starts_with("57P") => Failure::Broken(error),
            "25P03" | "25006" => Failure::Broken(error),
            _ => Failure::Refused(error),
        },
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Failure::Refused(error),
        _ => Failure::Broken(error),
    }
}

/// The SQLSTATE.
fn code(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    let error = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    Some(error.code())
}

/// A connection of the pool's that goes back if it is given back. Otherwise, because the call was given up or the
/// connection broke, it is closed: the pool would wait on it for an answer, for as long as none comes.
struct Lent(Option<PoolConnection<Postgres>>);

impl Lent {
    #[expect(clippy::expect_used, reason = "it is taken by what consumes this")]
    fn connection(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it was not given back yet")
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
