//! The settings of a token endpoint.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use reqwest::{ClientBuilder, Url};
use serde_json::Value;

use crate::clock::Clock;
use crate::endpoint::address::{self, PlainHttp};
use crate::endpoint::authentication::ClientAuthentication;
use crate::endpoint::discovery::Discovery;
use crate::endpoint::document::{Issuer, Naming};
use crate::endpoint::first_nonce::FirstNonce;
use crate::endpoint::http_clients::{HttpSetting, Ours};
use crate::endpoint::queue::Queue;
use crate::endpoint::raw_answer::RawAnswer;
use crate::endpoint::reach::Reach;
use crate::endpoint::request_shape::{BodyFormat, RequestShape};
use crate::endpoint::successes::Successes;
use crate::endpoint::translation::Translation;
use crate::endpoint::transport::Transport;
use crate::endpoint::{Place, Setup, TokenEndpoint};
use crate::error::Error;
use crate::origin::all_stay_here;

#[cfg(any(test, feature = "test-util"))]
use crate::clock::TestClock;

/// Sets up a [`TokenEndpoint`]; made by [`TokenEndpoint::builder`].
#[must_use]
pub struct TokenEndpointBuilder {
    authentication: ClientAuthentication,
    token_url: Option<String>,
    issuer: Option<String>,
    discovery_url: Option<String>,
    issuer_is_checked: bool,
    namespace: Option<String>,
    revocation_url: Option<String>,
    authorization_url: Option<String>,
    pushed_authorization_url: Option<String>,
    device_authorization_url: Option<String>,
    registration_url: Option<String>,
    dpop_nonce_first: bool,
    http: HttpSetting,
    reach: Reach,
    plain_http: PlainHttp,
    requests_at_once: usize,
    attempt_timeout: Duration,
    shape: RequestShape,
    translation: Option<Translation>,
    expires_with_id_token: bool,
    clock: Clock,
}

impl TokenEndpointBuilder {
    pub(crate) fn new(authentication: ClientAuthentication) -> Self {
        Self {
            authentication,
            token_url: None,
            issuer: None,
            discovery_url: None,
            issuer_is_checked: true,
            namespace: None,
            revocation_url: None,
            authorization_url: None,
            pushed_authorization_url: None,
            device_authorization_url: None,
            registration_url: None,
            dpop_nonce_first: false,
            http: HttpSetting::Default,
            reach: Reach::default(),
            plain_http: PlainHttp::Refused,
            requests_at_once: 16,
            attempt_timeout: Duration::from_secs(10),
            shape: RequestShape::default(),
            translation: None,
            expires_with_id_token: false,
            clock: Clock::system(),
        }
    }

    /// The URL of the token endpoint (RFC 6749 section 3.2). Either this or the issuer is needed.
    ///
    /// With both, tokens are asked for here, whatever the issuer's document says, and the document is
    /// fetched only for the revocation endpoint; what a store keeps is named after the issuer, so that
    /// this URL may change.
    /// Default: the one that the issuer's document names.
    pub fn token_url(mut self, url: impl Into<String>) -> Self {
        self.token_url = Some(url.into());
        self
    }

    /// The issuer whose discovery document names the token endpoint (OpenID Connect Discovery
    /// section 4, RFC 8414), exactly as the server writes it; one `/` at the end may differ, and
    /// `{tenantid}` in the document, as Entra has it for `common`, stands for the tenant that is asked
    /// for here.
    ///
    /// The document is fetched when it is first needed and kept for 24 hours; if the server is
    /// down then, the old one is used on. A revocation or device authorization endpoint that it lacks is
    /// looked for in the other well-known document, if that is of the very same issuer, and taken if it
    /// is at the token endpoint's origin.
    /// Default: none.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Where the discovery document is, if that is not below the issuer: behind another name inside of a
    /// cluster, with a query that names a policy (Azure AD B2C), at ADFS or Oracle. The issuer that the
    /// document has to name is set apart by [`issuer`](Self::issuer), and is then a name and no address.
    ///
    /// ```
    /// use reqwest_bearer::{ClientAuthentication, TokenEndpoint};
    ///
    /// # fn main() -> Result<(), reqwest_bearer::Error> {
    /// let endpoint = TokenEndpoint::builder(ClientAuthentication::none("my-client"))
    ///     .discovery_url(
    ///         "https://shop.b2clogin.com/shop.onmicrosoft.com/v2.0/.well-known/openid-configuration?p=b2c_1_in",
    ///     )
    ///     .issuer("https://shop.b2clogin.com/0b7a5a2e-9f43-4d0f-8a7b-9c1d2e3f4a5b/v2.0/")
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    /// Default: the two well-known places below the issuer.
    pub fn discovery_url(mut self, url: impl Into<String>) -> Self {
        self.discovery_url = Some(url.into());
        self
    }

