//! What went wrong with a database, in words that hold no secret.
//!
//! Its own words are not passed on: it quotes statements and values, and sqlx quotes what it did not expect.

use std::fmt;

use reqwest_bearer::Error;

/// As our error. The source is the network's word, if it comes from there.
pub(crate) fn report(error: &sqlx::Error) -> Error {
    match error {
        sqlx::Error::Io(network) => Error::store("the database is out of reach")
            .with_source(Quoted(network.kind().to_string())),
        sqlx::Error::Tls(_) => Error::store("the TLS connection to the database cannot be made"),
        sqlx::Error::PoolTimedOut => {
            Error::store("the pool had no connection to the database in time")
        }
        sqlx::Error::PoolClosed => Error::store("the pool of database connections is closed"),
        sqlx::Error::Database(refusal) => match refusal.code() {
            // As Postgres says it, and as SQLite does.
            Some(code) if code == "42P01" => no_table(),
            _ if refusal.message().starts_with("no such table") => no_table(),
            Some(code) if code.starts_with("28") => {
                Error::store("the database refused the user name or the password of the pool")
            }
            Some(code) if is_word(&code) => {
                Error::store(format!("the database refused the statement ({code})"))
            }
            _ => Error::store("the database refused the statement"),
        },
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            Error::store("the table in the database has other columns than it should")
        }
        _ => Error::store("the connection to the database cannot be used"),
    }
}

fn no_table() -> Error {
    Error::store("the table is not in the database; `SqlxStore::migrate` creates it")
}

/// An SQLSTATE of Postgres or a result code of SQLite: no room for a secret.
fn is_word(code: &str) -> bool {
    code.len() <= 5 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The text of an error that cannot be cloned.
#[derive(Debug)]
struct Quoted(String);

impl fmt::Display for Quoted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Quoted {}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use reqwest_bearer::ErrorKind;

    use super::report;

    #[test]
    fn no_word_of_a_database_is_passed_on() {
        // D6
        let s3cr3t = || "s3cr3t".to_owned();
        for (foreign, ours) in [
            (
                sqlx::Error::Io(io::Error::other("s3cr3t")),
                "the database is out of reach",
            ),
            (
                sqlx::Error::Tls(s3cr3t().into()),
                "the TLS connection to the database cannot be made",
            ),
            (
                sqlx::Error::Protocol(s3cr3t()),
                "the connection to the database cannot be used",
            ),
            (
                sqlx::Error::Configuration(s3cr3t().into()),
                "the connection to the database cannot be used",
            ),
            (
                sqlx::Error::Decode(s3cr3t().into()),
                "the table in the database has other columns than it should",
            ),
        ] {
            let error = report(&foreign);
            assert_eq!(error.to_string(), ours);
            assert_eq!(error.kind(), ErrorKind::Store);
            assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
        }
    }

    #[test]
    fn what_the_operating_system_says_is_passed_on() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = report(&sqlx::Error::Io(refused));
        assert_eq!(error.source().unwrap().to_string(), "connection refused");
    }
}
