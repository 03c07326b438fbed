//! A second real authorization server: glewlwyd, a daemon in C with its data in SQLite, which others wrote and
//! Debian ships. It wants a nonce in each proof, one for each client, and gives another one on every third
//! answer that it is content with.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, Response, StatusCode, Url};
use reqwest_bearer::ErrorKind;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpSocket;

use crate::free_port::free_port;
use crate::{
    BASIC, CertificateAuthority, Certified, Folder, IssuerUnderTest, PUBLIC, START_LIMIT, SignedIn,
    plain_client,
};

/// The tables, and an administrator with the password `password`. Not the copy below `/usr/share/doc`, which
/// small images of Debian leave out.
const TABLES: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";

/// Nobody listens here: the test reads the code out of the `Location` header.
const REDIRECT_URI: &str = "http://127.0.0.1:9/callback";

/// How often is looked whether it answers.
const PACE: Duration = Duration::from_millis(10);

/// Between this and the daemon: it ends the daemon when its standard input is closed, which happens even when
/// the test process is killed.
const SHELL: &str = r#"sqlite3 glewlwyd.db <"$1" && {
    glewlwyd --config-file=glewlwyd.conf >glewlwyd.log 2>&1 &
    echo $!; read -r _; kill -9 $!; wait 2>&-
}"#;

/// Its own TLS, in the words of its configuration. Without it no such line may stand there.
const TLS: &str = r#"
        use_secure_connection = true
        secure_connection_key_file = "tls.key"
        secure_connection_pem_file = "tls.crt"
        secure_connection_ca_file = "ca.crt"
        "#;

/// A running glewlwyd with one issuer. It ends with this.
///
/// Panics, with a plain message, when `glewlwyd` is not installed or does not start.
#[derive(Debug)]
pub struct Glewlwyd {
    issuer: String,
    http: Client,
    shell: Child,
    _folder: Folder,
    _reservation: TcpSocket,
}

impl Glewlwyd {
    /// Starts a server that knows [`BASIC`], [`PUBLIC`], the user `alice`, and these clients in the words of
    /// RFC 7591.
    pub async fn start(clients: &[Value]) -> Self {
        Self::start_at("http", plain_client(), "", Folder::new(), clients).await
    }

    /// The same with TLS of its own, where clients may show a certificate (RFC 8705): one that the authority
    /// vouches for, or one of the `self_signed`. Glewlwyd looks at none that its TLS has not found good, so
    /// that it has to trust those as well.
    pub async fn start_with_tls(
        authority: &CertificateAuthority,
        self_signed: &[&Certified],
        clients: &[Value],
    ) -> Self {
        let own = authority.server();
        let mut trusted = authority.certificate();
        trusted.extend(self_signed.iter().map(|one| one.certificate.as_str()));
        let folder = Folder::new();
        for (name, text) in [
            ("tls.key", &own.key),
            ("tls.crt", &own.certificate),
            ("ca.crt", &trusted),
        ] {
            fs::write(folder.join(name), text).expect("a file");
        }
        let authority = authority.certificate();
        let authority = reqwest::Certificate::from_pem(authority.as_bytes()).expect("it is one");
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([authority])
            .build()
            .expect("the certificates are good");
        Self::start_at("https", http, TLS, folder, clients).await
    }

    async fn start_at(
        scheme: &str,
        http: Client,
        settings: &str,
        folder: Folder,
        clients: &[Value],
    ) -> Self {
        assert!(
            Path::new(TABLES).is_file(),
            "the second authorization server of this test is not installed: run tests/run.sh, \
             or install Debian's package glewlwyd"
        );
        let (port, reservation) = free_port();
        let origin = format!("{scheme}://127.0.0.1:{port}");
        let configuration = configuration(port, &origin) + settings;
        fs::write(folder.join("glewlwyd.conf"), configuration).expect("a file");
        let mut shell = Command::new("sh")
            .args(["-c", SHELL, "sh", TABLES])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let stdout = shell.stdout.take().expect("standard output was asked for");
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        assert!(
            read.is_ok_and(|read| read > 0),
            "sqlite3 did not take {TABLES}"
        );

        let server = Self {
            issuer: format!("{origin}/api/oidc"),
            http,
            shell,
            _folder: folder,
            _reservation: reservation,
        };
        server.until_ready().await;
        server.configure(clients).await;
        server
    }

    fn api(&self, path: &str) -> String {
        let api = self
            .issuer
            .strip_suffix("/oidc")
            .expect("the plugin's name");
        format!("{api}{path}")
    }

    async fn until_ready(&self) {
        let ready = async {
            // It answers 401 to whoever has not signed in.
            while self.http.get(self.api("/profile")).send().await.is_err() {
                tokio::time::sleep(PACE).await;
            }
        };
        tokio::time::timeout(START_LIMIT, ready)
            .await
            .expect("glewlwyd did not answer within a minute; glewlwyd.log in its folder says why");
    }

