//! The command line: nothing for the servers inside the example, or a real server.

use std::env;

use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, Error, TokenEndpoint, TokenParameters,
};

pub(crate) const USAGE: &str = "\
Usage:
  cargo run --example quickstart
      Runs an authorization server and an API on this machine, and shows what the client does.

  cargo run --example quickstart --features rustls -- --issuer URL --client-id ID --api URL ...
      Runs against a real server, with the client credentials grant.

Options for a real server:
  --issuer URL            the issuer, whose discovery document names the token endpoint
  --client-id ID          the client id
  --client-secret SECRET  the client secret; better in the environment, as CLIENT_SECRET
  --api URL               a URL of the API that answers GET
  --scope SCOPES          scopes to ask for, separated by spaces
  --audience NAME         an audience to ask for (Auth0)
  --post                  send the secret in the form, not in the Authorization header
  --help                  print this
";

/// What to run.
pub(crate) enum Arguments {
    Help,
    InsideTheExample,
    RealServer(RealServer),
}

/// A server that is really there.
#[derive(Default)]
pub(crate) struct RealServer {
    issuer: String,
    client_id: String,
    client_secret: String,
    pub(crate) api: String,
    scope: String,
    audience: Option<String>,
    post: bool,
}

impl Arguments {
    /// Reads the command line; the error says what is wrong with it.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut server = RealServer {
            client_secret: env::var("CLIENT_SECRET").unwrap_or_default(),
            ..RealServer::default()
        };
        let mut is_empty = true;
        while let Some(flag) = words.next() {
            is_empty = false;
            let mut value = || {
                let value = words.next().filter(|value| !value.starts_with("--"));
                value.ok_or(format!("{flag} needs a value"))
            };
            match flag.as_str() {
                "--help" | "-h" => return Ok(Self::Help),
                "--issuer" => server.issuer = value()?,
                "--client-id" => server.client_id = value()?,
                "--client-secret" => server.client_secret = value()?,
                "--api" => server.api = value()?,
                "--scope" => server.scope = value()?,
                "--audience" => server.audience = Some(value()?),
                "--post" => server.post = true,
                _ => return Err(format!("{flag} is not an option")),
            }
        }
        if is_empty {
            return Ok(Self::InsideTheExample);
        }
        for (flag, value) in [
            ("--issuer", &server.issuer),
            ("--client-id", &server.client_id),
            ("--client-secret", &server.client_secret),
            ("--api", &server.api),
        ] {
            if value.is_empty() {
                return Err(format!("{flag} is missing"));
            }
        }
        Ok(Self::RealServer(server))
    }
}

impl RealServer {
    pub(crate) fn grant(&self) -> Result<ClientCredentials, Error> {
        let (id, secret) = (self.client_id.as_str(), self.client_secret.as_str());
        let client = if self.post {
            ClientAuthentication::client_secret_post(id, secret)
        } else {
            ClientAuthentication::client_secret_basic(id, secret)
        };
        let endpoint = TokenEndpoint::discover(&self.issuer, client)?;
        let mut parameters = TokenParameters::new().scope(&self.scope);
        if let Some(audience) = &self.audience {
            parameters = parameters.audience(audience);
        }
        Ok(ClientCredentials::new(endpoint).parameters(parameters))
    }
}
