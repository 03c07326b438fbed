//! The authorization server as its clients see it, and the only place that talks to one.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt;
use reqwest::Url;

use crate::clock::Clock;
use crate::clock_skew::{ClockSkew, ClockSkews};
use crate::dpop::{Binding, DpopKey, Nonces};
use crate::endpoint::assertion::Occasion;
use crate::endpoint::dated::Proving;
use crate::endpoint::discovery::Discovery;
use crate::endpoint::first_nonce::FirstNonce;
use crate::endpoint::form::Form;
use crate::endpoint::queue::Queue;
use crate::endpoint::request_shape::RequestShape;
use crate::endpoint::successes::Successes;
use crate::endpoint::supported::Supported;
use crate::endpoint::translation::Translation;
use crate::endpoint::transport::Transport;
use crate::error::{Error, ErrorKind, HowFar};
use crate::secret::Secret;
use crate::token::{TokenResponse, TokenType};

pub(crate) mod address;
pub(crate) mod answer;
mod assertion;
mod authentication;
mod authorization_server;
mod authorize;
pub(crate) mod breaker;
mod builder;
#[cfg(feature = "signing")]
mod client_jwt;
mod dated;
mod device;
pub(crate) mod device_codes;
mod discovery;
pub(crate) mod document;
mod first_nonce;
mod form;
pub(crate) mod found;
mod fragments;
#[cfg(feature = "oauth2")]
mod from_oauth2;
mod front_channel;
mod http_clients;
mod issued;
pub(crate) mod kept;
mod lifetime;
mod lines;
mod media_type;
pub(crate) mod members;
mod offers;
mod open_breakers;
mod proven;
mod pushed;
pub(crate) mod queue;
mod raw_answer;
pub(crate) mod reach;
mod refresh_codes;
mod registered;
mod registration;
mod request_shape;
mod secret_source;
mod successes;
mod supported;
pub(crate) mod translation;
pub(crate) mod transport;
mod user_agent;
pub(crate) mod verdict;

pub use assertion::AssertionContext;
pub use authentication::ClientAuthentication;
pub use authorization_server::{AuthorizationServer, ServerMetadata};
pub use builder::TokenEndpointBuilder;
pub use form::TokenRequest;
pub use raw_answer::RawAnswer;
pub use registered::RegisteredClient;
pub use registration::RegistrationRequest;
pub use secret_source::SecretSource;

/// The authorization server's token endpoint together with our client authentication.
///
/// Clones share everything: what discovery found, and the limit of requests at once. Use one for
/// all grants of a client.
///
/// ```
/// use reqwest_bearer::{ClientAuthentication, TokenEndpoint};
///
/// # fn main() -> Result<(), reqwest_bearer::Error> {
/// let client = ClientAuthentication::client_secret_basic("my-client", "s3cr3t");
/// let endpoint = TokenEndpoint::new("https://as.example.com/oauth2/token", client)?;
/// # Ok(()) }
/// ```
#[doc(alias = "AuthorizationServer")]
#[doc(alias = "ClientRegistration")]
#[doc(alias = "OAuthClient")]
#[derive(Clone)]
pub struct TokenEndpoint(Arc<Setup>);

/// Which of a user's tokens is meant (RFC 7009 section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenKind {
    /// An access token.
    AccessToken,
    /// A refresh token; most servers end its access tokens with it.
    RefreshToken,
}

struct Setup {
    place: Place,
    namespace: Option<String>,
    revocation_url: Option<Url>,
    authorization_url: Option<Url>,
    pushed_authorization_url: Option<Url>,
    device_authorization_url: Option<Url>,
    registration_url: Option<Url>,
    authentication: ClientAuthentication,
    transport: Transport,
    /// Where a nonce is asked for before anything is spent.
    first_nonce: Option<Arc<FirstNonce>>,
    shape: RequestShape,
    translation: Option<Translation>,
    expires_with_id_token: bool,
    queue: Arc<Queue>,
    successes: Successes,
    clock: Clock,
}

/// Where the endpoints are.
#[derive(Clone)]
enum Place {
    /// The token endpoint; and where the document with the others is, if there is one.
    Fixed(Url, Option<Arc<Discovery>>),
    Discovered(Arc<Discovery>),
}

