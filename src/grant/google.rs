//! Google's service accounts, by the JSON file of their key.

use std::fmt;

use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::endpoint::{ClientAuthentication, TokenEndpoint};
use crate::error::Error;
use crate::grant::{JwtBearer, SelfSignedToken, SignedAssertion};
use crate::signer::{SigningAlgorithm, SigningKey};

/// A service account of Google Cloud with a key of its own, as the JSON file of the key has it.
///
/// ```
/// # fn grants(json: &str) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::GoogleServiceAccount;
///
/// let account = GoogleServiceAccount::from_json(json)?; // std::fs::read_to_string("key.json")?
/// // A token from Google's server:
/// let storage = account.scope("https://www.googleapis.com/auth/devstorage.read_only")?;
/// // One that needs no server, for the APIs that take it:
/// let pubsub = account.self_signed("https://pubsub.googleapis.com/");
/// # Ok(()) }
/// ```
///
/// Where there is no key in a file but a workload that Google trusts, see
/// [`TokenExchange::subject_token`](crate::TokenExchange::subject_token).
#[derive(Clone)]
pub struct GoogleServiceAccount {
    email: String,
    token_url: String,
    key: SigningKey,
}

#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: Zeroizing<String>,
    private_key_id: Option<String>,
    token_uri: String,
}

impl GoogleServiceAccount {
    /// The account of this key file, whose `type` is `service_account`.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for another text, without anything of it.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        // The parser's own message might show what it met.
        let file: KeyFile = serde_json::from_str(json).map_err(|_| {
            Error::settings(
                "this is no key file of a service account: a JSON object with `client_email`, `private_key` \
                 and `token_uri`",
            )
        })?;
        let key =
            SigningKey::from_pem(&file.private_key)?.with_algorithm(SigningAlgorithm::Rs256)?;
        Ok(Self {
            email: file.client_email,
            token_url: file.token_uri,
            key: match file.private_key_id {
                Some(id) => key.with_key_id(id),
                None => key,
            },
        })
    }

    /// Access tokens with these scopes, separated by spaces, by the JWT bearer grant at the `token_uri` of the
    /// file. To act for a user of the domain, see [`assertion`](Self::assertion).
    ///
    /// # Errors
    /// If the `token_uri` is no URL that may be asked.
    pub fn scope(&self, scope: impl Into<String>) -> Result<JwtBearer, Error> {
        let endpoint = self.endpoint()?;
        Ok(JwtBearer::signed(endpoint, self.assertion().scope(scope)))
    }

    /// Id tokens for this audience (`target_audience`), such as the URL of a service on Cloud Run: an access
    /// token in name, as the API takes it.
    ///
    /// # Errors
    /// If the `token_uri` is no URL that may be asked.
    pub fn id_token(&self, audience: impl Into<String>) -> Result<JwtBearer, Error> {
        let client = ClientAuthentication::none(&self.email);
        let endpoint = TokenEndpoint::builder(client)
            .token_url(&self.token_url)
            .translate_answers(|answer| {
                let id_token = answer.json().get("id_token")?;
                Some(json!({ "access_token": id_token, "id_token": id_token }))
            })
            .expires_with_id_token()
            .build()?;
        let audience: String = audience.into();
        let assertion = self.assertion().claim("target_audience", audience);
        Ok(JwtBearer::signed(endpoint, assertion))
    }

    /// Tokens that need no server: signed for the API itself (`aud`), such as
    /// `https://pubsub.googleapis.com/`, for those of Google's that take them.
    #[must_use]
    pub fn self_signed(&self, audience: impl Into<String>) -> SelfSignedToken {
        let claims = SignedAssertion::new(self.key.clone(), audience);
        SelfSignedToken::new(claims.issuer(&self.email).subject(&self.email))
    }

    /// What the account asserts at the `token_uri`, to be completed: with
    /// [`scope`](SignedAssertion::scope) and the [`subject`](SignedAssertion::subject) whom it acts for
    /// (domain-wide delegation). [`JwtBearer::signed`] takes it, with the
    /// [`endpoint`](Self::endpoint).
    #[must_use]
    pub fn assertion(&self) -> SignedAssertion {
        SignedAssertion::new(self.key.clone(), &self.token_url).issuer(&self.email)
    }

    /// The `token_uri` of the file as an endpoint, at which the assertion says who asks.
    ///
    /// # Errors
    /// If the `token_uri` is no URL that may be asked.
    pub fn endpoint(&self) -> Result<TokenEndpoint, Error> {
        TokenEndpoint::new(&self.token_url, ClientAuthentication::none(&self.email))
    }
}

impl fmt::Debug for GoogleServiceAccount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("GoogleServiceAccount")
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}
