//! Keys and assertions in files that something else replaces.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, Error, ErrorKind, Event, SecretSource, Signer,
    SigningAlgorithm, SigningKey, SigningKeyFile, TokenEndpoint, TokenOptions, TokenRequest,
    TokenSource,
};

use crate::support::api::Api;
use crate::support::authorization_server::AuthorizationServer;
use crate::support::until;
use crate::{header, pem, verifies};

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("reqwest-bearer-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Replaces a file at once, as careful people do.
    fn replace(&self, name: &str, text: &str) {
        let beside = self.path("beside");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.path(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn generated() -> (SigningKey, String) {
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let pem = key.to_pem().unwrap();
    (key, pem.expose().to_owned())
}

fn assertion_of(server: &AuthorizationServer, number: usize) -> String {
    server.requests()[number].field("client_assertion").unwrap()
}

async fn asked(endpoint: &TokenEndpoint) -> Result<(), Error> {
    let request = TokenRequest::new("client_credentials");
    endpoint.request_token(request).await.map(drop)
}

#[tokio::test]
async fn a_key_that_is_replaced_under_load_signs_the_next_attempt_and_no_call_fails() {
    // H2
    let (server, folder) = (AuthorizationServer::start().await, Folder::new("load"));
    let api = Api::start(&server).await;
    let keys: Vec<_> = (0..5).map(|_| generated()).collect();
    folder.replace("key.pem", &keys[0].1);
    let file = SigningKeyFile::new(folder.path("key.pem"));
    let client = ClientAuthentication::private_key_jwt("me", file);
    let endpoint = TokenEndpoint::new(server.token_url(), client).unwrap();
    let named = api.client(ClientCredentials::new(endpoint));

    let (ends, calls) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let (named, ends, calls) = (named.clone(), ends.clone(), calls.clone());
            tokio::spawn(async move {
                while !ends.load(Ordering::SeqCst) {
                    // Each caller has tokens of its own, and wants a new one each time.
                    let options = TokenOptions::new()
                        .scope(format!("s{caller}"))
                        .force_refresh();
                    let answer = named.get("x").with_extension(options).send().await;
                    assert_eq!(answer.unwrap().status(), 200);
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for (number, (_, pem)) in keys.iter().enumerate() {
        folder.replace("key.pem", pem);
        let (replaced_at, called) = (server.token_requests(), calls.load(Ordering::SeqCst));
        // An attempt of each caller may have read the file before; whatever comes then has not.
        until(async || server.token_requests() > replaced_at + 16).await;
        until(async || calls.load(Ordering::SeqCst) > called + 16).await;
        for request in replaced_at + 8..replaced_at + 16 {
            let assertion = assertion_of(&server, request);
            assert!(verifies(&assertion, &keys[number].0), "key {number}");
        }
    }
    ends.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_away_half_written_or_wrong_keeps_the_last_good_key_and_is_told() {
    // H2, H8
    let (server, folder) = (AuthorizationServer::start().await, Folder::new("wrong"));
    let (key, pem) = generated();
    let (next, next_pem) = generated();
    folder.replace("key.pem", &pem);
    let told: Arc<Mutex<Vec<Error>>> = Arc::default();
    let telling = told.clone();
    let file = SigningKeyFile::new(folder.path("key.pem"));
    let client = ClientAuthentication::private_key_jwt("me", file);
    let endpoint = TokenEndpoint::new(server.token_url(), client).unwrap();
    let source = TokenSource::builder(ClientCredentials::new(endpoint))
        .on_event(move |event| {
            if let Event::SigningKeyUnreadable { source, error, .. } = event {
                assert_eq!(&**source, "keys");
                telling.lock().unwrap().push(error.clone());
            }
        })
        .name("keys")
        .build()
        .unwrap();
    let options = || TokenOptions::new().force_refresh();
    source.token_with(&options()).await.unwrap();
    assert!(told.lock().unwrap().is_empty());

    let half = pem[..pem.len() / 2].to_owned();
    for (written, expected) in [
        (Some(half.as_str()), "is cut off"),
        (Some("\n"), "is empty"),
        (Some(pem!("public")), "is a public key"),
        (Some(pem!("rsa_1024")), "fewer than the 2048 bits"),
        (Some("{"), "is cut off"),
        (None, "cannot be read"),
    ] {
        match written {
            Some(text) => fs::write(folder.path("key.pem"), text).unwrap(),
            None => fs::remove_file(folder.path("key.pem")).unwrap(),
        }
        source.token_with(&options()).await.unwrap();
        let assertion = assertion_of(&server, server.token_requests() - 1);
        assert!(verifies(&assertion, &key), "{expected}");
        let errors = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(errors.len(), 1, "{expected}");
        let said = format!("{} {:?}", errors[0], errors[0]);
        assert!(said.contains(expected), "{said}");
        assert!(said.contains("key.pem"), "{said}");
        assert!(!said.contains(pem.lines().nth(1).unwrap()));
    }

    folder.replace("key.pem", &next_pem);
    source.token_with(&options()).await.unwrap();
    let assertion = assertion_of(&server, server.token_requests() - 1);
    assert!(verifies(&assertion, &next));
    assert!(told.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_file_without_a_good_key_before_is_an_error_and_may_be_asked_again() {
    // H2
    let (server, folder) = (AuthorizationServer::start().await, Folder::new("none"));
    let path = folder.path("key.pem");
    let client = ClientAuthentication::private_key_jwt("me", SigningKeyFile::new(&path));
    let endpoint = TokenEndpoint::new(server.token_url(), client).unwrap();
    for (written, kind) in [
        (None, ErrorKind::Unavailable),
        (Some(""), ErrorKind::Unavailable),
        (Some(pem!("certificate")), ErrorKind::Settings),
    ] {
        if let Some(text) = written {
            fs::write(&path, text).unwrap();
        }
        let error = asked(&endpoint).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("key.pem"), "{error}");
    }
    assert_eq!(server.token_requests(), 0);
    let (key, pem) = generated();
    folder.replace("key.pem", &pem);
    asked(&endpoint).await.unwrap();
    assert!(verifies(&assertion_of(&server, 0), &key));
}

#[tokio::test]
async fn the_settings_of_a_file_hold_for_whatever_is_in_it() {
    // H2
    let (server, folder) = (AuthorizationServer::start().await, Folder::new("settings"));
    folder.replace("key", pem!("rsa_pkcs1"));
    folder.replace("certificate", pem!("certificate"));
    let file = SigningKeyFile::new(folder.path("key"))
        .certificates(folder.path("certificate"))
        .key_id("from the settings")
        .algorithm(SigningAlgorithm::Ps512);
    let client = ClientAuthentication::private_key_jwt("me", file.clone());
    let endpoint = TokenEndpoint::new(server.token_url(), client).unwrap();
    asked(&endpoint).await.unwrap();
    folder.replace("key", include_str!("keys/rsa.jwk.json"));
    asked(&endpoint).await.unwrap();
    // A key on a curve cannot sign by it, so the one before does.
    folder.replace("key", pem!("ed25519"));
    asked(&endpoint).await.unwrap();
    let key = SigningKey::from_pem(pem!("rsa_pkcs8")).unwrap();
    let key = key.with_algorithm(SigningAlgorithm::Ps512).unwrap();
    for number in 0..3 {
        let assertion = assertion_of(&server, number);
        let header = header(&assertion);
        assert_eq!(header["kid"], "from the settings");
        assert_eq!(header["alg"], key.algorithm().as_str());
        assert!(header["x5t#S256"].is_string());
        assert!(verifies(&assertion, &key));
    }
    assert!(!format!("{file:?}").contains("BEGIN"));
}

#[tokio::test]
async fn a_workload_s_token_is_read_at_each_attempt_wherever_the_link_leads() {
    // H4
    let (server, folder) = (AuthorizationServer::start().await, Folder::new("workload"));
    let path = folder.path("token");
    let token = SecretSource::file(&path);
    for (kind, client) in [
        (
            "jwt-bearer",
            ClientAuthentication::client_assertion("me", token.clone()),
        ),
        (
            "jwt-spiffe",
            ClientAuthentication::jwt_svid("spiffe://a.test/me", token),
        ),
    ] {
        let endpoint = TokenEndpoint::new(server.token_url(), client);
        let endpoint = endpoint.unwrap();
        for token in ["first", "second"] {
            // As Kubernetes does it: the name is a link, and the link is replaced.
            fs::write(folder.path(token), format!("{token}\n")).unwrap();
            symlink(folder.path(token), folder.path("link")).unwrap();
            fs::rename(folder.path("link"), &path).unwrap();
            asked(&endpoint).await.unwrap();
            let request = server.requests().pop().unwrap();
            let expected = format!("urn:ietf:params:oauth:client-assertion-type:{kind}");
            assert_eq!(request.field("client_assertion_type"), Some(expected));
            assert_eq!(request.field("client_assertion").as_deref(), Some(token));
            assert!(request.field("client_id").is_some());
        }
    }
}