impl Place {
    /// The issuer as the settings name it, unless the document that was found is of another one.
    fn issuer_to_name(&self) -> Option<String> {
        match self {
            Self::Fixed(_, None) => None,
            Self::Fixed(_, Some(discovery)) | Self::Discovered(discovery) => {
                discovery.issuer_to_name()
            }
        }
    }
}

impl TokenEndpoint {
    /// The endpoint at this URL, which is https or on this machine. Nothing is sent.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for a URL or a client authentication
    /// that cannot work.
    pub fn new(
        token_url: impl AsRef<str>,
        authentication: ClientAuthentication,
    ) -> Result<Self, Error> {
        Self::builder(authentication)
            .token_url(token_url.as_ref())
            .build()
    }

    /// The endpoint that the issuer's discovery document names (OpenID Connect Discovery section
    /// 4, RFC 8414). Nothing is sent before the first token is needed.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for an issuer or a client
    /// authentication that cannot work.
    pub fn discover(
        issuer: impl AsRef<str>,
        authentication: ClientAuthentication,
    ) -> Result<Self, Error> {
        Self::builder(authentication)
            .issuer(issuer.as_ref())
            .build()
    }

    /// An endpoint with settings of its own.
    pub fn builder(authentication: ClientAuthentication) -> TokenEndpointBuilder {
        TokenEndpointBuilder::new(authentication)
    }

    /// Sends a token request, in one attempt, and reads the answer. For grants of your own.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings), before anything is sent, for an extra
    /// parameter that each request has anyway. Otherwise whatever is neither a bearer token
    /// nor, where the request has a key, one that is bound to it, see
    /// [`ErrorKind`](crate::ErrorKind). The error shows neither the body nor the `error_description` of
    /// the server; [`Error::error_response`] reads them. In the answer to a request whose `grant_type`
    /// is `refresh_token`, codes that servers have for a dead refresh token (`bad_refresh_token`,
    /// `invalid_code`, ...) mean what `invalid_grant` means.
    pub async fn request_token(&self, request: TokenRequest) -> Result<TokenResponse, Error> {
        let (asked, asked_scope) = (request.asked(), request.scope());
        let key = request.dpop_key().cloned();
        let form = request.into_form()?;
        // What a document lists counts where the document is what names the endpoint.
        let (url, document) = match &self.0.place {
            Place::Fixed(url, _) => (url.clone(), None),
            Place::Discovered(discovery) => {
                let document = discovery.document().await?;
                let url = document
                    .token_endpoint_for(self.0.has_certificate())
                    .clone();
                (url, Some(document))
            }
        };
        let supported = document.as_deref().map(|document| &document.supported);
        let answered = async {
            let translation = self.0.translation.as_ref();
            if let Some(translation) = translation {
                translation.admit(asked, self.0.clock.now())?;
            }
            let answer = self
                .0
                .post(url.clone(), form, supported, key.as_ref())
                .await?;
            let is_of_repetition = answer.is_of_repetition;
            let read = match translation {
                Some(translation) => translation.read(asked, answer, self.0.clock.now()).await,
                None => answer::parse_token_answer(
                    asked,
                    answer.status,
                    &answer.headers,
                    &answer.body,
                    self.now(),
                ),
            };
            read.map_err(|error| match is_of_repetition {
                true => error.of_repetition(),
                false => error,
            })
        };
        let mut response = answered.await.map_err(|error| error.at_server(&url))?;
        response.asked_scope = asked_scope;
        response.binding = key
            .filter(|_| response.token_type == TokenType::Dpop)
            .map(|key| {
                let token = &response.access_token;
                Binding::new(key, token, self.seen(), self.0.clock.clone())
            });
        if let Some(left) = response
            .id_token_lifetime
            .filter(|_| self.0.expires_with_id_token)
        {
            response.lifetime = response.lifetime.shorter_of(left);
        }
        Ok(response)
    }

    /// Tells the server that a token is no longer needed (RFC 7009), in one attempt. A token that
    /// the server does not know is a success, too.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) if no revocation endpoint is known,
    /// otherwise as for [`request_token`](Self::request_token).
    pub async fn revoke(&self, token: impl Into<Secret>, kind: TokenKind) -> Result<(), Error> {
        let Some(url) = self.revocation_url().await? else {
            return Err(Error::settings(
                "no revocation endpoint is known; give `revocation_url` when building the token \
                 endpoint",
            ));
        };
        self.revoke_at(&url, token.into(), kind).await
    }

