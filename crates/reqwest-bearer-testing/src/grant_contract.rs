//! What every grant is held to: the promises of `Grant`, each a function over a bench.

use std::fmt;
use std::sync::Arc;

use reqwest_bearer::{Error, Grant, GrantRequest, Secret, TokenResponse};

use crate::contract::{BrokenPromise, Sentence, broken, fail_if_any};
use crate::server::FakeAuthorizationServer;

mod alone;
mod asking;
mod called;

/// The contract of [`Grant`]: what the crate's own grants are held to, for a grant of your own that gets
/// tokens for the application.
///
/// ```
/// use reqwest_bearer::{Error, Grant, GrantRequest, TokenEndpoint, TokenRequest, TokenResponse};
/// use reqwest_bearer_testing::{FakeAuthorizationServer, GrantContract};
///
/// #[derive(Debug)]
/// struct Kiosk { endpoint: TokenEndpoint, pin: reqwest_bearer::Secret }
///
/// impl Grant for Kiosk {
///     fn name(&self) -> &str {
///         "kiosk"
///     }
///
///     async fn obtain(&self, _request: GrantRequest) -> Result<TokenResponse, Error> {
///         let request = TokenRequest::new("client_credentials").secret_field("pin", &self.pin);
///         self.endpoint.request_token(request).await
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = FakeAuthorizationServer::start()?;
/// let endpoint = server.endpoint()?;
/// GrantContract::new(move || Kiosk { endpoint: endpoint.clone(), pin: "4711".into() })
///     .shows_none_of(["4711", FakeAuthorizationServer::CLIENT_SECRET])
///     .server(&server)
///     .hold()
///     .await;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is held to it before `hold` is awaited"]
pub struct GrantContract<G>(Bench<G>);

/// A grant on trial.
struct Bench<G> {
    make: Box<dyn Fn() -> G + Send + Sync>,
    /// What its `Debug` says, where that is asked for.
    show: Option<fn(&G) -> String>,
    secrets: Vec<String>,
    server: Option<FakeAuthorizationServer>,
}

impl<G: Grant> GrantContract<G> {
    /// For the grant that `make` makes, a new one for each promise.
    pub fn new(make: impl Fn() -> G + Send + Sync + 'static) -> Self {
        Self(Bench {
            make: Box::new(make),
            show: None,
            secrets: Vec::new(),
            server: None,
        })
    }

    /// These texts are secrets of the grant's settings, to be seen in no `Debug` of the grant and in no error.
    /// Its tokens are secrets anyway.
    pub fn shows_none_of<I>(mut self, secrets: I) -> Self
    where
        G: fmt::Debug,
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.0.show = Some(|grant| format!("{grant:?} {grant:#?}"));
        self.0.secrets.extend(secrets.into_iter().map(Into::into));
        self
    }

    /// The grant asks this server, which is the contract's alone while it lasts: it is told to refuse, to be
    /// odd, and to go down.
    pub fn server(mut self, server: &FakeAuthorizationServer) -> Self {
        self.0.server = Some(server.clone());
        self
    }

    /// Holds the grant to each promise.
    ///
    /// # Panics
    /// With the promises that it breaks, and how, if there are any.
    pub async fn hold(self) {
        fail_if_any(&self.broken_promises().await);
    }

    /// Holds the grant to each promise, and says which it breaks.
    pub async fn broken_promises(self) -> Vec<BrokenPromise> {
        broken(sentences(&Arc::new(self.0))).await
    }
}

impl<G> fmt::Debug for GrantContract<G> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("GrantContract")
            .finish_non_exhaustive()
    }
}

fn sentences<G: Grant>(bench: &Arc<Bench<G>>) -> Vec<Sentence> {
    let mut sentences = vec![
        Sentence::new(
            "a grant says the same of itself each time",
            alone::says_the_same_of_itself_each_time(bench.clone()),
        ),
        Sentence::new(
            "a grant shows no secret",
            alone::shows_no_secret(bench.clone()),
        ),
        Sentence::new(
            "a hundred calls that find no token make one attempt",
            called::a_hundred_calls_make_one_attempt(bench.clone()),
        ),
        Sentence::new(
            "a refused token ends in another one, or in the API's own answer",
            called::a_refused_token_ends_in_another_one_or_in_the_api_s_own_answer(bench.clone()),
        ),
    ];
    // A refresh token is spent by one attempt at a time, and one that is given up may have spent it.
    if bench.attempts().refresh_token.is_none() {
        sentences.push(Sentence::new(
            "attempts that run at once, or are given up, are in nobody's way",
            alone::attempts_are_in_nobody_s_way(bench.clone()),
        ));
    }
    if let Some(server) = &bench.server {
        let with = || (bench.clone(), server.clone());
        sentences.extend([
            Sentence::new(
                "each attempt asks the server once",
                asking::each_attempt_asks_once(with()),
            ),
            Sentence::new(
                "a server in trouble is a transient error, and is not asked again",
                asking::trouble_is_transient(with()),
            ),
            Sentence::new(
                "a refusal of the server is an error that does not pass",
                asking::a_refusal_does_not_pass(with()),
            ),
            Sentence::new(
                "an odd answer is an error",
                asking::an_odd_answer_is_an_error(with()),
            ),
        ]);
    }
    sentences
}

impl<G: Grant> Bench<G> {
    fn attempts(&self) -> Attempts<G> {
        let grant = (self.make)();
        let seed = grant.seed();
        Attempts {
            refresh_token: seed.and_then(|seed| seed.refresh_token().cloned()),
            grant,
        }
    }

    /// # Panics
    /// If one of the secrets is in the text.
    fn check_for_secrets(&self, text: &str) {
        for secret in &self.secrets {
            assert!(!text.contains(secret.as_str()), "a secret is in {text}");
        }
    }
}

/// Attempts of a grant one after the other, each with the refresh token that the one before left.
struct Attempts<G> {
    grant: G,
    refresh_token: Option<Secret>,
}

impl<G: Grant> Attempts<G> {
    async fn next(&mut self) -> Result<TokenResponse, Error> {
        let response = self.grant.obtain(self.request()).await?;
        if let Some(next) = response.refresh_token() {
            self.refresh_token = Some(next.clone());
        }
        Ok(response)
    }

    fn request(&self) -> GrantRequest {
        GrantRequest::new(self.grant.parameters(), self.refresh_token.clone())
    }
}
