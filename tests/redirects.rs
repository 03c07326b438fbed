//! Where a token goes when an API redirects: real sockets, and reqwest as it is.

#[path = "support/raw_server.rs"]
mod raw_server;

use std::net::SocketAddr;

use raw_server::RawServer;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Error, Response, StatusCode};
use reqwest_bearer::same_origin_http_client;

const CANARY: &str = "Bearer canary";

/// The last status, and for each request whether it brought the token.
type Outcome = Result<(StatusCode, Vec<bool>), Box<dyn std::error::Error>>;

/// One server that is many origins: five names, and two ports under each of them.
struct Net {
    server: RawServer,
    port: SocketAddr,
    other_port: SocketAddr,
}

impl Net {
    async fn new() -> std::io::Result<Self> {
        let server = RawServer::default();
        let port = server.listen("127.0.0.1:0").await?;
        let other_port = server.listen("127.0.0.1:0").await?;
        Ok(Self {
            server,
            port,
            other_port,
        })
    }

    /// A URL on the first port: `api.test/1` becomes `http://api.test:40000/1`.
    fn url(&self, place: &str) -> String {
        at(self.port, "http://", place)
    }

    /// Redirects each place to the one after it, and returns where the chain begins.
    fn chain(&self, places: &[String]) -> String {
        for hop in places.windows(2) {
            // The server sees no user information, and the client normalises what it requests.
            let from = without_userinfo(&hop[0]);
            self.server.redirect(from, hop[1].clone());
        }
        places[0].clone()
    }

    /// The requests that came, each with whether it brought the token.
    fn arrivals(&self) -> Vec<(String, bool)> {
        let with_token = |seen: &raw_server::Seen| match seen.header("authorization") {
            Some(value) => value == CANARY,
            None => false,
        };
        let seen = self.server.seen();
        seen.iter()
            .map(|seen| (seen.url.clone(), with_token(seen)))
            .collect()
    }
}

fn at(port: SocketAddr, scheme: &str, place: &str) -> String {
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    format!("{scheme}{host}:{}/{path}", port.port())
}

fn without_userinfo(url: &str) -> String {
    match url.split_once('@') {
        Some((_, rest)) => format!("http://{rest}"),
        None => url.to_owned(),
    }
}

/// A builder whose names all lead to this machine; the port is the URL's.
fn http_client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, reqwest_bearer::Error> {
    reqwest_bearer::http_client(builder).map(Into::into)
}

fn builder() -> ClientBuilder {
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let names = [
        "api.test",
        "other.test",
        "third.test",
        "api.test.",
        "v2.api.test",
    ];
    names
        .into_iter()
        .fold(Client::builder().no_proxy(), |builder, name| {
            builder.resolve(name, here)
        })
}

/// Sends a request with the token in it, as the middleware does.
async fn send(client: &Client, url: &str) -> Result<Response, Error> {
    let mut token = HeaderValue::from_static(CANARY);
    token.set_sensitive(true);
    client.get(url).header(AUTHORIZATION, token).send().await
}

/// Follows the chain with our policy.
async fn follow(net: &Net, places: &[String]) -> Outcome {
    let start = net.chain(places);
    let client = http_client(builder())?;
    let status = send(&client, &start).await?.status();
    let arrivals = net.arrivals();
    for ((url, _), place) in arrivals.iter().zip(places) {
        assert_eq!(*url, without_userinfo(place));
    }
    let tokens = arrivals.into_iter().map(|(_, token)| token).collect();
    Ok((status, tokens))
}

async fn follow_places(places: &[&str]) -> Outcome {
    let net = Net::new().await?;
    let places: Vec<String> = places.iter().map(|place| net.url(place)).collect();
    follow(&net, &places).await
}

#[tokio::test]
async fn a_redirect_within_the_origin_keeps_the_token() {
    // D3
    let (status, tokens) = follow_places(&["api.test/1", "api.test/2", "api.test/1/3?x=y"])
        .await
        .unwrap();
    assert_eq!((status, tokens), (StatusCode::OK, vec![true, true, true]));
}

#[tokio::test]
async fn another_host_gets_no_token() {
    // D3
    for host in ["other.test", "v2.api.test", "api.test.", "127.0.0.1"] {
        let (status, tokens) = follow_places(&["api.test/1", &format!("{host}/1")])
            .await
            .unwrap();
        assert_eq!(
            (status, tokens),
            (StatusCode::OK, vec![true, false]),
            "{host}"
        );
    }
}

