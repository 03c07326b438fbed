//! One exchange with an authorization server: a request goes out, and all of its answer comes in.

use std::error::Error as StdError;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{RequestBuilder, Response, Url};
use zeroize::Zeroizing;

use crate::clock::{Lead, PAUSED};
use crate::clock_skew::ClockSkews;
use crate::dpop::{DPOP_HEADER, Nonces};
use crate::endpoint::authentication::BasicCredentials;
use crate::endpoint::form::Form;
use crate::endpoint::http_clients::Http;
use crate::endpoint::reach::{Reach, has_refused, refused};
use crate::endpoint::request_shape::RequestShape;
use crate::error::{Error, ErrorKind, HowFar};
use crate::error_response::ErrorResponse;
use crate::secret::Secret;
use crate::wiping::WipingBuffer;

/// The largest answer that is read (E5). Tokens of real servers have a few kilobytes.
pub(crate) const LARGEST_ANSWER: usize = 1024 * 1024;
/// The largest document that an API has of itself (I5).
pub(crate) const LARGEST_METADATA: usize = 64 * 1024;

const JSON: &str = "application/json";

/// How requests go out.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    http: Http,
    timeout: Duration,
    /// Whom they may go to: each one is looked at.
    reach: Reach,
    /// What the server wants in proofs: each of its answers may say.
    nonces: Nonces,
    /// What is signed for the server is dated by.
    skews: ClockSkews,
}

/// An answer that is wholly there.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// The request was sent for the second time, with the nonce that the answer to the first one gave.
    pub(crate) is_of_repetition: bool,
}

impl Transport {
    pub(crate) fn new(http: Http, timeout: Duration) -> Self {
        Self {
            http,
            timeout,
            reach: Reach::default(),
            nonces: Nonces::default(),
            skews: ClockSkews::default(),
        }
    }

    /// The same for servers that others than the settings name. The HTTP clients have to be built with the
    /// same [`Reach::guard`].
    pub(crate) fn within(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// The HTTP clients, for another server's endpoint.
    pub(crate) fn http(&self) -> Http {
        self.http.clone()
    }

    /// Which servers may be asked.
    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// How long one exchange may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The nonces that the answers have given.
    pub(crate) fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    /// The clocks of the servers that have refused what was signed.
    pub(crate) fn skews(&self) -> &ClockSkews {
        &self.skews
    }

    /// Sends a form, with what client authentication puts into the header, and with a proof if there is one.
    pub(crate) async fn post(
        &self,
        url: Url,
        form: Form,
        basic: Option<BasicCredentials>,
        shape: &RequestShape,
        proof: Option<HeaderValue>,
    ) -> Result<Answer, Error> {
        self.reach.check(&url)?;
        let clients = self.http.clients().await?;
        let http = if form.spends_nothing() {
            &clients.kept
        } else {
            &clients.once
        };
        let mut request = http
            .post(url.clone())
            .header(ACCEPT, JSON)
            .headers(shape.headers_beside(basic.is_some())?)
            .header(CONTENT_TYPE, shape.body.content_type())
            .body(shape.body.encode(&form));
        if let Some(basic) = basic {
            // reqwest marks this header as sensitive.
            request = request.basic_auth(basic.user.expose(), Some(basic.password.expose()));
        }
        if let Some(proof) = proof {
            request = request.header(DPOP_HEADER, proof);
        }
        self.exchange(request, &url, LARGEST_ANSWER).await
    }

    /// Sends a JSON object (RFC 7591 section 3.1), with a token if there is one.
    pub(crate) async fn post_json(
        &self,
        url: &Url,
        body: Vec<u8>,
        shape: &RequestShape,
        token: Option<&Secret>,
    ) -> Result<Answer, Error> {
        self.reach.check(url)?;
        let mut request = self
            .http
            .clients()
            .await?
            .once
            .post(url.clone())
            .header(ACCEPT, JSON)
            .headers(shape.headers_beside(token.is_some())?)
            .header(CONTENT_TYPE, JSON)
            .body(body);
        if let Some(token) = token {
            // reqwest marks this header as sensitive.
            request = request.bearer_auth(token.expose());
        }
        self.exchange(request, url, LARGEST_ANSWER).await
    }

    /// Fetches a document of an authorization server.
    pub(crate) async fn get(&self, url: Url) -> Result<Answer, Error> {
        self.get_up_to(url, LARGEST_ANSWER).await
    }

    /// Fetches what an API says of itself.
    pub(crate) async fn get_metadata(&self, url: Url) -> Result<Answer, Error> {
        self.get_up_to(url, LARGEST_METADATA).await
    }

    async fn get_up_to(&self, url: Url, largest: usize) -> Result<Answer, Error> {
        self.reach.check(&url)?;
        let request = self
            .http
            .clients()
            .await?
            .once
            .get(url.clone())
            .header(ACCEPT, JSON);
        self.exchange(request, &url, largest).await
    }

    async fn exchange(
        &self,
        request: RequestBuilder,
        url: &Url,
        largest: usize,
    ) -> Result<Answer, Error> {
        let request = request.timeout(self.timeout);
        let lead = Lead::watch();
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_timeout() && lead.is_seen() => {
                return Err(ran_ahead().with_source(error.without_url()));
            }
            Err(error) => return Err(unanswered(error, url)),
        };
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        self.nonces.learn(url, &headers);
        let body = match read_body(response, largest).await {
            Ok(body) => body.into_inner(),
            // The status alone says what these mean, so what is missing of the body is no loss.
            Err(_) if status_says_all(status) => Zeroizing::default(),
            Err(error) => return Err(error),
        };
        Ok(Answer {
            status,
            headers,
            body,
            is_of_repetition: false,
        })
    }
}

