//! Which servers may be asked, where others than the program's settings name them.

mod global;
mod names;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use reqwest::dns::Resolve;
use reqwest::{ClientBuilder, Url};

use crate::endpoint::reach::global::is_global;
use crate::endpoint::reach::names::Judged;
use crate::error::{Error, ErrorKind, HowFar};
use crate::origin::is_loopback;

pub(crate) use crate::endpoint::reach::names::has_refused;

/// Whose addresses are asked. A document that names a server may be written by anybody, and this machine is
/// often in a network that its author is not in.
#[derive(Clone, Default)]
pub(crate) struct Reach {
    allowed: Allowed,
    /// Who knows the addresses of names, in place of the machine.
    resolver: Option<Arc<dyn Resolve>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Allowed {
    /// Whoever writes the settings knows the network.
    #[default]
    Any,
    Global,
    /// This machine as well, for an API that is on it.
    GlobalAndLoopback,
}

impl Reach {
    /// That of what is found by an API's metadata.
    pub(crate) fn found_by(api: &Url) -> Self {
        let on_this_machine = api.host_str().is_some_and(is_loopback);
        Self {
            allowed: if on_this_machine {
                Allowed::GlobalAndLoopback
            } else {
                Allowed::Global
            },
            resolver: None,
        }
    }

    /// Any address, by an explicit word.
    pub(crate) fn anywhere(self) -> Self {
        Self {
            allowed: Allowed::Any,
            ..self
        }
    }

    /// The same, where these are the addresses of names.
    pub(crate) fn with_resolver(self, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            resolver: Some(resolver),
            ..self
        }
    }

    /// Looks at a URL that is about to be asked. Its name, if it has one, is looked at when it is connected to.
    ///
    /// # Errors
    /// [`ErrorKind::OriginNotAllowed`] for an address, or a name of this machine, that may not be asked.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Error> {
        let host = url.host_str().unwrap_or_default();
        let literal = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let literal = match literal {
            Some(text) => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => host.parse().ok().map(IpAddr::V4),
        };
        let is_allowed = match (self.allowed, literal) {
            (Allowed::Any, _) => true,
            (allowed, Some(address)) => allowed.admits(address),
            (Allowed::Global, None) => !is_loopback(host),
            (Allowed::GlobalAndLoopback, None) => true,
        };
        is_allowed.then_some(()).ok_or_else(|| refused(url))
    }

    /// Has the HTTP client look at the addresses of each name that it connects to, if that is needed.
    pub(crate) fn guard(&self, http: ClientBuilder) -> ClientBuilder {
        match (self.allowed, &self.resolver) {
            (Allowed::Any, None) => http,
            (Allowed::Any, Some(resolver)) => http.dns_resolver(resolver.clone()),
            (allowed, resolver) => {
                let judged = Judged::new(resolver.clone(), move |address| allowed.admits(address));
                http.dns_resolver(Arc::new(judged))
            }
        }
    }
}

impl Allowed {
    fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Global => is_global(address),
            Self::GlobalAndLoopback => is_global(address) || address.is_loopback(),
        }
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.allowed.fmt(formatter)
    }
}

/// The error for a server that may not be asked.
pub(crate) fn refused(url: &Url) -> Error {
    Error::new(
        ErrorKind::OriginNotAllowed,
        "a server that was found by the metadata of an API has no address of the internet, so that it is not \
         asked; where it is meant to be in this network, allow it with `allow_private_addresses`",
    )
    .got(HowFar::NotSent)
    .at_server(url)
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::Reach;
    use crate::error::ErrorKind;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    const PRIVATE: [&str; 9] = [
        "https://10.0.0.1/token",
        "https://192.168.1.1",
        "https://169.254.169.254/latest",
        "https://0.0.0.0",
        "https://100.64.0.1",
        "https://[fd00::1]/",
        "https://[fe80::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://0x0a000001/",
    ];
    const LOOPBACK: [&str; 6] = [
        "http://127.0.0.1:1/",
        "https://127.1/",
        "https://[::1]/",
        "http://localhost/",
        "https://as.localhost/",
        "https://2130706433/",
    ];
    const GLOBAL: [&str; 4] = [
        "https://login.example.com/token",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
        "https://[::ffff:1.1.1.1]/",
    ];

    #[test]
    fn what_an_api_of_the_internet_names_is_of_the_internet() {
        // I5
        let reach = Reach::found_by(&url("https://api.example.com/v1"));
        for refused in PRIVATE.iter().chain(&LOOPBACK) {
            let error = reach.check(&url(refused)).expect_err(refused);
            assert_eq!(error.kind(), ErrorKind::OriginNotAllowed);
        }
        for good in GLOBAL {
            assert!(reach.check(&url(good)).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_an_api_of_this_machine_names_may_be_on_it_and_in_no_other_private_network() {
        // I5
        for api in ["http://localhost:1/", "http://127.0.0.1/", "http://[::1]/"] {
            let reach = Reach::found_by(&url(api));
            for refused in PRIVATE {
                assert!(reach.check(&url(refused)).is_err(), "{refused}");
            }
            for good in GLOBAL.iter().chain(&LOOPBACK) {
                assert!(reach.check(&url(good)).is_ok(), "{good}");
            }
        }
    }

    #[test]
    fn the_program_may_allow_any_address_and_what_it_names_itself_is_asked_anyway() {
        // I5
        let allowed = Reach::found_by(&url("https://api.example.com/v1")).anywhere();
        for reach in [allowed, Reach::default()] {
            for good in PRIVATE.iter().chain(&LOOPBACK).chain(&GLOBAL) {
                assert!(reach.check(&url(good)).is_ok(), "{good}");
            }
        }
    }
}