#[tokio::test]
async fn the_addresses_of_one_machine_are_different_origins() {
    // D3
    let net = Net::new().await.unwrap();
    // A machine without IPv6 has one origin less; the other hosts are tested all the same.
    let v6 = net.server.listen("[::1]:0").await.ok();
    let v6 = v6.map(|address| format!("http://{address}/1"));
    let elsewhere: Vec<String> = [net.url("localhost/1")].into_iter().chain(v6).collect();
    for (count, there) in elsewhere.iter().enumerate() {
        let start = net.chain(&[net.url(&format!("127.0.0.1/{count}")), there.clone()]);
        let client = http_client(builder()).unwrap();
        let status = send(&client, &start).await.unwrap().status();
        let last = net.arrivals().pop().unwrap();
        assert_eq!((status, last), (StatusCode::OK, (there.clone(), false)));
    }
}

#[tokio::test]
async fn another_port_gets_no_token() {
    // D3
    let net = Net::new().await.unwrap();
    let places = [
        net.url("api.test/1"),
        at(net.other_port, "http://", "api.test/2"),
    ];
    assert_eq!(
        follow(&net, &places).await.unwrap(),
        (StatusCode::OK, vec![true, false])
    );
}

#[tokio::test]
async fn another_scheme_gets_no_token() {
    // D3: nobody speaks TLS here, so the second request fails, with or without a TLS feature; what
    // counts is that nothing readable came over its connection.
    let net = Net::new().await.unwrap();
    let start = net.chain(&[
        net.url("api.test/1"),
        at(net.port, "https://", "api.test/2"),
    ]);
    let client = http_client(builder()).unwrap();
    assert!(send(&client, &start).await.is_err());
    let seen = net.server.seen();
    let brought: Vec<bool> = seen
        .iter()
        .map(|seen| seen.text.contains("canary"))
        .collect();
    assert!(brought[0] && !brought[1..].contains(&true), "{seen:?}");
}

#[tokio::test]
async fn a_location_with_user_information_gets_no_token() {
    // D3: at home the header would travel, so the answer is the redirect itself.
    let (status, tokens) = follow_places(&["api.test/1", "user:pw@api.test/2"])
        .await
        .unwrap();
    assert_eq!((status, tokens), (StatusCode::FOUND, vec![true]));
    // Elsewhere reqwest drops the header.
    let (status, tokens) = follow_places(&["api.test/1", "user:pw@other.test/2"])
        .await
        .unwrap();
    assert_eq!((status, tokens), (StatusCode::OK, vec![true, false]));
    // A host that is disguised as user information is another host.
    let (status, tokens) = follow_places(&["api.test/1", "api.test@other.test/2"])
        .await
        .unwrap();
    assert_eq!((status, tokens), (StatusCode::OK, vec![true, false]));
}

#[tokio::test]
async fn a_second_hop_within_another_origin_is_not_followed() {
    // D3: reqwest would restore the header (see the control below).
    let (status, tokens) = follow_places(&["api.test/1", "other.test/1", "other.test/2"])
        .await
        .unwrap();
    assert_eq!((status, tokens), (StatusCode::FOUND, vec![true, false]));
    let chain = ["api.test/1", "api.test/2", "other.test/1", "other.test/2"];
    let (status, tokens) = follow_places(&chain).await.unwrap();
    assert_eq!(
        (status, tokens),
        (StatusCode::FOUND, vec![true, true, false])
    );
}

#[tokio::test]
async fn the_way_back_home_gets_no_token() {
    // D3
    let (status, tokens) = follow_places(&["api.test/1", "other.test/1", "api.test/2"])
        .await
        .unwrap();
    assert_eq!((status, tokens), (StatusCode::OK, vec![true, false, false]));
    let chain = ["api.test/1", "other.test/1", "api.test/2", "api.test/3"];
    let (status, tokens) = follow_places(&chain).await.unwrap();
    assert_eq!(
        (status, tokens),
        (StatusCode::FOUND, vec![true, false, false])
    );
}

#[tokio::test]
async fn a_third_origin_gets_no_token() {
    // D3
    let (status, tokens) = follow_places(&["api.test/1", "other.test/1", "third.test/1"])
        .await
        .unwrap();
    assert_eq!((status, tokens), (StatusCode::OK, vec![true, false, false]));
    let chain = ["api.test/1", "other.test/1", "third.test/1", "third.test/2"];
    let (status, tokens) = follow_places(&chain).await.unwrap();
    assert_eq!(
        (status, tokens),
        (StatusCode::FOUND, vec![true, false, false])
    );
}

