//! The HTTP clients for an authorization server.

#[cfg(feature = "mtls")]
mod certified;

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

use crate::endpoint::authentication::ClientAuthentication;
use crate::endpoint::reach::Reach;
use crate::endpoint::user_agent::with_user_agent;
use crate::error::Error;

#[cfg(feature = "mtls")]
use std::sync::Arc;

#[cfg(feature = "mtls")]
use crate::mtls::CertifiedClients;

/// How long a connection is kept that nothing is sent by: for the many tokens of a start or a burst. Some
/// servers close theirs after 5 s (Node), and a request that meets the closing is lost.
const KEPT_FOR: Duration = Duration::from_secs(4);

/// Our own HTTP clients (E1), which follow no redirect (D5).
#[derive(Clone, Debug)]
pub(crate) struct HttpClients {
    /// Has a connection of its own for each request: one that the server closes for being idle may take an
    /// answer with it, and with that a refresh token or a code.
    pub(crate) once: Client,
    /// Keeps its connections, for what can be asked for again.
    pub(crate) kept: Client,
}

/// Where they come from.
#[derive(Clone, Debug)]
pub(crate) enum Http {
    /// They stay as they are.
    Fixed(HttpClients),
    /// They are those of the certificate of now.
    #[cfg(feature = "mtls")]
    Certified(Arc<CertifiedClients<HttpClients>>),
}

/// Which ones the settings ask for.
pub(crate) enum HttpSetting {
    Default,
    ToBuild(Box<ClientBuilder>),
    #[cfg(feature = "mtls")]
    Function(BuilderFn),
    /// Those of another endpoint.
    Of(Http),
}

/// The program's function that makes a builder for each certificate.
#[cfg(feature = "mtls")]
pub(crate) type BuilderFn = Box<dyn Fn() -> ClientBuilder + Send + Sync>;

/// What we build where the settings ask for nothing.
#[derive(Clone)]
pub(crate) struct Ours {
    pub(crate) connect_timeout: Duration,
    /// Whether all URLs are plain http to this machine, where no proxy is asked.
    pub(crate) stays_here: bool,
    /// What they may ask, whoever builds them.
    pub(crate) reach: Reach,
}

impl Http {
    /// The clients for one request.
    ///
    /// # Errors
    /// If there is a certificate, and it cannot be read.
    #[cfg_attr(
        not(feature = "mtls"),
        expect(clippy::unused_async, reason = "only certificates are waited for")
    )]
    pub(crate) async fn clients(&self) -> Result<HttpClients, Error> {
        match self {
            Self::Fixed(clients) => Ok(clients.clone()),
            #[cfg(feature = "mtls")]
            Self::Certified(clients) => {
                let seen = clients.certificate().read().await?;
                clients.presenting(&seen.presented)
            }
        }
    }
}

impl HttpSetting {
    /// The HTTP clients for this client of the server.
    ///
    /// # Errors
    /// If reqwest cannot build them, or they cannot have its certificate.
    pub(crate) fn build(
        self,
        ours: Ours,
        #[cfg_attr(
            not(feature = "mtls"),
            expect(
                unused_variables,
                reason = "without the feature no client has a certificate"
            )
        )]
        authentication: &ClientAuthentication,
    ) -> Result<Http, Error> {
        #[cfg(feature = "mtls")]
        if let Some(certificate) = authentication.certificate() {
            return certified::build(self, ours, certificate);
        }
        match self {
            Self::Default => HttpClients::ours(|| ours.builder()).map(Http::Fixed),
            Self::ToBuild(builder) => {
                HttpClients::theirs(ours.reach.guard(*builder)).map(Http::Fixed)
            }
            #[cfg(feature = "mtls")]
            Self::Function(builder) => {
                HttpClients::theirs(ours.reach.guard(builder())).map(Http::Fixed)
            }
            Self::Of(http @ Http::Fixed(_)) => Ok(http),
            #[cfg(feature = "mtls")]
            Self::Of(Http::Certified(_)) => Err(certified::other_certificate()),
        }
    }
}

impl Ours {
    fn builder(&self) -> ClientBuilder {
        let http = ClientBuilder::new().connect_timeout(self.connect_timeout);
        let http = self.reach.guard(http);
        if self.stays_here {
            http.no_proxy()
        } else {
            http
        }
    }
}

impl HttpClients {
    /// Of one builder one client can be made, which then serves for both.
    pub(crate) fn one(client: Client) -> Self {
        Self {
            once: client.clone(),
            kept: client,
        }
    }

    fn ours(builder: impl Fn() -> ClientBuilder) -> Result<Self, Error> {
        Ok(Self {
            once: built(without_pool(builder()))?,
            kept: built(builder().pool_idle_timeout(KEPT_FOR))?,
        })
    }

    fn theirs(builder: ClientBuilder) -> Result<Self, Error> {
        built(without_pool(builder)).map(Self::one)
    }
}

/// Refreshes are rarer than the idle time-outs of servers, so that a kept connection is often about to be
/// closed when it is used again. A request that meets the closing may have been read: an answer lost for the
/// price of a handshake, and with it a refresh token.
fn without_pool(http: ClientBuilder) -> ClientBuilder {
    http.pool_max_idle_per_host(0)
}

fn built(http: ClientBuilder) -> Result<Client, Error> {
    let http = with_user_agent(http).redirect(Policy::none()).build();
    http.map_err(|error| {
        Error::settings("the HTTP client for the token endpoint cannot be built")
            .with_source(error.without_url())
    })
}
