//! What is sent for a client from a configuration is what is sent for the same client from code.

use std::time::Duration;

use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, JwtBearer, NamedClient, NamedClients, SecretSource,
    TokenEndpoint, TokenExchange, TokenParameters, TokenSource,
};

use crate::server::Server;
use crate::support::http_server::Seen;

/// What matters of a request: where it went, as whom, and with what.
fn shown(requests: Vec<Seen>) -> Vec<String> {
    let shown = requests.into_iter().map(|seen| {
        let header = |name| {
            seen.headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let fields: Vec<_> = form_urlencoded::parse(&seen.body).collect();
        let (authorization, shop) = (header("authorization"), header("x-shop"));
        format!(
            "{} {} {authorization:?} {shop:?} {fields:?}",
            seen.method, seen.path
        )
    });
    shown.collect()
}

async fn sent(server: &Server, apis: &NamedClients) -> Vec<String> {
    for client in apis.iter() {
        client.get("42").send().await.unwrap();
    }
    shown(server.take())
}

/// The same calls by both make the same requests, and so many.
async fn assert_same(server: &Server, toml: &str, code: Vec<NamedClient>, count: usize) {
    let configured = server.config(toml).build().unwrap();
    let of_config = sent(server, &configured).await;
    let of_code = sent(server, &NamedClients::new(code).unwrap()).await;
    assert_eq!(of_config, of_code);
    assert_eq!(of_config.len(), count, "{of_config:?}");
}

#[tokio::test]
async fn two_clients_of_one_source_share_its_token_and_a_narrowed_one_has_its_own() {
    // J3
    let server = Server::start().await;
    let url = server.url();
    let secret = ClientAuthentication::client_secret_basic("me", "s3cr3t");
    let endpoint = TokenEndpoint::new(format!("{url}/token"), secret).unwrap();
    let source: TokenSource = ClientCredentials::new(endpoint).scope("all").into();
    let narrowed = source.with_parameters(TokenParameters::new().scope("little"));
    let client = |name, source| NamedClient::new(name, format!("{url}/{name}"), source).unwrap();
    let code = vec![
        client("a", &source),
        client("b", &source),
        client("c", &narrowed),
    ];
    let toml = r#"
        [servers.login]
        token_url = "URL/token"
        client_id = "me"
        client_secret = { inline = "s3cr3t" }

        [sources.app]
        server = "login"
        scope = "all"

        [clients]
        a = { base_url = "URL/a", source = "app" }
        b = { base_url = "URL/b", source = "app" }
        c = { base_url = "URL/c", source = "app", scope = "little" }
    "#;
    // Three calls, and a token request for each of the two scopes.
    assert_same(&server, toml, code, 5).await;
}

#[tokio::test]
async fn whatever_a_token_is_asked_for_with_and_sent_in_is_the_same() {
    // J3, E4
    let server = Server::start().await;
    let url = server.url();
    let file = std::env::temp_dir().join(format!("reqwest-bearer-config-{}", std::process::id()));
    std::fs::write(&file, "of a file\n").unwrap();
    let client = ClientAuthentication::client_secret_post("me", SecretSource::file(&file))
        .client_id_field("appid");
    let endpoint = TokenEndpoint::builder(client)
        .token_url(format!("{url}/token"))
        .attempt_timeout(Duration::from_secs(3))
        .build()
        .unwrap();
    let parameters = TokenParameters::new()
        .scope("a b c")
        .audience("one")
        .audience("two")
        .resource("https://api.example.com")
        .extra("acr_values", "mfa");
    let grant = ClientCredentials::new(endpoint).parameters(parameters);
    let shop = NamedClient::builder("shop", format!("{url}/shop"), grant)
        .header("X-Shop")
        .build()
        .unwrap();
    let toml = format!(
        r#"
        [servers.login]
        token_url = "URL/token"
        client_id = "me"
        authentication = "client_secret_post"
        client_id_field = "appid"
        client_secret = {{ file = {file:?} }}
        attempt_timeout = "3 s"

        [clients.shop]
        base_url = "URL/shop"
        server = "login"
        scope = ["a b", "c"]
        audience = ["one", "two"]
        resource = "https://api.example.com"
        extra = {{ acr_values = "mfa" }}
        header = "X-Shop"
        "#
    );
    assert_same(&server, &toml, vec![shop], 2).await;
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn assertions_and_exchanges_are_the_same() {
    // J3, I1, I2
    let server = Server::start().await;
    let url = server.url();
    let endpoint = |client| TokenEndpoint::new(format!("{url}/token"), client).unwrap();
    let public = endpoint(ClientAuthentication::none("me"));
    let svid = endpoint(ClientAuthentication::jwt_svid("spiffe://me", "a.b.c"));
    let exchange = TokenExchange::new(public.clone())
        .subject_token("of-the-platform")
        .subject_token_type("urn:ietf:params:oauth:token-type:jwt")
        .actor_token("of-an-agent")
        .scope("x");
    let assertion = JwtBearer::new(svid, "assertion").scope("y");
    let code = vec![
        NamedClient::new(
            "exchanged",
            format!("{url}/e"),
            TokenSource::builder(exchange).build().unwrap(),
        )
        .unwrap(),
        NamedClient::new("jwt", format!("{url}/j"), TokenSource::from(assertion)).unwrap(),
    ];
    let toml = r#"
        [servers.public]
        token_url = "URL/token"
        client_id = "me"
        authentication = "none"

        [servers.platform]
        token_url = "URL/token"
        client_id = "spiffe://me"
        authentication = "jwt_svid"
        client_assertion = { inline = "a.b.c" }

        [clients.exchanged]
        base_url = "URL/e"
        server = "public"
        grant = "token_exchange"
        subject_token = { inline = "of-the-platform" }
        subject_token_type = "urn:ietf:params:oauth:token-type:jwt"
        actor_token = { inline = "of-an-agent" }
        scope = "x"

        [clients.jwt]
        base_url = "URL/j"
        server = "platform"
        grant = "jwt_bearer"
        assertion = { inline = "assertion" }
        scope = "y"
    "#;
    assert_same(&server, toml, code, 4).await;
}
