//! H5, H7, D3: what cannot work is told when it is set, and no redirect takes a proof along.

use http::StatusCode;
use reqwest::Client;
use reqwest_bearer::{
    BearerTokenMiddleware, BearerTokenMiddlewareBuilder, BearerTokenProvider, Error, ErrorKind,
    NamedClient, NamedClientBuilder, http_client, http_client_without_redirects,
    same_origin_http_client,
};

use crate::server::Servers;
use crate::support::http_server::{HttpServer, Reply};

#[tokio::test]
async fn a_redirect_takes_neither_token_nor_proof_along_not_even_at_home() {
    // H7, D3
    let servers = Servers::start().await;
    let elsewhere = HttpServer::start(async |_| Some(Reply::new(200))).await;
    let source = servers.source();
    let builder = || NamedClient::builder("api", servers.api.url(""), &source);
    let without = http_client_without_redirects(Client::builder()).unwrap();
    for client in [
        builder(),
        builder().http(Client::builder()),
        builder().origin(elsewhere.url()),
        builder().same_origin_client(&without),
    ] {
        let client = client.build().unwrap();
        for to in [servers.api.url("/y"), elsewhere.url().to_owned()] {
            servers.api.then(Reply::new(307).header("location", to));
            let answer = client.get("x").send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
        }
    }
    assert_eq!((servers.api.requests(), elsewhere.connections()), (8, 0));
}

#[tokio::test]
async fn a_client_that_follows_redirects_is_a_wrong_setting() {
    // H7, D3
    let servers = Servers::start().await;
    let source = servers.source();
    let builder = || BearerTokenMiddleware::builder(&source).origin(servers.api.url(""));
    let at_home = same_origin_http_client(Client::builder()).unwrap();
    let without = http_client_without_redirects(Client::builder()).unwrap();
    for wrong in [builder(), builder().over(&at_home)] {
        assert_eq!(wrong.build().unwrap_err().kind(), ErrorKind::Settings);
    }
    let of_origin = BearerTokenMiddleware::for_origin(servers.api.url(""), &source);
    assert_eq!(of_origin.unwrap_err().kind(), ErrorKind::Settings);
    let right: [BearerTokenMiddlewareBuilder; 2] = [
        builder().over(&without),
        builder().over_client_with_own_redirects(),
    ];
    assert!(right.into_iter().all(|right| right.build().is_ok()));

    let named = || NamedClient::builder("api", servers.api.url(""), &source);
    let shared = http_client(Client::builder()).unwrap();
    let wrong: [NamedClientBuilder; 2] = [
        named().client(&shared),
        named().same_origin_client(&at_home),
    ];
    for wrong in wrong {
        assert_eq!(wrong.build().unwrap_err().kind(), ErrorKind::Settings);
    }

    // This one cannot fail when it is made.
    let any = BearerTokenMiddleware::for_any_origin(&source);
    let client = reqwest_middleware::ClientBuilder::new(Client::new())
        .with(any)
        .build();
    let error = client.get(servers.api.url("/x")).send().await.unwrap_err();
    assert_eq!(Error::find_in(&error).unwrap().kind(), ErrorKind::Settings);
    assert_eq!(servers.api.requests(), 0);
}

#[tokio::test]
async fn a_bound_token_goes_nowhere_but_behind_its_scheme() {
    // H5
    let servers = Servers::start().await;
    let source = servers.source();
    let builder = || NamedClient::builder("api", servers.api.url(""), &source);
    for wrong in [
        builder().header("X-Access-Token"),
        builder().scheme("token"),
        builder().without_scheme(),
        builder().id_token(),
    ] {
        assert_eq!(wrong.build().unwrap_err().kind(), ErrorKind::Settings);
    }
}

#[tokio::test]
async fn a_library_that_sends_no_proof_is_given_no_bound_token() {
    // J2, H7
    let servers = Servers::start().await;
    let source = servers.source();
    let error = source.bearer_token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert_eq!(error.token_source(), Some(source.name()));
    assert!(
        error.to_string().contains("bound to a key (DPoP)"),
        "{error}"
    );
}
