//! The one error of this crate: what went wrong, and what the caller can do about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::Url;

use crate::error_response::ErrorResponse;

/// The longest wait that is believed: a server with a wrong clock must not stop us for a day.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Why there is no token, or why a request was not sent.
///
/// Opaque and cheap to clone, because all the waiters of one refresh share it. Its message ends with
/// the token source that it is about, and the server that was asked:
///
/// ```text
/// the authorization server failed (status 500); token source `orders`, https://login.example.com
/// ```
///
/// [`kind`](Error::kind) says what the caller can do, [`is_transient`](Error::is_transient) whether
/// waiting helps. There is deliberately no `From` into it, so that no foreign message with a
/// secret in it becomes one of ours by way of a `?`.
///
/// Under reqwest-middleware it arrives as [`reqwest_middleware::Error::Middleware`];
/// [`Error::find_in`] gets it back.
#[derive(Clone)]
pub struct Error(Arc<Report>);

#[derive(Clone)]
struct Report {
    kind: ErrorKind,
    message: String,
    oauth_code: Option<&'static str>,
    how_far: HowFar,
    retry_after: Option<Duration>,
    retry_at: Option<SystemTime>,
    refusal: Refusal,
    doubtful: bool,
    unanswered: bool,
    of_repetition: bool,
    token_source: Option<Arc<str>>,
    server: Option<Arc<str>>,
    claims: Option<Arc<str>>,
    /// The setter of what is wrong, from which a configuration finds the key.
    setting: Option<&'static str>,
    response: Option<Arc<ErrorResponse>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What the caller of a failed request can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The authorization server refused our settings (`invalid_client`, `invalid_scope`,
    /// `unauthorized_client`, ...): mend them. Attempts go on, since secrets get mended while
    /// processes run.
    Rejected,
    /// The refresh token is dead or there is none, or the server wants to see the user before it issues
    /// this token: the user has to sign in (again), where there are [`Error::claims`] with those. A web
    /// back end answers with a redirect to its sign-in.
    SignInRequired,
    /// What came to the redirect URI is no answer to this authorization request: another `state`, another
    /// issuer, a parameter twice, nothing at all. Anybody can send that. Answer with 400 and go on waiting:
    /// the user may still come.
    InvalidAuthorizationResponse,
    /// The request is for a user and says for which one in none of the three ways
    /// ([`Subject`](crate::Subject)): an extension, a handle, a scope. So it is with the token of a caller
    /// ([`SubjectToken`](crate::SubjectToken)) where that is to be exchanged.
    NoSubject,
    /// A text that is no [`Subject`](crate::Subject): empty, blank or too long.
    InvalidSubject,
    /// The token of whoever calls this service cannot be exchanged: it is no
    /// [`SubjectToken`](crate::SubjectToken), has expired, or was refused by the authorization server. The
    /// caller has to come with another one; a web service answers with a 401. Others are not concerned.
    InvalidSubjectToken,
    /// The store of the tokens is down, out of reach or out of room: wait.
    Store,
    /// The authorization server is down, overloaded or out of reach: wait, at least until
    /// [`Error::retry_at`].
    Unavailable,
    /// The authorization server answered with something that is no OAuth answer.
    Protocol,
    /// No token came in time.
    Timeout,
    /// The URL of the request is not one that this token may be sent to; or a server that was found by the
    /// metadata of an API ([`ProtectedResource`](crate::ProtectedResource)) is at an address that may not be
    /// asked.
    OriginNotAllowed,
    /// A setting is wrong; the message says which, and how to mend it.
    Settings,
    /// No named client has this name, or no tenant can have it.
    UnknownName,
    /// A path that cannot be joined to the base URL of a named client.
    InvalidPath,
    /// Getting a token needed a request that itself needed that token.
    Reentrant,
    /// A grant or a hook panicked.
    Panicked,
    /// The token source has been shut down.
    ShutDown,
}

impl ErrorKind {
    /// The word that stands for it in metrics, e.g. `sign_in_required`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::SignInRequired => "sign_in_required",
            Self::InvalidAuthorizationResponse => "invalid_authorization_response",
            Self::NoSubject => "no_subject",
            Self::InvalidSubject => "invalid_subject",
            Self::InvalidSubjectToken => "invalid_subject_token",
            Self::Store => "store",
            Self::Unavailable => "unavailable",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::Settings => "settings",
            Self::UnknownName => "unknown_name",
            Self::InvalidPath => "invalid_path",
            Self::Reentrant => "reentrant",
            Self::Panicked => "panicked",
            Self::ShutDown => "shut_down",
        }
    }
}

