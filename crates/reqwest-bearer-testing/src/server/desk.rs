//! What the fake server is without its sockets: which of its endpoints answers a request.

use std::sync::{Arc, Mutex};

use crate::answer::Whole;
use crate::control::Control;
use crate::http_server::{Answering, Handler, lock};
use crate::seen::SeenRequest;
use crate::server::books::Books;
use crate::server::token_endpoint::Outcome;
use crate::server::{front_channel, token_endpoint};
use crate::time::Time;

#[derive(Debug)]
pub(crate) struct Desk {
    pub(super) issuer: String,
    pub(super) time: Time,
    pub(super) books: Mutex<Books>,
    pub(super) tokens: Control,
    pub(super) revocations: Control,
}

pub(super) fn handler(desk: Arc<Desk>) -> Handler {
    Arc::new(move |request| -> Answering {
        let desk = desk.clone();
        Box::pin(async move { desk.answer(request).await })
    })
}

impl Desk {
    pub(crate) fn is_valid(&self, access_token: &str) -> bool {
        lock(&self.books).is_valid(access_token, self.time.now())
    }

    async fn answer(&self, request: SeenRequest) -> Option<Whole> {
        let is_post = request.method() == http::Method::POST;
        match request.path() {
            "/token" if is_post => {
                let answer = |request: &SeenRequest| self.token(request).into();
                self.tokens.answer(request, answer).await
            }
            "/revoke" if is_post => {
                let answer = |request: &SeenRequest| self.revoke(request).into();
                self.revocations.answer(request, answer).await
            }
            "/device_authorization" if is_post => {
                let mut books = lock(&self.books);
                let codes = front_channel::device_codes(&mut books, &self.issuer, &request);
                Some(outcome(codes))
            }
            "/authorize" => Some(self.authorize(&request)),
            "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" => {
                Some(Whole::new(200).json(&front_channel::document(&self.issuer)))
            }
            _ => Some(Whole::new(404)),
        }
    }

    fn token(&self, request: &SeenRequest) -> Whole {
        let mut books = lock(&self.books);
        outcome(token_endpoint::answer(&mut books, request, self.time.now()))
    }

    fn revoke(&self, request: &SeenRequest) -> Whole {
        let mut books = lock(&self.books);
        match token_endpoint::client(&books, request) {
            Ok(client) => {
                let token = request.field("token").unwrap_or_default();
                // RFC 7009 section 2.2: a token that is none is no error.
                books.revoke(&token, Some(&client));
                Whole::new(200)
            }
            Err(code) => Whole::oauth_error(code),
        }
    }

    fn authorize(&self, request: &SeenRequest) -> Whole {
        let user = request.in_query("login_hint");
        let user = user.as_deref().unwrap_or("user");
        let mut books = lock(&self.books);
        match front_channel::redirect(&mut books, &self.issuer, request.query(), user) {
            Ok(redirect) => Whole::new(303).header("location", &redirect),
            Err(error) => Whole::new(400).body(error.to_string()),
        }
    }
}

/// As RFC 6749 section 5 has it, with the header that keeps it out of every cache.
fn outcome(outcome: Outcome) -> Whole {
    let answer = match outcome {
        Ok(body) => Whole::new(200).json(&body),
        Err(code) => Whole::oauth_error(code),
    };
    answer.header("cache-control", "no-store")
}
