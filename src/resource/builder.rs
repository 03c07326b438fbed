//! The settings of a protected resource.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::{ClientBuilder, Url};

use crate::challenge::BearerChallenge;
use crate::clock::Clock;
use crate::endpoint::address::{self, PlainHttp};
use crate::endpoint::found::Finding;
use crate::endpoint::kept::Kept;
use crate::endpoint::reach::Reach;
use crate::error::Error;
use crate::origin::same_origin;
use crate::resource::places::Places;
use crate::resource::{Parts, ProtectedResource};

#[cfg(any(test, feature = "test-util"))]
use crate::clock::TestClock;

/// Makes a [`ProtectedResource`].
#[must_use = "a builder makes nothing until `build` is called"]
pub struct ProtectedResourceBuilder {
    url: String,
    metadata_url: Option<String>,
    scope: Option<String>,
    is_own_server: bool,
    private_addresses: bool,
    resolver: Option<Arc<dyn Resolve>>,
    http: Option<ClientBuilder>,
    attempt_timeout: Duration,
    clock: Clock,
}

impl ProtectedResourceBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            metadata_url: None,
            scope: None,
            is_own_server: false,
            private_addresses: false,
            resolver: None,
            http: None,
            attempt_timeout: Duration::from_secs(10),
            clock: Clock::system(),
        }
    }

    /// What the API has asked for in a challenge: its `resource_metadata` (RFC 9728 section 5.1), which has to
    /// be at the API's own origin, is then where its metadata is and nowhere else, and its `scope` comes before
    /// the scopes of the metadata.
    /// Default: none.
    pub fn challenge(mut self, challenge: &BearerChallenge) -> Self {
        let place = challenge.parameter("resource_metadata");
        self.metadata_url = place.map(str::to_owned);
        self.scope = challenge.scope().map(str::to_owned);
        self
    }

    /// Takes the API's own origin for its authorization server where there is no metadata at all, as the
    /// first version of the Model Context Protocol (2025-03-26) had it, before RFC 9728.
    /// Default: an API without metadata is an error.
    pub fn own_origin_without_metadata(mut self) -> Self {
        self.is_own_server = true;
        self
    }

    /// Allows addresses that are not of the internet (private, link-local, loopback), for the API and all that
    /// is found by it: for APIs inside of a company's network. **Whoever writes the metadata then has this
    /// machine send requests to whatever it can reach.**
    /// Default: addresses of the internet alone, and this machine where the API itself is on it.
    pub fn allow_private_addresses(mut self) -> Self {
        self.private_addresses = true;
        self
    }

    /// Who knows the addresses of names; they are judged here all the same.
    /// Default: the operating system.
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// The HTTP client for the metadata and for the authorization servers that are found by it: proxy, roots,
    /// timeouts. Its redirect policy, its pool and its resolver are replaced; a resolver is given by
    /// [`resolver`](Self::resolver). Names that the builder itself has an address for
    /// ([`ClientBuilder::resolve`](reqwest::ClientBuilder::resolve)) are not judged, and behind its proxy none
    /// is.
    /// Default: as for [`TokenEndpointBuilder::http`](crate::TokenEndpointBuilder::http).
    pub fn http(mut self, http: ClientBuilder) -> Self {
        self.http = Some(http);
        self
    }

    /// How long one request may take, for the metadata and at the authorization servers.
    /// Default: 10 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// The clock by which the metadata ages, also that of the servers' documents.
    /// Default: the machine's.
    #[cfg(any(test, feature = "test-util"))]
    pub fn clock(mut self, clock: &TestClock) -> Self {
        self.clock = Clock::Test(clock.clone());
        self
    }

    /// Checks the settings. Nothing is sent.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for a URL that is neither https nor on this machine,
    /// or says more than an API's URL;
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) for a challenge that names metadata at another
    /// origin.
    pub fn build(self) -> Result<ProtectedResource, Error> {
        let url = self.api()?;
        if self.attempt_timeout.is_zero() {
            return Err(Error::settings(
                "`attempt_timeout` is 0; no request could be answered",
            ));
        }
        let places = match &self.metadata_url {
            Some(place) => Places::one(named_by_challenge(place, &url)?),
            None => Places::well_known(&url),
        };
        let places = places.or_own_origin(self.is_own_server);
        let mut reach = Reach::found_by(&url);
        if self.private_addresses {
            reach = reach.anywhere();
        }
        if let Some(resolver) = self.resolver {
            reach = reach.with_resolver(resolver);
        }
        let clock = self.clock;
        let finding = Finding::new(&url, reach, self.http, self.attempt_timeout, clock.clone())?;
        let kept = Kept::new("metadata of the API", places.first().clone(), clock);
        Ok(ProtectedResource(Arc::new(Parts {
            url,
            places,
            scope: self.scope,
            finding,
            kept: Arc::new(kept),
            servers: Mutex::default(),
        })))
    }

    fn api(&self) -> Result<Url, Error> {
        let fault = |fault: &str| Error::settings(format!("the URL of the API {fault}"));
        let url = address::check(&self.url, PlainHttp::Refused).map_err(fault)?;
        if url.query().is_some() {
            return Err(fault(
                "has a query, which is of a request and not of the API",
            ));
        }
        Ok(url)
    }
}

/// Anybody may name any place in a challenge that a proxy or an error page lets through.
fn named_by_challenge(place: &str, api: &Url) -> Result<Url, Error> {
    let fault = |fault: &str| {
        Error::protocol(format!(
            "the challenge of the API names metadata that {fault}"
        ))
        .at_server(api)
    };
    let place = address::check(place, PlainHttp::Refused).map_err(fault)?;
    match same_origin(&place, api) {
        true => Ok(place),
        false => Err(fault("is at another origin than the API")),
    }
}

impl fmt::Debug for ProtectedResourceBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URLs, which are not yet checked for passwords, and without the HTTP client's headers.
        formatter
            .debug_struct("ProtectedResourceBuilder")
            .field("scope", &self.scope)
            .field("private_addresses", &self.private_addresses)
            .field("attempt_timeout", &self.attempt_timeout)
            .finish_non_exhaustive()
    }
}
