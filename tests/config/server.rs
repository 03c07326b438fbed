//! One server in this process that is the authorization server and the API, and keeps what it was sent.

use std::sync::{Arc, Mutex};

use reqwest_bearer::{NamedClients, NamedClientsConfig};
use serde_json::json;

use crate::support::http_server::{HttpServer, Reply, Seen};

pub(crate) struct Server {
    http: HttpServer,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let kept = seen.clone();
        let http = HttpServer::start(move |request: Seen| {
            let is_token_request = request.path.starts_with("/token");
            let kind = "urn:ietf:params:oauth:token-type:access_token";
            kept.lock().unwrap().push(request);
            let reply = Reply::new(200);
            let answer = json!({
                "access_token": "t1", "token_type": "Bearer", "expires_in": 3600, "issued_token_type": kind,
            });
            std::future::ready(Some(if is_token_request {
                reply.json(&answer)
            } else {
                reply
            }))
        });
        Self {
            http: http.await,
            seen,
        }
    }

    pub(crate) fn url(&self) -> &str {
        self.http.url()
    }

    /// What came since the last time.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The configuration of this text, in which `URL` stands for the server's.
    pub(crate) fn config(&self, toml: &str) -> NamedClientsConfig {
        config(&toml.replace("URL", self.url()))
    }
}

pub(crate) fn config(toml: &str) -> NamedClientsConfig {
    toml::from_str(toml).unwrap()
}

/// The message of a configuration that cannot be used.
pub(crate) fn fault(toml: &str) -> String {
    wrong(config(toml).build())
}

/// The message of what should not have been made.
pub(crate) fn wrong(outcome: Result<NamedClients, reqwest_bearer::Error>) -> String {
    match outcome {
        Ok(made) => panic!("{made:?} was made"),
        Err(error) => {
            assert_eq!(error.kind(), reqwest_bearer::ErrorKind::Settings);
            error.to_string()
        }
    }
}
