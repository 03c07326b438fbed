//! The four scenarios. In each the user has signed in before, with tokens of 10 minutes.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::SystemTime;

use futures_util::future::join_all;
use http::Method;
use tokio::process::Command;

use crate::Outcome;
use crate::client::{Called, Client, Disk, Kind, Place, sign_in};
use crate::support::login::Login;
use crate::support::mcp_server::{Arrived, McpServer};
use crate::support::soon;

const USER: &str = "me";

/// The servers, and the file of a client whose user has signed in.
struct Scene {
    login: Login,
    server: McpServer,
    place: Place,
    kind: Kind,
    /// What the sign-in brought.
    access_token: String,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new(kind: Kind) -> Self {
        let login = Login::start().await;
        let server = McpServer::start(login.owners()).await;
        let folder = tempfile::tempdir().unwrap();
        let place = Place {
            mcp: server.url().to_owned(),
            token_url: login.token_url(),
            file: folder.path().join("tokens.json"),
            disk: Disk::default(),
        };
        #[expect(clippy::disallowed_methods, reason = "rmcp has no other clock")]
        let tokens = login.sign_in(USER, SystemTime::now());
        let access_token = tokens.access_token().unwrap().expose().to_owned();
        sign_in(kind, &place, tokens).await;
        Self {
            login,
            server,
            place,
            kind,
            access_token,
            _folder: folder,
        }
    }

    async fn start(&self) -> Client {
        let client = Client::start(self.kind, &self.place).await;
        self.until_streams(1).await;
        client.expect("a session")
    }

    /// Returns when so many clients have opened the stream of their session: from then on they send nothing
    /// of their own accord.
    async fn until_streams(&self, count: usize) {
        let is_stream = |arrived: &&Arrived| arrived.http == Method::GET && arrived.status == 200;
        let opened = |seen: &Vec<Arrived>| seen.iter().filter(is_stream).count() >= count;
        self.server.until(opened).await;
    }

    /// The outcome, with what a process finds that begins when the client has ended.
    async fn outcome(
        self,
        scenario: &'static str,
        calls: &[Called],
        client: Option<Client>,
    ) -> Outcome {
        let token_requests = self.login.token_requests();
        if let Some(client) = client {
            client.end().await;
        }
        let has_to_sign_in = match Client::start(self.kind, &self.place).await {
            None => true,
            Some(client) => client.call().await != Called::Well,
        };
        let failed = calls.iter().filter(|called| **called != Called::Well);
        Outcome {
            scenario,
            kind: self.kind,
            calls: calls.len(),
            failed: failed.count(),
            token_requests,
            has_to_sign_in,
        }
    }
}

/// 20 calls are refused, after another one has brought a new token.
pub(crate) async fn late_refusals(kind: Kind) -> Outcome {
    let scene = Scene::new(kind).await;
    let client = scene.start().await;
    scene.server.hold();
    let calls = join_all((0..20).map(|_| client.call()));
    let (calls, ()) = tokio::join!(calls, async {
        scene.server.until_held(20).await;
        scene.login.end(&scene.access_token);
        assert_eq!(client.list().await, Called::Well);
        scene.server.release();
    });
    let scenario = "1. 20 calls are answered with 401 after the token was replaced";
    scene.outcome(scenario, &calls, Some(client)).await
}

/// The disk is full while the answer to the first refresh comes, and for two more calls.
pub(crate) async fn failing_save(kind: Kind) -> Outcome {
    let scene = Scene::new(kind).await;
    let client = scene.start().await;
    scene.login.end(&scene.access_token);
    scene.login.hold();
    let (first, ()) = tokio::join!(client.call(), async {
        scene.login.until_held(1).await;
        scene.place.disk.set_full(true);
        scene.login.release();
    });
    let mut calls = vec![first];
    for _ in 0..2 {
        calls.push(client.call().await);
    }
    scene.place.disk.set_full(false);
    let scenario = "2. the new refresh token cannot be saved; 3 calls, a restart";
    scene.outcome(scenario, &calls, Some(client)).await
}

/// The session has ended at the authorization server; 20 calls, one after the other.
pub(crate) async fn dead_refresh_token(kind: Kind) -> Outcome {
    let scene = Scene::new(kind).await;
    let client = scene.start().await;
    scene.login.end_family(USER);
    let mut calls = Vec::new();
    for _ in 0..20 {
        calls.push(client.call().await);
    }
    let all_say_so = calls.iter().all(|called| *called == Called::SignInRequired);
    assert!(all_say_so, "{kind}: {calls:?}");
    let scenario = "3. the refresh token is dead; 20 calls";
    scene.outcome(scenario, &calls, Some(client)).await
}

/// Two processes have the same file, and are refused at the same time.
pub(crate) async fn two_processes(kind: Kind) -> Outcome {
    let scene = Scene::new(kind).await;
    scene.server.hold();
    let (first, second) = (soon(run(&scene)), soon(run(&scene)));
    let (first, second, ()) = tokio::join!(first, second, async {
        scene.server.until_held(2).await;
        scene.until_streams(2).await;
        scene.login.end(&scene.access_token);
        scene.login.hold();
        scene.server.release();
        scene
            .server
            .until(|seen| {
                let calls = seen.iter().filter(|arrived| arrived.method == "tools/call");
                calls.filter(|arrived| arrived.status == 401).count() == 2
            })
            .await;
        // Without a lock both have sent theirs by then; otherwise one of them waits for the other.
        let at_once = if kind == Kind::Theirs { 2 } else { 1 };
        scene.login.until_held(at_once).await;
        scene.login.release();
    });
    let scenario = "4. two processes share the file, a call each";
    scene.outcome(scenario, &[first, second], None).await
}

/// This program again, as a process that makes one call.
async fn run(scene: &Scene) -> Called {
    let place = &scene.place;
    let output = Command::new(std::env::current_exe().unwrap())
        .arg("--process")
        .args([
            scene.kind.to_string(),
            place.mcp.clone(),
            place.token_url.clone(),
        ])
        .arg(&place.file)
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    match String::from_utf8(output.stdout).unwrap().trim() {
        "Well" => Called::Well,
        "SignInRequired" => Called::SignInRequired,
        "Failed" => Called::Failed,
        other => panic!("{}: {other:?}", scene.kind),
    }
}

/// What such a process does.
pub(crate) async fn process(arguments: &[String]) {
    let [kind, mcp, token_url, file] = arguments else {
        panic!("four arguments");
    };
    let place = Place {
        mcp: mcp.clone(),
        token_url: token_url.clone(),
        file: PathBuf::from(file),
        disk: Disk::default(),
    };
    let client = Client::start(Kind::named(kind), &place).await;
    let client = client.expect("a session");
    println!("{:?}", client.call().await);
    client.end().await;
}
