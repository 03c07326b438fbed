//! What the environment of a process changes, and what it must not.

mod support;

use std::process::Command;

use support::api::Api;
use support::authorization_server::AuthorizationServer;
use tokio::net::TcpSocket;

const PROXIED: &str = "REQWEST_BEARER_TEST_IS_PROXIED";

#[tokio::test]
async fn plain_http_to_this_machine_goes_past_the_proxy_of_the_environment() {
    // D2: a token or a client secret would leave the machine in the clear. In a process of its own,
    // since the environment of this one is shared with other tests.
    if std::env::var_os(PROXIED).is_some() {
        let server = AuthorizationServer::start().await;
        let api = Api::start(&server).await;
        let client = api.client(server.client_credentials());
        assert_eq!(client.get("x").send().await.unwrap().status(), 200);
        return;
    }
    // Kept, so that nobody gets the port meanwhile; where nobody listens, nobody answers.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let proxy = format!("http://{}", silent.local_addr().unwrap());
    let name = "plain_http_to_this_machine_goes_past_the_proxy_of_the_environment";
    let proxied = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(PROXIED, "")
        .env("HTTP_PROXY", &proxy)
        .env("http_proxy", &proxy)
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&proxied.stdout);
    assert!(proxied.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}
