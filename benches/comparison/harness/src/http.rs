//! As much of HTTP/1.1 as the scripted servers need.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request; the names of its headers are in lower case.
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Response {
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self::text(status, "application/json", body)
    }

    pub fn text(status: u16, media_type: &str, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: vec![("content-type", media_type.to_owned())],
            body: body.into(),
        }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Answers every request by `handler`, for as long as the harness lives, and says where.
pub async fn serve<F, Answer>(handler: F) -> SocketAddr
where
    F: Fn(Request) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Response> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let handler = Arc::new(handler);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let handler = handler.clone();
            tokio::spawn(async move { converse(connection, &*handler).await });
        }
    });
    address
}

async fn converse<F, Answer>(mut connection: TcpStream, handler: &F)
where
    F: Fn(Request) -> Answer,
    Answer: Future<Output = Response>,
{
    let _ = connection.set_nodelay(true);
    let mut bytes = Vec::with_capacity(4096);
    while let Some(request) = next_request(&mut connection, &mut bytes).await {
        let response = handler(request).await;
        let mut text = format!("HTTP/1.1 {} Said\r\n", response.status);
        for (name, value) in &response.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("content-length: {}\r\n\r\n", response.body.len());
        text += &response.body;
        if connection.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// `None` when the client has closed the connection.
async fn next_request(connection: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Request> {
    let end_of_head = loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break end + 4;
        }
        read_more(connection, bytes).await?;
    };
    let head = String::from_utf8_lossy(&bytes[..end_of_head]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length");
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < end_of_head + length {
        read_more(connection, bytes).await?;
    }
    let body = String::from_utf8_lossy(&bytes[end_of_head..end_of_head + length]).into_owned();
    bytes.drain(..end_of_head + length);
    let path = target.split('?').next().unwrap_or_default().to_owned();
    Some(Request {
        method,
        path,
        headers,
        body,
    })
}

async fn read_more(connection: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    match connection.read_buf(bytes).await {
        Ok(1..) => Some(()),
        _ => None,
    }
}
