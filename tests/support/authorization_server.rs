//! A scripted authorization server: issues, rotates and revokes; slow, down or wrong on demand.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use reqwest_bearer::{ClientAuthentication, ClientCredentials, RefreshTokenGrant, TokenEndpoint};
use serde_json::json;
use tokio::sync::{Semaphore, watch};

use super::http_server::{HttpServer, Reply, Seen};
use super::soon;

/// Issues `access-1`, `access-2`, ... of 600 s for client credentials and refresh tokens.
pub(crate) struct AuthorizationServer {
    http: HttpServer,
    state: Arc<State>,
}

struct State {
    book: Mutex<Book>,
    /// Closed doors: a permit lets one request through.
    doors: Mutex<Option<Arc<Semaphore>>>,
    at_once: watch::Sender<(usize, usize)>,
    arrived: watch::Sender<usize>,
    let_in: watch::Sender<usize>,
}

struct Book {
    requests: Vec<Seen>,
    issued: usize,
    live: HashSet<String>,
    scopes: HashMap<String, String>,
    refresh_token: String,
    rotates: bool,
    reuses: usize,
    lifetime: serde_json::Value,
    script: VecDeque<Answer>,
    otherwise: Option<Answer>,
}

/// What it answers instead of a token.
#[derive(Clone)]
pub(crate) enum Answer {
    /// What it answers when nobody tells it anything.
    Token,
    Reply(Reply),
    /// Takes the request, does what it says, and cuts the connection: the answer is lost.
    Lost,
    /// Cuts the connection without doing anything.
    Cut,
}

impl AuthorizationServer {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(State {
            book: Mutex::new(Book {
                requests: Vec::new(),
                issued: 0,
                live: HashSet::new(),
                scopes: HashMap::new(),
                refresh_token: "refresh-0".to_owned(),
                rotates: false,
                reuses: 0,
                lifetime: json!(600),
                script: VecDeque::new(),
                otherwise: None,
            }),
            doors: Mutex::new(None),
            at_once: watch::Sender::new((0, 0)),
            arrived: watch::Sender::new(0),
            let_in: watch::Sender::new(0),
        });
        let answering = state.clone();
        let http = HttpServer::start(move |seen| answering.clone().answer(seen)).await;
        Self { http, state }
    }

    pub(crate) fn token_url(&self) -> String {
        format!("{}/token", self.http.url())
    }

    pub(crate) fn endpoint(&self) -> TokenEndpoint {
        let client = ClientAuthentication::client_secret_basic("client", "secret");
        TokenEndpoint::new(self.token_url(), client).unwrap()
    }

    pub(crate) fn client_credentials(&self) -> ClientCredentials {
        ClientCredentials::new(self.endpoint())
    }

    pub(crate) fn refresh_token_grant(&self) -> RefreshTokenGrant {
        RefreshTokenGrant::new(
            self.endpoint(),
            self.book(|book| book.refresh_token.clone()),
        )
    }

    /// Every answer to a refresh token brings a new one and ends the old one.
    pub(crate) fn rotate(&self, rotates: bool) {
        self.book(|book| book.rotates = rotates);
    }

    /// `expires_in` from now on.
    pub(crate) fn lifetime(&self, expires_in: serde_json::Value) {
        self.book(|book| book.lifetime = expires_in);
    }

    pub(crate) fn then(&self, answer: Answer) -> &Self {
        self.book(|book| book.script.push_back(answer));
        self
    }

    pub(crate) fn always(&self, answer: Answer) -> &Self {
        self.book(|book| book.otherwise = Some(answer));
        self
    }

    pub(crate) fn mend(&self) {
        self.book(|book| book.otherwise = None);
    }

    pub(crate) fn revoke(&self, token: &str) {
        assert!(self.book(|book| book.live.remove(token)), "{token} is dead");
    }

    pub(crate) fn revoke_all(&self) {
        self.book(|book| book.live.clear());
    }

    pub(crate) fn is_live(&self, token: &str) -> bool {
        self.book(|book| book.live.contains(token))
    }

    /// A look at the live tokens that outlives this borrow.
    pub(crate) fn live(&self) -> Live {
        Live(self.state.clone())
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.http.connections()
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.book(|book| book.requests.len())
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.book(|book| book.requests.clone())
    }

    /// How often a refresh token came that had been spent.
    pub(crate) fn reuses(&self) -> usize {
        self.book(|book| book.reuses)
    }

    pub(crate) fn scope_of(&self, token: &str) -> Option<String> {
        self.book(|book| book.scopes.get(token).cloned())
    }

    /// Requests wait at the door from now on.
    pub(crate) fn hold(&self) {
        *self.state.doors.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    }

    /// Opens the door for all.
    pub(crate) fn release(&self) {
        let doors = self.state.doors.lock().unwrap().take();
        doors.unwrap().add_permits(10_000);
    }

    /// Whoever waits goes on waiting, for good; requests that come from now on do not.
    pub(crate) fn hold_no_more(&self) {
        *self.state.doors.lock().unwrap() = None;
    }

    /// Opens the door for one after the other, each as soon as there is one waiting.
    pub(crate) async fn release_one_by_one(&self, count: usize) {
        let doors = self.state.doors.lock().unwrap().clone().unwrap();
        let mut let_in = self.state.let_in.subscribe();
        let before = *let_in.borrow();
        for number in 1..=count {
            self.until_held(1).await;
            doors.add_permits(1);
            let is_in = |now: &usize| *now >= before + number;
            soon(let_in.wait_for(is_in)).await.unwrap();
        }
    }

    /// Returns when so many token requests have come.
    pub(crate) async fn until_requests(&self, count: usize) {
        let mut arrived = self.state.arrived.subscribe();
        soon(arrived.wait_for(|now| *now >= count)).await.unwrap();
    }

    /// Returns when so many requests wait.
    pub(crate) async fn until_held(&self, count: usize) {
        let mut at_once = self.state.at_once.subscribe();
        soon(at_once.wait_for(|(now, _)| *now >= count))
            .await
            .unwrap();
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.state.at_once.borrow().1
    }

    fn book<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        change(&mut self.state.book.lock().unwrap())
    }
}

