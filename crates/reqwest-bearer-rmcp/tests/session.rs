//! An MCP client and a real MCP server that wants tokens.
//!
//! The ids are those of the promises of `reqwest-bearer` (`docs/PROMISES.md`), which have to hold here too.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot go on in a test may end it"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest_bearer::{
    Error, ErrorKind, NamedClient, NamedUserClient, Subject, TestClock, TokenSource, UserSessions,
};
use reqwest_bearer_rmcp::McpHttpClient;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::{
    ClientInitializeError, NotificationContext, RoleClient, RunningService, ServiceError,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    InsufficientScopeError, StreamableHttpClientTransportConfig, StreamableHttpError,
};
use rmcp::{ClientHandler, ServiceExt};
use tokio::sync::Notify;

use support::authorization_server::{Answer, AuthorizationServer};
use support::http_server::Reply;
use support::login::Login;
use support::mcp_server::McpServer;
use support::soon;

/// A client that hears what the server has to say.
#[derive(Clone, Debug, Default)]
struct Listener(Arc<Notify>);

impl ClientHandler for Listener {
    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.0.notify_one();
    }
}

type Session = RunningService<RoleClient, Listener>;

async fn begin(
    client: &NamedClient,
    server: &McpServer,
) -> Result<(Session, Listener), Box<ClientInitializeError>> {
    let settings =
        StreamableHttpClientTransportConfig::with_uri(server.url()).max_concurrent_requests(64);
    begin_with(client, settings).await
}

async fn begin_with(
    client: &NamedClient,
    settings: StreamableHttpClientTransportConfig,
) -> Result<(Session, Listener), Box<ClientInitializeError>> {
    let http = McpHttpClient::from(client);
    let transport = StreamableHttpClientTransport::with_client(http, settings);
    let listener = Listener::default();
    let session = soon(listener.clone().serve(transport)).await;
    Ok((session.map_err(Box::new)?, listener))
}

async fn call(session: &Session, name: &'static str) -> Result<CallToolResult, ServiceError> {
    soon(session.call_tool(CallToolRequestParams::new(name))).await
}

/// The error of the transport in what rmcp's caller gets.
fn of_transport(error: ServiceError) -> StreamableHttpError<reqwest_middleware::Error> {
    let ServiceError::TransportSend(error) = error else {
        panic!("not of the transport: {error:?}");
    };
    let transport = error.downcast::<StreamableHttpClientTransport<McpHttpClient>, RoleClient>();
    transport.expect("of this transport")
}

struct Parts {
    login: AuthorizationServer,
    server: McpServer,
    client: NamedClient,
    clock: TestClock,
}

/// An MCP server whose client is an application.
async fn parts() -> Parts {
    let login = AuthorizationServer::start().await;
    let live = login.live();
    let server = McpServer::start(move |token| live.contains(token).then(String::new)).await;
    let clock = TestClock::new();
    let source = TokenSource::builder(login.client_credentials()).clock(&clock);
    let client = NamedClient::new("notes", server.url(), source.build().unwrap()).unwrap();
    Parts {
        login,
        server,
        client,
        clock,
    }
}

/// One whose client acts for a user.
async fn parts_of_user(user: &str) -> (Login, McpServer, UserSessions, NamedUserClient, TestClock) {
    let login = Login::start().await;
    let server = McpServer::start(login.owners()).await;
    let clock = TestClock::new();
    let users = UserSessions::builder(&login.endpoint()).clock(&clock);
    let users = users.build().unwrap();
    let tokens = login.sign_in(user, clock.system_time());
    users.sign_in(&subject(user), tokens).await.unwrap();
    let client = NamedUserClient::new("notes", server.url(), &users).unwrap();
    (login, server, users, client, clock)
}

fn subject(user: &str) -> Subject {
    Subject::new(user).unwrap()
}

#[tokio::test]
async fn a_session_has_one_token_from_its_beginning_to_its_end() {
    // A1: with MCP's messages, streams and the end of the session.
    let Parts {
        login,
        server,
        client,
        ..
    } = parts().await;
    let (session, _) = begin(&client, &server).await.unwrap();
    assert_eq!(session.list_all_tools().await.unwrap().len(), 2);
    let mut arguments = serde_json::Map::new();
    arguments.insert("text".to_owned(), "milk".into());
    let echo = CallToolRequestParams::new("echo").with_arguments(arguments);
    let echoed = session.call_tool(echo).await.unwrap();
    let text = serde_json::to_string(&echoed.content).unwrap();
    assert!(text.contains("milk"), "{text}");
    server
        .until(|seen| seen.iter().any(|arrived| arrived.http == http::Method::GET))
        .await;
    session.cancel().await.unwrap();
    server
        .until(|seen| {
            seen.iter()
                .any(|arrived| arrived.http == http::Method::DELETE)
        })
        .await;
    assert_eq!(login.token_requests(), 1);
    for arrived in server.seen() {
        assert_eq!(arrived.token.as_deref(), Some("access-1"), "{arrived:?}");
    }
}

