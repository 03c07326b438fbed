//! What a 401 means: the `WWW-Authenticate` challenges of a response.

mod grammar;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::challenge::grammar::Line;
use crate::dpop::{DPOP, INVALID_DPOP_PROOF, USE_DPOP_NONCE};
use crate::token::{BEARER, TokenType};

/// How many bytes of challenges are read (C6). Real ones are a few hundred; Microsoft's claims
/// challenges reach 2 KiB.
const LONGEST: usize = 8 * 1024;

/// As many decoded claims as are taken (C11); longer ones would fit into no authorization URL.
const LONGEST_CLAIMS: usize = 8 * 1024;

/// How many parameters without a method of their own are kept of one challenge. Real ones are a handful,
/// and each is compared with those before it: 8 KiB of them would be two million comparisons.
const MOST_OTHERS: usize = 32;

const INVALID_TOKEN: &str = "invalid_token";
const INVALID_REQUEST: &str = "invalid_request";
const INSUFFICIENT_SCOPE: &str = "insufficient_scope";
const INSUFFICIENT_USER_AUTHENTICATION: &str = "insufficient_user_authentication";
/// Microsoft's, and of no RFC: the token lacks claims that another token, got in the same way, would
/// lack as well (Entra's continuous access evaluation).
const INSUFFICIENT_CLAIMS: &str = "insufficient_claims";

/// The reasons for a 401 that another token would not mend (C5).
const OTHER_REASONS: [&str; 4] = [
    INSUFFICIENT_SCOPE,
    INSUFFICIENT_USER_AUTHENTICATION,
    INSUFFICIENT_CLAIMS,
    INVALID_REQUEST,
];

/// The reasons that a DPoP challenge has besides: what is wrong is the proof (RFC 9449 section 7.1).
const PROOF_REASONS: [&str; 2] = [INVALID_DPOP_PROOF, USE_DPOP_NONCE];

/// The error codes that RFC 6750 3.1, RFC 9470 3 and RFC 9449 7.1 and 9 name. Any other text in
/// their place may be anything, so it is never printed (D6).
const NAMED_ERRORS: [&str; 6] = [
    INVALID_TOKEN,
    INVALID_REQUEST,
    INSUFFICIENT_SCOPE,
    INSUFFICIENT_USER_AUTHENTICATION,
    INVALID_DPOP_PROOF,
    USE_DPOP_NONCE,
];

/// What an API asked for with a `Bearer` challenge (RFC 6750 section 3), or with a `DPoP` one where the token
/// is bound to a key (RFC 9449 section 7.1).
///
/// It is an extension of the response that carried it, whichever 4xx that is:
///
/// ```
/// # fn look(response: &reqwest::Response) {
/// use reqwest_bearer::BearerChallenge;
///
/// if let Some(challenge) = response.extensions().get::<BearerChallenge>() {
///     if challenge.is_insufficient_scope() {
///         println!("ask for these scopes: {:?}", challenge.scope());
///     }
/// }
/// # }
/// ```
///
/// A parameter that is empty counts as absent, and of one that is given twice the first counts.
/// The values are what the API sent: `Debug` shows an `error` only if an RFC names it, besides
/// that the `scope`, and none of the other texts.
#[derive(Clone, Default)]
pub struct BearerChallenge {
    realm: Option<String>,
    error: Option<String>,
    scope: Option<String>,
    acr_values: Option<String>,
    max_age: Option<Duration>,
    claims: Option<String>,
    others: Vec<(String, String)>,
}

