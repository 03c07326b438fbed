//! The path of one request: attach, send, judge the answer, resend once.

mod builder;
mod deadline;
mod drain;
mod proven;
mod resend_count;
mod sending;
mod waiting;

use std::pin::Pin;
use std::sync::Arc;

use http::Extensions;
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Middleware, Next, Result as Chain};

pub use crate::middleware::builder::BearerTokenMiddlewareBuilder;
pub use crate::middleware::resend_count::ResendCount;

use crate::api_answer::ApiAnswer;
use crate::cache::entry::Entry;
use crate::cache::rejection::Sending;
use crate::call;
use crate::carrier::Carrier;
use crate::challenge::{BearerChallenge, challenge_to};
use crate::claims::{self, Lacking};
use crate::destinations::{Admission, Destinations};
use crate::error::{Error, ErrorKind};
use crate::middleware::deadline::Deadline;
use crate::middleware::drain::make_room;
use crate::middleware::proven::Proven;
use crate::middleware::sending::{Kept, Stamp, is_without_url};
use crate::middleware::waiting::Waiting;
use crate::options::TokenOptions;
use crate::path::InvalidPath;
use crate::refuser::Refuser;
use crate::source::TokenSource;
use crate::source::handle::{Explicit, Handle};
use crate::token::TokenType;
use crate::users::UserSessions;

/// Gives each request an access token, and heals a 401 by one refresh and
/// one resend.
///
/// Bound to the origins that it may send tokens to when it is made. Retry and tracing middleware
/// belongs outside, that is, before it in the chain: each retry then gets a token of its own.
///
/// ```
/// # fn client(grant: impl reqwest_bearer::Grant) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::BearerTokenMiddleware;
///
/// let http = reqwest_bearer::http_client(reqwest::Client::builder())?;
/// let orders = reqwest_middleware::ClientBuilder::new(http.into())
///     .with(BearerTokenMiddleware::for_origin("https://api.example.com", grant)?)
///     .build();
/// # Ok(())
/// # }
/// ```
///
/// A `reqwest::Client` that was not built by [`http_client`](crate::http_client) follows redirects
/// by its own rules; see [`redirect_policy`](crate::redirect_policy) for what they leak.
///
/// What an API says beside a refusal is in the extensions of the response: the
/// [`BearerChallenge`](crate::BearerChallenge) of any 4xx (insufficient scope, step-up,
/// claims), and after a 401 that could not be healed the [`Error`] that says why.
///
/// A redirect to another origin takes no token along, also where both origins are among those that the
/// token may go to: what is followed is decided below the middleware, which cannot give the second
/// request a token of its own. The 401 that comes of it is passed on with the reason; ask the other
/// origin itself.
///
/// The time-out of a request bounds the wait for its token, the request and its resend together;
/// a client-wide time-out of reqwest cannot be read, and counts for each send alone.
#[derive(Clone, Debug)]
pub struct BearerTokenMiddleware {
    tokens: Handle,
    /// The name of the named client that it is in, if it is in one.
    client: Option<Arc<str>>,
    destinations: Destinations,
    /// Whether a 401 that stays because the session is over is an error.
    ended_session_is_error: bool,
    carrier: Carrier,
}

/// A sending of which an API wants another token, and what a second one needs.
struct Refused<'chain> {
    judgement: Judgement,
    stamp: Stamp,
    kept: Kept,
    deadline: Deadline,
    response: Response,
    /// Whether it was sent twice for a nonce already (C3).
    is_resent: bool,
    next: Next<'chain>,
}

impl BearerTokenMiddleware {
    /// Sends the tokens of `source` to this origin (scheme, host and port) and to no other.
    ///
    /// # Errors
    /// If the text is no origin, or one that is neither https nor loopback.
    pub fn for_origin(
        origin: impl Into<String>,
        source: impl Into<TokenSource>,
    ) -> Result<Self, Error> {
        Self::builder(source).origin(origin).build()
    }

    /// Sends the tokens of the user whom a request names to this origin and to no other: by a
    /// [`Subject`](crate::Subject) among its extensions, or else the one that its task is for
    /// ([`Subject::run`](crate::Subject::run)).
    ///
    /// # Errors
    /// As [`for_origin`](Self::for_origin).
    pub fn for_users(origin: impl Into<String>, users: &UserSessions) -> Result<Self, Error> {
        Self::users_builder(users).origin(origin).build()
    }

