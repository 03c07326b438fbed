//! D3: a redirect never carries the token to another origin. The matrix is in `redirects.rs`; here
//! is what the clients make of it that we build.

use reqwest_bearer::{ConstantToken, NamedClient, NamedClientBuilder};

use crate::raw_server::RawServer;

/// A -> B/1 -> B/2, where A and B are two ports of one machine.
struct Chain {
    server: RawServer,
    start: String,
    there: String,
}

impl Chain {
    async fn new() -> Self {
        let server = RawServer::default();
        let a = server.listen("127.0.0.1:0").await.unwrap();
        let b = server.listen("127.0.0.1:0").await.unwrap();
        let (start, there) = (format!("http://{a}"), format!("http://{b}"));
        server.redirect(format!("{start}/1"), format!("{there}/1"));
        server.redirect(format!("{there}/1"), format!("{there}/2"));
        Self {
            server,
            start,
            there,
        }
    }

    fn client(&self) -> NamedClientBuilder {
        NamedClient::builder("api", &self.start, ConstantToken::new("canary").unwrap())
    }

    /// The status that a call ends with, and which requests brought the token.
    async fn follow(&self, client: NamedClientBuilder) -> (u16, Vec<bool>) {
        let answer = client.build().unwrap().get("1").send().await.unwrap();
        let seen = self.server.seen();
        let tokens = seen
            .iter()
            .map(|seen| seen.header("authorization") == Some("Bearer canary"))
            .collect();
        (answer.status().as_u16(), tokens)
    }
}

#[tokio::test]
async fn a_named_client_carries_no_token_to_another_origin() {
    // D3: the second hop within B is where reqwest alone would deliver it.
    let chain = Chain::new().await;
    assert_eq!(chain.follow(chain.client()).await, (302, vec![true, false]));
}

#[tokio::test]
async fn a_redirect_to_an_origin_that_was_added_carries_no_token_either() {
    // D3
    let chain = Chain::new().await;
    let client = chain.client().origin(&chain.there);
    assert_eq!(chain.follow(client).await, (302, vec![true, false]));
}

#[tokio::test]
async fn the_policy_of_the_user_s_builder_is_replaced() {
    // D3
    let chain = Chain::new().await;
    let lenient = reqwest::redirect::Policy::limited(5);
    let http = reqwest::Client::builder().redirect(lenient);
    let client = chain.client().http(http);
    assert_eq!(chain.follow(client).await, (302, vec![true, false]));
}

#[tokio::test]
async fn a_ready_made_client_leaks_as_its_name_says() {
    // D3: the control. As long as it holds, the tests above can fail.
    let chain = Chain::new().await;
    let client = chain
        .client()
        .client_with_own_redirects(reqwest::Client::new());
    assert_eq!(chain.follow(client).await, (200, vec![true, false, true]));
}
