//! The token that a request came in with, to be exchanged for one for the next API.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};
use crate::secret::Secret;
use crate::subject::Subject;

/// In bytes. No web server takes a header of this length; a SAML assertion has some thousand.
const LONGEST: usize = 64 * 1024;

/// The token of whoever calls this service, to be exchanged for one with which the service calls the next
/// API for that caller (RFC 8693 section 2.1, `subject_token`). Have it validated before: whoever brings a
/// text that nobody has looked at would have the authorization server asked about it.
///
/// A request of a [`NamedExchangeClient`](crate::NamedExchangeClient) says whose it is by, in this order:
///
/// 1. the request: `request.with_extension(token)`;
/// 2. a handle: [`NamedExchangeClient::for_subject_token`](crate::NamedExchangeClient::for_subject_token),
///    [`ExchangedTokens::for_subject_token`](crate::ExchangedTokens::for_subject_token);
/// 3. the task: [`SubjectToken::run`], which a web framework's middleware sets once for each incoming
///    request.
///
/// Two tokens of one user are two subject tokens: what they are exchanged for is kept under a digest
/// (SHA-256) of the whole token, and not under a name in it, so that a token with fewer rights never gets
/// what one with more rights was exchanged for.
///
/// `Debug` shows nothing of it, and its text is zeroised when the last clone goes. Cheap to clone.
///
/// ```
/// # fn main() -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::{ErrorKind, SubjectToken};
///
/// let authorization = "Bearer eyJhbGciOi.eyJzdWIi.c2ln"; // of the incoming request
/// let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
/// let caller = SubjectToken::new(token)?;
/// // What is no token is found here, for a 401 to the caller:
/// let error = SubjectToken::new("").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidSubjectToken);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SubjectToken(Arc<Presented>);

#[derive(Clone)]
struct Presented {
    token: TypedToken,
    /// What most have nothing of: no room is kept for it before (G3).
    besides: Option<Box<Besides>>,
    /// Made when it is first asked for, since the setters change it.
    digest: OnceLock<Subject>,
}

#[derive(Clone, Default)]
struct Besides {
    actor: Option<TypedToken>,
    expires_at: Option<SystemTime>,
}

/// A token, and what kind of one it is (RFC 8693 section 3).
#[derive(Clone)]
pub(crate) struct TypedToken {
    pub(crate) text: Secret,
    pub(crate) token_type: Cow<'static, str>,
}

impl SubjectToken {
    /// An OAuth 2.0 access token (RFC 8693 section 3), which is what [`new`](Self::new) takes the text for.
    pub const ACCESS_TOKEN: &'static str = "urn:ietf:params:oauth:token-type:access_token";
    /// A JWT (RFC 8693 section 3), where a server wants to be told so.
    pub const JWT: &'static str = "urn:ietf:params:oauth:token-type:jwt";
    /// An id token (OpenID Connect Core section 2).
    pub const ID_TOKEN: &'static str = "urn:ietf:params:oauth:token-type:id_token";
    /// A SAML 2.0 assertion, base64url-encoded (RFC 8693 section 3).
    pub const SAML2: &'static str = "urn:ietf:params:oauth:token-type:saml2";

    /// The token of an incoming request, without the scheme before it: 1 to 65,536 bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSubjectToken`] for a text that is empty, too long, or has a blank or a control
    /// character in it.
    pub fn new(token: impl Into<Secret>) -> Result<Self, Error> {
        let token = TypedToken::new(token.into(), "subject token", Self::ACCESS_TOKEN)?;
        Ok(Self(Arc::new(Presented {
            token,
            besides: None,
            digest: OnceLock::new(),
        })))
    }

    /// What kind of token it is (`subject_token_type`, RFC 8693 section 3).
    /// Default: [`ACCESS_TOKEN`](Self::ACCESS_TOKEN).
    #[must_use]
    pub fn token_type(self, token_type: impl Into<Cow<'static, str>>) -> Self {
        self.change(|presented| presented.token.token_type = token_type.into())
    }

    /// Who acts for the subject (`actor_token`, RFC 8693 section 2.1), where that is another one for each
    /// request. A service whose actor is always itself says so where the exchange is set up:
    /// [`TokenExchange::actor_token`](crate::TokenExchange::actor_token).
    /// Default: no actor.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn actor(self, token: impl Into<Secret>) -> Result<Self, Error> {
        let actor = TypedToken::new(token.into(), "actor token", Self::ACCESS_TOKEN)?;
        Ok(self.change(|presented| presented.besides().actor = Some(actor)))
    }

    /// What kind of token the actor's is (`actor_token_type`). Without an [`actor`](Self::actor) it says
    /// nothing. Default: [`ACCESS_TOKEN`](Self::ACCESS_TOKEN).
    #[must_use]
    pub fn actor_token_type(self, token_type: impl Into<Cow<'static, str>>) -> Self {
        self.change(|presented| {
            if let Some(actor) = &mut presented.besides().actor {
                actor.token_type = token_type.into();
            }
        })
    }

    /// When it ends, where the token does not tell itself: of an opaque one, introspection may have. No
    /// exchanged token is used beyond that. It has to be the same point in time with each request that brings
    /// the token (`exp`, and not what is left as counted from now): with another one it is another token here,
    /// which is exchanged for itself.
    /// Default: the claim `exp` of a JWT, unchecked.
    #[must_use]
    pub fn expires_at(self, end: SystemTime) -> Self {
        self.change(|presented| presented.besides().expires_at = Some(end))
    }

    pub(crate) fn token(&self) -> &TypedToken {
        &self.0.token
    }

    pub(crate) fn actor_token(&self) -> Option<&TypedToken> {
        self.0.besides.as_ref()?.actor.as_ref()
    }

    pub(crate) fn stated_end(&self) -> Option<SystemTime> {
        self.0.besides.as_ref()?.expires_at
    }

    /// What its exchanged tokens are cached under: a digest of everything in it.
    pub(crate) fn digest(&self) -> &Subject {
        self.0.digest.get_or_init(|| self.0.hash())
    }

    fn change(mut self, edit: impl FnOnce(&mut Presented)) -> Self {
        let presented = Arc::make_mut(&mut self.0);
        presented.digest = OnceLock::new();
        edit(presented);
        self
    }
}