    /// Sends the tokens of `source` to any https or loopback origin that a request names. For
    /// clients whose URLs are all your own; a URL from elsewhere takes the token with it. With a source whose
    /// tokens are bound to a key (DPoP) each call is an error: take [`builder`](Self::builder), and say
    /// which client is below.
    #[must_use]
    pub fn for_any_origin(source: impl Into<TokenSource>) -> Self {
        let mut handle = source.into().handle().clone();
        if handle.fault.is_none() && handle.offers_dpop() {
            handle.fault = Some(builder::follows_with_a_proof());
        }
        Self::new(handle, None, Destinations::any(), Carrier::default(), false)
    }

    /// A middleware with settings.
    pub fn builder(source: impl Into<TokenSource>) -> BearerTokenMiddlewareBuilder {
        BearerTokenMiddlewareBuilder::new(source.into().handle().clone())
    }

    /// A middleware with settings, for the tokens of the users whom requests name.
    pub fn users_builder(users: &UserSessions) -> BearerTokenMiddlewareBuilder {
        BearerTokenMiddlewareBuilder::new(users.handle().clone())
    }

    /// The same middleware for other tokens of the same source.
    pub(crate) fn with_tokens(&self, tokens: Handle) -> Self {
        Self {
            tokens,
            carrier: self.carrier.anew(),
            ..self.clone()
        }
    }

    pub(crate) fn new(
        tokens: Handle,
        client: Option<Arc<str>>,
        destinations: Destinations,
        carrier: Carrier,
        ended_session_is_error: bool,
    ) -> Self {
        Self {
            tokens,
            client,
            destinations,
            carrier,
            ended_session_is_error,
        }
    }

    /// Whether this request is one for us. A caller's own header wins (D4).
    fn admits(
        &self,
        request: &Request,
        options: Option<&TokenOptions>,
        extensions: &Extensions,
    ) -> Result<Admission, Error> {
        if !request.url().scheme().starts_with("http")
            && let Some(InvalidPath(error)) = extensions.get()
        {
            return Err(error.clone());
        }
        let anonymous = options.is_some_and(|options| options.anonymous);
        // Requests have few headers: looking at each name is cheaper than hashing the one.
        let mut names = request.headers().keys();
        if anonymous || names.any(|name| name == self.carrier.header()) {
            return Ok(Admission::WithoutToken);
        }
        self.destinations.admit(request.url())
    }

    /// Whether this reason is to take the place of the API's 401.
    fn is_session_over(&self, reason: &Error) -> bool {
        self.ended_session_is_error && reason.kind() == ErrorKind::SignInRequired
    }

    /// Why there is no answer, as the chain hands it on.
    #[cold]
    fn failed(&self, error: Error) -> reqwest_middleware::Error {
        self.tokens.named(error).into_middleware()
    }

