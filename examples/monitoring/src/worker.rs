//! Calls that go on, while everything that can go wrong does, one after the other.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, NamedClient, NamedUserClient, Subject, TokenEndpoint,
    TokenSet, TokenSource, UserSessions,
};
use tokio::time::{interval, sleep};

use crate::flaky_store::FlakyStore;
use crate::servers::Servers;

type Failure = Box<dyn StdError + Send + Sync>;

const USERS: usize = 8;
/// What a call came to is in the metrics.
const BETWEEN_CALLS: Duration = Duration::from_millis(200);

/// The application's calls, those of two processes for their users, and the troubles, until it is dropped.
///
/// # Errors
/// If something is set wrongly.
pub async fn run(servers: &Servers) -> Result<(), Failure> {
    let client = ClientAuthentication::client_secret_basic("my-client", "s3cr3t");
    let endpoint = TokenEndpoint::new(format!("{}/token", servers.url), client)?;
    let source = TokenSource::builder(ClientCredentials::new(endpoint.clone())).name("erp");
    let orders = NamedClient::new("orders", &servers.url, source.build()?)?;

    // Each in a process of its own, if this were not an example.
    let store = FlakyStore::default();
    let process = |name: &str| {
        let sessions = UserSessions::builder(&endpoint).name(name);
        sessions.store(store.clone()).build()
    };
    let processes = [process("web-1")?, process("web-2")?];
    let mut users = Vec::new();
    for number in 0..USERS {
        let subject = Subject::new(format!("session-{number}"))?;
        // Its access token has ended, so that the first call refreshes.
        let tokens =
            TokenSet::new("of-the-sign-in").with_refresh_token(format!("refresh-{number}"));
        let tokens = tokens.with_expires_at(std::time::SystemTime::now());
        processes[0].sign_in(&subject, tokens).await?;
        users.push(subject);
    }
    let basket = |process| NamedUserClient::new("basket", &servers.url, process);
    let [first, second] = [basket(&processes[0])?, basket(&processes[1])?];
    tokio::select! {
        () = call(&orders) => {}
        () = call_for(&first, &users) => {}
        () = call_for(&second, &users) => {}
        () = trouble(servers, &store) => {}
    }
    Ok(())
}

async fn call(orders: &NamedClient) {
    let mut ticks = interval(BETWEEN_CALLS);
    loop {
        ticks.tick().await;
        // Some fail, which is what the example is about.
        let _ = orders.get("orders/42").send().await;
    }
}

async fn call_for(basket: &NamedUserClient, users: &[Subject]) {
    let mut ticks = interval(BETWEEN_CALLS);
    loop {
        for user in users {
            ticks.tick().await;
            let basket = basket.for_subject(user);
            tokio::spawn(async move { basket.get("orders/42").send().await });
        }
    }
}

/// Round by round: all is well, all tokens are revoked, the authorization server is down, the store is full.
async fn trouble(servers: &Servers, store: &FlakyStore) {
    let seconds = Duration::from_secs;
    loop {
        sleep(seconds(8)).await;
        servers.revoke_all();
        sleep(seconds(4)).await;
        servers.be_down(true);
        sleep(seconds(8)).await;
        servers.be_down(false);
        sleep(seconds(4)).await;
        store.be_full(true);
        sleep(seconds(6)).await;
        store.be_full(false);
    }
}
