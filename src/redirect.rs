//! Which redirects are followed, so that none carries the token to another origin.

use std::fmt;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};

use crate::error::Error;
use crate::origin::{has_userinfo, same_origin};
use crate::shown::Shown;

/// As many as reqwest's own policy follows.
const MOST_HOPS: usize = 10;

/// The redirect policy that keeps a token at the origin that it was sent to.
///
/// reqwest alone does not. It starts every hop from the headers of the original request and
/// removes `Authorization` only if host, port or scheme differ from the hop just before: if A
/// redirects to B, and B to another path of B, that second request carries the token to B. A
/// middleware cannot mend this, because redirects are followed below it.
///
/// This policy follows
/// - every redirect while all URLs so far share the first one's origin: the token goes along,
/// - a redirect to an origin that differs from the last URL's: reqwest removes the token there,
///
/// and stops at every other one, as well as at a URL with user information that would get the
/// token. To stop means that the 3xx answer itself is what the caller gets. More than 10 redirects
/// are an error, as with reqwest's own policy.
///
/// It must be set before a client is built; a ready-made [`reqwest::Client`] cannot be changed,
/// so its redirects are its owner's care. [`http_client`] builds one with it:
///
/// ```
/// let builder = reqwest::Client::builder().redirect(reqwest_bearer::redirect_policy());
/// ```
#[must_use]
pub fn redirect_policy() -> Policy {
    Policy::custom(|attempt| match decide(attempt.previous(), attempt.url()) {
        Hop::Follow => attempt.follow(),
        Hop::Stop => attempt.stop(),
        Hop::TooMany => attempt.error("too many redirects"),
    })
}

/// A reqwest client that keeps the token at home: it has the [`redirect_policy`] of this crate.
///
/// Cheap to clone, and clones share one pool of connections: so the named clients of a program can share
/// one ([`NamedClientBuilder::client`](crate::NamedClientBuilder::client)). [`http_client`] makes
/// it, and `reqwest::Client::from` gets the plain client out of it.
#[derive(Clone)]
pub struct HttpClient(Client);

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the client inside, which shows its default headers: there may be keys among them.
        formatter.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl From<HttpClient> for Client {
    fn from(client: HttpClient) -> Self {
        client.0
    }
}

