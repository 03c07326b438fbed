//! An API that says which authorization servers it takes tokens of (RFC 9728).

mod builder;
mod metadata;
mod places;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;

use crate::challenge::BearerChallenge;
use crate::endpoint::found::Finding;
use crate::endpoint::kept::Kept;
use crate::endpoint::{AuthorizationServer, RegisteredClient, TokenEndpoint};
use crate::error::{Error, HowFar};
use crate::resource::metadata::Document;
use crate::resource::places::Places;

pub use crate::resource::builder::ProtectedResourceBuilder;
pub use crate::resource::metadata::ResourceMetadata;

/// An API as a protected resource (RFC 9728): of its URL alone its authorization servers are found, and the
/// scopes and the resource indicator to ask them for.
///
/// ```no_run
/// # async fn example() -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::{AuthorizationRequest, ProtectedResource, RegistrationRequest};
///
/// let redirect_uri = "http://127.0.0.1/callback";
/// let api = ProtectedResource::new("https://mcp.example.com/mcp")?;
/// let server = api.authorization_server().await?;
///
/// let request = RegistrationRequest::new().client_name("my tool").redirect_uri(redirect_uri);
/// let registered = server.register(&request).await?; // once; it is to be kept
/// let endpoint = server.registered(&registered)?;
///
/// let wanted = api.metadata().await?.parameters();
/// let request = AuthorizationRequest::new(redirect_uri).parameters(wanted);
/// let (url, pending) = request.start(&endpoint).await?;
/// # Ok(()) }
/// ```
///
/// **What is found is not trusted.** The metadata has to be of this API: its `resource` is the API's URL, or a
/// parent of it by whole segments of the path, at the same origin. Redirects are not followed, and no more
/// than 64 KiB are read. The API, its authorization servers and all of their endpoints (for tokens,
/// revocation, registration, ...) have to be https and at addresses of the internet, or on this machine if
/// the API itself is; that is judged by the address that a connection is made to.
/// **Behind a proxy** it is the proxy that looks names up, and so their addresses cannot be judged here.
///
/// Nothing is sent before something is needed. The metadata is kept for 24 hours, and one request is made for
/// all who ask meanwhile; [`renew`](Self::renew) asks at once. Clones share it.
#[derive(Clone)]
pub struct ProtectedResource(Arc<Parts>);

struct Parts {
    url: Url,
    places: Places,
    /// What a challenge has asked for.
    scope: Option<String>,
    finding: Finding,
    kept: Arc<Kept<Document>>,
    /// Those that have been asked for, of the metadata of now.
    servers: Mutex<Vec<AuthorizationServer>>,
}

impl ProtectedResource {
    /// The API at this URL, with the metadata at its well-known place: `/.well-known/oauth-protected-resource`
    /// inserted before the path (RFC 9728 section 3.1), then at the root of the origin.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for a URL that cannot be an API's.
    pub fn new(url: impl AsRef<str>) -> Result<Self, Error> {
        Self::builder(url).build()
    }

    /// An API with settings.
    pub fn builder(url: impl AsRef<str>) -> ProtectedResourceBuilder {
        ProtectedResourceBuilder::new(url.as_ref())
    }

    /// The API that has sent this answer, mostly a 401: with the metadata that its challenge names (RFC 9728
    /// section 5.1) and the scopes that it asks for. Without a challenge as [`new`](Self::new).
    ///
    /// The URL is that of the answer without its query, so take one that no redirect has led elsewhere.
    ///
    /// # Errors
    /// As [`ProtectedResourceBuilder::build`].
    pub fn of_response(response: &reqwest::Response) -> Result<Self, Error> {
        let mut url = response.url().clone();
        url.set_query(None);
        url.set_fragment(None);
        let builder = Self::builder(url);
        match BearerChallenge::find_in(response) {
            Some(challenge) => builder.challenge(&challenge).build(),
            None => builder.build(),
        }
    }

