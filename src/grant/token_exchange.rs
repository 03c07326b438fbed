//! A token for another token (RFC 8693), and on behalf of whom that was issued to, as Entra has it.

use std::borrow::Cow;
use std::time::SystemTime;

use crate::endpoint::{SecretSource, TokenEndpoint, TokenRequest};
use crate::error::{Error, ErrorKind, HowFar};
use crate::grant::jwt_bearer::JWT_BEARER;
use crate::grant::{Grant, GrantRequest};
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::subject_token::{SubjectToken, TypedToken};
use crate::token::TokenResponse;
use crate::token_owner::TokenOwner;

mod answer;

use answer::{Ends, check_issued_type};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// What the authorization server of a company issues for that of another one's API.
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// Token exchange (RFC 8693): a token for one API, for the token that somebody has for another one.
///
/// A service that calls an API for its own callers has it behind
/// [`ExchangedTokens`](crate::ExchangedTokens), where each request says for whom it is:
///
/// ```
/// # fn main() -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::{
///     ClientAuthentication, ExchangedTokens, NamedExchangeClient, TokenEndpoint, TokenExchange,
/// };
///
/// let client = ClientAuthentication::client_secret_basic("my-service", "s3cr3t");
/// let endpoint = TokenEndpoint::discover("https://login.example.com", client)?;
/// let exchange = TokenExchange::new(endpoint).audience("orders").scope("orders:read");
/// let tokens = ExchangedTokens::new(exchange)?;
/// let orders = NamedExchangeClient::new("orders", "https://orders.example.com/v1", &tokens)?;
/// # Ok(()) }
/// ```
///
/// With a [`subject_token`](Self::subject_token) of its own it is a grant as any other, for the token of a
/// workload itself (workload identity federation): Google, AWS and others take the one that Kubernetes
/// keeps in a file.
///
/// ```
/// # fn main() -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::{
///     ClientAuthentication, NamedClient, SecretSource, SubjectToken, TokenEndpoint, TokenExchange,
/// };
///
/// let client = ClientAuthentication::none("my-workload");
/// let endpoint = TokenEndpoint::new("https://sts.example.com/token", client)?;
/// let exchange = TokenExchange::new(endpoint)
///     .subject_token(SecretSource::file("/var/run/secrets/tokens/sts"))
///     .subject_token_type(SubjectToken::JWT);
/// let buckets = NamedClient::new("buckets", "https://storage.example.com", exchange)?;
/// # Ok(()) }
/// ```
///
/// No token that comes of it is used longer than the one it was exchanged for, nor longer than the actor's,
/// as far as their ends are known; where nothing tells an end, 5 min. A refresh token in the answer is
/// dropped: who can exchange needs none. Nothing of it is ever in a store.
#[derive(Clone, Debug)]
pub struct TokenExchange {
    endpoint: TokenEndpoint,
    parameters: TokenParameters,
    requested_token_type: Option<Cow<'static, str>>,
    on_behalf_of: bool,
    takes_any_answer: bool,
    /// The program's own; `None` where callers bring theirs.
    subject: Option<Fixed>,
    actor: Option<Fixed>,
    /// Who takes what is exchanged for as an assertion.
    next: Option<TokenEndpoint>,
}

/// A token that is the same for all requests, or is read anew for each.
#[derive(Clone, Debug)]
struct Fixed {
    token: SecretSource,
    token_type: Cow<'static, str>,
}

impl Fixed {
    fn new(token: SecretSource) -> Self {
        let token_type = SubjectToken::ACCESS_TOKEN.into();
        Self { token, token_type }
    }

    async fn read(&self, what: &str) -> Result<TypedToken, Error> {
        let text = self.token.read().await?;
        TypedToken::new(text, what, self.token_type.clone()).map_err(|error| {
            Error::settings(format!("what was read as the {what} cannot be exchanged"))
                .with_source(error)
                .got(HowFar::NotSent)
        })
    }
}

/// What one request exchanges.
struct Incoming {
    subject: TypedToken,
    actor: Option<TypedToken>,
    ends: Ends,
}