/// Whether the status outweighs whatever the body says: a server or a proxy in trouble may echo
/// any OAuth code, and Auth0 says `access_denied` with its 429.
pub(crate) fn status_says_all(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

/// The body is a token answer's more often than not: no copy of ours stays in memory.
async fn read_body(mut response: Response, largest: usize) -> Result<WipingBuffer, Error> {
    let announced = response.content_length().unwrap_or_default();
    let announced = usize::try_from(announced).unwrap_or(largest);
    let mut body = WipingBuffer::with_capacity(announced.min(largest));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > largest => {
                let status = response.status();
                let error = Error::protocol(format!(
                    "the answer of the authorization server is larger than {} (status {})",
                    if largest == LARGEST_METADATA {
                        "64 KiB"
                    } else {
                        "1 MiB"
                    },
                    status.as_u16()
                ))
                .answered_with(ErrorResponse::of_status(status));
                return Err(if status.is_success() {
                    error.got(HowFar::Unusable)
                } else {
                    error
                });
            }
            Ok(Some(chunk)) => body.push(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(lost(error)),
        }
    }
}

/// No answer came. If the connection was never made, the server cannot have received anything.
fn unanswered(error: reqwest::Error, url: &Url) -> Error {
    if error.is_builder() {
        return Error::settings("the request to the authorization server cannot be made")
            .got(HowFar::NotSent)
            .with_source(error.without_url());
    }
    #[cfg(feature = "mtls")]
    if let Some(clause) = crate::mtls::refusal(&error) {
        let message = format!(
            "the authorization server does not take the client certificate at TLS: it {clause}"
        );
        let refused = Error::new(ErrorKind::Rejected, message).got(HowFar::NotSent);
        return refused.with_source(error.without_url());
    }
    if !error.is_connect() {
        return lost(error);
    }
    if has_refused(&error) {
        return refused(url);
    }
    if url.scheme() == "https" && has_no_tls(&error) {
        return Error::settings(
            "reqwest was built without TLS, so an https URL cannot be asked; enable the feature \
             `rustls` or `native-tls` of reqwest-bearer",
        )
        .got(HowFar::NotSent);
    }
    let (kind, message) = if error.is_timeout() {
        (
            ErrorKind::Timeout,
            "connecting to the authorization server took too long",
        )
    } else {
        (
            ErrorKind::Unavailable,
            "the authorization server cannot be reached",
        )
    };
    Error::new(kind, message)
        .got(HowFar::NotSent)
        .unanswered()
        .with_source(error.without_url())
}

