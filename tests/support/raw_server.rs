//! A tiny HTTP/1.1 server on plain sockets that answers with redirects and keeps what it was sent.
//!
//! It tells hosts apart by the `Host` header, so that one listener is as many origins as a client
//! resolves names to it. Every connection carries one request.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server that runs until the test's runtime ends.
#[derive(Clone, Default)]
pub(crate) struct RawServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    redirects: HashMap<String, String>,
    seen: Vec<Seen>,
}

/// What came over one connection.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `http://`, the `Host` header and the request's target; empty if it was no HTTP request.
    pub(crate) url: String,
    /// Everything, as text.
    pub(crate) text: String,
}

impl RawServer {
    /// Listens at one more address; a port of 0 picks one. Returns the address that it got.
    pub(crate) async fn listen(&self, address: &str) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let server = server.clone();
                // A connection that breaks off is the client's affair; what came is kept.
                tokio::spawn(async move { server.serve(connection).await });
            }
        });
        Ok(bound)
    }

    /// Answers requests for `from` with a 302 to `to`. All others get an empty 200.
    pub(crate) fn redirect(&self, from: impl Into<String>, to: impl Into<String>) {
        self.change(|state| state.redirects.insert(from.into(), to.into()));
    }

    /// What came so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.change(|state| state.seen.clone())
    }

    async fn serve(self, mut connection: TcpStream) -> io::Result<()> {
        let mut bytes = Vec::new();
        // A request without a body ends with an empty line. Anything else, such as the beginning
        // of a TLS session, has none and is kept after its first piece.
        while connection.read_buf(&mut bytes).await? > 0
            && bytes.first().is_some_and(u8::is_ascii_uppercase)
            && !bytes.ends_with(b"\r\n\r\n")
        {}
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let url = requested_url(&text).unwrap_or_default();
        let location = self.change(|state| {
            state.seen.push(Seen {
                url: url.clone(),
                text,
            });
            state.redirects.get(&url).cloned()
        });
        let head = match location {
            Some(location) => format!("HTTP/1.1 302 Found\r\nlocation: {location}"),
            None => "HTTP/1.1 200 OK".to_owned(),
        };
        let answer = format!("{head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        connection.write_all(answer.as_bytes()).await
    }

    fn change<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        edit(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.text, name)
    }
}

fn requested_url(text: &str) -> Option<String> {
    let target = text.split(' ').nth(1)?;
    Some(format!("http://{}{target}", header(text, "host")?))
}

fn header<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    text.lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
}
