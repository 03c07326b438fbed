//! Named clients for those who call this service.

use std::fmt;

use http::Method;
use reqwest::{Client, ClientBuilder, Url};
use reqwest_middleware::{ClientWithMiddleware, Middleware, RequestBuilder};

use crate::error::Error;
use crate::exchanged::ExchangedTokens;
#[cfg(feature = "mtls")]
use crate::mtls::ClientCertificate;
use crate::named::NamedClient;
use crate::named::builder::NamedClientBuilder;
use crate::named::forwards::{requests, settings};
use crate::named::parts::Parts;
use crate::redirect::{HttpClient, SameOriginClient};
use crate::subject_token::SubjectToken;

/// A client for one API that this service calls for its own callers: each request goes out with what the
/// caller's token is exchanged for.
///
/// [`for_subject_token`](Self::for_subject_token) gives the client of one caller. A request of this client
/// itself says for whom it is by a [`SubjectToken`] among its extensions, or runs in [`SubjectToken::run`];
/// without either it fails with [`NoSubject`](crate::ErrorKind::NoSubject) before anything is sent. In all
/// else it is as [`NamedClient`] is.
///
/// ```no_run
/// # async fn call(tokens: &reqwest_bearer::ExchangedTokens, caller: &reqwest_bearer::SubjectToken)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest_bearer::NamedExchangeClient;
///
/// let orders = NamedExchangeClient::new("orders", "https://orders.example.com/v1", tokens)?;
/// let answer = orders.for_subject_token(caller).get("orders/42").send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct NamedExchangeClient(Parts);

/// Makes a [`NamedExchangeClient`].
#[must_use = "a builder makes nothing until `build` is called"]
#[derive(Debug)]
pub struct NamedExchangeClientBuilder(NamedClientBuilder);

impl NamedExchangeClient {
    /// A client with the default settings.
    ///
    /// # Errors
    /// If the name is empty, or the base URL is no URL that a token may be sent to.
    pub fn new(
        name: impl Into<String>,
        base_url: impl AsRef<str>,
        tokens: &ExchangedTokens,
    ) -> Result<Self, Error> {
        Self::builder(name, base_url, tokens).build()
    }

    /// A client with settings.
    pub fn builder(
        name: impl Into<String>,
        base_url: impl AsRef<str>,
        tokens: &ExchangedTokens,
    ) -> NamedExchangeClientBuilder {
        let (base_url, tokens) = (base_url.as_ref().to_owned(), tokens.handle().clone());
        NamedExchangeClientBuilder(NamedClientBuilder::new(name.into(), base_url, tokens))
    }

    /// The client of this caller, whatever becomes of a request on its way: `RequestBuilder::build`, which
    /// drops extensions, changes nothing about it. Shares the connections and all else with this one.
    #[must_use]
    pub fn for_subject_token(&self, token: &SubjectToken) -> NamedClient {
        let tokens = self.0.tokens().for_subject_token(token);
        NamedClient(self.0.with_tokens(tokens))
    }

    /// Where its tokens come from.
    #[must_use]
    pub fn tokens(&self) -> ExchangedTokens {
        ExchangedTokens::from_handle(self.0.tokens().clone())
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.0
    }
}

requests!(NamedExchangeClient);
settings!(NamedExchangeClientBuilder);

impl NamedExchangeClientBuilder {
    /// Makes the client. Asks nobody.
    ///
    /// # Errors
    /// As [`NamedClientBuilder::build`].
    pub fn build(self) -> Result<NamedExchangeClient, Error> {
        self.0.parts().map(NamedExchangeClient)
    }
}

impl fmt::Debug for NamedExchangeClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the client inside, which shows its default headers: there may be keys among them.
        formatter
            .debug_struct("NamedExchangeClient")
            .field("name", &self.name())
            .field("base_url", &self.base_url().as_str())
            .field("source", &self.0.tokens().name())
            .finish_non_exhaustive()
    }
}
