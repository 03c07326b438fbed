//! What went wrong with a request: a page that says so, or the way to the sign-in.

use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reqwest_bearer::{Error, ErrorKind, reqwest_middleware};

use crate::open_id::Failure;

/// Handlers return it with `?`. The gate makes the answer, since it knows who asked and for what.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nobody is signed in, or their tokens can no longer be renewed: the browser is sent to the
    /// sign-in.
    SignInRequired,
    /// A page says what is wrong.
    Page(Explanation),
}

/// A page for people.
#[derive(Clone, Debug)]
pub(crate) struct Explanation {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) text: String,
    /// For whoever runs the application.
    pub(crate) detail: Option<String>,
    /// Where a button leads, and what stands on it.
    pub(crate) way_on: (&'static str, &'static str),
}

impl Fault {
    pub(crate) fn page(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Self::Page(Explanation {
            status,
            title,
            text: text.into(),
            detail: None,
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

    fn with_detail(self, detail: impl fmt::Display) -> Self {
        match self {
            Self::Page(explanation) => Self::Page(Explanation {
                detail: Some(detail.to_string()),
                ..explanation
            }),
            Self::SignInRequired => self,
        }
    }

    /// Something of ours that should not happen.
    pub(crate) fn ours(problem: impl fmt::Display) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::page(
            status,
            "Something went wrong here",
            "It was not your doing.",
        )
        .with_detail(problem)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        if error.kind() == ErrorKind::SignInRequired {
            return Self::SignInRequired;
        }
        let (status, title, text) = if error.is_transient() {
            let title = "The provider does not answer";
            (StatusCode::SERVICE_UNAVAILABLE, title, STILL_SIGNED_IN)
        } else {
            let title = "The call cannot be made";
            (
                StatusCode::BAD_GATEWAY,
                title,
                "Something has to be mended here first.",
            )
        };
        Self::page(status, title, text).with_detail(error)
    }
}

impl From<reqwest_middleware::Error> for Fault {
    fn from(error: reqwest_middleware::Error) -> Self {
        match Error::find_in(&error) {
            Some(found) => found.clone().into(),
            None => api_unreachable(error),
        }
    }
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        api_unreachable(error)
    }
}

const STILL_SIGNED_IN: &str = "You are still signed in. Try again in a while.";

fn api_unreachable(error: impl fmt::Display) -> Fault {
    let status = StatusCode::BAD_GATEWAY;
    Fault::page(status, "The API does not answer", STILL_SIGNED_IN).with_detail(error)
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let page =
            |status, title, text| Self::page(status, title, text).and_then("/sign-in", "Try again");
        match failure {
            Failure::Provider(problem) => page(
                StatusCode::BAD_GATEWAY,
                "The provider cannot sign you in",
                "Nothing is wrong with what you did. Try again in a while.",
            )
            .with_detail(format!("It {problem}.")),
            Failure::Code => page(
                StatusCode::BAD_REQUEST,
                "The sign-in took too long",
                "The provider does not take its code any more.",
            ),
            Failure::IdToken(problem) => page(
                StatusCode::BAD_GATEWAY,
                "The provider's id token is not good",
                "So nobody was signed in.",
            )
            .with_detail(problem),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut answer = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        answer.extensions_mut().insert(self);
        answer
    }
}
