//! A port for a server that has to be told one.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port that nobody has, and that nobody gets who asks for a free one, also while the server is down. A
/// socket that is bound and does not listen refuses connections as if it were not there, and a server that
/// allows its address to be used again can listen beside it.
pub(crate) fn free_port() -> (u16, TcpSocket) {
    let socket = TcpSocket::new_v4().expect("there are sockets");
    socket.set_reuseaddr(true).expect("it is new");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(any).expect("loopback has free ports");
    let bound = socket.local_addr().expect("it is bound");
    (bound.port(), socket)
}
