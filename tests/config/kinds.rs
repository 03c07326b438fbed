//! Each grant makes the client that it is for.

use http::{HeaderName, HeaderValue};
use reqwest_bearer::{Event, Subject, SubjectToken, TokenSet};

use crate::server::Server;

#[tokio::test]
async fn users_and_callers_have_clients_of_their_own_kind() {
    // J3, D8
    let server = Server::start().await;
    let toml = r#"
        [servers.login]
        token_url = "URL/token"
        client_id = "me"
        authentication = "none"

        [sources.visitors]
        server = "login"
        grant = "user_sessions"
        session_timeout = "7 days"

        [clients.orders]
        base_url = "URL/orders"
        source = "visitors"

        [clients.stock]
        base_url = "URL/stock"
        server = "login"
        grant = "token_exchange"
        audience = "stock"
    "#;
    let mut builder = server.config(toml).builder().server("login", |server| {
        let gateway = |_| {
            (
                HeaderName::from_static("x-gateway"),
                HeaderValue::from_static("7"),
            )
        };
        server.request_headers(move || [()].into_iter().map(gateway).collect())
    });
    // What a sign-in needs is what the clients have: with the header, which is set once.
    builder.token_endpoint("login").unwrap();
    builder.token_endpoint("login").unwrap();
    let apis = builder.build().unwrap();
    let orders = apis.user_client("orders").unwrap();
    let user = Subject::new("session-1").unwrap();
    let tokens = TokenSet::new("access").with_refresh_token("refresh");
    orders.users().sign_in(&user, tokens).await.unwrap();
    orders.for_subject(&user).get("1").send().await.unwrap();
    let stock = apis.exchange_client("stock").unwrap();
    let caller = SubjectToken::new("incoming").unwrap();
    stock
        .for_subject_token(&caller)
        .get("1")
        .send()
        .await
        .unwrap();
    let seen = server.take();
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, ["/orders/1", "/token", "/stock/1"]);
    assert_eq!(seen[0].token().as_deref(), Some("access"));
    assert_eq!(seen[1].field("subject_token").as_deref(), Some("incoming"));
    assert_eq!(seen[1].headers.get("x-gateway").unwrap(), "7");
    assert_eq!(seen[1].field("audience").as_deref(), Some("stock"));
    assert_eq!(orders.users().name(), "visitors");
    assert_eq!(stock.tokens().name(), "stock");
}

#[tokio::test]
async fn tokens_that_come_without_a_server_need_none() {
    // J3
    let server = Server::start().await;
    let file = std::env::temp_dir().join(format!(
        "reqwest-bearer-config-token-{}",
        std::process::id()
    ));
    std::fs::write(&file, "of-a-file\n").unwrap();
    let toml = format!(
        r#"
        [clients.a]
        base_url = "URL/a"
        grant = "constant"
        token = {{ inline = "constant-token" }}

        [clients.b]
        base_url = "URL/b"
        grant = "token_file"
        token_file = {file:?}
        reload_interval = 30
        "#
    );
    let apis = server.config(&toml).build().unwrap();
    apis.get("a").unwrap().get("1").send().await.unwrap();
    apis.get("b").unwrap().get("1").send().await.unwrap();
    std::fs::remove_file(&file).unwrap();
    let tokens: Vec<_> = server
        .take()
        .iter()
        .filter_map(super::support::http_server::Seen::token)
        .collect();
    assert_eq!(tokens, ["constant-token", "of-a-file"]);
}

#[tokio::test]
async fn a_refresh_token_is_read_from_its_file_and_read_again_when_it_is_dead() {
    // J3, K13
    use crate::support::http_server::{HttpServer, Reply};
    let http = HttpServer::start(|request: crate::support::http_server::Seen| {
        let refresh_token = request.field("refresh_token");
        std::future::ready(Some(match refresh_token.as_deref() {
            None => Reply::new(200),
            Some("newer") => Reply::new(200).json(&serde_json::json!({
                "access_token": "of-the-newer", "token_type": "Bearer", "expires_in": 3600
            })),
            Some(_) => Reply::new(400).json(&serde_json::json!({ "error": "invalid_grant" })),
        }))
    })
    .await;
    let file = std::env::temp_dir().join(format!(
        "reqwest-bearer-config-refresh-{}",
        std::process::id()
    ));
    std::fs::write(&file, "older\n").unwrap();
    let toml = format!(
        r#"
        [servers.login]
        token_url = "{url}/token"
        client_id = "me"
        authentication = "none"

        [clients.a]
        base_url = "{url}/a"
        server = "login"
        grant = "refresh_token"
        refresh_token = {{ file = {file:?} }}
        "#,
        url = http.url(),
    );
    let apis = crate::server::config(&toml).build().unwrap();
    // Another program has rotated it since.
    std::fs::write(&file, "newer\n").unwrap();
    let token = apis.get("a").unwrap().source().token().await.unwrap();
    assert_eq!(token.expose(), "of-the-newer");
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn one_hook_hears_the_events_of_all_sources_by_their_names() {
    // J3
    let server = Server::start().await;
    let toml = r#"
        [servers.login]
        token_url = "URL/token"
        client_id = "me"
        authentication = "none"

        [sources.shared]
        server = "login"

        [clients]
        a = { base_url = "URL/a", source = "shared" }
        b = { base_url = "URL/b", server = "login" }
    "#;
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let hears = heard.clone();
    let apis = server.config(toml).builder().on_event(move |event| {
        if let Event::TokenRequest { source, .. } = event {
            hears.lock().unwrap().push(source.to_string());
        }
    });
    apis.build().unwrap().warm_up().await.unwrap();
    let mut heard = heard.lock().unwrap().clone();
    heard.sort();
    assert_eq!(heard, ["b", "shared"]);
}