impl BearerChallenge {
    /// That of an answer, read from its headers: also where a client without this crate's middleware has sent
    /// the request, and nothing is among the extensions. Of a `Bearer` and a `DPoP` challenge it is the one
    /// that names `resource_metadata` (RFC 9728 section 5.1), else the first of these. `None` if there is none
    /// that can be read.
    ///
    /// ```no_run
    /// # async fn look() -> Result<(), reqwest_bearer::reqwest::Error> {
    /// use reqwest_bearer::{BearerChallenge, reqwest};
    ///
    /// let answer = reqwest::get("https://mcp.example.com/mcp").await?;
    /// let challenge = BearerChallenge::find_in(&answer);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn find_in(response: &reqwest::Response) -> Option<Self> {
        let mut read = [BEARER, DPOP]
            .map(|scheme| challenge_of(scheme, response.headers()))
            .into_iter()
            .flatten()
            .peekable();
        let first = read.peek().cloned();
        let named = read.find(|challenge| challenge.parameter("resource_metadata").is_some());
        named.or(first)
    }

    /// The error code, such as `invalid_token` (RFC 6750 section 3.1). `None` if the request
    /// carried no token at all, or the API does not say.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The scopes that a token needs here, separated by spaces (RFC 6750 section 3).
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// The protection space (RFC 9110 section 11.5).
    #[must_use]
    pub fn realm(&self) -> Option<&str> {
        self.realm.as_deref()
    }

    /// The authentication contexts, one of which the user's sign-in has to reach, separated by
    /// spaces, the best first (RFC 9470 section 3).
    #[must_use]
    pub fn acr_values(&self) -> Option<&str> {
        self.acr_values.as_deref()
    }

    /// How long ago the user may have signed in at most (RFC 9470 section 3). `None` also if it is
    /// not a whole number of seconds.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// Microsoft's claims challenge (`insufficient_claims`), base64 as it was sent: what the next
    /// authorization or token request has to bring as `claims`, once it is decoded. No token is
    /// refreshed for it, since one that is asked for as the last one was would lack the claims, too; see
    /// [`ask_for_demanded_claims`](crate::TokenSourceBuilder::ask_for_demanded_claims).
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }

    /// The same claims, decoded: a JSON object, ready for the parameter `claims` of an authorization
    /// request (OpenID Connect Core section 5.5), or, as
    /// [`extra`](crate::TokenParameters::extra), of a token request that is to bring a token with them.
    /// `None` also for what is no base64, no JSON object, or longer than 8 KiB.
    #[must_use]
    pub fn decoded_claims(&self) -> Option<String> {
        let text = self.claims.as_deref()?.trim_end_matches('=');
        if text.len() > LONGEST_CLAIMS.div_ceil(3) * 4 {
            return None;
        }
        let decoded = URL_SAFE_NO_PAD
            .decode(text)
            .or_else(|_| STANDARD_NO_PAD.decode(text));
        let claims = String::from_utf8(decoded.ok()?).ok()?;
        let is_object = serde_json::from_str::<Map<String, Value>>(&claims).is_ok();
        (is_object && claims.len() <= LONGEST_CLAIMS).then_some(claims)
    }

    /// What the API says to the developer about the error, for a person to read (RFC 6750 section 3). It
    /// may be anything, so show it to no user as markup.
    #[must_use]
    pub fn error_description(&self) -> Option<&str> {
        self.parameter("error_description")
    }

    /// The value of a parameter that has no method of its own, by its name in any case: for instance
    /// `resource_metadata` (RFC 9728 section 5.1), or `service` of a container registry. `None` for those
    /// that have a method, save for `error_description`, and for what comes after 32 of them.
    ///
    /// ```
    /// # fn look(challenge: &reqwest_bearer::BearerChallenge) {
    /// if let Some(url) = challenge.parameter("resource_metadata") {
    ///     println!("the API describes itself at {url}");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let named = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        self.others
            .iter()
            .find(named)
            .map(|(_, text)| text.as_str())
    }

    /// Whether the token is good but may not do this (`insufficient_scope`).
    #[must_use]
    pub fn is_insufficient_scope(&self) -> bool {
        self.error() == Some(INSUFFICIENT_SCOPE)
    }

    /// Whether the user has to sign in more strongly or again
    /// (`insufficient_user_authentication`, RFC 9470): see
    /// [`acr_values`](Self::acr_values) and [`max_age`](Self::max_age).
    #[must_use]
    pub fn is_step_up(&self) -> bool {
        self.error() == Some(INSUFFICIENT_USER_AUTHENTICATION)
    }

    /// Whether there is a claims challenge.
    #[must_use]
    pub fn has_claims(&self) -> bool {
        self.claims.is_some()
    }

    /// The claims that the token lacks, if a token request can ask for them.
    pub(crate) fn demanded_claims(&self) -> Option<String> {
        let is_demand = self.error() == Some(INSUFFICIENT_CLAIMS);
        is_demand.then(|| self.decoded_claims()).flatten()
    }

    fn set(&mut self, name: &[u8], value: &[u8]) {
        let text = String::from_utf8_lossy(value).trim().to_owned();
        if text.is_empty() {
            return;
        }
        let place = if name.eq_ignore_ascii_case(b"error") {
            &mut self.error
        } else if name.eq_ignore_ascii_case(b"scope") {
            &mut self.scope
        } else if name.eq_ignore_ascii_case(b"realm") {
            &mut self.realm
        } else if name.eq_ignore_ascii_case(b"acr_values") {
            &mut self.acr_values
        } else if name.eq_ignore_ascii_case(b"claims") {
            &mut self.claims
        } else if name.eq_ignore_ascii_case(b"max_age") {
            if self.max_age.is_none() {
                self.max_age = whole_seconds(&text);
            }
            return;
        } else {
            let name = String::from_utf8_lossy(name);
            if self.others.len() < MOST_OTHERS && self.parameter(&name).is_none() {
                self.others.push((name.into_owned(), text));
            }
            return;
        };
        place.get_or_insert(text);
    }

    /// How much this challenge says: first what the error is worth, then how much else is told.
    ///
    /// Where an API sends several Bearer challenges (a gateway and the service behind it, say),
    /// one says that this very token is bad or none does, so `invalid_token` outweighs all. Next
    /// come the other codes that an RFC or [`OTHER_REASONS`] names, because they say what to do
    /// instead.
    fn weight(&self) -> (u8, usize) {
        let error = match self.error() {
            Some(INVALID_TOKEN) => 3,
            Some(code) if NAMED_ERRORS.contains(&code) || OTHER_REASONS.contains(&code) => 2,
            Some(_) => 1,
            None => 0,
        };
        let told = [&self.scope, &self.realm, &self.acr_values, &self.claims];
        let told = told.iter().filter(|text| text.is_some()).count();
        (
            error,
            told + usize::from(self.max_age.is_some()) + self.others.len(),
        )
    }
}

