//! Takes over what the crates `oauth2` and `openidconnect` got from a token endpoint.

use std::time::SystemTime;

use oauth2::TokenResponse;
use serde_json::{Map, Value};

use crate::endpoint::issued::read_token;
use crate::endpoint::verdict::Asked;
use crate::error::Error;
use crate::token_set::TokenSet;

impl TokenSet {
    /// What `oauth2` or `openidconnect` was answered to a request that was sent at `asked_at`, with
    /// all that came along: refresh token, id token, scopes, members of the server's own.
    ///
    /// One function serves both crates, because the answers of `openidconnect` 4 are
    /// `oauth2::TokenResponse`s. An id token is taken as it came: check it with `openidconnect`,
    /// whose work that is.
    ///
    /// `asked_at` is the instant before the request, as for
    /// [`from_response`](Self::from_response). With a token of 10 minutes, a set that was asked for
    /// at 8:00:00 and answered at 8:00:02 expires at 8:10:00.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use reqwest_bearer::TokenSet;
    ///
    /// let asked_at = SystemTime::now();
    /// // In a program: `client.exchange_code(code).request_async(&http).await?`
    /// let answer: oauth2::basic::BasicTokenResponse = serde_json::from_str(
    ///     r#"{ "access_token": "a", "token_type": "Bearer", "expires_in": 600, "refresh_token": "r" }"#,
    /// )?;
    /// let tokens = TokenSet::from_oauth2(&answer, asked_at)?;
    /// assert_eq!(tokens.expires_at(), Some(asked_at + Duration::from_secs(600)));
    /// assert_eq!(tokens.refresh_token().map(|token| token.expose()), Some("r"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A token of the type `DPoP` wants the key whose proof went along: `with_dpop_key` (feature `dpop`) says
    /// which. One of the type `Bearer` is used as such, whatever key is said.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if it brings neither a bearer token nor one of the
    /// type DPoP, which needs the feature `dpop`; or a character that no header can carry.
    pub fn from_oauth2(response: &impl TokenResponse, asked_at: SystemTime) -> Result<Self, Error> {
        // An id token and the server's own members hide behind type parameters of those crates, but
        // every answer can be written out again as the JSON that it was read from.
        let Ok(Value::Object(mut members)) = serde_json::to_value(response) else {
            return Err(Error::protocol(
                "the token response cannot be written out as a JSON object",
            ));
        };
        put_what_has_a_name(response, &mut members);
        // Those crates keep no header, so an end that stands in place of a lifetime is one by our clock.
        let asked = if cfg!(feature = "dpop") {
            Asked::OTHER.proven()
        } else {
            Asked::OTHER
        };
        let response = read_token(&mut members, asked_at, asked)
            .map_err(|fault| Error::protocol(format!("the token response {fault}")))?;
        Ok(Self::from_response(response, asked_at))
    }
}

