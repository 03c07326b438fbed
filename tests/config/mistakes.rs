//! What is wrong with a configuration is told with its full key, and with how to mend it.

use crate::server::{config, fault, wrong};

/// A good server, and a client of it, with these lines in their tables.
fn with(server: &str, client: &str) -> String {
    format!(
        r#"
        [servers.login]
        issuer = "https://login.example.com"
        client_id = "me"
        client_secret = {{ env = "CARGO_PKG_NAME" }}
        {server}

        [clients.orders]
        base_url = "https://api.example.com/v1"
        server = "login"
        {client}
        "#
    )
}

#[test]
fn nothing_is_wrong_with_what_the_other_tests_begin_from() {
    // J3
    let apis = config(&with("", "")).build().unwrap();
    assert_eq!(apis.names().collect::<Vec<_>>(), ["orders"]);
}

#[test]
fn a_key_that_is_none_is_told_with_the_nearest_that_is_one() {
    // J3
    for (server, client, message) in [
        (
            "isuer = 1",
            "",
            "servers.login.isuer: is no key of this table; did you mean `issuer`?",
        ),
        (
            "",
            "scopes = 'a'",
            "clients.orders.scopes: is no key of this table; did you mean `scope`?",
        ),
        (
            "",
            "base-url = 'x'",
            "clients.orders.base-url: is no key of this table; did you mean `base_url`?",
        ),
        (
            "",
            "colour = 'red'",
            "clients.orders.colour: is no key of this table",
        ),
        (
            "",
            "timeouts = { atempt = 1 }",
            "clients.orders.timeouts.atempt: is no key of this table; did you mean `attempt`?",
        ),
        (
            "",
            "'a b' = 1",
            "clients.orders.\"a b\": is no key of this table",
        ),
        (
            "",
            "\"a\\nb\" = 1",
            "clients.orders.\"a\\nb\": is no key of this table",
        ),
        (
            "",
            "[client.x]",
            "client: is no key of this table; did you mean `clients`?",
        ),
        (
            "",
            "[server]",
            "server: is no key of this table; did you mean `servers`?",
        ),
    ] {
        assert_eq!(fault(&with(server, client)), message);
    }
}

#[test]
fn a_value_of_the_wrong_type_is_told_with_what_is_expected() {
    // J3
    for (server, client, message) in [
        (
            "",
            "scope = 1",
            "clients.orders.scope: is a number; a text or a list of texts is expected: put it in quotes",
        ),
        (
            "",
            "scope = ['a', 1]",
            "clients.orders.scope[1]: is a number; a text is expected: put it in quotes",
        ),
        (
            "",
            "header = true",
            "clients.orders.header: is `true` or `false`; a text is expected: put it in quotes",
        ),
        (
            "",
            "id_token = 'yes'",
            "clients.orders.id_token: is a text that cannot be read as `true` or `false`",
        ),
        (
            "",
            "id_token = [1]",
            "clients.orders.id_token: is a list; `true` or `false` is expected",
        ),
        (
            "",
            "timeout = 'soon'",
            "clients.orders.timeout: is a text that cannot be read as a duration, such as `\"30 s\"`, `\"5 min\"` or a \
             number of seconds",
        ),
        (
            "",
            "timeout = -1",
            "clients.orders.timeout: is a number that cannot be read as a duration, such as `\"30 s\"`, `\"5 min\"` or a \
             number of seconds",
        ),
        (
            "",
            "refresh_before_expiry = '5 min'",
            "clients.orders.refresh_before_expiry: is a text; a table such as `{ of_lifetime = 0.2, at_most = \"5 min\" \
             }` is expected",
        ),
        (
            "requests_at_once = -1",
            "",
            "servers.login.requests_at_once: is a number that cannot be read as a whole number from 0 up",
        ),
        (
            "",
            "[sources]\nx = 'y'",
            "sources.x: is a text; a table is expected",
        ),
    ] {
        assert_eq!(fault(&with(server, client)), message);
    }
}

