//! Settings that cannot work, and texts that are no certificate with its key.

use real_parts::{CertificateAuthority, Certified};
use reqwest_bearer::{
    ClientAuthentication, ClientCertificate, ClientCredentials, Error, ErrorKind, NamedClient,
    SigningAlgorithm, SigningKey, TokenEndpoint, TokenSource, http_client, reqwest,
};

use crate::causes;

fn own() -> ClientCertificate {
    ClientCertificate::from_pem(Certified::self_signed("me").pem()).unwrap()
}

fn client(certificate: &ClientCertificate) -> ClientAuthentication {
    ClientAuthentication::tls_client_auth("me", certificate)
}

fn is_about(error: &Error, words: &str) {
    assert_eq!(error.kind(), ErrorKind::Settings, "{error:?}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn a_text_that_is_no_certificate_with_its_key_is_refused_with_nothing_of_it() {
    // H3, H8
    let authority = CertificateAuthority::new();
    let (own, other) = (authority.client("me"), authority.client("other"));
    let encrypted = include_str!("../../../signing/keys/encrypted_pkcs8.pem");
    let damaged = own.key.replacen("MI", "MJ", 1);
    for (text, words) in [
        (String::new(), "has no private key"),
        (own.key.clone(), "has no certificate"),
        (own.certificate.clone(), "is a certificate"),
        (
            format!("{}{}", own.certificate, other.key),
            "is of another key",
        ),
        (
            format!("{}{}", own.pem(), other.key),
            "more than one private key",
        ),
        (format!("{}{encrypted}", own.certificate), "is encrypted"),
        (format!("{}{damaged}", own.certificate), ""),
        (own.pem()[..own.pem().len() - 40].to_owned(), "cut off"),
    ] {
        let error = ClientCertificate::from_pem(&text).unwrap_err();
        is_about(&error, words);
        let shown = format!("{} {error:?}", causes(&error));
        for line in text.lines().filter(|line| line.len() > 40) {
            assert!(!shown.contains(line), "{shown}");
        }
    }
}

#[test]
fn a_certificate_of_any_usual_key_will_do() {
    // H3
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let params = rcgen::CertificateParams::new([]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        for text in [
            format!("{certificate}{}", key.serialize_pem()),
            format!("a comment\n{}\n{certificate}", key.serialize_pem()),
        ] {
            ClientCertificate::from_pem(text).unwrap();
        }
    }
}

#[tokio::test]
async fn a_certificate_is_never_left_out_where_nothing_would_present_it() {
    // H3
    let certificate = own();
    let endpoint = TokenEndpoint::new("http://127.0.0.1:9/token", client(&certificate)).unwrap();
    let source = TokenSource::from(ClientCredentials::new(endpoint));
    let error = source.token().await.unwrap_err();
    is_about(&error, "is plain http");
    for (base_url, origin) in [
        ("http://127.0.0.1:9", "https://127.0.0.1:9"),
        ("https://127.0.0.1:9", "http://127.0.0.1:9"),
    ] {
        let built = NamedClient::builder("api", base_url, &source)
            .origin(origin)
            .client_certificate(&certificate)
            .build();
        is_about(&built.unwrap_err(), "is plain http");
    }
}

#[test]
fn an_http_client_that_cannot_have_the_certificate_is_a_wrong_setting() {
    // H3
    let (certificate, other) = (own(), own());
    let url = "https://login.example.com/token";
    let one_builder = TokenEndpoint::builder(client(&certificate))
        .token_url(url)
        .http(reqwest::Client::builder())
        .build();
    is_about(&one_builder.unwrap_err(), "`http_from_fn`");

    let endpoint = TokenEndpoint::new(url, client(&certificate)).unwrap();
    let shared = |client| {
        let builder = TokenEndpoint::builder(client).token_url(url);
        builder.http_client_of(&endpoint).build()
    };
    shared(client(&certificate)).unwrap();
    is_about(&shared(client(&other)).unwrap_err(), "`http_client_of`");
    let without = ClientAuthentication::none("me");
    is_about(&shared(without.clone()).unwrap_err(), "`http_client_of`");

    let sibling = ClientAuthentication::tls_client_auth("sibling", &certificate);
    endpoint.for_client(sibling).unwrap();
    for client in [client(&other), without.clone()] {
        is_about(
            &endpoint.for_client(client).unwrap_err(),
            "build an endpoint",
        );
    }
    let plain = TokenEndpoint::new(url, without).unwrap();
    let later = plain.for_client(client(&certificate));
    is_about(&later.unwrap_err(), "build an endpoint");

    let source = TokenSource::from(ClientCredentials::new(endpoint));
    let named = || {
        NamedClient::builder("api", "https://api.example.com", &source)
            .client_certificate(&certificate)
    };
    named().build().unwrap();
    let http = http_client(reqwest::Client::builder()).unwrap();
    for built in [
        named().client(&http).build(),
        named().http(reqwest::Client::builder()).build(),
        named()
            .client_with_own_redirects(reqwest::Client::new())
            .build(),
    ] {
        is_about(&built.unwrap_err(), "`http_from_fn`");
    }
}

#[test]
fn settings_of_assertions_are_none_of_a_client_that_has_but_a_certificate() {
    // H1, H3
    let error = TokenEndpoint::new(
        "https://login.example.com/token",
        client(&own()).endpoint_as_audience(),
    );
    is_about(&error.unwrap_err(), "assertions");
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let both = ClientAuthentication::private_key_jwt("me", key).client_certificate(own());
    TokenEndpoint::new(
        "https://login.example.com/token",
        both.endpoint_as_audience(),
    )
    .unwrap();
}

#[test]
fn nothing_shows_the_key() {
    // H8
    let own = Certified::self_signed("me");
    let certificate = ClientCertificate::from_pem(own.pem()).unwrap();
    let client = client(&certificate);
    let builder = TokenEndpoint::builder(client.clone()).token_url("https://login.example.com/t");
    let shown = format!("{certificate:?} {client:?} {builder:?}");
    let shown = format!("{shown} {:?}", builder.build().unwrap());
    for line in own.key.lines().filter(|line| line.len() > 40) {
        assert!(!shown.contains(line), "{shown}");
    }
}
