//! The example and Prometheus as processes, which end with the test.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Starting takes a second; a loaded machine may take many times that.
const LIMIT: Duration = Duration::from_secs(60);

const INSTALL: &str = "is Prometheus installed? Run tests/run.sh, or `apt-get install prometheus`";

/// The folder of the example.
pub(crate) const EXAMPLE: &str = env!("CARGO_MANIFEST_DIR");

/// The example, at a free port.
pub(crate) struct Example {
    /// `host:port` of its metrics.
    pub(crate) address: String,
    _process: Child,
}

impl Example {
    pub(crate) async fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_monitoring"))
            .arg("0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("cargo has built it");
        let stdout = process.stdout.take().expect("it was asked for");
        let url = said(stdout, "serving http://").await;
        let address = url.trim_end_matches("/metrics").to_owned();
        Self {
            address,
            _process: process,
        }
    }
}

/// A Prometheus that reads one example, as the example's own settings have it.
pub(crate) struct Prometheus {
    url: String,
    http: reqwest::Client,
    _process: Child,
    _folder: TempDir,
}

impl Prometheus {
    /// # Panics
    /// If Prometheus is not installed: no test passes without the part that it is about.
    pub(crate) async fn start(target: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        let folder = folder.expect("cargo has made this folder");
        let example = std::path::Path::new(EXAMPLE);
        let settings = std::fs::read_to_string(example.join("prometheus.yml"));
        let settings = settings.expect("it is there");
        let of_people = "127.0.0.1:9464";
        assert!(settings.contains(of_people) && settings.contains("[alarms.yml]"));
        let rules = example.join("alarms.yml").display().to_string();
        let settings = settings.replace(of_people, target);
        let settings = settings.replace("alarms.yml", &rules);
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, settings).expect("it can be written");
        let mut process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .arg(format!("--web.console.templates={EXAMPLE}/console"))
            .arg(format!("--web.console.libraries={EXAMPLE}/console"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{error}; {INSTALL}"));
        let stderr = process.stderr.take().expect("it was asked for");
        let address = said(stderr, "msg=\"Listening on\" address=").await;
        let prometheus = Self {
            url: format!("http://{address}"),
            http: reqwest::Client::new(),
            _process: process,
            _folder: folder,
        };
        prometheus.until_ready().await;
        prometheus
    }

    /// It listens before it answers questions.
    async fn until_ready(&self) {
        let ready = timeout(LIMIT, async {
            let is_ready = async || {
                let answer = self.http.get(self.at("/-/ready")).send().await;
                answer.is_ok_and(|answer| answer.status() == 200)
            };
            while !is_ready().await {
                sleep(Duration::from_millis(50)).await;
            }
        });
        ready.await.expect("Prometheus does not become ready");
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// What its API answers: the member `data`.
    pub(crate) async fn ask(&self, path: &str, parameter: (&str, &str)) -> Value {
        let url = reqwest::Url::parse_with_params(&self.at(path), [parameter]);
        let url = url.expect("an address of its own");
        let answer = self.http.get(url).send().await.expect("it is up");
        let text = answer.text().await.expect("the answer is whole");
        let mut answer: Value = serde_json::from_str(&text).expect("it speaks JSON");
        assert_eq!(answer["status"], "success", "{parameter:?}: {text}");
        answer["data"].take()
    }

    /// The value of an expression; `None` if there is none yet.
    pub(crate) async fn value(&self, expression: &str) -> Option<f64> {
        let data = self.ask("/api/v1/query", ("query", expression)).await;
        data["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

/// What `promtool` says of a file of the example.
pub(crate) async fn promtool(arguments: [&str; 3]) -> (bool, String) {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(EXAMPLE)
        .output()
        .await
        .unwrap_or_else(|error| panic!("{error}; {INSTALL}"));
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// What a process says after these words; all else that it says is read as well, so that it goes on.
async fn said(stream: impl AsyncRead + Unpin + Send + 'static, words: &str) -> String {
    let mut lines = BufReader::new(stream).lines();
    let found = timeout(LIMIT, async {
        let mut all = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some((_, rest)) = line.split_once(words) {
                return rest.to_owned();
            }
            all.push_str(&line);
            all.push('\n');
        }
        panic!("it ended before it said {words:?}:\n{all}")
    });
    let found = found.await.expect("it does not say that it is ready");
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    found
}
