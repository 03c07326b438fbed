//! The smallest HTTP server that the example needs: it can be slow, and it can be switched off.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What a client asked for.
#[derive(Default)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// The address that the client asked, from its `Host` header.
    pub(crate) host: String,
    /// The `Authorization` header.
    pub(crate) authorization: Option<String>,
}

/// What it gets.
pub(crate) struct Answer {
    status: u16,
    headers: String,
    body: String,
    delay: Duration,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: String::new(),
            body: body.into(),
            delay: Duration::ZERO,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

type Handler = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

/// A server on this machine.
pub(crate) struct Loopback {
    address: SocketAddr,
    handler: Handler,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Loopback {
    /// Listens at a free port.
    pub(crate) async fn start(
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let handler: Handler = Arc::new(handler);
        let running = tokio::spawn(accept(listener, handler.clone()));
        Ok(Self {
            address,
            handler,
            running: Mutex::new(Some(running)),
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Refuses connections from now on, and breaks those that there are.
    pub(crate) async fn switch_off(&self) {
        if let Some(running) = self.swap(None) {
            running.abort();
            // The listener is gone when its task is.
            let _ = running.await;
        }
    }

    pub(crate) async fn switch_on(&self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        self.swap(Some(tokio::spawn(accept(listener, self.handler.clone()))));
        Ok(())
    }

    fn swap(&self, running: Option<JoinHandle<()>>) -> Option<JoinHandle<()>> {
        let mut place = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *place, running)
    }
}

/// Owns the connections, so that they end with it.
async fn accept(listener: TcpListener, handler: Handler) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((connection, _)) = listener.accept() => {
                connections.spawn(serve(connection, handler.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, request after request, until the client closes it.
async fn serve(connection: TcpStream, handler: Handler) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut connection = BufStream::new(connection);
    while let Some(request) = read(&mut connection).await? {
        let answer = handler(&request);
        tokio::time::sleep(answer.delay).await;
        let head = format!(
            "HTTP/1.1 {} -\r\n{}content-length: {}\r\n\r\n",
            answer.status,
            answer.headers,
            answer.body.len()
        );
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(answer.body.as_bytes()).await?;
        connection.flush().await?;
    }
    Ok(())
}

async fn read(connection: &mut BufStream<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if connection.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut request = Request {
        path: line.split(' ').nth(1).unwrap_or_default().to_owned(),
        ..Request::default()
    };
    let mut length = 0;
    loop {
        line.clear();
        connection.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name {
            "host" => value.clone_into(&mut request.host),
            "authorization" => request.authorization = Some(value.to_owned()),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    connection.read_exact(&mut vec![0; length]).await?;
    Ok(Some(request))
}
