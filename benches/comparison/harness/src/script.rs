//! The authorization server, the API and another origin: they do what a case says, and count what happens.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::http::{Request, Response, serve};

/// In every access token, every refresh token and the client's secret: what must be in no debug output.
pub const SECRET_PART: &str = "s3cr3t";
pub const CLIENT_ID: &str = "client";
/// With a letter that a form writes otherwise.
pub const CLIENT_SECRET: &str = "a/s3cr3t";

/// What the token endpoint answers.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenAnswer {
    Token,
    Unavailable,
    /// Another provider's answer.
    As {
        status: u16,
        media_type: &'static str,
        body: &'static str,
    },
}

/// What its answers say of refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RefreshTokens {
    None,
    /// A new one in each answer; the one before is dead.
    Rotating,
    /// The first one goes on, and no further answer repeats it.
    NotRepeated,
}

/// How the client has to write its secret in basic authentication.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Basic {
    Either,
    /// RFC 6749, 2.3.1.
    Encoded,
    AsItIs,
}

#[derive(Clone, Debug)]
pub struct State {
    pub answer: TokenAnswer,
    pub refresh_tokens: RefreshTokens,
    pub basic: Basic,
    /// So many token requests fail before `answer` counts.
    pub hiccups: usize,
    pub expires_in: u64,
    /// How long the token endpoint takes.
    pub delay: Duration,
    /// The token endpoint keeps its answers until this ends.
    pub keeps_answers: bool,
    pub token_requests: usize,
    /// The number in the newest access token.
    pub newest: usize,
    /// The number in the refresh token that is good.
    pub good_refresh_token: usize,
    /// The API says 401 to tokens up to this one.
    pub refused_up_to: usize,
    /// The API keeps calls with this token until their turn in `released`.
    pub kept: Option<usize>,
    pub arrived: usize,
    pub released: usize,
    pub answered: Vec<Answered>,
    /// For each request at the other origin, whether it brought the token.
    pub strays: Vec<bool>,
}

/// A call that the API has answered.
#[derive(Clone, Debug)]
pub struct Answered {
    pub token: usize,
    pub body: String,
}

impl Default for State {
    fn default() -> Self {
        Self {
            answer: TokenAnswer::Token,
            refresh_tokens: RefreshTokens::None,
            basic: Basic::Either,
            hiccups: 0,
            expires_in: 3600,
            delay: Duration::ZERO,
            keeps_answers: false,
            token_requests: 0,
            newest: 0,
            good_refresh_token: 0,
            refused_up_to: 0,
            kept: None,
            arrived: 0,
            released: 0,
            answered: Vec::new(),
            strays: Vec::new(),
        }
    }
}

/// The three servers of one case.
pub struct Script {
    state: watch::Sender<State>,
    pub token_url: String,
    pub api: String,
}

impl Script {
    pub async fn start(state: State) -> Self {
        let state = watch::Sender::new(state);
        let (tokens, calls, strays) = (state.clone(), state.clone(), state.clone());
        let other = serve(move |request| answer_stray(strays.clone(), request)).await;
        let api = serve(move |request| answer_call(calls.clone(), other.port(), request)).await;
        let token = serve(move |request| answer_token(tokens.clone(), request)).await;
        Self {
            state,
            token_url: format!("http://{token}/tenant/oauth2/v2.0/token"),
            api: format!("http://{api}"),
        }
    }

    pub fn now(&self) -> State {
        self.state.borrow().clone()
    }

    pub fn set(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }

    /// Whether it came to that within `limit`.
    pub async fn came_to(&self, limit: Duration, seen: impl FnMut(&State) -> bool) -> bool {
        let mut state = self.state.subscribe();
        let waited = tokio::time::timeout(limit, state.wait_for(seen)).await;
        waited.is_ok()
    }
}

/// The text of an access token.
pub fn token_text(number: usize) -> String {
    format!("token-{number}-{SECRET_PART}")
}

pub fn refresh_token_text(number: usize) -> String {
    format!("refresh-{number}-{SECRET_PART}")
}

