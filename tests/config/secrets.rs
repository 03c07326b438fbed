//! Where secrets are found, and that none is ever shown.

use crate::server::{Server, config, fault, wrong};

/// A client of a server whose secret is this.
fn with(secret: &str) -> String {
    format!(
        r#"
        [servers.login]
        token_url = "URL/token"
        client_id = "me"
        client_secret = {secret}

        [clients.orders]
        base_url = "URL/orders"
        server = "login"
        "#
    )
}

#[tokio::test]
async fn a_secret_is_found_in_a_variable_or_by_an_explicit_word_in_the_configuration() {
    // J3, E4
    let server = Server::start().await;
    for (place, secret) in [
        // Cargo sets it for each test.
        ("{ env = \"CARGO_PKG_NAME\" }", "reqwest-bearer"),
        ("{ inline = \"$3cr3t}\" }", "$3cr3t}"),
    ] {
        let text = with(place).replace(
            "client_secret =",
            "authentication = \"client_secret_post\"\nclient_secret =",
        );
        let apis = server.config(&text).build().unwrap();
        apis.get("orders").unwrap().get("1").send().await.unwrap();
        assert_eq!(
            server.take()[0].field("client_secret").as_deref(),
            Some(secret)
        );
    }
}

#[tokio::test]
async fn a_secret_in_a_file_is_read_afresh_for_each_token_request() {
    // J3, E4
    let server = Server::start().await;
    let file = std::env::temp_dir().join(format!(
        "reqwest-bearer-config-secret-{}",
        std::process::id()
    ));
    let text = with(&format!("{{ file = {file:?} }}")).replace(
        "client_secret =",
        "authentication = \"client_secret_post\"\nclient_secret =",
    );
    // Not there yet: building reads nothing.
    let apis = server.config(&text).build().unwrap();
    let source = apis.get("orders").unwrap().source();
    for secret in ["one", "two"] {
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        source.invalidate_all().unwrap();
        source.token().await.unwrap();
        assert_eq!(
            server.take()[0].field("client_secret").as_deref(),
            Some(secret)
        );
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_secret_that_is_nowhere_or_in_two_places_is_told() {
    // J3, D6
    let place = "a table that says where the secret is found: `{ env = \"NAME\" }`, `{ file = \"/run/secrets/name\" }`, \
                 or `{ inline = \"...\" }` if it may stand in the configuration itself";
    for (secret, message) in [
        ("\"canary\"", format!("client_secret: is a text; {place} is expected")),
        ("{}", format!("client_secret: does not say where it is; {place} is expected")),
        (
            "{ env = \"canary\", inline = \"canary\" }",
            "client_secret: names two places for one secret; leave one of `env`, `file` and `inline`".to_owned(),
        ),
        ("{ env = \"canary\" }", "client_secret.env: no variable of the environment has this name".to_owned()),
        ("{ env = \"a=\\u0000canary\" }", "client_secret.env: no variable of the environment has this name".to_owned()),
        (
            "{ evn = \"canary\" }",
            format!(
                "2 settings are wrong:\n  servers.login.client_secret: does not say where it is; {place} is expected\n  \
                 servers.login.client_secret.evn: is no key of this table; did you mean `env`?"
            ),
        ),
        (
            "{ inline = 17 }",
            "client_secret.inline: is a number; a text is expected: put it in quotes".to_owned(),
        ),
    ] {
        let told = fault(&with(secret).replace("URL", "https://login.example.com"));
        let prefix = if message.starts_with('2') { "" } else { "servers.login." };
        assert_eq!(told, format!("{prefix}{message}"));
    }
}

#[test]
fn nothing_is_filled_in_for_a_sign_of_another_language() {
    // J3
    let told = "has `${` in it, and nothing is filled in here; have it filled in by what reads the configuration, or give \
                a secret by `{ env = \"NAME\" }`";
    let good = with("{ inline = \"x\" }").replace("URL", "https://login.example.com");
    for (of, instead, key) in [
        (
            "{ inline = \"x\" }",
            "{ inline = \"${SECRET}\" }",
            "servers.login.client_secret.inline",
        ),
        (
            "{ inline = \"x\" }",
            "{ env = \"${NAME}\" }",
            "servers.login.client_secret.env",
        ),
        (
            "{ inline = \"x\" }",
            "{ file = \"${HOME}/x\" }",
            "servers.login.client_secret.file",
        ),
        (
            "https://login.example.com/orders",
            "https://${HOST}/orders",
            "clients.orders.base_url",
        ),
        (
            "https://login.example.com/token",
            "${URL}",
            "servers.login.token_url",
        ),
        ("\"me\"", "\"${ID}\"", "servers.login.client_id"),
    ] {
        let text = good.replace(of, instead);
        let told_of_it = fault(&text);
        assert!(
            told_of_it.contains(&format!("{key}: {told}")),
            "{told_of_it}"
        );
    }
}

#[test]
fn a_configuration_shows_the_names_of_its_tables_and_nothing_else() {
    // J3, D6
    let text = with("{ inline = \"canary\" }").replace("\"me\"", "\"canary\"");
    let config = config(&text);
    let shown = format!("{config:?} {:?}", config.clone().builder());
    assert!(!shown.contains("canary"), "{shown}");
    assert!(
        shown.contains("orders") && shown.contains("login"),
        "{shown}"
    );
}

#[test]
fn a_file_of_a_refresh_token_has_to_be_there_when_the_clients_are_built() {
    // J3
    let text = r#"
        [servers.login]
        issuer = "https://login.example.com"
        client_id = "me"
        authentication = "none"

        [clients.a]
        base_url = "https://api.example.com"
        server = "login"
        grant = "refresh_token"
        refresh_token = { file = "/nowhere/canary" }
    "#;
    let told = wrong(config(text).build());
    assert!(
        told.starts_with("clients.a.refresh_token.file: the file cannot be read: "),
        "{told}"
    );
    assert!(!told.contains("canary"), "{told}");
    let empty = text.replace("file = \"/nowhere/canary\"", "inline = \"\"");
    let told = wrong(config(&empty).build());
    assert_eq!(told, "clients.a.refresh_token: there is nothing in it");
}
