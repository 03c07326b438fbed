//! What an OpenID provider and this application know of each other.

use reqwest_bearer::ClientAuthentication;

/// The application as a client of one provider.
#[derive(Clone)]
pub(crate) struct Registration {
    /// Letter for letter as the provider's discovery document has it.
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// `None` for a public client.
    pub(crate) client_secret: Option<String>,
    pub(crate) secret_place: SecretPlace,
    /// Separated by spaces.
    pub(crate) scope: String,
}

/// Where the provider wants the secret.
#[derive(Clone, Copy)]
pub(crate) enum SecretPlace {
    /// `client_secret_basic`.
    Header,
    /// `client_secret_post`.
    Form,
}

impl Registration {
    /// The same for the token endpoint of `reqwest-bearer`.
    pub(crate) fn authentication(&self) -> ClientAuthentication {
        let id = self.client_id.as_str();
        match (self.client_secret.as_deref(), self.secret_place) {
            (None, _) => ClientAuthentication::none(id),
            (Some(secret), SecretPlace::Header) => {
                ClientAuthentication::client_secret_basic(id, secret)
            }
            (Some(secret), SecretPlace::Form) => {
                ClientAuthentication::client_secret_post(id, secret)
            }
        }
    }
}
