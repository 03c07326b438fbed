//! Where the tokens of one middleware may go (D1, D2).

use reqwest::Url;

use crate::error::{Error, ErrorKind};
use crate::origin::{Origin, has_userinfo, is_secure};

/// The origins that a middleware is bound to, and what becomes of requests to others.
#[derive(Clone, Debug)]
pub(crate) struct Destinations {
    /// `None`: any, by name.
    origins: Option<Vec<Origin>>,
    elsewhere: Elsewhere,
    insecure_http: bool,
}

/// What becomes of a request to an origin that the token may not go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    Refused,
    WithoutToken,
}

/// What may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    WithToken,
    WithoutToken,
}

impl Destinations {
    /// Binds to the origins that these texts name, or (`None`) to any.
    ///
    /// # Errors
    /// If a text names no origin, or one that a token cannot travel to safely.
    pub(crate) fn new(
        origins: Option<Vec<String>>,
        elsewhere: Elsewhere,
        insecure_http: bool,
    ) -> Result<Self, Error> {
        let origins = match origins {
            None => None,
            Some(texts) if texts.is_empty() => {
                return Err(Error::settings(
                    "the middleware is bound to no origin; name the API's with `origin`, or say `any_origin`",
                ));
            }
            Some(texts) => Some(
                texts
                    .iter()
                    .map(|text| {
                        bound(text, insecure_http).map_err(|error| error.of_setting("origin"))
                    })
                    .collect::<Result<_, _>>()?,
            ),
        };
        Ok(Self {
            origins,
            elsewhere,
            insecure_http,
        })
    }

    /// Any origin that a token can travel to safely.
    pub(crate) fn any() -> Self {
        Self {
            origins: None,
            elsewhere: Elsewhere::Refused,
            insecure_http: false,
        }
    }

    /// Whether a request to this URL may have the token.
    ///
    /// # Errors
    /// If it may not, and is not to be sent without it either.
    #[inline]
    pub(crate) fn admit(&self, url: &Url) -> Result<Admission, Error> {
        let allowed = match &self.origins {
            Some(origins) => origins.iter().any(|origin| origin.matches(url)),
            None => self.insecure_http || is_secure(url),
        };
        match self.elsewhere {
            _ if allowed => Ok(Admission::WithToken),
            Elsewhere::WithoutToken => Ok(Admission::WithoutToken),
            Elsewhere::Refused => Err(self.refusal(url)),
        }
    }

    fn refusal(&self, url: &Url) -> Error {
        let place = Origin::of(url).map_or_else(
            || format!("a `{}` URL", url.scheme()),
            |origin| origin.to_string(),
        );
        let message = match &self.origins {
            Some(origins) => {
                let known: Vec<_> = origins.iter().map(ToString::to_string).collect();
                format!(
                    "the token may not go to {place}, only to {}; add that origin, or send the request with `TokenOptions::anonymous()`",
                    known.join(", ")
                )
            }
            None => format!(
                "the token may not go to {place}, where it could be read on the way; use https, or say `allow_insecure_http`"
            ),
        };
        Error::new(ErrorKind::OriginNotAllowed, message)
    }
}

/// # Errors
/// If the text names no origin, or one that a token cannot travel to safely.
fn bound(text: &str, insecure_http: bool) -> Result<Origin, Error> {
    let origin = Origin::parse(text)?;
    let safe = Url::parse(text).is_ok_and(|url| is_secure(&url) && !has_userinfo(&url));
    if safe || insecure_http {
        Ok(origin)
    } else {
        Err(Error::settings(format!(
            "{origin}: a token sent by plain http can be read on the way; use https, or say `allow_insecure_http`"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, Destinations, Elsewhere};
    use crate::error::ErrorKind;
    use reqwest::Url;

    fn admit(destinations: &Destinations, url: &str) -> Result<Admission, ErrorKind> {
        let url = Url::parse(url).unwrap();
        destinations.admit(&url).map_err(|error| error.kind())
    }

    fn bound_to(origins: &[&str], elsewhere: Elsewhere) -> Destinations {
        let origins = origins.iter().map(ToString::to_string).collect();
        Destinations::new(Some(origins), elsewhere, false).unwrap()
    }

    #[test]
    fn only_the_bound_origins_get_the_token() {
        // D1
        let bound = bound_to(
            &["https://api.test", "https://b.test:8443"],
            Elsewhere::Refused,
        );
        assert_eq!(
            admit(&bound, "https://api.test/x?y"),
            Ok(Admission::WithToken)
        );
        assert_eq!(
            admit(&bound, "https://API.test:443"),
            Ok(Admission::WithToken)
        );
        assert_eq!(
            admit(&bound, "https://b.test:8443"),
            Ok(Admission::WithToken)
        );
        for other in [
            "http://api.test",
            "https://api.test:444",
            "https://api.test.",
            "https://api.test.evil",
            "https://evil.test",
            "https://b.test",
            "data:,x",
        ] {
            assert_eq!(
                admit(&bound, other),
                Err(ErrorKind::OriginNotAllowed),
                "{other}"
            );
        }
        let lenient = bound_to(&["https://api.test"], Elsewhere::WithoutToken);
        assert_eq!(
            admit(&lenient, "https://evil.test"),
            Ok(Admission::WithoutToken)
        );
    }

    #[test]
    fn plain_http_is_refused_unless_it_stays_on_the_machine_or_is_allowed_by_name() {
        // D2
        let any = |insecure| Destinations::new(None, Elsewhere::Refused, insecure).unwrap();
        assert_eq!(
            admit(&any(false), "https://a.test"),
            Ok(Admission::WithToken)
        );
        assert_eq!(
            admit(&any(false), "http://127.0.0.1:1"),
            Ok(Admission::WithToken)
        );
        assert_eq!(
            admit(&any(false), "http://a.test"),
            Err(ErrorKind::OriginNotAllowed)
        );
        assert_eq!(admit(&any(true), "http://a.test"), Ok(Admission::WithToken));
        for (insecure, allowed) in [(false, false), (true, true)] {
            let origins = Some(vec!["http://a.test".to_owned()]);
            let bound = Destinations::new(origins, Elsewhere::Refused, insecure);
            assert_eq!(bound.is_ok(), allowed);
        }
    }

    #[test]
    fn a_middleware_bound_to_nothing_is_a_mistake() {
        // D1
        assert!(Destinations::new(Some(Vec::new()), Elsewhere::Refused, false).is_err());
    }
}