impl fmt::Debug for BearerChallenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMED_ERRORS
            .into_iter()
            .find(|named| self.error() == Some(named));
        formatter
            .debug_struct("BearerChallenge")
            .field("error", &named)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// The Bearer challenge that says most; of equals the first. `None` if none can be read.
pub(crate) fn bearer_challenge(headers: &HeaderMap) -> Option<BearerChallenge> {
    challenge_of(BEARER, headers)
}

/// What an API says to a token of this type. To a bound one an API that takes both speaks in two challenges
/// (RFC 9449 section 7.2); that of its own scheme counts, and where there is none the other.
pub(crate) fn challenge_to(token_type: TokenType, headers: &HeaderMap) -> Option<BearerChallenge> {
    match token_type {
        TokenType::Bearer => bearer_challenge(headers),
        TokenType::Dpop => challenge_of(DPOP, headers).or_else(|| bearer_challenge(headers)),
    }
}

/// Whether an answer is about the proof beside a bound token, and not about the token (RFC 9449 section 7.1).
pub(crate) fn blames_proof(status: StatusCode, headers: &HeaderMap) -> bool {
    is_proof_challenge(&PROOF_REASONS, status, headers)
}

/// Whether an answer wants another nonce in the proof (RFC 9449 section 9).
pub(crate) fn wants_nonce(status: StatusCode, headers: &HeaderMap) -> bool {
    is_proof_challenge(&[USE_DPOP_NONCE], status, headers)
}

/// Whether an answer refuses the proof (RFC 9449 section 7.1).
pub(crate) fn refuses_proof(status: StatusCode, headers: &HeaderMap) -> bool {
    is_proof_challenge(&[INVALID_DPOP_PROOF], status, headers)
}

fn is_proof_challenge(errors: &[&str], status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::UNAUTHORIZED
        && challenge_of(DPOP, headers)
            .and_then(|challenge| challenge.error)
            .is_some_and(|error| errors.contains(&error.as_str()))
}

/// The challenge of this scheme that says most; of equals the first. `None` if none can be read.
fn challenge_of(scheme: &str, headers: &HeaderMap) -> Option<BearerChallenge> {
    let mut room = LONGEST;
    let mut best: Option<BearerChallenge> = None;
    for line in headers.get_all(WWW_AUTHENTICATE) {
        // A line that does not fit counts as unreadable as a whole: half a line could end in the
        // middle of a word and say something else. Shorter ones after it are still read.
        let Some(left) = room.checked_sub(line.len()) else {
            continue;
        };
        room = left;
        for challenge in Line::read(line.as_bytes(), scheme) {
            if best
                .as_ref()
                .is_none_or(|best| challenge.weight() > best.weight())
            {
                best = Some(challenge);
            }
        }
    }
    best
}

