//! Where an API's metadata is looked for (RFC 9728 section 3).

use http::StatusCode;
use reqwest::Url;

use crate::clock::Clock;
use crate::endpoint::answer;
use crate::endpoint::transport::{Transport, status_says_all};
use crate::error::{Error, ErrorKind};
use crate::resource::metadata::Document;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// One or two.
#[derive(Clone, Debug)]
pub(super) struct Places {
    first: Url,
    second: Option<Url>,
    /// Whether an API that has metadata at none of them is its own authorization server.
    or_own_origin: bool,
}

impl Places {
    pub(super) fn one(first: Url) -> Self {
        Self {
            first,
            second: None,
            or_own_origin: false,
        }
    }

    /// Inserted before the path, then at the root, where that is another place.
    pub(super) fn well_known(api: &Url) -> Self {
        let at = |path: &str| {
            let mut place = api.clone();
            place.set_path(path);
            place
        };
        match api.path() {
            "/" => Self::one(at(WELL_KNOWN)),
            path => Self {
                second: Some(at(WELL_KNOWN)),
                ..Self::one(at(&format!("{WELL_KNOWN}{path}")))
            },
        }
    }

    pub(super) fn or_own_origin(self, or_own_origin: bool) -> Self {
        Self {
            or_own_origin,
            ..self
        }
    }

    pub(super) fn first(&self) -> &Url {
        &self.first
    }

    /// Looks at one place after the other, until one has something to say.
    ///
    /// # Errors
    /// Trouble says more than that there is nothing; what is there and cannot be used, more than either.
    pub(super) async fn fetch(
        &self,
        api: &Url,
        transport: &Transport,
        clock: &Clock,
    ) -> Result<Document, Error> {
        let mut statuses = Vec::with_capacity(2);
        let mut trouble = None;
        for place in [Some(&self.first), self.second.as_ref()]
            .into_iter()
            .flatten()
        {
            let answer = transport.get_metadata(place.clone()).await;
            let answer = answer.map_err(|error| about_api(error).at_server(place))?;
            let status = answer.status;
            if status_says_all(status) {
                let error = in_trouble(status);
                trouble = Some(
                    match answer::pause(&answer.headers, clock.now().system_time()) {
                        Some(pause) => error.with_retry_after(pause),
                        None => error,
                    },
                );
            } else if let Some(body) = object(status, &answer.body) {
                return Document::read(body, api);
            } else {
                statuses.push(status.as_u16().to_string());
            }
        }
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        if self.or_own_origin {
            return Ok(Document::own_server(api));
        }
        Err(Error::protocol(format!(
            "the API has no metadata (RFC 9728) where it is looked for (status {})",
            statuses.join(" and ")
        )))
    }
}

/// Single-page applications answer every path with 200 and their HTML.
fn object(status: StatusCode, body: &[u8]) -> Option<&[u8]> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    (status.is_success() && is_object).then_some(body)
}

fn in_trouble(status: StatusCode) -> Error {
    let message = format!(
        "the API cannot give its metadata now (status {})",
        status.as_u16()
    );
    Error::new(ErrorKind::Unavailable, message)
}

/// The same error in the words of who asks an API.
fn about_api(error: Error) -> Error {
    let message = match error.kind() {
        ErrorKind::Timeout => "the API did not give its metadata in time",
        ErrorKind::Unavailable => "the API cannot be reached for its metadata",
        ErrorKind::Protocol => "the metadata of the API is larger than 64 KiB",
        _ => return error,
    };
    Error::new(error.kind(), message).with_source(error)
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::Places;

    #[test]
    fn the_well_known_place_is_before_the_path_and_then_at_the_root() {
        // I5
        for (api, places) in [
            (
                "https://a.b",
                &["https://a.b/.well-known/oauth-protected-resource"][..],
            ),
            (
                "https://a.b:8443/mcp",
                &[
                    "https://a.b:8443/.well-known/oauth-protected-resource/mcp",
                    "https://a.b:8443/.well-known/oauth-protected-resource",
                ],
            ),
            (
                "https://a.b/x/y/",
                &[
                    "https://a.b/.well-known/oauth-protected-resource/x/y/",
                    "https://a.b/.well-known/oauth-protected-resource",
                ],
            ),
        ] {
            let found = Places::well_known(&Url::parse(api).unwrap());
            let found = [Some(found.first), found.second];
            let found: Vec<_> = found.iter().flatten().map(Url::as_str).collect();
            assert_eq!(found, places);
        }
    }
}
