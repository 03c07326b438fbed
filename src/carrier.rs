//! How a token is put into a request: in which header, behind which scheme, and which of the tokens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::access_token::Issued;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::id_token::expiry_claim;
use crate::reserved_headers::carrier_fault;
use crate::token::{BEARER, UNSENDABLE, token_header};

/// What the settings say of it, not yet checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct CarrierSettings {
    pub(crate) header: Option<String>,
    pub(crate) scheme: Option<String>,
    pub(crate) without_scheme: bool,
    pub(crate) token: Carried,
}

/// Which of the tokens that came together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Carried {
    #[default]
    AccessToken,
    IdToken,
}

/// The same, checked.
#[derive(Clone)]
pub(crate) struct Carrier {
    header: HeaderName,
    scheme: Option<Box<str>>,
    token: Carried,
    /// `Authorization: Bearer` with the access token: the value that every token has at hand.
    is_usual: bool,
    /// The value for the token that was carried last, so that it is made once for each token and not
    /// for each request.
    last: Arc<ArcSwapOption<Value>>,
}

/// What a header says for one token.
struct Value {
    generation: u64,
    header: HeaderValue,
    /// When the id token ends, since 1970.
    ends: Option<Duration>,
}

impl CarrierSettings {
    /// # Errors
    /// For a header or a scheme that cannot carry a token; the message names the setting.
    pub(crate) fn check(&self) -> Result<Carrier, Error> {
        let header = match &self.header {
            None => AUTHORIZATION,
            Some(text) => header_name(text).map_err(|error| error.of_setting("header"))?,
        };
        let scheme = match &self.scheme {
            Some(_) if self.without_scheme => {
                return Err(Error::settings(
                    "`scheme` and `without_scheme` exclude each other; leave one out",
                )
                .of_setting("without_scheme"));
            }
            Some(scheme) => {
                Some(checked_scheme(scheme).map_err(|error| error.of_setting("scheme"))?)
            }
            // Other headers mostly have the token and nothing else.
            None => (header == AUTHORIZATION && !self.without_scheme).then_some(BEARER),
        };
        let is_usual =
            self.token == Carried::AccessToken && header == AUTHORIZATION && scheme == Some(BEARER);
        Ok(Carrier {
            header,
            scheme: scheme.map(Box::from),
            token: self.token,
            is_usual,
            last: Arc::default(),
        })
    }
}

impl Default for Carrier {
    fn default() -> Self {
        Self {
            header: AUTHORIZATION,
            scheme: Some(BEARER.into()),
            token: Carried::AccessToken,
            is_usual: true,
            last: Arc::default(),
        }
    }
}

impl Carrier {
    pub(crate) fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Whether reqwest takes the header out of a request that a redirect leads to another origin.
    pub(crate) fn is_dropped_on_redirect(&self) -> bool {
        self.header == AUTHORIZATION
    }

    /// Whether tokens that are bound to a key can go in it.
    ///
    /// # Errors
    /// If it is anything but the access token in `Authorization`: servers look for a bound one nowhere else
    /// (RFC 9449 section 7.1).
    pub(crate) fn check_dpop(&self) -> Result<(), Error> {
        if self.is_usual {
            return Ok(());
        }
        Err(Error::settings(
            "a token that is bound to a DPoP key goes in `Authorization` behind `DPoP` (RFC 9449 section \
             7.1); leave out `header`, `scheme`, `without_scheme` and `id_token`",
        ))
    }

    /// The same for the tokens of somebody else.
    pub(crate) fn anew(&self) -> Self {
        Self {
            last: Arc::default(),
            ..self.clone()
        }
    }

    /// Puts the token into the headers, in place of whatever is there.
    ///
    /// # Errors
    /// If it is to be the id token, and there is none, or one that has expired.
    #[inline]
    pub(crate) fn put(
        &self,
        token: &Issued,
        headers: &mut HeaderMap,
        clock: &Clock,
    ) -> Result<(), Error> {
        if self.is_usual {
            headers.insert(AUTHORIZATION, token.header.clone());
        } else {
            headers.insert(self.header.clone(), self.value(token, clock)?);
        }
        Ok(())
    }

    fn value(&self, token: &Issued, clock: &Clock) -> Result<HeaderValue, Error> {
        let last = self.last.load();
        let made;
        let value: &Value = match &*last {
            Some(last) if last.generation == token.generation => last,
            _ => {
                made = Arc::new(self.make(token)?);
                self.last.store(Some(Arc::clone(&made)));
                &made
            }
        };
        if value.ends.is_some_and(|end| clock.now().wall >= end) {
            return Err(Error::new(
                ErrorKind::Protocol,
                "the id token has expired and the access token beside it has not; build the token \
                 endpoint with `expires_with_id_token`, and see that each refresh brings an id token",
            ));
        }
        Ok(value.header.clone())
    }

    fn make(&self, token: &Issued) -> Result<Value, Error> {
        let (text, ends) = match (self.token, &token.brought.id_token) {
            (Carried::AccessToken, _) => (token.text(), None),
            (Carried::IdToken, Some(id_token)) => (id_token.expose(), expiry_claim(id_token)),
            (Carried::IdToken, None) => {
                return Err(Error::settings(
                    "no id token came with the access token, and `id_token` wants it sent; ask for \
                     the scope `openid`",
                ));
            }
        };
        let header = token_header(self.scheme.as_deref(), text)
            .ok_or_else(|| Error::protocol(format!("the token {UNSENDABLE}")))?;
        Ok(Value {
            generation: token.generation,
            header,
            ends: ends.and_then(|end| Duration::try_from_secs_f64(end).ok()),
        })
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Carrier")
            .field("header", &self.header)
            .field("scheme", &self.scheme)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

fn header_name(text: &str) -> Result<HeaderName, Error> {
    let name = HeaderName::try_from(text).map_err(|_| {
        Error::settings(
            "`header` is no header name: letters, digits and `-`, such as `X-Shopify-Access-Token`",
        )
    })?;
    match carrier_fault(&name) {
        None => Ok(name),
        Some(fault) => Err(Error::settings(format!(
            "`header` is `{name}`, which {fault}; it cannot carry a token"
        ))),
    }
}

/// A scheme is a token (RFC 9110 section 11.1).
fn checked_scheme(scheme: &str) -> Result<&str, Error> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !scheme.is_empty() && scheme.bytes().all(is_token) {
        return Ok(scheme);
    }
    Err(Error::settings(
        "`scheme` is no authentication scheme: one word such as `token` (RFC 9110 section 11.1); for \
         the token alone say `without_scheme`",
    ))
}