impl TokenExchange {
    /// Asks this endpoint, for a token for the API that the server chooses by itself.
    #[must_use]
    pub fn new(endpoint: TokenEndpoint) -> Self {
        Self {
            endpoint,
            parameters: TokenParameters::new(),
            requested_token_type: None,
            on_behalf_of: false,
            takes_any_answer: false,
            subject: None,
            actor: None,
            next: None,
        }
    }

    /// Adds scopes, separated by spaces.
    /// Default: none are asked for.
    #[must_use]
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.scope(scope);
        self
    }

    /// Adds an audience: the name of the API at the authorization server (RFC 8693 section 2.1).
    /// Default: none.
    #[must_use]
    pub fn audience(mut self, audience: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.audience(audience);
        self
    }

    /// Adds a resource: the API by its URL (RFC 8693 section 2.1, RFC 8707 section 2).
    /// Default: none.
    #[must_use]
    pub fn resource(mut self, resource: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.resource(resource);
        self
    }

    /// What to ask for besides: resource, audience, parameters of the server's own. A single request's own
    /// parameters come before these. What is left out here stays as it was set.
    /// Default: nothing.
    #[must_use]
    pub fn parameters(mut self, parameters: TokenParameters) -> Self {
        self.parameters = parameters.or(&self.parameters);
        self
    }

    /// What kind of token is asked for (`requested_token_type`, RFC 8693 section 2.1), such as
    /// [`SubjectToken::JWT`]; an answer that brings another kind is an error.
    /// Default: nothing is said, and an access token or a JWT is expected.
    #[must_use]
    pub fn requested_token_type(mut self, token_type: impl Into<Cow<'static, str>>) -> Self {
        self.requested_token_type = Some(token_type.into());
        self
    }

    /// Asks as Microsoft Entra wants it, and others who speak its on-behalf-of flow: a JWT bearer grant
    /// with the incoming token as the `assertion` and `requested_token_use=on_behalf_of`. The scopes are
    /// those of one API, such as `https://graph.microsoft.com/.default`. Where Entra wants the user for a
    /// second factor, the error is [`SignInRequired`](ErrorKind::SignInRequired), and [`Error::claims`] has
    /// what the caller has to ask for with the next sign-in.
    /// Default: RFC 8693.
    #[must_use]
    pub fn on_behalf_of(mut self) -> Self {
        self.on_behalf_of = true;
        self
    }

    /// The token that is exchanged, where it is the program's own: for a grant without callers. A function or
    /// a file is read anew for each exchange.
    /// Default: that of each caller, behind [`ExchangedTokens`](crate::ExchangedTokens).
    #[must_use]
    pub fn subject_token(mut self, token: impl Into<SecretSource>) -> Self {
        let token_type = self.subject.map(|before| before.token_type);
        let fixed = Fixed::new(token.into());
        self.subject = Some(Fixed {
            token_type: token_type.unwrap_or(fixed.token_type),
            ..fixed
        });
        self
    }

    /// What kind of token the [`subject_token`](Self::subject_token) is, without which it says nothing.
    /// Default: [`SubjectToken::ACCESS_TOKEN`].
    #[must_use]
    pub fn subject_token_type(mut self, token_type: impl Into<Cow<'static, str>>) -> Self {
        if let Some(subject) = &mut self.subject {
            subject.token_type = token_type.into();
        }
        self
    }

    /// Who acts for the subjects (`actor_token`, RFC 8693 section 2.1): this service, with a token of its
    /// own. It is read anew for each exchange, so that of another [`TokenSource`](crate::TokenSource), which
    /// is one of these as well, it is always one that is good. An actor that a request brings
    /// ([`SubjectToken::actor`]) comes before this one.
    /// Default: no actor.
    ///
    /// ```
    /// # fn exchange(endpoint: reqwest_bearer::TokenEndpoint) {
    /// use reqwest_bearer::{ClientCredentials, TokenExchange, TokenSource};
    ///
    /// let own = TokenSource::from(ClientCredentials::new(endpoint.clone()));
    /// let exchange = TokenExchange::new(endpoint).actor_token(&own).audience("orders");
    /// # }
    /// ```
    #[must_use]
    pub fn actor_token(mut self, token: impl Into<SecretSource>) -> Self {
        self.actor = Some(Fixed::new(token.into()));
        self
    }

    /// What kind of token the [`actor_token`](Self::actor_token) is, without which it says nothing.
    /// Default: [`SubjectToken::ACCESS_TOKEN`].
    #[must_use]
    pub fn actor_token_type(mut self, token_type: impl Into<Cow<'static, str>>) -> Self {
        if let Some(actor) = &mut self.actor {
            actor.token_type = token_type.into();
        }
        self
    }

    /// Takes an answer that does not say what kind of token it brings (`issued_token_type`), from a server
    /// that leaves out what RFC 8693 section 2.2.1 requires.
    /// Default: such an answer is an error.
    #[must_use]
    pub fn without_issued_token_type(mut self) -> Self {
        self.takes_any_answer = true;
        self
    }

    /// Takes what this exchange brings as an assertion to another authorization server, whose token then is
    /// the one that is used (cross-app access): the server of a company issues an identity assertion (ID-JAG)
    /// for the API's server, which takes it by the JWT bearer grant (RFC 7523 section 2.1). Both are asked
    /// anew each time, since an assertion may be good for one use.
    ///
    /// The parameters go to the first of them, which puts them into the assertion; the kind that is asked for
    /// is `urn:ietf:params:oauth:token-type:id-jag`, unless
    /// [`requested_token_type`](Self::requested_token_type) says otherwise.
    /// Default: what the exchange brings is the token.
    #[must_use]
    pub fn then_jwt_bearer(mut self, endpoint: TokenEndpoint) -> Self {
        self.next = Some(endpoint);
        self
    }

    /// What cannot work, whoever's tokens are exchanged.
    fn check(&self) -> Result<(), Error> {
        if self.on_behalf_of && (self.actor.is_some() || self.next.is_some()) {
            return Err(Error::settings(
                "on-behalf-of has neither an actor nor a second server; leave out `actor_token` and \
                 `then_jwt_bearer`, or `on_behalf_of`",
            )
            .of_setting("on_behalf_of"));
        }
        Ok(())
    }

    /// Whether it can serve callers who bring their tokens.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check_for_callers(&self) -> Result<(), Error> {
        if self.subject.is_some() {
            return Err(Error::settings(
                "the exchange has a subject token of its own, which all callers would share; leave out \
                 `subject_token`",
            )
            .of_setting("subject_token"));
        }
        self.check()
    }

    /// Whether it can serve the program itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check_for_application(&self) -> Result<(), Error> {
        if self.subject.is_none() {
            return Err(Error::settings(
                "the exchange has no subject token; give it one by `subject_token`, or put it behind \
                 `ExchangedTokens`, where each caller brings one",
            )
            .of_setting("subject_token"));
        }
        self.check()
    }

    async fn incoming(&self, request: &GrantRequest) -> Result<Incoming, Error> {
        let (subject, stated_end) = match (request.subject_token(), &self.subject) {
            (Some(token), None) => (token.token().clone(), token.stated_end()),
            (None, Some(own)) => (own.read("subject token").await?, None),
            (Some(_), Some(_)) | (None, None) => {
                let error = Error::settings("it is not clear which token is to be exchanged");
                return Err(error.got(HowFar::NotSent));
            }
        };
        let brought = request.subject_token().and_then(SubjectToken::actor_token);
        let actor = match (brought, &self.actor) {
            (Some(_), _) if self.on_behalf_of => {
                let error = Error::settings("on-behalf-of knows no actor; leave out `actor`");
                return Err(error.got(HowFar::NotSent));
            }
            (Some(actor), _) => Some(actor.clone()),
            (None, Some(own)) => Some(own.read("actor token").await?),
            (None, None) => None,
        };
        let ends = Ends::of(&subject, actor.as_ref(), stated_end);
        Ok(Incoming {
            subject,
            actor,
            ends,
        })
    }

    fn kind_asked_for(&self) -> Option<&str> {
        let of_chain = self.next.as_ref().map(|_| ID_JAG);
        self.requested_token_type.as_deref().or(of_chain)
    }

    fn request(&self, incoming: &Incoming, request: &GrantRequest) -> TokenRequest {
        let Incoming { subject, actor, .. } = incoming;
        let mut form = if self.on_behalf_of {
            TokenRequest::new(JWT_BEARER)
                .secret_field("assertion", subject.text.clone())
                .field("requested_token_use", "on_behalf_of")
        } else {
            TokenRequest::new(TOKEN_EXCHANGE)
                .secret_field("subject_token", subject.text.clone())
                .field("subject_token_type", &*subject.token_type)
        };
        if let Some(actor) = actor {
            form = form
                .secret_field("actor_token", actor.text.clone())
                .field("actor_token_type", &*actor.token_type);
        }
        if let Some(kind) = self.kind_asked_for() {
            form = form.field("requested_token_type", kind);
        }
        form.parameters(&request.parameters().or(&self.parameters))
    }

    /// What an error means for whoever brought the token.
    fn blame(&self, error: Error, incoming: &Incoming) -> Error {
        match self.subject {
            Some(_) => error.without_a_user(),
            None => error.about_subject_token(incoming.actor.is_some()),
        }
    }

    fn has_ended(&self) -> Error {
        let error = match self.subject {
            // It is read anew each time, and somebody puts another one there.
            Some(_) => Error::new(
                ErrorKind::Unavailable,
                "the token that was read to be exchanged has expired",
            ),
            None => Error::new(
                ErrorKind::InvalidSubjectToken,
                "the token that was to be exchanged has expired, or the actor's; whoever brought it has to \
                 come with another one",
            ),
        };
        error.got(HowFar::NotSent)
    }

    /// Takes what came to the second server.
    async fn go_on(
        &self,
        endpoint: &TokenEndpoint,
        assertion: Secret,
        request: &GrantRequest,
    ) -> Result<(SystemTime, TokenResponse), Error> {
        endpoint.locate().await?;
        let _place = endpoint.queue().enter_anyway(endpoint.client()).await;
        let asked_at = endpoint.now();
        let form = TokenRequest::new(JWT_BEARER)
            .secret_field("assertion", assertion)
            .bound_to(request.bound_by());
        Ok((asked_at, endpoint.request_token(form).await?))
    }
}

