//! A token endpoint on real sockets that answers late, or not at all until it is mended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long it takes for an answer.
pub const ANSWERS_AFTER: Duration = Duration::from_millis(50);

pub struct TokenServer {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    is_well: watch::Sender<bool>,
}

impl TokenServer {
    /// One that answers, or takes requests and answers none of them.
    pub async fn start(is_well: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let requests = Arc::new(AtomicUsize::new(0));
        let is_well = watch::Sender::new(is_well);
        let (counted, well) = (requests.clone(), is_well.subscribe());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(answer(connection, well.clone()));
            }
        });
        Self {
            address,
            requests,
            is_well,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// How many requests have come.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub fn mend(&self) {
        self.is_well.send_replace(true);
    }
}

/// Each request has a connection of its own.
async fn answer(mut connection: TcpStream, mut is_well: watch::Receiver<bool>) {
    let came_in_outage = !*is_well.borrow();
    let mut request = Vec::with_capacity(4096);
    while !request.windows(13).any(|part| part == b"refresh_token") {
        match connection.read_buf(&mut request).await {
            Ok(1..) => {}
            _ => return,
        }
    }
    if came_in_outage {
        // It is never answered.
        let _ = is_well.wait_for(|_| false).await;
        return;
    }
    tokio::time::sleep(ANSWERS_AFTER).await;
    let body = r#"{"access_token":"new","token_type":"Bearer","expires_in":3600}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = connection.write_all(answer.as_bytes()).await;
}
