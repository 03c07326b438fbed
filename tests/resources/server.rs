//! An API and an authorization server at one place each, which say what a test wants them to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use reqwest_bearer::{ProtectedResource, ProtectedResourceBuilder, TestClock};
use serde_json::{Value, json};

use crate::support::http_server::{HttpServer, Reply, Seen};

pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
const DOCUMENT: &str = "/.well-known/oauth-authorization-server";

/// Answers each path with what was set, and all others with 404.
pub(crate) struct Server {
    http: HttpServer,
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
pub(crate) struct Book {
    replies: HashMap<String, Reply>,
    seen: Vec<Seen>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let answering = book.clone();
        let http = HttpServer::start(move |seen| {
            let mut book = answering.lock().unwrap();
            let reply = book.replies.get(&seen.path).cloned();
            book.seen.push(seen);
            std::future::ready(Some(reply.unwrap_or_else(|| Reply::new(404))))
        })
        .await;
        Self { http, book }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.http.url())
    }

    /// The same URL by another name of this machine.
    pub(crate) fn url_at(&self, name: &str, path: &str) -> String {
        self.url(path).replace("127.0.0.1", name)
    }

    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        self.book().replies.insert(path.to_owned(), reply);
    }

    pub(crate) fn json(&self, path: &str, body: &Value) {
        self.reply(path, Reply::new(200).json(body));
    }

    /// An API at `/v1` that takes tokens of these servers.
    pub(crate) fn is_api_of(&self, issuers: &[String]) {
        self.json(
            &format!("{WELL_KNOWN}/v1"),
            &json!({
                "resource": self.url("/v1"),
                "authorization_servers": issuers,
                "scopes_supported": ["read", "write"],
            }),
        );
    }

    /// An authorization server whose document has these members besides.
    pub(crate) fn is_issuer_with(&self, members: &Value) {
        let mut document = json!({
            "issuer": self.url(""),
            "token_endpoint": self.url("/token"),
            "authorization_endpoint": self.url("/authorize"),
            "registration_endpoint": self.url("/register"),
        });
        for (name, value) in members.as_object().unwrap() {
            document[name] = value.clone();
        }
        self.json(DOCUMENT, &document);
        let token = json!({ "access_token": "token", "token_type": "Bearer", "expires_in": 600 });
        self.json("/token", &token);
    }

    /// Both an API and its authorization server.
    pub(crate) async fn both() -> Self {
        let server = Self::start().await;
        server.is_api_of(&[server.url("")]);
        server.is_issuer_with(&json!({}));
        server
    }

    pub(crate) fn builder(&self, clock: &TestClock) -> ProtectedResourceBuilder {
        ProtectedResource::builder(self.url("/v1")).clock(clock)
    }

    pub(crate) fn api(&self) -> ProtectedResource {
        self.builder(&TestClock::new()).build().unwrap()
    }

    /// The paths that were asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        let seen = &self.book().seen;
        seen.iter().map(|seen| seen.path.clone()).collect()
    }

    /// The requests to this path.
    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        let book = self.book();
        let seen = book.seen.iter().filter(|seen| seen.path == path);
        seen.cloned().collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.http.connections()
    }
}