    /// Another token and another sending, if both can be had; otherwise the answer that is there
    /// (C7, C8).
    async fn heal(
        &self,
        entry: &Arc<Entry>,
        refused: Refused<'_>,
        extensions: &mut Extensions,
    ) -> Chain<Response> {
        let engine = self.tokens.engine();
        let client = self.client.as_ref();
        let Refused {
            judgement,
            stamp,
            kept,
            deadline,
            mut response,
            is_resent,
            next,
        } = refused;
        let refuser = Refuser::at(kept.url());
        let claims = match judgement {
            Judgement::LacksClaims => self.demanded_claims(&response),
            _ => None,
        };
        let lacking = claims.map(|claims| Lacking {
            generation: stamp.generation,
            handovers: stamp.handovers,
            claims,
            demanded_by: &refuser,
            client,
        });
        let refuse = |generation, sending| {
            call::refuse(engine, entry, generation, &refuser, sending, client);
        };
        if lacking.is_none() {
            refuse(stamp.generation, Sending::First);
        }
        let Kept::Copy(mut copy) = kept else {
            if let Some(lacking) = lacking {
                claims::ask_for(engine, entry, &lacking);
            }
            return Ok(response);
        };
        let within = deadline.left(engine.setup.settings.timeouts.wait, &engine.setup.clock);
        let newer = match &lacking {
            Some(lacking) => claims::token_with(engine, entry, lacking, within).await,
            None => {
                let (generation, handovers) = (stamp.generation, stamp.handovers);
                call::renewed(engine, entry, generation, handovers, within, client).await
            }
        };
        let newer = match newer {
            Ok(newer) => newer,
            Err(reason) if self.is_session_over(&reason) => return Err(self.failed(reason)),
            Err(reason) => {
                response.extensions_mut().insert(self.tokens.named(reason));
                return Ok(response);
            }
        };
        let clock = &engine.setup.clock;
        let again = (newer.binding.is_some() && !is_resent).then(|| Kept::of(&copy));
        let proven = Proven::of(&newer, again.as_ref(), &deadline, &self.tokens);
        let ready = self.prepare(&newer, proven.as_ref(), &mut copy, &deadline);
        let nonce = match ready.await {
            Ok(nonce) => nonce,
            Err(reason) => {
                response.extensions_mut().insert(self.tokens.named(reason));
                return Ok(response);
            }
        };
        make_room(response, &mut copy, &deadline, clock).await;
        let url = copy.url().clone();
        let stamp = Stamp::of(&newer, Some(clock.now()));
        ResendCount::after(1 + u32::from(is_resent), extensions);
        let sent = match proven {
            Some(proven) => {
                let answered = proven.send(copy, nonce, extensions, next).await;
                answered.map(|answered| answered.response)
            }
            None => next.run(copy, extensions).await,
        };
        ResendCount::end(extensions);
        let mut response = sent?;
        let token_type = TokenType::of(newer.binding.as_ref());
        match self.judge(entry, stamp, token_type, &url, &mut response) {
            Judgement::Refused => refuse(stamp.generation, Sending::Second),
            Judgement::Accepted => entry.resend_accepted(&refuser),
            Judgement::LacksClaims | Judgement::Undecided | Judgement::Elsewhere => {}
        }
        Ok(response)
    }

    /// Says why a 401 of another origin is passed on (K20).
    #[cold]
    fn attach_reason(&self, response: &mut Response) {
        let origin = response.url().origin().ascii_serialization();
        let reason = Error::new(
            ErrorKind::OriginNotAllowed,
            format!(
                "{origin} refused the request, where a redirect led and no token went, so that another \
                 token would not help; ask there with a client of its own, or say what refuses a token \
                 with `refused_when_answered`"
            ),
        );
        response.extensions_mut().insert(self.tokens.named(reason));
    }

    /// Notes what the API made of the token; says whether it refused it. An answer from another
    /// origin, where a redirect led and the token did not go, says nothing (C10), unless the rule of the
    /// source says otherwise.
    #[inline]
    fn judge(
        &self,
        entry: &Entry,
        stamp: Stamp,
        token_type: TokenType,
        url: &Url,
        response: &mut Response,
    ) -> Judgement {
        let status = response.status();
        let answer = ApiAnswer {
            status,
            headers: response.headers(),
            url: if response.url() == url || is_without_url(response) {
                url
            } else {
                response.url()
            },
            requested: url,
            token_type,
        };
        let is_elsewhere = answer.is_from_elsewhere();
        let is_refused = self.tokens.is_refused_by(&answer);
        if is_refused || is_elsewhere || status == 401 {
            return self.judge_closely(is_refused, is_elsewhere, token_type, response);
        }
        // RFC 6750 section 3.1 has a 400 with a challenge, too.
        if status.is_client_error() {
            attach_challenge(response, token_type);
        }
        if status.is_server_error() {
            return Judgement::Undecided;
        }
        if let Some(sent) = stamp.sent {
            entry.accept(stamp.generation, sent, status.is_success(), url);
        }
        Judgement::Accepted
    }

    /// The claims that the API demands, if they are to be asked for (K28).
    fn demanded_claims(&self, response: &Response) -> Option<Arc<str>> {
        if response.status() != 401 || !self.tokens.asks_for_claims() {
            return None;
        }
        let challenge = response.extensions().get::<BearerChallenge>()?;
        challenge.demanded_claims().map(Arc::from)
    }

