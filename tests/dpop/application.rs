//! H5, H7: an application's tokens, bound to one key of the process.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Method, Request, Response};
use reqwest_bearer::{
    BearerChallenge, ClientCredentials, DpopKey, Error, ErrorKind, Event, GrantFn, MemoryStore,
    NamedClient, Signer, SigningAlgorithm, SigningKey, TokenOptions, TokenResponse, TokenSet,
    TokenSource, reqwest::Url,
};

use reqwest_middleware::{Middleware, Next};

use crate::proof::Proof;
use crate::server::{Servers, refusal, token};
use crate::support::http_server::Reply;
use crate::support::while_time_passes;

#[tokio::test]
async fn a_token_is_asked_for_and_sent_with_a_proof_of_one_key() {
    // H5: the server reads signature, `htm`, `htu`, `iat`, `ath` and `jti` of each.
    let servers = Servers::start().await;
    let client = servers.client(&servers.source());
    for call in [client.get("x?q=1#f"), client.post("y"), client.get("x?q=1")] {
        assert_eq!(call.send().await.unwrap().status(), 200);
    }
    servers.assert_no_faults();
    assert_eq!(servers.issuer.requests(), 1);
    assert_eq!(servers.api.tokens(), ["access-1"; 3]);
    let proofs = [servers.issuer.proofs(), servers.api.proofs()].concat();
    assert!(
        proofs
            .iter()
            .all(|proof| proof.jkt == servers.key.thumbprint())
    );
    let ids: HashSet<_> = proofs.iter().map(|proof| proof.claim("jti")).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!(proofs[0].claim("ath"), None);
}

#[tokio::test]
async fn a_refresh_token_is_spent_with_a_proof_of_the_same_key() {
    // H5
    let servers = Servers::start().await;
    let source = servers.refreshing();
    let anew = TokenOptions::new().force_refresh();
    for _ in 0..3 {
        source.token_with(&anew).await.unwrap();
    }
    servers.assert_no_faults();
    assert_eq!((servers.issuer.requests(), servers.reuses()), (3, 0));
}

#[tokio::test]
async fn the_resend_with_another_token_has_a_proof_of_its_own() {
    // H5, C1: `ath` is that of the new token.
    let servers = Servers::start().await;
    let source = servers.source();
    source.warm_up().await.unwrap();
    servers.revoke_all();
    let answer = servers.client(&source).get("x").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    servers.assert_no_faults();
    assert_eq!(servers.api.tokens(), ["access-1", "access-2"]);
}

/// A KMS that has signed often enough.
struct Tired {
    key: SigningKey,
    left: AtomicUsize,
}

impl Signer for Tired {
    fn algorithm(&self) -> SigningAlgorithm {
        self.key.algorithm()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let take = |left: usize| left.checked_sub(1);
        let order = Ordering::Relaxed;
        match self.left.fetch_update(order, order, take) {
            Ok(_) => self.key.sign(message).await,
            Err(_) => Err(Error::unavailable("the KMS is tired")),
        }
    }
}

