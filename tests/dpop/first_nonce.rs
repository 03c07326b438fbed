//! H6 at servers that spend a refresh token before they judge the proof: the first nonce is had by a request that
//! spends nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, ClientCredentials, DpopKey, ErrorKind, Event,
    MemoryStore, TokenEndpoint, TokenOptions, TokenSource, TokenSourceBuilder, UserSessions,
};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::server::Servers;
use crate::sessions::subject;
use crate::support::http_server::Reply;
use crate::support::{soon, time_passes, until};

impl Servers {
    /// An endpoint whose server is asked for a nonce before anything is spent.
    fn careful(&self) -> TokenEndpoint {
        self.endpoint_of(ClientAuthentication::none("client"))
            .revocation_url(self.issuer.url("/revoke"))
            .dpop_nonce_first()
            .build()
            .unwrap()
    }

    /// The paths of the requests so far, each up to its query.
    fn paths(&self) -> Vec<String> {
        let seen = self.issuer.seen();
        let path = |path: &str| path.split('?').next().unwrap().to_owned();
        seen.iter().map(|seen| path(&seen.path)).collect()
    }
}

/// The messages of the events that say why there is no nonce.
fn told(builder: TokenSourceBuilder) -> (TokenSource, Arc<Mutex<Vec<String>>>) {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let telling = told.clone();
    let source = builder.on_event(move |event| {
        if let Event::NoDpopNonce { error, .. } = event {
            telling.lock().unwrap().push(error.to_string());
        }
    });
    (source.build().unwrap(), told)
}

fn anew() -> TokenOptions {
    TokenOptions::new().force_refresh()
}

#[tokio::test]
async fn a_server_that_spends_first_is_asked_for_a_nonce_by_a_request_that_spends_nothing() {
    // H6
    let servers = Servers::start().await;
    servers
        .issuer
        .demand("n-1")
        .door(|door| door.spends_first = true);
    let (source, told) = told(servers.refreshing_builder(servers.careful()));
    source.token().await.unwrap();
    source.token_with(&anew()).await.unwrap();
    assert_eq!(servers.paths(), ["/revoke", "/token", "/token"]);
    assert_eq!(
        servers.issuer.nonces(),
        [None, Some("n-1".to_owned()), Some("n-1".to_owned())]
    );
    let seen = servers.issuer.seen();
    let random = seen[0].field("token").unwrap();
    assert!(random.len() >= 22 && !random.contains("refresh-"));
    assert_eq!(servers.reuses(), 0);
    assert_eq!(*told.lock().unwrap(), Vec::<String>::new());
    servers.assert_no_faults();
}

#[tokio::test]
async fn a_code_is_no_more_at_risk_than_a_refresh_token() {
    // H6
    let servers = Servers::start().await;
    servers
        .issuer
        .demand("n-1")
        .door(|door| door.spends_first = true);
    let key = DpopKey::generate().unwrap();
    let code = AuthorizationCode::new(servers.code(key.thumbprint())).dpop(&key);
    code.exchange(&servers.careful()).await.unwrap();
    assert_eq!(servers.paths(), ["/revoke", "/token"]);
}

#[tokio::test]
async fn refreshes_that_begin_at_once_share_the_request_for_the_nonce() {
    // H6
    let servers = Servers::start().await;
    servers
        .issuer
        .demand("n-1")
        .door(|door| door.spends_first = true);
    let users = UserSessions::builder(&servers.careful())
        .store(MemoryStore::new())
        .clock(&servers.clock)
        .dpop()
        .build()
        .unwrap();
    let names: Vec<_> = (0..8).map(|number| format!("user-{number}")).collect();
    for name in &names {
        // By another endpoint, as in a process before.
        let key = DpopKey::generate().unwrap();
        let code = AuthorizationCode::new(servers.code(key.thumbprint())).dpop(&key);
        servers.issuer.door(|door| door.spends_first = false);
        let tokens = code.exchange(&servers.endpoint()).await.unwrap();
        servers.issuer.door(|door| door.spends_first = true);
        users.sign_in(&subject(name), tokens).await.unwrap();
    }
    let before = servers.issuer.requests();
    // Held, so that all of them wait for the first.
    let gate = Arc::new(Semaphore::new(0));
    servers.issuer.door(|door| door.gate = Some(gate.clone()));
    let calls: Vec<_> = names
        .iter()
        .map(|name| {
            let handle = users.for_subject(&subject(name));
            tokio::spawn(async move { handle.token_with(&anew()).await.map(drop) })
        })
        .collect();
    until(async || servers.issuer.requests() == before + 1).await;
    gate.add_permits(1_000);
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
    let paths = servers.paths().split_off(before);
    let revocations = paths.iter().filter(|path| *path == "/revoke").count();
    assert_eq!((revocations, paths.len()), (1, 1 + names.len()));
    assert_eq!(servers.reuses(), 0);
    servers.assert_no_faults();
}

