//! Starts a real Postgres for one test, stops it in every way that servers stop, and starts it again.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use reqwest_bearer_sqlx::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use reqwest_bearer_sqlx::sqlx::{
    AssertSqlSafe, Connection as _, Decode, PgConnection, PgPool, Postgres, Type, query_scalar,
    raw_sql,
};
use tokio::net::TcpSocket;

use crate::free_port::free_port;
use crate::running::{PACE, Running};
use crate::{Folder, START_LIMIT};

/// Who owns the databases, and who everything is asked as.
const USER: &str = "postgres";

/// A Postgres of one's own on a free port of loopback, with a data folder of its own. It ends with this.
///
/// Panics, with a plain message, when Postgres is not installed or does not start.
#[derive(Debug)]
pub struct PostgresServer {
    port: u16,
    _reservation: TcpSocket,
    folder: Folder,
    password: Option<&'static str>,
    running: Option<Running>,
}

impl PostgresServer {
    /// Starts a server with an empty database that trusts everybody, as [`USER`].
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts one that wants this password.
    pub async fn start_with_password(password: &'static str) -> Self {
        Self::start_with(Some(password)).await
    }

    async fn start_with(password: Option<&'static str>) -> Self {
        let (port, reservation) = free_port();
        let mut server = Self {
            port,
            _reservation: reservation,
            folder: Folder::new(),
            password,
            running: None,
        };
        give_to_user(&server.folder);
        let given = server.folder.join("password");
        std::fs::write(&given, password.unwrap_or("none")).expect("the folder can be written");
        let words = [
            installed("initdb"),
            "--pgdata=data".into(),
            format!("--username={USER}").into(),
            format!("--pwfile={}", given.display()).into(),
            format!("--auth={}", password.map_or("trust", |_| "scram-sha-256")).into(),
            "--encoding=UTF8".into(),
            "--no-locale".into(),
            "--no-sync".into(),
        ];
        let words: Vec<_> = words.iter().filter_map(|word| word.to_str()).collect();
        let command = as_user(&words);
        let made = Command::new(command[0])
            .args(&command[1..])
            .current_dir(server.folder.path())
            .output()
            .expect("there are programs");
        assert!(made.status.success(), "{made:?}");
        server.start_again().await;
        server
    }

    /// Where it listens: the same address for all its life.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The URL for clients at that address, without a password.
    pub fn url(&self) -> String {
        url(self.address())
    }

    /// A pool that leads there, of at most so many connections.
    pub fn pool(&self, connections: u32) -> PgPool {
        pool(&self.url(), connections)
    }

    /// Ends it at once, as a crash does: what it had not finished is undone when it starts again.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Starts it again at the same address with what it had. Returns when it answers.
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let program = installed("postgres");
        let port = format!("--port={}", self.port);
        let command = as_user(&[
            program.to_str().expect("a path of Debian's"),
            "-D",
            "data",
            "--listen_addresses=127.0.0.1",
            &port,
            "--unix_socket_directories=",
            // Servers are killed here and no machines are, so what the system has is safe.
            "--fsync=off",
            "--shared_buffers=16MB",
        ]);
        let running = Running::start("postgres", "QUIT", &self.folder, &command);
        let running = self.running.insert(running);
        let options: PgConnectOptions = url(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
            .parse()
            .expect("a URL of Postgres");
        let options = options.password(self.password.unwrap_or_default());
        let ready = async {
            while let Err(error) = PgConnection::connect_with(&options).await {
                assert!(
                    !running.has_ended(),
                    "postgres ended at once; postgres.log in its folder says why: {error}"
                );
                tokio::time::sleep(PACE).await;
            }
        };
        tokio::time::timeout(START_LIMIT, ready)
            .await
            .expect("postgres did not answer within a minute");
    }

    /// Stops all its processes where they are (SIGSTOP): connections stay open and nothing is answered.
    pub async fn pause(&self) {
        self.running().pause().await;
    }

    /// Lets them go on (SIGCONT).
    pub async fn resume(&self) {
        self.running().resume().await;
    }

    /// Carries statements out by a connection of its own, past everything under test.
    pub async fn tell(&self, statements: &str) {
        let mut connection = self.connection().await;
        let told = raw_sql(AssertSqlSafe(statements))
            .execute(&mut connection)
            .await;
        told.unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// Asks it for one column, as `tell` does.
    pub async fn ask<T>(&self, statement: &str) -> Vec<T>
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres> + Send + Unpin,
    {
        let mut connection = self.connection().await;
        let answer = query_scalar(AssertSqlSafe(statement)).fetch_all(&mut connection);
        answer
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    async fn connection(&self) -> PgConnection {
        let options: PgConnectOptions = self.url().parse().expect("a URL of Postgres");
        let options = options.password(self.password.unwrap_or_default());
        let connection = PgConnection::connect_with(&options).await;
        connection.expect("Postgres is up")
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Before its folder goes.
        self.stop();
    }
}

/// A pool of at most so many connections.
pub fn pool(url: &str, connections: u32) -> PgPool {
    let options = PgPoolOptions::new().max_connections(connections);
    options.connect_lazy(url).expect("a URL of Postgres")
}

/// The URL of a Postgres at this address, or of what stands before it.
pub fn url(address: SocketAddr) -> String {
    format!("postgres://{USER}@{address}/postgres?sslmode=disable")
}

/// The program of the newest Postgres that Debian has installed, which is not in the path.
fn installed(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let programs = versions.filter_map(|version| {
        let folder = version.ok()?.path();
        let number: u32 = folder.file_name()?.to_str()?.parse().ok()?;
        Some((number, folder.join("bin").join(program)))
    });
    let newest = programs.filter(|(_, path)| path.is_file()).max();
    let (_, path) = newest.expect(
        "the Postgres of this test is not installed: run tests/run.sh, or install Debian's package postgresql",
    );
    path
}

/// Postgres and its pooler refuse to run as root, so there they run as their own user.
pub(crate) fn as_user<'words>(command: &[&'words str]) -> Vec<&'words str> {
    let own = [
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
    ];
    let own = if is_root() { own.as_slice() } else { &[] };
    [own, command].concat()
}

/// The same user has to be able to write into the folder.
pub(crate) fn give_to_user(folder: &Folder) {
    if is_root() {
        let given = Command::new("chown").arg(USER).arg(folder.path()).status();
        assert!(given.is_ok_and(|status| status.success()), "chown");
    }
}

fn is_root() -> bool {
    let own = std::fs::metadata("/proc/self").expect("Linux has it");
    std::os::unix::fs::MetadataExt::uid(&own) == 0
}
