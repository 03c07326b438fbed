//! This crate: a named client, as the README's first example has it.

use adapter::{Call, Failure, Library, Setup, serve};
use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, Error, ErrorKind, NamedClient, RefreshTokenGrant,
    TokenEndpoint, TokenSource, reqwest,
};

struct Ours {
    source: TokenSource,
    api: NamedClient,
}

impl Library for Ours {
    async fn new(setup: Setup) -> Result<Self, String> {
        build(setup).map_err(|error| error.to_string())
    }

    async fn call(&self, call: Call) -> Result<u16, Failure> {
        let method: reqwest::Method = call.method.parse().expect("it is a method");
        let request = self.api.inner().request(method, &call.url);
        match request.body(call.body()).send().await {
            Ok(response) => Ok(response.status().as_u16()),
            Err(error) => match Error::find_in(&error).map(Error::kind) {
                Some(ErrorKind::SignInRequired) => Err(Failure::ended(error)),
                _ => Err(Failure::of(error)),
            },
        }
    }

    async fn header(&self) -> bool {
        let token = self.source.token().await;
        token.is_ok_and(|token| !token.authorization().is_empty())
    }

    fn debug(&self) -> String {
        format!("{:?} {:?}", self.source, self.api)
    }
}

fn build(setup: Setup) -> Result<Ours, Error> {
    let client = ClientAuthentication::client_secret_basic(setup.client_id, setup.client_secret);
    let endpoint = TokenEndpoint::new(setup.token_url, client)?;
    let source = match setup.refresh_token {
        Some(token) => TokenSource::builder(RefreshTokenGrant::new(endpoint, token)),
        None => TokenSource::builder(ClientCredentials::new(endpoint)),
    };
    let source = source.build()?;
    let api = NamedClient::builder("orders", setup.api, &source).build()?;
    Ok(Ours { source, api })
}

fn main() {
    serve::<Ours>();
}
