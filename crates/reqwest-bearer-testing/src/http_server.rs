//! An HTTP/1.1 server on a socket of this machine, which can go down and come back at the same port.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::answer::Whole;
use crate::seen::SeenRequest;

/// `None` cuts the connection in place of an answer.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Option<Whole>> + Send>>;
pub(crate) type Handler = Arc<dyn Fn(SeenRequest) -> Answering + Send + Sync>;

/// Runs until it is dropped.
pub(crate) struct HttpServer {
    origin: String,
    address: SocketAddr,
    handler: Handler,
    running: Mutex<Option<JoinHandle<()>>>,
    /// Listens never: it keeps the port ours while nobody listens, where the system allows two sockets.
    _keeps_the_port: Option<TcpSocket>,
}

impl HttpServer {
    /// Listens at a free port. The handler is made once the origin is known.
    pub(crate) fn start(handler: impl FnOnce(&str) -> Handler) -> io::Result<Self> {
        let keeper = bound((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = keeper.local_addr()?;
        let (listener, keeper) = match bound(address) {
            Ok(socket) => (socket.listen(BACKLOG)?, Some(keeper)),
            // The system has one socket for each port.
            Err(_) => (keeper.listen(BACKLOG)?, None),
        };
        let origin = format!("http://{address}");
        let handler = handler(&origin);
        let running = tokio::spawn(accept(listener, handler.clone()));
        Ok(Self {
            origin,
            address,
            handler,
            running: Mutex::new(Some(running)),
            _keeps_the_port: keeper,
        })
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Refuses connections from now on, and breaks those that there are.
    pub(crate) async fn go_down(&self) {
        let running = lock(&self.running).take();
        if let Some(running) = running {
            running.abort();
            // The listener is gone when its task is.
            let _ = running.await;
        }
    }

    /// Listens again, if it does not.
    pub(crate) fn come_back(&self) -> io::Result<()> {
        let mut running = lock(&self.running);
        if running.is_none() {
            let listener = bound(self.address)?.listen(BACKLOG)?;
            *running = Some(tokio::spawn(accept(listener, self.handler.clone())));
        }
        Ok(())
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        if let Some(running) = lock(&self.running).take() {
            running.abort();
        }
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("HttpServer")
            .field(&self.origin)
            .finish()
    }
}

/// As many as a thousand calls that begin together.
const BACKLOG: u32 = 1024;

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Owns the connections, so that they end with it.
async fn accept(listener: TcpListener, handler: Handler) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(serve(socket, handler.clone()));
                }
                // One that went away, or too many at once: those that there are end.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, until the client closes it or it is cut, which is what some tests are about.
async fn serve(socket: TcpStream, handler: Handler) {
    let service = service_fn(move |request| answer(handler.clone(), request));
    let http = hyper::server::conn::http1::Builder::new();
    let _ = http.serve_connection(TokioIo::new(socket), service).await;
}

async fn answer(
    handler: Handler,
    request: http::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| "the client went away")?;
    let seen = SeenRequest {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: body.to_bytes(),
    };
    let answer = handler(seen).await.ok_or("cut on purpose")?;
    Ok(answer.into_response())
}

/// A test that panicked while it held this is no reason to fail another one.
pub(crate) fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
