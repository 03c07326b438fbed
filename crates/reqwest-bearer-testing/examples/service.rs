//! A service that calls an API, and its test in twenty lines: `cargo test -p reqwest-bearer-testing --example
//! service`.

use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, Error, NamedClient, TokenEndpoint, reqwest_middleware,
};

/// What is under test: it gets its client handed in, and knows of no tokens.
struct Orders(NamedClient);

impl Orders {
    async fn open(&self) -> reqwest_middleware::Result<String> {
        let answer = self.0.get("orders/open").send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }
}

fn client() -> Result<NamedClient, Error> {
    let client = ClientAuthentication::client_secret_basic("my-service", "s3cr3t");
    let endpoint = TokenEndpoint::discover("https://login.example.com", client)?;
    let grant = ClientCredentials::new(endpoint);
    NamedClient::new("orders", "https://api.example.com", grant)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", Orders(client()?).open().await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Orders;
    use reqwest_bearer::{NamedClient, TestClock, TokenSource};
    use reqwest_bearer_testing::{Answer, FakeApi, FakeAuthorizationServer, skip_pauses};

    #[tokio::test]
    async fn orders_are_open_whatever_becomes_of_the_token()
    -> Result<(), Box<dyn std::error::Error>> {
        let clock = TestClock::new();
        let server = FakeAuthorizationServer::start_with_clock(&clock)?;
        let api = FakeApi::start(&server)?;
        api.serve("/orders/open", Answer::new(200).body("42"));
        let tokens = TokenSource::builder(server.client_credentials()?)
            .clock(&clock)
            .build()?;
        let orders = Orders(NamedClient::new("orders", api.url(), tokens)?);

        assert_eq!(orders.open().await?, "42"); // the first token
        clock.advance(server.token_lifetime());
        assert_eq!(orders.open().await?, "42"); // expired: the second
        server.revoke_access_tokens();
        assert_eq!(orders.open().await?, "42"); // revoked: a 401, and the third
        server.go_down().await;
        assert_eq!(orders.open().await?, "42"); // an outage, and the token is good
        clock.advance(server.token_lifetime());
        assert!(skip_pauses(&clock, orders.open()).await.is_err()); // the token has had its time
        server.come_back()?;
        clock.advance(std::time::Duration::from_secs(5));
        assert_eq!(orders.open().await?, "42"); // and all is well
        assert_eq!(server.token_request_count(), 4);
        Ok(())
    }
}