/// Whether this answer refuses the token that the request carried (C5).
///
/// Only a 401 can. It does unless its challenge names another reason; of several Bearer challenges
/// the one of [`bearer_challenge`] decides, so that the caller can see in the response's
/// extensions why. A 401 without any challenge that can be read refuses: many APIs send none. To a bound
/// token the challenge of [`challenge_to`] speaks, and it is not to blame for a bad proof.
#[inline]
pub(crate) fn refuses(status: StatusCode, headers: &HeaderMap, token_type: TokenType) -> bool {
    status == StatusCode::UNAUTHORIZED && !has_another_reason(headers, token_type)
}

/// Whether a 401 says that another token would not mend it. Apart, so that no other answer has to carry it
/// along.
#[cold]
fn has_another_reason(headers: &HeaderMap, token_type: TokenType) -> bool {
    let challenge = challenge_to(token_type, headers);
    let code = challenge.and_then(|challenge| challenge.error);
    code.is_some_and(|code| {
        let code = code.as_str();
        let is_of_proof = token_type == TokenType::Dpop && PROOF_REASONS.contains(&code);
        is_of_proof || OTHER_REASONS.contains(&code)
    })
}

fn whole_seconds(text: &str) -> Option<Duration> {
    // `parse` alone would take a plus sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok().map(Duration::from_secs))?
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::WWW_AUTHENTICATE;
    use http::{HeaderMap, HeaderValue, StatusCode};
    use proptest::prelude::*;

    use super::{
        BearerChallenge, bearer_challenge, blames_proof, challenge_to, refuses, wants_nonce,
    };
    use crate::token::TokenType;

    fn headers<Line: AsRef<[u8]>>(lines: impl IntoIterator<Item = Line>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_bytes(line.as_ref()).unwrap();
            headers.append(WWW_AUTHENTICATE, line);
        }
        headers
    }

    fn read(line: &str) -> Option<BearerChallenge> {
        bearer_challenge(&headers([line]))
    }

    fn error_in(line: &str) -> Option<String> {
        read(line).and_then(|challenge| challenge.error)
    }

    #[test]
    fn to_a_bound_token_the_challenge_of_its_own_scheme_speaks() {
        // H7, C5
        for (lines, error, refused, wants) in [
            (
                &[r#"DPoP error="invalid_token""#][..],
                Some("invalid_token"),
                true,
                false,
            ),
            (
                &[r#"DPoP error="use_dpop_nonce""#],
                Some("use_dpop_nonce"),
                false,
                true,
            ),
            (
                &[r#"dpop error=use_dpop_nonce, algs="ES256""#],
                Some("use_dpop_nonce"),
                false,
                true,
            ),
            (
                &[r#"DPoP error="invalid_dpop_proof""#],
                Some("invalid_dpop_proof"),
                false,
                false,
            ),
            (
                &[r#"DPoP error="insufficient_scope""#],
                Some("insufficient_scope"),
                false,
                false,
            ),
            (
                &[
                    r#"Bearer error="invalid_token""#,
                    r#"DPoP error="use_dpop_nonce""#,
                ],
                Some("use_dpop_nonce"),
                false,
                true,
            ),
            (
                &[r#"DPoP error="use_dpop_nonce", Bearer error="invalid_token""#],
                Some("use_dpop_nonce"),
                false,
                true,
            ),
            (
                &[r#"Bearer error="insufficient_scope", DPoP algs="ES256""#],
                None,
                true,
                false,
            ),
            (
                &[r#"Bearer error="insufficient_scope""#],
                Some("insufficient_scope"),
                false,
                false,
            ),
            (
                &[r#"Bearer error="use_dpop_nonce""#],
                Some("use_dpop_nonce"),
                false,
                false,
            ),
            (&["DPoP"], None, true, false),
            (&["Basic"], None, true, false),
            (&[], None, true, false),
        ] {
            let headers = headers(lines);
            let challenge = challenge_to(TokenType::Dpop, &headers);
            let said = challenge.and_then(|challenge| challenge.error);
            assert_eq!(said.as_deref(), error, "{lines:?}");
            let unauthorized = StatusCode::UNAUTHORIZED;
            let refuses = refuses(unauthorized, &headers, TokenType::Dpop);
            assert_eq!(refuses, refused, "{lines:?}");
            assert_eq!(wants_nonce(unauthorized, &headers), wants, "{lines:?}");
            assert!(!wants_nonce(StatusCode::BAD_REQUEST, &headers), "{lines:?}");
        }
        // To a bearer token the codes of proofs are unknown ones, and another scheme says nothing.
        for line in [
            r#"Bearer error="use_dpop_nonce""#,
            r#"DPoP error="use_dpop_nonce""#,
        ] {
            let headers = headers([line]);
            assert!(
                refuses(StatusCode::UNAUTHORIZED, &headers, TokenType::Bearer),
                "{line}"
            );
        }
    }

    #[test]
    fn a_401_refuses_the_token_unless_its_bearer_challenge_names_another_reason() {
        // C5
        let table: [(&[&str], bool); 27] = [
            (&[], true),
            (&[""], true),
            (&["Bearer"], true),
            (&["Bearer realm=\"x\""], true),
            (&["Bearer error=\"\""], true),
            (&["Bearer error=\"invalid_token\""], true),
            (&["Bearer error=\"expired\""], true),
            (&["Bearer error=\"Insufficient_Scope\""], true),
            (&["Basic realm=\"x\""], true),
            (&["Basic realm=\"x\", error=\"insufficient_scope\""], true),
            (&["DPoP error=\"insufficient_scope\""], true),
            (&["error=insufficient_scope"], true),
            (&["Bearer error=insufficient_scope for you"], true),
            (
                &["error=invalid_request,error_description=Invalid request"],
                true,
            ),
            (&["Bearer error=\"insufficient_scope\""], false),
            (&["Bearer error=\" insufficient_scope \""], false),
            (
                &["Bearer error=\"insufficient_user_authentication\""],
                false,
            ),
            (&["Bearer error=\"invalid_request\""], false),
            (
                &["Bearer error=\"insufficient_claims\", claims=\"e30=\""],
                false,
            ),
            (
                &[
                    "Bearer error=\"odd\", realm=\"x\"",
                    "Bearer error=insufficient_claims",
                ],
                false,
            ),
            (
                &["Bearer error=insufficient_claims, Bearer error=invalid_token"],
                true,
            ),
            (
                &["Basic realm=\"x\"", "Bearer error=invalid_request"],
                false,
            ),
            // Of several Bearer challenges the one that says most decides.
            (
                &["Bearer realm=\"x\", Bearer error=\"insufficient_scope\""],
                false,
            ),
            (
                &[
                    "Bearer error=\"odd\"",
                    "Bearer error=\"insufficient_scope\"",
                ],
                false,
            ),
            (
                &[
                    "Bearer error=\"insufficient_scope\"",
                    "Bearer error=\"odd\"",
                ],
                false,
            ),
            (
                &[
                    "Bearer error=invalid_token",
                    "Bearer error=insufficient_scope",
                ],
                true,
            ),
            (
                &["Bearer error=insufficient_scope, Bearer error=invalid_token"],
                true,
            ),
        ];
        for (lines, refused) in table {
            let headers = headers(lines);
            assert_eq!(
                refuses(StatusCode::UNAUTHORIZED, &headers, TokenType::Bearer),
                refused,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn no_other_status_refuses_the_token() {
        // C5
        let headers = headers(["Bearer error=\"invalid_token\""]);
        for status in [200, 302, 400, 402, 403, 404, 407, 419, 440, 500, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(!refuses(status, &headers, TokenType::Bearer), "{status}");
            assert!(
                !refuses(status, &HeaderMap::new(), TokenType::Bearer),
                "{status}"
            );
        }
    }

    #[test]
    fn challenges_are_read_by_the_grammar() {
        // C6
        let readable = [
            "Bearer error=\"invalid_token\"",
            "Bearer error=invalid_token",
            "bearer ERROR=\"invalid_token\"",
            "BEARER Error=\"invalid_token\"",
            "Bearer   error=\"invalid_token\"",
            "Bearer\terror=\"invalid_token\"",
            "Bearer error = \"invalid_token\"",
            "Bearer error\t=\t\"invalid_token\"  ",
            "Bearer realm=\"Service\",error=\"invalid_token\"",
            "Bearer realm=\"Service\" , error=\"invalid_token\"",
            ", ,Bearer ,, realm=\"a\",,error=\"invalid_token\",,",
            "Bearer realm=\"\", error=\"invalid_token\"",
            "Bearer error=\"inv\\alid_\\token\"",
            "Bearer realm=\"a \\\"b\\\", Basic c=\\\\\", error=\"invalid_token\"",
            "Basic realm=\"Bearer error=x\", Bearer error=\"invalid_token\"",
            "Basic realm=x, charset=\"UTF-8\", Bearer error=invalid_token, DPoP algs=\"ES256\"",
            "Negotiate, Bearer error=\"invalid_token\"",
            "Negotiate a87421000000492==, Bearer error=\"invalid_token\"",
            "Negotiate oYG2-._~+/= ,Bearer error=\"invalid_token\"",
            "Bearer error=\"invalid_token\", Negotiate YII=",
            "Bearer error=\"invalid_token\", error=\"insufficient_scope\"",
            // Beyond the grammar: AWS API Gateway, and a comma after the scheme.
            "Bearer scope=\"\" error=\"invalid_token\" error_description=\"the token has expired\"",
            "Bearer, error=\"invalid_token\"",
        ];
        for line in readable {
            assert_eq!(error_in(line).as_deref(), Some("invalid_token"), "{line}");
        }
    }

    #[test]
    fn what_leaves_the_grammar_before_the_first_whole_parameter_is_no_challenge() {
        // C6
        let unreadable = [
            "",
            " , ,",
            "=",
            "\"",
            "error",
            "Bearerer error=\"x\"",
            "error=invalid_request,error_description=Invalid request",
            "error=\"invalid_token\"",
            "error=\"x\", Bearer error=\"invalid_token\"",
            "Bearer error=\"invalid_token",
            "Bearer error=\"invalid_token\\",
            "Bearer error=\"invalid_token\\\"",
            "Bearer error=\"invalid_token\"x",
            "Bearer error=invalid_token x",
            "Bearer error=invalid_token error_description=\"x\"",
            "Bearer\"x\"",
            "Bearer; error=\"invalid_token\"",
            "Bearer: error=\"invalid_token\"",
            "Bearer {\"error\":\"invalid_token\"}",
            "Bearer Basic realm=\"x\"",
            "Bearer error==\"x\"",
            "\"Bearer\" error=\"x\"",
        ];
        for line in unreadable {
            let read = read(line);
            assert!(read.is_none(), "{line}: {read:?}");
        }
    }

    #[test]
    fn what_was_read_before_a_fault_stays_without_the_parameter_at_the_fault() {
        // C6
        let challenge = read("Bearer error=insufficient_scope, scope=read write").unwrap();
        assert!(challenge.is_insufficient_scope());
        assert_eq!(challenge.scope(), None);
        let challenge = read("Bearer realm=\"a\" Bearer error=\"insufficient_scope\"").unwrap();
        assert_eq!((challenge.realm(), challenge.error()), (Some("a"), None));
        assert_eq!(
            error_in("Bearer error=\"insufficient_scope\", error_description=Not for you")
                .as_deref(),
            Some("insufficient_scope"),
        );
    }

    #[test]
    fn a_challenge_with_a_token68_has_no_parameters() {
        // C6
        assert!(read("Bearer abc==").is_some());
        assert_eq!(error_in("Bearer abc==, error=\"insufficient_scope\""), None);
        assert_eq!(
            error_in("Negotiate abc==, error=\"x\", Bearer error=\"y\""),
            None
        );
    }

    #[test]
    fn a_malformed_line_does_not_hide_a_good_one() {
        // C6
        let good = "Bearer error=\"insufficient_scope\"";
        for bad in [
            "error=x,y z",
            "Bearer \"",
            "Bearer error=\"",
            "\u{e9}",
            "=",
            "Bearer realm=a b",
        ] {
            for lines in [[bad, good], [good, bad]] {
                let challenge = bearer_challenge(&headers(lines)).unwrap();
                assert!(challenge.is_insufficient_scope(), "{lines:?}");
            }
        }
    }

    #[test]
    fn at_most_8_kib_are_read_and_a_longer_line_counts_as_unreadable() {
        // C6
        const MOST: usize = 8192;
        let frame = "Bearer error=\"invalid_request\", x=\"\"".len();
        let line = |length: usize| {
            format!(
                "Bearer error=\"invalid_request\", x=\"{}\"",
                "y".repeat(length - frame)
            )
        };
        assert!(error_in(&line(MOST - 1)).is_some());
        assert!(error_in(&line(MOST)).is_some());
        assert!(error_in(&line(MOST + 1)).is_none());

        // The limit is for all lines together, and a short line behind a long one is read.
        let small = "Bearer error=invalid_token";
        let together = |first: usize| bearer_challenge(&headers([line(first), small.to_owned()]));
        let error = |first| together(first).and_then(|challenge| challenge.error);
        assert_eq!(error(MOST - small.len()).as_deref(), Some("invalid_token"));
        assert_eq!(
            error(MOST - small.len() + 1).as_deref(),
            Some("invalid_request")
        );
        assert_eq!(error(MOST + 1).as_deref(), Some("invalid_token"));
    }

    #[test]
    fn a_challenge_is_a_typed_value() {
        // C11
        let scope =
            read("Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"a b\"").unwrap();
        assert!(scope.is_insufficient_scope() && !scope.is_step_up() && !scope.has_claims());
        assert_eq!((scope.realm(), scope.scope()), (Some("api"), Some("a b")));

        let step_up = read(
            "Bearer error=\"insufficient_user_authentication\", error_description=\"x\", \
             acr_values=\"gold silver\", max_age=\"5\"",
        )
        .unwrap();
        assert!(step_up.is_step_up() && !step_up.is_insufficient_scope());
        assert_eq!(step_up.acr_values(), Some("gold silver"));
        assert_eq!(step_up.max_age(), Some(Duration::from_secs(5)));

        let claims = read("Bearer error=\"insufficient_claims\", claims=\"eyJhIjoxfQ==\"").unwrap();
        assert!(claims.has_claims());
        assert_eq!(claims.claims(), Some("eyJhIjoxfQ=="));
        assert_eq!(claims.error(), Some("insufficient_claims"));
    }

    #[test]
    fn claims_are_decoded_from_either_alphabet_and_only_if_they_are_an_object() {
        // C11, K28
        let of = |text: &str| {
            let line = format!("Bearer error=\"insufficient_claims\", claims=\"{text}\"");
            read(&line).unwrap().decoded_claims()
        };
        let object = |text: &str| Some(text.to_owned());
        assert_eq!(of("eyJhIjoxfQ=="), object(r#"{"a":1}"#));
        assert_eq!(of("eyJhIjoxfQ"), object(r#"{"a":1}"#));
        // The same object in both alphabets, which differ here.
        assert_eq!(of("eyJhIjoiPz8/In0="), object(r#"{"a":"???"}"#));
        assert_eq!(of("eyJhIjoiPz8_In0"), object(r#"{"a":"???"}"#));
        for bad in ["!", "W10=", "MQ==", "", "eyJh", "/////w=="] {
            assert_eq!(of(bad), None, "{bad}");
        }
        let long = |length: usize| {
            let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(length - 8));
            let challenge = super::BearerChallenge {
                claims: Some(super::Engine::encode(&super::STANDARD_NO_PAD, text)),
                ..super::BearerChallenge::default()
            };
            challenge.decoded_claims().is_some()
        };
        assert!(long(8 * 1024) && !long(8 * 1024 + 1));
    }

    #[test]
    fn a_parameter_without_a_method_is_read_by_its_name() {
        // C11: RFC 9728 5.1, a container registry's `service`, and RFC 6750 3's text for a person.
        let challenge = read(
            "Bearer Resource_Metadata=\"https://api.test/.well-known/oauth-protected-resource\", \
             service=\"registry.test\", service=\"later\", empty=\"\", realm=\"x\", \
             error_description=\"the token is \\\"old\\\"\", error=invalid_token",
        )
        .unwrap();
        for (name, value) in [
            (
                "resource_metadata",
                Some("https://api.test/.well-known/oauth-protected-resource"),
            ),
            ("SERVICE", Some("registry.test")),
            ("error_description", Some("the token is \"old\"")),
            ("empty", None),
            ("realm", None),
            ("absent", None),
        ] {
            assert_eq!(challenge.parameter(name), value, "{name}");
        }
        assert_eq!(challenge.error_description(), Some("the token is \"old\""));
        assert_eq!(
            (challenge.error(), challenge.realm()),
            (Some("invalid_token"), Some("x"))
        );
        assert!(!format!("{challenge:?}").contains("registry"), "D6");
    }

    #[test]
    fn thirty_two_parameters_without_a_method_are_kept() {
        // C6, C11
        let many: Vec<String> = (0..40).map(|number| format!("p{number}=v")).collect();
        let challenge = read(&format!("Bearer {}, error=invalid_token", many.join(", "))).unwrap();
        assert_eq!(challenge.parameter("p31"), Some("v"));
        assert_eq!(challenge.parameter("p32"), None);
        assert_eq!(challenge.error(), Some("invalid_token"));
    }

    #[test]
    fn a_max_age_that_is_not_whole_seconds_is_none() {
        // C11
        let most = u64::MAX.to_string();
        for (text, seconds) in [
            ("0", Some(0)),
            ("3600", Some(3600)),
            (" 60 ", Some(60)),
            (most.as_str(), Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ] {
            let challenge = read(&format!("Bearer realm=\"x\", max_age=\"{text}\"")).unwrap();
            assert_eq!(
                challenge.max_age(),
                seconds.map(Duration::from_secs),
                "{text:?}"
            );
        }
    }

    #[test]
    fn debug_shows_no_text_of_the_server_but_the_scope_and_a_named_error() {
        // D6
        let line = "Bearer error=\"canary\", realm=\"canary\", acr_values=\"canary\", \
                    claims=\"canary\", error_description=\"canary\", scope=\"read\"";
        let shown = format!("{:?}", read(line).unwrap());
        assert!(
            !shown.contains("canary") && shown.contains("read"),
            "{shown}"
        );
        let shown = format!("{:?}", read("Bearer error=\"invalid_token\"").unwrap());
        assert!(shown.contains("invalid_token"), "{shown}");
    }

    /// Pieces that headers are made of, so that random lines come near the grammar.
    fn line_like() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"Bearer".to_vec()),
            Just(b"Basic".to_vec()),
            Just(b"DPoP".to_vec()),
            Just(b"use_dpop_nonce".to_vec()),
            Just(b"error".to_vec()),
            Just(b"scope".to_vec()),
            Just(b"invalid_token".to_vec()),
            proptest::collection::vec(proptest::sample::select(b" \t,=\"\\a/;".to_vec()), 1..4),
            proptest::collection::vec(any::<u8>(), 0..4),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_header_makes_the_parser_panic(lines in proptest::collection::vec(line_like(), 0..4)) {
            // C6
            let mut headers = HeaderMap::new();
            for value in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
                headers.append(WWW_AUTHENTICATE, value);
            }
            for token_type in [TokenType::Bearer, TokenType::Dpop] {
                let refused = refuses(StatusCode::UNAUTHORIZED, &headers, token_type);
                prop_assert!(refused || challenge_to(token_type, &headers).is_some());
            }
            let wants_nonce = wants_nonce(StatusCode::UNAUTHORIZED, &headers);
            prop_assert!(!wants_nonce || blames_proof(StatusCode::UNAUTHORIZED, &headers));
        }

        #[test]
        fn every_text_survives_a_quoted_string(
            text in "[a-zA-Z0-9 \"\\\\,=\u{e9}]{0,40}",
            before in 0..3_usize,
            gaps in proptest::collection::vec("[ \t]{0,2}", 4),
            upper in any::<bool>(),
        ) {
            // C6
            let others = ["Negotiate a=, ", "Basic realm=\"Bearer error=\\\"x\\\"\", ", ""];
            let quoted: String = text
                .chars()
                .flat_map(|letter| {
                    let escape = matches!(letter, '"' | '\\').then_some('\\');
                    escape.into_iter().chain([letter])
                })
                .collect();
            let [a, b, c, d] = &gaps[..] else { return Ok(()); };
            let mut name = "scope".to_owned();
            if upper {
                name.make_ascii_uppercase();
            }
            let line = format!(
                "{}Bearer {a}{name}{b}={c}\"{quoted}\"{d},error=invalid_token", others[before]
            );
            let challenge = bearer_challenge(&headers([line])).unwrap();
            let text = text.trim();
            prop_assert_eq!(challenge.scope(), (!text.is_empty()).then_some(text));
            prop_assert_eq!(challenge.error(), Some("invalid_token"));
        }

        #[test]
        fn lines_and_one_joined_line_say_the_same(
            picks in proptest::collection::vec(0..5_usize, 1..5),
        ) {
            // C6: a proxy may join header lines with a comma (RFC 9110 section 5.3).
            let lines = picks.iter().map(|pick| [
                "Bearer error=\"invalid_token\"",
                "Bearer realm=\"a\", error=insufficient_scope, scope=\"x y\"",
                "Basic realm=\"b\"",
                "Negotiate abc=",
                "Bearer",
            ][*pick]).collect::<Vec<_>>();
            let apart = bearer_challenge(&headers(&lines));
            let joined = bearer_challenge(&headers([lines.join(", ")]));
            prop_assert_eq!(format!("{apart:?}"), format!("{joined:?}"));
        }
    }
}
