//! One warm call.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt;
use http::header::ACCEPT;
use http::{Extensions, HeaderValue};
use reqwest::{Client, Method, Request, Url};
use reqwest_bearer::{GrantFn, TokenResponse};
use reqwest_middleware::ClientWithMiddleware;

use crate::{Canned, Contender, ORIGIN, token_text};

/// A client that has its token, and the request that it sends again and again.
pub struct Call {
    client: ClientWithMiddleware,
    url: Url,
    extensions: Extensions,
}

impl Call {
    /// A call that ends in the canned answer.
    pub async fn warm(contender: Contender) -> Self {
        let client = contender.chain(ORIGIN).with(Canned).build();
        Self::warmed(contender, client, ORIGIN).await
    }

    /// A call that goes over a connection to `address`.
    pub async fn warm_over_sockets(contender: Contender, address: SocketAddr) -> Self {
        let origin = format!("http://{address}");
        let client = contender.chain(&origin).build();
        Self::warmed(contender, client, &origin).await
    }

    /// Makes the first calls, so that the token is there and everything lazy has happened.
    async fn warmed(contender: Contender, client: ClientWithMiddleware, origin: &str) -> Self {
        let mut call = Self {
            client,
            url: Url::parse(&format!("{origin}/v1/orders/42")).expect("it is a URL"),
            extensions: contender.extensions(),
        };
        for _ in 0..100 {
            call.make().await;
        }
        call
    }

    /// The same client for another task.
    pub fn share(&self) -> Self {
        Self {
            client: self.client.clone(),
            url: self.url.clone(),
            extensions: self.extensions.clone(),
        }
    }

    pub async fn make(&mut self) {
        let request = request(&self.url);
        let response = self
            .client
            .execute_with_extensions(request, &mut self.extensions)
            .await
            .expect("there is an answer");
        assert_eq!(response.status(), 200);
    }

    /// The same without a runtime.
    pub fn make_at_once(&mut self) {
        self.make()
            .now_or_never()
            .expect("a warm call waits for nothing");
    }
}

/// A small request, and so a hard one for a ratio to the cost of its copy.
pub(crate) fn request(url: &Url) -> Request {
    let mut request = Request::new(Method::GET, url.clone());
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json);
    request
}

/// The client at the end of a chain that never reaches it.
pub fn client() -> Client {
    Client::builder()
        .build()
        .expect("the default settings can be used")
}

/// Tokens that outlive every bench.
pub fn grant() -> GrantFn {
    GrantFn::new("bench", |_| async {
        Ok(TokenResponse::bearer(token_text()).with_expires_in(Duration::from_secs(24 * 3600)))
    })
}
