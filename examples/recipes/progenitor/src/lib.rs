//! A client that `progenitor` generates from an OpenAPI document, with tokens of `reqwest-bearer` by its
//! hooks.

mod hooks;
mod tokens;

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod orders {
    progenitor::generate_api!(
        spec = "orders.json",
        inner_type = crate::tokens::Tokens,
        hooks = Expected,
    );
}

pub use orders::{Client, types};
pub use tokens::Tokens;

/// A client of the API at this URL.
///
/// # Errors
/// If there is no HTTP client to be had.
pub fn client(url: &str, tokens: Tokens) -> Result<Client, reqwest_bearer::Error> {
    // Its redirects keep the token at home.
    let http = reqwest_bearer::http_client(reqwest::Client::builder())?;
    Ok(Client::new_with_client(url, http.into(), tokens))
}
