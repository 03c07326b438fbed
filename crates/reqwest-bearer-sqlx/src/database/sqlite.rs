//! One statement on one connection to SQLite.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row as _, SqlitePool};

use crate::database::{Failure, Row, Value};

/// A call that is given up leaves its statement to the thread of the connection, which carries it out or has
/// nothing to do with it; then the connection is back in the pool.
pub(super) async fn ask(
    pool: &SqlitePool,
    statement: &Arc<str>,
    values: &[Value<'_>],
) -> Result<Vec<Row>, Failure> {
    let mut connection = pool.acquire().await.map_err(Failure::Unconnected)?;
    // Of a validated name and parameters.
    let mut query = sqlx::query(AssertSqlSafe(statement.clone()));
    for value in values {
        query = match value {
            Value::Bytes(bytes) => query.bind(*bytes),
            Value::Text(text) => query.bind(text.as_deref()),
            Value::Number(number) => query.bind(number),
        };
    }
    // To its end, or nobody would hear that it could not be committed.
    let rows = query.fetch_all(&mut *connection).await.map_err(failure)?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        Ok(Row {
            version: row.try_get(0)?,
            data: row.try_get(1)?,
        })
    };
    rows.iter()
        .map(read)
        .collect::<sqlx::Result<_>>()
        .map_err(failure)
}

pub(super) async fn create(pool: &SqlitePool, statement: &str) -> Result<(), Failure> {
    let created = sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await;
    created.map(drop).map_err(|error| match is_busy(&error) {
        true => Failure::Collided(error),
        false => failure(error),
    })
}

/// Whether another connection had the lock for longer than the pool's connections wait for it. The lowest byte
/// of an extended result code is the code.
fn is_busy(error: &sqlx::Error) -> bool {
    const SQLITE_BUSY: u32 = 5;
    let code = error.as_database_error().and_then(|error| error.code());
    let code = code.and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == SQLITE_BUSY)
}

fn failure(error: sqlx::Error) -> Failure {
    match &error {
        // The thread of the connection has ended.
        sqlx::Error::WorkerCrashed => Failure::Broken(error),
        _ => Failure::Refused(error),
    }
}