    async fn configure(&self, clients: &[Value]) {
        let admin = self.log_in("admin").await;
        let ask = async |path: &str, body: Value| {
            self.ask(&admin, Method::POST, path, body).await;
        };
        ask("/mod/plugin/", self.plugin()).await;
        self.keep_subjects_of_certificates(&admin).await;
        let scope = json!({ "name": Self::APPLICATION_SCOPE, "password_required": false });
        ask("/scope/", scope).await;
        ask(
            "/user/",
            json!({
                "username": "alice",
                "password": "password",
                "email": "alice@example.com",
                "scope": ["openid", "api"],
                "enabled": true,
            }),
        )
        .await;
        let basic = json!({
            "client_id": BASIC.id,
            "client_secret": BASIC.secret,
            "token_endpoint_auth_method": "client_secret_basic",
        });
        let public = json!({ "client_id": PUBLIC.id, "token_endpoint_auth_method": "none" });
        for client in [&basic, &public].into_iter().chain(clients) {
            ask("/client/", registered(client)).await;
        }
    }

    /// Clients keep what is listed here, and the subject of their certificate is missing as Debian ships it.
    async fn keep_subjects_of_certificates(&self, admin: &str) {
        const MODULE: &str = "/mod/client/database";
        let request = self.http.get(self.api(MODULE)).header(COOKIE, admin);
        let answer = request.send().await.expect("the server is up");
        let mut module: Value = answer.json().await.expect("a module");
        module["parameters"]["data-format"]["tls_client_auth_subject_dn"] =
            json!({ "multiple": false, "read": true, "write": true });
        // It reads the list when it starts.
        for (path, body) in [
            ("", module),
            ("/disable", json!({})),
            ("/enable", json!({})),
        ] {
            let path = format!("{MODULE}{path}");
            self.ask(admin, Method::PUT, &path, body).await;
        }
    }

    /// The issuer. What is left out is off.
    fn plugin(&self) -> Value {
        json!({
            "module": "oidc",
            "name": "oidc",
            "display_name": "oidc",
            "parameters": {
                "iss": self.issuer,
                "jwt-type": "sha",
                "jwt-key-size": "256",
                "key": "a key that signs the tokens of this test alone",
                "access-token-duration": 3600,
                "refresh-token-duration": 3600,
                "code-duration": 600,
                "refresh-token-rolling": true,
                "refresh-token-one-use": "always",
                "allow-non-oidc": true,
                "auth-type-code-enabled": true,
                "auth-type-client-enabled": true,
                "auth-type-refresh-enabled": true,
                "auth-type-device-enabled": true,
                "device-authorization-expiration": 600,
                "device-authorization-interval": 2,
                // Missing means on for these three.
                "auth-type-token-enabled": false,
                "auth-type-id-token-enabled": true,
                "auth-type-password-enabled": false,
                "pkce-allowed": true,
                "email-claim": "mandatory",
                // Without these there is no `private_key_jwt`.
                "request-parameter-allow": true,
                "client-jwks-parameter": "jwks",
                "oauth-dpop-allowed": true,
                "oauth-dpop-iat-duration": 60,
                "oauth-dpop-iat-gap-duration": 5,
                "oauth-dpop-nonce-mandatory": true,
                "oauth-dpop-nonce-counter": 2,
                "client-cert-source": "TLS",
                "client-cert-use-endpoint-aliases": true,
                "client-cert-self-signed-allowed": true,
                "introspection-revocation-allowed": true,
                "introspection-revocation-allow-target-client": true,
            },
        })
    }

    /// Opens the page with the code of a device in its URL, logged in, and agrees to
    /// [`USER_SCOPE`](IssuerUnderTest::USER_SCOPE).
    pub async fn agree_to_device(&self, page: &Url, client_id: &str, account: &str) {
        let cookie = self.log_in(account).await;
        let agreed = json!({ "scope": Self::USER_SCOPE });
        let grant = format!("/auth/grant/{client_id}");
        self.ask(&cookie, Method::PUT, &grant, agreed).await;
        let mut page = page.clone();
        // Its pages would send the browser back with it, once the user has agreed.
        page.query_pairs_mut().append_pair("g_continue", "");
        let request = self.http.get(page).header(COOKIE, cookie);
        let answer = request.send().await.expect("the server is up");
        let location = answer.headers().get(LOCATION).expect("a redirect");
        let location = location.to_str().expect("a URL is ASCII");
        assert!(location.contains("prompt=deviceComplete"), "{location}");
    }

    /// Returns the cookie of the session.
    async fn log_in(&self, user: &str) -> String {
        let request = self.http.post(self.api("/auth/"));
        let request = request.json(&json!({ "username": user, "password": "password" }));
        let answer = request.send().await.expect("the server is up");
        assert_eq!(answer.status(), StatusCode::OK, "{user} cannot log in");
        let cookie = answer.headers().get(SET_COOKIE).expect("a session");
        let cookie = cookie.to_str().expect("a cookie is ASCII");
        cookie.split(';').next().unwrap_or_default().to_owned()
    }

