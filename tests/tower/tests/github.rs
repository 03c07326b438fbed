//! The layer in octocrab, a client of GitHub's API that takes layers of tower.

#![expect(clippy::unwrap_used, reason = "what cannot go on in a test may end it")]

#[path = "../../support/mod.rs"]
mod support;

use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use reqwest_bearer::{BearerTokenLayer, RecordedBody, TestClock};
use serde_json::{Value, json};

use support::api::Api;
use support::http_server::Reply;
use support::issuer::Issuer;
use support::soon;

fn octocrab(layer: &BearerTokenLayer<OctoBody>, api: &Api) -> Octocrab {
    let http: Client<_, OctoBody> = Client::builder(TokioExecutor::new()).build_http();
    // Above the layer, since GitHub's client has paths alone.
    let base =
        octocrab::service::middleware::base_uri::BaseUriLayer::new(api.url().parse().unwrap());
    OctocrabBuilder::new_empty()
        .with_service(http)
        .with_layer(layer)
        .with_layer(&base)
        .with_auth(AuthState::None)
        .build()
        .unwrap()
}

#[tokio::test]
async fn octocrab_gets_its_token_and_sends_again_what_was_refused() {
    // J2, C1
    let builder = |api: &Api, issuer: &Issuer| {
        BearerTokenLayer::builder(issuer.source(&TestClock::new())).origin(api.url())
    };
    for is_recorded in [false, true] {
        let api = Api::that_takes(|token| token == "token-2").await;
        let issuer = Issuer::new();
        let layer = if is_recorded {
            let wrap = |body: RecordedBody<OctoBody>| OctoBody::new(body);
            builder(&api, &issuer).build_recording(wrap)
        } else {
            builder(&api, &issuer).build_replaying(OctoBody::try_clone)
        };
        let github = octocrab(&layer.unwrap(), &api);
        api.then(Reply::new(401));
        api.then(Reply::new(201).json(&json!({ "number": 7 })));
        let issue = json!({ "title": "no tea" });
        let made = github.post("/repos/a/b/issues", Some(&issue));
        let made: Value = soon(made).await.unwrap();
        assert_eq!(made["number"], 7);
        assert_eq!(api.tokens(), ["token-1", "token-2"]);
        for seen in api.seen() {
            assert_eq!(seen.path, "/repos/a/b/issues");
            assert_eq!(serde_json::from_slice::<Value>(&seen.body).unwrap(), issue);
        }
    }
}
