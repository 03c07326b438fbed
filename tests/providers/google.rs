//! Google: refresh tokens stay, scopes come back by their long names.

use std::sync::{Arc, Mutex};

use reqwest_bearer::{ClientAuthentication, ErrorKind, Event};
use serde_json::json;

use crate::{Provider, Script, json, play_with, seconds, user};

#[tokio::test]
async fn google_keeps_the_refresh_token_and_its_long_scopes_narrow_nothing() {
    // K7, E6
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_post("1234.apps.googleusercontent.com", "s");
    let token = |number: u32| {
        json!({
            "access_token": format!("ya29.a0{number}"), "expires_in": 3599, "token_type": "Bearer",
            "scope": "openid https://www.googleapis.com/auth/userinfo.email",
        })
    };
    let dead = json!({
        "error": "invalid_grant", "error_description": "Token has been expired or revoked.",
    });
    let expired = r#"Bearer realm="https://accounts.google.com/", error="invalid_token""#;
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(
            401,
            &json!({ "error": { "code": 401, "status": "UNAUTHENTICATED" } }),
        )
        .header("www-authenticate", expired),
        end: json(400, &dead),
    };
    let narrowed = Arc::new(Mutex::new(0));
    let count = narrowed.clone();
    let on_event = move |event: &Event| {
        if matches!(event, Event::ScopeNarrowed { .. }) {
            *count.lock().unwrap() += 1;
        }
    };
    let grant = user(provider.endpoint(client)).scope("openid email");
    let source = |source: reqwest_bearer::TokenSourceBuilder| source.on_event(on_event);
    let played = play_with(&provider, grant, script, source, |client| client).await;
    assert_eq!(played.spent(), ["r-0", "r-0", "r-0"]);
    assert_eq!(played.lifetime, seconds(3599));
    assert_eq!(*narrowed.lock().unwrap(), 0);
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
