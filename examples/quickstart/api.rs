//! The API that is called, and another server that no token may reach.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::authorization_server::Books;
use crate::loopback::{Answer, Loopback, Request};

/// How long a refusal of `orders` takes, so that many calls are under way when the first arrives.
const BUSY: Duration = Duration::from_millis(100);

/// An API below `/v1` that checks the token of each request:
/// - `orders` wants a good token,
/// - `broken` refuses every token,
/// - `moved` and `moved-twice` redirect to [`Elsewhere`].
pub(crate) struct Api {
    loopback: Loopback,
    refusals: Arc<AtomicUsize>,
}

impl Api {
    pub(crate) async fn start(books: Arc<Books>, elsewhere: &Elsewhere) -> io::Result<Self> {
        let refusals = Arc::new(AtomicUsize::new(0));
        let refused = refusals.clone();
        let elsewhere = elsewhere.url();
        let loopback = Loopback::start(move |request: &Request| {
            let accepted = books.accept(request.authorization.as_deref());
            match request.path.as_str() {
                "/v1/moved" => redirect(&format!("{elsewhere}/landing")),
                "/v1/moved-twice" => redirect(&format!("{elsewhere}/again")),
                "/v1/orders" if accepted => Answer::new(200, "three orders"),
                path => {
                    refused.fetch_add(1, Ordering::SeqCst);
                    let busy = if path == "/v1/orders" {
                        BUSY
                    } else {
                        Duration::ZERO
                    };
                    Answer::new(401, "not with this token")
                        .header("www-authenticate", r#"Bearer error="invalid_token""#)
                        .after(busy)
                }
            }
        })
        .await?;
        Ok(Self { loopback, refusals })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("{}/v1", self.loopback.url())
    }

    /// How many requests it has answered with 401.
    pub(crate) fn refusals(&self) -> usize {
        self.refusals.load(Ordering::SeqCst)
    }
}

/// A server that is nothing to our tokens.
pub(crate) struct Elsewhere {
    loopback: Loopback,
    counts: Arc<Sightings>,
}

#[derive(Default)]
struct Sightings {
    requests: AtomicUsize,
    tokens: AtomicUsize,
}

impl Elsewhere {
    pub(crate) async fn start() -> io::Result<Self> {
        let counts = Arc::new(Sightings::default());
        let counting = counts.clone();
        let loopback = Loopback::start(move |request: &Request| {
            counting.requests.fetch_add(1, Ordering::SeqCst);
            if request.authorization.is_some() {
                counting.tokens.fetch_add(1, Ordering::SeqCst);
            }
            match request.path.as_str() {
                "/again" => redirect("/landing"),
                _ => Answer::new(200, "landed"),
            }
        })
        .await?;
        Ok(Self { loopback, counts })
    }

    pub(crate) fn url(&self) -> String {
        self.loopback.url()
    }

    /// How many requests have arrived.
    pub(crate) fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// How many of them had an `Authorization` header.
    pub(crate) fn tokens(&self) -> usize {
        self.counts.tokens.load(Ordering::SeqCst)
    }
}

fn redirect(location: &str) -> Answer {
    Answer::new(302, "").header("location", location)
}