    /// The same at this place.
    pub(crate) async fn revoke_at(
        &self,
        url: &Url,
        token: Secret,
        kind: TokenKind,
    ) -> Result<(), Error> {
        let _place = self.0.queue.enter_to_revoke(self.client()).await;
        let mut form = Form::default();
        form.push("token", token);
        form.push("token_type_hint", kind.hint());
        let answered = async {
            let answer = self.0.post(url.clone(), form, None, None).await?;
            answer::parse_revocation_answer(
                answer.status,
                &answer.headers,
                &answer.body,
                self.now(),
            )
        };
        answered.await.map_err(|error| error.at_server(url))
    }

    /// Makes sure that the place of the token endpoint is known, so that the time which a token's
    /// lifetime counts from can be taken after the discovery.
    pub(crate) async fn locate(&self) -> Result<(), Error> {
        match &self.0.place {
            Place::Fixed(..) => Ok(()),
            Place::Discovered(discovery) => discovery.document().await.map(drop),
        }
    }

    /// Where tokens are revoked; `None` if neither the settings nor the server's document say. Takes as
    /// long as one attempt at most: discovery looks at two places.
    ///
    /// # Errors
    /// If the document cannot be had.
    pub(crate) async fn revocation_url(&self) -> Result<Option<Url>, Error> {
        self.0.revocation_url().await
    }

    /// What is wrong with the file of the client's key, as long as the key before signs in its place.
    pub(crate) fn key_fault(&self) -> Option<Error> {
        self.0.authentication.key_fault()
    }

    /// What is wrong with the files of the client's certificate, as long as the one before is presented.
    #[cfg(feature = "mtls")]
    pub(crate) fn certificate_fault(&self) -> Option<Error> {
        self.0.authentication.certificate_fault()
    }

    /// Why no nonce was to be had before anything was spent, if that is set and nobody has been told.
    pub(crate) fn nonce_fault(&self) -> Option<Error> {
        self.0.first_nonce.as_ref()?.fault()
    }

    /// What its servers, and the APIs of its bound tokens, want in proofs: nonces, and dates by their clocks.
    pub(crate) fn seen(&self) -> (Nonces, ClockSkews) {
        let transport = &self.0.transport;
        (transport.nonces().clone(), transport.skews().clone())
    }

    /// What was learnt of its server's clock, if nobody has been told.
    pub(crate) fn untold_skew(&self) -> Option<ClockSkew> {
        self.0.transport.skews().untold()
    }

    /// The queue of its requests.
    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.0.queue
    }

    /// Whose refreshes have succeeded lately.
    pub(crate) fn successes(&self) -> &Successes {
        &self.0.successes
    }

    /// Server and client, for keys: no two pairs have the same text, since no URL has a space in
    /// it. Not for printing: the query of a token URL is part of it (Azure AD B2C names its policy
    /// there, other gateways want a key).
    pub(crate) fn identity(&self) -> String {
        let server = match (&self.0.namespace, &self.0.place) {
            (Some(namespace), _) => namespace,
            (None, Place::Fixed(url, None)) => url.as_str(),
            (None, Place::Fixed(_, Some(discovery)) | Place::Discovered(discovery)) => {
                discovery.issuer().identity()
            }
        };
        format!("{server} {}", self.0.authentication.client_id())
    }

    /// A URL of the server that is asked for tokens, as far as it is known without asking.
    pub(crate) fn server(&self) -> Url {
        match &self.0.place {
            Place::Fixed(url, _) => url.clone(),
            Place::Discovered(discovery) => discovery.server(),
        }
    }

    /// The same server for another client of it, such as a tenant's: with the same settings, connections
    /// and documents, and in one queue, in which the clients take turns. A server that turns one client away
    /// is left alone by that one.
    ///
    /// ```
    /// # fn tenants() -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::{ClientAuthentication, TokenEndpoint};
    ///
    /// let client = |id| ClientAuthentication::client_secret_basic(id, "s3cr3t");
    /// let one = TokenEndpoint::discover("https://login.example.com", client("tenant-1"))?;
    /// let other = one.for_client(client("tenant-2"))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for a client authentication that cannot work.
    pub fn for_client(&self, authentication: ClientAuthentication) -> Result<Self, Error> {
        authentication.check()?;
        #[cfg(feature = "mtls")]
        if !authentication.has_certificate_of(&self.0.authentication) {
            return Err(Error::settings(
                "the client has another certificate than that of this endpoint, or none, and so needs HTTP \
                 clients of its own; build an endpoint for it",
            ));
        }
        let Setup {
            place,
            namespace,
            revocation_url,
            authorization_url,
            pushed_authorization_url,
            device_authorization_url,
            registration_url,
            transport,
            first_nonce,
            shape,
            translation,
            expires_with_id_token,
            queue,
            clock,
            ..
        } = &*self.0;
        Ok(Self(Arc::new(Setup {
            place: place.clone(),
            namespace: namespace.clone(),
            revocation_url: revocation_url.clone(),
            authorization_url: authorization_url.clone(),
            pushed_authorization_url: pushed_authorization_url.clone(),
            device_authorization_url: device_authorization_url.clone(),
            registration_url: registration_url.clone(),
            authentication,
            transport: transport.clone(),
            first_nonce: first_nonce.clone(),
            shape: shape.clone(),
            translation: translation.clone(),
            expires_with_id_token: *expires_with_id_token,
            queue: queue.clone(),
            successes: Successes::default(),
            clock: clock.clone(),
        })))
    }

    /// Which client it is, to the queue: as a hash.
    pub(crate) fn client(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.authentication.client_id().hash(&mut hasher);
        hasher.finish()
    }

    /// What the endpoint's clock says.
    pub(crate) fn now(&self) -> SystemTime {
        self.0.clock.now().system_time()
    }
}

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query is left out: some gateways want a key there.
        let server = match &self.0.place {
            Place::Fixed(url, _) => url.as_str(),
            Place::Discovered(discovery) => discovery.issuer().text(),
        };
        let server = server.split('?').next();
        formatter
            .debug_struct("TokenEndpoint")
            .field("server", &server.unwrap_or_default())
            .field("authentication", &self.0.authentication)
            .finish_non_exhaustive()
    }
}

