//! The settings of a named client.

use std::fmt;
use std::sync::Arc;

use reqwest::{Client, ClientBuilder};
use reqwest_middleware::Middleware;

use crate::carrier::CarrierSettings;
use crate::error::Error;
use crate::middleware::BearerTokenMiddleware;
use crate::named::{Chain, NamedClient};
use crate::origin::{Origin, all_stay_here};
use crate::path::base_url;
use crate::redirect::{http_client, same_origin_http_client};
use crate::source::TokenSource;

/// Makes a [`NamedClient`].
#[must_use = "a builder makes nothing until `build` is called"]
pub struct NamedClientBuilder {
    name: String,
    base_url: String,
    source: TokenSource,
    origins: Vec<String>,
    http: Http,
    before: Vec<Arc<dyn Middleware>>,
    after: Vec<Arc<dyn Middleware>>,
    insecure_http: bool,
    elsewhere_without_token: bool,
    pub(super) carrier: CarrierSettings,
}

enum Http {
    Default,
    ToBuild(Box<ClientBuilder>),
    Built(Client),
}

impl NamedClientBuilder {
    pub(crate) fn new(name: String, base_url: String, source: TokenSource) -> Self {
        Self {
            name,
            base_url,
            source,
            origins: Vec::new(),
            http: Http::Default,
            before: Vec::new(),
            after: Vec::new(),
            insecure_http: false,
            elsewhere_without_token: false,
            carrier: CarrierSettings::default(),
        }
    }

    /// Adds an origin that tokens may be sent to, besides the base URL's. Default: none.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// The reqwest client to build: time-outs, proxy and TLS are yours, the redirect policy is
    /// [`redirect_policy`](crate::redirect_policy). Default: `reqwest::Client::builder()`, past the
    /// proxy of the environment where all origins are plain http to this machine.
    pub fn http(mut self, builder: ClientBuilder) -> Self {
        self.http = Http::ToBuild(Box::new(builder));
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

    /// Adds middleware that sees each sending with its token, the resend too: signing, tracing of
    /// single sendings. In the order in which they are added.
    pub fn after(mut self, middleware: impl Middleware) -> Self {
        self.after.push(Arc::new(middleware));
        self
    }

    /// Sends requests with absolute URLs of other origins without a token. Default: they fail.
    pub fn elsewhere_without_token(mut self) -> Self {
        self.elsewhere_without_token = true;
        self
    }

    /// Lets the token travel by plain http, where everybody on the way can read it and use it.
    /// Default: https, or http to this machine.
    pub fn allow_insecure_http(mut self) -> Self {
        self.insecure_http = true;
        self
    }

    /// Makes the client. Asks nobody.
    ///
    /// # Errors
    /// If the name is empty, a URL is none that a token may be sent to, or reqwest cannot build
    /// its client.
    pub fn build(self) -> Result<NamedClient, Error> {
        if self.name.trim().is_empty() {
            return Err(Error::settings(
                "the name of a named client is empty; give it one to take it by",
            ));
        }
        let base_url = base_url(&self.base_url)?;
        let own_origin = Origin::of(&base_url).map(|origin| origin.to_string());
        let origins = self.origins.iter().map(String::as_str);
        let stays_here = all_stay_here(origins.chain([base_url.as_str()]));
        let mut bearer = BearerTokenMiddleware::builder(&self.source);
        for origin in own_origin.into_iter().chain(self.origins) {
            bearer = bearer.origin(origin);
        }
        if self.insecure_http {
            bearer = bearer.allow_insecure_http();
        }
        if self.elsewhere_without_token {
            bearer = bearer.elsewhere_without_token();
        }
        let may_leave_origin = self.carrier.check()?.is_dropped_on_redirect();
        let built = |builder| {
            if may_leave_origin {
                return http_client(builder);
            }
            Ok(same_origin_http_client(builder)?.client().clone())
        };
        let http = match self.http {
            Http::Default if stays_here => built(Client::builder().no_proxy())?,
            Http::Default => built(Client::builder())?,
            Http::ToBuild(builder) => built(*builder)?,
            Http::Built(client) => client,
        };
        // Built above, or its owner's care by name.
        let bearer = bearer
            .carrier(self.carrier)
            .over_client_with_own_redirects()
            .build()?;
        let chain = Chain {
            http,
            before: self.before,
            bearer: bearer.clone(),
            after: self.after,
        };
        Ok(NamedClient {
            name: self.name,
            base_url,
            source: self.source,
            client: chain.assemble(bearer),
            chain: Arc::new(chain),
        })
    }
}

impl fmt::Debug for NamedClientBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NamedClientBuilder")
            .field("name", &self.name)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
