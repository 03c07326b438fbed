//! An API that takes the live tokens of an authorization server, and keeps what it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use reqwest_bearer::{NamedClient, NamedUserClient, TokenSource, UserSessions};
use tokio::sync::{Semaphore, watch};

use super::authorization_server::AuthorizationServer;
use super::http_server::{HttpServer, Reply, Seen};
use super::soon;

/// Answers 200 to live tokens and 401 `invalid_token` to all others.
pub(crate) struct Api {
    http: HttpServer,
    state: Arc<State>,
}

type IsLive = Arc<dyn Fn(&str) -> bool + Send + Sync>;

struct State {
    is_live: IsLive,
    seen: Mutex<Vec<Seen>>,
    script: Mutex<VecDeque<Reply>>,
    otherwise: Mutex<Option<Reply>>,
    /// Closed doors: a permit lets one answer out.
    doors: Mutex<Option<Arc<Semaphore>>>,
    waiting: watch::Sender<usize>,
    arrived: watch::Sender<usize>,
}

impl Api {
    pub(crate) async fn start(server: &AuthorizationServer) -> Self {
        let live = server.live();
        Self::that_takes(move |token| live.contains(token)).await
    }

    /// An API with its own idea of which tokens are good.
    pub(crate) async fn that_takes(is_live: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let state = Arc::new(State {
            is_live: Arc::new(is_live),
            seen: Mutex::default(),
            script: Mutex::default(),
            otherwise: Mutex::default(),
            doors: Mutex::default(),
            waiting: watch::Sender::new(0),
            arrived: watch::Sender::new(0),
        });
        let answering = state.clone();
        let http = HttpServer::start(move |seen| {
            let state = answering.clone();
            async move { Some(state.answer(seen).await) }
        })
        .await;
        Self { http, state }
    }

    pub(crate) fn url(&self) -> &str {
        self.http.url()
    }

    pub(crate) fn connections(&self) -> usize {
        self.http.connections()
    }

    /// A named client for this API.
    pub(crate) fn client(&self, source: impl Into<TokenSource>) -> NamedClient {
        NamedClient::new("api", self.url(), source).unwrap()
    }

    pub(crate) fn user_client(&self, users: &UserSessions) -> NamedUserClient {
        NamedUserClient::new("api", self.url(), users).unwrap()
    }

    /// The next request gets this answer, whatever its token.
    pub(crate) fn then(&self, reply: Reply) -> &Self {
        self.state.script.lock().unwrap().push_back(reply);
        self
    }

    /// All requests get this answer, whatever their token.
    pub(crate) fn always(&self, reply: Reply) -> &Self {
        *self.state.otherwise.lock().unwrap() = Some(reply);
        self
    }

    pub(crate) fn mend(&self) {
        *self.state.otherwise.lock().unwrap() = None;
    }

    /// Requests are judged when they come, and their answers held back from now on.
    pub(crate) fn hold(&self) {
        *self.state.doors.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    }

    /// Lets all answers out.
    pub(crate) fn release(&self) {
        let doors = self.state.doors.lock().unwrap().take();
        doors.unwrap().add_permits(10_000);
    }

    /// Lets the answer out that has been held back for longest.
    pub(crate) fn release_one(&self) {
        let doors = self.state.doors.lock().unwrap();
        doors.as_ref().unwrap().add_permits(1);
    }

    /// Returns when so many answers are held back.
    pub(crate) async fn until_held(&self, count: usize) {
        let mut waiting = self.state.waiting.subscribe();
        soon(waiting.wait_for(|now| *now >= count)).await.unwrap();
    }

    /// Returns when so many requests have come since the start.
    pub(crate) async fn until_seen(&self, count: usize) {
        let mut arrived = self.state.arrived.subscribe();
        arrived.wait_for(|seen| *seen >= count).await.unwrap();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The tokens of all requests so far; a request without one is a defect.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let seen = self.seen();
        seen.iter().map(|seen| seen.token().unwrap()).collect()
    }
}

impl State {
    async fn answer(&self, seen: Seen) -> Reply {
        let reply = self.judge(&seen);
        self.seen.lock().unwrap().push(seen);
        self.waiting.send_modify(|now| *now += 1);
        self.arrived.send_modify(|seen| *seen += 1);
        let doors = self.doors.lock().unwrap().clone();
        if let Some(doors) = doors {
            doors.acquire().await.unwrap().forget();
        }
        self.waiting.send_modify(|now| *now -= 1);
        reply
    }

    fn judge(&self, seen: &Seen) -> Reply {
        if let Some(reply) = self.script.lock().unwrap().pop_front() {
            return reply;
        }
        if let Some(reply) = self.otherwise.lock().unwrap().clone() {
            return reply;
        }
        match seen.token() {
            Some(token) if (self.is_live)(&token) => Reply::new(200).body("fine"),
            _ => refusal(),
        }
    }
}

/// What a 401 looks like at most servers.
pub(crate) fn refusal() -> Reply {
    Reply::new(401)
        .header(
            "www-authenticate",
            r#"Bearer realm="api", error="invalid_token""#,
        )
        .body("who are you?")
}
