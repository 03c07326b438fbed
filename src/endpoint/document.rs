//! The document in which an issuer names its endpoints (OpenID Connect Discovery, RFC 8414).

use http::StatusCode;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use crate::clock::Clock;
use crate::endpoint::address::{self, PlainHttp};
use crate::endpoint::answer;
use crate::endpoint::front_channel::{self, FrontChannel, Named};
use crate::endpoint::members::{self, texts};
use crate::endpoint::offers::{self, Offers};
use crate::endpoint::supported::Supported;
use crate::endpoint::transport::{Answer, Transport, status_says_all};
use crate::error::Error;

/// A longer issuer is not shown: nobody would find in it what differs.
const LONGEST_SHOWN: usize = 200;

/// An issuer as the settings have it.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    text: String,
    /// Whether the settings give it as such; otherwise it is the place of its document.
    is_named: bool,
    naming: Naming,
    plain_http: PlainHttp,
    /// Where it is looked first.
    place: Url,
    /// Where it is looked next.
    second_place: Option<Url>,
}

/// What the issuer in a document has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// The one that was asked for, but for what [`is_same_issuer`] forgives.
    Same,
    /// The same, byte by byte.
    Exactly,
    /// Anything, by `unchecked_issuer`.
    Unchecked,
}

/// The endpoints of an issuer, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) token_endpoint: Url,
    pub(crate) revocation_endpoint: Option<Url>,
    pub(crate) mtls: Aliases,
    /// As the document has it.
    pub(crate) issuer: String,
    pub(crate) supported: Supported,
    pub(crate) front_channel: FrontChannel,
    pub(crate) offers: Offers,
    /// Where another document of the same issuer may have what this one lacks.
    pub(crate) other_place: Option<Url>,
}

/// Where clients with a certificate go, if elsewhere (RFC 8705 section 5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Aliases {
    token_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
    pushed_authorization_request_endpoint: Option<Url>,
    device_authorization_endpoint: Option<Url>,
}

#[derive(Deserialize)]
struct Members {
    issuer: Option<String>,
    token_endpoint: Option<String>,
    /// Tokens can be had without it, so whatever is no text is none.
    revocation_endpoint: Option<Value>,
    /// As with the one before: a client without a certificate needs none of them.
    mtls_endpoint_aliases: Option<Value>,
    token_endpoint_auth_methods_supported: Option<Value>,
    token_endpoint_auth_signing_alg_values_supported: Option<Value>,
    #[serde(flatten)]
    front_channel: front_channel::Members,
    #[serde(flatten)]
    offers: offers::Members,
}

/// What one place said.
enum Look {
    Found(Box<Document>),
    /// There is no document here; another place may have it.
    Nothing(StatusCode),
    /// The server, or a gateway before it, cannot tell.
    Trouble(Error),
}

impl Document {
    /// The token endpoint for clients with a certificate, or for those without.
    pub(crate) fn token_endpoint_for(&self, by_certificate: bool) -> &Url {
        let alias = self.mtls.token_endpoint.as_ref();
        alias
            .filter(|_| by_certificate)
            .unwrap_or(&self.token_endpoint)
    }

    /// The endpoint for pushed authorization requests likewise; `usual` is the one for those without.
    pub(crate) fn pushed_endpoint_for(&self, by_certificate: bool, usual: Url) -> Url {
        let alias = self.mtls.pushed_authorization_request_endpoint.clone();
        alias.filter(|_| by_certificate).unwrap_or(usual)
    }

    /// The device authorization endpoint likewise; one that cannot be used counts as none.
    pub(crate) fn device_endpoint_for(&self, by_certificate: bool) -> Option<&Url> {
        let alias = self.mtls.device_authorization_endpoint.as_ref();
        let alias = alias.filter(|_| by_certificate);
        alias.or(match &self.front_channel.device {
            Named::At(url) => Some(url),
            Named::No | Named::Unusable(_) => None,
        })
    }

