//! An API on plain sockets whose refusals have bodies that never end.

use std::sync::{Arc, Mutex};

use reqwest::Response;
use reqwest_bearer::{NamedClient, TokenSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Refuses one token, when it is told to answer. Every connection carries one request.
#[derive(Clone)]
pub(crate) struct UnfinishedApi(Arc<State>);

struct State {
    url: String,
    refused: &'static str,
    body: Body,
    tokens: Mutex<Vec<String>>,
    seen: watch::Sender<usize>,
    answers: watch::Sender<bool>,
}

/// What follows the head of a refusal.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    /// As much as the client reads.
    Endless,
    /// Nothing of what the head announces.
    Missing,
}

impl UnfinishedApi {
    pub(crate) async fn start(refused: &'static str, body: Body) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Self(Arc::new(State {
            url: format!("http://{}", listener.local_addr().unwrap()),
            refused,
            body,
            tokens: Mutex::default(),
            seen: watch::Sender::new(0),
            answers: watch::Sender::new(false),
        }));
        let state = api.0.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                // A client that hangs up is what is waited for.
                tokio::spawn(state.clone().serve(connection));
            }
        });
        api
    }

    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// The answer to a request with a token of this source.
    pub(crate) async fn get(&self, source: &TokenSource) -> Response {
        let client = NamedClient::new("unfinished", &self.0.url, source).unwrap();
        client.get("x").send().await.unwrap()
    }

    /// Requests are answered from now on.
    pub(crate) fn answer(&self) {
        self.0.answers.send_replace(true);
    }

    /// Returns when so many requests have come.
    pub(crate) async fn until_seen(&self, count: usize) {
        let mut seen = self.0.seen.subscribe();
        seen.wait_for(|seen| *seen >= count).await.unwrap();
    }

    pub(crate) fn tokens(&self) -> Vec<String> {
        self.0.tokens.lock().unwrap().clone()
    }
}

impl State {
    async fn serve(self: Arc<Self>, mut connection: TcpStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            connection.read_buf(&mut request).await?;
        }
        let request = String::from_utf8(request).unwrap();
        let mut lines = request.lines();
        let token = lines.find_map(|line| line.strip_prefix("authorization: Bearer "));
        let token = token.unwrap().to_owned();
        let is_refused = token == self.refused;
        self.tokens.lock().unwrap().push(token);
        self.seen.send_modify(|seen| *seen += 1);
        let mut answers = self.answers.subscribe();
        answers.wait_for(|answers| *answers).await.unwrap();
        let head = match self.body {
            _ if !is_refused => "200 OK\r\ncontent-length: 0",
            Body::Endless => "401 Unauthorized\r\ntransfer-encoding: chunked",
            Body::Missing => "401 Unauthorized\r\ncontent-length: 1000",
        };
        let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
        connection.write_all(head.as_bytes()).await?;
        if !is_refused {
            return Ok(());
        }
        let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
        match self.body {
            // The writing fails when the client hangs up, and the reading ends.
            Body::Endless => loop {
                connection.write_all(chunk.as_bytes()).await?;
            },
            Body::Missing => connection.read_buf(&mut Vec::new()).await.map(drop),
        }
    }
}