#[tokio::test]
async fn a_key_that_cannot_sign_for_the_resend_leaves_the_caller_the_api_s_answer() {
    // H5, C8: of four proofs, for two tokens and two sendings, the last one fails.
    let servers = Servers::start().await;
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let public = key.public_jwk();
    let left = AtomicUsize::new(3);
    let key = DpopKey::from_signer(Tired { key, left }, &public);
    let grant = ClientCredentials::new(servers.endpoint());
    let source = TokenSource::builder(grant).dpop(&key).build().unwrap();
    servers.api.then(refusal());
    let client = servers.client(&source);
    let answer = client.get("x").send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let reason: &Error = answer.extensions().get().unwrap();
    assert_eq!(reason.kind(), ErrorKind::Unavailable);
    let challenge = answer.extensions().get::<BearerChallenge>();
    assert_eq!(challenge.unwrap().error(), Some("invalid_token"));
    assert_eq!((servers.issuer.requests(), servers.api.requests()), (2, 1));
    // Before it has sent anything, a call fails by itself.
    let error = client.get("x").send().await.unwrap_err();
    let reason = Error::find_in(&error).unwrap();
    assert_eq!(reason.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_body_is_sent_again_with_its_proof() {
    // H5, C1
    let servers = Servers::start().await;
    servers.api.then(refusal());
    let client = servers.client(&servers.source());
    let answer = client.put("x").body("body").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let bodies: Vec<_> = servers
        .api
        .seen()
        .into_iter()
        .map(|seen| seen.body)
        .collect();
    assert_eq!(bodies, ["body", "body"]);
    servers.assert_no_faults();
}

#[tokio::test]
async fn a_bearer_token_is_an_error_where_the_binding_is_required() {
    // H7
    let servers = Servers::start().await;
    for token_type in ["Bearer", "bearer", "", "PoP"] {
        servers.token_type(token_type);
        let source = servers.source();
        let error = servers.client(&source).get("x").send().await.unwrap_err();
        let error = Error::find_in(&error).unwrap();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{token_type}: {error}");
    }
    assert_eq!(servers.api.requests(), 0);
}

#[tokio::test]
async fn a_refresh_that_brings_a_bearer_token_has_spent_its_refresh_token() {
    // H7, E5: it is no token that this source takes, and the server has done its part.
    let servers = Servers::start().await;
    servers.token_type("Bearer");
    let source = servers.refreshing();
    assert_eq!(
        source.token().await.unwrap_err().kind(),
        ErrorKind::Protocol
    );
    assert_eq!((servers.issuer.requests(), servers.reuses()), (1, 0));
}

#[tokio::test]
async fn a_bearer_token_of_any_grant_is_an_error_where_the_binding_is_required() {
    // H7: one that pays no heed to the key.
    let servers = Servers::start().await;
    let grant = GrantFn::new("own", |_| async { Ok(TokenResponse::bearer("t")) });
    let source = TokenSource::builder(grant)
        .dpop(&servers.key)
        .build()
        .unwrap();
    let error = source.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn a_bearer_token_is_sent_as_one_where_the_binding_is_offered_and_that_is_told() {
    // H7
    let servers = Servers::start().await;
    servers.token_type("Bearer");
    let told = Arc::new(Mutex::new(0));
    let telling = told.clone();
    let source = servers
        .builder()
        .offer_dpop(&servers.key)
        .on_event(move |event| {
            if matches!(event, Event::BearerInsteadOfDpop { .. }) {
                *telling.lock().unwrap() += 1;
            }
        })
        .build()
        .unwrap();
    servers.api.then(Reply::new(200));
    let client = servers.client(&source);
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    let seen = servers.api.seen().remove(0);
    assert_eq!(seen.token().as_deref(), Some("access-1"));
    assert!(!seen.headers.contains_key("dpop"));
    assert!(Proof::of(&servers.issuer.seen()[0]).is_ok());
    assert_eq!(*told.lock().unwrap(), 1);
    // And a bound one as one.
    servers.token_type("DPoP");
    source.invalidate(&source.token().await.unwrap());
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    assert_eq!(token(&servers.api.seen()[1]).as_deref(), Some("access-2"));
    assert_eq!(*told.lock().unwrap(), 1);
    servers.assert_no_faults();
}

#[tokio::test]
async fn processes_with_one_key_share_a_token_and_those_with_another_one_do_not() {
    // H5, D8: what an access token is kept under has the thumbprint in it.
    let servers = Servers::start().await;
    let store = Arc::new(MemoryStore::new());
    let call = async |key: Option<&DpopKey>| {
        let source = servers.builder().store(store.clone());
        let source = match key {
            Some(key) => source.dpop(key).build(),
            None => TokenSource::builder(ClientCredentials::new(servers.endpoint()))
                .store(store.clone())
                .build(),
        };
        let source = source.unwrap();
        match source.token().await {
            Ok(_) => servers
                .client(&source)
                .get("x")
                .send()
                .await
                .unwrap()
                .status()
                .as_u16(),
            Err(_) => 0,
        }
    };
    assert_eq!(call(Some(&servers.key)).await, 200);
    assert_eq!(call(Some(&servers.key)).await, 200);
    assert_eq!(servers.issuer.requests(), 1);
    let other = DpopKey::generate().unwrap();
    assert_eq!(call(Some(&other)).await, 200);
    assert_eq!(servers.issuer.requests(), 2);
    servers.assert_no_faults();
    // This server issues nothing without a proof, so that a token could only come out of the store.
    assert_eq!(call(None).await, 0);
    assert_eq!(servers.api.tokens(), ["access-1", "access-1", "access-2"]);
}

#[tokio::test]
async fn a_bearer_token_that_was_brought_along_is_not_sent() {
    // H7
    let servers = Servers::start().await;
    let seed = TokenSet::new("stolen-already").with_refresh_token("refresh-0");
    drop(servers.refreshing());
    let grant = reqwest_bearer::RefreshTokenGrant::from_token_set(servers.endpoint(), seed);
    let source = TokenSource::builder(grant)
        .clock(&servers.clock)
        .dpop(&servers.key)
        .build()
        .unwrap();
    let answer = servers.client(&source).get("x").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(servers.api.tokens(), ["access-1"]);
}

#[tokio::test]
async fn a_token_by_hand_comes_with_its_proofs() {
    // H5, H6
    let servers = Servers::start().await;
    servers.api.demand("n-1");
    let token = servers.source().token().await.unwrap();
    assert_eq!(token.authorization(), "DPoP access-1");
    assert!(token.authorization().is_sensitive());
    assert_eq!(token.expose(), "access-1");
    let url = Url::parse(&servers.api.url("/x?q")).unwrap();
    for status in [401, 200] {
        let proof = token.dpop_proof(&Method::GET, &url).await.unwrap().unwrap();
        assert!(proof.is_sensitive());
        let answer = reqwest::Client::new()
            .get(url.clone())
            .header("authorization", token.authorization())
            .header("dpop", proof)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status);
        token.learn_dpop_nonce(&url, answer.headers());
    }
    servers.assert_no_faults();
    let bearer = TokenSource::from(reqwest_bearer::ConstantToken::new("t").unwrap());
    let bearer = bearer.token().await.unwrap();
    assert_eq!(bearer.dpop_proof(&Method::GET, &url).await.unwrap(), None);
}

/// Sends everything twice, as middleware does that retries.
struct Twice;

#[async_trait]
impl Middleware for Twice {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let copy = request.try_clone().unwrap();
        next.clone().run(request, extensions).await?;
        next.run(copy, extensions).await
    }
}

#[tokio::test]
async fn each_attempt_of_a_retry_has_a_proof_of_its_own() {
    // H5, C12: or the server would take the second one for a replay.
    let servers = Servers::start().await;
    let source = servers.source();
    let client = NamedClient::builder("api", servers.api.url(""), &source).before(Twice);
    let client = client.build().unwrap();
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    assert_eq!(servers.api.requests(), 2);
    servers.assert_no_faults();
}

#[tokio::test]
async fn a_key_elsewhere_that_hangs_or_panics_costs_a_call_its_time_and_nothing_else() {
    // H5, B13
    /// A KMS, and how it does.
    #[derive(Clone)]
    struct Kms {
        key: SigningKey,
        health: Arc<Mutex<Health>>,
    }

    #[derive(Clone, Copy)]
    enum Health {
        Well,
        Hangs,
        Panics,
    }

    impl Kms {
        fn is(&self, health: Health) {
            *self.health.lock().unwrap() = health;
        }
    }

    impl Signer for Kms {
        fn algorithm(&self) -> SigningAlgorithm {
            self.key.algorithm()
        }

        async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
            let health = *self.health.lock().unwrap();
            match health {
                Health::Well => self.key.sign(message).await,
                Health::Hangs => std::future::pending().await,
                Health::Panics => panic!("the KMS panics"),
            }
        }
    }

    let kind = |error: &reqwest_middleware::Error| Error::find_in(error).unwrap().kind();
    let mut servers = Servers::start().await;
    let kms = Kms {
        key: SigningKey::generate(SigningAlgorithm::Es256).unwrap(),
        health: Arc::new(Mutex::new(Health::Well)),
    };
    servers.key = DpopKey::from_signer(kms.clone(), &kms.key.public_jwk());
    let client = servers.client(&servers.source());
    // The first sending of a fresh token, and of one that has been sent before; the second sending.
    for _ in 0..2 {
        assert_eq!(client.get("x").send().await.unwrap().status(), 200);
        let sent = servers.api.requests();
        kms.is(Health::Hangs);
        let call = client.get("x").timeout(Duration::from_secs(5)).send();
        let began = servers.clock.system_time();
        let error = while_time_passes(&servers.clock, call).await.unwrap_err();
        let took = servers.clock.system_time().duration_since(began).unwrap();
        assert_eq!(kind(&error), ErrorKind::Timeout);
        assert_eq!(took.as_secs(), 5);
        let error = while_time_passes(&servers.clock, client.get("x").send()).await;
        assert_eq!(kind(&error.unwrap_err()), ErrorKind::Timeout);
        kms.is(Health::Panics);
        let error = client.get("x").send().await.unwrap_err();
        assert_eq!(kind(&error), ErrorKind::Panicked);
        assert_eq!(servers.api.requests(), sent);
        kms.is(Health::Well);
    }
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    servers.assert_no_faults();

    // At the token endpoint nothing has been sent then, and no refresh token is lost.
    let source = servers.refreshing();
    let anew = TokenOptions::new().force_refresh();
    source.token_with(&anew).await.unwrap();
    let asked = servers.issuer.requests();
    kms.is(Health::Hangs);
    let got = while_time_passes(&servers.clock, source.token_with(&anew)).await;
    assert_eq!(got.unwrap_err().kind(), ErrorKind::Timeout);
    servers.clock.advance(Duration::from_secs(60));
    kms.is(Health::Panics);
    let got = source.token_with(&anew).await;
    assert_eq!(got.unwrap_err().kind(), ErrorKind::Panicked);
    servers.clock.advance(Duration::from_secs(60));
    kms.is(Health::Well);
    assert_eq!(servers.issuer.requests(), asked);
    source.token_with(&anew).await.unwrap();
    assert_eq!(
        (servers.issuer.requests(), servers.reuses()),
        (asked + 1, 0)
    );
}