    /// The revocation endpoint likewise.
    pub(crate) fn revocation_endpoint_for(&self, by_certificate: bool) -> Option<&Url> {
        let alias = self.mtls.revocation_endpoint.as_ref();
        let alias = alias.filter(|_| by_certificate);
        alias.or(self.revocation_endpoint.as_ref())
    }
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
            is_named: true,
            naming: Naming::Same,
            plain_http,
            place: at(format!("{path}/.well-known/openid-configuration")),
            second_place: Some(at(format!("/.well-known/oauth-authorization-server{path}"))),
        })
    }

    /// One whose document is at this place and no other. The text is a name and no address: nobody is
    /// asked there, and some servers have an issuer that is no URL at all.
    ///
    /// # Errors
    /// If the text is empty or has white space in it.
    pub(crate) fn at(
        place: Url,
        text: Option<&str>,
        naming: Naming,
        plain_http: PlainHttp,
    ) -> Result<Self, Error> {
        let is_named = text.is_some();
        let text = text.unwrap_or(place.as_str());
        if text.is_empty() {
            return Err(Error::settings("the issuer is empty"));
        }
        if text.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return Err(Error::settings("the issuer has white space in it"));
        }
        Ok(Self {
            text: text.to_owned(),
            is_named,
            naming,
            plain_http,
            place,
            second_place: None,
        })
    }

    /// The same issuer, whatever its document says of it.
    #[must_use]
    pub(crate) fn unchecked(self) -> Self {
        Self {
            naming: Naming::Unchecked,
            ..self
        }
    }

    pub(crate) fn plain_http(&self) -> PlainHttp {
        self.plain_http
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The issuer itself, if the settings name it.
    pub(crate) fn name(&self) -> Option<&str> {
        self.is_named.then_some(&*self.text)
    }

    /// The same for both forms of which [`is_same_issuer`] forgives one: what is kept under it is
    /// found again when the slash at the end comes into the settings, or goes.
    pub(crate) fn identity(&self) -> &str {
        without_slash(&self.text)
    }

    /// Where it is looked first.
    pub(crate) fn place(&self) -> &Url {
        &self.place
    }

    /// Looks at OpenID Connect's place, then at RFC 8414's, also where a gateway answers 500 or 503 for
    /// the first, as some do for each path that they do not know. A server that is out of reach is not
    /// asked a second time.
    ///
    /// # Errors
    /// Of two places without a document the one that says more: trouble, with the longest time to wait,
    /// says more than that there is nothing.
    pub(crate) async fn fetch(
        &self,
        transport: &Transport,
        clock: &Clock,
    ) -> Result<Document, Error> {
        let mut statuses = Vec::with_capacity(2);
        let mut trouble: Option<Error> = None;
        let places = [Some(&self.place), self.second_place.as_ref()];
        for (place, next) in places.iter().flatten().zip([&self.second_place, &None]) {
            let answer = match (transport.get((*place).clone()).await, &trouble) {
                (Ok(answer), _) => answer,
                (Err(_), Some(trouble)) => return Err(trouble.clone()),
                (Err(error), None) => return Err(error),
            };
            match self.look(answer, clock)? {
                Look::Found(mut document) => {
                    let may_be_completed = self.naming == Naming::Same;
                    document.other_place = next.clone().filter(|_| may_be_completed);
                    return Ok(*document);
                }
                Look::Nothing(status) => statuses.push(status.as_u16().to_string()),
                Look::Trouble(error) => {
                    let known = trouble.as_ref().map(Error::retry_after);
                    if known.is_none_or(|known| known < error.retry_after()) {
                        trouble = Some(error);
                    }
                }
            }
        }
        Err(trouble.unwrap_or_else(|| {
            Error::protocol(format!(
                "the issuer has no discovery document where it is looked for (status {}); check the \
                 issuer, or give `discovery_url` or the token URL itself",
                statuses.join(" and ")
            ))
        }))
    }

    fn look(&self, answer: Answer, clock: &Clock) -> Result<Look, Error> {
        if status_says_all(answer.status) {
            let error = answer::failure(answer.status);
            let now = clock.now().system_time();
            return Ok(Look::Trouble(match answer::pause(&answer.headers, now) {
                Some(pause) => error.with_retry_after(pause),
                None => error,
            }));
        }
        let body = members::without_mark(&answer.body);
        // Single-page applications answer every path with 200 and their HTML.
        if !answer.status.is_success() || !is_object(body) {
            return Ok(Look::Nothing(answer.status));
        }
        parse_document(&self.text, self.naming, body, self.plain_http)
            .map(|document| Look::Found(Box::new(document)))
    }
}

