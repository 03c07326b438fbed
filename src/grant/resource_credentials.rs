//! The application's own token for an API that says where its tokens come from.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::endpoint::{ClientAuthentication, TokenEndpoint};
use crate::error::{Error, ErrorKind, HowFar};
use crate::grant::{ClientCredentials, Grant, GrantRequest};
use crate::parameters::TokenParameters;
use crate::resource::ProtectedResource;
use crate::token::TokenResponse;
use crate::token_owner::TokenOwner;

/// The client credentials grant at an authorization server that is found by the metadata of an API (RFC 9728),
/// when the first token is needed.
///
/// The program says by a function which client it is at each server, by the server's issuer, and `None` where
/// it is none: so no secret goes to a server that it is not for, whatever the metadata says. The first server
/// of the metadata at which the program is a client is asked, for the resource and the scopes of the metadata.
///
/// ```
/// # fn main() -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::{ClientAuthentication, NamedClient, ProtectedResource, ResourceCredentials};
///
/// fn client_at(issuer: &str) -> Option<ClientAuthentication> {
///     match issuer {
///         "https://login.example.com" => {
///             Some(ClientAuthentication::client_secret_basic("my-client", "s3cr3t"))
///         }
///         _ => None,
///     }
/// }
///
/// let api = ProtectedResource::new("https://api.example.com/v1")?;
/// let grant = ResourceCredentials::new(&api, client_at).scope("orders:read");
/// let orders = NamedClient::new("orders", api.url(), grant)?;
/// # Ok(()) }
/// ```
///
/// With nothing to set, [`NamedClient::for_resource`](crate::NamedClient::for_resource) is all of it.
#[derive(Clone)]
pub struct ResourceCredentials {
    resource: ProtectedResource,
    client_at: Arc<ClientFn>,
    parameters: TokenParameters,
    /// The server that was asked last, and its endpoint.
    last: Arc<Mutex<Option<(String, TokenEndpoint)>>>,
}

type ClientFn = dyn Fn(&str) -> Option<ClientAuthentication> + Send + Sync;

impl ResourceCredentials {
    /// Tokens for this API. The function is asked once for each issuer that the metadata comes to name, in the
    /// task that needs the token, so it must not block.
    #[must_use]
    pub fn new(
        resource: &ProtectedResource,
        client_at: impl Fn(&str) -> Option<ClientAuthentication> + Send + Sync + 'static,
    ) -> Self {
        Self {
            resource: resource.clone(),
            client_at: Arc::new(client_at),
            parameters: TokenParameters::new(),
            last: Arc::default(),
        }
    }

    /// Adds scopes, separated by spaces.
    /// Default: those that the API names.
    #[must_use]
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.scope(scope);
        self
    }

    /// What to ask for besides. What is left out here is as the API has it.
    /// Default: the scopes and the resource that the API names.
    #[must_use]
    pub fn parameters(mut self, parameters: TokenParameters) -> Self {
        self.parameters = parameters.or(&self.parameters);
        self
    }

    async fn found(&self) -> Result<(TokenEndpoint, TokenParameters), Error> {
        let metadata = self.resource.metadata().await?;
        let wanted = metadata.parameters();
        let issuers = metadata.authorization_servers();
        let last = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((issuer, endpoint)) = last
            && issuers.contains(&issuer)
        {
            return Ok((endpoint, wanted));
        }
        let known = issuers
            .iter()
            .find_map(|issuer| Some((issuer, (self.client_at)(issuer)?)));
        let (issuer, client) = known.ok_or_else(|| {
            Error::new(
                ErrorKind::Rejected,
                "the API takes tokens of authorization servers at which the program is no client; what was made \
                 for another server is not sent there",
            )
            .got(HowFar::NotSent)
        })?;
        let endpoint = self.resource.server(issuer, &metadata)?.client(client)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((issuer.clone(), endpoint.clone()));
        Ok((endpoint, wanted))
    }
}

impl Grant for ResourceCredentials {
    /// Another one than that of [`ClientCredentials`], which asks for other scopes with the same parameters.
    fn name(&self) -> &str {
        "resource_credentials"
    }

    async fn endpoint(&self, _: &TokenOwner) -> Result<Option<TokenEndpoint>, Error> {
        self.found().await.map(|(endpoint, _)| Some(endpoint))
    }

    /// With the URL of the API in place of its resource indicator, which is not known yet: tokens of two APIs
    /// are never kept under the same.
    fn parameters(&self) -> TokenParameters {
        let of_api = TokenParameters::new().resource(self.resource.url());
        self.parameters.or(&of_api)
    }

    async fn obtain(&self, request: GrantRequest) -> Result<TokenResponse, Error> {
        let (endpoint, wanted) = self.found().await?;
        let grant = ClientCredentials::new(endpoint).parameters(self.parameters.or(&wanted));
        grant.obtain(request).await
    }
}

impl fmt::Debug for ResourceCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ResourceCredentials")
            .field("resource", &self.resource)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}
