//! What the suite tells of the client, by an environment variable.

use std::env;

use reqwest_bearer::{ClientAuthentication, SigningAlgorithm, SigningKey};
use serde::Deserialize;

use crate::Outcome;

#[derive(Default, Deserialize)]
pub(crate) struct Context {
    client_id: Option<String>,
    client_secret: Option<String>,
    private_key_pem: Option<String>,
    /// Where the client is known.
    pub(crate) issuer: Option<String>,
    /// At the server of the company, which has signed the user in.
    pub(crate) idp_client_id: Option<String>,
    pub(crate) idp_id_token: Option<String>,
    pub(crate) idp_token_endpoint: Option<String>,
    /// Of the platform that the client runs on.
    pub(crate) valid_jwt: Option<String>,
}

impl Context {
    pub(crate) fn from_environment() -> Outcome<Self> {
        Ok(match env::var("MCP_CONFORMANCE_CONTEXT") {
            Ok(context) => serde_json::from_str(&context)?,
            Err(_) => Self::default(),
        })
    }

    /// The client that it has been made beforehand, if it has.
    pub(crate) fn client(&self) -> Outcome<Option<ClientAuthentication>> {
        let Some(id) = &self.client_id else {
            return Ok(None);
        };
        Ok(Some(match (&self.private_key_pem, &self.client_secret) {
            (Some(pem), _) => {
                let key = SigningKey::from_pem(pem)?.with_algorithm(SigningAlgorithm::Es256)?;
                ClientAuthentication::private_key_jwt(id, key)
            }
            (None, Some(secret)) => ClientAuthentication::client_secret_basic(id, secret),
            (None, None) => ClientAuthentication::none(id),
        }))
    }
}
