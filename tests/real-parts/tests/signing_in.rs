//! Sign-ins that begin with an authorization request of the crate's, at a real authorization server, which
//! takes pushed requests and names its issuer in each redirect.

use real_parts::{AuthorizationServer, BASIC, Issuer, PUBLIC};
use reqwest_bearer::{
    AuthorizationRequest, ClientAuthentication, DpopKey, ErrorKind, LoopbackReceiver,
    PendingAuthorization, Subject, TokenEndpoint, UserSessions,
};
use serde_json::json;

fn public(issuer: &Issuer) -> TokenEndpoint {
    let client = ClientAuthentication::none(PUBLIC.id);
    TokenEndpoint::discover(issuer.url(), client).expect("an issuer")
}

fn confidential(issuer: &Issuer) -> TokenEndpoint {
    let client = ClientAuthentication::client_secret_basic(BASIC.id, BASIC.secret);
    TokenEndpoint::discover(issuer.url(), client).expect("an issuer")
}

fn request(redirect_uri: &str) -> AuthorizationRequest {
    AuthorizationRequest::new(redirect_uri)
        .scope("openid offline_access")
        .extra("login_hint", "alice")
        .extra("prompt", "consent")
}

#[tokio::test]
async fn a_user_signs_in_by_a_pushed_request_and_by_one_that_is_not() {
    // I4
    let server = AuthorizationServer::start().await;
    for issuer in [&server.root, &server.tenant_a, &server.tenant_b] {
        let endpoint = confidential(issuer);
        let pushed = request(issuer.redirect_uri());
        for (request, is_pushed) in [(pushed.clone(), true), (pushed.without_pushing(), false)] {
            let (url, pending) = request.start(&endpoint).await.expect("a request");
            let has_reference = url.query_pairs().any(|(name, _)| name == "request_uri");
            assert_eq!(has_reference, is_pushed, "{url}");
            let kept = serde_json::to_string(&pending).expect("one value");
            let redirect = issuer.browse(url, issuer.redirect_uri()).await;
            let pending: PendingAuthorization = serde_json::from_str(&kept).expect("the value");
            let without = redirect.as_str().replace("iss=", "other=");
            let error = pending.finish(&endpoint, without).await;
            let kind = error.expect_err("a redirect without `iss`").kind();
            assert_eq!(kind, ErrorKind::InvalidAuthorizationResponse);
            let tokens = pending.finish(&endpoint, redirect).await;
            let tokens = tokens.expect("the code is good");
            assert!(tokens.refresh_token().is_some() && tokens.id_token().is_some());
        }
    }
}

#[tokio::test]
async fn a_code_that_is_spent_is_a_reason_to_sign_in_again() {
    // I4
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let endpoint = confidential(issuer);
    let request = request(issuer.redirect_uri());
    let (url, pending) = request.start(&endpoint).await.expect("a request");
    let redirect = issuer.browse(url, issuer.redirect_uri()).await;
    pending
        .finish(&endpoint, redirect.as_str())
        .await
        .expect("a code");
    let error = pending.finish(&endpoint, redirect.as_str()).await;
    let error = error.expect_err("a spent code");
    assert_eq!(error.kind(), ErrorKind::SignInRequired, "{error}");
}

#[tokio::test]
async fn a_session_with_a_key_begins_where_each_proof_needs_a_nonce() {
    // I4, H6
    let server = AuthorizationServer::start_with(json!({ "dpopNonces": true })).await;
    let issuer = &server.tenant_a;
    let endpoint = public(issuer);
    let key = DpopKey::generate().expect("a key");
    let request = request(issuer.redirect_uri()).dpop(&key);
    let (url, pending) = request.start(&endpoint).await.expect("a request");
    let redirect = issuer.browse(url, issuer.redirect_uri()).await;
    let tokens = pending.finish(&endpoint, redirect).await.expect("a code");
    let users = UserSessions::builder(&endpoint).dpop().build();
    let users = users.expect("settings that work");
    let alice = Subject::new("session-1").expect("a subject");
    users.sign_in(&alice, tokens).await.expect("a store");
    let token = users.for_subject(&alice).token().await.expect("a token");
    let header = token.authorization().to_str().expect("a text");
    assert!(header.starts_with("DPoP "));
    // The push has learnt the nonce, so that the code was sent once.
    let requests = issuer.token_requests().await;
    let seen: Vec<_> = requests.iter().map(|request| request.status).collect();
    assert_eq!(seen, [200]);
}

#[tokio::test]
async fn a_command_line_program_receives_its_redirect_on_any_port() {
    // I4
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let endpoint = public(issuer);
    let receiver = LoopbackReceiver::bind("http://127.0.0.1/callback").await;
    let receiver = receiver.expect("a free port");
    let request = request(receiver.redirect_uri());
    let (url, pending) = request.start(&endpoint).await.expect("a request");
    let browser = async {
        let redirect = issuer.browse(url, receiver.redirect_uri()).await;
        let page = reqwest::get(redirect).await.expect("the receiver answers");
        page.text().await.expect("a page")
    };
    let (page, tokens) = tokio::join!(browser, receiver.finish(&endpoint, &pending));
    assert!(page.contains("You may close this window"), "{page}");
    let tokens = tokens.expect("the code is good");
    assert!(tokens.refresh_token().is_some());
}