#[test]
fn what_a_builder_says_is_told_at_the_key_of_its_setting() {
    // J3, D1, D2
    for (server, client, key, message) in [
        (
            "requests_at_once = 0",
            "",
            "servers.login.requests_at_once",
            "at least 1",
        ),
        (
            "attempt_timeout = 0",
            "",
            "servers.login.attempt_timeout",
            "no request could be answered",
        ),
        (
            "token_url = 'http://login.example.com'",
            "",
            "servers.login.token_url",
            "use https",
        ),
        (
            "revocation_url = 'login'",
            "",
            "servers.login.revocation_url",
            "is not an absolute URL",
        ),
        (
            "discovery_url = 'ftp://x'",
            "",
            "servers.login.discovery_url",
            "neither https nor http",
        ),
        (
            "namespace = 'a b'",
            "",
            "servers.login.namespace",
            "white space",
        ),
        (
            "client_id_field = 'scope'",
            "",
            "servers.login.client_id_field",
            "for something else",
        ),
        (
            "endpoint_as_audience = true",
            "",
            "servers.login.endpoint_as_audience",
            "signed here",
        ),
        (
            "",
            "extra = { client_id = 'x' }",
            "clients.orders.extra",
            "`client_id` cannot be",
        ),
        (
            "",
            "default_lifetime = 0",
            "clients.orders.default_lifetime",
            "until refused",
        ),
        (
            "",
            "cache_capacity = 0",
            "clients.orders.cache_capacity",
            "at least one token",
        ),
        (
            "",
            "timeouts = { wait = 0 }",
            "clients.orders.timeouts.wait",
            "give it a duration",
        ),
        (
            "",
            "refresh_before_expiry = { of_lifetime = 0.9 }",
            "clients.orders.refresh_before_expiry",
            "the share of the lifetime is 0.9; it must be at least 0 and below 0.5",
        ),
        (
            "",
            "origin = 'https://a/path'",
            "clients.orders.origin",
            "without a path",
        ),
        (
            "",
            "origin = ['https://a', 'http://b.example.com']",
            "clients.orders.origin",
            "plain http",
        ),
        (
            "",
            "header = 'a b'",
            "clients.orders.header",
            "no header name",
        ),
        ("", "scheme = 'a b'", "clients.orders.scheme", "one word"),
        (
            "",
            "grant = 'token_exchange'\non_behalf_of = true\nactor_token = { inline = 'x' }",
            "clients.orders.on_behalf_of",
            "neither an actor",
        ),
    ] {
        let told = fault(&with(server, client));
        let (told_key, told_message) = told.split_once(": ").unwrap();
        assert_eq!(told_key, key, "{told}");
        assert!(told_message.contains(message), "{told}");
    }
    for (base, message) in [
        (
            "api.example.com",
            "clients.a.base_url: a base URL is a URL such as",
        ),
        (
            "https://api.example.com/?a",
            "clients.a.base_url: a base URL is a scheme",
        ),
        (
            "http://api.example.com",
            "clients.a.base_url: http://api.example.com: a token sent by plain http",
        ),
    ] {
        let text = format!(
            "clients.a = {{ base_url = '{base}', grant = 'constant', token = {{ inline = 'x' }} }}"
        );
        let told = fault(&text);
        assert!(told.starts_with(message), "{told}");
    }
}

#[test]
fn a_name_that_leads_nowhere_is_told_with_those_that_lead_somewhere() {
    // J3
    let login = "issuer = 'https://login.example.com', client_id = 'me', authentication = 'none'";
    let base = "base_url = 'https://api.example.com'";
    for (clients, message) in [
        (
            format!("a = {{ {base}, server = 'logn' }}"),
            "clients.a.server: names none of `servers`: `login`; did you mean `login`?",
        ),
        (
            format!("a = {{ {base}, source = 'ap' }}"),
            "clients.a.source: names none of `sources`: `app`; did you mean `app`?",
        ),
        (
            format!("a = {{ {base} }}"),
            "clients.a.source: is missing; name one of `sources`: `app`, or give a `server` for a source of its own",
        ),
        (
            format!("a = {{ {base}, grant = 'client_credentials' }}"),
            "clients.a.server: is missing; name one of `servers`: `login`",
        ),
        (
            format!("a = {{ {base}, source = 'app', grant = 'client_credentials' }}"),
            "clients.a.grant: is for a source, and this client shares one; give `grant` in the table of that source",
        ),
        (
            format!("app = {{ {base}, server = 'login' }}"),
            "clients.app: the client has a source of its own, and `sources` has another one of its name; take that by \
             `source = \"app\"`, or call it otherwise",
        ),
        (
            "a = { source = 'app' }".to_owned(),
            "clients.a.base_url: is missing; give the URL of the API, such as `https://api.example.com/v1`",
        ),
        (
            format!("a = {{ {base}, server = 'login', grant = 'client_credential' }}"),
            "clients.a.grant: is none of `client_credentials`, `token_exchange`, `jwt_bearer`, `refresh_token`, \
             `constant`, `token_file`, `user_sessions`; did you mean `client_credentials`?",
        ),
        (
            format!("a = {{ {base}, server = 'login', refresh_token = {{ inline = 'x' }} }}"),
            "clients.a.refresh_token: has no meaning with this `grant`; it is for `refresh_token`",
        ),
        (
            format!("a = {{ {base}, grant = 'constant' }}"),
            "clients.a.token: is missing; `constant` needs it, as a table that says where the secret is found: `{ env = \
             \"NAME\" }`, `{ file = \"/run/secrets/name\" }`, or `{ inline = \"...\" }` if it may stand in the \
             configuration itself",
        ),
    ] {
        let text = format!(
            "servers.login = {{ {login} }}\nsources.app.server = 'login'\n[clients]\n{clients}"
        );
        assert_eq!(fault(&text), message);
    }
}

