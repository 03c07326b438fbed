//! The authorization request: the URL that a user's browser is sent to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use reqwest::Url;

use crate::authorization::pending::{PendingAuthorization, server_of};
use crate::authorization::unguessable::{challenge, unguessable};
use crate::dpop::{DpopKey, SessionKey};
use crate::endpoint::TokenEndpoint;
use crate::error::{Error, HowFar};
use crate::parameters::{TokenParameters, is_field_of_requests};
use crate::step_up::StepUp;

/// The parameters that a request has by itself, besides those of token requests, or that would put another
/// request in its place.
const RESERVED: [&str; 8] = [
    "response_type",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "request",
    "request_uri",
];

/// An authorization request (RFC 6749 section 4.1.1): the first half of a user's sign-in. The second half is
/// [`PendingAuthorization::finish`].
///
/// ```no_run
/// # async fn example(
/// #     endpoint: reqwest_bearer::TokenEndpoint, users: reqwest_bearer::UserSessions,
/// #     session: reqwest_bearer::Subject, redirect_to: impl Fn(&str), redirect: &str,
/// # ) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::AuthorizationRequest;
///
/// let request = AuthorizationRequest::new("https://app.example.com/signed-in")
///     .scope("openid offline_access");
/// let (url, pending) = request.start(&endpoint).await?;
/// redirect_to(url.as_str());
/// // ... and when the user comes back, with `pending` from the session of this browser:
/// let tokens = pending.finish(&endpoint, redirect).await?;
/// users.sign_in(&session, tokens).await?;
/// # Ok(()) }
/// ```
///
/// Each start draws a new `state`, a new PKCE verifier, of which the challenge is sent (RFC 7636, always
/// S256), and with the scope `openid` a new `nonce`. Where the server's document names an endpoint for pushed
/// requests, the request is pushed there (RFC 9126), with client authentication, and the URL has a reference
/// in place of the parameters.
///
/// `Debug` shows the names of the extra parameters, and not their values.
#[derive(Clone)]
pub struct AuthorizationRequest {
    redirect_uri: String,
    /// Without extra ones: which are allowed is another question here.
    parameters: TokenParameters,
    extra: BTreeMap<String, String>,
    dpop_key: Option<DpopKey>,
    lifetime: Duration,
    is_pushed: bool,
}

impl AuthorizationRequest {
    /// A request whose answer goes to this redirect URI, which is sent letter for letter as the server knows
    /// it.
    #[must_use]
    pub fn new(redirect_uri: impl Into<String>) -> Self {
        Self {
            redirect_uri: redirect_uri.into(),
            parameters: TokenParameters::new(),
            extra: BTreeMap::new(),
            dpop_key: None,
            lifetime: Duration::from_secs(10 * 60),
            is_pushed: true,
        }
    }