    /// Takes the discovery document whatever issuer it names, or if it names none.
    ///
    /// The check is what keeps the document of one tenant from standing in for another's (RFC 8414
    /// section 6.2). Leave it out only where whoever can write at that place is trusted with your
    /// client secret and all tokens.
    /// Default: the document has to name the [`issuer`](Self::issuer).
    pub fn unchecked_issuer(mut self) -> Self {
        self.issuer_is_checked = false;
        self
    }

    /// What the records in a store are named after, besides the client id: sessions are found again
    /// when issuer or URLs change, as long as this stays. Two authorization servers must not have the
    /// same. A text without white space.
    /// Default: the issuer without a `/` at its end, or else the URL of the discovery document, or else
    /// that of the token endpoint.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The URL of the revocation endpoint (RFC 7009).
    /// Default: what the issuer's discovery document names.
    pub fn revocation_url(mut self, url: impl Into<String>) -> Self {
        self.revocation_url = Some(url.into());
        self
    }

    /// The URL of the authorization endpoint (RFC 6749 section 3.1), to which an
    /// [`AuthorizationRequest`](crate::AuthorizationRequest) sends the user. A query that it has stays.
    /// Default: what the issuer's discovery document names.
    pub fn authorization_url(mut self, url: impl Into<String>) -> Self {
        self.authorization_url = Some(url.into());
        self
    }

    /// The URL of the endpoint for pushed authorization requests (RFC 9126).
    /// Default: what the issuer's discovery document names; without either, none is pushed.
    pub fn pushed_authorization_url(mut self, url: impl Into<String>) -> Self {
        self.pushed_authorization_url = Some(url.into());
        self
    }

    /// The URL of the device authorization endpoint (RFC 8628 section 3.1), which a
    /// [`DeviceAuthorizationRequest`](crate::DeviceAuthorizationRequest) goes to.
    /// Default: what the issuer's discovery document names.
    pub fn device_authorization_url(mut self, url: impl Into<String>) -> Self {
        self.device_authorization_url = Some(url.into());
        self
    }

    /// The URL of the endpoint at which clients register themselves (RFC 7591), for an
    /// [`AuthorizationServer`](crate::AuthorizationServer).
    /// Default: what the issuer's discovery document names.
    pub fn registration_url(mut self, url: impl Into<String>) -> Self {
        self.registration_url = Some(url.into());
        self
    }

    /// Asks no server but those that may be found.
    pub(crate) fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// The HTTP clients of other endpoints, which have been built for these addresses.
    pub(crate) fn http_setting(mut self, http: HttpSetting) -> Self {
        self.http = http;
        self
    }

