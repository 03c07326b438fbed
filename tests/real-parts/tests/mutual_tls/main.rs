//! Clients that are known by their certificate at TLS, and tokens that are bound to it (RFC 8705).

mod real_server;
mod replaced;
mod server;
mod settings;

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use real_parts::{CertificateAuthority, Certified, Folder, Versions};
use reqwest_bearer::{
    AuthorizationRequest, ClientAuthentication, ClientCertificate, ClientCredentials, Error,
    ErrorKind, Event, NamedClient, RefreshTokenGrant, SigningAlgorithm, SigningKey, TokenEndpoint,
    TokenKind, TokenOptions, TokenSource, reqwest,
};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::server::{Behaviour, Server};

/// Trusts the authority, and nobody else.
fn trusting(authority: &CertificateAuthority) -> impl Fn() -> reqwest::ClientBuilder + use<> {
    let certificate = authority.certificate();
    let certificate = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    move || reqwest::Client::builder().tls_certs_only([certificate.clone()])
}

fn endpoint(
    server: &Server,
    authority: &CertificateAuthority,
    client: ClientAuthentication,
) -> TokenEndpoint {
    TokenEndpoint::builder(client)
        .issuer(server.at(""))
        .http_from_fn(trusting(authority))
        .build()
        .unwrap()
}

fn api(
    server: &Server,
    authority: &CertificateAuthority,
    source: &TokenSource,
    certificate: &ClientCertificate,
) -> NamedClient {
    NamedClient::builder("api", server.at("/api"), source)
        .http_from_fn(trusting(authority))
        .client_certificate(certificate)
        .build()
        .unwrap()
}

/// A certificate and its key in two files, as an agent keeps them.
struct Files {
    folder: Folder,
}

impl Files {
    fn with(own: &Certified) -> Self {
        let files = Self {
            folder: Folder::new(),
        };
        files.replace(own);
        files
    }

    /// One after the other, each at once.
    fn replace(&self, own: &Certified) {
        self.put("tls.crt", &own.certificate);
        self.put("tls.key", &own.key);
    }

    fn put(&self, name: &str, text: &str) {
        let next = self.folder.join("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, self.folder.join(name)).unwrap();
    }

    fn certificate(&self) -> ClientCertificate {
        ClientCertificate::files(self.folder.join("tls.crt"), self.folder.join("tls.key"))
    }
}

/// What was told of the files of the certificate.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn hook(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let told = self.0.clone();
        move |event| {
            if let Event::ClientCertificateUnreadable { error, .. } = event {
                told.lock().unwrap().push(error.to_string());
            }
        }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate_and_its_tokens_are_good_by_it_alone() {
    // H3
    let authority = CertificateAuthority::new();
    let server = Server::start(&authority).await;
    let own = authority.client("my-client");
    let certificate = ClientCertificate::from_pem(own.pem()).unwrap();
    for client in [
        ClientAuthentication::tls_client_auth("my-client", &certificate),
        ClientAuthentication::self_signed_tls_client_auth("my-client", &certificate),
        ClientAuthentication::none("my-client").client_certificate(&certificate),
    ] {
        let endpoint = endpoint(&server, &authority, client);
        let source = TokenSource::from(ClientCredentials::new(endpoint.clone()));
        let api = api(&server, &authority, &source, &certificate);
        assert_eq!(api.get("orders").send().await.unwrap().status(), 200);
        endpoint
            .revoke("token-0", TokenKind::AccessToken)
            .await
            .unwrap();
        // Stolen, without the certificate.
        let stolen = NamedClient::builder("stolen", server.at("/stolen"), &source)
            .http(trusting(&authority)())
            .build()
            .unwrap();
        assert_eq!(stolen.get("").send().await.unwrap().status(), 401);
    }
    let with_it = Some(own.thumbprint.clone());
    for request in server.seen() {
        let path = request.path.as_str();
        let is_stolen = path.starts_with("/stolen");
        assert_eq!(request.certificate == with_it, !is_stolen, "{path}");
        if path == "/mtls/token" {
            assert_eq!(request.form["client_id"], "my-client");
            assert_eq!(request.headers.get("authorization"), None);
            let fields = ["client_secret", "client_assertion"];
            assert!(fields.iter().all(|name| !request.form.contains_key(*name)));
        }
    }
    // Its aliases are asked, and they alone (RFC 8705 section 5).
    assert_eq!(server.seen_at("/mtls/revoke").len(), 3);
    assert!(server.seen_at("/mtls/token").len() >= 3);
    assert_eq!(server.certificates_at("/token"), []);
    assert_eq!(server.certificates_at("/revoke"), []);
}

#[tokio::test]
async fn a_client_without_a_certificate_asks_no_alias() {
    // H3
    let authority = CertificateAuthority::new();
    let server = Server::start(&authority).await;
    let client = ClientAuthentication::client_secret_basic("my-client", "s3cr3t");
    let endpoint = endpoint(&server, &authority, client);
    let source = TokenSource::from(ClientCredentials::new(endpoint.clone()));
    source.token().await.unwrap();
    let revoked = endpoint.revoke("token-0", TokenKind::AccessToken).await;
    revoked.unwrap();
    assert_eq!(server.certificates_at("/token"), [None]);
    assert_eq!(server.certificates_at("/revoke"), [None]);
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| !seen.path.starts_with("/mtls"))
    );
}

