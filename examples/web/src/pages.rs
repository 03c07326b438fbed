//! The pages: what all of them share, and the one that says what went wrong.

pub(crate) mod home;
pub(crate) mod orders;
mod times;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use maud::{DOCTYPE, Markup, html};

use crate::fault::{Explanation, Fault};
use crate::session::User;

/// The one style sheet; nothing comes from elsewhere, and no page has a script.
pub(crate) async fn style() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/css")],
        include_str!("pages/style.css"),
    )
}

/// A page with the head and the bar that all pages have.
pub(crate) fn page(title: &str, user: Option<&User>, content: Markup) -> Markup {
    let bar = html! {
        header {
            a.brand href="/" { "Orders" }
            @if let Some(user) = user {
                nav {
                    a href="/" { "Tokens" }
                    a href="/orders" { "Call the API" }
                }
                span.who { (user.name) }
                (button("/sign-out", "Sign out", "quiet"))
            }
        }
    };
    let foot = html! {
        footer {
            "An example of reqwest-bearer. The tokens stay in the server; this browser has a session id."
        }
    };
    document(title, html! { (bar) (titled(title, &content)) (foot) })
}

/// A page of the embedded provider, which is no page of the application.
pub(crate) fn bare_page(title: &str, content: Markup) -> Markup {
    document(title, titled(title, &content))
}

fn titled(title: &str, content: &Markup) -> Markup {
    html! {
        main {
            h1 { (title) }
            (content)
        }
    }
}

fn document(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/style.css";
                // Browsers ask for one; this is none.
                link rel="icon" href="data:,";
            }
            body { (body) }
        }
    }
}

/// Does something, so it is a form and no link.
pub(crate) fn button(path: &str, label: &str, class: &str) -> Markup {
    html! {
        form method="post" action=(path) {
            button.(class) { (label) }
        }
    }
}

pub(crate) async fn not_found() -> Fault {
    Fault::page(
        StatusCode::NOT_FOUND,
        "There is no such page",
        "The address may be mistyped.",
    )
}

pub(crate) fn fault(explanation: &Explanation, user: Option<&User>) -> Markup {
    let (path, label) = explanation.way_on;
    page(
        explanation.title,
        user,
        html! {
            section.card {
                p { (explanation.text) }
                @if let Some(detail) = &explanation.detail {
                    p.small { (detail) }
                }
                p { a.button href=(path) { (label) } }
            }
        },
    )
}
