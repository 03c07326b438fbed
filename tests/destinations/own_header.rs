//! D4: a caller's own `Authorization` header wins.

use http::header::AUTHORIZATION;
use reqwest_bearer::TokenSource;

use crate::support::api::Api;
use crate::support::authorization_server::AuthorizationServer;

#[tokio::test]
async fn to_an_own_header_nothing_is_added_and_its_refusal_is_the_caller_s_affair() {
    // D4: with and without a token at hand, at home and elsewhere.
    let server = AuthorizationServer::start().await;
    let (api, foreign) = (Api::start(&server).await, Api::start(&server).await);
    let source = TokenSource::from(server.client_credentials());
    let client = api.client(&source);
    for warm in [false, true] {
        if warm {
            source.warm_up().await.unwrap();
        }
        for at in [&api, &foreign] {
            let url = format!("{}/x", at.url());
            let before = at.seen().len();
            let own = [
                client.get(&url).bearer_auth("own"),
                client.get(&url).basic_auth("me", Some("pw")),
                client.get(&url).header(AUTHORIZATION, "Custom x"),
                client.get(url.replace("//", "//me:pw@")),
            ];
            let count = own.len();
            for request in own {
                assert_eq!(request.send().await.unwrap().status(), 401);
            }
            let seen = at.seen().split_off(before);
            assert_eq!(seen.len(), count, "sent again");
            let headers = seen.iter().map(|seen| {
                let values = seen.headers.get_all(AUTHORIZATION).iter();
                values.map(|value| value.to_str().unwrap()).collect()
            });
            let headers: Vec<Vec<_>> = headers.collect();
            let basic = "Basic bWU6cHc=";
            let expected = ["Bearer own", basic, "Custom x", basic];
            assert_eq!(headers, expected.map(|value| vec![value]));
        }
        assert_eq!(server.token_requests(), usize::from(warm));
        assert!(!source.status().is_refused());
    }
}
