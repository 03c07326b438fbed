//! An authorization server at which the program has yet to become a client.

use std::fmt;
use std::sync::Arc;

use crate::endpoint::document::Document;
use crate::endpoint::registered::RegisteredClient;
use crate::endpoint::registration::RegistrationRequest;
use crate::endpoint::{ClientAuthentication, Place, TokenEndpoint};
use crate::error::{Error, ErrorKind, HowFar};

/// An authorization server, before it is settled which client of it asks for tokens: what it offers, where
/// clients register themselves (RFC 7591), and the [`TokenEndpoint`] of each of its clients.
///
/// Mostly it is found by the metadata of an API ([`ProtectedResource`](crate::ProtectedResource)); then what
/// it and its endpoints may be is bound to the address rule of that API.
///
/// ```no_run
/// # async fn example() -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::{AuthorizationServer, RegistrationRequest};
///
/// let server = AuthorizationServer::discover("https://login.example.com")?;
/// let request = RegistrationRequest::new()
///     .client_name("orders-cli")
///     .redirect_uri("http://127.0.0.1/callback");
/// let registered = server.register(&request).await?;
/// let endpoint = server.registered(&registered)?;
/// # Ok(()) }
/// ```
///
/// Clones share what discovery found. The endpoints of all of its clients share it too, and one queue.
#[derive(Clone)]
pub struct AuthorizationServer {
    /// Of a client that is none; the others are made from it.
    nobody: TokenEndpoint,
    /// Makes the endpoint of a client that presents a certificate, and so needs HTTP clients of its own.
    #[cfg(feature = "mtls")]
    anew: Option<Arc<EndpointFn>>,
}

#[cfg(feature = "mtls")]
type EndpointFn = dyn Fn(ClientAuthentication) -> Result<TokenEndpoint, Error> + Send + Sync;

/// What an [`AuthorizationServer`] says of itself (RFC 8414 section 2), as far as it matters to who is not its
/// client yet.
#[derive(Clone)]
pub struct ServerMetadata {
    document: Arc<Document>,
    /// Whether the settings have an endpoint that the document need not name.
    registers_by_setting: bool,
}

impl AuthorizationServer {
    /// The server of this issuer, which the program knows. Nothing is sent before something is needed of it.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for an issuer that cannot be one.
    pub fn discover(issuer: impl AsRef<str>) -> Result<Self, Error> {
        let issuer = issuer.as_ref().to_owned();
        Self::made_by(move |client| TokenEndpoint::discover(&issuer, client))
    }

    /// The server of this endpoint, for another client of it: with the endpoint's settings, such as
    /// [`registration_url`](crate::TokenEndpointBuilder::registration_url).
    #[must_use]
    pub fn of(endpoint: &TokenEndpoint) -> Self {
        Self {
            nobody: endpoint.clone(),
            #[cfg(feature = "mtls")]
            anew: None,
        }
    }

    pub(crate) fn made_by(
        endpoint: impl Fn(ClientAuthentication) -> Result<TokenEndpoint, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Ok(Self {
            nobody: endpoint(ClientAuthentication::none("nobody"))?,
            #[cfg(feature = "mtls")]
            anew: Some(Arc::new(endpoint)),
        })
    }

    /// Its issuer, as the program or the API's metadata names it; of an endpoint without one, the token URL.
    #[must_use]
    pub fn issuer(&self) -> &str {
        match &self.nobody.0.place {
            Place::Fixed(url, None) => url.as_str(),
            Place::Fixed(_, Some(discovery)) | Place::Discovered(discovery) => {
                discovery.issuer().text()
            }
        }
    }

    /// What it says of itself: fetched when it is first asked for, and kept for 24 hours. An endpoint without
    /// an issuer has no document, and so says nothing.
    ///
    /// # Errors
    /// As for a discovery: the document cannot be had, or is another issuer's.
    pub async fn metadata(&self) -> Result<ServerMetadata, Error> {
        Ok(ServerMetadata {
            document: self.document().await?.ok_or_else(|| {
                Error::settings("the endpoint has no issuer, and so no document to read")
                    .got(HowFar::NotSent)
            })?,
            registers_by_setting: self.nobody.0.registration_url.is_some(),
        })
    }

    /// The token endpoint for this client of the server.
    ///
    /// The program says by it that this client, and its secret, are of this server: see
    /// [`issuer`](Self::issuer).
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for a client authentication that cannot work.
    pub fn client(&self, authentication: ClientAuthentication) -> Result<TokenEndpoint, Error> {
        #[cfg(feature = "mtls")]
        if let Some(anew) = &self.anew
            && !authentication.has_certificate_of(&self.nobody.0.authentication)
        {
            return anew(authentication);
        }
        self.nobody.for_client(authentication)
    }