/// Which tokens are live at the moment.
pub(crate) struct Live(Arc<State>);

impl Live {
    pub(crate) fn contains(&self, token: &str) -> bool {
        self.0.book.lock().unwrap().live.contains(token)
    }
}

impl State {
    async fn answer(self: Arc<Self>, seen: Seen) -> Option<Reply> {
        let answer = {
            let mut book = self.book.lock().unwrap();
            book.requests.push(seen.clone());
            let scripted = book.script.pop_front();
            scripted.or_else(|| book.otherwise.clone())
        };
        self.arrived.send_modify(|arrived| *arrived += 1);
        self.at_once.send_modify(|(now, most)| {
            *now += 1;
            *most = (*most).max(*now);
        });
        let doors = self.doors.lock().unwrap().clone();
        if let Some(doors) = doors {
            doors.acquire().await.unwrap().forget();
        }
        self.at_once.send_modify(|(now, _)| *now -= 1);
        self.let_in.send_modify(|let_in| *let_in += 1);
        match answer {
            None | Some(Answer::Token) => Some(self.issue(&seen)),
            Some(Answer::Reply(reply)) => Some(reply),
            Some(Answer::Cut) => None,
            Some(Answer::Lost) => {
                self.issue(&seen);
                None
            }
        }
    }

    fn issue(&self, seen: &Seen) -> Reply {
        let book = &mut *self.book.lock().unwrap();
        let mut body = json!({ "token_type": "Bearer", "expires_in": book.lifetime });
        if seen.field("grant_type").as_deref() == Some("refresh_token") {
            if seen.field("refresh_token").as_ref() != Some(&book.refresh_token) {
                book.reuses += 1;
                return Reply::new(400).json(&json!({ "error": "invalid_grant" }));
            }
            if book.rotates {
                book.refresh_token = format!("refresh-{}", book.issued + 1);
                body["refresh_token"] = json!(book.refresh_token);
            }
        }
        book.issued += 1;
        let token = format!("access-{}", book.issued);
        body["access_token"] = json!(token);
        if let Some(scope) = seen.field("scope") {
            book.scopes.insert(token.clone(), scope);
        }
        book.live.insert(token);
        Reply::new(200).json(&body)
    }
}