/// How far a token request got: decides whether it may be repeated (E3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HowFar {
    /// The request never left: any repetition is safe.
    NotSent,
    /// 429 or 503: the server says that it did not do it.
    TurnedAway,
    /// 500: it was received and went wrong.
    Failed,
    /// It may have been received, and no complete answer came. 502 and 504 are such answers too.
    Lost,
    /// It was carried out, and the answer brings nothing that can be used: what it spent is spent.
    Unusable,
    /// It was answered.
    Answered,
}

/// How far the request of a [grant of your own](crate::Grant) got, which decides what becomes of the
/// refresh token that it was handed ([`Error::with_delivery`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// The request never left: no connection, a certificate that is not trusted. It is repeated at once,
    /// with the same refresh token.
    NotSent,
    /// The server said that it did not do it, as 429 and 503 do. It is repeated at once, with the same
    /// refresh token.
    TurnedAway,
    /// The server may have got it, and no complete answer came. A refresh token that it spent is not sent
    /// again before the access token has expired or an API has refused it, since the server might take it
    /// for theft; unless the source is told of a grace
    /// ([`reuse_grace`](crate::TokenSourceBuilder::reuse_grace)).
    Lost,
}

/// What an answer that refuses a token request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// What its code says.
    Plain,
    /// It does not say what is wrong: the refresh token may be dead, or not (F5, K9).
    Unspecific,
    /// One API wants something of the user, and the session goes on (K12).
    OneApi,
}

impl HowFar {
    /// Whether what it spent may be spent without anything to show for it.
    pub(crate) fn is_loss(self) -> bool {
        matches!(self, Self::Lost | Self::Unusable)
    }
}