#[tokio::test]
async fn a_nonce_that_cannot_be_had_costs_no_refresh_and_is_told() {
    // H6: a server that gives none is not asked again; one that is busy is, or that refuses the client.
    for (answer, asked) in [
        (Reply::new(200), 1),
        (Reply::new(400), 1),
        (Reply::new(401), 2),
        (Reply::new(503), 2),
        (Reply::new(429), 2),
    ] {
        let servers = Servers::start().await;
        let (source, told) = told(servers.refreshing_builder(servers.careful()));
        for refresh in 1..=2 {
            if refresh <= asked {
                servers.issuer.then(answer.clone());
            }
            soon(source.token_with(&anew())).await.unwrap();
        }
        assert_eq!(servers.issuer.requests(), 2 + asked, "{}", answer.status);
        let told = told.lock().unwrap();
        assert_eq!(told.len(), asked, "{told:?}");
        assert!(told[0].contains("no DPoP nonce"), "{told:?}");
        assert_eq!(servers.reuses(), 0);
    }
}

#[tokio::test]
async fn a_server_that_gives_no_answer_to_it_holds_the_refresh_up_for_a_quarter_of_an_attempt() {
    // H6
    let servers = Servers::start().await;
    let gate = Arc::new(Semaphore::new(0));
    servers.issuer.door(|door| door.gate = Some(gate.clone()));
    let (source, told) = told(servers.refreshing_builder(servers.careful()));
    let call = tokio::spawn(async move { source.token().await.map(drop) });
    until(async || servers.issuer.requests() == 1).await;
    servers.issuer.door(|door| door.gate = None);
    time_passes(&servers.clock, Duration::from_millis(2_499)).await;
    assert_eq!(servers.issuer.requests(), 1);
    servers.clock.advance(Duration::from_millis(1));
    soon(call).await.unwrap().unwrap();
    assert_eq!(servers.paths(), ["/revoke", "/token"]);
    let told = told.lock().unwrap();
    assert!(told[0].contains("no DPoP nonce in time"), "{told:?}");
    assert_eq!(servers.reuses(), 0);
}

#[tokio::test]
async fn what_spends_nothing_needs_no_request_before_it() {
    // H6
    let servers = Servers::start().await;
    servers.issuer.demand("n-1");
    let grant = ClientCredentials::new(servers.careful());
    let source = TokenSource::builder(grant)
        .clock(&servers.clock)
        .dpop(&servers.key);
    source.build().unwrap().token().await.unwrap();
    assert_eq!(servers.paths(), ["/token", "/token"]);
}

#[test]
fn a_setting_by_which_no_nonce_could_come_is_an_error() {
    // H6
    let builder = || TokenEndpoint::builder(ClientAuthentication::none("client"));
    let at = |url: &str| {
        let builder = builder().token_url("https://as.example.com/token");
        builder.revocation_url(url).dpop_nonce_first().build()
    };
    let none = builder()
        .token_url("https://as.example.com/token")
        .dpop_nonce_first()
        .build();
    for refused in [none, at("https://other.example.com/revoke")] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings);
        assert!(error.to_string().contains("dpop_nonce_first"), "{error}");
    }
    at("https://as.example.com/revoke").unwrap();
    let discovered = builder().issuer("https://as.example.com");
    discovered.dpop_nonce_first().build().unwrap();
}

#[tokio::test]
async fn a_document_that_names_no_revocation_endpoint_of_that_origin_is_told() {
    // H6
    for revocation in [json!(null), json!("http://127.0.0.2:9/revoke")] {
        let servers = Servers::start().await;
        let issuer = servers.issuer.url("");
        let document = json!({
            "issuer": issuer,
            "token_endpoint": servers.issuer.url("/token"),
            "revocation_endpoint": revocation,
        });
        // The second well-known place is asked for what the first one lacks.
        servers.issuer.then(Reply::new(200).json(&document));
        if revocation.is_null() {
            servers.issuer.then(Reply::new(404));
        }
        let client = ClientAuthentication::none("client");
        let endpoint = TokenEndpoint::builder(client)
            .issuer(issuer)
            .dpop_nonce_first()
            .clock(&servers.clock);
        let builder = servers.refreshing_builder(endpoint.build().unwrap());
        let (source, told) = told(builder);
        source.token().await.unwrap();
        let told = told.lock().unwrap();
        assert!(told[0].contains("revocation endpoint"), "{told:?}");
        assert!(!servers.paths().contains(&"/revoke".to_owned()));
    }
}