#[test]
fn client_authentication_that_is_not_said_or_not_whole_is_told() {
    // J3, E4
    for (server, message) in [
        (
            "client_id = 'me'",
            "servers.s.authentication: is missing; give a `client_secret`, or say by which way the client proves who it is \
             (`none` for a public client)",
        ),
        (
            "authentication = 'none'",
            "servers.s.client_id: is missing; give the one that the authorization server issued",
        ),
        (
            "client_id = 'me'\nauthentication = 'none'\nclient_secret = { inline = 'x' }",
            "servers.s.client_secret: has no meaning with this `authentication`; it is for those whose names begin with \
             `client_secret`",
        ),
        (
            "client_id = 'me'\nauthentication = 'basic'\nclient_secret = { inline = 'x' }",
            "servers.s.authentication: is none of `client_secret_basic`, `client_secret_basic_raw`, `client_secret_post`, \
             `none`, `private_key_jwt`, `client_secret_jwt`, `client_assertion`, `jwt_svid`, `tls_client_auth`, \
             `self_signed_tls_client_auth`",
        ),
        (
            "client_id = ''\nauthentication = 'none'",
            "servers.s.client_id: the client id is empty; give the one that the authorization server issued",
        ),
        (
            "client_id = 'me'\nclient_secret = { inline = '' }",
            "servers.s.client_secret: the client secret or assertion is empty; a public client authenticates by `none`",
        ),
    ] {
        let text = format!(
            "[servers.s]\nissuer = 'https://login.example.com'\n{server}\n[clients.a]\nserver = 's'\n\
             base_url = 'https://api.example.com'"
        );
        assert_eq!(fault(&text), message);
    }
}

#[test]
fn all_faults_are_told_at_once_each_at_its_key() {
    // J3
    let text = r#"
        [servers.login]
        isuer = "https://login.example.com"
        client_id = "me"
        client_secret = "s3cr3t"
        attempt_timeout = "long"
        token_url = "http://login.example.com/token"

        [sources.app]
        server = "login"
        cache_capacity = 0

        [clients.orders]
        base_url = "api.example.com"
        source = "app"
        timeout = true

        [clients.billing]
        base_url = "https://billing.example.com"
        sorce = "app"
    "#;
    let told = fault(text);
    let keys: Vec<_> = told
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(key, _)| key.trim())
        .collect();
    assert_eq!(
        keys,
        [
            "servers.login.client_secret",
            "servers.login.attempt_timeout",
            "servers.login.isuer",
            "servers.login.token_url",
            "sources.app.cache_capacity",
            "clients.billing.source",
            "clients.billing.sorce",
            "clients.orders.timeout",
            "clients.orders.base_url",
        ],
        "{told}"
    );
    assert!(told.starts_with("9 settings are wrong:\n"), "{told}");
}

#[test]
fn a_configuration_without_clients_was_hardly_meant() {
    // J3
    let told = "clients: there are none; was the configuration found, and is this table at its place in it?";
    for text in ["", "[clients]", "[servers]"] {
        assert_eq!(fault(text), told, "{text}");
    }
}

#[test]
fn keys_begin_where_the_program_has_them() {
    // J3
    let text = with("", "scopes = 'x'");
    let told = wrong(config(&text).below("apis").build());
    assert!(told.starts_with("apis.clients.orders.scopes: "), "{told}");
}
