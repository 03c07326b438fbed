//! H5, H7: what callers' tokens are exchanged for, bound to one key of the service.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest_bearer::{
    ClientAuthentication, ErrorKind, Event, ExchangedTokens, ExchangedTokensBuilder,
    NamedExchangeClient, SubjectToken, TokenEndpoint, TokenExchange,
};
use serde_json::json;

use crate::server::Servers;
use crate::support::http_server::{HttpServer, Reply};

fn builder(servers: &Servers) -> ExchangedTokensBuilder {
    let exchange = TokenExchange::new(servers.endpoint());
    let builder = ExchangedTokens::builder(exchange);
    builder.clock(&servers.clock).jitter(0.0)
}

fn caller(token: &str) -> SubjectToken {
    SubjectToken::new(token).unwrap()
}

#[tokio::test]
async fn each_exchange_and_each_sending_for_a_caller_proves_the_service_s_key() {
    // H5, H6, I1: the servers read each proof, and want a nonce in it.
    let servers = Servers::start().await;
    servers.issuer.demand("of-the-issuer");
    servers.api.demand("of-the-api");
    let tokens = builder(&servers).dpop(&servers.key).build().unwrap();
    let api = NamedExchangeClient::new("api", servers.api.url(""), &tokens).unwrap();
    for _ in 0..2 {
        for name in ["alice", "bob"] {
            let call = api.for_subject_token(&caller(name)).get("x?q=1");
            assert_eq!(call.send().await.unwrap().status(), 200);
        }
    }
    servers.assert_no_faults();
    let exchanged = servers.issuer.seen().into_iter();
    let exchanged = exchanged.map(|seen| seen.field("subject_token").unwrap());
    // The first of each origin learns the nonce.
    assert_eq!(exchanged.collect::<Vec<_>>(), ["alice", "alice", "bob"]);
    assert_eq!(
        servers.api.tokens(),
        ["access-1", "access-1", "access-2", "access-1", "access-2"]
    );
    let own = servers.key.thumbprint();
    let proofs = [servers.issuer.proofs(), servers.api.proofs()].concat();
    assert!(proofs.iter().all(|proof| proof.jkt == own));
    // The incoming token is not what is proven.
    assert!(proofs[..3].iter().all(|proof| proof.claim("ath").is_none()));

    // The API's 401: another exchange, with a proof of its own.
    servers.revoke_all();
    let call = api.for_subject_token(&caller("bob")).get("x");
    assert_eq!(call.send().await.unwrap().status(), 200);
    servers.assert_no_faults();
    assert_eq!(servers.issuer.requests(), 4);
}

#[tokio::test]
async fn a_bearer_token_is_an_error_unless_binding_is_but_offered() {
    // H7, I1
    let servers = Servers::start().await;
    servers.token_type("Bearer");
    let tokens = builder(&servers).dpop(&servers.key).build().unwrap();
    let error = tokens.for_subject_token(&caller("alice")).token().await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Protocol);

    let told = Arc::new(AtomicUsize::new(0));
    let telling = told.clone();
    let offering = builder(&servers).offer_dpop(&servers.key);
    let offering = offering.on_event(move |event| {
        let is_told = matches!(event, Event::BearerInsteadOfDpop { .. });
        telling.fetch_add(usize::from(is_told), Ordering::SeqCst);
    });
    let tokens = offering.build().unwrap();
    let token = tokens.for_subject_token(&caller("alice")).token().await;
    let header = token.unwrap().authorization().to_str().unwrap().to_owned();
    assert!(header.starts_with("Bearer "), "{header}");
    assert_eq!(told.load(Ordering::SeqCst), 1);
    servers.assert_no_faults();
}

#[tokio::test]
async fn of_two_servers_the_api_s_alone_gets_a_proof() {
    // H5, I2
    let servers = Servers::start().await;
    let with_proof = Arc::new(Mutex::new(Vec::new()));
    let noting = with_proof.clone();
    let company = HttpServer::start(move |seen| {
        let has_proof = seen.headers.contains_key("dpop");
        noting.lock().unwrap().push(has_proof);
        let answer = Reply::new(200).json(&json!({
            "access_token": "assertion",
            "issued_token_type": "urn:ietf:params:oauth:token-type:id-jag",
            "token_type": "N_A",
        }));
        async { Some(answer) }
    })
    .await;
    let client = ClientAuthentication::client_secret_basic("client", "secret");
    let endpoint = TokenEndpoint::new(format!("{}/token", company.url()), client).unwrap();
    let exchange = TokenExchange::new(endpoint).then_jwt_bearer(servers.endpoint());
    let tokens = ExchangedTokens::builder(exchange).clock(&servers.clock);
    let tokens = tokens.dpop(&servers.key).build().unwrap();
    let api = NamedExchangeClient::new("api", servers.api.url(""), &tokens).unwrap();
    let call = api.for_subject_token(&caller("alice")).get("x");
    assert_eq!(call.send().await.unwrap().status(), 200);
    servers.assert_no_faults();
    assert_eq!(servers.issuer.proofs()[0].jkt, servers.key.thumbprint());
    assert_eq!(*with_proof.lock().unwrap(), [false]);
}
