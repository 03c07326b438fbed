//! The URL of a Redis server, read when it is given.

use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{Client, ConnectionAddr, IntoConnectionInfo as _};

use crate::error::Error;

/// Networks forget connections that are silent for minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Reads the URL and asks nobody. No part of it is in an error: it may have a password in it.
pub(super) fn read(url: &str) -> Result<Client, Error> {
    if is_tls(url) {
        is_tls_possible()?;
    }
    let form = || {
        Error::settings(
            "the Redis URL does not have the form \
             `redis://[user][:password@]host[:port][/database]`, with `rediss:` for TLS",
        )
    };
    // The redis crate's own words are left out: they may quote what was given.
    let info = url.into_connection_info().map_err(|_| form())?;
    if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
        return Err(Error::settings(
            "a Redis URL that ends with `#insecure` would send tokens to whoever answers",
        ));
    }
    let settings = TcpSettings::default()
        // Small commands that are not held back until the one before is acknowledged.
        .set_nodelay(true)
        .set_keepalive(TcpKeepalive::new().with_time(KEEP_ALIVE));
    Client::open(info.set_tcp_settings(settings)).map_err(|_| form())
}

fn is_tls(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("rediss") || scheme.eq_ignore_ascii_case("valkeys")
}

fn is_tls_possible() -> Result<(), Error> {
    if cfg!(any(feature = "rustls", feature = "native-tls")) {
        return Ok(());
    }
    Err(Error::settings(
        "a Redis URL that starts with `rediss:` needs TLS: switch on the feature `rustls` or \
         `native-tls` of reqwest-bearer",
    ))
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::error::ErrorKind;

    #[test]
    fn a_wrong_url_is_an_error_when_it_is_given_and_is_not_quoted() {
        // D6
        for bad in [
            "",
            "s3cr3t",
            "redis://",
            "redis://:s3cr3t@",
            "http://:s3cr3t@localhost",
            "redis://:s3cr3t@localhost/one",
            "redis://:s3cr3t@localhost:99999",
            "redis://:s3cr3t@0.0.0.0",
            "redis://localhost?protocol=s3cr3t",
            "rediss://:s3cr3t@localhost/#insecure",
            "rediss://:s3cr3t@localhost/#s3cr3t",
        ] {
            let error = read(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings, "{bad}");
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{bad}");
        }
    }

    #[cfg(not(any(feature = "rustls", feature = "native-tls")))]
    #[test]
    fn tls_without_a_feature_for_it_says_which_one_to_switch_on() {
        for url in [
            "rediss://localhost",
            "REDISS://localhost",
            "valkeys://localhost",
        ] {
            let error = read(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings);
            assert!(error.to_string().contains("feature `rustls`"), "{error}");
        }
    }

    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    #[test]
    fn tls_is_there_with_either_of_its_features_and_with_both() {
        // A feature only adds, and cargo may unify both in a workspace.
        for url in ["rediss://localhost", "valkeys://user:pass@localhost:1/2"] {
            assert!(read(url).is_ok(), "{url}");
        }
    }
}