impl TokenKind {
    fn hint(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
        }
    }
}

impl Setup {
    /// Whether its clients are known by a certificate at TLS.
    fn has_certificate(&self) -> bool {
        #[cfg(feature = "mtls")]
        return self.authentication.certificate().is_some();
        #[cfg(not(feature = "mtls"))]
        false
    }

    async fn revocation_url(&self) -> Result<Option<Url>, Error> {
        let discovery = match (&self.revocation_url, &self.place) {
            (Some(url), _) => return Ok(Some(url.clone())),
            (None, Place::Fixed(_, None)) => return Ok(None),
            (None, Place::Fixed(_, Some(discovery)) | Place::Discovered(discovery)) => discovery,
        };
        let too_late = self.clock.sleep(self.transport.timeout());
        tokio::select! {
            biased;
            found = discovery.revocation_endpoint(self.has_certificate()) => found,
            () = too_late => Err(Error::new(
                ErrorKind::Timeout,
                "the discovery document did not come in time",
            )
            .got(HowFar::NotSent)
            .at_server(discovery.issuer().place())),
        }
    }

    /// Sends a form with our client authentication, and with proofs of this key if there is one.
    async fn post(
        &self,
        url: Url,
        form: Form,
        supported: Option<&Supported>,
        key: Option<&DpopKey>,
    ) -> Result<transport::Answer, Error> {
        match key {
            Some(key) => self.post_proven(url, form, supported, key).await,
            None => self.post_dated(&url, form, supported, None).await,
        }
    }

    async fn post_once(
        &self,
        url: &Url,
        mut form: Form,
        supported: Option<&Supported>,
        proving: Option<Proving<'_>>,
    ) -> Result<transport::Answer, Error> {
        #[cfg(feature = "mtls")]
        if self.has_certificate() && url.scheme() != "https" {
            return Err(Error::settings(
                "the client has a certificate, which is presented at TLS, and the URL of the server is plain \
                 http; use https, or leave the certificate out where something else presents it",
            )
            .got(HowFar::NotSent));
        }
        let issuer = self.place.issuer_to_name();
        let now = self.transport.skews().date_for(url, self.clock.now());
        let occasion = Occasion {
            url,
            issuer: issuer.as_deref(),
            supported,
            now: now.system_time(),
        };
        let signing = async {
            let basic = self.authentication.sign(&mut form, &occasion).await?;
            let proof = match proving {
                Some(proving) => Some(proving.proof(url, now).await?),
                None => None,
            };
            Ok((basic, proof))
        };
        let (basic, proof) = self.in_time(signing).await?;
        let sent = self
            .transport
            .post(url.clone(), form, basic, &self.shape, proof);
        sent.await
    }

