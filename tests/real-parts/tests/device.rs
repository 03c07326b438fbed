//! Sign-ins on another device (RFC 8628), at real authorization servers that different people wrote: npm's
//! `oidc-provider`, Debian's `glewlwyd` and `django-oauth-toolkit`.

use std::time::Duration;

use real_parts::{
    AuthorizationServer, BASIC, DjangoServer, Glewlwyd, Issuer, IssuerUnderTest, PUBLIC,
};
use reqwest_bearer::{
    ClientAuthentication, DeviceAuthorizationRequest, DpopKey, ErrorKind,
    PendingDeviceAuthorization, Subject, TokenEndpoint, UserSessions,
};
use serde_json::json;

fn basic() -> ClientAuthentication {
    ClientAuthentication::client_secret_basic(BASIC.id, BASIC.secret)
}

fn request() -> DeviceAuthorizationRequest {
    DeviceAuthorizationRequest::new()
        .scope("openid offline_access email")
        .extra("login_hint", "alice")
        .extra("prompt", "consent")
}

async fn answer(issuer: &Issuer, pending: &PendingDeviceAuthorization, agrees: bool) {
    let page = pending.verification_uri_complete().expect("a page");
    issuer.answer_device(page, agrees).await;
}

#[tokio::test]
async fn a_user_agrees_on_another_device_at_oidc_provider() {
    // I3, E7
    let server = AuthorizationServer::start().await;
    let public = ClientAuthentication::none(PUBLIC.id);
    for (issuer, client) in [
        (&server.root, basic()),
        (&server.tenant_a, public),
        (&server.tenant_b, basic()),
    ] {
        let endpoint = TokenEndpoint::discover(issuer.url(), client).expect("an issuer");
        let mut pending = request().start(&endpoint).await.expect("a code");
        assert!(pending.to_string().contains(pending.user_code()));
        answer(issuer, &pending, true).await;
        let tokens = pending.finish(&endpoint).await.expect("tokens");
        assert!(tokens.refresh_token().is_some() && tokens.id_token().is_some());
        let users = UserSessions::new(&endpoint);
        let session = Subject::new("session-1").expect("a subject");
        users.sign_in(&session, tokens).await.expect("a session");
        let token = users.for_subject(&session).token().await.expect("a token");
        let api = reqwest::Client::new().get(issuer.at("/me"));
        let api = api.header("authorization", token.authorization());
        let claims = api.send().await.expect("an answer").text().await;
        assert!(claims.expect("a text").contains("alice@example.com"));
        // The code is spent.
        let error = pending
            .finish(&endpoint)
            .await
            .expect_err("no tokens twice");
        assert_eq!(error.oauth_code(), Some("invalid_grant"));
        assert_eq!(error.kind(), ErrorKind::SignInRequired);
    }
}

#[tokio::test]
async fn a_user_who_says_no_at_oidc_provider_ends_the_wait() {
    // I3
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let endpoint = TokenEndpoint::discover(issuer.url(), basic()).expect("an issuer");
    let mut pending = request().start(&endpoint).await.expect("a code");
    answer(issuer, &pending, false).await;
    let error = pending.finish(&endpoint).await.expect_err("no tokens");
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert_eq!(error.oauth_code(), Some("access_denied"));
}

#[tokio::test]
async fn a_code_of_oidc_provider_that_nobody_types_ends_with_its_life() {
    // I3
    let settings = json!({ "deviceCodeTtl": 8 });
    let server = AuthorizationServer::start_with(settings).await;
    let issuer = &server.root;
    let endpoint = TokenEndpoint::discover(issuer.url(), basic()).expect("an issuer");
    let mut pending = request().start(&endpoint).await.expect("a code");
    let error = pending.finish(&endpoint).await.expect_err("no tokens");
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    let polls = issuer.token_requests().await;
    let polls: Vec<_> = polls.iter().map(|poll| poll.error.as_deref()).collect();
    assert_eq!(polls, [Some("authorization_pending")]);
}

#[tokio::test]
async fn tokens_of_a_device_are_bound_to_its_key_at_oidc_provider() {
    // I3, H5, H6
    let settings = json!({ "dpopNonces": true });
    let server = AuthorizationServer::start_with(settings).await;
    let issuer = &server.root;
    let endpoint = TokenEndpoint::discover(issuer.url(), basic()).expect("an issuer");
    let key = DpopKey::generate().expect("a key");
    let request = request().dpop(&key);
    let mut pending = request.start(&endpoint).await.expect("a code");
    answer(issuer, &pending, true).await;
    let tokens = pending.finish(&endpoint).await.expect("tokens");
    assert_eq!(tokens.dpop_key(), Some(&key));
}

