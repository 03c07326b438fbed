//! What the tests of the recipes share: an authorization server and an API on a real socket, and a
//! source of tokens whose clock the test sets.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, TestClock, TokenEndpoint, TokenSource,
};
use serde_json::json;
use wiremock::matchers::{any, method, path};
pub use wiremock::{self, Request, ResponseTemplate};
use wiremock::{Mock, MockServer};

/// An API that takes the tokens that its authorization server has issued and not revoked, and answers 401 to
/// all others.
pub struct Scene {
    server: MockServer,
    clock: TestClock,
    book: Arc<Mutex<Book>>,
}

struct Book {
    lifetime: u64,
    issued: usize,
    is_closed: bool,
    refuses_all: bool,
    scopes: Vec<String>,
    live: HashSet<String>,
    carried: Vec<String>,
    bodies: Vec<Vec<u8>>,
}

impl Scene {
    /// Tokens are called `token-1`, `token-2`, ... and live for so many seconds. The API answers what is
    /// given, to whoever has a good one.
    pub async fn start(
        lifetime: u64,
        answer: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static,
    ) -> Self {
        let (server, clock) = (MockServer::start().await, TestClock::new());
        #[expect(
            clippy::disallowed_methods,
            reason = "some libraries compare the end of a token with the time of the machine"
        )]
        let now = SystemTime::now();
        clock.advance(now.duration_since(clock.system_time()).unwrap_or_default());
        let book = Arc::new(Mutex::new(Book {
            lifetime,
            issued: 0,
            is_closed: false,
            refuses_all: false,
            scopes: Vec::new(),
            live: HashSet::new(),
            carried: Vec::new(),
            bodies: Vec::new(),
        }));
        let issuing = book.clone();
        Mock::given(method("POST"))
            .and(path("/token"))
            .respond_with(move |request: &Request| issuing.lock().unwrap().issue(request))
            .mount(&server)
            .await;
        let judging = book.clone();
        Mock::given(any())
            .respond_with(move |request: &Request| {
                let is_good = judging.lock().unwrap().note(request);
                if is_good { answer(request) } else { refusal() }
            })
            .mount(&server)
            .await;
        Self {
            server,
            clock,
            book,
        }
    }

    /// Where the API is.
    pub fn url(&self) -> String {
        self.server.uri()
    }

    /// The application's tokens, without chance in their times.
    pub fn source(&self) -> TokenSource {
        let client = ClientAuthentication::client_secret_basic("recipe", "s3cr3t");
        let endpoint = TokenEndpoint::new(format!("{}/token", self.url()), client).unwrap();
        let grant = ClientCredentials::new(endpoint);
        let source = TokenSource::builder(grant).clock(&self.clock).jitter(0.0);
        source.build().unwrap()
    }

    /// All tokens issued so far end, and the API takes them no more.
    pub fn expire(&self) {
        let mut book = self.book.lock().unwrap();
        book.live.clear();
        self.clock.advance(Duration::from_secs(book.lifetime));
    }

    /// Time passes for the tokens, and for the pauses between refreshes.
    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The API takes no token that was issued so far, and only its 401 says so.
    pub fn revoke(&self) {
        self.book.lock().unwrap().live.clear();
    }

    /// From now on the API takes no token at all.
    pub fn refuse_all(&self) {
        self.book.lock().unwrap().refuses_all = true;
    }

    /// The authorization server knows the client no more.
    pub fn close(&self) {
        self.book.lock().unwrap().is_closed = true;
    }

    /// The tokens that requests have carried, in their order; an empty text is one without.
    pub fn carried(&self) -> Vec<String> {
        self.book.lock().unwrap().carried.clone()
    }

    /// The bodies of those requests.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.book.lock().unwrap().bodies.clone()
    }

    /// How many tokens were issued.
    pub fn issued(&self) -> usize {
        self.book.lock().unwrap().issued
    }

    /// The scopes that tokens were asked for with, where there were any.
    pub fn scopes(&self) -> Vec<String> {
        self.book.lock().unwrap().scopes.clone()
    }
}

impl Book {
    fn issue(&mut self, request: &Request) -> ResponseTemplate {
        let form = form_urlencoded::parse(&request.body);
        let scopes = form.filter(|(name, _)| name == "scope");
        self.scopes
            .extend(scopes.map(|(_, scope)| scope.into_owned()));
        if self.is_closed {
            return ResponseTemplate::new(401).set_body_json(json!({ "error": "invalid_client" }));
        }
        self.issued += 1;
        let token = format!("token-{}", self.issued);
        self.live.insert(token.clone());
        ResponseTemplate::new(200).set_body_json(json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        }))
    }

    /// Whether the request has a good token.
    fn note(&mut self, request: &Request) -> bool {
        let header = request.headers.get("authorization");
        let header = header.map_or("", |value| value.to_str().unwrap());
        let token = header.strip_prefix("Bearer ").unwrap_or_default();
        self.carried.push(token.to_owned());
        self.bodies.push(request.body.clone());
        self.live.contains(token) && !self.refuses_all
    }
}

fn refusal() -> ResponseTemplate {
    ResponseTemplate::new(401)
        .insert_header("www-authenticate", r#"Bearer error="invalid_token""#)
        .set_body_string("refused")
}
