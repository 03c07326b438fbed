//! D: where a token may go.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

#[path = "../support/raw_server.rs"]
#[expect(dead_code, reason = "`redirects.rs` uses more of it")]
mod raw_server;
#[path = "../support/mod.rs"]
mod support;

mod binding;
mod carrier;
mod own_header;
mod redirect;
mod separate;
mod token_text;

use reqwest_bearer::{Error, ErrorKind};
use reqwest_middleware::RequestBuilder;

/// The kind of the error that a request fails with.
async fn refusal_of(request: RequestBuilder) -> ErrorKind {
    let error = request.send().await.unwrap_err();
    Error::find_in(&error).unwrap().kind()
}