    /// What an answer is that does not simply take the token.
    #[cold]
    fn judge_closely(
        &self,
        is_refused: bool,
        is_elsewhere: bool,
        token_type: TokenType,
        response: &mut Response,
    ) -> Judgement {
        let is_401 = response.status() == 401;
        if is_elsewhere && !is_refused {
            if is_401 {
                self.attach_reason(response);
            }
            return Judgement::Elsewhere;
        }
        attach_challenge(response, token_type);
        if !is_elsewhere && self.demanded_claims(response).is_some() {
            Judgement::LacksClaims
        } else if is_refused {
            Judgement::Refused
        } else {
            Judgement::Undecided
        }
    }
}

/// What an answer says about the token that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Accepted,
    Refused,
    /// It is good, and lacks claims that the API demands (K28).
    LacksClaims,
    /// Neither: a server error, or a 401 that another token would not mend.
    Undecided,
    Elsewhere,
}

impl Judgement {
    /// Whether the request may succeed with another token.
    fn wants_another_token(self) -> bool {
        matches!(self, Self::Refused | Self::LacksClaims)
    }
}

/// What an `async_trait` method returns.
type Answer<'call> = Pin<Box<dyn Future<Output = Chain<Response>> + Send + 'call>>;

impl Middleware for BearerTokenMiddleware {
    // What `async_trait` would write, except that it moves the request, and the future of every
    // call then has room for it twice: more than an allocator has at hand. A warm call would cost
    // 1.45 of the limit that the benches measure by, where 1.25 is the goal and this a hair less.
    fn handle<'middleware, 'extensions, 'chain, 'call>(
        &'middleware self,
        mut request: Request,
        extensions: &'extensions mut Extensions,
        next: Next<'chain>,
    ) -> Answer<'call>
    where
        'middleware: 'call,
        'extensions: 'call,
        'chain: 'call,
    {
        Box::pin(async move {
            // Most requests have no extensions, and are spared three looks.
            let (options, explicit) = if extensions.is_empty() {
                (None, Explicit::default())
            } else {
                (extensions.get(), Explicit::among(extensions))
            };
            match self.admits(&request, options, extensions) {
                Ok(Admission::WithToken) => {}
                Ok(Admission::WithoutToken) => return next.run(request, extensions).await,
                Err(error) => return Err(self.failed(error)),
            }
            let engine = self.tokens.engine();
            let place = self.tokens.place_for_call(explicit, options);
            let place = place.map_err(|error| self.failed(error))?;
            let entry = place.as_ref().unwrap_or(&engine.entries.primary);
            let deadline = Deadline::of(&request, &engine.setup.clock);
            let kept = Kept::of(&request);
            let takes_any = options.is_none_or(TokenOptions::takes_any_token);
            let ready = if takes_any {
                call::ready(engine, entry, |token| {
                    let sent = (!token.is_known_good()).then(|| engine.setup.clock.now());
                    let put = self
                        .carrier
                        .put(token, request.headers_mut(), &engine.setup.clock);
                    put.map(|()| Stamp::of(token, sent))
                })
            } else {
                None
            };
            let Some(stamp) = ready else {
                let bound = takes_any.then(|| call::ready_bound(engine, entry));
                let waiting = Waiting {
                    bound: bound.flatten(),
                    demand: self.tokens.demand(options),
                    kept,
                    deadline,
                    next,
                };
                // Boxed, as `heal` is: a call that has to wait can pay for its room, and no other has to.
                return Box::pin(self.send_later(entry, waiting, request, extensions)).await;
            };
            let stamp = stamp.map_err(|error| self.failed(error))?;

            deadline
                .bound(&mut request, &engine.setup.clock)
                .map_err(|error| self.failed(error))?;
            // A block, so that the future has no room for the answer beside that of `heal`.
            let refused = {
                let mut response = next.clone().run(request, extensions).await?;
                let judgement =
                    self.judge(entry, stamp, TokenType::Bearer, kept.url(), &mut response);
                if !judgement.wants_another_token() {
                    return Ok(response);
                }
                Refused {
                    judgement,
                    stamp,
                    kept,
                    deadline,
                    response,
                    is_resent: false,
                    next,
                }
            };
            Box::pin(self.heal(entry, refused, extensions)).await
        })
    }
}

fn attach_challenge(response: &mut Response, token_type: TokenType) {
    if let Some(challenge) = challenge_to(token_type, response.headers()) {
        response.extensions_mut().insert(challenge);
    }
}
