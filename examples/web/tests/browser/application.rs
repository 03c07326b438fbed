//! The example as a process, and all that it prints.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

const START_LIMIT: Duration = Duration::from_secs(60);

/// A running example. It ends when this is dropped.
pub(crate) struct Application {
    /// Where its pages are.
    pub(crate) url: String,
    output: Arc<Mutex<String>>,
    process: Child,
}

impl Application {
    /// Starts it on a free port with these further options.
    pub(crate) async fn start(options: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_web"))
            .args(["--port", "0"])
            .args(options)
            .env_remove("CLIENT_SECRET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("cargo has built it");
        let output = Arc::new(Mutex::new(String::new()));
        let (tell, mut lines) = mpsc::unbounded_channel();
        let stdout = process.stdout.take().expect("it was asked for");
        let stderr = process.stderr.take().expect("it was asked for");
        tokio::spawn(collect(stdout, output.clone(), tell.clone()));
        tokio::spawn(collect(stderr, output.clone(), tell));
        let url = timeout(START_LIMIT, async {
            while let Some(line) = lines.recv().await {
                if let Some(rest) = line.strip_prefix("open ") {
                    return rest.split(' ').next().unwrap_or_default().to_owned();
                }
            }
            panic!("the example ended before it was ready: {}", read(&output))
        });
        Self {
            url: url
                .await
                .expect("the example did not say that it is ready within a minute"),
            output,
            process,
        }
    }

    /// All that it has printed.
    pub(crate) fn output(&self) -> String {
        read(&self.output)
    }

    /// Whether it is still there: it has not panicked its way out.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

async fn collect(
    stream: impl AsyncRead + Unpin,
    output: Arc<Mutex<String>>,
    tell: mpsc::UnboundedSender<String>,
) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        output.push_str(&line);
        output.push('\n');
        // Nobody listens any more after the first lines.
        let _ = tell.send(line);
    }
}

fn read(output: &Mutex<String>) -> String {
    output
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}
