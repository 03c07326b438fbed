//! Authorization servers of Python, which others wrote, behind the little of ours that speaks HTTP for them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::{START_LIMIT, TokenRequest, plain_client};

/// Where the servers that are written in Python stand, and the Python that has their libraries.
///
/// Panics, with a plain message, when the libraries are not installed.
#[must_use]
pub fn installed_python() -> (PathBuf, PathBuf) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let python = folder.join("venv/bin/python");
    assert!(
        python.is_file(),
        "the authorization server of this test is not installed: run tests/run.sh, \
         which makes the virtual environment tests/real-parts/python/venv"
    );
    (folder, python)
}

/// A running server with a small API beside it. It ends when this is dropped, and also when the test process
/// is killed, because that closes its standard input.
#[derive(Debug)]
pub(crate) struct PythonServer {
    issuer: String,
    http: reqwest::Client,
    _process: Child,
}

#[derive(Deserialize)]
struct Ready {
    issuer: String,
}

impl PythonServer {
    /// Starts one of the programs of `python/`.
    pub(crate) async fn start(program: &str, settings: &Value) -> Self {
        let (folder, python) = installed_python();
        let mut process = Command::new(python)
            // Writes nothing beside the program.
            .args(["-B", program])
            .arg(settings.to_string())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a virtual environment has a Python that starts");
        let stdout = process.stdout.take().expect("it was asked for");
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_LIMIT, lines.next_line())
            .await
            .expect("the server did not say that it is ready within a minute")
            .expect("the server's output cannot be read")
            .expect("the server ended before it was ready; its reason stands above");
        let ready: Ready = serde_json::from_str(&line).expect("its first line is JSON");
        Self {
            issuer: ready.issuer,
            http: plain_client(),
            _process: process,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn api(&self) -> String {
        format!("{}/api", self.issuer)
    }

    /// Kills one access token, and nothing else.
    pub(crate) async fn kill_access_token(&self, access_token: &str) {
        self.post("/admin/revoke", access_token.to_owned()).await;
    }

    pub(crate) async fn token_requests(&self) -> Vec<TokenRequest> {
        let request = self
            .http
            .get(format!("{}/admin/token-requests", self.issuer));
        let answer = request.send().await.expect("the server is up");
        answer.json().await.expect("a report")
    }

    /// Does what an administrator would, and returns the answer.
    pub(crate) async fn post(&self, path: &str, body: String) -> Value {
        let request = self.http.post(format!("{}{path}", self.issuer)).body(body);
        let answer = request.send().await.expect("the server is up");
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.expect("JSON")
    }
}
