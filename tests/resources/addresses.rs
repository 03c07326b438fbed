//! Which addresses are asked for what an API's metadata leads to.
//!
//! All names of `localhost` are on this machine by their names (RFC 6761 section 6.3), so that they need no TLS;
//! the resolver of a test says where they are nevertheless.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest_bearer::{
    AuthorizationRequest, ClientAuthentication, Error, ErrorKind, ProtectedResource,
    ProtectedResourceBuilder, RegistrationRequest, TokenEndpoint, TokenKind, TokenRequest,
};
use serde_json::{Value, json};

use crate::server::{Server, WELL_KNOWN};

const HERE: &str = "127.0.0.1";
const PRIVATE: &str = "10.0.0.1";

/// Says that a name has these addresses, another list each time it is asked, the last one for good.
#[derive(Clone)]
struct Names(Arc<Mutex<Vec<Vec<IpAddr>>>>);

impl Names {
    fn with(lists: &[&[&str]]) -> Self {
        let list = |list: &&[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect();
        Self(Arc::new(Mutex::new(lists.iter().rev().map(list).collect())))
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let mut lists = self.0.lock().unwrap();
        let list = match lists.len() {
            // What is said without a name that is asked for, is on this machine.
            _ if !name.as_str().ends_with("localhost") && !name.as_str().ends_with(".com") => {
                vec![HERE.parse().unwrap()]
            }
            1 => lists[0].clone(),
            _ => lists.pop().unwrap(),
        };
        let addresses = list.into_iter().map(|ip| SocketAddr::new(ip, 0));
        let addresses: Addrs = Box::new(addresses);
        Box::pin(async { Ok(addresses) })
    }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OriginNotAllowed, "{error}");
    assert!(!error.is_transient());
}

/// An API by another name of this machine.
fn by_name(server: &Server, names: Names) -> ProtectedResourceBuilder {
    let url = server.url_at("localhost", "/v1");
    server.json(&format!("{WELL_KNOWN}/v1"), &json!({ "resource": url }));
    ProtectedResource::builder(url).resolver(names)
}

#[tokio::test]
async fn the_address_that_is_connected_to_is_judged_and_not_the_name() {
    // I5
    let server = Server::start().await;
    let api = by_name(&server, Names::with(&[&[HERE]])).build().unwrap();
    assert!(api.metadata().await.is_ok());
    // The second time, the name has moved into the network.
    let api = by_name(&server, Names::with(&[&[HERE], &[PRIVATE]]));
    let api = api.build().unwrap();
    assert!(api.metadata().await.is_ok());
    refused(api.renew().await);
    // Of several addresses, those are left out that may not be asked.
    let api = by_name(&server, Names::with(&[&[PRIVATE, HERE]]));
    assert!(api.build().unwrap().metadata().await.is_ok());
    let connections = server.connections();
    for private in [
        PRIVATE,
        "192.168.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "fd00::1",
    ] {
        for list in [&[private][..], &[private, PRIVATE]] {
            let api = by_name(&server, Names::with(&[list])).build().unwrap();
            refused(api.metadata().await);
        }
    }
    assert_eq!(server.connections(), connections);
}

#[tokio::test]
async fn any_address_is_asked_where_the_program_allows_it() {
    // I5
    let server = Server::start().await;
    let names = || Names::with(&[&["::ffff:127.0.0.1"]]);
    refused(by_name(&server, names()).build().unwrap().metadata().await);
    let api = by_name(&server, names()).allow_private_addresses();
    let metadata = api.build().unwrap().metadata().await;
    // Whatever becomes of the connection, it is made.
    let kind = metadata.err().map(|error| error.kind());
    assert_ne!(kind, Some(ErrorKind::OriginNotAllowed));
}

#[tokio::test]
async fn an_api_of_this_machine_names_no_server_in_a_private_network() {
    // I5
    let server = Server::start().await;
    for issuer in [
        "https://10.0.0.1",
        "https://192.168.0.1:8443/realm",
        "https://169.254.169.254",
        "https://[fd00::1]",
        "https://[::ffff:10.0.0.1]",
        "https://0",
    ] {
        server.is_api_of(&[issuer.to_owned()]);
        refused(server.api().authorization_server().await);
        refused(server.api().authorization_server_named(issuer).await);
    }
}

/// An API of this machine whose authorization server has this document.
async fn found(document: &Value, names: Names) -> (Server, ProtectedResource) {
    let server = Server::both().await;
    server.is_issuer_with(document);
    let api = ProtectedResource::builder(server.url("/v1")).resolver(names);
    (server, api.build().unwrap())
}

async fn endpoint(api: &ProtectedResource) -> TokenEndpoint {
    let server = api.authorization_server().await.unwrap();
    server
        .client(ClientAuthentication::client_secret_basic("me", "canary"))
        .unwrap()
}