impl Error {
    /// An error of a grant of your own that waiting may mend: the server is down or overloaded.
    ///
    /// The message must hold no secret; it is printed. Such an error counts as a lost answer: if
    /// the grant was handed a refresh token, that one is not sent again at once. A request that got less
    /// far says so by [`with_delivery`](Self::with_delivery).
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message).got(HowFar::Lost)
    }

    /// An error of a grant of your own: the server refuses these settings.
    #[must_use]
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Rejected, message)
    }

    /// An error of a grant of your own: the user has to sign in (again).
    #[must_use]
    pub fn sign_in_required(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::SignInRequired, message)
    }

    /// An error of a grant of your own: the answer is not what it should be.
    #[must_use]
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, message)
    }

    /// An error of a store of your own: it could not be asked, or told. Waiting may mend it. The
    /// message must hold no secret; it is printed.
    #[must_use]
    pub fn store(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Store, message).got(HowFar::NotSent)
    }

    /// An error of a store or a grant of your own: a setting of it is wrong. The message says which, and how
    /// to mend it.
    #[must_use]
    pub fn settings(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Settings, message)
    }

    /// The same error with a lower bound for the next attempt, as `Retry-After` gives one: an hour
    /// at most.
    #[must_use]
    pub fn with_retry_after(self, pause: Duration) -> Self {
        self.change(|report| report.retry_after = Some(pause.min(LONGEST_PAUSE)))
    }

    /// The same error with how far the request got. Default: [`Delivery::Lost`] for
    /// [`Error::unavailable`]; answered for all others.
    ///
    /// ```
    /// use reqwest_bearer::{Delivery, Error};
    ///
    /// let down = Error::unavailable("no connection to the token service")
    ///     .with_delivery(Delivery::NotSent);
    /// ```
    #[must_use]
    pub fn with_delivery(self, delivery: Delivery) -> Self {
        self.got(match delivery {
            Delivery::NotSent => HowFar::NotSent,
            Delivery::TurnedAway => HowFar::TurnedAway,
            Delivery::Lost => HowFar::Lost,
        })
    }

    /// The same error with its cause, which [`source`](StdError::source) returns.
    #[must_use]
    pub fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.change(|report| report.source = Some(Arc::new(source)))
    }

    #[must_use]
    pub(crate) fn with_boxed_source(self, source: Box<dyn StdError + Send + Sync>) -> Self {
        self.change(|report| report.source = Some(source.into()))
    }

    /// What the caller can do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later without anybody mending anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Store
        )
    }

    /// Whether [`SignInRequired`](ErrorKind::SignInRequired) is a guess: the authorization server has
    /// refused the refresh token for five minutes or more without saying why, and has renewed no
    /// other user's meanwhile, so that it may as well be in trouble itself. The session is kept, and
    /// its refresh token is tried once in five minutes.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.0.doubtful
    }

    /// When the next token request may be made: until then calls get this same error at once.
    /// `None` if no attempt is scheduled.
    #[must_use]
    pub fn retry_at(&self) -> Option<SystemTime> {
        self.0.retry_at
    }

    /// The OAuth `error` code of the authorization server, if it is one that an RFC names.
    #[must_use]
    pub fn oauth_code(&self) -> Option<&'static str> {
        self.0.oauth_code
    }

    /// The name of the token source that it is about
    /// ([`TokenSourceBuilder::name`](crate::TokenSourceBuilder::name)). `None` for what happened
    /// outside of any, such as a wrong setting of an endpoint.
    #[must_use]
    pub fn token_source(&self) -> Option<&str> {
        self.0.token_source.as_deref()
    }

    /// The origin of the authorization server that was asked, such as `https://login.example.com`:
    /// scheme, host and port of the token, discovery or revocation URL. `None` if none was.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.0.server.as_deref()
    }

    /// What the authorization server itself said (RFC 6749 section 5.2), for a person who looks for a
    /// fault; `Display` and `Debug` never show it. `None` if no answer came, or if the error is not
    /// about an answer of a token or revocation endpoint.
    #[must_use]
    pub fn error_response(&self) -> Option<&ErrorResponse> {
        self.0.response.as_deref()
    }

    /// The claims that the user's next sign-in has to ask for (OpenID Connect Core section 5.5), where
    /// the authorization server names them: Entra does, where an API wants a second factor. A text of
    /// JSON, 8 KiB at most, to be sent as the parameter `claims` of the authorization request.
    ///
    /// Not in `Display` or `Debug`.
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        self.0.claims.as_deref()
    }

    /// Our error in another one, wherever it stands among its causes: in one of reqwest-middleware, below
    /// other middleware that wraps it, or in the `Box<dyn Error>` that a program passes on
    /// (`Error::find_in(&*error)`).
    #[must_use]
    pub fn find_in<'error>(error: &'error (dyn StdError + 'static)) -> Option<&'error Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(own) = error.downcast_ref::<Self>() {
                return Some(own);
            }
            if let Some(Trace(own)) = error.downcast_ref::<Trace>() {
                return Some(own);
            }
            cause = match error.downcast_ref() {
                // It shows the causes of what it wraps, and not that itself.
                Some(reqwest_middleware::Error::Middleware(wrapped)) => {
                    if let Some(own) = wrapped.downcast_ref::<Self>() {
                        return Some(own);
                    }
                    Some(wrapped.as_ref())
                }
                Some(reqwest_middleware::Error::Reqwest(error)) => Some(error),
                None => error.source(),
            };
        }
        None
    }

    /// The reason why a 401 could not be healed, which its response carries along: for instance that
    /// the user has to sign in again. `None` for any other answer.
    #[must_use]
    pub fn find_in_response(response: &reqwest::Response) -> Option<&Self> {
        response.extensions().get()
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Report {
            kind,
            message: message.into(),
            oauth_code: None,
            how_far: HowFar::Answered,
            retry_after: None,
            retry_at: None,
            refusal: Refusal::Plain,
            doubtful: false,
            unanswered: false,
            of_repetition: false,
            token_source: None,
            server: None,
            claims: None,
            setting: None,
            response: None,
            source: None,
        }))
    }

    /// Says which setting is wrong, by the name of its setter.
    #[must_use]
    pub(crate) fn of_setting(self, setter: &'static str) -> Self {
        self.change(|report| report.setting = Some(setter))
    }

    /// The setter of the setting that is wrong, if it is one alone.
    pub(crate) fn setting(&self) -> Option<&'static str> {
        self.0.setting
    }

    /// The message alone, without the token source and the server.
    #[cfg(feature = "config")]
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    #[must_use]
    pub(crate) fn got(self, how_far: HowFar) -> Self {
        self.change(|report| report.how_far = how_far)
    }

    #[must_use]
    pub(crate) fn with_oauth_code(self, code: &'static str) -> Self {
        self.change(|report| report.oauth_code = Some(code))
    }

    #[must_use]
    pub(crate) fn with_retry_at(self, at: SystemTime) -> Self {
        self.change(|report| report.retry_at = Some(at))
    }

    /// Marks a refusal that does not say what is wrong, see [`Error::is_unspecific_refusal`].
    #[must_use]
    pub(crate) fn unspecific(self) -> Self {
        self.change(|report| report.refusal = Refusal::Unspecific)
    }

    /// The same error with what is known of the answer that led to it.
    #[must_use]
    pub(crate) fn because_of(self, cause: &Self) -> Self {
        self.change(|report| {
            report.oauth_code = cause.0.oauth_code;
            report.response.clone_from(&cause.0.response);
            report.server.clone_from(&cause.0.server);
            report.token_source.clone_from(&cause.0.token_source);
        })
    }

    /// Marks a conclusion that may be wrong, see [`Error::is_doubtful`].
    #[must_use]
    pub(crate) fn doubtful(self) -> Self {
        self.change(|report| report.doubtful = true)
    }

    /// Whether the server may mean that the refresh token is dead, or something else: a 400 that says
    /// `invalid_request` or nothing at all, or an ambiguous code in an answer to a refresh (F5, K9).
    pub(crate) fn is_unspecific_refusal(&self) -> bool {
        self.0.refusal == Refusal::Unspecific
    }

    /// Marks a request to the authorization server that no complete answer came to.
    #[must_use]
    pub(crate) fn unanswered(self) -> Self {
        self.change(|report| report.unanswered = true)
    }

    pub(crate) fn is_unanswered(&self) -> bool {
        self.0.unanswered
    }

    /// Marks what the repetition of a request was answered, which had the nonce that the server wanted (H6).
    #[must_use]
    pub(crate) fn of_repetition(self) -> Self {
        self.change(|report| report.of_repetition = true)
    }

    pub(crate) fn is_of_repetition(&self) -> bool {
        self.0.of_repetition
    }

    /// Marks a refusal that is about the token that was asked for, and not about the refresh token: the
    /// user has to do something before this API can be called, and others go on (K12).
    #[must_use]
    pub(crate) fn about_one_api(self, claims: Option<&str>) -> Self {
        self.change(|report| {
            report.refusal = Refusal::OneApi;
            report.claims = claims.map(Arc::from);
        })
    }

    pub(crate) fn is_about_one_api(&self) -> bool {
        self.0.refusal == Refusal::OneApi
    }

    #[must_use]
    pub(crate) fn answered_with(self, response: ErrorResponse) -> Self {
        self.change(|report| report.response = Some(Arc::new(response)))
    }

    /// The answer to a refresh token was lost, and sending it again might end access tokens that are
    /// still good (E3).
    pub(crate) fn answer_lost() -> Self {
        Self::new(
            ErrorKind::Unavailable,
            "the answer to the refresh token was lost; it is sent again when the access token has expired",
        )
    }

    /// The same error where there is no user who could sign in: somebody has to mend the settings.
    #[must_use]
    pub(crate) fn without_a_user(self) -> Self {
        self.change(|report| {
            if report.kind == ErrorKind::SignInRequired {
                report.kind = ErrorKind::Rejected;
            }
        })
    }

    /// The same error where it refuses the token that was to be exchanged: whoever brought that one has to
    /// come with another. What one API wants of the user stays what it is, with its claims. The server does not
    /// say which one it is where `an_actor` went along.
    #[must_use]
    pub(crate) fn about_subject_token(self, an_actor: bool) -> Self {
        // RFC 8693 section 2.2.2 has `invalid_request` for a dead subject token, RFC 7521 section 4.1.1
        // `invalid_grant` for a dead assertion.
        let is_about_it = matches!(
            self.oauth_code(),
            Some("invalid_grant" | "invalid_request" | "invalid_token")
        );
        if !is_about_it || self.is_about_one_api() {
            return self;
        }
        self.change(|report| {
            report.kind = ErrorKind::InvalidSubjectToken;
            let actor = if an_actor { ", or the actor's" } else { "" };
            report.message = format!(
                "the authorization server refused the token that was to be exchanged{actor}; whoever brought \
                 it has to come with another one"
            );
        })
    }

    /// Says which token source it is about. One that came through another source keeps that one's
    /// name: the trouble is there.
    #[must_use]
    pub(crate) fn of_token_source(self, name: &Arc<str>) -> Self {
        if self.0.token_source.is_some() {
            return self;
        }
        self.change(|report| report.token_source = Some(name.clone()))
    }

    /// Says which server was asked: the origin of `url` and no more, since a path or a query may hold
    /// a key.
    #[must_use]
    pub(crate) fn at_server(self, url: &Url) -> Self {
        if self.0.server.is_some() {
            return self;
        }
        self.change(|report| report.server = Some(url.origin().ascii_serialization().into()))
    }

    pub(crate) fn how_far(&self) -> HowFar {
        self.0.how_far
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// As the error of a middleware, from which [`Error::find_in`] gets it back.
    pub(crate) fn into_middleware(self) -> reqwest_middleware::Error {
        reqwest_middleware::Error::middleware(self.clone().with_source(Trace(self)))
    }

    fn change(mut self, edit: impl FnOnce(&mut Report)) -> Self {
        edit(Arc::make_mut(&mut self.0));
        self
    }
}

