//! What went wrong with Redis, in words that hold no secret.
//!
//! The redis crate's own words are not passed on: a server quotes a command that it does not know
//! with its arguments, which may be `AUTH` and the password, and the crate quotes an answer that it
//! did not expect.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError};

use crate::error::Error;

/// As our error. The source is the network's word, if it comes from there.
pub(super) fn report(error: &RedisError) -> Error {
    match error.kind() {
        ErrorKind::Io => match io_error(error) {
            Some(io) => Error::store("Redis is out of reach").with_source(io),
            None => Error::store("Redis is out of reach"),
        },
        ErrorKind::AuthenticationFailed => {
            Error::store("Redis refused the user name or the password of its URL")
        }
        ErrorKind::Server(_) | ErrorKind::Extension => match error.code().filter(is_word) {
            Some(code) => Error::store(format!("Redis refused the command ({code})")),
            None => Error::store("Redis refused the command"),
        },
        ErrorKind::Parse => Error::store("what answered does not speak as Redis does"),
        _ => Error::store("the connection to Redis cannot be made"),
    }
}

/// The first word of an error answer, such as `OOM` or `NOPERM`: a name, and no room for a secret.
fn is_word(code: &&str) -> bool {
    code.len() <= 16 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The operating system and the TLS stack know the address and the certificates, and nothing of
/// what is said on the connection.
fn io_error(error: &RedisError) -> Option<Quoted> {
    let source: &(dyn StdError + 'static) = error.source()?;
    let shared = source.downcast_ref::<Arc<dyn StdError + Send + Sync>>()?;
    let io = shared.downcast_ref::<io::Error>()?;
    Some(Quoted(io.to_string()))
}

/// The text of an error that cannot be cloned.
#[derive(Debug)]
struct Quoted(String);

impl std::fmt::Display for Quoted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl StdError for Quoted {}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, RedisError};

    use super::report;
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
                "Redis refused the user name or the password of its URL",
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
}
