//! Certificates in files that are replaced while the process runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use real_parts::{CertificateAuthority, Certified};
use reqwest_bearer::{
    ClientAuthentication, ClientCertificate, ClientCredentials, ErrorKind, NamedClient,
    TokenOptions, TokenSource,
};

use crate::server::Server;
use crate::{Files, Told, api, causes, endpoint, ours};

/// How often is looked whether something has happened.
const PACE: Duration = Duration::from_millis(2);

fn source(
    server: &Server,
    authority: &CertificateAuthority,
    certificate: &ClientCertificate,
    told: &Told,
) -> TokenSource {
    let client = ClientAuthentication::tls_client_auth("my-client", certificate);
    TokenSource::builder(ClientCredentials::new(endpoint(server, authority, client)))
        .on_event(told.hook())
        .build()
        .unwrap()
}

async fn anew(source: &TokenSource) {
    let anew = TokenOptions::new().force_refresh();
    source.token_with(&anew).await.unwrap();
}

#[tokio::test]
async fn from_the_moment_that_files_are_replaced_no_request_goes_by_a_connection_of_the_old_ones() {
    // H3
    let authority = CertificateAuthority::new();
    let server = Server::start(&authority).await;
    let (old, new) = (authority.client("old"), authority.client("new"));
    let files = Files::with(&old);
    let certificate = files.certificate();
    let source = source(&server, &authority, &certificate, &Told::default());
    let api = api(&server, &authority, &source, &certificate);
    for _ in 0..3 {
        assert_eq!(api.get("orders").send().await.unwrap().status(), 200);
    }
    files.replace(&new);
    // A token request reads them, and the next call has the new ones.
    anew(&source).await;
    for _ in 0..3 {
        assert_eq!(api.get("orders").send().await.unwrap().status(), 200);
    }
    let (old, new) = (Some(old.thumbprint), Some(new.thumbprint));
    let seen = server.seen_at("/api/orders");
    let came_by: Vec<_> = seen.iter().map(|seen| seen.certificate.clone()).collect();
    let all = [&old, &old, &old, &new, &new, &new];
    assert_eq!(came_by.iter().collect::<Vec<_>>(), all);
    // They are kept as long as they are good: one connection for each.
    let connections: Vec<_> = seen.iter().map(|seen| seen.connection).collect();
    assert_eq!(connections[0], connections[2]);
    assert_eq!(connections[3], connections[5]);
    assert_eq!(server.certificates_at("/mtls/token"), [old, new]);
}

#[tokio::test]
async fn an_api_that_refuses_the_old_ones_is_enough_to_have_the_new_ones_read() {
    // H3, C1
    let authority = CertificateAuthority::new();
    let server = Server::start(&authority).await;
    let (old, new) = (authority.client("old"), authority.client("new"));
    let files = Files::with(&old);
    // Two values of the same files, which know nothing of each other.
    let source = source(&server, &authority, &files.certificate(), &Told::default());
    let api = api(&server, &authority, &source, &files.certificate());
    assert_eq!(api.get("orders").send().await.unwrap().status(), 200);
    files.replace(&new);
    anew(&source).await;
    assert_eq!(api.get("orders").send().await.unwrap().status(), 200);
    let came_by = server.certificates_at("/api/orders");
    let (old, new) = (Some(old.thumbprint), Some(new.thumbprint));
    assert_eq!(came_by, [old.clone(), old, new]);
}

#[tokio::test]
async fn files_that_are_of_no_use_leave_the_ones_before_in_their_place_and_are_told() {
    // H3
    let authority = CertificateAuthority::new();
    let server = Server::start(&authority).await;
    let (old, new) = (authority.client("old"), authority.client("new"));
    let files = Files::with(&old);
    let told = Told::default();
    let certificate = files.certificate();
    let source = source(&server, &authority, &certificate, &told);
    anew(&source).await;
    assert_eq!(told.take(), Vec::<String>::new());
    let cut_off = &new.certificate[..new.certificate.len() / 2];
    for (name, text, said) in [
        ("tls.crt", "", "is empty"),
        ("tls.crt", cut_off, "cut off"),
        ("tls.crt", &new.certificate, "is of another key"),
        (
            "tls.crt",
            "-----BEGIN A-----\nAAAA\n-----END A-----\n",
            "no certificate",
        ),
        ("tls.key", &new.certificate, "is a certificate"),
        ("tls.key", "what is this", "has no private key"),
    ] {
        files.replace(&old);
        files.put(name, text);
        anew(&source).await;
        let told = told.take();
        assert_eq!(told.len(), 1, "{name}: {text}");
        assert!(told[0].contains(said), "{said}: {}", told[0]);
        assert!(!told[0].contains(new.key.lines().nth(1).unwrap()));
    }
    std::fs::remove_file(files.folder.join("tls.key")).unwrap();
    anew(&source).await;
    assert!(told.take()[0].contains("cannot be read"));
    files.replace(&new);
    anew(&source).await;
    assert_eq!(told.take(), Vec::<String>::new());
    let came_by = server.certificates_at("/mtls/token");
    let old = vec![Some(old.thumbprint); 8];
    assert_eq!(came_by[..8], old);
    assert_eq!(came_by[8..], [Some(new.thumbprint)]);
}

