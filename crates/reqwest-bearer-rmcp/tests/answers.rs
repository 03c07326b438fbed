//! Every answer is to rmcp's transport what it is with rmcp's own HTTP client: both are given the same ones,
//! and compared.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what cannot go on in a test may end it"
)]

mod support;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest_bearer::{ConstantToken, NamedClient, TestClock, TokenSource};
use reqwest_bearer_rmcp::{McpHttpClient, http_client_builder};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    StreamableHttpResponseLimits,
};
use serde_json::json;
use sse_stream::Sse;

use support::http_server::{HttpServer, Reply, Seen};
use support::soon;

const TOKEN: &str = "constant";

/// A server with one answer, and the two clients.
struct Parts {
    server: HttpServer,
    reply: Arc<Mutex<Reply>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    theirs: reqwest::Client,
    named: NamedClient,
    ours: McpHttpClient,
}

async fn parts() -> Parts {
    let reply = Arc::new(Mutex::new(Reply::new(200)));
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let (replying, seeing) = (reply.clone(), seen.clone());
    let server = HttpServer::start(move |request| {
        seeing.lock().unwrap().push(request);
        let reply = replying.lock().unwrap().clone();
        async move { Some(reply) }
    })
    .await;
    let client = || http_client_builder().no_proxy().build().unwrap();
    // No time passes, so that it does not matter how long the answers take.
    let source = TokenSource::builder(ConstantToken::new(TOKEN).unwrap()).clock(&TestClock::new());
    let named = NamedClient::builder("notes", server.url(), source.build().unwrap())
        .client_with_own_redirects(client())
        .build()
        .unwrap();
    Parts {
        server,
        reply,
        seen,
        theirs: client(),
        ours: McpHttpClient::from(&named),
        named,
    }
}

fn limits() -> StreamableHttpResponseLimits {
    let mut limits = StreamableHttpResponseLimits::default();
    limits.max_sse_event_size = 300;
    limits.max_json_response_size = 200;
    limits.max_error_response_size = 40;
    limits
}

fn message(value: serde_json::Value) -> ClientJsonRpcMessage {
    serde_json::from_value(value).unwrap()
}

