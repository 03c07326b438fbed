//! The settings of a named client.

use std::fmt;
use std::sync::Arc;

use reqwest::{Client, ClientBuilder};
use reqwest_middleware::Middleware;

use crate::carrier::CarrierSettings;
use crate::error::Error;
use crate::middleware::BearerTokenMiddlewareBuilder;
#[cfg(feature = "mtls")]
use crate::mtls::ClientCertificate;
use crate::named::NamedClient;
#[cfg(feature = "mtls")]
use crate::named::by_certificate::{ByCertificate, check_https};
use crate::named::http::{Http, Redirects};
use crate::named::parts::{Chain, Parts};
use crate::origin::{Origin, all_stay_here, is_secure};
use crate::path::base_url;
use crate::redirect::{HttpClient, SameOriginClient};
use crate::source::handle::Handle;

/// Makes a [`NamedClient`].
#[must_use = "a builder makes nothing until `build` is called"]
pub struct NamedClientBuilder {
    name: String,
    base_url: String,
    tokens: Handle,
    origins: Vec<String>,
    pub(super) http: Http,
    before: Vec<Arc<dyn Middleware>>,
    after: Vec<Arc<dyn Middleware>>,
    insecure_http: bool,
    other_origins_without_token: bool,
    ended_session_is_error: bool,
    pub(super) carrier: CarrierSettings,
    #[cfg(feature = "mtls")]
    pub(super) certificate: Option<ClientCertificate>,
}

impl NamedClientBuilder {
    pub(crate) fn new(name: String, base_url: String, tokens: Handle) -> Self {
        Self {
            name,
            base_url,
            tokens,
            origins: Vec::new(),
            http: Http::Default,
            before: Vec::new(),
            after: Vec::new(),
            insecure_http: false,
            other_origins_without_token: false,
            ended_session_is_error: false,
            carrier: CarrierSettings::default(),
            #[cfg(feature = "mtls")]
            certificate: None,
        }
    }

    /// Adds an origin that tokens may be sent to, besides the base URL's. Default: none.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// The reqwest client to build: time-outs, proxy and TLS are yours, the redirect policy is
    /// [`redirect_policy`](crate::redirect_policy), or yours if it follows no redirect, and to follow none
    /// where tokens are bound to a key (DPoP). Default: `reqwest::Client::builder()`, past the proxy of the
    /// environment where all origins are plain http to this machine.
    pub fn http(mut self, builder: ClientBuilder) -> Self {
        self.http = Http::ToBuild(Box::new(builder));
        self
    }