    /// The clock, whatever it is.
    pub(crate) fn clock_of(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Has a DPoP nonce of this server before a refresh token or a code goes there (RFC 9449 section 8), for
    /// servers that spend those before they judge the proof: one that then wants a nonce has ended the session.
    ///
    /// A process that knows no nonce of the server yet sends one request first that spends nothing: the
    /// revocation of a random token (RFC 7009), with a proof. It is sent once, however many refreshes begin at
    /// the same time, within a quarter of [`attempt_timeout`](Self::attempt_timeout) (2.5 s), which counts towards
    /// the attempt's time. If no nonce comes of it, the token request goes out without, and
    /// [`Event::NoDpopNonce`](crate::Event::NoDpopNonce) says why. A server that has answered without a nonce
    /// is not asked again; one that was down, or has refused the client, is, before the next attempt.
    ///
    /// A nonce that the server has replaced meanwhile is not noticed: the answer that would say so is the one
    /// to the refresh token. Such a server gives the next nonce with each answer in time, or is none for this
    /// client.
    /// Default: the first token request goes out without a nonce, and once more with the one that the server
    /// wants, which costs nothing at servers that judge the proof first.
    #[cfg(feature = "dpop")]
    pub fn dpop_nonce_first(mut self) -> Self {
        self.dpop_nonce_first = true;
        self
    }

    /// The HTTP client for the authorization server: proxy, roots, DNS, timeouts.
    ///
    /// Its redirect policy is replaced, since a redirect would carry our credentials along, and so
    /// is its pool: each request has a connection of its own, because one that the server closes
    /// for being idle may take a refresh token with it. (Without a client of yours, connections serve
    /// again, within 4 s, for client credentials, which spend nothing.) Give it
    /// a `connect_timeout` that is shorter than [`attempt_timeout`](Self::attempt_timeout): a
    /// connection that took too long is then known to have carried nothing, and the attempt can
    /// be repeated even where it spends a refresh token.
    ///
    /// Its `User-Agent` is sent; without one it is `reqwest-bearer/` and the version of this crate,
    /// since the firewalls of some servers refuse requests that have none.
    /// Default: reqwest's settings, with a `connect_timeout` of half the attempt's timeout, which
    /// is 5 s, and past the proxy of the environment where all URLs are plain http to this machine.
    pub fn http(mut self, http: ClientBuilder) -> Self {
        self.http = HttpSetting::ToBuild(Box::new(http));
        self
    }

    /// The same where there is a [client certificate](crate::ClientCertificate): the function is called for
    /// each one that comes, and gives a builder with the same settings each time. TLS is rustls's then, and
    /// `identity` ours.
    ///
    /// ```
    /// use reqwest_bearer::{ClientAuthentication, ClientCertificate, TokenEndpoint, reqwest};
    ///
    /// # fn build() -> Result<TokenEndpoint, reqwest_bearer::Error> {
    /// let certificate = ClientCertificate::files("/run/tls/tls.crt", "/run/tls/tls.key");
    /// TokenEndpoint::builder(ClientAuthentication::tls_client_auth("my-client", certificate))
    ///     .issuer("https://login.example.com")
    ///     .http_from_fn(|| reqwest::Client::builder().https_only(true))
    ///     .build()
    /// # }
    /// ```
    /// Default: as for [`http`](Self::http).
    #[cfg(feature = "mtls")]
    pub fn http_from_fn(
        mut self,
        builder: impl Fn() -> ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.http = HttpSetting::Function(Box::new(builder));
        self
    }

    /// Asks by the HTTP client of another endpoint, for thousands of tenants each with a server of its own:
    /// a client has roots of trust in its memory, and takes milliseconds to build. Nothing else is shared;
    /// [`TokenEndpoint::for_client`] is for another client of the same server.
    ///
    /// ```
    /// # fn tenants(client: reqwest_bearer::ClientAuthentication, urls: Vec<String>)
    /// #     -> Result<Vec<reqwest_bearer::TokenEndpoint>, reqwest_bearer::Error> {
    /// use reqwest_bearer::TokenEndpoint;
    ///
    /// let first = TokenEndpoint::new("https://login.example.com/token", client.clone())?;
    /// let of_tenant = |url: String| {
    ///     let builder = TokenEndpoint::builder(client.clone());
    ///     builder.token_url(url).http_client_of(&first).build()
    /// };
    /// urls.into_iter().map(of_tenant).collect()
    /// # }
    /// ```
    /// Default: one of its own.
    pub fn http_client_of(mut self, endpoint: &TokenEndpoint) -> Self {
        self.http = HttpSetting::Of(endpoint.0.transport.http());
        self
    }

    /// Allows plain http to other machines, for the token URL, the issuer, the revocation URL and
    /// what a discovery document names.
    ///
    /// **Whoever sees the traffic has your client secret and all tokens.** For a test network, or
    /// where something below (a service mesh) encrypts.
    /// Default: only https, and plain http to this machine (`localhost`, `127.0.0.0/8`, `::1`).
    pub fn allow_insecure_http(mut self) -> Self {
        self.plain_http = PlainHttp::Allowed;
        self
    }

    /// How many token requests may run at once; the others queue. Counted for all clones of this
    /// endpoint together: after a restart with 100,000 users the server gets their requests
    /// sixteen at a time.
    /// Default: 16.
    pub fn requests_at_once(mut self, count: usize) -> Self {
        self.requests_at_once = count;
        self
    }

    /// How long one request may take, from connecting to the last byte of the answer.
    /// Default: 10 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sends JSON objects in place of forms, to token and revocation endpoint: for Atlassian, Notion and
    /// others that read nothing else. A parameter that is there more than once is a list.
    /// Default: forms, as RFC 6749 has it.
    pub fn json_requests(mut self) -> Self {
        self.shape.body = BodyFormat::Json;
        self
    }

    /// Headers for each token request and each revocation, asked for at each attempt: an API key that
    /// a gateway wants, a `traceparent`. They are marked as sensitive; one of ours that it gives again,
    /// such as `Accept`, takes the place of ours.
    ///
    /// It runs in the task that sends the request, so it must not block. If it panics, or gives a header
    /// that belongs to the connection or the body (`Connection`, `Host`, `Content-Type`), or
    /// `Authorization` beside `client_secret_basic`, nothing is sent and the error names this setting.
    /// What never changes, and what the discovery needs too, goes into the default headers of
    /// [`http`](Self::http).
    ///
    /// ```
    /// use reqwest_bearer::reqwest::header::{HeaderMap, HeaderValue};
    /// use reqwest_bearer::{ClientAuthentication, TokenEndpoint};
    ///
    /// # fn main() -> Result<(), reqwest_bearer::Error> {
    /// let endpoint = TokenEndpoint::builder(ClientAuthentication::none("my-client"))
    ///     .token_url("https://login.example.com/token")
    ///     .request_headers(|| {
    ///         let mut headers = HeaderMap::new();
    ///         headers.insert("x-client-id", HeaderValue::from_static("7"));
    ///         headers
    ///     })
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    /// Default: none.
    pub fn request_headers(mut self, hook: impl Fn() -> HeaderMap + Send + Sync + 'static) -> Self {
        self.shape.headers = Some(Arc::new(hook));
        self
    }

    /// Translates the answers of a token endpoint that has members of its own into those of RFC 6749
    /// sections 5.1 and 5.2, before anything reads them. `None` leaves an answer as it was sent.
    ///
    /// ```
    /// use reqwest_bearer::RawAnswer;
    /// use serde_json::{Value, json};
    ///
    /// // Douyin, and TikTok at its older endpoints, put everything into `data`.
    /// fn douyin(answer: &RawAnswer) -> Option<Value> {
    ///     let data = answer.json().get("data")?;
    ///     data.get("access_token").is_some().then(|| data.clone())
    /// }
    ///
    /// // Slack says 200 to everything, and has a user's tokens in `authed_user`.
    /// fn slack(answer: &RawAnswer) -> Option<Value> {
    ///     let user = answer.json().get("authed_user")?;
    ///     user.get("access_token").is_some().then(|| user.clone())
    /// }
    ///
    /// // Container registries call it `token`, and mean 60 s where they say nothing.
    /// fn registry(answer: &RawAnswer) -> Option<Value> {
    ///     let token = answer.json().get("token")?;
    ///     let lifetime = answer.json().get("expires_in").cloned();
    ///     Some(json!({ "access_token": token, "expires_in": lifetime.unwrap_or(json!(60)) }))
    /// }
    ///
    /// # fn build(client: reqwest_bearer::ClientAuthentication) -> Result<(), reqwest_bearer::Error> {
    /// # use reqwest_bearer::TokenEndpoint;
    /// let endpoint = TokenEndpoint::builder(client)
    ///     .token_url("https://open.douyin.com/oauth/refresh_token/")
    ///     .translate_answers(douyin)
    ///     .build()?;
    /// # let _ = (slack, registry, endpoint);
    /// # Ok(()) }
    /// ```
    ///
    /// What it returns is judged as if the server had sent it with this status: an `error` is a verdict,
    /// a token that no header can carry is none, and the id token of another user is refused. It is not
    /// asked about a 5xx, 429 or 408, which say what they say.
    ///
    /// A hook that panics, takes longer than 2 s, or returns neither a token nor an `error` costs no
    /// more than the one answer: the answer is read as it was sent, and if that says nothing, it
    /// counts as lost, and the error names this setting. After the second such answer in a row
    /// no refresh token is spent at this endpoint for 1 s, doubling to 30 s while it goes on, but for one
    /// after each pause.
    /// Default: answers are read as they are sent.
    pub fn translate_answers(
        mut self,
        hook: impl Fn(&RawAnswer) -> Option<Value> + Send + Sync + 'static,
    ) -> Self {
        self.translation = Some(Translation::new(hook));
        self
    }

    /// Takes an access token for no longer good than the id token beside it, by the claim `exp` of that
    /// one (OpenID Connect Core section 2) and the server's own clock: for APIs that are sent the id
    /// token ([`id_token`](crate::BearerTokenMiddlewareBuilder::id_token)), such as Kubernetes' and
    /// those behind an identity-aware proxy. With an access token of 60 minutes and an id token of
    /// 10, the next refresh begins before the tenth minute is over.
    /// Default: an access token lives as long as the server says.
    pub fn expires_with_id_token(mut self) -> Self {
        self.expires_with_id_token = true;
        self
    }

    /// The clock by which a discovery document ages and `Retry-After` dates are read. Timeouts on
    /// sockets do not follow it.
    /// Default: the machine's.
    #[cfg(any(test, feature = "test-util"))]
    pub fn clock(mut self, clock: &TestClock) -> Self {
        self.clock = Clock::Test(clock.clone());
        self
    }

    /// Checks the settings. Nothing is sent: this neither blocks nor depends on the server.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings); the message says which setting is wrong
    /// and how to mend it.
    pub fn build(self) -> Result<TokenEndpoint, Error> {
        self.authentication.check()?;
        if self.requests_at_once == 0 {
            return Err(
                Error::settings("`requests_at_once` is 0; at least 1 is needed")
                    .of_setting("requests_at_once"),
            );
        }
        if self.attempt_timeout.is_zero() {
            return Err(
                Error::settings("`attempt_timeout` is 0; no request could be answered")
                    .of_setting("attempt_timeout"),
            );
        }
        let check = |setter: &'static str, url: &str| {
            address::check(url, self.plain_http).map_err(|fault| {
                let what = setter.trim_end_matches("_url").replace('_', " ");
                Error::settings(format!("the {what} URL {fault}")).of_setting(setter)
            })
        };
        let check_if_set = |setter: &'static str, url: &Option<String>| {
            url.as_ref().map(|url| check(setter, url)).transpose()
        };
        let revocation_url = check_if_set("revocation_url", &self.revocation_url)?;
        let authorization_url = check_if_set("authorization_url", &self.authorization_url)?;
        let pushed = &self.pushed_authorization_url;
        let pushed_authorization_url = check_if_set("pushed_authorization_url", pushed)?;
        let device = &self.device_authorization_url;
        let device_authorization_url = check_if_set("device_authorization_url", device)?;
        let registration_url = check_if_set("registration_url", &self.registration_url)?;
        if let Some(namespace) = &self.namespace {
            let is_blank = |letter: char| letter.is_whitespace() || letter.is_control();
            if namespace.is_empty() || namespace.contains(is_blank) {
                return Err(
                    Error::settings("`namespace` is empty or has white space in it")
                        .of_setting("namespace"),
                );
            }
        }
        if self.dpop_nonce_first {
            self.check_nonce_first(revocation_url.as_ref())
                .map_err(|error| error.of_setting("dpop_nonce_first"))?;
        }
        let issuer = self.issuer_setting()?;
        let urls = match &self.discovery_url {
            Some(_) => [
                &self.token_url,
                &self.discovery_url,
                &self.revocation_url,
                pushed,
                device,
            ],
            None => [
                &self.token_url,
                &self.issuer,
                &self.revocation_url,
                pushed,
                device,
            ],
        };
        let stays_here = all_stay_here(urls.into_iter().flatten().map(String::as_str));
        let ours = Ours {
            connect_timeout: self.attempt_timeout / 2,
            stays_here,
            reach: self.reach.clone(),
        };
        let http = self.http.build(ours, &self.authentication)?;
        let transport = Transport::new(http, self.attempt_timeout).within(self.reach);
        let discovery = issuer.map(|issuer| {
            let discovery = Discovery::new(issuer, transport.clone(), self.clock.clone());
            Arc::new(discovery)
        });
        let place = match (&self.token_url, discovery) {
            (Some(url), discovery) => Place::Fixed(check("token_url", url)?, discovery),
            (None, Some(discovery)) => Place::Discovered(discovery),
            (None, None) => return Err(Error::settings("give the token URL or the issuer")),
        };
        Ok(TokenEndpoint(Arc::new(Setup {
            place,
            namespace: self.namespace,
            revocation_url,
            authorization_url,
            pushed_authorization_url,
            device_authorization_url,
            registration_url,
            authentication: self.authentication,
            transport,
            first_nonce: self
                .dpop_nonce_first
                .then(|| Arc::new(FirstNonce::default())),
            shape: self.shape,
            translation: self.translation,
            expires_with_id_token: self.expires_with_id_token,
            queue: Queue::new(self.requests_at_once),
            successes: Successes::default(),
            clock: self.clock,
        })))
    }

    /// Finds settings with which no nonce could come. What a document names is seen when it is there.
    fn check_nonce_first(&self, revocation_url: Option<&Url>) -> Result<(), Error> {
        let Some(revocation_url) = revocation_url else {
            return match (&self.issuer, &self.discovery_url) {
                (None, None) => Err(Error::settings(
                    "`dpop_nonce_first` asks the revocation endpoint, and none is known; give \
                     `revocation_url`, or the `issuer` whose document names it",
                )),
                _ => Ok(()),
            };
        };
        let token_url = self
            .token_url
            .as_deref()
            .and_then(|url| Url::parse(url).ok());
        match token_url {
            Some(url) if url.origin() != revocation_url.origin() => Err(Error::settings(
                "`dpop_nonce_first` asks the revocation endpoint, which is at another origin than the token \
                 endpoint, so that its nonces are no good there",
            )),
            _ => Ok(()),
        }
    }

    /// The issuer and where its document is, as far as they are set.
    fn issuer_setting(&self) -> Result<Option<Issuer>, Error> {
        let (place, issuer) = match (&self.discovery_url, &self.issuer) {
            (None, None) if self.issuer_is_checked => return Ok(None),
            (None, None) => {
                return Err(Error::settings(
                    "`unchecked_issuer` needs an `issuer` or a `discovery_url`",
                )
                .of_setting("unchecked_issuer"));
            }
            (None, Some(issuer)) => {
                let issuer = Issuer::new(issuer, self.plain_http)
                    .map_err(|error| error.of_setting("issuer"))?;
                return Ok(Some(if self.issuer_is_checked {
                    issuer
                } else {
                    issuer.unchecked()
                }));
            }
            (Some(_), None) if self.issuer_is_checked => {
                return Err(Error::settings(
                    "`discovery_url` needs the `issuer` that the document has to name, or the word \
                     `unchecked_issuer`",
                )
                .of_setting("discovery_url"));
            }
            (Some(place), issuer) => (place, issuer),
        };
        let place = address::check(place, self.plain_http).map_err(|fault| {
            Error::settings(format!("the discovery URL {fault}")).of_setting("discovery_url")
        })?;
        let naming = if self.issuer_is_checked {
            Naming::Same
        } else {
            Naming::Unchecked
        };
        Issuer::at(place, issuer.as_deref(), naming, self.plain_http)
            .map(Some)
            .map_err(|error| error.of_setting("issuer"))
    }
}

impl fmt::Debug for TokenEndpointBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URLs, which are not yet checked for passwords, and without the HTTP
        // client's default headers.
        formatter
            .debug_struct("TokenEndpointBuilder")
            .field("authentication", &self.authentication)
            .field("plain_http", &self.plain_http)
            .field("requests_at_once", &self.requests_at_once)
            .field("attempt_timeout", &self.attempt_timeout)
            .finish_non_exhaustive()
    }
}