/// What a client posts, and whether it has a session by then.
fn posted() -> Vec<(ClientJsonRpcMessage, bool)> {
    let ping = || message(json!({ "jsonrpc": "2.0", "id": 7, "method": "ping" }));
    let discover = message(json!({
        "jsonrpc": "2.0", "id": 7, "method": "server/discover", "params": { "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "n", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        } }
    }));
    let notice = message(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    let reply = message(json!({ "jsonrpc": "2.0", "id": 7, "result": {} }));
    vec![
        (ping(), true),
        (ping(), false),
        (discover, false),
        (notice, true),
        (reply, true),
    ]
}

fn replies() -> Vec<Reply> {
    let result = json!({ "jsonrpc": "2.0", "id": 7, "result": {} });
    let error = json!({
        "jsonrpc": "2.0", "id": 7, "error": { "code": -32600, "message": "no" }
    });
    let long = json!({ "jsonrpc": "2.0", "id": 7, "result": { "text": "x".repeat(300) } });
    let events = |body: &str| {
        let reply = Reply::new(200).header("content-type", "text/event-stream");
        reply.header("mcp-session-id", "s").body(body)
    };
    let (small, large) = ("x".repeat(250), "x".repeat(400));
    let mut replies = vec![
        Reply::new(200).json(&result),
        Reply::new(200).json(&result).header("mcp-session-id", "s"),
        Reply::new(200).json(&long),
        Reply::new(200).json(&json!({})),
        Reply::new(200).header("content-type", "application/json"),
        Reply::new(200)
            .header("content-type", "Application/JSON ; charset=utf-8")
            .body(result.to_string()),
        Reply::new(200)
            .header("content-type", "application/jsonp")
            .body(result.to_string()),
        Reply::new(200)
            .header("content-type", "text/html")
            .body("<p>"),
        Reply::new(200).body("x"),
        Reply::new(200),
        Reply::new(202),
        Reply::new(204),
        Reply::new(302).header("location", "/elsewhere"),
        Reply::new(302).header("location", "http://127.0.0.1:9/"),
        Reply::new(307).header("location", "http://127.0.0.1:9/"),
        events(""),
        events("id: 1\nretry: 5\n\n"),
        events(&format!(
            "id: 1\nevent: message\ndata: {result}\n\n: ping\n\ndata: 2"
        )),
        events(&format!("id: 1\ndata: {small}\n\nid: 2\ndata: {large}\n\n")),
        events(&format!("data: {small}\ndata: {small}\n\n")),
        events("data: \u{fffd}\nretry: soon\n\n"),
        Reply::new(401).header("www-authenticate", "Bearer"),
        Reply::new(401)
            .header(
                "www-authenticate",
                r#"Bearer error="invalid_token", scope="a b""#,
            )
            .json(&error),
        Reply::new(403).header(
            "www-authenticate",
            r#"Bearer error="insufficient_scope", scope="a b""#,
        ),
        Reply::new(403).header("www-authenticate", "Bearer realm=\"x\""),
        Reply::new(429).header("retry-after", "3").json(&error),
        Reply::new(429).header("retry-after", "3".repeat(200)),
        Reply::new(503)
            .header("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")
            .body("down"),
    ];
    for status in [400, 403, 404, 405, 406, 500] {
        replies.extend([
            Reply::new(status),
            Reply::new(status).body("x".repeat(100)),
            Reply::new(status).json(&error),
            Reply::new(status).json(&result),
            Reply::new(status).json(&long),
            Reply::new(status)
                .header("content-type", "application/json")
                .body("{"),
        ]);
    }
    replies
}

/// The error as its caller sees it. Of one of the HTTP client's, what both say.
fn shown_error<E: StdError + Send + Sync + 'static>(error: &StreamableHttpError<E>) -> String {
    match error {
        StreamableHttpError::Client(error) => {
            let said = format!("{error:?}");
            let mut cause: &(dyn StdError + 'static) = error;
            loop {
                let middleware = cause.downcast_ref::<reqwest_middleware::Error>();
                if let Some(reqwest_middleware::Error::Reqwest(error)) = middleware {
                    cause = error;
                }
                if let Some(error) = cause.downcast_ref::<reqwest::Error>() {
                    return format!("Client({:?})", error.status());
                }
                cause = cause
                    .source()
                    .unwrap_or_else(|| panic!("no error of reqwest's: {said}"));
            }
        }
        other => format!("{other:?}"),
    }
}

async fn shown_stream(mut events: BoxStream<'static, Result<Sse, SseError>>) -> String {
    let mut shown = String::new();
    while let Some(event) = soon(events.next()).await {
        match event {
            Ok(event) => writeln!(shown, "{event:?}").unwrap(),
            Err(error) => writeln!(shown, "{error}").unwrap(),
        }
    }
    shown
}

async fn shown_answer<E: StdError + Send + Sync + 'static>(
    answer: Result<StreamableHttpPostResponse, StreamableHttpError<E>>,
) -> String {
    match answer {
        Ok(StreamableHttpPostResponse::Sse(events, session)) => {
            format!("Sse({session:?})\n{}", shown_stream(events).await)
        }
        Ok(other) => format!("{other:?}"),
        Err(error) => shown_error(&error),
    }
}

async fn post<C: StreamableHttpClient>(
    client: &C,
    parts: &Parts,
    message: ClientJsonRpcMessage,
    in_session: bool,
    token: Option<&str>,
) -> String {
    let answer = client
        .post_message_with_response_limits(
            parts.server.url().into(),
            message,
            in_session.then(|| "session".into()),
            token.map(str::to_owned),
            HashMap::new(),
            limits(),
        )
        .await;
    shown_answer(answer).await
}

async fn get<C: StreamableHttpClient>(
    client: &C,
    parts: &Parts,
    after: Option<&str>,
    token: Option<&str>,
) -> String {
    let stream = client
        .get_stream_with_max_sse_event_size(
            parts.server.url().into(),
            Some("session".into()),
            after.map(str::to_owned),
            token.map(str::to_owned),
            HashMap::new(),
            300,
        )
        .await;
    match stream {
        Ok(events) => shown_stream(events).await,
        Err(error) => shown_error(&error),
    }
}

async fn delete<C: StreamableHttpClient>(client: &C, parts: &Parts, token: Option<&str>) -> String {
    let url = parts.server.url().into();
    let token = token.map(str::to_owned);
    let deleted = client.delete_session(url, "session".into(), token, HashMap::new());
    match deleted.await {
        Ok(()) => "gone".to_owned(),
        Err(error) => shown_error(&error),
    }
}

#[tokio::test]
async fn what_is_posted_has_the_answer_that_it_has_with_rmcps_own_client() {
    let parts = parts().await;
    for reply in replies() {
        *parts.reply.lock().unwrap() = reply.clone();
        for (message, in_session) in posted() {
            let theirs = post(
                &parts.theirs,
                &parts,
                message.clone(),
                in_session,
                Some(TOKEN),
            )
            .await;
            let ours = post(&parts.ours, &parts, message.clone(), in_session, None).await;
            assert_eq!(ours, theirs, "{reply:?} to {message:?}, {in_session}");
        }
    }
}

#[tokio::test]
async fn of_several_challenges_all_are_told() {
    let parts = parts().await;
    let bearer = r#"Bearer error="insufficient_scope", scope="a b""#;
    for (status, error) in [(401, "AuthRequired"), (403, "InsufficientScope")] {
        *parts.reply.lock().unwrap() = Reply::new(status)
            .header("www-authenticate", "Basic realm=\"x\"")
            .header("www-authenticate", bearer);
        let (ping, _) = posted().remove(0);
        let theirs = post(&parts.theirs, &parts, ping.clone(), true, Some(TOKEN)).await;
        let ours = post(&parts.ours, &parts, ping, true, None).await;
        let scope = format!("{:?}", "a b");
        assert!(
            ours.starts_with(error) && ours.contains("insufficient_scope"),
            "{ours}"
        );
        assert_eq!(ours.contains(&scope), status == 403, "{ours}");
        assert!(
            theirs.starts_with(error) && !theirs.contains("insufficient_scope"),
            "{theirs}"
        );
    }
}

#[tokio::test]
async fn a_401_without_a_challenge_asks_for_a_sign_in_if_there_is_no_other_token() {
    // C5, C8
    let parts = parts().await;
    *parts.reply.lock().unwrap() = Reply::new(401).body("no");
    let (ping, _) = posted().remove(0);
    let ours = post(&parts.ours, &parts, ping.clone(), true, None).await;
    assert!(ours.starts_with("AuthRequired"), "{ours}");
    // A token that the caller brought along is the caller's affair, as with rmcp's own client.
    let theirs = post(&parts.theirs, &parts, ping.clone(), true, Some(TOKEN)).await;
    let ours = post(&parts.ours, &parts, ping, true, Some(TOKEN)).await;
    assert_eq!(ours, theirs);
    assert!(ours.contains("HTTP 401 Unauthorized: no"), "{ours}");
}

#[tokio::test]
async fn a_stream_is_what_it_is_with_rmcps_own_client() {
    let parts = parts().await;
    for reply in replies() {
        *parts.reply.lock().unwrap() = reply.clone();
        for after in [None, Some("an-event")] {
            // A new one, which has not met an event yet that is too large.
            let client = McpHttpClient::from(&parts.named);
            let theirs = get(&parts.theirs, &parts, after, Some(TOKEN)).await;
            let ours = get(&client, &parts, after, None).await;
            assert_eq!(ours, theirs, "{reply:?} after {after:?}");
        }
    }
}

#[tokio::test]
async fn a_session_is_deleted_as_with_rmcps_own_client() {
    let parts = parts().await;
    for reply in replies() {
        *parts.reply.lock().unwrap() = reply.clone();
        // rmcp's own client shows no challenge here.
        if reply
            .headers
            .iter()
            .any(|(name, _)| *name == "www-authenticate")
        {
            continue;
        }
        let theirs = delete(&parts.theirs, &parts, Some(TOKEN)).await;
        let ours = delete(&parts.ours, &parts, None).await;
        assert_eq!(ours, theirs, "{reply:?}");
    }
}

#[tokio::test]
async fn requests_are_what_rmcps_own_client_sends() {
    let parts = parts().await;
    *parts.reply.lock().unwrap() = Reply::new(202);
    for (message, in_session) in posted() {
        post(
            &parts.theirs,
            &parts,
            message.clone(),
            in_session,
            Some(TOKEN),
        )
        .await;
        post(&parts.ours, &parts, message, in_session, None).await;
    }
    for after in [None, Some("an-event")] {
        get(&parts.theirs, &parts, after, Some(TOKEN)).await;
        get(&parts.ours, &parts, after, None).await;
    }
    delete(&parts.theirs, &parts, Some(TOKEN)).await;
    delete(&parts.ours, &parts, None).await;
    let seen = parts.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 16);
    for pair in seen.chunks(2) {
        let [theirs, ours] = pair else { panic!() };
        assert_eq!(
            (&ours.method, &ours.path, &ours.headers, &ours.body),
            (&theirs.method, &theirs.path, &theirs.headers, &theirs.body)
        );
    }
}