#[tokio::test]
async fn no_endpoint_of_a_server_that_was_found_is_in_a_private_network() {
    // I5
    let request = || TokenRequest::new("client_credentials");
    for place in ["https://10.0.0.1/x", "http://internal.localhost:1/x"] {
        let names = || Names::with(&[&[PRIVATE]]);
        let (_server, api) = found(&json!({ "token_endpoint": place }), names()).await;
        let token = endpoint(&api).await;
        refused(token.request_token(request()).await);
        // As another client of it, too, and by the HTTP client of another endpoint.
        let other = token
            .for_client(ClientAuthentication::none("other"))
            .unwrap();
        refused(other.request_token(request()).await);

        let (_server, api) = found(&json!({ "revocation_endpoint": place }), names()).await;
        refused(
            endpoint(&api)
                .await
                .revoke("canary", TokenKind::RefreshToken)
                .await,
        );

        let (_server, api) = found(&json!({ "registration_endpoint": place }), names()).await;
        let server = api.authorization_server().await.unwrap();
        let request = RegistrationRequest::new().initial_access_token("canary");
        refused(server.register(&request).await);

        let pushed = json!({ "pushed_authorization_request_endpoint": place });
        let (_server, api) = found(&pushed, names()).await;
        let request = AuthorizationRequest::new("http://127.0.0.1/callback");
        refused(request.start(&endpoint(&api).await).await);
    }
    // The user's browser looks its names up itself.
    let authorization = json!({ "authorization_endpoint": "https://192.168.0.1/reboot" });
    let (_server, api) = found(&authorization, Names::with(&[&[HERE]])).await;
    let request = AuthorizationRequest::new("http://127.0.0.1/callback");
    refused(request.start(&endpoint(&api).await).await);
}

#[tokio::test]
async fn the_http_client_of_a_found_server_is_no_way_round_the_rule() {
    // I5
    let (server, api) = found(&json!({}), Names::with(&[&[PRIVATE]])).await;
    let found = endpoint(&api).await;
    let other = TokenEndpoint::builder(ClientAuthentication::none("me"))
        .token_url(server.url_at("internal.localhost", "/token"))
        .http_client_of(&found)
        .build()
        .unwrap();
    refused(
        other
            .request_token(TokenRequest::new("client_credentials"))
            .await,
    );
    assert!(server.seen("/token").is_empty());
}

#[tokio::test]
async fn what_the_program_names_itself_is_asked_wherever_it_is() {
    // I5
    let (server, api) = found(&json!({}), Names::with(&[&[HERE]])).await;
    let endpoint = endpoint(&api).await;
    let token = endpoint
        .request_token(TokenRequest::new("client_credentials"))
        .await;
    assert!(token.is_ok());
    assert_eq!(server.seen("/token").len(), 1);
}

/// An API with a public name needs TLS.
#[cfg(feature = "rustls")]
mod of_the_internet {
    use super::{Names, PRIVATE, refused};
    use crate::server::Server;
    use reqwest_bearer::{ErrorKind, ProtectedResource};

    #[tokio::test]
    async fn an_api_of_the_internet_is_not_asked_at_a_private_address_nor_on_this_machine() {
        // I5
        let server = Server::start().await;
        let url = server
            .url("/v1")
            .replace("http://127.0.0.1", "https://api.example.com");
        let builder =
            |address| ProtectedResource::builder(&url).resolver(Names::with(&[&[address]]));
        for address in [
            PRIVATE,
            super::HERE,
            "::1",
            "169.254.169.254",
            "::ffff:127.0.0.1",
        ] {
            refused(builder(address).build().unwrap().metadata().await);
        }
        assert_eq!(server.connections(), 0);
        // The connection is made, and what is there speaks no TLS.
        let api = builder(super::HERE)
            .allow_private_addresses()
            .build()
            .unwrap();
        let error = api.metadata().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(server.connections() > 0);
    }
}

/// A client with a certificate has HTTP clients of its own.
#[cfg(feature = "mtls")]
mod by_certificate {
    use super::{Names, PRIVATE, found, refused};
    use reqwest_bearer::{ClientAuthentication, ClientCertificate, TokenRequest};
    use serde_json::json;

    #[tokio::test]
    async fn a_certificate_is_presented_to_no_private_address() {
        // I5, H3
        let certificate = include_str!("../signing/keys/certificate.pem");
        let key = include_str!("../signing/keys/rsa_pkcs8.pem");
        let certificate = ClientCertificate::from_pem(format!("{certificate}{key}")).unwrap();
        for place in ["https://10.0.0.1/x", "https://internal.localhost:1/x"] {
            let aliases = json!({ "mtls_endpoint_aliases": { "token_endpoint": place } });
            let (_server, api) = found(&aliases, Names::with(&[&[PRIVATE]])).await;
            let server = api.authorization_server().await.unwrap();
            let client = ClientAuthentication::tls_client_auth("me", &certificate);
            let endpoint = server.client(client).unwrap();
            let request = TokenRequest::new("client_credentials");
            refused(endpoint.request_token(request).await);
        }
    }
}