#[tokio::test]
async fn ten_redirects_are_followed_and_the_eleventh_is_an_error() {
    // D3
    for (hops, followed) in [(10, true), (11, false)] {
        let net = Net::new().await.unwrap();
        let places: Vec<String> = (0..=hops)
            .map(|hop| net.url(&format!("api.test/{hop}")))
            .collect();
        let start = net.chain(&places);
        let answer = send(&http_client(builder()).unwrap(), &start).await;
        match answer {
            Ok(answer) => assert!(followed && answer.status() == StatusCode::OK, "{hops}"),
            Err(error) => assert!(!followed && error.is_redirect(), "{hops}: {error:?}"),
        }
        assert_eq!(net.arrivals().len(), 11, "{hops}");
    }
}

#[tokio::test]
async fn a_builder_that_follows_no_redirect_stays_so_and_any_other_policy_is_replaced() {
    // D3
    for (own, status, arrivals) in [
        (Policy::none(), 302, 1),
        (Policy::limited(1), 200, 3),
        (Policy::custom(|attempt| attempt.stop()), 200, 3),
    ] {
        let net = Net::new().await.unwrap();
        let places = ["api.test/1", "api.test/2", "api.test/3"].map(|place| net.url(place));
        let start = net.chain(&places);
        let client = http_client(builder().redirect(own)).unwrap();
        assert_eq!(send(&client, &start).await.unwrap().status(), status);
        assert_eq!(net.arrivals().len(), arrivals);
    }
    let net = Net::new().await.unwrap();
    let start = net.chain(&[net.url("api.test/1"), net.url("api.test/2")]);
    let client = same_origin_http_client(builder().redirect(Policy::none())).unwrap();
    let sent = Client::from(client).get(start).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::FOUND);
}

#[tokio::test]
async fn without_the_policy_reqwest_leaks_the_token() {
    // D3: the control. If this fails, reqwest has been mended, and the policy can be thought over;
    // as long as it holds, the tests above can fail.
    let net = Net::new().await.unwrap();
    let places = ["api.test/1", "other.test/1", "other.test/2"].map(|place| net.url(place));
    let start = net.chain(&places);
    let client = builder().build().unwrap();
    assert_eq!(
        send(&client, &start).await.unwrap().status(),
        StatusCode::OK
    );
    let tokens: Vec<bool> = net.arrivals().into_iter().map(|(_, token)| token).collect();
    assert_eq!(tokens, [true, false, true]);
}

#[tokio::test]
async fn the_policy_for_other_headers_follows_redirects_within_the_origin_alone() {
    // D3, K27
    for (places, status, arrivals) in [
        (&["api.test/1", "api.test/2", "api.test/3"][..], 200, 3),
        (&["api.test/1", "other.test/2"], 302, 1),
        (&["api.test/1", "v2.api.test/2"], 302, 1),
        (&["api.test/1", "api.test./2"], 302, 1),
        (&["api.test/1", "user:pw@api.test/2"], 302, 1),
        (
            &["api.test/1", "api.test/2", "other.test/3", "api.test/4"],
            302,
            2,
        ),
    ] {
        let net = Net::new().await.unwrap();
        let places: Vec<String> = places.iter().map(|place| net.url(place)).collect();
        let start = net.chain(&places);
        let client = same_origin_http_client(builder()).unwrap();
        let request = Client::from(client.clone())
            .get(&start)
            .header("x-token", "canary");
        assert_eq!(request.send().await.unwrap().status(), status, "{places:?}");
        let seen = net.server.seen();
        assert_eq!(seen.len(), arrivals, "{places:?}");
        assert!(
            seen.iter()
                .all(|seen| seen.header("x-token") == Some("canary"))
        );
    }
    let net = Net::new().await.unwrap();
    let ports = [
        net.url("api.test/1"),
        at(net.other_port, "http://", "api.test/2"),
    ];
    let client = same_origin_http_client(builder()).unwrap();
    let sent = Client::from(client.clone())
        .get(net.chain(&ports))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (sent.status(), net.arrivals().len()),
        (StatusCode::FOUND, 1)
    );
}
