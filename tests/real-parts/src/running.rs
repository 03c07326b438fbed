//! The process of a server, which ends when the test does.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Folder, START_LIMIT};

/// How often is looked whether something has happened.
pub(crate) const PACE: Duration = Duration::from_millis(5);

/// Returns when something is so, which has a minute.
pub(crate) async fn until<Fut: Future<Output = bool>>(is_so: impl Fn() -> Fut) {
    let reached = async {
        while !is_so().await {
            tokio::time::sleep(PACE).await;
        }
    };
    tokio::time::timeout(START_LIMIT, reached)
        .await
        .expect("what a server was to say, it did not say within a minute");
}

/// Between this and the server: it ends the server when its standard input is closed, which happens even when
/// the test process is killed.
const SHELL: &str = r#"log=$1; end=$2; shift 2; "$@" >"$log" 2>&1 & echo $!; read -r _
for process in $! $(cat "/proc/$!/task/$!/children" 2>&-); do kill -CONT $process 2>&-; done
kill -"$end" $! 2>&-; wait 2>&-"#;

/// A running server. It ends with this.
#[derive(Debug)]
pub(crate) struct Running {
    shell: Child,
    pid: u32,
}

impl Running {
    /// Starts a command in a folder, where `<name>.log` has what it says. It is ended by the signal `end`.
    pub(crate) fn start(name: &str, end: &str, folder: &Folder, command: &[&str]) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", SHELL, "sh", &format!("{name}.log"), end])
            .args(command)
            .current_dir(folder.path())
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
        Self { shell, pid }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(state(self.pid), None | Some('Z'))
    }

    /// Stops it where it is (SIGSTOP), with the processes that it has started.
    pub(crate) async fn pause(&self) {
        // It first, so that it starts no further one.
        signal(self.pid, "STOP");
        until_state(self.pid, |state| state == 'T').await;
        for child in self.children() {
            signal(child, "STOP");
            until_state(child, |state| matches!(state, 'T' | 'Z')).await;
        }
    }

    /// Lets it go on (SIGCONT).
    pub(crate) async fn resume(&self) {
        for process in self.children().into_iter().chain([self.pid]) {
            signal(process, "CONT");
            until_state(process, |state| state != 'T').await;
        }
    }

    fn children(&self) -> Vec<u32> {
        let path = format!("/proc/{0}/task/{0}/children", self.pid);
        let children = std::fs::read_to_string(path).unwrap_or_default();
        let children = children.split_whitespace();
        children.filter_map(|pid| pid.parse().ok()).collect()
    }
}

fn signal(pid: u32, name: &str) {
    let command = format!("kill -{name} {pid}");
    let status = Command::new("sh").args(["-c", &command]).status();
    assert!(status.is_ok_and(|status| status.success()), "{command}");
}

async fn until_state(pid: u32, is_wanted: impl Fn(char) -> bool) {
    let reached = async {
        while !state(pid).is_some_and(&is_wanted) {
            tokio::time::sleep(PACE).await;
        }
    };
    tokio::time::timeout(START_LIMIT, reached)
        .await
        .expect("a server did not take a signal within a minute");
}

/// The letter of Linux for what the process does: `T` stopped, `Z` ended.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which is in parentheses.
    stat.rsplit(") ").next()?.chars().next()
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
