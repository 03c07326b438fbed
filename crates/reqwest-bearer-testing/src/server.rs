//! A fake authorization server on a real socket of this machine.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, Error, RefreshTokenGrant, TestClock, TokenEndpoint,
    TokenSet,
};
use serde_json::Value;

use crate::answer::Answer;
use crate::control::Control;
use crate::gate::Gate;
use crate::http_server::{HttpServer, lock};
use crate::seen::SeenRequest;
use crate::server::books::{Books, Decision};
use crate::server::desk::{Desk, handler};
use crate::time::Time;

mod books;
mod desk;
mod front_channel;
mod token_endpoint;

/// A fake authorization server (RFC 6749) on a real socket of this machine, for the tests of a program.
///
/// It issues tokens as a strict server does, and does at a test's word what servers do on bad days. It
/// knows client credentials, refresh tokens with rotation and reuse detection, authorization codes with
/// PKCE, device codes and token exchange, client authentication by Basic credentials, in the body or none,
/// a discovery document, and revocation. It knows no keys: tokens are texts that mean something here
/// alone, and a client cannot prove itself by one that it signs.
///
/// Clones are one server, which runs until the last one is dropped. The tasks of the server are those of
/// the runtime that started it, and none of them panics.
///
/// ```
/// use reqwest_bearer::{NamedClient, TestClock, TokenSource};
/// use reqwest_bearer_testing::{FakeApi, FakeAuthorizationServer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = TestClock::new();
/// let server = FakeAuthorizationServer::start_with_clock(&clock)?;
/// let api = FakeApi::start(&server)?;
/// let tokens = TokenSource::builder(server.client_credentials()?).clock(&clock).build()?;
/// let orders = NamedClient::new("orders", api.url(), tokens)?;
///
/// orders.get("open").send().await?.error_for_status()?;
/// clock.advance(server.token_lifetime());
/// orders.get("open").send().await?.error_for_status()?;
/// assert_eq!(server.token_request_count(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FakeAuthorizationServer {
    http: Arc<HttpServer>,
    desk: Arc<Desk>,
}

/// Starting, and where it is.
impl FakeAuthorizationServer {
    /// The id of the client that each server knows from the start.
    pub const CLIENT_ID: &str = "client";

    /// The secret of that client.
    pub const CLIENT_SECRET: &str = "s3cr3t";

    /// Starts a server whose tokens age by the machine's clock, or by tokio's paused time.
    ///
    /// # Errors
    /// If this machine has no port to listen at.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O.
    pub fn start() -> io::Result<Self> {
        Self::start_by(Time::real())
    }