    /// The URL of the API.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.url.as_str()
    }

    /// What the API says of itself: fetched when it is first asked for, and kept for 24 hours; an older one
    /// serves while the next is fetched, or cannot be.
    ///
    /// # Errors
    /// - [`ErrorKind::Protocol`](crate::ErrorKind::Protocol): there is none, it is another resource's, or it is
    ///   no metadata.
    /// - [`ErrorKind::OriginNotAllowed`](crate::ErrorKind::OriginNotAllowed): the API has no address that may
    ///   be asked.
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable),
    ///   [`ErrorKind::Timeout`](crate::ErrorKind::Timeout): it is down, or does not answer; for a while after
    ///   that the same error comes at once.
    pub async fn metadata(&self) -> Result<ResourceMetadata, Error> {
        let fetch = || {
            let own = Arc::clone(&self.0);
            async move {
                let (transport, clock) = (own.finding.transport(), own.finding.clock());
                own.places.fetch(&own.url, transport, clock).await
            }
        };
        let document = self.0.kept.get(fetch).await?;
        Ok(ResourceMetadata::new(document, self.0.scope.clone()))
    }

    /// The same, fetched anew: after a 401 that another token did not mend, or when a sign-in fails.
    ///
    /// # Errors
    /// As for [`metadata`](Self::metadata).
    pub async fn renew(&self) -> Result<ResourceMetadata, Error> {
        self.0.kept.forget();
        self.metadata().await
    }

    /// The authorization server, if the metadata names one and no more.
    ///
    /// # Errors
    /// As for [`metadata`](Self::metadata); [`ErrorKind::Settings`](crate::ErrorKind::Settings) if it names
    /// several, among which the program has to choose by
    /// [`authorization_server_named`](Self::authorization_server_named); and
    /// [`ErrorKind::OriginNotAllowed`](crate::ErrorKind::OriginNotAllowed) or
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if it is none that may be asked.
    pub async fn authorization_server(&self) -> Result<AuthorizationServer, Error> {
        let metadata = self.metadata().await?;
        match metadata.authorization_servers() {
            [] => Err(
                Error::protocol("the metadata of the API names no authorization server")
                    .got(HowFar::NotSent)
                    .at_server(&self.0.url),
            ),
            [issuer] => self.server(issuer, &metadata),
            several => Err(Error::settings(format!(
                "the API takes tokens of several authorization servers, {}; choose one by \
                 `authorization_server_named`",
                listed(several)
            ))
            .got(HowFar::NotSent)
            .at_server(&self.0.url)),
        }
    }

    /// The authorization server of this issuer, if the metadata names it, letter by letter but for one `/` at
    /// the end.
    ///
    /// # Errors
    /// As for [`authorization_server`](Self::authorization_server);
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) if the metadata does not name it, or does so no
    /// longer.
    pub async fn authorization_server_named(
        &self,
        issuer: impl AsRef<str>,
    ) -> Result<AuthorizationServer, Error> {
        let issuer = issuer.as_ref();
        let metadata = self.metadata().await?;
        let named = metadata.authorization_servers().iter();
        match named.clone().find(|named| is_same(named, issuer)) {
            Some(named) => self.server(named, &metadata),
            None => Err(Error::settings(format!(
                "the API does not name the authorization server `{}`, or does so no longer; it names {}. What \
                 was made for one server is for no other: become a client of one of those, and have users sign \
                 in there",
                issuer.escape_default(),
                listed(metadata.authorization_servers()),
            ))
            .got(HowFar::NotSent)
            .at_server(&self.0.url)),
        }
    }

    /// The token endpoint for a client that has registered itself earlier, at one of the authorization servers
    /// that the API still names.
    ///
    /// # Errors
    /// As for [`authorization_server_named`](Self::authorization_server_named) and
    /// [`AuthorizationServer::registered`].
    pub async fn registered(&self, client: &RegisteredClient) -> Result<TokenEndpoint, Error> {
        let server = self.authorization_server_named(client.issuer()).await?;
        server.registered(client)
    }

    /// One of the metadata, and each time the same.
    pub(crate) fn server(
        &self,
        issuer: &str,
        metadata: &ResourceMetadata,
    ) -> Result<AuthorizationServer, Error> {
        let servers = self.0.servers.lock();
        let mut servers = servers.unwrap_or_else(PoisonError::into_inner);
        let named = metadata.authorization_servers();
        servers.retain(|known| named.iter().any(|named| named == known.issuer()));
        if let Some(known) = servers.iter().find(|known| known.issuer() == issuer) {
            return Ok(known.clone());
        }
        let server = self.0.finding.server(issuer);
        let server = server.map_err(|error| error.got(HowFar::NotSent))?;
        servers.push(server.clone());
        Ok(server)
    }
}

/// As E7 has it for the settings of an issuer.
fn is_same(named: &str, issuer: &str) -> bool {
    let without_slash = |issuer| str::strip_suffix(issuer, "/").unwrap_or(issuer);
    without_slash(named) == without_slash(issuer)
}

/// Issuers for a message. The metadata may have put anything there, at any length.
fn listed(issuers: &[String]) -> String {
    const MOST: usize = 5;
    const LONGEST: usize = 200;
    if issuers.is_empty() {
        return "none".to_owned();
    }
    let shown = issuers.iter().take(MOST).map(|issuer| {
        let escaped = issuer.escape_default().to_string();
        match escaped.len() {
            0..=LONGEST => format!("`{escaped}`"),
            _ => format!("one that is longer than {LONGEST} characters"),
        }
    });
    let shown: Vec<_> = shown.collect();
    match issuers.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

impl fmt::Debug for ProtectedResource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ProtectedResource")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}
