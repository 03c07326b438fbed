//! What a user's next sign-in has to bring, so that a request that was refused can succeed.

use std::fmt;
use std::time::Duration;

use crate::challenge::BearerChallenge;
use crate::error::Error;

/// What the authorization request of the user's next sign-in has to ask for, so that an API takes what it
/// has refused: more scopes (RFC 6750 section 3.1), a stronger or a fresher sign-in (RFC 9470 section 3),
/// or claims (`insufficient_claims`; OpenID Connect Core section 5.5).
///
/// ```
/// # fn page(response: &reqwest::Response, mut sign_in_page: reqwest::Url) -> Option<reqwest::Url> {
/// use reqwest_bearer::StepUp;
///
/// // `sign_in_page` is the authorization URL of any sign-in
/// let step_up = StepUp::find_in(response)?;
/// let parameters = step_up.authorization_parameters();
/// sign_in_page.query_pairs_mut().extend_pairs(parameters);
/// # Some(sign_in_page)
/// # }
/// ```
///
/// The texts are what the API or the authorization server sent; `Debug` shows the scope alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StepUp {
    scope: Option<String>,
    acr_values: Option<String>,
    max_age: Option<Duration>,
    claims: Option<String>,
}

impl StepUp {
    /// That of an API's answer. What the authorization server says of the user, where it has been asked,
    /// counts more than what the API says. `None` if the answer wants no sign-in, or does not say which.
    #[must_use]
    pub fn find_in(response: &reqwest::Response) -> Option<Self> {
        let extensions = response.extensions();
        let by_server = extensions.get().and_then(Self::of_error);
        by_server.or_else(|| Self::of_challenge(extensions.get()?))
    }

    /// That of an error of this crate ([`Error::claims`]): of a call for which no token could be had.
    #[must_use]
    pub fn of_error(error: &Error) -> Option<Self> {
        let claims = error.claims()?;
        Some(Self {
            claims: Some(claims.to_owned()),
            ..Self::default()
        })
    }

    fn of_challenge(challenge: &BearerChallenge) -> Option<Self> {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let claims = challenge.decoded_claims();
        let wanted = Self {
            // Beside any other error it only says what the API takes at all.
            scope: text(
                challenge
                    .scope()
                    .filter(|_| challenge.is_insufficient_scope()),
            ),
            acr_values: text(challenge.acr_values().filter(|_| challenge.is_step_up())),
            max_age: challenge.max_age().filter(|_| challenge.is_step_up()),
            claims,
        };
        (wanted != Self::default()).then_some(wanted)
    }

    /// The scopes that are wanted besides, separated by spaces. An authorization request asks for those of
    /// the present sign-in as well.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// The authentication contexts, one of which the sign-in has to reach, separated by spaces, the best
    /// first.
    #[must_use]
    pub fn acr_values(&self) -> Option<&str> {
        self.acr_values.as_deref()
    }

    /// How long ago the user may have signed in at most.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// The claims to ask for: a JSON object as text, 8 KiB at most.
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }

    /// The same as parameters of an authorization request, not yet encoded: `acr_values`, `max_age` in
    /// seconds and `claims`. Without the scope, which joins those of the request.
    pub fn authorization_parameters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let max_age = self.max_age.map(|age| age.as_secs().to_string());
        let parameters = [
            ("acr_values", self.acr_values.clone()),
            ("max_age", max_age),
            ("claims", self.claims.clone()),
        ];
        parameters
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)))
    }
}

impl fmt::Debug for StepUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StepUp")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