    /// Starts a server whose tokens age by the clock that the test sets: the one that it gives to its token
    /// source.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with_clock(clock: &TestClock) -> io::Result<Self> {
        Self::start_by(Time::Set(clock.clone()))
    }

    fn start_by(time: Time) -> io::Result<Self> {
        let mut started = None;
        let http = HttpServer::start(|origin| {
            // The port alone tells the servers of one process apart.
            let mark = origin.rsplit(':').next().unwrap_or_default();
            let desk = Arc::new(Desk {
                issuer: origin.to_owned(),
                time,
                books: Mutex::new(Books::new(mark.to_owned())),
                tokens: Control::default(),
                revocations: Control::default(),
            });
            started = Some(desk.clone());
            handler(desk)
        })?;
        let desk = started.ok_or_else(|| io::Error::other("the server has no handler"))?;
        let server = Self {
            http: Arc::new(http),
            desk,
        };
        server.add_client(Self::CLIENT_ID, Self::CLIENT_SECRET);
        Ok(server)
    }

    /// The issuer, which is the server's origin, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.http.origin()
    }

    /// The URL of the token endpoint.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/token", self.issuer())
    }

    /// The token endpoint, by discovery, for the client [`CLIENT_ID`](Self::CLIENT_ID), with the server's clock
    /// if a test sets that.
    ///
    /// # Errors
    /// None that a test can bring about.
    pub fn endpoint(&self) -> Result<TokenEndpoint, Error> {
        let client =
            ClientAuthentication::client_secret_basic(Self::CLIENT_ID, Self::CLIENT_SECRET);
        let endpoint = TokenEndpoint::builder(client).issuer(self.issuer());
        match &self.desk.time {
            Time::Set(clock) => endpoint.clock(clock).build(),
            Time::Real { .. } => endpoint.build(),
        }
    }

    /// A grant for that client's own tokens.
    ///
    /// # Errors
    /// As [`endpoint`](Self::endpoint).
    pub fn client_credentials(&self) -> Result<ClientCredentials, Error> {
        Ok(ClientCredentials::new(self.endpoint()?))
    }

    /// A grant with a refresh token of this user's, who has just agreed to everything.
    ///
    /// # Errors
    /// As [`endpoint`](Self::endpoint).
    pub fn refresh_token_grant(&self, user: &str) -> Result<RefreshTokenGrant, Error> {
        let tokens = self.sign_in(user);
        Ok(RefreshTokenGrant::from_token_set(self.endpoint()?, tokens))
    }

    /// Makes a client known that proves itself by this secret.
    pub fn add_client(&self, client_id: &str, secret: &str) {
        self.add(client_id, Some(secret.to_owned()));
    }

    /// Makes a client known that has no secret. It has to use PKCE, and gets no tokens of its own.
    pub fn add_public_client(&self, client_id: &str) {
        self.add(client_id, None);
    }

    fn add(&self, client_id: &str, secret: Option<String>) {
        let mut books = self.books();
        books.clients.insert(client_id.to_owned(), secret);
    }

    /// What judges tokens, without keeping the server up.
    pub(crate) fn tokens(&self) -> Arc<Desk> {
        self.desk.clone()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.desk.books)
    }
}

/// What it issues.
impl FakeAuthorizationServer {
    /// How long tokens live that are issued from now on, whatever `expires_in` says by
    /// [`set_member`](Self::set_member). 600 s by default.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.books().token_lifetime = lifetime;
    }

    /// How long tokens live that are issued at the moment.
    #[must_use]
    pub fn token_lifetime(&self) -> Duration {
        self.books().token_lifetime
    }

    /// Whether each answer to a refresh token brings another one, and the use of a spent one ends all that
    /// its user was granted with it, access tokens too (RFC 9700 section 4.14.2). It does by default;
    /// otherwise a refresh token is good until it is revoked.
    pub fn rotate_refresh_tokens(&self, rotate: bool) {
        self.books().rotates = rotate;
    }

    /// Every token answer from now on has this member with this value, whatever the server would say: an
    /// `expires_in` that is a text, an `instance_url`. With [`Value::Null`] the answers do without it.
    pub fn set_member(&self, name: &str, value: impl Into<Value>) {
        self.books().members.insert(name.to_owned(), value.into());
    }

    /// What this user's sign-in at the client [`CLIENT_ID`](Self::CLIENT_ID) brings, without the redirects of
    /// one.
    #[must_use]
    pub fn sign_in(&self, user: &str) -> TokenSet {
        let now = self.desk.time.now();
        let mut books = self.books();
        let grant = books.grant(Self::CLIENT_ID, Some(user), None);
        let access_token = books.issue_access_token(grant, now);
        let refresh_token = books.issue_refresh_token(grant);
        TokenSet::new(access_token)
            .with_refresh_token(refresh_token)
            .with_issued_at(now)
            .with_expires_at(now.checked_add(books.token_lifetime).unwrap_or(now))
    }

    /// What a browser does with an authorization URL whose user agrees to everything: the URL that it is
    /// redirected to, with the code in it. (A browser may ask for that URL too: then the user is its `login_hint`, or `user`.)
    ///
    /// # Errors
    /// If the server does not know the client, or the redirect URI is no URL: there is no way back then.
    pub fn approve(&self, authorization_url: &str, user: &str) -> Result<String, Error> {
        let query = authorization_url.split_once('?').unwrap_or_default().1;
        front_channel::redirect(&mut self.books(), &self.desk.issuer, query, user)
    }

    /// A user enters the code that a device shows (RFC 8628), and agrees. Returns whether there is such a
    /// code.
    #[must_use]
    pub fn approve_device(&self, user_code: &str, user: &str) -> bool {
        let user = user.to_owned();
        front_channel::decide(&mut self.books(), user_code, Decision::Approved { user })
    }

    /// A user enters the code that a device shows, and refuses. Returns whether there is such a code.
    #[must_use]
    pub fn deny_device(&self, user_code: &str) -> bool {
        front_channel::decide(&mut self.books(), user_code, Decision::Denied)
    }
}

