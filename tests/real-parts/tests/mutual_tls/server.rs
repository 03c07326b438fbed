//! An authorization server and an API in one, which ask their clients for a certificate at TLS, and bind
//! tokens to it (RFC 8705 section 3).

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use real_parts::{CertificateAuthority, Versions, thumbprint};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::DEFAULT_VERSIONS;

/// One request, and whose certificate the connection has that it came by.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) certificate: Option<String>,
    pub(crate) connection: usize,
    pub(crate) headers: HeaderMap,
    pub(crate) form: HashMap<String, String>,
}

/// What it does apart from the usual.
#[derive(Clone, Copy)]
pub(crate) struct Behaviour {
    /// Whether it serves those without a certificate.
    pub(crate) takes_others: bool,
    pub(crate) versions: Versions,
    /// The one way of client authentication that its document lists.
    pub(crate) listed: Option<&'static str>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            takes_others: true,
            versions: DEFAULT_VERSIONS,
            listed: None,
        }
    }
}

/// Runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

/// What all connections have in common.
struct State {
    origin: String,
    listed: Vec<&'static str>,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// To which certificate each token is bound.
    tokens: Mutex<HashMap<String, Option<String>>>,
}

impl Server {
    pub(crate) async fn start(authority: &CertificateAuthority) -> Self {
        Self::start_with(authority, Behaviour::default()).await
    }

    pub(crate) async fn start_with(authority: &CertificateAuthority, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = authority.server_for_clients(behaviour.takes_others, behaviour.versions);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let state = Arc::new(State {
            origin: format!("https://{address}"),
            listed: behaviour.listed.into_iter().collect(),
            seen: seen.clone(),
            tokens: Mutex::default(),
        });
        let task = tokio::spawn(async move {
            for connection in 0.. {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, state) = (acceptor.clone(), state.clone());
                tokio::spawn(async move {
                    // A client that is not taken ends here.
                    let Ok(stream) = acceptor.accept(socket).await else {
                        return;
                    };
                    let (_, tls) = stream.get_ref();
                    let chain = tls.peer_certificates().unwrap_or_default();
                    let certificate = chain.first().map(|own| thumbprint(own));
                    let service = service_fn(|request| {
                        serve(&state, certificate.clone(), connection, request)
                    });
                    let io = TokioIo::new(stream);
                    let http = hyper::server::conn::http1::Builder::new();
                    // One that its client cuts is no fault of the server.
                    let _ = http.serve_connection(io, service).await;
                });
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests at this path.
    pub(crate) fn seen_at(&self, path: &str) -> Vec<Seen> {
        let seen = self.seen().into_iter();
        seen.filter(|seen| seen.path == path).collect()
    }

    /// With which certificates the requests at this path came.
    pub(crate) fn certificates_at(&self, path: &str) -> Vec<Option<String>> {
        let seen = self.seen_at(path).into_iter();
        seen.map(|seen| seen.certificate).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    state: &State,
    certificate: Option<String>,
    connection: usize,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| "cut off")?.to_bytes();
    let seen = Seen {
        path: parts.uri.path().to_owned(),
        certificate,
        connection,
        headers: parts.headers,
        form: form_urlencoded::parse(&body).into_owned().collect(),
    };
    state.seen.lock().unwrap().push(seen.clone());
    Ok(state.answer(&seen))
}

impl State {
    fn answer(&self, seen: &Seen) -> Response<Full<Bytes>> {
        let origin = &self.origin;
        match seen.path.as_str() {
            "/.well-known/openid-configuration" => json_answer(
                200,
                &json!({
                    "issuer": origin,
                    "token_endpoint": format!("{origin}/token"),
                    "revocation_endpoint": format!("{origin}/revoke"),
                    "authorization_endpoint": format!("{origin}/authorize"),
                    "pushed_authorization_request_endpoint": format!("{origin}/par"),
                    "token_endpoint_auth_methods_supported": self.listed,
                    "mtls_endpoint_aliases": {
                        "token_endpoint": format!("{origin}/mtls/token"),
                        "revocation_endpoint": format!("{origin}/mtls/revoke"),
                        "pushed_authorization_request_endpoint": format!("{origin}/mtls/par"),
                    },
                }),
            ),
            "/token" | "/mtls/token" => self.issue(seen),
            "/par" | "/mtls/par" => json_answer(
                201,
                &json!({ "request_uri": "urn:example:1", "expires_in": 60 }),
            ),
            "/revoke" | "/mtls/revoke" => json_answer(200, &json!({})),
            _ => self.answer_as_api(seen),
        }
    }

    /// Refresh tokens rotate; each one is good.
    fn issue(&self, seen: &Seen) -> Response<Full<Bytes>> {
        let mut tokens = self.tokens.lock().unwrap();
        let token = format!("token-{}", tokens.len());
        tokens.insert(token.clone(), seen.certificate.clone());
        let mut answer =
            json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 });
        if seen.form["grant_type"] == "refresh_token" {
            answer["refresh_token"] = json!(format!("refresh-{}", tokens.len()));
        }
        json_answer(200, &answer)
    }

    /// A token is good by the certificate alone that it was issued to.
    fn answer_as_api(&self, seen: &Seen) -> Response<Full<Bytes>> {
        let sent = seen.headers.get("authorization");
        let sent = sent.and_then(|sent| sent.to_str().ok()?.strip_prefix("Bearer "));
        let tokens = self.tokens.lock().unwrap();
        let bound_to = sent.and_then(|token| tokens.get(token));
        let is_good = bound_to.is_some_and(|certificate| *certificate == seen.certificate);
        match seen.path.strip_prefix("/to/") {
            _ if !is_good => json_answer(401, &json!({ "error": "invalid_token" })),
            Some(elsewhere) => {
                let mut answer = json_answer(307, &json!({}));
                let place = format!("https://{elsewhere}/elsewhere").parse().unwrap();
                answer.headers_mut().insert("location", place);
                answer
            }
            None => json_answer(200, &json!({})),
        }
    }
}

fn json_answer(status: u16, body: &Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Full::new(body.to_string().into()))
        .unwrap()
}
