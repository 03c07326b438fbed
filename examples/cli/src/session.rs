//! The session of the user, which all commands share.

use etcetera::{BaseStrategy, choose_base_strategy};
use reqwest_bearer::{
    ClientAuthentication, FileStore, NamedClient, NamedUserClient, Subject, TokenEndpoint,
    UserSessions,
};

use crate::arguments::Settings;
use crate::failure::Failure;

pub(crate) struct Session {
    pub(crate) endpoint: TokenEndpoint,
    pub(crate) users: UserSessions,
    /// Whoever runs the program: it has one user at a time.
    pub(crate) me: Subject,
    /// The base URL of the API.
    pub(crate) api: String,
    pub(crate) issuer: String,
}

impl Session {
    /// Asks nobody, and reads nothing yet.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Failure> {
        let client = ClientAuthentication::none(&settings.client_id);
        let endpoint = TokenEndpoint::discover(&settings.issuer, client)?;
        let tokens = match &settings.tokens {
            Some(path) => path.clone(),
            None => choose_base_strategy()?
                .config_dir()
                .join("reqwest-bearer-cli/tokens.json"),
        };
        let users = UserSessions::builder(&endpoint).store(FileStore::new(tokens)?);
        Ok(Self {
            users: users.build()?,
            endpoint,
            me: Subject::new("me")?,
            api: settings.api.clone(),
            issuer: settings.issuer.clone(),
        })
    }

    /// A client for the user, at this base URL.
    pub(crate) fn client(&self, name: &str, base_url: &str) -> Result<NamedClient, Failure> {
        let client = NamedUserClient::builder(name, base_url, &self.users)
            .error_on_ended_session() // so that there is one place to look at
            .build()?;
        Ok(client.for_subject(&self.me))
    }
}
