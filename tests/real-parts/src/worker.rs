//! One process of a fleet, started, stopped and killed by a test.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::fleet::{Line, Orders, now};

/// It ends its calls, which wait for a token half a minute, and saves what is unsaved.
const END_LIMIT: Duration = Duration::from_secs(60);

/// A running `fleet_worker`. It ends with this.
#[derive(Debug)]
pub struct Worker {
    process: Child,
    orders: Orders,
    pid: u32,
}

impl Worker {
    /// Starts `program`, which is `env!("CARGO_BIN_EXE_fleet_worker")` in a test.
    pub fn start(program: impl AsRef<Path>, orders: Orders) -> Self {
        Self::start_by(Command::new(program.as_ref()), orders)
    }

    /// Starts it with these environment variables besides the test's own.
    pub fn start_with(
        program: impl AsRef<Path>,
        orders: Orders,
        variables: &[(&str, &Path)],
    ) -> Self {
        let mut command = Command::new(program.as_ref());
        command.envs(variables.iter().copied());
        Self::start_by(command, orders)
    }

    /// Starts it with a disk that is full for it: no file that it writes gets longer than this, its
    /// log included. The system tells it so in the middle of a write, as on a full disk; and this,
    /// other than a small file system, everybody may set up.
    pub fn start_with_longest_file(
        program: impl AsRef<Path>,
        orders: Orders,
        bytes: usize,
    ) -> Self {
        // The shell counts in blocks of 512 bytes. Without the trap the signal would end the process.
        let limit = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$@\"", bytes / 512);
        let mut command = Command::new("sh");
        command.args(["-c", &limit, "sh"]).arg(program.as_ref());
        Self::start_by(command, orders)
    }

    fn start_by(mut command: Command, orders: Orders) -> Self {
        let text = serde_json::to_string(&orders).expect("orders are JSON");
        let process = command
            .arg(text)
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program was built along with the test");
        let pid = process.id().expect("nobody has waited for it");
        Self {
            process,
            orders,
            pid,
        }
    }

    /// Its process id, which its `User-Agent` says at the token endpoint.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("it is our child")
    }

    /// Kills it (SIGKILL) and returns when that was done.
    pub async fn kill(&mut self) -> f64 {
        self.process.kill().await.expect("it is our child");
        now()
    }

    /// Closes its standard input: it makes no further calls.
    pub fn tell_to_end(&mut self) {
        drop(self.process.stdin.take());
    }

    /// Waits until it has ended in order.
    pub async fn until_ended(&mut self) {
        let status = self.until_over().await;
        assert!(status.success(), "process {}: {status}", self.pid);
    }

    /// Waits until it has aborted itself, as its orders want.
    pub async fn until_aborted(&mut self) {
        // Waiting would close it, and thereby tell the process to end.
        let _standard_input = self.process.stdin.take();
        let status = self.until_over().await;
        let aborts = |line: &Line| matches!(line, Line::Aborts { .. });
        assert!(
            self.lines().iter().any(aborts),
            "process {}: {status}",
            self.pid
        );
    }

    async fn until_over(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(END_LIMIT, self.process.wait()).await;
        ended
            .expect("the process did not end within a minute")
            .expect("it is our child")
    }

    /// Stops it where it is (SIGSTOP).
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Sets the length of the longest file that it can write from now on. Only for one that was
    /// [started with such a length](Self::start_with_longest_file).
    pub fn set_longest_file(&self, bytes: usize) {
        // With the colon the highest length that can be set stays what it was.
        let status = std::process::Command::new("prlimit")
            .args([format!("--pid={}", self.pid), format!("--fsize={bytes}:")])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "prlimit");
    }

    /// What it has told so far. A line that was cut off by its death is left out.
    pub fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.orders.log).unwrap_or_default();
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str(line).expect("a line of the worker"))
            .collect()
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.pid);
        let status = std::process::Command::new("sh")
            .args(["-c", &command])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "{command}");
    }
}
