//! The real authorization server does what the other tests take for granted. Plain reqwest, nothing
//! of this crate: when one of these fails, the part is at fault and not what we test with it.

use real_parts::{
    AuthorizationServer, BASIC, Credentials, Issuer, POST, PUBLIC, SPECIAL, SignedIn, TokenRequest,
};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

const USER_SCOPE: &str = "openid offline_access email";

/// Sends a form to the token endpoint, with the client's credentials in the form.
async fn post_token(issuer: &Issuer, client: Credentials, fields: &[(&str, &str)]) -> Response {
    post_token_by(&Client::new(), issuer, client, fields).await
}

async fn post_token_by(
    http: &Client,
    issuer: &Issuer,
    client: Credentials,
    fields: &[(&str, &str)],
) -> Response {
    let mut form = vec![("client_id", client.id)];
    if !client.secret.is_empty() {
        form.push(("client_secret", client.secret));
    }
    form.extend_from_slice(fields);
    send(http.post(issuer.at("/token")).form(&form)).await
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("the server is up")
}

async fn body(answer: Response) -> Value {
    answer.json().await.expect("a JSON answer")
}

async fn exchange(issuer: &Issuer, client: Credentials, signed_in: &SignedIn) -> Value {
    let answer = post_token(
        issuer,
        client,
        &[
            ("grant_type", "authorization_code"),
            ("code", &signed_in.code),
            ("redirect_uri", &signed_in.redirect_uri),
            ("code_verifier", &signed_in.code_verifier),
        ],
    )
    .await;
    assert_eq!(answer.status(), StatusCode::OK);
    body(answer).await
}

async fn refresh(issuer: &Issuer, client: Credentials, refresh_token: &str) -> Response {
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
    ];
    post_token(issuer, client, &fields).await
}

async fn call(url: String, access_token: &str) -> StatusCode {
    send(Client::new().get(url).bearer_auth(access_token))
        .await
        .status()
}

fn text<'a>(answer: &'a Value, member: &str) -> &'a str {
    answer[member]
        .as_str()
        .unwrap_or_else(|| panic!("no `{member}` in {answer}"))
}

