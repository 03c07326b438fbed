//! H5 with users: one key for each session, in its record, so that each process signs with it.

use std::sync::{Arc, Mutex};

use reqwest_bearer::{
    AuthorizationCode, DpopKey, EncryptedStore, EncryptionKeys, Error, ErrorKind, Event,
    MemoryStore, NamedUserClient, Signer, SigningAlgorithm, SigningKey, Subject, TokenOptions,
    TokenSet, TokenStore, UserSessions, UserSessionsBuilder,
};

use crate::server::Servers;
use crate::support::http_server::Reply;
use crate::support::soon;
use crate::support::store::FragileStore;

pub(crate) fn subject(id: &str) -> Subject {
    Subject::new(id).unwrap()
}

impl Servers {
    pub(crate) fn users(&self, store: impl TokenStore) -> UserSessionsBuilder {
        UserSessions::builder(&self.endpoint())
            .store(store)
            .clock(&self.clock)
            .jitter(0.0)
    }

    pub(crate) fn user_client(&self, users: &UserSessions) -> NamedUserClient {
        NamedUserClient::new("api", self.api.url(""), users).unwrap()
    }

    /// What a sign-in with this key brings.
    pub(crate) async fn tokens(&self, key: &DpopKey) -> TokenSet {
        let code = self.code(key.thumbprint());
        let code = AuthorizationCode::new(code).dpop(key);
        code.exchange(&self.endpoint()).await.unwrap()
    }

    async fn call(&self, users: &UserSessions, user: &str) -> u16 {
        let client = self.user_client(users).for_subject(&subject(user));
        let answer = soon(client.get("x").send()).await.unwrap();
        answer.status().as_u16()
    }
}

async fn refresh(users: &UserSessions, user: &str) -> Result<(), ErrorKind> {
    let anew = TokenOptions::new().force_refresh();
    let handle = users.for_subject(&subject(user));
    let token = soon(handle.token_with(&anew)).await;
    token.map(drop).map_err(|error| error.kind())
}

#[tokio::test]
async fn each_session_has_a_key_of_its_own_that_each_process_signs_with() {
    // H5
    let servers = Servers::start().await;
    let store = Arc::new(MemoryStore::new());
    let process = || servers.users(store.clone()).dpop().build().unwrap();
    let (one, other) = (process(), process());
    let keys = [DpopKey::generate().unwrap(), DpopKey::generate().unwrap()];
    for (user, key) in ["alice", "bob"].into_iter().zip(&keys) {
        let tokens = servers.tokens(key).await;
        assert_eq!(tokens.dpop_key(), Some(key));
        one.sign_in(&subject(user), tokens).await.unwrap();
        assert_eq!(servers.call(&one, user).await, 200);
        // With the sign-in's own token, and then with those that it gets for the refresh token.
        assert_eq!(servers.call(&other, user).await, 200);
        for users in [&other, &one, &other] {
            refresh(users, user).await.unwrap();
            assert_eq!(servers.call(users, user).await, 200);
        }
    }
    servers.assert_no_faults();
    assert_eq!(servers.reuses(), 0);
    for proofs in [servers.issuer.proofs(), servers.api.proofs()] {
        let (of_alice, of_bob) = proofs.split_at(proofs.len() / 2);
        assert!(
            of_alice
                .iter()
                .all(|proof| proof.jkt == keys[0].thumbprint())
        );
        assert!(of_bob.iter().all(|proof| proof.jkt == keys[1].thumbprint()));
    }
}

