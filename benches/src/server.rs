//! The cheapest API that a real connection leads to.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Starts it on a thread of its own, and says where it is.
pub fn start() -> SocketAddr {
    let (ready, address) = std::sync::mpsc::channel();
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
                tokio::spawn(answer(connection));
            }
        });
    });
    address.recv().expect("the server has started")
}

/// Answers each request that has come whole; the clients send no bodies.
async fn answer(mut connection: TcpStream) {
    connection.set_nodelay(true).expect("it is open");
    let mut request = Vec::with_capacity(4096);
    while let Ok(1..) = connection.read_buf(&mut request).await {
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            if connection.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}
