//! A third real authorization server: `django-oauth-toolkit`, which many sites in Python run.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use reqwest::{Client, Url};
use serde::Deserialize;

use crate::device_pages::{Browser, hidden};
use crate::{Credentials, Folder, installed_python, plain_client};

/// A running server with `device.py`. It ends with this, and also when the test process is killed, because that
/// closes its standard input.
#[derive(Debug)]
pub struct DjangoServer {
    origin: String,
    http: Client,
    process: Child,
    _folder: Folder,
}

#[derive(Deserialize)]
struct Ready {
    origin: String,
}

impl DjangoServer {
    /// A client without a secret, for devices.
    pub const PUBLIC: Credentials = Credentials {
        id: "device-client",
        secret: "",
    };
    /// A client with a secret, for devices.
    pub const CONFIDENTIAL: Credentials = Credentials {
        id: "device-secret-client",
        secret: "device-secret",
    };

    /// Starts a server with an empty database. Panics, with a plain message, when it is not installed.
    #[must_use]
    pub fn start() -> Self {
        let (programs, python) = installed_python();
        let folder = Folder::new();
        let mut process = Command::new(python)
            .arg(programs.join("device.py"))
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python is installed but does not start");
        let stdout = process
            .stdout
            .take()
            .expect("standard output was asked for");
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        read.expect("its output can be read");
        let ready: Ready = serde_json::from_str(&line)
            .expect("django-oauth-toolkit ended before it was ready; its reason stands above");
        Self {
            origin: ready.origin,
            http: plain_client(),
            process,
            _folder: folder,
        }
    }

    /// A URL of the server.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Types the code on the page, signed in as `alice`, and agrees; or says no.
    pub async fn answer_device(&self, page: &Url, user_code: &str, agrees: bool) {
        let mut browser = Browser::new(&self.http);
        let (page, form) = browser.get(page.clone()).await;
        let token = ("csrfmiddlewaretoken", hidden(&form, "csrfmiddlewaretoken"));
        let (page, form) = browser.post(page, &[token, ("user_code", user_code)]).await;
        let token = ("csrfmiddlewaretoken", hidden(&form, "csrfmiddlewaretoken"));
        let (action, expected) = if agrees {
            ("accept", "Device Authorized")
        } else {
            ("deny", "Device Denied")
        };
        let (_, said) = browser.post(page, &[token, ("action", action)]).await;
        assert!(said.contains(expected), "{said}");
    }
}

impl Drop for DjangoServer {
    fn drop(&mut self) {
        // Before its folder goes.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
