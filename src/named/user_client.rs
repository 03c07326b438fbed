//! Named clients for the users of a program.

use std::fmt;

use http::Method;
use reqwest::{Client, ClientBuilder, Url};
use reqwest_middleware::{ClientWithMiddleware, Middleware, RequestBuilder};

use crate::error::Error;
#[cfg(feature = "mtls")]
use crate::mtls::ClientCertificate;
use crate::named::NamedClient;
use crate::named::builder::NamedClientBuilder;
use crate::named::forwards::{requests, settings};
use crate::named::parts::Parts;
use crate::redirect::{HttpClient, SameOriginClient};
use crate::subject::Subject;
use crate::users::UserSessions;

/// A client for one API that is called for users: each request goes out with the token of its user.
///
/// [`for_subject`](Self::for_subject) gives the client of one user. A request of this client itself says
/// for whom it is by a [`Subject`] among its extensions, or runs in [`Subject::run`]; without either it
/// fails with [`NoSubject`](crate::ErrorKind::NoSubject) before anything is sent. In all else it is as
/// [`NamedClient`] is.
///
/// ```no_run
/// # async fn call(users: &reqwest_bearer::UserSessions, session: &reqwest_bearer::Subject)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest_bearer::NamedUserClient;
///
/// let orders = NamedUserClient::new("orders", "https://api.example.com/v1", users)?;
/// let answer = orders.for_subject(session).get("orders/42").send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct NamedUserClient(Parts);

/// Makes a [`NamedUserClient`].
#[must_use = "a builder makes nothing until `build` is called"]
#[derive(Debug)]
pub struct NamedUserClientBuilder(NamedClientBuilder);

impl NamedUserClient {
    /// A client with the default settings.
    ///
    /// # Errors
    /// If the name is empty, or the base URL is no URL that a token may be sent to.
    pub fn new(
        name: impl Into<String>,
        base_url: impl AsRef<str>,
        users: &UserSessions,
    ) -> Result<Self, Error> {
        Self::builder(name, base_url, users).build()
    }

    /// A client with settings.
    pub fn builder(
        name: impl Into<String>,
        base_url: impl AsRef<str>,
        users: &UserSessions,
    ) -> NamedUserClientBuilder {
        let (base_url, tokens) = (base_url.as_ref().to_owned(), users.handle().clone());
        NamedUserClientBuilder(NamedClientBuilder::new(name.into(), base_url, tokens))
    }

    /// The client of this user, whatever becomes of a request on its way:
    /// `RequestBuilder::build`, which drops extensions, changes nothing about it. Shares the
    /// connections and all else with this one.
    #[must_use]
    pub fn for_subject(&self, subject: &Subject) -> NamedClient {
        let tokens = self.0.tokens().for_subject(subject);
        NamedClient(self.0.with_tokens(tokens))
    }

    /// The users whose tokens it sends.
    #[must_use]
    pub fn users(&self) -> UserSessions {
        UserSessions::from_handle(self.0.tokens().clone())
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0
    }
}

requests!(NamedUserClient);
settings!(NamedUserClientBuilder);

impl NamedUserClientBuilder {
    /// Makes the client. Asks nobody.
    ///
    /// # Errors
    /// As [`NamedClientBuilder::build`].
    pub fn build(self) -> Result<NamedUserClient, Error> {
        self.0.parts().map(NamedUserClient)
    }
}

impl fmt::Debug for NamedUserClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the client inside, which shows its default headers: there may be keys among them.
        formatter
            .debug_struct("NamedUserClient")
            .field("name", &self.name())
            .field("base_url", &self.base_url().as_str())
            .field("source", &self.0.tokens().name())
            .finish_non_exhaustive()
    }
}