async fn answer_token(state: watch::Sender<State>, request: Request) -> Response {
    if request.method != "POST" {
        return Response::json(404, "{}");
    }
    let mut response = None;
    let mut delay = Duration::ZERO;
    state.send_modify(|state| {
        state.token_requests += 1;
        delay = state.delay;
        response = Some(judge(state, &request));
    });
    let mut seen = state.subscribe();
    let _ = seen.wait_for(|state| !state.keeps_answers).await;
    tokio::time::sleep(delay).await;
    response.expect("it was judged")
}

/// What the server does when the request has come; the answer may still take its time.
fn judge(state: &mut State, request: &Request) -> Response {
    if !is_the_client(state.basic, request) {
        return Response::json(401, r#"{"error":"invalid_client"}"#);
    }
    if state.hiccups > 0 {
        state.hiccups -= 1;
        return Response::json(503, "{}");
    }
    match &state.answer {
        TokenAnswer::Unavailable => return Response::json(503, "{}"),
        TokenAnswer::As {
            status,
            media_type,
            body,
        } => return Response::text(*status, media_type, *body),
        TokenAnswer::Token => {}
    }
    let brought = request
        .body
        .split('&')
        .find_map(|part| part.strip_prefix("refresh_token="));
    if brought.is_some_and(|text| text != refresh_token_text(state.good_refresh_token)) {
        return Response::json(400, r#"{"error":"invalid_grant"}"#);
    }
    state.newest += 1;
    let mut answer = json!({
        "access_token": token_text(state.newest),
        "token_type": "Bearer",
        "expires_in": state.expires_in,
    });
    if state.refresh_tokens == RefreshTokens::Rotating {
        state.good_refresh_token += 1;
        answer["refresh_token"] = Value::from(refresh_token_text(state.good_refresh_token));
    }
    Response::json(200, answer.to_string())
}

fn is_the_client(basic: Basic, request: &Request) -> bool {
    // base64 of `client:a/s3cr3t` and of `client:a%2Fs3cr3t`.
    const AS_IT_IS: &str = "Basic Y2xpZW50OmEvczNjcjN0";
    const ENCODED: &str = "Basic Y2xpZW50OmElMkZzM2NyM3Q=";
    let header = request.headers.get("authorization").map(String::as_str);
    match (basic, header) {
        (Basic::AsItIs | Basic::Either, Some(AS_IT_IS)) => true,
        (Basic::Encoded | Basic::Either, Some(ENCODED)) => true,
        (_, Some(_)) => false,
        (_, None) => request.body.contains("client_secret=a%2Fs3cr3t"),
    }
}

async fn answer_call(state: watch::Sender<State>, other: u16, request: Request) -> Response {
    if request.path.ends_with("/away") {
        let elsewhere = format!("http://127.0.0.1:{other}/first");
        return Response::json(302, "").with("location", elsewhere);
    }
    let header = request.headers.get("authorization");
    let scheme_and_token = header.and_then(|header| header.split_once(' '));
    let token = scheme_and_token
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, text)| text.split('-').nth(1))
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    let mut place = None;
    state.send_modify(|state| {
        if state.kept == Some(token) {
            state.arrived += 1;
            place = Some(state.arrived);
        }
    });
    if let Some(place) = place {
        let mut seen = state.subscribe();
        let _ = seen.wait_for(|state| state.released >= place).await;
    }
    let mut status = 200;
    state.send_modify(|state| {
        if token <= state.refused_up_to {
            status = 401;
        }
        state.answered.push(Answered {
            token,
            body: request.body.clone(),
        });
    });
    // The two that clients of object stores ask for.
    let response = Response::json(status, "{}")
        .with("last-modified", "Sat, 28 Nov 2026 00:00:00 GMT")
        .with("etag", "\"1\"");
    match status {
        401 => response.with("www-authenticate", r#"Bearer error="invalid_token""#),
        _ => response,
    }
}

/// A redirect within the other origin follows, since clients judge each hop by the one before.
async fn answer_stray(state: watch::Sender<State>, request: Request) -> Response {
    let brought = request
        .headers
        .values()
        .any(|value| value.contains(SECRET_PART));
    state.send_modify(|state| state.strays.push(brought));
    match request.path.as_str() {
        "/first" => Response::json(302, "").with("location", "/second"),
        _ => Response::json(200, "{}"),
    }
}
