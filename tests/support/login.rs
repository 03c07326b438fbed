//! A scripted authorization server with users: a family of tokens for each sign-in, rotation with
//! reuse detection, revocation.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::{ClientAuthentication, TokenEndpoint, TokenEndpointBuilder, TokenSet};
use serde_json::json;
use tokio::sync::{Barrier, Semaphore, watch};

use super::authorization_server::Answer;
use super::http_server::{HttpServer, Reply, Seen};
use super::soon;

/// Issues `access-<user>-<n>` and `refresh-<user>-<n>`, of 600 s.
pub(crate) struct Login {
    http: HttpServer,
    state: Arc<State>,
}

struct State {
    book: Mutex<Book>,
    doors: Mutex<Option<Arc<Semaphore>>>,
    companions: Mutex<Option<Arc<Barrier>>>,
    /// Where revocations wait.
    back_door: Mutex<Option<Arc<Semaphore>>>,
    held: watch::Sender<usize>,
    arrived: watch::Sender<usize>,
}

#[derive(Default)]
struct Book {
    /// Whose access token it is; those of dead families are gone.
    live: HashMap<String, String>,
    families: HashMap<String, Family>,
    token_requests: Vec<Seen>,
    revocations: Vec<(String, String)>,
    script: VecDeque<Answer>,
    lifetime: u64,
    issued: usize,
    keeps_refresh_tokens: bool,
    id_token_about: Option<String>,
    members: serde_json::Map<String, serde_json::Value>,
}

struct Family {
    refresh_token: String,
    spent: Vec<String>,
    dead: bool,
}

impl Login {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(State {
            book: Mutex::new(Book {
                lifetime: 600,
                ..Book::default()
            }),
            doors: Mutex::default(),
            companions: Mutex::default(),
            back_door: Mutex::default(),
            held: watch::Sender::new(0),
            arrived: watch::Sender::new(0),
        });
        let answering = state.clone();
        let http = HttpServer::start(move |seen| {
            let state = answering.clone();
            async move {
                match seen.path.as_str() {
                    "/revoke" => {
                        state.back_door().await;
                        state.companions(&seen).await;
                        Some(state.revoke(&seen))
                    }
                    _ => state.token(seen).await,
                }
            }
        })
        .await;
        Self { http, state }
    }

    pub(crate) fn token_url(&self) -> String {
        format!("{}/token", self.http.url())
    }

    pub(crate) fn endpoint(&self) -> TokenEndpoint {
        self.endpoint_with(|builder| builder)
    }

    /// The same with settings.
    pub(crate) fn endpoint_with(
        &self,
        set: impl FnOnce(TokenEndpointBuilder) -> TokenEndpointBuilder,
    ) -> TokenEndpoint {
        let client = ClientAuthentication::client_secret_basic("client", "secret");
        let builder = TokenEndpoint::builder(client)
            .token_url(self.token_url())
            .revocation_url(format!("{}/revoke", self.http.url()));
        set(builder).build().unwrap()
    }

    /// What a sign-in of this user brings, issued at `now`. Ends the family before.
    pub(crate) fn sign_in(&self, user: &str, now: SystemTime) -> TokenSet {
        let mut book = self.book();
        book.live.retain(|_, owner| owner != user);
        let family = Family {
            refresh_token: String::new(),
            spent: Vec::new(),
            dead: false,
        };
        book.families.insert(user.to_owned(), family);
        let (access, refresh) = book.issue(user);
        let lifetime = Duration::from_secs(book.lifetime);
        TokenSet::new(access)
            .with_refresh_token(refresh)
            .with_issued_at(now)
            .with_expires_at(now + lifetime)
    }

    /// `expires_in` from now on.
    pub(crate) fn lifetime(&self, seconds: u64) {
        self.book().lifetime = seconds;
    }

    /// Refresh tokens are good for any number of uses.
    pub(crate) fn keep_refresh_tokens(&self) {
        self.book().keeps_refresh_tokens = true;
    }

    /// Refreshes bring an id token about this user from now on.
    pub(crate) fn id_tokens_about(&self, sub: &str) {
        self.book().id_token_about = Some(sub.to_owned());
    }

    /// Each answer has this member besides.
    pub(crate) fn member(&self, name: &str, value: serde_json::Value) {
        self.book().members.insert(name.to_owned(), value);
    }

    /// Nothing but what RFC 6749 names.
    pub(crate) fn no_members(&self) {
        self.book().members.clear();
    }

    pub(crate) fn then(&self, answer: Answer) -> &Self {
        self.book().script.push_back(answer);
        self
    }

    /// The access token is refused from now on.
    pub(crate) fn end(&self, access_token: &str) {
        let owner = self.book().live.remove(access_token);
        assert!(owner.is_some(), "{access_token} is dead");
    }

    /// The whole family of the user is dead.
    pub(crate) fn end_family(&self, user: &str) {
        self.book().end_family(user);
    }

    /// Whose access token this is, while it lives.
    pub(crate) fn owner(&self, access_token: &str) -> Option<String> {
        self.book().live.get(access_token).cloned()
    }

    /// A look at the owners that outlives this borrow.
    pub(crate) fn owners(&self) -> impl Fn(&str) -> Option<String> + Send + Sync + 'static {
        let state = self.state.clone();
        move |token| state.book.lock().unwrap().live.get(token).cloned()
    }

    pub(crate) fn refresh_token(&self, user: &str) -> String {
        self.book().families[user].refresh_token.clone()
    }

    pub(crate) fn is_dead(&self, user: &str) -> bool {
        self.book().families[user].dead
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.book().token_requests.len()
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.book().token_requests.clone()
    }

    /// The tokens that were revoked, with their hints, in order.
    pub(crate) fn revocations(&self) -> Vec<(String, String)> {
        self.book().revocations.clone()
    }

    /// Token requests wait at the door from now on, and are judged when they come in.
    pub(crate) fn hold(&self) {
        *self.state.doors.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    }

    /// Access tokens are revoked from now on when so many of them have come to be revoked.
    pub(crate) fn revoke_together(&self, count: usize) {
        *self.state.companions.lock().unwrap() = Some(Arc::new(Barrier::new(count)));
    }

    /// Revocations wait at the door from now on.
    pub(crate) fn hold_revocations(&self) {
        *self.state.back_door.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    }

    pub(crate) fn release_revocations(&self) {
        let door = self.state.back_door.lock().unwrap().take();
        door.unwrap().add_permits(10_000);
    }

    pub(crate) fn release(&self) {
        let doors = self.state.doors.lock().unwrap().take();
        doors.unwrap().add_permits(10_000);
    }

    /// How many wait at the doors.
    pub(crate) fn held(&self) -> usize {
        *self.state.held.borrow()
    }

    pub(crate) async fn until_held(&self, count: usize) {
        let mut held = self.state.held.subscribe();
        soon(held.wait_for(|now| *now >= count)).await.unwrap();
    }

    pub(crate) async fn until_requests(&self, count: usize) {
        let mut arrived = self.state.arrived.subscribe();
        soon(arrived.wait_for(|now| *now >= count)).await.unwrap();
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.state.book.lock().unwrap()
    }
}