#[tokio::test]
async fn an_api_s_certificate_that_is_of_no_use_is_told_by_the_source_of_its_tokens() {
    // H3
    let authority = CertificateAuthority::new();
    let server = Server::start(&authority).await;
    let old = authority.client("old");
    let files = Files::with(&old);
    let told = Told::default();
    let at_login = Files::with(&old);
    let source = source(&server, &authority, &at_login.certificate(), &told);
    let api = api(&server, &authority, &source, &files.certificate());
    assert_eq!(api.get("orders").send().await.unwrap().status(), 200);
    assert_eq!(told.take(), Vec::<String>::new());
    files.put("tls.crt", "half");
    // The next token is bound to another one, so that the API refuses it, and the files are read.
    at_login.replace(&authority.client("new"));
    anew(&source).await;
    assert_eq!(api.get("orders").send().await.unwrap().status(), 401);
    let told = told.take();
    assert!(told[0].contains("has no certificate"), "{told:?}");
    let came_by = server.certificates_at("/api/orders");
    assert_eq!(came_by, vec![Some(old.thumbprint); 3]);
}

#[tokio::test]
async fn files_that_never_were_good_are_an_error_that_may_be_asked_again() {
    // H3
    let authority = CertificateAuthority::new();
    let server = Server::start(&authority).await;
    let own = authority.client("my-client");
    let files = Files::with(&own);
    files.put("tls.key", "");
    let certificate = files.certificate();
    let at_login = ClientCertificate::from_pem(own.pem()).unwrap();
    let source = source(&server, &authority, &at_login, &Told::default());
    let api = api(&server, &authority, &source, &certificate);
    let error = api.get("orders").send().await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Unavailable);
    let text = causes(&error);
    assert!(text.contains("tls.key is empty"), "{text}");
    assert!(server.seen_at("/api/orders").is_empty());
    files.replace(&own);
    assert_eq!(api.get("orders").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_certificate_that_is_replaced_under_load_fails_no_call() {
    // H3
    let authority = CertificateAuthority::new();
    let server = Server::start(&authority).await;
    let all: Vec<_> = (0..=CHANGES).map(|_| authority.client("me")).collect();
    let files = Files::with(&all[0]);
    let certificate = files.certificate();
    let source = source(&server, &authority, &certificate, &Told::default());
    let api = api(&server, &authority, &source, &certificate);
    replace_under_load(&api, &source, &files, &all[1..]).await;
    let came_by = server.certificates_at("/api/orders");
    let last = came_by.last().expect("a call");
    assert_eq!(last.as_ref(), Some(&all[CHANGES].thumbprint));
}

const CALLERS: usize = 8;
const CHANGES: usize = 10;

/// Each call is answered with 200, while one certificate after the other takes the place of the one before.
pub(crate) async fn replace_under_load(
    api: &NamedClient,
    source: &TokenSource,
    files: &Files,
    next_ones: &[Certified],
) {
    let is_over = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (api, is_over, calls) = (api.clone(), is_over.clone(), calls.clone());
            tokio::spawn(async move {
                while !is_over.load(Ordering::SeqCst) {
                    let answer = api.get("orders").send().await.unwrap();
                    assert_eq!(answer.status(), 200);
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for next in next_ones {
        let enough = calls.load(Ordering::SeqCst) + 20 * CALLERS;
        while calls.load(Ordering::SeqCst) < enough {
            assert!(!callers.iter().any(tokio::task::JoinHandle::is_finished));
            tokio::time::sleep(PACE).await;
        }
        files.replace(next);
        anew(source).await;
    }
    is_over.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
}