impl Grant for TokenExchange {
    fn name(&self) -> &str {
        if self.on_behalf_of {
            "on_behalf_of"
        } else {
            "token_exchange"
        }
    }

    async fn endpoint(&self, _: &TokenOwner) -> Result<Option<TokenEndpoint>, Error> {
        Ok(Some(self.endpoint.clone()))
    }

    fn parameters(&self) -> TokenParameters {
        self.parameters.clone()
    }

    async fn obtain(&self, request: GrantRequest) -> Result<TokenResponse, Error> {
        let incoming = self.incoming(&request).await?;
        let mut asked_at = self.endpoint.now();
        if incoming.ends.have_come(asked_at) {
            return Err(self.has_ended());
        }
        let form = self.request(&incoming, &request);
        let form = match self.next {
            Some(_) => form.for_another_server(),
            None => form.bound_to(request.bound_by()),
        };
        let answer = self.endpoint.request_token(form).await;
        let mut response = answer.map_err(|error| self.blame(error, &incoming))?;
        if !self.on_behalf_of && !self.takes_any_answer {
            check_issued_type(&response, self.kind_asked_for())?;
        }
        if let Some(next) = &self.next {
            let went_on = self.go_on(next, response.access_token, &request).await;
            (asked_at, response) = went_on.map_err(|error| self.blame(error, &incoming))?;
        }
        Ok(incoming.ends.bound(response, asked_at))
    }
}
