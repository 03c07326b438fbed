//! Chromium without a window, driven over the DevTools protocol.
//!
//! The commands are few and have been stable for a decade, so no library of hundreds of generated
//! types stands between, which would be of another version than the browser.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Starting takes a second; a loaded machine may take many times that.
const LIMIT: Duration = Duration::from_secs(60);

/// A browser process with one tab. It ends when this is dropped, and also when the test process is
/// killed, because that closes its pipe.
pub(crate) struct Chromium {
    commands: ChildStdin,
    messages: BufReader<ChildStdout>,
    /// Came while the answer to a command was awaited.
    events: VecDeque<Value>,
    commands_so_far: u64,
    session: Option<String>,
    process: Child,
    profile: TempDir,
}

impl Chromium {
    /// Starts it.
    ///
    /// # Panics
    /// If Chromium is not installed: no test passes without the part that it is about.
    pub(crate) async fn start() -> Self {
        let profile = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        let profile = profile.expect("cargo has made this folder");
        // It reads commands from descriptor 3 and writes answers to 4, and those are our pipes.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null",
                "sh",
            ])
            .args(["--headless=new", "--remote-debugging-pipe", "--disable-gpu"])
            .args([
                "--no-first-run",
                "--disable-dev-shm-usage",
                "--window-size=1000,800",
            ])
            // Or it drops a click that comes before the first picture of a page is drawn, which on a
            // busy machine may be long after the page was loaded.
            .arg("--allow-pre-commit-input")
            // Pages of the provider name a font elsewhere; nothing elsewhere is to be waited for.
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if is_root() {
            command.arg("--no-sandbox");
        }
        let mut process = command.spawn().expect("there is a shell");
        let mut browser = Self {
            commands: process.stdin.take().expect("it was asked for"),
            messages: BufReader::new(process.stdout.take().expect("it was asked for")),
            events: VecDeque::new(),
            commands_so_far: 0,
            session: None,
            process,
            profile,
        };
        let tab = browser
            .command("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        let attach = json!({ "targetId": tab["targetId"], "flatten": true });
        let session = browser.command("Target.attachToTarget", attach).await;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser.command("Page.enable", json!({})).await;
        browser
    }

    /// Ends it, and with it everything that it has written.
    pub(crate) async fn close(mut self) {
        self.command("Browser.close", json!({})).await;
        let ended = timeout(LIMIT, self.process.wait()).await;
        ended
            .expect("the browser does not end")
            .expect("a child can be waited for");
        // Not earlier, since its processes write there to the last.
        self.profile.close().expect("the folder can be removed");
    }

    /// The answer to a command.
    pub(crate) async fn command(&mut self, method: &str, parameters: Value) -> Value {
        self.commands_so_far += 1;
        let number = self.commands_so_far;
        let mut message = json!({ "id": number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let written = self.commands.write_all(&bytes).await;
        written.unwrap_or_else(|error| panic!("the browser is gone: {error}{INSTALL}"));
        loop {
            let mut message = self.next_message(method).await;
            if message["id"] != number {
                self.events.push_back(message);
                continue;
            }
            assert!(message["error"].is_null(), "{method}: {}", message["error"]);
            return message["result"].take();
        }
    }

    /// Forgets the events so far.
    pub(crate) fn forget_events(&mut self) {
        self.events.clear();
    }

    /// Waits for an event.
    pub(crate) async fn event(&mut self, method: &str) {
        while let Some(message) = self.events.pop_front() {
            if message["method"] == method {
                return;
            }
        }
        while self.next_message(method).await["method"] != method {}
    }

    async fn next_message(&mut self, awaited: &str) -> Value {
        let mut bytes = Vec::new();
        let read = timeout(LIMIT, self.messages.read_until(0, &mut bytes)).await;
        let length = read
            .unwrap_or_else(|_| panic!("the browser says nothing, and {awaited} is awaited"))
            .expect("a pipe can be read");
        assert!(
            length > 0,
            "the browser ended, and {awaited} is awaited{INSTALL}"
        );
        bytes.pop();
        serde_json::from_slice(&bytes).expect("the browser speaks JSON")
    }
}

const INSTALL: &str = "; is it installed? Run tests/run.sh, or `apt-get install chromium`";

/// Chromium's sandbox does not work for root.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
