//! Calls with tokens that are bound to a key.

use futures_util::FutureExt;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use reqwest_bearer::{
    AccessToken, BearerTokenMiddleware, ClientAuthentication, ClientCredentials, DpopKey, Signer,
    SigningKey, TokenEndpoint, TokenSource, http_client_without_redirects,
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use crate::call::request;
use crate::dpop_server::DpopServer;
use crate::{Canned, ORIGIN};

/// A nonce as servers make them.
const NONCE: &str = "eyJ7S_zG.eyJH0-Z.HX4w-7v";

/// A source whose tokens are bound to this key.
pub fn bound_source(server: &DpopServer, key: &DpopKey) -> TokenSource {
    let client = ClientAuthentication::client_secret_basic("client", "secret");
    let endpoint = TokenEndpoint::new(server.token_url(), client).expect("a URL on loopback");
    TokenSource::builder(ClientCredentials::new(endpoint))
        .dpop(key)
        .build()
        .expect("the settings can work")
}

/// A client with these tokens, for this origin.
pub fn bound_client(origin: &str, source: TokenSource) -> ClientBuilder {
    let http = http_client_without_redirects(reqwest::Client::builder());
    let http = http.expect("the default settings can be used");
    let bearer = BearerTokenMiddleware::builder(source)
        .origin(origin)
        .over(&http)
        .build();
    ClientBuilder::new(http.into()).with(bearer.expect("it is an origin"))
}

/// A warm call that ends in the canned answer, and the parts of it: its proof, and the signature alone.
pub struct BoundCall {
    client: ClientWithMiddleware,
    url: Url,
    token: AccessToken,
    key: SigningKey,
    /// What is signed for a proof: as long as it really is.
    message: Vec<u8>,
}

impl BoundCall {
    /// Everything lazy has happened, and the API has given a nonce.
    pub async fn warm(key: SigningKey) -> Self {
        let server = DpopServer::start();
        let source = bound_source(&server, &DpopKey::from_key(key.clone()));
        let token = source.token().await.expect("the server is up");
        let url = Url::parse(&format!("{ORIGIN}/v1/orders/42")).expect("it is a URL");
        let mut headers = HeaderMap::new();
        headers.insert("dpop-nonce", NONCE.parse().expect("letters"));
        token.learn_dpop_nonce(&url, &headers);
        let proof = token.dpop_proof(&Method::GET, &url).await;
        let proof = proof.expect("the key signs").expect("the token is bound");
        let text = proof.to_str().expect("letters, digits and dots");
        let (message, _) = text.rsplit_once('.').expect("three parts");
        let mut call = Self {
            client: bound_client(ORIGIN, source).with(Canned).build(),
            message: message.as_bytes().to_vec(),
            url,
            token,
            key,
        };
        for _ in 0..100 {
            call.make().await;
        }
        call
    }

    async fn make(&mut self) {
        let response = self.client.execute(request(&self.url)).await;
        assert_eq!(response.expect("there is an answer").status(), 200);
    }

    /// A call, without a runtime.
    pub fn make_at_once(&mut self) {
        let made = self.make().now_or_never();
        made.expect("a warm call waits for nothing");
    }

    /// The proof of such a call, and nothing else.
    pub fn prove_at_once(&self) {
        let proof = self.token.dpop_proof(&Method::GET, &self.url);
        let proof = proof.now_or_never().expect("the key is in this process");
        assert!(proof.expect("the key signs").is_some());
    }

    /// The signature of such a proof, and nothing else.
    pub fn sign_at_once(&self) {
        let signature = self.key.sign(&self.message).now_or_never();
        let signature = signature.expect("the key is in this process");
        assert!(!signature.expect("the key signs").is_empty());
    }
}
