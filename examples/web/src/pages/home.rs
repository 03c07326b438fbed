//! The first page: who is signed in, which tokens there are, and what became of them.

use std::time::SystemTime;

use axum::extract::{Query, State};
use maud::{Markup, html};
use reqwest_bearer::UserStatus;
use serde::Deserialize;

use crate::activity::Line;
use crate::application::{App, Application};
use crate::fault::Fault;
use crate::gate::Visitor;
use crate::pages::times::when;
use crate::pages::{button, page};
use crate::session::SignedIn;

/// What the button on the page before did.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Notice {
    Revoked,
    SignedOut,
    SignedOutHere,
    #[default]
    #[serde(other)]
    Nothing,
}

#[derive(Deserialize)]
pub(crate) struct Parameters {
    #[serde(default)]
    notice: Notice,
}

pub(crate) async fn home(
    State(app): State<App>,
    visitor: Visitor,
    Query(Parameters { notice }): Query<Parameters>,
) -> Result<Markup, Fault> {
    match visitor.signed_in {
        None => Ok(signed_out(&app, &notice)),
        Some(signed_in) => {
            let status = app.users.status_of(&signed_in.tokens_of).await?;
            let status = status.ok_or(Fault::SignInRequired)?;
            Ok(signed_in_page(&app, &signed_in, &status, &notice))
        }
    }
}

fn signed_out(app: &Application, notice: &Notice) -> Markup {
    page(
        "Welcome",
        None,
        html! {
            (banner(notice))
            section.card {
                p {
                    "Sign in, and this application calls an API for you, with your access token. "
                    "It renews the token for as long as you stay."
                }
                p { a.button href="/sign-in" { "Sign in" } }
                p.small { "The provider is " code { (app.open_id.issuer()) } "." }
            }
        },
    )
}

fn signed_in_page(
    app: &Application,
    SignedIn { user, .. }: &SignedIn,
    status: &UserStatus,
    notice: &Notice,
) -> Markup {
    let now = SystemTime::now();
    page(
        &format!("Hello, {}", user.name),
        Some(user),
        html! {
            (banner(notice))
            section.card {
                h2 { "Your tokens" }
                table {
                    @for (name, state) in tokens(status, now) {
                        tr { th { (name) } td { (state) } }
                    }
                    tr { th { "Signed in as" } td { code { (user.subject) } } }
                    tr { th { "Provider" } td { code { (app.open_id.issuer()) } } }
                }
                div.buttons {
                    a.button href="/orders" { "Call the API" }
                    (button("/revoke", "Revoke the access token", "second"))
                    a.link href="/" { "Look again" }
                }
                p.small {
                    "Revoking takes the token away at the provider alone. This application still "
                    "believes in it, until the next call is answered with 401. Some providers end "
                    "the whole sign-in with it; the next call then leads to a new one."
                }
            }
            section.card {
                h2 { "What happened behind the calls" }
                p.small { (requests(app.activity.counts().token_requests)) " since this application started." }
                (lines(&app.activity.lines(), now))
            }
        },
    )
}

fn banner(notice: &Notice) -> Markup {
    let text = match notice {
        Notice::Nothing => return html! {},
        Notice::Revoked => {
            "The provider has revoked the access token. Call the API, and watch it heal."
        }
        Notice::SignedOut => "You are signed out, and the provider has revoked your tokens.",
        Notice::SignedOutHere => {
            "You are signed out here. The provider could not be told, so your access token lives until it ends by itself."
        }
    };
    html! { p.notice role="status" { (text) } }
}

/// Which there are and when they end; there is no way to see more of them.
fn tokens(status: &UserStatus, now: SystemTime) -> Vec<(&'static str, String)> {
    let access_tokens = status.access_tokens().iter().map(|token| {
        let state = match token.expires_at() {
            Some(end) if end <= now => {
                format!("ended {}; the next call gets a new one", when(end, now))
            }
            Some(end) => format!("ends {}", when(end, now)),
            None => "the provider does not say when it ends".to_owned(),
        };
        ("Access token", state)
    });
    let refresh_token = match (status.has_refresh_token(), status.ends_at()) {
        (true, Some(end)) => format!("ends {}", when(end, now)),
        (true, None) => "is there; the provider does not say when it ends".to_owned(),
        (false, _) => "there is none: you sign in again when the access token ends".to_owned(),
    };
    let mut rows: Vec<_> = access_tokens.collect();
    rows.push(("Refresh token", refresh_token));
    if status.is_sign_in_required() {
        rows.push(("Session", "the provider has ended it".to_owned()));
    }
    rows
}

fn lines(lines: &[Line], now: SystemTime) -> Markup {
    html! {
        @if lines.is_empty() {
            p.small { "Nothing yet: the sign-in brought the first tokens." }
        } @else {
            ol.log {
                @for line in lines {
                    li { time { (when(line.at, now)) } span { (line.text) } }
                }
            }
        }
    }
}

fn requests(count: usize) -> String {
    match count {
        1 => "1 token request".to_owned(),
        count => format!("{count} token requests"),
    }
}