    /// The token endpoint for a client that has registered itself here, now or earlier.
    ///
    /// # Errors
    /// - [`ErrorKind::Settings`](crate::ErrorKind::Settings): it is registered at another server, or for a way
    ///   of client authentication that needs a key ([`RegisteredClient::authentication`]).
    /// - [`ErrorKind::Rejected`](crate::ErrorKind::Rejected): its secret has expired, so that it has to be
    ///   registered anew.
    pub fn registered(&self, client: &RegisteredClient) -> Result<TokenEndpoint, Error> {
        if !is_same_server(client.issuer(), self.issuer()) {
            return Err(Error::settings(format!(
                "the client is registered at `{}`, and its secret is for nobody else; `{}` has to register \
                 one of its own",
                client.issuer().escape_default(),
                self.issuer().escape_default(),
            ))
            .got(HowFar::NotSent));
        }
        let has_come = |end| end <= self.nobody.now();
        if client.client_secret_expires_at().is_some_and(has_come) {
            return Err(Error::new(
                ErrorKind::Rejected,
                "the secret of the registered client has expired; register the client anew",
            )
            .got(HowFar::NotSent));
        }
        self.client(client.authentication()?)
    }

    /// Registers the program as a client of the server (RFC 7591), in one attempt.
    ///
    /// **Each call makes another client**, and most servers keep them for good: keep what comes of it
    /// ([`RegisteredClient`] can be written by serde), and register once.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) if the server has no registration endpoint;
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) if it does not register such a client, with the
    /// code of RFC 7591 section 3.2.2 in [`Error::oauth_code`]; otherwise as for a token request.
    pub async fn register(&self, request: &RegistrationRequest) -> Result<RegisteredClient, Error> {
        request.check()?;
        let document = self.document().await?;
        let named = || match &document {
            Some(document) => document
                .offers
                .registration
                .usable("a registration endpoint"),
            None => Ok(None),
        };
        let url = match &self.nobody.0.registration_url {
            Some(url) => Some(url.clone()),
            None => named()?,
        };
        let url = url.ok_or_else(|| {
            Error::settings(
                "the authorization server names no endpoint at which clients register themselves; register \
                 the client there by hand, or give `registration_url`",
            )
            .got(HowFar::NotSent)
        })?;
        let supported = document.as_deref().map(|document| &document.supported);
        let (body, method) = request.body(supported);
        let setup = &self.nobody.0;
        let answered = async {
            let _place = setup.queue.enter_anyway(self.nobody.client()).await;
            let token = request.initial_token();
            let posted = setup
                .transport
                .post_json(&url, body, &setup.shape, token)
                .await?;
            RegisteredClient::read(&posted, self.issuer(), method.as_deref(), self.nobody.now())
        };
        answered.await.map_err(|error| error.at_server(&url))
    }

    async fn document(&self) -> Result<Option<Arc<Document>>, Error> {
        match &self.nobody.0.place {
            Place::Fixed(_, None) => Ok(None),
            Place::Fixed(_, Some(discovery)) | Place::Discovered(discovery) => {
                discovery.document().await.map(Some)
            }
        }
    }
}

/// Both forms of an issuer that E7 takes for one lead to the same document.
fn is_same_server(one: &str, other: &str) -> bool {
    let without_slash = |issuer| str::strip_suffix(issuer, "/").unwrap_or(issuer);
    without_slash(one) == without_slash(other)
}

impl ServerMetadata {
    /// The issuer, byte for byte as the server writes it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.document.issuer
    }

    /// The scopes that it has (`scopes_supported`); it may have others. Empty if it does not say.
    #[must_use]
    pub fn scopes_supported(&self) -> &[String] {
        &self.document.offers.scopes
    }

    /// Whether clients can register themselves (`registration_endpoint`, RFC 7591).
    #[must_use]
    pub fn registers_clients(&self) -> bool {
        let named = self.document.offers.registration.usable("");
        self.registers_by_setting || matches!(named, Ok(Some(_)))
    }

    /// Whether a client id may be the URL of a document that describes the client
    /// (`client_id_metadata_document_supported`): then [`ClientAuthentication::none`] with that URL needs no
    /// registration.
    #[must_use]
    pub fn takes_client_id_urls(&self) -> bool {
        self.document.offers.takes_client_id_urls
    }

    /// The ways of client authentication at its token endpoint (`token_endpoint_auth_methods_supported`), by
    /// the names of their registry. Empty if it does not say.
    #[must_use]
    pub fn client_authentication_methods(&self) -> &[String] {
        &self.document.supported.methods
    }

    /// The algorithms of proofs that it takes (`dpop_signing_alg_values_supported`, RFC 9449 section 5.1).
    /// Empty if it issues no bound tokens, or does not say.
    #[must_use]
    pub fn dpop_algorithms(&self) -> &[String] {
        &self.document.offers.dpop_algorithms
    }
}

impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query is left out: some gateways want a key there.
        let issuer = self.issuer().split('?').next();
        formatter
            .debug_struct("AuthorizationServer")
            .field("issuer", &issuer.unwrap_or_default())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerMetadata {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ServerMetadata")
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}