#[tokio::test]
async fn glewlwyd_s_slow_down_is_obeyed_by_a_wait_that_another_process_began() {
    // I3
    let server = Glewlwyd::start(&[]).await;
    let endpoint = TokenEndpoint::discover(server.url(), basic()).expect("an issuer");
    let request = DeviceAuthorizationRequest::new().scope("openid");
    let pending = request.start(&endpoint).await.expect("a code");
    let kept = serde_json::to_value(&pending).expect("one value");
    assert_eq!(kept["interval"], 2);
    let read = |kept| serde_json::from_value::<PendingDeviceAuthorization>(kept);

    // Processes that wait for one code without heeding each other ask too often.
    let mut hasty = kept;
    hasty["pause"] = json!(0);
    hasty["asked_at"] = json!(0);
    let slowed = async {
        loop {
            let mut pending = read(hasty.clone()).expect("the value");
            let moment = Duration::from_millis(300);
            let polled = tokio::time::timeout(moment, pending.finish(&endpoint)).await;
            assert!(polled.is_err(), "nobody has agreed");
            let kept = serde_json::to_value(&pending).expect("one value");
            if kept["interval"] != 2 {
                return (pending, kept);
            }
        }
    };
    let slowed = tokio::time::timeout(Duration::from_secs(60), slowed).await;
    let (pending, kept) = slowed.expect("the second one in two seconds is told to slow down");
    assert_eq!(kept["interval"], 7);

    let page = pending.verification_uri_complete().expect("a page");
    server.agree_to_device(page, BASIC.id, "alice").await;
    let mut pending = read(kept).expect("the value");
    let tokens = pending.finish(&endpoint).await.expect("tokens");
    assert!(tokens.refresh_token().is_some());
}

#[tokio::test]
async fn a_device_at_glewlwyd_s_own_pace_is_never_told_to_slow_down() {
    // I3
    let server = Glewlwyd::start(&[]).await;
    let endpoint = TokenEndpoint::discover(server.url(), basic()).expect("an issuer");
    let request = DeviceAuthorizationRequest::new().scope("openid");
    let mut pending = request.start(&endpoint).await.expect("a code");
    let polls = tokio::time::timeout(Duration::from_secs(9), pending.finish(&endpoint));
    assert!(polls.await.is_err());
    let kept = serde_json::to_value(&pending).expect("one value");
    assert_eq!(kept["interval"], 2);
    let page = pending.verification_uri_complete().expect("a page");
    server.agree_to_device(page, BASIC.id, "alice").await;
    pending.finish(&endpoint).await.expect("tokens");
}

/// Neither of its documents names the endpoint.
fn at_django(server: &DjangoServer, client: ClientAuthentication) -> TokenEndpoint {
    TokenEndpoint::builder(client)
        .issuer(server.at("/o"))
        .device_authorization_url(server.at("/o/device-authorization/"))
        .build()
        .expect("an endpoint")
}

#[tokio::test]
async fn a_user_agrees_on_another_device_at_django_oauth_toolkit() {
    // I3
    let server = DjangoServer::start();
    let confidential = DjangoServer::CONFIDENTIAL;
    for client in [
        ClientAuthentication::none(DjangoServer::PUBLIC.id),
        ClientAuthentication::client_secret_basic(confidential.id, confidential.secret),
        ClientAuthentication::client_secret_post(confidential.id, confidential.secret),
    ] {
        let endpoint = at_django(&server, client);
        let request = DeviceAuthorizationRequest::new().scope("read");
        let pending = request.start(&endpoint).await.expect("a code");
        let kept = serde_json::to_string(&pending).expect("one value");
        let complete = pending.verification_uri_complete().expect("a page");
        assert!(complete.as_str().ends_with(pending.user_code()));
        let page = pending.verification_uri();
        server.answer_device(page, pending.user_code(), true).await;
        let mut pending: PendingDeviceAuthorization =
            serde_json::from_str(&kept).expect("the value");
        let tokens = pending.finish(&endpoint).await.expect("tokens");
        assert!(tokens.refresh_token().is_some());
    }
}

#[tokio::test]
async fn a_user_says_no_while_a_device_polls_django_oauth_toolkit() {
    // I3
    let server = DjangoServer::start();
    let endpoint = at_django(&server, ClientAuthentication::none(DjangoServer::PUBLIC.id));
    let request = DeviceAuthorizationRequest::new().scope("read");
    let mut pending = request.start(&endpoint).await.expect("a code");
    let (page, user_code) = (
        pending.verification_uri().clone(),
        pending.user_code().to_owned(),
    );
    let (finished, ()) = tokio::join!(
        pending.finish(&endpoint),
        server.answer_device(&page, &user_code, false),
    );
    let error = finished.expect_err("no tokens");
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert_eq!(error.oauth_code(), Some("access_denied"));
}
