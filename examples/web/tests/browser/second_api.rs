//! The API that the application calls asks another one, for whoever is signed in.

use crate::application::Application;
use crate::tab::Tab;

#[tokio::test]
async fn the_second_api_is_asked_for_whoever_is_signed_in_and_with_that_users_rights() {
    // I1
    let mut application = Application::start(&[]).await;
    let mut ada = Tab::open(&application.url).await;
    let mut bob = Tab::open(&application.url).await;
    for (tab, name, button) in [
        (&mut ada, "Ada", "Sign in"),
        (&mut bob, "Bob", "Sign in for orders alone"),
    ] {
        tab.visit("/orders").await;
        tab.type_into("name", name).await;
        tab.click(button).await;
    }
    // Both again, so that each is answered with what was kept for the other one before.
    for _ in 0..2 {
        ada.expect(&[
            "200 OK",
            "\"customer\": \"ada\"",
            "\"asked_for\": \"ada\"",
            "\"asked_by\": \"orders-api\"",
        ])
        .await;
        bob.expect(&["200 OK", "\"customer\": \"bob\"", "\"stock\": null"])
            .await;
        ada.click("Call again").await;
        bob.click("Call again").await;
    }

    // With the next token of the session there is another exchange.
    ada.click("Revoke the access token").await;
    ada.click("Call the API").await;
    ada.expect(&["refused the token with 401", "\"asked_for\": \"ada\""])
        .await;
    assert!(application.is_running());
    ada.close().await;
    bob.close().await;
}
