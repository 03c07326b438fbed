//! The document in which an issuer names its endpoints (OpenID Connect Discovery, RFC 8414).

use http::StatusCode;
use reqwest::Url;
use serde::Deserialize;

use crate::clock::Clock;
use crate::endpoint::address::{self, PlainHttp};
use crate::endpoint::answer;
use crate::endpoint::transport::{Answer, Transport, status_says_all};
use crate::error::Error;

/// An issuer as the settings have it.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    text: String,
    plain_http: PlainHttp,
    /// The places to look, in order.
    candidates: [Url; 2],
}

/// The endpoints of an issuer, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) token_endpoint: Url,
    pub(crate) revocation_endpoint: Option<Url>,
}

#[derive(Deserialize)]
struct Members {
    issuer: Option<String>,
    token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
}

/// What one place said.
enum Look {
    Found(Document),
    /// There is no document here; another place may have it.
    Nothing(StatusCode),
}

impl Issuer {
    /// # Errors
    /// If it cannot be an issuer (RFC 8414 section 2).
    pub(crate) fn new(text: &str, plain_http: PlainHttp) -> Result<Self, Error> {
        let fault = |fault: &str| Error::settings(format!("the issuer {fault}"));
        // The text is compared with the document's, so nothing is trimmed away silently.
        if text.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return Err(fault("has white space in it"));
        }
        let url = address::check(text, plain_http).map_err(fault)?;
        if url.query().is_some() {
            return Err(fault("has a query, which RFC 8414 section 2 forbids"));
        }
        let path = url.path().trim_end_matches('/');
        let at = |path: String| {
            let mut place = url.clone();
            place.set_path(&path);
            place
        };
        Ok(Self {
            text: text.to_owned(),
            plain_http,
            candidates: [
                at(format!("{path}/.well-known/openid-configuration")),
                at(format!("/.well-known/oauth-authorization-server{path}")),
            ],
        })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Looks at OpenID Connect's place, then at RFC 8414's. A server that is out of reach or in
    /// trouble is not asked for the second.
    pub(crate) async fn fetch(
        &self,
        transport: &Transport,
        clock: &Clock,
    ) -> Result<Document, Error> {
        let mut statuses = Vec::with_capacity(self.candidates.len());
        for place in &self.candidates {
            match self.look(transport.get(place.clone()).await?, clock)? {
                Look::Found(document) => return Ok(document),
                Look::Nothing(status) => statuses.push(status.as_u16().to_string()),
            }
        }
        Err(Error::protocol(format!(
            "the issuer has no discovery document at either well-known path (status {}); check \
             the issuer, or give the token URL itself",
            statuses.join(" and ")
        )))
    }

    fn look(&self, answer: Answer, clock: &Clock) -> Result<Look, Error> {
        if status_says_all(answer.status) {
            let error = answer::failure(answer.status);
            let now = clock.now().system_time();
            return Err(match answer::pause(&answer.headers, now) {
                Some(pause) => error.with_retry_after(pause),
                None => error,
            });
        }
        // Single-page applications answer every path with 200 and their HTML.
        if !answer.status.is_success() || !is_object(&answer.body) {
            return Ok(Look::Nothing(answer.status));
        }
        parse_document(&self.text, &answer.body, self.plain_http).map(Look::Found)
    }
}

/// Reads a document and checks that it is the issuer's and names endpoints that may be asked.
///
/// # Errors
/// Without any text of the document (D6).
pub(crate) fn parse_document(
    issuer: &str,
    body: &[u8],
    plain_http: PlainHttp,
) -> Result<Document, Error> {
    let fault = |fault: &str| Error::protocol(format!("the discovery document {fault}"));
    let members: Members = serde_json::from_slice(body)
        .map_err(|_| fault("is not a JSON object with its endpoints as texts"))?;
    let named = members.issuer.ok_or_else(|| fault("names no issuer"))?;
    if !is_same_issuer(issuer, &named) {
        return Err(fault(
            "is another issuer's than the one that was asked (RFC 8414 section 3.3); use the \
             issuer exactly as the server writes it, or give the token URL itself",
        ));
    }
    let token_endpoint = members
        .token_endpoint
        .ok_or_else(|| fault("names no token endpoint"))?;
    let token_endpoint = address::check(&token_endpoint, plain_http)
        .map_err(|problem| fault(&format!("names a token endpoint that {problem}")))?;
    // Tokens can be had without it, so a bad one counts as none.
    let revocation_endpoint = members
        .revocation_endpoint
        .and_then(|url| address::check(&url, plain_http).ok());
    Ok(Document {
        token_endpoint,
        revocation_endpoint,
    })
}

/// RFC 8414 section 3.3 says "identical". One slash at the end is forgiven, because servers and
/// their manuals disagree about it so often, and because it cannot name another party: both forms
/// lead to the same document.
fn is_same_issuer(asked: &str, named: &str) -> bool {
    fn without_slash(text: &str) -> &str {
        text.strip_suffix('/').unwrap_or(text)
    }
    without_slash(asked) == without_slash(named)
}

fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}