#[tokio::test]
async fn headers_of_the_transport_are_not_for_others() {
    let parts = parts().await;
    for name in ["accept", "mcp-session-id", "last-event-id"] {
        let name = http::HeaderName::from_static(name);
        let headers = HashMap::from([(name, http::HeaderValue::from_static("x"))]);
        let url = parts.server.url();
        let ours = parts
            .ours
            .delete_session(url.into(), "s".into(), None, headers.clone());
        let token = Some(TOKEN.to_owned());
        let theirs = parts
            .theirs
            .delete_session(url.into(), "s".into(), token, headers);
        let ours = shown_error(&ours.await.unwrap_err());
        assert_eq!(ours, shown_error(&theirs.await.unwrap_err()));
    }
    assert!(parts.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn no_connection_is_kept_for_the_next_request() {
    let parts = parts().await;
    *parts.reply.lock().unwrap() = Reply::new(202);
    for count in 1..=3 {
        let (ping, _) = posted().remove(0);
        post(&parts.ours, &parts, ping, true, None).await;
        assert_eq!(parts.server.connections(), count);
    }
}

#[tokio::test]
async fn a_redirect_that_would_lose_the_message_or_the_session_id_is_not_followed() {
    // D3
    let parts = parts().await;
    let other = HttpServer::start(|_| async { Some(Reply::new(202)) }).await;
    for (status, to) in [
        (301, "/moved"),
        (302, "/moved"),
        (303, "/moved"),
        (307, other.url()),
        (308, other.url()),
    ] {
        *parts.reply.lock().unwrap() = Reply::new(status).header("location", to);
        let (ping, _) = posted().remove(0);
        let answer = post(&parts.ours, &parts, ping, true, None).await;
        assert!(answer.contains(&format!("HTTP {status}")), "{answer}");
        assert_eq!(parts.seen.lock().unwrap().drain(..).count(), 1);
    }
    assert_eq!(other.connections(), 0);
    *parts.reply.lock().unwrap() = Reply::new(307).header("location", "/moved");
    let (ping, _) = posted().remove(0);
    let answer = post(&parts.ours, &parts, ping, true, None).await;
    assert_eq!(answer, "Client(None)", "too many");
    let seen = parts.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 11);
    let last = seen.last().unwrap();
    assert_eq!((last.path.as_str(), &last.body), ("/moved", &seen[0].body));
    assert_eq!(last.token().as_deref(), Some(TOKEN));
}
