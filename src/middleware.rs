//! The path of one request: attach, send, judge the answer, resend once.

mod builder;
mod drain;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderValue};
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Middleware, Next, Result as Chain};

pub use crate::middleware::builder::BearerTokenMiddlewareBuilder;

use crate::access_token::Issued;
use crate::challenge::bearer_challenge;
use crate::clock::{Clock, Moment};
use crate::destinations::{Admission, Destinations};
use crate::error::{Error, ErrorKind};
use crate::keeper::Demand;
use crate::keeper::slot::Slot;
use crate::middleware::drain::drain;
use crate::options::TokenOptions;
use crate::origin::{Origin, same_origin};
use crate::path::InvalidPath;
use crate::source::TokenSource;

/// Gives each request the access token of a [`TokenSource`], and heals a 401 by one refresh and
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
/// let orders = reqwest_middleware::ClientBuilder::new(http)
///     .with(BearerTokenMiddleware::for_origin("https://api.example.com", grant)?)
///     .build();
/// # Ok(())
/// # }
/// ```
///
/// A `reqwest::Client` that was not built by [`http_client`](crate::http_client) follows redirects
/// by its own rules; see there what they leak.
///
/// What an API says beside a refusal is in the extensions of the response: the
/// [`BearerChallenge`](crate::BearerChallenge) of a 401 or 403 (insufficient scope, step-up,
/// claims), and after a 401 that could not be healed the [`Error`] that says why.
///
/// The time-out of a request bounds the wait for its token, the request and its resend together;
/// a client-wide time-out of reqwest cannot be read, and counts for each send alone.
#[derive(Clone, Debug)]
pub struct BearerTokenMiddleware {
    source: TokenSource,
    destinations: Destinations,
}

/// A token for one sending.
struct Ticket {
    header: HeaderValue,
    stamp: Stamp,
}

/// What is remembered of a sending: its token by number and not by text.
#[derive(Clone, Copy)]
struct Stamp {
    generation: u64,
    sent: Moment,
}

/// A sending that an API has refused, and what another one needs.
struct Refused<'chain> {
    stamp: Stamp,
    kept: Kept,
    deadline: Deadline,
    response: Response,
    next: Next<'chain>,
}

/// What is kept of a request while it is away.
enum Kept {
    /// All of it: it can be sent again.
    Copy(Request),
    /// Its body can be read once only.
    Address(Url),
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

    /// Sends the tokens of `source` to any https or loopback origin that a request names. For
    /// clients whose URLs are all your own; a URL from elsewhere takes the token with it.
    #[must_use]
    pub fn for_any_origin(source: impl Into<TokenSource>) -> Self {
        Self {
            source: source.into(),
            destinations: Destinations::any(),
        }
    }

    /// A middleware with settings.
    pub fn builder(source: impl Into<TokenSource>) -> BearerTokenMiddlewareBuilder {
        BearerTokenMiddlewareBuilder::new(source.into())
    }

    /// Where its tokens come from.
    #[must_use]
    pub fn source(&self) -> &TokenSource {
        &self.source
    }

    pub(crate) fn new(source: TokenSource, destinations: Destinations) -> Self {
        Self {
            source,
            destinations,
        }
    }

    /// Whether this request is one for us. A caller's own `Authorization` wins (D4).
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
        if anonymous || request.headers().contains_key(AUTHORIZATION) {
            return Ok(Admission::WithoutToken);
        }
        let admission = self.destinations.admit(request.url())?;
        if admission == Admission::WithToken {
            self.source.check_reentry()?;
        }
        Ok(admission)
    }

    /// The token for a call that found none ready.
    async fn ticket(&self, slot: &Arc<Slot>, demand: &Demand) -> Result<Ticket, Error> {
        let keeper = self.source.keeper();
        let served = keeper.token(slot, demand).await?;
        Ok(Ticket::new(&served.token, keeper.clock.now()))
    }

    /// Another token and another sending, if both can be had; otherwise the answer that is there
    /// (C7, C8).
    async fn heal(
        &self,
        slot: &Arc<Slot>,
        refused: Refused<'_>,
        extensions: &mut Extensions,
    ) -> Chain<Response> {
        let keeper = self.source.keeper();
        let Refused {
            stamp,
            kept,
            deadline,
            mut response,
            next,
        } = refused;
        let refuser = Origin::of(kept.url());
        keeper.refuse(slot, stamp.generation, &refuser, false);
        let Kept::Copy(mut copy) = kept else {
            return Ok(response);
        };
        let within = deadline.left(keeper.settings.wait_at_most, keeper.clock.now());
        let newer = match keeper.renewed(slot, stamp.generation, within).await {
            Ok(newer) => Ticket::new(&newer, keeper.clock.now()),
            Err(reason) => {
                response.extensions_mut().insert(reason);
                return Ok(response);
            }
        };
        if let Err(reason) = send_by(&deadline, &mut copy, &keeper.clock) {
            response.extensions_mut().insert(reason);
            return Ok(response);
        }
        drain(response, &keeper.clock).await;
        let url = copy.url().clone();
        let stamp = newer.stamp;
        copy.headers_mut().insert(AUTHORIZATION, newer.header);
        let mut response = next.run(copy, extensions).await?;
        match self.judge(slot, stamp, &url, &mut response) {
            Judgement::Refused => keeper.refuse(slot, stamp.generation, &refuser, true),
            Judgement::Accepted => keeper.resend_accepted(slot, &refuser),
            Judgement::Undecided | Judgement::Elsewhere => {}
        }
        Ok(response)
    }

    /// Notes what the API made of the token; says whether it refused it. An answer from another
    /// origin, where a redirect led and the token did not go, says nothing (C10).
    fn judge(&self, slot: &Slot, stamp: Stamp, url: &Url, response: &mut Response) -> Judgement {
        if !same_origin(response.url(), url) {
            return Judgement::Elsewhere;
        }
        let status = response.status();
        if self.source.is_refused_by(status, response.headers()) {
            attach_challenge(response);
            return Judgement::Refused;
        }
        if status == 401 || status == 403 {
            attach_challenge(response);
        }
        if status == 401 || status.is_server_error() {
            return Judgement::Undecided;
        }
        let Stamp { generation, sent } = stamp;
        self.source
            .keeper()
            .accept(slot, generation, sent, status.is_success(), url);
        Judgement::Accepted
    }
}

