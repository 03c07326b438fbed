//! What label values may be: names that were given in code, and fixed words.

use std::collections::BTreeSet;

use reqwest_bearer::{
    NamedTenantClient, NamedUserClient, Subject, TenantSettings, TestClock, TokenOptions,
    UserSessions,
};

use crate::measured;
use crate::support::api::{Api, refusal};
use crate::support::authorization_server::AuthorizationServer;
use crate::support::login::Login;
use crate::support::soon;

/// The values of these labels.
fn values(recorder: &crate::support::recorder::Recorder, labels: &[&str]) -> BTreeSet<String> {
    let series = recorder.series();
    let labels = |name: &String| labels.contains(&name.as_str());
    let values = series.iter().flat_map(|series| &series.labels);
    let values = values.filter(|(name, _)| labels(name));
    values.map(|(_, value)| value.clone()).collect()
}

fn set<const N: usize>(words: [&str; N]) -> BTreeSet<String> {
    words.map(ToOwned::to_owned).into()
}

/// What the other labels may be, whatever happens.
fn expect_fixed_words(recorder: &crate::support::recorder::Recorder) {
    let fixed = set([
        "none",
        "refusal",
        "expired",
        "ok",
        "load",
        "save",
        "remove",
        "lease_and_load",
        "save_and_release",
    ]);
    let found = values(recorder, &["reason", "outcome", "call", "scope"]);
    assert!(found.is_subset(&fixed), "{found:?}");
}

#[tokio::test]
async fn neither_user_nor_scope_nor_url_is_a_label() {
    // J1
    measured(async |recorder| {
        let (clock, login) = (TestClock::new(), Login::start().await);
        let users = UserSessions::builder(&login.endpoint()).name("users");
        let users = users.clock(&clock).build().unwrap();
        let owners = login.owners();
        let api = Api::that_takes(move |token| owners(token).is_some()).await;
        let orders = NamedUserClient::new("orders", api.url(), &users).unwrap();
        for user in ["alice", "bob"] {
            let subject = Subject::new(user).unwrap();
            let tokens = login.sign_in(user, clock.system_time());
            users.sign_in(&subject, tokens).await.unwrap();
            api.then(refusal());
            let request = orders
                .for_subject(&subject)
                .get(format!("orders/of-{user}"));
            let options = TokenOptions::new().scope(format!("read:{user}"));
            let answer = soon(request.with_extension(options).send()).await.unwrap();
            assert_eq!(answer.status(), 200);
            soon(users.sign_out(&subject)).await.unwrap();
        }
        assert_eq!(values(&recorder, &["source"]), set(["users"]));
        assert_eq!(values(&recorder, &["client"]), set(["orders"]));
        assert_eq!(values(&recorder, &["grant"]), set(["refresh_token"]));
        expect_fixed_words(&recorder);
    })
    .await;
}

#[tokio::test]
async fn all_tenants_of_a_client_are_one_series() {
    // J1, K30
    measured(async |recorder| {
        let server = AuthorizationServer::start().await;
        let api = Api::start(&server).await;
        let endpoint = server.endpoint();
        let grant = move |_| {
            let grant = reqwest_bearer::ClientCredentials::new(endpoint.clone());
            std::future::ready(Ok::<_, reqwest_bearer::Error>(TenantSettings::new(grant)))
        };
        let orders = NamedTenantClient::builder("orders", grant).base_url(api.url());
        let orders = orders.build().unwrap();
        for tenant in ["acme", "initech"] {
            let client = soon(orders.for_tenant(tenant)).await.unwrap();
            let answer = soon(client.get("orders/42").send()).await.unwrap();
            assert_eq!(answer.status(), 200);
        }
        assert_eq!(values(&recorder, &["source", "client"]), set(["orders"]));
        assert_eq!(values(&recorder, &["grant"]), set(["client_credentials"]));
        expect_fixed_words(&recorder);
    })
    .await;
}
