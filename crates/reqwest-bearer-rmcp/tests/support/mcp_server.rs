//! A real MCP server, of rmcp's, behind a door that wants tokens: it answers, holds back and cuts off as a
//! test says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyDataStream, BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

use super::http_server::{Reply, Seen};
use super::notes::Notes;
use super::soon;

type Service = StreamableHttpService<Notes, LocalSessionManager>;
type Body = BoxBody<Bytes, Infallible>;

/// Says whose access token this is, while it is good.
type Owners = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Runs until it is dropped.
pub(crate) struct McpServer {
    url: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    service: Service,
    sessions: Arc<LocalSessionManager>,
    owners: Owners,
    seen: watch::Sender<Vec<Arrived>>,
    /// What it answers to the next calls of tools.
    script: Mutex<VecDeque<Reply>>,
    /// Closed doors: a permit lets one call of a tool through.
    doors: Mutex<Option<Arc<Semaphore>>>,
    held: watch::Sender<usize>,
    /// Ends the streams that were opened by GET.
    end_streams: Notify,
}

/// One request as it came, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) http: Method,
    /// The method of the JSON-RPC message; empty for a GET or a DELETE.
    pub(crate) method: String,
    pub(crate) token: Option<String>,
    /// The event after which a stream is to go on.
    pub(crate) after: Option<String>,
    /// Whether the door let it in.
    pub(crate) status: u16,
}

impl McpServer {
    pub(crate) async fn start(
        owners: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let sessions = Arc::new(LocalSessionManager::default());
        // A client that lost its stream comes back at once.
        let settings = StreamableHttpServerConfig::default()
            .with_sse_retry(Some(std::time::Duration::from_millis(1)));
        let state = Arc::new(State {
            service: Service::new(|| Ok(Notes), sessions.clone(), settings),
            sessions,
            owners: Box::new(owners),
            seen: watch::Sender::default(),
            script: Mutex::default(),
            doors: Mutex::default(),
            held: watch::Sender::default(),
            end_streams: Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let serving = state.clone();
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let state = serving.clone();
                let service = service_fn(move |request| state.clone().serve(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        Self { url, state, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The answer to the next call of a tool, instead of the tool's. Its token has to be good.
    pub(crate) fn then(&self, reply: Reply) {
        self.state.script.lock().unwrap().push_back(reply);
    }

    /// Calls of tools wait at the door from now on, before their token is looked at.
    pub(crate) fn hold(&self) {
        *self.state.doors.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    }

    /// Lets so many of those who wait go on.
    pub(crate) fn let_in(&self, count: usize) {
        let doors = self.state.doors.lock().unwrap().clone().unwrap();
        doors.add_permits(count);
    }

    /// Opens the door for all.
    pub(crate) fn release(&self) {
        let doors = self.state.doors.lock().unwrap().take();
        doors.unwrap().add_permits(10_000);
    }

    /// Returns when so many calls wait.
    pub(crate) async fn until_held(&self, count: usize) {
        let mut held = self.state.held.subscribe();
        soon(held.wait_for(|now| *now >= count)).await.unwrap();
    }

    /// All MCP sessions are gone, as after a restart.
    pub(crate) async fn forget_sessions(&self) {
        self.state.sessions.sessions.write().await.clear();
    }

    /// Ends the streams that clients have opened for what the server has to say.
    pub(crate) fn end_streams(&self) {
        self.state.end_streams.notify_waiters();
    }

    pub(crate) fn seen(&self) -> Vec<Arrived> {
        self.state.seen.borrow().clone()
    }

    /// The tokens of the requests that were let in, and those of the others.
    pub(crate) fn tokens_of(&self, method: &str) -> Vec<(String, u16)> {
        let seen = self.seen().into_iter();
        seen.filter(|arrived| arrived.method == method)
            .map(|arrived| (arrived.token.unwrap_or_default(), arrived.status))
            .collect()
    }

    /// Returns when what has come so far is so.
    pub(crate) async fn until(&self, is_so: impl FnMut(&Vec<Arrived>) -> bool) {
        let mut seen = self.state.seen.subscribe();
        soon(seen.wait_for(is_so)).await.unwrap();
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, &'static str> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| "cut off")?.to_bytes();
        let seen = Seen {
            method: parts.method.clone(),
            path: parts.uri.to_string(),
            headers: parts.headers.clone(),
            body: body.clone(),
        };
        let message: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        let is_call = method == "tools/call";
        let doors = self.doors.lock().unwrap().clone().filter(|_| is_call);
        if let Some(doors) = doors {
            self.held.send_modify(|held| *held += 1);
            doors.acquire().await.unwrap().forget();
            self.held.send_modify(|held| *held -= 1);
        }
        let token = seen.token();
        let is_good = token.as_deref().and_then(&self.owners).is_some();
        let scripted = (is_good && is_call)
            .then(|| self.script.lock().unwrap().pop_front())
            .flatten();
        let response = match scripted {
            _ if !is_good => answer(
                Reply::new(401).header("www-authenticate", r#"Bearer error="invalid_token""#),
            ),
            Some(reply) => answer(reply),
            None => {
                let is_stream = parts.method == Method::GET;
                let request = Request::from_parts(parts, Full::new(body));
                let response = self.service.handle(request).await;
                if is_stream {
                    self.ending(response)
                } else {
                    response
                }
            }
        };
        let after = seen.headers.get("last-event-id");
        let after = after.map(|id| id.to_str().unwrap().to_owned());
        let arrived = Arrived {
            http: seen.method,
            after,
            method,
            token,
            status: response.status().as_u16(),
        };
        self.seen.send_modify(|seen| seen.push(arrived));
        Ok(response)
    }

    /// The response, which ends when a test says so.
    fn ending(self: &Arc<Self>, response: Response<Body>) -> Response<Body> {
        let state = self.clone();
        let end = async move { state.end_streams.notified().await };
        response.map(|body| {
            let chunks = BodyDataStream::new(body).take_until(Box::pin(end));
            BodyExt::boxed(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))))
        })
    }
}

fn answer(reply: Reply) -> Response<Body> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(reply.body.into()).boxed()).unwrap()
}
