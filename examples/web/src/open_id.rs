//! The OpenID provider, as the sign-in sees it: where to send the browser, and what its answer says.

mod http;

use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use openidconnect::core::{
    CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreIdTokenClaims, CoreProviderMetadata,
    CoreTokenResponse,
};
use openidconnect::{
    AccessTokenHash, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, RedirectUrl, RequestTokenError, Scope, TokenResponse as _,
};
use reqwest::Url;
use reqwest_bearer::TokenSet;

use crate::open_id::http::Http;
use crate::registration::{Registration, SecretPlace};
use crate::session::{PendingSignIn, User};

/// This application as a client of the provider.
pub(crate) struct OpenId {
    registration: Registration,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    http: Http,
}

/// Why a sign-in came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The provider is down, or what it says makes no sense. Holds a clause for people.
    Provider(String),
    /// The provider does not take the code; another sign-in brings another one.
    Code,
    /// The id token is not what it should be.
    IdToken(String),
}

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

impl OpenId {
    /// Asks nobody.
    ///
    /// # Errors
    /// If one of the URLs is none.
    pub(crate) fn new(
        registration: Registration,
        redirect: String,
    ) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            issuer: IssuerUrl::new(registration.issuer.clone())?,
            redirect: RedirectUrl::new(redirect)?,
            http: Http::new()?,
            registration,
        })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.registration.issuer
    }

    /// Where to send the browser, and what to remember until it comes back to the path `next`.
    pub(crate) async fn begin(&self, next: String) -> Result<(Url, PendingSignIn), Failure> {
        let client = self.discover().await?;
        let (challenge, code_verifier) = PkceCodeChallenge::new_random_sha256();
        let scopes = self.registration.scope.split_whitespace();
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            // The crate adds `openid` by itself.
            .add_scopes(
                scopes
                    .clone()
                    .filter(|scope| *scope != "openid")
                    .map(|scope| Scope::new(scope.to_owned())),
            )
            .set_pkce_challenge(challenge);
        if scopes.clone().any(|scope| scope == "offline_access") {
            // Without it a provider leaves `offline_access` out (OpenID Connect Core section 11).
            request = request.add_prompt(CoreAuthPrompt::Consent);
        }
        let (url, state, nonce) = request.url();
        let sign_in = PendingSignIn {
            state: state.into_secret(),
            nonce,
            code_verifier,
            next,
        };
        Ok((url, sign_in))
    }

    /// Spends the code. Who it was, and the tokens.
    pub(crate) async fn finish(
        &self,
        code: String,
        sign_in: PendingSignIn,
    ) -> Result<(User, TokenSet), Failure> {
        let client = self.discover().await?;
        let asked_at = SystemTime::now();
        let answer = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| Failure::Provider("names no token endpoint".to_owned()))?
            .set_pkce_verifier(sign_in.code_verifier)
            .request_async(&self.http)
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(refusal) => refused(refusal.error().to_string()),
                RequestTokenError::Request(error) => unreachable_provider(&error),
                // These hold the answer, and with it perhaps a token.
                RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                    Failure::Provider("gave an answer that is none".to_owned())
                }
            })?;
        let user = read_user(check_id_token(&client, &answer, &sign_in.nonce)?);
        let tokens = TokenSet::from_oauth2(&answer, asked_at)
            .map_err(|error| Failure::Provider(format!("gave no usable token: {error}")))?;
        Ok((user, tokens))
    }

    /// Asked at each sign-in, which is rare, so that new signing keys need no restart.
    async fn discover(&self) -> Result<Client, Failure> {
        let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http)
            .await
            .map_err(|error| unreachable_provider(&error))?;
        let Registration {
            client_id,
            client_secret,
            secret_place,
            ..
        } = &self.registration;
        let client = CoreClient::from_provider_metadata(
            metadata,
            ClientId::new(client_id.clone()),
            client_secret.clone().map(ClientSecret::new),
        );
        let authentication = match secret_place {
            SecretPlace::Header => AuthType::BasicAuth,
            SecretPlace::Form => AuthType::RequestBody,
        };
        Ok(client
            .set_auth_type(authentication)
            .set_redirect_uri(self.redirect.clone()))
    }
}

/// Signature, issuer, audience, times and nonce, and that the access token belongs to it.
fn check_id_token<'answer>(
    client: &Client,
    answer: &'answer CoreTokenResponse,
    nonce: &Nonce,
) -> Result<&'answer CoreIdTokenClaims, Failure> {
    let fault = |error: &dyn fmt::Display| Failure::IdToken(error.to_string());
    let id_token = answer.id_token().ok_or_else(|| fault(&"there is none"))?;
    let verifier = client.id_token_verifier();
    let claims = id_token
        .claims(&verifier, nonce)
        .map_err(|error| fault(&error))?;
    if let Some(stated) = claims.access_token_hash() {
        let algorithm = id_token.signing_alg().map_err(|error| fault(&error))?;
        let key = id_token
            .signing_key(&verifier)
            .map_err(|error| fault(&error))?;
        let actual = AccessTokenHash::from_token(answer.access_token(), algorithm, key)
            .map_err(|error| fault(&error))?;
        if actual != *stated {
            return Err(fault(&"it belongs to another access token"));
        }
    }
    Ok(claims)
}

fn read_user(claims: &CoreIdTokenClaims) -> User {
    let subject = claims.subject().as_str();
    let full_name = claims.name().and_then(|names| names.get(None));
    let names = [
        full_name.map(|name| name.as_str()),
        claims.preferred_username().map(|name| name.as_str()),
        claims.email().map(|email| email.as_str()),
    ];
    let name = names.into_iter().flatten().next().unwrap_or(subject);
    User {
        subject: subject.to_owned(),
        name: name.to_owned(),
    }
}

/// RFC 6749 section 5.2: only this code is about the code; all others are about our settings.
fn refused(error: String) -> Failure {
    if error == "invalid_grant" {
        return Failure::Code;
    }
    Failure::Provider(format!("refuses this application: {error}"))
}

fn unreachable_provider(error: &dyn Error) -> Failure {
    let mut text = "cannot be asked".to_owned();
    let mut cause = Some(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    Failure::Provider(text)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use openidconnect::core::CoreTokenResponse;
    use reqwest_bearer::TokenSet;
    use serde_json::json;

    use crate::provider::books::Person;
    use crate::provider::signing::SigningKey;

    #[test]
    fn what_openidconnect_was_answered_becomes_a_token_set() {
        let ada = Person {
            subject: "ada".to_owned(),
            name: "Ada".to_owned(),
        };
        let key = SigningKey::new().unwrap();
        let id_token = key
            .sign("http://127.0.0.1:9", "web", &ada, None, "a")
            .unwrap();
        let answer: CoreTokenResponse = serde_json::from_value(json!({
            "access_token": "a", "token_type": "Bearer", "expires_in": 60,
            "refresh_token": "r", "id_token": id_token, "scope": "openid profile",
        }))
        .unwrap();
        let asked_at = SystemTime::now();
        let tokens = TokenSet::from_oauth2(&answer, asked_at).unwrap();
        let text = |token: Option<&reqwest_bearer::Secret>| token.map(|t| t.expose().to_owned());
        assert_eq!(text(tokens.access_token()).as_deref(), Some("a"));
        assert_eq!(text(tokens.refresh_token()).as_deref(), Some("r"));
        assert_eq!(text(tokens.id_token()), Some(id_token));
        assert_eq!(tokens.scope(), Some("openid profile"));
        assert_eq!(
            tokens.expires_at(),
            Some(asked_at + Duration::from_secs(60))
        );
    }
}
