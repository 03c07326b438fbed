//! An authorization server that exchanges tokens, and what the tests have in common.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::{
    ClientAuthentication, Error, ErrorKind, ExchangedTokens, NamedExchangeClient, SubjectToken,
    TestClock, TokenEndpoint, TokenExchange,
};
use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::http_server::{HttpServer, Reply, Seen};

pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Issues `1~subject`, `2~subject`, ... of 600 s for each subject token, which names it to the API.
pub(crate) struct Exchange {
    http: HttpServer,
    book: Arc<Mutex<Book>>,
}

struct Book {
    requests: Vec<Seen>,
    of_subject: HashMap<String, usize>,
    dead: HashSet<String>,
    /// What is different in the answers from now on; `null` takes a member out.
    differences: Value,
    script: VecDeque<Reply>,
}

impl Exchange {
    pub(crate) async fn start() -> Self {
        let book = Arc::new(Mutex::new(Book {
            requests: Vec::new(),
            of_subject: HashMap::new(),
            dead: HashSet::new(),
            differences: json!({}),
            script: VecDeque::new(),
        }));
        let answering = book.clone();
        let http = HttpServer::start(move |seen| {
            let reply = answering.lock().unwrap().answer(seen);
            async move { Some(reply) }
        })
        .await;
        Self { http, book }
    }

    pub(crate) fn token_url(&self) -> String {
        format!("{}/token", self.http.url())
    }

    pub(crate) fn endpoint(&self) -> TokenEndpoint {
        let client = ClientAuthentication::client_secret_basic("service", "secret");
        TokenEndpoint::new(self.token_url(), client).unwrap()
    }

    /// The same by this clock.
    pub(crate) fn endpoint_by(&self, clock: &TestClock) -> TokenEndpoint {
        let client = ClientAuthentication::client_secret_basic("service", "secret");
        let builder = TokenEndpoint::builder(client).token_url(self.token_url());
        builder.clock(clock).build().unwrap()
    }

    pub(crate) fn grant(&self) -> TokenExchange {
        TokenExchange::new(self.endpoint())
    }

    /// Exchanged tokens by this clock.
    pub(crate) fn tokens(&self, clock: &TestClock) -> ExchangedTokens {
        let exchange = TokenExchange::new(self.endpoint_by(clock));
        let builder = ExchangedTokens::builder(exchange);
        builder.clock(clock).jitter(0.0).build().unwrap()
    }

    pub(crate) fn kill(&self, token: &str) {
        self.book(|book| book.dead.insert(token.to_owned()));
    }

    pub(crate) fn differ(&self, differences: Value) {
        self.book(|book| book.differences = differences);
    }

    pub(crate) fn then(&self, reply: Reply) -> &Self {
        self.book(|book| book.script.push_back(reply));
        self
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.book(|book| book.requests.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.book(|book| book.requests.len())
    }

    pub(crate) fn of_each_subject(&self) -> HashMap<String, usize> {
        self.book(|book| book.of_subject.clone())
    }

    fn book<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        change(&mut self.book.lock().unwrap())
    }
}

impl Book {
    fn answer(&mut self, seen: Seen) -> Reply {
        let subject = seen.field("subject_token");
        let subject = subject.or_else(|| seen.field("assertion")).unwrap();
        self.requests.push(seen);
        if let Some(reply) = self.script.pop_front() {
            return reply;
        }
        if self.dead.contains(&subject) {
            return refusal("invalid_request");
        }
        let count = self.of_subject.entry(subject.clone()).or_default();
        *count += 1;
        let mut body = json!({
            "access_token": format!("{count}~{subject}"),
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": 600,
        });
        for (name, value) in self.differences.as_object().unwrap() {
            body[name] = value.clone();
        }
        let members = body.as_object_mut().unwrap();
        members.retain(|_, value| !value.is_null());
        Reply::new(200).json(&body)
    }
}

/// A refusal by this code.
pub(crate) fn refusal(code: &str) -> Reply {
    Reply::new(400).json(&json!({ "error": code }))
}

/// An API that takes whatever has a subject in it.
pub(crate) async fn api() -> Api {
    Api::that_takes(|token| token.contains('~')).await
}

pub(crate) fn client(api: &Api, tokens: &ExchangedTokens) -> NamedExchangeClient {
    NamedExchangeClient::new("api", api.url(), tokens).unwrap()
}

pub(crate) fn subject(text: &str) -> SubjectToken {
    SubjectToken::new(text).unwrap()
}

/// A token with these claims, which nobody has signed.
pub(crate) fn jwt(claims: &Value) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// One of this user that ends so many seconds from now.
pub(crate) fn ending(user: &str, clock: &TestClock, seconds: u64) -> String {
    let end = clock.system_time() + Duration::from_secs(seconds);
    let end = end.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    jwt(&json!({ "sub": user, "exp": end.as_secs_f64() }))
}

/// What a call ended with.
pub(crate) fn error_of(outcome: reqwest_middleware::Result<reqwest::Response>) -> Error {
    Error::find_in(&outcome.unwrap_err()).unwrap().clone()
}

pub(crate) fn assert_kind(error: &Error, kind: ErrorKind) {
    assert_eq!(error.kind(), kind, "{error:?}");
}
