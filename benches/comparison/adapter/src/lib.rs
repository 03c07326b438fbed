//! Lets the harness ask a library of Rust: reads commands, makes the calls, and says what became of them.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::task::{AbortHandle, JoinSet};

/// Where everything is, and who the client is.
#[derive(Clone, Deserialize)]
pub struct Setup {
    pub token_url: String,
    pub api: String,
    pub client_id: String,
    pub client_secret: String,
    /// The client refreshes this one, in place of its own credentials.
    pub refresh_token: Option<String>,
}

/// One call of the API.
#[derive(Clone)]
pub struct Call {
    pub method: &'static str,
    pub url: String,
}

impl Call {
    /// A GET has none.
    pub fn body(&self) -> &'static str {
        match self.method {
            "POST" => r#"{"order":42}"#,
            _ => "",
        }
    }
}

/// A call without an answer.
pub struct Failure {
    /// The library tells apart that the user has to sign in again.
    ended: bool,
    text: String,
}

impl Failure {
    pub fn of(error: impl Display) -> Self {
        let text = error.to_string();
        Self { ended: false, text }
    }

    pub fn ended(error: impl Display) -> Self {
        let text = error.to_string();
        Self { ended: true, text }
    }
}

/// A library, used as its documents say.
pub trait Library: Send + Sync + Sized + 'static {
    /// `Err` says what the library cannot do.
    fn new(setup: Setup) -> impl Future<Output = Result<Self, String>> + Send;

    /// The status of the answer.
    fn call(&self, call: Call) -> impl Future<Output = Result<u16, Failure>> + Send;

    /// The header's text, or what comes next to it, without a call: false where there is no such way.
    fn header(&self) -> impl Future<Output = bool> + Send;

    /// What a program has in its hands, as it would log it.
    fn debug(&self) -> String;
}

/// Serves the harness until it closes the input.
pub fn serve<L: Library>() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(serve_commands::<L>());
    // Whatever the library still does ends with the process.
    std::process::exit(0);
}

async fn serve_commands<L: Library>() {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut library: Option<Arc<L>> = None;
    let mut api = String::new();
    let mut started: Option<AbortHandle> = None;
    while let Ok(Some(line)) = lines.next_line().await {
        let command: Value = serde_json::from_str(&line).expect("the harness writes JSON");
        let known = || library.clone().expect("`setup` comes first");
        let answer = match command["do"].as_str().expect("a word") {
            "setup" => {
                let setup: Setup = serde_json::from_value(command).expect("all that is needed");
                api = setup.api.clone();
                match L::new(setup).await {
                    Ok(made) => {
                        library = Some(Arc::new(made));
                        json!({})
                    }
                    Err(reason) => json!({"cannot": reason}),
                }
            }
            "call" => calls(known(), &command, &api).await,
            "start" => {
                let (library, call) = (known(), call_of(&command, &api));
                let task = tokio::spawn(async move { library.call(call).await.is_ok() });
                started = Some(task.abort_handle());
                json!({})
            }
            "drop" => {
                started.take().expect("`start` comes first").abort();
                json!({"dropped": true})
            }
            "debug" => json!({"text": known().debug()}),
            "headers" => {
                let library = known();
                let mut can = true;
                for _ in 0..command["count"].as_u64().expect("a number") {
                    can &= library.header().await;
                }
                json!({"can": can})
            }
            other => panic!("unknown: {other}"),
        };
        let mut output = tokio::io::stdout();
        let line = format!("{answer}\n");
        let written = output.write_all(line.as_bytes()).await;
        written.expect("the harness reads the answers");
        output.flush().await.expect("the harness reads the answers");
    }
}

fn call_of(command: &Value, api: &str) -> Call {
    let method = match command["method"].as_str() {
        Some("POST") => "POST",
        _ => "GET",
    };
    let path = command["path"].as_str().unwrap_or("/orders");
    Call {
        method,
        url: format!("{api}{path}"),
    }
}

async fn calls<L: Library>(library: Arc<L>, command: &Value, api: &str) -> Value {
    let call = call_of(command, api);
    let mut tasks = JoinSet::new();
    for _ in 0..command["count"].as_u64().expect("a number") {
        let (library, call) = (library.clone(), call.clone());
        tasks.spawn(async move {
            let began = Instant::now();
            let result = library.call(call).await;
            let ms = u64::try_from(began.elapsed().as_millis()).expect("it is short");
            match result {
                Ok(status) => json!({"status": status, "ms": ms}),
                Err(failure) => {
                    json!({"error": failure.text, "ended": failure.ended, "ms": ms})
                }
            }
        });
    }
    json!({"calls": tasks.join_all().await})
}