/// What an answer says about the token that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Accepted,
    Refused,
    /// Neither: a server error, or a 401 that another token would not mend.
    Undecided,
    Elsewhere,
}

#[async_trait]
impl Middleware for BearerTokenMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Chain<Response> {
        let options = extensions.get::<TokenOptions>();
        match self.admits(&request, options, extensions) {
            Ok(Admission::WithToken) => {}
            Ok(Admission::WithoutToken) => return next.run(request, extensions).await,
            Err(error) => return Err(error.into_middleware()),
        }
        let keeper = self.source.keeper();
        let slot = match options {
            Some(options) => Cow::Owned(self.source.slot(Some(options))),
            None => Cow::Borrowed(&keeper.primary),
        };
        // The only reading of a warm call: both clocks together cost as much as the rest of it.
        let now = keeper.clock.now();
        let deadline = Deadline::of(&request, now);
        let kept = Kept::of(&request);
        let mut demand = self.source.demand(options);
        demand.within = demand.within.min(deadline.timeout.unwrap_or(Duration::MAX));
        demand.only_try = matches!(kept, Kept::Address(_));
        let ready = keeper.ready(&slot, &demand, now, |token| Ticket::new(token, now));
        let ticket = match ready {
            Some(ticket) => ticket,
            // Boxed, as `heal` is: a call that has to wait can pay for its room, and without it
            // the future of every warm call is half as large.
            None => Box::pin(self.ticket(&slot, &demand))
                .await
                .map_err(Error::into_middleware)?,
        };

        send_by(&deadline, &mut request, &keeper.clock).map_err(Error::into_middleware)?;
        let stamp = ticket.stamp;
        request.headers_mut().insert(AUTHORIZATION, ticket.header);
        let mut response = next.clone().run(request, extensions).await?;
        if self.judge(&slot, stamp, kept.url(), &mut response) != Judgement::Refused {
            return Ok(response);
        }
        let refused = Refused {
            stamp,
            kept,
            deadline,
            response,
            next,
        };
        Box::pin(self.heal(&slot, refused, extensions)).await
    }
}

impl Ticket {
    fn new(token: &Issued, sent: Moment) -> Self {
        Self {
            header: token.header.clone(),
            stamp: Stamp {
                generation: token.generation,
                sent,
            },
        }
    }
}

impl Kept {
    fn of(request: &Request) -> Self {
        match request.try_clone() {
            Some(copy) => Self::Copy(copy),
            None => Self::Address(request.url().clone()),
        }
    }

    fn url(&self) -> &Url {
        match self {
            Self::Copy(request) => request.url(),
            Self::Address(url) => url,
        }
    }
}

/// Until when the caller wants its answer, by the time-out of the request (B13).
struct Deadline {
    began: Moment,
    timeout: Option<Duration>,
}

impl Deadline {
    fn of(request: &Request, now: Moment) -> Self {
        Self {
            began: now,
            timeout: request.timeout().copied(),
        }
    }

    /// What is left of the time-out, and at most `most`.
    fn left(&self, most: Duration, now: Moment) -> Duration {
        match self.timeout {
            Some(timeout) => {
                let passed = now.monotonic.saturating_sub(self.began.monotonic);
                most.min(timeout.saturating_sub(passed))
            }
            None => most,
        }
    }
}

/// Leaves the request what is left of its time-out.
fn send_by(deadline: &Deadline, request: &mut Request, clock: &Clock) -> Result<(), Error> {
    let Some(timeout) = deadline.timeout else {
        return Ok(());
    };
    let left = deadline.left(timeout, clock.now());
    if left.is_zero() {
        return Err(Error::new(
            ErrorKind::Timeout,
            "the time-out of the request passed while it waited for its token",
        ));
    }
    *request.timeout_mut() = Some(left);
    Ok(())
}

fn attach_challenge(response: &mut Response) {
    if let Some(challenge) = bearer_challenge(response.headers()) {
        response.extensions_mut().insert(challenge);
    }
}