impl Presented {
    fn besides(&mut self) -> &mut Besides {
        self.besides.get_or_insert_default()
    }

    fn hash(&self) -> Subject {
        let mut hasher = Sha256::new();
        // Each part with its length before it, so that no two lists of parts look the same.
        let mut add = |part: &[u8]| {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        };
        add(self.token.token_type.as_bytes());
        add(self.token.text.expose().as_bytes());
        let actor = self
            .besides
            .as_ref()
            .and_then(|besides| besides.actor.as_ref());
        if let Some(actor) = actor {
            add(actor.token_type.as_bytes());
            add(actor.text.expose().as_bytes());
        }
        let end = self.besides.as_ref().and_then(|besides| besides.expires_at);
        if let Some(end) = end {
            let since_epoch = end.duration_since(SystemTime::UNIX_EPOCH);
            let since_epoch = since_epoch.unwrap_or(Duration::ZERO);
            // Two, three, four or five parts: none is ever taken for another.
            add(&since_epoch.as_nanos().to_be_bytes());
        }
        Subject::of_digest(&URL_SAFE_NO_PAD.encode(hasher.finalize()))
    }
}

impl TypedToken {
    pub(crate) fn new(
        text: Secret,
        what: &str,
        token_type: impl Into<Cow<'static, str>>,
    ) -> Result<Self, Error> {
        let problem = if text.expose().is_empty() {
            "is empty; without one there is nothing to exchange"
        } else if text.expose().len() > LONGEST {
            "is longer than 65,536 bytes; no token is"
        } else if text
            .expose()
            .contains(|c: char| c.is_control() || c.is_whitespace())
        {
            "has a blank or a control character in it; give it without its scheme, and without the line \
             break at its end"
        } else {
            return Ok(Self {
                text,
                token_type: token_type.into(),
            });
        };
        let message = format!("the {what} {problem}");
        Err(Error::new(ErrorKind::InvalidSubjectToken, message))
    }
}

impl fmt::Debug for SubjectToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[subject token]")
    }
}

impl fmt::Debug for TypedToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[token]")
    }
}

#[cfg(test)]
mod tests {
    use super::SubjectToken;
    use crate::error::ErrorKind;
    use std::collections::HashSet;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_subject_token_has_one_to_sixty_four_kibibytes_and_does_not_show_itself() {
        // I1, D6
        for good in ["a", "a.b.c", "tök", &"x".repeat(64 * 1024)] {
            let token = SubjectToken::new(good).unwrap().actor(good).unwrap();
            assert_eq!(format!("{token:?}"), "[subject token]");
            assert!(!token.digest().as_str().contains(good) || good == "a");
        }
        let long = "canary".repeat(64 * 1024);
        for bad in ["", " ", "a b", "a\n", "a\r\nX: y", "\u{0}", &long] {
            let error = SubjectToken::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSubjectToken, "{bad:.10?}");
            assert!(!format!("{error:?}").contains("canary"));
            assert!(SubjectToken::new("a").unwrap().actor(bad).is_err());
        }
    }

    #[test]
    fn whatever_is_in_a_subject_token_tells_its_digest_from_all_others() {
        // I1, D8
        let new = |text: &str| SubjectToken::new(text).unwrap();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let tokens = [
            new("a"),
            new("b"),
            new("ab"),
            new("a").token_type(SubjectToken::JWT),
            new("a").actor("b").unwrap(),
            new("a").actor("c").unwrap(),
            new("b").actor("a").unwrap(),
            new("a")
                .actor("b")
                .unwrap()
                .actor_token_type(SubjectToken::ID_TOKEN),
            new("a").expires_at(at(1)),
            new("a").expires_at(at(2)),
            new("a").actor("b").unwrap().expires_at(at(1)),
        ];
        let digests: HashSet<_> = tokens.iter().map(|token| token.digest().clone()).collect();
        assert_eq!(digests.len(), tokens.len());
        assert_eq!(new("a").digest(), new("a").digest());
        // A digest that was asked for before does not outlive a change.
        let asked = new("a");
        let before = asked.digest().clone();
        assert_ne!(asked.token_type(SubjectToken::JWT).digest(), &before);
    }
}