    async fn ask(&self, cookie: &str, method: Method, path: &str, body: Value) -> Response {
        let request = self
            .http
            .request(method, self.api(path))
            .header(COOKIE, cookie);
        let answer = request.json(&body).send().await.expect("the server is up");
        let status = answer.status();
        if status != StatusCode::OK {
            panic!("{path} was answered {status}: {:?}", answer.text().await);
        }
        answer
    }
}

impl Drop for Glewlwyd {
    fn drop(&mut self) {
        // Before its folder goes.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn configuration(port: u16, origin: &str) -> String {
    // A slash at the end of the external URL stands twice in what the server says of its endpoints, and in what
    // it demands of a proof's `htu`. A line `use_secure_connection = false` ends it at once: it wants to be told
    // a certificate then as well.
    format!(
        r#"
        port = {port}
        bind_address = "127.0.0.1"
        external_url = "{origin}"
        api_prefix = "api"
        log_mode = "console"
        log_level = "DEBUG"
        login_url = "login.html"
        session_key = "GLEWLWYD2_SESSION_ID"
        admin_scope = "g_admin"
        profile_scope = "g_profile"
        hash_algorithm = "SHA512"
        user_module_path = "/usr/lib/glewlwyd/user"
        client_module_path = "/usr/lib/glewlwyd/client"
        user_auth_scheme_module_path = "/usr/lib/glewlwyd/scheme"
        plugin_module_path = "/usr/lib/glewlwyd/plugin"
        database = {{ type = "sqlite3"; path = "glewlwyd.db"; }};
        "#
    )
}

/// From the words of RFC 7591 into the server's own.
fn registered(client: &Value) -> Value {
    let method = &client["token_endpoint_auth_method"];
    let mut registered = json!({
        "client_id": client["client_id"],
        "confidential": method != "none",
        "token_endpoint_auth_method": [method],
        "authorization_type": ["code", "client_credentials", "refresh_token", "device_authorization"],
        "redirect_uri": [REDIRECT_URI],
        "scope": ["openid", "api"],
        "enabled": true,
    });
    // Null is not the same as missing here.
    for name in ["client_secret", "jwks", "tls_client_auth_subject_dn"] {
        if let Some(value) = client.get(name) {
            registered[name] = value.clone();
        }
    }
    registered
}

impl IssuerUnderTest for Glewlwyd {
    const USER_SCOPE: &str = "openid";
    // Without a scope it answers 403, and says nothing.
    const APPLICATION_SCOPE: &str = "api";
    const REVOCATION_ENDS_ACCESS_TOKENS: bool = false;
    const STOLEN_CODE: ErrorKind = ErrorKind::Rejected;
    const REVOKED: ErrorKind = ErrorKind::Rejected;
    const UNKNOWN_KEY: (ErrorKind, Option<&str>) = (ErrorKind::Rejected, None);

    fn url(&self) -> &str {
        &self.issuer
    }

    fn userinfo_base(&self) -> String {
        self.issuer.clone()
    }

    fn userinfo_path(&self) -> &str {
        "userinfo"
    }

    /// By the API of its pages: logs in, agrees, and asks for the code.
    async fn sign_in_at(&self, client_id: &str, account: &str, dpop_jkt: Option<&str>) -> SignedIn {
        let cookie = self.log_in(account).await;
        let agreed = json!({ "scope": Self::USER_SCOPE });
        let grant = format!("/auth/grant/{client_id}");
        self.ask(&cookie, Method::PUT, &grant, agreed).await;

        let code_verifier: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(64)
            .collect();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&code_verifier));
        let mut url = Url::parse_with_params(
            &format!("{}/auth", self.issuer),
            [
                ("response_type", "code"),
                ("client_id", client_id),
                ("redirect_uri", REDIRECT_URI),
                ("scope", Self::USER_SCOPE),
                ("nonce", "of-the-id-token"),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
                // Its pages would send the browser back with it, once the user has agreed.
                ("g_continue", ""),
            ],
        )
        .expect("the issuer is a URL");
        if let Some(dpop_jkt) = dpop_jkt {
            url.query_pairs_mut().append_pair("dpop_jkt", dpop_jkt);
        }
        let request = self.http.get(url).header(COOKIE, cookie);
        let answer = request.send().await.expect("the server is up");
        let location = answer.headers().get(LOCATION).expect("a redirect");
        let callback = Url::parse(location.to_str().expect("a URL is ASCII")).expect("a URL");
        let code = callback.query_pairs().find(|(name, _)| name == "code");
        let Some((_, code)) = code else {
            panic!("the sign-in ended without a code: {callback}");
        };
        SignedIn {
            code: code.into_owned(),
            code_verifier,
            redirect_uri: REDIRECT_URI.to_owned(),
        }
    }
}
