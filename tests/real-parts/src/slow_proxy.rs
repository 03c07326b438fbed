//! A TCP proxy on loopback that delays, cuts, half-closes and loses connections on command.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes bytes on between clients and one server, and does harm to them when told. It ends with
/// this.
#[derive(Debug)]
pub struct SlowProxy {
    address: SocketAddr,
    orders: watch::Sender<Orders>,
    task: JoinHandle<()>,
}

/// What holds now. A count goes up with each order for the connections that there are then.
#[derive(Clone, Copy, Debug)]
struct Orders {
    delay: Duration,
    refuse: bool,
    mute: bool,
    /// How many answers pass whole, and how much of the one after them before its connection is cut.
    cut_after: Option<(usize, usize)>,
    server: SocketAddr,
    cut: u64,
    half_closed: u64,
    lost: u64,
}

impl SlowProxy {
    /// A proxy before the server at this address, which does no harm yet.
    pub async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let (orders, _) = watch::channel(Orders {
            server,
            delay: Duration::ZERO,
            refuse: false,
            mute: false,
            cut_after: None,
            cut: 0,
            half_closed: 0,
            lost: 0,
        });
        let given = orders.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let given = given.clone();
                tokio::spawn(async move {
                    // An error ends the connection, which is all that it means here.
                    let _ = pass_on(client, given).await;
                });
            }
        });
        Self {
            address,
            orders,
            task,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every answer comes this much later, until [`heal`](Self::heal).
    pub fn delay(&self, delay: Duration) {
        self.order(|orders| orders.delay = delay);
    }

    /// Closes all connections, and each new one at once, until [`heal`](Self::heal).
    pub fn cut(&self) {
        self.order(|orders| {
            orders.cut += 1;
            orders.refuse = true;
        });
    }

    /// Lets so many bytes of the next answer pass and closes its connection; once.
    pub fn cut_next_answer_after(&self, bytes: usize) {
        self.cut_after_answers(0, bytes);
    }

    /// The same with the answer that comes after so many others.
    pub fn cut_after_answers(&self, answers: usize, bytes: usize) {
        self.order(|orders| orders.cut_after = Some((answers, bytes)));
    }

    /// Ends the way to the client on all connections, and goes on listening to it. New ones are
    /// whole.
    pub fn half_close(&self) {
        self.order(|orders| orders.half_closed += 1);
    }

    /// Forgets all connections without a word, as a network does that was rebooted: they stay open,
    /// and nothing passes any more. New ones are whole.
    pub fn lose(&self) {
        self.order(|orders| orders.lost += 1);
    }

    /// Like [`lose`](Self::lose), and new ones are lost as well, until [`heal`](Self::heal).
    pub fn mute(&self) {
        self.order(|orders| {
            orders.lost += 1;
            orders.mute = true;
        });
    }

    /// New connections lead to another server, as a name does after a failover.
    pub fn lead_to(&self, server: SocketAddr) {
        self.order(|orders| orders.server = server);
    }

    /// New connections are whole and answers prompt again. What was cut or lost stays so.
    pub fn heal(&self) {
        self.order(|orders| {
            orders.delay = Duration::ZERO;
            orders.refuse = false;
            orders.mute = false;
            orders.cut_after = None;
        });
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        self.orders.send_modify(change);
    }
}

impl Drop for SlowProxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn pass_on(mut client: TcpStream, given: watch::Sender<Orders>) -> std::io::Result<()> {
    let mut orders = given.subscribe();
    let first = *orders.borrow_and_update();
    if first.refuse {
        return Ok(());
    }
    let mut server = TcpStream::connect(first.server).await?;
    let (mut from_client, mut from_server) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut is_lost = first.mute;
    let mut is_half_closed = false;
    loop {
        tokio::select! {
            biased;
            _ = orders.changed() => {
                let now = *orders.borrow_and_update();
                if now.cut > first.cut {
                    return Ok(());
                }
                is_lost |= now.lost > first.lost;
                if now.half_closed > first.half_closed && !is_half_closed {
                    is_half_closed = true;
                    client.shutdown().await?;
                }
            }
            read = client.read(&mut from_client) => match read? {
                0 => return Ok(()),
                length if !is_lost => server.write_all(&from_client[..length]).await?,
                _ => {}
            },
            read = server.read(&mut from_server), if !is_lost => {
                let answer = match read? {
                    0 => return Ok(()),
                    length => &from_server[..length],
                };
                let delay = given.borrow().delay;
                tokio::time::sleep(delay).await;
                let now = *given.borrow();
                if now.cut > first.cut {
                    return Ok(());
                }
                if is_half_closed || now.lost > first.lost {
                    continue;
                }
                let mut cut_after = None;
                given.send_if_modified(|orders| {
                    match &mut orders.cut_after {
                        Some((0, bytes)) => {
                            cut_after = Some(*bytes);
                            orders.cut_after = None;
                        }
                        Some((answers, _)) => *answers -= 1,
                        None => {}
                    }
                    false
                });
                if let Some(bytes) = cut_after {
                    client.write_all(&answer[..bytes.min(answer.len())]).await?;
                    return Ok(());
                }
                client.write_all(answer).await?;
            }
        }
    }
}
