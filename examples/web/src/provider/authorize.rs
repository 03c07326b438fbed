//! The page where people say who they are (RFC 6749 section 4.1.1, RFC 7636).

use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use reqwest::Url;
use serde::Deserialize;

use crate::pages::bare_page;
use crate::provider::Provider;
use crate::provider::books::Person;

const LONGEST_NAME: usize = 64;

/// The authorization request.
#[derive(Deserialize)]
pub(crate) struct Wish {
    client_id: String,
    redirect_uri: String,
    response_type: String,
    state: Option<String>,
    scope: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// The same as the form sends it back, with what was typed and which button was pressed.
#[derive(Deserialize)]
pub(crate) struct Decision {
    #[serde(flatten)]
    wish: Wish,
    #[serde(default)]
    name: String,
    /// The user agrees to the orders, and not to the stock.
    #[serde(default)]
    orders_alone: Option<String>,
    #[serde(default)]
    cancel: Option<String>,
}

pub(crate) async fn ask(
    State(provider): State<Arc<Provider>>,
    Query(wish): Query<Wish>,
) -> Response {
    match check(&provider, &wish) {
        Ok(_) => form(&wish).into_response(),
        Err(objection) => object(&provider, &wish, &objection),
    }
}

pub(crate) async fn decide(
    State(provider): State<Arc<Provider>>,
    Form(Decision {
        wish,
        name,
        orders_alone,
        cancel,
    }): Form<Decision>,
) -> Response {
    let challenge = match check(&provider, &wish) {
        Ok(challenge) => challenge.to_owned(),
        Err(objection) => return object(&provider, &wish, &objection),
    };
    if cancel.is_some() {
        return send_back(&provider, &wish, ("error", "access_denied"));
    }
    let Some(person) = person(&name) else {
        return form(&wish).into_response();
    };
    let asked = wish.scope.as_deref().unwrap_or_default().split(' ');
    let agreed = asked.filter(|name| orders_alone.is_none() || !name.starts_with("stock:"));
    let scope = agreed.collect::<Vec<_>>().join(" ");
    match provider
        .books
        .issue_code(person, scope, challenge, wish.nonce.clone())
    {
        Ok(code) => send_back(&provider, &wish, ("code", &code)),
        Err(_) => send_back(&provider, &wish, ("error", "server_error")),
    }
}

/// What is wrong with an authorization request.
enum Objection {
    /// Nobody is sent to an address that is not known (RFC 6749 section 4.1.2.1).
    UnknownApplication,
    /// The application gets to know, by this code.
    Code(&'static str),
}

/// The challenge of a request that is in order.
fn check<'wish>(provider: &Provider, wish: &'wish Wish) -> Result<&'wish str, Objection> {
    if wish.client_id != provider.application.id || wish.redirect_uri != provider.redirect_uri {
        return Err(Objection::UnknownApplication);
    }
    if wish.response_type != "code" {
        return Err(Objection::Code("unsupported_response_type"));
    }
    let is_s256 = wish.code_challenge_method.as_deref() == Some("S256");
    let challenge = wish.code_challenge.as_deref().filter(|_| is_s256);
    challenge.ok_or(Objection::Code("invalid_request"))
}

fn object(provider: &Provider, wish: &Wish, objection: &Objection) -> Response {
    match objection {
        Objection::Code(code) => send_back(provider, wish, ("error", code)),
        Objection::UnknownApplication => {
            let text = "No application with this id and this address is known here.";
            let page = bare_page(
                "Unknown application",
                html! { section.card { p { (text) } } },
            );
            (StatusCode::BAD_REQUEST, page).into_response()
        }
    }
}

fn send_back(provider: &Provider, wish: &Wish, (name, value): (&str, &str)) -> Response {
    let parameters = [
        Some((name, value)),
        Some(("iss", provider.issuer.as_str())),
        wish.state.as_deref().map(|state| ("state", state)),
    ];
    match Url::parse_with_params(&wish.redirect_uri, parameters.into_iter().flatten()) {
        Ok(url) => Redirect::to(url.as_str()).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Everybody is believed. The name becomes the id: "Ada Lovelace" is `ada-lovelace`.
fn person(name: &str) -> Option<Person> {
    let name: String = name.trim().chars().take(LONGEST_NAME).collect();
    let words = name
        .split(|char: char| !char.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase);
    let subject = words.collect::<Vec<_>>().join("-");
    (!subject.is_empty()).then_some(Person { subject, name })
}

fn form(wish: &Wish) -> Markup {
    let hidden = [
        ("client_id", Some(&wish.client_id)),
        ("redirect_uri", Some(&wish.redirect_uri)),
        ("response_type", Some(&wish.response_type)),
        ("state", wish.state.as_ref()),
        ("scope", wish.scope.as_ref()),
        ("nonce", wish.nonce.as_ref()),
        ("code_challenge", wish.code_challenge.as_ref()),
        ("code_challenge_method", wish.code_challenge_method.as_ref()),
    ];
    bare_page(
        "Sign in",
        html! {
            section.card {
                p { "This is the example's own provider. It takes your word for who you are." }
                form method="post" action="/authorize" {
                    @for (name, value) in hidden {
                        @if let Some(value) = value {
                            input type="hidden" name=(name) value=(value);
                        }
                    }
                    label for="name" { "Your name" }
                    input #name type="text" name="name" maxlength=(LONGEST_NAME) required autofocus autocomplete="off";
                    div.buttons {
                        button { "Sign in" }
                        button.second name="orders_alone" value="yes" { "Sign in for orders alone" }
                        button.second name="cancel" value="yes" formnovalidate { "Cancel" }
                    }
                }
                @if let Some(scope) = &wish.scope {
                    p.small { "“Orders” asks for: " (scope.replace(' ', ", ")) "." }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::person;

    #[test]
    fn a_name_becomes_an_id() {
        let ada = person("  Ada Lovelace ").unwrap();
        assert_eq!(
            (ada.subject.as_str(), ada.name.as_str()),
            ("ada-lovelace", "Ada Lovelace")
        );
        for nobody in ["", "   ", "<>", "--"] {
            assert!(person(nobody).is_none(), "{nobody:?}");
        }
    }
}