    /// Adds scopes, separated by spaces (RFC 6749 section 3.3), after those that are there.
    /// Default: none; the server decides.
    #[must_use]
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.scope(scope);
        self
    }

    /// Adds a resource, an absolute URI (RFC 8707 section 2). A single one is asked for again with the code,
    /// so that the first access token is for it; with several, that one is for what the server decides.
    /// Default: none.
    #[must_use]
    pub fn resource(mut self, resource: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.resource(resource);
        self
    }

    /// Adds an audience, as Auth0 has it.
    /// Default: none.
    #[must_use]
    pub fn audience(mut self, audience: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.audience(audience);
        self
    }

    /// Adds what is to be asked for, such as an API's own
    /// [metadata](crate::ResourceMetadata::parameters) says: scopes, resources, audiences, and other parameters
    /// as by [`extra`](Self::extra).
    /// Default: nothing.
    #[must_use]
    pub fn parameters(mut self, parameters: TokenParameters) -> Self {
        for (name, value) in parameters.form_fields() {
            self = match name {
                "scope" => self.scope(value),
                "resource" => self.resource(value),
                "audience" => self.audience(value),
                _ => self.extra(name, value),
            };
        }
        self
    }

    /// Sets any other parameter, such as `prompt`, `login_hint`, `acr_values` or `response_mode`. Those that
    /// the request has by itself (`state`, `code_challenge`, ...) or by a method (`scope`, ...) are none:
    /// starting it is then an error.
    /// Default: none.
    #[must_use]
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    /// Asks for what an API wants of the user besides: more scopes, a stronger or a fresher sign-in, claims.
    ///
    /// ```
    /// # fn example(response: &reqwest::Response, request: reqwest_bearer::AuthorizationRequest)
    /// #     -> Option<reqwest_bearer::AuthorizationRequest> {
    /// use reqwest_bearer::StepUp;
    ///
    /// let request = request.step_up(&StepUp::find_in(response)?);
    /// # Some(request) }
    /// ```
    #[must_use]
    pub fn step_up(mut self, wanted: &StepUp) -> Self {
        if let Some(scope) = wanted.scope() {
            self = self.scope(scope);
        }
        let parameters = wanted.authorization_parameters();
        parameters.fold(self, |request, (name, value)| request.extra(name, value))
    }

    /// Binds the session to this key (DPoP, RFC 9449): the request names it by its thumbprint (`dpop_jkt`,
    /// section 10), so that the code is worth nothing without it. The key is part of what has to be kept, and
    /// goes on into the session's record: give each sign-in one of its own, from
    /// [`DpopKey::generate`](crate::DpopKey::generate).
    /// Default: bearer tokens.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn dpop(mut self, key: &DpopKey) -> Self {
        self.dpop_key = Some(key.clone());
        self
    }

    /// How long the user may take.
    /// Default: 10 minutes: who comes back at 10:00 has to begin anew.
    #[must_use]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Puts the parameters into the URL, even where the server takes pushed requests: for clients that it does
    /// not let push. Where its document says that each request has to be pushed, starting it is an error.
    /// Default: pushed where the server's document names an endpoint for it.
    #[must_use]
    pub fn without_pushing(mut self) -> Self {
        self.is_pushed = false;
        self
    }

    /// Begins a sign-in. Gives the URL to send the user's browser to, which has no secret in it, and what has
    /// to be kept until the user comes back, which has: see [`PendingAuthorization`].
    ///
    /// Pushing is one attempt that takes its turn among the endpoint's requests, and that is never made up
    /// for by a request which is not pushed.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for a redirect URI or an extra parameter that cannot
    /// be, or if no authorization endpoint is known; otherwise as the discovery or the pushed request failed.
    pub async fn start(
        &self,
        endpoint: &TokenEndpoint,
    ) -> Result<(Url, PendingAuthorization), Error> {
        let (client_id_name, client_id) = endpoint.client_id_parameter();
        self.check(client_id_name)?;
        let client_id = (client_id_name.to_owned(), client_id.to_owned());
        let key = self.dpop_key.as_ref().map(SessionKey::of).transpose()?;
        let server = endpoint.authorization_endpoint().await?;
        let now = endpoint.now();
        let expires_at = now.checked_add(self.lifetime).ok_or_else(|| {
            Error::settings("`expires_in` is longer than a clock can tell").got(HowFar::NotSent)
        })?;
        let scope = self.parameters.scope_text().unwrap_or_default();
        let wants_id_token = scope.split(' ').any(|scope| scope == "openid");
        let resources: Vec<_> = self.values("resource").collect();
        let mut pending = PendingAuthorization {
            state: unguessable()?,
            code_verifier: unguessable()?,
            nonce: wants_id_token.then(unguessable).transpose()?,
            redirect_uri: self.redirect_uri.clone(),
            resource: match resources.as_slice() {
                [resource] => Some(resource.clone()),
                _ => None,
            },
            issuer: server.issuer,
            names_issuer: server.names_issuer,
            server: server_of(endpoint),
            expires_at,
            url_expires_at: None,
            key,
        };
        let parameters = self.parameters_for(&pending);
        let in_url = match &server.pushed {
            Some(pushed) if self.is_pushed => {
                let key = self.dpop_key.as_ref();
                let pushed = endpoint.push(pushed, parameters, key).await?;
                pending.url_expires_at = endpoint.now().checked_add(pushed.expires_in);
                vec![("request_uri".to_owned(), pushed.request_uri)]
            }
            _ if server.must_be_pushed => {
                return Err(Error::settings(
                    "the authorization server takes pushed authorization requests alone (RFC 9126); let it \
                     be pushed, or give `pushed_authorization_url` if the document does not name it",
                )
                .got(HowFar::NotSent));
            }
            _ => parameters,
        };
        let url = with_query(server.url, [client_id].into_iter().chain(in_url))?;
        Ok((url, pending))
    }

    fn values(&self, wanted: &str) -> impl Iterator<Item = String> {
        let fields = self.parameters.form_fields();
        fields.filter_map(move |(name, value)| (name == wanted).then_some(value))
    }

    /// All of the request but the client id, which client authentication names where it is pushed.
    fn parameters_for(&self, pending: &PendingAuthorization) -> Vec<(String, String)> {
        let own = [
            ("response_type", "code".to_owned()),
            ("redirect_uri", self.redirect_uri.clone()),
            ("state", pending.state.expose().to_owned()),
            ("code_challenge", challenge(&pending.code_verifier)),
            ("code_challenge_method", "S256".to_owned()),
        ];
        let nonce = pending.nonce.as_ref();
        let nonce = nonce.map(|nonce| ("nonce", nonce.expose().to_owned()));
        let key = pending.key.as_ref();
        let jkt = key.map(|key| ("dpop_jkt", key.key().jkt().to_owned()));
        let extra = self.extra.iter();
        let extra = extra.map(|(name, value)| (name.as_str(), value.clone()));
        own.into_iter()
            .chain(nonce)
            .chain(jkt)
            .chain(self.parameters.form_fields())
            .chain(extra)
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn check(&self, client_id_name: &str) -> Result<(), Error> {
        let fault = |message: String| Err(Error::settings(message).got(HowFar::NotSent));
        match Url::parse(&self.redirect_uri) {
            Err(_) => return fault("the redirect URI is not an absolute URL".to_owned()),
            Ok(url) if url.fragment().is_some() => {
                return fault(
                    "the redirect URI has a fragment (`#...`), which RFC 6749 section 3.1.2 forbids"
                        .to_owned(),
                );
            }
            Ok(_) => {}
        }
        if self.lifetime.is_zero() {
            return fault("`expires_in` is 0; no user is that quick".to_owned());
        }
        let is_reserved = |name: &&String| {
            let name = name.as_str();
            name.is_empty()
                || name == client_id_name
                || RESERVED.contains(&name)
                || is_field_of_requests(name)
        };
        match self.extra.keys().find(is_reserved) {
            Some(name) => fault(format!(
                "`{name}` cannot be an extra parameter of an authorization request, which has it by itself \
                 or by a method, or must not have it"
            )),
            None => Ok(()),
        }
    }
}

/// # Errors
/// If the server's URL has one of the parameters already: which of the two would be read is not ours to guess
/// (RFC 6749 section 3.1).
fn with_query(
    mut url: Url,
    parameters: impl Iterator<Item = (String, String)>,
) -> Result<Url, Error> {
    let known: Vec<String> = url
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    for (name, value) in parameters {
        if known.contains(&name) {
            return Err(Error::settings(format!(
                "the URL of the authorization endpoint has `{name}` in its query, and so has the request"
            ))
            .got(HowFar::NotSent));
        }
        url.query_pairs_mut().append_pair(&name, &value);
    }
    Ok(url)
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AuthorizationRequest")
            .field("redirect_uri", &self.redirect_uri)
            .field("parameters", &self.parameters)
            .field("extra", &self.extra.keys())
            .field("dpop_key", &self.dpop_key)
            .field("expires_in", &self.lifetime)
            .field("is_pushed", &self.is_pushed)
            .finish()
    }
}