#[tokio::test]
async fn a_request_is_pushed_with_the_certificate_and_to_its_alias() {
    // H3, I4
    let authority = CertificateAuthority::new();
    let server = Server::start(&authority).await;
    let own = authority.client("me");
    let certificate = ClientCertificate::from_pem(own.pem()).unwrap();
    for (client, place, shown) in [
        (
            ClientAuthentication::tls_client_auth("me", certificate),
            "/mtls/par",
            Some(own.thumbprint),
        ),
        (ClientAuthentication::none("me"), "/par", None),
    ] {
        let endpoint = endpoint(&server, &authority, client);
        let request = AuthorizationRequest::new("https://app.example.com/signed-in");
        let (url, _) = request.start(&endpoint).await.unwrap();
        assert!(
            url.as_str().contains("request_uri=urn%3Aexample%3A1"),
            "{url}"
        );
        assert_eq!(server.certificates_at(place), [shown]);
    }
}

#[tokio::test]
async fn a_way_that_the_document_does_not_list_is_not_tried() {
    // H3, H7
    let authority = CertificateAuthority::new();
    for (listed, is_taken) in [("tls_client_auth", true), ("private_key_jwt", false)] {
        let behaviour = Behaviour {
            listed: Some(listed),
            ..Behaviour::default()
        };
        let server = Server::start_with(&authority, behaviour).await;
        let certificate = ClientCertificate::from_pem(authority.client("me").pem()).unwrap();
        let client = ClientAuthentication::tls_client_auth("me", certificate);
        let source = ClientCredentials::new(endpoint(&server, &authority, client));
        let got = TokenSource::from(source).token().await;
        let kind = got.as_ref().err().map(Error::kind);
        assert_eq!(kind, (!is_taken).then_some(ErrorKind::Settings));
        assert_eq!(server.seen_at("/mtls/token").len(), usize::from(is_taken));
    }
}

#[tokio::test]
async fn a_client_that_signs_may_have_bound_tokens_too() {
    // H1, H3
    let authority = CertificateAuthority::new();
    let server = Server::start(&authority).await;
    let own = authority.client("my-client");
    let certificate = ClientCertificate::from_pem(own.pem()).unwrap();
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let client = ClientAuthentication::private_key_jwt("my-client", key);
    let client = client.client_certificate(&certificate);
    let source = ClientCredentials::new(endpoint(&server, &authority, client));
    let source = TokenSource::from(source);
    let api = api(&server, &authority, &source, &certificate);
    assert_eq!(api.get("orders").send().await.unwrap().status(), 200);
    let [request] = &server.seen_at("/mtls/token")[..] else {
        panic!("one token request");
    };
    assert_eq!(request.certificate, Some(own.thumbprint));
    assert!(request.form.contains_key("client_assertion"));
}

#[tokio::test]
async fn a_redirect_to_another_origin_shows_the_certificate_to_nobody() {
    // H3, D3
    let authority = CertificateAuthority::new();
    let (server, elsewhere) = (
        Server::start(&authority).await,
        Server::start(&authority).await,
    );
    let certificate = ClientCertificate::from_pem(authority.client("me").pem()).unwrap();
    let client = ClientAuthentication::tls_client_auth("me", &certificate);
    let source = ClientCredentials::new(endpoint(&server, &authority, client));
    let source = TokenSource::from(source);
    let api = NamedClient::builder("api", server.at("/to"), &source)
        .http_from_fn(trusting(&authority))
        .client_certificate(&certificate)
        .build()
        .unwrap();
    let other = elsewhere.at("");
    let other = other.strip_prefix("https://").unwrap();
    assert_eq!(api.get(other).send().await.unwrap().status(), 307);
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_certificate_that_is_not_taken_leaves_no_refresh_token_in_doubt() {
    // H3, E3
    // In the older one the handshake fails, in the newer one the request is under way by then.
    const OLDER: Versions = &[&TLS12];
    const NEWER: Versions = &[&TLS13];
    for versions in [OLDER, NEWER] {
        let authority = CertificateAuthority::new();
        let behaviour = Behaviour {
            takes_others: false,
            versions,
            ..Behaviour::default()
        };
        let server = Server::start_with(&authority, behaviour).await;
        let own = authority.client("my-client");
        let stranger = CertificateAuthority::new().client("my-client");
        let files = Files::with(&own);
        let certificate = files.certificate();
        let client = ClientAuthentication::tls_client_auth("my-client", &certificate);
        let endpoint = TokenEndpoint::builder(client)
            .token_url(server.at("/token"))
            .http_from_fn(trusting(&authority))
            .build()
            .unwrap();
        let source = TokenSource::from(RefreshTokenGrant::new(endpoint, "refresh-0"));
        source.token().await.unwrap();
        files.replace(&stranger);
        let anew = TokenOptions::new().force_refresh();
        let error = source.token_with(&anew).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error:?}");
        let text = error.to_string();
        assert!(text.contains("client certificate at TLS"), "{text}");
        // It is mended in place, and the refresh token is as good as before.
        files.replace(&own);
        let token = until_it_may_be_asked_again(&source, &anew).await;
        assert_eq!(token.as_deref(), Ok("Bearer token-1"));
        let spent = server.seen_at("/token").into_iter();
        let spent: Vec<_> = spent
            .map(|seen| seen.form["refresh_token"].clone())
            .collect();
        assert_eq!(spent, ["refresh-0", "refresh-1"]);
    }
}

/// Another token, after the pause that a refusal costs.
async fn until_it_may_be_asked_again(
    source: &TokenSource,
    anew: &TokenOptions,
) -> Result<String, String> {
    loop {
        match source.token_with(anew).await {
            Ok(token) => return Ok(token.authorization().to_str().unwrap().to_owned()),
            Err(error) => {
                let Some(retry_at) = error.retry_at() else {
                    return Err(error.to_string());
                };
                let pause = retry_at
                    .duration_since(SystemTime::now())
                    .unwrap_or_default();
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// What an error says, and what it says of its reasons.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The error of ours below that of a call.
fn ours(error: &reqwest_middleware::Error) -> &Error {
    Error::find_in(error).expect("it is ours")
}
