//! Several processes at one file, and processes that end badly. Each test starts itself again as
//! another process, which finds the path in its environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use reqwest_bearer::{ErrorKind, FileStore, Lease, StoreKey, TokenStore as _, Version};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::{LONG, folder};
use crate::record;
use crate::support::until;

const PATH: &str = "REQWEST_BEARER_TEST_FILE";

/// What the other process says when it is at work.
const READY: &str = "the other process is ready";

/// The path, if this is the other process.
fn path_of_the_other() -> Option<PathBuf> {
    std::env::var_os(PATH).map(PathBuf::from)
}

/// The arguments with which the test of this name is the other process.
fn this_test_alone(name: &str) -> Vec<String> {
    let name = format!("file::processes::{name}");
    ["--exact", "--nocapture", &name].map(str::to_owned).into()
}

fn other_process(name: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(this_test_alone(name)).env(PATH, path);
    command
}

struct Other {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(mut command: Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    async fn until_ready(&mut self) {
        let mut is_ready = false;
        while !is_ready {
            // Without another line the process has ended before it was ready.
            is_ready = self
                .lines
                .next_line()
                .await
                .unwrap()
                .unwrap()
                .contains(READY);
        }
    }

    async fn end(mut self) -> ExitStatus {
        while self.lines.next_line().await.unwrap().is_some() {}
        self.process.wait().await.unwrap()
    }
}

/// The same in all processes.
fn key() -> StoreKey {
    StoreKey::of(["shared by processes"])
}

async fn found_version(store: &FileStore) -> Option<Version> {
    let found = store.load(&key()).await.unwrap()?;
    Some(found.version())
}

/// Adds one, as often as it takes until nobody was in between.
async fn count_up(store: &FileStore) {
    loop {
        let found = store.load(&key()).await.unwrap();
        let count = found.as_ref().map_or(0, |found| {
            let text = std::str::from_utf8(found.data().unwrap()).unwrap();
            text.parse::<u32>().unwrap()
        });
        let next = record((count + 1).to_string());
        let expected = found.map(|found| found.version());
        if store.save(&key(), next, expected, LONG).await.unwrap() {
            return;
        }
    }
}

#[tokio::test]
async fn processes_take_turns() {
    // Few enough that one who gets no turn before all others are done has waited less than the
    // 1.5 s after which a call gives up, also where each write takes a slow disk 30 ms.
    const EACH: usize = 10;
    if let Some(path) = path_of_the_other() {
        let store = FileStore::new(path).unwrap();
        println!("{READY}");
        for _ in 0..EACH {
            count_up(&store).await;
        }
        return;
    }
    let path = folder().join("tokens.json");
    let mut others: Vec<_> = (0..3)
        .map(|_| Other::start(other_process("processes_take_turns", &path)))
        .collect();
    for other in &mut others {
        other.until_ready().await;
    }
    let store = FileStore::new(&path).unwrap();
    for _ in 0..EACH {
        count_up(&store).await;
    }
    for other in others {
        assert!(other.end().await.success());
    }
    let found = store.load(&key()).await.unwrap().unwrap();
    assert_eq!(found.data().unwrap(), (4 * EACH).to_string().as_bytes());
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_the_file_whole_and_nothing_locked() {
    // F6
    const LEASE: Duration = Duration::from_millis(200);
    const LENGTH: usize = 1_000_000;
    if let Some(path) = path_of_the_other() {
        let store = FileStore::new(path).unwrap();
        let lease = Lease::new(LEASE).unwrap();
        let mut expected = found_version(&store).await;
        let mut is_first = true;
        for fill in (b'a'..=b'z').cycle() {
            // Long enough that most of the time goes into writing.
            let record = record(vec![fill; LENGTH]);
            let version = record.version();
            assert!(store.lease(&key(), &lease).await.unwrap());
            assert!(store.save(&key(), record, expected, LONG).await.unwrap());
            expected = Some(version);
            if std::mem::take(&mut is_first) {
                println!("{READY}");
            }
        }
    }
    let name = "a_process_that_is_killed_leaves_the_file_whole_and_nothing_locked";
    let path = folder().join("tokens.json");
    let store = FileStore::new(&path).unwrap();
    let mut seen = Vec::<Version>::new();
    let mut cut_short = 0;
    for _ in 0..15 {
        let mut other = Other::start(other_process(name, &path));
        other.until_ready().await;
        until_written(&path).await;
        other.process.start_kill().unwrap();
        assert!(!other.end().await.success());
        cut_short += usize::from(new_of(&path).exists());

        let found = store.load(&key()).await.unwrap().unwrap();
        let data = found.data().unwrap();
        assert_eq!(data.len(), LENGTH);
        assert!(data.iter().all(|byte| *byte == data[0]));
        assert!(!seen.contains(&found.version()), "nothing was saved");
        seen.push(found.version());
        // Its lease ends by itself, and its lock has gone with it.
        let lease = Lease::new(LEASE).unwrap();
        until(async || store.lease(&key(), &lease).await.unwrap()).await;
        store.release(&key(), &lease).await.unwrap();
        let key = key();
        let saved = store.save(&key, found.clone(), Some(found.version()), LONG);
        assert!(saved.await.unwrap());
    }
    assert!(cut_short > 0, "no process was killed while it wrote");
    // Nor do half-written files pile up.
    let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 2, "the file and its lock");
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

/// Returns when the file, or what will be in its place, is just being written: at rest it has one
/// length and nothing is beside it.
async fn until_written(path: &Path) {
    let length = || fs::metadata(path).map(|file| file.len()).ok();
    let at_rest = length();
    until(async || length() != at_rest || new_of(path).exists()).await;
}

/// Where the file is written before it is renamed.
fn new_of(path: &Path) -> PathBuf {
    path.with_extension("json.new")
}

#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_is_an_error_and_leaves_the_old_file_whole() {
    // F6
    const ROOM: usize = 64 * 1024;
    let key = key();
    let old = b"old".repeat(1000);
    if let Some(path) = path_of_the_other() {
        let store = FileStore::new(&path).unwrap();
        let found = store.load(&key).await.unwrap().unwrap();
        let before = fs::read(&path).unwrap();
        let too_long = record(vec![b'x'; 2 * ROOM]);
        for _ in 0..2 {
            let saved = store.save(&key, too_long.clone(), Some(found.version()), LONG);
            let error = saved.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Store);
            assert_eq!(fs::read(&path).unwrap(), before);
            assert_eq!(store.load(&key).await.unwrap(), Some(found.clone()));
            // The half that was written would only fill the disk.
            assert!(!new_of(&path).exists());
        }
        // With a file that is not ours in its place nothing is moved either.
        fs::write(&path, "not ours").unwrap();
        let expected = Some(Version::of_bytes(b"not ours"));
        let saved = store.save(&key, too_long, expected, LONG);
        assert_eq!(saved.await.unwrap_err().kind(), ErrorKind::Store);
        assert_eq!(fs::read(&path).unwrap(), b"not ours");
        fs::write(&path, before).unwrap();
        // What fits can still be saved.
        let saved = store.save(&key, record("new"), Some(found.version()), LONG);
        assert!(saved.await.unwrap());
        return;
    }
    let path = folder().join("tokens.json");
    let store = FileStore::new(&path).unwrap();
    assert!(store.save(&key, record(&old), None, LONG).await.unwrap());
    // A process whose files may only get so long is told by the system in the middle of a write,
    // as on a full disk; and that, other than a small file system, everybody may set up. The shell
    // counts in blocks of 512 bytes. Without the trap the signal would end the process.
    let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", ROOM / 512);
    let mut command = Command::new("sh");
    command
        .args(["-c", &limit, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(this_test_alone(
            "a_full_disk_is_an_error_and_leaves_the_old_file_whole",
        ))
        .env(PATH, &path);
    assert!(Other::start(command).end().await.success());
    let found = store.load(&key).await.unwrap().unwrap();
    assert_eq!(found.data().unwrap(), b"new");
}
