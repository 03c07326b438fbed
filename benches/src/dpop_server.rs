//! An authorization server with an API on loopback: tokens that are bound to a key, and a nonce that changes
//! when it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use crate::token_text;

/// The server. It checks no signature: that is not what is measured.
pub struct DpopServer {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// The number of the nonce that the API wants; with 0 it wants none.
    nonce: AtomicUsize,
    demands: AtomicUsize,
    token_requests: AtomicUsize,
}

impl DpopServer {
    /// Starts it on a thread of its own.
    pub fn start() -> Self {
        let state = Arc::new(State::default());
        let (ready, address) = std::sync::mpsc::channel();
        let serving = state.clone();
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let address = listener.local_addr().expect("it is bound");
                ready.send(address).expect("the starter waits for it");
                while let Ok((connection, _)) = listener.accept().await {
                    tokio::spawn(serve(connection, serving.clone()));
                }
            });
        });
        Self {
            address: address.recv().expect("the server has started"),
            state,
        }
    }

    pub fn token_url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// The API, by another name than the token endpoint: their nonces are apart.
    pub fn api(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// Wants another nonce from now on.
    pub fn change_nonce(&self) {
        self.state.nonce.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were answered by the demand for a nonce.
    pub fn demands(&self) -> usize {
        self.state.demands.load(Ordering::Relaxed)
    }

    pub fn token_requests(&self) -> usize {
        self.state.token_requests.load(Ordering::Relaxed)
    }
}

async fn serve(mut connection: TcpStream, state: Arc<State>) {
    connection.set_nodelay(true).expect("it is open");
    let mut request = Vec::with_capacity(8192);
    while let Ok(1..) = connection.read_buf(&mut request).await {
        let Some(length) = length_of(&request) else {
            continue;
        };
        let head = String::from_utf8_lossy(&request[..length]);
        let answer = if head.starts_with("POST ") {
            token(&head, &state)
        } else {
            api(&head, &state)
        };
        request.drain(..length);
        if connection.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// How long the first request in there is, if it has come whole.
fn length_of(request: &[u8]) -> Option<usize> {
    let head = request.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&request[..head]).ok()?;
    let body = header(text, "content-length").map_or(0, |length| length.parse().unwrap_or(0));
    (request.len() >= head + body).then_some(head + body)
}

fn header<'head>(head: &'head str, name: &str) -> Option<&'head str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn token(head: &str, state: &State) -> String {
    state.token_requests.fetch_add(1, Ordering::Relaxed);
    let kind = match header(head, "dpop") {
        Some(_) => "DPoP",
        None => "Bearer",
    };
    let token = token_text();
    let body = format!(r#"{{"access_token":"{token}","token_type":"{kind}","expires_in":86400}}"#);
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn api(head: &str, state: &State) -> String {
    let wanted = state.nonce.load(Ordering::Relaxed);
    let wanted = format!("nonce-{wanted}");
    if wanted == "nonce-0" || nonce_of(head).as_ref() == Some(&wanted) {
        return "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned();
    }
    state.demands.fetch_add(1, Ordering::Relaxed);
    format!(
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: DPoP error=\"use_dpop_nonce\"\r\n\
         dpop-nonce: {wanted}\r\ncontent-length: 0\r\n\r\n"
    )
}

/// The nonce in the proof. The claims that this crate writes have no letter that JSON escapes.
fn nonce_of(head: &str) -> Option<String> {
    let claims = header(head, "dpop")?.split('.').nth(1)?;
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let (_, nonce) = claims.split_once(r#""nonce":""#)?;
    Some(nonce.split('"').next()?.to_owned())
}
