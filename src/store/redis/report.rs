//! What went wrong with Redis, in words that hold no secret.
//!
//! The redis crate's own words are not passed on: a server quotes a command that it does not know
//! with its arguments, which may be `AUTH` and the password, and the crate quotes an answer that it
//! did not expect.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use redis::{ErrorKind, RedisError};

use crate::error::Error;

/// As our error. The source is the network's word, if it comes from there.
pub(super) fn report(error: &RedisError) -> Error {
    match error.kind() {
        ErrorKind::Io => with_network(Error::store("Redis is out of reach"), error),
        ErrorKind::AuthenticationFailed => {
            Error::store("Redis refused the user name or the password")
        }
        ErrorKind::Server(_) | ErrorKind::Extension => match error.code().filter(is_word) {
            Some(code) => Error::store(format!("Redis refused the command ({code})")),
            None => Error::store("Redis refused the command"),
        },
        ErrorKind::Parse => Error::store("what answered does not speak as Redis does"),
        ErrorKind::ClusterConnectionNotFound => {
            Error::store("no node of the Redis Cluster is in reach that could be asked")
        }
        ErrorKind::MasterNameNotFoundBySentinel => {
            Error::store("no Sentinel in reach knows a Redis master of that name")
        }
        _ => with_network(
            Error::store("the connection to Redis cannot be made"),
            error,
        ),
    }
}

/// An error of the program's, in whatever type.
pub(super) type Foreign = Box<dyn StdError + Send + Sync>;

/// Why the program's own function gave no connection: what the redis crate says below its error. Its other
/// words are the pool's or the program's, and may quote what a server said.
pub(super) fn report_unconnected(error: impl Into<Foreign>) -> Error {
    let error = error.into();
    let mut next: Option<&(dyn StdError + 'static)> = Some(&*error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<RedisError>() {
            return report(error);
        }
        next = error.source();
    }
    Error::store("the program gave no connection to Redis")
}

/// The first word of an error answer, such as `OOM` or `NOPERM`: a name, and no room for a secret.
fn is_word(code: &&str) -> bool {
    code.len() <= 16 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Adds what the operating system or the TLS stack said, if the error comes from there: they know
/// the address and the certificates, and nothing of what is said on the connection. The redis crate
/// keeps their errors, and no others, in an `Arc`.
fn with_network(ours: Error, error: &RedisError) -> Error {
    let source = StdError::source(error)
        .and_then(|source| source.downcast_ref::<Arc<dyn StdError + Send + Sync>>());
    match source {
        Some(source) => ours.with_source(Quoted(source.to_string())),
        None => ours,
    }
}

/// The text of an error that cannot be cloned.
#[derive(Debug)]
struct Quoted(String);

impl fmt::Display for Quoted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl StdError for Quoted {}

#[cfg(test)]
mod tests {
    use std::fmt;

    use redis::{ErrorKind, RedisError};

    use super::{report, report_unconnected};
    use crate::error;

    #[test]
    fn no_word_of_a_server_is_passed_on_but_its_code() {
        // D6
        for (foreign, ours) in [
            (
                redis::make_extension_error(
                    "ERR".to_owned(),
                    Some("unknown command `AUTH`, with args beginning with: `s3cr3t`".to_owned()),
                ),
                "Redis refused the command (ERR)",
            ),
            (
                redis::make_extension_error("s3cr3t".to_owned(), None),
                "Redis refused the command",
            ),
            (
                RedisError::from((ErrorKind::Io, "s3cr3t", "s3cr3t".to_owned())),
                "Redis is out of reach",
            ),
            (
                RedisError::from((ErrorKind::AuthenticationFailed, "s3cr3t")),
                "Redis refused the user name or the password",
            ),
            (
                RedisError::from((ErrorKind::UnexpectedReturnType, "s3cr3t")),
                "the connection to Redis cannot be made",
            ),
        ] {
            let error = report(&foreign);
            assert_eq!(error.to_string(), ours);
            assert_eq!(error.kind(), error::ErrorKind::Store);
            assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
        }
    }

    #[test]
    fn what_the_operating_system_says_is_passed_on() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = report(&RedisError::from(refused));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "connection refused");
    }

    /// As the error of a pool: it quotes the one below.
    #[derive(Debug)]
    struct OfPool(RedisError);

    impl fmt::Display for OfPool {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "no connection: {}", self.0)
        }
    }

    impl std::error::Error for OfPool {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn of_a_pool_s_error_what_redis_says_below_it_is_told_and_nothing_else() {
        // D6
        let below = || RedisError::from((ErrorKind::AuthenticationFailed, "s3cr3t"));
        let ours = "Redis refused the user name or the password";
        for (error, ours) in [
            (report_unconnected(below()), ours),
            (report_unconnected(OfPool(below())), ours),
            (
                report_unconnected("s3cr3t"),
                "the program gave no connection to Redis",
            ),
        ] {
            assert_eq!(error.to_string(), ours);
            assert_eq!(error.kind(), error::ErrorKind::Store);
            assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
        }
    }
}
