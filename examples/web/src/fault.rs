//! What went wrong with a request: a page that says so, or the way to the sign-in.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reqwest_bearer::{Error, ErrorKind};

use crate::open_id::Failure;
use crate::pages;

/// Handlers return it with `?`.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Nobody is signed in, or their tokens can no longer be renewed. The gate makes a redirect of
    /// it, since it knows where the browser wanted to go.
    SignInRequired,
    Page(Explanation),
}

/// Marks an answer that the gate turns into a redirect.
#[derive(Clone, Copy)]
pub(crate) struct SignInRequired;

/// A page for people.
#[derive(Debug)]
pub(crate) struct Explanation {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) text: String,
    /// Where a button leads, and what stands on it.
    pub(crate) way_on: (&'static str, &'static str),
}

impl Fault {
    pub(crate) fn page(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Self::Page(Explanation {
            status,
            title,
            text: text.into(),
            way_on: ("/", "Back to the start"),
        })
    }

    /// The same with a button that leads elsewhere.
    pub(crate) fn and_then(self, path: &'static str, label: &'static str) -> Self {
        match self {
            Self::Page(explanation) => Self::Page(Explanation {
                way_on: (path, label),
                ..explanation
            }),
            Self::SignInRequired => self,
        }
    }

    /// Something of ours that should not happen.
    pub(crate) fn ours(problem: impl std::fmt::Display) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::page(status, "Something went wrong here", problem.to_string())
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        if error.kind() == ErrorKind::SignInRequired {
            return Self::SignInRequired;
        }
        if error.is_transient() {
            let text = format!("You are still signed in, and nothing is lost. ({error})");
            return Self::page(
                StatusCode::SERVICE_UNAVAILABLE,
                "The provider does not answer at the moment",
                text,
            );
        }
        Self::page(
            StatusCode::BAD_GATEWAY,
            "The call cannot be made",
            error.to_string(),
        )
    }
}

impl From<reqwest_bearer::reqwest_middleware::Error> for Fault {
    fn from(error: reqwest_bearer::reqwest_middleware::Error) -> Self {
        match Error::find_in(&error) {
            Some(found) => found.clone().into(),
            None => api_unreachable(&error),
        }
    }
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        api_unreachable(&error)
    }
}

fn api_unreachable(error: &dyn std::error::Error) -> Fault {
    let text = format!("You are still signed in, and nothing is lost. ({error})");
    Fault::page(StatusCode::BAD_GATEWAY, "The API does not answer", text)
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let (status, title, text) = match failure {
            Failure::Provider(problem) => (
                StatusCode::BAD_GATEWAY,
                "The provider cannot sign anybody in at the moment",
                format!("It {problem}."),
            ),
            Failure::Code => (
                StatusCode::BAD_REQUEST,
                "The sign-in took too long",
                "The provider does not take its code any more.".to_owned(),
            ),
            Failure::IdToken(problem) => (
                StatusCode::BAD_GATEWAY,
                "The provider's id token is not good",
                format!("Nobody was signed in: {problem}."),
            ),
        };
        Self::page(status, title, text).and_then("/sign-in", "Try again")
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::SignInRequired => {
                let mut answer = StatusCode::UNAUTHORIZED.into_response();
                answer.extensions_mut().insert(SignInRequired);
                answer
            }
            Self::Page(explanation) => {
                (explanation.status, pages::fault(&explanation)).into_response()
            }
        }
    }
}
