//! The program under test, with a home of its own.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use real_parts::{Issuer, PUBLIC};
use reqwest::{Client, Url};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// A command takes a fraction of a second; a loaded machine may take many times that.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) const LOGIN: [&str; 3] = ["login", "--account", "alice"];

/// The machine of one user, as the program sees it.
pub(crate) struct Home<'server> {
    issuer: &'server Issuer,
    folder: TempDir,
}

/// A `login` that waits for its user.
pub(crate) struct Waiting {
    pub(crate) process: Child,
    pub(crate) url: Url,
    /// Keeps the pipe open that the program writes to.
    pub(crate) messages: Lines<BufReader<ChildStderr>>,
}

impl<'server> Home<'server> {
    pub(crate) fn new(issuer: &'server Issuer) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { issuer, folder }
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.folder.path().join("config/tokens.json")
    }

    /// The program, with neither a terminal nor a desktop.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cli"));
        command
            .args(arguments)
            .env_clear()
            .env("CLI_ISSUER", self.issuer.url())
            .env("CLI_CLIENT_ID", PUBLIC.id)
            .env("CLI_API", self.issuer.api())
            .env("CLI_TOKENS", self.tokens())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// A `login` in front of a desktop whose browser shows nothing: the test is the browser.
    pub(crate) fn login(&self) -> Command {
        let mut command = self.command(&LOGIN);
        command.env("BROWSER", "true").env("PATH", "/usr/bin:/bin");
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).spawn().expect("it was built")).await
    }

    /// Signs in, as the user and the browser do.
    pub(crate) async fn sign_in(&self) {
        let waiting = Waiting::start(self.login()).await;
        browse(waiting.url.clone()).await;
        let ended = waiting.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.messages);
        assert!(
            ended.messages.contains("signed in as alice"),
            "{}",
            ended.messages
        );
    }
}

impl Waiting {
    /// Starts it, and waits for its link.
    pub(crate) async fn start(mut command: Command) -> Self {
        let mut process = command.spawn().expect("it was built");
        let stderr = process.stderr.take().expect("it was asked for");
        let mut messages = BufReader::new(stderr).lines();
        let mut said = String::new();
        loop {
            let line = timeout(LIMIT, messages.next_line()).await;
            let line = line.expect("it says something").expect("a text");
            let line = line.unwrap_or_else(|| panic!("it ended without a link:\n{said}"));
            let mut words = line.split_whitespace();
            // With a code there are two, of which the second has the code in it.
            if let Some(url) = words.rfind(|word| word.starts_with("http")) {
                return Self {
                    process,
                    url: Url::parse(url).expect("a link"),
                    messages,
                };
            }
            said += &line;
        }
    }

    pub(crate) async fn ended(mut self) -> Ended {
        let mut said = String::new();
        while let Some(line) = timeout(LIMIT, self.messages.next_line())
            .await
            .expect("it ends")
            .expect("a text")
        {
            said += &line;
        }
        let mut ended = ended(self.process).await;
        ended.messages = said;
        ended
    }
}

/// What a command came to.
pub(crate) struct Ended {
    /// `None` if it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    /// What it said to people.
    pub(crate) messages: String,
}

pub(crate) async fn ended(process: Child) -> Ended {
    let output = timeout(LIMIT, process.wait_with_output()).await;
    let output: Output = output.expect("it ends").expect("it is our child");
    Ended {
        code: output.status.code(),
        output: String::from_utf8(output.stdout).expect("a text"),
        messages: String::from_utf8(output.stderr).expect("a text"),
    }
}

/// What the browser does: the pages of the server, which say yes to everything, and the redirect.
pub(crate) async fn browse(url: Url) {
    let browser = Client::builder().cookie_store(true).build();
    let browser = browser.expect("a client without TLS needs nothing from the machine");
    // The program may be gone by the time of the redirect.
    let _ = browser.get(url).send().await;
}
