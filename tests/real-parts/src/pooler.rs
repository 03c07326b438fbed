//! Starts a real PgBouncer before a Postgres: each transaction gets another session.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use tokio::net::{TcpSocket, TcpStream};

use crate::free_port::free_port;
use crate::postgres_server::{as_user, give_to_user};
use crate::running::{PACE, Running};
use crate::{Folder, START_LIMIT};

/// A PgBouncer on a free port of loopback. It ends with this.
///
/// Panics, with a plain message, when `pgbouncer` is not installed or does not start.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    _reservation: TcpSocket,
    _folder: Folder,
    _running: Running,
}

impl Pooler {
    /// Starts it before the Postgres at this address, with so many sessions there.
    pub async fn before(server: SocketAddr, sessions: u32) -> Self {
        assert!(
            Command::new("pgbouncer")
                .arg("--version")
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|status| status.success()),
            "the pooler of this test is not installed: run tests/run.sh, \
             or install Debian's package pgbouncer"
        );
        let (port, reservation) = free_port();
        let folder = Folder::new();
        give_to_user(&folder);
        let settings = format!(
            "[databases]\n* = host={} port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {sessions}\nmax_client_conn = 200\n\
             ignore_startup_parameters = extra_float_digits\n",
            server.ip(),
            server.port(),
        );
        std::fs::write(folder.join("settings.ini"), settings).expect("the folder can be written");
        let command = as_user(&["pgbouncer", "settings.ini"]);
        let running = Running::start("pgbouncer", "KILL", &folder, &command);
        let ready = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_err()
            {
                assert!(
                    !running.has_ended(),
                    "pgbouncer ended at once; pgbouncer.log in its folder says why"
                );
                tokio::time::sleep(PACE).await;
            }
        };
        tokio::time::timeout(START_LIMIT, ready)
            .await
            .expect("pgbouncer did not listen within a minute");
        Self {
            port,
            _reservation: reservation,
            _running: running,
            _folder: folder,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}
