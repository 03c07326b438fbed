//! Starts a real Redis for one test, stops it in every way that servers stop, and starts it again.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use redis::FromRedisValue;
use tokio::net::TcpSocket;

use crate::free_port::free_port;
use crate::running::{PACE, Running};
use crate::{Folder, START_LIMIT};

/// A Redis of one's own on a free port of loopback. It ends with this.
///
/// Panics, with a plain message, when `redis-server` is not installed or does not start.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    _reservation: TcpSocket,
    folder: Folder,
    settings: Vec<String>,
    running: Option<Running>,
}

impl RedisServer {
    /// Starts a server that forgets everything when it stops.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server that has each write in its log before it answers, and starts again with it.
    pub async fn start_persistent() -> Self {
        // Servers are killed here and no machines are, so what the system has is safe: a disk that
        // stands still for a second makes no answer late.
        let log = ["--appendonly", "yes", "--appendfsync", "no"];
        // Never shortened, so that it can be read to the end of a test.
        let whole = ["--auto-aof-rewrite-percentage", "0"];
        Self::start_with(&[log.as_slice(), whole.as_slice()].concat()).await
    }

    /// Starts a server with further settings, e.g. `["--requirepass", "s3cr3t"]`.
    pub async fn start_with(settings: &[&str]) -> Self {
        assert!(
            Command::new("redis-server")
                .arg("--version")
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|status| status.success()),
            "the Redis server of this test is not installed: run tests/run.sh, \
             or install Debian's package redis-server"
        );
        let (port, reservation) = free_port();
        let mut server = Self {
            port,
            _reservation: reservation,
            folder: Folder::new(),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            running: None,
        };
        server.start_again().await;
        server
    }

    /// The URL for clients, without a password.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Where it listens: the same address for all its life.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Everything that was ever written to a persistent server, as its log of writes has it: what is
    /// not in there was never stored.
    pub fn everything_written(&self) -> Vec<u8> {
        let folder = self.folder.join("appendonlydir");
        let files = std::fs::read_dir(folder).expect("the server is a persistent one");
        let mut written = Vec::new();
        for file in files {
            let file = file.expect("the folder can be read").path();
            written.extend(std::fs::read(file).expect("the log of writes can be read"));
        }
        written
    }

    /// Whether it was started, and not stopped since.
    pub fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Kills it, as a crash or an administrator in a hurry does.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Starts it again at the same address: empty, or, if it is persistent, with what it had.
    /// Returns when it answers.
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let port = self.port.to_string();
        let mut command = vec![
            "redis-server",
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--port",
            &port,
        ];
        command.extend(self.settings.iter().map(String::as_str));
        let running = Running::start("redis", "KILL", &self.folder, &command);
        let running = self.running.insert(running);
        until_ready(running, self.port).await;
    }

    /// Stops its process where it is (SIGSTOP): connections stay open and nothing is answered.
    pub async fn pause(&self) {
        self.running().pause().await;
    }

    /// Lets it go on (SIGCONT).
    pub async fn resume(&self) {
        self.running().resume().await;
    }

    /// Asks it by a connection of its own, e.g. `ask(&["PTTL", key])`, past everything under test.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(self.url()).expect("a URL of Redis");
        let mut connection = client
            .get_multiplexed_async_connection()
            .await
            .expect("Redis is up");
        let mut command = redis::Cmd::new();
        command.arg(words);
        let answer = command.query_async(&mut connection).await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Before its folder goes.
        self.stop();
    }
}

async fn until_ready(running: &Running, port: u16) {
    let client = redis::Client::open(("127.0.0.1", port)).expect("an address");
    let ready = async {
        loop {
            assert!(
                !running.has_ended(),
                "redis-server ended at once; redis.log in its folder says why"
            );
            if let Ok(mut connection) = client.get_multiplexed_async_connection().await {
                let pong = redis::cmd("PING").query_async::<()>(&mut connection).await;
                // A server that wants a password is up, too; one that still loads is not.
                if pong.is_ok() || pong.is_err_and(|error| error.code() == Some("NOAUTH")) {
                    return;
                }
            }
            tokio::time::sleep(PACE).await;
        }
    };
    tokio::time::timeout(START_LIMIT, ready)
        .await
        .expect("redis-server did not answer within a minute");
}
