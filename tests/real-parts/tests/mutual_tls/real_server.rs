//! The same at a server that nobody here wrote: npm's `oidc-provider`.

use real_parts::{AuthorizationServer, CertificateAuthority, Certified};
use reqwest_bearer::{
    ClientAuthentication, ClientCertificate, ClientCredentials, ConstantToken, ErrorKind,
    NamedClient, TokenEndpoint, TokenKind, TokenSource,
};
use serde_json::{Value, json};

use crate::replaced::replace_under_load;
use crate::{Files, trusting};

/// A client as the server knows it.
fn registered(id: &str, method: &str, known_by: &Value) -> Value {
    let mut client = json!({
        "client_id": id,
        "token_endpoint_auth_method": method,
        "tls_client_certificate_bound_access_tokens": true,
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
        "scope": "api:read",
    });
    for (name, value) in known_by.as_object().expect("an object") {
        client[name] = value.clone();
    }
    client
}

async fn server(authority: &CertificateAuthority, clients: &[Value]) -> AuthorizationServer {
    let own = authority.server();
    AuthorizationServer::start_with(json!({
        "clients": clients,
        "mtls": {
            "certificate": own.certificate,
            "key": own.key,
            "authority": authority.certificate(),
        },
    }))
    .await
}

#[tokio::test]
async fn a_real_server_knows_its_clients_by_their_certificates_and_binds_their_tokens_to_them() {
    // H3
    let authority = CertificateAuthority::new();
    let vouched_for = authority.client("my-client");
    let self_signed = Certified::self_signed("anything");
    let server = server(
        &authority,
        &[
            registered(
                "vouched-for",
                "tls_client_auth",
                &json!({ "tls_client_auth_subject_dn": "CN=my-client" }),
            ),
            registered(
                "self-signed",
                "self_signed_tls_client_auth",
                &json!({ "jwks": { "keys": [self_signed.jwk()] } }),
            ),
        ],
    )
    .await;
    for issuer in [&server.root, &server.tenant_a] {
        for (own, other, client) in [
            (
                &vouched_for,
                authority.client("another"),
                &(|certificate: &_| {
                    ClientAuthentication::tls_client_auth("vouched-for", certificate)
                }) as &dyn Fn(&ClientCertificate) -> ClientAuthentication,
            ),
            (
                &self_signed,
                Certified::self_signed("anything"),
                &(|certificate: &_| {
                    ClientAuthentication::self_signed_tls_client_auth("self-signed", certificate)
                }),
            ),
        ] {
            let certificate = |own: &Certified| ClientCertificate::from_pem(own.pem()).unwrap();
            let endpoint = |certificate: &ClientCertificate| {
                TokenEndpoint::builder(client(certificate))
                    .issuer(issuer.url())
                    .http_from_fn(trusting(&authority))
                    .build()
                    .unwrap()
            };
            let (certificate, other) = (certificate(own), certificate(&other));
            let own_endpoint = endpoint(&certificate);
            let source = TokenSource::from(ClientCredentials::new(own_endpoint.clone()));
            let api = NamedClient::builder("api", issuer.api_by_certificate(), &source)
                .http_from_fn(trusting(&authority))
                .client_certificate(&certificate)
                .build()
                .unwrap();
            assert_eq!(api.get("echo").send().await.unwrap().status(), 200);
            // The token is worth nothing by another certificate, and the client is nobody.
            let token = source.token().await.unwrap();
            let thief = ConstantToken::new(token.expose()).unwrap();
            let thief = NamedClient::builder("api", issuer.api_by_certificate(), thief)
                .http_from_fn(trusting(&authority))
                .client_certificate(&other)
                .build()
                .unwrap();
            assert_eq!(thief.get("echo").send().await.unwrap().status(), 401);
            let stranger = TokenSource::from(ClientCredentials::new(endpoint(&other)));
            let error = stranger.token().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
            assert_eq!(error.oauth_code(), Some("invalid_client"));
            let revoked = own_endpoint.revoke(token.expose(), TokenKind::AccessToken);
            revoked.await.unwrap();
            // The token is dead: the next call gets another.
            let before = issuer.count_token_requests("client_credentials").await;
            assert_eq!(api.get("echo").send().await.unwrap().status(), 200);
            let after = issuer.count_token_requests("client_credentials").await;
            assert_eq!(after, before + 1);
        }
    }
}

#[tokio::test]
async fn at_a_real_server_too_a_certificate_that_is_replaced_under_load_fails_no_call() {
    // H3
    let authority = CertificateAuthority::new();
    let known_by = json!({ "tls_client_auth_subject_dn": "CN=my-client" });
    let client = registered("my-client", "tls_client_auth", &known_by);
    let server = server(&authority, &[client]).await;
    let all: Vec<_> = (0..5).map(|_| authority.client("my-client")).collect();
    let files = Files::with(&all[0]);
    let certificate = files.certificate();
    let client = ClientAuthentication::tls_client_auth("my-client", &certificate);
    let endpoint = TokenEndpoint::builder(client)
        .issuer(server.root.url())
        .http_from_fn(trusting(&authority))
        .build()
        .unwrap();
    let source = TokenSource::from(ClientCredentials::new(endpoint));
    let api = NamedClient::builder("api", server.root.api_by_certificate(), &source)
        .http_from_fn(trusting(&authority))
        .client_certificate(&certificate)
        .build()
        .unwrap();
    replace_under_load(&api, &source, &files, &all[1..]).await;
}