/// A request that waits at a door: until it is let in, or its client hangs up.
struct Held<'state>(&'state watch::Sender<usize>);

impl<'state> Held<'state> {
    fn new(held: &'state watch::Sender<usize>) -> Self {
        held.send_modify(|held| *held += 1);
        Self(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}

impl State {
    async fn token(self: Arc<Self>, seen: Seen) -> Option<Reply> {
        let answer = {
            let mut book = self.book.lock().unwrap();
            book.token_requests.push(seen.clone());
            book.script.pop_front()
        };
        self.arrived.send_modify(|arrived| *arrived += 1);
        let doors = self.doors.lock().unwrap().clone();
        if let Some(doors) = doors {
            let held = Held::new(&self.held);
            doors.acquire().await.unwrap().forget();
            drop(held);
        }
        match answer {
            None | Some(Answer::Token) => Some(self.refresh(&seen)),
            Some(Answer::Reply(reply)) => Some(reply),
            Some(Answer::Cut) => None,
            Some(Answer::Lost) => {
                self.refresh(&seen);
                None
            }
        }
    }

    fn refresh(&self, seen: &Seen) -> Reply {
        let mut book = self.book.lock().unwrap();
        let sent = seen.field("refresh_token").unwrap_or_default();
        let mut families = book.families.iter();
        let known = families
            .find(|(_, family)| family.refresh_token == sent || family.spent.contains(&sent));
        let Some((user, family)) = known else {
            return Reply::new(400).json(&json!({ "error": "invalid_grant" }));
        };
        let user = user.clone();
        if family.dead || family.refresh_token != sent {
            // Reuse detection: somebody has stolen it, so all of the family ends.
            book.end_family(&user);
            return Reply::new(400).json(&json!({ "error": "invalid_grant" }));
        }
        let (access, refresh) = book.issue(&user);
        let mut body = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": book.lifetime,
        });
        if !book.keeps_refresh_tokens {
            body["refresh_token"] = json!(refresh);
        }
        if let Some(sub) = &book.id_token_about {
            body["id_token"] = json!(id_token(sub));
        }
        for (name, value) in &book.members {
            body[name] = value.clone();
        }
        Reply::new(200).json(&body)
    }

    async fn back_door(&self) {
        let door = self.back_door.lock().unwrap().clone();
        if let Some(door) = door {
            let held = Held::new(&self.held);
            door.acquire().await.unwrap().forget();
            drop(held);
        }
    }

    async fn companions(&self, seen: &Seen) {
        let companions = self.companions.lock().unwrap().clone();
        let is_access_token = seen.field("token_type_hint").as_deref() == Some("access_token");
        if let Some(companions) = companions.filter(|_| is_access_token) {
            companions.wait().await;
        }
    }

    fn revoke(&self, seen: &Seen) -> Reply {
        let mut book = self.book.lock().unwrap();
        let token = seen.field("token").unwrap();
        let hint = seen.field("token_type_hint").unwrap_or_default();
        book.revocations.push((token.clone(), hint));
        book.live.remove(&token);
        let mut families = book.families.iter();
        let owner = families.find(|(_, family)| family.refresh_token == token);
        if let Some(user) = owner.map(|(user, _)| user.clone()) {
            book.end_family(&user);
        }
        Reply::new(200)
    }
}

impl Book {
    fn issue(&mut self, user: &str) -> (String, String) {
        self.issued += 1;
        let access = format!("access-{user}-{}", self.issued);
        self.live.insert(access.clone(), user.to_owned());
        let refresh = format!("refresh-{user}-{}", self.issued);
        let keeps = self.keeps_refresh_tokens;
        let family = self.families.get_mut(user).unwrap();
        if !keeps || family.refresh_token.is_empty() {
            let spent = std::mem::replace(&mut family.refresh_token, refresh);
            family.spent.push(spent);
        }
        (access, family.refresh_token.clone())
    }

    fn end_family(&mut self, user: &str) {
        self.families.get_mut(user).unwrap().dead = true;
        self.live.retain(|_, owner| owner != user);
    }
}

/// An id token about somebody, whose signature nobody checks.
pub(crate) fn id_token(sub: &str) -> String {
    let claims = URL_SAFE_NO_PAD.encode(json!({ "sub": sub }).to_string());
    format!("e30.{claims}.c2ln")
}