    /// A KMS or a function may hang, or panic. Nothing is sent then, and it must be known that it was
    /// not: with half of the attempt's time, that is not over before.
    async fn in_time<T>(
        &self,
        signing: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let fault = |kind, message| Err(Error::new(kind, message).got(HowFar::NotSent));
        tokio::select! {
            biased;
            signed = AssertUnwindSafe(signing).catch_unwind() => signed.unwrap_or_else(|_| fault(
                ErrorKind::Panicked,
                "what gives the client's secret, or signs for it, panicked",
            )),
            () = self.clock.sleep(self.transport.timeout() / 2) => fault(
                ErrorKind::Timeout,
                "what gives the client's secret, or signs for it, did not answer in time",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::TokenEndpoint;
    use crate::endpoint::ClientAuthentication;

    fn client(id: &str) -> ClientAuthentication {
        ClientAuthentication::client_secret_basic(id, "canary")
    }

    /// How many places there are, found out by taking them.
    fn places(endpoint: &TokenEndpoint) -> usize {
        let mut taken = Vec::new();
        while let Some(place) = endpoint.queue().enter_anyway(1).now_or_never() {
            taken.push(place);
        }
        taken.len()
    }

    #[test]
    fn clones_share_the_limit_of_requests_at_once() {
        // A7
        let endpoint = TokenEndpoint::builder(client("me"))
            .token_url("https://a.b/t")
            .requests_at_once(2)
            .build()
            .unwrap();
        let place = endpoint.queue().enter_anyway(1).now_or_never();
        assert_eq!(places(&endpoint.clone()), 1);
        drop(place);
        assert_eq!(places(&endpoint), 2);
    }

    #[test]
    fn clients_of_one_server_share_its_queue_and_take_turns() {
        // A7
        let one = TokenEndpoint::builder(client("one"))
            .token_url("https://a.b/t")
            .requests_at_once(1)
            .build()
            .unwrap();
        let other = one.for_client(client("other")).unwrap();
        let enter = |endpoint: &TokenEndpoint| {
            let queue = endpoint.queue().clone();
            let client = endpoint.client();
            Box::pin(async move { queue.enter_anyway(client).await })
        };
        let place = enter(&one).now_or_never();
        assert!(place.is_some());
        let (mut second, mut third, mut of_other) = (enter(&one), enter(&one), enter(&other));
        for waits in [&mut second, &mut third, &mut of_other] {
            assert!(waits.now_or_never().is_none());
        }
        drop(place);
        let place = second.now_or_never().unwrap();
        drop(place);
        assert!((&mut third).now_or_never().is_none());
        assert!(of_other.now_or_never().is_some());
        assert!(third.now_or_never().is_some());
    }

    #[test]
    fn sixteen_requests_run_at_once_by_default() {
        // A7
        let endpoint = TokenEndpoint::new("https://a.b/t", client("me")).unwrap();
        assert_eq!(places(&endpoint), 16);
    }

    #[test]
    fn endpoints_have_the_same_identity_only_for_the_same_server_and_client() {
        // D8
        let identities = [
            TokenEndpoint::new("https://a.b/t", client("me")),
            TokenEndpoint::new("https://a.b/t", client("me too")),
            TokenEndpoint::new("https://a.b/t?p=x", client("me")),
            TokenEndpoint::new("https://a.b/t2", client("me")),
            TokenEndpoint::discover("https://a.b", client("me")),
            TokenEndpoint::discover("https://a.b", client("t me")),
            TokenEndpoint::discover("https://a.b/x", client("me")),
            TokenEndpoint::discover("https://a.b/x//", client("me")),
        ]
        .map(|endpoint| endpoint.unwrap().identity());
        for (i, one) in identities.iter().enumerate() {
            assert!(!one.contains("canary"));
            for (j, other) in identities.iter().enumerate() {
                assert_eq!(one == other, i == j, "{one} {other}");
            }
        }
        let same = TokenEndpoint::new("https://A.b:443/t", client("me")).unwrap();
        assert_eq!(same.identity(), identities[0]);
        let same = TokenEndpoint::discover("https://a.b/x/", client("me")).unwrap();
        assert_eq!(same.identity(), identities[6]);
    }
}
