//! Starts a real Redis for one test, stops it in every way that servers stop, and starts it again.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::FromRedisValue;
use tokio::net::TcpSocket;

use crate::Folder;
use crate::free_port::free_port;

/// It starts in some 20 ms; a loaded machine may take many times that.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How often is looked whether something has happened.
const PACE: Duration = Duration::from_millis(5);

/// Between this and Redis: it ends Redis when its standard input is closed, which happens even when
/// the test process is killed.
const SHELL: &str =
    r#"redis-server "$@" >redis.log 2>&1 & echo $!; read -r _; kill -9 $!; wait 2>&-"#;

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

#[derive(Debug)]
struct Running {
    shell: Child,
    pid: u32,
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

    /// Kills it, as a crash or an administrator in a hurry does.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Starts it again at the same address: empty, or, if it is persistent, with what it had.
    /// Returns when it answers.
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let mut shell = Command::new("sh")
            .args(["-c", SHELL, "sh", "--bind", "127.0.0.1", "--save", ""])
            .args(["--port", &self.port.to_string()])
            .args(&self.settings)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let mut line = String::new();
        let stdout = shell.stdout.take().expect("standard output was asked for");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the shell says which process it has started");
        let pid = line.trim().parse().expect("the id of a process");
        let running = self.running.insert(Running { shell, pid });
        running.until_ready(self.port).await;
    }

    /// Stops its process where it is (SIGSTOP): connections stay open and nothing is answered.
    pub async fn pause(&self) {
        self.running().signal("STOP");
        self.running().until_state(|state| state == 'T').await;
    }

    /// Lets it go on (SIGCONT).
    pub async fn resume(&self) {
        self.running().signal("CONT");
        self.running().until_state(|state| state != 'T').await;
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

impl Running {
    async fn until_ready(&self, port: u16) {
        let client = redis::Client::open(("127.0.0.1", port)).expect("an address");
        let ready = async {
            loop {
                assert!(
                    !matches!(self.state(), None | Some('Z')),
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

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.pid);
        let status = Command::new("sh").args(["-c", &command]).status();
        assert!(status.is_ok_and(|status| status.success()), "{command}");
    }

    async fn until_state(&self, is_wanted: impl Fn(char) -> bool) {
        let reached = async {
            while !self.state().is_some_and(&is_wanted) {
                tokio::time::sleep(PACE).await;
            }
        };
        tokio::time::timeout(START_LIMIT, reached)
            .await
            .expect("redis-server did not take a signal within a minute");
    }

    /// The letter of Linux for what the process does: `T` stopped, `Z` ended.
    fn state(&self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        // After the name, which is in parentheses.
        stat.rsplit(") ").next()?.chars().next()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
