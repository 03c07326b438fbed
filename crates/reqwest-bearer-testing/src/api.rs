//! A fake API, which takes the tokens of a fake authorization server.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use crate::answer::{Answer, Whole};
use crate::control::Control;
use crate::gate::Gate;
use crate::http_server::{Answering, Handler, HttpServer, lock};
use crate::seen::SeenRequest;
use crate::server::FakeAuthorizationServer;

type IsValid = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A fake API on a real socket of this machine, which takes the valid tokens of a
/// [`FakeAuthorizationServer`] and answers 401 to all others (RFC 6750 section 3), by any method and at any
/// path.
///
/// What it answers to those that it takes is 200 without a body, or what [`serve`](Self::serve) says. Where
/// a test has an API of its own already, [`FakeAuthorizationServer::is_valid`] is all that that one needs.
///
/// Clones are one API, which runs until the last one is dropped.
#[derive(Clone)]
pub struct FakeApi {
    http: Arc<HttpServer>,
    shared: Arc<Shared>,
}

struct Shared {
    is_valid: IsValid,
    control: Control,
    served: Mutex<HashMap<String, Answer>>,
}

impl FakeApi {
    /// Starts an API that takes the valid tokens of this server.
    ///
    /// # Errors
    /// If this machine has no port to listen at.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O.
    pub fn start(server: &FakeAuthorizationServer) -> io::Result<Self> {
        let tokens = server.tokens();
        Self::start_with(move |token| tokens.is_valid(token))
    }

    /// Starts an API with an idea of its own of which tokens are valid.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with(is_valid: impl Fn(&str) -> bool + Send + Sync + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            is_valid: Arc::new(is_valid),
            control: Control::default(),
            served: Mutex::default(),
        });
        let http = HttpServer::start(|_| handler(shared.clone()))?;
        let http = Arc::new(http);
        Ok(Self { http, shared })
    }

    /// The API's origin, such as `http://127.0.0.1:40124`: the base URL of a named client.
    #[must_use]
    pub fn url(&self) -> &str {
        self.http.origin()
    }

    /// What a request with a valid token gets at this path, such as `/orders/42`, from now on.
    pub fn serve(&self, path: &str, answer: Answer) {
        lock(&self.shared.served).insert(path.to_owned(), answer);
    }

    /// The next request gets this answer, whatever its token; called twice, the one after that the second
    /// one.
    pub fn answer_next(&self, answer: Answer) {
        self.shared.control.next(answer);
    }

    /// All requests get this answer, whatever their token, but for those that
    /// [`answer_next`](Self::answer_next) has another one for.
    pub fn answer_always(&self, answer: Answer) {
        self.shared.control.always(Some(answer));
    }

    /// Requests are answered as at the start, and by [`serve`](Self::serve).
    pub fn answer_as_usual(&self) {
        self.shared.control.as_usual();
    }

    /// Closes a gate before the answers: tokens are judged when their requests come, and what came of that
    /// waits there.
    pub fn hold(&self) -> Gate {
        self.shared.control.hold()
    }

    /// Refuses connections from now on, and breaks those that there are.
    pub async fn go_down(&self) {
        self.http.go_down().await;
    }

    /// Listens again, at the same port.
    ///
    /// # Errors
    /// If something else listens at the port by now. Linux keeps it for this API.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn come_back(&self) -> io::Result<()> {
        self.http.come_back()
    }

    /// The requests so far, in order, whatever came of them.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.shared.control.seen()
    }

    /// How many requests have come so far.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.shared.control.count()
    }

    /// Returns as soon as so many requests have come since the start.
    ///
    /// # Panics
    /// If they do not come within 30 s of real time.
    pub async fn until_requests(&self, count: usize) {
        self.shared.control.until_seen(count, "API requests").await;
    }
}

fn handler(shared: Arc<Shared>) -> Handler {
    Arc::new(move |request| -> Answering {
        let shared = shared.clone();
        Box::pin(async move { shared.answer(request).await })
    })
}

impl Shared {
    async fn answer(&self, request: SeenRequest) -> Option<Whole> {
        // When the request comes, and not when a gate lets it through: a token that is revoked meanwhile
        // was good.
        let refusal = match request.bearer_token() {
            Some(token) if (self.is_valid)(token) => None,
            Some(_) => Some(Answer::refused_token("invalid_token")),
            // RFC 6750 section 3.1: no code for a request that brings no token at all.
            None => Some(Answer::new(401).header("www-authenticate", "Bearer realm=\"fake\"")),
        };
        let served = || lock(&self.served).get(request.path()).cloned();
        let answer = refusal.or_else(served);
        let answer = answer.unwrap_or_else(|| Answer::new(200));
        self.control.answer(request, |_| answer).await
    }
}

impl fmt::Debug for FakeApi {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("FakeApi").field(&self.url()).finish()
    }
}
