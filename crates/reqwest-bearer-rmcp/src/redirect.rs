//! Which redirects an MCP client may follow.

use reqwest::StatusCode;
use reqwest::redirect::Policy;

/// As many as reqwest itself follows, and rmcp.
const MOST_HOPS: usize = 10;

/// Follows 307 and 308 while all URLs share the first one's origin; of any other redirect the 3xx answer
/// itself is the answer. More than 10 are an error.
///
/// A 301, 302 or 303 makes a GET without a body of a POST: an MCP server takes that for a stream to be
/// opened, and the message is lost. And to another origin reqwest takes the MCP session id along. rmcp's own
/// client has the same rule. A [`NamedClient`](reqwest_bearer::NamedClient) gets it so:
///
/// ```
/// # fn build(source: reqwest_bearer::TokenSource) -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest_bearer::NamedClient;
///
/// let http = reqwest::Client::builder().redirect(reqwest_bearer_rmcp::redirect_policy());
/// let client = NamedClient::builder("notes", "https://notes.example.com/mcp", source)
///     .client_with_own_redirects(http.build()?)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn redirect_policy() -> Policy {
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