    /// A client that this crate has built, to share one pool of connections among named clients.
    ///
    /// ```
    /// # fn clients(source: &reqwest_bearer::TokenSource) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::{NamedClient, http_client, reqwest};
    ///
    /// let http = http_client(reqwest::Client::builder())?;
    /// let orders = NamedClient::builder("orders", "https://api.example.com/orders", source)
    ///     .client(&http)
    ///     .build()?;
    /// let billing = NamedClient::builder("billing", "https://api.example.com/billing", source)
    ///     .client(&http)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client(mut self, client: &HttpClient) -> Self {
        self.http = Http::Shared(client.clone());
        self
    }

    /// The same with a client that leaves no origin, as a token in a header other than `Authorization`
    /// needs one; one that is bound to a key (DPoP) needs one that follows no redirect
    /// ([`http_client_without_redirects`](crate::http_client_without_redirects)).
    pub fn same_origin_client(mut self, client: &SameOriginClient) -> Self {
        self.http = Http::AtHome(client.clone());
        self
    }

    /// A ready-made reqwest client, whose redirects are its owner's care: with reqwest's own
    /// policy, a redirect to another origin that redirects once more delivers the token there;
    /// see [`redirect_policy`](crate::redirect_policy).
    pub fn client_with_own_redirects(mut self, client: Client) -> Self {
        self.http = Http::Built(client);
        self
    }

    /// Adds middleware that sees a request before its token is attached: retry (each attempt then
    /// gets a token of its own), tracing of the whole call. In the order in which they are added.
    pub fn before(mut self, middleware: impl Middleware) -> Self {
        self.before.push(Arc::new(middleware));
        self
    }

    /// Adds middleware that sees each sending with its token, the resend too, by its
    /// [`ResendCount`](crate::ResendCount): signing, tracing of single sendings
    /// ([what each order shows](crate::guide::monitoring)). In the order in which they are added.
    pub fn after(mut self, middleware: impl Middleware) -> Self {
        self.after.push(Arc::new(middleware));
        self
    }

    /// Sends requests with absolute URLs of other origins without a token. Default: they fail.
    pub fn other_origins_without_token(mut self) -> Self {
        self.other_origins_without_token = true;
        self
    }

    /// Lets the token travel by plain http, where everybody on the way can read it and use it.
    /// Default: https, or http to this machine.
    pub fn allow_insecure_http(mut self) -> Self {
        self.insecure_http = true;
        self
    }

    /// Turns a 401 that could not be healed because the user has to sign in again into the error that
    /// says so, as [`BearerTokenMiddlewareBuilder::error_on_ended_session`] does. Default: the caller gets
    /// the API's own answer, with that error in its extensions.
    ///
    /// [`BearerTokenMiddlewareBuilder::error_on_ended_session`]:
    ///     crate::BearerTokenMiddlewareBuilder::error_on_ended_session
    pub fn error_on_ended_session(mut self) -> Self {
        self.ended_session_is_error = true;
        self
    }

    /// Makes the client. Asks nobody.
    ///
    /// # Errors
    /// If the name is empty, a URL is none that a token may be sent to, or reqwest cannot build
    /// its client; and what is wrong with the grant, where its source was made by `into()`.
    pub fn build(self) -> Result<NamedClient, Error> {
        self.parts().map(NamedClient)
    }

    pub(crate) fn parts(self) -> Result<Parts, Error> {
        if self.name.trim().is_empty() {
            return Err(Error::settings(
                "the name of a named client is empty; give it one to take it by",
            ));
        }
        let base_url = base_url(&self.base_url).map_err(|error| error.of_setting("base_url"))?;
        let own_origin = Origin::of(&base_url).map(|origin| origin.to_string());
        let urls = || {
            let origins = self.origins.iter().map(String::as_str);
            origins.chain([base_url.as_str()])
        };
        let stays_here = all_stay_here(urls());
        let own_is_safe = self.insecure_http || is_secure(&base_url);
        #[cfg(feature = "mtls")]
        if self.certificate.is_some() {
            check_https(urls()).map_err(|error| error.of_setting("client_certificate"))?;
        }
        let mut bearer = BearerTokenMiddlewareBuilder::new(self.tokens.clone());
        bearer = bearer.of_client(&self.name);
        for origin in own_origin.into_iter().chain(self.origins) {
            bearer = bearer.origin(origin);
        }
        if self.insecure_http {
            bearer = bearer.allow_insecure_http();
        }
        if self.other_origins_without_token {
            bearer = bearer.other_origins_without_token();
        }
        if self.ended_session_is_error {
            bearer = bearer.error_on_ended_session();
        }
        let is_dropped = self.carrier.check()?.is_dropped_on_redirect();
        let offers_dpop = self.tokens.offers_dpop();
        #[cfg(feature = "mtls")]
        let has_certificate = self.certificate.is_some();
        #[cfg(not(feature = "mtls"))]
        let has_certificate = false;
        let redirects = if offers_dpop {
            Redirects::Nowhere
        } else if is_dropped && !has_certificate {
            Redirects::Anywhere
        } else {
            Redirects::AtHome
        };
        let after = self.after;
        #[cfg(feature = "mtls")]
        let (http, after) = match self.certificate {
            Some(certificate) => {
                let sender = ByCertificate::new(certificate, self.http, redirects, &self.tokens)?;
                let client = sender.never_asked()?;
                let sender: Arc<dyn Middleware> = Arc::new(sender);
                (client, after.into_iter().chain([sender]).collect())
            }
            None => (self.http.client(redirects, stays_here)?, after),
        };
        #[cfg(not(feature = "mtls"))]
        let http = self.http.client(redirects, stays_here)?;
        // Built above, or its owner's care by name.
        let bearer = bearer
            .carrier(self.carrier)
            .over_client_with_own_redirects()
            .build()
            .map_err(|error| match error.setting() {
                // Of the origins its own is looked at first.
                Some("origin") if !own_is_safe => error.of_setting("base_url"),
                _ => error,
            })?;
        let chain = Chain {
            http,
            before: self.before,
            bearer: bearer.clone(),
            after,
        };
        Ok(Parts::new(self.name, base_url, self.tokens, chain, bearer))
    }
}

impl fmt::Debug for NamedClientBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NamedClientBuilder")
            .field("name", &self.name)
            .field("source", &self.tokens.name())
            .finish_non_exhaustive()
    }
}