/// What it knows of its tokens.
impl FakeAuthorizationServer {
    /// Whether an API should take this access token: the server has issued it, nobody has revoked it, and
    /// its time is not up.
    #[must_use]
    pub fn is_valid(&self, access_token: &str) -> bool {
        self.desk.is_valid(access_token)
    }

    /// The user for whom this access token was issued, dead or not, if it was for one.
    #[must_use]
    pub fn user_of(&self, access_token: &str) -> Option<String> {
        self.books().grant_of(access_token)?.user.clone()
    }

    /// Ends this access token; or, by a refresh token, all that its user was granted with it. Returns
    /// whether there was such a token: a test that revokes something else should fail.
    #[must_use]
    pub fn revoke(&self, token: &str) -> bool {
        self.books().revoke(token, None)
    }

    /// Ends every access token that was issued so far, as a change of the server's keys does. Refresh
    /// tokens stay good.
    pub fn revoke_access_tokens(&self) {
        self.books().revoke_access_tokens();
    }

    /// Ends everything that this user was granted, as an administrator does: the next refresh is
    /// `invalid_grant`.
    pub fn end_user(&self, user: &str) {
        self.books().end_user(user);
    }
}

/// Bad days.
impl FakeAuthorizationServer {
    /// The next token request gets this answer; called twice, the one after that the second one.
    pub fn answer_next(&self, answer: Answer) {
        self.desk.tokens.next(answer);
    }

    /// All token requests get this answer, but for those that [`answer_next`](Self::answer_next) has
    /// another one for.
    pub fn answer_always(&self, answer: Answer) {
        self.desk.tokens.always(Some(answer));
    }

    /// Token requests are answered as at the start.
    pub fn answer_as_usual(&self) {
        self.desk.tokens.as_usual();
    }

    /// Closes a gate before the token endpoint: requests that come from now on wait there.
    pub fn hold(&self) -> Gate {
        self.desk.tokens.hold()
    }

    /// Refuses connections from now on, and breaks those that there are.
    pub async fn go_down(&self) {
        self.http.go_down().await;
    }

    /// Listens again, at the same port, and knows all that it knew.
    ///
    /// # Errors
    /// If something else listens at the port by now. Linux keeps it for this server.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn come_back(&self) -> io::Result<()> {
        self.http.come_back()
    }
}

/// What it saw.
impl FakeAuthorizationServer {
    /// The token requests so far, in order, whatever came of them.
    #[must_use]
    pub fn token_requests(&self) -> Vec<SeenRequest> {
        self.desk.tokens.seen()
    }

    /// How many token requests have come so far.
    #[must_use]
    pub fn token_request_count(&self) -> usize {
        self.desk.tokens.count()
    }

    /// Returns as soon as so many token requests have come since the start.
    ///
    /// # Panics
    /// If they do not come within 30 s of real time.
    pub async fn until_token_requests(&self, count: usize) {
        self.desk.tokens.until_seen(count, "token requests").await;
    }

    /// The revocations so far (RFC 7009), in order, whatever came of them.
    #[must_use]
    pub fn revocations(&self) -> Vec<SeenRequest> {
        self.desk.revocations.seen()
    }

    /// Returns as soon as so many revocations have come since the start: a sign-out sends them behind it.
    ///
    /// # Panics
    /// If they do not come within 30 s of real time.
    pub async fn until_revocations(&self, count: usize) {
        let revocations = &self.desk.revocations;
        revocations.until_seen(count, "revocations").await;
    }
}