/// No server is slow: the test that paused the time has to hold it.
fn ran_ahead() -> Error {
    Error::new(ErrorKind::Timeout, PAUSED)
        .got(HowFar::Lost)
        .unanswered()
}

/// The request may have been received, and no complete answer came.
fn lost(error: reqwest::Error) -> Error {
    let (kind, message) = if error.is_timeout() {
        (
            ErrorKind::Timeout,
            "the authorization server did not answer in time",
        )
    } else {
        (
            ErrorKind::Unavailable,
            "the connection to the authorization server broke before its answer was complete",
        )
    };
    Error::new(kind, message)
        .got(HowFar::Lost)
        .unanswered()
        .with_source(error.without_url())
}

/// Without TLS the connector refuses the scheme. Its error has no type that could be asked for,
/// only this text.
fn has_no_tls(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.to_string().contains("scheme is not http") {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use reqwest::Url;
    use reqwest::dns::{Name, Resolve, Resolving};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    use super::{Answer, Transport};
    use crate::endpoint::http_clients::{Http, HttpClients};
    use crate::error::{Error, ErrorKind, HowFar};

    async fn get(url: &str, timeout: Duration) -> Result<Answer, Error> {
        let http = reqwest::Client::new();
        let transport = Transport::new(Http::Fixed(HttpClients::one(http)), timeout);
        transport.get(Url::parse(url).unwrap()).await
    }

    const LONG: Duration = Duration::from_secs(10);

    /// The machine's own resolver asks the network, which may take longer than any test.
    #[derive(Debug)]
    struct KnowsNobody;

    impl Resolve for KnowsNobody {
        fn resolve(&self, _name: Name) -> Resolving {
            Box::pin(async { Err("there is no such name".into()) })
        }
    }

    /// A server that sends these bytes and then hangs up, or hangs.
    async fn server(answer: &'static [u8], hangs: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(answer).await;
                if hangs {
                    kept.push(socket);
                }
            }
        });
        url
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_or_never_comes_is_lost() {
        // E3
        for answer in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
            b"HTTP/1.1 400 X\r\ncontent-length: 9\r\n\r\n{",
        ] {
            let url = server(answer, false).await;
            let error = get(&url, LONG).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert_eq!(error.how_far(), HowFar::Lost, "{error:?}");
            let url = server(answer, true).await;
            let error = get(&url, Duration::from_millis(50)).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Timeout);
            assert_eq!(error.how_far(), HowFar::Lost, "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_was_never_made_has_carried_nothing() {
        // E3
        // Kept, so that no other test gets the port meanwhile; where nobody listens, nobody answers.
        let silent = TcpSocket::new_v4().unwrap();
        silent.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        for url in [url.as_str(), "http://nobody.invalid/"] {
            let http = reqwest::Client::builder().dns_resolver(Arc::new(KnowsNobody));
            let http = http.build().unwrap();
            let transport = Transport::new(Http::Fixed(HttpClients::one(http)), LONG);
            let error = transport.get(Url::parse(url).unwrap()).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
            assert_eq!(error.how_far(), HowFar::NotSent, "{error:?}");
        }
    }

    #[tokio::test]
    async fn the_status_of_a_failing_server_needs_no_body() {
        // E3
        for answer in [
            &b"HTTP/1.1 503 X\r\ncontent-length: 9\r\n\r\n{"[..],
            b"HTTP/1.1 429 X\r\ncontent-length: 9\r\n\r\n{",
        ] {
            let url = server(answer, false).await;
            assert!(
                get(&url, LONG)
                    .await
                    .is_ok_and(|answer| answer.body.is_empty())
            );
        }
    }
}
