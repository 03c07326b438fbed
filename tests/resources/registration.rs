//! What a client says of itself, and what comes of it.

use std::time::Duration;

use reqwest_bearer::{
    AuthorizationServer, ClientAuthentication, ErrorKind, RegisteredClient, RegistrationRequest,
    TestClock, TokenEndpoint, TokenRequest,
};
use serde_json::{Value, json};

use crate::server::Server;
use crate::support::http_server::Reply;

/// A server that registers clients, and answers so.
async fn server(answer: &Value) -> Server {
    let server = Server::both().await;
    server.reply("/register", Reply::new(201).json(answer));
    server
}

fn of(server: &Server) -> AuthorizationServer {
    AuthorizationServer::discover(server.url("")).unwrap()
}

/// What was said of the client.
fn said(server: &Server) -> Value {
    let seen = server.seen("/register");
    let request = seen.last().unwrap();
    assert_eq!(request.headers["content-type"], "application/json");
    serde_json::from_slice(&request.body).unwrap()
}

#[tokio::test]
async fn a_program_says_of_itself_what_its_redirects_and_the_server_need() {
    // I5
    let server = server(&json!({ "client_id": "me" })).await;
    let none = RegistrationRequest::new().authentication_method("none");
    of(&server).register(&none).await.unwrap();
    let wanted = json!({
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "none",
    });
    assert_eq!(said(&server), wanted);

    for (uris, application) in [
        (&["https://app.example.com/signed-in"][..], "web"),
        (&["http://127.0.0.1/callback"], "native"),
        (&["com.example.app:/callback"], "native"),
        (
            &["https://app.example.com/signed-in", "http://localhost/x"],
            "native",
        ),
    ] {
        let request = uris
            .iter()
            .fold(none.clone(), |request, uri| request.redirect_uri(*uri));
        of(&server)
            .register(&request.client_name("tool"))
            .await
            .unwrap();
        let wanted = json!({
            "client_name": "tool",
            "redirect_uris": uris,
            "application_type": application,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        assert_eq!(said(&server), wanted);
    }
    let request = none
        .redirect_uri("http://127.0.0.1/callback")
        .grant_type("authorization_code")
        .scope("read write")
        .software_statement("a.b.c")
        .member("application_type", "web")
        .member("contacts", vec!["a@example.com"])
        .initial_access_token("initial");
    of(&server).register(&request).await.unwrap();
    let said = said(&server);
    for (name, value) in [
        ("grant_types", json!(["authorization_code"])),
        ("scope", json!("read write")),
        ("software_statement", json!("a.b.c")),
        ("application_type", json!("web")),
        ("contacts", json!(["a@example.com"])),
    ] {
        assert_eq!(said[name], value);
    }
    let tokens: Vec<_> = server
        .seen("/register")
        .iter()
        .map(|seen| seen.token())
        .collect();
    assert_eq!(tokens.last().unwrap().as_deref(), Some("initial"));
    assert!(tokens[..5].iter().all(Option::is_none));
}

#[tokio::test]
async fn the_way_of_client_authentication_is_one_that_the_server_lists() {
    // I5
    let server = server(&json!({ "client_id": "me", "client_secret": "s" })).await;
    for (listed, web, native) in [
        (
            &["client_secret_post", "none", "client_secret_basic"][..],
            "client_secret_basic",
            "none",
        ),
        (
            &["none", "client_secret_post"],
            "client_secret_post",
            "none",
        ),
        (
            &["client_secret_post"],
            "client_secret_post",
            "client_secret_post",
        ),
        (&["none"], "none", "none"),
        (&["private_key_jwt"], "", ""),
        (&[], "", ""),
    ] {
        server.is_issuer_with(&json!({ "token_endpoint_auth_methods_supported": listed }));
        for (uri, method) in [("https://a.b/x", web), ("http://127.0.0.1/x", native)] {
            let request = RegistrationRequest::new().redirect_uri(uri);
            of(&server).register(&request).await.unwrap();
            let said = said(&server);
            let said = said.get("token_endpoint_auth_method");
            assert_eq!(
                said.and_then(Value::as_str).unwrap_or_default(),
                method,
                "{listed:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_the_server_has_registered_is_how_the_client_is_known() {
    // I5
    for (answer, method) in [
        (json!({ "client_id": "me" }), "none"),
        (json!({ "client_id": "me", "client_secret": "" }), "none"),
        (
            json!({ "client_id": "me", "client_secret": "canary" }),
            "client_secret_basic",
        ),
        (
            json!({
                "client_id": "me",
                "client_secret": "canary",
                "token_endpoint_auth_method": "client_secret_post",
            }),
            "client_secret_post",
        ),
        (
            json!({
                "client_id": "me",
                "client_secret": "canary",
                "token_endpoint_auth_method": "none",
            }),
            "none",
        ),
    ] {
        let server = server(&answer).await;
        let registered = of(&server)
            .register(&RegistrationRequest::new())
            .await
            .unwrap();
        assert_eq!(
            (registered.client_id(), registered.authentication_method()),
            ("me", method)
        );
        let endpoint = of(&server).registered(&registered).unwrap();
        endpoint
            .request_token(TokenRequest::new("client_credentials"))
            .await
            .unwrap();
        let seen = &server.seen("/token")[0];
        let in_header = seen.headers.contains_key("authorization");
        assert_eq!(in_header, method == "client_secret_basic");
        let secret = seen.field("client_secret");
        assert_eq!(
            secret.as_deref() == Some("canary"),
            method == "client_secret_post"
        );
        let id = seen.field("client_id");
        assert_eq!(id.as_deref() == Some("me"), method != "client_secret_basic");
    }
    // As was asked for, if the server does not say.
    let server = server(&json!({ "client_id": "me", "client_secret": "canary" })).await;
    let request = RegistrationRequest::new().authentication_method("none");
    let registered = of(&server).register(&request).await.unwrap();
    assert_eq!(registered.authentication_method(), "none");
    let answer = json!({
        "client_id": "me",
        "client_secret": "canary",
        "token_endpoint_auth_method": "client_secret_post",
    });
    server.reply("/register", Reply::new(201).json(&answer));
    let registered = of(&server).register(&request).await.unwrap();
    assert_eq!(registered.authentication_method(), "client_secret_post");
    let answer = json!({ "client_id": "me", "client_secret": "canary" });
    server.reply("/register", Reply::new(201).json(&answer));
    let request = RegistrationRequest::new().authentication_method("private_key_jwt");
    let registered = of(&server).register(&request).await.unwrap();
    assert_eq!(
        registered.authentication().unwrap_err().kind(),
        ErrorKind::Settings
    );
}

#[tokio::test]
async fn a_registered_client_is_written_and_read_and_shows_no_secret() {
    // I5, D6
    let server = server(&json!({
        "client_id": "me",
        "client_secret": "canary",
        "client_secret_expires_at": 0,
        "registration_client_uri": "https://as.example.com/register/me",
        "registration_access_token": "canary",
        "redirect_uris": ["canary"],
    }))
    .await;
    let request = RegistrationRequest::new();
    let registered = of(&server).register(&request).await.unwrap();
    assert!(!format!("{registered:?}").contains("canary"));
    let kept = serde_json::to_string(&registered).unwrap();
    let read: RegisteredClient = serde_json::from_str(&kept).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), kept);
    assert_eq!(read.issuer(), server.url(""));
    assert_eq!(read.client_secret().unwrap().expose(), "canary");
    assert_eq!(read.client_secret_expires_at(), None);
    let uri = "https://as.example.com/register/me";
    assert_eq!(read.registration_client_uri(), Some(uri));
    assert_eq!(read.registration_access_token().unwrap().expose(), "canary");
    assert_eq!(read.member("redirect_uris"), Some(&json!(["canary"])));
    assert!(of(&server).registered(&read).is_ok());

    let mut other: Value = serde_json::from_str(&kept).unwrap();
    for (name, value) in [
        ("format", json!(2)),
        ("client_id", json!("")),
        ("issuer", json!("")),
    ] {
        let before = std::mem::replace(&mut other[name], value);
        assert!(
            serde_json::from_value::<RegisteredClient>(other.clone()).is_err(),
            "{name}"
        );
        other[name] = before;
    }
}

#[tokio::test]
async fn an_expired_secret_has_the_client_registered_anew() {
    // I5
    let (clock, server) = (TestClock::new(), Server::both().await);
    let now = clock
        .system_time()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let end = now.as_secs() + 60;
    for end in [json!(end), json!(end.to_string()), json!(end as f64 + 0.5)] {
        let answer = json!({
            "client_id": "me",
            "client_secret": "canary",
            "client_secret_expires_at": end,
        });
        server.reply("/register", Reply::new(200).json(&answer));
        let clock = TestClock::new();
        let endpoint = TokenEndpoint::builder(ClientAuthentication::none("nobody"))
            .issuer(server.url(""))
            .clock(&clock)
            .build()
            .unwrap();
        let found = AuthorizationServer::of(&endpoint);
        let registered = found.register(&RegistrationRequest::new()).await.unwrap();
        let end = registered.client_secret_expires_at().unwrap();
        let left = end.duration_since(clock.system_time()).unwrap();
        clock.advance(left - Duration::from_nanos(1));
        assert!(found.registered(&registered).is_ok());
        clock.advance(Duration::from_nanos(1));
        let error = found.registered(&registered).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
    }
}

#[tokio::test]
async fn a_refusal_has_the_code_and_the_server_s_words_on_request() {
    // I5
    let server = Server::both().await;
    for code in [
        "invalid_redirect_uri",
        "invalid_client_metadata",
        "invalid_software_statement",
        "unapproved_software_statement",
        "invalid_token",
    ] {
        let answer = json!({ "error": code, "error_description": "canary" });
        server.reply("/register", Reply::new(400).json(&answer));
        let request = RegistrationRequest::new();
        let error = of(&server).register(&request).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.oauth_code()),
            (ErrorKind::Rejected, Some(code))
        );
        assert_eq!(error.server(), Some(&*server.url("")));
        assert!(!format!("{error} {error:?}").contains("canary"));
        let words = error.error_response().unwrap().error_description();
        assert_eq!(words, Some("canary"));
    }
    for (status, body, kind) in [
        (
            201,
            json!({ "client_secret": "canary" }),
            ErrorKind::Protocol,
        ),
        (201, json!({ "client_id": 7 }), ErrorKind::Protocol),
        (
            201,
            json!({ "client_id": "canary", "token_endpoint_auth_method": "client_secret_basic" }),
            ErrorKind::Protocol,
        ),
        (201, json!("canary"), ErrorKind::Protocol),
        (302, json!({}), ErrorKind::Protocol),
        (404, json!({}), ErrorKind::Protocol),
        (
            503,
            json!({ "client_id": "canary" }),
            ErrorKind::Unavailable,
        ),
    ] {
        server.reply("/register", Reply::new(status).json(&body));
        let error = of(&server)
            .register(&RegistrationRequest::new())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {body}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn what_cannot_be_registered_is_not_sent() {
    // I5
    let server = server(&json!({ "client_id": "me" })).await;
    let request = RegistrationRequest::new;
    for wrong in [
        request().redirect_uri("/callback"),
        request().redirect_uri("https://a.b/#x"),
        request().member("redirect_uris", vec!["https://a.b"]),
        request().member("token_endpoint_auth_method", "none"),
        request().member("software_statement", "canary"),
        request().initial_access_token(""),
        request().initial_access_token("canary\r\nx: y"),
    ] {
        let error = of(&server).register(&wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings, "{wrong:?}");
        assert!(!format!("{error} {error:?} {wrong:?}").contains("canary"));
    }
    server.is_issuer_with(&json!({ "registration_endpoint": null }));
    let error = of(&server).register(&request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(error.to_string().contains("`registration_url`"), "{error}");
    assert!(server.seen("/register").is_empty());
    // The program may know the place.
    let endpoint = TokenEndpoint::builder(ClientAuthentication::none("nobody"))
        .token_url(server.url("/token"))
        .registration_url(server.url("/register"))
        .build()
        .unwrap();
    let registered = AuthorizationServer::of(&endpoint)
        .register(&request())
        .await
        .unwrap();
    assert_eq!(registered.issuer(), server.url("/token"));
}
