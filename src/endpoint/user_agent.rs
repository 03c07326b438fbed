//! How our HTTP client calls itself before an authorization server.
//!
//! Firewalls in front of authorization servers answer 403 to requests without a `User-Agent` (GOV.UK
//! One Login, AWS, Cloudflare), and reqwest sends none by itself.

use reqwest::ClientBuilder;

use crate::shown::Shown;

const OURS: &str = concat!("reqwest-bearer/", env!("CARGO_PKG_VERSION"));

/// The same builder with our name, unless it has one of its own. Where that cannot be told it stays as
/// it is: the user's settings go before our convenience.
pub(crate) fn with_user_agent(http: ClientBuilder) -> ClientBuilder {
    match has_user_agent(&http) {
        Some(false) => http.user_agent(OURS),
        Some(true) | None => http,
    }
}

/// Whether the builder has a `User-Agent` among its default headers; `None` if that cannot be told.
///
/// reqwest has no getter for it, and a header that is set on each request would go before the
/// builder's. So this reads what the builder's `Debug` output shows. If that changes with reqwest, the
/// answer is `None`, and a test fails.
fn has_user_agent(http: &ClientBuilder) -> Option<bool> {
    let shown = Shown::of(http)?;
    let (_, headers) = shown.settings_and_headers()?;
    // A quote inside of a value is shown as `\"`, so only a name is followed by `": `. And since every
    // builder has the first of these two headers, names are shown as they are looked for.
    let has = |name: &str| headers.contains(name);
    has(r#""accept": "#).then(|| has(r#""user-agent": "#))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use reqwest::Client;

    use super::has_user_agent;
    use crate::shown::LONGEST;

    #[test]
    fn a_builder_of_this_reqwest_shows_whether_it_has_a_user_agent() {
        // E1, K22: if this fails, reqwest shows its builders in another way.
        assert_eq!(has_user_agent(&Client::builder()), Some(false));
        let own = Client::builder().user_agent("mine/1");
        assert_eq!(has_user_agent(&own), Some(true));
    }

    #[test]
    fn of_a_builder_that_shows_more_than_anybody_reads_it_cannot_be_told() {
        // E1, K22
        let long = HeaderValue::from_str(&"x".repeat(LONGEST)).unwrap();
        let headers = HeaderMap::from_iter([(http::header::COOKIE, long)]);
        let builder = Client::builder().default_headers(headers);
        assert_eq!(has_user_agent(&builder), None);
    }
}