#[tokio::test]
async fn each_discovery_document_stands_where_its_issuer_has_it_and_nowhere_else() {
    let server = AuthorizationServer::start().await;
    let (root, a, b) = (&server.root, &server.tenant_a, &server.tenant_b);
    for (url, issuer) in [
        (root.at("/.well-known/openid-configuration"), root),
        (a.at("/.well-known/openid-configuration"), a),
        (
            root.at("/.well-known/oauth-authorization-server/tenant/b"),
            b,
        ),
    ] {
        let document = body(send(Client::new().get(&url)).await).await;
        assert_eq!(text(&document, "issuer"), issuer.url(), "{url}");
        assert_eq!(
            text(&document, "token_endpoint"),
            issuer.at("/token"),
            "{url}"
        );
        assert_eq!(
            text(&document, "revocation_endpoint"),
            issuer.at("/token/revocation"),
            "{url}"
        );
    }
    let missing = send(Client::new().get(b.at("/.well-known/openid-configuration"))).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn client_credentials_come_with_basic_and_in_the_form_and_are_counted() {
    let server = AuthorizationServer::start_with(json!({ "accessTokenTtl": 7 })).await;
    let issuer = &server.root;
    let fields = [("grant_type", "client_credentials"), ("scope", "api:read")];

    let basic = Client::new()
        .post(issuer.at("/token"))
        .basic_auth(BASIC.id, Some(BASIC.secret));
    let by_basic = body(send(basic.form(&fields)).await).await;
    let by_form = body(post_token(issuer, POST, &fields).await).await;
    for answer in [&by_basic, &by_form] {
        assert_eq!(answer["expires_in"], 7);
        assert_eq!(answer["scope"], "api:read");
        assert_eq!(
            call(issuer.at("/api/echo"), text(answer, "access_token")).await,
            200
        );
    }

    let wrong = Credentials {
        id: BASIC.id,
        secret: "wrong",
    };
    assert_eq!(
        post_token(issuer, wrong, &fields).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let seen = issuer.token_requests().await;
    let expected = |status, error: Option<&str>| TokenRequest {
        grant_type: Some("client_credentials".to_owned()),
        status,
        error: error.map(str::to_owned),
    };
    let refused = expected(401, Some("invalid_client"));
    assert_eq!(seen, [expected(200, None), expected(200, None), refused]);
}

#[tokio::test]
async fn basic_credentials_with_special_characters_are_read_form_encoded_only() {
    let server = AuthorizationServer::start().await;
    let token = |id: String, secret: String| {
        let request = Client::new().post(server.root.at("/token"));
        send(
            request
                .basic_auth(id, Some(secret))
                .form(&[("grant_type", "client_credentials")]),
        )
    };
    let encoded = token(form_encode(SPECIAL.id), form_encode(SPECIAL.secret)).await;
    assert_eq!(encoded.status(), StatusCode::OK);
    let raw = token(SPECIAL.id.to_owned(), SPECIAL.secret.to_owned()).await;
    assert_ne!(raw.status(), StatusCode::OK);
}

/// `application/x-www-form-urlencoded`, by way of the form that reqwest writes.
fn form_encode(text: &str) -> String {
    let request = Client::new().post("http://127.0.0.1/").form(&[("", text)]);
    let request = request.build().expect("a form of one pair");
    let body = request
        .body()
        .and_then(|body| body.as_bytes())
        .expect("a form is in memory");
    let pair = std::str::from_utf8(body).expect("a form is ASCII");
    pair.trim_start_matches('=').to_owned()
}

#[tokio::test]
async fn a_token_is_dead_at_another_issuer_and_after_its_time() {
    // The server counts whole seconds, so that a token of one second may be dead at once. One of
    // three has two for the calls, however late in a second it was issued.
    let server = AuthorizationServer::start_with(json!({ "accessTokenTtl": 3 })).await;
    let fields = [("grant_type", "client_credentials")];
    let answer = body(post_token(&server.tenant_a, POST, &fields).await).await;
    let token = text(&answer, "access_token");
    assert_eq!(call(server.root.at("/api/echo"), token).await, 401);
    assert_eq!(call(server.tenant_a.at("/api/echo"), token).await, 200);

    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(call(server.tenant_a.at("/api/echo"), token).await, 401);
}

#[tokio::test]
async fn a_sign_in_needs_the_code_verifier_and_opens_userinfo() {
    let server = AuthorizationServer::start().await;
    for (issuer, client) in [
        (&server.root, BASIC),
        (&server.root, PUBLIC),
        (&server.tenant_a, PUBLIC),
    ] {
        let mut signed_in = issuer.sign_in(client.id, "alice", USER_SCOPE).await;
        let tokens = exchange(issuer, client, &signed_in).await;
        assert!(tokens["id_token"].is_string() && tokens["refresh_token"].is_string());

        let userinfo = send(
            Client::new()
                .get(issuer.at("/me"))
                .bearer_auth(text(&tokens, "access_token")),
        );
        let userinfo = body(userinfo.await).await;
        assert_eq!(
            userinfo,
            json!({ "sub": "alice", "email": "alice@example.com" })
        );

        signed_in = issuer.sign_in(client.id, "alice", USER_SCOPE).await;
        let wrong = post_token(
            issuer,
            client,
            &[
                ("grant_type", "authorization_code"),
                ("code", &signed_in.code),
                ("redirect_uri", &signed_in.redirect_uri),
                ("code_verifier", &"x".repeat(64)),
            ],
        )
        .await;
        assert_eq!(body(wrong).await["error"], "invalid_grant");
    }
}

#[tokio::test]
async fn a_spent_refresh_token_that_comes_again_kills_its_whole_family() {
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let signed_in = issuer.sign_in(PUBLIC.id, "alice", USER_SCOPE).await;
    let first = exchange(issuer, PUBLIC, &signed_in).await;

    let second = body(refresh(issuer, PUBLIC, text(&first, "refresh_token")).await).await;
    let third = body(refresh(issuer, PUBLIC, text(&second, "refresh_token")).await).await;
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(
        call(issuer.at("/me"), text(&third, "access_token")).await,
        200
    );

    let again = refresh(issuer, PUBLIC, text(&first, "refresh_token")).await;
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    assert_eq!(body(again).await["error"], "invalid_grant");
    let newest = refresh(issuer, PUBLIC, text(&third, "refresh_token")).await;
    assert_eq!(body(newest).await["error"], "invalid_grant");
    assert_eq!(
        call(issuer.at("/me"), text(&third, "access_token")).await,
        401
    );
    assert_eq!(issuer.count_token_requests("refresh_token").await, 4);
}

#[tokio::test]
async fn without_rotation_the_refresh_token_stays() {
    let server = AuthorizationServer::start_with(json!({ "rotateRefreshToken": false })).await;
    let issuer = &server.root;
    let signed_in = issuer.sign_in(POST.id, "alice", USER_SCOPE).await;
    let first = exchange(issuer, POST, &signed_in).await;
    for _ in 0..2 {
        let answer = body(refresh(issuer, POST, text(&first, "refresh_token")).await).await;
        assert_eq!(answer["refresh_token"], first["refresh_token"]);
    }
}

#[tokio::test]
async fn revoking_a_refresh_token_kills_the_grant_and_killing_an_access_token_kills_that_one() {
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let signed_in = issuer.sign_in(POST.id, "alice", USER_SCOPE).await;
    let first = exchange(issuer, POST, &signed_in).await;

    issuer.kill_access_token(text(&first, "access_token")).await;
    assert_eq!(
        call(issuer.at("/me"), text(&first, "access_token")).await,
        401
    );
    let second = body(refresh(issuer, POST, text(&first, "refresh_token")).await).await;
    assert_eq!(
        call(issuer.at("/me"), text(&second, "access_token")).await,
        200
    );

    let form = [
        ("token", text(&second, "refresh_token")),
        ("token_type_hint", "refresh_token"),
        ("client_id", POST.id),
        ("client_secret", POST.secret),
    ];
    let revoked = send(
        Client::new()
            .post(issuer.at("/token/revocation"))
            .form(&form),
    )
    .await;
    assert_eq!(revoked.status(), StatusCode::OK);
    let dead = refresh(issuer, POST, text(&second, "refresh_token")).await;
    assert_eq!(body(dead).await["error"], "invalid_grant");
    assert_eq!(
        call(issuer.at("/me"), text(&second, "access_token")).await,
        401
    );
}

#[tokio::test]
async fn the_api_tells_what_it_saw_and_challenges_as_rfc_6750_says() {
    let server = AuthorizationServer::start().await;
    let issuer = &server.tenant_a;
    let fields = [
        ("grant_type", "client_credentials"),
        ("scope", "api:write"),
        ("resource", "https://api.example.com/"),
    ];
    let answer = body(post_token(issuer, POST, &fields).await).await;
    let request = Client::new().post(issuer.at("/api/echo")).body("hello");
    let echo = body(send(request.bearer_auth(text(&answer, "access_token"))).await).await;
    let expected = json!({
        "path": "/api/echo",
        "body": "hello",
        "client_id": "post-client",
        "sub": null,
        "scope": "api:write",
        "audience": "https://api.example.com/",
        "actor": null,
    });
    assert_eq!(echo, expected);

    let bare = send(Client::new().get(issuer.at("/api/echo"))).await;
    assert_eq!(bare.headers()["www-authenticate"], "Bearer realm=\"api\"");
    let dead = send(
        Client::new()
            .get(issuer.at("/api/echo"))
            .bearer_auth("dead"),
    )
    .await;
    let challenge = dead.headers()["www-authenticate"].to_str().expect("ASCII");
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");

    let seen = issuer.api_requests().await;
    let seen: Vec<_> = seen
        .iter()
        .map(|r| (r.authorization.as_deref(), r.status))
        .collect();
    let live = format!("Bearer {}", text(&answer, "access_token"));
    assert_eq!(
        seen,
        [
            (Some(live.as_str()), 200),
            (None, 401),
            (Some("Bearer dead"), 401)
        ]
    );
}

/// oidc-provider's own in-memory store forgets an entry after 1,000 to 2,000 newer ones; ours has to
/// keep what a crowd makes.
#[tokio::test]
async fn the_first_token_lives_on_after_thousands_of_others() {
    // A busy machine takes longer than a minute for so many, and its time is not the question.
    let server = AuthorizationServer::start_with(json!({ "accessTokenTtl": 3600 })).await;
    let fields = [("grant_type", "client_credentials")];
    let first = body(post_token(&server.root, POST, &fields).await).await;
    // One client for all: with TLS each new one reads what the system trusts.
    let http = Client::new();
    for _ in 0..2_500 {
        let another = post_token_by(&http, &server.root, POST, &fields).await;
        assert_eq!(another.status(), StatusCode::OK);
    }
    assert_eq!(
        call(server.root.at("/api/echo"), text(&first, "access_token")).await,
        200
    );
}

#[tokio::test]
async fn the_server_ends_with_its_owner() {
    let server = AuthorizationServer::start().await;
    let url = server.root.at("/api/echo");
    assert_eq!(call(url.clone(), "any").await, 401);
    drop(server);
    // The kernel closes the socket a moment after the signal.
    for _ in 0..100 {
        if Client::new().get(&url).send().await.is_err() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the server still answers five seconds after it was dropped");
}