#[tokio::test]
async fn calls_that_are_refused_together_cost_one_refresh_and_all_succeed() {
    // C1, C3
    let Parts {
        login,
        server,
        client,
        ..
    } = parts().await;
    let (session, _) = begin(&client, &server).await.unwrap();
    server.hold();
    let calls = join_all((0..20).map(|_| call(&session, "echo")));
    let calls = async {
        let (outcomes, ()) = tokio::join!(calls, async {
            server.until_held(20).await;
            login.revoke_all();
            server.release();
        });
        outcomes
    };
    for outcome in calls.await {
        outcome.unwrap();
    }
    assert_eq!(login.token_requests(), 2);
    let tokens = server.tokens_of("tools/call");
    let with = |token: &str, status: u16| {
        let is_so = |seen: &&(String, u16)| seen.0 == token && seen.1 == status;
        tokens.iter().filter(is_so).count()
    };
    assert_eq!((with("access-1", 401), with("access-2", 200)), (20, 20));
    assert_eq!(tokens.len(), 40);
}

#[tokio::test]
async fn a_session_begins_after_a_401_too() {
    // C1: rmcp's `initialize` is a call as any other.
    let Parts {
        login,
        server,
        client,
        ..
    } = parts().await;
    client.source().warm_up().await.unwrap();
    login.revoke_all();
    let (session, _) = begin(&client, &server).await.unwrap();
    call(&session, "echo").await.unwrap();
    assert_eq!(login.token_requests(), 2);
}

#[tokio::test]
async fn a_stream_that_ends_is_opened_anew_with_the_present_token() {
    // C1
    let Parts {
        login,
        server,
        client,
        ..
    } = parts().await;
    let (session, listener) = begin(&client, &server).await.unwrap();
    let opened = |token: &'static str| {
        move |seen: &Vec<support::mcp_server::Arrived>| {
            let mut seen = seen.iter();
            seen.any(|arrived| {
                arrived.http == http::Method::GET
                    && arrived.token.as_deref() == Some(token)
                    && arrived.status == 200
            })
        }
    };
    server.until(opened("access-1")).await;
    call(&session, "announce").await.unwrap();
    soon(listener.0.notified()).await;

    login.revoke_all();
    server.end_streams();
    server.until(opened("access-2")).await;
    call(&session, "announce").await.unwrap();
    soon(listener.0.notified()).await;
    assert_eq!(login.token_requests(), 2);
}

