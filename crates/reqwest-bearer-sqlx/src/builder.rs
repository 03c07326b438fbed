//! The settings of a store.

use std::fmt;

use reqwest_bearer::{Error, Protection};
#[cfg(feature = "postgres")]
use sqlx::PgPool;
#[cfg(feature = "sqlite")]
use sqlx::SqlitePool;

use crate::database::Database;
#[cfg(feature = "postgres")]
use crate::database::Exchange;
use crate::records::Records;
use crate::statements::Statements;
use crate::store::SqlxStore;
use crate::table::Table;

/// The settings of a [`SqlxStore`].
#[must_use]
pub struct SqlxStoreBuilder {
    database: Database,
    statements_of: fn(&Table) -> Statements,
    protection: Protection,
    table: Result<Table, Error>,
}

impl SqlxStoreBuilder {
    #[cfg(feature = "postgres")]
    pub(crate) fn of_postgres(pool: PgPool, protection: Protection) -> Self {
        Self {
            database: Database::Postgres(pool, Exchange::InTransaction),
            statements_of: Statements::of_postgres,
            protection,
            table: Ok(Table::usual()),
        }
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn of_sqlite(pool: SqlitePool, protection: Protection) -> Self {
        Self {
            database: Database::Sqlite(pool),
            statements_of: Statements::of_sqlite,
            protection,
            table: Ok(Table::usual()),
        }
    }

    /// The name of the table, or `schema.table`; each of at most 48 letters, digits and underscores, taken as
    /// they are written. By default `reqwest_bearer_tokens`, wherever the connections find it.
    pub fn table(mut self, name: impl AsRef<str>) -> Self {
        self.table = Table::read(name.as_ref());
        self
    }

    /// Prepares each statement once for each connection and leaves it there: a call takes one round trip. By
    /// default it takes four, in a transaction for the one statement, which every pooler keeps together.
    ///
    /// For connections that lead straight to Postgres, or to a pooler that knows of prepared statements: PgBouncer
    /// from 1.21 on with `max_prepared_statements`, or with `pool_mode = session`. Behind any other one a process
    /// may carry out the statement that another one has prepared. SQLite's are always prepared.
    pub fn prepared_statements(mut self) -> Self {
        match &mut self.database {
            #[cfg(feature = "postgres")]
            Database::Postgres(_, exchange) => *exchange = Exchange::Prepared,
            #[cfg(feature = "sqlite")]
            Database::Sqlite(_) => {}
        }
        self
    }

    /// Builds the store. Asks nobody.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](reqwest_bearer::ErrorKind::Settings) for a name that no table can have.
    pub fn build(self) -> Result<SqlxStore, Error> {
        let table = self.table?;
        let records = Records::new(self.database, (self.statements_of)(&table));
        Ok(SqlxStore::new(records, self.protection, table))
    }
}

/// Without the pool, whose URL may have a password in it.
impl fmt::Debug for SqlxStoreBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SqlxStoreBuilder")
            .field("table", &self.table.as_ref().map(Table::quoted))
            .field("protection", &self.protection)
            .finish_non_exhaustive()
    }
}