#[tokio::test]
async fn a_code_that_meets_a_nonce_is_sent_once_more_and_no_key_but_its_own_gets_tokens_for_it() {
    // H5, H6
    let servers = Servers::start().await;
    servers.issuer.demand("n-1");
    let key = DpopKey::generate().unwrap();
    servers.tokens(&key).await;
    let seen = servers.issuer.seen();
    let codes: Vec<_> = seen
        .iter()
        .map(|seen| seen.field("code").unwrap())
        .collect();
    assert_eq!(codes, ["code-0", "code-0"]);
    let stolen = AuthorizationCode::new(servers.code(key.thumbprint())).dpop(&servers.key);
    let error = stolen.exchange(&servers.endpoint()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    servers.token_type("Bearer");
    let code = AuthorizationCode::new(servers.code(key.thumbprint())).dpop(&key);
    let error = code.exchange(&servers.endpoint()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn the_key_is_in_the_record_and_encrypted_as_the_rest() {
    // H5, H8, F8
    let servers = Servers::start().await;
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let pem = key.to_pem().unwrap();
    let line = pem.expose().lines().nth(1).unwrap().to_owned();
    let key = DpopKey::from_key(key);
    let store = FragileStore::new(&servers.clock);
    let cipher = EncryptionKeys::new("1", &[7; 32]).unwrap();
    for (users, is_plain) in [
        (servers.users(store.clone()), true),
        (
            servers.users(EncryptedStore::new(store.clone(), cipher)),
            false,
        ),
    ] {
        let users = users.dpop().build().unwrap();
        let tokens = servers.tokens(&key).await;
        users.sign_in(&subject("alice"), tokens).await.unwrap();
        assert_eq!(servers.call(&users, "alice").await, 200);
        let record = store
            .memory()
            .load(&store.last_key())
            .await
            .unwrap()
            .unwrap();
        let text = String::from_utf8_lossy(record.data().unwrap()).into_owned();
        assert_eq!(text.contains(&line), is_plain);
    }
}

#[tokio::test]
async fn a_session_that_goes_on_under_another_id_goes_on_with_its_key() {
    // H5, F12
    let servers = Servers::start().await;
    let users = servers.users(MemoryStore::new()).dpop().build().unwrap();
    let key = DpopKey::generate().unwrap();
    let tokens = servers.tokens(&key).await;
    users.sign_in(&subject("a"), tokens).await.unwrap();
    users.rename(&subject("a"), &subject("b")).await.unwrap();
    assert_eq!(servers.call(&users, "b").await, 200);
    refresh(&users, "b").await.unwrap();
    assert_eq!(servers.call(&users, "b").await, 200);
    servers.assert_no_faults();
}

#[tokio::test]
async fn a_sign_in_without_the_key_that_it_needs_or_with_one_that_cannot_be_kept_is_an_error() {
    // H5
    struct Elsewhere;
    impl Signer for Elsewhere {
        fn algorithm(&self) -> SigningAlgorithm {
            SigningAlgorithm::Es256
        }
        async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
            Err(Error::unavailable("away"))
        }
    }
    let servers = Servers::start().await;
    let users = |set: fn(UserSessionsBuilder) -> UserSessionsBuilder| {
        set(servers.users(MemoryStore::new())).build().unwrap()
    };
    let alice = subject("alice");
    let plain = TokenSet::new("t").with_refresh_token("r");
    let bound = plain.clone().with_dpop_key(&servers.key);
    let public = SigningKey::generate(SigningAlgorithm::Es256)
        .unwrap()
        .public_jwk();
    let elsewhere = DpopKey::from_signer(Elsewhere, &public);
    let elsewhere = plain.clone().with_dpop_key(&elsewhere);
    for (users, tokens) in [
        (users(UserSessionsBuilder::dpop), &plain),
        (users(|builder| builder), &bound),
        (users(UserSessionsBuilder::dpop), &elsewhere),
        (users(UserSessionsBuilder::offer_dpop), &elsewhere),
    ] {
        let error = users.sign_in(&alice, tokens.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
        assert!(users.status_of(&alice).await.unwrap().is_none());
    }
    for (users, tokens) in [
        (users(UserSessionsBuilder::dpop), &bound),
        (users(UserSessionsBuilder::offer_dpop), &bound),
        (users(UserSessionsBuilder::offer_dpop), &plain),
    ] {
        users.sign_in(&alice, tokens.clone()).await.unwrap();
    }
}

#[tokio::test]
async fn a_session_from_before_keys_were_required_is_neither_used_nor_lost() {
    // H7
    let servers = Servers::start().await;
    let store = Arc::new(MemoryStore::new());
    let before = servers.users(store.clone()).build().unwrap();
    let tokens = TokenSet::new("bearer-0").with_refresh_token("r");
    before.sign_in(&subject("alice"), tokens).await.unwrap();

    let required = servers.users(store.clone()).dpop().build().unwrap();
    // No time passes: nothing is tried again.
    let call = required.for_subject(&subject("alice"));
    let error = call.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired, "{error}");
    assert_eq!(servers.issuer.requests(), 0);

    let told = Arc::new(Mutex::new(0));
    let telling = told.clone();
    let offered = servers.users(store).offer_dpop().on_event(move |event| {
        if matches!(event, Event::BearerInsteadOfDpop { .. }) {
            *telling.lock().unwrap() += 1;
        }
    });
    let offered = offered.build().unwrap();
    servers.api.then(Reply::new(200));
    assert_eq!(servers.call(&offered, "alice").await, 200);
    let seen = servers.api.seen().remove(0);
    assert_eq!(seen.token().as_deref(), Some("bearer-0"));
    assert!(!seen.headers.contains_key("dpop"));
    let issued = serde_json::json!({ "access_token": "bearer-1", "token_type": "Bearer" });
    servers.issuer.then(Reply::new(200).json(&issued));
    refresh(&offered, "alice").await.unwrap();
    assert!(!servers.issuer.seen()[0].headers.contains_key("dpop"));
    assert_eq!(*told.lock().unwrap(), 0, "no proof went along");
}

#[tokio::test]
async fn the_sign_in_s_own_token_learns_the_nonces_that_later_ones_use() {
    // H6
    let servers = Servers::start().await;
    let users = servers.users(MemoryStore::new()).dpop().build().unwrap();
    for user in ["alice", "bob"] {
        let tokens = servers.tokens(&DpopKey::generate().unwrap()).await;
        users.sign_in(&subject(user), tokens).await.unwrap();
    }
    servers.api.demand("n-1");
    assert_eq!(servers.call(&users, "alice").await, 200);
    assert_eq!(servers.call(&users, "bob").await, 200);
    refresh(&users, "alice").await.unwrap();
    assert_eq!(servers.call(&users, "alice").await, 200);
    assert_eq!(servers.api.requests(), 4);
}
