//! The HTTP client that suits an MCP server.

use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, StatusCode};

/// As many as reqwest itself follows, and rmcp.
const MOST_HOPS: usize = 10;

/// A builder with the settings that rmcp's own client has; proxy, TLS and time-outs are yours.
///
/// **Redirects**: 307 and 308 are followed while all URLs share the first one's origin, up to 10; of any other
/// redirect the 3xx answer itself is the answer. A 301, 302 or 303 makes a GET without a body of a POST: an
/// MCP server takes that for a stream to be opened, and the message is lost. And to another origin reqwest
/// takes the MCP session id along.
///
/// **Connections**: none is kept for the next request. A server that writes an answer in pieces, as one of
/// events is, and does not set `TCP_NODELAY` waits before each piece for the client's acknowledgement, which a
/// kept connection delays (40 ms on Linux). Against a server that does set it,
/// `.pool_max_idle_per_host(usize::MAX)` saves the handshakes.
///
/// A [`NamedClient`](reqwest_bearer::NamedClient) gets it so:
///
/// ```
/// # fn build(source: reqwest_bearer::TokenSource) -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest_bearer::NamedClient;
/// use reqwest_bearer_rmcp::http_client_builder;
///
/// let client = NamedClient::builder("notes", "https://notes.example.com/mcp", source)
///     .client_with_own_redirects(http_client_builder().build()?)
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub fn http_client_builder() -> ClientBuilder {
    reqwest::Client::builder()
        .redirect(redirect_policy())
        .pool_max_idle_per_host(0)
}

fn redirect_policy() -> Policy {
    Policy::custom(|attempt| {
        let keeps_body = matches!(
            attempt.status(),
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        );
        let first = attempt.previous().first();
        let stays = first.is_some_and(|first| first.origin() == attempt.url().origin());
        if !keeps_body || !stays {
            attempt.stop()
        } else if attempt.previous().len() > MOST_HOPS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}