/// Reads a document and checks that it is the issuer's and names endpoints that may be asked.
///
/// # Errors
/// Without any text of the document but for its issuer, which is public (D6).
pub(crate) fn parse_document(
    issuer: &str,
    naming: Naming,
    body: &[u8],
    plain_http: PlainHttp,
) -> Result<Document, Error> {
    let fault = |fault: &str| Error::protocol(format!("the discovery document {fault}"));
    let members: Members = serde_json::from_slice(body)
        .map_err(|_| fault("is not a JSON object with its endpoints as texts"))?;
    let named = match (members.issuer, naming) {
        (Some(named), _) => named,
        (None, Naming::Unchecked) => String::new(),
        (None, _) => return Err(fault("names no issuer")),
    };
    let is_as_asked = match naming {
        Naming::Same => is_same_issuer(issuer, &named),
        Naming::Exactly => issuer == named,
        Naming::Unchecked => true,
    };
    if !is_as_asked {
        return Err(fault(&format!(
            "is not of the issuer that was asked for, `{}`, but of {} (RFC 8414 section 3.3); use \
             the issuer exactly as the server writes it, with `discovery_url` where its document is at \
             another place, or give the token URL itself",
            issuer.escape_default(),
            shown(&named),
        )));
    }
    let token_endpoint = members
        .token_endpoint
        .ok_or_else(|| fault("names no token endpoint"))?;
    let token_endpoint = address::check(&token_endpoint, plain_http)
        .map_err(|problem| fault(&format!("names a token endpoint that {problem}")))?;
    // A bad one counts as none, too.
    let endpoint = |url: Option<&Value>| {
        let url = url.and_then(Value::as_str)?;
        address::check(url, plain_http).ok()
    };
    let aliases = members.mtls_endpoint_aliases.as_ref();
    let alias = |name| endpoint(aliases.and_then(|aliases| aliases.get(name)));
    Ok(Document {
        token_endpoint,
        revocation_endpoint: endpoint(members.revocation_endpoint.as_ref()),
        mtls: Aliases {
            token_endpoint: alias("token_endpoint"),
            revocation_endpoint: alias("revocation_endpoint"),
            pushed_authorization_request_endpoint: alias("pushed_authorization_request_endpoint"),
            device_authorization_endpoint: alias("device_authorization_endpoint"),
        },
        issuer: named,
        front_channel: members.front_channel.check(plain_http),
        offers: members.offers.check(plain_http),
        supported: Supported {
            methods: texts(members.token_endpoint_auth_methods_supported.as_ref()),
            algorithms: texts(
                members
                    .token_endpoint_auth_signing_alg_values_supported
                    .as_ref(),
            ),
        },
        other_place: None,
    })
}

/// RFC 8414 section 3.3 says "identical". One slash at the end is forgiven, because servers and
/// their manuals disagree about it so often, and because it cannot name another party: both forms
/// lead to the same document.
///
/// Entra's documents for any tenant (`common`, `organizations`) have `{tenantid}` where the issuer of a
/// token has the tenant: it stands for what was asked for there.
fn is_same_issuer(asked: &str, named: &str) -> bool {
    let (asked, named) = (without_slash(asked), without_slash(named));
    asked == named || is_of_template(asked, named)
}

/// Whether `named` is `asked` with `{tenantid}` in place of one whole segment of its path.
fn is_of_template(asked: &str, named: &str) -> bool {
    const TENANT: &str = "/{tenantid}/";
    let Some((before, after)) = named.split_once(TENANT) else {
        return false;
    };
    // Scheme and host are before it: whoever answers for them decides on their tenants.
    let has_host = before
        .split_once("://")
        .is_some_and(|(_, host)| !host.is_empty());
    let tenant = asked
        .strip_prefix(before)
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|rest| rest.strip_suffix(after))
        .and_then(|rest| rest.strip_suffix('/'));
    has_host && tenant.is_some_and(|tenant| !tenant.is_empty() && !tenant.contains('/'))
}

fn without_slash(issuer: &str) -> &str {
    issuer.strip_suffix('/').unwrap_or(issuer)
}

/// The issuer of a document for a message: in quotes if it is what an issuer has to be (RFC 8414
/// section 2), and so holds neither a password nor a key. Otherwise the document may have put
/// anything there, and what is wrong with it is said instead.
fn shown(named: &str) -> String {
    let is_issuer =
        address::check(named, PlainHttp::Allowed).is_ok_and(|url| url.query().is_none());
    if !is_issuer {
        return "something that is no issuer's URL".to_owned();
    }
    let escaped = named.escape_default().to_string();
    if escaped.len() > LONGEST_SHOWN {
        return format!("one that is longer than {LONGEST_SHOWN} characters");
    }
    format!("`{escaped}`")
}

fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Document, Issuer, Naming, parse_document};
    use crate::endpoint::address::PlainHttp;
    use crate::error::{Error, ErrorKind};

    const ISSUER: &str = "https://as.example.com/oauth2";

    fn read(issuer: &str, document: &str) -> Result<Document, Error> {
        parse_document(
            issuer,
            Naming::Same,
            document.as_bytes(),
            PlainHttp::Refused,
        )
    }

    fn named(issuer: &str) -> String {
        format!(r#"{{"issuer":"{issuer}","token_endpoint":"https://as.example.com/t"}}"#)
    }

    #[test]
    fn the_well_known_paths_are_appended_and_inserted() {
        // E7
        for (issuer, appended, inserted) in [
            (
                "https://a.b",
                "/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server",
            ),
            (
                "https://a.b/",
                "/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server",
            ),
            (
                "https://a.b/x/y",
                "/x/y/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/x/y",
            ),
            (
                "https://a.b/x/",
                "/x/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/x",
            ),
            (
                "https://a.b/ü%2F",
                "/%C3%BC%2F/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/%C3%BC%2F",
            ),
        ] {
            let issuer = Issuer::new(issuer, PlainHttp::Refused).unwrap();
            let places =
                [Some(issuer.place), issuer.second_place].map(|place| place.unwrap().to_string());
            assert_eq!(
                places,
                [
                    format!("https://a.b{appended}"),
                    format!("https://a.b{inserted}")
                ]
            );
        }
    }

    #[test]
    fn what_cannot_be_an_issuer_is_a_wrong_setting() {
        // E7
        for issuer in [
            "",
            "a.b",
            "http://a.b",
            "https://a.b?x=y",
            "https://a.b#x",
            " https://a.b",
            "https://a.b/\n",
        ] {
            let error = Issuer::new(issuer, PlainHttp::Refused).expect_err(issuer);
            assert_eq!(error.kind(), ErrorKind::Settings);
        }
    }

    #[test]
    fn the_issuer_of_the_document_is_the_one_asked_for() {
        // E7
        for same in [ISSUER, "https://as.example.com/oauth2/"] {
            assert!(read(ISSUER, &named(same)).is_ok(), "{same}");
            assert!(read(same, &named(ISSUER)).is_ok(), "{same}");
        }
        for other in [
            "",
            "/",
            "https://as.example.com",
            "https://as.example.com/",
            "https://as.example.com/oauth2//",
            "https://as.example.com/OAUTH2",
            "https://AS.example.com/oauth2",
            "https://as.example.com:443/oauth2",
            "https://as.example.com/oauth2/x",
            "http://as.example.com/oauth2",
            "https://other.example.com/oauth2",
        ] {
            let error = read(ISSUER, &named(other)).expect_err(other);
            assert_eq!(error.kind(), ErrorKind::Protocol);
            let message = error.to_string();
            assert!(message.contains(&format!("`{ISSUER}`")), "{message}");
            let shown = message.contains(&format!("`{other}`"));
            assert_eq!(shown, other.starts_with("http"), "{message}");
        }
    }

    #[test]
    fn what_a_document_says_for_an_issuer_is_shown_escaped_and_at_a_length_that_can_be_read() {
        // D6, K16
        let message = |named: &str| {
            let document = serde_json::json!({"issuer": named});
            read(ISSUER, &document.to_string())
                .expect_err(named)
                .to_string()
        };
        let long = |length: usize| format!("https://a.b/{}", "x".repeat(length - 12));
        assert!(message(&long(200)).contains(&long(200)));
        assert!(!message(&long(201)).contains("a.b"));
        for (named, shown) in [
            ("https://a.b/\u{202e}x", "`https://a.b/\\u{202e}x`"),
            ("https://a.b/ü", "`https://a.b/\\u{fc}`"),
            ("https://a.b/\n\u{1b}[2J", "`https://a.b/\\n\\u{1b}[2J`"),
        ] {
            assert!(message(named).contains(shown), "{}", message(named));
        }
    }

    #[test]
    fn a_document_may_only_name_safe_endpoints() {
        // D2, E7
        let document = |token: &str, revocation: &str| {
            format!(
                r#"{{"issuer":"{ISSUER}","token_endpoint":"{token}","revocation_endpoint":"{revocation}","x":[1]}}"#
            )
        };
        let plain = document("http://canary.example.com/t", "https://a.b/r");
        assert!(read(ISSUER, &plain).is_err());
        assert!(parse_document(ISSUER, Naming::Same, plain.as_bytes(), PlainHttp::Allowed).is_ok());
        for bad in ["", "/t", "https://u:canary@a.b/t", "https://a.b/t#canary"] {
            let error = read(ISSUER, &document(bad, "https://a.b/r")).expect_err(bad);
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
        let found = read(ISSUER, &document("https://a.b/t", "http://a.b/r")).unwrap();
        assert_eq!(found.revocation_endpoint, None);
        let found = read(ISSUER, &document("http://127.0.0.1:1/t", "https://a.b/r")).unwrap();
        assert_eq!(found.token_endpoint.as_str(), "http://127.0.0.1:1/t");
        assert_eq!(found.revocation_endpoint.unwrap().as_str(), "https://a.b/r");
    }

    #[test]
    fn a_template_stands_for_one_segment_of_a_path_and_nothing_else() {
        // K23
        let entra = "https://login.microsoftonline.com/{tenantid}/v2.0";
        for (asked, named, same) in [
            ("https://login.microsoftonline.com/common/v2.0", entra, true),
            (
                "https://login.microsoftonline.com/common/v2.0/",
                entra,
                true,
            ),
            ("https://login.microsoftonline.com/a-b-c/v2.0", entra, true),
            (entra, entra, true),
            ("https://login.microsoftonline.com//v2.0", entra, false),
            ("https://login.microsoftonline.com/v2.0", entra, false),
            ("https://login.microsoftonline.com/a/b/v2.0", entra, false),
            (
                "https://login.microsoftonline.com/common/v1.0",
                entra,
                false,
            ),
            ("https://login.example.com/common/v2.0", entra, false),
            ("https://a.b/x/v2", "https://{tenantid}/x/v2", false),
            ("https://a.b/x", "/{tenantid}/", false),
            ("https://a.b/x/y", "https:///{tenantid}/x/y", false),
            (
                entra,
                "https://login.microsoftonline.com/common/v2.0",
                false,
            ),
        ] {
            assert_eq!(
                read(asked, &named_only(named)).is_ok(),
                same,
                "{asked} {named}"
            );
        }
    }

    fn named_only(issuer: &str) -> String {
        let document = serde_json::json!({ "issuer": issuer, "token_endpoint": "https://a.b/t" });
        document.to_string()
    }

    #[test]
    fn a_document_without_its_members_is_a_protocol_error() {
        // E7
        let no_issuer = r#"{"token_endpoint":"https://a.b/t"}"#;
        let no_endpoint = format!(r#"{{"issuer":"{ISSUER}"}}"#);
        for document in [
            "",
            "{}",
            "[]",
            "<html>",
            "{\"issuer\":7}",
            no_issuer,
            &no_endpoint,
        ] {
            let error = read(ISSUER, document).expect_err(document);
            assert_eq!(error.kind(), ErrorKind::Protocol, "{document}");
        }
    }

    #[test]
    fn the_device_endpoint_for_a_certificate_is_its_alias_where_there_is_one() {
        // I3, H3
        let usual = "https://as.example.com/device";
        let alias = "https://mtls.example.com/device";
        for (named, aliased, for_secret, for_certificate) in [
            (usual, alias, Some(usual), Some(alias)),
            (usual, "", Some(usual), Some(usual)),
            ("", alias, None, Some(alias)),
            ("http://as.example.com/", "", None, None),
        ] {
            let body = serde_json::json!({
                "issuer": "https://as.example.com",
                "token_endpoint": "https://as.example.com/token",
                "device_authorization_endpoint": named,
                "mtls_endpoint_aliases": { "device_authorization_endpoint": aliased },
            });
            let body = body.to_string();
            let issuer = "https://as.example.com";
            let document =
                parse_document(issuer, Naming::Same, body.as_bytes(), PlainHttp::Refused).unwrap();
            let endpoint = |by| document.device_endpoint_for(by).map(reqwest::Url::as_str);
            assert_eq!(endpoint(false), for_secret, "{named} {aliased}");
            assert_eq!(endpoint(true), for_certificate, "{named} {aliased}");
        }
    }

    proptest! {
        #[test]
        fn no_document_makes_a_panic_or_an_unsafe_endpoint(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            endpoint in "[ -~]{0,40}",
        ) {
            // E7
            let _ = parse_document(ISSUER, Naming::Same, &body, PlainHttp::Refused);
            let document = serde_json::json!({"issuer": ISSUER, "token_endpoint": endpoint});
            if let Ok(found) = read(ISSUER, &document.to_string()) {
                let url = found.token_endpoint;
                prop_assert!(url.scheme() == "https" || url.scheme() == "http");
                prop_assert!(url.has_host() && url.username().is_empty());
            }
        }

        #[test]
        fn no_text_makes_an_issuer_with_a_strange_host(text in "(https://)?[ -~]{0,40}") {
            // E7
            if let Ok(issuer) = Issuer::new(&text, PlainHttp::Refused) {
                for place in [Some(issuer.place), issuer.second_place].iter().flatten() {
                    let asked = reqwest::Url::parse(&text).unwrap();
                    prop_assert_eq!(place.origin(), asked.origin());
                    prop_assert!(place.path().contains("/.well-known/"));
                }
            }
        }
    }
}