#[tokio::test]
async fn an_event_that_is_too_large_ends_its_call_and_is_not_sent_again() {
    let Parts {
        server,
        client,
        login,
        ..
    } = parts().await;
    let settings =
        StreamableHttpClientTransportConfig::with_uri(server.url()).max_sse_event_size(2_000);
    let mut arguments = serde_json::Map::new();
    arguments.insert("text".to_owned(), "x".repeat(4_000).into());
    let echo = CallToolRequestParams::new("echo").with_arguments(arguments);
    let (session, _) = begin_with(&client, settings.clone()).await.unwrap();
    let ours = soon(session.call_tool(echo.clone())).await.unwrap_err();
    // As with rmcp's own client.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let settings = settings.auth_header("access-1");
    let transport = StreamableHttpClientTransport::with_client(http, settings);
    let theirs = soon(().serve(transport)).await.unwrap();
    let theirs = soon(theirs.call_tool(echo)).await.unwrap_err();
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    // The server would go on with the very same event.
    let resumed = server.seen().into_iter();
    let resumed: Vec<_> = resumed.filter(|arrived| arrived.after.is_some()).collect();
    assert_eq!(resumed.len(), 0, "{resumed:?}");
    call(&session, "echo").await.unwrap();
    assert_eq!(login.token_requests(), 1);
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_begun_anew_by_rmcp() {
    let Parts {
        login,
        server,
        client,
        ..
    } = parts().await;
    let (session, _) = begin(&client, &server).await.unwrap();
    server.forget_sessions().await;
    call(&session, "echo").await.unwrap();
    assert_eq!(server.tokens_of("initialize").len(), 2);
    assert_eq!(login.token_requests(), 1);

    let settings = StreamableHttpClientTransportConfig::with_uri(server.url())
        .reinit_on_expired_session(false);
    let (session, _) = begin_with(&client, settings).await.unwrap();
    server.forget_sessions().await;
    let error = of_transport(call(&session, "echo").await.unwrap_err());
    assert!(
        matches!(error, StreamableHttpError::SessionExpired),
        "{error:?}"
    );
}

#[tokio::test]
async fn too_little_scope_is_told_with_the_scope_that_is_lacking() {
    // C5, C11
    let Parts {
        login,
        server,
        client,
        ..
    } = parts().await;
    let (session, _) = begin(&client, &server).await.unwrap();
    let challenge = r#"Bearer error="insufficient_scope", scope="notes:write notes:read""#;
    // The challenge that counts is the second.
    server.then(
        Reply::new(403)
            .header("www-authenticate", "Basic realm=\"x\"")
            .header("www-authenticate", challenge),
    );
    let error = call(&session, "echo").await.unwrap_err();
    let told = error.auth_challenge().expect("a challenge").to_owned();
    assert!(told.ends_with(challenge), "{told}");
    assert!(!error.is_authorization_required());
    let StreamableHttpError::InsufficientScope(error) = of_transport(error) else {
        panic!("another error");
    };
    let error: InsufficientScopeError = error;
    assert_eq!(error.get_required_scope(), Some("notes:write notes:read"));
    assert_eq!(login.token_requests(), 1);
}

#[tokio::test]
async fn a_dead_refresh_token_asks_for_a_sign_in_with_the_servers_challenge() {
    // C8
    let (login, server, _users, client, _clock) = parts_of_user("alice").await;
    let (session, _) = begin(&client.for_subject(&subject("alice")), &server)
        .await
        .unwrap();
    login.end_family("alice");
    let outcomes = join_all((0..5).map(|_| call(&session, "echo"))).await;
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(error.is_authorization_required(), "{error:?}");
        let challenge = error.auth_challenge().unwrap();
        assert_eq!(challenge, r#"Bearer error="invalid_token""#);
    }
    assert_eq!(login.token_requests(), 1);
}

#[tokio::test]
async fn a_session_that_is_over_before_a_call_asks_for_a_sign_in_without_asking_the_server() {
    // C8
    let (login, server, users, client, clock) = parts_of_user("alice").await;
    let (session, _) = begin(&client.for_subject(&subject("alice")), &server)
        .await
        .unwrap();
    login.end_family("alice");
    clock.advance(Duration::from_secs(601));
    let error = call(&session, "echo").await.unwrap_err();
    assert!(error.is_authorization_required(), "{error:?}");
    assert_eq!(error.auth_challenge(), Some("Bearer"));
    assert_eq!(server.tokens_of("tools/call"), []);

    let tokens = login.sign_in("alice", clock.system_time());
    users.sign_in(&subject("alice"), tokens).await.unwrap();
    call(&session, "echo").await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_down_asks_for_no_sign_in() {
    // C8
    let Parts {
        login,
        server,
        client,
        clock,
    } = parts().await;
    let (session, _) = begin(&client, &server).await.unwrap();
    login.always(Answer::Reply(Reply::new(400).json(&serde_json::json!({
        "error": "invalid_client"
    }))));
    let kind_of = |error: ServiceError| {
        assert!(!error.is_authorization_required(), "{error:?}");
        let StreamableHttpError::Client(error) = of_transport(error) else {
            panic!("another error");
        };
        Error::find_in(&error).expect("ours").kind()
    };
    // The server refused the token, and there is no other.
    login.revoke_all();
    let error = call(&session, "echo").await.unwrap_err();
    assert_eq!(kind_of(error), ErrorKind::Rejected);
    // The token has expired, and no server was asked.
    clock.advance(Duration::from_secs(601));
    let error = call(&session, "echo").await.unwrap_err();
    assert_eq!(kind_of(error), ErrorKind::Rejected);

    login.mend();
    clock.advance(Duration::from_secs(60));
    call(&session, "echo").await.unwrap();
}

#[tokio::test]
async fn each_user_has_a_session_with_tokens_of_their_own() {
    // D8
    let (login, server, users, client, clock) = parts_of_user("alice").await;
    let tokens = login.sign_in("bob", clock.system_time());
    users.sign_in(&subject("bob"), tokens).await.unwrap();
    for user in ["alice", "bob"] {
        let (session, _) = begin(&client.for_subject(&subject(user)), &server)
            .await
            .unwrap();
        call(&session, "echo").await.unwrap();
        let calls = server.tokens_of("tools/call");
        let (token, _) = calls.last().unwrap();
        assert_eq!(login.owner(token).as_deref(), Some(user));
    }
}

#[tokio::test]
async fn a_token_of_the_callers_own_is_left_alone() {
    // D4
    let Parts {
        login,
        server,
        client,
        ..
    } = parts().await;
    let settings = StreamableHttpClientTransportConfig::with_uri(server.url())
        .auth_header("a-token-of-their-own");
    let error = begin_with(&client, settings).await.unwrap_err();
    assert!(error.is_authorization_required(), "{error:?}");
    let tokens = server.tokens_of("initialize");
    assert_eq!(tokens, [("a-token-of-their-own".to_owned(), 401)]);
    assert_eq!(login.token_requests(), 0);
}

#[tokio::test]
async fn no_token_goes_to_another_server() {
    // D1
    let Parts { client, login, .. } = parts().await;
    let live = login.live();
    let other = McpServer::start(move |token| live.contains(token).then(String::new)).await;
    let error = begin(&client, &other).await.unwrap_err();
    assert!(!error.is_authorization_required());
    assert!(other.seen().is_empty());
    assert_eq!(login.token_requests(), 0);
}

#[tokio::test]
async fn nothing_shows_a_token() {
    // D6
    let parts = parts().await;
    let client = &parts.client;
    client.source().warm_up().await.unwrap();
    let shown = format!("{:?}", McpHttpClient::from(client));
    assert_eq!(shown, "McpHttpClient { .. }");
}
