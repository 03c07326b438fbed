//! Signing in and signing out.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use reqwest::Url;
use reqwest_bearer::{Revocation, Subject};
use serde::Deserialize;

use crate::application::App;
use crate::fault::Fault;
use crate::gate::Visitor;
use crate::session::{PendingSignIn, SessionId, SignedIn, cookie};

/// Stands for our own origin while a path is looked at.
const HERE: &str = "http://here.invalid";

#[derive(Deserialize)]
pub(crate) struct Begin {
    #[serde(default)]
    next: String,
}

/// The path that begins a sign-in and leads back to `next`.
pub(crate) fn path_of_sign_in(next: &str) -> String {
    if next == "/" {
        return "/sign-in".to_owned();
    }
    let url = Url::parse_with_params(HERE, [("next", next)]);
    url.map_or_else(
        |_| "/sign-in".to_owned(),
        |url| format!("/sign-in?{}", url.query().unwrap_or_default()),
    )
}

/// Sends the browser to the provider.
pub(crate) async fn begin(
    State(app): State<App>,
    visitor: Visitor,
    Query(Begin { next }): Query<Begin>,
) -> Result<Response, Fault> {
    let next = path_within(&next);
    if visitor.signed_in.is_some() {
        return Ok(Redirect::to(&next).into_response());
    }
    let (url, sign_in) = app.open_id.begin(next).await?;
    let session = app
        .sessions
        .begin_sign_in(visitor.session.as_ref(), sign_in)
        .map_err(Fault::ours)?;
    let cookie = cookie::give(&session, &app.public).map_err(Fault::ours)?;
    Ok((
        AppendHeaders([(SET_COOKIE, cookie)]),
        Redirect::to(url.as_str()),
    )
        .into_response())
}

/// What the provider's redirect brings (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207).
#[derive(Deserialize)]
pub(crate) struct Answer {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Takes the provider's answer.
pub(crate) async fn finish(
    State(app): State<App>,
    Visitor { session, .. }: Visitor,
    answer: Result<Query<Answer>, QueryRejection>,
) -> Result<Response, Fault> {
    let Query(answer) = answer.map_err(|_| not_begun_here())?;
    let (before, sign_in) = answer
        .state
        .zip(session)
        .and_then(|(state, id)| {
            app.sessions
                .take_sign_in(&id, &state)
                .map(|found| (id, found))
        })
        .ok_or_else(not_begun_here)?;
    if answer.iss.is_some_and(|iss| iss != app.open_id.issuer()) {
        return Err(not_signed_in("The answer came from another provider."));
    }
    let code = match (answer.error, answer.code) {
        (Some(error), _) => return Err(not_signed_in(what_the_provider_says(&error))),
        (None, None) => return Err(not_signed_in("The provider's answer has no code.")),
        (None, Some(code)) => code,
    };
    let next = sign_in.next.clone();
    let session = enter(&app, &before, code, sign_in).await?;
    let cookie = cookie::give(&session, &app.public).map_err(Fault::ours)?;
    Ok((AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(&next)).into_response())
}

/// Spends the code, and puts a session under a new id in place of `before`.
async fn enter(
    app: &App,
    before: &SessionId,
    code: String,
    sign_in: PendingSignIn,
) -> Result<SessionId, Fault> {
    let (user, tokens) = app.open_id.finish(code, sign_in).await?;
    let session = SessionId::new().map_err(Fault::ours)?;
    let tokens_of = Subject::new(session.as_str())?;
    app.users.sign_in(&tokens_of, tokens).await?;
    let signed_in = SignedIn {
        session: session.clone(),
        user,
        tokens_of,
    };
    app.sessions.sign_in(before, signed_in);
    Ok(session)
}

/// Revokes the tokens and ends the session.
pub(crate) async fn sign_out(
    State(app): State<App>,
    SignedIn {
        session, tokens_of, ..
    }: SignedIn,
) -> Result<Response, Fault> {
    // An error means that the user is still signed in: the button can be pressed again.
    let sign_out = app.users.sign_out(&tokens_of).await?;
    app.sessions.end(&session);
    // The tokens are forgotten in any case; the page says whether the provider knows. Where it is better
    // not to wait for that, `sign_out` is dropped: the revocations go on all the same.
    let next = match sign_out.outcome().await {
        Revocation::Revoked | Revocation::NothingToRevoke => "/?notice=signed-out",
        _ => "/?notice=signed-out-here",
    };
    let cookie = cookie::take_away(&app.public).map_err(Fault::ours)?;
    Ok((AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(next)).into_response())
}

fn not_begun_here() -> Fault {
    Fault::page(
        StatusCode::BAD_REQUEST,
        "This sign-in was not begun here",
        "It was begun in another browser, or too long ago, or is over already. Whoever was signed in here still is.",
    )
}

fn not_signed_in(problem: impl Into<String>) -> Fault {
    Fault::page(StatusCode::BAD_REQUEST, "Nobody was signed in", problem)
        .and_then("/sign-in", "Try again")
}

/// Its code, if it is one (RFC 6749 appendix A.7); what else it wrote is not for our pages.
fn what_the_provider_says(error: &str) -> String {
    let is_code = error.len() <= 64
        && error
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    match error {
        "access_denied" => "The sign-in was cancelled at the provider.".to_owned(),
        _ if is_code => format!("The provider says: {error}."),
        _ => "The provider says that something is wrong, and not what.".to_owned(),
    }
}

/// A path of ours; anything else in a link is an attempt to lead the browser elsewhere.
fn path_within(next: &str) -> String {
    let path = Url::parse(HERE)
        .and_then(|here| here.join(next))
        .ok()
        .filter(|_| next.starts_with('/'))
        .and_then(|url| url.as_str().strip_prefix(HERE).map(str::to_owned));
    // Two slashes would begin the name of a host.
    path.filter(|path| path.starts_with('/') && !path.starts_with("//"))
        .unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{path_of_sign_in, path_within, what_the_provider_says};

    #[test]
    fn after_the_sign_in_the_browser_stays_here() {
        assert_eq!(path_within("/orders"), "/orders");
        assert_eq!(path_within("/orders?page=2"), "/orders?page=2");
        for elsewhere in [
            "",
            "orders",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/.//evil.example",
            "javascript:alert(1)",
        ] {
            assert_eq!(path_within(elsewhere), "/", "{elsewhere}");
        }
        assert_eq!(
            path_of_sign_in("/orders?page=2"),
            "/sign-in?next=%2Forders%3Fpage%3D2"
        );
    }

    #[test]
    fn only_an_error_code_of_the_provider_is_shown() {
        assert!(what_the_provider_says("login_required").contains("login_required"));
        for text in ["<b>", "Call 0900 for help", &"x".repeat(65)] {
            assert!(!what_the_provider_says(text).contains(text), "{text}");
        }
    }
}