/// Builds a client with [`redirect_policy`] in place of the policy that the builder has. One that follows no
/// redirect (`Policy::none()`) is stricter, and stays; of any other it cannot be told what it does. A client
/// that is known to follow none, also where a token goes in a header of another name, is built by
/// [`http_client_without_redirects`].
///
/// Proxies, roots, timeouts and all other settings stay as they are:
///
/// ```
/// # fn build() -> Result<(), reqwest_bearer::Error> {
/// use std::time::Duration;
///
/// let builder = reqwest::Client::builder().connect_timeout(Duration::from_secs(5));
/// let client = reqwest_bearer::http_client(builder)?;
/// let plain: reqwest::Client = client.into(); // for a `reqwest_middleware::ClientBuilder`
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::Settings`](crate::ErrorKind::Settings) if reqwest cannot build it, with reqwest's
/// error as the source.
pub fn http_client(builder: ClientBuilder) -> Result<HttpClient, Error> {
    build(with_policy(builder, redirect_policy())).map(HttpClient)
}

/// Builds a client that follows no redirect: the caller gets the 3xx answer itself. Tokens that are bound to
/// a key (DPoP, RFC 9449) want one, since their proofs are for one URL each.
///
/// # Errors
/// As [`http_client`].
pub fn http_client_without_redirects(builder: ClientBuilder) -> Result<SameOriginClient, Error> {
    let client = build(builder.redirect(Policy::none()))?;
    Ok(SameOriginClient {
        client,
        follows: Follows::Nothing,
    })
}

/// The redirect policy for a token in any other header than `Authorization`.
///
/// reqwest takes `Authorization`, cookies and `Proxy-Authorization` out of a request that a redirect
/// leads to another origin, and no other header. So this policy follows a redirect only while all URLs
/// share the first one's origin, and stops at every other one, as well as at a URL with user
/// information: the 3xx answer itself is then what the caller gets. More than 10 redirects are an
/// error. [`same_origin_http_client`] builds a client with it.
#[must_use]
pub fn same_origin_redirect_policy() -> Policy {
    Policy::custom(
        |attempt| match decide_at_home(attempt.previous(), attempt.url()) {
            Hop::Follow => attempt.follow(),
            Hop::Stop => attempt.stop(),
            Hop::TooMany => attempt.error("too many redirects"),
        },
    )
}

/// Builds the client, with [`same_origin_redirect_policy`] in place of the policy that the builder has, unless
/// that one follows no redirect (`Policy::none()`).
///
/// ```
/// # fn build(grant: impl reqwest_bearer::Grant) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::BearerTokenMiddleware;
///
/// let http = reqwest_bearer::same_origin_http_client(reqwest::Client::builder())?;
/// let shop = reqwest_middleware::ClientBuilder::new(http.clone().into())
///     .with(
///         BearerTokenMiddleware::builder(grant)
///             .origin("https://my-shop.myshopify.com")
///             .header("X-Shopify-Access-Token")
///             .over(&http)
///             .build()?,
///     )
///     .build();
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::Settings`](crate::ErrorKind::Settings) if reqwest cannot build it, with reqwest's
/// error as the source.
pub fn same_origin_http_client(builder: ClientBuilder) -> Result<SameOriginClient, Error> {
    let client = build(with_policy(builder, same_origin_redirect_policy()))?;
    Ok(SameOriginClient {
        client,
        follows: Follows::SameOrigin,
    })
}

/// A client that follows redirects within one origin alone, so that it carries a token safely in any
/// header: [`same_origin_http_client`] and [`http_client_without_redirects`] build it.
///
/// Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct SameOriginClient {
    client: Client,
    follows: Follows,
}

/// Which redirects a client follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    Nothing,
    SameOrigin,
}

impl SameOriginClient {
    /// Whether it follows no redirect at all, as proofs want it that are for one URL each.
    pub(crate) fn follows_none(&self) -> bool {
        self.follows == Follows::Nothing
    }
}

impl From<SameOriginClient> for Client {
    fn from(client: SameOriginClient) -> Self {
        client.client
    }
}

impl fmt::Debug for SameOriginClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the client inside, which shows its default headers: there may be keys among them.
        formatter
            .debug_struct("SameOriginClient")
            .finish_non_exhaustive()
    }
}

/// The builder with this policy, unless its own follows no redirect.
///
/// reqwest has no getter for it, so this reads what the builder's `Debug` output shows. Whatever that does
/// not say (with another version of reqwest, say) leads to our policy, which keeps the token at home, too.
fn with_policy(builder: ClientBuilder, policy: Policy) -> ClientBuilder {
    let shown = Shown::of(&builder);
    let settings = shown.as_ref().and_then(Shown::settings_and_headers);
    let follows_none =
        settings.is_some_and(|(settings, _)| settings.contains("redirect_policy: Policy(None)"));
    if follows_none {
        builder
    } else {
        builder.redirect(policy)
    }
}

fn build(builder: ClientBuilder) -> Result<Client, Error> {
    builder.build().map_err(|cause| {
        Error::settings("reqwest cannot build a client with these settings")
            .with_source(cause.without_url())
    })
}

/// What to do with one redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hop {
    Follow,
    Stop,
    TooMany,
}

/// Decides on the hop to `next`, after the URLs in `previous`, the original one first.
fn decide(previous: &[Url], next: &Url) -> Hop {
    // The original URL is not a redirect, so the eleventh hop has eleven URLs before it.
    if previous.len() > MOST_HOPS {
        return Hop::TooMany;
    }
    let (Some(first), Some(last)) = (previous.first(), previous.last()) else {
        return Hop::Stop;
    };
    if !same_origin(last, next) {
        return Hop::Follow;
    }
    // From here on the header travels. User information in a `Location` is how a server says
    // "as somebody else", and what a URL is disguised with; neither should get the token.
    let token_is_at_home = previous.iter().all(|url| same_origin(first, url));
    if token_is_at_home && !has_userinfo(next) {
        Hop::Follow
    } else {
        Hop::Stop
    }
}

/// Decides where the token is in a header that goes along with every hop.
fn decide_at_home(previous: &[Url], next: &Url) -> Hop {
    match decide(previous, next) {
        Hop::Follow if previous.last().is_some_and(|last| same_origin(last, next)) => Hop::Follow,
        Hop::Follow => Hop::Stop,
        hop => hop,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::Url;

    use super::{Hop, decide, http_client};
    use crate::error::ErrorKind;
    use crate::origin::same_origin;

    fn urls(texts: &[&str]) -> Vec<Url> {
        texts.iter().map(|text| Url::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_redirect_is_followed_only_where_the_token_stays_at_home_or_is_dropped() {
        // D3
        const A: &str = "https://a.test/1";
        const B: &str = "https://b.test/1";
        const C: &str = "https://c.test/1";
        let table: [(&[&str], &str, Hop); 26] = [
            // At home.
            (&[A], "https://a.test/2", Hop::Follow),
            (&[A], "https://a.test:443/1?x#y", Hop::Follow),
            (&[A], "https://A.TEST/", Hop::Follow),
            (&[A, A, A], A, Hop::Follow),
            (&["https://u:p@a.test/"], A, Hop::Follow),
            // reqwest drops the header.
            (&[A], B, Hop::Follow),
            (&[A], "http://a.test/1", Hop::Follow),
            (&[A], "https://a.test:8443/1", Hop::Follow),
            (&[A], "https://a.test./1", Hop::Follow),
            (&[A], "https://u:p@b.test/", Hop::Follow),
            (&["http://a.test"], "https://a.test", Hop::Follow),
            (&["http://a.test:443"], "https://a.test", Hop::Follow),
            (&[A, B], C, Hop::Follow),
            (&[A, B], A, Hop::Follow),
            (&[A, B, A], B, Hop::Follow),
            (&[A, A], B, Hop::Follow),
            // reqwest would restore it.
            (&[A, B], B, Hop::Stop),
            (&[A, B], "https://b.test/2", Hop::Stop),
            (&[A, B, C], C, Hop::Stop),
            (&[A, B, A], A, Hop::Stop),
            (&[A, A, B], B, Hop::Stop),
            (&["http://a.test", A], A, Hop::Stop),
            (&["http://a.test:443", A], A, Hop::Stop),
            // The header would go along with user information.
            (&[A], "https://u@a.test/", Hop::Stop),
            (&[A], "https://:p@a.test/", Hop::Stop),
            // There is always a URL before a redirect; without one, nothing is known to be safe.
            (&[], A, Hop::Stop),
        ];
        for (previous, next, hop) in table {
            let next = Url::parse(next).unwrap();
            assert_eq!(
                decide(&urls(previous), &next),
                hop,
                "{previous:?} -> {next}"
            );
        }
    }

    #[test]
    fn ten_hops_are_followed_and_the_eleventh_is_an_error() {
        // D3
        let next = Url::parse("https://a.test/").unwrap();
        for (before, hop) in [(9, Hop::Follow), (10, Hop::Follow), (11, Hop::TooMany)] {
            assert_eq!(decide(&vec![next.clone(); before], &next), hop, "{before}");
        }
    }

    #[test]
    fn a_client_that_cannot_be_built_is_an_error_of_the_settings() {
        let builder = reqwest::Client::builder().user_agent("\n");
        let error = http_client(builder).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings);
        assert!(std::error::Error::source(&error).is_some());
    }

    proptest! {
        #[test]
        fn no_chain_of_redirects_brings_the_header_to_another_origin(
            picks in proptest::collection::vec(0..6_usize, 2..12),
        ) {
            // D3: a model of reqwest, which sends the header unless this hop changes the origin.
            let all = urls(&[
                "https://a.test/1", "https://a.test/2", "https://b.test/1", "https://b.test/2",
                "http://a.test/1", "https://a.test:8443/1",
            ]);
            let chain: Vec<Url> = picks.iter().map(|pick| all[*pick].clone()).collect();
            for hop in 1..chain.len() {
                let (previous, next) = (&chain[..hop], &chain[hop]);
                if decide(previous, next) != Hop::Follow {
                    break;
                }
                let header_travels = same_origin(&chain[hop - 1], next);
                prop_assert!(!header_travels || same_origin(&chain[0], next), "{:?}", &chain[..=hop]);
            }
        }
    }
}
