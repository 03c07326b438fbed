//! The page that calls the API for whoever is signed in.

use axum::extract::State;
use maud::{Markup, html};
use reqwest::Response;
use serde_json::Value;

use reqwest_bearer::{Error, ErrorKind};

use crate::activity::Counts;
use crate::application::App;
use crate::fault::Fault;
use crate::pages::{button, page};
use crate::session::SignedIn;

/// Of an answer, this much is shown.
const MOST_BYTES: usize = 4096;

pub(crate) async fn orders(
    State(app): State<App>,
    SignedIn { user, .. }: SignedIn,
) -> Result<Markup, Fault> {
    let before = app.activity.counts();
    // Nothing here knows of tokens or of the user: the gate has said whose call this is.
    let answer = app.orders.get(&app.call).send().await?;
    // A refusal that could not be healed says why. If it is that the user has to sign in again, the
    // gate sends the browser there.
    let reason = Error::find_in_response(&answer).cloned();
    if let Some(error) = reason
        .as_ref()
        .filter(|error| error.kind() == ErrorKind::SignInRequired)
    {
        return Err(error.clone().into());
    }
    let status = answer.status();
    let url = answer.url().clone();
    let body = read_start(answer).await?;
    let after = app.activity.counts();
    Ok(page(
        "The API's answer",
        Some(&user),
        html! {
            section.card {
                h2 { "GET " (url.path()) }
                p { span.status.good[status.is_success()] { (status) } }
                pre { (body) }
            }
            section.card {
                h2 { "With which token" }
                p.how { (how(before, after)) }
                @if let Some(reason) = reason {
                    p { (reason) }
                }
                p.small {
                    "Token requests before this call: " span #before { (before.token_requests) }
                    ", after it: " span #after { (after.token_requests) } "."
                }
                div.buttons {
                    a.button href="/orders" { "Call again" }
                    (button("/revoke", "Revoke the access token", "second"))
                }
            }
        },
    ))
}

/// By the counts of all users together: where several sign in at once, they mix.
fn how(before: Counts, after: Counts) -> &'static str {
    let refused = after.refusals > before.refusals;
    let renewed = after.renewals > before.renewals;
    match (refused, renewed) {
        (true, true) => {
            "The API refused the token with 401. A new one was fetched, and the call was sent once more."
        }
        (true, false) => "The API refused the token, and no new one could be had.",
        (false, true) => "A new token was fetched.",
        (false, false) => "The token was at hand; the provider was not asked.",
    }
}

async fn read_start(mut answer: Response) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST_BYTES {
            bytes.truncate(MOST_BYTES);
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let json = serde_json::from_str::<Value>(&text);
    Ok(json.map_or(text, |json| format!("{json:#}")))
}