/// What is left of our error where another one stands in for it: `transparent` wrappers, such as
/// reqwest-retry's, hand out our source in place of ours, so ours leaves a trace of itself there.
#[derive(Debug)]
struct Trace(Error);

impl fmt::Display for Trace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "reqwest-bearer: {:?}", self.0.kind())
    }
}

impl StdError for Trace {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)?;
        if let Some(code) = self.0.oauth_code {
            write!(formatter, " (error code `{code}`)")?;
        }
        match (&self.0.token_source, &self.0.server) {
            (Some(source), Some(server)) => {
                write!(formatter, "; token source `{source}`, {server}")
            }
            (Some(source), None) => write!(formatter, "; token source `{source}`"),
            (None, Some(server)) => write!(formatter, "; {server}"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("oauth_code", &self.0.oauth_code)
            .field("retry_at", &self.0.retry_at)
            .field("token_source", &self.0.token_source)
            .field("server", &self.0.server)
            .field("source", &self.0.source.as_ref().map(ToString::to_string))
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source: &(dyn StdError + 'static) = self.0.source.as_deref()?;
        Some(source)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as StdError;
    use std::fmt;

    use super::{Error, ErrorKind};

    /// An error of the program's, with ours as its cause.
    #[derive(Debug)]
    struct Foreign(Error);

    impl fmt::Display for Foreign {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("the orders cannot be shown")
        }
    }

    impl StdError for Foreign {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn it_is_found_wherever_it_stands_among_the_causes() {
        // C8
        let own = Error::settings("a wrong setting");
        let boxed: Box<dyn StdError> = own.clone().into();
        let middleware: Box<dyn StdError> = own.clone().into_middleware().into();
        let wrapped = own.clone().into_middleware();
        let wrapped: Box<dyn StdError> = reqwest_middleware::Error::middleware(wrapped).into();
        let foreign: Box<dyn StdError> = Foreign(own.clone()).into();
        let outer = Error::protocol("another one").with_source(own.into_middleware());
        for error in [boxed, middleware, wrapped, foreign] {
            let found = Error::find_in(&*error).map(Error::kind);
            assert_eq!(found, Some(ErrorKind::Settings), "{error:?}");
        }
        // The outermost is meant.
        let found = Error::find_in(&outer).map(Error::kind);
        assert_eq!(found, Some(ErrorKind::Protocol));
        assert!(Error::find_in(&std::fmt::Error).is_none());
    }
}
