//! One library in a process of its own, asked by lines of JSON.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::script::{CLIENT_ID, CLIENT_SECRET, Script};

/// What the adapter of the present case has written to its console.
pub const SAID: &str = "target/said.log";

/// Longer than any case lasts.
const LIMIT: Duration = Duration::from_secs(120);

pub struct Adapter {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// What became of one call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// `None` when there was no answer.
    pub status: Option<u16>,
    pub waited: Duration,
    /// The library told apart that the user has to sign in again.
    pub ended: bool,
    pub error: String,
}

impl Outcome {
    pub fn is_ok(&self) -> bool {
        self.status == Some(200)
    }
}

impl Adapter {
    pub fn start(command: &[String]) -> Self {
        let said = File::create(SAID).unwrap_or_else(|error| panic!("{SAID}: {error}"));
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(said))
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Self {
            child,
            input,
            output,
        }
    }

    /// A new client; `Err` says what the library cannot do.
    pub async fn set_up(
        &mut self,
        script: &Script,
        refresh_token: Option<String>,
    ) -> Result<(), String> {
        let answer = self
            .ask(json!({
                "do": "setup",
                "token_url": script.token_url,
                "api": script.api,
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "refresh_token": refresh_token,
            }))
            .await;
        match answer["cannot"].as_str() {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(()),
        }
    }

    /// Calls at once, and what became of each.
    pub async fn call(&mut self, count: usize) -> Vec<Outcome> {
        self.request(count, "GET", "/orders").await
    }

    pub async fn request(&mut self, count: usize, method: &str, path: &str) -> Vec<Outcome> {
        let command = json!({"do": "call", "count": count, "method": method, "path": path});
        outcomes(&self.ask(command).await)
    }

    /// One call after the other.
    pub async fn call_in_turn(&mut self, count: usize) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for _ in 0..count {
            outcomes.extend(self.call(1).await);
        }
        outcomes
    }

    /// Sends a line whose answer is waited for elsewhere.
    pub async fn send(&mut self, command: Value) {
        let line = format!("{command}\n");
        let written = self.input.write_all(line.as_bytes()).await;
        written.expect("the adapter reads its commands");
    }

    pub async fn answer(&mut self) -> Value {
        let line = tokio::time::timeout(LIMIT, self.output.next_line()).await;
        let line = line.expect("the adapter answers").expect("it is text");
        let line = line.expect("the adapter has not ended");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    pub async fn ask(&mut self, command: Value) -> Value {
        self.send(command).await;
        self.answer().await
    }

    /// Closes its input, and waits until it has ended.
    pub async fn end(self) {
        let Self {
            mut child,
            input,
            output,
        } = self;
        drop((input, output));
        let _ = tokio::time::timeout(LIMIT, child.wait()).await;
    }
}

pub fn outcomes(answer: &Value) -> Vec<Outcome> {
    let calls = answer["calls"].as_array().expect("a list of calls");
    calls
        .iter()
        .map(|call| Outcome {
            status: call["status"]
                .as_u64()
                .and_then(|status| status.try_into().ok()),
            waited: Duration::from_millis(call["ms"].as_u64().expect("a number")),
            ended: call["ended"] == true,
            error: call["error"].as_str().unwrap_or_default().to_owned(),
        })
        .collect()
}
