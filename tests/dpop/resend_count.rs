//! J1: each sending of a bound token is counted, for another proof and for another token.

use reqwest_bearer::NamedClient;

use crate::api_nonces::nonce_wanted;
use crate::server::{Servers, refusal};
use crate::support::sendings::Sendings;

#[tokio::test]
async fn a_sending_for_a_nonce_and_one_for_a_token_are_counted_on() {
    // J1, H6
    for (is_refused, counts) in [
        (false, &[None, Some(1)][..]),
        (true, &[None, Some(1), Some(2)]),
    ] {
        let servers = Servers::start().await;
        let sendings = Sendings::default();
        let client = NamedClient::builder("api", servers.api.url(""), servers.source())
            .after(sendings.clone())
            .build()
            .unwrap();
        // A nonce is wanted, for a token that is dead or not.
        servers.api.then(nonce_wanted("n-1"));
        if is_refused {
            servers.api.then(refusal());
        }
        assert_eq!(client.get("x").send().await.unwrap().status(), 200);
        assert_eq!(sendings.counts(), counts);
    }
}

#[tokio::test]
async fn a_nonce_that_the_second_token_needs_is_counted_on_too() {
    // J1, H6
    let servers = Servers::start().await;
    let sendings = Sendings::default();
    let client = NamedClient::builder("api", servers.api.url(""), servers.source())
        .after(sendings.clone())
        .build()
        .unwrap();
    servers.api.then(refusal()).then(nonce_wanted("n-1"));
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    assert_eq!(sendings.counts(), [None, Some(1), Some(2)]);
}