/// A type of the user's own may leave secrets out, or hide them, when it is written out.
fn put_what_has_a_name(response: &impl TokenResponse, members: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put(
        "access_token",
        response.access_token().secret().as_str().into(),
    );
    if let Some(refresh_token) = response.refresh_token() {
        put("refresh_token", refresh_token.secret().as_str().into());
    }
    if let Some(lifetime) = response.expires_in() {
        put("expires_in", lifetime.as_secs_f64().into());
    }
    if let Some(scopes) = response.scopes() {
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        put("scope", scopes.join(" ").into());
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use oauth2::basic::{BasicTokenResponse, BasicTokenType};
    use oauth2::{
        AccessToken, EmptyExtraTokenFields, ExtraTokenFields, RefreshToken, Scope,
        StandardTokenResponse, TokenResponse,
    };
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use crate::error::ErrorKind;
    use crate::secret::Secret;
    use crate::token_set::TokenSet;

    /// In the place where `openidconnect` has its `IdTokenFields`.
    #[derive(Clone, Debug, Deserialize, Serialize)]
    struct Extra {
        id_token: Option<String>,
        patient: Option<String>,
    }

    impl ExtraTokenFields for Extra {}

    type WithExtra = StandardTokenResponse<Extra, BasicTokenType>;

    fn asked_at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000)
    }

    fn convert<R: TokenResponse>(answer: Value) -> TokenSet {
        let response: R = serde_json::from_value(answer).unwrap();
        TokenSet::from_oauth2(&response, asked_at()).unwrap()
    }

    #[test]
    fn everything_that_the_answer_brought_is_taken_over() {
        // B8: the lifetime counts from the instant before the request.
        let tokens = convert::<WithExtra>(json!({
            "access_token": "a", "token_type": "Bearer", "expires_in": 600, "refresh_token": "r",
            "id_token": "i.i.i", "scope": "openid orders:read", "patient": "p-7",
        }));
        assert_eq!(tokens.access_token().map(Secret::expose), Some("a"));
        assert_eq!(tokens.refresh_token().map(Secret::expose), Some("r"));
        assert_eq!(tokens.id_token().map(Secret::expose), Some("i.i.i"));
        assert_eq!(tokens.scope(), Some("openid orders:read"));
        assert_eq!(tokens.member("patient"), Some(&json!("p-7")));
        assert_eq!(tokens.issued_at(), Some(asked_at()));
        let lifetime = Duration::from_secs(600);
        assert_eq!(tokens.expires_at(), Some(asked_at() + lifetime));
    }

    #[test]
    fn what_the_answer_left_out_is_unknown() {
        let answer = json!({ "access_token": "a", "token_type": "bearer" });
        let tokens = convert::<BasicTokenResponse>(answer);
        assert_eq!(tokens.expires_at(), None);
        assert_eq!(tokens.refresh_token(), None);
        assert_eq!(tokens.id_token(), None);
        assert_eq!(tokens.scope(), None);
    }

    #[test]
    fn a_lifetime_of_nothing_ends_when_it_began() {
        // B11
        let answer = json!({ "access_token": "a", "token_type": "bearer", "expires_in": 0 });
        let tokens = convert::<BasicTokenResponse>(answer);
        assert_eq!(tokens.expires_at(), Some(asked_at()));
    }

    #[test]
    fn what_is_no_bearer_token_is_an_error_that_does_not_show_it() {
        // D6, D7
        for (token_type, token) in [("PoP", "canary"), ("bearer", "canary\r\nX: y")] {
            let answer = json!({ "access_token": token, "token_type": token_type });
            let response: BasicTokenResponse = serde_json::from_value(answer).unwrap();
            let error = TokenSet::from_oauth2(&response, asked_at()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{token_type}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }

    #[test]
    fn the_token_set_does_not_show_what_it_took_over() {
        // D6
        let tokens = convert::<WithExtra>(json!({
            "access_token": "canary-a", "token_type": "bearer", "refresh_token": "canary-b",
            "id_token": "canary-c", "scope": "canary-d", "patient": "canary-e",
        }));
        let shown = format!("{tokens:?} {tokens:#?}");
        assert!(!shown.contains("canary"), "{shown}");
    }

    /// A user's own type, which hides its tokens when it is logged as JSON.
    #[derive(Debug, Deserialize)]
    struct Reticent(BasicTokenResponse);

    impl Serialize for Reticent {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            json!({ "access_token": "hidden", "token_type": "bearer" }).serialize(serializer)
        }
    }

    impl TokenResponse for Reticent {
        type TokenType = BasicTokenType;

        fn access_token(&self) -> &AccessToken {
            self.0.access_token()
        }
        fn token_type(&self) -> &BasicTokenType {
            self.0.token_type()
        }
        fn expires_in(&self) -> Option<Duration> {
            // A type of one's own may know more than whole seconds.
            Some(Duration::from_millis(1_500))
        }
        fn refresh_token(&self) -> Option<&RefreshToken> {
            self.0.refresh_token()
        }
        fn scopes(&self) -> Option<&Vec<Scope>> {
            self.0.scopes()
        }
    }

    #[test]
    fn what_the_trait_says_beats_what_is_written_out() {
        let mut inner = BasicTokenResponse::new(
            AccessToken::new("a".to_owned()),
            BasicTokenType::Bearer,
            EmptyExtraTokenFields {},
        );
        inner.set_refresh_token(Some(RefreshToken::new("r".to_owned())));
        inner.set_scopes(Some(vec![
            Scope::new("a".to_owned()),
            Scope::new("b".to_owned()),
        ]));
        let tokens = TokenSet::from_oauth2(&Reticent(inner), asked_at()).unwrap();
        assert_eq!(tokens.access_token().map(Secret::expose), Some("a"));
        assert_eq!(tokens.refresh_token().map(Secret::expose), Some("r"));
        assert_eq!(tokens.scope(), Some("a b"));
        let lifetime = Duration::from_millis(1_500);
        assert_eq!(tokens.expires_at(), Some(asked_at() + lifetime));
    }
}
