//! The same at servers that nobody here wrote: npm's `oidc-provider`, and Debian's `glewlwyd`.

use std::time::SystemTime;

use real_parts::{AuthorizationServer, CertificateAuthority, Certified, Glewlwyd, IssuerUnderTest};
use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, ClientCertificate, ClientCredentials, ConstantToken,
    Grant as _, GrantRequest, NamedClient, RefreshTokenGrant, TokenEndpoint, TokenKind,
    TokenParameters, TokenSet, TokenSource, reqwest,
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

/// A client that an authority vouches for and one that nobody does, with a stranger for each.
struct Known {
    authority: CertificateAuthority,
    vouched_for: Certified,
    vouched_for_too: Certified,
    self_signed: Certified,
    self_signed_too: Certified,
}

struct Client<'a> {
    id: &'static str,
    own: &'a Certified,
    other: &'a Certified,
    way: fn(&str, ClientCertificate) -> ClientAuthentication,
}

impl Client<'_> {
    fn certificate(&self) -> ClientCertificate {
        ClientCertificate::from_pem(self.own.pem()).unwrap()
    }

    fn of_another(&self) -> ClientCertificate {
        ClientCertificate::from_pem(self.other.pem()).unwrap()
    }
}

impl Known {
    fn new() -> Self {
        let authority = CertificateAuthority::new();
        Self {
            vouched_for: authority.client("my-client"),
            vouched_for_too: authority.client("another"),
            self_signed: Certified::self_signed("anything"),
            self_signed_too: Certified::self_signed("anything"),
            authority,
        }
    }

    fn registered(&self) -> [Value; 2] {
        let subject = json!({ "tls_client_auth_subject_dn": "CN=my-client" });
        let keys = json!({ "jwks": { "keys": [self.self_signed.jwk()] } });
        [
            registered("vouched-for", "tls_client_auth", &subject),
            registered("self-signed", "self_signed_tls_client_auth", &keys),
        ]
    }

    fn clients(&self) -> [Client<'_>; 2] {
        [
            Client {
                id: "vouched-for",
                own: &self.vouched_for,
                other: &self.vouched_for_too,
                way: |id, certificate| ClientAuthentication::tls_client_auth(id, certificate),
            },
            Client {
                id: "self-signed",
                own: &self.self_signed,
                other: &self.self_signed_too,
                way: |id, certificate| {
                    ClientAuthentication::self_signed_tls_client_auth(id, certificate)
                },
            },
        ]
    }

    /// A source whose server knows the client by its own certificate, and by no other.
    async fn by_certificate_alone<I: IssuerUnderTest>(
        &self,
        issuer: &I,
        client: &Client<'_>,
    ) -> (TokenEndpoint, TokenSource) {
        let with = |certificate| {
            let endpoint = TokenEndpoint::builder((client.way)(client.id, certificate))
                .issuer(issuer.url())
                .http_from_fn(trusting(&self.authority))
                .build()
                .unwrap();
            let grant = ClientCredentials::new(endpoint.clone()).scope(I::APPLICATION_SCOPE);
            (endpoint, TokenSource::from(grant))
        };
        let (_, stranger) = with(client.of_another());
        let error = stranger.token().await.unwrap_err();
        assert_eq!(error.kind(), I::UNKNOWN_KEY.0, "{error}");
        assert_eq!(error.oauth_code(), I::UNKNOWN_KEY.1);
        let own = with(client.certificate());
        own.1.token().await.unwrap();
        own
    }

    /// What the server says of a token (RFC 7662), to a client with its certificate.
    async fn introspect(&self, issuer: &Glewlwyd, client: &Client<'_>, token: &str) -> Value {
        let identity = reqwest::Identity::from_pem(client.own.pem().as_bytes()).unwrap();
        let http = trusting(&self.authority)().identity(identity).build();
        let request = http
            .unwrap()
            .post(format!("{}/mtls/introspect", issuer.url()));
        let form = [("client_id", client.id), ("token", token)];
        let answer = request.form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }
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
    let known = Known::new();
    let server = server(&known.authority, &known.registered()).await;
    for issuer in [&server.root, &server.tenant_a] {
        for client in known.clients() {
            let (certificate, other) = (client.certificate(), client.of_another());
            let (endpoint, source) = known.by_certificate_alone(issuer, &client).await;
            let api = NamedClient::builder("api", issuer.api_by_certificate(), &source)
                .http_from_fn(trusting(&known.authority))
                .client_certificate(&certificate)
                .build()
                .unwrap();
            assert_eq!(api.get("echo").send().await.unwrap().status(), 200);
            // The token is worth nothing by another certificate.
            let token = source.token().await.unwrap();
            let thief = ConstantToken::new(token.expose()).unwrap();
            let thief = NamedClient::builder("api", issuer.api_by_certificate(), thief)
                .http_from_fn(trusting(&known.authority))
                .client_certificate(&other)
                .build()
                .unwrap();
            assert_eq!(thief.get("echo").send().await.unwrap().status(), 401);
            let revoked = endpoint.revoke(token.expose(), TokenKind::AccessToken);
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
async fn a_second_real_server_binds_all_tokens_of_a_client_to_its_certificate() {
    // H3
    let known = Known::new();
    let self_signed = [&known.self_signed, &known.self_signed_too];
    let issuer =
        Glewlwyd::start_with_tls(&known.authority, &self_signed, &known.registered()).await;
    for client in known.clients() {
        let (endpoint, source) = known.by_certificate_alone(&issuer, &client).await;
        let token = source.token().await.unwrap();
        let introspected = known.introspect(&issuer, &client, token.expose()).await;
        assert_eq!(introspected["cnf"]["x5t#S256"], client.own.thumbprint);
        let revoked = endpoint.revoke(token.expose(), TokenKind::AccessToken);
        revoked.await.unwrap();
        let introspected = known.introspect(&issuer, &client, token.expose()).await;
        assert_eq!(introspected["active"], false);

        // A user's, from the code and from the refresh.
        let signed_in = issuer.sign_in_at(client.id, "alice", None).await;
        let tokens = AuthorizationCode::new(signed_in.code)
            .redirect_uri(signed_in.redirect_uri)
            .code_verifier(signed_in.code_verifier)
            .exchange(&endpoint)
            .await
            .unwrap();
        let refresh_token = tokens.refresh_token().unwrap().clone();
        let request = GrantRequest::new(TokenParameters::new(), Some(refresh_token.clone()));
        let grant = RefreshTokenGrant::new(endpoint, refresh_token);
        let answer = grant.obtain(request).await.unwrap();
        let refreshed = TokenSet::from_response(answer, SystemTime::now());
        for tokens in [tokens, refreshed] {
            let token = tokens.access_token().unwrap().expose();
            let introspected = known.introspect(&issuer, &client, token).await;
            assert_eq!(introspected["cnf"]["x5t#S256"], client.own.thumbprint);
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
